//! `octonas tonight …`

use std::fmt::Write as _;
use std::path::Path;

use clap::Subcommand;

use super::Desk;
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::provision::notice::{self, Scope};
use crate::provision::tonight::{self, Became, Subject, Waiting};
use crate::report;
use crate::settings::absolute;
use crate::store::tonight::{Failure, Verb};

/// What can be done with operations that were set for the night.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is set, and what was not done and why.
    List,
    /// What is set for one experiment, or for a base.
    Show {
        /// The experiment's code, or the base's path.
        name: String,
        /// The definition that is to be applied.
        #[arg(long)]
        definition: bool,
    },
    /// Take back what is set for an experiment or a base, or put away what failed.
    Cancel {
        /// The experiment's code, or the base's path.
        name: String,
    },
    /// Do now what is set, in the order in which it was asked for.
    Run {
        /// Of one experiment or base (its path), also where it failed; without it, everything that waits.
        name: Option<String>,
        /// Only in the hours of the night, and once in it: for the timer.
        #[arg(long, conflicts_with = "name")]
        at_night: bool,
        /// Only say what is set.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let site = desk.site;
    match command {
        Command::List => list(desk),
        Command::Run {
            name,
            dry_run: true,
            ..
        } => match name {
            Some(name) => show(desk, &subject(desk, name)?, false),
            None => list(desk),
        },
        Command::Show { name, definition } => show(desk, &subject(desk, name)?, *definition),
        Command::Cancel { name } => {
            let waiting = tonight::cancel(site, &subject(desk, name)?)?;
            if desk.json {
                report::json(&waiting)?;
            } else {
                report::stdout(&format!(
                    "{} of {} is not set for the night any more\n",
                    waiting.operation.as_str(),
                    report::printable(&waiting.name)
                ))?;
            }
            Ok(Exit::Done)
        }
        Command::Run { name, at_night, .. } => {
            let only = name.as_deref().map(|name| subject(desk, name));
            let only = only.transpose()?;
            carry_out(desk, only.as_ref(), *at_night)
        }
    }
}

/// A path has what no code has.
fn subject(desk: &Desk<'_>, name: &str) -> Result<Subject> {
    if name.contains(['/', '.']) {
        Ok(Subject::Base(absolute(Path::new(name), desk.cwd)))
    } else {
        Code::parse(name).map(Subject::Experiment)
    }
}

fn list(desk: &Desk<'_>) -> Result<Exit> {
    let listing = tonight::list(desk.site)?;
    if desk.json {
        report::json(&listing)?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["NAME", "OPERATION", "STATE", "BY", "FROM"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(listing.waiting.iter().map(|each| {
        vec![
            each.name.clone(),
            each.operation.as_str().to_owned(),
            each.state.as_str().to_owned(),
            each.by.clone(),
            each.from.clone(),
        ]
    }));
    if listing.waiting.is_empty() {
        report::stdout("nothing is set for the night\n")?;
    } else {
        report::stdout(&report::table(&rows))?;
    }
    for each in &listing.waiting {
        if let Some(failure) = &each.failure {
            let name = report::printable(&each.name);
            report::stdout(&format!("{name}: {}", reason(failure)))?;
        }
    }
    for reason in &listing.unavailable {
        desk.site.progress.warn(reason);
    }
    Ok(Exit::Done)
}

fn show(desk: &Desk<'_>, of: &Subject, definition: bool) -> Result<Exit> {
    let (waiting, text) = tonight::show(desk.site, of)?;
    if desk.json {
        report::json(&serde_json::json!({"tonight": waiting, "definition": text}))?;
    } else if definition {
        report::stdout(&text.unwrap_or_default())?;
    } else {
        report::stdout(&described(&waiting))?;
    }
    Ok(Exit::Done)
}

fn described(waiting: &Waiting) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} of {}: {}, from {}",
        waiting.operation.as_str(),
        report::printable(&waiting.name),
        waiting.state.as_str(),
        waiting.from
    );
    let by = report::printable(&waiting.by);
    let _ = writeln!(out, "asked for by {by}, {}", waiting.asked);
    if waiting.mend {
        out.push_str("it also sets right what was changed by hand\n");
    }
    if waiting.delete_data {
        out.push_str("it also deletes the data\n");
    }
    if waiting.take_over {
        out.push_str("it takes over what another NAS served\n");
    }
    if !waiting.grant.is_empty() {
        let _ = writeln!(out, "who keeps access: {}", waiting.grant.join(", "));
    }
    if waiting.operation == Verb::ShareBase {
        let _ = match &waiting.share_name {
            Some(name) => writeln!(out, "its experiments become folders of the share {name}"),
            None => writeln!(out, "each of its experiments gets a share of its own"),
        };
    }
    for effect in &waiting.effects {
        let _ = writeln!(out, "! {}", report::printable(&effect.en));
    }
    if let Some(failure) = &waiting.failure {
        out.push_str(&reason(failure));
    }
    out
}

fn reason(failure: &Failure) -> String {
    let mut out = format!(
        "not done ({}): {} [{}]\n",
        failure.time,
        report::printable(&failure.message),
        failure.code
    );
    if let Some(hint) = &failure.hint {
        let _ = writeln!(out, "    {}", report::printable(hint));
    }
    out
}

fn failed(done: &tonight::Done) -> bool {
    done.result == Became::Failed
}

fn carry_out(desk: &Desk<'_>, only: Option<&Subject>, at_night: bool) -> Result<Exit> {
    let run = tonight::run(desk.site, only, at_night)?;
    // Nobody looks at this hour.
    if at_night && (run.done.iter().any(failed) || !run.unavailable.is_empty()) {
        notice::send(desk.site, Scope::Tonight, false)?;
    }
    let exit = if run.done.iter().any(failed) {
        Exit::Failed
    } else {
        Exit::Done
    };
    if desk.json {
        report::json(&run)?;
        return Ok(exit);
    }
    for done in &run.done {
        let became = match done.result {
            Became::Done => "done",
            Became::Failed => "not done",
            Became::Waits => "waits",
        };
        let verb = done.operation.as_str();
        let name = report::printable(&done.name);
        let mut line = format!("{name}: {verb}: {became}\n");
        if let Some(failure) = &done.reason {
            let _ = write!(line, "    {}", reason(failure));
        }
        report::stdout(&line)?;
    }
    for reason in &run.unavailable {
        desk.site.progress.warn(reason);
    }
    Ok(exit)
}
