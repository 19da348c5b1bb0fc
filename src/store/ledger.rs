//! The ledger: the append-only history of a base, chained by hashes, in plain text that anyone can check.
//!
//! `<base>/.octonas/ledger/YYYY-MM.jsonl`; one JSON object a line:
//! `{"seq":7,"time":"2026-11-21T02:10:00Z","experiment":"…","operation":"create","by":"admin","outcome":"done",
//! "detail":{…},"prev":"…"}`. `prev` is the SHA-256 of the line before (without its line feed), across the months; the
//! first is 64 zeros. A line is on the disk when [`Ledger::append`] returns.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, Linked, Verified, last_line};
use super::lines::line;
use super::{evidence, private_dir};
use crate::error::{Error, Result};
use crate::sys::clock;
use crate::sys::dir::Dir;
use crate::sys::lock::lock;

const DIRECTORY: &str = "ledger";
/// The longest line, in bytes; the end of a segment that a chain reads holds more than one of them.
const LINE_LIMIT: usize = 60_000;
/// How long one writer waits for another.
const PATIENCE: Duration = Duration::from_secs(20);

/// Taking files in.
pub const INGEST: &str = "ingest";
/// Looking through the files.
pub const SCAN: &str = "scan";
/// Reading them again.
pub const VERIFY: &str = "verify";

/// Operations that run beside the others of an experiment, each under a lock of its own (`<operation>-<id>`).
const BESIDE: [&str; 5] = [INGEST, SCAN, VERIFY, "package", "archive"];

/// Operations of one lane follow one another: the name of one that runs beside the others, nothing for the others.
pub fn lane(operation: &str) -> &str {
    if BESIDE.contains(&operation) {
        operation
    } else {
        ""
    }
}

/// A note about something that is or was set for the night: no operation on the experiment itself.
pub const TONIGHT: &str = "tonight";

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
    fn is_note(&self) -> bool {
        self.operation == TONIGHT
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

/// The ledger of a base.
#[derive(Debug)]
pub struct Ledger {
    chain: Chain<Entry>,
}

impl Linked for Entry {
    const DAMAGED: (&'static str, &'static str) = (
        "ledger.damaged",
        "restore the file from a backup or a replica; `octonas doctor` checks it",
    );
    const UNREADABLE: &'static str = "ledger.unreadable";

    fn seq(&self) -> u64 {
        self.seq
    }

    fn prev(&self) -> &str {
        &self.prev
    }
}

impl Ledger {
    /// The ledger of a claimed base, made where it does not exist.
    pub fn open(base: &Dir) -> Result<Self> {
        let chain = Chain::new(private_dir(&evidence(base)?, DIRECTORY)?);
        Ok(Self { chain })
    }

    /// Adds an event; it is on the disk when this returns. Several processes may add at once.
    pub fn append(&self, event: Event) -> Result<Entry> {
        self.append_at(event, clock::now())
    }

    fn append_at(&self, event: Event, now: Timestamp) -> Result<Entry> {
        let _lock = lock(self.chain.dir(), "ledger", PATIENCE)?;
        let month = now.to_zoned(TimeZone::UTC).strftime("%Y-%m.jsonl");
        let end = self.chain.end(month.to_string())?;
        let entry = Entry {
            seq: end.seq + 1,
            time: Timestamp::from_second(now.as_second())
                .unwrap_or(now)
                .to_string(),
            event,
            prev: end.prev.clone(),
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
        self.chain.put(&end, &text)?;
        Ok(entry)
    }

    /// Calls `each` for every entry, oldest first, until it gives false. Lines that cannot be read are passed over.
    pub fn read(&self, each: impl FnMut(Entry) -> bool) -> Result<()> {
        self.chain.read(each)
    }

    /// When the last entry was written; for doubts about the clock.
    pub fn newest(&self) -> Result<Option<Timestamp>> {
        for tail in self.chain.tails()? {
            if let (_, Some(last)) = last_line(&tail?.1) {
                return Ok(serde_json::from_slice::<Entry>(&last)
                    .ok()
                    .and_then(|entry| entry.time.parse().ok()));
            }
        }
        Ok(None)
    }

    /// The newest entry of an experiment in a [`lane`], if it is among the last ones of this
    /// month or the one before: enough to know whether what was done last was ended.
    pub fn last_of(&self, experiment: &str, in_lane: &str) -> Result<Option<Entry>> {
        for tail in self.chain.tails()?.take(2) {
            let entry = tail?
                .1
                .bytes
                .rsplit(|&byte| byte == b'\n')
                .filter_map(|line| serde_json::from_slice::<Entry>(line).ok())
                .find(|entry| {
                    entry.event.experiment == experiment
                        && lane(&entry.event.operation) == in_lane
                        && !entry.event.is_note()
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
            let experiment = (
                entry.event.experiment.clone(),
                lane(&entry.event.operation).to_owned(),
            );
            if entry.event.is_note() {
                return true;
            }
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
        self.chain.verify()
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
            let last = ledger.last_of(experiment, "").unwrap().unwrap();
            assert_eq!(last.event.outcome, outcome);
        }
        assert!(ledger.last_of("a", INGEST).unwrap().is_none());
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
