//! From the landing of a source to its place: every file once, with one receipt and one line in the baseline.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Child;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Ran, TestEnv, definition, exact, finish, names, os, untouched};

pub const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJlfTMelv83jE/USL7TtifvU/+XbPqF/JPf3Tomeoksm plc@c1";

/// An active experiment with two sources.
pub fn with_sources(code: &str) -> String {
    definition(code)
        + "id: 0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11
status: active
sources:
  - { id: plc, kind: linux, timezone: UTC, into: raw, every: 15min }
  - { id: cam, kind: windows, timezone: Europe/Paris, into: photos/cam, every: 1h }
"
}

/// A NAS with that experiment, whose files count as stable at once.
pub struct Field {
    pub env: TestEnv,
    config: PathBuf,
}

impl Field {
    pub fn new() -> Self {
        let env = TestEnv::new();
        env.create(&with_sources("eco")).ok();
        let config = env.root.path().join("octonas.yaml");
        fs::write(&config, "ingest: { stable-minutes: 0 }\n").unwrap();
        Self { env, config }
    }

    pub fn deliver(&self, source: &str, path: &str, content: &str) {
        let file = self.env.at(&format!("eco/landing/{source}/data/{path}"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub fn sum(&self, source: &str, path: &str, content: &str) {
        let file = self
            .env
            .at(&format!("eco/landing/{source}/sums/{path}.sha256"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{}  {path}\n", sha256(content))).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut all = vec!["--config", self.config.to_str().unwrap()];
        all.extend(arguments);
        self.env.command(&all)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments), b"")
    }

    /// Without looking into what was received, which is a process for every file.
    pub fn ingest(&self) -> Value {
        let ran = self
            .run(&["--json", "--quiet", "ingest", "eco", "--no-probe"])
            .ok();
        serde_json::from_str::<Value>(&ran.stdout).unwrap()[0].take()
    }

    fn start(&self) -> Child {
        self.command(&["--quiet", "ingest", "eco"]).spawn().unwrap()
    }

    pub fn receipts(&self, source: &str) -> Vec<Value> {
        let dir = self.env.at(&format!("eco/landing/{source}/receipts"));
        names(&dir)
            .iter()
            .flat_map(|name| lines(&dir.join(name)))
            .collect()
    }

    pub fn baseline(&self) -> Vec<Value> {
        let all = self.env.at(".octonas/baseline");
        let mut files = Vec::new();
        for id in names(&all) {
            files.extend(
                names(&all.join(&id))
                    .iter()
                    .map(|year| all.join(&id).join(year)),
            );
        }
        files.into_iter().flat_map(|file| lines(&file)).collect()
    }

    pub fn content(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.env.at(&format!("eco/{path}"))).ok()
    }

    /// Path → reason of what waits.
    fn pending(&self) -> BTreeMap<String, String> {
        let ran = self.run(&["--json", "landing", "eco"]).ok();
        let found: Value = serde_json::from_str(&ran.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        found["pending"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["path"]), text(&one["reason"])))
            .collect()
    }
}

fn lines(file: &std::path::Path) -> Vec<Value> {
    fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn sha256(content: impl AsRef<[u8]>) -> String {
    crate::support::hex(&Sha256::digest(content.as_ref()))
}

fn outcome(receipt: &Value) -> (&str, &str, &str) {
    let text = |name: &str| receipt[name].as_str().unwrap_or_default();
    (text("outcome"), text("path"), text("reason"))
}

#[test]
fn a_right_file_is_in_its_place_with_a_receipt_and_a_baseline_line() {
    let field = Field::new();
    field.deliver("plc", "day1/a.csv", "1;2\n");
    field.sum("plc", "day1/a.csv", "1;2\n");
    let data = field.env.at("eco/landing/plc/data");
    let before = fs::metadata(data.join("day1/a.csv"))
        .unwrap()
        .modified()
        .unwrap();
    // Of five minutes nothing is waited for where a sum says that it is whole.
    let ran = field.env.run(&["ingest", "eco"]).ok();
    assert_eq!(ran.stdout, "eco: 1 files (4 bytes) received\n");
    assert_eq!(field.content("raw/day1/a.csv").as_deref(), Some("1;2\n"));
    let after = fs::metadata(field.env.at("eco/raw/day1/a.csv")).unwrap();
    assert_eq!(after.modified().unwrap(), before, "its time is kept");
    let receipts = field.receipts("plc");
    assert_eq!(receipts.len(), 1);
    let receipt = &receipts[0];
    assert_eq!(outcome(receipt), ("received", "day1/a.csv", ""));
    assert_eq!(receipt["into"], "raw/day1/a.csv");
    assert_eq!(receipt["sha256"], sha256("1;2\n"));
    assert_eq!(
        (&receipt["receipt"], &receipt["size"]),
        (&1.into(), &4.into())
    );
    let baseline = field.baseline();
    assert_eq!(baseline.len(), 1);
    assert_eq!(
        (&baseline[0]["path"], &baseline[0]["sha256"]),
        (&receipt["into"], &receipt["sha256"])
    );
    assert!(names(&data.join("day1")).is_empty());
    assert!(names(&field.env.at("eco/landing/plc/sums/day1")).is_empty());
    assert!(field.receipts("cam").is_empty());
    // Run again, nothing happens, and nothing is written.
    let before = exact(&field.env.nas);
    let again = field.env.run(&["ingest", "eco"]).ok();
    untouched(&field.env.nas, &before, &again);
    field.env.run(&["experiment", "check", "eco"]).ok();
    field.env.run(&["doctor"]).ok();
}

#[test]
fn what_is_not_right_or_not_whole_stays_out_of_the_experiment() {
    let field = Field::new();
    field.deliver("plc", "wrong", "abc");
    field.sum("plc", "wrong", "abd");
    field.deliver("plc", "nonsense", "abc");
    fs::write(
        field.env.at("eco/landing/plc/sums/nonsense.sha256"),
        "no sum\n",
    )
    .unwrap();
    field.deliver("plc", "half.csv.part", "a");
    field.deliver("plc", ".tmp/a", "a");
    field.deliver("plc", "twice", "a");
    let data = field.env.at("eco/landing/plc/data");
    fs::hard_link(data.join("twice"), data.join("thrice")).unwrap();
    symlink("/etc/passwd", data.join("link")).unwrap();
    nix::unistd::mkfifo(&data.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(data.join(os(b"latin\xe9")), "a").unwrap();
    field.deliver("plc", "open", "a");
    let mut writer = fs::OpenOptions::new()
        .append(true)
        .open(data.join("open"))
        .unwrap();
    let report = field.ingest();
    assert_eq!(report["received"], 0);
    assert_eq!(report["refused"], 1);
    let pending = field.pending();
    let wanted = [
        (".tmp/a", "unfinished"),
        ("fifo", "not-a-file"),
        ("half.csv.part", "unfinished"),
        ("latin\u{fffd}", "name-not-text"),
        ("link", "not-a-file"),
        ("thrice", "linked"),
        ("twice", "linked"),
    ];
    let wanted: BTreeMap<String, String> = wanted
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect();
    assert_eq!(pending, wanted);
    let said: Vec<(&str, &str)> = report["pending"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["path"].as_str().unwrap(),
                one["reason"].as_str().unwrap(),
            )
        })
        .filter(|(_, reason)| ["in-use", "sum-invalid"].contains(reason))
        .collect();
    assert_eq!(said, [("open", "in-use"), ("nonsense", "sum-invalid")]);
    assert_eq!(names(&field.env.at("eco/raw")), Vec::<String>::new());
    let receipts = field.receipts("plc");
    assert_eq!(receipts.len(), 1);
    assert_eq!(outcome(&receipts[0]), ("refused", "wrong", "checksum"));
    // It is kept where only root looks, and the kit may send it again.
    assert!(!data.join("wrong").exists());
    assert!(!field.env.at("eco/landing/plc/sums/wrong.sha256").exists());
    let ran = field.run(&["landing", "eco"]).ok();
    assert!(ran.stdout.contains("wrong of plc (checksum)"), "{ran:?}");
    field.deliver("plc", "wrong", "abd");
    field.sum("plc", "wrong", "abd");
    // Whoever wrote to it has finished.
    std::io::Write::write_all(&mut writer, b"b").unwrap();
    drop(writer);
    let report = field.ingest();
    assert_eq!(report["received"], 2, "{report}");
    assert_eq!(field.content("raw/wrong").as_deref(), Some("abd"));
    assert_eq!(field.content("raw/open").as_deref(), Some("ab"));
}

#[test]
fn a_file_without_a_sum_has_to_lie_still_first() {
    let field = Field::new();
    field.deliver("cam", "a.jpg", "x");
    let before = exact(&field.env.nas);
    let dry = field.env.run(&["ingest", "eco", "--dry-run"]).ok();
    assert_eq!(
        dry.stdout,
        "eco: 0 files (0 bytes) would be received, 1 pending\n"
    );
    untouched(&field.env.nas, &before, &dry);
    field.env.run(&["ingest", "eco"]).ok();
    let ran = field.env.run(&["landing", "eco"]).ok();
    assert!(ran.stdout.contains("growing"), "{ran:?}");
    assert_eq!(field.ingest()["received"], 1);
    assert_eq!(field.content("photos/cam/a.jpg").as_deref(), Some("x"));
}

#[test]
fn a_taken_name_is_refused_once_and_the_baseline_stays() {
    let field = Field::new();
    field.deliver("plc", "a.csv", "first");
    field.ingest();
    field.deliver("plc", "a.csv", "second");
    for _ in 0..3 {
        field.ingest();
        assert_eq!(field.pending()["a.csv"], "name-taken");
    }
    let receipts = field.receipts("plc");
    let told: Vec<_> = receipts.iter().map(outcome).collect();
    assert_eq!(
        told,
        [
            ("received", "a.csv", ""),
            ("refused", "a.csv", "name-taken")
        ]
    );
    assert_eq!(field.content("raw/a.csv").as_deref(), Some("first"));
    assert_eq!(
        field.content("landing/plc/data/a.csv").as_deref(),
        Some("second")
    );
    assert_eq!(field.baseline().len(), 1);
    // The same content again is received again, without another line in the baseline.
    field.deliver("plc", "a.csv", "first");
    assert_eq!(field.ingest()["again"], 1);
    assert_eq!(
        (field.receipts("plc").len(), field.baseline().len()),
        (3, 1)
    );
    // Once somebody made room, the other one goes in.
    field.deliver("plc", "a.csv", "second");
    field.ingest();
    fs::rename(
        field.env.at("eco/raw/a.csv"),
        field.env.at("eco/raw/a-old.csv"),
    )
    .unwrap();
    assert_eq!(field.ingest()["received"], 1);
    assert_eq!(field.content("raw/a.csv").as_deref(), Some("second"));
    assert!(field.pending().is_empty());
}

#[test]
fn names_that_hurt_are_told_and_twins_wait() {
    let field = Field::new();
    for name in [
        "100%.csv",
        "aux.txt",
        "e\u{301}.csv",
        "trailing.",
        "tab\t.csv",
        "A.csv",
        "a.csv",
        "Dir/x",
        "dir/y",
    ] {
        field.deliver("plc", name, name);
    }
    fs::write(field.env.at("eco/raw/\u{e9}.csv"), "there").unwrap();
    let report = field.ingest();
    let codes: Vec<&str> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        [
            "name.percent",
            "name.windows",
            "name.control",
            "name.trailing"
        ]
    );
    let pending = field.pending();
    let wanted = ["a.csv", "dir/y", "e\u{301}.csv"].map(|n| (n.to_owned(), "name-twin".to_owned()));
    assert_eq!(pending, BTreeMap::from(wanted));
    assert_eq!(field.content("raw/100%.csv").as_deref(), Some("100%.csv"));
    assert_eq!(field.content("raw/Dir/x").as_deref(), Some("Dir/x"));
}

