//! Everything that a document may say of an experiment: the public projection.
//!
//! There is no account in it, no address or path of a machine, and no e-mail but the contact's. What is unknown is
//! there as `null`, so that a template can ask for it; nothing is made up.

mod people;

use serde::Serialize;

use super::dictionary::Dictionary;
use super::reading::Reading;
use crate::catalogue::survey::Survey;
use crate::experiment::{self, Definition, SourceKind, Status};
use crate::layout::{self, Bilingual, DirectoryKind};

use people::{authors, contacts, person};

pub use people::{Contact, Person};

/// The most directories of a tree that documents show.
pub const TREE_MAX: usize = 400;

/// From what facts are gathered.
pub struct Known<'k> {
    /// What the experiment is meant to be.
    pub definition: &'k Definition,
    /// The template of its tree.
    pub layout: &'k layout::Layout,
    /// Its tree.
    pub tree: &'k [layout::Directory],
    /// Its data.
    pub survey: &'k Survey,
    /// The NAS serves doors and enforces rights.
    pub served: bool,
    /// The share of its base in which it is a folder; `None` where it has its own.
    pub common_share: Option<&'k str>,
    /// The day, `2026-11-21`.
    pub today: String,
}

/// The facts.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The experiment itself.
    pub experiment: Experiment,
    /// Who takes part, as the definition orders them.
    pub people: Vec<Person>,
    /// The people to write to, with their e-mail where it is known.
    pub contacts: Vec<Contact>,
    /// The people who answer for the science, otherwise those who lead; they are the authors.
    pub authors: Vec<Person>,
    /// Where it runs.
    pub facility: Option<Facility>,
    /// What delivers data.
    pub sources: Vec<Source>,
    /// What is declared to be measured.
    pub variables: Vec<Variable>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Under which the data is handed over.
    pub licence: Option<LicenceFacts>,
    /// Who pays.
    pub funding: Vec<Funding>,
    /// What the data is expected to need, in bytes.
    pub quota: Option<u64>,
    /// Years for which it is kept after its end.
    pub retention_years: Option<u8>,
    /// The day until which it is kept, `2036-09-30`.
    pub kept_until: Option<String>,
    /// The ways in.
    pub doors: Doors,
    /// The template of the tree.
    pub layout: LayoutFacts,
    /// The tree, parents first; at most [`TREE_MAX`] directories.
    pub tree: Vec<Branch>,
    /// A directory in which members write, for examples.
    pub leaf: Option<String>,
    /// How many directories are not shown.
    pub tree_more: usize,
    /// How files are named, each rule once.
    pub namings: Vec<super::namings::Naming>,
    /// What lies in it.
    pub data: Survey,
    /// What was declared, beside what was found in the files.
    pub dictionary: Dictionary,
    /// How the files are read.
    pub reading: Reading,
    /// The NAS serves these doors; an embedded one is a directory.
    pub served: bool,
    /// The day on which this was gathered; alone, it changes no document.
    pub today: String,
    /// The version of the program.
    pub octonas: &'static str,
}

/// What an experiment is.
#[derive(Debug, Clone, Serialize)]
pub struct Experiment {
    /// Identity for ever.
    pub id: Option<String>,
    /// Its label: the name of the directory, and of the share where it has its own.
    pub code: String,
    /// The name of the share.
    pub share: String,
    /// Where it is over SMB: the share, and the folder in it where the share is common to several.
    pub smb: String,
    /// One line.
    pub title: String,
    /// Several lines.
    pub description: Option<String>,
    /// `fr` or `en`.
    pub language: &'static str,
    /// A word for the helper `status`.
    pub status: Status,
    /// True once the data changes no more.
    pub closed: bool,
    /// First day, `2026-03-01`.
    pub start: Option<String>,
    /// Last day.
    pub end: Option<String>,
}

