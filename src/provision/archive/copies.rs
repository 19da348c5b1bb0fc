//! The copies of an archive: read again where they lie, and brought back.

use std::path::PathBuf;

use serde::Serialize;

use super::receipts::{Archived, base_of, digests, find, list};
use super::{damaged, staging};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::package::place::{self, Place};
use crate::provision::site::{OpenBase, Site};
use crate::report::said;
use crate::store::ledger::Outcome;
use crate::sys::dir::Dir;

/// A copy that was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// Of which archive.
    pub package: String,
    /// Where.
    pub place: String,
    /// `good`, `damaged` (or not there), `unreachable`.
    pub state: &'static str,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Reads every copy of an archive again.
pub fn check(site: &Site, base: &OpenBase, archived: &Archived) -> Result<Vec<Copy>> {
    let sum = digests(Some(archived.size), Some(&archived.sha256))?;
    let staging = staging(base)?;
    let mut copies = Vec::new();
    for name in &archived.places {
        let package = &archived.package;
        site.progress.note(&said!(
            "reading {package} in {name}",
            "relecture de {package} dans {name}"
        ));
        let state = Place::named(name, &site.archive.places)
            .and_then(Place::reach)
            .and_then(|place| place.check(&archived.package, &sum, &staging));
        let (state, reason) = match state {
            Ok(true) => ("good", None),
            Ok(false) => ("damaged", None),
            Err(error) if error.code() == "interrupted" => return Err(error),
            Err(error) => ("unreachable", Some(error.to_string())),
        };
        copies.push(Copy {
            package: archived.package.clone(),
            place: name.clone(),
            state,
            reason,
        });
    }
    Ok(copies)
}

/// Reads copies again: of the newest archive of an experiment, or of all of them. What was found is written into the ledger.
pub fn verify(site: &Site, code: &Code, all: bool) -> Result<Vec<Copy>> {
    let archives = if all {
        list(site, Some(code))?
    } else {
        vec![find(site, code, None)?]
    };
    let mut copies = Vec::new();
    for archived in &archives {
        let base = base_of(site, archived)?;
        let found = check(site, &base, archived)?;
        let bad: Vec<&str> = found
            .iter()
            .filter(|copy| copy.state != "good")
            .map(|copy| copy.place.as_str())
            .collect();
        let detail = [
            ("code", code.to_string()),
            ("package", archived.package.clone()),
            ("good", (found.len() - bad.len()).to_string()),
            ("bad", bad.join("\n")),
        ];
        site.record(
            &base,
            &archived.id,
            "archive-verify",
            Outcome::Done,
            &detail,
        )?;
        copies.extend(found);
    }
    Ok(copies)
}

/// A good copy of an archive, at a path of this machine: where it lies, or brought into staging, from which it is to be removed.
pub fn bring(site: &Site, code: &Code, package: Option<&str>) -> Result<(PathBuf, Option<Dir>)> {
    let archived = find(site, code, package)?;
    let base = base_of(site, &archived)?;
    let sum = digests(Some(archived.size), Some(&archived.sha256))?;
    let staging = staging(&base)?;
    let mut last = None;
    for name in &archived.places {
        let place = Place::named(name, &site.archive.places).and_then(Place::reach);
        let tried = place.and_then(|place| {
            if let Some(dir) = place.dir() {
                let good = place.check(&archived.package, &sum, &staging)?;
                return Ok(good.then(|| (dir.path_of(&archived.package), None)));
            }
            place.fetch(&archived.package, &sum, &staging)?;
            // Whoever keeps it could give back another good package: the receipt says which one it was.
            if !place::same(&staging, &archived.package, &sum)? {
                staging.remove_file(&archived.package)?;
                return Ok(None);
            }
            Ok(Some((
                staging.path_of(&archived.package),
                Some(staging.try_clone()?),
            )))
        });
        match tried {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                site.progress.warn(&said!(
                    "the copy in {name} is damaged",
                    "la copie dans {name} est endommagée"
                ));
                last = Some(damaged(name));
            }
            Err(error) => {
                site.progress.warn(&said!(
                    "the copy in {name}: {error}",
                    "la copie dans {name} : {error}"
                ));
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::new("archive.none", "there is no copy of the archive")))
}
