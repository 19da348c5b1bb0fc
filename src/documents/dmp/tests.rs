//! Plans from definitions and answers.

use serde_json::Value;

use super::answers::Answers;
use super::facts::{Facts, Known};
use super::open::{self, OpenRow};
use super::plan::{Plan, Version};
use super::registry::Registry;
use super::{madmp, opidor, text, versions};
use crate::catalogue::survey::{Extent, Format, Survey};
use crate::documents::facts as public;
use crate::documents::render::Templates;
use crate::experiment::{self, Language, Strictness};
use crate::layout::Layouts;

const FULL: &str = include_str!("../../../examples/climate-chamber.yaml");
const MINIMAL: &str = "octonas: 1\ncode: mini\ntitle: Minimal\nlanguage: en\nlayout: minimal\n";

fn survey(extensions: &[&str]) -> Survey {
    let extent = |files: u64| Extent {
        files,
        bytes: files * 1000,
        ..Extent::default()
    };
    Survey {
        total: extent(extensions.len() as u64),
        formats: extensions
            .iter()
            .map(|extension| Format {
                extension: (*extension).to_owned(),
                extent: extent(1),
            })
            .collect(),
        ..Survey::default()
    }
}

fn plan(definition: &str, answers: &str, extensions: &[&str], before: Option<&Plan>) -> Plan {
    let mut definition = experiment::read(definition.as_bytes(), Strictness::Given).unwrap();
    definition.id = Some("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap());
    let layout = Layouts::default().get(&definition.layout).unwrap();
    let tree = layout.expand(&definition).unwrap();
    let public = public::Facts::gather(&public::Known {
        definition: &definition,
        layout: &layout,
        tree: &tree,
        survey: &survey(extensions),
        served: true,
        common_share: None,
        today: "2027-01-15".into(),
    });
    let registry = Registry::read(None).unwrap();
    let facts = Facts::gather(&Known {
        public: &public,
        registry: &registry,
        enforced: true,
        received: 0,
        documents: vec!["README.fr.md".into(), "CITATION.cff".into()],
    });
    let answers = Answers::read(answers.as_bytes(), "answers").unwrap();
    let now = before.map_or("2027-01-15T10:00:00Z", |_| "2027-02-01T10:00:00Z");
    Plan::new(facts, answers, &registry, before, now).unwrap()
}

fn keys(plan: &Plan) -> Vec<&'static str> {
    open::open(plan).iter().map(|open| open.key).collect()
}

fn markdown(plan: &Plan, language: Language) -> String {
    text::markdown(plan, language, &Templates::default()).unwrap()
}

#[test]
fn what_the_nas_knows_is_not_asked_and_the_rest_is() {
    let full = plan(FULL, "", &["csv", "nc"], None);
    let expected = [
        "reuse",
        "2b",
        "3a",
        "sensitive-data",
        "personal-data",
        "4b",
        "ethical-issues",
        "access",
        "repository",
        "5b",
        "5d",
        "6b",
    ];
    assert_eq!(keys(&full), expected);
    let text = markdown(&full, Language::Fr);
    assert_eq!(text.matches("> **À compléter**").count(), expected.len());
    assert!(text.contains("12 points restent à compléter"));
    // A format that one program alone reads asks for a word about it.
    assert!(keys(&plan(FULL, "", &["csv", "hobo"], None)).contains(&"5c"));
    let minimal = keys(&plan(MINIMAL, "", &[], None));
    assert_eq!(minimal.len(), 20);
    assert_eq!(
        minimal.iter().filter(|key| **key == "definition").count(),
        3
    );
}

#[test]
fn an_answer_closes_its_question_and_a_choice_may_open_another() {
    let all = "2b: x\n3a: x\n4b: x\n5b: x\n6b: x\nreuse: no\nsensitive-data: no\npersonal-data: no\nethical-issues: no\n\
        access: open\nrelease: 2028-01-01\nrepository: https://zenodo.org\n";
    let done = plan(FULL, all, &["csv"], None);
    assert_eq!(keys(&done), Vec::<&str>::new());
    assert!(markdown(&done, Language::En).contains("This plan is complete."));
    for (choice, word, opens) in [
        ("reuse", "yes", "1a"),
        ("sensitive-data", "yes", "3b"),
        ("personal-data", "yes", "4a"),
        ("personal-data", "unknown", "4a"),
        ("ethical-issues", "yes", "4c"),
        ("access", "closed", "5a"),
    ] {
        let changed: String = all
            .lines()
            .map(|line| match line.strip_prefix(&format!("{choice}:")) {
                Some(_) => format!("{choice}: {word}\n"),
                None => format!("{line}\n"),
            })
            .collect();
        assert_eq!(
            keys(&plan(FULL, &changed, &["csv"], None)),
            [opens],
            "{choice}"
        );
    }
    let embargo = all.replace("access: open\nrelease: 2028-01-01", "access: embargoed");
    assert_eq!(keys(&plan(FULL, &embargo, &["csv"], None)), ["release"]);
    // A repository that is known to give none leaves the identifier open.
    let other = all.replace("https://zenodo.org", "https://data.example.org");
    assert_eq!(keys(&plan(FULL, &other, &["csv"], None)), ["5d"]);
}

