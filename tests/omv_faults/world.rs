//! A small unit with its NAS: run the program in it, go back to an earlier moment, and see everything that counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, umount2};
use serde_json::{Value, json};

use crate::engined::{Double, confining_sshd};

/// The id of the experiment `lake`, so that nothing of ours has to be guessed in a picture.
pub const LAKE: &str = "11111111-2222-4333-8444-555555555555";

/// A definition of `lake` with these people (`account access`) and doors.
pub fn lake(people: &[(&str, &str)], smb: bool) -> String {
    definition("lake", LAKE, people, smb)
}

/// A definition.
pub fn definition(code: &str, id: &str, people: &[(&str, &str)], smb: bool) -> String {
    let mut text = format!(
        "octonas: 1\nid: {id}\ncode: {code}\ntitle: Stratification of a small lake\nlanguage: en\n\
         dates: {{ start: 2026-03-01, end: 2026-09-30 }}\nlayout: minimal\n\
         protocols: {{ smb: {smb}, sftp: true, rsync: true }}\npeople:\n"
    );
    for (account, access) in people {
        let _ = writeln!(
            text,
            "  - {{ name: Person {account}, roles: [researcher], account: {account}, access: {access} }}"
        );
    }
    text
}

/// Those who are in it in most tests.
pub const PEOPLE: &[(&str, &str)] = &[("ada", "manage"), ("bob", "write"), ("cid", "read")];

/// A run of the program.
pub struct Ran {
    /// The exit code; nothing when it was killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Everything that it said.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// It is done, or the test fails.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.said());
        self
    }

    /// Its answer.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.said()))
    }
}

/// The unit.
pub struct World {
    pub double: Double,
    pub configuration: PathBuf,
}

/// A moment to go back to.
pub struct Moment {
    state: Value,
    jails: Option<Vec<u8>>,
}

/// What is random about doors: the numbers of groups, and passwords.
fn without_numbers_and_passwords(state: &mut Value) {
    for row in state["nfsshares"].as_array_mut().unwrap() {
        let options = row["extraoptions"].as_str().unwrap();
        let neutral = options.split(',').filter(|o| !o.starts_with("anongid="));
        row["extraoptions"] = neutral.collect::<Vec<_>>().join(",").into();
    }
    for module in state["rsyncmodules"].as_array_mut().unwrap() {
        for user in module["users"]["user"].as_array_mut().into_iter().flatten() {
            user["password"] = json!("");
        }
    }
}

impl World {
    /// Four people, a claimed base, and things of others that nobody may touch.
    pub fn new() -> Self {
        let double = Double::start();
        double.edit(|state| {
            let user = |name: &str, uid: u32| json!({"name": name, "uid": uid, "system": false});
            state["users"] = json!([
                {"name": "root", "uid": 0, "gid": 0, "system": true},
                {"name": "daemon", "uid": 1, "gid": 1, "system": true},
                user("ada", 1001), user("bob", 1002), user("cid", 1003), user("dan", 1004)]);
            state["groups"] = json!([
                {"name": "root", "gid": 0, "members": [], "system": true},
                {"name": "users", "gid": 100, "members": [], "system": true},
                {"name": "students", "gid": 1500, "members": ["ada", "dan"], "system": false}]);
        });
        double.rule_accounts();
        confining_sshd(&double.jails());
        let configuration = double.configuration();
        let world = Self {
            double,
            configuration,
        };
        let disk = world.double.state()["mountpoints"][0]["uuid"].clone();
        let folder = world.ask(
            "ShareMgmt",
            "set",
            &json!({"uuid": NEW, "name": "common", "comment": "everybody's", "mntentref": disk,
                    "reldirpath": "common/"}),
        );
        world.ask(
            "ShareMgmt",
            "setPrivileges",
            &json!({"uuid": folder["uuid"], "privileges": [{"type": "group", "name": "students", "perms": 7}]}),
        );
        let base = world.double.base().display().to_string();
        world.run(&["base", "add", &base]).ok();
        world.ask(
            "Config",
            "applyChanges",
            &json!({"modules": [], "force": false}),
        );
        world
    }

    /// Asks the double as somebody else, and takes no refusal.
    pub fn ask(&self, service: &str, method: &str, params: &Value) -> Value {
        let request = json!({"service": service, "method": method, "params": params,
                             "context": {"username": "admin", "role": 1}});
        let answer = self.double.ask(&request.to_string());
        assert_eq!(answer["error"], Value::Null, "{service}.{method}");
        answer["response"].clone()
    }

