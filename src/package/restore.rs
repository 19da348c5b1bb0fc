//! Bringing back what a package holds: taken apart into a tree of ours, verified there from the disk, and only then named.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::finding::{Findings, Severity};
use super::frames::{Entry, Kind};
use super::seen::Said;
use super::sink::{Entry as Written, Sink as _};
use super::source::{self, Limits, Package, Visitor};
use super::tree::Tree;
use super::verify::{self, plain};
use super::{path, sink};
use crate::error::{Error, Result};
use crate::report::Progress;
use crate::sys::dir::{Dir, FileKind};
use crate::sys::walk::Walk;
use crate::sys::{fault, process};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// What is left free on the disk, in bytes.
const SPARE: u64 = 64 << 20;

/// A bag that was taken apart and verified: where it lies below the tree, and what it says of itself.
#[derive(Debug)]
pub struct Unpacked {
    /// Its directory below the tree; empty where it is the tree.
    pub top: PathBuf,
    /// What it says.
    pub said: Said,
}

/// Takes the package at an absolute path apart into `tree`, which is empty, and verifies it there. One that is not a valid bag is
/// the error `package.invalid`.
pub fn unpack(
    from: &Path,
    tree: &Dir,
    options: &verify::Options,
    progress: &dyn Progress,
) -> Result<Unpacked> {
    let mut findings = Findings::default();
    match Package::open(from)? {
        Package::Directory(dir) => copy(&dir, tree)?,
        Package::Container {
            file,
            size,
            encrypted,
        } => {
            let mut limits = Limits::of(size);
            limits.bytes = options.max_size.unwrap_or(limits.bytes);
            // A bomb must not fill the disk either.
            let room = tree.free()?.saturating_sub(SPARE);
            let is_full = room < limits.bytes;
            limits.bytes = limits.bytes.min(room);
            let mut growing = Growing::new(tree);
            let identity = options.identity.as_ref();
            source::visit(
                &file,
                encrypted,
                identity,
                limits,
                &mut growing,
                &mut findings,
            )?;
            if is_full && findings.count("container.bomb") > 0 {
                return Err(Error::new(
                    "disk.full",
                    format!(
                        "{} becomes more than the {room} bytes that {} has room for",
                        from.display(),
                        tree.path().display()
                    ),
                )
                .hint("make room, or restore to another disk"));
            }
            growing.finish(&mut findings)?;
        }
    }
    fault::point("restore.unpacked")?;
    let top = top(tree)?;
    let (said, top) = match &top {
        Some(top) if findings.is_valid() => {
            let bag = tree.open(top)?.ok_or_else(gone)?;
            (
                verify::directory(&bag, options, progress, &mut findings)?,
                top.clone(),
            )
        }
        _ => (Said::default(), PathBuf::new()),
    };
    if top.as_os_str().is_empty() && said.version.is_empty() && findings.is_valid() {
        findings.error(
            "bag.none",
            "",
            "there is no bagit.txt in it: this is no bag",
        );
    }
    let mut wrong = findings
        .found
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    if let Some(first) = wrong.next() {
        let more = wrong.count();
        let at = if first.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", first.path)
        };
        return Err(Error::new(
            "package.invalid",
            format!(
                "{} is not brought back: {at}{} [{}]",
                from.display(),
                first.message,
                first.code
            ),
        )
        .hint(format!(
            "{}`octonas package verify` tells everything",
            if more > 0 {
                format!("and {more} more; ")
            } else {
                String::new()
            }
        )));
    }
    fault::point("restore.verified")?;
    Ok(Unpacked { top, said })
}

fn gone() -> Error {
    Error::new("path.missing", "what was taken apart went away")
        .hint("run it again, and see who removes files there")
}

/// The directory of the bag in a tree: the tree itself, or the only one in it that is a bag.
fn top(tree: &Dir) -> Result<Option<PathBuf>> {
    if tree.stat("bagit.txt")?.is_some() {
        return Ok(Some(PathBuf::new()));
    }
    let mut found = None;
    for entry in tree.entries()? {
        if entry.kind == FileKind::Directory
            && let Some(dir) = tree.child(&entry.name)?
            && dir.stat("bagit.txt")?.is_some()
            && found.replace(PathBuf::from(entry.name)).is_some()
        {
            return Ok(None);
        }
    }
    Ok(found)
}

