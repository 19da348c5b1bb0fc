//! A program that runs while bytes are written to it or read from it.

use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::Receiver;

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;

use super::{Command, LINGER, Output, Program, collect, end_group};
use crate::error::{Error, Result};
use crate::sys::fault;

/// How much a pipe holds, in bytes (the most that an ordinary user may ask for: `fs.pipe-max-size`).
const PIPE: usize = 1 << 20;

/// A program under way. Dropped, it and its children are ended.
pub struct Running {
    program: Program,
    child: Child,
    stderr: Receiver<(Vec<u8>, bool)>,
    ended: bool,
}

impl Command {
    /// Starts it; what it reads and writes is up to the caller. Its time limit does not count.
    pub fn start(&self) -> Result<Running> {
        fault::point(self.program.point())?;
        let mut child = self.spawn()?;
        let stderr = collect(child.stderr.take());
        let running = Running {
            program: self.program,
            child,
            stderr,
            ended: false,
        };
        let pipes = [
            running.child.stdin.as_ref().map(std::os::fd::AsFd::as_fd),
            running.child.stdout.as_ref().map(std::os::fd::AsFd::as_fd),
        ];
        for pipe in pipes.into_iter().flatten() {
            // A smaller one is slower, not wrong.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
        }
        Ok(running)
    }

    /// What it reads comes through [`Running::input`].
    #[must_use]
    pub fn piped(mut self) -> Self {
        self.input = Some(Vec::new());
        self
    }
}

impl Running {
    /// Where it reads; closing it is the end of its input.
    pub fn input(&mut self) -> Result<ChildStdin> {
        self.child.stdin.take().ok_or_else(|| self.taken("input"))
    }

    /// What it writes.
    pub fn output(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| self.taken("output"))
    }

    fn taken(&self, what: &str) -> Error {
        Error::new(
            "command.failed",
            format!("the {what} of {} is in other hands", self.program),
        )
    }

    /// Waits for its end, whatever it is. Its output was read by the caller.
    pub fn end(mut self) -> Result<Output> {
        drop((self.child.stdin.take(), self.child.stdout.take()));
        let status = self.child.wait().map_err(|e| {
            Error::new(
                "command.failed",
                format!("cannot wait for {}", self.program),
            )
            .source(e)
        })?;
        self.ended = true;
        let (stderr, truncated) = self.stderr.recv_timeout(LINGER).unwrap_or_default();
        Ok(Output {
            code: status.code(),
            signal: status.signal(),
            stdout: Vec::new(),
            stderr,
            truncated,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            end_group(&self.child, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::time::Instant;

    fn shell(script: &str) -> Command {
        Command::new(Program::Test("/bin/sh")).args(["-c", script])
    }

    #[test]
    fn bytes_go_through_a_program_and_its_end_is_told() {
        let mut running = shell("tr a-z A-Z; echo bad >&2; exit 3")
            .piped()
            .start()
            .unwrap();
        let mut input = running.input().unwrap();
        let mut output = running.output().unwrap();
        input.write_all(b"hello").unwrap();
        drop(input);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "HELLO");
        let end = running.end().unwrap();
        assert_eq!(
            (end.code, end.last_error_line().as_deref()),
            (Some(3), Some("bad"))
        );
    }

    #[test]
    fn one_that_is_dropped_is_ended_with_its_children() {
        let start = Instant::now();
        drop(shell("sleep 30 & sleep 30").start().unwrap());
        assert!(start.elapsed().as_secs() < 10);
    }
}
