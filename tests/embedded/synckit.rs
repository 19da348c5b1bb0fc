//! Sync kits on the embedded NAS: built by the real binary, run by Python, delivering into a real landing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{TestEnv, definition, exact, names, untouched};

fn with_source() -> TestEnv {
    let env = TestEnv::new();
    let sources =
        "sources:\n  - { id: plc-c1, kind: linux, timezone: UTC, into: data/plc, every: 15min }\n";
    env.create(&(definition("eco") + sources)).ok();
    env
}

/// Runs the kit's program; its standard output and exit code. `None`, aloud, without Python.
fn program(kit: &Path, home: &Path, arguments: &[&str]) -> Option<(String, i32)> {
    let run = Command::new("python3")
        .arg(kit.join("octonas_sync.py"))
        .args(arguments)
        .env("OCTONAS_SYNC_HOME", home)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    match run {
        Ok(out) => Some((
            String::from_utf8_lossy(&out.stdout).into_owned()
                + &String::from_utf8_lossy(&out.stderr),
            out.status.code().unwrap(),
        )),
        Err(e) => {
            eprintln!("skipped: python3: {e}");
            None
        }
    }
}

#[test]
fn a_kit_is_built_and_delivers_into_the_landing() {
    let env = with_source();
    let (kit, data, home) = (
        env.root.path().join("kit"),
        env.root.path().join("lab"),
        env.root.path().join("home"),
    );
    fs::create_dir_all(data.join("day 1")).unwrap();
    fs::write(data.join("day 1/é.csv"), "t;1,5\n").unwrap();
    fs::write(data.join("now.csv"), "t;").unwrap();
    let hour_ago = SystemTime::now() - Duration::from_hours(1);
    let file = fs::File::options()
        .write(true)
        .open(data.join("day 1/é.csv"))
        .unwrap();
    file.set_modified(hour_ago).unwrap();
    drop(file);
    let watch = data.display().to_string();
    env.run(&[
        "synckit", "build", "eco", "plc-c1", "-o", "kit", "--watch", &watch,
    ])
    .ok();
    let Some((said, code)) = program(&kit, &home, &["run", "--json"]) else {
        return;
    };
    assert_eq!(code, 0, "{said}");
    let landing = env.at("eco/landing/plc-c1");
    assert_eq!(
        fs::read_to_string(landing.join("data/day 1/é.csv")).unwrap(),
        "t;1,5\n"
    );
    let sum = fs::read_to_string(landing.join("sums/day 1/é.csv.sha256")).unwrap();
    assert!(sum.len() > 64 && sum.ends_with("  day 1/é.csv\n"), "{sum}");
    assert_eq!(
        names(&landing.join("data")),
        ["day 1"],
        "what is still growing waits"
    );
    let (said, code) = program(&kit, &home, &["self-test"]).unwrap();
    assert_eq!(code, 0, "{said}");
    // The NAS takes it in, the source reads its receipt and never sends it again.
    env.run(&["ingest", "eco"]).ok();
    assert_eq!(
        fs::read_to_string(env.at("eco/data/plc/day 1/é.csv")).unwrap(),
        "t;1,5\n"
    );
    let (said, code) = program(&kit, &home, &["run", "--json"]).unwrap();
    assert_eq!(code, 0, "{said}");
    let said: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(said["counts"]["told-received"], 1, "{said}");
    assert_eq!(said["counts"]["waiting"], 0, "{said}");
    assert!(!landing.join("data/day 1/é.csv").exists());
}

#[test]
fn the_same_kit_has_the_same_bytes_and_a_rehearsal_writes_nothing() {
    let env = with_source();
    let before = exact(&env.nas);
    let build = ["synckit", "build", "eco", "plc-c1"];
    let rehearsed = env.json(&[&build[..], &["--dry-run"]].concat());
    assert_eq!(rehearsed["written"], Value::Null);
    assert_eq!(rehearsed["transport"], "directory");
    for zip in ["a.zip", "b.zip"] {
        env.run(&[&build[..], &["--zip", zip]].concat()).ok();
    }
    let bytes = fs::read(env.root.path().join("a.zip")).unwrap();
    assert_eq!(bytes, fs::read(env.root.path().join("b.zip")).unwrap());
    assert!(bytes.starts_with(b"PK"));
    let by_rpc = env.root.path().join("c.zip");
    let answer = env.admin(
        "build-synckit",
        &json!({"code": "eco", "source": "plc-c1", "zip": by_rpc}),
    );
    assert_eq!(answer["result"]["files"], rehearsed["files"]);
    assert_eq!(bytes, fs::read(by_rpc).unwrap());
    untouched(&env.nas, &before, &"a kit");
}

#[test]
fn what_is_wrong_with_an_order_is_said() {
    let env = with_source();
    let build = |more: &[&str]| env.run(&[&["synckit", "build"], more].concat());
    build(&["eco", "plc-c9", "-o", "kit"]).failed(1, "source.unknown");
    build(&["lake", "plc-c1", "-o", "kit"]).failed(1, "experiment.unknown");
    build(&["eco", "plc-c1", "-o", "kit", "--watch", "relative"]).failed(1, "synckit.path");
    let host = ["eco", "plc-c1", "-o", "kit", "--host", "-oProxyCommand=id"];
    assert_eq!(build(&host).exit, Some(2));
    build(&[
        "eco", "plc-c1", "-o", "kit", "--host", "a b", "--port", "22",
    ])
    .failed(1, "synckit.host");
    assert_eq!(build(&["eco", "plc-c1"]).exit, Some(2));
    fs::create_dir(env.root.path().join("full")).unwrap();
    fs::write(env.root.path().join("full/thesis.odt"), "x").unwrap();
    build(&["eco", "plc-c1", "-o", "full"]).failed(1, "synckit.exists");
    assert_eq!(names(&env.root.path().join("full")), ["thesis.odt"]);
    assert!(!env.root.path().join("kit").exists());
    let who = env.rpc(
        "build-synckit",
        ("bo", "user"),
        &json!({"code": "eco", "source": "plc-c1"}),
    );
    assert!(who.stdout.contains("rpc.forbidden"), "{who:?}");
}
