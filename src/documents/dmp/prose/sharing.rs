//! Sections 5 and 6: sharing, preservation, people and means.

use super::{Block, Say};
use crate::documents::dmp::formats;
use crate::documents::words;
use crate::experiment::{Language, Role};

/// 5a: how and when the data is shared.
pub(super) fn shared(say: &Say<'_>) -> Vec<Block> {
    let day = say.choice("release").map(|day| say.day(day));
    let sentence = match (say.choice("access"), day) {
        (Some("open"), None) => say
            .t(
                "Les données seront en accès ouvert.",
                "The data will be open to everybody.",
            )
            .to_owned(),
        (Some("open"), Some(day)) => match say.l {
            Language::Fr => format!("Les données seront en accès ouvert à partir du {day}."),
            Language::En => format!("The data will be open to everybody from {day} on."),
        },
        (Some("restricted"), None) => say
            .t(
                "Les données seront en accès restreint.",
                "Access to the data will be restricted.",
            )
            .to_owned(),
        (Some("restricted"), Some(day)) => match say.l {
            Language::Fr => format!("Les données seront en accès restreint à partir du {day}."),
            Language::En => {
                format!("The data will be accessible, with restrictions, from {day} on.")
            }
        },
        (Some("embargoed"), None) => say
            .t(
                "Les données seront sous embargo, puis en accès ouvert.",
                "The data will be under embargo, then open to everybody.",
            )
            .to_owned(),
        (Some("embargoed"), Some(day)) => match say.l {
            Language::Fr => {
                format!("Les données seront sous embargo jusqu'au {day}, puis en accès ouvert.")
            }
            Language::En => {
                format!("The data will be under embargo until {day}, then open to everybody.")
            }
        },
        (Some("closed"), _) => say
            .t(
                "Les données ne seront pas diffusées.",
                "The data will not be shared.",
            )
            .to_owned(),
        _ => return Vec::new(),
    };
    let mut blocks = vec![Block::paragraph(sentence)];
    if let Some(licence) = &say.facts.licence
        && say.choice("access") != Some("closed")
    {
        blocks.push(Block::paragraph(match say.l {
            Language::Fr => format!("Elles seront placées sous la licence {}.", licence.spdx),
            Language::En => format!("They will be under the licence {}.", licence.spdx),
        }));
    }
    blocks
}

/// 5b: what is kept, where, how long.
pub(super) fn preserved(say: &Say<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(years) = say.facts.retention_years {
        let span = say.count(u64::from(years), ["an", "ans"], ["year", "years"]);
        let until = say.facts.kept_until.as_deref().map(|day| say.day(day));
        blocks.push(Block::paragraph(match (say.l, until) {
            (Language::Fr, Some(day)) => format!(
                "La durée de conservation des données est de {span} après la fin de l'expérience, soit jusqu'au {day}."
            ),
            (Language::Fr, None) => format!(
                "La durée de conservation des données est de {span} après la fin de l'expérience."
            ),
            (Language::En, Some(day)) => {
                format!("The data is kept for {span} after the end of the experiment, until {day}.")
            }
            (Language::En, None) => {
                format!("The data is kept for {span} after the end of the experiment.")
            }
        }));
    }
    if let Some(repository) = &say.plan.repository {
        let (name, url) = (&repository.name, &repository.url);
        blocks.push(Block::paragraph(match say.l {
            Language::Fr => format!("Les données seront déposées dans l'entrepôt {name} ({url})."),
            Language::En => format!("The data will be deposited in the repository {name} ({url})."),
        }));
    }
    blocks
}

