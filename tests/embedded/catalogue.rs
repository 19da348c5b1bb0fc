//! The inventory of an experiment: what is read once and known for ever, whatever names, trees and people do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::landing::{Field, sha256};
use crate::rpc::golden;
use crate::support::{TestEnv, deepen, finish, os};

pub fn write(env: &TestEnv, path: &str, content: &str) {
    let file = env.at(&format!("eco/{path}"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

pub fn scan(env: &TestEnv) -> Value {
    env.json(&["catalogue", "scan", "eco", "--no-probe"])[0].take()
}

/// The newest line of the baseline of every path.
pub fn baseline(env: &TestEnv) -> BTreeMap<String, Value> {
    lines(env, "baseline")
        .into_iter()
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line))
        .collect()
}

pub fn lines(env: &TestEnv, chain: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for id in crate::support::names(&env.at(&format!(".octonas/{chain}"))) {
        let dir = env.at(&format!(".octonas/{chain}/{id}"));
        for name in crate::support::names(&dir) {
            let text = fs::read_to_string(dir.join(name)).unwrap();
            all.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap()),
            );
        }
    }
    all
}

fn counts(scanned: &Value) -> [u64; 5] {
    ["new", "changed", "moved", "gone", "read"].map(|name| scanned[name].as_u64().unwrap())
}

/// Long enough ago that another change has another time.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

