//! Packages and archives: what comes out is whole or not there, what was packed comes back, and what is wrong with a foreign one
//! is found and harms nobody.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::landing::{sha256, with_sources};
use crate::rpc::golden;
use crate::support::{Ran, TestEnv, clear, deepen, definition, descend, have, key, names, os};

/// An experiment with data, ingested and not, in names of all kinds.
pub fn filled(env: &TestEnv) {
    env.create(&with_sources("eco")).ok();
    let deliver = |path: &str, text: &str| {
        let file = env.at("eco/landing").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    deliver("plc/data/a.csv", "t;v\n1;2\n");
    let sum = sha256(b"t;v\n1;2\n");
    deliver("plc/sums/a.csv.sha256", &format!("{sum}  a.csv\n"));
    env.run(&["ingest", "eco", "--no-probe"]).ok();
    let raw = env.at("eco/raw");
    for (name, content) in [
        ("b.csv", &b"b"[..]),
        ("été 50%.csv", b"e"),
        ("new\nline", b"n"),
        ("deep/er/x.bin", &[7; 100_000]),
    ] {
        let file = raw.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    fs::write(raw.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "c").unwrap();
    fs::create_dir_all(raw.join("empty/deep")).unwrap();
    fs::File::create(raw.join("sparse"))
        .unwrap()
        .set_len(3 << 20)
        .unwrap();
}

/// Everything members keep, by path: content and time.
pub fn data(top: &Path) -> Vec<(PathBuf, String, i64, i64)> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(top.join("raw")).sort_by_file_name() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let sum = if metadata.is_file() {
            sha256(fs::read(entry.path()).unwrap())
        } else {
            String::new()
        };
        let below = entry.path().strip_prefix(top).unwrap().to_owned();
        let time = if metadata.is_file() {
            (metadata.mtime(), metadata.mtime_nsec())
        } else {
            (0, 0)
        };
        all.push((below, sum, time.0, time.1));
    }
    all
}

impl TestEnv {
    fn verdict(&self, name: &str) -> (i32, Value) {
        let ran = self.run(&["--json", "-q", "package", "verify", &self.path(name)]);
        let verdict = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
        (ran.exit.unwrap(), verdict)
    }

    /// The codes of everything that makes it invalid.
    fn errors(&self, name: &str) -> Vec<String> {
        let (exit, verdict) = self.verdict(name);
        let found = verdict["found"].as_array().unwrap();
        let mut codes: Vec<String> = found
            .iter()
            .filter(|finding| finding["severity"] == "error")
            .map(|finding| finding["code"].as_str().unwrap().to_owned())
            .collect();
        codes.dedup();
        assert_eq!(exit, if codes.is_empty() { 0 } else { 3 }, "{verdict}");
        assert_eq!(verdict["valid"], codes.is_empty(), "{verdict}");
        codes
    }
}

#[test]
fn what_is_packed_in_any_form_comes_back_as_it_was() {
    let env = TestEnv::new();
    filled(&env);
    for format in ["dir", "tar.zst", "zip"] {
        let (out, back) = (format!("out.{format}"), format!("back.{format}"));
        env.pack(&out, &["--format", format, "--sha512"]).ok();
        assert!(env.errors(&out).is_empty());
        env.run(&[
            "package",
            "restore",
            &env.path(&out),
            "--into",
            &env.path(&back),
        ])
        .ok();
        let mut wanted = data(&env.at("eco"));
        let mut found = data(Path::new(&env.path(&back)));
        if format == "zip" {
            // A zip has whole seconds.
            for each in wanted.iter_mut().chain(&mut found) {
                each.3 = 0;
            }
        }
        assert_eq!(found, wanted, "{format}");
        let sparse = fs::metadata(Path::new(&env.path(&back)).join("raw/sparse")).unwrap();
        assert!(
            sparse.blocks() * 512 < 1 << 20,
            "{format}: holes take {} blocks",
            sparse.blocks()
        );
        env.run(&[
            "package",
            "restore",
            &env.path(&out),
            "--into",
            &env.path(&back),
        ])
        .failed(1, "path.exists");
        if format != "dir" {
            // A directory that is there gets the package.
            env.pack(&out, &["--format", format])
                .failed(1, "path.exists");
        }
    }
    // The same experiment gives the same bytes.
    env.pack("again.tar.zst", &["--sha512"]).ok();
    let read = |name: &str| fs::read(env.path(name)).unwrap();
    assert_eq!(read("again.tar.zst"), read("out.tar.zst"));
}

