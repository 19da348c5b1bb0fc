//! What became of files since they came in: good checks, deletions, seals, findings, repairs.
//!
//! `<base>/.octonas/checks/<experiment id>/YYYY.jsonl`, only ever added to, chained like the baseline; one JSON object a
//! line: `{"seq":1,"time":"…Z","what":"good","marks":[[1,400],[402,402]],"prev":"…"}`. `marks` are the numbers of lines of the
//! baseline, from – to, so that a check of a million files is a handful of lines. `detail` says anything else, without secrets.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Linked, OfExperiment};
use crate::error::Result;
use crate::sys::clock;

/// The most ranges of a line: every line stays far below what a chain reads of an end.
const RANGES: usize = 1000;

/// What happened to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// They were read from the disk and hold what their lines say.
    Good,
    /// They went away, and nothing forbade it.
    Gone,
    /// Nobody may change them any more.
    Sealed,
    /// An administrator took the seal off.
    Unsealed,
    /// Something is wrong: `detail` has its `code`.
    Found,
    /// Their content was put back.
    Repaired,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When (RFC 3339, UTC).
    pub time: String,
    /// What.
    pub what: What,
    /// Numbers of lines of the baseline, from – to, both included.
    pub marks: Vec<(u64, u64)>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
}

impl Record {
    /// A record of these lines of the baseline, in any order; several where they are too scattered for one line.
    pub fn of(time: &str, what: What, mut marks: Vec<u64>) -> Vec<Self> {
        marks.sort_unstable();
        marks.dedup();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for mark in marks.into_iter().filter(|mark| *mark != 0) {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == mark => *to = mark,
                _ => ranges.push((mark, mark)),
            }
        }
        ranges
            .chunks(RANGES)
            .map(|ranges| Self {
                time: time.to_owned(),
                what,
                marks: ranges.to_vec(),
                detail: BTreeMap::new(),
            })
            .collect()
    }

    /// A finding about one file.
    pub fn found(time: &str, mark: u64, code: &str, path: &str) -> Self {
        Self {
            time: time.to_owned(),
            what: What::Found,
            marks: vec![(mark, mark)],
            detail: [("code", code), ("path", path)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without a gap.
    pub seq: u64,
    /// What.
    #[serde(flatten)]
    pub record: Record,
    /// SHA-256 of the line before.
    pub prev: String,
}

impl Linked for Entry {
    const DAMAGED: (&'static str, &'static str) = (
        "checks.damaged",
        "restore the file from a backup or a replica; nothing is checked until then",
    );
    const UNREADABLE: &'static str = "checks.unreadable";

    fn seq(&self) -> u64 {
        self.seq
    }

    fn prev(&self) -> &str {
        &self.prev
    }
}

impl OfExperiment for Entry {
    const DIRECTORY: &'static str = "checks";
}

/// The checks of one experiment.
pub type Checks = Chain<Entry>;

impl Chain<Entry> {
    /// Adds records, all on the disk when this returns. Gives the number of the last line. Only under the lock of the
    /// experiment.
    pub fn append(&self, records: &[Record]) -> Result<u64> {
        let year = clock::now().to_zoned(TimeZone::UTC).strftime("%Y.jsonl");
        let first = self.extend(year.to_string(), records, |seq, record, prev| Entry {
            seq,
            record: record.clone(),
            prev,
        })?;
        Ok(first + records.len() as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EVIDENCE;
    use crate::store::tests::directory;

    #[test]
    fn a_check_of_many_files_is_few_lines_and_all_of_it_comes_back() {
        let (_temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        let id = "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap();
        assert!(Checks::existing(&base, &id).unwrap().is_none());
        let checks = Checks::open(&base, &id).unwrap();
        let records = Record::of(
            "2026-11-21T00:00:00Z",
            What::Good,
            (1..=100_000).rev().collect(),
        );
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].marks, [(1, 100_000)]);
        assert_eq!(checks.append(&records).unwrap(), 1);
        let scattered: Vec<u64> = (1..=5000).step_by(2).collect();
        let records = Record::of("2026-11-21T00:00:00Z", What::Gone, scattered.clone());
        assert_eq!(checks.append(&records).unwrap(), 4);
        let mut back = Vec::new();
        checks
            .read_after(1, |entry| {
                back.extend(entry.record.marks.into_iter().map(|(from, _)| from));
                true
            })
            .unwrap();
        assert_eq!(back, scattered);
        let verified = checks.verify().unwrap();
        assert_eq!((verified.entries, verified.findings), (4, vec![]));
        assert_eq!(checks.head().unwrap(), (4, verified.head.clone()));
        assert_eq!(checks.sum_of(4).unwrap(), Some(verified.head));
        assert_eq!(checks.sum_of(5).unwrap(), None);
        assert_eq!(checks.append(&[]).unwrap(), 4);
    }
}
