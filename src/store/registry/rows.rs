//! What the registry knows of an experiment, and how it stands in its tables.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

/// What is known of an experiment without looking at its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Its id.
    pub id: String,
    /// Its code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Its status.
    pub status: String,
    /// Absolute path of its base.
    pub base: String,
    /// SHA-256 of its definition.
    pub digest: String,
    /// Who is responsible, for people.
    pub responsible: String,
    /// When this was last seen on the disk (RFC 3339, UTC).
    pub seen_at: String,
    /// Accounts with access, and the last day of it where it ends: who may see it in a list. Nothing where it is not
    /// known yet.
    #[serde(skip)]
    pub members: Option<Vec<(String, Option<String>)>>,
    /// What the last check found; nothing where none was made.
    #[serde(flatten)]
    pub seen: Option<Seen>,
    /// What is set for the night.
    pub tonight: Option<Tonight>,
}

/// What is set for the night for an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tonight {
    /// Which.
    #[serde(skip)]
    pub code: String,
    /// `edit`, `close` …
    pub operation: String,
    /// `waiting`, `begun` or `failed`.
    pub state: String,
    /// Not before (RFC 3339, UTC).
    pub due: String,
}

/// What a check found of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// `in-order`, `pending`, `drifted` or `failed`.
    pub state: String,
    /// Number of files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What they are expected to need, in bytes.
    pub quota: Option<u64>,
    /// The last change of a file (RFC 3339, UTC).
    pub newest: Option<String>,
    /// When it was checked (RFC 3339, UTC).
    pub checked_at: String,
}

pub(super) const SELECT: &str = "SELECT id, code, title, status, base, digest, responsible, seen_at, members, \
     seen.state, files, bytes, quota, newest, checked_at, tonight.operation, tonight.state, tonight.due \
     FROM experiment LEFT JOIN seen USING (id) LEFT JOIN tonight USING (base, code)";

pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        id: row.get(0)?,
        code: row.get(1)?,
        title: row.get(2)?,
        status: row.get(3)?,
        base: row.get(4)?,
        digest: row.get(5)?,
        responsible: row.get(6)?,
        seen_at: row.get(7)?,
        // What cannot be read is not known.
        members: row
            .get::<_, Option<String>>(8)?
            .and_then(|text| serde_json::from_str(&text).ok()),
        seen: seen(row)?,
        tonight: tonight(row)?,
    })
}

fn tonight(row: &Row<'_>) -> rusqlite::Result<Option<Tonight>> {
    let Some(operation) = row.get(15)? else {
        return Ok(None);
    };
    Ok(Some(Tonight {
        code: row.get(1)?,
        operation,
        state: row.get(16)?,
        due: row.get(17)?,
    }))
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Option<Seen>> {
    let Some(state) = row.get(9)? else {
        return Ok(None);
    };
    let number = |value: i64| u64::try_from(value).unwrap_or_default();
    Ok(Some(Seen {
        state,
        files: number(row.get(10)?),
        bytes: number(row.get(11)?),
        quota: row.get::<_, Option<i64>>(12)?.map(number),
        newest: row.get(13)?,
        checked_at: row.get(14)?,
    }))
}

/// The newest entry wins: an experiment that was moved, or whose place another one has now, stands there once.
pub(super) fn put(connection: &Connection, known: &Known) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO experiment \
             (id, code, title, status, base, digest, responsible, seen_at, members) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            known.id,
            known.code,
            known.title,
            known.status,
            known.base,
            known.digest,
            known.responsible,
            known.seen_at,
            known
                .members
                .as_ref()
                .and_then(|members| serde_json::to_string(members).ok())
        ])
        .map(drop)
}
