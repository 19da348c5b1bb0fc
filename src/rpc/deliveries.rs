//! What sources deliver, and the keys with which they come in.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::{Nothing, One, absolute, anybody, params, value};
use crate::error::{Error, Result};
use crate::experiment::{Code, SourceId};
use crate::provision::site::Site;
use crate::provision::{ingest, source, synckit};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Take {
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    no_probe: bool,
    #[serde(default)]
    dry_run: bool,
}

impl Take {
    fn options(&self) -> ingest::Options {
        ingest::Options {
            dry_run: self.dry_run,
            no_probe: self.no_probe,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Enrolment {
    code: Code,
    source: SourceId,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Kit {
    code: Code,
    source: SourceId,
    #[serde(default)]
    zip: Option<PathBuf>,
    #[serde(default)]
    output: Option<PathBuf>,
    #[serde(default)]
    directory: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    watch: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

impl Kit {
    fn target(&self) -> Result<Option<synckit::Target>> {
        match (&self.output, &self.zip) {
            (Some(path), None) => Ok(Some(synckit::Target::Directory(absolute(path)?))),
            (None, Some(path)) => Ok(Some(synckit::Target::Zip(absolute(path)?))),
            (None, None) if self.dry_run => Ok(None),
            _ => Err(Error::new(
                "rpc.params",
                "`output` or `zip` says where to, and only one of them",
            )
            .field("zip")),
        }
    }
}

/// What administrators may do.
pub(super) fn admin(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "ingest" => {
            let take: Take = params(given)?;
            if take.code.is_some() == take.all {
                return Err(
                    Error::new("rpc.params", "either `code` or `all` is needed").field("code")
                );
            }
            value(ingest::ingest(site, take.code.as_ref(), take.options())?)
        }
        "build-synckit" => {
            let kit: Kit = params(given)?;
            let target = kit.target()?;
            let (code, source) = (kit.code, kit.source);
            let options = synckit::Options {
                directory: kit.directory,
                host: kit.host,
                port: kit.port,
                watch: kit.watch,
                dry_run: kit.dry_run,
            };
            value(synckit::build(
                site,
                &code,
                &source,
                target.as_ref(),
                &options,
            )?)
        }
        "landing" => value(ingest::landing(site, &params::<One>(given)?.code)?),
        "list-silent-sources" => {
            let Nothing {} = params(given)?;
            value(source::silent(site)?)
        }
        "list-sources" => value(source::list(site, &params::<One>(given)?.code)?),
        "enrol-source" => {
            let given: Enrolment = params(given)?;
            let text = given.key.as_deref().ok_or_else(|| {
                Error::new(
                    "rpc.params",
                    "`key` is missing: the line of the `.pub` file",
                )
                .field("key")
            })?;
            value(source::enrol(
                site,
                &given.code,
                &given.source,
                text,
                given.dry_run,
            )?)
        }
        "revoke-source" => {
            let given: Enrolment = params(given)?;
            let fingerprint = given.fingerprint.as_deref();
            value(source::revoke(
                site,
                &given.code,
                &given.source,
                fingerprint,
                given.dry_run,
            )?)
        }
        _ => anybody(site, method, given),
    }
}
