//! The people of an experiment, edited alone: by administrators, and by those who manage it.

use serde::Deserialize;
use serde_json::Value;

use super::{form, value};
use crate::error::{Error, Result};
use crate::experiment::{Access, Code};
use crate::provision::site::Site;
use crate::provision::{create, edit};

/// What the people are to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Team {
    /// Of which experiment.
    pub code: Code,
    /// The digest of the definition that was edited.
    pub from: String,
    /// As in the definition; what is empty in a row is not said.
    pub people: Value,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Puts these people in the place of those who are in the definition. Accounts are not created. Somebody has to manage
/// the experiment afterwards: otherwise only an administrator could take anybody in again.
pub(super) fn edit(site: &Site, team: &Team) -> Result<Value> {
    let opened = site.open(&team.code)?;
    let mut definition = value(&opened.definition)?;
    definition["people"] = form::table("people", &team.people)?;
    let text = definition.to_string();
    let manage = Value::from(Access::Manage.as_str());
    if !definition["people"]
        .as_array()
        .is_some_and(|people| people.iter().any(|person| person["access"] == manage))
    {
        return Err(Error::new(
            "people.unmanaged",
            format!("nobody would manage {}", team.code),
        )
        .hint("give somebody the access `manage`")
        .field("people"));
    }
    let options = create::Options {
        create_accounts: false,
        dry_run: team.dry_run,
    };
    value(edit::edit(
        site,
        text.as_bytes(),
        Some(&team.from),
        options,
    )?)
}
