//! Telling what was found: each finding once, until it changes. What was told is remembered in the cache; where that is
//! lost, it is told again.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Finding, Kind, Scope, find, mail};
use crate::documents::escape::Format;
use crate::error::{Error, Result};
use crate::experiment::{Language, Unit};
use crate::nas::Mailing;
use crate::provision::site::Site;
use crate::report::said;
use crate::sys::dir::Permissions;
use crate::sys::{fault, lock};

const FILE: &str = "notices.json";
const LOCK: &str = "notices";
const LIMIT: u64 = 16 << 20;

/// A mail about findings of one kind.
#[derive(Debug, Serialize)]
pub struct Mail {
    /// What it is about.
    pub kind: Kind,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub body: String,
    /// True where it was handed over to the NAS's mail; false where it was only shown.
    pub mailed: bool,
    /// Why it was not mailed.
    pub reason: Option<String>,
}

/// What a look came to.
#[derive(Debug, Serialize)]
pub struct Sent {
    /// Everything that there is to tell, told before or not.
    pub findings: Vec<Finding>,
    /// What is new, one mail a kind.
    pub mails: Vec<Mail>,
}

/// Looks, and tells what is new. A dry run only shows it.
pub fn send(site: &Site, scope: Scope, dry_run: bool) -> Result<Sent> {
    let _lock = lock::lock(&site.locks, LOCK, crate::provision::site::PATIENCE)?;
    let unit = site.nas.unit()?.0;
    let findings = find::find(site, unit.language, scope)?;
    let mut told = told(site)?;
    told.retain(|key, _| {
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| key.starts_with(&prefix(*kind)));
        kind.is_some_and(|kind| !scope.has(kind))
            || findings.iter().any(|finding| name(finding) == *key)
    });
    let mailing = site.nas.mailing()?;
    let mut mails = Vec::new();
    for kind in Kind::ALL {
        let new: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.kind == kind)
            .filter(|finding| told.get(&name(finding)) != Some(&finding.mark))
            .collect();
        if new.is_empty() {
            continue;
        }
        let mut mail = written(site, unit.language, kind, &new)?;
        mail.reason = mailing.refusal(&kind.switch());
        if !dry_run {
            if mail.reason.is_none() {
                deliver(site, &unit, &mut mail);
            }
            // What a NAS without mail found is told by being shown.
            if mail.mailed || mailing == Mailing::None {
                told.extend(
                    new.iter()
                        .map(|finding| (name(finding), finding.mark.clone())),
                );
                remember(site, &told)?;
            }
        }
        mails.push(mail);
    }
    if !dry_run {
        remember(site, &told)?;
    }
    Ok(Sent { findings, mails })
}

fn prefix(kind: Kind) -> String {
    format!("{}: ", kind.as_str())
}

fn name(finding: &Finding) -> String {
    format!("{}{}", prefix(finding.kind), finding.key)
}

/// The mail of one kind.
fn written(site: &Site, language: Language, kind: Kind, new: &[&Finding]) -> Result<Mail> {
    #[derive(Serialize)]
    struct Page<'a> {
        nas: &'a str,
        several: bool,
        count: usize,
        first: &'a BTreeMap<&'static str, serde_json::Value>,
        findings: Vec<&'a BTreeMap<&'static str, serde_json::Value>>,
    }
    let empty = BTreeMap::new();
    let page = Page {
        nas: &site.nas.identity().name,
        several: new.len() > 1,
        count: new.len(),
        first: new.first().map_or(&empty, |finding| &finding.facts),
        findings: new.iter().map(|finding| &finding.facts).collect(),
    };
    let template = format!("notice-{}", kind.as_str());
    let text = site
        .documents
        .render(language, &template, Format::Text, &page)?;
    let (subject, body) = mail::split(&text);
    Ok(Mail {
        kind,
        subject,
        body,
        mailed: false,
        reason: None,
    })
}

fn deliver(site: &Site, unit: &Unit, mail: &mut Mail) {
    let mut to = vec!["root".to_owned()];
    to.extend(
        unit.contact
            .as_ref()
            .filter(|_| unit.mail)
            .map(ToString::to_string),
    );
    let message = mail::message(&to, &mail.subject, &mail.body);
    let sent = fault::point("notice.mail").and_then(|()| site.nas.mail(&to, &message));
    match sent {
        Ok(()) => mail.mailed = true,
        Err(error) => {
            site.progress.warn(&said!(
                "a notice could not be mailed: {error}",
                "un avis n'a pas pu être envoyé : {error}"
            ));
            mail.reason = Some(error.to_string());
        }
    }
}

/// What was told before: finding → how it was.
fn told(site: &Site) -> Result<BTreeMap<String, String>> {
    let bytes = site.cache.read(FILE, LIMIT)?.unwrap_or_default();
    // A damaged one is a lost one.
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

fn remember(site: &Site, told: &BTreeMap<String, String>) -> Result<()> {
    let text = serde_json::to_vec_pretty(told)
        .map_err(|e| Error::new("output.failed", "cannot encode what was told").source(e))?;
    site.cache.write(FILE, &text, &Permissions::PRIVATE)
}
