//! Groups, shared folders, privileges and our own entries: made, changed and taken away through engined.
//!
//! OpenMediaVault replaces lists as a whole, so each list is read again immediately before, and what appeared there
//! since the snapshot stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde_json::json;

use super::Omv;
use super::engined::Engined;
use super::model::{
    self, Entry, GroupRecord, MountPoint, NEW, Page, Privilege, SharedFolder, all, located,
};
use super::people::Group;
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, Reference};

/// A value that engined gives back for what it stored.
#[derive(serde::Deserialize)]
pub(super) struct Stored {
    pub uuid: String,
}

/// The row `name` of a list, or nothing.
fn named<T>(rows: Vec<T>, name: &str, of: impl Fn(&T) -> &str) -> Option<T> {
    rows.into_iter().find(|row| of(row) == name)
}

/// What `now` holds of a list when it should become `wanted`, and was `seen` in the snapshot: what we want, and what
/// somebody else added since. What was seen and is no longer wanted goes.
fn merged<T: Ord + Clone>(
    wanted: &BTreeSet<T>,
    seen: &BTreeSet<T>,
    now: &BTreeSet<T>,
) -> BTreeSet<T> {
    wanted
        .iter()
        .chain(now.iter().filter(|row| !seen.contains(*row)))
        .cloned()
        .collect()
}

fn members(attributes: &Attributes) -> BTreeSet<String> {
    attributes
        .iter()
        .filter(|(_, value)| *value == "yes")
        .filter_map(|(key, _)| key.strip_prefix("member:"))
        .map(str::to_owned)
        .collect()
}

/// Makes a group, and its members what they should be.
pub(super) fn group(
    omv: &Omv,
    name: &str,
    attributes: &Attributes,
    found: Option<&Found>,
) -> Result<Reference> {
    let now = current_group(omv, name)?
        .map(|g| g.members)
        .unwrap_or_default();
    let seen = found.map(|f| members(&f.attributes)).unwrap_or_default();
    let members = merged(&members(attributes), &seen, &now);
    let stored: Stored = omv.engined().change(
        "UserMgmt",
        "setGroup",
        json!({
            "name": name,
            "comment": attributes.get("comment").map_or("", String::as_str),
            "members": members,
        }),
    )?;
    Ok(Some(stored.uuid))
}

fn current_group(omv: &Omv, name: &str) -> Result<Option<Group>> {
    let group = omv.people()?.group(name).cloned();
    if group.as_ref().is_some_and(|g| g.is_system) {
        return Err(Error::new(
            "nas.system-group",
            format!("the group {name} exists as a system group"),
        )
        .hint("choose another code for the experiment, or remove that group"));
    }
    Ok(group)
}

/// Takes a group away, its members first: OpenMediaVault refuses to delete one that has any.
pub(super) fn delete_group(omv: &Omv, name: &str) -> Result<()> {
    let engined = omv.engined();
    if let Some(group) = current_group(omv, name)? {
        if !group.members.is_empty() {
            engined.change::<IgnoredAny>(
                "UserMgmt",
                "setGroup",
                json!({"name": name, "comment": "", "members": []}),
            )?;
        }
        engined.change::<IgnoredAny>("UserMgmt", "deleteGroup", json!({"name": name}))?;
        return Ok(());
    }
    // A crash of engined may leave its record of a group that the system does not have.
    let records: Page<GroupRecord> =
        engined.read("Config", "getlist", all("conf.system.usermngmnt.group"))?;
    if let Some(record) = named(records.data, name, |g| &g.name) {
        engined.change::<IgnoredAny>(
            "Config",
            "delete",
            json!({"id": "conf.system.usermngmnt.group", "uuid": record.uuid}),
        )?;
    }
    Ok(())
}

pub(super) fn shared_folders(engined: &Engined) -> Result<Vec<SharedFolder>> {
    let page: Page<SharedFolder> =
        engined.read("Config", "getlist", all("conf.system.sharedfolder"))?;
    Ok(page.data)
}

pub(super) fn mount_points(engined: &Engined) -> Result<Vec<MountPoint>> {
    let page: Page<MountPoint> = engined.read(
        "Config",
        "getlist",
        all("conf.system.filesystem.mountpoint"),
    )?;
    Ok(page.data)
}

