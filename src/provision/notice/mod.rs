//! What administrators are told: what is found (`find`) is mailed once, until it changes (`send`), as a plain message
//! (`mail`). The texts are templates.

mod find;
mod mail;
mod retention;
mod send;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

pub use send::{Mail, Sent, send};

/// What a notice is about. `OpenMediaVault`'s notification settings have a switch for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something was changed by hand, or rights were narrowed.
    Drift,
    /// An operation failed or did not end.
    Failed,
    /// Somebody's access ends soon.
    Access,
    /// A base is not there.
    Base,
    /// An experiment needs nearly all that it may.
    Quota,
    /// A machine went silent.
    Source,
    /// Files are damaged, lost, or changed without a trace.
    Integrity,
    /// The time for which an experiment has to be kept ends.
    Retention,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Base,
        Self::Integrity,
        Self::Failed,
        Self::Drift,
        Self::Quota,
        Self::Access,
        Self::Source,
        Self::Retention,
    ];

    /// Its name, which is that of its template.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Failed => "failed",
            Self::Access => "access",
            Self::Base => "base",
            Self::Quota => "quota",
            Self::Source => "source",
            Self::Integrity => "integrity",
            Self::Retention => "retention",
        }
    }

    /// The id of its switch in the notification settings of a NAS.
    pub fn switch(self) -> String {
        format!("octonas-{}", self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything; the disks are walked.
    All,
    /// Operations that failed and bases that are gone: after a night's work.
    Tonight,
}

impl Scope {
    fn has(self, kind: Kind) -> bool {
        self == Self::All || matches!(kind, Kind::Failed | Kind::Base)
    }
}

/// Something that somebody should know.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Names it for as long as it lasts.
    pub key: String,
    /// Changes when it becomes something else that is worth another mail.
    pub mark: String,
    /// What the template says of it.
    pub facts: BTreeMap<&'static str, Value>,
}

/// How many days before the end of somebody's access it is told.
const DAYS: i32 = 14;

/// How many days before the end of its retention an experiment is told.
const NOTICE: i32 = 90;

/// From how many hundredths of its quota on an experiment is nearly full.
const NEAR: u64 = 90;
