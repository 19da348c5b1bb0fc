//! The data management plan of an experiment: built, shown, answered, compared.

use serde::Serialize;

use super::documents::{self, Probing};
use super::site::{self, Opened, Site};
use crate::documents::dmp::answers::Answers;
use crate::documents::dmp::facts::{Facts, Known};
use crate::documents::dmp::keep::{self, Written};
use crate::documents::dmp::open::{self, OpenRow};
use crate::documents::dmp::plan::{Plan, Version};
use crate::documents::dmp::registry::Registry;
use crate::documents::dmp::versions::{self, Change};
use crate::documents::dmp::{madmp, opidor, questions, text};
use crate::error::{Error, Result};
use crate::experiment::{Code, Language};
use crate::store::catalogue::Catalogue;
use crate::store::ledger::Outcome;
use crate::sys::clock;

/// The documents that a plan mentions where they are there.
const DOCUMENTS: [&str; 8] = [
    "README.fr.md",
    "README.en.md",
    "ACCESS.fr.md",
    "ACCESS.en.md",
    "DATA-DICTIONARY.fr.md",
    "DATA-DICTIONARY.en.md",
    "CITATION.cff",
    "LICENCE.txt",
];

/// What building came to.
#[derive(Debug, Serialize)]
pub struct Built {
    /// Of the experiment.
    pub code: String,
    /// Where the files stand.
    pub path: String,
    /// Which version was kept, if one was asked for.
    pub version: Option<Version>,
    /// SHA-256 over everything that the plan says.
    pub digest: String,
    /// How many points are open.
    pub open: usize,
    /// What was, or would be, written.
    #[serde(flatten)]
    pub files: Written,
}

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Markdown.
    Markdown,
    /// A page.
    Html,
    /// RDA maDMP 1.2.
    Madmp,
    /// DMP OPIDoR.
    Opidor,
}

impl Format {
    /// Reads `md`, `html`, `madmp`, `opidor`.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "md" => Self::Markdown,
            "html" => Self::Html,
            "madmp" => Self::Madmp,
            "opidor" => Self::Opidor,
            _ => {
                return Err(Error::new(
                    "dmp.format",
                    format!(
                        "a plan is not written as {}",
                        crate::experiment::text::quote(text)
                    ),
                )
                .hint("`md`, `html`, `madmp` or `opidor`"));
            }
        })
    }
}

/// What an answer came to.
#[derive(Debug, Serialize)]
pub struct Answered {
    /// Of the experiment.
    pub code: String,
    /// What was answered.
    pub question: String,
    /// False where the same was said before.
    pub changed: bool,
    /// The digest of the answers now.
    pub digest: String,
}

/// Where a plan stands.
#[derive(Debug, Serialize)]
pub struct Questions {
    /// Of the experiment.
    pub code: String,
    /// The digest of its answers, which an answer may carry.
    pub digest: String,
    /// The language of the experiment.
    pub language: String,
    /// What is open.
    pub open: Vec<OpenRow>,
    /// What was answered, and by whom: `experiment` or `unit`.
    pub answered: Vec<AnsweredRow>,
    /// The versions that were kept.
    pub versions: Vec<Version>,
}

/// Something that was answered.
#[derive(Debug, Serialize)]
pub struct AnsweredRow {
    /// The question or choice.
    pub key: String,
    /// What is asked, in the experiment's language.
    pub ask: &'static str,
    /// The words of which one is the answer; none where it is something else.
    pub words: &'static [&'static str],
    /// `experiment` or `unit`.
    pub by: &'static str,
    /// The answer: a text, or texts by language.
    pub answer: crate::documents::dmp::answers::Answer,
}

/// An answer to be given.
#[derive(Debug)]
pub struct Given<'g> {
    /// The question or choice.
    pub question: &'g str,
    /// What is said; nothing takes the answer back.
    pub text: &'g str,
    /// In which language, where the experiment's answers are in both.
    pub language: Option<Language>,
    /// The digest of the answers that were seen.
    pub from: Option<&'g str>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// The unit's own answers.
fn unit(site: &Site) -> Result<Answers> {
    site.plans.defaults.as_deref().map_or_else(
        || Ok(Answers::default()),
        |text| Answers::read(text.as_bytes(), "dmp-defaults.yaml"),
    )
}

/// The plan as facts and answers are now.
fn current(site: &Site, opened: &Opened) -> Result<Plan> {
    let registry = Registry::read(site.plans.registry.as_deref())?;
    let (answers, _) = keep::answers(&opened.metadata)?;
    let public = documents::facts(site, opened, Probing::Never)?;
    let received = Catalogue::existing(&opened.base.dir, &opened.identity()?)?
        .map_or(Ok(0), |index| index.received())?;
    let mut present = Vec::new();
    for name in DOCUMENTS {
        if opened.metadata.stat(name)?.is_some() {
            present.push(name.to_owned());
        }
    }
    let facts = Facts::gather(&Known {
        public: &public,
        registry: &registry,
        enforced: site.nas.identity().enforces_rights,
        received,
        documents: present,
    });
    Plan::new(
        facts,
        answers.over(&unit(site)?),
        &registry,
        keep::read(&opened.metadata, None)?.as_ref(),
        &clock::now_text(),
    )
}

