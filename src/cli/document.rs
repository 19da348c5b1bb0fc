//! `octonas document …`

use clap::{ArgGroup, Subcommand};

use super::Desk;
use crate::error::{Exit, Result};
use crate::experiment::{Code, Language};
use crate::provision::documents::{self, Documents};
use crate::report;

/// What can be done with documents.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write README, access guide, data dictionary, citation and licence where they are not current.
    #[command(group(ArgGroup::new("which").required(true).args(["code", "all"])))]
    Build {
        /// The experiment's code.
        code: Option<String>,
        /// Every experiment in service.
        #[arg(long)]
        all: bool,
        /// Only say what would be written.
        #[arg(long)]
        dry_run: bool,
    },
    /// The documents of an experiment, and whether they are current.
    List {
        /// The experiment's code.
        code: String,
    },
    /// One document, as it stands in the experiment.
    Show {
        /// The experiment's code.
        code: String,
        /// README, ACCESS, DATA-DICTIONARY, CITATION, LICENCE, or the name of a file of `document list`.
        name: String,
        /// `fr` or `en`; without it, the experiment's own.
        #[arg(long, value_parser = Language::parse)]
        language: Option<Language>,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Build {
            code: Some(code),
            dry_run,
            ..
        } => {
            let built = documents::build(desk.site, &Code::parse(code)?, *dry_run)?;
            if desk.json {
                report::json(&built)?;
            } else {
                report::stdout(&changes(&[built], *dry_run))?;
            }
        }
        Command::Build { dry_run, .. } => {
            let built = documents::build_all(desk.site, *dry_run)?;
            if desk.json {
                report::json(&built)?;
            } else {
                report::stdout(&changes(&built, *dry_run))?;
            }
            for failed in built.iter().filter(|each| each.error.is_some()) {
                report::stderr(&format!(
                    "error: {}: {}",
                    report::printable(&failed.code),
                    report::printable(failed.error.as_deref().unwrap_or_default())
                ));
            }
            if built.iter().any(|each| each.error.is_some()) {
                return Ok(Exit::Failed);
            }
        }
        Command::List { code } => {
            let found = documents::list_of(desk.site, &Code::parse(code)?)?;
            if desk.json {
                report::json(&found)?;
            } else {
                let mut rows = vec![vec!["DOCUMENT".to_owned(), "STATE".to_owned()]];
                rows.extend(found.documents.into_iter().map(|each| {
                    let state = documents::word(each.state).to_owned();
                    vec![each.file, state]
                }));
                report::stdout(&report::table(&rows))?;
            }
        }
        Command::Show {
            code,
            name,
            language,
        } => {
            let shown = documents::show(desk.site, &Code::parse(code)?, name, *language)?;
            if desk.json {
                report::json(&shown)?;
            } else {
                let text = if report::stdout_is_terminal() {
                    report::printable_lines(&shown.text) + "\n"
                } else {
                    shown.text
                };
                report::stdout(&text)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// What was written, or would be.
fn changes(all: &[Documents], dry_run: bool) -> String {
    let mut rows = Vec::new();
    for each in all.iter().filter(|each| each.error.is_none()) {
        let before = rows.len();
        for outcome in each.documents.iter().filter(|outcome| outcome.written) {
            let kept = outcome
                .kept
                .as_ref()
                .map(|beside| format!("kept as {beside}"));
            rows.push(vec![
                each.code.clone(),
                if dry_run { "would write" } else { "written" }.to_owned(),
                outcome.file.clone(),
                kept.unwrap_or_else(|| format!("was {}", documents::word(outcome.state))),
            ]);
        }
        if rows.len() == before {
            rows.push(vec![each.code.clone(), "all current".to_owned()]);
        }
    }
    report::table(&rows)
}
