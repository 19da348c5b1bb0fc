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
        let (file, lines) = Lines::load(metadata, FILE, LIMIT).map_err(|e| {
            if e.code() == "file.damaged" {
                damaged(0, "cannot be read").source(e)
            } else {
                e
            }
        })?;
        let mut applied = Self {
            objects: BTreeMap::new(),
            intents: BTreeMap::new(),
            file,
            records: lines.len(),
        };
        for (text, number) in lines.iter().zip(1..) {
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