/// The folder `name` of these, or an error that says what is missing.
pub(super) fn folder_named(folders: Vec<SharedFolder>, name: &str) -> Result<SharedFolder> {
    named(folders, name, |f| &f.name).ok_or_else(|| {
        Error::new(
            "nas.no-shared-folder",
            format!("OpenMediaVault has no shared folder {name}"),
        )
        .hint("somebody took it away: `octonas experiment check` names it, `octonas experiment apply --mend` makes it again")
    })
}

/// Makes a shared folder of a directory that stands already: OpenMediaVault then leaves the directory as it is, while
/// one that it makes itself would be open to every user.
pub(super) fn shared_folder(omv: &Omv, name: &str, attributes: &Attributes) -> Result<Reference> {
    let path = PathBuf::from(attributes.get("path").map_or("", String::as_str));
    let is_directory = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
    if !is_directory {
        return Err(Error::new(
            "nas.no-directory",
            format!("there is no directory {} to share", path.display()),
        )
        .hint("is the file system mounted? look at `octonas base check`"));
    }
    let engined = omv.engined();
    let mounts = omv.mount_points()?;
    let (mount, below) = located(&mounts, &path).ok_or_else(|| not_on_a_disk(&path))?;
    let uuid = named(omv.shared_folders_now()?, name, |f| &f.name)
        .map_or_else(|| NEW.to_owned(), |f| f.uuid);
    let stored: Stored = engined.change(
        "ShareMgmt",
        "set",
        json!({
            "uuid": uuid,
            "name": name,
            "comment": attributes.get("comment").map_or("", String::as_str),
            "mntentref": mount.uuid,
            "reldirpath": below,
        }),
    )?;
    omv.snapshot.forget_folders();
    Ok(Some(stored.uuid))
}

pub(super) fn not_on_a_disk(path: &Path) -> Error {
    Error::new(
        "nas.not-on-a-disk",
        format!(
            "{} is not on a file system that OpenMediaVault has mounted",
            path.display()
        ),
    )
    .hint("mount the disk in OpenMediaVault under Storage | File Systems first")
}

/// Takes a shared folder away, never its files. Our entry lets go of it first: OpenMediaVault protects a folder that
/// is referred to.
pub(super) fn delete_shared_folder(omv: &Omv, name: &str, found: &Found) -> Result<()> {
    let engined = omv.engined();
    let Some(uuid) = &found.reference else {
        return Ok(());
    };
    if !omv
        .shared_folders_now()?
        .iter()
        .any(|f| f.uuid == *uuid && f.name == name)
    {
        return Ok(());
    }
    for mut entry in entries(engined)? {
        if entry.sharedfolderref == *uuid {
            entry.sharedfolderref.clear();
            set_entry(omv, &entry)?;
        }
    }
    engined.change::<IgnoredAny>(
        "ShareMgmt",
        "delete",
        json!({"uuid": uuid, "recursive": false}),
    )?;
    omv.snapshot.forget_folders();
    Ok(())
}

/// Takes a share away by the name that OpenMediaVault gave it, if it is still among the `living`.
pub(super) fn delete_share(
    engined: &Engined,
    found: &Found,
    (service, method): (&'static str, &'static str),
    living: impl FnOnce() -> Result<Vec<String>>,
) -> Result<()> {
    let Some(uuid) = &found.reference else {
        return Ok(());
    };
    if living()?.contains(uuid) {
        engined.change::<IgnoredAny>(service, method, json!({"uuid": uuid}))?;
    }
    Ok(())
}

fn rows(attributes: &Attributes) -> Vec<Privilege> {
    attributes
        .iter()
        .filter_map(|(key, value)| Privilege::from_attribute(key, value))
        .collect()
}

/// Makes the privileges of a shared folder what they should be; rows that appeared since the snapshot stay.
pub(super) fn privileges(
    omv: &Omv,
    folder: &str,
    attributes: &Attributes,
    found: Option<&Found>,
) -> Result<Reference> {
    let folder = folder_named(omv.shared_folders_now()?, folder)?;
    let mut privileges = rows(attributes);
    let known =
        |row: &Privilege, attributes: &Attributes| attributes.contains_key(&row.attribute().0);
    let others = folder.privileges.into_iter().filter(|row| {
        let seen = found.is_some_and(|f| known(row, &f.attributes));
        !seen && !known(row, attributes)
    });
    privileges.extend(living(omv, others.collect())?);
    set_privileges(omv.engined(), &folder.uuid, &privileges)?;
    Ok(Some(folder.uuid))
}

