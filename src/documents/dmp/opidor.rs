//! The plan for DMP OPIDoR (format `standard` of its import): the keys of its templates, the French labels of its
//! registries, long texts as HTML, which is what its editor keeps. Seen in OPIDoR/DMPOPIDoR, June 2025.
//!
//! Its import asks for `meta` with a contact and e-mail, `project` or `researchEntity`, and one `researchOutput`. What its
//! templates ask for and nobody said yet is left out, or says `À compléter` where a text has to be there.

use serde_json::{Map, Value, json};

use super::facts::{Organisation, Person};
use super::madmp::NO_MAIL;
use super::plan::{Plan, day, pretty};
use super::prose::{self, Block};
use super::{formats, roles};
use crate::documents::escape;
use crate::error::Result;
use crate::experiment::{Language, Role};

/// What a required text says while nobody wrote it.
const OPEN: &str = "À compléter";

/// The text of `opidor.json`.
///
/// # Errors
/// `output.failed`.
pub fn text(plan: &Plan) -> Result<String> {
    pretty(&document(plan))
}

/// The document.
pub fn document(plan: &Plan) -> Value {
    let mut document = Map::new();
    document.insert("meta".into(), meta(plan));
    if plan.answers.choice("plan-of") == Some("entity") {
        document.insert("researchEntity".into(), entity(plan));
    } else {
        document.insert("project".into(), project(plan));
    }
    document.insert("researchOutput".into(), json!([output(plan)]));
    document.insert("budget".into(), json!({"description": rich(plan, &["6b"])}));
    document.into()
}

fn language(plan: &Plan) -> &'static str {
    match plan.facts.own() {
        Language::Fr => "fra",
        Language::En => "eng",
    }
}

/// Removes what is not known.
fn known<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

/// What the NAS says and people answered to questions, as HTML.
fn rich(plan: &Plan, questions: &[&str]) -> String {
    let l = plan.facts.own();
    let mut out = String::new();
    for question in questions {
        let facts = prose::facts(plan, question, l);
        let answer = plan
            .answer(question, l)
            .map(|(text, _)| prose::answer(text));
        for block in facts.iter().chain(answer.iter().flatten()) {
            html(&mut out, block, l);
        }
    }
    if out.is_empty() {
        format!("<p>{OPEN}</p>")
    } else {
        out
    }
}

fn html(out: &mut String, block: &Block, language: Language) {
    let text = |text: &str| {
        let text = match language {
            Language::Fr => prose::french(text),
            Language::En => text.to_owned(),
        };
        escape::html(&text).replace('\n', "<br>")
    };
    let mut put = |pieces: &[&str]| pieces.iter().for_each(|piece| out.push_str(piece));
    if let Some(paragraph) = &block.paragraph {
        put(&["<p>", &text(paragraph), "</p>"]);
    }
    if let Some(items) = &block.list {
        put(&["<ul>"]);
        for item in items {
            put(&["<li>", &text(item), "</li>"]);
        }
        put(&["</ul>"]);
    }
    if let Some(table) = &block.table {
        put(&["<table><tbody><tr>"]);
        for cell in &table.head {
            put(&["<th>", &text(cell), "</th>"]);
        }
        put(&["</tr>"]);
        for row in &table.rows {
            put(&["<tr>"]);
            for cell in row {
                put(&["<td>", &text(cell), "</td>"]);
            }
            put(&["</tr>"]);
        }
        put(&["</tbody></table>"]);
    }
}

/// The label of a choice with the words yes, no, unknown.
fn label(plan: &Plan, key: &str) -> &'static str {
    match plan.answers.choice(key) {
        Some("yes") => "Oui",
        Some("no") => "Non",
        _ => "Ne sais pas",
    }
}

fn meta(plan: &Plan) -> Value {
    let facts = &plan.facts;
    known([
        ("title", Some(plan.title(facts.own()).into())),
        (
            "version",
            plan.version
                .map(|version| version.title(Language::Fr).into()),
        ),
        (
            "description",
            facts
                .description
                .as_ref()
                .map(|text| paragraphs(text).into()),
        ),
        ("dmpLanguage", Some(language(plan).into())),
        (
            "contact",
            Some(json!([contact(plan, "Responsable du plan")])),
        ),
        ("creationDate", Some(day(&plan.created).into())),
        ("lastModifiedDate", Some(day(&plan.modified).into())),
        ("dmpId", Some(format!("urn:uuid:{}", facts.id).into())),
        ("idType", Some("Identifiant local".into())),
    ])
}

/// Somebody's text as HTML.
fn paragraphs(text: &str) -> String {
    let mut out = String::new();
    for block in prose::answer(text) {
        html(&mut out, &block, Language::En);
    }
    out
}

/// The contact with the one e-mail address that leaves.
fn contact(plan: &Plan, role: &str) -> Value {
    let facts = &plan.facts;
    let mut who = match (&facts.contact, facts.contact_person()) {
        (_, Some(found)) => person(found),
        (Some(contact), None) => json!({
            "nameType": "Personne", "lastName": contact.name, "firstName": "",
        }),
        (None, None) => json!({"nameType": "Personne", "lastName": OPEN, "firstName": ""}),
    };
    let email = facts
        .contact
        .as_ref()
        .and_then(|each| each.email.as_deref());
    who["mbox"] = email.unwrap_or(NO_MAIL).into();
    json!({"person": who, "role": role})
}

