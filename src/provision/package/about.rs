//! What a package says of its experiment: the description, the labels of the bag, and the definition as it leaves.

use crate::documents::facts::{self, Facts};
use crate::experiment::{Definition, Protocols, Role, Unknown};
use crate::package::about::{About, Agent, Grant, Organisation, Variable};

/// From what is known of an experiment.
pub(super) fn about(facts: &Facts, id: &str) -> About {
    let agent = |person: &facts::Person| Agent {
        name: person.name.clone(),
        orcid: person.orcid.clone(),
        affiliation: person.affiliation.clone(),
        email: None,
    };
    let authors: Vec<Agent> = facts.authors.iter().map(agent).collect();
    let contributors = facts.people.iter().map(agent);
    About {
        id: id.to_owned(),
        code: facts.experiment.code.clone(),
        title: facts.experiment.title.clone(),
        description: facts.experiment.description.clone(),
        language: facts.experiment.language.to_owned(),
        start: facts.experiment.start.clone(),
        end: facts.experiment.end.clone(),
        date: facts.today.clone(),
        contributors: contributors
            .filter(|each| !authors.contains(each))
            .collect(),
        authors,
        contacts: facts
            .contacts
            .iter()
            .map(|contact| Agent {
                name: contact.name.clone(),
                orcid: contact.orcid.clone(),
                affiliation: contact.affiliation.clone(),
                email: contact.email.clone(),
            })
            .collect(),
        facility: facts.facility.as_ref().map(|facility| Organisation {
            name: facility.name.clone(),
            ror: facility.ror.clone(),
        }),
        licence: facts.licence.as_ref().map(|licence| {
            let name = match facts.experiment.language {
                "fr" => &licence.name.fr,
                _ => &licence.name.en,
            };
            (name.clone(), licence.url.clone())
        }),
        keywords: facts.keywords.clone(),
        funding: facts
            .funding
            .iter()
            .map(|each| Grant {
                funder: Organisation {
                    name: each.funder.clone(),
                    ror: each.ror.clone(),
                },
                number: each.grant.clone(),
            })
            .collect(),
        variables: facts
            .variables
            .iter()
            .map(|each| Variable {
                name: each.name.clone(),
                label: each.label.clone(),
                unit: each.unit.clone(),
            })
            .collect(),
    }
}

/// Labels and values of `bag-info.txt` (RFC 8493, section 2.2.2).
pub(super) fn info(about: &About) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(facility) = &about.facility {
        rows.push(("Source-Organization", facility.name.clone()));
    }
    for contact in &about.contacts {
        rows.push(("Contact-Name", contact.name.clone()));
        if let Some(email) = &contact.email {
            rows.push(("Contact-Email", email.clone()));
        }
    }
    let description = about.description.as_deref().unwrap_or(&about.title);
    rows.push(("External-Description", description.to_owned()));
    rows.push(("External-Identifier", format!("urn:uuid:{}", about.id)));
    rows.push(("Internal-Sender-Identifier", about.code.clone()));
    rows.push(("Internal-Sender-Description", about.title.clone()));
    rows.push(("Bagging-Date", about.date.clone()));
    let agent = format!("OctoNAS {}", env!("CARGO_PKG_VERSION"));
    rows.push(("Bag-Software-Agent", agent));
    rows
}

/// The definition as it leaves: no accounts and no access, no e-mail but the contacts', no machines, no place.
pub fn public(definition: &Definition) -> Definition {
    let mut public = definition.clone();
    public.unknown = Unknown::new();
    for person in &mut public.people {
        (person.account, person.access, person.until) = (None, None, None);
        person.unknown = Unknown::new();
        if !person.roles.contains(&Role::Contact) {
            person.email = None;
        }
    }
    for source in &mut public.sources {
        source.account = None;
        source.unknown = Unknown::new();
    }
    public.storage.base = None;
    public.storage.unknown = Unknown::new();
    public.protocols = Protocols {
        nfs: Vec::new(),
        unknown: Unknown::new(),
        ..public.protocols
    };
    public
}
