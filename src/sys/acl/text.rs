//! The short text form of acl(5) with names: `u::rwx,g::---,g:exp-eco-w:rwx,m::rwx,o::---`.

use std::fmt::Write as _;

use super::{Acl, Perms};
use crate::error::{Error, Result};

impl Acl {
    /// The text form. A number that has no name stands as the number.
    pub fn to_text(
        &self,
        user_name: impl Fn(u32) -> Option<String>,
        group_name: impl Fn(u32) -> Option<String>,
    ) -> String {
        let mut named: Vec<(char, Vec<(String, Perms)>)> = Vec::new();
        for (tag, entries, name) in [
            (
                'u',
                &self.users,
                &user_name as &dyn Fn(u32) -> Option<String>,
            ),
            ('g', &self.groups, &group_name),
        ] {
            let mut list: Vec<(String, Perms)> = entries
                .iter()
                .map(|(&id, &perms)| (name(id).unwrap_or_else(|| id.to_string()), perms))
                .collect();
            list.sort();
            named.push((tag, list));
        }
        let mut out = String::new();
        for ((tag, list), own) in named.iter().zip([self.user_obj, self.group_obj]) {
            let _ = write!(out, "{tag}::{own},");
            for (name, perms) in list {
                let _ = write!(out, "{tag}:{name}:{perms},");
            }
        }
        if let Some(mask) = self.mask {
            let _ = write!(out, "m::{mask},");
        }
        let _ = write!(out, "o::{}", self.other);
        out
    }

    /// Reads the text form: entries in any order, tags short or long (`g`, `group`), `m::` or `m:`. A name that
    /// `user_id` or `group_id` does not know may be a number; otherwise it is `acl.unknown-name`.
    pub fn parse(
        text: &str,
        user_id: impl Fn(&str) -> Option<u32>,
        group_id: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self> {
        let invalid =
            |what: &str| Error::new("acl.invalid", format!("the access list `{text}` {what}"));
        let (mut user_obj, mut group_obj, mut mask, mut other) = (None, None, None, None);
        let mut acl = Self::from_mode(0);
        for entry in text.split(',') {
            let mut fields = entry.trim().split(':');
            let (tag, name, perms) =
                match (fields.next(), fields.next(), fields.next(), fields.next()) {
                    (Some(tag), Some(name), Some(perms), None) => (tag, name, perms),
                    (Some(tag @ ("m" | "mask" | "o" | "other")), Some(perms), None, None) => {
                        (tag, "", perms)
                    }
                    _ => return Err(invalid("has an entry that is not of the form g:name:rwx")),
                };
            let perms: Perms = perms.parse()?;
            let id = |find: &dyn Fn(&str) -> Option<u32>| {
                find(name)
                    .or_else(|| name.parse().ok().filter(|&id| id != u32::MAX))
                    .ok_or_else(|| {
                        Error::new("acl.unknown-name", format!("nobody is called `{name}`"))
                    })
            };
            let twice = match (tag, name) {
                ("u" | "user", "") => user_obj.replace(perms).is_some(),
                ("u" | "user", _) => acl.users.insert(id(&user_id)?, perms).is_some(),
                ("g" | "group", "") => group_obj.replace(perms).is_some(),
                ("g" | "group", _) => acl.groups.insert(id(&group_id)?, perms).is_some(),
                ("m" | "mask", "") => mask.replace(perms).is_some(),
                ("o" | "other", "") => other.replace(perms).is_some(),
                _ => return Err(invalid("has an entry of an unknown kind")),
            };
            if twice {
                return Err(invalid("has an entry twice"));
            }
        }
        let needed = |perms: Option<Perms>, tag| {
            perms.ok_or_else(|| invalid(&format!("lacks the entry `{tag}::`")))
        };
        acl.user_obj = needed(user_obj, 'u')?;
        acl.group_obj = needed(group_obj, 'g')?;
        acl.other = needed(other, 'o')?;
        acl.mask = mask;
        if acl.is_valid() {
            Ok(acl)
        } else {
            Err(invalid("names somebody without a mask"))
        }
    }
}
