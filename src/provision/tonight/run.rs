//! Carrying out what was set for the night: one after the other, each once or not at all.
//!
//! What survives a kill: a request is `begun` on the disk before its operation starts, and every line that the operation
//! writes into the ledger bears the request's id. A request that is found begun is therefore finished (the ledger says
//! so), goes on (the last line of its experiment is its own), is tried as if nothing had been done (it has no line), or is
//! refused (somebody else was there since).

use jiff::{Timestamp, Zoned};
use serde::Serialize;

use super::{LOCK, RUNNING, Wanted, found, note, overtaken, rehearse, remember};
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::provision::create::{self, Options};
use crate::provision::site::{self, Acting, OpenBase, Site};
use crate::provision::{documents, edit, lifecycle};
use crate::report::said;
use crate::store::ledger::{self, Entry, Ledger, TONIGHT};
use crate::store::tonight::{Failure, Request, State, Verb};
use crate::sys::dir::Permissions;
use crate::sys::{clock, fault, lock, process};

/// In the cache: the night that was gone through to its end, so that its disks are woken once.
const STAMP: &str = "night-done";

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// It was done.
    Done,
    /// It was refused or failed, and stays with its reason.
    Failed,
    /// It goes on waiting.
    Waits,
}

/// One request, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// The experiment.
    pub code: String,
    /// What was to be done.
    pub operation: Verb,
    /// Who asked.
    pub by: String,
    /// What became of it.
    pub result: Became,
    /// Why it was not done.
    pub reason: Option<Failure>,
}

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct Run {
    /// False where it is day, and nothing was looked at.
    pub night: bool,
    /// In the order in which they were asked for.
    pub done: Vec<Done>,
    /// Bases out of reach, and requests that are damaged.
    pub unavailable: Vec<String>,
}

/// Carries out what is due. `at_night`: only in the hours of the night, and once in it; otherwise now, whatever the hour.
/// With a code: only this one, a failed one too.
pub fn run(site: &Site, only: Option<&Code>, at_night: bool) -> Result<Run> {
    let mut all = Run {
        night: true,
        done: Vec::new(),
        unavailable: Vec::new(),
    };
    let night = super::night(site)?;
    let begins = night.now(&Zoned::now());
    if at_night {
        let Some(begins) = begins else {
            all.night = false;
            return Ok(all);
        };
        if stamp(site)? == Some(begins) {
            return Ok(all);
        }
    }
    let _running = lock::lock(&site.locks, RUNNING, super::PATIENCE)?;
    let waiting = match only {
        Some(code) => vec![found(site, code)?],
        None => due(site, at_night, &mut all.unavailable)?,
    };
    for (base, request) in waiting {
        process::check_interrupted()?;
        let over = at_night && night.now(&Zoned::now()) != begins;
        let done = if over {
            told(&request, Became::Waits, None)
        } else {
            one(site, &base, &request.code, only.is_some())?
        };
        all.done.extend(Some(done));
    }
    let waits = all.done.iter().any(|done| done.result == Became::Waits);
    if let Some(begins) = begins
        && at_night
        && !waits
    {
        let text = begins.to_string();
        site.cache
            .write(STAMP, text.as_bytes(), &Permissions::PRIVATE)?;
    }
    Ok(all)
}

/// The night that was gone through last.
fn stamp(site: &Site) -> Result<Option<Timestamp>> {
    let bytes = site.cache.read(STAMP, 64)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).trim().parse().ok())
}

/// Everything that may be begun now, over all bases.
fn due(
    site: &Site,
    at_night: bool,
    unavailable: &mut Vec<String>,
) -> Result<Vec<(OpenBase, Request)>> {
    let mut all = Vec::new();
    let now = clock::now();
    for base in site.bases()? {
        let open = match site.base(&base.path) {
            Ok(open) => open,
            Err(error) if error.code() == "base.unclaimed" => continue,
            Err(error) => {
                unavailable.push(error.to_string());
                continue;
            }
        };
        // A run that was killed may not have come to it.
        remember(site, &open)?;
        // A clock that is wrong knows no night.
        let newest = Ledger::open(&open.dir)?.newest()?;
        if let Some(doubt) = clock::doubt(now, newest).filter(|_| at_night) {
            unavailable.push(doubt);
            continue;
        }
        let (requests, damaged) = Request::all(&open.dir)?;
        unavailable.extend(damaged.iter().map(ToString::to_string));
        for request in requests {
            let is_due = request.due.parse::<Timestamp>().is_ok_and(|due| due <= now);
            if request.state != State::Failed && (is_due || !at_night) {
                all.push((open.try_clone()?, request));
            }
        }
    }
    all.sort_by(|(_, a), (_, b)| (&a.asked, &a.code).cmp(&(&b.asked, &b.code)));
    Ok(all)
}

