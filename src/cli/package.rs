//! `octonas package …`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Desk;
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::package::age::Recipient;
use crate::package::container::Format;
use crate::package::pick::Pattern;
use crate::package::ro_crate::Version;
use crate::package::verify::{self, Verdict};
use crate::provision::package::{self, Options, Packaged};
use crate::provision::restore;
use crate::report::{self, Progress};
use crate::settings::absolute;

/// What can be done with packages.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write an experiment as a BagIt bag that is an RO-Crate.
    Create(Create),
    /// Check any bag: a directory, a tar (.gz, .zst), a zip, encrypted or not.
    Verify(Verify),
    /// Bring back what a package holds: into a directory, or as the experiment that it was.
    Restore(Restore),
}

/// Arguments of `octonas package create`.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub struct Create {
    /// The experiment's code.
    code: String,
    /// The package; in a directory that is there it is called `CODE_DATE`.
    #[arg(long, short, value_name = "PATH")]
    out: PathBuf,
    /// What comes out.
    #[arg(long, default_value = "tar.zst", value_parser = ["dir", "tar.zst", "zip"])]
    format: String,
    /// Only these files (and the documents): `raw/**`, `*.csv`; again for more.
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// SHA-512 beside SHA-256.
    #[arg(long)]
    sha512: bool,
    /// Encrypt it for this public key (age, X25519), and for those of the unit; again for more.
    #[arg(long, value_name = "age1…")]
    recipient: Vec<String>,
    /// Encrypt it for the unit's own keys (`encryption.recipients`).
    #[arg(long)]
    encrypt: bool,
    /// Take files that are not what they were when they came in.
    #[arg(long)]
    allow_changed: bool,
    /// Version of RO-Crate.
    #[arg(long, default_value = "1.1", value_parser = ["1.1", "1.2"])]
    ro_crate: String,
    /// How hard Zstandard tries.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// Only say what would go into it.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `octonas package verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The package.
    path: PathBuf,
    /// The file with the private key that opens it; it is read by age, and kept nowhere.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// How many bytes a container may become at most.
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,
}

/// Arguments of `octonas package restore`.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The package.
    path: PathBuf,
    /// Where to, and how.
    #[command(flatten)]
    to: Target,
}

/// Where something is brought back to.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// A directory that is not there yet.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "as_code",
        conflicts_with = "as_code"
    )]
    into: Option<PathBuf>,
    /// The experiment itself, in service on this NAS: its code.
    #[arg(long = "as", value_name = "CODE")]
    as_code: Option<String>,
    /// The base that holds the experiment.
    #[arg(long, value_name = "PATH", requires = "as_code")]
    base: Option<PathBuf>,
    /// The file with the private key that opens it.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// How many bytes a container may become at most.
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,
    /// Only check the package (with --as).
    #[arg(long, requires = "as_code")]
    dry_run: bool,
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Create(arguments) => create(desk, arguments),
        Command::Restore(arguments) => {
            bring_back(desk, &absolute(&arguments.path, desk.cwd), &arguments.to)
        }
        Command::Verify(arguments) => {
            verify(arguments, desk.cwd, desk.json, desk.site.progress.as_ref())
        }
    }
}

fn create(desk: &Desk<'_>, arguments: &Create) -> Result<Exit> {
    let parse = |text: &String| Recipient::parse(text);
    let options = Options {
        format: Format::parse(&arguments.format)?,
        only: arguments
            .only
            .iter()
            .map(|text| Pattern::parse(text))
            .collect::<Result<_>>()?,
        sha512: arguments.sha512,
        recipients: arguments
            .recipient
            .iter()
            .map(parse)
            .collect::<Result<_>>()?,
        encrypt: arguments.encrypt,
        allow_changed: arguments.allow_changed,
        ro_crate: Version::parse(&arguments.ro_crate).unwrap_or_default(),
        level: arguments.level,
        dry_run: arguments.dry_run,
    };
    let out = absolute(&arguments.out, desk.cwd);
    let made = package::create(desk.site, &Code::parse(&arguments.code)?, &out, &options)?;
    if desk.json {
        report::json(&made)?;
    } else {
        report::stdout(&packaged(&made, arguments.dry_run))?;
    }
    Ok(Exit::Done)
}

