use super::*;
use crate::experiment::{Strictness, read};

fn definition(rest: &str) -> crate::experiment::Definition {
    let text = format!("octonas: 1\ncode: eco-2026\ntitle: T\n{rest}");
    read(text.as_bytes(), Strictness::Given).unwrap()
}

fn expand(name: &str, rest: &str) -> Result<Vec<Directory>> {
    Layouts::default()
        .get(&LayoutName::parse(name).unwrap())
        .unwrap()
        .expand(&definition(rest))
}

fn lines(directories: &[Directory]) -> Vec<String> {
    directories
        .iter()
        .map(|d| format!("{:?} {}", d.kind, d.path))
        .collect()
}

/// A layout of one entry.
fn parse(entries: &str) -> Result<Layout> {
    let t = "{ fr: x, en: x }";
    Layout::parse(&format!(
        "name: test\ntitle: {t}\npurpose: {t}\ndirectories: [{}]",
        entries.replace("P}", &format!("purpose: {t}}}"))
    ))
}

#[test]
fn every_built_in_layout_reads_and_bears_the_name_of_its_file() {
    let layouts = Layouts::default();
    let names: Vec<&str> = layouts.names().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "aquatic-loggers",
            "climate-chamber",
            "field-campaign",
            "minimal"
        ]
    );
    for name in names {
        layouts.get(&LayoutName::parse(name).unwrap()).unwrap();
    }
}

#[test]
fn the_climate_chamber_has_a_raw_leaf_for_each_chamber() {
    let directories = expand("climate-chamber", "facility: {name: F, chambers: [C1, C2]}").unwrap();
    assert_eq!(
        lines(&directories),
        [
            "OpenLeaf docs",
            "Frame images",
            "OpenLeaf images/C1",
            "OpenLeaf images/C2",
            "OpenLeaf processed",
            "Frame raw",
            "Leaf raw/C1",
            "Leaf raw/C2",
            "OpenLeaf samples",
            "OpenLeaf scripts",
            "Leaf setpoints",
        ]
    );
    let raw = directories
        .iter()
        .find(|d| d.path.as_str() == "raw/C1")
        .unwrap();
    assert!(
        raw.purpose.fr.contains("l'enceinte C1"),
        "{}",
        raw.purpose.fr
    );
    assert_eq!(
        raw.naming.as_ref().unwrap().en,
        "one file a day, C1_YYYY-MM-DD.csv"
    );
}

#[test]
fn loops_over_dates_nest_and_stop_at_the_last_day() {
    let directories = expand(
        "field-campaign",
        "dates: {start: 2025-11-20, end: 2026-02-03}",
    )
    .unwrap();
    let surveys: Vec<String> = lines(&directories)
        .into_iter()
        .filter(|line| line.contains("surveys"))
        .collect();
    assert_eq!(
        surveys,
        [
            "Frame raw/surveys",
            "Frame raw/surveys/2025",
            "OpenLeaf raw/surveys/2025/2025-11",
            "OpenLeaf raw/surveys/2025/2025-12",
            "Frame raw/surveys/2026",
            "OpenLeaf raw/surveys/2026/2026-01",
            "OpenLeaf raw/surveys/2026/2026-02",
        ]
    );
}

#[test]
fn a_layout_says_what_the_definition_lacks() {
    let error = expand("climate-chamber", "").unwrap_err();
    assert_eq!(
        (error.code(), error.field_name()),
        ("layout.needs", Some("facility.chambers"))
    );
    let error = expand("aquatic-loggers", "dates: {start: 2026-01-01}").unwrap_err();
    assert_eq!(
        (error.code(), error.field_name()),
        ("layout.needs", Some("dates"))
    );
}

#[test]
fn a_chamber_that_cannot_name_a_directory_is_named() {
    for (chamber, word) in [
        ("C/1", "C/1"),
        ("..", ".."),
        ("C:1", "C:1"),
        ("NUL", "NUL"),
        ("a\\\\b", "a\\b"),
    ] {
        let error = expand(
            "climate-chamber",
            &format!("facility: {{name: F, chambers: [\"{chamber}\"]}}"),
        )
        .unwrap_err();
        assert_eq!(
            (error.code(), error.field_name()),
            ("layout.name", Some("facility.chambers"))
        );
        assert!(error.message().contains(word), "{error}");
    }
    let long = "x".repeat(100);
    assert!(
        expand(
            "climate-chamber",
            &format!("facility: {{name: F, chambers: [{long}]}}")
        )
        .is_ok()
    );
}

