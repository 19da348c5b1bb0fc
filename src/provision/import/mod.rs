//! Making an experiment of a directory that is in use: what it would mean is looked at first (`survey`, `access`), and
//! nothing is changed until it is confirmed. Files stay where they are, byte for byte; owners and rights change, and what
//! they were is kept beside the definition (`metadata/before-import.facl`, as getfacl(1) writes it).

mod access;
mod place;
mod survey;

use std::path::Path;

use serde::Serialize;

use self::access::Account;
use self::place::Place;
pub use self::survey::Survey;
use self::survey::Surveyed;
use super::apply::{self, Outcome, Subject};
use super::create::{self, Options as CreateOptions};
use super::operation::Operation;
use super::plan::Memory;
use super::site::{self, Opened, Site};
use super::{accounts, base, frame, seen, settle, sharing, sweep};
use crate::error::{Error, Result};
use crate::experiment::{AbsPath, Definition, ExperimentId, Imported};
use crate::nas::Observation;
use crate::object::{Found, Objects};
use crate::store;
use crate::store::applied::Applied;
use crate::store::definition::METADATA;
use crate::store::ledger::Ledger;
use crate::store::tombstone::Tombstone;
use crate::sys::dir::{Permissions, Replace};
use crate::sys::fault;

/// The operation's name in the ledger.
const IMPORT: &str = "import";

/// Owners, modes and access lists of everything before the import, for `setfacl --restore`.
pub const BEFORE: &str = "before-import.facl";

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Do it; otherwise only say what it would mean.
    pub confirm: bool,
    /// Create accounts that are missing.
    pub create_accounts: bool,
    /// The plan that was looked at: another one is refused. An import that was begun goes on whatever is given.
    pub plan: Option<String>,
}

/// What an import means, or did.
#[derive(Debug, Serialize)]
pub struct Import {
    /// Whether it was done.
    pub confirmed: bool,
    /// False where rights are declared and shown, and not enforced.
    pub enforced: bool,
    /// Who could enter before, and who may afterwards.
    pub access: Vec<Account>,
    /// What lies there, and what becomes of its rights. `None` where an earlier run has begun to change them.
    pub contents: Option<Survey>,
    /// Names the plan: what is shown is what is done when it is given back. Empty where an earlier run has begun.
    pub plan: String,
    /// Names what of it lasts while people go on working in the directory: who gains and loses, which steps, which kinds of
    /// things lie there, and not how many. It can be given back as well.
    #[serde(skip)]
    pub lasting: String,
    /// The operation itself.
    pub outcome: Outcome,
}

