//! Arbitrary bytes as a table: no panic, bounded answers, and an answer that can be read back.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/octonas-probe/csv/mod.rs"]
mod csv;
#[path = "shared/table.rs"]
mod table;
#[path = "../../src/bin/octonas-probe/text.rs"]
mod text;

use libfuzzer_sys::fuzz_target;
use octonas::content::{Contents, Format};

fuzz_target!(|data: &[u8]| {
    let Some(text) = text::open(data) else {
        return;
    };
    let mut contents = Contents::new(Format::Text, data.len() as u64);
    if !csv::read(&text, None, &mut contents) {
        assert!(contents.table.is_none());
        return;
    }
    table::check(&contents, data.len());
});
