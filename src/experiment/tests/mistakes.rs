//! What a person gets wrong, and what the program says.

use super::{given, message};
use crate::error::Error;

const DOZEN: &str = "\
octonas: 1
code: Eco-2026
titel: Canicules
langage: fr
dates: { start: 2026-03-01, end: 2026-02-01 }
facility: { ror: 02feahw74, chambers: [C1, c1] }
people:
  - name: Marie Durand
    orcid: 0000-0002-1825-0098
    roles: [principal_investigator, chef]
    account: mdurand
    access: admin
    until: 2026-02-28
  - { name: Paul Petit, account: root, access: read, email: paul }
  - { name: Marie D., account: mdurand, access: write }
  - just a name
  - { name: Luc, account: lmartin }
sources:
  - { id: plc-c1, kind: linux, into: ../raw, every: 30s, timezone: Paris }
  - { id: plc-c1, kind: plc, into: metadata/x }
variables: T, RH
licence: CC-BY-4
storage: { base: srv, quota: 500G }
protocols: { smb: yes, webdav: true, nfs: [{ host: '*', access: manage }] }
retention: { years: 0 }
people: []
";

#[test]
fn every_mistake_of_a_file_is_named_at_once_with_its_line() {
    insta::assert_snapshot!("dozen", given(DOZEN).unwrap_err().to_string());
}

#[test]
fn the_problems_become_one_error_with_the_first_field() {
    let problems = given(DOZEN).unwrap_err();
    let json = serde_json::to_value(&problems).unwrap();
    assert_eq!(json["problems"][0]["line"], 1);
    let error = Error::from(problems);
    assert_eq!(
        (error.code(), error.field_name()),
        ("definition.invalid", Some("title"))
    );
    assert!(
        error.message().contains("line 9: people[0].orcid: "),
        "{}",
        error.message()
    );
}

#[test]
fn the_account_of_a_machine_is_nobody_elses() {
    let text = message(
        "people:\n  - {name: A, account: plcgw, access: read}\nsources:\n  - {id: a, kind: windows, into: raw/a, account: PLCGW}\n  - {id: b, kind: windows, into: raw/b, account: own}\n  - {id: c, kind: windows, into: raw/c, account: own}\n",
    );
    assert!(text.contains("sources[0].account"), "{text}");
    assert!(text.contains("sources[2].account"), "{text}");
    assert!(text.contains("somebody else's too"), "{text}");
    assert!(!text.contains("sources[1].account"), "{text}");
}

#[test]
fn an_account_twice_is_named_with_both_lines() {
    let text = message(
        "people:\n  - {name: A, account: a1, access: read}\n  - {name: B, account: a1, access: write}\n",
    );
    assert_eq!(
        text,
        "line 6: people[1].account: the account `a1` is here a second time; it was on line 5"
    );
}

#[test]
fn a_source_a_directory_a_variable_or_a_chamber_twice_is_refused() {
    for rest in [
        "sources: [{id: a, kind: linux, into: x}, {id: a, kind: linux, into: y}]",
        "sources: [{id: a, kind: linux, into: raw/x}, {id: b, kind: linux, into: raw/X}]",
        "variables: [{name: T}, {name: T}]",
        "facility: {name: F, chambers: [C1, C2, c1]}",
    ] {
        let text = message(rest);
        assert!(
            text.contains("is here a second time; it was on line 4"),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_type_is_named() {
    for (rest, expected) in [
        (
            "people: {name: A}",
            "line 4: people: expected a list, found keys and values",
        ),
        (
            "people: [A]",
            "line 4: people[0]: expected keys and values, found `A`",
        ),
        (
            "dates: 2026",
            "line 4: dates: expected keys and values, found `2026`",
        ),
        (
            "description: [a]",
            "line 4: description: expected text, found a list",
        ),
        (
            "description: true",
            "line 4: description: expected text, found `true`",
        ),
        (
            "protocols: {smb: 1}",
            "line 4: protocols.smb: expected true or false, found `1`",
        ),
        (
            "keywords: [~]",
            "line 4: keywords[0]: expected text, found nothing",
        ),
        (
            "retention: {years: ten}",
            "line 4: retention.years: `ten` is not a number",
        ),
    ] {
        let text = message(rest);
        assert!(text.starts_with(expected), "{text}");
    }
    assert!(
        given("- 1")
            .unwrap_err()
            .to_string()
            .starts_with("line 1: expected keys and values")
    );
}

#[test]
fn a_later_format_gets_a_clear_answer_and_no_list_of_mistakes() {
    let text = given("octonas: 2\nfoo: bar\n").unwrap_err().to_string();
    assert_eq!(
        text,
        "line 1: octonas: the definition has format 2; this program reads up to 1 (install a newer OctoNAS)"
    );
    for bad in [
        "octonas: 0",
        "octonas: -1",
        "octonas: one",
        "octonas: 1.0",
        "octonas: []",
        "octonas: 99999999999",
    ] {
        let text = given(&format!("{bad}\ncode: ab\ntitle: T"))
            .unwrap_err()
            .to_string();
        assert!(text.starts_with("line 1: octonas: "), "{text}");
    }
    assert!(
        given("code: ab\ntitle: T")
            .unwrap_err()
            .to_string()
            .contains("`octonas` is missing")
    );
}

#[test]
fn rights_without_an_account_and_an_account_without_rights_are_refused() {
    assert!(message("people: [{name: A, access: read}]").contains("no `account`"));
    assert!(message("people: [{name: A, until: 2026-01-01}]").contains("no `account`"));
    assert!(message("people: [{name: A, account: a1}]").contains("has no `access`"));
}

#[test]
fn no_more_than_a_hundred_problems_are_listed() {
    let keys = (0..150)
        .map(|i| format!("wrong{i}: 1\n"))
        .collect::<Vec<_>>()
        .concat();
    let text = message(&keys);
    assert_eq!(text.lines().count(), 101);
    assert!(text.ends_with("and 50 more"), "{text}");
}
