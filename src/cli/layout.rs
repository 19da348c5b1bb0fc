//! `octonas layout …`

use clap::Subcommand;

use super::Desk;
use crate::error::{Error, Exit, Result};
use crate::report;

/// What can be done with layouts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The layouts that a definition can name.
    List,
    /// One layout, as it is written.
    Show {
        /// Its name.
        name: String,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    let layouts = &desk.site.layouts;
    match command {
        Command::List if desk.json => report::json(&layouts.values().map(|layout| &layout.summary).collect::<Vec<_>>())?,
        Command::List => {
            let mut rows = vec![vec!["LAYOUT".to_owned(), "TITLE".to_owned()]];
            rows.extend(
                layouts
                    .iter()
                    .map(|(name, layout)| vec![name.clone(), layout.summary.title.en.clone()]),
            );
            report::stdout(&report::table(&rows))?;
        }
        Command::Show { name } => {
            let layout = layouts
                .get(name)
                .ok_or_else(|| Error::new("layout.unknown", format!("there is no layout {name}")).hint("octonas layout list"))?;
            report::stdout(&layout.text)?;
        }
    }
    Ok(Exit::Done)
}
