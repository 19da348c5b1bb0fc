//! The mounts of experiments: each one is mounted upon itself, so that no link in it is followed, and closing it is a
//! remount. Units for them are rendered by the Salt module; what is missing now is mounted at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;

use super::jails::LANDING;
use super::model::Entry;
use super::mounting::{self, NOSYMFOLLOW, topmost};
use super::sources::Source;
use super::{Omv, freeze, jails};
use crate::error::{Error, Result};
use crate::object::Attributes;
use crate::sys::mounts::{Mount, here};

/// Flags of the mount of an experiment upon itself.
const WALL: MsFlags = MsFlags::MS_NOSUID
    .union(MsFlags::MS_NODEV)
    .union(NOSYMFOLLOW);

/// Their names, sorted.
const WALL_NAMES: &[&str] = &["nodev", "nosuid", "nosymfollow"];

/// What is mounted of an entry; empty where nothing is.
pub(super) fn observed(
    table: &[Mount],
    jails: &Path,
    entry: &Entry,
    sources: &[Source],
) -> Attributes {
    let mut seen = Attributes::new();
    let own = topmost(table, Path::new(&entry.path));
    if let Some(own) = own {
        let flags: Vec<&str> = WALL_NAMES
            .iter()
            .copied()
            .filter(|name| own.options.contains(*name))
            .collect();
        seen.insert("self".to_owned(), mode(own).to_owned());
        seen.insert("self.flags".to_owned(), flags.join(","));
    }
    for mount in table {
        let Some(person) = jailed(jails, &mount.point, &entry.code) else {
            continue;
        };
        let is_ours = own.is_some_and(|o| o.device == mount.device && o.root == mount.root);
        seen.insert(
            format!("jail:{person}"),
            if is_ours {
                mode(mount)
            } else {
                "another place"
            }
            .to_owned(),
        );
    }
    for source in of(entry, sources) {
        let landing = jails.join(&source.account).join(LANDING);
        let Some(mount) = topmost(table, &landing) else {
            continue;
        };
        let is_ours = own
            .is_some_and(|o| o.device == mount.device && o.root.join(&source.path) == mount.root);
        let shown = if is_ours {
            mode(mount)
        } else {
            "another place"
        };
        seen.insert(format!("jail:{}", source.account), shown.to_owned());
    }
    seen
}

/// The sources of an experiment.
fn of<'s>(entry: &Entry, sources: &'s [Source]) -> impl Iterator<Item = &'s Source> {
    let code = entry.code.clone();
    sources.iter().filter(move |source| source.code == code)
}

fn mode(mount: &Mount) -> &'static str {
    if mount.is_read_only() { "ro" } else { "rw" }
}

/// Whose jail shows the experiment `code` at `point`.
fn jailed<'p>(jails: &Path, point: &'p Path, code: &str) -> Option<&'p str> {
    let mut parts = point.strip_prefix(jails).ok()?.iter();
    let person = parts.next()?.to_str()?;
    (parts.next()? == "experiments" && parts.next()? == code && parts.next().is_none())
        .then_some(person)
}

/// What should be mounted of an entry. Only people who have an account on the system have a jail.
fn expected(entry: &Entry, sources: &[Source]) -> Attributes {
    let closed = if entry.readonly { "ro" } else { "rw" };
    let mut all = Attributes::from([
        ("self".to_owned(), closed.to_owned()),
        ("self.flags".to_owned(), WALL_NAMES.join(",")),
    ]);
    if entry.sftp || entry.rsync {
        for (names, open) in [(&entry.writers, closed), (&entry.readers, "ro")] {
            for person in names.split(',').filter(|n| !n.is_empty()) {
                if jails::Numbers::account(&jails::System, person).is_some() {
                    all.insert(format!("jail:{person}"), open.to_owned());
                }
            }
        }
    }
    for source in of(entry, sources) {
        let account = jails::Numbers::account(&jails::System, &source.account);
        if account.is_some() && Path::new(&entry.path).join(&source.path).is_dir() {
            let open = if source.readonly { "ro" } else { closed };
            all.insert(format!("jail:{}", source.account), open.to_owned());
        }
    }
    all
}

