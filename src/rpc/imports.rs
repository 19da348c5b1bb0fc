//! `import-experiment`, `adopt-experiment`, `list-adoptable`: what takes into service something that lies on a disk.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::form::{self, Given};
use super::{Nothing, absolute, params, value};
use crate::error::Result;
use crate::provision::import::{self, Options};
use crate::provision::site::Site;
use crate::provision::{adopt, adoptable};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Adopt {
    dir: PathBuf,
    #[serde(default)]
    take_over: bool,
    #[serde(default)]
    grant: Vec<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    plan: Option<String>,
}

/// The methods.
pub(super) const METHODS: [&str; 3] = ["adopt-experiment", "import-experiment", "list-adoptable"];

/// Carries one out.
pub(super) fn call(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "adopt-experiment" => adopt(site, params(given)?),
        "list-adoptable" => {
            let Nothing {} = params(given)?;
            value(adoptable::adoptable(site)?)
        }
        _ => import(site, given),
    }
}

fn adopt(site: &Site, given: Adopt) -> Result<Value> {
    let options = adopt::Options {
        take_over: given.take_over,
        grant: given.grant,
        dry_run: given.dry_run,
        plan: given.plan,
    };
    value(adopt::adopt(site, &absolute(&given.dir)?, &options)?)
}

fn import(site: &Site, given: &Value) -> Result<Value> {
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
