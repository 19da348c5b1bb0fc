//! The entities of a crate, written one after the other: the payload itself, people, organisations, variables.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::package::about::{About, Agent, Organisation, Variable};
use crate::package::content::Taking;
use crate::package::path::uri;

/// What is written one after the other.
pub(super) struct Graph<'o, 't> {
    out: &'o mut Taking<'t>,
    is_first: bool,
    known: BTreeSet<String>,
    failed: Option<Error>,
}

impl<'o, 't> Graph<'o, 't> {
    pub(super) fn new(out: &'o mut Taking<'t>) -> Self {
        Self {
            out,
            is_first: true,
            known: BTreeSet::new(),
            failed: None,
        }
    }

    /// What went wrong, if anything did.
    pub(super) fn end(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    pub(super) fn say(&mut self, text: &str) {
        if self.failed.is_none()
            && let Err(error) = (self.out)(text.as_bytes())
        {
            self.failed = Some(error);
        }
    }

    pub(super) fn add(&mut self, entity: &Value) {
        self.add_with_parts(entity, None::<std::iter::Empty<String>>);
    }

    /// An entity with what belongs to it, which may be much: written one by one.
    pub(super) fn add_with_parts(
        &mut self,
        entity: &Value,
        parts: Option<impl Iterator<Item = String>>,
    ) {
        let comma = if std::mem::take(&mut self.is_first) {
            ""
        } else {
            ","
        };
        let text = entity.to_string();
        let Some(parts) = parts else {
            self.say(&format!("{comma}\n{text}"));
            return;
        };
        self.say(&format!(
            "{comma}\n{},\"hasPart\":[",
            text.strip_suffix('}').unwrap_or(&text)
        ));
        for (number, id) in parts.enumerate() {
            let comma = if number == 0 { "" } else { "," };
            self.say(&format!("{comma}{}", json!({"@id": id})));
        }
        self.say("]}");
    }

    /// Adds an entity that others name, once.
    pub(super) fn once(&mut self, id: &str, entity: impl FnOnce() -> Value) -> Value {
        if self.known.insert(id.to_owned()) {
            let entity = entity();
            self.add(&entity);
        }
        json!({"@id": id})
    }

    pub(super) fn root(&mut self, about: &About) -> Value {
        let mut root = json!({
            "@id": "./",
            "@type": "Dataset",
            "name": about.title,
            "description": about.description.as_deref().unwrap_or(&about.title),
            "datePublished": about.date,
            "identifier": format!("urn:uuid:{}", about.id),
            "inLanguage": about.language,
        });
        let Some(map) = root.as_object_mut() else {
            return root;
        };
        let licence = match &about.licence {
            Some((name, url)) => self.once(url, || {
                json!({"@id": url, "@type": "CreativeWork", "name": name, "description": name, "url": url})
            }),
            None => json!(match about.language.as_str() {
                "fr" => "Aucune licence n'a été choisie : tous droits réservés.",
                _ => "No licence was chosen: all rights reserved.",
            }),
        };
        map.insert("license".into(), licence);
        for (key, agents) in [
            ("author", &about.authors),
            ("contributor", &about.contributors),
        ] {
            let people: Vec<Value> = agents
                .iter()
                .map(|agent| self.person(agent, about))
                .collect();
            if !people.is_empty() {
                map.insert(key.into(), people.into());
            }
        }
        let contacts: Vec<Value> = about
            .contacts
            .iter()
            .map(|agent| self.person(agent, about))
            .collect();
        if let Some(first) = contacts.first() {
            map.insert("maintainer".into(), first.clone());
        }
        if let Some(facility) = &about.facility {
            let publisher = self.organisation(facility);
            map.insert("publisher".into(), publisher);
        }
        if !about.keywords.is_empty() {
            map.insert("keywords".into(), about.keywords.join(", ").into());
        }
        let period = [&about.start, &about.end].map(|day| day.as_deref().unwrap_or(".."));
        if about.start.is_some() || about.end.is_some() {
            map.insert("temporalCoverage".into(), period.join("/").into());
        }
        let variables: Vec<Value> = about.variables.iter().map(|v| self.variable(v)).collect();
        if !variables.is_empty() {
            map.insert("variableMeasured".into(), variables.into());
        }
        let funders: Vec<Value> = about
            .funding
            .iter()
            .map(|grant| self.organisation(&grant.funder))
            .collect();
        if !funders.is_empty() {
            map.insert("funder".into(), funders.into());
        }
        root
    }

    fn person(&mut self, agent: &Agent, about: &About) -> Value {
        let id = agent
            .orcid
            .clone()
            .unwrap_or_else(|| format!("#person-{}", uri(&agent.name)));
        let employer = agent.affiliation.as_ref().map(|name| {
            self.organisation(&Organisation {
                name: name.clone(),
                ror: None,
            })
        });
        // The contact of the same person may say more.
        let email = agent.email.as_ref().or_else(|| {
            let same = |other: &&Agent| other.name == agent.name && other.orcid == agent.orcid;
            about.contacts.iter().find(same)?.email.as_ref()
        });
        self.once(&id, || {
            let mut person = json!({"@id": id, "@type": "Person", "name": agent.name});
            if let Some(map) = person.as_object_mut() {
                if let Some(employer) = employer {
                    map.insert("affiliation".into(), employer);
                }
                if let Some(email) = email {
                    map.insert("email".into(), email.as_str().into());
                }
            }
            person
        })
    }

    fn organisation(&mut self, organisation: &Organisation) -> Value {
        let id = organisation
            .ror
            .clone()
            .unwrap_or_else(|| format!("#organisation-{}", uri(&organisation.name)));
        self.once(&id, || {
            let mut entity = json!({"@id": id, "@type": "Organization", "name": organisation.name});
            if let (Some(ror), Some(map)) = (&organisation.ror, entity.as_object_mut()) {
                map.insert("url".into(), ror.as_str().into());
            }
            entity
        })
    }

    fn variable(&mut self, variable: &Variable) -> Value {
        let id = format!("#variable-{}", uri(&variable.name));
        self.once(&id, || {
            let mut entity = json!({"@id": id, "@type": "PropertyValue", "name": variable.name});
            if let Some(map) = entity.as_object_mut() {
                for (key, value) in [
                    ("description", &variable.label),
                    ("unitText", &variable.unit),
                ] {
                    if let Some(value) = value {
                        map.insert(key.into(), value.as_str().into());
                    }
                }
            }
            entity
        })
    }
}
