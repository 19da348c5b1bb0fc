//! The jail that a session lives in: its fixed places, and how a program is started there.

use std::env;
use std::process::Command;

/// Where a person's sessions start: one directory per experiment that they may enter.
pub const START: &str = "/experiments";

/// Where a source's sessions start: its landing directory.
pub const LANDING: &str = "/in";

/// What sshd itself sets and a program needs: whose session it is, and from where.
const KEPT: [&str; 3] = ["USER", "LOGNAME", "SSH_CONNECTION"];

/// A program with a cleared environment: nothing that a client may have set reaches it (`RSYNC_*`, `LC_*`, …).
/// Names of files are UTF-8 in its messages.
#[allow(clippy::disallowed_methods)] // the gate links nothing else of OctoNAS: `sys::command` is not there
pub fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .envs(
            KEPT.into_iter()
                .filter_map(|name| Some((name, env::var_os(name)?))),
        );
    command
}
