//! Making effective what was put: only the modules that these objects need, and that wait.
//!
//! OpenMediaVault keeps a list of modules that wait to be applied. What we apply takes other people's pending edits of
//! the same module along, which is said aloud; modules that we do not need stay as they are.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use super::engined::Engined;
use crate::error::{Error, Result};
use crate::nas::Interruption;
use crate::object::Kind;
use crate::report::{Progress, said};

/// The longest time that a deployment may take.
const DEPLOY: Duration = Duration::from_mins(30);
/// How long to wait before looking whether it is done: twice as long each time, up to this.
const LOOK: Duration = Duration::from_millis(300);

/// The modules that make these kinds effective. A group's members count at once for new logins; OpenMediaVault marks
/// `samba` for them, whose deployment would cut every SMB client of every share, so that is left to wait.
pub(super) fn modules(kinds: &BTreeSet<Kind>) -> BTreeSet<&'static str> {
    kinds
        .iter()
        .flat_map(|kind| match kind {
            Kind::Entry | Kind::Source | Kind::Mounts => &["octonas"][..],
            // The doors that go by privileges come with them: see `provision::stages`.
            Kind::SharedFolder | Kind::Privileges => &["sharedfolders", "systemd"],
            Kind::SmbShare => &["samba", "avahi"],
            Kind::FtpShare => &["proftpd"],
            Kind::RsyncModule => &["rsyncd"],
            Kind::NfsShare => &["fstab", "quota", "monit", "collectd", "nfs", "avahi"],
            _ => &[],
        })
        .copied()
        .collect()
}

/// What applying these modules does to people.
pub(super) fn interruption(
    modules: impl IntoIterator<Item = String>,
    smb_sessions: Option<usize>,
    foreign: &BTreeSet<String>,
) -> Interruption {
    let modules: Vec<String> = modules.into_iter().collect();
    let mut effects = Vec::new();
    for module in &modules {
        match module.as_str() {
            "samba" => effects.push(match smb_sessions {
                Some(0) => said!(
                    "smbd restarts; nobody is connected over SMB",
                    "smbd redémarre ; personne n'est connecté par SMB"
                ),
                Some(1) => said!(
                    "smbd restarts: the one open SMB session, of any share, is cut",
                    "smbd redémarre : la seule session SMB ouverte, de quelque partage que ce soit, est coupée"
                ),
                Some(n) => said!(
                    "smbd restarts: all {n} open SMB sessions, of every share, are cut",
                    "smbd redémarre : les {n} sessions SMB ouvertes, de tous les partages, sont coupées"
                ),
                None => said!(
                    "smbd restarts: every open SMB session, of every share, is cut",
                    "smbd redémarre : toute session SMB ouverte, de tous les partages, est coupée"
                ),
            }),
            "proftpd" => {
                effects.push(said!(
                    "proftpd restarts: every open FTP session is cut",
                    "proftpd redémarre : toute session FTP ouverte est coupée"
                ));
            }
            "rsyncd" => effects.push(said!(
                "the rsync daemon restarts: transfers through it are cut, those over SSH go on",
                "le démon rsync redémarre : ses transferts sont coupés, ceux par SSH continuent"
            )),
            "nfs" => effects.push(said!(
                "NFS reads its exports again; machines that have mounted one go on",
                "NFS relit ses exports ; les machines qui en ont monté un continuent"
            )),
            "quota" => effects.push(said!(
                "quotas are switched off and on again on every disk, which takes a while",
                "les quotas sont désactivés puis réactivés sur chaque disque, ce qui prend un moment"
            )),
            "octonas" => effects.push(said!(
                "sshd reads its configuration again; open SFTP and rsync sessions go on",
                "sshd relit sa configuration ; les sessions SFTP et rsync ouvertes continuent"
            )),
            _ => {}
        }
        if foreign.contains(module) {
            effects.push(said!(
                "somebody else's pending change of the module '{module}' is applied with it",
                "le changement en attente du module « {module} », fait par quelqu'un d'autre, est appliqué avec"
            ));
        }
    }
    Interruption { modules, effects }
}

