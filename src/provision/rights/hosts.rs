//! What machines may do over NFS, which knows no people.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Basis;
use super::doors::is_off;
use crate::object::{Attributes, Kind, ObjectId};
use crate::report::{Said, said};

/// A host that NFS is declared for. NFS knows hosts, not people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// The client, as in the definition.
    pub client: String,
    /// Whether it works.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: Said,
}

/// Those that are declared, and those that are exported to.
pub(super) fn rows(basis: &Basis<'_>) -> Vec<HostRow> {
    basis
        .definition
        .protocols
        .nfs
        .iter()
        .map(|row| row.host.clone())
        .chain(exports(basis).map(|(client, _)| client.to_owned()))
        .collect::<BTreeSet<String>>()
        .into_iter()
        .map(|client| host(basis, client))
        .collect()
}

/// The machines to which this experiment is exported now.
fn exports<'b>(basis: &'b Basis<'_>) -> impl Iterator<Item = (&'b str, &'b Attributes)> {
    let code = basis.definition.code.as_str();
    basis
        .entries
        .iter()
        .filter(|(id, _)| id.kind == Kind::NfsShare)
        .filter_map(move |(id, found)| {
            let (folder, client) = id.key.split_once('/')?;
            (folder == code).then_some((client, &found.attributes))
        })
}

/// What one machine may do over NFS.
fn host(basis: &Basis<'_>, client: String) -> HostRow {
    let shut = |client: String, reason: Said| HostRow {
        client,
        allowed: false,
        reason,
    };
    let Some((_, row)) = exports(basis).find(|(known, _)| *known == client) else {
        return shut(
            client,
            said!(
                "declared, but not exported to it",
                "déclarée, mais rien ne lui est exporté"
            ),
        );
    };
    if is_off(row) {
        return shut(
            client,
            said!(
                "NFS is switched off on the NAS (Services | NFS)",
                "NFS est désactivé sur le NAS (Services | NFS)"
            ),
        );
    }
    let options = row.get("extraoptions").map_or("", String::as_str);
    let group = options
        .split(',')
        .find_map(|option| option.strip_prefix("anongid="))
        .filter(|_| options.split(',').any(|option| option == "all_squash"));
    let mut reason = match (row.get("options").map(String::as_str), group) {
        (Some("rw"), Some(group)) => said!(
            "everybody on it writes as the group {0}",
            "tous y écrivent au nom du groupe {0}",
            group
        ),
        (_, Some(group)) => said!(
            "everybody on it reads as the group {0}",
            "tous y lisent au nom du groupe {0}",
            group
        ),
        (_, None) => said!(
            "people on it keep the numbers that they say they have",
            "chacun y garde les numéros qu'il prétend avoir"
        ),
    };
    let frozen = ObjectId::new(Kind::Mounts, basis.definition.code.to_string());
    let self_mount = basis
        .observed
        .get(&frozen)
        .and_then(|found| found.attributes.get("self"));
    if self_mount.map(String::as_str) == Some("ro") {
        reason = reason.and(&said!(
            "; the experiment is closed: nobody writes",
            " ; l'expérience est close : personne n'écrit"
        ));
    }
    HostRow {
        client,
        allowed: true,
        reason,
    }
}