#[test]
fn ten_thousand_files_are_each_in_their_place_once() {
    let field = Field::new();
    for number in 0..10_000 {
        let path = format!("d{}/{number}.csv", number % 40);
        field.deliver(
            if number % 2 == 0 { "plc" } else { "cam" },
            &path,
            &number.to_string(),
        );
    }
    let report = field.ingest();
    assert_eq!(report["received"], 10_000);
    let baseline = field.baseline();
    let paths: std::collections::BTreeSet<&str> = baseline
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!((baseline.len(), paths.len()), (10_000, 10_000));
    let receipts = field.receipts("plc").len() + field.receipts("cam").len();
    assert_eq!(receipts, 10_000);
    for number in [0, 1, 4711, 9999] {
        let into = if number % 2 == 0 { "raw" } else { "photos/cam" };
        let path = format!("{into}/d{}/{number}.csv", number % 40);
        assert_eq!(field.content(&path), Some(number.to_string()));
    }
    let sources: Value = field.env.json(&["source", "list", "eco"]);
    assert_eq!(sources[0]["files"], 5000);
    assert_eq!(sources[0]["late"], false);
}

#[test]
fn two_ingests_at_once_take_nothing_in_twice() {
    let field = Field::new();
    for number in 0..600 {
        field.deliver("plc", &format!("{number}.csv"), &number.to_string());
    }
    let both = [field.start(), field.start()];
    for child in both {
        let output = child.wait_with_output().unwrap();
        let exit = output.status.code();
        assert!(matches!(exit, Some(0 | 4)), "{output:?}");
    }
    field.ingest();
    assert_eq!(
        (field.receipts("plc").len(), field.baseline().len()),
        (600, 600)
    );
    assert_eq!(names(&field.env.at("eco/raw")).len(), 600);
}

