//! What the NAS knows for a plan: the public projection of documents, and what only a plan asks (affiliations with
//! identifiers, formats, who has access today, what is recorded). Kept in every version of a plan, so that two can be
//! compared and an old one written again.

use serde::{Deserialize, Serialize};

use super::registry::Registry;
use crate::documents::facts as public;
use crate::experiment::{Access, Language, Role};
use crate::layout::Bilingual;

/// From what the facts of a plan are gathered.
pub struct Known<'k> {
    /// What every document may say.
    pub public: &'k public::Facts,
    /// Identifiers of organisations.
    pub registry: &'k Registry,
    /// True where the NAS enforces rights.
    pub enforced: bool,
    /// How many files were received with a checksum in the baseline.
    pub received: u64,
    /// The documents that stand in `metadata/`, by file name.
    pub documents: Vec<String>,
}

/// The facts of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Identity of the experiment for ever.
    pub id: String,
    /// Its label.
    pub code: String,
    /// One line.
    pub title: String,
    /// Several lines.
    pub description: Option<String>,
    /// `fr` or `en`.
    pub language: String,
    /// First day.
    pub start: Option<String>,
    /// Last day.
    pub end: Option<String>,
    /// Where it runs.
    pub facility: Option<Facility>,
    /// Who takes part.
    pub people: Vec<Person>,
    /// The first contact.
    pub contact: Option<Contact>,
    /// What delivers data.
    pub sources: Vec<Source>,
    /// What is measured.
    pub variables: Vec<Variable>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// SPDX identifier and address of the licence.
    pub licence: Option<Licence>,
    /// Who pays.
    pub funding: Vec<Funding>,
    /// What the data is expected to need, in bytes.
    pub quota: Option<u64>,
    /// What is there.
    pub files: u64,
    /// Its bytes.
    pub bytes: u64,
    /// By format, the most bytes first.
    pub formats: Vec<FormatCount>,
    /// The tree.
    pub tree: Vec<Branch>,
    /// The documents beside the data.
    pub documents: Vec<String>,
    /// The ways in: `smb`, `sftp`, `rsync`, `ftp`, `nfs`.
    pub doors: Vec<String>,
    /// True where the NAS enforces rights.
    pub enforced: bool,
    /// How many files were received with a checksum in the baseline.
    pub received: u64,
    /// Years for which the data is kept after the end.
    pub retention_years: Option<u8>,
    /// The day until which it is kept.
    pub kept_until: Option<String>,
}

/// Where an experiment runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Somebody who takes part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// As it should appear.
    pub name: String,
    /// Given names.
    pub given: Option<String>,
    /// Family name.
    pub family: String,
    /// `https://orcid.org/…`.
    pub orcid: Option<String>,
    /// The organisation.
    pub affiliation: Option<Organisation>,
    /// Words of the definition.
    pub roles: Vec<String>,
    /// What the person may do today: `read`, `write` or `manage`.
    pub access: Option<String>,
    /// The last day of the access.
    pub until: Option<String>,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Organisation {
    /// Its name.
    pub name: String,
    /// `https://ror.org/…`.
    pub ror: Option<String>,
}

/// Somebody to write to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// As it should appear.
    pub name: String,
    /// The only e-mail address that leaves.
    pub email: Option<String>,
}

/// What delivers data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name in the experiment.
    pub id: String,
    /// Free text.
    pub description: Option<String>,
    /// Seconds between two deliveries.
    pub every: u64,
    /// Where its data goes.
    pub into: String,
}

/// Something that is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Licence {
    /// SPDX identifier.
    pub spdx: String,
    /// Its name.
    pub name: Bilingual,
    /// Where its text stands.
    pub url: String,
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Funding {
    /// Name of the organisation.
    pub funder: String,
    /// `https://ror.org/…`.
    pub ror: Option<String>,
    /// In the Crossref funder registry.
    pub fundref: Option<String>,
    /// Number of the grant.
    pub grant: Option<String>,
}

/// Files of one extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormatCount {
    /// Lower case, without the dot; empty where there is none.
    pub extension: String,
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A directory of the tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Below the experiment.
    pub path: String,
    /// What it is for.
    pub purpose: Bilingual,
    /// How files in it are named.
    pub naming: Option<Bilingual>,
}

