//! Operations that are set for tonight: looked at now, so that everything that can be refused is refused now; kept whole
//! beside the evidence; done in the night (`run`), in the order in which they were asked for.

mod night;
mod run;
mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Zoned;
use serde::Serialize;

pub use night::Night;
pub use run::{Became, Done, Run, run};
pub use wanted::{Looked, Subject, Wanted};

use super::create::Options;
use super::site::{OpenBase, Site};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::report::Said;
use crate::store::ledger::{self, TONIGHT};
use crate::store::registry;
use crate::store::tonight::{Failure, Request, State, Verb};
use crate::sys::clock;
use crate::sys::lock::{self, Lock};

/// Held while a request is written or taken away.
const LOCK: &str = "tonight";
/// Held while requests are carried out.
const RUNNING: &str = "tonight-run";
const PATIENCE: Duration = Duration::from_secs(10);

/// What is set for the night, for people.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    /// The experiment; empty where it is the base.
    pub code: String,
    /// The code of the experiment, or the path of the base: by what it is shown, taken back and done.
    pub name: String,
    /// What is to be done.
    pub operation: Verb,
    /// How far it is.
    pub state: State,
    /// Who asked.
    pub by: String,
    /// When (RFC 3339, UTC).
    pub asked: String,
    /// Not before (RFC 3339, UTC).
    pub due: String,
    /// The same on the clock of the NAS, for people: `2026-11-22 02:00`.
    pub from: String,
    /// Where it lies.
    pub base: PathBuf,
    /// Also sets right what was changed by hand.
    pub mend: bool,
    /// Deletes the data too.
    pub delete_data: bool,
    /// Takes over what another NAS served.
    pub take_over: bool,
    /// The accounts that keep their access.
    pub grant: Vec<String>,
    /// The share of all experiments of the base.
    pub share_name: Option<String>,
    /// What it interrupts.
    pub effects: Vec<Said>,
    /// Why it was not done.
    pub failure: Option<Failure>,
}

impl Waiting {
    fn of(request: &Request, base: &Path) -> Self {
        Self {
            code: request.code.clone(),
            name: wanted::name(request, base),
            operation: request.operation,
            state: request.state,
            by: request.by.clone(),
            asked: request.asked.clone(),
            due: request.due.clone(),
            from: local(&request.due),
            base: base.to_owned(),
            mend: request.mend,
            delete_data: request.delete_data,
            take_over: request.take_over,
            grant: request.grant.clone(),
            share_name: request.share_name.clone(),
            effects: request
                .effects
                .iter()
                .enumerate()
                .map(|(at, en)| Said {
                    en: en.clone(),
                    fr: request.effects_fr.get(at).unwrap_or(en).clone(),
                })
                .collect(),
            failure: request.failure.clone(),
        }
    }
}

/// A time of ours on the clock of the NAS, to the minute.
fn local(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time
            .to_zoned(clock::zone())
            .strftime("%Y-%m-%d %H:%M")
            .to_string(),
        Err(_) => time.to_owned(),
    }
}

/// What came of setting something for the night.
#[derive(Debug, Serialize)]
pub struct Set {
    /// What would be done now.
    #[serde(flatten)]
    pub looked: Looked,
    /// What is set for the night.
    pub tonight: Waiting,
}

/// What is set for the night on all bases.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// In the order in which it was asked for.
    pub waiting: Vec<Waiting>,
    /// Bases that could not be read, and requests that are damaged.
    pub unavailable: Vec<String>,
}

/// The nights of this NAS, as its settings say.
pub fn night(site: &Site) -> Result<Night> {
    Ok(Night::at(site.nas.unit()?.0.night))
}

/// Sets an operation for the night: everything that can be refused is refused now.
///
/// # Errors
/// Those of the operation; `tonight.taken` where something is set for this experiment or base already; `tonight.passwords`
/// where it would make passwords, which are shown once, to whoever is there; `tonight.not-ours` where there is no base of
/// this NAS yet that could keep it.
pub fn set(site: &Site, wanted: &Wanted<'_>, options: Options) -> Result<Set> {
    if options.create_accounts {
        return Err(passwords("accounts with initial passwords"));
    }
    let looked = wanted.rehearse(site)?;
    let subject = looked.subject()?;
    refuse_second(site, &looked, &subject)?;
    let base = base_of(site, wanted, &looked)?;
    let request = requested(site, wanted, &looked, &base)?;
    let _lock = site.lock_tonight()?;
    // Looked at again under the lock: two people may ask at once.
    refuse_second(site, &looked, &subject)?;
    request.write(&base.dir)?;
    note(site, &base, &request, "set", ledger::Outcome::Done, None)?;
    remember(site, &base)?;
    let tonight = Waiting::of(&request, &base.path);
    Ok(Set { looked, tonight })
}

