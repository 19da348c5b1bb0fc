//! A directory as root may touch it: a descriptor, and everything beneath it reached without following a link.
//!
//! The path that a handle carries is for messages only. Every step below is relative to a descriptor
//! (openat2(2) with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`), so that somebody who owns
//! directories below can move them while we work, but can lead us nowhere else.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, fstatat, mkdirat};

use super::acl::{Acl, Which};
use super::failure::{errno_of, failed};
use super::fault;
use crate::error::{Error, Result};

mod custody;
mod flags;
mod fresh;
mod node;
#[cfg(test)]
mod races;
mod reading;
mod remove;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod write;

pub use custody::Moved;
pub use fresh::{Fresh, OwnTree, clone_blocks, forget_pages, set_modified, spoiled};
pub use node::{FileKind, Metadata, Node};
pub use reading::{Buffer, Reading};
pub use tree::{Listing, Seen, Tree};
pub use write::{Permissions, Replace};

/// The most names that [`Dir::entries`] gives.
pub const ENTRIES_LIMIT: usize = 200_000;

/// The longest path that is opened at once (`PATH_MAX`, limits.h(0p)).
const LONG: usize = 4000;

/// A directory that is open, and its path for messages.
#[derive(Debug)]
pub struct Dir {
    node: Node,
    confined: bool,
}

/// What making something came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    Created,
    /// It was there.
    Existing,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name; any bytes but `/` and NUL.
    pub name: OsString,
    /// What it was when it was read.
    pub kind: FileKind,
}

/// The end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Its last bytes.
    pub bytes: Vec<u8>,
    /// How long the whole file is.
    pub size: u64,
}

impl Dir {
    /// Opens a directory by its absolute path, in which no component may be a symbolic link.
    pub fn open_absolute(path: &Path) -> Result<Self> {
        let inside = path.strip_prefix("/").map_err(|_| {
            Error::new(
                "path.relative",
                format!("{} is not an absolute path", path.display()),
            )
            .hint("write the path from /")
        })?;
        let how = OpenHow::new()
            .flags(directory_flags())
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let verb = "open the directory";
        let root = nix::fcntl::openat(AT_FDCWD, "/", directory_flags(), Mode::empty())
            .map_err(|e| failed(verb, path, e))?;
        let fd = if inside.as_os_str().is_empty() {
            root
        } else {
            retry(|| openat2(&root, inside, how)).map_err(|e| failed(verb, path, e))?
        };
        Ok(Self::from_fd(fd, path.to_owned()))
    }

    /// A handle on a directory that was opened elsewhere.
    pub fn from_fd(fd: OwnedFd, path: PathBuf) -> Self {
        Self {
            node: Node::new(File::from(fd), path),
            confined: false,
        }
    }

    /// This handle, from which nothing that is reached lies on another mount: neither itself nor what is opened
    /// through it. Crossing one is the error `path.mount`.
    #[must_use]
    pub fn confined(mut self) -> Self {
        self.confined = true;
        self
    }

    /// A second handle on the same directory.
    pub fn try_clone(&self) -> Result<Self> {
        let file = self
            .node
            .file()
            .try_clone()
            .map_err(|e| failed("open again", self.path(), errno_of(&e)))?;
        Ok(Self {
            node: Node::new(file, self.path().to_owned()),
            confined: self.confined,
        })
    }

    /// Where it was opened; for messages, not for opening.
    pub fn path(&self) -> &Path {
        self.node.path()
    }

    /// The path of `name` in it; for messages.
    pub fn path_of(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path().join(name.as_ref())
    }

