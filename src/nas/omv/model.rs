//! What engined answers, as far as we read it, and the form in which our own objects are kept there.
//!
//! Shapes: openmediavault 8, `datamodels/conf.system.sharedfolder.json`, `conf.service.smb.share.json`, `System\User`
//! and `System\Group`; ours: `conf.service.octonas*.json` of the plugin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::sources::Source;
use crate::object::Attributes;

/// The uuid that means "make a new object" (`OMV_CONFIGOBJECT_NEW_UUID`).
pub const NEW: &str = "fa4b1c66-ef79-11e5-87a0-0002b3a176b4";

/// Parameters of a list: everything.
#[derive(Serialize)]
pub struct All {
    id: &'static str,
    start: u32,
    limit: i32,
}

/// All objects of a data model.
pub fn all(id: &'static str) -> All {
    All {
        id,
        start: 0,
        limit: -1,
    }
}

/// The answer to a list.
#[derive(Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
}

/// What OpenMediaVault itself remembers of a group.
#[derive(Deserialize)]
pub struct GroupRecord {
    pub uuid: String,
    pub name: String,
    #[serde(default)]
    pub comment: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MountPoint {
    pub uuid: String,
    pub dir: PathBuf,
    #[serde(default)]
    pub opts: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SharedFolder {
    pub uuid: String,
    pub name: String,
    #[serde(default)]
    pub comment: String,
    pub mntentref: String,
    pub reldirpath: String,
    #[serde(default, deserialize_with = "list_within")]
    pub privileges: Vec<Privilege>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privilege {
    #[serde(rename = "type")]
    pub holder: String,
    pub name: String,
    pub perms: u8,
}

impl Privilege {
    /// The attribute that says the same: `group:exp-lake-w` = `write`.
    pub fn attribute(&self) -> (String, String) {
        let value = match self.perms {
            7 => "write",
            5 => "read",
            _ => "none",
        };
        (format!("{}:{}", self.holder, self.name), value.to_owned())
    }

    /// The row that an attribute stands for, if it is one.
    pub fn from_attribute(key: &str, value: &str) -> Option<Self> {
        let (holder, name) = key.split_once(':')?;
        let perms = match value {
            "write" => 7,
            "read" => 5,
            "none" => 0,
            _ => return None,
        };
        matches!(holder, "user" | "group").then(|| Self {
            holder: holder.to_owned(),
            name: name.to_owned(),
            perms,
        })
    }
}

/// An SMB share: parameter → value. All of them are kept, because the object is rebuilt from what is sent.
#[derive(Debug, Clone, Deserialize)]
pub struct SmbShare {
    pub uuid: String,
    pub sharedfolderref: String,
    #[serde(flatten)]
    pub parameters: BTreeMap<String, Value>,
}

/// A service that has rows of shared folders: `conf.service.ftp`, `conf.service.nfs`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Service<T: DeserializeOwned> {
    #[serde(default)]
    pub enable: bool,
    #[serde(default = "Vec::new", deserialize_with = "list_within")]
    pub shares: Vec<T>,
}

impl<T: DeserializeOwned> Service<T> {
    /// `on` or `off`.
    pub fn state(&self) -> String {
        if self.enable { "on" } else { "off" }.to_owned()
    }
}

/// `conf.service.ftp.share`.
#[derive(Debug, Clone, Deserialize)]
pub struct FtpShare {
    pub uuid: String,
    pub sharedfolderref: String,
    pub enable: bool,
    #[serde(default)]
    pub extraoptions: String,
    #[serde(default)]
    pub comment: String,
}

/// `conf.service.nfs.share`.
#[derive(Debug, Clone, Deserialize)]
pub struct NfsShare {
    pub uuid: String,
    pub sharedfolderref: String,
    pub mntentref: String,
    pub client: String,
    pub options: String,
    #[serde(default)]
    pub comment: String,
    #[serde(default)]
    pub extraoptions: String,
}

/// `conf.service.octonas`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configuration {
    #[serde(default)]
    pub id: String,
    #[serde(default, deserialize_with = "list_within")]
    pub bases: Vec<BaseRecord>,
    #[serde(default, deserialize_with = "list_within")]
    pub experiments: Vec<Entry>,
    #[serde(default, deserialize_with = "list_within")]
    pub sources: Vec<Source>,
    #[serde(default)]
    pub unit: super::unit::Record,
}

/// `conf.service.octonas.base`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BaseRecord {
    pub uuid: String,
    pub mntentref: String,
    pub reldirpath: String,
    /// The share in which all its experiments lie; empty where each one has its own.
    #[serde(default)]
    pub sharename: String,
}

