//! Closing, reopening, removing, and the ends of people's access.

use super::apply::{self, Outcome};
use super::converge;
use super::frame;
use super::operation::Operation;
use super::site::{self, OpenBase, Opened, Site};
use crate::error::{Error, Result};
use crate::experiment::{Code, ExperimentId, Status};
use crate::object::Kind;
use crate::report::said;
use crate::store;
use crate::store::tombstone::Tombstone;
use crate::store::trash;
use crate::sys::fault;

/// Names of operations in the ledger.
const CLOSE: &str = "close";
const REMOVE: &str = "remove";

/// Makes the NAS match the definition. `mend` also sets right what was changed by hand.
pub fn apply(site: &Site, code: &Code, mend: bool) -> Result<Outcome> {
    let _nas = site.lock_nas()?;
    let mut opened = site.open(code)?;
    site::in_service(&opened)?;
    let _lock = site.lock_experiment(&opened.id())?;
    let operation = Operation::on(site, &opened, "apply")?;
    if mend && !opened.applied.intents.contains_key(&super::sweep::intent()) {
        // What members narrowed is looked through again, whether or not anything else drifted.
        operation.begin()?;
        opened
            .applied
            .intend(&super::sweep::intent(), &crate::object::Attributes::new())?;
    }
    let outcome = finish(site, &mut opened, mend, &operation);
    let outcome = operation.end(outcome, |outcome| {
        vec![
            ("mend", mend.to_string()),
            ("steps", outcome.steps.len().to_string()),
            ("repaired", outcome.repaired.to_string()),
        ]
    })?;
    if outcome.changed() {
        super::documents::follow(site, &opened);
    }
    Ok(outcome)
}

/// Converges; an experiment that is `closing` becomes `closed` when that is true.
fn finish(
    site: &Site,
    opened: &mut Opened,
    mend: bool,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    let mut outcome = converge::converge(site, opened, mend, None, operation)?;
    if opened.definition.status == Status::Closing {
        operation.begin()?;
        super::presence::confirm_closed(site, opened)?;
        opened.definition.status = Status::Closed;
        opened.save()?;
        outcome.status = opened.definition.status.to_string();
        outcome.digest.clone_from(&opened.digest);
        operation.also_done(CLOSE, vec![("digest", opened.digest.clone())])?;
    }
    site.note(opened);
    Ok(outcome)
}

/// Makes an experiment read-only for everybody. Its status is `closing` until that is true.
pub fn close(site: &Site, code: &Code, dry_run: bool) -> Result<Outcome> {
    change_status(site, code, dry_run, CLOSE, |status| match status {
        Status::Closed | Status::Archived => Ok(None),
        Status::Draft => Err("it is a draft: no door of it is open yet"),
        _ => Ok(Some(Status::Closing)),
    })
}

/// Opens a closed experiment again, as its definition says: readers stay readers.
pub fn reopen(site: &Site, code: &Code, dry_run: bool) -> Result<Outcome> {
    change_status(site, code, dry_run, "reopen", |status| match status {
        Status::Active => Ok(None),
        Status::Closing | Status::Closed => Ok(Some(Status::Active)),
        Status::Draft => Err("it is a draft: open it by an edit of its status to active"),
        _ => Err("an archived experiment stays as it is"),
    })
}

fn change_status(
    site: &Site,
    code: &Code,
    dry_run: bool,
    name: &'static str,
    next: impl Fn(Status) -> std::result::Result<Option<Status>, &'static str>,
) -> Result<Outcome> {
    let _nas = site.lock_nas()?;
    let mut opened = site.open(code)?;
    site::in_service(&opened)?;
    let _lock = site.lock_experiment(&opened.id())?;
    let wanted = next(opened.definition.status).map_err(|reason| {
        Error::new(
            "experiment.status",
            format!("{code} is {}: {reason}", opened.definition.status),
        )
    })?;
    if let Some(status) = wanted {
        opened.definition.status = status;
    }
    if dry_run {
        return apply::preview(site, &opened, &site.nas.observe()?);
    }
    let operation = Operation::on(site, &opened, name)?;
    if wanted.is_some() {
        operation.begin()?;
        let saved = opened.save().and_then(|()| fault::point("status.saved"));
        operation.end_failed(saved)?;
        site.note(&opened);
    }
    let outcome = finish(site, &mut opened, false, &operation);
    let detail = |outcome: &Outcome| vec![("digest", outcome.digest.clone())];
    let outcome = operation.end(outcome, detail)?;
    super::documents::follow(site, &opened);
    Ok(outcome)
}

