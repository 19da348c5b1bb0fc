//! Looking through the files of an experiment: what is new or changed is read and gets its line in the baseline, and the index
//! knows all of it. `catalogue::scan::run` is called by `provision`.
//!
//! One thread lists directories, as many as there are cores read files, and this one compares, decides and writes. What was
//! read is entered every few seconds, under the experiment's lock: first the baseline, then the index, so that a run that
//! was killed loses the last seconds and the next one goes on. Nothing here writes over a line that stands.

mod compare;
mod decide;
mod gone;
mod read;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use serde::Serialize;

use self::compare::{is_unchanged, known_sum};
use self::read::{Job, Result as Outcome, Wanted};
use super::digest::Pace;
use crate::error::Result;
use crate::experiment::ExperimentId;
use crate::report::{Progress, said};
use crate::store::baseline::Baseline;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::entries::{Known, Missing};
use crate::store::checks::Checks;
use crate::store::pathname;
use crate::sys::dir::{Dir, Listing, Seen, Tree};
use crate::sys::lock::Lock;
use crate::sys::{clock, process};

/// The directories of an experiment that hold no data of its members.
pub const APART: [&str; 2] = ["metadata", "landing"];
/// The most paths that a report lists of a kind.
const LISTED: usize = 1000;
/// What was read is entered after so many files …
const BATCH: usize = 2048;
/// … or so much time.
const PAUSE: Duration = Duration::from_secs(3);
/// How many files of a directory are read one after the other …
const TOGETHER: usize = 32;
/// … and the most bytes of those, unless it is one file.
const TOGETHER_BYTES: u64 = 4 << 20;
/// How many of these wait to be read: more than is read while a batch is entered. Each keeps its directory open.
const QUEUE: usize = 96;

/// Where and how to work.
pub struct Work<'a> {
    /// The base.
    pub base: &'a Dir,
    /// The experiment's directory.
    pub experiment: &'a Dir,
    /// Its id.
    pub id: ExperimentId,
    /// The most bytes a second.
    pub rate: Option<u64>,
    /// Takes the lock of the experiment.
    pub hold: &'a dyn Fn() -> Result<Lock>,
    /// Called once, before anything is entered that is worth a line in the ledger.
    pub begin: &'a dyn Fn() -> Result<()>,
    /// Where it shows itself.
    pub progress: &'a dyn Progress,
}

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `damage`, `loss`, `silent-change`.
    pub code: &'static str,
    /// Path below the experiment.
    pub path: String,
    /// What is wrong, for people.
    pub text: String,
}

/// What a scan came to.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Scanned {
    /// Files that are there.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Files that were read.
    pub read: u64,
    /// Bytes of those.
    pub read_bytes: u64,
    /// Files that are new in the baseline.
    pub new: u64,
    /// Files that somebody changed.
    pub changed: u64,
    /// Files that have another path now.
    pub moved: u64,
    /// Files that went away.
    pub gone: u64,
    /// Files that were changed while they were read: the next scan takes them.
    pub unstable: u64,
    /// The first of those.
    pub unstable_files: Vec<String>,
    /// Links, devices and the like: not part of the catalogue.
    pub others: u64,
    /// What could not be looked at.
    pub unreadable: Vec<String>,
    /// What is wrong, now.
    pub findings: Vec<Finding>,
}

impl Scanned {
    /// True where anything is worth a word.
    pub fn changed(&self) -> bool {
        self.new + self.changed + self.moved + self.gone + self.unstable > 0
            || !self.findings.is_empty()
            || !self.unreadable.is_empty()
    }

    fn unreadable(&mut self, text: String) {
        if self.unreadable.len() < LISTED {
            self.unreadable.push(text);
        }
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < LISTED {
            self.findings.push(finding);
        }
    }
}

/// What a file that was read, or was moved, is waiting to be entered as.
struct Pending {
    path: String,
    seen: Seen,
    outcome: Outcome,
    /// The file that it was before, under another path.
    from: Option<Missing>,
}

struct Scan<'a> {
    work: &'a Work<'a>,
    index: Catalogue,
    baseline: Baseline,
    checks: Checks,
    number: u64,
    report: Scanned,
    pending: Vec<Pending>,
    /// Folders that were seen since it was last written down, with files and bytes in each.
    seen: Vec<(String, u64, u64)>,
    /// Folders from which something went away.
    suspects: Vec<String>,
    /// Files of a folder that comes in pieces, so far.
    matched: u64,
    /// All files of it, and their bytes, so far.
    there: (u64, u64),
    entered: Instant,
    begun: bool,
}

