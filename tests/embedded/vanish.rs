//! A disk that goes away in the middle: nothing of what was done is lost, nothing is written where it was, the reason is said,
//! and when it is back, running it again finishes the work.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::disk::Disk;
use crate::packages::{data, filled};
use crate::support::{Ran, TestEnv, finish, names, telling};

/// A NAS and a disk that one of the two works on.
struct Field {
    env: TestEnv,
    disk: Disk,
}

/// An operation during which the disk goes away.
struct Stage {
    name: &'static str,
    /// The NAS lies on the disk; otherwise only what is written does.
    nas: bool,
    prepare: fn(&Field),
    command: fn(&Field) -> Vec<String>,
    /// After it was done at last: everything is as it should be.
    check: fn(&Field, &str),
}

impl Field {
    fn new(nas: bool) -> Option<Self> {
        let mut env = TestEnv::new();
        let disk = Disk::new(env.root.path())?;
        if nas {
            env.nas.clone_from(&disk.at);
        }
        Some(Self { env, disk })
    }

    fn path(&self, below: &str) -> String {
        self.env.root.path().join(below).display().to_string()
    }

    /// Runs a command to the point, does `meanwhile`, and lets it go on.
    fn interrupted(&self, arguments: &[&str], point: usize, meanwhile: fn(&Disk)) -> Ran {
        let mut command = self.env.command(arguments);
        command.env("OCTONAS_FAULT", format!("stop:{point}"));
        let child = command.spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let is_stopped = matches!(
            waitid(Id::Pid(pid), flags).unwrap(),
            WaitStatus::Stopped(..)
        );
        meanwhile(&self.disk);
        if is_stopped {
            kill(pid, Signal::SIGCONT).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        Ran {
            exit: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The points that a command passes.
    fn points(&self, arguments: &[&str]) -> Vec<String> {
        let trace = self.path("trace");
        let mut command = self.env.command(arguments);
        command.env("OCTONAS_FAULT_TRACE", &trace);
        finish(command, b"");
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(trace).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// What lies beside NAS and disk goes.
    fn tidy(&self) {
        for name in ["out", "back", "place"] {
            let path = self.path(name);
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(&path);
        }
        fs::create_dir(self.path("place")).unwrap();
    }
}

fn words(field: &Field, text: &[&str]) -> Vec<String> {
    text.iter()
        .map(|word| match word.strip_prefix('@') {
            Some(below) => field.path(below),
            None => (*word).to_owned(),
        })
        .collect()
}

fn known(field: &Field) {
    filled(&field.env);
    field.env.run(&["catalogue", "scan", "eco"]).ok();
}

/// Every file is what it was, and the evidence is whole.
fn sound(field: &Field, what: &str) {
    let env = &field.env;
    assert_eq!(
        env.run(&["catalogue", "scan", "eco"]).exit,
        Some(0),
        "{what}"
    );
    let ran = env.run(&["verify", "eco"]);
    assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
    let ran = env.run(&["evidence", "verify", "eco"]);
    assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
    let sums: Vec<String> = data(&env.at("eco")).into_iter().map(|row| row.1).collect();
    let wanted = fs::read_to_string(field.path("wanted")).unwrap();
    assert_eq!(format!("{sums:?}"), wanted, "{what}");
}

fn archived(field: &Field, what: &str) {
    sound(field, what);
    let list = field.env.json(&["archive", "list"]);
    assert!(!list.as_array().unwrap().is_empty(), "{what}");
    // On a NAS that goes back in time there are no others.
    let all: &[&str] = if field.env.nas == field.disk.at {
        &["--all"]
    } else {
        &[]
    };
    let ran = field
        .env
        .run(&[&["archive", "verify", "eco"], all].concat());
    assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
}

fn packed(field: &Field, place: &str, what: &str) {
    let out = field.path(place);
    let ran = field.env.run(&["package", "verify", &out]);
    assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
}

/// Names, without what the next run of ours will clear away.
fn shown(dir: &Path) -> Vec<String> {
    let mut all = names(dir);
    all.retain(|name| !name.starts_with(".octonas-"));
    all
}

const STAGES: &[Stage] = &[
    Stage {
        name: "scan",
        nas: true,
        prepare: |field| filled(&field.env),
        command: |field| words(field, &["catalogue", "scan", "eco"]),
        check: sound,
    },
    Stage {
        name: "verify",
        nas: true,
        prepare: known,
        command: |field| words(field, &["verify", "eco"]),
        check: sound,
    },
    Stage {
        name: "repair",
        nas: true,
        prepare: |field| {
            known(field);
            let copy = field.path("copy");
            let _ = fs::remove_dir_all(&copy);
            crate::support::copy(&field.env.at("eco"), Path::new(&copy));
            let bad = field.env.at("eco/raw/deep/er/x.bin");
            let time = fs::metadata(&bad).unwrap().modified().unwrap();
            fs::write(&bad, vec![8; 100_000]).unwrap();
            let file = fs::File::options().write(true).open(&bad).unwrap();
            file.set_modified(time).unwrap();
        },
        command: |field| words(field, &["verify", "eco", "--repair-from", "@copy"]),
        check: sound,
    },
    Stage {
        name: "package of a disk that goes",
        nas: true,
        prepare: known,
        command: |field| words(field, &["package", "create", "eco", "-o", "@out"]),
        check: |field, what| {
            sound(field, what);
            packed(field, "out", what);
        },
    },
    Stage {
        name: "package onto a disk that goes",
        nas: false,
        prepare: known,
        command: |field| {
            words(
                field,
                &[
                    "package",
                    "create",
                    "eco",
                    "-o",
                    "@disk/out",
                    "--format",
                    "dir",
                ],
            )
        },
        check: |field, what| {
            sound(field, what);
            packed(field, "disk/out", what);
            assert_eq!(shown(&field.disk.at), ["out"], "{what}");
        },
    },
    Stage {
        name: "archive of a disk that goes",
        nas: true,
        prepare: known,
        command: |field| words(field, &["archive", "eco", "--to", "@place"]),
        check: archived,
    },
    Stage {
        name: "archive onto a disk that goes",
        nas: false,
        prepare: known,
        command: |field| {
            words(
                field,
                &["archive", "eco", "--to", "@place", "--to", "@disk"],
            )
        },
        check: archived,
    },
    Stage {
        name: "restore into a disk that goes",
        nas: false,
        prepare: |field| {
            known(field);
            let package = field.path("package.zip");
            field
                .env
                .run(&[
                    "package", "create", "eco", "-o", &package, "--format", "zip",
                ])
                .ok();
        },
        command: |field| {
            words(
                field,
                &["package", "restore", "@package.zip", "--into", "@disk/back"],
            )
        },
        check: |field, what| {
            let found = data(Path::new(&field.path("disk/back")));
            let sums: Vec<String> = found.into_iter().map(|row| row.1).collect();
            let wanted = fs::read_to_string(field.path("wanted")).unwrap();
            assert_eq!(format!("{sums:?}"), wanted, "{what}");
            assert_eq!(shown(&field.disk.at), ["back"], "{what}");
        },
    },
    Stage {
        name: "restore as an experiment of a disk that goes",
        nas: true,
        prepare: |field| {
            let package = field.path("package.tar.zst");
            let other = TestEnv::new();
            filled(&other);
            other.run(&["catalogue", "scan", "eco"]).ok();
            let _ = fs::remove_file(&package);
            other
                .run(&["package", "create", "eco", "-o", &package])
                .ok();
            field.env.create(&crate::support::definition("lake")).ok();
            let sums: Vec<String> = data(&other.at("eco"))
                .into_iter()
                .map(|row| row.1)
                .collect();
            fs::write(field.path("wanted"), format!("{sums:?}")).unwrap();
        },
        command: |field| {
            words(
                field,
                &["package", "restore", "@package.tar.zst", "--as", "eco"],
            )
        },
        check: sound,
    },
];

/// Of all the points at which it can happen, some, from the first to the last.
fn some(points: &[String], from: usize) -> Vec<usize> {
    let mut all = telling(points, 1);
    all.retain(|point| *point > from);
    if std::env::var_os("OCTONAS_EVERY_POINT").is_some() || all.len() <= 5 {
        return all;
    }
    (0..5).map(|n| all[n * (all.len() - 1) / 4]).collect()
}

fn at_some_points(meanwhile: fn(&Disk), after: fn(&Disk), opened: bool) {
    for stage in STAGES {
        let Some(field) = Field::new(stage.nas) else {
            return;
        };
        field.tidy();
        (stage.prepare)(&field);
        if !Path::new(&field.path("wanted")).exists() {
            let good = if stage.name == "repair" {
                field.path("copy")
            } else {
                field.env.at("eco").display().to_string()
            };
            let sums: Vec<String> = data(Path::new(&good))
                .into_iter()
                .map(|row| row.1)
                .collect();
            fs::write(field.path("wanted"), format!("{sums:?}")).unwrap();
        }
        field.disk.unmount();
        field.disk.keep();
        let command = (stage.command)(&field);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut points = Vec::new();
        // Where the NAS stays, the second run finds documents that the first one wrote.
        for _ in 0..2 {
            field.tidy();
            field.disk.renew();
            points = field.points(&command);
            field.disk.unmount();
        }
        // Whoever names a directory before anything was mounted there means that one.
        let is_open = |point: &String| point == "write.piece";
        let from = if stage.nas || !opened {
            0
        } else {
            points.iter().position(is_open).unwrap()
        };
        let chosen = some(&points, from);
        let mut failed = 0;
        for number in chosen.iter().copied() {
            let what = format!("{}, at {number} ({})", stage.name, points[number - 1]);
            field.tidy();
            field.disk.renew();
            let ran = field.interrupted(&command, number, meanwhile);
            after(&field.disk);
            // Whoever says that it failed says why; a finding is no reason here.
            match ran.exit {
                Some(0) => {}
                Some(1) => {
                    failed += 1;
                    assert!(ran.stderr.contains("error"), "{what}: {ran:?}");
                    assert!(!ran.stderr.contains("panicked"), "{what}: {ran:?}");
                }
                other => assert!(
                    stage.name == "repair" && other == Some(3),
                    "{what}: {ran:?}"
                ),
            }
            field.disk.mount();
            finished(&field, &command, &what, &ran);
            (stage.check)(&field, &what);
            field.disk.unmount();
        }
        println!(
            "{}: {failed} of {} ended with an error",
            stage.name,
            chosen.len()
        );
    }
}

/// Running it again finishes it; or it was finished before, and is not done twice.
fn finished(field: &Field, command: &[&str], what: &str, before: &Ran) {
    let ran = field.env.run(command);
    let is_there = |ran: &Ran| {
        ran.stderr.contains("[path.exists]") || ran.stderr.contains("[experiment.exists]")
    };
    assert!(
        matches!(ran.exit, Some(0))
            || (ran.exit == Some(3) && command.contains(&"--repair-from"))
            || (ran.exit == Some(1) && is_there(&ran)),
        "{what}: {before:?}\nthen {ran:?}"
    );
}

#[test]
fn a_disk_that_dies_takes_nothing_with_it_that_was_done() {
    at_some_points(Disk::die, Disk::unmount, false);
}

#[test]
fn a_disk_that_is_unmounted_under_somebodys_hands_leaves_nothing_where_it_was() {
    at_some_points(Disk::hide, Disk::wait, true);
}
