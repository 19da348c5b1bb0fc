//! Running another program: an absolute path from a table, an argument vector, an empty environment, a time limit.
//!
//! Never a shell, never a search in `PATH`, never a secret among the arguments (every local user reads those).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

use super::{fault, process};
use crate::error::{Error, Result};

mod memory;
mod program;
mod running;

pub use memory::Memory;
pub use program::Program;
pub use running::Running;

/// The most that is kept of each output stream, in bytes; the rest is read and dropped.
pub const OUTPUT_LIMIT: usize = 4 << 20;

/// How long a program may take where nothing else is said.
pub const TIME_LIMIT: Duration = Duration::from_mins(1);

/// How long a program that was asked to end may take to tidy up.
const GRACE: Duration = Duration::from_secs(2);

/// How often a program that can be interrupted is left to see whether it should be.
const LOOK: Duration = Duration::from_millis(500);

/// How long the output may stay open after the program has ended (a child of it may hold it).
const LINGER: Duration = Duration::from_secs(2);

/// A program with its arguments, about to run.
#[derive(Debug, Clone)]
pub struct Command {
    program: Program,
    arguments: Vec<OsString>,
    input: Option<Vec<u8>>,
    file: Option<Arc<File>>,
    limit: Duration,
    interruptible: bool,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output, at most [`OUTPUT_LIMIT`] bytes.
    pub stdout: Vec<u8>,
    /// Standard error, at most [`OUTPUT_LIMIT`] bytes.
    pub stderr: Vec<u8>,
    /// True where some of it was dropped.
    pub truncated: bool,
}

impl Output {
    /// Standard output as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The last line of standard error that says something.
    pub fn last_error_line(&self) -> Option<String> {
        String::from_utf8_lossy(&self.stderr)
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .map(str::to_owned)
    }
}

impl Command {
    /// Runs `program` with no arguments, nothing on standard input, within [`TIME_LIMIT`].
    pub fn new(program: Program) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            input: None,
            file: None,
            limit: TIME_LIMIT,
            interruptible: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// What it reads on standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// An open file that is its standard input: it inherits the descriptor, and needs no path.
    #[must_use]
    pub fn file(mut self, file: File) -> Self {
        self.file = Some(Arc::new(file));
        self
    }

    /// How long it may take; then it and its children are ended, and that is the error `command.timeout`.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Somebody who asks us to stop ends it too: the error `interrupted`. For long work that can be begun again.
    #[must_use]
    pub fn interruptible(mut self) -> Self {
        self.interruptible = true;
        self
    }

    /// Runs it; another exit code than 0 is the error `command.failed`.
    pub fn run(&self) -> Result<Output> {
        let output = self.output()?;
        if output.code == Some(0) {
            return Ok(output);
        }
        let end = output
            .code
            .map_or("was ended by a signal".to_owned(), |code| {
                format!("ended with {code}")
            });
        let said = output
            .last_error_line()
            .map_or(String::new(), |line| format!(": {line}"));
        Err(
            Error::new("command.failed", format!("{} {end}{said}", self.program)).hint(format!(
                "see the system log, and run {} by hand",
                self.program.path()
            )),
        )
    }

    /// Runs it and gives what it left behind, whatever its exit code.
    pub fn output(&self) -> Result<Output> {
        fault::point(self.program.point())?;
        let mut child = self.spawn()?;
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        if let (Some(bytes), Some(mut pipe)) = (self.input.clone(), child.stdin.take()) {
            // A program that ends without reading everything is judged by its exit code.
            thread::spawn(move || {
                let _ = pipe.write_all(&bytes);
            });
        }
        let status = self.wait(&mut child)?;
        let (stdout, cut_out) = stdout.recv_timeout(LINGER).unwrap_or_default();
        let (stderr, cut_err) = stderr.recv_timeout(LINGER).unwrap_or_default();
        Ok(Output {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr,
            truncated: cut_out || cut_err,
        })
    }