/// Where an experiment runs.
#[derive(Debug, Clone, Serialize)]
pub struct Facility {
    /// Its name.
    pub name: String,
    /// `https://ror.org/…`.
    pub ror: Option<String>,
    /// The equipment.
    pub platform: Option<String>,
    /// Chambers, mesocosms, plots or sites.
    pub chambers: Vec<String>,
}

/// What delivers data.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// Its name in the experiment.
    pub id: String,
    /// A word for the helper `kind`.
    pub kind: SourceKind,
    /// Of the times in its files.
    pub timezone: String,
    /// Where its data goes.
    pub into: String,
    /// Seconds between two deliveries, for the helper `duration`.
    pub every: u64,
    /// Free text.
    pub description: Option<String>,
}

/// Something that is declared to be measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Variable {
    /// As in the files.
    pub name: String,
    /// For people.
    pub label: Option<String>,
    /// UDUNITS spelling.
    pub unit: Option<String>,
    /// From the CF table.
    pub standard_name: Option<String>,
    /// What measures it.
    pub sensor: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

/// A licence.
#[derive(Debug, Clone, Serialize)]
pub struct LicenceFacts {
    /// SPDX identifier.
    pub spdx: String,
    /// The Citation File Format 1.2 knows it.
    pub in_cff: bool,
    /// Its name.
    pub name: Bilingual,
    /// Where its text stands.
    pub url: String,
    /// What it allows and asks, in one sentence; nothing where we do not know.
    pub summary: Option<Bilingual>,
}

/// Who pays.
#[derive(Debug, Clone, Serialize)]
pub struct Funding {
    /// Name of the organisation.
    pub funder: String,
    /// `https://ror.org/…`.
    pub ror: Option<String>,
    /// Number of the grant.
    pub grant: Option<String>,
}

/// The ways in.
#[derive(Debug, Clone, Serialize)]
#[allow(clippy::struct_excessive_bools)] // Each door is its own switch.
pub struct Doors {
    /// Windows shares.
    pub smb: bool,
    /// SFTP.
    pub sftp: bool,
    /// rsync over SSH.
    pub rsync: bool,
    /// FTP.
    pub ftp: bool,
    /// The rsync daemon, to read.
    pub rsyncd: bool,
    /// NFS, for machines that are not named here.
    pub nfs: bool,
    /// At least one.
    pub any: bool,
}

/// The template of the tree.
#[derive(Debug, Clone, Serialize)]
pub struct LayoutFacts {
    /// Its name.
    pub name: String,
    /// For people.
    pub title: Bilingual,
    /// What it is for.
    pub purpose: Bilingual,
}

/// A directory of the tree.
#[derive(Debug, Clone, Serialize)]
pub struct Branch {
    /// Below the experiment.
    pub path: String,
    /// Its own name.
    pub name: String,
    /// How many directories are above it.
    pub depth: usize,
    /// `frame`, `leaf` or `open-leaf`.
    pub kind: DirectoryKind,
    /// True where members write.
    pub leaf: bool,
    /// What it is for.
    pub purpose: Bilingual,
    /// How files in it are named.
    pub naming: Option<Bilingual>,
}

