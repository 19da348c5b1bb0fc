//! Two at once: both end well, or one says `locked`; never anything in between.

use std::fs;
use std::process::Child;
use std::time::Duration;

use crate::support::{Ran, TestEnv, definition, names};

fn start(env: &TestEnv, arguments: &[&str], input: &str) -> Child {
    use std::io::Write as _;
    let mut child = env
        .command(arguments)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        exit: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn done_or_locked(ran: &Ran) {
    let locked = ran.exit == Some(4) && ran.stderr.contains("[locked]");
    assert!(ran.exit == Some(0) || locked, "{ran:?}");
}

#[test]
fn the_same_creation_eight_times_at_once_is_one_experiment() {
    let env = TestEnv::new();
    let input = definition("eco");
    let running: Vec<Child> = (0..8)
        .map(|_| start(&env, &["experiment", "create", "-f", "-"], &input))
        .collect();
    for child in running {
        done_or_locked(&end(child));
    }
    assert_eq!(names(&env.nas), [".octonas", "eco"]);
    env.run(&["experiment", "check", "eco"]).ok();
    assert_eq!(env.leftovers(), Vec::<String>::new());
    assert_eq!(
        env.json(&["experiment", "list"])["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn different_experiments_at_once_all_come_into_being() {
    let env = TestEnv::new();
    let codes: Vec<String> = (0..8).map(|number| format!("eco-{number}")).collect();
    let running: Vec<Child> = codes
        .iter()
        .map(|code| {
            start(
                &env,
                &["experiment", "create", "-f", "-"],
                &definition(code),
            )
        })
        .collect();
    for child in running {
        done_or_locked(&end(child));
    }
    for code in &codes {
        env.create(&definition(code)).ok();
    }
    env.run(&["experiment", "check"]).ok();
    assert_eq!(
        env.json(&["experiment", "list"])["rows"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
}

#[test]
fn edits_and_closings_of_one_experiment_at_once_end_in_one_of_the_orders() {
    for _ in 0..4 {
        let env = TestEnv::with_experiment();
        let edit = |title: &str| {
            start(
                &env,
                &["experiment", "edit", "-f", "-"],
                &definition("eco").replace("Heat waves", title),
            )
        };
        let running = vec![
            edit("First"),
            start(&env, &["experiment", "close", "eco"], ""),
            edit("Second"),
            start(&env, &["experiment", "reopen", "eco"], ""),
            start(&env, &["experiment", "apply", "eco", "--mend"], ""),
        ];
        for child in running {
            done_or_locked(&end(child));
        }
        env.run(&["experiment", "apply", "eco"]).ok();
        env.run(&["experiment", "check", "eco"]).ok();
        let shown = env.json(&["experiment", "show", "eco"]);
        let title = shown["definition"]["title"].as_str().unwrap();
        assert!(["First", "Second"].contains(&title), "{title}");
        assert!(
            ["active", "closed"].contains(&shown["definition"]["status"].as_str().unwrap()),
            "{shown}"
        );
    }
}

#[test]
fn who_waits_too_long_is_told_by_whom_it_is_locked() {
    let env = TestEnv::with_experiment();
    let lock = fs::OpenOptions::new()
        .append(true)
        .open(env.at(".octonas/run/nas.lock"))
        .unwrap();
    lock.lock().unwrap();
    let begun = std::time::Instant::now();
    let ran = env.run(&["experiment", "close", "eco"]).failed(4, "locked");
    assert!(ran.stderr.contains("hint:"), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(40));
    // Looking needs no lock.
    env.run(&["experiment", "show", "eco"]).ok();
    env.run(&["experiment", "list"]).ok();
    env.run(&["experiment", "check"]).ok();
    drop(lock);
    env.run(&["experiment", "close", "eco"]).ok();
}

#[test]
fn a_reader_never_sees_half_of_a_change() {
    let env = TestEnv::with_experiment();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..12 {
                let title = format!("Title {number}");
                env.edit(&definition("eco").replace("Heat waves", &title))
                    .ok();
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let shown = env.json(&["experiment", "show", "eco"]);
            assert_eq!(shown["definition"]["code"], "eco");
            env.run(&["experiment", "list"]).ok();
        }
    });
}
