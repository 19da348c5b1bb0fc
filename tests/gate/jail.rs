//! A jail as sshd would make one, made by bubblewrap as an ordinary user, and clients that reach the gate in it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// The gate that was built.
pub const GATE: &str = env!("CARGO_BIN_EXE_octonas-gate");

/// A jail of one member of the experiment `eco`, whose `raw` is a leaf and whose top is not writable.
pub struct Jail {
    directory: TempDir,
}

impl Jail {
    /// `None`, aloud, where this machine cannot do it.
    pub fn new(doors: Option<&str>) -> Option<Self> {
        for needed in [
            "/usr/bin/bwrap",
            "/usr/bin/rsync",
            "/usr/bin/sftp",
            "/usr/lib/openssh/sftp-server",
        ] {
            if !Path::new(needed).exists() {
                skipped(&format!("{needed} is not installed"));
                return None;
            }
        }
        let jail = Self {
            directory: TempDir::new().unwrap(),
        };
        for directory in ["etc", "local", "experiments/eco/raw"] {
            fs::create_dir_all(jail.path(directory)).unwrap();
        }
        jail.chmod("experiments/eco/raw", 0o2770);
        jail.write(
            "etc/passwd",
            "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/experiments:/bin/sh\n",
        );
        if let Some(doors) = doors {
            jail.write("etc/octonas-doors", doors);
        }
        jail.write("gate", &jail.entry());
        jail.write("ssh", &jail.ssh());
        jail.chmod("gate", 0o755);
        jail.chmod("ssh", 0o755);
        jail.chmod("experiments/eco", 0o2550);
        let probe = jail.gate("", &[]);
        if !String::from_utf8_lossy(&probe.stderr).contains("octonas:") {
            skipped(&format!(
                "bubblewrap cannot make a user namespace here: {probe:?}"
            ));
            return None;
        }
        Some(jail)
    }

    /// Runs the gate in the jail; the command is `SSH_ORIGINAL_COMMAND`, the arguments are the gate's.
    fn entry(&self) -> String {
        let root = self.directory.path().display();
        format!(
            "#!/bin/sh\n\
             # $1: SSH_ORIGINAL_COMMAND; the rest: arguments of the gate\n\
             command=$1; shift\n\
             exec bwrap --unshare-user --uid 1000 --gid 1000 --die-with-parent \\\n\
               --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \\\n\
               --dev /dev --bind {root}/experiments /experiments --bind {root}/experiments/eco/raw /in \\\n\
               --ro-bind {root}/etc /etc --ro-bind {GATE} /gate --clearenv --setenv LOGNAME alice --setenv USER alice \\\n\
               --setenv RSYNC_PARTIAL_DIR /stray --setenv SSH_ORIGINAL_COMMAND \"$command\" -- /gate \"$@\"\n"
        )
    }

    /// What ssh does with its arguments: `-s` asks for the subsystem, words after the host are joined with blanks.
    fn ssh(&self) -> String {
        let root = self.directory.path().display();
        format!(
            "#!/bin/sh\n\
             subsystem=\n\
             while [ $# -gt 0 ]; do\n\
               case $1 in\n\
                 -s) subsystem=yes ;;\n\
                 -l|-o|-p|-i|-F) shift ;;\n\
                 --) shift; break ;;\n\
                 -*) ;;\n\
                 *) break ;;\n\
               esac\n\
               shift\n\
             done\n\
             host=$1; shift\n\
             [ \"$subsystem\" ] && set -- /usr/lib/openssh/sftp-server\n\
             if [ \"$host\" = source ]; then exec {root}/gate \"$*\" --source; fi\n\
             exec {root}/gate \"$*\"\n"
        )
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        fs::create_dir_all(self.path(below).parent().unwrap()).unwrap();
        fs::write(self.path(below), text).unwrap();
    }

    pub fn chmod(&self, below: &str, mode: u32) {
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn local(&self, name: &str, mode: u32) {
        self.write(&format!("local/{name}"), name);
        self.chmod(&format!("local/{name}"), mode);
    }

    pub fn mode(&self, below: &str) -> u32 {
        fs::metadata(self.path("experiments/eco").join(below))
            .unwrap()
            .mode()
            & 0o7777
    }

    pub fn exists(&self, below: &str) -> bool {
        self.path("experiments/eco").join(below).exists()
    }

    pub fn gate(&self, command: &str, arguments: &[&str]) -> Output {
        run(program(self.path("gate")).arg(command).args(arguments), "")
    }

    pub fn session(&self, command: &str) -> Child {
        program(self.path("gate"))
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn sftp(&self, batch: &str) -> Output {
        self.sftp_at("nas", batch)
    }

    pub fn sftp_at(&self, host: &str, batch: &str) -> Output {
        let ssh = self.path("ssh");
        let mut command = program("/usr/bin/sftp");
        command.args(["-q", "-b", "-", "-S"]).arg(ssh).arg(host);
        run(command.current_dir(self.path("local")), batch)
    }

    pub fn scp(&self, arguments: &[&str]) -> Output {
        let ssh = self.path("ssh");
        run(
            program("/usr/bin/scp")
                .arg("-S")
                .arg(ssh)
                .args(arguments)
                .current_dir(self.path("local")),
            "",
        )
    }

    pub fn rsync(&self, arguments: &[&str]) -> Output {
        let ssh = self.path("ssh");
        run(
            program("/usr/bin/rsync")
                .arg("-e")
                .arg(ssh)
                .args(arguments)
                .current_dir(self.path("local")),
            "",
        )
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        // An ordinary user cannot empty a directory that is not writable.
        let _ = fs::set_permissions(
            self.path("experiments/eco"),
            fs::Permissions::from_mode(0o700),
        );
    }
}

pub fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

/// Says aloud, past the capture of the test harness, what was not tested.
pub fn skipped(why: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED (tests/gate.rs): {why}");
}

pub fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses at once may be gone before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
pub fn done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[track_caller]
pub fn refused(output: &Output, why: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        stderr.contains("octonas: ") && stderr.contains(why),
        "{stderr}"
    );
}
