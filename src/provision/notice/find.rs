//! What there is to tell now. Nothing here knows what was told before.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DAYS, Finding, Kind, NEAR, Scope, retention};
use crate::documents::words;
use crate::error::Result;
use crate::experiment::{Code, Date, Language, Status};
use crate::object::ObjectId;
use crate::provision::check::{self, Report};
use crate::provision::site::{Opened, Site};
use crate::provision::{desired, list, operation, source, tonight};
use crate::report::{self, Tell as _};
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::due::Wrong;
use crate::store::ledger::{Entry, INGEST, Ledger, Outcome, TONIGHT};
use crate::store::sha256;
use crate::store::tonight::State;

/// The most differences or files of one experiment that a mail names.
const NAMED_MAX: usize = 10;

/// Looks at everything in `scope`.
pub(super) fn find(site: &Site, language: Language, scope: Scope) -> Result<Vec<Finding>> {
    let mut all = bases(site)?;
    all.extend(tonights(site, language)?);
    all.extend(operations(site, language)?);
    if scope == Scope::All {
        for report in check::check(site, None)? {
            all.extend(differences(&report, language));
        }
        list::in_service(site, |_, opened| {
            let Ok(opened) = opened else { return };
            all.extend(ends(site, &opened, language));
            all.extend(nearly_full(site, &opened, language));
            all.extend(silent(site, &opened));
            all.extend(unsound(&opened, language));
        })?;
        all.extend(retention::find(site, language)?);
    }
    Ok(all)
}

pub(super) fn facts<const N: usize>(
    facts: [(&'static str, Value); N],
) -> BTreeMap<&'static str, Value> {
    BTreeMap::from(facts)
}

/// The name of an operation for people; the ledger's own where there is none.
fn word(language: Language, operation: &str) -> &str {
    if language == Language::En {
        return operation;
    }
    match operation {
        "create" => "création",
        "edit" => "modification",
        "apply" => "mise en conformité",
        "close" => "clôture",
        "reopen" => "réouverture",
        "remove" => "retrait",
        "import" => "importation",
        "ingest" => "réception des livraisons",
        "adopt" => "adoption",
        "scan" => "parcours des fichiers",
        "verify" => "relecture des fichiers",
        "repair" => "réparation",
        "accept" => "acceptation de changements",
        "seal" => "scellement",
        "unseal" => "descellement",
        "package" => "mise en paquet",
        "archive" => "archivage",
        "thin" => "allègement des données",
        "restore" => "restauration",
        "share-base" => "partage des expériences du dossier",
        other => other,
    }
}

fn bases(site: &Site) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    for base in site.bases()? {
        let reason = match site.base(&base.path) {
            Ok(_) => continue,
            Err(error) if error.code() == "base.unclaimed" && !enforces(site) => continue,
            Err(error) => error,
        };
        let path = base.path.display().to_string();
        all.push(Finding {
            kind: Kind::Base,
            key: format!("base {path}"),
            mark: reason.code().to_owned(),
            facts: facts([("path", path.into()), ("reason", reason.to_string().into())]),
        });
    }
    Ok(all)
}

fn enforces(site: &Site) -> bool {
    site.nas.identity().enforces_rights
}

/// What was set for the night and was not done.
fn tonights(site: &Site, language: Language) -> Result<Vec<Finding>> {
    let listing = tonight::list(site)?;
    let failed = listing
        .waiting
        .into_iter()
        .filter(|w| w.state == State::Failed);
    Ok(failed
        .map(|waiting| {
            let failure = waiting.failure.as_ref();
            let time = failure.map(|f| f.time.clone()).unwrap_or_default();
            Finding {
                kind: Kind::Failed,
                key: format!("tonight {}", waiting.name),
                mark: time.clone(),
                facts: facts([
                    ("code", waiting.name.into()),
                    (
                        "operation",
                        word(language, waiting.operation.as_str()).into(),
                    ),
                    ("by", waiting.by.into()),
                    ("time", time.into()),
                    ("tonight", true.into()),
                    ("ended", true.into()),
                    (
                        "message",
                        failure
                            .map(|f| f.message.clone())
                            .unwrap_or_default()
                            .into(),
                    ),
                    (
                        "error",
                        failure.map(|f| f.code.clone()).unwrap_or_default().into(),
                    ),
                ]),
            }
        })
        .collect())
}

