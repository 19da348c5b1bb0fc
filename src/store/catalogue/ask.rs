//! What people ask of the index: a folder, a file, a search; page by page.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use serde::Serialize;

use super::{Catalogue, failed, unsigned};
use crate::error::Result;
use crate::store::{hexadecimal, pathname};

/// The most sets of variables that a search looks into.
const SETS: u32 = 2000;

/// A file, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Path below the experiment.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Last change of content (RFC 3339, UTC).
    pub modified: String,
    /// SHA-256 in hexadecimal; `None` where nobody has read it yet.
    pub sha256: Option<String>,
    /// Last good check (RFC 3339, UTC).
    pub checked: Option<String>,
    /// Nobody may change it.
    pub sealed: bool,
    /// What was found wrong with it.
    pub state: Option<String>,
    /// The source that delivered it.
    pub source: Option<String>,
    /// As the probe names it.
    pub format: Option<String>,
    /// The time that its data covers.
    pub first: Option<String>,
    /// See `first`.
    pub last: Option<String>,
}

/// A folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// Path below the experiment.
    pub path: String,
    /// Files in it when it was last looked through, not those below.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// A page of a folder: the folders in it come first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Folders.
    pub folders: Vec<Folder>,
    /// Files.
    pub files: Vec<File>,
    /// What to ask for as `after` to get the next page; `None` where this is the last.
    pub next: Option<String>,
}

/// What to look for; everything that is said must be true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A part of the path, whatever the case; with `*`, `?` or `[` a pattern for the whole path.
    pub path: Option<String>,
    /// As the probe names it.
    pub format: Option<String>,
    /// The name of a variable or column, whatever the case.
    pub variable: Option<String>,
    /// Data of this time or later (`YYYY-MM-DD` or longer).
    pub from: Option<String>,
    /// Data of this time or earlier.
    pub to: Option<String>,
    /// The source that delivered it.
    pub source: Option<String>,
    /// `damage`, `loss`, `silent-change`.
    pub state: Option<String>,
}

/// Something that happened to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When (RFC 3339, UTC).
    pub time: String,
    /// `changed`, `gone`, `moved`, `sealed`, …
    pub what: String,
    /// What it held until then.
    pub sha256: Option<String>,
    /// Bytes that it had until then.
    pub size: Option<u64>,
    /// Where it was moved to.
    pub other: Option<String>,
}

const FILE: &str = "SELECT folders.path, entries.name, entries.size, entries.mtime_ns, entries.sha256, entries.checked, \
                    entries.sealed, entries.state, entries.source, contents.format, contents.first, contents.last, \
                    entries.folder";

/// A time from seconds since 1970; `None` for none.
pub(super) fn instant(seconds: i64) -> Option<String> {
    (seconds != 0)
        .then(|| Timestamp::from_second(seconds).ok())
        .flatten()
        .map(|time| time.to_string())
}

fn file(row: &Row<'_>) -> rusqlite::Result<File> {
    let modified: i64 = row.get(3)?;
    let modified = Timestamp::from_nanosecond(i128::from(modified)).unwrap_or_default();
    Ok(File {
        path: pathname::join(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?),
        size: unsigned(row.get(2)?),
        modified: Timestamp::from_second(modified.as_second())
            .unwrap_or(modified)
            .to_string(),
        sha256: row
            .get::<_, Option<Vec<u8>>>(4)?
            .map(|sum| hexadecimal(&sum)),
        checked: instant(row.get(5)?),
        sealed: row.get(6)?,
        state: row.get(7)?,
        source: row.get(8)?,
        format: row.get(9)?,
        first: row.get(10)?,
        last: row.get(11)?,
    })
}

impl Catalogue {
    /// One page of a folder: at most `limit` folders and files, after what `after` names (a folder with a slash at its end).
    /// `None` where there is no such folder.
    pub fn page(&self, folder: &str, after: Option<&str>, limit: usize) -> Result<Option<Page>> {
        self.read_page(folder, after, limit)
            .map_err(|e| failed("read", e))
    }

