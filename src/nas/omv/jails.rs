//! The jails behind sshd: `/run/octonas/jail/<account>` holds what that person may see, and nothing else.
//!
//! Reconciled from `jails.json`: what is superfluous goes first (that is how access is taken away), then what is missing
//! is made and what differs is changed. Done twice, it does nothing the second time; killed anywhere, it ends the same.

mod wanted;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use nix::mount::MsFlags;

use super::mounting::{self, topmost};
use crate::error::{Error, Result};
use crate::sys::dir::{Dir, Made, Permissions};
use crate::sys::lock;
use crate::sys::mounts::{self, Mount, unmount_lazily};

pub use wanted::{Access, Bind, Experiment, LANDING, Landing, Wanted, binds};

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Synced {
    /// People and sources who have a jail now.
    pub people: usize,
    /// Mounts made, changed and taken away.
    pub changes: usize,
    /// What could not be shown, and why; one sentence each.
    pub warnings: Vec<String>,
}

/// Numbers of accounts and groups, by name.
pub trait Numbers {
    /// User id and primary group of an account.
    fn account(&self, name: &str) -> Option<(u32, u32)>;
    /// Id of a group.
    fn group(&self, name: &str) -> Option<u32>;
}

/// The numbers that this system knows (nsswitch.conf(5)).
pub struct System;

impl Numbers for System {
    fn account(&self, name: &str) -> Option<(u32, u32)> {
        let user = nix::unistd::User::from_name(name).ok().flatten()?;
        (!user.uid.is_root()).then(|| (user.uid.as_raw(), user.gid.as_raw()))
    }

    fn group(&self, name: &str) -> Option<u32> {
        let group = nix::unistd::Group::from_name(name).ok().flatten()?;
        Some(group.gid.as_raw())
    }
}

/// Directories of a jail, with their modes: people list what they have, and see nothing of the others'.
const DIRECTORIES: &[(&str, u32)] = &[("usr", 0o755), ("dev", 0o755), ("etc", 0o755)];

/// Where a person's experiments are shown.
const EXPERIMENTS: &str = "experiments";

/// The group of all sources, made by the package.
const SOURCES: &str = "octonas-sources";

/// Programs are found where a Debian of today has them.
const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
];

/// Where mounts are made before they are moved to their place.
const STAGING: &str = ".staging";

/// Makes the jails under `root` what the file `wanted` says; without that file there are none.
pub fn sync(root: &Path, wanted: &Path, numbers: &dyn Numbers) -> Result<Synced> {
    let wanted = match std::fs::read(wanted) {
        Ok(text) => Wanted::parse(&text)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Wanted::default(),
        Err(e) => {
            return Err(
                Error::new("jails.invalid", format!("cannot read {}", wanted.display())).source(e),
            );
        }
    };
    let _held = prepare(root)?;
    let mut done = Synced::default();
    let top = Dir::open_absolute(root)?;

    let guests: Vec<(&str, (u32, u32))> = wanted
        .guests()
        .filter_map(|person| {
            let account = numbers.account(person);
            if account.is_none() {
                done.warnings.push(format!(
                    "there is no account {person}: no jail is made for it"
                ));
            }
            Some((person, account?))
        })
        .collect();
    let mut table = mounts::here()?;
    let mut all = Vec::new();
    for (person, _) in &guests {
        for bind in binds(&wanted, root, person) {
            match showable(&bind, &table) {
                Ok(shown) => all.push((bind, shown)),
                Err(why) => done.warnings.extend(why),
            }
        }
    }

    done.changes += take_away(root, &table, &all)?;
    table = mounts::here()?;
    for (person, account) in &guests {
        furnish(&top, &wanted, person, *account, numbers)?;
    }
    for (bind, shown) in &all {
        done.changes += usize::from(show(root, &table, bind, shown.as_ref())?);
    }
    let kept: BTreeSet<&str> = guests.iter().map(|(guest, _)| *guest).collect();
    clear(&top, &kept, &all)?;
    done.people = guests.len();
    Ok(done)
}

