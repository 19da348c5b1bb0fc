//! From a definition to the objects that should be: pure. The rights are those proven for OpenMediaVault: two named
//! groups, an empty owning-group entry, a frame that belongs to root, leaves in which members write.

use std::collections::BTreeMap;
use std::path::Path;

use crate::experiment::{Access, Code, Date, Definition, NfsRow, SourceId, Status, source_account};
use crate::layout::{self, DirectoryKind};
use crate::object::{Attributes, Kind, ObjectId, Objects};
use crate::store::source_keys::SourceKeys;

/// How the comment of everything begins that we make.
pub const MARK: &str = "OctoNAS ";

/// The mount flags that make the wall hold (symbolic links are not followed by anybody).
pub const MOUNT_FLAGS: &str = "nodev,nosuid,nosymfollow";

/// What an account may do on the NAS; `manage` is `write` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// List and read.
    Read,
    /// Read and write in the leaves.
    Write,
}

/// All that the desired state depends on.
pub struct Wish<'a> {
    /// The definition.
    pub definition: &'a Definition,
    /// The experiment's id, by which we recognise what is ours.
    pub id: &'a str,
    /// The layout, expanded.
    pub directories: &'a [layout::Directory],
    /// The experiment's directory, absolute.
    pub path: &'a Path,
    /// What this NAS has.
    pub kinds: &'a [Kind],
    /// False on the embedded NAS, where no group has a number.
    pub enforced: bool,
    /// The shared folder's name on the NAS, once it exists.
    pub shared_folder: Option<&'a str>,
    /// The keys of its sources.
    pub source_keys: &'a SourceKeys,
    /// True for a system account that the NAS has: only then can a directory be given to it.
    pub has_account: &'a dyn Fn(&str) -> bool,
    /// Access that ended before this day is not desired.
    pub today: Date,
    /// Nobody enters yet: what lies in it still has other people's rights.
    pub sealed: bool,
}

/// Who may enter, and how far, on `today`. A closed experiment takes nobody's membership away.
pub fn members(definition: &Definition, today: Date) -> BTreeMap<String, Right> {
    definition
        .people
        .iter()
        .filter(|person| person.until.is_none_or(|until| until >= today))
        .filter_map(|person| {
            let right = match person.access? {
                Access::Read => Right::Read,
                Access::Write | Access::Manage => Right::Write,
            };
            Some((person.account.as_ref()?.to_string(), right))
        })
        .collect()
}

/// True where nobody may write.
pub fn is_read_only(status: Status) -> bool {
    matches!(status, Status::Closing | Status::Closed | Status::Archived)
}

/// The objects that should be.
pub fn desired(wish: &Wish<'_>) -> Objects {
    let mut objects = Objects::new();
    let definition = wish.definition;
    if definition.status == Status::Removed {
        return objects;
    }
    let members = members(definition, wish.today);
    groups(&mut objects, wish, &members);
    directories(&mut objects, wish);
    if definition.status != Status::Draft && !wish.sealed {
        entry(&mut objects, wish, &members);
        doors(&mut objects, wish, &members);
        sources(&mut objects, wish);
    }
    objects.retain(|id, _| wish.kinds.contains(&id.kind));
    objects
}

fn groups(objects: &mut Objects, wish: &Wish<'_>, members: &BTreeMap<String, Right>) {
    let code = &wish.definition.code;
    for (group, right) in [
        (code.writers_group(), Right::Write),
        (code.readers_group(), Right::Read),
    ] {
        let mut attributes = Attributes::from([("comment".to_owned(), comment(wish))]);
        attributes.extend(
            members
                .iter()
                .filter(|(_, has)| **has == right)
                .map(|(account, _)| (format!("member:{account}"), "yes".to_owned())),
        );
        objects.insert(ObjectId::new(Kind::Group, group), attributes);
    }
}

fn directories(objects: &mut Objects, wish: &Wish<'_>) {
    for own in ["", "metadata", "landing"] {
        let attributes = if own.is_empty() && wish.sealed {
            Attributes::from([("mode".to_owned(), "0700".to_owned())])
        } else {
            directory(wish, DirectoryKind::Frame)
        };
        objects.insert(ObjectId::new(Kind::Directory, own), attributes);
    }
    for source in &wish.definition.sources {
        landing(objects, wish, &source.id);
    }
    for each in wish.directories {
        let attributes = directory(wish, each.kind);
        objects.insert(
            ObjectId::new(Kind::Directory, each.path.as_str()),
            attributes,
        );
    }
}

fn directory(wish: &Wish<'_>, kind: DirectoryKind) -> Attributes {
    let frame = kind == DirectoryKind::Frame;
    let mut attributes = Attributes::new();
    let mut set = |name: &str, value: String| attributes.insert(name.to_owned(), value);
    if wish.enforced {
        let code = &wish.definition.code;
        set("owner", "root".into());
        set("group", code.writers_group());
        set("mode", if frame { "2750" } else { "2770" }.into());
        set("acl", acl(code, frame, frame));
        set("default-acl", acl(code, frame, false));
    } else {
        let closed = !frame && is_read_only(wish.definition.status);
        let mode = match (frame, closed) {
            (true, _) => "2750",
            (false, false) => "2770",
            (false, true) => "2550",
        };
        set("mode", mode.into());
        set("default-acl", "u::rwx,g::---,o::---".into());
    }
    attributes
}

