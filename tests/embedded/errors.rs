//! docs/reference/errors.md lists every code of an error and of a finding, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Words of the same shape that are no codes: files, fields of a definition, attributes.
const OTHER_WORDS: &[&str] = &[
    "bagit.txt",
    "before-import.facl",
    "facility.chambers",
    "imported.leaves",
    "self.flags",
    "storage.base",
];

/// Every word in the source that has the shape of a code (`share.exists`), but fault points and names of files.
fn codes_in_source() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut codes = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.unwrap();
        let path = entry.path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let place = path.strip_prefix(&root).unwrap().display().to_string();
        if !is_source
            || place.starts_with("bin/")
            || place.contains("tests")
            || place == "sys/fault.rs"
            // Words for what a probe finds: docs/reference/probe.md has those.
            || place == "documents/findings.rs"
        {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let program = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        let mut before = String::new();
        for line in program
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for (word, called) in literals(line, &before) {
                let fault = ["point(", "errno(", "fault(", "point:", "PROGRAM"]
                    .iter()
                    .any(|call| called.ends_with(call));
                if is_code(&word) && !fault && !OTHER_WORDS.contains(&word.as_str()) {
                    codes.insert(word);
                } else if called.ends_with("Error::new(") {
                    codes.insert(word);
                }
            }
            before = line.trim().to_owned();
        }
    }
    codes
}

/// The string literals of a line, each with what stands directly before it.
fn literals(line: &str, line_before: &str) -> Vec<(String, String)> {
    let pieces: Vec<&str> = line.split('"').collect();
    pieces
        .iter()
        .enumerate()
        .filter(|(number, _)| number % 2 == 1)
        .map(|(number, word)| {
            let called = pieces[number - 1].trim();
            let called = if called.is_empty() && number == 1 {
                line_before
            } else {
                called
            };
            ((*word).to_owned(), called.to_owned())
        })
        .collect()
}

fn is_code(word: &str) -> bool {
    let Some((room, what)) = word.split_once('.') else {
        return false;
    };
    let plain = |part: &str| {
        part.len() > 2
            && part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    let file = [
        "bat", "json", "jsonl", "yaml", "db", "db-shm", "db-wal", "lock", "conf", "service",
    ]
    .contains(&what);
    // Points at which tests make programs and units fail.
    let point =
        ["command", "systemd"].contains(&room) && !["failed", "missing", "timeout"].contains(&what);
    plain(room) && plain(what) && !file && !point
}

/// The first column of the tables of a page.
fn codes_on(page: &str) -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    fs::read_to_string(page)
        .unwrap()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?
                .split('`')
                .next()
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn the_page_of_errors_lists_every_code_and_no_other() {
    let (source, page) = (codes_in_source(), codes_on("docs/reference/errors.md"));
    // What is found in files stands on a page of its own.
    let found = codes_on("docs/reference/probe.md");
    let missing: Vec<_> = source
        .difference(&page)
        .filter(|code| !found.contains(*code))
        .collect();
    let gone: Vec<_> = page.difference(&source).collect();
    assert!(source.len() > 100, "{}", source.len());
    assert!(
        missing.is_empty() && gone.is_empty(),
        "missing on the page: {missing:?}\nno longer in the source: {gone:?}"
    );
}

#[test]
fn the_page_of_the_probe_lists_every_finding_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/octonas-probe");
    let rooms = ["csv", "file", "hdf5", "image", "netcdf", "text", "time"];
    let mut source = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy();
        if !name.ends_with(".rs") || name == "tests.rs" {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        // A quotation mark may be a letter of the program, so no pairs are counted.
        for word in program.split('"') {
            let known = |(room, what): (&str, &str)| {
                rooms.contains(&room)
                    && what.len() > 1
                    && what.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            };
            if word.split_once('.').is_some_and(known) {
                source.insert(word.to_owned());
            }
        }
    }
    // What the parent finds.
    source.insert("file.shrank".to_owned());
    let mut page = codes_on("docs/reference/probe.md");
    page.retain(|code| rooms.contains(&code.split('.').next().unwrap_or_default()));
    assert!(source.len() > 30, "{source:?}");
    assert_eq!(source, page);
}
