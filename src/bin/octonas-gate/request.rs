//! What the client asked sshd for (`SSH_ORIGINAL_COMMAND`): one of our two doors, or something refused.

use crate::refusal::{Refusal, Result, shown};
use crate::words::{self, Word};

/// A session that a door can serve.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// The SFTP subsystem; scp since OpenSSH 9 asks for it too.
    Sftp {
        /// sshd's `Subsystem` line has `-R`.
        read_only: bool,
    },
    /// `rsync …`, in words, `rsync` the first.
    Rsync(Vec<Word>),
}

/// What sshd's `Subsystem sftp` line may name.
const SFTP: [&[u8]; 2] = [b"internal-sftp", super::sftp::serve::PROGRAM.as_bytes()];

/// Reads the command. Arguments after the SFTP subsystem come from the `Subsystem` line of sshd's configuration
/// and are dropped, but for `-R`: `sftp-server` is started with ours.
pub fn read(command: &[u8]) -> Result<Request> {
    if command.is_empty() {
        return Err(Refusal::new("there is no shell here").hint("use sftp, scp or rsync"));
    }
    let words = words::split(command)?;
    match words.first().map(Word::bytes) {
        Some(first) if SFTP.contains(&first) => {
            let arguments = words.get(1..).unwrap_or_default();
            if !arguments.iter().all(is_plain) {
                return Err(Refusal::new(format!(
                    "not the SFTP subsystem: {}",
                    shown(command)
                )));
            }
            let read_only = arguments.iter().any(|word| word.bytes() == b"-R");
            Ok(Request::Sftp { read_only })
        }
        Some(b"rsync" | b"/usr/bin/rsync") => Ok(Request::Rsync(words)),
        Some(b"scp") => Err(Refusal::new("the old scp protocol is not spoken here")
            .hint("leave out -O, use scp of OpenSSH 9 or later, or sftp")),
        _ => Err(Refusal::new(format!("not let through: {}", shown(command)))
            .hint("use sftp, scp or rsync")),
    }
}

/// An argument as a `Subsystem` line has them: `-l`, `INFO`, `/experiments`, `0007`.
fn is_plain(word: &Word) -> bool {
    word.bytes()
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_./,=@%+".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sftp_subsystem_is_known_however_sshd_names_it() {
        for command in [
            "internal-sftp",
            "/usr/lib/openssh/sftp-server",
            "/usr/lib/openssh/sftp-server -l INFO",
            "internal-sftp -l INFO -R",
            "internal-sftp -f AUTHPRIV -u 0022 -d /srv/%u",
        ] {
            let read_only = command.contains("-R");
            assert_eq!(
                read(command.as_bytes()).unwrap(),
                Request::Sftp { read_only },
                "{command}"
            );
        }
    }

    #[test]
    fn rsync_is_known_by_its_name() {
        for command in ["rsync --server -r . x", "/usr/bin/rsync --server -r . x"] {
            assert!(
                matches!(read(command.as_bytes()).unwrap(), Request::Rsync(words) if words.len() == 5)
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for command in [
            "",
            " ",
            "sh",
            "bash -l",
            "sftp",
            "sftp-server",
            "/tmp/sftp-server",
            "/usr/lib/openssh/sftp-serverx",
            "/usr/lib/openssh/sftp-server; id",
            "internal-sftp && id",
            "internal-sftp $(id)",
            "internal-sftp 'a b'",
            "./rsync --server",
            "/tmp/rsync --server",
            "sudo rsync --server -r . x",
            "rrsync",
            "scp -t x",
            "scp -f x",
            "env rsync",
            "RSYNC=1 rsync --server",
            "cat /etc/passwd",
            "\0",
        ] {
            assert!(read(command.as_bytes()).is_err(), "{command:?}");
        }
    }
}