/// Looks through the files. Only under the lock of whoever scans this experiment.
pub fn run(work: &Work<'_>) -> Result<Scanned> {
    match attempt(work) {
        Err(error) if error.code() == "catalogue.damaged" => {
            work.progress.warn(&said!(
                "the index is damaged; it is made again from the evidence",
                "l'index est endommagé ; il est refait à partir des preuves"
            ));
            {
                let _lock = (work.hold)()?;
                Catalogue::set_aside(work.base, &work.id)?;
            }
            attempt(work)
        }
        other => other,
    }
}

/// What a scan would read and enter, by sizes and times alone. Changes nothing; files that changed their place count as gone
/// and new.
pub fn look(work: &Work<'_>) -> Result<Scanned> {
    let index = Catalogue::existing(work.base, &work.id)?;
    let mut report = Scanned::default();
    for listing in Tree::new(work.experiment, &APART)? {
        process::check_interrupted()?;
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                report.unreadable(error.to_string());
                continue;
            }
        };
        let folder = pathname::text(&listing.path);
        report.others += listing.others;
        let (mut known_there, mut matched) = (0, 0);
        if let Some(index) = &index {
            known_there = index.count_in(&folder)?;
        }
        for file in &listing.files {
            report.files += 1;
            report.bytes += file.size;
            let path = pathname::join(&folder, &pathname::text(&file.name));
            let before = match &index {
                Some(index) => index.known(&path)?,
                None => None,
            };
            matched += u64::from(before.is_some());
            match before {
                Some(before) if is_unchanged(&before, file) => continue,
                Some(_) => report.changed += 1,
                None => report.new += 1,
            }
            report.read += 1;
            report.read_bytes += file.size;
        }
        if listing.is_first && listing.is_last {
            report.gone += known_there.saturating_sub(matched);
        }
    }
    Ok(report)
}

fn attempt(work: &Work<'_>) -> Result<Scanned> {
    let mut scan = {
        let _lock = (work.hold)()?;
        let mut index = Catalogue::open(work.base, &work.id)?;
        let baseline = Baseline::open(work.base, &work.id)?;
        let checks = Checks::open(work.base, &work.id)?;
        index.catch_up(&baseline, &checks)?;
        let number = index.begin_scan(&clock::now_text())?;
        Scan {
            work,
            index,
            baseline,
            checks,
            number,
            report: Scanned::default(),
            pending: Vec::new(),
            seen: Vec::new(),
            suspects: Vec::new(),
            matched: 0,
            there: (0, 0),
            entered: Instant::now(),
            begun: false,
        }
    };
    scan.index.share();
    let result = scan
        .walk()
        .and_then(|()| scan.enter())
        .and_then(|()| scan.clear_up())
        .and_then(|()| scan.index.end_scan(&clock::now_text()));
    scan.index.unshare();
    result.map(|()| scan.report)
}

