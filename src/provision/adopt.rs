//! Taking an experiment that lies on a disk into service: one that was removed, or one that another NAS served.
//! Nobody is let in by default: account names of another NAS may be other people's here.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::apply::{self, Outcome, Subject};
use super::converge;
use super::documents;
use super::operation::Operation;
use super::plan::Memory;
use super::site::{self, OpenBase, Opened, Site};
use super::{seen, sweep};
use crate::error::{Error, Result};
use crate::experiment::{self, AbsPath, AccountName, Code, Definition, Status, Strictness};
use crate::nas::Observation;
use crate::object::{Found, Kind, ObjectId};
use crate::report::said;
use crate::store;
use crate::store::claim::Claim;
use crate::store::tombstone::Tombstone;
use crate::sys::dir::Permissions;
use crate::sys::fault;

/// How to adopt.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Take the base over from the NAS that claims it.
    pub take_over: bool,
    /// The accounts that keep the access which the definition gives them.
    pub grant: Vec<String>,
    /// Only show the map and the plan.
    pub dry_run: bool,
    /// The plan that was looked at: another one is refused.
    pub plan: Option<String>,
}

/// One line of the map of accounts.
#[derive(Debug, Serialize)]
pub struct Mapped {
    /// The account in the definition.
    pub account: String,
    /// Whose it is, according to the definition.
    pub person: String,
    /// The numeric id that it has on this NAS, if there is such an account.
    pub uid: Option<u32>,
    /// Whether there is such an account here.
    pub exists: bool,
    /// Whether it keeps its access.
    pub granted: bool,
}

/// What an adoption did, or would do.
#[derive(Debug, Serialize)]
pub struct Adoption {
    /// Who was in the definition, and who they are here.
    pub map: Vec<Mapped>,
    /// Names the plan: what is shown is what is done when it is given back.
    pub plan: String,
    /// The operation itself.
    pub outcome: Outcome,
}

/// What the definition said before the adoption, while one is under way: a second try starts from it, not from what the
/// first one left.
const BEFORE: &str = "before-adoption.yaml";

/// Takes the experiment in `dir` (absolute) into service.
pub fn adopt(site: &Site, dir: &Path, options: &Options) -> Result<Adoption> {
    let (base_path, code) = split(dir)?;
    let _nas = site.lock_nas()?;
    let (base, foreign_base) = reach(site, base_path, options)?;
    let mut opened = site::open_in(base, &code)?.ok_or_else(|| {
        Error::new(
            "experiment.unknown",
            format!("{} holds no experiment", dir.display()),
        )
        .hint("an experiment's directory holds metadata/experiment.yaml")
    })?;
    let _lock = site.lock_experiment(&opened.id())?;
    let before = definition_before(&opened)?;
    let served_here = site.served_here(&opened);
    if before.is_none() && served_here.is_ok() && opened.definition.status != Status::Removed {
        if !options.dry_run {
            // What could not be written when the adoption ended: the list, the documents.
            site.note(&opened);
            documents::follow(site, &opened);
        }
        return Err(Error::new(
            "experiment.exists",
            format!("{code} is in service here already"),
        )
        .hint("`octonas experiment apply` makes the NAS match its definition"));
    }
    let was_ours = served_here.is_ok();
    if !options.take_over && before.is_none() {
        served_here?;
    }
    let before = before.unwrap_or_else(|| opened.definition.clone());
    let observation = site.nas.observe()?;
    let map = map(&before, &observation, options);
    unknown_grants(&map, options)?;
    let settled = settled(site, &opened, &before, options)?;
    let outcome = rehearse(site, &opened, &settled, &observation, was_ours)?;
    let plan = looked_at(&before, &map)?;
    seen::must_be(options.plan.as_deref(), &plan)?;
    if options.dry_run {
        return Ok(Adoption { map, plan, outcome });
    }
    if foreign_base {
        take(site, &opened.base)?;
    }
    let operation = Operation::on(site, &opened, "adopt")?;
    operation.begin()?;
    let outcome = begin(site, &mut opened, &before, settled).and_then(|()| {
        let outcome = converge::converge(site, &mut opened, false, None, &operation)?;
        Tombstone::clear(&opened.base.dir, &opened.identity()?)?;
        Ok(outcome)
    });
    let outcome = operation.end(outcome, |_| {
        vec![
            ("accounts", names(&map, |_| true)),
            ("granted", names(&map, |line| line.granted)),
        ]
    })?;
    tidy(site, &opened)?;
    Ok(Adoption { map, plan, outcome })
}

