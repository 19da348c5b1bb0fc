//! Looking into all files of an experiment that have changed since somebody last looked.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use super::probe;
use crate::content::{Contents, Finding, Format, Severity};
use crate::error::Result;
use crate::report::{Progress, said};
use crate::store::catalogue::{Catalogue, Probed};
use crate::store::pathname;
use crate::sys::dir::{Dir, FileKind, Metadata, Node};
use crate::sys::process;
use crate::sys::walk::Walk;

/// The directories of an experiment that hold no data of its members.
const APART: [&str; 2] = ["metadata", "landing"];

/// How many files are looked into before what was found is stored.
const BATCH: usize = 64;

/// The most files whose findings are listed.
const LISTED: usize = 1000;

/// What to do beside the usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Look again into files that have not changed.
    pub again: bool,
    /// Only say what would be looked into.
    pub dry_run: bool,
}

/// What an examination came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Examined {
    /// Files that were looked into (or would be).
    pub probed: u64,
    /// Files that have not changed since.
    pub unchanged: u64,
    /// Files that went away meanwhile, or could not be opened.
    pub skipped: u64,
    /// Files by format.
    pub formats: BTreeMap<Format, u64>,
    /// Notes, warnings and errors, of all files.
    pub notes: u64,
    /// See `notes`.
    pub warnings: u64,
    /// See `notes`.
    pub errors: u64,
    /// Files with a warning or an error, by path; the first thousand.
    pub files: Vec<Noted>,
}