/// Takes our rows away; others stay. Without any row SMB lets everybody try, so this comes after the share is gone.
pub(super) fn delete_privileges(omv: &Omv, folder: &str, found: &Found) -> Result<()> {
    let engined = omv.engined();
    let Some(folder) = named(omv.shared_folders_now()?, folder, |f| &f.name) else {
        return Ok(());
    };
    if found.reference.as_ref().is_some_and(|r| *r != folder.uuid) {
        return Ok(());
    }
    let (ours, others): (Vec<_>, Vec<_>) = folder
        .privileges
        .into_iter()
        .partition(|row| found.attributes.contains_key(&row.attribute().0));
    if ours.is_empty() {
        return Ok(());
    }
    set_privileges(engined, &folder.uuid, &living(omv, others)?)
}

/// Rows whose account or group exists. `OpenMediaVault` leaves the rows of a deleted account where they are and then
/// refuses the whole list for them; dropped, they cannot fall to a later account of the same name.
fn living(omv: &Omv, rows: Vec<Privilege>) -> Result<Vec<Privilege>> {
    if rows.is_empty() {
        return Ok(rows);
    }
    let people = omv.people()?;
    let lives = |row: &Privilege| match row.holder.as_str() {
        "user" => people.user(&row.name).is_some(),
        _ => people.group(&row.name).is_some(),
    };
    Ok(rows.into_iter().filter(lives).collect())
}

fn set_privileges(engined: &Engined, uuid: &str, privileges: &[Privilege]) -> Result<()> {
    engined.change::<IgnoredAny>(
        "ShareMgmt",
        "setPrivileges",
        json!({"uuid": uuid, "privileges": privileges}),
    )?;
    Ok(())
}

pub(super) fn entries(engined: &Engined) -> Result<Vec<Entry>> {
    let page: Page<Entry> = engined.read("Config", "getlist", all(Entry::MODEL))?;
    Ok(page.data)
}

/// Makes our own entry, from which the Salt module renders mount units and jails.
pub(super) fn entry(omv: &Omv, code: &str, attributes: &Attributes) -> Result<Reference> {
    let before = named(entries(omv.engined())?, code, |e| &e.code);
    let entry = Entry::from_attributes(code, attributes, before.as_ref());
    if before.as_ref() == Some(&entry) {
        return Ok(Some(entry.uuid));
    }
    Ok(Some(set_entry(omv, &entry)?))
}

fn set_entry(omv: &Omv, entry: &Entry) -> Result<String> {
    omv.snapshot.forget_own();
    let stored: Stored =
        omv.engined()
            .change("Config", "set", json!({"id": Entry::MODEL, "data": entry}))?;
    Ok(stored.uuid)
}

/// Takes our entry away.
pub(super) fn delete_entry(omv: &Omv, code: &str) -> Result<()> {
    let engined = omv.engined();
    omv.snapshot.forget_own();
    for entry in entries(engined)?.into_iter().filter(|e| e.code == code) {
        engined.change::<IgnoredAny>(
            "Config",
            "delete",
            json!({"id": Entry::MODEL, "uuid": entry.uuid}),
        )?;
    }
    Ok(())
}

/// The whole of our configuration: who we are, bases, experiments.
pub(super) fn configuration(engined: &Engined) -> Result<model::Configuration> {
    engined.read("Config", "get", json!({"id": "conf.service.octonas"}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    #[test]
    fn what_appeared_since_the_snapshot_stays_and_what_was_dropped_goes() {
        for (wanted, seen, now, expected) in [
            (&["a"][..], &[][..], &[][..], &["a"][..]),
            (&["a"], &["a", "b"], &["a", "b"], &["a"]),
            (&["a"], &["a"], &["a", "new"], &["a", "new"]),
            (&["a", "b"], &["a", "b"], &["b"], &["a", "b"]),
            (&[], &["a"], &["a"], &[]),
        ] {
            assert_eq!(merged(&set(wanted), &set(seen), &set(now)), set(expected));
        }
    }

    #[test]
    fn members_are_the_attributes_that_say_yes() {
        let attributes = Attributes::from([
            ("comment".into(), "yes".into()),
            ("member:a".into(), "yes".into()),
            ("member:b".into(), "no".into()),
        ]);
        assert_eq!(members(&attributes), set(&["a"]));
    }
}