#[test]
fn only_an_active_experiment_takes_anything_in() {
    let field = Field::new();
    field.deliver("plc", "a.csv", "a");
    field.env.run(&["experiment", "close", "eco"]).ok();
    field.run(&["ingest", "eco"]).failed(1, "ingest.closed");
    field.run(&["ingest", "--all"]).ok();
    assert_eq!(
        field.content("landing/plc/data/a.csv").as_deref(),
        Some("a")
    );
    field.env.run(&["experiment", "reopen", "eco"]).ok();
    let ran = field.run(&["ingest", "--all"]).ok();
    assert_eq!(ran.stdout, "eco: 1 files (1 bytes) received\n");
    field.env.run(&["experiment", "remove", "eco"]).ok();
    field
        .run(&["ingest", "eco"])
        .failed(1, "experiment.removed");
    let draft = definition("draft") + "status: draft\n";
    field.env.create(&draft).ok();
    field.run(&["ingest", "draft"]).failed(1, "ingest.closed");
    assert_eq!(field.run(&["ingest"]).exit, Some(2));
}

#[test]
fn a_source_that_is_taken_out_keeps_its_landing_until_it_is_empty() {
    let field = Field::new();
    field.deliver("cam", "late.jpg", "x");
    let with = with_sources("eco");
    let cam = with.lines().find(|line| line.contains("id: cam")).unwrap();
    let without = with.replace(&format!("{cam}\n"), "");
    field.env.edit(&without).ok();
    assert_eq!(
        field.content("landing/cam/data/late.jpg").as_deref(),
        Some("x")
    );
    assert_eq!(field.ingest()["received"], 0);
    assert_eq!(field.pending()["late.jpg"], "no-destination");
    field.env.edit(&with_sources("eco")).ok();
    assert_eq!(field.ingest()["received"], 1);
    field.env.run(&["experiment", "check", "eco"]).ok();
}