fn told(request: &Request, result: Became, reason: Option<Failure>) -> Done {
    Done {
        code: request.code.clone(),
        operation: request.operation,
        by: request.by.clone(),
        result,
        reason,
    }
}

/// One request, from its state on the disk to its end.
fn one(site: &Site, base: &OpenBase, code: &str, again: bool) -> Result<Done> {
    let code = Code::parse(code)?;
    let (mut request, past) = {
        let _lock = lock::lock(&site.locks, LOCK, super::PATIENCE)?;
        // It may have been cancelled since the list was made.
        let Some(mut request) = Request::read(&base.dir, &code)? else {
            let (_, request) = found(site, &code)?;
            return Ok(told(&request, Became::Waits, None));
        };
        if request.state == State::Failed && again {
            // Another attempt, by which the ledger must not know the first one.
            request.id = uuid::Uuid::new_v4().to_string();
        }
        let past = match request.state {
            State::Begun => past(base, &request)?,
            _ => Past::Nothing,
        };
        if !matches!(past, Past::Done | Past::Failed(_)) {
            request.state = State::Begun;
            request.failure = None;
            request.write(&base.dir)?;
        }
        (request, past)
    };
    fault::point("tonight.begun")?;
    let result = match past {
        Past::Done => {
            tidy(site, &code);
            Ok(())
        }
        Past::Overtaken => Err(overtaken(&request)),
        Past::Failed(code) => Err(Error::new(
            "tonight.failed",
            format!("it failed before this machine stopped: {code}"),
        )
        .hint("see its history, then set it again")),
        Past::Nothing => work(site, base, &request, false),
        Past::Begun => work(site, base, &request, true),
    };
    fault::point("tonight.ended")?;
    settle(site, base, &mut request, result)
}

/// What comes after the last line of an operation: the experiment's documents. It is not worth a failure.
fn tidy(site: &Site, code: &Code) {
    let tidied = || -> Result<()> {
        let _nas = site.lock_nas()?;
        let opened = site.open(code)?;
        site::in_service(&opened)?;
        let _lock = site.lock_experiment(&opened.id())?;
        opened.metadata.remove_unfinished()?;
        site.note(&opened);
        documents::follow(site, &opened);
        Ok(())
    };
    if let Err(error) = tidied() {
        site.progress
            .note(&said!("{code}: {error}", "{code} : {error}"));
    }
}

/// Writes down how it ended.
fn settle(site: &Site, base: &OpenBase, request: &mut Request, result: Result<()>) -> Result<Done> {
    let _lock = lock::lock(&site.locks, LOCK, super::PATIENCE)?;
    let done = match result {
        Ok(()) => {
            request.clear(&base.dir)?;
            told(request, Became::Done, None)
        }
        Err(error) if error.exit_status() == Exit::Interrupted => return Err(error),
        // Somebody works on it at this hour: it waits, in this night or for the next one.
        Err(error) if error.exit_status() == Exit::Locked => {
            request.state = State::Waiting;
            request.write(&base.dir)?;
            let reason = failure(&error);
            told(request, Became::Waits, Some(reason))
        }
        Err(error) => {
            let reason = failure(&error);
            request.state = State::Failed;
            request.failure = Some(reason.clone());
            // What it changed itself does not stand in the way of another attempt.
            if let Some(digest) = reached(site, base, request)? {
                request.from = Some(digest);
            }
            request.write(&base.dir)?;
            told(request, Became::Failed, Some(reason))
        }
    };
    remember(site, base)?;
    Ok(done)
}

fn failure(error: &Error) -> Failure {
    Failure {
        time: clock::now_text(),
        code: error.code().to_owned(),
        message: error.to_string(),
        hint: error.hint_text().map(str::to_owned),
    }
}

/// The digest of the definition, where the last line of the experiment is the request's own.
fn reached(site: &Site, base: &OpenBase, request: &Request) -> Result<Option<String>> {
    if request.operation == Verb::Create {
        return Ok(None);
    }
    let last = match &request.experiment {
        Some(id) => Ledger::open(&base.dir)?.last_of(id, "")?,
        None => None,
    };
    if last.is_none_or(|entry| !is_of(&entry, request)) {
        return Ok(None);
    }
    let code = Code::parse(&request.code)?;
    Ok(site.open(&code).ok().map(|opened| opened.digest))
}

/// What the ledger knows of a request that was begun.
enum Past {
    /// Nothing: its operation did not come to its first line.
    Nothing,
    /// It is done.
    Done,
    /// It failed, with this code.
    Failed(String),
    /// It was begun and did not end, and nothing was done with the experiment since.
    Begun,
    /// It was begun and did not end, and somebody else worked on the experiment since.
    Overtaken,
}

