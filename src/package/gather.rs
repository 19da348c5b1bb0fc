//! What of an experiment goes into a package, by names, sizes and times: one walk, in the order of the package.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::path::told;
use super::pick::Pattern;
use crate::error::{Error, Result};
use crate::sys::dir::{Dir, FileKind, Metadata};
use crate::sys::walk::Walk;

/// Directories of an experiment that hold no data of its members.
const APART: [&str; 2] = ["metadata", "landing"];

/// What of `metadata/` is public: names, or directories with everything in them.
const DOCUMENTS: [&str; 7] = [
    "README.",
    "ACCESS.",
    "DATA-DICTIONARY.",
    "CITATION.cff",
    "LICENCE.txt",
    "dmp-answers.yaml",
    "dmp/",
];

/// A file that goes into a package. There may be millions: nothing is in it that is not needed.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it lies in the bag: `data/raw/…`.
    pub path: Box<str>,
    /// Where it lies below the experiment, where that is not the path without `data/`.
    other: Option<Box<Path>>,
    /// Device and number of the inode.
    pub object: (u64, u64),
    /// Bytes.
    pub size: u64,
    /// Last change of content.
    pub modified: Timestamp,
    /// A program.
    pub executable: bool,
}

impl Item {
    /// Where it lies below the experiment.
    pub fn below(&self) -> &Path {
        match &self.other {
            Some(other) => other,
            None => Path::new(self.path.strip_prefix("data/").unwrap_or(&self.path)),
        }
    }

    /// It is what was found, of the same size and age.
    pub fn is(&self, now: &Metadata) -> bool {
        now.kind == FileKind::File
            && (now.dev, now.ino, now.size, now.modified)
                == (self.object.0, self.object.1, self.size, self.modified)
    }
}

/// A directory that goes into a package.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it lies in the bag.
    pub path: String,
    /// Last change of the names in it.
    pub modified: Timestamp,
    /// True where nothing in it goes into the package.
    pub is_empty: bool,
}

