//! One experiment: what it is, what was done with it, its definition in the shapes that pages need.

use serde_json::{Value, json};

use super::member::{access, manages, visible};
use super::{One, anybody, form, params, required, team, value};
use crate::error::Result;
use crate::experiment::{Access, Code};
use crate::provision::site::Site;
use crate::provision::{history, show};

/// The methods.
pub(super) const METHODS: [&str; 6] = [
    "edit-team",
    "history",
    "list-accounts",
    "show-definition",
    "show-experiment",
    "show-form",
];

/// Where archives lie: other disks and machines, which are the administrators' alone.
const PLACES: &str = "places";

/// What administrators may do.
pub(super) fn admin(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "edit-team" => team::edit(site, &params(given)?),
        "list-accounts" => {
            let team::Where { .. } = params(given)?;
            team::all_accounts(site)
        }
        "show-form" => form::show(site, given),
        "show-experiment" => shown(site, &params::<One>(given)?.code, Access::Manage.as_str()),
        _ => look(site, method, &params::<One>(given)?.code),
    }
}

/// What a member may do.
pub(super) fn user(site: &Site, method: &str, given: &Value, name: &str) -> Result<Value> {
    match method {
        "show-form" => anybody(site, method, given),
        "list-accounts" => {
            let code = required(params::<team::Where>(given)?.code)?;
            visible(site, &code, name)?;
            manages(site, &code, name)?;
            team::known_accounts(site, name)
        }
        "edit-team" => {
            let team: team::Team = params(given)?;
            visible(site, &team.code, name)?;
            manages(site, &team.code, name)?;
            team::edit(site, &team)
        }
        _ => {
            let code = params::<One>(given)?.code;
            visible(site, &code, name)?;
            match method {
                "show-experiment" => {
                    let access = access(site, &code, name)?.map_or("", Access::as_str);
                    shown(site, &code, access)
                }
                "history" => {
                    let mut lines = history::history(site, &code)?;
                    for line in &mut lines {
                        line.detail.remove(PLACES);
                    }
                    value(lines)
                }
                _ => look(site, method, &code),
            }
        }
    }
}

fn look(site: &Site, method: &str, code: &Code) -> Result<Value> {
    match method {
        "history" => value(history::history(site, code)?),
        _ => Ok(json!({"text": site.open(code)?.definition.to_yaml()?})),
    }
}

/// An experiment, with what the caller may do in it, and what the last check found.
fn shown(site: &Site, code: &Code, access: &str) -> Result<Value> {
    let shown = show::show(site, code)?;
    let seen = match shown.definition.id {
        Some(id) => site.registry()?.by_id(&id.to_string())?,
        None => None,
    };
    let mut shown = value(shown)?;
    shown["access"] = access.into();
    shown["seen"] = value(seen.and_then(|known| known.seen))?;
    Ok(shown)
}
