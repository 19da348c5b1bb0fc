//! What is set for tonight: looked at now, done in the night, once or not at all, and never by daylight.

use std::fs;

use serde_json::{Value, json};

use crate::support::{TestEnv, definition, exact, finish, names, untouched};

fn edited() -> String {
    definition("eco").replace("access: read", "access: write")
}

/// The ledger's lines about an operation that was asked for in advance.
pub fn results(env: &TestEnv) -> Vec<String> {
    let dir = env.at(".octonas/ledger");
    let mut all = Vec::new();
    for name in names(&dir).iter().filter(|name| name.ends_with(".jsonl")) {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        for line in text.lines() {
            let entry: Value = serde_json::from_str(line).unwrap();
            let detail = &entry["detail"];
            let refused = detail["what"] == "refused";
            if (detail.get("tonight").is_some() || refused) && entry["outcome"] != "begun" {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let operation = if refused {
                    &detail["operation"]
                } else {
                    &entry["operation"]
                };
                all.push(format!(
                    "{} {} by {}",
                    text(operation),
                    text(&entry["outcome"]),
                    text(&entry["by"])
                ));
            }
        }
    }
    all
}

pub fn waiting(env: &TestEnv) -> Value {
    env.json(&["tonight", "list"])["waiting"].clone()
}

fn status(env: &TestEnv) -> String {
    let shown = env.json(&["experiment", "show", "eco"]);
    shown["definition"]["status"].as_str().unwrap().to_owned()
}

/// The clock of the NAS says this hour, through its time zone.
fn at_hour(env: &TestEnv, hour: i64, arguments: &[&str]) -> crate::support::Ran {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let utc = i64::try_from(now / 3600 % 24).unwrap();
    let west = (utc - hour + 36).rem_euclid(24) - 12;
    let mut command = env.command(arguments);
    command.env("TZ", format!("XXX{west}"));
    finish(command, b"")
}

/// As if it had been set a day ago.
fn due(env: &TestEnv, code: &str) {
    let file = env.at(&format!(".octonas/tonight/{code}.json"));
    let mut request: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    request["due"] = "2026-01-02T02:00:00Z".into();
    fs::write(file, request.to_string()).unwrap();
}

#[test]
fn nothing_is_done_before_the_night_and_everything_in_it_in_order() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.at("eco"));
    let set = env
        .with_input(
            &["experiment", "edit", "-f", "-", "--tonight"],
            edited().as_bytes(),
        )
        .ok();
    assert!(set.stdout.contains("nothing was changed yet"), "{set:?}");
    env.with_input(
        &["experiment", "create", "-f", "-", "--tonight"],
        definition("lake").as_bytes(),
    )
    .ok();
    untouched(&env.at("eco"), &before, &set);
    assert!(!env.at("lake").exists());
    let list = env.json(&["experiment", "list"]);
    assert_eq!(list["rows"][0]["tonight"]["operation"], "edit");
    let shown = env.run(&["experiment", "show", "eco"]).ok();
    assert!(
        shown.stdout.contains("tonight  edit (waiting), set by"),
        "{shown:?}"
    );
    let ran = env.run(&["tonight", "run"]).ok();
    assert_eq!(ran.stdout, "eco: edit: done\nlake: create: done\n");
    assert!(env.at("lake/raw").is_dir());
    assert_eq!(
        env.json(&["experiment", "show", "eco"])["members"]["cy"],
        "write"
    );
    assert_eq!(waiting(&env), json!([]));
    assert_eq!(results(&env).len(), 2, "{:?}", results(&env));
    let list = env.json(&["experiment", "list"]);
    assert_eq!(list["rows"][0]["tonight"], Value::Null);
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));
}

