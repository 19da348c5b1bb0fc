//! Packages, directories and files that somebody made to harm: what they bring is data, and nothing of it becomes a right, a
//! record, a key, or all of the memory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::landing::sha256;
use crate::support::{Ran, TestEnv, names};

impl TestEnv {
    fn beside(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    fn pack_as_directory(&self) -> String {
        let out = self.beside("bag");
        self.run(&["package", "create", "eco", "-o", &out, "--format", "dir"])
            .ok();
        out
    }

    fn verify(&self, path: &str) -> Ran {
        self.run(&["-q", "package", "verify", path])
    }
}

/// Makes a bag valid again after somebody changed what is in it.
fn seal_again(bag: &Path) {
    let mut manifest = String::new();
    for entry in walkdir::WalkDir::new(bag.join("data")).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(bag).unwrap().to_str().unwrap();
            let path = path.replace('%', "%25").replace('\n', "%0A");
            manifest += &format!("{}  {path}\n", sha256(fs::read(entry.path()).unwrap()));
        }
    }
    fs::write(bag.join("manifest-sha256.txt"), manifest).unwrap();
    for name in ["tagmanifest-sha256.txt", "bag-info.txt"] {
        let _ = fs::remove_file(bag.join(name));
    }
}

/// A bag of one file, with these tag files.
fn bag(at: &Path, tags: &[(&str, &[u8])]) {
    fs::create_dir_all(at.join("data")).unwrap();
    fs::write(at.join("data/a"), "abc").unwrap();
    let manifest = format!("{}  data/a\n", sha256(b"abc"));
    let declaration = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
    fs::write(at.join("bagit.txt"), declaration).unwrap();
    fs::write(at.join("manifest-sha256.txt"), manifest).unwrap();
    for (name, bytes) in tags {
        fs::write(at.join(name), bytes).unwrap();
    }
}

/// It is found to be one, and nothing else happens.
fn is_a_bomb(env: &TestEnv, file: &str) {
    let ran = env.verify(file);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("[container.bomb]"), "{ran:?}");
}

