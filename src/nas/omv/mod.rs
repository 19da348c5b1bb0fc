//! OpenMediaVault 8: accounts, groups, shared folders and SMB shares through the socket of omv-engined; mounts, jails
//! and sessions on the system itself. Our own objects live in its configuration (`conf.service.octonas`), from which
//! the plugin's Salt module renders mount units, jails and sshd's drop-in.

mod accounts;
mod activate;
mod bases;
mod engined;
mod freeze;
mod ftp;
pub mod jails;
mod mail;
mod model;
mod mounting;
mod mounts;
mod nfs;
mod observe;
mod people;
mod put;
mod rsyncd;
mod sessions;
mod settings;
mod smb;
mod snapshot;
mod sources;
mod sshd;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::experiment::{AccountName, Unit};
use crate::nas::{Base, Examined, Identity, Interruption, Mailing, Nas, Observation, Session};
use crate::object::{Attributes, Found, Kind, ObjectId, Reference};
use crate::report::{Hidden, Progress, Said, said};

use people::People;

pub use engined::{Engined, Limits};
pub use people::Source;
pub use settings::Settings;

/// The kinds of objects, in the order of creation.
const KINDS: &[Kind] = &[
    Kind::Group,
    Kind::Directory,
    Kind::Quota,
    Kind::Entry,
    Kind::Source,
    Kind::Mounts,
    Kind::SharedFolder,
    Kind::Privileges,
    Kind::SmbShare,
    Kind::FtpShare,
    Kind::NfsShare,
    Kind::RsyncModule,
];

/// An OpenMediaVault.
pub struct Omv {
    engined: Engined,
    settings: Settings,
    identity: Identity,
    dirt: Mutex<Dirt>,
    snapshot: snapshot::Snapshot,
    /// Experiments whose entry or mounts were put by us.
    touched: Mutex<BTreeSet<String>>,
    /// Passwords of doors that nobody was shown yet.
    fresh: Mutex<Vec<(String, Zeroizing<String>)>>,
}

/// Which modules wait, and who made them wait.
#[derive(Default)]
struct Dirt {
    /// What waited before our first change.
    before: Option<BTreeSet<String>>,
    /// What began to wait by a change of ours.
    ours: BTreeSet<String>,
}

impl Omv {
    /// Asks who the OpenMediaVault behind these settings is. One call.
    pub fn connect(settings: Settings) -> Result<Self> {
        let engined = Engined::new(&settings.socket, settings.limits);
        let configuration = put::configuration(&engined)?;
        let id = configuration.id.clone();
        if id.is_empty() {
            return Err(Error::new(
                "nas.no-identity",
                "OpenMediaVault knows no OctoNAS configuration (conf.service.octonas)",
            )
            .hint("install the package openmediavault-octonas, or run `omv-confdbadm create conf.service.octonas`"));
        }
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|h| h.into_string().ok())
            .unwrap_or_default();
        Ok(Self {
            engined,
            settings,
            identity: Identity {
                id,
                name: format!("OpenMediaVault on {host}"),
                enforces_rights: true,
            },
            dirt: Mutex::default(),
            snapshot: snapshot::Snapshot::of(configuration),
            touched: Mutex::default(),
            fresh: Mutex::default(),
        })
    }

    /// The client of engined.
    fn engined(&self) -> &Engined {
        &self.engined
    }

    /// Where everything is.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Accounts and groups, read now.
    fn people(&self) -> Result<People> {
        People::read(&self.settings.people)
    }

    /// The modules that wait.
    fn pending(&self) -> Result<BTreeSet<String>> {
        activate::pending(&self.settings.dirty_modules)
    }

    /// Does a change and remembers which modules began to wait by it.
    fn changing<T>(&self, change: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.pending()?;
        let outcome = change();
        let after = self.pending()?;
        if let Ok(mut dirt) = self.dirt.lock() {
            dirt.ours.extend(after.difference(&before).cloned());
            dirt.before.get_or_insert(before);
        }
        outcome
    }

    /// What to apply for these kinds: of the modules that wait, those that the kinds need and those that only our own
    /// changes made wait, except `samba` when no share is concerned.
    fn due(&self, kinds: &BTreeSet<Kind>) -> Result<BTreeSet<String>> {
        let needed = activate::modules(kinds);
        let ours = self.dirt.lock().map(|d| d.ours.clone()).unwrap_or_default();
        Ok(self
            .pending()?
            .into_iter()
            .filter(|module| {
                needed.contains(module.as_str()) || (ours.contains(module) && module != "samba")
            })
            .collect())
    }

    /// The modules that waited before we changed anything.
    fn foreign(&self) -> BTreeSet<String> {
        self.dirt
            .lock()
            .ok()
            .and_then(|dirt| dirt.before.clone())
            .or_else(|| self.pending().ok())
            .unwrap_or_default()
    }

    fn apply(&self, modules: &BTreeSet<String>, progress: &dyn Progress) -> Result<()> {
        activate::apply(&self.engined, modules, progress)?;
        self.snapshot.forget_own();
        if let Ok(mut dirt) = self.dirt.lock() {
            dirt.ours.retain(|module| !modules.contains(module));
            if let Some(before) = &mut dirt.before {
                before.retain(|module| !modules.contains(module));
            }
        }
        Ok(())
    }

    /// What a person should know about accounts; one sentence each.
    pub fn warnings(&self) -> Result<Vec<Said>> {
        accounts::warnings()
    }
}

