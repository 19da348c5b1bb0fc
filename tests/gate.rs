//! The real gate with the real `sftp-server` and `rsync`, driven by real clients.
//!
//! The gate has no hook for tests: its places (`/experiments`, `/etc/octonas-doors`) are made around it, by
//! bubblewrap as an ordinary user; a program in place of ssh hands it `SSH_ORIGINAL_COMMAND` as sshd would.
//! `a_real_sshd…` does it all with sshd, chroots, mounts and ACLs, as root.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const GATE: &str = env!("CARGO_BIN_EXE_octonas-gate");

/// A jail of one member of the experiment `eco`, whose `raw` is a leaf and whose top is not writable.
struct Jail {
    directory: TempDir,
}

impl Jail {
    /// `None`, aloud, where this machine cannot do it.
    fn new(doors: Option<&str>) -> Option<Self> {
        for needed in [
            "/usr/bin/bwrap",
            "/usr/bin/rsync",
            "/usr/bin/sftp",
            "/usr/lib/openssh/sftp-server",
        ] {
            if !Path::new(needed).exists() {
                eprintln!("SKIPPED: {needed} is not installed");
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
            eprintln!("SKIPPED: bubblewrap cannot make a user namespace here: {probe:?}");
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

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    #[allow(clippy::disallowed_methods)]
    fn write(&self, below: &str, text: &str) {
        fs::create_dir_all(self.path(below).parent().unwrap()).unwrap();
        fs::write(self.path(below), text).unwrap();
    }

    fn chmod(&self, below: &str, mode: u32) {
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn local(&self, name: &str, mode: u32) {
        self.write(&format!("local/{name}"), name);
        self.chmod(&format!("local/{name}"), mode);
    }

    fn mode(&self, below: &str) -> u32 {
        fs::metadata(self.path("experiments/eco").join(below))
            .unwrap()
            .mode()
            & 0o7777
    }

    fn exists(&self, below: &str) -> bool {
        self.path("experiments/eco").join(below).exists()
    }

    fn gate(&self, command: &str, arguments: &[&str]) -> Output {
        run(program(&self.path("gate")).arg(command).args(arguments), "")
    }

    fn session(&self, command: &str) -> Child {
        program(&self.path("gate"))
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn sftp(&self, batch: &str) -> Output {
        let ssh = self.path("ssh");
        let mut command = program("/usr/bin/sftp");
        command.args(["-q", "-b", "-", "-S"]).arg(ssh).arg("nas");
        run(command.current_dir(self.path("local")), batch)
    }

    fn scp(&self, arguments: &[&str]) -> Output {
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

    fn rsync(&self, arguments: &[&str]) -> Output {
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

#[allow(clippy::disallowed_methods)]
fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(path)
}

fn run(command: &mut Command, input: &str) -> Output {
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
fn done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        stderr.contains("octonas: ") && stderr.contains(why),
        "{stderr}"
    );
}

macro_rules! jail {
    ($doors:expr) => {
        match Jail::new($doors) {
            Some(jail) => jail,
            None => return,
        }
    };
    () => {
        jail!(Some("sftp\nrsync\n"))
    };
}

#[test]
fn sftp_clients_cannot_narrow_what_they_bring() {
    let jail = jail!();
    jail.local("plain", 0o644);
    jail.local("secret", 0o600);
    jail.local("script", 0o700);
    jail.local("tree/sub/file", 0o400);
    let batch = "cd eco/raw\nput plain\nput -p secret\nput -p script\nmkdir d\nput -pr tree\nmkdir e\nchmod 644 e\nchmod 600 plain\n";
    done(&jail.sftp(batch));
    for (path, mode) in [
        ("raw/plain", 0o660),
        ("raw/secret", 0o660),
        ("raw/script", 0o770),
        ("raw/d", 0o2770),
        ("raw/e", 0o2770),
        ("raw/tree", 0o2770),
        ("raw/tree/sub", 0o2770),
        ("raw/tree/sub/file", 0o660),
    ] {
        assert_eq!(jail.mode(path), mode, "{path}: {:o}", jail.mode(path));
    }
}

#[test]
fn sftp_makes_no_links_and_leaves_the_frame_alone() {
    let jail = jail!();
    jail.local("file", 0o644);
    done(&jail.sftp(
        "put file eco/raw/file\nrename eco/raw/file eco/raw/other\nget eco/raw/other back\n",
    ));
    for command in [
        "symlink other eco/raw/link",
        "ln eco/raw/other eco/raw/link",
        "mkdir eco/new",
        "put file eco/file",
    ] {
        assert!(!jail.sftp(command).status.success(), "{command}");
    }
    assert_eq!(
        fs::read_dir(jail.path("experiments/eco/raw"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn scp_works_over_sftp_and_its_old_protocol_is_refused() {
    let jail = jail!();
    jail.local("tree/file", 0o600);
    done(&jail.scp(&["-rp", "tree", "nas:eco/raw/"]));
    assert_eq!(jail.mode("raw/tree/file"), 0o660);
    done(&jail.scp(&["nas:eco/raw/tree/file", "back"]));
    refused(
        &jail.scp(&["-O", "tree/file", "nas:eco/raw/x"]),
        "old scp protocol",
    );
}

#[test]
fn rsync_clients_cannot_narrow_what_they_bring() {
    let jail = jail!();
    jail.local("tree/sub/file", 0o600);
    jail.local("tree/script", 0o755);
    jail.chmod("local/tree/sub", 0o700);
    for (options, to) in [
        ("-a", "a"),
        ("-rlt", "b"),
        ("-rp", "c"),
        ("-aHSzz", "d"),
        ("-as", "e"),
    ] {
        done(&jail.rsync(&[options, "tree/", &format!("nas:eco/raw/{to}/")]));
        for (path, mode) in [
            ("", 0o2770),
            ("sub", 0o2770),
            ("sub/file", 0o660),
            ("script", 0o770),
        ] {
            let path = format!("raw/{to}/{path}");
            assert_eq!(
                jail.mode(&path),
                mode,
                "{options} {path}: {:o}",
                jail.mode(&path)
            );
        }
    }
}

#[test]
fn rsync_takes_names_as_they_are() {
    let jail = jail!();
    jail.local("file", 0o644);
    let odd = "a b;c$(id)`id`'\"*é.txt";
    done(&jail.rsync(&["-a", "file", &format!("nas:eco/raw/{odd}")]));
    assert!(jail.exists(&format!("raw/{odd}")));
    done(&jail.rsync(&["-as", "file", "nas:eco/raw/second file; true"]));
    assert!(jail.exists("raw/second file; true"));
    done(&jail.rsync(&["-a", "nas:eco/raw/sec*", "nas:~/eco/raw/a?b*", "down/"]));
    assert_eq!(fs::read_dir(jail.path("local/down")).unwrap().count(), 2);
    done(&jail.rsync(&["-as", "nas:eco/raw/*true", "down2/"]));
    assert!(jail.path("local/down2/second file; true").exists());
}

#[test]
fn options_of_everyday_clients_pass() {
    let jail = jail!();
    jail.local("file", 0o644);
    for options in [
        &["-avP", "--stats", "--info=progress2"][..],
        &["-rltvzi", "--timeout=60", "--bwlimit=9999"],
        &["-ac", "--partial-dir=.part"],
        &["-ac", "--inplace"],
        &["-ab", "--backup-dir=old", "--suffix=.bak"],
        &["-a", "--delay-updates", "--fsync", "--mkpath"],
        &[
            "-a",
            "--link-dest=../x",
            "--max-size=1G",
            "--modify-window=2",
        ],
        &["-a", "--iconv=utf-8,utf-8", "--compress-choice=zlib"],
        &["-a", "--delete-delay", "--max-delete=3", "--ignore-errors"],
        &["-aAXn", "--no-A", "--no-X"],
    ] {
        done(&jail.rsync(&[options, &["file", "nas:eco/raw/into/"]].concat()));
    }
    done(&jail.rsync(&["-a", "nas:eco/raw/into/", "down/"]));
    done(&jail.rsync(&["nas:"]));
}

#[test]
fn rsync_does_not_empty_an_experiment() {
    let jail = jail!();
    jail.local("file", 0o644);
    fs::create_dir(jail.path("local/empty")).unwrap();
    done(&jail.rsync(&["-a", "file", "nas:eco/raw/"]));
    for to in [
        "nas:eco/",
        "nas:eco",
        "nas:.",
        "nas:",
        "nas:/experiments/eco",
        "nas:eco/raw/..",
    ] {
        refused(
            &jail.rsync(&["-a", "--delete", "empty/", to]),
            "cannot be used on",
        );
    }
    refused(
        &jail.rsync(&["-a", "--force", "file", "nas:eco/"]),
        "cannot be used on",
    );
    refused(
        &jail.rsync(&["-as", "--delete", "empty/", "nas:eco/"]),
        "cannot be used on",
    );
    refused(
        &jail.rsync(&["-a", "--remove-source-files", "nas:eco/", "down/"]),
        "cannot be used on",
    );
    assert!(jail.exists("raw/file"));
    done(&jail.rsync(&["-a", "--delete", "empty/", "nas:eco/raw/"]));
    assert!(!jail.exists("raw/file"));
}

#[test]
fn rsync_options_that_would_break_the_wall_are_refused() {
    let jail = jail!();
    jail.local("file", 0o644);
    for options in [
        &["-aA"][..],
        &["-aX"],
        &["-a", "--temp-dir=/tmp"],
        &["-a", "--super"],
        &["-a", "-M--fake-super"],
        &["-a", "-M--log-file=x"],
        &["-a", "-M--chmod=a+rwx"],
        &["-a", "--write-devices"],
        &["-a", "--partial-dir=/tmp/x"],
        &["-a", "--iconv=utf-8,latin1"],
        &["-a", "--rsync-path=sh -c id; rsync"],
    ] {
        refused(
            &jail.rsync(&[options, &["file", "nas:eco/raw/"]].concat()),
            "",
        );
    }
    assert!(!jail.exists("raw/file"));
}

#[test]
fn a_source_adds_to_its_landing_and_nothing_else() {
    let jail = jail!(None); // a source has no list of doors: its jail is its door
    jail.local("tree/file", 0o600);
    done(&jail.rsync(&["-a", "tree/", "source:day/"]));
    assert_eq!(jail.mode("raw/day/file"), 0o660);
    std::os::unix::fs::symlink("/etc/passwd", jail.path("local/link")).unwrap();
    done(&jail.rsync(&["-a", "link", "source:"]));
    let link = fs::read_link(jail.path("experiments/eco/raw/link")).unwrap();
    assert!(link.starts_with("/rsyncd-munged"), "{link:?}");
    refused(&jail.rsync(&["-a", "source:.", "down/"]), "read back");
    for options in [
        &["--delete"][..],
        &["--inplace"],
        &["--append"],
        &["-b"],
        &["--partial"],
    ] {
        refused(
            &jail.rsync(&[&["-a"], options, &["tree/", "source:."]].concat()),
            "source",
        );
    }
    for to in ["source:/in/x", "source:../x", "source:a/../../x"] {
        refused(&jail.rsync(&["-a", "tree/", to]), "landing");
    }
    refused(&jail.gate("internal-sftp", &["--source"]), "not by SFTP");
}

#[test]
fn a_door_that_is_not_listed_is_closed() {
    for (doors, sftp, rsync) in [
        (Some("sftp\n"), true, false),
        (Some("rsync\n"), false, true),
        (Some(""), false, false),
        (None, false, false),
    ] {
        let jail = jail!(doors);
        jail.local("file", 0o644);
        assert_eq!(jail.sftp("ls\n").status.success(), sftp, "{doors:?}");
        assert_eq!(
            jail.rsync(&["file", "nas:eco/raw/"]).status.success(),
            rsync,
            "{doors:?}"
        );
        if !sftp {
            refused(&jail.gate("internal-sftp", &[]), "open");
        }
    }
}

#[test]
fn everything_else_is_refused_in_one_line() {
    let jail = jail!();
    for command in [
        "",
        "id",
        "bash",
        "internal-sftp; id",
        "rsync --server --daemon .",
        "rsync -a /etc/passwd eco/raw",
    ] {
        let output = jail.gate(command, &[]);
        refused(&output, "");
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(output.stdout.is_empty());
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).lines().count(),
            1,
            "{output:?}"
        );
    }
    refused(&jail.gate("internal-sftp", &["--nonsense"]), "configured");
}

/// The client's first packet, and the server's answer to it.
fn greeted(child: &mut Child) {
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3])
        .unwrap();
    let mut head = [0; 4];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut head)
        .unwrap();
    let mut answer = vec![0; u32::from_be_bytes(head) as usize];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut answer)
        .unwrap();
    assert_eq!(answer[..5], [2, 0, 0, 0, 3]);
}

#[test]
fn what_is_not_sftp_ends_the_session_with_a_message() {
    let jail = jail!();
    for bytes in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &[0, 0, 0, 0, 9, 9, 9, 9, 9],
        &[0, 0, 0, 6, 9, 0, 0, 0, 1, 0],
        &[0xff; 64],
    ] {
        let mut child = jail.session("internal-sftp");
        greeted(&mut child);
        child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
        // Our end stays open: the gate must not wait for the client.
        let mut message = String::new();
        child
            .stderr
            .as_mut()
            .unwrap()
            .read_to_string(&mut message)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{bytes:?}");
        assert!(
            message.starts_with("octonas: ") && message.contains("SFTP"),
            "{message}"
        );
    }
}

#[test]
fn the_session_ends_when_either_side_does() {
    let jail = jail!();
    let mut child = jail.session("internal-sftp");
    greeted(&mut child);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut child = jail.session("internal-sftp");
    greeted(&mut child);
    let server = descendant(child.id(), "sftp-server").unwrap();
    let number = nix::unistd::Pid::from_raw(i32::try_from(server).unwrap());
    nix::sys::signal::kill(number, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(137));
}

#[test]
fn nothing_of_what_the_gate_inherits_reaches_the_server() {
    let jail = jail!();
    let mut child = program("/bin/sh")
        .args([
            "-c",
            "umask 0; trap '' HUP TERM; exec 9</etc/passwd; exec \"$0\" internal-sftp",
        ])
        .arg(jail.path("gate"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    greeted(&mut child);
    let server = descendant(child.id(), "sftp-server").unwrap();
    let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(field("Umask:"), "0007");
    assert_eq!(field("NoNewPrivs:"), "1");
    let ignored = u64::from_str_radix(&field("SigIgn:"), 16).unwrap();
    assert_eq!(
        ignored & (1 | 1 << 14),
        0,
        "SIGHUP and SIGTERM are at their defaults"
    );
    let gate = descendant(child.id(), "gate").unwrap();
    for (process, most) in [(gate, 4), (server, 3)] {
        // Where the kernel hides the descriptors of a process in another namespace, there is nothing to count.
        if let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) {
            assert!(descriptors.count() <= most, "process {process}");
        }
    }
    if let Ok(environment) = fs::read_to_string(format!("/proc/{server}/environ")) {
        assert!(
            !environment.contains("RSYNC") && !environment.contains("SSH_ORIGINAL"),
            "{environment}"
        );
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// The process of that name below `parent`.
fn descendant(parent: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .find_map(|child: u32| {
            let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if comm.trim() == name {
                Some(child)
            } else {
                descendant(child, name)
            }
        })
}

#[test]
fn the_gate_links_nothing_but_the_system_s_c_library() {
    let output = program("/usr/bin/ldd").arg(GATE).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let expected = [
            "linux-vdso",
            "libgcc_s.so",
            "libc.so",
            "/lib64/ld-linux",
            "/lib/ld-linux",
        ];
        assert!(
            expected.iter().any(|start| name.starts_with(start)),
            "{line}"
        );
    }
    let strings = fs::read(GATE).unwrap();
    for foreign in ["sqlite3_open", "clap_builder", "zbus"] {
        let found = strings
            .windows(foreign.len())
            .any(|window| window == foreign.as_bytes());
        assert!(!found, "{foreign} is linked into the gate");
    }
}

#[test]
fn a_real_sshd_with_jails_and_acls_holds_the_wall() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: a real sshd with chroots and ACLs needs root");
        return;
    }
    for needed in [
        "/usr/sbin/sshd",
        "/usr/bin/setfacl",
        "/usr/bin/unshare",
        "/usr/sbin/mkfs.ext4",
    ] {
        if !Path::new(needed).exists() {
            eprintln!("SKIPPED: {needed} is not installed");
            return;
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gate/sshd.sh");
    let output = program("/usr/bin/unshare")
        .args([
            "--mount",
            "--net",
            "--propagation",
            "private",
            "bash",
            script,
            GATE,
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        eprintln!("SKIPPED: {}", text.lines().last().unwrap_or_default());
        return;
    }
    assert!(output.status.success(), "see above");
}
