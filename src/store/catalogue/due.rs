//! What a verification asks of the index: which files were unchecked longest, and what the checks came to.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::entries::{Known, Sum, known, note_checks};
use super::{Catalogue, failed, number, unsigned};
use crate::error::Result;
use crate::store::pathname;

/// A file whose check is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Path, as text.
    pub path: String,
    /// What is known of it.
    pub known: Known,
    /// Last good check, seconds since 1970.
    pub checked: i64,
    folder: i64,
}

/// What a file should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The number of its newest line in the baseline.
    pub mark: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// SHA-256.
    pub sha256: Sum,
    /// Nobody may change it.
    pub sealed: bool,
}

/// How old the checks of files are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ages {
    /// Files that have a line in the baseline.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Of these, files whose last good check is at most 30 days old …
    pub within_30_days: u64,
    /// … 30 to 90 days …
    pub within_90_days: u64,
    /// … 90 days to a year …
    pub within_a_year: u64,
    /// … or older.
    pub older: u64,
    /// The oldest last good check (RFC 3339, UTC).
    pub oldest: Option<String>,
    /// Files that are sealed.
    pub sealed: u64,
    /// Files with which something is wrong.
    pub wrong: u64,
}

/// A file with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Path.
    pub path: String,
    /// `damage`, `loss`, `silent-change`.
    pub code: String,
    /// Since when (RFC 3339, UTC).
    pub since: Option<String>,
}

const DAY: i64 = 86_400;

fn due(row: &Row<'_>) -> rusqlite::Result<Due> {
    Ok(Due {
        known: known(row)?,
        checked: row.get(8)?,
        folder: row.get(9)?,
        path: pathname::join(row.get_ref(10)?.as_str()?, row.get_ref(11)?.as_str()?),
    })
}

impl Catalogue {
    /// Files whose last good check is not younger than `before`, or lies after `now` (a clock went back); the longest
    /// unchecked first, after `last`. Both in seconds since 1970.
    pub fn due(&self, before: i64, now: i64, last: Option<&Due>, limit: u32) -> Result<Vec<Due>> {
        let (checked, folder, name) = last.map_or((i64::MIN, i64::MIN, ""), |last| {
            (last.checked, last.folder, pathname::split(&last.path).1)
        });
        let read = || -> rusqlite::Result<Vec<Due>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT size, mtime_ns, ctime_ns, inode, sha256, mark, sealed, state, checked, folder, folders.path, name \
                 FROM entries JOIN folders ON folders.id = folder WHERE mark <> 0 AND (checked <= ?1 OR checked > ?2) \
                 AND (checked, folder, name) > (?3, ?4, ?5) ORDER BY checked, folder, name LIMIT ?6",
            )?;
            let rows =
                statement.query_map(params![before, now, checked, folder, name, limit], due)?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// How many files and bytes are due.
    pub fn count_due(&self, before: i64, now: i64) -> Result<(u64, u64)> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(size), 0) FROM entries WHERE mark <> 0 AND (checked <= ?1 OR checked > ?2)",
                [before, now],
                |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
            )
            .map_err(|e| failed("read", e))
    }

    /// Files hold what their lines say: path, and number of the line that was looked at.
    pub fn set_checked(
        &mut self,
        all: &[(String, u64)],
        checked: i64,
        noted: Option<u64>,
    ) -> Result<()> {
        self.write(|connection| {
            for (path, mark) in all {
                let (folder, name) = pathname::split(path);
                connection
                    .prepare_cached(
                        "UPDATE entries SET checked = ?4, state = NULL WHERE name = ?2 AND mark = ?3 \
                         AND folder = (SELECT id FROM folders WHERE path = ?1)",
                    )?
                    .execute(params![folder, name, number(*mark), checked])?;
            }
            note_checks(connection, noted)
        })
    }

    /// The evidence says so: what the index had was wrong.
    pub fn set_sum(&mut self, path: &str, mark: u64, sum: &Sum) -> Result<()> {
        let (folder, name) = pathname::split(path);
        self.write(|connection| {
            connection
                .prepare_cached(
                    "UPDATE entries SET sha256 = ?4 WHERE name = ?2 AND mark = ?3 \
                     AND folder = (SELECT id FROM folders WHERE path = ?1)",
                )?
                .execute(params![folder, name, number(mark), &sum[..]])
                .map(drop)
        })
    }

    /// What a file should hold: the checksum of its newest line in the baseline. `None` where it has none yet.
    pub fn expected(&self, path: &str) -> Result<Option<Expected>> {
        let known = self.known(path)?;
        Ok(known.filter(|known| known.mark != 0).and_then(|known| {
            Some(Expected {
                mark: known.mark,
                size: known.size,
                mtime_ns: known.mtime_ns,
                sha256: known.sha256?,
                sealed: known.sealed,
            })
        }))
    }

    /// How old the checks are; `now` in seconds since 1970.
    pub fn ages(&self, now: i64) -> Result<Ages> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(size), 0), \
                 count(*) FILTER (WHERE checked > ?1), count(*) FILTER (WHERE checked <= ?1 AND checked > ?2), \
                 count(*) FILTER (WHERE checked <= ?2 AND checked > ?3), count(*) FILTER (WHERE checked <= ?3), \
                 min(checked), coalesce(sum(sealed), 0), count(state) FROM entries WHERE mark <> 0",
                [now - 30 * DAY, now - 90 * DAY, now - 365 * DAY],
                |row| {
                    Ok(Ages {
                        files: unsigned(row.get(0)?),
                        bytes: unsigned(row.get(1)?),
                        within_30_days: unsigned(row.get(2)?),
                        within_90_days: unsigned(row.get(3)?),
                        within_a_year: unsigned(row.get(4)?),
                        older: unsigned(row.get(5)?),
                        oldest: row.get::<_, Option<i64>>(6)?.and_then(super::ask::instant),
                        sealed: unsigned(row.get(7)?),
                        wrong: unsigned(row.get(8)?),
                    })
                },
            )
            .map_err(|e| failed("read", e))
    }

    /// Files with which something is wrong, by folder and name; at most `limit`.
    pub fn wrong(&self, limit: u32) -> Result<Vec<Wrong>> {
        let mut all = Vec::new();
        self.read_wrong(i64::from(limit), |wrong| all.push(wrong))?;
        Ok(all)
    }

    /// Calls `each` with every file with which something is wrong, by folder and name.
    pub fn each_wrong(&self, each: impl FnMut(Wrong)) -> Result<()> {
        // Any negative number is no limit (SQLite, SELECT).
        self.read_wrong(-1, each)
    }

    fn read_wrong(&self, limit: i64, mut each: impl FnMut(Wrong)) -> Result<()> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(
                "SELECT file, state, (SELECT max(time) FROM history WHERE history.path = file AND what = state) FROM \
                 (SELECT iif(folders.path = '', name, folders.path || '/' || name) AS file, state FROM entries \
                 JOIN folders ON folders.id = folder WHERE state IS NOT NULL ORDER BY folder, name LIMIT ?1)",
            )?;
            let mut rows = statement.query([limit])?;
            while let Some(row) = rows.next()? {
                each(Wrong {
                    path: row.get(0)?,
                    code: row.get(1)?,
                    since: row.get(2)?,
                });
            }
            Ok(())
        };
        read().map_err(|e| failed("read", e))
    }

    /// When the last scan came to its end; `None` where none ever did (RFC 3339, UTC).
    pub fn scanned(&self) -> Result<Option<String>> {
        self.connection
            .query_row(
                "SELECT value FROM state WHERE name = 'scan-ended'",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(|e| failed("read", e))
    }
}
