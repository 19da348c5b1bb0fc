//! A NAS in a directory of its own, the program that works on it, and what it left there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub const OCTONAS: &str = env!("CARGO_BIN_EXE_octonas");

/// A directory with an embedded NAS in `nas/`, gone at the end.
pub struct TestEnv {
    pub root: TempDir,
    pub nas: PathBuf,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// `None` where a signal ended it.
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl TestEnv {
    pub fn new() -> Self {
        // In memory where there is such a place: how durable a real disk is, `order` looks at.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() {
            tempfile::Builder::new()
                .prefix("octonas-")
                .tempdir_in(memory)
        } else {
            tempfile::tempdir()
        }
        .unwrap();
        let nas = root.path().join("nas");
        Self { root, nas }
    }

    /// With the experiment `eco` of [`definition`] in it.
    pub fn with_experiment() -> Self {
        let env = Self::new();
        env.create(&definition("eco")).ok();
        env
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(OCTONAS);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.root.path())
            .env("OCTONAS_NAS", format!("local:{}", self.nas.display()))
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments), b"")
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json", "--quiet"];
        all.extend(arguments);
        let ran = self.run(&all);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {ran:?}"))
    }

    pub fn with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        finish(self.command(arguments), input)
    }

    /// `experiment create -f -`.
    pub fn create(&self, definition: &str) -> Ran {
        self.with_input(&["experiment", "create", "-f", "-"], definition.as_bytes())
    }

    /// `experiment edit -f -`.
    pub fn edit(&self, definition: &str) -> Ran {
        self.with_input(&["experiment", "edit", "-f", "-"], definition.as_bytes())
    }

    /// One call of the web UI.
    pub fn rpc(&self, method: &str, caller: (&str, &str), params: &Value) -> Ran {
        let request = json!({"caller": {"username": caller.0, "role": caller.1}, "params": params});
        self.with_input(&["rpc", method], request.to_string().as_bytes())
    }

    /// One call of an administrator, and its answer.
    pub fn admin(&self, method: &str, params: &Value) -> Value {
        let ran = self.rpc(method, ("admin", "admin"), params);
        one_answer(&ran)
    }

    /// A path beside the NAS.
    pub fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    /// Packages its experiment, into a file or directory beside the NAS.
    pub fn pack(&self, name: &str, more: &[&str]) -> Ran {
        let out = self.path(name);
        let mut all = vec!["package", "create", "eco", "-o", &out];
        all.extend(more);
        self.run(&all)
    }

    /// A path in an experiment.
    pub fn at(&self, path: &str) -> PathBuf {
        self.nas.join(path)
    }

    /// The file of the index of its one experiment's files.
    pub fn index(&self) -> PathBuf {
        let dir = self.at(".octonas/catalogue");
        let all = names(&dir).into_iter();
        let mut indexes = all.filter(|name| name.ends_with(".sqlite"));
        dir.join(indexes.next().unwrap())
    }

    /// `text` with everything replaced that differs from run to run.
    pub fn neutral(&self, text: &str) -> String {
        let text = text.replace(&self.root.path().display().to_string(), "[ROOT]");
        neutral(&text)
    }

    /// Everything that counts of a NAS at rest, as text that two runs can be compared by: the tree with modes, ACLs and
    /// contents; ids, times and digests made neutral. Locks and caches are left out.
    pub fn end_state(&self) -> String {
        let mut out = String::new();
        describe(&self.nas, Path::new(""), &mut out);
        out.push_str("--- objects\n");
        let mut objects: BTreeMap<String, String> = BTreeMap::new();
        let mut accounts: Vec<String> = Vec::new();
        for line in fs::read_to_string(self.at(".octonas/nas.jsonl"))
            .unwrap_or_default()
            .lines()
        {
            let line: Value = serde_json::from_str(line).unwrap();
            if let Some(put) = line.get("put") {
                objects.insert(put["object"].to_string(), put["found"].to_string());
            } else if let Some(delete) = line.get("delete") {
                objects.remove(&delete["object"].to_string());
            } else if let Some(account) = line.get("account") {
                accounts.push(account["name"].to_string());
            }
        }
        accounts.sort();
        accounts.dedup();
        let _ = writeln!(out, "{}\n{objects:#?}", accounts.join(" "));
        out.push_str("--- list\n");
        let mut list = self.json(&["experiment", "list", "--all"]);
        for row in list["rows"].as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("seen_at");
        }
        let _ = writeln!(out, "{list:#}");
        self.neutral(&out)
    }

    /// The whole lines of the ledger, oldest first.
    fn events(&self) -> Vec<Value> {
        let dir = self.at(".octonas/ledger");
        let segments = names(&dir).into_iter();
        segments
            .filter(|name| name.ends_with(".jsonl"))
            .flat_map(|name| {
                let text = fs::read_to_string(dir.join(name)).unwrap();
                let whole = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
                whole
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The newest line of the ledger: operation and outcome.
    pub fn last_event(&self) -> Option<(String, String)> {
        let last = self.events().pop()?;
        let word = |key: &str| last[key].as_str().unwrap().to_owned();
        Some((word("operation"), word("outcome")))
    }

    /// The operation that was begun last and did not end, on whatever experiment.
    pub fn open_event(&self) -> Option<String> {
        let mut open: Vec<(Value, String)> = Vec::new();
        for event in self.events() {
            let operation = event["operation"].as_str().unwrap().to_owned();
            open.retain(|known| *known != (event["experiment"].clone(), operation.clone()));
            if event["outcome"] == "begun" {
                open.push((event["experiment"].clone(), operation));
            }
        }
        open.pop().map(|(_, operation)| operation)
    }

    /// What staging, the trash and scratch directories still hold: nothing, when all is done.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = names(&self.at(".octonas/staging"));
        left.extend(names(&self.at(".octonas/trash")));
        let everywhere = all_paths(&self.nas);
        left.extend(everywhere.into_iter().filter(|path| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.starts_with(".octonas-")
        }));
        left
    }
}