/// Everything that goes into a package.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Files, by path.
    pub items: Vec<Item>,
    /// Directories, by path.
    pub folders: Vec<Folder>,
    /// Paths that have another name in the package, because theirs is not UTF-8: the path in the bag, the bytes on the disk.
    pub renamed: Vec<(String, Vec<u8>)>,
    /// What is no file and no directory: path in the bag, what it is.
    pub left_out: Vec<(String, &'static str)>,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Walks an experiment. `only` leaves out the files that none of its patterns means; documents stay.
pub fn gather(experiment: &Dir, only: &[Pattern]) -> Result<Gathered> {
    let mut found = Gathered::default();
    for entry in experiment.entries()? {
        let apart = APART.iter().any(|name| entry.name == *name);
        // What a killed run of ours left.
        let unfinished = entry.name.as_bytes().starts_with(b".octonas-");
        if apart || unfinished {
            continue;
        }
        let Some(metadata) = experiment.stat(&entry.name)? else {
            continue;
        };
        let top = PathBuf::from(&entry.name);
        let wanted = |path: &str| only.is_empty() || only.iter().any(|each| each.matches(path));
        found.add(&top, metadata, &wanted);
        if metadata.kind == FileKind::Directory
            && let Some(dir) = experiment.child(&entry.name)?
        {
            for below in Walk::new(&dir)? {
                let below = below.map_err(unreadable)?;
                found.add(&top.join(&below.path), below.metadata, &wanted);
            }
        }
    }
    if let Some(metadata) = experiment.child("metadata")? {
        for below in Walk::new(&metadata)? {
            let below = below.map_err(unreadable)?;
            let name = below.path.to_string_lossy().into_owned();
            if is_document(&name) && !hidden(&below.path) {
                let path = Path::new("metadata").join(&below.path);
                found.add(&path, below.metadata, &|_| true);
            }
        }
    }
    for item in &found.items {
        if !experiment.can_hold(item.size)? {
            let text = format!(
                "{} claims more bytes than its disk holds",
                item.below().display()
            );
            return Err(unreadable(
                Error::new("file.too-large", text)
                    .hint("it is made of holes: see who made it, and remove it"),
            ));
        }
    }
    found.settle(!only.is_empty())?;
    Ok(found)
}

/// True for what has this name in `metadata/` and goes into packages.
pub fn is_document(name: &str) -> bool {
    DOCUMENTS
        .iter()
        .any(|each| name.starts_with(each) || format!("{name}/") == *each)
}

/// Work of ours in between.
fn hidden(path: &Path) -> bool {
    path.iter()
        .any(|part| part.as_bytes().starts_with(b".octonas-"))
}

fn unreadable(error: Error) -> Error {
    Error::new(
        "package.unreadable",
        "not everything that belongs into the package can be read",
    )
    .hint("see to it, or leave it out with --only")
    .source(error)
}

impl Gathered {
    fn add(&mut self, below: &Path, metadata: Metadata, wanted: &impl Fn(&str) -> bool) {
        let name = told(below.as_os_str().as_bytes());
        let path = format!("data/{name}");
        match metadata.kind {
            FileKind::Directory => self.folders.push(Folder {
                path: path.clone(),
                modified: metadata.modified,
                is_empty: false,
            }),
            _ if !wanted(&name) => return,
            FileKind::File => {
                self.bytes = self.bytes.saturating_add(metadata.size);
                self.items.push(Item {
                    other: below.to_str().is_none().then(|| below.into()),
                    path: path.clone().into(),
                    object: (metadata.dev, metadata.ino),
                    size: metadata.size,
                    modified: metadata.modified,
                    executable: metadata.mode & 0o111 != 0,
                });
            }
            FileKind::Link => self.left_out.push((path, "symbolic link")),
            FileKind::Special => self.left_out.push((path, "device, FIFO or socket")),
        }
        let is_renamed = |name: &OsStr| name.to_str().is_none();
        if is_renamed(below.as_os_str()) && metadata.kind != FileKind::Link {
            self.renamed.push((
                format!("data/{name}"),
                below.as_os_str().as_bytes().to_vec(),
            ));
        }
    }

    /// Sorts, finds what is empty, and refuses two that would have the same name.
    fn settle(&mut self, partial: bool) -> Result<()> {
        self.items.shrink_to_fit();
        self.items.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.folders.sort_by(|a, b| a.path.cmp(&b.path));
        self.renamed.sort();
        self.left_out.sort();
        let pairs = self
            .items
            .windows(2)
            .map(|pair| (&*pair[0].path, &*pair[1].path));
        let folders = self
            .folders
            .windows(2)
            .map(|pair| (pair[0].path.as_str(), pair[1].path.as_str()));
        if let Some((path, _)) = pairs.chain(folders).find(|(a, b)| a == b) {
            return Err(Error::new(
                "package.twins",
                format!("two files would both be {path} in the package"),
            )
            .hint("one of them has a name that is no UTF-8: give it another one"));
        }
        let mut full: BTreeSet<&str> = BTreeSet::new();
        let paths = self.items.iter().map(|item| &*item.path);
        for path in paths.chain(self.folders.iter().map(|folder| folder.path.as_str())) {
            if let Some((parent, _)) = path.rsplit_once('/') {
                full.insert(parent);
            }
        }
        let empty: Vec<bool> = self
            .folders
            .iter()
            .map(|folder| !full.contains(folder.path.as_str()))
            .collect();
        for (folder, is_empty) in self.folders.iter_mut().zip(empty) {
            folder.is_empty = is_empty;
        }
        if partial {
            // Directories of what was not asked for.
            let mut holds: BTreeSet<&str> = BTreeSet::new();
            for item in &self.items {
                let mut path = &*item.path;
                while let Some((parent, _)) = path.rsplit_once('/') {
                    holds.insert(parent);
                    path = parent;
                }
            }
            self.folders
                .retain(|folder| holds.contains(folder.path.as_str()));
        }
        Ok(())
    }

    /// The empty directories.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        self.folders
            .iter()
            .filter(|folder| folder.is_empty)
            .map(|folder| folder.path.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let raw = dir.lay_dir("raw").unwrap();
        raw.lay_dir("empty").unwrap();
        raw.lay_file("a.csv", 0o600).unwrap();
        raw.lay_file(OsStr::from_bytes(b"caf\xe9.csv"), 0o600)
            .unwrap();
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("raw/link")).unwrap();
        dir.lay_dir("docs")
            .unwrap()
            .lay_file("b.txt", 0o600)
            .unwrap();
        dir.lay_dir("landing")
            .unwrap()
            .lay_file("x", 0o600)
            .unwrap();
        let metadata = dir.lay_dir("metadata").unwrap();
        for name in ["README.en.md", "applied.jsonl", "experiment.yaml"] {
            metadata.lay_file(name, 0o600).unwrap();
        }
        metadata
            .lay_dir("dmp")
            .unwrap()
            .lay_file("plan.json", 0o600)
            .unwrap();
        (temp, dir)
    }

    fn paths(found: &Gathered) -> Vec<&str> {
        found.items.iter().map(|item| &*item.path).collect()
    }

    #[test]
    fn data_and_documents_go_into_a_package_and_nothing_private() {
        let (_temp, dir) = tree();
        let found = gather(&dir, &[]).unwrap();
        assert_eq!(
            paths(&found),
            [
                "data/docs/b.txt",
                "data/metadata/README.en.md",
                "data/metadata/dmp/plan.json",
                "data/raw/a.csv",
                "data/raw/caf_xE9_.csv",
            ]
        );
        assert_eq!(found.empty().collect::<Vec<_>>(), ["data/raw/empty"]);
        let renamed = (
            "data/raw/caf_xE9_.csv".to_owned(),
            b"raw/caf\xe9.csv".to_vec(),
        );
        assert_eq!(found.renamed, [renamed]);
        assert_eq!(
            found.left_out,
            [("data/raw/link".to_owned(), "symbolic link")]
        );
    }

    #[test]
    fn a_part_is_what_was_asked_for_with_the_documents() {
        let (_temp, dir) = tree();
        let found = gather(&dir, &[Pattern::parse("docs").unwrap()]).unwrap();
        assert_eq!(paths(&found)[0], "data/docs/b.txt");
        assert_eq!(found.items.len(), 3);
        let folders: Vec<&str> = found.folders.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(folders, ["data/docs", "data/metadata/dmp"]);
    }

    #[test]
    fn two_files_never_become_one() {
        let (_temp, dir) = tree();
        dir.existing("raw")
            .unwrap()
            .lay_file("caf_xE9_.csv", 0o600)
            .unwrap();
        assert_eq!(gather(&dir, &[]).unwrap_err().code(), "package.twins");
    }
}
