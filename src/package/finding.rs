//! What is wrong with a bag: data with a stable code (docs/reference/bags.md), never an error.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The bag is valid, but may fail elsewhere or later.
    Warning,
    /// The bag is not valid.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something about a bag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// `payload.damaged` …
    pub code: String,
    /// The path in the bag that it is about; empty where it is about all of it.
    pub path: String,
    /// What is wrong, for people.
    pub message: String,
}

/// Findings, of which only so many of one code are kept; all are counted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Findings {
    /// At most [`KEPT`] of each code.
    pub found: Vec<Finding>,
    /// How many were found that are not kept.
    pub more: u64,
    #[serde(skip)]
    counted: std::collections::BTreeMap<String, u64>,
    /// The worst of all.
    #[serde(skip)]
    worst: Option<Severity>,
}

/// The most findings of one code that are kept.
pub const KEPT: u64 = 1000;

impl Findings {
    /// Adds one.
    pub fn add(
        &mut self,
        severity: Severity,
        code: &str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.worst = self.worst.max(Some(severity));
        let count = self.counted.entry(code.to_owned()).or_default();
        *count += 1;
        if *count > KEPT {
            self.more += 1;
            return;
        }
        self.found.push(Finding {
            severity,
            code: code.to_owned(),
            path: path.into(),
            message: message.into(),
        });
    }

    /// Adds one that makes a bag invalid.
    pub fn error(&mut self, code: &str, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, code, path, message);
    }

    /// Adds a warning.
    pub fn warn(&mut self, code: &str, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, code, path, message);
    }

    /// True where nothing makes the bag invalid.
    pub fn is_valid(&self) -> bool {
        self.worst < Some(Severity::Error)
    }

    /// How many of a code.
    pub fn count(&self, code: &str) -> u64 {
        self.counted.get(code).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_worst_is_remembered() {
        let mut findings = Findings::default();
        assert!(findings.is_valid());
        for i in 0..KEPT + 5 {
            findings.warn("name.peculiar", format!("data/{i}"), "x");
        }
        assert!(findings.is_valid());
        assert_eq!((findings.found.len() as u64, findings.more), (KEPT, 5));
        findings.error("payload.missing", "data/a", "it is not there");
        assert!(!findings.is_valid());
        assert_eq!(findings.count("name.peculiar"), KEPT + 5);
    }
}
