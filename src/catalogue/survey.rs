//! What lies in an experiment, by names, sizes and times alone: one walk, nothing is opened but directories.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::error::Result;
use crate::sys::dir::{Dir, FileKind, Metadata};
use crate::sys::walk::Walk;

/// The most series that are told apart; the files of further ones are counted in [`Survey::ungrouped`].
pub const SERIES_MAX: usize = 1000;

/// The directories of an experiment that hold no data of its members.
const APART: [&str; 2] = ["metadata", "landing"];

/// How much there is, and from when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// Number of files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The earliest last change of a file.
    #[serde(serialize_with = "seconds")]
    pub oldest: Option<Timestamp>,
    /// The latest.
    #[serde(serialize_with = "seconds")]
    pub newest: Option<Timestamp>,
}

/// A directory of the first level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its name; empty for files beside the directories.
    pub name: String,
    /// What lies in it, at any depth.
    #[serde(flatten)]
    pub extent: Extent,
}

/// Files with the same extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Format {
    /// In lower case, without the dot; empty where a name has none.
    pub extension: String,
    /// How much.
    #[serde(flatten)]
    pub extent: Extent,
}

/// Files whose paths differ in numbers only: one a day, one a chamber, one a logger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Series {
    /// The path with every number as `#`: `raw/C#/C#_#-#-#.csv`.
    pub pattern: String,
    /// As in [`Format`].
    pub extension: String,
    /// How much.
    #[serde(flatten)]
    pub extent: Extent,
    /// At most three paths that stand for the others: the first and the last by name, and the newest.
    pub samples: Vec<String>,
}

/// The data of an experiment. `metadata/`, `landing/` and what begins with a dot are not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// All of it.
    pub total: Extent,
    /// By directory of the first level, by name.
    pub places: Vec<Place>,
    /// By extension, the largest number of bytes first.
    pub formats: Vec<Format>,
    /// By series, by pattern.
    pub series: Vec<Series>,
    /// Files of series beyond [`SERIES_MAX`].
    pub ungrouped: u64,
    /// Files whose names begin with a dot: not counted above.
    pub hidden: u64,
    /// Links, devices and the like: not counted above.
    pub special: u64,
    /// What could not be looked at.
    pub unreadable: u64,
}

impl Extent {
    fn add(&mut self, found: &Metadata) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(found.size);
        let when = found.modified;
        self.oldest = Some(self.oldest.map_or(when, |oldest| oldest.min(when)));
        self.newest = Some(self.newest.map_or(when, |newest| newest.max(when)));
    }
}

/// Walks an experiment's directory.
pub fn survey(experiment: &Dir) -> Result<Survey> {
    let mut tally = Tally::default();
    for entry in experiment.entries()? {
        let name = entry.name.to_string_lossy().into_owned();
        if APART.contains(&name.as_str()) {
            continue;
        }
        if name.starts_with('.') {
            tally.survey.hidden += u64::from(entry.kind == FileKind::File);
            continue;
        }
        match entry.kind {
            FileKind::Directory => {
                let Some(dir) = experiment.child(&entry.name)? else {
                    continue;
                };
                tally.places.entry(name.clone()).or_default();
                for found in Walk::new(&dir)? {
                    match found {
                        Ok(found) => tally.add(&name, &found.path, &found.metadata),
                        Err(_) => tally.survey.unreadable += 1,
                    }
                }
            }
            FileKind::File => {
                if let Some(metadata) = experiment.stat(&entry.name)? {
                    tally.add("", std::path::Path::new(&entry.name), &metadata);
                }
            }
            FileKind::Link | FileKind::Special => tally.survey.special += 1,
        }
    }
    Ok(tally.finish())
}

#[derive(Default)]
struct Tally {
    survey: Survey,
    places: BTreeMap<String, Extent>,
    formats: HashMap<String, Extent>,
    series: HashMap<String, Gathered>,
    /// What the pattern of a path is written into, again and again.
    pattern: String,
}

#[derive(Default)]
struct Gathered {
    extent: Extent,
    first: Option<String>,
    last: Option<String>,
    newest: Option<(Timestamp, String)>,
}

