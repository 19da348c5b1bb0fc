//! What members keep in the leaves. POSIX default ACLs give new files the right rights, but any chmod by their owner narrows
//! the mask for everybody else, and some programs drop the ACL. The sweep finds such files and sets them right, on
//! descriptors, never through a link.

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
use crate::report::{Said, said};
use crate::sys::acl::{Acl, Perms, Which};
use crate::sys::dir::{Dir, FileKind, Node};
use crate::sys::process;
use crate::sys::walk::{self, Walk};

/// More findings than these say nothing new.
const FINDINGS_LIMIT: usize = 10_000;

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

/// The groups of an experiment, by number.
#[derive(Clone, Copy)]
struct Wall {
    writers: u32,
    readers: u32,
    /// Where members only read.
    frame: bool,
}

impl Wall {
    /// `None` where a group is not there, or is somebody else's: nothing is given to that one.
    fn of(opened: &Opened, look: &Look, observation: &Observation) -> Option<Self> {
        if look.plan.has_foreign_group() {
            return None;
        }
        let code = &opened.definition.code;
        Some(Self {
            writers: *observation.group_ids.get(&code.writers_group())?,
            readers: *observation.group_ids.get(&code.readers_group())?,
            frame: false,
        })
    }

    /// The wall around what lies in the frame itself.
    fn in_frame(self) -> Self {
        Self {
            frame: true,
            ..self
        }
    }

    fn acl(self, user_obj: Perms, mask: Perms) -> Acl {
        let writers = if self.frame { Perms::READ } else { Perms::ALL };
        Acl {
            user_obj,
            users: std::collections::BTreeMap::new(),
            group_obj: Perms::NONE,
            groups: [(self.writers, writers), (self.readers, Perms::READ)].into(),
            mask: Some(mask),
            other: Perms::NONE,
        }
    }

    /// What a file or directory should have, given what its owner may do with it: executable for all or for none.
    fn right_for(self, kind: FileKind, owner: Perms) -> Acl {
        if kind == FileKind::Directory {
            return self.acl(Perms::ALL, Perms::ALL);
        }
        let bits = owner.or(Perms::from_bits(6));
        let mask = if self.frame {
            bits.and(Perms::READ)
        } else {
            bits
        };
        self.acl(bits, mask)
    }

    /// What a sealed file should have: members read it, nobody writes.
    fn sealed(self) -> Acl {
        self.in_frame()
            .acl(Perms::from_bits(4), Perms::from_bits(4))
    }

    fn is_right(self, node: &Node, kind: FileKind) -> Result<bool> {
        let Some(access) = node.acl(Which::Access)? else {
            return Ok(false);
        };
        let right = self.right_for(kind, access.user_obj);
        let mask = access.mask.unwrap_or(Perms::NONE);
        let same = access.groups == right.groups
            && access.users.is_empty()
            && access.group_obj == Perms::NONE
            && access.other == Perms::NONE
            && access.user_obj.covers(right.user_obj)
            && mask.covers(right.mask.unwrap_or(Perms::NONE));
        if !same || kind != FileKind::Directory {
            return Ok(same);
        }
        Ok(node.acl(Which::Default)?.is_some_and(|acl| acl == right))
    }

    fn set_right(self, node: &Node, kind: FileKind) -> Result<()> {
        let owner = Perms::from_bits(node.metadata()?.mode >> 6);
        let right = self.right_for(kind, owner);
        if kind == FileKind::Directory {
            node.set_acl(Which::Default, Some(&right))?;
        }
        node.set_acl(Which::Access, Some(&right))
    }
}

/// Looks through everything below the leaves. Changes nothing.
pub fn find(
    site: &Site,
    opened: &Opened,
    look: &Look,
    observation: &Observation,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let wall = site
        .nas
        .identity()
        .enforces_rights
        .then(|| Wall::of(opened, look, observation))
        .flatten();
    strangers_in_frame(opened, look, wall, &mut findings)?;
    for directory in look
        .directories
        .iter()
        .filter(|directory| directory.kind != DirectoryKind::Frame)
    {
        let leaf = directory.path.as_str();
        let Some(dir) = opened.dir.open(leaf)? else {
            continue;
        };
        for found in Walk::new(&dir)? {
            if findings.len() >= FINDINGS_LIMIT {
                return Ok(findings);
            }
            match found.and_then(|found| examine(&found, wall, directory.kind)) {
                Ok(None) => {}
                Ok(Some((path, code, text))) => findings.push(Finding {
                    code,
                    path: format!("{leaf}/{path}"),
                    text,
                }),
                Err(error) => findings.push(Finding {
                    code: "tree.unreadable",
                    path: leaf.to_owned(),
                    text: said!("{0}", "{0}", error),
                }),
            }
        }
    }
    Ok(findings)
}