/// Writes the plan as it is now; with a version, keeps that too. A version that was kept stays unless `replace`.
pub fn build(
    site: &Site,
    code: &Code,
    version: Option<Version>,
    replace: bool,
    dry_run: bool,
) -> Result<Built> {
    let _lock = site.lock_experiment(&site.open(code)?.id())?;
    // Somebody may have changed it while we waited.
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let templates = &site.documents;
    let plan = current(site, &opened)?;
    let mut all = vec![plan.clone()];
    if let Some(version) = version {
        if !replace {
            keep::may_keep(&opened.metadata, &plan, version)?;
        }
        let kept = keep::read(&opened.metadata, Some(version))?;
        // What was kept and says the same is left as it is.
        if kept.is_none_or(|kept| kept.digest != plan.digest) {
            all.push(Plan {
                version: Some(version),
                ..plan.clone()
            });
        }
    }
    let mut files = Written::default();
    for plan in &all {
        if dry_run {
            files
                .written
                .extend(keep::stale(&opened.metadata, plan, templates)?);
        } else {
            let written = keep::write(&opened.metadata, plan, templates)?;
            files.written.extend(written.written);
            files.kept.extend(written.kept);
        }
    }
    if !dry_run && !files.written.is_empty() {
        let mut detail = vec![
            ("digest", plan.digest.clone()),
            ("files", files.written.len().to_string()),
        ];
        if let Some(version) = version {
            detail.push(("version", version.as_str().to_owned()));
        }
        site.record(
            &opened.base,
            &opened.id(),
            "dmp-build",
            Outcome::Done,
            &detail,
        )?;
    }
    Ok(Built {
        code: code.to_string(),
        path: opened
            .path()
            .join("metadata")
            .join(keep::DIRECTORY)
            .display()
            .to_string(),
        version,
        digest: plan.digest.clone(),
        open: open::open(&plan).len(),
        files,
    })
}

/// The plan as text: as it is now, or a version that was kept. Writes nothing.
pub fn show(
    site: &Site,
    code: &Code,
    version: Option<Version>,
    format: Format,
    language: Option<Language>,
) -> Result<String> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let plan = named(site, &opened, version)?;
    let language = language.unwrap_or_else(|| plan.facts.own());
    let templates = &site.documents;
    match format {
        Format::Markdown => text::markdown(&plan, language, templates),
        Format::Html => text::html(&plan, language, templates),
        Format::Madmp => madmp::text(&plan),
        Format::Opidor => opidor::text(&plan),
    }
}

/// A version that was kept, or the plan as it is now.
fn named(site: &Site, opened: &Opened, version: Option<Version>) -> Result<Plan> {
    let Some(version) = version else {
        return current(site, opened);
    };
    keep::read(&opened.metadata, Some(version))?.ok_or_else(|| {
        let code = &opened.definition.code;
        Error::new(
            "dmp.missing",
            format!(
                "no {} version of the plan of {code} was kept",
                version.as_str()
            ),
        )
        .hint(format!(
            "`octonas dmp build {code} --version {}` keeps one",
            version.as_str()
        ))
    })
}

/// Answers a question of a plan, or makes a choice.
pub fn answer(site: &Site, code: &Code, given: &Given<'_>) -> Result<Answered> {
    let _lock = site.lock_experiment(&site.open(code)?.id())?;
    // Somebody may have changed it while we waited.
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let (mut answers, digest) = keep::answers(&opened.metadata)?;
    if given.from.is_some_and(|from| from != digest) {
        return Err(Error::new(
            "dmp.changed",
            "somebody answered questions of this plan in the meantime",
        )
        .hint("load the plan again and repeat the answer"));
    }
    let own = opened.definition.language;
    let changed = answers.set(given.question, given.text, given.language, own)?;
    let mut now = digest;
    if changed && !given.dry_run {
        keep::write_answers(&opened.metadata, &answers)?;
        now = keep::answers(&opened.metadata)?.1;
        let detail = [
            ("question", given.question.to_owned()),
            ("digest", now.clone()),
        ];
        site.record(
            &opened.base,
            &opened.id(),
            "dmp-answer",
            Outcome::Done,
            &detail,
        )?;
    }
    Ok(Answered {
        code: code.to_string(),
        question: given.question.to_owned(),
        changed,
        digest: now,
    })
}

/// What is open, and what was answered.
pub fn questions(site: &Site, code: &Code) -> Result<Questions> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let plan = current(site, &opened)?;
    let (own, digest) = keep::answers(&opened.metadata)?;
    let language = plan.facts.own();
    let mut answered = Vec::new();
    for (key, answer) in plan.answers.iter() {
        answered.push(AnsweredRow {
            key: key.to_owned(),
            ask: questions::find(key)?.text().of(language),
            words: questions::allowed(key),
            by: if own.get(key).is_some() {
                "experiment"
            } else {
                "unit"
            },
            answer: answer.clone(),
        });
    }
    Ok(Questions {
        code: code.to_string(),
        digest,
        language: language.to_string(),
        open: open::open(&plan).iter().map(OpenRow::from).collect(),
        answered,
        versions: keep::versions(&opened.metadata)?,
    })
}

/// What changed between two versions; `None` is the plan as it is now.
pub fn diff(
    site: &Site,
    code: &Code,
    from: Option<Version>,
    to: Option<Version>,
    language: Option<Language>,
) -> Result<Vec<Change>> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let language = language.unwrap_or(opened.definition.language);
    let from = named(site, &opened, from)?;
    let to = named(site, &opened, to)?;
    Ok(versions::diff(&from, &to, language))
}