/// Takes an experiment out of service: nobody reaches it any more. Its data stays, behind a directory that only root
/// enters, unless `delete_data` (which has to repeat the code). People's accounts stay.
pub fn remove(
    site: &Site,
    code: &Code,
    delete_data: Option<&Code>,
    dry_run: bool,
) -> Result<Outcome> {
    if let Some(repeated) = delete_data
        && repeated != code
    {
        return Err(Error::new(
            "remove.unconfirmed",
            format!("to delete the data of {code}, repeat its code: --delete-data {code}"),
        ));
    }
    let _nas = site.lock_nas()?;
    if !dry_run {
        finish_deletions(site)?;
    }
    let mut opened = match site.open(code) {
        Err(error) if error.code() == "experiment.unknown" && delete_data.is_some() => {
            return deleted(site, code, dry_run)?.ok_or(error);
        }
        opened => opened?,
    };
    let _lock = site.lock_experiment(&opened.id())?;
    let status = opened.definition.status;
    let removed_before = status == Status::Removed;
    opened.definition.status = Status::Removed;
    if dry_run {
        forget_directories(&mut opened, true)?;
        return apply::preview(site, &opened, &site.nas.observe()?);
    }
    let operation = Operation::on(site, &opened, REMOVE)?;
    if !removed_before || delete_data.is_some() {
        operation.begin()?;
    }
    let detail = vec![("delete-data", delete_data.is_some().to_string())];
    let outcome = take_out(site, &mut opened, delete_data.is_some(), status, &operation);
    operation.end(outcome, |_| detail)
}

/// A tombstone first; then the doors, and perhaps the data.
fn take_out(
    site: &Site,
    opened: &mut Opened,
    delete_data: bool,
    before: Status,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    if Tombstone::read(&opened.base.dir, &opened.identity()?)?.is_none() {
        let mut stone = tombstone(site, opened, false)?;
        stone.status = Some(before.to_string());
        stone.write(&opened.base.dir)?;
    }
    fault::point("remove.tombstone")?;
    if before != Status::Removed {
        opened.save()?;
    }
    frame::seal(opened)?;
    forget_directories(opened, false)?;
    let outcome = converge::converge(site, opened, false, None, operation)?;
    site.note(opened);
    if delete_data {
        delete(site, opened)?;
    }
    Ok(outcome)
}

/// The frame stays as it is, sealed: only our memory of it goes.
fn forget_directories(opened: &mut Opened, only_in_memory: bool) -> Result<()> {
    let is_ours = |kind: Kind| matches!(kind, Kind::Directory | Kind::Contents);
    if only_in_memory {
        opened.applied.objects.retain(|id, _| !is_ours(id.kind));
        opened.applied.intents.retain(|id, _| !is_ours(id.kind));
        return Ok(());
    }
    let ids: Vec<_> = opened
        .applied
        .objects
        .keys()
        .chain(opened.applied.intents.keys())
        .filter(|id| is_ours(id.kind))
        .cloned()
        .collect();
    for id in ids {
        opened.applied.forget(&id)?;
    }
    Ok(())
}

fn tombstone(site: &Site, opened: &Opened, data_deleted: bool) -> Result<Tombstone> {
    let definition = &opened.definition;
    let id = opened.identity()?;
    Ok(Tombstone::new(
        &id,
        definition.code.as_str(),
        &definition.title,
        &site.by(),
        data_deleted,
    ))
}

/// Out of sight by one rename, then gone file by file. The tombstone says that the data is deleted; what a crash left of it
/// waits in the trash for the next removal.
fn delete(site: &Site, opened: &Opened) -> Result<()> {
    let id = opened.identity()?;
    trash::discard(&opened.base.dir, &id, &opened.definition.code)?;
    fault::point("remove.discarded")?;
    // Before the last file goes: afterwards nothing would tell that this line is still missing.
    let mut stone = match Tombstone::read(&opened.base.dir, &id)? {
        Some(stone) => stone,
        None => tombstone(site, opened, true)?,
    };
    stone.data_deleted = true;
    stone.write(&opened.base.dir)?;
    site.progress
        .note(&said!("deleting the data", "suppression des données"));
    trash::empty(&opened.base.dir, &opened.id())?;
    site.forget(&opened.id());
    Ok(())
}

