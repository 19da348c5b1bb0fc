//! Operations that were set for the night: `<base>/.octonas/tonight/<code>.json`, one an experiment, and `base.share.json`
//! for the base itself; root only. Each is whole: what was asked, by whom, when, and from which definition; never a
//! password. Where it lies says of which base it is, wherever that is mounted.

use serde::{Deserialize, Serialize};

use super::{EVIDENCE, evidence, private_dir};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::sys::dir::{Dir, FileKind, Permissions};

const DIRECTORY: &str = "tonight";
/// The request of the base itself: no code has a full stop.
const OF_THE_BASE: &str = "base.share.json";

/// The largest request: a definition of 1 MiB, written as a text of JSON.
const LIMIT: u64 = 8 << 20;

/// The shape of the files that this version writes.
const VERSION: u32 = 1;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make an experiment.
    Create,
    /// Replace its definition, and apply it.
    Edit,
    /// Make the NAS match the definition.
    Apply,
    /// Make it read-only.
    Close,
    /// Open it again.
    Reopen,
    /// Take it out of service.
    Remove,
    /// Take one that lies on the base into service.
    Adopt,
    /// Make one of a directory that is in use.
    Import,
    /// Choose how the experiments of the base are shared.
    ShareBase,
}

impl Verb {
    /// Its name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Apply => "apply",
            Self::Close => "close",
            Self::Reopen => "reopen",
            Self::Remove => "remove",
            Self::Adopt => "adopt",
            Self::Import => "import",
            Self::ShareBase => "share-base",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for its night.
    Waiting,
    /// It was begun; where nobody works on it, the machine stopped.
    Begun,
    /// It was refused or failed, and stays until somebody has read why.
    Failed,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "begun",
            Self::Failed => "failed",
        }
    }
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When (RFC 3339, UTC).
    pub time: String,
    /// The error's code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// An operation that was set for the night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Request {
    /// The shape of this file.
    pub octonas: u32,
    /// By which the ledger says what became of it.
    pub id: String,
    /// The NAS that it was set on.
    pub nas: String,
    /// The experiment; empty where it is the base itself.
    pub code: String,
    /// Its id; nothing where it is to be made, empty where it is the base itself.
    pub experiment: Option<String>,
    /// What is to be done.
    pub operation: Verb,
    /// The definition, as it was given.
    pub definition: Option<String>,
    /// The digest of the definition that it started from; how the base was shared then.
    pub from: Option<String>,
    /// The name of the plan that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Also set right what was changed by hand.
    #[serde(default)]
    pub mend: bool,
    /// Delete the data too.
    #[serde(default)]
    pub delete_data: bool,
    /// Take over what another NAS served.
    #[serde(default)]
    pub take_over: bool,
    /// The accounts that keep their access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant: Vec<String>,
    /// The share of all experiments of the base; nothing where each one gets its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_name: Option<String>,
    /// Who asked.
    pub by: String,
    /// When (RFC 3339, UTC).
    pub asked: String,
    /// Not before (RFC 3339, UTC).
    pub due: String,
    /// What it interrupts, as far as that was known; one sentence each.
    #[serde(default)]
    pub effects: Vec<String>,
    /// The same in French; nothing where an older program asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects_fr: Vec<String>,
    /// How far it is.
    pub state: State,
    /// Why it was not done.
    #[serde(default)]
    pub failure: Option<Failure>,
}

impl Request {
    /// The shape of the files that this version writes.
    pub const VERSION: u32 = VERSION;