impl Ran {
    /// It must have ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.exit, Some(0), "{self:?}");
        self
    }

    /// It must have failed with this exit code, and this error on standard error.
    #[track_caller]
    pub fn failed(self, exit: i32, code: &str) -> Self {
        assert_eq!(self.exit, Some(exit), "{self:?}");
        assert!(
            self.stderr.contains(&format!("[{code}]")),
            "{code} is not in {self:?}"
        );
        self
    }
}

impl Ran {
    /// A call of the web UI that must have answered with this error.
    #[track_caller]
    pub fn failed_rpc(&self, code: &str) {
        assert_eq!(one_answer(self)["error"]["code"], code, "{self:?}");
    }
}

/// Runs it to the end with `input` on standard input.
pub fn finish(mut command: Command, input: &[u8]) -> Ran {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    let feeder = child.stdin.take().map(|mut stdin| {
        let input = input.to_vec();
        std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        })
    });
    let output = child.wait_with_output().unwrap();
    if let Some(feeder) = feeder {
        feeder.join().unwrap();
    }
    Ran {
        exit: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The one line of an answer.
#[track_caller]
pub fn one_answer(ran: &Ran) -> Value {
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "exactly one line: {ran:?}");
    let answer: Value = serde_json::from_str(lines[0]).unwrap();
    let is_error = answer.get("error").is_some();
    assert_ne!(is_error, answer.get("result").is_some(), "{answer}");
    assert_eq!(ran.exit, Some(i32::from(is_error)), "{ran:?}");
    answer
}

/// A small experiment with a writer, a reader and a manager.
pub fn definition(code: &str) -> String {
    format!(
        "octonas: 1
code: {code}
title: Heat waves
language: en
people:
  - {{ name: Ada Lovelace, roles: [principal-investigator], account: ada, access: manage }}
  - {{ name: Bo Ek, account: bo, access: write }}
  - {{ name: Cy Young, account: cy, access: read }}
layout: minimal
"
    )
}

/// Whether a program of the system is there.
pub fn have(program: &str) -> bool {
    Path::new("/usr/bin").join(program).is_file()
}

/// A key pair of age: public key, and the file of the private one.
pub fn key(env: &TestEnv, name: &str) -> (String, String) {
    let file = env.path(name);
    let made = Command::new("/usr/bin/age-keygen")
        .args(["-o", &file])
        .output()
        .unwrap();
    let text = String::from_utf8(made.stderr).unwrap();
    (text.split_whitespace().last().unwrap().to_owned(), file)
}

/// The names in a directory, sorted; none where it is not there.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

fn all_paths(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(dir) = stack.pop() {
        for name in names(&dir) {
            let path = dir.join(name);
            all.push(path.display().to_string());
            if path.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                stack.push(path);
            }
        }
    }
    all
}

