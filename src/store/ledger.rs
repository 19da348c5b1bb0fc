//! The ledger: the append-only history of a base, chained by hashes, in plain text that anyone can check.
//!
//! `<base>/.octonas/ledger/YYYY-MM.jsonl`; one JSON object a line:
//! `{"seq":7,"time":"2026-11-21T02:10:00Z","experiment":"…","operation":"create","by":"admin","outcome":"done",
//! "detail":{…},"prev":"…"}`. `prev` is the SHA-256 of the line before (without its line feed), across the months; the
//! first is 64 zeros. A line is on the disk when [`Ledger::append`] returns.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::lines::line;
use super::{evidence, private_dir, sha256};
use crate::error::{Error, Result};
use crate::sys::clock;
use crate::sys::dir::{Dir, FileKind, Tail};
use crate::sys::lock::lock;

const DIRECTORY: &str = "ledger";
pub(super) const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The longest line, in bytes; the end of a segment that is read holds more than one of them.
const LINE_LIMIT: usize = 60_000;
const TAIL: u64 = 128 << 10;
/// How long one writer waits for another.
const PATIENCE: Duration = Duration::from_secs(20);

/// Taking files in: it runs beside the other operations of an experiment, under a lock of its own.
pub const INGEST: &str = "ingest";

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was begun; another entry says how it ended, unless the machine stopped.
    Begun,
    /// All of it was done.
    Done,
    /// It stopped with an error.
    Failed,
    /// Somebody stopped it.
    Interrupted,
}

/// What is told of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Id of the experiment; empty where it concerns the whole base.
    pub experiment: String,
    /// `create`, `edit`, `close` …
    pub operation: String,
    /// Who asked for it: an account.
    pub by: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Anything else, without secrets.
    #[serde(default)]
    pub detail: BTreeMap<String, String>,
}

impl Event {
    fn is_ingest(&self) -> bool {
        self.operation == INGEST
    }
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without a gap.
    pub seq: u64,
    /// When (RFC 3339, UTC).
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
    /// SHA-256 of the line before.
    pub prev: String,
}

/// Something that is wrong with the ledger: data, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// File.
    pub segment: String,
    /// Line in it, from 1.
    pub line: u64,
    /// What is wrong, for people.
    pub what: String,
}

/// What a check of the whole ledger came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// How many lines are there.
    pub entries: u64,
    /// SHA-256 of the last line: who wrote it down elsewhere can prove that nothing was taken from the end.
    pub head: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// The ledger of a base.
#[derive(Debug)]
pub struct Ledger {
    dir: Dir,
}

/// Where the next line goes.
struct End {
    segment: String,
    seq: u64,
    prev: String,
    good: u64,
    seen: u64,
}

impl Ledger {
    /// The ledger of a claimed base, made where it does not exist.
    pub fn open(base: &Dir) -> Result<Self> {
        let dir = private_dir(&evidence(base)?, DIRECTORY)?;
        Ok(Self { dir })
    }

    /// Adds an event; it is on the disk when this returns. Several processes may add at once.
    pub fn append(&self, event: Event) -> Result<Entry> {
        self.append_at(event, clock::now())
    }

    fn append_at(&self, event: Event, now: Timestamp) -> Result<Entry> {
        let _lock = lock(&self.dir, "ledger", PATIENCE)?;
        let end = self.end(now)?;
        let entry = Entry {
            seq: end.seq + 1,
            time: Timestamp::from_second(now.as_second())
                .unwrap_or(now)
                .to_string(),
            event,
            prev: end.prev,
        };
        let mut text = line(&entry)?;
        if text.len() > LINE_LIMIT {
            return Err(Error::new(
                "ledger.too-long",
                "an entry of the ledger is longer than 60,000 bytes",
            )
            .hint("say less in its detail"));
        }
        text.push('\n');
        self.dir
            .append_after(&end.segment, end.good, end.seen, text.as_bytes())?;
        Ok(entry)
    }

    /// The files of the ledger, oldest first.
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

