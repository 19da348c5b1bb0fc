//! Data management plans as people make them: built, answered by those who may, kept, compared.

use std::fs;

use serde_json::{Value, json};

use crate::support::{TestEnv, definition, exact, one_answer, untouched};

/// The example of the chambers, with accesses that outlive this test.
fn chambers() -> String {
    let text = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/climate-chamber.yaml"
    ))
    .unwrap();
    text.replace("until: 2027-", "until: 2097-")
        .replace("until: 2026-", "until: 2096-")
}

fn answer(env: &TestEnv, code: &str, question: &str, text: &str) {
    env.with_input(
        &["dmp", "answer", code, question, "--text", "-"],
        text.as_bytes(),
    )
    .ok();
}

fn read(env: &TestEnv, path: &str) -> String {
    fs::read_to_string(env.at(path)).unwrap()
}

/// A plan as text, its day made neutral.
fn shown(env: &TestEnv, code: &str, format: &str, language: &str) -> String {
    let text = env
        .run(&[
            "dmp",
            "show",
            code,
            "--format",
            format,
            "--language",
            language,
        ])
        .ok()
        .stdout;
    let plan: Value = serde_json::from_str(
        &env.run(&["dmp", "show", code, "--format", "madmp"])
            .ok()
            .stdout,
    )
    .unwrap();
    let day = plan["dmp"]["created"].as_str().unwrap()[..10].to_owned();
    let mut out = String::new();
    for line in text.lines() {
        let dated = [
            "| Établi le |",
            "| Modifié le |",
            "| Established on |",
            "| Last changed on |",
        ]
        .iter()
        .find(|label| line.starts_with(**label));
        match dated {
            Some(label) => out.push_str(&format!("{label} [DAY] |\n")),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    env.neutral(&out).replace(&day, "[DAY]")
}

fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_plan_of_the_chambers_reads_as_it_always_did() {
    let env = TestEnv::new();
    env.with_input(
        &["experiment", "create", "-f", "-", "--create-accounts"],
        chambers().as_bytes(),
    )
    .ok();
    let code = "eco-2026-canicule";
    for (name, size) in [
        ("raw/C1/C1_2026-03-01.csv", 1500),
        ("raw/C2/C2_2026-03-01.csv", 1600),
        ("processed/all.nc", 90_000),
        ("docs/x.hobo", 40),
    ] {
        fs::write(env.at(&format!("{code}/{name}")), vec![b'x'; size]).unwrap();
    }
    for (question, text) in [
        ("reuse", "no"),
        ("personal-data", "no"),
        ("access", "embargoed"),
        ("release", "2028-01-01"),
        ("repository", "https://entrepot.recherche.data.gouv.fr"),
        (
            "2b",
            "Les capteurs sont étalonnés chaque saison.\n\n- Chaque série est relue.\n- Rien n'est effacé.",
        ),
    ] {
        answer(&env, code, question, text);
    }
    golden("dmp-fr", &shown(&env, code, "md", "fr"));
    golden("dmp-en", &shown(&env, code, "md", "en"));
    golden("dmp-madmp", &shown(&env, code, "madmp", "fr"));
    golden("dmp-opidor", &shown(&env, code, "opidor", "fr"));
}

#[test]
fn a_plan_is_written_once_and_again_only_when_it_says_something_else() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.nas);
    let would = env.json(&["dmp", "build", "eco", "--version", "initial", "--dry-run"]);
    assert_eq!(would["written"].as_array().unwrap().len(), 14, "{would}");
    untouched(&env.nas, &before, &would);
    env.run(&["dmp", "show", "eco"]).ok();
    env.run(&["dmp", "questions", "eco"]).ok();
    untouched(&env.nas, &before, &"looking");

    let built = env.json(&["dmp", "build", "eco", "--version", "initial"]);
    assert_eq!(built["written"], would["written"]);
    let after = exact(&env.nas);
    let again = env.json(&["dmp", "build", "eco", "--version", "initial"]);
    assert_eq!(again["written"], json!([]), "{again}");
    untouched(&env.nas, &after, &again);

    answer(&env, "eco", "6b", "Time.");
    let changed = env.json(&["dmp", "build", "eco"]);
    assert_eq!(changed["written"].as_array().unwrap().len(), 7, "{changed}");
    assert!(read(&env, "eco/metadata/dmp/DMP.en.md").contains("\nTime.\n"));
    assert!(!read(&env, "eco/metadata/dmp/versions/initial/DMP.en.md").contains("\nTime.\n"));
    env.run(&["experiment", "check", "eco"]).ok();
}

