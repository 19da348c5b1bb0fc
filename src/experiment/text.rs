//! What a piece of text may contain, and the frame of every checked text: made by a parser, shown as it was kept.

use crate::error::{Error, Result};

/// True for characters that deceive a reader: bidirectional overrides and invisible ones
/// (Unicode Technical Report 36, section 2.10).
pub(crate) fn deceives(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// One line of text for people: trimmed, not empty, at most `max` bytes, no control or deceiving characters.
pub(crate) fn line(text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.contains('\n') {
        return Err(Error::new(
            "text.invalid",
            "must be one line, and has a line break",
        ));
    }
    paragraph(text, max)
}

/// Text for people that may have several lines; otherwise like [`line()`].
pub(crate) fn paragraph(text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::new("text.invalid", "is empty"));
    }
    if text.len() > max {
        let length = text.len();
        return Err(Error::new(
            "text.invalid",
            format!("is {length} bytes long; at most {max} are allowed"),
        ));
    }
    match text
        .chars()
        .find(|&c| (c.is_control() && c != '\n' && c != '\t') || deceives(c))
    {
        Some(c) => Err(Error::new(
            "text.invalid",
            format!(
                "contains the invisible or control character U+{:04X}",
                u32::from(c)
            ),
        )
        .hint("type the text again instead of pasting it")),
        None => Ok(text.to_owned()),
    }
}

/// At most 60 characters of `text` in backquotes, escaped: what a message repeats of somebody's input.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("`");
    for (i, c) in text.chars().enumerate() {
        if i == 60 {
            out.push('…');
            break;
        }
        if c.is_control() || deceives(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// The candidate nearest to what was typed, if it is near enough to be meant.
pub(crate) fn did_you_mean<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if typed.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|c| {
            (
                strsim::damerau_levenshtein(&typed.to_lowercase(), &c.to_lowercase()),
                c,
            )
        })
        .filter(|(distance, c)| *distance <= (c.len() / 3).max(1))
        .min()
        .map(|(_, c)| c)
}

/// Gives a newtype over `String` what every checked text has. The type must have `fn parse(&str) -> Result<Self>`.
macro_rules! checked_text {
    ($name:ident) => {
        impl $name {
            /// The text in its canonical form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        crate::experiment::text::checked_value!($name);
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Parsing and serde by way of `parse` and `Display`.
macro_rules! checked_value {
    ($name:ident) => {
        impl std::str::FromStr for $name {
            type Err = crate::error::Error;
            fn from_str(text: &str) -> crate::error::Result<Self> {
                Self::parse(text)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {checked_text, checked_value};
