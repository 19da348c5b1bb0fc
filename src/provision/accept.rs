//! Accepting what a silent change left: an administrator looked at the file and says that it is right as it is now. The
//! baseline gets a further line, which says why; the line before stays, and the ledger says who.

use serde::Serialize;

use super::catalogue::heads;
use super::operation::Operation;
use super::seal::gather;
use super::site::{self, Opened, PATIENCE, Site};
use crate::catalogue::digest::{self, Pace};
use crate::catalogue::ingest::time;
use crate::error::{Error, Result};
use crate::experiment::{Code, text};
use crate::store::baseline::{Baseline, Mark};
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::entries::{Known, Sum, hex};
use crate::store::checks::{Checks, Record, What};
use crate::store::ledger::VERIFY;
use crate::store::pathname;
use crate::sys::dir::{Buffer, Metadata};
use crate::sys::{clock, fault, lock, process};

/// The operation's name in the ledger.
const ACCEPT: &str = "accept";
/// What is accepted: its size and time say that nobody changed it, and it holds something else.
const SILENT: &str = "silent-change";
/// The longest reason, in bytes.
const REASON_MAX: usize = 500;

/// What became of files.
#[derive(Debug, Default, Serialize)]
pub struct Accepted {
    /// Files that are right from now on as they are.
    pub files: Vec<File>,
    /// Files that hold again what their line says: nothing had to be accepted.
    pub good: Vec<String>,
    /// Files that were left alone, and why.
    pub left: Vec<String>,
}

/// A file whose content was accepted.
#[derive(Debug, Serialize)]
pub struct File {
    /// Path below the experiment.
    pub path: String,
    /// SHA-256 that its line said.
    pub was: String,
    /// SHA-256 that it has, and that its new line says.
    pub sha256: String,
}

/// A file as it was when it was read.
struct Looked {
    path: String,
    known: Known,
    seen: Metadata,
    sum: Sum,
}

/// Accepts files below the experiment, or everything found so in directories of it, for this reason.
pub fn accept(
    site: &Site,
    code: &Code,
    paths: &[String],
    reason: &str,
    dry_run: bool,
) -> Result<Accepted> {
    let reason = text::line(reason, REASON_MAX).map_err(|error| {
        Error::new(
            "accept.reason",
            format!("the reason {}", error.message()),
        )
        .hint("say in a line why the file is right as it is now: `--reason \"put back from the logger's card\"`")
        .field("reason")
    })?;
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let id = opened.identity()?;
    // No verification is under way that has seen the file as it was known before.
    let _verifies = lock::lock(&site.locks, &format!("{VERIFY}-{id}"), PATIENCE)?;
    let mut index = Catalogue::open(&opened.base.dir, &id)?;
    let baseline = Baseline::open(&opened.base.dir, &id)?;
    let checks = Checks::open(&opened.base.dir, &id)?;
    {
        let _lock = site.lock_experiment(&id.to_string())?;
        index.catch_up(&baseline, &checks)?;
    }
    let mut done = Accepted::default();
    let looked = look(&opened, &index, code, paths, &mut done)?;
    let (good, other): (Vec<Looked>, Vec<Looked>) = looked
        .into_iter()
        .partition(|one| one.known.sha256 == Some(one.sum));
    done.good = good.iter().map(|one| one.path.clone()).collect();
    done.files = other.iter().map(told).collect();
    if dry_run || good.is_empty() && other.is_empty() {
        return Ok(done);
    }
    let _lock = site.lock_experiment(&id.to_string())?;
    index.catch_up(&baseline, &checks)?;
    let (good, other) = (
        still(&opened, &index, good, &mut done)?,
        still(&opened, &index, other, &mut done)?,
    );
    let operation = Operation::on(site, &opened, ACCEPT)?;
    operation.begin()?;
    let result = write(&mut index, &baseline, &checks, &good, &other, &reason);
    done.good = good.into_iter().map(|one| one.path).collect();
    done.files = other.iter().map(told).collect();
    let heads = heads(&opened);
    operation.end(result.map(|()| done), |done| {
        let paths: Vec<&str> = done.files.iter().map(|file| file.path.as_str()).collect();
        let mut detail = vec![
            ("reason", reason.clone()),
            ("files", paths.len().to_string()),
            (
                "paths",
                paths.into_iter().take(20).collect::<Vec<_>>().join("\n"),
            ),
        ];
        detail.extend(heads());
        detail
    })
}

fn told(one: &Looked) -> File {
    File {
        path: one.path.clone(),
        was: one.known.sha256.as_ref().map(hex).unwrap_or_default(),
        sha256: hex(&one.sum),
    }
}

