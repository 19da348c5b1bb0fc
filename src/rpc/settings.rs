//! `show-settings`, `edit-settings`: what the unit says for all its experiments.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Nothing, params, value};
use crate::error::{Error, Result};
use crate::provision::settings;
use crate::provision::site::Site;

/// The methods.
pub(super) const METHODS: [&str; 2] = ["edit-settings", "show-settings"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Edit {
    settings: BTreeMap<String, Value>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// Carries one out.
pub(super) fn call(site: &Site, method: &str, given: &Value) -> Result<Value> {
    if method == "show-settings" {
        let Nothing {} = params(given)?;
        return value(settings::show(site)?);
    }
    let edit: Edit = params(given)?;
    let changes: Vec<(String, String)> = edit
        .settings
        .into_iter()
        .map(|(setting, given)| text(&setting, given).map(|text| (setting, text)))
        .collect::<Result<_>>()?;
    value(settings::change(
        site,
        &changes,
        edit.from.as_deref(),
        edit.dry_run,
    )?)
}

/// A form has switches and numbers beside texts; nothing is an empty text.
fn text(setting: &str, given: Value) -> Result<String> {
    match given {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(given.to_string()),
        _ => Err(Error::new(
            "rpc.params",
            format!(
                "{} is not a text, a number or a switch",
                crate::experiment::text::quote(setting)
            ),
        )
        .field(setting)),
    }
}
