//! Data that is being deleted: out of sight by one rename, then gone file by file. What a crash left is found by name.

use super::{EVIDENCE, catalogue, evidence, intake, private_dir};
use crate::error::Result;
use crate::experiment::{Code, ExperimentId};
use crate::sys::dir::{Dir, Replace};

const DIRECTORY: &str = "trash";

/// Moves an experiment's directory out of the base's sight, to `<base>/.octonas/trash/<id>`. Durable when it returns.
pub fn discard(base: &Dir, id: &ExperimentId, code: &Code) -> Result<()> {
    let trash = private_dir(&evidence(base)?, DIRECTORY)?;
    base.rename(code.as_str(), &trash, id.to_string(), Replace::Never)
}

/// Deletes what was discarded of an experiment, what was on its way in or refused, and its index; run again after a crash,
/// it goes on. The baseline and the ledger stay: they say what there was. False where there was nothing.
pub fn empty(base: &Dir, id: &str) -> Result<bool> {
    for room in [intake::INCOMING, intake::REFUSED] {
        if let Some(dir) = base.open(format!("{EVIDENCE}/{room}"))? {
            dir.remove_tree(id)?;
        }
    }
    if let Some(dir) = base.open(format!("{EVIDENCE}/{}", catalogue::DIRECTORY))? {
        for end in ["", "-journal", ".damaged"] {
            dir.remove_file(format!("{id}.sqlite{end}"))?;
        }
    }
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
