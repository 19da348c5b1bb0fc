//! A place for archives on another machine, by rsync over SSH: which machine it is, its host key says, and nothing is asked of anybody.
//!
//! rsync has to see where it is, so it is given paths and not our open directories; all of those are root's alone, and none is made.
//!
//! The account there needs no more than rsync. What is sent goes on where it stopped when the line breaks; what came of an earlier
//! attempt that was given up is taken away there.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::experiment::PublicKey;
use crate::settings;
use crate::sys::command::{Command, Memory, Output, Program};
use crate::sys::dir::{Dir, FileKind};
use crate::sys::process;

/// How long a transfer may take.
const PATIENCE: Duration = Duration::from_hours(14 * 24);
/// How long to wait before a line that broke is tried again.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(15),
];
/// The most that is repeated of what ssh or rsync said, in characters.
const SAID_MAX: usize = 300;
/// At the place, what is on its way there.
const PARTIAL: &str = ".octonas-partial";

/// Another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `account@machine:/directory`.
    target: String,
    port: Option<u16>,
    key: Option<PathBuf>,
    /// Who it is; where none is named, what ssh knows (`known_hosts` of root and of the machine).
    host_keys: Vec<PublicKey>,
}

impl Remote {
    /// A configured one, or what is wrong with it.
    pub fn configured(given: &settings::Place, target: &str) -> std::result::Result<Self, String> {
        let mut remote =
            Self::named(target).ok_or("has a `remote` that is not account@machine:/directory")?;
        let blank = |key: &PathBuf| {
            !key.is_absolute()
                || key.to_str().is_none_or(|key| {
                    key.contains(|c: char| c.is_whitespace() || "'\"%$".contains(c))
                })
        };
        if given.ssh_key.as_ref().is_some_and(blank) {
            return Err("has an `ssh-key` that is no absolute path without blanks".into());
        }
        remote.key.clone_from(&given.ssh_key);
        remote.port = given.port;
        remote.host_keys = given
            .host_keys
            .iter()
            .map(|text| PublicKey::parse(text))
            .collect::<Result<_>>()
            .map_err(|error| format!("has a host key that is none: {}", error.message()))?;
        Ok(remote)
    }

    /// `account@machine:/directory`, with the keys that ssh finds by itself.
    pub fn named(text: &str) -> Option<Self> {
        is_remote(text).then(|| Self {
            target: text.trim_end_matches('/').to_owned(),
            port: None,
            key: None,
            host_keys: Vec::new(),
        })
    }

    /// Sends a file (`dir/name`).
    pub fn put(&self, place: &str, dir: &Dir, name: &str) -> Result<()> {
        self.forget(place, dir, name)?;
        // The directory has to be there: rsync would make one on whatever disk there is.
        let to = format!("{}/.", self.target);
        self.run(place, &Command::new(Program::Rsync), |command| {
            command
                .arg("--chmod=F600")
                .arg(format!("--partial-dir={PARTIAL}"))
                .arg("--")
                .arg(dir.path_of(name))
                .arg(&to)
        })
    }

    /// Brings a copy into `staging`, which is nothing where it is larger than `most` bytes. Whoever keeps it says how large it
    /// is, and may say something else than they send: more than that is not written (`RLIMIT_FSIZE`, setrlimit(2)).
    pub fn fetch(&self, place: &str, name: &str, most: u64, staging: &Dir) -> Result<()> {
        let limited = Command::new(Program::Prlimit)
            .arg(format!("--fsize={}", most.saturating_add(1)))
            .arg(Program::Rsync.path())
            .arg(format!("--max-size={most}b"));
        let done = self.run(place, &limited, |command| {
            command
                .arg("--chmod=F600")
                .arg(format!("--partial-dir={PARTIAL}"))
                .arg("--")
                .arg(format!("{}/{name}", self.target))
                .arg(staging.path_of("."))
        });
        if done.is_err() {
            // Nothing of it is of use.
            staging.remove_tree(PARTIAL)?;
        }
        done
    }

