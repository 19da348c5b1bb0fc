//! The baseline: what every file was when it came in, for ever. A rescan compares with it and never writes over it.
//!
//! `<base>/.octonas/baseline/<experiment id>/YYYY.jsonl`, only ever added to; one JSON object a line:
//! `{"seq":1,"time":"…Z","path":"raw/c1/a.csv","size":12,"sha256":"…","mtime":"…Z","source":"plc-c1","delivery":"…",
//! "prev":"…"}`. `prev` is the SHA-256 of the line before (without its line feed), across the years; the first is 64 zeros.
//! Lines are on the disk when [`Baseline::append`] returns.

use std::io::{BufRead as _, BufReader};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::ledger::{FIRST, last_line};
use super::lines::line;
use super::{EVIDENCE, evidence, private_dir, sha256};
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::sys::clock;
use crate::sys::dir::{Dir, FileKind};

const DIRECTORY: &str = "baseline";
/// The end of a segment that is read; the longest line (a path of 4,096 bytes, escaped) is shorter.
const TAIL: u64 = 128 << 10;

/// What a file was when it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it came in (RFC 3339, UTC).
    pub time: String,
    /// Path below the experiment's directory.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Last change of its content (RFC 3339, UTC, with its fraction).
    pub mtime: String,
    /// The source that delivered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which delivery it was; none twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
}

/// A line of the baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without a gap.
    pub seq: u64,
    /// What.
    #[serde(flatten)]
    pub mark: Mark,
    /// SHA-256 of the line before.
    pub prev: String,
}

/// What a check of the whole baseline came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many lines are there.
    pub entries: u64,
    /// SHA-256 of the last line.
    pub head: String,
    /// What is wrong: file, line (from 1), and what, for people.
    pub findings: Vec<(String, u64, String)>,
}

/// Where the next line goes.
struct End {
    segment: String,
    seq: u64,
    prev: String,
    good: u64,
    seen: u64,
}

/// The baseline of one experiment.
#[derive(Debug)]
pub struct Baseline {
    dir: Dir,
}

impl Baseline {
    /// The baseline of an experiment of a claimed base, made where it does not exist.
    pub fn open(base: &Dir, id: &ExperimentId) -> Result<Self> {
        let all = private_dir(&evidence(base)?, DIRECTORY)?;
        let dir = private_dir(&all, &id.to_string())?;
        Ok(Self { dir })
    }

    /// The baseline as it is, for reading. `None` where nothing ever came in.
    pub fn existing(base: &Dir, id: &ExperimentId) -> Result<Option<Self>> {
        let dir = base.open(format!("{EVIDENCE}/{DIRECTORY}/{id}"))?;
        Ok(dir.map(|dir| Self { dir }))
    }

    /// Adds lines, all on the disk when this returns. Only under the lock of whoever adds.
    pub fn append(&self, marks: &[Mark]) -> Result<()> {
        self.append_at(marks, clock::now())
    }

    fn append_at(&self, marks: &[Mark], now: Timestamp) -> Result<()> {
        if marks.is_empty() {
            return Ok(());
        }
        let mut end = self.end(now)?;
        let mut text = String::new();
        for mark in marks {
            end.seq += 1;
            let added = line(&Entry {
                seq: end.seq,
                mark: mark.clone(),
                prev: end.prev,
            })?;
            end.prev = sha256(added.as_bytes());
            text.push_str(&added);
            text.push('\n');
        }
        self.dir
            .append_after(&end.segment, end.good, end.seen, text.as_bytes())
    }

    /// The number of the last line; 0 where there is none.
    pub fn last(&self) -> Result<u64> {
        Ok(self.end(clock::now())?.seq)
    }

    fn segments(&self) -> Result<Vec<String>> {
        let entries = self.dir.entries()?;
        Ok(entries
            .into_iter()
            .filter(|entry| entry.kind == FileKind::File)
            .filter_map(|entry| entry.name.into_string().ok())
            .filter(|name| {
                std::path::Path::new(name)
                    .extension()
                    .is_some_and(|e| e == "jsonl")
            })
            .collect())
    }

    /// The segment of this year, or the last one where the clock went back. A segment that a crash left without a
    /// whole line does not count for the chain.
    fn end(&self, now: Timestamp) -> Result<End> {
        let year = now.to_zoned(TimeZone::UTC).strftime("%Y.jsonl").to_string();
        let segments = self.segments()?;
        let mut end = End {
            segment: segments.last().cloned().unwrap_or_default().max(year),
            seq: 0,
            prev: FIRST.into(),
            good: 0,
            seen: 0,
        };
        for name in segments.iter().rev() {
            let Some(tail) = self.dir.read_tail(name, TAIL)? else {
                continue;
            };
            let (good, last) = last_line(&tail);
            if *name == end.segment {
                end.good = good;
                end.seen = tail.size;
            }
            if let Some(last) = last {
                let entry: Entry = serde_json::from_slice(&last).map_err(|e| {
                    Error::new(
                        "baseline.damaged",
                        format!("the end of {} cannot be read", self.dir.path_of(name).display()),
                    )
                    .hint("restore the file from a backup or a replica; nothing is ingested until then")
                    .source(e)
                })?;
                end.seq = entry.seq;
                end.prev = sha256(&last);
                break;
            }
        }
        Ok(end)
    }

