//! Making the NAS match definitions: rounds of *observe, plan, carry out* until nothing is left to do, of one experiment or
//! of several side by side, which then share every deployment.
//!
//! What outlives a crash: an *intent* is written before an object is made (`apply`); `Revocation` intents are written before
//! a membership is taken away, and forgotten when no session is left; `Activation` intents are written before the
//! configuration is touched, and forgotten when it is in force. Each experiment has its own, so that each can be taken up
//! again by itself.

use std::collections::{BTreeSet, VecDeque};

use super::apply::{self, Look, Outcome};
use super::operation::Operation;
use super::plan::{Action, Drift, Step};
use super::site::{OpenBase, Opened, Site};
use super::{presence, sharing, stages, sweep};
use crate::error::{Error, Result};
use crate::nas::{Interruption, Observation};
use crate::object::{Attributes, Found, Kind, ObjectId};
use crate::report::Said;
use crate::store;
use crate::sys::{fault, process};

/// A plan needs at most three rounds (make; link what got its name only when it was made; nothing left), two more before
/// them where an import keeps the experiment shut, and one where the common share of its base has to be mended first.
const ROUNDS: usize = 8;

/// One experiment on its way.
pub struct Work<'a> {
    opened: &'a mut Opened,
    operation: &'a Operation<'a>,
    outcome: Outcome,
    /// What was changed by hand of the common share in which it lies.
    around: Vec<Drift>,
    end: Option<Result<()>>,
    round: Option<Round>,
}

/// What is left of a round.
struct Round {
    look: Look,
    steps: VecDeque<Step>,
    done: usize,
    /// Something was put that has to become effective in this stage.
    open_stage: Option<usize>,
    /// It cannot go on before that stage is effective.
    waits: Option<usize>,
    /// Whoever lost a membership in this round is out.
    ended: bool,
    /// Directories belong to groups that this round made: their numbers are known only now.
    with_new_groups: Option<Observation>,
}

impl<'a> Work<'a> {
    /// What is to be done with an experiment, by an operation.
    pub fn new(opened: &'a mut Opened, operation: &'a Operation<'a>) -> Self {
        let outcome = Outcome::of(opened);
        Self {
            opened,
            operation,
            outcome,
            around: Vec::new(),
            end: None,
            round: None,
        }
    }

    /// How it ended.
    pub fn result(self) -> Result<Outcome> {
        match self.end {
            Some(Ok(())) => Ok(self.outcome),
            Some(Err(error)) => Err(error),
            None => Err(Error::new(
                "apply.unsettled",
                format!(
                    "{} does not come to rest: something changes it back at the same time",
                    self.opened.definition.code
                ),
            )
            .hint("see `octonas experiment plan`, find who changes it, then apply again")),
        }
    }