#[test]
fn a_version_that_was_kept_stays_until_it_is_replaced() {
    let env = TestEnv::with_experiment();
    env.run(&["dmp", "diff", "eco", "initial", "current"])
        .failed(1, "dmp.missing");
    env.run(&["dmp", "build", "eco", "--version", "initial"])
        .ok();
    assert_eq!(
        env.run(&["dmp", "diff", "eco", "initial", "current"])
            .ok()
            .stdout,
        "no difference\n"
    );
    answer(&env, "eco", "reuse", "no");
    let kept = exact(&env.at("eco/metadata/dmp/versions"));
    let refused = env
        .run(&["dmp", "build", "eco", "--version", "initial"])
        .failed(1, "dmp.kept");
    untouched(&env.at("eco/metadata/dmp/versions"), &kept, &refused);
    env.run(&["dmp", "build", "eco", "--version", "intermediate"])
        .ok();
    let changes = env.json(&["dmp", "diff", "eco", "initial", "intermediate"]);
    assert_eq!(changes[0]["question"], "1a", "{changes}");
    assert_eq!(changes[0]["added"], json!(["No existing data is re-used."]));
    env.run(&["dmp", "build", "eco", "--version", "initial", "--replace"])
        .ok();
    assert_eq!(
        env.json(&["dmp", "diff", "eco", "initial", "intermediate"]),
        json!([])
    );
    assert_eq!(
        env.json(&["dmp", "questions", "eco"])["versions"],
        json!(["initial", "intermediate"])
    );
    env.run(&["dmp", "build", "eco", "--version", "last"])
        .failed(1, "dmp.version");
}

#[test]
fn what_somebody_changed_by_hand_is_kept_beside() {
    let env = TestEnv::with_experiment();
    env.run(&["dmp", "build", "eco"]).ok();
    fs::write(env.at("eco/metadata/dmp/DMP.en.md"), "mine\n").unwrap();
    let built = env.json(&["dmp", "build", "eco"]);
    let beside = built["kept"][0].as_str().unwrap();
    assert_eq!(read(&env, &format!("eco/metadata/dmp/{beside}")), "mine\n");
    assert!(read(&env, "eco/metadata/dmp/DMP.en.md").starts_with("# Data management plan"));
}

