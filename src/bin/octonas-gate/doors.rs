//! Which doors this person has: `/etc/octonas-doors` in the jail, written by `octonas jails sync`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::refusal::{Refusal, Result};

/// Where the list is, inside the jail.
pub const PATH: &str = "/etc/octonas-doors";

/// No list is longer than this (bytes).
const LIMIT: u64 = 4096;

/// A way in that the gate serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// SFTP, and scp over it.
    Sftp,
    /// rsync over SSH.
    Rsync,
}

impl Door {
    /// The line that opens it.
    fn name(self) -> &'static str {
        match self {
            Self::Sftp => "sftp",
            Self::Rsync => "rsync",
        }
    }
}

/// Refuses a door that the list does not name; without a readable list every door is closed.
pub fn check(door: Door, list: &Path) -> Result<()> {
    let mut text = String::new();
    let read = File::open(list).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
    match read {
        Ok(_) if text.lines().any(|line| line.trim() == door.name()) => Ok(()),
        Ok(_) => Err(Refusal::new(format!(
            "{} is not open for any of your experiments",
            door.name()
        ))
        .hint("ask who manages the experiment")),
        Err(_) => Err(
            Refusal::new("this account has no list of doors, so none is open")
                .hint("the administrator can run: octonas jails sync"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_door_opens_only_when_the_list_names_it() {
        for (text, sftp, rsync) in [
            ("sftp\nrsync\n", true, true),
            ("sftp\n", true, false),
            (" rsync ", false, true),
            ("", false, false),
            ("sftpx\n#rsync\n", false, false),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(check(Door::Sftp, file.path()).is_ok(), sftp, "{text:?}");
            assert_eq!(check(Door::Rsync, file.path()).is_ok(), rsync, "{text:?}");
        }
    }

    #[test]
    fn without_a_readable_list_every_door_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check(Door::Sftp, &directory.path().join("missing")).is_err());
        assert!(check(Door::Rsync, directory.path()).is_err());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"\xff\xfe\nsftp\n").unwrap();
        assert!(check(Door::Sftp, file.path()).is_err());
    }
}
