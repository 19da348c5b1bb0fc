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

/// The deepest directories that are entered; deeper ones are reported.
pub const DEPTH_LIMIT: usize = 5_000;
/// Of a deep branch, so many directories at its top and at its end stay open. One between them is opened again from the top when
/// its turn comes, and passed over where somebody exchanged it meanwhile.
const OPEN: usize = 64;

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
    top: Dir,
    open: Vec<Level>,
}

struct Level {
    dir: Option<Rc<Dir>>,
    /// Device and inode, to know it again.
    place: (u64, u64),
    path: PathBuf,
    entries: Option<Entries>,
    waiting: Vec<OsString>,
}

impl Level {
    fn new(dir: Dir, path: PathBuf) -> Result<Self> {
        let entries = Some(dir.iterate()?);
        Ok(Self {
            place: place(&dir)?,
            dir: Some(Rc::new(dir)),
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
            open: vec![Level::new(top.try_clone()?.confined(), PathBuf::new())?],
            top,
        })
    }

    /// The next object of the level that is read, or the next directory that waits there.
    fn step(&mut self) -> Option<Result<Option<Found>>> {
        let depth = self.open.len();
        let level = self.open.last_mut()?;
        let Some(dir) = level.dir.clone() else {
            return Some(match again(&self.top, level) {
                Ok(Some(dir)) => {
                    level.dir = Some(Rc::new(dir));
                    Ok(None)
                }
                gone => {
                    self.open.pop();
                    gone.map(|_| None)
                }
            });
        };
        if let Some(entries) = &mut level.entries {
            return Some(match entries.next() {
                Some(Ok(entry)) => look(&dir, level, entry.name),
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
                    dir.path_of(&name).display()
                ),
            )
            .hint("move it up")));
        }
        let below = match dir.child(&name) {
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
            if let Some(middle) = self.open.len().checked_sub(OPEN).filter(|at| *at > OPEN)
                && let Some(level) = self.open.get_mut(middle)
            {
                level.dir = None;
            }
            None
        }))
    }
}

fn place(dir: &Dir) -> Result<(u64, u64)> {
    let metadata = dir.metadata()?;
    Ok((metadata.dev, metadata.ino))
}

/// Opens a directory again that was closed for others to be open; `None` where it is another one now.
fn again(top: &Dir, level: &Level) -> Result<Option<Dir>> {
    let dir = match top.open(&level.path) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(None),
        Err(e) if matches!(e.code(), "path.link" | "path.not-directory") => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok((place(&dir)? == level.place).then_some(dir))
}

/// What a name is; a directory waits for its turn.
fn look(dir: &Rc<Dir>, level: &mut Level, name: OsString) -> Result<Option<Found>> {
    let Some(metadata) = dir.stat(&name)? else {
        return Ok(None);
    };
    if metadata.kind == FileKind::Directory {
        level.waiting.push(name.clone());
    }
    Ok(Some(Found {
        path: level.path.join(&name),
        metadata,
        parent: Rc::clone(dir),
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
    use crate::sys::dir::tests::directory;
    use std::collections::BTreeSet;
    use std::os::unix::fs::symlink;

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
        let (_temp, dir) = directory();
        let mut here = dir.try_clone().unwrap();
        for _ in 0..DEPTH_LIMIT + 5 {
            here.lay_dir("d").unwrap();
            here = here.existing("d").unwrap();
        }
        dir.create_dir("other", 0o700).unwrap();
        let (found, errors): (Vec<_>, Vec<_>) = Walk::new(&dir).unwrap().partition(Result::is_ok);
        assert_eq!(found.len(), DEPTH_LIMIT + 2);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].as_ref().unwrap_err().code(), "tree.too-deep");
        dir.remove_tree("d").unwrap();
    }

    #[test]
    fn a_deep_tree_needs_few_descriptors_and_nothing_in_its_middle_is_missed() {
        let (_temp, dir) = directory();
        let mut here = dir.try_clone().unwrap();
        for _ in 0..600 {
            // Both sides of every directory: one is walked after its sister's whole branch.
            here.lay_dir("a").unwrap().lay_file("file", 0o600).unwrap();
            here = here.lay_dir("b").unwrap();
        }
        let mut walk = Walk::new(&dir).unwrap();
        let (mut found, mut open) = (0, 0);
        while let Some(object) = walk.next() {
            object.unwrap();
            found += 1;
            open = open.max(walk.open.iter().filter(|level| level.dir.is_some()).count());
        }
        assert_eq!(found, 3 * 600);
        assert!(open <= 2 * OPEN + 2, "{open}");
        dir.remove_tree("b").unwrap();
    }
}
