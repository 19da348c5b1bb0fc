//! What people answered: `metadata/dmp-answers.yaml` by question, over the unit's own answers
//! (`/etc/octonas/dmp-defaults.yaml`, of the same form).
//!
//! A text is plain text: paragraphs, and lists whose lines begin with `- `. It may be said in both languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::questions::{self, Item};
use crate::error::{Error, Result};
use crate::experiment::node::{self, INPUT_MAX, Node, Value};
use crate::experiment::text::{deceives, did_you_mean, quote};
use crate::experiment::write;
use crate::experiment::{Language, Problem, Problems};

/// The version of the format that this program writes.
pub const VERSION: u32 = 1;

/// The longest text of one answer, in bytes.
pub const TEXT_MAX: usize = 20_000;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// In the language of the experiment; or the word of a choice.
    Text(String),
    /// In one language or both.
    In(BTreeMap<Tongue, String>),
}

/// A language as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tongue {
    /// French.
    Fr,
    /// English.
    En,
}

impl From<Language> for Tongue {
    fn from(language: Language) -> Self {
        match language {
            Language::Fr => Self::Fr,
            Language::En => Self::En,
        }
    }
}

impl Answer {
    /// The text in a language, or else in the other one, and in which one it is. `own` is the experiment's language.
    pub fn text(&self, wanted: Language, own: Language) -> (&str, Language) {
        match self {
            Self::Text(text) => (text, own),
            Self::In(texts) => {
                let other = match wanted {
                    Language::Fr => Language::En,
                    Language::En => Language::Fr,
                };
                let of = |language: Language| {
                    texts
                        .get(&Tongue::from(language))
                        .map(|text| (text.as_str(), language))
                };
                of(wanted).or_else(|| of(other)).unwrap_or(("", wanted))
            }
        }
    }
}

/// Answers by question (`4a`) and choice (`personal-data`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers(BTreeMap<String, Answer>);

impl Answers {
    /// Reads a file. `name` stands in errors.
    ///
    /// # Errors
    /// `dmp.answers`, with every problem and its line.
    pub fn read(text: &[u8], name: &str) -> Result<Self> {
        let fail = |problems: &Problems| {
            Error::new("dmp.answers", format!("{name} cannot be used\n{problems}"))
                .hint("mend the lines named above; docs/reference/dmp.md describes the file")
        };
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let (root, mut problems) = node::parse(text).map_err(|e| fail(&e))?;
        let answers = Self::from_node(&root, &mut problems);
        if problems.is_empty() {
            return Ok(answers);
        }
        problems.sort_by_key(|p| (p.line, p.column));
        let omitted = problems.len().saturating_sub(100);
        problems.truncate(100);
        Err(fail(&Problems { problems, omitted }))
    }

    fn from_node(root: &Node, problems: &mut Vec<Problem>) -> Self {
        let mut answers = BTreeMap::new();
        let Value::Mapping(entries) = &root.value else {
            let message = format!(
                "expected questions and answers, found {}",
                root.value.kind()
            );
            problems.push(root.place.problem("", message, None));
            return Self::default();
        };
        for entry in entries {
            let mut refuse = |node: &Node, field: &str, error: &Error| {
                problems.push(node.place.problem(
                    field,
                    error.message(),
                    error.hint_text().map(str::to_owned),
                ));
            };
            if entry.key == "dmp" {
                if entry.node.text() != Some("1") {
                    let error = Error::new("dmp.answers", "the format of this file is 1");
                    refuse(&entry.node, "dmp", &error);
                }
                continue;
            }
            if entry.node.value.is_null() {
                continue;
            }
            match questions::find(&entry.key).and_then(|item| answer(item, &entry.node)) {
                Ok(answer) => {
                    answers.insert(entry.key.clone(), answer);
                }
                Err(error) if error.code() == "dmp.question" => {
                    let problem = entry.place.problem(
                        &entry.key,
                        error.message(),
                        error.hint_text().map(str::to_owned),
                    );
                    problems.push(problem);
                }
                Err(error) => refuse(&entry.node, &entry.key, &error),
            }
        }
        Self(answers)
    }

    /// The file's text: a comment, then questions in order. What is written can be read back.
    ///
    /// # Errors
    /// `dmp.too-large` where it would be longer than is read.
    pub fn to_yaml(&self) -> Result<String> {
        let mut map = serde_yaml::Mapping::new();
        map.insert("dmp".into(), VERSION.into());
        let order = questions::questions()
            .map(|question| question.id)
            .chain(questions::CHOICES.iter().map(|choice| choice.key));
        for key in order {
            if let Some(answer) = self.0.get(key) {
                let value = serde_yaml::to_value(answer).map_err(|e| {
                    Error::new("output.failed", "cannot encode an answer as YAML").source(e)
                })?;
                map.insert(key.into(), value);
            }
        }
        let text = write::yaml(&serde_yaml::Value::Mapping(map));
        if text.len() > INPUT_MAX {
            return Err(Error::new(
                "dmp.too-large",
                format!("the answers would be longer than {INPUT_MAX} bytes in all"),
            )
            .hint("shorten some; a plan can point to a document in docs/"));
        }
        Ok(text)
    }

