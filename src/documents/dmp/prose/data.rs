//! Sections 1 and 2: the data, its documentation, its quality.

use super::{Block, Say, cell};
use crate::documents::dmp::formats;
use crate::documents::words;
use crate::experiment::Language;

/// The most rows of a table; what is beyond is counted.
const ROWS: usize = 40;

/// 1a: where the data comes from.
pub(super) fn produced(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut blocks = Vec::new();
    if let Some(description) = &facts.description {
        blocks.extend(super::answer(description));
    }
    blocks.push(Block::paragraph(when(say)));
    if let Some(facility) = &facts.facility {
        let mut items = vec![say.item("Lieu", "Place", &facility.name)];
        if let Some(platform) = &facility.platform {
            items.push(say.item("Équipement", "Equipment", platform));
        }
        if !facility.chambers.is_empty() {
            items.push(say.item(
                "Unités expérimentales ou sites",
                "Experimental units or sites",
                &facility.chambers.join(", "),
            ));
        }
        blocks.push(Block::list(items));
    }
    if !facts.sources.is_empty() {
        blocks.push(say.p(
            "Les machines d'acquisition suivantes livrent leurs données au NAS :",
            "These acquisition machines deliver their data to the NAS:",
        ));
        let head = [
            say.t("Machine", "Machine"),
            say.t("Description", "Description"),
            say.t("Intervalle de livraison", "Interval of delivery"),
            say.t("Dossier", "Directory"),
        ];
        let rows = facts.sources.iter().map(|source| {
            vec![
                source.id.clone(),
                cell(source.description.as_ref()),
                words::duration(
                    say.l,
                    f64::from(u32::try_from(source.every).unwrap_or(u32::MAX)),
                ),
                source.into.clone(),
            ]
        });
        blocks.push(Block::table(&head, rows.collect()));
    }
    match say.choice("reuse") {
        Some("no") => blocks.push(say.p(
            "Aucune donnée existante n'est réutilisée.",
            "No existing data is re-used.",
        )),
        Some("yes") => blocks.push(say.p(
            "Des données existantes sont également réutilisées.",
            "Existing data is re-used as well.",
        )),
        _ => {}
    }
    blocks
}

fn when(say: &Say<'_>) -> String {
    let day = |day: &Option<String>| day.as_ref().map(|day| say.day(day));
    match (day(&say.facts.start), day(&say.facts.end)) {
        (Some(start), Some(end)) => say
            .t(
                "Les données sont produites dans le cadre de l'expérience, du START au END.",
                "The data is produced within the experiment, from START to END.",
            )
            .replace("START", &start)
            .replace("END", &end),
        (Some(start), None) => say
            .t(
                "Les données sont produites dans le cadre de l'expérience, à partir du START.",
                "The data is produced within the experiment, from START on.",
            )
            .replace("START", &start),
        (None, Some(end)) => say
            .t(
                "Les données sont produites dans le cadre de l'expérience, jusqu'au END.",
                "The data is produced within the experiment, until END.",
            )
            .replace("END", &end),
        (None, None) => say
            .t(
                "Les données sont produites dans le cadre de l'expérience.",
                "The data is produced within the experiment.",
            )
            .to_owned(),
    }
}

/// 1b: what kinds, which formats, how much.
pub(super) fn kinds(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut blocks = Vec::new();
    if !facts.variables.is_empty() {
        blocks.push(say.p("Grandeurs mesurées :", "What is measured:"));
        let head = [
            say.t("Nom dans les fichiers", "Name in the files"),
            say.t("Grandeur", "Quantity"),
            say.t("Unité", "Unit"),
            say.t("Capteur ou méthode", "Sensor or method"),
        ];
        let rows = facts.variables.iter().map(|variable| {
            vec![
                variable.name.clone(),
                cell(variable.label.as_ref()),
                variable
                    .unit
                    .as_deref()
                    .map(|text| unit(say, text))
                    .unwrap_or_default(),
                cell(variable.sensor.as_ref()),
            ]
        });
        blocks.push(Block::table(&head, rows.collect()));
    }
    if let Some(quota) = facts.quota {
        let size = say.size(quota);
        blocks.push(Block::paragraph(match say.l {
            Language::Fr => {
                format!("Le volume total attendu est de {size}.")
            }
            Language::En => {
                format!("{size} of data are expected in all.")
            }
        }));
    }
    if facts.files == 0 {
        blocks.push(say.p(
            "Aucun fichier n'a encore été déposé.",
            "No file has been deposited yet.",
        ));
        return blocks;
    }
    let files = say.count(facts.files, ["fichier", "fichiers"], ["file", "files"]);
    let size = say.size(facts.bytes);
    blocks.push(Block::paragraph(match say.l {
        Language::Fr => {
            format!("À la date de cette version, l'expérience compte {files}, soit {size} :")
        }
        Language::En => {
            format!("When this version was made, the experiment had {files}, {size} in all:")
        }
    }));
    blocks.push(formats_table(say));
    blocks
}