#[test]
fn nothing_is_made_up_where_nothing_is_known() {
    let minimal = plan(MINIMAL, "", &[], None);
    let dmp = madmp::document(&minimal)["dmp"].clone();
    assert_eq!(dmp["ethical_issues_exist"], "unknown");
    assert_eq!(dmp["contact"]["mbox"], madmp::NO_MAIL);
    assert!(madmp::NO_MAIL.ends_with(".invalid"));
    assert_eq!(dmp["contact"]["name"], "To be completed");
    let dataset = &dmp["dataset"][0];
    assert_eq!(
        (&dataset["personal_data"], &dataset["sensitive_data"]),
        (&"unknown".into(), &"unknown".into())
    );
    // Nobody said how the data will be accessible: there is no word of a deposit.
    assert_eq!(dataset["distribution"].as_array().unwrap().len(), 1);
    assert_eq!(dataset["distribution"][0].get("host"), None);
    assert_eq!(dmp.get("contributor"), None);
    let opidor = opidor::document(&minimal);
    let output = &opidor["researchOutput"][0];
    assert_eq!(
        output["researchOutputDescription"]["containsPersonalData"],
        "Ne sais pas"
    );
    assert_eq!(output["sharing"]["distribution"][0].get("dataAccess"), None);
    assert_eq!(opidor["project"].get("startDate"), None);
    assert_eq!(opidor["meta"].get("version"), None);
}

#[test]
fn what_leaves_has_no_account_and_one_address() {
    let full = plan(FULL, "", &["csv"], None);
    let everything = [
        full.to_json().unwrap(),
        madmp::text(&full).unwrap(),
        opidor::text(&full).unwrap(),
        text::html(&full, Language::Fr, &Templates::default()).unwrap(),
    ];
    for text in everything {
        for account in ["mdurand", "kbenali", "cpetit", "lmoreau"] {
            assert!(!text.contains(account), "{account}");
        }
        assert!(text.contains("marie.durand@example.org"));
        assert!(!text.contains("karim.benali@example.org"));
    }
}

#[test]
fn an_access_that_ended_is_not_told_as_one() {
    // The plan's day is 2027-01-15: one access ended on 2026-12-31, another ends on 2027-01-31.
    let full = plan(FULL, "", &[], None);
    let access = |name: &str| {
        let person = full
            .facts
            .people
            .iter()
            .find(|each| each.name == name)
            .unwrap();
        (person.access.clone(), person.until.clone())
    };
    assert_eq!(access("Lucas Moreau"), (None, None));
    assert_eq!(
        access("Chloé Petit"),
        (Some("write".into()), Some("2027-01-31".into()))
    );
}

#[test]
fn roles_dates_and_licence_are_said_in_the_words_of_others() {
    let answers =
        "access: embargoed\nrelease: 2028-01-01\nrepository: https://zenodo.org\nplan-of: entity\n";
    let full = plan(FULL, answers, &["csv", "nc", "csv2"], None);
    let dmp = madmp::document(&full)["dmp"].clone();
    assert_eq!(
        dmp["contributor"][0]["role"],
        serde_json::json!(["ProjectLeader", "ContactPerson"])
    );
    assert_eq!(
        dmp["project"][0]["funding"][0]["funder_id"]["identifier"],
        "https://doi.org/10.13039/501100001665"
    );
    let deposit = &dmp["dataset"][0]["distribution"][1];
    assert_eq!(deposit["license"][0]["start_date"], "2028-01-01");
    assert_eq!(deposit["host"]["pid_system"], serde_json::json!(["doi"]));
    assert_eq!(
        deposit["format"],
        serde_json::json!(["text/csv", "application/netcdf"])
    );
    let opidor = opidor::document(&full);
    assert_eq!(opidor.get("project"), None);
    assert_eq!(
        opidor["researchEntity"]["contributor"][0]["role"],
        "Coordinateur du projet"
    );
    let shared = &opidor["researchOutput"][0]["sharing"]["distribution"][0];
    assert_eq!(shared["dataAccess"], "Sous embargo");
    assert_eq!(shared["license"]["licenseName"], "Etalab Open License 2.0");
}

