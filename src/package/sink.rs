//! Where a package is written: a directory, a tar, a zip. Entries come one after the other, each file with the size that was
//! announced.

use std::fs::File;

use jiff::Timestamp;

use crate::error::{Error, Result};

/// A file or directory about to be written.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    /// Its path in the bag.
    pub path: &'e str,
    /// Bytes of a file.
    pub size: u64,
    /// Last change.
    pub modified: Timestamp,
    /// A program.
    pub executable: bool,
}

/// Something that a bag is written into.
pub trait Sink {
    /// A directory, before what lies in it.
    fn directory(&mut self, path: &str, modified: Timestamp) -> Result<()>;

    /// A file begins. Gives the file from which its content is read instead, where it shares the blocks of `source` already:
    /// then no bytes come.
    fn begin(&mut self, entry: &Entry<'_>, source: Option<&File>) -> Result<Option<File>>;

    /// Bytes of the file that was begun.
    fn piece(&mut self, bytes: &[u8]) -> Result<()>;

    /// The file that was begun is whole.
    fn end(&mut self) -> Result<()>;
}

/// The bytes that were announced did not come.
pub fn wrong_size(path: &str) -> Error {
    Error::new(
        "package.changed",
        format!("{path} changed while it was packed"),
    )
    .hint("pack when nobody writes there (close the experiment), or leave it out with --only")
}

/// Everything of a file is zeros: a hole holds it.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().all(|chunk| u128::from_ne_bytes(*chunk) == 0) && rest.iter().all(|b| *b == 0)
}
