//! People's accounts: existing ones join, missing ones are created only when asked, system accounts never.

use std::collections::BTreeSet;

use super::desired;
use super::site::Site;
use crate::error::{Error, Passwords, Result};
use crate::experiment::{AccountName, Date, Definition, Email, Person};
use crate::nas::Observation;
use crate::object::Kind;

/// The people who should have access today and have no account yet.
pub fn missing<'a>(
    definition: &'a Definition,
    observation: &Observation,
    today: Date,
) -> Vec<&'a Person> {
    let members = desired::members(definition, today);
    definition
        .people
        .iter()
        .filter(|person| {
            person.account.as_ref().is_some_and(|account| {
                members.contains_key(account.as_str())
                    && !observation.accounts.contains_key(account.as_str())
            })
        })
        .collect()
}

/// Fails where somebody who should have access has no account, or a system account.
pub fn check(definition: &Definition, observation: &Observation, today: Date) -> Result<()> {
    let missing: Vec<&str> = missing(definition, observation, today)
        .into_iter()
        .filter_map(|person| person.account.as_ref())
        .map(AccountName::as_str)
        .collect();
    if !missing.is_empty() {
        return Err(Error::new(
            "account.missing",
            format!("the NAS has no account {}", missing.join(", ")),
        )
        .hint("create it in the NAS's panel, or run the command again with --create-accounts")
        .field("people"));
    }
    for account in desired::members(definition, today).keys() {
        if observation
            .accounts
            .get(account)
            .is_some_and(|found| found.system)
        {
            return Err(Error::new(
                "account.system",
                format!("{account} is a system account: it cannot be a member"),
            )
            .hint("give the person an account of their own")
            .field("people"));
        }
    }
    Ok(())
}

/// Fails where a door is asked for that the NAS does not have.
pub fn doors(definition: &Definition, observation: &Observation) -> Result<()> {
    let protocols = &definition.protocols;
    let asked = [
        (Kind::FtpShare, "ftp", protocols.ftp),
        (Kind::NfsShare, "nfs", !protocols.nfs.is_empty()),
    ];
    for (kind, name, _) in asked.into_iter().filter(|(_, _, asked)| *asked) {
        if let Some(what_to_do) = observation.lacking.get(&kind) {
            return Err(Error::new(
                "door.lacking",
                format!(
                    "{} asks for {name}, which this NAS does not have",
                    definition.code
                ),
            )
            .hint(what_to_do.clone())
            .field(format!("protocols.{name}")));
        }
    }
    Ok(())
}

/// The accounts of a definition to whom nothing can be given: they are not there, or are system accounts.
pub fn absent(definition: &Definition, observation: &Observation) -> BTreeSet<String> {
    definition
        .people
        .iter()
        .filter_map(|person| Some(person.account.as_ref()?.to_string()))
        .filter(|account| {
            observation
                .accounts
                .get(account)
                .is_none_or(|found| found.system)
        })
        .collect()
}

/// Says who, of the members, has a shell on the NAS: no jail confines them.
pub fn warn_of_shells(site: &Site, definition: &Definition, observation: &Observation) {
    for account in desired::members(definition, site.today.get()).keys() {
        if observation
            .accounts
            .get(account)
            .is_some_and(|found| found.groups.contains("_ssh"))
        {
            site.progress.warn(&format!(
                "{account} has a shell on the NAS (group _ssh): no jail confines them, and what a shell can keep, \
                 a removal does not take away (docs/concepts/walls.md)"
            ));
        }
    }
}

/// Creates the accounts that are missing, and enters their initial passwords into `passwords` as it goes.
pub fn create(
    site: &Site,
    definition: &Definition,
    observation: &Observation,
    passwords: &mut Passwords,
) -> Result<()> {
    for person in missing(definition, observation, site.today.get()) {
        let Some(account) = &person.account else {
            continue;
        };
        site.progress.note(&format!(
            "creating the account {account} for {}",
            person.name
        ));
        let email = person.email.as_ref().map(Email::as_str);
        if let Some(password) = site.nas.create_account(account, &person.name, email)? {
            passwords.insert(account.to_string(), password);
        }
    }
    Ok(())
}
