//! Arbitrary bytes behind the first lines of a HOBO export: no panic, bounded answers.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/octonas-probe/csv/mod.rs"]
mod csv;
#[path = "../../src/bin/octonas-probe/hobo.rs"]
mod hobo;
#[path = "shared/table.rs"]
mod table;
#[path = "../../src/bin/octonas-probe/text.rs"]
mod text;

use libfuzzer_sys::fuzz_target;
use octonas::content::{Contents, Format};

/// What makes an export; the rest is the input's.
const HEAD: &[u8] = b"\"Plot Title: x\"\n\"#\",\"Date Time, GMT+02:00\",\"Temp, C (LGR S/N: 1, SEN S/N: 1)\"\n";

fuzz_target!(|data: &[u8]| {
    let behind = [HEAD, data].concat();
    let data = if data.first().is_some_and(|b| b % 2 == 0) { data } else { &behind };
    let Some(text) = text::open(data) else {
        return;
    };
    let mut contents = Contents::new(Format::Text, data.len() as u64);
    if !hobo::read(&text, &mut contents) {
        assert!(contents.table.is_none());
        return;
    }
    table::check(&contents, data.len());
});
