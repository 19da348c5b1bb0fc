//! A kill and a full disk at every durable step of every operation: run again, and the end is the same. A step that comes
//! after the same four as another did is tried once; `make test-long` tries them all.

use std::fs;

use crate::landing::{sha256, with_sources};
use crate::support::{Ran, TestEnv, copy, definition, finish, in_parallel, telling};

/// One operation: what must be there before, and its command line with standard input.
struct Operation {
    name: &'static str,
    prepare: fn(&TestEnv),
    arguments: fn(&TestEnv) -> Vec<String>,
    input: fn() -> String,
}

fn edited() -> String {
    definition("eco")
        .replace(
            "Bo Ek, account: bo, access: write",
            "Dee Dee, account: dee, access: write",
        )
        .replace("title: Heat waves", "title: Cold spells")
        + "protocols: { smb: false, sftp: true }\n"
}

fn nothing() -> String {
    String::new()
}

fn share(env: &TestEnv, how: &[&str]) -> Vec<String> {
    let mut all = words("base share");
    all.push(env.nas.display().to_string());
    all.extend(how.iter().map(|&word| word.to_owned()));
    all
}

fn common(env: &TestEnv) {
    let arguments = share(env, &["--common", "experiments"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    env.run(&["base", "add", &env.nas.display().to_string()])
        .ok();
    env.run(&arguments).ok();
}

/// A file of a person's, outside of the NAS.
fn beside(env: &TestEnv, name: &str) -> std::path::PathBuf {
    env.nas.parent().unwrap().join(name)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// An experiment whose files somebody has looked through.
fn known(env: &TestEnv) {
    env.create(&definition("eco")).ok();
    fs::create_dir(env.at("eco/raw/deep")).unwrap();
    for name in ["changed.csv", "gone.csv", "deep/a.csv", "deep/b.csv"] {
        fs::write(env.at(&format!("eco/raw/{name}")), name).unwrap();
    }
    fs::write(env.at("eco/raw/changed.csv"), "changed").unwrap();
    env.run(&["catalogue", "scan", "eco", "--no-probe"]).ok();
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create",
        prepare: |_| {},
        arguments: |_| words("experiment create -f -"),
        input: || definition("eco"),
    },
    Operation {
        name: "create in a common share",
        prepare: common,
        arguments: |_| words("experiment create -f -"),
        input: || definition("eco"),
    },
    Operation {
        name: "create several",
        prepare: |env| {
            fs::write(beside(env, "eco.yaml"), definition("eco")).unwrap();
            fs::write(beside(env, "lake.yaml"), definition("lake")).unwrap();
        },
        arguments: |env| {
            let file = |name: &str| beside(env, name).display().to_string();
            let mut all = words("experiment create");
            all.extend([
                "-f".into(),
                file("eco.yaml"),
                "-f".into(),
                file("lake.yaml"),
            ]);
            all
        },
        input: nothing,
    },
    Operation {
        name: "base share",
        prepare: |env| drop(env.create(&definition("eco")).ok()),
        arguments: |env| share(env, &["--common", "experiments"]),
        input: nothing,
    },
    Operation {
        name: "base share, back",
        prepare: |env| {
            env.create(&definition("eco")).ok();
            common(env);
        },
        arguments: |env| share(env, &["--own"]),
        input: nothing,
    },
    Operation {
        name: "base add",
        prepare: |_| {},
        arguments: |env| vec!["base".into(), "add".into(), env.nas.display().to_string()],
        input: nothing,
    },
    Operation {
        name: "edit",
        prepare: |env| drop(env.create(&definition("eco")).ok()),
        arguments: |_| words("experiment edit -f -"),
        input: edited,
    },
    Operation {
        name: "close",
        prepare: |env| drop(env.create(&definition("eco")).ok()),
        arguments: |_| words("experiment close eco"),
        input: nothing,
    },
    Operation {
        name: "reopen",
        prepare: |env| {
            env.create(&definition("eco")).ok();
            env.run(&["experiment", "close", "eco"]).ok();
        },
        arguments: |_| words("experiment reopen eco"),
        input: nothing,
    },
    Operation {
        name: "remove",
        prepare: |env| drop(env.create(&definition("eco")).ok()),
        arguments: |_| words("experiment remove eco"),
        input: nothing,
    },
    Operation {
        name: "remove and delete",
        prepare: |env| {
            env.create(&definition("eco")).ok();
            fs::create_dir(env.at("eco/raw/deep")).unwrap();
            fs::write(env.at("eco/raw/deep/data.csv"), "1,2\n").unwrap();
        },
        arguments: |_| words("experiment remove eco --delete-data eco"),
        input: nothing,
    },
    Operation {
        name: "adopt",
        prepare: |env| {
            env.create(&definition("eco")).ok();
            fs::write(env.at("eco/raw/data.csv"), "1,2\n").unwrap();
            env.run(&["experiment", "remove", "eco"]).ok();
        },
        arguments: |env| {
            let mut all = words("experiment adopt");
            all.extend([
                env.at("eco").display().to_string(),
                "--grant".into(),
                "ada,cy".into(),
            ]);
            all
        },
        input: nothing,
    },
    Operation {
        name: "import",
        prepare: |env| {
            for (path, text) in [
                ("eco/raw/data.csv", "1,2\n"),
                ("eco/2019/deep/old.csv", "3,4\n"),
                ("eco/notes.txt", "notes"),
            ] {
                fs::create_dir_all(env.at(path).parent().unwrap()).unwrap();
                fs::write(env.at(path), text).unwrap();
            }
        },
        arguments: |env| {
            let mut all = words("experiment import");
            all.push(env.at("eco").display().to_string());
            all.extend(words("-f - --confirm"));
            all
        },
        input: || definition("eco"),
    },
    Operation {
        name: "ingest",
        prepare: |env| {
            env.create(&with_sources("eco")).ok();
            let landing = env.at("eco/landing");
            let deliver = |path: &str, content: &str| {
                let file = landing.join(path);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
            };
            let sum = |content: &[u8], name: &str| format!("{}  {name}\n", sha256(content));
            for name in ["a.csv", "new/deep/b.csv", "taken.csv", "again.csv"] {
                deliver(&format!("plc/data/{name}"), name);
                deliver(
                    &format!("plc/sums/{name}.sha256"),
                    &sum(name.as_bytes(), name),
                );
            }
            deliver("plc/data/wrong.csv", "wrong");
            deliver("plc/sums/wrong.csv.sha256", &sum(b"right", "wrong.csv"));
            deliver("cam/data/c.jpg", "c");
            deliver("cam/sums/c.jpg.sha256", &sum(b"c", "c.jpg"));
            fs::write(env.at("eco/raw/taken.csv"), "another").unwrap();
            fs::write(env.at("eco/raw/again.csv"), "again.csv").unwrap();
        },
        arguments: |_| words("ingest eco --no-probe"),
        input: nothing,
    },
    Operation {
        name: "restore",
        prepare: |env| {
            known(env);
            let package = env.root.path().join("eco.tar.zst");
            env.run(&["package", "create", "eco", "-o", package.to_str().unwrap()])
                .ok();
            fs::remove_dir_all(&env.nas).unwrap();
        },
        arguments: |env| {
            let package = env.root.path().join("eco.tar.zst");
            let mut all = words("package restore");
            all.push(package.display().to_string());
            all.extend(words("--as eco"));
            all
        },
        input: nothing,
    },
    Operation {
        name: "scan",
        prepare: |env| {
            known(env);
            fs::write(env.at("eco/raw/new.csv"), "new").unwrap();
            fs::write(env.at("eco/raw/changed.csv"), "changed again").unwrap();
            fs::rename(env.at("eco/raw/deep"), env.at("eco/raw/moved")).unwrap();
            fs::remove_file(env.at("eco/raw/gone.csv")).unwrap();
        },
        arguments: |_| words("catalogue scan eco --no-probe"),
        input: nothing,
    },
    Operation {
        name: "verify and repair",
        prepare: |env| {
            known(env);
            copy(&env.at("eco/raw"), &env.root.path().join("raw"));
            fs::create_dir(env.root.path().join("copy")).unwrap();
            fs::rename(
                env.root.path().join("raw"),
                env.root.path().join("copy/raw"),
            )
            .unwrap();
            let path = env.at("eco/raw/changed.csv");
            let time = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, "CHANGED").unwrap();
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
            fs::remove_dir_all(env.at("eco/raw/deep")).unwrap();
        },
        arguments: |_| words("verify eco --repair-from copy"),
        input: nothing,
    },
    Operation {
        name: "verify and repair from a package",
        prepare: |env| {
            known(env);
            env.pack("eco.tar.zst", &[]).ok();
            fs::remove_dir_all(env.at("eco/raw/deep")).unwrap();
        },
        arguments: |env| {
            let mut all = words("verify eco --repair-from");
            all.push(env.path("eco.tar.zst"));
            all
        },
        input: nothing,
    },
    Operation {
        name: "seal",
        prepare: known,
        arguments: |_| words("seal eco raw"),
        input: nothing,
    },
    Operation {
        name: "unseal",
        prepare: |env| {
            known(env);
            env.run(&["seal", "eco", "raw"]).ok();
        },
        arguments: |_| words("unseal eco raw/deep"),
        input: nothing,
    },
    Operation {
        name: "rebuild the index",
        prepare: known,
        arguments: |_| words("evidence rebuild eco"),
        input: nothing,
    },
    Operation {
        name: "apply and mend",
        prepare: |env| {
            env.create(&definition("eco")).ok();
            fs::remove_dir(env.at("eco/docs")).unwrap();
            let other = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            fs::set_permissions(env.at("eco/raw"), other).unwrap();
        },
        arguments: |_| words("experiment apply eco --mend"),
        input: nothing,
    },
];

/// One NAS on which an operation is begun over and over again from the same state.
struct Stage<'a> {
    env: TestEnv,
    operation: &'a Operation,
}

