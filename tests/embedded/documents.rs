//! Documents appear with an experiment, follow it, and carry whatever people call things without doing what it says.

use std::fs;
use std::path::Path;

use octonas::content::{self, Column, Contents, DayFirst, Format, Kind, TimeColumn};
use octonas::experiment::{Code, ExperimentId};
use octonas::store::catalogue::{Catalogue, FileRow, Probed};
use octonas::sys::dir::Dir;
use serde_json::json;

use crate::support::{TestEnv, definition, names};

const FILES: [&str; 14] = [
    "README.fr.md",
    "README.fr.html",
    "README.en.md",
    "README.en.html",
    "ACCESS.fr.md",
    "ACCESS.fr.html",
    "ACCESS.en.md",
    "ACCESS.en.html",
    "DATA-DICTIONARY.fr.md",
    "DATA-DICTIONARY.fr.html",
    "DATA-DICTIONARY.en.md",
    "DATA-DICTIONARY.en.html",
    "CITATION.cff",
    "LICENCE.txt",
];

fn read(env: &TestEnv, path: &str) -> String {
    fs::read_to_string(env.at(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The files that a build says it wrote.
fn written(env: &TestEnv, more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["document", "build", "eco"];
    arguments.extend(more);
    env.json(&arguments)["documents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["written"] == true)
        .map(|row| row["file"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn documents_appear_with_an_experiment_and_follow_it() {
    let env = TestEnv::with_experiment();
    for file in FILES {
        assert!(env.at(&format!("eco/metadata/{file}")).is_file(), "{file}");
    }
    assert!(written(&env, &[]).is_empty());
    assert!(read(&env, "eco/metadata/README.en.md").starts_with("# Heat waves\n"));

    let renamed = definition("eco").replace("Heat waves", "Cold spells");
    env.edit(&renamed).ok();
    assert!(read(&env, "eco/metadata/README.fr.md").starts_with("# Cold spells\n"));
    assert!(read(&env, "eco/metadata/CITATION.cff").contains("title: \"Cold spells\"\n"));

    env.run(&["experiment", "close", "eco"]).ok();
    assert!(read(&env, "eco/metadata/README.fr.md").contains("les données ne changent plus"));
    env.run(&["experiment", "reopen", "eco"]).ok();
    assert!(read(&env, "eco/metadata/README.en.md").contains("**Status:** running"));

    env.run(&["experiment", "remove", "eco"]).ok();
    env.run(&["document", "build", "eco"])
        .failed(1, "experiment.removed");
}

#[test]
fn only_what_data_changes_is_written_again() {
    let env = TestEnv::with_experiment();
    let before = read(&env, "eco/metadata/CITATION.cff");
    fs::write(env.at("eco/raw/a.csv"), "t;v\n").unwrap();
    let dry = written(&env, &["--dry-run"]);
    assert!(dry.contains(&"README.fr.md".to_owned()), "{dry:?}");
    assert!(
        dry.contains(&"DATA-DICTIONARY.en.html".to_owned()),
        "{dry:?}"
    );
    assert!(!dry.contains(&"CITATION.cff".to_owned()), "{dry:?}");
    assert!(!dry.contains(&"ACCESS.fr.md".to_owned()), "{dry:?}");
    assert!(!read(&env, "eco/metadata/README.en.md").contains("`csv`"));
    assert_eq!(written(&env, &[]), dry);
    assert!(read(&env, "eco/metadata/README.en.md").contains("| `csv` | table as text | 1 |"));
    assert_eq!(read(&env, "eco/metadata/CITATION.cff"), before);
    assert!(written(&env, &[]).is_empty());
}

#[test]
fn what_a_person_wrote_into_a_document_is_kept_beside() {
    let env = TestEnv::with_experiment();
    let path = env.at("eco/metadata/README.en.md");
    let mine = fs::read_to_string(&path)
        .unwrap()
        .replace("Heat", "My heat");
    fs::write(&path, &mine).unwrap();
    let rows = env.json(&["document", "list", "eco"]);
    let row = rows["documents"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["file"] == "README.en.md")
        .unwrap()
        .clone();
    assert_eq!(row["state"], "by-hand");
    let ran = env.run(&["document", "build", "eco"]).ok();
    assert!(ran.stderr.contains("had been changed by hand"), "{ran:?}");
    let kept: Vec<String> = names(&env.at("eco/metadata"))
        .into_iter()
        .filter(|name| name.starts_with("README.en.by-hand-"))
        .collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(read(&env, &format!("eco/metadata/{}", kept[0])), mine);
    assert!(read(&env, "eco/metadata/README.en.md").starts_with("# Heat waves\n"));
}

#[test]
fn a_template_of_the_nas_replaces_the_built_in_one_and_a_broken_one_costs_a_warning_only() {
    let env = TestEnv::with_experiment();
    let templates = env.root.path().join("templates/documents/en");
    fs::create_dir_all(&templates).unwrap();
    let config = env.root.path().join("octonas.yaml");
    let text = format!(
        "templates: {}\n",
        env.root.path().join("templates").display()
    );
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    fs::write(
        templates.join("readme.hbs"),
        "# Ours: {{experiment.title}}\n",
    )
    .unwrap();

    let rows = env.json(&["--config", config, "document", "list", "eco"]);
    let state = |file: &str| {
        rows["documents"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["file"] == file)
            .unwrap()["state"]
            .clone()
    };
    assert_eq!(state("README.en.md"), "older-template");
    assert_eq!(state("README.fr.md"), "current");
    env.run(&["--config", config, "document", "build", "eco"])
        .ok();
    assert!(read(&env, "eco/metadata/README.en.md").starts_with("# Ours: Heat waves\n"));

    fs::write(templates.join("readme.hbs"), "{{experiment.account}}").unwrap();
    env.run(&["--config", config, "document", "build", "eco"])
        .failed(1, "template.invalid");
    let edited = definition("eco").replace("Heat waves", "Cold spells");
    let ran = env
        .with_input(
            &["--config", config, "experiment", "edit", "-f", "-"],
            edited.as_bytes(),
        )
        .ok();
    assert!(
        ran.stderr
            .contains("warning: the documents of eco could not be written"),
        "{ran:?}"
    );
    assert_eq!(
        env.json(&["experiment", "show", "eco"])["definition"]["title"],
        "Cold spells"
    );
}

#[test]
fn a_document_is_shown_and_strangers_do_not_see_it() {
    let env = TestEnv::with_experiment();
    let shown = env.run(&["document", "show", "eco", "readme"]).ok().stdout;
    assert!(
        shown.starts_with("# Heat waves\n") && !shown.contains("octonas: inputs"),
        "{shown}"
    );
    let french = env
        .run(&["document", "show", "eco", "README", "--language", "fr"])
        .ok();
    assert!(french.stdout.contains("## En bref"));
    env.run(&["document", "show", "eco", "experiment.yaml"])
        .failed(1, "document.unknown");
    fs::remove_file(env.at("eco/metadata/LICENCE.txt")).unwrap();
    env.run(&["document", "show", "eco", "licence"])
        .failed(1, "document.missing");

    let params = json!({"code": "eco", "name": "CITATION"});
    let member = env.rpc("show-document", ("ada", "user"), &params).ok();
    assert!(member.stdout.contains("cff-version"), "{member:?}");
    let listed = env
        .rpc("list-documents", ("cy", "user"), &json!({"code": "eco"}))
        .ok();
    assert!(listed.stdout.contains("LICENCE.txt"), "{listed:?}");
    for (method, params) in [
        ("show-document", params.clone()),
        ("list-documents", json!({"code": "eco"})),
    ] {
        env.rpc(method, ("eve", "user"), &params)
            .failed_rpc("experiment.unknown");
    }
    env.rpc("build-documents", ("ada", "user"), &json!({"code": "eco"}))
        .failed_rpc("rpc.forbidden");
    let built = env.admin("build-documents", &json!({"all": true, "dry-run": true}));
    assert_eq!(built["result"][0]["code"], "eco");
}

/// What a probe would have found in `path`.
fn probed(env: &TestEnv, path: &str, contents: &Contents) {
    let id = env.json(&["experiment", "show", "eco"])["definition"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let base = Dir::open_absolute(&env.nas).unwrap();
    let mut index = Catalogue::open(&base, &ExperimentId::parse(&id).unwrap()).unwrap();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let now = base
        .open(Path::new("eco").join(parent))
        .unwrap()
        .unwrap()
        .stat(name)
        .unwrap()
        .unwrap();
    let mtime_ns = i64::try_from(now.modified.as_nanosecond()).unwrap();
    index
        .put(&[FileRow {
            path: path.to_owned(),
            size: now.size,
            mtime_ns,
            probed: Some(Probed {
                size: now.size,
                mtime_ns,
                contents: serde_json::to_string(contents).unwrap(),
            }),
            ..FileRow::default()
        }])
        .unwrap();
}

/// Words that mean something to a browser, a Markdown reader, a YAML reader or a program.
const HOSTILE: &str =
    "</title><script>x(1)</script>|a|[x](javascript:y) `b` *c* {{d}} <!-- &lt; \" ' \\ : # -";

#[test]
fn hostile_words_go_through_every_document_as_words() {
    let env = TestEnv::new();
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let text = definition("eco")
        .replace("title: Heat waves", &format!("title: {quoted}"))
        .replace(
            "name: Ada Lovelace",
            &format!("name: {quoted}, email: a@example.org, affiliation: {quoted}"),
        )
        .replace(
            "[principal-investigator]",
            "[principal-investigator, contact]",
        )
        + &format!(
            "description: {quoted}\nkeywords: [{quoted}]\nfacility: {{ name: {quoted}, platform: {quoted} }}\n\
             funding: [{{ funder: {quoted}, grant: {quoted} }}]\n\
             variables: [{{ name: {quoted}, label: {quoted}, unit: '<b>|`', sensor: {quoted}, description: {quoted} }}]\n"
        );
    env.create(&text).ok();
    let file = "raw/<script>alert(4)</script> | \"; import os; `x` ](javascript:5) é.csv"
        .replace('/', "⁄")
        .replacen('⁄', "/", 1);
    fs::write(env.at("eco").join(&file), "x").unwrap();
    let column = |name: &str| Column {
        name: name.into(),
        unit: Some(HOSTILE.into()),
        kind: Kind::Number,
        missing: 3,
        min: Some(-1.5),
        max: Some(f64::MAX),
    };
    let mut contents = Contents::new(Format::Csv, 1);
    contents.find(content::Severity::Warning, "csv.strange", HOSTILE);
    contents.table = Some(content::Table {
        delimiter: "|".into(),
        decimal: ",".into(),
        encoding: HOSTILE.into(),
        bom: true,
        line_ends: "lf".into(),
        header_line: Some(2),
        rows: 1,
        columns_total: 2,
        columns: vec![column(HOSTILE), column("```\n</code></pre><script>")],
        time: Some(TimeColumn {
            column: HOSTILE.into(),
            format: "%d\"\n`%m".into(),
            day_first: DayFirst::Yes,
            first: Some(HOSTILE.into()),
            last: Some(HOSTILE.into()),
            step_seconds: Some(0.5),
            gaps: 2,
            longest_gap_seconds: None,
        }),
    });
    probed(&env, &file, &contents);
    env.run(&["document", "build", "eco"]).ok();
    for name in FILES {
        let text = read(&env, &format!("eco/metadata/{name}"));
        if name.ends_with(".html") {
            for forbidden in [
                "<script",
                "<img",
                "<iframe",
                "href=\"javascript",
                "src=",
                "url(",
            ] {
                assert!(!text.contains(forbidden), "{name} has {forbidden}:\n{text}");
            }
            assert_even_tables(name, &text);
        }
        if name.ends_with(".md") {
            let fences = text.lines().filter(|line| line.starts_with("```")).count();
            assert_eq!(fences % 2, 0, "{name}:\n{text}");
        }
    }
    let cited: serde_json::Value =
        serde_yaml::from_str(&read(&env, "eco/metadata/CITATION.cff")).unwrap();
    assert_eq!(cited["title"], HOSTILE);
    assert_eq!(cited["keywords"][0], HOSTILE);
    let dictionary = read(&env, "eco/metadata/DATA-DICTIONARY.fr.html");
    assert!(dictionary.contains("&lt;script&gt;x(1)"), "{dictionary}");
    let access = read(&env, "eco/metadata/ACCESS.fr.md");
    let python = access
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert!(python.contains("\\\"; import os; `x`"), "{python}");
}

/// Every row of a table has as many cells as its head.
fn assert_even_tables(name: &str, page: &str) {
    for table in page.split("<table>").skip(1) {
        let table = table.split("</table>").next().unwrap();
        let width = table.matches("<th").count() - table.matches("<thead").count();
        for row in table
            .split("<tr>")
            .skip(1)
            .filter(|row| row.contains("<td"))
        {
            assert_eq!(row.matches("<td").count(), width, "{name}: {row}");
        }
    }
}

#[test]
fn no_account_and_no_address_but_the_contacts_is_in_a_document() {
    let env = TestEnv::new();
    let text = definition("eco")
        .replace("account: ada", "email: ada@example.org, account: zzada")
        .replace(
            "account: bo",
            "email: bo@example.org, roles: [contact], account: zzbo",
        )
        + "protocols: { nfs: [{ host: 10.9.8.7, access: read }] }\n";
    env.create(&text).ok();
    for name in FILES {
        let text = read(&env, &format!("eco/metadata/{name}"));
        for secret in [
            "zzada",
            "zzbo",
            "ada@example.org",
            "10.9.8.7",
            env.nas.to_str().unwrap(),
        ] {
            assert!(!text.contains(secret), "{name} tells {secret}");
        }
    }
    assert!(read(&env, "eco/metadata/README.en.md").contains("bo@example.org"));
}

#[test]
fn a_definition_that_says_hardly_anything_has_documents_too() {
    let env = TestEnv::new();
    env.create("octonas: 1\ncode: bare\ntitle: Bare\nlayout: minimal\n")
        .ok();
    let cited: serde_json::Value =
        serde_yaml::from_str(&read(&env, "bare/metadata/CITATION.cff")).unwrap();
    assert_eq!(cited["authors"][0]["name"], "bare");
    assert!(Code::parse("bare").is_ok());
    assert!(read(&env, "bare/metadata/LICENCE.txt").contains("Aucune licence"));
}
