//! The sources of an experiment: what they deliver and when they last did, and the keys with which they come in.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::apply::Outcome;
use super::converge;
use super::list as experiments;
use super::operation::Operation;
use super::site::{self, Opened, Site};
use crate::error::{Error, Result};
use crate::experiment::{Code, PublicKey, SourceId, Status, source_account, source_share};
use crate::store;
use crate::store::catalogue::{Catalogue, Delivered};
use crate::store::source_keys::{self, Enrolled, SourceKeys};
use crate::sys::{clock, fault};

/// A source is late when nothing came in for so many of its intervals.
const LATE: i64 = 2;

/// One source.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub source: String,
    /// What runs on it.
    pub kind: String,
    /// Where its data goes, below the experiment.
    pub into: String,
    /// How often it delivers, in seconds.
    pub every: i64,
    /// Its system account (on a NAS that enforces rights).
    pub account: String,
    /// Its landing, absolute.
    pub landing: String,
    /// The share in which it writes, and the account with which it comes in there, where it cannot do SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// The keys with which it comes in.
    pub keys: Vec<KeyRow>,
    /// What it delivered so far.
    #[serde(flatten)]
    pub delivered: Delivered,
    /// True where the last file came in longer ago than twice its interval; `None` where none ever did, or the
    /// experiment takes nothing in.
    pub late: Option<bool>,
}

/// The landing of a machine that cannot do SSH, over SMB.
#[derive(Debug, Serialize)]
pub struct Share {
    /// The name of the share.
    pub name: String,
    /// The account with which it comes in.
    pub account: String,
}

/// A key, for people.
#[derive(Debug, Serialize)]
pub struct KeyRow {
    /// As `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// The line.
    pub key: String,
    /// Since when.
    pub added: String,
    /// Who let it in.
    pub by: String,
}

/// What an enrolment or a revocation did.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The source.
    pub source: String,
    /// How many keys it has now.
    pub keys: usize,
    /// How many came or went.
    pub changed: usize,
    /// Fingerprint of the key, where it was about one.
    pub fingerprint: Option<String>,
    /// What was done on the NAS for it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The sources of an experiment. Changes nothing.
pub fn list(site: &Site, code: &Code) -> Result<Vec<Row>> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    rows(&opened)
}

/// A source from which nothing came for too long.
#[derive(Debug, Serialize)]
pub struct Silent {
    /// Its experiment.
    pub code: String,
    /// The source itself.
    #[serde(flatten)]
    pub row: Row,
}

/// The sources of all experiments from which nothing came for too long. What cannot be read is said, and stops nothing.
pub fn silent(site: &Site) -> Result<Vec<Silent>> {
    let mut found = Vec::new();
    experiments::in_service(site, |code, opened| {
        match opened.and_then(|opened| rows(&opened)) {
            Ok(rows) => found.extend(rows.into_iter().filter(|row| row.late == Some(true)).map(
                |row| Silent {
                    code: code.clone(),
                    row,
                },
            )),
            Err(error) => site.progress.warn(&error.to_string()),
        }
    })?;
    Ok(found)
}

fn rows(opened: &Opened) -> Result<Vec<Row>> {
    let keys = SourceKeys::read(&opened.metadata)?;
    let index = Catalogue::existing(&opened.base.dir, &opened.identity()?)?;
    let now = clock::now();
    let mut rows = Vec::new();
    for source in &opened.definition.sources {
        let delivered = match &index {
            Some(index) => index.delivered(source.id.as_str())?,
            None => Delivered::default(),
        };
        let every = i64::from(source.every.minutes()) * 60;
        let last = delivered
            .last
            .as_deref()
            .and_then(|text| text.parse::<Timestamp>().ok());
        let active = opened.definition.status == Status::Active;
        rows.push(Row {
            source: source.id.to_string(),
            kind: source.kind.to_string(),
            into: source.into.to_string(),
            every,
            account: source_account(&opened.id(), &source.id),
            landing: opened
                .path()
                .join("landing")
                .join(source.id.as_str())
                .display()
                .to_string(),
            share: source.account.as_ref().map(|account| Share {
                name: source_share(&opened.definition.code, &source.id),
                account: account.to_string(),
            }),
            keys: keys
                .sources
                .get(&source.id)
                .into_iter()
                .flatten()
                .map(key_row)
                .collect(),
            late: last
                .filter(|_| active)
                .map(|last| now.as_second() - last.as_second() > LATE * every),
            delivered,
        });
    }
    Ok(rows)
}

