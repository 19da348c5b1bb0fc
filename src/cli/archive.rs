//! `octonas archive …`

use std::fmt::Write as _;

use super::Desk;
use super::package::{Target, bring_back, packaged};
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::package::pick::Pattern;
use crate::provision::archive::{self, Archived, Copy, Options};
use crate::provision::thin::{self, Thinned};
use crate::report;

/// Arguments of `octonas archive`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The experiment's code.
    #[arg(required = true)]
    code: Option<String>,
    /// A place: its name in the configuration, a directory, or account@machine:/directory; again for more.
    #[arg(long, value_name = "PLACE")]
    to: Vec<String>,
    /// Take files that are not what they were when they came in.
    #[arg(long)]
    allow_changed: bool,
    /// Then take away the live data that lies in the archive: the code again. For a closed experiment.
    #[arg(long, value_name = "CODE")]
    thin: Option<String>,
    /// Only say what would go where.
    #[arg(long)]
    dry_run: bool,
}

/// What can be done with archives.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The archives, and until when experiments have to be kept.
    List {
        /// Of this experiment.
        code: Option<String>,
    },
    /// Read every copy of the newest archive again.
    Verify {
        /// The experiment's code.
        code: String,
        /// Of all its archives.
        #[arg(long)]
        all: bool,
    },
    /// Bring an archive back.
    Restore {
        /// The experiment's code.
        code: String,
        /// Another archive than the newest.
        #[arg(long, value_name = "NAME")]
        package: Option<String>,
        /// Where to, and how.
        #[command(flatten)]
        to: Target,
    },
    /// Take away live data of a closed experiment that lies in its newest archive, once every copy was read again.
    Thin {
        /// The experiment's code.
        code: String,
        /// Only these files: `raw/**`; again for more.
        #[arg(long, value_name = "GLOB")]
        only: Vec<String>,
        /// The code again: the data is gone afterwards.
        #[arg(long, value_name = "CODE", required_unless_present = "dry_run")]
        confirm: Option<String>,
        /// Only say what would be taken away.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs it.
pub fn run(desk: &Desk<'_>, arguments: &Arguments) -> Result<Exit> {
    match &arguments.command {
        None => create(desk, arguments),
        Some(Command::List { code }) => {
            let code = code.as_deref().map(Code::parse).transpose()?;
            let all = archive::list(desk.site, code.as_ref())?;
            if desk.json {
                report::json(&all)?;
            } else {
                report::stdout(&table(&all))?;
            }
            Ok(Exit::Done)
        }
        Some(Command::Verify { code, all }) => {
            let copies = archive::verify(desk.site, &Code::parse(code)?, *all)?;
            if desk.json {
                report::json(&copies)?;
            } else {
                report::stdout(&copies_text(&copies))?;
            }
            let good = copies.iter().all(|copy| copy.state == "good");
            Ok(if good { Exit::Done } else { Exit::Drift })
        }
        Some(Command::Restore { code, package, to }) => {
            let code = Code::parse(code)?;
            let (path, staged) = archive::bring(desk.site, &code, package.as_deref())?;
            let done = bring_back(desk, &path, to);
            if let (Some(dir), Some(name)) = (staged, path.file_name()) {
                dir.remove_file(name)?;
            }
            done
        }
        Some(Command::Thin {
            code,
            only,
            confirm,
            dry_run,
        }) => {
            let code = Code::parse(code)?;
            let only: Vec<Pattern> = only
                .iter()
                .map(|text| Pattern::parse(text))
                .collect::<Result<_>>()?;
            if !dry_run {
                confirmed(&code, confirm.as_deref())?;
            }
            thin(desk, &code, &only, *dry_run)
        }
    }
}

fn confirmed(code: &Code, given: Option<&str>) -> Result<()> {
    if given == Some(code.as_str()) {
        return Ok(());
    }
    Err(Error::new(
        "archive.unconfirmed",
        format!("the data of {code} is not taken away: the code was not repeated"),
    )
    .hint(format!("--confirm {code}")))
}

fn create(desk: &Desk<'_>, arguments: &Arguments) -> Result<Exit> {
    let code = Code::parse(arguments.code.as_deref().unwrap_or_default())?;
    if arguments.thin.is_some() {
        confirmed(&code, arguments.thin.as_deref())?;
    }
    let options = Options {
        to: arguments.to.clone(),
        allow_changed: arguments.allow_changed,
        dry_run: arguments.dry_run,
    };
    let (archived, made) = archive::create(desk.site, &code, &options)?;
    if arguments.thin.is_some() {
        if !desk.json {
            report::stdout(&packaged(&made, arguments.dry_run))?;
        }
        return thin(desk, &code, &[], arguments.dry_run);
    }
    if desk.json {
        report::json(&archived)?;
    } else {
        let mut text = packaged(&made, arguments.dry_run);
        let _ = writeln!(
            text,
            "{}: {} in {}",
            archived.package,
            if arguments.dry_run {
                "would lie"
            } else {
                "read again"
            },
            report::printable(&archived.places.join(", "))
        );
        report::stdout(&text)?;
    }
    Ok(Exit::Done)
}

fn thin(desk: &Desk<'_>, code: &Code, only: &[Pattern], dry_run: bool) -> Result<Exit> {
    let thinned = thin::thin(desk.site, code, only, dry_run)?;
    if desk.json {
        report::json(&thinned)?;
    } else {
        report::stdout(&thinned_text(&thinned, dry_run))?;
    }
    Ok(Exit::Done)
}

fn thinned_text(thinned: &Thinned, dry_run: bool) -> String {
    let mut out = copies_text(&thinned.copies);
    let verb = if dry_run {
        "would be taken away"
    } else {
        "taken away"
    };
    let _ = writeln!(
        out,
        "{}: {} files ({} bytes) {verb}",
        thinned.code, thinned.files, thinned.bytes
    );
    for path in &thinned.kept {
        let _ = writeln!(
            out,
            "kept: {}: it is not what lies in the archive",
            report::printable(path)
        );
    }
    out
}

fn copies_text(copies: &[Copy]) -> String {
    copies.iter().fold(String::new(), |mut out, copy| {
        let _ = write!(
            out,
            "{} in {}: {}",
            report::printable(&copy.package),
            report::printable(&copy.place),
            copy.state
        );
        if let Some(reason) = &copy.reason {
            let _ = write!(out, " ({})", report::printable(reason));
        }
        out.push('\n');
        out
    })
}

fn table(all: &[Archived]) -> String {
    let mut cells = vec![
        [
            "CODE",
            "ARCHIVED",
            "PACKAGE",
            "BYTES",
            "PLACES",
            "KEEP UNTIL",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for one in all {
        let until = one.kept_until.clone().unwrap_or_default();
        cells.push(vec![
            one.code.clone(),
            one.time.clone(),
            one.package.clone(),
            one.size.to_string(),
            one.places.join(", "),
            if one.overdue {
                format!("{until} (past)")
            } else {
                until
            },
        ]);
    }
    report::table(&cells)
}
