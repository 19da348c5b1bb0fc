//! `octonas rpc`: every method, with what is right and what is wrong; roles; the shape of the answer.

use serde_json::{Value, json};

use crate::support::{TestEnv, definition, exact, in_parallel, one_answer, untouched};

/// Texts that break careless programs.
const NASTY: &[&str] = &[
    "%",
    "100%s%n",
    "R&D",
    "<script>alert(1)</script>",
    "'\"`$(id)",
    "a\nb\r\nc",
    "🧪🔥",
    "\u{202e}evil",
    "\u{1b}[2J",
    "",
];

pub fn golden(env: &TestEnv, name: &str, calls: &[(&str, Value)]) {
    let mut text = String::new();
    for (method, params) in calls {
        let mut answer = env.admin(method, params);
        // Seconds since a scan: of this run.
        if let Some(age) = answer
            .pointer_mut("/result/age")
            .filter(|age| age.is_number())
        {
            *age = json!("[AGE]");
        }
        text.push_str(&format!("> {method} {params}\n{answer:#}\n"));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, env.neutral(&text)));
}

fn methods(env: &TestEnv) -> Vec<String> {
    serde_json::from_value(env.admin("methods", &json!({}))["result"].clone()).unwrap()
}

#[test]
fn every_method_answers_as_it_always_did() {
    let env = TestEnv::new();
    let eco = json!({"code": "eco"});
    golden(
        &env,
        "rpc-life",
        &[
            ("methods", json!({})),
            ("list-experiments", json!({})),
            (
                "create-experiment",
                json!({"definition": definition("eco"), "dry-run": true}),
            ),
            (
                "create-experiment",
                json!({"definition": definition("eco")}),
            ),
            (
                "create-experiment",
                json!({"definition": {"octonas": 1, "code": "lake", "title": "R&D <b>", "layout": "minimal"}}),
            ),
            ("list-experiments", json!({})),
            ("show-experiment", eco.clone()),
            ("plan-experiment", eco.clone()),
            ("apply-experiment", eco.clone()),
            ("check-experiments", json!({})),
            ("rights", json!({"code": "eco", "user": "cy"})),
            ("close-experiment", json!({"code": "eco", "dry-run": true})),
            ("close-experiment", eco.clone()),
            ("reopen-experiment", eco.clone()),
            ("due-experiments", json!({"dry-run": true})),
            ("remove-experiment", eco.clone()),
            (
                "adopt-experiment",
                json!({"dir": env.at("eco"), "grant": ["ada"]}),
            ),
            (
                "remove-experiment",
                json!({"code": "eco", "delete-data": "eco"}),
            ),
            ("list-bases", json!({})),
            ("add-base", json!({"path": "/srv/other"})),
            ("show-layout", json!({"name": "minimal"})),
        ],
    );
    assert!(
        env.admin("list-layouts", &json!({}))["result"]
            .as_array()
            .unwrap()
            .len()
            >= 4
    );
    assert!(
        env.admin("doctor", &json!({}))["result"]
            .as_array()
            .unwrap()
            .len()
            >= 5
    );
    assert_eq!(
        env.admin("check-base", &json!({"path": env.nas}))["result"]["available"],
        true
    );
}

#[test]
fn wrong_requests_are_refused_in_the_same_words() {
    let env = TestEnv::with_experiment();
    golden(
        &env,
        "rpc-wrong",
        &[
            ("no-such-method", json!({})),
            ("show-experiment", json!({})),
            ("show-experiment", json!({"code": 7})),
            ("show-experiment", json!({"code": "eco", "extra": 1})),
            ("show-experiment", json!({"code": "../etc"})),
            ("show-experiment", json!({"code": "lake"})),
            ("show-experiment", json!("eco")),
            ("show-experiment", json!(["eco"])),
            ("create-experiment", json!({})),
            ("create-experiment", json!({"definition": 7})),
            (
                "create-experiment",
                json!({"definition": {"octonas": 1, "code": "Eco", "titel": "x"}}),
            ),
            ("create-experiment", json!({"definition": "a: *b"})),
            ("edit-experiment", json!({"definition": definition("eco")})),
            (
                "edit-experiment",
                json!({"definition": definition("eco"), "from": "0000"}),
            ),
            (
                "remove-experiment",
                json!({"code": "eco", "delete-data": "lake"}),
            ),
            (
                "remove-experiment",
                json!({"code": "eco", "delete-data": true}),
            ),
            ("adopt-experiment", json!({"dir": "relative"})),
            ("adopt-experiment", json!({"dir": "/etc"})),
            ("rights", json!({})),
            ("check-base", json!({"path": "relative"})),
            ("show-layout", json!({"name": "../../etc/passwd"})),
        ],
    );
}

