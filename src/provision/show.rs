//! One experiment for people: what it is, where it is, who is in it, its tree.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::apply;
use super::desired::{self, Right};
use super::plan::Plan;
use super::quota::{self, Storage};
use super::sharing;
use super::site::{self, Site};
use super::tonight::{self, Waiting};
use crate::documents::words;
use crate::error::Result;
use crate::experiment::{Code, Definition, Language, LayoutName, Status};
use crate::layout::{Bilingual, DirectoryKind, Layouts, Origin};
use crate::nas::Identity;
use crate::report::printable;

/// One directory of the tree.
#[derive(Debug, Serialize)]
pub struct Branch {
    /// Path below the experiment.
    pub path: String,
    /// Frame, leaf or open leaf.
    pub kind: DirectoryKind,
    /// What it is for, in the experiment's language.
    pub purpose: String,
}

/// One experiment.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its definition.
    pub definition: Definition,
    /// The digest of it, which an edit carries.
    pub digest: String,
    /// Its directory.
    pub path: String,
    /// Who holds it.
    pub nas: Identity,
    /// Who may enter today: account → `read` or `write`.
    pub members: BTreeMap<String, &'static str>,
    /// Its tree.
    pub tree: Vec<Branch>,
    /// The share of its base in which it is a folder; `None` where it has a share of its own, named as its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_share: Option<String>,
    /// What it needs, and may need.
    pub storage: Storage,
    /// What is set for the night.
    pub tonight: Option<Waiting>,
}

/// Looks at one experiment, removed ones included.
pub fn show(site: &Site, code: &Code) -> Result<Shown> {
    let opened = site.open(code)?;
    let definition = &opened.definition;
    let tree = site
        .layout(definition)?
        .expand(definition)?
        .into_iter()
        .map(|directory| Branch {
            purpose: match definition.language {
                Language::Fr => directory.purpose.fr,
                Language::En => directory.purpose.en,
            },
            path: directory.path.to_string(),
            kind: directory.kind,
        })
        .collect();
    let members = match definition.status {
        Status::Removed => BTreeMap::new(),
        _ => desired::members(definition, site.today.get()),
    };
    let members = members
        .into_iter()
        .map(|(account, right)| {
            (
                account,
                if right == Right::Write {
                    "write"
                } else {
                    "read"
                },
            )
        })
        .collect();
    Ok(Shown {
        path: opened.path().display().to_string(),
        nas: site.nas.identity().clone(),
        digest: opened.digest.clone(),
        members,
        tree,
        storage: quota::storage(site, &opened)?,
        tonight: tonight::of(site, code)?,
        common_share: opened.base.common_share,
        definition: opened.definition,
    })
}

/// One layout.
#[derive(Debug, Serialize)]
pub struct LayoutRow {
    /// By which a definition names it.
    pub name: String,
    /// Built in, or this NAS's own.
    pub origin: Origin,
    /// For people.
    pub title: Bilingual,
    /// What it is for.
    pub purpose: Bilingual,
}

/// The layouts that a definition can name.
pub fn layouts(layouts: &Layouts) -> Result<Vec<LayoutRow>> {
    layouts
        .names()
        .map(|(name, origin)| {
            let layout = layouts.get(&LayoutName::parse(name)?)?;
            Ok(LayoutRow {
                name: name.to_owned(),
                origin,
                title: layout.title().clone(),
                purpose: layout.purpose().clone(),
            })
        })
        .collect()
}

/// What `apply` would do.
pub fn plan(site: &Site, code: &Code, mend: bool) -> Result<Plan> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let observation = site.nas.observe()?;
    let mut plan = apply::look(site, &opened, &observation, mend)?.plan;
    if opened.base.common_share.is_some() {
        let around = sharing::plan(site, &opened.base, &observation, mend)?;
        plan.drift.extend(around.drift);
        plan.steps.splice(0..0, around.steps);
    }
    Ok(plan)
}

/// What an experiment needs of what it may need, where something is known of it.
fn needed(storage: &Storage) -> Option<String> {
    let size = |bytes: u64| words::size(Language::En, bytes);
    Some(match (storage.used, storage.quota, storage.free) {
        (Some(used), Some(quota), Some(free)) => format!(
            "{} of {}, {} free{}",
            size(used),
            size(quota),
            size(free),
            if storage.enforced {
                ""
            } else {
                " (the quota is shown, not enforced)"
            }
        ),
        (Some(used), ..) => size(used),
        (None, Some(quota), _) => format!("of {}, not counted yet", size(quota)),
        _ => return None,
    })
}

/// The same as text.
pub fn text(shown: &Shown) -> String {
    let definition = &shown.definition;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} — {}",
        definition.code,
        printable(&definition.title)
    );
    let _ = writeln!(out, "status   {}", definition.status);
    let _ = writeln!(
        out,
        "place    {} ({})",
        printable(&shown.path),
        printable(&shown.nas.name)
    );
    let _ = writeln!(out, "digest   {}", shown.digest);
    if let Some(line) = needed(&shown.storage) {
        let _ = writeln!(out, "storage  {line}");
    }
    if let Some(set) = &shown.tonight {
        let _ = writeln!(
            out,
            "tonight  {} ({}), set by {}, from {}",
            set.operation.as_str(),
            set.state.as_str(),
            printable(&set.by),
            set.from
        );
    }
    let _ = writeln!(out, "\npeople");
    for person in &definition.people {
        let access = match &person.account {
            Some(account) => match shown.members.get(account.as_str()) {
                Some(right) => format!("{account}: {right}"),
                None if definition.status == Status::Removed => format!("{account}: no access"),
                None => format!("{account}: access ended"),
            },
            None => "no access".to_owned(),
        };
        let until = person
            .until
            .map(|until| format!(", until {until}"))
            .unwrap_or_default();
        let _ = writeln!(out, "  {} ({access}{until})", printable(&person.name));
    }
    let _ = writeln!(out, "\ntree     (leaves, where members write, end in /)");
    for branch in &shown.tree {
        let depth = branch.path.matches('/').count();
        let name = branch.path.rsplit('/').next().unwrap_or_default();
        let mark = if branch.kind == DirectoryKind::Frame {
            ""
        } else {
            "/"
        };
        let entry = format!("{}{}{mark}", "  ".repeat(depth + 1), printable(name));
        let _ = writeln!(out, "{entry:<34} {}", printable(&branch.purpose));
    }
    out
}
