//! What a scan asks of the index, and what it enters.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rows::folder_id;
use super::{Catalogue, failed, number, set_state, unsigned};
use crate::error::Result;
use crate::store::{hexadecimal, pathname};

/// Never looked at since it came in, or since the index was made again.
pub const UNSEEN: i64 = 0;
/// To be read again, whatever else is the same: it was written in the moment in which it was read.
pub const AGAIN: i64 = -1;

/// SHA-256.
pub type Sum = [u8; 32];

/// What the index has of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of anything, nanoseconds since 1970; [`UNSEEN`], [`AGAIN`].
    pub ctime_ns: i64,
    /// Number of the inode; 0 where nobody has looked yet.
    pub inode: u64,
    /// What it holds, as its newest line in the baseline says; `None` where it has none.
    pub sha256: Option<Sum>,
    /// The number of that line; 0 where it has none.
    pub mark: u64,
    /// Nobody may change it.
    pub sealed: bool,
    /// What was found wrong.
    pub state: Option<String>,
}

/// What a scan found of a file that the index did not have so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Path, as text.
    pub path: String,
    /// As it is now.
    pub now: Known,
    /// The path that it had before, where it was moved.
    pub from: Option<String>,
    /// What was known of it under this path.
    pub before: Option<Known>,
    /// A line of the baseline was written for it; its number is in `now`.
    pub is_marked: bool,
    /// It was read: that is its first good check.
    pub is_read: bool,
}

/// A file that is not where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Path, as text.
    pub path: String,
    /// What was known of it.
    pub known: Known,
}

const KNOWN: &str = "size, mtime_ns, ctime_ns, inode, sha256, mark, sealed, state";

/// A checksum in a column.
fn sum_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Sum>> {
    let bytes = row.get_ref(column)?.as_blob_or_null()?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
}

/// The columns of [`Known`], which come first.
pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        size: unsigned(row.get(0)?),
        mtime_ns: row.get(1)?,
        ctime_ns: row.get(2)?,
        inode: unsigned(row.get(3)?),
        sha256: sum_at(row, 4)?,
        mark: unsigned(row.get(5)?),
        sealed: row.get(6)?,
        state: row.get(7)?,
    })
}

impl Catalogue {
    /// A new scan begins: its number, counted from 1.
    pub fn begin_scan(&mut self, now: &str) -> Result<u64> {
        let before: u64 = self
            .state("scan")?
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        self.write(|connection| {
            set_state(connection, "scan", &(before + 1).to_string())?;
            set_state(connection, "scan-begun", now)
        })?;
        Ok(before + 1)
    }

    /// It came to its end.
    pub fn end_scan(&mut self, now: &str) -> Result<()> {
        self.write(|connection| set_state(connection, "scan-ended", now))
    }

    /// What is known of every file of one folder, by name.
    pub fn in_folder(&self, folder: &str) -> Result<HashMap<String, Known>> {
        let read = || -> rusqlite::Result<HashMap<String, Known>> {
            let Some(id) = id_of(&self.connection, folder)? else {
                return Ok(HashMap::new());
            };
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {KNOWN}, name FROM entries WHERE folder = ?1"
            ))?;
            let rows = statement.query_map([id], |row| Ok((row.get(8)?, known(row)?)))?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// How many files of a folder are known.
    pub fn count_in(&self, folder: &str) -> Result<u64> {
        self.connection
            .prepare_cached(
                "SELECT count(*) FROM entries WHERE folder = (SELECT id FROM folders WHERE path = ?1)",
            )
            .and_then(|mut statement| statement.query_row([folder], |row| row.get(0)))
            .map(unsigned)
            .map_err(|e| failed("read", e))
    }

    /// What is known of one file.
    pub fn known(&self, path: &str) -> Result<Option<Known>> {
        let (folder, name) = pathname::split(path);
        self.connection
            .prepare_cached(&format!(
                "SELECT {KNOWN} FROM entries WHERE name = ?2 AND folder = (SELECT id FROM folders WHERE path = ?1)"
            ))
            .and_then(|mut statement| statement.query_row([folder, name], known).optional())
            .map_err(|e| failed("read", e))
    }

