//! The catalogue's index of one experiment: its files, what is known of each, and what was refused.
//!
//! `<base>/.octonas/catalogue/<id>.sqlite`. It can be lost: checksums come back from the baseline, contents from the
//! files. What is damaged is moved aside, and a new one begins.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};
use rusqlite_migration::{M, Migrations};
use serde::{Deserialize, Serialize};

use super::{EVIDENCE, evidence, private_dir};
use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::sys::dir::{Dir, Replace};
use crate::sys::fault;

pub(super) const DIRECTORY: &str = "catalogue";

const STEPS: &[M<'static>] = &[M::up(include_str!("migrations/101-catalogue.sql"))];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

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

/// What a probe found in a file as it was then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Bytes that the file had.
    pub size: u64,
    /// Its last change, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// JSON (`crate::content::Contents`).
    pub contents: String,
}

/// Files of one format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormatCount {
    /// As the probe names it; `None` where no file was probed.
    pub format: Option<String>,
    /// How many.
    pub files: u64,
    /// How many bytes together.
    pub bytes: u64,
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

/// A file of a landing that was refused and lies there still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The source.
    pub source: String,
    /// Path below its `data/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Number of its inode.
    pub inode: u64,
    /// Its checksum.
    pub sha256: String,
    /// Why.
    pub reason: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
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
                dir.rename(&name, &dir, format!("{name}.damaged"), Replace::Allow)?;
                dir.remove_file(format!("{name}-journal"))?;
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
        // Not WAL, which writes when it is only read: a look every five minutes must not.
        connection.pragma_update(None, "journal_mode", "delete")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // One of a newer version is an index as well, which we cannot use.
        MIGRATIONS.to_latest(&mut connection).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => err,
            _ => super::registry::damage(),
        })?;
        connection.prepare_cached(SELECT)?;
        Ok(Self { connection })
    }

    /// Enters files, or what is new about them; all or none. What a probe found stays where the row says nothing of it
    /// and the file is the same.
    pub fn put(&mut self, rows: &[FileRow]) -> Result<()> {
        fault::point("sql")?;
        let mut put = || {
            let transaction = self.connection.transaction()?;
            for row in rows {
                put_one(&transaction, row)?;
            }
            transaction.commit()
        };
        put().map_err(|e| failed("write", e))
    }

    /// True where nothing is known of any file.
    pub fn is_empty(&self) -> Result<bool> {
        self.connection
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM files)", [], |row| {
                row.get(0)
            })
            .map_err(|e| failed("read", e))
    }

    /// What is known of a file.
    pub fn get(&self, path: &str) -> Result<Option<FileRow>> {
        self.connection
            .prepare_cached(&format!("{SELECT} WHERE path = ?1"))
            .and_then(|mut statement| statement.query_row([path], file_row).optional())
            .map_err(|e| failed("read", e))
    }

    /// Takes a file out.
    pub fn remove(&self, path: &str) -> Result<()> {
        self.connection
            .execute("DELETE FROM files WHERE path = ?1", [path])
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// Calls `each` for every file, by path, until it gives false.
    pub fn each(&self, mut each: impl FnMut(FileRow) -> bool) -> Result<()> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self
                .connection
                .prepare(&format!("{SELECT} ORDER BY path"))?;
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

    /// All files, by path.
    pub fn list(&self) -> Result<Vec<FileRow>> {
        let mut all = Vec::new();
        self.each(|row| {
            all.push(row);
            true
        })?;
        Ok(all)
    }

    /// Enters what a probe found in a file that was so large and so old. A file that is not known yet is entered.
    pub fn set_probed(&self, path: &str, probed: &Probed) -> Result<()> {
        fault::point("sql")?;
        self.connection
            .prepare_cached(
                "INSERT INTO files (path, size, mtime_ns, probed_size, probed_mtime_ns, contents) \
                 VALUES (?1, ?2, ?3, ?2, ?3, ?4) ON CONFLICT (path) DO UPDATE SET \
                 probed_size = ?2, probed_mtime_ns = ?3, contents = ?4",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    path,
                    number(probed.size),
                    probed.mtime_ns,
                    probed.contents
                ])
            })
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// The same for many files; all or none.
    pub fn set_all_probed(&self, all: &[(String, Probed)]) -> Result<()> {
        let begin = || self.connection.unchecked_transaction();
        let transaction = begin().map_err(|e| failed("write", e))?;
        for (path, probed) in all {
            self.set_probed(path, probed)?;
        }
        transaction.commit().map_err(|e| failed("write", e))
    }

    /// How many files and bytes there are of every format, the most bytes first.
    pub fn formats(&self) -> Result<Vec<FormatCount>> {
        let read = || -> rusqlite::Result<Vec<FormatCount>> {
            let mut statement = self.connection.prepare(
                "SELECT iif(json_valid(contents), json_extract(contents, '$.format'), NULL) AS format, \
                 count(*), sum(size) FROM files GROUP BY format ORDER BY 3 DESC, 1",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(FormatCount {
                    format: row.get(0)?,
                    files: unsigned(row.get(1)?),
                    bytes: unsigned(row.get(2)?),
                })
            })?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// What a source delivered.
    pub fn delivered(&self, source: &str) -> Result<Delivered> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(size), 0), max(received) FROM files WHERE source = ?1",
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

    /// Remembers that a file of a landing was refused.
    pub fn refuse(&self, refusal: &Refusal) -> Result<()> {
        fault::point("sql")?;
        self.connection
            .execute(
                "INSERT OR REPLACE INTO refused (source, path, size, mtime_ns, inode, sha256, reason, since) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    refusal.source,
                    refusal.path,
                    number(refusal.size),
                    refusal.mtime_ns,
                    number(refusal.inode),
                    refusal.sha256,
                    refusal.reason,
                    refusal.since
                ],
            )
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// Forgets a refusal.
    pub fn forget_refusal(&self, source: &str, path: &str) -> Result<()> {
        self.connection
            .prepare_cached("DELETE FROM refused WHERE source = ?1 AND path = ?2")
            .and_then(|mut statement| statement.execute([source, path]))
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// All refusals, by source and path.
    pub fn refusals(&self) -> Result<Vec<Refusal>> {
        let read = || -> rusqlite::Result<Vec<Refusal>> {
            let mut statement = self.connection.prepare(
                "SELECT source, path, size, mtime_ns, inode, sha256, reason, since FROM refused \
                 ORDER BY source, path",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Refusal {
                    source: row.get(0)?,
                    path: row.get(1)?,
                    size: unsigned(row.get(2)?),
                    mtime_ns: row.get(3)?,
                    inode: unsigned(row.get(4)?),
                    sha256: row.get(5)?,
                    reason: row.get(6)?,
                    since: row.get(7)?,
                })
            })?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }
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