    /// A part of the work; a failure is its end.
    fn attempt(&mut self, part: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = part(self) {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: Error) {
        self.round = None;
        self.end = Some(Err(error));
    }

    fn is_open(&self) -> bool {
        self.end.is_none()
    }

    fn prepare(&mut self, site: &Site) -> Result<()> {
        let opened = &mut *self.opened;
        opened.show_definition()?;
        // Files that a killed run had not given their name: we hold both locks, so nobody is writing one.
        opened.metadata.remove_unfinished()?;
        store::remove_unfinished(&opened.base.dir)?;
        let server = apply::server(site);
        if !opened.applied.objects.contains_key(&server) {
            opened.applied.done(&server, &Found::default())?;
        }
        if !opened.applied.intents.is_empty() {
            self.operation.begin()?;
        }
        Ok(())
    }

    /// Looks, and ends the work where nothing is left to do.
    fn look(&mut self, site: &Site, observation: &Observation, mend: bool) -> Result<()> {
        let opened = &mut *self.opened;
        let look = apply::look(site, opened, observation, mend)?;
        apply::admissible(&look)?;
        self.outcome.drift.clone_from(&look.plan.drift);
        self.outcome.drift.extend(self.around.iter().cloned());
        if !look.plan.steps.is_empty() {
            self.operation.begin()?;
            for account in &look.plan.revoked {
                let revocation = ObjectId::new(Kind::Revocation, account);
                opened.applied.intend(&revocation, &Attributes::new())?;
            }
            self.round = Some(Round::of(look));
            return Ok(());
        }
        // A kill between a new definition, or a new group, and their rights.
        opened.show_definition()?;
        store::show_below(&opened.metadata)?;
        // Last, because a group that was made again has another number; and what it kept shut opens after it.
        let sealed = sweep::is_sealed(&opened.applied.intents);
        if opened.applied.intents.contains_key(&sweep::intent()) {
            let swept = sweep::mend(site, opened, &look, observation)?;
            self.outcome.repaired += swept.repaired;
            sweep::settle(opened, &swept)?;
        }
        if !sealed {
            self.outcome.status = opened.definition.status.to_string();
            self.outcome.digest.clone_from(&opened.digest);
            self.outcome.calls = site.nas.counters();
            self.outcome.passwords.extend(site.nas.fresh_passwords());
            self.end = Some(Ok(()));
        }
        Ok(())
    }

    /// Carries out what can be before a stage has to become effective; where nothing of the round is left, ends it.
    fn advance(&mut self, site: &Site, observation: &Observation) -> Result<()> {
        let Some(round) = &mut self.round else {
            return Ok(());
        };
        let opened = &mut *self.opened;
        while let Some(step) = round.steps.front() {
            process::check_interrupted()?;
            let next = stages::of(step.object.kind);
            // Mount what the entry rendered before the mounts themselves are looked after; finish a stage before the next.
            if round.open_stage.is_some()
                && (round.open_stage != next || step.object.kind == Kind::Mounts)
            {
                round.waits = round.open_stage.take();
                return Ok(());
            }
            // Whoever lost a membership is out before anything else is tried that may fail; and before a group is gone,
            // by whose number a process is known.
            let past_groups = step.object.kind != Kind::Group || step.action == Action::Delete;
            if past_groups && !std::mem::replace(&mut round.ended, true) {
                presence::end_sessions(site, opened)?;
            }
            let total = round.done + round.steps.len();
            site.progress.step(round.done + 1, total, &describe(step));
            if let Some(stage) = next.filter(|_| touches(step) && step.object.kind != Kind::Mounts)
            {
                stages::intend(opened, stage, step.object.kind)?;
                round.open_stage = Some(stage);
            }
            let is_first_directory =
                step.object.kind == Kind::Directory && round.with_new_groups.is_none();
            if is_first_directory && round.look.plan.makes_groups() {
                round.with_new_groups = Some(Observation {
                    group_ids: site.nas.group_ids()?,
                    ..observation.clone()
                });
            }
            let observation = round.with_new_groups.as_ref().unwrap_or(observation);
            apply::carry_out(site, opened, observation, &round.look, step)?;
            fault::point("step.done")?;
            round.done += 1;
            self.outcome.steps.extend(round.steps.pop_front());
        }
        round.waits = round.open_stage.take();
        if round.waits.is_none() {
            presence::end_revoked(site, opened)?;
            self.round = None;
        }
        Ok(())
    }
}

impl Round {
    fn of(look: Look) -> Self {
        Self {
            steps: ordered(&look.plan.steps).into_iter().cloned().collect(),
            look,
            done: 0,
            open_stage: None,
            waits: None,
            ended: false,
            with_new_groups: None,
        }
    }
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
    let mut work = [Work::new(opened, operation)];
    together(site, &mut work, mend, seen);
    let [work] = work;
    work.result()
}

/// The same with several experiments, whose locks are held: what one of them needs to become effective becomes effective
/// for all of them at once. One that fails does not keep the others.
pub fn together(site: &Site, works: &mut [Work<'_>], mend: bool, seen: Option<Observation>) {
    for work in works.iter_mut() {
        work.attempt(|work| work.prepare(site));
    }
    let nothing_begun = works
        .iter()
        .all(|work| work.opened.applied.intents.is_empty());
    let mut seen = seen.filter(|_| nothing_begun);
    for _ in 0..ROUNDS {
        finish_what_was_begun(site, works);
        if !works.iter().any(Work::is_open) {
            return;
        }
        let observation = match seen.take().map_or_else(|| site.nas.observe(), Ok) {
            Ok(observation) => observation,
            Err(error) => return fail_all(works, error),
        };
        if common_shares(site, works, &observation, mend) {
            continue;
        }
        for work in works.iter_mut().filter(|work| work.is_open()) {
            work.attempt(|work| work.look(site, &observation, mend));
        }
        say_what_is_interrupted(site, works);
        round(site, works, &observation);
    }
}

/// Makes the common shares of these bases as they should be; true where something was changed. What was changed there by
/// hand is told with each experiment.
fn common_shares(
    site: &Site,
    works: &mut [Work<'_>],
    observation: &Observation,
    mend: bool,
) -> bool {
    let mut bases: Vec<OpenBase> = Vec::new();
    let mut changed = false;
    for number in 0..works.len() {
        let work = &works[number];
        let base = &work.opened.base;
        let is_known = bases.iter().any(|known| known.path == base.path);
        if !work.is_open() || base.common_share.is_none() || is_known {
            continue;
        }
        let settled = base.try_clone().and_then(|base| {
            let settled =
                sharing::settle(site, &base, observation, mend, &|| work.operation.begin())?;
            bases.push(base);
            Ok(settled)
        });
        let path = base.path.clone();
        let theirs = works
            .iter_mut()
            .filter(|work| work.is_open() && work.opened.base.path == path);
        match settled {
            Ok(settled) => {
                changed |= !settled.steps.is_empty();
                for work in theirs {
                    work.around.clone_from(&settled.drift);
                    work.outcome.steps.extend(settled.steps.clone());
                    merge(&mut work.outcome.interruption, settled.interruption.clone());
                }
            }
            Err(error) => fail_each(theirs, error),
        }
    }
    changed
}

/// The steps of a round, each experiment as far as it comes, and then the stage that they wait for.
fn round(site: &Site, works: &mut [Work<'_>], observation: &Observation) {
    loop {
        for work in works.iter_mut() {
            if work
                .round
                .as_ref()
                .is_some_and(|round| round.waits.is_none())
            {
                work.attempt(|work| work.advance(site, observation));
            }
        }
        let waits = |work: &Work<'_>| work.round.as_ref().and_then(|round| round.waits);
        let Some(stage) = works.iter().filter_map(waits).min() else {
            return;
        };
        let mut waiting: Vec<&mut Work<'_>> = works
            .iter_mut()
            .filter(|work| waits(work) == Some(stage))
            .collect();
        activate(site, &mut waiting, stage);
    }
}

fn activate(site: &Site, works: &mut [&mut Work<'_>], stage: usize) {
    let mut opened: Vec<&mut Opened> = works.iter_mut().map(|work| &mut *work.opened).collect();
    match stages::activate(site, &mut opened, stage) {
        Ok(()) => {
            for round in works.iter_mut().filter_map(|work| work.round.as_mut()) {
                round.waits = None;
            }
        }
        Err(error) => fail_each(works.iter_mut().map(|work| &mut **work), error),
    }
}

/// What an earlier run began and a crash cut short. People are out before anything else is tried that may fail.
fn finish_what_was_begun(site: &Site, works: &mut [Work<'_>]) {
    for work in works.iter_mut().filter(|work| work.is_open()) {
        work.attempt(|work| presence::end_sessions(site, work.opened));
    }
    for stage in stages::ALL {
        let mut due: Vec<&mut Work<'_>> = works
            .iter_mut()
            .filter(|work| work.is_open() && stages::is_due(work.opened, stage))
            .collect();
        if !due.is_empty() {
            activate(site, &mut due, stage);
        }
    }
    for work in works.iter_mut().filter(|work| work.is_open()) {
        work.attempt(|work| presence::end_revoked(site, work.opened));
    }
}

fn say_what_is_interrupted(site: &Site, works: &mut [Work<'_>]) {
    let kinds: BTreeSet<Kind> = works
        .iter()
        .filter_map(|work| work.round.as_ref())
        .flat_map(|round| round.look.kinds())
        .collect();
    if works.iter().all(|work| work.round.is_none()) {
        return;
    }
    let interruption = site.nas.interruption(&kinds);
    for effect in &interruption.effects {
        site.progress.note(effect);
    }
    for work in works.iter_mut().filter(|work| work.round.is_some()) {
        merge(&mut work.outcome.interruption, interruption.clone());
    }
}

fn fail_all(works: &mut [Work<'_>], error: Error) {
    fail_each(works.iter_mut().filter(|work| work.is_open()), error);
}

/// The same failure ends them all; the first one keeps its cause.
fn fail_each<'w, 'a: 'w>(works: impl Iterator<Item = &'w mut Work<'a>>, error: Error) {
    let mut copy = Error::new(error.code(), error.to_string()).exit(error.exit_status());
    if let Some(hint) = error.hint_text() {
        copy = copy.hint(hint);
    }
    let mut whole = Some(error);
    for work in works {
        let again = Error::new(copy.code(), copy.message()).exit(copy.exit_status());
        let again = match copy.hint_text() {
            Some(hint) => again.hint(hint),
            None => again,
        };
        work.fail(whole.take().unwrap_or(again));
    }
}

/// Adds what is not known yet.
pub(super) fn merge(into: &mut Interruption, more: Interruption) {
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

fn touches(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Create | Action::Update | Action::Delete
    )
}

/// Creation goes by kind, but the experiment's own directory lets people in only when its mount stands: in a common share
/// they would be inside at once, on a file system where links are followed and nothing can be closed. Removal shuts the
/// door first, then unmounts, then lets go of the folder and the groups.
fn ordered(steps: &[Step]) -> Vec<&Step> {
    let rank = |step: &Step| match (step.action == Action::Delete, step.object.kind) {
        (false, Kind::Directory) if step.object.key.is_empty() => 1,
        (false, kind) if kind <= Kind::Mounts => 0,
        (false, _) => 2,
        (true, kind) if kind.is_door() => 3,
        (true, Kind::Privileges) => 4,
        (true, Kind::Source) => 5,
        (true, Kind::Entry) => 6,
        (true, Kind::Mounts) => 7,
        (true, Kind::SharedFolder) => 8,
        (true, Kind::Directory) => 9,
        (true, _) => 10,
    };
    let mut ordered: Vec<&Step> = steps.iter().collect();
    ordered.sort_by_key(|step| rank(step));
    ordered
}

/// A step in words.
pub(super) fn describe(step: &Step) -> Said {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: Kind, key: &str, action: Action) -> Step {
        Step {
            object: ObjectId::new(kind, key),
            action,
            attributes: Attributes::new(),
            record: Attributes::new(),
            changes: Vec::new(),
        }
    }

    #[test]
    fn people_are_let_in_when_the_mount_stands_and_before_it_is_shared() {
        let steps = [
            step(Kind::Group, "exp-lake-w", Action::Create),
            step(Kind::Directory, "", Action::Create),
            step(Kind::Directory, "raw", Action::Create),
            step(Kind::Entry, "lake", Action::Create),
            step(Kind::Mounts, "lake", Action::Create),
            step(Kind::SharedFolder, "lake", Action::Create),
            step(Kind::SmbShare, "lake", Action::Create),
        ];
        let order: Vec<String> = ordered(&steps)
            .into_iter()
            .map(|step| step.object.to_string())
            .collect();
        assert_eq!(
            order,
            [
                "group exp-lake-w",
                "directory raw",
                "configuration entry lake",
                "mounts lake",
                "directory .",
                "shared folder lake",
                "SMB share lake"
            ]
        );
    }

    #[test]
    fn what_is_taken_away_goes_in_the_other_direction() {
        let steps = [
            step(Kind::Group, "exp-lake-w", Action::Delete),
            step(Kind::SharedFolder, "lake", Action::Delete),
            step(Kind::Mounts, "lake", Action::Delete),
            step(Kind::SmbShare, "lake", Action::Delete),
        ];
        let order: Vec<Kind> = ordered(&steps)
            .into_iter()
            .map(|step| step.object.kind)
            .collect();
        assert_eq!(
            order,
            [
                Kind::SmbShare,
                Kind::Mounts,
                Kind::SharedFolder,
                Kind::Group
            ]
        );
    }
}
