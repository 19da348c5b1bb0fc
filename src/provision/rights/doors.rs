//! What each door lets somebody do, whatever the file system behind it says.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Basis, groups_of};
use crate::object::{Attributes, Kind, ObjectId};
use crate::report::{Said, said};

/// A way in for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// SMB (Windows shares).
    Smb,
    /// SFTP.
    Sftp,
    /// rsync over SSH.
    Rsync,
    /// FTP; in the table where it is asked for, or there.
    Ftp,
    /// The rsync daemon; in the table where it is asked for, or there.
    Rsyncd,
}

impl Door {
    /// All doors that people have.
    pub const ALL: [Self; 5] = [Self::Smb, Self::Sftp, Self::Rsync, Self::Ftp, Self::Rsyncd];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smb => "smb",
            Self::Sftp => "sftp",
            Self::Rsync => "rsync",
            Self::Ftp => "ftp",
            Self::Rsyncd => "rsyncd",
        }
    }
}

/// Doors that few experiments have are in the table of those alone.
pub(super) fn is_shown(basis: &Basis<'_>, door: Door) -> bool {
    let protocols = &basis.definition.protocols;
    let (asked, kind) = match door {
        Door::Ftp => (protocols.ftp, Kind::FtpShare),
        Door::Rsyncd => (protocols.rsyncd, Kind::RsyncModule),
        Door::Smb | Door::Sftp | Door::Rsync => return true,
    };
    asked || basis.observed.keys().any(|id| id.kind == kind)
}

/// True where the whole service is switched off on the NAS.
pub(super) fn is_off(door: &Attributes) -> bool {
    door.get("service").map(String::as_str) == Some("off")
}

/// A door, for one person: shut with a reason, or open so far.
pub(super) enum Way {
    Shut(Said),
    Read(Said),
    Write,
}

/// What was observed of the experiment's object of this kind.
fn object<'a>(basis: &Basis<'a>, kind: Kind) -> Option<&'a Attributes> {
    let code = basis.definition.code.as_str();
    let found = basis.observed.get(&ObjectId::new(kind, code))?;
    Some(&found.attributes)
}

pub(super) fn way(basis: &Basis<'_>, account: &str, door: Door) -> Way {
    let object = |kind| object(basis, kind);
    if basis.enforced && !basis.accounts.contains_key(account) {
        return Way::Shut(said!(
            "there is no account {0}",
            "il n'y a pas de compte {0}",
            account
        ));
    }
    match door {
        Door::Smb => {
            // In a common share, who may enter which folder is the file system's business alone.
            let share = |kind| match basis.common_share {
                None => object(kind),
                Some(share) => basis
                    .entries
                    .get(&ObjectId::new(kind, share))
                    .map(|found| &found.attributes),
            };
            shared(
                basis,
                account,
                "SMB",
                share(Kind::SmbShare),
                share(Kind::Privileges),
            )
        }
        Door::Ftp => ftp(basis, account),
        Door::Rsyncd => rsyncd(object(Kind::RsyncModule), account),
        Door::Sftp | Door::Rsync => ssh(
            basis,
            account,
            door,
            object(Kind::Entry),
            object(Kind::Mounts),
        ),
    }
}

/// proftpd lets in those who have a privilege, and nobody where there is none.
fn ftp(basis: &Basis<'_>, account: &str) -> Way {
    let object = |kind| object(basis, kind);
    let privileges = object(Kind::Privileges);
    if object(Kind::FtpShare).is_some_and(is_off) {
        return Way::Shut(said!(
            "FTP is switched off on the NAS (Services | FTP)",
            "FTP est désactivé sur le NAS (Services | FTP)"
        ));
    }
    if privileges.is_none_or(BTreeMap::is_empty) && object(Kind::FtpShare).is_some() {
        return Way::Shut(said!(
            "the shared folder has no privileges",
            "le dossier partagé n'a pas de privilèges"
        ));
    }
    shared(basis, account, "FTP", object(Kind::FtpShare), privileges)
}

