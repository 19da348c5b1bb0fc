//! Checking any bag, ours or not: a directory (several files at once), or a container (in one pass, where its beginning says which
//! checksums its manifests will have; otherwise in two).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::algorithm::{Algorithm, Digests, Hasher};
use super::bag::MANIFESTS;
use super::finding::Findings;
use super::frames::{Entry, Kind};
use super::manifest;
use super::pace::{Pace, Work};
use super::path::escapes;
use super::seen::{self, Said, Seen};
use super::source::{self, Limits, Package, Visitor};
use super::tags;
use crate::error::{Error, Result};
use crate::report::Progress;
use crate::sys::dir::{Buffer, Dir, FileKind};
use crate::sys::process;
use crate::sys::walk::Walk;

/// Bytes that are read at once: what stays in a processor's own cache, and, past the page cache, what is worth waiting for.
const WARM: usize = 128 << 10;
const COLD: usize = 1 << 20;
/// Files of this size come before all others: no thread is left alone with one at the end.
const LARGE: u64 = 64 << 20;
/// How many checksums a thread tells of at once.
const TOGETHER: usize = 32;

/// How to verify.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The file with the private key that opens it.
    pub identity: Option<PathBuf>,
    /// How many bytes a container may become.
    pub max_size: Option<u64>,
    /// Read from the disk and not from what the kernel remembers.
    pub cold: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Where it lies.
    pub path: String,
    /// True where it is a valid bag.
    pub valid: bool,
    /// It was encrypted.
    pub encrypted: bool,
    /// What it says of itself.
    #[serde(flatten)]
    pub said: Said,
    /// What is to be said of it.
    #[serde(flatten)]
    pub findings: Findings,
    /// How long it took.
    pub seconds: f64,
}

/// Verifies what lies at an absolute path.
pub fn verify(path: &Path, options: &Options, progress: &dyn Progress) -> Result<Verdict> {
    let start = Instant::now();
    let mut findings = Findings::default();
    let (said, encrypted) = match Package::open(path)? {
        Package::Directory(dir) => (directory(&dir, options, progress, &mut findings)?, false),
        Package::Container {
            file,
            size,
            encrypted,
        } => {
            let said = container(&file, size, encrypted, options, progress, &mut findings)?;
            (said, encrypted)
        }
    };
    Ok(Verdict {
        path: path.display().to_string(),
        valid: findings.is_valid(),
        encrypted,
        said,
        findings,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Verifies a bag in a container.
pub fn container(
    file: &File,
    size: u64,
    encrypted: bool,
    options: &Options,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> Result<Said> {
    let mut limits = Limits::of(size);
    limits.bytes = options.max_size.unwrap_or(limits.bytes);
    let read = |algorithms: &[Algorithm], findings: &mut Findings| {
        let pace = Pace::new(progress, Work::Verifying, 0);
        let mut reading = Reading::new(algorithms, pace);
        let identity = options.identity.as_ref();
        source::visit(file, encrypted, identity, limits, &mut reading, findings)?;
        reading.settle(findings)
    };
    let mut first = Findings::default();
    let mut seen = read(&[Algorithm::Sha256], &mut first)?;
    let wanted = wanted(&seen);
    let has_all = |digests: &Digests| wanted.iter().all(|each| digests.get(*each).is_some());
    let is_whole = !first
        .found
        .iter()
        .any(|each| each.code.starts_with("container."));
    if is_whole && !seen.files.values().all(has_all) {
        first = Findings::default();
        seen = read(&wanted, &mut first)?;
    }
    *findings = first;
    if findings.count("bag.none") > 0 {
        return Ok(Said::default());
    }
    Ok(seen::judge(&seen, findings))
}

/// The checksums that manifests ask for.
fn wanted(seen: &Seen) -> Vec<Algorithm> {
    let names = seen.tags.keys().filter_map(|file| manifest::kind(file));
    let all: BTreeSet<Algorithm> = names
        .filter_map(|(_, name)| Algorithm::named(name))
        .collect();
    all.into_iter().collect()
}

/// Verifies a bag that is a directory.
pub fn directory(
    dir: &Dir,
    options: &Options,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> Result<Said> {
    let mut seen = Seen::default();
    let mut files = Vec::new();
    for found in Walk::new(dir)? {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                findings.error("bag.unreadable", "", error.to_string());
                continue;
            }
        };
        let Some(path) = found.path.to_str() else {
            let path = found.path.to_string_lossy().into_owned();
            findings.error(
                "name.encoding",
                path,
                "the name is not UTF-8: no manifest can list it",
            );
            continue;
        };
        match found.metadata.kind {
            FileKind::File => files.push((path.to_owned(), found.metadata.size)),
            FileKind::Directory => {
                seen.folders.insert(path.to_owned());
            }
            FileKind::Link => findings.error("path.link", path, "it is a symbolic link"),
            FileKind::Special => findings.error("path.special", path, "it is no regular file"),
        }
    }
    let tags: Vec<_> = files
        .iter()
        .filter(|(path, _)| seen::is_tag(path))
        .collect();
    let all: u64 = tags.iter().map(|(_, size)| size).sum();
    for (path, size) in tags {
        if let Some(why) = seen::too_large(path, *size, all) {
            findings.error("tag.too-large", path, why);
            continue;
        }
        match dir.read(path, *size) {
            Ok(bytes) => seen.tags.extend(bytes.map(|bytes| (path.clone(), bytes))),
            Err(error) if error.code() == "file.too-large" => {
                findings.error("tag.too-large", path, "it grows while it is read");
            }
            Err(error) => return Err(error),
        }
    }
    let mut algorithms = wanted(&seen);
    if algorithms.is_empty() {
        algorithms.push(Algorithm::Sha256);
    }
    files.sort_by_key(|(_, size)| *size < LARGE);
    let total = files.iter().map(|(_, size)| size).sum();
    let mut pace = Pace::new(progress, Work::Verifying, total);
    for (path, result) in hash_all(dir, &files, &algorithms, options.cold, &mut pace) {
        match result {
            Ok(digests) => {
                seen.files.insert(path.into(), digests);
            }
            Err(error) if error.code() == "interrupted" => return Err(error),
            Err(error) => findings.error("file.unreadable", path, error.to_string()),
        }
    }
    Ok(seen::judge(&seen, findings))
}

type Hashed = (String, Result<Digests>);

/// Checksums of files, by as many threads as there are processors.
fn hash_all(
    dir: &Dir,
    files: &[(String, u64)],
    algorithms: &[Algorithm],
    cold: bool,
    pace: &mut Pace<'_>,
) -> Vec<Hashed> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (told, results) = std::sync::mpsc::channel::<Vec<Hashed>>();
    let mut all = Vec::with_capacity(files.len());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(files.len()) {
            let told = told.clone();
            let next = &next;
            scope.spawn(move || {
                let mut hasher = Hasher::new(algorithms);
                let mut buffer = Buffer::new(if cold { COLD } else { WARM });
                let mut last: Option<(String, Dir)> = None;
                let mut done = Vec::new();
                while let Some((path, size)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = hash(dir, &mut last, path, &mut hasher, &mut buffer, cold);
                    done.push((path.clone(), result));
                    let is_worth_a_word = done.len() == TOGETHER || *size >= LARGE;
                    if is_worth_a_word && told.send(std::mem::take(&mut done)).is_err() {
                        return;
                    }
                }
                // Whoever waits for it is there until all threads ended.
                let _ = told.send(done);
            });
        }
        drop(told);
        while let Ok(done) = results.recv() {
            let bytes = done.iter().filter_map(|(_, result)| result.as_ref().ok());
            pace.add(bytes.map(|digests| digests.size).sum());
            all.extend(done);
        }
    });
    all
}

