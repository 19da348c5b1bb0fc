//! Paths in a bag: as they stand in manifests, as they lie on a disk, and which ones may lead nowhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization as _;

use crate::experiment::is_windows_device;

/// The longest name in a path, in bytes (Linux, `NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// How a path stands in a manifest: `%`, LF and CR are percent-encoded, nothing else (RFC 8493, section 2.1.3).
pub fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '%' => out.push_str("%25"),
            '\n' => out.push_str("%0A"),
            '\r' => out.push_str("%0D"),
            other => out.push(other),
        }
    }
    out
}

/// The path that stands in a manifest. A `%` that encodes none of the three is itself, as old programs wrote it.
pub fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let (c, used) = match after.get(1..3) {
            Some("25") => ('%', 3),
            Some("0A" | "0a") => ('\n', 3),
            Some("0D" | "0d") => ('\r', 3),
            _ => ('%', 1),
        };
        out.push(c);
        rest = after.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Why a path of somebody else must not be used; `None` where it lies beneath its bag.
pub fn escapes(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.starts_with('~') {
        return Some("it begins with ~");
    }
    for part in path.split('/') {
        match part {
            "" => return Some("it has an empty part"),
            "." | ".." => return Some("it has a part `.` or `..`"),
            _ if part.len() > NAME_MAX => return Some("a part is longer than 255 bytes"),
            _ if part.contains('\0') => return Some("it contains NUL"),
            _ => {}
        }
    }
    None
}

/// The path of a file in a package: its own where it is UTF-8; otherwise every byte that is not becomes `_xE9_`. A name that would
/// become longer than a file system has them ends in half its checksum instead.
pub fn told(path: &[u8]) -> String {
    if let Ok(path) = str::from_utf8(path) {
        return path.to_owned();
    }
    let names: Vec<String> = path.split(|byte| *byte == b'/').map(told_name).collect();
    names.join("/")
}

fn told_name(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "_x{byte:02X}_");
        }
    }
    if out.len() > NAME_MAX {
        let sum = crate::store::sha256(name);
        let sum = sum.get(..32).unwrap_or_default();
        out.truncate(out.floor_char_boundary(NAME_MAX - 1 - sum.len()));
        let _ = write!(out, "_{sum}");
    }
    out
}

/// Percent-encodes bytes for a URI reference (RFC 3986): what is not unreserved, but `/` stays.
pub fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What may go wrong with a name elsewhere.
pub fn peculiar(path: &str) -> Option<&'static str> {
    for part in path.split('/') {
        if part.contains('%') {
            return Some(
                "it contains `%`, which bagit-python and older programs read differently from RFC 8493",
            );
        }
        let wrong = |c: char| c.is_control() || r#"<>:"|?*\"#.contains(c);
        if part.chars().any(wrong) || part.ends_with(['.', ' ']) {
            return Some("Windows cannot have such a name");
        }
        let stem = part.split('.').next().unwrap_or_default();
        if is_windows_device(stem) {
            return Some("Windows has a device of this name");
        }
    }
    None
}

/// Paths that are the same where letters have no case, or where accents are composed: pairs, the first two of each.
pub fn twins<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<(&'p str, &'p str)> {
    let fold = |path: &str| -> String { path.nfc().flat_map(char::to_lowercase).collect() };
    // Of millions only what may be the same is compared: by a number for each, with its place.
    let mut all: Vec<(u64, u32, &str)> = paths
        .zip(0..)
        .map(|(path, place)| {
            let mut hasher = std::hash::DefaultHasher::new();
            std::hash::Hash::hash(&fold(path), &mut hasher);
            (std::hash::Hasher::finish(&hasher), place, path)
        })
        .collect();
    all.sort_unstable();
    let mut found = Vec::new();
    for same in all
        .chunk_by(|a, b| a.0 == b.0)
        .filter(|same| same.len() > 1)
    {
        let mut firsts: BTreeMap<String, &str> = BTreeMap::new();
        for (_, place, path) in same {
            let first = firsts.entry(fold(path)).or_insert(path);
            if first != path {
                found.push((*place, (*first, *path)));
            }
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, pair)| pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(path in "[a-z%\n\r25AD/]{0,40}") {
            let encoded = encode(&path);
            prop_assert!(!encoded.contains(['\n', '\r']));
            prop_assert_eq!(decode(&encoded), path);
        }

        #[test]
        fn nothing_that_is_let_through_leaves_the_bag(path in "[./a~]{0,12}") {
            if escapes(&path).is_none() {
                let out = std::path::Path::new("/bag").join(&path);
                prop_assert!(out.starts_with("/bag"));
                let plain = |c| matches!(c, std::path::Component::Normal(_));
                prop_assert!(std::path::Path::new(&path).components().all(plain));
            }
        }
    }

    #[test]
    fn old_percent_signs_are_themselves() {
        assert_eq!(decode("50%.txt"), "50%.txt");
        assert_eq!(decode("a%2Fb"), "a%2Fb");
        assert_eq!(decode("%0a%0D%25"), "\n\r%");
        assert_eq!(decode("é%"), "é%");
    }

    #[test]
    fn a_name_in_another_encoding_has_a_readable_one() {
        assert_eq!(told(b"caf\xe9.csv"), "caf_xE9_.csv");
        assert_eq!(told("café".as_bytes()), "café");
        let long = [b"raw/".as_slice(), &[0xe9; 255], b"/caf\xe9"].concat();
        let path = told(&long);
        let names: Vec<&str> = path.split('/').collect();
        assert_eq!(
            (names[0], names[1].len(), names[2]),
            ("raw", 255, "caf_xE9_")
        );
        assert_ne!(
            told(&[0xe9; 255]),
            told(&[&[0xe9; 254][..], &[0xe8]].concat())
        );
        assert!(told(&[&[0xff; 60][..], "é".repeat(97).as_bytes()].concat()).len() <= NAME_MAX);
    }

    #[test]
    fn twins_and_peculiar_names_are_told() {
        let paths = ["data/A", "data/a", "data/e\u{301}", "data/\u{e9}", "data/b"];
        let found = twins(paths.into_iter());
        assert_eq!(
            found,
            [("data/A", "data/a"), ("data/e\u{301}", "data/\u{e9}")]
        );
        for name in ["a%b", "a:b", "con.txt", "x/NUL", "end.", "tab\t"] {
            assert!(peculiar(name).is_some(), "{name}");
        }
        for name in ["a b", "é/ü.csv", "console"] {
            assert!(peculiar(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_uri_is_of_ascii() {
        assert_eq!(uri("data/é a%.csv"), "data/%C3%A9%20a%25.csv");
    }
}
