//! From the landing to its place: every file once, with one line in the baseline and one receipt, whatever happens.
//!
//! Files go in batches, so that a batch and not a file costs the disk its pauses:
//! 1. the journal says what is taken; each file is moved where nobody else reaches it, becomes root's, and has no writer;
//! 2. it is hashed and compared with what its source said;
//! 3. the journal says what is done with each; it is moved to its place, and looked at again there;
//! 4. everything is made durable, then the baseline, the receipts and the index say so, and the journal is emptied.
//!
//! A run that was killed left its journal: the next one goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::custody::Item;
use super::examine::{self, Examined};
use super::landing::{self, Candidate, Landing, Pending, Terms, Warning};
use super::seal::Strength;
use crate::error::Result;
use crate::experiment::{ExperimentId, RelPath, SourceId};
use crate::report::{Progress, said};
use crate::store::baseline::Baseline;
use crate::store::catalogue::Catalogue;
use crate::store::checks::Checks;
use crate::store::intake::{Intake, Take};
use crate::sys::command::Program;
use crate::sys::dir::Dir;
use crate::sys::lock::Lock;
use crate::sys::{clock, process};

/// The most files of a batch.
const BATCH_FILES: usize = 256;
/// A batch ends when it holds so many bytes.
const BATCH_BYTES: u64 = 1 << 30;

/// Where and how to work.
pub struct Work<'a> {
    /// The base.
    pub base: &'a Dir,
    /// The experiment's directory.
    pub experiment: &'a Dir,
    /// Its id.
    pub id: ExperimentId,
    /// Its sources, and where their data goes.
    pub sources: Vec<(SourceId, RelPath)>,
    /// How many minutes a file without a checksum must not have changed.
    pub stable_minutes: u32,
    /// Look into what was received, once all of it has its receipt.
    pub probe: bool,
    /// How what was received is sealed; `None` leaves it to its members.
    pub seal: Option<Strength>,
    /// Takes the lock under which files are moved into the experiment, and fails where it may not be written any more.
    pub hold: &'a dyn Fn() -> Result<Lock>,
    /// Called once, before anything is moved.
    pub begin: &'a dyn Fn() -> Result<()>,
    /// Where it shows itself.
    pub progress: &'a dyn Progress,
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Files that are in their place now (in a dry run: that would be taken in).
    pub received: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Files that were in their place already.
    pub again: u64,
    /// Files that were refused.
    pub refused: u64,
    /// What has to wait, and why.
    pub pending: Vec<Pending>,
    /// What will hurt later, and what happened to a file after it was in its place.
    pub warnings: Vec<Warning>,
    /// Sources whose landing is not there.
    pub missing: Vec<String>,
    /// What was found inside of what was received; `None` where nobody looked.
    pub examined: Option<Examined>,
    /// True where there is more than one run takes.
    pub more: bool,
}

impl Report {
    /// True where anything was (or would be) moved.
    pub fn changed(&self) -> bool {
        self.received + self.again + self.refused > 0
    }
}

/// A run.
pub(super) struct Run<'a> {
    pub work: &'a Work<'a>,
    pub intake: Intake,
    pub baseline: Baseline,
    pub checks: Checks,
    pub index: Catalogue,
    pub landings: BTreeMap<String, Landing>,
    pub report: Report,
    /// Files of landings that were refused before, by source and path.
    pub refused: BTreeSet<(String, String)>,
    /// What is new in its place, below the experiment.
    pub received: Vec<String>,
    begun: bool,
}

/// Looks at all landings of an experiment without changing anything.
pub fn look(work: &Work<'_>) -> Result<Report> {
    let (landings, missing) = landing::open(work.experiment, &work.sources)?;
    let mut report = Report {
        missing: names(&missing),
        ..Report::default()
    };
    let refusals = match Catalogue::existing(work.base, &work.id)? {
        Some(index) => refusals(&index)?,
        None => BTreeMap::new(),
    };
    let terms = terms(work, &refusals);
    for mut landing in landings {
        let look = landing.look(&terms)?;
        for candidate in &look.ready {
            report.received += 1;
            report.bytes += candidate.metadata.size;
            if let Some(destination) = &landing.destination {
                let place = destination.below(&candidate.path);
                report
                    .warnings
                    .extend(landing::warnings(&place, &candidate.path));
            }
        }
        report.pending.extend(look.pending);
        report.more |= look.more;
    }
    Ok(report)
}

/// Takes in what can be taken in. Only under the lock of whoever ingests into this experiment.
pub fn run(work: &Work<'_>) -> Result<Report> {
    let (landings, missing) = landing::open(work.experiment, &work.sources)?;
    let mut run = Run {
        work,
        intake: Intake::open(work.base, &work.id)?,
        baseline: Baseline::open(work.base, &work.id)?,
        checks: Checks::open(work.base, &work.id)?,
        index: Catalogue::open(work.base, &work.id)?,
        landings: landings
            .into_iter()
            .map(|landing| (landing.source.to_string(), landing))
            .collect(),
        report: Report {
            missing: names(&missing),
            ..Report::default()
        },
        refused: BTreeSet::new(),
        received: Vec::new(),
        begun: false,
    };
    // What a killed run was putting together.
    run.intake.incoming.remove_unfinished()?;
    run.intake.incoming.remove_dir(super::destination::NEW)?;
    run.refused = refusals(&run.index)?.into_keys().collect();
    let unfinished = run.intake.unfinished();
    if !unfinished.is_empty() {
        work.progress.note(&said!(
            "going on with {} files of a run that was cut short",
            "reprise de {} fichiers d'un passage interrompu",
            unfinished.len()
        ));
        let items = unfinished
            .into_iter()
            .map(|(take, decision)| Item::of_journal(take, decision))
            .collect();
        run.batch(items, true)?;
    }
    let refusals = refusals(&run.index)?;
    let sources: Vec<String> = run.landings.keys().cloned().collect();
    for source in sources {
        run.source(&source, &refusals)?;
    }
    run.look_inside();
    Ok(run.report)
}

