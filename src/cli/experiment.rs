//! `octonas experiment …`: arguments, and what they call.

pub(super) mod print;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Desk;
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::provision::create::{self, Options};
use crate::provision::tonight::{self, Wanted};
use crate::provision::{adopt, edit, import, lifecycle};
use crate::settings::absolute;
use crate::sys::dir::Dir;

/// The longest definition that is read from a file or standard input; the reader itself is stricter.
const SIZE_LIMIT: u64 = 16 << 20;

/// What can be done with experiments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an experiment from a definition, or several at once. Given again, it goes on where it stopped.
    Create {
        /// The definition (`-` reads standard input); a directory stands for all definitions in it (`*.yaml`, `*.yml`,
        /// `*.json`). Given several times, all are made with one deployment; none is begun while one is refused.
        #[arg(short, long, value_name = "FILE", required = true)]
        file: Vec<PathBuf>,
        /// Create the accounts that are missing, and show their initial passwords once.
        #[arg(long)]
        create_accounts: bool,
        /// Only say what would be done, and what it would interrupt.
        #[arg(long)]
        dry_run: bool,
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
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
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
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
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
    },
    /// Make it read-only for everybody, at once.
    Close {
        /// Its code.
        code: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
    },
    /// Open a closed experiment again.
    Reopen {
        /// Its code.
        code: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
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
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
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
        /// The name of the plan that was looked at: refused when it is another one by now.
        #[arg(long, value_name = "PLAN")]
        plan: Option<String>,
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, conflicts_with = "dry_run")]
        tonight: bool,
    },
    /// What lies on the disks and could be taken into service: removed experiments, and those of another NAS.
    Adoptable,
    /// Make an experiment of a directory or shared folder that is in use. Only says what it would mean, until confirmed.
    Import {
        /// A shared folder's name, or the directory's path: it lies directly in a base and bears the experiment's code.
        #[arg(value_name = "FOLDER")]
        folder: String,
        /// The definition (`-` reads standard input).
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Do it. Files stay where they are; owners and rights change, and what they were is kept in the experiment.
        #[arg(long)]
        confirm: bool,
        /// Create the accounts that are missing, and show their initial passwords once.
        #[arg(long)]
        create_accounts: bool,
        /// The name of the plan that was looked at: refused when it is another one by now.
        #[arg(long, value_name = "PLAN")]
        plan: Option<String>,
        /// Only in the night: it is looked at now, and kept until then (`octonas tonight`).
        #[arg(long, requires = "confirm")]
        tonight: bool,
    },
    /// Take out the people whose access has ended.
    Due {
        /// Only say who.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Command {
    fn is_for_tonight(&self) -> bool {
        matches!(
            self,
            Self::Create { tonight: true, .. }
                | Self::Edit { tonight: true, .. }
                | Self::Apply { tonight: true, .. }
                | Self::Close { tonight: true, .. }
                | Self::Reopen { tonight: true, .. }
                | Self::Remove { tonight: true, .. }
                | Self::Adopt { tonight: true, .. }
                | Self::Import { tonight: true, .. }
        )
    }
}

/// Sets one of them for the night.
fn for_tonight(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let set = |wanted: &Wanted<'_>, create_accounts: bool| {
        let options = Options {
            create_accounts,
            dry_run: false,
        };
        print::set(desk, &tonight::set(desk.site, wanted, options)?)
    };
    match command {
        Command::Create {
            file,
            create_accounts,
            ..
        } => {
            for text in definitions(desk, file)? {
                set(&Wanted::Create(&text), *create_accounts)?;
            }
            Ok(Exit::Done)
        }
        Command::Edit {
            file,
            from,
            create_accounts,
            ..
        } => {
            let text = read(desk, file)?;
            set(&Wanted::Edit(&text, from.as_deref()), *create_accounts)
        }
        Command::Apply { code, mend, .. } => set(&Wanted::Apply(&parse(code)?, *mend), false),
        Command::Close { code, .. } => set(&Wanted::Close(&parse(code)?), false),
        Command::Reopen { code, .. } => set(&Wanted::Reopen(&parse(code)?), false),
        Command::Remove {
            code, delete_data, ..
        } => {
            let confirmed = delete_data.as_deref().map(parse).transpose()?;
            set(&Wanted::Remove(&parse(code)?, confirmed.as_ref()), false)
        }
        Command::Adopt { dir, .. } => set(
            &Wanted::Adopt(&absolute(dir, desk.cwd), &adoption(command)),
            false,
        ),
        Command::Import {
            folder,
            file,
            create_accounts,
            plan,
            ..
        } => {
            let wanted = Wanted::Import {
                folder,
                cwd: desk.cwd,
                text: &read(desk, file)?,
                plan: plan.as_deref(),
            };
            set(&wanted, *create_accounts)
        }
        _ => Ok(Exit::Done),
    }
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    if command.is_for_tonight() {
        return for_tonight(desk, command);
    }
    match command {
        Command::Create { .. } | Command::Edit { .. } => define(desk, command),
        _ => other(desk, command),
    }
}

