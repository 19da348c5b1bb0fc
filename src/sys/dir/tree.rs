//! A whole tree, directory by directory: what an inventory needs of a million files, in bounded memory and few descriptors.
//!
//! The files of a directory come in the order of their inodes, in which a cold disk has them (`ext4(5)`: inodes of a
//! directory lie together). No link is followed and no mount crossed. Whatever the depth, at most [`OPEN`] directories are
//! open; others are reached again from above when their turn comes, and passed over where somebody exchanged them meanwhile.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use super::node::FileKind;
use super::{Dir, directory_flags};
use crate::error::{Error, Result};
use crate::sys::failure::failed;

/// The most directories that stay open, beside the one that is read.
const OPEN: usize = 64;
/// Of the deeper ones, each so many-th stays open: so long may a relative path be (`PATH_MAX`, limits.h(0p)).
const STEP: usize = 12;
/// How many names are looked at together.
const PIECE: usize = 1 << 16;
/// The longest path; deeper is reported and not entered.
const PATH_LIMIT: usize = 20_000;
/// The same in directories.
const DEPTH_LIMIT: usize = 5_000;
/// What the names of our own unfinished files begin with.
const OURS: &[u8] = b".octonas-";

/// A regular file, as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: OsString,
    /// Bytes.
    pub size: u64,
    /// Number of its inode.
    pub inode: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of anything, nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// A directory, or a piece of a large one.
#[derive(Debug)]
pub struct Listing {
    /// The directory.
    pub dir: Arc<Dir>,
    /// Its path below the top; empty is the top itself.
    pub path: PathBuf,
    /// Its regular files, by inode.
    pub files: Vec<Seen>,
    /// Links, FIFOs, devices: counted.
    pub others: u64,
    /// True for the first piece of a directory.
    pub is_first: bool,
    /// True for the last piece of a directory.
    pub is_last: bool,
}

/// The walk itself; a directory comes before those in it. An error tells of one directory and does not end the walk.
pub struct Tree {
    levels: Vec<Level>,
    except: Vec<OsString>,
}

struct Level {
    name: OsString,
    dir: Option<Arc<Dir>>,
    /// Device and inode, to know it again.
    place: (u64, u64),
    path: PathBuf,
    reading: Option<nix::dir::OwningIter>,
    is_first: bool,
    /// Directories that wait, the last one first.
    waiting: Vec<(u64, OsString)>,
}

impl Tree {
    /// Walks everything beneath `top` but what has one of these names directly in it.
    pub fn new(top: &Dir, except: &[&str]) -> Result<Self> {
        let top = Arc::new(top.try_clone()?.confined());
        let mut tree = Self {
            levels: Vec::new(),
            except: except.iter().map(OsString::from).collect(),
        };
        tree.enter(OsString::new(), top, PathBuf::new())?;
        Ok(tree)
    }

    fn enter(&mut self, name: OsString, dir: Arc<Dir>, path: PathBuf) -> Result<()> {
        let metadata = dir.metadata()?;
        let reading = dir
            .open_raw(
                Path::new("."),
                directory_flags(),
                nix::sys::stat::Mode::empty(),
            )
            .and_then(nix::dir::Dir::from_fd)
            .map_err(|e| failed("list", dir.path(), e))?;
        self.levels.push(Level {
            name,
            dir: Some(dir),
            place: (metadata.dev, metadata.ino),
            path,
            reading: Some(reading.into_iter()),
            is_first: true,
            waiting: Vec::new(),
        });
        // The top ones and every so many-th stay open; so few names lie between two of them.
        let deep = self.levels.len();
        if deep > OPEN
            && let Some(level) = self.levels.get_mut(deep - 1 - OPEN / 2)
            && !(deep - 1 - OPEN / 2).is_multiple_of(STEP)
        {
            level.dir = None;
        }
        Ok(())
    }

    /// The directory of the last level, opened again where it was let go.
    fn last_dir(&mut self) -> Result<Arc<Dir>> {
        let last = self.levels.len() - 1;
        if let Some(dir) = &self.levels[last].dir {
            return Ok(Arc::clone(dir));
        }
        let above = (0..last)
            .rev()
            .find(|&i| self.levels[i].dir.is_some())
            .unwrap_or(0);
        let level = &self.levels[last];
        let gone = || {
            Error::new(
                "path.missing",
                format!(
                    "{} was moved while it was looked through",
                    level.path.display()
                ),
            )
            .hint("run it again")
        };
        let mut dir = self.levels[above].dir.clone().ok_or_else(gone)?;
        let names: Vec<&OsStr> = self.levels[above + 1..=last]
            .iter()
            .map(|level| level.name.as_os_str())
            .collect();
        for names in names.chunks(STEP) {
            let path: PathBuf = names.iter().collect();
            dir = Arc::new(dir.open(&path)?.ok_or_else(gone)?);
        }
        let metadata = dir.metadata()?;
        if (metadata.dev, metadata.ino) != level.place {
            return Err(gone());
        }
        self.levels[last].dir = Some(Arc::clone(&dir));
        Ok(dir)
    }

