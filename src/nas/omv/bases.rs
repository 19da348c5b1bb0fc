//! Bases: folders on file systems that OpenMediaVault has mounted, kept as `conf.service.octonas.base`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Omv;
use super::engined::Engined;
use super::model::{MountPoint, NEW, absolute, located};
use super::put::{Stored, configuration, mount_points, not_on_a_disk, shared_folders};
use crate::error::{Error, Result};
use crate::nas::Base;

/// The data model's name.
const MODEL: &str = "conf.service.octonas.base";

/// All bases, and whether their disks are there.
pub(super) fn bases(omv: &Omv) -> Result<Vec<Base>> {
    let records = omv.base_records()?;
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let mounts = omv.mount_points()?;
    Ok(records
        .iter()
        .filter_map(|record| {
            let path = absolute(&mounts, &record.mntentref, &record.reldirpath)?;
            let mount = mounts.iter().find(|m| m.uuid == record.mntentref)?;
            let reason = unavailable(mount, &path);
            Some(Base {
                path,
                available: reason.is_none(),
                reason,
                common_share: (!record.sharename.is_empty()).then(|| record.sharename.clone()),
            })
        })
        .collect())
}

/// Why a base cannot be used now; `None` when it can. A directory without its disk is an empty folder on the system
/// disk, and nothing may be written there.
fn unavailable(mount: &MountPoint, path: &Path) -> Option<String> {
    let dir = mount.dir.as_path();
    if !is_mounted(dir) {
        return Some(format!("nothing is mounted at {}", dir.display()));
    }
    match std::fs::symlink_metadata(path) {
        Ok(m) if !m.is_dir() => return Some(format!("{} is not a directory", path.display())),
        Err(e) => return Some(format!("{}: {e}", path.display())),
        Ok(_) => {}
    }
    match nix::sys::statvfs::statvfs(path) {
        Ok(fs) if fs.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) => {
            Some(format!("{} is mounted read-only", dir.display()))
        }
        Ok(_) => None,
        Err(e) => Some(format!("{}: {e}", path.display())),
    }
}

/// See `Nas::may_hold`.
pub(super) fn may_hold(engined: &Engined, path: &Path) -> Result<()> {
    let refused = |why: String| {
        Error::new(
            "base.misplaced",
            format!("{} cannot hold experiments: {why}", path.display()),
        )
        .hint("choose a new folder directly on a data disk, such as /srv/dev-disk-by-…/experiments")
    };
    let mounts = mount_points(engined)?;
    let (mount, _) = located(&mounts, path).ok_or_else(|| not_on_a_disk(path))?;
    if !is_mounted(&mount.dir) {
        return Err(refused(format!(
            "nothing is mounted at {}",
            mount.dir.display()
        )));
    }
    let known = configuration(engined)?.bases;
    for folder in shared_folders(engined)? {
        let shared = absolute(&mounts, &folder.mntentref, &folder.reldirpath);
        // A base that is one share as a whole lies in that one.
        let is_its_own = known.iter().any(|base| {
            base.sharename == folder.name
                && absolute(&mounts, &base.mntentref, &base.reldirpath).as_deref() == Some(path)
        });
        if !is_its_own && shared.is_some_and(|shared| path.starts_with(&shared)) {
            return Err(refused(format!(
                "it lies in the shared folder {}",
                folder.name
            )));
        }
    }
    for above in path.ancestors().skip(1) {
        let Ok(found) = std::fs::symlink_metadata(above) else {
            continue;
        };
        let others_rename = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
        if found.uid() != 0 || others_rename {
            return Err(refused(format!(
                "others than root can rename what is in {}",
                above.display()
            )));
        }
    }
    Ok(())
}

fn is_mounted(dir: &Path) -> bool {
    let device = |p: &Path| std::fs::symlink_metadata(p).map(|m| m.dev());
    match (device(dir), dir.parent().map(device)) {
        (Ok(here), Some(Ok(above))) => here != above,
        (Ok(_), _) => true,
        (Err(_), _) => false,
    }
}

/// The data disks that are mounted now; not what is mounted from within them.
pub(super) fn disks(omv: &Omv) -> Result<Vec<PathBuf>> {
    let mounts = omv.mount_points()?.into_iter();
    Ok(mounts
        .filter(|mount| !mount.opts.split(',').any(|o| o == "bind" || o == "rbind"))
        .map(|mount| mount.dir)
        .filter(|dir| dir.parent().is_some() && is_mounted(dir))
        .collect())
}

/// Registers a base; one that is registered already is success.
pub(super) fn add(omv: &Omv, path: &Path) -> Result<()> {
    let engined = omv.engined();
    let mounts = mount_points(engined)?;
    let (mount, below) = located(&mounts, path).ok_or_else(|| not_on_a_disk(path))?;
    let known = configuration(engined)?
        .bases
        .iter()
        .any(|b| absolute(&mounts, &b.mntentref, &b.reldirpath).is_some_and(|known| known == path));
    if !known {
        let _: Stored = engined.change(
            "Config",
            "set",
            json!({"id": MODEL, "data": {
                "uuid": NEW, "mntentref": mount.uuid, "reldirpath": below, "sharename": "",
            }}),
        )?;
        omv.snapshot.forget_bases();
    }
    Ok(())
}

/// See `Nas::set_common_share`.
pub(super) fn set_common_share(omv: &Omv, path: &Path, share: Option<&str>) -> Result<()> {
    let engined = omv.engined();
    let mounts = mount_points(engined)?;
    let record = configuration(engined)?.bases.into_iter().find(|b| {
        absolute(&mounts, &b.mntentref, &b.reldirpath).is_some_and(|known| known == path)
    });
    let Some(mut record) = record else {
        return Err(not_on_a_disk(path));
    };
    let share = share.unwrap_or_default();
    if record.sharename != share {
        record.sharename = share.to_owned();
        let _: Stored = engined.change("Config", "set", json!({"id": MODEL, "data": record}))?;
        omv.snapshot.forget_bases();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_disk_is_not_mounted_is_not_available() {
        let dir = tempfile::tempdir().unwrap();
        let mount = |dir: &Path| MountPoint {
            uuid: "m".into(),
            dir: dir.to_owned(),
            opts: String::new(),
        };
        let reason = unavailable(&mount(dir.path()), dir.path()).unwrap();
        assert!(reason.contains("nothing is mounted"), "{reason}");
        let reason = unavailable(&mount(Path::new("/dev")), Path::new("/dev/null")).unwrap();
        assert!(reason.contains("not a directory"), "{reason}");
        assert_eq!(
            unavailable(&mount(Path::new("/dev")), Path::new("/dev")),
            None
        );
    }
}
