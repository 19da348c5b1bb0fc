//! Creating an experiment, and editing one.

use std::collections::BTreeSet;

use super::apply::{self, Outcome, Subject};
use super::operation::Operation;
use super::plan::{Memory, Plan};
use super::site::{self, OpenBase, Opened, Site};
use super::{accounts, base, documents};
use crate::error::{Error, Passwords, Result};
use crate::experiment::{self, AbsPath, Definition, ExperimentId, Status, Strictness};
use crate::nas::{Account, Observation};
use crate::object::Found;
use crate::store;
use crate::store::applied::Applied;
use crate::store::tombstone::Tombstone;
use crate::sys::dir::Permissions;
use crate::sys::fault;

/// The operation's name in the ledger.
const CREATE: &str = "create";

/// How to create or edit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Create accounts that are missing.
    pub create_accounts: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Reads a definition that a person gave; all its problems at once.
pub fn read(text: &[u8]) -> Result<Definition> {
    Ok(experiment::read(text, Strictness::Given)?)
}

/// Creates an experiment from the text of a definition. Given again after a crash, it goes on where it stopped.
pub fn create(site: &Site, text: &[u8], options: Options) -> Result<Outcome> {
    let mut definition = read(text)?;
    let base_path = choose_base(site, &definition)?;
    definition.storage.base = Some(base_path.clone());
    site.layout(&definition)?.expand(&definition)?;
    let _nas = site.lock_nas()?;
    let base = if options.dry_run && base::is_unclaimed_embedded(site, base_path.as_path())? {
        site::open_base(base_path.as_path())?
    } else {
        base::claim_embedded(site, base_path.as_path())?;
        site.base(base_path.as_path())?
    };
    refuse_twins(site, &definition, &base)?;
    let again = site::open_base(base_path.as_path())?;
    if let Some(mut opened) = site::open_in(again, &definition.code)? {
        resume(&opened, &definition)?;
        let _lock = site.lock_experiment(&opened.id())?;
        let seen = site.nas.observe()?;
        if !options.create_accounts {
            accounts_are_there(site, &opened.definition, &seen)?;
        }
        let operation = Operation::on(site, &opened, CREATE)?;
        return settle(site, &mut opened, options, seen, &operation);
    }
    if base.dir.stat(definition.code.as_str())?.is_some() {
        return Err(Error::new(
            "directory.exists",
            format!(
                "{} exists already and is no experiment",
                base.path.join(definition.code.as_str()).display()
            ),
        )
        .hint("`octonas experiment import` makes an experiment of it; or choose another code"));
    }
    let id = *definition.id.get_or_insert_with(ExperimentId::random);
    let _lock = site.lock_experiment(&id.to_string())?;
    if let Some(tombstone) = Tombstone::read(&base.dir, &id)? {
        return Err(Error::new(
            "experiment.removed",
            format!(
                "the id {id} belonged to {}, which was removed",
                tombstone.code
            ),
        )
        .hint("leave the id out: a new experiment gets a new one")
        .field("id"));
    }
    let seen = site.nas.observe()?;
    let plan = rehearse(site, &base, &definition, options, seen.clone())?;
    if options.dry_run {
        return Ok(Outcome {
            code: definition.code.to_string(),
            path: base
                .path
                .join(definition.code.as_str())
                .display()
                .to_string(),
            status: definition.status.to_string(),
            interruption: site.nas.interruption(&plan.kinds()),
            steps: plan.steps,
            ..Outcome::default()
        });
    }
    let about = ("code", definition.code.to_string());
    let operation = Operation::new(site, &base, &id.to_string(), CREATE, about)?;
    operation.begin()?;
    let mut opened = operation.end_failed(lay_down(site, base, &definition, &id))?;
    settle(site, &mut opened, options, seen, &operation)
}

/// Everything that can be refused is refused before anything is written. Gives what would be done.
fn rehearse(
    site: &Site,
    base: &OpenBase,
    definition: &Definition,
    options: Options,
    mut observation: Observation,
) -> Result<Plan> {
    let path = base.path.join(definition.code.as_str());
    let subject = Subject {
        definition,
        path: &path,
        dir: None,
        memory: &Memory::default(),
    };
    assume(site, definition, &mut observation, options);
    let look = apply::look_at(site, &subject, &observation, false)?;
    apply::admissible(&look)?;
    accounts_are_there(site, definition, &observation)?;
    accounts::warn_of_shells(site, definition, &observation);
    Ok(look.plan)
}

