//! From a definition to the objects that should be: pure. The rights are those proven for OpenMediaVault: two named
//! groups, an empty owning-group entry, a frame that belongs to root, leaves in which members write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::experiment::{
    Access, Code, Date, Definition, NfsRow, Source, Status, source_account, source_share,
};
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
#[allow(clippy::struct_excessive_bools)] // Each one is its own question.
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
    /// The NAS's own name of the shared folder, once it exists.
    pub shared_folder: Option<&'a str>,
    /// It lies in the common share of its base: it has no shared folder and no share of its own, and no door but those that
    /// go by the file system.
    pub in_common_share: bool,
    /// The keys of its sources.
    pub source_keys: &'a SourceKeys,
    /// True for a system account that the NAS has: only then can a directory be given to it.
    pub has_account: &'a dyn Fn(&str) -> bool,
    /// Access that ended before this day is not desired.
    pub today: Date,
    /// Its file system can keep it within its quota (or could, when that was set).
    pub quota: bool,
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
    objects.extend(super::quota::desired(wish));
    if definition.status != Status::Draft && !wish.sealed {
        entry(&mut objects, wish, &members);
        doors(&mut objects, wish, &members);
        sources(&mut objects, wish);
        source_shares(&mut objects, wish);
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
    let definition = wish.definition;
    // A machine with a share of its own walks through these, and sees nothing on its way.
    let passing: BTreeMap<String, &str> = definition
        .sources
        .iter()
        .filter_map(|source| guest(wish, source))
        .map(|account| (account, "--x"))
        .collect();
    objects.insert(
        ObjectId::new(Kind::Directory, "metadata"),
        directory(wish, DirectoryKind::Frame),
    );
    // Whatever lies in a common share is within reach at once: a draft has no mount yet.
    let shut = wish.sealed || (wish.in_common_share && definition.status == Status::Draft);
    for own in ["", "landing"] {
        let attributes = if own.is_empty() && shut {
            Attributes::from([("mode".to_owned(), "0700".to_owned())])
        } else {
            frame(wish, "2750", "r-x", &passing)
        };
        objects.insert(ObjectId::new(Kind::Directory, own), attributes);
    }
    for source in &definition.sources {
        landing(objects, wish, source);
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
    if kind == DirectoryKind::Frame {
        return frame(wish, "2750", "r-x", &BTreeMap::new());
    }
    let mut attributes = Attributes::new();
    let mut set = |name: &str, value: String| attributes.insert(name.to_owned(), value);
    if wish.enforced {
        let code = &wish.definition.code;
        set("owner", "root".into());
        set("group", code.writers_group());
        set("mode", "2770".into());
        set("acl", acl(code, &BTreeMap::new(), "rwx", "rwx"));
        set("default-acl", acl(code, &BTreeMap::new(), "rwx", "rwx"));
    } else {
        let closed = is_read_only(wish.definition.status);
        set("mode", if closed { "2550" } else { "2770" }.into());
        set("default-acl", "u::rwx,g::---,o::---".into());
    }
    attributes
}

/// A directory in which members look and change nothing, with the accounts of machines that are let in by name.
fn frame(wish: &Wish<'_>, mode: &str, mask: &str, guests: &BTreeMap<String, &str>) -> Attributes {
    let mut attributes = Attributes::from([("mode".to_owned(), mode.to_owned())]);
    let mut set = |name: &str, value: String| attributes.insert(name.to_owned(), value);
    if wish.enforced {
        let code = &wish.definition.code;
        set("owner", "root".into());
        set("group", code.writers_group());
        set("acl", acl(code, guests, "r-x", mask));
        set("default-acl", acl(code, &BTreeMap::new(), "r-x", "rwx"));
    } else {
        set("default-acl", "u::rwx,g::---,o::---".into());
    }
    attributes
}

/// The account with which a machine comes in over a share, once the NAS has it.
fn guest(wish: &Wish<'_>, source: &Source) -> Option<String> {
    let account = source.account.as_ref()?.to_string();
    (wish.has_account)(&account).then_some(account)
}

/// The landing of a source: `data` and `sums`, where it writes and can neither replace nor take away what root put
/// (sticky), and `receipts`, which it reads. Its accounts are named once they exist; members look, and change nothing.
fn landing(objects: &mut Objects, wish: &Wish<'_>, source: &Source) {
    let by_key = source_account(wish.id, &source.id);
    let accounts: BTreeSet<String> = (wish.has_account)(&by_key)
        .then_some(by_key)
        .into_iter()
        .chain(guest(wish, source))
        .collect();
    for (name, mode, rights) in [
        ("", "2750", "r-x"),
        ("/data", "3770", "rwx"),
        ("/receipts", "2750", "r-x"),
        ("/sums", "3770", "rwx"),
    ] {
        let guests = accounts.iter().map(|account| (account.clone(), rights));
        // The mask is the mode's group bits, whoever is named.
        let attributes = frame(wish, mode, rights, &guests.collect());
        let path = format!("landing/{}{name}", source.id);
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
fn acl(code: &Code, guests: &BTreeMap<String, &str>, writers: &str, mask: &str) -> String {
    let guests: Vec<String> = guests
        .iter()
        .map(|(account, rights)| format!("u:{account}:{rights},"))
        .collect();
    let guests = guests.concat();
    format!(
        "u::rwx,{guests}g::---,g:{}:r-x,g:{}:{writers},m::{mask},o::---",
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
    if wish.in_common_share {
        return;
    }
    let protocols = &wish.definition.protocols;
    if protocols.smb || protocols.ftp || protocols.rsyncd || !protocols.nfs.is_empty() {
        let code = &wish.definition.code;
        let holders = [
            (format!("group:{}", code.writers_group()), "write"),
            (format!("group:{}", code.readers_group()), "read"),
        ];
        let comment = comment(wish);
        shared_folder(objects, &comment, code.as_str(), wish.path, holders);
    }
    if protocols.smb {
        smb(objects, &comment(wish), wish.definition.code.as_str());
    }
    if protocols.ftp {
        ftp(objects, wish, wish.definition.code.as_str());
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
            "refuse options = acls xattrs copy-devices write-devices fake-super delete\n\
             exclude = /metadata/applied.jsonl /metadata/before-import.facl",
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

/// The landing of a machine that cannot do SSH, as a share that nobody else sees.
fn source_shares(objects: &mut Objects, wish: &Wish<'_>) {
    for source in &wish.definition.sources {
        let Some(account) = &source.account else {
            continue;
        };
        let name = source_share(&wish.definition.code, &source.id);
        let path = wish.path.join("landing").join(source.id.as_str());
        let holder = [(format!("user:{account}"), "write")];
        shared_folder(objects, &comment(wish), &name, &path, holder);
        smb(objects, &comment(wish), &name);
        if wish.definition.protocols.ftp && !wish.in_common_share {
            ftp(objects, wish, &name);
        }
    }
}

/// A shared folder, and who may enter it as the NAS understands it.
pub(super) fn shared_folder<const N: usize>(
    objects: &mut Objects,
    comment: &str,
    name: &str,
    path: &Path,
    holders: [(String, &str); N],
) {
    objects.insert(
        ObjectId::new(Kind::SharedFolder, name),
        Attributes::from([
            ("path".to_owned(), path.display().to_string()),
            ("comment".to_owned(), comment.to_owned()),
        ]),
    );
    let holders = holders.map(|(holder, right)| (holder, right.to_owned()));
    objects.insert(
        ObjectId::new(Kind::Privileges, name),
        Attributes::from(holders),
    );
}

/// Members set no modes over FTP, and nothing is copied on the server past the file system's rights: the default access
/// lists give the rights that new files need.
fn ftp(objects: &mut Objects, wish: &Wish<'_>, name: &str) {
    objects.insert(
        ObjectId::new(Kind::FtpShare, name),
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

/// The SMB share of a shared folder.
pub(super) fn smb(objects: &mut Objects, comment: &str, name: &str) {
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
    attributes.insert("comment".to_owned(), comment.to_owned());
    objects.insert(ObjectId::new(Kind::SmbShare, name), attributes);
}

/// By this a person sees, and we recognise, what belongs to an experiment.
fn comment(wish: &Wish<'_>) -> String {
    format!("{MARK}{}", wish.id)
}