/// A file with findings.
#[derive(Debug, Clone, Serialize)]
pub struct Noted {
    /// Path below the experiment's directory.
    pub path: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

struct Waiting {
    path: String,
    node: Node,
    metadata: Metadata,
}

/// Looks into what changed, and enters it into the index.
pub fn examine(
    experiment: &Dir,
    catalogue: &mut Catalogue,
    options: Options,
    progress: &dyn Progress,
) -> Result<Examined> {
    let mut examined = Examined::default();
    let mut batch = Vec::new();
    for found in Walk::new(experiment)? {
        let Ok(found) = found else {
            examined.skipped += 1;
            continue;
        };
        if found.metadata.kind != FileKind::File {
            continue;
        }
        let path = &*pathname::text(&found.path);
        let mut names = path.split('/');
        if names.clone().any(|name| name.starts_with('.'))
            || names.next().is_some_and(|top| APART.contains(&top))
        {
            continue;
        }
        let known = known(catalogue, path, &found.metadata)?;
        if let Some(contents) = known.filter(|_| !options.again) {
            examined.unchanged += 1;
            examined.count(path, &contents);
            continue;
        }
        if options.dry_run {
            examined.probed += 1;
            continue;
        }
        match found.node() {
            Ok(Some(node)) => batch.push(Waiting {
                path: path.to_owned(),
                node,
                metadata: found.metadata,
            }),
            _ => examined.skipped += 1,
        }
        if batch.len() == BATCH {
            look(&mut batch, catalogue, &mut examined, progress)?;
        }
    }
    look(&mut batch, catalogue, &mut examined, progress)?;
    examined.files.sort_by(|a, b| a.path.cmp(&b.path));
    examined.files.truncate(LISTED);
    Ok(examined)
}

/// Looks into these files of an experiment, unless somebody did already.
pub fn these(
    experiment: &Dir,
    paths: &[String],
    catalogue: &Catalogue,
    progress: &dyn Progress,
) -> Result<Examined> {
    let mut examined = Examined::default();
    for paths in paths.chunks(BATCH) {
        let mut batch = Vec::new();
        for path in paths {
            match waiting(experiment, path) {
                Ok(Some(waiting)) if known(catalogue, path, &waiting.metadata)?.is_none() => {
                    batch.push(waiting);
                }
                Ok(Some(_)) => examined.unchanged += 1,
                // A member moved it, or something else is there now.
                Ok(None) | Err(_) => examined.skipped += 1,
            }
        }
        look(&mut batch, catalogue, &mut examined, progress)?;
    }
    examined.files.sort_by(|a, b| a.path.cmp(&b.path));
    examined.files.truncate(LISTED);
    Ok(examined)
}

/// Looks into everything that the index has and nobody looked into as it is now.
pub fn rest(experiment: &Dir, catalogue: &Catalogue, progress: &dyn Progress) -> Result<Examined> {
    let mut examined = Examined::default();
    let mut after: Option<String> = None;
    loop {
        let mut paths = catalogue.unprobed(after.as_deref(), 512)?;
        let Some(last) = paths.last() else { break };
        after = Some(last.clone());
        paths.retain(|path| !path.split('/').any(|name| name.starts_with('.')));
        examined.add(these(experiment, &paths, catalogue, progress)?);
    }
    Ok(examined)
}

fn waiting(experiment: &Dir, path: &str) -> Result<Option<Waiting>> {
    let (above, name) = pathname::split(path);
    let Some(node) = experiment
        .open(pathname::path(above))?
        .map_or(Ok(None), |dir| dir.node_at(pathname::path(name)))?
    else {
        return Ok(None);
    };
    let metadata = node.metadata()?;
    let is_file = metadata.kind == FileKind::File;
    Ok(is_file.then(|| Waiting {
        path: path.to_owned(),
        node,
        metadata,
    }))
}

/// What the index has of a file as it is now.
fn known(catalogue: &Catalogue, path: &str, metadata: &Metadata) -> Result<Option<Contents>> {
    let probed = catalogue.get(path)?.and_then(|row| row.probed);
    Ok(probed
        .filter(|p| p.size == metadata.size && p.mtime_ns == nanoseconds(metadata))
        .and_then(|p| serde_json::from_str(&p.contents).ok()))
}

fn nanoseconds(metadata: &Metadata) -> i64 {
    i64::try_from(metadata.modified.as_nanosecond()).unwrap_or_default()
}

/// Looks into a batch, a process for each file, as many at a time as there are cores.
fn look(
    batch: &mut Vec<Waiting>,
    catalogue: &Catalogue,
    examined: &mut Examined,
    progress: &dyn Progress,
) -> Result<()> {
    process::check_interrupted()?;
    let waiting = std::mem::take(batch);
    if waiting.is_empty() {
        return Ok(());
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(waiting.len()) {
            scope.spawn(|| {
                while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(one) = waiting.get(index)
                {
                    let contents = probe::probe(&one.node);
                    if let Ok(mut done) = done.lock() {
                        done.push((index, contents));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(index, _)| *index);
    let mut found = Vec::new();
    for (index, contents) in done {
        let contents = contents?;
        let one = &waiting[index];
        let probed = Probed {
            size: one.metadata.size,
            mtime_ns: nanoseconds(&one.metadata),
            contents: serde_json::to_string(&contents).unwrap_or_default(),
        };
        found.push((one.path.clone(), probed));
        examined.probed += 1;
        examined.count(&one.path, &contents);
    }
    catalogue.set_all_probed(&found)?;
    let number = usize::try_from(examined.probed).unwrap_or_default();
    progress.step(number, 0, &said!("files looked into", "fichiers examinés"));
    Ok(())
}

impl Examined {
    fn add(&mut self, more: Self) {
        self.probed += more.probed;
        self.unchanged += more.unchanged;
        self.skipped += more.skipped;
        self.notes += more.notes;
        self.warnings += more.warnings;
        self.errors += more.errors;
        for (format, files) in more.formats {
            *self.formats.entry(format).or_default() += files;
        }
        let room = LISTED.saturating_sub(self.files.len());
        self.files.extend(more.files.into_iter().take(room));
    }

    fn count(&mut self, path: &str, contents: &Contents) {
        *self.formats.entry(contents.format).or_default() += 1;
        let mut grave = false;
        for finding in &contents.findings {
            match finding.severity {
                Severity::Note => self.notes += 1,
                Severity::Warning => self.warnings += 1,
                Severity::Error => self.errors += 1,
            }
            grave |= finding.severity > Severity::Note;
        }
        // Twice as many are kept as are listed, so that the first by path are among them in most trees.
        if grave && self.files.len() < 2 * LISTED {
            self.files.push(Noted {
                path: path.to_owned(),
                findings: contents.findings.clone(),
            });
        }
    }
}
