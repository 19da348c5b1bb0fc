//! What probes found in files, and in which words it is looked for.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::rows::{FileRow, folder_id};
use super::{Catalogue, failed, number, unsigned};
use crate::content::Contents;
use crate::error::Result;
use crate::store::pathname;
use crate::sys::fault;

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

impl Catalogue {
    /// Enters what a probe found in a file that was so large and so old. A file that is not known yet is entered.
    pub fn set_probed(&self, path: &str, probed: &Probed) -> Result<()> {
        fault::point("sql")?;
        let row = FileRow {
            path: path.to_owned(),
            ..FileRow::default()
        };
        set_probed(&self.connection, &row, probed).map_err(|e| failed("write", e))
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
                "SELECT contents.format, count(*), sum(entries.size) FROM entries \
                 LEFT JOIN contents USING (folder, name) GROUP BY 1 ORDER BY 3 DESC, 1",
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
}

pub(super) fn set_probed(
    connection: &Connection,
    row: &FileRow,
    probed: &Probed,
) -> rusqlite::Result<()> {
    let (folder, name) = pathname::split(&row.path);
    let folder = folder_id(connection, folder)?;
    connection
        .prepare_cached(
            "INSERT INTO entries (folder, name, size, mtime_ns) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![folder, name, number(probed.size), probed.mtime_ns])?;
    let contents = serde_json::from_str::<Contents>(&probed.contents).ok();
    let contents = contents.as_ref();
    let coverage = contents.and_then(Contents::coverage);
    let set = match contents.map(Contents::variables) {
        Some(names) if !names.is_empty() => Some(variable_set(connection, &names)?),
        _ => None,
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO contents (folder, name, size, mtime_ns, format, first, last, variables, json) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            folder,
            name,
            number(probed.size),
            probed.mtime_ns,
            contents.map(|contents| contents.format.name()),
            coverage.map(|(first, _)| first),
            coverage.map(|(_, last)| last),
            set,
            probed.contents,
        ])
        .map(drop)
}

/// The number of a set of names of variables: files of one logger have the same.
fn variable_set(connection: &Connection, names: &[&str]) -> rusqlite::Result<i64> {
    let text = format!("\n{}\n", names.join("\n"));
    let known = connection
        .prepare_cached("SELECT id FROM variable_sets WHERE names = ?1")?
        .query_row([&text], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => connection
            .prepare_cached("INSERT INTO variable_sets (names) VALUES (?1) RETURNING id")?
            .query_row([&text], |row| row.get(0)),
    }
}
