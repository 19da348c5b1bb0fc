//! The documents of experiments.

use serde::Deserialize;
use serde_json::Value;

use super::member::visible;
use super::{One, anybody, params, value};
use crate::documents::tame;
use crate::error::{Error, Result};
use crate::experiment::{Code, Language};
use crate::provision::documents;
use crate::provision::site::Site;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Build {
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    code: Code,
    name: String,
    #[serde(default)]
    language: Option<Language>,
}

/// What administrators may do.
pub(super) fn admin(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "build-documents" => {
            let build: Build = params(given)?;
            match (build.code, build.all) {
                (Some(code), false) => value(documents::build(site, &code, build.dry_run)?),
                (None, true) => value(documents::build_all(site, build.dry_run)?),
                _ => {
                    Err(Error::new("rpc.params", "either `code` or `all` is needed").field("code"))
                }
            }
        }
        "list-documents" => value(documents::list_of(site, &params::<One>(given)?.code)?),
        "show-document" => show(site, &params(given)?),
        _ => anybody(site, method, given),
    }
}

/// What a member may do.
pub(super) fn user(site: &Site, method: &str, given: &Value, name: &str) -> Result<Value> {
    match method {
        "list-documents" => {
            let code = params::<One>(given)?.code;
            visible(site, &code, name)?;
            value(documents::list_of(site, &code)?)
        }
        "show-document" => {
            let wanted: Show = params(given)?;
            visible(site, &wanted.code, name)?;
            show(site, &wanted)
        }
        _ => anybody(site, method, given),
    }
}

fn show(site: &Site, wanted: &Show) -> Result<Value> {
    let shown = documents::show(site, &wanted.code, &wanted.name, wanted.language)?;
    // It becomes part of a page of whoever looks, administrators among them; a package or a disk may have brought it along.
    if !tame::is_tame(&shown.text) {
        return Err(Error::new(
            "document.untame",
            format!(
                "{} holds what OctoNAS does not write, and is not shown on a page",
                shown.file
            ),
        )
        .hint(format!(
            "look at the file; move it away, then `octonas document build {}`",
            wanted.code
        )));
    }
    value(shown)
}
