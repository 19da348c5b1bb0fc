//! What is known of licences: names, addresses, and what they come to in a sentence.

use super::facts::LicenceFacts;
use crate::experiment::Licence;
use crate::layout::Bilingual;

struct Known {
    spdx: &'static str,
    name: [&'static str; 2],
    url: &'static str,
    summary: [&'static str; 2],
}

/// The licences that data of the unit is under; the rest is known by its SPDX entry alone.
const KNOWN: &[Known] = &[
    Known {
        spdx: "etalab-2.0",
        name: [
            "Licence Ouverte / Open Licence version 2.0 (Etalab)",
            "Etalab Open Licence 2.0 (Licence Ouverte)",
        ],
        url: "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
        summary: [
            "Vous pouvez reproduire, diffuser, adapter et exploiter ces données, y compris à des fins commerciales, à condition d'en mentionner la source et la date de dernière mise à jour.",
            "You may reproduce, share, adapt and use this data, commercially too, provided that you name its source and the date of its last update.",
        ],
    },
    Known {
        spdx: "CC-BY-4.0",
        name: [
            "Creative Commons Attribution 4.0 International",
            "Creative Commons Attribution 4.0 International",
        ],
        url: "https://creativecommons.org/licenses/by/4.0/",
        summary: [
            "Vous pouvez partager et adapter ces données, y compris à des fins commerciales, à condition de citer leurs auteurs, d'indiquer la licence et de signaler vos modifications.",
            "You may share and adapt this data, commercially too, provided that you credit its authors, name the licence and say what you changed.",
        ],
    },
    Known {
        spdx: "CC0-1.0",
        name: [
            "Creative Commons Zéro 1.0 Universel (transfert dans le domaine public)",
            "Creative Commons Zero 1.0 Universal (public domain dedication)",
        ],
        url: "https://creativecommons.org/publicdomain/zero/1.0/",
        summary: [
            "Les auteurs renoncent à leurs droits sur ces données : vous pouvez les utiliser sans condition. L'usage scientifique veut qu'on les cite.",
            "The authors waive their rights in this data: you may use it without conditions. Good scholarship is to cite them.",
        ],
    },
];

/// What documents say of a licence.
pub fn facts(licence: Licence) -> LicenceFacts {
    let both = |[fr, en]: [&str; 2]| Bilingual {
        fr: fr.to_owned(),
        en: en.to_owned(),
    };
    if let Some(known) = KNOWN.iter().find(|known| known.spdx == licence.as_str()) {
        return LicenceFacts {
            spdx: known.spdx.to_owned(),
            in_cff: true,
            name: both(known.name),
            url: known.url.to_owned(),
            summary: Some(both(known.summary)),
        };
    }
    let name = spdx::license_id(licence.as_str()).map_or(licence.as_str(), |id| id.full_name);
    LicenceFacts {
        spdx: licence.as_str().to_owned(),
        in_cff: in_cff(licence.as_str()),
        name: both([name, name]),
        url: licence.url(),
        summary: None,
    }
}

/// True for what the schema of the Citation File Format 1.2 has for sure: its list is SPDX's of 2021, and of the licences
/// of data it has these. The others are given by their address, which is always right.
fn in_cff(spdx: &str) -> bool {
    matches!(spdx, "ODbL-1.0" | "ODC-By-1.0" | "PDDL-1.0")
        || (spdx.starts_with("CC-BY-") && spdx.ends_with("-4.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_licence_has_a_name_and_an_address() {
        for known in KNOWN {
            assert!(Licence::parse(known.spdx).is_ok(), "{}", known.spdx);
        }
        let other = facts(Licence::parse("ODbL-1.0").unwrap());
        assert!(
            other.name.en.contains("Open Data Commons"),
            "{}",
            other.name.en
        );
        assert!(other.summary.is_none() && other.url.starts_with("https://spdx.org/"));
    }
}