/// A container that becomes a tree.
struct Growing<'g> {
    tree: Tree<'g>,
    known: std::collections::BTreeSet<String>,
    writing: bool,
    findings: Vec<(&'static str, String, &'static str)>,
}

impl<'g> Growing<'g> {
    fn new(dir: &'g Dir) -> Self {
        Self {
            tree: Tree::new(dir),
            known: std::collections::BTreeSet::new(),
            writing: false,
            findings: Vec::new(),
        }
    }

    fn finish(self, findings: &mut Findings) -> Result<()> {
        for (code, path, why) in self.findings {
            findings.error(code, path, why);
        }
        self.tree.finish()
    }
}

impl Visitor for Growing<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.writing = false;
        let path = match plain(entry) {
            Ok(path) if path.is_empty() => return Ok(()),
            Ok(path) => path,
            Err(finding) => {
                self.findings.push(finding);
                return Ok(());
            }
        };
        let modified = Timestamp::new(
            entry.seconds,
            i32::try_from(entry.nanoseconds).unwrap_or_default(),
        )
        .unwrap_or_default();
        if entry.kind == Kind::Directory {
            return self.placed(path, |tree, path| tree.directory(path, modified));
        }
        if !self.known.insert(path.clone()) {
            self.findings
                .push(("container.twice", path, "it is in the container twice"));
            return Ok(());
        }
        fault::point("restore.file")?;
        let written = |tree: &mut Tree<'_>, path: &str| {
            let entry = Written {
                path,
                size: entry.size,
                modified,
                executable: entry.mode & 0o100 != 0,
            };
            tree.begin(&entry, None).map(|_| ())
        };
        self.writing = true;
        self.placed(path, written)
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        if self.writing {
            self.tree.piece(bytes)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::take(&mut self.writing) {
            self.tree.end()?;
        }
        Ok(())
    }
}

impl Growing<'_> {
    /// A file where a directory should be, or the other way round, is the container's mistake.
    fn placed(
        &mut self,
        path: String,
        put: impl FnOnce(&mut Tree<'_>, &str) -> Result<()>,
    ) -> Result<()> {
        match put(&mut self.tree, &path) {
            Err(error) if matches!(error.code(), "path.not-directory" | "path.exists") => {
                self.writing = false;
                let why = "it is a file and a directory at the same time";
                self.findings.push(("container.twice", path, why));
                Ok(())
            }
            other => other,
        }
    }
}

/// A copy of a bag that is a directory; blocks are shared where they can be. Links are found by the verification of the
/// original's twin: here they are refused.
fn copy(from: &Dir, tree: &Dir) -> Result<()> {
    let mut copy = Tree::new(tree);
    let mut buffer = vec![0; PIECE];
    for found in Walk::new(from)? {
        process::check_interrupted()?;
        let found = found?;
        let refuse = |what: &str| {
            Error::new(
                "package.invalid",
                format!("{} {what}", found.path.display()),
            )
            .hint("`octonas package verify` tells everything")
        };
        let path = found
            .path
            .to_str()
            .ok_or_else(|| refuse("has a name that is not UTF-8"))?;
        match found.metadata.kind {
            FileKind::Directory => copy.directory(path, found.metadata.modified)?,
            FileKind::File => {
                let node = found
                    .node()?
                    .ok_or_else(|| refuse("was replaced meanwhile"))?;
                fault::point("restore.file")?;
                let entry = Written {
                    path,
                    size: found.metadata.size,
                    modified: found.metadata.modified,
                    executable: found.metadata.mode & 0o100 != 0,
                };
                if copy.begin(&entry, Some(node.file()))?.is_none() {
                    pour(node.file(), node.path(), &mut copy, &mut buffer)?;
                }
                copy.end()?;
            }
            FileKind::Link => return Err(refuse("is a symbolic link")),
            FileKind::Special => return Err(refuse("is no regular file")),
        }
    }
    copy.finish()
}

