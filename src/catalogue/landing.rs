//! What lies in the landing of a source: what can be taken in, and what has to wait, and why. Reads names and sizes only.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::destination::{Destination, Place};
use super::names;
use crate::error::Result;
use crate::experiment::{RelPath, SourceId};
use crate::store::catalogue::Refusal;
use crate::sys::dir::{Dir, FileKind, Metadata};
use crate::sys::process;
use crate::sys::walk::Walk;

/// The most files that one look takes; the next one sees the rest.
pub const LIMIT: usize = 200_000;
/// For how many seconds a directory is empty before it is taken away, and how many go at once.
const EMPTY_FOR: i64 = 86_400;
const SWEEP_LIMIT: usize = 1000;
/// The directory of an experiment that holds the landings.
pub const LANDING: &str = "landing";
/// The largest checksum file.
const SUM_LIMIT: u64 = 8 << 10;

/// The landing of one source, open.
pub struct Landing {
    /// The source.
    pub source: SourceId,
    /// What it writes.
    pub data: Dir,
    /// The checksums that it writes.
    pub sums: Option<Dir>,
    /// What it is told.
    pub receipts: Option<Dir>,
    /// Where its data goes; `None` where the definition does not name the source, or the directory is not there.
    pub destination: Option<Destination>,
}

/// A file that can be taken in.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Path below `data/`.
    pub path: String,
    /// What it was when it was looked at.
    pub metadata: Metadata,
}

/// A file that has to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// The source.
    pub source: String,
    /// Path below `data/`; what is no text is shown with replacement characters.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// For how many seconds it has been lying there unchanged.
    pub age: i64,
    /// Why, as a code: `unfinished`, `growing`, `in-use`, `name-taken` …
    pub reason: &'static str,
    /// The same for people.
    pub detail: String,
}

/// What a landing holds.
#[derive(Debug, Default)]
pub struct Look {
    /// What can be taken in, by path.
    pub ready: Vec<Candidate>,
    /// What has to wait.
    pub pending: Vec<Pending>,
    /// True where more files lie there than one look takes.
    pub more: bool,
}

/// What a look depends on.
pub struct Terms<'a> {
    /// Now.
    pub now: Timestamp,
    /// How many seconds a file without a checksum must not have changed.
    pub stable: i64,
    /// What was refused before, by source and path.
    pub refusals: &'a BTreeMap<(String, String), Refusal>,
}

/// Opens the landings of an experiment: of every source of the definition, and of those that it named once. Sources
/// whose landing is not there are given back by name.
pub fn open(
    experiment: &Dir,
    sources: &[(SourceId, RelPath)],
) -> Result<(Vec<Landing>, Vec<SourceId>)> {
    let mut missing: Vec<SourceId> = sources.iter().map(|(id, _)| id.clone()).collect();
    let mut landings = Vec::new();
    let Some(top) = experiment.try_clone()?.confined().child(LANDING)? else {
        return Ok((landings, missing));
    };
    for entry in top.entries()? {
        let Some(source) = entry.name.to_str().and_then(|n| SourceId::parse(n).ok()) else {
            continue;
        };
        let Some(landing) = top.child(source.as_str())? else {
            continue;
        };
        let Some(data) = landing.child("data")? else {
            continue;
        };
        let into = sources.iter().find(|(id, _)| *id == source);
        missing.retain(|id| *id != source);
        landings.push(Landing {
            data,
            sums: landing.child("sums")?,
            receipts: landing.child("receipts")?,
            destination: match into {
                Some((_, into)) => Destination::open(experiment, into)?,
                None => None,
            },
            source,
        });
    }
    Ok((landings, missing))
}

