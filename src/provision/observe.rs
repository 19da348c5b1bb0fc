//! What is there: the directories of one experiment, read beneath its handle, beside what the NAS told in bulk.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::nas::Observation;
use crate::object::{Attributes, Found, Kind, ObjectId, Objects};
use crate::provision::plan::Memory;
use crate::provision::quota;
use crate::sys::acl::{Acl, Which};
use crate::sys::dir::Dir;

/// Names of numeric ids, in both directions.
#[derive(Debug, Default)]
pub struct Names {
    groups: BTreeMap<u32, String>,
    users: BTreeMap<u32, String>,
}

impl Names {
    /// The names that a NAS knows.
    pub fn of(observation: &Observation) -> Self {
        let mut names = Self {
            groups: observation
                .group_ids
                .iter()
                .map(|(name, gid)| (*gid, name.clone()))
                .collect(),
            users: observation
                .accounts
                .iter()
                .filter_map(|(name, account)| Some((account.uid?, name.clone())))
                .collect(),
        };
        names.groups.entry(0).or_insert_with(|| "root".into());
        names.users.entry(0).or_insert_with(|| "root".into());
        names
    }

    /// The text form of acl(5), by name.
    pub fn acl(&self, acl: &Acl) -> String {
        acl.to_text(
            |uid| self.users.get(&uid).cloned(),
            |gid| self.groups.get(&gid).cloned(),
        )
    }

    /// `owner:group`, as `ls -l` shows it.
    pub fn owner(&self, uid: u32, gid: u32) -> String {
        format!("{}:{}", self.user(uid), self.group(gid))
    }

    fn group(&self, gid: u32) -> String {
        self.groups
            .get(&gid)
            .cloned()
            .unwrap_or_else(|| gid.to_string())
    }

    /// The name of an account, or its number.
    pub fn user(&self, uid: u32) -> String {
        self.users
            .get(&uid)
            .cloned()
            .unwrap_or_else(|| uid.to_string())
    }
}

/// One directory, as its attributes say it.
pub fn directory(dir: &Dir, names: &Names, enforced: bool) -> Result<Attributes> {
    let metadata = dir.metadata()?;
    let mut attributes =
        Attributes::from([("mode".to_owned(), format!("{:04o}", metadata.mode & 0o7777))]);
    if enforced {
        attributes.insert("owner".into(), names.user(metadata.uid));
        attributes.insert("group".into(), names.group(metadata.gid));
        if let Some(acl) = dir.acl(Which::Access)? {
            attributes.insert("acl".into(), names.acl(&acl));
        }
    }
    if let Some(acl) = dir.acl(Which::Default)? {
        attributes.insert("default-acl".into(), names.acl(&acl));
    }
    Ok(attributes)
}

/// Everything that is there of one experiment: the objects that are desired or remembered, by kind and key.
pub fn observe(
    experiment: Option<&Dir>,
    observation: &Observation,
    desired: &Objects,
    memory: &Memory,
    enforced: bool,
) -> Result<BTreeMap<ObjectId, Found>> {
    let names = Names::of(observation);
    let mut found = BTreeMap::new();
    for id in desired
        .keys()
        .chain(memory.objects.keys())
        .chain(memory.intents.keys())
    {
        if found.contains_key(id) {
            continue;
        }
        if id.kind == Kind::Directory {
            let there = match experiment {
                None => None,
                Some(dir) if id.key.is_empty() => Some(directory(dir, &names, enforced)?),
                Some(dir) => dir
                    .open(&id.key)?
                    .map(|dir| directory(&dir, &names, enforced))
                    .transpose()?,
            };
            if let Some(attributes) = there {
                found.insert(
                    id.clone(),
                    Found {
                        reference: None,
                        attributes,
                    },
                );
            }
        } else if id.kind == Kind::Quota {
            let there = experiment.map(quota::observe).transpose()?.flatten();
            found.extend(there.map(|there| (id.clone(), there)));
        } else if let Some(there) = observation.objects.get(id) {
            found.insert(id.clone(), there.clone());
        }
    }
    Ok(found)
}
