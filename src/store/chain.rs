//! A chain: segments of JSON lines in one directory, only ever added to, each line bound to the one before by its
//! SHA-256, across the segments. The ledger, the baseline and the checks are chains.

use std::io::{self, BufRead as _, BufReader};
use std::marker::PhantomData;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{EVIDENCE, evidence, private_dir, sha256};
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::sys::dir::{Dir, FileKind, Tail};

/// What the first line follows.
pub(super) const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The end of a segment that is read; every line is shorter than half of it.
const TAIL: u64 = 128 << 10;

/// A line of a chain.
pub trait Linked: DeserializeOwned {
    /// Counts from 1 without a gap.
    fn seq(&self) -> u64;
    /// SHA-256 of the line before (without its line feed); the first has [`FIRST`].
    fn prev(&self) -> &str;
    /// The code of the error that the last line of a segment is none, and what helps.
    const DAMAGED: (&'static str, &'static str);
    /// The code of the error that a segment cannot be read.
    const UNREADABLE: &'static str;

    /// The last line of a segment is none.
    fn damaged(segment: &Path, source: serde_json::Error) -> Error {
        let (code, hint) = Self::DAMAGED;
        let text = format!("the end of {} cannot be read", segment.display());
        Error::new(code, text).hint(hint).source(source)
    }

    /// A segment cannot be read.
    fn unreadable(segment: &Path, source: io::Error) -> Error {
        let text = format!("cannot read {}", segment.display());
        Error::new(Self::UNREADABLE, text)
            .hint("check the disk and the system log")
            .source(source)
    }
}

/// A line of a chain of which every experiment has one.
pub trait OfExperiment: Linked {
    /// Where those of all experiments are, in the evidence of a base.
    const DIRECTORY: &'static str;
}

/// Something that is wrong with a chain: data, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// File.
    pub segment: String,
    /// Line in it, from 1.
    pub line: u64,
    /// What is wrong, for people.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} of {} {}", self.line, self.segment, self.what)
    }
}

/// What a check of a whole chain came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many lines are there.
    pub entries: u64,
    /// SHA-256 of the last line: who wrote it down elsewhere can prove that nothing was taken from the end.
    pub head: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Where the next line goes.
pub struct End {
    /// The file.
    pub segment: String,
    /// Number of the last line; 0 where there is none.
    pub seq: u64,
    /// SHA-256 of the last line.
    pub prev: String,
    /// Bytes of the file up to the end of its last whole line.
    pub good: u64,
    /// Bytes that are there.
    pub seen: u64,
}

/// A chain of lines `L`.
#[derive(Debug)]
pub struct Chain<L> {
    dir: Dir,
    lines: PhantomData<L>,
}

impl<L: OfExperiment> Chain<L> {
    /// That of an experiment of a claimed base, made where it does not exist.
    pub fn open(base: &Dir, id: &ExperimentId) -> Result<Self> {
        let all = private_dir(&evidence(base)?, L::DIRECTORY)?;
        Ok(Self::new(private_dir(&all, &id.to_string())?))
    }

    /// The same as it is, for reading. `None` where nothing was ever written.
    pub fn existing(base: &Dir, id: &ExperimentId) -> Result<Option<Self>> {
        let directory = L::DIRECTORY;
        let dir = base.open(format!("{EVIDENCE}/{directory}/{id}"))?;
        Ok(dir.map(Self::new))
    }
}

impl<L: Linked> Chain<L> {
    /// The chain in a directory of its own.
    pub fn new(dir: Dir) -> Self {
        Self {
            dir,
            lines: PhantomData,
        }
    }

    /// Its directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Adds a line for each of `items`, all on the disk when this returns; `entry` makes it of number, item and checksum of
    /// the line before. Gives the number of the first one (of the next one, where there are no items).
    pub fn extend<T>(
        &self,
        segment: String,
        items: impl IntoIterator<Item = T>,
        entry: impl Fn(u64, T, String) -> L,
    ) -> Result<u64>
    where
        L: Serialize,
    {
        let end = self.end(segment)?;
        let (mut seq, mut prev) = (end.seq, end.prev.clone());
        let mut text = String::new();
        for item in items {
            seq += 1;
            let added = super::lines::line(&entry(seq, item, prev))?;
            prev = sha256(added.as_bytes());
            text.push_str(&added);
            text.push('\n');
        }
        if !text.is_empty() {
            self.put(&end, &text)?;
        }
        Ok(end.seq + 1)
    }

    /// Adds text that follows `end`: whole lines, on the disk when this returns.
    pub fn put(&self, end: &End, text: &str) -> Result<()> {
        self.dir
            .append_after(&end.segment, end.good, end.seen, text.as_bytes())
    }

