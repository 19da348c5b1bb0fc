//! Packages and archives of experiments; for administrators alone.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::{absolute, params, value};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::package::age::Recipient;
use crate::package::container::Format;
use crate::package::pick::Pattern;
use crate::package::ro_crate::Version;
use crate::package::verify;
use crate::provision::site::Site;
use crate::provision::{archive, package, restore, thin};

/// The methods of this file.
pub(super) const METHODS: [&str; 8] = [
    "archive-experiment",
    "create-package",
    "list-archives",
    "restore-archive",
    "restore-package",
    "thin-experiment",
    "verify-archive",
    "verify-package",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
struct Create {
    code: Code,
    out: PathBuf,
    format: String,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    sha512: bool,
    #[serde(default)]
    recipients: Vec<String>,
    #[serde(default)]
    encrypt: bool,
    #[serde(default)]
    allow_changed: bool,
    #[serde(default)]
    ro_crate: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Read {
    path: PathBuf,
    #[serde(default)]
    identity: Option<PathBuf>,
    #[serde(default)]
    max_size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Restore {
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    package: Option<String>,
    #[serde(default)]
    into: Option<PathBuf>,
    #[serde(default, rename = "as")]
    as_code: Option<Code>,
    #[serde(default)]
    base: Option<PathBuf>,
    #[serde(default)]
    grant: Vec<String>,
    #[serde(default)]
    identity: Option<PathBuf>,
    #[serde(default)]
    max_size: Option<u64>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Archive {
    code: Code,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    allow_changed: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    code: Option<Code>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    code: Code,
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Thin {
    code: Code,
    #[serde(default)]
    only: Vec<String>,
    /// The code again: the data is gone afterwards.
    confirm: Code,
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn admin(site: &Site, method: &str, given: &Value) -> Result<Value> {
    let progress = site.progress.as_ref();
    match method {
        "create-package" => create(site, &params(given)?),
        "verify-package" => {
            let read: Read = params(given)?;
            let options = reading(read.identity.as_ref(), read.max_size)?;
            value(verify::verify(&absolute(&read.path)?, &options, progress)?)
        }
        "restore-package" => {
            let wanted: Restore = params(given)?;
            let path = wanted.path.as_ref().ok_or_else(|| missing("path"))?;
            bring_back(site, &absolute(path)?, &wanted)
        }
        "archive-experiment" => {
            let wanted: Archive = params(given)?;
            let options = archive::Options {
                to: wanted.to,
                allow_changed: wanted.allow_changed,
                dry_run: wanted.dry_run,
            };
            value(archive::create(site, &wanted.code, &options)?.0)
        }
        "list-archives" => value(archive::list(site, params::<List>(given)?.code.as_ref())?),
        "verify-archive" => {
            let wanted: Verify = params(given)?;
            value(archive::verify(site, &wanted.code, wanted.all)?)
        }
        "restore-archive" => {
            let wanted: Restore = params(given)?;
            let code = wanted.code.as_ref().ok_or_else(|| missing("code"))?;
            let (path, staged) = archive::bring(site, code, wanted.package.as_deref())?;
            let done = bring_back(site, &path, &wanted);
            if let (Some(dir), Some(name)) = (staged, path.file_name()) {
                dir.remove_file(name)?;
            }
            done
        }
        _ => thinned(site, &params(given)?),
    }
}

fn missing(name: &str) -> Error {
    Error::new("rpc.params", format!("`{name}` is missing")).field(name)
}

fn create(site: &Site, wanted: &Create) -> Result<Value> {
    let version = wanted.ro_crate.as_deref().unwrap_or("1.1");
    let options = package::Options {
        format: Format::parse(&wanted.format)?,
        only: patterns(&wanted.only)?,
        sha512: wanted.sha512,
        recipients: wanted
            .recipients
            .iter()
            .map(|text| Recipient::parse(text))
            .collect::<Result<_>>()?,
        encrypt: wanted.encrypt,
        allow_changed: wanted.allow_changed,
        ro_crate: Version::parse(version).ok_or_else(|| {
            Error::new("rpc.params", "`ro-crate` is `1.1` or `1.2`").field("ro-crate")
        })?,
        dry_run: wanted.dry_run,
        ..package::Options::default()
    };
    value(package::create(
        site,
        &wanted.code,
        &absolute(&wanted.out)?,
        &options,
    )?)
}

fn patterns(all: &[String]) -> Result<Vec<Pattern>> {
    all.iter().map(|text| Pattern::parse(text)).collect()
}

fn reading(identity: Option<&PathBuf>, max_size: Option<u64>) -> Result<verify::Options> {
    Ok(verify::Options {
        identity: identity.map(|path| absolute(path)).transpose()?,
        max_size,
        cold: true,
    })
}

fn bring_back(site: &Site, from: &std::path::Path, wanted: &Restore) -> Result<Value> {
    let reading = reading(wanted.identity.as_ref(), wanted.max_size)?;
    match (&wanted.into, &wanted.as_code) {
        (Some(into), None) => {
            let into = absolute(into)?;
            value(restore::into(
                from,
                &into,
                &reading,
                site.progress.as_ref(),
            )?)
        }
        (None, Some(code)) => {
            let options = restore::Options {
                reading,
                base: wanted
                    .base
                    .as_ref()
                    .map(|path| absolute(path))
                    .transpose()?,
                grant: wanted.grant.clone(),
                dry_run: wanted.dry_run,
            };
            value(restore::revive(site, from, code, &options)?)
        }
        _ => Err(Error::new("rpc.params", "either `into` or `as` is needed").field("into")),
    }
}

fn thinned(site: &Site, wanted: &Thin) -> Result<Value> {
    if wanted.confirm != wanted.code {
        return Err(
            Error::new("archive.unconfirmed", "the code was not repeated").field("confirm"),
        );
    }
    let only = patterns(&wanted.only)?;
    value(thin::thin(site, &wanted.code, &only, wanted.dry_run)?)
}