/// Makes an experiment of the directory or shared folder `given`, from the text of a definition. Given again after a
/// crash, it goes on where it stopped.
#[allow(clippy::too_many_lines)] // One refusal after the other, in the order in which a person can mend them.
pub fn import(
    site: &Site,
    given: &str,
    cwd: &Path,
    text: &[u8],
    options: &Options,
) -> Result<Import> {
    let mut definition = create::read(text)?;
    let _nas = site.lock_nas()?;
    let mut seen = site.nas.observe()?;
    let place = Place::find(site, given, cwd, &definition, &seen)?;
    definition.storage.base = Some(AbsPath::parse(&place.base.display().to_string())?);
    site.layout(&definition)?.expand(&definition)?;
    let base = open_base(site, &place, options.confirm)?;
    if let Some(opened) = site::open_in(base.try_clone()?, &definition.code)? {
        return resume(site, opened, &definition, seen, options);
    }
    create::refuse_twins(site, &definition, &base)?;
    let common_share = base.common_share.as_deref();
    place.refuse_neighbours(&seen, common_share)?;
    sharing::refuse_doors(&definition, common_share)?;
    let id = identity(&base, &definition)?;
    definition.id = Some(id);
    refuse_removed(&base, &id)?;
    let dir = base.dir.existing(definition.code.as_str())?;
    let writers = sweep::writers(&definition, &seen, site.today.get());
    let mut surveyed = Surveyed::of(site, &dir, &definition, &seen, &writers)?;
    definition.imported = Some(Imported {
        date: site.today.get(),
        leaves: std::mem::take(&mut surveyed.leaves),
        unknown: crate::experiment::Unknown::new(),
    });
    site.layout(&definition)?.expand(&definition)?;
    let access = access::compare(site, &definition, &dir, &place, &seen)?;
    let mut memory = Memory {
        objects: place.taken(&seen),
        ..Memory::default()
    };
    let before = seen.clone();
    let create = CreateOptions {
        create_accounts: options.create_accounts,
        dry_run: false,
    };
    settle::assume(site, &definition, &mut seen, create);
    let look = |memory: &Memory| {
        let subject = Subject {
            definition: &definition,
            path: &place.path,
            common_share: base.common_share.as_deref(),
            dir: Some(&dir),
            memory,
        };
        apply::look_at(site, &subject, &seen, false)
    };
    let desired = look(&memory)?.desired;
    keep_what_is_managed(&mut memory, &desired);
    let look = look(&memory)?;
    apply::admissible(&look)?;
    settle::accounts_are_there(site, &definition, &seen)?;
    accounts::warn_of_shells(site, &definition, &seen);
    let steps = &look.plan.steps;
    let named = |contents: &Survey| {
        let plan = (&access, contents, steps, options.create_accounts);
        seen::digest(&plan, &id.to_string())
    };
    let (plan, lasting) = (named(&surveyed.survey)?, named(&surveyed.survey.kinds())?);
    if options.plan.as_deref() != Some(lasting.as_str()) {
        seen::must_be(options.plan.as_deref(), &plan)?;
    }
    let mut told = Import {
        confirmed: options.confirm,
        enforced: site.nas.identity().enforces_rights,
        plan,
        lasting,
        access,
        contents: Some(surveyed.survey),
        outcome: Outcome {
            code: definition.code.to_string(),
            path: place.path.display().to_string(),
            status: definition.status.to_string(),
            interruption: site.nas.interruption(&look.kinds()),
            steps: look.plan.steps,
            ..Outcome::default()
        },
    };
    if !options.confirm {
        return Ok(told);
    }
    let _lock = site.lock_experiment(&id.to_string())?;
    let about = ("code", definition.code.to_string());
    let operation = Operation::new(site, &base, &id.to_string(), IMPORT, about)?;
    operation.begin()?;
    let staged = Staged {
        site,
        base: &base,
        definition: &definition,
        memory: &memory,
        before: &surveyed.before,
    };
    let laid = staged
        .lay_down(&id)
        .and_then(|()| opened_again(base, &definition));
    let mut opened = operation.end_failed(laid)?;
    operation.end_failed(frame::seal(&opened))?;
    told.outcome = settle::settle(site, &mut opened, create, before, &operation)?;
    Ok(told)
}

/// The base in which it lies; an embedded NAS claims its own only when something is to be done.
fn open_base(site: &Site, place: &Place, confirm: bool) -> Result<site::OpenBase> {
    if base::is_unclaimed_embedded(site, &place.base)? {
        if !confirm {
            return site::open_base(&place.base);
        }
        base::claim_embedded(site, &place.base)?;
    }
    site.base(&place.base)
}

/// An id is of one experiment for ever.
fn refuse_removed(base: &site::OpenBase, id: &ExperimentId) -> Result<()> {
    match Tombstone::read(&base.dir, id)? {
        None => Ok(()),
        Some(stone) => Err(Error::new(
            "experiment.removed",
            format!("the id {id} belonged to {}, which was removed", stone.code),
        )
        .hint("leave the id out: a new experiment gets a new one")
        .field("id")),
    }
}

/// Of a share that is taken over, what the definition does not speak of stays an admin's own business.
fn keep_what_is_managed(memory: &mut Memory, desired: &Objects) {
    for (id, found) in &mut memory.objects {
        if let Some(wanted) = desired.get(id) {
            found
                .attributes
                .retain(|name, _| wanted.contains_key(name) || name.contains(':'));
        }
    }
}

