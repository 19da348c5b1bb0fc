//! `octonas experiment …`

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Desk;
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::provision::apply::Outcome;
use crate::provision::create::{self, Options};
use crate::provision::plan::{Action, Drift, Step};
use crate::provision::{adopt, check, lifecycle, list, show};
use crate::report;
use crate::settings::absolute;
use crate::sys::dir::Dir;

/// The longest definition that is read from a file or standard input; the reader itself is stricter.
const SIZE_LIMIT: u64 = 16 << 20;

/// What can be done with experiments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an experiment from a definition. Given again, it goes on where it stopped.
    Create {
        /// The definition (`-` reads standard input).
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Create the accounts that are missing, and show their initial passwords once.
        #[arg(long)]
        create_accounts: bool,
        /// Only say what would be done, and what it would interrupt.
        #[arg(long)]
        dry_run: bool,
    },
    /// The experiments of this NAS, without waking a disk.
    List {
        /// Read the disks.
        #[arg(long)]
        refresh: bool,
        /// Removed ones too.
        #[arg(long)]
        all: bool,
    },
    /// One experiment: what it is, where it is, who is in it.
    Show {
        /// Its code.
        code: String,
        /// Its definition, as it is on the disk.
        #[arg(long)]
        definition: bool,
    },
    /// What `apply` would do.
    Plan {
        /// Its code.
        code: String,
        /// With repairs of what was changed by hand.
        #[arg(long)]
        mend: bool,
    },
    /// Make the NAS match the definition.
    Apply {
        /// Its code.
        code: String,
        /// Also set right what was changed by hand, and the rights of files that members narrowed.
        #[arg(long)]
        mend: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Look whether experiments are as they should be (exit code 3 when one is not).
    Check {
        /// One experiment; without it, all.
        code: Option<String>,
    },
    /// Replace the definition, and apply it.
    Edit {
        /// The new definition (`-` reads standard input).
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// The digest of the definition that the change was made on: refused when it is another one by now.
        #[arg(long, value_name = "DIGEST")]
        from: Option<String>,
        /// Create the accounts that are missing, and show their initial passwords once.
        #[arg(long)]
        create_accounts: bool,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Make it read-only for everybody, at once.
    Close {
        /// Its code.
        code: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Open a closed experiment again.
    Reopen {
        /// Its code.
        code: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take it out of service. Its data stays, and is shut.
    Remove {
        /// Its code.
        code: String,
        /// Delete the data too: repeat the code.
        #[arg(long, value_name = "CODE")]
        delete_data: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take an experiment that lies on a disk into service. Nobody is let in unless granted.
    Adopt {
        /// The experiment's directory.
        dir: PathBuf,
        /// Take its base over from the NAS that claims it.
        #[arg(long)]
        take_over: bool,
        /// Accounts that keep the access which the definition gives them.
        #[arg(long, value_delimiter = ',', value_name = "ACCOUNTS")]
        grant: Vec<String>,
        /// Only show the map of accounts and the plan.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take out the people whose access has ended.
    Due {
        /// Only say who.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let site = desk.site;
    match command {
        Command::Create {
            file,
            create_accounts,
            dry_run,
        } => {
            let options = Options {
                create_accounts: *create_accounts,
                dry_run: *dry_run,
            };
            outcome(
                desk,
                &create::create(site, &read(desk, file)?, options)?,
                *dry_run,
            )
        }
        Command::Edit {
            file,
            from,
            create_accounts,
            dry_run,
        } => {
            let options = Options {
                create_accounts: *create_accounts,
                dry_run: *dry_run,
            };
            outcome(
                desk,
                &create::edit(site, &read(desk, file)?, from.as_deref(), options)?,
                *dry_run,
            )
        }
        Command::List { refresh, all } => print_list(desk, *refresh, *all),
        Command::Show { code, definition } => print_show(desk, &parse(code)?, *definition),
        Command::Plan { code, mend }
        | Command::Apply {
            code,
            mend,
            dry_run: true,
        } => print_plan(desk, &parse(code)?, *mend),
        Command::Apply { code, mend, .. } => {
            outcome(desk, &lifecycle::apply(site, &parse(code)?, *mend)?, false)
        }
        Command::Check { code } => print_check(desk, code.as_deref()),
        Command::Close { code, dry_run } => outcome(
            desk,
            &lifecycle::close(site, &parse(code)?, *dry_run)?,
            *dry_run,
        ),
        Command::Reopen { code, dry_run } => outcome(
            desk,
            &lifecycle::reopen(site, &parse(code)?, *dry_run)?,
            *dry_run,
        ),
        Command::Remove {
            code,
            delete_data,
            dry_run,
        } => {
            let confirmed = delete_data.as_deref().map(parse).transpose()?;
            let done = lifecycle::remove(site, &parse(code)?, confirmed.as_ref(), *dry_run)?;
            outcome(desk, &done, *dry_run)
        }
        Command::Adopt {
            dir,
            take_over,
            grant,
            dry_run,
        } => {
            let options = adopt::Options {
                take_over: *take_over,
                grant: grant.clone(),
                dry_run: *dry_run,
            };
            print_adoption(
                desk,
                &adopt::adopt(site, &absolute(dir, desk.cwd), &options)?,
                *dry_run,
            )
        }
        Command::Due { dry_run } => print_due(desk, *dry_run),
    }
}

fn parse(code: &str) -> Result<Code> {
    Code::parse(code)
}

/// The bytes of a file that somebody named; `-` is standard input.
pub(super) fn read(desk: &Desk<'_>, file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(SIZE_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::new("file.unreadable", "cannot read standard input").source(e))?;
        return Ok(bytes);
    }
    let path = absolute(file, desk.cwd);
    let missing = || {
        Error::new(
            "file.missing",
            format!("there is no file {}", file.display()),
        )
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(missing());
    };
    // A person's own file: the links on the way to it are theirs.
    let parent = parent.canonicalize().map_err(|e| missing().source(e))?;
    Dir::open_absolute(&parent)?
        .read(name, SIZE_LIMIT)?
        .ok_or_else(missing)
}

fn outcome(desk: &Desk<'_>, outcome: &Outcome, dry_run: bool) -> Result<Exit> {
    if desk.json {
        report::json(outcome)?;
    } else {
        report::stdout(&text(outcome, dry_run))?;
    }
    Ok(Exit::Done)
}

fn text(outcome: &Outcome, dry_run: bool) -> String {
    let mut out = String::new();
    if dry_run {
        out.push_str(&steps(&outcome.steps));
        for effect in &outcome.interruption.effects {
            let _ = writeln!(out, "! {}", report::printable(effect));
        }
        if outcome.steps.is_empty() {
            out.push_str("nothing to do\n");
        }
    } else {
        let _ = writeln!(
            out,
            "{}: {}, in {}",
            outcome.code,
            outcome.status,
            report::printable(&outcome.path)
        );
        if outcome.repaired > 0 {
            let _ = writeln!(
                out,
                "{} files and directories had narrowed rights: repaired",
                outcome.repaired
            );
        }
    }
    out.push_str(&drifts(&outcome.drift));
    for (account, password) in outcome.passwords.reveal() {
        let _ = writeln!(
            out,
            "initial password of {account}: {password}   (shown once; it is kept nowhere)"
        );
    }
    out
}

fn steps(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let sign = match step.action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
            Action::Record | Action::Forget => '=',
        };
        let _ = writeln!(
            out,
            "{sign} {}",
            report::printable(&step.object.to_string())
        );
        if step.action == Action::Update {
            for change in &step.changes {
                let _ = writeln!(out, "    {}", report::printable(change));
            }
        }
    }
    out
}

fn drifts(drifts: &[Drift]) -> String {
    let mut out = String::new();
    for drift in drifts {
        let what = drift.attribute.as_deref().unwrap_or("the whole of it");
        let _ = writeln!(
            out,
            "changed by hand: {}, {}: {} → {}\n    {}",
            report::printable(&drift.object.to_string()),
            report::printable(what),
            report::printable(drift.applied.as_deref().unwrap_or("(none)")),
            report::printable(drift.observed.as_deref().unwrap_or("(none)")),
            report::printable(&drift.effect)
        );
    }
    out
}

fn print_list(desk: &Desk<'_>, refresh: bool, all: bool) -> Result<Exit> {
    let mut found = list::list(desk.site, refresh)?;
    found.rows.retain(|row| all || row.status != "removed");
    if desk.json {
        report::json(&found)?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["CODE", "STATUS", "RESPONSIBLE", "TITLE", "SEEN"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(found.rows.iter().map(|row| {
        let seen = row
            .seen_at
            .get(..16)
            .unwrap_or(&row.seen_at)
            .replace('T', " ");
        vec![
            row.code.clone(),
            row.status.clone(),
            row.responsible.clone(),
            row.title.clone(),
            seen,
        ]
    }));
    report::stdout(&report::table(&rows))?;
    for (base, reason) in &found.unavailable {
        desk.site
            .progress
            .warn(&format!("{}: {reason}", base.display()));
    }
    Ok(Exit::Done)
}

fn print_show(desk: &Desk<'_>, code: &Code, definition: bool) -> Result<Exit> {
    let shown = show::show(desk.site, code)?;
    if desk.json {
        report::json(&shown)?;
    } else if definition {
        report::stdout(&shown.definition.to_yaml()?)?;
    } else {
        report::stdout(&show::text(&shown))?;
    }
    Ok(Exit::Done)
}

fn print_plan(desk: &Desk<'_>, code: &Code, mend: bool) -> Result<Exit> {
    let plan = show::plan(desk.site, code, mend)?;
    if desk.json {
        report::json(&plan)?;
        return Ok(Exit::Done);
    }
    let mut out = steps(&plan.steps);
    if plan.steps.is_empty() {
        out.push_str("nothing to do\n");
    }
    out.push_str(&drifts(&plan.drift));
    for conflict in &plan.conflicts {
        let _ = writeln!(out, "in the way: {}", report::printable(&conflict.reason));
    }
    report::stdout(&out)?;
    Ok(Exit::Done)
}

fn print_check(desk: &Desk<'_>, code: Option<&str>) -> Result<Exit> {
    let code = code.map(parse).transpose()?;
    let reports = check::check(desk.site, code.as_ref())?;
    let exit = if reports.iter().all(check::Report::in_order) {
        Exit::Done
    } else {
        Exit::Drift
    };
    if desk.json {
        report::json(&reports)?;
        return Ok(exit);
    }
    let mut out = String::new();
    for each in &reports {
        let state = if each.in_order() {
            "in order"
        } else {
            "not in order"
        };
        let _ = writeln!(
            out,
            "{}: {}, {state}",
            report::printable(&each.code),
            each.status
        );
        if let Some(error) = &each.error {
            let _ = writeln!(out, "  {}", report::printable_lines(error));
        }
        for step in &each.pending {
            let _ = writeln!(
                out,
                "  not applied yet: {}",
                report::printable(&step.object.to_string())
            );
        }
        for line in drifts(&each.drift).lines() {
            let _ = writeln!(out, "  {line}");
        }
        for conflict in &each.conflicts {
            let _ = writeln!(out, "  in the way: {}", report::printable(&conflict.reason));
        }
        for finding in each.findings.iter().take(20) {
            let _ = writeln!(
                out,
                "  {}: {}",
                report::printable(&finding.path),
                finding.text
            );
        }
        if each.findings.len() > 20 {
            let _ = writeln!(
                out,
                "  … and {} more (--json lists them)",
                each.findings.len() - 20
            );
        }
    }
    report::stdout(&out)?;
    Ok(exit)
}

fn print_adoption(desk: &Desk<'_>, adoption: &adopt::Adoption, dry_run: bool) -> Result<Exit> {
    if desk.json {
        report::json(adoption)?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["ACCOUNT", "PERSON", "HERE", "ACCESS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(adoption.map.iter().map(|line| {
        let here = match (line.exists, line.uid) {
            (false, _) => "no such account".to_owned(),
            (true, Some(uid)) => format!("uid {uid}"),
            (true, None) => "yes".to_owned(),
        };
        let access = if line.granted { "kept" } else { "none" };
        vec![
            line.account.clone(),
            line.person.clone(),
            here,
            access.to_owned(),
        ]
    }));
    if !adoption.map.is_empty() {
        report::stdout(&report::table(&rows))?;
    }
    outcome(desk, &adoption.outcome, dry_run)
}

fn print_due(desk: &Desk<'_>, dry_run: bool) -> Result<Exit> {
    let done = lifecycle::due(desk.site, dry_run)?;
    if desk.json {
        report::json(&done)?;
    } else {
        let mut out = String::new();
        for due in &done {
            let verb = if dry_run { "would lose" } else { "lost" };
            if !due.ended.is_empty() {
                let _ = writeln!(out, "{}: {} {verb} access", due.code, due.ended.join(", "));
            }
            if let Some(error) = &due.error {
                let _ = writeln!(out, "{}: {}", due.code, report::printable(error));
            }
        }
        report::stdout(&out)?;
    }
    Ok(if done.iter().any(|due| due.error.is_some()) {
        Exit::Failed
    } else {
        Exit::Done
    })
}
