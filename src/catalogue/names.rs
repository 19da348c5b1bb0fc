//! Names that will hurt later: what Windows, macOS, Samba or a script make of them. Pure.

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The longest path that old programs on Windows open, in UTF-16 units, drive and share included (`MAX_PATH`).
const WINDOWS_PATH: usize = 240;

/// What is wrong with a path below `data/`, one code each; the file is stored all the same.
pub fn warnings(path: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut find = |code: &'static str, is: bool| {
        if is && !found.contains(&code) {
            found.push(code);
        }
    };
    for name in path.split('/') {
        find("name.percent", name.contains('%'));
        find("name.control", name.chars().any(char::is_control));
        find("name.windows", reserved(name));
        find(
            "name.trailing",
            name.ends_with(['.', ' ']) || name.starts_with(' '),
        );
        find("name.decomposed", !is_nfc(name));
        find(
            "name.deceiving",
            name.chars().any(crate::experiment::text::deceives),
        );
    }
    find("name.long", path.encode_utf16().count() > WINDOWS_PATH);
    found
}

/// What a warning means, for people.
pub fn explain(code: &str) -> &'static str {
    match code {
        "name.percent" => "`%` in a name is taken for a placeholder by scripts and by Windows",
        "name.control" => "an invisible control character stands in the name",
        "name.windows" => "Windows cannot open a file of this name",
        "name.trailing" => "a space or dot at an end of a name is lost on Windows",
        "name.decomposed" => {
            "accents are written in two pieces (NFD): other programs may not find the name"
        }
        "name.deceiving" => "an invisible character makes the name look like another one",
        "name.long" => "the path is too long for many programs on Windows",
        _ => "the name will cause trouble",
    }
}

/// True for names that Windows refuses (Microsoft: Naming Files, Paths, and Namespaces).
fn reserved(name: &str) -> bool {
    name.contains(['\\', ':', '*', '?', '"', '<', '>', '|'])
        || crate::experiment::is_windows_device(name)
}

/// What two names have in common that cannot lie side by side: case, composition of accents, dots and spaces at the end.
pub fn fold(name: &str) -> String {
    let lower: String = name.nfc().flat_map(char::to_lowercase).nfc().collect();
    let short = lower.trim_end_matches(['.', ' ']);
    if short.is_empty() {
        lower
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_will_hurt_are_named() {
        for (path, codes) in [
            ("a/b.csv", &[][..]),
            ("été/mesure n°1 (2).csv", &[]),
            ("100%.csv", &["name.percent"]),
            ("a/aux.txt", &["name.windows"]),
            ("12:30.csv", &["name.windows"]),
            ("dir./b", &["name.trailing"]),
            ("e\u{301}te.csv", &["name.decomposed"]),
            ("a\tb%", &["name.percent", "name.control"]),
            ("a\u{202e}vsc.exe", &["name.deceiving"]),
        ] {
            assert_eq!(warnings(path), codes, "{path:?}");
        }
        assert_eq!(warnings(&"abcdefgh/".repeat(40)), ["name.long"]);
        for code in warnings("%:\t .") {
            assert_ne!(explain(code), explain("other"));
        }
    }

    #[test]
    fn twins_fold_to_the_same() {
        for (a, b) in [
            ("A.csv", "a.CSV"),
            ("e\u{301}te", "\u{e9}te"),
            ("E\u{301}TE", "\u{e9}te"),
            ("data.", "data"),
            ("data ", "DATA"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("a1"), fold("a2"));
        assert_eq!(fold(". ."), ". .");
    }
}