/// The landing of a source: `data` and `sums`, where it writes and can neither replace nor take away what root put
/// (sticky), and `receipts`, which it reads. Its account is named once it exists; members look, and change nothing.
fn landing(objects: &mut Objects, wish: &Wish<'_>, source: &SourceId) {
    let account = source_account(wish.id, source);
    for (name, mode, rights) in [
        ("", "2750", "r-x"),
        ("/data", "3770", "rwx"),
        ("/receipts", "2750", "r-x"),
        ("/sums", "3770", "rwx"),
    ] {
        let mut attributes = directory(wish, DirectoryKind::Frame);
        attributes.insert("mode".to_owned(), mode.to_owned());
        if wish.enforced && (wish.has_account)(&account) {
            let code = &wish.definition.code;
            let list = format!(
                "u::rwx,u:{account}:{rights},g::---,g:{}:r-x,g:{}:r-x,m::{rights},o::---",
                code.readers_group(),
                code.writers_group(),
            );
            attributes.insert("acl".to_owned(), list);
        } else if wish.enforced {
            // The mask is the mode's group bits, whoever is named.
            attributes.insert(
                "acl".to_owned(),
                acl(&wish.definition.code, true, rights == "r-x"),
            );
        }
        let path = format!("landing/{source}{name}");
        objects.insert(ObjectId::new(Kind::Directory, path), attributes);
    }
}

fn sources(objects: &mut Objects, wish: &Wish<'_>) {
    let definition = wish.definition;
    for source in &definition.sources {
        let mut attributes = Attributes::from([
            ("id".to_owned(), wish.id.to_owned()),
            ("account".to_owned(), source_account(wish.id, &source.id)),
            ("path".to_owned(), format!("landing/{}", source.id)),
            (
                "read-only".to_owned(),
                is_read_only(definition.status).to_string(),
            ),
        ]);
        let keys = wish.source_keys.sources.get(&source.id);
        for (number, enrolled) in keys.into_iter().flatten().enumerate() {
            attributes.insert(format!("key:{}", number + 1), enrolled.key.to_string());
        }
        let key = format!("{}/{}", definition.code, source.id);
        objects.insert(ObjectId::new(Kind::Source, key), attributes);
    }
}

/// The text form of acl(5). The owning group is empty on purpose: when a chmod drops set-group-ID from a directory, new
/// files belong to everybody's primary group, and readers would write.
fn acl(code: &Code, frame: bool, narrow_mask: bool) -> String {
    let writers = if frame { "r-x" } else { "rwx" };
    let mask = if narrow_mask { "r-x" } else { "rwx" };
    format!(
        "u::rwx,g::---,g:{}:r-x,g:{}:{writers},m::{mask},o::---",
        code.readers_group(),
        code.writers_group(),
    )
}

fn entry(objects: &mut Objects, wish: &Wish<'_>, members: &BTreeMap<String, Right>) {
    let definition = wish.definition;
    let code = definition.code.to_string();
    let closed = is_read_only(definition.status);
    let doors = definition.protocols.sftp || definition.protocols.rsync;
    let mut attributes = Attributes::from([
        ("id".to_owned(), wish.id.to_owned()),
        ("path".to_owned(), wish.path.display().to_string()),
        ("read-only".to_owned(), closed.to_string()),
        ("sftp".to_owned(), definition.protocols.sftp.to_string()),
        ("rsync".to_owned(), definition.protocols.rsync.to_string()),
        (
            "shared-folder".to_owned(),
            wish.shared_folder.unwrap_or_default().to_owned(),
        ),
    ]);
    let mut mounts = Attributes::from([
        (
            "self".to_owned(),
            if closed { "ro" } else { "rw" }.to_owned(),
        ),
        ("self.flags".to_owned(), MOUNT_FLAGS.to_owned()),
    ]);
    for (account, right) in members {
        let (access, mount) = match right {
            Right::Write if closed => ("write", "ro"),
            Right::Write => ("write", "rw"),
            Right::Read => ("read", "ro"),
        };
        attributes.insert(format!("person:{account}"), access.to_owned());
        if doors {
            mounts.insert(format!("jail:{account}"), mount.to_owned());
        }
    }
    for source in &definition.sources {
        let account = source_account(wish.id, &source.id);
        if (wish.has_account)(&account) {
            let mount = if closed { "ro" } else { "rw" };
            mounts.insert(format!("jail:{account}"), mount.to_owned());
        }
    }
    objects.insert(ObjectId::new(Kind::Entry, &code), attributes);
    objects.insert(ObjectId::new(Kind::Mounts, &code), mounts);
}

