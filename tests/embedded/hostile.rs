//! Input made to break the program, through the program: it is refused in words, soon, and in little memory.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::many::peak_memory;
use crate::support::{Ran, TestEnv, definition, exact, finish, names, os, untouched};

/// Refused with exit 1 and a message, soon.
#[track_caller]
fn refused(env: &TestEnv, what: &str, input: &[u8]) -> Ran {
    let begun = Instant::now();
    let ran = env.with_input(&["experiment", "create", "-f", "-"], input);
    assert_eq!(ran.exit, Some(1), "{what}: {ran:?}");
    assert!(ran.stderr.starts_with("error: "), "{what}: {ran:?}");
    assert!(
        ran.stderr.len() < 20_000,
        "{what}: {} bytes of message",
        ran.stderr.len()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{what}: {:?}",
        begun.elapsed()
    );
    assert!(!has_control(&ran.stderr), "{what}: {:?}", ran.stderr);
    ran
}

/// True where a text could command a terminal or deceive a reader.
fn has_control(text: &str) -> bool {
    text.chars().any(|c| {
        (c.is_control() && c != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    })
}

#[test]
fn definitions_made_to_exhaust_or_confuse_a_reader_are_refused() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.nas);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]\n";
    let valid = definition("lake");
    let big = format!("{valid}description: {}\n", "x".repeat(10 << 20));
    let deep = format!(
        "{valid}keywords: {}{}\n",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let deep_map = format!("{valid}facility: {}\n", "{a: ".repeat(20_000));
    let wide = format!("{valid}keywords: [{}]\n", "a, ".repeat(400_000));
    let twice = format!("{valid}title: again\n");
    let account_twice = valid.replace("account: bo", "account: ada");
    for (what, input) in [
        ("alias bomb", bomb.as_bytes()),
        ("10 MB", big.as_bytes()),
        ("deep nesting", deep.as_bytes()),
        ("deep maps", deep_map.as_bytes()),
        ("400,000 keywords", wide.as_bytes()),
        ("duplicate key", twice.as_bytes()),
        ("one account twice", account_twice.as_bytes()),
        ("nothing", b"\n"),
        ("NUL", b"octonas: 1\0"),
        ("not UTF-8", b"octonas: 1\ncode: \xff\xfe\n"),
        ("UTF-16", b"\xff\xfeo\0c\0t\0o\0n\0a\0s\0"),
        ("a tag", b"!!python/object/apply:os.system [id]"),
        ("two documents", b"octonas: 1\n---\noctonas: 1\n"),
        ("a list", b"[octonas, 1]"),
        ("merge key", b"octonas: 1\n<<: {code: lake}\n"),
        ("escape in a key", b"\"\\e[2Jkey\": 1\n"),
        ("only braces", &[b'{'; 60_000]),
    ] {
        refused(&env, what, input);
    }
    untouched(&env.nas, &before, &"hostile definitions");
}

#[test]
fn names_that_are_no_codes_accounts_or_paths_are_refused_with_their_line() {
    let env = TestEnv::new();
    let long = "a".repeat(255);
    for code in [
        "..",
        ".",
        "a/b",
        "../x",
        "/etc",
        "A",
        "a b",
        "-a",
        "a-",
        "1a",
        "é",
        "con",
        "homes",
        "global",
        "ipc-",
        "nul",
        "aux",
        "com1",
        &long,
        "a\u{202e}b",
        "\"a\\nb\"",
        "\"a\\0b\"",
        "'%S'",
        "~",
        "true",
        "1e3",
    ] {
        let ran = refused(
            &env,
            code,
            definition("eco")
                .replace("code: eco", &format!("code: {code}"))
                .as_bytes(),
        );
        assert!(ran.stderr.contains('2'), "the line is named: {ran:?}");
    }
    for account in [
        "root",
        "daemon",
        "www-data",
        "nobody",
        "..",
        "a/b",
        "a,b",
        "-x",
        "\"a\\nb\"",
        "\"a:b\"",
        "'*'",
        "'@all'",
        "'+grp'",
        &long,
        "\u{202e}ada",
    ] {
        refused(
            &env,
            account,
            definition("eco")
                .replace("account: bo", &format!("account: {account}"))
                .as_bytes(),
        );
    }
    for path in [
        "..",
        "../x",
        "/etc",
        "raw/../../x",
        "a//b",
        "\"a\\nb\"",
        "\"a\\0b\"",
        "raw/.",
        "metadata",
        "landing/x",
        &format!("raw/{}", "b".repeat(300)),
    ] {
        let sources = format!(
            "{}sources:\n  - {{ id: s1, kind: linux, timezone: UTC, into: {path}, every: 1h }}\n",
            definition("eco")
        );
        refused(&env, path, sources.as_bytes());
    }
    for base in [
        "relative",
        "/",
        "/etc",
        "/proc/self",
        "\"/a\\nb\"",
        "/nowhere/../etc",
    ] {
        let with_base = format!("{}storage: {{ base: {base} }}\n", definition("eco"));
        refused(&env, base, with_base.as_bytes());
    }
    assert!(!env.at("eco").exists());
}

