//! What the unit says for all its experiments: shown, changed, and used where nothing else is said.

use std::collections::BTreeMap;

use serde::Serialize;

use super::site::Site;
use crate::error::{Error, Result};
use crate::experiment::{Facility, SETTINGS, Unit, Unknown};
use crate::store;

/// What is said.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// Setting → text; empty where nothing is said.
    pub settings: BTreeMap<&'static str, String>,
    /// Names all of it (SHA-256): a change may say on what it was made.
    pub digest: String,
    /// What the NAS keeps and nobody can read; it counts as not said.
    pub unreadable: Vec<String>,
}

/// What a change came to.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// The settings that were, or would be, changed: before, and after.
    pub changed: BTreeMap<&'static str, (String, String)>,
    /// What is said now, or would be.
    #[serde(flatten)]
    pub now: Settings,
}

/// Shows what is said.
pub fn show(site: &Site) -> Result<Settings> {
    Ok(told(&site.nas.unit()?))
}

fn told((unit, wrong): &(Unit, Vec<Error>)) -> Settings {
    let texts = unit.texts();
    Settings {
        digest: digest(&texts),
        settings: texts,
        unreadable: wrong.iter().map(ToString::to_string).collect(),
    }
}

/// Changes some settings; an empty text takes back what was said. With `from`, the digest of what was seen, a change of
/// somebody else in the meantime is the error `settings.changed`.
pub fn change(
    site: &Site,
    changes: &[(String, String)],
    from: Option<&str>,
    dry_run: bool,
) -> Result<Changed> {
    let _nas = site.lock_nas()?;
    // Under the lock: whoever waited for it began from what was there before.
    let found = site.nas.unit_now()?;
    let before = told(&found);
    if from.is_some_and(|digest| digest != before.digest) {
        return Err(Error::new(
            "settings.changed",
            "somebody changed the settings in the meantime",
        )
        .hint("load them again and repeat the change"));
    }
    let (mut unit, _) = found;
    for (setting, text) in changes {
        unit.set(setting, text)?;
    }
    // What a new experiment would begin with has to be there.
    site.layouts
        .get(&unit.layout)
        .map_err(|error| error.field("layout"))?;
    if let Some(base) = &unit.base
        && !site
            .bases()?
            .iter()
            .any(|known| known.path == base.as_path())
    {
        return Err(
            Error::new("base.unknown", format!("{base} is not a base of this NAS"))
                .hint(format!("octonas base add {base}"))
                .field("base"),
        );
    }
    let after = unit.texts();
    let changed: BTreeMap<_, _> = SETTINGS
        .iter()
        .filter_map(|setting| {
            let (was, is) = (before.settings.get(setting)?, after.get(setting)?);
            (was != is).then(|| (*setting, (was.clone(), is.clone())))
        })
        .collect();
    let something = !changed.is_empty() || !before.unreadable.is_empty();
    if something && !dry_run {
        site.nas.set_unit(&unit)?;
    }
    Ok(Changed {
        changed,
        now: Settings {
            digest: digest(&after),
            settings: after,
            unreadable: Vec::new(),
        },
    })
}

/// Where an experiment runs whose definition does not say it: at the unit. The name of the unit alone is no reason for an
/// operation to fail.
pub(super) fn facility(site: &Site) -> Option<Facility> {
    let (unit, _) = site.nas.unit().ok()?;
    Some(Facility {
        name: unit.organisation?,
        ror: unit.ror,
        platform: None,
        chambers: Vec::new(),
        unknown: Unknown::new(),
    })
}

fn digest(texts: &BTreeMap<&'static str, String>) -> String {
    let all: String = texts
        .iter()
        .map(|(setting, text)| format!("{setting}={text}\n"))
        .collect();
    store::sha256(all.as_bytes())
}