/// The daemon lets in those who have a password there, to read.
fn rsyncd(module: Option<&Attributes>, account: &str) -> Way {
    let Some(module) = module else {
        return Way::Shut(said!(
            "there is no rsync module",
            "il n'y a pas de module rsync"
        ));
    };
    let is = |name: &str, value: &str| module.get(name).map(String::as_str) == Some(value);
    if is_off(module) {
        return Way::Shut(said!(
            "the rsync daemon is switched off on the NAS (Services | Rsync)",
            "le démon rsync est désactivé sur le NAS (Services | Rsync)"
        ));
    }
    if !is("enable", "true") {
        return Way::Shut(said!(
            "the rsync module is switched off",
            "le module rsync est désactivé"
        ));
    }
    if is("authusers", "true") && !is(&format!("user:{account}"), "yes") {
        return Way::Shut(said!(
            "no password for the rsync daemon",
            "pas de mot de passe pour le démon rsync"
        ));
    }
    if is("readonly", "true") {
        Way::Read(said!(
            "the rsync module is read-only",
            "le module rsync est en lecture seule"
        ))
    } else {
        Way::Write
    }
}

/// A door that goes by the privileges of the shared folder.
fn shared(
    basis: &Basis<'_>,
    account: &str,
    door: &str,
    share: Option<&Attributes>,
    privileges: Option<&Attributes>,
) -> Way {
    let Some(share) = share else {
        return Way::Shut(said!(
            "there is no {0} share",
            "il n'y a pas de partage {0}",
            door
        ));
    };
    if share.get("enable").map(String::as_str) != Some("true") {
        return Way::Shut(said!(
            "the {0} share is switched off",
            "le partage {0} est désactivé",
            door
        ));
    }
    let empty = Attributes::new();
    let privileges = privileges.unwrap_or(&empty);
    let best = privileges
        .iter()
        .filter(|(name, _)| match name.split_once(':') {
            Some(("user", user)) => user == account,
            Some(("group", group)) => groups_of(basis, account).contains(group),
            _ => false,
        })
        .map(|(_, perms)| perms.as_str())
        .collect::<Vec<_>>();
    if best.contains(&"none") {
        return Way::Shut(said!(
            "the shared folder's privileges deny it",
            "les privilèges du dossier partagé l'interdisent"
        ));
    }
    if !privileges.is_empty() && best.is_empty() {
        return Way::Shut(said!(
            "not among the shared folder's privileges",
            "absent des privilèges du dossier partagé"
        ));
    }
    if share.get("readonly").map(String::as_str) == Some("true") {
        return Way::Read(said!(
            "the {0} share is read-only",
            "le partage {0} est en lecture seule",
            door
        ));
    }
    if best.contains(&"write") || privileges.is_empty() {
        Way::Write
    } else {
        Way::Read(said!(
            "the shared folder's privileges give read only",
            "les privilèges du dossier partagé ne donnent que la lecture"
        ))
    }
}

fn ssh(
    basis: &Basis<'_>,
    account: &str,
    door: Door,
    entry: Option<&Attributes>,
    mounts: Option<&Attributes>,
) -> Way {
    let name = door.name();
    let is_open = |entry: &Attributes| entry.get(name).map(String::as_str) == Some("true");
    if !basis.enforced {
        let Some(entry) = entry.filter(|entry| is_open(entry)) else {
            return Way::Shut(said!(
                "{0} is not open for this experiment",
                "{0} n'est pas ouvert pour cette expérience",
                name
            ));
        };
        return match entry.get(&format!("person:{account}")).map(String::as_str) {
            Some("write") => Way::Write,
            Some(_) => Way::Read(said!("declared as a reader", "déclaré comme lecteur")),
            None => Way::Shut(said!("not a member", "n'est pas membre")),
        };
    }
    if groups_of(basis, account).contains("_ssh") {
        // A shell on the NAS, outside of any jail: what the file system lets them do, they do.
        return Way::Write;
    }
    let jail = mounts.and_then(|mounts| mounts.get(&format!("jail:{account}")));
    let Some(jail) = jail else {
        return Way::Shut(said!(
            "the experiment is not in this person's jail",
            "l'expérience n'est pas dans l'enclos de cette personne"
        ));
    };
    // A jail has its doors once, for all experiments in it.
    let person = format!("person:{account}");
    let anywhere = basis
        .entries
        .iter()
        .filter(|(id, found)| id.kind == Kind::Entry && found.attributes.contains_key(&person))
        .any(|(_, found)| is_open(&found.attributes));
    if !anywhere {
        return Way::Shut(said!(
            "{0} is not open for this experiment",
            "{0} n'est pas ouvert pour cette expérience",
            name
        ));
    }
    if jail == "rw" {
        Way::Write
    } else {
        Way::Read(said!(
            "read-only in this person's jail",
            "en lecture seule dans l'enclos de cette personne"
        ))
    }
}
