//! Where the work is done: a NAS, its bases, the locks, the registry; and one experiment, opened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::documents::render::Templates;
use crate::error::{Error, Result};
use crate::experiment::{self, Code, Date, Definition, ExperimentId, Role, Status, Strictness};
use crate::layout::{Layout, Layouts};
use crate::nas::{Base, Nas};
use crate::object::Kind;
use crate::report::{Progress, said};
use crate::settings::{Archive, Encryption};
use crate::store;
use crate::store::applied::Applied;
use crate::store::claim::Claim;
use crate::store::ledger::{Event, Ledger, Outcome};
use crate::store::registry::{Known, Registry, Seen, Tonight};
use crate::sys::clock;
use crate::sys::dir::{Dir, Permissions};
use crate::sys::lock::{self, Lock};
use crate::sys::underneath::underneath;

/// How long an operation waits for another one on the same NAS before it gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where an operation runs, for whom, and where it shows itself.
pub struct Site {
    /// Accounts, shares, rights.
    pub nas: Box<dyn Nas>,
    /// Where long work shows itself.
    pub progress: Box<dyn Progress>,
    /// Locks (`/run/octonas`, or the embedded NAS's own directory).
    pub locks: Dir,
    /// What can be lost (`/var/lib/octonas`, or the embedded NAS's own directory).
    pub cache: Dir,
    /// Layouts: built in, or overridden.
    pub layouts: Layouts,
    /// Templates of documents: built in, or overridden.
    pub documents: Templates,
    /// What the unit says for every data management plan.
    pub plans: UnitPlans,
    /// Layouts that were parsed.
    pub parsed: RefCell<BTreeMap<String, Rc<Layout>>>,
    /// How many minutes a delivered file without a checksum must not have changed.
    pub stable_minutes: u32,
    /// For whom packages are encrypted.
    pub encryption: Encryption,
    /// Where archives are kept.
    pub archive: Archive,
    /// What sources deliver is sealed once it is in its place.
    pub seal_received: bool,
    /// Who asked, for the ledger.
    pub caller: String,
    /// What is done now was asked for in advance.
    pub acting: RefCell<Option<Acting>>,
    /// The day on which access is judged.
    pub today: Cell<Date>,
    /// The bases, once they were asked for.
    pub known_bases: RefCell<Option<Vec<Base>>>,
}

/// Work on something that was set for the night.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Who asked for it.
    pub by: String,
    /// The id of the request.
    pub request: String,
    /// The id of the experiment that it is about; empty where it is a base, nothing where the experiment is being made.
    pub experiment: Option<String>,
    /// The ledger says how it ended.
    pub told: bool,
}

impl Acting {
    /// True where a line about this experiment tells what became of the request. What is done for a base as a whole also
    /// works on its experiments.
    pub fn is_about(&self, experiment: &str) -> bool {
        self.experiment.as_ref().is_none_or(|id| id == experiment)
    }
}

/// What the unit says for every data management plan, as text; nothing where it does not.
#[derive(Debug, Clone, Default)]
pub struct UnitPlans {
    /// Answers where an experiment has none: `/etc/octonas/dmp-defaults.yaml`.
    pub defaults: Option<String>,
    /// Organisations and repositories: `registry/organisations.yaml` in the templates' directory.
    pub registry: Option<String>,
}

/// A base that is there, ours, and open.
pub struct OpenBase {
    /// Absolute path.
    pub path: PathBuf,
    /// The base itself, seen without the mounts that lie on it.
    pub dir: Dir,
    /// The share in which all its experiments lie; `None` where each one has its own.
    pub common_share: Option<String>,
}

/// An experiment on a disk, open.
pub struct Opened {
    /// Where it lies.
    pub base: OpenBase,
    /// Its directory.
    pub dir: Dir,
    /// Its `metadata/`.
    pub metadata: Dir,
    /// What it is meant to be.
    pub definition: Definition,
    /// The digest of the definition as it is on the disk.
    pub digest: String,
    /// What we made of it.
    pub applied: Applied,
}

impl OpenBase {
    /// A second handle on the same base.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self {
            path: self.path.clone(),
            dir: self.dir.try_clone()?,
            common_share: self.common_share.clone(),
        })
    }
}

impl Opened {
    /// The experiment's directory, absolute.
    pub fn path(&self) -> PathBuf {
        self.base.path.join(self.definition.code.as_str())
    }

    /// Its id. A stored definition always has one.
    pub fn identity(&self) -> Result<ExperimentId> {
        self.definition.id.ok_or_else(|| {
            Error::new(
                "definition.damaged",
                format!("the definition of {} has no id", self.definition.code),
            )
            .hint("put `id:` back from a backup, the ledger or a replica")
        })
    }

    /// Its id as text.
    pub fn id(&self) -> String {
        self.definition
            .id
            .map(|id| id.to_string())
            .unwrap_or_default()
    }