/// The modules that wait, as OpenMediaVault keeps them. The file is rewritten in place: one that is read half is read again.
pub(super) fn pending(dirty_modules: &Path) -> Result<BTreeSet<String>> {
    for _ in 0..20 {
        match std::fs::read(dirty_modules) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => {
                if let Ok(names) = serde_json::from_slice::<Vec<String>>(&text) {
                    return Ok(names.into_iter().collect());
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(e) => {
                return Err(Error::new(
                    "nas.pending",
                    format!("cannot read {}", dirty_modules.display()),
                )
                .hint("OpenMediaVault is driven as root: run this with sudo")
                .source(e));
            }
        }
        sleep(Duration::from_millis(50));
    }
    // It stays empty when nothing was ever applied.
    Ok(BTreeSet::new())
}

#[derive(Deserialize)]
struct Running {
    running: bool,
}

/// Applies these modules, and waits until it is done.
pub(super) fn apply(
    engined: &Engined,
    modules: &BTreeSet<String>,
    progress: &dyn Progress,
) -> Result<()> {
    if modules.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = modules.iter().map(String::as_str).collect();
    let names = names.join(", ");
    progress.note(&said!(
        "OpenMediaVault applies: {names}",
        "OpenMediaVault applique : {names}"
    ));
    let task: String = engined.change(
        "Config",
        "applyChangesBg",
        json!({"modules": modules, "force": false}),
    )?;
    let started = Instant::now();
    let mut tell = Duration::from_secs(5);
    let mut look = Duration::from_millis(20);
    loop {
        // The call that sees the end also removes the task: it is asked as a change, which is never repeated.
        let state: Running = engined
            .change("Exec", "isRunning", json!({"filename": task}))
            .map_err(|e| failed(&names, e))?;
        let passed = started.elapsed();
        if !state.running {
            progress.note(&said!(
                "applied {names} in {} s",
                "{names} : appliqué en {} s",
                passed.as_secs()
            ));
            return Ok(());
        }
        if passed > DEPLOY {
            return Err(Error::new(
                "nas.timeout",
                format!(
                    "OpenMediaVault still applies {names} after {} s",
                    passed.as_secs()
                ),
            )
            .hint("look at Diagnostics | System Logs there, then run the same command again"));
        }
        if passed >= tell {
            tell = passed + Duration::from_secs(5);
            progress.note(&format!("… {names}: {} s", passed.as_secs()));
        }
        sleep(look);
        look = LOOK.min(look * 2);
    }
}

fn failed(names: &str, e: Error) -> Error {
    if e.code() != "nas.refused" {
        return e;
    }
    let words = e.hint_text().unwrap_or_default().to_owned();
    Error::new(
        "nas.apply-failed",
        format!("OpenMediaVault could not apply {names}"),
    )
    .hint(format!(
        "{words}; the modules stay marked: mend the cause, then run the same command again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_alone_restart_nothing() {
        assert!(modules(&BTreeSet::from([Kind::Group, Kind::Directory])).is_empty());
        assert!(modules(&BTreeSet::from([Kind::SmbShare])).contains("samba"));
        assert!(!modules(&BTreeSet::from([Kind::Entry])).contains("samba"));
    }

    #[test]
    fn whom_a_restart_cuts_and_whose_edit_goes_along_is_said() {
        let told = interruption(
            ["octonas".to_owned(), "samba".to_owned()],
            Some(3),
            &BTreeSet::from(["samba".to_owned()]),
        );
        assert_eq!(told.modules, ["octonas", "samba"]);
        let text: String = told.effects.iter().map(|each| each.en.as_str()).collect();
        assert!(text.contains("all 3 open SMB sessions"), "{text}");
        assert!(
            text.contains("somebody else's pending change of the module 'samba'"),
            "{text}"
        );
    }

    #[test]
    fn the_pending_file_may_be_missing_empty_or_full() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("dirtymodules.json");
        assert!(pending(&file).unwrap().is_empty());
        for (text, expected) in [("", 0), ("[]", 0), (r#"["samba","avahi"]"#, 2)] {
            #[allow(clippy::disallowed_methods, reason = "a test's own file")]
            std::fs::write(&file, text).unwrap();
            assert_eq!(pending(&file).unwrap().len(), expected, "{text}");
        }
    }
}
