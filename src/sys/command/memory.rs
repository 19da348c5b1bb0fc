//! A few bytes that a program reads from a file which lies nowhere: nothing is left behind, whoever is killed.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::error::{Error, Result};

/// A file in memory (`memfd_create(2)`), there as long as this is.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// Holds `bytes`.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let failed = |source: std::io::Error| {
            Error::new("command.failed", "cannot hand bytes to a program")
                .hint("see whether this machine has memory and descriptors left")
                .source(source)
        };
        let made = memfd_create("octonas", MemfdFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        let mut file = File::from(made);
        file.write_all(bytes).map_err(failed)?;
        Ok(Self(file))
    }

    /// Where a child of this process, or a child of it, reads it from its beginning.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}