/// `conf.service.octonas.experiment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub uuid: String,
    pub id: String,
    pub code: String,
    pub path: String,
    pub sharedfolderref: String,
    pub readonly: bool,
    pub sftp: bool,
    pub rsync: bool,
    /// Account names joined by `,`.
    pub writers: String,
    /// Account names joined by `,`.
    pub readers: String,
}

impl Entry {
    /// The data model's name.
    pub const MODEL: &'static str = "conf.service.octonas.experiment";

    /// The entry of `code` that `attributes` describe; what they do not say is as in `before`.
    pub fn from_attributes(code: &str, attributes: &Attributes, before: Option<&Self>) -> Self {
        let text = |key: &str, kept: Option<&String>| {
            attributes
                .get(key)
                .cloned()
                .or_else(|| kept.cloned())
                .unwrap_or_default()
        };
        let yes = |key: &str, kept: Option<bool>| {
            attributes
                .get(key)
                .map_or(kept.unwrap_or(false), |v| v == "true")
        };
        let people = |access: &str| {
            attributes
                .iter()
                .filter_map(|(k, v)| (v == access).then(|| k.strip_prefix("person:")).flatten())
                .collect::<Vec<_>>()
                .join(",")
        };
        Self {
            uuid: before.map_or_else(|| NEW.to_owned(), |b| b.uuid.clone()),
            id: text("id", before.map(|b| &b.id)),
            code: code.to_owned(),
            path: text("path", before.map(|b| &b.path)),
            sharedfolderref: text("shared-folder", before.map(|b| &b.sharedfolderref)),
            readonly: yes("read-only", before.map(|b| b.readonly)),
            sftp: yes("sftp", before.map(|b| b.sftp)),
            rsync: yes("rsync", before.map(|b| b.rsync)),
            writers: people("write"),
            readers: people("read"),
        }
    }

    /// What is said of the entry.
    pub fn attributes(&self) -> Attributes {
        let mut all: Attributes = [
            ("id", self.id.clone()),
            ("path", self.path.clone()),
            ("read-only", self.readonly.to_string()),
            ("sftp", self.sftp.to_string()),
            ("rsync", self.rsync.to_string()),
            ("shared-folder", self.sharedfolderref.clone()),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
        for (names, access) in [(&self.writers, "write"), (&self.readers, "read")] {
            for name in names.split(',').filter(|n| !n.is_empty()) {
                all.insert(format!("person:{name}"), access.to_owned());
            }
        }
        all
    }

    /// Everybody who has access, writers first.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        self.writers
            .split(',')
            .chain(self.readers.split(','))
            .filter(|n| !n.is_empty())
    }
}

/// The absolute path, without a trailing slash, of a path below a mount point of OpenMediaVault.
pub fn absolute(mounts: &[MountPoint], mntentref: &str, reldirpath: &str) -> Option<PathBuf> {
    let dir = &mounts.iter().find(|m| m.uuid == mntentref)?.dir;
    let below = reldirpath.trim_matches('/');
    Some(if below.is_empty() {
        dir.clone()
    } else {
        dir.join(below)
    })
}

/// The mount point that holds `path` (the deepest one, bind mounts apart), and the path below it with a trailing slash.
pub fn located<'m>(mounts: &'m [MountPoint], path: &Path) -> Option<(&'m MountPoint, String)> {
    let mount = mounts
        .iter()
        .filter(|m| !m.opts.split(',').any(|o| o == "bind" || o == "rbind"))
        .filter(|m| path.starts_with(&m.dir))
        .max_by_key(|m| m.dir.components().count())?;
    let below = path.strip_prefix(&mount.dir).ok()?.to_str()?;
    Some((mount, format!("{}/", below.trim_matches('/'))))
}

