//! `octonas ingest …` and `octonas landing CODE`

use std::fmt::Write as _;

use super::Desk;
use crate::catalogue::landing::{Pending, Warning};
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::provision::ingest::{self, Ingested, Landings, Options};
use crate::report;

/// Arguments of `octonas ingest`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The experiment's code.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub code: Option<String>,
    /// All active experiments.
    #[arg(long)]
    pub all: bool,
    /// Only say what would be taken in.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not look into what was received.
    #[arg(long)]
    pub no_probe: bool,
}

/// Takes in what sources delivered.
pub fn run(desk: &Desk<'_>, arguments: &Arguments) -> Result<Exit> {
    let code = arguments.code.as_deref().map(Code::parse).transpose()?;
    let all = ingest::ingest(
        desk.site,
        code.as_ref(),
        Options {
            dry_run: arguments.dry_run,
            no_probe: arguments.no_probe,
        },
    )?;
    if desk.json {
        report::json(&all)?;
    } else {
        let text: String = all
            .iter()
            .map(|one| ingested(one, arguments.dry_run, code.is_some()))
            .collect();
        report::stdout(&text)?;
    }
    Ok(if all.iter().any(|one| one.error.is_some()) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// Shows what lies in the landings.
pub fn landing(desk: &Desk<'_>, code: &str) -> Result<Exit> {
    let found = ingest::landing(desk.site, &Code::parse(code)?)?;
    if desk.json {
        report::json(&found)?;
    } else {
        report::stdout(&landings(&found))?;
    }
    Ok(Exit::Done)
}

fn ingested(one: &Ingested, dry_run: bool, always: bool) -> String {
    let mut out = String::new();
    if let Some(error) = &one.error {
        let _ = writeln!(out, "{}: failed: {}", one.code, report::printable(error));
        return out;
    }
    if let Some(reason) = &one.skipped {
        let _ = writeln!(out, "{}: skipped: {}", one.code, report::printable(reason));
        return out;
    }
    let did = &one.report;
    if did.changed() || always {
        let verb = if dry_run {
            "would be received"
        } else {
            "received"
        };
        let _ = write!(
            out,
            "{}: {} files ({} bytes) {verb}",
            one.code, did.received, did.bytes
        );
        for (count, what) in [
            (did.again, "received again"),
            (did.refused, "refused"),
            (did.pending.len() as u64, "pending"),
        ] {
            if count > 0 {
                let _ = write!(out, ", {count} {what}");
            }
        }
        out.push('\n');
    }
    missing(&did.missing, &mut out);
    warnings(&did.warnings, &mut out);
    out.push_str(&super::catalogue::examined(did.examined.as_ref()));
    out
}

fn missing(sources: &[String], out: &mut String) {
    for source in sources {
        let _ = writeln!(
            out,
            "warning: the landing of {source} is not there (`octonas experiment apply --mend`)"
        );
    }
}

fn warnings(all: &[Warning], out: &mut String) {
    for warning in all {
        let _ = writeln!(
            out,
            "warning: {}: {} [{}]",
            report::printable(&warning.path),
            warning.text,
            warning.code
        );
    }
}

fn landings(found: &Landings) -> String {
    let mut out = format!(
        "{}: {} files ({} bytes) ready, {} pending\n",
        found.code,
        found.ready,
        found.bytes,
        found.pending.len()
    );
    if !found.pending.is_empty() {
        let mut cells = vec![
            ["SOURCE", "FILE", "BYTES", "AGE", "REASON", "WHAT TO DO"]
                .map(str::to_owned)
                .to_vec(),
        ];
        cells.extend(found.pending.iter().map(row));
        out.push_str(&report::table(&cells));
    }
    if found.on_their_way > 0 {
        let _ = writeln!(
            out,
            "{} files are on their way: the next ingest goes on with them",
            found.on_their_way
        );
    }
    for kept in &found.kept {
        let _ = writeln!(
            out,
            "refused and kept since {}: {} of {} ({})",
            kept.time,
            report::printable(&kept.path),
            kept.source,
            kept.reason
        );
    }
    missing(&found.missing, &mut out);
    warnings(&found.warnings, &mut out);
    out
}

fn row(pending: &Pending) -> Vec<String> {
    vec![
        pending.source.clone(),
        report::printable(&pending.path),
        pending.size.to_string(),
        age(pending.age),
        pending.reason.to_owned(),
        report::printable(&pending.detail),
    ]
}

/// How long, in the largest unit that it fills.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