    #[allow(clippy::disallowed_methods)] // the one place
    fn spawn(&self) -> Result<Child> {
        let path = self.program.path();
        let input = match (&self.file, &self.input) {
            (Some(file), _) => Stdio::from(file.try_clone().map_err(|e| {
                Error::new("command.failed", format!("cannot hand a file to {path}")).source(e)
            })?),
            (None, Some(_)) => Stdio::piped(),
            (None, None) => Stdio::null(),
        };
        std::process::Command::new(path)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| {
                Error::new("command.missing", format!("cannot start {path}"))
                    .hint("install the package that holds it")
                    .source(e)
            })
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        let failed = |e| {
            Error::new(
                "command.failed",
                format!("cannot wait for {}", self.program),
            )
            .source(e)
        };
        if let Some(status) = ended(child, self.limit, self.interruptible).map_err(failed)? {
            return Ok(status);
        }
        end_group(child, Signal::SIGTERM);
        ended(child, GRACE, false).map_err(failed)?;
        end_group(child, Signal::SIGKILL);
        let status = child.wait().map_err(failed)?;
        if self.interruptible {
            process::check_interrupted()?;
        }
        Err(Error::new(
            "command.timeout",
            format!(
                "{} did not end within {} s and was stopped{}",
                self.program,
                self.limit.as_secs(),
                status.signal().map_or("", |_| " by force"),
            ),
        )
        .hint("see the system log for what it waited for, then run it again"))
    }
}

/// Waits for the end of a child, no longer than `limit`, nor than until somebody asks this process to stop.
fn ended(
    child: &mut Child,
    limit: Duration,
    interruptible: bool,
) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    let id = rustix::process::Pid::from_child(child);
    let process = pidfd_open(id, PidfdFlags::empty())?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || interruptible && process::check_interrupted().is_err() {
            return Ok(None);
        }
        // Another thread may be the one that is told of the signal.
        let left = if interruptible { left.min(LOOK) } else { left };
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn end_group(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}

/// Reads a stream to its end in a thread of its own, keeping [`OUTPUT_LIMIT`] bytes of it.
fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<(Vec<u8>, bool)> {
    let (sender, receiver) = channel();
    if let Some(mut stream) = stream {
        thread::spawn(move || {
            let mut kept = Vec::new();
            let _ = stream
                .by_ref()
                .take(OUTPUT_LIMIT as u64)
                .read_to_end(&mut kept);
            let dropped = std::io::copy(&mut stream, &mut std::io::sink()).unwrap_or(0);
            let _ = sender.send((kept, dropped > 0));
        });
    }
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new(Program::Test("/bin/sh")).args(["-c", script])
    }

    #[test]
    fn a_program_sees_its_arguments_its_input_and_an_empty_environment() {
        let output = shell("cat; env; pwd; umask >/dev/null; echo \"$0\"")
            .arg("; rm -rf /")
            .input("hello\n")
            .run()
            .unwrap();
        let text = output.text();
        assert!(text.starts_with("hello\n"), "{text}");
        assert!(text.ends_with("/\n; rm -rf /\n"), "{text}");
        assert!(
            text.contains("LC_ALL=C.UTF-8") && !text.contains("CARGO"),
            "{text}"
        );
    }

    #[test]
    fn an_open_file_is_handed_down_and_the_signal_that_ends_a_program_is_told() {
        let file = File::open("/proc/self/exe").unwrap();
        let output = shell("head -c 4; kill -BUS $$")
            .file(file)
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"\x7fELF");
        assert_eq!(
            (output.code, output.signal),
            (None, Some(Signal::SIGBUS as i32))
        );
    }

    #[test]
    fn a_failure_carries_the_last_line_that_was_said() {
        let error = shell("echo one >&2; echo 'two bad' >&2; echo >&2; exit 7")
            .run()
            .unwrap_err();
        assert_eq!(error.code(), "command.failed");
        assert_eq!(error.message(), "sh ended with 7: two bad");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Command::new(Program::Test("/nonexistent"))
            .run()
            .unwrap_err();
        assert_eq!(error.code(), "command.missing");
    }

    #[test]
    fn a_program_and_its_children_are_stopped_when_they_take_too_long() {
        let start = Instant::now();
        let error = shell("trap '' TERM; sleep 30 & sleep 30; sleep 30")
            .within(Duration::from_millis(100))
            .run()
            .unwrap_err();
        assert_eq!(error.code(), "command.timeout");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn output_without_end_is_capped_and_does_not_block() {
        let output = shell("head -c 6000000 /dev/zero; echo done >&2")
            .run()
            .unwrap();
        assert_eq!(output.stdout.len(), OUTPUT_LIMIT);
        assert!(output.truncated);
        assert_eq!(output.stderr, b"done\n");
    }

    #[test]
    fn a_child_that_keeps_the_output_open_does_not_hold_us() {
        let start = Instant::now();
        shell("sleep 20 & echo started").output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_does_not_read_its_input_is_no_failure() {
        let output = shell("exit 0").input(vec![0; 1 << 20]).run().unwrap();
        assert_eq!(output.code, Some(0));
    }
}
