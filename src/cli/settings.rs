//! `octonas settings …`

use clap::Subcommand;

use super::Desk;
use crate::error::{Error, Exit, Result};
use crate::experiment::SETTINGS;
use crate::provision::settings;
use crate::report;

/// What can be done with the settings of a unit.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What the unit says for all its experiments.
    Show,
    /// Change some of it: `organisation=…`, `years=10`. Nothing after the `=` takes back what was said.
    Set {
        /// Setting and value.
        #[arg(required = true, value_name = "SETTING=VALUE")]
        changes: Vec<String>,
        /// The digest of the settings that the change was made on: refused when they are others by now.
        #[arg(long, value_name = "DIGEST")]
        from: Option<String>,
        /// Only say what would be changed.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Show => {
            let shown = settings::show(desk.site)?;
            for what in &shown.unreadable {
                desk.site.progress.warn(&format!("not read: {what}"));
            }
            if desk.json {
                report::json(&shown)?;
            } else {
                let mut rows = vec![vec!["SETTING".to_owned(), "VALUE".to_owned()]];
                rows.extend(SETTINGS.iter().map(|setting| {
                    let text = shown.settings.get(setting).cloned().unwrap_or_default();
                    vec![(*setting).to_owned(), text]
                }));
                report::stdout(&report::table(&rows))?;
            }
        }
        Command::Set {
            changes,
            from,
            dry_run,
        } => {
            let changes: Vec<(String, String)> = changes
                .iter()
                .map(|each| split(each))
                .collect::<Result<_>>()?;
            let done = settings::change(desk.site, &changes, from.as_deref(), *dry_run)?;
            if desk.json {
                report::json(&done)?;
            } else {
                let lines: String = done
                    .changed
                    .iter()
                    .map(|(setting, (was, is))| {
                        report::printable(&format!("{setting}: {} → {}", said(was), said(is)))
                            + "\n"
                    })
                    .collect();
                report::stdout(&lines)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn said(text: &str) -> &str {
    if text.is_empty() { "(nothing)" } else { text }
}

fn split(change: &str) -> Result<(String, String)> {
    change
        .split_once('=')
        .map(|(setting, text)| (setting.to_owned(), text.to_owned()))
        .ok_or_else(|| {
            Error::new(
                "settings.unknown",
                format!("{} says no value", crate::experiment::text::quote(change)),
            )
            .hint("setting=value")
        })
}
