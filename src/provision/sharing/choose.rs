//! Choosing how the experiments of a base are shared. A base that holds experiments is taken over from one way to the other
//! whole: the new way stands before the old one goes, and a crash is mended by the same command.

use std::path::Path;

use serde::Serialize;

use super::settle;
use crate::error::{Error, Result};
use crate::experiment::{Code, Status};
use crate::nas::Interruption;
use crate::provision::converge::{self, Work};
use crate::provision::operation::Operation;
use crate::provision::plan::Step;
use crate::provision::site::{self, OpenBase, Opened, Site};
use crate::provision::{apply, documents};
use crate::store;
use crate::sys::fault;

/// The operation's name in the ledger.
const CHOOSE: &str = "share-base";

/// One experiment that was taken over to the other way.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// Its code.
    pub code: String,
    /// What was changed for it, or would be.
    pub steps: Vec<Step>,
    /// Why it could not be.
    pub error: Option<String>,
}

/// What a choice did, or would do.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// The base.
    pub path: String,
    /// The common share; `None` where each experiment has its own.
    pub share_name: Option<String>,
    /// What was changed for the common share itself, or would be.
    pub steps: Vec<Step>,
    /// The experiments of the base.
    pub experiments: Vec<Moved>,
    /// What was interrupted, or would be.
    pub interruption: Interruption,
}

/// Shares all experiments of a base as folders of the share `name`, or each one by itself.
pub fn choose(site: &Site, path: &Path, name: Option<&str>, dry_run: bool) -> Result<Chosen> {
    if let Some(name) = name {
        parse(name)?;
    }
    let _nas = site.lock_nas()?;
    let mut base = site.base(path)?;
    base.common_share = name.map(str::to_owned);
    let mut all = experiments(site, &base)?;
    refuse(site, &base, &all)?;
    let mut locks = Vec::new();
    for opened in &all {
        locks.push(site.lock_experiment(&opened.id())?);
    }
    let mut chosen = Chosen {
        path: path.display().to_string(),
        share_name: base.common_share.clone(),
        steps: Vec::new(),
        experiments: Vec::new(),
        interruption: Interruption::default(),
    };
    let rehearsed = rehearse(site, &base, &all, &mut chosen)?;
    if dry_run {
        return Ok(rehearsed);
    }
    let about = ("path", chosen.path.clone());
    let operation = Operation::new(site, &base, "", CHOOSE, about)?;
    let done = carry_out(site, &base, &mut all, &operation, chosen);
    let share = base.common_share.clone().unwrap_or_default();
    operation.end(done, |_| vec![("share", share)])
}

/// A share is called like an experiment may be: what no server and no client stumbles over.
fn parse(name: &str) -> Result<()> {
    match Code::parse(name) {
        // No experiment may be called so, because the jails have a directory of this name: a share may.
        _ if name == "experiments" => Ok(()),
        Ok(_) => Ok(()),
        Err(error) => Err(Error::new(
            "share.name",
            format!("a common share cannot be called '{name}'"),
        )
        .hint("2 to 24 small letters, digits and hyphens, beginning with a letter, such as `experiments`")
        .source(error)),
    }
}

/// The experiments of this base that are in service, as if it were shared in the way that was chosen.
fn experiments(site: &Site, base: &OpenBase) -> Result<Vec<Opened>> {
    let mut all = Vec::new();
    for code in store::definition::list(&base.dir)? {
        let Some(opened) = site::open_in(base.try_clone()?, &code)? else {
            continue;
        };
        if opened.definition.status == Status::Removed {
            continue;
        }
        // The numbers of its groups are another NAS's, and may be anybody's here.
        site.served_here(&opened)?;
        all.push(opened);
    }
    Ok(all)
}

/// Everything that can be refused is refused before anything is written.
fn refuse(site: &Site, base: &OpenBase, all: &[Opened]) -> Result<()> {
    let Some(name) = base.common_share.as_deref() else {
        return Ok(());
    };
    let taken = |by: String| {
        Error::new(
            "share.taken",
            format!("the common share cannot be called {name}: {by}"),
        )
        .hint("choose another name")
    };
    if site.registry()?.list()?.iter().any(|row| row.code == name) {
        return Err(taken("an experiment has this code".into()));
    }
    for other in site.bases()? {
        if other.path != base.path && other.common_share.as_deref() == Some(name) {
            return Err(taken(format!(
                "it is that of the base {}",
                other.path.display()
            )));
        }
    }
    all.iter()
        .try_for_each(|opened| super::refuse_doors(&opened.definition, Some(name)))
}

