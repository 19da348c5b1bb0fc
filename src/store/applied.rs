//! *Applied*: our memory of what we last made for an experiment, one record per step, fsynced before the next step.
//!
//! `metadata/applied.jsonl`, mode 0600: a first line `{"applied":1}`, then one JSON object a line:
//! - `{"intend":{"kind":"group","key":"exp-eco-w"},"attributes":{…}}` before an object is put,
//! - `{"done":{…},"reference":"…","attributes":{…}}` when it is as these attributes say,
//! - `{"forget":{…}}` when it is gone.
//!
//! An object is ours only if it stands here. After a crash an intent without its `done` tells that the object may
//! have been made, so that it is not taken for somebody else's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lines::{Lines, line};
use crate::error::{Error, Result};
use crate::object::{Attributes, Found, ObjectId, Reference};
use crate::sys::dir::Dir;

/// The name of the file in an experiment's metadata directory.
pub const FILE: &str = "applied.jsonl";

const VERSION: u32 = 1;
const LIMIT: u64 = 64 << 20;

/// What we made for one experiment.
#[derive(Debug)]
pub struct Applied {
    /// What is done: our objects as we last made them.
    pub objects: BTreeMap<ObjectId, Found>,
    /// What was begun and not finished.
    pub intents: BTreeMap<ObjectId, Attributes>,
    file: Lines,
    records: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    applied: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Record {
    Intend {
        intend: ObjectId,
        attributes: Attributes,
    },
    Done {
        done: ObjectId,
        reference: Reference,
        attributes: Attributes,
    },
    Forget {
        forget: ObjectId,
    },
}

impl Applied {
    /// Reads the record of the experiment whose metadata directory this is; where there is none yet, it is empty.
    /// Reading changes nothing on the disk. Damage is the error `applied.damaged`.
    pub fn load(metadata: &Dir) -> Result<Self> {
        let damaged = |number: usize, why: &str| {
            Error::new(
                "applied.damaged",
                format!(
                    "line {number} of {} {why}",
                    metadata.path_of(FILE).display()
                ),
            )
            .hint("restore the file from a backup or a replica; nothing is touched until then")
        };
        let (file, lines) = Lines::load(metadata, FILE, LIMIT)?;
        let mut applied = Self {
            objects: BTreeMap::new(),
            intents: BTreeMap::new(),
            file,
            records: lines.len(),
        };
        for (text, number) in lines.iter().zip(1..) {
            let text =
                std::str::from_utf8(text).map_err(|e| damaged(number, "is not text").source(e))?;
            if number == 1 {
                let header: Header = serde_json::from_str(text)
                    .map_err(|e| damaged(1, "is not the beginning of such a file").source(e))?;
                if header.applied != VERSION {
                    return Err(Error::new(
                        "applied.newer",
                        format!(
                            "{} was written by a newer version",
                            metadata.path_of(FILE).display()
                        ),
                    )
                    .hint("upgrade octonas"));
                }
                continue;
            }
            let record = serde_json::from_str(text)
                .map_err(|e| damaged(number, "is not a record").source(e))?;
            applied.take(record);
        }
        Ok(applied)
    }

    /// An object is about to be put with these attributes.
    pub fn intend(&mut self, object: &ObjectId, attributes: &Attributes) -> Result<()> {
        if self.intents.get(object) == Some(attributes) {
            return Ok(());
        }
        self.push(Record::Intend {
            intend: object.clone(),
            attributes: attributes.clone(),
        })
    }

    /// An object is now as `found` says. Ends its intent.
    pub fn done(&mut self, object: &ObjectId, found: &Found) -> Result<()> {
        if !self.intents.contains_key(object) && self.objects.get(object) == Some(found) {
            return Ok(());
        }
        self.push(Record::Done {
            done: object.clone(),
            reference: found.reference.clone(),
            attributes: found.attributes.clone(),
        })
    }

    /// An object is gone, or is no longer ours. Ends its intent.
    pub fn forget(&mut self, object: &ObjectId) -> Result<()> {
        if !self.intents.contains_key(object) && !self.objects.contains_key(object) {
            return Ok(());
        }
        self.push(Record::Forget {
            forget: object.clone(),
        })
    }

    fn push(&mut self, record: Record) -> Result<()> {
        let mut lines = Vec::with_capacity(2);
        if self.records == 0 {
            lines.push(line(&Header { applied: VERSION })?);
        }
        lines.push(line(&record)?);
        self.file.push(&lines)?;
        self.records += lines.len();
        self.take(record);
        let kept = self.objects.len() + self.intents.len();
        if self.records > 4 * kept + 64 {
            self.compact()?;
        }
        Ok(())
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Intend { intend, attributes } => {
                self.intents.insert(intend, attributes);
            }
            Record::Done {
                done,
                reference,
                attributes,
            } => {
                self.intents.remove(&done);
                self.objects.insert(
                    done,
                    Found {
                        reference,
                        attributes,
                    },
                );
            }
            Record::Forget { forget } => {
                self.intents.remove(&forget);
                self.objects.remove(&forget);
            }
        }
    }

