//! Making a directory by its absolute path: only the last component, and only where it is not there.

use std::path::Path;

use super::dir::Dir;
use crate::error::{Error, Result};

impl Dir {
    /// Opens a directory by its absolute path; where only its last component is missing, makes it with `mode`.
    pub fn open_or_create_absolute(path: &Path, mode: u32) -> Result<Self> {
        match Self::open_absolute(path) {
            Err(error) if error.code() == "path.missing" => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    return Err(error);
                };
                let parent = Self::open_absolute(parent).map_err(|e| {
                    Error::new(
                        "path.missing",
                        format!("{} cannot be made: its parent is not there", path.display()),
                    )
                    .hint("make the parent directory first")
                    .source(e)
                })?;
                parent.create_dir(name, mode)?;
                parent.existing(name)
            }
            other => other,
        }
    }
}
