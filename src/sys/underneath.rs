//! A directory as its file system has it, without what is mounted on it or below it: an experiment that is closed by a
//! read-only mount is still written by root, and nobody else sees that view.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::sys::stat::Mode;

use super::dir::Dir;
use super::failure::failed;
use super::process;
use crate::error::Result;

/// Opens a directory by its absolute path, in a detached copy of the mount that holds it (`open_tree(2)`, `OPEN_TREE_CLONE`
/// without `AT_RECURSIVE`): mounts on it and below it are not there. An ordinary user, who makes no mounts, gets the
/// directory itself.
pub fn underneath(path: &Path) -> Result<Dir> {
    let dir = Dir::open_absolute(path)?;
    if !process::is_root() {
        return Ok(dir);
    }
    match clone_mount(dir.node().file().as_raw_fd()) {
        Ok(tree) => {
            // The handle of open_tree(2) is a mere place (O_PATH): the directory is opened through it.
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let fd =
                openat(&tree, ".", flags, Mode::empty()).map_err(|e| failed("open", path, e))?;
            Ok(Dir::from_fd(fd, path.to_owned()))
        }
        // A container without the right to mount has none of our mounts either.
        Err(Errno::EPERM | Errno::ENOSYS) => Ok(dir),
        Err(e) => Err(failed("look beneath the mounts of", path, e)),
    }
}

#[allow(unsafe_code)]
fn clone_mount(dir: libc::c_int) -> nix::Result<OwnedFd> {
    let flags =
        libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as libc::c_uint;
    // SAFETY: open_tree(2) reads a NUL-terminated string and gives a new descriptor that nobody else owns.
    let result = unsafe { libc::syscall(libc::SYS_open_tree, dir, c"".as_ptr(), flags) };
    let fd = Errno::result(result)?;
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
