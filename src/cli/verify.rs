//! `octonas verify …`, `octonas seal …`, `octonas unseal …`, `octonas accept …`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::Desk;
use super::catalogue::{findings, rate};
use crate::error::{Error, Exit, Result};
use crate::experiment::Code;
use crate::provision::accept::{self, Accepted};
use crate::provision::seal::{self, Sealed};
use crate::provision::verify::{self, Options, Outcome};
use crate::{report, settings};

/// Arguments of `octonas verify`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The experiment's code.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub code: Option<String>,
    /// All experiments in service that somebody has scanned.
    #[arg(long, conflicts_with = "repair_from")]
    pub all: bool,
    /// Pass over files whose last good check is younger, like `30d`; without it, every file is read.
    #[arg(long, value_name = "AGE", default_value = "0s")]
    pub due: String,
    /// Begin nothing new after so long, like `6h`.
    #[arg(long, value_name = "TIME")]
    pub within: Option<String>,
    /// The most that is read in a second, like `50MB`.
    #[arg(long, value_name = "SIZE")]
    pub limit_rate: Option<String>,
    /// Good copies (a directory: a backup, a replica; or a package, also in one file): what is damaged or lost is put back from there.
    #[arg(long, value_name = "PATH")]
    pub repair_from: Option<PathBuf>,
    /// The file with the private key that opens an encrypted package; it is read by age, and kept nowhere.
    #[arg(long, value_name = "FILE", requires = "repair_from")]
    pub identity: Option<PathBuf>,
    /// Only say how much is due.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `octonas seal` and `octonas unseal`.
#[derive(Debug, clap::Args)]
pub struct SealArguments {
    /// The experiment's code.
    pub code: String,
    /// Files or directories below the experiment.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Only count.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `octonas accept`.
#[derive(Debug, clap::Args)]
pub struct AcceptArguments {
    /// The experiment's code.
    pub code: String,
    /// Files below the experiment, or directories: then all silent changes in them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Why they are right as they are, in a line; it stands in the evidence for ever.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only read them and say what would be accepted.
    #[arg(long)]
    pub dry_run: bool,
}

/// A time that people write as `30d`, `12h`, `45min`: in seconds.
pub fn seconds(text: &str) -> Result<u64> {
    let parsed = text
        .parse::<jiff::Span>()
        .and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()))
        .ok()
        .and_then(|time| u64::try_from(time.as_secs()).ok());
    parsed.ok_or_else(|| {
        Error::new(
            "time.invalid",
            format!("`{}` is no length of time", text.escape_debug()),
        )
        .hint("write a number and a unit, like `30d` or `12h`")
    })
}

/// Verifies.
pub fn run(desk: &Desk<'_>, arguments: &Arguments) -> Result<Exit> {
    let code = arguments.code.as_deref().map(Code::parse).transpose()?;
    let within = arguments.within.as_deref().map(seconds).transpose()?;
    let options = Options {
        due: seconds(&arguments.due)?,
        rate: rate(arguments.limit_rate.as_deref())?,
        within: within.map(Duration::from_secs),
        repair_from: arguments
            .repair_from
            .as_ref()
            .map(|path| settings::absolute(path, desk.cwd)),
        identity: arguments
            .identity
            .as_ref()
            .map(|path| settings::absolute(path, desk.cwd)),
        dry_run: arguments.dry_run,
    };
    let all = verify::verify(desk.site, code.as_ref(), &options)?;
    if desk.json {
        report::json(&all)?;
    } else {
        let text: String = all.iter().map(verified).collect();
        report::stdout(&text)?;
    }
    Ok(if all.iter().any(|one| one.error.is_some()) {
        Exit::Failed
    } else if all.iter().any(|one| one.report.is_damaged()) {
        Exit::Drift
    } else {
        Exit::Done
    })
}

fn verified(one: &Outcome) -> String {
    let mut out = format!("{}: ", one.code);
    if let Some(error) = &one.error {
        let _ = writeln!(out, "failed: {}", report::printable(error));
        return out;
    }
    if let Some(why) = &one.skipped {
        let _ = writeln!(out, "skipped: {}", report::printable(why));
        return out;
    }
    if let (Some(files), Some(bytes)) = (one.due, one.due_bytes) {
        let _ = writeln!(out, "{files} files ({bytes} bytes) are due");
        return out;
    }
    let did = &one.report;
    let _ = write!(out, "{} files ({} bytes) are good", did.good, did.bytes);
    if did.good > did.direct {
        let _ = write!(
            out,
            " ({} of them read through the page cache)",
            did.good - did.direct
        );
    }
    for (code, files) in &did.wrong {
        let _ = write!(out, ", {files} {code}");
    }
    for (count, what) in [
        (did.changed, "changed since the last scan"),
        (did.repaired, "put back"),
        (did.left, "still due"),
    ] {
        if count > 0 {
            let _ = write!(out, ", {count} {what}");
        }
    }
    out.push('\n');
    out.push_str(&findings(&did.findings));
    if let Some(kept) = &did.kept {
        let _ = writeln!(out, "the bad files are kept in {}", report::printable(kept));
    }
    out
}

/// Seals, or takes seals off.
pub fn seal(desk: &Desk<'_>, arguments: &SealArguments, sealed: bool) -> Result<Exit> {
    let code = Code::parse(&arguments.code)?;
    let done = seal::change(
        desk.site,
        &code,
        &arguments.paths,
        sealed,
        arguments.dry_run,
    )?;
    if desk.json {
        report::json(&done)?;
    } else {
        report::stdout(&told(&code, &done, sealed, arguments.dry_run))?;
    }
    Ok(if done.left.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn told(code: &Code, done: &Sealed, sealed: bool, dry_run: bool) -> String {
    let verb = match (sealed, dry_run) {
        (true, false) => "sealed",
        (true, true) => "would be sealed",
        (false, false) => "unsealed",
        (false, true) => "would be unsealed",
    };
    let mut out = format!(
        "{code}: {} files {verb}, {} were so already",
        done.files, done.unchanged
    );
    if sealed && !dry_run {
        let _ = write!(out, "; {} have the immutable attribute", done.immutable);
    }
    out.push('\n');
    for left in done.left.iter().take(100) {
        let _ = writeln!(out, "warning: {}", report::printable(left));
    }
    out
}

/// Accepts silent changes.
pub fn accept(desk: &Desk<'_>, arguments: &AcceptArguments) -> Result<Exit> {
    let code = Code::parse(&arguments.code)?;
    let done = accept::accept(
        desk.site,
        &code,
        &arguments.paths,
        &arguments.reason,
        arguments.dry_run,
    )?;
    if desk.json {
        report::json(&done)?;
    } else {
        report::stdout(&accepted(&code, &done, arguments.dry_run))?;
    }
    Ok(if done.left.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn accepted(code: &Code, done: &Accepted, dry_run: bool) -> String {
    let verb = if dry_run { "would be" } else { "are" };
    let mut out = format!(
        "{code}: {} files {verb} accepted as they are",
        done.files.len()
    );
    if !done.good.is_empty() {
        let _ = write!(out, ", {} hold again what they should", done.good.len());
    }
    out.push('\n');
    for file in done.files.iter().take(100) {
        let _ = writeln!(
            out,
            "{}: {} was {}",
            report::printable(&file.path),
            file.sha256,
            file.was
        );
    }
    for left in done.left.iter().take(100) {
        let _ = writeln!(out, "warning: {}", report::printable(left));
    }
    out
}
