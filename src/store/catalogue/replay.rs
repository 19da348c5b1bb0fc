//! The index made from the evidence: what it does not have yet, or all of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::entries::{Past, Sum, history, rename};
use super::rows::{checksum, folder_id};
use super::{Catalogue, failed, number, set_state};
use crate::error::{Error, Result};
use crate::store::baseline::{self, Baseline};
use crate::store::checks::{self, Checks, What};
use crate::store::pathname;

/// Up to which line of each the index has the evidence.
pub(super) const BASELINE: &str = "baseline";
pub(super) const CHECKS: &str = "checks";

/// How many lines are entered together.
const PIECE: usize = 4000;

impl Catalogue {
    /// Up to which line of the baseline and of the checks the index has the evidence.
    pub fn replayed(&self) -> Result<(u64, u64)> {
        let number = |name| -> Result<u64> {
            Ok(self
                .state(name)?
                .and_then(|text| text.parse().ok())
                .unwrap_or(0))
        };
        Ok((number(BASELINE)?, number(CHECKS)?))
    }

    /// Enters what the evidence has and the index has not: an ingest, a run that was killed, an index that was lost. Gives the
    /// number of lines. Killed, it goes on where it was.
    pub fn catch_up(&mut self, baseline: &Baseline, checks: &Checks) -> Result<u64> {
        let (marked, checked) = self.replayed()?;
        let (marks, records) = (baseline.last()?, checks.head()?.0);
        if marked > marks || checked > records {
            return Err(Error::new(
                "evidence.shortened",
                format!(
                    "the evidence has {marks} lines of the baseline and {records} of checks, but {marked} and {checked} were there"
                ),
            )
            .hint("somebody took lines away: restore `.octonas/baseline` and `.octonas/checks` from a replica or a package; `octonas evidence rebuild` goes on with what is left"));
        }
        if marked < marks {
            self.replay_pieces(
                |each| baseline.read_after(marked, each),
                |connection, entries| {
                    for entry in entries {
                        replay_mark(connection, entry)?;
                    }
                    let last = entries.last().map_or(marks, |entry| entry.seq.min(marks));
                    set_state(connection, BASELINE, &last.to_string())
                },
            )?;
        }
        if checked < records {
            self.replay_pieces(
                |each| checks.read_after(checked, each),
                |connection, entries| {
                    for entry in entries {
                        replay_record(connection, entry)?;
                    }
                    let last = entries
                        .last()
                        .map_or(records, |entry| entry.seq.min(records));
                    set_state(connection, CHECKS, &last.to_string())
                },
            )?;
        }
        Ok((marks - marked) + (records - checked))
    }

    fn replay_pieces<L>(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(L) -> bool) -> Result<()>,
        enter: impl Fn(&Connection, &[L]) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let (mut piece, mut result) = (Vec::with_capacity(PIECE), Ok(()));
        read(&mut |entry| {
            piece.push(entry);
            if piece.len() == PIECE {
                result = self.write(|connection| enter(connection, &piece));
                piece.clear();
            }
            result.is_ok()
        })?;
        result?;
        self.write(|connection| enter(connection, &piece))
    }

    /// Forgets everything that the evidence has: [`Catalogue::catch_up`] brings it back. What probes found stays.
    pub fn forget(&mut self) -> Result<()> {
        self.write(|connection| {
            connection.execute_batch("DELETE FROM entries; DELETE FROM history; DELETE FROM state;")
        })
    }

    /// Takes out what probes found in files that are not there any more.
    pub fn tidy(&mut self) -> Result<()> {
        self.write(|connection| {
            connection.execute_batch(
                "DELETE FROM contents WHERE NOT EXISTS (SELECT 1 FROM entries WHERE entries.folder = contents.folder \
                 AND entries.name = contents.name)",
            )
        })
    }

    /// Path and checksum that the index has for these lines of the baseline, both included; by number.
    pub fn marks(&self, from: u64, to: u64) -> Result<BTreeMap<u64, (String, Option<Sum>)>> {
        let read = || -> rusqlite::Result<BTreeMap<u64, (String, Option<Sum>)>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT mark, folders.path, name, sha256 FROM entries JOIN folders ON folders.id = folder \
                 WHERE mark BETWEEN ?1 AND ?2 AND mark <> 0",
            )?;
            let rows = statement.query_map([number(from), number(to)], |row| {
                let sum: Option<Vec<u8>> = row.get(3)?;
                let path = pathname::join(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
                Ok((
                    super::unsigned(row.get(0)?),
                    (path, sum.and_then(|sum| sum.try_into().ok())),
                ))
            })?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }
}