impl Tally {
    fn add(&mut self, top: &str, below: &std::path::Path, found: &Metadata) {
        if found.kind == FileKind::Directory {
            return;
        }
        // A name that is no text cannot stand for others in a document; it is counted all the same.
        let (text, is_text) = match below.to_str() {
            Some(text) => (std::borrow::Cow::Borrowed(text), true),
            None => (below.to_string_lossy(), false),
        };
        if text.split('/').any(|name| name.starts_with('.')) {
            self.survey.hidden += 1;
            return;
        }
        if found.kind != FileKind::File {
            self.survey.special += 1;
            return;
        }
        self.survey.total.add(found);
        add_to(&mut self.places, top, found);
        let name = text.rsplit('/').next().unwrap_or_default();
        let extension = extension(name);
        match self.formats.get_mut(extension.as_str()) {
            Some(extent) => extent.add(found),
            None => self.formats.entry(extension).or_default().add(found),
        }
        pattern_of(top, &text, &mut self.pattern);
        if !self.series.contains_key(self.pattern.as_str()) {
            if self.series.len() == SERIES_MAX {
                self.survey.ungrouped += 1;
                return;
            }
            self.series
                .insert(self.pattern.clone(), Gathered::default());
        }
        if let Some(gathered) = self.series.get_mut(self.pattern.as_str()) {
            gathered.extent.add(found);
            if is_text {
                gathered.sample(top, &text, found.modified);
            }
        }
    }

    fn finish(self) -> Survey {
        let mut survey = self.survey;
        survey.places = self
            .places
            .into_iter()
            .map(|(name, extent)| Place { name, extent })
            .collect();
        survey.formats = self
            .formats
            .into_iter()
            .map(|(extension, extent)| Format { extension, extent })
            .collect();
        survey
            .formats
            .sort_by(|a, b| (b.extent.bytes, &a.extension).cmp(&(a.extent.bytes, &b.extension)));
        survey.series = self
            .series
            .into_iter()
            .map(|(pattern, gathered)| gathered.series(pattern))
            .collect();
        survey.series.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        survey
    }
}

impl Gathered {
    fn sample(&mut self, top: &str, text: &str, when: Timestamp) {
        let path = || {
            if top.is_empty() {
                text.to_owned()
            } else {
                format!("{top}/{text}")
            }
        };
        let below = |kept: &String| {
            let cut = if top.is_empty() { 0 } else { top.len() + 1 };
            kept.get(cut..).unwrap_or_default().to_owned()
        };
        if self
            .first
            .as_ref()
            .is_none_or(|kept| text < below(kept).as_str())
        {
            self.first = Some(path());
        }
        if self
            .last
            .as_ref()
            .is_none_or(|kept| text > below(kept).as_str())
        {
            self.last = Some(path());
        }
        if self.newest.as_ref().is_none_or(|(kept, _)| when > *kept) {
            self.newest = Some((when, path()));
        }
    }

    fn series(self, pattern: String) -> Series {
        let mut samples: Vec<String> = [self.first, self.last, self.newest.map(|(_, path)| path)]
            .into_iter()
            .flatten()
            .collect();
        samples.sort();
        samples.dedup();
        let name = pattern.rsplit('/').next().unwrap_or_default();
        Series {
            extension: extension(name),
            extent: self.extent,
            samples,
            pattern,
        }
    }
}

fn add_to(map: &mut BTreeMap<String, Extent>, key: &str, found: &Metadata) {
    match map.get_mut(key) {
        Some(extent) => extent.add(found),
        None => map.entry(key.to_owned()).or_default().add(found),
    }
}

/// What follows the last dot, if it looks like an extension: one to eight letters and digits, not digits alone.
fn extension(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, end))
            if !stem.is_empty()
                && (1..=8).contains(&end.len())
                && end.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#')
                && end.bytes().any(|b| b.is_ascii_alphabetic()) =>
        {
            end.to_ascii_lowercase()
        }
        _ => String::new(),
    }
}

/// The path with every run of digits as `#`. The extension keeps its digits (`.nc4`, `.mp4`).
fn pattern_of(top: &str, below: &str, out: &mut String) {
    out.clear();
    if !top.is_empty() {
        out.push_str(top);
        out.push('/');
    }
    let name = below.rsplit('/').next().unwrap_or_default();
    let end = extension(name).len();
    let (variable, fixed) = below.split_at(if end == 0 {
        below.len()
    } else {
        below.len() - end
    });
    let mut in_number = false;
    for c in variable.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                out.push('#');
            }
            in_number = true;
        } else {
            out.push(c);
            in_number = false;
        }
    }
    out.push_str(fixed);
}

