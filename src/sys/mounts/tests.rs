//! The parser against the manual page; mounts of our own in a namespace of our own (as root).

use super::*;
use proptest::prelude::*;

const LINES: &[u8] = b"\
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 36 8:17 /octonas/eco /srv/dev-disk-by-uuid-1/octonas/eco ro,nosuid,nodev,relatime,nosymfollow - ext4 /dev/sdb1 rw
38 36 0:40 / /srv/a\\040b\\011c\\134d rw shared:1 propagate_from:2 - fuse.mergerfs a\\040b rw
";

#[test]
fn the_lines_of_the_manual_page_are_understood() {
    let mounts = parse(LINES).unwrap();
    assert_eq!(mounts.len(), 3);
    assert_eq!(mounts[0].propagation, ["master:1"]);
    assert_eq!(
        mounts[1].point,
        Path::new("/srv/dev-disk-by-uuid-1/octonas/eco")
    );
    assert!(mounts[1].is_read_only() && mounts[1].options.contains("nosymfollow"));
    assert!(mounts[1].shows("8:17", Path::new("/octonas/eco")));
    assert!(mounts[1].shows("8:17", Path::new("/octonas")));
    assert!(!mounts[1].shows("8:17", Path::new("/octonas/ec")));
    assert!(!mounts[1].shows("8:1", Path::new("/octonas/eco")));
    assert_eq!(mounts[2].point, Path::new("/srv/a b\tc\\d"));
    assert_eq!(mounts[2].source, "a b");
    let kept = kept_flags(&mounts[1]);
    assert!(kept.contains(MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | NOSYMFOLLOW));
    assert!(!kept.contains(MsFlags::MS_NOEXEC));
}

#[test]
fn the_mount_that_shows_is_the_deepest_and_the_last() {
    let mounts = parse(
        b"1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /srv rw - ext4 b rw\n3 2 8:3 / /srv rw - ext4 c rw\n",
    )
    .unwrap();
    assert_eq!(holding(&mounts, Path::new("/srv/x")).unwrap().id, 3);
    assert_eq!(holding(&mounts, Path::new("/srvx")).unwrap().id, 1);
}

#[test]
fn what_is_no_mountinfo_is_an_error() {
    for text in [
        "x",
        "1 2 3",
        "36 35 98:0 / /mnt rw master:1 ext3 /dev/root rw",
    ] {
        assert_eq!(
            parse(text.as_bytes()).unwrap_err().code(),
            "mounts.unreadable"
        );
    }
}

#[test]
fn our_own_mounts_can_be_read_and_hold_the_working_directory() {
    let mounts = here().unwrap();
    let root = Dir::open_absolute(Path::new("/")).unwrap();
    assert_eq!(of(&mounts, &root), holding(&mounts, Path::new("/")));
    let all = namespaces().unwrap();
    assert!(all.iter().any(|n| n.mounts == mounts), "ours is among them");
}

proptest! {
    #[test]
    fn every_path_survives_its_escaping(bytes in prop::collection::vec(1..=255_u8, 0..40)) {
        let mut escaped = Vec::new();
        for &byte in &bytes {
            if matches!(byte, b' ' | b'\t' | b'\n' | b'\\') {
                escaped.extend(format!("\\{byte:03o}").bytes());
            } else {
                escaped.push(byte);
            }
        }
        prop_assert_eq!(unescape(&escaped).into_vec(), bytes);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9 /:,a-z\\\\-]{0,80}") {
        let _ = parse(text.as_bytes());
    }
}

/// Runs a test in a mount namespace of its own, as root; `true` in there.
fn in_namespace(test: &str) -> bool {
    use crate::sys::again::{alone, must_pass};

    if !crate::sys::process::is_root() {
        eprintln!("skipped: only root can mount");
        return false;
    }
    match alone(
        test,
        &["unshare", "--mount", "--propagation", "private"],
        &[],
    ) {
        Some(output) => {
            must_pass(&output);
            false
        }
        None => true,
    }
}

fn two_directories() -> (tempfile::TempDir, Dir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open_absolute(temp.path()).unwrap();
    for name in ["source", "target"] {
        dir.create_dir(name, 0o755).unwrap();
    }
    let (source, target) = (
        dir.existing("source").unwrap(),
        dir.existing("target").unwrap(),
    );
    (temp, source, target)
}

const RW: BindOptions = BindOptions {
    read_only: false,
    no_exec: true,
    no_symlinks: true,
};

/// Our own namespace and the mount at `path` in it.
fn mount_at(path: &Path) -> (Namespace, Mount) {
    let namespace = namespaces()
        .unwrap()
        .into_iter()
        .find(|n| n.mounts.iter().any(|m| m.point == path))
        .unwrap();
    let mount = holding(&namespace.mounts, path).unwrap().clone();
    (namespace, mount)
}