/// Experiments whose last operation failed, or was begun and did not end.
fn operations(site: &Site, language: Language) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    for base in site.bases()? {
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        let unended = operation::unended(site, &open)?;
        let mut last: BTreeMap<(String, bool), Entry> = BTreeMap::new();
        Ledger::open(&open.dir)?.read(|entry| {
            let event = &entry.event;
            if event.operation != TONIGHT {
                let stream = (event.experiment.clone(), event.operation == INGEST);
                last.insert(stream, entry);
            }
            true
        })?;
        for ((experiment, _), entry) in last {
            let event = entry.event;
            let is_open = event.outcome == Outcome::Begun && unended.contains_key(&experiment);
            // What was set for the night and failed is told as such.
            let is_tonight = event.detail.contains_key(TONIGHT);
            if !is_open && (event.outcome != Outcome::Failed || is_tonight) {
                continue;
            }
            let said = |name: &str| event.detail.get(name).cloned().unwrap_or_default();
            all.push(Finding {
                kind: Kind::Failed,
                key: format!(
                    "{} {experiment} {}",
                    base.path.display(),
                    event.operation == INGEST
                ),
                mark: entry.seq.to_string(),
                facts: facts([
                    ("code", said("code").into()),
                    ("operation", word(language, &event.operation).into()),
                    ("by", event.by.clone().into()),
                    ("time", entry.time.into()),
                    ("tonight", false.into()),
                    ("ended", (!is_open).into()),
                    ("message", "".into()),
                    ("error", said("error").into()),
                ]),
            });
        }
    }
    Ok(all)
}

/// What was changed by hand, is in the way, or was narrowed.
fn differences(report: &Report, language: Language) -> Option<Finding> {
    let object = |id: &ObjectId| match language {
        Language::En => id.to_string(),
        Language::Fr => id.french(),
    };
    let mut lines: Vec<String> = report
        .drift
        .iter()
        .map(|drift| {
            let attribute = drift.attribute.as_deref().unwrap_or("*");
            let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "∅".into());
            format!(
                "{} — {attribute}: {} → {} ({})",
                object(&drift.object),
                show(drift.applied.as_ref()),
                show(drift.observed.as_ref()),
                drift.effect.tell(language)
            )
        })
        .collect();
    lines.extend(
        report
            .conflicts
            .iter()
            .map(|each| each.reason.tell(language).to_owned()),
    );
    lines.extend(
        report
            .findings
            .iter()
            .map(|each| format!("{}: {}", each.path, each.text.tell(language))),
    );
    if lines.is_empty() {
        return None;
    }
    let count = lines.len();
    let mark = sha256(lines.join("\n").as_bytes());
    let more = count.saturating_sub(NAMED_MAX);
    lines.truncate(NAMED_MAX);
    Some(Finding {
        kind: Kind::Drift,
        key: format!("drift {}", report.code),
        mark,
        facts: facts([
            ("code", report.code.clone().into()),
            ("count", count.into()),
            ("several", (count > 1).into()),
            ("lines", lines.into()),
            ("more", more.into()),
        ]),
    })
}

/// People whose access ends within [`DAYS`] days; each end is told once.
fn ends(site: &Site, opened: &Opened, language: Language) -> Vec<Finding> {
    let definition = &opened.definition;
    let today = site.today.get();
    if definition.status != Status::Active {
        return Vec::new();
    }
    let members = desired::members(definition, today);
    let of = |person: &crate::experiment::Person| -> Option<Finding> {
        let until = person.until?;
        let account = person.account.as_ref()?.to_string();
        let days = days_between(today, until)?;
        if days > DAYS || !members.contains_key(&account) {
            return None;
        }
        Some(Finding {
            kind: Kind::Access,
            key: format!("access {} {account}", opened.id()),
            mark: until.to_string(),
            facts: facts([
                ("code", definition.code.to_string().into()),
                ("title", definition.title.clone().into()),
                ("name", person.name.clone().into()),
                ("account", account.into()),
                ("until", words::day(language, &until.to_string()).into()),
            ]),
        })
    };
    definition.people.iter().filter_map(of).collect()
}

