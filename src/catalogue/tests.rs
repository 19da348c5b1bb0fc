//! A source races the ingest: it renames directories while they are read, and exchanges files for links, FIFOs and other
//! files. Whatever the timing, nothing outside changes, and what is in its place is what the baseline says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::ingest::{self, Report, Work};
use crate::experiment::{ExperimentId, RelPath, SourceId};
use crate::report::Hidden;
use crate::store::baseline::Baseline;
use crate::store::intake::Intake;
use crate::store::sha256;
use crate::sys::acl::{Acl, Perms, Which};
use crate::sys::dir::Dir;
use crate::sys::lock;
use crate::sys::walk::Walk;

/// How long a race goes on.
const RACE: Duration = Duration::from_secs(6);

struct Field {
    _temp: tempfile::TempDir,
    base: PathBuf,
    outside: PathBuf,
    id: ExperimentId,
}

impl Field {
    #[allow(clippy::disallowed_methods)]
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let (base, outside) = (temp.path().join("base"), temp.path().join("outside"));
        for dir in [
            ".octonas",
            "locks",
            "eco/raw",
            "eco/landing/plc/data",
            "eco/landing/plc/sums",
            "eco/landing/plc/receipts",
        ] {
            std::fs::create_dir_all(base.join(dir)).unwrap();
        }
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("victim"), "untouched").unwrap();
        std::fs::write(outside.join("x"), "untouched").unwrap();
        Self {
            _temp: temp,
            base,
            outside,
            id: "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap(),
        }
    }

    fn data(&self) -> PathBuf {
        self.base.join("eco/landing/plc/data")
    }

    fn run(&self) -> crate::error::Result<Report> {
        let base = Dir::open_absolute(&self.base).unwrap();
        let experiment = base.existing("eco").unwrap();
        let locks = base.existing("locks").unwrap();
        let hold = || lock::lock(&locks, "experiment", Duration::from_secs(5));
        let begin = || Ok(());
        ingest::run(&Work {
            base: &base,
            experiment: &experiment,
            id: self.id,
            sources: vec![(
                SourceId::parse("plc").unwrap(),
                RelPath::parse("raw").unwrap(),
            )],
            stable_minutes: 0,
            probe: false,
            seal: None,
            hold: &hold,
            begin: &begin,
            progress: &Hidden,
        })
    }

    fn outside(&self) -> String {
        let mut text = String::new();
        for name in ["", "victim", "x"] {
            let path = self.outside.join(name);
            let m = std::fs::symlink_metadata(&path).unwrap();
            let _ = writeln!(
                text,
                "{name} {:o} {} {} {} {}",
                m.mode(),
                m.uid(),
                m.gid(),
                m.ino(),
                m.mtime_nsec()
            );
            if m.is_file() {
                text += &std::fs::read_to_string(&path).unwrap();
            }
        }
        text
    }

    /// Everything in its place is a file of its own, as its line in the baseline says; nothing is left on its way.
    fn is_sound(&self) -> usize {
        let base = Dir::open_absolute(&self.base).unwrap();
        let baseline = Baseline::open(&base, &self.id).unwrap();
        let mut lines: BTreeMap<String, String> = BTreeMap::new();
        baseline
            .read(|entry| {
                let twice = lines.insert(entry.mark.path, entry.mark.sha256);
                assert!(twice.is_none(), "two lines of one file");
                true
            })
            .unwrap();
        assert!(baseline.verify().unwrap().findings.is_empty());
        let mut files = 0;
        for found in Walk::new(&base.open("eco/raw").unwrap().unwrap()).unwrap() {
            let found = found.unwrap();
            let path = Path::new("raw").join(&found.path);
            let real = self.base.join("eco").join(&path);
            let m = std::fs::symlink_metadata(&real).unwrap();
            if m.is_dir() {
                continue;
            }
            assert!(m.is_file() && m.nlink() == 1, "{path:?} {m:?}");
            let content = std::fs::read(&real).unwrap();
            assert_eq!(
                lines.get(path.to_str().unwrap()),
                Some(&sha256(&content)),
                "{path:?}"
            );
            files += 1;
        }
        assert_eq!(files, lines.len());
        assert_eq!(Intake::waiting(&base, &self.id).unwrap(), 0);
        files
    }

    /// `source` plays while files are taken in.
    fn race(&self, source: impl Fn(&Self, usize) + Sync) -> usize {
        let before = self.outside();
        let stop = AtomicBool::new(false);
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    source(self, round);
                    round += 1;
                }
            });
            let (mut taken, mut failure) = (0, None);
            // A machine with other things to do needs longer, until anything was taken in at all.
            while failure.is_none()
                && (began.elapsed() < RACE || (taken == 0 && began.elapsed() < 10 * RACE))
            {
                match self.run() {
                    Ok(report) => taken += report.received,
                    Err(error) => failure = Some(error),
                }
            }
            // Before anything that may fail: the scope ends with the source.
            stop.store(true, Ordering::Relaxed);
            assert!(failure.is_none(), "{failure:?}");
        });
        assert_eq!(self.outside(), before);
        self.run().unwrap();
        self.is_sound()
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn directories_that_stay_empty_for_a_day_go() {
    let field = Field::new();
    let data = field.data();
    for dir in ["a/b", "c"] {
        std::fs::create_dir_all(data.join(dir)).unwrap();
    }
    std::fs::write(data.join("c/x.part"), "x").unwrap();
    let base = Dir::open_absolute(&field.base).unwrap();
    let into = (
        SourceId::parse("plc").unwrap(),
        RelPath::parse("raw").unwrap(),
    );
    let (landings, _) = super::landing::open(&base.existing("eco").unwrap(), &[into]).unwrap();
    let now = crate::sys::clock::now();
    landings[0].sweep(now).unwrap();
    assert!(data.join("a/b").exists());
    landings[0].sweep(now + Duration::from_hours(25)).unwrap();
    assert!(!data.join("a").exists() && data.join("c/x.part").exists());
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_directory_where_a_checksum_was_stops_nothing() {
    let field = Field::new();
    let sum = field.base.join("eco/landing/plc/sums/a.sha256");
    std::fs::create_dir(&sum).unwrap();
    let base = Dir::open_absolute(&field.base).unwrap();
    let into = (
        SourceId::parse("plc").unwrap(),
        RelPath::parse("raw").unwrap(),
    );
    let (landings, _) = super::landing::open(&base.existing("eco").unwrap(), &[into]).unwrap();
    landings[0].drop_sum("a").unwrap();
    assert!(sum.is_dir());
}

const SOURCE: u32 = 64_901;
const WRITERS: u32 = 64_902;
const READERS: u32 = 64_903;

/// The list of a leaf or frame of the walls, for a directory (`bits` 7) or a file (6).
fn list(writers: Perms, bits: u32) -> Acl {
    let mut list = Acl::from_mode(0o700);
    list.user_obj = Perms::from_bits(bits);
    list.groups = [(WRITERS, writers), (READERS, Perms::READ)].into();
    list.mask = Some(Perms::from_bits(bits));
    list
}

#[test]
#[allow(clippy::disallowed_methods)]
fn on_a_nas_with_rights_a_file_gets_those_of_the_leaf_or_goes_back_as_it_was() {
    if !crate::sys::process::is_root() {
        return;
    }
    let field = Field::new();
    let base = Dir::open_absolute(&field.base).unwrap();
    let open = |path: &str| base.open(path).unwrap().unwrap();
    for (path, owner, mode, writers) in [
        ("eco/raw", 0, 0o2770, Perms::ALL),
        ("eco/landing/plc/data", 0, 0o3770, Perms::READ),
        ("eco/landing/plc/receipts", 0, 0o2750, Perms::READ),
    ] {
        let dir = open(path);
        dir.set_owner(Some(owner), Some(WRITERS)).unwrap();
        dir.set_acl(Which::Default, Some(&list(writers, 7)))
            .unwrap();
        dir.set_mode(mode).unwrap();
        let mut access = list(writers, 7);
        access.users.insert(SOURCE, Perms::READ);
        let access = if path.ends_with("raw") {
            list(writers, 7)
        } else {
            access
        };
        dir.set_acl(Which::Access, Some(&access)).unwrap();
    }
    let data = field.data();
    std::fs::create_dir(data.join("day")).unwrap();
    std::fs::write(data.join("day/a"), "a").unwrap();
    std::fs::write(data.join("taken"), "new").unwrap();
    std::fs::write(field.base.join("eco/raw/taken"), "old").unwrap();
    for path in ["day", "day/a", "taken"] {
        std::os::unix::fs::chown(data.join(path), Some(SOURCE), Some(100)).unwrap();
    }
    // As a program with a umask of its own leaves it.
    let delivered = open("eco/landing/plc/data/day")
        .node_at("a")
        .unwrap()
        .unwrap();
    delivered.set_mode(0o600).unwrap();
    let report = field.run().unwrap();
    assert_eq!((report.received, report.refused), (1, 1), "{report:?}");

    let there = open("eco/raw/day").node_at("a").unwrap().unwrap();
    let metadata = there.metadata().unwrap();
    assert_eq!((metadata.uid, metadata.gid), (0, WRITERS));
    assert_eq!(there.acl(Which::Access).unwrap(), Some(list(Perms::ALL, 6)));
    let day = open("eco/raw/day");
    let metadata = day.metadata().unwrap();
    assert_eq!(
        (metadata.uid, metadata.gid, metadata.mode),
        (0, WRITERS, 0o2770)
    );
    for which in [Which::Access, Which::Default] {
        assert_eq!(
            day.acl(which).unwrap(),
            Some(list(Perms::ALL, 7)),
            "{which:?}"
        );
    }

    let back = open("eco/landing/plc/data")
        .node_at("taken")
        .unwrap()
        .unwrap();
    let metadata = back.metadata().unwrap();
    assert_eq!((metadata.uid, metadata.gid), (SOURCE, 100));
    let rights = back.acl(Which::Access).unwrap().unwrap();
    assert_eq!(rights.groups, list(Perms::READ, 6).groups);
    assert!(rights.user_obj.covers(Perms::from_bits(6)));

    // The source reads its receipts, and nobody but root writes them.
    let receipts = open("eco/landing/plc/receipts");
    let name = receipts.entries().unwrap().remove(0).name;
    let rights = receipts
        .node_at(&name)
        .unwrap()
        .unwrap()
        .acl(Which::Access)
        .unwrap()
        .unwrap();
    assert_eq!(rights.users.get(&SOURCE), Some(&Perms::from_bits(4)));
    assert_eq!(rights.mask, Some(Perms::from_bits(4)));
}

/// `place` is by turns a file, a link to the outside, a FIFO, a hard link of the outside, a directory, nothing.
#[allow(clippy::disallowed_methods)]
fn flip(field: &Field, round: usize) {
    let place = field.data().join(format!("f{}", round % 7));
    let aside = field.data().join(".aside");
    let _ = std::fs::write(&aside, format!("content {round}"));
    let _ = std::fs::rename(&aside, &place);
    if round.is_multiple_of(3) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = symlink(field.outside.join("victim"), &aside);
    let _ = std::fs::rename(&aside, &place);
    let _ = std::fs::remove_file(&place);
    let _ = std::fs::hard_link(field.outside.join("victim"), &place);
    let _ = std::fs::remove_file(&place);
    let _ = nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU);
    let _ = std::fs::remove_file(&place);
    let _ = std::fs::create_dir(&place);
    let _ = std::fs::remove_dir(&place);
}