    /// Where the next line goes: the segment of this month, or the last one where the clock went back. A segment that
    /// a crash left without a whole line does not count for the chain.
    fn end(&self, now: Timestamp) -> Result<End> {
        let month = now
            .to_zoned(TimeZone::UTC)
            .strftime("%Y-%m.jsonl")
            .to_string();
        let segments = self.segments()?;
        let segment = segments.last().cloned().unwrap_or_default().max(month);
        let mut end = End {
            segment,
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
                let entry: Entry =
                    serde_json::from_slice(&last).map_err(|e| {
                        Error::new(
                        "ledger.damaged",
                        format!("the end of {} cannot be read", self.dir.path_of(name).display()),
                    )
                    .hint("restore the file from a backup or a replica; `octonas doctor` checks it")
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
        let mut go_on = true;
        self.lines(|_, _, bytes| {
            if let Ok(entry) = serde_json::from_slice(bytes) {
                go_on = each(entry);
            }
            go_on
        })
    }

    /// When the last entry was written; for doubts about the clock.
    pub fn newest(&self) -> Result<Option<Timestamp>> {
        let mut newest = None;
        for name in self.segments()?.iter().rev() {
            if let Some(tail) = self.dir.read_tail(name, TAIL)?
                && let (_, Some(last)) = last_line(&tail)
            {
                newest = serde_json::from_slice::<Entry>(&last)
                    .ok()
                    .and_then(|entry| entry.time.parse().ok());
                break;
            }
        }
        Ok(newest)
    }

    /// The newest entry of an experiment (of its ingest, or of everything else), if it is among the last ones of this month or the one before: enough to know
    /// whether what was done last was ended.
    pub fn last_of(&self, experiment: &str, is_ingest: bool) -> Result<Option<Entry>> {
        for name in self.segments()?.iter().rev().take(2) {
            let Some(tail) = self.dir.read_tail(name, TAIL)? else {
                continue;
            };
            let entry = tail
                .bytes
                .rsplit(|&byte| byte == b'\n')
                .filter_map(|line| serde_json::from_slice::<Entry>(line).ok())
                .find(|entry| {
                    entry.event.experiment == experiment && entry.event.is_ingest() == is_ingest
                });
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    /// Operations that were begun, and of whose experiment nothing was written since: they run now, or were killed.
    pub fn unended(&self) -> Result<Vec<Entry>> {
        let mut open = BTreeMap::new();
        self.read(|entry| {
            let experiment = (entry.event.experiment.clone(), entry.event.is_ingest());
            if entry.event.outcome == Outcome::Begun {
                open.insert(experiment, entry);
            } else {
                open.remove(&experiment);
            }
            true
        })?;
        Ok(open.into_values().collect())
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
            match serde_json::from_slice::<Entry>(bytes) {
                Ok(entry) => {
                    if entry.prev != result.head {
                        find("does not follow from the line before: one of them was changed, or lines are missing".into());
                    }
                    if entry.seq != seq + 1 {
                        find(format!("is number {}, but {} was expected", entry.seq, seq + 1));
                    }
                    seq = entry.seq;
                }
                Err(e) => {
                    find(format!("cannot be read: {e}"));
                    seq += 1;
                }
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
                    "ledger.unreadable",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EVIDENCE;
    use crate::store::tests::{directory, points_of, with_fault};
    use std::io::Write as _;

    fn ledger() -> (tempfile::TempDir, Ledger) {
        let (temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        let ledger = Ledger::open(&base).unwrap();
        (temp, ledger)
    }

    fn event(operation: &str) -> Event {
        Event {
            experiment: "0b9e0c2e".into(),
            operation: operation.into(),
            by: "admin".into(),
            outcome: Outcome::Done,
            detail: BTreeMap::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn file(temp: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
        temp.path().join(".octonas/ledger").join(name)
    }

    #[test]
    fn the_chain_holds_across_months_and_a_clock_that_went_back() {
        let (temp, ledger) = ledger();
        for time in [
            "2026-11-30T23:00:00Z",
            "2026-12-01T00:00:00Z",
            "2026-11-30T23:59:00Z",
        ] {
            ledger.append_at(event("edit"), at(time)).unwrap();
        }
        let verified = ledger.verify().unwrap();
        assert_eq!((verified.entries, verified.findings), (3, vec![]));
        let december = std::fs::read_to_string(file(&temp, "2026-12.jsonl")).unwrap();
        assert_eq!(december.lines().count(), 2);
        assert_eq!(ledger.newest().unwrap(), Some(at("2026-11-30T23:59:00Z")));
        let mut numbers = Vec::new();
        ledger
            .read(|entry| {
                numbers.push(entry.seq);
                numbers.len() < 2
            })
            .unwrap();
        assert_eq!(numbers, [1, 2]);
    }

    #[test]
    fn what_was_begun_is_unended_until_its_experiment_has_another_line() {
        let (_temp, ledger) = ledger();
        let of = |experiment: &str, outcome| Event {
            experiment: experiment.into(),
            outcome,
            ..event("edit")
        };
        let unended = || {
            let names = ledger.unended().unwrap().into_iter();
            names.map(|e| e.event.experiment).collect::<Vec<_>>()
        };
        for (experiment, outcome, expected) in [
            ("a", Outcome::Begun, &["a"][..]),
            ("b", Outcome::Begun, &["a", "b"]),
            ("a", Outcome::Failed, &["b"]),
            ("a", Outcome::Begun, &["a", "b"]),
            ("b", Outcome::Done, &["a"]),
            ("a", Outcome::Interrupted, &[]),
        ] {
            ledger.append(of(experiment, outcome)).unwrap();
            assert_eq!(unended(), expected, "{experiment} {outcome:?}");
            let last = ledger.last_of(experiment, false).unwrap().unwrap();
            assert_eq!(last.event.outcome, outcome);
        }
        assert!(ledger.last_of("a", true).unwrap().is_none());
    }

    #[test]
    fn a_changed_a_missing_and_an_unreadable_line_are_found() {
        for (damage, findings) in [
            (("create", "delete"), 1),
            (("\"seq\":2", "\"seq\":9"), 3),
            (("{\"seq\":2", "#"), 2),
        ] {
            let (temp, ledger) = ledger();
            for operation in ["first", "create", "last"] {
                ledger
                    .append_at(event(operation), at("2026-11-21T00:00:00Z"))
                    .unwrap();
            }
            let path = file(&temp, "2026-11.jsonl");
            let text = std::fs::read_to_string(&path).unwrap();
            let changed = text.replacen(damage.0, damage.1, 1);
            assert_ne!(text, changed);
            replace(&path, &changed);
            let verified = ledger.verify().unwrap();
            assert_eq!(verified.findings.len(), findings, "{verified:?}");
        }
    }

    #[allow(clippy::disallowed_methods)]
    fn replace(path: &std::path::Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_torn_end_is_cut_off_by_the_next_entry() {
        for torn in [&b"{\"seq\":3,\"ti"[..], &[0; 300], b"{\"seq\":3\0\0\0\0\n"] {
            let (temp, ledger) = ledger();
            let time = at("2026-11-21T00:00:00Z");
            ledger.append_at(event("one"), time).unwrap();
            ledger.append_at(event("two"), time).unwrap();
            std::fs::OpenOptions::new()
                .append(true)
                .open(file(&temp, "2026-11.jsonl"))
                .unwrap()
                .write_all(torn)
                .unwrap();
            let verified = ledger.verify().unwrap();
            assert_eq!((verified.entries, verified.findings), (2, vec![]));
            ledger.append_at(event("three"), time).unwrap();
            let verified = ledger.verify().unwrap();
            assert_eq!((verified.entries, verified.findings), (3, vec![]));
        }
    }

    #[test]
    fn an_entry_that_fails_anywhere_leaves_a_whole_chain() {
        let time = at("2026-11-21T00:00:00Z");
        for fault in ["halt", "enospc"] {
            let points = {
                let (_temp, ledger) = ledger();
                points_of(|| ledger.append_at(event("one"), time).unwrap())
            };
            for nth in 1..=points {
                let (_temp, ledger) = ledger();
                let _ = with_fault(fault, nth, || ledger.append_at(event("one"), time));
                ledger.append_at(event("two"), time).unwrap();
                assert_eq!(ledger.verify().unwrap().findings, [], "{fault} {nth}");
            }
        }
    }

    #[test]
    fn several_writers_make_one_chain() {
        let (_temp, ledger) = ledger();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        ledger.append(event("edit")).unwrap();
                    }
                });
            }
        });
        let verified = ledger.verify().unwrap();
        assert_eq!((verified.entries, verified.findings), (20, vec![]));
    }
}
