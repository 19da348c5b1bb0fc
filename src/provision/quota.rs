//! How much an experiment may need: a project quota of its file system, where that has one. All its files count, whoever owns
//! them and whatever door they came through. `metadata` does not count: a full experiment can still be closed.

use serde::Serialize;

use super::apply::Subject;
use super::desired::Wish;
use super::site::{Opened, Site};
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, Kind, ObjectId, Objects};
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
pub(super) fn make(opened: &Opened, attributes: &Attributes) -> Result<()> {
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
    for found in Walk::new(top)? {
        let found = found?;
        let is_directory = found.metadata.kind == FileKind::Directory;
        if found.path.starts_with(METADATA)
            || !(is_directory || found.metadata.kind == FileKind::File)
        {
            continue;
        }
        if let Some(node) = found.node()? {
            quota::set_project(&node, project, is_directory)?;
        }
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
    #![allow(clippy::print_stdout)]

    use super::*;
    use crate::experiment::{self, Strictness};
    use crate::provision::site::OpenBase;
    use crate::store::applied::Applied;
    use crate::sys::dir::Permissions;
    use crate::sys::fault;

    /// A directory on a file system with project quotas, which few machines have: a test is told where.
    fn with_projects() -> Option<Dir> {
        let place = std::env::var_os("OCTONAS_TEST_PROJECTS")?;
        Some(Dir::open_absolute(place.as_ref()).unwrap())
    }

    fn opened(base: &Dir) -> Opened {
        let _ = base.remove_tree("eco");
        base.create_dir("eco", 0o755).unwrap();
        let dir = base.existing("eco").unwrap();
        for name in [METADATA, "raw"] {
            dir.create_dir(name, 0o755).unwrap();
        }
        let metadata = dir.existing(METADATA).unwrap();
        let text = "octonas: 1\ncode: eco\ntitle: T\nlayout: minimal\nstorage: { quota: 8MiB }\n";
        Opened {
            base: OpenBase {
                path: base.path().to_owned(),
                dir: base.try_clone().unwrap(),
                common_share: None,
            },
            applied: Applied::load(&metadata).unwrap(),
            definition: experiment::read(text.as_bytes(), Strictness::Given).unwrap(),
            digest: String::new(),
            dir,
            metadata,
        }
    }

    fn wanted(project: u32) -> Attributes {
        Attributes::from([
            ("limit".to_owned(), (8_u64 << 20).to_string()),
            ("project".to_owned(), project.to_string()),
        ])
    }

    #[test]
    fn everything_counts_but_metadata_wherever_a_crash_was() {
        let Some(base) = with_projects() else {
            println!(
                "SKIPPED: OCTONAS_TEST_PROJECTS names no directory on ext4 or XFS with prjquota"
            );
            return;
        };
        assert!(quota::is_enforced(&base));
        let prepare = || {
            let opened = opened(&base);
            let raw = opened.dir.existing("raw").unwrap();
            raw.write("a.bin", &vec![1; 100_000], &Permissions::PUBLIC)
                .unwrap();
            opened
                .metadata
                .write("b.bin", &vec![1; 200_000], &Permissions::PUBLIC)
                .unwrap();
            opened
        };
        let points = fault::trace(|| make(&prepare(), &wanted(1_100_000)).unwrap())
            .1
            .len() as u64;
        for nth in 1..=points {
            let project = 1_100_000 + u32::try_from(nth).unwrap();
            let opened = prepare();
            assert_eq!(observe(&opened.dir).unwrap(), None);
            let plan = format!("halt:{nth}").parse().unwrap();
            let _ = fault::suffer(plan, || make(&opened, &wanted(project)));
            make(&opened, &wanted(project)).unwrap();
            let found = observe(&opened.dir).unwrap();
            assert_eq!(
                found.as_ref().map(|f| &f.attributes),
                Some(&wanted(project))
            );
            let used = quota::of(&base, project).unwrap().unwrap().used;
            assert!((100_000..200_000).contains(&used), "{used}");
            take_away(&opened, found.as_ref()).unwrap();
            assert_eq!(observe(&opened.dir).unwrap(), None);
            make(&opened, &wanted(project)).unwrap();
            take_away(&opened, found.as_ref()).unwrap();
        }
        assert!(points >= 4, "{points}");
    }

    #[test]
    fn a_number_that_somebody_else_limits_is_not_taken() {
        let Some(base) = with_projects() else {
            println!(
                "SKIPPED: OCTONAS_TEST_PROJECTS names no directory on ext4 or XFS with prjquota"
            );
            return;
        };
        quota::set_limit(&base, 77, GRAIN).unwrap();
        let error = make(&opened(&base), &wanted(77)).unwrap_err();
        assert_eq!(error.code(), "quota.taken");
        quota::set_limit(&base, 77, 0).unwrap();
    }

    #[test]
    fn an_experiment_has_the_same_number_everywhere_and_another_one_has_another() {
        let one = project("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11");
        assert_eq!(one, project("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11"));
        assert_ne!(one, project("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d12"));
        assert!((0x4000_0000..0x8000_0000).contains(&one));
    }
}
