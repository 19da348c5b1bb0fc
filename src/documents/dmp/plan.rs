//! A plan: facts, answers and times, from which every text and file of it is written, now or in ten years.

use serde::{Deserialize, Serialize};

use super::answers::Answers;
use super::facts::Facts;
use super::registry::{Registry, Repository};
use crate::documents::file::sha256;
use crate::error::{Error, Result};
use crate::experiment::Language;

/// The version of the format of `plan.json` that this program writes.
pub const FORMAT: u32 = 1;

/// The versions that the ANR asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// Within six months of the start.
    Initial,
    /// Half way.
    Intermediate,
    /// At the end.
    Final,
}

impl Version {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Initial, Self::Intermediate, Self::Final];

    /// Its word, which names its directory.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Intermediate => "intermediate",
            Self::Final => "final",
        }
    }

    /// Reads the word; `dmp.version` otherwise.
    pub fn parse(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| {
                Error::new(
                    "dmp.version",
                    format!(
                        "{} is not a version of a plan",
                        crate::experiment::text::quote(text)
                    ),
                )
                .hint("`initial`, `intermediate` or `final`")
            })
    }

    /// For people; the French labels are those of DMP OPIDoR.
    pub fn title(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::Fr, Self::Initial) => "Version initiale",
            (Language::Fr, Self::Intermediate) => "Version intermédiaire",
            (Language::Fr, Self::Final) => "Version finale",
            (Language::En, Self::Initial) => "Initial version",
            (Language::En, Self::Intermediate) => "Intermediate version",
            (Language::En, Self::Final) => "Final version",
        }
    }
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the format.
    pub plan: u32,
    /// Which version of the plan this is; none while it is being worked on.
    pub version: Option<Version>,
    /// When a plan of this experiment was built for the first time (RFC 3339, UTC).
    pub created: String,
    /// When facts or answers last changed.
    pub modified: String,
    /// SHA-256 over facts, answers and repository.
    pub digest: String,
    /// What the NAS knows.
    pub facts: Facts,
    /// What people answered, the unit's answers included.
    pub answers: Answers,
    /// The repository that was chosen.
    pub repository: Option<Repository>,
}

impl Plan {
    /// Puts a plan together. `before` is the one that was built last: the time of the first build comes from it, and the
    /// time of the last change where nothing changed.
    ///
    /// # Errors
    /// `output.failed` where it cannot be encoded.
    pub fn new(
        facts: Facts,
        answers: Answers,
        registry: &Registry,
        before: Option<&Self>,
        now: &str,
    ) -> Result<Self> {
        let repository = answers
            .choice("repository")
            .map(|address| registry.repository(address));
        let inputs = serde_json::to_string(&(&facts, &answers, &repository))
            .map_err(|e| Error::new("output.failed", "cannot encode a plan as JSON").source(e))?;
        let digest = sha256(inputs.as_bytes());
        let unchanged = before.filter(|plan| plan.digest == digest);
        Ok(Self {
            plan: FORMAT,
            version: None,
            created: before.map_or(now, |plan| &plan.created).to_owned(),
            modified: unchanged.map_or(now, |plan| &plan.modified).to_owned(),
            digest,
            facts,
            answers,
            repository,
        })
    }

    /// Reads `plan.json`.
    ///
    /// # Errors
    /// `file.damaged`, `dmp.newer`.
    pub fn read(text: &[u8], name: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            plan: u32,
        }
        let damaged = |e: serde_json::Error| {
            Error::new("file.damaged", format!("{name} cannot be read"))
                .hint("restore the file from a backup or a replica")
                .source(e)
        };
        let format: Format = serde_json::from_slice(text).map_err(damaged)?;
        if format.plan > FORMAT {
            return Err(Error::new(
                "dmp.newer",
                format!("{name} was written by a newer version"),
            )
            .hint("upgrade octonas"));
        }
        serde_json::from_slice(text).map_err(damaged)
    }

    /// The text of `plan.json`.
    ///
    /// # Errors
    /// `output.failed`.
    pub fn to_json(&self) -> Result<String> {
        pretty(self)
    }

    /// The plan's title.
    pub fn title(&self, language: Language) -> String {
        let title = &self.facts.title;
        match language {
            Language::Fr => format!("Plan de gestion des données – {title}"),
            Language::En => format!("Data management plan – {title}"),
        }
    }

    /// What was answered to a question, in a language or else in the other one.
    pub fn answer(&self, question: &str, language: Language) -> Option<(&str, Language)> {
        self.answers
            .get(question)
            .map(|answer| answer.text(language, self.facts.own()))
    }

    /// The day of the last change, `2026-11-21`.
    pub fn day(&self) -> &str {
        day(&self.modified)
    }
}

/// The day of a time.
pub(super) fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

/// A value as indented JSON, ending in a line break.
pub(super) fn pretty(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new("output.failed", "cannot encode a plan as JSON").source(e))?;
    text.push('\n');
    Ok(text)
}
