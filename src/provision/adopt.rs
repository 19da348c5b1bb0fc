//! Taking an experiment that lies on a disk into service: one that was removed, or one that another NAS served.
//! Nobody is let in by default: account names of another NAS may be other people's here.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::apply::{self, Outcome};
use super::site::{self, OpenBase, Opened, Site};
use super::sweep;
use crate::error::{Error, Result};
use crate::experiment::{Code, Status};
use crate::nas::Observation;
use crate::object::Kind;
use crate::store::claim::Claim;
use crate::store::ledger;
use crate::store::tombstone::Tombstone;
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
    /// The operation itself.
    pub outcome: Outcome,
}

/// Takes the experiment in `dir` (absolute) into service.
pub fn adopt(site: &Site, dir: &Path, options: &Options) -> Result<Adoption> {
    let (base_path, code) = split(dir)?;
    let _nas = site.lock_nas()?;
    let base = take(site, base_path, options)?;
    let mut opened = site::open_in(base, &code)?.ok_or_else(|| {
        Error::new(
            "experiment.unknown",
            format!("{} holds no experiment", dir.display()),
        )
        .hint("an experiment's directory holds metadata/experiment.yaml")
    })?;
    let _lock = site.lock_experiment(&opened.id())?;
    let observation = site.nas.observe()?;
    let map = map(&opened, &observation, options);
    unknown_grants(&map, options)?;
    // Adopting again what is being adopted goes on; adopting what is in service would take everybody out.
    let under_way = opened.applied.intents.contains_key(&sweep::intent());
    // One that was removed here bears our name from before: only its definition says how far we came.
    let begun = under_way
        && opened.definition.status != Status::Removed
        && opened.applied.objects.contains_key(&apply::server(site));
    let ours = site.served_here(&opened);
    if ours.is_ok() && opened.definition.status != Status::Removed && !under_way {
        return Err(Error::new(
            "experiment.exists",
            format!("{code} is in service here already"),
        )
        .hint("`octonas experiment apply` makes the NAS match its definition"));
    }
    if !options.take_over {
        ours?;
    }
    if options.dry_run {
        settle_people(&mut opened, options);
        opened.definition.status = Status::Active;
        opened.applied.objects.clear();
        opened.applied.intents.clear();
        return Ok(Adoption {
            map,
            outcome: apply::preview(site, &opened)?,
        });
    }
    if !begun {
        begin(site, &mut opened, options, &map)?;
    }
    let outcome = apply::converge(site, &mut opened, false)?;
    Tombstone::clear(&opened.base.dir, &opened.identity()?)?;
    let detail = [
        ("code", code.to_string()),
        ("granted", options.grant.join(",")),
    ];
    site.record(
        &opened.base,
        &opened.id(),
        "adopt",
        ledger::Outcome::Done,
        &detail,
    )?;
    site.note(&opened);
    Ok(Adoption { map, outcome })
}

/// The definition and the intent to sweep are what an interrupted adoption goes on from.
fn begin(site: &Site, opened: &mut Opened, options: &Options, map: &[Mapped]) -> Result<()> {
    let accounts: Vec<&str> = map.iter().map(|line| line.account.as_str()).collect();
    let detail = [
        ("code", opened.definition.code.to_string()),
        ("accounts", accounts.join(",")),
        ("granted", options.grant.join(",")),
    ];
    site.record(
        &opened.base,
        &opened.id(),
        "adopt",
        ledger::Outcome::Begun,
        &detail,
    )?;
    opened
        .applied
        .intend(&sweep::intent(), &sweep::with_owners())?;
    // What another NAS made says nothing here. Its name goes last: until then the record is recognised as foreign.
    let mut foreign: Vec<_> = opened.applied.objects.keys().cloned().collect();
    foreign.extend(
        opened
            .applied
            .intents
            .keys()
            .filter(|id| **id != sweep::intent())
            .cloned(),
    );
    foreign.sort_by_key(|id| id.kind == Kind::Server);
    for id in foreign {
        opened.applied.forget(&id)?;
    }
    fault::point("adopt.intended")?;
    settle_people(opened, options);
    opened.definition.status = match opened.definition.status {
        Status::Closing | Status::Closed | Status::Archived => opened.definition.status,
        _ => Status::Active,
    };
    if let Ok(base) = crate::experiment::AbsPath::parse(&opened.base.path.display().to_string()) {
        opened.definition.storage.base = Some(base);
    }
    opened.save()
}

/// People stay documented; those who are not granted lose their account and their access.
fn settle_people(opened: &mut Opened, options: &Options) {
    for person in &mut opened.definition.people {
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
}

fn map(opened: &Opened, observation: &Observation, options: &Options) -> Vec<Mapped> {
    opened
        .definition
        .people
        .iter()
        .filter_map(|person| {
            let account = person.account.as_ref()?.to_string();
            let here = observation.accounts.get(&account);
            Some(Mapped {
                person: person.name.clone(),
                uid: here.and_then(|here| here.uid),
                exists: here.is_some(),
                granted: options.grant.contains(&account),
                account,
            })
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

fn take(site: &Site, path: &Path, options: &Options) -> Result<OpenBase> {
    let refused = match site.base(path) {
        Ok(base) => return Ok(base),
        Err(error) if error.code() == "base.foreign" && options.take_over => error,
        Err(error) => return Err(error),
    };
    if options.dry_run {
        site.progress
            .note(&format!("{refused}; it would be taken over"));
        return site::open_base(path);
    }
    let base = site::open_base(path)?;
    let identity = site.nas.identity();
    Claim::take_over(&base.dir, &identity.id, &identity.name)?;
    site.progress.note(&format!(
        "{} is now served by {}",
        path.display(),
        identity.name
    ));
    let detail = [("path", path.display().to_string())];
    site.record(&base, "", "take-over", ledger::Outcome::Done, &detail)?;
    Ok(base)
}
