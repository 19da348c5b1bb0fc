//! Paths: below an experiment (`RelPath`), and of a base (`AbsPath`). Each is made only by its parser.

use unicode_normalization::UnicodeNormalization as _;

use super::text::{checked_text, deceives, quote};
use crate::error::{Error, Result};

/// The longest name of one directory or file, in bytes (`NAME_MAX`, limits.h(0p)).
pub const NAME_MAX: usize = 255;
/// The longest path below an experiment, in bytes.
pub const PATH_MAX: usize = 1024;

/// A path below an experiment: components joined by `/`, at least one, Unicode NFC.
///
/// Every component can be a name on Linux, Windows and in a terminal: not empty, no `.` or `..`, no control or
/// deceiving characters, none of `\ : * ? " < > |`, no Windows device, no dot or space at an end, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);
checked_text!(RelPath);

impl RelPath {
    /// Checks a path, and brings it to NFC.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > PATH_MAX * 4 {
            return Err(too_long(text.len()));
        }
        let text: String = text.nfc().collect();
        if text.len() > PATH_MAX {
            return Err(too_long(text.len()));
        }
        if text.is_empty() {
            return Err(Error::new("path.empty", "a path is empty"));
        }
        if text.starts_with('/') {
            return Err(Error::new(
                "path.absolute",
                format!("the path {} begins with `/`", quote(&text)),
            )
            .hint("write it as seen from the experiment's directory, like `raw/c1`"));
        }
        for component in text.split('/') {
            check_component(component).map_err(|why| {
                let code = if component == ".." {
                    "path.escapes"
                } else {
                    "path.invalid"
                };
                Error::new(code, format!("the path {} {why}", quote(&text)))
            })?;
        }
        Ok(Self(text))
    }

    /// The names from the top down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path of something below.
    pub fn join(&self, below: &Self) -> Result<Self> {
        Self::parse(&format!("{}/{}", self.0, below.0))
    }

    /// The path of what holds this; nothing for what lies in the experiment's own directory.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// True for `other` itself and everything below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(&other.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn too_long(length: usize) -> Error {
    Error::new(
        "path.invalid",
        format!("a path of {length} bytes is too long; at most {PATH_MAX} are allowed"),
    )
}

/// Says why a name cannot be a component of a [`RelPath`].
fn check_component(name: &str) -> std::result::Result<(), String> {
    if name.is_empty() {
        return Err("has an empty component".into());
    }
    if name == "." || name == ".." {
        return Err(format!("has the component `{name}`"));
    }
    if name.len() > NAME_MAX {
        return Err(format!(
            "has a component of {} bytes; at most {NAME_MAX} are allowed",
            name.len()
        ));
    }
    for c in name.chars() {
        if c.is_control() || deceives(c) {
            return Err(format!(
                "contains the invisible or control character U+{:04X}",
                u32::from(c)
            ));
        }
        if matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') {
            return Err(format!("contains `{c}`, which Windows does not allow"));
        }
    }
    if name.starts_with(char::is_whitespace)
        || name.ends_with(|c: char| c == '.' || c.is_whitespace())
    {
        return Err("has a component that begins with a space, or ends in a space or dot".into());
    }
    if is_windows_device(name) {
        return Err(format!("contains {}, a device on Windows", quote(name)));
    }
    Ok(())
}

/// True for names that Windows gives to devices, with any extension (Microsoft: Naming Files, Paths, and Namespaces).
pub(crate) fn is_windows_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_lowercase();
    if matches!(
        stem.as_str(),
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$"
    ) {
        return true;
    }
    ["com", "lpt"].iter().any(|device| {
        stem.strip_prefix(device).is_some_and(|n| {
            matches!(n, "¹" | "²" | "³") || (n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
        })
    })
}

/// An absolute path in its plain form: no `.`, `..` or empty component, no slash at the end, not `/` itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsPath(String);
checked_text!(AbsPath);

