//! The people of an experiment, edited alone: by administrators, and by those who manage it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{form, value};
use crate::error::{Error, Result};
use crate::experiment::{Access, Code};
use crate::provision::create;
use crate::provision::site::Site;

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

/// Of which experiment accounts are looked for; administrators may leave it out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Where {
    #[serde(default)]
    pub code: Option<Code>,
}

/// The accounts that an administrator may name: all of people.
pub(super) fn all_accounts(site: &Site) -> Result<Value> {
    let seen = site.nas.observe()?;
    let people = seen.accounts.iter().filter(|(_, account)| !account.system);
    Ok(rows(people.map(|(name, _)| name.clone())))
}

/// The accounts that a member is told of: those with whom they share an experiment. Of anybody else they have to know the
/// name, and it is found when the team is changed or not at all.
pub(super) fn known_accounts(site: &Site, member: &str) -> Result<Value> {
    let is_of =
        |members: &[(String, Option<String>)]| members.iter().any(|(name, _)| name == member);
    let rows_of_cache = site.registry()?.list()?;
    let teams = rows_of_cache.into_iter().filter_map(|row| row.members);
    let known: BTreeSet<String> = teams
        .filter(|members| is_of(members))
        .flatten()
        .map(|(name, _)| name)
        .collect();
    Ok(rows(known))
}

fn rows(names: impl IntoIterator<Item = String>) -> Value {
    names
        .into_iter()
        .map(|name| json!({"account": name}))
        .collect()
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
    value(create::edit(
        site,
        text.as_bytes(),
        Some(&team.from),
        options,
    )?)
}
