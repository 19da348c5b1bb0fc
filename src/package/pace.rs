//! Progress of long work: a line now and then, never one for every file.

use std::time::{Duration, Instant};

use crate::report::Progress;

/// How long between two lines.
const PAUSE: Duration = Duration::from_secs(2);

/// How far a piece of work is.
pub struct Pace<'p> {
    progress: &'p dyn Progress,
    what: &'static str,
    total: u64,
    done: u64,
    told: Instant,
}

impl<'p> Pace<'p> {
    /// Work on `total` bytes (0 where that is not known), called `what`.
    pub fn new(progress: &'p dyn Progress, what: &'static str, total: u64) -> Self {
        Self {
            progress,
            what,
            total,
            done: 0,
            told: Instant::now(),
        }
    }

    /// So many bytes more are done.
    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if self.told.elapsed() < PAUSE {
            return;
        }
        self.told = Instant::now();
        let mib = |bytes: u64| bytes >> 20;
        if self.total == 0 {
            let text = format!("{}: {} MiB", self.what, mib(self.done));
            self.progress
                .step(usize::try_from(mib(self.done)).unwrap_or(0), 0, &text);
            return;
        }
        let percent = u128::from(self.done) * 100 / u128::from(self.total);
        let text = format!(
            "{}: {} of {} MiB",
            self.what,
            mib(self.done),
            mib(self.total)
        );
        self.progress
            .step(usize::try_from(percent.min(100)).unwrap_or(100), 100, &text);
    }
}
