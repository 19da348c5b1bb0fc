//! What the file system itself lets somebody do, whatever the door: directories' lists and the experiment's own mount.

use std::collections::BTreeSet;

use super::{Basis, groups_of};
use crate::object::{Attributes, Kind, ObjectId};
use crate::report::{Said, said};

/// What the file system lets one person do.
#[allow(clippy::struct_excessive_bools)] // Each operation is its own answer.
pub(super) struct FileSystem {
    pub enter: bool,
    pub list: bool,
    pub read: bool,
    pub write: bool,
    pub some_only: bool,
    pub frame: bool,
    pub metadata: bool,
    pub read_only: Option<Said>,
    pub stranger: bool,
}

impl FileSystem {
    pub fn of(basis: &Basis<'_>, account: &str) -> Self {
        let groups = groups_of(basis, account);
        let code = &basis.definition.code;
        let writer = groups.contains(&code.writers_group());
        let reader = groups.contains(&code.readers_group());
        let self_mount = basis
            .observed
            .get(&ObjectId::new(Kind::Mounts, code.to_string()))
            .and_then(|found| found.attributes.get("self"));
        let closed = || said!("the experiment is closed", "l'expérience est close");
        let read_only = (self_mount.map(String::as_str) == Some("ro")).then(closed);
        if !basis.enforced {
            let declared = crate::provision::desired::is_read_only(basis.definition.status);
            return Self {
                enter: writer || reader,
                list: writer || reader,
                read: writer || reader,
                write: writer,
                some_only: false,
                frame: false,
                metadata: false,
                read_only: declared.then(closed),
                stranger: !(writer || reader),
            };
        }
        let bits = |path: &str| {
            basis
                .observed
                .get(&ObjectId::new(Kind::Directory, path))
                .map_or(0, |found| permissions(&found.attributes, &groups))
        };
        let top = bits("");
        let leaves: Vec<u32> = basis.leaves.iter().map(|leaf| bits(leaf)).collect();
        let all = |mask: u32| !leaves.is_empty() && leaves.iter().all(|bits| bits & mask == mask);
        let any = |mask: u32| leaves.iter().any(|bits| bits & mask == mask);
        let frame = basis
            .observed
            .keys()
            .filter(|id| id.kind == Kind::Directory && !basis.leaves.contains(&id.key))
            .any(|id| bits(&id.key) & 0o3 == 0o3);
        Self {
            enter: top & 0o1 != 0,
            list: top & 0o5 == 0o5,
            read: any(0o5),
            write: any(0o3),
            some_only: (any(0o3) && !all(0o3)) || (any(0o5) && !all(0o5)),
            frame,
            metadata: bits("metadata") & 0o3 == 0o3,
            read_only,
            stranger: !(writer || reader),
        }
    }
}

/// The permission bits (rwx) that a directory's ACL gives to somebody who does not own it: acl(5), access check.
fn permissions(attributes: &Attributes, groups: &BTreeSet<String>) -> u32 {
    let (mut granted, mut matched, mut other, mut mask) = (0, false, 0, 0o7);
    let text = attributes.get("acl").map_or("", String::as_str);
    for entry in text.split(',') {
        let mut parts = entry.splitn(3, ':');
        let (Some(tag), Some(name), Some(perms)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let bits = perms
            .chars()
            .zip([0o4, 0o2, 0o1])
            .filter(|(c, _)| *c != '-')
            .fold(0, |bits, (_, bit)| bits | bit);
        match tag {
            "m" => mask = bits,
            "o" => other = bits,
            "g" => {
                let group = if name.is_empty() {
                    attributes.get("group").map_or("", String::as_str)
                } else {
                    name
                };
                if groups.contains(group) {
                    matched = true;
                    granted |= bits;
                }
            }
            _ => {}
        }
    }
    if matched { granted & mask } else { other }
}
