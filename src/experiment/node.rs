//! YAML (and with it JSON) text as a tree in which every node knows its line. What a definition has no use for is refused:
//! anchors, aliases, tags, several documents, keys that are no text, keys twice, depth, size.

use std::collections::HashMap;
use std::fmt::Write as _;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::problem::{Problem, Problems};
use super::text::quote;

/// The largest definition that is read, in bytes.
pub const INPUT_MAX: usize = 256 * 1024;
/// The deepest nesting that is read.
const DEPTH_MAX: usize = 16;
/// The most nodes that are read.
const NODES_MAX: usize = 50_000;

/// Where something begins, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(span: Span) -> Self {
        Self {
            line: span.start.line().max(1),
            column: span.start.col() + 1,
        }
    }

    /// A problem here.
    pub fn problem(self, field: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem {
            line: self.line,
            column: self.column,
            field: field.to_owned(),
            message: message.into(),
            hint,
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

impl Node {
    /// What belongs to a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.node),
            _ => None,
        }
    }

    /// The items, if this is a list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is one that is not nothing.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.value.is_null() => Some(text),
            _ => None,
        }
    }
}

/// A key of a mapping, its place, and what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Text as written; `plain` without quotes, so that it may be a number, a truth value or nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// Keys and values, no key twice.
    Mapping(Vec<Entry>),
}

impl Value {
    /// True for `null`, `~` and nothing at all (YAML 1.2.2, section 10.2.1.1).
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for a message.
    pub fn kind(&self) -> String {
        match self {
            _ if self.is_null() => "nothing".into(),
            Self::Scalar { text, .. } => quote(text),
            Self::List(_) => "a list".into(),
            Self::Mapping(_) => "keys and values".into(),
        }
    }
}

/// Parses a file into its one document, and names the keys that were there twice (the first one counts).
pub(crate) fn parse(input: &[u8]) -> Result<(Node, Vec<Problem>), Problems> {
    let fail = |place: Place, message: &str, hint: Option<&str>| {
        Problems::one(place.problem("", message, hint.map(str::to_owned)))
    };
    if input.len() > INPUT_MAX {
        let message = format!(
            "the file has {} bytes; at most {INPUT_MAX} are read",
            input.len()
        );
        return Err(fail(Place::START, &message, None));
    }
    let text = std::str::from_utf8(input).map_err(|e| {
        let before = input.get(..e.valid_up_to()).unwrap_or_default();
        let line = before.split(|b| *b == b'\n').count();
        fail(
            Place { line, column: 1 },
            "the file is not UTF-8",
            Some("save it with the encoding UTF-8"),
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find('\0') {
        let line = text.get(..at).unwrap_or_default().split('\n').count();
        return Err(fail(
            Place { line, column: 1 },
            "the file contains a NUL character",
            None,
        ));
    }
    let joined = join_surrogates(text);
    Tree {
        parser: Parser::new_from_str(&joined),
        nodes: 0,
        twice: Vec::new(),
    }
    .document()
}

/// In JSON text, `\ud83d\ude00` (RFC 8259, section 7) as `\U0001F600`, which is YAML's way to say the same.
fn join_surrogates(text: &str) -> String {
    let is_json = text.trim_start().starts_with('{')
        && text.contains("\\u")
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if !is_json {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let unit = |from: usize| {
            let hex = escape.get(from..from + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(hex, 16).ok()
        };
        let pair = unit(0).zip(unit(6)).and_then(|(high, low)| {
            char::decode_utf16([high, low])
                .next()?
                .ok()
                .filter(|c| u32::from(*c) > 0xffff)
        });
        let taken = if let Some(c) = pair {
            let _ = write!(out, "\\U{:08X}", u32::from(c));
            12
        } else {
            let taken = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            out.push_str(escape.get(..taken).unwrap_or_default());
            taken
        };
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

struct Tree<'t> {
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
    twice: Vec<Problem>,
}

impl<'t> Tree<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Problems> {
        let (event, span) = self
            .parser
            .next_event()
            .unwrap_or_else(|| Ok((Event::StreamEnd, Span::default())))
            .map_err(|e| syntax(&e))?;
        let place = Place::of(span);
        let refused = match &event {
            Event::Alias(_) => Some("an alias (`*name`)"),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if *anchor > 0 =>
            {
                Some("an anchor (`&name`)")
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Some("a tag (`!name`)"),
            _ => None,
        };
        match refused {
            Some(what) => Err(Problems::one(place.problem(
                "",
                format!("{what} has no place here"),
                Some("write the value itself, in quotes where it begins with such a sign".into()),
            ))),
            None => Ok((event, place)),
        }
    }

    fn document(mut self) -> Result<(Node, Vec<Problem>), Problems> {
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd | Event::DocumentEnd => {
                    return Err(Problems::one(place.problem("", "the file is empty", None)));
                }
                event => {
                    let root = self.node(event, place, 0)?;
                    self.end()?;
                    return Ok((root, self.twice));
                }
            }
        }
    }

    /// Nothing may follow the one document.
    fn end(&mut self) -> Result<(), Problems> {
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentEnd | Event::Nothing => {}
                _ => {
                    return Err(Problems::one(place.problem(
                        "",
                        "a second document begins here; the file is one document",
                        None,
                    )));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'t>, place: Place, depth: usize) -> Result<Node, Problems> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(Problems::one(place.problem(
                "",
                "the file is nested deeper, or has more values, than such a file can have",
                None,
            )));
        }
        let value = match event {
            Event::Scalar(text, style, _, _) => Value::Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Mapping(self.mapping(depth)?),
            _ => {
                return Err(Problems::one(place.problem("", "a value is missing", None)));
            }
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Problems> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, place, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<Entry>, Problems> {
        let mut entries = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(text, _, _, _) => text.into_owned(),
                _ => {
                    return Err(Problems::one(place.problem(
                        "",
                        "a key must be a word, not a list or keys and values",
                        None,
                    )));
                }
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            if let Some(before) = lines.get(&key) {
                self.twice.push(place.problem(
                    "",
                    format!(
                        "the key {} is here a second time; it was on line {before}",
                        quote(&key)
                    ),
                    Some("keep one of the two".into()),
                ));
            } else {
                lines.insert(key.clone(), place.line);
                entries.push(Entry { key, place, node });
            }
        }
    }
}

fn syntax(error: &ScanError) -> Problems {
    let place = Place {
        line: error.marker().line().max(1),
        column: error.marker().col() + 1,
    };
    Problems::one(place.problem(
        "",
        format!("this is not YAML: {}", error.info()),
        Some("look at the indentation and the quotes here and on the line above".into()),
    ))
}
