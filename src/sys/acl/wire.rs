//! The form that the kernel takes: `linux/posix_acl_xattr.h`, version 2, little-endian.

use super::{Acl, Perms};
use crate::error::{Error, Result};

const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const NO_ID: u32 = u32::MAX;

impl Acl {
    /// The value of the extended attribute. Entries stand in the order that the kernel demands.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 8 * (4 + self.users.len() + self.groups.len()));
        out.extend(VERSION.to_le_bytes());
        let mut entry = |tag: u16, perms: Perms, id: u32| {
            out.extend(tag.to_le_bytes());
            out.extend(u16::from(perms.0).to_le_bytes());
            out.extend(id.to_le_bytes());
        };
        entry(USER_OBJ, self.user_obj, NO_ID);
        for (&uid, &perms) in &self.users {
            entry(USER, perms, uid);
        }
        entry(GROUP_OBJ, self.group_obj, NO_ID);
        for (&gid, &perms) in &self.groups {
            entry(GROUP, perms, gid);
        }
        if let Some(mask) = self.mask {
            entry(MASK, mask, NO_ID);
        }
        entry(OTHER, self.other, NO_ID);
        out
    }

    /// Reads the value of the extended attribute. What the kernel would not accept is `acl.invalid`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let invalid = |what: &str| Error::new("acl.invalid", format!("an access list {what}"));
        let (version, entries) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| invalid("is cut short"))?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err(invalid("is of an unknown version"));
        }
        let (entries, rest) = entries.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(invalid("is cut short"));
        }
        let (mut user_obj, mut group_obj, mut mask, mut other) = (None, None, None, None);
        let mut acl = Self::from_mode(0);
        for &[t0, t1, p0, p1, i0, i1, i2, i3] in entries {
            let bits = u16::from_le_bytes([p0, p1]);
            if bits > 7 {
                return Err(invalid("has permissions that do not exist"));
            }
            let perms = Perms::from_bits(bits.into());
            let id = u32::from_le_bytes([i0, i1, i2, i3]);
            let twice = match u16::from_le_bytes([t0, t1]) {
                USER_OBJ => user_obj.replace(perms).is_some(),
                USER => acl.users.insert(id, perms).is_some(),
                GROUP_OBJ => group_obj.replace(perms).is_some(),
                GROUP => acl.groups.insert(id, perms).is_some(),
                MASK => mask.replace(perms).is_some(),
                OTHER => other.replace(perms).is_some(),
                _ => return Err(invalid("has an entry of an unknown kind")),
            };
            if twice {
                return Err(invalid("has an entry twice"));
            }
        }
        let needed = |perms: Option<Perms>| perms.ok_or_else(|| invalid("lacks an entry"));
        acl.user_obj = needed(user_obj)?;
        acl.group_obj = needed(group_obj)?;
        acl.other = needed(other)?;
        acl.mask = mask;
        if acl.is_valid() {
            Ok(acl)
        } else {
            Err(invalid("names somebody without a mask"))
        }
    }
}
