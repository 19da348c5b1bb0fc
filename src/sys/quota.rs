//! Project quotas of a file system: how much all files that bear a project's number may need together, whoever owns them.
//! ext4 (with the feature `project`) and XFS have them where they are mounted with `prjquota`.
//!
//! Everything is asked on a descriptor: `quotactl_fd(2)`, and the two ioctls of `FS_IOC_FSGETXATTR(2const)`.

use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::libc;
use rustix::ioctl::{Opcode, opcode};

use super::dir::{Dir, Node};
use super::failure::failed;
use super::fault;
use crate::error::{Error, Result};

/// What is counted, and how much of it there may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What the files of the project need.
    pub used: u64,
    /// What they may need; 0 where there is no limit.
    pub limit: u64,
}

/// Limits are kept in multiples of this: the block size of both file systems.
pub const GRAIN: u64 = 4096;

/// The unit of quotactl(2)'s `Q_XGETQUOTA`: a basic block.
const BLOCK: u64 = 512;
const PROJECT: libc::c_int = 2;
const GET: libc::c_int = command(3);
const SET: libc::c_int = command(4);
const STATE: libc::c_int = command(8);
/// `FS_QUOTA_PDQ_ENFD`: limits of projects are enforced.
const ENFORCED: u16 = 1 << 5;
/// `FS_DQ_BSOFT | FS_DQ_BHARD`.
const LIMITS: u16 = 1 << 2 | 1 << 3;
/// `FS_XFLAG_PROJINHERIT`: what is made in a directory gets its project.
const INHERIT: u32 = 0x200;

/// `QCMD(XQM_CMD(number), PRJQUOTA)`.
const fn command(number: libc::c_int) -> libc::c_int {
    ((('X' as libc::c_int) << 8) + number) << 8 | PROJECT
}

/// `struct fs_disk_quota` of `linux/dqblk_xfs.h`.
#[repr(C)]
#[derive(Default)]
struct DiskQuota {
    version: i8,
    flags: i8,
    fields: u16,
    id: u32,
    blocks_hard: u64,
    blocks_soft: u64,
    inodes_hard: u64,
    inodes_soft: u64,
    blocks: u64,
    inodes: u64,
    rest: [u64; 7],
}

/// `struct fs_quota_statv`, and room for a longer one.
#[repr(C)]
#[derive(Default)]
struct Statv {
    version: i8,
    pad: u8,
    flags: u16,
    in_core: u32,
    rest: [u64; 31],
}

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct Fsxattr {
    flags: u32,
    extent: u32,
    extents: u32,
    project: u32,
    cow_extent: u32,
    pad: [u8; 8],
}

/// `FS_IOC_FSGETXATTR`, `FS_IOC_FSSETXATTR`.
const GET_ATTRIBUTES: Opcode = opcode::read::<Fsxattr>(b'X', 31);
const SET_ATTRIBUTES: Opcode = opcode::write::<Fsxattr>(b'X', 32);

/// True where the file system refuses what is beyond a project's limit, and we may set it.
pub fn is_enforced(dir: &Dir) -> bool {
    let mut state = Statv {
        version: 1,
        ..Statv::default()
    };
    ask(dir, STATE, 0, &mut state).is_ok() && state.flags & ENFORCED != 0
}

/// What a project needs, and may need. `None` where the file system counts no projects.
pub fn of(dir: &Dir, project: u32) -> Result<Option<Quota>> {
    let mut quota = DiskQuota::default();
    match ask(dir, GET, project, &mut quota) {
        Ok(()) => Ok(Some(Quota {
            used: quota.blocks * BLOCK,
            limit: quota.blocks_hard * BLOCK,
        })),
        // XFS has nothing about a project that has no file.
        Err(Errno::ENOENT) => Ok(Some(Quota { used: 0, limit: 0 })),
        Err(Errno::ESRCH | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM | Errno::EOPNOTSUPP) => {
            Ok(None)
        }
        Err(e) => Err(failed("read the quota of", dir.path(), e)),
    }
}

