//! What a directory handle promises, one by one.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use nix::errno::Errno;

use super::*;
use crate::sys::acl::Perms;
use crate::sys::fault::{Fault, Plan, suffer, trace};

/// A directory that is gone at the end.
pub(crate) fn directory() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open_absolute(temp.path()).unwrap();
    (temp, dir)
}

fn names(dir: &Dir) -> Vec<String> {
    let entries = dir.entries().unwrap().into_iter();
    entries.map(|e| e.name.into_string().unwrap()).collect()
}

fn list_for(gid: u32) -> Acl {
    let mut list = Acl::from_mode(0o700);
    list.groups.insert(gid, Perms::ALL);
    list.with_wide_mask()
}

#[test]
fn no_link_is_followed_on_any_way_in() {
    let (temp, dir) = directory();
    std::fs::create_dir(temp.path().join("real")).unwrap();
    symlink("real", temp.path().join("link")).unwrap();
    symlink("/etc/passwd", temp.path().join("passwd")).unwrap();
    let linked = temp.path().join("link");
    assert_eq!(Dir::open_absolute(&linked).unwrap_err().code(), "path.link");
    let below = linked.join("below");
    assert_eq!(Dir::open_absolute(&below).unwrap_err().code(), "path.link");
    for (what, code) in [
        ("open", dir.open("link/below").map(drop)),
        ("child", dir.child("link").map(drop)),
        ("read", dir.read("passwd", 1 << 20).map(drop)),
        ("node", dir.node_at("passwd").map(drop)),
        ("append", dir.append("passwd", b"x")),
    ]
    .map(|(what, result)| (what, result.unwrap_err().code()))
    {
        assert_eq!(code, "path.link", "{what}");
    }
    assert_eq!(
        dir.create_dir("link", 0o700).unwrap_err().code(),
        "path.not-directory"
    );
}

#[test]
fn a_path_that_leads_out_is_refused() {
    let (_temp, dir) = directory();
    for path in ["..", "a/../b", "/etc", "./..", "a\0b"] {
        assert_eq!(
            dir.open(path).unwrap_err().code(),
            "path.escapes",
            "{path:?}"
        );
    }
    for name in ["", ".", "..", "a/b", "/", "a\0b"] {
        assert_eq!(
            dir.child(name).unwrap_err().code(),
            "path.escapes",
            "{name:?}"
        );
        let error = dir.write(name, b"", &Permissions::PRIVATE).unwrap_err();
        assert_eq!(error.code(), "path.escapes", "{name:?}");
        assert_eq!(
            dir.remove_tree(name).unwrap_err().code(),
            "path.escapes",
            "{name:?}"
        );
    }
    assert_eq!(
        Dir::open_absolute(Path::new("etc")).unwrap_err().code(),
        "path.relative"
    );
}

#[test]
fn what_is_not_there_is_none_and_not_an_error() {
    let (_temp, dir) = directory();
    assert!(dir.open("a/b").unwrap().is_none());
    assert!(dir.child("a").unwrap().is_none());
    assert!(dir.read("a", 1).unwrap().is_none());
    assert!(dir.node_at("a").unwrap().is_none());
    assert!(!dir.remove_file("a").unwrap());
    assert!(!dir.remove_tree("a").unwrap());
    assert_eq!(dir.existing("a").unwrap_err().code(), "path.missing");
}

#[test]
fn a_directory_is_made_once() {
    let (_temp, dir) = directory();
    assert_eq!(dir.create_dir("a", 0o700).unwrap(), Made::Created);
    assert_eq!(dir.create_dir("a", 0o700).unwrap(), Made::Existing);
    assert_eq!(dir.open("").unwrap().unwrap().path(), dir.path());
    let child = dir.child("a").unwrap().unwrap();
    child.set_mode(0o2750).unwrap();
    assert_eq!(child.metadata().unwrap().mode, 0o2750);
    assert_eq!(child.metadata().unwrap().kind, FileKind::Directory);
}