    /// The program, ready to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octonas"));
        command
            .arg("--config")
            .arg(&self.configuration)
            .args(arguments)
            .env_remove("OCTONAS_FAULT");
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(arguments))
    }

    /// Runs it while it suffers `fault`.
    pub fn suffer(&self, arguments: &[&str], fault: &str) -> Ran {
        ran(self.command(arguments).env("OCTONAS_FAULT", fault))
    }

    /// Runs it and gives the points that it passed.
    pub fn trace(&self, arguments: &[&str]) -> (Ran, Vec<String>) {
        let file = self.double.path("trace");
        let _ = std::fs::remove_file(&file);
        let done = ran(self.command(arguments).env("OCTONAS_FAULT_TRACE", &file));
        let points = std::fs::read_to_string(&file).unwrap_or_default();
        (done, points.lines().map(str::to_owned).collect())
    }

    /// Writes a definition and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.double.path(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// How its base is shared from now on.
    pub fn share(&self, how: &[&str]) -> Ran {
        let base = self.double.base().display().to_string();
        let mut arguments = vec!["base", "share", &base];
        arguments.extend(how);
        self.run(&arguments).ok()
    }

    /// Creates `lake`.
    pub fn create(&self) -> Ran {
        let file = self.file("lake.yaml", &lake(PEOPLE, true));
        self.run(&["experiment", "create", "-f", &file, "--json"])
            .ok()
    }

    /// How many seconds the program waits for an answer.
    pub fn patience(&self, seconds: u64) {
        let text = std::fs::read_to_string(&self.configuration).unwrap();
        let lines = text.lines().map(|line| {
            if line.contains("patience:") {
                format!("  patience: {seconds}\n")
            } else {
                format!("{line}\n")
            }
        });
        std::fs::write(&self.configuration, lines.collect::<String>()).unwrap();
    }

    fn saved(&self) -> PathBuf {
        self.double.path("disk/saved")
    }

    /// Keeps this moment.
    pub fn save(&self) -> Moment {
        let _ = std::fs::remove_dir_all(self.saved());
        copy(&self.double.base(), &self.saved());
        Moment {
            state: self.double.state(),
            jails: std::fs::read(self.double.path("jails.json")).ok(),
        }
    }

    /// Goes back: files, configuration, and the mounts that follow from it.
    pub fn restore(&self, moment: &Moment) {
        for (_, point, _) in mounts(self).into_iter().rev() {
            umount2(Path::new(&point), MntFlags::MNT_DETACH).unwrap();
        }
        let _ = std::fs::remove_dir_all(self.double.jails());
        std::fs::remove_dir_all(self.double.base()).unwrap();
        copy(&self.saved(), &self.double.base());
        for lost in ["run", "cache"] {
            let _ = std::fs::remove_dir_all(self.double.path(lost));
        }
        let wanted = self.double.path("jails.json");
        let _ = std::fs::remove_file(&wanted);
        if let Some(text) = &moment.jails {
            std::fs::write(&wanted, text).unwrap();
        }
        let mut state = moment.state.clone();
        state["mounted"] = json!([]);
        if moment.state["mounted"] != json!([]) {
            self.double.edit(|now| *now = state.clone());
            self.ask(
                "Config",
                "applyChanges",
                &json!({"modules": ["octonas"], "force": true}),
            );
            let jails = self.double.jails().display().to_string();
            let wanted = wanted.display().to_string();
            self.run(&["jails", "sync", "--root", &jails, "--file", &wanted])
                .ok();
            state["mounted"] = moment.state["mounted"].clone();
        }
        self.double.edit(|now| *now = state.clone());
    }

    /// Everything that counts of this unit, in a form in which two ends of the same work are the same text: what is
    /// random (uuids, numbers of groups, times) is named by its place.
    pub fn picture(&self) -> String {
        let mut state = self.double.state();
        for noise in [
            "calls",
            "next",
            "deployed",
            "restarts",
            "tasks",
            "faults",
            "revision",
            "mountpoints",
        ] {
            state.as_object_mut().unwrap().remove(noise);
        }
        for group in state["groups"].as_array_mut().unwrap() {
            group.as_object_mut().unwrap().remove("gid");
        }
        for user in state["users"].as_array_mut().unwrap() {
            user.as_object_mut().unwrap().remove("uid");
        }
        without_numbers_and_passwords(&mut state);
        // What refers to a folder is sorted by the folder's name: uuids are random.
        let folders = state["sharedfolders"].as_array().cloned().unwrap();
        let place = |row: &Value| {
            let folder = folders.iter().find(|f| f["uuid"] == row["sharedfolderref"]);
            [&row["name"], &row["code"], &folder.unwrap_or(row)["name"]]
                .iter()
                .find_map(|name| name.as_str().map(str::to_owned))
                .unwrap_or_else(|| row.to_string())
        };
        let mut text = String::new();
        for (key, value) in state.as_object_mut().unwrap() {
            if let Some(rows) = value.as_array_mut() {
                rows.sort_by_key(place);
                for row in rows {
                    let _ = writeln!(text, "{key}: {row}");
                }
            } else {
                let _ = writeln!(text, "{key}: {value}");
            }
        }
        for (root, point, options) in mounts(self) {
            let _ = writeln!(text, "mount: {root} {point} {options}");
        }
        let jails = self.double.jails();
        text += &told(Command::new("find").arg(&jails).args([
            "-xdev",
            "-printf",
            "jail: %P %y %m %u:%g\n",
        ]));
        let base = self.double.base();
        text += &told(
            Command::new("find")
                .arg(&base)
                .args(["-path", "*/.octonas/ledger", "-prune", "-o", "-printf"])
                .arg("tree: %P %y %m %u:%g %l\n"),
        );
        text += &told(Command::new("getfacl").arg("-p").arg(&base));
        let all = ["lake", "pond"].map(|code| base.join(code));
        for experiment in all.iter().filter(|path| path.exists()) {
            text += &told(Command::new("getfacl").args(["-R", "-p"]).arg(experiment));
        }
        for file in ["lake/metadata/experiment.yaml", "../jails.json"] {
            let content = std::fs::read_to_string(base.join(file)).unwrap_or_default();
            let _ = writeln!(text, "{file}:\n{content}");
        }
        let memories = all.iter().map(|path| path.join("metadata/applied.jsonl"));
        for file in memories.chain([base.join(".octonas/applied.jsonl")]) {
            for (object, found) in applied(&file) {
                let _ = writeln!(text, "applied: {object} {found}");
            }
        }
        for (name, mut stone) in jsons(&base.join(".octonas/tombstones")) {
            stone.as_object_mut().unwrap().remove("removed");
            let _ = writeln!(text, "tombstone: {name} {stone}");
        }
        // The owning group of our own files means nothing (its entry is empty): it is that of the directory when they
        // were last written.
        let text_of = |text: String| {
            let mut kept = String::new();
            let mut ours = false;
            for line in text.lines() {
                ours = line.starts_with("# file: ") && line.contains("/metadata/")
                    || ours && !line.is_empty();
                if ours && line.starts_with("# group: ") {
                    continue;
                }
                let is_file = ["tree: lake/metadata/", "tree: pond/metadata/"]
                    .iter()
                    .any(|start| line.starts_with(start))
                    && line.contains(" f ");
                let end = if is_file { line.rfind(':') } else { None };
                let _ = writeln!(kept, "{}", &line[..end.unwrap_or(line.len())]);
            }
            kept
        };
        let mut text = text_of(text);
        let check = self.run(&["experiment", "check", "lake"]);
        let _ = writeln!(text, "check: {:?} {}", check.code, check.said());
        // `find` has no order of its own.
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_by_key(|line| !line.starts_with("tree: ") && !line.starts_with("jail: "));
        let trees = lines
            .iter()
            .take_while(|l| l.starts_with("tree: ") || l.starts_with("jail: "))
            .count();
        lines[..trees].sort_unstable();
        named(&lines.join("\n"))
    }
}

