//! Reading the keys of one mapping into values: what is missing, of the wrong type, not allowed or not known becomes a
//! problem with its place, and reading goes on.

use super::definition::Unknown;
use super::node::{Node, Place, Value};
use super::problem::{MOST, Problem, Problems};
use super::read::Strictness;
use super::text::{did_you_mean, quote};
use crate::error::{Error, Result};

/// What was found wrong so far.
pub(super) struct Findings {
    strictness: Strictness,
    problems: Vec<Problem>,
    omitted: usize,
}

impl Findings {
    pub fn new(strictness: Strictness, problems: Vec<Problem>) -> Self {
        let mut findings = Self {
            strictness,
            problems: Vec::new(),
            omitted: 0,
        };
        for problem in problems {
            findings.push(problem);
        }
        findings
    }

    pub fn push(&mut self, problem: Problem) {
        if self.problems.len() < MOST {
            self.problems.push(problem);
        } else {
            self.omitted += 1;
        }
    }

    /// An error of a parser, at a place.
    pub fn refuse(&mut self, place: Place, field: &str, error: &Error) {
        self.push(place.problem(field, error.message(), error.hint_text().map(str::to_owned)));
    }

    /// Everything that was found, in the order of the file.
    pub fn into_problems(mut self) -> Option<Problems> {
        if self.problems.is_empty() {
            return None;
        }
        self.problems.sort_by_key(|p| (p.line, p.column));
        Some(Problems {
            problems: self.problems,
            omitted: self.omitted,
        })
    }
}

/// The keys of one mapping while they are read.
pub(super) struct Fields<'n, 'f> {
    /// Where the mapping begins.
    pub place: Place,
    /// Its own path; empty for the whole file.
    path: String,
    node: &'n Node,
    known: Vec<&'static str>,
    findings: &'f mut Findings,
}

impl<'n, 'f> Fields<'n, 'f> {
    /// Opens a mapping; anything else is a problem.
    pub fn open(node: &'n Node, path: &str, findings: &'f mut Findings) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            let message = format!("expected keys and values, found {}", node.value.kind());
            findings.push(node.place.problem(path, message, None));
            return None;
        }
        Some(Self {
            place: node.place,
            path: path.to_owned(),
            node,
            known: Vec::new(),
            findings,
        })
    }

    /// Whose words these are.
    pub fn strictness(&self) -> Strictness {
        self.findings.strictness
    }

    /// The path of a key.
    pub fn field(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A problem with a key.
    pub fn problem(&mut self, key: &str, message: impl Into<String>, hint: &str) {
        let place = self.node.get(key).map_or(self.place, |node| node.place);
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        let field = self.field(key);
        self.findings.push(place.problem(&field, message, hint));
    }

    /// What belongs to a key, unless that is nothing.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.node.get(key).filter(|node| !node.value.is_null())
    }

    /// A value that may be missing.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Option<T> {
        let node = self.node(key)?;
        let field = self.field(key);
        scalar(node, &field, self.findings, parse)
    }

    /// A value that must be there.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T>,
    ) -> Option<T> {
        if self.node.get(key).is_none_or(|node| node.value.is_null()) {
            self.known.push(key);
            self.problem(key, format!("`{key}` is missing"), "");
            return None;
        }
        self.value(key, parse)
    }

    /// `true` or `false`, or else `default`.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.node(key).map(|node| &node.value) {
            None => default,
            Some(Value::Scalar { text, plain: true }) if text == "true" => true,
            Some(Value::Scalar { text, plain: true }) if text == "false" => false,
            Some(value) => {
                let message = format!("expected true or false, found {}", value.kind());
                self.problem(key, message, "");
                default
            }
        }
    }

    /// A mapping that may be missing.
    pub fn mapping<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Fields<'n, '_>) -> Option<T>,
    ) -> Option<T> {
        let node = self.node(key)?;
        let field = self.field(key);
        Fields::open(node, &field, self.findings).and_then(read)
    }

    /// A list that may be missing, read item by item.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&'n Node, &str, &mut Findings) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let field = self.field(key);
        let Value::List(items) = &node.value else {
            let message = format!("expected a list, found {}", node.value.kind());
            self.problem(
                key,
                message,
                "put `[ ]` around it, or begin each item with `- `",
            );
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| read(item, &format!("{field}[{i}]"), self.findings))
            .collect()
    }

    /// A list of values.
    pub fn values<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T>) -> Vec<T> {
        self.list(key, |node, field, findings| {
            scalar(node, field, findings, &parse)
        })
    }

    /// A list of mappings.
    pub fn mappings<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(Fields<'n, '_>) -> Option<T>,
    ) -> Vec<T> {
        self.list(key, |node, field, findings| {
            Fields::open(node, field, findings).and_then(&read)
        })
    }

    /// Ends the mapping: keys that nobody asked for are problems, or are kept.
    pub fn close(self) -> Unknown {
        let mut unknown = Unknown::new();
        let Value::Mapping(entries) = &self.node.value else {
            return unknown;
        };
        for entry in entries
            .iter()
            .filter(|e| !self.known.contains(&e.key.as_str()))
        {
            if self.strictness() == Strictness::Stored {
                unknown.insert(entry.key.clone(), json(&entry.node));
                continue;
            }
            if self.findings.problems.len() >= MOST {
                self.findings.omitted += 1;
                continue;
            }
            let hint = match did_you_mean(&entry.key, self.known.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("here belong {}", self.known.join(", ")),
            };
            let message = format!("there is no key {}", quote(&entry.key));
            self.findings
                .push(entry.place.problem(&self.path, message, Some(hint)));
        }
        unknown
    }
}

/// One value of text, through its parser.
pub(super) fn scalar<T>(
    node: &Node,
    field: &str,
    findings: &mut Findings,
    parse: impl FnOnce(&str) -> Result<T>,
) -> Option<T> {
    let text = match &node.value {
        Value::Scalar { text, plain } if !node.value.is_null() && (!plain || !is_truth(text)) => {
            text
        }
        value => {
            let message = format!("expected text, found {}", value.kind());
            findings.push(node.place.problem(field, message, None));
            return None;
        }
    };
    match parse(text) {
        Ok(value) => Some(value),
        Err(error) => {
            findings.refuse(node.place, field, &error);
            None
        }
    }
}

fn is_truth(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// A node that nobody understands, as data (YAML 1.2.2, section 10.3.2: the core schema).
fn json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        value if value.is_null() => Json::Null,
        Value::Scalar { text, plain: true } if is_truth(text) => {
            Json::Bool(text.eq_ignore_ascii_case("true"))
        }
        Value::Scalar { text, plain } => number(text)
            .filter(|_| *plain)
            .unwrap_or_else(|| Json::String(text.clone())),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json(&entry.node)))
            .collect(),
    }
}

/// A number in its plain decimal form; every other spelling is kept as text.
fn number(text: &str) -> Option<serde_json::Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0') || digits.starts_with("0."));
    if !decimal {
        return None;
    }
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    // A number that this program cannot hold exactly stays as it was written.
    (number.to_string() == text).then_some(serde_json::Value::Number(number))
}
