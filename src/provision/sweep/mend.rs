//! Sets rights and owners right, on descriptors, never through a link.

use super::super::apply::Look;
use super::super::site::{Opened, Site};
use super::wall::Wall;
use super::{Owners, Swept, frames, has_seal, is_linked};
use crate::error::Result;
use crate::layout::DirectoryKind;
use crate::nas::Observation;
use crate::report::said;
use crate::sys::acl::Which;
use crate::sys::dir::{Dir, FileKind, Node};
use crate::sys::process;
use crate::sys::walk::{self, Walk};

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
