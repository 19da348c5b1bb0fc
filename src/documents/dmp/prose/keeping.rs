//! Sections 3 and 4: storage, security, law and ethics.

use super::{Block, Say};
use crate::experiment::Language;

/// 3a: where the data lies, and what copies there are.
pub(super) fn stored(say: &Say<'_>) -> Vec<Block> {
    let place = if say.facts.enforced {
        say.p(
            "Pendant l'expérience, les données et les métadonnées sont stockées sur un serveur NAS (stockage en réseau), dans un espace propre à l'expérience.",
            "During the experiment, the data and metadata are stored on a NAS server (network storage), in a space of the experiment's own.",
        )
    } else {
        say.p(
            "Les données et les métadonnées sont rangées dans le NAS embarqué d'OctoNAS, prévu pour les essais : il ne remplace pas un serveur de stockage.",
            "The data and metadata lie in the embedded NAS of OctoNAS, which is meant for trials: it does not replace a storage server.",
        )
    };
    vec![
        place,
        say.p(
            "Aucune copie de sauvegarde n'est configurée à ce jour dans OctoNAS, et aucun essai de restauration n'y est enregistré.",
            "No backup copy is configured in OctoNAS yet, and no restore test is recorded there.",
        ),
    ]
}

/// 3b: who has access, through which doors.
pub(super) fn secured(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut blocks = Vec::new();
    let members: Vec<_> = facts
        .people
        .iter()
        .filter_map(|person| Some((person, person.access.as_deref()?)))
        .collect();
    if members.is_empty() {
        blocks.push(say.p(
            "Personne n'a encore accès aux données, hormis l'administration du NAS.",
            "Nobody but the administration of the NAS has access to the data yet.",
        ));
    } else {
        blocks.push(say.p(
            "À la date de cette version, les personnes suivantes ont accès aux données, chacune avec un compte nominatif :",
            "When this version was made, the following people had access to the data, each with an account of their own:",
        ));
        let ends = members.iter().any(|(person, _)| person.until.is_some());
        let mut head = vec![say.t("Personne", "Person"), say.t("Accès", "Access")];
        if ends {
            head.push(say.t("Fin de l'accès", "End of access"));
        }
        let rows = members.iter().map(|(person, access)| {
            let access = match *access {
                "read" => say.t("lecture", "read"),
                "write" => say.t("lecture et écriture", "read and write"),
                _ => say.t("lecture, écriture et gestion", "read, write and manage"),
            };
            let mut row = vec![person.name.clone(), access.to_owned()];
            if ends {
                row.push(
                    person
                        .until
                        .as_deref()
                        .map(|day| say.day(day))
                        .unwrap_or_default(),
                );
            }
            row
        });
        blocks.push(Block::table(&head, rows.collect()));
    }
    blocks.push(if facts.enforced {
        say.p(
            "Ces droits sont imposés par le système de fichiers : les autres utilisateurs du NAS n'ont accès ni aux données ni aux métadonnées. L'arborescence et les métadonnées ne peuvent être modifiées que par l'administration du NAS.",
            "These rights are enforced by the file system: the other users of the NAS have access to neither data nor metadata. The tree and the metadata can be changed by the administration of the NAS only.",
        )
    } else {
        say.p(
            "Sur ce NAS d'essai, ces droits sont déclarés, mais ne sont pas imposés.",
            "On this trial NAS, these rights are declared, but not enforced.",
        )
    });
    let doors: Vec<&str> = facts
        .doors
        .iter()
        .filter_map(|each| door(say, each))
        .collect();
    if facts.enforced && !doors.is_empty() {
        blocks.push(Block::paragraph(say.item(
            "Voies d'accès ouvertes aux membres",
            "Ways in that are open to members",
            &format!("{}.", doors.join(", ")),
        )));
    }
    match say.choice("sensitive-data") {
        Some("no") => blocks.push(say.p(
            "Les données ne comportent pas de données sensibles.",
            "The data contains no sensitive data.",
        )),
        Some("yes") => blocks.push(say.p(
            "Les données comportent des données sensibles.",
            "The data contains sensitive data.",
        )),
        _ => {}
    }
    blocks
}

fn door(say: &Say<'_>, door: &str) -> Option<&'static str> {
    let (fr, en) = match door {
        "smb" => ("partage réseau (SMB)", "network share (SMB)"),
        "sftp" => ("SFTP (chiffré)", "SFTP (encrypted)"),
        "rsync" => ("rsync sur SSH (chiffré)", "rsync over SSH (encrypted)"),
        "ftp" => ("FTP (non chiffré)", "FTP (not encrypted)"),
        "nfs" => (
            "NFS, pour des machines désignées",
            "NFS, for machines that are named",
        ),
        _ => return None,
    };
    Some(match say.l {
        Language::Fr => fr,
        Language::En => en,
    })
}

/// 4a: personal data.
pub(super) fn personal(say: &Say<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    match say.choice("personal-data") {
        Some("no") => blocks.push(say.p(
            "Les données de recherche ne comportent pas de données à caractère personnel.",
            "The research data contains no personal data.",
        )),
        Some("yes") => blocks.push(say.p(
            "Les données de recherche comportent des données à caractère personnel.",
            "The research data contains personal data.",
        )),
        _ => {}
    }
    if !say.facts.people.is_empty() {
        blocks.push(say.p(
            "Indépendamment des données de recherche, le NAS conserve, pour la gestion des accès, le nom des participants ainsi que leur affiliation, leur identifiant ORCID et leur adresse électronique lorsqu'ils sont renseignés, et un journal des opérations.",
            "Apart from the research data, the NAS keeps the names of the people who take part and, where they are given, their affiliations, ORCID iDs and e-mail addresses, and a log of operations, so that access can be managed.",
        ));
    }
    blocks
}

/// 4b: licence and institutions.
pub(super) fn owned(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut items = Vec::new();
    if let Some(licence) = &facts.licence {
        let name = say.t(&licence.name.fr, &licence.name.en);
        let named = if name == licence.spdx {
            name.to_owned()
        } else {
            format!("{name}, SPDX {}", licence.spdx)
        };
        items.push(say.item(
            "Licence prévue pour la diffusion des données",
            "Licence under which the data will be handed over",
            &format!("{named}, {}", licence.url),
        ));
    }
    let organisations: Vec<&str> = facts
        .organisations()
        .into_iter()
        .map(|each| each.name.as_str())
        .collect();
    if !organisations.is_empty() {
        items.push(say.item(
            "Établissements de rattachement des participants",
            "Institutions of the people who take part",
            &organisations.join(", "),
        ));
    }
    if items.is_empty() {
        Vec::new()
    } else {
        vec![Block::list(items)]
    }
}

/// 4c: ethics.
pub(super) fn ethics(say: &Say<'_>) -> Vec<Block> {
    match say.choice("ethical-issues") {
        Some("no") => vec![say.p(
            "Aucune question éthique particulière n'a été relevée.",
            "No particular ethical issue was found.",
        )],
        Some("yes") => vec![say.p(
            "Le projet soulève des questions éthiques.",
            "The project raises ethical issues.",
        )],
        _ => Vec::new(),
    }
}