fn key_row(enrolled: &Enrolled) -> KeyRow {
    KeyRow {
        fingerprint: enrolled.key.fingerprint(),
        key: enrolled.key.to_string(),
        added: enrolled.added.clone(),
        by: enrolled.by.clone(),
    }
}

/// Lets a source in with a key. Run again, it does nothing.
pub fn enrol(
    site: &Site,
    code: &Code,
    source: &SourceId,
    key: &str,
    dry_run: bool,
) -> Result<Change> {
    let key = PublicKey::parse(key)?;
    let fingerprint = key.fingerprint();
    let by = site.by();
    change(
        site,
        code,
        source,
        dry_run,
        "enrol",
        Some(fingerprint),
        move |keys| {
            let enrolled = Enrolled {
                key,
                added: clock::now_text(),
                by,
            };
            keys.enrol(source, enrolled).map(usize::from)
        },
    )
}

/// Shuts a source out: takes away the key of this fingerprint, or all its keys, and ends its sessions.
pub fn revoke(
    site: &Site,
    code: &Code,
    source: &SourceId,
    fingerprint: Option<&str>,
    dry_run: bool,
) -> Result<Change> {
    let named = fingerprint.map(str::to_owned);
    change(site, code, source, dry_run, "revoke", named, |keys| {
        let gone = keys.revoke(source, fingerprint);
        if gone == 0 && fingerprint.is_some() {
            return Err(Error::new(
                "key.unknown",
                format!("the source {source} has no key of this fingerprint"),
            )
            .hint(format!("`octonas source list {code}` shows them")));
        }
        Ok(gone)
    })
}

fn change(
    site: &Site,
    code: &Code,
    source: &SourceId,
    dry_run: bool,
    name: &'static str,
    fingerprint: Option<String>,
    edit: impl FnOnce(&mut SourceKeys) -> Result<usize>,
) -> Result<Change> {
    let _nas = site.lock_nas()?;
    let mut opened = site.open(code)?;
    site::in_service(&opened)?;
    let _lock = site.lock_experiment(&opened.id())?;
    let mut keys = SourceKeys::read(&opened.metadata)?;
    let known = opened
        .definition
        .sources
        .iter()
        .any(|one| one.id == *source);
    if !known && !keys.sources.contains_key(source) {
        return Err(Error::new(
            "source.unknown",
            format!("the experiment {code} has no source {source}"),
        )
        .hint("add it to `sources` of the definition with `octonas experiment edit`"));
    }
    let changed = edit(&mut keys)?;
    let mut result = Change {
        source: source.to_string(),
        keys: keys.sources.get(source).map_or(0, Vec::len),
        changed,
        fingerprint,
        outcome: Outcome::of(&opened),
    };
    if dry_run {
        return Ok(result);
    }
    let operation = Operation::on(site, &opened, name)?;
    if changed > 0 {
        operation.begin()?;
    }
    let detail = vec![
        ("source", source.to_string()),
        (
            "fingerprint",
            result.fingerprint.clone().unwrap_or_default(),
        ),
        ("keys", result.keys.to_string()),
    ];
    let done = put(site, &mut opened, source, &keys, changed > 0, &operation);
    result.outcome = operation.end(done, |_| detail)?;
    Ok(result)
}

/// Writes the keys, and makes the NAS follow; whoever is shut out is out.
fn put(
    site: &Site,
    opened: &mut Opened,
    source: &SourceId,
    keys: &SourceKeys,
    changed: bool,
    operation: &Operation<'_>,
) -> Result<Outcome> {
    if changed {
        keys.write(&opened.metadata)?;
        fault::point("keys.written")?;
    }
    store::show(&opened.metadata, source_keys::FILE)?;
    let outcome = converge::converge(site, opened, false, None, operation)?;
    if operation.name() == "revoke" {
        end_sessions(site, opened, source)?;
    }
    Ok(outcome)
}

/// A key that is gone must not go on in a session that it opened.
fn end_sessions(site: &Site, opened: &Opened, source: &SourceId) -> Result<()> {
    let accounts = BTreeSet::from([source_account(&opened.id(), source)]);
    let open = site.nas.sessions(&accounts, &opened.path())?;
    if open.is_empty() {
        return Ok(());
    }
    let left = site.nas.end_sessions(&open)?;
    if left.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        "sessions.remain",
        format!("{source} is still connected: {} session(s)", left.len()),
    )
    .hint("end these sessions, then run `octonas source revoke` again"))
}
