//! `octonas-gate`: the forced command behind sshd (installed as `/usr/lib/octonas/gate`).
//!
//! It runs as the person, in their jail, and lets through `sftp-server` with the modes of the client's requests
//! rewritten, `rsync --server` with options from a list, and nothing else. With `--source` it serves an acquisition
//! machine: SFTP and rsync into `/in`. It links nothing of OctoNAS, so that little can go wrong behind sshd.
//! What it does and why: docs/reference/gate.md.

mod doors;
mod jail;
mod journal;
mod refusal;
mod request;
mod rsync;
mod sftp;
mod start;
mod words;

use std::env;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use doors::Door;
use journal::Severity;
use refusal::{Refusal, Result};
use request::Request;
use rsync::Role;

fn main() -> ExitCode {
    start::first_acts();
    match serve() {
        Ok(code) => ExitCode::from(code),
        Err(refusal) => {
            journal::write(Severity::Notice, &format!("refused: {refusal}"));
            let _ = writeln!(io::stderr(), "octonas: {refusal}");
            ExitCode::FAILURE
        }
    }
}

/// Serves the one session that sshd asks for; returns its exit code, unless rsync takes this process's place.
fn serve() -> Result<u8> {
    let role = role()?;
    let command = env::var_os("SSH_ORIGINAL_COMMAND")
        .unwrap_or_default()
        .into_vec();
    match (request::read(&command)?, role) {
        (Request::Sftp { read_only }, Role::Source) => {
            enter(jail::LANDING)?;
            journal::write(Severity::Info, "sftp");
            sftp::serve::serve(read_only, jail::LANDING)
        }
        (Request::Sftp { read_only }, Role::Person) => {
            doors::check(Door::Sftp, Path::new(doors::PATH))?;
            enter(jail::START)?;
            journal::write(Severity::Info, "sftp");
            sftp::serve::serve(read_only, jail::START)
        }
        (Request::Rsync(words), role) => {
            let start = match role {
                Role::Person => {
                    doors::check(Door::Rsync, Path::new(doors::PATH))?;
                    jail::START
                }
                Role::Source => jail::LANDING,
            };
            enter(start)?;
            let session = rsync::session(&words, role, &mut Unbuffered, Path::new(start))?;
            journal::write(Severity::Info, &session.line());
            let error = jail::program(rsync::PROGRAM)
                .args(session.arguments())
                .exec();
            Err(Refusal::new(format!(
                "cannot start {}: {error}",
                rsync::PROGRAM
            )))
        }
    }
}

/// The gate's own arguments are part of sshd's configuration: none, or `--source`.
fn role() -> Result<Role> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => Ok(Role::Person),
        [one] if one == "--source" => Ok(Role::Source),
        _ => Err(
            Refusal::new("the gate is not configured correctly on this NAS")
                .hint("its only argument is --source"),
        ),
    }
}

fn enter(start: &str) -> Result<()> {
    env::set_current_dir(start)
        .map_err(|error| Refusal::new(format!("cannot enter {start}: {error}")))
}

/// Standard input without a buffer: rsync goes on reading where we stop.
struct Unbuffered;

impl io::Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(io::stdin(), buffer)?)
    }
}