    /// Takes away what earlier archives of the same experiment left there on their way. An account that may not delete keeps it.
    fn forget(&self, place: &str, dir: &Dir, name: &str) -> Result<()> {
        let Some((code, _)) = name.split_once('_') else {
            return Ok(());
        };
        let done = self.run(place, &Command::new(Program::Rsync), |command| {
            command
                .args(["--recursive", "--existing", "--ignore-existing", "--delete"])
                .arg(format!("--exclude=/{PARTIAL}/{name}"))
                .arg(format!("--include=/{PARTIAL}/"))
                .arg(format!("--include=/{PARTIAL}/{code}_*"))
                .arg("--exclude=*")
                .arg("--")
                .arg(dir.path_of("."))
                .arg(format!("{}/.", self.target))
        });
        match done {
            Err(error) if error.code() != "archive.failed" => Err(error),
            _ => Ok(()),
        }
    }

    /// Runs rsync until it is done, as long as the only trouble is a line that breaks.
    fn run(&self, place: &str, rsync: &Command, with: impl Fn(Command) -> Command) -> Result<()> {
        self.check_key(place)?;
        let known = self.known()?;
        let mut pauses = PAUSES.iter();
        loop {
            let rsync = rsync
                .clone()
                .args([
                    "--times",
                    "--secluded-args",
                    "--timeout=600",
                    "--fsync",
                    "-e",
                ])
                .arg(self.shell(known.as_ref()))
                .within(PATIENCE)
                .interruptible();
            let output = with(rsync).output()?;
            if output.code == Some(0) {
                return Ok(());
            }
            let error = told(place, &output);
            match pauses.next() {
                Some(pause) if error.code() == "archive.broken" => wait(*pause)?,
                _ => return Err(error),
            }
        }
    }

    /// A private key that others could have read is no secret any more; ssh itself looks only at those of whoever runs it.
    fn check_key(&self, place: &str) -> Result<()> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let refused = |why: &str| {
            Error::new(
                "archive.key",
                format!("the key {} of the place {place} {why}", key.display()),
            )
            .hint("ssh-keygen -t ed25519 makes one; it belongs to root, with mode 600, and its public half to the account there")
        };
        let (Some(parent), Some(name)) = (key.parent(), key.file_name()) else {
            return Err(refused("is no file"));
        };
        let found = match Dir::open_absolute(parent) {
            Ok(dir) => dir.stat(name)?,
            Err(_) => None,
        };
        match found {
            None => Err(refused("is not there")),
            Some(found) if found.kind != FileKind::File => Err(refused("is no regular file")),
            Some(found) if found.uid != process::user() => Err(refused("is somebody else's")),
            Some(found) if found.mode & 0o077 != 0 => {
                Err(refused("can be read by others, or written"))
            }
            Some(_) => Ok(()),
        }
    }

    /// The host keys as ssh reads them, under a name that is the place's alone.
    fn known(&self) -> Result<Option<Memory>> {
        if self.host_keys.is_empty() {
            return Ok(None);
        }
        let lines = self.host_keys.iter().fold(String::new(), |mut lines, key| {
            let _ = writeln!(lines, "{ALIAS} {}", key.body());
            lines
        });
        Memory::new(lines.as_bytes()).map(Some)
    }

    /// The words that rsync starts ssh with; it cuts them at blanks. None of them ever asks, and none trusts what it does not know.
    fn shell(&self, known: Option<&Memory>) -> String {
        let mut words: Vec<String> = vec!["ssh".into()];
        let mut say = |word: &str| words.extend(["-o".into(), word.to_owned()]);
        for word in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "ConnectTimeout=20",
            "ServerAliveInterval=30",
            "ServerAliveCountMax=4",
            "ControlPath=none",
            "ForwardAgent=no",
            "ClearAllForwardings=yes",
            "PermitLocalCommand=no",
        ] {
            say(word);
        }
        if let Some(known) = known {
            say(&format!("UserKnownHostsFile={}", known.path()));
            for word in [
                "GlobalKnownHostsFile=none",
                "KnownHostsCommand=none",
                "UpdateHostKeys=no",
                "VerifyHostKeyDNS=no",
                "CheckHostIP=no",
            ] {
                say(word);
            }
            say(&format!("HostKeyAlias={ALIAS}"));
        }
        if let Some(key) = &self.key {
            say("IdentitiesOnly=yes");
            say("IdentityAgent=none");
            words.extend(["-i".into(), key.display().to_string()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".into(), port.to_string()]);
        }
        words.join(" ")
    }
}

