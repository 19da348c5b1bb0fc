//! Looking through the files of experiments, and what people ask of the catalogue: locks, the ledger, and how old an answer is.

use serde::Serialize;

use super::list;
use super::operation::Operation;
use super::site::{self, Opened, PATIENCE, Site};
use crate::catalogue::evidence;
use crate::catalogue::examine::{self, Examined};
use crate::catalogue::scan::{self, Finding, Work};
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::report::said;
use crate::store::baseline::Baseline;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::ask::{Event, File, Page, Wanted};
use crate::store::catalogue::due::{Ages, Wrong};
use crate::store::checks::Checks;
use crate::store::ledger::SCAN;
use crate::sys::command::Program;
use crate::sys::{clock, lock, process};

/// The most rows of a page.
pub const PAGE_MAX: usize = 5000;
/// The most files with findings that are listed.
const WRONG_MAX: u32 = 1000;

/// How to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Only say what would be read.
    pub dry_run: bool,
    /// Do not look into what is new.
    pub no_probe: bool,
    /// The most bytes a second.
    pub rate: Option<u64>,
}

/// What a scan of one experiment came to.
#[derive(Debug, Serialize)]
pub struct Scanned {
    /// The experiment (or the base that cannot be read).
    pub code: String,
    /// What was found.
    #[serde(flatten)]
    pub report: scan::Scanned,
    /// What was found inside of what is new; `None` where nobody looked.
    pub examined: Option<Examined>,
    /// Why nothing was done, where that is in order: another scan is at work.
    pub skipped: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Looks through the files of one experiment, or of all in service.
pub fn scan(site: &Site, code: Option<&Code>, options: Options) -> Result<Vec<Scanned>> {
    if let Some(code) = code {
        let opened = site.open(code)?;
        site::in_service(&opened)?;
        let (report, examined) = one(site, &opened, options)?;
        return Ok(vec![Scanned {
            code: code.to_string(),
            report,
            examined,
            skipped: None,
            error: None,
        }]);
    }
    let mut all = Vec::new();
    list::in_service(site, |code, opened| {
        if process::check_interrupted().is_err() {
            return;
        }
        let result = opened.and_then(|opened| one(site, &opened, options));
        let mut scanned = Scanned {
            code,
            report: scan::Scanned::default(),
            examined: None,
            skipped: None,
            error: None,
        };
        match result {
            Ok((report, examined)) => (scanned.report, scanned.examined) = (report, examined),
            Err(error) if error.exit_status() == Exit::Locked => {
                scanned.skipped = Some(error.to_string());
            }
            Err(error) => scanned.error = Some(error.to_string()),
        }
        all.push(scanned);
    })?;
    process::check_interrupted()?;
    Ok(all)
}

fn one(
    site: &Site,
    opened: &Opened,
    options: Options,
) -> Result<(scan::Scanned, Option<Examined>)> {
    let id = opened.identity()?;
    let name = id.to_string();
    let hold = || site.lock_experiment(&name);
    let operation = Operation::on(site, opened, SCAN)?;
    let begin = || operation.begin();
    let work = Work {
        base: &opened.base.dir,
        experiment: &opened.dir,
        id,
        rate: options.rate,
        hold: &hold,
        begin: &begin,
        progress: &*site.progress,
    };
    if options.dry_run {
        return Ok((scan::look(&work)?, None));
    }
    let _alone = lock::lock(&site.locks, &format!("{SCAN}-{name}"), PATIENCE)?;
    let heads = heads(opened);
    let report = operation.end(scan::run(&work), |report| {
        let mut detail = vec![
            ("files", report.files.to_string()),
            ("new", report.new.to_string()),
            ("changed", report.changed.to_string()),
            ("moved", report.moved.to_string()),
            ("gone", report.gone.to_string()),
            ("findings", report.findings.len().to_string()),
        ];
        detail.extend(heads());
        detail
    })?;
    let examined = if options.no_probe || !Program::Probe.is_installed() {
        None
    } else {
        look_inside(site, opened)
    };
    Ok((report, examined))
}

/// Where the evidence ends: the ledger keeps it, so that nothing can be taken from the end unseen.
pub(super) fn heads(opened: &Opened) -> impl Fn() -> super::operation::Detail + '_ {
    || {
        let end = || -> Result<super::operation::Detail> {
            let id = opened.identity()?;
            Ok(vec![
                (
                    evidence::BASELINE_HEAD,
                    evidence::anchor(&Baseline::open(&opened.base.dir, &id)?.head()?),
                ),
                (
                    evidence::CHECKS_HEAD,
                    evidence::anchor(&Checks::open(&opened.base.dir, &id)?.head()?),
                ),
            ])
        };
        end().unwrap_or_default()
    }
}

