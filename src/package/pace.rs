//! Progress of long work: a line now and then, never one for every file.

use std::time::{Duration, Instant};

use crate::report::{Progress, said};

/// How long between two lines.
const PAUSE: Duration = Duration::from_secs(2);

/// What is done.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// A package is written.
    Packing,
    /// A package is read.
    Verifying,
}

impl Work {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Packing => ("packing", "empaquetage"),
            Self::Verifying => ("verifying", "vérification"),
        }
    }
}

/// How far a piece of work is.
pub struct Pace<'p> {
    progress: &'p dyn Progress,
    what: Work,
    total: u64,
    done: u64,
    told: Instant,
}

impl<'p> Pace<'p> {
    /// Work on `total` bytes (0 where that is not known).
    pub fn new(progress: &'p dyn Progress, what: Work, total: u64) -> Self {
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
        let (done, total) = (self.done >> 20, self.total >> 20);
        let (en, fr) = self.what.words();
        if self.total == 0 {
            let number = usize::try_from(done).unwrap_or(0);
            let text = said!("{en}: {done} MiB", "{fr} : {done} Mio");
            self.progress.step(number, 0, &text);
            return;
        }
        let percent = u128::from(self.done) * 100 / u128::from(self.total);
        let percent = usize::try_from(percent.min(100)).unwrap_or(100);
        let text = said!(
            "{en}: {done} of {total} MiB",
            "{fr} : {done} Mio sur {total}"
        );
        self.progress.step(percent, 100, &text);
    }
}