/// One line for every path beneath `top`: type, mode, ACLs, owner, content.
fn describe(top: &Path, below: &Path, out: &mut String) {
    let path = top.join(below);
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    let shown = below.display().to_string();
    let skip = [
        ".octonas/run",
        ".octonas/cache",
        ".octonas/nas.jsonl",
        ".octonas/ledger",
        // How often a file was checked depends on how often somebody was killed; `settled` looks at the chain.
        ".octonas/checks",
    ];
    if skip.iter().any(|skip| shown.starts_with(skip)) || shown.ends_with(".lock") {
        return;
    }
    // Empty rooms of our own house may or may not have been needed.
    if [".octonas/staging", ".octonas/trash"].contains(&shown.as_str()) && names(&path).is_empty() {
        return;
    }
    let _ = write!(
        out,
        "{shown} {:o} {}:{}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid()
    );
    out.push_str(&attributes(&path));
    out.push('\n');
    if metadata.is_file() {
        let text = fs::read_to_string(&path).unwrap_or_else(|_| "(binary)".into());
        if shown.ends_with("claim.json") {
            // What a file system could do while it was full is not what it can.
            let mut claim: Value = serde_json::from_str(&text).unwrap();
            claim.as_object_mut().unwrap().remove("abilities");
            let _ = writeln!(out, "    {claim}");
        } else if shown.ends_with("before-import.facl") {
            // In the order of the directory.
            let mut paragraphs: Vec<&str> = text.split("\n\n").collect();
            paragraphs.sort_unstable();
            let _ = writeln!(out, "{}", paragraphs.join("\n\n"));
        } else if shown.ends_with("applied.jsonl") {
            let _ = writeln!(out, "{}", applied(&text));
        } else {
            for line in text.lines() {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
    if metadata.is_dir() {
        for name in names(&path) {
            describe(top, &below.join(name), out);
        }
    }
}

/// What an applied record comes to, however many lines it took.
fn applied(text: &str) -> String {
    let mut done: BTreeMap<String, String> = BTreeMap::new();
    let mut intents: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(&neutral(line)).unwrap();
        if let Some(id) = line.get("intend") {
            intents.insert(id.to_string(), line["attributes"].to_string());
        } else if let Some(id) = line.get("done") {
            intents.remove(&id.to_string());
            done.insert(
                id.to_string(),
                format!("{} {}", line["reference"], line["attributes"]),
            );
        } else if let Some(id) = line.get("forget") {
            intents.remove(&id.to_string());
            done.remove(&id.to_string());
        }
    }
    format!("    done {done:#?}\n    intents {intents:#?}")
}

/// Every byte and every time of a tree: what "writes nothing" is measured by. Locks (they are taken) and the cache
/// (`SQLite` keeps its own books) are left out.
pub fn exact(top: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for path in all_paths(top) {
        if path.contains("/.octonas/run")
            || path.contains("/.octonas/cache")
            || path.ends_with(".lock")
        {
            continue;
        }
        all.insert(path.clone(), exact_one(Path::new(&path)));
    }
    all
}

/// What differs between two states of a tree.
pub fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| format!("{path}:\n  {:?}\n  {:?}", before.get(path), after.get(path)))
        .collect()
}

/// Nothing at all happened to a tree since `before` was taken.
#[track_caller]
pub fn untouched(top: &Path, before: &BTreeMap<String, String>, by: &dyn std::fmt::Debug) {
    let changes = changes(before, &exact(top));
    assert!(changes.is_empty(), "{by:?} changed\n{}", changes.join("\n"));
}

/// Everything that lstat(2) and xattr(7) tell of one path, and its content.
pub fn exact_one(path: &Path) -> String {
    let m = path.symlink_metadata().unwrap();
    let mut out = format!(
        "{:o} {}:{} size {} mtime {}.{:09} ctime {}.{:09} links {}",
        m.mode(),
        m.uid(),
        m.gid(),
        m.len(),
        m.mtime(),
        m.mtime_nsec(),
        m.ctime(),
        m.ctime_nsec(),
        m.nlink()
    );
    if !m.file_type().is_symlink() {
        out.push_str(&attributes(path));
    }
    if m.is_file() {
        let _ = write!(
            out,
            " sha256 {}",
            hex(&Sha256::digest(fs::read(path).unwrap()))
        );
    } else if m.file_type().is_symlink() {
        let _ = write!(out, " -> {}", fs::read_link(path).unwrap().display());
    } else if m.file_type().is_fifo() {
        out.push_str(" fifo");
    }
    out
}

