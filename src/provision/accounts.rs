//! Accounts of people, and of machines that come in over a share: existing ones join, missing ones are created only when
//! asked, system accounts never.

use std::collections::BTreeSet;

use super::desired;
use super::site::Site;
use crate::error::{Error, Passwords, Result};
use crate::experiment::{AccountName, Date, Definition, Email};
use crate::nas::Observation;
use crate::object::Kind;
use crate::report::said;

/// Whoever is to come in with an account.
pub struct Holder<'a> {
    /// The account.
    pub account: &'a AccountName,
    /// A person's name, or what the machine is.
    pub name: String,
    /// A person's address.
    pub email: Option<&'a Email>,
}

/// Everybody who should have access today, machines last.
fn holders(definition: &Definition, today: Date) -> Vec<Holder<'_>> {
    let members = desired::members(definition, today);
    let people = definition.people.iter().filter_map(|person| {
        let account = person.account.as_ref()?;
        members.contains_key(account.as_str()).then(|| Holder {
            account,
            name: person.name.clone(),
            email: person.email.as_ref(),
        })
    });
    let machines = definition.sources.iter().filter_map(|source| {
        Some(Holder {
            account: source.account.as_ref()?,
            name: format!("{}, {}", source.id, definition.code),
            email: None,
        })
    });
    people.chain(machines).collect()
}

/// Those of them who have no account yet.
pub fn missing<'a>(
    definition: &'a Definition,
    observation: &Observation,
    today: Date,
) -> Vec<Holder<'a>> {
    let mut holders = holders(definition, today);
    holders.retain(|holder| !observation.accounts.contains_key(holder.account.as_str()));
    holders
}

/// Fails where somebody who should have access has no account, or a system account.
pub fn check(definition: &Definition, observation: &Observation, today: Date) -> Result<()> {
    let missing: Vec<&str> = missing(definition, observation, today)
        .into_iter()
        .map(|holder| holder.account.as_str())
        .collect();
    if !missing.is_empty() {
        return Err(Error::new(
            "account.missing",
            format!("the NAS has no account {}", missing.join(", ")),
        )
        .hint("create it in the NAS's panel, or run the command again with --create-accounts")
        .field("people"));
    }
    for Holder { account, .. } in holders(definition, today) {
        if observation
            .accounts
            .get(account.as_str())
            .is_some_and(|found| found.system)
        {
            return Err(Error::new(
                "account.system",
                format!("{account} is a system account: nobody comes in with it"),
            )
            .hint("give the person, or the machine, an account of their own")
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
    let people = definition.people.iter();
    let machines = definition.sources.iter();
    people
        .filter_map(|person| person.account.as_ref())
        .chain(machines.filter_map(|source| source.account.as_ref()))
        .map(AccountName::to_string)
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
            site.progress.warn(&said!(
                "{account} has a shell on the NAS (group _ssh): no jail confines them, and what a shell can keep, \
                 a removal does not take away (docs/concepts/walls.md)",
                "{account} a un shell sur le NAS (groupe _ssh) : rien ne le confine, et ce qu'un shell peut garder, \
                 un retrait ne le reprend pas (docs/concepts/walls.md)"
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
    for holder in missing(definition, observation, site.today.get()) {
        let Holder {
            account,
            name,
            email,
        } = holder;
        site.progress.note(&said!(
            "creating the account {account} for {name}",
            "création du compte {account} pour {name}"
        ));
        let email = email.map(Email::as_str);
        if let Some(password) = site.nas.create_account(account, &name, email)? {
            passwords.insert(account.to_string(), password);
        }
    }
    Ok(())
}