    /// Files that have this inode and are as large and as old: their paths.
    pub fn of_inode(&self, inode: u64, size: u64, mtime_ns: i64) -> Result<Vec<Missing>> {
        let read = || -> rusqlite::Result<Vec<Missing>> {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {KNOWN}, folders.path, name FROM entries JOIN folders ON folders.id = folder \
                 WHERE inode = ?1 AND inode <> 0 AND size = ?2 AND mtime_ns = ?3 LIMIT 8"
            ))?;
            let rows =
                statement.query_map(params![number(inode), number(size), mtime_ns], missing)?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// Files of a folder by name, after `after`; a thousand at most.
    pub fn piece_of(&self, folder: &str, after: &str) -> Result<Vec<Missing>> {
        let read = || -> rusqlite::Result<Vec<Missing>> {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT {KNOWN}, ?1, name FROM entries WHERE folder = (SELECT id FROM folders WHERE path = ?1) \
                 AND name > ?2 ORDER BY name LIMIT 1000"
            ))?;
            let rows = statement.query_map([folder, after], missing)?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// A folder, and those below it, in order.
    pub fn folders_below(&self, folder: &str) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT path FROM folders WHERE path = ?1 OR ?1 = '' OR (path > ?1 || '/' AND path < ?1 || '0') ORDER BY path",
            )?;
            let rows = statement.query_map([folder], |row| row.get(0))?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// Folders of which a scan saw nothing, in order.
    pub fn unseen_folders(&self, scan: u64, after: &str) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT path FROM folders WHERE seen <> ?1 AND path > ?2 ORDER BY path LIMIT 1000",
            )?;
            let rows = statement.query_map(params![number(scan), after], |row| row.get(0))?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// These folders were seen by a scan: path, files and bytes in each.
    pub fn see(&mut self, folders: &[(String, u64, u64)], scan: u64) -> Result<()> {
        self.write(|connection| {
            for (folder, files, bytes) in folders {
                let id = folder_id(connection, folder)?;
                connection
                    .prepare_cached(
                        "UPDATE folders SET seen = ?2, files = ?3, bytes = ?4 WHERE id = ?1",
                    )?
                    .execute(params![id, number(scan), number(*files), number(*bytes)])?;
            }
            Ok(())
        })
    }

    /// A folder went away; it stays where something of it is lost.
    pub fn forget_folder(&mut self, folder: &str) -> Result<()> {
        self.write(|connection| {
            connection
                .prepare_cached(
                    "DELETE FROM folders WHERE path = ?1 AND NOT EXISTS (SELECT 1 FROM entries WHERE folder = folders.id)",
                )?
                .execute([folder])
                .map(drop)
        })
    }

    /// Enters what a scan found; `checked` are seconds since 1970, for what has a new line in the baseline. `marked` is
    /// the number of the last line that the index has from now on.
    pub fn enter(
        &mut self,
        found: &[Found],
        checked: i64,
        time: &str,
        marked: Option<u64>,
    ) -> Result<()> {
        self.write(|connection| {
            for one in found {
                enter_one(connection, one, checked, time)?;
            }
            match marked {
                Some(seq) => set_state(connection, super::replay::BASELINE, &seq.to_string()),
                None => Ok(()),
            }
        })
    }

    /// Takes out files that went away.
    pub fn take_out(&mut self, gone: &[Missing], time: &str, noted: Option<u64>) -> Result<()> {
        self.write(|connection| {
            for one in gone {
                delete(connection, &one.path)?;
                history(connection, &Past::of(&one.path, &one.known, time, "gone"))?;
            }
            note_checks(connection, noted)
        })
    }

    /// What was found wrong with a file, or that nothing is any more.
    pub fn set_finding(
        &mut self,
        path: &str,
        state: Option<&str>,
        time: &str,
        noted: Option<u64>,
    ) -> Result<()> {
        let Some(known) = self.known(path)? else {
            return Ok(());
        };
        self.write(|connection| {
            let (folder, name) = pathname::split(path);
            connection
                .prepare_cached(
                    "UPDATE entries SET state = ?3 WHERE name = ?2 AND folder = (SELECT id FROM folders WHERE path = ?1)",
                )?
                .execute(params![folder, name, state])?;
            history(connection, &Past::of(path, &known, time, state.unwrap_or("good")))?;
            note_checks(connection, noted)
        })
    }

    /// Files that are sealed from now on, or no more.
    pub fn set_sealed(
        &mut self,
        paths: &[String],
        sealed: bool,
        time: &str,
        noted: Option<u64>,
    ) -> Result<()> {
        self.write(|connection| {
            for path in paths {
                let (folder, name) = pathname::split(path);
                let changed = connection
                    .prepare_cached(
                        "UPDATE entries SET sealed = ?3, ctime_ns = 0, state = iif(?3, state, NULL) WHERE name = ?2 \
                         AND folder = (SELECT id FROM folders WHERE path = ?1) RETURNING size, mtime_ns, ctime_ns, inode, \
                         sha256, mark, sealed, state",
                    )?
                    .query_row(params![folder, name, sealed], known)
                    .optional()?;
                if let Some(known) = changed {
                    let what = if sealed { "sealed" } else { "unsealed" };
                    history(connection, &Past::of(path, &known, time, what))?;
                }
            }
            note_checks(connection, noted)
        })
    }
}

