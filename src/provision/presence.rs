//! Who is still inside: ending the sessions of those who lost a membership, and making sure that a closed experiment is.

use std::collections::BTreeSet;

use super::site::{Opened, Site};
use crate::error::{Error, Result};
use crate::nas::Session;
use crate::object::{Attributes, Found, Kind, ObjectId};
use crate::report::said;

/// How often sessions are looked for again before we say that they remain.
const SESSION_ROUNDS: usize = 5;

/// Closing and reopening happen on the live mounts: everywhere at once, and true only when nobody writes any more.
pub fn freeze(
    site: &Site,
    opened: &Opened,
    wanted: &Attributes,
    found: Option<&Found>,
) -> Result<()> {
    let was = found.and_then(|found| found.attributes.get("self"));
    let read_only = wanted.get("self").is_some_and(|state| state == "ro");
    if was == wanted.get("self") || (was.is_none() && !read_only) {
        return Ok(());
    }
    let left = site.nas.freeze(&opened.path(), read_only)?;
    if left.is_empty() {
        return Ok(());
    }
    Err(busy(opened, &left))
}

fn who(sessions: &[Session]) -> String {
    let mut names: Vec<String> = sessions
        .iter()
        .map(|session| {
            format!(
                "{} ({}, process {})",
                session.account, session.door, session.pid
            )
        })
        .collect();
    names.dedup();
    names.truncate(5);
    names.join(", ")
}

fn revoked(opened: &Opened) -> BTreeSet<String> {
    opened
        .applied
        .intents
        .keys()
        .filter(|id| id.kind == Kind::Revocation)
        .map(|id| id.key.clone())
        .collect()
}

/// Ends the sessions of those who lost a membership, until a fresh look finds none: a process that is about to die may
/// still have made another.
pub fn end_sessions(site: &Site, opened: &Opened) -> Result<()> {
    let accounts = revoked(opened);
    if accounts.is_empty() {
        return Ok(());
    }
    let mut open = site.nas.sessions(&accounts, &opened.path())?;
    for _ in 0..SESSION_ROUNDS {
        if open.is_empty() {
            return Ok(());
        }
        site.progress.note(&said!(
            "ending open sessions: {}",
            "fin des sessions ouvertes : {}",
            who(&open)
        ));
        site.nas.end_sessions(&open)?;
        open = site.nas.sessions(&accounts, &opened.path())?;
    }
    if open.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        "sessions.remain",
        format!(
            "{} keeps old rights: {}",
            opened.definition.code,
            who(&open)
        ),
    )
    .hint("end these sessions, then run `octonas experiment apply` again"))
}

/// The same, and then it is done: every door is shut by now.
pub fn end_revoked(site: &Site, opened: &mut Opened) -> Result<()> {
    end_sessions(site, opened)?;
    for account in revoked(opened) {
        opened
            .applied
            .forget(&ObjectId::new(Kind::Revocation, account))?;
    }
    Ok(())
}

/// Asks whether a closed experiment really is: nobody writes any more, through no mount that shows it.
pub fn confirm_closed(site: &Site, opened: &Opened) -> Result<()> {
    let left = site.nas.freeze(&opened.path(), true)?;
    if left.is_empty() {
        return Ok(());
    }
    Err(busy(opened, &left))
}

fn busy(opened: &Opened, left: &[Session]) -> Error {
    Error::new(
        "close.busy",
        format!(
            "{} is not closed yet: {} still write(s)",
            opened.definition.code,
            who(left)
        ),
    )
    .hint("end these programs, then close again; until then its status is `closing`")
}
