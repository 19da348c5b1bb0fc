//! `import-experiment`, `adopt-experiment`, `list-adoptable`: what takes into service something that lies on a disk, now or in
//! the night.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::form::{self, Given};
use super::{Nothing, absolute, params, tonight, value};
use crate::error::{Error, Result};
use crate::provision::import::{self, Options};
use crate::provision::site::Site;
use crate::provision::tonight::Wanted;
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
    /// Looked at before (`tonight::is_asked`).
    #[serde(default, rename = "tonight")]
    _tonight: bool,
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
    /// Looked at before (`tonight::is_asked`).
    #[serde(default, rename = "tonight")]
    _tonight: bool,
}

impl Adopt {
    fn options(self) -> adopt::Options {
        adopt::Options {
            take_over: self.take_over,
            grant: self.grant,
            dry_run: self.dry_run,
            plan: self.plan,
        }
    }
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

/// Sets one for the night.
pub(super) fn tonight(site: &Site, method: &str, given: &Value) -> Result<Value> {
    if method == "adopt-experiment" {
        let given: Adopt = params(given)?;
        let dir = absolute(&given.dir)?;
        let options = given.options();
        return tonight::keep(site, &Wanted::Adopt(&dir, &options), false, options.dry_run);
    }
    let given: Import = params(given)?;
    if !given.confirm {
        return Err(Error::new(
            "rpc.params",
            "only what is confirmed can wait for the night",
        )
        .field("confirm"));
    }
    let wanted = Wanted::Import {
        folder: &given.folder,
        cwd: Path::new("/"),
        text: &form::text_of(given.definition.as_ref(), given.form.as_ref())?,
        plan: given.plan.as_deref(),
    };
    tonight::keep(site, &wanted, given.create_accounts, false)
}

fn adopt(site: &Site, given: Adopt) -> Result<Value> {
    let dir = absolute(&given.dir)?;
    value(adopt::adopt(site, &dir, &given.options())?)
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