fn hash(
    top: &Dir,
    last: &mut Option<(String, Dir)>,
    path: &str,
    hasher: &mut Hasher,
    buffer: &mut Buffer,
    cold: bool,
) -> Result<Digests> {
    process::check_interrupted()?;
    let gone = || {
        Error::new("path.missing", format!("{path} went away"))
            .hint("verify when nobody writes there")
    };
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    if last.as_ref().is_none_or(|(known, _)| known != parent) {
        *last = Some((parent.to_owned(), top.open(parent)?.ok_or_else(gone)?));
    }
    let Some((_, dir)) = last else {
        return Err(gone());
    };
    let mut file = dir.reading(name, cold)?.ok_or_else(gone)?;
    loop {
        match file.next(buffer) {
            Ok([]) => return Ok(hasher.take()),
            Ok(bytes) => hasher.update(bytes),
            Err(error) => {
                hasher.take();
                return Err(error);
            }
        }
    }
}

/// A container, as it goes by.
struct Reading<'r> {
    hasher: Hasher,
    algorithms: Vec<Algorithm>,
    pace: Pace<'r>,
    /// Everything by its path in the container.
    files: BTreeMap<Box<str>, Digests>,
    folders: BTreeSet<String>,
    tags: BTreeMap<String, Vec<u8>>,
    tag_bytes: u64,
    now: Option<(String, bool)>,
    findings: Vec<(&'static str, String, &'static str)>,
}

impl<'r> Reading<'r> {
    fn new(algorithms: &[Algorithm], pace: Pace<'r>) -> Self {
        Self {
            hasher: Hasher::new(algorithms),
            algorithms: algorithms.to_vec(),
            pace,
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            tags: BTreeMap::new(),
            tag_bytes: 0,
            now: None,
            findings: Vec::new(),
        }
    }

