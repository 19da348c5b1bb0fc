//! The data dictionary: what is declared to be measured, beside what was found in the files, and where the two disagree.
//! Pure: the definition's variables and the probe's findings in, rows for a template out.

use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::{Facts, Variable};
use crate::catalogue::survey::{Extent, Series};
use crate::content::{Column, Contents, Finding, Image, Logger, TimeColumn};

mod conflict;
mod named;

pub use conflict::Conflict;
use conflict::clashes;
use named::{Named, declaration, declared_as, is_time, named};

/// The most columns of a table, or variables of a dataset, that are shown.
pub const COLUMNS_MAX: usize = 200;

/// A series, and what its files hold.
#[derive(Debug, Clone)]
pub struct Looked {
    /// Which files.
    pub series: Series,
    /// What is in those that were looked at, by path.
    pub files: Vec<(String, Contents)>,
}

/// The dictionary.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Dictionary {
    /// What is declared, in the order of the definition.
    pub declared: Vec<Declared>,
    /// The series that were looked at, by pattern.
    pub series: Vec<Described>,
    /// The others.
    pub unseen: Vec<Unseen>,
    /// What disagrees, the gravest first.
    pub conflicts: Vec<Conflict>,
    /// How many files were looked at.
    pub files: u64,
    /// Something was looked at that holds columns or variables.
    pub any: bool,
}

/// A declared variable, and what was found of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Declared {
    /// The declaration.
    #[serde(flatten)]
    pub variable: Variable,
    /// The units that files give it, where they give one.
    pub units: Vec<String>,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
    /// The series that have it.
    pub series: Vec<String>,
    /// Files were looked at, and none has it.
    pub absent: bool,
}

/// A series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Described {
    /// `raw/C#/C#_#-#-#.csv`.
    pub pattern: String,
    /// How much.
    #[serde(flatten)]
    pub extent: Extent,
    /// The files that were looked at; there is at least one.
    pub looked_at: Vec<String>,
    /// The first of them.
    pub sample: String,
    /// The probe's word for the format.
    pub format: &'static str,
    /// The first and last instant that the files which were looked at cover.
    pub covers: Option<Covers>,
    /// A table of separated values.
    pub table: Option<Table>,
    /// A `NetCDF` dataset.
    pub dataset: Option<Dataset>,
    /// An image.
    pub image: Option<Image>,
    /// The logger that wrote it.
    pub logger: Option<Logger>,
    /// What the probe remarked, each code once.
    pub findings: Vec<Finding>,
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covers {
    /// ISO 8601.
    pub first: String,
    /// ISO 8601.
    pub last: String,
}

/// A table of separated values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// `,`, `;`, a tab, `|` or empty.
    pub delimiter: String,
    /// `.` or `,`.
    pub decimal: String,
    /// As the probe names it.
    pub encoding: String,
    /// A byte order mark stands first.
    pub bom: bool,
    /// The line with the names, from 1.
    pub header_line: Option<u64>,
    /// The columns.
    pub columns: Vec<Entry>,
    /// How many columns are not shown.
    pub more: u64,
    /// When the rows are.
    pub time: Option<TimeColumn>,
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dataset {
    /// Its dimensions.
    pub dimensions: Vec<crate::content::Dimension>,
    /// Its variables.
    pub variables: Vec<Entry>,
    /// How many variables are not shown.
    pub more: u64,
    /// The conventions that it says it follows.
    pub conventions: Option<String>,
    /// Its title.
    pub title: Option<String>,
}

/// A column or a variable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// As in the file.
    pub name: String,
    /// As in the file.
    pub unit: Option<String>,
    /// A word for the helper `type`.
    pub kind: String,
    /// What the declaration calls it, otherwise what the file says of it.
    pub label: Option<String>,
    /// `temps`, `déclarée`, …: a word for the template: `time`, `coordinate`, `declared` or `undeclared`.
    pub role: &'static str,
    /// The smallest value.
    pub min: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
    /// Rows without a value.
    pub missing: Option<u64>,
}

/// A series that was not looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unseen {
    /// Its pattern.
    pub pattern: String,
    /// Its extension.
    pub extension: String,
    /// How much.
    #[serde(flatten)]
    pub extent: Extent,
}

/// Compares. `looked` holds every series of the survey; one without files was not looked at.
pub fn compare(variables: &[Variable], looked: &[Looked]) -> Dictionary {
    let mut dictionary = Dictionary::default();
    let mut conflicts = BTreeSet::new();
    for each in looked {
        let Some((sample, first)) = each.files.first() else {
            dictionary.unseen.push(Unseen {
                pattern: each.series.pattern.clone(),
                extension: each.series.extension.clone(),
                extent: each.series.extent.clone(),
            });
            continue;
        };
        dictionary.files += each.files.len() as u64;
        let described = describe(variables, each, sample, first);
        clashes(variables, each, &described, &mut conflicts);
        dictionary.any |= described.table.is_some() || described.dataset.is_some();
        dictionary.series.push(described);
    }
    for variable in variables {
        let declared = declared(variable, looked, dictionary.any);
        if declared.absent {
            conflicts.insert(Conflict::Absent {
                variable: variable.name.clone(),
            });
        }
        dictionary.declared.push(declared);
    }
    dictionary.conflicts = conflicts.into_iter().collect();
    dictionary
}

