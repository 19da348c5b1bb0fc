//! `octonas base …`

use std::path::PathBuf;

use clap::Subcommand;

use super::Desk;
use crate::error::{Exit, Result};
use crate::provision::base::{self, BaseReport};
use crate::report;
use crate::settings::absolute;
use crate::sys::abilities::Trial;

/// What can be done with bases.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try a folder, claim it, and let it hold experiments.
    Add {
        /// The folder; it is made if its parent exists.
        path: PathBuf,
    },
    /// The bases, and whether they are there.
    List,
    /// Try what the file system of a folder can do.
    Check {
        /// The folder.
        path: PathBuf,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let reports = match command {
        Command::Add { path } => vec![base::add(desk.site, &absolute(path, desk.cwd))?],
        Command::List => base::list(desk.site)?,
        Command::Check { path } => vec![base::check(desk.site, &absolute(path, desk.cwd))?],
    };
    let exit = match command {
        Command::Check { .. } if reports.iter().any(|report| !report.available) => Exit::Drift,
        _ => Exit::Done,
    };
    if desk.json {
        report::json(&reports)?;
    } else {
        report::stdout(&reports.iter().map(text).collect::<String>())?;
    }
    Ok(exit)
}

fn text(base: &BaseReport) -> String {
    let mut lines = vec![match (&base.available, &base.reason) {
        (true, _) => format!("{}: available", base.path.display()),
        (false, reason) => format!(
            "{}: unavailable: {}",
            base.path.display(),
            reason.as_deref().unwrap_or("for an unknown reason")
        ),
    }];
    if let Some(claim) = &base.claimed_by {
        lines.push(format!("  served by {claim}"));
    }
    if let Some(abilities) = &base.abilities {
        lines.push(format!(
            "  {} on {}",
            abilities.file_system.kind, abilities.file_system.source
        ));
        for (what, trial) in &abilities.needed {
            lines.push(match trial {
                Trial::Works => format!("  needed    {what}: works"),
                Trial::Fails(why) => format!("  needed    {what}: FAILS: {why}"),
                Trial::Skipped(why) => format!("  needed    {what}: not tried: {why}"),
            });
        }
        for (what, there) in &abilities.optional {
            lines.push(format!(
                "  optional  {what}: {}",
                if *there { "yes" } else { "no" }
            ));
        }
    }
    lines
        .into_iter()
        .map(|line| report::printable(&line) + "\n")
        .collect()
}
