//! A layout and a definition → the directories of the experiment, parents first.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::template::{Entry, Layout, Loop};
use super::{Bilingual, DIRECTORIES_MAX, Directory, DirectoryKind};
use crate::error::{Error, Result};
use crate::experiment::text::quote;
use crate::experiment::{Definition, RelPath, Source};

/// What the loops around a directory have set.
#[derive(Clone)]
struct Scope {
    variables: BTreeMap<&'static str, String>,
    /// First and last day of the innermost turn.
    days: Option<(Date, Date)>,
}

impl Scope {
    fn with(&self, variables: &[(&'static str, String)], days: Option<(Date, Date)>) -> Self {
        let mut inner = self.clone();
        inner.variables.extend(variables.iter().cloned());
        inner.days = days;
        inner
    }
}

impl Layout {
    /// The directories of an experiment, parents first; the directory of the experiment itself, `metadata` and
    /// `landing` are not among them.
    ///
    /// # Errors
    /// `layout.needs` where the definition lacks what the layout loops over, `layout.name` for a name that cannot be a
    /// directory, `layout.collision` for names that differ in case only or lead to one directory twice,
    /// `layout.into` for a source whose directory breaks the frame, `layout.too-many`.
    pub fn expand(&self, definition: &Definition) -> Result<Vec<Directory>> {
        let mut tree = Tree {
            layout: self,
            definition,
            directories: BTreeMap::new(),
            folded: BTreeMap::new(),
        };
        let dates = &definition.dates;
        let scope = Scope {
            variables: BTreeMap::from([("code", definition.code.to_string())]),
            days: dates
                .start
                .zip(dates.end)
                .map(|(start, end)| (start.civil(), end.civil())),
        };
        tree.entries(&self.file.directories, None, &scope)?;
        for (i, source) in definition.sources.iter().enumerate() {
            tree.source(source)
                .map_err(|e| e.field(format!("sources[{i}].into")))?;
        }
        for leaf in definition.imported.iter().flat_map(|i| &i.leaves) {
            tree.imported(leaf)
                .map_err(|e| e.field("imported.leaves"))?;
        }
        Ok(tree.directories.into_values().collect())
    }

    fn render(&self, template: &str, scope: &Scope) -> Result<String> {
        self.templates
            .render(template, &scope.variables)
            .map_err(|e| {
                Error::new(
                    "layout.invalid",
                    format!(
                        "layout `{}`: the template {} fails",
                        self.name(),
                        quote(template)
                    ),
                )
                .source(e)
            })
    }

    fn bilingual(&self, text: &Bilingual, scope: &Scope) -> Result<Bilingual> {
        Ok(Bilingual {
            fr: self.render(&text.fr, scope)?,
            en: self.render(&text.en, scope)?,
        })
    }
}

struct Tree<'t> {
    layout: &'t Layout,
    definition: &'t Definition,
    /// By components, so that parents come first and siblings stay together.
    directories: BTreeMap<Vec<String>, Directory>,
    /// Path in lower case → path.
    folded: BTreeMap<String, RelPath>,
}

impl Tree<'_> {
    fn entries(
        &mut self,
        entries: &[Entry],
        parent: Option<&RelPath>,
        scope: &Scope,
    ) -> Result<()> {
        for entry in entries {
            match entry.each {
                None => self.entry(entry, parent, scope)?,
                Some(Loop::Chambers) => {
                    let chambers = self
                        .definition
                        .facility
                        .as_ref()
                        .map(|facility| facility.chambers.as_slice())
                        .unwrap_or_default();
                    if chambers.is_empty() {
                        return Err(self.needs(
                            "the chambers",
                            "facility.chambers",
                            "facility: { chambers: [C1, C2] }",
                        ));
                    }
                    for chamber in chambers {
                        let inner = scope.with(&[("chamber", chamber.clone())], scope.days);
                        self.entry(entry, parent, &inner)?;
                    }
                }
                Some(Loop::Sources) => {
                    for source in &self.definition.sources {
                        let inner = scope.with(&[("source", source.id.to_string())], scope.days);
                        self.entry(entry, parent, &inner)?;
                    }
                }
                Some(period @ (Loop::Years | Loop::Months | Loop::Days)) => {
                    self.periods(period, entry, parent, scope)?;
                }
            }
        }
        Ok(())
    }

