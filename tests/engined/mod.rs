//! The double of omv-engined as a guest of a test: started, looked into, told to fail, ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use octonas::nas::Attributes;
use octonas::nas::omv::{Limits, Omv, Settings, Source};
use serde_json::{Value, json};

/// A running double, with its own directory.
pub struct Double {
    dir: tempfile::TempDir,
    child: Child,
}

impl Double {
    /// With a disk, and a few accounts that every Debian has.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("octonas-omv-")
            .tempdir()
            .unwrap();
        let disk = dir.path().join("disk");
        if is_in_namespace() {
            // Memory, and a disk, that nobody outside this namespace sees.
            tmpfs(dir.path());
            std::fs::create_dir(&disk).unwrap();
            tmpfs(&disk);
        } else {
            std::fs::create_dir(&disk).unwrap();
        }
        std::fs::create_dir(disk.join("octonas")).unwrap();
        let user = |name: &str, uid: u32| json!({"name": name, "uid": uid, "system": false});
        let state = json!({
            "users": [user("games", 5), user("news", 9), user("irc", 39),
                      {"name": "root", "uid": 0, "system": true}],
            "groups": [{"name": "users", "gid": 100, "members": [], "system": true}],
            "mountpoints": [{"uuid": "6d1c3bd0-5c1b-4f9a-9f5e-2f0b8a0c1d2e", "fsname": "/dev/disk/by-uuid/x",
                             "dir": disk, "type": "ext4", "opts": "defaults,nofail", "freq": 0, "passno": 2,
                             "hidden": false, "usagewarnthreshold": 85, "comment": ""}],
        });
        std::fs::write(dir.path().join("state.json"), state.to_string()).unwrap();
        let child = spawn(dir.path());
        Self { dir, child }
    }

    /// Something in its own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder of experiments on its disk.
    pub fn base(&self) -> PathBuf {
        self.path("disk/octonas")
    }

    /// Where jails are.
    pub fn jails(&self) -> PathBuf {
        self.path("jail")
    }

    /// A directory in the base.
    pub fn directory(&self, code: &str) -> PathBuf {
        let path = self.base().join(code);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// A NAS that talks to it.
    pub fn connect(&self) -> Omv {
        Omv::connect(Settings {
            socket: self.path("engined.sock"),
            dirty_modules: self.path("dirtymodules.json"),
            jails: self.jails(),
            jails_wanted: self.path("jails.json"),
            people: Source::Files {
                passwd: self.path("passwd"),
                group: self.path("group"),
            },
            limits: Limits {
                send: Duration::from_secs(5),
                read: Duration::from_secs(5),
                change: Duration::from_secs(2),
                answer: 1 << 20,
            },
        })
        .unwrap()
    }

    /// A configuration of the program that leads here.
    pub fn configuration(&self) -> PathBuf {
        let file = self.path("octonas.yaml");
        let place = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "nas: omv\nomv:\n  socket: {}\n  dirty-modules: {}\n  jails: {}\n  jails-wanted: {}\n  patience: 20\nrun: {}\ncache: {}\n",
            place("engined.sock"),
            place("dirtymodules.json"),
            place("jail"),
            place("jails.json"),
            place("run"),
            place("cache"),
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Makes its accounts and groups those of this namespace.
    pub fn rule_accounts(&self) {
        for name in ["passwd", "group"] {
            run(Command::new("mount")
                .arg("--bind")
                .arg(self.path(name))
                .arg(Path::new("/etc").join(name)));
        }
    }

    /// Asks it directly.
    pub fn ask(&self, request: &str) -> Value {
        let answer = self.try_ask(request).unwrap();
        serde_json::from_slice(answer.strip_suffix(b"\0").unwrap()).unwrap()
    }

    fn try_ask(&self, request: &str) -> std::io::Result<Vec<u8>> {
        use std::io::{BufRead as _, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(self.path("engined.sock"))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("{request}\0").as_bytes())?;
        let mut answer = Vec::new();
        std::io::BufReader::new(stream).read_until(0, &mut answer)?;
        Ok(answer)
    }

    /// All that it knows.
    pub fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("state.json")).unwrap()).unwrap()
    }

    /// Changes what it knows, behind everybody's back.
    pub fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        let (beside, asked) = (self.path("state.edit.new"), self.path("state.edit"));
        std::fs::write(&beside, state.to_string()).unwrap();
        std::fs::rename(&beside, &asked).unwrap();
        // It takes the file at the next call, and removes it before it answers.
        let end = Instant::now() + Duration::from_secs(20);
        while asked.exists() {
            let refused = self.try_ask("{}");
            assert!(
                Instant::now() < end,
                "the double does not take an edit: {refused:?}"
            );
            if refused.is_err() {
                sleep(Duration::from_millis(5));
            }
        }
    }

    /// Lets something go wrong once.
    pub fn fault(&self, fault: Value) {
        self.edit(|state| state["faults"].as_array_mut().unwrap().push(fault));
    }

    /// After its death, or while it dies.
    pub fn restart(&mut self) {
        self.child.wait().unwrap();
        self.child = spawn(self.dir.path());
    }

    /// True when every fault has happened.
    pub fn has_failed(&self) -> bool {
        self.state()["faults"] == json!([])
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if is_in_namespace() {
            // Or its directory could not be removed.
            let _ = umount2(self.dir.path(), MntFlags::MNT_DETACH);
        }
    }
}

