//! Creating an experiment, and editing one.

use std::collections::{BTreeSet, VecDeque};

use serde::Serialize;
use serde::ser::SerializeMap as _;

use super::apply::{self, Outcome, Subject};
use super::converge;
use super::operation::Operation;
use super::plan::{Memory, Plan};
use super::site::{self, OpenBase, Opened, Site};
use super::{accounts, base, documents, sharing};
use crate::error::{Error, Passwords, Result};
use crate::experiment::{self, AbsPath, Code, Definition, ExperimentId, Status, Strictness};
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

/// What became of one of several definitions.
#[derive(Debug)]
pub struct Created {
    /// The experiment's code; empty where the definition does not tell.
    pub code: String,
    /// What was done, or why nothing was.
    pub result: Result<Outcome>,
}

impl Serialize for Created {
    /// `{"code", "outcome"}` or `{"code", "error": {"code", "message", "hint", "passwords"?}}`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.code)?;
        match &self.result {
            Ok(outcome) => map.serialize_entry("outcome", outcome)?,
            Err(error) => map.serialize_entry("error", error)?,
        }
        map.end()
    }
}

/// Creates an experiment from the text of a definition. Given again after a crash, it goes on where it stopped.
pub fn create(site: &Site, text: &[u8], options: Options) -> Result<Outcome> {
    let mut all = create_all(site, &[text], options)?;
    match all.pop() {
        Some(created) => created.result,
        None => Err(Error::new("code.invalid", "there is no definition")),
    }
}

