//! Operations that are set for tonight: looked at now, so that everything that can be refused is refused now; kept whole
//! beside the evidence; done in the night (`run`), in the order in which they were asked for.

mod night;
mod run;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Zoned;
use serde::Serialize;

pub use night::Night;
pub use run::{Became, Done, Run, run};

use super::apply::{self, Outcome};
use super::create::{self, Options};
use super::plan::Step;
use super::site::{OpenBase, Site};
use super::{edit, lifecycle};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::object::Kind;
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

/// An operation, as somebody asks for it.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// Make an experiment of a definition.
    Create(&'a [u8]),
    /// Replace a definition. With the digest of the one that the change was made on.
    Edit(&'a [u8], Option<&'a str>),
    /// Make the NAS match the definition; perhaps also what was changed by hand.
    Apply(&'a Code, bool),
    /// Make it read-only.
    Close(&'a Code),
    /// Open it again.
    Reopen(&'a Code),
    /// Take it out of service; perhaps with its data (its code, repeated).
    Remove(&'a Code, Option<&'a Code>),
}

impl Wanted<'_> {
    fn verb(&self) -> Verb {
        match self {
            Self::Create(_) => Verb::Create,
            Self::Edit(..) => Verb::Edit,
            Self::Apply(..) => Verb::Apply,
            Self::Close(_) => Verb::Close,
            Self::Reopen(_) => Verb::Reopen,
            Self::Remove(..) => Verb::Remove,
        }
    }
}

/// What is set for the night, for people.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Waiting {
    /// The experiment.
    pub code: String,
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
    /// What it interrupts.
    pub effects: Vec<Said>,
    /// Why it was not done.
    pub failure: Option<Failure>,
}

impl Waiting {
    fn of(request: &Request, base: &Path) -> Self {
        Self {
            code: request.code.clone(),
            operation: request.operation,
            state: request.state,
            by: request.by.clone(),
            asked: request.asked.clone(),
            due: request.due.clone(),
            from: local(&request.due),
            base: base.to_owned(),
            mend: request.mend,
            delete_data: request.delete_data,
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
    pub outcome: Outcome,
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
/// Those of the operation; `tonight.taken` where something is set for this experiment already; `tonight.passwords` where it
/// would make passwords, which are shown once, to whoever is there.
pub fn set(site: &Site, wanted: &Wanted<'_>, options: Options) -> Result<Set> {
    if options.create_accounts {
        return Err(passwords("accounts with initial passwords"));
    }
    let outcome = rehearse(site, wanted)?;
    let code = Code::parse(&outcome.code)?;
    refuse_second(site, &code)?;
    let base = base_of(site, wanted, &outcome)?;
    let now = Zoned::now();
    let effects = &outcome.interruption.effects;
    let mut request = Request {
        octonas: Request::VERSION,
        id: uuid::Uuid::new_v4().to_string(),
        nas: site.nas.identity().id.clone(),
        code: outcome.code.clone(),
        experiment: (!outcome.id.is_empty()).then(|| outcome.id.clone()),
        operation: wanted.verb(),
        definition: None,
        from: None,
        mend: matches!(wanted, Wanted::Apply(_, true)),
        delete_data: matches!(wanted, Wanted::Remove(_, Some(_))),
        by: site.by(),
        asked: clock::now_text(),
        due: clock::text(night(site)?.next(&now)),
        effects: effects.iter().map(|effect| effect.en.clone()).collect(),
        effects_fr: effects.iter().map(|effect| effect.fr.clone()).collect(),
        state: State::Waiting,
        failure: None,
    };
    if let Wanted::Create(text) | Wanted::Edit(text, _) = wanted {
        request.definition = Some(String::from_utf8_lossy(text).into_owned());
    }
    if request.operation != Verb::Create {
        let digest = site.open(&code)?.digest;
        // Somebody else was quicker than this rehearsal.
        if let Wanted::Edit(_, Some(from)) = wanted
            && *from != digest
        {
            return Err(overtaken(&request));
        }
        request.from = Some(digest);
    }
    let _lock = site.lock_tonight()?;
    // Looked at again under the lock: two people may ask at once.
    refuse_second(site, &code)?;
    request.write(&base.dir)?;
    note(site, &base, &request, "set", ledger::Outcome::Done, None)?;
    remember(site, &base)?;
    let tonight = Waiting::of(&request, &base.path);
    Ok(Set { outcome, tonight })
}

/// What it would do if it were done now.
fn rehearse(site: &Site, wanted: &Wanted<'_>) -> Result<Outcome> {
    let options = Options {
        create_accounts: false,
        dry_run: true,
    };
    let outcome = match wanted {
        Wanted::Create(text) => create::create(site, text, options)?,
        Wanted::Edit(text, from) => edit::edit(site, text, *from, options)?,
        Wanted::Close(code) => lifecycle::close(site, code, true)?,
        Wanted::Reopen(code) => lifecycle::reopen(site, code, true)?,
        Wanted::Remove(code, delete) => lifecycle::remove(site, code, *delete, true)?,
        Wanted::Apply(code, mend) => apply::rehearse(site, code, *mend)?,
    };
    let given: Vec<&str> = outcome
        .steps
        .iter()
        .filter(|step: &&Step| step.object.kind == Kind::RsyncModule)
        .flat_map(|step| step.gives("user:"))
        .collect();
    if given.is_empty() {
        Ok(outcome)
    } else {
        Err(passwords(&format!(
            "passwords of the rsync daemon for {}",
            given.join(", ")
        )))
    }
}

fn passwords(what: &str) -> Error {
    Error::new(
        "tonight.passwords",
        format!("this makes {what}, which are shown once: at night nobody would see them"),
    )
    .hint("create the accounts or open the rsync daemon now, and set the rest for tonight")
}

fn overtaken(request: &Request) -> Error {
    Error::new(
        "tonight.overtaken",
        format!(
            "{} was changed since {} was set for the night (by {}, on {})",
            request.code,
            request.operation.as_str(),
            request.by,
            local(&request.asked)
        ),
    )
    .hint("look at it as it is now (`octonas experiment show`), then set the operation again or do it at once")
}

/// One thing at a time: what is asked second would start from what the first one changes.
fn refuse_second(site: &Site, code: &Code) -> Result<()> {
    let Some((_, request)) = find(site, code)? else {
        return Ok(());
    };
    if request.state == State::Failed {
        return Ok(());
    }
    Err(Error::new(
        "tonight.taken",
        format!(
            "{} of {code} is set for the night already (by {})",
            request.operation.as_str(),
            request.by
        ),
    )
    .hint(format!("`octonas tonight cancel {code}` takes it back")))
}

/// What is set for an experiment, and on which base.
fn find(site: &Site, code: &Code) -> Result<Option<(OpenBase, Request)>> {
    for base in site.bases()? {
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        if let Some(request) = Request::read(&open.dir, code)? {
            return Ok(Some((open, request)));
        }
    }
    Ok(None)
}

fn found(site: &Site, code: &Code) -> Result<(OpenBase, Request)> {
    find(site, code)?.ok_or_else(|| {
        Error::new(
            "tonight.unknown",
            format!("nothing is set for the night for {code}"),
        )
        .hint("`octonas tonight list` shows what is")
    })
}

fn base_of(site: &Site, wanted: &Wanted<'_>, outcome: &Outcome) -> Result<OpenBase> {
    let path = Path::new(&outcome.path);
    let base = path.parent().unwrap_or(path);
    if matches!(wanted, Wanted::Create(_)) {
        super::base::claim_embedded(site, base)?;
    }
    site.base(base)
}

/// All of them, read from the bases.
pub fn list(site: &Site) -> Result<Listing> {
    let mut listing = Listing {
        waiting: Vec::new(),
        unavailable: Vec::new(),
    };
    for base in site.bases()? {
        let read = site
            .base(&base.path)
            .and_then(|open| Request::all(&open.dir));
        match read {
            Ok((requests, damaged)) => {
                let all = requests.iter().map(|each| Waiting::of(each, &base.path));
                listing.waiting.extend(all);
                let texts = damaged.iter().map(ToString::to_string);
                listing.unavailable.extend(texts);
            }
            // An embedded NAS that holds nothing yet.
            Err(error) if error.code() == "base.unclaimed" => {}
            Err(error) => listing.unavailable.push(error.to_string()),
        }
    }
    listing
        .waiting
        .sort_by(|a, b| (&a.asked, &a.code).cmp(&(&b.asked, &b.code)));
    Ok(listing)
}

/// What is set for one experiment; `None` where nothing is.
pub fn of(site: &Site, code: &Code) -> Result<Option<Waiting>> {
    Ok(find(site, code)?.map(|(base, request)| Waiting::of(&request, &base.path)))
}

/// What is set for one experiment, and the definition that it carries.
pub fn show(site: &Site, code: &Code) -> Result<(Waiting, Option<String>)> {
    let (base, request) = found(site, code)?;
    Ok((Waiting::of(&request, &base.path), request.definition))
}

/// Takes back what is set for an experiment, or puts away what failed.
///
/// # Errors
/// `tonight.unknown`; `tonight.running` while it is carried out.
pub fn cancel(site: &Site, code: &Code) -> Result<Waiting> {
    let _lock = site.lock_tonight()?;
    let (base, request) = found(site, code)?;
    if request.state == State::Begun && lock::is_held(&site.locks, RUNNING)? {
        return Err(Error::new(
            "tonight.running",
            format!("{} of {code} is under way", request.operation.as_str()),
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
    let mut detail = vec![
        ("code", request.code.clone()),
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
