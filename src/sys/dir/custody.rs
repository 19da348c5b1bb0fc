//! Taking files over from somebody who owns them and may still be busy with them: moved by name without replacing
//! anything, looked at on a descriptor, and known to have no writer before their content counts.

use std::ffi::OsStr;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, renameat2};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Dir, Node, component};
use crate::error::{Error, Result};
use crate::sys::failure::failed;
use crate::sys::fault;

/// What a move by name came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It has its new name.
    Done,
    /// Nothing had the old name any more.
    Missing,
    /// Something has the new name already.
    Taken,
}

impl Dir {
    /// Renames whatever has a name in it into `to_dir`, replacing nothing. Not durable until [`Dir::sync_everything`].
    pub fn move_to(
        &self,
        from: impl AsRef<OsStr>,
        to_dir: &Self,
        to: impl AsRef<OsStr>,
    ) -> Result<Moved> {
        let (from, to) = (component(from.as_ref())?, component(to.as_ref())?);
        let renamed = fault::errno("rename").and_then(|()| self.rename_noreplace(from, to_dir, to));
        match renamed {
            Ok(()) => Ok(Moved::Done),
            Err(Errno::ENOENT) => Ok(Moved::Missing),
            Err(Errno::EEXIST | Errno::ENOTEMPTY) => Ok(Moved::Taken),
            Err(e) => Err(failed("move", &self.path_of(from), e)),
        }
    }

    /// Exchanges what two names stand for, in one step (renameat2(2)). False where one of them stands for nothing, or the
    /// file system cannot. Not durable until both directories are.
    pub fn exchange(
        &self,
        name: impl AsRef<OsStr>,
        other_dir: &Self,
        other: impl AsRef<OsStr>,
    ) -> Result<bool> {
        let (name, other) = (component(name.as_ref())?, component(other.as_ref())?);
        let exchanged = fault::errno("rename")
            .and_then(|()| renameat2(self, name, other_dir, other, RenameFlags::RENAME_EXCHANGE));
        match exchanged {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => Ok(false),
            Err(e) => Err(failed("exchange", &other_dir.path_of(other), e)),
        }
    }

    /// Removes a name in it that is no directory; not durable until [`Dir::sync_everything`]. False where there was
    /// nothing.
    pub fn drop_name(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = component(name.as_ref())?;
        match fault::errno("remove").and_then(|()| unlinkat(self, name, UnlinkatFlags::NoRemoveDir))
        {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(failed("remove", &self.path_of(name), e)),
        }
    }

    /// A regular file in a directory that nobody else enters. It may be changed without asking for its other names:
    /// nobody can give it one there. Anything but a regular file is the error `path.not-regular` or `path.link`.
    pub fn held(&self, name: impl AsRef<OsStr>) -> Result<Option<Node>> {
        let name = component(name.as_ref())?;
        let path = self.path_of(name);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let place = match self.open_raw(Path::new(name), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(failed("open", &path, e)),
        };
        let node = Node::reopen(&place, path, OFlag::O_RDONLY)?;
        if node.metadata()?.kind == super::FileKind::File {
            Ok(Some(node))
        } else {
            Err(super::not_regular(node.path()))
        }
    }

    /// Makes everything on its file system durable, in one call (syncfs(2)): files that others wrote, names that were
    /// moved. A failure to write anything since the handle was opened is an error.
    pub fn sync_everything(&self) -> Result<()> {
        fault::errno("fsync.everything")
            .and_then(|()| nix::unistd::syncfs(self))
            .map_err(|e| failed("make durable everything beneath", self.path(), e))
    }
}

impl Node {
    /// True while some process has the file open for writing, or mapped so: a read lease (fcntl(2), `F_SETLEASE`) can
    /// be had only where nobody does. The lease is given back at once. A file system without leases is the error
    /// `disk.unsupported`.
    #[allow(unsafe_code)]
    pub fn has_writer(&self) -> Result<bool> {
        let fd = self.file().as_raw_fd();
        // Whoever opens it in this moment breaks the lease; the default signal for that (SIGIO) would end us.
        // SAFETY: fcntl(2) with plain numbers on a descriptor that this node owns.
        let leased = unsafe {
            libc::fcntl(fd, F_SETSIG, libc::SIGURG);
            let leased = libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK);
            let errno = Errno::last();
            if leased == 0 {
                libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK);
            }
            Errno::result(leased).map_err(|_| errno)
        };
        match leased {
            Ok(_) => Ok(false),
            Err(Errno::EAGAIN | Errno::EBUSY) => Ok(true),
            Err(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOLCK | Errno::ENOSYS) => {
                Err(Error::new(
                    "disk.unsupported",
                    format!("nobody can tell who has {} open", self.path().display()),
                ))
            }
            Err(e) => Err(failed("ask who writes", self.path(), e)),
        }
    }
}

/// Not in libc for every target (fcntl(2), `asm-generic/fcntl.h`).
const F_SETSIG: libc::c_int = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::tests::directory;
    use std::fs::OpenOptions;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn whoever_has_a_file_open_for_writing_is_seen() {
        let (temp, dir) = directory();
        let path = temp.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let node = dir.held("file").unwrap().unwrap();
        assert!(!node.has_writer().unwrap());
        let reader = OpenOptions::new().read(true).open(&path).unwrap();
        assert!(!node.has_writer().unwrap());
        let writer = OpenOptions::new().append(true).open(&path).unwrap();
        assert!(node.has_writer().unwrap());
        drop((reader, writer));
        assert!(!node.has_writer().unwrap());
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_move_replaces_nothing_and_says_what_it_met() {
        let (temp, dir) = directory();
        std::fs::write(temp.path().join("a"), "a").unwrap();
        std::fs::write(temp.path().join("b"), "b").unwrap();
        dir.create_dir("d", 0o700).unwrap();
        let d = dir.existing("d").unwrap();
        assert_eq!(dir.move_to("a", &dir, "b").unwrap(), Moved::Taken);
        assert_eq!(dir.move_to("a", &d, "a").unwrap(), Moved::Done);
        assert_eq!(dir.move_to("a", &d, "x").unwrap(), Moved::Missing);
        assert_eq!(
            dir.move_to("../a", &d, "x").unwrap_err().code(),
            "path.escapes"
        );
        assert!(d.drop_name("a").unwrap());
        assert!(!d.drop_name("a").unwrap());
        d.sync_everything().unwrap();
    }

    #[test]
    fn only_a_regular_file_is_held() {
        let (temp, dir) = directory();
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("link")).unwrap();
        nix::unistd::mkfifo(&temp.path().join("fifo"), Mode::S_IRWXU).unwrap();
        dir.create_dir("d", 0o700).unwrap();
        assert_eq!(dir.held("link").unwrap_err().code(), "path.link");
        for other in ["fifo", "d"] {
            assert_eq!(dir.held(other).unwrap_err().code(), "path.not-regular");
        }
        assert!(dir.held("none").unwrap().is_none());
    }
}
