//! The options that an rsync client sends to its server (`server_options` in options.c of rsync 3.2.3 to 3.5.0),
//! and what becomes of them here. What is not listed is refused.

/// What an option's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// It has none.
    None,
    /// A whole number, perhaps negative.
    Number,
    /// Anything.
    Text,
    /// One of the forms that clients send; any other would be a format of the client's for our log.
    LogFormat,
    /// The names of our files are UTF-8.
    Charset,
    /// A directory beneath the destination: relative, without `..`.
    Beneath,
}

/// Whom an option is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Persons and sources.
    All,
    /// Persons only: it reads, keeps, moves or replaces what is already there.
    Persons,
    /// Persons only, and only in a directory of their own to write: it deletes.
    Deleting,
}

/// One long option.
pub struct Known {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Who may send it.
    pub whom: For,
}

const fn known(name: &'static str, value: Value, whom: For) -> Known {
    Known { name, value, whom }
}

/// Letters without a value. Not among them: A and X (ACLs and extended attributes would replace ours), M, f, T.
pub const LETTERS: &[u8] = b"CDEHIJKLNORSUWbcdgklmnopqrtuvxyz";

/// Letters that a source may not use: backups (b), following links on either side (K, L, k).
pub const NOT_FOR_SOURCES: &[u8] = b"KLbk";

/// Why some options are refused, where the list alone would not say.
pub const REASONS: &[(&str, &str)] = &[
    ("daemon", "there is no rsync daemon behind this door"),
    (
        "temp-dir",
        "a file made elsewhere would bring the wrong rights along",
    ),
    ("copy-devices", "devices are not data"),
    ("write-devices", "devices are not data"),
    ("super", "nobody is root here"),
    ("fake-super", "nobody is root here"),
    ("log-file", "the NAS keeps its own log"),
    ("acls", "the NAS sets the rights"),
    ("xattrs", "the NAS sets the rights"),
];

/// Every long option that is let through.
pub const LONG: &[Known] = &[
    known("append", Value::None, For::Persons),
    known("backup-dir", Value::Beneath, For::Persons),
    known("bwlimit", Value::Number, For::All),
    known("checksum-choice", Value::Text, For::All),
    known("checksum-seed", Value::Number, For::All),
    known("compare-dest", Value::Text, For::Persons),
    known("compress-choice", Value::Text, For::All),
    known("compress-level", Value::Number, For::All),
    known("compress-threads", Value::Number, For::All),
    known("copy-dest", Value::Text, For::Persons),
    known("copy-unsafe-links", Value::None, For::Persons),
    known("delay-updates", Value::None, For::Persons),
    known("delete", Value::None, For::Deleting),
    known("delete-after", Value::None, For::Deleting),
    known("delete-before", Value::None, For::Deleting),
    known("delete-delay", Value::None, For::Deleting),
    known("delete-during", Value::None, For::Deleting),
    known("delete-excluded", Value::None, For::Deleting),
    known("delete-missing-args", Value::None, For::Deleting),
    known("devices", Value::None, For::All),
    known("existing", Value::None, For::All),
    known("files-from", Value::Text, For::Persons),
    // --force empties a directory that a file is to replace.
    known("force", Value::None, For::Deleting),
    known("from0", Value::None, For::Persons),
    known("fsync", Value::None, For::All),
    known("groupmap", Value::Text, For::Persons),
    known("iconv", Value::Charset, For::All),
    known("ignore-errors", Value::None, For::Persons),
    known("ignore-existing", Value::None, For::All),
    known("ignore-missing-args", Value::None, For::All),
    known("info", Value::Text, For::All),
    known("inplace", Value::None, For::Persons),
    known("link-dest", Value::Text, For::Persons),
    known("list-only", Value::None, For::All),
    known("log-format", Value::LogFormat, For::All),
    known("max-alloc", Value::Text, For::All),
    known("max-delete", Value::Number, For::Persons),
    known("max-size", Value::Text, For::All),
    known("min-size", Value::Text, For::All),
    known("mkpath", Value::None, For::All),
    known("modify-window", Value::Number, For::All),
    known("msgs2stderr", Value::None, For::All),
    known("new-compress", Value::None, For::All),
    known("no-W", Value::None, For::All),
    known("no-implied-dirs", Value::None, For::All),
    known("no-msgs2stderr", Value::None, For::All),
    known("no-r", Value::None, For::All),
    known("no-relative", Value::None, For::All),
    known("no-specials", Value::None, For::All),
    known("numeric-ids", Value::None, For::All),
    known("old-compress", Value::None, For::All),
    known("open-noatime", Value::None, For::All),
    // A source's file that was cut off would lie there under its final name.
    known("partial", Value::None, For::Persons),
    known("partial-dir", Value::Beneath, For::Persons),
    known("preallocate", Value::None, For::All),
    known("remove-sent-files", Value::None, For::Deleting),
    known("remove-source-files", Value::None, For::Deleting),
    known("safe-links", Value::None, For::All),
    known("size-only", Value::None, For::All),
    known("skip-compress", Value::Text, For::All),
    known("specials", Value::None, For::All),
    known("stats", Value::None, For::All),
    known("suffix", Value::Text, For::Persons),
    known("timeout", Value::Number, For::All),
    known("use-qsort", Value::None, For::All),
    known("usermap", Value::Text, For::Persons),
];

/// Is the value one that may pass?
pub fn accepts(value: Value, given: &[u8]) -> bool {
    match value {
        Value::None => false,
        Value::Number => {
            let digits = given.strip_prefix(b"-").unwrap_or(given);
            (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
        }
        Value::Text => true,
        Value::LogFormat => matches!(given, b"%i" | b"%i%I" | b"%o" | b"X"),
        Value::Charset => [&b"utf-8"[..], b"utf8", b".", b"-"]
            .iter()
            .any(|set| given.eq_ignore_ascii_case(set)),
        Value::Beneath => {
            !given.is_empty() && !given.starts_with(b"/") && !super::has_parent(given)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_refused_option_is_on_the_list() {
        for (name, _) in REASONS {
            assert!(LONG.iter().all(|known| known.name != *name), "{name}");
        }
        for name in [
            "server",
            "sender",
            "chmod",
            "perms",
            "rsh",
            "rsync-path",
            "config",
            "read-batch",
            "debug",
            "only-write-batch",
        ] {
            assert!(LONG.iter().all(|known| known.name != name), "{name}");
        }
        assert!(b"AXMfTse".iter().all(|letter| !LETTERS.contains(letter)));
    }

    #[test]
    fn values_are_what_they_should_be() {
        for (value, given, good) in [
            (Value::Number, "30", true),
            (Value::Number, "-1", true),
            (Value::Number, "", false),
            (Value::Number, "-", false),
            (Value::Number, "1;", false),
            (Value::LogFormat, "%i%I", true),
            (Value::LogFormat, "%f", false),
            (Value::Charset, "UTF-8", true),
            (Value::Charset, ".", true),
            (Value::Charset, "latin1", false),
            (Value::Beneath, ".rsync-partial", true),
            (Value::Beneath, "/tmp", false),
            (Value::Beneath, "a/../..", false),
            (Value::Text, "", true),
        ] {
            assert_eq!(
                accepts(value, given.as_bytes()),
                good,
                "{value:?} {given:?}"
            );
        }
    }
}