impl Facts {
    /// Gathers them.
    pub fn gather(known: &Known<'_>) -> Self {
        let public = known.public;
        let experiment = &public.experiment;
        Self {
            id: experiment.id.clone().unwrap_or_default(),
            code: experiment.code.clone(),
            title: experiment.title.clone(),
            description: experiment.description.clone(),
            language: experiment.language.to_owned(),
            start: experiment.start.clone(),
            end: experiment.end.clone(),
            facility: public.facility.as_ref().map(|each| Facility {
                name: each.name.clone(),
                ror: each.ror.clone().or_else(|| known.registry.ror(&each.name)),
                platform: each.platform.clone(),
                chambers: each.chambers.clone(),
            }),
            people: public
                .people
                .iter()
                .map(|each| person(each, known))
                .collect(),
            contact: contact(public),
            sources: public
                .sources
                .iter()
                .map(|each| Source {
                    id: each.id.clone(),
                    description: each.description.clone(),
                    every: each.every,
                    into: each.into.clone(),
                })
                .collect(),
            variables: public
                .variables
                .iter()
                .map(|each| Variable {
                    name: each.name.clone(),
                    label: each.label.clone(),
                    unit: each.unit.clone(),
                    standard_name: each.standard_name.clone(),
                    sensor: each.sensor.clone(),
                })
                .collect(),
            keywords: public.keywords.clone(),
            licence: public.licence.as_ref().map(|each| Licence {
                spdx: each.spdx.clone(),
                name: each.name.clone(),
                url: each.url.clone(),
            }),
            funding: public
                .funding
                .iter()
                .map(|each| Funding {
                    funder: each.funder.clone(),
                    ror: each
                        .ror
                        .clone()
                        .or_else(|| known.registry.ror(&each.funder)),
                    fundref: known
                        .registry
                        .organisation(&each.funder)
                        .and_then(|found| found.funder.clone()),
                    grant: each.grant.clone(),
                })
                .collect(),
            quota: public.quota,
            files: public.data.total.files,
            bytes: public.data.total.bytes,
            formats: public
                .data
                .formats
                .iter()
                .map(|each| FormatCount {
                    extension: each.extension.clone(),
                    files: each.extent.files,
                    bytes: each.extent.bytes,
                })
                .collect(),
            tree: public
                .tree
                .iter()
                .map(|each| Branch {
                    path: each.path.clone(),
                    purpose: each.purpose.clone(),
                    naming: each.naming.clone(),
                })
                .collect(),
            documents: known.documents.clone(),
            doors: doors(&public.doors),
            enforced: known.enforced,
            received: known.received,
            retention_years: public.retention_years,
            kept_until: public.kept_until.clone(),
        }
    }

    /// The language of the experiment.
    pub fn own(&self) -> Language {
        Language::parse(&self.language).unwrap_or(Language::Fr)
    }

    /// The people with a role, in order.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Person> {
        self.people
            .iter()
            .filter(move |person| person.roles.iter().any(|each| each == role.as_str()))
    }

    /// Who answers for the science, otherwise who leads.
    pub fn leaders(&self) -> Vec<&Person> {
        [Role::PrincipalInvestigator, Role::ProjectLeader]
            .iter()
            .map(|role| self.with_role(*role).collect::<Vec<_>>())
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }

    /// The person that the contact is.
    pub fn contact_person(&self) -> Option<&Person> {
        let contact = self.contact.as_ref()?;
        self.people
            .iter()
            .find(|person| person.name == contact.name)
    }

    /// The organisations that people come from, each once, in order.
    pub fn organisations(&self) -> Vec<&Organisation> {
        let mut found: Vec<&Organisation> = Vec::new();
        for organisation in self
            .people
            .iter()
            .filter_map(|each| each.affiliation.as_ref())
        {
            if !found.contains(&organisation) {
                found.push(organisation);
            }
        }
        found
    }
}

fn person(person: &public::Person, known: &Known<'_>) -> Person {
    let today = known.public.today.as_str();
    // Days of the same form are ordered as texts.
    let ended = person.until.as_deref().is_some_and(|until| until < today);
    Person {
        name: person.name.clone(),
        given: person.given.clone(),
        family: person.family.clone(),
        orcid: person.orcid.clone(),
        affiliation: person.affiliation.as_ref().map(|name| {
            let facility = known.public.facility.as_ref();
            Organisation {
                ror: known.registry.ror(name).or_else(|| {
                    facility
                        .filter(|facility| facility.name == *name)
                        .and_then(|facility| facility.ror.clone())
                }),
                name: name.clone(),
            }
        }),
        roles: person.roles.iter().map(ToString::to_string).collect(),
        access: person
            .access
            .filter(|_| !ended)
            .map(|access: Access| access.to_string()),
        until: person.until.clone().filter(|_| !ended),
    }
}

/// The first contact that has an e-mail address, otherwise the first one.
fn contact(public: &public::Facts) -> Option<Contact> {
    public
        .contacts
        .iter()
        .find(|each| each.email.is_some())
        .or_else(|| public.contacts.first())
        .map(|each| Contact {
            name: each.name.clone(),
            email: each.email.clone(),
        })
}

fn doors(doors: &public::Doors) -> Vec<String> {
    [
        ("smb", doors.smb),
        ("sftp", doors.sftp),
        ("rsync", doors.rsync),
        ("ftp", doors.ftp),
        ("nfs", doors.nfs),
    ]
    .into_iter()
    .filter(|(_, open)| *open)
    .map(|(door, _)| door.to_owned())
    .collect()
}
