//! Sealing: a file that nobody among the members may change any more. Root owns it, its rights say read and no more, and
//! where the file system can and we are root, it is immutable (`chattr +i`), so that it can be neither renamed nor removed by
//! those who may write in its directory. The evidence says which files are sealed; this is how that stands on the disk.

use crate::error::Result;
use crate::sys::acl::{Acl, Perms, Which};
use crate::sys::dir::{Dir, Metadata, Node};
use crate::sys::process;

/// How much of a seal the place allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Rights, and the immutable attribute.
    Flag,
    /// Rights only: whoever owns the file can take them back.
    Rights,
}

impl Strength {
    /// What a NAS that enforces rights has, and one that does not.
    pub fn of(enforces: bool) -> Self {
        if enforces && process::is_root() {
            Self::Flag
        } else {
            Self::Rights
        }
    }
}

const READ: u32 = 4;

/// True where a file has the shape of a sealed one: root's (or ours, where rights are not enforced), and nobody may write.
pub fn is_sealed(node: &Node) -> Result<bool> {
    let metadata = node.metadata()?;
    let ours = metadata.uid == 0 || !process::is_root();
    Ok(ours && metadata.mode & 0o222 == 0)
}

/// The list of a sealed file: what it had, without writing.
pub fn closed(list: &Acl) -> Acl {
    let read = |perms: Perms| perms.and(Perms::from_bits(READ | 1));
    let mut list = list.clone();
    list.user_obj = read(list.user_obj);
    list.group_obj = read(list.group_obj);
    list.other = read(list.other);
    for perms in list.users.values_mut().chain(list.groups.values_mut()) {
        *perms = read(*perms);
    }
    list.mask = list.mask.map(read);
    list
}

/// Gives a file that nobody else reaches the rights of a new file in `dir`, sealed or not.
pub fn dress(node: &Node, dir: &Dir, sealed: bool) -> Result<()> {
    dress_as(
        node,
        &dir.metadata()?,
        dir.acl(Which::Default)?.as_ref(),
        sealed,
    )
}

/// The same where the directory's own rights and its default list are known.
pub fn dress_as(node: &Node, owner: &Metadata, default: Option<&Acl>, sealed: bool) -> Result<()> {
    if process::is_root() {
        // Who owns a file may always change its rights: one that is sealed is never that of whoever made its directory.
        let uid = if sealed { 0 } else { owner.uid };
        node.set_owner(Some(uid), Some(owner.gid))?;
    }
    let read_write = Perms::from_bits(6);
    let bits = if sealed { 0o444 } else { 0o666 };
    match default {
        Some(list) if !list.is_minimal() => {
            let mut list = list.clone();
            list.user_obj = read_write;
            list.mask = Some(read_write);
            if sealed {
                list = closed(&list);
            }
            node.set_acl(Which::Access, Some(&list))
        }
        Some(list) => node.set_mode(list.mode_bits() & bits),
        None => node.set_mode(owner.mode & bits),
    }
}

/// Seals a file in its place. True where it is immutable now.
pub fn seal(node: &Node, strength: Strength) -> Result<bool> {
    if node.is_immutable() {
        return Ok(true);
    }
    // Rights first: after the attribute nobody changes anything. Whoever has it open for writing keeps that until they
    // close it, so the attribute is no proof, and the next check reads the file.
    if process::is_root() {
        node.set_owner(Some(0), None)?;
    }
    match node.acl(Which::Access)?.filter(|list| !list.is_minimal()) {
        Some(list) => node.set_acl(Which::Access, Some(&closed(&list)))?,
        None => node.set_mode(node.metadata()?.mode & 0o555)?,
    }
    match strength {
        Strength::Flag => node.set_immutable(true),
        Strength::Rights => Ok(false),
    }
}

/// Takes the seal off a file in its place: it has the rights of a new file in `dir` again.
pub fn unseal(node: &Node, dir: &Dir) -> Result<()> {
    node.set_immutable(false)?;
    dress(node, dir, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::Permissions;

    fn leaf() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir_in("/var/tmp").unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let default = Acl {
            user_obj: Perms::ALL,
            users: [].into(),
            group_obj: Perms::NONE,
            groups: [(4001, Perms::ALL), (4002, Perms::from_bits(5))].into(),
            mask: Some(Perms::ALL),
            other: Perms::NONE,
        };
        if dir.set_acl(Which::Default, Some(&default)).is_err() {
            eprintln!("SKIPPED: /var/tmp has no access lists");
        }
        (temp, dir)
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_sealed_file_is_read_by_members_and_written_by_nobody_until_the_seal_is_taken_off() {
        let (temp, dir) = leaf();
        dir.write("file", b"x", &Permissions::PRIVATE).unwrap();
        let node = dir.node_at("file").unwrap().unwrap();
        dress(&node, &dir, false).unwrap();
        let before = node.acl(Which::Access).unwrap();
        assert!(!is_sealed(&node).unwrap());
        let is_immutable = seal(&node, Strength::of(true)).unwrap();
        assert!(is_sealed(&node).unwrap());
        assert_eq!(node.metadata().unwrap().mode & 0o222, 0);
        if let Some(list) = node.acl(Which::Access).unwrap() {
            assert!(
                list.groups
                    .values()
                    .all(|perms| *perms == Perms::from_bits(READ | 1)
                        || *perms == Perms::from_bits(READ))
            );
        }
        if is_immutable {
            assert!(std::fs::remove_file(temp.path().join("file")).is_err());
            assert!(std::fs::rename(temp.path().join("file"), temp.path().join("x")).is_err());
        } else {
            eprintln!("SKIPPED: no immutable attribute here");
        }
        assert_eq!(seal(&node, Strength::of(true)).unwrap(), is_immutable);
        unseal(&node, &dir).unwrap();
        assert_eq!(node.acl(Which::Access).unwrap(), before);
        std::fs::remove_file(temp.path().join("file")).unwrap();
    }

    #[test]
    fn a_sealed_file_is_never_that_of_whoever_made_its_directory() {
        let (_temp, dir) = leaf();
        if !process::is_root() {
            println!("SKIPPED: root alone gives files away");
            return;
        }
        dir.create_dir("mine", 0o770).unwrap();
        let mine = dir.existing("mine").unwrap();
        mine.set_owner(Some(4242), Some(4243)).unwrap();
        for (name, sealed, uid) in [("a", true, 0), ("b", false, 4242)] {
            mine.write(name, b"x", &Permissions::PRIVATE).unwrap();
            let node = mine.node_at(name).unwrap().unwrap();
            dress(&node, &mine, sealed).unwrap();
            assert_eq!(node.metadata().unwrap().uid, uid, "{name}");
            assert_eq!(is_sealed(&node).unwrap(), sealed, "{name}");
        }
    }

    #[test]
    fn a_tree_with_sealed_files_can_be_removed_by_who_means_it() {
        let (_temp, dir) = leaf();
        dir.create_dir("raw", 0o700).unwrap();
        let raw = dir.existing("raw").unwrap();
        raw.write("file", b"x", &Permissions::PRIVATE).unwrap();
        seal(&raw.node_at("file").unwrap().unwrap(), Strength::of(true)).unwrap();
        assert!(dir.remove_tree("raw").unwrap());
    }
}
