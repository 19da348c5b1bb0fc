//! Carrying a plan out: step by step, each one remembered (durably) before the next, until nothing is left to do.
//!
//! What outlives a crash: an *intent* is written before an object is made, so that an object without a finished record is
//! recognised; `Revocation` intents are written before a membership is taken away, and forgotten when no session is left;
//! `Activation` intents are written before the configuration is touched, and forgotten when it is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::accounts;
use super::desired::{self, Wish};
use super::operation::Operation;
use super::plan::{self, Action, Drift, Memory, Plan, Step, Terms};
use super::site::{Opened, Site};
use super::{frame, observe, presence, quota, stages, sweep};
use crate::error::{Error, Passwords, Result};
use crate::experiment::{Definition, Status};
use crate::layout::Directory;
use crate::nas::{Interruption, Observation};
use crate::object::{Attributes, Found, Kind, ObjectId, Objects};
use crate::report::{Said, said};
use crate::store;
use crate::store::source_keys::SourceKeys;
use crate::sys::dir::Dir;
use crate::sys::{fault, process};

/// A plan needs at most three rounds (make; link what got its name only when it was made; nothing left), and two more
/// before them where an import keeps the experiment shut.
const ROUNDS: usize = 7;

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

/// What is looked at: an experiment that is open, or one that is not there yet.
pub struct Subject<'a> {
    /// What it is meant to be.
    pub definition: &'a Definition,
    /// Its directory, absolute.
    pub path: &'a Path,
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
    let shared_folder = memory
        .objects
        .get(&ObjectId::new(Kind::SharedFolder, definition.code.as_str()))
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
        return Err(Error::new("object.foreign", conflict.reason.clone())
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
    Ok(outcome)
}

/// Makes the NAS match the definition; says what it did. Run again, it does nothing. `seen` is what was observed under
/// the lock of the NAS, if nothing was changed there since.
pub fn converge(
    site: &Site,
    opened: &mut Opened,
    mend: bool,
    seen: Option<Observation>,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    let mut outcome = Outcome::of(opened);
    opened.show_definition()?;
    // Files that a killed run had not given their name: we hold both locks, so nobody is writing one.
    opened.metadata.remove_unfinished()?;
    store::remove_unfinished(&opened.base.dir)?;
    let server = server(site);
    if !opened.applied.objects.contains_key(&server) {
        opened.applied.done(&server, &Found::default())?;
    }
    let nothing_begun = opened.applied.intents.is_empty();
    let mut seen = seen.filter(|_| nothing_begun);
    if !nothing_begun {
        operation.begin()?;
    }
    for _ in 0..ROUNDS {
        finish_what_was_begun(site, opened)?;
        let observation = match seen.take() {
            Some(seen) => seen,
            None => site.nas.observe()?,
        };
        let look = look(site, opened, &observation, mend)?;
        admissible(&look)?;
        outcome.drift.clone_from(&look.plan.drift);
        if look.plan.steps.is_empty() {
            // A kill between a new definition, or a new group, and their rights.
            opened.show_definition()?;
            store::show_below(&opened.metadata)?;
            // Last, because a group that was made again has another number; and what it kept shut opens after it.
            let sealed = sweep::is_sealed(&opened.applied.intents);
            if opened.applied.intents.contains_key(&sweep::intent()) {
                let swept = sweep::mend(site, opened, &look, &observation)?;
                outcome.repaired += swept.repaired;
                sweep::settle(opened, &swept)?;
            }
            if sealed {
                continue;
            }
            outcome.status = opened.definition.status.to_string();
            outcome.digest.clone_from(&opened.digest);
            outcome.calls = site.nas.counters();
            outcome.passwords.extend(site.nas.fresh_passwords());
            return Ok(outcome);
        }
        let interruption = site.nas.interruption(&look.kinds());
        for effect in &interruption.effects {
            site.progress.note(effect);
        }
        merge(&mut outcome.interruption, interruption);
        operation.begin()?;
        round(site, opened, &observation, &look, &mut outcome)?;
    }
    Err(Error::new(
        "apply.unsettled",
        format!(
            "{} does not come to rest: something changes it back at the same time",
            opened.definition.code
        ),
    )
    .hint("see `octonas experiment plan`, find who changes it, then apply again"))
}