impl Nas for Omv {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn kinds(&self) -> &[Kind] {
        KINDS
    }

    fn bases(&self) -> Result<Vec<Base>> {
        bases::bases(self)
    }

    fn may_hold(&self, path: &Path) -> Result<()> {
        bases::may_hold(&self.engined, path)
    }

    fn disks(&self) -> Result<Vec<PathBuf>> {
        bases::disks(self)
    }

    fn add_base(&self, path: &Path) -> Result<()> {
        self.changing(|| bases::add(self, path))
    }

    fn set_common_share(&self, base: &Path, share: Option<&str>) -> Result<()> {
        self.changing(|| bases::set_common_share(self, base, share))
    }

    fn unit(&self) -> Result<(Unit, Vec<Error>)> {
        Ok(unit::read(&self.unit_record()?))
    }

    fn unit_now(&self) -> Result<(Unit, Vec<Error>)> {
        self.snapshot.forget_unit();
        self.unit()
    }

    fn set_unit(&self, unit: &Unit) -> Result<()> {
        self.changing(|| unit::write(self, unit))
    }

    fn mailing(&self) -> Result<Mailing> {
        mail::mailing(self.engined())
    }

    fn mail(&self, to: &[String], message: &[u8]) -> Result<()> {
        mail::mail(to, message)
    }

    fn observe(&self) -> Result<Observation> {
        observe::observe(self)
    }

    fn group_ids(&self) -> Result<BTreeMap<String, u32>> {
        Ok(self.people()?.group_ids())
    }

    fn put(
        &self,
        object: &ObjectId,
        attributes: &Attributes,
        found: Option<&Found>,
    ) -> Result<Reference> {
        let key = object.key.as_str();
        if matches!(object.kind, Kind::Entry | Kind::Source | Kind::Mounts)
            && let Ok(mut touched) = self.touched.lock()
        {
            let code = key.split_once('/').map_or(key, |(code, _)| code);
            touched.insert(code.to_owned());
        }
        self.changing(|| match object.kind {
            Kind::Group => put::group(self, key, attributes, found),
            Kind::Entry => put::entry(self, key, attributes),
            Kind::Source => sources::put(self, key, attributes),
            Kind::SharedFolder => put::shared_folder(self, key, attributes),
            Kind::Privileges => put::privileges(self, key, attributes, found),
            Kind::SmbShare => smb::share(self, key, attributes),
            Kind::FtpShare => ftp::share(self, key, attributes),
            Kind::NfsShare => nfs::share(self, key, attributes),
            Kind::RsyncModule => rsyncd::module(self, key, attributes),
            _ => Ok(None),
        })
        .and_then(|reference| {
            if object.kind == Kind::Mounts {
                mounts::put(self, key)?;
            }
            Ok(reference)
        })
    }

    fn delete(&self, object: &ObjectId, found: &Found) -> Result<()> {
        let key = object.key.as_str();
        self.changing(|| match object.kind {
            Kind::Group => put::delete_group(self, key),
            Kind::Entry => put::delete_entry(self, key),
            Kind::Source => sources::delete(self, key),
            Kind::Mounts => mounts::delete(self, key),
            Kind::SharedFolder => put::delete_shared_folder(self, key, found),
            Kind::Privileges => put::delete_privileges(self, key, found),
            Kind::SmbShare => smb::delete_share(&self.engined, found),
            Kind::FtpShare => ftp::delete_share(self, found),
            Kind::NfsShare => nfs::delete_share(self, found),
            Kind::RsyncModule => rsyncd::delete_module(self, found),
            _ => Ok(()),
        })
    }

    fn interruption(&self, kinds: &BTreeSet<Kind>) -> Interruption {
        let mut modules: BTreeSet<String> = activate::modules(kinds)
            .into_iter()
            .map(str::to_owned)
            .collect();
        modules.extend(self.due(kinds).unwrap_or_default());
        let sessions = modules
            .contains("samba")
            .then(sessions::smb_count)
            .flatten();
        activate::interruption(modules, sessions, &self.foreign())
    }

