//! Reading whole files for their checksums: on all cores, at no more than a given pace, behind everybody else.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::store::catalogue::entries::Sum;
use crate::sys::dir::{Buffer, Reading};
use crate::sys::process;

/// How much is read at once: what stays in a processor's own cache between the copy and the checksum.
pub const WARM: usize = 128 << 10;
/// The same past the page cache, where every read waits for the disk.
pub const COLD: usize = 1 << 20;

/// How many files are read at the same time.
pub fn cores() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(16)
}

/// At most so many bytes a second, over all threads; none is no limit.
pub struct Pace {
    rate: Option<u64>,
    /// Until when the bytes that were read already are paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    /// Bytes a second.
    pub fn new(rate: Option<u64>) -> Self {
        Self {
            rate: rate.filter(|rate| *rate > 0),
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Waits as long as these bytes take.
    fn pay(&self, bytes: usize) -> Result<()> {
        process::check_interrupted()?;
        let Some(rate) = self.rate else {
            return Ok(());
        };
        let now = Instant::now();
        #[allow(clippy::cast_precision_loss)] // a pace is no account
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let until = {
            let Ok(mut paid) = self.paid.lock() else {
                return Ok(());
            };
            *paid = (*paid).max(now) + cost;
            *paid
        };
        let mut left = until.saturating_duration_since(now);
        while !left.is_zero() {
            let piece = left.min(Duration::from_millis(200));
            std::thread::sleep(piece);
            left = left.saturating_sub(piece);
            process::check_interrupted()?;
        }
        Ok(())
    }
}

/// The checksum of a file from where it is read now to its end, and how many bytes that were.
pub fn digest(reading: &mut Reading, buffer: &mut Buffer, pace: &Pace) -> Result<(Sum, u64)> {
    let mut hash = Sha256::new();
    let mut total = 0;
    loop {
        let bytes = reading.next(buffer)?;
        if bytes.is_empty() {
            return Ok((hash.finalize().into(), total));
        }
        hash.update(bytes);
        total += bytes.len() as u64;
        pace.pay(bytes.len())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::Dir;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_pace_is_kept_over_all_threads() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        std::fs::write(temp.path().join("file"), vec![7; 300_000]).unwrap();
        let pace = Pace::new(Some(2_000_000));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut reading = dir.reading("file", false).unwrap().unwrap();
                    let (_, bytes) = digest(&mut reading, &mut Buffer::new(WARM), &pace).unwrap();
                    assert_eq!(bytes, 300_000);
                });
            }
        });
        assert!(
            begun.elapsed() >= Duration::from_millis(290),
            "{:?}",
            begun.elapsed()
        );
    }
}
