//! `import-experiment`: what an import would mean, and, confirmed, the import.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::form::Given;
use super::{params, value};
use crate::error::Result;
use crate::provision::import::{self, Options};
use crate::provision::site::Site;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Import {
    /// A shared folder's name, or an absolute path.
    folder: String,
    definition: Given,
    #[serde(default)]
    confirm: bool,
    #[serde(default)]
    create_accounts: bool,
}

/// Carries it out.
pub(super) fn call(site: &Site, given: &Value) -> Result<Value> {
    let given: Import = params(given)?;
    let options = Options {
        confirm: given.confirm,
        create_accounts: given.create_accounts,
    };
    let text = given.definition.text();
    value(import::import(
        site,
        &given.folder,
        Path::new("/"),
        &text,
        options,
    )?)
}
