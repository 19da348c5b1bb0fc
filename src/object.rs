//! The things that an experiment needs on a NAS, all in one shape: a kind, a key, and attributes of plain text.
//!
//! *Desired*, *applied* and *observed* are three maps of these objects. Because they have one shape, one pure
//! function (`provision::plan`) compares them attribute by attribute, and a difference can be named to a person.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{SerializeStruct as _, Serializer};
use serde::{Deserialize, Serialize};

/// What an object is. The order is the order of creation; removal goes backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A group of accounts. Key: its name. Attributes: `comment`, `member:<account>` = `yes`.
    Group,
    /// A directory of the frame or a leaf. Key: path below the experiment (empty: the experiment itself).
    /// Attributes: `owner`, `group`, `mode` (octal), `acl`, `default-acl` (short text form of acl(5), by name).
    Directory,
    /// What members keep in the leaves. Key: empty. Attributes: `sweep` = `done` once owners, masks and ACLs of everything
    /// were brought in line (after an adoption); an intent without it is a sweep that has to go on. With a path below the
    /// experiment as its key: a directory that is no longer asked for, and stayed because it was not empty.
    Contents,
    /// How much its files may need together (a project quota of the file system). Key: the code. Attributes: `limit` (bytes),
    /// `project` (the number that the files bear).
    Quota,
    /// The experiment's own entry in the NAS configuration, from which mount units and jails are made.
    /// Key: the code. Attributes: `id`, `path` (absolute), `read-only` = `true|false`, `sftp`, `rsync` =
    /// `true|false`, `person:<account>` = `write|read`, `shared-folder` (uuid or empty).
    Entry,
    /// An acquisition machine that delivers. Key: `<code>/<source>`. Attributes: `id` (the experiment's), `account` (its
    /// system account), `path` (its landing below the experiment), `read-only` = `true|false`, `key:<n>` (from 1) = one
    /// line of `authorized_keys`: type, base64, comment; never options.
    Source,
    /// What is mounted now. Key: the code. Attributes: `self` = `rw|ro`, `self.flags` (sorted, comma-joined),
    /// `jail:<account>` = `rw|ro`.
    Mounts,
    /// A shared folder. Key: its name. Attributes: `path` (absolute, no trailing slash), `comment`.
    SharedFolder,
    /// Who may enter a shared folder, as the NAS understands it. Key: name of the shared folder.
    /// Attributes: `group:<name>` or `user:<name>` = `none|read|write`.
    Privileges,
    /// An SMB share. Key: name of the shared folder. Attributes: the NAS's own parameter names, as text.
    SmbShare,
    /// An FTP share. Key: name of the shared folder. Attributes: `enable`, `comment`, `extraoptions`; observed also
    /// `service` = `on|off`.
    FtpShare,
    /// A machine that may mount a shared folder over NFS. Key: `<shared folder>/<client>`. Attributes: `options` = `ro|rw`,
    /// `comment`, `extraoptions` (as in exports(5), but the group of `anongid` by name); observed also `service`.
    NfsShare,
    /// A module of the rsync daemon. Key: name of the shared folder, which is the module's. Attributes: `enable`, `comment`,
    /// `uid`, `gid`, `readonly`, `list`, `usechroot`, `authusers`, `extraoptions`, `user:<account>` = `yes` (it has a
    /// password there, in the clear); observed also `service`.
    RsyncModule,
    /// The end of an account's open sessions. Key: the account. It is intended before a membership is taken away and
    /// forgotten when no session is left, so that a crash in between leaves nobody inside.
    Revocation,
    /// Configuration that was changed and is not in force yet. Key: which part. Intended before the first change,
    /// forgotten when it is in force.
    Activation,
    /// The NAS that made all this. Key: its id. A record made by another NAS says nothing about this one.
    Server,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "group",
            Self::Directory => "directory",
            Self::Contents => "contents",
            Self::Quota => "quota of",
            Self::Entry => "configuration entry",
            Self::Source => "source",
            Self::Mounts => "mounts",
            Self::SharedFolder => "shared folder",
            Self::Privileges => "privileges",
            Self::SmbShare => "SMB share",
            Self::FtpShare => "FTP share",
            Self::NfsShare => "NFS share",
            Self::RsyncModule => "rsync module",
            Self::Revocation => "end of sessions of",
            Self::Activation => "activation of",
            Self::Server => "NAS",
        })
    }
}

