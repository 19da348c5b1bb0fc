//! The files of an experiment as the index has them: what is known of each, one row a file, and what came in from where.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::{Catalogue, Probed, contents, failed, number, unsigned};
use crate::error::Result;
use crate::store::{hexadecimal, pathname};

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

pub(super) const SELECT: &str = "SELECT folders.path, entries.name, entries.size, entries.mtime_ns, entries.sha256, \
                      entries.source, entries.received, contents.size, contents.mtime_ns, contents.json FROM entries \
                      JOIN folders ON folders.id = entries.folder LEFT JOIN contents USING (folder, name)";

impl Catalogue {
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
}

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
pub(super) fn folder_id(connection: &Connection, path: &str) -> rusqlite::Result<i64> {
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
pub(super) fn checksum(hex: &str) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Contents;
    use crate::store::catalogue::tests::{base, row};

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
}
