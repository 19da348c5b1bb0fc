//! Bases, and how the experiments of each are shared, now or in the night.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::{Folder, Nothing, absolute, params, tonight, value};
use crate::error::{Error, Result};
use crate::provision::site::Site;
use crate::provision::tonight::Wanted;
use crate::provision::{base, sharing};

/// The methods.
pub(super) const METHODS: [&str; 4] = ["add-base", "check-base", "list-bases", "share-base"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Share {
    path: PathBuf,
    #[serde(rename = "share")]
    way: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// Looked at before (`tonight::is_asked`).
    #[serde(default, rename = "tonight")]
    _tonight: bool,
}

impl Share {
    /// The name of the share; nothing where each experiment gets its own.
    fn name(&self) -> Result<Option<&str>> {
        match (self.way.as_str(), self.name.as_deref()) {
            ("own", None | Some("")) => Ok(None),
            ("common", Some(name)) => Ok(Some(name)),
            _ => Err(Error::new(
                "rpc.invalid",
                "share is `own` without a name, or `common` with one",
            )),
        }
    }
}

/// Carries one out.
pub(super) fn call(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "add-base" => value(base::add(site, &absolute(&params::<Folder>(given)?.path)?)?),
        "check-base" => {
            let path = absolute(&params::<Folder>(given)?.path)?;
            value(base::check(site, &path)?)
        }
        "list-bases" => {
            let Nothing {} = params(given)?;
            value(base::list(site)?)
        }
        _ => {
            let share: Share = params(given)?;
            let (name, path) = (share.name()?, absolute(&share.path)?);
            value(sharing::choose(site, &path, name, share.dry_run)?)
        }
    }
}

/// Sets for the night how the experiments of a base are shared.
pub(super) fn tonight(site: &Site, given: &Value) -> Result<Value> {
    let share: Share = params(given)?;
    let (name, path) = (share.name()?, absolute(&share.path)?);
    tonight::keep(site, &Wanted::Share(&path, name), false, share.dry_run)
}
