//! What was lost is made again where it can be; what was damaged is said, and nothing is written over it.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::landing::Field;
use crate::support::{TestEnv, definition, exact, exact_one, names, untouched};

#[test]
fn a_lost_or_garbled_registry_is_made_again() {
    let env = TestEnv::with_experiment();
    let cache = env.at(".octonas/cache");
    let wanted = env.run(&["experiment", "list"]).ok();
    for damage in ["deleted", "garbage", "empty", "torn", "foreign"] {
        let file = cache.join("registry.db");
        match damage {
            "deleted" => {
                for name in names(&cache) {
                    fs::remove_file(cache.join(name)).unwrap();
                }
            }
            "garbage" => fs::write(&file, b"this is no database at all".repeat(100)).unwrap(),
            "empty" => fs::write(&file, b"").unwrap(),
            "torn" => {
                let bytes = fs::read(&file).unwrap();
                fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            }
            _ => fs::write(&file, b"SQLite format 3\0nonsense").unwrap(),
        }
        let listed = env.run(&["experiment", "list"]).ok();
        assert_eq!(
            env.neutral(&listed.stdout),
            env.neutral(&wanted.stdout),
            "{damage}"
        );
        env.run(&["experiment", "check"]).ok();
    }
}

/// Damages one file, then sees every command refuse with `code` and leave the whole tree as it is.
fn refused(env: &TestEnv, file: &Path, code: &str) {
    let before = exact(&env.nas);
    let edit = definition("eco").replace("Heat", "Cold");
    for (arguments, input) in [
        (&["experiment", "edit", "-f", "-"][..], edit.as_str()),
        (&["experiment", "create", "-f", "-"], edit.as_str()),
        (&["experiment", "close", "eco"], ""),
        (&["experiment", "remove", "eco"], ""),
        (&["experiment", "apply", "eco", "--mend"], ""),
        (&["experiment", "show", "eco"], ""),
    ] {
        let ran = env.with_input(arguments, input.as_bytes()).failed(1, code);
        assert!(ran.stderr.contains("hint:"), "{arguments:?}: {ran:?}");
        untouched(&env.nas, &before, &(arguments, file));
    }
}

#[test]
fn a_damaged_definition_is_said_and_never_replaced() {
    for damage in [
        &b"{ [ broken"[..],
        b"",
        b"\xff\xfe\x00",
        b"octonas: 1\ncode: eco\n",
        b"octonas: 99\ncode: eco\ntitle: x\n",
    ] {
        let env = TestEnv::with_experiment();
        let file = env.at("eco/metadata/experiment.yaml");
        fs::write(&file, damage).unwrap();
        let shown = env.run(&["experiment", "show", "eco"]);
        assert_eq!(shown.exit, Some(1), "{damage:?}: {shown:?}");
        let code = shown
            .stderr
            .split_once('[')
            .unwrap()
            .1
            .split(']')
            .next()
            .unwrap()
            .to_owned();
        refused(&env, &file, &code);
        // The others go on, and a check names it.
        env.create(&definition("lake")).ok();
        let check = env.run(&["experiment", "check"]);
        assert_eq!(check.exit, Some(3), "{check:?}");
        assert!(
            check.stdout.contains("lake: active, in order")
                && check.stdout.contains("eco: unavailable"),
            "{check:?}"
        );
    }
}

#[test]
fn a_damaged_applied_record_stops_everything_that_writes() {
    for (name, damage) in [
        ("a line", "garbage\n"),
        ("the header", "{\"applied\":\"x\"}\n{\n"),
        ("the version", "{\"applied\":7}\n"),
    ] {
        let env = TestEnv::with_experiment();
        let file = env.at("eco/metadata/applied.jsonl");
        let text = fs::read_to_string(&file).unwrap();
        let damaged = if name == "a line" {
            text.replacen('\n', &format!("\n{damage}"), 3)
        } else {
            damage.to_owned()
        };
        fs::write(&file, damaged).unwrap();
        refused(
            &env,
            &file,
            if name == "the version" {
                "applied.newer"
            } else {
                "applied.damaged"
            },
        );
    }
}

#[test]
fn a_damaged_file_of_the_embedded_nas_stops_everything() {
    let env = TestEnv::with_experiment();
    let file = env.at(".octonas/nas.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("{\"put\"", "{\"put", 1)).unwrap();
    refused(&env, &file, "nas.damaged");
}

#[test]
fn a_damaged_claim_stops_everything() {
    let env = TestEnv::with_experiment();
    let file = env.at(".octonas/claim.json");
    fs::write(&file, "{").unwrap();
    refused(&env, &file, "file.damaged");
}