impl<'a> Stage<'a> {
    fn new(operation: &'a Operation) -> Self {
        let env = TestEnv::new();
        (operation.prepare)(&env);
        if env.nas.exists() {
            copy(&env.nas, &env.root.path().join("before"));
        }
        Self { env, operation }
    }

    fn rewind(&self) {
        let before = self.env.root.path().join("before");
        if self.env.nas.exists() {
            fs::remove_dir_all(&self.env.nas).unwrap();
        }
        if before.exists() {
            copy(&before, &self.env.nas);
        }
    }

    fn run(&self, variables: &[(&str, &str)]) -> Ran {
        let arguments = (self.operation.arguments)(&self.env);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.env.command(&arguments);
        command.envs(variables.iter().copied());
        finish(command, (self.operation.input)().as_bytes())
    }

    /// That documents cannot be written is a warning, and a restore is not given again for their sake.
    fn write_documents(&self) {
        if self.operation.name == "restore" {
            self.env.run(&["document", "build", "eco"]).ok();
        }
    }

    /// The points that the operation passes, and what it leaves, when nothing happens to it.
    fn undisturbed(&self) -> (Vec<String>, String) {
        // A copy as well: inodes and change times differ from those that were there first.
        self.rewind();
        let trace = self.env.root.path().join("trace");
        self.run(&[("OCTONAS_FAULT_TRACE", trace.to_str().unwrap())])
            .ok();
        let points = fs::read_to_string(trace).unwrap();
        self.write_documents();
        (
            points.lines().map(str::to_owned).collect(),
            self.env.end_state(),
        )
    }
}