#[test]
fn what_would_be_refused_is_refused_when_it_is_set() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.nas);
    let set = |arguments: &[&str], text: &str| {
        let mut all = vec!["experiment"];
        all.extend(arguments);
        all.push("--tonight");
        env.with_input(&all, text.as_bytes())
    };
    let wrong = [
        (set(&["close", "lake"], ""), "experiment.unknown"),
        (set(&["reopen", "no!"], ""), "code.invalid"),
        (
            set(&["edit", "-f", "-"], "code: eco\nlayout: 7\n"),
            "definition.invalid",
        ),
        (
            set(&["edit", "-f", "-", "--from", "00"], &edited()),
            "definition.changed",
        ),
        (set(&["create", "-f", "-"], &edited()), "experiment.exists"),
        (
            set(
                &["create", "-f", "-", "--create-accounts"],
                &definition("lake"),
            ),
            "tonight.passwords",
        ),
        (
            set(&["remove", "eco", "--delete-data", "lake"], ""),
            "remove.unconfirmed",
        ),
    ];
    for (ran, code) in wrong {
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        let is_named = ran.stderr.contains(&format!("[{code}]"));
        // Every field has a code of its own.
        assert!(is_named || code == "definition.invalid", "{code}: {ran:?}");
    }
    untouched(&env.nas, &before, &"a refused request");
    let open =
        "people:\n  - { name: Ada, account: ada, access: write }\nprotocols: { rsyncd: true }\n";
    let text = format!("octonas: 1\ncode: pond\ntitle: P\nlayout: minimal\n{open}");
    set(&["create", "-f", "-"], &text).failed(1, "tonight.passwords");
}

#[test]
fn one_thing_at_a_time_and_it_can_be_taken_back() {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    env.run(&["experiment", "remove", "eco", "--tonight"])
        .failed(1, "tonight.taken");
    env.run(&["tonight", "cancel", "lake"])
        .failed(1, "tonight.unknown");
    env.run(&["tonight", "cancel", "eco"]).ok();
    env.run(&["tonight", "show", "eco"])
        .failed(1, "tonight.unknown");
    env.run(&["tonight", "run"]).ok();
    assert_eq!(status(&env), "active");
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    let history = env.admin("history", &json!({"code": "eco"}));
    let notes: Vec<&str> = history["result"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["operation"] == "tonight")
        .map(|line| line["detail"]["what"].as_str().unwrap())
        .collect();
    assert_eq!(notes, ["set", "cancelled", "set"]);
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));
}

#[test]
fn what_changed_meanwhile_is_refused_with_its_reason_and_kept() {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    env.edit(&edited()).ok();
    let ran = env.run(&["tonight", "run"]);
    assert_eq!(ran.exit, Some(1));
    assert!(ran.stdout.contains("[tonight.overtaken]"), "{ran:?}");
    assert_eq!(status(&env), "active");
    assert_eq!(waiting(&env)[0]["failure"]["code"], "tonight.overtaken");
    assert_eq!(waiting(&env)[0]["state"], "failed");
    // It is not tried again by itself, and another one takes its place.
    assert_eq!(env.run(&["tonight", "run"]).ok().stdout, "");
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    env.run(&["tonight", "run", "eco"]).ok();
    assert_eq!(status(&env), "closed");
    let by = open_caller();
    assert_eq!(
        results(&env),
        [
            format!("close failed by {by}"),
            format!("close done by {by}")
        ]
    );
}