/// OpenMediaVault wraps every list in an object with one member (`{"privilege":[…]}`); an empty one may come as an
/// empty list, an empty text, or nothing. Rows that are not understood are an error: lists are replaced as a whole,
/// so that a row which was skipped would be lost.
pub(super) fn list_within<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    d: D,
) -> Result<Vec<T>, D::Error> {
    use serde::de::Error as _;
    let lists = match Value::deserialize(d)? {
        Value::Object(lists) => lists,
        Value::Null => return Ok(Vec::new()),
        Value::String(s) if s.is_empty() => return Ok(Vec::new()),
        Value::Array(a) if a.is_empty() => return Ok(Vec::new()),
        _ => return Err(D::Error::custom("not a list within an object")),
    };
    let mut rows = Vec::new();
    for list in lists.into_values() {
        match list {
            Value::Array(list) => {
                for row in list {
                    rows.push(serde_json::from_value(row).map_err(D::Error::custom)?);
                }
            }
            Value::String(s) if s.is_empty() => {}
            Value::Null => {}
            row => rows.push(serde_json::from_value(row).map_err(D::Error::custom)?),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts() -> Vec<MountPoint> {
        serde_json::from_value(serde_json::json!([
            {"uuid": "m1", "dir": "/srv/dev-1", "opts": "defaults"},
            {"uuid": "m2", "dir": "/srv/dev-1/deeper", "opts": "defaults"},
            {"uuid": "m3", "dir": "/srv/dev-1/octonas/a", "opts": "bind,nofail"},
        ]))
        .unwrap()
    }

    #[test]
    fn a_path_belongs_to_the_deepest_disk_that_is_no_bind_mount() {
        let mounts = mounts();
        for (path, uuid, below) in [
            ("/srv/dev-1/octonas/a", "m1", "octonas/a/"),
            ("/srv/dev-1/deeper/x", "m2", "x/"),
        ] {
            let (mount, rel) = located(&mounts, Path::new(path)).unwrap();
            assert_eq!((mount.uuid.as_str(), rel.as_str()), (uuid, below));
            assert_eq!(absolute(&mounts, uuid, &rel).unwrap(), Path::new(path));
        }
        assert!(located(&mounts, Path::new("/srv/dev-10/x")).is_none());
    }

    #[test]
    fn an_empty_list_comes_in_many_shapes() {
        for empty in [r#""""#, "[]", "{}", r#"{"privilege":[]}"#, "null"] {
            let text = format!(
                r#"{{"uuid":"u","name":"n","mntentref":"m","reldirpath":"r/","privileges":{empty}}}"#
            );
            let folder: SharedFolder = serde_json::from_str(&text).unwrap();
            assert!(folder.privileges.is_empty(), "{empty}");
        }
    }

    #[test]
    fn a_row_that_is_not_understood_is_an_error_and_never_lost() {
        let text = r#"{"uuid":"u","name":"n","mntentref":"m","reldirpath":"r/",
            "privileges":{"privilege":[{"type":"group","name":"g","perms":"all"}]}}"#;
        assert!(serde_json::from_str::<SharedFolder>(text).is_err());
    }

    #[test]
    fn an_entry_says_the_same_as_its_attributes() {
        let entry = Entry {
            uuid: "u".into(),
            id: "i".into(),
            code: "lake".into(),
            path: "/srv/d/lake".into(),
            sharedfolderref: "s".into(),
            readonly: false,
            sftp: true,
            rsync: false,
            writers: "alice,bob".into(),
            readers: "carol".into(),
        };
        let again = Entry::from_attributes("lake", &entry.attributes(), Some(&entry));
        assert_eq!(again, entry);
    }

    #[test]
    fn an_edit_that_does_not_speak_of_the_shared_folder_keeps_the_link() {
        let mut before = Entry::from_attributes("lake", &Attributes::new(), None);
        assert_eq!(before.uuid, NEW);
        before.sharedfolderref = "s".into();
        let after = Entry::from_attributes("lake", &Attributes::new(), Some(&before));
        assert_eq!(after.sharedfolderref, "s");
    }

    #[test]
    fn privileges_and_attributes_are_two_spellings() {
        let row = Privilege {
            holder: "group".into(),
            name: "exp-lake-w".into(),
            perms: 7,
        };
        let (key, value) = row.attribute();
        assert_eq!(
            (key.as_str(), value.as_str()),
            ("group:exp-lake-w", "write")
        );
        assert_eq!(Privilege::from_attribute(&key, &value), Some(row));
        assert_eq!(Privilege::from_attribute("comment", "write"), None);
    }
}
