//! Somebody's text inside a document: what it says is shown, what it would do is not done.
//!
//! Titles, names, columns and file names come from people and machines. In a Markdown table they must not end the cell,
//! in a heading not begin a list, in YAML not become a key, and nowhere a tag.

use std::fmt::Write as _;

use crate::report::{printable, printable_lines};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `CommonMark` with tables (GitHub Flavored Markdown, section 4.10).
    Markdown,
    /// YAML 1.2: a text becomes a double-quoted scalar.
    Yaml,
    /// Text for any editor.
    Text,
}

impl Format {
    /// One value, on one line.
    pub fn escape(self, text: &str) -> String {
        match self {
            Self::Markdown => markdown(text),
            Self::Yaml => yaml(text),
            Self::Text => single_line(text),
        }
    }
}

fn single_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| {
            if matches!(c, '\n' | '\r' | '\t') {
                ' '
            } else {
                c
            }
        })
        .collect();
    printable(line.trim())
}

/// Text in a line or a cell of Markdown.
pub fn markdown(text: &str) -> String {
    let text = single_line(text);
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied().unwrap_or(' ');
        let meant = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' | '$' => true,
            // Inside a word it is a letter (CommonMark 0.31, section 6.2).
            '_' => !(before.is_alphanumeric() && after.is_alphanumeric()),
            '&' => after == '#' || after.is_ascii_alphanumeric(),
            '#' | '+' | '-' | '=' | '>' => out.is_empty(),
            '.' | ')' => {
                !out.is_empty() && out.len() < 10 && out.bytes().all(|b| b.is_ascii_digit())
            }
            _ => false,
        };
        if meant {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// Text of several lines in Markdown: paragraphs stay paragraphs, lines stay lines.
pub fn markdown_paragraphs(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut waiting = false;
    for line in text.lines() {
        let line = markdown(line);
        if line.is_empty() {
            waiting = !out.is_empty();
            continue;
        }
        if waiting {
            out.push_str("\n\n");
        } else if !out.is_empty() {
            out.push('\n');
        }
        waiting = false;
        out.push_str(&line);
    }
    out
}

/// A code span. In a table a `|` needs its backslash even there.
pub fn markdown_code(text: &str, in_table: bool) -> String {
    let mut text = single_line(text);
    if text.is_empty() {
        return "—".to_owned();
    }
    if in_table {
        text = text.replace('|', "\\|");
    }
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A double-quoted scalar: every JSON string is one (YAML 1.2.2, section 1.3), if it has nothing unprintable in it.
pub fn yaml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Line separators, byte order marks and C1 controls are not printable in YAML (section 5.1).
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text of several lines in a plain file.
pub fn plain_paragraphs(text: &str) -> String {
    printable_lines(text)
}

/// Lines of at most so many characters, where words allow it.
pub fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}

/// Text between tags or in a quoted attribute of HTML.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A string literal of Python or R on one line: both read the escapes of C, and `\u` with four or `\U` with eight digits.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if printable(c.encode_utf8(&mut [0; 4])).len() != c.len_utf8()
                || c == '\u{2028}'
                || c == '\u{2029}' =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// One word of a POSIX shell.
pub fn shell(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./@:+,=%".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", single_line(text).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_would_do_in_markdown_it_only_says() {
        for (text, expected) in [
            ("Effets de canicules", "Effets de canicules"),
            (
                "raw_data_1 (C1) - a.b: 3 > 2",
                "raw_data_1 (C1) - a.b: 3 > 2",
            ),
            ("a|b", "a\\|b"),
            ("# x", "\\# x"),
            ("- x", "\\- x"),
            ("1. x", "1\\. x"),
            ("2026. x", "2026\\. x"),
            ("C1. x", "C1. x"),
            (
                "*b* _i_ `c` ~s~ $m$",
                "\\*b\\* \\_i\\_ \\`c\\` \\~s\\~ \\$m\\$",
            ),
            ("<script>alert(1)</script>", "\\<script>alert(1)\\</script>"),
            (
                "[a](javascript:x) ![i](http://x)",
                "\\[a\\](javascript:x) !\\[i\\](http://x)",
            ),
            ("R&D &lt; &#60;", "R\\&D \\&lt; \\&#60;"),
            ("a\n\n# b\r\n| c |", "a  # b  \\| c \\|"),
            ("   indented", "indented"),
            ("\u{1b}[2J\u{202e}x", "\\\\u{1b}\\[2J\\\\u{202e}x"),
        ] {
            assert_eq!(markdown(text), expected, "{text:?}");
        }
        assert_eq!(markdown_paragraphs("a\nb\n\n\n# c\n"), "a\nb\n\n\\# c");
    }

    #[test]
    fn a_code_span_holds_whatever_is_in_it() {
        assert_eq!(markdown_code("raw/C1", false), "`raw/C1`");
        assert_eq!(markdown_code("a``b", false), "```a``b```");
        assert_eq!(markdown_code("`", false), "`` ` ``");
        assert_eq!(markdown_code("a|b", true), "`a\\|b`");
        assert_eq!(markdown_code("a|b", false), "`a|b`");
        assert_eq!(markdown_code(" \n", false), "—");
    }

    #[test]
    fn every_text_is_one_scalar_of_yaml() {
        for text in [
            "plain",
            "a: b",
            "- a",
            "\"quoted\" \\ 'x'",
            "# no comment",
            "line\nbreak\ttab",
            "{{x}} & * ! % @ `",
            "é’œ 😀",
            "\u{7f}\u{85}\u{2028}\u{feff}\u{1b}",
            "",
        ] {
            let read: std::collections::BTreeMap<String, String> =
                serde_yaml::from_str(&format!("key: {}\n", yaml(text))).unwrap();
            assert_eq!(read["key"], text);
        }
    }

    #[test]
    fn a_literal_is_one_word_of_its_language() {
        assert_eq!(literal("raw/C1/a.csv"), "\"raw/C1/a.csv\"");
        assert_eq!(literal("a\"b\\c\n"), "\"a\\\"b\\\\c\\n\"");
        assert_eq!(literal("\u{202e}\u{1b}"), "\"\\u202e\\u001b\"");
        assert_eq!(shell("raw/C1/a.csv"), "raw/C1/a.csv");
        assert_eq!(shell("it's; rm -rf"), "'it'\\''s; rm -rf'");
        assert_eq!(shell(""), "''");
    }
}