const SELECT: &str = "SELECT path, size, mtime_ns, sha256, source, received, probed_size, \
                      probed_mtime_ns, contents FROM files";

fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let probed: (Option<i64>, Option<i64>, Option<String>) =
        (row.get(6)?, row.get(7)?, row.get(8)?);
    let probed = match probed {
        (Some(size), Some(mtime_ns), Some(contents)) => Some(Probed {
            size: unsigned(size),
            mtime_ns,
            contents,
        }),
        _ => None,
    };
    Ok(FileRow {
        path: row.get(0)?,
        size: unsigned(row.get(1)?),
        mtime_ns: row.get(2)?,
        sha256: row.get(3)?,
        source: row.get(4)?,
        received: row.get(5)?,
        probed,
    })
}

fn put_one(connection: &Connection, row: &FileRow) -> rusqlite::Result<()> {
    let probed = row.probed.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO files (path, size, mtime_ns, sha256, source, received, probed_size, probed_mtime_ns, contents) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (path) DO UPDATE SET \
             size = ?2, mtime_ns = ?3, sha256 = coalesce(?4, sha256), source = coalesce(?5, source), \
             received = coalesce(?6, received), probed_size = coalesce(?7, probed_size), \
             probed_mtime_ns = coalesce(?8, probed_mtime_ns), contents = coalesce(?9, contents)",
        )?
        .execute(params![
            row.path,
            number(row.size),
            row.mtime_ns,
            row.sha256,
            row.source,
            row.received,
            probed.map(|p| number(p.size)),
            probed.map(|p| p.mtime_ns),
            probed.map(|p| &p.contents),
        ])
        .map(drop)
}

fn failed(verb: &str, error: rusqlite::Error) -> Error {
    let full = matches!(&error, rusqlite::Error::SqliteFailure(e, _) if e.code == rusqlite::ErrorCode::DiskFull);
    let (code, hint) = if full {
        (
            "disk.full",
            "make room on the disk of the experiment, then run it again",
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
            contents: "{\"format\":\"csv\"}".into(),
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