/// A unit in UDUNITS spelling as people write it: `umol m-2 s-1` → `µmol m⁻² s⁻¹`. What is not understood stays.
fn unit(say: &Say<'_>, text: &str) -> String {
    if text == "1" {
        return say.t("sans dimension", "dimensionless").to_owned();
    }
    let words: Option<Vec<String>> = text.split(' ').map(unit_word).collect();
    words.map_or_else(|| text.to_owned(), |words| words.join("\u{a0}"))
}

fn unit_word(word: &str) -> Option<String> {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let (letters, sign) = letters
        .strip_suffix('-')
        .map_or((letters, ""), |letters| (letters, "⁻"));
    let digits = word.get(letters.len()..)?.trim_start_matches('-');
    if letters.is_empty()
        || !letters
            .chars()
            .all(|c| c.is_alphabetic() || matches!(c, '%' | '°'))
        || (digits.is_empty() && !sign.is_empty())
    {
        return None;
    }
    let raised = digits.chars().map(|digit| {
        let at = digit
            .to_digit(10)
            .and_then(|digit| usize::try_from(digit).ok())?;
        "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(at)
    });
    let letters = match letters {
        "degC" | "degree_Celsius" | "celsius" => "°C".to_owned(),
        "umol" | "um" | "ug" | "us" | "uL" | "uV" | "uA" | "uW" | "uE" => {
            letters.replacen('u', "µ", 1)
        }
        other => other.to_owned(),
    };
    Some(format!(
        "{letters}{sign}{}",
        raised.collect::<Option<String>>()?
    ))
}

fn formats_table(say: &Say<'_>) -> Block {
    let head = [
        say.t("Format", "Format"),
        say.t("Extension", "Extension"),
        say.t("Fichiers", "Files"),
        say.t("Volume", "Volume"),
    ];
    let facts = say.facts;
    let mut rows: Vec<Vec<String>> = facts
        .formats
        .iter()
        .take(ROWS)
        .map(|format| {
            let name = formats::of(&format.extension)
                .map(|known| known.name.of(say.l))
                .or_else(|| words::extension(say.l, &format.extension));
            vec![
                name.unwrap_or_default().to_owned(),
                if format.extension.is_empty() {
                    say.t("sans extension", "none").to_owned()
                } else {
                    format!(".{}", format.extension)
                },
                words::number(say.l, format.files),
                say.size(format.bytes),
            ]
        })
        .collect();
    let rest = facts.formats.iter().skip(ROWS);
    let (files, bytes) = rest.fold((0, 0_u64), |(files, bytes), format| {
        (files + format.files, bytes.saturating_add(format.bytes))
    });
    if files > 0 {
        rows.push(vec![
            say.t("autres", "others").to_owned(),
            String::new(),
            words::number(say.l, files),
            say.size(bytes),
        ]);
    }
    Block::table(&head, rows)
}

/// 2a: the tree, the metadata, the documents.
pub(super) fn documented(say: &Say<'_>) -> Vec<Block> {
    let facts = say.facts;
    let mut blocks = Vec::new();
    if !facts.tree.is_empty() {
        blocks.push(say.p(
            "Les données sont rangées dans une arborescence fixée à la création de l'expérience ; chaque dossier a son rôle :",
            "The data lies in a tree that was fixed when the experiment was created; every directory has its purpose:",
        ));
        blocks.push(tree(say));
        if facts.tree.len() > ROWS {
            let more = facts.tree.len() - ROWS;
            blocks.push(Block::paragraph(match say.l {
                Language::Fr => format!("L'arborescence compte {more} autres dossiers."),
                Language::En => format!("There are {more} more directories."),
            }));
        }
    }
    blocks.push(say.p(
        "Les métadonnées de l'expérience (titre, participants, dates, machines d'acquisition, variables, licence) sont tenues dans un fichier de texte structuré (YAML), « metadata/experiment.yaml », qui accompagne les données.",
        "The metadata of the experiment (title, people, dates, acquisition machines, variables, licence) is kept in a structured text file (YAML), “metadata/experiment.yaml”, which stays with the data.",
    ));
    let named = facts
        .variables
        .iter()
        .filter(|variable| variable.standard_name.is_some())
        .count();
    if named > 0 {
        let total = facts.variables.len();
        blocks.push(Block::paragraph(match say.l {
            Language::Fr => {
                let verb = if named > 1 { "portent" } else { "porte" };
                format!("Sur {total} variables décrites, {named} {verb} un nom normalisé de la convention CF (Climate and Forecast).")
            }
            Language::En => {
                let verb = if named == 1 { "has" } else { "have" };
                format!("Of {total} variables described, {named} {verb} a standard name of the CF conventions (Climate and Forecast).")
            }
        }));
    }
    if facts.documents.is_empty() {
        blocks.push(say.p(
            "Aucun document n'a encore été généré à côté des données.",
            "No document has been generated beside the data yet.",
        ));
    } else {
        blocks.push(say.p(
            "Documents présents à côté des données, dans le dossier « metadata » :",
            "Documents beside the data, in the directory “metadata”:",
        ));
        blocks.push(Block::list(documents(say)));
    }
    blocks
}