#[test]
fn a_source_comes_in_by_key_until_it_is_revoked() {
    let field = Field::new();
    let key = field.env.root.path().join("key.pub");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    let key = key.to_str().unwrap();
    let env = &field.env;
    let before = exact(&env.nas);
    let dry = env
        .run(&["source", "enrol", "eco", "plc", "--key", key, "--dry-run"])
        .ok();
    untouched(&env.nas, &before, &dry);
    env.run(&["source", "enrol", "eco", "plc", "--key", key])
        .ok();
    let again = env
        .run(&["source", "enrol", "eco", "plc", "--key", key])
        .ok();
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    env.run(&["source", "enrol", "eco", "cam", "--key", key])
        .failed(1, "key.taken");
    env.run(&["source", "enrol", "eco", "other", "--key", key])
        .failed(1, "source.unknown");
    let options = format!("restrict,command=\"/bin/sh\" {KEY}");
    env.with_input(
        &["source", "enrol", "eco", "plc", "--key", "-"],
        options.as_bytes(),
    )
    .failed(1, "key.invalid");
    let rows = env.json(&["source", "list", "eco"]);
    assert_eq!(rows[0]["keys"][0]["key"], KEY);
    assert!(rows[0]["account"].as_str().unwrap().starts_with("octsrc-"));
    let objects = fs::read_to_string(env.at(".octonas/nas.jsonl")).unwrap();
    assert!(objects.contains("\"key:1\":\"ssh-ed25519"), "{objects}");
    env.run(&[
        "source",
        "revoke",
        "eco",
        "plc",
        "--fingerprint",
        "SHA256:x",
    ])
    .failed(1, "key.unknown");
    env.run(&["source", "revoke", "eco", "plc"]).ok();
    assert_eq!(
        env.json(&["source", "list", "eco"])[0]["keys"],
        serde_json::json!([])
    );
    let last = fs::read_to_string(env.at(".octonas/nas.jsonl")).unwrap();
    let last = last
        .lines()
        .rfind(|line| line.contains("eco/plc"))
        .unwrap()
        .to_owned();
    assert!(!last.contains("key:1"), "{last}");
    env.run(&["experiment", "check", "eco"]).ok();
}

