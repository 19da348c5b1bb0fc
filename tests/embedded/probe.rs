//! What is inside a file: a program of its own looks, and whatever the file does to it is a finding.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{TestEnv, exact, untouched};

const PROBE: &str = env!("CARGO_BIN_EXE_octonas-probe");

/// A table of `rows` rows, one a minute.
fn table(rows: u64) -> String {
    let mut text = String::from("Horodatage;Température (°C);CO2 (ppm)\r\n");
    for row in 0..rows {
        let (day, hour, minute) = (row / 1440 % 28 + 1, row / 60 % 24, row % 60);
        text.push_str(&format!(
            "{day:02}/03/2026 {hour:02}:{minute:02};{},{};4{:02}\r\n",
            20 + row % 5,
            row % 10,
            row % 100
        ));
    }
    text
}

fn file(env: &TestEnv, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = env.root.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn codes(contents: &Value) -> Vec<String> {
    let findings = contents["findings"].as_array().unwrap();
    let code = |finding: &Value| finding["code"].as_str().unwrap().to_owned();
    findings.iter().map(code).collect()
}

/// A classic `NetCDF` file (CDF-1) with the dimension x = 4 and the variable `int x(x)`, as its format has it.
fn classic() -> Vec<u8> {
    let mut bytes = b"CDF\x01".to_vec();
    let words = |bytes: &mut Vec<u8>, words: &[u32]| {
        for word in words {
            bytes.extend(word.to_be_bytes());
        }
    };
    // No records; one dimension named "x" of length 4; no attributes; one variable named "x".
    words(&mut bytes, &[0, 10, 1, 1]);
    bytes.extend(b"x\0\0\0");
    words(&mut bytes, &[4, 0, 0, 11, 1, 1]);
    bytes.extend(b"x\0\0\0");
    // Of dimension 0, without attributes, int, 16 bytes, beginning behind this header.
    let begin = u32::try_from(bytes.len()).unwrap() + 4 * 7;
    words(&mut bytes, &[1, 0, 0, 0, 4, 16, begin]);
    words(&mut bytes, &[1, 2, 3, 4]);
    bytes
}

#[test]
fn a_file_is_looked_into_alike_by_hand_and_by_the_web_page_and_needs_no_nas() {
    let env = TestEnv::new();
    let path = file(&env, "c1.csv", table(3000));
    let by_hand = env.json(&["probe", "c1.csv"]);
    assert!(!env.nas.exists(), "no NAS is made for a file");
    assert_eq!(by_hand["format"], "csv");
    assert_eq!(by_hand["table"]["rows"], 3000);
    assert_eq!(by_hand["table"]["decimal"], ",");
    assert_eq!(by_hand["table"]["columns"][1]["unit"], "°C");
    assert_eq!(by_hand["table"]["time"]["step_seconds"], 60.0);
    assert_eq!(by_hand["table"]["time"]["day_first"], "yes");
    let by_page = env.admin("probe-file", &json!({"path": path}));
    assert_eq!(by_page["result"], by_hand);
    let shown = env.run(&["probe", "./c1.csv"]).ok().stdout;
    for words in [
        "csv (text/csv)",
        "Horodatage as %d/%m/%Y %H:%M, the day first",
        "60 s, 0 gaps",
        "°C",
    ] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
}

#[test]
fn files_of_an_experiment_are_looked_into_once_and_again_when_they_change() {
    let env = TestEnv::with_experiment();
    let raw = env.at("eco/raw");
    fs::write(raw.join("a.csv"), table(100)).unwrap();
    fs::write(raw.join("whole.nc"), classic()).unwrap();
    fs::write(raw.join("notes.txt"), "A note.\nAnother one.\n").unwrap();
    fs::write(raw.join(".hidden"), "x").unwrap();
    symlink("/etc/passwd", raw.join("link.csv")).unwrap();
    let count = |examined: &Value, name: &str| examined[name].as_u64().unwrap();

    let before = exact(&env.nas);
    let rehearsed = env.json(&["probe", "eco", "--dry-run"]);
    assert_eq!(count(&rehearsed, "probed"), 3);
    let first = env.json(&["probe", "eco"]);
    assert_eq!(
        (count(&first, "probed"), count(&first, "errors")),
        (3, 0),
        "{first}"
    );
    assert_eq!(first["formats"], json!({"csv": 1, "netcdf": 1, "text": 1}));
    let second = env.admin("probe-experiment", &json!({"code": "eco"}))["result"].clone();
    assert_eq!(
        (count(&second, "probed"), count(&second, "unchanged")),
        (0, 3)
    );
    assert_eq!(second["formats"], first["formats"]);

    // The file is cut: that is damage, and ends with 3.
    fs::write(raw.join("whole.nc"), &classic()[..classic().len() - 1]).unwrap();
    let ran = env.run(&["probe", "eco"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.stdout.contains("raw/whole.nc\n  ERROR:") && ran.stdout.contains("[netcdf.truncated]"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("1 files looked into, 2 unchanged"),
        "{ran:?}"
    );

    // Nothing but the index was written.
    fs::write(raw.join("whole.nc"), classic()).unwrap();
    let data = |all: std::collections::BTreeMap<String, String>| {
        let mut all = all;
        all.retain(|path, _| {
            !path.contains("/.octonas/")
                && !path.ends_with("whole.nc")
                && !path.ends_with("/.octonas")
        });
        all
    };
    assert_eq!(data(before), data(exact(&env.nas)));
    env.run(&["probe", "none"]).failed(1, "experiment.unknown");
    env.run(&["probe", "none.csv"]).failed(1, "path.missing");
}

#[test]
fn what_is_no_regular_file_is_never_read() {
    let env = TestEnv::new();
    let root = env.root.path();
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    env.run(&["probe", "./fifo"]).failed(1, "path.not-regular");
    env.run(&["probe", "./link"]).failed(1, "path.link");
    // The program itself, whatever it is given.
    for given in [
        Path::new("/"),
        Path::new("/dev/null"),
        Path::new("/dev/zero"),
    ] {
        let output = Command::new(PROBE)
            .env_clear()
            .stdin(File::open(given).unwrap())
            .output()
            .unwrap();
        let contents: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(codes(&contents), ["file.not-regular"], "{given:?}");
    }
}

#[test]
fn hostile_files_cost_a_finding_and_nothing_else() {
    let env = TestEnv::new();
    let wide = format!("{}\n{}\n", "name,".repeat(300_000), "1,".repeat(300_000));
    let nul = [table(50).into_bytes(), vec![0; 100], b"\r\n".to_vec()].concat();
    let quotes = format!("a,b\n{}", "\"1,\"2\n".repeat(20_000));
    let escape = "a\u{1b}[2J;b\u{202e}c\n1;2\n3;4\n";
    for (name, bytes, code) in [
        ("empty", Vec::new(), "file.empty"),
        ("wide.csv", wide.into_bytes(), "csv.many-columns"),
        ("nul.csv", nul, "text.nul"),
        ("quotes.csv", quotes.into_bytes(), "csv.quote-unclosed"),
        ("cut.nc", classic()[..40].to_vec(), "netcdf.truncated"),
        (
            "noise.nc",
            [b"CDF\x01", [0xFF; 500].as_slice()].concat(),
            "netcdf.unreadable",
        ),
        (
            "noise.h5",
            [b"\x89HDF\r\n\x1a\n", [0xAA; 500].as_slice()].concat(),
            "netcdf.unreadable",
        ),
        (
            "noise.jpg",
            [b"\xFF\xD8\xFF\xE1", [0x42; 500].as_slice()].concat(),
            "image.unreadable",
        ),
        (
            "noise.png",
            [b"\x89PNG\r\n\x1a\n", [0x42; 500].as_slice()].concat(),
            "image.truncated",
        ),
    ] {
        file(&env, name, bytes);
        let contents = env.json(&["probe", &format!("./{name}")]);
        assert!(
            codes(&contents).iter().any(|c| c == code),
            "{name}: {contents}"
        );
    }
    file(&env, "escape.csv", escape);
    let shown = env.run(&["probe", "escape.csv"]).ok().stdout;
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
        "{shown:?}"
    );
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_a_finding_about_the_file() {
    let env = TestEnv::new();
    for wait in [100, 200, 400, 800, 50, 1600] {
        let path = file(&env, "shrinking.csv", table(400_000));
        let mut command = env.command(&["--json", "probe", "shrinking.csv"]);
        let child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(4096)
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let contents: Value = serde_json::from_slice(&output.stdout).unwrap();
        // It may have been too early or too late: then another time.
        if codes(&contents) == ["file.shrank"] {
            assert_eq!(output.status.code(), Some(3));
            assert_eq!(contents["format"], "binary");
            return;
        }
    }
    panic!("it was never caught in the act");
}

#[test]
fn the_probe_has_given_everything_up_before_it_reads() {
    let env = TestEnv::new();
    let path = file(&env, "long.csv", table(400_000));
    let mut child = Command::new(PROBE)
        .env_clear()
        .stdin(File::open(&path).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let seen = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        if text.contains("Seccomp:\t2") || child.try_wait().unwrap().is_some() {
            break text;
        }
    };
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap_or_default();
    let line = |name: &str| {
        let line = seen.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} is not in {seen}"))
            .split_once(':')
            .unwrap()
            .1
            .trim()
            .to_owned()
    };
    assert_eq!(line("NoNewPrivs"), "1");
    assert_eq!(line("Seccomp:"), "2");
    let root = nix::unistd::geteuid().is_root();
    if root {
        assert_eq!(line("Uid"), "65534\t65534\t65534\t65534");
        assert_eq!(line("Gid"), "65534\t65534\t65534\t65534");
        assert_eq!(line("Groups"), "");
    }
    assert_eq!(line("CapEff").trim_matches('0'), "");
    let limit = |name: &str| {
        limits
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    let files = limit("Max open files");
    assert_eq!(files.split_whitespace().nth(3), Some("3"), "{files}");
    assert!(
        !limit("Max cpu time").contains("unlimited")
            && !limit("Max address space").contains("unlimited")
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn only_the_probe_links_the_c_libraries() {
    let linked = |program: &str| {
        let bytes = fs::read(program).unwrap();
        bytes.windows(12).any(|window| window == b"libnetcdf.so")
    };
    assert!(linked(PROBE));
    assert!(!linked(env!("CARGO_BIN_EXE_octonas")));
    assert!(!linked(env!("CARGO_BIN_EXE_octonas-gate")));
}

#[test]
fn an_answer_of_a_probe_goes_nowhere_but_into_its_pipe() {
    let env = TestEnv::new();
    let path = file(&env, "a.csv", table(10));
    let before = exact(env.root.path());
    let mut child = Command::new(PROBE)
        .args(["--help", "/etc/passwd"])
        .env_clear()
        .env("HOME", env.root.path())
        .current_dir(env.root.path())
        .stdin(File::open(&path).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.wait().unwrap();
    untouched(env.root.path(), &before, &"the probe");
}