/// The accounts that `--create-accounts` will make count as if they were there.
pub(super) fn assume(
    site: &Site,
    definition: &Definition,
    observation: &mut Observation,
    options: Options,
) {
    if !options.create_accounts {
        return;
    }
    let names: Vec<String> = accounts::missing(definition, observation, site.today.get())
        .into_iter()
        .map(|holder| holder.account.to_string())
        .collect();
    for name in names {
        let account = Account {
            uid: None,
            system: false,
            groups: BTreeSet::new(),
        };
        observation.accounts.insert(name, account);
    }
}

/// The directory appears whole, with its definition in it, by one rename.
fn lay_down(
    site: &Site,
    base: OpenBase,
    definition: &Definition,
    id: &ExperimentId,
) -> Result<Opened> {
    // Whoever put something together here before us was killed: we hold the lock of the NAS.
    store::definition::clear_staging(&base.dir)?;
    let staged = store::definition::stage(&base.dir, id)?;
    staged.create_dir(store::definition::METADATA, 0o700)?;
    let metadata = staged.existing(store::definition::METADATA)?;
    store::definition::write(&metadata, &definition.to_yaml()?, &Permissions::PRIVATE)?;
    // Without it, an experiment counts as another NAS's.
    Applied::load(&metadata)?.done(&apply::server(site), &Found::default())?;
    staged.sync()?;
    fault::point("create.staged")?;
    store::definition::publish(&base.dir, id, &definition.code)?;
    fault::point("create.published")?;
    site::open_in(base, &definition.code)?.ok_or_else(|| {
        Error::new(
            "directory.lost",
            format!(
                "the directory of {} went away while it was made",
                definition.code
            ),
        )
    })
}

fn make(
    site: &Site,
    opened: &mut Opened,
    options: Options,
    passwords: &mut Passwords,
    seen: Observation,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    let definition = &opened.definition;
    let made = options.create_accounts
        && !accounts::missing(definition, &seen, site.today.get()).is_empty();
    if made {
        operation.begin()?;
        accounts::create(site, definition, &seen, passwords)?;
    }
    apply::converge(site, opened, false, (!made).then_some(seen), operation)
}

/// Whoever is to be let in has an account of their own.
pub(super) fn accounts_are_there(
    site: &Site,
    definition: &Definition,
    observation: &Observation,
) -> Result<()> {
    accounts::doors(definition, observation)?;
    if !site.nas.identity().enforces_rights {
        return Ok(());
    }
    accounts::check(definition, observation, site.today.get())
}

/// `seen` was observed under the lock of the NAS.
pub(super) fn settle(
    site: &Site,
    opened: &mut Opened,
    options: Options,
    seen: Observation,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    if options.dry_run {
        return apply::preview(site, opened, &seen);
    }
    site.note(opened);
    let mut passwords = Passwords::default();
    let made = make(site, opened, options, &mut passwords, seen, operation);
    let detail = |outcome: &Outcome| {
        vec![
            ("digest", outcome.digest.clone()),
            ("steps", outcome.steps.len().to_string()),
        ]
    };
    // Passwords exist nowhere else: they are shown even when what follows fails.
    let mut outcome = match operation.end(made, detail) {
        Ok(outcome) => outcome,
        Err(error) => {
            passwords.extend(site.nas.fresh_passwords());
            return Err(error.passwords(passwords));
        }
    };
    outcome.passwords.append(passwords);
    site.note(opened);
    documents::follow(site, opened);
    Ok(outcome)
}

