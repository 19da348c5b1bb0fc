//! Where the declaration and the files disagree, and the files among themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::named::{declared_as, named};
use super::{COLUMNS_MAX, Described, Looked};
use crate::content::Contents;
use crate::documents::facts::Variable;
use crate::documents::units;

/// What disagrees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "conflict", rename_all = "kebab-case")]
pub enum Conflict {
    /// A file gives another unit than the declaration.
    Unit {
        /// The variable.
        variable: String,
        /// What is declared.
        declared: String,
        /// What the file says.
        found: String,
        /// Where.
        pattern: String,
    },
    /// Files of one series give a column different units, or some have it and some do not.
    Differs {
        /// The column.
        variable: String,
        /// Where.
        pattern: String,
        /// One file.
        one: String,
        /// What it says: a unit, `—` for none, nothing where the column is missing.
        here: Option<String>,
        /// Another file.
        other: String,
        /// What that one says.
        there: Option<String>,
    },
    /// The name is written differently from the declaration (case of letters).
    Spelling {
        /// The variable.
        variable: String,
        /// In the file.
        found: String,
        /// Where.
        pattern: String,
    },
    /// Declared, and in no file that was looked at.
    Absent {
        /// The variable.
        variable: String,
    },
    /// In files, and not declared.
    Undeclared {
        /// The column.
        variable: String,
        /// Its unit.
        unit: Option<String>,
        /// Where.
        pattern: String,
    },
}

/// Where the files of a series disagree with the declaration, or with each other.
pub(super) fn clashes(
    variables: &[Variable],
    looked: &Looked,
    described: &Described,
    conflicts: &mut BTreeSet<Conflict>,
) {
    let pattern = &described.pattern;
    for (_, contents) in &looked.files {
        for found in named(contents).into_iter().take(COLUMNS_MAX) {
            if !found.role.is_empty() {
                continue;
            }
            let Some(variable) = declared_as(variables, &found) else {
                conflicts.insert(Conflict::Undeclared {
                    variable: found.name.to_owned(),
                    unit: found.unit.map(str::to_owned),
                    pattern: pattern.clone(),
                });
                continue;
            };
            if variable.name != found.name
                && variable.name.to_lowercase() == found.name.to_lowercase()
            {
                conflicts.insert(Conflict::Spelling {
                    variable: variable.name.clone(),
                    found: found.name.to_owned(),
                    pattern: pattern.clone(),
                });
            }
            if let (Some(declared), Some(unit)) = (variable.unit.as_deref(), found.unit)
                && !units::same(declared, unit)
            {
                conflicts.insert(Conflict::Unit {
                    variable: variable.name.clone(),
                    declared: declared.to_owned(),
                    found: unit.to_owned(),
                    pattern: pattern.clone(),
                });
            }
        }
    }
    differences(looked, pattern, conflicts);
}

/// Every file of a series against the first.
fn differences(looked: &Looked, pattern: &str, conflicts: &mut BTreeSet<Conflict>) {
    let Some(((one, first), others)) = looked.files.split_first() else {
        return;
    };
    let units = |contents: &Contents| -> BTreeMap<String, Option<String>> {
        named(contents)
            .into_iter()
            .take(COLUMNS_MAX)
            .map(|found| (found.name.to_owned(), found.unit.map(str::to_owned)))
            .collect()
    };
    let here = units(first);
    let shown = |unit: &Option<String>| unit.clone().unwrap_or_else(|| "—".to_owned());
    for (other, contents) in others {
        let there = units(contents);
        let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        for name in names {
            let differs = match (here.get(name), there.get(name)) {
                (Some(Some(a)), Some(Some(b))) => !units::same(a, b),
                (Some(a), Some(b)) => a.is_some() != b.is_some(),
                _ => true,
            };
            if differs {
                conflicts.insert(Conflict::Differs {
                    variable: name.clone(),
                    pattern: pattern.to_owned(),
                    one: one.clone(),
                    here: here.get(name).map(shown),
                    other: other.clone(),
                    there: there.get(name).map(shown),
                });
            }
        }
    }
}
