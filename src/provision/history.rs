//! What was done with an experiment, from the ledger of its base.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::site::Site;
use crate::error::Result;
use crate::experiment::Code;
use crate::store::ledger::{Ledger, Outcome};

/// The most lines; older ones stay in the ledger.
const LINES_MAX: usize = 1000;

/// One operation, or its beginning where nothing is known of its end.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Its number in the ledger of the base.
    pub seq: u64,
    /// When (RFC 3339, UTC).
    pub time: String,
    /// `create`, `edit`, `close` …
    pub operation: String,
    /// Who asked for it.
    pub by: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Anything else.
    pub detail: BTreeMap<String, String>,
}

/// The newest operations first. A beginning is left out once its end is there.
pub fn history(site: &Site, code: &Code) -> Result<Vec<Line>> {
    let opened = site.open(code)?;
    let id = opened.id();
    let mut lines: VecDeque<Line> = VecDeque::new();
    Ledger::open(&opened.base.dir)?.read(|entry| {
        let event = entry.event;
        if event.experiment != id {
            return true;
        }
        if event.outcome != Outcome::Begun
            && let Some(begun) = lines.iter().rposition(|line| {
                line.outcome == Outcome::Begun && line.operation == event.operation
            })
        {
            lines.remove(begun);
        }
        lines.push_back(Line {
            seq: entry.seq,
            time: entry.time,
            operation: event.operation,
            by: event.by,
            outcome: event.outcome,
            detail: event.detail,
        });
        if lines.len() > LINES_MAX {
            lines.pop_front();
        }
        true
    })?;
    Ok(lines.into_iter().rev().collect())
}