    /// Rewrites the file with one record per object, at once or not at all.
    fn compact(&mut self) -> Result<()> {
        let mut lines = vec![line(&Header { applied: VERSION })?];
        for (object, found) in &self.objects {
            lines.push(line(&Record::Done {
                done: object.clone(),
                reference: found.reference.clone(),
                attributes: found.attributes.clone(),
            })?);
        }
        for (object, attributes) in &self.intents {
            lines.push(line(&Record::Intend {
                intend: object.clone(),
                attributes: attributes.clone(),
            })?);
        }
        self.file.rewrite(&lines)?;
        self.records = lines.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Kind;
    use crate::store::tests::{directory, points_of, with_fault};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn group(name: &str) -> ObjectId {
        ObjectId::new(Kind::Group, name)
    }

    fn found(comment: &str) -> Found {
        Found {
            reference: Some("uuid".into()),
            attributes: Attributes::from([("comment".into(), comment.into())]),
        }
    }

    /// What a typical run records.
    fn work(applied: &mut Applied) -> Result<()> {
        applied.intend(&group("w"), &found("1").attributes)?;
        applied.done(&group("w"), &found("1"))?;
        applied.intend(&group("r"), &found("2").attributes)?;
        applied.done(&group("r"), &Found::default())?;
        applied.forget(&group("w"))
    }

    #[test]
    fn what_was_done_is_known_after_a_restart() {
        let (_temp, dir) = directory();
        let mut applied = Applied::load(&dir).unwrap();
        assert!(applied.objects.is_empty());
        applied.intend(&group("w"), &found("1").attributes).unwrap();
        let again = Applied::load(&dir).unwrap();
        assert_eq!(again.intents[&group("w")], found("1").attributes);
        assert!(again.objects.is_empty());
        applied.done(&group("w"), &found("1")).unwrap();
        let again = Applied::load(&dir).unwrap();
        assert_eq!(again.objects[&group("w")], found("1"));
        assert!(again.intents.is_empty());
        applied.forget(&group("w")).unwrap();
        assert!(Applied::load(&dir).unwrap().objects.is_empty());
        assert_eq!(dir.stat(FILE).unwrap().unwrap().mode, 0o600);
    }

    #[test]
    fn saying_the_same_again_writes_nothing() {
        let (_temp, dir) = directory();
        let mut applied = Applied::load(&dir).unwrap();
        work(&mut applied).unwrap();
        applied.intend(&group("x"), &found("x").attributes).unwrap();
        let points = points_of(|| {
            applied.done(&group("r"), &Found::default()).unwrap();
            applied.forget(&group("w")).unwrap();
            applied.intend(&group("x"), &found("x").attributes).unwrap();
        });
        assert_eq!(points, 0);
    }

    #[test]
    fn every_record_is_on_the_disk_when_it_is_acknowledged() {
        let (_temp, dir) = directory();
        let mut applied = Applied::load(&dir).unwrap();
        applied.intend(&group("w"), &Attributes::new()).unwrap();
        let ((), points) =
            crate::sys::fault::trace(|| applied.done(&group("w"), &found("1")).unwrap());
        assert_eq!(points, ["append", "fsync.file"]);
    }

    #[test]
    fn a_run_that_is_halted_or_fails_anywhere_is_repeated_to_the_same_end() {
        let (_temp, dir) = directory();
        let points = points_of(|| work(&mut Applied::load(&dir).unwrap()).unwrap());
        let end = Applied::load(&dir).unwrap();
        for fault in ["halt", "enospc", "eio"] {
            for nth in 1..=points {
                let (_temp, dir) = directory();
                with_fault(fault, nth, || work(&mut Applied::load(&dir)?)).unwrap_err();
                work(&mut Applied::load(&dir).unwrap()).unwrap();
                let again = Applied::load(&dir).unwrap();
                assert_eq!(
                    (&again.objects, &again.intents),
                    (&end.objects, &end.intents)
                );
            }
        }
    }

    #[test]
    fn a_record_that_failed_can_be_repeated_by_the_same_run() {
        let (_temp, dir) = directory();
        let mut applied = Applied::load(&dir).unwrap();
        work(&mut applied).unwrap();
        for nth in 1..=2 {
            with_fault("enospc", nth, || applied.done(&group("n"), &found("n"))).unwrap_err();
            assert!(
                !applied.objects.contains_key(&group("n")),
                "not done is not known"
            );
        }
        applied.done(&group("n"), &found("n")).unwrap();
        assert_eq!(
            Applied::load(&dir).unwrap().objects[&group("n")],
            found("n")
        );
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_cut_off_by_the_next_record() {
        for torn in [&b"{\"intend\":{\"ki"[..], b"\0\0\0\0", b"{\"done\"\0\0\0\n"] {
            let (temp, dir) = directory();
            let mut applied = Applied::load(&dir).unwrap();
            work(&mut applied).unwrap();
            let objects = applied.objects;
            std::fs::OpenOptions::new()
                .append(true)
                .open(temp.path().join(FILE))
                .unwrap()
                .write_all(torn)
                .unwrap();
            let mut applied = Applied::load(&dir).unwrap();
            assert_eq!(applied.objects, objects);
            applied.done(&group("n"), &found("n")).unwrap();
            assert_eq!(
                Applied::load(&dir).unwrap().objects.len(),
                objects.len() + 1
            );
        }
    }

    #[test]
    fn damage_anywhere_else_is_an_error_and_nothing_is_written() {
        let (_temp, dir) = directory();
        work(&mut Applied::load(&dir).unwrap()).unwrap();
        let text = String::from_utf8(dir.read(FILE, LIMIT).unwrap().unwrap()).unwrap();
        for (from, to, code) in [
            ("{\"applied\":1}", "{\"applied\":2}", "applied.newer"),
            ("{\"applied\":1}\n", "", "applied.damaged"),
            ("{\"done\"", "{\"dine\"", "applied.damaged"),
            ("\"reference\"", "\"referense\"", "applied.damaged"),
            (
                "\"kind\":\"group\"",
                "\"kind\":\"grump\"",
                "applied.damaged",
            ),
            ("{\"intend\"", "\u{0}{\"intend\"", "applied.damaged"),
        ] {
            let damaged = text.replacen(from, to, 1);
            assert_ne!(damaged, text);
            dir.write(
                FILE,
                damaged.as_bytes(),
                &crate::sys::dir::Permissions::PRIVATE,
            )
            .unwrap();
            assert_eq!(Applied::load(&dir).unwrap_err().code(), code, "{from}");
            assert_eq!(dir.read(FILE, LIMIT).unwrap().unwrap(), damaged.as_bytes());
        }
        let bytes = text.replacen("uuid", "\u{e9}\u{e9}", 1).into_bytes();
        let broken: Vec<u8> = bytes.into_iter().filter(|&b| b != 0xc3).collect();
        dir.write(FILE, &broken, &crate::sys::dir::Permissions::PRIVATE)
            .unwrap();
        assert_eq!(Applied::load(&dir).unwrap_err().code(), "applied.damaged");
    }

    #[test]
    fn a_long_history_is_rewritten_and_means_the_same() {
        let (_temp, dir) = directory();
        let mut applied = Applied::load(&dir).unwrap();
        applied.intend(&group("open"), &Attributes::new()).unwrap();
        for round in 0..200 {
            applied
                .done(&group("w"), &found(&round.to_string()))
                .unwrap();
        }
        let again = Applied::load(&dir).unwrap();
        assert_eq!(
            (&again.objects, &again.intents),
            (&applied.objects, &applied.intents)
        );
        let text = dir.read(FILE, LIMIT).unwrap().unwrap();
        let lines = String::from_utf8(text).unwrap().lines().count();
        assert!(lines < 80, "{lines} lines");
    }

    #[test]
    fn somebody_else_who_writes_at_the_same_time_is_noticed() {
        let (_temp, dir) = directory();
        let mut first = Applied::load(&dir).unwrap();
        let mut second = Applied::load(&dir).unwrap();
        first.done(&group("w"), &found("1")).unwrap();
        assert_eq!(
            second.done(&group("w"), &found("2")).unwrap_err().code(),
            "file.changed"
        );
    }

    fn records() -> impl Strategy<Value = (u8, String, String)> {
        (0..3_u8, "[a-c]", "\\PC{0,12}")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_sequence_of_records_is_read_back(steps in prop::collection::vec(records(), 0..30)) {
            let (_temp, dir) = directory();
            let mut applied = Applied::load(&dir).unwrap();
            for (step, name, value) in steps {
                match step {
                    0 => applied.intend(&group(&name), &found(&value).attributes).unwrap(),
                    1 => applied.done(&group(&name), &found(&value)).unwrap(),
                    _ => applied.forget(&group(&name)).unwrap(),
                }
            }
            let again = Applied::load(&dir).unwrap();
            prop_assert_eq!(again.objects, applied.objects);
            prop_assert_eq!(again.intents, applied.intents);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), headed in any::<bool>()) {
            let (_temp, dir) = directory();
            let mut text = if headed { b"{\"applied\":1}\n".to_vec() } else { Vec::new() };
            text.extend(bytes);
            dir.write(FILE, &text, &crate::sys::dir::Permissions::PRIVATE).unwrap();
            let _ = Applied::load(&dir);
        }
    }
}
