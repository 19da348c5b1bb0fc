//! `octonas rights CODE`

use std::fmt::Write as _;

use super::Desk;
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::provision::check;
use crate::provision::rights::{Operation, Rights};
use crate::report;

/// Arguments of `octonas rights`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The experiment's code.
    pub code: String,
    /// Only this account (it need not be a member).
    #[arg(long, value_name = "ACCOUNT")]
    pub user: Option<String>,
}

/// Prints the table of effective rights.
pub fn run(desk: &Desk<'_>, arguments: &Arguments) -> Result<Exit> {
    let rights = check::rights(
        desk.site,
        &Code::parse(&arguments.code)?,
        arguments.user.as_deref(),
    )?;
    if desk.json {
        report::json(&rights)?;
    } else {
        report::stdout(&text(&rights))?;
    }
    Ok(Exit::Done)
}

fn text(rights: &Rights) -> String {
    let mut rows = vec![
        ["ACCOUNT", "DOOR"]
            .into_iter()
            .chain(Operation::ALL.map(Operation::name))
            .chain(["WHY NOT"])
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    let per_row = Operation::ALL.len();
    for cells in rights.cells.chunks(per_row) {
        let Some(first) = cells.first() else { continue };
        let mut row = vec![first.account.clone(), first.door.name().to_owned()];
        row.extend(
            cells
                .iter()
                .map(|cell| if cell.allowed { "yes" } else { "-" }.to_owned()),
        );
        let mut reasons: Vec<&str> = cells
            .iter()
            .filter(|cell| {
                !cell.allowed && !matches!(cell.operation, Operation::Frame | Operation::Metadata)
            })
            .map(|cell| cell.reason.en.as_str())
            .collect();
        reasons.dedup();
        row.push(reasons.join("; "));
        rows.push(row);
    }
    debug_assert_eq!(rights.cells.len() % per_row, 0);
    let mut out = report::table(&rows);
    out.push_str(
        "frame: directories of the layout belong to root; metadata: written by OctoNAS alone.\n",
    );
    for host in &rights.hosts {
        let _ = writeln!(
            out,
            "NFS host {}: {}",
            report::printable(&host.client),
            host.reason.en
        );
    }
    if !rights.enforced {
        out.push_str(
            "These rights are declared, not enforced: an embedded NAS is one user's directory.\n",
        );
    }
    out
}
