//! A command line as sshd hands it over, split into words as a shell would, without being one.
//!
//! Clients of rsync quote for a shell (`safe_arg` in rsync's options.c: a backslash before every special
//! character), people who use `--old-args` quote by hand. What would make a shell *do* something is refused.

use crate::refusal::{Refusal, Result, shown};

/// Commands longer than this are refused; the longest that a client sends is a few kilobytes.
pub const MAX_COMMAND: usize = 128 * 1024;

/// One word, and which of its bytes were quoted (a quoted `*` is a star, not a wildcard).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    bytes: Vec<u8>,
    quoted: Vec<bool>,
}

impl Word {
    /// The bytes, quoting removed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each byte with whether it was quoted.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u8, bool)> + '_ {
        self.bytes.iter().copied().zip(self.quoted.iter().copied())
    }

    /// Does it hold a wildcard (`*`, `?`, `[`) that was not quoted?
    pub fn is_pattern(&self) -> bool {
        self.iter()
            .any(|(byte, quoted)| !quoted && matches!(byte, b'*' | b'?' | b'['))
    }

    /// A word that was sent as it is, outside any command line, where only `\` before a wildcard quotes.
    pub fn sent(raw: &[u8]) -> Self {
        let mut word = Self::default();
        let mut rest = raw.iter().copied().peekable();
        while let Some(byte) = rest.next() {
            match (byte, rest.peek()) {
                (b'\\', Some(&next @ (b'*' | b'?' | b'[' | b']' | b'\\'))) => {
                    rest.next();
                    word.push(next, true);
                }
                _ => word.push(byte, false),
            }
        }
        word
    }

    /// A leading `~/` (or a lone `~`) means the home directory, which is where every session starts.
    #[must_use]
    pub fn at_home(self) -> Self {
        let skip = match (self.bytes.as_slice(), self.quoted.first()) {
            (b"~", Some(false)) => return Self::sent(b"."),
            ([b'~', b'/', ..], Some(false)) => {
                2 + self.bytes[2..].iter().take_while(|b| **b == b'/').count()
            }
            _ => return self,
        };
        if skip == self.bytes.len() {
            return Self::sent(b".");
        }
        Self {
            bytes: self.bytes[skip..].to_vec(),
            quoted: self.quoted[skip..].to_vec(),
        }
    }

    fn push(&mut self, byte: u8, quoted: bool) {
        self.bytes.push(byte);
        self.quoted.push(quoted);
    }
}

/// Splits a command line into words.
///
/// Understands blanks, `\x`, `'…'` and `"…"`. Refuses what a shell would act upon (`;`, `|`, `$`, …), open
/// quotes, NUL, and commands longer than [`MAX_COMMAND`].
pub fn split(command: &[u8]) -> Result<Vec<Word>> {
    if command.len() > MAX_COMMAND {
        return Err(Refusal::new("this command is too long"));
    }
    let mut words = Vec::new();
    let mut open: Option<Word> = None;
    let mut rest = command.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => words.extend(open.take()),
            b'\\' => {
                let next = rest.next().ok_or_else(|| unfinished(command))?;
                not_nul(next, command)?;
                open.get_or_insert_default().push(next, true);
            }
            b'\'' => {
                let word = open.get_or_insert_default();
                loop {
                    match rest.next().ok_or_else(|| unfinished(command))? {
                        b'\'' => break,
                        other => {
                            not_nul(other, command)?;
                            word.push(other, true);
                        }
                    }
                }
            }
            b'"' => double_quoted(&mut rest, open.get_or_insert_default(), command)?,
            b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')' | b'$' | b'`' | b'\n' | b'\r' | 0 => {
                return Err(acts(byte, command));
            }
            b'#' if open.is_none() => return Err(acts(byte, command)),
            other => open.get_or_insert_default().push(other, false),
        }
    }
    words.extend(open);
    Ok(words)
}

