//! Bases: a folder is accepted only after everything that the wall and the crash safety need was tried in it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::plan::Plan;
use super::sharing;
use super::site::{self, Site};
use crate::error::{Error, Result};
use crate::store::claim::Claim;
use crate::sys::abilities::{self, Abilities};
use crate::sys::dir::Dir;

/// What is known of one base.
#[derive(Debug, Serialize)]
pub struct BaseReport {
    /// Absolute path.
    pub path: PathBuf,
    /// True when experiments can be served from it.
    pub available: bool,
    /// Why not.
    pub reason: Option<String>,
    /// The NAS that claims it.
    pub claimed_by: Option<String>,
    /// What its file system can do, where that was tried.
    pub abilities: Option<Abilities>,
    /// `common` where all its experiments lie in one share, `own` where each one has its own.
    pub share: &'static str,
    /// The name of the common share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_name: Option<String>,
    /// What was changed by hand of the common share, or waits to be made of it.
    #[serde(skip_serializing_if = "Plan::is_settled")]
    pub share_plan: Plan,
}

/// `own` or `common`.
fn sharing_of(common_share: Option<&str>) -> &'static str {
    if common_share.is_some() {
        "common"
    } else {
        "own"
    }
}

/// The directory of an embedded NAS is its base from the first experiment on, without being asked for.
pub fn claim_embedded(site: &Site, path: &Path) -> Result<()> {
    if is_unclaimed_embedded(site, path)? {
        accept(site, path)?;
    }
    Ok(())
}

/// True where [`claim_embedded`] has something to do.
pub fn is_unclaimed_embedded(site: &Site, path: &Path) -> Result<bool> {
    let known = site
        .bases()?
        .iter()
        .any(|base| base.path == path && base.available);
    Ok(!site.nas.identity().enforces_rights
        && known
        && Claim::read(&Dir::open_absolute(path)?)?.is_none())
}

/// Tries a folder, claims it, and registers it with the NAS.
pub fn add(site: &Site, path: &Path) -> Result<BaseReport> {
    let _nas = site.lock_nas()?;
    accept(site, path)
}

fn accept(site: &Site, path: &Path) -> Result<BaseReport> {
    let identity = site.nas.identity();
    refuse_nested(site, path)?;
    site.nas.may_hold(path)?;
    let dir = Dir::open_or_create_absolute(path, 0o711)?;
    match Claim::read(&dir)? {
        Some(_) => {
            Claim::ours(&dir, &identity.id)?;
        }
        None if identity.enforces_rights => refuse_used(&dir)?,
        None => {}
    }
    let abilities = abilities::find_out(&dir)?;
    if let Some(missing) = missing(&abilities) {
        return Err(Error::new(
            "base.unfit",
            format!("{} cannot hold experiments: {missing}", path.display()),
        )
        .hint("use a disk formatted with ext4, XFS or btrfs"));
    }
    let known = site.bases()?.into_iter().find(|base| base.path == path);
    let share_name = known.and_then(|base| base.common_share);
    // One that is shared as a whole has rights of its own by now (`sharing`).
    if identity.enforces_rights && share_name.is_none() {
        dir.set_owner(Some(0), Some(0))?;
        dir.set_mode(0o711)?;
    }
    Claim::make(&dir, &identity.id, &identity.name, abilities.clone())?;
    site.nas.add_base(path)?;
    site.known_bases.take();
    Ok(BaseReport {
        path: path.to_owned(),
        available: true,
        reason: None,
        claimed_by: Some(identity.name.clone()),
        abilities: Some(abilities),
        share: sharing_of(share_name.as_deref()),
        share_name,
        share_plan: Plan::default(),
    })
}

/// A folder in which something lies already is somebody's: claiming it would shut or open it for them.
fn refuse_used(dir: &Dir) -> Result<()> {
    let ours = |name: &str| name == "lost+found" || name.starts_with(".octonas");
    let entries = dir.entries()?;
    match entries
        .iter()
        .find(|entry| !ours(&entry.name.to_string_lossy()))
    {
        None => Ok(()),
        Some(entry) => Err(Error::new(
            "base.not-empty",
            format!(
                "{} is in use: there is {} in it",
                dir.path().display(),
                entry.name.to_string_lossy()
            ),
        )
        .hint("name a new folder, such as one called experiments on that disk; it is made")),
    }
}

/// The experiments of one base are not another base.
fn refuse_nested(site: &Site, path: &Path) -> Result<()> {
    for base in site.bases()? {
        if path != base.path && (path.starts_with(&base.path) || base.path.starts_with(path)) {
            return Err(Error::new(
                "base.nested",
                format!(
                    "{} and the base {} lie in each other",
                    path.display(),
                    base.path.display()
                ),
            ));
        }
    }
    Ok(())
}

/// The bases, as they are now.
pub fn list(site: &Site) -> Result<Vec<BaseReport>> {
    site.nas
        .bases()?
        .into_iter()
        .map(|base| {
            let (available, reason, claimed_by) = match site.base(&base.path) {
                Ok(open) => (true, None, Claim::read(&open.dir)?.map(|claim| claim.name)),
                Err(error) => (false, Some(error.to_string()), None),
            };
            Ok(BaseReport {
                path: base.path,
                available,
                reason,
                claimed_by,
                abilities: None,
                share: sharing_of(base.common_share.as_deref()),
                share_name: base.common_share,
                share_plan: Plan::default(),
            })
        })
        .collect()
}

/// Tries a base again, or a folder that may become one. Leaves nothing behind.
pub fn check(site: &Site, path: &Path) -> Result<BaseReport> {
    let dir = Dir::open_absolute(path)?;
    let abilities = abilities::find_out(&dir)?;
    let known = site.bases()?.into_iter().any(|base| base.path == path);
    let (mut share_name, mut share_plan) = (None, Plan::default());
    let reason = match known.then(|| site.base(path)).transpose() {
        Err(error) => Some(error.to_string()),
        Ok(open) => {
            if let Some(open) = open {
                share_plan = sharing::plan(site, &open, &site.nas.observe()?, false)?;
                share_name = open.common_share;
            }
            missing(&abilities)
        }
    };
    let claimed_by = site::open_base(path)
        .ok()
        .and_then(|open| Claim::read(&open.dir).ok().flatten())
        .map(|claim| claim.name);
    Ok(BaseReport {
        path: path.to_owned(),
        available: reason.is_none(),
        reason,
        claimed_by,
        abilities: Some(abilities),
        share: sharing_of(share_name.as_deref()),
        share_name,
        share_plan,
    })
}

/// What the wall or the crash safety needs and the file system does not have.
fn missing(abilities: &Abilities) -> Option<String> {
    let all: Vec<String> = abilities
        .missing()
        .map(|(what, why)| format!("{what} ({why})"))
        .collect();
    (!all.is_empty()).then(|| all.join(", "))
}