/// What would be done.
fn rehearse(site: &Site, base: &OpenBase, all: &[Opened], chosen: &mut Chosen) -> Result<Chosen> {
    let observation = site.nas.observe()?;
    let plan = super::plan(site, base, &observation, false)?;
    if let Some(conflict) = plan.conflicts.first() {
        return Err(super::foreign(conflict));
    }
    let mut kinds = plan.kinds();
    let mut experiments = Vec::new();
    for opened in all {
        let look = apply::look(site, opened, &observation, false)?;
        apply::admissible(&look)?;
        kinds.extend(look.kinds());
        experiments.push(Moved {
            code: opened.definition.code.to_string(),
            steps: look.plan.steps,
            error: None,
        });
    }
    Ok(Chosen {
        path: chosen.path.clone(),
        share_name: chosen.share_name.clone(),
        steps: plan.steps,
        experiments,
        interruption: site.nas.interruption(&kinds),
    })
}

fn carry_out(
    site: &Site,
    base: &OpenBase,
    all: &mut [Opened],
    operation: &Operation<'_>,
    mut chosen: Chosen,
) -> Result<Chosen> {
    let known = site
        .bases()?
        .into_iter()
        .find(|known| known.path == base.path);
    if known.is_some_and(|known| known.common_share != base.common_share) {
        operation.begin()?;
        let share = base.common_share.as_deref();
        site.nas.set_common_share(&base.path, share)?;
        site.known_bases.take();
        fault::point("sharing.chosen")?;
    }
    let common = |chosen: &mut Chosen| -> Result<()> {
        let settled = settle(site, base, &site.nas.observe()?, false, &|| {
            operation.begin()
        })?;
        chosen.steps.extend(settled.steps);
        converge::merge(&mut chosen.interruption, settled.interruption);
        Ok(())
    };
    // The common share comes before the others go, and goes when the others are there.
    if base.common_share.is_some() {
        common(&mut chosen)?;
    }
    let operations: Vec<Operation<'_>> = all
        .iter()
        .map(|opened| Operation::on(site, opened, "apply"))
        .collect::<Result<_>>()?;
    let mut works: Vec<Work<'_>> = all
        .iter_mut()
        .zip(&operations)
        .map(|(opened, operation)| Work::new(opened, operation))
        .collect();
    converge::together(site, &mut works, false, None);
    let results: Vec<_> = works.into_iter().map(Work::result).collect();
    let mut failed = 0_usize;
    for ((opened, operation), result) in all.iter().zip(&operations).zip(results) {
        let result = operation.end(result, |outcome| {
            vec![("steps", outcome.steps.len().to_string())]
        });
        let (steps, error) = match result {
            Ok(outcome) => {
                converge::merge(&mut chosen.interruption, outcome.interruption);
                if opened.definition.status != Status::Removed {
                    // Where it is found is written in its access guide.
                    documents::follow(site, opened);
                }
                (outcome.steps, None)
            }
            Err(error) => {
                failed += 1;
                (Vec::new(), Some(error.to_string()))
            }
        };
        chosen.experiments.push(Moved {
            code: opened.definition.code.to_string(),
            steps,
            error,
        });
    }
    if failed > 0 {
        let named: Vec<String> = chosen
            .experiments
            .iter()
            .filter_map(|moved| Some(format!("{}: {}", moved.code, moved.error.as_ref()?)))
            .collect();
        return Err(Error::new(
            "share.unfinished",
            format!(
                "{failed} of the experiments of {} are not shared in the new way yet: {}",
                base.path.display(),
                named.join("; ")
            ),
        )
        .hint("mend what is said, then give the same command again; until then they can be reached in the old way"));
    }
    if base.common_share.is_none() {
        common(&mut chosen)?;
    }
    Ok(chosen)
}
