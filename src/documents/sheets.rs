//! The documents of an experiment: which there are, under which names they lie in its `metadata/`, and how they get there.

use serde::Serialize;
use serde_json::Value;

use super::escape::Format;
use super::facts::Facts;
use super::file::{self, Comment, Made, Put, State};
use super::html;
use super::render::{self, Templates};
use crate::error::{Error, Result};
use crate::experiment::Language;
use crate::sys::dir::Dir;

/// The built-in templates of these documents.
pub(super) const BUILT_IN: &[(&str, &str)] = &[
    (
        "en/_citation",
        include_str!("../../templates/documents/en/_citation.hbs"),
    ),
    (
        "en/_signature",
        include_str!("../../templates/documents/en/_signature.hbs"),
    ),
    (
        "en/access",
        include_str!("../../templates/documents/en/access.hbs"),
    ),
    (
        "en/citation",
        include_str!("../../templates/documents/en/citation.hbs"),
    ),
    (
        "en/data-dictionary",
        include_str!("../../templates/documents/en/data-dictionary.hbs"),
    ),
    (
        "en/licence",
        include_str!("../../templates/documents/en/licence.hbs"),
    ),
    (
        "en/readme",
        include_str!("../../templates/documents/en/readme.hbs"),
    ),
    (
        "fr/_citation",
        include_str!("../../templates/documents/fr/_citation.hbs"),
    ),
    (
        "fr/_signature",
        include_str!("../../templates/documents/fr/_signature.hbs"),
    ),
    (
        "fr/access",
        include_str!("../../templates/documents/fr/access.hbs"),
    ),
    (
        "fr/citation",
        include_str!("../../templates/documents/fr/citation.hbs"),
    ),
    (
        "fr/data-dictionary",
        include_str!("../../templates/documents/fr/data-dictionary.hbs"),
    ),
    (
        "fr/licence",
        include_str!("../../templates/documents/fr/licence.hbs"),
    ),
    (
        "fr/readme",
        include_str!("../../templates/documents/fr/readme.hbs"),
    ),
];

/// A document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// What, who, when, where.
    Readme,
    /// How to get at the data.
    Access,
    /// What is in the data.
    Dictionary,
    /// How to cite it (Citation File Format 1.2).
    Citation,
    /// Under what licence it is.
    Licence,
}

/// A document as one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// `README.fr.html`.
    pub file: String,
    /// Which document.
    pub document: Document,
    /// In which language; a document that exists once is in the experiment's.
    pub language: Language,
    /// A page of HTML made from the Markdown.
    pub page: bool,
}

/// What became of a sheet, or would become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// `README.fr.html`.
    pub file: String,
    /// How it stood before.
    pub state: State,
    /// It was written, or would be.
    pub written: bool,
    /// Where what a person had changed is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

impl Document {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Readme,
        Self::Access,
        Self::Dictionary,
        Self::Citation,
        Self::Licence,
    ];

    /// What its files are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Readme => "README",
            Self::Access => "ACCESS",
            Self::Dictionary => "DATA-DICTIONARY",
            Self::Citation => "CITATION",
            Self::Licence => "LICENCE",
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Readme => "readme",
            Self::Access => "access",
            Self::Dictionary => "data-dictionary",
            Self::Citation => "citation",
            Self::Licence => "licence",
        }
    }

    /// The facts that its template gets; others change it in nothing.
    const fn facts(self) -> &'static [&'static str] {
        match self {
            Self::Readme => &[
                "contacts",
                "data",
                "experiment",
                "facility",
                "funding",
                "keywords",
                "kept_until",
                "layout",
                "licence",
                "namings",
                "people",
                "retention_years",
                "sources",
                "tree",
                "tree_more",
                "variables",
            ],
            Self::Access => &[
                "contacts",
                "doors",
                "experiment",
                "leaf",
                "reading",
                "served",
            ],
            Self::Dictionary => &["data", "dictionary", "experiment"],
            Self::Citation => &[
                "authors",
                "contacts",
                "experiment",
                "facility",
                "keywords",
                "licence",
            ],
            Self::Licence => &["experiment", "licence"],
        }
    }

    const fn format(self) -> Format {
        match self {
            Self::Readme | Self::Access | Self::Dictionary => Format::Markdown,
            Self::Citation => Format::Yaml,
            Self::Licence => Format::Text,
        }
    }
}

/// The sheets of an experiment in this language.
pub fn sheets(own: Language) -> Vec<Sheet> {
    let mut all = Vec::new();
    for document in Document::ALL {
        let once = |file: String| Sheet {
            file,
            document,
            language: own,
            page: false,
        };
        match document {
            Document::Citation => all.push(once("CITATION.cff".to_owned())),
            Document::Licence => all.push(once("LICENCE.txt".to_owned())),
            _ => {
                for &language in Language::ALL {
                    for (page, end) in [(false, "md"), (true, "html")] {
                        all.push(Sheet {
                            file: format!("{}.{language}.{end}", document.name()),
                            document,
                            language,
                            page,
                        });
                    }
                }
            }
        }
    }
    all
}

