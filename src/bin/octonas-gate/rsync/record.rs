//! The record of what OctoNAS made (`metadata/applied.jsonl`) and that of the rights before an import are for root alone. A copy
//! of a whole experiment would end with code 23 (partial transfer) for their sake: where we send, they are left out by name, and
//! nothing else is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Where the records lie, seen from the top of an experiment.
const METADATA: &str = "metadata";
/// The records.
const RECORDS: [&str; 2] = ["applied.jsonl", "before-import.facl"];

/// `--exclude` patterns, anchored at the root of the transfer (rsync(1), "ANCHORING INCLUDE/EXCLUDE PATTERNS"), for paths
/// that hold the records at their usual place. `start` holds the experiments.
pub fn left_out(paths: &[Vec<u8>], start: &Path) -> Vec<Vec<u8>> {
    // What stands before the name of a record.
    let mut places = Vec::new();
    for path in paths {
        let whole = Path::new(OsStr::from_bytes(path));
        let below = whole.strip_prefix(start).unwrap_or(whole);
        let mut names = Vec::new();
        for part in below.components() {
            match part {
                Component::Normal(name) => names.push(name),
                Component::CurDir => {}
                _ => return Vec::new(),
            }
        }
        let inside = path.ends_with(b"/") || path.ends_with(b"/.");
        match names.as_slice() {
            [] => places.push(format!("/*/{METADATA}/")),
            [code] => {
                let Some(code) = code.to_str().filter(|code| is_plain(code)) else {
                    continue;
                };
                places.push(format!("/{code}/{METADATA}/"));
                if inside {
                    places.push(format!("/{METADATA}/"));
                }
            }
            [_, directory] if *directory == METADATA => {
                places.push(format!("/{METADATA}/"));
                if inside {
                    places.push("/".to_owned());
                }
            }
            _ => {}
        }
    }
    places.sort_unstable();
    places.dedup();
    let option = |place: &String| {
        let place = place.clone();
        RECORDS.map(move |record| format!("--exclude={place}{record}").into_bytes())
    };
    places.iter().flat_map(option).collect()
}

/// Nothing in it means anything in a pattern: as codes are.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands before the records; every place has both of them.
    fn places(paths: &[&str]) -> String {
        let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        let all = left_out(&paths, Path::new("/experiments"));
        let all: Vec<_> = all.iter().map(|p| String::from_utf8_lossy(p)).collect();
        let ending = |record: &str| -> Vec<String> {
            let option = |each: &str| each.strip_prefix("--exclude=").unwrap().to_owned();
            let with = all.iter().filter_map(|each| each.strip_suffix(record));
            with.map(option).collect()
        };
        assert_eq!(ending("applied.jsonl"), ending("before-import.facl"));
        assert_eq!(all.len(), 2 * ending("applied.jsonl").len());
        ending("applied.jsonl").join(" ")
    }

    #[test]
    fn only_copies_that_hold_the_records_leave_them_out() {
        for (paths, left_out) in [
            (&["eco/"][..], "/eco/metadata/ /metadata/"),
            (&["eco"], "/eco/metadata/"),
            (&["./eco/."], "/eco/metadata/ /metadata/"),
            (&["/experiments/eco"], "/eco/metadata/"),
            (&["."], "/*/metadata/"),
            (&["eco/metadata"], "/metadata/"),
            (&["eco/metadata/"], "/ /metadata/"),
            (&["eco", "lake"], "/eco/metadata/ /lake/metadata/"),
            (&["eco/raw/"], ""),
            (&["eco/raw/metadata/"], ""),
            (&["e*o/"], ""),
            (&["eco/../lake/"], ""),
        ] {
            assert_eq!(places(paths), left_out, "{paths:?}");
        }
    }
}