/// What comes after the last line of the ledger: the list, the documents, and that nothing is under way any more.
pub fn tidy(site: &Site, opened: &Opened) -> Result<()> {
    site.note(opened);
    documents::follow(site, opened);
    // The last line of all: while it stands, the adoption is not finished.
    opened.metadata.remove_file(BEFORE)?;
    Ok(())
}

/// Whom the definition names and who they are here; whoever looked at it chooses whom to let in.
fn looked_at(before: &Definition, map: &[Mapped]) -> Result<String> {
    let here: Vec<_> = map
        .iter()
        .map(|line| (&line.account, line.uid, line.exists))
        .collect();
    seen::digest(&(before, here), "")
}

fn names(map: &[Mapped], which: impl Fn(&Mapped) -> bool) -> String {
    let accounts = map.iter().filter(|line| which(line));
    let accounts: Vec<&str> = accounts.map(|line| line.account.as_str()).collect();
    accounts.join(",")
}

fn definition_before(opened: &Opened) -> Result<Option<Definition>> {
    match opened.metadata.read(BEFORE, store::definition::LIMIT)? {
        Some(text) => Ok(Some(experiment::read(&text, Strictness::Stored)?)),
        None => Ok(None),
    }
}

/// The definition after the adoption: people stay documented; those who are not granted lose account and access. A closed
/// experiment stays closed.
fn settled(
    site: &Site,
    opened: &Opened,
    before: &Definition,
    options: &Options,
) -> Result<Definition> {
    let mut settled = before.clone();
    for person in &mut settled.people {
        let granted = person
            .account
            .as_ref()
            .is_some_and(|account| options.grant.iter().any(|name| name == account.as_str()));
        if !granted {
            person.account = None;
            person.access = None;
            person.until = None;
        }
    }
    for source in &mut settled.sources {
        let granted =
            |account: &AccountName| options.grant.iter().any(|name| name == account.as_str());
        source.account = source.account.take().filter(granted);
    }
    let last = match before.status {
        Status::Removed => Tombstone::read(&opened.base.dir, &opened.identity()?)?
            .and_then(|tombstone| tombstone.status)
            .and_then(|status| Status::parse(&status).ok())
            .unwrap_or(Status::Active),
        status => status,
    };
    settled.status = match last {
        Status::Removed => Status::Active,
        status => status,
    };
    settled.storage.base = Some(AbsPath::parse(&opened.base.path.display().to_string())?);
    site.layout(&settled)?.expand(&settled)?;
    Ok(settled)
}

/// Everything that can be refused is refused before anything is changed: twins, what is not ours, missing accounts.
fn rehearse(
    site: &Site,
    opened: &Opened,
    settled: &Definition,
    observation: &Observation,
    was_ours: bool,
) -> Result<Outcome> {
    super::create::refuse_twins(site, settled, &opened.base)?;
    let memory = if was_ours {
        apply::memory(opened)
    } else {
        Memory::default()
    };
    let subject = Subject {
        definition: settled,
        path: &opened.path(),
        common_share: opened.base.common_share.as_deref(),
        dir: Some(&opened.dir),
        memory: &memory,
    };
    let look = apply::look_at(site, &subject, observation, false)?;
    apply::admissible(&look)?;
    if site.nas.identity().enforces_rights {
        super::accounts::check(settled, observation, site.today.get())?;
    }
    let mut outcome = Outcome::of(opened);
    outcome.interruption = site.nas.interruption(&look.kinds());
    outcome.steps = look.plan.steps;
    Ok(outcome)
}