#[test]
fn a_base_of_another_nas_is_refused_until_it_is_taken_over() {
    let env = TestEnv::with_experiment();
    let file = env.at(".octonas/claim.json");
    let text = fs::read_to_string(&file).unwrap();
    let ours = text
        .split("\"nas\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    fs::write(&file, text.replace(ours, "another-nas")).unwrap();
    refused(&env, &file, "base.foreign");
    let place = env.at("eco").display().to_string();
    env.run(&["experiment", "adopt", &place])
        .failed(1, "base.foreign");
}

#[test]
fn a_damaged_ledger_is_never_written_over() {
    let env = TestEnv::with_experiment();
    let dir = env.at(".octonas/ledger");
    let segment = names(&dir)
        .into_iter()
        .find(|name| name.ends_with(".jsonl"))
        .unwrap();
    let file = dir.join(segment);
    fs::write(&file, "not a line of the ledger\n").unwrap();
    let before = exact_one(&file);
    env.run(&["experiment", "close", "eco"])
        .failed(1, "ledger.damaged");
    assert_eq!(exact_one(&file), before);
}

#[test]
fn a_torn_last_line_is_cut_off_and_the_work_goes_on() {
    let env = TestEnv::with_experiment();
    let ledger = names(&env.at(".octonas/ledger"))
        .into_iter()
        .find(|name| name.ends_with(".jsonl"))
        .unwrap();
    let files = [
        "eco/metadata/applied.jsonl".to_owned(),
        ".octonas/nas.jsonl".to_owned(),
        format!(".octonas/ledger/{ledger}"),
    ];
    for torn in [
        &b"{\"half a li"[..],
        b"\0\0\0\0\0\0\0\0",
        b"{\"done\":{\"kind\":\"group\"",
    ] {
        for file in &files {
            fs::OpenOptions::new()
                .append(true)
                .open(env.at(file))
                .unwrap()
                .write_all(torn)
                .unwrap();
        }
        env.run(&["experiment", "close", "eco"]).ok();
        env.run(&["experiment", "reopen", "eco"]).ok();
        env.run(&["experiment", "check", "eco"]).ok();
        for file in &files {
            let text = fs::read_to_string(env.at(file)).unwrap();
            assert!(
                text.ends_with('\n') && !text.contains("half") && !text.contains('\0'),
                "{file}: {text}"
            );
        }
    }
}

#[test]
fn unknown_keys_of_a_stored_definition_survive_every_change() {
    let env = TestEnv::with_experiment();
    let file = env.at("eco/metadata/experiment.yaml");
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("future: { planned: [a, b], when: 2031-01-01 }\n");
    text = text.replace("  account: bo\n", "  account: bo\n  badge: 4711\n");
    fs::write(&file, &text).unwrap();
    let kept = |when: &str| {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains("planned") && text.contains("2031-01-01"),
            "{when}: {text}"
        );
    };
    env.run(&["experiment", "close", "eco"]).ok();
    kept("close");
    env.run(&["experiment", "reopen", "eco"]).ok();
    kept("reopen");
    assert!(fs::read_to_string(&file).unwrap().contains("4711"));
    env.edit(&definition("eco").replace("Heat", "Cold")).ok();
    kept("edit");
    env.run(&["experiment", "remove", "eco"]).ok();
    kept("remove");
    let place = env.at("eco").display().to_string();
    env.run(&["experiment", "adopt", &place, "--grant", "ada,bo,cy"])
        .ok();
    kept("adopt");
}

#[test]
fn an_edit_of_what_somebody_else_changed_meanwhile_is_refused() {
    let env = TestEnv::with_experiment();
    let seen = env.json(&["experiment", "show", "eco"])["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    env.edit(&definition("eco").replace("Heat", "Cold")).ok();
    let mine = definition("eco").replace("Heat", "Warm");
    let arguments = ["experiment", "edit", "-f", "-", "--from", &seen];
    let before = exact(&env.nas);
    env.with_input(&arguments, mine.as_bytes())
        .failed(1, "definition.changed");
    untouched(&env.nas, &before, &arguments);
    let seen = env.json(&["experiment", "show", "eco"])["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let arguments = ["experiment", "edit", "-f", "-", "--from", &seen];
    env.with_input(&arguments, mine.as_bytes()).ok();
}

#[test]
fn a_base_that_cannot_be_written_is_refused_and_nothing_is_made_elsewhere() {
    let env = TestEnv::new();
    fs::write(&env.nas, "a file where the base should be").unwrap();
    let ran = env.create(&definition("eco"));
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("error:"), "{ran:?}");
    assert_eq!(names(env.root.path()), ["nas"]);
}

/// Somebody who rewrites what was done, or what came in, is found out.
#[test]
fn doctor_finds_a_ledger_and_a_baseline_that_were_changed() {
    let field = Field::new();
    field.deliver("plc", "one", "abc");
    field.deliver("plc", "two", "abc");
    assert_eq!(field.ingest()["received"], 2);
    field.env.run(&["doctor"]).ok();
    for (directory, from, to) in [
        ("ledger", "\"create\"", "\"adopt\""),
        ("baseline", "\"size\":3", "\"size\":4"),
    ] {
        let (segment, text) = walkdir::WalkDir::new(field.env.at(&format!(".octonas/{directory}")))
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
            .find(|(_, text)| text.lines().next().is_some_and(|line| line.contains(from)))
            .unwrap();
        fs::write(&segment, text.replacen(from, to, 1)).unwrap();
        let doctor = field.env.run(&["doctor"]);
        assert_eq!(doctor.exit, Some(3), "{doctor:?}");
        let name = segment.file_name().unwrap().to_string_lossy();
        let told = doctor.stdout.lines().any(|line| {
            line.contains("WRONG")
                && line.contains(directory)
                && line.contains(&format!("line 2 of {name} does not follow"))
        });
        assert!(told, "{doctor:?}");
        fs::write(&segment, text).unwrap();
        field.env.run(&["doctor"]).ok();
    }
}