impl Landing {
    /// Looks at everything that lies there. Changes nothing.
    pub fn look(&mut self, terms: &Terms<'_>) -> Result<Look> {
        let mut look = Look::default();
        let mut files: Vec<(Option<String>, std::path::PathBuf, Metadata)> = Vec::new();
        for found in Walk::new(&self.data)? {
            process::check_interrupted()?;
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    look.pending.push(self.unreadable(&error));
                    continue;
                }
            };
            if found.metadata.kind == FileKind::Directory {
                continue;
            }
            if files.len() == LIMIT {
                look.more = true;
                break;
            }
            let text = found.path.to_str().map(str::to_owned);
            files.push((text, found.path, found.metadata));
        }
        files.sort_by(|a, b| a.1.cmp(&b.1));
        for (text, path, metadata) in files {
            match self.judge(text.as_deref(), &metadata, terms)? {
                Ok(path) => look.ready.push(Candidate { path, metadata }),
                Err((reason, detail)) => look.pending.push(Pending {
                    age: self.age(reason, text.as_deref(), &metadata, terms),
                    source: self.source.to_string(),
                    path: path.to_string_lossy().into_owned(),
                    size: metadata.size,
                    reason,
                    detail,
                }),
            }
        }
        Ok(look)
    }

    /// For how long a file has been waiting: moving it back and forth changed it for the file system.
    fn age(&self, reason: &str, path: Option<&str>, metadata: &Metadata, terms: &Terms<'_>) -> i64 {
        let key = (self.source.to_string(), path.unwrap_or_default().to_owned());
        let since = terms
            .refusals
            .get(&key)
            .filter(|_| reason == "name-taken")
            .and_then(|known| known.since.parse::<Timestamp>().ok());
        match since {
            Some(since) => terms.now.as_second() - since.as_second(),
            None => age(metadata, terms.now),
        }
    }

    fn unreadable(&self, error: &crate::error::Error) -> Pending {
        Pending {
            source: self.source.to_string(),
            path: String::new(),
            size: 0,
            age: 0,
            reason: if error.code() == "tree.too-deep" {
                "too-deep"
            } else {
                "unreadable"
            },
            detail: error.to_string(),
        }
    }

    /// The path of a file that can be taken in, or why it has to wait.
    fn judge(
        &mut self,
        path: Option<&str>,
        metadata: &Metadata,
        terms: &Terms<'_>,
    ) -> Result<std::result::Result<String, (&'static str, String)>> {
        let wait = |reason, detail: &str| Ok(Err((reason, detail.to_owned())));
        let Some(path) = path else {
            return wait(
                "name-not-text",
                "its name is not UTF-8: rename it on the source",
            );
        };
        if is_unfinished(path) {
            return wait("unfinished", "its name says that it is not whole yet");
        }
        if metadata.kind != FileKind::File {
            return wait("not-a-file", "a link, FIFO or device is never taken in");
        }
        if metadata.links != 1 {
            return wait("linked", "it has other names: deliver a copy");
        }
        if !self.data.can_hold(metadata.size)? {
            return wait(
                "unreadable",
                "it claims more bytes than its disk holds: it is made of holes",
            );
        }
        if self.is_refused(path, metadata, terms)? {
            let place = self.destination.as_ref().map(|d| d.below(path));
            return wait("name-taken", &name_taken(&place.unwrap_or_default()));
        }
        let age = age(metadata, terms.now);
        if age < 0 {
            return wait(
                "clock",
                "it was changed in the future: the clock of the NAS went back",
            );
        }
        if age < terms.stable && !self.has_sum(path)? {
            let text = format!("it must not change for {} more seconds", terms.stable - age);
            return wait("growing", &text);
        }
        let Some(destination) = &mut self.destination else {
            return wait(
                "no-destination",
                "the definition does not say where it goes, or that directory is not there",
            );
        };
        match destination.look(path)? {
            Place::Free | Place::Occupied(_) => Ok(Ok(path.to_owned())),
            Place::Twin(other) => wait("name-twin", &twin(&destination.below(&other))),
            Place::Blocked(why) => wait("no-destination", &why),
        }
    }

    /// True for a file that was refused as it is now, and whose place is still taken.
    fn is_refused(&mut self, path: &str, metadata: &Metadata, terms: &Terms<'_>) -> Result<bool> {
        let known = terms
            .refusals
            .get(&(self.source.to_string(), path.to_owned()));
        let same = known.is_some_and(|known| {
            known.inode == metadata.ino
                && known.size == metadata.size
                && known.mtime_ns == nanoseconds(metadata)
        });
        match &mut self.destination {
            Some(destination) if same => Ok(matches!(destination.look(path)?, Place::Occupied(_))),
            _ => Ok(false),
        }
    }

    fn has_sum(&self, path: &str) -> Result<bool> {
        let Some(sums) = &self.sums else {
            return Ok(false);
        };
        let (above, name) = split(path);
        match below(sums, above)? {
            Some(dir) => Ok(dir
                .stat(format!("{name}.sha256"))
                .unwrap_or(None)
                .is_some_and(|found| found.kind == FileKind::File)),
            None => Ok(false),
        }
    }

    /// What the source says a file's checksum is.
    pub fn expected(&self, path: &str) -> Result<Expected> {
        let (above, name) = split(path);
        let Some(dir) = self
            .sums
            .as_ref()
            .map_or(Ok(None), |sums| below(sums, above))?
        else {
            return Ok(Expected::Nothing);
        };
        Ok(match dir.read(format!("{name}.sha256"), SUM_LIMIT) {
            Ok(None) => Expected::Nothing,
            Ok(Some(bytes)) => read_sum(&bytes, path).map_or(Expected::Nonsense, Expected::Sum),
            Err(error) if is_odd(&error) => Expected::Nonsense,
            Err(error) => return Err(error),
        })
    }

    /// Takes away directories that have been empty for a day: a tree of dates would grow for ever.
    pub fn sweep(&self, now: Timestamp) -> Result<()> {
        for top in [Some(&self.data), self.sums.as_ref()].into_iter().flatten() {
            let mut old = Vec::new();
            for found in Walk::new(top)?.flatten() {
                let is_old = age(&found.metadata, now) > EMPTY_FOR;
                if found.metadata.kind == FileKind::Directory && is_old && old.len() < SWEEP_LIMIT {
                    old.push(found.path);
                }
            }
            // What is below comes first.
            for path in old.iter().rev() {
                let above = path.parent().unwrap_or(Path::new(""));
                let Some(name) = path.file_name() else {
                    continue;
                };
                // Filled or moved meanwhile: then it is not ours to take away.
                if let Ok(Some(dir)) = top.open(above) {
                    let _ = dir.remove_dir(name);
                }
            }
        }
        Ok(())
    }

    /// Takes the checksum of a file away: it was compared. Something else that the source has put there since stays: it is no
    /// reason to stop.
    pub fn drop_sum(&self, path: &str) -> Result<()> {
        let (above, name) = split(path);
        let Some(sums) = &self.sums else {
            return Ok(());
        };
        let dropped = below(sums, above).and_then(|dir| match dir {
            Some(dir) => dir.drop_name(format!("{name}.sha256")).map(|_| ()),
            None => Ok(()),
        });
        match dropped {
            Err(error) if is_odd(&error) => Ok(()),
            other => other,
        }
    }
}