#[test]
fn only_those_who_manage_answer_and_strangers_see_nothing() {
    let env = TestEnv::with_experiment();
    let call = |method: &str, who: &str, params: &Value| {
        one_answer(&env.rpc(method, (who, "user"), params))
    };
    let said = json!({"code": "eco", "question": "4a", "text": "No."});
    for (who, code) in [
        ("bo", "rpc.forbidden"),
        ("cy", "rpc.forbidden"),
        ("zoe", "experiment.unknown"),
    ] {
        assert_eq!(
            call("answer-dmp", who, &said)["error"]["code"],
            code,
            "{who}"
        );
        assert_eq!(
            call("build-dmp", who, &json!({"code": "eco"}))["error"]["code"],
            code,
            "{who}"
        );
    }
    assert_eq!(
        call("show-dmp", "zoe", &json!({"code": "eco"}))["error"]["code"],
        "experiment.unknown"
    );
    assert_eq!(call("answer-dmp", "ada", &said)["result"]["changed"], true);
    for who in ["bo", "cy"] {
        let text = call(
            "show-dmp",
            who,
            &json!({"code": "eco", "format": "md", "language": "en"}),
        );
        assert!(
            text["result"]["text"].as_str().unwrap().contains("\nNo.\n"),
            "{text}"
        );
        assert!(
            call("list-dmp-questions", who, &json!({"code": "eco"}))
                .get("result")
                .is_some()
        );
    }
    assert!(
        call(
            "build-dmp",
            "ada",
            &json!({"code": "eco", "version": "final"})
        )
        .get("result")
        .is_some()
    );
    let ledger: String = fs::read_dir(env.at(".octonas/ledger"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(
        ledger.contains("dmp-answer") && ledger.contains("\"ada\""),
        "{ledger}"
    );
    assert!(!ledger.contains("No."));
}

#[test]
fn two_people_do_not_overwrite_each_other() {
    let env = TestEnv::with_experiment();
    let seen = env.admin("list-dmp-questions", &json!({"code": "eco"}));
    let from = seen["result"]["digest"].clone();
    let mut said = json!({"code": "eco", "question": "4a", "text": "One.", "from": from});
    assert_eq!(env.admin("answer-dmp", &said)["result"]["changed"], true);
    said["text"] = "Two.".into();
    assert_eq!(
        env.admin("answer-dmp", &said)["error"]["code"],
        "dmp.changed"
    );
    assert!(read(&env, "eco/metadata/dmp-answers.yaml").contains("One."));
}

#[test]
fn a_hostile_answer_is_refused_or_harmless() {
    let env = TestEnv::with_experiment();
    let long = "x".repeat(1 << 20);
    for (question, text, code) in [
        ("4a", long.as_str(), "dmp.too-large"),
        ("4a", "a\u{202e}b", "dmp.text"),
        ("4a", "a\0b", "dmp.text"),
        ("9z", "a", "dmp.question"),
        ("../4a", "a", "dmp.question"),
        ("personal-data", "no\nsensitive-data: no", "dmp.choice"),
        ("repository", "javascript:alert(1)", "dmp.choice"),
    ] {
        env.with_input(
            &["dmp", "answer", "eco", question, "--text", "-"],
            text.as_bytes(),
        )
        .failed(1, code);
    }
    env.run(&["dmp", "answer", "eco", "4a", "--text", " "])
        .failed(1, "dmp.text");
    assert!(!env.at("eco/metadata/dmp-answers.yaml").exists());
    for text in [
        "</main><script>alert(1)</script>",
        "4b: x\n---\n- !!python/object x\n&a *a\n",
        "{{#each people}}{{name}}{{/each}}",
        "--- octonas: inputs x",
    ] {
        answer(&env, "eco", "4a", text);
        env.run(&["dmp", "build", "eco"]).ok();
        let questions = env.json(&["dmp", "questions", "eco"]);
        assert_eq!(
            questions["answered"].as_array().unwrap().len(),
            1,
            "{questions}"
        );
        assert_eq!(questions["answered"][0]["answer"], text.trim_end());
        assert!(!read(&env, "eco/metadata/dmp/DMP.en.html").contains("<script"));
    }
    env.run(&["dmp", "answer", "eco", "4a", "--clear"]).ok();
    assert_eq!(
        env.json(&["dmp", "questions", "eco"])["answered"],
        json!([])
    );
}

#[test]
fn a_file_that_is_wrong_is_told_line_by_line_and_left_alone() {
    let env = TestEnv::with_experiment();
    fs::write(
        env.at("eco/metadata/dmp-answers.yaml"),
        "dmp: 1\n4a: fine\n4x: what\npersonal-data: maybe\n",
    )
    .unwrap();
    let before = exact(&env.nas);
    for arguments in [
        vec!["dmp", "build", "eco"],
        vec!["dmp", "answer", "eco", "4b", "--text", "x"],
        vec!["dmp", "show", "eco"],
    ] {
        let ran = env.run(&arguments).failed(1, "dmp.answers");
        assert!(
            ran.stderr.contains("line 3: 4x:") && ran.stderr.contains("line 4: personal-data:"),
            "{ran:?}"
        );
    }
    untouched(&env.nas, &before, &"three refusals");
}

#[test]
fn the_unit_answers_for_every_experiment() {
    let env = TestEnv::with_experiment();
    let root = env.root.path();
    fs::create_dir_all(root.join("templates/registry")).unwrap();
    fs::write(
        root.join("unit.yaml"),
        "3a: { fr: Bandes., en: Tapes. }\nrepository: https://data.unit.example\n",
    )
    .unwrap();
    fs::write(
        root.join("templates/registry/organisations.yaml"),
        "repositories: [{ name: Our archive, url: 'https://data.unit.example', identifiers: ark, country: FR }]\n",
    )
    .unwrap();
    fs::write(
        root.join("octonas.yaml"),
        format!(
            "templates: {0}/templates\ndmp-defaults: {0}/unit.yaml\n",
            root.display()
        ),
    )
    .unwrap();
    let run = |more: &[&str]| {
        let mut all = vec!["--config", "octonas.yaml"];
        all.extend(more);
        env.run(&all)
    };
    let text = run(&["dmp", "show", "eco"]).ok().stdout;
    assert!(
        text.contains("\nTapes.\n") && text.contains("the repository Our archive"),
        "{text}"
    );
    assert!(text.contains("persistent identifier (ARK)"), "{text}");
    answer(&env, "eco", "3a", "Ours.");
    let text = run(&["dmp", "show", "eco"]).ok().stdout;
    assert!(
        text.contains("\nOurs.\n") && !text.contains("Tapes."),
        "{text}"
    );
    let answered = run(&["--json", "dmp", "questions", "eco"]).ok().stdout;
    let answered: Value = serde_json::from_str(&answered).unwrap();
    assert_eq!(answered["answered"][0]["by"], "experiment");
    assert_eq!(answered["answered"][1]["by"], "unit");
    fs::write(root.join("unit.yaml"), "3a: &x y\n").unwrap();
    let ran = run(&["dmp", "show", "eco"]).failed(1, "dmp.answers");
    assert!(ran.stderr.contains("dmp-defaults.yaml"), "{ran:?}");
}

#[test]
fn a_plan_of_no_experiment_is_refused() {
    let env = TestEnv::new();
    env.create(&definition("eco")).ok();
    env.run(&["dmp", "build", "lake"])
        .failed(1, "experiment.unknown");
    env.run(&["experiment", "remove", "eco"]).ok();
    for arguments in [
        ["dmp", "build", "eco"],
        ["dmp", "show", "eco"],
        ["dmp", "questions", "eco"],
    ] {
        env.run(&arguments).failed(1, "experiment.removed");
    }
    env.run(&["dmp", "show", "eco", "--format", "pdf"])
        .failed(1, "dmp.format");
}
