//! `import-experiment`: what an import would mean, and, confirmed, the import.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::form::{self, Given};
use super::{params, value};
use crate::error::Result;
use crate::provision::import::{self, Options};
use crate::provision::site::Site;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Import {
    /// A shared folder's name, or an absolute path.
    folder: String,
    #[serde(default)]
    definition: Option<Given>,
    #[serde(default)]
    form: Option<Value>,
    #[serde(default)]
    confirm: bool,
    #[serde(default)]
    create_accounts: bool,
    #[serde(default)]
    plan: Option<String>,
}

/// Carries it out.
pub(super) fn call(site: &Site, given: &Value) -> Result<Value> {
    let given: Import = params(given)?;
    let options = Options {
        confirm: given.confirm,
        create_accounts: given.create_accounts,
        plan: given.plan,
    };
    let text = form::text_of(given.definition.as_ref(), given.form.as_ref())?;
    value(import::import(
        site,
        &given.folder,
        Path::new("/"),
        &text,
        &options,
    )?)
}
