//! What can be set for the night. Looking at it and doing it are one call, that of the day: only the last word of it differs.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::passwords;
use crate::error::Result;
use crate::experiment::Code;
use crate::nas::Interruption;
use crate::object::Kind;
use crate::provision::adopt::{self, Adoption};
use crate::provision::apply::{self, Outcome};
use crate::provision::create::{self, Options};
use crate::provision::import::{self, Import};
use crate::provision::plan::Step;
use crate::provision::sharing::{self, Chosen, Moved};
use crate::provision::site::{OpenBase, Site};
use crate::provision::{edit, lifecycle};
use crate::store::tonight::{Request, Verb};

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
    /// Take the experiment in this directory into service.
    Adopt(&'a Path, &'a adopt::Options),
    /// Make an experiment of a directory that is in use.
    Import {
        /// A shared folder's name, or a path.
        folder: &'a str,
        /// Where a path begins that does not begin with `/`.
        cwd: &'a Path,
        /// The definition.
        text: &'a [u8],
        /// The plan that was looked at.
        plan: Option<&'a str>,
    },
    /// Share the experiments of a base as folders of one share of this name, or each one by itself.
    Share(&'a Path, Option<&'a str>),
}

impl Wanted<'_> {
    /// What is to be done.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Create(_) => Verb::Create,
            Self::Edit(..) => Verb::Edit,
            Self::Apply(..) => Verb::Apply,
            Self::Close(_) => Verb::Close,
            Self::Reopen(_) => Verb::Reopen,
            Self::Remove(..) => Verb::Remove,
            Self::Adopt(..) => Verb::Adopt,
            Self::Import { .. } => Verb::Import,
            Self::Share(..) => Verb::ShareBase,
        }
    }

    /// Does it now, or only says what it would do. Never makes an account: at night nobody would see its password.
    pub(super) fn carry_out(&self, site: &Site, dry_run: bool) -> Result<Looked> {
        let options = Options {
            create_accounts: false,
            dry_run,
        };
        let outcome = match *self {
            Self::Create(text) => create::create(site, text, options)?,
            Self::Edit(text, from) => edit::edit(site, text, from, options)?,
            Self::Close(code) => lifecycle::close(site, code, dry_run)?,
            Self::Reopen(code) => lifecycle::reopen(site, code, dry_run)?,
            Self::Remove(code, delete) => lifecycle::remove(site, code, delete, dry_run)?,
            Self::Apply(code, mend) if dry_run => apply::rehearse(site, code, mend)?,
            Self::Apply(code, mend) => lifecycle::apply(site, code, mend)?,
            Self::Adopt(dir, options) => {
                let options = adopt::Options {
                    dry_run,
                    ..options.clone()
                };
                return Ok(Looked::Adoption(adopt::adopt(site, dir, &options)?));
            }
            Self::Import {
                folder,
                cwd,
                text,
                plan,
            } => {
                let options = import::Options {
                    confirm: !dry_run,
                    create_accounts: false,
                    plan: plan.map(str::to_owned),
                };
                let told = import::import(site, folder, cwd, text, &options)?;
                return Ok(Looked::Import(Box::new(told)));
            }
            Self::Share(path, name) => {
                let chosen = sharing::choose(site, path, name, dry_run)?;
                return Ok(Looked::Share(chosen));
            }
        };
        Ok(Looked::Outcome(outcome))
    }

    /// What it would do if it were done now.
    pub(super) fn rehearse(&self, site: &Site) -> Result<Looked> {
        let looked = self.carry_out(site, true)?;
        let given: Vec<&str> = looked
            .steps()
            .filter(|step| step.object.kind == Kind::RsyncModule)
            .flat_map(|step| step.gives("user:"))
            .collect();
        if given.is_empty() {
            return Ok(looked);
        }
        Err(passwords(&format!(
            "passwords of the rsync daemon for {}",
            given.join(", ")
        )))
    }
}