fn person(person: &Person) -> Value {
    let orcid = person.orcid.as_ref();
    let affiliation = person.affiliation.as_ref();
    let ror = affiliation.and_then(|each| each.ror.as_ref());
    known([
        ("nameType", Some("Personne".into())),
        ("lastName", Some(person.family.clone().into())),
        (
            "firstName",
            Some(person.given.clone().unwrap_or_default().into()),
        ),
        ("personId", orcid.map(|url| url.clone().into())),
        ("idType", orcid.map(|_| "ORCID iD".into())),
        (
            "affiliationName",
            affiliation.map(|each| each.name.clone().into()),
        ),
        ("affiliationId", ror.map(|url| url.clone().into())),
        ("affiliationIdType", ror.map(|_| "ROR ID".into())),
    ])
}

/// Everybody with one of these roles, once each, in OPIDoR's words; nothing where there is nobody.
fn contributors(plan: &Plan, wanted: &[Role]) -> Option<Value> {
    let found: Vec<Value> = plan
        .facts
        .people
        .iter()
        .filter_map(|each| {
            let role = wanted
                .iter()
                .find(|role| each.roles.iter().any(|word| word == role.as_str()))?;
            Some(json!({"person": person(each), "role": roles::opidor(*role)}))
        })
        .collect();
    (!found.is_empty()).then(|| found.into())
}

fn partner(organisation: &Organisation) -> Value {
    let ror = organisation.ror.as_ref();
    known([
        ("name", Some(organisation.name.clone().into())),
        ("orgId", ror.map(|url| url.clone().into())),
        ("idType", ror.map(|_| "ROR ID".into())),
    ])
}

/// The organisations that people come from, otherwise that of the facility.
fn partners(plan: &Plan) -> Option<Value> {
    let mut found: Vec<Value> = plan
        .facts
        .organisations()
        .into_iter()
        .map(partner)
        .collect();
    if found.is_empty() {
        found.extend(plan.facts.facility.as_ref().map(|each| {
            partner(&Organisation {
                name: each.name.clone(),
                ror: each.ror.clone(),
            })
        }));
    }
    (!found.is_empty()).then(|| found.into())
}

fn funding(plan: &Plan) -> Option<Value> {
    let found: Vec<Value> = plan
        .facts
        .funding
        .iter()
        .map(|each| {
            let (id, kind) = match (&each.ror, &each.fundref) {
                (Some(url), _) => (Some(url.clone()), Some("ROR ID")),
                (None, Some(doi)) => (Some(doi.clone()), Some("Crossref funder ID")),
                (None, None) => (None, None),
            };
            let funder = known([
                ("name", Some(each.funder.clone().into())),
                ("funderId", id.map(Into::into)),
                ("idType", kind.map(Into::into)),
            ]);
            known([
                ("funder", Some(funder)),
                ("grantId", each.grant.clone().map(Into::into)),
                // A grant that has a number was granted; of the others nothing is known.
                (
                    "fundingStatus",
                    each.grant.as_ref().map(|_| "Approuvé".into()),
                ),
            ])
        })
        .collect();
    (!found.is_empty()).then(|| found.into())
}

fn project(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let leaders: Vec<Value> = facts
        .leaders()
        .into_iter()
        .map(|each| json!({"person": person(each), "role": "Coordinateur du projet"}))
        .collect();
    known([
        ("title", Some(facts.title.clone().into())),
        ("acronym", Some(facts.code.clone().into())),
        (
            "description",
            Some(
                facts
                    .description
                    .as_ref()
                    .map_or_else(|| format!("<p>{OPEN}</p>"), |text| paragraphs(text))
                    .into(),
            ),
        ),
        ("funding", funding(plan)),
        ("startDate", facts.start.clone().map(Into::into)),
        ("endDate", facts.end.clone().map(Into::into)),
        ("partner", partners(plan)),
        (
            "principalInvestigator",
            (!leaders.is_empty()).then(|| leaders.into()),
        ),
    ])
}

fn entity(plan: &Plan) -> Value {
    let facility = plan.facts.facility.as_ref();
    let ror = facility.and_then(|each| each.ror.as_ref());
    known([
        (
            "name",
            Some(facility.map_or(OPEN, |each| &each.name).into()),
        ),
        ("orgId", ror.map(|url| url.clone().into())),
        ("idType", ror.map(|_| "ROR ID".into())),
        (
            "description",
            facility
                .and_then(|each| each.platform.as_ref())
                .map(|text| paragraphs(text).into()),
        ),
        ("partner", partners(plan)),
        ("funding", funding(plan)),
        (
            "contributor",
            contributors(
                plan,
                &[
                    Role::PrincipalInvestigator,
                    Role::ProjectLeader,
                    Role::DataManager,
                ],
            ),
        ),
    ])
}

fn output(plan: &Plan) -> Value {
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
