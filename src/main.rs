//! The program: first acts, parse, choose the NAS, dispatch, exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use octonas::cli::{self, Cli, Command, Desk, JailsCommand};
use octonas::error::{Error, Exit, Result};
use octonas::settings::{self, Settings};
use octonas::sys::process;
use octonas::{open, report, rpc};

fn main() -> ExitCode {
    let cwd = process::first_acts();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            let _ = error.print();
            return ExitCode::from(if usage { Exit::Usage.code() } else { 0 });
        }
    };
    match run(&cli, &cwd) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_status().code())
        }
    }
}

fn run(cli: &Cli, cwd: &Path) -> Result<Exit> {
    match &cli.command {
        Command::Completions { shell } => {
            let mut bytes = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "octonas", &mut bytes);
            report::stdout(&String::from_utf8_lossy(&bytes))?;
            return Ok(Exit::Done);
        }
        Command::Generate(command) => return cli::generate::run(command, cwd).map(|()| Exit::Done),
        Command::Jails(JailsCommand::Sync { root, file }) => {
            return open::jails(root, file).map(|()| Exit::Done);
        }
        _ => {}
    }
    let file = cli
        .config
        .as_ref()
        .map_or(PathBuf::from(settings::FILE), |file| {
            settings::absolute(file, cwd)
        });
    let settings = Settings::load(&file)?;
    if let Command::Rpc(arguments) = &cli.command {
        let result = rpc::read(std::io::stdin()).and_then(|request| {
            let progress = if arguments.progress {
                open::Show::Json
            } else {
                open::Show::Nothing
            };
            let site = open::site(
                &settings,
                cli.nas.as_deref(),
                cwd,
                progress,
                &request.caller.username,
            )?;
            rpc::call(&site, &arguments.method, &request)
        });
        report::stdout(&format!("{}\n", rpc::answer(&result)))?;
        return Ok(if result.is_ok() {
            Exit::Done
        } else {
            Exit::Failed
        });
    }
    let progress = if cli.quiet {
        open::Show::Nothing
    } else {
        open::Show::Lines
    };
    let site = open::site(&settings, cli.nas.as_deref(), cwd, progress, &open::who())?;
    let desk = Desk {
        site: &site,
        json: cli.json,
        cwd,
    };
    cli::run(&desk, &cli.command)
}

fn complain(error: &Error) {
    report::stderr(&format!(
        "error: {} [{}]",
        report::printable(&error.to_string()),
        error.code()
    ));
    if let Some(hint) = error.hint_text() {
        report::stderr(&format!("hint: {}", report::printable(hint)));
    }
}
