//! Where good copies come from.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::catalogue::entries::Sum;
use crate::sys::dir::Dir;

/// Where good copies come from.
#[derive(Clone, Copy)]
pub enum Spare<'a> {
    /// A directory: each copy is opened when it is needed.
    Tree(&'a Tree),
    /// What can only be read from its beginning to its end: once for many copies.
    Stream(&'a dyn Stream),
}

/// A container of copies.
pub trait Stream {
    /// Lays copies of what is wanted (by its path below the experiment) into a directory of ours. What it does not have, or has
    /// with another content, is passed over.
    fn lay(&self, wanted: &BTreeMap<PathBuf, Wanted>, into: &Dir) -> Result<()>;
}

/// A file of which a copy is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name under which the copy is laid.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Sum,
}

/// A copy of an experiment's tree in a directory: a backup, a replica, the payload of an unpacked package.
pub struct Tree {
    dir: Dir,
}

impl Tree {
    /// The tree itself, or the `data/` of a bag (RFC 8493) that holds it.
    pub fn new(dir: Dir) -> Result<Self> {
        let payload = match dir.stat("bagit.txt")? {
            Some(_) => dir.child("data")?,
            None => None,
        };
        Ok(Self {
            dir: payload.unwrap_or(dir),
        })
    }

    /// The copy of a file (path below the experiment); `None` where there is none.
    pub(super) fn open(&self, path: &Path) -> Result<Option<Box<dyn Read>>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        let Some(dir) = self.dir.open(parent)? else {
            return Ok(None);
        };
        copy_in(&dir, Path::new(name))
    }
}

/// A copy that could not be read or written to its end.
pub fn unwritten(path: &str, error: std::io::Error) -> Error {
    let full = error.raw_os_error() == Some(nix::libc::ENOSPC);
    let code = if full { "disk.full" } else { "repair.failed" };
    Error::new(code, format!("a copy of {path} cannot be written"))
        .hint("make room on the disk, check the copy, then run it again")
        .source(error)
}

/// The file of this name.
pub(super) fn copy_in(dir: &Dir, name: &Path) -> Result<Option<Box<dyn Read>>> {
    let Some(reading) = dir.reading(name, false)? else {
        return Ok(None);
    };
    Ok(Some(Box::new(reading.into_file())))
}
