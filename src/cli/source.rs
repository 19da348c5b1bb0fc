//! `octonas source …`

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Desk;
use crate::error::{Error, Exit, Result};
use crate::experiment::{Code, SourceId};
use crate::provision::source::{self, Change, Row};
use crate::report;
use crate::settings::absolute;
use crate::sys::dir::Dir;

/// The largest file with a key.
const KEY_LIMIT: u64 = 16 << 10;

/// What can be done with sources.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The sources of an experiment, their keys, and when they last delivered.
    List {
        /// The experiment's code.
        code: String,
    },
    /// Let a source in with the public half of a key that was made on it.
    Enrol {
        /// The experiment's code.
        code: String,
        /// The source.
        source: String,
        /// The `.pub` file, or `-` for standard input.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Shut a source out: take away its keys, and end its sessions.
    Revoke {
        /// The experiment's code.
        code: String,
        /// The source.
        source: String,
        /// Only the key of this fingerprint (`SHA256:…`).
        #[arg(long, value_name = "SHA256")]
        fingerprint: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::List { code } => {
            let rows = source::list(desk.site, &Code::parse(code)?)?;
            if desk.json {
                report::json(&rows)?;
            } else {
                report::stdout(&table(&rows))?;
            }
        }
        Command::Enrol {
            code,
            source,
            key,
            dry_run,
        } => {
            let (code, source) = (Code::parse(code)?, SourceId::parse(source)?);
            let key = read_key(desk, key)?;
            let change = source::enrol(desk.site, &code, &source, &key, *dry_run)?;
            print(desk, &change, "let in", *dry_run)?;
        }
        Command::Revoke {
            code,
            source,
            fingerprint,
            dry_run,
        } => {
            let (code, source) = (Code::parse(code)?, SourceId::parse(source)?);
            let change =
                source::revoke(desk.site, &code, &source, fingerprint.as_deref(), *dry_run)?;
            print(desk, &change, "taken away", *dry_run)?;
        }
    }
    Ok(Exit::Done)
}

fn read_key(desk: &Desk<'_>, file: &Path) -> Result<String> {
    let unreadable = |e| Error::new("key.unreadable", "the key cannot be read").source(e);
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(KEY_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        bytes
    } else {
        let path = absolute(file, desk.cwd);
        let missing = || {
            Error::new(
                "key.unreadable",
                format!("there is no file {}", path.display()),
            )
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(missing());
        };
        Dir::open_absolute(parent)?
            .read(name, KEY_LIMIT)?
            .ok_or_else(missing)?
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn print(desk: &Desk<'_>, change: &Change, done: &str, dry_run: bool) -> Result<()> {
    if desk.json {
        return report::json(change);
    }
    let would = if dry_run { "would be " } else { "" };
    let text = match change.changed {
        0 => format!(
            "{}: nothing to do, it has {} key(s)\n",
            change.source, change.keys
        ),
        many => format!(
            "{}: {many} key(s) {would}{done}, it has {} now\n",
            change.source, change.keys
        ),
    };
    report::stdout(&text)
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "This experiment has no sources.\n".into();
    }
    let mut cells = vec![
        ["SOURCE", "INTO", "EVERY", "KEYS", "FILES", "BYTES", "LAST"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in rows {
        cells.push(vec![
            row.source.clone(),
            row.into.clone(),
            format!("{} min", row.every / 60),
            row.keys.len().to_string(),
            row.delivered.files.to_string(),
            row.delivered.bytes.to_string(),
            row.delivered.last.clone().unwrap_or_else(|| "never".into()),
        ]);
    }
    let mut out = report::table(&cells);
    for row in rows {
        if row.late == Some(true) {
            let _ = writeln!(
                out,
                "warning: {} is late: nothing came in for more than twice its interval",
                row.source
            );
        }
        if let Some(share) = &row.share {
            let _ = writeln!(
                out,
                "{}: writes over SMB into the share {}, as {}",
                row.source, share.name, share.account
            );
        }
        for key in &row.keys {
            let _ = writeln!(
                out,
                "{}: {} since {} by {}",
                row.source,
                key.fingerprint,
                key.added,
                report::printable(&key.by)
            );
        }
    }
    out
}
