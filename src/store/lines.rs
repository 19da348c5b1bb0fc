//! Append-only files of JSON lines: every line is on the disk before anything relies on it, and a line that was torn by
//! a crash is told from damage.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::sys::dir::Dir;

/// A file of lines in a directory, and how far it is right.
#[derive(Debug)]
pub(super) struct Lines {
    dir: Dir,
    name: String,
    /// Bytes up to the end of the last whole line.
    good: u64,
    /// Bytes that were there when it was last looked at.
    seen: u64,
}

impl Lines {
    /// Reads a file of at most `limit` bytes; one that does not exist has no lines. What follows the last line feed, or
    /// a last line that holds NUL bytes (blocks that a crash left unwritten), was never acknowledged: it is left
    /// out here, and cut off before the next line is added.
    pub(super) fn load(dir: &Dir, name: &str, limit: u64) -> Result<(Self, Vec<Vec<u8>>)> {
        let bytes = dir.read(name, limit)?.unwrap_or_default();
        let mut good = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let last = bytes[..good.saturating_sub(1)]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |i| i + 1);
        if bytes[last..good].contains(&0) {
            good = last;
        }
        let lines = bytes[..good]
            .split_inclusive(|&b| b == b'\n')
            .map(|line| line[..line.len() - 1].to_vec())
            .collect();
        let file = Self {
            dir: dir.try_clone()?,
            name: name.to_owned(),
            good: good as u64,
            seen: bytes.len() as u64,
        };
        Ok((file, lines))
    }

    /// Adds lines (each without its line feed); they are on the disk when this returns.
    pub(super) fn push(&mut self, lines: &[String]) -> Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend(line.as_bytes());
            bytes.push(b'\n');
        }
        let added = self
            .dir
            .append_after(&self.name, self.good, self.seen, &bytes);
        if added.is_ok() {
            self.good += bytes.len() as u64;
        }
        // After a failure the end is what the disk says; a torn one is cut off by the next attempt.
        self.seen = self.dir.stat(&self.name)?.map_or(0, |m| m.size);
        added
    }

    /// Replaces the whole file.
    pub(super) fn rewrite(&mut self, lines: &[String]) -> Result<()> {
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        self.dir.write(
            &self.name,
            text.as_bytes(),
            &crate::sys::dir::Permissions::PRIVATE,
        )?;
        self.good = text.len() as u64;
        self.seen = self.good;
        Ok(())
    }
}

/// A value as one line of JSON.
pub(super) fn line(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new("output.failed", "cannot encode a record as JSON").source(e))
}
