//! `octonas notice …`

use clap::Subcommand;

use super::Desk;
use crate::error::{Exit, Result};
use crate::provision::notice::{self, Mail, Scope};
use crate::report;

/// What can be done with notices.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at everything, and tell what was not told yet: missing disks, files that are damaged, lost or changed without a
    /// trace, failed operations, drift, quotas, ends of access, silent machines. Each is mailed once, until it changes.
    Send {
        /// Only show what would be told.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let Command::Send { dry_run } = command;
    let sent = notice::send(desk.site, Scope::All, *dry_run)?;
    if desk.json {
        report::json(&sent)?;
    } else if sent.mails.is_empty() {
        report::stdout("nothing new\n")?;
    } else {
        report::stdout(&sent.mails.iter().map(text).collect::<String>())?;
    }
    Ok(Exit::Done)
}

/// A mail, as it would be read.
pub(super) fn text(mail: &Mail) -> String {
    let how = match (&mail.reason, mail.mailed) {
        (_, true) => "mailed".to_owned(),
        (Some(reason), _) => format!("not mailed: {reason}"),
        (None, _) => "to be mailed".to_owned(),
    };
    format!(
        "{} ({how})\n\n{}\n",
        report::printable(&mail.subject),
        report::printable_lines(&mail.body)
    )
}
