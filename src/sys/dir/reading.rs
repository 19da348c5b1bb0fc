//! Opening files to read all of them: quickly, without a trace (`O_NOATIME`), past the page cache where asked (`O_DIRECT`).

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::{Mode, fstat};

use super::{Dir, FileKind, Metadata, Node, component};
use crate::error::Result;
use crate::sys::failure::{errno_of, failed};

/// What direct reads are aligned to; no disk has larger sectors (open(2), `O_DIRECT`).
const ALIGNMENT: usize = 4096;
/// A file that is no larger is read at once, and nothing ahead (`VM_READAHEAD_PAGES` of the kernel).
const AT_ONCE: u64 = 128 << 10;

/// A regular file that is read from its beginning to its end.
#[derive(Debug)]
pub struct Reading {
    node: Node,
    metadata: Metadata,
    is_direct: bool,
    is_at_end: bool,
}

/// Memory that is read into.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    size: usize,
}

impl Buffer {
    /// Of a size that is a multiple of 4096.
    pub fn new(size: usize) -> Self {
        let size = size.next_multiple_of(ALIGNMENT);
        let bytes = vec![0; size + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, size }
    }

    fn all(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.size]
    }
}

impl Dir {
    /// Opens a regular file in it. `None` where there is none of this name, or something else. A FIFO is not waited for, a
    /// link not followed. With `direct`, its content comes from the disk and not from memory, where the file system can.
    pub fn reading(&self, name: impl AsRef<OsStr>, direct: bool) -> Result<Option<Reading>> {
        let name = component(name.as_ref())?;
        let path = self.path_of(name);
        let plain = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut wanted = plain | OFlag::O_NOATIME;
        wanted.set(OFlag::O_DIRECT, direct);
        let fd = loop {
            match self.open_raw(Path::new(name), wanted, Mode::empty()) {
                Ok(fd) => break fd,
                // Only the owner and root read without leaving a time.
                Err(Errno::EPERM) if wanted.contains(OFlag::O_NOATIME) => {
                    wanted.remove(OFlag::O_NOATIME);
                }
                // A file system without direct reads.
                Err(Errno::EINVAL) if wanted.contains(OFlag::O_DIRECT) => {
                    wanted.remove(OFlag::O_DIRECT);
                }
                // Gone; a link, a socket or a device without a driver in its place.
                Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => return Ok(None),
                Err(e) => return Err(failed("open", &path, e)),
            }
        };
        let stat = fstat(&fd).map_err(|e| failed("look at", &path, e))?;
        let metadata = Metadata::from_stat(&stat);
        if metadata.kind != FileKind::File {
            return Ok(None);
        }
        let is_direct = wanted.contains(OFlag::O_DIRECT);
        if direct && !is_direct {
            // Next best: what is in memory is forgotten first (posix_fadvise(2); pages that wait to be written stay).
            let _ = posix_fadvise(&fd, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
        if metadata.size > AT_ONCE {
            let _ = posix_fadvise(&fd, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
        }
        Ok(Some(Reading {
            node: Node::new(File::from(fd), path),
            metadata,
            is_direct,
            is_at_end: false,
        }))
    }
}

impl Reading {
    /// As it was when it was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// True where its content comes past the page cache.
    pub fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// The file itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The open file for keeps.
    pub fn into_file(self) -> File {
        self.node.into_file()
    }

    /// The next bytes; none at the end.
    pub fn next<'b>(&mut self, buffer: &'b mut Buffer) -> Result<&'b [u8]> {
        let bytes = buffer.all();
        let mut filled = 0;
        while filled < bytes.len() && !self.is_at_end {
            match self.node.file().read(&mut bytes[filled..]) {
                Ok(0) => self.is_at_end = true,
                Ok(read) => filled += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                // A file system that takes the flag and then will not read so.
                Err(e) if self.is_direct && errno_of(&e) == Errno::EINVAL => {
                    self.leave_direct()?;
                    continue;
                }
                Err(e) => return Err(failed("read", self.node.path(), errno_of(&e))),
            }
            // The rest of a direct read would not be aligned: only the end of the file is short.
            if self.is_direct && filled % ALIGNMENT != 0 {
                break;
            }
        }
        Ok(&bytes[..filled])
    }

    fn leave_direct(&mut self) -> Result<()> {
        use nix::fcntl::{FcntlArg, fcntl};
        let change = || -> nix::Result<()> {
            let mut flags = OFlag::from_bits_retain(fcntl(&self.node, FcntlArg::F_GETFL)?);
            flags.remove(OFlag::O_DIRECT);
            fcntl(&self.node, FcntlArg::F_SETFL(flags))?;
            posix_fadvise(&self.node, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        };
        change().map_err(|e| failed("read", self.node.path(), e))?;
        self.is_direct = false;
        Ok(())
    }

    /// What was read is not worth keeping in memory.
    pub fn forget(&self) {
        if !self.is_direct {
            let _ = posix_fadvise(&self.node, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
    }

    /// True while it is what it was when it was opened.
    pub fn is_unchanged(&self) -> Result<bool> {
        let now = self.node.metadata()?;
        let before = &self.metadata;
        Ok((now.size, now.modified, now.changed) == (before.size, before.modified, before.changed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_file_is_read_whole_directly_or_not_and_nothing_else_is_opened() {
        // Where there is a disk: memory file systems of older kernels cannot read directly.
        let temp = tempfile::tempdir_in("/var/tmp").unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let mut buffer = Buffer::new(10_000);
        for size in [0_usize, 1, 4095, 4096, 4097, 100_000] {
            let content: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            std::fs::write(temp.path().join("file"), &content).unwrap();
            for direct in [false, true] {
                let mut reading = dir.reading("file", direct).unwrap().unwrap();
                let mut read = Vec::new();
                loop {
                    let bytes = reading.next(&mut buffer).unwrap();
                    if bytes.is_empty() {
                        break;
                    }
                    read.extend_from_slice(bytes);
                }
                assert_eq!(read, content, "{size} {direct}");
                assert!(reading.is_unchanged().unwrap());
            }
        }
        std::os::unix::fs::symlink("file", temp.path().join("link")).unwrap();
        nix::unistd::mkfifo(&temp.path().join("fifo"), Mode::S_IRWXU).unwrap();
        dir.create_dir("d", 0o700).unwrap();
        for other in ["link", "fifo", "d", "none"] {
            assert!(dir.reading(other, true).unwrap().is_none(), "{other}");
        }
    }
}