#[test]
fn a_tree_of_any_depth_with_names_of_any_length_comes_back_from_every_form() {
    let env = TestEnv::new();
    env.create(&definition("eco")).ok();
    let raw = env.at("eco/raw");
    let step = "d2345678901234567890";
    let deepest = deepen(&raw, step, 500);
    fs::write(deepest.join("deepest"), "500 deep").unwrap();
    let longs: [&[u8]; 4] = [
        &[b'n'; 255],
        &"é".repeat(127).into_bytes(),
        // No UTF-8, and longer in words than a name may be.
        &[0xe9; 255],
        &[&[0xe9; 254][..], b"x"].concat(),
    ];
    fs::create_dir(raw.join(os(longs[2]))).unwrap();
    for (number, name) in longs.into_iter().enumerate() {
        let place = raw.join(os(longs[2]));
        fs::write(place.join(os(name)), number.to_string()).unwrap();
    }
    env.run(&["catalogue", "scan", "eco", "--no-probe"]).ok();
    let is_whole = |top: &Path| {
        let bottom = descend(&top.join("raw"), step, 500);
        assert_eq!(fs::read(bottom.join("deepest")).unwrap(), b"500 deep");
        for (number, name) in longs.into_iter().enumerate() {
            let file = top.join("raw").join(os(longs[2])).join(os(name));
            assert_eq!(fs::read(file).unwrap(), number.to_string().as_bytes());
        }
    };
    is_whole(&env.at("eco"));
    for format in ["dir", "tar.zst", "zip"] {
        let (out, back) = (format!("out.{format}"), format!("back.{format}"));
        env.pack(&out, &["--format", format]).ok();
        assert_eq!(env.errors(&out), [""; 0], "{format}");
        let back = env.path(&back);
        env.run(&["package", "restore", &env.path(&out), "--into", &back])
            .ok();
        is_whole(Path::new(&back));
        let other = TestEnv::new();
        other
            .run(&["package", "restore", &env.path(&out), "--as", "eco"])
            .ok();
        is_whole(&other.at("eco"));
        other.run(&["catalogue", "scan", "eco", "--no-probe"]).ok();
        other.run(&["verify", "eco"]).ok();
        other.run(&["evidence", "verify", "eco"]).ok();
        other.run(&["experiment", "check", "eco"]).ok();
    }
}

#[test]
fn a_directory_of_very_many_files_is_packed_verified_and_restored() {
    let many: usize = if std::env::var_os("OCTONAS_LONG").is_some() {
        200_000
    } else {
        20_000
    };
    let env = TestEnv::new();
    env.create(&definition("eco")).ok();
    let dir = env.at("eco/raw/many");
    fs::create_dir(&dir).unwrap();
    for number in 0..many {
        fs::write(dir.join(format!("{number:06}")), number.to_string()).unwrap();
    }
    env.run(&["catalogue", "scan", "eco", "--no-probe"]).ok();
    for format in ["dir", "tar.zst", "zip"] {
        let (out, back) = (env.path("out"), env.path("back"));
        env.pack("out", &["--format", format]).ok();
        let (exit, verdict) = env.verdict("out");
        assert_eq!(exit, 0, "{format}");
        assert!(verdict["files"].as_u64().unwrap() > many as u64, "{format}");
        env.run(&["package", "restore", &out, "--into", &back]).ok();
        let found = Path::new(&back).join("raw/many");
        assert_eq!(names(&found).len(), many, "{format}");
        let last = found.join(format!("{:06}", many - 1));
        assert_eq!(fs::read_to_string(last).unwrap(), (many - 1).to_string());
        for path in [out, back] {
            clear(path);
        }
    }
}

#[test]
fn a_package_carries_no_account_and_no_address() {
    let env = TestEnv::new();
    let text = with_sources("eco").replace(
        "account: bo, access: write",
        "email: bo.ek@example.org, account: boaccount, access: write",
    );
    env.create(&text).ok();
    env.pack("out", &["--format", "dir"]).ok();
    for entry in walkdir::WalkDir::new(env.path("out")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
            let root = env.path("");
            for secret in ["boaccount", "bo.ek@example.org", root.as_str()] {
                assert!(!text.contains(secret), "{secret} in {:?}", entry.path());
            }
        }
    }
}

#[test]
fn a_restored_experiment_is_the_same_on_another_nas() {
    let (env, other) = (TestEnv::new(), TestEnv::new());
    filled(&env);
    env.pack("eco.tar.zst", &[]).ok();
    let package = env.path("eco.tar.zst");
    other
        .run(&["package", "restore", &package, "--as", "lake"])
        .failed(1, "package.other-code");
    other
        .run(&["package", "restore", &package, "--as", "eco", "--dry-run"])
        .ok();
    assert!(!other.at("eco").exists());
    other
        .run(&["package", "restore", &package, "--as", "eco"])
        .ok();
    assert_eq!(data(&other.at("eco")), data(&env.at("eco")));
    let id = |env: &TestEnv| env.json(&["experiment", "show", "eco"])["definition"]["id"].clone();
    assert_eq!(id(&other), id(&env));
    let baseline = |env: &TestEnv| {
        let dir = env.at(".octonas/baseline");
        let dir = dir.join(&names(&dir)[0]);
        fs::read(dir.join(&names(&dir)[0])).unwrap()
    };
    assert_eq!(baseline(&other), baseline(&env));
    other.run(&["doctor"]).ok();
    // Nobody came along.
    let text = fs::read_to_string(other.at("eco/metadata/experiment.yaml")).unwrap();
    assert!(!text.contains("account:"), "{text}");
    other
        .run(&["package", "restore", &package, "--as", "eco"])
        .failed(1, "experiment.exists");
    env.pack("part.tar.zst", &["--only", "*.csv"]).ok();
    let part = env.path("part.tar.zst");
    TestEnv::new()
        .run(&["package", "restore", &part, "--as", "eco"])
        .failed(1, "package.partial");
}

