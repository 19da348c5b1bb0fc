//! Data management plans.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{params, value};
use crate::documents::dmp::plan::Version;
use crate::error::Result;
use crate::experiment::{Access, Code, Language};
use crate::provision::dmp::{self, Format, Given};
use crate::provision::site::Site;

/// The methods.
pub(super) const METHODS: [&str; 5] = [
    "answer-dmp",
    "build-dmp",
    "diff-dmp",
    "list-dmp-questions",
    "show-dmp",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Build {
    code: Code,
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    code: Code,
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    language: Option<Language>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Answer {
    code: Code,
    question: String,
    text: String,
    #[serde(default)]
    language: Option<Language>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Diff {
    code: Code,
    #[serde(default)]
    from: Option<Version>,
    #[serde(default)]
    to: Option<Version>,
    #[serde(default)]
    language: Option<Language>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    code: Code,
}

/// Which experiment a request is about, and what a member must be able to do in it: look, or manage.
pub(super) fn needs(method: &str, given: &Value) -> Result<(Code, Access)> {
    let code = super::code_of(given)?;
    let access = match method {
        "answer-dmp" | "build-dmp" => Access::Manage,
        _ => Access::Read,
    };
    Ok((code, access))
}

/// Carries one out, for somebody who may.
pub(super) fn call(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "build-dmp" => {
            let build: Build = params(given)?;
            value(dmp::build(
                site,
                &build.code,
                build.version,
                build.replace,
                build.dry_run,
            )?)
        }
        "show-dmp" => {
            let show: Show = params(given)?;
            let format = Format::parse(show.format.as_deref().unwrap_or("html"))?;
            let text = dmp::show(site, &show.code, show.version, format, show.language)?;
            Ok(json!({"text": text}))
        }
        "answer-dmp" => {
            let answer: Answer = params(given)?;
            let given = Given {
                question: &answer.question,
                text: &answer.text,
                language: answer.language,
                from: answer.from.as_deref(),
                dry_run: answer.dry_run,
            };
            value(dmp::answer(site, &answer.code, &given)?)
        }
        "diff-dmp" => {
            let diff: Diff = params(given)?;
            value(dmp::diff(
                site,
                &diff.code,
                diff.from,
                diff.to,
                diff.language,
            )?)
        }
        _ => {
            let one: One = params(given)?;
            value(dmp::questions(site, &one.code)?)
        }
    }
}