    fn activate(&self, kinds: &BTreeSet<Kind>, progress: &dyn Progress) -> Result<()> {
        let modules = self.due(kinds)?;
        let foreign = self.foreign();
        let sessions = modules
            .contains("samba")
            .then(sessions::smb_count)
            .flatten();
        for effect in activate::interruption(modules.clone(), sessions, &foreign).effects {
            progress.note(&effect);
        }
        self.apply(&modules, progress)?;
        if kinds.contains(&Kind::Group) && self.pending()?.contains("samba") {
            progress.note(&said!(
                "OpenMediaVault shows a pending change of 'samba': memberships count already, and applying it would \
                 cut every SMB session, so it is left to you",
                "OpenMediaVault affiche un changement de « samba » à appliquer : les appartenances aux groupes comptent \
                 déjà, et l'appliquer couperait toutes les sessions SMB ; cela vous est laissé"
            ));
        }
        if [Kind::Entry, Kind::Source, Kind::Mounts]
            .iter()
            .any(|kind| kinds.contains(kind))
        {
            let touched = self.touched.lock().map(|t| t.clone()).unwrap_or_default();
            for (code, e) in mounts::reconcile(self, &touched)? {
                // Another experiment's mounts are not ours to mend now: what was done by hand there is only named.
                if touched.contains(&code) {
                    return Err(e);
                }
                progress.warn(&e.to_string());
            }
            sshd::verify(self, progress)?;
        }
        Ok(())
    }

    fn create_account(
        &self,
        account: &AccountName,
        comment: &str,
        email: Option<&str>,
    ) -> Result<Option<Zeroizing<String>>> {
        self.changing(|| accounts::create(self, account.as_str(), comment, email))
            .map(Some)
    }

    fn fresh_passwords(&self) -> Vec<(String, Zeroizing<String>)> {
        self.fresh
            .lock()
            .map(|mut fresh| std::mem::take(&mut *fresh))
            .unwrap_or_default()
    }

    fn sessions(&self, accounts: &BTreeSet<String>, experiment: &Path) -> Result<Vec<Session>> {
        sessions::sessions(self, accounts, experiment)
    }

    fn end_sessions(&self, sessions: &[Session]) -> Result<Vec<Session>> {
        sessions::end(sessions)
    }

    fn freeze(&self, experiment: &Path, read_only: bool) -> Result<Vec<Session>> {
        freeze::freeze(self, experiment, read_only)
    }

    fn examine(&self) -> Vec<Examined> {
        let wrong = |e: Error| Said::same(e.to_string());
        let waiting = self
            .pending()
            .map(|modules| {
                let names = modules.into_iter().collect::<Vec<_>>().join(", ");
                if names.is_empty() {
                    said!(
                        "nothing waits to be applied",
                        "rien n'attend d'être appliqué"
                    )
                } else {
                    said!(
                        "these wait to be applied: {names}",
                        "attendent d'être appliqués : {names}"
                    )
                }
            })
            .map_err(wrong);
        let passwords = self.warnings().map_err(wrong).and_then(|warnings| {
            let mut warnings = warnings.into_iter();
            match warnings.next() {
                None => Ok(said!(
                    "every account needs a password",
                    "chaque compte a besoin d'un mot de passe"
                )),
                Some(first) => {
                    Err(warnings.fold(first, |all, more| all.and(&Said::same("; ")).and(&more)))
                }
            }
        });
        let mounts = mounts::verify(self)
            .map(|count| {
                said!(
                    "{count} experiment(s) are mounted as they should be",
                    "{count} expérience(s) montée(s) comme il faut"
                )
            })
            .map_err(wrong);
        let sshd = sshd::verify(self, &Hidden)
            .map(|()| {
                said!(
                    "everybody with a jail is confined to it",
                    "chaque personne est confinée à ses expériences"
                )
            })
            .map_err(wrong);
        vec![
            (
                said!(
                    "OpenMediaVault's configuration",
                    "configuration d'OpenMediaVault"
                ),
                waiting,
            ),
            (said!("SMB passwords", "mots de passe SMB"), passwords),
            (
                said!("mounts and jails", "montages et confinements"),
                mounts,
            ),
            (Said::same("sshd"), sshd),
        ]
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        self.engined.counters()
    }
}

impl Omv {
    /// Applies the module `octonas` now if it waits: mounts follow from entries only through it.
    fn render(&self) -> Result<()> {
        let octonas = BTreeSet::from(["octonas".to_owned()]);
        if self.pending()?.contains("octonas") {
            self.apply(&octonas, &Hidden)?;
        }
        Ok(())
    }
}