/// Seconds since 1970.
fn seconds(time: &str) -> i64 {
    time.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

fn replay_mark(connection: &Connection, entry: &baseline::Entry) -> rusqlite::Result<()> {
    let mark = &entry.mark;
    let (folder, name) = pathname::split(&mark.path);
    let folder = folder_id(connection, folder)?;
    if let Some(from) = &mark.from {
        let moved = Past {
            path: from,
            time: &mark.time,
            what: "moved",
            mark: entry.seq,
            size: mark.size,
            sha256: sum(&mark.sha256),
            other: Some(&mark.path),
        };
        history(connection, &moved)?;
        rename(connection, from, folder, name)?;
    } else {
        let before = connection
            .prepare_cached(
                "SELECT mark, size, sha256 FROM entries WHERE folder = ?1 AND name = ?2 AND mark BETWEEN 1 AND ?3",
            )?
            .query_row(params![folder, name, number(entry.seq - 1)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
            })
            .optional()?;
        if let Some((before, size, sha256)) = before {
            let changed = Past {
                path: &mark.path,
                time: &mark.time,
                what: "changed",
                mark: super::unsigned(before),
                size: super::unsigned(size),
                sha256: sha256.and_then(|sum| sum.try_into().ok()),
                other: None,
            };
            history(connection, &changed)?;
        }
    }
    let modified = mark.mtime.parse::<Timestamp>().unwrap_or_default();
    let mtime_ns = i64::try_from(modified.as_nanosecond()).unwrap_or(0);
    // Where the file is known as it is, what else was seen of it stays.
    connection
        .prepare_cached(
            "INSERT INTO entries (folder, name, size, mtime_ns, sha256, mark, checked, source, received) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (folder, name) DO UPDATE SET \
             ctime_ns = iif(size = ?3 AND mtime_ns = ?4, ctime_ns, 0), size = ?3, mtime_ns = ?4, sha256 = ?5, mark = ?6, \
             checked = max(checked, ?7), source = coalesce(?8, source), received = coalesce(?9, received), state = NULL",
        )?
        .execute(params![
            folder,
            name,
            number(mark.size),
            mtime_ns,
            checksum(&mark.sha256),
            number(entry.seq),
            // A move is no check.
            mark.from.as_ref().map_or_else(|| seconds(&mark.time), |_| 0),
            mark.source,
            mark.source.as_ref().map(|_| &mark.time),
        ])
        .map(drop)
}

fn replay_record(connection: &Connection, entry: &checks::Entry) -> rusqlite::Result<()> {
    let record = &entry.record;
    for (from, to) in &record.marks {
        let range = (number(*from), number(*to));
        let code = record.detail.get("code").map_or("damage", String::as_str);
        let (what, change) = match record.what {
            What::Good => {
                connection
                    .prepare_cached(
                        "UPDATE entries SET checked = max(checked, ?3), state = NULL WHERE mark BETWEEN ?1 AND ?2",
                    )?
                    .execute(params![range.0, range.1, seconds(&record.time)])?;
                continue;
            }
            What::Gone => ("gone", "DELETE FROM entries"),
            What::Sealed => ("sealed", "UPDATE entries SET sealed = 1, ctime_ns = 0"),
            What::Unsealed => (
                "unsealed",
                "UPDATE entries SET sealed = 0, ctime_ns = 0, state = NULL",
            ),
            What::Found => (code, "UPDATE entries SET state = ?3"),
            What::Repaired => ("repaired", "UPDATE entries SET state = NULL, ctime_ns = 0"),
        };
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO history (path, time, what, mark, size, sha256) \
                 SELECT iif(folders.path = '', name, folders.path || '/' || name), ?3, ?4, mark, size, sha256 \
                 FROM entries JOIN folders ON folders.id = folder WHERE mark BETWEEN ?1 AND ?2",
            )?
            .execute(params![range.0, range.1, record.time, what])?;
        let mut change =
            connection.prepare_cached(&format!("{change} WHERE mark BETWEEN ?1 AND ?2"))?;
        if record.what == What::Found {
            change.execute(params![range.0, range.1, code])?;
        } else {
            change.execute([range.0, range.1])?;
        }
    }
    Ok(())
}

fn sum(hex: &str) -> Option<Sum> {
    checksum(hex)?.try_into().ok()
}