fn missing(row: &Row<'_>) -> rusqlite::Result<Missing> {
    Ok(Missing {
        known: known(row)?,
        path: pathname::join(row.get_ref(8)?.as_str()?, row.get_ref(9)?.as_str()?),
    })
}

pub(super) fn id_of(connection: &Connection, folder: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM folders WHERE path = ?1")?
        .query_row([folder], |row| row.get(0))
        .optional()
}

pub(super) fn note_checks(connection: &Connection, noted: Option<u64>) -> rusqlite::Result<()> {
    match noted {
        Some(seq) => set_state(connection, super::replay::CHECKS, &seq.to_string()),
        None => Ok(()),
    }
}

fn enter_one(
    connection: &Connection,
    one: &Found,
    checked: i64,
    time: &str,
) -> rusqlite::Result<()> {
    let (folder, name) = pathname::split(&one.path);
    let folder = folder_id(connection, folder)?;
    if let Some(from) = &one.from {
        rename(connection, from, folder, name)?;
        let mut past = Past::of(from, &one.now, time, "moved");
        past.other = Some(&one.path);
        history(connection, &past)?;
    }
    if let Some(before) = one
        .before
        .as_ref()
        .filter(|before| one.is_marked && before.mark != 0)
    {
        history(connection, &Past::of(&one.path, before, time, "changed"))?;
    }
    let now = &one.now;
    connection
        .prepare_cached(
            "INSERT INTO entries (folder, name, size, mtime_ns, ctime_ns, inode, sha256, mark, checked, sealed, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, iif(?12, ?9, 0), ?10, ?11) ON CONFLICT (folder, name) DO UPDATE SET \
             size = ?3, mtime_ns = ?4, ctime_ns = ?5, inode = ?6, sha256 = ?7, mark = ?8, \
             checked = iif(?12, ?9, checked), sealed = ?10, state = ?11",
        )?
        .execute(params![
            folder,
            name,
            number(now.size),
            now.mtime_ns,
            now.ctime_ns,
            number(now.inode),
            now.sha256.as_ref().map(|sum| &sum[..]),
            number(now.mark),
            checked,
            now.sealed,
            now.state,
            one.is_marked && one.is_read,
        ])
        .map(drop)
}

/// What is known of a file goes with it.
pub(super) fn rename(
    connection: &Connection,
    from: &str,
    folder: i64,
    name: &str,
) -> rusqlite::Result<()> {
    let (old_folder, old_name) = pathname::split(from);
    let Some(old) = id_of(connection, old_folder)? else {
        return Ok(());
    };
    for table in ["entries", "contents"] {
        connection
            .prepare_cached(&format!(
                "UPDATE OR REPLACE {table} SET folder = ?3, name = ?4 WHERE folder = ?1 AND name = ?2"
            ))?
            .execute(params![old, old_name, folder, name])?;
    }
    Ok(())
}

fn delete(connection: &Connection, path: &str) -> rusqlite::Result<()> {
    let (folder, name) = pathname::split(path);
    let Some(id) = id_of(connection, folder)? else {
        return Ok(());
    };
    for table in ["entries", "contents"] {
        connection
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE folder = ?1 AND name = ?2"
            ))?
            .execute(params![id, name])?;
    }
    Ok(())
}

/// Something that happened to a file.
pub(super) struct Past<'a> {
    pub path: &'a str,
    pub time: &'a str,
    pub what: &'a str,
    pub mark: u64,
    pub size: u64,
    pub sha256: Option<Sum>,
    pub other: Option<&'a str>,
}

impl<'a> Past<'a> {
    pub fn of(path: &'a str, known: &Known, time: &'a str, what: &'a str) -> Self {
        Self {
            path,
            time,
            what,
            mark: known.mark,
            size: known.size,
            sha256: known.sha256,
            other: None,
        }
    }
}

pub(super) fn history(connection: &Connection, past: &Past<'_>) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO history (path, time, what, mark, size, sha256, other) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            past.path,
            past.time,
            past.what,
            number(past.mark),
            number(past.size),
            past.sha256.as_ref().map(|sum| &sum[..]),
            past.other,
        ])
        .map(drop)
}

/// A checksum in hexadecimal.
pub fn hex(sum: &Sum) -> String {
    hexadecimal(sum)
}
