//! Bind mounts, made and unmade (mount(2), `mount_namespaces(7)`).
//!
//! A mount is made complete in a place that nobody sees and then moved to where it belongs, so that a reader's jail is
//! never writable for a moment. All of ours are private: a mount made beneath one never appears elsewhere.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use crate::error::{Error, Result};
use crate::sys::fault;
use crate::sys::mounts::{Mount, here, unmount_lazily};
use crate::sys::processes::{End, Process, users_of};

/// Links are not followed by anybody (Linux 5.10); nix has no name for it yet.
pub(super) const NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// Flags by which a mount can differ from another one of ours, with their names in mountinfo.
pub(super) const FLAGS: &[(MsFlags, &str)] = &[
    (MsFlags::MS_RDONLY, "ro"),
    (MsFlags::MS_NOSUID, "nosuid"),
    (MsFlags::MS_NODEV, "nodev"),
    (MsFlags::MS_NOEXEC, "noexec"),
    (NOSYMFOLLOW, "nosymfollow"),
];

/// How often those who write are ended, and it is tried again.
pub(super) const ROUNDS: usize = 6;

/// The topmost mount at `point`.
pub(super) fn topmost<'t>(table: &'t [Mount], point: &Path) -> Option<&'t Mount> {
    table.iter().rfind(|m| m.point == point)
}

/// The flags of a mount that `options` of mountinfo name.
pub(super) fn flags<'o>(options: impl IntoIterator<Item = &'o String>) -> MsFlags {
    options
        .into_iter()
        .filter_map(|o| FLAGS.iter().find(|(_, name)| name == o))
        .fold(MsFlags::empty(), |all, (flag, _)| all | *flag)
}

fn failed(what: &str, path: &Path, e: Errno) -> Error {
    let error = Error::new("mount.failed", format!("cannot {what} {}", path.display()));
    match e {
        Errno::EBUSY => error.hint("somebody still writes there"),
        Errno::EPERM => error.hint("mounting is for root: run it with sudo"),
        _ => error.hint("see the system log, then run the same command again"),
    }
    .source(std::io::Error::from(e))
}

/// A file or directory, opened without following a link at its end.
fn held(path: &Path) -> Result<OwnedFd> {
    open(
        path,
        OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| failed("open", path, e))
}

fn of_descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// An empty tmpfs for small things of root's.
pub(super) fn small_tmpfs(target: &Path) -> Result<()> {
    fault::point("mount")?;
    mount(
        Some("octonas"),
        target,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        Some("mode=0700,size=64m"),
    )
    .and_then(|()| propagate_nothing(target))
    .map_err(|e| failed("mount a tmpfs at", target, e))
}

fn propagate_nothing(target: &Path) -> nix::Result<()> {
    mount(
        None::<&str>,
        target,
        None::<&str>,
        MsFlags::MS_PRIVATE,
        None::<&str>,
    )
}

/// Makes a mount private.
pub(super) fn make_private(target: &Path) -> Result<()> {
    propagate_nothing(target).map_err(|e| failed("make private", target, e))
}

/// Shows `source` at `target` with `flags`, complete from its first moment: made at `staging`, a name beside which
/// nobody but root comes, whose mount must be private.
pub(super) fn bind_staged(
    source: &Path,
    staging: &Path,
    target: &Path,
    flags: MsFlags,
) -> Result<()> {
    bind(source, staging, flags)?;
    fault::point("mount")?;
    let target_fd = held(target)?;
    mount(
        Some(staging),
        &of_descriptor(&target_fd),
        None::<&str>,
        MsFlags::MS_MOVE,
        None::<&str>,
    )
    .map_err(|e| {
        let _ = umount2(staging, MntFlags::MNT_DETACH);
        failed("mount", target, e)
    })
}

/// Shows `source` at `target` with `flags`, which it gets only after it appeared.
fn bind(source: &Path, target: &Path, flags: MsFlags) -> Result<()> {
    fault::point("mount")?;
    let source_fd = held(source)?;
    mount(
        Some(&of_descriptor(&source_fd)),
        target,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .map_err(|e| failed("mount", target, e))?;
    propagate_nothing(target)
        .and_then(|()| set_flags(target, flags))
        .map_err(|e| {
            // Half a wall is none.
            let _ = umount2(target, MntFlags::MNT_DETACH);
            failed("mount", target, e)
        })
}

fn set_flags(target: &Path, flags: MsFlags) -> nix::Result<()> {
    mount(
        None::<&str>,
        target,
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags,
        None::<&str>,
    )
}

/// Gives the topmost mount at `target` these flags and no others. Where somebody has a file open for writing and it
/// becomes read-only, they are ended: asked first, then by force.
pub(super) fn reflag(target: &Path, flags: MsFlags) -> Result<()> {
    fault::point("mount")?;
    for round in 0..ROUNDS {
        match set_flags(target, flags) {
            Ok(()) => return Ok(()),
            Err(Errno::EBUSY) => {
                let table = here()?;
                let busy = topmost(&table, target).map(|m| m.id).into_iter().collect();
                end_writers(&busy, round)?;
            }
            Err(e) => return Err(failed("change the mount", target, e)),
        }
    }
    Err(failed("change the mount", target, Errno::EBUSY))
}

/// Takes the mount at `target` away for good: read-only first, because a mount that is only detached goes on working,
/// out of everybody's sight, for whoever has a file open in it.
pub(super) fn withdraw(mount: &Mount) -> Result<()> {
    if !mount.is_read_only() {
        reflag(&mount.point, flags(&mount.options) | MsFlags::MS_RDONLY)?;
    }
    unmount_lazily(&mount.point)?;
    Ok(())
}

/// Ends those who have something open for writing on these mounts: asked first, then by force (rsync and proftpd do not
/// listen).
pub(super) fn end_writers(busy: &BTreeSet<u64>, round: usize) -> Result<()> {
    let how = if round == 0 { End::Ask } else { End::Force };
    let writers: Vec<Process> = users_of(busy)?
        .into_iter()
        .filter(|used| used.writes)
        .map(|used| used.process)
        .filter(|process| process.pid.unsigned_abs() != std::process::id())
        .collect();
    for process in &writers {
        process.end(how)?;
    }
    for _ in 0..20 {
        if !writers.iter().any(Process::is_alive) {
            break;
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
