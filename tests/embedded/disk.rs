//! A disk of its own: ext4 in a file, on a loop device, that can be pulled out while somebody writes to it.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::names;

/// Unmounted at the end.
pub struct Disk {
    image: PathBuf,
    /// Where it is mounted.
    pub at: PathBuf,
}

/// Mounts of this thread and its children are nobody else's: nobody keeps a copy of one.
fn alone() -> bool {
    use nix::mount::{MsFlags, mount};
    let none = None::<&str>;
    let private = || mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
        .and_then(|()| private())
        .is_ok()
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> bool {
    let done = Command::new(program).args(arguments).output();
    done.is_ok_and(|output| output.status.success())
}

impl Disk {
    /// Makes one, mounted at `root/disk`. `None`, aloud, where this machine cannot.
    pub fn new(root: &Path) -> Option<Self> {
        let disk = Self {
            image: root.join("disk.image"),
            at: root.join("disk"),
        };
        fs::create_dir(&disk.at).unwrap();
        fs::File::create(&disk.image)
            .unwrap()
            .set_len(160 << 20)
            .unwrap();
        let made = run(
            "/usr/sbin/mkfs.ext4",
            &["-q".as_ref(), disk.image.as_os_str()],
        );
        if !made || !alone() || !disk.try_mount() {
            eprintln!("SKIPPED: only root, with mkfs.ext4 and loop devices, can take a disk away");
            return None;
        }
        fs::remove_dir(disk.at.join("lost+found")).unwrap();
        Some(disk)
    }

    fn try_mount(&self) -> bool {
        let options = ["-o".as_ref(), "loop,acl".as_ref()];
        run(
            "/usr/bin/mount",
            &[&options[..], &[self.image.as_os_str(), self.at.as_os_str()]].concat(),
        )
    }

    pub fn mount(&self) {
        assert!(
            names(&self.at).is_empty(),
            "under the mount point: {:?}",
            names(&self.at)
        );
        assert!(self.try_mount());
    }

    /// Unmounted; nothing has it open when this returns. What another test is just starting has for a moment, between
    /// fork(2) and exec(3), what is open here.
    pub fn unmount(&self) {
        let begun = Instant::now();
        while !run("/usr/bin/umount", &[self.at.as_os_str()]) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it stays in use");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.wait();
    }

    /// Out of sight at once; whoever has something of it open goes on working on it.
    pub fn hide(&self) {
        assert!(run(
            "/usr/bin/umount",
            &["-l".as_ref(), self.at.as_os_str()]
        ));
    }

    /// Until the loop device has let go of the image.
    pub fn wait(&self) {
        let begun = Instant::now();
        loop {
            let used = Command::new("/usr/sbin/losetup")
                .arg("-j")
                .arg(&self.image)
                .output()
                .unwrap();
            if used.stdout.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{used:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// It is gone: everything fails from now on, and what was not made durable is lost (`EXT4_IOC_SHUTDOWN`, as xfstests do it).
    #[allow(unsafe_code)]
    pub fn die(&self) {
        const SHUTDOWN: nix::libc::c_ulong = 0x8004_587d;
        static NO_LOG_FLUSH: u32 = 2;
        let top = fs::File::open(&self.at).unwrap();
        // SAFETY: the ioctl reads one u32 (fs/ext4/ioctl.c).
        let done = unsafe { nix::libc::ioctl(top.as_raw_fd(), SHUTDOWN, &raw const NO_LOG_FLUSH) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }

    /// As it is now, kept beside. Only where it is unmounted.
    pub fn keep(&self) {
        fs::copy(&self.image, self.image.with_extension("kept")).unwrap();
    }

    /// As it was kept, mounted.
    pub fn renew(&self) {
        fs::copy(self.image.with_extension("kept"), &self.image).unwrap();
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("/usr/bin/umount", &["-l".as_ref(), self.at.as_os_str()]);
    }
}
