//! What sshd would really do for a person. A syntactically right drop-in is not enough: a `Match` in OpenMediaVault's
//! extra options swallows the `Include` of all drop-ins, and our blocks then silently do not apply (`sshd_config(5)`;
//! tried). So sshd is asked for each person.

use std::collections::BTreeMap;
use std::path::Path;

use super::Omv;
use crate::error::{Error, Result};
use crate::report::{Progress, said};
use crate::sys::command::{Command, Program};

/// What has to hold for a person inside the walls, but the chroot.
const CONFINED: &[(&str, &str)] = &[
    ("forcecommand", "/usr/lib/octonas/gate"),
    ("allowtcpforwarding", "no"),
    ("allowagentforwarding", "no"),
    ("allowstreamlocalforwarding", "no"),
    ("x11forwarding", "no"),
    ("permittty", "no"),
    ("permittunnel", "no"),
    ("permituserrc", "no"),
];

/// The group whose members OpenMediaVault lets in with an ordinary shell.
const SHELL_GROUP: &str = "_ssh";

/// What has to hold for a source besides: its key, which is root's to give, and nothing else lets it in.
const SOURCE: &[(&str, &str)] = &[
    ("forcecommand", "/usr/lib/octonas/gate --source"),
    ("authenticationmethods", "publickey"),
    ("passwordauthentication", "no"),
    ("kbdinteractiveauthentication", "no"),
    ("authorizedkeysfile", "/etc/octonas/keys/%u"),
];

/// Asks sshd about everybody who has a jail; the first person whom it would not confine is an error.
pub(super) fn verify(omv: &Omv, progress: &dyn Progress) -> Result<()> {
    let mut people: Vec<String> = omv
        .entries()?
        .iter()
        .filter(|e| e.sftp || e.rsync)
        .flat_map(|e| e.people().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    people.sort();
    people.dedup();
    let sources = omv
        .sources()?
        .into_iter()
        .map(|s| s.account)
        .collect::<Vec<_>>();
    people.extend(sources.iter().cloned());
    if people.is_empty() {
        return Ok(());
    }
    Command::new(Program::Sshd).arg("-t").run().map_err(|e| {
        Error::new("nas.sshd", "sshd refuses its own configuration")
            .hint("run `sshd -t` as root, mend what it names, then run the same command again")
            .source(e)
    })?;
    for person in &people {
        if nix::unistd::User::from_name(person)
            .ok()
            .flatten()
            .is_none()
        {
            progress.warn(&said!(
                "the system has no account {person}: nobody can log in as them",
                "le système n'a pas de compte {person} : personne ne peut se connecter sous ce nom"
            ));
            continue;
        }
        let output = Command::new(Program::Sshd)
            .arg("-T")
            .arg("-C")
            .arg(format!("user={person},host=nas,addr=127.0.0.1"))
            .run()
            .map_err(|e| Error::new("nas.sshd", "sshd does not say what it would do").source(e))?;
        let Some(wrong) = unconfined(
            &output.text(),
            &omv.settings().jails,
            person,
            sources.contains(person),
        ) else {
            continue;
        };
        if has_shell(person) {
            progress.warn(&said!(
                "{person} is in the group {SHELL_GROUP} and keeps an ordinary shell: only the file system's walls hold for them",
                "{person} est dans le groupe {SHELL_GROUP} et garde un shell ordinaire : seuls les murs du système de fichiers valent pour ce compte"
            ));
            continue;
        }
        return Err(Error::new(
            "nas.sshd",
            format!("sshd would not confine {person}: {wrong}"),
        )
        .hint(
            "is there a `Match` in OpenMediaVault's SSH extra options, or another file in /etc/ssh/sshd_config.d that \
             comes first? end its block with `Match all`, then run the same command again",
        ));
    }
    Ok(())
}

fn has_shell(person: &str) -> bool {
    nix::unistd::Group::from_name(SHELL_GROUP)
        .ok()
        .flatten()
        .is_some_and(|group| group.mem.iter().any(|m| m == person))
}

/// The first setting in the output of `sshd -T` that is not as it has to be.
fn unconfined(text: &str, jails: &Path, person: &str, is_source: bool) -> Option<String> {
    let settings: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key, value.trim()))
        .collect();
    let get = |key: &str| settings.get(key).copied().unwrap_or("(nothing)");
    let chroot = get("chrootdirectory");
    let wanted = [jails.join("%u"), jails.join(person)];
    if !wanted.iter().any(|w| Path::new(chroot) == w) {
        return Some(format!("chrootdirectory is {chroot}"));
    }
    let special = if is_source { SOURCE } else { &[] };
    let wanted = |key: &str| special.iter().all(|(name, _)| *name != key);
    CONFINED
        .iter()
        .filter(|(key, _)| wanted(key))
        .chain(special)
        .find(|(key, value)| !get(key).eq_ignore_ascii_case(value))
        .map(|(key, _)| format!("{key} is {}", get(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confined() -> String {
        use std::fmt::Write as _;
        let mut text = "port 22\nchrootdirectory /run/octonas/jail/%u\n".to_owned();
        for (key, value) in CONFINED {
            writeln!(text, "{key} {value}").unwrap();
        }
        text
    }

    #[test]
    fn every_setting_that_is_off_is_named() {
        let jails = Path::new("/run/octonas/jail");
        assert_eq!(unconfined(&confined(), jails, "alice", false), None);
        for (from, to, named) in [
            (
                "chrootdirectory /run/octonas/jail/%u",
                "chrootdirectory none",
                "chrootdirectory is none",
            ),
            (
                "forcecommand /usr/lib/octonas/gate",
                "forcecommand none",
                "forcecommand is none",
            ),
            ("permittty no", "permittty yes", "permittty is yes"),
            (
                "allowtcpforwarding no\n",
                "",
                "allowtcpforwarding is (nothing)",
            ),
        ] {
            let text = confined().replace(from, to);
            assert_eq!(
                unconfined(&text, jails, "alice", false).as_deref(),
                Some(named)
            );
        }
    }

    #[test]
    fn a_source_needs_its_key_and_gets_its_own_gate() {
        use std::fmt::Write as _;
        let jails = Path::new("/run/octonas/jail");
        let mut text = confined().replace("forcecommand /usr/lib/octonas/gate\n", "");
        for (key, value) in SOURCE {
            writeln!(text, "{key} {value}").unwrap();
        }
        assert_eq!(unconfined(&text, jails, "octsrc-0123456789", true), None);
        for (key, _) in SOURCE {
            let text = text.replace(key, "x");
            let named = unconfined(&text, jails, "octsrc-0123456789", true).unwrap();
            assert!(named.starts_with(key), "{named}");
        }
        let as_person = unconfined(&confined(), jails, "octsrc-0123456789", true);
        assert_eq!(
            as_person.as_deref(),
            Some("forcecommand is /usr/lib/octonas/gate")
        );
    }
}
