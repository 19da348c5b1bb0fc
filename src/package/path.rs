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

/// The name of a file in a package: its own where it is UTF-8; otherwise every byte that is not becomes `_xE9_`.
pub fn told(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "_x{byte:02X}_");
        }
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
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for path in paths {
        let folded: String = path.nfc().flat_map(char::to_lowercase).collect();
        match seen.get(&folded) {
            Some(first) if *first != path => found.push((*first, path)),
            Some(_) => {}
            None => {
                seen.insert(folded, path);
            }
        }
    }
    found
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
