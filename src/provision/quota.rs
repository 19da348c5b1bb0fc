//! How much an experiment may need: a project quota of its file system, where that has one. All its files count, whoever owns
//! them and whatever door they came through. `metadata` does not count: a full experiment can still be closed.

use serde::Serialize;

use super::apply::Subject;
use super::desired::Wish;
use super::site::{Opened, Site};
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, Kind, ObjectId, Objects};
use crate::report::said;
use crate::store::definition::METADATA;
use crate::store::sha256;
use crate::sys::dir::{Dir, FileKind};
use crate::sys::quota::{self, GRAIN};
use crate::sys::walk::Walk;

/// What an experiment needs, and may need.
#[derive(Debug, Clone, Serialize)]
pub struct Storage {
    /// What it may need, in bytes.
    pub quota: Option<u64>,
    /// What its files need, in bytes: as the file system counts it, otherwise as the last check did.
    pub used: Option<u64>,
    /// What is left of the quota, in bytes.
    pub free: Option<u64>,
    /// True where the file system refuses what is beyond.
    pub enforced: bool,
}

/// The quota that should be.
pub(super) fn desired(wish: &Wish<'_>) -> Objects {
    let definition = wish.definition;
    let limit = definition.storage.quota.filter(|_| wish.quota);
    limit
        .map(|limit| {
            let attributes = Attributes::from([
                (
                    "limit".to_owned(),
                    limit.bytes().next_multiple_of(GRAIN).to_string(),
                ),
                ("project".to_owned(), project(wish.id).to_string()),
            ]);
            let id = ObjectId::new(Kind::Quota, definition.code.as_str());
            (id, attributes)
        })
        .into_iter()
        .collect()
}

/// The number of an experiment: above those that people give by hand, the same on every NAS.
fn project(id: &str) -> u32 {
    let digest = sha256(id.as_bytes());
    let number = digest
        .get(..8)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or_default();
    0x4000_0000 | number >> 2
}

/// True where a quota can be kept, or was: one that the file system lost is named as drift.
pub(super) fn is_possible(subject: &Subject<'_>) -> bool {
    if subject.definition.storage.quota.is_none() {
        return false;
    }
    if subject
        .memory
        .objects
        .keys()
        .any(|id| id.kind == Kind::Quota)
    {
        return true;
    }
    let base = || {
        subject
            .path
            .parent()
            .and_then(|base| Dir::open_absolute(base).ok())
    };
    match subject.dir {
        Some(dir) => quota::is_enforced(dir),
        None => base().is_some_and(|base| quota::is_enforced(&base)),
    }
}

/// The quota that is there: nothing where there is no limit, or what is made in the directory is not counted.
pub(super) fn observe(experiment: &Dir) -> Result<Option<Found>> {
    let Ok((project, true)) = quota::project(experiment.node()) else {
        return Ok(None);
    };
    if project == 0 || !quota::is_enforced(experiment) {
        return Ok(None);
    }
    let limit = quota::of(experiment, project)?.map_or(0, |quota| quota.limit);
    Ok((limit > 0).then(|| Found {
        reference: None,
        attributes: Attributes::from([
            ("limit".to_owned(), limit.to_string()),
            ("project".to_owned(), project.to_string()),
        ]),
    }))
}

/// Gives everything to the project, then sets its limit. What members make meanwhile inherits it from the directories that
/// have it already; given again after a crash, it goes on.
pub(super) fn make(site: &Site, opened: &Opened, attributes: &Attributes) -> Result<()> {
    let number = |name: &str| {
        attributes
            .get(name)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let (Some(limit), Some(project)) = (number("limit"), number("project")) else {
        return Ok(());
    };
    let project = u32::try_from(project).unwrap_or_default();
    let top = &opened.dir;
    if quota::project(top.node())?.0 != project
        && quota::of(top, project)?.is_some_and(|other| other.limit > 0)
    {
        return Err(Error::new(
            "quota.taken",
            format!(
                "the project {project}, which {} would have, has a quota already",
                opened.definition.code
            ),
        )
        .hint("see who uses it (`repquota -P`), and take its limit away"));
    }
    quota::set_project(top.node(), project, true)?;
    let mut given = 0_u64;
    for found in Walk::new(top)? {
        let found = found?;
        let is_directory = found.metadata.kind == FileKind::Directory;
        if found.path.starts_with(METADATA)
            || !(is_directory || found.metadata.kind == FileKind::File)
        {
            continue;
        }
        if let Some(node) = found.node()?
            && quota::set_project(&node, project, is_directory)?
        {
            given += 1;
        }
    }
    if given > 1000 {
        site.progress.note(&said!(
            "{given} files and directories count for the quota",
            "{given} fichiers et répertoires comptent pour le quota"
        ));
    }
    quota::set_limit(top, project, limit)
}

/// Takes the limit away. The files keep the project's number, which means nothing without it.
pub(super) fn take_away(opened: &Opened, found: Option<&Found>) -> Result<()> {
    let project = found
        .and_then(|found| found.attributes.get("project"))
        .and_then(|text| text.parse().ok());
    match project {
        Some(project) => quota::set_limit(&opened.dir, project, 0),
        None => Ok(()),
    }
}

/// What an experiment needs, and may need. Walks nothing.
pub(super) fn storage(site: &Site, opened: &Opened) -> Result<Storage> {
    let quota = opened
        .definition
        .storage
        .quota
        .map(crate::experiment::Size::bytes);
    let enforced = observe(&opened.dir)?.is_some();
    let counted = match quota::project(opened.dir.node()) {
        Ok((project, true)) if enforced => quota::of(&opened.dir, project)?.map(|q| q.used),
        _ => None,
    };
    let seen = site
        .registry()?
        .by_id(&opened.id())?
        .and_then(|known| known.seen);
    let used = counted.or(seen.map(|seen| seen.bytes));
    Ok(Storage {
        quota,
        used,
        free: quota
            .zip(used)
            .map(|(quota, used)| quota.saturating_sub(used)),
        enforced,
    })
}

#[cfg(test)]
mod tests {
    use super::project;

    #[test]
    fn an_experiment_has_the_same_number_everywhere_and_another_one_has_another() {
        let one = project("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11");
        assert_eq!(one, project("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11"));
        assert_ne!(one, project("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d12"));
        assert!((0x4000_0000..0x8000_0000).contains(&one));
    }
}