#[test]
fn names_that_windows_cannot_tell_apart_are_both_named() {
    let error = expand(
        "climate-chamber",
        "facility: {name: F, chambers: [C1]}\nsources: [{id: s, kind: linux, into: raw/c1}]",
    )
    .unwrap_err();
    assert_eq!(error.code(), "layout.collision");
    assert!(
        error.message().contains("`raw/c1`") && error.message().contains("`raw/C1`"),
        "{error}"
    );
}

#[test]
fn the_directory_of_a_source_becomes_a_leaf_and_its_parents_frames() {
    let with = |into: &str| {
        expand(
            "climate-chamber",
            &format!(
                "facility: {{name: F, chambers: [C1]}}\nsources: [{{id: s1, kind: linux, into: {into}}}]"
            ),
        )
    };
    assert_eq!(with("raw/C1").unwrap().len(), 9);
    let made = lines(&with("raw/weather/roof").unwrap());
    assert!(
        made.contains(&"Frame raw/weather".into())
            && made.contains(&"Leaf raw/weather/roof".into())
    );
    for bad in ["raw", "raw/C1/x", "processed/x/y", "images"] {
        let error = with(bad).unwrap_err();
        assert_eq!(
            (error.code(), error.field_name()),
            ("layout.into", Some("sources[0].into")),
            "{bad}"
        );
    }
    let error = expand(
        "field-campaign",
        "dates: {start: 2026-01-01, end: 2026-01-02}\n\
         sources: [{id: a, kind: linux, into: x/y}, {id: b, kind: linux, into: x/y/z}]",
    )
    .unwrap_err();
    assert_eq!(error.field_name(), Some("sources[1].into"));
    let error = expand(
        "minimal",
        "sources: [{id: a, kind: linux, into: x/y/z}, {id: b, kind: linux, into: x/y}]",
    )
    .unwrap_err();
    assert_eq!(error.field_name(), Some("sources[1].into"));
}

#[test]
fn parents_come_before_their_children() {
    for name in [
        "climate-chamber",
        "aquatic-loggers",
        "field-campaign",
        "minimal",
    ] {
        let directories = expand(
            name,
            "dates: {start: 2020-01-01, end: 2026-12-31}\nfacility: {name: F, chambers: [C1]}\n\
             sources: [{id: s1, kind: linux, into: extra/s1}]",
        )
        .unwrap();
        let mut seen: Vec<RelPath> = Vec::new();
        for directory in &directories {
            if let Some(parent) = directory.path.parent() {
                assert!(seen.contains(&parent), "{name}: {}", directory.path);
                let kind = directories.iter().find(|d| d.path == parent).unwrap().kind;
                assert_eq!(kind, DirectoryKind::Frame, "{name}: {parent}");
            }
            seen.push(directory.path.clone());
        }
    }
}

#[test]
fn three_hundred_years_of_days_are_refused_soon() {
    let layout = parse("{name: '{{date}}', for: days, leaf: true, P}").unwrap();
    let definition = definition("dates: {start: 1900-01-01, end: 2200-12-31}");
    assert_eq!(
        layout.expand(&definition).unwrap_err().code(),
        "layout.too-many"
    );
}

#[test]
fn a_template_is_refused_with_what_is_wrong_with_it() {
    for (entry, word) in [
        ("{name: a, P}", "neither a leaf"),
        ("{name: a, leaf: true, open: true, P}", "`leaf` and `open`"),
        (
            "{name: a, leaf: true, directories: [{name: b, leaf: true, P}], P}",
            "is a leaf, and has",
        ),
        ("{name: metadata, leaf: true, P}", "itself uses"),
        ("{name: .octonas, leaf: true, P}", "itself uses"),
        (
            "{name: '{{chamber}}', leaf: true, P}",
            "`chamber`, which has no value",
        ),
        (
            "{name: '{{chambr}}', for: chambers, leaf: true, P}",
            "did you mean `chamber`",
        ),
        (
            "{name: '{{#if code}}x{{/if}}', leaf: true, P}",
            "only variables",
        ),
        ("{name: '{{> x}}', leaf: true, P}", "only variables"),
        (
            "{name: '{{lookup code 1}}', leaf: true, P}",
            "only variables",
        ),
        ("{name: '{{code', leaf: true, P}", "cannot be read"),
        ("{name: a, leafy: true, P}", "unknown field"),
        ("{name: a, for: minutes, leaf: true, P}", "unknown variant"),
        ("{name: a, leaf: true}", "missing field `purpose`"),
    ] {
        let error = parse(entry).unwrap_err();
        assert_eq!(error.code(), "layout.invalid");
        assert!(error.to_string().contains(word), "{entry}: {error}");
    }
    let error = parse("{name: a/b, leaf: true, P}")
        .unwrap()
        .expand(&definition(""))
        .unwrap_err();
    assert_eq!(error.code(), "layout.name");
    let error = parse("{name: a, leaf: true, P}, {name: a, leaf: true, P}")
        .unwrap()
        .expand(&definition(""))
        .unwrap_err();
    assert_eq!(error.code(), "layout.collision");
}