/// Extended attributes, ACLs among them, in order.
fn attributes(path: &Path) -> String {
    let mut all: Vec<_> = xattr::list(path).map(Vec::from_iter).unwrap_or_default();
    all.sort();
    all.iter().fold(String::new(), |mut out, attribute| {
        let value = xattr::get(path, attribute)
            .ok()
            .flatten()
            .unwrap_or_default();
        let _ = write!(out, " {}={}", attribute.display(), hex(&value));
        out
    })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Ids, digests, times and versions replaced by what they are.
fn neutral(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (len, name) = if at > 0 && bytes[at - 1].is_ascii_alphanumeric() {
            (0, "")
        } else if let Some(len) = shape(rest, b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh") {
            (len, "[UUID]")
        } else if let Some(len) = shape(rest, &[b'h'; 64]) {
            (len, "[DIGEST]")
        } else if let Some(len) =
            shape(rest, &[b'h'; 16]).filter(|_| text[..at].ends_with("\"plan\": \""))
        {
            (len, "[PLAN]")
        } else if let Some(len) = shape(rest, b"dddd-dd-ddTdd:dd:dd") {
            let more = rest[len..]
                .iter()
                .take_while(|b| b.is_ascii_digit() || b".Z".contains(b))
                .count();
            (len + more, "[TIME]")
        } else if let Some(len) = shape(rest, b"dddd-dd-dd dd:dd") {
            (len, "[TIME]")
        } else {
            (0, "")
        };
        if len > 0 && !rest.get(len).is_some_and(u8::is_ascii_alphanumeric) {
            out.extend(name.as_bytes());
            at += len;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    // YAML quotes the ids that it could take for numbers.
    String::from_utf8(out)
        .unwrap()
        .replace("id: \"[UUID]\"", "id: [UUID]")
}

/// The length of `pattern` where `text` begins with its like: `h` a hexadecimal digit, `d` a decimal one.
fn shape(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let fits = text.len() >= pattern.len()
        && pattern.iter().zip(text).all(|(want, got)| match want {
            b'h' => got.is_ascii_hexdigit(),
            b'd' => got.is_ascii_digit(),
            other => other == got,
        });
    fits.then_some(pattern.len())
}

/// Runs `work` for every item on as many threads as there are cores; gives what it said, in order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results: std::sync::Mutex<BTreeMap<usize, R>> = std::sync::Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    results.lock().unwrap().insert(index, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

/// A file name as bytes, for names that are no text.
pub fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(bytes)
}

/// A copy of a whole tree with modes, ACLs and times (`cp -a`).
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("/bin/cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success());
}

/// The numbers (from 1) of the points at which a run is disturbed: one that follows the same `before` points as another did
/// is tried once. `OCTONAS_EVERY_POINT=1` tries them all (`make test-long` does).
pub fn telling(points: &[String], before: usize) -> Vec<usize> {
    let all = std::env::var_os("OCTONAS_EVERY_POINT").is_some();
    let mut seen = std::collections::BTreeSet::new();
    (1..=points.len())
        .filter(|end| seen.insert(&points[end.saturating_sub(before + 1)..*end]) || all)
        .collect()
}

/// Makes a chain of directories below `top`, deeper than a path can be long; gives the last one.
pub fn deepen(top: &Path, name: &str, depth: usize) -> PathBuf {
    let mut here = fs::File::open(top).unwrap();
    for _ in 0..depth {
        let below = beneath(&here, name);
        fs::create_dir(&below).unwrap();
        here = fs::File::open(below).unwrap();
    }
    kept(here)
}

/// Goes down such a chain.
pub fn descend(top: &Path, name: &str, depth: usize) -> PathBuf {
    let mut here = fs::File::open(top).unwrap();
    for _ in 0..depth {
        here = fs::File::open(beneath(&here, name)).unwrap();
    }
    kept(here)
}

fn beneath(dir: &fs::File, name: &str) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())
}

/// A path of an open directory, as long as this process lives.
fn kept(dir: fs::File) -> PathBuf {
    use std::os::fd::IntoRawFd as _;
    PathBuf::from(format!("/proc/self/fd/{}", dir.into_raw_fd()))
}

/// Takes away a file or a directory.
pub fn clear(path: impl AsRef<Path>) {
    let path = path.as_ref();
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}
