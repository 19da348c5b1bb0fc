//! The client's stream through the SFTP filter, cut into pieces as the input says: no panic, the same framing on
//! both sides, and no mode of a rewritten request outside the mask.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/octonas-gate/sftp/attrs.rs"]
mod attrs;
#[path = "../../src/bin/octonas-gate/sftp/frames.rs"]
mod frames;

use attrs::{Directories, Follow};
use libfuzzer_sys::fuzz_target;

struct Odd;

impl Directories for Odd {
    fn is_directory(&self, path: &[u8], _: Follow) -> Option<bool> {
        match path.len() % 3 {
            0 => None,
            1 => Some(true),
            _ => Some(false),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, mut rest)) = data.split_first() else {
        return;
    };
    let mut frames = frames::Frames::new();
    let mut out = Vec::new();
    while !rest.is_empty() {
        let space = frames.space();
        let count = (usize::from(*piece) + 1).min(space.len()).min(rest.len());
        assert!(count > 0, "the buffer is full and nothing passes");
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        let (done, result) = frames.read(count, &Odd);
        out.extend_from_slice(frames.whole(done));
        frames.pass(done);
        if result.is_err() {
            break;
        }
    }
    let input = &data[1..];
    assert!(out.len() <= input.len());
    let mut at = 0;
    while at < out.len() {
        let length = u32::from_be_bytes(out[at..at + 4].try_into().unwrap()) as usize;
        let end = at + 4 + length;
        assert_eq!(out[at..at + 5], input[at..at + 5]);
        let different = (at..end).filter(|place| out[*place] != input[*place]).count();
        assert!(different <= 2, "more than the low half of one mode was changed");
        // MKDIR with a mode and nothing before it: the mode is the last word but one.
        if out[at + 4] == 14 {
            let path = u32::from_be_bytes(out[at + 9..at + 13].try_into().unwrap()) as usize;
            let flags = at + 13 + path;
            if out[flags + 3] & 7 == 4 {
                let mode = u32::from_be_bytes(out[flags + 4..flags + 8].try_into().unwrap());
                assert_eq!(mode & 0o7007, 0);
                assert_eq!(mode & 0o770, 0o770);
            }
        }
        at = end;
    }
});