/// Mounts what the entry says: renders units and jails where that waits, then makes what is missing.
pub(super) fn put(omv: &Omv, code: &str) -> Result<()> {
    omv.render()?;
    let (entries, sources) = omv.own()?;
    let Some(entry) = entries.iter().find(|e| e.code == code) else {
        return Err(Error::new(
            "nas.no-entry",
            format!(
                "OpenMediaVault has no configuration entry of {code}, so nothing says what to mount"
            ),
        )
        .hint(
            "it was taken away (\"revert\" in the panel?): run `octonas experiment apply --mend`",
        ));
    };
    wall(&omv.settings().jails, entry)?;
    sync(omv)?;
    check(&here()?, omv, entry, &sources)
}

/// Makes the mounts of these experiments be as their entries say, as far as their disks are there. Gives what is wrong
/// with all experiments nevertheless: whose, and how.
pub(super) fn reconcile(omv: &Omv, touched: &BTreeSet<String>) -> Result<Vec<(String, Error)>> {
    let (entries, sources) = omv.own()?;
    let mut wrong = Vec::new();
    let ours = entries.iter().filter(|e| touched.contains(&e.code));
    for entry in ours.filter(|e| Path::new(&e.path).is_dir()) {
        if let Err(e) = wall(&omv.settings().jails, entry) {
            wrong.push((entry.code.clone(), e));
        }
    }
    sync(omv)?;
    let table = here()?;
    for entry in &entries {
        if let Err(e) = check(&table, omv, entry, &sources) {
            wrong.push((entry.code.clone(), e));
        }
    }
    Ok(wrong)
}

/// Checks that everything is mounted as the entries say, changing nothing; gives how many there are.
pub(super) fn verify(omv: &Omv) -> Result<usize> {
    let table = here()?;
    let (entries, sources) = omv.own()?;
    entries
        .iter()
        .try_for_each(|entry| check(&table, omv, entry, &sources))?;
    Ok(entries.len())
}

fn sync(omv: &Omv) -> Result<()> {
    let settings = omv.settings();
    jails::sync(&settings.jails, &settings.jails_wanted, &jails::System)?;
    Ok(())
}

/// Mounts an experiment upon itself, or gives that mount its flags. One that closes is closed in every namespace.
fn wall(root: &Path, entry: &Entry) -> Result<()> {
    let path = Path::new(&entry.path);
    let mut flags = WALL;
    flags.set(MsFlags::MS_RDONLY, entry.readonly);
    let mut table = here()?;
    // One is enough: a mount beneath another one cannot be reached to be closed.
    while table.iter().filter(|m| is_wall(m, path)).count() > 1 {
        let Some(extra) = topmost(&table, path).filter(|m| is_wall(m, path)) else {
            break;
        };
        mounting::withdraw(extra)?;
        table = here()?;
    }
    let Some(own) = topmost(&table, path) else {
        return jails::mount_upon_itself(root, path, flags);
    };
    if entry.readonly && !own.is_read_only() {
        freeze::shut(path)?;
    }
    if !own.propagation.is_empty() {
        mounting::make_private(path)?;
    }
    let now = mounting::flags(&own.options);
    // A disk that is mounted noexec stays so.
    flags |= now & MsFlags::MS_NOEXEC;
    if now == flags {
        return Ok(());
    }
    mounting::reflag(path, flags)
}

fn is_wall(mount: &Mount, path: &Path) -> bool {
    mount.point == path && mount.options.contains("nosymfollow")
}

/// Takes the mounts of an experiment away: jails first, then its own. The entry may be gone already: the mount upon
/// itself is then known by its name and by a flag that nobody else uses.
pub(super) fn delete(omv: &Omv, code: &str) -> Result<()> {
    let jails = &omv.settings().jails;
    let landings: Vec<PathBuf> = omv
        .sources()?
        .iter()
        .filter(|source| source.code == code)
        .map(|source| jails.join(&source.account).join(LANDING))
        .collect();
    for mount in here()?.iter().rev() {
        let is_jail =
            jailed(jails, &mount.point, code).is_some() || landings.contains(&mount.point);
        let is_own = !mount.point.starts_with(jails)
            && mount.options.contains("nosymfollow")
            && mount.point.file_name().is_some_and(|name| name == code)
            && mount.root.file_name().is_some_and(|name| name == code);
        if is_jail || is_own {
            mounting::withdraw(mount)?;
        }
    }
    Ok(())
}