/// The shared folder, and the doors that need one.
fn doors(objects: &mut Objects, wish: &Wish<'_>, members: &BTreeMap<String, Right>) {
    let protocols = &wish.definition.protocols;
    if protocols.smb || protocols.ftp || protocols.rsyncd || !protocols.nfs.is_empty() {
        shared_folder(objects, wish);
    }
    if protocols.smb {
        smb(objects, wish);
    }
    if protocols.ftp {
        ftp(objects, wish);
    }
    for row in &protocols.nfs {
        nfs(objects, wish, row);
    }
    if protocols.rsyncd {
        rsyncd(objects, wish, members);
    }
}

/// Every transfer runs as the person, with all their groups: the file system decides. Nobody writes.
fn rsyncd(objects: &mut Objects, wish: &Wish<'_>, members: &BTreeMap<String, Right>) {
    let fixed = [
        ("enable", "true"),
        ("uid", "%RSYNC_USER_NAME%"),
        ("gid", "*"),
        ("readonly", "true"),
        ("writeonly", "false"),
        ("list", "false"),
        ("usechroot", "true"),
        ("authusers", "true"),
        (
            "extraoptions",
            "refuse options = acls xattrs copy-devices write-devices fake-super delete",
        ),
    ];
    let mut attributes: Attributes = fixed
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    attributes.insert("comment".to_owned(), comment(wish));
    for account in members.keys() {
        attributes.insert(format!("user:{account}"), "yes".to_owned());
    }
    let module = ObjectId::new(Kind::RsyncModule, wish.definition.code.as_str());
    objects.insert(module, attributes);
}

fn shared_folder(objects: &mut Objects, wish: &Wish<'_>) {
    let code = &wish.definition.code;
    let name = code.to_string();
    objects.insert(
        ObjectId::new(Kind::SharedFolder, &name),
        Attributes::from([
            ("path".to_owned(), wish.path.display().to_string()),
            ("comment".to_owned(), comment(wish)),
        ]),
    );
    objects.insert(
        ObjectId::new(Kind::Privileges, &name),
        Attributes::from([
            (
                format!("group:{}", code.writers_group()),
                "write".to_owned(),
            ),
            (format!("group:{}", code.readers_group()), "read".to_owned()),
        ]),
    );
}

/// Members set no modes over FTP, and nothing is copied on the server past the file system's rights: the default access
/// lists give the rights that new files need.
fn ftp(objects: &mut Objects, wish: &Wish<'_>) {
    objects.insert(
        ObjectId::new(Kind::FtpShare, wish.definition.code.as_str()),
        Attributes::from([
            ("enable".to_owned(), "true".to_owned()),
            ("comment".to_owned(), comment(wish)),
            ("extraoptions".to_owned(), FTP_LIMITS.to_owned()),
        ]),
    );
}

/// What proftpd does not do in an experiment; MFMT, the time of a file, stays.
const FTP_LIMITS: &str = "<Limit SITE_CHMOD SITE_CHGRP SITE_SYMLINK SITE_CPFR SITE_CPTO SITE_UTIME MFF>\n  DenyAll\n</Limit>";

/// Everybody on that machine is squashed to nobody, in the group of writers or readers: the file system decides by it.
fn nfs(objects: &mut Objects, wish: &Wish<'_>, row: &NfsRow) {
    let code = &wish.definition.code;
    let (options, checks, group) = match row.access {
        Access::Read => ("ro", "no_subtree_check", code.readers_group()),
        Access::Write | Access::Manage => ("rw", "subtree_check", code.writers_group()),
    };
    objects.insert(
        ObjectId::new(Kind::NfsShare, format!("{code}/{}", row.host)),
        Attributes::from([
            ("options".to_owned(), options.to_owned()),
            ("comment".to_owned(), comment(wish)),
            (
                "extraoptions".to_owned(),
                format!(
                    "{checks},root_squash,all_squash,anonuid={NOBODY},anongid={group},sec=sys,sync"
                ),
            ),
        ]),
    );
}

/// The number of `nobody` in Debian.
const NOBODY: u32 = 65534;

fn smb(objects: &mut Objects, wish: &Wish<'_>) {
    let name = wish.definition.code.to_string();
    let fixed = [
        ("enable", "true"),
        ("guest", "no"),
        ("readonly", "false"),
        ("browseable", "true"),
        ("recyclebin", "false"),
        ("hidedotfiles", "true"),
        ("inheritacls", "true"),
        ("inheritpermissions", "false"),
        ("easupport", "true"),
        ("storedosattributes", "true"),
        ("followsymlinks", "true"),
        ("widelinks", "false"),
        (
            "extraoptions",
            "nt acl support = no\naccess based share enum = yes\nhide unreadable = yes",
        ),
    ];
    let mut attributes: Attributes = fixed
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    attributes.insert("comment".to_owned(), comment(wish));
    objects.insert(ObjectId::new(Kind::SmbShare, &name), attributes);
}

/// By this a person sees, and we recognise, what belongs to an experiment.
fn comment(wish: &Wish<'_>) -> String {
    format!("{MARK}{}", wish.id)
}
