//! The files of experiments: what the catalogue knows, what checks came to, seals, and the evidence.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::member::visible;
use super::{One, absolute, anybody, code_of, params, value};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::provision::site::Site;
use crate::provision::{accept, catalogue, evidence, seal, verify};
use crate::store::catalogue::ask::Wanted;

/// The methods.
pub(super) const METHODS: [&str; 12] = [
    "accept-files",
    "export-evidence",
    "list-files",
    "rebuild-evidence",
    "scan-catalogue",
    "seal-files",
    "search-files",
    "show-file",
    "show-integrity",
    "unseal-files",
    "verify-evidence",
    "verify-experiment",
];

/// How many rows a page has where nothing is said.
const LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Scan {
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    limit_rate: Option<u64>,
    #[serde(default)]
    no_probe: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    code: Code,
    #[serde(default)]
    folder: String,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    code: Code,
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    code: Code,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    variable: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    finding: Option<String>,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Verify {
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    all: bool,
    /// Seconds.
    #[serde(default)]
    due: u64,
    /// Seconds.
    #[serde(default)]
    within: Option<u64>,
    #[serde(default)]
    limit_rate: Option<u64>,
    #[serde(default)]
    repair_from: Option<PathBuf>,
    #[serde(default)]
    identity: Option<PathBuf>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Seal {
    code: Code,
    paths: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Accept {
    code: Code,
    paths: Vec<String>,
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    code: Code,
    output: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rebuild {
    code: Code,
    #[serde(default)]
    dry_run: bool,
}

fn one_or_all(code: Option<&Code>, all: bool) -> Result<()> {
    if code.is_some() == all {
        return Err(Error::new("rpc.params", "either `code` or `all` is needed").field("code"));
    }
    Ok(())
}

/// What administrators may do.
pub(super) fn admin(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "scan-catalogue" => {
            let scan: Scan = params(given)?;
            one_or_all(scan.code.as_ref(), scan.all)?;
            let options = catalogue::Options {
                dry_run: scan.dry_run,
                no_probe: scan.no_probe,
                rate: scan.limit_rate,
            };
            value(catalogue::scan(site, scan.code.as_ref(), options)?)
        }
        "verify-experiment" => {
            let verify: Verify = params(given)?;
            one_or_all(verify.code.as_ref(), verify.all)?;
            let options = verify::Options {
                due: verify.due,
                rate: verify.limit_rate,
                within: verify.within.map(Duration::from_secs),
                repair_from: verify.repair_from.as_deref().map(absolute).transpose()?,
                identity: verify.identity.as_deref().map(absolute).transpose()?,
                dry_run: verify.dry_run,
            };
            value(verify::verify(site, verify.code.as_ref(), &options)?)
        }
        "seal-files" | "unseal-files" => {
            let wanted: Seal = params(given)?;
            let sealed = method == "seal-files";
            value(seal::change(
                site,
                &wanted.code,
                &wanted.paths,
                sealed,
                wanted.dry_run,
            )?)
        }
        "accept-files" => {
            let wanted: Accept = params(given)?;
            value(accept::accept(
                site,
                &wanted.code,
                &wanted.paths,
                &wanted.reason,
                wanted.dry_run,
            )?)
        }
        "verify-evidence" => value(evidence::check(site, &params::<One>(given)?.code)?),
        "export-evidence" => {
            let export: Export = params(given)?;
            value(evidence::export(
                site,
                &export.code,
                &absolute(&export.output)?,
            )?)
        }
        "rebuild-evidence" => {
            let rebuild: Rebuild = params(given)?;
            value(evidence::rebuild(site, &rebuild.code, rebuild.dry_run)?)
        }
        _ => look(site, method, given),
    }
}

/// What a member may do: look.
pub(super) fn user(site: &Site, method: &str, given: &Value, name: &str) -> Result<Value> {
    match method {
        "list-files" | "search-files" | "show-file" | "show-integrity" => {
            visible(site, &code_of(given)?, name)?;
            look(site, method, given)
        }
        _ => anybody(site, method, given),
    }
}

fn look(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "list-files" => {
            let wanted: Listed = params(given)?;
            let limit = wanted.limit.unwrap_or(LIMIT);
            let after = wanted.after.as_deref();
            value(catalogue::page(
                site,
                &wanted.code,
                &wanted.folder,
                after,
                limit,
            )?)
        }
        "show-file" => {
            let file: File = params(given)?;
            value(catalogue::show(site, &file.code, &file.path)?)
        }
        "search-files" => {
            let search: Search = params(given)?;
            let wanted = Wanted {
                path: search.text,
                format: search.format,
                variable: search.variable,
                from: search.from,
                to: search.to,
                source: search.source,
                state: search.finding,
            };
            let limit = search.limit.unwrap_or(LIMIT);
            let after = search.after.as_deref();
            value(catalogue::search(
                site,
                &search.code,
                &wanted,
                after,
                limit,
            )?)
        }
        "show-integrity" => value(catalogue::integrity(site, &params::<One>(given)?.code)?),
        _ => anybody(site, method, given),
    }
}