#[test]
fn what_is_new_changed_moved_and_gone_is_known_and_nothing_is_read_twice() {
    let env = TestEnv::with_experiment();
    write(&env, "raw/a.csv", "1");
    write(&env, "raw/day1/b.csv", "2");
    write(&env, "raw/day1/c.csv", "3");
    write(&env, "raw/.hidden", "4");
    write(&env, "landing/x", "5");
    settle();
    assert_eq!(counts(&scan(&env)), [4, 0, 0, 0, 4]);
    assert_eq!(counts(&scan(&env)), [0, 0, 0, 0, 0]);
    write(&env, "raw/a.csv", "one");
    fs::rename(env.at("eco/raw/day1"), env.at("eco/raw/day2")).unwrap();
    fs::remove_file(env.at("eco/raw/.hidden")).unwrap();
    settle();
    assert_eq!(counts(&scan(&env)), [0, 1, 2, 1, 1]);
    // Only its rights were changed: it is read, and nothing is new.
    fs::set_permissions(
        env.at("eco/raw/a.csv"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    settle();
    assert_eq!(counts(&scan(&env)), [0, 0, 0, 0, 1]);
    assert_eq!(counts(&scan(&env)), [0, 0, 0, 0, 0]);
    let all = lines(&env, "baseline");
    let of = |path: &str| {
        all.iter()
            .filter(|line| line["path"] == path)
            .collect::<Vec<_>>()
    };
    let a = of("raw/a.csv");
    assert_eq!(
        (a.len(), &a[0]["sha256"], &a[1]["was"]),
        (2, &json!(sha256(b"1")), &json!(sha256(b"1")))
    );
    assert_eq!(of("raw/day2/b.csv")[0]["from"], "raw/day1/b.csv");
    assert!(of("landing/x").is_empty());
    let shown = env.json(&["catalogue", "show", "eco", "raw/a.csv"]);
    assert_eq!(shown["file"]["sha256"], sha256(b"one"));
    assert_eq!(shown["history"][0]["what"], "changed");
    let gone = env.json(&["catalogue", "show", "eco", "raw/.hidden"]);
    assert_eq!(
        (&gone["file"], &gone["history"][0]["what"]),
        (&Value::Null, &json!("gone"))
    );
    env.run(&["catalogue", "show", "eco", "raw/never"])
        .failed(1, "catalogue.unknown");
}

#[test]
fn an_index_that_was_lost_or_damaged_comes_back_from_the_evidence() {
    let env = TestEnv::with_experiment();
    for i in 0..300 {
        write(&env, &format!("raw/d{}/{i}.csv", i % 7), &i.to_string());
    }
    scan(&env);
    write(&env, "raw/d1/1.csv", "changed");
    fs::remove_file(env.at("eco/raw/d2/2.csv")).unwrap();
    settle();
    scan(&env);
    env.run(&["verify", "eco"]).ok();
    let all = || {
        let mut list = env.json(&["catalogue", "search", "eco", "--limit", "5000"]);
        list["files"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
        list["files"].take()
    };
    let wanted = all();
    assert_eq!(wanted.as_array().unwrap().len(), 299);
    let index = env.index();
    let whole = fs::read(&index).unwrap();
    let lines_before = lines(&env, "baseline").len();
    // Lost, cut, and flipped at many places: nothing is ever read again as new, and the answers are the same.
    for damage in 0..16 {
        let mut bytes = whole.clone();
        match damage {
            0 => bytes.clear(),
            1 => bytes.truncate(whole.len() / 2),
            _ => {
                let at = whole.len() / 16 * damage + 7 * damage;
                bytes[at] ^= 0x41;
            }
        }
        fs::write(&index, &bytes).unwrap();
        let rebuilt = env.run(&["evidence", "rebuild", "eco"]);
        assert_eq!(rebuilt.exit, Some(0), "{damage}: {rebuilt:?}");
        let scanned = scan(&env);
        assert_eq!(counts(&scanned)[..4], [0; 4], "{damage}");
        assert_eq!(all(), wanted, "{damage}");
        env.run(&["evidence", "verify", "eco"]).ok();
    }
    // A scan alone copes as well, and never writes over a line.
    for damage in 2..16 {
        let mut bytes = whole.clone();
        let at = whole.len() / 16 * damage + 7 * damage;
        bytes[at] ^= 0x41;
        fs::write(&index, &bytes).unwrap();
        let ran = env.run(&[
            "--json",
            "--quiet",
            "catalogue",
            "scan",
            "eco",
            "--no-probe",
        ]);
        assert!(matches!(ran.exit, Some(0 | 1 | 3)), "{damage}: {ran:?}");
        env.run(&["evidence", "rebuild", "eco"]).ok();
        scan(&env);
        env.run(&["evidence", "verify", "eco"]).ok();
    }
    let now = baseline(&env);
    assert_eq!(now["raw/d1/1.csv"]["sha256"], sha256(b"changed"));
    assert!(lines(&env, "baseline").len() >= lines_before);
    for (path, line) in now {
        let content = fs::read(env.at(&format!("eco/{path}")));
        assert!(
            content.is_err() || line["sha256"] == sha256(content.unwrap()),
            "{path}"
        );
    }
}

#[test]
fn names_of_any_bytes_and_length_and_trees_of_any_depth_are_known() {
    let env = TestEnv::with_experiment();
    let raw = env.at("eco/raw");
    fs::write(raw.join(os(b"caf\xe9.csv")), "1").unwrap();
    fs::write(raw.join("n".repeat(255)), "2").unwrap();
    fs::write(raw.join("line\nfeed \\ \u{202e}x"), "3").unwrap();
    let deepest = deepen(&raw, "d2345678901234567890", 500);
    fs::write(deepest.join("deepest"), "4").unwrap();
    settle();
    assert_eq!(counts(&scan(&env))[0], 4);
    assert_eq!(counts(&scan(&env)), [0; 5]);
    let verified = env.json(&["verify", "eco"])[0].take();
    assert_eq!(
        (&verified["good"], &verified["findings"]),
        (&json!(4), &json!([]))
    );
    env.run(&["evidence", "rebuild", "eco"]).ok();
    assert_eq!(counts(&scan(&env)), [0; 5]);
    let out = env.root.path().join("out");
    env.run(&["evidence", "export", "eco", "-o", out.to_str().unwrap()])
        .ok();
    // What can be named at once, sha256sum(1) checks; the deepest is longer than PATH_MAX.
    let sums = fs::read(out.join("SHA256SUMS")).unwrap();
    let short: Vec<u8> = sums
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.len() < 4000)
        .flatten()
        .copied()
        .collect();
    fs::write(out.join("short"), short).unwrap();
    let checked = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet"])
        .arg(out.join("short"))
        .current_dir(env.at("eco"))
        .status()
        .unwrap();
    assert!(checked.success());
    let list = env.run(&["catalogue", "list", "eco", "raw"]).ok().stdout;
    assert!(
        list.contains("raw/caf\\xe9.csv") && !list.contains('\u{202e}'),
        "{list}"
    );
}

#[test]
fn a_directory_of_many_files_is_known_in_little_memory_and_what_goes_away_is_seen() {
    let env = TestEnv::with_experiment();
    let many: usize = if std::env::var_os("OCTONAS_LONG").is_some() {
        200_000
    } else {
        70_000
    };
    let dir = env.at("eco/raw/many");
    fs::create_dir(&dir).unwrap();
    for i in 0..many {
        fs::File::create(dir.join(format!("{i:06}"))).unwrap();
    }
    settle();
    assert_eq!(counts(&scan(&env))[0], many as u64);
    assert_eq!(counts(&scan(&env)), [0; 5]);
    fs::remove_file(dir.join("000007")).unwrap();
    fs::rename(dir.join("000008"), dir.join("another")).unwrap();
    settle();
    let scanned = scan(&env);
    assert_eq!(counts(&scanned)[..4], [0, 0, 1, 1]);
    let page = env.json(&[
        "catalogue",
        "list",
        "eco",
        "raw/many",
        "--limit",
        "3",
        "--after",
        "000005",
    ]);
    let names: Vec<&str> = page["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["raw/many/000006", "raw/many/000009", "raw/many/000010"]
    );
    assert_eq!(page["next"], "000010");
}

#[test]
fn two_scans_at_once_are_one_and_a_verification_may_go_on_beside() {
    let env = TestEnv::with_experiment();
    write(&env, "raw/large", &"x".repeat(2 << 20));
    let slow = env
        .command(&[
            "--quiet",
            "catalogue",
            "scan",
            "eco",
            "--no-probe",
            "--limit-rate",
            "200kB",
        ])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let lock = env.at(".octonas/run");
    while !crate::support::names(&lock)
        .iter()
        .any(|name| name.starts_with("scan-"))
        && begun.elapsed() < Duration::from_secs(10)
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    let second = env.run(&[
        "catalogue",
        "scan",
        "eco",
        "--no-probe",
        "--limit-rate",
        "200kB",
    ]);
    let first = slow.wait_with_output().unwrap();
    assert!(first.status.success(), "{first:?}");
    // It waited ten seconds and gave up, or the first one was done by then and nothing was left to do.
    match second.exit {
        Some(4) => drop(second.failed(4, "locked")),
        _ => drop(second.ok()),
    }
    assert_eq!(lines(&env, "baseline").len(), 1);
    env.run(&["verify", "eco"]).ok();
}

#[test]
fn whatever_members_do_meanwhile_what_is_entered_was_once_there() {
    let env = TestEnv::with_experiment();
    for i in 0..40 {
        write(
            &env,
            &format!("raw/{}/{i}", i % 4),
            &format!("{i} {}", "0".repeat(5000)),
        );
    }
    fs::write(env.root.path().join("outside"), "secret").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let i = round % 40;
                let path = env.at(&format!("eco/raw/{}/{i}", i % 4));
                match round % 5 {
                    // Grows, shrinks, is replaced by a link, goes away, comes back.
                    0 => drop(
                        fs::OpenOptions::new()
                            .append(true)
                            .open(&path)
                            .and_then(|mut file| std::io::Write::write_all(&mut file, b"0000")),
                    ),
                    1 => drop(
                        fs::OpenOptions::new()
                            .write(true)
                            .open(&path)
                            .and_then(|file| file.set_len(100)),
                    ),
                    2 => {
                        let _ = fs::remove_file(&path);
                        let _ = symlink(env.root.path().join("outside"), &path);
                    }
                    3 => drop(fs::remove_file(&path)),
                    _ => {
                        let _ = fs::remove_file(&path);
                        let _ = fs::write(&path, format!("{i} {}", "0".repeat(round % 7000)));
                    }
                }
            }
        });
        for _ in 0..6 {
            let ran = env.run(&[
                "--json",
                "--quiet",
                "catalogue",
                "scan",
                "eco",
                "--no-probe",
            ]);
            assert!(matches!(ran.exit, Some(0 | 3)), "{ran:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    settle();
    scan(&env);
    let secret = sha256(b"secret");
    for line in lines(&env, "baseline") {
        assert_ne!(line["sha256"], secret, "something outside was read");
    }
    for (path, line) in baseline(&env) {
        let file = env.at(&format!("eco/{path}"));
        let is_file = file.symlink_metadata().is_ok_and(|m| m.is_file());
        if is_file {
            assert_eq!(line["sha256"], sha256(fs::read(&file).unwrap()), "{path}");
        }
    }
    env.run(&["evidence", "verify", "eco"]).ok();
    let verified = env.json(&["verify", "eco"])[0].take();
    assert_eq!(verified["findings"], json!([]));
}

#[test]
fn a_disk_that_is_full_costs_nothing_that_was_known() {
    let env = TestEnv::with_experiment();
    write(&env, "raw/a", "1");
    settle();
    scan(&env);
    write(&env, "raw/b", "2");
    settle();
    let dry = env.json(&["catalogue", "scan", "eco", "--dry-run"])[0].take();
    assert_eq!(counts(&dry), [1, 0, 0, 0, 1]);
    assert_eq!(lines(&env, "baseline").len(), 1);
}

#[test]
fn what_sources_deliver_is_sealed_and_known_without_being_read_again() {
    let field = Field::new();
    field.deliver("plc", "a.csv", "1,2\n");
    field.sum("plc", "a.csv", "1,2\n");
    field.ingest();
    let env = &field.env;
    assert_eq!(counts(&scan(env)), [0; 5]);
    let shown = env.json(&["catalogue", "show", "eco", "raw/a.csv"]);
    assert_eq!(
        (&shown["file"]["sealed"], &shown["file"]["source"]),
        (&json!(true), &json!("plc"))
    );
    let mode =
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(env.at("eco/raw/a.csv")).unwrap());
    assert_eq!(mode & 0o222, 0, "{mode:o}");
    assert_eq!(lines(env, "checks")[0]["what"], "sealed");
    // `check` knows it as it is.
    env.run(&["experiment", "check", "eco"]).ok();
}