/// A package for people.
pub fn packaged(made: &Packaged, dry_run: bool) -> String {
    let verb = if dry_run {
        "would be written"
    } else {
        "written and verified"
    };
    let mut out = format!(
        "{}: {} files ({} bytes) {verb}\n",
        report::printable(&made.path),
        made.files,
        made.bytes
    );
    if let (Some(size), Some(sum)) = (made.size, &made.sha256) {
        let _ = writeln!(out, "{size} bytes, SHA-256 {sum}");
    }
    for recipient in &made.recipients {
        let _ = writeln!(out, "encrypted for {recipient}");
    }
    for (what, paths) in [
        (
            "taken although it is not what it was when it came in",
            &made.changed,
        ),
        ("left out", &made.left_out),
        (
            "has another name in the package, its own is not UTF-8",
            &made.renamed,
        ),
        ("peculiar name", &made.peculiar),
    ] {
        for path in paths {
            let _ = writeln!(out, "warning: {}: {what}", report::printable(path));
        }
    }
    out
}

/// Checks a package; no NAS is needed for that.
pub fn verify(arguments: &Verify, cwd: &Path, json: bool, progress: &dyn Progress) -> Result<Exit> {
    let options = verify::Options {
        identity: arguments.identity.as_ref().map(|file| absolute(file, cwd)),
        max_size: arguments.max_size,
        cold: false,
    };
    let path = absolute(&arguments.path, cwd);
    let found = verify::verify(&path, &options, progress)?;
    if json {
        report::json(&found)?;
    } else {
        report::stdout(&verdict(&found))?;
    }
    Ok(if found.valid { Exit::Done } else { Exit::Drift })
}

/// A verdict for people.
pub fn verdict(found: &Verdict) -> String {
    let mut out = String::new();
    for finding in &found.findings.found {
        let at = if finding.path.is_empty() {
            String::new()
        } else {
            format!("{}: ", report::printable(&finding.path))
        };
        let _ = writeln!(
            out,
            "{}: {at}{} [{}]",
            finding.severity,
            report::printable(&finding.message),
            finding.code
        );
    }
    if found.findings.more > 0 {
        let _ = writeln!(out, "… and {} more", found.findings.more);
    }
    let word = if found.valid { "valid" } else { "NOT VALID" };
    let names: Vec<&str> = found
        .said
        .algorithms
        .iter()
        .map(|each| each.name())
        .collect();
    let _ = writeln!(
        out,
        "{}: {word}: BagIt {}, {} files ({} bytes), {}",
        report::printable(&found.path),
        if found.said.version.is_empty() {
            "?"
        } else {
            &found.said.version
        },
        found.said.files,
        found.said.bytes,
        names.join(" and ")
    );
    out
}

/// Brings a package back.
pub fn bring_back(desk: &Desk<'_>, from: &Path, to: &Target) -> Result<Exit> {
    let reading = verify::Options {
        identity: to.identity.as_ref().map(|file| absolute(file, desk.cwd)),
        max_size: to.max_size,
        cold: true,
    };
    let text = match (&to.into, &to.as_code) {
        (_, Some(code)) => {
            let options = restore::Options {
                reading,
                base: to.base.as_ref().map(|base| absolute(base, desk.cwd)),
                grant: Vec::new(),
                dry_run: to.dry_run,
            };
            let revived = restore::revive(desk.site, from, &Code::parse(code)?, &options)?;
            if desk.json {
                report::json(&revived)?;
                return Ok(Exit::Done);
            }
            let done = if to.dry_run {
                "could be restored"
            } else {
                "restored and in service"
            };
            format!(
                "{}: {done}, in {}; nobody has access before `octonas experiment edit` gives it\n",
                revived.code, revived.path
            )
        }
        (Some(into), None) => {
            let into = absolute(into, desk.cwd);
            let restored = restore::into(from, &into, &reading, desk.site.progress.as_ref())?;
            if desk.json {
                report::json(&restored)?;
                return Ok(Exit::Done);
            }
            format!(
                "{}: {} files ({} bytes) restored and verified\n",
                report::printable(&restored.path),
                restored.said.files,
                restored.said.bytes
            )
        }
        (None, None) => return Ok(Exit::Usage),
    };
    report::stdout(&text)?;
    Ok(Exit::Done)
}
