//! Closing at once: every mount of an experiment, in every mount namespace, becomes read-only.
//!
//! A remount takes moments whatever the size, readers go on, and owners cannot write their own files either, which no
//! change of memberships or modes would achieve as fast. `remount ro` never propagates, and services have mount
//! namespaces of their own (rsync.service: an upload went on and finished after a remount on the host), hence the walk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::model::Entry;
use super::mounting::{ROUNDS, end_writers};
use super::{Omv, jails};
use crate::error::{Error, Result};
use crate::nas::Session;
use crate::sys::mounts::{Mount, Namespace, Remount, here, holding, namespaces, remount};
use crate::sys::processes::{Process, users_of};

/// What of which file system an experiment is.
struct Place {
    device: String,
    root: PathBuf,
}

/// See `Nas::freeze`.
pub(super) fn freeze(omv: &Omv, experiment: &Path, read_only: bool) -> Result<Vec<Session>> {
    if read_only {
        return shut(experiment);
    }
    let place = place(experiment)?;
    let entry = omv
        .entries()?
        .into_iter()
        .find(|e| Path::new(&e.path) == experiment);
    match entry {
        Some(entry) if !entry.readonly => open(omv, &place, &entry),
        _ => Ok(Vec::new()),
    }
}

/// Makes everything of `experiment` read-only; gives what still writes.
pub(super) fn shut(experiment: &Path) -> Result<Vec<Session>> {
    close(&place(experiment)?, experiment)
}

fn place(experiment: &Path) -> Result<Place> {
    let table = here()?;
    let mount = holding(&table, experiment).ok_or_else(|| {
        Error::new(
            "nas.mounts",
            format!("nothing is mounted above {}", experiment.display()),
        )
        .hint("look at `octonas base check`")
    })?;
    let below = experiment.strip_prefix(&mount.point).unwrap_or(experiment);
    Ok(Place {
        device: mount.device.clone(),
        root: if below.as_os_str().is_empty() {
            mount.root.clone()
        } else {
            mount.root.join(below)
        },
    })
}

/// Makes everything read-only; gives what still writes.
fn close(place: &Place, experiment: &Path) -> Result<Vec<Session>> {
    for round in 0..ROUNDS {
        let mut busy = BTreeSet::new();
        let mut writable = false;
        let all = namespaces()?;
        for namespace in &all {
            for mount in namespace.mounts.iter().filter(|m| is_writable(m, place)) {
                writable = true;
                if remount(namespace, mount, true)? == Remount::Busy {
                    busy.insert(mount.id);
                }
            }
        }
        if !writable {
            return remaining(&all, place, experiment);
        }
        if !busy.is_empty() {
            end_writers(&busy, round)?;
        }
    }
    remaining(&namespaces()?, place, experiment)
}

fn is_writable(mount: &Mount, place: &Place) -> bool {
    mount.shows(&place.device, &place.root) && !mount.is_read_only()
}

/// Everything through which the experiment can still be written: mounts of it that stayed writable, and mounts of
/// something above it in a namespace where nothing of ours covers it (a container into which the whole disk was bound).
fn remaining(all: &[Namespace], place: &Place, experiment: &Path) -> Result<Vec<Session>> {
    let mut left = Vec::new();
    let mut hidden = BTreeSet::new();
    for namespace in all {
        for mount in &namespace.mounts {
            let is_covered = || {
                holding(&namespace.mounts, &mount.point)
                    .is_none_or(|topmost| topmost.id != mount.id)
            };
            if is_writable(mount, place) && is_covered() {
                // Another mount lies upon it: only who is inside already can write.
                hidden.insert(mount.id);
            } else if is_writable(mount, place) || exposes(mount, namespace, place) {
                let whose = Process::get(namespace.pid).map_or_else(String::new, |p| p.name);
                left.push(Session {
                    account: String::new(),
                    door: format!("mount {} seen by {whose}", mount.point.display()),
                    pid: namespace.pid,
                });
            }
        }
    }
    for used in users_of(&hidden)? {
        left.push(Session {
            account: used
                .process
                .uids
                .iter()
                .max()
                .and_then(|uid| account(*uid))
                .unwrap_or_default(),
            door: format!("{} in {}", used.process.name, experiment.display()),
            pid: used.process.pid,
        });
    }
    Ok(left)
}

fn account(uid: u32) -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    user.ok().flatten().map(|u| u.name)
}

/// True where a writable mount of something above the experiment shows it, uncovered.
fn exposes(mount: &Mount, namespace: &Namespace, place: &Place) -> bool {
    if mount.device != place.device || mount.is_read_only() || mount.root == place.root {
        return false;
    }
    let Ok(below) = place.root.strip_prefix(&mount.root) else {
        return false;
    };
    let shown_at = mount.point.join(below);
    holding(&namespace.mounts, &shown_at).is_some_and(|top| top.id == mount.id)
}

/// Opens again what the entry says: the experiment's own mount in every namespace, and the jails of those who write.
/// Readers' jails stay as they are.
fn open(omv: &Omv, place: &Place, entry: &Entry) -> Result<Vec<Session>> {
    let own = Path::new(&entry.path);
    for namespace in namespaces()? {
        for mount in &namespace.mounts {
            let is_own =
                mount.point == own && mount.device == place.device && mount.root == place.root;
            if is_own && mount.is_read_only() {
                remount(&namespace, mount, false)?;
            }
        }
    }
    let settings = omv.settings();
    jails::sync(&settings.jails, &settings.jails_wanted, &jails::System)?;
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mounts::parse;

    fn namespace(text: &str) -> Namespace {
        Namespace {
            inode: 1,
            pid: 1,
            mounts: parse(text.as_bytes()).unwrap(),
        }
    }

    fn lake() -> Place {
        Place {
            device: "8:2".into(),
            root: "/octonas/lake".into(),
        }
    }

    #[test]
    fn a_disk_bound_into_a_container_is_a_hole_and_a_covered_one_is_not() {
        let covered = namespace(
            "1 0 8:2 / /srv/d rw - ext4 d rw\n2 1 8:2 /octonas/lake /srv/d/octonas/lake ro - ext4 d rw\n",
        );
        let hole = namespace("1 0 8:2 / /data rw - ext4 d rw\n");
        let other_disk = namespace("1 0 8:3 / /data rw - ext4 d rw\n");
        let read_only = namespace("1 0 8:2 / /data ro - ext4 d rw\n");
        for (namespace, expected) in [
            (covered, false),
            (hole, true),
            (other_disk, false),
            (read_only, false),
        ] {
            let any = namespace
                .mounts
                .iter()
                .any(|m| exposes(m, &namespace, &lake()));
            assert_eq!(any, expected, "{:?}", namespace.mounts);
        }
    }

    #[test]
    fn a_mount_of_a_part_of_it_counts_too() {
        let n = namespace(
            "1 0 8:2 /octonas/lake/raw /x rw - ext4 d rw\n2 0 8:2 /octonas/lake2 /y rw - ext4 d rw\n",
        );
        let open: Vec<bool> = n.mounts.iter().map(|m| is_writable(m, &lake())).collect();
        assert_eq!(open, [true, false]);
    }
}
