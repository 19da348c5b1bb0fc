//! The plan as RDA DMP Common Standard 1.2 (maDMP): <https://github.com/RDA-DMP-Common/RDA-DMP-Common-Standard>.
//!
//! What the standard requires and nobody said yet is there in words that show it: `unknown`, or `à compléter` with an
//! address in `.invalid` (RFC 6761), which no mail can reach.

use serde_json::{Map, Value, json};

use super::facts::{Contact, Organisation, Person};
use super::plan::{Plan, pretty};
use super::{formats, prose, roles};
use crate::error::Result;
use crate::experiment::Language;

/// An e-mail address that shows that there is none.
pub const NO_MAIL: &str = "a-completer@octonas.invalid";

/// The text of `madmp.json`.
///
/// # Errors
/// `output.failed`.
pub fn text(plan: &Plan) -> Result<String> {
    pretty(&document(plan))
}

/// The document.
pub fn document(plan: &Plan) -> Value {
    let l = plan.facts.own();
    let mut dmp = Map::new();
    let mut put = |key: &str, value: Value| {
        dmp.insert(key.to_owned(), value);
    };
    put("title", plan.title(l).into());
    if let Some(description) = &plan.facts.description {
        put("description", description.clone().into());
    }
    put("language", language(l).into());
    put("created", plan.created.clone().into());
    put("modified", plan.modified.clone().into());
    put("dmp_id", own_id(plan));
    put("contact", contact(plan));
    let contributors: Vec<Value> = plan.facts.people.iter().map(contributor).collect();
    if !contributors.is_empty() {
        put("contributor", contributors.into());
    }
    put("project", json!([project(plan)]));
    put(
        "ethical_issues_exist",
        yes_no(plan, "ethical-issues").into(),
    );
    if let Some(text) = said(plan, "4c") {
        put("ethical_issues_description", text.into());
    }
    put("dataset", json!([dataset(plan)]));
    if let Some(text) = said(plan, "6b") {
        let title = match l {
            Language::Fr => "Moyens consacrés à la gestion des données",
            Language::En => "Means dedicated to data management",
        };
        put("cost", json!([{"title": title, "description": text}]));
    }
    json!({"dmp": dmp})
}

fn language(language: Language) -> &'static str {
    match language {
        Language::Fr => "fra",
        Language::En => "eng",
    }
}

/// The experiment's own identifier: it has no public one before a deposit.
fn own_id(plan: &Plan) -> Value {
    json!({"identifier": format!("urn:uuid:{}", plan.facts.id), "type": "other"})
}

/// The words `yes`, `no`, `unknown`.
fn yes_no(plan: &Plan, key: &str) -> String {
    plan.answers.choice(key).unwrap_or("unknown").to_owned()
}

/// What people answered to a question, as plain text.
fn said(plan: &Plan, question: &str) -> Option<String> {
    let (text, _) = plan.answer(question, plan.facts.own())?;
    Some(text.to_owned())
}

/// What the NAS says to a question and what people answered, as plain text.
fn all(plan: &Plan, question: &str) -> Option<String> {
    let l = plan.facts.own();
    let mut text = prose::plain(&prose::facts(plan, question, l), l);
    if let Some(answer) = said(plan, question) {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&answer);
    }
    (!text.is_empty()).then_some(text)
}

/// Who somebody is: an ORCID iD, otherwise the name.
fn person_id(name: &str, orcid: Option<&String>) -> Value {
    match orcid {
        Some(url) => json!({"identifier": url, "type": "orcid"}),
        None => json!({"identifier": name, "type": "other"}),
    }
}

fn affiliation(organisation: Option<&Organisation>) -> Option<Value> {
    let organisation = organisation?;
    let id = match &organisation.ror {
        Some(url) => json!({"identifier": url, "type": "ror"}),
        None => json!({"identifier": organisation.name, "type": "other"}),
    };
    Some(json!([{"name": organisation.name, "affiliation_id": id}]))
}

fn contact(plan: &Plan) -> Value {
    let Some(Contact { name, email }) = &plan.facts.contact else {
        let nobody = match plan.facts.own() {
            Language::Fr => "À compléter",
            Language::En => "To be completed",
        };
        return json!({
            "name": nobody,
            "mbox": NO_MAIL,
            "contact_id": {"identifier": nobody, "type": "other"},
        });
    };
    let person = plan.facts.contact_person();
    let mut contact = json!({
        "name": name,
        "mbox": email.as_deref().unwrap_or(NO_MAIL),
        "contact_id": person_id(name, person.and_then(|each| each.orcid.as_ref())),
    });
    if let Some(value) = affiliation(person.and_then(|each| each.affiliation.as_ref())) {
        contact["affiliation"] = value;
    }
    contact
}