/// Every operation, suffering `fault` at its points in turn; `verdict` looks at the disturbed run.
fn at_every_point(fault: &str, verdict: impl Fn(&Stage<'_>, &Ran) -> Result<(), String> + Sync) {
    let only = std::env::var("OCTONAS_TEST_OPERATION").ok();
    for operation in OPERATIONS
        .iter()
        .filter(|operation| only.as_deref().is_none_or(|only| only == operation.name))
    {
        let (points, wanted) = Stage::new(operation).undisturbed();
        assert!(points.len() > 3, "{}: {points:?}", operation.name);
        let numbers = telling(&points, 4);
        let chunks: Vec<&[usize]> = numbers.chunks(12).collect();
        let wrong: Vec<String> = in_parallel(&chunks, |chunk| {
            let stage = Stage::new(operation);
            let each = chunk.iter().filter_map(|number| {
                stage.rewind();
                let disturbed = stage.run(&[("OCTONAS_FAULT", &format!("{fault}:{number}"))]);
                let ended = verdict(&stage, &disturbed).and_then(|()| settled(&stage, &wanted));
                let wrong = ended.err()?;
                Some(format!(
                    "{}, {fault} at {number} ({}): {wrong}",
                    operation.name,
                    points[number - 1]
                ))
            });
            each.collect::<Vec<String>>()
        })
        .concat();
        eprintln!(
            "{}: {fault} at {} of {} points",
            operation.name,
            numbers.len(),
            points.len()
        );
        assert!(
            wrong.is_empty(),
            "{} of {} go wrong:\n{}",
            wrong.len(),
            points.len(),
            wrong.join("\n")
        );
    }
}

/// `doctor` names an operation that was begun and did not end, and no other.
fn named(stage: &Stage<'_>) -> Result<(), String> {
    let open = stage.env.open_event();
    let doctor = stage.env.run(&["doctor"]);
    let says = match &open {
        Some(operation) => doctor
            .stdout
            .lines()
            .any(|line| line.contains(operation) && line.contains("did not end")),
        None => doctor.stdout.contains("every one that was begun has ended"),
    };
    if says && (open.is_none() || doctor.exit == Some(3)) {
        return Ok(());
    }
    Err(format!("{open:?}, and doctor says {doctor:?}"))
}

/// Run again, it is done; and once more, nothing changes.
fn settled(stage: &Stage<'_>, wanted: &str) -> Result<(), String> {
    let again = stage.run(&[]);
    // What is in service cannot be adopted again: the adoption was done but for its last line.
    let adopted = ["adopt", "restore"].contains(&stage.operation.name)
        && again.stderr.contains("[experiment.exists]");
    if again.exit != Some(0) && !adopted {
        return Err(format!("run again, it ends with {again:?}"));
    }
    let left = stage.env.leftovers();
    if !left.is_empty() {
        return Err(format!("it leaves {left:?}"));
    }
    if let Some((operation, outcome)) = stage.env.last_event()
        && outcome != "done"
    {
        return Err(format!("the last word on {operation} is {outcome}"));
    }
    if stage.env.at(".octonas/checks").exists() && stage.env.at("eco").exists() {
        let evidence = stage.env.run(&["evidence", "verify", "eco"]);
        if evidence.exit != Some(0) {
            return Err(format!("the evidence is not whole: {evidence:?}"));
        }
    }
    stage.write_documents();
    let end = stage.env.end_state();
    if end == wanted {
        return Ok(());
    }
    let differences: Vec<String> = difference(wanted, &end);
    Err(format!("another end:\n{}", differences.join("\n")))
}

fn difference(wanted: &str, end: &str) -> Vec<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), end.lines().collect());
    let first = a
        .iter()
        .zip(&b)
        .find(|(a, b)| a != b)
        .map(|(a, b)| format!("  first: {a} | {b}"));
    let missing = a
        .iter()
        .filter(|line| !b.contains(line))
        .map(|line| format!("  - {line}"));
    let added = b
        .iter()
        .filter(|line| !a.contains(line))
        .map(|line| format!("  + {line}"));
    first
        .into_iter()
        .chain(missing)
        .chain(added)
        .take(12)
        .collect()
}

#[test]
fn a_kill_at_any_step_of_any_operation_changes_nothing_about_its_end() {
    at_every_point("kill", |stage, ran| match ran.exit {
        None => named(stage),
        Some(_) => Err(format!("it was not killed: {ran:?}")),
    });
}

#[test]
fn a_full_disk_at_any_step_is_said_and_running_again_finishes_the_work() {
    at_every_point("enospc", |_, ran| match ran.exit {
        // What is only a cache or only for people may fail without a loss.
        Some(0) => Ok(()),
        Some(1) if ran.stderr.contains("error: ") && ran.stderr.contains("No space left") => Ok(()),
        _ => Err(format!("it says nothing of a full disk: {ran:?}")),
    });
}
