//! Files of landings that were refused and lie there still.

use rusqlite::params;
use serde::Serialize;

use super::{Catalogue, failed, number, unsigned};
use crate::error::Result;
use crate::sys::fault;

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

impl Catalogue {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::catalogue::tests::base;

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
}
