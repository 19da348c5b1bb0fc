//! The double of omv-engined answers as the real one did: what was asked of openmediavault 8.5.7 on its socket
//! (tests/engined/recorded.jsonl) is asked again, in the same order.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "a test makes its own files and processes, and may fail"
)]

mod engined;

use std::collections::{BTreeMap, BTreeSet};

use engined::Double;
use serde_json::{Value, json};

const RECORDED: &str = include_str!("engined/recorded.jsonl");

/// Remembers which of our uuids stands for which recorded one.
fn learn(recorded: &Value, ours: &Value, known: &mut BTreeMap<String, String>) {
    match (recorded, ours) {
        (Value::String(theirs), Value::String(mine)) if theirs != mine && is_uuid(theirs) => {
            known.insert(theirs.clone(), mine.clone());
        }
        (Value::Array(a), Value::Array(b)) => {
            a.iter().zip(b).for_each(|(a, b)| learn(a, b, known));
        }
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                if let Some(mine) = b.get(key) {
                    learn(value, mine, known);
                }
            }
        }
        _ => {}
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().filter(|b| *b == b'-').count() == 4
}

/// What remains of a message without paths of programs and our own uuids.
fn plain(message: &str) -> String {
    for beginning in ["Failed to execute XPath query", "Failed to execute command"] {
        if message.starts_with(beginning) {
            return beginning.to_owned();
        }
    }
    message
        .split('\'')
        .map(|word| if is_uuid(word) { "<uuid>" } else { word })
        .collect::<Vec<_>>()
        .join("'")
}

/// The first place where two answers have another shape.
fn differs(recorded: &Value, ours: &Value, at: &str) -> Option<String> {
    match (recorded, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let (a_keys, b_keys): (BTreeSet<_>, BTreeSet<_>) =
                (a.keys().collect(), b.keys().collect());
            if a_keys != b_keys {
                return Some(format!("{at}: {a_keys:?} and {b_keys:?}"));
            }
            a.iter()
                .find_map(|(key, value)| differs(value, &b[key], &format!("{at}.{key}")))
        }
        (Value::Array(a), Value::Array(b)) => match (a.first(), b.first()) {
            (Some(a), Some(b)) => differs(a, b, &format!("{at}[0]")),
            (None, None) => None,
            _ => Some(format!("{at}: {} and {} elements", a.len(), b.len())),
        },
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => None,
        (a, b) => Some(format!("{at}: {a} and {b}")),
    }
}

#[test]
fn the_double_answers_as_the_real_one_did() {
    let double = Double::start();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let disks: Value = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|r| r["request"]["params"]["id"] == "conf.system.filesystem.mountpoint")
        .unwrap()["response"]["response"]["data"]
        .clone();
    double.edit(|state| {
        state["users"] = json!([{"name": "root", "uid": 0, "system": true},
                                {"name": "admin", "uid": 998, "system": true}]);
        state["groups"] = json!([{"name": "root", "gid": 0, "members": [], "system": true}]);
        state["mountpoints"] = disks;
        // The folders that it makes must not land in this machine's own /srv.
        for (i, disk) in state["mountpoints"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            disk["dir"] = json!(double.base().join(i.to_string()));
        }
    });
    let mut wrong = Vec::new();
    let mut asked = 0;
    for line in RECORDED.lines() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        let mut text = record["request"].to_string();
        for (theirs, mine) in &known {
            text = text.replace(theirs.as_str(), mine.as_str());
        }
        let answer = double.ask(&text);
        asked += 1;
        let what = format!(
            "{}.{} ({})",
            record["request"]["service"].as_str().unwrap(),
            record["request"]["method"].as_str().unwrap(),
            record["label"].as_str().unwrap()
        );
        let recorded = record["response"].take();
        let (error, mine) = (&recorded["error"], &answer["error"]);
        if error["http_status_code"] != mine["http_status_code"] {
            wrong.push(format!("{what}: {error} and {mine}"));
            continue;
        }
        if !error.is_null() {
            let (theirs, mine) = (
                error["message"].as_str().unwrap(),
                mine["message"].as_str().unwrap(),
            );
            if plain(theirs) != plain(mine) {
                wrong.push(format!("{what}: {theirs:?} and {mine:?}"));
            }
            continue;
        }
        learn(&recorded["response"], &answer["response"], &mut known);
        wrong.extend(
            differs(&recorded["response"], &answer["response"], "").map(|d| format!("{what}{d}")),
        );
    }
    assert!(asked > 50);
    assert!(
        wrong.is_empty(),
        "{} of {asked}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