/// From here on the same command goes on where it stopped. Until the last line, a foreign experiment counts as foreign:
/// nothing but this command touches it.
fn begin(site: &Site, opened: &mut Opened, before: &Definition, settled: Definition) -> Result<()> {
    opened
        .metadata
        .write(BEFORE, before.to_yaml()?.as_bytes(), &Permissions::PRIVATE)?;
    fault::point("adopt.begun")?;
    opened
        .applied
        .intend(&sweep::intent(), &sweep::with_owners())?;
    let server = apply::server(site);
    let is_ours = opened.applied.objects.contains_key(&server);
    if !is_ours {
        forget(opened, |id| {
            id.kind != Kind::Server && *id != sweep::intent()
        })?;
    }
    opened.definition = settled;
    opened.save()?;
    fault::point("adopt.settled")?;
    if !is_ours {
        opened.applied.done(&server, &Found::default())?;
        forget(opened, |id| id.kind == Kind::Server && *id != server)?;
    }
    Ok(())
}

/// What another NAS made says nothing here.
fn forget(opened: &mut Opened, which: impl Fn(&ObjectId) -> bool) -> Result<()> {
    let foreign: Vec<ObjectId> = opened
        .applied
        .objects
        .keys()
        .chain(opened.applied.intents.keys())
        .filter(|id| which(id))
        .cloned()
        .collect();
    foreign.iter().try_for_each(|id| opened.applied.forget(id))
}

fn map(before: &Definition, observation: &Observation, options: &Options) -> Vec<Mapped> {
    let people = before.people.iter();
    let people = people.filter_map(|person| Some((person.name.clone(), person.account.as_ref()?)));
    let machines = before.sources.iter();
    let machines =
        machines.filter_map(|source| Some((source.id.to_string(), source.account.as_ref()?)));
    people
        .chain(machines)
        .map(|(person, account)| {
            let account = account.to_string();
            let here = observation.accounts.get(&account);
            Mapped {
                person,
                uid: here.and_then(|here| here.uid),
                exists: here.is_some(),
                granted: options.grant.contains(&account),
                account,
            }
        })
        .collect()
}

fn unknown_grants(map: &[Mapped], options: &Options) -> Result<()> {
    let known: BTreeMap<&str, &Mapped> = map
        .iter()
        .map(|line| (line.account.as_str(), line))
        .collect();
    match options
        .grant
        .iter()
        .find(|name| !known.contains_key(name.as_str()))
    {
        Some(name) => Err(Error::new(
            "account.missing",
            format!("{name} is not among the accounts of this experiment"),
        )
        .hint("adopt first, then add people with `octonas experiment edit`")),
        None => Ok(()),
    }
}

fn split(dir: &Path) -> Result<(&Path, Code)> {
    let name = dir
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let code = Code::parse(name).map_err(|error| {
        Error::new(
            "experiment.unknown",
            format!("{} is not an experiment's directory", dir.display()),
        )
        .source(error)
    })?;
    Ok((dir.parent().unwrap_or(Path::new("/")), code))
}

/// Opens the base; true where another NAS claims it and it is to be taken over.
fn reach(site: &Site, path: &Path, options: &Options) -> Result<(OpenBase, bool)> {
    match site.base(path) {
        Ok(base) => Ok((base, false)),
        Err(error)
            if options.take_over && matches!(error.code(), "base.foreign" | "base.unknown") =>
        {
            let base = site::open_base(path)?;
            if Claim::read(&base.dir)?.is_none() {
                return Err(error);
            }
            site.nas.may_hold(path)?;
            Ok((base, true))
        }
        Err(error) => Err(error),
    }
}

fn take(site: &Site, base: &OpenBase) -> Result<()> {
    let identity = site.nas.identity();
    let path = base.path.display();
    let about = ("path", path.to_string());
    let operation = Operation::new(site, base, "", "take-over", about)?;
    operation.begin()?;
    let taken = Claim::take_over(&base.dir, &identity.id, &identity.name)
        .and_then(|_| site.nas.add_base(&base.path));
    operation.end(taken, |()| Vec::new())?;
    site.known_bases.take();
    site.progress.note(&said!(
        "{path} is now served by {}",
        "{path} est maintenant servi par {}",
        identity.name
    ));
    Ok(())
}