#[test]
fn a_file_that_is_not_what_came_in_fails_the_package_unless_told_otherwise() {
    let env = TestEnv::new();
    filled(&env);
    fs::write(env.at("eco/raw/a.csv"), "other").unwrap();
    env.pack("out.tar.zst", &[]).failed(1, "package.baseline");
    assert_eq!(names(env.root.path()), ["nas"]);
    let ran = env.pack("out.tar.zst", &["--allow-changed"]).ok();
    assert!(ran.stdout.contains("raw/a.csv"), "{ran:?}");
    assert!(env.errors("out.tar.zst").is_empty());
}

#[test]
fn nothing_is_written_by_a_rehearsal_nor_into_the_experiment_itself() {
    let env = TestEnv::new();
    filled(&env);
    let before = data(&env.at("eco"));
    for format in ["dir", "tar.zst", "zip"] {
        env.pack("out", &["--format", format, "--dry-run"]).ok();
    }
    env.run(&["archive", "eco", "--to", &env.path(""), "--dry-run"])
        .ok();
    let inside = env.at("eco/raw/out").display().to_string();
    env.run(&["package", "create", "eco", "-o", &inside])
        .failed(1, "package.inside");
    assert_eq!(data(&env.at("eco")), before);
    assert_eq!(names(env.root.path()), ["nas"]);
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_changes_nothing() {
    let env = TestEnv::new();
    filled(&env);
    for format in ["tar.zst", "zip", "dir"] {
        env.pack("good", &["--format", format]).ok();
        let good = PathBuf::from(env.path("good"));
        let files: Vec<PathBuf> = walkdir::WalkDir::new(&good)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().to_owned())
            .collect();
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let step = (bytes.len() / if format == "dir" { 2 } else { 60 }).max(1);
            for at in (0..bytes.len()).step_by(step) {
                let mut bad = bytes.clone();
                bad[at] ^= 1;
                fs::write(&file, &bad).unwrap();
                let errors = env.errors("good");
                if errors.is_empty() {
                    // Something that says nothing of the content: a zip's flags and times, a reserved bit of Zstandard
                    // (RFC 8878, section 3.1.1.3.2.1).
                    assert_ne!(format, "dir", "{file:?} at {at}");
                    let back = env.path("back");
                    env.run(&["package", "restore", &env.path("good"), "--into", &back])
                        .ok();
                    let sums = |top: &Path| -> Vec<_> {
                        data(top).into_iter().map(|row| (row.0, row.1)).collect()
                    };
                    assert_eq!(sums(Path::new(&back)), sums(&env.at("eco")), "at {at}");
                    fs::remove_dir_all(back).unwrap();
                }
            }
            fs::write(&file, &bytes).unwrap();
        }
        if format == "dir" {
            fs::remove_dir_all(&good).unwrap();
        } else {
            let bytes = fs::read(&good).unwrap();
            for length in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
                fs::write(&good, &bytes[..length]).unwrap();
                assert!(!env.errors("good").is_empty(), "{format} cut at {length}");
                env.run(&[
                    "package",
                    "restore",
                    &env.path("good"),
                    "--into",
                    &env.path("back"),
                ])
                .failed(1, "package.invalid");
                assert!(!Path::new(&env.path("back")).exists());
            }
            fs::remove_file(&good).unwrap();
        }
    }
}

