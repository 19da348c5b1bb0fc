//! One lock per experiment and one for NAS changes: flock(2) on a file in a directory that only we can write.
//!
//! The file is never removed: a lock on a file that lost its name locks nothing. The kernel lets go of it when the
//! process ends, however it ends.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::dir::Dir;
use super::failure::failed;
use crate::error::{Error, Exit, Result};

/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(25);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

/// Takes the lock `name` in `dir`, waiting at most `wait` for somebody who holds it. Held longer, it is the error
/// `locked` (exit code 4), which says by whom.
pub fn lock(dir: &Dir, name: &str, wait: Duration) -> Result<Lock> {
    let file_name = format!("{name}.lock");
    let path = dir.path_of(&file_name);
    let mut file = dir.open_to_append(OsStr::new(&file_name))?.into_file();
    let deadline = Instant::now() + wait;
    loop {
        super::process::check_interrupted()?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                // Who holds it is for messages only; a full disk must not refuse the lock.
                let _ = held.set_len(0);
                let _ = writeln!(held, "{}", std::process::id());
                return Ok(Lock { _held: held });
            }
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => {
                file = back;
                thread::sleep(PAUSE);
            }
            Err((mut back, Errno::EWOULDBLOCK | Errno::EINTR)) => {
                return Err(Error::new(
                    "locked",
                    format!("`{name}` is in use by {}", holder(&mut back)),
                )
                .hint("wait until it has finished, then run it again")
                .exit(Exit::Locked));
            }
            Err((_, e)) => return Err(failed("lock", &path, e)),
        }
    }
}

/// True while somebody holds the lock `name`.
pub fn is_held(dir: &Dir, name: &str) -> Result<bool> {
    match lock(dir, name, Duration::ZERO) {
        Ok(_) => Ok(false),
        Err(error) if error.exit_status() == Exit::Locked => Ok(true),
        Err(error) => Err(error),
    }
}

/// Who wrote their number into a lock, for people.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.take(32).read_to_string(&mut text));
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => super::processes::command_line(pid).map_or_else(
            || format!("process {pid}"),
            |line| format!("process {pid} ({line})"),
        ),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::tests::directory;

    #[test]
    fn a_lock_is_held_by_one_and_says_by_whom() {
        let (_temp, dir) = directory();
        let first = lock(&dir, "nas", Duration::ZERO).unwrap();
        let error = lock(&dir, "nas", Duration::ZERO).unwrap_err();
        assert_eq!(error.code(), "locked");
        assert_eq!(error.exit_status(), Exit::Locked);
        let pid = std::process::id().to_string();
        assert!(error.message().contains(&pid), "{error}");
        drop(first);
        lock(&dir, "nas", Duration::ZERO).unwrap();
    }

    #[test]
    fn who_waits_gets_it_when_it_is_free() {
        let (_temp, dir) = directory();
        let first = lock(&dir, "nas", Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&dir, "nas", Duration::from_secs(20)).is_ok());
            thread::sleep(Duration::from_millis(60));
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn two_names_are_two_locks() {
        let (_temp, dir) = directory();
        let _first = lock(&dir, "a", Duration::ZERO).unwrap();
        lock(&dir, "b", Duration::ZERO).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_refused() {
        let (temp, dir) = directory();
        std::os::unix::fs::symlink("/etc/passwd", temp.path().join("nas.lock")).unwrap();
        assert_eq!(
            lock(&dir, "nas", Duration::ZERO).unwrap_err().code(),
            "path.link"
        );
    }
}
