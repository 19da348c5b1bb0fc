//! Experiments whose data have been kept for as long as they have to be, or soon have: told twice, and nothing else is done.

use std::collections::BTreeMap;

use serde_json::Value;

use super::find::{days_between, facts};
use super::{Finding, Kind, NOTICE};
use crate::documents::facts::kept_until;
use crate::documents::words;
use crate::error::Result;
use crate::experiment::{Date, Language};
use crate::provision::site::Site;
use crate::provision::{archive, list};

/// What is known of one.
struct Kept {
    code: String,
    title: String,
    until: String,
    archives: u64,
}

/// Those in service by their definitions, those out of service by the receipts of their archives.
pub(super) fn find(site: &Site, language: Language) -> Result<Vec<Finding>> {
    let mut all: BTreeMap<String, Kept> = BTreeMap::new();
    for archived in archive::list(site, None)? {
        let Some(until) = archived.kept_until else {
            continue;
        };
        let kept = all.entry(archived.id).or_insert_with(|| Kept {
            code: archived.code,
            title: String::new(),
            until: String::new(),
            archives: 0,
        });
        // The newest comes last.
        kept.until = until;
        kept.archives += 1;
    }
    list::in_service(site, |_, opened| {
        let Ok(opened) = opened else { return };
        let archives = all.remove(&opened.id()).map_or(0, |kept| kept.archives);
        if let Some(until) = kept_until(&opened.definition) {
            let kept = Kept {
                code: opened.definition.code.to_string(),
                title: opened.definition.title.clone(),
                until,
                archives,
            };
            all.insert(opened.id(), kept);
        }
    })?;
    let mut all: Vec<(String, Kept)> = all.into_iter().collect();
    all.sort_by(|(_, a), (_, b)| a.code.cmp(&b.code));
    let due = |(id, kept): (String, Kept)| finding(site, language, &id, kept);
    Ok(all.into_iter().filter_map(due).collect())
}

fn finding(site: &Site, language: Language, id: &str, kept: Kept) -> Option<Finding> {
    let until = Date::parse(&kept.until).ok()?;
    let days = days_between(site.today.get(), until)?;
    if days > NOTICE {
        return None;
    }
    let past = days < 0;
    Some(Finding {
        kind: Kind::Retention,
        key: format!("retention {id}"),
        mark: format!("{} {}", kept.until, if past { "past" } else { "soon" }),
        facts: facts([
            ("code", kept.code.into()),
            ("title", kept.title.into()),
            ("until", words::day(language, &kept.until).into()),
            ("past", past.into()),
            ("archives", Value::from(kept.archives)),
        ]),
    })
}
