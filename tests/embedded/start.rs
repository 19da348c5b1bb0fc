//! Started from anywhere: with no umask, with open descriptors, with signals ignored, into a closed pipe.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::support::{OCTONAS, TestEnv, definition, exact, names};

/// Runs `octonas "$@"` in a shell after `before`.
fn through_shell(env: &TestEnv, before: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/bin/bash");
    command
        .arg("-c")
        .arg(format!("{before}; exec {OCTONAS} \"$@\""))
        .arg("sh")
        .args(arguments);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", env.root.path());
    command
        .env("OCTONAS_NAS", format!("local:{}", env.nas.display()))
        .current_dir(env.root.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn modes(env: &TestEnv) -> Vec<String> {
    exact(&env.nas)
        .into_iter()
        .map(|(path, state)| {
            let path = path.replace(&env.nas.display().to_string(), "");
            format!(
                "{} {}",
                state.split(' ').next().unwrap_or_default(),
                env.neutral(&path)
            )
        })
        .collect()
}

#[test]
fn no_umask_opens_nothing() {
    let careful = TestEnv::new();
    fs::write(careful.root.path().join("eco.yaml"), definition("eco")).unwrap();
    careful
        .run(&["experiment", "create", "-f", "eco.yaml"])
        .ok();
    for mask in ["0", "0777", "0027"] {
        let env = TestEnv::new();
        fs::write(env.root.path().join("eco.yaml"), definition("eco")).unwrap();
        let output = through_shell(
            &env,
            &format!("umask {mask}"),
            &["experiment", "create", "-f", "eco.yaml"],
        )
        .output()
        .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(modes(&env), modes(&careful), "umask {mask}");
        let house = fs::metadata(env.at(".octonas")).unwrap();
        assert_eq!(house.permissions().mode() & 0o7777, 0o700);
        for (path, state) in exact(&env.at(".octonas")) {
            assert!(
                state.starts_with("1006") || state.starts_with("407"),
                "{path}: {state}"
            );
        }
    }
}

#[test]
fn what_was_open_is_closed_and_what_is_taken_is_not_inherited() {
    let env = TestEnv::new();
    fs::write(env.root.path().join("eco.yaml"), definition("eco")).unwrap();
    let secret = env.root.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    // Descriptor 7 is a pipe, 8 a file open for writing, 200 a directory.
    let before = "mkfifo pipe; exec 7<>pipe 8>>secret 200</";
    let lines = {
        let script = format!(
            "{before}; exec strace -f -e trace=openat,openat2,socket,close_range,execve,dup,fcntl -o strace.log {OCTONAS} \"$@\""
        );
        if !std::path::Path::new("/usr/bin/strace").exists() {
            eprintln!("SKIPPED: there is no strace(1) to see descriptors with");
            return;
        }
        let mut command = Command::new("/bin/bash");
        command
            .arg("-c")
            .arg(script)
            .arg("sh")
            .args(["experiment", "create", "-f", "eco.yaml"]);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("OCTONAS_NAS", format!("local:{}", env.nas.display()));
        let output = command.current_dir(env.root.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::read_to_string(env.root.path().join("strace.log")).unwrap()
    };
    let close = lines
        .find("close_range(3, 4294967295")
        .unwrap_or_else(|| panic!("{lines}"));
    // From then on every descriptor is closed on exec.
    for line in lines[close..]
        .lines()
        .filter(|line| line.contains("openat") && !line.contains("= -1"))
    {
        assert!(line.contains("O_CLOEXEC"), "{line}");
    }
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert_eq!(names(&env.nas), [".octonas", "eco"]);
}

#[test]
fn output_into_a_closed_pipe_ends_quietly_and_the_work_is_done() {
    let env = TestEnv::new();
    fs::write(env.root.path().join("eco.yaml"), definition("eco")).unwrap();
    for (number, trap) in ["true", "trap '' PIPE"].into_iter().enumerate() {
        let code = format!("eco-{number}");
        fs::write(env.root.path().join("x.yaml"), definition(&code)).unwrap();
        let script = format!(
            "{trap}; ({OCTONAS} experiment create -f x.yaml; echo $? > exit; {OCTONAS} completions bash; echo $? >> exit) 2> errors | true"
        );
        let mut command = Command::new("/bin/bash");
        command
            .args(["-c", &script])
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        command
            .env("OCTONAS_NAS", format!("local:{}", env.nas.display()))
            .current_dir(env.root.path());
        assert!(command.status().unwrap().success());
        assert_eq!(
            fs::read_to_string(env.root.path().join("exit")).unwrap(),
            "0\n0\n"
        );
        let errors = fs::read_to_string(env.root.path().join("errors")).unwrap();
        assert!(
            !errors.contains("error") && !errors.contains("panic"),
            "{errors}"
        );
        env.run(&["experiment", "check", &code]).ok();
    }
    // A terminal that goes away in the middle of the work does not stop it.
    fs::write(env.root.path().join("x.yaml"), definition("late")).unwrap();
    let mut command = Command::new("/bin/bash");
    command
        .args([
            "-c",
            &format!("{OCTONAS} experiment create -f x.yaml 2>&1 >&2 | true; sleep 1"),
        ])
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command
        .env("OCTONAS_NAS", format!("local:{}", env.nas.display()))
        .current_dir(env.root.path());
    assert!(command.status().unwrap().success());
    env.run(&["experiment", "check", "late"]).ok();
}

#[test]
fn closed_standard_streams_hurt_nothing() {
    let env = TestEnv::with_experiment();
    let before = exact(&env.nas);
    for closed in ["exec 0<&-", "exec 1>&-", "exec 2>&-", "exec 0<&- 1>&- 2>&-"] {
        for arguments in [
            &["experiment", "show", "eco"][..],
            &["experiment", "show", "none"],
            &["rpc", "methods"],
        ] {
            let output = through_shell(&env, closed, arguments).output().unwrap();
            assert!(
                output.status.code().is_some(),
                "{closed} {arguments:?}: {output:?}"
            );
        }
    }
    crate::support::untouched(&env.nas, &before, &"closed streams");
}

#[test]
fn an_interruption_stops_between_steps_and_running_again_goes_on() {
    let env = TestEnv::new();
    fs::write(env.root.path().join("eco.yaml"), definition("eco")).unwrap();
    let mut interrupted = 0;
    for delay in 0..12 {
        let mut child = env
            .command(&["experiment", "create", "-f", "eco.yaml"])
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay * 2));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let status = child.wait().unwrap();
        match status.code() {
            Some(130) => interrupted += 1,
            Some(0) => {}
            // Before the first act, the signal still has its default.
            None => interrupted += 1,
            other => panic!("{other:?} {status:?}"),
        }
        env.run(&["experiment", "create", "-f", "eco.yaml"]).ok();
        env.run(&["experiment", "check", "eco"]).ok();
        fs::remove_dir_all(&env.nas).unwrap();
    }
    println!("{interrupted} of 12 were interrupted");
}

#[test]
fn a_base_of_more_experiments_than_files_may_be_open_by_default_is_shared_otherwise() {
    let env = TestEnv::new();
    let all = env.root.path().join("all");
    fs::create_dir(&all).unwrap();
    for number in 0..40 {
        let text = definition(&format!("lake-{number}"));
        fs::write(all.join(format!("{number}.yaml")), text).unwrap();
    }
    env.run(&["experiment", "create", "-f", "all"]).ok();
    let base = env.nas.display().to_string();
    let share = |limits: &str| {
        let ours = env.command(&["base", "share", &base, "--common", "lakes", "--dry-run"]);
        let mut command = Command::new("/usr/bin/prlimit");
        command.arg(format!("--nofile={limits}")).arg("--");
        command.arg(ours.get_program()).args(ours.get_args());
        command.current_dir(env.root.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        for (name, value) in ours.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        crate::support::finish(command, b"")
    };
    // So few that it cannot be; and as few, where whoever starts us may give more.
    let ran = share("48:48");
    assert!(ran.stderr.contains("system.too-many-files"), "{ran:?}");
    share("48:4096").ok();
}