fn merge(into: &mut Interruption, more: Interruption) {
    for module in more.modules {
        if !into.modules.contains(&module) {
            into.modules.push(module);
        }
    }
    for effect in more.effects {
        if !into.effects.contains(&effect) {
            into.effects.push(effect);
        }
    }
}

fn round(
    site: &Site,
    opened: &mut Opened,
    observation: &Observation,
    look: &Look,
    outcome: &mut Outcome,
) -> Result<()> {
    for account in &look.plan.revoked {
        let revocation = ObjectId::new(Kind::Revocation, account);
        opened.applied.intend(&revocation, &Attributes::new())?;
    }
    let total = look.plan.steps.len();
    let mut open_stage: Option<usize> = None;
    let mut ended = false;
    let mut with_new_groups: Option<Observation> = None;
    for (number, step) in ordered(&look.plan.steps).into_iter().enumerate() {
        process::check_interrupted()?;
        let next = stages::of(step.object.kind);
        // Mount what the entry rendered before the mounts themselves are looked after; finish a stage before the next.
        let boundary =
            open_stage.is_some() && (open_stage != next || step.object.kind == Kind::Mounts);
        if boundary && let Some(number) = open_stage.take() {
            stages::activate(site, opened, number)?;
        }
        // Whoever lost a membership is out before anything else is tried that may fail; and before a group is gone, by
        // whose number a process is known.
        let past_groups = step.object.kind != Kind::Group || step.action == Action::Delete;
        if past_groups && !std::mem::replace(&mut ended, true) {
            presence::end_sessions(site, opened)?;
        }
        site.progress.step(number + 1, total, &describe(step));
        if let Some(stage) = next.filter(|_| touches(step) && step.object.kind != Kind::Mounts) {
            stages::intend(opened, stage, step.object.kind)?;
            open_stage = Some(stage);
        }
        // Directories belong to groups that this round made: their numbers are known only now.
        let is_first_directory = step.object.kind == Kind::Directory && with_new_groups.is_none();
        if is_first_directory && look.plan.makes_groups() {
            with_new_groups = Some(Observation {
                group_ids: site.nas.group_ids()?,
                ..observation.clone()
            });
        }
        let observation = with_new_groups.as_ref().unwrap_or(observation);
        carry_out(site, opened, observation, look, step)?;
        fault::point("step.done")?;
        outcome.steps.push(step.clone());
    }
    if let Some(stage) = open_stage {
        stages::activate(site, opened, stage)?;
    }
    presence::end_revoked(site, opened)
}

fn touches(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Create | Action::Update | Action::Delete
    )
}

/// Creation goes by kind; removal shuts the door first, then unmounts, then lets go of the folder and the groups.
fn ordered(steps: &[Step]) -> Vec<&Step> {
    let rank = |step: &Step| match (step.action == Action::Delete, step.object.kind) {
        (false, _) => 0,
        (true, kind) if kind.is_door() => 1,
        (true, Kind::Privileges) => 2,
        (true, Kind::Source) => 3,
        (true, Kind::Entry) => 4,
        (true, Kind::Mounts) => 5,
        (true, Kind::SharedFolder) => 6,
        (true, Kind::Directory) => 7,
        (true, _) => 8,
    };
    let mut ordered: Vec<&Step> = steps.iter().collect();
    ordered.sort_by_key(|step| rank(step));
    ordered
}

fn describe(step: &Step) -> Said {
    let (en, fr) = match step.action {
        Action::Create => ("create", "créer"),
        Action::Update => ("change", "modifier"),
        Action::Delete => ("take away", "retirer"),
        Action::Record => ("note", "noter"),
        Action::Forget => ("forget", "oublier"),
    };
    let object = &step.object;
    Said {
        en: format!("{en} {object}"),
        fr: format!("{fr} : {}", object.french()),
    }
}

fn carry_out(
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

/// What an earlier run began and a crash cut short. People are out before anything else is tried that may fail.
fn finish_what_was_begun(site: &Site, opened: &mut Opened) -> Result<()> {
    presence::end_sessions(site, opened)?;
    stages::finish(site, opened)?;
    presence::end_revoked(site, opened)
}