    /// The ends of the segments, newest first.
    pub fn tails(&self) -> Result<impl Iterator<Item = Result<(String, Tail)>>> {
        let segments = self.segments()?;
        Ok(segments.into_iter().rev().filter_map(|segment| {
            let tail = self.dir.read_tail(&segment, TAIL).transpose()?;
            Some(tail.map(|tail| (segment, tail)))
        }))
    }

    /// The files, oldest first.
    pub fn segments(&self) -> Result<Vec<String>> {
        let entries = self.dir.entries()?;
        Ok(entries
            .into_iter()
            .filter(|entry| entry.kind == FileKind::File)
            .filter_map(|entry| entry.name.into_string().ok())
            .filter(|name| Path::new(name).extension().is_some_and(|e| e == "jsonl"))
            .collect())
    }

    /// Where the next line goes: into `segment`, or into the last one where the clock went back. A segment that a crash left
    /// without a whole line does not count for the chain.
    pub fn end(&self, segment: String) -> Result<End> {
        let newest = self.segments()?.pop().unwrap_or_default();
        let mut end = End {
            segment: segment.max(newest),
            seq: 0,
            prev: FIRST.into(),
            good: 0,
            seen: 0,
        };
        for tail in self.tails()? {
            let (name, tail) = tail?;
            let (good, last) = last_line(&tail);
            if name == end.segment {
                end.good = good;
                end.seen = tail.size;
            }
            if let Some(last) = last {
                let entry: L = serde_json::from_slice(&last)
                    .map_err(|e| L::damaged(&self.dir.path_of(&name), e))?;
                end.seq = entry.seq();
                end.prev = sha256(&last);
                break;
            }
        }
        Ok(end)
    }

    /// Calls `each` for every line, oldest first, until it gives false. Lines that cannot be read are passed over.
    pub fn read(&self, mut each: impl FnMut(L) -> bool) -> Result<()> {
        self.lines(|_, _, bytes| serde_json::from_slice(bytes).map_or(true, &mut each))
    }

    /// The same for the lines after the first `known` ones.
    pub fn read_after(&self, known: u64, mut each: impl FnMut(L) -> bool) -> Result<()> {
        let mut passed = 0;
        self.lines(|_, _, bytes| {
            passed += 1;
            passed <= known || serde_json::from_slice(bytes).map_or(true, &mut each)
        })
    }

    /// The checksum of line `seq`, counted from 1 over all segments; `None` where there are fewer.
    pub fn sum_of(&self, seq: u64) -> Result<Option<String>> {
        let (mut passed, mut sum) = (0, None);
        self.lines(|_, _, bytes| {
            passed += 1;
            if passed == seq {
                sum = Some(sha256(bytes));
            }
            passed < seq
        })?;
        Ok(sum)
    }

    /// Number and checksum of the last line.
    pub fn head(&self) -> Result<(u64, String)> {
        self.end(String::new()).map(|end| (end.seq, end.prev))
    }

    /// Checks every line against the one before. What is wrong is data.
    pub fn verify(&self) -> Result<Verified> {
        let mut result = Verified {
            head: FIRST.into(),
            ..Verified::default()
        };
        let mut seq = 0;
        self.lines(|segment, number, bytes| {
            let mut find = |what: String| {
                result.findings.push(Finding {
                    segment: segment.to_owned(),
                    line: number,
                    what,
                });
            };
            seq += 1;
            match serde_json::from_slice::<L>(bytes) {
                Ok(entry) => {
                    if entry.prev() != result.head {
                        find("does not follow from the line before: one of them was changed, or lines are missing".into());
                    }
                    if entry.seq() != seq {
                        find(format!("is number {}, but {seq} was expected", entry.seq()));
                    }
                    seq = entry.seq();
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
            let unreadable = |e| L::unreadable(&self.dir.path_of(&segment), e);
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

/// How far a segment is right, and its last whole line. The end of a line that a crash tore (no line feed, or blocks
/// that were never written) does not count.
pub(super) fn last_line(tail: &Tail) -> (u64, Option<Vec<u8>>) {
    let start = tail.size - tail.bytes.len() as u64;
    let mut rest = &tail.bytes[..];
    loop {
        let Some(end) = rest.iter().rposition(|&b| b == b'\n') else {
            return (start, None);
        };
        let begin = rest[..end]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |i| i + 1);
        let line = &rest[begin..end];
        if line.contains(&0) && end + 1 == rest.len() && rest.len() == tail.bytes.len() {
            rest = &rest[..begin];
            continue;
        }
        return (start + end as u64 + 1, Some(line.to_vec()));
    }
}
