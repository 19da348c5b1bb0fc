//! A sweep over a tree: depth first, beneath descriptors, no link followed, no mount crossed, memory bounded by the
//! number of directories that wait.
//!
//! What a member does meanwhile cannot lead it outside: a directory that was moved or replaced is passed over or walked
//! where it is now, and a handle ([`Found::node`]) is checked again when it is opened.

use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;

use super::dir::{Dir, Entries, FileKind, Metadata, Node};
use crate::error::{Error, Result};

/// The most directories that are open at the same time; deeper ones are reported and not entered.
pub const DEPTH_LIMIT: usize = 200;

/// Something that was found.
#[derive(Debug)]
pub struct Found {
    /// Path below the directory that is walked.
    pub path: PathBuf,
    /// What it was when it was looked at.
    pub metadata: Metadata,
    parent: Rc<Dir>,
    name: OsString,
}

impl Found {
    /// Opens it for its owner, mode and access lists (regular files and directories only). `None` where it is gone or
    /// is now something else.
    pub fn node(&self) -> Result<Option<Node>> {
        match self.parent.node_at(&self.name) {
            Ok(Some(node)) if node.metadata()?.same_object(&self.metadata) => Ok(Some(node)),
            Ok(_) => Ok(None),
            // A link or FIFO took its place.
            Err(e) if matches!(e.code(), "path.link" | "path.not-regular") => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The directory that holds it.
    pub fn parent(&self) -> &Dir {
        &self.parent
    }
}

/// The walk itself: everything beneath a directory, not the directory itself. A directory comes before what it holds.
/// An error tells of one object and does not end the walk.
pub struct Walk {
    open: Vec<Level>,
}

struct Level {
    dir: Rc<Dir>,
    path: PathBuf,
    entries: Option<Entries>,
    waiting: Vec<OsString>,
}

impl Level {
    fn new(dir: Dir, path: PathBuf) -> Result<Self> {
        let entries = Some(dir.iterate()?);
        Ok(Self {
            dir: Rc::new(dir),
            path,
            entries,
            waiting: Vec::new(),
        })
    }
}

impl Walk {
    /// Walks everything beneath `top`.
    pub fn new(top: &Dir) -> Result<Self> {
        let top = top.try_clone()?.confined();
        Ok(Self {
            open: vec![Level::new(top, PathBuf::new())?],
        })
    }

    /// The next object of the level that is read, or the next directory that waits there.
    fn step(&mut self) -> Option<Result<Option<Found>>> {
        let depth = self.open.len();
        let level = self.open.last_mut()?;
        if let Some(entries) = &mut level.entries {
            return Some(match entries.next() {
                Some(Ok(entry)) => look(level, entry.name),
                Some(Err(e)) => {
                    level.entries = None;
                    Err(e)
                }
                None => {
                    level.entries = None;
                    Ok(None)
                }
            });
        }
        let Some(name) = level.waiting.pop() else {
            self.open.pop();
            return Some(Ok(None));
        };
        if depth > DEPTH_LIMIT {
            return Some(Err(Error::new(
                "tree.too-deep",
                format!(
                    "{} lies more than {DEPTH_LIMIT} directories deep and is not looked at",
                    level.dir.path_of(&name).display()
                ),
            )
            .hint("move it up")));
        }
        let below = match level.dir.child(&name) {
            Ok(Some(dir)) => Level::new(dir, level.path.join(&name)),
            // Gone, or replaced by something else since.
            Ok(None) => return Some(Ok(None)),
            Err(e) if matches!(e.code(), "path.link" | "path.not-directory") => {
                return Some(Ok(None));
            }
            Err(e) => Err(e),
        };
        Some(below.map(|level| {
            self.open.push(level);
            None
        }))
    }
}

/// What a name is; a directory waits for its turn.
fn look(level: &mut Level, name: OsString) -> Result<Option<Found>> {
    let Some(metadata) = level.dir.stat(&name)? else {
        return Ok(None);
    };
    if metadata.kind == FileKind::Directory {
        level.waiting.push(name.clone());
    }
    Ok(Some(Found {
        path: level.path.join(&name),
        metadata,
        parent: Rc::clone(&level.dir),
        name,
    }))
}

impl Iterator for Walk {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.step()?.transpose() {
                return Some(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;

    fn directory() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        (temp, dir)
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn everything_is_found_once_and_no_link_is_followed() {
        let (temp, dir) = directory();
        let at = |path: &str| temp.path().join(path);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::create_dir_all(at("d")).unwrap();
        std::fs::write(at("a/b/file"), "x").unwrap();
        symlink("/etc", at("a/etc")).unwrap();
        symlink("..", at("d/up")).unwrap();
        nix::unistd::mkfifo(&at("d/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let found: Vec<Found> = Walk::new(&dir).unwrap().map(Result::unwrap).collect();
        let paths: BTreeSet<_> = found.iter().map(|f| f.path.to_str().unwrap()).collect();
        assert_eq!(found.len(), paths.len());
        let all = [
            "a", "a/b", "a/b/c", "a/b/file", "a/etc", "d", "d/fifo", "d/up",
        ];
        assert_eq!(paths, BTreeSet::from(all));
        for object in &found {
            let can_be_opened =
                matches!(object.metadata.kind, FileKind::File | FileKind::Directory);
            assert_eq!(
                object.node().unwrap().is_some(),
                can_be_opened,
                "{:?}",
                object.path
            );
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn something_that_took_the_place_of_what_was_found_is_not_opened() {
        let (temp, dir) = directory();
        std::fs::write(temp.path().join("file"), "x").unwrap();
        let found = Walk::new(&dir).unwrap().next().unwrap().unwrap();
        std::fs::write(temp.path().join("other"), "y").unwrap();
        std::fs::rename(temp.path().join("other"), temp.path().join("file")).unwrap();
        assert!(found.node().unwrap().is_none());
        std::fs::remove_file(temp.path().join("file")).unwrap();
        symlink("/etc/passwd", temp.path().join("file")).unwrap();
        assert!(found.node().unwrap().is_none());
    }

    #[test]
    fn a_tree_deeper_than_the_limit_is_reported_and_the_rest_is_walked() {
        let (temp, dir) = directory();
        let mut here = dir.try_clone().unwrap();
        for _ in 0..DEPTH_LIMIT + 5 {
            here.create_dir("d", 0o700).unwrap();
            here = here.existing("d").unwrap();
        }
        dir.create_dir("other", 0o700).unwrap();
        let (found, errors): (Vec<_>, Vec<_>) = Walk::new(&dir).unwrap().partition(Result::is_ok);
        assert_eq!(found.len(), DEPTH_LIMIT + 2);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].as_ref().unwrap_err().code(), "tree.too-deep");
        drop(temp);
    }
}