/// That this fails takes nothing back: the next scan looks again.
fn look_inside(site: &Site, opened: &Opened) -> Option<Examined> {
    let look = || -> Result<Option<Examined>> {
        let id = opened.identity()?;
        let _one = lock::lock(&site.locks, &format!("probe-{id}"), PATIENCE)?;
        let Some(index) = Catalogue::existing(&opened.base.dir, &id)? else {
            return Ok(None);
        };
        examine::rest(&opened.dir, &index, &*site.progress).map(Some)
    };
    look().unwrap_or_else(|error| {
        site.progress.warn(&said!(
            "what is new could not be looked into: {error}",
            "ce qui est nouveau n'a pas pu être examiné : {error}"
        ));
        None
    })
}

/// An answer of the catalogue, and how old it is.
#[derive(Debug, Serialize)]
pub struct Answer<T> {
    /// When somebody last looked through all files (RFC 3339, UTC); `None` where nobody ever did to the end.
    pub scanned: Option<String>,
    /// How many seconds ago that was.
    pub age: Option<i64>,
    /// The answer.
    #[serde(flatten)]
    pub answer: T,
}

/// A file, and what happened to it.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its path.
    pub path: String,
    /// As it is known now; `None` where it is of the past.
    pub file: Option<File>,
    /// What is inside (`octonas probe`).
    pub contents: Option<serde_json::Value>,
    /// What happened to it, oldest first.
    pub history: Vec<Event>,
}

/// How well an experiment's files are known and checked.
#[derive(Debug, Serialize)]
pub struct Integrity {
    /// How old the checks are.
    #[serde(flatten)]
    pub ages: Ages,
    /// Files with which something is wrong.
    pub findings: Vec<Wrong>,
}

/// Opens the index for reading.
fn index(site: &Site, code: &Code) -> Result<(Opened, Catalogue)> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let index = Catalogue::existing(&opened.base.dir, &opened.identity()?)?;
    let index = index.ok_or_else(|| {
        Error::new(
            "catalogue.missing",
            format!("nobody has looked through the files of {code} yet"),
        )
        .hint(format!("`octonas catalogue scan {code}` does"))
    })?;
    Ok((opened, index))
}

fn aged<T>(index: &Catalogue, answer: T) -> Result<Answer<T>> {
    let scanned = index.scanned()?;
    let age = scanned
        .as_deref()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map(|time| clock::now().as_second() - time.as_second());
    Ok(Answer {
        scanned,
        age,
        answer,
    })
}

/// One page of a folder.
pub fn page(
    site: &Site,
    code: &Code,
    folder: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Answer<Page>> {
    let (_, index) = index(site, code)?;
    let folder = folder.trim_matches('/');
    let page = index.page(folder, after, limit.clamp(1, PAGE_MAX))?;
    let page = match page {
        Some(page) => page,
        None if folder.is_empty() => Page::default(),
        None => return Err(unknown(code, folder)),
    };
    aged(&index, page)
}

fn unknown(code: &Code, path: &str) -> Error {
    Error::new(
        "catalogue.unknown",
        format!("the catalogue of {code} knows no {path}"),
    )
    .hint("paths are below the experiment; what is new is known after the next scan")
}

/// One file.
pub fn show(site: &Site, code: &Code, path: &str) -> Result<Answer<Shown>> {
    let (_, index) = index(site, code)?;
    let path = path.trim_start_matches('/');
    let file = index.file(path)?;
    let history = index.history(path)?;
    if file.is_none() && history.is_empty() {
        return Err(unknown(code, path));
    }
    let contents = index
        .get(path)?
        .and_then(|row| row.probed)
        .and_then(|probed| serde_json::from_str(&probed.contents).ok());
    let shown = Shown {
        path: path.to_owned(),
        file,
        contents,
        history,
    };
    aged(&index, shown)
}

/// Files as they are wanted.
pub fn search(
    site: &Site,
    code: &Code,
    wanted: &Wanted,
    after: Option<&str>,
    limit: usize,
) -> Result<Answer<Page>> {
    let (_, index) = index(site, code)?;
    let page = index.search(wanted, after, limit.clamp(1, PAGE_MAX))?;
    aged(&index, page)
}

/// How well the files of an experiment are known and checked.
pub fn integrity(site: &Site, code: &Code) -> Result<Answer<Integrity>> {
    let (_, index) = index(site, code)?;
    let answer = Integrity {
        ages: index.ages(clock::now().as_second())?,
        findings: index.wrong(WRONG_MAX)?,
    };
    aged(&index, answer)
}

/// Findings as people read them, with the most that are printed.
pub fn listed(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().take(100)
}