/// What the machine is called where its keys are pinned.
const ALIAS: &str = "octonas-archive";

fn wait(pause: Duration) -> Result<()> {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        process::check_interrupted()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    process::check_interrupted()
}

/// What went wrong, from what ssh and rsync say of it.
fn told(place: &str, output: &Output) -> Error {
    let said = String::from_utf8_lossy(&output.stderr);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let first = said
        .lines()
        .map(str::trim)
        .find(|line| {
            CAUSES
                .iter()
                .flat_map(|cause| cause.0)
                .any(|word| line.contains(word))
        })
        .map(str::to_owned)
        .or_else(|| output.last_error_line())
        .unwrap_or_default();
    let (code, what, hint) = CAUSES
        .iter()
        .find(|cause| has(cause.0))
        .map_or(OTHERWISE, |(_, code, what, hint)| (*code, *what, *hint));
    let first: String = first
        .chars()
        .filter(|c| !c.is_control())
        .take(SAID_MAX)
        .collect();
    Error::new(code, format!("the place {place} {what}: {first}")).hint(hint)
}

type Cause = (
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
);

/// What it says, and what that means: the first that fits.
const CAUSES: &[Cause] = &[
    (
        &[
            "Host key verification failed",
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
        ],
        "archive.host-key",
        "is another machine than its host key says, or nobody said which it is",
        "ask its administrator for the key (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there); `host-keys` in /etc/octonas/octonas.yaml names it",
    ),
    (
        &["Permission denied (", "Too many authentication failures"],
        "archive.refused",
        "does not let us in",
        "put the public half of `ssh-key` into ~/.ssh/authorized_keys of the account there",
    ),
    (
        &["No space left on device", "Disk quota exceeded"],
        "archive.full",
        "or what lies on the way to it has no room left",
        "make room there (or on the base, where a copy is read again), then archive again",
    ),
    (
        &["rsync: command not found", "rsync: not found"],
        "archive.unreachable",
        "has no rsync",
        "install rsync there",
    ),
    (
        &["link_stat \""],
        "archive.missing",
        "does not have it any more",
        "another copy may be good: `octonas archive verify`",
    ),
    (
        &[
            "No such file or directory",
            "Permission denied",
            "Read-only file system",
        ],
        "archive.unreachable",
        "cannot be read or written there",
        "see whether its directory is there, its disk mounted, and the account may write; the directory itself is never made",
    ),
    (
        &[
            "No route to host",
            "Network is unreachable",
            "Connection refused",
            "Connection timed out",
            "Could not resolve hostname",
            "Operation timed out",
        ],
        "archive.unreachable",
        "does not answer",
        "see whether the machine is on and can be reached from here (ssh)",
    ),
    (
        &[
            "connection unexpectedly closed",
            "Connection closed by",
            "Connection reset by",
            "Broken pipe",
            "error in rsync protocol data stream",
            "Timeout, server",
            "io timeout",
            "timeout in data send/receive",
        ],
        "archive.broken",
        "broke off in the middle, again and again",
        "see the network and the machine; then archive again",
    ),
];

const OTHERWISE: (&str, &str, &str) = (
    "archive.failed",
    "did not answer as it should",
    "see whether it can be reached with the same key by hand (rsync over ssh), and whether it has room",
);

/// `account@machine:/directory`, of letters that mean nothing to anybody.
fn is_remote(text: &str) -> bool {
    let plain = |text: &str, more: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    text.split_once(':').is_some_and(|(machine, path)| {
        let (account, host) = machine.split_once('@').unwrap_or(("x", machine));
        plain(account, "-_.") && plain(host, "-.") && path.starts_with('/') && plain(path, "/-_.")
    })
}
