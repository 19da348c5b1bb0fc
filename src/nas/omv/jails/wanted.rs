//! What the jails should be: `jails.json`, written by the Salt module, and the mounts that follow from it. Pure.
//!
//! People find their experiments in `experiments/`; a source finds its landing directory in `in`, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use nix::mount::MsFlags;
use serde::Deserialize;

use super::super::mounting::NOSYMFOLLOW;
use crate::error::{Error, Result};

/// `jails.json`: who sees which experiments through sshd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Wanted {
    version: u32,
    /// Code → where it is.
    #[serde(default)]
    pub experiments: BTreeMap<String, Experiment>,
    /// Account → code → `write` or `read`.
    #[serde(default)]
    pub people: BTreeMap<String, BTreeMap<String, Access>>,
    /// Account → where the source delivers.
    #[serde(default)]
    pub sources: BTreeMap<String, Landing>,
}

/// The landing directory of a source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Landing {
    /// The experiment's code.
    pub experiment: String,
    /// The experiment's directory, absolute.
    pub wall: PathBuf,
    /// The landing directory below it.
    pub path: PathBuf,
    /// Nothing can be delivered.
    #[serde(default)]
    pub readonly: bool,
}

/// An experiment that has a door through sshd.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Experiment {
    /// Absolute.
    pub path: PathBuf,
    /// Closed: nobody writes.
    #[serde(default)]
    pub readonly: bool,
    /// SFTP is open.
    #[serde(default)]
    pub sftp: bool,
    /// rsync over SSH is open.
    #[serde(default)]
    pub rsync: bool,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// List and read.
    Read,
    /// Read and write.
    Write,
}

impl Wanted {
    /// Reads `jails.json`. A name that would leave the jail is an error: the file is root's, but a wall checks.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let bad = |why: String| {
            Error::new(
                "jails.invalid",
                format!("jails.json is not what it should be: {why}"),
            )
            .hint("it is written by OpenMediaVault: apply the module octonas again")
        };
        let wanted: Self = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
        if wanted.version != 1 {
            return Err(bad(format!("version {} is not known", wanted.version)));
        }
        let names = wanted
            .experiments
            .keys()
            .chain(wanted.people.keys())
            .chain(wanted.sources.keys());
        for name in names.chain(wanted.people.values().flat_map(|codes| codes.keys())) {
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !plain || name.is_empty() || name.starts_with('.') || name.len() > 64 {
                return Err(bad(format!("{name:?} is not a name")));
            }
        }
        for (code, experiment) in &wanted.experiments {
            let plain = experiment.path.is_absolute()
                && experiment
                    .path
                    .components()
                    .all(|c| !matches!(c, std::path::Component::ParentDir));
            if !plain {
                return Err(bad(format!("the path of {code} is not absolute")));
            }
        }
        for (account, landing) in &wanted.sources {
            let plain = |path: &Path| {
                path.components()
                    .all(|c| matches!(c, Component::Normal(_) | Component::RootDir))
            };
            let below = landing.path.is_relative() && landing.path != Path::new("");
            if !(landing.wall.is_absolute()
                && plain(&landing.wall)
                && below
                && plain(&landing.path))
            {
                return Err(bad(format!("the landing of {account} is in no experiment")));
            }
            if wanted.people.contains_key(account) {
                return Err(bad(format!("{account} is a person and a source")));
            }
        }
        Ok(wanted)
    }

    /// What `person` sees: code → experiment and whether they may write. Experiments without a door through sshd are
    /// never among them.
    pub fn seen_by<'w>(
        &'w self,
        person: &str,
    ) -> impl Iterator<Item = (&'w str, &'w Experiment, bool)> {
        self.people
            .get(person)
            .into_iter()
            .flatten()
            .filter_map(|(code, access)| {
                let experiment = self.experiments.get(code)?;
                let writes = *access == Access::Write && !experiment.readonly;
                (experiment.sftp || experiment.rsync).then_some((code.as_str(), experiment, writes))
            })
    }

    /// The doors that the gate opens for `person`, one a line.
    pub fn doors(&self, person: &str) -> String {
        let mut doors = BTreeSet::new();
        for (_, experiment, _) in self.seen_by(person) {
            doors.extend(experiment.sftp.then_some("sftp\n"));
            doors.extend(experiment.rsync.then_some("rsync\n"));
        }
        doors.into_iter().collect()
    }

    /// All people who see anything.
    pub fn persons(&self) -> impl Iterator<Item = &str> {
        self.people
            .keys()
            .map(String::as_str)
            .filter(|person| self.seen_by(person).next().is_some())
    }

    /// Everybody who has a jail: people, then sources.
    pub fn guests(&self) -> impl Iterator<Item = &str> {
        self.persons()
            .chain(self.sources.keys().map(String::as_str))
    }
}

