//! Other processes, from proc(5): whose they are, what they hold, and how one is ended without hitting another that
//! got its number.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::failure::{errno_of, failed};
use crate::error::Result;

/// A process at the time it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Real, effective, saved and file system user id.
    pub uids: BTreeSet<u32>,
    /// Its short name, at most 15 bytes.
    pub name: String,
    /// When it started, in ticks since boot: with the number, this is its identity.
    started: u64,
}

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGTERM: it may tidy up.
    Ask,
    /// SIGKILL.
    Force,
}

/// How a process uses a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Which one.
    pub process: Process,
    /// The mount.
    pub mount: u64,
    /// True where it has something open for writing there; false where it reads or stands there.
    pub writes: bool,
}

/// A file of proc(5), which never says how long it is: read in one piece, where guessing would take a dozen.
pub fn read(path: impl AsRef<Path>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(16 << 10);
    File::open(path)?.read_to_end(&mut text)?;
    Ok(text)
}

fn text(path: impl AsRef<Path>) -> Option<String> {
    String::from_utf8(read(path).ok()?).ok()
}

/// The numbers of all processes.
pub fn pids() -> Result<Vec<i32>> {
    let proc = Path::new("/proc");
    let failed = |e: std::io::Error| failed("list", proc, errno_of(&e));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(proc).map_err(failed)? {
        if let Some(pid) = entry
            .map_err(failed)?
            .file_name()
            .to_str()
            .and_then(|n| n.parse().ok())
        {
            all.push(pid);
        }
    }
    Ok(all)
}

impl Process {
    /// A process by its number; `None` where there is none.
    pub fn get(pid: i32) -> Option<Self> {
        let (uids, name) = parse_status(&text(format!("/proc/{pid}/status"))?)?;
        Some(Self {
            pid,
            uids,
            name,
            started: parse_start(&text(format!("/proc/{pid}/stat"))?)?,
        })
    }

    /// All processes, kernel threads among them.
    pub fn all() -> Result<Vec<Self>> {
        Ok(pids()?.into_iter().filter_map(Self::get).collect())
    }

    /// All processes that run as this user in one way or another.
    pub fn of_user(uid: u32) -> Result<Vec<Self>> {
        let mut all = Self::all()?;
        all.retain(|process| process.uids.contains(&uid));
        Ok(all)
    }

    /// True while it runs (a zombie does not).
    pub fn is_alive(&self) -> bool {
        text(format!("/proc/{}/stat", self.pid)).is_some_and(|stat| {
            parse_start(&stat) == Some(self.started)
                && !matches!(parse_state(&stat), Some('Z' | 'X'))
        })
    }

    /// Ends it, and never another one that has its number now. One that is gone is success.
    pub fn end(&self, how: End) -> Result<()> {
        let signal = match how {
            End::Ask => rustix::process::Signal::TERM,
            End::Force => rustix::process::Signal::KILL,
        };
        let Some(pid) = rustix::process::Pid::from_raw(self.pid) else {
            return Ok(());
        };
        let sent = pidfd_open(pid, PidfdFlags::empty()).and_then(|fd| {
            // The descriptor stands for this very process from here on.
            if self.is_alive() {
                pidfd_send_signal(&fd, signal)
            } else {
                Ok(())
            }
        });
        match sent {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(failed(
                "end the process",
                &PathBuf::from(format!("/proc/{}", self.pid)),
                Errno::from_raw(e.raw_os_error()),
            )),
        }
    }

