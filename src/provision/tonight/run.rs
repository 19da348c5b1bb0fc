//! Carrying out what was set for the night: one after the other, each once or not at all.
//!
//! What survives a kill: a request is `begun` on the disk before its operation starts, and every line that the operation
//! writes into the ledger bears the request's id. A request that is found begun is therefore finished (the ledger says
//! so), goes on (the last line of its experiment is its own), is tried as if nothing had been done (it has no line), or is
//! refused (somebody else was there since).

use std::path::Path;

use jiff::{Timestamp, Zoned};
use serde::Serialize;

use super::{LOCK, RUNNING, Subject, Wanted, found, note, overtaken, remember, wanted};
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::provision::site::{self, Acting, OpenBase, Site};
use crate::provision::{adopt, documents};
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
    /// The experiment; empty where it is a base.
    pub code: String,
    /// The code of the experiment, or the path of the base.
    pub name: String,
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
/// With a subject: only this one, a failed one too.
pub fn run(site: &Site, only: Option<&Subject>, at_night: bool) -> Result<Run> {
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
        Some(subject) => vec![found(site, subject)?],
        None => due(site, at_night, &mut all.unavailable)?,
    };
    for (base, request) in waiting {
        process::check_interrupted()?;
        let over = at_night && night.now(&Zoned::now()) != begins;
        if over {
            all.done.push(told(&base, &request, Became::Waits, None));
        } else {
            let subject = Subject::of(&request, &base.path)?;
            all.done.extend(one(site, &base, &subject, only.is_some())?);
        }
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
    all.sort_by(|(_, a), (_, b)| a.order().cmp(&b.order()));
    Ok(all)
}

fn told(base: &OpenBase, request: &Request, result: Became, reason: Option<Failure>) -> Done {
    Done {
        code: request.code.clone(),
        name: wanted::name(request, &base.path),
        operation: request.operation,
        by: request.by.clone(),
        result,
        reason,
    }
}

/// One request, from its state on the disk to its end. Nothing where it was cancelled since the list was made.
fn one(site: &Site, base: &OpenBase, subject: &Subject, again: bool) -> Result<Option<Done>> {
    let (mut request, past) = {
        let _lock = lock::lock(&site.locks, LOCK, super::PATIENCE)?;
        let Some(mut request) = Request::read(&base.dir, subject.code())? else {
            return Ok(None);
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
            tidy(site, &request);
            Ok(())
        }
        Past::Overtaken => Err(overtaken(&request, base)),
        Past::Failed(code) => Err(Error::new(
            "tonight.failed",
            format!("it failed before this machine stopped: {code}"),
        )
        .hint("see its history, then set it again")),
        Past::Nothing => work(site, base, &request, false),
        Past::Begun => work(site, base, &request, true),
    };
    fault::point("tonight.ended")?;
    settle(site, base, &mut request, result).map(Some)
}

