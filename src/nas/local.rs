//! The embedded NAS: a directory of an ordinary user. Accounts, groups and shares are lines of its file, entered as they
//! appear; modes and ACLs are set as far as one user can. Rights are declared and shown, not enforced.
//!
//! State: `<base>/.octonas/nas.jsonl`, one change per line, fsynced; the last line about an object counts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Account, Base, Identity, Interruption, Nas, Observation, Session};
use crate::error::{Error, Result};
use crate::experiment::{AccountName, Unit};
use crate::object::{Attributes, Found, Kind, ObjectId, Reference};
use crate::report::Progress;
use crate::sys::dir::{Dir, Permissions};
use crate::sys::lock::lock;

/// The directory of a base that holds the NAS's own files; nobody but its owner enters it.
pub const HOUSE: &str = ".octonas";
const FILE: &str = "nas.jsonl";
const SIZE_LIMIT: u64 = 256 << 20;
/// How long the first to open it waits for another first.
const PATIENCE: Duration = Duration::from_secs(10);

const KINDS: [Kind; 10] = [
    Kind::Group,
    Kind::Directory,
    Kind::Entry,
    Kind::Source,
    Kind::SharedFolder,
    Kind::Privileges,
    Kind::SmbShare,
    Kind::FtpShare,
    Kind::NfsShare,
    Kind::RsyncModule,
];

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Nas {
        id: String,
    },
    Account {
        name: String,
    },
    Put {
        object: ObjectId,
        found: Found,
    },
    Delete {
        object: ObjectId,
    },
    CommonShare {
        name: Option<String>,
    },
    /// Setting → text, all of them.
    Unit {
        says: BTreeMap<String, String>,
    },
}

#[derive(Debug, Default, Clone)]
struct State {
    id: Option<String>,
    accounts: BTreeSet<String>,
    objects: BTreeMap<ObjectId, Found>,
    common_share: Option<String>,
    /// Setting → text.
    unit: BTreeMap<String, String>,
    lines: usize,
    /// Bytes that hold whole lines; what follows was cut off by a crash.
    sound: u64,
    /// Bytes that the file had.
    seen: u64,
}

/// Why a base that was there a moment ago cannot be used.
const GONE: &str = "another directory is there now than when this command began";

/// A directory that is a NAS for one user.
pub struct Local {
    identity: Identity,
    base: PathBuf,
    house: Dir,
    /// What was read last; it holds while the file keeps its length (lines are only added, under the lock of the NAS).
    state: RefCell<Option<State>>,
    calls: RefCell<BTreeMap<String, u64>>,
}

impl Local {
    /// Opens the embedded NAS in `dir` (absolute), making it where it is not.
    pub fn open(dir: &Path) -> Result<Self> {
        let base = Dir::open_or_create_absolute(dir, 0o711)?;
        base.create_dir(HOUSE, 0o700)?;
        let house = base.child(HOUSE)?.ok_or_else(|| {
            Error::new(
                "nas.damaged",
                format!("{} is gone", dir.join(HOUSE).display()),
            )
        })?;
        let mut state = State::read(&house)?;
        if state.id.is_none() {
            // Two that are first at once must not make two of it.
            let _lock = lock(&house, "first", PATIENCE)?;
            state = State::read(&house)?;
            let id = state
                .id
                .clone()
                .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            if state.id.is_none() {
                append(&house, &state, &[Line::Nas { id: id.clone() }])?;
            }
            state.id = Some(id);
        }
        Ok(Self {
            identity: Identity {
                id: state.id.unwrap_or_default(),
                name: format!("embedded NAS in {}", dir.display()),
                enforces_rights: false,
            },
            base: dir.to_owned(),
            house,
            state: RefCell::default(),
            calls: RefCell::default(),
        })
    }

    /// False where the disk was taken from under us: what is in its place is somebody else's directory.
    fn is_here(&self) -> Result<bool> {
        let Ok(base) = Dir::open_absolute(&self.base) else {
            return Ok(false);
        };
        let house = self.house.metadata()?;
        Ok(base
            .stat(HOUSE)?
            .is_some_and(|found| found.same_object(&house)))
    }

    /// The NAS's own directory.
    pub fn house(&self) -> Result<Dir> {
        self.house.try_clone()
    }

    fn count(&self, call: &str) {
        *self.calls.borrow_mut().entry(call.to_owned()).or_default() += 1;
    }

