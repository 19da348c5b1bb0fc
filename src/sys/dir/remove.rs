//! Taking files and trees away: beneath descriptors, no link followed, no mount crossed, whatever the depth.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Dir, FileKind, component};
use crate::error::{Error, Result};
use crate::sys::failure::failed;
use crate::sys::fault;

/// The most descriptors that removing a tree holds. Deeper directories are moved up first.
const DEPTH: usize = 48;

/// How often somebody may put something new into a directory that is being removed.
const PATIENCE: usize = 1000;

impl Dir {
    /// Removes a file, link or FIFO in it by name. False where there was nothing; a directory is an error.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        self.remove_name(component(name.as_ref())?, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes an empty directory in it. False where there was nothing.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        self.remove_name(component(name.as_ref())?, UnlinkatFlags::RemoveDir)
    }

    /// Removes whatever has a name in it, with everything beneath. False where there was nothing. Links are removed,
    /// not followed; something mounted beneath stops it (`path.mount`). Run again after a crash, it goes on.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let name = component(name.as_ref())?;
        match self.stat(name)?.map(|m| m.kind) {
            None => return Ok(false),
            Some(FileKind::Directory) => {}
            Some(_) => return self.remove_file(name),
        }
        let Some(top) = self.try_clone()?.confined().child(name)? else {
            return Ok(false);
        };
        empty(&top)?;
        self.remove_dir(name)
    }

    fn remove_name(&self, name: &OsStr, flags: UnlinkatFlags) -> Result<bool> {
        match fault::errno("remove").and_then(|()| unlinkat(self, name, flags)) {
            Ok(()) => self.sync().map(|()| true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(failed("remove", &self.path_of(name), e)),
        }
    }
}

/// Removes everything in `top`, going down at most `DEPTH` directories at a time.
fn empty(top: &Dir) -> Result<()> {
    let mut stack: Vec<(OsString, Dir)> = Vec::new();
    let mut patience = PATIENCE;
    loop {
        let here = stack.last().map_or(top, |(_, dir)| dir);
        if let Some(below) = clear(here)? {
            if stack.len() < DEPTH {
                match here.child(&below) {
                    Ok(Some(dir)) => stack.push((below, dir)),
                    Ok(None) => {}
                    // A directory a moment ago, now a link or a file: the next look takes that away.
                    Err(error)
                        if patience > 0
                            && matches!(error.code(), "path.link" | "path.not-directory") =>
                    {
                        patience -= 1;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            let parked = OsString::from_vec(
                format!(".octonas-removed-{}", uuid::Uuid::new_v4().simple()).into_bytes(),
            );
            fault::errno("rename")
                .and_then(|()| renameat(here, below.as_os_str(), top, parked.as_os_str()))
                .or_else(|e| if e == Errno::ENOENT { Ok(()) } else { Err(e) })
                .map_err(|e| failed("remove", &here.path_of(&below), e))?;
            continue;
        }
        let Some((name, _)) = stack.pop() else {
            return Ok(());
        };
        let parent = stack.last().map_or(top, |(_, dir)| dir);
        let removed = fault::errno("remove")
            .and_then(|()| unlinkat(parent, name.as_os_str(), UnlinkatFlags::RemoveDir));
        match removed {
            Ok(()) | Err(Errno::ENOENT) => {}
            // Filled again, moved away or replaced behind our back: the next look at the parent decides.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) if patience > 0 => patience -= 1,
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {
                return Err(Error::new(
                    "path.busy",
                    format!(
                        "{} is filled while it is removed",
                        parent.path_of(&name).display()
                    ),
                )
                .hint("end the sessions of those who write there, then run it again"));
            }
            Err(e) => return Err(failed("remove", &parent.path_of(&name), e)),
        }
    }
}

/// Takes the immutable attribute off a file.
fn unsealed(dir: &Dir, name: &OsStr) -> bool {
    let Ok(Some(node)) = dir.node_at(name) else {
        return false;
    };
    node.is_immutable() && node.set_immutable(false).is_ok()
}

/// Removes what is no directory in `dir`; gives the first directory that is left.
fn clear(dir: &Dir) -> Result<Option<OsString>> {
    for entry in dir.iterate()? {
        let entry = entry?;
        if entry.kind == FileKind::Directory {
            return Ok(Some(entry.name));
        }
        let unlink = || unlinkat(dir, entry.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        let removed = fault::errno("remove").and_then(|()| unlink());
        let removed = match removed {
            // A seal holds for members; whoever removes the whole tree means it.
            Err(Errno::EPERM) if unsealed(dir, &entry.name) => unlink(),
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::ENOENT | Errno::EISDIR) => {}
            Err(e) => return Err(failed("remove", &dir.path_of(&entry.name), e)),
        }
    }
    Ok(None)
}