/// Creates several experiments, with one deployment for all of them where each would need one. Nothing is begun while one
/// of them is refused; after that, one that fails does not keep the others. Given again, it goes on where it stopped.
pub fn create_all(site: &Site, texts: &[&[u8]], options: Options) -> Result<Vec<Created>> {
    let given: Vec<(String, Result<Definition>)> = texts
        .iter()
        .map(|text| {
            let code = experiment::code_of(text).map(|code| code.to_string());
            (code.unwrap_or_default(), with_base(site, text))
        })
        .collect();
    if let [(_, Err(_))] = given.as_slice() {
        // Nobody waits for a lock only to be refused.
        return Ok(given.into_iter().map(refused).collect());
    }
    let _nas = site.lock_nas()?;
    let mut earlier: Vec<(Code, Option<ExperimentId>)> = Vec::new();
    let located: Vec<(String, Result<Located>)> = given
        .into_iter()
        .map(|(code, definition)| {
            let located = definition.and_then(|definition| {
                refuse_twice(&earlier, &definition)?;
                earlier.push((definition.code.clone(), definition.id));
                locate(site, definition, options)
            });
            (code, located)
        })
        .collect();
    if located.iter().all(|(_, located)| located.is_err()) {
        return Ok(located.into_iter().map(refused).collect());
    }
    let mut locks = Vec::new();
    for (_, located) in &located {
        if let Ok(located) = located {
            locks.push(site.lock_experiment(&located.id())?);
        }
    }
    let seen = site.nas.observe()?;
    let rehearsed: Vec<(String, Result<(Located, Plan)>)> = located
        .into_iter()
        .map(|(code, located)| {
            let rehearsed = located.and_then(|located| {
                let plan = located.rehearse(site, options, &seen)?;
                Ok((located, plan))
            });
            (code, rehearsed)
        })
        .collect();
    if options.dry_run {
        return Ok(rehearsed
            .into_iter()
            .map(|(code, rehearsed)| Created {
                code,
                result: rehearsed.and_then(|(located, plan)| located.preview(site, plan, &seen)),
            })
            .collect());
    }
    if rehearsed.iter().any(|(_, rehearsed)| rehearsed.is_err()) {
        return Ok(rehearsed.into_iter().map(refused).collect());
    }
    let mut begun: Vec<(String, Result<(Opened, Operation<'_>)>)> = rehearsed
        .into_iter()
        .map(|(code, rehearsed)| {
            let begun = rehearsed.and_then(|(located, _)| located.begin(site));
            (code, begun)
        })
        .collect();
    let going: Vec<(&mut Opened, &Operation<'_>)> = begun
        .iter_mut()
        .filter_map(|(_, begun)| begun.as_mut().ok())
        .map(|(opened, operation)| (opened, &*operation))
        .collect();
    let mut settled = settle_all(site, going, options, seen).into_iter();
    Ok(begun
        .into_iter()
        .map(|(code, begun)| Created {
            code,
            result: begun.and_then(|_| {
                settled
                    .next()
                    .unwrap_or_else(|| Err(Error::new("apply.unsettled", "nothing was done")))
            }),
        })
        .collect())
}

/// One that is refused, or that is not begun because another one is.
fn refused<T>((code, result): (String, Result<T>)) -> Created {
    let error = result.err().unwrap_or_else(|| {
        Error::new(
            "create.not-begun",
            format!("{code} was not begun, because others given with it are refused"),
        )
        .hint("correct the others or leave them out, then give the same command again")
    });
    Created {
        code,
        result: Err(error),
    }
}

/// A definition that a person gave, with its base.
fn with_base(site: &Site, text: &[u8]) -> Result<Definition> {
    let mut definition = read(text)?;
    definition.storage.base = Some(choose_base(site, &definition)?);
    site.layout(&definition)?.expand(&definition)?;
    Ok(definition)
}

/// No two of one call are the same.
fn refuse_twice(earlier: &[(Code, Option<ExperimentId>)], definition: &Definition) -> Result<()> {
    let is_same = |(code, id): &(Code, Option<ExperimentId>)| {
        *code == definition.code || (id.is_some() && *id == definition.id)
    };
    match earlier.iter().find(|known| is_same(known)) {
        None => Ok(()),
        Some((code, _)) => Err(Error::new(
            "experiment.exists",
            format!("{code} is given twice, as {}", definition.code),
        )
        .hint("leave one of the two out")
        .field("code")),
    }
}

/// Where an experiment is going to be, or is already.
enum Located {
    /// There is nothing of it yet.
    New {
        base: OpenBase,
        definition: Box<Definition>,
        id: ExperimentId,
    },
    /// The same definition given again is the same creation.
    Again(Box<Opened>),
}

/// Finds its base, and refuses what stands in the way there.
fn locate(site: &Site, mut definition: Definition, options: Options) -> Result<Located> {
    let base_path = choose_base(site, &definition)?;
    let base = if options.dry_run && base::is_unclaimed_embedded(site, base_path.as_path())? {
        site::open_base(base_path.as_path())?
    } else {
        base::claim_embedded(site, base_path.as_path())?;
        site.base(base_path.as_path())?
    };
    refuse_twins(site, &definition, &base)?;
    if let Some(opened) = site::open_in(base.try_clone()?, &definition.code)? {
        resume(&opened, &definition)?;
        return Ok(Located::Again(Box::new(opened)));
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
    Ok(Located::New {
        base,
        definition: Box::new(definition),
        id,
    })
}

impl Located {
    fn id(&self) -> String {
        match self {
            Self::New { id, .. } => id.to_string(),
            Self::Again(opened) => opened.id(),
        }
    }

    /// Everything that can be refused is refused before anything is written. Gives what would be done, where nothing is yet.
    fn rehearse(&self, site: &Site, options: Options, seen: &Observation) -> Result<Plan> {
        match self {
            Self::New {
                base, definition, ..
            } => rehearse(site, base, definition, options, seen.clone()),
            Self::Again(opened) => {
                if !options.create_accounts {
                    accounts_are_there(site, &opened.definition, seen)?;
                }
                Ok(Plan::default())
            }
        }
    }

    /// What would be done.
    fn preview(self, site: &Site, plan: Plan, seen: &Observation) -> Result<Outcome> {
        match self {
            Self::New {
                base, definition, ..
            } => Ok(Outcome {
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
            }),
            Self::Again(opened) => apply::preview(site, &opened, seen),
        }
    }

    /// Its directory is there, with the definition in it.
    fn begin(self, site: &Site) -> Result<(Opened, Operation<'_>)> {
        match self {
            Self::Again(opened) => {
                let operation = Operation::on(site, &opened, CREATE)?;
                Ok((*opened, operation))
            }
            Self::New {
                base,
                definition,
                id,
            } => {
                let about = ("code", definition.code.to_string());
                let operation = Operation::new(site, &base, &id.to_string(), CREATE, about)?;
                operation.begin()?;
                let opened = operation.end_failed(lay_down(site, base, &definition, &id))?;
                Ok((opened, operation))
            }
        }
    }
}

/// What would be done for a new one.
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
        common_share: base.common_share.as_deref(),
        dir: None,
        memory: &Memory::default(),
    };
    sharing::refuse_doors(definition, base.common_share.as_deref())?;
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
    settle_all(site, vec![(opened, operation)], options, seen)
        .pop()
        .unwrap_or_else(|| Err(Error::new("apply.unsettled", "nothing was done")))
}

/// Makes the accounts that are missing, then the NAS as the definitions say, and tells the ledger and the list how each
/// one ended.
fn settle_all(
    site: &Site,
    all: Vec<(&mut Opened, &Operation<'_>)>,
    options: Options,
    mut seen: Observation,
) -> Vec<Result<Outcome>> {
    let mut passwords: Vec<Passwords> = Vec::new();
    let mut accounts: Vec<Result<()>> = Vec::new();
    let mut made = false;
    for (opened, operation) in &all {
        site.note(opened);
        let mut fresh = Passwords::default();
        accounts.push(if options.create_accounts {
            make_accounts(site, opened, &mut seen, &mut fresh, operation, &mut made)
        } else {
            Ok(())
        });
        passwords.push(fresh);
    }
    let mut all = all;
    let mut works: Vec<converge::Work<'_>> = all
        .iter_mut()
        .zip(&accounts)
        .filter(|(_, accounts)| accounts.is_ok())
        .map(|((opened, operation), _)| converge::Work::new(opened, operation))
        .collect();
    converge::together(site, &mut works, false, (!made).then_some(seen));
    let mut ended: VecDeque<Result<Outcome>> =
        works.into_iter().map(converge::Work::result).collect();
    all.into_iter()
        .zip(accounts)
        .zip(passwords)
        .map(|(((opened, operation), accounts), passwords)| {
            let result = accounts.and_then(|()| {
                ended
                    .pop_front()
                    .unwrap_or_else(|| Err(Error::new("apply.unsettled", "nothing was done")))
            });
            conclude(site, opened, operation, result, passwords)
        })
        .collect()
}

fn make_accounts(
    site: &Site,
    opened: &Opened,
    seen: &mut Observation,
    fresh: &mut Passwords,
    operation: &Operation<'_>,
    made: &mut bool,
) -> Result<()> {
    let definition = &opened.definition;
    if accounts::missing(definition, seen, site.today.get()).is_empty() {
        return Ok(());
    }
    *made = true;
    operation.begin()?;
    accounts::create(site, definition, seen, fresh)?;
    // Another experiment of the same call may name them too: making an account twice would give it another password.
    let options = Options {
        create_accounts: true,
        ..Options::default()
    };
    assume(site, definition, seen, options);
    Ok(())
}

fn conclude(
    site: &Site,
    opened: &Opened,
    operation: &Operation<'_>,
    result: Result<Outcome>,
    mut passwords: Passwords,
) -> Result<Outcome> {
    let detail = |outcome: &Outcome| {
        vec![
            ("digest", outcome.digest.clone()),
            ("steps", outcome.steps.len().to_string()),
        ]
    };
    // Passwords exist nowhere else: they are shown even when what follows fails.
    let mut outcome = match operation.end(result, detail) {
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
    sharing::refuse_doors(&opened.definition, opened.base.common_share.as_deref())?;
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