/// Reads what is to be accepted, from the disk.
fn look(
    opened: &Opened,
    index: &Catalogue,
    code: &Code,
    paths: &[String],
    done: &mut Accepted,
) -> Result<Vec<Looked>> {
    let mut all = Vec::new();
    let mut buffer = Buffer::new(digest::COLD);
    for given in paths {
        let given = given.trim_matches('/');
        let mut targets = Vec::new();
        gather(index, given, code, &mut targets)?;
        for target in targets {
            process::check_interrupted()?;
            let (path, known) = (target.path, target.known);
            let state = known.state.as_deref();
            if state.is_none() && path != given {
                continue;
            }
            let read = match why_not(state, known.sealed) {
                Some(why) => Err(why.to_owned()),
                None => read(opened, &path, &known, &mut buffer)?,
            };
            match read {
                Ok((seen, sum)) => all.push(Looked {
                    path,
                    known,
                    seen,
                    sum,
                }),
                Err(why) => done.left.push(format!("{path}: {why}")),
            }
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    Ok(all)
}

/// Why a file in this state cannot be accepted.
fn why_not(state: Option<&str>, sealed: bool) -> Option<&'static str> {
    match (state, sealed) {
        (Some(_), true) => Some("it is sealed: `octonas unseal` first, then verify"),
        (Some(SILENT), false) => None,
        (Some("loss"), _) => Some("it is not there: the next scan takes note of that"),
        (Some(_), false) => Some("it cannot be read: put it back (`octonas verify --repair-from`)"),
        (None, _) => Some("nothing was found wrong with it"),
    }
}

/// What a file holds now; or why that is not known.
fn read(
    opened: &Opened,
    path: &str,
    known: &Known,
    buffer: &mut Buffer,
) -> Result<std::result::Result<(Metadata, Sum), String>> {
    let (folder, name) = pathname::split(path);
    let reading = match opened.dir.open(pathname::path(folder)) {
        Ok(Some(dir)) => dir.reading(pathname::path(name), true),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let mut reading = match reading {
        Ok(Some(reading)) => reading,
        Ok(None) => return Ok(Err("it is not there".into())),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let seen = *reading.metadata();
    if !is_as_known(&seen, known) {
        return Ok(Err(
            "its size or time is another now: the next scan takes it as changed".into(),
        ));
    }
    let (sum, bytes) = match digest::digest(&mut reading, buffer, &Pace::new(None)) {
        Err(error) if error.code() == "interrupted" => return Err(error),
        Err(error) => return Ok(Err(error.to_string())),
        Ok(read) => read,
    };
    reading.forget();
    if bytes != known.size || !reading.is_unchanged()? {
        return Ok(Err("somebody is writing to it".into()));
    }
    Ok(Ok((seen, sum)))
}

fn is_as_known(seen: &Metadata, known: &Known) -> bool {
    (seen.size, seen.modified.as_nanosecond()) == (known.size, i128::from(known.mtime_ns))
}

/// Under the lock: what nobody touched since it was read.
fn still(
    opened: &Opened,
    index: &Catalogue,
    looked: Vec<Looked>,
    done: &mut Accepted,
) -> Result<Vec<Looked>> {
    let mut all = Vec::new();
    for one in looked {
        let (folder, name) = pathname::split(&one.path);
        let now = match opened.dir.open(pathname::path(folder)) {
            Ok(Some(dir)) => dir.stat(pathname::path(name))?,
            _ => None,
        };
        let is_same = now.is_some_and(|now| {
            now.same_object(&one.seen)
                && now.changed == one.seen.changed
                && is_as_known(&now, &one.known)
        });
        let is_known = index
            .known(&one.path)?
            .is_some_and(|known| known.mark == one.known.mark && !known.sealed);
        if is_same && is_known {
            all.push(one);
        } else {
            done.left
                .push(format!("{}: it was changed meanwhile", one.path));
        }
    }
    Ok(all)
}

fn write(
    index: &mut Catalogue,
    baseline: &Baseline,
    checks: &Checks,
    good: &[Looked],
    other: &[Looked],
    reason: &str,
) -> Result<()> {
    let text = clock::now_text();
    let marks: Vec<Mark> = other
        .iter()
        .map(|one| Mark {
            time: text.clone(),
            path: one.path.clone(),
            size: one.known.size,
            sha256: hex(&one.sum),
            mtime: time(one.known.mtime_ns).to_string(),
            was: one.known.sha256.as_ref().map(hex),
            accepted: Some(reason.to_owned()),
            ..Mark::default()
        })
        .collect();
    baseline.append(&marks)?;
    fault::point("accept.marked")?;
    let right = good.iter().map(|one| one.known.mark).collect();
    checks.append(&Record::of(&text, What::Good, right))?;
    index.catch_up(baseline, checks)?;
    Ok(())
}
