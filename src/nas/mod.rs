//! What holds accounts, shares and rights: OpenMediaVault (`omv`), or the embedded NAS (`local`).
//!
//! `provision` is the only caller that changes anything; `cli` and `rpc` read. A NAS knows no experiment: it
//! stores and observes objects (`crate::object`).

pub mod local;
pub mod omv;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::experiment::{AccountName, Unit};
use crate::report::{Progress, Said};

pub use crate::object::{Attributes, Found, Kind, ObjectId, Objects, Reference};

/// Who a NAS is, and what it can be trusted with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Stable for the life of the installation; written into the claim of a base.
    pub id: String,
    /// For people: `OpenMediaVault on nas1`, `embedded NAS in /home/me/octonas`.
    pub name: String,
    /// False where rights are declared and shown, but not enforced.
    pub enforces_rights: bool,
}

/// An account of a person, as it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Numeric id, where the NAS has one.
    pub uid: Option<u32>,
    /// System accounts are never members.
    pub system: bool,
    /// All groups, the primary one included.
    pub groups: BTreeSet<String>,
}

/// One bulk snapshot of a NAS: a handful of calls for all experiments.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Accounts by name.
    pub accounts: BTreeMap<String, Account>,
    /// Numeric ids of groups by name (all groups, also those that are not ours), where the NAS has them.
    pub group_ids: BTreeMap<String, u32>,
    /// Every object but directories (`provision` observes those through `sys::dir`), ours or not.
    pub objects: BTreeMap<ObjectId, Found>,
    /// Parts of the NAS configuration that wait to be applied, whoever changed them.
    pub pending: BTreeSet<String>,
    /// Doors that this NAS does not have now, and what to do about it.
    pub lacking: BTreeMap<Kind, String>,
}

/// A folder that holds experiments, as the NAS's configuration knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Absolute path.
    pub path: PathBuf,
    /// True when the file system that it was added on is there now, and writable.
    pub available: bool,
    /// Why it is not available, for people.
    pub reason: Option<String>,
    /// The share in which all its experiments lie; `None` where each one has its own.
    pub common_share: Option<String>,
}

/// An open way in, held by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Whose.
    pub account: String,
    /// `smb`, `sftp`, `rsync`, `shell` …
    pub door: String,
    /// The process that serves it.
    pub pid: i32,
}

/// What making pending configuration effective would do, said before it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Interruption {
    /// Parts of the configuration that would be applied.
    pub modules: Vec<String>,
    /// What restarts, and whom that cuts; one sentence each.
    pub effects: Vec<Said>,
}

/// Whether a NAS mails notices, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailing {
    /// It has no mail: notices are shown by whoever asks for them.
    None,
    /// Its mail is switched off.
    Off,
    /// It mails those whose switch is among these.
    On(BTreeSet<String>),
}

impl Mailing {
    /// Why a notice is not mailed; `None` where it is.
    pub fn refusal(&self, switch: &str) -> Option<String> {
        match self {
            Self::None => Some("this NAS sends no mail".into()),
            Self::Off => Some("the mail of this NAS is switched off".into()),
            Self::On(switches) if switches.contains(switch) => None,
            Self::On(_) => Some(format!("the notification {switch} is switched off")),
        }
    }
}

/// What was looked at, and how it is, or what is wrong with it.
pub type Examined = (Said, std::result::Result<Said, Said>);

/// What holds accounts, shares and rights.
///
/// Every method is idempotent: asked again after a crash, it ends in the same state. Errors carry a code of the form
/// `nas.…`. An implementation keeps count of what it asked (`counters`), because the number of calls is part of what
/// the project promises.
pub trait Nas {
    /// Who this is.
    fn identity(&self) -> &Identity;

    /// The kinds of objects that this NAS has, in the order of creation. `Directory` is always among them.
    fn kinds(&self) -> &[Kind];

    /// The folders that may hold experiments.
    fn bases(&self) -> Result<Vec<Base>>;

