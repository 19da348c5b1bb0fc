//! One look at an experiment (what is desired, what is there, what is to be done), and one step of a plan carried out.
//!
//! What outlives a crash: an *intent* is written before an object is made, so that an object without a finished record is
//! recognised. The order of the steps, and several experiments at once: `converge`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::accounts;
use super::desired::{self, Wish};
use super::plan::{self, Action, Drift, Memory, Plan, Step, Terms};
use super::site::{self, Opened, Site};
use super::{frame, observe, presence, quota, sharing, stages, sweep};
use crate::error::{Error, Passwords, Result};
use crate::experiment::{Code, Definition, Status};
use crate::layout::Directory;
use crate::nas::{Interruption, Observation};
use crate::object::{Found, Kind, ObjectId, Objects};
use crate::report::said;
use crate::store;
use crate::store::source_keys::SourceKeys;
use crate::sys::dir::Dir;

/// What an operation did.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The experiment.
    pub code: String,
    /// Its id.
    pub id: String,
    /// Its directory.
    pub path: String,
    /// Its status afterwards.
    pub status: String,
    /// The digest of its definition.
    pub digest: String,
    /// The steps that were carried out (or would be, in a dry run).
    pub steps: Vec<Step>,
    /// What was changed by hand and left as it is.
    pub drift: Vec<Drift>,
    /// What was interrupted (or would be).
    pub interruption: Interruption,
    /// What members narrowed and was set right.
    pub repaired: u64,
    /// Initial passwords of accounts that were created: shown once, kept nowhere.
    #[serde(skip_serializing_if = "Passwords::is_empty")]
    pub passwords: Passwords,
    /// Calls that the NAS answered.
    pub calls: BTreeMap<String, u64>,
}

impl Outcome {
    /// The outcome of an operation on an experiment, so far.
    pub fn of(opened: &Opened) -> Self {
        Self {
            code: opened.definition.code.to_string(),
            id: opened.id(),
            path: opened.path().display().to_string(),
            status: opened.definition.status.to_string(),
            digest: opened.digest.clone(),
            ..Self::default()
        }
    }

    /// True when anything was changed (or would be).
    pub fn changed(&self) -> bool {
        !self.steps.is_empty() || self.repaired > 0
    }
}

/// One look at an experiment: what is desired, what is there, and the plan between the two.
pub struct Look {
    /// What should be.
    pub desired: Objects,
    /// What is there of it.
    pub observed: BTreeMap<ObjectId, Found>,
    /// The layout, expanded.
    pub directories: Vec<Directory>,
    /// What to do.
    pub plan: Plan,
}

impl Look {
    /// The kinds of objects that the plan changes on the NAS, and the doors that follow.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        let mut kinds = self.plan.kinds();
        if kinds.contains(&Kind::Privileges) {
            let follow = |kind: &Kind| stages::BY_PRIVILEGES.contains(kind);
            kinds.extend(self.desired.keys().map(|id| id.kind).filter(follow));
        }
        kinds
    }
}

/// What making the NAS match the definition would do now. Changes nothing.
pub fn rehearse(site: &Site, code: &Code, mend: bool) -> Result<Outcome> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let look = look(site, &opened, &site.nas.observe()?, mend)?;
    admissible(&look)?;
    let mut outcome = Outcome::of(&opened);
    outcome.interruption = site.nas.interruption(&look.kinds());
    outcome.drift = look.plan.drift;
    outcome.steps = look.plan.steps;
    Ok(outcome)
}

/// What is looked at: an experiment that is open, or one that is not there yet.
pub struct Subject<'a> {
    /// What it is meant to be.
    pub definition: &'a Definition,
    /// Its directory, absolute.
    pub path: &'a Path,
    /// The share of its base in which it lies; `None` where it has its own.
    pub common_share: Option<&'a str>,
    /// Its directory, open, if it is there.
    pub dir: Option<&'a Dir>,
    /// What we made of it.
    pub memory: &'a Memory,
}

