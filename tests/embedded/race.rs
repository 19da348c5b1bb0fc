//! A member who changes names under the program while it works: links out of the experiment, other names of files
//! elsewhere, FIFOs, directories that are swapped. Nothing outside is touched, and the program neither hangs nor falls.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Ran, TestEnv, definition, exact, exact_one, untouched};

/// What must stay as it is: a file and a directory outside, with contents, modes, ACLs, attributes and times.
struct Canary {
    place: PathBuf,
    before: BTreeMap<String, String>,
    itself: String,
}

impl Canary {
    fn new(env: &TestEnv) -> Self {
        let place = env.root.path().join("outside");
        fs::create_dir_all(place.join("dir/below")).unwrap();
        fs::write(place.join("file"), "canary").unwrap();
        fs::write(place.join("dir/kept"), "canary").unwrap();
        fs::set_permissions(place.join("file"), fs::Permissions::from_mode(0o604)).unwrap();
        fs::set_permissions(place.join("dir"), fs::Permissions::from_mode(0o705)).unwrap();
        let _ = xattr::set(place.join("file"), "user.canary", b"sings");
        let before = exact(&place);
        let itself = exact_one(&place);
        Self {
            place,
            before,
            itself,
        }
    }

    fn sings(&self, by: &str) {
        untouched(&self.place, &self.before, &by);
        assert_eq!(exact_one(&self.place), self.itself, "{by}");
    }
}

/// One round of mischief in `leaf`; every step may fail, because the program works there too.
fn mischief(leaf: &Path, canary: &Path, round: u64) {
    let name = |what: &str| leaf.join(format!("{what}-{}", round % 7));
    let (a, b) = (name("a"), name("b"));
    // Who makes mischief does not follow their own links out.
    let real = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    match round % 8 {
        0 => {
            let _ = fs::create_dir(&a);
            if real(&a) {
                let _ = fs::create_dir(a.join("deep"));
            }
            if real(&a) && real(&a.join("deep")) {
                let _ = fs::create_dir(a.join("deep/er"));
                let _ = fs::write(a.join("deep/er/file"), "x");
            }
        }
        1 => {
            let _ = fs::rename(&a, &b);
            let _ = symlink(canary.join("dir"), &a);
        }
        2 => {
            let _ = fs::remove_file(&a);
            let _ = fs::rename(&b, &a);
        }
        3 => {
            let _ = symlink(canary.join("file"), name("link"));
            let _ = symlink("..", name("up"));
        }
        4 => {
            let _ = nix::unistd::mkfifo(
                &name("fifo"),
                nix::sys::stat::Mode::from_bits_truncate(0o600),
            );
            let _ = fs::hard_link(leaf.join("own"), name("hard"));
        }
        5 => {
            let _ = fs::remove_file(name("link"));
            let _ = fs::write(name("link"), "now a file");
        }
        6 => {
            // The directory becomes a link while somebody is in it.
            if real(&a) {
                let _ = fs::rename(a.join("deep"), leaf.join("moved-up"));
                let _ = symlink(canary, a.join("deep"));
            }
        }
        _ => {
            let _ = fs::remove_file(name("fifo"));
            let _ = fs::remove_file(name("hard"));
            let _ = fs::remove_file(name("link"));
            let _ = fs::remove_dir_all(leaf.join("moved-up"));
            if real(&a) {
                let _ = fs::remove_file(a.join("deep"));
            }
        }
    }
}

/// Runs `work` again and again while a thread makes mischief in `leaf`, until thousands of rounds are done.
fn raced(env: &TestEnv, leaf: &Path, rounds: u64, work: impl Fn() -> Option<Ran>) {
    let canary = Canary::new(env);
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let begun = Instant::now();
    let mut runs = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                mischief(leaf, &canary.place, round);
                round += 1;
                done.store(round, Ordering::Relaxed);
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while done.load(Ordering::Relaxed) < rounds || runs < 5 {
                let Some(ran) = work() else { break };
                runs += 1;
                let orderly = matches!(ran.exit, Some(0 | 1 | 3));
                assert!(orderly && !ran.stderr.contains("panic"), "{ran:?}");
                canary.sings("a run");
                assert!(begun.elapsed() < Duration::from_secs(90), "it hangs");
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    canary.sings("the end");
    println!(
        "{} rounds of mischief during {runs} runs",
        done.into_inner()
    );
}

#[test]
fn a_check_and_a_repair_touch_nothing_outside_whatever_members_do() {
    let env = TestEnv::with_experiment();
    let leaf = env.at("eco/raw");
    fs::write(leaf.join("own"), "own").unwrap();
    let turn = AtomicU64::new(0);
    raced(&env, &leaf, 8_000, || {
        let arguments = match turn.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => &["experiment", "apply", "eco", "--mend"][..],
            1 => &["experiment", "check", "eco"],
            _ => &["rights", "eco"],
        };
        Some(env.run(arguments))
    });
    env.run(&["experiment", "apply", "eco", "--mend"]).ok();
}

#[test]
fn a_frame_directory_that_becomes_a_link_is_never_followed() {
    // The embedded NAS cannot keep its user from the frame: here even that is raced.
    let env = TestEnv::with_experiment();
    let canary = Canary::new(&env);
    let raw = env.at("eco/raw");
    let aside = env.at("eco/aside");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::rename(&raw, &aside);
                let _ = symlink(canary.place.join("dir"), &raw);
                let _ = fs::remove_file(&raw);
                let _ = fs::rename(&aside, &raw);
            }
        });
        for round in 0..60 {
            let arguments = if round % 2 == 0 {
                &["experiment", "apply", "eco", "--mend"][..]
            } else {
                &["experiment", "check", "eco"]
            };
            let ran = env.run(arguments);
            assert!(matches!(ran.exit, Some(0 | 1 | 3)), "{ran:?}");
            canary.sings("a run");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn deleting_data_deletes_nothing_outside_whatever_members_do() {
    let env = TestEnv::new();
    for round in 0..6 {
        let code = format!("eco-{round}");
        env.create(&definition(&code)).ok();
        let leaf = env.at(&code).join("raw");
        fs::write(leaf.join("own"), "own").unwrap();
        let canary = Canary::new(&env);
        for number in 0..200 {
            mischief(&leaf, &canary.place, number);
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    mischief(&leaf, &canary.place, number);
                    // Somebody inside goes on where the directory was moved to.
                    for entry in fs::read_dir(env.at(".octonas/trash"))
                        .into_iter()
                        .flatten()
                        .flatten()
                    {
                        mischief(&entry.path().join("raw"), &canary.place, number);
                    }
                    number += 1;
                }
            });
            let ran = env.run(&["experiment", "remove", &code, "--delete-data", &code]);
            stop.store(true, Ordering::Relaxed);
            assert!(matches!(ran.exit, Some(0 | 1)), "{ran:?}");
            assert!(
                ran.exit == Some(0) || ran.stderr.contains("[path.busy]"),
                "{ran:?}"
            );
        });
        env.run(&["experiment", "remove", &code, "--delete-data", &code])
            .ok();
        canary.sings("a removal");
        assert!(
            !env.at(&code).exists() && env.leftovers().is_empty(),
            "{:?}",
            env.leftovers()
        );
    }
}