impl AbsPath {
    /// Checks a path; one slash at the end is taken away. Nothing on any disk is asked.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::new("path.invalid", format!("the path {} {why}", quote(text)))
                .hint("write an absolute path, like `/srv/dev-disk-by-uuid-…/octonas`")
        };
        if text.len() > PATH_MAX {
            return Err(too_long(text.len()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(refused("does not begin with `/`"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Err(refused("is the root of the whole system"));
        }
        for component in rest.split('/') {
            if matches!(component, "" | "." | "..") {
                return Err(refused("has an empty component, `.` or `..`"));
            }
            if component.len() > NAME_MAX {
                return Err(refused("has a component of more than 255 bytes"));
            }
            if component.chars().any(|c| c.is_control() || deceives(c)) {
                return Err(refused("contains invisible or control characters"));
            }
        }
        Ok(Self(format!("/{rest}")))
    }

    /// The same as a path of the standard library.
    pub fn as_path(&self) -> &std::path::Path {
        std::path::Path::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn a_path_cannot_leave_the_experiment() {
        for bad in [
            "..",
            "../x",
            "raw/..",
            "raw/../../etc",
            ".",
            "./raw",
            "",
            "/",
            "/etc",
            "raw/",
            "raw//x",
            "//",
        ] {
            assert!(RelPath::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RelPath::parse("a/../b").unwrap_err().code(), "path.escapes");
        assert_eq!(RelPath::parse("/etc").unwrap_err().code(), "path.absolute");
    }

    #[test]
    fn a_path_has_only_names_that_every_system_can_show() {
        for bad in [
            "a\0b",
            "a\nb",
            "a\x1b[2J",
            "a\u{202e}txt",
            "a\u{200b}",
            "a\\b",
            "a:b",
            "a*",
            "a?",
            "a\"",
            "<a>",
            "a|b",
            "a.",
            "a ",
            " a",
            "con",
            "raw/NUL.txt",
            "COM1",
            "lpt¹",
            "a\u{85}",
            "a\u{2028}b",
        ] {
            assert_eq!(
                RelPath::parse(bad).unwrap_err().code(),
                "path.invalid",
                "{bad:?}"
            );
        }
        for good in [
            "raw",
            "raw/c1/2026",
            "Été 2026",
            ".hidden",
            "a..b",
            "console",
            "com10",
            "日本",
            "a~b%20+@é",
        ] {
            assert_eq!(path(good).as_str(), good);
        }
    }

    #[test]
    fn a_name_has_255_bytes_and_a_path_1024() {
        let name = "a".repeat(255);
        assert_eq!(path(&name).as_str(), name);
        assert!(RelPath::parse(&"a".repeat(256)).is_err());
        assert!(RelPath::parse(&"é".repeat(128)).is_err());
        assert!(RelPath::parse(&[name.as_str(); 4].join("/")).is_ok());
        assert!(RelPath::parse(&[name.as_str(); 5].join("/")).is_err());
        assert!(RelPath::parse(&"e\u{301}".repeat(1_000_000)).is_err());
    }

    #[test]
    fn decomposed_letters_become_the_composed_ones() {
        assert_eq!(path("e\u{301}te\u{301}"), path("été"));
    }

    #[test]
    fn within_goes_by_components_not_by_letters() {
        assert!(path("raw/c1").is_within(&path("raw")));
        assert!(path("raw").is_within(&path("raw")));
        assert!(!path("raw2").is_within(&path("raw")));
        assert!(!path("raw").is_within(&path("raw/c1")));
        assert_eq!(path("raw/c1").parent(), Some(path("raw")));
        assert_eq!(path("raw").parent(), None);
        assert_eq!(path("raw").join(&path("c1/x")).unwrap(), path("raw/c1/x"));
        assert_eq!(path("raw/c1").name(), "c1");
    }

    #[test]
    fn a_base_is_absolute_and_plain() {
        assert_eq!(
            AbsPath::parse("/srv/disk/octonas/").unwrap().as_str(),
            "/srv/disk/octonas"
        );
        for bad in [
            "",
            "/",
            "//",
            "srv",
            "/srv/../etc",
            "/srv//x",
            "/srv/./x",
            "/srv/\n",
            "/srv\0",
        ] {
            assert!(AbsPath::parse(bad).is_err(), "{bad:?}");
        }
    }
}