fn tmpfs(at: &Path) {
    run(Command::new("mount")
        .args(["-t", "tmpfs", "memory"])
        .arg(at));
}

fn spawn(dir: &Path) -> Child {
    let socket = dir.join("engined.sock");
    let _ = std::fs::remove_file(&socket);
    let mut command = Command::new("python3");
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/engined/engined.py"
        ))
        .arg("--socket")
        .arg(&socket)
        .arg("--state")
        .arg(dir.join("state.json"))
        .arg("--dirty")
        .arg(dir.join("dirtymodules.json"))
        .arg("--jails")
        .arg(dir.join("jails.json"))
        .arg("--people")
        .arg(dir)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if is_in_namespace() {
        command.arg("--mounts");
    }
    let child = command
        .spawn()
        .expect("python3 is needed for the double of omv-engined");
    let end = Instant::now() + Duration::from_secs(20);
    while !socket.exists() {
        assert!(Instant::now() < end, "the double does not start");
        sleep(Duration::from_millis(5));
    }
    child
}

/// Attributes from pairs.
pub fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs
        .iter()
        .map(|&(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

const MARK: &str = "OCTONAS_TEST_NAMESPACE";

fn is_in_namespace() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs the test `name` in a private mount namespace: this same program again, for that test alone.
pub fn in_namespace(name: &str, test: impl FnOnce()) {
    in_namespaces(name, 1, |_| test());
}

/// The same in `parts` namespaces at once; `test` learns which one it is in.
pub fn in_namespaces(name: &str, parts: usize, test: impl FnOnce(usize)) {
    if let Some(part) = std::env::var_os(MARK) {
        return test(part.to_str().unwrap().parse().unwrap());
    }
    let ways: [&[&str]; 2] = [
        &["--mount", "--propagation", "private"],
        &[
            "--user",
            "--map-root-user",
            "--map-auto",
            "--mount",
            "--propagation",
            "private",
        ],
    ];
    let way = ways.into_iter().find(|way| {
        Command::new("unshare")
            .args(*way)
            .args(["mount", "-t", "tmpfs", "none", "/mnt"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    });
    let Some(way) = way else {
        eprintln!("SKIPPED {name}: this machine allows no mount namespace");
        return;
    };
    let guests: Vec<Child> = (0..parts)
        .map(|part| {
            Command::new("unshare")
                .args(way)
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture", "--test-threads", "1"])
                .env(MARK, part.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    // Both pipes are read to their end, or a talkative guest would wait for ever.
    let ends: Vec<_> = std::thread::scope(|scope| {
        let waiting: Vec<_> = guests
            .into_iter()
            .map(|guest| scope.spawn(|| guest.wait_with_output().unwrap()))
            .collect();
        waiting.into_iter().map(|w| w.join().unwrap()).collect()
    });
    for output in &ends {
        let told = String::from_utf8_lossy(&output.stdout);
        for line in told.lines().filter(|line| line.starts_with("  ")) {
            eprintln!("{line}");
        }
        assert!(
            output.status.success(),
            "in a mount namespace:\n{told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(told.contains("1 passed"), "{name} is no test:\n{told}");
    }
}

/// Puts a program in sshd's place, in this namespace alone, that confines everybody to `jails`.
pub fn confining_sshd(jails: &Path) {
    if !Path::new("/usr/sbin/sshd").exists() {
        eprintln!("SKIPPED in part: there is no sshd here to stand in for");
        return;
    }
    let script = jails.with_file_name("sshd");
    let text = format!(
        "#!/bin/sh\necho 'chrootdirectory {}/%u\nforcecommand /usr/lib/octonas/gate\nallowtcpforwarding no\n\
         allowagentforwarding no\nallowstreamlocalforwarding no\nx11forwarding no\npermittty no\npermittunnel no\n\
         permituserrc no'\n",
        jails.display()
    );
    std::fs::write(&script, text).unwrap();
    run(Command::new("chmod").arg("755").arg(&script));
    run(Command::new("mount")
        .arg("--bind")
        .arg(&script)
        .arg("/usr/sbin/sshd"));
}

/// A process that keeps `file` open for writing, perhaps in a mount namespace of its own.
pub fn writer(file: &Path, alone: bool) -> Child {
    let script = "exec 3>\"$0\"; echo ready >&3; trap '' TERM; while :; do sleep 0.1; done";
    let mut command = if alone {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    let child = command.arg("-c").arg(script).arg(file).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while std::fs::read(file).unwrap_or_default().is_empty() {
        assert!(Instant::now() < end);
        sleep(Duration::from_millis(10));
    }
    child
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
