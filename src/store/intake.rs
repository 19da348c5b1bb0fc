//! Files that are on their way from a landing to their place, and the journal by which a killed run is gone on with.
//!
//! `<base>/.octonas/incoming/<experiment id>/` (root only) holds each under the id of its delivery, and `journal.jsonl`:
//! `{"take":{…}}` before a file is moved in, `{"decide":{…}}` before it is moved out; emptied when all of them have their
//! receipt. `<base>/.octonas/refused/<experiment id>/` keeps what was refused for good, and `refused.jsonl` says what it is.

use serde::{Deserialize, Serialize};

use super::lines::{Lines, line};
use super::{EVIDENCE, evidence, private_dir};
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::sys::dir::Dir;

pub(super) const INCOMING: &str = "incoming";
pub(super) const REFUSED: &str = "refused";
const JOURNAL: &str = "journal.jsonl";
const LIST: &str = "refused.jsonl";
const LIMIT: u64 = 64 << 20;

/// A file as it lay in the landing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// A UUID: what this file is called on its way, and in everything that is written of it.
    pub delivery: String,
    /// The source.
    pub source: String,
    /// Path below the source's `data/`.
    pub path: String,
    /// Number of its inode.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of its content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Whose it was.
    pub uid: u32,
    /// Which group's.
    pub gid: u32,
    /// Mode bits.
    pub mode: u32,
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It goes to its place.
    Received,
    /// The same file is in its place already: this one goes.
    Again,
    /// Another content than the source said: it is kept for people.
    Checksum,
    /// Another file is in its place: it stays in the landing.
    NameTaken,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which file.
    pub delivery: String,
    /// What.
    pub verdict: Verdict,
    /// Its checksum.
    pub sha256: String,
    /// Where it belongs, below the experiment.
    pub into: String,
    /// When (RFC 3339, UTC).
    pub time: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Record {
    Take(Take),
    Decide(Decision),
}

/// Something that was refused and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name in the directory.
    pub delivery: String,
    /// The source.
    pub source: String,
    /// Path below its `data/`.
    pub path: String,
    /// Why: `checksum`, `superseded`.
    pub reason: String,
    /// When (RFC 3339, UTC).
    pub time: String,
}

/// The way in of one experiment.
#[derive(Debug)]
pub struct Intake {
    /// Where files are on their way.
    pub incoming: Dir,
    refused: Dir,
    journal: Lines,
    unfinished: Vec<(Take, Option<Decision>)>,
}

impl Intake {
    /// Opens it, made where it does not exist. Only under the lock of whoever ingests.
    pub fn open(base: &Dir, id: &ExperimentId) -> Result<Self> {
        let house = evidence(base)?;
        let incoming = private_dir(&private_dir(&house, INCOMING)?, &id.to_string())?;
        let refused = private_dir(&private_dir(&house, REFUSED)?, &id.to_string())?;
        let (journal, lines) = Lines::load(&incoming, JOURNAL, LIMIT)?;
        let mut unfinished: Vec<(Take, Option<Decision>)> = Vec::new();
        for bytes in lines {
            let record = serde_json::from_slice(&bytes).map_err(|e| {
                Error::new(
                    "ingest.damaged",
                    format!("{} cannot be read", incoming.path_of(JOURNAL).display()),
                )
                .hint("the files beside it are whole: move them back into their landing by hand, then delete it")
                .source(e)
            })?;
            match record {
                Record::Take(take) => unfinished.push((take, None)),
                Record::Decide(decision) => {
                    let taken = unfinished
                        .iter_mut()
                        .find(|(take, _)| take.delivery == decision.delivery);
                    if let Some((_, slot)) = taken {
                        *slot = Some(decision);
                    }
                }
            }
        }
        Ok(Self {
            incoming,
            refused,
            journal,
            unfinished,
        })
    }

    /// How many files a killed run left on their way; 0 where nothing ever came in. Changes nothing.
    pub fn waiting(base: &Dir, id: &ExperimentId) -> Result<usize> {
        let Some(incoming) = base.open(format!("{EVIDENCE}/{INCOMING}/{id}"))? else {
            return Ok(0);
        };
        Ok(incoming
            .entries()?
            .iter()
            .filter(|entry| {
                entry
                    .name
                    .to_str()
                    .is_some_and(|name| uuid::Uuid::try_parse(name).is_ok())
            })
            .count())
    }

    /// What a killed run was about to do.
    pub fn unfinished(&mut self) -> Vec<(Take, Option<Decision>)> {
        std::mem::take(&mut self.unfinished)
    }

    /// Files are about to be moved in.
    pub fn take(&mut self, takes: &[Take]) -> Result<()> {
        self.push(takes.iter().cloned().map(Record::Take))
    }

    /// Files are about to be moved out.
    pub fn decide(&mut self, decisions: &[Decision]) -> Result<()> {
        self.push(decisions.iter().cloned().map(Record::Decide))
    }

    fn push(&mut self, records: impl Iterator<Item = Record>) -> Result<()> {
        let lines: Vec<String> = records.map(|record| line(&record)).collect::<Result<_>>()?;
        if lines.is_empty() {
            return Ok(());
        }
        self.journal.push(&lines)
    }

    /// All of it is done.
    pub fn clear(&mut self) -> Result<()> {
        self.journal.rewrite(&[])
    }

    /// Keeps a file that is on its way for people, and says what it is.
    pub fn keep(&self, kept: &Kept) -> Result<()> {
        let (mut list, lines) = Lines::load(&self.refused, LIST, LIMIT)?;
        let text = line(kept)?;
        let known = lines.iter().any(|bytes| {
            serde_json::from_slice::<Kept>(bytes).is_ok_and(|other| other.delivery == kept.delivery)
        });
        if !known {
            list.push(&[text])?;
        }
        self.incoming
            .move_to(&kept.delivery, &self.refused, &kept.delivery)
            .map(drop)
    }

    /// What is kept for people.
    pub fn kept(&self) -> Result<Vec<Kept>> {
        read_kept(&self.refused)
    }

    /// The same without opening the way in; changes nothing.
    pub fn kept_in(base: &Dir, id: &ExperimentId) -> Result<Vec<Kept>> {
        match base.open(format!("{EVIDENCE}/{REFUSED}/{id}"))? {
            Some(refused) => read_kept(&refused),
            None => Ok(Vec::new()),
        }
    }
}

/// Lines whose file somebody took away are done with.
fn read_kept(refused: &Dir) -> Result<Vec<Kept>> {
    let (_, lines) = Lines::load(refused, LIST, LIMIT)?;
    let all: Vec<Kept> = lines
        .iter()
        .filter_map(|bytes| serde_json::from_slice(bytes).ok())
        .collect();
    let mut there = Vec::new();
    for kept in all {
        if refused.stat(&kept.delivery)?.is_some() {
            there.push(kept);
        }
    }
    Ok(there)
}