    /// The next piece of the directory that is read, or the way into the next one.
    fn step(&mut self) -> Option<Result<Option<Listing>>> {
        let level = self.levels.last_mut()?;
        if level.reading.is_some() {
            let except: &[OsString] = if self.levels.len() == 1 {
                &self.except
            } else {
                &[]
            };
            let except = except.to_vec();
            let level = self.levels.last_mut()?;
            return Some(read_piece(level, &except).map(Some));
        }
        let Some((_, name)) = level.waiting.pop() else {
            self.levels.pop();
            return Some(Ok(None));
        };
        let path = level.path.join(&name);
        if self.levels.len() > DEPTH_LIMIT || path.as_os_str().len() > PATH_LIMIT {
            return Some(Err(Error::new(
                "tree.too-deep",
                format!(
                    "something lies more than {DEPTH_LIMIT} directories or {PATH_LIMIT} bytes deep below {} and is not looked at",
                    path.iter().take(3).collect::<PathBuf>().display()
                ),
            )
            .hint("move it up")));
        }
        Some(self.go_down(name, path).map(|()| None))
    }

    fn go_down(&mut self, name: OsString, path: PathBuf) -> Result<()> {
        let here = match self.last_dir() {
            Ok(here) => here,
            Err(error) => {
                // Everything that waits there is out of reach as well.
                if let Some(level) = self.levels.last_mut() {
                    level.waiting.clear();
                }
                return Err(error);
            }
        };
        match here.child(&name) {
            Ok(Some(dir)) => self.enter(name, Arc::new(dir), path),
            // Gone, or replaced by something else since.
            Ok(None) => Ok(()),
            Err(e) if matches!(e.code(), "path.link" | "path.not-directory") => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Reads names until there are enough, and looks at each.
fn read_piece(level: &mut Level, except: &[OsString]) -> Result<Listing> {
    let Some(dir) = level.dir.clone() else {
        return Err(failed("list", &level.path, Errno::ENOENT));
    };
    let mut names: Vec<(u64, OsString)> = Vec::new();
    let mut is_last = true;
    if let Some(reading) = &mut level.reading {
        for entry in reading.by_ref() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => {
                    level.reading = None;
                    return Err(failed("list", dir.path(), e));
                }
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || name.starts_with(OURS) {
                continue;
            }
            let name = OsStr::from_bytes(name);
            if !except.iter().any(|other| other == name) {
                names.push((entry.ino(), OsString::from_vec(name.as_bytes().to_vec())));
            }
            if names.len() == PIECE {
                is_last = false;
                break;
            }
        }
    }
    names.sort_unstable();
    let (mut files, mut others) = (Vec::with_capacity(names.len()), 0);
    for (inode, name) in names {
        let stat = match fstatat(&*dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => continue,
            Err(e) => {
                level.reading = None;
                return Err(failed("look at", &dir.path_of(&name), e));
            }
        };
        match FileKind::from_mode(stat.st_mode) {
            FileKind::File => files.push(Seen {
                name,
                size: stat.st_size.cast_unsigned(),
                inode: stat.st_ino,
                mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
                ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            }),
            FileKind::Directory => level.waiting.push((inode, name)),
            FileKind::Link | FileKind::Special => others += 1,
        }
    }
    let is_first = std::mem::replace(&mut level.is_first, false);
    if is_last {
        level.reading = None;
        level.waiting.sort_unstable_by(|a, b| b.cmp(a));
    }
    Ok(Listing {
        dir,
        path: level.path.clone(),
        files,
        others,
        is_first,
        is_last,
    })
}

fn nanoseconds(seconds: i64, fraction: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(fraction)
}

impl Iterator for Tree {
    type Item = Result<Listing>;

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
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn every_file_is_found_once_and_what_is_left_out_is_not() {
        let (temp, dir) = directory();
        let at = |path: &str| temp.path().join(path);
        for path in ["a/b/c", "landing/x", "metadata"] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        for path in [
            "a/1",
            "a/b/2",
            "top",
            "landing/x/3",
            "metadata/4",
            "a/.octonas-new-5",
            "a/.hidden",
        ] {
            std::fs::write(at(path), path).unwrap();
        }
        std::fs::write(at("a").join(OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
        symlink("/etc/passwd", at("a/link")).unwrap();
        symlink("/etc", at("a/etc")).unwrap();
        let mut files = BTreeMap::new();
        let mut others = 0;
        for listing in Tree::new(&dir, &["landing", "metadata"]).unwrap() {
            let listing = listing.unwrap();
            assert!(listing.is_first && listing.is_last);
            assert!(listing.files.is_sorted_by_key(|file| file.inode));
            others += listing.others;
            for file in listing.files {
                files.insert(listing.path.join(&file.name), file.size);
            }
        }
        let expected: BTreeMap<PathBuf, u64> = [
            (PathBuf::from("a/.hidden"), 9),
            ("a/1".into(), 3),
            ("a/b/2".into(), 5),
            (Path::new("a").join(OsStr::from_bytes(b"caf\xe9")), 1),
            ("top".into(), 3),
        ]
        .into();
        assert_eq!((files, others), (expected, 2));
    }

    #[test]
    fn a_tree_five_hundred_directories_deep_is_walked_with_few_descriptors() {
        let (_temp, dir) = directory();
        let mut here = dir.try_clone().unwrap();
        let name = "d".repeat(255);
        for _ in 0..500 {
            here.create_dir("side", 0o700).unwrap();
            here.create_dir(&name[..30], 0o700).unwrap();
            here = here.existing(&name[..30]).unwrap();
        }
        here.create_dir(&name, 0o700).unwrap();
        drop(here);
        let before = open_descriptors();
        let (mut found, mut most) = (0, 0);
        for listing in Tree::new(&dir, &[]).unwrap() {
            listing.unwrap();
            found += 1;
            most = most.max(open_descriptors());
        }
        assert_eq!(found, 1002);
        assert!(most < before + OPEN + 500 / STEP + 20, "{before} {most}");
        // The test harness runs others at the same time; the directory itself goes by descriptors too.
        dir.remove_tree(&name[..30]).unwrap();
    }
}
