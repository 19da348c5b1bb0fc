//! The people of an experiment: who takes part, whom to cite, and whom to write to.

use serde::Serialize;

use crate::experiment::{self, Access, Role};

/// Somebody who takes part.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// As it should appear.
    pub name: String,
    /// What comes before the last word of the name.
    pub given: Option<String>,
    /// The last word of the name, with particles before it.
    pub family: String,
    /// `https://orcid.org/…`.
    pub orcid: Option<String>,
    /// Name of the organisation.
    pub affiliation: Option<String>,
    /// Words for the helper `roles`.
    pub roles: Vec<Role>,
    /// What the person may do, if anything: a word for the helper `access`.
    pub access: Option<Access>,
    /// The last day of the access.
    pub until: Option<String>,
}

/// Somebody to write to.
#[derive(Debug, Clone, Serialize)]
pub struct Contact {
    /// As it should appear.
    pub name: String,
    /// As in [`Person`].
    pub given: Option<String>,
    /// As in [`Person`].
    pub family: String,
    /// The only e-mail addresses that leave.
    pub email: Option<String>,
    /// `https://orcid.org/…`.
    pub orcid: Option<String>,
    /// Name of the organisation.
    pub affiliation: Option<String>,
}

pub(super) fn person(person: &experiment::Person) -> Person {
    let (given, family) = names(&person.name);
    Person {
        name: person.name.clone(),
        given,
        family,
        orcid: person.orcid.as_ref().map(experiment::Orcid::url),
        affiliation: person.affiliation.clone(),
        roles: person.roles.clone(),
        access: person.access,
        until: person.until.map(|day| day.to_string()),
    }
}

/// Given names and family name of a name as people write it: `Yann Le Goff` → (`Yann`, `Le Goff`). A particle with a
/// capital or not (`de`, `Van der`) belongs to the family name; a name of one word is a family name.
fn names(name: &str) -> (Option<String>, String) {
    const PARTICLES: &[&str] = &[
        "al", "ben", "da", "de", "del", "della", "den", "der", "des", "di", "dos", "du", "el",
        "la", "le", "van", "von", "zu",
    ];
    let words: Vec<&str> = name.split_whitespace().collect();
    let mut at = words.len().saturating_sub(1);
    while at > 1
        && words
            .get(at - 1)
            .is_some_and(|word| PARTICLES.contains(&word.to_lowercase().as_str()))
    {
        at -= 1;
    }
    let (given, family) = words.split_at(at);
    let given = (!given.is_empty()).then(|| given.join(" "));
    (given, family.join(" "))
}

/// Whom to cite: those who answer for the science, otherwise those who lead, otherwise everybody.
pub(super) fn authors(people: &[Person]) -> Vec<Person> {
    for role in [Role::PrincipalInvestigator, Role::ProjectLeader] {
        let found: Vec<Person> = people
            .iter()
            .filter(|person| person.roles.contains(&role))
            .cloned()
            .collect();
        if !found.is_empty() {
            return once(found);
        }
    }
    once(people.to_vec())
}

/// Nobody twice: a citation refuses it.
fn once(mut people: Vec<Person>) -> Vec<Person> {
    let mut seen = std::collections::BTreeSet::new();
    people.retain(|person| seen.insert((person.name.clone(), person.orcid.clone())));
    people
}

/// Whom to write to: the contacts; otherwise those who answer for the science, without their e-mail.
pub(super) fn contacts(people: &[experiment::Person]) -> Vec<Contact> {
    let with = |role: Role| {
        people
            .iter()
            .filter(move |person| person.roles.contains(&role))
            .map(|person| Contact {
                name: person.name.clone(),
                given: names(&person.name).0,
                family: names(&person.name).1,
                email: person
                    .email
                    .as_ref()
                    .filter(|_| person.roles.contains(&Role::Contact))
                    .map(ToString::to_string),
                orcid: person.orcid.as_ref().map(experiment::Orcid::url),
                affiliation: person.affiliation.clone(),
            })
            .collect::<Vec<_>>()
    };
    let contacts = with(Role::Contact);
    if contacts.is_empty() {
        with(Role::PrincipalInvestigator)
    } else {
        contacts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_particle_belongs_to_the_family_name() {
        for (name, given, family) in [
            ("Marie Durand", Some("Marie"), "Durand"),
            ("Yann Le Goff", Some("Yann"), "Le Goff"),
            ("Jean de La Fontaine", Some("Jean"), "de La Fontaine"),
            ("Ada", None, "Ada"),
            (
                "Anna Maria van der Berg",
                Some("Anna Maria"),
                "van der Berg",
            ),
            ("Le Goff", Some("Le"), "Goff"),
            ("", None, ""),
        ] {
            let (found_given, found_family) = names(name);
            assert_eq!(
                (found_given.as_deref(), found_family.as_str()),
                (given, family),
                "{name}"
            );
        }
    }
}
