//! Accounts and groups as the system knows them: `getent passwd` and `getent group`, the two programs that
//! OpenMediaVault itself asks. It asks them once per account and group, though (five milliseconds each: seconds for
//! hundreds of experiments), so its answers are not used for this.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys::command::{Command, Program};

/// Where accounts and groups are read.
#[derive(Debug, Clone)]
pub enum Source {
    /// From the system, whatever nsswitch.conf(5) says.
    System,
    /// From two files in the forms of passwd(5) and group(5).
    Files {
        /// Accounts.
        passwd: PathBuf,
        /// Groups.
        group: PathBuf,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub is_system: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub name: String,
    pub gid: u32,
    pub members: BTreeSet<String>,
    pub is_system: bool,
}

/// Everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct People {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
}

impl People {
    /// Reads everybody.
    pub(super) fn read(source: &Source) -> Result<Self> {
        let (passwd, group) = match source {
            Source::System => (getent("passwd")?, getent("group")?),
            Source::Files { passwd, group } => (file(passwd)?, file(group)?),
        };
        let limits = std::fs::read_to_string("/etc/login.defs").unwrap_or_default();
        Ok(Self::parse(&passwd, &group, &limits))
    }

    /// Numeric ids of groups by name.
    pub(super) fn group_ids(&self) -> BTreeMap<String, u32> {
        let ids = self.groups.iter();
        ids.map(|group| (group.name.clone(), group.gid)).collect()
    }

    fn parse(passwd: &str, group: &str, limits: &str) -> Self {
        let people = range(limits, "UID");
        let teams = range(limits, "GID");
        let users = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(User {
                name,
                uid,
                gid,
                is_system: !people.contains(&uid),
            })
        });
        let groups = group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let gid = fields.nth(1)?.parse().ok()?;
            let members = fields.next()?.split(',').map(str::trim);
            Some(Group {
                name,
                gid,
                members: members
                    .filter(|m| !m.is_empty())
                    .map(str::to_owned)
                    .collect(),
                is_system: !teams.contains(&gid),
            })
        });
        Self {
            users: users.collect(),
            groups: groups.collect(),
        }
    }

    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|u| u.name == name)
    }

    pub(super) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.name == name)
    }

    /// The names of all groups of an account, the primary one included.
    pub(super) fn groups_of(&self, user: &User) -> BTreeSet<String> {
        self.groups
            .iter()
            .filter(|g| g.gid == user.gid || g.members.contains(&user.name))
            .map(|g| g.name.clone())
            .collect()
    }
}

/// The numbers of ordinary accounts (`UID`) or groups (`GID`), from login.defs(5).
fn range(limits: &str, what: &str) -> std::ops::RangeInclusive<u32> {
    let get = |end: &str, default: u32| {
        limits
            .lines()
            .filter_map(|line| line.trim().strip_prefix(&format!("{what}_{end}")))
            .find_map(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(default)
    };
    get("MIN", 1000)..=get("MAX", 60_000)
}

fn getent(database: &str) -> Result<String> {
    Ok(Command::new(Program::Getent).arg(database).run()?.text())
}

fn file(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::new("nas.people", format!("cannot read {}", path.display())).source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_read_as_the_system_tells() {
        let people = People::parse(
            "root:x:0:0:root:/root:/bin/bash\nalice:x:1001:100:A: L:/home/alice:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nbroken\n",
            "users:x:100:\nexp-lake-w:x:1003:alice,bob\nexp-lake-r:x:1004:\n",
            "# UID_MIN 5\nUID_MIN\t\t\t 1000\nUID_MAX 60000\n",
        );
        let systems: Vec<bool> = people.users.iter().map(|u| u.is_system).collect();
        assert_eq!(systems, [true, false, true]);
        let alice = people.user("alice").unwrap();
        assert_eq!((alice.uid, alice.gid), (1001, 100));
        let groups: Vec<String> = people.groups_of(alice).into_iter().collect();
        assert_eq!(groups, ["exp-lake-w", "users"]);
        assert!(people.group("users").unwrap().is_system);
        assert!(people.group("exp-lake-r").unwrap().members.is_empty());
    }
}
