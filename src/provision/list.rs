//! The list of experiments: from the registry cache, without waking a disk, or read anew.

use std::path::PathBuf;

use serde::Serialize;

use super::site::{self, Opened, Site};
use crate::error::Result;
use crate::experiment::Status;
use crate::report::said;
use crate::store;
use crate::store::registry::Known;

/// The experiments of a NAS.
#[derive(Debug, Serialize)]
pub struct List {
    /// One row each, by code.
    pub rows: Vec<Known>,
    /// Bases that could not be read, and why; their rows are as old as they say.
    pub unavailable: Vec<(PathBuf, String)>,
}

/// The list. With `refresh`, and where the cache is empty, it is read from the disks.
pub fn list(site: &Site, refresh: bool) -> Result<List> {
    let mut registry = site.registry()?;
    let rows = registry.list()?;
    if !refresh && !rows.is_empty() {
        return Ok(List {
            rows,
            unavailable: Vec::new(),
        });
    }
    let mut unavailable = Vec::new();
    for base in site.bases()? {
        match scan(site, &base.path) {
            Ok(rows) => {
                registry.replace_base(&base.path.display().to_string(), &rows)?;
                super::tonight::refresh(site, &base.path);
            }
            Err(error) => unavailable.push((base.path, error.to_string())),
        }
    }
    Ok(List {
        rows: registry.list()?,
        unavailable,
    })
}

fn scan(site: &Site, path: &std::path::Path) -> Result<Vec<Known>> {
    let base = site.base(path)?;
    let mut rows = Vec::new();
    for code in store::definition::list(&base.dir)? {
        match site::open_in(base.try_clone()?, &code) {
            Ok(Some(opened)) => rows.push(site::row(&opened)),
            Ok(None) => {}
            Err(error) => site.progress.warn(&said!(
                "{code} cannot be read: {error}",
                "{code} ne peut pas être lue : {error}"
            )),
        }
    }
    Ok(rows)
}

/// Calls `work` with every experiment in service, one open at a time; what cannot be opened is given with its error.
pub fn in_service(site: &Site, mut work: impl FnMut(String, Result<Opened>)) -> Result<()> {
    for base in site.bases()? {
        let codes = site
            .base(&base.path)
            .and_then(|open| Ok((store::definition::list(&open.dir)?, open)));
        let (codes, open) = match codes {
            Ok(found) => found,
            Err(error) => {
                work(base.path.display().to_string(), Err(error));
                continue;
            }
        };
        for code in codes {
            let opened = open.try_clone().and_then(|open| site::open_in(open, &code));
            match opened {
                Ok(Some(opened)) if opened.definition.status == Status::Removed => {}
                Ok(Some(opened)) => {
                    let served = site.served_here(&opened).map(|()| opened);
                    work(code.to_string(), served);
                }
                Ok(None) => {}
                Err(error) => work(code.to_string(), Err(error)),
            }
        }
    }
    Ok(())
}
