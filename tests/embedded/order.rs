//! What a crash of the machine could lose, looked at in the system calls: every file is on the disk before it gets its
//! name, and the directory that holds the name before the program goes on to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{OCTONAS, TestEnv, definition, finish};

/// Runs the program under strace(1); gives its lines, in order, with the paths of descriptors. `None`, aloud, where there
/// is none.
pub fn traced(env: &TestEnv, arguments: &[&str], input: &[u8], calls: &str) -> Option<Vec<String>> {
    if !Path::new("/usr/bin/strace").exists() {
        eprintln!("SKIPPED: there is no strace(1) to see system calls with");
        return None;
    }
    let log = env.root.path().join("strace.log");
    let plain = env.command(arguments);
    let mut command = Command::new("/usr/bin/strace");
    command
        .args(["-f", "-yy", "-s", "4096", "-e"])
        .arg(format!("trace={calls}"))
        .arg("-o")
        .arg(&log);
    command.arg(OCTONAS).args(arguments);
    command.env_clear().envs(
        plain
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.current_dir(env.root.path());
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let ran = finish(command, input);
    if ran.stderr.contains("ptrace") {
        eprintln!("SKIPPED: strace(1) may not trace here: {}", ran.stderr);
        return None;
    }
    ran.ok();
    let text = fs::read_to_string(&log).unwrap();
    Some(
        text.lines()
            .map(|line| {
                line.split_once(' ')
                    .map_or(line, |(_, rest)| rest.trim_start())
                    .to_owned()
            })
            .collect(),
    )
}

const CALLS: &str = "write,pwrite64,writev,fsync,fdatasync,sync_file_range,linkat,renameat,renameat2,rename,mkdirat,unlinkat,ftruncate,fchmod,fchown";

/// What is not on the disk yet.
#[derive(Default)]
struct Disk {
    /// Files with bytes that were not synced: inode-like name as strace shows it.
    dirty: BTreeSet<String>,
    /// Directories with names that were not synced.
    names: BTreeMap<String, String>,
    wrong: Vec<String>,
    synced: usize,
}

/// `</path>` after a descriptor; what strace says of a file without a name ends in ` (deleted)`.
fn paths(line: &str) -> Vec<String> {
    line.split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .filter(|path| path.starts_with('/'))
        .map(|path| {
            path.trim_end_matches("(deleted)")
                .trim_end_matches(' ')
                .to_owned()
        })
        .collect()
}

impl Disk {
    fn see(&mut self, line: &str, nas: &str) {
        let failed = line.contains(") = -1");
        let Some((call, _)) = line.split_once('(') else {
            return;
        };
        let seen = paths(line);
        let Some(first) = seen.first().cloned() else {
            return;
        };
        if failed
            || !first.starts_with(nas)
            || first.ends_with(".lock")
            || first.contains("/.octonas/run")
            || first.contains("/cache/")
        {
            return;
        }
        match call {
            "write" | "pwrite64" | "writev" | "ftruncate" => {
                self.dirty.insert(first);
            }
            "fsync" | "fdatasync" => {
                self.synced += 1;
                self.dirty.remove(&first);
                self.names.remove(&first);
            }
            // A finished file gets its name: `linkat(AT_FDCWD, "/proc/self/fd/7", 5</dir>, "name")`, or a rename.
            "linkat" | "renameat" | "renameat2" | "rename" => {
                let unnamed: Vec<&String> = self
                    .dirty
                    .iter()
                    .filter(|path| !path.ends_with(".jsonl") && !path.contains(".lock"))
                    .collect();
                if !unnamed.is_empty() {
                    self.wrong
                        .push(format!("{line}: not on the disk yet: {unnamed:?}"));
                }
                for dir in seen {
                    if Path::new(&dir).is_dir() {
                        self.names.insert(dir, line.to_owned());
                    }
                }
            }
            "mkdirat" => {
                self.names.insert(first, line.to_owned());
            }
            _ => {}
        }
    }
}

fn in_order(env: &TestEnv, arguments: &[&str], input: &[u8]) {
    let Some(lines) = traced(env, arguments, input, CALLS) else {
        return;
    };
    let nas = env.nas.display().to_string();
    let mut disk = Disk::default();
    for line in &lines {
        disk.see(line, &nas);
    }
    assert!(
        disk.synced > 2,
        "{arguments:?}: {} syncs seen of {} calls",
        disk.synced,
        lines.len()
    );
    assert!(
        disk.wrong.is_empty(),
        "{arguments:?}:\n{}",
        disk.wrong.join("\n")
    );
    assert!(
        disk.dirty.is_empty(),
        "{arguments:?} leaves unsynced bytes in {:?}",
        disk.dirty
    );
    let names: Vec<_> = disk
        .names
        .iter()
        .filter(|(dir, _)| !dir.contains("/.octonas/cache") && !dir.contains("octonas-try"))
        .collect();
    assert!(
        names.is_empty(),
        "{arguments:?} leaves unsynced names in {names:#?}"
    );
    println!(
        "{}: {} fsyncs, {} calls that change the disk",
        arguments.join(" "),
        disk.synced,
        lines.len()
    );
}

#[test]
fn every_file_is_on_the_disk_before_its_name_and_every_name_before_the_end() {
    let env = TestEnv::new();
    in_order(
        &env,
        &["experiment", "create", "-f", "-"],
        definition("eco").as_bytes(),
    );
    let edited = definition("eco").replace("account: bo", "account: dee");
    in_order(&env, &["experiment", "edit", "-f", "-"], edited.as_bytes());
    in_order(&env, &["experiment", "close", "eco"], b"");
    in_order(&env, &["experiment", "reopen", "eco"], b"");
    in_order(&env, &["experiment", "remove", "eco"], b"");
}
