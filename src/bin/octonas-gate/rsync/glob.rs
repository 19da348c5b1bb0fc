//! Wildcards in the paths of a download (`nas:eco-2026/raw/*.csv`), which a shell on the far side would expand:
//! `*`, `?` and `[…]` within one component; hidden names only where the pattern starts with a dot.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::refusal::{Refusal, Result};
use crate::words::Word;

/// More matches than this are refused; the system's limit on arguments is not far.
const MAX_MATCHES: usize = 10_000;

/// Names looked at for one pattern, whatever it matches (`*/*/*/*` of a large tree).
const MAX_LOOKED_AT: usize = 500_000;

type Component = Vec<(u8, bool)>;

/// The paths that match, sorted; the pattern itself, unquoted, if there is none, as a shell does.
pub fn expand(word: &Word, start: &Path) -> Result<Vec<Vec<u8>>> {
    let characters: Component = word.iter().collect();
    let components: Vec<&[(u8, bool)]> = characters.split(|(byte, _)| *byte == b'/').collect();
    let mut found: Vec<Vec<u8>> = vec![Vec::new()];
    let mut looked_at = 0;
    for (number, component) in components.iter().enumerate() {
        let last = number + 1 == components.len();
        let mut next = Vec::new();
        for prefix in found {
            if is_pattern(component) {
                next.extend(matching(&prefix, component, last, start, &mut looked_at));
            } else {
                let name = component.iter().map(|(byte, _)| *byte);
                let path: Vec<u8> = prefix.iter().copied().chain(name).collect();
                let known_to_exist = next.len();
                next.push(path);
                // After a wildcard, a fixed name must exist; before one, the listing will tell.
                let after_wildcard = components[..number].iter().any(|before| is_pattern(before));
                looked_at += 1;
                if after_wildcard && !component.is_empty() && !exists(&next[known_to_exist], start)
                {
                    next.pop();
                }
            }
            if next.len() > MAX_MATCHES || looked_at > MAX_LOOKED_AT {
                return Err(
                    Refusal::new("this pattern means too many files (more than 10000)")
                        .hint("name the directory, with --include and --exclude"),
                );
            }
        }
        if !last {
            for path in &mut next {
                path.push(b'/');
            }
        }
        found = next;
    }
    if found.is_empty() {
        return Ok(vec![word.bytes().to_vec()]);
    }
    found.sort();
    Ok(found)
}

/// The entries of the directory `prefix` that match; before the last component only directories do.
fn matching(
    prefix: &[u8],
    component: &[(u8, bool)],
    last: bool,
    start: &Path,
    looked_at: &mut usize,
) -> Vec<Vec<u8>> {
    let directory = start.join(OsStr::from_bytes(prefix));
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for entry in entries.filter_map(std::result::Result::ok) {
        *looked_at += 1;
        if *looked_at > MAX_LOOKED_AT || names.len() > MAX_MATCHES {
            break; // the caller refuses
        }
        let name = entry.file_name().into_vec();
        if matches(component, &name) && (last || entry.path().is_dir()) {
            names.push([prefix, name.as_slice()].concat());
        }
    }
    names
}

fn exists(path: &[u8], start: &Path) -> bool {
    start
        .join(OsStr::from_bytes(path))
        .symlink_metadata()
        .is_ok()
}

fn is_pattern(component: &[(u8, bool)]) -> bool {
    component
        .iter()
        .any(|(byte, quoted)| !quoted && matches!(byte, b'*' | b'?' | b'['))
}

/// Does one name match one component?
fn matches(pattern: &[(u8, bool)], name: &[u8]) -> bool {
    if name.starts_with(b".") && pattern.first().map(|(byte, _)| *byte) != Some(b'.') {
        return false;
    }
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some((b'*', false)) => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            // A name is bytes here, but ? is one character of UTF-8.
            Some((b'?', false)) => Some((1, character(&name[n..]))),
            Some((b'[', false)) => class(&pattern[p..], name[n])
                .map_or((name[n] == b'[').then_some((1, 1)), |(length, within)| {
                    within.then_some((length, 1))
                }),
            Some((byte, _)) if *byte == name[n] => Some((1, 1)),
            _ => None,
        };
        match (step, star) {
            (Some((in_pattern, in_name)), _) => {
                p += in_pattern;
                n += in_name;
            }
            (None, Some((after, from))) => {
                p = after;
                n = from + 1;
                star = Some((after, n));
            }
            (None, None) => return false,
        }
    }
    pattern[p..]
        .iter()
        .all(|character| *character == (b'*', false))
}

/// Bytes of the first character.
fn character(name: &[u8]) -> usize {
    1 + name[1..]
        .iter()
        .take_while(|byte| **byte & 0xc0 == 0x80)
        .count()
}

/// A class `[a-z]`, `[!a]`: its length in the pattern, and whether the byte is in it; `None` if it has no end.
fn class(pattern: &[(u8, bool)], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some((b'!' | b'^', false)));
    let first = 1 + usize::from(negated);
    let end = pattern
        .iter()
        .skip(first + 1)
        .position(|character| *character == (b']', false))?
        + first
        + 1;
    let mut set = &pattern[first..end];
    let mut within = false;
    while let [(low, _), after @ ..] = set {
        if let [(b'-', false), (high, _), rest @ ..] = after {
            within |= (*low..=*high).contains(&byte);
            set = rest;
        } else {
            within |= *low == byte;
            set = after;
        }
    }
    Some((end + 1, within != negated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Component {
        Word::sent(text.as_bytes()).iter().collect()
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (text, name, yes) in [
            ("*", "a.csv", true),
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("a[0-9]", "a7", true),
            ("a[!0-9]", "a7", false),
            ("a[]x]", "a]", true),
            ("a[", "a[", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("*a*b*", "xaxxbx", true),
            ("*a*b*", "xbxa", false),
            ("", "", true),
        ] {
            assert_eq!(
                matches(&pattern(text), name.as_bytes()),
                yes,
                "{text} {name}"
            );
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn wildcards_expand_beneath_the_start() {
        let start = tempfile::tempdir().unwrap();
        for name in [
            "e1/raw/a.csv",
            "e1/raw/b.csv",
            "e1/raw/.h.csv",
            "e2/raw/c.csv",
            "e2/x",
        ] {
            let path = start.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        for (text, found) in [
            ("e1/raw/*.csv", vec!["e1/raw/a.csv", "e1/raw/b.csv"]),
            ("*/raw/[bc].csv", vec!["e1/raw/b.csv", "e2/raw/c.csv"]),
            ("*/x", vec!["e2/x"]),
            ("*/", vec!["e1/", "e2/"]),
            ("./e?/x", vec!["./e2/x"]),
            ("no/*.csv", vec!["no/*.csv"]),
            ("e1/raw/a[1].csv", vec!["e1/raw/a[1].csv"]),
        ] {
            let expected: Vec<Vec<u8>> =
                found.iter().map(|path| path.as_bytes().to_vec()).collect();
            assert_eq!(
                expand(&Word::sent(text.as_bytes()), start.path()).unwrap(),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_patterns_never_panic(text in "[a*?\\[\\]!^\\\\-]{0,12}", name in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _ = matches(&pattern(&text), &name);
        }
    }
}
