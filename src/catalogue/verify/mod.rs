//! Reading again what was unchecked longest, from the disk and not from memory, and comparing it with its line in the
//! baseline. Damage, loss and silent change are findings, never errors. Called by `provision`.
//!
//! What somebody changed openly since the last scan (its size or time differ) is left to the next scan. What is good is
//! written down every half minute, so that a run that was killed goes on where it was.

mod read;
mod repair;
mod settle;
pub mod spare;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::read::Found;
use self::spare::Spare;
use super::digest::Pace;
pub use super::scan::Finding;
use super::seal::Strength;
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::report::{Progress, said};
use crate::store::baseline::Baseline;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::due::Due;
use crate::store::checks::Checks;
use crate::sys::dir::Dir;
use crate::sys::lock::Lock;
use crate::sys::{clock, process};

/// How many files are taken up together, in the order of the disk.
const PIECE: u32 = 4000;
/// The most bytes of a piece, unless it is one file.
const PIECE_BYTES: u64 = 64 << 30;
/// How often what is good is written down.
const PAUSE: Duration = Duration::from_secs(30);
/// The most findings that a report lists.
const LISTED: usize = 1000;

/// Where and how to work.
pub struct Work<'a> {
    /// The base.
    pub base: &'a Dir,
    /// The experiment's directory.
    pub experiment: &'a Dir,
    /// Its id.
    pub id: ExperimentId,
    /// Files whose last good check is younger (seconds since 1970) are passed over.
    pub before: i64,
    /// The most bytes a second.
    pub rate: Option<u64>,
    /// No new piece is taken up after so long.
    pub within: Option<Duration>,
    /// How a sealed file is sealed again when it is put back.
    pub strength: Strength,
    /// Where damaged and lost files are put back from.
    pub spare: Option<Spare<'a>>,
    /// Takes the lock of the experiment.
    pub hold: &'a dyn Fn() -> Result<Lock>,
    /// Where it shows itself.
    pub progress: &'a dyn Progress,
}

/// What a verification came to.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Verified {
    /// Files that hold what they should.
    pub good: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Of these, files that were read past the page cache (`O_DIRECT`).
    pub direct: u64,
    /// Files that somebody changed or took away openly since the last scan, or while they were read: the next scan takes them.
    pub changed: u64,
    /// What is wrong: how many files of each kind.
    pub wrong: BTreeMap<&'static str, u64>,
    /// The first of those.
    pub findings: Vec<Finding>,
    /// Files that were put back.
    pub repaired: u64,
    /// Where the bad files of those are.
    pub kept: Option<String>,
    /// Files whose check is due still.
    pub left: u64,
}

impl Verified {
    /// True where anything is wrong that was not put right.
    pub fn is_damaged(&self) -> bool {
        self.wrong.values().sum::<u64>() > self.repaired
    }
}

/// A run.
struct Run<'a> {
    work: &'a Work<'a>,
    index: Catalogue,
    baseline: Baseline,
    checks: Checks,
    report: Verified,
    good: Vec<Due>,
    bad: Vec<(Due, Found)>,
    /// What waits for a copy out of a container, and whether a bad one is in its place.
    waiting: Vec<(Due, bool)>,
    settled: Instant,
    /// When it began, seconds since 1970.
    start: i64,
}

/// How many files and bytes are due. Changes nothing.
pub fn look(work: &Work<'_>) -> Result<(u64, u64)> {
    match Catalogue::existing(work.base, &work.id)? {
        Some(index) => index.count_due(work.before, clock::now().as_second()),
        None => Ok((0, 0)),
    }
}