/// What is asked for, whole.
fn requested(
    site: &Site,
    wanted: &Wanted<'_>,
    looked: &Looked,
    base: &OpenBase,
) -> Result<Request> {
    let effects = looked
        .interruption()
        .map_or(&[][..], |interruption| interruption.effects.as_slice());
    let mut request = Request {
        octonas: Request::VERSION,
        id: uuid::Uuid::new_v4().to_string(),
        nas: site.nas.identity().id.clone(),
        code: looked
            .outcome()
            .map_or_else(String::new, |o| o.code.clone()),
        experiment: looked.experiment(),
        operation: wanted.verb(),
        definition: None,
        from: None,
        plan: looked.plan(),
        mend: false,
        delete_data: false,
        take_over: false,
        grant: Vec::new(),
        share_name: None,
        by: site.by(),
        asked: clock::now_text(),
        due: clock::text(night(site)?.next(&Zoned::now())),
        effects: effects.iter().map(|effect| effect.en.clone()).collect(),
        effects_fr: effects.iter().map(|effect| effect.fr.clone()).collect(),
        state: State::Waiting,
        failure: None,
    };
    match *wanted {
        Wanted::Create(text) | Wanted::Import { text, .. } => {
            request.definition = Some(String::from_utf8_lossy(text).into_owned());
        }
        Wanted::Edit(text, from) => {
            request.definition = Some(String::from_utf8_lossy(text).into_owned());
            request.from = Some(digest(site, &request)?);
            // Somebody else was quicker than this rehearsal.
            if from.is_some() && from != request.from.as_deref() {
                return Err(overtaken(&request, base));
            }
        }
        Wanted::Apply(_, mend) => {
            request.mend = mend;
            request.from = Some(digest(site, &request)?);
        }
        Wanted::Close(_) | Wanted::Reopen(_) => request.from = Some(digest(site, &request)?),
        Wanted::Remove(_, delete) => {
            request.delete_data = delete.is_some();
            request.from = Some(digest(site, &request)?);
        }
        Wanted::Adopt(_, options) => {
            request.take_over = options.take_over;
            request.grant.clone_from(&options.grant);
        }
        Wanted::Share(_, name) => {
            request.share_name = name.map(str::to_owned);
            request.from = Some(wanted::way(base));
        }
    }
    Ok(request)
}

fn digest(site: &Site, request: &Request) -> Result<String> {
    Ok(site.open(&Code::parse(&request.code)?)?.digest)
}

fn passwords(what: &str) -> Error {
    Error::new(
        "tonight.passwords",
        format!("this makes {what}, which are shown once: at night nobody would see them"),
    )
    .hint("create the accounts or open the rsync daemon now, and set the rest for tonight")
}

fn overtaken(request: &Request, base: &OpenBase) -> Error {
    Error::new(
        "tonight.overtaken",
        format!(
            "{} was changed since {} was set for the night (by {}, on {})",
            wanted::name(request, &base.path),
            request.operation.as_str(),
            request.by,
            local(&request.asked)
        ),
    )
    .hint("look at it as it is now, then set the operation again or do it at once")
}

/// One thing at a time: what is asked second would start from what the first one changes.
fn refuse_second(site: &Site, looked: &Looked, subject: &Subject) -> Result<()> {
    refuse_waiting(site, subject)?;
    match looked {
        // How its base is shared is part of its plan.
        Looked::Import(_) => refuse_waiting(site, &Subject::Base(looked.base())),
        _ => Ok(()),
    }
}

fn refuse_waiting(site: &Site, subject: &Subject) -> Result<()> {
    let Some((_, request)) = find(site, subject)? else {
        return Ok(());
    };
    if request.state == State::Failed {
        return Ok(());
    }
    Err(Error::new(
        "tonight.taken",
        format!(
            "{} of {subject} is set for the night already (by {})",
            request.operation.as_str(),
            request.by
        ),
    )
    .hint(format!("`octonas tonight cancel {subject}` takes it back")))
}

/// What is set for an experiment, and on which base; or for a base.
fn find(site: &Site, subject: &Subject) -> Result<Option<(OpenBase, Request)>> {
    for base in site.bases()? {
        if !subject.may_lie_on(&base.path) {
            continue;
        }
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        if let Some(request) = Request::read(&open.dir, subject.code())? {
            return Ok(Some((open, request)));
        }
    }
    Ok(None)
}

fn found(site: &Site, subject: &Subject) -> Result<(OpenBase, Request)> {
    find(site, subject)?.ok_or_else(|| {
        Error::new(
            "tonight.unknown",
            format!("nothing is set for the night for {subject}"),
        )
        .hint("`octonas tonight list` shows what is")
    })
}

