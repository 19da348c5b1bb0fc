//! What a failed system call means to a person.

use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::error::Error;

/// The error number of an I/O error; `EIO` where there is none.
pub(super) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// `cannot <verb> <path>`, with a code that says whose fault it is (errno(3), open(2), openat2(2)).
pub(super) fn failed(verb: &str, path: &Path, errno: Errno) -> Error {
    let (code, hint) = match errno {
        Errno::ENOSPC => (
            "disk.full",
            "make room on the file system, then run it again",
        ),
        Errno::EDQUOT => (
            "disk.full",
            "raise the quota or make room, then run it again",
        ),
        Errno::EROFS => (
            "disk.read-only",
            "the file system or the mount is read-only; see whether the disk has errors or the experiment is closed",
        ),
        Errno::EIO | Errno::ENODEV | Errno::ENXIO | Errno::ESTALE | Errno::ENOTCONN => (
            "disk.failed",
            "check the disk and the system log before anything else",
        ),
        Errno::ELOOP => (
            "path.link",
            "a symbolic link is never followed here; name the real directory, or remove the link",
        ),
        Errno::EXDEV => (
            "path.mount",
            "something else is mounted there; unmount it first",
        ),
        Errno::ENOTDIR => (
            "path.not-directory",
            "something that is no directory stands in the way",
        ),
        Errno::EISDIR => (
            "path.not-regular",
            "a directory stands where a file should be; move it away",
        ),
        Errno::EACCES | Errno::EPERM => (
            "path.denied",
            "run it as root, or as the owner of the directory",
        ),
        Errno::ENOENT => (
            "path.missing",
            "see whether the file system is mounted and the path is right",
        ),
        Errno::EEXIST => (
            "path.exists",
            "move what is there away, or choose another name",
        ),
        Errno::ENOTEMPTY => ("path.not-empty", "look at what is in it"),
        Errno::EBUSY => ("path.busy", "something is mounted there or uses it"),
        Errno::EOPNOTSUPP => (
            "disk.unsupported",
            "the file system cannot do this; `octonas base check` tells what it lacks",
        ),
        Errno::EMFILE | Errno::ENFILE => ("system.too-many-files", "raise the limit of open files"),
        Errno::ENOSYS => (
            "system.too-old",
            "a Linux kernel of at least 5.12 is needed",
        ),
        _ => ("file.failed", "see the system log"),
    };
    Error::new(code, format!("cannot {verb} {}", path.display()))
        .hint(hint)
        .source(io::Error::from(errno))
}