fn check(table: &[Mount], omv: &Omv, entry: &Entry, sources: &[Source]) -> Result<()> {
    let seen = observed(table, &omv.settings().jails, entry, sources);
    let wanted = expected(entry, sources);
    let wrong = wanted
        .keys()
        .chain(seen.keys())
        .find(|key| wanted.get(*key) != seen.get(*key));
    let Some(key) = wrong else { return Ok(()) };
    let show = |all: &Attributes| all.get(key).map_or("nothing", String::as_str).to_owned();
    Err(Error::new(
        "nas.mounts",
        format!(
            "the mounts of {} are not as they should be: {key} is {}, not {}",
            entry.code,
            show(&seen),
            show(&wanted)
        ),
    )
    .hint("look at `systemctl status octonas-walls.target octonas-jails.service`, then run `octonas experiment apply --mend`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mounts::parse;

    const TABLE: &[u8] = b"1 0 8:1 / / rw - ext4 d rw\n\
        2 1 8:2 / /srv/d rw,relatime shared:1 - ext4 d rw\n\
        3 2 8:2 /octonas/lake /srv/d/octonas/lake rw,nosuid,nodev,relatime,nosymfollow - ext4 d rw\n\
        4 1 0:40 / /run/octonas/jail rw,nosuid,nodev,noexec - tmpfs octonas rw\n\
        5 4 8:2 /octonas/lake /run/octonas/jail/alice/experiments/lake rw,nosuid,nodev,noexec,nosymfollow - ext4 d rw\n\
        6 4 8:2 /octonas/lake /run/octonas/jail/bob/experiments/lake ro,nosuid,nodev,noexec,nosymfollow - ext4 d rw\n\
        7 4 8:2 /octonas/pond /run/octonas/jail/bob/experiments/pond ro,nosuid,nodev,noexec,nosymfollow - ext4 d rw\n\
        8 4 8:2 /octonas/lake/landing/plc /run/octonas/jail/octsrc-0123456789/in ro,nosuid,nodev,noexec,nosymfollow - ext4 d rw\n";

    fn plc() -> Source {
        Source {
            uuid: "u".into(),
            id: "i".into(),
            code: "lake".into(),
            name: "plc".into(),
            account: "octsrc-0123456789".into(),
            path: "landing/plc".into(),
            readonly: true,
            keys: String::new(),
        }
    }

    fn lake() -> Entry {
        Entry {
            uuid: "u".into(),
            id: "i".into(),
            code: "lake".into(),
            path: "/srv/d/octonas/lake".into(),
            sharedfolderref: String::new(),
            readonly: false,
            sftp: true,
            rsync: true,
            writers: "alice".into(),
            readers: "bob".into(),
        }
    }

    #[test]
    fn what_is_mounted_is_said_person_by_person() {
        let seen = observed(
            &parse(TABLE).unwrap(),
            Path::new("/run/octonas/jail"),
            &lake(),
            &[plc()],
        );
        let expected = [
            ("jail:alice", "rw"),
            ("jail:bob", "ro"),
            ("jail:octsrc-0123456789", "ro"),
            ("self", "rw"),
            ("self.flags", "nodev,nosuid,nosymfollow"),
        ];
        let seen: Vec<(&str, &str)> = seen.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn an_experiment_that_is_not_mounted_has_no_self() {
        let mut entry = lake();
        entry.path = "/srv/d/octonas/other".into();
        entry.code = "other".into();
        let seen = observed(
            &parse(TABLE).unwrap(),
            Path::new("/run/octonas/jail"),
            &entry,
            &[plc()],
        );
        assert!(seen.is_empty());
    }
}
