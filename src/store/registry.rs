//! The registry: a cache from which lists are served without waking a disk. Losing it costs a rebuild.
//!
//! `registry.db` in `/var/lib/octonas` (or in the embedded NAS's directory). What is damaged is moved aside, and a
//! new one begins; the evidence in the bases is the truth.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use rusqlite_migration::{M, Migrations};

use crate::error::{Error, Result};
use crate::sys::dir::{Dir, Replace};
use crate::sys::fault;

mod rows;

use rows::{SELECT, known, put};

pub use rows::{Known, Seen, Tonight};

const FILE: &str = "registry.db";
/// Where a damaged one goes.
const ASIDE: &str = "registry.db.damaged";

const STEPS: &[M<'static>] = &[
    M::up(include_str!("migrations/001-experiments.sql")),
    M::up(include_str!("migrations/002-seen.sql")),
    M::up(include_str!("migrations/003-members.sql")),
    M::up(include_str!("migrations/004-tonight.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// How a registry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It was there and whole.
    Existing,
    /// There was none: it is empty and has to be filled.
    New,
    /// It was damaged and was moved aside: it is empty and has to be filled.
    Replaced,
}

/// The open registry.
pub struct Registry {
    connection: Connection,
}

impl Registry {
    /// Opens the registry in a directory that only we can write.
    pub fn open(dir: &Dir) -> Result<(Self, Opened)> {
        let there = dir.stat(FILE)?.is_some();
        match Self::try_open(dir) {
            Ok(registry) if there => Ok((registry, Opened::Existing)),
            Ok(registry) => Ok((registry, Opened::New)),
            Err(e) if there && is_damage(&e) => {
                dir.rename(FILE, dir, ASIDE, Replace::Allow)?;
                for name in ["registry.db-wal", "registry.db-shm"] {
                    dir.remove_file(name)?;
                }
                let registry = Self::try_open(dir).map_err(|e| failed("open", e))?;
                Ok((registry, Opened::Replaced))
            }
            Err(e) => Err(failed("open", e)),
        }
    }

    fn try_open(dir: &Dir) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(dir.path_of(FILE), flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if check != "ok" {
            return Err(damage());
        }
        // One of a newer version is a cache as well, which we cannot use.
        MIGRATIONS.to_latest(&mut connection).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => err,
            _ => damage(),
        })?;
        connection.prepare_cached(SELECT)?;
        Ok(Self { connection })
    }

    /// Enters an experiment, or what is new about it.
    pub fn put(&self, known: &Known) -> Result<()> {
        fault::point("sql")?;
        put(&self.connection, known).map_err(|e| failed("write", e))
    }

    /// Enters what a check found of an experiment.
    pub fn put_seen(&self, id: &str, seen: &Seen) -> Result<()> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        fault::point("sql")?;
        self.connection
            .execute(
                "INSERT OR REPLACE INTO seen (id, state, files, bytes, quota, newest, checked_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    id,
                    seen.state,
                    number(seen.files),
                    number(seen.bytes),
                    seen.quota.map(number),
                    seen.newest,
                    seen.checked_at
                ],
            )
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// Takes an experiment out.
    pub fn remove(&self, id: &str) -> Result<()> {
        fault::point("sql")?;
        self.connection
            .execute("DELETE FROM experiment WHERE id = ?1", [id])
            .and_then(|_| {
                self.connection
                    .execute("DELETE FROM seen WHERE id = ?1", [id])
            })
            .map(drop)
            .map_err(|e| failed("write", e))
    }

    /// Makes a base's experiments be exactly these, at once or not at all.
    pub fn replace_base(&mut self, base: &str, all: &[Known]) -> Result<()> {
        fault::point("sql")?;
        let mut replace = || {
            let transaction = self.connection.transaction()?;
            transaction.execute("DELETE FROM experiment WHERE base = ?1", [base])?;
            for known in all {
                put(&transaction, known)?;
            }
            transaction.commit()
        };
        replace().map_err(|e| failed("write", e))
    }

    /// Makes what is set for the night on a base be exactly this, at once or not at all.
    pub fn replace_tonight(&mut self, base: &str, all: &[Tonight]) -> Result<()> {
        fault::point("sql")?;
        let mut replace = || {
            let transaction = self.connection.transaction()?;
            transaction.execute("DELETE FROM tonight WHERE base = ?1", [base])?;
            for each in all {
                transaction.execute(
                    "INSERT INTO tonight (base, code, operation, state, due) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![base, each.code, each.operation, each.state, each.due],
                )?;
            }
            transaction.commit()
        };
        replace().map_err(|e| failed("write", e))
    }

    /// All experiments, by code.
    pub fn list(&self) -> Result<Vec<Known>> {
        let read = || -> rusqlite::Result<Vec<Known>> {
            let sql = format!("{SELECT} ORDER BY code, base");
            let mut statement = self.connection.prepare(&sql)?;
            statement.query_map([], known)?.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// The experiment of this id.
    pub fn by_id(&self, id: &str) -> Result<Option<Known>> {
        self.connection
            .query_row(&format!("{SELECT} WHERE id = ?1"), [id], known)
            .optional()
            .map_err(|e| failed("read", e))
    }

    /// The experiments of this code: one, unless two bases have one each.
    pub fn by_code(&self, code: &str) -> Result<Vec<Known>> {
        let read = || -> rusqlite::Result<Vec<Known>> {
            let sql = format!("{SELECT} WHERE code = ?1 ORDER BY base");
            let mut statement = self.connection.prepare(&sql)?;
            statement.query_map([code], known)?.collect()
        };
        read().map_err(|e| failed("read", e))
    }
}

/// Our own way to say that the file is no good.
pub(super) fn damage() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
        None,
    )
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};

    match error {
        rusqlite::Error::SqliteFailure(e, _) => {
            // SQLITE_ERROR here means tables that are not ours.
            matches!(e.code, DatabaseCorrupt | NotADatabase) || e.extended_code == 1
        }
        // The same, in the words of an SQLite that says where in the query; the system's library may be older.
        #[cfg(feature = "bundled-sqlite")]
        rusqlite::Error::SqlInputError { .. } => true,
        _ => false,
    }
}

