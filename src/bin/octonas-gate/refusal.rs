//! Why the gate says no: one line for the person, the same line for the log.

use std::fmt;

/// What a refusal says: what was refused, and what works instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    message: String,
    hint: Option<&'static str>,
}

/// A result whose error is a refusal.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// A refusal with one line that names what was refused.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// Says what works instead.
    #[must_use]
    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// What a client sent, safe to print: control and non-ASCII bytes escaped, at most 120 bytes of it.
pub fn shown(bytes: &[u8]) -> String {
    const LIMIT: usize = 120;
    match bytes.get(..LIMIT) {
        Some(start) if bytes.len() > LIMIT => format!("{}…", start.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}
