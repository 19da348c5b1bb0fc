//! What members keep in the leaves. POSIX default ACLs give new files the right rights, but any chmod by their owner narrows
//! the mask for everybody else, and some programs drop the ACL. The sweep finds such files and sets them right, on
//! descriptors, never through a link.

mod find;
mod mend;
mod wall;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::apply::Look;
use super::desired::{self, Right};
use super::site::{Opened, Site};
use crate::error::{Error, Result};
use crate::experiment::{Date, Definition};
use crate::layout::DirectoryKind;
use crate::nas::Observation;
use crate::object::{Attributes, Kind, ObjectId};
use crate::report::Said;
use crate::sys::dir::{Dir, FileKind};
use crate::sys::walk;

pub use find::find;
pub use mend::mend;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `rights.narrowed`, `rights.linked`, `leaf.directory`, `frame.unexpected`, `tree.unreadable`.
    pub code: &'static str,
    /// Path below the experiment.
    pub path: String,
    /// What is wrong, for people.
    pub text: Said,
}

/// What a repairing sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Files and directories that were set right.
    pub repaired: u64,
    /// What could not be set right, or was left alone because it has other names.
    pub left: u64,
}

/// The intent that stands in the record while a sweep is due.
pub fn intent() -> ObjectId {
    ObjectId::new(Kind::Contents, "")
}

/// The attribute of the intent that asks for new owners too (after an adoption, numbers of another NAS mean nothing).
pub fn with_owners() -> Attributes {
    Attributes::from([("owners".to_owned(), "root".to_owned())])
}

/// The attribute that keeps the experiment shut until the sweep is done.
const SEALED: &str = "sealed";

/// The attributes of the intent after an import: files stay theirs whose owner may write, the others become root's; and
/// until that is so, nobody enters.
pub fn of_an_import() -> Attributes {
    Attributes::from([
        ("owners".to_owned(), "writers".to_owned()),
        (SEALED.to_owned(), "yes".to_owned()),
    ])
}

/// True while the sweep that stands in these intents keeps the experiment shut.
pub fn is_sealed(intents: &BTreeMap<ObjectId, Attributes>) -> bool {
    intents
        .get(&intent())
        .is_some_and(|attributes| attributes.contains_key(SEALED))
}

/// Whose files stay theirs.
enum Owners {
    /// Everybody's.
    Any,
    /// Those of these numbers; the others become root's.
    Only(BTreeSet<u32>),
}

impl Owners {
    /// As the intent in the record asks.
    fn asked(site: &Site, opened: &Opened, observation: &Observation) -> Self {
        let asked = opened.applied.intents.get(&intent());
        match asked.and_then(|attributes| attributes.get("owners")) {
            None => Self::Any,
            Some(owners) if owners == "writers" => {
                Self::Only(writers(&opened.definition, observation, site.today.get()))
            }
            Some(_) => Self::Only(BTreeSet::new()),
        }
    }

    /// The new owner of a file, where it gets one.
    fn instead_of(&self, uid: u32) -> Option<u32> {
        match self {
            Self::Only(kept) if uid != 0 && !kept.contains(&uid) => Some(0),
            _ => None,
        }
    }
}

/// The numbers of those who may write in an experiment.
pub fn writers(definition: &Definition, observation: &Observation, today: Date) -> BTreeSet<u32> {
    desired::members(definition, today)
        .into_iter()
        .filter(|(_, right)| *right == Right::Write)
        .filter_map(|(account, _)| observation.accounts.get(&account)?.uid)
        .collect()
}

/// A file as a seal leaves it (`catalogue::seal`): root's, and nobody may write. No member can give one to root.
fn has_seal(found: &walk::Found) -> bool {
    let metadata = &found.metadata;
    metadata.kind == FileKind::File && metadata.uid == 0 && metadata.mode & 0o222 == 0
}

/// A file with several names may be somebody else's elsewhere on the disk.
fn is_linked(found: &walk::Found) -> bool {
    found.metadata.kind == FileKind::File && found.metadata.links > 1
}

/// A directory that stayed, because it was not empty, when nothing asked for it any more.
pub fn left(path: &str) -> ObjectId {
    ObjectId::new(Kind::Contents, path)
}

/// The directories of the layout in which only root changes something, open, each with its path.
fn frames(opened: &Opened, look: &Look) -> Result<Vec<(String, Dir)>> {
    let keys = look
        .desired
        .keys()
        .filter(|id| id.kind == Kind::Directory)
        .filter(|id| id.key != "metadata" && id.key != "landing")
        // What lies there is somebody's delivery, and `octonas landing` speaks of it.
        .filter(|id| !id.key.starts_with("landing/"))
        .filter(|id| {
            !look
                .directories
                .iter()
                .any(|d| d.path.as_str() == id.key && d.kind != DirectoryKind::Frame)
        });
    let mut open = Vec::new();
    for frame in keys {
        let dir = if frame.key.is_empty() {
            Some(opened.dir.try_clone()?)
        } else {
            opened.dir.open(&frame.key)?
        };
        open.extend(dir.map(|dir| (frame.key.clone(), dir)));
    }
    Ok(open)
}

/// Forgets that a sweep is due. One that had to give new owners and could not give them all stays due: numbers of another
/// NAS may be other people's here, and whoever had rights before an import keeps them.
pub fn settle(opened: &mut Opened, swept: &Swept) -> Result<()> {
    let owners = opened
        .applied
        .intents
        .get(&intent())
        .is_some_and(|attributes| attributes.contains_key("owners"));
    if owners && swept.left > 0 {
        return Err(Error::new(
            "sweep.incomplete",
            format!(
                "{} file(s) of {} still have the owner and the rights that they had before",
                swept.left, opened.definition.code
            ),
        )
        .hint("mend what the warnings name (other names of a file, unreadable places), then run the same command again"));
    }
    opened.applied.forget(&intent())
}
