//! Manual pages and completions, written from the command line's own description.

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Subcommand, ValueEnum as _};

use super::Cli;
use crate::error::{Error, Result};
use crate::settings::absolute;
use crate::sys::dir::{Dir, Permissions};

/// What can be generated.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Manual pages.
    Man {
        /// Where to.
        dir: PathBuf,
    },
    /// Completions for every shell.
    Completions {
        /// Where to.
        dir: PathBuf,
    },
}

/// One shell's completions, on standard output.
pub fn completion(shell: clap_complete::Shell) -> Result<()> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "octonas", &mut bytes);
    crate::report::stdout(&String::from_utf8_lossy(&bytes))
}

/// Generates into a directory, making it where it is not.
pub fn run(command: &Command, cwd: &Path) -> Result<()> {
    let (Command::Man { dir } | Command::Completions { dir }) = command;
    let dir = Dir::open_or_create_absolute(&absolute(dir, cwd), 0o755)?;
    match command {
        Command::Man { .. } => pages(&dir, &Cli::command().name("octonas"), "octonas"),
        Command::Completions { .. } => {
            for shell in clap_complete::Shell::value_variants() {
                let mut bytes = Vec::new();
                clap_complete::generate(*shell, &mut Cli::command(), "octonas", &mut bytes);
                let name = format!("octonas.{shell}");
                dir.write(&name, &bytes, &Permissions::PUBLIC)?;
            }
            Ok(())
        }
    }
}

fn pages(dir: &Dir, command: &clap::Command, name: &str) -> Result<()> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone().name(name.to_owned()))
        .render(&mut bytes)
        .map_err(|e| {
            Error::new(
                "output.failed",
                format!("cannot write the manual page of {name}"),
            )
            .source(e)
        })?;
    dir.write(format!("{name}.1"), &bytes, &Permissions::PUBLIC)?;
    for sub in command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
    {
        pages(dir, sub, &format!("{name}-{}", sub.get_name()))?;
    }
    Ok(())
}
