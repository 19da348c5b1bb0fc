//! What a file that was read is entered as: new, changed by somebody, moved, or wrong.

use jiff::Timestamp;

use super::read::Result as Outcome;
use super::{Finding, Pending, Scan};
use crate::catalogue::ingest::time;
use crate::error::Result;
use crate::report::said;
use crate::store::baseline::Mark;
use crate::store::catalogue::entries::{AGAIN, Found, Known, Sum, hex};
use crate::store::checks::{Record, What};
use crate::sys::{clock, fault, process};

/// What is wrong with a file that is known.
pub(super) struct Wrong {
    pub path: String,
    pub mark: u64,
    pub code: &'static str,
    /// It was so before.
    pub stands: bool,
}

#[derive(Default)]
struct Decided {
    marks: Vec<Mark>,
    /// With the place of its mark, where it gets one.
    found: Vec<(Found, Option<usize>)>,
    wrong: Vec<Wrong>,
}

impl Scan<'_> {
    /// Enters what was read: the baseline first, then the index.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.entered = std::time::Instant::now();
        if !self.seen.is_empty() {
            let seen = std::mem::take(&mut self.seen);
            self.index.see(&seen, self.number)?;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let progress = self.work.progress;
        let files = usize::try_from(self.report.files).unwrap_or_default();
        progress.step(
            files,
            0,
            &said!(
                "files looked through, {} read",
                "fichiers parcourus, dont {} lus",
                self.report.read
            ),
        );
        let _lock = (self.work.hold)()?;
        // An ingest may have come in between: what it wrote is not new any more.
        self.index.catch_up(&self.baseline, &self.checks)?;
        let now = clock::now();
        let text = clock::text(now);
        let mut decided = Decided::default();
        // By path, whichever thread was first: the lines of two runs can be compared.
        self.pending.sort_by(|a, b| a.path.cmp(&b.path));
        let pending = std::mem::take(&mut self.pending);
        let known = self.index.at_once(|index| {
            let known = pending.iter().map(|one| index.known(&one.path));
            known.collect::<Result<Vec<_>>>()
        })?;
        for (pending, before) in pending.iter().zip(known) {
            self.decide(pending, before, &text, &mut decided);
        }
        if !decided.marks.is_empty() || decided.wrong.iter().any(|wrong| !wrong.stands) {
            self.begin()?;
        }
        process::check_interrupted()?;
        fault::point("scan.read")?;
        self.write(decided, now, &text)
    }

    fn write(&mut self, decided: Decided, now: Timestamp, text: &str) -> Result<()> {
        let first = self.baseline.append(&decided.marks)?;
        fault::point("scan.marked")?;
        let mut sealed = Vec::new();
        let found: Vec<Found> = decided
            .found
            .into_iter()
            .map(|(mut found, place)| {
                if let Some(place) = place {
                    found.now.mark = first + place as u64;
                    found.is_marked = true;
                    if found.now.sealed {
                        sealed.push(found.now.mark);
                    }
                }
                found
            })
            .collect();
        let last = (!decided.marks.is_empty()).then(|| first + decided.marks.len() as u64 - 1);
        self.index.enter(&found, now.as_second(), text, last)?;
        if !sealed.is_empty() {
            // A seal goes with the file, whose line has another number now.
            self.checks
                .append(&Record::of(text, What::Sealed, sealed))?;
            self.index.catch_up(&self.baseline, &self.checks)?;
        }
        self.note(&decided.wrong, text)
    }

    /// Writes down what is wrong and was not before.
    pub(super) fn note(&mut self, all: &[Wrong], text: &str) -> Result<()> {
        let new: Vec<&Wrong> = all.iter().filter(|wrong| !wrong.stands).collect();
        if new.is_empty() {
            return Ok(());
        }
        let records: Vec<Record> = new
            .iter()
            .map(|wrong| Record::found(text, wrong.mark, wrong.code, &wrong.path))
            .collect();
        let last = self.checks.append(&records)?;
        fault::point("scan.noted")?;
        for wrong in new {
            self.index
                .set_finding(&wrong.path, Some(wrong.code), text, Some(last))?;
        }
        Ok(())
    }

    fn decide(
        &mut self,
        pending: &Pending,
        before: Option<Known>,
        text: &str,
        decided: &mut Decided,
    ) {
        let (sum, again) = match &pending.outcome {
            Outcome::Read { sum, again } => (*sum, *again),
            Outcome::Known(sum) => (*sum, false),
            Outcome::Unreadable(error) => {
                let why = error.to_string();
                let disk = error.code() == "disk.failed";
                self.report.unreadable(why.clone());
                if let Some(before) = before.filter(|before| disk && before.mark != 0) {
                    self.wrong(pending, &before, "damage", why, decided);
                }
                return;
            }
            Outcome::Unstable | Outcome::Vanished => return,
        };
        let seen = &pending.seen;
        let known = before.as_ref().filter(|before| before.mark != 0);
        let mut now = Known {
            size: seen.size,
            mtime_ns: seen.mtime_ns,
            ctime_ns: if again { AGAIN } else { seen.ctime_ns },
            inode: seen.inode,
            sha256: Some(sum),
            mark: known.map_or(0, |known| known.mark),
            sealed: known.is_some_and(|known| known.sealed),
            // What was not read is not known to be right again.
            state: match &pending.outcome {
                Outcome::Known(_) => known.and_then(|known| known.state.clone()),
                _ => None,
            },
        };
        let mut was = None;
        let mut from = None;
        match known.and_then(|known| Some((known, known.sha256?))) {
            Some((_, held)) if held == sum => {
                decided
                    .found
                    .push((found(pending, now, None, before), None));
                return;
            }
            Some((known, _)) if known.sealed => {
                let why = "it is sealed, and holds something else than when it was";
                self.wrong(pending, &known.clone(), "damage", why.into(), decided);
                return;
            }
            Some((known, _)) if (known.size, known.mtime_ns) == (seen.size, seen.mtime_ns) => {
                let why = "it holds something else, and its time of change says nothing of it";
                self.wrong(
                    pending,
                    &known.clone(),
                    "silent-change",
                    why.into(),
                    decided,
                );
                return;
            }
            Some((_, held)) => {
                was = Some(hex(&held));
                self.report.changed += 1;
            }
            None => {
                from = pending
                    .from
                    .as_ref()
                    .filter(|from| from.known.sha256 == Some(sum))
                    .map(|from| from.path.clone());
                if from.is_some() {
                    now.sealed = pending.from.as_ref().is_some_and(|from| from.known.sealed);
                    self.report.moved += 1;
                } else {
                    self.report.new += 1;
                }
            }
        }
        decided
            .marks
            .push(mark(pending, &sum, text, was, from.clone()));
        let place = decided.marks.len() - 1;
        decided
            .found
            .push((found(pending, now, from, before), Some(place)));
    }

    fn wrong(
        &mut self,
        pending: &Pending,
        before: &Known,
        code: &'static str,
        text: String,
        decided: &mut Decided,
    ) {
        self.report.find(Finding {
            code,
            path: pending.path.clone(),
            text,
        });
        decided.wrong.push(Wrong {
            path: pending.path.clone(),
            mark: before.mark,
            code,
            stands: before.state.as_deref() == Some(code),
        });
    }
}

fn found(pending: &Pending, now: Known, from: Option<String>, before: Option<Known>) -> Found {
    Found {
        path: pending.path.clone(),
        now,
        from,
        before,
        is_marked: false,
        is_read: matches!(pending.outcome, Outcome::Read { .. }),
    }
}

fn mark(
    pending: &Pending,
    sum: &Sum,
    text: &str,
    was: Option<String>,
    from: Option<String>,
) -> Mark {
    Mark {
        time: text.to_owned(),
        path: pending.path.clone(),
        size: pending.seen.size,
        sha256: hex(sum),
        mtime: time(pending.seen.mtime_ns).to_string(),
        was,
        from,
        ..Mark::default()
    }
}
