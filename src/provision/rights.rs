//! Effective rights: person × door × operation, from what is observed, with the reason for each cell. Pure.

mod doors;
mod file_system;
mod hosts;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::experiment::Definition;
use crate::nas::Account;
use crate::object::{Found, Kind, ObjectId};
use crate::report::{Said, said};

use doors::{Way, is_shown, way};
use file_system::FileSystem;

pub use doors::Door;
pub use hosts::HostRow;

/// What a person may want to do in an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// See the tree.
    List,
    /// Read files.
    Read,
    /// Make files and directories in the leaves.
    Create,
    /// Change a file that somebody else made.
    Overwrite,
    /// Delete a file that somebody else made.
    Delete,
    /// Rename, delete or make directories of the frame.
    Frame,
    /// Change what is in `metadata/`.
    Metadata,
}

impl Operation {
    /// All operations, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::List,
        Self::Read,
        Self::Create,
        Self::Overwrite,
        Self::Delete,
        Self::Frame,
        Self::Metadata,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::Frame => "frame",
            Self::Metadata => "metadata",
        }
    }
}

/// One cell of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Whose.
    pub account: String,
    /// Through which door.
    pub door: Door,
    /// To do what.
    pub operation: Operation,
    /// Whether it works.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: Said,
}

/// Everybody's rights in one experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// The experiment.
    pub code: String,
    /// False where rights are declared and not enforced.
    pub enforced: bool,
    /// Person × door × operation.
    pub cells: Vec<Cell>,
    /// NFS, by host.
    pub hosts: Vec<HostRow>,
}

/// What the table is made from.
pub struct Basis<'a> {
    /// The definition.
    pub definition: &'a Definition,
    /// The objects of this experiment, as observed.
    pub observed: &'a BTreeMap<ObjectId, Found>,
    /// All objects of the NAS: a person's doors depend on their other experiments, too.
    pub entries: &'a BTreeMap<ObjectId, Found>,
    /// The share of its base in which it lies; `None` where it has its own.
    pub common_share: Option<&'a str>,
    /// The paths of the leaves.
    pub leaves: &'a BTreeSet<String>,
    /// The accounts, as observed.
    pub accounts: &'a BTreeMap<String, Account>,
    /// Whether the NAS enforces rights.
    pub enforced: bool,
}

/// The table, for everybody who is named by the definition or found on the NAS, or for one account.
pub fn rights(basis: &Basis<'_>, only: Option<&str>) -> Rights {
    let code = basis.definition.code.to_string();
    let accounts: BTreeSet<String> = match only {
        Some(account) => BTreeSet::from([account.to_owned()]),
        None => everybody(basis),
    };
    let mut cells = Vec::new();
    for account in accounts {
        let reach = FileSystem::of(basis, &account);
        for door in Door::ALL {
            if !is_shown(basis, door) {
                continue;
            }
            let way = way(basis, &account, door);
            for operation in Operation::ALL {
                let (allowed, reason) = cell(&way, &reach, operation);
                cells.push(Cell {
                    account: account.clone(),
                    door,
                    operation,
                    allowed,
                    reason,
                });
            }
        }
    }
    let hosts = hosts::rows(basis);
    Rights {
        code,
        enforced: basis.enforced,
        cells,
        hosts,
    }
}

fn everybody(basis: &Basis<'_>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = basis
        .definition
        .people
        .iter()
        .filter_map(|person| Some(person.account.as_ref()?.to_string()))
        .collect();
    for (id, found) in basis.observed {
        let prefix = match id.kind {
            Kind::Group => "member:",
            Kind::Privileges => "user:",
            Kind::Mounts => "jail:",
            _ => continue,
        };
        names.extend(
            found
                .attributes
                .keys()
                .filter_map(|name| name.strip_prefix(prefix))
                .map(str::to_owned),
        );
    }
    names
}

fn groups_of(basis: &Basis<'_>, account: &str) -> BTreeSet<String> {
    let mut groups = basis
        .accounts
        .get(account)
        .map(|account| account.groups.clone())
        .unwrap_or_default();
    for (id, found) in basis
        .observed
        .iter()
        .filter(|(id, _)| id.kind == Kind::Group)
    {
        let member = format!("member:{account}");
        if found.attributes.contains_key(&member) {
            groups.insert(id.key.clone());
        } else {
            groups.remove(&id.key);
        }
    }
    groups
}

fn cell(way: &Way, reach: &FileSystem, operation: Operation) -> (bool, Said) {
    if let Way::Shut(reason) = way {
        return (false, reason.clone());
    }
    if !reach.enter {
        let reason = if reach.stranger {
            said!(
                "in neither group of the experiment",
                "dans aucun groupe de l'expérience"
            )
        } else {
            said!(
                "the file system does not let the experiment's groups in",
                "le système de fichiers ne laisse pas entrer les groupes de l'expérience"
            )
        };
        return (false, reason);
    }
    let writes = !matches!(operation, Operation::List | Operation::Read);
    let granted = match operation {
        Operation::List => reach.list,
        Operation::Read => reach.read,
        Operation::Create | Operation::Overwrite | Operation::Delete => reach.write,
        Operation::Frame => reach.frame,
        Operation::Metadata => reach.metadata,
    };
    if !granted {
        let reason = match operation {
            Operation::Frame => said!("the frame belongs to root", "l'ossature appartient à root"),
            Operation::Metadata => said!("metadata belongs to root", "metadata appartient à root"),
            _ if writes => said!("a reader", "en lecture seule"),
            _ => said!("the file system refuses", "le système de fichiers refuse"),
        };
        return (false, reason);
    }
    if writes {
        if let Some(reason) = &reach.read_only {
            return (false, reason.clone());
        }
        if let Way::Read(reason) = way {
            return (false, reason.clone());
        }
    }
    let reason = if writes {
        said!("a writer", "peut écrire")
    } else {
        said!("a member", "membre")
    };
    if !reach.some_only {
        return (true, reason);
    }
    let some = said!(
        ", in some leaves only",
        ", dans certaines feuilles seulement"
    );
    (true, reason.and(&some))
}
