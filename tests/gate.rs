//! The real gate with the real `sftp-server` and `rsync`, driven by real clients.
//!
//! The gate has no hook for tests: its places (`/experiments`, `/etc/octonas-doors`) are made around it, by
//! bubblewrap as an ordinary user; a program in place of ssh hands it `SSH_ORIGINAL_COMMAND` as sshd would.
//! `a_real_sshd…` does it all with sshd, chroots, mounts and ACLs, as root.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods)]

#[path = "gate/jail.rs"]
mod jail;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use jail::{GATE, Jail, done, program, refused, skipped};

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
}

#[test]
fn a_source_speaks_sftp_in_its_landing_and_makes_no_links() {
    let jail = jail!(None);
    jail.local("file", 0o600);
    done(&jail.sftp_at(
        "source",
        "mkdir day\nput file day/file.part\nrename day/file.part day/file\nls day\n",
    ));
    assert_eq!(jail.mode("raw/day/file"), 0o660);
    assert_eq!(jail.mode("raw/day") & 0o777, 0o770);
    for batch in ["ln -s /etc/passwd link\n", "ln day/file other\n"] {
        assert!(!jail.sftp_at("source", batch).status.success(), "{batch:?}");
    }
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

#[test]
fn the_server_is_started_with_our_arguments_and_nobody_else_s() {
    let jail = jail!();
    let ours = "-u 0007 -d /experiments -f AUTH -l INFO -P symlink,hardlink";
    for (command, arguments) in [
        ("internal-sftp -u 0000 -d / -e", ours.to_owned()),
        ("/usr/lib/openssh/sftp-server -R", format!("{ours} -R")),
    ] {
        let mut child = jail.session(command);
        greeted(&mut child);
        let server = descendant(child.id(), "sftp-server").unwrap();
        let line = fs::read_to_string(format!("/proc/{server}/cmdline")).unwrap();
        let words: Vec<&str> = line.split_terminator('\0').skip(1).collect();
        assert_eq!(words.join(" "), arguments);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
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
        skipped("a real sshd with chroots and ACLs needs root");
        return;
    }
    for needed in [
        "/usr/sbin/sshd",
        "/usr/bin/setfacl",
        "/usr/bin/unshare",
        "/usr/sbin/mkfs.ext4",
    ] {
        if !Path::new(needed).exists() {
            skipped(&format!("{needed} is not installed"));
            return;
        }
    }
    let own = ["--mount", "--net", "--propagation", "private"];
    let probe = program("/usr/bin/unshare")
        .args(own)
        .arg("/bin/true")
        .output();
    if !probe.unwrap().status.success() {
        skipped("root cannot make namespaces here");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gate/sshd.sh");
    let output = program("/usr/bin/unshare")
        .args(own)
        .args(["bash", script, GATE])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    eprintln!("{text}{}", String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        skipped(text.lines().last().unwrap_or_default());
        return;
    }
    assert!(output.status.success(), "see above");
}