    /// Looks at the state as it is now.
    fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T> {
        let size = self.house.stat(FILE)?.map_or(0, |found| found.size);
        let mut known = self.state.borrow_mut();
        let state = match known.take() {
            Some(state) if state.seen == size => state,
            _ => State::read(&self.house)?,
        };
        Ok(look(known.insert(state)))
    }

    fn write(&self, lines: Vec<Line>) -> Result<()> {
        let crowded = |state: &State| {
            state.lines > 64 && state.lines > 4 * (state.objects.len() + state.accounts.len() + 1)
        };
        if self.with_state(crowded)? {
            let state = State::read(&self.house)?;
            self.compact(&state)?;
        }
        let bytes = encode(&lines)?;
        let (sound, seen) = self.with_state(|state| (state.sound, state.seen))?;
        let mut known = self.state.borrow_mut();
        // After a failure the end is what the disk says.
        let state = known.take();
        self.house.append_after(FILE, sound, seen, &bytes)?;
        if let Some(mut state) = state {
            state.lines += lines.len();
            state.sound += bytes.len() as u64;
            state.seen = state.sound;
            for line in lines {
                state.take(line);
            }
            *known = Some(state);
        }
        Ok(())
    }

    fn compact(&self, state: &State) -> Result<()> {
        let lines: Vec<Line> = state
            .id
            .iter()
            .map(|id| Line::Nas { id: id.clone() })
            .chain(
                state
                    .accounts
                    .iter()
                    .map(|name| Line::Account { name: name.clone() }),
            )
            .chain(state.objects.iter().map(|(object, found)| Line::Put {
                object: object.clone(),
                found: found.clone(),
            }))
            .chain(state.common_share.iter().map(|name| Line::CommonShare {
                name: Some(name.clone()),
            }))
            .chain((!state.unit.is_empty()).then(|| Line::Unit {
                says: state.unit.clone(),
            }))
            .collect();
        self.house
            .write(FILE, &encode(&lines)?, &Permissions::PRIVATE)
    }
}

impl State {
    fn read(house: &Dir) -> Result<Self> {
        let bytes = house.read(FILE, SIZE_LIMIT)?.unwrap_or_default();
        let mut state = Self {
            seen: bytes.len() as u64,
            ..Self::default()
        };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if piece.last() != Some(&b'\n') {
                break;
            }
            let line: Line = serde_json::from_slice(piece).map_err(|e| {
                Error::new("nas.damaged", format!("line {} of {FILE} of the embedded NAS cannot be read", state.lines + 1))
                    .hint("put the file back from a copy of the disk; experiments and data are not affected")
                    .source(e)
            })?;
            state.lines += 1;
            state.sound += piece.len() as u64;
            state.take(line);
        }
        Ok(state)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Nas { id } => self.id = Some(id),
            Line::Account { name } => {
                self.accounts.insert(name);
            }
            Line::Put { object, found } => {
                self.objects.insert(object, found);
            }
            Line::Delete { object } => {
                self.objects.remove(&object);
            }
            Line::CommonShare { name } => self.common_share = name,
            Line::Unit { says } => self.unit = says,
        }
    }
}

fn encode(lines: &[Line]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line).map_err(|e| {
            Error::new("nas.damaged", "cannot encode a line of the embedded NAS").source(e)
        })?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Appends after the last whole line: what a crash left of a line goes.
fn append(house: &Dir, state: &State, lines: &[Line]) -> Result<()> {
    house.append_after(FILE, state.sound, state.seen, &encode(lines)?)
}

impl Nas for Local {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn kinds(&self) -> &[Kind] {
        &KINDS
    }

    fn bases(&self) -> Result<Vec<Base>> {
        let available = self.is_here()?;
        Ok(vec![Base {
            path: self.base.clone(),
            available,
            reason: (!available).then(|| GONE.to_owned()),
            common_share: self.with_state(|state| state.common_share.clone())?,
        }])
    }

    fn may_hold(&self, path: &Path) -> Result<()> {
        if path == self.base {
            return if self.is_here()? {
                Ok(())
            } else {
                Err(Error::new(
                    "base.unavailable",
                    format!("{} cannot be used: {GONE}", path.display()),
                )
                .hint("mount its disk, then try again; nothing was changed"))
            };
        }
        Err(Error::new(
            "base.fixed",
            format!(
                "{} cannot be a base: the embedded NAS has one base, {}",
                path.display(),
                self.base.display()
            ),
        )
        .hint("name another directory with --nas local:DIR"))
    }

