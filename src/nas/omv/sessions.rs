//! Open ways in, and their end. Processes keep the groups that they got at login, for ever: whoever was taken out goes
//! on reading until their sessions end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::json;

use super::Omv;
use super::model::{Group, User};
use crate::error::{Error, Result};
use crate::nas::Session;
use crate::sys::command::{Command, Program};

/// How long a session may take to end.
const END: Duration = Duration::from_secs(10);

/// What the kernel says of a process (proc_pid_status(5)).
struct Process {
    pid: i32,
    name: String,
    uids: Vec<u32>,
    groups: Vec<u32>,
    is_dead: bool,
}

/// The sessions of these accounts that can reach an experiment: processes that hold one of its groups, and every SMB
/// session (smbd keeps groups per session, out of sight). Two calls.
pub(super) fn sessions(
    omv: &Omv,
    accounts: &BTreeSet<String>,
    experiment: &Path,
) -> Result<Vec<Session>> {
    let users: Vec<User> = omv
        .engined()
        .read("UserMgmt", "enumerateAllUsers", json!({}))?;
    let groups: Vec<Group> = omv
        .engined()
        .read("UserMgmt", "enumerateAllGroups", json!({}))?;
    let uids: BTreeMap<u32, String> = users
        .into_iter()
        .filter(|u| accounts.contains(&u.name) && !u.system)
        .map(|u| (u.uid, u.name))
        .collect();
    let code = experiment
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let own = [format!("exp-{code}-w"), format!("exp-{code}-r")];
    let gids: BTreeSet<u32> = groups
        .into_iter()
        .filter(|g| own.contains(&g.name))
        .map(|g| g.gid)
        .collect();

    let mut found: Vec<Session> = processes()
        .into_iter()
        .filter(|p| p.name != "smbd" && p.groups.iter().any(|g| gids.contains(g)))
        .filter_map(|p| {
            let account = p.uids.iter().find_map(|uid| uids.get(uid))?;
            Some(Session {
                account: account.clone(),
                door: door(&p.name).to_owned(),
                pid: p.pid,
            })
        })
        .collect();
    found.extend(smb()?.into_iter().filter(|s| accounts.contains(&s.account)));
    Ok(found)
}

fn door(process: &str) -> &str {
    match process {
        "gate" | "octonas-gate" | "sftp-server" => "sftp",
        "sshd" | "sshd-session" => "ssh",
        "proftpd" => "ftp",
        "sh" | "bash" | "dash" | "zsh" => "shell",
        other => other,
    }
}

/// All processes; one that ends meanwhile is left out.
fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

fn process(pid: i32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(parse_status(pid, &text))
}

fn parse_status(pid: i32, text: &str) -> Process {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or("")
            .trim()
    };
    let numbers = |name: &str| {
        field(name)
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect::<Vec<u32>>()
    };
    let mut groups = numbers("Groups");
    groups.extend(numbers("Gid"));
    Process {
        pid,
        name: field("Name").to_owned(),
        uids: numbers("Uid"),
        groups,
        is_dead: field("State").starts_with(['Z', 'X']),
    }
}

#[derive(Deserialize)]
struct Smbstatus {
    #[serde(default)]
    sessions: BTreeMap<String, SmbSession>,
}

#[derive(Deserialize)]
struct SmbSession {
    username: String,
    server_id: ServerId,
}

#[derive(Deserialize)]
struct ServerId {
    /// A number, as text or not.
    pid: serde_json::Value,
}

/// The SMB sessions, as smbstatus(1) tells; none where Samba is not installed or does not run.
fn smb() -> Result<Vec<Session>> {
    if !Program::Smbstatus.is_installed() {
        return Ok(Vec::new());
    }
    let output = Command::new(Program::Smbstatus)
        .args(["--json", "--processes"])
        .output()?;
    match parse_smbstatus(&output.text()) {
        Some(sessions) => Ok(sessions),
        None if !processes().iter().any(|p| p.name == "smbd") => Ok(Vec::new()),
        // Not knowing is not the same as nobody.
        None => Err(Error::new(
            "nas.smb-sessions",
            "smbstatus does not tell who is connected over SMB",
        )
        .hint("run `smbstatus --json --processes` as root and look at what it says")),
    }
}