/// Mounts a directory upon itself with `flags`. Made in the jails' root and moved: services with a mount namespace of
/// their own get a copy at the moment when a mount appears in its place, with the flags that it then has.
pub(super) fn mount_upon_itself(root: &Path, path: &Path, flags: MsFlags) -> Result<()> {
    let _held = prepare(root)?;
    let staging = root.join(STAGING).join("dir");
    unmount_lazily(&staging)?;
    mounting::bind_staged(path, &staging, path, flags)
}

/// Makes the root: a tmpfs of our own, private, for root alone; and takes the lock.
fn prepare(root: &Path) -> Result<lock::Lock> {
    let bad = || {
        Error::new(
            "jails.root",
            format!("{} cannot hold jails", root.display()),
        )
    };
    let (parent, name) = root.parent().zip(root.file_name()).ok_or_else(bad)?;
    let grand = parent.parent().zip(parent.file_name());
    let parent = match grand {
        Some((grand, parent_name)) => {
            let grand = Dir::open_absolute(grand)?;
            if grand.create_dir(parent_name, 0o755)? == Made::Created {
                grand.existing(parent_name)?.set_mode(0o755)?;
            }
            grand.existing(parent_name)?
        }
        None => Dir::open_absolute(parent)?,
    };
    let lock = lock::lock(&parent, "jails", Duration::from_mins(2))?;
    parent.create_dir(name, 0o700)?;
    if topmost(&mounts::here()?, root).is_none() {
        mounting::small_tmpfs(root)?;
    }
    let top = Dir::open_absolute(root)?;
    top.set_mode(0o700)?;
    top.create_dir(STAGING, 0o700)?;
    let staging = top.existing(STAGING)?;
    staging.create_dir("dir", 0o700)?;
    if staging.stat("file")?.is_none() {
        staging.write("file", b"", &Permissions::PRIVATE)?;
    }
    Ok(lock)
}

/// What a mount will show: the file system and directory that its source is in. An experiment must be mounted upon
/// itself (that keeps links from being followed); a jail shows no more than that mount does. `Err(None)` where a
/// fixture is simply not on this system.
fn showable(bind: &Bind, table: &[Mount]) -> Result<Option<Mount>, Option<String>> {
    let Some(code) = &bind.experiment else {
        return if bind.source.exists() {
            Ok(None)
        } else {
            Err(None)
        };
    };
    match topmost(table, &bind.source) {
        Some(wall) if wall.options.contains("nosymfollow") => {
            let shown = bind.shown();
            if !shown.is_dir() {
                return Err(Some(format!(
                    "{code}: there is no directory {} in which its source could deliver",
                    shown.display()
                )));
            }
            let mut mount = wall.clone();
            if shown != bind.source {
                mount.root.push(&bind.below);
            }
            Ok(Some(mount))
        }
        Some(_) => Err(Some(format!(
            "{code} is not shown over SFTP and rsync: symbolic links would be followed in {}",
            bind.source.display()
        ))),
        None => Err(Some(format!(
            "{code} is not shown over SFTP and rsync: {} is not mounted",
            bind.source.display()
        ))),
    }
}

/// True where the mount at a target is the one that should be there.
fn is_right(mount: &Mount, shown: Option<&Mount>) -> bool {
    shown.is_none_or(|source| mount.device == source.device && mount.root == source.root)
}

/// Unmounts everything under `root` that should not be there, the deepest first.
fn take_away(root: &Path, table: &[Mount], all: &[(Bind, Option<Mount>)]) -> Result<usize> {
    let mut gone = 0;
    for mount in table.iter().rev() {
        if mount.point == root || !mount.point.starts_with(root) {
            continue;
        }
        let wanted = all.iter().find(|(bind, _)| bind.target == mount.point);
        let stacked = table.iter().filter(|m| m.point == mount.point).count() > 1;
        if wanted.is_some_and(|(_, shown)| is_right(mount, shown.as_ref())) && !stacked {
            continue;
        }
        mounting::withdraw(mount)?;
        gone += 1;
    }
    Ok(gone)
}

/// A directory that its guest can pass. Made under our umask, it is 0700 until it has its mode: one that a killed run
/// left so would lock the guest out.
fn passable(parent: &Dir, name: &str, mode: u32) -> Result<Dir> {
    parent.create_dir(name, mode)?;
    let dir = parent.existing(name)?;
    if dir.metadata()?.mode & 0o777 == 0o700 {
        dir.set_mode(mode)?;
    }
    Ok(dir)
}

