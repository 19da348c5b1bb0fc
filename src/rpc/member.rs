//! What members may call, and which experiments are theirs to see and to manage.

use serde_json::Value;

use super::{
    One, Request, Select, anybody, code_of, deliveries, dmp, integrity, one, params, required,
    texts, value,
};
use crate::error::{Error, Result};
use crate::experiment::{Access, Code};
use crate::provision::site::Site;
use crate::provision::{check, desired, ingest, list, source};

/// What a member may do.
pub(super) fn user(site: &Site, method: &str, request: &Request) -> Result<Value> {
    let name = request.caller.username.as_str();
    let given = &request.params;
    match method {
        "list-experiments" => {
            let Select { .. } = params(given)?;
            let mut found = list::list(site, false)?;
            found.rows.retain(|row| {
                Code::parse(&row.code).is_ok_and(|code| visible(site, &code, name).is_ok())
            });
            found.unavailable.clear();
            value(found)
        }
        // Where a kit is written is said by the web UI's service, never by the person.
        "enrol-source" | "revoke-source" | "build-synckit" => {
            let code = code_of(given)?;
            visible(site, &code, name)?;
            manages(site, &code, name)?;
            deliveries::admin(site, method, given)
        }
        "landing" => {
            let code = params::<One>(given)?.code;
            visible(site, &code, name)?;
            value(ingest::landing(site, &code)?)
        }
        "list-sources" => {
            let code = params::<One>(given)?.code;
            visible(site, &code, name)?;
            value(source::list(site, &code)?)
        }
        "list-documents" | "show-document" => texts::user(site, method, given, name),
        "rights" => {
            let code = required(params::<Select>(given)?.code)?;
            visible(site, &code, name)?;
            value(check::rights(site, &code, Some(name))?)
        }
        _ if dmp::METHODS.contains(&method) => {
            let (code, access) = dmp::needs(method, given)?;
            visible(site, &code, name)?;
            if access == Access::Manage {
                manages(site, &code, name)?;
            }
            dmp::call(site, method, given)
        }
        _ if one::METHODS.contains(&method) => one::user(site, method, given, name),
        _ if integrity::METHODS.contains(&method) => integrity::user(site, method, given, name),
        _ => anybody(site, method, given),
    }
}

/// What a member may do in an experiment today.
pub(super) fn access(site: &Site, code: &Code, username: &str) -> Result<Option<Access>> {
    let opened = site.open(code)?;
    Ok(opened
        .definition
        .members_on(site.today.get())
        .into_iter()
        .find_map(|(account, access)| (account.as_str() == username).then_some(access)))
}

/// Fails where a member may not change what their experiment says of itself.
pub(super) fn manages(site: &Site, code: &Code, username: &str) -> Result<()> {
    if access(site, code, username)? == Some(Access::Manage) {
        return Ok(());
    }
    Err(Error::new(
        "rpc.forbidden",
        format!("only those who manage {code} may do this"),
    ))
}

/// Somebody else's experiment answers like one that does not exist.
pub(super) fn visible(site: &Site, code: &Code, username: &str) -> Result<()> {
    let unknown = || {
        Error::new(
            "experiment.unknown",
            format!("there is no experiment {code} on this NAS"),
        )
    };
    let opened = site.open(code).map_err(|_| unknown())?;
    crate::provision::site::in_service(&opened).map_err(|_| unknown())?;
    if desired::members(&opened.definition, site.today.get()).contains_key(username) {
        Ok(())
    } else {
        Err(unknown())
    }
}
