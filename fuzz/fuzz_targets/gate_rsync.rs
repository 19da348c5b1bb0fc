//! A command of a client (first line) and what it sends after it (the rest): no panic, no shell's doings, no refused
//! option in the vector that rsync would get, nothing after the dot that it would take for an option.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/octonas-gate/refusal.rs"]
mod refusal;
#[path = "../../src/bin/octonas-gate/rsync/mod.rs"]
mod rsync;
#[path = "../../src/bin/octonas-gate/words.rs"]
mod words;

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rsync::{Role, table};

const OURS: [&str; 6] = [
    "--server",
    "--sender",
    "--no-perms",
    "--omit-dir-times",
    "--chmod=D2770,Fug+rw,Fo=",
    "--munge-links",
];

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (command, client) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let command = [b"rsync --server ", command].concat();
    let Ok(words) = words::split(&command) else {
        return;
    };
    // A pattern from the root would list this machine's own file system.
    let wild = |bytes: &[u8]| bytes.iter().any(|byte| b"*?[".contains(byte));
    if wild(client) || words.iter().any(|word| wild(word.bytes()) && word.bytes().starts_with(b"/")) {
        return;
    }
    for role in [Role::Person, Role::Source] {
        let Ok(session) = rsync::session(&words, role, &mut &*client, Path::new("/nonexistent")) else {
            continue;
        };
        let dot = session.vector.iter().position(|word| word == b".").unwrap();
        for option in &session.vector[..dot] {
            let text = String::from_utf8_lossy(option);
            assert!(text.starts_with('-') && text.len() > 1 && !option.contains(&0));
            if OURS.contains(&&*text) {
                continue;
            }
            if let Some(long) = text.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, false), |(name, _)| (name, true));
                let known = table::LONG.iter().find(|known| known.name == name).unwrap();
                assert_eq!(known.value != table::Value::None, value);
                assert!(role == Role::Person || known.whom == table::For::All);
                assert!(known.whom != table::For::Deleting);
            } else if !text.starts_with("-B") && !text.starts_with("-@") {
                let letters = text[1..].split('e').next().unwrap();
                assert!(letters.bytes().all(|letter| table::LETTERS.contains(&letter)));
            }
        }
        for path in &session.vector[dot + 1..] {
            assert!(!path.starts_with(b"-") && !path.is_empty());
            assert!(role == Role::Person || !rsync::has_parent(path) && !path.starts_with(b"/"));
        }
        assert_eq!(session.sends, !session.vector.iter().any(|word| word == b"--no-perms"));
    }
});
