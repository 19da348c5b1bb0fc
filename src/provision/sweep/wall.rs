//! The rights that files and directories of one experiment have below its leaves and in its frame.

use super::super::apply::Look;
use super::super::site::Opened;
use crate::error::Result;
use crate::nas::Observation;
use crate::sys::acl::{Acl, Perms, Which};
use crate::sys::dir::{FileKind, Node};

/// The groups of an experiment, by number.
#[derive(Clone, Copy)]
pub(super) struct Wall {
    pub writers: u32,
    readers: u32,
    /// Where members only read.
    frame: bool,
}

impl Wall {
    /// `None` where a group is not there, or is somebody else's: nothing is given to that one.
    pub fn of(opened: &Opened, look: &Look, observation: &Observation) -> Option<Self> {
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
    pub fn in_frame(self) -> Self {
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
    pub fn sealed(self) -> Acl {
        self.in_frame()
            .acl(Perms::from_bits(4), Perms::from_bits(4))
    }

    pub fn is_right(self, node: &Node, kind: FileKind) -> Result<bool> {
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

    pub fn set_right(self, node: &Node, kind: FileKind) -> Result<()> {
        let owner = Perms::from_bits(node.metadata()?.mode >> 6);
        let right = self.right_for(kind, owner);
        if kind == FileKind::Directory {
            node.set_acl(Which::Default, Some(&right))?;
        }
        node.set_acl(Which::Access, Some(&right))
    }
}
