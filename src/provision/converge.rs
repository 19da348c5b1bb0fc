//! Making the NAS match definitions: rounds of *observe, plan, carry out* until nothing is left to do, of one experiment or
//! of several side by side, which then share every deployment.
//!
//! What outlives a crash: an *intent* is written before an object is made (`apply`); `Revocation` intents are written before
//! a membership is taken away, and forgotten when no session is left; `Activation` intents are written before the
//! configuration is touched, and forgotten when it is in force. Each experiment has its own, so that each can be taken up
//! again by itself.

mod order;
mod work;

use std::collections::BTreeSet;

use super::apply::Outcome;
use super::operation::Operation;
use super::plan::{Action, Step};
use super::site::{OpenBase, Opened, Site};
use super::{presence, sharing, stages};
use crate::error::{Error, Result};
use crate::nas::{Interruption, Observation};
use crate::object::Kind;
use crate::report::Said;

pub use work::Work;

/// A plan needs at most three rounds (make; link what got its name only when it was made; nothing left), two more before
/// them where an import keeps the experiment shut, and one where the common share of its base has to be mended first.
const ROUNDS: usize = 8;

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
