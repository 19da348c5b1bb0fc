//! Manual pages and completions, written from the command line's own description.

use std::fmt::Write as _;
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
    /// The page `command-line.md` of the reference.
    Reference {
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
    let (Command::Man { dir } | Command::Completions { dir } | Command::Reference { dir }) =
        command;
    let dir = Dir::open_or_create_absolute(&absolute(dir, cwd), 0o755)?;
    match command {
        Command::Man { .. } => pages(&dir, &whole(), "octonas"),
        Command::Reference { .. } => dir.write(
            "command-line.md",
            reference().as_bytes(),
            &Permissions::PUBLIC,
        ),
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

/// The command line with all that calls build only when they need it.
fn whole() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// The reference of the command line, from its own description.
pub fn reference() -> String {
    let command = whole();
    let mut out = String::from(
        "# The command line\n\nWritten by `octonas generate reference docs/reference`.\n\n\
         Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 refused or failed with a\n\
         message, 2 usage, 3 drift or damage was found, 4 locked by another operation, 130 interrupted.\n\n\
         For every command:\n\n",
    );
    options(&mut out, &command, |_| true);
    section(&mut out, &command, "octonas");
    out
}

fn section(out: &mut String, command: &clap::Command, name: &str) {
    for sub in command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
    {
        let name = format!("{name} {}", sub.get_name());
        if !sub.has_subcommands() || sub.get_positionals().next().is_some() {
            let mut arguments = String::new();
            for argument in sub.get_positionals() {
                let _ = write!(arguments, " {}", argument.get_id().as_str().to_uppercase());
            }
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(out, "\n## `{name}{arguments}`\n\n{about}.\n");
            options(out, sub, |argument| !argument.is_global_set());
        }
        section(out, sub, &name);
    }
}

fn options(out: &mut String, command: &clap::Command, which: impl Fn(&clap::Arg) -> bool) {
    let ours = |argument: &&clap::Arg| !matches!(argument.get_id().as_str(), "help" | "version");
    for argument in command
        .get_arguments()
        .filter(ours)
        .filter(|argument| !argument.is_hide_set() && which(argument))
    {
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let name = match (argument.get_long(), argument.get_short()) {
            (Some(long), Some(short)) => format!("-{short}, --{long}"),
            (Some(long), None) => format!("--{long}"),
            _ => argument.get_id().as_str().to_uppercase(),
        };
        let _ = writeln!(out, "- `{name}`: {help}");
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_says_what_the_command_line_is() {
        let page = include_str!("../../docs/reference/command-line.md");
        assert_eq!(
            page,
            super::reference(),
            "run `octonas generate reference docs/reference`"
        );
    }
}
