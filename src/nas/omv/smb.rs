//! SMB shares. Their object is rebuilt from what is sent, so every parameter is sent.
//!
//! The values with which the walls between experiments were proven are the default: what attributes do not say is as
//! here. `storedosattributes` is not a matter of taste: without it Samba keeps DOS attributes in mode bits, and files
//! become unreadable for the other members.

use serde_json::{Map, Value};

use super::Omv;
use super::engined::Engined;
use super::model::{NEW, Page, SmbShare, all};
use super::put::{self, Stored, folder_named};
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, Reference};

/// How a parameter is spelt in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Boolean,
    Integer,
    Text,
}

use Spelling::{Boolean, Integer, Text};

/// Every parameter of `SMB.setShare` but its two references, in the model's order, with the proven value.
const PARAMETERS: &[(&str, Spelling, &str)] = &[
    ("enable", Boolean, "true"),
    ("comment", Text, ""),
    ("guest", Text, "no"),
    ("readonly", Boolean, "false"),
    ("browseable", Boolean, "true"),
    ("recyclebin", Boolean, "false"),
    ("recyclemaxsize", Integer, "0"),
    ("recyclemaxage", Integer, "0"),
    ("hidedotfiles", Boolean, "true"),
    ("inheritacls", Boolean, "true"),
    ("inheritpermissions", Boolean, "false"),
    ("easupport", Boolean, "true"),
    ("storedosattributes", Boolean, "true"),
    ("hostsallow", Text, ""),
    ("hostsdeny", Text, ""),
    ("audit", Boolean, "false"),
    ("timemachine", Boolean, "false"),
    ("timemachinemaxsize", Text, ""),
    ("transportencryption", Boolean, "false"),
    ("followsymlinks", Boolean, "true"),
    ("widelinks", Boolean, "false"),
    (
        "extraoptions",
        Text,
        "nt acl support = no\naccess based share enum = yes\nhide unreadable = yes",
    ),
];

/// What is said of a share: every parameter as text.
pub(super) fn attributes(share: &SmbShare) -> Attributes {
    share
        .parameters
        .iter()
        .filter_map(|(name, value)| {
            let text = match value {
                Value::String(s) => s.clone(),
                Value::Bool(b) => b.to_string(),
                Value::Number(n) => n.to_string(),
                _ => return None,
            };
            Some((name.clone(), text))
        })
        .collect()
}

/// The parameters of a share: `wanted` over what stands now (`before`) over the proven values. A parameter of a newer
/// OpenMediaVault that we do not know is sent back as it was.
fn parameters(wanted: &Attributes, before: Option<&SmbShare>) -> Result<Map<String, Value>> {
    let mut all = before.map_or_else(Map::new, |share| {
        share.parameters.clone().into_iter().collect()
    });
    for (name, spelling, proven) in PARAMETERS {
        let text = match wanted.get(*name) {
            Some(text) => text.as_str(),
            None if all.contains_key(*name) => continue,
            None => proven,
        };
        let bad = || {
            Error::new(
                "nas.parameter",
                format!("{name} of an SMB share cannot be '{text}'"),
            )
            .field((*name).to_owned())
        };
        let value = match spelling {
            Boolean => Value::Bool(text.parse().map_err(|_| bad())?),
            Integer => Value::from(text.parse::<u32>().map_err(|_| bad())?),
            Text => Value::from(text),
        };
        all.insert((*name).to_owned(), value);
    }
    Ok(all)
}

pub(super) fn shares(engined: &Engined) -> Result<Vec<SmbShare>> {
    let page: Page<SmbShare> = engined.read("Config", "getlist", all("conf.service.smb.share"))?;
    Ok(page.data)
}

/// Makes the SMB share of the shared folder `folder`.
pub(super) fn share(omv: &Omv, folder: &str, attributes: &Attributes) -> Result<Reference> {
    let engined = omv.engined();
    let folder = folder_named(omv.shared_folders()?, folder)?;
    let before = shares(engined)?
        .into_iter()
        .find(|s| s.sharedfolderref == folder.uuid);
    let mut parameters = parameters(attributes, before.as_ref())?;
    let uuid = before.map_or_else(|| NEW.to_owned(), |s| s.uuid);
    parameters.insert("uuid".to_owned(), Value::from(uuid));
    parameters.insert("sharedfolderref".to_owned(), Value::from(folder.uuid));
    let stored: Stored = engined.change("SMB", "setShare", parameters)?;
    Ok(Some(stored.uuid))
}

/// Takes the SMB share away.
pub(super) fn delete_share(engined: &Engined, found: &Found) -> Result<()> {
    put::delete_share(engined, found, ("SMB", "deleteShare"), || {
        let shares = shares(engined)?;
        Ok(shares.into_iter().map(|share| share.uuid).collect())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_share_has_the_proven_parameters_all_of_them() {
        let all = parameters(&Attributes::new(), None).unwrap();
        assert_eq!(all.len(), PARAMETERS.len());
        assert_eq!(all["storedosattributes"], true);
        assert_eq!(all["inheritpermissions"], false);
        assert_eq!(all["recyclemaxage"], 0);
        assert!(
            all["extraoptions"]
                .as_str()
                .unwrap()
                .contains("nt acl support = no")
        );
    }

    #[test]
    fn what_an_admin_set_stays_where_nobody_asked() {
        let before: SmbShare = serde_json::from_value(json!({
            "uuid": "u", "sharedfolderref": "f", "audit": true, "readonly": false, "futureoption": "x"
        }))
        .unwrap();
        let wanted = Attributes::from([("readonly".to_owned(), "true".to_owned())]);
        let all = parameters(&wanted, Some(&before)).unwrap();
        assert_eq!(all["audit"], true);
        assert_eq!(all["readonly"], true);
        assert_eq!(all["futureoption"], "x");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named() {
        let wanted = Attributes::from([("readonly".to_owned(), "perhaps".to_owned())]);
        let e = parameters(&wanted, None).unwrap_err();
        assert_eq!(e.field_name(), Some("readonly"));
    }
}