#[test]
fn the_pages_get_what_they_always_got() {
    let env = TestEnv::new();
    env.create(&crate::landing::with_sources("eco")).ok();
    for (path, content) in [
        (
            "raw/C1/2026-03-01.csv",
            "time,temperature\n2026-03-01T00:00:00,1.5\n",
        ),
        (
            "raw/C1/2026-03-02.csv",
            "time,temperature\n2026-03-02T00:00:00,1.5\n",
        ),
        ("raw/notes.txt", "words\n"),
    ] {
        write(&env, path, content);
        let file = fs::File::options()
            .write(true)
            .open(env.at(&format!("eco/{path}")))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_772_000_000))
            .unwrap();
    }
    settle();
    let eco = json!({"code": "eco"});
    golden(
        &env,
        "rpc-files",
        &[
            ("list-files", eco.clone()),
            (
                "scan-catalogue",
                json!({"code": "eco", "no-probe": true, "dry-run": true}),
            ),
            ("scan-catalogue", json!({"code": "eco", "no-probe": true})),
            ("list-files", json!({"code": "eco", "folder": "raw"})),
            (
                "list-files",
                json!({"code": "eco", "folder": "raw/C1", "limit": 1}),
            ),
            ("list-files", json!({"code": "eco", "folder": "raw/none"})),
            ("search-files", json!({"code": "eco", "text": "NOTES"})),
            (
                "search-files",
                json!({"code": "eco", "text": "raw/*/*-02.csv"}),
            ),
            ("show-file", json!({"code": "eco", "path": "raw/notes.txt"})),
            (
                "verify-experiment",
                json!({"code": "eco", "due": 3600, "dry-run": true}),
            ),
            ("verify-experiment", json!({"code": "eco"})),
            ("seal-files", json!({"code": "eco", "paths": ["raw/C1"]})),
            ("show-integrity", eco.clone()),
            (
                "unseal-files",
                json!({"code": "eco", "paths": ["raw/C1"], "dry-run": true}),
            ),
            (
                "accept-files",
                json!({"code": "eco", "paths": ["raw/notes.txt"], "reason": "looked at"}),
            ),
            (
                "accept-files",
                json!({"code": "eco", "paths": ["raw"], "reason": "looked at", "dry-run": true}),
            ),
            (
                "accept-files",
                json!({"code": "eco", "paths": ["raw"], "reason": ""}),
            ),
            ("accept-files", json!({"code": "eco", "paths": ["raw"]})),
            ("verify-evidence", eco.clone()),
            ("rebuild-evidence", json!({"code": "eco", "dry-run": true})),
            ("rebuild-evidence", eco),
        ],
    );
    // A member looks, and changes nothing; somebody else sees nothing.
    for (method, who, error) in [
        ("list-files", "cy", None),
        ("show-integrity", "cy", None),
        ("verify-experiment", "cy", Some("rpc.forbidden")),
        ("seal-files", "ada", Some("rpc.forbidden")),
        ("accept-files", "ada", Some("rpc.forbidden")),
        ("list-files", "eve", Some("experiment.unknown")),
    ] {
        let ran = env.rpc(method, (who, "user"), &json!({"code": "eco"}));
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            answer["error"]["code"].as_str(),
            error,
            "{method} {who}: {answer}"
        );
    }
    let _ = finish(env.command(&["catalogue", "status", "eco"]), b"");
}

