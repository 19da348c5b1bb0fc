//! `octonas synckit …`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use super::Desk;
use crate::error::{Exit, Result};
use crate::experiment::{Code, SourceId};
use crate::provision::synckit::{self, Built, Options, Target};
use crate::report;
use crate::settings::absolute;

/// What can be done with sync kits.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the program that brings the data of an acquisition machine here.
    Build(Arguments),
}

/// Arguments of `octonas synckit build`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The experiment's code.
    pub code: String,
    /// The source.
    pub source: String,
    /// Write the kit into this directory.
    #[arg(
        short,
        long,
        value_name = "DIR",
        required_unless_present_any = ["zip", "dry_run"],
        conflicts_with = "zip"
    )]
    pub output: Option<PathBuf>,
    /// Write the kit as a zip.
    #[arg(long, value_name = "FILE")]
    pub zip: Option<PathBuf>,
    /// The source writes into a mounted share, which it calls PATH.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port"])]
    pub directory: Option<String>,
    /// By which name the source reaches this NAS (default: this machine's own).
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The port of sshd (default: sshd's own).
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// A directory that the source watches, as it calls it (repeatable).
    #[arg(long, value_name = "PATH")]
    pub watch: Vec<String>,
    /// Say what would be in it; write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let Command::Build(arguments) = command;
    let target = match (&arguments.output, &arguments.zip) {
        (Some(path), _) => Some(Target::Directory(absolute(path, desk.cwd))),
        (None, Some(path)) => Some(Target::Zip(absolute(path, desk.cwd))),
        (None, None) => None,
    };
    let built = synckit::build(
        desk.site,
        &Code::parse(&arguments.code)?,
        &SourceId::parse(&arguments.source)?,
        target.as_ref(),
        &Options {
            directory: arguments.directory.clone(),
            host: arguments.host.clone(),
            port: arguments.port,
            watch: arguments.watch.clone(),
            dry_run: arguments.dry_run,
        },
    )?;
    if desk.json {
        report::json(&built)?;
    } else {
        report::stdout(&text(&built))?;
    }
    Ok(Exit::Done)
}

fn text(built: &Built) -> String {
    let verb = match &built.written {
        Some(path) => format!("written to {}", report::printable(path)),
        None => "would hold".to_owned(),
    };
    let mut out = format!("{}: {verb}\n", built.name);
    let rows: Vec<Vec<String>> = built
        .files
        .iter()
        .map(|file| {
            vec![
                format!("  {}", file.path),
                file.size.to_string(),
                file.sha256.chars().take(12).collect(),
            ]
        })
        .collect();
    out.push_str(&report::table(&rows));
    let _ = writeln!(
        out,
        "delivers by {} to {}",
        built.transport,
        report::printable(&built.to)
    );
    if built.watch.is_empty() {
        out.push_str("watches nothing yet: `install --watch DIRECTORY` on the source says what\n");
    }
    out
}