/// What `remove` answers where the data is gone already: a tombstone of this code stands, and no directory.
fn deleted(site: &Site, code: &Code, dry_run: bool) -> Result<Option<Outcome>> {
    for base in site.bases()? {
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        let last = Tombstone::all(&open.dir)?
            .into_iter()
            .filter(|tombstone| tombstone.code == code.as_str())
            .max_by(|a, b| a.removed.cmp(&b.removed));
        let Some(tombstone) = last else { continue };
        if open.dir.stat(code.as_str())?.is_some() {
            continue;
        }
        if !dry_run {
            store::remove_unfinished(&open.dir)?;
            site.forget(&tombstone.id);
            end_deletion(site, &open, &tombstone.id, code.as_str())?;
        }
        return Ok(Some(Outcome {
            code: code.to_string(),
            id: tombstone.id,
            path: open.path.join(code.as_str()).display().to_string(),
            status: Status::Removed.to_string(),
            ..Outcome::default()
        }));
    }
    Ok(None)
}

/// The ledger says of a deletion that was cut short that it is done.
fn end_deletion(site: &Site, base: &OpenBase, id: &str, code: &str) -> Result<()> {
    let about = ("code", code.to_owned());
    let detail = vec![("delete-data", true.to_string())];
    Operation::new(site, base, id, REMOVE, about)?.end(Ok(()), |()| detail)
}

/// Deletions that a crash cut short.
fn finish_deletions(site: &Site) -> Result<()> {
    for base in site.bases()? {
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        for id in trash::waiting(&open.dir)? {
            let known = ExperimentId::parse(&id).ok();
            let mut stone = match &known {
                Some(known) => Tombstone::read(&open.dir, known)?,
                None => None,
            };
            if let Some(stone) = stone.as_mut().filter(|stone| !stone.data_deleted) {
                stone.data_deleted = true;
                stone.write(&open.dir)?;
            }
            if let Err(error) = trash::empty(&open.dir, &id) {
                site.progress.warn(&said!(
                    "data that waits to be deleted stays: {error}",
                    "des données à supprimer restent : {error}"
                ));
                continue;
            }
            site.forget(&id);
            let code = stone.map(|stone| stone.code).unwrap_or_default();
            end_deletion(site, &open, &id, &code)?;
        }
    }
    Ok(())
}

/// What `due` did to one experiment.
#[derive(Debug, serde::Serialize)]
pub struct Due {
    /// The experiment.
    pub code: String,
    /// Whose access ended.
    pub ended: Vec<String>,
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

/// Takes out the people whose access has ended. Every experiment is tried; one that fails does not stop the others.
pub fn due(site: &Site, dry_run: bool) -> Result<Vec<Due>> {
    let mut done = Vec::new();
    for row in super::list::list(site, true)?.rows {
        let Ok(code) = Code::parse(&row.code) else {
            continue;
        };
        if row.status == Status::Removed.as_str() {
            continue;
        }
        let ended = match ended(site, &code) {
            Ok(ended) if ended.is_empty() => continue,
            Ok(ended) => ended,
            Err(error) => {
                done.push(Due {
                    code: row.code,
                    ended: Vec::new(),
                    error: Some(error.to_string()),
                });
                continue;
            }
        };
        let error = if dry_run {
            None
        } else {
            apply(site, &code, false)
                .err()
                .map(|error| error.to_string())
        };
        done.push(Due {
            code: row.code,
            ended,
            error,
        });
    }
    Ok(done)
}

/// The accounts whose access has ended and who are still inside, as we remember.
fn ended(site: &Site, code: &Code) -> Result<Vec<String>> {
    let opened = site.open(code)?;
    let members = super::desired::members(&opened.definition, site.today.get());
    let mut ended: Vec<String> =
        opened
            .definition
            .people
            .iter()
            .filter(|person| person.access.is_some())
            .filter_map(|person| Some(person.account.as_ref()?.to_string()))
            .filter(|account| !members.contains_key(account))
            .filter(|account| {
                let member = format!("member:{account}");
                opened.applied.objects.iter().any(|(id, found)| {
                    id.kind == Kind::Group && found.attributes.contains_key(&member)
                }) || opened
                    .applied
                    .intents
                    .keys()
                    .any(|id| id.kind == Kind::Revocation && id.key == *account)
            })
            .collect();
    ended.sort();
    Ok(ended)
}
