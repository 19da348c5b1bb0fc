//! The documents of an experiment: looked at, written, and written again by themselves after a change.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::site::{self, Opened, Site};
use super::{list, settings};
use crate::catalogue::probe;
use crate::catalogue::survey::{self, Survey};
use crate::content::Contents;
use crate::documents::dictionary::Looked;
use crate::documents::facts::{Facts, Known};
use crate::documents::file::{self, State};
use crate::documents::sheets::{self, Outcome, Press};
use crate::error::{Error, Result};
use crate::experiment::{Code, Definition, Language, Status};
use crate::report::said;
use crate::store::catalogue::{Catalogue, Probed};
use crate::store::ledger;
use crate::sys::dir::Dir;

/// The largest document that is shown.
const SIZE_LIMIT: u64 = 16 << 20;

/// The most series whose files are looked into: those with the most bytes.
const SERIES_MAX: usize = 60;

/// How long a build looks into files that nobody has looked into yet. What it did not get to, `octonas probe` does.
const PATIENCE: Duration = Duration::from_secs(20);

/// The documents of one experiment.
#[derive(Debug, Serialize)]
pub struct Documents {
    /// Its code.
    pub code: String,
    /// Where they lie.
    pub path: String,
    /// One row each.
    pub documents: Vec<Outcome>,
    /// Why they could not be written, where several experiments were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One document as it stands.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its file.
    pub file: String,
    /// Its text, without the seal.
    pub text: String,
}

/// Whether files that nobody has looked into yet are looked into now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probing {
    /// What is known has to do.
    Never,
    /// At most so long.
    Within(Duration),
}

/// What documents may say of an experiment. Its files are walked.
pub fn facts(site: &Site, opened: &Opened, probing: Probing) -> Result<Facts> {
    let definition = &placed(site, &opened.definition);
    let layout = site.layout(definition)?;
    let tree = layout.expand(definition)?;
    let survey = survey::survey(&opened.dir)?;
    let facts = Facts::gather(&Known {
        definition,
        layout: &layout,
        tree: &tree,
        survey: &survey,
        served: site.nas.identity().enforces_rights,
        common_share: opened.base.common_share.as_deref(),
        today: site.today.get().to_string(),
    });
    let samples = Samples::open(site, opened, probing)?;
    Ok(facts.with_contents(&samples.of(&survey)?))
}

/// A definition that says where the experiment runs: where it does not, at the unit.
fn placed<'d>(site: &Site, definition: &'d Definition) -> Cow<'d, Definition> {
    if definition.facility.is_some() {
        return Cow::Borrowed(definition);
    }
    match settings::facility(site) {
        None => Cow::Borrowed(definition),
        facility => Cow::Owned(Definition {
            facility,
            ..definition.clone()
        }),
    }
}

/// Files that stand for their series.
struct Samples<'s> {
    site: &'s Site,
    experiment: &'s Dir,
    index: Option<Catalogue>,
    /// Until when files may be looked into.
    until: Option<Instant>,
}

impl<'s> Samples<'s> {
    fn open(site: &'s Site, opened: &'s Opened, probing: Probing) -> Result<Self> {
        let id = opened.identity()?;
        let (index, until) = match probing {
            Probing::Never => (Catalogue::existing(&opened.base.dir, &id)?, None),
            Probing::Within(time) => (
                Some(Catalogue::open(&opened.base.dir, &id)?),
                Instant::now().checked_add(time),
            ),
        };
        Ok(Self {
            site,
            experiment: &opened.dir,
            index,
            until,
        })
    }

    /// What is in the samples of every series; the largest ones only are looked into.
    fn of(mut self, survey: &Survey) -> Result<Vec<Looked>> {
        let mut largest: Vec<usize> = (0..survey.series.len()).collect();
        largest.sort_by_key(|&i| std::cmp::Reverse(survey.series.get(i).map(|s| s.extent.bytes)));
        largest.truncate(SERIES_MAX);
        let mut all = Vec::with_capacity(survey.series.len());
        for (i, series) in survey.series.iter().enumerate() {
            let mut files = Vec::new();
            if largest.contains(&i) {
                for path in &series.samples {
                    if let Some(contents) = self.contents(path)? {
                        files.push((path.clone(), contents));
                    }
                }
            }
            all.push(Looked {
                series: series.clone(),
                files,
            });
        }
        Ok(all)
    }

    /// What is in a file: from the index, if it is the same file still; otherwise a probe looks, while there is time.
    fn contents(&mut self, path: &str) -> Result<Option<Contents>> {
        let Some(index) = &self.index else {
            return Ok(None);
        };
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(parent) = self.experiment.open(parent)? else {
            return Ok(None);
        };
        let Some(now) = parent.stat(name)? else {
            return Ok(None);
        };
        let mtime_ns = i64::try_from(now.modified.as_nanosecond()).unwrap_or_default();
        if let Some(known) = index.get(path)?.and_then(|row| row.probed)
            && (known.size, known.mtime_ns) == (now.size, mtime_ns)
        {
            return Ok(serde_json::from_str(&known.contents).ok());
        }
        if self.until.is_none_or(|until| Instant::now() >= until) {
            return Ok(None);
        }
        let Some(node) = parent.node_at(name)? else {
            return Ok(None);
        };
        match probe::probe(&node) {
            Ok(contents) => {
                let text = serde_json::to_string(&contents)
                    .map_err(|e| Error::new("output.failed", "cannot encode contents").source(e))?;
                index.set_probed(
                    path,
                    &Probed {
                        size: now.size,
                        mtime_ns,
                        contents: text,
                    },
                )?;
                Ok(Some(contents))
            }
            // A NAS without a probe has documents too.
            Err(error) => {
                self.until = None;
                self.site.progress.warn(&said!(
                    "files are not looked into for the documents: {error}",
                    "les fichiers ne sont pas examinés pour les documents : {error}"
                ));
                Ok(None)
            }
        }
    }
}

