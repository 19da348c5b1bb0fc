//! The definition of an experiment: `experiment.yaml` as types (docs/reference/definition.md).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::choice::{Access, Language, Role, SourceKind, Status};
use super::identifier::{Email, Licence, Orcid, Ror};
use super::name::{AccountName, Code, ExperimentId, LayoutName, SourceId};
use super::path::{AbsPath, RelPath};
use super::quantity::{Date, Interval, Size, Timezone};
use super::write;
use crate::error::{Error, Result};

/// The version of the format that this program writes.
pub const VERSION: u32 = 1;

/// Keys that this program does not know, kept from a stored definition and written back after the known ones.
pub type Unknown = BTreeMap<String, serde_json::Value>;

/// What an experiment is meant to be. Made by [`super::read`]; serialised, its keys have the order of these fields, and
/// what is not said is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Definition {
    /// Version of the format.
    pub octonas: u32,
    /// Identity for ever; given at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<ExperimentId>,
    /// Label, fixed for life.
    pub code: Code,
    /// One line, at most 300 bytes.
    pub title: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Of the generated texts.
    pub language: Language,
    /// Where it is in its life.
    pub status: Status,
    /// When it runs.
    #[serde(skip_serializing_if = "Dates::is_empty")]
    pub dates: Dates,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facility: Option<Facility>,
    /// Who takes part. No account twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// What delivers data. No id twice, case of letters aside no directory twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// What is measured. No name twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Under which the data will be handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<Licence>,
    /// Who pays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub funding: Vec<Funding>,
    /// Where its data lies.
    #[serde(skip_serializing_if = "Storage::is_empty")]
    pub storage: Storage,
    /// The template of its directory tree.
    pub layout: LayoutName,
    /// What it was before it was an experiment, where it was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// The doors that are open to its members.
    pub protocols: Protocols,
    /// How long the data is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// When an experiment runs; `start` is not after `end`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Dates {
    /// First day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Date>,
    /// Last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Date>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Dates {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where an experiment runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facility {
    /// Of the unit or infrastructure.
    pub name: String,
    /// Its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ror: Option<Ror>,
    /// The equipment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Names of chambers, mesocosms, plots or sites; none twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chambers: Vec<String>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Somebody who takes part. Without `account` documented only; `account` and `access` come together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Person {
    /// As it should appear in documents.
    pub name: String,
    /// Identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orcid: Option<Orcid>,
    /// Address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Name of the organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affiliation: Option<String>,
    /// What the person does; gives no rights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Login name on the NAS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// What the account may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The last day of the access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// An acquisition machine that delivers data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// Its name in the experiment.
    pub id: SourceId,
    /// What runs on it.
    pub kind: SourceKind,
    /// The time zone of its clock and of the times in its files.
    pub timezone: Timezone,
    /// Where its data goes; never in `metadata` or `landing`.
    pub into: RelPath,
    /// How often it delivers.
    pub every: Interval,
    /// The account of a machine that cannot do SSH: it writes into a share of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountName>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Something that is measured: a column of the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    /// As in the files.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// UDUNITS spelling where there is one (`degC`, `umol m-2 s-1`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// From the CF standard name table (`air_temperature`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_name: Option<String>,
    /// What measures it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensor: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Somebody who pays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Funding {
    /// Name of the organisation.
    pub funder: String,
    /// Its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ror: Option<Ror>,
    /// Number of the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Where the data of an experiment lies.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Storage {
    /// The folder that holds experiments; the experiment is `<base>/<code>`. Given at creation where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<AbsPath>,
    /// What the data is expected to need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Size>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Storage {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an imported directory had beside its layout. Files that lie in a frame are read by members and changed by nobody.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    /// The day of the import.
    pub date: Date,
    /// Directories that the layout does not have: members write in them as in leaves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaves: Vec<RelPath>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The doors that are open to an experiment's members.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(clippy::struct_excessive_bools)] // Each door is its own switch in the file.
pub struct Protocols {
    /// Windows shares. Default: open.
    pub smb: bool,
    /// SFTP. Default: open.
    pub sftp: bool,
    /// rsync over SSH. Default: open.
    pub rsync: bool,
    /// FTP. Default: closed.
    pub ftp: bool,
    /// The rsync daemon, for reading only. Default: closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rsyncd: bool,
    /// Machines that may mount it over NFS.
    pub nfs: Vec<NfsRow>,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Default for Protocols {
    fn default() -> Self {
        Self {
            smb: true,
            sftp: true,
            rsync: true,
            ftp: false,
            rsyncd: false,
            nfs: Vec::new(),
            unknown: Unknown::new(),
        }
    }
}

/// Machines that may mount an experiment over NFS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NfsRow {
    /// A host name, an IP address, or a network (`10.1.2.0/24`).
    pub host: String,
    /// `read` or `write`.
    pub access: Access,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How long the data is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retention {
    /// Years after the end of the experiment, 1 to 100.
    pub years: u8,
    /// Keys of a later program.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl Definition {
    /// The definition as canonical YAML: the same definition gives the same bytes.
    pub fn to_yaml(&self) -> Result<String> {
        let value = serde_yaml::to_value(self).map_err(|e| {
            Error::new(
                "definition.unwritable",
                format!(
                    "the definition of `{}` cannot be written as YAML",
                    self.code
                ),
            )
            .source(e)
        })?;
        Ok(write::yaml(&value))
    }

    /// SHA-256 of the canonical YAML, 64 hexadecimal digits. An edit carries it, so that two do not overwrite each other.
    pub fn digest(&self) -> Result<String> {
        let hash = Sha256::digest(self.to_yaml()?.as_bytes());
        Ok(hash
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }))
    }

    /// Everybody with an account, whether or not their `until` has passed.
    pub fn people_with_access(&self) -> impl Iterator<Item = (&AccountName, Access, &Person)> {
        self.people
            .iter()
            .filter_map(|person| Some((person.account.as_ref()?, person.access?, person)))
    }

    /// The members on a day: `until` is the last day of an access.
    pub fn members_on(&self, day: Date) -> BTreeMap<AccountName, Access> {
        self.people_with_access()
            .filter(|(_, _, person)| person.until.is_none_or(|until| day <= until))
            .map(|(account, access, _)| (account.clone(), access))
            .collect()
    }

    /// The experiment's own directory, `<base>/<code>`, once its base is known.
    pub fn directory(&self) -> Option<std::path::PathBuf> {
        let base = self.storage.base.as_ref()?;
        Some(base.as_path().join(self.code.as_str()))
    }
}
