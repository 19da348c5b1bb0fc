//! Taking in what sources delivered: locks, the status, the ledger around `catalogue::ingest`; and what lies in landings.

use std::time::Duration;

use serde::Serialize;

use super::catalogue::heads;
use super::list;
use super::operation::Operation;
use super::site::{self, Opened, Site};
use crate::catalogue::ingest::{self, Report, Work};
use crate::catalogue::landing::{Pending, Warning};
use crate::catalogue::seal::Strength;
use crate::error::{Error, Exit, Result};
use crate::experiment::{self, Code, RelPath, SourceId, Status, Strictness};
use crate::store;
use crate::store::intake::{Intake, Kept};
use crate::store::ledger::INGEST;
use crate::sys::lock;

/// How long an ingest waits for another one of the same experiment.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an ingest did with one experiment.
#[derive(Debug, Serialize)]
pub struct Ingested {
    /// The experiment (or the base that cannot be read).
    pub code: String,
    /// What was done; in a dry run, what would be.
    #[serde(flatten)]
    pub report: Report,
    /// Why nothing was done, where that is in order: another ingest is at work.
    pub skipped: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What lies in the landings of an experiment.
#[derive(Debug, Serialize)]
pub struct Landings {
    /// The experiment.
    pub code: String,
    /// Files that the next ingest takes in.
    pub ready: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// What has to wait, and why.
    pub pending: Vec<Pending>,
    /// What will hurt later about files that are ready.
    pub warnings: Vec<Warning>,
    /// Sources whose landing is not there.
    pub missing: Vec<String>,
    /// Files that a run which was cut short left on their way; the next one goes on with them.
    pub on_their_way: usize,
    /// What was refused and is kept for people.
    pub kept: Vec<Kept>,
}

/// How to take in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Only say what would be taken in.
    pub dry_run: bool,
    /// Do not look into what was received.
    pub no_probe: bool,
}

/// Takes in what the sources of one experiment delivered, or those of all that are active.
pub fn ingest(site: &Site, code: Option<&Code>, options: Options) -> Result<Vec<Ingested>> {
    if let Some(code) = code {
        let opened = site.open(code)?;
        takes_in(&opened)?;
        let report = one(site, &opened, options)?;
        return Ok(vec![done(code.to_string(), report)]);
    }
    let mut all = Vec::new();
    list::in_service(site, |code, opened| {
        let result = match opened {
            Ok(opened) if takes_in(&opened).is_err() => return,
            Ok(opened) => one(site, &opened, options),
            Err(error) => Err(error),
        };
        all.push(match result {
            Ok(report) => done(code, report),
            Err(error) => {
                let text = Some(error.to_string());
                let busy = error.exit_status() == Exit::Locked;
                let (skipped, error) = if busy { (text, None) } else { (None, text) };
                Ingested {
                    code,
                    report: Report::default(),
                    skipped,
                    error,
                }
            }
        });
    })?;
    crate::sys::process::check_interrupted()?;
    Ok(all)
}

fn done(code: String, report: Report) -> Ingested {
    Ingested {
        code,
        report,
        skipped: None,
        error: None,
    }
}

/// Only an active experiment takes anything in.
fn takes_in(opened: &Opened) -> Result<()> {
    site::in_service(opened)?;
    let hint = match opened.definition.status {
        Status::Active => return Ok(()),
        Status::Draft => "open it by an edit of its status to active",
        _ => "what lies in its landings stays there; `octonas experiment reopen` opens it again",
    };
    Err(Error::new(
        "ingest.closed",
        format!(
            "{} is {}: nothing is taken in",
            opened.definition.code, opened.definition.status
        ),
    )
    .hint(hint))
}

fn one(site: &Site, opened: &Opened, options: Options) -> Result<Report> {
    let id = opened.identity()?;
    let name = id.to_string();
    let hold = || {
        let held = site.lock_experiment(&name)?;
        still_takes_in(opened)?;
        Ok(held)
    };
    let operation = Operation::on(site, opened, INGEST)?;
    let begin = || operation.begin();
    let work = Work {
        base: &opened.base.dir,
        experiment: &opened.dir,
        id,
        sources: sources(opened),
        stable_minutes: site.stable_minutes,
        probe: !options.no_probe,
        seal: site
            .seal_received
            .then(|| Strength::of(site.nas.identity().enforces_rights)),
        hold: &hold,
        begin: &begin,
        progress: &*site.progress,
    };
    if options.dry_run {
        return ingest::look(&work);
    }
    if work.sources.is_empty() && Intake::waiting(&opened.base.dir, &id)? == 0 {
        return Ok(Report::default());
    }
    let _alone = lock::lock(&site.locks, &format!("ingest-{name}"), PATIENCE)?;
    let heads = heads(opened);
    operation.end(ingest::run(&work), |report| {
        let mut all = detail(report);
        all.extend(heads());
        all
    })
}

fn detail(report: &Report) -> Vec<(&'static str, String)> {
    vec![
        ("received", report.received.to_string()),
        ("bytes", report.bytes.to_string()),
        ("again", report.again.to_string()),
        ("refused", report.refused.to_string()),
        ("pending", report.pending.len().to_string()),
    ]
}

/// The definition may have been edited since it was opened.
fn still_takes_in(opened: &Opened) -> Result<()> {
    let stored = store::definition::read(&opened.metadata)?;
    let now = match stored {
        Some(stored) => experiment::read(stored.text.as_bytes(), Strictness::Stored)?.status,
        None => Status::Removed,
    };
    if now == Status::Active {
        return Ok(());
    }
    Err(Error::new(
        "ingest.closed",
        format!("{} is {now}: nothing is taken in", opened.definition.code),
    )
    .hint("what lies in its landings stays there; `octonas experiment reopen` opens it again"))
}

fn sources(opened: &Opened) -> Vec<(SourceId, RelPath)> {
    let all = &opened.definition.sources;
    all.iter()
        .map(|source| (source.id.clone(), source.into.clone()))
        .collect()
}

/// What lies in the landings of an experiment. Changes nothing.
pub fn landing(site: &Site, code: &Code) -> Result<Landings> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let id = opened.identity()?;
    let nothing = || Ok(());
    let hold = || site.lock_experiment(&id.to_string());
    let report = ingest::look(&Work {
        base: &opened.base.dir,
        experiment: &opened.dir,
        id,
        sources: sources(&opened),
        stable_minutes: site.stable_minutes,
        probe: false,
        seal: None,
        hold: &hold,
        begin: &nothing,
        progress: &*site.progress,
    })?;
    Ok(Landings {
        code: code.to_string(),
        ready: report.received,
        bytes: report.bytes,
        pending: report.pending,
        warnings: report.warnings,
        missing: report.missing,
        on_their_way: Intake::waiting(&opened.base.dir, &id)?,
        kept: Intake::kept_in(&opened.base.dir, &id)?,
    })
}