fn describe(variables: &[Variable], looked: &Looked, sample: &str, first: &Contents) -> Described {
    let mut findings: Vec<Finding> = Vec::new();
    for (_, contents) in &looked.files {
        for finding in &contents.findings {
            if !findings.iter().any(|known| known.code == finding.code) {
                findings.push(finding.clone());
            }
        }
    }
    findings.sort_by(|a, b| (b.severity, &a.code).cmp(&(a.severity, &b.code)));
    Described {
        pattern: looked.series.pattern.clone(),
        extent: looked.series.extent.clone(),
        looked_at: looked.files.iter().map(|(path, _)| path.clone()).collect(),
        sample: sample.to_owned(),
        format: first.format.name(),
        covers: covers(looked),
        table: first.table.as_ref().map(|table| Table {
            delimiter: table.delimiter.clone(),
            decimal: table.decimal.clone(),
            encoding: table.encoding.clone(),
            bom: table.bom,
            header_line: table.header_line,
            more: table
                .columns_total
                .saturating_sub(table.columns.len().min(COLUMNS_MAX) as u64),
            columns: table
                .columns
                .iter()
                .take(COLUMNS_MAX)
                .map(|column| column_entry(variables, looked, column, table.time.as_ref()))
                .collect(),
            time: table.time.clone(),
        }),
        dataset: first.dataset.as_ref().map(|dataset| {
            let attribute = |name: &str| {
                dataset
                    .attributes
                    .iter()
                    .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
                    .map(|attribute| attribute.value.chars().take(200).collect())
            };
            Dataset {
                dimensions: dataset.dimensions.clone(),
                more: dataset.variables.len().saturating_sub(COLUMNS_MAX) as u64,
                variables: named(first)
                    .into_iter()
                    .zip(&dataset.variables)
                    .take(COLUMNS_MAX)
                    .map(|(found, variable)| {
                        let declared = declared_as(variables, &found);
                        Entry {
                            name: variable.name.clone(),
                            unit: variable.units.clone(),
                            kind: variable.kind.clone(),
                            label: declared
                                .and_then(|declared| declared.label.clone())
                                .or_else(|| variable.long_name.clone())
                                .or_else(|| variable.standard_name.clone()),
                            role: role(&found, declared),
                            min: None,
                            max: None,
                            missing: None,
                        }
                    })
                    .collect(),
                conventions: attribute("Conventions"),
                title: attribute("title"),
            }
        }),
        image: first.image.clone(),
        logger: first.logger.clone(),
        findings,
    }
}

fn role(found: &Named<'_>, declared: Option<&Variable>) -> &'static str {
    match (found.role, declared) {
        ("", Some(_)) => "declared",
        ("", None) => "undeclared",
        (role, _) => role,
    }
}

/// A column as all the files that were looked at have it: the smallest and the largest of their values.
fn column_entry(
    variables: &[Variable],
    looked: &Looked,
    column: &Column,
    time: Option<&TimeColumn>,
) -> Entry {
    let others = || {
        looked
            .files
            .iter()
            .filter_map(|(_, contents)| contents.table.as_ref())
            .filter_map(|table| table.columns.iter().find(|other| other.name == column.name))
    };
    let declared = declaration(variables, &column.name);
    Entry {
        name: column.name.clone(),
        unit: column.unit.clone(),
        kind: serde_json::to_value(column.kind)
            .ok()
            .and_then(|kind| kind.as_str().map(str::to_owned))
            .unwrap_or_default(),
        label: declared.and_then(|declared| declared.label.clone()),
        role: match declared {
            _ if is_time(column, time) => "time",
            Some(_) => "declared",
            None => "undeclared",
        },
        min: others().filter_map(|other| other.min).reduce(f64::min),
        max: others().filter_map(|other| other.max).reduce(f64::max),
        missing: Some(others().map(|other| other.missing).sum()),
    }
}

fn covers(looked: &Looked) -> Option<Covers> {
    let spans = || {
        looked
            .files
            .iter()
            .filter_map(|(_, contents)| contents.coverage())
    };
    Some(Covers {
        first: spans().map(|(first, _)| first).min()?.to_owned(),
        last: spans().map(|(_, last)| last).max()?.to_owned(),
    })
}

fn declared(variable: &Variable, looked: &[Looked], any: bool) -> Declared {
    let mut units = BTreeSet::new();
    let mut series = BTreeSet::new();
    let (mut min, mut max): (Option<f64>, Option<f64>) = (None, None);
    for each in looked {
        for (_, contents) in &each.files {
            for found in named(contents) {
                if declared_as(std::slice::from_ref(variable), &found).is_none() {
                    continue;
                }
                series.insert(each.series.pattern.clone());
                units.extend(found.unit.map(str::to_owned));
                min = [min, found.min].into_iter().flatten().reduce(f64::min);
                max = [max, found.max].into_iter().flatten().reduce(f64::max);
            }
        }
    }
    Declared {
        absent: any && series.is_empty(),
        variable: variable.clone(),
        units: units.into_iter().collect(),
        series: series.into_iter().collect(),
        min,
        max,
    }
}

impl Facts {
    /// The same facts with what was found in the files.
    #[must_use]
    pub fn with_contents(mut self, looked: &[Looked]) -> Self {
        self.dictionary = compare(&self.variables, looked);
        self.reading = super::reading::examples(&self, &self.dictionary);
        self
    }
}

#[cfg(test)]
mod tests;