/// What a source says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// This SHA-256, in hexadecimal.
    Sum(String),
    /// Something that is no checksum of this file.
    Nonsense,
}

/// One line as `sha256sum` writes it, of this path or of the name alone.
fn read_sum(bytes: &[u8], path: &str) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (escaped, line) = line
        .strip_prefix('\\')
        .map_or((false, line), |rest| (true, rest));
    let (sum, name) = line.split_at_checked(64)?;
    let name = name
        .strip_prefix("  ")
        .or_else(|| name.strip_prefix(" *"))?;
    let name = if escaped {
        name.replace("\\n", "\n")
            .replace("\\r", "\r")
            .replace("\\\\", "\\")
    } else {
        name.to_owned()
    };
    let is_sum = sum.bytes().all(|b| b.is_ascii_hexdigit());
    let is_this = name == path || name == split(path).1;
    (is_sum && is_this).then(|| sum.to_ascii_lowercase())
}

/// Directory and name of a path.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A directory beneath one that somebody else owns: what is no directory there is none.
pub fn below(dir: &Dir, path: &str) -> Result<Option<Dir>> {
    match dir.open(Path::new(path)) {
        Err(error) if is_odd(&error) => Ok(None),
        other => other,
    }
}

/// Something else stands where a directory or file should: whoever owns the tree may do that.
pub fn is_odd(error: &crate::error::Error) -> bool {
    matches!(
        error.code(),
        "path.link" | "path.not-directory" | "path.not-regular" | "path.mount" | "file.too-large"
    )
}

/// True for what a source has not finished yet.
fn is_unfinished(path: &str) -> bool {
    path.split('/').any(|name| {
        name.starts_with('.') || Path::new(name).extension().is_some_and(|end| end == "part")
    })
}

fn age(metadata: &Metadata, now: Timestamp) -> i64 {
    now.as_second() - metadata.changed.as_second()
}

/// Last change of content, nanoseconds since 1970.
pub fn nanoseconds(metadata: &Metadata) -> i64 {
    i64::try_from(metadata.modified.as_nanosecond()).unwrap_or(0)
}

/// Why a file has to wait whose place is taken.
pub fn name_taken(place: &str) -> String {
    format!("another file lies at {place}: move one of them, or rename this one on the source")
}

/// Why a file has to wait whose name has a twin.
pub fn twin(other: &str) -> String {
    format!("{other} differs only in case, accents or a dot: Windows and macOS cannot keep both")
}

/// What is wrong with the name of a file that is taken in all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Path below the experiment.
    pub path: String,
    /// `name.percent` …
    pub code: &'static str,
    /// For people.
    pub text: String,
}

/// The warnings of a path.
pub fn warnings(place: &str, path: &str) -> Vec<Warning> {
    names::warnings(path)
        .into_iter()
        .map(|code| Warning {
            path: place.to_owned(),
            code,
            text: names::explain(code).to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_one_line_of_this_file() {
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for good in [
            format!("{sum}  a/b.csv\n"),
            format!("{sum}  a/b.csv"),
            format!("{sum} *a/b.csv\r\n"),
            format!("{}  b.csv\n", sum.to_uppercase()),
        ] {
            assert_eq!(
                read_sum(good.as_bytes(), "a/b.csv").as_deref(),
                Some(sum),
                "{good:?}"
            );
        }
        let escaped = format!("\\{sum}  a\\nb\n");
        assert_eq!(read_sum(escaped.as_bytes(), "a\nb").as_deref(), Some(sum));
        for bad in [
            String::new(),
            sum.to_owned(),
            format!("{sum}  c.csv\n"),
            format!("{sum} a/b.csv\n"),
            format!("{sum}  a/b.csv\n{sum}  c\n"),
            format!("{}  a/b.csv\n", &sum[1..]),
            format!("{}  a/b.csv\n", sum.replace('b', "x")),
            "é".repeat(64),
        ] {
            assert_eq!(read_sum(bad.as_bytes(), "a/b.csv"), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_whole_yet_says_so_by_its_name() {
        for (path, unfinished) in [
            ("a.csv", false),
            ("a.csv.part", true),
            (".a", true),
            ("d/.tmp/a", true),
            ("d.part/a", true),
            ("part", false),
            ("a.party", false),
        ] {
            assert_eq!(is_unfinished(path), unfinished, "{path}");
        }
    }
}
