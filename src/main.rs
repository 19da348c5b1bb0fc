//! The program: first acts, parse, choose the NAS, dispatch, exit code.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use octonas::cli::deferred::Deferred;
use octonas::cli::{self, Cli, Command, Desk, JailsCommand};
use octonas::error::{Exit, Result};
use octonas::settings::Settings;
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
            report::complain(&error);
            ExitCode::from(error.exit_status().code())
        }
    }
}

fn run(cli: &Cli, cwd: &Path) -> Result<Exit> {
    if let Some(exit) = cli::alone::run(cli, cwd)? {
        return Ok(exit);
    }
    if let Command::Jails(Deferred(JailsCommand::Sync { root, file })) = &cli.command {
        for warning in open::jails(root, file)? {
            report::stderr(&format!("warning: {}", report::printable(&warning)));
        }
        return Ok(Exit::Done);
    }
    let settings = Settings::load(&cli.settings_file(cwd))?;
    if let Command::Rpc(Deferred(arguments)) = &cli.command {
        let result = rpc::read(std::io::stdin()).and_then(|request| {
            let caller = &request.caller;
            let show = open::Show::json(arguments.progress, caller.language);
            let asked = cli.nas.as_deref();
            let cache = open::cache(&settings, asked, cwd)?;
            if let Some(seen) = rpc::glance(cache.as_ref(), &arguments.method, &request)? {
                return Ok(seen);
            }
            let site = open::site(&settings, asked, cwd, show, &caller.username)?;
            rpc::call(&site, &arguments.method, &request)
        });
        report::stdout(&format!("{}\n", rpc::answer(&result)))?;
        return Ok(if result.is_ok() {
            Exit::Done
        } else {
            Exit::Failed
        });
    }
    let show = open::Show::lines(!cli.quiet);
    let site = open::site(&settings, cli.nas.as_deref(), cwd, show, &open::who())?;
    let desk = Desk {
        site: &site,
        json: cli.json,
        cwd,
    };
    cli::run(&desk, &cli.command)
}