    fn read_page(
        &self,
        folder: &str,
        after: Option<&str>,
        limit: usize,
    ) -> rusqlite::Result<Option<Page>> {
        let Some(id) = super::entries::id_of(&self.connection, folder)? else {
            return Ok(None);
        };
        let mut page = Page::default();
        let more = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let files_after = after.filter(|after| !after.ends_with('/'));
        if files_after.is_none() {
            let after = after.map_or(String::new(), |name| {
                pathname::join(folder, name.trim_end_matches('/'))
            });
            let mut statement = self.connection.prepare_cached(
                "SELECT path, files, bytes FROM folders WHERE parent = ?1 AND path > ?2 ORDER BY path LIMIT ?3",
            )?;
            let rows = statement.query_map(params![id, after, more], |row| {
                Ok(Folder {
                    path: row.get(0)?,
                    files: unsigned(row.get(1)?),
                    bytes: unsigned(row.get(2)?),
                })
            })?;
            page.folders = rows.collect::<rusqlite::Result<_>>()?;
            if page.folders.len() > limit {
                page.folders.truncate(limit);
                page.next = page
                    .folders
                    .last()
                    .map(|last| format!("{}/", pathname::split(&last.path).1));
                return Ok(Some(page));
            }
        }
        let more = more - i64::try_from(page.folders.len()).unwrap_or(0);
        let mut statement = self.connection.prepare_cached(&format!(
            "{FILE} FROM entries JOIN folders ON folders.id = entries.folder LEFT JOIN contents USING (folder, name) \
             WHERE entries.folder = ?1 AND entries.name > ?2 ORDER BY entries.name LIMIT ?3"
        ))?;
        let rows = statement.query_map(params![id, files_after.unwrap_or_default(), more], file)?;
        page.files = rows.collect::<rusqlite::Result<_>>()?;
        if page.folders.len() + page.files.len() > limit {
            page.files.pop();
            let last = page.files.last().map(|last| &last.path);
            page.next = match (last, page.folders.last()) {
                (Some(file), _) => Some(pathname::split(file).1.to_owned()),
                (None, Some(folder)) => Some(format!("{}/", pathname::split(&folder.path).1)),
                (None, None) => None,
            };
        }
        Ok(Some(page))
    }

    /// One file.
    pub fn file(&self, path: &str) -> Result<Option<File>> {
        let (folder, name) = pathname::split(path);
        self.connection
            .prepare_cached(&format!(
                "{FILE} FROM entries JOIN folders ON folders.id = entries.folder LEFT JOIN contents USING (folder, name) \
                 WHERE folders.path = ?1 AND entries.name = ?2"
            ))
            .and_then(|mut statement| statement.query_row([folder, name], file).optional())
            .map_err(|e| failed("read", e))
    }

