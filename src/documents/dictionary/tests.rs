use super::*;
use crate::content::{self, Format, Kind};

fn variable(name: &str, unit: &str, standard_name: Option<&str>) -> Variable {
    Variable {
        name: name.into(),
        label: Some(format!("The {name}")),
        unit: Some(unit.into()),
        standard_name: standard_name.map(Into::into),
        sensor: None,
        description: None,
    }
}

fn table(columns: &[(&str, Option<&str>, Kind)]) -> Contents {
    let mut contents = Contents::new(Format::Csv, 100);
    contents.table = Some(content::Table {
        delimiter: ";".into(),
        decimal: ",".into(),
        encoding: "utf-8".into(),
        bom: false,
        line_ends: "lf".into(),
        header_line: Some(1),
        rows: 10,
        columns_total: columns.len() as u64,
        columns: columns
            .iter()
            .map(|(name, unit, kind)| Column {
                name: (*name).into(),
                unit: unit.map(Into::into),
                kind: *kind,
                missing: 1,
                min: Some(1.0),
                max: Some(2.5),
            })
            .collect(),
        time: None,
    });
    contents
}

fn looked(pattern: &str, files: Vec<(&str, Contents)>) -> Looked {
    Looked {
        series: Series {
            pattern: pattern.into(),
            extension: "csv".into(),
            extent: Extent::default(),
            samples: Vec::new(),
        },
        files: files
            .into_iter()
            .map(|(path, contents)| (path.into(), contents))
            .collect(),
    }
}

#[test]
fn what_is_declared_and_what_is_found_are_told_apart() {
    let variables = [
        variable("T", "degC", None),
        variable("HR", "%", None),
        variable("CO2", "umol mol-1", None),
    ];
    let one = table(&[
        ("date", None, Kind::Time),
        ("T", Some("K"), Kind::Number),
        ("hr", Some("percent"), Kind::Number),
        ("Sonde", None, Kind::Text),
    ]);
    let found = compare(&variables, &[looked("raw/#.csv", vec![("raw/1.csv", one)])]);
    let kinds: Vec<_> = found
        .conflicts
        .iter()
        .map(|conflict| serde_json::to_value(conflict).unwrap()["conflict"].clone())
        .collect();
    assert_eq!(kinds, ["unit", "spelling", "absent", "undeclared"]);
    assert!(found.declared[2].absent);
    assert_eq!(found.declared[0].units, ["K"]);
    assert_eq!(found.declared[0].max, Some(2.5));
    let roles: Vec<_> = found.series[0]
        .table
        .as_ref()
        .unwrap()
        .columns
        .iter()
        .map(|c| c.role)
        .collect();
    assert_eq!(roles, ["time", "declared", "declared", "undeclared"]);
}

#[test]
fn files_of_one_series_are_compared_with_each_other() {
    let one = table(&[("T", Some("°C"), Kind::Number), ("P", None, Kind::Number)]);
    let two = table(&[
        ("T", Some("degC"), Kind::Number),
        ("P", Some("hPa"), Kind::Number),
        ("X", None, Kind::Text),
    ]);
    let found = compare(
        &[
            variable("T", "degC", None),
            variable("P", "hPa", None),
            variable("X", "1", None),
        ],
        &[looked(
            "raw/#.csv",
            vec![("raw/1.csv", one), ("raw/2.csv", two)],
        )],
    );
    let differing: Vec<_> = found
        .conflicts
        .iter()
        .map(|conflict| match conflict {
            Conflict::Differs {
                variable,
                here,
                there,
                ..
            } => (variable.as_str(), here.as_deref(), there.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        differing,
        [("P", Some("—"), Some("hPa")), ("X", None, Some("—"))]
    );
}

#[test]
fn a_variable_of_a_dataset_is_known_by_its_standard_name_and_coordinates_need_no_declaration() {
    let mut contents = Contents::new(Format::Netcdf, 10);
    let named = |name: &str, units: &str, standard: Option<&str>| content::Variable {
        name: name.into(),
        kind: "float".into(),
        dimensions: vec!["time".into()],
        units: Some(units.into()),
        standard_name: standard.map(Into::into),
        long_name: None,
    };
    contents.dataset = Some(content::Dataset {
        dimensions: vec![content::Dimension {
            name: "time".into(),
            length: 3,
            unlimited: true,
        }],
        variables: vec![
            named("time", "days since 2026-01-01", None),
            named("lat", "degrees_north", Some("latitude")),
            named("tair", "K", Some("air_temperature")),
        ],
        attributes: Vec::new(),
        time_first: None,
        time_last: None,
    });
    let found = compare(
        &[variable("T", "K", Some("air_temperature"))],
        &[looked("raw/#.nc", vec![("raw/1.nc", contents)])],
    );
    assert_eq!(found.conflicts, []);
    assert!(!found.declared[0].absent);
    let roles: Vec<_> = found.series[0]
        .dataset
        .as_ref()
        .unwrap()
        .variables
        .iter()
        .map(|v| v.role)
        .collect();
    assert_eq!(roles, ["time", "coordinate", "declared"]);
}

#[test]
fn nothing_is_absent_while_nothing_was_looked_at() {
    let found = compare(
        &[variable("T", "degC", None)],
        &[looked("raw/#.csv", vec![])],
    );
    assert!(!found.declared[0].absent && found.conflicts.is_empty() && !found.any);
    assert_eq!(found.unseen.len(), 1);
}