/// A time to the second, UTC; what is finer says nothing to a reader.
#[allow(clippy::ref_option)] // serde's signature
fn seconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = time.and_then(|time| Timestamp::from_second(time.as_second()).ok());
    match whole {
        Some(time) => serializer.collect_str(&time),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn experiment() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        (temp, dir)
    }

    #[allow(clippy::disallowed_methods)] // A test's files need no durability.
    fn file(temp: &tempfile::TempDir, path: &str, bytes: usize) {
        let path = temp.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; bytes]).unwrap();
    }

    #[test]
    fn files_are_counted_by_directory_format_and_series() {
        let (temp, dir) = experiment();
        for chamber in 1..=2 {
            for day in 1..=9 {
                file(
                    &temp,
                    &format!("raw/C{chamber}/C{chamber}_2026-03-0{day}.CSV"),
                    10,
                );
            }
        }
        file(&temp, "raw/run.nc4", 5);
        file(&temp, "notes", 1);
        file(&temp, "metadata/experiment.yaml", 1);
        file(&temp, "landing/plc/data/x.csv", 1);
        file(&temp, "raw/.DS_Store", 1);
        std::fs::create_dir(temp.path().join("processed")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("raw/link.csv")).unwrap();
        let found = survey(&dir).unwrap();
        assert_eq!((found.total.files, found.total.bytes), (20, 186));
        assert_eq!((found.hidden, found.special, found.unreadable), (1, 1, 0));
        let places: Vec<_> = found
            .places
            .iter()
            .map(|place| (place.name.as_str(), place.extent.files))
            .collect();
        assert_eq!(places, [("", 1), ("processed", 0), ("raw", 19)]);
        let formats: Vec<_> = found
            .formats
            .iter()
            .map(|format| (format.extension.as_str(), format.extent.bytes))
            .collect();
        assert_eq!(formats, [("csv", 180), ("nc4", 5), ("", 1)]);
        let series: Vec<_> = found
            .series
            .iter()
            .map(|series| (series.pattern.as_str(), series.extent.files))
            .collect();
        assert_eq!(
            series,
            [
                ("notes", 1),
                ("raw/C#/C#_#-#-#.CSV", 18),
                ("raw/run.nc4", 1)
            ]
        );
        let samples = &found.series[1].samples;
        assert!(
            samples.contains(&"raw/C1/C1_2026-03-01.CSV".to_owned()),
            "{samples:?}"
        );
        assert!(
            samples.contains(&"raw/C2/C2_2026-03-09.CSV".to_owned()),
            "{samples:?}"
        );
    }

    #[test]
    fn names_without_a_pattern_do_not_fill_the_memory() {
        let (temp, dir) = experiment();
        for i in 0..SERIES_MAX + 7 {
            let letters: String = i.to_string().bytes().map(|b| char::from(b + 49)).collect();
            file(&temp, &format!("raw/{letters}.txt"), 1);
        }
        let found = survey(&dir).unwrap();
        assert_eq!((found.series.len(), found.ungrouped), (SERIES_MAX, 7));
        assert_eq!(found.total.files, SERIES_MAX as u64 + 7);
    }

    #[test]
    fn a_name_that_is_no_text_is_counted_and_stands_for_nothing() {
        let (temp, dir) = experiment();
        std::fs::create_dir(temp.path().join("raw")).unwrap();
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.csv");
        std::fs::File::create_new(temp.path().join("raw").join(name)).unwrap();
        let found = survey(&dir).unwrap();
        assert_eq!(found.total.files, 1);
        assert_eq!(found.series[0].samples, Vec::<String>::new());
    }

    #[test]
    fn an_extension_is_short_and_has_a_letter() {
        for (name, expected) in [
            ("a.csv", "csv"),
            ("A.NetCDF", "netcdf"),
            ("a.nc4", "nc4"),
            ("a.2026", ""),
            ("2026.03.01", ""),
            ("a.tar.gz", "gz"),
            ("a.", ""),
            ("a", ""),
            ("a.très", ""),
            ("a.<script>", ""),
        ] {
            assert_eq!(extension(name), expected, "{name}");
        }
    }
}
