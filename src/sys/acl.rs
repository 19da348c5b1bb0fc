//! POSIX access control lists (acl(5)): what the kernel stores, what people read, when two are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;
mod text;
mod wire;

/// Which of the two lists of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Who may use the object itself.
    Access,
    /// What new objects in a directory inherit.
    Default,
}

impl Which {
    /// The name of the extended attribute that holds it.
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Access => "system.posix_acl_access",
            Self::Default => "system.posix_acl_default",
        }
    }
}

/// Read, write and execute, as the three lowest bits (`rwx` = 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Perms(u8);

impl Perms {
    /// `---`
    pub const NONE: Self = Self(0);
    /// `r-x`
    pub const READ: Self = Self(5);
    /// `rwx`
    pub const ALL: Self = Self(7);

    /// From the three lowest bits; others are ignored.
    pub fn from_bits(bits: u32) -> Self {
        Self((bits & 7) as u8)
    }

    /// The three bits.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// What is allowed by both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is allowed by either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when everything in `other` is allowed here.
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            fmt::Write::write_char(f, if self.0 & bit == 0 { '-' } else { letter })?;
        }
        Ok(())
    }
}

impl FromStr for Perms {
    type Err = Error;

    /// `rwx` in this order, `-` for what is not allowed.
    fn from_str(text: &str) -> Result<Self> {
        let bits = match text.as_bytes() {
            [r, w, x] => [(r, b'r', 4), (w, b'w', 2), (x, b'x', 1)]
                .into_iter()
                .try_fold(0, |bits, (&byte, letter, bit)| match byte {
                    b'-' => Some(bits),
                    b if b == letter => Some(bits | bit),
                    _ => None,
                }),
            _ => None,
        };
        bits.map(Self)
            .ok_or_else(|| Error::new("acl.invalid", format!("`{text}` is not of the form rwx")))
    }
}

/// An access control list with all its entries. Names are resolved by callers; here are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// The owner.
    pub user_obj: Perms,
    /// Named users, by uid.
    pub users: BTreeMap<u32, Perms>,
    /// The owning group.
    pub group_obj: Perms,
    /// Named groups, by gid.
    pub groups: BTreeMap<u32, Perms>,
    /// The most that named users and groups and the owning group can have. Needed as soon as anybody is named.
    pub mask: Option<Perms>,
    /// Everybody else.
    pub other: Perms,
}

impl Acl {
    /// The list that mode bits alone amount to.
    pub fn from_mode(mode: u32) -> Self {
        Self {
            user_obj: Perms::from_bits(mode >> 6),
            users: BTreeMap::new(),
            group_obj: Perms::from_bits(mode >> 3),
            groups: BTreeMap::new(),
            mask: None,
            other: Perms::from_bits(mode),
        }
    }

    /// True when mode bits say all of it (acl(5), "minimal").
    pub fn is_minimal(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.mask.is_none()
    }

    /// The nine permission bits that stat(2) shows for it: the group bits are the mask where there is one.
    pub fn mode_bits(&self) -> u32 {
        self.user_obj.bits() << 6
            | self.mask.unwrap_or(self.group_obj).bits() << 3
            | self.other.bits()
    }

    /// True when it obeys acl(5): nobody is named without a mask.
    pub fn is_valid(&self) -> bool {
        self.mask.is_some() || (self.users.is_empty() && self.groups.is_empty())
    }

    /// This list with the mask that lets every entry have what it says (`acl_calc_mask(3)`).
    #[must_use]
    pub fn with_wide_mask(mut self) -> Self {
        let mask = self
            .users
            .values()
            .chain(self.groups.values())
            .fold(self.group_obj, |all, &perms| all.or(perms));
        self.mask = Some(mask);
        self
    }

    /// What a process really may do (acl(5), "access check algorithm"). `owner` is the object's uid, `group` its gid;
    /// `groups` are all groups of the process. A process with capabilities is not considered.
    pub fn allowed(&self, owner: u32, group: u32, uid: u32, groups: &[u32]) -> Perms {
        let mask = self.mask.unwrap_or(Perms::ALL);
        if uid == owner {
            return self.user_obj;
        }
        if let Some(perms) = self.users.get(&uid) {
            return perms.and(mask);
        }
        let mut matched = groups.contains(&group).then_some(self.group_obj);
        for (gid, &perms) in &self.groups {
            if groups.contains(gid) {
                matched = Some(matched.map_or(perms, |p| p.or(perms)));
            }
        }
        matched.map_or(self.other, |perms| perms.and(mask))
    }
}