/// Writes the documents that are not current. A closed experiment gets its documents too; a removed one does not.
pub fn build(site: &Site, code: &Code, dry_run: bool) -> Result<Documents> {
    let mut opened = site.open(code)?;
    site::in_service(&opened)?;
    if dry_run {
        return look(site, &opened);
    }
    let _lock = site.lock_experiment(&opened.id())?;
    // Somebody may have changed it while we waited.
    opened = site.open(code)?;
    site::in_service(&opened)?;
    let documents = print(site, &opened, Probing::Within(PATIENCE))?;
    let written = documents
        .documents
        .iter()
        .filter(|each| each.written)
        .count();
    if written > 0 {
        let detail = [("written", written.to_string())];
        site.record(
            &opened.base,
            &opened.id(),
            "document",
            ledger::Outcome::Done,
            &detail,
        )?;
    }
    Ok(documents)
}

/// The same for every experiment in service; one that fails does not stop the others.
pub fn build_all(site: &Site, dry_run: bool) -> Result<Vec<Documents>> {
    let mut all = Vec::new();
    for row in list::list(site, true)?.rows {
        let Ok(code) = Code::parse(&row.code) else {
            continue;
        };
        if row.status == Status::Removed.as_str() {
            continue;
        }
        all.push(
            build(site, &code, dry_run).unwrap_or_else(|error| Documents {
                code: row.code,
                path: String::new(),
                documents: Vec::new(),
                error: Some(error.to_string()),
            }),
        );
    }
    Ok(all)
}

/// How the documents of an experiment stand; nothing is looked into for that.
pub fn list_of(site: &Site, code: &Code) -> Result<Documents> {
    look(site, &site.open(code)?)
}

fn look(site: &Site, opened: &Opened) -> Result<Documents> {
    let facts = facts(site, opened, Probing::Never)?;
    let press = Press::new(&site.documents, &facts, opened.definition.language)?;
    Ok(documents(opened, press.look(&opened.metadata)?))
}

/// Writes them; whoever calls holds the lock of the experiment.
fn print(site: &Site, opened: &Opened, probing: Probing) -> Result<Documents> {
    opened.metadata.remove_unfinished()?;
    let facts = facts(site, opened, probing)?;
    let mut press = Press::new(&site.documents, &facts, opened.definition.language)?;
    let outcomes = press.print(&opened.metadata)?;
    for outcome in &outcomes {
        if let Some(beside) = &outcome.kept {
            site.progress.warn(&said!(
                "{} had been changed by hand; what it said is in {} now",
                "{} avait été modifié à la main ; ce qu'il disait est maintenant dans {}",
                opened.metadata.path_of(&outcome.file).display(),
                beside
            ));
        }
    }
    Ok(documents(opened, outcomes))
}

fn documents(opened: &Opened, documents: Vec<Outcome>) -> Documents {
    Documents {
        code: opened.definition.code.to_string(),
        path: opened.metadata.path().display().to_string(),
        documents,
        error: None,
    }
}

/// After an operation that changed an experiment. That its documents cannot be written is a warning: they can be
/// written any time, and the operation is done.
pub(super) fn follow(site: &Site, opened: &Opened) {
    if opened.definition.status == Status::Removed {
        return;
    }
    if let Err(error) = print(site, opened, Probing::Never) {
        let code = &opened.definition.code;
        site.progress.warn(&said!(
            "the documents of {code} could not be written: {error}; `octonas document build {code}` tries again",
            "les documents de {code} n'ont pas pu être écrits : {error} ; `octonas document build {code}` réessaie"
        ));
    }
}

/// One document as it stands in the experiment.
pub fn show(site: &Site, code: &Code, name: &str, language: Option<Language>) -> Result<Shown> {
    let opened = site.open(code)?;
    let own = opened.definition.language;
    let sheet = sheets::find(name, language.unwrap_or(own), own)?;
    let bytes = opened
        .metadata
        .read(&sheet.file, SIZE_LIMIT)?
        .ok_or_else(|| {
            Error::new(
                "document.missing",
                format!("{code} has no {} yet", sheet.file),
            )
            .hint(format!("octonas document build {code}"))
        })?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Shown {
        text: file::unseal(&text).0.to_owned(),
        file: sheet.file,
    })
}

/// The word for how a document stands.
pub fn word(state: State) -> &'static str {
    match state {
        State::Missing => "missing",
        State::Current => "current",
        State::Outdated => "outdated",
        State::OlderTemplate => "outdated (template)",
        State::ByHand => "changed by hand",
    }
}
