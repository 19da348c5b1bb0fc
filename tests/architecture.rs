//! Dependencies between rooms run downward only: this reads the `use crate::…` paths of the program.

#![allow(clippy::unwrap_used, clippy::panic)] // A test's helpers are tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rooms, from the top to the ground. A room knows those on the floors below, and none on its own floor.
const FLOORS: &[&[&str]] = &[
    &["cli", "rpc", "open"],
    &["provision"],
    &["documents"],
    &["catalogue"],
    &["nas", "store"],
    &["settings"],
    &["sys"],
    &["layout"],
    &["experiment", "report", "object", "content"],
    &["error"],
];

/// What may be known on the same floor, and why.
const NEIGHBOURS: &[(&str, &str)] = &[("report", "experiment")]; // The language in which it speaks.

/// Who may print.
const SPEAKERS: &[&str] = &["cli", "rpc", "report", "main"];

/// The program's own files; tests beside the code are not part of the house.
fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_name().is_some_and(|n| n != "tests.rs")
        {
            out.push(path);
        }
    }
}

fn room(path: &Path, src: &Path) -> String {
    let below = path.strip_prefix(src).unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn floors() -> BTreeMap<&'static str, usize> {
    FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor)))
        .collect()
}

#[test]
fn dependencies_between_rooms_run_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floors = floors();
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let from = room(&file, &src);
        if ["main", "lib", "bin"].contains(&from.as_str()) {
            continue;
        }
        let Some(floor) = floors.get(from.as_str()) else {
            panic!(
                "the room {from} has no floor: draw it in tests/architecture.rs and in src/lib.rs"
            );
        };
        let text = std::fs::read_to_string(&file).unwrap();
        // What a room's own tests use is not part of the house.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for piece in line.split("crate::").skip(1) {
                let to: String = piece
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let Some(target) = floors.get(to.as_str()) else {
                    continue;
                };
                let neighbour = NEIGHBOURS.contains(&(from.as_str(), to.as_str()));
                if to != from && target <= floor && !neighbour {
                    wrong.push(format!(
                        "{}:{}: {from} knows {to}",
                        file.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that go up:\n{}", wrong.join("\n"));
}

#[test]
fn nobody_prints_but_those_who_speak() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let from = room(&file, &src);
        if SPEAKERS.contains(&from.as_str()) || from == "bin" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for word in [
            "io::stdout()",
            "io::stderr()",
            "println!",
            "report::stdout(",
            "report::json(",
        ] {
            assert!(!text.contains(word), "{} prints ({word})", file.display());
        }
    }
}

#[test]
fn main_stays_short_and_files_fit_in_a_head() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    assert!(lines(&src.join("main.rs")) < 80);
    let mut files = Vec::new();
    sources(&src, &mut files);
    let long: Vec<String> = files
        .iter()
        .filter(|file| lines(file) > 560)
        .map(|file| format!("{} has {} lines", file.display(), lines(file)))
        .collect();
    assert!(
        long.is_empty(),
        "two rooms in one file:\n{}",
        long.join("\n")
    );
}
