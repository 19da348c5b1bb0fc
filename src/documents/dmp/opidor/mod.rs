//! The plan for DMP OPIDoR (format `standard` of its import): the keys of its templates, the French labels of its
//! registries, long texts as HTML, which is what its editor keeps. Seen in OPIDoR/DMPOPIDoR, June 2025.
//!
//! Its import asks for `meta` with a contact and e-mail, `project` or `researchEntity`, and one `researchOutput`. What its
//! templates ask for and nobody said yet is left out, or says `À compléter` where a text has to be there.

mod output;

use serde_json::{Map, Value, json};

use super::facts::{Organisation, Person};
use super::madmp::NO_MAIL;
use super::plan::{Plan, day, pretty};
use super::prose::{self, Block};
use super::roles;
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
    document.insert("researchOutput".into(), json!([output::output(plan)]));
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