#[test]
fn a_code_given_as_an_argument_never_becomes_a_path() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.nas);
    for code in [
        "..",
        "../nas/eco",
        "eco/",
        "/etc",
        "",
        "eco\n",
        "\u{202e}eco",
        ".octonas",
        "eco/../eco",
        "%",
    ] {
        for command in [
            "show", "close", "remove", "check", "plan", "apply", "reopen",
        ] {
            let ran = env.run(&["experiment", command, "--", code]);
            assert_eq!(ran.exit, Some(1), "{command} {code:?}: {ran:?}");
            assert!(!has_control(&ran.stderr), "{ran:?}");
        }
    }
    untouched(&env.nas, &before, &"codes that are none");
}

#[test]
fn a_file_that_never_ends_or_never_begins_neither_hangs_nor_fills_memory() {
    let env = TestEnv::new();
    let fifo = env.root.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    symlink("/dev/zero", env.root.path().join("link-to-zero")).unwrap();
    fs::File::create(env.root.path().join("sparse"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    for file in [
        "/dev/zero",
        "fifo",
        "link-to-zero",
        "sparse",
        "/dev/stdin",
        "/proc/self/mem",
        "/",
        "/proc/kmsg",
        "/dev/tty",
    ] {
        let begun = Instant::now();
        let (exit, memory) = peak_memory(
            &env.command(&["experiment", "create", "-f", file]),
            Duration::from_secs(20),
        );
        assert_eq!(exit, Some(1), "{file}");
        assert!(memory < 64 << 10, "{file}: {memory} KiB");
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{file}: {:?}",
            begun.elapsed()
        );
    }
    // Endless standard input is cut off.
    let mut endless = env.command(&["experiment", "create", "-f", "-"]);
    endless.env("STDIN", "/dev/zero");
    let (exit, memory) = peak_memory(&endless, Duration::from_secs(20));
    assert_eq!(exit, Some(1));
    assert!(memory < 96 << 10, "{memory} KiB");
    let mut endless = env.command(&["rpc", "list-experiments"]);
    endless.env("STDIN", "/dev/zero");
    let (exit, memory) = peak_memory(&endless, Duration::from_secs(20));
    assert_eq!(exit, Some(1));
    assert!(memory < 64 << 10, "{memory} KiB");
}

#[test]
fn a_title_cannot_command_the_terminal_of_who_looks() {
    let env = TestEnv::with_experiment();
    // By hand, past the checks of what is given: a stored definition may hold anything.
    let file = env.at("eco/metadata/experiment.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let nasty = r#""\e]0;owned\a\e[2J\u202eevil\r\nSecond line\u2066""#;
    fs::write(
        &file,
        text.replace("title: Heat waves", &format!("title: {nasty}"))
            .replace("name: Bo Ek", &format!("name: {nasty}")),
    )
    .unwrap();
    for arguments in [
        &["experiment", "show", "eco"][..],
        &["experiment", "list", "--refresh"],
        &["experiment", "list"],
        &["experiment", "check", "eco"],
        &["experiment", "close", "eco"],
        &["rights", "eco"],
        &["experiment", "show", "eco", "--definition"],
        &["--json", "experiment", "show", "eco"],
    ] {
        let ran = env.run(arguments);
        assert!(
            !ran.stdout.contains(['\u{1b}', '\u{7}', '\r']),
            "{arguments:?}: {:?}",
            ran.stdout
        );
        assert!(
            !ran.stderr.contains(['\u{1b}', '\u{7}', '\r']),
            "{arguments:?}: {:?}",
            ran.stderr
        );
        let text_output = !arguments.contains(&"--json");
        assert!(
            !(text_output && has_control(&ran.stdout)),
            "{arguments:?}: {:?}",
            ran.stdout
        );
    }
}

#[test]
fn names_of_members_files_are_only_names() {
    let env = TestEnv::with_experiment();
    let raw = env.at("eco/raw");
    for name in [
        &b"\x1b[2J"[..],
        b"a\nb",
        b"\xff\xfe",
        "\u{202e}gpj.exe".as_bytes(),
        b"-rf",
        b"$(reboot)",
        b"%s%n",
        &[b'n'; 255],
    ] {
        fs::write(raw.join(os(name)), "x").unwrap();
        fs::write(env.at("eco").join(os(name)), "x").unwrap();
    }
    let check = env.run(&["experiment", "check", "eco"]);
    assert_eq!(check.exit, Some(3), "{check:?}");
    assert!(!has_control(&check.stdout), "{:?}", check.stdout);
    env.run(&["experiment", "apply", "eco", "--mend"]).ok();
    env.run(&["experiment", "remove", "eco", "--delete-data", "eco"])
        .ok();
    assert_eq!(names(&env.nas), [".octonas"]);
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let env = TestEnv::with_experiment();
    for arguments in [
        vec![os(b"experiment"), os(b"show"), os(b"\xff")],
        vec![os(b"--nas"), os(b"local:\xff"), os(b"doctor")],
    ] {
        let mut command = env.command(&[]);
        command.args(arguments).stdin(Stdio::null());
        let ran = finish(command, b"");
        assert_eq!(ran.exit, Some(2), "{ran:?}");
    }
}
