//! The research output of a plan for DMP OPIDoR: the data of the experiment.

use serde_json::{Value, json};

use super::{OPEN, contact, contributors, known, label, language, paragraphs, rich};
use crate::documents::dmp::plan::Plan;
use crate::documents::dmp::{formats, prose};
use crate::documents::escape;
use crate::experiment::{Language, Role};

/// The one `researchOutput`.
pub(super) fn output(plan: &Plan) -> Value {
    let has = |question: &str| plan.answers.get(question).is_some();
    let ethics = has("4c") || plan.answers.choice("ethical-issues") == Some("yes");
    known([
        ("researchOutputDescription", Some(description(plan))),
        ("reuse", Some(json!({"justification": reuse(plan)}))),
        (
            "personalDataIssues",
            Some(json!({"description": rich(plan, &["4a"])})),
        ),
        (
            "legalIssues",
            Some(json!({"description": rich(plan, &["4b"])})),
        ),
        (
            "ethicalIssues",
            ethics.then(|| json!({"description": rich(plan, &["4c"])})),
        ),
        ("dataCollection", Some(collection(plan))),
        ("dataStorage", Some(storage(plan))),
        ("documentationQuality", Some(documentation(plan))),
        (
            "qualityAssuranceMethod",
            Some(json!({"description": rich(plan, &["2b"])})),
        ),
        ("sharing", Some(sharing(plan))),
        ("preservationIssues", Some(preservation(plan))),
    ])
}

fn description(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let identifier = plan.answers.choice("identifier");
    let kind = match identifier {
        Some(url) if url.contains("doi.org/10.") => "DOI",
        Some(url) if url.contains("/ark:") => "ARK",
        Some(_) => "URL",
        None => "Identifiant local",
    };
    let id = identifier.map_or_else(|| format!("urn:uuid:{}", facts.id), str::to_owned);
    known([
        ("title", Some(facts.title.clone().into())),
        ("shortName", Some(facts.code.clone().into())),
        ("description", Some(rich(plan, &["1b"]).into())),
        ("type", Some("Jeu de données".into())),
        (
            "uncontrolledKeywords",
            (!facts.keywords.is_empty()).then(|| facts.keywords.clone().into()),
        ),
        ("language", Some(language(plan).into())),
        ("contact", Some(json!([contact(plan, "Personne contact")]))),
        ("datasetId", Some(id.into())),
        ("idType", Some(kind.into())),
        (
            "containsPersonalData",
            Some(label(plan, "personal-data").into()),
        ),
        (
            "containsSensitiveData",
            Some(label(plan, "sensitive-data").into()),
        ),
        (
            "hasEthicalIssues",
            Some(label(plan, "ethical-issues").into()),
        ),
    ])
}

fn reuse(plan: &Plan) -> String {
    let l = plan.facts.own();
    let text = match (plan.answers.choice("reuse"), l) {
        (Some("no"), Language::Fr) => "Aucune donnée existante n'est réutilisée.",
        (Some("no"), Language::En) => "No existing data is re-used.",
        // What is re-used, people said under 1a.
        (Some(_), _) if plan.answer("1a", l).is_some() => {
            return plan
                .answer("1a", l)
                .map(|(text, _)| paragraphs(text))
                .unwrap_or_default();
        }
        _ => OPEN,
    };
    format!("<p>{}</p>", escape::html(text))
}

fn collection(plan: &Plan) -> Value {
    known([
        ("description", Some(rich(plan, &["1a"]).into())),
        (
            "contributor",
            contributors(plan, &[Role::DataCollector, Role::Technician]),
        ),
    ])
}

/// A number of bytes in the units of OPIDoR, powers of 1000, to two decimals.
#[allow(clippy::cast_precision_loss)] // Two decimals of it are kept.
fn volume(bytes: u64) -> (f64, &'static str) {
    let mut value = bytes as f64;
    let mut units = ["Octets", "Ko", "Mo", "Go", "To", "Po"].iter();
    let mut unit = units.next().copied().unwrap_or_default();
    while value >= 1000.0 {
        let Some(next) = units.next() else { break };
        value /= 1000.0;
        unit = next;
    }
    ((value * 100.0).round() / 100.0, unit)
}