/// The id that the definition gives; or the one under which this import was begun and cut short before anything else was
/// written; or a new one.
fn identity(base: &site::OpenBase, definition: &Definition) -> Result<ExperimentId> {
    if let Some(id) = definition.id {
        return Ok(id);
    }
    let begun = if base.dir.stat(store::EVIDENCE)?.is_some() {
        Ledger::open(&base.dir)?.unended()?
    } else {
        Vec::new()
    };
    let known = begun.into_iter().map(|entry| entry.event).find(|event| {
        event.operation == IMPORT
            && event.detail.get("code").map(String::as_str) == Some(definition.code.as_str())
    });
    Ok(known
        .and_then(|event| ExperimentId::parse(&event.experiment).ok())
        .unwrap_or_else(ExperimentId::random))
}

/// What is put together before it appears in the directory, by one rename.
struct Staged<'a> {
    site: &'a Site,
    base: &'a site::OpenBase,
    definition: &'a Definition,
    memory: &'a Memory,
    before: &'a [u8],
}

impl Staged<'_> {
    /// `metadata/` with the definition, what the rights were, what is taken over, and that a sweep is due until which
    /// nobody enters.
    fn lay_down(&self, id: &ExperimentId) -> Result<()> {
        // Whoever put something together here before us was killed: we hold the lock of the NAS.
        store::definition::clear_staging(&self.base.dir)?;
        let staged = store::definition::stage(&self.base.dir, id)?;
        staged.create_dir(METADATA, 0o700)?;
        let metadata = staged.existing(METADATA)?;
        let text = self.definition.to_yaml()?;
        store::definition::write(&metadata, &text, &Permissions::PRIVATE)?;
        metadata.write(BEFORE, self.before, &Permissions::PRIVATE)?;
        let mut applied = Applied::load(&metadata)?;
        for (object, found) in &self.memory.objects {
            applied.done(object, found)?;
        }
        applied.intend(&sweep::intent(), &sweep::of_an_import())?;
        // Without it, an experiment counts as another NAS's.
        applied.done(&apply::server(self.site), &Found::default())?;
        staged.sync()?;
        fault::point("import.staged")?;
        let dir = self.base.dir.existing(self.definition.code.as_str())?;
        staged.rename(METADATA, &dir, METADATA, Replace::Never)?;
        fault::point("import.published")?;
        store::definition::clear_staging(&self.base.dir)
    }
}

fn opened_again(base: site::OpenBase, definition: &Definition) -> Result<Opened> {
    site::open_in(base, &definition.code)?.ok_or_else(|| {
        Error::new(
            "directory.lost",
            format!(
                "the directory of {} went away while it was imported",
                definition.code
            ),
        )
    })
}

/// The same definition given again is the same import.
fn resume(
    site: &Site,
    mut opened: Opened,
    given: &Definition,
    seen: Observation,
    options: &Options,
) -> Result<Import> {
    site.served_here(&opened)?;
    site::in_service(&opened)?;
    let mut same = given.clone();
    same.id = same.id.or(opened.definition.id);
    same.imported.clone_from(&opened.definition.imported);
    if opened.definition.imported.is_none() || same != opened.definition {
        return Err(Error::new(
            "experiment.exists",
            format!("{} is an experiment already", opened.path().display()),
        )
        .hint("change it with `octonas experiment edit`")
        .field("code"));
    }
    let _lock = site.lock_experiment(&opened.id())?;
    let create = CreateOptions {
        create_accounts: options.create_accounts,
        dry_run: !options.confirm,
    };
    if !options.create_accounts {
        settle::accounts_are_there(site, &opened.definition, &seen)?;
    }
    let operation = Operation::on(site, &opened, IMPORT)?;
    if options.confirm && sweep::is_sealed(&opened.applied.intents) {
        operation.begin()?;
        store::definition::clear_staging(&opened.base.dir)?;
        operation.end_failed(frame::seal(&opened))?;
    }
    Ok(Import {
        confirmed: options.confirm,
        enforced: site.nas.identity().enforces_rights,
        access: Vec::new(),
        contents: None,
        plan: String::new(),
        lasting: String::new(),
        outcome: settle::settle(site, &mut opened, create, seen, &operation)?,
    })
}
