//! What is left of a removed experiment, so that its data does not come back by itself:
//! `<base>/.octonas/tombstones/<id>.json`.

use serde::{Deserialize, Serialize};

use super::{EVIDENCE, evidence, private_dir, read_json, write_json};
use crate::error::Result;
use crate::experiment::ExperimentId;
use crate::sys::clock;
use crate::sys::dir::{Dir, FileKind};

pub(super) const DIRECTORY: &str = "tombstones";

/// A removed experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The experiment.
    pub id: String,
    /// Its code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// When it was removed (RFC 3339, UTC).
    pub removed: String,
    /// Who removed it.
    pub by: String,
    /// True where its files were deleted too.
    pub data_deleted: bool,
    /// What it was when it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Tombstone {
    /// A tombstone as of now.
    pub fn new(id: &ExperimentId, code: &str, title: &str, by: &str, data_deleted: bool) -> Self {
        Self {
            id: id.to_string(),
            code: code.to_owned(),
            title: title.to_owned(),
            removed: clock::now_text(),
            by: by.to_owned(),
            data_deleted,
            status: None,
        }
    }

    /// Puts it up in a base.
    pub fn write(&self, base: &Dir) -> Result<()> {
        let dir = private_dir(&evidence(base)?, DIRECTORY)?;
        write_json(&dir, &format!("{}.json", self.id), self)
    }

    /// The tombstone of an experiment; `None` where it was not removed.
    pub fn read(base: &Dir, id: &ExperimentId) -> Result<Option<Self>> {
        match base.open(format!("{EVIDENCE}/{DIRECTORY}"))? {
            Some(dir) => read_json(&dir, &format!("{id}.json")),
            None => Ok(None),
        }
    }

    /// Takes it away: the experiment was adopted again. False where there was none.
    pub fn clear(base: &Dir, id: &ExperimentId) -> Result<bool> {
        match base.open(format!("{EVIDENCE}/{DIRECTORY}"))? {
            Some(dir) => dir.remove_file(format!("{id}.json")),
            None => Ok(false),
        }
    }

    /// All tombstones of a base, by the name of their file.
    pub fn all(base: &Dir) -> Result<Vec<Self>> {
        let Some(dir) = base.open(format!("{EVIDENCE}/{DIRECTORY}"))? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for entry in dir.entries()? {
            let name = entry.name.to_string_lossy();
            if entry.kind == FileKind::File && name.ends_with(".json") {
                all.extend(read_json::<Self>(&dir, &name)?);
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::directory;

    #[test]
    fn a_tombstone_stands_until_it_is_cleared() {
        let (_temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        let id: ExperimentId = "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap();
        assert_eq!(Tombstone::read(&base, &id).unwrap(), None);
        let stone = Tombstone::new(&id, "eco", "Heat", "admin", false);
        stone.write(&base).unwrap();
        assert_eq!(Tombstone::read(&base, &id).unwrap().as_ref(), Some(&stone));
        assert_eq!(Tombstone::all(&base).unwrap(), [stone]);
        assert!(Tombstone::clear(&base, &id).unwrap());
        assert!(!Tombstone::clear(&base, &id).unwrap());
        assert_eq!(Tombstone::all(&base).unwrap(), []);
    }
}
