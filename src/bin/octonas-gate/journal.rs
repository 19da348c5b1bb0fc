//! One line per session to syslog, facility AUTH like sshd and sftp-server, so that a log tells what came through
//! which door. Where there is no `/dev/log`, nothing is said: logging must not close a door.

use std::env;
use std::os::unix::net::UnixDatagram;
use std::process;

/// Severities of syslog (RFC 5424, 6.2.1).
#[derive(Debug, Clone, Copy)]
pub enum Severity {
    /// Something was refused.
    Notice = 5,
    /// A session.
    Info = 6,
}

/// Facility 4 (security and authorization) shifted into the priority.
const AUTH: u8 = 4 << 3;

/// Sends one line, with whose session it is.
pub fn write(severity: Severity, line: &str) {
    let user = env::var("LOGNAME").unwrap_or_default();
    let message = format!(
        "<{}>octonas-gate[{}]: {}: {line}",
        AUTH | severity as u8,
        process::id(),
        user.escape_default()
    );
    if let Ok(socket) = UnixDatagram::unbound() {
        let _ = socket.set_nonblocking(true);
        let _ = socket.send_to(message.as_bytes(), "/dev/log");
    }
}
