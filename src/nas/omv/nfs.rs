//! NFS: one row for each machine (8.5.7: `engined/rpc/nfs.inc`). OpenMediaVault binds the shared folder to `/export/<name>` for
//! the first row, and takes that away with the last.
//!
//! The group of `anongid` is a number there and a name here, so that a group which was made again is seen to be another.

use std::collections::BTreeMap;

use serde_json::json;

use super::Omv;
use super::engined::Engined;
use super::model::{NEW, NfsShare, Service};
use super::put::{self, Stored, folder_named};
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, Reference};

const SQUASHED_TO: &str = "anongid";

/// The service and its rows.
pub(super) fn service(engined: &Engined) -> Result<Service<NfsShare>> {
    engined.read("Config", "get", json!({"id": "conf.service.nfs"}))
}

/// `options` with the value of `anongid` exchanged for what `other` says.
fn squashed(options: &str, other: impl Fn(&str) -> Option<String>) -> Option<String> {
    let each = options
        .split(',')
        .map(|option| match option.split_once('=') {
            Some((SQUASHED_TO, group)) => {
                other(group).map(|group| format!("{SQUASHED_TO}={group}"))
            }
            _ => Some(option.to_owned()),
        });
    Some(each.collect::<Option<Vec<String>>>()?.join(","))
}

/// What is said of a row.
pub(super) fn attributes(
    share: &NfsShare,
    service: &str,
    groups: &BTreeMap<String, u32>,
) -> Attributes {
    let name = |number: &str| {
        let known = number.parse::<u32>().ok().and_then(|number| {
            groups
                .iter()
                .find(|(_, gid)| **gid == number)
                .map(|(name, _)| name.clone())
        });
        Some(known.unwrap_or_else(|| number.to_owned()))
    };
    let extra = squashed(&share.extraoptions, name).unwrap_or_default();
    [
        ("options", share.options.clone()),
        ("comment", share.comment.clone()),
        ("extraoptions", extra),
        ("service", service.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Makes the row `<folder>/<client>`.
pub(super) fn share(omv: &Omv, key: &str, attributes: &Attributes) -> Result<Reference> {
    let engined = omv.engined();
    let (folder, client) = key.split_once('/').unwrap_or((key, ""));
    let folder = folder_named(omv.shared_folders()?, folder)?;
    let groups = omv.people()?.group_ids();
    let text = |name: &str| attributes.get(name).map_or("", String::as_str);
    let number = |name: &str| groups.get(name).map(ToString::to_string);
    let extra = squashed(text("extraoptions"), number).ok_or_else(|| {
        Error::new(
            "group.unknown",
            format!("the NAS does not know the group that {client} is to be squashed to"),
        )
        .hint("run the same command again; if it stays, look for the group in the NAS's panel")
    })?;
    let before = service(engined)?
        .shares
        .into_iter()
        .find(|share| share.sharedfolderref == folder.uuid && share.client == client);
    let (uuid, mount) = before.map_or_else(
        || (NEW.to_owned(), NEW.to_owned()),
        |share| (share.uuid, share.mntentref),
    );
    let stored: Stored = engined.change(
        "NFS",
        "setShare",
        json!({
            "uuid": uuid,
            "sharedfolderref": folder.uuid,
            "mntentref": mount,
            "client": client,
            "options": text("options"),
            "extraoptions": extra,
            "comment": text("comment"),
        }),
    )?;
    omv.snapshot.forget_doors();
    Ok(Some(stored.uuid))
}

/// Takes the row away.
pub(super) fn delete_share(omv: &Omv, found: &Found) -> Result<()> {
    omv.snapshot.forget_doors();
    let engined = omv.engined();
    put::delete_share(engined, found, ("NFS", "deleteShare"), || {
        let shares = service(engined)?.shares;
        Ok(shares.into_iter().map(|share| share.uuid).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_number_there_and_a_name_here() {
        let groups = BTreeMap::from([("exp-lake-w".to_owned(), 1001)]);
        let share: NfsShare = serde_json::from_value(json!({
            "uuid": "u", "sharedfolderref": "s", "mntentref": "m", "client": "10.1.2.0/24", "options": "rw",
            "comment": "c", "extraoptions": "subtree_check,all_squash,anonuid=65534,anongid=1001,sync"
        }))
        .unwrap();
        let seen = attributes(&share, "on", &groups);
        assert_eq!(
            seen["extraoptions"],
            "subtree_check,all_squash,anonuid=65534,anongid=exp-lake-w,sync"
        );
        let number = |name: &str| groups.get(name).map(ToString::to_string);
        assert_eq!(
            squashed(&seen["extraoptions"], number).unwrap(),
            share.extraoptions
        );
        assert_eq!(squashed("ro,anongid=nobody-known", number), None);
        let stranger = attributes(&share, "on", &BTreeMap::new());
        assert!(stranger["extraoptions"].contains("anongid=1001"));
    }
}
