//! The three operations that interrupt most, set for the night: how a base is shared, an import, an adoption.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::import::used;
use crate::notices::send;
use crate::support::{Ran, TestEnv, definition, exact, names, untouched};
use crate::tonight::{results, waiting};

impl TestEnv {
    fn base(&self) -> String {
        self.nas.display().to_string()
    }

    fn share(&self, more: &[&str]) -> Ran {
        let base = self.base();
        let mut all = vec!["base", "share", &base];
        all.extend(more);
        self.run(&all)
    }

    fn share_name(&self) -> Value {
        self.json(&["base", "list"])[0]["share_name"].clone()
    }

    fn import(&self, definition: &str, more: &[&str]) -> Ran {
        let folder = self.at("eco").display().to_string();
        let mut all = vec!["experiment", "import", &folder, "-f", "-"];
        all.extend(more);
        self.with_input(&all, definition.as_bytes())
    }

    fn adopt(&self, more: &[&str]) -> Ran {
        let dir = self.at("eco").display().to_string();
        let mut all = vec!["experiment", "adopt", &dir];
        all.extend(more);
        self.run(&all)
    }

    fn members(&self) -> Value {
        self.json(&["experiment", "show", "eco"])["members"].clone()
    }

    /// What is not done, and why.
    fn overtaken(&self) {
        let ran = self.run(&["tonight", "run"]);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("[tonight.overtaken]"), "{ran:?}");
        assert_eq!(waiting(self)[0]["state"], "failed");
    }
}

fn removed() -> TestEnv {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "remove", "eco"]).ok();
    env
}

#[test]
fn how_a_base_is_shared_waits_for_the_night_by_its_path() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.at("eco"));
    let set = env.share(&["--common", "lakes", "--tonight"]).ok();
    let line = format!("set for the night: share-base of {}, from ", env.base());
    assert!(set.stdout.contains(&line), "{set:?}");
    assert!(set.stdout.contains("  eco: "), "{set:?}");
    untouched(&env.at("eco"), &before, &set);
    assert_eq!(env.share_name(), Value::Null);
    let dir = env.at(".octonas/tonight");
    assert_eq!(names(&dir), ["base.share.json"]);
    let mode = dir.join("base.share.json").metadata().unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    // An experiment's own operation is another thing.
    env.run(&["experiment", "close", "eco", "--tonight"]).ok();
    env.share(&["--common", "seas", "--tonight"])
        .failed(1, "tonight.taken");
    let rows = waiting(&env);
    let rows = rows.as_array().unwrap();
    let named = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(named(&env.base())["code"], "");
    assert_eq!(named("eco")["code"], "eco");
    let shown = env.run(&["tonight", "show", &env.base()]).ok();
    assert!(
        shown
            .stdout
            .contains("its experiments become folders of the share lakes"),
        "{shown:?}"
    );
    env.run(&["tonight", "cancel", &env.base()]).ok();
    env.run(&["tonight", "cancel", &env.base()])
        .failed(1, "tonight.unknown");
    env.share(&["--common", "seas", "--tonight"]).ok();
    let ran = env.run(&["tonight", "run"]).ok();
    assert_eq!(
        ran.stdout,
        format!("eco: close: done\n{}: share-base: done\n", env.base())
    );
    assert_eq!(
        (env.share_name(), waiting(&env)),
        (json!("seas"), json!([]))
    );
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));
    env.share(&["--own", "--tonight"]).ok();
    env.run(&["tonight", "run", &env.base()]).ok();
    assert_eq!(env.share_name(), Value::Null);
    let told = |line: &&String| line.starts_with("share-base done");
    assert_eq!(results(&env).iter().filter(told).count(), 2);
}

