//! Looking through the files of an experiment: what is new or changed is read and gets its line in the baseline, and the index
//! knows all of it. `catalogue::scan::run` is called by `provision`.
//!
//! One thread lists directories, as many as there are cores read files, and this one compares, decides and writes. What was
//! read is entered every few seconds, under the experiment's lock: first the baseline, then the index, so that a run that
//! was killed loses the last seconds and the next one goes on. Nothing here writes over a line that stands.

mod decide;
mod gone;
mod read;

use std::sync::mpsc::{Receiver, Sender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use serde::Serialize;

use self::read::{Job, Result as Outcome};
use super::digest::Pace;
use crate::error::Result;
use crate::experiment::ExperimentId;
use crate::report::{Progress, said};
use crate::store::baseline::Baseline;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::entries::{Known, Missing, UNSEEN};
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
/// How many files wait to be read.
const QUEUE: usize = 128;

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
            let (results, read) = channel::<(Job, Outcome)>();
            read::start(scope, work, &results, &pace);
            drop(results);
            let mut lane = Lane {
                jobs,
                read,
                waiting: 0,
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
                    Ok((job, outcome)) => self.receive(&mut lane, job, outcome),
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
        for file in listing.files {
            self.report.bytes += file.size;
            self.there = (self.there.0 + 1, self.there.1 + file.size);
            let name = pathname::text(&file.name);
            let before = match &mut known {
                Some(known) => known.remove(&name),
                None => self.index.known(&pathname::join(&folder, &name))?,
            };
            self.matched += u64::from(before.is_some());
            if before
                .as_ref()
                .is_some_and(|before| is_unchanged(before, &file))
            {
                continue;
            }
            let path = pathname::join(&folder, &name);
            self.changed(path, file, before.as_ref(), &listing.dir, lane)?;
        }
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
        path: String,
        seen: Seen,
        before: Option<&Known>,
        dir: &std::sync::Arc<Dir>,
        lane: &mut Lane,
    ) -> Result<()> {
        if let Some(before) = before.filter(|before| {
            before.ctime_ns == UNSEEN
                && (before.size, before.mtime_ns) == (seen.size, seen.mtime_ns)
        }) && let Some(sum) = before.sha256
        {
            // It came in, or the index was made again: its line says what it holds, and verifying it is another matter.
            self.pending.push(Pending {
                path,
                seen,
                outcome: Outcome::Known(sum),
                from: None,
            });
            return self.enter_in_time();
        }
        let from = match before {
            None => self.before_a_move(&path, &seen)?,
            Some(_) => None,
        };
        if let Some(from) = &from
            && from.known.ctime_ns == seen.ctime_ns
            && let Some(sum) = from.known.sha256
        {
            // A directory above it got another name; the file itself was not touched.
            self.pending.push(Pending {
                path,
                seen,
                outcome: Outcome::Known(sum),
                from: Some(from.clone()),
            });
            return self.enter_in_time();
        }
        let mut job = Job {
            dir: std::sync::Arc::clone(dir),
            path,
            seen,
            from,
        };
        lane.waiting += 1;
        loop {
            match lane.jobs.try_send(job) {
                Ok(()) => return self.collect(lane),
                Err(TrySendError::Disconnected(_)) => return Ok(()),
                Err(TrySendError::Full(back)) => {
                    job = back;
                    if let Ok((done, outcome)) = lane.read.recv_timeout(Duration::from_millis(100))
                    {
                        self.receive(lane, done, outcome);
                    }
                    self.enter_in_time()?;
                    process::check_interrupted()?;
                }
            }
        }
    }

    /// The file that this one was, if its old place is empty or somebody else's now.
    fn before_a_move(&self, path: &str, seen: &Seen) -> Result<Option<Missing>> {
        for before in self.index.of_inode(seen.inode, seen.size, seen.mtime_ns)? {
            if before.path == path || before.known.mark == 0 {
                continue;
            }
            let (folder, name) = pathname::split(&before.path);
            let there = match self.work.experiment.open(pathname::path(folder)) {
                Ok(Some(dir)) => dir.stat(pathname::path(name))?,
                Ok(None) => None,
                Err(error) if matches!(error.code(), "path.link" | "path.not-directory") => None,
                Err(_) => continue,
            };
            if there.is_none_or(|there| there.ino != seen.inode) {
                return Ok(Some(before));
            }
        }
        Ok(None)
    }

    /// Takes what was read meanwhile.
    fn collect(&mut self, lane: &mut Lane) -> Result<()> {
        while let Ok((job, outcome)) = lane.read.try_recv() {
            self.receive(lane, job, outcome);
        }
        self.enter_in_time()
    }

    fn receive(&mut self, lane: &mut Lane, job: Job, outcome: Outcome) {
        lane.waiting -= 1;
        match &outcome {
            Outcome::Read { .. } => {
                self.report.read += 1;
                self.report.read_bytes += job.seen.size;
            }
            Outcome::Unstable => {
                self.report.unstable += 1;
                if self.report.unstable_files.len() < LISTED {
                    self.report.unstable_files.push(job.path.clone());
                }
                return;
            }
            Outcome::Vanished => {
                self.report.files = self.report.files.saturating_sub(1);
                return;
            }
            Outcome::Known(_) | Outcome::Unreadable(_) => {}
        }
        self.pending.push(Pending {
            path: job.path,
            seen: job.seen,
            outcome,
            from: job.from,
        });
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
    jobs: std::sync::mpsc::SyncSender<Job>,
    read: Receiver<(Job, Outcome)>,
    waiting: usize,
}

type Results = Sender<(Job, Outcome)>;

fn is_unchanged(before: &Known, now: &Seen) -> bool {
    before.mark != 0
        && (before.size, before.mtime_ns, before.ctime_ns, before.inode)
            == (now.size, now.mtime_ns, now.ctime_ns, now.inode)
}
