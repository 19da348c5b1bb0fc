//! The second half of creating, editing and importing: accounts that are missing, the NAS as the definitions say, and how
//! it ended, for the ledger and for the list. One experiment, or several at once.

use std::collections::{BTreeSet, VecDeque};

use super::apply::{self, Outcome};
use super::create::Options;
use super::operation::Operation;
use super::site::{Opened, Site};
use super::{accounts, converge, documents};
use crate::error::{Error, Passwords, Result};
use crate::experiment::Definition;
use crate::nas::{Account, Observation};

/// The accounts that `--create-accounts` will make count as if they were there.
pub(super) fn assume(
    site: &Site,
    definition: &Definition,
    observation: &mut Observation,
    options: Options,
) {
    if !options.create_accounts {
        return;
    }
    let names: Vec<String> = accounts::missing(definition, observation, site.today.get())
        .into_iter()
        .map(|holder| holder.account.to_string())
        .collect();
    for name in names {
        let account = Account {
            uid: None,
            system: false,
            groups: BTreeSet::new(),
        };
        observation.accounts.insert(name, account);
    }
}

/// Whoever is to be let in has an account of their own.
pub(super) fn accounts_are_there(
    site: &Site,
    definition: &Definition,
    observation: &Observation,
) -> Result<()> {
    accounts::doors(definition, observation)?;
    if !site.nas.identity().enforces_rights {
        return Ok(());
    }
    accounts::check(definition, observation, site.today.get())
}

/// `seen` was observed under the lock of the NAS.
pub(super) fn settle(
    site: &Site,
    opened: &mut Opened,
    options: Options,
    seen: Observation,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    if options.dry_run {
        return apply::preview(site, opened, &seen);
    }
    settle_all(site, vec![(opened, operation)], options, seen)
        .pop()
        .unwrap_or_else(|| Err(Error::new("apply.unsettled", "nothing was done")))
}

/// Makes the accounts that are missing, then the NAS as the definitions say, and tells the ledger and the list how each
/// one ended.
pub(super) fn settle_all(
    site: &Site,
    all: Vec<(&mut Opened, &Operation<'_>)>,
    options: Options,
    mut seen: Observation,
) -> Vec<Result<Outcome>> {
    let mut passwords: Vec<Passwords> = Vec::new();
    let mut accounts: Vec<Result<()>> = Vec::new();
    let mut made = false;
    for (opened, operation) in &all {
        site.note(opened);
        let mut fresh = Passwords::default();
        accounts.push(if options.create_accounts {
            make_accounts(site, opened, &mut seen, &mut fresh, operation, &mut made)
        } else {
            Ok(())
        });
        passwords.push(fresh);
    }
    let mut all = all;
    let mut works: Vec<converge::Work<'_>> = all
        .iter_mut()
        .zip(&accounts)
        .filter(|(_, accounts)| accounts.is_ok())
        .map(|((opened, operation), _)| converge::Work::new(opened, operation))
        .collect();
    converge::together(site, &mut works, false, (!made).then_some(seen));
    let mut ended: VecDeque<Result<Outcome>> =
        works.into_iter().map(converge::Work::result).collect();
    all.into_iter()
        .zip(accounts)
        .zip(passwords)
        .map(|(((opened, operation), accounts), passwords)| {
            let result = accounts.and_then(|()| {
                ended
                    .pop_front()
                    .unwrap_or_else(|| Err(Error::new("apply.unsettled", "nothing was done")))
            });
            conclude(site, opened, operation, result, passwords)
        })
        .collect()
}

fn make_accounts(
    site: &Site,
    opened: &Opened,
    seen: &mut Observation,
    fresh: &mut Passwords,
    operation: &Operation<'_>,
    made: &mut bool,
) -> Result<()> {
    let definition = &opened.definition;
    if accounts::missing(definition, seen, site.today.get()).is_empty() {
        return Ok(());
    }
    *made = true;
    operation.begin()?;
    accounts::create(site, definition, seen, fresh)?;
    // Another experiment of the same call may name them too: making an account twice would give it another password.
    let options = Options {
        create_accounts: true,
        ..Options::default()
    };
    assume(site, definition, seen, options);
    Ok(())
}

fn conclude(
    site: &Site,
    opened: &Opened,
    operation: &Operation<'_>,
    result: Result<Outcome>,
    mut passwords: Passwords,
) -> Result<Outcome> {
    let detail = |outcome: &Outcome| {
        vec![
            ("digest", outcome.digest.clone()),
            ("steps", outcome.steps.len().to_string()),
        ]
    };
    // Passwords exist nowhere else: they are shown even when what follows fails.
    let mut outcome = match operation.end(result, detail) {
        Ok(outcome) => outcome,
        Err(error) => {
            passwords.extend(site.nas.fresh_passwords());
            return Err(error.passwords(passwords));
        }
    };
    outcome.passwords.append(passwords);
    site.note(opened);
    documents::follow(site, opened);
    Ok(outcome)
}
