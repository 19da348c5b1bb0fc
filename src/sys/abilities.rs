//! What a file system can do, found out by doing it in a scratch directory: what a base needs, and what is merely nice.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::acl::{Acl, Perms, Which};
use super::dir::{Dir, Made, Permissions, Replace};
use super::{mounts, process, quota};
use crate::error::{Error, Result};

/// What the name of a scratch directory begins with.
const SCRATCH: &str = ".octonas-try-";

/// Ids that no account has by accident.
const SOMEBODY: u32 = 64_901;

/// Tries one thing in the scratch directory.
type TrialOf = fn(&Dir) -> Result<Trial>;

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// It works.
    Works,
    /// It does not, and why.
    Fails(String),
    /// It could not be tried, and why.
    Skipped(String),
}

/// Which file system it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// `ext4`, `btrfs`, `xfs`, `fuse.mergerfs` …
    pub kind: String,
    /// What is mounted: a device or another source.
    pub source: String,
    /// Its own UUID, where the system knows one.
    pub uuid: Option<String>,
    /// Nothing can be written at the moment.
    pub read_only: bool,
}

/// What was found out about a directory's file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// Which it is.
    pub file_system: FileSystem,
    /// What a base needs; each name is for people.
    pub needed: BTreeMap<String, Trial>,
    /// What is used where it is there.
    pub optional: BTreeMap<String, bool>,
}

impl Abilities {
    /// What is needed and does not work: name and reason.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.needed.iter().filter_map(|(name, trial)| match trial {
            Trial::Fails(why) => Some((name.as_str(), why.as_str())),
            _ => None,
        })
    }
}

/// The file system that a directory lies on, as our mount namespace shows it.
pub fn file_system(dir: &Dir) -> Result<FileSystem> {
    let all = mounts::here()?;
    let mount = mounts::of(&all, dir).ok_or_else(|| {
        Error::new(
            "mounts.unreadable",
            format!("no mount shows {}", dir.path().display()),
        )
    })?;
    let source = mount.source.to_string_lossy().into_owned();
    Ok(FileSystem {
        kind: mount.kind.clone(),
        uuid: uuid_of(Path::new(&source)),
        source,
        read_only: mount.is_read_only(),
    })
}

/// The name under `/dev/disk/by-uuid` that leads to the same device.
fn uuid_of(source: &Path) -> Option<String> {
    let device = source.canonicalize().ok()?;
    std::fs::read_dir("/dev/disk/by-uuid")
        .ok()?
        .flatten()
        .find(|link| link.path().canonicalize().is_ok_and(|to| to == device))
        .and_then(|link| link.file_name().into_string().ok())
}

/// Tries everything in a scratch directory in `dir`, which is gone again afterwards. Fails only where nothing could be
/// tried; a directory that cannot be written is an answer.
pub fn find_out(dir: &Dir) -> Result<Abilities> {
    remove_scratch(dir);
    let mut abilities = Abilities {
        file_system: file_system(dir)?,
        needed: BTreeMap::new(),
        optional: BTreeMap::new(),
    };
    let name = format!("{SCRATCH}{}", uuid::Uuid::new_v4().simple());
    let scratch = dir
        .create_dir(&name, 0o700)
        .and_then(|_| dir.existing(&name));
    let scratch = match scratch {
        Ok(scratch) => scratch,
        Err(e) => {
            abilities
                .needed
                .insert("writing".into(), Trial::Fails(e.to_string()));
            return Ok(abilities);
        }
    };
    let trials: [(&str, TrialOf); 6] = [
        ("owners", owners),
        ("POSIX default access lists", access_lists),
        ("inherited group (setgid)", inherited_group),
        ("extended attributes", extended_attributes),
        ("durable rename", durable_rename),
        ("case-sensitive names", case_sensitive),
    ];
    for (what, trial) in trials {
        let result = trial(&scratch).unwrap_or_else(|e| Trial::Fails(e.to_string()));
        abilities.needed.insert(what.into(), result);
    }
    abilities.optional = BTreeMap::from([
        (
            "btrfs subvolumes".into(),
            abilities.file_system.kind == "btrfs",
        ),
        ("immutable attribute".into(), immutable(&scratch)),
        ("project quotas".into(), quota::is_enforced(&scratch)),
        ("reflink".into(), reflink(&scratch)),
        (
            "unnamed temporary files".into(),
            scratch.has_unnamed_files(),
        ),
    ]);
    dir.remove_tree(&name)?;
    Ok(abilities)
}

/// What a run that was killed left behind.
fn remove_scratch(dir: &Dir) {
    for entry in dir.entries().unwrap_or_default() {
        if entry
            .name
            .as_encoded_bytes()
            .starts_with(SCRATCH.as_bytes())
        {
            let _ = dir.remove_tree(&entry.name);
        }
    }
}

fn works(condition: bool, otherwise: &str) -> Trial {
    if condition {
        Trial::Works
    } else {
        Trial::Fails(otherwise.into())
    }
}

fn make(scratch: &Dir, name: &str) -> Result<Dir> {
    match scratch.create_dir(name, 0o700)? {
        Made::Created | Made::Existing => scratch.existing(name),
    }
}

fn owners(scratch: &Dir) -> Result<Trial> {
    if !process::is_root() {
        return Ok(Trial::Skipped(
            "only root can give a file to somebody else".into(),
        ));
    }
    let permissions = Permissions {
        uid: Some(SOMEBODY),
        gid: Some(SOMEBODY),
        mode: 0o640,
    };
    scratch.write("owned", b"x", &permissions)?;
    let kept = scratch
        .stat("owned")?
        .is_some_and(|m| (m.uid, m.gid, m.mode) == (SOMEBODY, SOMEBODY, 0o640));
    Ok(works(
        kept,
        "owner and mode of a file do not stay as they are set",
    ))
}

