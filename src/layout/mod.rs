//! Layout template → directories. No I/O: built-in templates are part of the program, overrides are handed in as text.
//! Knows `experiment` and `error`.

mod expand;
mod template;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::experiment::text::{did_you_mean, quote};
use crate::experiment::{LayoutName, RelPath};

pub use template::Layout;

/// The most directories that one experiment can have.
pub const DIRECTORIES_MAX: usize = 2000;

/// The same sentence in French and English.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// French.
    pub fr: String,
    /// English.
    pub en: String,
}

/// Who may do what in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirectoryKind {
    /// Holds directories of the layout; writable by root only.
    Frame,
    /// Members put files in it. A subdirectory there is reported by `check` (the file system cannot refuse it).
    Leaf,
    /// Members put files and subdirectories in it.
    OpenLeaf,
}

impl DirectoryKind {
    /// True where members write.
    pub fn is_leaf(self) -> bool {
        self != Self::Frame
    }
}

/// A directory of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Below the experiment.
    pub path: RelPath,
    /// Who may do what in it.
    pub kind: DirectoryKind,
    /// What it is for.
    pub purpose: Bilingual,
    /// How files in it are named, where the layout says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naming: Option<Bilingual>,
}

/// Where the text of a layout comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Part of the program.
    BuiltIn,
    /// From /etc/octonas/templates/layouts.
    Override,
}

const BUILT_IN: &[(&str, &str)] = &[
    (
        "aquatic-loggers",
        include_str!("../../templates/layouts/aquatic-loggers.yaml"),
    ),
    (
        "climate-chamber",
        include_str!("../../templates/layouts/climate-chamber.yaml"),
    ),
    (
        "field-campaign",
        include_str!("../../templates/layouts/field-campaign.yaml"),
    ),
    (
        "minimal",
        include_str!("../../templates/layouts/minimal.yaml"),
    ),
];

/// The layouts that can be chosen: the built-in ones, and those of the NAS, which replace built-in ones of their name.
#[derive(Debug, Clone)]
pub struct Layouts {
    texts: BTreeMap<String, (Origin, String)>,
}

impl Default for Layouts {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Layouts {
    /// Built-in layouts and overrides as (name, text). A text is looked at when it is asked for, so that one broken file
    /// does not take the others away.
    pub fn new(overrides: Vec<(String, String)>) -> Self {
        let built_in = BUILT_IN
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (Origin::BuiltIn, (*text).to_owned())));
        let overrides = overrides
            .into_iter()
            .map(|(name, text)| (name, (Origin::Override, text)));
        Self {
            texts: built_in.chain(overrides).collect(),
        }
    }

    /// The names, sorted, and where each comes from.
    pub fn names(&self) -> impl Iterator<Item = (&str, Origin)> {
        self.texts
            .iter()
            .map(|(name, (origin, _))| (name.as_str(), *origin))
    }

    /// The text of a layout.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.texts
            .get(name)
            .map(|(_, text)| text.as_str())
            .ok_or_else(|| {
                let hint = match did_you_mean(name, self.texts.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`octonas layout list` shows the layouts".into(),
                };
                Error::new(
                    "layout.unknown",
                    format!("there is no layout {}", quote(name)),
                )
                .hint(hint)
                .field("layout")
            })
    }

    /// A layout by its name.
    pub fn get(&self, name: &LayoutName) -> Result<Layout> {
        let layout = Layout::parse(self.text(name.as_str())?)?;
        if layout.name() == name {
            return Ok(layout);
        }
        Err(Error::new(
            "layout.invalid",
            format!(
                "the file of the layout `{name}` says that its name is `{}`",
                layout.name()
            ),
        )
        .hint("give the file and the layout the same name"))
    }
}

#[cfg(test)]
mod tests;