/// Verifies. Only under the lock of whoever verifies this experiment.
pub fn run(work: &Work<'_>) -> Result<Verified> {
    let mut run = {
        let _lock = (work.hold)()?;
        let mut index = Catalogue::open(work.base, &work.id)?;
        let baseline = Baseline::open(work.base, &work.id)?;
        let checks = Checks::open(work.base, &work.id)?;
        index.catch_up(&baseline, &checks)?;
        repair::clear_up(work, &index)?;
        Run {
            work,
            index,
            baseline,
            checks,
            report: Verified::default(),
            good: Vec::new(),
            bad: Vec::new(),
            waiting: Vec::new(),
            settled: Instant::now(),
            start: clock::now().as_second(),
        }
    };
    if run.index.is_empty()? {
        return Err(Error::new(
            "catalogue.missing",
            "nobody has looked through the files of this experiment yet",
        )
        .hint("`octonas catalogue scan` does"));
    }
    run.index.share();
    let result = run.all();
    run.index.unshare();
    result.map(|()| run.report)
}

impl Run<'_> {
    fn all(&mut self) -> Result<()> {
        let begun = Instant::now();
        let pace = Pace::new(self.work.rate);
        let start = self.start;
        let (total, _) = self.index.count_due(self.work.before, start)?;
        let mut done: u64 = 0;
        let mut last: Option<Due> = None;
        // Whatever the clock does meanwhile, no more is read than was due.
        while done < total {
            process::check_interrupted()?;
            if self
                .work
                .within
                .is_some_and(|within| begun.elapsed() > within)
            {
                break;
            }
            // What this run has written down lies behind the start and not behind this moment: it is not due again.
            let now = clock::now().as_second();
            let mut piece = self
                .index
                .due(self.work.before, now, last.as_ref(), PIECE)?;
            cut(&mut piece);
            let Some(end) = piece.last() else { break };
            last = Some(end.clone());
            done += piece.len() as u64;
            let step = usize::try_from(done).unwrap_or_default();
            let of = usize::try_from(total).unwrap_or_default();
            self.work.progress.step(
                step,
                of,
                &said!("reading files again", "relecture des fichiers"),
            );
            // Longest unchecked first, but those that are taken up together in the order in which the disk has them.
            piece.sort_by(|a, b| (folder(a), a.known.inode).cmp(&(folder(b), b.known.inode)));
            self.piece(piece, &pace)?;
        }
        self.settle()?;
        self.repair_waiting()?;
        // What was read in the second in which this began counts as done.
        let now = clock::now().as_second();
        let before = self.work.before.min(start - 1);
        self.report.left = self.index.count_due(before, now)?.0;
        Ok(())
    }

    fn piece(&mut self, piece: Vec<Due>, pace: &Pace) -> Result<()> {
        let work = self.work;
        read::all(work.experiment, piece, pace, |due, found| {
            self.take(due, found);
            if self.settled.elapsed() < PAUSE && self.good.len() < 2 * PIECE as usize {
                return Ok(());
            }
            self.pass_the_first_second();
            self.settle()
        })
    }

    /// Times of checks are seconds: one of the second in which this run began could be older than it.
    fn pass_the_first_second(&self) {
        let now = clock::now();
        if now.as_second() == self.start {
            let passed = Duration::from_nanos(now.subsec_nanosecond().unsigned_abs().into());
            std::thread::sleep(Duration::from_secs(1).saturating_sub(passed));
        }
    }

    fn take(&mut self, due: Due, found: Found) {
        match found {
            Found::Sum { sum, direct, .. } if due.known.sha256 == Some(sum) => {
                self.report.good += 1;
                self.report.bytes += due.known.size;
                self.report.direct += u64::from(direct);
                self.good.push(due);
            }
            Found::Changed if !due.known.sealed => self.report.changed += 1,
            Found::Busy => self.report.changed += 1,
            other => self.bad.push((due, other)),
        }
    }
}

fn folder(due: &Due) -> &str {
    crate::store::pathname::split(&due.path).0
}

/// So much is taken up that it can be written down in a day.
fn cut(piece: &mut Vec<Due>) {
    let mut bytes: u64 = 0;
    let fits = piece
        .iter()
        .take_while(|due| {
            bytes = bytes.saturating_add(due.known.size);
            bytes <= PIECE_BYTES
        })
        .count();
    piece.truncate(fits.max(1));
}
