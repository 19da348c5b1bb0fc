//! Whether everything that OctoNAS needs is in order: the NAS, its bases, the programs, the clock. Changes nothing.

use serde::Serialize;

use super::site::Site;
use super::{base, operation};
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

/// Operations that were killed. A base that cannot be reached is named already.
fn unended(site: &Site) -> Vec<Finding> {
    let bases = site.bases().unwrap_or_default();
    let open = bases.iter().filter_map(|base| site.base(&base.path).ok());
    let mut killed = Vec::new();
    for base in open {
        match operation::unended(site, &base) {
            Ok(found) => killed.extend(found.into_values()),
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
