//! Evidence files beside the data, and the `SQLite` index over them.
//!
//! Evidence (claim, applied record, baseline, checks, ledger, tombstones, what is set for the night, definition) is plain text, fsynced before anything relies on
//! it. The index can be lost: it is rebuilt from the evidence. Called by `provision` and the rooms above it.

pub mod applied;
pub mod baseline;
pub mod catalogue;
pub mod chain;
pub mod checks;
pub mod claim;
pub mod definition;
pub mod intake;
pub mod ledger;
mod lines;
pub mod pathname;
pub mod receipts;
pub mod registry;
pub mod source_keys;
pub mod tombstone;
pub mod tonight;
pub mod trash;

use std::ffi::OsStr;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::sys::acl::{Perms, Which};
use crate::sys::dir::{Dir, FileKind};

/// The directory of a base that holds its evidence: `<base>/.octonas`, root only.
pub const EVIDENCE: &str = ".octonas";

/// Opens the evidence directory of a base; one that does not exist is the error `base.unclaimed`.
pub fn evidence(base: &Dir) -> Result<Dir> {
    base.child(EVIDENCE)?.ok_or_else(|| claim::unclaimed(base))
}

/// Takes away the unfinished files that killed runs left among the evidence of a base; only under the lock of whoever
/// writes there.
pub fn remove_unfinished(base: &Dir) -> Result<()> {
    let house = evidence(base)?;
    house.remove_unfinished()?;
    match house.child(tombstone::DIRECTORY)? {
        Some(stones) => stones.remove_unfinished(),
        None => Ok(()),
    }
}

/// Gives a file of ours the rights of the directory it lies in: members read it.
pub fn show(dir: &Dir, name: impl AsRef<OsStr>) -> Result<()> {
    let Some(mut acl) = dir.acl(Which::Default)? else {
        return Ok(());
    };
    let Some(node) = dir.node_at(name)? else {
        return Ok(());
    };
    acl.user_obj = Perms::from_bits(6);
    acl.mask = acl.mask.map(|_| Perms::from_bits(4));
    let right = match node.acl(Which::Access)? {
        Some(now) => now == acl,
        // An access list that says no more than the mode is kept as the mode.
        None => acl.is_minimal() && node.metadata()?.mode & 0o777 == acl.mode_bits(),
    };
    if right {
        return Ok(());
    }
    node.set_acl(Which::Access, Some(&acl))
}

/// The bits of a mode for anybody but the owner.
const OTHERS: u32 = 0o077;

/// Gives everything below `dir` that is not private (0600, 0700) the rights that `dir` has now: after its groups were made
/// again, whose numbers are others.
pub fn show_below(dir: &Dir) -> Result<()> {
    let Some(default) = dir.acl(Which::Default)? else {
        return Ok(());
    };
    for entry in dir.entries()? {
        let seen = dir.stat(&entry.name)?;
        if seen.is_none_or(|found| found.mode & OTHERS == 0) {
            continue;
        }
        match entry.kind {
            FileKind::File => show(dir, &entry.name)?,
            FileKind::Directory => {
                let Some(below) = dir.child(&entry.name)? else {
                    continue;
                };
                let mut access = default.clone();
                access.mask = access.mask.map(|_| Perms::from_bits(5));
                for (which, wanted) in [(Which::Access, &access), (Which::Default, &default)] {
                    if below.acl(which)?.as_ref() != Some(wanted) {
                        below.set_acl(which, Some(wanted))?;
                    }
                }
                show_below(&below)?;
            }
            FileKind::Link | FileKind::Special => {}
        }
    }
    Ok(())
}

/// Makes a directory (0700) if it is not there, and opens it.
pub fn private_dir(parent: &Dir, name: &str) -> Result<Dir> {
    parent.create_dir(name, 0o700)?;
    let dir = parent.existing(name)?;
    if dir.metadata()?.mode != 0o700 {
        dir.set_mode(0o700)?;
    }
    Ok(dir)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Reads a whole JSON file of ours.
fn read_json<T: serde::de::DeserializeOwned>(dir: &Dir, name: &str) -> Result<Option<T>> {
    let Some(bytes) = dir.read(name, 1 << 20)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        Error::new(
            "file.damaged",
            format!("{} cannot be read", dir.path_of(name).display()),
        )
        .hint("restore the file from a backup or a replica")
        .source(e)
    })
}

/// Writes a whole JSON file of ours, mode 0600.
fn write_json(dir: &Dir, name: &str, value: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new("output.failed", "cannot encode a record as JSON").source(e))?;
    text.push('\n');
    dir.write(
        name,
        text.as_bytes(),
        &crate::sys::dir::Permissions::PRIVATE,
    )
}

#[cfg(test)]
mod tests {
    use crate::sys::fault;

    pub(super) use crate::sys::dir::tests::directory;

    /// How many fault points `work` passes.
    pub(super) fn points_of<T>(work: impl FnOnce() -> T) -> u64 {
        fault::trace(work).1.len() as u64
    }

    /// Runs `work` so that its `nth` fault point suffers `fault`.
    pub(super) fn with_fault<T>(fault: &str, nth: u64, work: impl FnOnce() -> T) -> T {
        fault::suffer(format!("{fault}:{nth}").parse().unwrap(), work)
    }

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        assert_eq!(
            super::sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