#[test]
fn a_file_is_written_whole_with_its_mode_and_without_an_inherited_list() {
    let (temp, dir) = directory();
    dir.set_acl(Which::Default, Some(&list_for(4242))).unwrap();
    for content in [&b"first"[..], b"second, longer"] {
        dir.write("file", content, &Permissions::PUBLIC).unwrap();
        assert_eq!(dir.read("file", 100).unwrap().as_deref(), Some(content));
        let node = dir.node_at("file").unwrap().unwrap();
        assert_eq!(node.acl(Which::Access).unwrap(), None);
        assert_eq!(node.metadata().unwrap().mode, 0o644);
        assert_eq!(names(&dir), ["file"]);
    }
    let inode = std::fs::metadata(temp.path().join("file")).unwrap().ino();
    dir.write("file", b"third", &Permissions::PRIVATE).unwrap();
    assert_ne!(
        std::fs::metadata(temp.path().join("file")).unwrap().ino(),
        inode
    );
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_what_it_meant_stays() {
    let (temp, dir) = directory();
    let (other, elsewhere) = directory();
    elsewhere
        .write("victim", b"untouched", &Permissions::PRIVATE)
        .unwrap();
    symlink(other.path().join("victim"), temp.path().join("file")).unwrap();
    dir.write("file", b"new", &Permissions::PRIVATE).unwrap();
    assert_eq!(
        elsewhere.read("victim", 100).unwrap().unwrap(),
        b"untouched"
    );
    assert_eq!(dir.read("file", 100).unwrap().unwrap(), b"new");
}

#[test]
fn only_regular_files_are_read_and_only_up_to_the_limit() {
    let (temp, dir) = directory();
    nix::unistd::mkfifo(&temp.path().join("fifo"), Mode::S_IRWXU).unwrap();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
    for name in ["fifo", "dir", "socket"] {
        assert_eq!(
            dir.read(name, 10).unwrap_err().code(),
            "path.not-regular",
            "{name}"
        );
        assert_eq!(
            dir.append(name, b"x").unwrap_err().code(),
            "path.not-regular",
            "{name}"
        );
    }
    dir.write("ten", &[0; 10], &Permissions::PRIVATE).unwrap();
    assert_eq!(dir.read("ten", 10).unwrap().unwrap().len(), 10);
    assert_eq!(dir.read("ten", 9).unwrap_err().code(), "file.too-large");
    assert_eq!(
        dir.read_tail("ten", 4).unwrap().unwrap(),
        Tail {
            bytes: vec![0; 4],
            size: 10
        }
    );
}

#[test]
fn a_file_with_a_second_name_is_neither_appended_to_nor_given_away() {
    let (temp, dir) = directory();
    dir.write("file", b"x", &Permissions::PRIVATE).unwrap();
    std::fs::hard_link(temp.path().join("file"), temp.path().join("second")).unwrap();
    assert_eq!(dir.append("file", b"y").unwrap_err().code(), "file.linked");
    let node = dir.node_at("second").unwrap().unwrap();
    for result in [
        node.set_mode(0o666),
        node.set_owner(Some(0), None),
        node.set_acl(Which::Access, Some(&list_for(1))),
    ] {
        assert_eq!(result.unwrap_err().code(), "file.linked");
    }
}

#[test]
fn an_access_list_is_set_kept_and_removed() {
    let (_temp, dir) = directory();
    assert_eq!(dir.acl(Which::Access).unwrap(), None);
    dir.set_acl(Which::Default, None).unwrap();
    for which in [Which::Access, Which::Default] {
        dir.set_acl(which, Some(&list_for(4242))).unwrap();
        assert_eq!(dir.acl(which).unwrap(), Some(list_for(4242)));
    }
    assert_eq!(
        dir.metadata().unwrap().mode,
        0o770,
        "the mask shows as group bits"
    );
    dir.set_acl(Which::Access, None).unwrap();
    assert_eq!(dir.acl(Which::Access).unwrap(), None);
}

#[test]
fn a_rename_that_must_not_replace_does_not() {
    let (_temp, dir) = directory();
    dir.write("a", b"a", &Permissions::PRIVATE).unwrap();
    dir.write("b", b"b", &Permissions::PRIVATE).unwrap();
    let error = dir.rename("a", &dir, "b", Replace::Never).unwrap_err();
    assert_eq!(error.code(), "path.exists");
    dir.rename("a", &dir, "b", Replace::Allow).unwrap();
    dir.rename("b", &dir, "c", Replace::Never).unwrap();
    assert_eq!(names(&dir), ["c"]);
    assert_eq!(
        dir.rename("x", &dir, "y", Replace::Never)
            .unwrap_err()
            .code(),
        "path.missing"
    );
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_tree_is_removed_whatever_its_depth_and_what_links_in_it_mean_stays() {
    let (temp, dir) = directory();
    let (other, elsewhere) = directory();
    elsewhere
        .write("kept", b"x", &Permissions::PRIVATE)
        .unwrap();
    let mut here = dir.try_clone().unwrap();
    for name in std::iter::once("tree").chain(std::iter::repeat_n("d", 300)) {
        here.create_dir(name, 0o700).unwrap();
        here = here.existing(name).unwrap();
        here.write("file", b"x", &Permissions::PRIVATE).unwrap();
    }
    std::fs::create_dir_all(temp.path().join("tree/wide/deep")).unwrap();
    symlink(other.path(), temp.path().join("tree/wide/link")).unwrap();
    nix::unistd::mkfifo(&temp.path().join("tree/wide/fifo"), Mode::S_IRWXU).unwrap();
    std::fs::hard_link(other.path().join("kept"), temp.path().join("tree/hard")).unwrap();
    assert!(dir.remove_tree("tree").unwrap());
    assert_eq!(names(&dir), [""; 0]);
    assert_eq!(names(&elsewhere), ["kept"]);
}

#[test]
fn removing_a_tree_can_be_halted_anywhere_and_goes_on() {
    let build = |dir: &Dir| {
        for path in ["t", "t/a", "t/a/b", "t/c"] {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = dir.open(parent).unwrap().unwrap();
            parent.create_dir(name, 0o700).unwrap();
            parent.existing(name).unwrap().append("f", b"x").unwrap();
        }
    };
    let (_temp, dir) = directory();
    build(&dir);
    let points = trace(|| dir.remove_tree("t").unwrap()).1.len() as u64;
    for nth in 1..=points {
        build(&dir);
        suffer(Plan::new(Fault::Halt, "", nth), || dir.remove_tree("t")).unwrap_err();
        dir.remove_tree("t").unwrap();
        assert_eq!(names(&dir), [""; 0], "{nth}");
    }
}

#[test]
fn a_full_disk_at_any_step_of_a_write_leaves_the_old_file_and_nothing_beside() {
    let (_temp, dir) = directory();
    dir.write("file", b"old", &Permissions::PRIVATE).unwrap();
    let points = trace(|| dir.write("file", b"old", &Permissions::PRIVATE).unwrap()).1;
    assert_eq!(points.last(), Some(&"fsync.dir"));
    for errno in [Errno::ENOSPC, Errno::EIO] {
        for nth in 1..points.len() as u64 {
            let plan = Plan::new(Fault::Fail(errno), "", nth);
            let error =
                suffer(plan, || dir.write("file", b"new", &Permissions::PRIVATE)).unwrap_err();
            let code = if errno == Errno::EIO {
                "disk.failed"
            } else {
                "disk.full"
            };
            assert_eq!(error.code(), code);
            assert_eq!(dir.read("file", 100).unwrap().unwrap(), b"old", "{nth}");
            assert_eq!(names(&dir), ["file"], "{nth}");
        }
    }
}

#[test]
fn every_file_is_on_the_disk_before_its_name_and_its_directory_after() {
    let (_temp, dir) = directory();
    let write = || dir.write("file", b"x", &Permissions::PRIVATE).unwrap();
    let new = trace(write).1;
    let replaced = trace(write).1;
    assert_eq!(new, ["write", "fsync.file", "link", "fsync.dir"]);
    assert_eq!(
        replaced,
        ["write", "fsync.file", "link", "link", "rename", "fsync.dir"]
    );
    let added = trace(|| dir.append("file", b"y").unwrap()).1;
    assert_eq!(added, ["append", "fsync.file"]);
    let renamed = trace(|| dir.rename("file", &dir, "new", Replace::Never).unwrap()).1;
    assert_eq!(renamed, ["rename", "fsync.dir"]);
}

#[test]
fn an_append_that_fails_is_taken_back_and_one_after_a_stranger_is_refused() {
    let (_temp, dir) = directory();
    dir.append("log", b"one\n").unwrap();
    for nth in 1..=2 {
        let plan = Plan::new(Fault::Fail(Errno::ENOSPC), "", nth);
        suffer(plan, || dir.append("log", b"two\n")).unwrap_err();
        assert_eq!(dir.read("log", 100).unwrap().unwrap(), b"one\n");
    }
    dir.append_after("log", 2, 4, b"!\n").unwrap();
    assert_eq!(dir.read("log", 100).unwrap().unwrap(), b"on!\n");
    let error = dir.append_after("log", 2, 3, b"x").unwrap_err();
    assert_eq!(error.code(), "file.changed");
    assert_eq!(dir.stat("log").unwrap().unwrap().mode, 0o600);
}

#[test]
fn a_confined_handle_does_not_cross_a_mount() {
    let root = Dir::open_absolute(Path::new("/")).unwrap().confined();
    assert_eq!(root.child("proc").unwrap_err().code(), "path.mount");
    let proc = Dir::open_absolute(Path::new("/proc")).unwrap();
    assert!(proc.confined().child("self").is_err(), "a link");
}

#[test]
#[allow(clippy::disallowed_methods)]
fn unfinished_files_of_a_killed_run_are_taken_away() {
    let (temp, dir) = directory();
    std::fs::write(temp.path().join(".octonas-new-0123"), "half").unwrap();
    std::fs::write(temp.path().join("kept"), "x").unwrap();
    dir.remove_unfinished().unwrap();
    assert_eq!(names(&dir), ["kept"]);
}

#[test]
fn names_of_any_bytes_are_listed_and_removed() {
    let (temp, dir) = directory();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\n\x1b[2J");
    dir.write(odd, b"x", &Permissions::PRIVATE).unwrap();
    assert_eq!(dir.entries().unwrap()[0].name, odd);
    assert!(dir.remove_file(odd).unwrap());
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Everything that a run of operations does to the disk, by the names of the points that it passes.
fn operations(dir: &Dir) -> crate::error::Result<()> {
    dir.write("file", b"one", &Permissions::PRIVATE)?;
    dir.write("file", b"two", &Permissions::PRIVATE)?;
    dir.append("log", b"line\n")?;
    dir.create_dir("dir", 0o700)?;
    dir.rename("file", &dir.existing("dir")?, "file", Replace::Allow)?;
    dir.remove_tree("dir").map(drop)
}

#[test]
fn killed_at_any_point_the_files_are_whole() {
    use crate::sys::again::{alone, must_pass};

    const PLACE: &str = "OCTONAS_TEST_PLACE";
    let test = "sys::dir::tests::killed_at_any_point_the_files_are_whole";
    if let Ok(place) = std::env::var(PLACE) {
        operations(&Dir::open_absolute(Path::new(&place)).unwrap()).unwrap();
        return;
    }
    let (_temp, dir) = directory();
    let points = trace(|| operations(&dir).unwrap()).1.len();
    for nth in 1..=points {
        let (temp, dir) = directory();
        let place = temp.path().to_str().unwrap();
        let fault = format!("kill:{nth}");
        let killed = alone(test, &["env"], &[(PLACE, place), ("OCTONAS_FAULT", &fault)]).unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&killed.status),
            Some(9),
            "{nth}"
        );
        for holder in [Some(dir.try_clone().unwrap()), dir.child("dir").unwrap()] {
            let content = holder.and_then(|dir| dir.read("file", 10).unwrap());
            assert!(
                matches!(content.as_deref(), None | Some(b"one" | b"two")),
                "{nth}"
            );
        }
        let log = dir.read("log", 10).unwrap();
        assert!(
            matches!(log.as_deref(), None | Some(b"" | b"line\n")),
            "{nth}"
        );
        must_pass(&alone(test, &["env"], &[(PLACE, place)]).unwrap());
        dir.remove_unfinished().unwrap();
        assert_eq!(names(&dir), ["log"], "{nth}");
    }
}

/// What the kernel sees: fsync(2) of a file before it gets a name, and of the directory after (strace(1)).
#[test]
fn the_kernel_sees_fsync_before_every_name_and_after() {
    use crate::sys::again::alone;

    const PLACE: &str = "OCTONAS_TEST_PLACE";
    let test = "sys::dir::tests::the_kernel_sees_fsync_before_every_name_and_after";
    if let Ok(place) = std::env::var(PLACE) {
        operations(&Dir::open_absolute(Path::new(&place)).unwrap()).unwrap();
        return;
    }
    if !Path::new("/usr/bin/strace").exists() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let (temp, _dir) = directory();
    let (logs, log_dir) = directory();
    let log = logs.path().join("log");
    let calls = "trace=write,fsync,linkat,renameat,renameat2,mkdirat,unlinkat";
    let through = [
        "strace",
        "-f",
        "-y",
        "-e",
        calls,
        "-o",
        log.to_str().unwrap(),
    ];
    let output = alone(test, &through, &[(PLACE, temp.path().to_str().unwrap())]).unwrap();
    if !output.status.success() && output.stdout.is_empty() {
        eprintln!("skipped: strace cannot trace here");
        return;
    }
    let seen = String::from_utf8(log_dir.read("log", 1 << 20).unwrap().unwrap()).unwrap();
    let place = temp.path().to_str().unwrap();
    let calls: Vec<&str> = seen.lines().filter(|line| line.contains(place)).collect();
    let mut named = 0;
    for (number, call) in calls.iter().enumerate() {
        let verb = call
            .split_whitespace()
            .nth(1)
            .unwrap()
            .split('(')
            .next()
            .unwrap();
        let before = &calls[..number];
        let after = &calls[number + 1..];
        let next_sync =
            |line: &&&str| line.contains("fsync(") && line.contains(&format!("<{place}"));
        match verb {
            "write" => {
                let file = call.split('<').nth(1).unwrap().split('>').next().unwrap();
                let synced = after
                    .iter()
                    .take_while(|line| !line.contains("linkat(") && !line.contains("renameat"))
                    .any(|line| line.contains("fsync(") && line.contains(file));
                assert!(synced, "{call} is not followed by its fsync:\n{seen}");
            }
            "linkat" if call.ends_with("= 0") => {
                assert!(
                    before
                        .last()
                        .is_some_and(|l| l.contains("fsync(") || l.contains("linkat(")),
                    "{seen}"
                );
                named += 1;
            }
            "renameat" | "renameat2" | "mkdirat" => {
                assert!(
                    after.iter().take(1).any(|l| next_sync(&l)),
                    "{call}\n{seen}"
                );
                named += 1;
            }
            _ => {}
        }
    }
    assert!(named >= 5, "{seen}");
    assert!(calls.last().is_some_and(|l| l.contains("fsync(")), "{seen}");
}