#[test]
fn what_was_refused_goes_with_the_data_and_the_baseline_stays() {
    let field = Field::new();
    field.deliver("plc", "a.csv", "a");
    field.deliver("plc", "wrong", "abc");
    field.sum("plc", "wrong", "abd");
    field.ingest();
    field
        .env
        .run(&["experiment", "remove", "eco", "--delete-data", "eco"])
        .ok();
    for room in ["incoming", "refused", "catalogue"] {
        assert_eq!(
            names(&field.env.at(&format!(".octonas/{room}"))),
            Vec::<String>::new(),
            "{room}"
        );
    }
    assert_eq!(field.baseline().len(), 1);
}

#[test]
fn an_index_that_was_lost_comes_back_from_the_baseline() {
    let field = Field::new();
    field.deliver("plc", "a.csv", "a");
    field.ingest();
    fs::remove_dir_all(field.env.at(".octonas/catalogue")).unwrap();
    field.deliver("plc", "a.csv", "a");
    assert_eq!(field.ingest()["again"], 1);
    assert_eq!(field.baseline().len(), 1);
    assert_eq!(field.env.json(&["source", "list", "eco"])[0]["files"], 1);
}

#[test]
fn the_web_page_does_the_same() {
    let field = Field::new();
    let env = &field.env;
    field.deliver("plc", "a.csv", "a");
    field.sum("plc", "a.csv", "a");
    let fingerprint = "SHA256:FaIvHKTCdUPiXQkES4qNwaaQHfEs7L8Y1ywq/QoL1WY";
    crate::rpc::golden(
        env,
        "rpc-sources",
        &[
            ("ingest", json!({"code": "eco", "dry-run": true})),
            ("ingest", json!({"all": true})),
            ("ingest", json!({})),
            ("landing", json!({"code": "eco"})),
            (
                "enrol-source",
                json!({"code": "eco", "source": "plc", "key": KEY}),
            ),
            ("enrol-source", json!({"code": "eco", "source": "plc"})),
            ("list-sources", json!({"code": "eco"})),
            (
                "revoke-source",
                json!({"code": "eco", "source": "plc", "fingerprint": fingerprint}),
            ),
        ],
    );
}