    /// What happened to a file, oldest first.
    pub fn history(&self, path: &str) -> Result<Vec<Event>> {
        let read = || -> rusqlite::Result<Vec<Event>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT time, what, sha256, size, other FROM history WHERE path = ?1 ORDER BY time, mark LIMIT 1000",
            )?;
            let rows = statement.query_map([path], |row| {
                Ok(Event {
                    time: row.get(0)?,
                    what: row.get(1)?,
                    sha256: row
                        .get::<_, Option<Vec<u8>>>(2)?
                        .map(|sum| hexadecimal(&sum)),
                    size: row.get::<_, Option<i64>>(3)?.map(unsigned),
                    other: row.get(4)?,
                })
            })?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }

    /// Files as they are wanted, at most `limit`, after the path `after`.
    pub fn search(&self, wanted: &Wanted, after: Option<&str>, limit: usize) -> Result<Page> {
        self.read_search(wanted, after, limit)
            .map_err(|e| failed("read", e))
    }

    fn read_search(
        &self,
        wanted: &Wanted,
        after: Option<&str>,
        limit: usize,
    ) -> rusqlite::Result<Page> {
        let start = match after {
            Some(after) => {
                let (folder, name) = pathname::split(after);
                let id = super::entries::id_of(&self.connection, folder)?.unwrap_or(i64::MAX);
                (id, name.to_owned())
            }
            None => (i64::MIN, String::new()),
        };
        let mut found: Vec<(i64, File)> = Vec::new();
        if let Some(variable) = &wanted.variable {
            // One set after the other, each in its order, so that no page sorts everything.
            for set in sets(&self.connection, variable)? {
                found.extend(self.some(wanted, Some(set), &start, limit)?);
            }
            found.sort_by(|(a, x), (b, y)| (a, &x.path).cmp(&(b, &y.path)));
        } else {
            found = self.some(wanted, None, &start, limit)?;
        }
        let next = (found.len() > limit).then(|| found.truncate(limit));
        let files: Vec<File> = found.into_iter().map(|(_, file)| file).collect();
        Ok(Page {
            next: next.and_then(|()| files.last().map(|file| file.path.clone())),
            files,
            folders: Vec::new(),
        })
    }

    /// What is wanted among files of one set of variables, or of all.
    fn some(
        &self,
        wanted: &Wanted,
        set: Option<i64>,
        start: &(i64, String),
        limit: usize,
    ) -> rusqlite::Result<Vec<(i64, File)>> {
        let mut terms: Vec<&str> = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        let mut add = |term, value: Value| {
            terms.push(term);
            values.push(value);
        };
        let of_contents = set.is_some() || wanted.format.is_some();
        if let Some(set) = set {
            add("contents.variables = ?", set.into());
        }
        if let Some(format) = &wanted.format {
            add("contents.format = ?", format.clone().into());
        }
        if let Some(from) = &wanted.from {
            add("contents.last >= ?", from.clone().into());
        }
        if let Some(to) = &wanted.to {
            // The whole day is meant.
            add("contents.first < ? || '\u{7f}'", to.clone().into());
        }
        if let Some(source) = &wanted.source {
            add("entries.source = ?", source.clone().into());
        }
        if let Some(state) = &wanted.state {
            add("entries.state = ?", state.clone().into());
        }
        if let Some(path) = &wanted.path {
            if path.contains(['*', '?', '[']) {
                add(
                    "iif(folders.path = '', entries.name, folders.path || '/' || entries.name) GLOB ?",
                    path.clone().into(),
                );
                if let Some((end, reach)) = ends(path) {
                    terms.push(
                        "(entries.name GLOB ? OR entries.folder IN (SELECT id FROM folders WHERE path || '/' GLOB ?))",
                    );
                    values.extend([end.into(), reach.into()]);
                }
            } else if path.contains('/') {
                add(
                    "folders.path || '/' || entries.name LIKE ? ESCAPE '\\'",
                    like(path).into(),
                );
            } else {
                add(
                    "(entries.name LIKE ? ESCAPE '\\' OR entries.folder IN (SELECT id FROM folders WHERE path LIKE ? ESCAPE '\\'))",
                    like(path).into(),
                );
                values.push(like(path).into());
            }
        }
        // The order of the rows is that of the table (or of the index of one format or set), so a page ends early.
        let (from, place) = if of_contents {
            (
                "contents CROSS JOIN entries USING (folder, name)",
                "(contents.folder, contents.name)",
            )
        } else {
            (
                "entries LEFT JOIN contents USING (folder, name)",
                "(entries.folder, entries.name)",
            )
        };
        terms.push("(1)");
        let order = place.trim_matches(['(', ')']);
        let text = format!(
            "{FILE} FROM {from} CROSS JOIN folders ON folders.id = entries.folder WHERE {} AND {place} > (?, ?) \
             ORDER BY {order} LIMIT ?",
            terms.join(" AND ")
        );
        values.extend([
            start.0.into(),
            start.1.clone().into(),
            i64::try_from(limit)
                .unwrap_or(1000)
                .saturating_add(1)
                .into(),
        ]);
        let mut statement = self.connection.prepare_cached(&text)?;
        let rows = statement.query_map(params_from_iter(values), |row| {
            Ok((row.get(12)?, file(row)?))
        })?;
        rows.collect()
    }

    /// Files that no probe has looked into as they are now, after `after`: path, size and time.
    pub fn unprobed(&self, after: Option<&str>, limit: u32) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let (folder, name) = pathname::split(after.unwrap_or_default());
            let start = match after {
                Some(_) => super::entries::id_of(&self.connection, folder)?.unwrap_or(i64::MAX),
                None => i64::MIN,
            };
            let mut statement = self.connection.prepare_cached(
                "SELECT folders.path, entries.name FROM entries LEFT JOIN contents USING (folder, name) \
                 CROSS JOIN folders ON folders.id = entries.folder \
                 WHERE (contents.size IS NULL OR contents.size <> entries.size OR contents.mtime_ns <> entries.mtime_ns) \
                 AND (entries.folder, entries.name) > (?1, ?2) ORDER BY entries.folder, entries.name LIMIT ?3",
            )?;
            let rows = statement.query_map(params![start, name, limit], |row| {
                Ok(pathname::join(
                    row.get_ref(0)?.as_str()?,
                    row.get_ref(1)?.as_str()?,
                ))
            })?;
            rows.collect()
        };
        read().map_err(|e| failed("read", e))
    }
}

