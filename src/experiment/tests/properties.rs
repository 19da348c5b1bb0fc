//! Properties: no input makes the reader panic; what was read, written and read again is the same.

use proptest::prelude::*;

use super::{FULL, Strictness, given, read};

/// Text that people and machines put into fields, with the characters that YAML gives a meaning.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~éàœ☃😀]{1,40}",
        "[-:#&*!|>'\"%@`{}\\[\\], ?~=<yn0-9.e+x\\\\_]{1,12}",
        "(true|null|~|yes|no|on|0x10|1e3|1_000|012|-|\\.inf|\\.nan|2026-01-01|12:30:45|<<|=|---|\\.\\.\\.)",
    ]
}

/// The same, or several lines.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![line(), "[a-z]{1,5}(\n{1,3} {0,3}[-#a-z:]{1,6}){1,4}"]
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// JSON of any shape, as a later program could have stored it.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
        any::<String>().prop_map(|s| s.replace('\0', "").into()),
        "[\u{80}-\u{a0}\u{2000}-\u{2070}\u{fe00}-\u{feff} \n\t]{1,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, Strictness::Given);
        let _ = read(&bytes, Strictness::Stored);
    }

    #[test]
    fn a_damaged_definition_never_panics(
        from in 0..FULL.len(), to in 0..FULL.len(), put in "[-:#&*!|>'\"%@`{}\\[\\], ?~\n\t a-z0-9]{0,8}",
    ) {
        let (from, to) = (from.min(to), from.max(to));
        if FULL.is_char_boundary(from) && FULL.is_char_boundary(to) {
            let damaged = format!("{}{put}{}", &FULL[..from], &FULL[to..]);
            for strictness in [Strictness::Given, Strictness::Stored] {
                if let Ok(d) = read(damaged.as_bytes(), strictness) {
                    let yaml = d.to_yaml().unwrap();
                    prop_assert_eq!(read(yaml.as_bytes(), Strictness::Stored).unwrap(), d);
                }
            }
        }
    }

    #[test]
    fn what_was_read_and_written_reads_the_same(
        title in line(), description in text(), name in line(), chamber in line(), keyword in line(), unit in line(),
        years in 1..=100_u8, quota in any::<u64>(), minutes in 1..44_640_u32, flag in any::<bool>(),
    ) {
        let yaml = format!(
            "octonas: 1\ncode: lake\ntitle: {}\ndescription: {}\nfacility: {{name: {}, chambers: [{}]}}\n\
             people: [{{name: {}, affiliation: {}}}]\nkeywords: [{}]\nvariables: [{{name: {}, unit: {}}}]\n\
             retention: {{years: {years}}}\nstorage: {{quota: {quota}}}\nprotocols: {{smb: {flag}}}\n\
             sources: [{{id: s, kind: linux, into: raw, every: {minutes}min}}]\n",
            quoted(&title), quoted(&description), quoted(&name), quoted(&chamber), quoted(&name), quoted(&title),
            quoted(&keyword), quoted(&name), quoted(&unit),
        );
        if let Ok(first) = given(&yaml) {
            let written = first.to_yaml().unwrap();
            let second = given(&written).unwrap();
            prop_assert_eq!(&second, &first);
            prop_assert_eq!(&second.to_yaml().unwrap(), &written);
            // Another reader, of YAML 1.1, understands the same.
            let other: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
            prop_assert_eq!(other, serde_yaml::to_value(&first).unwrap());
            prop_assert_eq!(second.digest().unwrap(), first.digest().unwrap());
            let json = serde_json::to_string(&first).unwrap();
            prop_assert_eq!(given(&json).unwrap(), first);
        }
    }

    #[test]
    fn what_a_later_program_stored_survives_being_read_and_written(key in text(), value in json()) {
        let text = format!("octonas: 1\ncode: lake\ntitle: T\n? {}\n: {value}\n", quoted(&key));
        if let Ok(first) = read(text.as_bytes(), Strictness::Stored) {
            let written = first.to_yaml().unwrap();
            let second = read(written.as_bytes(), Strictness::Stored).unwrap();
            prop_assert_eq!(&second, &first);
            prop_assert_eq!(second.digest().unwrap(), first.digest().unwrap());
        }
    }
}