/// Compares an open experiment without changing anything.
pub fn look(site: &Site, opened: &Opened, observation: &Observation, mend: bool) -> Result<Look> {
    let subject = Subject {
        definition: &opened.definition,
        path: &opened.path(),
        common_share: opened.base.common_share.as_deref(),
        dir: Some(&opened.dir),
        memory: &memory(opened),
    };
    look_at(site, &subject, observation, mend)
}

/// Compares without changing anything.
pub fn look_at(
    site: &Site,
    subject: &Subject<'_>,
    observation: &Observation,
    mend: bool,
) -> Result<Look> {
    let definition = subject.definition;
    let memory = subject.memory;
    let remembered = remembered_directories(memory);
    let expanded = match definition.status {
        Status::Removed => Ok(Vec::new()),
        _ => site
            .layout(definition)
            .and_then(|layout| layout.expand(definition)),
    };
    // A layout that went away must not keep an experiment from being closed: its directories are known.
    let (directories, lost_layout) = match expanded {
        Ok(directories) => (directories, false),
        Err(error) if remembered.is_empty() => return Err(error),
        Err(error) => {
            site.progress.warn(&said!(
                "{}: {error}; its directories stay as they are",
                "{} : {error} ; ses répertoires restent tels quels",
                definition.code
            ));
            (Vec::new(), true)
        }
    };
    let shared_folder = match subject.common_share {
        Some(share) => observation
            .objects
            .get(&ObjectId::new(Kind::SharedFolder, share)),
        None => memory
            .objects
            .get(&ObjectId::new(Kind::SharedFolder, definition.code.as_str())),
    }
    .and_then(|found| found.reference.as_deref());
    let id = definition.id.map(|id| id.to_string()).unwrap_or_default();
    let enforced = site.nas.identity().enforces_rights;
    let source_keys = match subject
        .dir
        .map(|dir| dir.child(store::definition::METADATA))
    {
        Some(metadata) => match metadata? {
            Some(metadata) => SourceKeys::read(&metadata)?,
            None => SourceKeys::default(),
        },
        None => SourceKeys::default(),
    };
    let sealed = sweep::is_sealed(&memory.intents);
    let mut desired = desired::desired(&Wish {
        definition,
        id: &id,
        directories: &directories,
        path: subject.path,
        kinds: site.nas.kinds(),
        enforced,
        shared_folder,
        in_common_share: subject.common_share.is_some(),
        source_keys: &source_keys,
        has_account: &|account| observation.accounts.contains_key(account),
        today: site.today.get(),
        quota: enforced && quota::is_possible(subject),
        sealed,
    });
    if lost_layout {
        desired.extend(remembered);
    }
    if sealed {
        desired.extend(remembered_doors(memory));
    }
    // What cannot be there now is not missing; whoever asks for it anew is refused (`accounts::doors`).
    desired.retain(|id, _| !observation.lacking.contains_key(&id.kind));
    let mut known = memory.clone();
    known
        .objects
        .retain(|id, _| !observation.lacking.contains_key(&id.kind));
    known
        .intents
        .retain(|id, _| !observation.lacking.contains_key(&id.kind));
    let observed = observe::observe(subject.dir, observation, &desired, &known, enforced)?;
    let absent = if enforced {
        accounts::absent(definition, observation)
    } else {
        BTreeSet::new()
    };
    let terms = Terms {
        marker: &id,
        mend,
        absent: &absent,
    };
    let plan = plan::plan(&desired, &known, &observed, &terms);
    Ok(Look {
        desired,
        observed,
        directories,
        plan,
    })
}

fn remembered_directories(memory: &Memory) -> Objects {
    memory
        .objects
        .iter()
        .filter(|(id, _)| id.kind == Kind::Directory)
        .map(|(id, found)| (id.clone(), found.attributes.clone()))
        .collect()
}

