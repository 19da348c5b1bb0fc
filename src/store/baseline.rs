//! The baseline: what every file was when it came in or was first seen, for ever. A rescan compares with it and never writes
//! over it: a file that somebody changed openly gets a further line, and the newest line of a path is what it should hold.
//!
//! `<base>/.octonas/baseline/<experiment id>/YYYY.jsonl`, only ever added to; one JSON object a line:
//! `{"seq":1,"time":"…Z","path":"raw/c1/a.csv","size":12,"sha256":"…","mtime":"…Z","source":"plc-c1","delivery":"…",
//! "prev":"…"}`; a file that no source delivered has no `source` and no `delivery`, one that was changed has `was` (the
//! checksum before), one that was moved has `from`; a silent change that was accepted has `was`, and in `accepted` the reason. Paths are text as `super::pathname` writes them. `prev` is the SHA-256 of the line before (without its line feed), across the years; the first is 64 zeros.
//! Lines are on the disk when [`Baseline::append`] returns.

use std::fs::File;
use std::io::Read;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Linked, OfExperiment};
use super::evidence;
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::sys::clock;
use crate::sys::dir::{Dir, FileKind, Permissions};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// What a file was when it came in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its checksum before somebody changed it openly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The path that it had before it was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Why it is right as it is, after a silent change was found and an administrator had looked (who, the ledger says).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
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

impl Linked for Entry {
    const DAMAGED: (&'static str, &'static str) = (
        "baseline.damaged",
        "restore the file from a backup or a replica; nothing is ingested until then",
    );
    const UNREADABLE: &'static str = "baseline.unreadable";

    fn seq(&self) -> u64 {
        self.seq
    }

    fn prev(&self) -> &str {
        &self.prev
    }
}

impl OfExperiment for Entry {
    const DIRECTORY: &'static str = "baseline";
}

/// Which of two baselines of one experiment goes on where the other ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Common {
    /// The one that is here, or they are the same.
    Here,
    /// The one that was given.
    Given,
    /// They say different things.
    Neither,
}

/// Segments by name, which is by time: file name, the file, bytes.
fn segments(dir: &Dir) -> Result<Vec<(String, File, u64)>> {
    let mut all = Vec::new();
    for entry in dir.entries()? {
        let Some(name) = entry.name.to_str().filter(|name| name.ends_with(SUFFIX)) else {
            continue;
        };
        if let Some(node) = dir.node_at(name)? {
            let metadata = node.metadata()?;
            if metadata.kind == FileKind::File {
                all.push((name.to_owned(), node.into_file(), metadata.size));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// All segments in a row.
fn chained(dir: &Dir) -> Result<Box<dyn Read>> {
    let all: Box<dyn Read> = Box::new(std::io::empty());
    Ok(segments(dir)?
        .into_iter()
        .fold(all, |all, (_, file, _)| Box::new(all.chain(file))))
}

/// As much as there is, up to the whole buffer.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut full = 0;
    while let Some(room) = buffer.get_mut(full..).filter(|room| !room.is_empty()) {
        match from.read(room) {
            Ok(0) => break,
            Ok(read) => full += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => {
                return Err(
                    Error::new("baseline.unreadable", "a baseline cannot be read")
                        .hint("see the system log for the disk")
                        .source(e),
                );
            }
        }
    }
    Ok(full)
}

/// How names of segments end.
const SUFFIX: &str = ".jsonl";

/// The baseline of one experiment.
pub type Baseline = Chain<Entry>;

impl Chain<Entry> {
    /// Whose baselines a claimed base holds, also those of experiments that were removed.
    pub fn all(base: &Dir) -> Result<Vec<ExperimentId>> {
        let Some(all) = evidence(base)?.child(Entry::DIRECTORY)? else {
            return Ok(Vec::new());
        };
        let entries = all.entries()?.into_iter();
        Ok(entries
            .filter_map(|entry| ExperimentId::parse(entry.name.to_str()?).ok())
            .collect())
    }

    /// Adds lines, all on the disk when this returns. Gives the number of the first one. Only under the lock of the
    /// experiment.
    pub fn append(&self, marks: &[Mark]) -> Result<u64> {
        self.append_at(marks, clock::now())
    }

    fn append_at(&self, marks: &[Mark], now: Timestamp) -> Result<u64> {
        let year = now.to_zoned(TimeZone::UTC).strftime("%Y.jsonl");
        self.extend(year.to_string(), marks, |seq, mark, prev| Entry {
            seq,
            mark: mark.clone(),
            prev,
        })
    }

    /// The number of the last line; 0 where there is none.
    pub fn last(&self) -> Result<u64> {
        self.head().map(|(last, _)| last)
    }

    /// Its segments as they are, oldest first: file name, the file, bytes. For packages.
    pub fn contents(&self) -> Result<Vec<(String, File, u64)>> {
        segments(self.dir())
    }

    /// What it has in common with the segments in a directory, byte by byte.
    pub fn compare(&self, given: &Dir) -> Result<Common> {
        let (mut here, mut there) = (chained(self.dir())?, chained(given)?);
        let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
        loop {
            let (a, b) = (fill(&mut here, &mut ours)?, fill(&mut there, &mut theirs)?);
            let common = a.min(b);
            if ours.get(..common) != theirs.get(..common) {
                return Ok(Common::Neither);
            }
            if a < b {
                return Ok(Common::Given);
            }
            if b < PIECE {
                return Ok(Common::Here);
            }
        }
    }

    /// Puts the segments in a directory into a baseline that is their beginning.
    pub fn receive(&self, given: &Dir) -> Result<()> {
        for (name, mut file, _) in segments(given)? {
            let mut fresh = self.dir().fresh()?;
            let mut buffer = vec![0; PIECE];
            loop {
                let read = fill(&mut file, &mut buffer)?;
                if read == 0 {
                    break;
                }
                fresh.write(buffer.get(..read).unwrap_or_default())?;
            }
            // What is there is the beginning of it, or of an earlier run that was killed.
            self.dir().remove_file(&name)?;
            fresh.name(&name, &Permissions::PRIVATE)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EVIDENCE;
    use crate::store::sha256;
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
            ..Mark::default()
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
        let bytes = baseline.dir().read("2026.jsonl", 1 << 20).unwrap().unwrap();
        let changed = String::from_utf8(bytes)
            .unwrap()
            .replace("\"size\":3", "\"size\":4");
        baseline
            .dir()
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
        let (name, dir) = (&baseline.segments().unwrap()[0], baseline.dir());
        dir.append(name, b"{\"seq\":4,\"to").unwrap();
        baseline.append(&[mark("d")]).unwrap();
        assert_eq!(paths(&baseline), ["a", "b", "c", "d"]);
        assert!(baseline.verify().unwrap().findings.is_empty());
    }
}