    fn add_base(&self, path: &Path) -> Result<()> {
        self.may_hold(path)
    }

    fn set_common_share(&self, _base: &Path, share: Option<&str>) -> Result<()> {
        if self.with_state(|state| state.common_share.as_deref() == share)? {
            return Ok(());
        }
        self.write(vec![Line::CommonShare {
            name: share.map(str::to_owned),
        }])
    }

    fn unit(&self) -> Result<(Unit, Vec<Error>)> {
        let says = self.with_state(|state| state.unit.clone())?;
        Ok(Unit::read(
            says.iter()
                .map(|(setting, text)| (setting.as_str(), text.clone())),
        ))
    }

    fn set_unit(&self, unit: &Unit) -> Result<()> {
        self.count("set unit");
        let texts = unit.texts().into_iter();
        self.write(vec![Line::Unit {
            says: texts
                .map(|(setting, text)| (setting.to_owned(), text))
                .collect(),
        }])
    }

    fn observe(&self) -> Result<Observation> {
        self.count("observe");
        let state = self.with_state(State::clone)?;
        let mut accounts: BTreeMap<String, Account> = state
            .accounts
            .iter()
            .map(|name| {
                let account = Account {
                    uid: None,
                    system: false,
                    groups: BTreeSet::new(),
                };
                (name.clone(), account)
            })
            .collect();
        for (object, found) in state
            .objects
            .iter()
            .filter(|(object, _)| object.kind == Kind::Group)
        {
            for member in found
                .attributes
                .keys()
                .filter_map(|name| name.strip_prefix("member:"))
            {
                if let Some(account) = accounts.get_mut(member) {
                    account.groups.insert(object.key.clone());
                }
            }
        }
        Ok(Observation {
            accounts,
            group_ids: BTreeMap::new(),
            objects: state.objects,
            pending: BTreeSet::new(),
            lacking: BTreeMap::new(),
        })
    }

    fn group_ids(&self) -> Result<BTreeMap<String, u32>> {
        Ok(BTreeMap::new())
    }

    fn put(
        &self,
        object: &ObjectId,
        attributes: &Attributes,
        found: Option<&Found>,
    ) -> Result<Reference> {
        self.count(&format!("put {}", object.kind));
        let (mut lines, known) = self.with_state(|state| {
            let lines: Vec<Line> = attributes
                .keys()
                .filter_map(|name| name.strip_prefix("member:"))
                .filter(|account| !state.accounts.contains(*account))
                .map(|account| Line::Account {
                    name: account.to_owned(),
                })
                .collect();
            let known = found.or_else(|| state.objects.get(object));
            (lines, known.and_then(|known| known.reference.clone()))
        })?;
        let reference = match (known, object.kind) {
            (None, kind) if kind.is_door() || matches!(kind, Kind::SharedFolder | Kind::Entry) => {
                Some(uuid::Uuid::new_v4().to_string())
            }
            (reference, _) => reference,
        };
        lines.push(Line::Put {
            object: object.clone(),
            found: Found {
                reference: reference.clone(),
                attributes: attributes.clone(),
            },
        });
        self.write(lines)?;
        Ok(reference)
    }

    fn delete(&self, object: &ObjectId, _found: &Found) -> Result<()> {
        self.count(&format!("delete {}", object.kind));
        self.write(vec![Line::Delete {
            object: object.clone(),
        }])
    }

    fn interruption(&self, _kinds: &BTreeSet<Kind>) -> Interruption {
        Interruption::default()
    }

    fn activate(&self, _kinds: &BTreeSet<Kind>, _progress: &dyn Progress) -> Result<()> {
        Ok(())
    }

    fn create_account(
        &self,
        account: &AccountName,
        _comment: &str,
        _email: Option<&str>,
    ) -> Result<Option<Zeroizing<String>>> {
        self.write(vec![Line::Account {
            name: account.to_string(),
        }])?;
        Ok(None)
    }

    fn sessions(&self, _accounts: &BTreeSet<String>, _experiment: &Path) -> Result<Vec<Session>> {
        Ok(Vec::new())
    }

    fn end_sessions(&self, _sessions: &[Session]) -> Result<Vec<Session>> {
        Ok(Vec::new())
    }

    fn freeze(&self, _experiment: &Path, _read_only: bool) -> Result<Vec<Session>> {
        Ok(Vec::new())
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        self.calls.borrow().clone()
    }
}
