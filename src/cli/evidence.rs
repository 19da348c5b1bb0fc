//! `octonas evidence …`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use super::Desk;
use crate::catalogue::evidence::Checked;
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::provision::evidence;
use crate::{report, settings};

/// What can be done with evidence.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whether every line follows from the one before, nothing was taken from the end, and the index says the same.
    Verify {
        /// The experiment's code.
        code: String,
    },
    /// Copy it into a new directory, with a list for `sha256sum -c`.
    Export {
        /// The experiment's code.
        code: String,
        /// The new directory.
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Make the index of the catalogue again from it.
    Rebuild {
        /// The experiment's code.
        code: String,
        /// Only say how many lines there are.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs a command.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Verify { code } => {
            let checked = evidence::check(desk.site, &Code::parse(code)?)?;
            if desk.json {
                report::json(&checked)?;
            } else {
                report::stdout(&told(code, &checked))?;
            }
            let bad = checked.is_damaged() || !checked.index.is_empty();
            Ok(if bad { Exit::Drift } else { Exit::Done })
        }
        Command::Export { code, output } => {
            let into = settings::absolute(output, desk.cwd);
            let exported = evidence::export(desk.site, &Code::parse(code)?, &into)?;
            if desk.json {
                report::json(&exported)?;
            } else {
                report::stdout(&format!(
                    "{code}: the evidence of {} files is in {}\n",
                    exported.files,
                    report::printable(&exported.path)
                ))?;
            }
            Ok(Exit::Done)
        }
        Command::Rebuild { code, dry_run } => {
            let rebuilt = evidence::rebuild(desk.site, &Code::parse(code)?, *dry_run)?;
            if desk.json {
                report::json(&rebuilt)?;
            } else if *dry_run {
                report::stdout(&format!("{code}: {} lines would be read\n", rebuilt.lines))?;
            } else {
                report::stdout(&format!(
                    "{code}: {} files from {} lines; the next scan looks at sizes and times\n",
                    rebuilt.files, rebuilt.lines
                ))?;
            }
            Ok(Exit::Done)
        }
    }
}

fn told(code: &str, checked: &Checked) -> String {
    let mut out = format!(
        "{code}: {} lines of the baseline, {} of checks, {} of the ledger; {} ends are where the ledger says\n",
        checked.baseline.entries, checked.checks.entries, checked.ledger.entries, checked.anchors
    );
    let chains = [
        ("baseline", &checked.baseline),
        ("checks", &checked.checks),
        ("ledger", &checked.ledger),
    ];
    for (name, chain) in chains {
        for finding in chain.findings.iter().take(20) {
            let _ = writeln!(out, "FOUND: {name}: {finding}");
        }
        if chain.findings.len() > 20 {
            let _ = writeln!(out, "and {} more of {name}", chain.findings.len() - 20);
        }
    }
    for broken in &checked.broken {
        let _ = writeln!(out, "FOUND: {}", report::printable(broken));
    }
    for wrong in &checked.index {
        let _ = writeln!(
            out,
            "FOUND: index: {} (`octonas evidence rebuild {code}`)",
            report::printable(wrong)
        );
    }
    out
}