#[test]
fn a_base_that_is_shared_otherwise_by_then_is_left_so() {
    let env = TestEnv::with_experiment();
    env.share(&["--common", "lakes", "--tonight"]).ok();
    env.share(&["--common", "seas"]).ok();
    env.overtaken();
    assert_eq!(env.share_name(), "seas");
    let mails = send(&env);
    let body = mails[0]["body"].as_str().unwrap();
    let line = format!("{} : partage des expériences du dossier", env.base());
    assert!(body.contains(&line), "{body}");
    // It is not tried again by itself; what is asked anew takes its place.
    assert_eq!(env.run(&["tonight", "run"]).ok().stdout, "");
    env.share(&["--common", "lakes", "--tonight"]).ok();
    env.run(&["tonight", "run"]).ok();
    assert_eq!(env.share_name(), "lakes");
    // An experiment that came meanwhile is taken along.
    env.share(&["--own", "--tonight"]).ok();
    env.create(&definition("pond")).ok();
    env.run(&["tonight", "run"]).ok();
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));
}

#[test]
fn a_directory_in_use_may_grow_until_the_night_but_be_no_other() {
    let env = used();
    let before = exact(&env.at("eco"));
    let set = env
        .import(&definition("eco"), &["--confirm", "--tonight"])
        .ok();
    assert!(
        set.stdout.contains("ada      gains  unknown  write"),
        "{set:?}"
    );
    assert!(
        set.stdout.contains("set for the night: import of eco"),
        "{set:?}"
    );
    assert!(!set.stdout.contains("--confirm"), "{set:?}");
    untouched(&env.at("eco"), &before, &set);
    let shown = env.run(&["tonight", "show", "eco", "--definition"]).ok();
    assert_eq!(shown.stdout, definition("eco"));
    fs::write(env.at("eco/raw/more.csv"), "7,8\n").unwrap();
    fs::write(env.at("eco/2019/deep/more.csv"), "9\n").unwrap();
    let ran = env.run(&["tonight", "run"]).ok();
    assert_eq!(ran.stdout, "eco: import: done\n");
    assert_eq!(fs::read(env.at("eco/raw/more.csv")).unwrap(), b"7,8\n");
    assert_eq!(env.members()["cy"], "read");
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));

    let env = used();
    env.import(&definition("eco"), &["--confirm", "--tonight"])
        .ok();
    fs::create_dir(env.at("eco/2021")).unwrap();
    let before = exact(&env.at("eco"));
    env.overtaken();
    untouched(&env.at("eco"), &before, &"an import that was overtaken");
}

#[test]
fn an_adoption_at_night_lets_in_whom_it_was_set_for() {
    let env = removed();
    let before = exact(&env.at("eco"));
    let set = env.adopt(&["--grant", "ada", "--tonight"]).ok();
    untouched(&env.at("eco"), &before, &set);
    let shown = env.run(&["tonight", "show", "eco"]).ok();
    assert!(shown.stdout.contains("who keeps access: ada"), "{shown:?}");
    env.adopt(&["--tonight"]).failed(1, "tonight.taken");
    let ran = env.run(&["tonight", "run"]).ok();
    assert_eq!(ran.stdout, "eco: adopt: done\n");
    assert_eq!(env.members(), json!({"ada": "write"}));
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));

    let env = removed();
    env.adopt(&["--grant", "ada", "--tonight"]).ok();
    let file = env.at("eco/metadata/experiment.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("name: Ada Lovelace", "name: Ada Other")).unwrap();
    env.overtaken();
    env.run(&["tonight", "cancel", "eco"]).ok();
    let listed = env.json(&["experiment", "list", "--all"]);
    assert_eq!(listed["rows"][0]["status"], "removed");
}