#[test]
fn a_package_brings_no_access_no_record_and_no_key() {
    let env = TestEnv::with_experiment();
    let bag = env.pack_as_directory();
    let metadata = Path::new(&bag).join("data/metadata");
    // The record of this very NAS, the definition with accounts in it, one that an adoption would begin with, a key.
    let own = env.at("eco/metadata");
    for name in ["applied.jsonl", "experiment.yaml"] {
        fs::copy(own.join(name), metadata.join(name)).unwrap();
    }
    let definition = fs::read_to_string(own.join("experiment.yaml")).unwrap();
    assert!(definition.contains("account:"), "{definition}");
    fs::write(
        metadata.join("experiment.yaml"),
        definition.replace("nfs: []", "nfs: [ { host: 10.66.0.0/16, access: write } ]"),
    )
    .unwrap();
    fs::write(
        metadata.join("before-adoption.yaml"),
        definition.replace("code: eco", "code: lake"),
    )
    .unwrap();
    fs::write(metadata.join("source-keys.yaml"), "source-keys: 1\n").unwrap();
    fs::create_dir_all(metadata.join("../landing/plc/data")).unwrap();
    fs::write(metadata.join("../landing/plc/data/x"), "x").unwrap();
    seal_again(Path::new(&bag));
    env.run(&["experiment", "remove", "eco", "--delete-data", "eco"])
        .ok();
    let ran = env.run(&["package", "restore", &bag, "--as", "eco"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let shown = env.json(&["experiment", "show", "eco"]);
    assert_eq!(shown["definition"]["code"], "eco");
    let text = fs::read_to_string(env.at("eco/metadata/experiment.yaml")).unwrap();
    assert!(!text.contains("account:"), "{text}");
    assert!(!text.contains("10.66"), "{text}");
    let found = names(&env.at("eco/metadata"));
    for foreign in ["before-adoption.yaml", "source-keys.yaml"] {
        assert!(!found.contains(&foreign.to_owned()), "{found:?}");
    }
    assert!(!env.at("eco/landing/plc").exists());
    env.run(&["experiment", "check", "eco"]).ok();
}

#[test]
fn nobody_prepares_the_directory_in_which_a_package_is_put_together() {
    let env = TestEnv::with_experiment();
    let prepared = env.root.path().join(".octonas-new-bag");
    fs::create_dir(&prepared).unwrap();
    fs::set_permissions(&prepared, fs::Permissions::from_mode(0o777)).unwrap();
    let out = env.beside("bag");
    env.run(&["package", "create", "eco", "-o", &out, "--format", "dir"])
        .failed(1, "path.exists");
    fs::remove_dir(&prepared).unwrap();
    // What a run of ours left is ours.
    fs::create_dir(&prepared).unwrap();
    fs::set_permissions(&prepared, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(prepared.join("left"), "x").unwrap();
    env.pack_as_directory();
    assert!(!Path::new(&out).join("left").exists());
}

#[test]
fn tag_files_made_to_fill_the_memory_are_not_read() {
    let env = TestEnv::new();
    let rows = "a:\n".repeat(700_000);
    bag(
        &env.root.path().join("rows"),
        &[("bag-info.txt", rows.as_bytes())],
    );
    let ran = env.verify(&env.beside("rows"));
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("[tag.too-large]"), "{ran:?}");
    // Holes cost nobody anything; several of them together are too much, too.
    let holes = env.root.path().join("holes");
    bag(&holes, &[]);
    for number in 0..3 {
        let file = fs::File::create(holes.join(format!("manifest-{number}.txt"))).unwrap();
        file.set_len(500 << 20).unwrap();
    }
    let ran = env.verify(&env.beside("holes"));
    assert!(ran.stdout.contains("[tag.too-large]"), "{ran:?}");
}

/// Entries of a tar with names of 30 KB each (GNU tar's `././@LongLink`).
fn long_names(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let dir = format!("{}/", "d".repeat(250)).repeat(120);
    for number in 0..count {
        let name = format!("bag/data/{dir}{number}\0");
        out.extend(crate::packages::header(
            "././@LongLink",
            name.len() as u64,
            b'L',
            "",
        ));
        out.extend_from_slice(name.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
        out.extend(crate::packages::header("x", 0, b'0', ""));
    }
    out.resize(out.len() + 1024, 0);
    out
}

#[test]
fn names_made_to_fill_the_memory_end_the_reading() {
    let env = TestEnv::new();
    let file = env.beside("names.tar");
    fs::write(&file, long_names(9500)).unwrap();
    let packed = std::process::Command::new("/usr/bin/zstd")
        .args(["-q", "--rm", "-1", &file])
        .status();
    if packed.is_err() {
        println!("SKIPPED: no zstd");
        return;
    }
    let file = env.beside("names.tar.zst");
    assert!(fs::metadata(&file).unwrap().len() < 1 << 20);
    is_a_bomb(&env, &file);
}

#[test]
fn what_stands_behind_the_end_of_a_tar_is_no_place_for_a_bomb() {
    let env = TestEnv::new();
    let file = env.beside("tail.tar");
    fs::write(&file, crate::packages::bag_with(&[])).unwrap();
    let tail = fs::OpenOptions::new().append(true).open(&file).unwrap();
    tail.set_len(200 << 20).unwrap();
    let packed = std::process::Command::new("/usr/bin/zstd")
        .args(["-q", "--rm", "-1", &file])
        .status();
    if packed.is_err() {
        println!("SKIPPED: no zstd");
        return;
    }
    is_a_bomb(&env, &env.beside("tail.tar.zst"));
}

#[test]
fn a_file_of_holes_that_no_disk_could_hold_is_told_and_not_read() {
    let env = TestEnv::with_experiment();
    let raw = env.at("eco/raw");
    fs::write(raw.join("good.csv"), "t;v\n1;2\n").unwrap();
    let holes = fs::File::create(raw.join("holes")).unwrap();
    if holes.set_len(8 << 40).is_err() {
        println!("SKIPPED: the file system has no file of 8 TiB");
        return;
    }
    let scanned = env.json(&["catalogue", "scan", "eco", "--no-probe"]);
    let text = scanned.to_string();
    assert!(text.contains("holes claims more bytes"), "{text}");
    let listed = env.json(&["catalogue", "list", "eco", "raw"]).to_string();
    assert!(listed.contains("good.csv"), "{listed}");
    let out = env.beside("bag");
    env.run(&["package", "create", "eco", "-o", &out])
        .failed(1, "package.unreadable");
}

#[test]
fn a_broken_baseline_in_a_package_never_lies_among_the_evidence() {
    let env = TestEnv::new();
    crate::packages::filled(&env);
    let good = env.beside("good.tar.zst");
    env.run(&["package", "create", "eco", "-o", &good]).ok();
    let bag = env.pack_as_directory();
    let baseline = Path::new(&bag).join("octonas/baseline");
    let segment = baseline.join(&names(&baseline)[0]);
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, text.replace("\"size\":", "\"size\":1")).unwrap();
    fs::write(baseline.join("other.txt"), "x").unwrap();
    seal_again(Path::new(&bag));
    let other = TestEnv::new();
    other
        .run(&["package", "restore", &bag, "--as", "eco"])
        .failed(1, "package.evidence");
    fs::remove_file(baseline.join("other.txt")).unwrap();
    let first = text.lines().next().unwrap();
    let forged = first.replace("\"seq\":1", "\"seq\":9") + "\n";
    fs::write(&segment, forged).unwrap();
    seal_again(Path::new(&bag));
    other
        .run(&["package", "restore", &bag, "--as", "eco"])
        .failed(1, "package.evidence");
    // The genuine one is not taken for a forgery now.
    other
        .run(&["package", "restore", &good, "--as", "eco"])
        .ok();
    other.run(&["evidence", "verify", "eco"]).ok();
}

#[test]
fn a_page_that_somebody_else_wrote_does_not_act_in_the_panel() {
    let env = TestEnv::with_experiment();
    let page = env.at("eco/metadata/README.en.html");
    let text = fs::read_to_string(&page).unwrap();
    let wild = text.replace("</main>", "<img src=\"x\" onerror=\"alert(1)\"></main>");
    assert_ne!(wild, text);
    fs::write(&page, wild).unwrap();
    let show = |name: &str| {
        let params = serde_json::json!({"code": "eco", "name": name});
        env.rpc("show-document", ("admin", "admin"), &params)
    };
    let ran = show("README.en.html");
    assert!(ran.stdout.contains("document.untame"), "{ran:?}");
    assert!(!ran.stdout.contains("onerror"), "{ran:?}");
    for good in ["ACCESS.en.html", "DATA-DICTIONARY.en.html"] {
        assert!(show(good).stdout.contains("<main>"), "{good}");
    }
}
