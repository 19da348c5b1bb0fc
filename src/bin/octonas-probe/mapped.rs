//! The file that was handed down: mapped, not read, so that its size costs no memory.

use std::io;

use memmap2::{Advice, Mmap};
use nix::sys::stat::{SFlag, fstat};

/// What standard input is.
pub enum Given {
    /// A regular file, and its size.
    File(u64),
    /// A directory, FIFO, socket or device.
    Other,
}

/// Looks at standard input.
pub fn given() -> io::Result<Given> {
    let stat = fstat(io::stdin())?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(if kind == SFlag::S_IFREG {
        Given::File(stat.st_size.unsigned_abs())
    } else {
        Given::Other
    })
}

/// Maps standard input, of which `size` bytes are looked at.
///
/// Somebody may write to the file or cut it meanwhile. A page that is gone ends the process with `SIGBUS`, which the
/// parent reports as a finding; bytes that change lead to a wrong description at worst, or to a crash in a process
/// that can do nothing.
#[allow(unsafe_code)]
pub fn map(size: u64) -> io::Result<Mmap> {
    let size = usize::try_from(size).map_err(io::Error::other)?;
    // SAFETY: as above: the bytes are only ever read, and what a change of them can do is confined to this process.
    let map = unsafe { memmap2::MmapOptions::new().len(size).map(&io::stdin())? };
    let _ = map.advise(Advice::Sequential);
    Ok(map)
}