/// Shared folders and doors that an import found stay as they are while nobody can enter through them.
fn remembered_doors(memory: &Memory) -> Objects {
    memory
        .objects
        .iter()
        .filter(|(id, _)| !matches!(id.kind, Kind::Group | Kind::Directory))
        .filter(|(id, _)| !id.kind.is_memory())
        .map(|(id, found)| (id.clone(), found.attributes.clone()))
        .collect()
}

/// What we remember of an open experiment.
pub fn memory(opened: &Opened) -> Memory {
    Memory {
        objects: opened.applied.objects.clone(),
        intents: opened.applied.intents.clone(),
    }
}

/// Refuses a plan that would need what is not ours.
pub fn admissible(look: &Look) -> Result<()> {
    if let Some(conflict) = look.plan.conflicts.first() {
        return Err(Error::new("object.foreign", conflict.reason.en.clone())
            .hint("rename or remove it, or choose another code; OctoNAS never takes over what it did not make"));
    }
    Ok(())
}

/// By this our own records are recognised.
pub fn server(site: &Site) -> ObjectId {
    ObjectId::new(Kind::Server, &site.nas.identity().id)
}

/// What `converge` would do, without doing it.
pub fn preview(site: &Site, opened: &Opened, observation: &Observation) -> Result<Outcome> {
    let look = look(site, opened, observation, false)?;
    let mut outcome = Outcome::of(opened);
    outcome.interruption = site.nas.interruption(&look.kinds());
    outcome.drift = look.plan.drift;
    outcome.steps = look.plan.steps;
    if opened.base.common_share.is_some() {
        let around = sharing::plan(site, &opened.base, observation, false)?;
        outcome.drift.extend(around.drift);
        outcome.steps.splice(0..0, around.steps);
    }
    Ok(outcome)
}

/// Carries one step out, and remembers it.
pub(super) fn carry_out(
    site: &Site,
    opened: &mut Opened,
    observation: &Observation,
    look: &Look,
    step: &Step,
) -> Result<()> {
    let id = &step.object;
    let found = look.observed.get(id);
    match step.action {
        Action::Record => {
            let reference = found.and_then(|found| found.reference.clone());
            remember(opened, id, reference, step)
        }
        Action::Forget => {
            // The NAS may have lost the group itself and kept its record of it.
            if id.kind == Kind::Group
                && found.is_none()
                && let Some(made) = opened.applied.objects.get(id)
            {
                site.nas.delete(id, made)?;
            }
            opened.applied.forget(id)
        }
        Action::Delete => {
            if id.kind == Kind::Quota {
                quota::take_away(opened, found)?;
                return opened.applied.forget(id);
            }
            if id.kind != Kind::Directory {
                site.nas.delete(id, &found.cloned().unwrap_or_default())?;
                return opened.applied.forget(id);
            }
            let made = opened.applied.objects.get(id).cloned().unwrap_or_default();
            if frame::remove(site, opened, &id.key, &made.attributes, observation)? {
                opened
                    .applied
                    .done(&sweep::left(&id.key), &Found::default())?;
            }
            opened.applied.forget(id)
        }
        Action::Create | Action::Update => {
            // Made again when mending, it gets another reference than the one we remember.
            if step.action == Action::Create || !opened.applied.objects.contains_key(id) {
                opened.applied.intend(id, &step.attributes)?;
            }
            let reference = match id.kind {
                Kind::Directory => {
                    frame::make(opened, &id.key, &step.attributes, observation)?;
                    None
                }
                Kind::Quota => {
                    quota::make(opened, &step.attributes)?;
                    None
                }
                Kind::Mounts => {
                    let reference = site.nas.put(id, &step.attributes, found)?;
                    presence::freeze(site, opened, &step.attributes, found)?;
                    reference
                }
                _ => site.nas.put(id, &step.attributes, found)?,
            };
            remember(opened, id, reference, step)
        }
    }
}

fn remember(
    opened: &mut Opened,
    id: &ObjectId,
    reference: Option<String>,
    step: &Step,
) -> Result<()> {
    opened.applied.done(
        id,
        &Found {
            reference,
            attributes: step.record.clone(),
        },
    )
}