/// The sheet that a person means by `README`, `readme.fr`, `CITATION.cff` …, in this language where it exists in several.
pub fn find(name: &str, language: Language, own: Language) -> Result<Sheet> {
    let wanted = name.to_lowercase();
    let mut all = sheets(own);
    all.sort_by_key(|sheet| (sheet.language != language, sheet.page));
    all.iter()
        .find(|sheet| sheet.file.to_lowercase() == wanted)
        .or_else(|| {
            all.iter().find(|sheet| {
                let file = sheet.file.to_lowercase();
                sheet.document.name().to_lowercase() == wanted
                    || file
                        .rsplit_once('.')
                        .is_some_and(|(stem, _)| stem == wanted)
            })
        })
        .cloned()
        .ok_or_else(|| {
            let names: Vec<&str> = Document::ALL.into_iter().map(Document::name).collect();
            Error::new("document.unknown", format!("there is no document {name}"))
                .hint(format!("one of {}", names.join(", ")))
        })
}

/// The documents of one state of an experiment, made when they are asked for.
pub struct Press<'p> {
    templates: &'p Templates,
    /// What each document gets, and the digest of it.
    facts: Vec<(Document, Value, String)>,
    title: String,
    own: Language,
    /// The Markdown that was made last: the page after it is made from the same.
    last: Option<(Document, Language, String)>,
}

impl<'p> Press<'p> {
    /// Makes ready.
    pub fn new(templates: &'p Templates, facts: &Facts, own: Language) -> Result<Self> {
        let mut all = serde_json::to_value(facts)
            .map_err(|e| Error::new("output.failed", "cannot encode the facts").source(e))?;
        if let Some(data) = all.get_mut("data").and_then(Value::as_object_mut) {
            // The dictionary has them.
            data.remove("series");
        }
        let facts = Document::ALL
            .into_iter()
            .map(|document| {
                let some = select(&all, document.facts());
                let digest = render::digest_of(&some)?;
                Ok((document, some, digest))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            templates,
            title: all["experiment"]["title"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            facts,
            own,
            last: None,
        })
    }

    fn of(&self, document: Document) -> (&Value, &str) {
        self.facts
            .iter()
            .find(|(of, _, _)| *of == document)
            .map_or((&Value::Null, ""), |(_, facts, digest)| (facts, digest))
    }

    /// What a sheet would be made from.
    pub fn made(&self, sheet: &Sheet) -> Result<Made> {
        let template = self
            .templates
            .digest(sheet.language, sheet.document.template())?;
        Ok(Made {
            inputs: self.of(sheet.document).1.to_owned(),
            template,
        })
    }

    /// The text of a sheet, without a seal.
    pub fn text(&mut self, sheet: &Sheet) -> Result<String> {
        let same = |(document, language, _): &&(Document, Language, String)| {
            *document == sheet.document && *language == sheet.language
        };
        let text = match self.last.as_ref().filter(same) {
            Some((_, _, text)) => text.clone(),
            None => self.templates.render(
                sheet.language,
                sheet.document.template(),
                sheet.document.format(),
                self.of(sheet.document).0,
            )?,
        };
        let page = sheet.page.then(|| {
            let title = format!("{} – {}", sheet.document.name(), self.title);
            html::page(&text, &title, sheet.language)
        });
        self.last = Some((sheet.document, sheet.language, text.clone()));
        Ok(page.unwrap_or(text))
    }

    /// How every sheet stands.
    pub fn look(&self, metadata: &Dir) -> Result<Vec<Outcome>> {
        sheets(self.own)
            .into_iter()
            .map(|sheet| {
                let state = file::state(metadata, &sheet.file, &self.made(&sheet)?)?;
                Ok(Outcome {
                    written: state != State::Current,
                    file: sheet.file,
                    state,
                    kept: None,
                })
            })
            .collect()
    }

    /// Writes every sheet that is not current. What is, is not even made.
    pub fn print(&mut self, metadata: &Dir) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for sheet in sheets(self.own) {
            let made = self.made(&sheet)?;
            let state = file::state(metadata, &sheet.file, &made)?;
            let put = if state == State::Current {
                crate::store::show(metadata, &sheet.file)?;
                Put::Unchanged
            } else {
                let text = self.text(&sheet)?;
                file::put(metadata, &sheet.file, &text, comment(&sheet), &made)?
            };
            outcomes.push(Outcome {
                file: sheet.file,
                state,
                written: put != Put::Unchanged,
                kept: match put {
                    Put::Kept(beside) => Some(beside),
                    _ => None,
                },
            });
        }
        Ok(outcomes)
    }
}

/// These keys, and those that every document may show: the day and the version of the program.
fn select(all: &Value, keys: &[&str]) -> Value {
    keys.iter()
        .chain(&["today", "octonas"])
        .filter_map(|key| Some(((*key).to_owned(), all.get(key)?.clone())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn comment(sheet: &Sheet) -> Comment {
    match sheet.document.format() {
        Format::Markdown => Comment::Angle,
        _ => Comment::Hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_found_by_the_names_that_people_use() {
        for (name, language, file) in [
            ("README", Language::Fr, "README.fr.md"),
            ("readme", Language::En, "README.en.md"),
            ("readme.fr", Language::En, "README.fr.md"),
            ("README.fr.html", Language::En, "README.fr.html"),
            ("data-dictionary", Language::En, "DATA-DICTIONARY.en.md"),
            ("citation", Language::En, "CITATION.cff"),
            ("licence.txt", Language::Fr, "LICENCE.txt"),
        ] {
            assert_eq!(
                find(name, language, Language::Fr).unwrap().file,
                file,
                "{name}"
            );
        }
        assert_eq!(
            find("experiment.yaml", Language::Fr, Language::Fr)
                .unwrap_err()
                .code(),
            "document.unknown"
        );
    }
}