    /// How it uses these mounts: working directory, root directory, open files.
    pub fn uses(&self, mounts: &BTreeSet<u64>) -> Vec<Use> {
        let base = PathBuf::from(format!("/proc/{}", self.pid));
        let mut found: BTreeSet<(u64, bool)> = ["cwd", "root"]
            .into_iter()
            .filter_map(|link| {
                let stat =
                    statx(CWD, base.join(link), AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
                Some((stat.stx_mnt_id, false))
            })
            .collect();
        for entry in std::fs::read_dir(base.join("fdinfo"))
            .into_iter()
            .flatten()
            .flatten()
        {
            found.extend(text(entry.path()).as_deref().and_then(parse_fdinfo));
        }
        found
            .into_iter()
            .filter(|(mount, _)| mounts.contains(mount))
            .map(|(mount, writes)| Use {
                process: self.clone(),
                mount,
                writes,
            })
            .collect()
    }
}

/// Who uses these mounts (numbers as in [`super::mounts::Mount::id`], unique on the whole machine).
pub fn users_of(mounts: &BTreeSet<u64>) -> Result<Vec<Use>> {
    if mounts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(Process::all()?
        .iter()
        .flat_map(|process| process.uses(mounts))
        .collect())
}

/// The command line of a process, cut to something readable; `None` where it is gone.
pub fn command_line(pid: u32) -> Option<String> {
    let bytes = read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = bytes
        .split(|&b| b == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    let line: String = words.join(" ").chars().take(80).collect();
    (!line.is_empty()).then_some(line)
}

/// User ids and name from `/proc/PID/status`.
fn parse_status(text: &str) -> Option<(BTreeSet<u32>, String)> {
    let field = |name| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let uids = field("Uid")?
        .split_whitespace()
        .map(|uid| uid.parse().ok())
        .collect::<Option<_>>()?;
    Some((uids, field("Name")?.trim().to_owned()))
}

/// What follows the name in `/proc/PID/stat`; the name may contain anything, `)` too.
fn after_name(text: &str) -> Option<impl Iterator<Item = &str>> {
    Some(text.rsplit_once(')')?.1.split_whitespace())
}

fn parse_state(text: &str) -> Option<char> {
    after_name(text)?.next()?.chars().next()
}

/// Field 22 of `/proc/PID/stat`.
fn parse_start(text: &str) -> Option<u64> {
    after_name(text)?.nth(19)?.parse().ok()
}

/// The mount and whether it was opened for writing, from `/proc/PID/fdinfo/N`.
fn parse_fdinfo(text: &str) -> Option<(u64, bool)> {
    let field = |name| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let flags = u32::from_str_radix(field("flags:")?, 8).ok()?;
    let mount = field("mnt_id:")?.parse().ok()?;
    // O_WRONLY is 1, O_RDWR is 2 (O_ACCMODE, open(2)); O_PATH descriptors say 0.
    Some((mount, matches!(flags & 3, 1 | 2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_name_with_brackets_does_not_confuse_the_parser() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        assert_eq!(parse_state(stat), Some('S'));
        assert_eq!(parse_start(stat), Some(987_654));
    }

    #[test]
    fn descriptors_for_writing_are_told_from_others() {
        assert_eq!(
            parse_fdinfo("pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t5\n"),
            Some((29, true))
        );
        assert_eq!(
            parse_fdinfo("pos:\t0\nflags:\t0100000\nmnt_id:\t29\n"),
            Some((29, false))
        );
        assert_eq!(parse_fdinfo("nonsense"), None);
    }

    #[test]
    fn we_find_ourselves_and_the_file_that_we_write() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("open");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(b"x").unwrap();
        let me = Process::get(std::process::id().cast_signed()).unwrap();
        assert!(me.is_alive());
        let stat = statx(CWD, &path, AtFlags::empty(), StatxFlags::MNT_ID).unwrap();
        let uses = me.uses(&BTreeSet::from([stat.stx_mnt_id]));
        assert!(uses.iter().any(|u| u.writes), "{uses:?}");
        let uid = nix::unistd::geteuid().as_raw();
        assert!(Process::of_user(uid).unwrap().contains(&me));
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_process_is_ended_and_a_second_time_is_no_error() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::get(child.id().cast_signed()).unwrap();
        process.end(End::Ask).unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        process.end(End::Force).unwrap();
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn another_process_with_the_same_number_is_left_alone() {
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut process = Process::get(child.id().cast_signed()).unwrap();
        process.started += 1;
        process.end(End::Force).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