fn failed(verb: &str, error: rusqlite::Error) -> Error {
    let full = matches!(&error, rusqlite::Error::SqliteFailure(e, _) if e.code == rusqlite::ErrorCode::DiskFull);
    let (code, hint) = if full {
        (
            "disk.full",
            "make room on the system disk, then run it again",
        )
    } else {
        (
            "registry.failed",
            "run it again; the registry is only a cache and can be deleted",
        )
    };
    Error::new(code, format!("cannot {verb} the registry"))
        .hint(hint)
        .source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::directory;

    fn known(id: &str, code: &str) -> Known {
        Known {
            id: id.into(),
            code: code.into(),
            title: "Heat".into(),
            status: "active".into(),
            base: "/srv/a/octonas".into(),
            digest: "00".into(),
            responsible: "Marie Durand".into(),
            seen_at: "2026-11-21T00:00:00Z".into(),
            members: Some(vec![("ada".into(), Some("2027-01-31".into()))]),
            seen: None,
            tonight: None,
        }
    }

    #[test]
    fn what_is_set_for_the_night_stands_beside_its_experiment() {
        let (_temp, dir) = directory();
        let (mut registry, _) = Registry::open(&dir).unwrap();
        registry.put(&known("1", "eco")).unwrap();
        registry.put(&known("2", "lake")).unwrap();
        let tonight = Tonight {
            code: "eco".into(),
            operation: "edit".into(),
            state: "waiting".into(),
            due: "2026-11-22T01:30:00Z".into(),
        };
        registry
            .replace_tonight("/srv/a/octonas", std::slice::from_ref(&tonight))
            .unwrap();
        let listed = registry.list().unwrap();
        assert_eq!(listed[0].tonight, Some(tonight));
        assert_eq!(listed[1].tonight, None);
        registry.replace_tonight("/srv/a/octonas", &[]).unwrap();
        assert_eq!(registry.list().unwrap()[0].tonight, None);
    }

    #[test]
    fn what_a_check_found_stays_when_the_experiment_is_put_again_and_goes_with_it() {
        let (_temp, dir) = directory();
        let (registry, _) = Registry::open(&dir).unwrap();
        let seen = Seen {
            state: "in-order".into(),
            files: 3,
            bytes: u64::from(u32::MAX) * 7,
            quota: None,
            newest: Some("2026-11-20T00:00:00Z".into()),
            checked_at: "2026-11-21T00:00:00Z".into(),
        };
        registry.put(&known("1", "eco")).unwrap();
        registry.put_seen("1", &seen).unwrap();
        registry.put(&known("1", "eco")).unwrap();
        assert_eq!(registry.list().unwrap()[0].seen, Some(seen));
        registry.remove("1").unwrap();
        registry.put(&known("1", "eco")).unwrap();
        assert_eq!(registry.list().unwrap()[0].seen, None);
    }

    #[test]
    fn what_is_put_is_listed_by_code_and_survives_reopening() {
        let (_temp, dir) = directory();
        let (registry, opened) = Registry::open(&dir).unwrap();
        assert_eq!(opened, Opened::New);
        registry.put(&known("2", "b")).unwrap();
        registry.put(&known("1", "a")).unwrap();
        registry.put(&known("1", "a")).unwrap();
        drop(registry);
        let (mut registry, opened) = Registry::open(&dir).unwrap();
        assert_eq!(opened, Opened::Existing);
        assert_eq!(registry.list().unwrap(), [known("1", "a"), known("2", "b")]);
        assert_eq!(registry.by_id("2").unwrap(), Some(known("2", "b")));
        assert_eq!(registry.by_code("a").unwrap(), [known("1", "a")]);
        registry.remove("2").unwrap();
        registry
            .replace_base("/srv/a/octonas", &[known("3", "c")])
            .unwrap();
        assert_eq!(registry.list().unwrap(), [known("3", "c")]);
        let mode = dir.stat(FILE).unwrap().unwrap().mode;
        assert_eq!(mode & 0o111, 0);
    }

    #[test]
    fn another_experiment_of_the_same_place_takes_it() {
        let (_temp, dir) = directory();
        let (registry, _) = Registry::open(&dir).unwrap();
        registry.put(&known("old", "a")).unwrap();
        registry.put(&known("new", "a")).unwrap();
        assert_eq!(registry.list().unwrap(), [known("new", "a")]);
    }

    #[test]
    fn a_damaged_registry_is_moved_aside_and_begun_anew() {
        let damages: [fn(&mut Vec<u8>); 4] = [
            |bytes| bytes[..100].fill(0x55),
            |bytes| bytes[100..].fill(0xAA),
            |bytes| bytes.truncate(5000),
            |bytes| {
                *bytes =
                    b"not a database at all, but long enough to be looked at as one ".repeat(90);
            },
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let (temp, dir) = directory();
            drop(Registry::open(&dir).unwrap().0.put(&known("1", "a")));
            let path = temp.path().join(FILE);
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            replace(&path, &bytes);
            let (registry, opened) = Registry::open(&dir).unwrap();
            assert_eq!(opened, Opened::Replaced, "damage {number}");
            assert_eq!(registry.list().unwrap(), []);
            registry.put(&known("1", "a")).unwrap();
            assert!(dir.stat(ASIDE).unwrap().is_some());
        }
    }

    #[allow(clippy::disallowed_methods)]
    fn replace(path: &std::path::Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_registry_of_a_newer_version_is_begun_anew() {
        let (_temp, dir) = directory();
        let (registry, _) = Registry::open(&dir).unwrap();
        registry
            .connection
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(registry);
        assert_eq!(Registry::open(&dir).unwrap().1, Opened::Replaced);
    }

    #[test]
    fn a_link_in_the_place_of_the_registry_is_not_followed() {
        let (temp, dir) = directory();
        let (_other, elsewhere) = directory();
        std::os::unix::fs::symlink(elsewhere.path().join("x"), temp.path().join(FILE)).unwrap();
        assert!(Registry::open(&dir).is_err());
        assert_eq!(elsewhere.entries().unwrap(), []);
    }

    #[test]
    fn the_migrations_fit_together() {
        MIGRATIONS.validate().unwrap();
    }
}