    /// Writes it, whole and durable.
    pub fn write(&self, base: &Dir) -> Result<()> {
        let dir = private_dir(&evidence(base)?, DIRECTORY)?;
        dir.remove_unfinished()?;
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::new("output.failed", "cannot encode a request").source(e))?;
        text.push('\n');
        dir.write(self.file(), text.as_bytes(), &Permissions::PRIVATE)
    }

    /// What is set for the night for an experiment of this code, or for the base itself.
    pub fn read(base: &Dir, code: Option<&Code>) -> Result<Option<Self>> {
        match base.open(format!("{EVIDENCE}/{DIRECTORY}"))? {
            Some(dir) => Self::load(&dir, &file(code.map(Code::as_str))),
            None => Ok(None),
        }
    }

    fn load(dir: &Dir, name: &str) -> Result<Option<Self>> {
        let Some(bytes) = dir.read(name, LIMIT)? else {
            return Ok(None);
        };
        let damaged = |why: String| {
            Error::new(
                "tonight.damaged",
                format!("{} cannot be read: {why}", dir.path_of(name).display()),
            )
            .hint("what it asked for is not done; take the file away, and set the operation again")
        };
        let request: Self = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if request.octonas > VERSION {
            return Err(damaged("a newer version wrote it".into()));
        }
        if request.file() != name || request.experiment_code().is_err() {
            return Err(damaged("it is of another experiment than its name".into()));
        }
        Ok(Some(request))
    }

    /// Takes it away. False where there was none.
    pub fn clear(&self, base: &Dir) -> Result<bool> {
        match base.open(format!("{EVIDENCE}/{DIRECTORY}"))? {
            Some(dir) => dir.remove_file(self.file()),
            None => Ok(false),
        }
    }

    /// All of a base in the order in which they were asked for, and what cannot be read.
    pub fn all(base: &Dir) -> Result<(Vec<Self>, Vec<Error>)> {
        let (mut all, mut damaged) = (Vec::new(), Vec::new());
        let Some(dir) = base.open(format!("{EVIDENCE}/{DIRECTORY}"))? else {
            return Ok((all, damaged));
        };
        for entry in dir.entries()? {
            let name = entry.name.to_string_lossy();
            if entry.kind != FileKind::File || name.starts_with('.') || !name.ends_with(".json") {
                continue;
            }
            match Self::load(&dir, &name) {
                Ok(found) => all.extend(found),
                Err(error) => damaged.push(error),
            }
        }
        all.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok((all, damaged))
    }

    /// By which they come one after the other: when they were asked for; in one second the base comes last, because what an
    /// import started from is how it was shared before.
    pub fn order(&self) -> (&str, bool, &str) {
        (&self.asked, self.code.is_empty(), &self.code)
    }

    /// The code of its experiment; nothing where it is the base itself.
    pub fn experiment_code(&self) -> Result<Option<Code>> {
        match self.operation {
            Verb::ShareBase => Ok(None),
            _ => Code::parse(&self.code).map(Some),
        }
    }

    fn file(&self) -> String {
        match self.operation {
            Verb::ShareBase => file(None),
            _ => file(Some(&self.code)),
        }
    }
}

