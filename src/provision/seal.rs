//! Sealing files by hand, and taking seals off: an administrator's act, in the ledger.

use serde::Serialize;

use super::operation::Operation;
use super::site::{self, Opened, Site};
use crate::catalogue::digest::{self, Pace};
use crate::catalogue::seal::{self, Strength};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::store::baseline::Baseline;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::entries::{Known, UNSEEN};
use crate::store::checks::{Checks, Record, What};
use crate::store::pathname;
use crate::sys::dir::{Buffer, Dir};
use crate::sys::{clock, fault, process};

/// How many files are sealed before that is written down.
const PIECE: usize = 500;

/// What became of files.
#[derive(Debug, Default, Serialize)]
pub struct Sealed {
    /// Files that are sealed now, or no more.
    pub files: u64,
    /// Of these, files that have the immutable attribute.
    pub immutable: u64,
    /// Files that were so already.
    pub unchanged: u64,
    /// Files that were left alone, and why.
    pub left: Vec<String>,
}

/// A file that the index knows.
pub(super) struct Target {
    /// Path below the experiment.
    pub path: String,
    /// What is known of it.
    pub known: Known,
}

/// Seals files, or takes their seals off: paths below the experiment, of files or directories.
pub fn change(
    site: &Site,
    code: &Code,
    paths: &[String],
    sealed: bool,
    dry_run: bool,
) -> Result<Sealed> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let id = opened.identity()?;
    let _lock = site.lock_experiment(&id.to_string())?;
    let mut index = Catalogue::open(&opened.base.dir, &id)?;
    let baseline = Baseline::open(&opened.base.dir, &id)?;
    let checks = Checks::open(&opened.base.dir, &id)?;
    index.catch_up(&baseline, &checks)?;
    let mut targets = Vec::new();
    for path in paths {
        gather(&index, path.trim_matches('/'), code, &mut targets)?;
    }
    if dry_run {
        let (same, other): (Vec<&Target>, Vec<&Target>) = targets
            .iter()
            .partition(|target| target.known.sealed == sealed);
        return Ok(Sealed {
            files: other.len() as u64,
            unchanged: same.len() as u64,
            ..Sealed::default()
        });
    }
    let operation = Operation::on(site, &opened, if sealed { "seal" } else { "unseal" })?;
    operation.begin()?;
    let strength = Strength::of(site.nas.identity().enforces_rights);
    let result = all(&opened, &mut index, &checks, &targets, sealed, strength);
    operation.end(result, |done| {
        vec![
            (
                "paths",
                paths.iter().take(20).cloned().collect::<Vec<_>>().join(" "),
            ),
            ("files", done.files.to_string()),
            ("left", done.left.len().to_string()),
        ]
    })
}

/// The file of this path, or all files below the directory.
pub(super) fn gather(
    index: &Catalogue,
    path: &str,
    code: &Code,
    targets: &mut Vec<Target>,
) -> Result<()> {
    if let Some(known) = index.known(path)? {
        targets.push(Target {
            path: path.to_owned(),
            known,
        });
        return Ok(());
    }
    let before = targets.len();
    for folder in index.folders_below(path)? {
        let mut after = String::new();
        loop {
            let piece = index.piece_of(&folder, &after)?;
            let Some(last) = piece.last() else { break };
            pathname::split(&last.path).1.clone_into(&mut after);
            targets.extend(piece.into_iter().map(|one| Target {
                path: one.path,
                known: one.known,
            }));
        }
    }
    if targets.len() == before {
        return Err(Error::new(
            "catalogue.unknown",
            format!("the catalogue of {code} knows no {path}"),
        )
        .hint(format!(
            "`octonas catalogue scan {code}` looks for new files"
        )));
    }
    Ok(())
}

fn all(
    opened: &Opened,
    index: &mut Catalogue,
    checks: &Checks,
    targets: &[Target],
    sealed: bool,
    strength: Strength,
) -> Result<Sealed> {
    let mut done = Sealed::default();
    for piece in targets.chunks(PIECE) {
        process::check_interrupted()?;
        let (mut marks, mut paths) = (Vec::new(), Vec::new());
        for target in piece {
            match one(opened, target, sealed, strength) {
                Ok(immutable) => {
                    done.immutable += u64::from(immutable);
                    if target.known.sealed == sealed {
                        done.unchanged += 1;
                        continue;
                    }
                    done.files += 1;
                    marks.push(target.known.mark);
                    paths.push(target.path.clone());
                }
                Err(error) if matches!(error.code(), "interrupted" | "disk.full") => {
                    return Err(error);
                }
                Err(error) => done.left.push(format!("{}: {error}", target.path)),
            }
        }
        opened.base.dir.sync_everything()?;
        fault::point("seal.done")?;
        if marks.is_empty() {
            continue;
        }
        let text = clock::now_text();
        let what = if sealed { What::Sealed } else { What::Unsealed };
        let last = checks.append(&Record::of(&text, what, marks))?;
        fault::point("seal.noted")?;
        index.set_sealed(&paths, sealed, &text, Some(last))?;
    }
    Ok(done)
}

fn one(opened: &Opened, target: &Target, sealed: bool, strength: Strength) -> Result<bool> {
    let (folder, name) = pathname::split(&target.path);
    let gone = || Error::new("path.missing", "it is not there").hint("`octonas verify` says more");
    let dir = opened.dir.open(pathname::path(folder))?;
    let node = match &dir {
        Some(dir) => dir.node_at(pathname::path(name))?,
        None => None,
    };
    let name = pathname::path(name);
    let (Some(dir), Some(node)) = (dir, node) else {
        // The seal of what is lost can be taken off: the next scan then knows that it may be gone.
        return if sealed { Err(gone()) } else { Ok(false) };
    };
    if !sealed {
        return seal::unseal(&node, &dir).map(|()| false);
    }
    if target.known.mark == 0 {
        return Err(Error::new("catalogue.unknown", "nobody has read it yet").hint("scan first"));
    }
    let metadata = node.metadata()?;
    let modified = i64::try_from(metadata.modified.as_nanosecond()).unwrap_or_default();
    let changed = i64::try_from(metadata.changed.as_nanosecond()).unwrap_or_default();
    let same = (metadata.size, modified) == (target.known.size, target.known.mtime_ns);
    let untouched = target.known.ctime_ns <= UNSEEN || target.known.ctime_ns == changed;
    if !same || !(untouched || holds(&dir, &name, &target.known)?) {
        return Err(
            Error::new("seal.changed", "it was changed since the last scan")
                .hint("scan first: what is sealed is what the baseline says"),
        );
    }
    seal::seal(&node, strength)
}

/// Its rights were changed, perhaps by a seal that was cut short: what it holds decides.
fn holds(dir: &Dir, name: &std::ffi::OsStr, known: &Known) -> Result<bool> {
    let Some(mut reading) = dir.reading(name, false)? else {
        return Ok(false);
    };
    let mut buffer = Buffer::new(digest::WARM);
    let (sum, _) = digest::digest(&mut reading, &mut buffer, &Pace::new(None))?;
    Ok(known.sha256 == Some(sum))
}
