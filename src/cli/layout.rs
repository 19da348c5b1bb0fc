//! `octonas layout …`

use clap::Subcommand;

use super::Desk;
use crate::error::{Exit, Result};
use crate::layout::Origin;
use crate::provision::show::layouts as list;
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
        Command::List => {
            let found = list(layouts)?;
            if desk.json {
                report::json(&found)?;
            } else {
                let mut rows = vec![["LAYOUT", "FROM", "TITLE"].map(str::to_owned).to_vec()];
                rows.extend(found.into_iter().map(|each| {
                    let from = match each.origin {
                        Origin::BuiltIn => "built in",
                        Origin::Override => "this NAS",
                    };
                    vec![each.name, from.to_owned(), each.title.en]
                }));
                report::stdout(&report::table(&rows))?;
            }
        }
        Command::Show { name } => report::stdout(layouts.text(name)?)?,
    }
    Ok(Exit::Done)
}
