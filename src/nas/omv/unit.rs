//! What the unit says for all experiments: `conf.service.octonas.unit`, in a node of its own, so that writing it touches
//! neither bases nor experiments and makes no module wait.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::Omv;
use crate::error::{Error, Result};
use crate::experiment::Unit;

/// The data model's name.
const MODEL: &str = "conf.service.octonas.unit";

/// What of the data model is a number there, with the number that means that nothing is said.
const NUMBERS: [(&str, i64); 2] = [("years", 0), ("night", 2)];
/// What is a switch there.
const SWITCHES: [&str; 6] = ["smb", "sftp", "rsync", "ftp", "rsyncd", "mail"];

/// What the configuration holds of it: property → value.
pub(super) type Record = BTreeMap<String, Value>;

/// Reads what is kept.
pub(super) fn read(record: &Record) -> (Unit, Vec<Error>) {
    let texts = record.iter().map(|(setting, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if setting == "years" && number.as_i64() == Some(0) => {
                String::new()
            }
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (setting.as_str(), text)
    });
    Unit::read(texts)
}

/// See `Nas::set_unit`.
pub(super) fn write(omv: &Omv, unit: &Unit) -> Result<()> {
    omv.engined().change::<IgnoredAny>(
        "Config",
        "set",
        json!({"id": MODEL, "data": record(unit)}),
    )?;
    omv.snapshot.forget_unit();
    Ok(())
}

fn record(unit: &Unit) -> Map<String, Value> {
    let typed = |setting: &str, text: String| {
        if let Some((_, nothing)) = NUMBERS.iter().find(|(name, _)| *name == setting) {
            return text.parse::<i64>().unwrap_or(*nothing).into();
        }
        if SWITCHES.contains(&setting) {
            return (text == "true").into();
        }
        Value::String(text)
    };
    unit.texts()
        .into_iter()
        .map(|(setting, text)| (setting.to_owned(), typed(setting, text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut unit = Unit::default();
        for each in [
            [("years", "10"), ("mail", "yes"), ("organisation", "R&D")],
            [("years", ""), ("night", "0"), ("organisation", "true")],
        ] {
            for (setting, text) in each {
                unit.set(setting, text).unwrap();
            }
            let record: Record = record(&unit).into_iter().collect();
            assert!(record["years"].is_i64() && record["mail"].is_boolean());
            let (again, wrong) = read(&record);
            assert_eq!(again, unit);
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn what_somebody_wrote_by_hand_is_named() {
        let record = Record::from([
            ("ror".to_owned(), json!("nonsense")),
            ("later".to_owned(), json!("x")),
        ]);
        let codes: Vec<_> = read(&record).1.iter().map(Error::code).collect();
        assert_eq!(codes, ["settings.unknown", "ror.invalid"]);
    }
}