    /// What was said to a question.
    pub fn get(&self, key: &str) -> Option<&Answer> {
        self.0.get(key)
    }

    /// The word of a choice.
    pub fn choice(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Answer::Text(text) => Some(text),
            Answer::In(_) => None,
        }
    }

    /// Every answer with its key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Answer)> {
        self.0.iter().map(|(key, answer)| (key.as_str(), answer))
    }

    /// Answers a question; an empty text takes the answer back. With a language, the other language's text stays.
    /// True where that changed something.
    ///
    /// # Errors
    /// `dmp.question`, `dmp.choice`, `dmp.text`, `dmp.too-large`.
    pub fn set(
        &mut self,
        key: &str,
        text: &str,
        language: Option<Language>,
        own: Language,
    ) -> Result<bool> {
        let item = questions::find(key)?;
        let before = self.0.get(key).cloned();
        let after = match item {
            _ if text.trim().is_empty() && language.is_none() => None,
            Item::Choice(choice) if language.is_none() => Some(Answer::Text(choice.parse(text)?)),
            Item::Choice(_) => {
                return Err(Error::new(
                    "dmp.choice",
                    format!("`{key}` is a choice: it is the same in every language"),
                )
                .hint("leave the language out"));
            }
            Item::Question(_) => match language {
                None => Some(Answer::Text(checked(text)?)),
                Some(language) => in_language(before.clone(), text, language, own)?,
            },
        };
        let changed = before != after;
        match after {
            Some(answer) => self.0.insert(key.to_owned(), answer),
            None => self.0.remove(key),
        };
        Ok(changed)
    }

    /// These answers, and those of the unit where there are none.
    #[must_use]
    pub fn over(mut self, unit: &Self) -> Self {
        for (key, answer) in &unit.0 {
            self.0.entry(key.clone()).or_insert_with(|| answer.clone());
        }
        self
    }
}

/// A text in one language beside that in the other.
fn in_language(
    before: Option<Answer>,
    text: &str,
    language: Language,
    own: Language,
) -> Result<Option<Answer>> {
    let mut texts = match before {
        None => BTreeMap::new(),
        Some(Answer::Text(text)) => BTreeMap::from([(own.into(), text)]),
        Some(Answer::In(texts)) => texts,
    };
    if text.trim().is_empty() {
        texts.remove(&language.into());
    } else {
        texts.insert(language.into(), checked(text)?);
    }
    Ok((!texts.is_empty()).then_some(Answer::In(texts)))
}

fn answer(item: Item, node: &Node) -> Result<Answer> {
    match (item, &node.value) {
        (Item::Choice(choice), Value::Scalar { text, .. }) => choice.parse(text).map(Answer::Text),
        (Item::Question(_), Value::Scalar { text, .. }) => checked(text).map(Answer::Text),
        (Item::Question(_), Value::Mapping(entries)) if !entries.is_empty() => {
            let mut texts = BTreeMap::new();
            for entry in entries {
                let tongue = match entry.key.as_str() {
                    "fr" => Tongue::Fr,
                    "en" => Tongue::En,
                    other => {
                        let hint = match did_you_mean(other, ["fr", "en"]) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "`fr` and `en`".into(),
                        };
                        return Err(Error::new(
                            "dmp.text",
                            format!("{} is no language of a plan", quote(other)),
                        )
                        .hint(hint));
                    }
                };
                let text = entry
                    .node
                    .text()
                    .ok_or_else(|| Error::new("dmp.text", format!("`{}` is no text", entry.key)))?;
                texts.insert(tongue, checked(text)?);
            }
            Ok(Answer::In(texts))
        }
        (_, value) => Err(Error::new(
            "dmp.text",
            format!("expected a text, found {}", value.kind()),
        )),
    }
}

