//! What a person does with it, command by command, as they see it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Ran, TestEnv, definition, exact, finish, names, untouched};

/// A run as text: what was typed, what came out, how it ended.
fn shown(env: &TestEnv, arguments: &[&str], ran: &Ran) -> String {
    let mut out = format!("$ octonas {}\n", arguments.join(" "));
    out.push_str(&ran.stdout);
    if !ran.stderr.is_empty() {
        out.push_str("--- standard error\n");
        out.push_str(&ran.stderr);
    }
    out.push_str(&format!("--- exit {}\n", ran.exit.unwrap()));
    env.neutral(&out)
}

/// Runs commands one after the other and shows them as one text.
fn session(env: &TestEnv, commands: &[(&[&str], &str)]) -> String {
    commands
        .iter()
        .map(|(arguments, input)| {
            shown(env, arguments, &env.with_input(arguments, input.as_bytes()))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"0\.\d+\.\d+\b", "[VERSION]");
    settings.add_filter(r"(tmpfs|ext4|btrfs|xfs|overlay) on \S+", "[FILE SYSTEM]");
    // What a kernel or an ordinary user's rights allow is not the same everywhere.
    settings.add_filter(r"(optional  [^:]+): (yes|no)", "$1: [HERE]");
    settings.add_filter(r"(needed    owners): .*", "$1: [HERE]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_life_of_an_experiment() {
    let env = TestEnv::new();
    let given = definition("eco");
    let text = session(
        &env,
        &[
            (&["experiment", "create", "-f", "-"], &given),
            (&["experiment", "list"], ""),
            (&["experiment", "show", "eco"], ""),
            (&["experiment", "show", "eco", "--definition"], ""),
            (&["rights", "eco"], ""),
            (&["rights", "eco", "--user", "stranger"], ""),
            (&["experiment", "check"], ""),
            (&["experiment", "close", "eco"], ""),
            (
                &["experiment", "edit", "-f", "-"],
                &given.replace("Heat waves", "Cold spells"),
            ),
            (&["rights", "eco", "--user", "bo"], ""),
            (&["experiment", "reopen", "eco"], ""),
            (&["experiment", "remove", "eco"], ""),
            (&["experiment", "list"], ""),
            (&["experiment", "list", "--all"], ""),
            (&["experiment", "show", "eco"], ""),
        ],
    );
    snapshot("life", &text);
}

#[test]
fn an_edit_is_planned_then_made() {
    let env = TestEnv::with_experiment();
    let other =
        definition("eco").replace("account: bo, access: write", "account: dee, access: read");
    let text = session(
        &env,
        &[
            (&["experiment", "edit", "-f", "-", "--dry-run"], &other),
            (&["experiment", "edit", "-f", "-"], &other),
            (&["experiment", "plan", "eco"], ""),
            (
                &["experiment", "edit", "-f", "-"],
                &other.replace("layout: minimal", "layout: nowhere"),
            ),
            (&["experiment", "edit", "-f", "-", "--from", "0000"], &other),
            (
                &["experiment", "edit", "-f", "-"],
                &other.replace("status", "statut"),
            ),
        ],
    );
    snapshot("edit", &text);
}

#[test]
fn what_was_changed_by_hand_is_named_and_set_right_only_when_asked() {
    let env = TestEnv::with_experiment();
    fs::set_permissions(env.at("eco/raw"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::remove_dir(env.at("eco/docs")).unwrap();
    fs::write(env.at("eco/stray.txt"), "x").unwrap();
    let text = session(
        &env,
        &[
            (&["experiment", "check", "eco"], ""),
            (&["experiment", "plan", "eco"], ""),
            (&["experiment", "apply", "eco"], ""),
            (&["experiment", "plan", "eco", "--mend"], ""),
            (&["experiment", "apply", "eco", "--mend"], ""),
            (&["experiment", "check", "eco"], ""),
        ],
    );
    snapshot("drift", &text);
}

#[test]
fn what_was_removed_comes_back_only_by_adoption_and_lets_in_only_who_is_granted() {
    let env = TestEnv::with_experiment();
    fs::write(env.at("eco/raw/a.csv"), "1").unwrap();
    env.run(&["experiment", "remove", "eco"]).ok();
    let place = env.at("eco").display().to_string();
    let text = session(
        &env,
        &[
            (&["experiment", "create", "-f", "-"], &definition("eco")),
            (
                &["experiment", "adopt", &place, "--grant", "nobody-known"],
                "",
            ),
            (
                &["experiment", "adopt", &place, "--grant", "ada", "--dry-run"],
                "",
            ),
            (&["experiment", "adopt", &place, "--grant", "ada"], ""),
            (&["experiment", "adopt", &place], ""),
            (&["rights", "eco"], ""),
            (
                &["experiment", "remove", "eco", "--delete-data", "lake"],
                "",
            ),
            (&["experiment", "remove", "eco", "--delete-data", "eco"], ""),
            (&["experiment", "list", "--all"], ""),
        ],
    );
    snapshot("adopt", &text);
    assert_eq!(names(&env.nas), [".octonas"]);
}

#[test]
fn access_ends_on_its_day() {
    let env = TestEnv::with_experiment();
    let file = env.at("eco/metadata/experiment.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let before = "account: bo\n  access: write";
    assert!(text.contains(before), "{text}");
    fs::write(
        &file,
        text.replace(before, &format!("{before}\n  until: 2020-01-31")),
    )
    .unwrap();
    let text = session(
        &env,
        &[
            (&["experiment", "due", "--dry-run"], ""),
            (&["experiment", "due"], ""),
            (&["experiment", "due"], ""),
            (&["experiment", "show", "eco"], ""),
        ],
    );
    snapshot("due", &text);
}

#[test]
fn bases_layouts_doctor_and_wrong_usage() {
    let env = TestEnv::with_experiment();
    let place = env.nas.display().to_string();
    let text = session(
        &env,
        &[
            (&["base", "list"], ""),
            (&["base", "add", &place], ""),
            (&["base", "check", &place], ""),
            (&["base", "add", "/nowhere/at/all"], ""),
            (&["layout", "list"], ""),
            (&["layout", "show", "minimal"], ""),
            (&["layout", "show", "maximal"], ""),
            (&["experiment", "show", "lake"], ""),
            (&["experiment", "show", "No Code"], ""),
            (&["experiment", "frobnicate"], ""),
            (&["--nas", "ftp:x", "experiment", "list"], ""),
            (&["experiment", "create", "-f", "missing.yaml"], ""),
        ],
    );
    snapshot("others", &text);
    let doctor = env.run(&["doctor"]).ok();
    for needed in [
        "version",
        "declared, not enforced",
        "available",
        "1 experiments",
    ] {
        assert!(doctor.stdout.contains(needed), "{doctor:?}");
    }
}

#[test]
fn every_reading_command_answers_in_json() {
    let env = TestEnv::with_experiment();
    let place = env.nas.display().to_string();
    let mut text = String::new();
    for arguments in [
        &["experiment", "list"][..],
        &["experiment", "show", "eco"],
        &["experiment", "plan", "eco"],
        &["experiment", "check"],
        &["experiment", "due"],
        &["base", "list"],
        &["layout", "list"],
        &["rights", "eco", "--user", "cy"],
        &["experiment", "remove", "eco", "--dry-run"],
        &["experiment", "apply", "eco"],
    ] {
        let value = env.json(arguments);
        text.push_str(&format!(
            "$ octonas --json {}\n{value:#}\n",
            arguments.join(" ")
        ));
    }
    snapshot("json", &env.neutral(&text));
    assert_eq!(env.json(&["base", "check", &place])[0]["available"], true);
    assert!(
        env.json(&["doctor"])
            .as_array()
            .unwrap()
            .iter()
            .all(|finding| finding["sound"] == true)
    );
}

#[test]
fn completions_and_manual_pages_are_made() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = env.run(&["completions", shell]).ok();
        assert!(ran.stdout.contains("octonas") && ran.stdout.len() > 1000);
    }
    env.run(&["generate", "man", "man"]).ok();
    env.run(&["generate", "completions", "completions"]).ok();
    let pages = names(&env.root.path().join("man"));
    assert!(
        pages.contains(&"octonas-experiment-create.1".to_owned()),
        "{pages:?}"
    );
    assert!(names(&env.root.path().join("completions")).len() >= 3);
    // None of this needs a NAS, or makes one.
    assert!(!env.nas.exists());
}

/// Every command that writes: what must be there before, and its arguments.
fn writing_commands(env: &TestEnv) -> Vec<(Vec<String>, String)> {
    let place = env.at("old").display().to_string();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    vec![
        (words("experiment create -f -"), definition("new")),
        (
            words("experiment edit -f -"),
            definition("eco").replace("account: bo", "account: dee"),
        ),
        (words("experiment apply eco --mend"), String::new()),
        (words("experiment close eco"), String::new()),
        (words("experiment reopen shut"), String::new()),
        (words("experiment remove eco"), String::new()),
        (
            words("experiment remove shut --delete-data shut"),
            String::new(),
        ),
        (
            vec![
                "experiment".into(),
                "adopt".into(),
                place,
                "--grant".into(),
                "ada".into(),
            ],
            String::new(),
        ),
        (words("experiment due"), String::new()),
    ]
}

/// `eco` in service and drifted, `shut` closed, `old` removed.
fn inhabited() -> TestEnv {
    let env = TestEnv::with_experiment();
    for code in ["shut", "old"] {
        env.create(&definition(code)).ok();
    }
    env.run(&["experiment", "close", "shut"]).ok();
    env.run(&["experiment", "remove", "old"]).ok();
    fs::set_permissions(env.at("eco/raw"), fs::Permissions::from_mode(0o777)).unwrap();
    env
}

#[test]
fn a_dry_run_writes_nothing() {
    let env = inhabited();
    let before = exact(&env.nas);
    for (mut arguments, input) in writing_commands(&env) {
        arguments.push("--dry-run".into());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        env.with_input(&arguments, input.as_bytes()).ok();
        untouched(&env.nas, &before, &arguments);
    }
}

#[test]
fn a_dry_run_where_nothing_is_yet_writes_nothing() {
    let env = TestEnv::new();
    let arguments = ["experiment", "create", "-f", "-", "--dry-run"];
    let ran = env
        .with_input(&arguments, definition("eco").as_bytes())
        .ok();
    assert!(ran.stdout.contains("+ group exp-eco-w"), "{ran:?}");
    // The embedded NAS has to exist to be looked at; nothing else does.
    assert_eq!(names(&env.nas), [".octonas"]);
    assert_eq!(
        names(&env.nas.join(".octonas")),
        ["cache", "first.lock", "nas.jsonl", "run"]
    );
}

#[test]
fn anything_run_twice_does_nothing_the_second_time() {
    for number in 0..9 {
        let env = inhabited();
        let (arguments, input) = writing_commands(&env).swap_remove(number);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        env.with_input(&arguments, input.as_bytes()).ok();
        let before = (env.end_state(), exact(&env.nas));
        let again = env.with_input(&arguments, input.as_bytes());
        // What is in service cannot be adopted again; everything else is simply done.
        match arguments[1] {
            "adopt" => drop(again.failed(1, "experiment.exists")),
            _ => drop(again.ok()),
        }
        assert_eq!(env.end_state(), before.0, "{arguments:?}");
        // A repair looks through everything again, and notes that it did.
        if !arguments.contains(&"--mend") {
            untouched(&env.nas, &before.1, &arguments);
        }
    }
}

#[test]
fn the_exit_code_says_how_it_ended() {
    let env = TestEnv::with_experiment();
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(0));
    assert_eq!(env.run(&["experiment", "show", "lake"]).exit, Some(1));
    assert_eq!(env.run(&["experiment", "show"]).exit, Some(2));
    fs::set_permissions(env.at("eco/raw"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(env.run(&["experiment", "check"]).exit, Some(3));
    // 4 (`locked`) is in `together`.
}

#[test]
fn the_examples_become_experiments() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let env = TestEnv::new();
    for name in names(&examples)
        .iter()
        .filter(|name| name.ends_with(".yaml"))
    {
        let file = examples.join(name).display().to_string();
        env.run(&["experiment", "create", "-f", &file]).ok();
    }
    let check = env.run(&["experiment", "check"]).ok();
    assert!(
        check.stdout.contains("in order") && !check.stdout.contains("not in order"),
        "{check:?}"
    );
}

#[test]
fn an_operation_that_was_killed_is_named_until_it_is_done() {
    let env = TestEnv::with_experiment();
    let mut killed = env.command(&["experiment", "close", "eco"]);
    killed.env("OCTONAS_FAULT", "kill:status.saved:1");
    assert_eq!(finish(killed, b"").exit, None);
    let check = env.run(&["experiment", "check", "eco"]);
    assert_eq!(check.exit, Some(3), "{check:?}");
    assert!(check.stdout.contains("close of eco by "), "{check:?}");
    assert!(check.stdout.contains("did not end"), "{check:?}");
    env.run(&["experiment", "close", "eco"]).ok();
    env.run(&["experiment", "check"]).ok();
}

#[test]
fn nobody_is_shown_to_have_access_to_what_was_removed() {
    let env = TestEnv::with_experiment();
    env.run(&["experiment", "remove", "eco"]).ok();
    let shown = env.run(&["experiment", "show", "eco"]).ok();
    assert!(shown.stdout.contains("(ada: no access)"), "{shown:?}");
    for right in [": write", ": read", "access ended"] {
        assert!(!shown.stdout.contains(right), "{shown:?}");
    }
    let json = env.json(&["experiment", "show", "eco"]);
    assert_eq!(json["members"], serde_json::json!({}));
}
