//! The evidence of an experiment: checked, copied out, and the index made again from it.

use std::path::Path;

use super::operation::Operation;
use super::site::{PATIENCE, Site};
use crate::catalogue::evidence::{self, Checked, Exported, Rebuilt};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::store::ledger::{SCAN, VERIFY};
use crate::sys::dir::{Dir, Made};
use crate::sys::lock;

/// Whether the evidence is whole. Changes nothing. Also for an experiment that was removed.
pub fn check(site: &Site, code: &Code) -> Result<Checked> {
    let opened = site.open(code)?;
    evidence::check(&opened.base.dir, &opened.identity()?)
}

/// Copies the evidence into a new directory.
pub fn export(site: &Site, code: &Code, into: &Path) -> Result<Exported> {
    let opened = site.open(code)?;
    let (Some(parent), Some(name)) = (into.parent(), into.file_name()) else {
        return Err(Error::new("path.exists", "/ is no new directory").hint("name a new directory"));
    };
    let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
    let parent = Dir::open_absolute(&parent)?;
    if parent.create_dir(name, 0o700)? == Made::Existing
        && parent.existing(name)?.iterate()?.next().is_some()
    {
        return Err(
            Error::new("path.not-empty", format!("{} is not empty", into.display()))
                .hint("name a new directory"),
        );
    }
    evidence::export(
        &opened.base.dir,
        &opened.identity()?,
        &parent.existing(name)?,
    )
}

/// Makes the index again.
pub fn rebuild(site: &Site, code: &Code, dry_run: bool) -> Result<Rebuilt> {
    let opened = site.open(code)?;
    let id = opened.identity()?;
    if dry_run {
        let checked = evidence::check(&opened.base.dir, &id)?;
        return Ok(Rebuilt {
            lines: checked.baseline.entries + checked.checks.entries,
            files: 0,
        });
    }
    let _scans = lock::lock(&site.locks, &format!("{SCAN}-{id}"), PATIENCE)?;
    let _verifies = lock::lock(&site.locks, &format!("{VERIFY}-{id}"), PATIENCE)?;
    let _experiment = site.lock_experiment(&id.to_string())?;
    let operation = Operation::on(site, &opened, "rebuild-index")?;
    operation.begin()?;
    operation.end(evidence::rebuild(&opened.base.dir, &id), |rebuilt| {
        vec![
            ("lines", rebuilt.lines.to_string()),
            ("files", rebuilt.files.to_string()),
        ]
    })
}