/// Directories change their names, and are exchanged for links to the outside, while files lie in them.
#[allow(clippy::disallowed_methods)]
fn shuffle(field: &Field, round: usize) {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

    let (a, b) = (field.data().join("a"), field.data().join("b"));
    let trap = field.data().join(".trap");
    let _ = std::fs::create_dir(&a);
    let _ = std::fs::write(a.join(format!("x{round}")), format!("content {round}"));
    let _ = std::fs::rename(&a, &b);
    let _ = symlink(&field.outside, &trap);
    let _ = std::fs::create_dir(&a);
    let _ = std::fs::write(a.join("x"), format!("x {round}"));
    let _ = renameat2(AT_FDCWD, &a, AT_FDCWD, &trap, RenameFlags::RENAME_EXCHANGE);
    let _ = renameat2(AT_FDCWD, &a, AT_FDCWD, &trap, RenameFlags::RENAME_EXCHANGE);
    let _ = std::fs::remove_dir_all(&b);
}

/// A file is written to all the time, and its checksum is a link, a FIFO, a directory.
#[allow(clippy::disallowed_methods)]
fn scribble(field: &Field, round: usize) {
    use std::io::Write as _;

    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let path = field
        .data()
        .join(format!("g{}", COUNT.load(Ordering::Relaxed)));
    let sum = field.base.join(format!(
        "eco/landing/plc/sums/g{}.sha256",
        COUNT.load(Ordering::Relaxed)
    ));
    let _ = match round % 3 {
        0 => symlink(field.outside.join("victim"), &sum),
        1 => nix::unistd::mkfifo(&sum, nix::sys::stat::Mode::S_IRWXU).map_err(Into::into),
        _ => std::fs::create_dir(&sum),
    };
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path);
    if let Ok(mut file) = opened {
        for piece in 0..20 {
            let _ = file.write_all(format!("{piece};").as_bytes());
        }
    }
    let _ = std::fs::remove_file(&sum).or_else(|_| std::fs::remove_dir(&sum));
    if round.is_multiple_of(50) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn files_that_change_into_links_and_back_are_taken_in_whole_or_not_at_all() {
    let taken = Field::new().race(flip);
    assert!(taken > 0, "the race was no race");
}

#[test]
fn directories_that_move_lead_nobody_outside() {
    let taken = Field::new().race(shuffle);
    assert!(taken > 0, "the race was no race");
}

#[test]
fn what_is_written_while_it_is_taken_is_never_taken_half() {
    let field = Field::new();
    let taken = field.race(scribble);
    assert!(taken > 0, "the race was no race");
    for entry in std::fs::read_dir(field.base.join("eco/raw")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let whole = "0;1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;";
        assert_eq!(text.replace(whole, ""), "", "a piece was cut");
    }
}
