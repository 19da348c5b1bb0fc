//! Large files and whole trees that are made beside their place: written piece by piece, made durable once, then named.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};
use rustix::fs::{Timespec, Timestamps};

use super::{Dir, Node, Permissions, Replace, component, magic_path};
use crate::error::{Error, Result};
use crate::sys::acl::Which;
use crate::sys::failure::{errno_of, failed};
use crate::sys::fault;

/// A file that has no name yet, or one that nobody looks for. Dropped, it is gone.
#[derive(Debug)]
pub struct Fresh {
    dir: Dir,
    file: File,
    beside: Option<String>,
}

impl Fresh {
    /// To write into and to read from.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes bytes at the place where the file stands.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        fault::errno("write.piece")
            .and_then(|()| self.file.write_all(bytes).map_err(|e| errno_of(&e)))
            .map_err(|e| failed("write into", self.dir.path(), e))
    }

    /// All of it is on the disk when this returns.
    pub fn sync(&self) -> Result<()> {
        fault::errno("fsync.file")
            .and_then(|()| fsync(&self.file))
            .map_err(|e| failed("make durable", self.dir.path(), e))
    }

    /// Gives it its name, on the disk when this returns; something that has it already is the error `path.exists`.
    pub fn name(mut self, name: impl AsRef<OsStr>, permissions: &Permissions) -> Result<()> {
        let name = component(name.as_ref())?;
        let path = self.dir.path_of(name);
        let node = Node::new(
            self.file
                .try_clone()
                .map_err(|e| failed("open again", &path, errno_of(&e)))?,
            path.clone(),
        );
        node.set_acl(Which::Access, None)?;
        if permissions.uid.is_some() || permissions.gid.is_some() {
            node.set_owner(permissions.uid, permissions.gid)?;
        }
        node.set_mode(permissions.mode)?;
        self.sync()?;
        let named = match &self.beside {
            Some(beside) => fault::errno("rename").and_then(|()| {
                self.dir
                    .rename_noreplace(OsStr::new(beside), &self.dir, name)
            }),
            None => fault::errno("link").and_then(|()| {
                linkat(
                    AT_FDCWD,
                    &magic_path(&self.file),
                    &self.dir,
                    name,
                    AtFlags::AT_SYMLINK_FOLLOW,
                )
            }),
        };
        named.map_err(|e| failed("make", &path, e))?;
        self.beside = None;
        self.dir.sync()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = unlinkat(&self.dir, beside.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// A tree that has not its name yet.
#[derive(Debug)]
pub struct OwnTree {
    parent: Dir,
    tree: Dir,
    unfinished: OsString,
    _lock: Flock<File>,
}

impl OwnTree {
    /// The tree itself.
    pub fn dir(&self) -> &Dir {
        &self.tree
    }

    /// Gives it its name, durably; what has the name already is the error `path.exists`. Where it fails, the
    /// tree is removed.
    pub fn name(self, name: impl AsRef<OsStr>) -> Result<()> {
        let named = self
            .parent
            .rename(&self.unfinished, &self.parent, name, Replace::Never);
        if named.is_err() {
            // The reason counts; what is left is removed by the next run too.
            let _ = self.discard();
        }
        named
    }

    /// Removes it.
    pub fn discard(self) -> Result<()> {
        self.parent.remove_tree(&self.unfinished).map(|_| ())
    }
}

impl Dir {
    /// A new file in it that has no name before [`Fresh::name`].
    pub fn fresh(&self) -> Result<Fresh> {
        let (file, beside) = self
            .nameless()
            .map_err(|e| failed("write into", self.path(), e))?;
        Ok(Fresh {
            dir: self.try_clone()?,
            file,
            beside,
        })
    }

    /// The unfinished tree that will be called `name` in it: empty, whatever a killed run left, and locked against another
    /// run (`locked`). [`OwnTree::name`] finishes it.
    pub fn own_tree(&self, name: impl AsRef<OsStr>) -> Result<OwnTree> {
        let name = component(name.as_ref())?;
        let mut unfinished = OsString::from(super::write::UNFINISHED);
        unfinished.push(name);
        // One that is removed or renamed between the two is another one.
        for _ in 0..100 {
            let tree = self.lay_dir(&unfinished)?;
            ours_alone(&tree)?;
            let file = tree.node().file().try_clone();
            let file = file.map_err(|e| failed("open again", tree.path(), errno_of(&e)))?;
            let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
                return Err(Error::new(
                    "locked",
                    format!("somebody else writes {} now", self.path_of(name).display()),
                )
                .hint("wait until it has finished, or choose another name")
                .exit(crate::error::Exit::Locked));
            };
            let now = self.stat(&unfinished)?;
            if !now.is_some_and(|now| tree.metadata().is_ok_and(|own| own.same_object(&now))) {
                continue;
            }
            for entry in tree.entries()? {
                tree.remove_tree(&entry.name)?;
            }
            return Ok(OwnTree {
                parent: self.try_clone()?,
                tree,
                unfinished,
                _lock: lock,
            });
        }
        Err(failed("make", &self.path_of(name), Errno::EBUSY))
    }

    /// Makes a directory in a tree of ours that nobody else knows; not durable until [`Dir::sync_everything`]. One that
    /// is there stays.
    pub fn lay_dir(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = component(name.as_ref())?;
        let made = fault::errno("create.dir")
            .and_then(|()| mkdirat(self, name, Mode::from_bits_truncate(0o700)));
        match made {
            Ok(()) | Err(Errno::EEXIST) => self.existing(name),
            Err(e) => Err(failed("make the directory", &self.path_of(name), e)),
        }
    }

    /// Makes a file in a tree of ours that nobody else knows; not durable until [`Dir::sync_everything`]. One that is
    /// there is the error `path.exists`.
    pub fn lay_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File> {
        let name = component(name.as_ref())?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_NOFOLLOW;
        fault::errno("write")
            .and_then(|()| self.open_raw(Path::new(name), flags, Mode::from_bits_truncate(mode)))
            .map(File::from)
            .map_err(|e| failed("make", &self.path_of(name), e))
    }

    /// Puts a name in the place of another within it; not durable until [`Dir::sync_everything`].
    pub fn lay_name(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> Result<()> {
        let (from, to) = (component(from.as_ref())?, component(to.as_ref())?);
        fault::errno("rename")
            .and_then(|()| renameat(self, from, self, to))
            .map_err(|e| failed("rename", &self.path_of(from), e))
    }

    /// Bytes that can still be written on its file system by whoever runs us.
    pub fn free(&self) -> Result<u64> {
        rustix::fs::fstatvfs(self)
            .map(|found| found.f_bavail.saturating_mul(found.f_frsize))
            .map_err(|e| failed("ask for the free space of", self.path(), errno(e)))
    }
}

/// Files up to this size are never asked whether they fit, in bytes.
const ANY: u64 = 1 << 40;

impl Dir {
    /// False for a file of so many bytes that its file system could not hold them: it is made of holes, and reading them
    /// never ends.
    pub fn can_hold(&self, size: u64) -> Result<bool> {
        if size <= ANY {
            return Ok(true);
        }
        let found = rustix::fs::fstatvfs(self)
            .map_err(|e| failed("ask for the size of", self.path(), errno(e)))?;
        Ok(size <= found.f_blocks.saturating_mul(found.f_frsize))
    }

    /// True where both lie on one file system (stat(2), `st_dev`).
    pub fn is_beside(&self, other: &Self) -> Result<bool> {
        let device = |dir: &Self| {
            rustix::fs::fstat(dir)
                .map(|found| found.st_dev)
                .map_err(|e| failed("look at", dir.path(), errno(e)))
        };
        Ok(device(self)? == device(other)?)
    }
}

impl Node {
    /// The last change of content that stat(2) shows from now on.
    pub fn set_modified(&self, when: Timestamp) -> Result<()> {
        set_modified(self.file(), when).map_err(|e| failed("set the time of", self.path(), e))
    }
}

/// Where others write too, one of them may have made it before: what is put together there would be in their hands.
fn ours_alone(tree: &Dir) -> Result<()> {
    let metadata = tree.metadata()?;
    let others = metadata.mode & 0o077;
    if metadata.uid == nix::unistd::geteuid().as_raw() && others == 0 {
        return Ok(());
    }
    Err(Error::new(
        "path.exists",
        format!("{} is somebody else's", tree.path().display()),
    )
    .hint("remove it, and name a place where nobody else writes"))
}

/// The last change of content that stat(2) shows of an open file from now on.
pub fn set_modified(file: &File, when: Timestamp) -> nix::Result<()> {
    let mut seconds = when.as_second();
    let mut nanoseconds = i64::from(when.subsec_nanosecond());
    if nanoseconds < 0 {
        seconds -= 1;
        nanoseconds += 1_000_000_000;
    }
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::futimens(file, &times).map_err(errno)
}

/// Makes `to` share the blocks of `from` (`FICLONE`); false where the file systems cannot.
pub fn clone_blocks(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to.as_fd(), from.as_fd()).is_ok()
}

/// Tells the kernel that a file's pages are not needed any more: what is read next comes from the disk.
pub fn forget_pages(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

fn errno(e: rustix::io::Errno) -> Errno {
    Errno::from_raw(e.raw_os_error())
}

/// An error of a file in a tree of ours.
pub fn spoiled(what: &str, path: &Path, error: &std::io::Error) -> Error {
    failed(what, path, errno_of(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::tests::directory;
    use std::io::Read as _;

    #[test]
    fn a_file_is_nowhere_until_it_has_its_name_and_replaces_nothing() {
        let (_temp, dir) = directory();
        let mut fresh = dir.fresh().unwrap();
        fresh.write(b"hello").unwrap();
        assert!(dir.stat("out").unwrap().is_none());
        fresh.name("out", &Permissions::PUBLIC).unwrap();
        assert_eq!(dir.read("out", 10).unwrap().unwrap(), b"hello");
        assert_eq!(dir.stat("out").unwrap().unwrap().mode, 0o644);
        let error = dir.fresh().unwrap().name("out", &Permissions::PRIVATE);
        assert_eq!(error.unwrap_err().code(), "path.exists");
        drop(dir.fresh().unwrap());
        assert_eq!(dir.entries().unwrap().len(), 1);
    }

    #[test]
    fn a_tree_has_its_name_when_it_is_whole_and_two_never_write_one() {
        let (_temp, dir) = directory();
        let own = dir.own_tree("out").unwrap();
        assert_eq!(dir.own_tree("out").unwrap_err().code(), "locked");
        let below = own.dir().lay_dir("a").unwrap();
        own.dir().lay_dir("a").unwrap();
        below.lay_file("x", 0o600).unwrap();
        assert_eq!(
            below.lay_file("x", 0o600).unwrap_err().code(),
            "path.exists"
        );
        drop(own);
        // What a killed run left is gone.
        let own = dir.own_tree("out").unwrap();
        assert!(own.dir().entries().unwrap().is_empty());
        own.dir().lay_dir("b").unwrap();
        own.name("out").unwrap();
        assert!(dir.existing("out").unwrap().child("b").unwrap().is_some());
        let own = dir.own_tree("out").unwrap();
        assert_eq!(own.name("out").unwrap_err().code(), "path.exists");
        dir.own_tree("out").unwrap().discard().unwrap();
        let names: Vec<_> = dir.entries().unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["out"]);
        assert!(dir.free().unwrap() > 0);
    }

    #[test]
    fn a_tree_that_somebody_else_prepared_is_not_used() {
        let (_temp, dir) = directory();
        let prepared = dir.lay_dir(".octonas-new-out").unwrap();
        prepared.set_mode(0o770).unwrap();
        assert_eq!(dir.own_tree("out").unwrap_err().code(), "path.exists");
        prepared.set_mode(0o700).unwrap();
        drop(dir.own_tree("out").unwrap());
        if nix::unistd::geteuid().is_root() {
            prepared.set_owner(Some(1), None).unwrap();
            assert_eq!(dir.own_tree("out").unwrap_err().code(), "path.exists");
        }
    }

    #[test]
    fn times_are_kept_to_the_nanosecond_before_and_after_1970() {
        let (_temp, dir) = directory();
        let file = dir.lay_file("x", 0o600).unwrap();
        for text in ["2026-03-01T10:00:00.123456789Z", "1969-12-31T23:59:58.5Z"] {
            let when: Timestamp = text.parse().unwrap();
            set_modified(&file, when).unwrap();
            assert_eq!(dir.stat("x").unwrap().unwrap().modified, when);
        }
        let mut text = String::new();
        (&file).read_to_string(&mut text).unwrap();
        forget_pages(&file);
    }
}