/// Directories, links and files of a jail.
fn furnish(
    top: &Dir,
    wanted: &Wanted,
    person: &str,
    (uid, gid): (u32, u32),
    numbers: &dyn Numbers,
) -> Result<()> {
    let jail = passable(top, person, 0o711)?;
    for (name, mode) in DIRECTORIES {
        passable(&jail, name, *mode)?;
    }
    for (name, target) in LINKS {
        if jail.stat(name)?.is_none() {
            link(target, &jail.path_of(name))?;
        }
    }
    let dev = jail.existing("dev")?;
    for name in ["null", "log"] {
        if dev.stat(name)?.is_none() {
            dev.write(name, b"", &Permissions::PUBLIC)?;
        }
    }
    let is_source = wanted.sources.contains_key(person);
    let (start, team) = if is_source {
        (LANDING, SOURCES)
    } else {
        (EXPERIMENTS, "users")
    };
    // Under its mount a landing directory stays empty, and is nobody's to write in.
    let experiments = passable(&jail, start, 0o755)?;
    let mut groups = format!("root:x:0:\n{team}:x:{gid}:\n");
    for (code, _, _) in wanted.seen_by(person) {
        experiments.create_dir(code, 0o700)?;
        for group in [format!("exp-{code}-w"), format!("exp-{code}-r")] {
            if let Some(number) = numbers.group(&group) {
                let _ = writeln!(groups, "{group}:x:{number}:");
            }
        }
    }
    let etc = jail.existing("etc")?;
    let passwd = format!("root:x:0:0:root:/:/bin/sh\n{person}:x:{uid}:{gid}::/{start}:/bin/sh\n");
    let mut files = vec![("passwd", passwd), ("group", groups)];
    if !is_source {
        files.push(("octonas-doors", wanted.doors(person)));
    }
    for (name, text) in files {
        if etc.read(name, 1 << 20)?.as_deref() != Some(text.as_bytes()) {
            etc.write(name, text.as_bytes(), &Permissions::PUBLIC)?;
        }
    }
    Ok(())
}

/// A symbolic link in a directory that only root can write.
fn link(target: &str, name: &Path) -> Result<()> {
    symlink(target, name)
        .map_err(|e| Error::new("jails.root", format!("cannot make {}", name.display())).source(e))
}

/// Makes a mount, or gives it its flags. True where something changed.
fn show(root: &Path, table: &[Mount], bind: &Bind, shown: Option<&Mount>) -> Result<bool> {
    let Some(mount) = topmost(table, &bind.target) else {
        let is_dir = shown.is_some() || bind.source.is_dir();
        let staging = root.join(STAGING).join(if is_dir { "dir" } else { "file" });
        // What a killed sync left there.
        unmount_lazily(&staging)?;
        mounting::bind_staged(&bind.shown(), &staging, &bind.target, bind.flags)?;
        return Ok(true);
    };
    let mut changed = false;
    if !mount.propagation.is_empty() {
        mounting::make_private(&bind.target)?;
        changed = true;
    }
    if mounting::flags(&mount.options) != bind.flags {
        mounting::reflag(&bind.target, bind.flags)?;
        changed = true;
    }
    Ok(changed)
}

/// Removes what is left of jails and experiments that are not wanted; their mounts are gone already.
fn clear(top: &Dir, kept: &BTreeSet<&str>, all: &[(Bind, Option<Mount>)]) -> Result<()> {
    for entry in top.entries()? {
        let Some(person) = entry.name.to_str().filter(|n| *n != STAGING) else {
            continue;
        };
        if !kept.contains(person) {
            // Confined to this one mount: were anything still mounted in there, this refuses instead of emptying it.
            top.try_clone()?.confined().remove_tree(person)?;
            continue;
        }
        let Some(experiments) = top.existing(person)?.child(EXPERIMENTS)? else {
            continue;
        };
        for code in experiments.entries()? {
            let target = experiments.path_of(&code.name);
            if !all.iter().any(|(bind, _)| bind.target == target) {
                experiments.remove_dir(&code.name)?;
            }
        }
    }
    Ok(())
}
