//! The catalogue's index of one experiment: its files, what is known of each, and what was refused.
//!
//! `<base>/.octonas/catalogue/<id>.sqlite`. It can be lost: what counts comes back from the evidence ([`replay`]), contents
//! from the files. What is damaged is moved aside, and a new one begins. Paths are text as `super::pathname` writes them.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use rusqlite_migration::{M, Migrations};

use super::{EVIDENCE, evidence, private_dir};
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::sys::dir::{Dir, Replace};
use crate::sys::fault;

pub mod ask;
mod contents;
pub mod due;
pub mod entries;
mod refusals;
pub mod replay;
mod rows;

pub use contents::{FormatCount, Probed};
pub use refusals::Refusal;
pub use rows::{Delivered, FileRow};

pub(super) const DIRECTORY: &str = "catalogue";

const STEPS: &[M<'static>] = &[
    M::up(include_str!("../migrations/101-catalogue.sql")),
    M::up(include_str!("../migrations/102-entries.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// How much of the index is kept in memory, in KiB.
const CACHE: i64 = 12 << 10;

/// The open index.
pub struct Catalogue {
    connection: Connection,
}

impl Catalogue {
    /// The index of an experiment of a claimed base, made where it does not exist. Only under the lock of whoever
    /// writes it.
    pub fn open(base: &Dir, id: &ExperimentId) -> Result<Self> {
        let dir = private_dir(&evidence(base)?, DIRECTORY)?;
        let name = file(id);
        match Self::try_open(&dir, &name, true) {
            Ok(index) => Ok(index),
            Err(e) if super::registry::is_damage(&e) && dir.stat(&name)?.is_some() => {
                Self::set_aside(base, id)?;
                Self::try_open(&dir, &name, true).map_err(|e| failed("open", e))
            }
            Err(e) => Err(failed("open", e)),
        }
    }

    /// The index as it is, for reading. `None` where there is none, or none that can be used.
    pub fn existing(base: &Dir, id: &ExperimentId) -> Result<Option<Self>> {
        let Some(dir) = base.open(format!("{EVIDENCE}/{DIRECTORY}"))? else {
            return Ok(None);
        };
        let name = file(id);
        if dir.stat(&name)?.is_none() {
            return Ok(None);
        }
        match Self::try_open(&dir, &name, false) {
            Ok(index) => Ok(Some(index)),
            Err(e) if super::registry::is_damage(&e) => Ok(None),
            Err(e) => Err(failed("open", e)),
        }
    }

    fn try_open(dir: &Dir, name: &str, create: bool) -> rusqlite::Result<Self> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
        let mut connection = Connection::open_with_flags(dir.path_of(name), flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        // WAL only during long work ([`Catalogue::share`]): it writes when it is only read, and a look every five minutes
        // must not.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        if create && connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))? == 0
        {
            connection.pragma_update(None, "page_size", 8192)?;
        }
        // One of a newer version is an index as well, which we cannot use.
        MIGRATIONS.to_latest(&mut connection).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => err,
            _ => super::registry::damage(),
        })?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.prepare_cached(rows::SELECT)?;
        Ok(Self { connection })
    }

    /// From now on others read while this one writes (WAL). Given back by [`Catalogue::unshare`], or by the next that
    /// comes to its end.
    pub fn share(&self) {
        self.journal("wal");
    }

    /// The end of [`Catalogue::share`]. Where somebody still reads, it stays as it is.
    pub fn unshare(&self) {
        self.journal("delete");
    }

    /// Another journal is faster or quieter, never safer: where it cannot be had now, nothing is lost.
    fn journal(&self, mode: &str) {
        let _ = self.connection.busy_timeout(Duration::from_millis(200));
        let _ = self
            .connection
            .pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()));
        let _ = self.connection.busy_timeout(Duration::from_secs(10));
    }

    /// Moves a damaged index aside; the next [`Catalogue::open`] begins a new one. Only under the lock of whoever writes it.
    pub fn set_aside(base: &Dir, id: &ExperimentId) -> Result<()> {
        let dir = private_dir(&evidence(base)?, DIRECTORY)?;
        let name = file(id);
        if dir.stat(&name)?.is_some() {
            dir.rename(&name, &dir, format!("{name}.damaged"), Replace::Allow)?;
        }
        for end in JOURNALS {
            dir.remove_file(format!("{name}{end}"))?;
        }
        Ok(())
    }

    /// What `SQLite` finds wrong with the file itself; empty where it is whole.
    pub fn damage(&self) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare("PRAGMA integrity_check(20)")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.filter(|row| row.as_ref().map_or(true, |text| text != "ok"))
                .collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// Changes the index; all or none of it.
    fn write<T>(&mut self, change: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        fault::point("sql")?;
        let run = || {
            let transaction = self.connection.transaction()?;
            let result = change(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|e| failed("write", e))
    }

    /// Asks many questions of one moment, for which the file is locked once. Nothing may be written meanwhile.
    pub fn at_once<T>(&self, ask: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let _moment = self
            .connection
            .unchecked_transaction()
            .map_err(|e| failed("read", e))?;
        ask(self)
    }

    /// Something that is remembered of the index itself.
    fn state(&self, name: &str) -> Result<Option<String>> {
        self.connection
            .prepare_cached("SELECT value FROM state WHERE name = ?1")
            .and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional())
            .map_err(|e| failed("read", e))
    }
}

