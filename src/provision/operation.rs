//! An operation in the ledger: begun before its first change, and ended, whatever becomes of it. One that changes
//! nothing leaves no line.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::site::{OpenBase, Opened, Site};
use crate::error::{Error, Exit, Result};
use crate::report::{Said, said};
use crate::store::ledger::{self, Event, Ledger, Outcome};
use crate::sys::lock;

/// The operations of a base that were begun and did not end, by experiment, in words. One that is under way is not among
/// them.
pub fn unended(site: &Site, base: &OpenBase) -> Result<BTreeMap<String, Said>> {
    let mut all: BTreeMap<String, Said> = BTreeMap::new();
    for entry in Ledger::open(&base.dir)?.unended()? {
        let event = entry.event;
        let lock = match event.operation.as_str() {
            _ if event.experiment.is_empty() => "nas".to_owned(),
            operation if !ledger::lane(operation).is_empty() => {
                format!("{operation}-{}", event.experiment)
            }
            _ => format!("experiment-{}", event.experiment),
        };
        if lock::is_held(&site.locks, &lock)? {
            continue;
        }
        let of = event.detail.values().next().cloned().unwrap_or_default();
        let text = said!(
            "{0} of {1} by {2}, begun {3}, did not end: give the same command again",
            "{0} de {1} par {2}, commencé le {3}, ne s'est pas terminé : donnez de nouveau la même commande",
            event.operation,
            of,
            event.by,
            entry.time
        );
        let known = match all.remove(&event.experiment) {
            Some(known) => known.and(&said!("; ", " ; ")).and(&text),
            None => text,
        };
        all.insert(event.experiment, known);
    }
    Ok(all)
}

/// What belongs to a line of the ledger beside its operation.
pub type Detail = Vec<(&'static str, String)>;

/// An operation under way.
pub struct Operation<'a> {
    site: &'a Site,
    ledger: Ledger,
    name: &'static str,
    experiment: String,
    about: (&'static str, String),
    begun: Cell<bool>,
    /// An earlier one was killed or failed: when nothing is left to do, that is said too.
    unsettled: bool,
}

impl<'a> Operation<'a> {
    /// On an open experiment.
    pub fn on(site: &'a Site, opened: &Opened, name: &'static str) -> Result<Self> {
        let about = ("code", opened.definition.code.to_string());
        Self::new(site, &opened.base, &opened.id(), name, about)
    }

    /// On the experiment with this id, or on a base where the id is empty.
    pub fn new(
        site: &'a Site,
        base: &OpenBase,
        experiment: &str,
        name: &'static str,
        about: (&'static str, String),
    ) -> Result<Self> {
        let ledger = Ledger::open(&base.dir)?;
        let last = ledger.last_of(experiment, ledger::lane(name))?;
        Ok(Self {
            site,
            ledger,
            name,
            experiment: experiment.to_owned(),
            about,
            begun: Cell::new(false),
            unsettled: last.is_some_and(|entry| entry.event.outcome != Outcome::Done),
        })
    }

    /// Its name in the ledger.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Something is about to be changed. Said once.
    pub fn begin(&self) -> Result<()> {
        if self.begun.get() {
            return Ok(());
        }
        self.write(self.name, Outcome::Begun, Detail::new())?;
        self.begun.set(true);
        Ok(())
    }

    /// It came to its end, so or so.
    pub fn end<T>(&self, result: Result<T>, detail: impl FnOnce(&T) -> Detail) -> Result<T> {
        // What was asked for in advance gets its line whatever it came to.
        let acting = self.site.acting.borrow();
        let is_told = acting
            .as_ref()
            .is_none_or(|acting| acting.told || !acting.is_about(&self.experiment));
        drop(acting);
        if !self.begun.get() && !self.unsettled && is_told {
            return result;
        }
        match result {
            Ok(done) => {
                self.write(self.name, Outcome::Done, detail(&done))?;
                Ok(done)
            }
            Err(error) => {
                let how = if error.exit_status() == Exit::Interrupted {
                    Outcome::Interrupted
                } else {
                    Outcome::Failed
                };
                let code = vec![("error", error.code().to_owned())];
                if let Err(unwritten) = self.write(self.name, how, code) {
                    self.unwritten(&unwritten);
                }
                Err(error)
            }
        }
    }

    /// A part of it: a failure is its end, and after a success it goes on.
    pub fn end_failed<T>(&self, part: Result<T>) -> Result<T> {
        match part {
            Ok(done) => Ok(done),
            Err(error) => self.end(Err(error), |_| Detail::new()),
        }
    }

    /// Another operation, begun earlier, is done by this one.
    pub fn also_done(&self, name: &'static str, detail: Detail) -> Result<()> {
        if name == self.name {
            return Ok(());
        }
        self.append(name, Outcome::Done, detail)
    }

    /// The error of the operation itself says more.
    fn unwritten(&self, error: &Error) {
        self.site.progress.warn(&said!(
            "the ledger does not say that it failed: {error}",
            "le journal ne dit pas que cela a échoué : {error}"
        ));
    }

    fn write(&self, name: &str, outcome: Outcome, mut detail: Detail) -> Result<()> {
        if let Some(acting) = self.site.acting.borrow().as_ref() {
            detail.push((ledger::TONIGHT, acting.request.clone()));
        }
        self.append(name, outcome, detail)?;
        if let Some(acting) = self.site.acting.borrow_mut().as_mut() {
            acting.told |= outcome != Outcome::Begun && acting.is_about(&self.experiment);
        }
        Ok(())
    }

    fn append(&self, name: &str, outcome: Outcome, detail: Detail) -> Result<()> {
        let mut all = vec![self.about.clone()];
        all.extend(detail);
        self.ledger.append(Event {
            experiment: self.experiment.clone(),
            operation: name.to_owned(),
            by: self.site.by(),
            outcome,
            detail: all
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        })?;
        Ok(())
    }
}