fn storage(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let (size, unit) = volume(facts.quota.unwrap_or(facts.bytes));
    known([
        ("description", Some(rich(plan, &["3a"]).into())),
        ("estimatedVolume", Some(size.into())),
        ("volumeUnit", Some(unit.into())),
        (
            "backupPolicy",
            Some(json!([{"description": rich(plan, &["3a"]), "storageType": ["Serveur NAS"]}])),
        ),
        ("securityMeasures", Some(rich(plan, &["3b"]).into())),
        ("contributor", contributors(plan, &[Role::DataManager])),
    ])
}

fn documentation(plan: &Plan) -> Value {
    let cf = plan
        .facts
        .variables
        .iter()
        .any(|each| each.standard_name.is_some());
    known([
        ("description", Some(rich(plan, &["2a"]).into())),
        (
            "metadataStandard",
            cf.then(|| {
                json!([{
                    "name": "CF (Climate and Forecast) Metadata Conventions",
                    "metadataStandardId": "https://rdamsc.bath.ac.uk/msc/m5",
                    "idType": "URL",
                }])
            }),
        ),
        ("metadataLanguage", Some(language(plan).into())),
        ("contributor", contributors(plan, &[Role::DataCurator])),
    ])
}

fn host(plan: &Plan) -> Option<Value> {
    let repository = plan.repository.as_ref()?;
    Some(known([
        ("title", Some(repository.name.clone().into())),
        ("hostId", Some(repository.url.clone().into())),
        ("idType", Some("URL".into())),
        (
            "geoLocation",
            repository.country.as_ref().map(|each| each.as_str().into()),
        ),
        (
            "pidSystem",
            repository.identifiers.map(|each| json!([each.name()])),
        ),
    ]))
}

fn sharing(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let access = plan.answers.choice("access").and_then(|access| {
        Some(match access {
            "open" => "Ouvert",
            "restricted" => "Restreint",
            "embargoed" => "Sous embargo",
            "closed" => "Fermé",
            _ => return None,
        })
    });
    let release = plan.answers.choice("release");
    let (size, unit) = volume(facts.bytes);
    let format = facts
        .formats
        .iter()
        .find_map(|each| formats::of(&each.extension))
        .map(|format| format.media);
    let licence = facts.licence.as_ref().filter(|_| access != Some("Fermé"));
    let named = licence.map(|each| {
        let name = spdx::license_id(&each.spdx).map_or(each.spdx.as_str(), |id| id.full_name);
        json!({
            "licenseName": name,
            "licenseUrl": format!("https://spdx.org/licenses/{}.json", each.spdx),
        })
    });
    let start = release
        .or(facts.end.as_deref())
        .filter(|_| licence.is_some());
    let distribution = known([
        ("fileName", Some(facts.code.clone().into())),
        ("dataAccess", access.map(Into::into)),
        ("releaseDate", release.map(Into::into)),
        ("fileFormat", format.map(Into::into)),
        ("fileVolume", Some(size.into())),
        ("volumeUnit", Some(unit.into())),
        (
            "accessUrl",
            plan.answers.choice("identifier").map(Into::into),
        ),
        ("license", named),
        ("licenseStartDate", start.map(Into::into)),
    ]);
    known([
        ("description", Some(rich(plan, &["5a", "5d"]).into())),
        (
            "reusability",
            Some(prose::plain(&prose::facts(plan, "5c", facts.own()), facts.own()).into()),
        ),
        ("host", host(plan).map(|host| json!([host]))),
        ("distribution", Some(json!([distribution]))),
    ])
}

fn preservation(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let (size, unit) = volume(facts.bytes);
    known([
        ("description", Some(rich(plan, &["5b"]).into())),
        ("dataSize", Some(size.into())),
        ("volumeUnit", Some(unit.into())),
        (
            "startDate",
            facts
                .end
                .clone()
                .filter(|_| facts.kept_until.is_some())
                .map(Into::into),
        ),
        ("endDate", facts.kept_until.clone().map(Into::into)),
        ("finalDisposition", Some(OPEN.into())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_the_units_of_opidor() {
        assert_eq!(volume(0), (0.0, "Octets"));
        assert_eq!(volume(999), (999.0, "Octets"));
        assert_eq!(volume(536_870_912_000), (536.87, "Go"));
        assert_eq!(volume(u64::MAX), (18446.74, "Po"));
    }
}
