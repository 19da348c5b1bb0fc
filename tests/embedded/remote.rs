//! Archives on another machine: rsync over SSH to a real sshd, over lines that hold and lines that break.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sshd::{Line, Reach, Sshd};
use crate::support::{Ran, TestEnv, finish, names};

/// A NAS with an experiment whose archives go to another machine.
struct Field {
    env: TestEnv,
    sshd: Sshd,
    line: Line,
}

impl Field {
    fn new() -> Option<Self> {
        let env = TestEnv::with_experiment();
        let sshd = Sshd::start(&env.root.path().join("sshd"))?;
        fs::create_dir(env.root.path().join("there")).unwrap();
        // What does not get smaller when it is packed.
        let mut seed = 1_u64;
        let noise: Vec<u8> = (0..8_000_000)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        fs::write(env.at("eco/raw/noise"), noise).unwrap();
        let line = Line::to(sshd.port);
        Some(Self { env, sshd, line })
    }

    fn there(&self) -> PathBuf {
        self.env.root.path().join("there")
    }

    /// Runs it with the place `far`, with what differs from the right settings.
    fn with(&self, differs: &Value, arguments: &[&str]) -> Ran {
        finish(self.command(differs, arguments), b"")
    }

    fn command(&self, differs: &Value, arguments: &[&str]) -> Command {
        let mut place = json!({
            "name": "far",
            "remote": format!("{}@127.0.0.1:{}", self.sshd.account, self.there().display()),
            "port": self.line.port,
            "ssh-key": self.sshd.key("client"),
            "host-keys": [self.sshd.public("host")],
        });
        for (key, value) in differs.as_object().unwrap() {
            place[key] = value.clone();
        }
        let settings = self.env.root.path().join("octonas.yaml");
        fs::write(
            &settings,
            json!({"archive": {"places": [place]}}).to_string(),
        )
        .unwrap();
        let mut all = vec!["--config", settings.to_str().unwrap()];
        all.extend(arguments);
        self.env.command(&all)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.with(&json!({}), arguments)
    }

    /// Nothing was counted, and nothing is left of it but what stands `there`.
    #[track_caller]
    fn nothing_happened(&self, there: &[&str]) {
        assert_eq!(self.env.json(&["archive", "list"]), json!([]));
        assert_eq!(names(&self.there()), there);
        assert!(names(&self.env.at(".octonas/archiving")).is_empty());
    }
}

#[test]
fn an_archive_on_another_machine_is_read_again_there_and_comes_back() {
    let Some(field) = Field::new() else { return };
    field.run(&["archive", "eco"]).ok();
    let list = field.env.json(&["archive", "list"]);
    let package = list[0]["package"].as_str().unwrap().to_owned();
    assert_eq!(list[0]["places"], json!(["far"]));
    assert_eq!(
        names(&field.there()),
        [package.clone(), format!("{package}.sha256")]
    );
    let copy = field.there().join(&package);
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let checked = Command::new("/usr/bin/sha256sum")
        .args(["--check", "--quiet", &format!("{package}.sha256")])
        .current_dir(field.there())
        .status();
    assert!(checked.unwrap().success());
    field.run(&["archive", "verify", "eco"]).ok();
    let back = field.env.root.path().join("back");
    let restore = [
        "archive",
        "restore",
        "eco",
        "--into",
        back.to_str().unwrap(),
    ];
    field.run(&restore).ok();
    let noise = |top: &Path| fs::read(top.join("raw/noise")).unwrap();
    assert_eq!(noise(&back), noise(&field.env.at("eco")));
    fs::remove_dir_all(&back).unwrap();
    // A copy that rots or goes away over there is found.
    let state = || {
        let ran = field.run(&["--json", "archive", "verify", "eco"]);
        let copies: Value = serde_json::from_str(&ran.stdout).unwrap();
        (ran.exit, copies[0]["state"].as_str().unwrap().to_owned())
    };
    let good = fs::read(&copy).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(&copy, bad).unwrap();
    assert_eq!(state(), (Some(3), "damaged".into()));
    let ran = field.run(&restore);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(!back.exists());
    fs::remove_file(&copy).unwrap();
    assert_eq!(state(), (Some(3), "damaged".into()));
    fs::rename(field.there(), field.env.root.path().join("elsewhere")).unwrap();
    assert_eq!(state(), (Some(3), "unreachable".into()));
    assert!(names(&field.env.at(".octonas/archiving")).is_empty());
}