fn file(code: Option<&str>) -> String {
    match code {
        Some(code) => format!("{code}.json"),
        None => OF_THE_BASE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{directory, points_of, with_fault};

    fn request(code: &str, asked: &str) -> Request {
        Request {
            octonas: VERSION,
            id: "r1".into(),
            nas: "nas1".into(),
            code: code.into(),
            experiment: None,
            operation: Verb::Create,
            definition: Some("code: eco\n".into()),
            from: None,
            plan: None,
            mend: false,
            delete_data: false,
            take_over: false,
            grant: Vec::new(),
            share_name: None,
            by: "admin".into(),
            asked: asked.into(),
            due: "2026-11-22T01:30:00Z".into(),
            effects: vec!["Samba restarts".into()],
            effects_fr: vec!["Samba redémarre".into()],
            state: State::Waiting,
            failure: None,
        }
    }

    fn base() -> (tempfile::TempDir, Dir) {
        let (temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        (temp, base)
    }

    #[test]
    fn requests_come_in_the_order_in_which_they_were_asked_for() {
        let (temp, base) = base();
        assert_eq!(Request::all(&base).unwrap().0, []);
        let late = request("eco", "2026-11-21T11:00:00Z");
        let early = request("lake", "2026-11-21T10:00:00Z");
        late.write(&base).unwrap();
        early.write(&base).unwrap();
        assert_eq!(
            Request::all(&base).unwrap().0,
            [early.clone(), late.clone()]
        );
        let code = Code::parse("eco").unwrap();
        assert_eq!(
            Request::read(&base, Some(&code)).unwrap(),
            Some(late.clone())
        );
        let mode = std::fs::metadata(temp.path().join(".octonas/tonight/eco.json"))
            .map(|m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o7777)
            .unwrap();
        assert_eq!(mode, 0o600);
        assert!(late.clear(&base).unwrap());
        assert!(!late.clear(&base).unwrap());
        assert_eq!(Request::all(&base).unwrap().0, [early]);
    }

    #[test]
    fn the_base_has_one_of_its_own_which_is_no_experiments() {
        let (_temp, base) = base();
        let share = Request {
            code: String::new(),
            experiment: Some(String::new()),
            operation: Verb::ShareBase,
            definition: None,
            share_name: Some("experiments".into()),
            ..request("", "2026-11-21T09:00:00Z")
        };
        let eco = request("eco", "2026-11-21T10:00:00Z");
        eco.write(&base).unwrap();
        share.write(&base).unwrap();
        assert_eq!(Request::read(&base, None).unwrap(), Some(share.clone()));
        assert_eq!(Request::all(&base).unwrap().0, [share.clone(), eco.clone()]);
        assert!(Code::parse(OF_THE_BASE.trim_end_matches(".json")).is_err());
        // What stands in the place of the other is damaged.
        let dir = base.open(".octonas/tonight").unwrap().unwrap();
        let text = serde_json::to_string(&eco).unwrap();
        dir.write(OF_THE_BASE, text.as_bytes(), &Permissions::PRIVATE)
            .unwrap();
        assert!(Request::read(&base, None).is_err());
        assert!(share.clear(&base).unwrap());
        assert_eq!(Request::all(&base).unwrap().0, [eco]);
    }

    #[test]
    fn what_an_older_program_wrote_is_read() {
        let (_temp, base) = base();
        request("eco", "2026-11-21T10:00:00Z").write(&base).unwrap();
        let dir = base.open(".octonas/tonight").unwrap().unwrap();
        let old = r#"{"octonas":1,"id":"r1","nas":"nas1","code":"eco","experiment":"0b9e","operation":"close",
            "definition":null,"from":"00","mend":false,"delete-data":false,"by":"admin","asked":"2026-11-21T10:00:00Z",
            "due":"2026-11-22T01:30:00Z","state":"waiting"}"#;
        dir.write("eco.json", old.as_bytes(), &Permissions::PRIVATE)
            .unwrap();
        let (all, damaged) = Request::all(&base).unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        assert_eq!(all[0].operation, Verb::Close);
        assert_eq!((all[0].take_over, &all[0].plan), (false, &None));
    }

    #[test]
    fn one_that_cannot_be_read_hides_no_other() {
        let (_temp, base) = base();
        request("eco", "2026-11-21T11:00:00Z").write(&base).unwrap();
        let dir = base.open(".octonas/tonight").unwrap().unwrap();
        let newer = serde_json::json!({"octonas": 2}).to_string();
        let other = serde_json::to_string(&request("lake", "2026")).unwrap();
        for (name, text) in [("a.json", "{"), ("b.json", &newer), ("c.json", &other)] {
            dir.write(name, text.as_bytes(), &Permissions::PRIVATE)
                .unwrap();
        }
        let (all, damaged) = Request::all(&base).unwrap();
        assert_eq!((all.len(), damaged.len()), (1, 3));
        assert!(damaged.iter().all(|e| e.code() == "tonight.damaged"));
    }

    #[test]
    fn a_write_that_is_cut_short_leaves_the_old_request_or_the_new_one() {
        let old = request("eco", "2026-11-21T10:00:00Z");
        let new = request("eco", "2026-11-21T11:00:00Z");
        let points = {
            let (_temp, base) = base();
            old.write(&base).unwrap();
            points_of(|| new.write(&base).unwrap())
        };
        for nth in 1..=points {
            let (_temp, base) = base();
            old.write(&base).unwrap();
            let _ = with_fault("halt", nth, || new.write(&base));
            let (all, damaged) = Request::all(&base).unwrap();
            assert!(damaged.is_empty());
            let one = std::slice::from_ref;
            assert!(all == one(&old) || all == one(&new), "{nth}");
            new.write(&base).unwrap();
            assert_eq!(Request::all(&base).unwrap().0, one(&new));
        }
    }
}