    /// One turn for each year, month or day between the first and the last day of the scope.
    fn periods(
        &mut self,
        period: Loop,
        entry: &Entry,
        parent: Option<&RelPath>,
        scope: &Scope,
    ) -> Result<()> {
        let (mut first, last) = scope.days.ok_or_else(|| {
            self.needs(
                "the dates",
                "dates",
                "dates: { start: 2026-03-01, end: 2026-09-30 }",
            )
        })?;
        while first <= last {
            let end = match period {
                Loop::Years => first.last_of_year(),
                Loop::Months => first.last_of_month(),
                _ => first,
            };
            let year = format!("{:04}", first.year());
            let month = format!("{:02}", first.month());
            let day = format!("{:02}", first.day());
            let variables = match period {
                Loop::Years => vec![("date", year.clone()), ("year", year)],
                Loop::Months => vec![
                    ("date", format!("{year}-{month}")),
                    ("year", year),
                    ("month", month),
                ],
                _ => vec![
                    ("date", format!("{year}-{month}-{day}")),
                    ("year", year),
                    ("month", month),
                    ("day", day),
                ],
            };
            self.entry(
                entry,
                parent,
                &scope.with(&variables, Some((first, end.min(last)))),
            )?;
            match end.checked_add(1.day()) {
                Ok(next) => first = next,
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, parent: Option<&RelPath>, scope: &Scope) -> Result<()> {
        let name = self.layout.render(&entry.name, scope)?;
        let path = component(name.trim())
            .and_then(|name| parent.map_or(Ok(name.clone()), |parent| parent.join(&name)))
            .map_err(|e| self.unusable(&name, entry, &e))?;
        let directory = Directory {
            kind: match (entry.leaf, entry.open) {
                (_, true) => DirectoryKind::OpenLeaf,
                (true, _) => DirectoryKind::Leaf,
                _ => DirectoryKind::Frame,
            },
            purpose: self.layout.bilingual(&entry.purpose, scope)?,
            naming: entry
                .naming
                .as_ref()
                .map(|naming| self.layout.bilingual(naming, scope))
                .transpose()?,
            path: path.clone(),
        };
        self.add(directory)?;
        self.entries(&entry.directories, Some(&path), scope)
    }

    fn add(&mut self, directory: Directory) -> Result<()> {
        if self.directories.len() >= DIRECTORIES_MAX {
            return Err(Error::new(
                "layout.too-many",
                format!(
                    "layout `{}` would make more than {DIRECTORIES_MAX} directories for `{}`",
                    self.layout.name(),
                    self.definition.code
                ),
            )
            .hint("shorten the dates, or take a layout with an open leaf instead of one directory a day"));
        }
        let path = &directory.path;
        if let Some(other) = self.folded.insert(folded(path), path.clone()) {
            let how = if other == *path {
                "is made twice".to_owned()
            } else {
                format!(
                    "and `{other}` differ only in the case of letters, so that Windows cannot tell them apart"
                )
            };
            return Err(Error::new(
                "layout.collision",
                format!(
                    "layout `{}`: the directory `{path}` {how}",
                    self.layout.name()
                ),
            )
            .hint("rename a chamber or a source"));
        }
        self.directories.insert(key(path), directory);
        Ok(())
    }

    /// A directory that was there before the experiment, unless the layout has it, or members write in what holds it.
    fn imported(&mut self, leaf: &RelPath) -> Result<()> {
        let mut missing = vec![leaf.clone()];
        if self.directories.contains_key(&key(leaf)) {
            return Ok(());
        }
        let mut parent = leaf.parent();
        while let Some(path) = parent {
            match self.directories.get(&key(&path)).map(|d| d.kind) {
                Some(DirectoryKind::Frame) => break,
                Some(_) => return Ok(()),
                None => {
                    parent = path.parent();
                    missing.push(path);
                }
            }
        }
        for path in missing.into_iter().rev() {
            let kind = if path == *leaf {
                DirectoryKind::OpenLeaf
            } else {
                DirectoryKind::Frame
            };
            self.add(Directory {
                path,
                kind,
                purpose: Bilingual {
                    fr: "Données d'avant la prise en charge par OctoNAS.".into(),
                    en: "Data from before OctoNAS.".into(),
                },
                naming: None,
            })?;
        }
        Ok(())
    }

    /// The directory that a source's data goes into becomes a leaf, its parents frames.
    fn source(&mut self, source: &Source) -> Result<()> {
        let into = &source.into;
        let refused = |why: String| {
            Error::new(
                "layout.into",
                format!(
                    "the data of the source `{}` cannot go into `{into}`: {why}",
                    source.id
                ),
            )
        };
        match self.directories.get(&key(into)).map(|d| d.kind) {
            Some(DirectoryKind::Leaf | DirectoryKind::OpenLeaf) => return Ok(()),
            Some(DirectoryKind::Frame) => {
                return Err(
                    refused("it holds other directories of the layout".into()).hint(format!(
                        "name a directory of its own, like `{into}/{}`",
                        source.id
                    )),
                );
            }
            None => {}
        }
        let mut missing = Vec::new();
        let mut parent = into.parent();
        while let Some(path) = parent {
            match self.directories.get(&key(&path)).map(|d| d.kind) {
                Some(DirectoryKind::Frame) => break,
                Some(_) => {
                    return Err(
                        refused(format!("it lies inside `{path}`, where members write")).hint(
                            format!(
                                "let it go into `{path}` itself, or into a directory beside it"
                            ),
                        ),
                    );
                }
                None => {
                    parent = path.parent();
                    missing.push(path);
                }
            }
        }
        let frame = Bilingual {
            fr: "Données livrées par des sources.".into(),
            en: "Data delivered by sources.".into(),
        };
        let leaf = Bilingual {
            fr: format!("Données livrées par la source {}.", source.id),
            en: format!("Data delivered by the source {}.", source.id),
        };
        let frames = missing
            .into_iter()
            .rev()
            .map(|path| (path, DirectoryKind::Frame, frame.clone()));
        for (path, kind, purpose) in frames.chain([(into.clone(), DirectoryKind::Leaf, leaf)]) {
            self.add(Directory {
                path,
                kind,
                purpose,
                naming: None,
            })?;
        }
        Ok(())
    }

    fn needs(&self, what: &str, field: &str, example: &str) -> Error {
        Error::new(
            "layout.needs",
            format!(
                "layout `{}` makes directories from {what}, and the definition of `{}` names none",
                self.layout.name(),
                self.definition.code
            ),
        )
        .hint(format!("add `{example}`, or take the layout `minimal`"))
        .field(field)
    }

    fn unusable(&self, name: &str, entry: &Entry, why: &Error) -> Error {
        let (what, field) = match entry.each {
            Some(Loop::Chambers) => ("the chamber", "facility.chambers"),
            _ => ("the name", "layout"),
        };
        Error::new(
            "layout.name",
            format!(
                "layout `{}`: {what} {} cannot name a directory: {}",
                self.layout.name(),
                quote(name),
                why.message()
            ),
        )
        .hint("rename it, for instance with `-` in place of what is not allowed")
        .field(field)
    }
}

/// A name as one component of a path.
fn component(name: &str) -> Result<RelPath> {
    let path = RelPath::parse(name)?;
    if path.components().count() == 1 {
        Ok(path)
    } else {
        Err(Error::new("path.invalid", "it contains `/`"))
    }
}

fn key(path: &RelPath) -> Vec<String> {
    path.components().map(str::to_owned).collect()
}

fn folded(path: &RelPath) -> String {
    path.as_str().to_lowercase()
}
