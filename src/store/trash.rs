//! Data that is being deleted: out of sight by one rename, then gone file by file. What a crash left is found by name.

use super::{EVIDENCE, evidence, private_dir};
use crate::error::Result;
use crate::experiment::{Code, ExperimentId};
use crate::sys::dir::{Dir, Replace};

const DIRECTORY: &str = "trash";

/// Moves an experiment's directory out of the base's sight, to `<base>/.octonas/trash/<id>`. Durable when it returns.
pub fn discard(base: &Dir, id: &ExperimentId, code: &Code) -> Result<()> {
    let trash = private_dir(&evidence(base)?, DIRECTORY)?;
    base.rename(code.as_str(), &trash, id.to_string(), Replace::Never)
}

/// Deletes what was discarded of an experiment; run again after a crash, it goes on. False where there was nothing.
pub fn empty(base: &Dir, id: &str) -> Result<bool> {
    match base.open(format!("{EVIDENCE}/{DIRECTORY}"))? {
        Some(trash) => trash.remove_tree(id),
        None => Ok(false),
    }
}

/// The ids of experiments whose data waits to be deleted.
pub fn waiting(base: &Dir) -> Result<Vec<String>> {
    let Some(trash) = base.open(format!("{EVIDENCE}/{DIRECTORY}"))? else {
        return Ok(Vec::new());
    };
    let entries = trash.entries()?;
    Ok(entries
        .into_iter()
        .filter_map(|entry| entry.name.into_string().ok())
        .collect())
}