#[test]
fn hostile_templates_end_soon() {
    let deep = format!(
        "{}{}",
        "{name: a, directories: [".repeat(3000),
        "]}".repeat(3000)
    );
    assert!(parse(&deep).is_err());
    assert!(Layout::parse(&" ".repeat(100_000)).is_err());
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..10 {
        let previous = format!("*a{},", i - 1).repeat(9);
        bomb.extend([
            "a",
            &i.to_string(),
            ": &a",
            &i.to_string(),
            " [",
            &previous,
            "]\n",
        ]);
    }
    assert!(Layout::parse(&bomb).is_err());
}

#[test]
fn an_override_replaces_the_built_in_one_and_a_broken_one_hurts_only_itself() {
    let own = Layouts::default()
        .text("minimal")
        .unwrap()
        .replace("name: raw", "name: brut");
    let layouts = Layouts::new(vec![
        ("minimal".into(), own),
        ("broken".into(), ": [".into()),
    ]);
    let minimal = layouts.get(&LayoutName::minimal()).unwrap();
    assert!(lines(&minimal.expand(&definition("")).unwrap()).contains(&"OpenLeaf brut".into()));
    assert_eq!(
        layouts
            .get(&LayoutName::parse("broken").unwrap())
            .unwrap_err()
            .code(),
        "layout.invalid"
    );
    assert!(
        layouts
            .names()
            .any(|(name, origin)| name == "broken" && origin == Origin::Override)
    );
    let error = layouts
        .get(&LayoutName::parse("minimall").unwrap())
        .unwrap_err();
    assert_eq!(
        (error.code(), error.hint_text()),
        ("layout.unknown", Some("did you mean `minimal`?"))
    );
    let other = Layouts::new(vec![(
        "mine".into(),
        layouts.text("minimal").unwrap().into(),
    )]);
    assert_eq!(
        other
            .get(&LayoutName::parse("mine").unwrap())
            .unwrap_err()
            .code(),
        "layout.invalid"
    );
}

#[test]
fn the_examples_become_trees_with_a_leaf_for_every_source() {
    for text in [
        include_str!("../../examples/climate-chamber.yaml"),
        include_str!("../../examples/lake-loggers.yaml"),
        include_str!("../../examples/field-campaign.yaml"),
    ] {
        let d = read(text.as_bytes(), Strictness::Given).unwrap();
        let directories = Layouts::default()
            .get(&d.layout)
            .unwrap()
            .expand(&d)
            .unwrap();
        for source in &d.sources {
            let leaf = directories.iter().find(|l| l.path == source.into).unwrap();
            assert!(leaf.kind.is_leaf(), "{}", source.into);
        }
    }
}

#[test]
fn what_an_import_found_is_a_leaf_unless_the_layout_has_it() {
    let imported = "imported: { date: 2026-11-21, leaves: [2019, raw, old/data, raw/inner] }";
    let directories = lines(&expand("minimal", imported).unwrap());
    for line in ["OpenLeaf 2019", "OpenLeaf old/data", "Frame old"] {
        assert!(
            directories.contains(&line.to_owned()),
            "{line}: {directories:?}"
        );
    }
    let raw = directories.iter().filter(|line| line.contains("raw"));
    assert_eq!(raw.count(), 1, "{directories:?}");
    // Members write there: no source gets a directory of its own in it.
    let inside = format!("{imported}\nsources: [{{ id: plc, kind: linux, into: 2019/plc }}]");
    assert_eq!(
        expand("minimal", &inside).unwrap_err().code(),
        "layout.into"
    );
    let beside = format!("{imported}\nsources: [{{ id: plc, kind: linux, into: old/plc }}]");
    assert!(lines(&expand("minimal", &beside).unwrap()).contains(&"Leaf old/plc".to_owned()));
    let twice = "imported: { date: 2026-11-21, leaves: [2019, RAW] }";
    assert_eq!(
        expand("minimal", twice).unwrap_err().code(),
        "layout.collision"
    );
}
