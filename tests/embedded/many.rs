//! Many experiments: what grows with them, in counts and in memory, not in time.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::{TestEnv, definition};

/// Runs it to the end; gives its exit code and the most memory that it held, in KiB (`ru_maxrss` of getrusage(2)).
/// One that does not end in time is killed, which is no exit code.
pub fn peak_memory(command: &Command, limit: Duration) -> (Option<i32>, u64) {
    let mut timed = Command::new("/usr/bin/python3");
    timed
        .arg("-c")
        .arg(MEASURE)
        .arg(limit.as_secs().to_string());
    timed.arg(command.get_program()).args(command.get_args());
    timed.env_clear().envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    if let Some(dir) = command.get_current_dir() {
        timed.current_dir(dir);
    }
    let output = timed.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().map(|word| word.parse::<i64>().ok());
    let (Some(Some(exit)), Some(Some(memory))) = (words.next(), words.next()) else {
        panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    (
        i32::try_from(exit).ok().filter(|exit| *exit >= 0),
        memory.unsigned_abs(),
    )
}

/// Standard input of the measured program is the file named by `STDIN`, or nothing.
const MEASURE: &str = r#"
import os, resource, subprocess, sys
limit, program = int(sys.argv[1]), sys.argv[2:]
stdin = open(os.environ["STDIN"], "rb") if "STDIN" in os.environ else subprocess.DEVNULL
try:
    done = subprocess.run(program, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=limit)
    code = done.returncode
except subprocess.TimeoutExpired:
    code = -1
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"#;

/// A NAS with this many experiments of the minimal layout.
fn crowd(count: usize) -> TestEnv {
    let env = TestEnv::new();
    for number in 0..count {
        env.create(&definition(&format!("eco-{number}"))).ok();
    }
    env
}

#[test]
fn three_hundred_experiments_are_listed_and_checked_within_bounds() {
    let count = 300;
    let env = crowd(count);
    let list = env.json(&["experiment", "list"]);
    assert_eq!(list["rows"].as_array().unwrap().len(), count);
    let check = env.json(&["experiment", "check"]);
    let reports = check.as_array().unwrap();
    assert_eq!(reports.len(), count);
    assert!(
        reports
            .iter()
            .all(|report| report["status"] == "active" && report["error"].is_null()),
        "{check}"
    );

    // The list is served from the cache: no experiment's directory is opened.
    let opened = |arguments: &[&str]| opens(&env, arguments);
    if let Some(paths) = opened(&["experiment", "list"]) {
        let touched = paths.iter().filter(|path| path.contains("eco-")).count();
        assert_eq!(touched, 0, "{paths:?}");
    }
    // A check opens a bounded number of files per experiment, and reads the NAS's file once.
    if let Some(paths) = opened(&["experiment", "check"]) {
        let nas = paths
            .iter()
            .filter(|path| path.contains("nas.jsonl"))
            .count();
        // Each reading is two opens: by name, then for its bytes.
        assert!(nas <= 4, "the NAS's own file is opened {nas} times");
        let per_experiment = paths.len() / count;
        println!("check: {per_experiment} files opened per experiment");
        assert!(per_experiment <= 40, "{per_experiment}");
    }
    // Few descriptors are held at a time, whatever the number of experiments.
    let mut few = Command::new("/bin/sh");
    few.args([
        "-c",
        "ulimit -n 100; exec \"$0\" experiment check",
        crate::support::OCTONAS,
    ]);
    few.env("OCTONAS_NAS", format!("local:{}", env.nas.display()));
    let output = few.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    for arguments in [
        &["experiment", "list"][..],
        &["experiment", "check"],
        &["experiment", "list", "--refresh"],
    ] {
        let (exit, memory) = peak_memory(&env.command(arguments), Duration::from_secs(60));
        assert_eq!(exit, Some(0), "{arguments:?}");
        println!("{arguments:?}: {memory} KiB");
        assert!(memory < 64 << 10, "{arguments:?}: {memory} KiB");
    }
    fs::write(
        env.root.path().join("one-more.yaml"),
        definition("one-more"),
    )
    .unwrap();
    let (exit, memory) = peak_memory(
        &env.command(&["experiment", "create", "-f", "one-more.yaml"]),
        Duration::from_secs(60),
    );
    assert_eq!(exit, Some(0));
    println!("create: {memory} KiB");
    assert!(memory < 64 << 10, "create: {memory} KiB");
}

/// The paths that a run opens, as strace(1) tells; `None`, aloud, where there is no strace.
fn opens(env: &TestEnv, arguments: &[&str]) -> Option<Vec<String>> {
    let lines = crate::order::traced(env, arguments, b"", "openat,openat2,open")?;
    Some(
        lines
            .into_iter()
            .filter(|line| line.contains("open"))
            .collect(),
    )
}

#[test]
fn a_creation_costs_the_same_whether_there_are_few_or_many() {
    let env = crowd(3);
    let steps = |code: &str| {
        let text = definition(code);
        let lines = crate::order::traced(
            &env,
            &["experiment", "create", "-f", "-"],
            text.as_bytes(),
            "fsync,fdatasync",
        )?;
        Some(lines.iter().filter(|line| line.contains("sync(")).count())
    };
    let Some(few) = steps("first") else { return };
    for number in 0..40 {
        env.create(&definition(&format!("more-{number}"))).ok();
    }
    let many = steps("second").unwrap();
    println!("create: {few} fsyncs with 3 experiments, {many} with 44");
    assert!(many <= few + 4, "{few} {many}");
    assert!(few < 160, "{few}");
}
