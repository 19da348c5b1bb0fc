//! The text of a layout: YAML with loops, names that are handlebars templates. What can be checked without an experiment
//! is checked here.

use handlebars::template::{Parameter, Template, TemplateElement};
use handlebars::{Handlebars, Path, no_escape};
use serde::Deserialize;

use super::Bilingual;
use crate::error::{Error, Result};
use crate::experiment::LayoutName;
use crate::experiment::text::{did_you_mean, quote};

/// The largest text of a layout, in bytes.
const TEXT_MAX: usize = 64 * 1024;
/// The deepest tree of directories.
const DEPTH_MAX: usize = 16;

/// A layout whose text was checked.
#[derive(Debug)]
pub struct Layout {
    pub(super) file: File,
    /// Every template of the file, registered under its own text.
    pub(super) templates: Handlebars<'static>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub name: LayoutName,
    pub title: Bilingual,
    pub purpose: Bilingual,
    pub directories: Vec<Entry>,
}

/// A directory, or one for each turn of a loop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub name: String,
    #[serde(rename = "for")]
    pub each: Option<Loop>,
    #[serde(default)]
    pub leaf: bool,
    #[serde(default)]
    pub open: bool,
    pub purpose: Bilingual,
    pub naming: Option<Bilingual>,
    #[serde(default)]
    pub directories: Vec<Entry>,
}

/// What a directory is made for each of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Loop {
    Chambers,
    Sources,
    Years,
    Months,
    Days,
}

impl Loop {
    /// The variables that a turn of the loop gives.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Chambers => &["chamber"],
            Self::Sources => &["source"],
            Self::Years => &["year", "date"],
            Self::Months => &["year", "month", "date"],
            Self::Days => &["year", "month", "day", "date"],
        }
    }
}

impl Layout {
    /// Reads the text of a layout. An error names the place.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TEXT_MAX {
            return Err(Error::new(
                "layout.invalid",
                format!(
                    "the layout has {} bytes; at most {TEXT_MAX} are allowed",
                    text.len()
                ),
            ));
        }
        let file: File = serde_yaml::from_str(text)
            .map_err(|e| Error::new("layout.invalid", "the layout cannot be read").source(e))?;
        let mut templates = Handlebars::new();
        templates.set_strict_mode(true);
        templates.register_escape_fn(no_escape);
        let mut layout = Self { file, templates };
        let entries = std::mem::take(&mut layout.file.directories);
        let checked = layout.check(&entries, &["code"], 1);
        layout.file.directories = entries;
        checked.map(|()| layout)
    }

    /// What it is called.
    pub fn name(&self) -> &LayoutName {
        &self.file.name
    }

    /// What it is called in documents.
    pub fn title(&self) -> &Bilingual {
        &self.file.title
    }

    /// What it is for.
    pub fn purpose(&self) -> &Bilingual {
        &self.file.purpose
    }

    fn check(&mut self, entries: &[Entry], outer: &[&'static str], depth: usize) -> Result<()> {
        let layout = self.file.name.clone();
        let refused = |entry: &Entry, why: &str| {
            Error::new(
                "layout.invalid",
                format!(
                    "layout `{layout}`: the directory {} {why}",
                    quote(&entry.name)
                ),
            )
        };
        for entry in entries {
            if depth > DEPTH_MAX {
                return Err(refused(entry, "is nested too deep"));
            }
            if entry.leaf && entry.open {
                return Err(refused(entry, "is marked `leaf` and `open`")
                    .hint("an open leaf is `open: true` only"));
            }
            if (entry.leaf || entry.open) && !entry.directories.is_empty() {
                return Err(refused(entry, "is a leaf, and has directories").hint(
                    "what holds directories of the layout belongs to root; members write in leaves",
                ));
            }
            if !entry.leaf && !entry.open && entry.directories.is_empty() {
                return Err(refused(entry, "is neither a leaf nor has directories")
                    .hint("mark it `leaf: true` or `open: true`"));
            }
            let reserved = matches!(entry.name.to_lowercase().as_str(), "metadata" | "landing");
            if depth == 1 && (reserved || entry.name.starts_with('.')) {
                return Err(refused(entry, "has a name that OctoNAS itself uses"));
            }
            let mut variables = outer.to_vec();
            variables.extend(entry.each.map(Loop::variables).unwrap_or_default());
            let texts = [&entry.purpose.fr, &entry.purpose.en];
            let naming = entry.naming.iter().flat_map(|n| [&n.fr, &n.en]);
            for text in std::iter::once(&entry.name).chain(texts).chain(naming) {
                self.register(text, &variables)
                    .map_err(|why| refused(entry, &why))?;
            }
            self.check(&entry.directories, &variables, depth + 1)?;
        }
        Ok(())
    }

    /// Compiles a template in which nothing but these variables may stand.
    fn register(&mut self, text: &str, variables: &[&str]) -> std::result::Result<(), String> {
        let template = Template::compile(text).map_err(|e| {
            format!(
                "has the template {}, which cannot be read: {e}",
                quote(text)
            )
        })?;
        for element in &template.elements {
            let expression = match element {
                TemplateElement::RawString(_) => continue,
                TemplateElement::Expression(e) | TemplateElement::HtmlExpression(e)
                    if e.params.is_empty() && e.hash.is_empty() && !e.block =>
                {
                    e
                }
                _ => {
                    return Err(format!(
                        "has the template {}; only variables are allowed, like `{{{{year}}}}`",
                        quote(text)
                    ));
                }
            };
            let name = match &expression.name {
                Parameter::Name(name) | Parameter::Path(Path::Relative((_, name))) => name.as_str(),
                _ => "",
            };
            if !variables.contains(&name) {
                let near = did_you_mean(name, variables.iter().copied())
                    .map(|near| format!(", did you mean `{near}`"))
                    .unwrap_or_default();
                return Err(format!(
                    "uses the variable {}, which has no value there{near} (known: {})",
                    quote(name),
                    variables.join(", ")
                ));
            }
        }
        self.templates.register_template(text, template);
        Ok(())
    }
}