/// The ledger's line is the request's own; a removal also ends older ones, of other experiments.
fn is_of(entry: &Entry, request: &Request) -> bool {
    let experiment = request.experiment.as_ref();
    entry.event.detail.get(TONIGHT) == Some(&request.id)
        && experiment.is_none_or(|id| *id == entry.event.experiment)
}

fn past(base: &OpenBase, request: &Request) -> Result<Past> {
    let ledger = Ledger::open(&base.dir)?;
    let mut own: Option<Entry> = None;
    ledger.read(|entry| {
        if is_of(&entry, request) {
            own = Some(entry);
        }
        true
    })?;
    let Some(own) = own else {
        return Ok(Past::Nothing);
    };
    Ok(match own.event.outcome {
        ledger::Outcome::Done => Past::Done,
        ledger::Outcome::Failed => {
            let code = own.event.detail.get("error").cloned();
            Past::Failed(code.unwrap_or_default())
        }
        ledger::Outcome::Begun | ledger::Outcome::Interrupted => {
            let last = ledger.last_of(&own.event.experiment, "")?;
            if last.is_some_and(|last| is_of(&last, request)) {
                Past::Begun
            } else {
                Past::Overtaken
            }
        }
    })
}

/// The operation itself, in the name of whoever asked for it. The ledger has one line about its end, whatever it is.
fn work(site: &Site, base: &OpenBase, request: &Request, goes_on: bool) -> Result<()> {
    site.acting.replace(Some(Acting {
        by: request.by.clone(),
        request: request.id.clone(),
        told: false,
    }));
    let result = carry_out(site, request, goes_on);
    let acting = site.acting.take();
    let is_told = acting.is_some_and(|acting| acting.told);
    let waits = |error: &Error| matches!(error.exit_status(), Exit::Locked | Exit::Interrupted);
    if let Err(error) = &result
        && !is_told
        && !waits(error)
    {
        let failed = ledger::Outcome::Failed;
        note(site, base, request, "refused", failed, Some(error))?;
    }
    result
}

fn carry_out(site: &Site, request: &Request, goes_on: bool) -> Result<()> {
    if request.nas != site.nas.identity().id {
        return Err(Error::new(
            "tonight.foreign",
            format!(
                "{} of {} was set for the night on another NAS",
                request.operation.as_str(),
                request.code
            ),
        )
        .hint("set it again here, if it is still wanted"));
    }
    let code = Code::parse(&request.code)?;
    let text = request.definition.clone().unwrap_or_default();
    let digest = match request.operation {
        Verb::Create => None,
        _ => Some(same(site, request, &code, goes_on)?),
    };
    let wanted = match request.operation {
        Verb::Create => Wanted::Create(text.as_bytes()),
        Verb::Edit => Wanted::Edit(text.as_bytes(), digest.as_deref()),
        Verb::Apply => Wanted::Apply(&code, request.mend),
        Verb::Close => Wanted::Close(&code),
        Verb::Reopen => Wanted::Reopen(&code),
        Verb::Remove => Wanted::Remove(&code, request.delete_data.then_some(&code)),
    };
    // What would be refused is refused before it is begun; a removal whose data is gone has nothing to be looked at.
    if !(goes_on && request.delete_data) {
        rehearse(site, &wanted)?;
    }
    let options = Options::default();
    match wanted {
        Wanted::Create(text) => create::create(site, text, options)?,
        Wanted::Edit(text, from) => edit::edit(site, text, from, options)?,
        Wanted::Apply(code, mend) => lifecycle::apply(site, code, mend)?,
        Wanted::Close(code) => lifecycle::close(site, code, false)?,
        Wanted::Reopen(code) => lifecycle::reopen(site, code, false)?,
        Wanted::Remove(code, delete) => lifecycle::remove(site, code, delete, false)?,
    };
    Ok(())
}

/// The experiment is the one that was meant, and nobody changed its definition since. Gives its digest.
fn same(site: &Site, request: &Request, code: &Code, goes_on: bool) -> Result<String> {
    let opened = match site.open(code) {
        Ok(opened) => opened,
        // Its data is deleted already.
        Err(error) if error.code() == "experiment.unknown" && goes_on && request.delete_data => {
            return Ok(String::new());
        }
        Err(error) => return Err(error),
    };
    let is_same = request.experiment.as_deref() == Some(opened.id().as_str());
    let is_unchanged = goes_on || request.from.as_deref() == Some(opened.digest.as_str());
    if is_same && is_unchanged {
        Ok(opened.digest)
    } else {
        Err(overtaken(request))
    }
}