#[test]
fn whatever_the_parameters_every_method_gives_exactly_one_line_and_changes_nothing() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.nas);
    let mut shapes = vec![
        json!(null),
        json!([]),
        json!(0),
        json!("x"),
        json!({"unknown": 1}),
        json!({"code": null}),
        json!({"code": {}}),
        json!({"dry-run": "yes"}),
    ];
    for text in NASTY {
        shapes.push(json!({"code": text}));
        shapes.push(json!({"path": text}));
        shapes.push(json!({"dir": text}));
        shapes.push(json!({"name": text}));
        shapes.push(json!({"definition": text}));
        shapes
            .push(json!({"definition": {"octonas": 1, "code": text, "title": text}, "from": text}));
        shapes.push(json!({"code": "eco", "user": text, "delete-data": text}));
    }
    let quiet = [
        "methods",
        "list-layouts",
        "list-experiments",
        "list-archives",
        "list-bases",
        "doctor",
        "check-experiments",
        "due-experiments",
        "check-base",
        "rights",
        "show-form",
        "list-accounts",
        "list-adoptable",
        "list-silent-sources",
        "list-tonight",
        "run-tonight",
        "send-notices",
        "show-settings",
    ];
    in_parallel(&methods(&env), |method| {
        for params in &shapes {
            let answer = one_answer(&env.rpc(method, ("admin", "admin"), params));
            let refused = answer.get("error").is_some();
            assert!(
                refused || quiet.contains(&method.as_str()),
                "{method} {params}: {answer}"
            );
        }
    });
    untouched(&env.nas, &before, &"a wrong call");
}

#[test]
fn what_is_no_request_is_an_answer_too() {
    let env = TestEnv::new();
    for request in [
        &b""[..],
        b"x",
        b"{}",
        b"[]",
        b"null",
        b"{\"caller\":{\"username\":\"a\",\"role\":\"root\"}}",
        b"{\"caller\":{\"username\":\"a\",\"role\":\"admin\",\"more\":1}}",
        b"{\"caller\":{\"username\":\"a\",\"role\":\"admin\"},\"params\":{},\"more\":1}",
        b"{\"caller\":{\"username\":\"a\",\"role\":\"admin\"}} trailing",
        b"{\"caller\":{\"username\":\"\xff\",\"role\":\"admin\"}}",
        &[b'['; 100_000],
        &[b' '; 5 << 20],
    ] {
        let ran = env.with_input(&["rpc", "list-experiments"], request);
        let answer = one_answer(&ran);
        assert_eq!(answer["error"]["code"], "rpc.invalid", "{answer}");
        assert!(ran.stdout.len() < 2000, "{}", ran.stdout.len());
    }
}

#[test]
fn nasty_texts_survive_the_way_through() {
    let env = TestEnv::new();
    for (number, text) in NASTY.iter().enumerate() {
        let code = format!("nasty-{number}");
        let params = json!({"definition": {"octonas": 1, "code": code, "title": text, "description": text, "layout": "minimal"}});
        let answer = env.admin("create-experiment", &params);
        if answer.get("error").is_some() {
            assert_eq!(answer["error"]["code"], "definition.invalid", "{answer}");
            continue;
        }
        let shown = env.admin("show-experiment", &json!({"code": code}));
        assert_eq!(shown["result"]["definition"]["title"], *text, "{shown}");
    }
    let listed = env.admin("list-experiments", &json!({}));
    let titles: Vec<&str> = listed["result"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["title"].as_str().unwrap())
        .collect();
    assert!(
        titles.contains(&"R&D") && titles.contains(&"100%s%n") && titles.contains(&"🧪🔥"),
        "{titles:?}"
    );
}

#[test]
fn where_archives_lie_is_told_to_administrators_alone() {
    let env = TestEnv::with_experiment();
    std::fs::create_dir(env.path("far")).unwrap();
    env.run(&["archive", "eco", "--to", &env.path("far")]).ok();
    let history = |answer: &Value| {
        let lines = answer["result"].as_array().unwrap();
        let archived = lines.iter().find(|line| line["operation"] == "archive");
        archived.unwrap()["detail"].clone()
    };
    let told = history(&one_answer(&env.rpc(
        "history",
        ("bo", "user"),
        &json!({"code": "eco"}),
    )));
    assert!(
        told["package"].is_string() && told.get("places").is_none(),
        "{told}"
    );
    let told = history(&env.admin("history", &json!({"code": "eco"})));
    assert_eq!(told["places"], env.path("far"));
}