/// What an operation would do, or did.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Looked {
    /// With one experiment.
    Outcome(Outcome),
    /// By taking it into service.
    Adoption(Adoption),
    /// By making one of a directory.
    Import(Box<Import>),
    /// With all experiments of a base.
    Share(Chosen),
}

impl Looked {
    /// What it does with the one experiment that it is about; nothing where it is about a base.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Outcome(outcome) => Some(outcome),
            Self::Adoption(adoption) => Some(&adoption.outcome),
            Self::Import(import) => Some(&import.outcome),
            Self::Share(_) => None,
        }
    }

    /// What it is about.
    pub(super) fn subject(&self) -> Result<Subject> {
        match self.outcome() {
            Some(outcome) => Code::parse(&outcome.code).map(Subject::Experiment),
            None => Ok(Subject::Base(self.base())),
        }
    }

    /// The id of the experiment; empty where it is about a base, nothing where the experiment is being made.
    pub(super) fn experiment(&self) -> Option<String> {
        match self.outcome() {
            None => Some(String::new()),
            Some(outcome) => Some(outcome.id.clone()).filter(|id| !id.is_empty()),
        }
    }

    /// The base on which it works.
    pub(super) fn base(&self) -> PathBuf {
        if let Self::Share(chosen) = self {
            return PathBuf::from(&chosen.path);
        }
        let path = Path::new(self.outcome().map_or("", |outcome| &outcome.path));
        path.parent().unwrap_or(path).to_owned()
    }

    /// What it interrupts.
    pub(super) fn interruption(&self) -> Option<&Interruption> {
        match self {
            Self::Share(chosen) => Some(&chosen.interruption),
            _ => self.outcome().map(|outcome| &outcome.interruption),
        }
    }

    /// The plan that has to be the same at night.
    pub(super) fn plan(&self) -> Option<String> {
        match self {
            Self::Adoption(adoption) => Some(adoption.plan.clone()),
            Self::Import(import) => Some(import.lasting.clone()),
            Self::Outcome(_) | Self::Share(_) => None,
        }
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        let (own, experiments): (&[Step], &[Moved]) = match self {
            Self::Share(chosen) => (&chosen.steps, &chosen.experiments),
            Self::Outcome(outcome) => (&outcome.steps, &[]),
            Self::Adoption(adoption) => (&adoption.outcome.steps, &[]),
            Self::Import(import) => (&import.outcome.steps, &[]),
        };
        own.iter()
            .chain(experiments.iter().flat_map(|moved| &moved.steps))
    }
}

/// What something is set for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One experiment.
    Experiment(Code),
    /// A base as a whole.
    Base(PathBuf),
}

impl Subject {
    /// What a request on this base is set for.
    pub(super) fn of(request: &Request, base: &Path) -> Result<Self> {
        Ok(match request.experiment_code()? {
            Some(code) => Self::Experiment(code),
            None => Self::Base(base.to_owned()),
        })
    }

    /// The code of the experiment.
    pub(super) fn code(&self) -> Option<&Code> {
        match self {
            Self::Experiment(code) => Some(code),
            Self::Base(_) => None,
        }
    }

    /// False where this base cannot hold what is set for it.
    pub(super) fn may_lie_on(&self, base: &Path) -> bool {
        match self {
            Self::Experiment(_) => true,
            Self::Base(path) => path == base,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Experiment(code) => code.fmt(f),
            Self::Base(path) => path.display().fmt(f),
        }
    }
}

/// By what people know a request: the code of its experiment, or the path of its base.
pub(super) fn name(request: &Request, base: &Path) -> String {
    match request.operation {
        Verb::ShareBase => base.display().to_string(),
        _ => request.code.clone(),
    }
}

/// How a base is shared, in a word or two that a request keeps.
pub(super) fn way(base: &OpenBase) -> String {
    match &base.common_share {
        Some(name) => format!("common {name}"),
        None => "own".to_owned(),
    }
}