#[test]
fn what_would_be_refused_at_night_is_refused_now() {
    let env = used();
    env.create(&definition("lake")).ok();
    let ftp = definition("pond") + "protocols: { ftp: true }\n";
    env.create(&ftp).ok();
    let elsewhere = env.path("elsewhere");
    let wrong = [
        (env.share(&["--common", "lake", "--tonight"]), "share.taken"),
        (env.share(&["--common", "No", "--tonight"]), "share.name"),
        (
            env.share(&["--common", "seas", "--tonight"]),
            "door.common-share",
        ),
        (
            env.run(&["base", "share", &elsewhere, "--own", "--tonight"]),
            "base.unknown",
        ),
        (
            env.import(&definition("pool"), &["--confirm", "--tonight"]),
            "import.name",
        ),
        (
            env.import(
                &definition("eco"),
                &["--confirm", "--tonight", "--create-accounts"],
            ),
            "tonight.passwords",
        ),
        (
            env.import(
                &definition("eco"),
                &["--confirm", "--tonight", "--plan", "00"],
            ),
            "plan.changed",
        ),
        (env.adopt(&["--tonight"]), "experiment.unknown"),
    ];
    for (ran, code) in wrong {
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(&format!("[{code}]")), "{code}: {ran:?}");
    }
    // Only what is confirmed can wait.
    assert_eq!(env.import(&definition("eco"), &["--tonight"]).exit, Some(2));
    assert_eq!(waiting(&env), json!([]));
    let env = removed();
    env.adopt(&["--grant", "nobody-known", "--tonight"])
        .failed(1, "account.missing");
    env.adopt(&["--plan", "00", "--tonight"])
        .failed(1, "plan.changed");
    // A base of another NAS keeps nothing.
    let file = env.at(".octonas/claim.json");
    let mut claim: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    claim["nas"] = "11111111-1111-4111-8111-111111111111".into();
    fs::write(file, claim.to_string()).unwrap();
    let before = exact(&env.nas);
    let ran = env.adopt(&["--take-over", "--tonight"]);
    untouched(&env.nas, &before, &ran);
    ran.failed(1, "tonight.not-ours");
}

#[test]
fn the_web_ui_sets_all_three_and_takes_them_back() {
    let env = used();
    env.create(&definition("lake")).ok();
    env.run(&["experiment", "remove", "lake"]).ok();
    let base = env.base();
    let import = json!({"folder": env.at("eco"), "definition": definition("eco"), "tonight": true});
    let answer = env.admin("import-experiment", &import);
    assert_eq!(answer["error"]["field"], "confirm", "{answer}");
    let looked = json!({"folder": env.at("eco"), "definition": definition("eco")});
    let looked = env.admin("import-experiment", &looked)["result"]["plan"].clone();
    let mut confirmed = import.clone();
    confirmed["confirm"] = true.into();
    confirmed["plan"] = looked;
    let adopt = json!({"dir": env.at("lake"), "grant": ["cy"], "tonight": true});
    let share = json!({"path": base, "share": "common", "name": "seas", "tonight": true});
    for (method, params) in [
        ("import-experiment", &confirmed),
        ("adopt-experiment", &adopt),
        ("share-base", &share),
    ] {
        let set = env.admin(method, params);
        assert_eq!(set["result"]["tonight"]["state"], "waiting", "{set}");
        let mut rehearsal = params.clone();
        rehearsal["dry-run"] = true.into();
        let answer = env.admin(method, &rehearsal);
        assert!(answer.get("error").is_some(), "{params}: {answer}");
    }
    assert!(!env.at("eco/metadata").exists());
    let listed = env.admin("list-tonight", &json!({}));
    let rows = listed["result"]["waiting"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (&row["name"], &row["operation"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("eco"), &json!("import")),
            (&json!("lake"), &json!("adopt")),
            (&json!(base), &json!("share-base")),
        ]
    );
    let both = json!({"path": base, "code": "eco"});
    for (method, params) in [("cancel-tonight", &both), ("show-tonight", &json!({}))] {
        env.rpc(method, ("admin", "admin"), params)
            .failed_rpc("rpc.params");
    }
    let cancelled = env.admin("cancel-tonight", &json!({"path": base}));
    assert_eq!(cancelled["result"]["share_name"], "seas", "{cancelled}");
    let run = env.admin("run-tonight", &json!({}));
    let done = run["result"]["done"].as_array().unwrap();
    assert_eq!(done.len(), 2, "{run}");
    assert!(done.iter().all(|done| done["result"] == "done"), "{run}");
    env.admin("share-base", &share);
    let run = env.admin("run-tonight", &json!({"path": base}));
    assert_eq!(run["result"]["done"][0]["name"], base, "{run}");
    assert_eq!(env.share_name(), "seas");
    let lake = env.json(&["experiment", "show", "lake"]);
    assert_eq!(lake["members"], json!({"cy": "read"}));
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));
}
