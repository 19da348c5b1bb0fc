//! A regular file or directory that is open: owner, mode and access lists, all on the descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Gid, Uid, fchown};
use xattr::FileExt as _;

use super::{Dir, magic_path, not_regular};
use crate::error::{Error, Result};
use crate::sys::acl::{Acl, Which};
use crate::sys::failure::{errno_of, failed};
use crate::sys::fault;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device: nothing that we ever open.
    Special,
}

impl FileKind {
    pub(super) fn from_entry(kind: nix::dir::Type) -> Self {
        match kind {
            nix::dir::Type::File => Self::File,
            nix::dir::Type::Directory => Self::Directory,
            nix::dir::Type::Symlink => Self::Link,
            _ => Self::Special,
        }
    }

    pub(super) fn from_mode(mode: u32) -> Self {
        match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
            SFlag::S_IFREG => Self::File,
            SFlag::S_IFDIR => Self::Directory,
            SFlag::S_IFLNK => Self::Link,
            _ => Self::Special,
        }
    }
}

/// What stat(2) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// The twelve mode bits; the group bits are the mask where there is an access list.
    pub mode: u32,
    /// Device of the file system.
    pub dev: u64,
    /// Number of the inode.
    pub ino: u64,
    /// Number of names.
    pub links: u64,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Last change of content; whoever owns the file can set it.
    pub modified: Timestamp,
    /// Last change of content, names or rights; nobody can set it.
    pub changed: Timestamp,
}

impl Metadata {
    #[allow(clippy::cast_sign_loss)] // sizes are never negative
    #[allow(clippy::useless_conversion)] // st_nlink is narrower on other architectures
    pub(super) fn from_stat(stat: &FileStat) -> Self {
        let time = |seconds, nanoseconds| {
            Timestamp::new(seconds, i32::try_from(nanoseconds).unwrap_or(0)).unwrap_or_default()
        };
        Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            dev: stat.st_dev,
            ino: stat.st_ino,
            links: stat.st_nlink.into(),
            kind: FileKind::from_mode(stat.st_mode),
            size: stat.st_size as u64,
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
            changed: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// True when both are the same object.
    pub fn same_object(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino
    }
}

/// A regular file or a directory that is open.
#[derive(Debug)]
pub struct Node {
    file: File,
    path: PathBuf,
    /// The directory in which it was found, and its name there.
    place: Option<(OwnedFd, OsString)>,
}

impl Node {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            place: None,
        }
    }

    /// Remembers where it was found, so that another name of the same file can be told from this one.
    pub(super) fn named(mut self, dir: &Dir, name: &OsStr) -> Result<Self> {
        let dir = dir
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| failed("open", &self.path, errno_of(&e)))?;
        self.place = Some((dir, name.to_owned()));
        Ok(self)
    }

    /// Opens for real what `place` (`O_PATH`) stands for, if it is a regular file or a directory.
    pub(super) fn reopen(place: &impl AsFd, path: PathBuf, flags: OFlag) -> Result<Self> {
        let before = fstat(place).map_err(|e| failed("look at", &path, e))?;
        match FileKind::from_mode(before.st_mode) {
            FileKind::File | FileKind::Directory => {}
            FileKind::Link => return Err(failed("open", &path, Errno::ELOOP)),
            FileKind::Special => return Err(not_regular(&path)),
        }
        let flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(&magic_path(place), flags, Mode::empty())
            .map_err(|e| failed("open", &path, e))?;
        let after = fstat(&fd).map_err(|e| failed("look at", &path, e))?;
        if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino) {
            return Err(not_regular(&path));
        }
        Ok(Self::new(File::from(fd), path))
    }

    /// Where it was opened; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The open file for keeps.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Owner, mode, kind and times.
    pub fn metadata(&self) -> Result<Metadata> {
        fstat(&self.file)
            .map(|stat| Metadata::from_stat(&stat))
            .map_err(|e| failed("look at", &self.path, e))
    }

    /// Sets the owner and the owning group; `None` leaves it.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.only_name()?;
        fault::errno("owner")
            .and_then(|()| fchown(&self.file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)))
            .map_err(|e| failed("set the owner of", &self.path, e))
    }

    /// Sets all twelve mode bits. Where there is an access list, the group bits become its mask (acl(5)).
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        self.only_name()?;
        fault::errno("mode")
            .and_then(|()| fchmod(&self.file, Mode::from_bits_truncate(mode)))
            .map_err(|e| failed("set the mode of", &self.path, e))
    }

    /// One of its access lists; `None` where there is none beyond the mode bits.
    pub fn acl(&self, which: Which) -> Result<Option<Acl>> {
        match self.file.get_xattr(which.attribute()) {
            Ok(Some(bytes)) => Acl::decode(&bytes).map(Some).map_err(|e| {
                Error::new(
                    "acl.invalid",
                    format!("the access list of {} cannot be read", self.path.display()),
                )
                .source(e)
            }),
            Ok(None) => Ok(None),
            Err(e) if errno_of(&e) == Errno::EOPNOTSUPP => Ok(None),
            Err(e) => Err(failed("read the access list of", &self.path, errno_of(&e))),
        }
    }

    /// Sets or removes one of its access lists. Setting the access list also sets the permission bits of the mode;
    /// removing it leaves the mode as it shows.
    pub fn set_acl(&self, which: Which, acl: Option<&Acl>) -> Result<()> {
        self.only_name()?;
        let failed = |e| failed("set the access list of", &self.path, e);
        fault::errno("acl").map_err(failed)?;
        let result = match acl {
            Some(acl) => self.file.set_xattr(which.attribute(), &acl.encode()),
            None => self.file.remove_xattr(which.attribute()),
        };
        match result.map_err(|e| errno_of(&e)) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) if acl.is_none() => Ok(()),
            other => other.map_err(failed),
        }
    }

    /// Refuses a regular file that has other names: one of them may lie outside what we were asked to change.
    ///
    /// No call tells at one instant that a file has a single name and that it is the one where we found it; somebody
    /// who links and unlinks all the time would sometimes show us what we want to see. So both are asked often enough
    /// that luck does not last. (A file of another experiment cannot be linked at all: each is a mount of its own,
    /// and `fs.protected_hardlinks` allows only files that one may write.)
    pub(super) fn only_name(&self) -> Result<()> {
        for _ in 0..LOOKS {
            let metadata = self.metadata()?;
            if metadata.kind != FileKind::File {
                return Ok(());
            }
            if metadata.links > 1 {
                return Err(Error::new(
                    "file.linked",
                    format!(
                        "{} has {} names; it is left alone",
                        self.path.display(),
                        metadata.links
                    ),
                )
                .hint("replace the hard link by a copy"));
            }
            let Some((dir, name)) = &self.place else {
                return Ok(());
            };
            let there = fstatat(dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| Metadata::from_stat(&stat).same_object(&metadata));
            if !there {
                return Err(Error::new(
                    "file.moved",
                    format!("{} was moved or replaced meanwhile", self.path.display()),
                )
                .hint("run it again"));
            }
        }
        Ok(())
    }
}

/// How often a file is asked for its names before it is changed.
const LOOKS: usize = 24;

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