/// The sets in which a variable is.
fn sets(connection: &Connection, variable: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection
        .prepare_cached("SELECT id FROM variable_sets WHERE names LIKE ?1 ESCAPE '\\' LIMIT ?2")?;
    let exact = like(variable);
    let exact = format!("%\n{}\n%", &exact[1..exact.len() - 1]);
    let rows = statement.query_map(params![exact, SETS], |row| row.get(0))?;
    rows.collect()
}

/// What contains a text, for LIKE.
fn like(text: &str) -> String {
    let mut out = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

/// What has to be true of a path that matches a pattern, and costs less to try: its name matches the first one, or (a `*`
/// goes over `/`, too) its folder with a `/` behind it matches the second one.
fn ends(pattern: &str) -> Option<(String, String)> {
    if pattern.contains('[') {
        return None;
    }
    let (before, end) = pattern.rsplit_once('/')?;
    let literal = end.split(['*', '?']).next().unwrap_or_default();
    Some((end.to_owned(), format!("{before}/{literal}*")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{base, row};
    use super::*;

    /// The shorter way finds what `GLOB` over whole paths finds, also where a `*` goes over a `/`.
    #[test]
    fn a_pattern_is_one_for_the_whole_path() {
        let (_temp, base, id) = base();
        let mut index = Catalogue::open(&base, &id).unwrap();
        let paths = [
            "x.csv",
            "raw/x.csv",
            "raw/a/x1.csv",
            "raw/a/x1/y.csv",
            "raw/a/x1/z.txt",
            "raw/ax/x/y.csv",
            "raw/x/b/c.csv",
            "raw/a/[x].csv",
            "raw/a?b/x.csv",
            "processed/x1.csv",
            "raw/x1",
            "raw/xy/",
        ];
        let rows: Vec<_> = paths
            .iter()
            .filter(|path| !path.ends_with('/'))
            .map(|path| row(path, 1))
            .collect();
        index.put(&rows).unwrap();
        for pattern in [
            "*",
            "*.csv",
            "raw/*",
            "raw/x*",
            "raw/*/x*.csv",
            "raw/*/x*",
            "raw/a/x?/y.csv",
            "raw/a/x1?y.csv",
            "*/x*.csv",
            "raw/a/*",
            "raw*csv",
            "raw/[ax]*",
            "raw/a/[[]x].csv",
            "raw/?/x*",
            "*/y.csv",
            "raw/a*/*/y*",
            "x*",
            "nothing/*",
            "raw/*/",
            "*/",
        ] {
            let wanted = Wanted {
                path: Some(pattern.into()),
                ..Wanted::default()
            };
            let page = index.search(&wanted, None, 100).unwrap();
            let mut found: Vec<String> = page.files.into_iter().map(|file| file.path).collect();
            found.sort();
            let mut whole: Vec<String> = rows
                .iter()
                .map(|row| row.path.clone())
                .filter(|path| {
                    let glob = "SELECT ?1 GLOB ?2";
                    index
                        .connection
                        .query_row(glob, [path.as_str(), pattern], |row| row.get(0))
                        .unwrap()
                })
                .collect();
            whole.sort();
            assert_eq!(found, whole, "{pattern}");
        }
    }
}