/// Names one object on a NAS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// What it is.
    pub kind: Kind,
    /// Its name, or its path below the experiment.
    pub key: String,
}

impl ObjectId {
    /// An object's name.
    pub fn new(kind: Kind, key: impl Into<String>) -> Self {
        Self {
            kind,
            key: key.into(),
        }
    }

    /// The shared folder that it refers to, where its kind does ([`Kind::is_of_a_shared_folder`]).
    pub fn shared_folder(&self) -> &str {
        self.key
            .split_once('/')
            .map_or(&self.key, |(folder, _)| folder)
    }
}

impl ObjectId {
    /// The same as `Display`, for a page in French.
    pub fn french(&self) -> String {
        let kind = match self.kind {
            Kind::Group => "groupe",
            Kind::Directory => "répertoire",
            Kind::Contents => "droits de tout le contenu",
            Kind::Quota => "quota de",
            Kind::Entry => "configuration de",
            Kind::Source => "source",
            Kind::Mounts => "montages de",
            Kind::SharedFolder => "dossier partagé",
            Kind::Privileges => "privilèges de",
            Kind::SmbShare => "partage SMB",
            Kind::FtpShare => "partage FTP",
            Kind::NfsShare => "partage NFS",
            Kind::RsyncModule => "module rsync",
            Kind::Revocation => "sessions de",
            Kind::Activation => "mise en vigueur de",
            Kind::Server => "NAS",
        };
        match (self.kind, self.key.as_str()) {
            (Kind::Contents, _) => kind.to_owned(),
            (_, "") => format!("{kind} ."),
            (_, key) => format!("{kind} {key}"),
        }
    }
}

/// Encodes an object with its name in both languages, for pages: `{"kind", "key", "en", "fr"}`.
pub fn named<S: Serializer>(object: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_struct("ObjectId", 4)?;
    map.serialize_field("kind", &object.kind)?;
    map.serialize_field("key", &object.key)?;
    map.serialize_field("en", &object.to_string())?;
    map.serialize_field("fr", &object.french())?;
    map.end()
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.key.as_str()) {
            (Kind::Contents, _) => write!(f, "{}", self.kind),
            (kind, "") => write!(f, "{kind} ."),
            (kind, key) => write!(f, "{kind} {key}"),
        }
    }
}

/// What is said of an object: attribute → value.
pub type Attributes = BTreeMap<String, String>;

/// The NAS's own name of an object (a uuid under OpenMediaVault), where it has one.
pub type Reference = Option<String>;

/// An object as it is found on the NAS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The NAS's own name of it.
    pub reference: Reference,
    /// What is said of it.
    pub attributes: Attributes,
}

impl Kind {
    /// Kinds that only our own memory has, and no NAS.
    pub fn is_memory(self) -> bool {
        matches!(
            self,
            Self::Contents | Self::Revocation | Self::Activation | Self::Server
        )
    }

    /// A shared folder and what refers to it.
    pub fn is_of_a_shared_folder(self) -> bool {
        matches!(self, Self::SharedFolder | Self::Privileges) || self.is_door()
    }

    /// A door that a server of its own opens, for a shared folder.
    pub fn is_door(self) -> bool {
        matches!(
            self,
            Self::SmbShare | Self::FtpShare | Self::NfsShare | Self::RsyncModule
        )
    }
}

/// A set of objects.
pub type Objects = BTreeMap<ObjectId, Attributes>;