fn contributor(person: &Person) -> Value {
    let mut contributor = json!({
        "name": person.name,
        "role": roles::datacite_all(&person.roles),
        "contributor_id": person_id(&person.name, person.orcid.as_ref()),
    });
    if let Some(value) = affiliation(person.affiliation.as_ref()) {
        contributor["affiliation"] = value;
    }
    contributor
}

fn project(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let mut project = json!({"title": facts.title});
    for (key, value) in [
        ("description", &facts.description),
        ("start", &facts.start),
        ("end", &facts.end),
    ] {
        if let Some(value) = value {
            project[key] = value.clone().into();
        }
    }
    let funding: Vec<Value> = facts
        .funding
        .iter()
        .map(|each| {
            let funder = match (&each.fundref, &each.ror) {
                (Some(doi), _) => {
                    json!({"identifier": format!("https://doi.org/{doi}"), "type": "fundref"})
                }
                (None, Some(url)) => json!({"identifier": url, "type": "ror"}),
                (None, None) => json!({"identifier": each.funder, "type": "other"}),
            };
            let mut funding = json!({"funder_id": funder});
            if let Some(grant) = &each.grant {
                funding["grant_id"] = json!({"identifier": grant, "type": "other"});
                funding["funding_status"] = "granted".into();
            }
            funding
        })
        .collect();
    if !funding.is_empty() {
        project["funding"] = funding.into();
    }
    project
}

fn dataset(plan: &Plan) -> Value {
    let facts = &plan.facts;
    let l = facts.own();
    let mut dataset = Map::new();
    let mut put = |key: &str, value: Value| {
        dataset.insert(key.to_owned(), value);
    };
    put("title", facts.title.clone().into());
    put("type", "Dataset".into());
    put("language", language(l).into());
    if let Some(description) = &facts.description {
        put("description", description.clone().into());
    }
    put(
        "dataset_id",
        match plan.answers.choice("identifier") {
            Some(url) if url.contains("doi.org/10.") => json!({"identifier": url, "type": "doi"}),
            Some(url) => json!({"identifier": url, "type": "url"}),
            None => own_id(plan),
        },
    );
    put("personal_data", yes_no(plan, "personal-data").into());
    put("sensitive_data", yes_no(plan, "sensitive-data").into());
    if !facts.keywords.is_empty() {
        put("keyword", facts.keywords.clone().into());
    }
    // What the experiment re-uses is told under 1a; this is what it produces.
    put("is_reused", false.into());
    let creators: Vec<Value> = facts
        .leaders()
        .into_iter()
        .map(|person| {
            let mut creator = json!({
                "name": person.name,
                "creator_id": person_id(&person.name, person.orcid.as_ref()),
            });
            if let Some(value) = affiliation(person.affiliation.as_ref()) {
                creator["affiliation"] = value;
            }
            creator
        })
        .collect();
    if !creators.is_empty() {
        put("creator", creators.into());
    }
    if let Some(text) = all(plan, "2b") {
        put("data_quality_assurance", json!([text]));
    }
    if let Some(text) = all(plan, "5b") {
        put("preservation_statement", text.into());
    }
    if let Some(text) = all(plan, "4b") {
        put("rights", text.into());
    }
    let metadata = metadata(plan);
    if !metadata.is_empty() {
        put("metadata", metadata.into());
    }
    put("security_and_privacy", security(plan));
    let resources = resources(plan);
    if !resources.is_empty() {
        put("technical_resource", resources.into());
    }
    put("distribution", distributions(plan).into());
    dataset.into()
}

/// Metadata standards that are really in use.
fn metadata(plan: &Plan) -> Vec<Value> {
    let l = plan.facts.own();
    let mut found = Vec::new();
    let mut standard = |url: &str, fr: &str, en: &str| {
        let description = match l {
            Language::Fr => fr,
            Language::En => en,
        };
        found.push(json!({
            "language": language(l),
            "description": description,
            "metadata_standard_id": {"identifier": url, "type": "url"},
        }));
    };
    if plan
        .facts
        .variables
        .iter()
        .any(|each| each.standard_name.is_some())
    {
        standard(
            "https://rdamsc.bath.ac.uk/msc/m5",
            "Noms normalisés de la convention CF (Climate and Forecast) pour les variables",
            "Standard names of the CF (Climate and Forecast) conventions for variables",
        );
    }
    if plan
        .facts
        .documents
        .iter()
        .any(|name| name == "CITATION.cff")
    {
        standard(
            "https://citation-file-format.github.io",
            "Fiche de citation (Citation File Format)",
            "Citation file (Citation File Format)",
        );
    }
    found
}