#[test]
fn files_are_found_by_what_is_in_them() {
    let env = TestEnv::with_experiment();
    write(
        &env,
        "raw/one.csv",
        "time,temperature,CO2\n2026-03-01T00:00:00,1.5,400\n2026-03-01T01:00:00,1.6,401\n",
    );
    write(
        &env,
        "raw/two.csv",
        "time,humidity\n2026-04-01T00:00:00,50\n2026-04-01T01:00:00,51\n",
    );
    write(&env, "raw/three.txt", "temperature\n");
    settle();
    env.run(&["catalogue", "scan", "eco"]).ok();
    let found = |arguments: &[&str]| -> Vec<String> {
        let mut all = vec!["catalogue", "search", "eco"];
        all.extend(arguments);
        let page = env.json(&all);
        page["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found(&["--variable", "Temperature"]), ["raw/one.csv"]);
    assert_eq!(found(&["--variable", "temp"]), Vec::<String>::new());
    assert_eq!(found(&["--format", "csv"]), ["raw/one.csv", "raw/two.csv"]);
    assert_eq!(found(&["--from", "2026-03-15"]), ["raw/two.csv"]);
    assert_eq!(found(&["--to", "2026-03-01"]), ["raw/one.csv"]);
    assert_eq!(
        found(&["--format", "csv", "--limit", "1", "--after", "raw/one.csv"]),
        ["raw/two.csv"]
    );
    assert_eq!(found(&["100%"]), Vec::<String>::new());
    assert_eq!(found(&["t"]), ["raw/three.txt", "raw/two.csv"]);
}
