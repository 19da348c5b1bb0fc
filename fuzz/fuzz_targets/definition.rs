//! Arbitrary bytes as a definition: no panic; what is read can be written, and reads the same again. Whatever is read can
//! be laid out or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octonas::experiment::{Strictness, read};
use octonas::layout::Layouts;

fuzz_target!(|data: &[u8]| {
    for strictness in [Strictness::Given, Strictness::Stored] {
        let Ok(first) = read(data, strictness) else {
            continue;
        };
        let written = first.to_yaml().expect("a definition can be written");
        let second = read(written.as_bytes(), Strictness::Stored).expect("what was written can be read");
        assert_eq!(first, second);
        assert_eq!(first.digest().expect("digest"), second.digest().expect("digest"));
        assert!(second.diff(&first).expect("diff").is_empty());
        let layouts = Layouts::default();
        if let Ok(layout) = layouts.get(&first.layout) {
            let _ = layout.expand(&first);
        }
    }
});