#[test]
fn a_bind_is_private_restricted_and_taken_away_again() {
    use crate::sys::dir::Permissions;

    if !in_namespace("sys::mounts::tests::a_bind_is_private_restricted_and_taken_away_again") {
        return;
    }
    let (temp, source, target) = two_directories();
    std::os::unix::fs::symlink("/etc", source.path().join("link")).unwrap();
    bind(&source, &target, RW).unwrap();
    let mounts = here().unwrap();
    let mount = holding(&mounts, target.path()).unwrap();
    for option in ["rw", "nosuid", "nodev", "noexec", "nosymfollow"] {
        assert!(mount.options.contains(option), "{mount:?}");
    }
    assert_eq!(mount.propagation, [""; 0]);
    let top = Dir::open_absolute(target.path()).unwrap();
    top.write("file", b"x", &Permissions::PUBLIC).unwrap();
    assert_eq!(source.read("file", 10).unwrap().unwrap(), b"x");
    assert!(
        std::fs::read_dir(target.path().join("link")).is_err(),
        "no link is followed"
    );
    let above = Dir::open_absolute(temp.path()).unwrap();
    assert_eq!(
        above.remove_tree("target").unwrap_err().code(),
        "path.mount"
    );
    assert_eq!(
        source.read("file", 10).unwrap().unwrap(),
        b"x",
        "nothing was removed through the mount"
    );
    drop(top);
    assert!(unmount_lazily(target.path()).unwrap());
    assert!(!unmount_lazily(target.path()).unwrap());
    assert_eq!(target.entries().unwrap(), []);
}

#[test]
fn a_remount_keeps_the_other_options_and_names_who_writes() {
    use crate::sys::dir::Permissions;
    use crate::sys::processes::users_of;

    if !in_namespace("sys::mounts::tests::a_remount_keeps_the_other_options_and_names_who_writes") {
        return;
    }
    let (_temp, source, target) = two_directories();
    bind(&source, &target, RW).unwrap();
    let top = Dir::open_absolute(target.path()).unwrap();
    top.write("file", b"x", &Permissions::PUBLIC).unwrap();
    let writer = std::fs::OpenOptions::new()
        .append(true)
        .open(target.path().join("file"))
        .unwrap();
    let (namespace, mount) = mount_at(target.path());
    assert_eq!(remount(&namespace, &mount, true).unwrap(), Remount::Busy);
    let users = users_of(&BTreeSet::from([mount.id])).unwrap();
    let me = std::process::id().cast_signed();
    assert!(
        users.iter().any(|u| u.process.pid == me && u.writes),
        "{users:?}"
    );
    drop(writer);
    assert_eq!(remount(&namespace, &mount, true).unwrap(), Remount::Done);
    let error = top.write("file", b"y", &Permissions::PUBLIC).unwrap_err();
    assert_eq!(error.code(), "disk.read-only");
    source.write("file", b"z", &Permissions::PUBLIC).unwrap();
    let (namespace, mount) = mount_at(target.path());
    for option in ["ro", "nosuid", "nodev", "noexec", "nosymfollow"] {
        assert!(mount.options.contains(option), "{mount:?}");
    }
    assert_eq!(remount(&namespace, &mount, false).unwrap(), Remount::Done);
    top.write("file", b"y", &Permissions::PUBLIC).unwrap();
    drop(top);
    assert!(unmount_lazily(target.path()).unwrap());
    assert_eq!(remount(&namespace, &mount, true).unwrap(), Remount::Gone);
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_mount_in_another_namespace_becomes_read_only_too() {
    if !in_namespace("sys::mounts::tests::a_mount_in_another_namespace_becomes_read_only_too") {
        return;
    }
    let (_temp, source, target) = two_directories();
    bind(&source, &target, RW).unwrap();
    // A service with a namespace of its own, as ProtectSystem= makes it.
    let mut service = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sleep", "60"])
        .spawn()
        .unwrap();
    let here = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    let theirs = format!("/proc/{}/ns/mnt", service.id());
    while std::fs::read_link(&theirs).unwrap() == here {
        std::thread::yield_now();
    }
    let mut seen = 0;
    for namespace in namespaces().unwrap() {
        let there = namespace.mounts.iter().filter(|m| m.point == target.path());
        for mount in there {
            assert_eq!(remount(&namespace, mount, true).unwrap(), Remount::Done);
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
    let text = std::fs::read(format!("/proc/{}/mountinfo", service.id())).unwrap();
    let mounts = parse(&text).unwrap();
    let mount = holding(&mounts, target.path()).unwrap();
    assert!(
        mount.is_read_only() && mount.options.contains("nosymfollow"),
        "{mount:?}"
    );
    assert_eq!(
        std::fs::read_link("/proc/self/ns/mnt").unwrap(),
        here,
        "we are where we were"
    );
    service.kill().unwrap();
    service.wait().unwrap();
    unmount_lazily(target.path()).unwrap();
}