pub(super) fn days_between(from: Date, to: Date) -> Option<i32> {
    let day = |date: Date| date.to_string().parse::<jiff::civil::Date>().ok();
    Some(day(from)?.until(day(to)?).ok()?.get_days())
}

/// An experiment that needs nearly all that it may; every ten hundredths more are told again.
fn nearly_full(site: &Site, opened: &Opened, language: Language) -> Option<Finding> {
    let quota = opened.definition.storage.quota?.bytes();
    let known = site.registry().ok()?.by_id(&opened.id()).ok()??;
    let used = known.seen?.bytes;
    let percent = used.saturating_mul(100) / quota.max(1);
    if percent < NEAR {
        return None;
    }
    Some(Finding {
        kind: Kind::Quota,
        key: format!("quota {}", opened.id()),
        mark: format!("{} of {quota}", percent / 10),
        facts: facts([
            ("code", opened.definition.code.to_string().into()),
            ("title", opened.definition.title.clone().into()),
            ("used", words::size(language, used).into()),
            ("quota", words::size(language, quota).into()),
            ("percent", percent.into()),
        ]),
    })
}

/// Machines that deliver nothing any more; told again for every silence.
fn silent(site: &Site, opened: &Opened) -> Vec<Finding> {
    let Ok(code) = Code::parse(opened.definition.code.as_str()) else {
        return Vec::new();
    };
    let rows = source::list(site, &code).unwrap_or_default();
    rows.into_iter()
        .filter(|row| row.late == Some(true))
        .map(|row| {
            let last = row.delivered.last.clone().unwrap_or_default();
            Finding {
                kind: Kind::Source,
                key: format!("source {} {}", opened.id(), row.source),
                mark: last.clone(),
                facts: facts([
                    ("code", code.to_string().into()),
                    ("source", row.source.into()),
                    ("last", last.into()),
                    ("minutes", json!(row.every / 60)),
                ]),
            }
        })
        .collect()
}

/// Files that scans and verifications found damaged, lost or changed without a trace; told again when there are others, or
/// fewer. Those of an index that cannot be read are told as that.
fn unsound(opened: &Opened, language: Language) -> Option<Finding> {
    let mut count: u64 = 0;
    let mut lines = Vec::new();
    let mut mark = String::new();
    let read = opened.identity().and_then(|id| {
        let Some(index) = Catalogue::existing(&opened.base.dir, &id)? else {
            return Ok(());
        };
        index.each_wrong(|wrong| {
            count += 1;
            // Of any number of files in the same memory.
            let since = wrong.since.as_deref().unwrap_or_default();
            let line = format!("{mark} {} {since} {}", wrong.code, wrong.path);
            mark = sha256(line.as_bytes());
            if lines.len() < NAMED_MAX {
                lines.push(file(&wrong, language));
            }
        })
    });
    let unknown = read.as_ref().err().map(ToString::to_string);
    if let Err(error) = &read {
        error.code().clone_into(&mut mark);
    } else if count == 0 {
        return None;
    }
    let more = count.saturating_sub(lines.len() as u64);
    Some(Finding {
        kind: Kind::Integrity,
        key: format!("integrity {}", opened.id()),
        mark,
        facts: facts([
            ("code", opened.definition.code.to_string().into()),
            ("count", count.into()),
            ("several", (count > 1).into()),
            ("lines", lines.into()),
            ("more", more.into()),
            ("unknown", unknown.unwrap_or_default().into()),
        ]),
    })
}

/// A file, what is wrong with it, and since when.
fn file(wrong: &Wrong, language: Language) -> String {
    let french = language == Language::Fr;
    let what = match (wrong.code.as_str(), french) {
        ("damage", false) => "damaged",
        ("damage", true) => "endommagé",
        ("loss", false) => "lost",
        ("loss", true) => "perdu",
        ("silent-change", false) => "changed without a trace",
        ("silent-change", true) => "modifié sans trace",
        (other, _) => other,
    };
    let path = report::pathname(&wrong.path);
    match (&wrong.since, french) {
        (None, _) => format!("{path} — {what}"),
        (Some(time), false) => format!("{path} — {what}, found {time}"),
        (Some(time), true) => format!("{path} — {what}, constaté le {time}"),
    }
}
