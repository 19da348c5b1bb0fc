//! What is written of a batch that is in its place: the baseline, the receipts, the index.

use std::collections::{BTreeMap, BTreeSet};

use super::custody::Item;
use super::ingest::{Run, time};
use super::landing;
use super::seal::{self, Strength};
use crate::error::Result;
use crate::report::said;
use crate::store::baseline::Mark;
use crate::store::catalogue::{FileRow, Refusal};
use crate::store::checks::{Record, What};
use crate::store::intake::{Decision, Take, Verdict};
use crate::store::receipts::{self, Outcome, Receipt};
use crate::sys::dir::Node;
use crate::sys::{clock, fault};

/// What was written before a run was killed.
#[derive(Default)]
struct Written {
    /// Deliveries that have their line in the baseline.
    marked: BTreeSet<String>,
    /// Deliveries that have their receipt.
    receipted: BTreeSet<String>,
}

impl Run<'_> {
    /// Writes everything that is to be written of a batch; what a killed run wrote already is left out.
    pub fn record(&mut self, items: &mut [Item], recovering: bool) -> Result<()> {
        let written = if recovering {
            self.written(items)?
        } else {
            Written::default()
        };
        // Its line stands, so it was in its place; a member has moved it since.
        for item in items.iter_mut() {
            item.held |= item.decision.is_some() && written.marked.contains(&item.take.delivery);
        }
        let decided: Vec<(&Take, &Decision)> = items
            .iter()
            .filter_map(|item| Some((&item.take, item.verdict()?)))
            .collect();
        let now = clock::now_text();
        self.mark(&decided, &written, &now)?;
        fault::point("ingest.marked")?;
        self.receipt(&decided, &written, &now)?;
        fault::point("ingest.receipted")?;
        self.enter(&decided, &now)
    }

    /// Seals what is in its place, and writes that down. Repeated after a crash, it ends in the same.
    pub fn seal(&mut self, items: &[Item], strength: Strength) -> Result<()> {
        self.index.catch_up(&self.baseline, &self.checks)?;
        let mut marks = Vec::new();
        for item in items {
            let Some(decision) = item
                .verdict()
                .filter(|decision| decision.verdict == Verdict::Received)
            else {
                continue;
            };
            let known = self
                .index
                .known(&decision.into)?
                .filter(|known| !known.sealed);
            let (Some(known), Some(node)) = (known, self.in_place(&decision.into)?) else {
                continue;
            };
            if node.metadata()?.ino == item.take.inode {
                seal::seal(&node, strength)?;
                marks.push(known.mark);
            }
        }
        fault::point("ingest.sealed")?;
        self.checks
            .append(&Record::of(&clock::now_text(), What::Sealed, marks))?;
        self.index.catch_up(&self.baseline, &self.checks)?;
        Ok(())
    }

    /// What lies in a place now; `None` where a member moved it on.
    fn in_place(&self, path: &str) -> Result<Option<Node>> {
        let (above, name) = landing::split(path);
        let node =
            landing::below(self.work.experiment, above)?.map_or(Ok(None), |dir| dir.node_at(name));
        match node {
            Err(error) if landing::is_odd(&error) => Ok(None),
            other => other,
        }
    }

    fn written(&self, items: &[Item]) -> Result<Written> {
        let deliveries: BTreeSet<String> = items
            .iter()
            .map(|item| item.take.delivery.clone())
            .collect();
        let mut written = Written::default();
        self.baseline.read(|entry| {
            written.marked.extend(
                entry
                    .mark
                    .delivery
                    .filter(|delivery| deliveries.contains(delivery)),
            );
            true
        })?;
        let decided = items.iter().filter_map(|item| item.decision.as_ref());
        let Some(first) = decided.map(|decision| decision.time.as_str()).min() else {
            return Ok(written);
        };
        let since: String = first.chars().take(10).collect();
        for landing in self.landings.values() {
            if let Some(dir) = &landing.receipts {
                written
                    .receipted
                    .extend(receipts::known(dir, &since, &deliveries)?);
            }
        }
        Ok(written)
    }

    /// A line of the baseline for everything that is in its place and has none.
    fn mark(&self, decided: &[(&Take, &Decision)], written: &Written, now: &str) -> Result<()> {
        let mut again: BTreeMap<&str, &str> = BTreeMap::new();
        for (_, decision) in decided {
            if decision.verdict == Verdict::Again {
                let known = self.index.get(&decision.into)?.is_some_and(|row| {
                    row.received.is_some() && row.sha256.as_ref() == Some(&decision.sha256)
                });
                if !known {
                    again.insert(&decision.into, &decision.sha256);
                }
            }
        }
        if !again.is_empty() {
            self.baseline.read(|entry| {
                if again.get(entry.mark.path.as_str()) == Some(&entry.mark.sha256.as_str()) {
                    again.remove(entry.mark.path.as_str());
                }
                !again.is_empty()
            })?;
        }
        let marks: Vec<Mark> = decided
            .iter()
            .filter(|(_, decision)| match decision.verdict {
                Verdict::Received => !written.marked.contains(&decision.delivery),
                Verdict::Again => again.remove(decision.into.as_str()).is_some(),
                Verdict::Checksum | Verdict::NameTaken => false,
            })
            .map(|(take, decision)| Mark {
                time: now.to_owned(),
                path: decision.into.clone(),
                size: take.size,
                sha256: decision.sha256.clone(),
                mtime: time(take.mtime_ns).to_string(),
                source: Some(take.source.clone()),
                delivery: Some(decision.delivery.clone()),
                ..Mark::default()
            })
            .collect();
        self.baseline.append(&marks).map(drop)
    }

    fn receipt(&self, decided: &[(&Take, &Decision)], written: &Written, now: &str) -> Result<()> {
        let day: String = now.chars().take(10).collect();
        for (source, landing) in &self.landings {
            let all: Vec<Receipt> = decided
                .iter()
                .filter(|(take, decision)| {
                    take.source == *source && !written.receipted.contains(&decision.delivery)
                })
                .map(|(take, decision)| receipt(take, decision, now))
                .collect();
            match &landing.receipts {
                Some(dir) => receipts::append(dir, &day, &all)?,
                None if all.is_empty() => {}
                None => self.work.progress.warn(&said!(
                    "{source} gets no receipts: its directory `receipts` is gone (`octonas experiment apply --mend`)",
                    "{source} ne reçoit pas de reçus : son répertoire `receipts` n'est plus là (bouton de réparation)"
                )),
            }
        }
        Ok(())
    }

    fn enter(&mut self, decided: &[(&Take, &Decision)], now: &str) -> Result<()> {
        let mut rows = Vec::new();
        for (take, decision) in decided {
            match decision.verdict {
                Verdict::Received | Verdict::Again => {
                    // What is in its place already keeps its own time.
                    let again = decision.verdict == Verdict::Again
                        && self.index.get(&decision.into)?.is_some();
                    let row = FileRow {
                        path: decision.into.clone(),
                        size: take.size,
                        mtime_ns: take.mtime_ns,
                        sha256: Some(decision.sha256.clone()),
                        source: Some(take.source.clone()),
                        received: Some(now.to_owned()),
                        probed: None,
                    };
                    if !again {
                        rows.push(row);
                    }
                    let warnings = landing::warnings(&decision.into, &take.path);
                    self.report.warnings.extend(warnings);
                    if self
                        .refused
                        .contains(&(take.source.clone(), take.path.clone()))
                    {
                        self.index.forget_refusal(&take.source, &take.path)?;
                    }
                }
                Verdict::NameTaken => self.index.refuse(&Refusal {
                    source: take.source.clone(),
                    path: take.path.clone(),
                    size: take.size,
                    mtime_ns: take.mtime_ns,
                    inode: take.inode,
                    sha256: decision.sha256.clone(),
                    reason: "name-taken".into(),
                    since: now.to_owned(),
                })?,
                Verdict::Checksum => {}
            }
            match decision.verdict {
                Verdict::Received => {
                    self.received.push(decision.into.clone());
                    self.report.received += 1;
                    self.report.bytes += take.size;
                }
                Verdict::Again => self.report.again += 1,
                Verdict::Checksum | Verdict::NameTaken => self.report.refused += 1,
            }
            if decision.verdict != Verdict::NameTaken
                && let Some(landing) = self.landings.get(&take.source)
            {
                landing.drop_sum(&take.path)?;
            }
        }
        self.index.put(&rows)
    }
}

fn receipt(take: &Take, decision: &Decision, now: &str) -> Receipt {
    let (outcome, into, reason, detail) = match decision.verdict {
        Verdict::Received | Verdict::Again => {
            (Outcome::Received, Some(decision.into.clone()), None, None)
        }
        Verdict::Checksum => (
            Outcome::Refused,
            None,
            Some("checksum"),
            Some("its content is not what the checksum says: send it again".to_owned()),
        ),
        Verdict::NameTaken => (
            Outcome::Refused,
            None,
            Some("name-taken"),
            Some(landing::name_taken(&decision.into)),
        ),
    };
    let modified = time(take.mtime_ns);
    Receipt {
        receipt: 1,
        outcome,
        path: take.path.clone(),
        size: take.size,
        sha256: decision.sha256.clone(),
        mtime: jiff::Timestamp::from_second(modified.as_second())
            .unwrap_or(modified)
            .to_string(),
        time: now.to_owned(),
        into,
        reason: reason.map(str::to_owned),
        detail,
        delivery: decision.delivery.clone(),
    }
}