#[test]
fn a_user_sees_their_own_experiments_whatever_they_ask() {
    let env = TestEnv::with_experiment();
    env.create(&definition("lake").replace("account: bo", "account: dee"))
        .ok();
    env.create(&definition("past").replace("access: write", "access: write, until: 2020-01-01"))
        .ok();
    env.create(&definition("gone")).ok();
    env.run(&["experiment", "remove", "gone"]).ok();
    let before = exact(&env.nas);
    let bo = ("bo", "user");
    let answer = |method: &str, params: Value| one_answer(&env.rpc(method, bo, &params));

    let listed = answer("list-experiments", json!({"refresh": true}));
    let rows = listed["result"]["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{listed}");
    assert_eq!(rows[0]["code"], "eco");
    assert!(
        answer("show-experiment", json!({"code": "eco"}))
            .get("result")
            .is_some()
    );

    // Whose rights they ask for makes no difference.
    let rights = answer("rights", json!({"code": "eco", "user": "ada"}));
    let cells = rights["result"]["cells"].as_array().unwrap();
    assert!(
        !cells.is_empty() && cells.iter().all(|cell| cell["account"] == "bo"),
        "{rights}"
    );

    // Another's, a past one, a removed one and none at all cannot be told apart.
    for method in [
        "show-experiment",
        "rights",
        "landing",
        "list-sources",
        "history",
        "show-definition",
    ] {
        for code in ["lake", "past", "gone", "none"] {
            let refused = answer(method, json!({"code": code}));
            assert_eq!(
                refused["error"]["message"],
                format!("there is no experiment {code} on this NAS"),
                "{refused}"
            );
            assert_eq!(refused["error"]["hint"], Value::Null, "{refused}");
        }
    }
    let open = [
        "methods",
        "list-layouts",
        "show-layout",
        "list-experiments",
        "show-experiment",
        "list-documents",
        "show-document",
        "rights",
        "landing",
        "list-sources",
        "history",
        "show-definition",
        // `catalogue` tries these.
        "list-files",
        "search-files",
        "show-file",
        "show-integrity",
    ];
    // Who manages may; `who_manages_edits_the_people_and_nobody_else_does` tries that.
    let managed = [
        "edit-team",
        "enrol-source",
        "revoke-source",
        "build-synckit",
    ];
    for method in methods(&env) {
        if managed.contains(&method.as_str()) {
            let refused = answer(
                &method,
                json!({"code": "eco", "source": "plc", "from": "", "people": []}),
            );
            assert!(refused.get("error").is_some(), "{method}: {refused}");
            continue;
        }
        // Plans are looked at by members, and answered by those who manage: `dmp` tries that.
        if open.contains(&method.as_str()) || method.contains("dmp") {
            continue;
        }
        for params in [
            json!({}),
            json!({"code": "eco"}),
            json!({"definition": definition("mine")}),
            json!({"path": env.nas}),
            json!({"dir": env.at("eco")}),
        ] {
            // Of an experiment that they manage, they may: without its code there is nothing to refuse yet.
            if method == "list-accounts" && params.get("code").is_none() {
                continue;
            }
            let refused = answer(&method, params);
            assert_eq!(
                refused["error"]["code"], "rpc.forbidden",
                "{method}: {refused}"
            );
        }
    }
    untouched(&env.nas, &before, &"a user");
}

#[test]
fn progress_is_json_lines_before_the_one_answer() {
    let env = TestEnv::new();
    let request = json!({"caller": {"username": "admin", "role": "admin"}, "params": {"definition": definition("eco")}});
    let ran = env
        .with_input(
            &["rpc", "--progress", "create-experiment"],
            request.to_string().as_bytes(),
        )
        .ok();
    assert_eq!(ran.stderr, "");
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (answer, progress) = lines.split_last().unwrap();
    assert_eq!(answer["result"]["status"], "active");
    assert!(
        progress.len() > 10 && progress.iter().all(|line| line["progress"].is_object()),
        "{progress:?}"
    );
    let text = &progress[0]["progress"];
    assert_eq!((&text["step"], &text["of"]), (&json!(1), &json!(13)));
}