/// One block of a tar: its header.
pub fn header(name: &str, size: u64, kind: u8, link: &str) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(157, link);
    put(257, "ustar\x0000");
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A tar of (name, kind, link, content).
fn tar(entries: &[(&str, u8, &str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, kind, link, content) in entries {
        out.extend(header(name, content.len() as u64, *kind, link));
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend([0; 1024]);
    out
}

/// A good bag with one file, and what else there is.
pub fn bag_with(more: &[(&str, u8, &str, &[u8])]) -> Vec<u8> {
    let manifest = format!("{}  data/a\n", sha256(b"abc"));
    let mut all: Vec<(&str, u8, &str, &[u8])> = vec![
        (
            "bag/bagit.txt",
            b'0',
            "",
            b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        ),
        ("bag/manifest-sha256.txt", b'0', "", manifest.as_bytes()),
        ("bag/data/a", b'0', "", b"abc"),
    ];
    all.extend(more);
    tar(&all)
}

/// Name, kind, link, content of an entry of a tar.
type Row<'r> = (&'r str, u8, &'r str, &'r [u8]);

#[test]
fn a_foreign_container_leads_nowhere_makes_no_link_and_is_told_off() {
    let env = TestEnv::new();
    fs::create_dir_all(env.path("place")).unwrap();
    let good = env.path("x.tar");
    fs::write(&good, bag_with(&[])).unwrap();
    assert!(env.errors("x.tar").is_empty());
    let cases: &[(&str, &[Row<'_>])] = &[
        ("path.escapes", &[("../../evil", b'0', "", b"x")]),
        ("path.escapes", &[("/tmp/octonas-evil", b'0', "", b"x")]),
        ("path.escapes", &[("bag/data/../../evil", b'0', "", b"x")]),
        ("path.link", &[("bag/data/l", b'2', "/etc/passwd", b"")]),
        (
            "path.link",
            &[
                ("bag/data/l", b'2', "/tmp", b""),
                ("bag/data/l/octonas-evil", b'0', "", b"x"),
            ],
        ),
        ("path.link", &[("bag/data/h", b'1', "/etc/passwd", b"")]),
        ("path.special", &[("bag/data/dev", b'3', "", b"")]),
        ("path.special", &[("bag/data/fifo", b'6', "", b"")]),
        ("container.twice", &[("bag/data/a", b'0', "", b"abc")]),
        ("bag.none", &[("other/bagit.txt", b'0', "", b"x")]),
        ("payload.unlisted", &[("bag/data/more", b'0', "", b"x")]),
    ];
    for (code, more) in cases {
        fs::write(&good, bag_with(more)).unwrap();
        let errors = env.errors("x.tar");
        assert!(errors.contains(&(*code).to_owned()), "{code}: {errors:?}");
        let into = env.path("place/back");
        env.run(&["package", "restore", &good, "--into", &into])
            .failed(1, "package.invalid");
        assert!(names(Path::new(&env.path("place"))).is_empty());
        assert!(!Path::new("/tmp/octonas-evil").exists());
        assert!(!Path::new(&env.path("evil")).exists());
    }
    for (bytes, code) in [
        (b"PK\x03\x04rubbish".to_vec(), "container.damaged"),
        (b"\x28\xb5\x2f\xfdrubbish".to_vec(), "container.damaged"),
        (b"\x1f\x8brubbish".to_vec(), "container.damaged"),
        (b"rubbish".to_vec(), "container.unknown"),
    ] {
        fs::write(&good, bytes).unwrap();
        assert!(env.errors("x.tar").contains(&code.to_owned()));
    }
}

#[test]
fn a_bomb_ends_before_it_hurts() {
    let env = TestEnv::new();
    let zeros = vec![0; 64 << 20];
    let bomb = bag_with(&[("bag/data/zeros", b'0', "", &zeros)]);
    fs::write(env.path("bomb.tar"), bomb).unwrap();
    let packed = Command::new("/usr/bin/zstd")
        .args(["-q", "--rm", &env.path("bomb.tar")])
        .status();
    if packed.is_err() {
        println!("SKIPPED: no zstd");
        return;
    }
    let bomb = env.path("bomb.tar.zst");
    assert!(fs::metadata(&bomb).unwrap().len() < 100_000);
    let ran = env.run(&["package", "verify", &bomb, "--max-size", "1000000"]);
    assert_eq!(ran.exit, Some(3));
    assert!(ran.stdout.contains("container.bomb"), "{ran:?}");
    let into = env.path("back");
    let limit = ["--max-size", "1000000"];
    let mut all = vec!["package", "restore", &bomb, "--into", &into];
    all.extend(limit);
    env.run(&all).failed(1, "package.invalid");
    assert_eq!(names(env.root.path()), ["bomb.tar.zst", "nas"]);
}

#[test]
fn links_in_a_bag_that_is_a_directory_are_not_followed() {
    let env = TestEnv::new();
    filled(&env);
    env.pack("out", &["--format", "dir"]).ok();
    fs::remove_file(env.root.path().join("out/data/raw/b.csv")).unwrap();
    symlink(
        env.at("eco/raw/b.csv"),
        env.root.path().join("out/data/raw/b.csv"),
    )
    .unwrap();
    assert!(env.errors("out").contains(&"path.link".to_owned()));
    env.run(&[
        "package",
        "restore",
        &env.path("out"),
        "--into",
        &env.path("back"),
    ])
    .failed(1, "package.invalid");
    assert_eq!(names(env.root.path()), ["nas", "out"]);
}

#[test]
fn what_is_encrypted_is_opened_by_its_recipients_and_by_debians_age_and_by_nobody_else() {
    if !have("age") {
        println!("SKIPPED: no age");
        return;
    }
    let env = TestEnv::new();
    filled(&env);
    let (unit, unit_key) = key(&env, "unit.key");
    let (guest, guest_key) = key(&env, "guest.key");
    let (_, other_key) = key(&env, "other.key");
    let settings = env.path("octonas.yaml");
    fs::write(
        &settings,
        format!("encryption: {{ recipients: {{ unit: {unit} }} }}\n"),
    )
    .unwrap();
    let out = env.path("eco.tar.zst.age");
    env.run(&[
        "--config",
        &settings,
        "package",
        "create",
        "eco",
        "-o",
        &out,
        "--recipient",
        &guest,
    ])
    .ok();
    for identity in [&unit_key, &guest_key] {
        env.run(&["package", "verify", &out, "--identity", identity])
            .ok();
    }
    env.run(&["package", "verify", &out, "--identity", &other_key])
        .failed(1, "age.identity");
    env.run(&["package", "verify", &out])
        .failed(1, "age.identity");
    let back = env.path("back");
    env.run(&[
        "package",
        "restore",
        &out,
        "--into",
        &back,
        "--identity",
        &guest_key,
    ])
    .ok();
    assert_eq!(data(Path::new(&back)), data(&env.at("eco")));
    // Debian's age opens ours, we open its.
    let plain = Command::new("/usr/bin/age")
        .args(["-d", "-i", &unit_key, &out])
        .output()
        .unwrap();
    fs::write(env.path("plain.tar.zst"), plain.stdout).unwrap();
    assert!(env.errors("plain.tar.zst").is_empty());
    let file = env.path("eco.tar.zst.by-age");
    let status = Command::new("/usr/bin/age")
        .args(["-r", &guest, "-o", &file, &env.path("plain.tar.zst")])
        .status();
    assert!(status.unwrap().success());
    env.run(&["package", "verify", &file, "--identity", &guest_key])
        .ok();
    // Single files.
    let one = env.at("eco/raw/b.csv").display().to_string();
    env.run(&["encrypt", &one, "-o", &env.path("b.age"), "-r", &guest])
        .ok();
    env.run(&[
        "decrypt",
        &env.path("b.age"),
        "-o",
        &env.path("b"),
        "-i",
        &guest_key,
    ])
    .ok();
    assert_eq!(fs::read(env.path("b")).unwrap(), b"b");
    env.run(&[
        "decrypt",
        &env.path("b.age"),
        "-o",
        &env.path("b2"),
        "-i",
        &other_key,
    ])
    .failed(1, "age.identity");
    assert!(!Path::new(&env.path("b2")).exists());
    // A secret key is not taken, and not repeated.
    let secret = fs::read_to_string(&guest_key).unwrap();
    let secret = secret
        .lines()
        .find(|line| line.starts_with("AGE-"))
        .unwrap();
    let ran = env
        .pack("x.age", &["--recipient", secret])
        .failed(1, "age.secret");
    assert!(!ran.stderr.contains(secret));
    // Damage.
    let mut bytes = fs::read(&out).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&out, bytes).unwrap();
    let ran = env.run(&["package", "verify", &out, "--identity", &guest_key]);
    assert_eq!(ran.exit, Some(3));
    assert!(ran.stdout.contains("container.encryption"), "{ran:?}");
}

#[test]
fn an_archive_lies_in_every_place_and_thinning_needs_good_copies() {
    let env = TestEnv::new();
    filled(&env);
    let (one, two) = (env.path("one"), env.path("two"));
    for place in [&one, &two] {
        fs::create_dir(place).unwrap();
    }
    env.run(&["archive", "eco", "--to", &one, "--to", &env.path("gone")])
        .failed(1, "archive.unreachable");
    env.run(&["archive", "eco", "--to", &one, "--to", &two])
        .ok();
    let list = env.json(&["archive", "list"]);
    let package = list[0]["package"].as_str().unwrap().to_owned();
    assert_eq!(list[0]["places"], json!([one, two]));
    for place in [&one, &two] {
        let checked = Command::new("/usr/bin/sha256sum")
            .args(["-c", &format!("{package}.sha256")])
            .current_dir(place)
            .status();
        assert!(checked.unwrap().success());
    }
    env.run(&["archive", "verify", "eco"]).ok();
    env.run(&["archive", "thin", "eco", "--confirm", "eco"])
        .failed(1, "experiment.open");
    env.run(&["experiment", "close", "eco"]).ok();
    env.run(&["archive", "thin", "eco", "--confirm", "lake"])
        .failed(1, "archive.unconfirmed");
    let copy = Path::new(&two).join(&package);
    let good = fs::read(&copy).unwrap();
    fs::write(&copy, &good[..good.len() - 1]).unwrap();
    assert_eq!(env.run(&["archive", "verify", "eco"]).exit, Some(3));
    let before = data(&env.at("eco"));
    env.run(&["archive", "thin", "eco", "--confirm", "eco"])
        .failed(1, "archive.damaged");
    assert_eq!(data(&env.at("eco")), before);
    // The good copy is the one that is brought back.
    fs::write(&copy, &good).unwrap();
    fs::remove_file(Path::new(&one).join(&package)).unwrap();
    let back = env.path("back");
    env.run(&["archive", "restore", "eco", "--into", &back])
        .ok();
    assert_eq!(data(Path::new(&back)), before);
    fs::write(Path::new(&one).join(&package), &good).unwrap();
    // What changed since stays.
    fs::write(env.at("eco/raw/b.csv"), "changed").unwrap();
    let ran = env
        .run(&["archive", "thin", "eco", "--confirm", "eco"])
        .ok();
    assert!(ran.stdout.contains("kept: raw/b.csv"), "{ran:?}");
    let files = |top: &Path| -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(top.join("raw")).into_iter();
        all.map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().to_owned())
            .collect()
    };
    let left = files(&env.at("eco"));
    // And what the manifest cannot name as it lies there.
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(env.at("eco/metadata/ARCHIVED.txt").exists());
}