#[test]
fn only_the_machine_that_is_meant_gets_anything() {
    let Some(field) = Field::new() else { return };
    let cases = [
        (
            json!({"host-keys": [field.sshd.public("other-host")]}),
            "archive.host-key",
        ),
        // Nobody said which machine it is: nothing is learned from whoever answers.
        (json!({"host-keys": []}), "archive.host-key"),
        (json!({"host-keys": ["ssh-ed25519 AAAA"]}), "archive.place"),
        (
            json!({"host-keys": [field.sshd.public("host").replace("ssh-ed25519", "@cert-authority")]}),
            "archive.place",
        ),
        (
            json!({"ssh-key": field.sshd.key("stranger")}),
            "archive.refused",
        ),
        (json!({"ssh-key": field.sshd.key("none")}), "archive.key"),
        (json!({"ssh-key": field.sshd.key("")}), "archive.key"),
        (json!({"ssh-key": "client"}), "archive.place"),
        (json!({"port": 1}), "archive.unreachable"),
        (
            json!({"remote": format!("{}@127.0.0.1:{}/none", field.sshd.account, field.there().display())}),
            "archive.unreachable",
        ),
    ];
    for (differs, code) in cases {
        field.with(&differs, &["archive", "eco"]).failed(1, code);
        field.nothing_happened(&[]);
    }
    let key = field.sshd.key("client");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    field.run(&["archive", "eco"]).failed(1, "archive.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&key, field.sshd.key("link")).unwrap();
    field
        .with(
            &json!({"ssh-key": field.sshd.key("link")}),
            &["archive", "eco"],
        )
        .failed(1, "archive.key");
    field.nothing_happened(&[]);
    // One of several keys is enough: so it is changed without a gap.
    let both = json!({"host-keys": [field.sshd.public("other-host"), field.sshd.public("host")]});
    field.with(&both, &["archive", "eco"]).ok();
}

#[test]
fn a_line_that_breaks_is_taken_up_where_it_broke() {
    let Some(field) = Field::new() else { return };
    // The first connection only looks for what an earlier archive left.
    field.line.next(&[Reach::Whole, Reach::Breaks(6_000_000)]);
    field.run(&["archive", "eco"]).ok();
    assert_eq!(field.line.troubles.load(Ordering::Relaxed), 1);
    let sent = field.line.sent.load(Ordering::Relaxed);
    assert!(sent < 11_000_000, "{sent} bytes were sent for 8 MB");
    assert_eq!(names(&field.there()).len(), 2);
}

#[test]
fn a_line_that_breaks_again_and_again_is_given_up_and_leaves_no_half_archive() {
    let Some(field) = Field::new() else { return };
    let breaks = [Reach::Breaks(300_000); 4];
    field.line.next(&[&[Reach::Whole], &breaks[..]].concat());
    field.run(&["archive", "eco"]).failed(1, "archive.broken");
    field.nothing_happened(&[".octonas-partial"]);
    let left = names(&field.there().join(".octonas-partial"));
    assert_eq!(left.len(), 1, "{left:?}");
    // Somebody else's stays; what the next archive of this experiment finds of its own goes.
    fs::write(field.there().join(".octonas-partial/lake_1"), "x").unwrap();
    field.run(&["archive", "eco"]).ok();
    assert_eq!(names(&field.there().join(".octonas-partial")), ["lake_1"]);
    assert_eq!(names(&field.there()).len(), 3);
}

#[test]
fn who_waits_for_a_machine_that_fell_silent_can_stop_it() {
    let Some(field) = Field::new() else { return };
    field.line.next(&[Reach::Whole, Reach::Hangs(300_000)]);
    let child = field
        .command(&json!({}), &["archive", "eco"])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while field.line.troubles.load(Ordering::Relaxed) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let stopped = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(stopped.elapsed() < Duration::from_secs(10));
    assert_eq!(field.env.json(&["archive", "list"]), json!([]));
    field.run(&["archive", "eco"]).ok();
}

#[test]
fn a_machine_that_is_full_gets_no_archive_and_says_so() {
    let Some(field) = Field::new() else { return };
    let there = field.there();
    let mounted = Command::new("/usr/bin/mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&there)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: only root mounts a small file system");
        return;
    }
    let ran = field.run(&["archive", "eco"]);
    let left = names(&there);
    // The other end may still be tidying up.
    let begun = Instant::now();
    let unmount = || {
        Command::new("/usr/bin/umount")
            .arg(&there)
            .output()
            .unwrap()
    };
    while !unmount().status.success() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
    }
    ran.failed(1, "archive.full");
    assert!(
        left.iter().all(|name| name == ".octonas-partial"),
        "{left:?}"
    );
    field.nothing_happened(&[]);
}

#[test]
fn another_package_or_more_than_was_brought_there_does_not_come_back_as_the_archive() {
    let Some(field) = Field::new() else { return };
    field.run(&["archive", "eco"]).ok();
    let list = field.env.json(&["archive", "list"]);
    let copy = field.there().join(list[0]["package"].as_str().unwrap());
    let back = field.env.root.path().join("back");
    let restore = [
        "archive",
        "restore",
        "eco",
        "--into",
        back.to_str().unwrap(),
    ];
    // A valid package of the same experiment, in which somebody changed a number.
    fs::write(field.env.at("eco/raw/noise"), "forged").unwrap();
    let forged = field.env.root.path().join("forged");
    let out = forged.to_str().unwrap();
    field.env.run(&["package", "create", "eco", "-o", out]).ok();
    field.env.run(&["package", "verify", out]).ok();
    fs::rename(&forged, &copy).unwrap();
    field.run(&restore).failed(1, "archive.damaged");
    assert!(!back.exists());
    // One that would fill the disk.
    let much = fs::File::create(&copy).unwrap();
    much.set_len(4 << 30).unwrap();
    let begun = Instant::now();
    field.run(&restore).failed(1, "archive.damaged");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(names(&field.env.at(".octonas/archiving")).is_empty());
    assert!(!back.exists());
}
