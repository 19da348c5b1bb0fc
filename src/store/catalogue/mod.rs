//! The catalogue's index of one experiment: its files, what is known of each, and what was refused.
//!
//! `<base>/.octonas/catalogue/<id>.sqlite`. It can be lost: what counts comes back from the evidence ([`replay`]), contents
//! from the files. What is damaged is moved aside, and a new one begins. Paths are text as `super::pathname` writes them.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};
use rusqlite_migration::{M, Migrations};
use serde::{Deserialize, Serialize};

use super::{EVIDENCE, evidence, hexadecimal, pathname, private_dir};
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

pub use contents::{FormatCount, Probed};
pub use refusals::Refusal;

pub(super) const DIRECTORY: &str = "catalogue";

const STEPS: &[M<'static>] = &[
    M::up(include_str!("../migrations/101-catalogue.sql")),
    M::up(include_str!("../migrations/102-entries.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// How much of the index is kept in memory, in KiB.
const CACHE: i64 = 12 << 10;

/// What is known of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRow {
    /// Path below the experiment's directory.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Its checksum when it came in, in hexadecimal.
    pub sha256: Option<String>,
    /// The source that delivered it.
    pub source: Option<String>,
    /// When it came in (RFC 3339, UTC).
    pub received: Option<String>,
    /// What was found in it.
    pub probed: Option<Probed>,
}

/// What a source delivered so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the last one came in (RFC 3339, UTC).
    pub last: Option<String>,
}

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
        connection.prepare_cached(SELECT)?;
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

    /// Enters files, or what is new about them; all or none. What a probe found stays where the row says nothing of it
    /// and the file is the same.
    pub fn put(&mut self, rows: &[FileRow]) -> Result<()> {
        self.write(|connection| {
            for row in rows {
                put_one(connection, row)?;
            }
            Ok(())
        })
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

    /// True where nothing is known of any file.
    pub fn is_empty(&self) -> Result<bool> {
        self.connection
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM entries)", [], |row| {
                row.get(0)
            })
            .map_err(|e| failed("read", e))
    }

    /// How many files are known.
    pub fn count(&self) -> Result<u64> {
        self.connection
            .query_row("SELECT count(*) FROM entries", [], |row| row.get(0))
            .map(unsigned)
            .map_err(|e| failed("read", e))
    }

    /// What is known of a file.
    pub fn get(&self, path: &str) -> Result<Option<FileRow>> {
        let (folder, name) = pathname::split(path);
        self.connection
            .prepare_cached(&format!(
                "{SELECT} WHERE folders.path = ?1 AND entries.name = ?2"
            ))
            .and_then(|mut statement| statement.query_row([folder, name], file_row).optional())
            .map_err(|e| failed("read", e))
    }

    /// Takes a file out.
    pub fn remove(&self, path: &str) -> Result<()> {
        let (folder, name) = pathname::split(path);
        self.connection
            .execute(
                "DELETE FROM entries WHERE name = ?2 AND folder = (SELECT id FROM folders WHERE path = ?1)",
                [folder, name],
            )
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// Calls `each` for every file, by folder and name, until it gives false.
    pub fn each(&self, mut each: impl FnMut(FileRow) -> bool) -> Result<()> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self
                .connection
                .prepare(&format!("{SELECT} ORDER BY folders.path, entries.name"))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if !each(file_row(row)?) {
                    break;
                }
            }
            Ok(())
        };
        read().map_err(|e| failed("read", e))
    }

    /// All files, by folder and name.
    pub fn list(&self) -> Result<Vec<FileRow>> {
        let mut all = Vec::new();
        self.each(|row| {
            all.push(row);
            true
        })?;
        Ok(all)
    }

    /// How many files sources delivered.
    pub fn received(&self) -> Result<u64> {
        self.connection
            .query_row(
                "SELECT count(*) FROM entries WHERE source IS NOT NULL",
                [],
                |row| row.get(0),
            )
            .map(unsigned)
            .map_err(|e| failed("read", e))
    }

    /// What a source delivered.
    pub fn delivered(&self, source: &str) -> Result<Delivered> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(size), 0), max(received) FROM entries WHERE source = ?1",
                [source],
                |row| {
                    Ok(Delivered {
                        files: unsigned(row.get(0)?),
                        bytes: unsigned(row.get(1)?),
                        last: row.get(2)?,
                    })
                },
            )
            .map_err(|e| failed("read", e))
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

const SELECT: &str = "SELECT folders.path, entries.name, entries.size, entries.mtime_ns, entries.sha256, entries.source, \
                      entries.received, contents.size, contents.mtime_ns, contents.json FROM entries \
                      JOIN folders ON folders.id = entries.folder LEFT JOIN contents USING (folder, name)";

fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let probed: (Option<i64>, Option<i64>, Option<String>) =
        (row.get(7)?, row.get(8)?, row.get(9)?);
    let probed = match probed {
        (Some(size), Some(mtime_ns), Some(contents)) => Some(Probed {
            size: unsigned(size),
            mtime_ns,
            contents,
        }),
        _ => None,
    };
    Ok(FileRow {
        path: pathname::join(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?),
        size: unsigned(row.get(2)?),
        mtime_ns: row.get(3)?,
        sha256: row
            .get::<_, Option<Vec<u8>>>(4)?
            .map(|sum| hexadecimal(&sum)),
        source: row.get(5)?,
        received: row.get(6)?,
        probed,
    })
}

/// The number of a folder, entered with those above it where it is new.
fn folder_id(connection: &Connection, path: &str) -> rusqlite::Result<i64> {
    let known = connection
        .prepare_cached("SELECT id, parent FROM folders WHERE path = ?1")?
        .query_row([path], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .optional()?;
    if let Some((id, parent)) = known
        && (parent.is_some() || path.is_empty())
    {
        return Ok(id);
    }
    let parent = match path {
        "" => None,
        _ => Some(folder_id(connection, pathname::split(path).0)?),
    };
    connection
        .prepare_cached(
            "INSERT INTO folders (path, parent) VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET parent = ?2 RETURNING id",
        )?
        .query_row(params![path, parent], |row| row.get(0))
}

/// Bytes of a checksum in hexadecimal; nothing else is kept.
fn checksum(hex: &str) -> Option<Vec<u8>> {
    let bytes = hex.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn put_one(connection: &Connection, row: &FileRow) -> rusqlite::Result<()> {
    let (folder, name) = pathname::split(&row.path);
    let folder = folder_id(connection, folder)?;
    // A file that came in has no change that we know of: the next scan looks at the rest of it.
    connection
        .prepare_cached(
            "INSERT INTO entries (folder, name, size, mtime_ns, sha256, source, received) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (folder, name) DO UPDATE SET \
             size = ?3, mtime_ns = ?4, ctime_ns = 0, sha256 = coalesce(?5, sha256), source = coalesce(?6, source), \
             received = coalesce(?7, received)",
        )?
        .execute(params![
            folder,
            name,
            number(row.size),
            row.mtime_ns,
            row.sha256.as_deref().and_then(checksum),
            row.source,
            row.received,
        ])?;
    match &row.probed {
        Some(probed) => contents::set_probed(connection, row, probed),
        None => Ok(()),
    }
}

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
    use crate::content::Contents;
    use crate::store::tests::directory;

    fn base() -> (tempfile::TempDir, Dir, ExperimentId) {
        let (temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        let id = "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap();
        (temp, base, id)
    }

    fn row(path: &str, size: u64) -> FileRow {
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
    fn what_is_put_is_there_after_reopening_and_a_probe_does_not_undo_it() {
        let (_temp, base, id) = base();
        assert!(Catalogue::existing(&base, &id).unwrap().is_none());
        let mut index = Catalogue::open(&base, &id).unwrap();
        index.put(&[row("raw/b", 2), row("raw/a", 1)]).unwrap();
        let probed = Probed {
            size: 1,
            mtime_ns: 5,
            contents: serde_json::to_string(&Contents::new(crate::content::Format::Csv, 1))
                .unwrap(),
        };
        index.set_probed("raw/a", &probed).unwrap();
        index.set_probed("raw/c", &probed).unwrap();
        drop(index);
        let index = Catalogue::existing(&base, &id).unwrap().unwrap();
        let paths: Vec<String> = index.list().unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(paths, ["raw/a", "raw/b", "raw/c"]);
        let known = index.get("raw/a").unwrap().unwrap();
        assert_eq!(
            (known.sha256.as_deref(), known.probed),
            (Some("ab"), Some(probed))
        );
        let formats = index.formats().unwrap();
        let counts: Vec<_> = formats
            .iter()
            .map(|f| (f.format.as_deref(), f.files, f.bytes))
            .collect();
        assert_eq!(counts, [(None, 1, 2), (Some("csv"), 2, 2)]);
        let delivered = index.delivered("plc").unwrap();
        assert_eq!((delivered.files, delivered.bytes), (2, 3));
        assert_eq!(index.delivered("other").unwrap(), Delivered::default());
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
    fn a_refusal_stands_until_it_is_forgotten() {
        let (_temp, base, id) = base();
        let index = Catalogue::open(&base, &id).unwrap();
        let refusal = Refusal {
            source: "plc".into(),
            path: "a".into(),
            size: 1,
            mtime_ns: 2,
            inode: 3,
            sha256: "ab".into(),
            reason: "name-taken".into(),
            since: "2026-11-21T00:00:00Z".into(),
        };
        index.refuse(&refusal).unwrap();
        index.refuse(&refusal).unwrap();
        assert_eq!(index.refusals().unwrap(), [refusal]);
        index.forget_refusal("plc", "a").unwrap();
        assert!(index.refusals().unwrap().is_empty());
    }

    #[test]
    fn the_migrations_fit_together() {
        MIGRATIONS.validate().unwrap();
    }
}
