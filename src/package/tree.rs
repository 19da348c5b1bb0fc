//! A bag as a directory; also what is restored from one. In a tree of ours that nobody else knows before it has its name.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use jiff::Timestamp;

use super::sink::{Entry, Sink, is_zero};
use crate::error::Result;
use crate::sys::dir::{Dir, clone_blocks, set_modified, spoiled};

/// Zeros of this length become a hole, in bytes.
const HOLE: usize = 64 << 10;

/// A tree that grows.
pub struct Tree<'t> {
    top: &'t Dir,
    /// The directory that was used last, and its path.
    last: Option<(String, Dir)>,
    writing: Option<Writing>,
    /// Directories get their times at the end: what is written into one changes it.
    times: Vec<(String, Timestamp)>,
}

struct Writing {
    file: File,
    path: PathBuf,
    modified: Timestamp,
    is_cloned: bool,
    /// The file ends in a hole: its size is not set yet.
    ends_in_hole: bool,
}

impl<'t> Tree<'t> {
    /// Grows in `top`.
    pub fn new(top: &'t Dir) -> Self {
        Self {
            top,
            last: None,
            writing: None,
            times: Vec::new(),
        }
    }

    /// The directory that holds `path`, made where it is missing; and the name in it.
    fn parent<'p>(&mut self, path: &'p str) -> Result<(&Dir, &'p str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if self.last.as_ref().is_none_or(|(known, _)| known != parent) {
            let mut dir = self.top.try_clone()?;
            for part in parent.split('/').filter(|part| !part.is_empty()) {
                dir = dir.lay_dir(part)?;
            }
            self.last = Some((parent.to_owned(), dir));
        }
        Ok((self.last.as_ref().map_or(self.top, |(_, dir)| dir), name))
    }

    /// Everything is there and durable when this returns.
    pub fn finish(mut self) -> Result<()> {
        self.last = None;
        // Deeper ones first: none is changed after it got its time.
        self.times.sort_by(|a, b| b.0.cmp(&a.0));
        for (path, modified) in &self.times {
            if let Some(dir) = self.top.open(path)? {
                dir.node().set_modified(*modified)?;
            }
        }
        self.top.sync_everything()
    }
}

impl Sink for Tree<'_> {
    fn directory(&mut self, path: &str, modified: Timestamp) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        dir.lay_dir(name)?;
        self.times.push((path.to_owned(), modified));
        Ok(())
    }

    fn begin(&mut self, entry: &Entry<'_>, source: Option<&File>) -> Result<Option<File>> {
        let mode = if entry.executable { 0o700 } else { 0o600 };
        let (dir, name) = self.parent(entry.path)?;
        let path = dir.path_of(name);
        let file = dir.lay_file(name, mode)?;
        let is_cloned = entry.size > 0 && source.is_some_and(|source| clone_blocks(source, &file));
        let copy = if is_cloned {
            let copy = file.try_clone();
            Some(copy.map_err(|e| spoiled("open again", &path, &e))?)
        } else {
            None
        };
        self.writing = Some(Writing {
            file,
            path,
            modified: entry.modified,
            is_cloned,
            ends_in_hole: false,
        });
        Ok(copy)
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        crate::sys::fault::point("write.piece")?;
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        let written = if bytes.len() >= HOLE && is_zero(bytes) {
            writing.ends_in_hole = true;
            let length = i64::try_from(bytes.len()).unwrap_or_default();
            writing.file.seek(SeekFrom::Current(length)).map(|_| ())
        } else {
            writing.ends_in_hole = false;
            writing.file.write_all(bytes)
        };
        written.map_err(|e| spoiled("write", &writing.path, &e))
    }

    fn end(&mut self) -> Result<()> {
        let Some(mut writing) = self.writing.take() else {
            return Ok(());
        };
        let failed = |e: std::io::Error| spoiled("write", &writing.path, &e);
        if writing.ends_in_hole && !writing.is_cloned {
            let size = writing.file.stream_position().map_err(failed)?;
            writing.file.set_len(size).map_err(failed)?;
        }
        set_modified(&writing.file, writing.modified)
            .map_err(|e| spoiled("set the time of", &writing.path, &e.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_tree_has_content_times_and_holes() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let when: Timestamp = "2026-03-01T10:00:00.5Z".parse().unwrap();
        let mut tree = Tree::new(&dir);
        tree.directory("data", when).unwrap();
        tree.directory("data/raw", when).unwrap();
        for (path, pieces) in [
            ("data/raw/a", vec![vec![b'x'; 10]]),
            (
                "data/raw/hole",
                vec![vec![0; 4 << 20], vec![1], vec![0; 4 << 20]],
            ),
            ("data/other/empty", vec![]),
        ] {
            let entry = Entry {
                path,
                size: 1,
                modified: when,
                executable: false,
            };
            assert!(tree.begin(&entry, None).unwrap().is_none());
            for piece in pieces {
                tree.piece(&piece).unwrap();
            }
            tree.end().unwrap();
        }
        tree.finish().unwrap();
        let hole = std::fs::metadata(temp.path().join("data/raw/hole")).unwrap();
        assert_eq!(hole.len(), (8 << 20) + 1);
        assert!(hole.blocks() * 512 < 1 << 20);
        assert_eq!(
            std::fs::read(temp.path().join("data/raw/hole")).unwrap()[4 << 20],
            1
        );
        for path in ["data", "data/raw", "data/raw/a"] {
            let found = std::fs::metadata(temp.path().join(path)).unwrap();
            assert_eq!(
                (found.mtime(), found.mtime_nsec()),
                (when.as_second(), 500_000_000)
            );
        }
    }
}
