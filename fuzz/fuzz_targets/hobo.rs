//! Arbitrary bytes behind the first lines of a HOBO export: no panic, bounded answers.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/bin/octonas-probe/csv/mod.rs"]
mod csv;
#[path = "../../src/bin/octonas-probe/hobo.rs"]
mod hobo;
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
    let table = contents.table.as_ref().expect("a table was read");
    assert!(table.columns.len() as u64 <= table.columns_total);
    assert!(table.rows <= data.len() as u64);
    for column in &table.columns {
        assert!(!column.name.is_empty() && column.name.chars().count() <= 300);
        assert!(column.missing <= table.rows);
        assert!(column.min.is_none_or(f64::is_finite) && column.min <= column.max);
    }
    if let Some(time) = &table.time {
        assert_eq!(time.first.is_some(), time.last.is_some());
        assert!(time.gaps < table.rows.max(1));
    }
    let told = serde_json::to_string(&contents).expect("JSON");
    assert!(told.len() < 4 << 20, "the parent takes 4 MiB");
    let back: Contents = serde_json::from_str(&told).expect("what was told can be read");
    assert_eq!(back.format, contents.format);
});
