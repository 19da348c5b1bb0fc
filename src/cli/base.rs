//! `octonas base …`

use std::path::PathBuf;

use clap::Subcommand;

use super::Desk;
use super::experiment::print;
use crate::error::{Exit, Result};
use crate::provision::base::{self, BaseReport};
use crate::provision::create::Options;
use crate::provision::sharing::{self, Chosen};
use crate::provision::tonight::{self, Wanted};
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
    /// Choose how its experiments are shared over SMB: each one by itself, or all of them as folders of one share.
    /// Experiments that are in it already are taken along.
    Share {
        /// The base.
        path: PathBuf,
        /// All as folders of one share of this name: nothing restarts when one is created.
        #[arg(
            long,
            value_name = "NAME",
            conflicts_with = "own",
            required_unless_present = "own"
        )]
        common: Option<String>,
        /// Each one by itself, under its code.
        #[arg(long)]
        own: bool,
        /// Only say what would be done, and what it would interrupt.
        #[arg(long)]
        dry_run: bool,
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
    },
    /// Try what the file system of a folder can do, and look whether its common share is as it should be.
    Check {
        /// The folder.
        path: PathBuf,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let reports = match command {
        Command::Share {
            path,
            common,
            own: _,
            dry_run,
            tonight,
        } => {
            let path = absolute(path, desk.cwd);
            if *tonight {
                let wanted = Wanted::Share(&path, common.as_deref());
                let set = tonight::set(desk.site, &wanted, Options::default())?;
                return print::set(desk, &set);
            }
            let chosen = sharing::choose(desk.site, &path, common.as_deref(), *dry_run)?;
            if desk.json {
                report::json(&chosen)?;
            } else {
                report::stdout(&choice(&chosen, *dry_run))?;
            }
            return Ok(Exit::Done);
        }
        Command::Add { path } => vec![base::add(desk.site, &absolute(path, desk.cwd))?],
        Command::List => base::list(desk.site)?,
        Command::Check { path } => vec![base::check(desk.site, &absolute(path, desk.cwd))?],
    };
    let exit = match command {
        Command::Check { .. }
            if reports
                .iter()
                .any(|report| !report.available || !report.share_plan.is_settled()) =>
        {
            Exit::Drift
        }
        _ => Exit::Done,
    };
    if desk.json {
        report::json(&reports)?;
    } else {
        report::stdout(&reports.iter().map(text).collect::<String>())?;
    }
    Ok(exit)
}

pub(super) fn choice(chosen: &Chosen, dry_run: bool) -> String {
    let how = match &chosen.share_name {
        Some(name) => format!("its experiments are folders of the share {name}"),
        None => "each of its experiments has a share of its own".to_owned(),
    };
    let mut lines = vec![format!("{}: {how}", chosen.path)];
    if dry_run {
        let steps = chosen.steps.len();
        lines[0] = format!(
            "{}: would be so: {how} ({steps} steps for the base)",
            chosen.path
        );
        for effect in &chosen.interruption.effects {
            lines.push(format!("! {}", effect.en));
        }
    }
    for moved in &chosen.experiments {
        lines.push(format!("  {}: {} steps", moved.code, moved.steps.len()));
    }
    lines
        .into_iter()
        .map(|line| report::printable(&line) + "\n")
        .collect()
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
    if let Some(share) = &base.share_name {
        lines.push(format!(
            "  its experiments are folders of the share {share}"
        ));
    }
    for drift in &base.share_plan.drift {
        lines.push(format!(
            "  changed by hand: {}{}: {} → {}: {}",
            drift.object,
            drift
                .attribute
                .as_deref()
                .map(|name| format!(", {name}"))
                .unwrap_or_default(),
            drift.applied.as_deref().unwrap_or("(none)"),
            drift.observed.as_deref().unwrap_or("(none)"),
            drift.effect.en
        ));
    }
    for step in &base.share_plan.steps {
        lines.push(format!("  waits to be made: {}", step.object));
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