impl Facts {
    /// Gathers them.
    pub fn gather(known: &Known<'_>) -> Self {
        let definition = known.definition;
        let people: Vec<Person> = definition.people.iter().map(person).collect();
        let retention_years = definition.retention.as_ref().map(|each| each.years);
        Self {
            experiment: Experiment {
                id: definition.id.map(|id| id.to_string()),
                code: definition.code.to_string(),
                share: known
                    .common_share
                    .map_or_else(|| definition.code.to_string(), str::to_owned),
                smb: known.common_share.map_or_else(
                    || definition.code.to_string(),
                    |share| format!("{share}/{}", definition.code),
                ),
                title: definition.title.clone(),
                description: definition.description.clone(),
                language: definition.language.as_str(),
                status: definition.status,
                closed: matches!(
                    definition.status,
                    Status::Closed | Status::Archived | Status::Removed
                ),
                start: definition.dates.start.map(|day| day.to_string()),
                end: definition.dates.end.map(|day| day.to_string()),
            },
            authors: authors(&people),
            contacts: contacts(&definition.people),
            people,
            facility: definition.facility.as_ref().map(|each| Facility {
                name: each.name.clone(),
                ror: each.ror.as_ref().map(experiment::Ror::url),
                platform: each.platform.clone(),
                chambers: each.chambers.clone(),
            }),
            sources: definition.sources.iter().map(source).collect(),
            variables: definition.variables.iter().map(variable).collect(),
            keywords: keywords(&definition.keywords),
            licence: definition.licence.map(super::licence::facts),
            funding: definition
                .funding
                .iter()
                .map(|each| Funding {
                    funder: each.funder.clone(),
                    ror: each.ror.as_ref().map(experiment::Ror::url),
                    grant: each.grant.clone(),
                })
                .collect(),
            quota: definition.storage.quota.map(experiment::Size::bytes),
            retention_years,
            kept_until: kept_until(definition),
            doors: doors(definition),
            layout: LayoutFacts {
                name: known.layout.name().to_string(),
                title: known.layout.title().clone(),
                purpose: known.layout.purpose().clone(),
            },
            tree: known.tree.iter().take(TREE_MAX).map(branch).collect(),
            leaf: leaf(known.tree),
            tree_more: known.tree.len().saturating_sub(TREE_MAX),
            namings: super::namings::of(known.tree),
            data: known.survey.clone(),
            dictionary: Dictionary::default(),
            reading: Reading::default(),
            served: known.served,
            today: known.today.clone(),
            octonas: env!("CARGO_PKG_VERSION"),
        }
    }
}

fn source(source: &experiment::Source) -> Source {
    Source {
        id: source.id.to_string(),
        kind: source.kind,
        timezone: source.timezone.to_string(),
        into: source.into.to_string(),
        every: u64::from(source.every.minutes()) * 60,
        description: source.description.clone(),
    }
}

fn variable(variable: &experiment::Variable) -> Variable {
    Variable {
        name: variable.name.clone(),
        label: variable.label.clone(),
        unit: variable.unit.clone(),
        standard_name: variable.standard_name.clone(),
        sensor: variable.sensor.clone(),
        description: variable.description.clone(),
    }
}

/// No word twice.
fn keywords(given: &[String]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    given
        .iter()
        .filter(|word| seen.insert(word.as_str()))
        .cloned()
        .collect()
}

fn doors(definition: &Definition) -> Doors {
    let protocols = &definition.protocols;
    let nfs = !protocols.nfs.is_empty();
    Doors {
        smb: protocols.smb,
        sftp: protocols.sftp,
        rsync: protocols.rsync,
        ftp: protocols.ftp,
        rsyncd: protocols.rsyncd,
        nfs,
        any: protocols.smb
            || protocols.sftp
            || protocols.rsync
            || protocols.ftp
            || protocols.rsyncd
            || nfs,
    }
}

fn branch(directory: &layout::Directory) -> Branch {
    Branch {
        path: directory.path.to_string(),
        name: directory.path.name().to_owned(),
        depth: directory.path.components().count() - 1,
        kind: directory.kind,
        leaf: directory.kind.is_leaf(),
        purpose: directory.purpose.clone(),
        naming: directory.naming.clone(),
    }
}

/// Where members put files: an open leaf, which takes whole trees, before any other.
fn leaf(tree: &[layout::Directory]) -> Option<String> {
    tree.iter()
        .find(|each| each.kind == DirectoryKind::OpenLeaf)
        .or_else(|| tree.iter().find(|each| each.kind.is_leaf()))
        .map(|each| each.path.to_string())
}

/// The end of the experiment and the years after it; unknown while one of the two is.
pub fn kept_until(definition: &Definition) -> Option<String> {
    let years = definition.retention.as_ref()?.years;
    let end = definition.dates.end?.civil();
    let until = end
        .checked_add(jiff::Span::new().years(i64::from(years)))
        .ok()?;
    Some(until.to_string())
}