#[test]
fn the_web_ui_packs_verifies_restores_and_archives() {
    let env = TestEnv::new();
    env.create(&definition("eco")).ok();
    fs::create_dir(env.path("place")).unwrap();
    let answer = |method: &str, params: Value| env.admin(method, &params)["result"].clone();
    let out = env.path("eco.zip");
    let made = answer(
        "create-package",
        json!({"code": "eco", "out": out, "format": "zip"}),
    );
    assert_eq!(made["format"], "zip");
    let verdict = answer("verify-package", json!({"path": out}));
    assert_eq!(
        (&verdict["valid"], &verdict["files"], &verdict["manifest"]),
        (&json!(true), &made["files"], &made["manifest"])
    );
    let back = env.path("back");
    answer("restore-package", json!({"path": out, "into": back}));
    assert!(Path::new(&back).join("metadata/README.en.md").exists());
    let archived = answer(
        "archive-experiment",
        json!({"code": "eco", "to": [env.path("place")]}),
    );
    let list = answer("list-archives", json!({"code": "eco"}));
    assert_eq!(list[0]["sha256"], archived["sha256"]);
    assert_eq!(
        answer("verify-archive", json!({"code": "eco"}))[0]["state"],
        "good"
    );
    answer("close-experiment", json!({"code": "eco"}));
    let thinned = answer(
        "thin-experiment",
        json!({"code": "eco", "confirm": "eco", "dry-run": true}),
    );
    assert_eq!(thinned["files"], 0);
    let again = env.path("again");
    answer("restore-archive", json!({"code": "eco", "into": again}));
    assert!(Path::new(&again).join("metadata/README.en.md").exists());
    golden(
        &env,
        "rpc-packages",
        &[
            (
                "create-package",
                json!({"code": "eco", "out": "relative", "format": "zip"}),
            ),
            (
                "create-package",
                json!({"code": "eco", "out": out, "format": "rar"}),
            ),
            (
                "create-package",
                json!({"code": "eco", "out": out, "format": "zip"}),
            ),
            (
                "create-package",
                json!({"code": "eco", "out": env.path("x"), "format": "dir", "only": ["../x"]}),
            ),
            (
                "create-package",
                json!({"code": "eco", "out": env.path("x"), "format": "zip", "encrypt": true}),
            ),
            ("verify-package", json!({"path": env.path("none")})),
            ("restore-package", json!({"path": out})),
            ("restore-package", json!({"path": out, "into": back})),
            ("restore-package", json!({"path": out, "as": "lake"})),
            ("archive-experiment", json!({"code": "eco"})),
            (
                "archive-experiment",
                json!({"code": "eco", "to": ["nowhere"]}),
            ),
            (
                "restore-archive",
                json!({"code": "eco", "package": "none", "into": back}),
            ),
            ("thin-experiment", json!({"code": "eco", "confirm": "lake"})),
            ("list-archives", json!({"code": "lake"})),
        ],
    );
}

