//! Runs `sftp-server` and stands between the client and its standard input. Its answers go to the client
//! directly: it inherits our standard output.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use super::attrs::{Directories, Follow, Malformed};
use super::frames::Frames;
use crate::jail::program;
use crate::refusal::{Refusal, Result};

/// The program, in Debian's openssh-sftp-server.
pub const PROGRAM: &str = "/usr/lib/openssh/sftp-server";

/// sftp-server(8): umask for requests without a mode.
const UMASK: [&str; 2] = ["-u", "0007"];
/// sftp-server(8): log of every file to AUTH, no links.
const ARGUMENTS: [&str; 6] = ["-f", "AUTH", "-l", "INFO", "-P", "symlink,hardlink"];

/// The file system as the session sees it: relative paths start where `sftp-server -d` does.
struct Jail {
    start: &'static str,
}

impl Directories for Jail {
    fn is_directory(&self, path: &[u8], follow: Follow) -> Option<bool> {
        let path = Path::new(self.start).join(OsStr::from_bytes(path));
        let metadata = match follow {
            Follow::Yes => fs::metadata(path),
            Follow::No => fs::symlink_metadata(path),
        };
        metadata.ok().map(|found| found.is_dir())
    }
}

/// Serves one session from `start` (`read_only`: sftp-server's `-R`); returns the exit code of `sftp-server` (128 + signal
/// if it was killed).
pub fn serve(read_only: bool, start: &'static str) -> Result<u8> {
    let mut server = program(PROGRAM)
        .args(UMASK)
        .args(["-d", start])
        .args(ARGUMENTS)
        .args(read_only.then_some("-R"))
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| Refusal::new(format!("cannot start {PROGRAM}: {error}")))?;
    let Some(mut into_server) = server.stdin.take() else {
        return Err(Refusal::new(format!("{PROGRAM} has no standard input")));
    };
    // The thread may wait for the client for ever; the session ends when the server does.
    let (sender, malformed) = mpsc::channel();
    thread::spawn(move || {
        if let Err(found) = pump(&mut io::stdin().lock(), &mut into_server, &Jail { start }) {
            let _ = sender.send(found);
        }
        drop(into_server); // only now can the server end, with the reason already sent
    });
    let status = server
        .wait()
        .map_err(|error| Refusal::new(format!("cannot wait for {PROGRAM}: {error}")))?;
    if let Ok(found) = malformed.try_recv() {
        return Err(Refusal::new(format!("{found}; the session ends")));
    }
    let code = status
        .code()
        .or_else(|| status.signal().map(|number| 128 + number));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Copies packets until either side ends, or one is malformed.
fn pump(
    client: &mut impl Read,
    server: &mut impl Write,
    directories: &dyn Directories,
) -> std::result::Result<(), Malformed> {
    let mut frames = Frames::new();
    loop {
        let count = match client.read(frames.space()) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Ok(()),
        };
        let (done, result) = frames.read(count, directories);
        if server.write_all(frames.whole(done)).is_err() {
            return Ok(()); // the server ended; its exit code says why
        }
        frames.pass(done);
        result?;
    }
}
