//! Which public keys a source delivers with: `metadata/source-keys.yaml`, written by us alone, readable by members.
//!
//! ```yaml
//! source-keys: 1
//! sources:
//!   plc-c1:
//!     - { key: ssh-ed25519 AAAA… plc@c1, added: 2026-11-21T05:00:00Z, by: admin }
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::experiment::{PublicKey, SourceId};
use crate::sys::dir::{Dir, Permissions};

/// The name of the file in an experiment's metadata directory.
pub const FILE: &str = "source-keys.yaml";

const VERSION: u32 = 1;
const LIMIT: u64 = 1 << 20;
/// The most keys of one source.
const KEYS_MAX: usize = 16;

/// One key of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    /// The line.
    pub key: PublicKey,
    /// Since when (RFC 3339, UTC).
    pub added: String,
    /// Who let it in.
    pub by: String,
}

/// The keys of all sources of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceKeys {
    /// By source.
    pub sources: BTreeMap<SourceId, Vec<Enrolled>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Stored {
    source_keys: u32,
    #[serde(default)]
    sources: BTreeMap<String, Vec<Row>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    key: String,
    added: String,
    by: String,
}

impl SourceKeys {
    /// Reads the file in a metadata directory; where there is none, there are no keys. Every key is checked again: what
    /// is written into `authorized_keys` comes from here.
    pub fn read(metadata: &Dir) -> Result<Self> {
        let Some(bytes) = metadata.read(FILE, LIMIT)? else {
            return Ok(Self::default());
        };
        let damaged = |e: Error| {
            Error::new(
                "keys.damaged",
                format!("{} cannot be read", metadata.path_of(FILE).display()),
            )
            .hint("restore the file from a backup, or delete it and enrol the sources again")
            .source(e)
        };
        let stored: Stored = serde_yaml::from_slice(&bytes)
            .map_err(|e| damaged(Error::new("keys.damaged", e.to_string())))?;
        if stored.source_keys != VERSION {
            return Err(Error::new(
                "keys.newer",
                format!(
                    "{} was written by a newer version",
                    metadata.path_of(FILE).display()
                ),
            )
            .hint("upgrade octonas"));
        }
        let mut keys = Self::default();
        for (source, rows) in stored.sources {
            let source = SourceId::parse(&source).map_err(damaged)?;
            for row in rows {
                let enrolled = Enrolled {
                    key: PublicKey::parse(&row.key).map_err(damaged)?,
                    added: row.added,
                    by: row.by,
                };
                keys.sources
                    .entry(source.clone())
                    .or_default()
                    .push(enrolled);
            }
        }
        Ok(keys)
    }

    /// Writes the file, whole and durable; its reader gets the rights of the directory from the caller.
    pub fn write(&self, metadata: &Dir) -> Result<()> {
        let rows = |all: &Vec<Enrolled>| {
            all.iter()
                .map(|one| Row {
                    key: one.key.to_string(),
                    added: one.added.clone(),
                    by: one.by.clone(),
                })
                .collect()
        };
        let stored = Stored {
            source_keys: VERSION,
            sources: self
                .sources
                .iter()
                .filter(|(_, keys)| !keys.is_empty())
                .map(|(source, keys)| (source.to_string(), rows(keys)))
                .collect(),
        };
        let text = serde_yaml::to_string(&stored)
            .map_err(|e| Error::new("output.failed", "cannot write the keys as YAML").source(e))?;
        metadata.write(FILE, text.as_bytes(), &Permissions::PRIVATE)
    }

    /// Lets a key in. False where it was in already. No key opens two sources of an experiment.
    pub fn enrol(&mut self, source: &SourceId, enrolled: Enrolled) -> Result<bool> {
        for (other, keys) in &self.sources {
            let known = keys.iter().any(|one| one.key.body() == enrolled.key.body());
            if known && other == source {
                return Ok(false);
            }
            if known {
                return Err(Error::new(
                    "key.taken",
                    format!("this key is that of the source {other}"),
                )
                .hint("make a key of its own on every source; two sources must not be able to touch each other"));
            }
        }
        let keys = self.sources.entry(source.clone()).or_default();
        if keys.len() >= KEYS_MAX {
            return Err(Error::new(
                "key.too-many",
                format!("the source {source} has {KEYS_MAX} keys already"),
            )
            .hint("revoke those that are not used any more"));
        }
        keys.push(enrolled);
        Ok(true)
    }

    /// Takes keys away: the one with this fingerprint, or all. Gives how many went.
    pub fn revoke(&mut self, source: &SourceId, fingerprint: Option<&str>) -> usize {
        let Some(keys) = self.sources.get_mut(source) else {
            return 0;
        };
        let before = keys.len();
        keys.retain(|one| fingerprint.is_some_and(|wanted| one.key.fingerprint() != wanted));
        before - keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::directory;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJlfTMelv83jE/USL7TtifvU/+XbPqF/JPf3Tomeoksm plc@c1";

    fn enrolled() -> Enrolled {
        Enrolled {
            key: PublicKey::parse(KEY).unwrap(),
            added: "2026-11-21T05:00:00Z".into(),
            by: "admin".into(),
        }
    }

    #[test]
    fn a_key_opens_one_source_until_it_is_revoked() {
        let (_temp, dir) = directory();
        let (plc, other) = (
            SourceId::parse("plc").unwrap(),
            SourceId::parse("b").unwrap(),
        );
        let mut keys = SourceKeys::read(&dir).unwrap();
        assert!(keys.enrol(&plc, enrolled()).unwrap());
        assert!(!keys.enrol(&plc, enrolled()).unwrap());
        assert_eq!(
            keys.enrol(&other, enrolled()).unwrap_err().code(),
            "key.taken"
        );
        keys.write(&dir).unwrap();
        let mut again = SourceKeys::read(&dir).unwrap();
        assert_eq!(again, keys);
        assert_eq!(again.revoke(&plc, Some("SHA256:x")), 0);
        let fingerprint = enrolled().key.fingerprint();
        assert_eq!(again.revoke(&plc, Some(&fingerprint)), 1);
        assert_eq!(again.revoke(&plc, None), 0);
    }

    #[test]
    fn a_key_that_was_tampered_with_is_damage() {
        let (_temp, dir) = directory();
        let mut keys = SourceKeys::default();
        keys.enrol(&SourceId::parse("plc").unwrap(), enrolled())
            .unwrap();
        keys.write(&dir).unwrap();
        let text = String::from_utf8(dir.read(FILE, LIMIT).unwrap().unwrap()).unwrap();
        for (from, to) in [
            ("ssh-ed25519", "command=\"/bin/sh\" ssh-ed25519"),
            ("plc:", "../plc:"),
            ("by:", "bye:"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            dir.write(FILE, changed.as_bytes(), &Permissions::PRIVATE)
                .unwrap();
            assert_eq!(
                SourceKeys::read(&dir).unwrap_err().code(),
                "keys.damaged",
                "{from}"
            );
        }
    }
}