    /// The directory as something with an owner, a mode and access lists.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Opens a directory beneath by a relative path (empty is the directory itself). `None` where it does not exist;
    /// a link or another kind of file on the way is an error.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        relative(path)?;
        if path.as_os_str().len() > LONG {
            return self.open_long(path);
        }
        let inside = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match self.open_raw(inside, directory_flags(), Mode::empty()) {
            Ok(fd) => Ok(Some(Self {
                node: Node::new(File::from(fd), self.path().join(path)),
                confined: self.confined,
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(failed("open the directory", &self.path().join(path), e)),
        }
    }

    /// The same for a path that is longer than the kernel takes at once.
    fn open_long(&self, path: &Path) -> Result<Option<Self>> {
        let mut dir = self.try_clone()?;
        let mut piece = PathBuf::new();
        for name in path {
            if piece.as_os_str().len() + name.len() >= LONG {
                let Some(below) = dir.open(std::mem::take(&mut piece))? else {
                    return Ok(None);
                };
                dir = below;
            }
            piece.push(name);
        }
        dir.open(piece)
    }

    /// Opens a directory in it by name.
    pub fn child(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>> {
        self.open(Path::new(component(name.as_ref())?))
    }

    /// Opens a directory in it by name; that it does not exist is the error `path.missing`.
    pub fn existing(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        self.child(name)?
            .ok_or_else(|| failed("open the directory", &self.path_of(name), Errno::ENOENT))
    }

    /// Makes a directory in it (mode before the umask and default access lists are applied: set owner, lists and mode
    /// on its handle afterwards). Durable when this returns. Something else of that name is `path.not-directory`.
    pub fn create_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<Made> {
        let name = component(name.as_ref())?;
        let path = self.path_of(name);
        let result = fault::errno("create.dir")
            .and_then(|()| mkdirat(self, name, Mode::from_bits_truncate(mode)));
        match result {
            Ok(()) => {
                self.sync()?;
                Ok(Made::Created)
            }
            Err(Errno::EEXIST) => match self.stat(name)?.map(|m| m.kind) {
                Some(FileKind::Directory) => Ok(Made::Existing),
                Some(_) => Err(failed("make the directory", &path, Errno::ENOTDIR)),
                None => Err(failed("make the directory", &path, Errno::ENOENT)),
            },
            Err(e) => Err(failed("make the directory", &path, e)),
        }
    }

    /// What a name in it is; a link is not followed. `None` where there is nothing.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Metadata>> {
        let name = component(name.as_ref())?;
        match fstatat(self, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Metadata::from_stat(&stat))),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(failed("look at", &self.path_of(name), e)),
        }
    }

    /// Owner, mode, kind and times of the directory itself.
    pub fn metadata(&self) -> Result<Metadata> {
        self.node.metadata()
    }

    /// Sets the owner and the owning group; `None` leaves it.
    pub fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        self.node.set_owner(uid, gid)
    }

    /// Sets all twelve mode bits.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        self.node.set_mode(mode)
    }

    /// One of its access lists; `None` where there is none beyond the mode bits.
    pub fn acl(&self, which: Which) -> Result<Option<Acl>> {
        self.node.acl(which)
    }

    /// Sets or removes one of its access lists.
    pub fn set_acl(&self, which: Which, acl: Option<&Acl>) -> Result<()> {
        self.node.set_acl(which, acl)
    }

    /// Makes what was done to names in it durable.
    pub fn sync(&self) -> Result<()> {
        fault::errno("fsync.dir")
            .and_then(|()| nix::unistd::fsync(self))
            .map_err(|e| failed("make durable", self.path(), e))
    }

    /// The names in it, sorted; at most [`ENTRIES_LIMIT`], otherwise `directory.too-large`.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut all = Vec::new();
        for entry in self.iterate()? {
            if all.len() == ENTRIES_LIMIT {
                return Err(Error::new(
                    "directory.too-large",
                    format!(
                        "{} holds more than {ENTRIES_LIMIT} names",
                        self.path().display()
                    ),
                )
                .hint("move files into subdirectories"));
            }
            all.push(entry?);
        }
        all.sort();
        Ok(all)
    }

    /// The names in it one by one, in the order of the file system.
    pub fn iterate(&self) -> Result<Entries> {
        let again = self
            .open_raw(Path::new("."), directory_flags(), Mode::empty())
            .and_then(nix::dir::Dir::from_fd)
            .map_err(|e| failed("list", self.path(), e))?;
        Ok(Entries {
            names: again.into_iter(),
            dir: self.try_clone()?,
        })
    }

    /// The content of a regular file in it, `None` where there is no such name. Anything but a regular file is
    /// `path.not-regular`, more than `limit` bytes is `file.too-large`.
    pub fn read(&self, name: impl AsRef<OsStr>, limit: u64) -> Result<Option<Vec<u8>>> {
        let name = name.as_ref();
        let Some(node) = self.node_at(name)? else {
            return Ok(None);
        };
        let path = self.path_of(name);
        let metadata = node.metadata()?;
        if metadata.kind != FileKind::File {
            return Err(not_regular(&path));
        }
        let too_large = || {
            Error::new(
                "file.too-large",
                format!("{} is larger than {limit} bytes", path.display()),
            )
            .hint("see what wrote it")
        };
        if metadata.size > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        node.file()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| failed("read", &path, errno_of(&e)))?;
        if bytes.len() as u64 > limit {
            return Err(too_large());
        }
        Ok(Some(bytes))
    }

    /// The last bytes of a regular file in it, at most `limit`. `None` where there is no such name.
    pub fn read_tail(&self, name: impl AsRef<OsStr>, limit: u64) -> Result<Option<Tail>> {
        let name = name.as_ref();
        let Some(node) = self.node_at(name)? else {
            return Ok(None);
        };
        let metadata = node.metadata()?;
        if metadata.kind != FileKind::File {
            return Err(not_regular(node.path()));
        }
        let mut bytes = vec![0; usize::try_from(limit.min(metadata.size)).unwrap_or(0)];
        let start = metadata.size - bytes.len() as u64;
        node.file()
            .read_exact_at(&mut bytes, start)
            .map_err(|e| failed("read", node.path(), errno_of(&e)))?;
        Ok(Some(Tail {
            bytes,
            size: metadata.size,
        }))
    }

    /// A regular file or a directory in it as something with an owner, a mode and access lists; readable, never
    /// created. It is opened without effect first (`O_PATH`), looked at, and only then opened for real, so that no
    /// FIFO waits for us and no device wakes up. `None` where there is nothing.
    pub fn node_at(&self, name: impl AsRef<OsStr>) -> Result<Option<Node>> {
        let name = component(name.as_ref())?;
        let path = self.path_of(name);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let place = match self.open_raw(Path::new(name), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(failed("open", &path, e)),
        };
        let node = Node::reopen(&place, path, OFlag::O_RDONLY)?;
        Ok(Some(node.named(self, name)?))
    }

    /// openat2(2) beneath this directory.
    fn open_raw(&self, path: &Path, flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
        let mut resolve = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        if self.confined {
            resolve |= ResolveFlag::RESOLVE_NO_XDEV;
        }
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .mode(mode)
            .resolve(resolve);
        retry(|| openat2(self, path, how))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.node.file().as_fd()
    }
}

