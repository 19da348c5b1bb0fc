//! The frame and the leaves: directories with their final owner, mode and ACL, made beneath the experiment's handle.

use super::site::{Opened, Site};
use crate::error::{Error, Result};
use crate::experiment::RelPath;
use crate::nas::Observation;
use crate::object::Attributes;
use crate::report::said;
use crate::store;
use crate::store::definition::METADATA;
use crate::sys::acl::{Acl, Which};
use crate::sys::dir::Dir;

/// Makes a directory be as its attributes say. What is in it is left alone.
pub fn make(
    opened: &Opened,
    key: &str,
    attributes: &Attributes,
    observation: &Observation,
) -> Result<()> {
    if key.is_empty() {
        return dress(&opened.dir, attributes, observation);
    }
    let path = RelPath::parse(key)?;
    let (parent, name) = split(opened, &path)?;
    parent.create_dir(&name, 0o700)?;
    let dir = parent.child(&name)?.ok_or_else(|| {
        Error::new(
            "directory.lost",
            format!(
                "{path} of {} went away while it was made",
                opened.definition.code
            ),
        )
    })?;
    dress(&dir, attributes, observation)?;
    if key == METADATA {
        opened.show_definition()?;
        store::show_below(&opened.metadata)?;
    }
    parent.sync()
}

fn split(opened: &Opened, path: &RelPath) -> Result<(Dir, String)> {
    let name = path.name().to_owned();
    let parent = match path.parent() {
        None => Some(opened.dir.try_clone()?),
        Some(parent) => opened.dir.open(parent.as_str())?,
    };
    parent.map(|dir| (dir, name)).ok_or_else(|| {
        Error::new(
            "directory.missing",
            format!(
                "the directory that should hold {path} of {} is gone",
                opened.definition.code
            ),
        )
        .hint("`octonas experiment apply --mend` makes it again")
    })
}

/// Owner first, then the default ACL, then the access ACL, the mode last of all: at no moment is more allowed than in the end.
pub(super) fn dress(dir: &Dir, attributes: &Attributes, observation: &Observation) -> Result<()> {
    let mode = attributes
        .get("mode")
        .and_then(|text| u32::from_str_radix(text, 8).ok())
        .unwrap_or(0o2700);
    if let Some(group) = attributes.get("group") {
        let gid = group_id(group, observation)?;
        dir.set_owner(Some(0), Some(gid))?;
    }
    let parse = |text: &str| {
        Acl::parse(
            text,
            |name| {
                observation
                    .accounts
                    .get(name)
                    .and_then(|account| account.uid)
            },
            |name| group_id(name, observation).ok(),
        )
    };
    if let Some(text) = attributes.get("default-acl") {
        dir.set_acl(Which::Default, Some(&parse(text)?))?;
    }
    // With an ACL the group bits of the mode are its mask: the mode comes first, the ACL sets the same mask.
    dir.set_mode(mode)?;
    if let Some(text) = attributes.get("acl") {
        dir.set_acl(Which::Access, Some(&parse(text)?))?;
    }
    dir.sync()
}

fn group_id(name: &str, observation: &Observation) -> Result<u32> {
    if name == "root" {
        return Ok(0);
    }
    match observation.group_ids.get(name) {
        Some(gid) => Ok(*gid),
        None => Err(Error::new(
            "group.unknown",
            format!("the NAS knows no group {name} yet"),
        )
        .hint("run the same command again; if it stays, look for the group in the NAS's panel")),
    }
}

/// Takes a directory away that nothing asks for any more. One that is not empty stays, without the accounts of machines; then this
/// is true.
pub fn remove(
    site: &Site,
    opened: &Opened,
    key: &str,
    made: &Attributes,
    observation: &Observation,
) -> Result<bool> {
    if key.is_empty() {
        return Ok(false);
    }
    let path = RelPath::parse(key)?;
    let Ok((parent, name)) = split(opened, &path) else {
        return Ok(false);
    };
    match parent.remove_dir(&name) {
        Err(error) if error.code() == "path.not-empty" => {
            let without = without_guests(made);
            if without != *made
                && let Some(dir) = parent.child(&name)?
            {
                dress(&dir, &without, observation)?;
            }
            site.progress.note(&said!(
                "{path} is no longer part of the layout, but it is not empty: it stays",
                "{path} ne fait plus partie de la disposition, mais n'est pas vide : il reste"
            ));
            Ok(true)
        }
        other => other.map(|_| false),
    }
}

/// The same rights, but for accounts that are named one by one.
fn without_guests(made: &Attributes) -> Attributes {
    let mut attributes = made.clone();
    if let Some(list) = attributes.get_mut("acl") {
        let entries = list.split(',');
        let others: Vec<&str> = entries
            .filter(|entry| !entry.starts_with("u:") || entry.starts_with("u::"))
            .collect();
        *list = others.join(",");
    }
    attributes
}

/// Shuts the experiment's directory for everybody but root: one step, whatever lies below.
pub fn seal(opened: &Opened) -> Result<()> {
    let sealed = opened.dir.metadata()?.mode & 0o7777 == 0o700
        && opened.dir.acl(Which::Default)?.is_none()
        && opened
            .dir
            .acl(Which::Access)?
            .is_none_or(|acl| acl.users.is_empty() && acl.groups.is_empty());
    if sealed {
        return Ok(());
    }
    opened.dir.set_mode(0o700)?;
    opened.dir.set_acl(Which::Access, None)?;
    opened.dir.set_acl(Which::Default, None)?;
    opened.dir.set_mode(0o700)?;
    opened.dir.sync()
}
