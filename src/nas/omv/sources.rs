//! Acquisition machines: one row of our own configuration each (`conf.service.octonas.source`), from which the plugin's
//! Salt module makes a system account, its public keys and its jail. A row of its own, because OpenMediaVault merges
//! lists inside of an object badly.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Omv;
use super::model::NEW;
use super::put::{self, Stored};
use crate::error::{Error, Result};
use crate::experiment::PublicKey;
use crate::object::{Attributes, Reference};

/// `conf.service.octonas.source`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub uuid: String,
    /// The experiment's.
    pub id: String,
    pub code: String,
    /// Its name in the experiment.
    #[serde(rename = "source")]
    pub name: String,
    /// Its system account.
    pub account: String,
    /// Its landing, below the experiment.
    pub path: String,
    pub readonly: bool,
    /// Public keys, one a line. (A list in JSON would do, but OpenMediaVault takes such a text for the list.)
    pub keys: String,
}

impl Source {
    /// The data model's name.
    pub(super) const MODEL: &'static str = "conf.service.octonas.source";

    /// Its key among all objects.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.code, self.name)
    }

    fn from_attributes(key: &str, attributes: &Attributes, uuid: String) -> Result<Self> {
        let (code, name) = key.split_once('/').unwrap_or((key, ""));
        let text = |attribute: &str| attributes.get(attribute).cloned().unwrap_or_default();
        let keys: Vec<&str> = numbered(attributes).into_iter().map(|(_, k)| k).collect();
        if let Some(bad) = keys.iter().find(|k| !is_public_key(k)) {
            return Err(Error::new(
                "nas.source-key",
                format!("{bad:?} is not a public key that the source {key} could use"),
            )
            .hint("one line as ssh-keygen(1) writes it into its .pub file"));
        }
        Ok(Self {
            uuid,
            id: text("id"),
            code: code.to_owned(),
            name: name.to_owned(),
            account: text("account"),
            path: text("path"),
            readonly: text("read-only") == "true",
            keys: keys.join("\n"),
        })
    }

    /// What is said of it.
    pub(super) fn attributes(&self) -> Attributes {
        let mut all: Attributes = [
            ("id", self.id.clone()),
            ("account", self.account.clone()),
            ("path", self.path.clone()),
            ("read-only", self.readonly.to_string()),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
        all.extend(
            self.keys
                .lines()
                .enumerate()
                .map(|(n, key)| (format!("key:{}", n + 1), key.to_owned())),
        );
        all
    }
}

/// Keys in the order of their numbers.
fn numbered(attributes: &Attributes) -> Vec<(u32, &str)> {
    let mut keys: Vec<(u32, &str)> = attributes
        .iter()
        .filter_map(|(name, key)| Some((name.strip_prefix("key:")?.parse().ok()?, key.as_str())))
        .collect();
    keys.sort_unstable();
    keys
}

/// A line as `PublicKey` writes it: never options, never a second line.
fn is_public_key(line: &str) -> bool {
    PublicKey::parse(line).is_ok_and(|key| key.to_string() == line)
}

/// Makes the row of a source, or gives it what it should have.
pub(super) fn put(omv: &Omv, key: &str, attributes: &Attributes) -> Result<Reference> {
    let before = now(omv)?.into_iter().find(|s| s.key() == key);
    let uuid = before
        .as_ref()
        .map_or_else(|| NEW.to_owned(), |s| s.uuid.clone());
    let source = Source::from_attributes(key, attributes, uuid)?;
    if before.as_ref() == Some(&source) {
        return Ok(Some(source.uuid));
    }
    omv.snapshot.forget_own();
    let stored: Stored = omv.engined().change(
        "Config",
        "set",
        json!({"id": Source::MODEL, "data": source}),
    )?;
    Ok(Some(stored.uuid))
}

/// Takes the row of a source away.
pub(super) fn delete(omv: &Omv, key: &str) -> Result<()> {
    for source in now(omv)?.into_iter().filter(|s| s.key() == key) {
        omv.snapshot.forget_own();
        omv.engined().change::<IgnoredAny>(
            "Config",
            "delete",
            json!({"id": Source::MODEL, "uuid": source.uuid}),
        )?;
    }
    Ok(())
}

/// All rows, read now.
fn now(omv: &Omv) -> Result<Vec<Source>> {
    Ok(put::configuration(omv.engined())?.sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5p6q7r8s9t0u1v2w3x4 plc \"C1\"";

    fn attributes(keys: &[(&str, &str)]) -> Attributes {
        let mut all = Attributes::from([
            ("id".to_owned(), "i".to_owned()),
            ("account".to_owned(), "octsrc-0123456789".to_owned()),
            ("path".to_owned(), "landing/plc-c1".to_owned()),
            ("read-only".to_owned(), "false".to_owned()),
        ]);
        all.extend(keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        all
    }

    #[test]
    fn a_row_says_the_same_as_its_attributes() {
        let other = format!("{KEY} C2");
        let said = attributes(&[("key:1", KEY), ("key:2", &other)]);
        let source = Source::from_attributes("lake/plc-c1", &said, "u".into()).unwrap();
        assert_eq!(
            (source.code.as_str(), source.name.as_str()),
            ("lake", "plc-c1")
        );
        assert_eq!(source.attributes(), said);
        assert_eq!(source.key(), "lake/plc-c1");
    }

    #[test]
    fn ten_keys_keep_their_order() {
        let names: Vec<String> = (1..=11).map(|n| format!("key:{n}")).collect();
        let lines: Vec<String> = (1..=11).map(|n| format!("{KEY} {n}")).collect();
        let keys: Vec<(&str, &str)> = names
            .iter()
            .map(String::as_str)
            .zip(lines.iter().map(String::as_str))
            .collect();
        let said = attributes(&keys);
        let source = Source::from_attributes("lake/plc", &said, "u".into()).unwrap();
        assert_eq!(source.attributes(), said);
    }

    #[test]
    fn what_is_no_plain_public_key_is_refused() {
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-dss AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5p6q7r8s9t0u1v2w3x4",
            "command=\"id\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5p6q7r8",
            "ssh-ed25519  AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5p6q7r8s9t0u1v2w3x4",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5p6q7r8s9t0\nssh-rsa AAAA",
            "ssh-ed25519-cert-v01@openssh.com AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5",
        ] {
            let said = attributes(&[("key:1", bad)]);
            let e = Source::from_attributes("lake/plc", &said, "u".into()).unwrap_err();
            assert_eq!(e.code(), "nas.source-key", "{bad}");
        }
    }
}