#[test]
fn a_hostile_answer_is_only_text_everywhere() {
    let mut answers = Answers::default();
    let hostile = "<script>alert(1)</script> | a | b |\n\n- <img src=x onerror=y>\n\n# t\n\n[l](javascript:z) {{this}} `c";
    answers.set("4b", hostile, None, Language::Fr).unwrap();
    let full = plan(FULL, &answers.to_yaml().unwrap(), &[], None);
    let html = text::html(&full, Language::Fr, &Templates::default()).unwrap();
    for tag in ["<script", "<img", "href=\"javascript", "<h1>t", "<td>a<"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(html.contains("{{this}}"));
    let rich = opidor::document(&full)["researchOutput"][0]["legalIssues"]["description"].clone();
    let rich = rich.as_str().unwrap();
    assert!(
        rich.contains("&lt;script&gt;") && rich.contains("<li>&lt;img"),
        "{rich}"
    );
    assert!(!rich.contains("<script"));
}

#[test]
fn an_answer_in_the_other_language_is_shown_and_says_so() {
    let full = plan(FULL, "6b: du temps\n3a: { en: tapes }\n", &[], None);
    let english = markdown(&full, Language::En);
    assert!(
        english.contains("du temps\n\n*(This answer is written in French.)*"),
        "{english}"
    );
    assert!(markdown(&full, Language::Fr).contains("tapes\n\n*(Réponse rédigée en anglais.)*"));
}

#[test]
fn a_plan_is_read_back_as_it_was_and_keeps_its_times() {
    let first = plan(FULL, "6b: du temps\n", &["csv"], None);
    let back = Plan::read(first.to_json().unwrap().as_bytes(), "plan.json").unwrap();
    assert_eq!(back, first);
    let same = plan(FULL, "6b: du temps\n", &["csv"], Some(&first));
    assert_eq!(same, first);
    let other = plan(FULL, "6b: de l'argent\n", &["csv"], Some(&first));
    assert_eq!(
        (other.created.as_str(), other.modified.as_str()),
        ("2027-01-15T10:00:00Z", "2027-02-01T10:00:00Z")
    );
    assert_ne!(other.digest, first.digest);
    let newer = first
        .to_json()
        .unwrap()
        .replacen("\"plan\": 1", "\"plan\": 2", 1);
    assert_eq!(
        Plan::read(newer.as_bytes(), "x").unwrap_err().code(),
        "dmp.newer"
    );
    assert_eq!(Plan::read(b"{", "x").unwrap_err().code(), "file.damaged");
    assert_eq!(Version::parse("draft").unwrap_err().code(), "dmp.version");
}

#[test]
fn what_changed_between_two_plans_is_told_line_by_line() {
    let first = plan(FULL, "6b: du temps\n", &["csv"], None);
    assert_eq!(versions::diff(&first, &first, Language::Fr), []);
    let edited = FULL
        .replace("years: 10", "years: 20")
        .replace("Effets", "Suites");
    let second = plan(
        &edited,
        "6b: |-\n  du temps\n\n  de l'argent\nreuse: no\n",
        &["csv"],
        None,
    );
    let changes = versions::diff(&first, &second, Language::Fr);
    let questions: Vec<&str> = changes
        .iter()
        .map(|change| change.question.as_str())
        .collect();
    assert_eq!(questions, ["head", "1a", "5b", "6b"]);
    let last = changes.last().unwrap();
    assert_eq!(
        (last.removed.len(), last.added.as_slice()),
        (0, ["de l’argent".to_owned()].as_slice())
    );
    assert_eq!(
        changes[1].removed,
        ["À compléter\u{a0}: Des données existantes sont-elles réutilisées\u{202f}?"]
    );
    assert_eq!(
        changes[1].added,
        ["Aucune donnée existante n’est réutilisée."]
    );
}

#[test]
fn the_rows_of_what_is_open_have_both_languages() {
    let full = plan(FULL, "", &[], None);
    for row in open::open(&full).iter().map(OpenRow::from) {
        let row: Value = serde_json::to_value(&row).unwrap();
        for language in ["fr", "en"] {
            assert!(row[language].as_str().unwrap().ends_with('?'), "{row}");
        }
    }
}