/// A mount that should be in a jail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What is shown, or the wall above it.
    pub source: PathBuf,
    /// What is shown of an experiment: a path below its wall, empty for the whole.
    pub below: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// How.
    pub flags: MsFlags,
    /// The experiment's code; `None` for what every jail has.
    pub experiment: Option<String>,
}

impl Bind {
    /// The directory or file that is shown.
    pub fn shown(&self) -> PathBuf {
        if self.below.as_os_str().is_empty() {
            self.source.clone()
        } else {
            self.source.join(&self.below)
        }
    }
}

/// The name of a source's landing directory in its jail.
pub const LANDING: &str = "in";

/// How an experiment, or a part of it, is shown.
fn inside(writes: bool) -> MsFlags {
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | NOSYMFOLLOW;
    flags.set(MsFlags::MS_RDONLY, !writes);
    flags
}

/// What every jail has: source, place, flags. `/dev/log` is journald's own socket, without which not one line of a
/// confined sftp-server is logged.
fn fixtures() -> [(&'static str, &'static str, MsFlags); 3] {
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    [
        (
            "/usr",
            "usr",
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        ),
        ("/dev/null", "dev/null", quiet),
        (
            "/run/systemd/journal/dev-log",
            "dev/log",
            quiet | MsFlags::MS_NODEV,
        ),
    ]
}