fn open_caller() -> String {
    let id = std::process::Command::new("/usr/bin/id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_removed_experiment_and_another_of_its_name_are_not_what_was_meant() {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    env.run(&["experiment", "remove", "eco"]).ok();
    let ran = env.run(&["tonight", "run"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    env.run(&["experiment", "remove", "eco", "--delete-data", "eco"])
        .ok();
    env.create(&definition("eco")).ok();
    env.run(&["tonight", "run", "eco"]);
    assert_eq!(waiting(&env)[0]["failure"]["code"], "tonight.overtaken");
    assert_eq!(status(&env), "active");
}

#[test]
fn by_day_the_timer_does_nothing_and_at_night_it_goes_through_it_once() {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    due(&env, "eco");
    let before = exact(&env.nas);
    for hour in [9, 0, 6, 23] {
        let ran = at_hour(&env, hour, &["tonight", "run", "--at-night"]).ok();
        assert_eq!(ran.stdout, "", "{hour}");
        untouched(&env.nas, &before, &ran);
    }
    let ran = at_hour(&env, 3, &["tonight", "run", "--at-night"]).ok();
    assert_eq!(ran.stdout, "eco: close: done\n");
    env.run(&["experiment", "reopen", "eco", "--tonight"]).ok();
    due(&env, "eco");
    // This night was gone through.
    let ran = at_hour(&env, 3, &["tonight", "run", "--at-night"]).ok();
    assert_eq!(ran.stdout, "");
    assert_eq!(status(&env), "closed");
}

#[test]
fn what_is_set_in_the_night_waits_for_the_next_one() {
    let env = TestEnv::with_experiment();
    at_hour(&env, 3, &["experiment", "close", "eco", "--tonight"]).ok();
    let ran = at_hour(&env, 3, &["tonight", "run", "--at-night"]).ok();
    assert_eq!(ran.stdout, "");
    assert_eq!(status(&env), "active");
}

#[test]
fn requests_are_for_roots_eyes_and_a_damaged_one_stops_no_other() {
    use std::os::unix::fs::PermissionsExt as _;

    let env = TestEnv::with_experiment();
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    let dir = env.at(".octonas/tonight");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.clone()), 0o700);
    assert_eq!(mode(dir.join("eco.json")), 0o600);
    fs::write(dir.join("lake.json"), "{").unwrap();
    let listed = env.json(&["tonight", "list"]);
    assert_eq!(listed["unavailable"].as_array().unwrap().len(), 1);
    let ran = env.run(&["tonight", "run"]).ok();
    assert_eq!(ran.stdout, "eco: close: done\n");
    assert!(ran.stderr.contains("lake.json"), "{ran:?}");
}

#[test]
fn the_web_ui_sets_shows_and_takes_back() {
    let env = TestEnv::with_experiment();
    let digest = env.json(&["experiment", "show", "eco"])["digest"].clone();
    let edit = json!({"definition": edited(), "from": digest, "tonight": true});
    let set = env.admin("edit-experiment", &edit);
    assert_eq!(set["result"]["tonight"]["by"], "admin", "{set}");
    assert_eq!(set["result"]["code"], "eco");
    let shown = env.admin("show-tonight", &json!({"code": "eco"}));
    assert_eq!(shown["result"]["definition"], edited());
    assert_eq!(
        env.admin("list-tonight", &json!({}))["result"]["waiting"][0]["operation"],
        "edit"
    );
    let page = env.admin("show-experiment", &json!({"code": "eco"}));
    assert_eq!(page["result"]["tonight"]["state"], "waiting");
    for (method, params) in [
        ("close-experiment", json!({"code": "eco", "tonight": true})),
        (
            "edit-experiment",
            json!({"definition": edited(), "tonight": true}),
        ),
        (
            "close-experiment",
            json!({"code": "eco", "tonight": true, "dry-run": true}),
        ),
        ("close-experiment", json!({"code": "eco", "tonight": "yes"})),
    ] {
        let answer = env.admin(method, &params);
        assert!(answer.get("error").is_some(), "{params}: {answer}");
    }
    for method in ["list-tonight", "run-tonight"] {
        env.rpc(method, ("ada", "user"), &json!({}))
            .failed_rpc("rpc.forbidden");
    }
    env.rpc("cancel-tonight", ("ada", "user"), &json!({"code": "eco"}))
        .failed_rpc("rpc.forbidden");
    assert_eq!(
        env.admin("cancel-tonight", &json!({"code": "eco"}))["result"]["code"],
        "eco"
    );
    env.admin("close-experiment", &json!({"code": "eco", "tonight": true}));
    let run = env.admin("run-tonight", &json!({}));
    assert_eq!(run["result"]["done"][0]["result"], "done");
    assert_eq!(results(&env), ["close done by admin"]);
}

#[cfg(feature = "faults")]
mod kills {
    use super::*;
    use crate::support::{copy, in_parallel, telling};

    struct Case {
        name: &'static str,
        prepare: fn() -> TestEnv,
        set: fn(&TestEnv) -> String,
        input: fn() -> String,
    }

    fn removed() -> TestEnv {
        let env = TestEnv::with_experiment();
        env.run(&["experiment", "remove", "eco"]).ok();
        env
    }

    fn shared() -> TestEnv {
        let env = TestEnv::with_experiment();
        let base = env.nas.display().to_string();
        env.run(&["base", "share", &base, "--common", "lakes"]).ok();
        env
    }

    const CASES: &[Case] = &[
        Case {
            name: "close",
            prepare: TestEnv::with_experiment,
            set: |_| "experiment close eco".into(),
            input: String::new,
        },
        Case {
            name: "edit",
            prepare: TestEnv::with_experiment,
            set: |_| "experiment edit -f -".into(),
            input: edited,
        },
        Case {
            name: "create",
            prepare: TestEnv::with_experiment,
            set: |_| "experiment create -f -".into(),
            input: || definition("lake"),
        },
        Case {
            name: "remove",
            prepare: TestEnv::with_experiment,
            set: |_| "experiment remove eco --delete-data eco".into(),
            input: String::new,
        },
        Case {
            name: "adopt",
            prepare: removed,
            set: |env| format!("experiment adopt {} --grant ada", env.at("eco").display()),
            input: String::new,
        },
        Case {
            name: "import",
            prepare: crate::import::used,
            set: |env| {
                let folder = env.at("eco").display().to_string();
                format!("experiment import {folder} -f - --confirm")
            },
            input: || definition("eco"),
        },
        Case {
            name: "share-base",
            prepare: TestEnv::with_experiment,
            set: |env| format!("base share {} --common lakes", env.nas.display()),
            input: String::new,
        },
        Case {
            name: "share-base",
            prepare: shared,
            set: |env| format!("base share {} --own", env.nas.display()),
            input: String::new,
        },
    ];

    /// A NAS on which the operation is set, again and again from the same state.
    fn stage(case: &Case) -> TestEnv {
        let env = (case.prepare)();
        let set = (case.set)(&env) + " --tonight";
        let arguments: Vec<&str> = set.split(' ').collect();
        env.with_input(&arguments, (case.input)().as_bytes()).ok();
        copy(&env.nas, &env.root.path().join("before"));
        env
    }

    fn run(env: &TestEnv, variable: (&str, &str)) -> crate::support::Ran {
        let mut command = env.command(&["tonight", "run"]);
        command.env(variable.0, variable.1);
        finish(command, b"")
    }

    #[test]
    fn killed_at_any_step_it_is_done_once_by_the_next_run() {
        for case in CASES {
            let env = stage(case);
            let trace = env.root.path().join("trace");
            run(&env, ("OCTONAS_FAULT_TRACE", trace.to_str().unwrap())).ok();
            let points = fs::read_to_string(trace).unwrap();
            let points: Vec<String> = points.lines().map(str::to_owned).collect();
            let wanted = env.end_state();
            // By day `faults` kills each of these operations everywhere; here it is the night around them.
            let numbers = telling(&points, 1);
            let chunks: Vec<&[usize]> = numbers.chunks(16).collect();
            let wrong: Vec<String> = in_parallel(&chunks, |chunk| {
                let env = stage(case);
                let mut wrong = Vec::new();
                for number in *chunk {
                    fs::remove_dir_all(&env.nas).unwrap();
                    copy(&env.root.path().join("before"), &env.nas);
                    let killed = run(&env, ("OCTONAS_FAULT", &format!("kill:{number}")));
                    let again = env.run(&["tonight", "run"]);
                    // What is done for a base has lines of its experiments, too.
                    let mut done = results(&env);
                    done.retain(|line| line.starts_with(case.name));
                    if killed.exit.is_some()
                        || again.exit != Some(0)
                        || done.len() != 1
                        || waiting(&env) != json!([])
                        || env.end_state() != wanted
                    {
                        wrong.push(format!("{} at {number}: {done:?} {again:?}", case.name));
                    }
                }
                wrong
            })
            .concat();
            let (tried, all) = (numbers.len(), points.len());
            eprintln!("{}: killed at {tried} of {all} points", case.name);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    }

    #[test]
    fn what_was_cut_short_is_refused_once_somebody_else_was_there() {
        let env = stage(&CASES[0]);
        let mut command = env.command(&["tonight", "run"]);
        command.env("OCTONAS_FAULT", "kill:status.saved:1");
        assert_eq!(finish(command, b"").exit, None);
        assert_eq!(status(&env), "closing");
        env.run(&["experiment", "reopen", "eco"]).ok();
        assert_eq!(env.run(&["tonight", "run"]).exit, Some(1));
        assert_eq!(status(&env), "active");
        assert_eq!(waiting(&env)[0]["failure"]["code"], "tonight.overtaken");
    }
}
