//! What has a name in a file: the columns of a table, the variables of a dataset.

use std::collections::BTreeSet;

use crate::content::{Column, Contents, Kind, TimeColumn};
use crate::documents::facts::Variable;

/// Every named thing of a file: name, unit, standard name, smallest and largest value, and whether it is a coordinate.
pub(super) struct Named<'c> {
    pub(super) name: &'c str,
    pub(super) unit: Option<&'c str>,
    pub(super) standard_name: Option<&'c str>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) role: &'static str,
}

pub(super) fn named(contents: &Contents) -> Vec<Named<'_>> {
    let mut all = Vec::new();
    if let Some(table) = &contents.table {
        let time = table.time.as_ref();
        all.extend(table.columns.iter().map(|column| Named {
            name: &column.name,
            unit: column.unit.as_deref(),
            standard_name: None,
            min: column.min,
            max: column.max,
            role: if is_time(column, time) { "time" } else { "" },
        }));
    }
    if let Some(dataset) = &contents.dataset {
        let dimensions: BTreeSet<&str> = dataset
            .dimensions
            .iter()
            .map(|dimension| dimension.name.as_str())
            .collect();
        all.extend(dataset.variables.iter().map(|variable| {
            let units = variable.units.as_deref();
            let is_time = units.is_some_and(|units| units.contains(" since "));
            let is_coordinate = dimensions.contains(variable.name.as_str())
                || matches!(
                    variable.standard_name.as_deref(),
                    Some("latitude" | "longitude" | "time" | "altitude")
                )
                || variable.name.ends_with("_bnds")
                || variable.name.ends_with("_bounds");
            Named {
                name: &variable.name,
                unit: units,
                standard_name: variable.standard_name.as_deref(),
                min: None,
                max: None,
                role: match (is_time, is_coordinate) {
                    (true, _) => "time",
                    (_, true) => "coordinate",
                    _ => "",
                },
            }
        }));
    }
    all
}

pub(super) fn is_time(column: &Column, time: Option<&TimeColumn>) -> bool {
    let named = time.is_some_and(|time| time.column.split(" + ").any(|name| name == column.name));
    named || column.kind == Kind::Time
}

/// The declaration of a name, exact first, then whatever the case of letters.
pub(super) fn declaration<'v>(variables: &'v [Variable], name: &str) -> Option<&'v Variable> {
    variables
        .iter()
        .find(|variable| variable.name == name)
        .or_else(|| {
            let folded = name.to_lowercase();
            variables
                .iter()
                .find(|variable| variable.name.to_lowercase() == folded)
        })
}

/// The declaration of something in a file: by its name; in a dataset also by its standard name.
pub(super) fn declared_as<'v>(
    variables: &'v [Variable],
    found: &Named<'_>,
) -> Option<&'v Variable> {
    declaration(variables, found.name).or_else(|| {
        let standard = found.standard_name?;
        variables
            .iter()
            .find(|variable| variable.standard_name.as_deref() == Some(standard))
    })
}
