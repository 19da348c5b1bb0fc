//! Damage, loss and silent change are found; good copies put them right; the evidence tells when it was tampered with.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::catalogue::{lines, scan, settle, write};
use crate::support::{TestEnv, copy, have, key, names};

/// An experiment with files that somebody has looked through, and a good copy of all of them.
fn known() -> TestEnv {
    let env = TestEnv::with_experiment();
    for (path, content) in [
        ("raw/a", "aaaa"),
        ("raw/d/b", "bbbb"),
        ("raw/d/c", "cccc"),
        ("docs/d", "dddd"),
    ] {
        write(&env, path, content);
    }
    settle();
    scan(&env);
    fs::create_dir(env.root.path().join("copy")).unwrap();
    for dir in ["raw", "docs"] {
        copy(
            &env.at(&format!("eco/{dir}")),
            &env.root.path().join("copy").join(dir),
        );
    }
    env
}

/// Changes what a file holds, and nothing else that shows.
pub fn rot(path: &Path, content: &str) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, content).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

fn verify(env: &TestEnv, more: &[&str]) -> (Option<i32>, Value) {
    let mut all = vec!["--json", "--quiet", "verify", "eco"];
    all.extend(more);
    let ran = env.run(&all);
    let mut value: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    (ran.exit, value[0].take())
}