/// What takes a definition.
fn define(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let site = desk.site;
    match command {
        Command::Create {
            file,
            create_accounts,
            dry_run,
            ..
        } => {
            let options = Options {
                create_accounts: *create_accounts,
                dry_run: *dry_run,
            };
            if let [file] = file.as_slice()
                && !absolute(file, desk.cwd).is_dir()
            {
                let done = create::create(site, &read(desk, file)?, options)?;
                return print::outcome(desk, &done, *dry_run);
            }
            let texts = definitions(desk, file)?;
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let created = create::create_all(site, &texts, options)?;
            print::created(desk, &created, *dry_run)
        }
        Command::Edit {
            file,
            from,
            create_accounts,
            dry_run,
            ..
        } => {
            let options = Options {
                create_accounts: *create_accounts,
                dry_run: *dry_run,
            };
            print::outcome(
                desk,
                &edit::edit(site, &read(desk, file)?, from.as_deref(), options)?,
                *dry_run,
            )
        }
        _ => Ok(Exit::Done),
    }
}

fn other(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let site = desk.site;
    match command {
        Command::Create { .. } | Command::Edit { .. } => Ok(Exit::Done),
        Command::List { refresh, all } => print::list(desk, *refresh, *all),
        Command::Show { code, definition } => print::show(desk, &parse(code)?, *definition),
        Command::Plan { code, mend }
        | Command::Apply {
            code,
            mend,
            dry_run: true,
            ..
        } => print::plan(desk, &parse(code)?, *mend),
        Command::Apply { code, mend, .. } => {
            print::outcome(desk, &lifecycle::apply(site, &parse(code)?, *mend)?, false)
        }
        Command::Check { code } => print::check(desk, code.as_deref()),
        Command::Close { code, dry_run, .. } => print::outcome(
            desk,
            &lifecycle::close(site, &parse(code)?, *dry_run)?,
            *dry_run,
        ),
        Command::Reopen { code, dry_run, .. } => print::outcome(
            desk,
            &lifecycle::reopen(site, &parse(code)?, *dry_run)?,
            *dry_run,
        ),
        Command::Remove {
            code,
            delete_data,
            dry_run,
            ..
        } => {
            let confirmed = delete_data.as_deref().map(parse).transpose()?;
            let done = lifecycle::remove(site, &parse(code)?, confirmed.as_ref(), *dry_run)?;
            print::outcome(desk, &done, *dry_run)
        }
        Command::Adopt { dir, dry_run, .. } => {
            let done = adopt::adopt(site, &absolute(dir, desk.cwd), &adoption(command))?;
            print::adoption(desk, &done, *dry_run)
        }
        Command::Import {
            folder,
            file,
            confirm,
            create_accounts,
            plan,
            ..
        } => {
            let options = import::Options {
                confirm: *confirm,
                create_accounts: *create_accounts,
                plan: plan.clone(),
            };
            let definition = read(desk, file)?;
            let told = import::import(site, folder, desk.cwd, &definition, &options)?;
            print::import(desk, &told)
        }
        Command::Adoptable => print::adoptable(desk),
        Command::Due { dry_run } => print::due(desk, *dry_run),
    }
}

/// How an experiment is to be adopted.
fn adoption(command: &Command) -> adopt::Options {
    match command {
        Command::Adopt {
            take_over,
            grant,
            dry_run,
            plan,
            ..
        } => adopt::Options {
            take_over: *take_over,
            grant: grant.clone(),
            dry_run: *dry_run,
            plan: plan.clone(),
        },
        _ => adopt::Options::default(),
    }
}

fn parse(code: &str) -> Result<Code> {
    Code::parse(code)
}

/// The definitions that files and directories hold, in the order of their names.
fn definitions(desk: &Desk<'_>, files: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    for file in files {
        let path = absolute(file, desk.cwd);
        if file == Path::new("-") || !path.is_dir() {
            texts.push(read(desk, file)?);
            continue;
        }
        let path = path.canonicalize().map_err(|e| {
            Error::new("file.unreadable", format!("cannot read {}", file.display())).source(e)
        })?;
        let mut names: Vec<PathBuf> = Dir::open_absolute(&path)?
            .entries()?
            .into_iter()
            .map(|entry| path.join(entry.name))
            .filter(|name| {
                name.extension()
                    .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
            })
            .collect();
        names.sort();
        if names.is_empty() {
            return Err(Error::new(
                "file.missing",
                format!("there is no definition in {}", file.display()),
            )
            .hint("definitions are files called *.yaml, *.yml or *.json"));
        }
        for name in names {
            texts.push(read(desk, &name)?);
        }
    }
    Ok(texts)
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
