//! The threads that read files for a verification: past the page cache (`O_DIRECT`), or after what is in memory was forgotten
//! where the file system has no direct reads.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::catalogue::digest::{self, Pace};
use crate::error::{Error, Result};
use crate::store::catalogue::due::Due;
use crate::store::catalogue::entries::{Sum, UNSEEN};
use crate::store::pathname;
use crate::sys::dir::{Buffer, Dir};
use crate::sys::process;

/// What was found in the place of a file.
pub(super) enum Found {
    /// It is as large and as old as it should be: what it holds, and whether anything about it was changed since the last scan.
    Sum {
        sum: Sum,
        direct: bool,
        touched: bool,
    },
    /// Its size or time differ: somebody changed it.
    Changed,
    /// Somebody is changing it now.
    Busy,
    /// It is not there, or something else is.
    Missing,
    /// Why it cannot be read.
    Unreadable(Error),
}

/// Reads files on all cores; `take` is called in this thread for each.
pub(super) fn all(
    experiment: &Dir,
    piece: Vec<Due>,
    pace: &Pace,
    mut take: impl FnMut(Due, Found) -> Result<()>,
) -> Result<()> {
    let queue = Mutex::new(VecDeque::from(piece));
    std::thread::scope(|scope| {
        let (results, read) = channel();
        for _ in 0..digest::cores() {
            let (results, queue) = (results.clone(), &queue);
            scope.spawn(move || {
                process::be_polite();
                let mut buffer = Buffer::new(digest::COLD);
                while let Some(due) = queue.lock().ok().and_then(|mut queue| queue.pop_front()) {
                    let found =
                        one(experiment, &due, &mut buffer, pace).unwrap_or_else(Found::Unreadable);
                    let stop =
                        matches!(&found, Found::Unreadable(error) if error.code() == "interrupted");
                    if stop || results.send((due, found)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut result = Ok(());
        for (due, found) in read {
            if result.is_ok() {
                result = take(due, found).and_then(|()| process::check_interrupted());
            }
            if result.is_err()
                && let Ok(mut queue) = queue.lock()
            {
                queue.clear();
            }
        }
        result.and_then(|()| process::check_interrupted())
    })
}

fn one(experiment: &Dir, due: &Due, buffer: &mut Buffer, pace: &Pace) -> Result<Found> {
    let (folder, name) = pathname::split(&due.path);
    let dir = match experiment.open(pathname::path(folder)) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(Found::Missing),
        Err(error) if matches!(error.code(), "path.link" | "path.not-directory") => {
            return Ok(Found::Missing);
        }
        Err(error) => return Err(error),
    };
    let Some(mut reading) = dir.reading(pathname::path(name), true)? else {
        return Ok(Found::Missing);
    };
    let metadata = *reading.metadata();
    let known = &due.known;
    if (metadata.size, metadata.modified.as_nanosecond())
        != (known.size, i128::from(known.mtime_ns))
    {
        return Ok(Found::Changed);
    }
    let (sum, bytes) = digest::digest(&mut reading, buffer, pace)?;
    reading.forget();
    if bytes != known.size || !reading.is_unchanged()? {
        return Ok(Found::Busy);
    }
    let touched =
        known.ctime_ns > UNSEEN && metadata.changed.as_nanosecond() != i128::from(known.ctime_ns);
    Ok(Found::Sum {
        sum,
        direct: reading.is_direct(),
        touched,
    })
}
