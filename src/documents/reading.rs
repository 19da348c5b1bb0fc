//! How a program reads this experiment's own files: the dialect that the probe found, in the words of Python and R.

use serde::Serialize;

use super::dictionary::{Described, Dictionary, Table};
use super::facts::Facts;
use crate::content::DayFirst;

/// What the examples of the access guide are made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Reading {
    /// The largest series of tables.
    pub table: Option<TableReading>,
    /// The largest series of `NetCDF` files.
    pub dataset: Option<FileReading>,
    /// There is an example at all.
    pub any: bool,
}

/// Files that are read alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileReading {
    /// One of them.
    pub sample: String,
    /// All of them, for glob(7).
    pub glob: String,
    /// There are others.
    pub several: bool,
    /// The first variable that is neither time nor coordinate.
    pub variable: Option<String>,
}

/// Tables that are read alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableReading {
    /// Which files.
    #[serde(flatten)]
    pub file: FileReading,
    /// What separates columns.
    pub delimiter: String,
    /// `.` or `,`.
    pub decimal: String,
    /// As Python's codecs call it.
    pub python_encoding: &'static str,
    /// As R's `file` calls it.
    pub r_encoding: &'static str,
    /// Lines before the names.
    pub skip: u64,
    /// A line holds the names of the columns.
    pub header: bool,
    /// How many columns, where no line holds their names.
    pub columns: u64,
    /// The column of times.
    pub time: Option<TimeReading>,
}

/// A column of times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeReading {
    /// Its place, from 0.
    pub index: u64,
    /// The same from 1.
    pub place: u64,
    /// The place of the time of day, from 0, where the date stands apart.
    pub second_index: Option<u64>,
    /// The same from 1.
    pub second_place: Option<u64>,
    /// In the letters of strftime(3).
    pub format: String,
    /// The format says the offset from UTC.
    pub has_offset: bool,
    /// No file tells whether the day or the month stands first.
    pub ambiguous: bool,
    /// Of the source that delivers these files, where it is declared.
    pub timezone: Option<String>,
}

/// Chooses the examples.
pub fn examples(facts: &Facts, dictionary: &Dictionary) -> Reading {
    let largest = |wanted: &dyn Fn(&Described) -> bool| {
        dictionary
            .series
            .iter()
            .filter(|series| wanted(series))
            .max_by_key(|series| series.extent.bytes)
    };
    let table = largest(&|series| {
        series
            .table
            .as_ref()
            .is_some_and(|table| !table.delimiter.is_empty() && !table.columns.is_empty())
    })
    .and_then(|series| Some(table_reading(facts, series, series.table.as_ref()?)));
    let dataset = largest(&|series| series.dataset.is_some()).map(|series| {
        let variables = series.dataset.iter().flat_map(|dataset| &dataset.variables);
        file_reading(
            series,
            variables.map(|each| (each.name.as_str(), each.role)),
        )
    });
    Reading {
        any: table.is_some() || dataset.is_some(),
        table,
        dataset,
    }
}

fn file_reading<'e>(
    series: &Described,
    mut entries: impl Iterator<Item = (&'e str, &'e str)>,
) -> FileReading {
    FileReading {
        sample: series.sample.clone(),
        glob: glob(&series.pattern),
        several: series.extent.files > 1,
        variable: entries
            .find(|(_, role)| !matches!(*role, "time" | "coordinate"))
            .map(|(name, _)| name.to_owned()),
    }
}

fn table_reading(facts: &Facts, series: &Described, table: &Table) -> TableReading {
    let (python_encoding, r_encoding) = match (table.encoding.as_str(), table.bom) {
        ("windows-1252", _) => ("cp1252", "windows-1252"),
        ("utf-16le" | "utf-16be", true) => ("utf-16", "UTF-16"),
        ("utf-16le", false) => ("utf-16-le", "UTF-16LE"),
        ("utf-16be", false) => ("utf-16-be", "UTF-16BE"),
        (_, true) => ("utf-8-sig", "UTF-8-BOM"),
        (_, false) => ("utf-8", "UTF-8"),
    };
    let columns = table.columns.iter();
    TableReading {
        file: file_reading(series, columns.map(|each| (each.name.as_str(), each.role))),
        delimiter: table.delimiter.clone(),
        decimal: table.decimal.clone(),
        python_encoding,
        r_encoding,
        skip: table.header_line.map_or(0, |line| line.saturating_sub(1)),
        header: table.header_line.is_some(),
        columns: table.columns.len() as u64 + table.more,
        time: time_reading(facts, series, table),
    }
}

fn time_reading(facts: &Facts, series: &Described, table: &Table) -> Option<TimeReading> {
    let time = table.time.as_ref()?;
    let mut names = time.column.split(" + ");
    let place = |name: &str| {
        let at = table
            .columns
            .iter()
            .position(|column| column.name == name)?;
        Some(at as u64)
    };
    // A name may hold ` + ` itself.
    let (index, second) = match (place(&time.column), names.next(), names.next()) {
        (Some(index), _, _) => (index, None),
        (None, Some(first), Some(second)) => (place(first)?, Some(place(second)?)),
        _ => return None,
    };
    // Numbers of seconds or days since some day are left as numbers.
    if !time.format.contains('%') || time.format.contains("%s") {
        return None;
    }
    Some(TimeReading {
        index,
        place: index + 1,
        second_index: second,
        second_place: second.map(|second| second + 1),
        has_offset: time.format.contains("%z") || time.format.ends_with('Z'),
        format: time.format.clone(),
        ambiguous: time.day_first == DayFirst::Ambiguous,
        timezone: facts
            .sources
            .iter()
            .find(|source| {
                series
                    .sample
                    .strip_prefix(&source.into)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|source| source.timezone.clone()),
    })
}

/// A pattern of a survey as glob(7) has it: every number is a digit and anything.
fn glob(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    for c in pattern.chars() {
        match c {
            '#' => out.push_str("[0-9]*"),
            '*' | '?' | '[' => {
                out.push('[');
                out.push(c);
                out.push(']');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_pattern_is_a_glob_that_finds_its_files() {
        assert_eq!(
            super::glob("raw/C#/a[1]*?.csv"),
            "raw/C[0-9]*/a[[]1][*][?].csv"
        );
    }
}
