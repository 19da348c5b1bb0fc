//! What is mounted, in every mount namespace; binding a directory, making it read-only for everybody, taking it away.
//!
//! A namespace is entered by a thread of its own that then calls mount(2): no program of a container is ever run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::dir::Dir;
use super::failure::{errno_of, failed};
use super::{fault, processes};
use crate::error::{Error, Result};

/// `MS_NOSYMFOLLOW` (mount(2), Linux 5.10).
const NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// One line of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Number of the mount, as `/proc/PID/fdinfo` names it.
    pub id: u64,
    /// Number of the mount on which it stands.
    pub parent: u64,
    /// `major:minor` of the file system.
    pub device: String,
    /// What of the file system is mounted: a path inside it.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Options of this mount (`ro`, `nosuid`, `nosymfollow`, …).
    pub options: BTreeSet<String>,
    /// Propagation (`shared:1`, `master:2`); empty is private.
    pub propagation: Vec<String>,
    /// Type of the file system.
    pub kind: String,
    /// Device or other source.
    pub source: OsString,
    /// Options of the file system itself; `ro` here is read-only for everybody.
    pub file_system_options: BTreeSet<String>,
}

impl Mount {
    /// True where nothing can be written through it.
    pub fn is_read_only(&self) -> bool {
        self.options.contains("ro") || self.file_system_options.contains("ro")
    }

    /// True where it shows `root` of the file system `device`, or something beneath.
    pub fn shows(&self, device: &str, root: &Path) -> bool {
        self.device == device && self.root.starts_with(root)
    }
}

/// Reads a mountinfo text. A line that is not of its form is the error `mounts.unreadable`.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>> {
    text.split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse_line(line).ok_or_else(|| {
                Error::new(
                    "mounts.unreadable",
                    format!(
                        "`{}` is not a line of mountinfo",
                        String::from_utf8_lossy(line)
                    ),
                )
            })
        })
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&b| b == b' ');
    let mut next = || fields.next();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse().ok();
    let set = |bytes: &[u8]| {
        Some(
            text(bytes)?
                .split(',')
                .filter(|o| !o.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    };
    let id = number(next()?)?;
    let parent = number(next()?)?;
    let device = text(next()?)?;
    let root = PathBuf::from(unescape(next()?));
    let point = PathBuf::from(unescape(next()?));
    let options = set(next()?)?;
    let mut propagation = Vec::new();
    loop {
        match next()? {
            b"-" => break,
            tag => propagation.push(text(tag)?),
        }
    }
    Some(Mount {
        id,
        parent,
        device,
        root,
        point,
        options,
        propagation,
        kind: text(next()?)?,
        source: unescape(next()?),
        file_system_options: set(next().unwrap_or_default())?,
    })
}

/// Undoes `\040` and its like.
fn unescape(bytes: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        if let (
            b'\\',
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ],
        ) = (first, tail)
        {
            out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = after;
        } else {
            out.push(first);
            rest = tail;
        }
    }
    OsString::from_vec(out)
}

/// What is mounted in our own namespace.
pub fn here() -> Result<Vec<Mount>> {
    read("self")
}

fn read(process: &str) -> Result<Vec<Mount>> {
    let path = PathBuf::from(format!("/proc/{process}/mountinfo"));
    let text = processes::read(&path).map_err(|e| failed("read", &path, errno_of(&e)))?;
    parse(&text)
}

/// The mount that shows at `path`: the last of those with the longest point that holds it.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|m| path.starts_with(&m.point))
        .max_by_key(|m| m.point.components().count())
}

/// The mount on which an open directory lies.
pub fn of<'a>(mounts: &'a [Mount], dir: &Dir) -> Option<&'a Mount> {
    let id = mount_id(dir).ok()?;
    mounts.iter().find(|m| m.id == id)
}

/// A mount namespace, by one of the processes in it.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Number of the namespace.
    pub inode: u64,
    /// A process in it.
    pub pid: i32,
    /// What is mounted there.
    pub mounts: Vec<Mount>,
}

/// Every mount namespace that a process lives in, our own among them. A process that ends meanwhile is passed over.
pub fn namespaces() -> Result<Vec<Namespace>> {
    let mut seen = BTreeMap::new();
    for pid in processes::pids()? {
        let Ok(link) = std::fs::read_link(format!("/proc/{pid}/ns/mnt")) else {
            continue;
        };
        let inode = link
            .to_str()
            .and_then(|text| text.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok());
        let Some(inode) = inode else { continue };
        if seen.contains_key(&inode) {
            continue;
        }
        if let Ok(mounts) = read(&pid.to_string()) {
            seen.insert(inode, Namespace { inode, pid, mounts });
        }
    }
    Ok(seen.into_values().collect())
}

/// The flags of mount(2) that keep a mount as it is when it is remounted.
fn kept_flags(mount: &Mount) -> MsFlags {
    let known = [
        ("ro", MsFlags::MS_RDONLY),
        ("nosuid", MsFlags::MS_NOSUID),
        ("nodev", MsFlags::MS_NODEV),
        ("noexec", MsFlags::MS_NOEXEC),
        ("noatime", MsFlags::MS_NOATIME),
        ("nodiratime", MsFlags::MS_NODIRATIME),
        ("relatime", MsFlags::MS_RELATIME),
        ("nosymfollow", NOSYMFOLLOW),
    ];
    known
        .into_iter()
        .filter(|(name, _)| mount.options.contains(*name))
        .fold(MsFlags::empty(), |flags, (_, flag)| flags | flag)
}

