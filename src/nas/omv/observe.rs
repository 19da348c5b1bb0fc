//! One bulk snapshot: five calls, whatever the number of experiments, and three for
//! the doors that few of them open.

use std::collections::BTreeMap;

use super::Omv;
use super::model::{GroupRecord, Page, Privilege, absolute, all};
use super::people::Group;
use super::{ftp, mounts, nfs, rsyncd, smb};
use crate::error::Result;
use crate::nas::{Account, Observation};
use crate::object::{Attributes, Found, Kind, ObjectId};
use crate::sys::mounts::here;

/// Reads everything.
pub(super) fn observe(omv: &Omv) -> Result<Observation> {
    let engined = omv.engined();
    let mut seen = Observation::default();

    let people = omv.people()?;
    for user in &people.users {
        seen.accounts.insert(
            user.name.clone(),
            Account {
                uid: Some(user.uid),
                system: user.is_system,
                groups: people.groups_of(user),
            },
        );
    }

    let records: Page<GroupRecord> =
        engined.read("Config", "getlist", all("conf.system.usermngmnt.group"))?;
    let records: BTreeMap<String, GroupRecord> = records
        .data
        .into_iter()
        .map(|record| (record.name.clone(), record))
        .collect();
    seen.group_ids = people.group_ids();
    for group in &people.groups {
        if !group.is_system {
            let record = records.get(&group.name);
            insert(
                &mut seen,
                ObjectId::new(Kind::Group, &group.name),
                record.map(|r| r.uuid.clone()),
                group_attributes(group, record),
            );
        }
    }

    let (disks, folders, entries, sources) = omv.renew()?;
    let mut names = BTreeMap::new();
    for folder in folders {
        let path = absolute(&disks, &folder.mntentref, &folder.reldirpath)
            .map(|p| p.display().to_string())
            .unwrap_or_default();
        insert(
            &mut seen,
            ObjectId::new(Kind::SharedFolder, &folder.name),
            Some(folder.uuid.clone()),
            Attributes::from([
                ("path".to_owned(), path),
                ("comment".to_owned(), folder.comment),
            ]),
        );
        if !folder.privileges.is_empty() {
            insert(
                &mut seen,
                ObjectId::new(Kind::Privileges, &folder.name),
                Some(folder.uuid.clone()),
                folder.privileges.iter().map(Privilege::attribute).collect(),
            );
        }
        names.insert(folder.uuid, folder.name);
    }
    for share in smb::shares(engined)? {
        if let Some(name) = names.get(&share.sharedfolderref) {
            insert(
                &mut seen,
                ObjectId::new(Kind::SmbShare, name),
                Some(share.uuid.clone()),
                smb::attributes(&share),
            );
        }
    }

    doors(omv, &mut seen, &names)?;

    for source in &sources {
        insert(
            &mut seen,
            ObjectId::new(Kind::Source, source.key()),
            Some(source.uuid.clone()),
            source.attributes(),
        );
    }
    let table = here()?;
    for entry in &entries {
        insert(
            &mut seen,
            ObjectId::new(Kind::Entry, &entry.code),
            Some(entry.uuid.clone()),
            entry.attributes(),
        );
        let mounted = mounts::observed(&table, &omv.settings().jails, entry, &sources);
        if !mounted.is_empty() {
            insert(
                &mut seen,
                ObjectId::new(Kind::Mounts, &entry.code),
                None,
                mounted,
            );
        }
    }
    seen.pending = omv.pending()?;
    Ok(seen)
}

/// The doors that few experiments open.
fn doors(omv: &Omv, seen: &mut Observation, names: &BTreeMap<String, String>) -> Result<()> {
    let all = omv.doors()?;
    match all.ftp {
        None => {
            let what_to_do = "install the plugin openmediavault-ftp (System | Plugins)";
            seen.lacking.insert(Kind::FtpShare, what_to_do.to_owned());
        }
        Some(service) => {
            for share in &service.shares {
                if let Some(name) = names.get(&share.sharedfolderref) {
                    let object = ObjectId::new(Kind::FtpShare, name);
                    let attributes = ftp::attributes(share, &service.state());
                    insert(seen, object, Some(share.uuid.clone()), attributes);
                }
            }
        }
    }
    let service = all.nfs;
    for share in &service.shares {
        if let Some(name) = names.get(&share.sharedfolderref) {
            let object = ObjectId::new(Kind::NfsShare, format!("{name}/{}", share.client));
            let attributes = nfs::attributes(share, &service.state(), &seen.group_ids);
            insert(seen, object, Some(share.uuid.clone()), attributes);
        }
    }
    for module in &all.rsyncd.modules {
        // A module that bears the name of another folder is in the way of that folder's own.
        let object = ObjectId::new(Kind::RsyncModule, &module.name);
        let folder = names.get(&module.sharedfolderref).map(String::as_str);
        let attributes = rsyncd::attributes(module, all.rsyncd.enable, folder);
        insert(seen, object, Some(module.uuid.clone()), attributes);
    }
    Ok(())
}

fn group_attributes(group: &Group, record: Option<&GroupRecord>) -> Attributes {
    let mut attributes: Attributes = group
        .members
        .iter()
        .map(|name| (format!("member:{name}"), "yes".to_owned()))
        .collect();
    attributes.insert(
        "comment".to_owned(),
        record.map(|r| r.comment.clone()).unwrap_or_default(),
    );
    attributes
}

fn insert(
    seen: &mut Observation,
    object: ObjectId,
    reference: Option<String>,
    attributes: Attributes,
) {
    seen.objects.insert(
        object,
        Found {
            reference,
            attributes,
        },
    );
}