/// What comes after the last line of an operation: the experiment's documents. It is not worth a failure.
fn tidy(site: &Site, request: &Request) {
    let tidied = || -> Result<()> {
        let Some(code) = request.experiment_code()? else {
            return Ok(());
        };
        let _nas = site.lock_nas()?;
        let opened = site.open(&code)?;
        site::in_service(&opened)?;
        let _lock = site.lock_experiment(&opened.id())?;
        opened.metadata.remove_unfinished()?;
        if request.operation == Verb::Adopt {
            return adopt::tidy(site, &opened);
        }
        site.note(&opened);
        documents::follow(site, &opened);
        Ok(())
    };
    if let Err(error) = tidied() {
        let code = &request.code;
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
            told(base, request, Became::Done, None)
        }
        Err(error) if error.exit_status() == Exit::Interrupted => return Err(error),
        // Somebody works on it at this hour: it waits, in this night or for the next one.
        Err(error) if error.exit_status() == Exit::Locked => {
            request.state = State::Waiting;
            request.write(&base.dir)?;
            let reason = failure(&error);
            told(base, request, Became::Waits, Some(reason))
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
            told(base, request, Became::Failed, Some(reason))
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

/// What another attempt starts from, where the last line of the experiment or base is the request's own.
fn reached(site: &Site, base: &OpenBase, request: &Request) -> Result<Option<String>> {
    let last = match &request.experiment {
        Some(id) => Ledger::open(&base.dir)?.last_of(id, "")?,
        None => None,
    };
    if last.is_none_or(|entry| !is_of(&entry, request)) {
        return Ok(None);
    }
    match (request.operation, request.experiment_code()?) {
        (Verb::Create | Verb::Import | Verb::Adopt, _) => Ok(None),
        (_, Some(code)) => Ok(site.open(&code).ok().map(|opened| opened.digest)),
        (_, None) => {
            site.known_bases.take();
            Ok(site.base(&base.path).ok().map(|base| wanted::way(&base)))
        }
    }
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

/// The ledger's line is the request's own; a removal also ends older ones, of other experiments, and what is done for a base
/// has lines of its experiments.
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
    // It is an operation of its own: what an earlier one of this run asked the NAS may be so no more.
    site.known_bases.take();
    site.acting.replace(Some(Acting {
        by: request.by.clone(),
        request: request.id.clone(),
        experiment: request.experiment.clone(),
        told: false,
    }));
    let result = carry_out(site, base, request, goes_on).map_err(|error| match error.code() {
        "plan.changed" => overtaken(request, base),
        _ => error,
    });
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

fn carry_out(site: &Site, base: &OpenBase, request: &Request, goes_on: bool) -> Result<()> {
    if request.nas != site.nas.identity().id {
        return Err(Error::new(
            "tonight.foreign",
            format!(
                "{} of {} was set for the night on another NAS",
                request.operation.as_str(),
                wanted::name(request, &base.path)
            ),
        )
        .hint("set it again here, if it is still wanted"));
    }
    let code = request.experiment_code()?;
    let dir = base.path.join(&request.code);
    let folder = dir.display().to_string();
    let text = request.definition.as_deref().unwrap_or_default().as_bytes();
    // What was begun goes on, whatever it made of what was looked at.
    let plan = request.plan.as_deref().filter(|_| !goes_on);
    let adoption = adopt::Options {
        take_over: request.take_over,
        grant: request.grant.clone(),
        dry_run: false,
        plan: plan.map(str::to_owned),
    };
    let digest = same(site, base, request, code.as_ref(), goes_on)?;
    let wanted = match (request.operation, &code) {
        (Verb::ShareBase, _) | (_, None) => {
            Wanted::Share(&base.path, request.share_name.as_deref())
        }
        (Verb::Create, _) => Wanted::Create(text),
        (Verb::Edit, _) => Wanted::Edit(text, digest.as_deref()),
        (Verb::Apply, Some(code)) => Wanted::Apply(code, request.mend),
        (Verb::Close, Some(code)) => Wanted::Close(code),
        (Verb::Reopen, Some(code)) => Wanted::Reopen(code),
        (Verb::Remove, Some(code)) => Wanted::Remove(code, request.delete_data.then_some(code)),
        (Verb::Adopt, _) => Wanted::Adopt(&dir, &adoption),
        (Verb::Import, _) => Wanted::Import {
            folder: &folder,
            cwd: Path::new("/"),
            text,
            plan,
        },
    };
    // What would be refused is refused before it is begun; a removal whose data is gone has nothing to be looked at.
    if !(goes_on && request.delete_data) {
        wanted.rehearse(site)?;
    }
    wanted.carry_out(site, false)?;
    Ok(())
}

/// What it starts from is what was meant, and nobody changed it since. Gives the digest of the definition, where there is
/// one; what an import or an adoption starts from is their plan.
fn same(
    site: &Site,
    base: &OpenBase,
    request: &Request,
    code: Option<&Code>,
    goes_on: bool,
) -> Result<Option<String>> {
    let is = |now: &str| goes_on || request.from.as_deref() == Some(now);
    let code = match (request.operation, code) {
        (Verb::Create | Verb::Import | Verb::Adopt, _) => return Ok(None),
        (_, Some(code)) => code,
        (_, None) if is(&wanted::way(&site.base(&base.path)?)) => return Ok(None),
        (_, None) => return Err(overtaken(request, base)),
    };
    let opened = match site.open(code) {
        Ok(opened) => opened,
        // Its data is deleted already.
        Err(error) if error.code() == "experiment.unknown" && goes_on && request.delete_data => {
            return Ok(Some(String::new()));
        }
        Err(error) => return Err(error),
    };
    if request.experiment.as_deref() == Some(opened.id().as_str()) && is(&opened.digest) {
        Ok(Some(opened.digest))
    } else {
        Err(overtaken(request, base))
    }
}
