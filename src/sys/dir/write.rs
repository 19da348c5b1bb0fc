//! Files appear whole: written beside, fsynced, renamed, the directory fsynced.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, renameat, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};

use super::{Dir, FileKind, Metadata, Node, component, magic_path};
use crate::error::{Error, Result};
use crate::sys::acl::Which;
use crate::sys::failure::{errno_of, failed};
use crate::sys::fault;

/// What the names of unfinished files begin with.
pub(super) const UNFINISHED: &str = ".octonas-new-";

/// Owner and mode of a file; never an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// Owner; `None` is whoever runs us.
    pub uid: Option<u32>,
    /// Owning group; `None` is what the directory gives.
    pub gid: Option<u32>,
    /// Mode bits.
    pub mode: u32,
}

impl Permissions {
    /// 0600, whoever runs us.
    pub const PRIVATE: Self = Self {
        uid: None,
        gid: None,
        mode: 0o600,
    };
    /// 0644, whoever runs us.
    pub const PUBLIC: Self = Self {
        uid: None,
        gid: None,
        mode: 0o644,
    };
}

/// What a rename does with something that has the new name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It is the error `path.exists`.
    Never,
    /// A file is replaced (a directory only where it is empty).
    Allow,
}

impl Dir {
    /// Writes a whole file in it, replacing what had the name. A reader sees the old content or the new one; when
    /// this returns, the new one is on the disk. Owner and mode are set before it has a name, and an access list
    /// that it would inherit is removed.
    pub fn write(
        &self,
        name: impl AsRef<OsStr>,
        bytes: &[u8],
        permissions: &Permissions,
    ) -> Result<()> {
        let name = component(name.as_ref())?;
        let failed = |e| failed("write", &self.path_of(name), e);
        let (mut file, beside) = self.nameless().map_err(failed)?;
        let result = fill(&mut file, bytes, permissions)
            .and_then(|()| self.name_it(&file, beside.as_deref(), name));
        if let (Err(_), Some(beside)) = (&result, &beside) {
            let _ = unlinkat(self, beside.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        result.map_err(failed)?;
        self.sync()
    }

    /// Adds bytes to the end of a file in it, which is made (mode 0600) where it does not exist; on the disk when this
    /// returns. Where it fails, what was added is cut off again. The file must be a regular one with a single name.
    pub fn append(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> Result<()> {
        append_to(&self.open_to_append(name.as_ref())?, bytes)
    }

    /// The same for a file whose first `good` bytes are right and which was `seen` bytes long when that was found
    /// out: what stands after `good` is cut off first. Another length than `seen` is the error `file.changed`.
    pub fn append_after(
        &self,
        name: impl AsRef<OsStr>,
        good: u64,
        seen: u64,
        bytes: &[u8],
    ) -> Result<()> {
        let node = self.open_to_append(name.as_ref())?;
        if node.metadata()?.size != seen {
            return Err(Error::new(
                "file.changed",
                format!("{} was changed by somebody else", node.path().display()),
            )
            .hint("run it again"));
        }
        if good < seen {
            fault::errno("truncate")
                .and_then(|()| node.file().set_len(good).map_err(|e| errno_of(&e)))
                .map_err(|e| failed("cut the end off", node.path(), e))?;
        }
        append_to(&node, bytes)
    }

    /// A regular file with a single name, open for appending; made where it does not exist.
    pub(in crate::sys) fn open_to_append(&self, name: &OsStr) -> Result<Node> {
        let name = component(name)?;
        let path = self.path_of(name);
        let place = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW;
        // Never O_CREAT on what is there: fs.protected_regular=2 refuses even root in a sticky directory.
        for _ in 0..100 {
            match self.open_raw(Path::new(name), place, Mode::empty()) {
                Ok(fd) => {
                    return self.writable_at(&fd, name, OFlag::O_RDWR | OFlag::O_APPEND);
                }
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(failed("open", &path, e)),
            }
            let made = fault::errno("write").and_then(|()| {
                self.open_raw(Path::new(name), new, Mode::from_bits_truncate(0o600))
            });
            match made {
                Ok(fd) => {
                    let node = Node::new(File::from(fd), path.clone());
                    node.set_acl(Which::Access, None)?;
                    node.set_mode(0o600)?;
                    self.sync()?;
                }
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(failed("make", &path, e)),
            }
        }
        Err(failed("open", &path, Errno::EBUSY))
    }

    /// Renames something in it into `to_dir`, and makes both durable.
    pub fn rename(
        &self,
        from: impl AsRef<OsStr>,
        to_dir: &Self,
        to: impl AsRef<OsStr>,
        replace: Replace,
    ) -> Result<()> {
        let from = component(from.as_ref())?;
        let to = component(to.as_ref())?;
        let renamed = fault::errno("rename").and_then(|()| match replace {
            Replace::Allow => renameat(self, from, to_dir, to),
            Replace::Never => self.rename_noreplace(from, to_dir, to),
        });
        renamed.map_err(|e| match e {
            Errno::EEXIST | Errno::ENOTEMPTY => {
                failed("rename to", &to_dir.path_of(to), Errno::EEXIST)
            }
            e => failed("rename", &self.path_of(from), e),
        })?;
        to_dir.sync()?;
        if self.path() != to_dir.path() {
            self.sync()?;
        }
        Ok(())
    }

    /// renameat2(2) with `RENAME_NOREPLACE`. File systems that do not know it (FUSE pools) get a new name first, which
    /// never replaces either, and lose the old one after; directories there are looked for before.
    pub(super) fn rename_noreplace(
        &self,
        from: &OsStr,
        to_dir: &Self,
        to: &OsStr,
    ) -> nix::Result<()> {
        match renameat2(self, from, to_dir, to, RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {}
            other => return other,
        }
        match linkat(self, from, to_dir, to, AtFlags::empty()) {
            Ok(()) => return unlinkat(self, from, UnlinkatFlags::NoRemoveDir),
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
            Err(e) => return Err(e),
        }
        match nix::sys::stat::fstatat(to_dir, to, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => renameat(self, from, to_dir, to),
            Ok(_) => Err(Errno::EEXIST),
            Err(e) => Err(e),
        }
    }

    /// Removes unfinished files that a killed run left in it; only under the lock of whoever writes here.
    pub fn remove_unfinished(&self) -> Result<()> {
        for entry in self.entries()? {
            let ours = entry
                .name
                .as_encoded_bytes()
                .starts_with(UNFINISHED.as_bytes());
            if ours && entry.kind == FileKind::File {
                self.remove_file(&entry.name)?;
            }
        }
        Ok(())
    }

    /// True where the file system can make a file without a name (`O_TMPFILE`).
    pub fn has_unnamed_files(&self) -> bool {
        match self.nameless() {
            Ok((_, Some(beside))) => {
                let _ = unlinkat(self, beside.as_str(), UnlinkatFlags::NoRemoveDir);
                false
            }
            other => other.is_ok(),
        }
    }

    /// An existing regular file with a single name, open for reading and writing; never created. `None` where it is
    /// not there.
    pub fn writable(&self, name: impl AsRef<OsStr>) -> Result<Option<Node>> {
        let name = component(name.as_ref())?;
        let path = self.path_of(name);
        match self.open_raw(
            Path::new(name),
            OFlag::O_PATH | OFlag::O_NOFOLLOW,
            Mode::empty(),
        ) {
            Ok(fd) => self.writable_at(&fd, name, OFlag::O_RDWR).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(failed("open", &path, e)),
        }
    }

    /// Opens what `place` (`O_PATH`) stands for, if it is a regular file with a single name.
    fn writable_at(&self, place: &impl AsFd, name: &OsStr, flags: OFlag) -> Result<Node> {
        let path = self.path_of(name);
        let before = nix::sys::stat::fstat(place).map_err(|e| failed("look at", &path, e))?;
        if Metadata::from_stat(&before).kind == FileKind::Directory {
            return Err(super::not_regular(&path));
        }
        let node = Node::reopen(place, path, flags)?.named(self, name)?;
        node.only_name()?;
        Ok(node)
    }

    /// A new file that nobody else can open: without a name (`O_TMPFILE`) where the file system can, otherwise under
    /// a name of its own, which is given.
    pub(super) fn nameless(&self) -> nix::Result<(File, Option<String>)> {
        fault::errno("write")?;
        let private = Mode::from_bits_truncate(0o600);
        match self.open_raw(Path::new("."), OFlag::O_TMPFILE | OFlag::O_RDWR, private) {
            Ok(fd) => return Ok((File::from(fd), None)),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => {}
            Err(e) => return Err(e),
        }
        let beside = unfinished();
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_NOFOLLOW;
        let fd = self.open_raw(Path::new(&beside), flags, private)?;
        Ok((File::from(fd), Some(beside)))
    }

    /// Gives a finished file its name.
    fn name_it(&self, file: &File, beside: Option<&str>, name: &OsStr) -> nix::Result<()> {
        if let Some(beside) = beside {
            fault::errno("rename")?;
            return renameat(self, beside, self, name);
        }
        let link = |name: &OsStr| {
            fault::errno("link")?;
            linkat(
                AT_FDCWD,
                &magic_path(file),
                self,
                name,
                AtFlags::AT_SYMLINK_FOLLOW,
            )
        };
        match link(name) {
            Err(Errno::EEXIST) => {}
            other => return other,
        }
        let beside = unfinished();
        link(OsStr::new(&beside))?;
        let renamed =
            fault::errno("rename").and_then(|()| renameat(self, beside.as_str(), self, name));
        if renamed.is_err() {
            let _ = unlinkat(self, beside.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        renamed
    }
}

fn append_to(node: &Node, bytes: &[u8]) -> Result<()> {
    let before = node.metadata()?.size;
    let result = fault::errno("append")
        .and_then(|()| node.file().write_all(bytes).map_err(|e| errno_of(&e)))
        .and_then(|()| fault::errno("fsync.file"))
        .and_then(|()| fsync(node));
    if result.is_err() {
        let _ = node.file().set_len(before);
    }
    result.map_err(|e| failed("append to", node.path(), e))
}

/// Content, owner, no access list, mode, and all of it on the disk.
fn fill(file: &mut File, bytes: &[u8], permissions: &Permissions) -> nix::Result<()> {
    use nix::unistd::{Gid, Uid};
    use xattr::FileExt as _;

    file.write_all(bytes).map_err(|e| errno_of(&e))?;
    if permissions.uid.is_some() || permissions.gid.is_some() {
        let (uid, gid) = (permissions.uid, permissions.gid);
        nix::unistd::fchown(&*file, uid.map(Uid::from_raw), gid.map(Gid::from_raw))?;
    }
    match file
        .remove_xattr(Which::Access.attribute())
        .map_err(|e| errno_of(&e))
    {
        Ok(()) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => {}
        Err(e) => return Err(e),
    }
    nix::sys::stat::fchmod(&*file, Mode::from_bits_truncate(permissions.mode))?;
    fault::errno("fsync.file")?;
    fsync(&*file)
}

fn unfinished() -> String {
    format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple())
}