/// Sets what a project may need, in bytes (a multiple of [`GRAIN`]); 0 takes the limit away.
pub fn set_limit(dir: &Dir, project: u32, bytes: u64) -> Result<()> {
    fault::errno("quota").map_err(|e| failed("set the quota of", dir.path(), e))?;
    let mut quota = DiskQuota {
        version: 1,
        flags: 2,
        fields: LIMITS,
        id: project,
        blocks_hard: bytes / BLOCK,
        ..DiskQuota::default()
    };
    match ask(dir, SET, project, &mut quota) {
        Ok(()) => Ok(()),
        Err(Errno::ESRCH | Errno::ENOSYS | Errno::EINVAL | Errno::EOPNOTSUPP) => Err(Error::new(
            "quota.unsupported",
            format!("{} lies on a file system without project quotas", dir.path().display()),
        )
        .hint("mount it with prjquota, and apply again; without it, a quota is shown and not enforced")),
        Err(e) => Err(failed("set the quota of", dir.path(), e)),
    }
}

/// The project of a file or directory; 0 is none. For a directory also whether what is made in it gets the same.
pub fn project(node: &Node) -> Result<(u32, bool)> {
    let found = attributes(node).map_err(|e| failed("read the project of", node.path(), e))?;
    Ok((found.project, found.flags & INHERIT != 0))
}

/// Gives a file or directory to a project. False where it is in it already.
pub fn set_project(node: &Node, project: u32, is_directory: bool) -> Result<bool> {
    let error = |e| failed("set the project of", node.path(), e);
    let mut found = attributes(node).map_err(error)?;
    let flags = if is_directory {
        found.flags | INHERIT
    } else {
        found.flags
    };
    if found.project == project && found.flags == flags {
        return Ok(false);
    }
    found.project = project;
    found.flags = flags;
    fault::errno("project").map_err(error)?;
    set_attributes(node, &found).map_err(error)?;
    Ok(true)
}

#[allow(unsafe_code)]
fn ask<T>(dir: &Dir, command: libc::c_int, id: u32, about: &mut T) -> nix::Result<()> {
    let fd = dir.node().file().as_raw_fd();
    // SAFETY: quotactl_fd(2) reads or fills one of the structures above, which are at least as long as the kernel's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            fd,
            command,
            id,
            std::ptr::from_mut(about),
        )
    };
    Errno::result(result).map(drop)
}

#[allow(unsafe_code)]
fn attributes(node: &Node) -> nix::Result<Fsxattr> {
    let mut found = Fsxattr::default();
    let fd = node.file().as_raw_fd();
    // SAFETY: the ioctl fills a structure of exactly this length.
    let result = unsafe {
        libc::ioctl(
            fd,
            libc::Ioctl::from(GET_ATTRIBUTES),
            std::ptr::from_mut(&mut found),
        )
    };
    Errno::result(result).map(|_| found)
}

#[allow(unsafe_code)]
fn set_attributes(node: &Node, attributes: &Fsxattr) -> nix::Result<()> {
    let fd = node.file().as_raw_fd();
    // SAFETY: the ioctl reads a structure of exactly this length.
    let result = unsafe {
        libc::ioctl(
            fd,
            libc::Ioctl::from(SET_ATTRIBUTES),
            std::ptr::from_ref(attributes),
        )
    };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_as_long_as_the_kernels() {
        assert_eq!(size_of::<DiskQuota>(), 112);
        assert_eq!(size_of::<Fsxattr>(), 28);
        assert_eq!(size_of::<Statv>(), 256);
    }

    #[test]
    fn a_file_system_without_projects_says_so() {
        let temp = tempfile::tempdir_in("/dev/shm").unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        assert!(!is_enforced(&dir));
        assert_eq!(of(&dir, 7).unwrap(), None);
        assert!(set_limit(&dir, 7, GRAIN).is_err());
    }
}
