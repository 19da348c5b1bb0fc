//! The immutable attribute (`chattr +i`): nobody writes, renames or removes such a file, root neither, until it is taken off.

use nix::errno::Errno;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use super::Node;
use crate::error::Result;
use crate::sys::failure::failed;
use crate::sys::fault;

impl Node {
    /// True where the attribute is set; false as well where the file system has none.
    pub fn is_immutable(&self) -> bool {
        ioctl_getflags(self).is_ok_and(|flags| flags.contains(IFlags::IMMUTABLE))
    }

    /// Sets the attribute, or takes it off. False where the file system has none, or we may not (`CAP_LINUX_IMMUTABLE`).
    pub fn set_immutable(&self, immutable: bool) -> Result<bool> {
        let Ok(mut flags) = ioctl_getflags(self) else {
            return Ok(false);
        };
        if flags.contains(IFlags::IMMUTABLE) == immutable {
            return Ok(immutable);
        }
        if immutable {
            self.only_name()?;
        }
        flags.set(IFlags::IMMUTABLE, immutable);
        let set = fault::errno("flags").and_then(|()| {
            ioctl_setflags(self, flags).map_err(|e| Errno::from_raw(e.raw_os_error()))
        });
        match set {
            Ok(()) => Ok(immutable),
            Err(
                Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::EINVAL | Errno::ENOSYS,
            ) if immutable => Ok(false),
            Err(e) => Err(failed("change the attributes of", self.path(), e)),
        }
    }
}
