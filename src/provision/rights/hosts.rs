//! What machines may do over NFS, which knows no people.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Basis, is_off};
use crate::object::{Attributes, Kind, ObjectId};

/// A host that NFS is declared for. NFS knows hosts, not people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// The client, as in the definition.
    pub client: String,
    /// Whether it works.
    pub allowed: bool,
    /// Why, or why not.
    pub reason: String,
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
    let shut = |client: String, reason: String| HostRow {
        client,
        allowed: false,
        reason,
    };
    let Some((_, row)) = exports(basis).find(|(known, _)| *known == client) else {
        return shut(client, "declared, but not exported to it".into());
    };
    if is_off(row) {
        return shut(
            client,
            "NFS is switched off on the NAS (Services | NFS)".into(),
        );
    }
    let options = row.get("extraoptions").map_or("", String::as_str);
    let group = options
        .split(',')
        .find_map(|option| option.strip_prefix("anongid="))
        .filter(|_| options.split(',').any(|option| option == "all_squash"));
    let mut reason = match (row.get("options").map(String::as_str), group) {
        (Some("rw"), Some(group)) => format!("everybody on it writes as the group {group}"),
        (_, Some(group)) => format!("everybody on it reads as the group {group}"),
        (_, None) => "people on it keep the numbers that they say they have".to_owned(),
    };
    let frozen = ObjectId::new(Kind::Mounts, basis.definition.code.to_string());
    let self_mount = basis
        .observed
        .get(&frozen)
        .and_then(|found| found.attributes.get("self"));
    if self_mount.map(String::as_str) == Some("ro") {
        reason.push_str("; the experiment is closed: nobody writes");
    }
    HostRow {
        client,
        allowed: true,
        reason,
    }
}