type Verdict = Option<(String, &'static str, Said)>;

fn examine(found: &walk::Found, wall: Option<Wall>, leaf: DirectoryKind) -> Result<Verdict> {
    process::check_interrupted()?;
    let path = found.path.display().to_string();
    let kind = found.metadata.kind;
    if kind == FileKind::Directory && leaf == DirectoryKind::Leaf && !path.contains('/') {
        return Ok(Some((
            path,
            "leaf.directory",
            said!(
                "the layout has no directories here",
                "la structure n'a pas de répertoires ici"
            ),
        )));
    }
    if !matches!(kind, FileKind::Directory | FileKind::File) {
        return Ok(None);
    }
    let Some(wall) = wall else { return Ok(None) };
    let Some(node) = found.node()? else {
        return Ok(None);
    };
    let right = if has_seal(found) {
        node.acl(Which::Access)?.as_ref() == Some(&wall.sealed())
    } else {
        wall.is_right(&node, kind)?
    };
    if right {
        return Ok(None);
    }
    if is_linked(found) {
        return Ok(Some((
            path,
            "rights.linked",
            said!(
                "its rights were changed, and it has other names: it is left alone",
                "ses droits ont été changés, et il a d'autres noms : il est laissé tel quel"
            ),
        )));
    }
    Ok(Some((
        path,
        "rights.narrowed",
        said!(
            "its rights differ from the experiment's: some members may not use it",
            "ses droits diffèrent de ceux de l'expérience : des membres ne peuvent peut-être pas s'en servir"
        ),
    )))
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

/// The frame holds the layout and nothing else, but for what was left of an earlier one, and files that an import found.
fn strangers_in_frame(
    opened: &Opened,
    look: &Look,
    wall: Option<Wall>,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let imported = opened.definition.imported.is_some();
    for (frame, dir) in frames(opened, look)? {
        for entry in dir.iterate()? {
            let entry = entry?;
            if findings.len() >= FINDINGS_LIMIT {
                return Ok(());
            }
            let name = entry.name.to_string_lossy();
            let path = if frame.is_empty() {
                name.into_owned()
            } else {
                format!("{frame}/{name}")
            };
            let (code, text) = if entry.kind == FileKind::Directory || !imported {
                let asked_for = ObjectId::new(Kind::Directory, &path);
                if look.desired.contains_key(&asked_for)
                    || opened.applied.objects.contains_key(&left(&path))
                {
                    continue;
                }
                let text = said!(
                    "the layout knows nothing of it, and no member can have made it",
                    "la structure n'en sait rien, et aucun membre ne peut l'avoir fait"
                );
                ("frame.unexpected", text)
            } else {
                let (FileKind::File, Some(wall)) = (entry.kind, wall) else {
                    continue;
                };
                match dir.node_at(&entry.name)? {
                    Some(node) if !wall.in_frame().is_right(&node, FileKind::File)? => {}
                    _ => continue,
                }
                let text = said!(
                    "its rights differ from the experiment's: members may only read it",
                    "ses droits diffèrent de ceux de l'expérience : les membres doivent seulement le lire"
                );
                ("rights.narrowed", text)
            };
            findings.push(Finding { code, path, text });
        }
    }
    Ok(())
}

/// Sets everything below the leaves right. Interrupted, it is begun again and finds less to do.
pub fn mend(site: &Site, opened: &Opened, look: &Look, observation: &Observation) -> Result<Swept> {
    let mut swept = Swept::default();
    if !site.nas.identity().enforces_rights {
        return Ok(swept);
    }
    let Some(wall) = Wall::of(opened, look, observation) else {
        return Ok(swept);
    };
    let owners = Owners::asked(site, opened, observation);
    for directory in look
        .directories
        .iter()
        .filter(|directory| directory.kind != DirectoryKind::Frame)
    {
        if let Some(dir) = opened.dir.open(directory.path.as_str())? {
            mend_below(site, &dir, wall, &owners, &mut swept)?;
        }
    }
    if opened.definition.imported.is_some() {
        for (_, dir) in frames(opened, look)? {
            mend_frame(site, &dir, wall.in_frame(), &mut swept)?;
        }
    }
    Ok(swept)
}

fn mend_below(
    site: &Site,
    dir: &Dir,
    wall: Wall,
    owners: &Owners,
    swept: &mut Swept,
) -> Result<()> {
    for found in Walk::new(dir)? {
        process::check_interrupted()?;
        match found.and_then(|found| mend_one(&found, wall, owners)) {
            Ok(Mended::Repaired) => swept.repaired += 1,
            Ok(Mended::Right) => {}
            Ok(Mended::Linked(path)) => {
                swept.left += 1;
                site.progress.warn(&said!(
                    "{}/{path} has other names and is left alone",
                    "{}/{path} a d'autres noms et reste tel quel",
                    dir.path().display()
                ));
            }
            Err(error) => {
                swept.left += 1;
                site.progress.warn(&error.to_string());
            }
        }
    }
    dir.sync()
}

/// Files in the frame itself belong to root, and members read them.
fn mend_frame(site: &Site, dir: &Dir, wall: Wall, swept: &mut Swept) -> Result<()> {
    let mend = |name: &std::ffi::OsStr| -> Result<bool> {
        let Some(node) = dir.node_at(name)? else {
            return Ok(false);
        };
        let metadata = node.metadata()?;
        let strange = (metadata.uid, metadata.gid) != (0, wall.writers);
        if !strange && wall.is_right(&node, FileKind::File)? {
            return Ok(false);
        }
        if strange {
            node.set_owner(Some(0), Some(wall.writers))?;
        }
        wall.set_right(&node, FileKind::File)?;
        Ok(true)
    };
    for entry in dir.iterate()? {
        process::check_interrupted()?;
        let entry = entry?;
        if entry.kind != FileKind::File {
            continue;
        }
        match mend(&entry.name) {
            Ok(mended) => swept.repaired += u64::from(mended),
            Err(error) => {
                swept.left += 1;
                site.progress.warn(&error.to_string());
            }
        }
    }
    dir.sync()
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

/// What became of one file or directory.
enum Mended {
    /// It was right, or is nothing that has rights of its own.
    Right,
    /// It was set right.
    Repaired,
    /// It has other names, perhaps elsewhere.
    Linked(String),
}

fn mend_one(found: &walk::Found, wall: Wall, owners: &Owners) -> Result<Mended> {
    let kind = found.metadata.kind;
    if !matches!(kind, FileKind::Directory | FileKind::File) {
        return Ok(Mended::Right);
    }
    let Some(node) = found.node()? else {
        return Ok(Mended::Right);
    };
    if has_seal(found) {
        return mend_sealed(found, &node, wall, owners);
    }
    let owner = owners.instead_of(found.metadata.uid);
    let asked = matches!(owners, Owners::Only(_));
    let strange = asked && (owner.is_some() || found.metadata.gid != wall.writers);
    if !strange && wall.is_right(&node, kind)? {
        return Ok(Mended::Right);
    }
    if is_linked(found) {
        return Ok(Mended::Linked(found.path.display().to_string()));
    }
    if strange {
        node.set_owner(owner, Some(wall.writers))?;
    }
    wall.set_right(&node, kind)?;
    Ok(Mended::Repaired)
}

/// A sealed file stays sealed: only whose groups read it is set right.
fn mend_sealed(found: &walk::Found, node: &Node, wall: Wall, owners: &Owners) -> Result<Mended> {
    let strange = matches!(owners, Owners::Only(_)) && found.metadata.gid != wall.writers;
    if !strange && node.acl(Which::Access)?.as_ref() == Some(&wall.sealed()) {
        return Ok(Mended::Right);
    }
    if is_linked(found) {
        return Ok(Mended::Linked(found.path.display().to_string()));
    }
    let immutable = node.is_immutable();
    node.set_immutable(false)?;
    if strange {
        node.set_owner(None, Some(wall.writers))?;
    }
    node.set_acl(Which::Access, Some(&wall.sealed()))?;
    if immutable {
        node.set_immutable(true)?;
    }
    Ok(Mended::Repaired)
}