/// 5c: what reads the data.
pub(super) fn software(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut seen: Vec<&str> = Vec::new();
    let mut rows = Vec::new();
    for count in &facts.formats {
        let Some(format) = formats::of(&count.extension) else {
            continue;
        };
        let name = format.name.of(say.l);
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        rows.push(vec![
            name.to_owned(),
            if format.open {
                say.t("oui", "yes").to_owned()
            } else {
                say.t("non", "no").to_owned()
            },
            format.tools.of(say.l).to_owned(),
        ]);
    }
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        blocks.push(say.p(
            "Logiciels qui lisent les formats présents :",
            "Software that reads the formats found:",
        ));
        let head = [
            say.t("Format", "Format"),
            say.t("Format ouvert", "Open format"),
            say.t("Logiciels", "Software"),
        ];
        blocks.push(Block::table(&head, rows));
    }
    if facts.tree.iter().any(|branch| branch.path == "scripts") {
        blocks.push(say.p(
            "Le dossier « scripts » est réservé aux programmes qui traitent les données ; ils sont conservés avec elles.",
            "The directory “scripts” is reserved for the programs that process the data; they are kept with it.",
        ));
    }
    blocks
}

/// 5d: identifiers.
pub(super) fn identified(say: &Say<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(identifier) = say.choice("identifier") {
        blocks.push(Block::paragraph(say.item(
            "Identifiant pérenne des données",
            "Persistent identifier of the data",
            identifier,
        )));
    } else {
        blocks.push(say.p(
            "Aucun identifiant pérenne n'a encore été attribué aux données.",
            "The data has no persistent identifier yet.",
        ));
        let given = say
            .plan
            .repository
            .as_ref()
            .and_then(|each| Some((each, each.identifiers?)));
        if let Some((repository, identifiers)) = given {
            let (name, pid) = (&repository.name, identifiers.name());
            blocks.push(Block::paragraph(match say.l {
                Language::Fr => format!(
                    "L'entrepôt {name} attribue un identifiant pérenne ({pid}) à chaque jeu de données déposé."
                ),
                Language::En => format!(
                    "The repository {name} gives a persistent identifier ({pid}) to every data set that is deposited."
                ),
            }));
        }
    }
    if !say.facts.id.is_empty() {
        blocks.push(Block::paragraph(say.item(
            "Sur le NAS, l'expérience porte un identifiant unique et définitif (UUID)",
            "On the NAS, the experiment has a unique and lasting identifier (UUID)",
            &format!("{}.", say.facts.id),
        )));
    }
    blocks
}

/// 6a: who is responsible.
pub(super) fn responsible(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut blocks = Vec::new();
    let managers: Vec<&str> = facts
        .with_role(Role::DataManager)
        .map(|person| person.name.as_str())
        .collect();
    if !managers.is_empty() {
        blocks.push(Block::paragraph(say.item(
            "Gestion des données",
            "Data management",
            &format!("{}.", managers.join(", ")),
        )));
    }
    if !facts.people.is_empty() {
        let head = [
            say.t("Personne", "Person"),
            say.t("Rôle", "Role"),
            say.t("Affiliation", "Affiliation"),
            "ORCID",
        ];
        let rows = facts.people.iter().map(|person| {
            let roles: Vec<&str> = person
                .roles
                .iter()
                .filter_map(|role| Role::parse(role).ok())
                .map(|role| words::role(say.l, role))
                .collect();
            let orcid = person.orcid.as_deref().unwrap_or_default();
            vec![
                person.name.clone(),
                roles.join(", "),
                person
                    .affiliation
                    .as_ref()
                    .map(|each| each.name.clone())
                    .unwrap_or_default(),
                orcid.trim_start_matches("https://orcid.org/").to_owned(),
            ]
        });
        blocks.push(Block::table(&head, rows.collect()));
    }
    if let Some(contact) = &facts.contact {
        let who = match &contact.email {
            Some(email) => format!("{}, {email}.", contact.name),
            None => format!("{}.", contact.name),
        };
        blocks.push(Block::paragraph(say.item("Contact", "Contact", &who)));
    }
    blocks
}

/// 6b: means.
pub(super) fn resources(say: &Say<'_>) -> Vec<Block> {
    let mut items = Vec::new();
    if let Some(quota) = say.facts.quota {
        items.push(say.item(
            "Espace de stockage prévu pour l'expérience",
            "Storage planned for the experiment",
            &say.size(quota),
        ));
    }
    if items.is_empty() {
        Vec::new()
    } else {
        vec![Block::list(items)]
    }
}