impl Scan<'_> {
    /// Something worth a line in the ledger is about to be entered.
    fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        (self.work.begin)()
    }

    fn walk(&mut self) -> Result<()> {
        let tree = Tree::new(self.work.experiment, &APART)?;
        let pace = Pace::new(self.work.rate);
        std::thread::scope(|scope| {
            let (listings, listed) = sync_channel::<Result<Listing>>(2);
            scope.spawn(move || {
                process::be_polite();
                for listing in tree {
                    if listings.send(listing).is_err() {
                        break;
                    }
                }
            });
            let (jobs, work) = sync_channel::<Job>(QUEUE);
            let (results, read) = channel();
            read::start(scope, work, &results, &pace);
            drop(results);
            let mut lane = Lane {
                jobs,
                read,
                waiting: 0,
                next: Vec::new(),
                bytes: 0,
            };
            for listing in listed {
                process::check_interrupted()?;
                match listing {
                    Ok(listing) => self.look(listing, &mut lane)?,
                    Err(error) => self.report.unreadable(error.to_string()),
                }
                self.collect(&mut lane)?;
            }
            while lane.waiting > 0 {
                process::check_interrupted()?;
                match lane.read.recv_timeout(Duration::from_millis(500)) {
                    Ok(read) => self.receive(&mut lane, read),
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                }
                self.enter_in_time()?;
            }
            Ok(())
        })
    }

    /// Compares a directory, or a piece of it, with what is known.
    fn look(&mut self, listing: Listing, lane: &mut Lane) -> Result<()> {
        let folder = pathname::text(&listing.path);
        self.report.others += listing.others;
        self.report.files += listing.files.len() as u64;
        let mut known = if listing.is_first && listing.is_last {
            Some(self.index.in_folder(&folder)?)
        } else {
            None
        };
        if listing.is_first {
            self.matched = 0;
            self.there = (0, 0);
        }
        let mut files = listing.files.into_iter().peekable();
        while files.peek().is_some() {
            let some = files.by_ref().take(BATCH);
            for (file, before) in self.compare(&folder, some, &mut known)? {
                self.changed(file, before.as_ref(), &listing.dir, lane)?;
            }
        }
        self.send(&listing.dir, lane)?;
        let missing = match known {
            Some(known) => !known.is_empty(),
            None => listing.is_last && self.index.count_in(&folder)? > self.matched,
        };
        if missing {
            self.suspects.push(folder.clone());
        }
        if listing.is_last {
            self.seen.push((folder, self.there.0, self.there.1));
        }
        Ok(())
    }

    /// A file that is new, or not as it was.
    fn changed(
        &mut self,
        file: Wanted,
        before: Option<&Known>,
        dir: &Arc<Dir>,
        lane: &mut Lane,
    ) -> Result<()> {
        if let Some(sum) = known_sum(&file, before) {
            self.pending.push(Pending {
                path: file.path,
                seen: file.seen,
                outcome: Outcome::Known(sum),
                from: file.from,
            });
            return self.enter_in_time();
        }
        if lane.bytes + file.seen.size > TOGETHER_BYTES || lane.next.len() == TOGETHER {
            self.send(dir, lane)?;
        }
        lane.bytes += file.seen.size;
        lane.next.push(file);
        Ok(())
    }

    /// Gives the files that are next to whoever is free, and takes what was read meanwhile.
    fn send(&mut self, dir: &Arc<Dir>, lane: &mut Lane) -> Result<()> {
        lane.bytes = 0;
        let files = std::mem::take(&mut lane.next);
        if files.is_empty() {
            return Ok(());
        }
        lane.waiting += files.len();
        let mut job = Job {
            dir: Arc::clone(dir),
            files,
        };
        loop {
            match lane.jobs.try_send(job) {
                Ok(()) => return self.collect(lane),
                Err(TrySendError::Disconnected(_)) => return Ok(()),
                Err(TrySendError::Full(back)) => {
                    job = back;
                    if let Ok(read) = lane.read.recv_timeout(Duration::from_millis(100)) {
                        self.receive(lane, read);
                    }
                    self.enter_in_time()?;
                    process::check_interrupted()?;
                }
            }
        }
    }

    /// Takes what was read meanwhile.
    fn collect(&mut self, lane: &mut Lane) -> Result<()> {
        while let Ok(read) = lane.read.try_recv() {
            self.receive(lane, read);
        }
        self.enter_in_time()
    }

    fn receive(&mut self, lane: &mut Lane, read: Vec<Pending>) {
        for file in read {
            lane.waiting -= 1;
            match &file.outcome {
                Outcome::Read { .. } => {
                    self.report.read += 1;
                    self.report.read_bytes += file.seen.size;
                }
                Outcome::Unstable => {
                    self.report.unstable += 1;
                    if self.report.unstable_files.len() < LISTED {
                        self.report.unstable_files.push(file.path);
                    }
                    continue;
                }
                Outcome::Vanished => {
                    self.report.files = self.report.files.saturating_sub(1);
                    continue;
                }
                Outcome::Known(_) | Outcome::Unreadable(_) => {}
            }
            self.pending.push(file);
        }
    }

    fn enter_in_time(&mut self) -> Result<()> {
        if self.pending.len() + self.seen.len() < BATCH && self.entered.elapsed() < PAUSE {
            return Ok(());
        }
        self.enter()
    }
}

/// What goes to those who read, and what comes back.
struct Lane {
    jobs: SyncSender<Job>,
    read: Receiver<Vec<Pending>>,
    /// Files that went and did not come back.
    waiting: usize,
    /// Files of the directory that is looked at which go next, and their bytes.
    next: Vec<Wanted>,
    bytes: u64,
}
