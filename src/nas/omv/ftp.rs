//! FTP shares of the plugin openmediavault-ftp (8.0.4: `engined/rpc/proftpd.inc`, `datamodels/rpc.ftp.json`). proftpd lets in
//! whom the shared folder's privileges name; without any it lets in nobody.

use serde_json::json;

use super::Omv;
use super::engined::Engined;
use super::model::{FtpShare, NEW, Service};
use super::put::{self, Stored, folder_named};
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, Reference};

/// The service and its shares; `None` where the plugin is not installed.
pub(super) fn service(engined: &Engined) -> Result<Option<Service<FtpShare>>> {
    match engined.read("Config", "get", json!({"id": "conf.service.ftp"})) {
        Ok(service) => Ok(Some(service)),
        Err(e) if is_missing(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

fn shares(engined: &Engined) -> Result<Vec<FtpShare>> {
    Ok(service(engined)?
        .map(|service| service.shares)
        .unwrap_or_default())
}

/// True for what engined says of a data model that no package brought.
fn is_missing(e: &Error) -> bool {
    e.code() == "nas.refused"
        && e.hint_text().is_some_and(|words| {
            words.contains("data model 'conf.service.ftp'") && words.contains("does not exist")
        })
}

/// What is said of a share.
pub(super) fn attributes(share: &FtpShare, service: &str) -> Attributes {
    [
        ("enable", share.enable.to_string()),
        ("comment", share.comment.clone()),
        ("extraoptions", share.extraoptions.clone()),
        ("service", service.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Makes the FTP share of the shared folder `folder`.
pub(super) fn share(omv: &Omv, folder: &str, attributes: &Attributes) -> Result<Reference> {
    let engined = omv.engined();
    let folder = folder_named(omv.shared_folders()?, folder)?;
    let before = shares(engined)?
        .into_iter()
        .find(|share| share.sharedfolderref == folder.uuid);
    let text = |name: &str| attributes.get(name).map_or("", String::as_str);
    let stored: Stored = engined.change(
        "FTP",
        "setShare",
        json!({
            "uuid": before.map_or_else(|| NEW.to_owned(), |share| share.uuid),
            "enable": text("enable") == "true",
            "sharedfolderref": folder.uuid,
            "extraoptions": text("extraoptions"),
            "comment": text("comment"),
        }),
    )?;
    omv.snapshot.forget_doors();
    Ok(Some(stored.uuid))
}

/// Takes the FTP share away. With the plugin, its shares are gone too.
pub(super) fn delete_share(omv: &Omv, found: &Found) -> Result<()> {
    omv.snapshot.forget_doors();
    let engined = omv.engined();
    put::delete_share(engined, found, ("FTP", "deleteShare"), || {
        let shares = shares(engined)?;
        Ok(shares.into_iter().map(|share| share.uuid).collect())
    })
}
