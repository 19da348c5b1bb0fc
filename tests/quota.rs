//! Project quotas on real file systems: an ext4 and an XFS of their own on loop devices. Needs root and `mkfs`; where those
//! are missing, it says so.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs
)]

use std::path::Path;
use std::process::{Command, Output};

use octonas::sys::dir::Dir;
use octonas::sys::quota;

const MIB: u64 = 1 << 20;

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

/// A file system that is unmounted at the end.
struct Mounted {
    place: tempfile::TempDir,
}

impl Mounted {
    /// `None` where this machine cannot make it.
    fn new(mkfs: &[&str], options: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(400 * MIB)
            .unwrap();
        let mount = place.path().join("mnt");
        std::fs::create_dir(&mount).unwrap();
        let (image, at) = (image.to_str().unwrap(), mount.to_str().unwrap());
        let program = ["/usr/sbin", "/sbin"]
            .map(|dir| format!("{dir}/{}", mkfs[0]))
            .into_iter()
            .find(|path| Path::new(path).exists())?;
        let mut arguments = mkfs[1..].to_vec();
        arguments.push(image);
        assert!(run(&program, &arguments).status.success());
        let options = format!("loop,{options}");
        run("/usr/bin/mount", &["-o", &options, image, at])
            .status
            .success()
            .then_some(Self { place })
    }

    fn dir(&self) -> Dir {
        Dir::open_absolute(&self.place.path().join("mnt")).unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(
            "/usr/bin/umount",
            &[self.place.path().join("mnt").to_str().unwrap()],
        );
    }
}

/// As somebody without rights: root may fill what it likes.
fn fill(path: &Path, mib: u64) -> Output {
    let of = format!("of={}", path.display());
    let count = format!("count={mib}");
    run(
        "/usr/bin/setpriv",
        &[
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/usr/bin/dd",
            "if=/dev/zero",
            "bs=1M",
            &of,
            &count,
        ],
    )
}

fn is_held(name: &str, mkfs: &[&str], options: &str) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED {name}: only root mounts");
        return;
    }
    let Some(mounted) = Mounted::new(mkfs, options) else {
        eprintln!("SKIPPED {name}: it cannot be made or mounted here");
        return;
    };
    let base = mounted.dir();
    assert!(quota::is_enforced(&base), "{name}");
    base.create_dir("eco", 0o755).unwrap();
    let eco = base.existing("eco").unwrap();
    eco.create_dir("raw", 0o755).unwrap();
    let raw = eco.existing("raw").unwrap();
    raw.set_owner(Some(65534), Some(65534)).unwrap();
    assert_eq!(quota::project(eco.node()).unwrap(), (0, false));
    for dir in [&eco, &raw] {
        assert!(quota::set_project(dir.node(), 0x4000_0007, true).unwrap());
        assert!(!quota::set_project(dir.node(), 0x4000_0007, true).unwrap());
    }
    quota::set_limit(&base, 0x4000_0007, 8 * MIB).unwrap();
    let at = |name: &str| mounted.place.path().join("mnt/eco/raw").join(name);
    std::fs::set_permissions(
        mounted.place.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    assert!(fill(&at("fits"), 4).status.success(), "{name}");
    let refused = fill(&at("too-much"), 8);
    assert!(!refused.status.success(), "{name}");
    let found = quota::of(&base, 0x4000_0007).unwrap().unwrap();
    assert_eq!(found.limit, 8 * MIB, "{name}");
    assert!(
        found.used > 4 * MIB && found.used <= 8 * MIB,
        "{name}: {found:?}"
    );
    // Whoever looks at the free space sees the quota.
    let free = run(
        "/usr/bin/df",
        &["--output=size", "-B1M", at("").to_str().unwrap()],
    );
    let text = String::from_utf8(free.stdout).unwrap();
    assert_eq!(text.lines().last().unwrap().trim(), "8", "{name}: {text}");
    quota::set_limit(&base, 0x4000_0007, 0).unwrap();
    assert!(fill(&at("too-much"), 12).status.success(), "{name}");
}

#[test]
fn ext4_refuses_what_is_beyond_a_projects_limit() {
    let mkfs = [
        "mkfs.ext4",
        "-q",
        "-O",
        "project,quota",
        "-E",
        "quotatype=prjquota",
    ];
    is_held("ext4", &mkfs, "prjquota");
}

#[test]
fn xfs_refuses_what_is_beyond_a_projects_limit() {
    is_held("xfs", &["mkfs.xfs", "-q"], "prjquota");
}

#[test]
fn ext4_as_it_is_made_by_default_has_none() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root mounts");
        return;
    }
    let Some(mounted) = Mounted::new(&["mkfs.ext4", "-q"], "usrquota,grpquota") else {
        eprintln!("SKIPPED: it cannot be made or mounted here");
        return;
    };
    let base = mounted.dir();
    assert!(!quota::is_enforced(&base));
    let error = quota::set_limit(&base, 7, MIB).unwrap_err();
    assert_eq!(error.code(), "quota.unsupported");
}
