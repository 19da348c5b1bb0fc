//! Reading the files of experiments again: locks, the ledger, and where good copies come from.

mod container;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use self::container::Container;
use super::catalogue::heads;
use super::list;
use super::operation::Operation;
use super::site::{self, Opened, PATIENCE, Site};
use crate::catalogue::seal::Strength;
use crate::catalogue::verify::spare::{Spare, Tree};
use crate::catalogue::verify::{self, Verified, Work};
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::package::source::{self, Package};
use crate::store::catalogue::Catalogue;
use crate::store::ledger::VERIFY;
use crate::sys::{clock, lock, process};

/// How to verify.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files whose last good check is younger than so many seconds are passed over.
    pub due: u64,
    /// The most bytes a second.
    pub rate: Option<u64>,
    /// Nothing new is begun after so long.
    pub within: Option<Duration>,
    /// Good copies: a directory (a backup, a replica, an unpacked package), or a package in one file.
    pub repair_from: Option<PathBuf>,
    /// The file with the key that opens that package.
    pub identity: Option<PathBuf>,
    /// Only say how much is due.
    pub dry_run: bool,
}

/// What a verification of one experiment came to.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The experiment (or the base that cannot be read).
    pub code: String,
    /// What was found.
    #[serde(flatten)]
    pub report: Verified,
    /// Files that are due, in a dry run.
    pub due: Option<u64>,
    /// Bytes of those.
    pub due_bytes: Option<u64>,
    /// Why nothing was done, where that is in order.
    pub skipped: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Outcome {
    fn of(code: String) -> Self {
        Self {
            code,
            report: Verified::default(),
            due: None,
            due_bytes: None,
            skipped: None,
            error: None,
        }
    }
}

/// Verifies one experiment, or all in service. In all, one that nobody has scanned yet is passed over.
pub fn verify(site: &Site, code: Option<&Code>, options: &Options) -> Result<Vec<Outcome>> {
    if let Some(code) = code {
        let opened = site.open(code)?;
        site::in_service(&opened)?;
        return one(site, &opened, code.to_string(), options).map(|one| vec![one]);
    }
    let mut all = Vec::new();
    list::in_service(site, |code, opened| {
        if process::check_interrupted().is_err() {
            return;
        }
        let result = opened.and_then(|opened| {
            if Catalogue::existing(&opened.base.dir, &opened.identity()?)?.is_none() {
                return Ok(None);
            }
            one(site, &opened, code.clone(), options).map(Some)
        });
        match result {
            Ok(Some(outcome)) => all.push(outcome),
            Ok(None) => {}
            Err(error) => {
                let mut outcome = Outcome::of(code);
                if error.exit_status() == Exit::Locked {
                    outcome.skipped = Some(error.to_string());
                } else {
                    outcome.error = Some(error.to_string());
                }
                all.push(outcome);
            }
        }
    })?;
    process::check_interrupted()?;
    Ok(all)
}

fn one(site: &Site, opened: &Opened, code: String, options: &Options) -> Result<Outcome> {
    let id = opened.identity()?;
    let name = id.to_string();
    let hold = || site.lock_experiment(&name);
    let from = options.repair_from.as_deref();
    let copies = from.map(|path| copies(site, path, options)).transpose()?;
    let due = i64::try_from(options.due).unwrap_or(i64::MAX);
    let work = Work {
        base: &opened.base.dir,
        experiment: &opened.dir,
        id,
        before: clock::now().as_second().saturating_sub(due),
        rate: options.rate,
        within: options.within,
        strength: Strength::of(site.nas.identity().enforces_rights),
        spare: copies.as_ref().map(Copies::spare),
        hold: &hold,
        progress: &*site.progress,
    };
    let mut outcome = Outcome::of(code);
    let (files, bytes) = verify::look(&work)?;
    if options.dry_run {
        (outcome.due, outcome.due_bytes) = (Some(files), Some(bytes));
        return Ok(outcome);
    }
    let _alone = lock::lock(&site.locks, &format!("{VERIFY}-{name}"), PATIENCE)?;
    let operation = Operation::on(site, opened, VERIFY)?;
    if files > 0 {
        operation.begin()?;
    }
    let heads = heads(opened);
    outcome.report = operation.end(verify::run(&work), |report| {
        let mut detail = vec![
            ("good", report.good.to_string()),
            ("bytes", report.bytes.to_string()),
            ("findings", report.wrong.values().sum::<u64>().to_string()),
            ("repaired", report.repaired.to_string()),
            ("left", report.left.to_string()),
        ];
        detail.extend(
            report
                .wrong
                .iter()
                .map(|(code, files)| (*code, files.to_string())),
        );
        detail.extend(heads());
        detail
    })?;
    Ok(outcome)
}

/// A directory with copies. The path is that of whoever asks: links before its last part are theirs.
/// Good copies, opened.
enum Copies<'c> {
    Tree(Tree),
    Container(Container<'c>),
}

impl Copies<'_> {
    fn spare(&self) -> Spare<'_> {
        match self {
            Self::Tree(tree) => Spare::Tree(tree),
            Self::Container(container) => Spare::Stream(container),
        }
    }
}

fn copies<'c>(site: &'c Site, path: &Path, options: &'c Options) -> Result<Copies<'c>> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Ok(match Package::open(&path)? {
        Package::Directory(dir) => Copies::Tree(Tree::new(dir)?),
        Package::Container {
            encrypted: true, ..
        } if options.identity.is_none() => {
            return Err(source::locked());
        }
        Package::Container {
            file,
            size,
            encrypted,
        } => Copies::Container(Container {
            file,
            size,
            encrypted,
            identity: options.identity.as_ref(),
            progress: &*site.progress,
        }),
    })
}