fn found(report: &Value) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["code"].as_str().unwrap().to_owned(),
                one["path"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    all.sort();
    all
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn what_rotted_or_went_away_is_found_and_what_somebody_changed_is_not() {
    let env = known();
    rot(&env.at("eco/raw/a"), "aaXa");
    fs::remove_file(env.at("eco/raw/d/b")).unwrap();
    fs::write(env.at("eco/raw/d/c"), "changed openly").unwrap();
    let (exit, report) = verify(&env, &[]);
    assert_eq!(exit, Some(3));
    assert_eq!(
        found(&report),
        pairs(&[("loss", "raw/d/b"), ("silent-change", "raw/a")])
    );
    assert_eq!(
        (&report["good"], &report["changed"]),
        (&json!(1), &json!(1))
    );
    // The ledger says so, for whoever sends mails.
    let (operation, outcome) = env.last_event().unwrap();
    assert_eq!((operation.as_str(), outcome.as_str()), ("verify", "done"));
    // A scan takes the open change, and the deletion: nothing forbade it. The rotten file stays found, and has no new line.
    let lines_before = lines(&env, "baseline").len();
    let scanned = scan(&env);
    assert_eq!(scanned["findings"][0]["code"], "silent-change");
    assert_eq!(lines(&env, "baseline").len(), lines_before + 1);
    let (exit, report) = verify(&env, &[]);
    assert_eq!(
        (exit, found(&report)),
        (Some(3), pairs(&[("silent-change", "raw/a")]))
    );
    let status = env.run(&["catalogue", "status", "eco"]);
    assert!(
        status.exit == Some(3) && status.stdout.contains("raw/a"),
        "{status:?}"
    );
    // It is found once, not again by every check.
    let records = lines(&env, "checks");
    assert_eq!(
        records
            .iter()
            .filter(|line| line["what"] == "found" && line["detail"]["path"] == "raw/a")
            .count(),
        1
    );
}

#[test]
fn good_copies_put_back_what_was_damaged_and_the_bad_file_is_kept() {
    let env = known();
    rot(&env.at("eco/raw/a"), "aaXa");
    fs::remove_dir_all(env.at("eco/raw/d")).unwrap();
    rot(&env.root.path().join("copy/raw/d/c"), "cXcc");
    let (exit, report) = verify(&env, &["--repair-from", "copy"]);
    // The copy of one is bad itself: it is not taken.
    assert_eq!((exit, &report["repaired"]), (Some(3), &json!(2)));
    assert_eq!(fs::read_to_string(env.at("eco/raw/a")).unwrap(), "aaaa");
    assert_eq!(fs::read_to_string(env.at("eco/raw/d/b")).unwrap(), "bbbb");
    assert!(!env.at("eco/raw/d/c").exists());
    let damaged = env.at(".octonas/damaged");
    let kept = damaged.join(&names(&damaged)[0]);
    assert_eq!(names(&kept).len(), 1);
    assert_eq!(
        fs::read_to_string(kept.join(&names(&kept)[0])).unwrap(),
        "aaXa"
    );
    let time = |path: std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(
        time(env.at("eco/raw/a")),
        time(env.root.path().join("copy/raw/a"))
    );
    let (exit, report) = verify(&env, &[]);
    assert_eq!(
        (exit, found(&report)),
        (Some(3), pairs(&[("loss", "raw/d/c")]))
    );
    // The next scan knows them as they are.
    let scanned = scan(&env);
    assert_eq!(
        (&scanned["new"], &scanned["changed"]),
        (&json!(0), &json!(0))
    );
    env.run(&["evidence", "verify", "eco"]).ok();
}

#[test]
fn a_long_verification_reads_every_file_once_and_ends() {
    let env = TestEnv::with_experiment();
    // More than are written down at once.
    for number in 0..9_000 {
        write(&env, &format!("raw/d{}/{number}", number / 1000), "x");
    }
    settle();
    scan(&env);
    // Later than the scan, so that nothing is read twice for having been checked in the same second.
    std::thread::sleep(Duration::from_millis(1100));
    let (exit, report) = verify(&env, &["--within", "60s"]);
    assert_eq!((exit, &report["good"]), (Some(0), &json!(9_000)));
    assert_eq!(report["left"], 0);
}

#[test]
fn a_package_in_one_file_puts_back_what_was_damaged() {
    let env = known();
    let odd = std::ffi::OsStr::from_bytes(b"raw/caf\xe9.csv");
    write(&env, "raw/large", &"0123456789".repeat(100_000));
    fs::write(env.at("eco").join(odd), "odd").unwrap();
    settle();
    scan(&env);
    env.pack("eco.tar.zst", &[]).ok();
    env.pack("eco.zip", &["--format", "zip"]).ok();
    // Not a package of ours: the tree itself, as anybody would pack it.
    let plain = env.path("plain.tar");
    let tar = Command::new("/usr/bin/tar")
        .args(["-C", env.nas.to_str().unwrap(), "-cf", &plain, "eco/raw"])
        .status();
    assert!(tar.unwrap().success());
    let containers = [env.path("eco.tar.zst"), env.path("eco.zip"), plain];
    for from in &containers {
        rot(&env.at("eco/raw/a"), "aaXa");
        fs::remove_dir_all(env.at("eco/raw/d")).unwrap();
        fs::remove_file(env.at("eco/raw/large")).unwrap();
        fs::remove_file(env.at("eco").join(odd)).unwrap();
        let (exit, report) = verify(&env, &["--repair-from", from]);
        assert_eq!((exit, &report["repaired"]), (Some(0), &json!(5)), "{from}");
        assert_eq!(fs::read_to_string(env.at("eco/raw/a")).unwrap(), "aaaa");
        assert_eq!(fs::read(env.at("eco/raw/large")).unwrap().len(), 1_000_000);
        assert_eq!(fs::read(env.at("eco").join(odd)).unwrap(), b"odd");
        assert_eq!(verify(&env, &[]).0, Some(0), "{from}");
        // Nothing of the work stays.
        let work = env.at(".octonas/repair");
        assert_eq!(names(&work.join(&names(&work)[0])), [""; 0]);
    }
    env.run(&["evidence", "verify", "eco"]).ok();

    // Half a package is good for what comes before the damage; the rest stays found.
    let half = env.path("half.tar");
    let bytes = fs::read(&containers[2]).unwrap();
    fs::write(&half, &bytes[..600_000]).unwrap();
    for name in ["raw/a", "raw/d/b", "raw/large"] {
        fs::remove_file(env.at(&format!("eco/{name}"))).unwrap();
    }
    let ran = env.run(&["verify", "eco", "--repair-from", &half]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(
        ran.stderr.contains("could not be read to its end"),
        "{ran:?}"
    );
    assert!(!env.at("eco/raw/large").exists());
    let ran = env.run(&["verify", "eco", "--repair-from", &containers[0]]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(env.at("eco/raw/large").exists());
    env.run(&["verify", "eco", "--repair-from", &env.path("nowhere.zip")])
        .failed(1, "package.missing");
}

#[test]
fn an_encrypted_package_puts_back_what_was_damaged_for_whoever_has_the_key() {
    if !have("age") {
        println!("SKIPPED: no age");
        return;
    }
    let env = known();
    let (public, private) = key(&env, "unit.key");
    let (_, other) = key(&env, "other.key");
    let from = env.path("eco.tar.zst.age");
    env.pack("eco.tar.zst.age", &["--recipient", &public]).ok();
    rot(&env.at("eco/raw/a"), "aaXa");
    env.run(&["verify", "eco", "--repair-from", &from])
        .failed(1, "age.identity");
    env.run(&[
        "verify",
        "eco",
        "--repair-from",
        &from,
        "--identity",
        &other,
    ])
    .failed(1, "age.identity");
    assert_eq!(fs::read_to_string(env.at("eco/raw/a")).unwrap(), "aaXa");
    let (exit, report) = verify(&env, &["--repair-from", &from, "--identity", &private]);
    assert_eq!((exit, &report["repaired"]), (Some(0), &json!(1)));
    assert_eq!(fs::read_to_string(env.at("eco/raw/a")).unwrap(), "aaaa");
}

#[test]
fn a_seal_that_was_broken_is_damage_until_an_administrator_takes_it_off() {
    let env = known();
    env.run(&["seal", "eco", "raw"]).ok();
    // Root, or whoever owns the file on an embedded NAS.
    fs::write(env.at("eco/raw/a"), "another").unwrap();
    fs::remove_file(env.at("eco/raw/d/b")).unwrap();
    settle();
    let ran = env.run(&[
        "--json",
        "--quiet",
        "catalogue",
        "scan",
        "eco",
        "--no-probe",
    ]);
    assert_eq!(ran.exit, Some(3));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        found(&report[0]),
        pairs(&[("damage", "raw/a"), ("loss", "raw/d/b")])
    );
    let (exit, report) = verify(&env, &[]);
    assert_eq!(
        (exit, found(&report)),
        (Some(3), pairs(&[("damage", "raw/a"), ("loss", "raw/d/b")]))
    );
    assert_eq!(lines(&env, "baseline").len(), 4);
    env.run(&["unseal", "eco", "raw/a", "raw/d/b"]).ok();
    let scanned = scan(&env);
    assert_eq!(
        (&scanned["changed"], &scanned["gone"]),
        (&json!(1), &json!(1))
    );
    let (exit, _) = verify(&env, &[]);
    assert_eq!(exit, Some(0));
    env.run(&["unseal", "eco", "raw/nothing"])
        .failed(1, "catalogue.unknown");
}

#[test]
fn a_silent_change_is_accepted_by_an_administrator_who_says_why_and_what_was_stays_in_the_evidence()
{
    let env = known();
    rot(&env.at("eco/raw/a"), "AAAA");
    rot(&env.at("eco/raw/d/b"), "BBBB");
    rot(&env.at("eco/raw/d/c"), "CCCC");
    let accept = |paths: &[&str], more: &[&str]| {
        let mut all = vec!["--json", "--quiet", "accept", "eco"];
        all.extend(paths);
        all.extend(more);
        let ran = env.run(&all);
        let value: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        (ran.exit, value)
    };
    let why = ["--reason", "copied again from the card, looked at by hand"];
    // Nothing is accepted that nobody found, nor without a reason.
    let (exit, report) = accept(&["raw/a"], &why);
    assert_eq!((exit, &report["files"]), (Some(1), &json!([])));
    assert_eq!(verify(&env, &[]).0, Some(3));
    env.run(&["accept", "eco", "raw/a", "--reason", " \t"])
        .failed(1, "accept.reason");
    assert_eq!(env.run(&["accept", "eco", "raw/a"]).exit, Some(2));
    env.run(&["accept", "eco", "raw/none", "--reason", "x"])
        .failed(1, "catalogue.unknown");
    // A rehearsal writes nothing.
    let before = lines(&env, "baseline");
    let (exit, report) = accept(&["raw"], &[&why[..], &["--dry-run"]].concat());
    assert_eq!(exit, Some(0));
    assert_eq!(report["files"].as_array().unwrap().len(), 3);
    assert_eq!(lines(&env, "baseline"), before);
    // One is accepted, one was put back by hand, one was changed openly since, one is good and not meant.
    rot(&env.at("eco/raw/d/b"), "bbbb");
    fs::write(env.at("eco/raw/d/c"), "open").unwrap();
    let (exit, report) = accept(&["raw", "docs"], &why);
    assert_eq!(exit, Some(1));
    let sum = |text: &str| crate::landing::sha256(text.as_bytes());
    assert_eq!(
        report["files"],
        json!([{"path": "raw/a", "was": sum("aaaa"), "sha256": sum("AAAA")}])
    );
    assert_eq!(report["good"], json!(["raw/d/b"]));
    let left = report["left"][0].as_str().unwrap();
    assert!(left.starts_with("raw/d/c: its size or time"), "{left}");
    // The evidence was added to, and holds.
    let after = lines(&env, "baseline");
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.len(), before.len() + 1);
    let line = after.last().unwrap();
    assert_eq!(
        (
            &line["path"],
            &line["sha256"],
            &line["was"],
            &line["accepted"]
        ),
        (
            &json!("raw/a"),
            &json!(sum("AAAA")),
            &json!(sum("aaaa")),
            &json!(why[1])
        )
    );
    let ledger = fs::read_dir(env.at(".octonas/ledger")).unwrap();
    let ledger: String = ledger
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let act = ledger
        .lines()
        .rfind(|line| line.contains("\"accept\""))
        .unwrap();
    let act: Value = serde_json::from_str(act).unwrap();
    assert_eq!(
        (
            &act["outcome"],
            &act["detail"]["reason"],
            &act["detail"]["paths"]
        ),
        (&json!("done"), &json!(why[1]), &json!("raw/a"))
    );
    settle();
    scan(&env);
    let (exit, report) = verify(&env, &[]);
    assert_eq!((exit, &report["good"]), (Some(0), &json!(4)), "{report}");
    env.run(&["evidence", "verify", "eco"]).ok();
    env.run(&["evidence", "rebuild", "eco"]).ok();
    assert_eq!(verify(&env, &[]).0, Some(0));
    env.run(&[
        "package",
        "create",
        "eco",
        "-o",
        env.root.path().join("p").to_str().unwrap(),
    ])
    .ok();
    // What changes silently after it was accepted is found as ever.
    rot(&env.at("eco/raw/a"), "aaaa");
    assert_eq!(
        found(&verify(&env, &[]).1),
        pairs(&[("silent-change", "raw/a")])
    );
}

#[test]
fn what_is_sealed_lost_or_unreadable_is_not_accepted() {
    let env = known();
    env.run(&["seal", "eco", "raw/a"]).ok();
    rot(&env.at("eco/raw/a"), "AAAA");
    fs::remove_file(env.at("eco/raw/d/b")).unwrap();
    assert_eq!(verify(&env, &[]).0, Some(3));
    let before = lines(&env, "baseline");
    let ran = env.run(&["accept", "eco", "raw/a", "raw/d/b", "--reason", "no"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    for why in ["raw/a: it is sealed", "raw/d/b: it is not there"] {
        assert!(ran.stdout.contains(why), "{ran:?}");
    }
    assert_eq!(lines(&env, "baseline"), before);
    assert_eq!(verify(&env, &[]).0, Some(3));
}

#[test]
fn a_line_of_the_evidence_that_was_changed_or_taken_away_is_found() {
    let env = known();
    let (exit, _) = verify(&env, &[]);
    assert_eq!(exit, Some(0));
    env.run(&["evidence", "verify", "eco"]).ok();
    for chain in ["baseline", "checks"] {
        let dir = env.at(&format!(".octonas/{chain}"));
        let dir = dir.join(&names(&dir)[0]);
        let file = dir.join(&names(&dir)[0]);
        let whole = fs::read(&file).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        // Anywhere; the last line is bound by what the ledger says of it.
        for at in (0..whole.len()).step_by(37) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 7);
            fs::write(&file, &bytes).unwrap();
            let ran = env.run(&["evidence", "verify", "eco"]);
            assert_eq!(ran.exit, Some(3), "{chain} at {at}: {ran:?}");
        }
        for end in &ends[..ends.len() - 1] {
            fs::write(&file, &whole[..=*end]).unwrap();
            let ran = env.run(&["evidence", "verify", "eco"]);
            assert!(
                ran.exit == Some(3) && ran.stdout.contains("not there"),
                "{ran:?}"
            );
            // Nothing is added after lines that are missing.
            env.run(&["--quiet", "catalogue", "scan", "eco", "--no-probe"])
                .failed(1, "evidence.shortened");
        }
        fs::write(&file, &whole).unwrap();
        env.run(&["evidence", "verify", "eco"]).ok();
    }
}

#[test]
fn an_index_that_lies_does_not_make_damage_of_what_is_good() {
    let env = known();
    let index = rusqlite::Connection::open(env.index()).unwrap();
    index
        .execute(
            "UPDATE entries SET sha256 = zeroblob(32) WHERE name = 'a'",
            [],
        )
        .unwrap();
    let evidence = env.run(&["evidence", "verify", "eco"]);
    assert!(
        evidence.exit == Some(3) && evidence.stdout.contains("raw/a"),
        "{evidence:?}"
    );
    let (exit, report) = verify(&env, &[]);
    assert_eq!((exit, &report["good"]), (Some(0), &json!(4)));
    env.run(&["evidence", "verify", "eco"]).ok();
    // A clock that went back: what was checked in the future is due.
    index
        .execute(
            "UPDATE entries SET checked = checked + 1000000000 WHERE name = 'a'",
            [],
        )
        .unwrap();
    drop(index);
    let (_, report) = verify(&env, &["--due", "1d", "--dry-run"]);
    assert_eq!(report["due"], 1);
    let (_, report) = verify(&env, &["--due", "1d"]);
    assert_eq!((&report["good"], &report["left"]), (&json!(1), &json!(0)));
}

#[test]
fn what_was_unchecked_longest_comes_first_and_what_is_young_is_passed_over() {
    let env = known();
    let (_, report) = verify(&env, &["--due", "30d"]);
    assert_eq!((&report["good"], &report["left"]), (&json!(0), &json!(0)));
    let index = rusqlite::Connection::open(env.index()).unwrap();
    index
        .execute(
            "UPDATE entries SET checked = checked - 3000000 WHERE name IN ('a', 'd')",
            [],
        )
        .unwrap();
    drop(index);
    let (_, report) = verify(&env, &["--due", "30d"]);
    assert_eq!(report["good"], 2);
    std::thread::sleep(Duration::from_millis(1100));
    let (_, report) = verify(&env, &["--due", "30d"]);
    assert_eq!(report["good"], 0);
    env.run(&["verify", "eco", "--due", "soon"])
        .failed(1, "time.invalid");
}
