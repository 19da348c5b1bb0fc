//! Looking whether an experiment is as it should be: what waits to be applied, what was changed by hand, what members
//! narrowed, what is where it should not be. Changes nothing but what lists tell of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::apply;
use super::plan::{Conflict, Drift, Step};
use super::rights::{self, Basis, Rights};
use super::sharing;
use super::site::{self, Opened, Site};
use super::sweep::{self, Finding};
use super::{list, operation};
use crate::catalogue::survey;
use crate::error::Result;
use crate::experiment::{Code, Size};
use crate::layout::DirectoryKind;
use crate::nas::Observation;
use crate::report::Said;
use crate::store::registry::Seen;
use crate::sys::clock;

/// What was found of one experiment.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The experiment (or the base that cannot be read).
    pub code: String,
    /// Its status.
    pub status: String,
    /// What the definition asks for and is not applied yet.
    pub pending: Vec<Step>,
    /// What was changed by hand.
    pub drift: Vec<Drift>,
    /// What stands in the way.
    pub conflicts: Vec<Conflict>,
    /// What members narrowed, and what is where it should not be.
    pub findings: Vec<Finding>,
    /// The operation that was begun last and did not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unended: Option<Said>,
    /// Why it could not be looked at.
    pub error: Option<String>,
}

impl Report {
    /// True when everything is as it should be.
    pub fn in_order(&self) -> bool {
        self.pending.is_empty()
            && self.drift.is_empty()
            && self.conflicts.is_empty()
            && self.findings.is_empty()
            && self.unended.is_none()
            && self.error.is_none()
    }
}

/// Looks at one experiment, or at all of them, with one bulk observation of the NAS.
pub fn check(site: &Site, code: Option<&Code>) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    if let Some(code) = code {
        let opened = site.open(code)?;
        site::in_service(&opened)?;
        let observation = site.nas.observe()?;
        let unended = operation::unended(site, &opened.base)?;
        let look = Looker {
            site,
            observation,
            unended,
        };
        reports.push(look.at(code.to_string(), Ok(opened)));
        return Ok(reports);
    }
    let mut unended = BTreeMap::new();
    for base in site.bases()? {
        if let Ok(open) = site.base(&base.path) {
            unended.extend(operation::unended(site, &open)?);
        }
    }
    let observation = site.nas.observe()?;
    let look = Looker {
        site,
        observation,
        unended,
    };
    list::in_service(site, |code, opened| reports.push(look.at(code, opened)))?;
    Ok(reports)
}

/// What is known before any experiment is looked at.
struct Looker<'a> {
    site: &'a Site,
    observation: Observation,
    unended: BTreeMap<String, Said>,
}

impl Looker<'_> {
    fn at(&self, code: String, opened: Result<Opened>) -> Report {
        opened
            .and_then(|opened| self.report(&opened))
            .unwrap_or_else(|error| Report {
                code,
                status: "unavailable".into(),
                error: Some(error.to_string()),
                ..Report::default()
            })
    }

    fn report(&self, opened: &Opened) -> Result<Report> {
        let look = apply::look(self.site, opened, &self.observation, false)?;
        let mut plan = look.plan.clone();
        if opened.base.common_share.is_some() {
            // What happens to the share of all happens to this one.
            let around = sharing::plan(self.site, &opened.base, &self.observation, false)?;
            plan.drift.extend(around.drift);
            plan.conflicts.extend(around.conflicts);
            plan.steps.splice(0..0, around.steps);
        }
        let findings = sweep::find(self.site, opened, &look, &self.observation)?;
        let report = Report {
            code: opened.definition.code.to_string(),
            status: opened.definition.status.to_string(),
            pending: plan.steps,
            drift: plan.drift,
            conflicts: plan.conflicts,
            findings,
            unended: self.unended.get(&opened.id()).cloned(),
            error: None,
        };
        self.site.note_seen(&opened.id(), &seen(opened, &report)?);
        Ok(report)
    }
}

/// What lists tell of it until the next check.
fn seen(opened: &Opened, report: &Report) -> Result<Seen> {
    let state = if report.unended.is_some() || !report.conflicts.is_empty() {
        "failed"
    } else if !report.drift.is_empty() || !report.findings.is_empty() {
        "drifted"
    } else if report.pending.is_empty() {
        "in-order"
    } else {
        "pending"
    };
    let found = survey::survey(&opened.dir)?.total;
    Ok(Seen {
        state: state.into(),
        files: found.files,
        bytes: found.bytes,
        quota: opened.definition.storage.quota.map(Size::bytes),
        newest: found.newest.map(clock::text),
        checked_at: clock::now_text(),
    })
}

/// Effective rights in one experiment, from what is observed now.
pub fn rights(site: &Site, code: &Code, user: Option<&str>) -> Result<Rights> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let observation = site.nas.observe()?;
    let look = apply::look(site, &opened, &observation, false)?;
    let leaves = look
        .directories
        .iter()
        .filter(|directory| directory.kind != DirectoryKind::Frame)
        .map(|directory| directory.path.to_string())
        .collect();
    Ok(rights::rights(
        &Basis {
            definition: &opened.definition,
            observed: &look.observed,
            entries: &observation.objects,
            common_share: opened.base.common_share.as_deref(),
            leaves: &leaves,
            accounts: &observation.accounts,
            enforced: site.nas.identity().enforces_rights,
        },
        user,
    ))
}

/// Counts of findings by kind, for people.
pub fn summary(findings: &[Finding]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.code).or_default() += 1;
    }
    counts
}
