//! Templates, and texts made from them: handlebars in strict mode, every value escaped for the format it lands in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use handlebars::Handlebars;
use serde::Serialize;
use serde_json::Value;

use super::escape::Format;
use super::{file, helpers, words};
use crate::error::{Error, Result};
use crate::experiment::Language;
use crate::layout::Origin;

/// The longest template.
pub const TEMPLATE_MAX: u64 = 256 << 10;

/// Changes with everything in the program that shapes a text from the same template and facts.
const EDITION: &str = "1";

/// Built-in templates, as `<language>/<name>`; a name that begins with `_` is a part of others.
const BUILT_IN: &[&[(&str, &str)]] = &[
    super::sheets::BUILT_IN,
    super::dmp::text::BUILT_IN,
    super::synckit::BUILT_IN,
    super::notices::BUILT_IN,
];

/// The templates that are in force: the built-in ones, and those of the NAS in their place.
#[derive(Debug, Clone)]
pub struct Templates {
    texts: BTreeMap<String, (Origin, String)>,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Templates {
    /// Built-in templates and overrides as (`fr/readme.md`, text). A text is looked at when it is used.
    pub fn new(overrides: Vec<(String, String)>) -> Self {
        let built_in = BUILT_IN
            .iter()
            .copied()
            .flatten()
            .map(|(name, text)| ((*name).to_owned(), (Origin::BuiltIn, (*text).to_owned())));
        let overrides = overrides
            .into_iter()
            .map(|(name, text)| (name, (Origin::Override, text)));
        Self {
            texts: built_in.chain(overrides).collect(),
        }
    }

    /// The text of a template, and where it comes from.
    pub fn get(&self, language: Language, name: &str) -> Result<(Origin, &str)> {
        self.texts
            .get(&format!("{language}/{name}"))
            .map(|(origin, text)| (*origin, text.as_str()))
            .ok_or_else(|| {
                Error::new(
                    "template.unknown",
                    format!("there is no template {language}/{name}"),
                )
            })
    }

    /// The names, sorted, and where each comes from.
    pub fn names(&self) -> impl Iterator<Item = (&str, Origin)> {
        self.texts
            .iter()
            .map(|(name, (origin, _))| (name.as_str(), *origin))
    }

    /// SHA-256 over everything that a template in this language is made of: its text, the parts, the program's edition.
    pub fn digest(&self, language: Language, name: &str) -> Result<String> {
        let (_, text) = self.get(language, name)?;
        let mut all = format!("{EDITION}\n{}\n{text}", text.len());
        for (part, text) in self.parts(language) {
            let _ = write!(all, "\n{part}\n{}\n{text}", text.len());
        }
        Ok(file::sha256(all.as_bytes()))
    }

    /// Makes a text. `data` is an object; a key that a template names and `data` lacks is an error.
    ///
    /// # Errors
    /// `template.unknown`, and `template.invalid` for one that cannot be read or does not fit `data`.
    pub fn render(
        &self,
        language: Language,
        name: &str,
        format: Format,
        data: &impl Serialize,
    ) -> Result<String> {
        let (origin, text) = self.get(language, name)?;
        let invalid = |name: &str, e: Box<dyn std::error::Error + Send + Sync>| {
            let error = Error::new(
                "template.invalid",
                format!("the template {language}/{name} cannot be used"),
            )
            .source(e);
            match origin {
                Origin::BuiltIn => error,
                Origin::Override => error.hint(
                    "mend it in the templates' directory of this NAS, or take it away: the built-in one is used then",
                ),
            }
        };
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(move |text| format.escape(text));
        helpers::register(&mut registry, language, format);
        for (part, text) in self.parts(language) {
            registry
                .register_template_string(part, text)
                .map_err(|e| invalid(part, Box::new(e)))?;
        }
        registry
            .register_template_string(name, text)
            .map_err(|e| invalid(name, Box::new(e)))?;
        let text = registry
            .render(name, data)
            .map_err(|e| invalid(name, Box::new(e)))?;
        let text = tidy(&text);
        Ok(match (language, format) {
            (Language::Fr, Format::Markdown) => firm(&text),
            _ => text,
        })
    }

    /// Templates that are parts of others.
    fn parts(&self, language: Language) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().filter_map(move |(key, (_, text))| {
            let name = key.strip_prefix(language.as_str())?.strip_prefix('/')?;
            name.starts_with('_').then_some((name, text.as_str()))
        })
    }
}