    /// Fails where a folder cannot be a base whatever its file system can do: it lies on no disk that the NAS has mounted,
    /// or within a shared folder. Asked before anything in it is touched.
    fn may_hold(&self, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// The disks on which experiments of another NAS may lie.
    fn disks(&self) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    /// Registers a folder that was tried and claimed.
    fn add_base(&self, path: &Path) -> Result<()>;

    /// Remembers how the experiments of a base are shared: all of them in the share of this name, or each one in its own.
    /// The share itself is made and taken away by `put` and `delete`.
    fn set_common_share(&self, base: &Path, share: Option<&str>) -> Result<()>;

    /// What the unit says for all experiments, and what is kept of it and cannot be read.
    fn unit(&self) -> Result<(Unit, Vec<Error>)>;

    /// The same, read now: somebody may have changed it since the first look.
    fn unit_now(&self) -> Result<(Unit, Vec<Error>)> {
        self.unit()
    }

    /// Keeps what the unit says. Nothing is made effective by it: no mount, no service.
    fn set_unit(&self, unit: &Unit) -> Result<()>;

    /// One bulk snapshot.
    fn observe(&self) -> Result<Observation>;

    /// Numeric ids of groups, as they are now (see [`Observation::group_ids`]).
    fn group_ids(&self) -> Result<BTreeMap<String, u32>>;

    /// Makes an object be as `attributes` say, creating it where it is not. Gives its reference.
    /// Lists inside an object (members, privileges) are read again immediately before they are replaced.
    fn put(
        &self,
        object: &ObjectId,
        attributes: &Attributes,
        found: Option<&Found>,
    ) -> Result<Reference>;

    /// Takes an object away; one that is gone already is success. Never deletes files.
    fn delete(&self, object: &ObjectId, found: &Found) -> Result<()>;

    /// What `activate` of these kinds would interrupt.
    fn interruption(&self, kinds: &BTreeSet<Kind>) -> Interruption;

    /// Makes what was put effective for these kinds (mounts, jails, services), and checks that it is.
    fn activate(&self, kinds: &BTreeSet<Kind>, progress: &dyn Progress) -> Result<()>;

    /// Creates an account with a long random password, which is given once and kept nowhere. `None` where the NAS's
    /// accounts have no passwords.
    fn create_account(
        &self,
        account: &AccountName,
        comment: &str,
        email: Option<&str>,
    ) -> Result<Option<Zeroizing<String>>>;

    /// Passwords of doors that were made since this was asked last: for whom → password. They are kept in the clear by the
    /// NAS, and shown by us once.
    fn fresh_passwords(&self) -> Vec<(String, Zeroizing<String>)> {
        Vec::new()
    }

    /// The sessions of these accounts that can reach `experiment` (absolute path).
    fn sessions(&self, accounts: &BTreeSet<String>, experiment: &Path) -> Result<Vec<Session>>;

    /// Ends sessions; gives those that are still there afterwards.
    fn end_sessions(&self, sessions: &[Session]) -> Result<Vec<Session>>;

    /// Makes everything beneath `experiment` (absolute path) read-only at once for everybody, or what was before
    /// (`read_only` false: what the entries say; readers stay readers). Gives what still writes, empty when it is true.
    fn freeze(&self, experiment: &Path, read_only: bool) -> Result<Vec<Session>>;

    /// Whether it mails notices, and which.
    fn mailing(&self) -> Result<Mailing> {
        Ok(Mailing::None)
    }

    /// Hands a whole message over to the NAS's own mail. `to` are accounts (`root` is whoever the NAS writes to) or addresses.
    fn mail(&self, _to: &[String], _message: &[u8]) -> Result<()> {
        Ok(())
    }

    /// What else can be looked at without changing anything, for `octonas doctor`.
    fn examine(&self) -> Vec<Examined> {
        Vec::new()
    }

    /// What was asked of the NAS so far: name of the call → times.
    fn counters(&self) -> BTreeMap<String, u64>;
}