fn security(plan: &Plan) -> Value {
    let l = plan.facts.own();
    let mut items = Vec::new();
    for (question, fr, en) in [
        ("3b", "Accès et sécurité", "Access and security"),
        ("4a", "Données à caractère personnel", "Personal data"),
    ] {
        if let Some(text) = all(plan, question) {
            let title = match l {
                Language::Fr => fr,
                Language::En => en,
            };
            items.push(json!({"title": title, "description": text}));
        }
    }
    items.into()
}

fn resources(plan: &Plan) -> Vec<Value> {
    let facts = &plan.facts;
    let platform = facts
        .facility
        .as_ref()
        .and_then(|each| each.platform.as_ref());
    platform
        .map(|name| json!({"name": name}))
        .into_iter()
        .chain(
            facts
                .sources
                .iter()
                .map(|source| match &source.description {
                    Some(text) => json!({"name": source.id, "description": text}),
                    None => json!({"name": source.id}),
                }),
        )
        .collect()
}

/// The data on the NAS while the experiment runs; and, once it was said how it will be accessible, what is deposited.
fn distributions(plan: &Plan) -> Vec<Value> {
    let facts = &plan.facts;
    let l = facts.own();
    let mut media: Vec<&str> = Vec::new();
    for format in &facts.formats {
        if let Some(known) = formats::of(&format.extension)
            && !media.contains(&known.media)
        {
            media.push(known.media);
        }
    }
    let title = match l {
        Language::Fr => "Données sur le serveur de stockage pendant l'expérience",
        Language::En => "Data on the storage server during the experiment",
    };
    let mut working = json!({
        "title": title,
        "byte_size": facts.bytes,
        // Nobody but those whom the plan names.
        "data_access": "closed",
    });
    if !media.is_empty() {
        working["format"] = json!(media);
    }
    if let Some(text) = all(plan, "3a") {
        working["description"] = text.into();
    }
    if let Some(until) = &facts.kept_until {
        working["available_until"] = until.clone().into();
    }
    // A host has to have an address, and that of the NAS stays inside: the organisation's stands for it.
    if let Some((facility, ror)) = facts
        .facility
        .as_ref()
        .and_then(|each| Some((each, each.ror.as_ref()?)))
    {
        let (title, storage) = match l {
            Language::Fr => (format!("Serveur NAS, {}", facility.name), "Serveur NAS"),
            Language::En => (format!("NAS server, {}", facility.name), "NAS server"),
        };
        working["host"] = json!({"title": title, "url": ror, "storage_type": storage});
    }
    let mut found = vec![working];
    found.extend(deposit(plan, &media));
    found
}

fn deposit(plan: &Plan, media: &[&str]) -> Option<Value> {
    let access = match plan.answers.choice("access")? {
        "open" | "embargoed" => "open",
        "restricted" => "shared",
        _ => "closed",
    };
    let title = match plan.facts.own() {
        Language::Fr => "Données diffusées",
        Language::En => "Data that is shared",
    };
    let mut deposit = json!({"title": title, "data_access": access});
    if !media.is_empty() {
        deposit["format"] = json!(media);
    }
    if let Some(text) = all(plan, "5a") {
        deposit["description"] = text.into();
    }
    let release = plan.answers.choice("release");
    if let Some(day) = release {
        deposit["issued"] = day.into();
    }
    // A licence needs the day from which it holds: that of the release, or else the end of the experiment.
    if let (Some(licence), Some(day)) = (&plan.facts.licence, release.or(plan.facts.end.as_deref()))
        && access != "closed"
    {
        deposit["license"] = json!([{"license_ref": licence.url, "start_date": day}]);
    }
    if let Some(repository) = &plan.repository {
        let mut host = json!({"title": repository.name, "url": repository.url});
        if let Some(identifiers) = repository.identifiers {
            host["pid_system"] = json!([identifiers]);
        }
        if let Some(country) = &repository.country {
            host["geo_location"] = country.as_str().into();
        }
        deposit["host"] = host;
    }
    if let Some(url) = plan.answers.choice("identifier") {
        deposit["access_url"] = url.into();
    }
    Some(deposit)
}