/// The base that keeps it until the night.
fn base_of(site: &Site, wanted: &Wanted<'_>, looked: &Looked) -> Result<OpenBase> {
    let base = looked.base();
    if matches!(wanted, Wanted::Create(_) | Wanted::Import { .. }) {
        super::base::claim_embedded(site, &base)?;
    }
    site.base(&base).map_err(|error| {
        if matches!(error.code(), "base.foreign" | "base.unknown") {
            // An adoption would take it over.
            Error::new(
                "tonight.not-ours",
                format!("{} is not served by this NAS yet: it keeps nothing until the night", base.display()),
            )
            .hint("adopt one of its experiments at once, which takes it over; the others can wait for the night")
        } else {
            error
        }
    })
}

/// All of them, read from the bases.
pub fn list(site: &Site) -> Result<Listing> {
    let mut listing = Listing {
        waiting: Vec::new(),
        unavailable: Vec::new(),
    };
    let mut all: Vec<(PathBuf, Request)> = Vec::new();
    for base in site.bases()? {
        let read = site
            .base(&base.path)
            .and_then(|open| Request::all(&open.dir));
        match read {
            Ok((requests, damaged)) => {
                all.extend(requests.into_iter().map(|each| (base.path.clone(), each)));
                let texts = damaged.iter().map(ToString::to_string);
                listing.unavailable.extend(texts);
            }
            // An embedded NAS that holds nothing yet.
            Err(error) if error.code() == "base.unclaimed" => {}
            Err(error) => listing.unavailable.push(error.to_string()),
        }
    }
    all.sort_by(|(_, a), (_, b)| a.order().cmp(&b.order()));
    let all = all.iter().map(|(base, each)| Waiting::of(each, base));
    listing.waiting.extend(all);
    Ok(listing)
}

/// What is set for one experiment; `None` where nothing is.
pub fn of(site: &Site, code: &Code) -> Result<Option<Waiting>> {
    let found = find(site, &Subject::Experiment(code.clone()))?;
    Ok(found.map(|(base, request)| Waiting::of(&request, &base.path)))
}

/// What is set for one experiment or base, and the definition that it carries.
pub fn show(site: &Site, subject: &Subject) -> Result<(Waiting, Option<String>)> {
    let (base, request) = found(site, subject)?;
    Ok((Waiting::of(&request, &base.path), request.definition))
}

/// Takes back what is set for an experiment or base, or puts away what failed.
///
/// # Errors
/// `tonight.unknown`; `tonight.running` while it is carried out.
pub fn cancel(site: &Site, subject: &Subject) -> Result<Waiting> {
    let _lock = site.lock_tonight()?;
    let (base, request) = found(site, subject)?;
    if request.state == State::Begun && lock::is_held(&site.locks, RUNNING)? {
        return Err(Error::new(
            "tonight.running",
            format!("{} of {subject} is under way", request.operation.as_str()),
        )
        .hint("wait until it has ended"));
    }
    // First the history: a request that went away without a line could be missed for ever.
    note(
        site,
        &base,
        &request,
        "cancelled",
        ledger::Outcome::Done,
        None,
    )?;
    request.clear(&base.dir)?;
    remember(site, &base)?;
    Ok(Waiting::of(&request, &base.path))
}

impl Site {
    fn lock_tonight(&self) -> Result<Lock> {
        lock::lock(&self.locks, LOCK, PATIENCE)
    }
}

/// A line in the ledger about a request: it was set, taken back, or refused before anything was begun.
fn note(
    site: &Site,
    base: &OpenBase,
    request: &Request,
    what: &str,
    outcome: ledger::Outcome,
    error: Option<&Error>,
) -> Result<()> {
    let about = match request.operation {
        Verb::ShareBase => "path",
        _ => "code",
    };
    let mut detail = vec![
        (about, wanted::name(request, &base.path)),
        ("request", request.id.clone()),
        ("operation", request.operation.as_str().to_owned()),
        ("what", what.to_owned()),
    ];
    detail.extend(error.map(|error| ("error", error.code().to_owned())));
    let experiment = request.experiment.as_deref().unwrap_or_default();
    site.record(base, experiment, TONIGHT, outcome, &detail)
}

/// The same after the cache was lost. What cannot be read is named by [`list`].
pub(super) fn refresh(site: &Site, base: &Path) {
    let _ = site.base(base).and_then(|open| remember(site, &open));
}

/// The list of experiments tells what is set for the night.
fn remember(site: &Site, base: &OpenBase) -> Result<()> {
    let (all, _) = Request::all(&base.dir)?;
    let rows: Vec<registry::Tonight> = all
        .into_iter()
        .filter(|request| !request.code.is_empty())
        .map(|request| registry::Tonight {
            code: request.code,
            operation: request.operation.as_str().to_owned(),
            state: request.state.as_str().to_owned(),
            due: request.due,
        })
        .collect();
    site.note_tonight(&base.path, &rows);
    Ok(())
}