#[test]
fn the_form_of_the_web_ui_says_what_the_definition_says() {
    let env = TestEnv::new();
    let form = json!({
        "code": "eco", "title": "Heat & <b>waves</b> 100%", "description": "", "language": "en", "status": "active",
        "keywords": "heat, wave\nlake", "years": "10", "smb": "true", "ftp": "false", "quota": "2 GB", "from": "",
        "people": "[{\"name\":\"Ada\",\"account\":\"ada\",\"access\":\"manage\",\"orcid\":\"\",\"roles\":[]}]",
        "sources": "[]",
    });
    let mut changed = form.clone();
    changed["title"] = json!("Heat");
    golden(
        &env,
        "rpc-form",
        &[
            ("show-form", json!({})),
            (
                "create-experiment",
                json!({"form": form.clone(), "dry-run": true}),
            ),
            ("create-experiment", json!({"form": form})),
            ("show-form", json!({"code": "eco"})),
            (
                "show-form",
                json!({"definition": "octonas: 1\ncode: lake\ntitle: Lake\n"}),
            ),
            ("edit-experiment", json!({"form": changed})),
            ("create-experiment", json!({"form": {"titel": "x"}})),
            ("create-experiment", json!({"form": [], "dry-run": true})),
            (
                "create-experiment",
                json!({"form": {"code": "Eco", "title": ""}}),
            ),
            (
                "create-experiment",
                json!({"form": {}, "definition": "octonas: 1"}),
            ),
            ("show-form", json!({"code": "eco", "definition": ""})),
            ("history", json!({"code": "eco"})),
            ("history", json!({"code": "lake"})),
        ],
    );
    // Whether an id needs quotes depends on its digits.
    let text = env.admin("show-definition", &json!({"code": "eco"}));
    let text = text["result"]["text"].as_str().unwrap();
    assert!(
        text.contains("\nkeywords:\n- heat, wave\n- lake\n"),
        "{text}"
    );
    let shown = env.admin("show-form", &json!({"code": "eco"}));
    changed["from"] = shown["result"]["from"].clone();
    let edited = env.admin("edit-experiment", &json!({"form": changed}));
    assert_eq!(edited["result"]["code"], "eco", "{edited}");
    let shown = env.admin("show-form", &json!({"code": "eco"}));
    assert_eq!(shown["result"]["title"], "Heat", "{shown}");
}

#[test]
fn who_manages_edits_the_people_and_nobody_else_does() {
    let env = TestEnv::with_experiment();
    let shown = env.admin("show-experiment", &json!({"code": "eco"}));
    let digest = shown["result"]["digest"].clone();
    let mut people = shown["result"]["definition"]["people"].clone();
    people[2]["access"] = json!("write");
    let team = json!({"code": "eco", "from": digest, "people": people});
    let refused = one_answer(&env.rpc("edit-team", ("bo", "user"), &team));
    assert_eq!(refused["error"]["code"], "rpc.forbidden", "{refused}");
    let refused = one_answer(&env.rpc("edit-team", ("eve", "user"), &team));
    assert_eq!(refused["error"]["code"], "experiment.unknown", "{refused}");
    let mut nobody = team.clone();
    nobody["people"][0]["access"] = json!("write");
    let refused = one_answer(&env.rpc("edit-team", ("ada", "user"), &nobody));
    assert_eq!(refused["error"]["code"], "people.unmanaged", "{refused}");
    let done = one_answer(&env.rpc("edit-team", ("ada", "user"), &team));
    assert_eq!(done["result"]["code"], "eco", "{done}");
    let stale = one_answer(&env.rpc("edit-team", ("ada", "user"), &team));
    assert_eq!(stale["error"]["code"], "definition.changed", "{stale}");
    let after = env.admin("show-experiment", &json!({"code": "eco"}));
    assert_eq!(after["result"]["members"]["cy"], "write", "{after}");
    assert_eq!(
        after["result"]["definition"]["title"],
        shown["result"]["definition"]["title"]
    );
}

#[test]
fn the_list_tells_what_the_last_check_found() {
    let env = TestEnv::with_experiment();
    let row = |answer: Value| answer["result"]["rows"][0].clone();
    assert_eq!(
        row(env.admin("list-experiments", &json!({})))["state"],
        Value::Null
    );
    env.admin("check-experiments", &json!({}));
    let seen = row(env.admin("list-experiments", &json!({})));
    assert_eq!(seen["state"], "in-order", "{seen}");
    assert_eq!(seen["files"], 0, "{seen}");
    std::fs::write(env.at("eco").join("raw/a.csv"), "1,2\n").unwrap();
    env.admin("check-experiments", &json!({"code": "eco"}));
    let seen = row(env.admin("list-experiments", &json!({})));
    assert_eq!((&seen["files"], &seen["bytes"]), (&json!(1), &json!(4)));
}