fn pour(mut from: &File, path: &Path, to: &mut dyn sink::Sink, buffer: &mut [u8]) -> Result<()> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.piece(buffer.get(..read).unwrap_or_default())?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(crate::sys::dir::spoiled("read", path, &e)),
        }
    }
}

/// Makes the empty directories again that a container may have lost: paths as in a manifest, one a line.
pub fn folders(bag: &Dir, text: &str) -> Result<()> {
    for line in text.lines().filter(|line| !line.is_empty()) {
        let folder = path::decode(line);
        if path::escapes(&folder).is_some() || !folder.starts_with("data/") {
            return Err(nonsense(line));
        }
        let mut dir = bag.try_clone()?;
        for part in folder.split('/') {
            dir = dir.lay_dir(part)?;
        }
    }
    Ok(())
}

/// Gives files the names back that are not UTF-8.
pub fn names(bag: &Dir, text: &str) -> Result<()> {
    let mut rows: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let row: BTreeMap<String, String> =
            serde_json::from_str(line).map_err(|_| nonsense(line))?;
        let (Some(path), Some(hex)) = (row.get("path"), row.get("bytes")) else {
            return Err(nonsense(line));
        };
        if path::escapes(path).is_some() || !path.starts_with("data/") || hex.len() % 2 == 1 {
            return Err(nonsense(line));
        }
        let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        rows.insert(path.clone(), bytes.ok_or_else(|| nonsense(line))?);
    }
    // What lies deeper first: the directories on the way still have the names that the package gave them.
    for (given, bytes) in rows.iter().rev() {
        let original = OsString::from_vec(bytes.clone());
        let (parent, name) = given.rsplit_once('/').unwrap_or(("", given));
        let Some(own) = Path::new(&original).file_name() else {
            return Err(nonsense(given));
        };
        if path::told(own.as_bytes()) != name {
            return Err(nonsense(given));
        }
        if own == name {
            continue;
        }
        if let Some(dir) = bag.open(parent)?
            && dir.stat(name)?.is_some()
        {
            dir.lay_name(name, own)?;
        }
    }
    Ok(())
}

fn nonsense(line: &str) -> Error {
    Error::new(
        "package.invalid",
        format!(
            "a line of octonas/ in the package makes no sense: {}",
            crate::experiment::text::quote(line)
        ),
    )
    .hint("`octonas package verify` tells whether it was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_empty_directories_come_back_and_lead_nowhere_else() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let data = dir.lay_dir("data").unwrap();
        let below = data.lay_dir("_xE9_").unwrap();
        below.lay_file("_xFF_.csv", 0o600).unwrap();
        let rows = concat!(
            r#"{"path":"data/_xE9_","bytes":"e9"}"#,
            "\n",
            r#"{"path":"data/_xE9_/_xFF_.csv","bytes":"e92fff2e637376"}"#,
        );
        names(&dir, rows).unwrap();
        let below = data.child(std::ffi::OsStr::from_bytes(b"\xe9")).unwrap();
        let name = std::ffi::OsStr::from_bytes(b"\xff.csv");
        assert!(below.unwrap().stat(name).unwrap().is_some());
        folders(&dir, "data/a/b\ndata/c%25\n").unwrap();
        assert!(dir.open("data/a/b").unwrap().is_some());
        assert!(dir.open("data/c%").unwrap().is_some());
        for wrong in ["data/../../x", "x", "/x"] {
            assert_eq!(folders(&dir, wrong).unwrap_err().code(), "package.invalid");
        }
        for wrong in [
            r#"{"path":"data/c%","bytes":"2e2e2f78"}"#,
            r#"{"path":"../x","bytes":"78"}"#,
            r#"{"path":"data/c%","bytes":"7"}"#,
            "x",
        ] {
            assert_eq!(names(&dir, wrong).unwrap_err().code(), "package.invalid");
        }
    }
}