/// Remembers something of the index itself.
fn set_state(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO state (name, value) VALUES (?1, ?2)")?
        .execute([name, value])
        .map(drop)
}

fn file(id: &ExperimentId) -> String {
    format!("{id}.sqlite")
}

/// `SQLite` has no unsigned numbers; nothing here needs the last bit.
fn number(value: u64) -> i64 {
    value.cast_signed()
}

fn unsigned(value: i64) -> u64 {
    value.cast_unsigned()
}

const JOURNALS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// True where the file of the index itself is wrong, not what it was asked.
fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error, rusqlite::Error::SqliteFailure(e, _) if matches!(e.code, DatabaseCorrupt | NotADatabase))
}

fn failed(verb: &str, error: rusqlite::Error) -> Error {
    let full = matches!(&error, rusqlite::Error::SqliteFailure(e, _) if e.code == rusqlite::ErrorCode::DiskFull);
    let (code, hint) = if full {
        (
            "disk.full",
            "make room on the disk of the experiment, then run it again",
        )
    } else if is_damaged(&error) {
        (
            "catalogue.damaged",
            "`octonas evidence rebuild` makes it again from the evidence",
        )
    } else {
        (
            "catalogue.failed",
            "run it again; the index is no evidence and can be deleted",
        )
    };
    Error::new(code, format!("cannot {verb} the index of the catalogue"))
        .hint(hint)
        .source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::directory;

    pub(super) fn base() -> (tempfile::TempDir, Dir, ExperimentId) {
        let (temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        let id = "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap();
        (temp, base, id)
    }

    pub(super) fn row(path: &str, size: u64) -> FileRow {
        FileRow {
            path: path.into(),
            size,
            mtime_ns: 5,
            sha256: Some("ab".into()),
            source: Some("plc".into()),
            received: Some("2026-11-21T00:00:00Z".into()),
            probed: None,
        }
    }

    #[test]
    fn a_damaged_index_is_moved_aside_and_begun_anew() {
        let (_temp, base, id) = base();
        Catalogue::open(&base, &id)
            .unwrap()
            .put(&[row("a", 1)])
            .unwrap();
        let dir = evidence(&base).unwrap().existing(DIRECTORY).unwrap();
        dir.write(
            file(&id),
            &[0x55; 9000],
            &crate::sys::dir::Permissions::PRIVATE,
        )
        .unwrap();
        assert!(Catalogue::existing(&base, &id).unwrap().is_none());
        assert!(
            Catalogue::open(&base, &id)
                .unwrap()
                .list()
                .unwrap()
                .is_empty()
        );
        assert!(dir.stat(format!("{id}.sqlite.damaged")).unwrap().is_some());
    }

    #[test]
    fn the_migrations_fit_together() {
        MIGRATIONS.validate().unwrap();
    }
}