    /// What was seen, below the one bag that lies in it.
    fn settle(mut self, findings: &mut Findings) -> Result<Seen> {
        process::check_interrupted()?;
        for (code, path, why) in self.findings.drain(..) {
            findings.error(code, path, why);
        }
        let mut tops: Vec<String> = self
            .tags
            .keys()
            .filter_map(|path| path.strip_suffix("bagit.txt"))
            .map(str::to_owned)
            .collect();
        if tops.iter().any(String::is_empty) {
            // What lies deeper is payload.
            tops.retain(String::is_empty);
        }
        let top = match (tops.pop(), tops.is_empty()) {
            (Some(top), true) => top,
            (None, _) => {
                findings.error(
                    "bag.none",
                    "",
                    "there is no bagit.txt in it: this is no bag",
                );
                return Ok(Seen::default());
            }
            (Some(_), false) => {
                findings.error("bag.none", "", "there is not exactly one bag in it");
                return Ok(Seen::default());
            }
        };
        let below = |path: &str| path.strip_prefix(&top).map(Box::from);
        for path in self.files.keys().filter(|path| !path.starts_with(&top)) {
            findings.warn("container.outside", &**path, "it lies beside the bag");
        }
        let folders = self
            .folders
            .iter()
            .filter_map(|path| path.strip_prefix(&top).map(str::to_owned))
            .collect();
        // Each is moved, not copied: there may be millions.
        let files = self
            .files
            .into_iter()
            .filter_map(|(path, digests)| Some((below(&path)?, digests)))
            .collect();
        let tags = self
            .tags
            .into_iter()
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&top)?.to_owned(), bytes)))
            .filter(|(path, _)| seen::is_tag(path))
            .collect();
        Ok(Seen {
            files,
            folders,
            tags,
        })
    }
}

/// The plain path of an entry; why there is none.
pub fn plain(entry: &Entry) -> Result<String, (&'static str, String, &'static str)> {
    let lossy = || String::from_utf8_lossy(&entry.path).into_owned();
    let Ok(path) = std::str::from_utf8(&entry.path) else {
        let why = "the name is not UTF-8: no manifest can list it";
        return Err(("name.encoding", lossy(), why));
    };
    let mut path = path;
    while let Some(short) = path.strip_prefix("./") {
        path = short;
    }
    let path = path.trim_end_matches('/');
    match entry.kind {
        Kind::Link => return Err(("path.link", lossy(), "it is a link")),
        Kind::Other => return Err(("path.special", lossy(), "it is no regular file")),
        Kind::File | Kind::Directory => {}
    }
    if path.is_empty() || path == "." {
        return match entry.kind {
            Kind::Directory => Ok(String::new()),
            _ => Err(("path.escapes", lossy(), "it has no name")),
        };
    }
    match escapes(path) {
        Some(why) => Err(("path.escapes", lossy(), why)),
        None => Ok(path.to_owned()),
    }
}

impl Visitor for Reading<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        self.now = None;
        let path = match plain(entry) {
            Ok(path) => path,
            Err(finding) => {
                self.findings.push(finding);
                return Ok(());
            }
        };
        if entry.kind == Kind::Directory {
            self.folders.insert(path);
            return Ok(());
        }
        if self.files.contains_key(path.as_str()) {
            self.findings
                .push(("container.twice", path, "it is in the container twice"));
            return Ok(());
        }
        // At the top, or in the one directory of the top.
        let below = path.split_once('/').map_or(path.as_str(), |(_, rest)| rest);
        let mut is_tag = seen::is_tag(&path) || seen::is_tag(below);
        if is_tag {
            self.tag_bytes = self.tag_bytes.saturating_add(entry.size);
            if let Some(why) = seen::too_large(&path, entry.size, self.tag_bytes) {
                self.findings.push(("tag.too-large", path.clone(), why));
                is_tag = false;
            }
        }
        if is_tag {
            self.tags.insert(path.clone(), Vec::new());
        }
        self.now = Some((path, is_tag));
        Ok(())
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        self.pace.add(bytes.len() as u64);
        if let Some((path, is_tag)) = &self.now {
            self.hasher.update(bytes);
            if *is_tag && let Some(kept) = self.tags.get_mut(path) {
                kept.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some((path, is_tag)) = self.now.take() else {
            return Ok(());
        };
        let digests = self.hasher.take();
        if is_tag && path.ends_with("bag-info.txt") {
            self.announced(&path);
        }
        self.files.insert(path.into(), digests);
        Ok(())
    }
}

impl Reading<'_> {
    /// `bag-info.txt` stands before the payload and says which checksums will be needed.
    fn announced(&mut self, path: &str) {
        let text = self
            .tags
            .get(path)
            .map(|bytes| String::from_utf8_lossy(bytes));
        let rows = tags::info(&text.unwrap_or_default(), &mut Findings::default());
        let Some((_, value)) = rows.iter().find(|(label, _)| label == MANIFESTS) else {
            return;
        };
        let mut all: BTreeSet<Algorithm> = self.algorithms.iter().copied().collect();
        all.extend(value.split_whitespace().filter_map(Algorithm::named));
        let all: Vec<Algorithm> = all.into_iter().collect();
        if all != self.algorithms {
            // Of the few files before, all of them tags, the content is at hand.
            for (path, digests) in &mut self.files {
                if let Some(bytes) = self.tags.get(&**path) {
                    *digests = super::algorithm::digests(&all, bytes);
                }
            }
            self.hasher = Hasher::new(&all);
            self.algorithms = all;
        }
    }
}
