//! Whether everything that OctoNAS needs is in order: the NAS, its bases, the programs, the clock. Changes nothing.

use serde::Serialize;

use super::site::{OpenBase, Site};
use super::{base, operation};
use crate::error::{self, Error};
use crate::report::{Said, said};
use crate::store::baseline::Baseline;
use crate::store::chain::Verified;
use crate::store::ledger::Ledger;
use crate::sys::clock;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What.
    pub what: Said,
    /// Whether it is in order.
    pub sound: bool,
    /// How it is, or what to do.
    pub text: Said,
}

fn finding(what: Said, result: Result<Said, Said>) -> Finding {
    let (sound, text) = match result {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    };
    Finding { what, sound, text }
}

fn wrong(error: &Error) -> Said {
    Said::same(error.to_string())
}

/// Looks at everything; what fails is a finding and stops nothing.
pub fn examine(site: &Site) -> Vec<Finding> {
    let identity = site.nas.identity();
    let rights = if identity.enforces_rights {
        said!(
            "{0}; rights are enforced",
            "{0} ; les droits sont imposés",
            identity.name
        )
    } else {
        said!(
            "{0}; rights are declared, not enforced",
            "{0} ; les droits sont déclarés, non imposés",
            identity.name
        )
    };
    let time = match clock::doubt(clock::now(), None) {
        None => Ok(Said::same(clock::now_text())),
        Some(doubt) => Err(Said::same(doubt)),
    };
    let mut findings = vec![
        finding(
            Said::same("version"),
            Ok(Said::same(env!("CARGO_PKG_VERSION"))),
        ),
        finding(Said::same("NAS"), Ok(rights)),
        finding(said!("clock", "horloge"), time),
    ];
    let answers = || said!("NAS answers", "le NAS répond");
    match site.nas.observe() {
        Ok(observation) => {
            let accounts = observation.accounts.len();
            findings.push(finding(
                answers(),
                Ok(said!("{accounts} accounts", "{accounts} comptes")),
            ));
        }
        Err(error) => findings.push(finding(answers(), Err(wrong(&error)))),
    }
    let examined = site.nas.examine().into_iter();
    findings.extend(examined.map(|(what, result)| finding(what, result)));
    match base::list(site) {
        Ok(bases) if bases.is_empty() => {
            findings.push(finding(
                said!("bases", "dossiers d'expériences"),
                Err(said!(
                    "none yet: octonas base add PATH",
                    "aucun encore : octonas base add CHEMIN"
                )),
            ));
        }
        Ok(bases) => findings.extend(bases.into_iter().map(|base| {
            let result = match base.reason {
                None => Ok(said!("available", "disponible")),
                Some(reason) => Err(Said::same(reason)),
            };
            let what = said!("base {0}", "dossier d'expériences {0}", base.path.display());
            finding(what, result)
        })),
        Err(error) => findings.push(finding(
            said!("bases", "dossiers d'expériences"),
            Err(wrong(&error)),
        )),
    }
    for base in open_bases(site) {
        let place = base.path.display();
        findings.push(finding(
            said!("ledger of {place}", "registre de {place}"),
            intact(
                Ledger::open(&base.dir)
                    .and_then(|ledger| ledger.verify())
                    .map(|verified| vec![("ledger".to_owned(), verified)]),
            ),
        ));
        findings.push(finding(
            said!("baselines of {place}", "références de {place}"),
            intact(baselines(&base)),
        ));
    }
    findings.extend(unended(site));
    findings.push(finding(
        said!("list", "liste"),
        site.registry()
            .and_then(|registry| registry.list())
            .map(|rows| said!("{0} experiments", "{0} expériences", rows.len()))
            .map_err(|error| wrong(&error)),
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
fn intact(chains: error::Result<Vec<(String, Verified)>>) -> Result<Said, Said> {
    let chains = chains.map_err(|error| wrong(&error))?;
    let lines: u64 = chains.iter().map(|(_, chain)| chain.entries).sum();
    let mut broken = chains
        .iter()
        .flat_map(|(name, chain)| chain.findings.iter().map(move |found| (name, found)));
    let Some((name, first)) = broken.next() else {
        return Ok(said!(
            "{lines} lines, each follows from the one before",
            "{lines} lignes, chacune découle de la précédente"
        ));
    };
    let others = match broken.count() {
        0 => Said::same(""),
        more => said!("; {more} more like it", " ; {more} de plus"),
    };
    Err(Said::same(format!("{name}: {first}")).and(&others).and(&said!(
        ". Compare with a backup or a replica: somebody changed it, or the disk is failing",
        ". Comparez avec une sauvegarde ou un réplica : quelqu'un l'a modifié, ou le disque est défaillant"
    )))
}

fn operations() -> Said {
    said!("operations", "opérations")
}

/// Operations that were killed.
fn unended(site: &Site) -> Vec<Finding> {
    let mut killed = Vec::new();
    for base in open_bases(site) {
        match operation::unended(site, &base) {
            Ok(found) => killed.extend(found.into_values()),
            Err(error) => killed.push(wrong(&error)),
        }
    }
    if killed.is_empty() {
        let text = said!(
            "every one that was begun has ended",
            "toutes celles qui ont commencé sont terminées"
        );
        return vec![finding(operations(), Ok(text))];
    }
    let findings = killed.into_iter();
    findings
        .map(|text| finding(operations(), Err(text)))
        .collect()
}
