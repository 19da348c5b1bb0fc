//! What is not as it should be below the leaves, and what is in the frame that nobody can have put there. Changes nothing.

use super::super::apply::Look;
use super::super::site::{Opened, Site};
use super::wall::Wall;
use super::{Finding, frames, has_seal, is_linked, left};
use crate::error::Result;
use crate::layout::DirectoryKind;
use crate::nas::Observation;
use crate::object::{Kind, ObjectId};
use crate::report::{Said, said};
use crate::sys::acl::Which;
use crate::sys::dir::FileKind;
use crate::sys::process;
use crate::sys::walk::{self, Walk};

/// More findings than these say nothing new.
const FINDINGS_LIMIT: usize = 10_000;

/// Looks through everything below the leaves. Changes nothing.
pub fn find(
    site: &Site,
    opened: &Opened,
    look: &Look,
    observation: &Observation,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let wall = site
        .nas
        .identity()
        .enforces_rights
        .then(|| Wall::of(opened, look, observation))
        .flatten();
    strangers_in_frame(opened, look, wall, &mut findings)?;
    for directory in look
        .directories
        .iter()
        .filter(|directory| directory.kind != DirectoryKind::Frame)
    {
        let leaf = directory.path.as_str();
        let Some(dir) = opened.dir.open(leaf)? else {
            continue;
        };
        for found in Walk::new(&dir)? {
            if findings.len() >= FINDINGS_LIMIT {
                return Ok(findings);
            }
            match found.and_then(|found| examine(&found, wall, directory.kind)) {
                Ok(None) => {}
                Ok(Some((path, code, text))) => findings.push(Finding {
                    code,
                    path: format!("{leaf}/{path}"),
                    text,
                }),
                Err(error) => findings.push(Finding {
                    code: "tree.unreadable",
                    path: leaf.to_owned(),
                    text: said!("{0}", "{0}", error),
                }),
            }
        }
    }
    Ok(findings)
}

type Verdict = Option<(String, &'static str, Said)>;

fn examine(found: &walk::Found, wall: Option<Wall>, leaf: DirectoryKind) -> Result<Verdict> {
    process::check_interrupted()?;
    let path = found.path.display().to_string();
    let kind = found.metadata.kind;
    if kind == FileKind::Directory && leaf == DirectoryKind::Leaf && !path.contains('/') {
        return Ok(Some((
            path,
            "leaf.directory",
            said!(
                "the layout has no directories here",
                "la disposition n'a pas de répertoires ici"
            ),
        )));
    }
    if !matches!(kind, FileKind::Directory | FileKind::File) {
        return Ok(None);
    }
    let Some(wall) = wall else { return Ok(None) };
    let Some(node) = found.node()? else {
        return Ok(None);
    };
    let right = if has_seal(found) {
        node.acl(Which::Access)?.as_ref() == Some(&wall.sealed())
    } else {
        wall.is_right(&node, kind)?
    };
    if right {
        return Ok(None);
    }
    if is_linked(found) {
        return Ok(Some((
            path,
            "rights.linked",
            said!(
                "its rights were changed, and it has other names: it is left alone",
                "ses droits ont été changés, et il a d'autres noms : il est laissé tel quel"
            ),
        )));
    }
    Ok(Some((
        path,
        "rights.narrowed",
        said!(
            "its rights differ from the experiment's: some members may not use it",
            "ses droits diffèrent de ceux de l'expérience : des membres ne peuvent peut-être pas s'en servir"
        ),
    )))
}

/// The frame holds the layout and nothing else, but for what was left of an earlier one, and files that an import found.
fn strangers_in_frame(
    opened: &Opened,
    look: &Look,
    wall: Option<Wall>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let imported = opened.definition.imported.is_some();
    for (frame, dir) in frames(opened, look)? {
        for entry in dir.iterate()? {
            let entry = entry?;
            if findings.len() >= FINDINGS_LIMIT {
                return Ok(());
            }
            let name = entry.name.to_string_lossy();
            let path = if frame.is_empty() {
                name.into_owned()
            } else {
                format!("{frame}/{name}")
            };
            let (code, text) = if entry.kind == FileKind::Directory || !imported {
                let asked_for = ObjectId::new(Kind::Directory, &path);
                if look.desired.contains_key(&asked_for)
                    || opened.applied.objects.contains_key(&left(&path))
                {
                    continue;
                }
                let text = said!(
                    "the layout knows nothing of it, and no member can have made it",
                    "la disposition n'en sait rien, et aucun membre ne peut l'avoir fait"
                );
                ("frame.unexpected", text)
            } else {
                let (FileKind::File, Some(wall)) = (entry.kind, wall) else {
                    continue;
                };
                match dir.node_at(&entry.name)? {
                    Some(node) if !wall.in_frame().is_right(&node, FileKind::File)? => {}
                    _ => continue,
                }
                let text = said!(
                    "its rights differ from the experiment's: members may only read it",
                    "ses droits diffèrent de ceux de l'expérience : les membres ne devraient pouvoir que le lire"
                );
                ("rights.narrowed", text)
            };
            findings.push(Finding { code, path, text });
        }
    }
    Ok(())
}
