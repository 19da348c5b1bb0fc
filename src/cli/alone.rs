//! What needs no NAS: a file encrypted, decrypted or looked into, a package checked, completions and manual pages.

use std::path::Path;

use super::deferred::Deferred;
use super::{Cli, Command, crypt, generate, package, probe};
use crate::error::{Exit, Result};
use crate::report::{Hidden, Lines, Progress};
use crate::settings::Settings;

/// Runs a command that needs no NAS; `None` for everything else.
pub fn run(cli: &Cli, cwd: &Path) -> Result<Option<Exit>> {
    let exit = match &cli.command {
        Command::Completions { shell } => generate::completion(*shell).map(|()| Exit::Done),
        Command::Generate(Deferred(command)) => generate::run(command, cwd).map(|()| Exit::Done),
        Command::Probe(Deferred(given)) if given.is_file(cwd) => probe::file(given, cwd, cli.json),
        Command::Encrypt(Deferred(given)) => {
            let settings = Settings::load(&cli.settings_file(cwd))?;
            crypt::encrypt(given, &settings, cwd, cli.json)
        }
        Command::Decrypt(Deferred(given)) => crypt::decrypt(given, cwd, cli.json),
        Command::Package(Deferred(package::Command::Verify(given))) => {
            let progress: &dyn Progress = if cli.quiet { &Hidden } else { &Lines };
            package::verify(given, cwd, cli.json, progress)
        }
        _ => return Ok(None),
    };
    exit.map(Some)
}