    /// Calls `each` for every entry, oldest first, until it gives false. Lines that cannot be read are passed over.
    pub fn read(&self, mut each: impl FnMut(Entry) -> bool) -> Result<()> {
        self.lines(|_, _, bytes| serde_json::from_slice(bytes).map_or(true, &mut each))
    }

    /// Checks every line against the one before. What is wrong is data.
    pub fn verify(&self) -> Result<Verified> {
        let mut result = Verified {
            head: FIRST.into(),
            ..Verified::default()
        };
        let mut seq = 0;
        self.lines(|segment, number, bytes| {
            let mut find = |what: String| result.findings.push((segment.to_owned(), number, what));
            seq += 1;
            match serde_json::from_slice::<Entry>(bytes) {
                Ok(entry) => {
                    if entry.prev != result.head {
                        find("does not follow from the line before: one of them was changed, or lines are missing".into());
                    }
                    if entry.seq != seq {
                        find(format!("is number {}, but {seq} was expected", entry.seq));
                    }
                    seq = entry.seq;
                }
                Err(e) => find(format!("cannot be read: {e}")),
            }
            result.entries += 1;
            result.head = sha256(bytes);
            true
        })?;
        Ok(result)
    }

    /// Calls `each` with segment, number and bytes of every whole line, until it gives false. A torn end was never
    /// acknowledged and is not a line.
    fn lines(&self, mut each: impl FnMut(&str, u64, &[u8]) -> bool) -> Result<()> {
        for segment in self.segments()? {
            let Some(node) = self.dir.node_at(&segment)? else {
                continue;
            };
            let unreadable = |e| {
                Error::new(
                    "baseline.unreadable",
                    format!("cannot read {}", self.dir.path_of(&segment).display()),
                )
                .hint("check the disk and the system log")
                .source(e)
            };
            let size = node.metadata()?.size;
            let mut reader = BufReader::new(node.file());
            let (mut bytes, mut number, mut read) = (Vec::new(), 0, 0);
            loop {
                bytes.clear();
                read += reader.read_until(b'\n', &mut bytes).map_err(unreadable)? as u64;
                let torn = read >= size && bytes.contains(&0);
                if bytes.pop() != Some(b'\n') || torn {
                    break;
                }
                number += 1;
                if !each(&segment, number, &bytes) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{directory, points_of, with_fault};

    fn mark(path: &str) -> Mark {
        Mark {
            time: "2026-11-21T00:00:00Z".into(),
            path: path.into(),
            size: 3,
            sha256: sha256(b"abc"),
            mtime: "2026-03-01T10:00:00Z".into(),
            source: Some("plc".into()),
            delivery: Some(path.into()),
        }
    }

    fn baseline() -> (tempfile::TempDir, Baseline) {
        let (temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        let id = "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap();
        assert!(Baseline::existing(&base, &id).unwrap().is_none());
        let baseline = Baseline::open(&base, &id).unwrap();
        assert!(Baseline::existing(&base, &id).unwrap().is_some());
        (temp, baseline)
    }

    fn paths(baseline: &Baseline) -> Vec<String> {
        let mut all = Vec::new();
        baseline
            .read(|entry| {
                all.push(entry.mark.path);
                true
            })
            .unwrap();
        all
    }

    #[test]
    fn lines_are_chained_across_the_years_and_a_change_of_any_is_found() {
        let (_temp, baseline) = baseline();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        baseline
            .append_at(&[mark("a"), mark("b")], at("2026-12-31T23:00:00Z"))
            .unwrap();
        baseline
            .append_at(&[mark("c")], at("2027-01-01T00:00:00Z"))
            .unwrap();
        // A clock that went back adds to the last segment.
        baseline
            .append_at(&[mark("d")], at("2026-01-01T00:00:00Z"))
            .unwrap();
        assert_eq!(baseline.segments().unwrap(), ["2026.jsonl", "2027.jsonl"]);
        assert_eq!(paths(&baseline), ["a", "b", "c", "d"]);
        assert_eq!(baseline.last().unwrap(), 4);
        let verified = baseline.verify().unwrap();
        assert_eq!((verified.entries, verified.findings.len()), (4, 0));
        let bytes = baseline.dir.read("2026.jsonl", 1 << 20).unwrap().unwrap();
        let changed = String::from_utf8(bytes)
            .unwrap()
            .replace("\"size\":3", "\"size\":4");
        baseline
            .dir
            .write(
                "2026.jsonl",
                changed.as_bytes(),
                &crate::sys::dir::Permissions::PRIVATE,
            )
            .unwrap();
        assert_eq!(baseline.verify().unwrap().findings.len(), 2);
    }

    #[test]
    fn lines_come_in_together_or_are_cut_off_by_the_next() {
        let (_temp, baseline) = baseline();
        baseline.append(&[mark("a")]).unwrap();
        let points = points_of(|| baseline.append(&[mark("b"), mark("c")]).unwrap());
        for fault in ["enospc", "eio"] {
            for nth in 1..=points {
                let before = paths(&baseline);
                with_fault(fault, nth, || baseline.append(&[mark("x"), mark("y")])).unwrap_err();
                assert_eq!(paths(&baseline), before);
            }
        }
        let (name, dir) = (&baseline.segments().unwrap()[0], &baseline.dir);
        dir.append(name, b"{\"seq\":4,\"to").unwrap();
        baseline.append(&[mark("d")]).unwrap();
        assert_eq!(paths(&baseline), ["a", "b", "c", "d"]);
        assert!(baseline.verify().unwrap().findings.is_empty());
    }
}
