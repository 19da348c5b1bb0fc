//! A member who owns directories below races root: links, hard links, FIFOs, renamed directories. Whatever the timing,
//! nothing outside may change.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::sys::acl::Perms;
use crate::sys::walk::Walk;

/// How many rounds root works in each race; `OCTONAS_TEST_ROUNDS` makes it longer.
fn rounds() -> usize {
    std::env::var("OCTONAS_TEST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2000)
}

/// A directory that must not change, and one where the member plays.
struct Field {
    _temp: tempfile::TempDir,
    outside: PathBuf,
    inside: PathBuf,
    dir: Dir,
}

impl Field {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        let inside = temp.path().join("inside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::create_dir(&inside).unwrap();
        let kept = Dir::open_absolute(&outside).unwrap();
        for name in ["victim", "file"] {
            kept.write(name, b"untouched", &Permissions::PUBLIC)
                .unwrap();
        }
        kept.set_mode(0o755).unwrap();
        let dir = Dir::open_absolute(&inside).unwrap();
        Self {
            _temp: temp,
            outside,
            inside,
            dir,
        }
    }

    /// Everything that can be known about the outside, in one text.
    fn outside(&self) -> String {
        let one = |path: &Path| {
            let m = std::fs::symlink_metadata(path).unwrap();
            let dir = Dir::open_absolute(&self.outside).unwrap();
            let lists = (
                dir.acl(Which::Access).unwrap(),
                dir.acl(Which::Default).unwrap(),
            );
            format!(
                "{} {:o} {} {} {:?} {lists:?}\n",
                path.display(),
                m.mode(),
                m.uid(),
                m.gid(),
                m.ino()
            )
        };
        let mut text = one(&self.outside);
        let entries = Dir::open_absolute(&self.outside)
            .unwrap()
            .entries()
            .unwrap();
        for entry in entries {
            let path = self.outside.join(entry.name);
            text += &one(&path);
            text += &std::fs::read_to_string(&path).unwrap();
        }
        text
    }

    /// `member` plays while `root` works; then the outside is compared.
    fn race(&self, member: impl Fn(&Self) + Sync, root: impl Fn(&Dir, usize)) {
        let before = self.outside();
        let stop = AtomicBool::new(false);
        let deadline = Instant::now() + Duration::from_mins(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    member(self);
                }
            });
            for round in 0..rounds() {
                root(&self.dir, round);
                if Instant::now() > deadline {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(self.outside(), before);
    }
}

fn list() -> Acl {
    let mut list = Acl::from_mode(0o700);
    list.groups.insert(64_901, Perms::ALL);
    list.with_wide_mask()
}

/// `place` is by turns a directory, a link to the outside, a FIFO, a hard link, nothing.
#[allow(clippy::disallowed_methods)]
fn flip(field: &Field) {
    let place = field.inside.join("place");
    let aside = field.inside.join("aside");
    let _ = std::fs::create_dir(&place);
    let _ = std::fs::rename(&place, &aside);
    let _ = symlink(&field.outside, &place);
    let _ = std::fs::remove_file(&place);
    let _ = symlink(field.outside.join("victim"), &place);
    let _ = std::fs::remove_file(&place);
    let _ = nix::unistd::mkfifo(&place, Mode::S_IRWXU);
    let _ = std::fs::remove_file(&place);
    let _ = std::fs::hard_link(field.outside.join("victim"), &place);
    let _ = std::fs::remove_file(&place);
    let _ = std::fs::rename(&aside, &place);
    let _ = std::fs::remove_dir_all(&place);
}

/// `below` is a directory that is exchanged for a link to the outside, at once (renameat2(2), `RENAME_EXCHANGE`).
fn exchange(field: &Field) {
    use nix::fcntl::{RenameFlags, renameat2};

    let (a, b) = (field.inside.join("below"), field.inside.join("trap"));
    let _ = std::fs::create_dir(&a);
    let _ = symlink(&field.outside, &b);
    let _ = renameat2(AT_FDCWD, &a, AT_FDCWD, &b, RenameFlags::RENAME_EXCHANGE);
}

#[test]
fn owners_modes_and_lists_never_reach_the_outside() {
    let field = Field::new();
    let root = nix::unistd::geteuid().is_root();
    field.race(flip, |dir, _| {
        if let Ok(Some(node)) = dir.node_at("place") {
            if root {
                let _ = node.set_owner(Some(64_901), Some(64_901));
            }
            let _ = node.set_mode(0o2777);
            let _ = node.set_acl(Which::Access, Some(&list()));
        }
        if let Ok(Some(child)) = dir.child("place") {
            let _ = child.set_acl(Which::Default, Some(&list()));
        }
    });
}

#[test]
fn files_are_never_written_outside() {
    let field = Field::new();
    field.race(exchange, |dir, round| {
        let content = vec![b'!'; round % 64 + 1];
        if let Ok(Some(below)) = dir.child("below") {
            let _ = below.write("file", &content, &Permissions::PRIVATE);
            let _ = below.append("victim", &content);
            let _ = below.create_dir("new", 0o700);
            let _ = below.rename("file", &below, "moved", Replace::Allow);
        }
        let _ = dir.open("below/new");
        let _ = dir.write("below", &content, &Permissions::PRIVATE);
    });
}

#[test]
fn a_tree_that_is_removed_takes_nothing_outside_with_it() {
    let field = Field::new();
    field.race(exchange, |dir, _| {
        if let Ok(Some(below)) = dir.child("below") {
            let _ = below.create_dir("deep", 0o700);
            let _ = below.append("file", b"x");
        }
        let _ = dir.remove_tree("below");
        let _ = dir.remove_file("trap");
    });
}

#[test]
fn a_sweep_is_never_led_outside() {
    let field = Field::new();
    let member = |field: &Field| {
        exchange(field);
        flip(field);
    };
    field.race(member, |dir, _| {
        for found in Walk::new(dir).unwrap().flatten() {
            if let Ok(Some(node)) = found.node() {
                let _ = node.set_acl(Which::Access, Some(&list()));
                let _ = node.set_mode(0o777);
            }
        }
    });
}
