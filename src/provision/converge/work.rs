//! The work on one experiment: what is left of a round, and how far it comes before a stage has to become effective.

use std::collections::VecDeque;

use super::describe;
use super::order::ordered;
use crate::error::{Error, Result};
use crate::nas::Observation;
use crate::object::{Attributes, Found, Kind, ObjectId};
use crate::provision::apply::{self, Look, Outcome};
use crate::provision::operation::Operation;
use crate::provision::plan::{Action, Drift, Step};
use crate::provision::site::{Opened, Site};
use crate::provision::{presence, stages, sweep};
use crate::store;
use crate::sys::{fault, process};

/// One experiment on its way.
pub struct Work<'a> {
    pub(super) opened: &'a mut Opened,
    pub(super) operation: &'a Operation<'a>,
    pub(super) outcome: Outcome,
    /// What was changed by hand of the common share in which it lies.
    pub(super) around: Vec<Drift>,
    end: Option<Result<()>>,
    pub(super) round: Option<Round>,
}

/// What is left of a round.
pub(super) struct Round {
    pub(super) look: Look,
    steps: VecDeque<Step>,
    done: usize,
    /// Something was put that has to become effective in this stage.
    open_stage: Option<usize>,
    /// It cannot go on before that stage is effective.
    pub(super) waits: Option<usize>,
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
    pub(super) fn attempt(&mut self, part: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = part(self) {
            self.fail(error);
        }
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.round = None;
        self.end = Some(Err(error));
    }

    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    pub(super) fn prepare(&mut self, site: &Site) -> Result<()> {
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
    pub(super) fn look(
        &mut self,
        site: &Site,
        observation: &Observation,
        mend: bool,
    ) -> Result<()> {
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
    pub(super) fn advance(&mut self, site: &Site, observation: &Observation) -> Result<()> {
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

fn touches(step: &Step) -> bool {
    matches!(
        step.action,
        Action::Create | Action::Update | Action::Delete
    )
}