/// The names of a directory, one by one.
pub struct Entries {
    names: nix::dir::OwningIter,
    dir: Dir,
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.names.next()? {
                Ok(entry) => entry,
                Err(e) => return Some(Err(failed("list", self.dir.path(), e))),
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name = OsString::from_vec(name.to_vec());
            let kind = match entry.file_type() {
                Some(kind) => FileKind::from_entry(kind),
                // Some file systems do not tell (readdir(3)).
                None => match self.dir.stat(&name) {
                    Ok(Some(metadata)) => metadata.kind,
                    Ok(None) => continue,
                    Err(e) => return Some(Err(e)),
                },
            };
            return Some(Ok(Entry { name, kind }));
        }
    }
}

impl AsRef<Path> for crate::experiment::RelPath {
    fn as_ref(&self) -> &Path {
        Path::new(self.as_str())
    }
}

/// How directories are opened.
fn directory_flags() -> OFlag {
    // No O_NOFOLLOW: RESOLVE_NO_SYMLINKS refuses a link in the last place too, and says so.
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

/// openat2(2) may ask to try again when somebody renames at the same time.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    let mut result = call();
    for _ in 0..100 {
        match result {
            Err(Errno::EAGAIN | Errno::EINTR) => result = call(),
            _ => break,
        }
    }
    result
}

/// The magic path through which an open file is opened again or linked (`proc_pid_fd(5)`).
fn magic_path(fd: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// One name: not empty, no slash, no NUL, not `.` or `..`.
fn component(name: &OsStr) -> Result<&OsStr> {
    let bytes = name.as_bytes();
    let wrong = bytes.is_empty()
        || bytes == b"."
        || bytes == b".."
        || bytes.contains(&b'/')
        || bytes.contains(&0);
    if wrong {
        return Err(Error::new(
            "path.escapes",
            format!("`{}` is not the name of a file", name.to_string_lossy()),
        ));
    }
    Ok(name)
}

/// A relative path without `..`.
fn relative(path: &Path) -> Result<()> {
    let inside = path.components().all(|c| matches!(c, Component::Normal(_)))
        && !path.as_os_str().as_bytes().contains(&0);
    if inside {
        Ok(())
    } else {
        Err(Error::new(
            "path.escapes",
            format!("`{}` does not lie beneath a directory", path.display()),
        ))
    }
}

/// Something stands where a regular file or directory should.
fn not_regular(path: &Path) -> Error {
    Error::new(
        "path.not-regular",
        format!("{} is not a regular file", path.display()),
    )
    .hint("remove what stands there")
}
