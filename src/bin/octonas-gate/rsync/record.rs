//! The record of what OctoNAS made (`metadata/applied.jsonl`) is for root alone. A copy of a whole experiment would
//! end with code 23 (partial transfer) for its sake: where we send, it is left out by name, and nothing else is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// The record, seen from the top of an experiment.
const RECORD: &str = "metadata/applied.jsonl";

/// `--exclude` patterns, anchored at the root of the transfer (rsync(1), "ANCHORING INCLUDE/EXCLUDE PATTERNS"), for paths
/// that hold the record at their usual place. `start` holds the experiments.
pub fn left_out(paths: &[Vec<u8>], start: &Path) -> Vec<Vec<u8>> {
    let mut patterns = Vec::new();
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
            [] => patterns.push(format!("/*/{RECORD}")),
            [code] => {
                let Some(code) = code.to_str().filter(|code| is_plain(code)) else {
                    continue;
                };
                patterns.push(format!("/{code}/{RECORD}"));
                if inside {
                    patterns.push(format!("/{RECORD}"));
                }
            }
            [_, directory] if *directory == "metadata" => {
                patterns.push(format!("/{RECORD}"));
                if inside {
                    patterns.push("/applied.jsonl".to_owned());
                }
            }
            _ => {}
        }
    }
    patterns.sort_unstable();
    patterns.dedup();
    let option = |pattern: String| format!("--exclude={pattern}").into_bytes();
    patterns.into_iter().map(option).collect()
}

/// Nothing in it means anything in a pattern: as codes are.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(paths: &[&str]) -> String {
        let paths: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        let all = left_out(&paths, Path::new("/experiments"));
        let all: Vec<_> = all.iter().map(|p| String::from_utf8_lossy(p)).collect();
        all.join(" ").replace("--exclude=", "")
    }

    #[test]
    fn only_copies_that_hold_the_record_leave_it_out() {
        for (paths, left_out) in [
            (
                &["eco/"][..],
                "/eco/metadata/applied.jsonl /metadata/applied.jsonl",
            ),
            (&["eco"], "/eco/metadata/applied.jsonl"),
            (
                &["./eco/."],
                "/eco/metadata/applied.jsonl /metadata/applied.jsonl",
            ),
            (&["/experiments/eco"], "/eco/metadata/applied.jsonl"),
            (&["."], "/*/metadata/applied.jsonl"),
            (&["eco/metadata"], "/metadata/applied.jsonl"),
            (&["eco/metadata/"], "/applied.jsonl /metadata/applied.jsonl"),
            (
                &["eco", "lake"],
                "/eco/metadata/applied.jsonl /lake/metadata/applied.jsonl",
            ),
            (&["eco/raw/"], ""),
            (&["eco/raw/metadata/"], ""),
            (&["e*o/"], ""),
            (&["eco/../lake/"], ""),
        ] {
            assert_eq!(patterns(paths), left_out, "{paths:?}");
        }
    }
}