fn choose_base(site: &Site, definition: &Definition) -> Result<AbsPath> {
    if let Some(base) = &definition.storage.base {
        return Ok(base.clone());
    }
    let bases = site.bases()?;
    match bases.as_slice() {
        [only] => {
            AbsPath::parse(&only.path.display().to_string()).map_err(|e| e.field("storage.base"))
        }
        [] => {
            Err(Error::new("base.none", "this NAS has no base yet").hint("octonas base add PATH"))
        }
        many => {
            // What the unit says of it may be gone by now; then the definition has to.
            let usual = site.nas.unit()?.0.base;
            if let Some(base) = usual
                && many.iter().any(|known| known.path == base.as_path())
            {
                return Ok(base);
            }
            let names: Vec<String> = many
                .iter()
                .map(|base| base.path.display().to_string())
                .collect();
            Err(Error::new(
                "base.ambiguous",
                "this NAS has several bases: the definition has to name one",
            )
            .hint(format!(
                "storage: {{ base: … }}, one of {}; or `octonas settings set base=…` for all that name none",
                names.join(", ")
            ))
            .field("storage.base"))
        }
    }
}

/// No other experiment of this NAS may bear the same code or id, on whatever base.
pub fn refuse_twins(site: &Site, definition: &Definition, chosen: &OpenBase) -> Result<()> {
    for base in site.bases()? {
        if base.path == chosen.path || !base.available {
            continue;
        }
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        if let Some(twin) = site::open_in(open, &definition.code)? {
            return Err(exists(&twin));
        }
    }
    if let Some(id) = definition.id {
        let rows = site.registry()?.list()?;
        if let Some(twin) = rows
            .iter()
            .find(|row| row.id == id.to_string() && row.code != definition.code.as_str())
        {
            return Err(Error::new(
                "experiment.exists",
                format!("the id {id} is that of the experiment {}", twin.code),
            )
            .hint("leave the id out: a new experiment gets a new one")
            .field("id"));
        }
    }
    Ok(())
}

fn exists(twin: &Opened) -> Error {
    Error::new(
        "experiment.exists",
        format!(
            "the experiment {} exists already, in {}",
            twin.definition.code,
            twin.path().display()
        ),
    )
    .hint("choose another code, or change the existing one with `octonas experiment edit`")
    .field("code")
}

/// The same definition given again is the same creation.
fn resume(opened: &Opened, given: &Definition) -> Result<()> {
    site::in_service(opened)?;
    let mut given = given.clone();
    if given.id.is_none() {
        given.id = opened.definition.id;
    }
    if given == opened.definition {
        Ok(())
    } else {
        Err(exists(opened))
    }
}

/// Puts a new definition in the place of the old one, and applies it. `from` is the digest of the definition that the
/// person saw when they began; without it the last writer wins.
pub fn edit(site: &Site, text: &[u8], from: Option<&str>, options: Options) -> Result<Outcome> {
    let Some(code) = experiment::code_of(text) else {
        // It says everything that is wrong with it.
        return Err(read(text)
            .err()
            .unwrap_or_else(|| Error::new("code.invalid", "the definition names no code")));
    };
    let _nas = site.lock_nas()?;
    let mut opened = site.open(&code)?;
    site::in_service(&opened)?;
    let _lock = site.lock_experiment(&opened.id())?;
    if let Some(from) = from
        && from != opened.digest
    {
        return Err(Error::new(
            "definition.changed",
            format!("the definition of {code} was changed by somebody else meanwhile"),
        )
        .hint("look at it again (`octonas experiment show`), and make your change on what is there now"));
    }
    let status = opened.definition.status;
    let new = experiment::read(text, Strictness::Edit(status))?.inheriting(&opened.definition);
    experiment::check_edit(&opened.definition, &new)?;
    if opened.definition.status == Status::Active && new.status == Status::Draft {
        return Err(Error::new(
            "definition.fixed",
            format!("{} is in service: it cannot become a draft again", new.code),
        )
        .hint("close it, or take people out")
        .field("status"));
    }
    site.layout(&new)?.expand(&new)?;
    let before = std::mem::replace(&mut opened.definition, new);
    let seen = site.nas.observe()?;
    let mut observation = seen.clone();
    assume(site, &opened.definition, &mut observation, options);
    let look = apply::look(site, &opened, &observation, false)?;
    apply::admissible(&look)?;
    accounts_are_there(site, &opened.definition, &observation)?;
    accounts::warn_of_shells(site, &opened.definition, &observation);
    let operation = Operation::on(site, &opened, "edit")?;
    if !options.dry_run && before != opened.definition {
        operation.begin()?;
        let saved = opened.save().and_then(|()| fault::point("edit.saved"));
        operation.end_failed(saved)?;
    }
    settle(site, &mut opened, options, seen, &operation)
}
