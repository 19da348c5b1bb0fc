//! The threads that read files for a scan.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::Scope;

use super::Pending;
use crate::catalogue::digest::{self, Pace};
use crate::error::Error;
use crate::store::catalogue::entries::{Missing, Sum};
use crate::sys::dir::{Buffer, Dir, Seen};
use crate::sys::{clock, process};

/// A change that is younger than this when a file is read may be followed by another that leaves the same time: the clock
/// of file systems goes in ticks (`current_time`, 1 – 10 ms; whole seconds on some).
const TICK: i64 = 20_000_000;
const WHOLE_SECOND: i64 = 1_000_000_000;

/// Files of one directory, to be read by one thread.
pub(super) struct Job {
    pub dir: Arc<Dir>,
    pub files: Vec<Wanted>,
}

/// A file to read.
pub(super) struct Wanted {
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
    results: &Sender<Vec<Pending>>,
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
                let read = job
                    .files
                    .into_iter()
                    .map(|file| Pending {
                        outcome: read(&job.dir, &file, &mut buffer, pace),
                        path: file.path,
                        seen: file.seen,
                        from: file.from,
                    })
                    .collect();
                if results.send(read).is_err() {
                    return;
                }
            }
        });
    }
}

fn read(dir: &Dir, file: &Wanted, buffer: &mut Buffer, pace: &Pace) -> Result {
    let begun = clock::now().as_nanosecond();
    let mut outcome = || -> crate::error::Result<Result> {
        let Some(mut reading) = dir.reading(&file.seen.name, false)? else {
            return Ok(Result::Vanished);
        };
        let metadata = reading.metadata();
        let same = metadata.ino == file.seen.inode
            && metadata.size == file.seen.size
            && metadata.modified.as_nanosecond() == i128::from(file.seen.mtime_ns)
            && metadata.changed.as_nanosecond() == i128::from(file.seen.ctime_ns);
        if !same {
            return Ok(Result::Unstable);
        }
        if !dir.can_hold(file.seen.size)? {
            return Ok(Result::Unreadable(
                Error::new(
                    "file.too-large",
                    format!("{} claims more bytes than its disk holds", file.path),
                )
                .hint("it is made of holes: see who made it, and remove it"),
            ));
        }
        let (sum, bytes) = digest::digest(&mut reading, buffer, pace)?;
        if bytes != file.seen.size || !reading.is_unchanged()? {
            return Ok(Result::Unstable);
        }
        let tick = if file.seen.ctime_ns % WHOLE_SECOND == 0 {
            2 * WHOLE_SECOND
        } else {
            TICK
        };
        let age = begun - i128::from(file.seen.ctime_ns);
        Ok(Result::Read {
            sum,
            again: age < i128::from(tick),
        })
    };
    outcome().unwrap_or_else(Result::Unreadable)
}