fn parse_smbstatus(text: &str) -> Option<Vec<Session>> {
    let status: Smbstatus = serde_json::from_str(text).ok()?;
    let sessions = status
        .sessions
        .into_values()
        .filter_map(|session| {
            let pid = match session.server_id.pid {
                serde_json::Value::String(s) => s.parse().ok()?,
                serde_json::Value::Number(n) => i32::try_from(n.as_i64()?).ok()?,
                _ => return None,
            };
            Some(Session {
                account: session.username,
                door: "smb".to_owned(),
                pid,
            })
        })
        .collect();
    Some(sessions)
}

/// How many SMB sessions are open; `None` where that cannot be told.
pub(super) fn smb_count() -> Option<usize> {
    smb().ok().map(|sessions| sessions.len())
}

/// Ends sessions, and gives those that are still there. Closing the share is not enough over SMB: the same session
/// connects again with its old groups (tried), so the process that serves it ends.
pub(super) fn end(sessions: &[Session]) -> Result<Vec<Session>> {
    let began = Instant::now();
    let mut left: Vec<Session> = sessions.to_vec();
    let mut is_first = true;
    loop {
        let smb_open = if left.iter().any(|s| s.door == "smb") {
            smb()?
        } else {
            Vec::new()
        };
        left.retain(|s| {
            if s.door == "smb" {
                smb_open.iter().any(|o| o.pid == s.pid)
            } else {
                is_theirs(s)
            }
        });
        if left.is_empty() || began.elapsed() > END {
            return Ok(left);
        }
        for session in &left {
            if session.door != "smb" {
                let _ = kill(Pid::from_raw(session.pid), Signal::SIGKILL);
            } else if is_first {
                let _ = Command::new(Program::Smbcontrol)
                    .arg(session.pid.to_string())
                    .arg("shutdown")
                    .output();
            } else if began.elapsed() > END / 3
                && process(session.pid).is_some_and(|p| p.name.starts_with("smbd"))
            {
                let _ = kill(Pid::from_raw(session.pid), Signal::SIGTERM);
            }
        }
        is_first = false;
        sleep(Duration::from_millis(100));
    }
}

/// True while the process lives and still is the one that was seen (numbers are used again).
fn is_theirs(session: &Session) -> bool {
    let Some(process) = process(session.pid).filter(|p| !p.is_dead) else {
        return false;
    };
    let uid = nix::unistd::User::from_name(&session.account)
        .ok()
        .flatten()
        .map(|u| u.uid.as_raw());
    door(&process.name) == session.door && uid.is_none_or(|uid| process.uids.contains(&uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_as_the_kernel_writes_it() {
        let text = "Name:\tsftp-server\nState:\tS (sleeping)\nUid:\t1001\t1001\t1001\t1001\n\
                    Gid:\t100\t100\t100\t100\nGroups:\t100 2001 2002 \n";
        let p = parse_status(7, text);
        assert_eq!((p.pid, p.name.as_str(), p.is_dead), (7, "sftp-server", false));
        assert!(p.groups.contains(&2001) && p.uids.contains(&1001));
        assert!(parse_status(7, "State:\tZ (zombie)\n").is_dead);
    }

    #[test]
    fn smb_sessions_are_read_from_json() {
        let text = r#"{"version":"4.22.11-Debian","sessions":{"1":{"session_id":"1",
            "server_id":{"pid":"4711","task_id":"0"},"uid":1001,"username":"alice","groupname":"users"}}}"#;
        assert_eq!(
            parse_smbstatus(text).unwrap(),
            [Session {
                account: "alice".into(),
                door: "smb".into(),
                pid: 4711
            }]
        );
        assert!(parse_smbstatus("Can't open sessionid.tdb\n").is_none());
    }

    #[test]
    fn this_very_process_is_seen() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(processes().iter().any(|p| p.pid == me));
    }
}