/// All mounts of the jail of `guest`, a person or a source.
pub fn binds(wanted: &Wanted, root: &Path, guest: &str) -> Vec<Bind> {
    let jail = root.join(guest);
    let fixed = fixtures().into_iter().map(|(source, place, flags)| Bind {
        source: PathBuf::from(source),
        below: PathBuf::new(),
        target: jail.join(place),
        flags,
        experiment: None,
    });
    let own = wanted
        .seen_by(guest)
        .map(|(code, experiment, writes)| Bind {
            source: experiment.path.clone(),
            below: PathBuf::new(),
            target: jail.join("experiments").join(code),
            flags: inside(writes),
            experiment: Some(code.to_owned()),
        });
    let landing = wanted.sources.get(guest).map(|landing| Bind {
        source: landing.wall.clone(),
        below: landing.path.clone(),
        target: jail.join(LANDING),
        flags: inside(!landing.readonly),
        experiment: Some(landing.experiment.clone()),
    });
    fixed.chain(own).chain(landing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"version":1,
        "experiments":{
            "lake":{"path":"/srv/d/lake","readonly":false,"sftp":true,"rsync":false},
            "pond":{"path":"/srv/d/pond","readonly":true,"sftp":true,"rsync":true},
            "shut":{"path":"/srv/d/shut","readonly":false,"sftp":false,"rsync":false}},
        "people":{
            "alice":{"lake":"write","pond":"write","shut":"write","gone":"write"},
            "bob":{"lake":"read"},
            "carol":{"shut":"write"}}}"#;

    fn flags_of(person: &str, code: &str) -> Option<MsFlags> {
        let wanted = Wanted::parse(TEXT.as_bytes()).unwrap();
        binds(&wanted, Path::new("/j"), person)
            .into_iter()
            .find(|b| b.experiment.as_deref() == Some(code))
            .map(|b| b.flags)
    }

    #[test]
    fn who_may_write_sees_it_writable_and_nobody_else_does() {
        assert!(
            !flags_of("alice", "lake")
                .unwrap()
                .contains(MsFlags::MS_RDONLY)
        );
        assert!(
            flags_of("bob", "lake")
                .unwrap()
                .contains(MsFlags::MS_RDONLY)
        );
        assert!(
            flags_of("alice", "pond")
                .unwrap()
                .contains(MsFlags::MS_RDONLY)
        );
        assert!(flags_of("alice", "lake").unwrap().contains(NOSYMFOLLOW));
    }

    #[test]
    fn an_experiment_without_a_door_is_in_no_jail() {
        assert_eq!(flags_of("alice", "shut"), None);
        assert_eq!(flags_of("alice", "gone"), None);
        let wanted = Wanted::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(wanted.persons().collect::<Vec<_>>(), ["alice", "bob"]);
    }

    #[test]
    fn the_gate_hears_of_the_doors_that_are_open() {
        let wanted = Wanted::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(wanted.doors("alice"), "rsync\nsftp\n");
        assert_eq!(wanted.doors("bob"), "sftp\n");
        assert_eq!(wanted.doors("carol"), "");
    }

    #[test]
    fn a_source_sees_its_landing_and_nothing_else() {
        let text = r#"{"version":1,"sources":{
            "octsrc-1":{"experiment":"lake","wall":"/srv/d/lake","path":"landing/plc","readonly":false},
            "octsrc-2":{"experiment":"lake","wall":"/srv/d/lake","path":"landing/cam","readonly":true}}}"#;
        let wanted = Wanted::parse(text.as_bytes()).unwrap();
        assert_eq!(
            wanted.guests().collect::<Vec<_>>(),
            ["octsrc-1", "octsrc-2"]
        );
        for (account, shown, read_only) in [
            ("octsrc-1", "/srv/d/lake/landing/plc", false),
            ("octsrc-2", "/srv/d/lake/landing/cam", true),
        ] {
            let own: Vec<Bind> = binds(&wanted, Path::new("/j"), account)
                .into_iter()
                .filter(|b| b.experiment.is_some())
                .collect();
            assert_eq!(own.len(), 1);
            assert_eq!(own[0].shown(), Path::new(shown));
            assert_eq!(own[0].target, Path::new("/j").join(account).join("in"));
            assert_eq!(own[0].flags.contains(MsFlags::MS_RDONLY), read_only);
            assert!(own[0].flags.contains(NOSYMFOLLOW | MsFlags::MS_NOEXEC));
        }
    }

    #[test]
    fn no_name_leaves_the_jail() {
        for text in [
            r#"{"version":1,"people":{"../etc":{}}}"#,
            r#"{"version":1,"people":{"a":{"x/y":"read"}}}"#,
            r#"{"version":1,"people":{"":{}}}"#,
            r#"{"version":1,"experiments":{"a":{"path":"relative"}}}"#,
            r#"{"version":1,"experiments":{"a":{"path":"/srv/../etc"}}}"#,
            r#"{"version":1,"sources":{"../x":{"experiment":"a","wall":"/srv/a","path":"landing/b"}}}"#,
            r#"{"version":1,"sources":{"x":{"experiment":"a","wall":"srv/a","path":"landing/b"}}}"#,
            r#"{"version":1,"sources":{"x":{"experiment":"a","wall":"/srv/a","path":"/landing/b"}}}"#,
            r#"{"version":1,"sources":{"x":{"experiment":"a","wall":"/srv/a","path":"landing/../b"}}}"#,
            r#"{"version":1,"sources":{"x":{"experiment":"a","wall":"/srv/a","path":""}}}"#,
            r#"{"version":1,"people":{"x":{}},"sources":{"x":{"experiment":"a","wall":"/srv/a","path":"b"}}}"#,
            r#"{"version":2}"#,
            "[]",
        ] {
            let e = Wanted::parse(text.as_bytes()).unwrap_err();
            assert_eq!(e.code(), "jails.invalid", "{text}");
        }
    }
}