    /// Writes the definition (durably) and keeps its new digest. Members may read it.
    pub fn save(&mut self) -> Result<()> {
        let text = self.definition.to_yaml()?;
        // What cannot be read back must never replace what can.
        experiment::read(text.as_bytes(), Strictness::Stored)?;
        self.digest =
            store::definition::write(&self.metadata, &text, &Permissions::PRIVATE)?.digest;
        self.show_definition()
    }

    /// Gives the definition the rights of the directory it lies in: members read it.
    pub fn show_definition(&self) -> Result<()> {
        store::show(&self.metadata, store::definition::FILE)
    }
}

impl Site {
    /// Who asked for what is done now.
    pub fn by(&self) -> String {
        match self.acting.borrow().as_ref() {
            Some(acting) => acting.by.clone(),
            None => self.caller.clone(),
        }
    }

    /// The bases, asked for once in an operation.
    pub fn bases(&self) -> Result<Vec<Base>> {
        if let Some(bases) = self.known_bases.borrow().as_ref() {
            return Ok(bases.clone());
        }
        let bases = self.nas.bases()?;
        *self.known_bases.borrow_mut() = Some(bases.clone());
        Ok(bases)
    }

    /// Opens a base: it must be known, there, writable, and claimed by this NAS.
    pub fn base(&self, path: &Path) -> Result<OpenBase> {
        let bases = self.bases()?;
        let Some(base) = bases.iter().find(|base| base.path == path) else {
            return Err(Error::new(
                "base.unknown",
                format!("{} is not a base of this NAS", path.display()),
            )
            .hint(format!("octonas base add {}", path.display())));
        };
        if !base.available {
            return Err(unavailable(
                path,
                base.reason.as_deref().unwrap_or("it is not there"),
            ));
        }
        let open = OpenBase {
            common_share: base.common_share.clone(),
            ..open_base(path)?
        };
        Claim::ours(&open.dir, &self.nas.identity().id)?;
        self.learn_the_day(&open)?;
        Ok(open)
    }

    /// Access is judged on the clock's day, but never on an earlier one than the ledger already has: a clock that went
    /// back must not let anybody in again.
    fn learn_the_day(&self, base: &OpenBase) -> Result<()> {
        let Some(newest) = Ledger::open(&base.dir)?.newest()? else {
            return Ok(());
        };
        let day = Date::parse(&newest.to_string().chars().take(10).collect::<String>())?;
        // A zone ahead of UTC may be a day further than the ledger, never behind it by more than one.
        if day > self.today.get() {
            self.today.set(day);
        }
        Ok(())
    }

    /// Finds an experiment by its code on any available base.
    pub fn open(&self, code: &Code) -> Result<Opened> {
        let mut out_of_reach = Vec::new();
        for base in self.bases()? {
            match self.base(&base.path) {
                Ok(open) => {
                    if let Some(found) = open_in(open, code)? {
                        self.served_here(&found)?;
                        return Ok(found);
                    }
                }
                Err(error) => out_of_reach.push(error),
            }
        }
        match out_of_reach.into_iter().next() {
            Some(error) => Err(error),
            None => Err(Error::new(
                "experiment.unknown",
                format!("there is no experiment {code} on this NAS"),
            )
            .hint("`octonas experiment list` shows what there is")),
        }
    }

    /// Fails where another NAS made what is recorded of an experiment (its base was taken over, it was not adopted yet).
    pub fn served_here(&self, opened: &Opened) -> Result<()> {
        let here = &self.nas.identity().id;
        let mut servers = opened
            .applied
            .objects
            .keys()
            .filter(|id| id.kind == Kind::Server);
        if servers.any(|id| id.key == *here) {
            return Ok(());
        }
        let path = opened.path();
        Err(Error::new(
            "experiment.foreign",
            format!("{} was served by another NAS", opened.definition.code),
        )
        .hint(format!(
            "`octonas experiment adopt {} --take-over` takes it into service here",
            path.display()
        )))
    }

    /// The lock of one experiment, held until it is dropped.
    pub fn lock_experiment(&self, id: &str) -> Result<Lock> {
        lock::lock(&self.locks, &format!("experiment-{id}"), PATIENCE)
    }

    /// The lock for changes of the NAS, held until it is dropped.
    pub fn lock_nas(&self) -> Result<Lock> {
        lock::lock(&self.locks, "nas", PATIENCE)
    }

    /// The layout of a definition.
    pub fn layout(&self, definition: &Definition) -> Result<Rc<Layout>> {
        let name = definition.layout.as_str();
        if let Some(layout) = self.parsed.borrow().get(name) {
            return Ok(Rc::clone(layout));
        }
        let layout = Rc::new(self.layouts.get(&definition.layout)?);
        self.parsed
            .borrow_mut()
            .insert(name.to_owned(), Rc::clone(&layout));
        Ok(layout)
    }

    /// The registry cache; a damaged one starts anew.
    pub fn registry(&self) -> Result<Registry> {
        Ok(Registry::open(&self.cache)?.0)
    }

