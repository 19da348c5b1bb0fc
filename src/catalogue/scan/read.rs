//! The threads that read files for a scan.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use super::Results;
use crate::catalogue::digest::{self, Pace};
use crate::error::Error;
use crate::store::catalogue::entries::{Missing, Sum};
use crate::sys::dir::{Buffer, Dir, Seen};
use crate::sys::{clock, process};

/// A change that is younger than this when a file is read may be followed by another that leaves the same time: the clock
/// of file systems goes in ticks (`current_time`, 1 – 10 ms; whole seconds on some).
const TICK: i64 = 20_000_000;
const WHOLE_SECOND: i64 = 1_000_000_000;

/// A file to read.
pub(super) struct Job {
    pub dir: Arc<Dir>,
    pub path: String,
    pub seen: Seen,
    pub from: Option<Missing>,
}

/// What reading it came to.
pub(super) enum Result {
    /// Its checksum; `again` where a later change could go unseen.
    Read { sum: Sum, again: bool },
    /// It need not be read: its checksum is known.
    Known(Sum),
    /// It was changed meanwhile.
    Unstable,
    /// It is gone, or something else has its name.
    Vanished,
    /// Why it cannot be read.
    Unreadable(Error),
}

/// Starts as many threads as there are cores. They end when there are no more files.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    jobs: Receiver<Job>,
    results: &Results,
    pace: &'scope Pace,
) {
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..digest::cores() {
        let (jobs, results) = (Arc::clone(&jobs), results.clone());
        scope.spawn(move || {
            process::be_polite();
            let mut buffer = Buffer::new(digest::WARM);
            loop {
                let job = match jobs.lock() {
                    Ok(jobs) => jobs.recv(),
                    Err(_) => return,
                };
                let Ok(job) = job else { return };
                let outcome = read(&job, &mut buffer, pace);
                if results.send((job, outcome)).is_err() {
                    return;
                }
            }
        });
    }
}

fn read(job: &Job, buffer: &mut Buffer, pace: &Pace) -> Result {
    let begun = clock::now().as_nanosecond();
    let mut outcome = || -> crate::error::Result<Result> {
        let Some(mut reading) = job.dir.reading(&job.seen.name, false)? else {
            return Ok(Result::Vanished);
        };
        let metadata = reading.metadata();
        let same = metadata.ino == job.seen.inode
            && metadata.size == job.seen.size
            && metadata.modified.as_nanosecond() == i128::from(job.seen.mtime_ns)
            && metadata.changed.as_nanosecond() == i128::from(job.seen.ctime_ns);
        if !same {
            return Ok(Result::Unstable);
        }
        if !job.dir.can_hold(job.seen.size)? {
            return Ok(Result::Unreadable(
                Error::new(
                    "file.too-large",
                    format!("{} claims more bytes than its disk holds", job.path),
                )
                .hint("it is made of holes: see who made it, and remove it"),
            ));
        }
        let (sum, bytes) = digest::digest(&mut reading, buffer, pace)?;
        if bytes != job.seen.size || !reading.is_unchanged()? {
            return Ok(Result::Unstable);
        }
        let tick = if job.seen.ctime_ns % WHOLE_SECOND == 0 {
            2 * WHOLE_SECOND
        } else {
            TICK
        };
        let age = begun - i128::from(job.seen.ctime_ns);
        Ok(Result::Read {
            sum,
            again: age < i128::from(tick),
        })
    };
    outcome().unwrap_or_else(Result::Unreadable)
}