fn tree(say: &Say<'_>) -> Block {
    let pick = |text: &crate::layout::Bilingual| say.t(&text.fr, &text.en).to_owned();
    let naming = say.facts.tree.iter().any(|branch| branch.naming.is_some());
    let mut head = vec![say.t("Dossier", "Directory"), say.t("Contenu", "Content")];
    if naming {
        head.push(say.t("Nommage des fichiers", "Names of files"));
    }
    let rows = say.facts.tree.iter().take(ROWS).map(|branch| {
        let mut row = vec![branch.path.clone(), pick(&branch.purpose)];
        if naming {
            row.push(branch.naming.as_ref().map(pick).unwrap_or_default());
        }
        row
    });
    Block::table(&head, rows.collect())
}

/// What the files in `metadata/` are.
fn documents(say: &Say<'_>) -> Vec<String> {
    let kinds: [(&str, &str, &str); 5] = [
        (
            "README",
            "présentation de l'expérience (README)",
            "description of the experiment (README)",
        ),
        (
            "ACCESS",
            "guide d'accès aux données",
            "guide to the data's access",
        ),
        (
            "DATA-DICTIONARY",
            "dictionnaire des données",
            "data dictionary",
        ),
        (
            "CITATION",
            "fiche de citation (CITATION.cff)",
            "citation file (CITATION.cff)",
        ),
        ("LICENCE", "texte de la licence", "text of the licence"),
    ];
    kinds
        .iter()
        .filter_map(|(stem, fr, en)| {
            let has = |end: &str| {
                say.facts
                    .documents
                    .iter()
                    .any(|name| name.starts_with(stem) && name.contains(end))
            };
            if !say
                .facts
                .documents
                .iter()
                .any(|name| name.starts_with(stem))
            {
                return None;
            }
            let languages: Vec<&str> = [
                (".fr.", say.t("français", "French")),
                (".en.", say.t("anglais", "English")),
            ]
            .into_iter()
            .filter(|(end, _)| has(end))
            .map(|(_, name)| name)
            .collect();
            Some(if languages.is_empty() {
                say.t(fr, en).to_owned()
            } else {
                format!(
                    "{}, {}",
                    say.t(fr, en),
                    languages.join(say.t(" et ", " and "))
                )
            })
        })
        .collect()
}

/// 2b: what the NAS checks.
pub(super) fn checked(say: &Say<'_>) -> Vec<Block> {
    let received = say.facts.received;
    let first = if received == 0 {
        say.p(
            "Aucune empreinte de contrôle n'est encore enregistrée pour les données.",
            "No checksum is recorded for the data yet.",
        )
    } else {
        let files = say.count(received, ["fichier", "fichiers"], ["file", "files"]);
        Block::paragraph(match say.l {
            Language::Fr => format!(
                "À leur arrivée sur le NAS, les fichiers livrés par les machines d'acquisition sont contrôlés et leur empreinte (SHA-256) est enregistrée à part, hors de portée des utilisateurs : {files} à la date de cette version. Toute altération ultérieure peut ainsi être décelée."
            ),
            Language::En => format!(
                "When files from acquisition machines arrive on the NAS, they are checked and their checksum (SHA-256) is recorded apart, out of the users' reach: {files} when this version was made. Any later alteration can thus be detected."
            ),
        })
    };
    // The timers come with the packages; on an embedded NAS, people call them.
    let again = if say.facts.enforced {
        say.p(
            "Chaque semaine, les fichiers dont la dernière vérification date de plus de 30 jours sont relus sur le disque et comparés à leur empreinte.",
            "Every week, files that were not checked for 30 days are read again from the disk and compared with their checksum.",
        )
    } else {
        say.p(
            "Aucune vérification périodique des empreintes n'est configurée à ce jour.",
            "No periodic verification of checksums is configured yet.",
        )
    };
    vec![first, again]
}

#[cfg(test)]
mod tests {
    use super::unit_word;

    #[test]
    fn a_unit_is_written_as_people_write_it() {
        for (text, shown) in [
            ("degC", Some("°C")),
            ("umol", Some("µmol")),
            ("m-2", Some("m⁻²")),
            ("s-1", Some("s⁻¹")),
            ("m2", Some("m²")),
            ("%", Some("%")),
            ("mol-10", Some("mol⁻¹⁰")),
            ("m/s", None),
            ("m-", None),
            ("10", None),
            ("", None),
            ("<b>", None),
        ] {
            assert_eq!(unit_word(text).as_deref(), shown, "{text}");
        }
    }
}
