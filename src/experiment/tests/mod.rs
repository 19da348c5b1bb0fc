//! The reader as a whole: what is accepted, every mistake at once, hostile input, properties.

mod hostile;
mod mistakes;
mod properties;

use super::{Access, Date, Definition, Language, LayoutName, Problems, Status, Strictness, read};

fn given(text: &str) -> Result<Definition, Problems> {
    read(text.as_bytes(), Strictness::Given)
}

/// The message of a definition with one more line.
fn message(rest: &str) -> String {
    given(&format!("octonas: 1\ncode: eco-2026\ntitle: T\n{rest}"))
        .unwrap_err()
        .to_string()
}

const FULL: &str = r"octonas: 1
id: 0b9e4c1a-7d52-4a0b-9c3e-5f6a7b8c9d0e
code: eco-2026-heatwave
title: Heatwave effects on grassland mesocosms
description: |
  First line.
  Second line: with a colon.
language: en
status: draft
dates: { start: 2026-03-01, end: 2026-09-30 }
facility: { name: CEREEP, ror: https://ror.org/02feahw73, platform: Ecolab, chambers: [C1, 2] }
people:
  - name: Marie Durand
    orcid: https://orcid.org/0000-0002-1825-0097
    email: marie.durand@Example.org
    affiliation: ENS-PSL
    roles: [principal-investigator, contact]
    account: mdurand
    access: manage
    until: 2027-01-31
  - { name: Somebody without an account }
sources:
  - { id: plc-c1, kind: linux, timezone: Europe/Paris, into: raw/C1, every: 30min, description: PLC }
  - { id: pc, kind: windows, into: raw/pc }
variables:
  - { name: T, label: Temperature, unit: degC, standard_name: air_temperature, sensor: PT100, description: 2 m }
keywords: [heatwave, grassland]
licence: cc-by-4.0
funding: [ { funder: ANR, ror: 00rbzpz17, grant: 26 } ]
storage: { base: /srv/octonas/, quota: 500 Gio }
layout: climate-chamber
protocols: { ftp: true, nfs: [ { host: 10.1.2.0/24, access: read } ] }
retention: { years: 10 }
";

#[test]
fn a_full_definition_is_read_to_the_last_field() {
    let d = given(FULL).unwrap();
    insta::assert_snapshot!("full", d.to_yaml().unwrap());
    let people: Vec<_> = d
        .people_with_access()
        .map(|(a, access, _)| (a.as_str(), access))
        .collect();
    assert_eq!(people, [("mdurand", Access::Manage)]);
    assert_eq!(
        d.directory().unwrap().to_str(),
        Some("/srv/octonas/eco-2026-heatwave")
    );
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let d = given("octonas: 1\ncode: lake\ntitle: Le lac\n").unwrap();
    assert_eq!((d.language, d.status), (Language::Fr, Status::Active));
    assert_eq!(d.layout, LayoutName::minimal());
    let doors = (
        d.protocols.smb,
        d.protocols.sftp,
        d.protocols.rsync,
        d.protocols.ftp,
    );
    assert_eq!(doors, (true, true, true, false));
    assert!(d.id.is_none() && d.storage.base.is_none() && d.licence.is_none());
}

#[test]
fn an_access_lasts_to_the_end_of_its_last_day() {
    let d = given(FULL).unwrap();
    let members = |day: &str| d.members_on(Date::parse(day).unwrap()).len();
    assert_eq!((members("2027-01-31"), members("2027-02-01")), (1, 0));
}

#[test]
fn json_is_read_by_the_same_reader() {
    let json = serde_json::to_string(&given(FULL).unwrap()).unwrap();
    let escaped = json.replace("Durand", "Dur\\u00e9\\ud83d\\ude00\\/");
    assert_eq!(given(&escaped).unwrap().people[0].name, "Marie Duré😀/");
    let pretty = serde_json::to_string_pretty(&given(FULL).unwrap())
        .unwrap()
        .replace("  ", "\t");
    assert_eq!(given(&pretty).unwrap(), given(FULL).unwrap());
}

#[test]
fn an_escaped_backslash_before_u_is_not_a_surrogate() {
    let text = r#"{"octonas": 1, "code": "lake", "title": "a\\ud83d\\ude00\ud83d\ude00"}"#;
    assert_eq!(given(text).unwrap().title, r"a\ud83d\ude00😀");
}

#[test]
fn keys_of_a_later_program_are_kept_at_every_level_when_they_were_stored() {
    let text = FULL
        .replace("retention: { years: 10 }", "retention: { years: 10, legal: '0x10' }\nvault: { keys: [1, 2.5, ~, true, \"yes\", 1e400, a: b] }")
        .replace("kind: windows", "kind: windows, firmware: \"1.0\"")
        .replace("affiliation: ENS-PSL", "affiliation: ENS-PSL\n    phone: 0033140000000")
        .replace("ftp: true", "s3: {bucket: x}, ftp: true")
        .replace("access: read }", "access: read, squash: all }")
        .replace("end: 2026-09-30", "end: 2026-09-30, spring: 2026-04-01")
        .replace("platform: Ecolab", "platform: Ecolab, room: 12")
        .replace("quota: 500 Gio", "quota: 500 Gio, tier: warm")
        .replace("grant: 26", "grant: 26, call: 2025")
        .replace("unit: degC", "unit: degC, valid_min: -40");
    let problems = given(&text).unwrap_err();
    assert_eq!(problems.problems.len(), 11, "{problems}");
    let d = read(text.as_bytes(), Strictness::Stored).unwrap();
    let yaml = d.to_yaml().unwrap();
    insta::assert_snapshot!("kept", yaml);
    assert_eq!(read(yaml.as_bytes(), Strictness::Stored).unwrap(), d);
    assert_eq!(d.unknown["vault"]["keys"][5], "1e400");
}

#[test]
fn every_status_is_read_back_from_a_disk_but_not_taken_from_a_person() {
    for status in Status::ALL {
        let text = format!("octonas: 1\ncode: lake\ntitle: T\nstatus: {status}");
        assert_eq!(
            read(text.as_bytes(), Strictness::Stored).unwrap().status,
            *status
        );
        let open = matches!(status, Status::Draft | Status::Active);
        assert_eq!(given(&text).is_ok(), open, "{status}");
    }
}

#[test]
fn the_digest_depends_on_what_is_said_not_on_how_it_is_written() {
    let a = given("octonas: 1\ncode: lake\ntitle: Le lac\nstorage: {quota: 1024GiB}").unwrap();
    let b =
        given("# other\ntitle: \"Le lac\"\nstorage:\n  quota: 1 Tio\ncode: 'lake'\noctonas: 1\n")
            .unwrap();
    assert_eq!(a.digest().unwrap(), b.digest().unwrap());
    assert_eq!(a.digest().unwrap().len(), 64);
    let c = given("octonas: 1\ncode: lake\ntitle: Le Lac\nstorage: {quota: 1TiB}").unwrap();
    assert_ne!(a.digest().unwrap(), c.digest().unwrap());
}

#[test]
fn the_examples_read_and_make_trees() {
    for text in [
        include_str!("../../../examples/climate-chamber.yaml"),
        include_str!("../../../examples/lake-loggers.yaml"),
        include_str!("../../../examples/field-campaign.yaml"),
    ] {
        let d = given(text).unwrap();
        assert!(d.people_with_access().count() >= 3);
        assert!(!d.variables.is_empty() && !d.sources.is_empty());
    }
}
