//! What checks came to, written down: what is good; what is wrong, after the evidence itself was asked; what was put back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::read::Found;
use super::{Finding, LISTED, Run};
use crate::error::Result;
use crate::report::said;
use crate::store::catalogue::due::Due;
use crate::store::catalogue::entries::hex;
use crate::store::checks::{Record, What};
use crate::sys::{clock, fault};

impl Run<'_> {
    /// Writes down what was found so far.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.settled = Instant::now();
        let (good, bad) = (
            std::mem::take(&mut self.good),
            std::mem::take(&mut self.bad),
        );
        if good.is_empty() && bad.is_empty() {
            return Ok(());
        }
        let lock = (self.work.hold)()?;
        self.index.catch_up(&self.baseline, &self.checks)?;
        let (right, wrong) = self.ask_evidence(bad)?;
        for due in &right {
            self.report.good += 1;
            self.report.bytes += due.known.size;
        }
        let good: Vec<Due> = good.into_iter().chain(right).collect();
        let now = clock::now();
        let text = clock::text(now);
        let marks = good.iter().map(|due| due.known.mark).collect();
        fault::point("verify.read")?;
        let last = self.checks.append(&Record::of(&text, What::Good, marks))?;
        fault::point("verify.good")?;
        let checked: Vec<(String, u64)> = good
            .into_iter()
            .map(|due| (due.path, due.known.mark))
            .collect();
        self.index
            .set_checked(&checked, now.as_second(), Some(last))?;
        let mut found = Vec::new();
        for (due, what) in wrong {
            if let Some((code, why)) = verdict(&due, &what) {
                self.find(&due, code, why, &text)?;
                found.push((due, what));
            }
        }
        // A copy of a large file takes its time: whoever waits for the experiment may come in between two.
        drop(lock);
        for (due, what) in found {
            self.repair(due, &what)?;
        }
        Ok(())
    }

    /// Whether the index or the disk is wrong: the lines of the baseline decide. What is right after all is given first.
    #[allow(clippy::type_complexity)]
    fn ask_evidence(&mut self, bad: Vec<(Due, Found)>) -> Result<(Vec<Due>, Vec<(Due, Found)>)> {
        if bad.is_empty() {
            return Ok((Vec::new(), bad));
        }
        let asked: BTreeSet<u64> = bad.iter().map(|(due, _)| due.known.mark).collect();
        let first = asked.first().copied().unwrap_or(1);
        let mut lines: BTreeMap<u64, (String, String)> = BTreeMap::new();
        self.baseline.read_after(first - 1, |entry| {
            if asked.contains(&entry.seq) {
                lines.insert(entry.seq, (entry.mark.path, entry.mark.sha256));
            }
            lines.len() < asked.len()
        })?;
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        for (due, found) in bad {
            let line = lines
                .get(&due.known.mark)
                .filter(|(path, _)| *path == due.path);
            match (&found, line) {
                (Found::Sum { sum, .. }, Some((_, says))) if hex(sum) == *says => {
                    self.work.progress.warn(&said!(
                        "the index was wrong about {}: it is set right from the evidence",
                        "l'index se trompait sur {} : il est corrigé à partir des preuves",
                        due.path
                    ));
                    self.index.set_sum(&due.path, due.known.mark, sum)?;
                    right.push(due);
                }
                _ => wrong.push((due, found)),
            }
        }
        Ok((right, wrong))
    }

    fn find(&mut self, due: &Due, code: &'static str, text: String, time: &str) -> Result<()> {
        *self.report.wrong.entry(code).or_default() += 1;
        if self.report.findings.len() < LISTED {
            self.report.findings.push(Finding {
                code,
                path: due.path.clone(),
                text,
            });
        }
        if due.known.state.as_deref() == Some(code) {
            return Ok(());
        }
        let record = Record::found(time, due.known.mark, code, &due.path);
        let last = self.checks.append(&[record])?;
        self.index
            .set_finding(&due.path, Some(code), time, Some(last))
    }
}

/// What is wrong, and how that shows.
fn verdict(due: &Due, found: &Found) -> Option<(&'static str, String)> {
    match found {
        Found::Missing => Some(("loss", "it is not there, and no scan saw it go".into())),
        Found::Unreadable(error) if error.code() == "interrupted" => None,
        Found::Unreadable(error) => Some(("damage", error.to_string())),
        Found::Changed if due.known.sealed => Some((
            "damage",
            "it is sealed, and its size or time is another".into(),
        )),
        Found::Sum { touched, .. } => {
            let since = if *touched {
                "something wrote to it or changed its rights since, and put its time back"
            } else {
                "nothing was written to it since: the disk, or what lies between"
            };
            let text = format!(
                "it holds something else than its line in the baseline says, and its time does not tell; {since}"
            );
            Some(("silent-change", text))
        }
        Found::Changed | Found::Busy => None,
    }
}
