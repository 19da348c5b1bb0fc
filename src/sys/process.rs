//! This process: its first acts, who it is, and whether somebody asked it to stop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::stat::{Mode, umask};

use crate::error::{Error, Exit, Result};

/// How many files may be open: thousands of experiments, a few each.
const FILES: u64 = 65_536;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The first acts of `main`, before anything is opened and before there is a second thread: umask 077, descriptors
/// from 3 on closed, no signal blocked or ignored but `SIGPIPE` (a reader of our output that goes away must not kill
/// us in the middle of a change; children get it back), `SIGINT`, `SIGTERM` and `SIGHUP` noted for
/// [`check_interrupted`] (the second one ends the process), working directory `/`, room for 65,536 open files where
/// whoever started us may give it (some operations keep every experiment of a base open; the usual limit is 1024).
///
/// Gives the working directory that we were started in, against which arguments of the command line are resolved.
pub fn first_acts() -> PathBuf {
    umask(Mode::from_bits_truncate(0o077));
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    close_inherited();
    reset_signals();
    let _ = nix::unistd::chdir("/");
    // Where it cannot be raised, `system.too-many-files` says so when it matters.
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft.max(FILES.min(hard)), hard);
    }
    cwd
}

/// True where we are root, and rights can be enforced.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// As whom we act.
pub fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Long work asks this between steps: the error `interrupted` (exit code 130) once somebody wants it to stop.
pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Err(
            Error::new("interrupted", "stopped between two steps, as asked")
                .hint("run it again; it goes on where it stopped")
                .exit(Exit::Interrupted),
        );
    }
    Ok(())
}

/// This thread waits for the disk behind everybody else (`ioprio_set(2)`, class idle), and for the processor behind others
/// (nice 10). A scheduler that knows no classes ignores the first. For each thread of long work that nobody waits for.
#[allow(unsafe_code)]
pub fn be_polite() {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_IDLE: libc::c_int = 3 << 13;
    // SAFETY: plain numbers; 0 is the calling thread.
    unsafe {
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE);
        if libc::getpriority(libc::PRIO_PROCESS, 0) < 10 {
            libc::setpriority(libc::PRIO_PROCESS, 0, 10);
        }
    }
}

#[allow(unsafe_code)]
fn close_inherited() {
    // SAFETY: called before this process opened anything itself; nothing owns these descriptors.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if closed == 0 {
        return;
    }
    for fd in 3..4096 {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

extern "C" fn note(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

#[allow(unsafe_code)]
fn reset_signals() {
    let set = |signal, handler, flags| {
        let action = SigAction::new(handler, flags, SigSet::empty());
        // SAFETY: the only handler is `note`, which stores to an atomic.
        let before = unsafe { nix::sys::signal::sigaction(signal, &action) };
        // Who starts us with nohup(1) means it.
        if signal == Signal::SIGHUP
            && before.is_ok_and(|b| matches!(b.handler(), SigHandler::SigIgn))
        {
            let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
            // SAFETY: no handler at all.
            let _ = unsafe { nix::sys::signal::sigaction(signal, &ignore) };
        }
    };
    for signal in Signal::iterator() {
        match signal {
            // Cannot be changed; and the runtime's own guard of the stack stays.
            Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGSEGV | Signal::SIGBUS => {}
            Signal::SIGPIPE => set(signal, SigHandler::SigIgn, SaFlags::empty()),
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP => set(
                signal,
                SigHandler::Handler(note),
                SaFlags::SA_RESTART | SaFlags::SA_RESETHAND,
            ),
            _ => set(signal, SigHandler::SigDfl, SaFlags::empty()),
        }
    }
    for signal in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // SAFETY: no handler at all.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let _ = nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::again::{alone, must_pass};
    use crate::sys::command::{Command, Program};

    #[test]
    fn nothing_inherited_survives_the_first_acts_or_reaches_a_child() {
        let script =
            // Under nohup(1), which `first_acts` respects, no shell can undo SIGHUP: env(1) does.
            "umask 0; trap '' TERM USR1; exec 7</etc/passwd 9>&1; cd /tmp; exec env --default-signal=HUP \"$0\" \"$@\"";
        let test =
            "sys::process::tests::nothing_inherited_survives_the_first_acts_or_reaches_a_child";
        if let Some(output) = alone(test, &["sh", "-c", script], &[]) {
            must_pass(&output);
            return;
        }
        let open = || -> Vec<i32> {
            let names = std::fs::read_dir("/proc/self/fd").unwrap();
            let mut fds: Vec<i32> = names
                .map(|n| n.unwrap().file_name().to_str().unwrap().parse().unwrap())
                .collect();
            fds.sort_unstable();
            fds
        };
        assert!(open().contains(&7) && open().contains(&9));
        assert_eq!(first_acts(), PathBuf::from("/tmp"));
        assert!(!open().contains(&7) && !open().contains(&9));
        assert_eq!(std::env::current_dir().unwrap(), PathBuf::from("/"));
        let child = Command::new(Program::Test("/bin/sh"))
            .args([
                "-c",
                "umask; ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status",
            ])
            .run()
            .unwrap()
            .text();
        let none = "0000000000000000";
        // 32 and 33 belong to the C library (nptl(7)), which lets nobody touch them.
        let child = child.replace("0000000180000000", none);
        assert_eq!(
            child,
            format!("0077\n0\n1\n2\n3\nSigBlk:\t{none}\nSigIgn:\t{none}\n")
        );
        assert!(check_interrupted().is_ok());
        nix::sys::signal::raise(Signal::SIGTERM).unwrap();
        let error = check_interrupted().unwrap_err();
        assert_eq!(
            (error.code(), error.exit_status()),
            ("interrupted", Exit::Interrupted)
        );
    }
}