/// SHA-256 over the facts of a document, without the day on which they were gathered (`today`) and without the version
/// of the program (`octonas`): alone, they change no text.
pub fn digest_of(facts: &impl Serialize) -> Result<String> {
    let mut value = serde_json::to_value(facts)
        .map_err(|e| Error::new("output.failed", "cannot encode the facts").source(e))?;
    if let Value::Object(map) = &mut value {
        map.remove("today");
        map.remove("octonas");
    }
    Ok(file::sha256(value.to_string().as_bytes()))
}

/// At most one empty line between paragraphs, no spaces at the end of a line, one line break at the end.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    let mut fenced = false;
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if line.is_empty() && !fenced {
            empty += 1;
            continue;
        }
        if empty > 0 && !out.is_empty() {
            out.push('\n');
        }
        empty = 0;
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// French spaces in the prose of a Markdown text; code stays as it is.
fn firm(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") {
            out.push_str(line);
        } else {
            for (i, piece) in line.split('`').enumerate() {
                if i > 0 {
                    out.push('`');
                }
                if i.is_multiple_of(2) {
                    out.push_str(&words::firm(piece));
                } else {
                    out.push_str(piece);
                }
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(text: &str, format: Format, data: &Value) -> Result<String> {
        let templates = Templates::new(vec![
            ("fr/t".into(), text.into()),
            ("fr/_part".into(), "<{{x}}>".into()),
        ]);
        templates.render(Language::Fr, "t", format, data)
    }

    #[test]
    fn a_value_is_escaped_for_the_format_it_lands_in() {
        let data = json!({"x": "a|<b>\nc"});
        assert_eq!(
            render("| {{x}} |", Format::Markdown, &data).unwrap(),
            "| a\\|\\<b> c |\n"
        );
        assert_eq!(
            render("x: {{x}}", Format::Yaml, &data).unwrap(),
            "x: \"a|<b>\\nc\"\n"
        );
        assert_eq!(render("{{x}}", Format::Text, &data).unwrap(), "a|<b> c\n");
        assert_eq!(
            render("{{code x}}", Format::Markdown, &data).unwrap(),
            "`a|<b> c`\n"
        );
        assert_eq!(
            render("{{> _part}}", Format::Markdown, &data).unwrap(),
            "<a\\|\\<b> c>\n"
        );
    }

    #[test]
    fn what_a_template_names_must_be_there() {
        let data = json!({"x": null, "n": 12345, "list": ["a", "b"], "roles": ["contact"]});
        for text in [
            "{{y}}",
            "{{day y}}",
            "{{#if z.y}}{{/if}}{{z.y}}",
            "{{size x}}",
            "{{role \"boss\"}}",
            "{{#x}",
            "{{nothing x}}",
            "{{> _none}}",
        ] {
            let error = render(text, Format::Markdown, &data).unwrap_err();
            assert_eq!(error.code(), "template.invalid", "{text}");
            assert!(error.hint_text().is_some());
        }
        assert_eq!(
            render(
                "{{#if x}}no{{else}}{{number n}} {{join list}} {{roles roles}}{{/if}}",
                Format::Markdown,
                &data
            )
            .unwrap(),
            "12\u{202f}345 a, b contact\n"
        );
    }

    #[test]
    fn french_prose_gets_its_spaces_and_code_does_not() {
        let text = "Où ? `a ? b` ; fin\n\n\n\n```python\nx = {1 : 2}\n\n\ny\n```\n";
        assert_eq!(
            render(text, Format::Markdown, &json!({})).unwrap(),
            "Où\u{202f}? `a ? b`\u{202f}; fin\n\n```python\nx = {1 : 2}\n\n\ny\n```\n"
        );
    }

    #[test]
    fn the_digest_of_a_template_changes_with_it_and_with_its_parts() {
        let with = |text: &str, part: &str| {
            Templates::new(vec![
                ("fr/t".into(), text.into()),
                ("fr/_part".into(), part.into()),
            ])
            .digest(Language::Fr, "t")
            .unwrap()
        };
        assert_eq!(with("a", "b"), with("a", "b"));
        assert_ne!(with("a", "b"), with("a", "c"));
        assert_ne!(with("a", "b"), with("c", "b"));
        assert_eq!(
            digest_of(&json!({"a": 1, "today": "2026-01-01"})).unwrap(),
            digest_of(&json!({"a": 1, "today": "2026-01-02"})).unwrap()
        );
    }
}
