//! `--delete` and its kin only where a person may write anyway: pointed at an experiment's top (or above it), an
//! empty directory on a laptop would empty every directory of the experiment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use nix::unistd::{AccessFlags, access};

use super::has_parent;
use crate::refusal::{Refusal, Result, shown};

/// Refuses a deleting option whose paths are not all at least two levels below `start` (`<code>/<directory>`) and,
/// where they are directories, writable for this person (the frame of an experiment is not).
pub fn check(option: &str, paths: &[Vec<u8>], start: &Path) -> Result<()> {
    let nowhere = [b".".to_vec()];
    let paths = if paths.is_empty() { &nowhere } else { paths };
    for path in paths {
        if !is_own(path, start) {
            return Err(Refusal::new(format!(
                "rsync --{option} cannot be used on \"{}\"",
                shown(path)
            ))
            .hint("name a directory of the experiment in which you may write, such as CODE/raw/"));
        }
    }
    Ok(())
}

fn is_own(path: &[u8], start: &Path) -> bool {
    let Ok(start) = start.canonicalize() else {
        return false;
    };
    let full = start.join(OsStr::from_bytes(path));
    let Ok(found) = full.canonicalize() else {
        // Nothing there to delete, if the name means what it says.
        return !has_parent(path) && depth(&full, &start) >= 2;
    };
    depth(&found, &start) >= 2 && (!found.is_dir() || access(&found, AccessFlags::W_OK).is_ok())
}

/// How many names below `start` (0: not below).
fn depth(path: &Path, start: &Path) -> usize {
    path.strip_prefix(start).map_or(0, |below| {
        below
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn deleting_needs_a_directory_inside_the_experiment() {
        let start = tempfile::tempdir().unwrap();
        fs::create_dir_all(start.path().join("eco/raw/sub")).unwrap();
        fs::write(start.path().join("eco/raw/f"), "").unwrap();
        for (path, good) in [
            ("eco/raw", true),
            ("eco/raw/", true),
            ("./eco//raw/.", true),
            ("eco/raw/sub", true),
            ("eco/raw/f", true),
            ("eco/raw/new/deep", true),
            ("eco/new", true),
            ("eco", false),
            ("eco/", false),
            ("eco/.", false),
            ("new", false),
            (".", false),
            ("", false),
            ("/", false),
            ("/usr/bin", false),
            ("eco/raw/..", false),
            ("eco/raw/../raw", true),
            ("eco/new/..", false),
            ("eco/new/../x", false),
        ] {
            assert_eq!(is_own(path.as_bytes(), start.path()), good, "{path:?}");
        }
        assert!(check("delete", &[], start.path()).is_err());
        let both = [b"eco/raw".to_vec(), b"eco".to_vec()];
        assert!(check("remove-source-files", &both, start.path()).is_err());
    }
}