    /// Notes an experiment in the registry cache. A cache that fails costs a warning, never the operation.
    pub fn note(&self, opened: &Opened) {
        let row = row(opened);
        if let Err(error) = self.registry().and_then(|registry| registry.put(&row)) {
            self.progress.warn(&said!(
                "the list of experiments could not be updated: {error}",
                "la liste des expériences n'a pas pu être mise à jour : {error}"
            ));
        }
    }

    /// Notes in the registry cache what a check found.
    pub fn note_seen(&self, id: &str, seen: &Seen) {
        if let Err(error) = self
            .registry()
            .and_then(|registry| registry.put_seen(id, seen))
        {
            self.progress.warn(&said!(
                "the list of experiments could not be updated: {error}",
                "la liste des expériences n'a pas pu être mise à jour : {error}"
            ));
        }
    }

    /// Notes in the registry cache what is set for the night on a base.
    pub fn note_tonight(&self, base: &Path, all: &[Tonight]) {
        let place = base.display().to_string();
        if let Err(error) = self
            .registry()
            .and_then(|mut registry| registry.replace_tonight(&place, all))
        {
            self.progress.warn(&format!(
                "the list of experiments could not be updated: {error}"
            ));
        }
    }

    /// Takes an experiment out of the registry cache.
    pub fn forget(&self, id: &str) {
        if let Err(error) = self.registry().and_then(|registry| registry.remove(id)) {
            self.progress.warn(&said!(
                "the list of experiments could not be updated: {error}",
                "la liste des expériences n'a pas pu être mise à jour : {error}"
            ));
        }
    }

    /// Writes into the ledger of a base what is one write and needs no beginning.
    pub fn record(
        &self,
        base: &OpenBase,
        id: &str,
        operation: &str,
        outcome: Outcome,
        detail: &[(&str, String)],
    ) -> Result<()> {
        let detail = detail
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        Ledger::open(&base.dir)?.append(Event {
            experiment: id.to_owned(),
            operation: operation.to_owned(),
            by: self.by(),
            outcome,
            detail,
        })?;
        Ok(())
    }
}

/// What the registry keeps of an experiment.
pub fn row(opened: &Opened) -> Known {
    let definition = &opened.definition;
    Known {
        id: opened.id(),
        code: definition.code.to_string(),
        title: definition.title.clone(),
        status: definition.status.to_string(),
        base: opened.base.path.display().to_string(),
        digest: opened.digest.clone(),
        seen_at: clock::now_text(),
        responsible: responsible(definition),
        members: Some(
            definition
                .people_with_access()
                .map(|(account, _, person)| {
                    let until = person.until.map(|day| day.to_string());
                    (account.to_string(), until)
                })
                .collect(),
        ),
        seen: None,
        tonight: None,
    }
}

/// Opens an experiment of an open base, removed ones included. `None` where there is none of this code.
pub fn open_in(base: OpenBase, code: &Code) -> Result<Option<Opened>> {
    let Some(dir) = base.dir.child(code.as_str())? else {
        return Ok(None);
    };
    let Some(metadata) = dir.child("metadata")? else {
        return Ok(None);
    };
    let Some(stored) = store::definition::read(&metadata)? else {
        return Ok(None);
    };
    let definition = experiment::read(stored.text.as_bytes(), Strictness::Stored)?;
    if definition.code != *code {
        return Err(Error::new(
            "experiment.renamed",
            format!(
                "{} holds the experiment {}: a code is fixed for life",
                base.path.join(code.as_str()).display(),
                definition.code
            ),
        )
        .hint("give the directory its name back"));
    }
    let applied = Applied::load(&metadata)?;
    Ok(Some(Opened {
        base,
        dir,
        metadata,
        definition,
        digest: stored.digest,
        applied,
    }))
}

/// Opens a base without asking whose it is, nor how it is shared.
pub fn open_base(path: &Path) -> Result<OpenBase> {
    Ok(OpenBase {
        path: path.to_owned(),
        dir: underneath(path)?,
        common_share: None,
    })
}

/// Fails where an experiment is out of service.
pub fn in_service(opened: &Opened) -> Result<()> {
    if opened.definition.status == Status::Removed {
        let path = opened.path();
        return Err(Error::new(
            "experiment.removed",
            format!(
                "{} was removed; its data lies in {}",
                opened.definition.code,
                path.display()
            ),
        )
        .hint(format!(
            "`octonas experiment adopt {}` brings it back",
            path.display()
        )));
    }
    Ok(())
}

fn unavailable(path: &Path, reason: &str) -> Error {
    Error::new(
        "base.unavailable",
        format!("{} cannot be used: {reason}", path.display()),
    )
    .hint("mount its disk, then try again; nothing was changed")
}

/// The person to ask: the principal investigator, otherwise whoever leads, otherwise the contact.
fn responsible(definition: &Definition) -> String {
    [
        Role::PrincipalInvestigator,
        Role::ProjectLeader,
        Role::Contact,
    ]
    .iter()
    .find_map(|role| {
        definition
            .people
            .iter()
            .find(|person| person.roles.contains(role))
    })
    .map(|person| person.name.clone())
    .unwrap_or_default()
}
