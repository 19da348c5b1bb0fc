//! What lies on the disks and could be taken into service: experiments that were removed, and those that another NAS
//! served. Looks at every base, and at the first level of every other data disk. Changes nothing.

use std::path::PathBuf;

use serde::Serialize;

use super::site::{self, OpenBase, Site};
use crate::error::Result;
use crate::experiment::Status;
use crate::store;
use crate::store::claim::Claim;
use crate::sys::dir::{Dir, FileKind};
use crate::sys::process;

/// An experiment that is not in service here.
#[derive(Debug, Serialize)]
pub struct Adoptable {
    /// Its directory.
    pub dir: PathBuf,
    /// Its code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Its status, as its definition says it.
    pub status: String,
    /// `removed` here, or `foreign`: another NAS served it.
    pub why: &'static str,
    /// The NAS that claims its base.
    pub claimed_by: String,
    /// Whether the base has to be taken over.
    pub take_over: bool,
}

/// Looks for them, by directory.
pub fn adoptable(site: &Site) -> Result<Vec<Adoptable>> {
    let mut found = Vec::new();
    let bases = site.bases()?;
    for base in bases.iter().filter(|base| base.available) {
        match site.base(&base.path) {
            Ok(open) => look(site, &open, false, &mut found),
            Err(error) if error.code() == "base.foreign" => {
                look(site, &site::open_base(&base.path)?, true, &mut found);
            }
            Err(_) => {}
        }
    }
    for disk in site.nas.disks()? {
        for place in places(&disk)? {
            if bases.iter().any(|base| base.path == place) {
                continue;
            }
            // A directory that goes away, or that nobody may enter, holds nothing for us.
            if let Ok(open) = site::open_base(&place) {
                look(site, &open, true, &mut found);
            }
        }
    }
    found.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(found)
}

/// A disk, and the directories in it.
fn places(disk: &std::path::Path) -> Result<Vec<PathBuf>> {
    let mut places = vec![disk.to_owned()];
    for entry in Dir::open_absolute(disk)?.entries()? {
        let hidden = entry.name.as_encoded_bytes().starts_with(b".");
        if entry.kind == FileKind::Directory && !hidden {
            places.push(disk.join(&entry.name));
        }
    }
    Ok(places)
}

/// Adds what lies in a base. What cannot be read is said, and stops nothing.
fn look(site: &Site, base: &OpenBase, take_over: bool, found: &mut Vec<Adoptable>) {
    let claim = match trusted(&base.dir).and_then(|sound| {
        if sound {
            Claim::read(&base.dir)
        } else {
            Ok(None)
        }
    }) {
        Ok(Some(claim)) => claim,
        Ok(None) => return,
        Err(error) => return site.progress.warn(&error.to_string()),
    };
    let codes = match store::definition::list(&base.dir) {
        Ok(codes) => codes,
        Err(error) => return site.progress.warn(&error.to_string()),
    };
    for code in codes {
        let opened = match base.try_clone().and_then(|base| site::open_in(base, &code)) {
            Ok(Some(opened)) => opened,
            Ok(None) => continue,
            Err(error) => {
                site.progress.warn(&format!("{code}: {error}"));
                continue;
            }
        };
        let why = if opened.definition.status == Status::Removed {
            "removed"
        } else if site.served_here(&opened).is_err() {
            "foreign"
        } else {
            // In service; on a base that is not registered any more, `octonas base add` brings it back.
            continue;
        };
        found.push(Adoptable {
            dir: opened.path(),
            code: code.to_string(),
            title: opened.definition.title.clone(),
            status: opened.definition.status.to_string(),
            why,
            claimed_by: claim.name.clone(),
            take_over,
        });
    }
}

/// Where rights are enforced, a base is root's: what anybody else put together is none.
fn trusted(base: &Dir) -> Result<bool> {
    let Some(evidence) = base.child(store::EVIDENCE)? else {
        return Ok(false);
    };
    let sound = |dir: &Dir| -> Result<bool> { Ok(dir.metadata()?.uid == 0) };
    Ok(!process::is_root() || (sound(base)? && sound(&evidence)?))
}