/// The uuid that asks for a new object.
pub const NEW: &str = "fa4b1c66-ef79-11e5-87a0-0002b3a176b4";

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn told(command: &mut Command) -> String {
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(copied.success());
}

/// Root, point and options of the mounts of experiments and jails, in the order in which they were made.
pub fn mounts(world: &World) -> Vec<(String, String, String)> {
    let base = format!("{}/", world.double.base().display());
    let jails = world.double.jails().display().to_string();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let rows = table
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    rows.filter(|row| row[4].starts_with(&base) || row[4].starts_with(&jails))
        .map(|row| (row[3].to_owned(), row[4].to_owned(), row[5].to_owned()))
        .collect()
}

/// The last word of an applied record on every object.
fn applied(file: &Path) -> BTreeMap<String, String> {
    let mut last = BTreeMap::new();
    for line in std::fs::read_to_string(file)
        .unwrap_or_default()
        .lines()
        .skip(1)
    {
        let record: Value = serde_json::from_str(line).unwrap();
        if let Some(object) = record.get("done") {
            last.insert(format!("{object}"), record.to_string());
            last.remove(&format!("intent {object}"));
        } else if let Some(object) = record.get("forget") {
            last.remove(&format!("{object}"));
            last.remove(&format!("intent {object}"));
        } else {
            last.insert(format!("intent {}", record["intend"]), record.to_string());
        }
    }
    last
}

fn jsons(dir: &Path) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let text = std::fs::read(entry.path()).unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&text).unwrap())
        })
        .collect()
}

/// Replaces every uuid by its number in the order of appearance.
fn named(text: &str) -> String {
    let is_uuid = |s: &str| {
        s.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(head) = rest.get(..36).filter(|s| is_uuid(s)) {
            let next = names.len();
            let number = *names.entry(head).or_insert(next);
            let _ = write!(out, "<uuid {number}>");
            rest = &rest[36..];
        } else {
            let c = rest.chars().next().unwrap();
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The lines in which two pictures differ, in whatever order they come.
pub fn difference(a: &str, b: &str) -> String {
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    for line in a.lines() {
        *counts.entry(line).or_default() -= 1;
    }
    for line in b.lines() {
        *counts.entry(line).or_default() += 1;
    }
    let mut text = String::new();
    for (line, count) in counts {
        for _ in 0..count.abs() {
            let _ = writeln!(text, "{} {line}", if count < 0 { '-' } else { '+' });
        }
    }
    text
}