/// A default access list as an experiment has it must reach new files and directories, whatever their mode.
fn access_lists(scratch: &Dir) -> Result<Trial> {
    let dir = make(scratch, "lists")?;
    let mut list = Acl::from_mode(0o700);
    list.groups.insert(SOMEBODY, Perms::ALL);
    let list = list.with_wide_mask();
    dir.set_acl(Which::Default, Some(&list))?;
    dir.set_acl(Which::Access, Some(&list))?;
    if dir.acl(Which::Access)?.as_ref() != Some(&list) {
        return Ok(Trial::Fails(
            "an access list does not stay as it is set".into(),
        ));
    }
    let below = make(&dir, "below")?;
    let inherited = below.acl(Which::Access)?;
    let reaches = inherited.is_some_and(|l| l.groups.get(&SOMEBODY) == Some(&Perms::ALL))
        && below.acl(Which::Default)?.as_ref() == Some(&list);
    Ok(works(
        reaches,
        "new directories do not inherit the access list",
    ))
}

fn inherited_group(scratch: &Dir) -> Result<Trial> {
    let dir = make(scratch, "group")?;
    if process::is_root() {
        dir.set_owner(None, Some(SOMEBODY))?;
    }
    dir.set_mode(0o2770)?;
    let group = dir.metadata()?.gid;
    let below = make(&dir, "below")?.metadata()?;
    Ok(works(
        below.gid == group && below.mode & 0o2000 != 0,
        "new directories do not inherit the group",
    ))
}

fn extended_attributes(scratch: &Dir) -> Result<Trial> {
    use xattr::FileExt as _;

    scratch.write("attributes", b"x", &Permissions::PRIVATE)?;
    let Some(node) = scratch.node_at("attributes")? else {
        return Ok(Trial::Fails(
            "a file is not there after it was written".into(),
        ));
    };
    let name = "user.octonas.try";
    let kept = node
        .file()
        .set_xattr(name, b"kept")
        .and_then(|()| node.file().get_xattr(name));
    Ok(match kept {
        Ok(Some(value)) if value == b"kept" => Trial::Works,
        Ok(_) => Trial::Fails("an attribute does not stay as it is set".into()),
        Err(e) => Trial::Fails(e.to_string()),
    })
}

fn durable_rename(scratch: &Dir) -> Result<Trial> {
    scratch.write("one", b"1", &Permissions::PRIVATE)?;
    scratch.write("two", b"2", &Permissions::PRIVATE)?;
    match scratch.rename("one", scratch, "two", Replace::Never) {
        Err(e) if e.code() == "path.exists" => {}
        Err(e) => return Err(e),
        Ok(()) => {
            return Ok(Trial::Fails(
                "a rename that must not replace a file replaced it".into(),
            ));
        }
    }
    scratch.rename("one", scratch, "two", Replace::Allow)?;
    let content = scratch.read("two", 16)?;
    Ok(works(
        content.as_deref() == Some(b"1") && scratch.stat("one")?.is_none(),
        "a file is not what was renamed to it",
    ))
}

fn case_sensitive(scratch: &Dir) -> Result<Trial> {
    scratch.write("name", b"x", &Permissions::PRIVATE)?;
    Ok(works(
        scratch.stat("NAME")?.is_none(),
        "`name` and `NAME` are the same file",
    ))
}

fn reflink(scratch: &Dir) -> bool {
    let copy = || -> Result<bool> {
        scratch.write("original", &[7; 8192], &Permissions::PRIVATE)?;
        scratch.append("copy", b"")?;
        let (Some(from), Some(to)) = (scratch.node_at("original")?, scratch.writable("copy")?)
        else {
            return Ok(false);
        };
        Ok(rustix::fs::ioctl_ficlone(to.file(), from.file()).is_ok())
    };
    copy().unwrap_or(false)
}

fn immutable(scratch: &Dir) -> bool {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

    let set = || -> Result<bool> {
        scratch.write("immutable", b"x", &Permissions::PRIVATE)?;
        let Some(node) = scratch.node_at("immutable")? else {
            return Ok(false);
        };
        let Ok(before) = ioctl_getflags(node.file()) else {
            return Ok(false);
        };
        let set = ioctl_setflags(node.file(), before | IFlags::IMMUTABLE).is_ok();
        let _ = ioctl_setflags(node.file(), before);
        Ok(set)
    };
    set().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_file_system_is_tried_and_left_as_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let abilities = find_out(&dir).unwrap();
        assert_eq!(abilities.needed.len(), 6, "{abilities:?}");
        assert_eq!(abilities.needed["durable rename"], Trial::Works);
        assert_eq!(abilities.needed["case-sensitive names"], Trial::Works);
        assert_eq!(dir.entries().unwrap(), []);
        assert!(!abilities.file_system.kind.is_empty());
    }

    #[test]
    fn what_a_killed_trial_left_is_taken_away() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        make(&make(&dir, ".octonas-try-old").unwrap(), "below").unwrap();
        find_out(&dir).unwrap();
        assert_eq!(dir.entries().unwrap(), []);
    }

    #[test]
    fn a_full_disk_is_named_and_nothing_is_left() {
        use crate::sys::fault::{Fault, Plan, suffer};

        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let plan = Plan::new(Fault::Fail(nix::errno::Errno::ENOSPC), "rename", 1);
        let abilities = suffer(plan, || find_out(&dir)).unwrap();
        let missing: Vec<_> = abilities.missing().collect();
        assert!(
            missing.iter().any(|(what, _)| *what == "durable rename"),
            "{missing:?}"
        );
        assert_eq!(dir.entries().unwrap(), []);
    }
}