impl Run<'_> {
    /// Looks into what was received. That this fails takes nothing back: `octonas probe` does it again.
    fn look_inside(&mut self) {
        if !self.work.probe || self.received.is_empty() || !Program::Probe.is_installed() {
            return;
        }
        let (work, index) = (self.work, &self.index);
        match examine::these(work.experiment, &self.received, index, work.progress) {
            Ok(examined) => self.report.examined = Some(examined),
            Err(error) => work.progress.warn(&said!(
                "what was received could not be looked into: {error}",
                "ce qui a été reçu n'a pas pu être examiné : {error}"
            )),
        }
    }

    fn source(
        &mut self,
        source: &str,
        refusals: &BTreeMap<(String, String), crate::store::catalogue::Refusal>,
    ) -> Result<()> {
        let Some(landing) = self.landings.get_mut(source) else {
            return Ok(());
        };
        let look = landing.look(&terms(self.work, refusals))?;
        self.report.more |= look.more;
        // Refused files that somebody took away or replaced are forgotten.
        let waiting: BTreeSet<&str> = look
            .pending
            .iter()
            .filter(|pending| pending.reason == "name-taken")
            .map(|pending| pending.path.as_str())
            .collect();
        for (of, path) in refusals.keys() {
            if of == source && !waiting.contains(path.as_str()) && !look.more {
                self.index.forget_refusal(of, path)?;
            }
        }
        landing.sweep(clock::now())?;
        self.report.pending.extend(look.pending);
        let total = look.ready.len();
        let mut done = 0;
        for batch in batches(look.ready) {
            process::check_interrupted()?;
            self.work.progress.step(
                done + batch.len(),
                total,
                &said!(
                    "taking in what {source} delivered",
                    "intégration de ce que {source} a livré"
                ),
            );
            done += batch.len();
            let items = batch
                .into_iter()
                .map(|candidate| Item::new(take(source, &candidate)))
                .collect();
            self.batch(items, false)?;
        }
        Ok(())
    }

    /// Carries a batch from wherever it is to its end.
    fn batch(&mut self, mut items: Vec<Item>, recovering: bool) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            (self.work.begin)()?;
        }
        if !recovering {
            let takes: Vec<Take> = items.iter().map(|item| item.take.clone()).collect();
            self.intake.take(&takes)?;
            for item in &mut items {
                self.move_in(item)?;
            }
        }
        for item in &mut items {
            process::check_interrupted()?;
            self.check(item)?;
        }
        let _lock = match (self.work.hold)() {
            Ok(lock) => lock,
            // Closed meanwhile: nothing of it may stay on its way.
            Err(error) => {
                for item in items.iter_mut().filter(|item| item.decision.is_none()) {
                    self.put_back(item, "closed", "the experiment takes nothing in now")?;
                }
                if items.iter().all(|item| item.decision.is_none()) {
                    self.intake.clear()?;
                }
                return Err(error);
            }
        };
        // What the index does not have yet: a scan's lines; all of it, where it was lost.
        self.index.catch_up(&self.baseline, &self.checks)?;
        let mut decisions = Vec::new();
        for item in &mut items {
            if let Some(decision) = self.decide(item)? {
                decisions.push(decision.clone());
                item.decision = Some(decision);
            }
        }
        self.intake.decide(&decisions)?;
        for item in &mut items {
            self.settle(item)?;
        }
        self.work.base.sync_everything()?;
        self.record(&mut items, recovering)?;
        if let Some(strength) = self.work.seal {
            self.seal(&items, strength)?;
        }
        self.intake.clear()
    }
}

/// Batches that end at so many files or bytes.
fn batches(all: Vec<Candidate>) -> Vec<Vec<Candidate>> {
    let mut batches: Vec<Vec<Candidate>> = Vec::new();
    let mut bytes = 0;
    for candidate in all {
        let full = batches
            .last()
            .is_none_or(|batch| batch.len() >= BATCH_FILES || bytes >= BATCH_BYTES);
        if full {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += candidate.metadata.size;
        if let Some(batch) = batches.last_mut() {
            batch.push(candidate);
        }
    }
    batches
}

fn take(source: &str, candidate: &Candidate) -> Take {
    let metadata = &candidate.metadata;
    Take {
        delivery: uuid::Uuid::new_v4().to_string(),
        source: source.to_owned(),
        path: candidate.path.clone(),
        inode: metadata.ino,
        size: metadata.size,
        mtime_ns: landing::nanoseconds(metadata),
        uid: metadata.uid,
        gid: metadata.gid,
        mode: metadata.mode,
    }
}

fn terms<'a>(
    work: &Work<'_>,
    refusals: &'a BTreeMap<(String, String), crate::store::catalogue::Refusal>,
) -> Terms<'a> {
    Terms {
        now: clock::now(),
        stable: i64::from(work.stable_minutes) * 60,
        refusals,
    }
}

fn refusals(
    index: &Catalogue,
) -> Result<BTreeMap<(String, String), crate::store::catalogue::Refusal>> {
    Ok(index
        .refusals()?
        .into_iter()
        .map(|refusal| ((refusal.source.clone(), refusal.path.clone()), refusal))
        .collect())
}

fn names(sources: &[SourceId]) -> Vec<String> {
    sources.iter().map(ToString::to_string).collect()
}

/// A time from nanoseconds since 1970.
pub fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}
