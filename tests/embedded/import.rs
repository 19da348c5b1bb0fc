//! A directory that is in use becomes an experiment: first what it would mean, then, confirmed, the same files in the same
//! place.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::json;

use crate::rpc::golden;
use crate::support::{Ran, TestEnv, definition, exact, names, untouched};

/// A NAS with a directory `eco` as people leave one behind.
pub fn used() -> TestEnv {
    let env = TestEnv::new();
    for (path, text) in [
        ("eco/raw/data.csv", "1,2\n"),
        ("eco/raw/Été 2020/sonde.csv", "5,6\n"),
        ("eco/2019/deep/old.csv", "3,4\n"),
        ("eco/Photos & vidéos/a.jpg", "\u{0}jpg"),
        ("eco/notes.txt", "notes"),
    ] {
        fs::create_dir_all(env.at(path).parent().unwrap()).unwrap();
        fs::write(env.at(path), text).unwrap();
    }
    fs::set_permissions(env.at("eco/2019"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(env.at("eco/notes.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("/etc/passwd", env.at("eco/raw/link")).unwrap();
    env
}

fn import(env: &TestEnv, definition: &str, more: &[&str]) -> Ran {
    let place = env.at("eco").display().to_string();
    let mut arguments = vec!["experiment", "import", place.as_str(), "-f", "-"];
    arguments.extend(more);
    env.with_input(&arguments, definition.as_bytes())
}

/// Number of the inode, time of the last change of content, and content of every file.
fn files(top: &Path) -> BTreeMap<String, (u64, i64, Vec<u8>)> {
    walkdir::WalkDir::new(top)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| !entry.path().starts_with(top.join("metadata")))
        .map(|entry| {
            let found = entry.metadata().unwrap();
            let content = fs::read(entry.path()).unwrap();
            (
                entry.path().display().to_string(),
                (found.ino(), found.mtime_nsec(), content),
            )
        })
        .collect()
}

#[test]
fn what_an_import_would_mean_is_said_and_nothing_is_touched() {
    let env = used();
    let before = exact(&env.at("eco"));
    let told = import(&env, &definition("eco"), &[]).ok();
    untouched(&env.at("eco"), &before, &told);
    for words in [
        "5 files (",
        "2 directories that the layout does not have stay, and writers write in them: 2019, Photos & vidéos",
        "1 lie beside the directories: members read them, nobody changes them or adds others there: notes.txt",
        "1 are symbolic links: no door follows them: raw/link",
        "nothing was changed: `--confirm` does it",
        "ada      gains  unknown  write",
        "cy       gains  unknown  read",
    ] {
        assert!(told.stdout.contains(words), "{words} in {}", told.stdout);
    }
    assert!(
        names(&env.nas) == [".octonas", "eco"],
        "{:?}",
        names(&env.nas)
    );
    assert!(!env.at(".octonas/claim.json").exists(), "not even a claim");
}

#[test]
fn confirmed_the_same_files_are_an_experiment_and_again_it_does_nothing() {
    let env = used();
    let before = files(&env.at("eco"));
    import(&env, &definition("eco"), &["--confirm"]).ok();
    assert_eq!(files(&env.at("eco")), before);
    for made in ["raw", "processed", "scripts", "docs", "metadata", "landing"] {
        assert!(env.at("eco").join(made).is_dir(), "{made}");
    }
    env.run(&["experiment", "check", "eco"]).ok();
    let shown = env.json(&["experiment", "show", "eco"]);
    let imported = &shown["definition"]["imported"];
    assert_eq!(imported["leaves"], json!(["2019", "Photos & vidéos"]));
    let mode = |path: &str| env.at(path).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("eco"), mode("eco/2019")), (0o2750, 0o2770));

    let after = env.end_state();
    import(&env, &definition("eco"), &["--confirm"]).ok();
    import(&env, &definition("eco"), &[]).ok();
    assert_eq!(env.end_state(), after);
    import(
        &env,
        &definition("eco").replace("Bo Ek", "Bo"),
        &["--confirm"],
    )
    .failed(1, "experiment.exists");
}

#[test]
fn what_the_rights_were_is_kept_for_setfacl() {
    let env = used();
    import(&env, &definition("eco"), &["--confirm"]).ok();
    let kept = env.at("eco/metadata/before-import.facl");
    assert_eq!(kept.metadata().unwrap().mode() & 0o777, 0o600);
    let text = fs::read_to_string(kept).unwrap();
    let me = env.at("eco/notes.txt").metadata().unwrap();
    let entry = format!(
        "# file: notes.txt\n# owner: {}\n# group: {}\nuser::rw-\ngroup::r--\nother::---\n\n",
        me.uid(),
        me.gid()
    );
    assert!(text.contains(&entry), "{text}");
    assert!(text.contains("# file: 2019\n"), "{text}");
    assert!(!text.contains("link"), "links have no rights of their own");
}

#[test]
fn a_leaf_of_before_outlives_edits_that_do_not_speak_of_it() {
    let env = used();
    import(&env, &definition("eco"), &["--confirm"]).ok();
    let edited = definition("eco").replace("Heat waves", "Cold spells");
    env.edit(&edited).ok();
    let shown = env.json(&["experiment", "show", "eco"]);
    assert_eq!(shown["definition"]["title"], "Cold spells");
    assert_eq!(
        shown["definition"]["imported"]["leaves"],
        json!(["2019", "Photos & vidéos"])
    );
    env.run(&["experiment", "check", "eco"]).ok();
    // A directory that appears in the frame later is still a stranger.
    fs::create_dir(env.at("eco/later")).unwrap();
    let told = env.run(&["experiment", "check", "eco"]);
    assert_eq!(told.exit, Some(3));
    assert!(
        told.stdout
            .contains("later: the layout knows nothing of it")
    );
}

#[test]
fn what_cannot_be_an_experiment_is_refused_before_anything_is_touched() {
    type Change = fn(&TestEnv);
    let nothing: Change = |_| {};
    let cases: &[(&str, Change, &str, &str)] = &[
        (
            "eco",
            |env| fs::create_dir(env.at("eco/metadata")).unwrap(),
            "eco",
            "import.in-the-way",
        ),
        (
            "eco",
            |env| fs::create_dir(env.at("eco/Landing")).unwrap(),
            "eco",
            "import.in-the-way",
        ),
        (
            "eco",
            |env| fs::create_dir(env.at("eco/Docs")).unwrap(),
            "eco",
            "import.in-the-way",
        ),
        (
            "eco",
            |env| fs::write(env.at("eco/docs"), "").unwrap(),
            "eco",
            "import.in-the-way",
        ),
        (
            "eco",
            |env| fs::create_dir(env.at("eco/a:b")).unwrap(),
            "eco",
            "import.directory-name",
        ),
        (
            "eco",
            // As macOS writes it.
            |env| fs::create_dir(env.at("eco/e\u{301}te\u{301}")).unwrap(),
            "eco",
            "import.directory-name",
        ),
        (
            "eco",
            |env| (0..=500).for_each(|n| fs::create_dir(env.at(&format!("eco/d{n}"))).unwrap()),
            "eco",
            "import.scattered",
        ),
        ("eco", nothing, "lake", "import.name"),
        ("eco/2019", nothing, "eco", "import.misplaced"),
        ("eco/notes.txt", nothing, "eco", "import.unknown"),
        ("nowhere", nothing, "eco", "import.unknown"),
    ];
    for (place, change, code, wanted) in cases {
        let env = used();
        change(&env);
        let before = exact(&env.at("eco"));
        let place = env.at(place).display().to_string();
        let ran = env.with_input(
            &["experiment", "import", &place, "-f", "-", "--confirm"],
            definition(code).as_bytes(),
        );
        untouched(&env.at("eco"), &before, &ran);
        let ran = ran.failed(1, wanted);
        assert!(ran.stderr.contains("hint: "), "{wanted}: {}", ran.stderr);
    }
}

#[test]
fn an_experiment_is_not_imported_again_and_a_removed_one_is_adopted() {
    let env = TestEnv::with_experiment();
    import(&env, &definition("eco"), &["--confirm"]).failed(1, "experiment.exists");
    env.run(&["experiment", "remove", "eco"]).ok();
    import(&env, &definition("eco"), &["--confirm"]).failed(1, "experiment.removed");
}

#[test]
fn the_web_ui_imports_in_the_same_two_steps() {
    let env = TestEnv::new();
    fs::create_dir_all(env.at("eco/old")).unwrap();
    fs::write(env.at("eco/old/a.csv"), "1\n").unwrap();
    let asked = json!({"folder": env.at("eco"), "definition": definition("eco")});
    let mut confirmed = asked.clone();
    confirmed["confirm"] = json!(true);
    let mut silly = asked.clone();
    silly["confirm"] = json!("yes");
    golden(
        &env,
        "rpc-import",
        &[
            ("import-experiment", asked),
            ("import-experiment", silly),
            ("import-experiment", confirmed),
            (
                "import-experiment",
                json!({"folder": "no/such", "definition": definition("eco")}),
            ),
            ("list-experiments", json!({})),
        ],
    );
    env.rpc(
        "import-experiment",
        ("ada", "user"),
        &json!({"folder": "eco", "definition": definition("eco"), "confirm": true}),
    )
    .failed_rpc("rpc.forbidden");
}
