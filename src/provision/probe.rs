//! Looking into files: one by its path, or all of an experiment.

use std::path::Path;

use super::site::{self, Site};
use crate::catalogue::examine::{self, Examined, Options};
use crate::catalogue::probe;
use crate::content::Contents;
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::report::said;
use crate::store::catalogue::Catalogue;
use crate::sys::dir::Dir;
use crate::sys::{clock, lock};

/// What is inside the file of an absolute path. The path is that of whoever asks: links before its last part are theirs.
pub fn file(path: &Path) -> Result<Contents> {
    let missing = || {
        Error::new(
            "path.missing",
            format!("there is no file {}", path.display()),
        )
        .hint("name a file, or an experiment by its code")
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(missing());
    };
    let parent = parent.canonicalize().map_err(|_| missing())?;
    let node = Dir::open_absolute(&parent)?.node_at(name)?;
    probe::probe(&node.ok_or_else(missing)?)
}

/// Looks into all files of an experiment that have changed since somebody last looked.
pub fn experiment(site: &Site, code: &Code, options: Options) -> Result<Examined> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let id = opened.identity()?;
    // Two at a time would look into every file twice; whatever else happens to the experiment need not wait for us.
    let _one = lock::lock(&site.locks, &format!("probe-{id}"), site::PATIENCE)?;
    let mut catalogue = {
        let _writer = site.lock_experiment(&id.to_string())?;
        Catalogue::open(&opened.base.dir, &id)?
    };
    let begun = clock::now();
    let examined = examine::examine(&opened.dir, &mut catalogue, options, site.progress.as_ref())?;
    if examined.probed > 0 && !options.dry_run {
        let seconds = clock::now().duration_since(begun).as_secs();
        site.progress.note(&said!(
            "{} files in {seconds} s",
            "{} fichiers en {seconds} s",
            examined.probed
        ));
    }
    Ok(examined)
}