/// What a bind mount allows. It is always private, and never allows set-user-id programs, devices or links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindOptions {
    /// Nothing can be written through it.
    pub read_only: bool,
    /// Nothing can be executed through it.
    pub no_exec: bool,
    /// No link is followed in it.
    pub no_symlinks: bool,
}

impl BindOptions {
    fn flags(self) -> MsFlags {
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        flags.set(MsFlags::MS_RDONLY, self.read_only);
        flags.set(MsFlags::MS_NOEXEC, self.no_exec);
        flags.set(NOSYMFOLLOW, self.no_symlinks);
        flags
    }
}

/// Shows the directory `source` at the directory `target` too. Both are named by their descriptors, so that nobody
/// can turn either into something else; the new mount is private and restricted before this returns.
pub fn bind(source: &Dir, target: &Dir, options: BindOptions) -> Result<()> {
    let failed = |e| failed("mount something at", target.path(), e);
    let none: Option<&str> = None;
    let at = |dir: &Dir| PathBuf::from(format!("/proc/self/fd/{}", dir.node().file().as_raw_fd()));
    fault::errno("mount")
        .and_then(|()| mount(Some(&at(source)), &at(target), none, MsFlags::MS_BIND, none))
        .map_err(failed)?;
    // The target's descriptor still stands for what lies under the new mount: open what is on top now.
    let result = Dir::open_absolute(target.path()).and_then(|top| {
        if !top.metadata()?.same_object(&source.metadata()?) {
            return Err(failed(Errno::ESTALE));
        }
        let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | options.flags();
        mount(none, &at(&top), none, MsFlags::MS_PRIVATE, none)
            .and_then(|()| fault::errno("mount"))
            .and_then(|()| mount(none, &at(&top), none, remount, none))
            .map_err(failed)
    });
    if result.is_err() {
        let _ = umount2(
            target.path(),
            MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW,
        );
    }
    result
}

/// Takes the topmost mount at `path` away at once for whoever opens something now; what is open stays until it is
/// closed. False where nothing is mounted there.
pub fn unmount_lazily(path: &Path) -> Result<bool> {
    let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
    match fault::errno("unmount").and_then(|()| umount2(path, flags)) {
        Ok(()) => Ok(true),
        Err(Errno::EINVAL | Errno::ENOENT) => Ok(false),
        Err(e) => Err(failed("unmount", path, e)),
    }
}

/// How a remount came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remount {
    /// It is as asked now.
    Done,
    /// Somebody has a file open for writing through it.
    Busy,
    /// The mount or the namespace is gone.
    Gone,
}

/// Makes one mount in a namespace read-only or writable; its other options stay. A mount point there is opened
/// without following links, so that nobody who rules a container can turn us to another mount.
pub fn remount(namespace: &Namespace, mount_there: &Mount, read_only: bool) -> Result<Remount> {
    fault::point("mount")?;
    let mut flags = kept_flags(mount_there) | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    flags.set(MsFlags::MS_RDONLY, read_only);
    let path = PathBuf::from(format!("/proc/{}/ns/mnt", namespace.pid));
    let Ok(entry) = File::open(&path) else {
        return Ok(Remount::Gone);
    };
    let mine = std::fs::read_link("/proc/self/ns/mnt").ok();
    let theirs = OsString::from(format!("mnt:[{}]", namespace.inode));
    let foreign = mine.is_none_or(|mine| mine.into_os_string() != theirs);
    let (point, id) = (mount_there.point.clone(), mount_there.id);
    let worker = move || -> nix::Result<()> {
        unshare(CloneFlags::CLONE_FS)?;
        if foreign {
            setns(&entry, CloneFlags::CLONE_NEWNS)?;
        }
        enter(&point, id)?;
        let none: Option<&str> = None;
        mount(none, ".", none, flags, none)
    };
    let result = thread::spawn(worker).join().unwrap_or(Err(Errno::EIO));
    match result {
        Ok(()) => Ok(Remount::Done),
        Err(Errno::EBUSY) => Ok(Remount::Busy),
        Err(Errno::ENOENT | Errno::EINVAL | Errno::ESTALE | Errno::ENOTDIR) => Ok(Remount::Gone),
        Err(e) => Err(failed("remount", &mount_there.point, e)),
    }
}

/// Makes the root of mount `id` at `point` the working directory of this thread; `ESTALE` where another mount is there.
fn enter(point: &Path, id: u64) -> nix::Result<()> {
    let dir = Dir::open_absolute(point).map_err(|_| Errno::ENOENT)?;
    if mount_id(&dir)? != id {
        return Err(Errno::ESTALE);
    }
    nix::unistd::fchdir(&dir)
}

/// The number of the mount on which an open directory lies (statx(2), Linux 5.8).
fn mount_id(dir: &Dir) -> nix::Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};

    statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map(|stat| stat.stx_mnt_id)
        .map_err(|e| Errno::from_raw(e.raw_os_error()))
}

#[cfg(test)]
mod tests;