fn double_quoted(
    rest: &mut impl Iterator<Item = u8>,
    word: &mut Word,
    command: &[u8],
) -> Result<()> {
    loop {
        match rest.next().ok_or_else(|| unfinished(command))? {
            b'"' => return Ok(()),
            byte @ (b'$' | b'`') => return Err(acts(byte, command)),
            b'\\' => {
                let next = rest.next().ok_or_else(|| unfinished(command))?;
                not_nul(next, command)?;
                if !matches!(next, b'$' | b'`' | b'"' | b'\\') {
                    word.push(b'\\', true);
                }
                word.push(next, true);
            }
            other => {
                not_nul(other, command)?;
                word.push(other, true);
            }
        }
    }
}

fn not_nul(byte: u8, command: &[u8]) -> Result<()> {
    if byte == 0 {
        return Err(acts(byte, command));
    }
    Ok(())
}

fn unfinished(command: &[u8]) -> Refusal {
    Refusal::new(format!("unfinished quoting in: {}", shown(command)))
}

fn acts(byte: u8, command: &[u8]) -> Refusal {
    Refusal::new(format!(
        "there is no shell here, so \"{}\" means nothing in: {}",
        byte.escape_ascii(),
        shown(command)
    ))
    .hint("quote it if it belongs to a file name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(command: &str) -> Vec<String> {
        split(command.as_bytes())
            .unwrap()
            .iter()
            .map(|w| String::from_utf8_lossy(w.bytes()).into_owned())
            .collect()
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        assert_eq!(texts("a  b\tc "), ["a", "b", "c"]);
        assert_eq!(texts(r"my\ file a\;b"), ["my file", "a;b"]);
        assert_eq!(texts(r#"'a b'"c d"e"#), ["a bc de"]);
        assert_eq!(texts(r#""a\"b\x""#), [r#"a"b\x"#]);
        assert_eq!(texts("a '' b"), ["a", "", "b"]);
        assert_eq!(texts("a#b {x,y} 100% !"), ["a#b", "{x,y}", "100%", "!"]);
    }

    #[test]
    fn what_a_shell_would_act_upon_is_refused() {
        for command in [
            "a;b",
            "a|b",
            "a&b",
            "a>b",
            "a<b",
            "$(id)",
            "`id`",
            "a\nb",
            "#x",
            "\"$HOME\"",
            "\"`id`\"",
            "(a)",
            "a\0b",
            "'a",
            "\"a",
            "a\\",
            "\\\0",
            "'\0'",
        ] {
            assert!(split(command.as_bytes()).is_err(), "{command:?}");
        }
        assert!(split(&vec![b'a'; MAX_COMMAND + 1]).is_err());
    }

    #[test]
    fn only_unquoted_wildcards_make_a_pattern() {
        for (command, pattern) in [
            ("*.csv", true),
            (r"\*.csv", false),
            ("'a?'", false),
            ("a[1]", true),
            ("a", false),
        ] {
            assert_eq!(
                split(command.as_bytes()).unwrap()[0].is_pattern(),
                pattern,
                "{command}"
            );
        }
        assert!(Word::sent(b"*").is_pattern());
        assert!(!Word::sent(br"\*").is_pattern());
        assert_eq!(Word::sent(br"a\b").bytes(), br"a\b");
    }

    #[test]
    fn home_is_where_the_session_starts() {
        for (given, meant) in [
            ("~", "."),
            ("~/", "."),
            ("~//x", "x"),
            ("~/a/b", "a/b"),
            (r"\~/a", "~/a"),
            ("~bob/a", "~bob/a"),
        ] {
            let word = split(given.as_bytes()).unwrap().remove(0).at_home();
            assert_eq!(word.bytes(), meant.as_bytes(), "{given}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(command in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = split(&command);
        }

        #[test]
        fn what_is_escaped_comes_back_as_it_was(words in proptest::collection::vec("[ -~]{1,20}", 1..5)) {
            let command = words
                .iter()
                .map(|w| w.bytes().flat_map(|b| [b'\\', b]).collect::<Vec<_>>())
                .collect::<Vec<_>>()
                .join(&b' ');
            let back: Vec<Vec<u8>> = split(&command).unwrap().iter().map(|w| w.bytes().to_vec()).collect();
            prop_assert_eq!(back, words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>());
        }
    }
}
