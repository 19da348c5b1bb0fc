//! Open ways in, and their end. Processes keep the groups that they got at login, for ever: whoever was taken out goes
//! on reading until their sessions end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Omv;
use crate::error::{Error, Result};
use crate::nas::Session;
use crate::sys::command::{Command, Program};
use crate::sys::processes::{self, End, Process};

/// The door of SMB.
const SMB: &str = "smb";

/// How long a session may take to end.
const END: Duration = Duration::from_secs(10);

/// The sessions of these accounts that can reach an experiment: processes that hold one of its groups, and every SMB
/// session (smbd keeps groups per session, out of sight).
pub(super) fn sessions(
    omv: &Omv,
    accounts: &BTreeSet<String>,
    experiment: &Path,
) -> Result<Vec<Session>> {
    let people = omv.people()?;
    let uids: BTreeMap<u32, &str> = people
        .users
        .iter()
        .filter(|u| accounts.contains(&u.name) && !u.is_system)
        .map(|u| (u.uid, u.name.as_str()))
        .collect();
    let code = experiment
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let own = [format!("exp-{code}-w"), format!("exp-{code}-r")];
    let gids: BTreeSet<u32> = people
        .groups
        .iter()
        .filter(|g| own.contains(&g.name))
        .map(|g| g.gid)
        .collect();

    let mut found: Vec<Session> = Process::all()?
        .into_iter()
        .filter(|p| !is_smbd(p))
        .filter_map(|p| {
            let account = p.uids.iter().find_map(|uid| uids.get(uid))?;
            holds_any(p.pid, &gids).then(|| Session {
                account: (*account).to_owned(),
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

/// True where a process holds one of these groups.
fn holds_any(pid: i32, gids: &BTreeSet<u32>) -> bool {
    processes::read(format!("/proc/{pid}/status")).is_ok_and(|text| {
        parse_groups(&String::from_utf8_lossy(&text)).any(|gid| gids.contains(&gid))
    })
}

/// All groups of a process, from `proc_pid_status(5)`.
fn parse_groups(text: &str) -> impl Iterator<Item = u32> {
    text.lines()
        .filter_map(|line| line.strip_prefix("Groups:").or(line.strip_prefix("Gid:")))
        .flat_map(str::split_whitespace)
        .filter_map(|gid| gid.parse().ok())
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
        None if !Process::all()?.iter().any(|p| p.name.starts_with("smbd")) => Ok(Vec::new()),
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
                door: SMB.to_owned(),
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
    let mut left: Vec<(Session, Process)> = sessions
        .iter()
        .filter_map(|s| Some((s.clone(), Process::get(s.pid).filter(|p| is_theirs(s, p))?)))
        .collect();
    for (session, _) in left.iter().filter(|(s, _)| s.door == SMB) {
        let _ = Command::new(Program::Smbcontrol)
            .arg(session.pid.to_string())
            .arg("shutdown")
            .output();
    }
    let began = Instant::now();
    loop {
        left.retain(|(_, process)| process.is_alive());
        if left.is_empty() || began.elapsed() > END {
            return Ok(left.into_iter().map(|(session, _)| session).collect());
        }
        for (session, process) in &left {
            if session.door != SMB || began.elapsed() > END / 3 {
                process.end(End::Force)?;
            }
        }
        sleep(Duration::from_millis(50));
    }
}

/// True where the process still is the one that was seen (numbers are used again).
fn is_theirs(session: &Session, process: &Process) -> bool {
    if session.door == SMB {
        return is_smbd(process);
    }
    let uid = nix::unistd::User::from_name(&session.account)
        .ok()
        .flatten()
        .map(|u| u.uid.as_raw());
    // Never by its name: a process gives itself whatever name it likes.
    uid.is_none_or(|uid| process.uids.contains(&uid))
}

/// Named `smbd[address]` while it serves, and never without root among its ids: the name alone proves nothing.
fn is_smbd(process: &Process) -> bool {
    process.name.starts_with("smbd") && process.uids.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_the_kernel_writes_them() {
        let text = "Name:\tsftp-server\nUid:\t1001\t1001\t1001\t1001\n\
                    Gid:\t100\t100\t100\t100\nGroups:\t2001 2002 \n";
        let groups: BTreeSet<u32> = parse_groups(text).collect();
        assert_eq!(groups, BTreeSet::from([100, 2001, 2002]));
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
}
