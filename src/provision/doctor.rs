//! Whether everything that OctoNAS needs is in order: the NAS, its bases, the programs, the clock. Changes nothing.

use serde::Serialize;

use super::site::{OpenBase, Site};
use super::{base, operation};
use crate::error;
use crate::store::baseline::Baseline;
use crate::store::chain::Verified;
use crate::store::ledger::Ledger;
use crate::sys::clock;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// Whether it is in order.
    pub sound: bool,
    /// How it is, or what to do.
    pub text: String,
}

fn finding(what: &str, result: Result<String, String>) -> Finding {
    let (sound, text) = match result {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    };
    Finding {
        what: what.to_owned(),
        sound,
        text,
    }
}

/// Looks at everything; what fails is a finding and stops nothing.
pub fn examine(site: &Site) -> Vec<Finding> {
    let identity = site.nas.identity();
    let rights = if identity.enforces_rights {
        "enforced"
    } else {
        "declared, not enforced"
    };
    let mut findings = vec![
        finding("version", Ok(env!("CARGO_PKG_VERSION").to_owned())),
        finding("NAS", Ok(format!("{}; rights are {rights}", identity.name))),
        finding(
            "clock",
            clock::doubt(clock::now(), None).map_or_else(|| Ok(clock::now_text()), Err),
        ),
    ];
    match site.nas.observe() {
        Ok(observation) => {
            let pending: Vec<&str> = observation.pending.iter().map(String::as_str).collect();
            findings.push(finding(
                "NAS answers",
                Ok(format!("{} accounts", observation.accounts.len())),
            ));
            if !pending.is_empty() {
                let text = format!("waits to be applied in the panel: {}", pending.join(", "));
                findings.push(finding("configuration", Ok(text)));
            }
        }
        Err(error) => findings.push(finding("NAS answers", Err(error.to_string()))),
    }
    findings.extend(
        site.nas
            .examine()
            .into_iter()
            .map(|(what, result)| finding(&what, result)),
    );
    match base::list(site) {
        Ok(bases) if bases.is_empty() => {
            findings.push(finding(
                "bases",
                Err("none yet: octonas base add PATH".into()),
            ));
        }
        Ok(bases) => findings.extend(bases.into_iter().map(|base| {
            let place = base.path.display().to_string();
            let result = match base.reason {
                None => Ok("available".to_owned()),
                Some(reason) => Err(reason),
            };
            finding(&format!("base {place}"), result)
        })),
        Err(error) => findings.push(finding("bases", Err(error.to_string()))),
    }
    for base in open_bases(site) {
        findings.push(finding(
            &format!("ledger of {}", base.path.display()),
            intact(
                Ledger::open(&base.dir)
                    .and_then(|ledger| ledger.verify())
                    .map(|verified| vec![("ledger".to_owned(), verified)]),
            ),
        ));
        findings.push(finding(
            &format!("baselines of {}", base.path.display()),
            intact(baselines(&base)),
        ));
    }
    findings.extend(unended(site));
    findings.push(finding(
        "list",
        site.registry()
            .and_then(|registry| registry.list())
            .map(|rows| format!("{} experiments", rows.len()))
            .map_err(|error| error.to_string()),
    ));
    findings
}

/// The bases that can be reached; the others are named already.
fn open_bases(site: &Site) -> Vec<OpenBase> {
    let bases = site.bases().unwrap_or_default().into_iter();
    bases
        .filter_map(|base| site.base(&base.path).ok())
        .collect()
}

/// Every baseline of a base, checked line by line.
fn baselines(base: &OpenBase) -> error::Result<Vec<(String, Verified)>> {
    let mut all = Vec::new();
    for id in Baseline::all(&base.dir)? {
        if let Some(baseline) = Baseline::existing(&base.dir, &id)? {
            all.push((format!("baseline of {id}"), baseline.verify()?));
        }
    }
    Ok(all)
}

/// Whether every line follows from the one before.
fn intact(chains: error::Result<Vec<(String, Verified)>>) -> Result<String, String> {
    let chains = chains.map_err(|error| error.to_string())?;
    let lines: u64 = chains.iter().map(|(_, chain)| chain.entries).sum();
    let mut wrong = chains
        .iter()
        .flat_map(|(name, chain)| chain.findings.iter().map(move |found| (name, found)));
    let Some((name, first)) = wrong.next() else {
        return Ok(format!("{lines} lines, each follows from the one before"));
    };
    let more = wrong.count();
    let others = if more == 0 {
        String::new()
    } else {
        format!("; {more} more like it")
    };
    Err(format!(
        "{name}: {first}{others}. Compare with a backup or a replica: somebody changed it, or the disk is failing"
    ))
}

/// Operations that were killed.
fn unended(site: &Site) -> Vec<Finding> {
    let mut killed = Vec::new();
    for base in open_bases(site) {
        match operation::unended(site, &base) {
            Ok(found) => killed.extend(found.into_values().map(|text| text.en)),
            Err(error) => killed.push(error.to_string()),
        }
    }
    if killed.is_empty() {
        let text = "every one that was begun has ended".to_owned();
        return vec![finding("operations", Ok(text))];
    }
    let findings = killed.into_iter();
    findings
        .map(|text| finding("operations", Err(text)))
        .collect()
}
