//! Canonical YAML: one form for every value, so that a digest of it stays the same whatever library and version. What another
//! reader could take for a number, a truth value or a sign of YAML 1.1 or 1.2 is quoted.

use std::fmt::Write as _;

use serde_yaml::Value;

use super::quantity::Date;
use super::text::deceives;

/// The longest key that may stand before a `:` without `?` (YAML 1.2.2, section 7.4.2, allows 1024 characters).
const KEY_MAX: usize = 500;

/// A value as YAML in block style, ending in a line break.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    if is_block(value) {
        block(&mut out, value, 0);
    } else {
        flat(&mut out, value, 0);
        out.push('\n');
    }
    out
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Sequence(items) => !items.is_empty(),
        Value::Mapping(entries) => !entries.is_empty(),
        _ => false,
    }
}

/// Items or entries, one a line; the first begins where `out` ends, the others at `indent`.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Sequence(items) => {
            for (i, item) in items.iter().enumerate() {
                pad(out, if i > 0 { indent } else { 0 });
                out.push_str("- ");
                if is_block(item) {
                    block(out, item, indent + 2);
                } else {
                    flat(out, item, indent + 2);
                    out.push('\n');
                }
            }
        }
        Value::Mapping(entries) => {
            for (i, (key, item)) in entries.iter().enumerate() {
                pad(out, if i > 0 { indent } else { 0 });
                entry(out, key.as_str().unwrap_or_default(), item, indent);
            }
        }
        _ => {}
    }
}

fn entry(out: &mut String, key: &str, item: &Value, indent: usize) {
    if key.len() > KEY_MAX {
        out.push_str("? ");
        quoted(out, key);
        out.push('\n');
        pad(out, indent);
    } else if is_plain(key) {
        out.push_str(key);
    } else {
        quoted(out, key);
    }
    out.push(':');
    if is_block(item) {
        let inner = if item.is_sequence() {
            indent
        } else {
            indent + 2
        };
        out.push('\n');
        pad(out, inner);
        block(out, item, inner);
    } else {
        out.push(' ');
        flat(out, item, indent + 2);
        out.push('\n');
    }
}

/// A value that has no items. Lines of text that follow stand at `indent`.
fn flat(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::String(text) if is_plain(text) => out.push_str(text),
        Value::String(text) if is_literal(text) => {
            out.push_str("|-");
            for line in text.split('\n') {
                out.push('\n');
                pad(out, if line.is_empty() { 0 } else { indent });
                out.push_str(line);
            }
        }
        Value::String(text) => quoted(out, text),
        Value::Sequence(_) => out.push_str("[]"),
        Value::Mapping(_) => out.push_str("{}"),
        Value::Null | Value::Tagged(_) => out.push_str("null"),
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// True for text that every reader takes for text without quotes.
fn is_plain(text: &str) -> bool {
    let word = |c: char| {
        c.is_alphanumeric()
            || matches!(
                c,
                ' ' | '_' | '-' | '.' | '/' | '@' | '+' | '(' | ')' | ',' | '\''
            )
    };
    let ambiguous = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null"
    );
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Date::parse(text).is_ok();
    }
    text.starts_with(|c: char| c.is_alphabetic() || c == '/')
        && text.len() <= KEY_MAX
        && text.chars().all(word)
        && !text.ends_with(' ')
        && !ambiguous
}

/// True for several lines that a literal block gives back as they are (YAML 1.2.2, section 8.1.2).
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with(['\n', ' '])
        && !text.ends_with('\n')
        && text.split('\n').all(|line| {
            !line.ends_with(' ') && !line.contains(|c: char| c.is_control() || deceives(c))
        })
}

/// Text in double quotes, what cannot be seen escaped (YAML 1.2.2, section 5.7).
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || deceives(c) || ('\u{fff0}'..='\u{ffff}').contains(&c) => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn what_another_reader_could_misread_is_quoted() {
        for (text, written) in [
            ("Écotron d'été (1, 2)", "Écotron d'été (1, 2)"),
            ("2026-03-01", "2026-03-01"),
            ("yes", "\"yes\""),
            ("NO", "\"NO\""),
            ("1e400", "\"1e400\""),
            ("0x10", "\"0x10\""),
            ("12:30", "\"12:30\""),
            ("500GiB", "\"500GiB\""),
            ("", "\"\""),
            ("~", "\"~\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("- a", "\"- a\""),
            ("a ", "\"a \""),
            ("a\u{2028}\u{85}\u{feff}b", "\"a\\u2028\\u0085\\uFEFFb\""),
            ("a\nb", "|-\n  a\n  b"),
            ("a\n\n  b", "|-\n  a\n\n    b"),
            ("a \nb", "\"a \\nb\""),
            ("a\nb\n", "\"a\\nb\\n\""),
        ] {
            let value = Value::String(text.into());
            let mapping = read("k: 0").as_mapping().cloned().map(|mut m| {
                m.insert("k".into(), value);
                Value::Mapping(m)
            });
            let mapping = mapping.unwrap();
            assert_eq!(yaml(&mapping), format!("k: {written}\n"));
            assert_eq!(read(&yaml(&mapping)), mapping);
        }
    }

    #[test]
    fn lists_in_lists_and_empty_ones_keep_their_shape() {
        let text = "a:\n- - 1\n  - - 2\n- []\n- {}\n- b: null\n  c:\n    d: true\n  e:\n  - |-\n    x\n    y\n";
        assert_eq!(yaml(&read(text)), text);
    }

    #[test]
    fn a_key_may_be_long() {
        let long = "k".repeat(3000);
        let value = read(&format!("{{a: {{? {long} : {{b: 1}}}}}}"));
        assert_eq!(read(&yaml(&value)), value);
    }
}
