//! Who could enter the directory before, and who may afterwards.

use std::collections::BTreeSet;

use serde::Serialize;

use super::place::Place;
use crate::error::Result;
use crate::experiment::Definition;
use crate::nas::{self, Observation};
use crate::object::{Attributes, Kind};
use crate::provision::desired::{self, Right};
use crate::provision::site::Site;
use crate::sys::acl::{Acl, Perms, Which};
use crate::sys::dir::Dir;

/// What changes for one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name.
    #[serde(rename = "account")]
    pub name: String,
    /// `gains`, `loses`, `widens`, `narrows` or `keeps`.
    pub change: &'static str,
    /// What it could do in the directory itself: `none`, `read`, `write`; `unknown` where the NAS enforces nothing.
    pub before: &'static str,
    /// What it may do in the experiment.
    pub after: &'static str,
    /// Where the shared folder's privileges or the file system alone gave it.
    pub reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    None,
    Read,
    Write,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Everybody for whom something changes, or who is a member.
pub fn compare(
    site: &Site,
    definition: &Definition,
    dir: &Dir,
    place: &Place,
    seen: &Observation,
) -> Result<Vec<Account>> {
    let members = desired::members(definition, site.today.get());
    if !site.nas.identity().enforces_rights {
        return Ok(members
            .into_iter()
            .map(|(name, right)| Account {
                name,
                change: "gains",
                before: "unknown",
                after: level(right).name(),
                reason: "rights are declared here, and not enforced".to_owned(),
            })
            .collect());
    }
    let metadata = dir.metadata()?;
    let acl = dir
        .acl(Which::Access)?
        .unwrap_or_else(|| Acl::from_mode(metadata.mode));
    let privileges = place
        .door(seen, Kind::Privileges)
        .map(|found| &found.attributes);
    let is_shared = place.door(seen, Kind::SharedFolder).is_some();
    let names: BTreeSet<&String> = seen
        .accounts
        .iter()
        .filter(|(_, account)| !account.system)
        .map(|(name, _)| name)
        .chain(members.keys())
        .collect();
    let mut all = Vec::new();
    for name in names {
        let account = seen.accounts.get(name);
        let on_disk = account.map_or(Level::None, |account| {
            file_system(&acl, metadata.uid, metadata.gid, account, seen)
        });
        let shared = match (is_shared, account) {
            (true, Some(account)) => by_privileges(privileges, name, account),
            _ => Level::Write,
        };
        let before = on_disk.min(shared);
        let after = members.get(name).map_or(Level::None, |right| level(*right));
        let change = match (before, after) {
            (Level::None, Level::None) => continue,
            (a, b) if a == b => "keeps",
            (Level::None, _) => "gains",
            (_, Level::None) => "loses",
            (a, b) if a < b => "widens",
            _ => "narrows",
        };
        let reason = match (shared < on_disk, on_disk < shared && is_shared) {
            (true, _) => format!(
                "the file system gave {}, the shared folder's privileges {}",
                on_disk.name(),
                shared.name()
            ),
            (_, true) => format!(
                "the shared folder's privileges gave {}, the file system {}",
                shared.name(),
                on_disk.name()
            ),
            _ => String::new(),
        };
        all.push(Account {
            name: name.clone(),
            change,
            before: before.name(),
            after: after.name(),
            reason,
        });
    }
    let rank = |change: &str| {
        ["loses", "narrows", "gains", "widens", "keeps"]
            .iter()
            .position(|known| *known == change)
    };
    all.sort_by(|a, b| (rank(a.change), &a.name).cmp(&(rank(b.change), &b.name)));
    Ok(all)
}

fn level(right: Right) -> Level {
    match right {
        Right::Read => Level::Read,
        Right::Write => Level::Write,
    }
}

/// What the file system lets an account do in the directory itself.
fn file_system(
    acl: &Acl,
    owner: u32,
    group: u32,
    account: &nas::Account,
    seen: &Observation,
) -> Level {
    let Some(uid) = account.uid else {
        return Level::None;
    };
    let groups: Vec<u32> = account
        .groups
        .iter()
        .filter_map(|name| seen.group_ids.get(name).copied())
        .collect();
    let granted = acl.allowed(owner, group, uid, &groups);
    if granted.covers(Perms::ALL) {
        Level::Write
    } else if granted.covers(Perms::READ) {
        Level::Read
    } else {
        Level::None
    }
}

/// What OpenMediaVault's privileges let an account do over SMB and FTP; without any, everybody may try.
fn by_privileges(privileges: Option<&Attributes>, name: &str, account: &nas::Account) -> Level {
    let Some(privileges) = privileges.filter(|privileges| !privileges.is_empty()) else {
        return Level::Write;
    };
    let given: BTreeSet<&str> = privileges
        .iter()
        .filter(|(row, _)| match row.split_once(':') {
            Some(("user", user)) => user == name,
            Some(("group", group)) => account.groups.contains(group),
            _ => false,
        })
        .map(|(_, perms)| perms.as_str())
        .collect();
    if given.contains("none") {
        Level::None
    } else if given.contains("write") {
        Level::Write
    } else if given.contains("read") {
        Level::Read
    } else {
        Level::None
    }
}