/// Text as it is kept: line ends are `\n`, none at the end, nothing that a reader does not see.
fn checked(text: &str) -> Result<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n");
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::new("dmp.text", "the answer is empty"));
    }
    if text.len() > TEXT_MAX {
        return Err(Error::new(
            "dmp.too-large",
            format!(
                "the answer is {} bytes long; at most {TEXT_MAX} are allowed",
                text.len()
            ),
        )
        .hint("shorten it; a plan can point to a document in docs/"));
    }
    match text
        .chars()
        .find(|&c| (c.is_control() && c != '\n' && c != '\t') || deceives(c))
    {
        Some(c) => Err(Error::new(
            "dmp.text",
            format!(
                "the answer contains the invisible or control character U+{:04X}",
                u32::from(c)
            ),
        )
        .hint("type the text again instead of pasting it")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Answers> {
        Answers::read(text.as_bytes(), "dmp-answers.yaml")
    }

    #[test]
    fn what_is_answered_is_read_back_as_it_was_said() {
        let mut answers = Answers::default();
        for text in [
            "Une réponse.\n\nDeux alinéas :\n- un\n- deux",
            "# not a comment",
            "key: value",
            "- item\n- item",
            "&anchor *alias !tag",
            "%TAG ! x\n---\nsecond: document\n...",
            "yes",
            "2026-01-01",
            "null",
            "<script>alert(1)</script>",
            "\"quoted\" 'single' \\ {braces} [list] | > ~ @ `",
            "  indented\n    more",
            "{{#each people}}{{/each}}",
        ] {
            for question in questions::questions() {
                answers.set(question.id, text, None, Language::Fr).unwrap();
            }
            let yaml = answers.to_yaml().unwrap();
            let back = Answers::read(yaml.as_bytes(), "x").unwrap();
            assert_eq!(back, answers, "{yaml}");
            assert_eq!(back.to_yaml().unwrap(), yaml);
            assert_eq!(back.0.len(), 15);
        }
    }

    #[test]
    fn every_problem_of_a_file_is_told_with_its_line() {
        let error = read("dmp: 2\n4a: |\n  text\n9z: x\npersonal-data: perhaps\n5a: [a, b]\n6a: { fr: oui, de: ja }\n")
            .unwrap_err();
        assert_eq!(error.code(), "dmp.answers");
        let text = error.to_string();
        for piece in [
            "line 1: dmp: the format of this file is 1",
            "line 4: 9z: `9z` is not a question of a plan",
            "line 5: personal-data: `perhaps` is no answer",
            "line 6: 5a: expected a text, found a list",
            "line 7: 6a: `de` is no language of a plan",
        ] {
            assert!(text.contains(piece), "{piece} is not in\n{text}");
        }
        for hostile in [
            "4a: &x y\n4b: *x\n",
            "4a: !!python/object:os.system x\n",
            "4a: x\n---\n4b: y\n",
            "4a: x\n4a: y\n",
            "? [a]\n: b\n",
            "- 4a\n",
            "4a: \"\\u202Eevil\"\n",
            "\u{0}",
        ] {
            assert!(read(hostile).is_err(), "{hostile:?}");
        }
        assert!(read(&format!("4a: {}\n", "x".repeat(TEXT_MAX + 1))).is_err());
        assert!(read(&"x".repeat(1 << 20)).is_err());
        assert_eq!(read(" \n").unwrap(), Answers::default());
        assert_eq!(read("4a: ~\n").unwrap(), Answers::default());
    }

    #[test]
    fn one_language_is_answered_without_losing_the_other() {
        let mut answers = Answers::default();
        assert!(answers.set("4a", "oui", None, Language::Fr).unwrap());
        assert!(!answers.set("4a", "oui\r\n", None, Language::Fr).unwrap());
        assert!(
            answers
                .set("4a", "yes", Some(Language::En), Language::Fr)
                .unwrap()
        );
        let answer = answers.get("4a").unwrap();
        assert_eq!(
            answer.text(Language::Fr, Language::Fr),
            ("oui", Language::Fr)
        );
        assert_eq!(
            answer.text(Language::En, Language::Fr),
            ("yes", Language::En)
        );
        assert!(
            answers
                .set("4a", "", Some(Language::Fr), Language::Fr)
                .unwrap()
        );
        let answer = answers.get("4a").unwrap();
        assert_eq!(
            answer.text(Language::Fr, Language::Fr),
            ("yes", Language::En)
        );
        assert!(answers.set("4a", " ", None, Language::Fr).unwrap());
        assert!(answers.get("4a").is_none());
        assert_eq!(
            answers
                .set("4x", "a", None, Language::Fr)
                .unwrap_err()
                .code(),
            "dmp.question"
        );
        assert_eq!(
            answers
                .set("access", "open", Some(Language::En), Language::Fr)
                .unwrap_err()
                .code(),
            "dmp.choice"
        );
        let long = "x".repeat(1 << 20);
        assert_eq!(
            answers
                .set("4a", &long, None, Language::Fr)
                .unwrap_err()
                .code(),
            "dmp.too-large"
        );
    }

    #[test]
    fn the_unit_answers_where_the_experiment_does_not() {
        let unit = read("4a: unité\n6b: { fr: temps, en: time }\naccess: open\n").unwrap();
        let own = read("4a: expérience\n").unwrap();
        let all = own.over(&unit);
        assert_eq!(
            all.get("4a").unwrap().text(Language::Fr, Language::Fr).0,
            "expérience"
        );
        assert_eq!(
            all.get("6b").unwrap().text(Language::En, Language::Fr).0,
            "time"
        );
        assert_eq!(all.choice("access"), Some("open"));
    }
}