#[cfg(feature = "faults")]
mod faults {
    use std::io::Write as _;

    use super::*;
    use crate::support::{finish, in_parallel, telling};

    /// The points that a command passes.
    fn points(env: &TestEnv, arguments: &[&str]) -> Vec<String> {
        let trace = env.path("trace");
        let mut command = env.command(arguments);
        command.env("OCTONAS_FAULT_TRACE", &trace);
        finish(command, b"").ok();
        let text = fs::read_to_string(trace).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn disturbed(env: &TestEnv, arguments: &[&str], fault: &str) -> Ran {
        let mut command = env.command(arguments);
        command.env("OCTONAS_FAULT", fault);
        finish(command, b"")
    }

    /// What lies beside the NAS.
    fn beside(env: &TestEnv) -> Vec<String> {
        let mut all = names(env.root.path());
        all.retain(|name| !["nas", "trace"].contains(&name.as_str()));
        all
    }

    #[test]
    fn a_package_is_whole_or_not_there_whenever_it_is_killed_or_the_disk_is_full() {
        for format in ["dir", "tar.zst", "zip"] {
            let first = TestEnv::new();
            filled(&first);
            let out = first.path("out");
            let points = points(
                &first,
                &["package", "create", "eco", "-o", &out, "--format", format],
            );
            assert!(points.len() > 30, "{points:?}");
            let numbers = telling(&points, 1);
            let chunks: Vec<&[usize]> = numbers.chunks(20).collect();
            in_parallel(&chunks, |chunk| {
                let env = TestEnv::new();
                filled(&env);
                // Its documents are there already: the points of an undisturbed second run.
                for number in *chunk {
                    for fault in ["kill", "enospc"] {
                        let what =
                            format!("{format}, {fault} at {number} ({})", points[number - 1]);
                        let out = env.path("out");
                        let create = ["package", "create", "eco", "-o", &out, "--format", format];
                        let ran = disturbed(&env, &create, &format!("{fault}:{number}"));
                        if beside(&env).contains(&"out".to_owned()) {
                            assert!(env.errors("out").is_empty(), "{what}: {ran:?}");
                            remove(&env, "out");
                        }
                        if fault == "enospc" {
                            let said = ran.stderr.contains("No space left");
                            assert!(
                                ran.exit == Some(0) || (ran.exit == Some(1) && said),
                                "{what}: {ran:?}"
                            );
                            assert!(beside(&env).is_empty(), "{what} leaves {:?}", beside(&env));
                        }
                        env.run(&create).ok();
                        assert_eq!(beside(&env), ["out"], "{what}");
                        assert!(env.errors("out").is_empty(), "{what}");
                        remove(&env, "out");
                    }
                }
            });
        }
    }

    fn remove(env: &TestEnv, name: &str) {
        clear(env.path(name));
    }

    #[test]
    fn an_archive_is_counted_only_when_every_copy_is_good_whatever_happens() {
        let first = TestEnv::new();
        filled(&first);
        {
            let env = &first;
            fs::create_dir(env.path("one")).unwrap();
            fs::create_dir(env.path("two")).unwrap();
        }
        let (one, two) = (first.path("one"), first.path("two"));
        let points = points(&first, &["archive", "eco", "--to", &one, "--to", &two]);
        let numbers = telling(&points, 1);
        let chunks: Vec<&[usize]> = numbers.chunks(20).collect();
        in_parallel(&chunks, |chunk| {
            let env = TestEnv::new();
            filled(&env);
            let (one, two) = (env.path("one"), env.path("two"));
            for number in *chunk {
                for fault in ["kill", "enospc"] {
                    let what = format!("{fault} at {number} ({})", points[number - 1]);
                    for place in [&one, &two] {
                        let _ = fs::remove_dir_all(place);
                        fs::create_dir(place).unwrap();
                    }
                    let known = env.json(&["archive", "list"]).as_array().unwrap().len();
                    let arguments = ["archive", "eco", "--to", &one, "--to", &two];
                    disturbed(&env, &arguments, &format!("{fault}:{number}"));
                    let list = env.json(&["archive", "list"]);
                    let list = list.as_array().unwrap();
                    if list.len() > known {
                        env.run(&["archive", "verify", "eco"]).ok();
                    }
                    let ran = env.run(&arguments);
                    assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
                    env.run(&["archive", "verify", "eco"]).ok();
                    assert!(names(&env.at(".octonas/archiving")).is_empty(), "{what}");
                }
            }
        });
    }

    #[test]
    fn thinning_that_is_killed_takes_away_nothing_but_what_is_archived_and_goes_on() {
        let env = TestEnv::new();
        filled(&env);
        let place = env.path("one");
        fs::create_dir(&place).unwrap();
        env.run(&["experiment", "close", "eco"]).ok();
        env.run(&["archive", "eco", "--to", &place]).ok();
        let wanted = data(&env.at("eco"));
        for number in 1..200 {
            let fault = format!("kill:{number}");
            let ran = disturbed(
                &env,
                &["archive", "thin", "eco", "--confirm", "eco"],
                &fault,
            );
            if ran.exit == Some(0) {
                assert!(number > 10);
                break;
            }
            let back = env.path(&format!("back-{number}"));
            if number % 10 == 0 {
                env.run(&["archive", "restore", "eco", "--into", &back])
                    .ok();
                assert_eq!(data(Path::new(&back)), wanted);
            }
        }
        let left = data(&env.at("eco"))
            .iter()
            .filter(|row| !row.1.is_empty())
            .count();
        // The name that no manifest can hold stays.
        assert_eq!(left, 1);
    }

    #[test]
    fn a_file_that_changes_grows_vanishes_or_becomes_a_link_fails_the_package() {
        type Change = fn(&Path);
        let changes: &[(&str, Change)] = &[
            ("grows", |file| {
                let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
                file.write_all(b"more").unwrap();
            }),
            ("shrinks", |file| {
                let file = fs::OpenOptions::new().write(true).open(file).unwrap();
                file.set_len(1).unwrap();
            }),
            ("vanishes", |file| fs::remove_file(file).unwrap()),
            ("is replaced", |file| {
                let size = fs::metadata(file).unwrap().len();
                fs::remove_file(file).unwrap();
                fs::write(file, vec![1; usize::try_from(size).unwrap()]).unwrap();
            }),
            ("becomes a link", |file| {
                fs::remove_file(file).unwrap();
                symlink("/etc/passwd", file).unwrap();
            }),
            ("loses its directory", |file| {
                let parent = file.parent().unwrap();
                fs::rename(parent, parent.with_extension("gone")).unwrap();
                symlink("/etc", parent).unwrap();
            }),
        ];
        for (what, change) in changes {
            let env = TestEnv::new();
            env.create(&definition("eco")).ok();
            // While the first one is read, the last one changes.
            fs::File::create(env.at("eco/raw/a"))
                .unwrap()
                .set_len(400 << 20)
                .unwrap();
            let last = env.at("eco/raw/z/last");
            fs::create_dir(last.parent().unwrap()).unwrap();
            fs::write(&last, "last").unwrap();
            let trace = env.path("trace");
            let mut command =
                env.command(&["package", "create", "eco", "-o", &env.path("out.tar.zst")]);
            command.env("OCTONAS_FAULT_TRACE", &trace);
            let child = command.spawn().unwrap();
            let is_reading = || {
                let text = fs::read_to_string(&trace).unwrap_or_default();
                text.lines().filter(|line| *line == "package.file").count() > 0
            };
            while !is_reading() {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            change(&last);
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{what}: {stderr}");
            assert!(stderr.contains("[package.changed]"), "{what}: {stderr}");
            assert_eq!(beside(&env), [""; 0], "{what}");
        }
    }

    #[test]
    fn restoring_into_a_directory_is_whole_or_not_there_whenever_it_is_killed() {
        let env = TestEnv::new();
        filled(&env);
        env.pack("eco.zip", &["--format", "zip"]).ok();
        let wanted: Vec<String> = data(&env.at("eco")).into_iter().map(|row| row.1).collect();
        let (package, back) = (env.path("eco.zip"), env.path("back"));
        let restore = ["package", "restore", &package, "--into", &back];
        for number in telling(&points(&env, &restore), 1) {
            for fault in ["kill", "enospc"] {
                let _ = fs::remove_dir_all(&back);
                let ran = disturbed(&env, &restore, &format!("{fault}:{number}"));
                if !Path::new(&back).exists() {
                    env.run(&restore).ok();
                }
                let found: Vec<String> = data(Path::new(&back))
                    .into_iter()
                    .map(|row| row.1)
                    .collect();
                assert_eq!(found, wanted, "{fault} at {number}: {ran:?}");
            }
        }
        let _ = fs::remove_dir_all(&back);
        env.run(&restore).ok();
        assert_eq!(beside(&env), ["back", "eco.zip"]);
    }

    #[test]
    fn a_clock_that_jumps_takes_nothing_from_the_evidence_nor_an_old_archive_for_the_newest() {
        let env = TestEnv::new();
        filled(&env);
        let at = |days: i64, arguments: &[&str]| {
            let mut command = env.command(arguments);
            command.env("OCTONAS_CLOCK", (days * 86_400).to_string());
            finish(command, b"")
        };
        let place = env.path("place");
        fs::create_dir(&place).unwrap();
        // A battery that is empty, a year that is mistyped, and the right time at last.
        for days in [0, -400, 900, -20_000, 1] {
            let what = format!("{days} days");
            fs::write(env.at(&format!("eco/raw/{days}")), &what).unwrap();
            for arguments in [
                &["catalogue", "scan", "eco", "--no-probe"][..],
                &["verify", "eco"],
                &["verify", "eco", "--due", "30d"],
                &["archive", "eco", "--to", &place],
                &["evidence", "verify", "eco"],
            ] {
                let ran = at(days, arguments);
                assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
            }
            let back = env.path("back");
            let ran = at(days, &["archive", "restore", "eco", "--into", &back]);
            assert_eq!(ran.exit, Some(0), "{what}: {ran:?}");
            let newest = Path::new(&back).join(format!("raw/{days}"));
            assert_eq!(fs::read_to_string(newest).unwrap(), what);
            fs::remove_dir_all(back).unwrap();
        }
        // What was checked in a future that has not come is due.
        let ran = at(0, &["--json", "verify", "eco", "--due", "30d", "--dry-run"]);
        let due: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(due[0]["due"].as_u64().unwrap() > 0, "{due}");
        env.run(&["archive", "verify", "eco", "--all"]).ok();
        env.run(&["evidence", "rebuild", "eco"]).ok();
        env.run(&["verify", "eco"]).ok();
    }

    #[test]
    fn a_failing_restore_leaves_an_experiment_that_is_there_alone() {
        let env = TestEnv::new();
        filled(&env);
        env.pack("eco.tar.zst", &[]).ok();
        let before = data(&env.at("eco"));
        env.run(&[
            "package",
            "restore",
            &env.path("eco.tar.zst"),
            "--as",
            "eco",
        ])
        .failed(1, "experiment.exists");
        assert_eq!(data(&env.at("eco")), before);
    }
}
