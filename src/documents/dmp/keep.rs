//! Where plans stand: `metadata/dmp-answers.yaml`, and `metadata/dmp/` with the plan as it is now and, in `versions/`,
//! the versions that were kept. `plan.json` is written last: a version without it was not finished, and is made again.

use serde::Serialize;

use super::answers::Answers;
use super::plan::{Plan, Version};
use super::{madmp, opidor, text};
use crate::documents::file::{self, Comment, Made, Put, State, sha256};
use crate::documents::render::Templates;
use crate::error::{Error, Result};
use crate::experiment::{INPUT_MAX, Language};
use crate::store;
use crate::sys::dir::{Dir, Permissions};

/// The answers of an experiment, in its `metadata/`.
pub const ANSWERS: &str = "dmp-answers.yaml";
/// The plans, in its `metadata/`.
pub const DIRECTORY: &str = "dmp";
const VERSIONS: &str = "versions";
const PLAN: &str = "plan.json";

/// The largest `plan.json` that is read back.
const SIZE_LIMIT: u64 = 8 << 20;

/// A file of a plan.
struct Output {
    name: &'static str,
    body: String,
    comment: Comment,
    made: Made,
}

/// What writing a plan came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Files that are new or changed, below `metadata/dmp/`.
    pub written: Vec<String>,
    /// What people had changed by hand, and how it is called now.
    pub kept: Vec<String>,
}

/// The answers, and the digest that an edit of them carries.
pub fn answers(metadata: &Dir) -> Result<(Answers, String)> {
    let text = metadata
        .read(ANSWERS, INPUT_MAX as u64 + 1)?
        .unwrap_or_default();
    let name = format!("metadata/{ANSWERS}");
    Ok((Answers::read(&text, &name)?, sha256(&text)))
}

/// Writes the answers; members read them.
pub fn write_answers(metadata: &Dir, answers: &Answers) -> Result<()> {
    let text = answers.to_yaml()?;
    // What cannot be read back must never replace what can.
    Answers::read(text.as_bytes(), ANSWERS)?;
    metadata.write(ANSWERS, text.as_bytes(), &Permissions::PRIVATE)?;
    store::show(metadata, ANSWERS)
}

/// The plan that was built last, or a version that was kept; `None` where there is none.
pub fn read(metadata: &Dir, version: Option<Version>) -> Result<Option<Plan>> {
    let path = match version {
        None => DIRECTORY.to_owned(),
        Some(version) => format!("{DIRECTORY}/{VERSIONS}/{}", version.as_str()),
    };
    let Some(dir) = metadata.open(&path)? else {
        return Ok(None);
    };
    let Some(text) = dir.read(PLAN, SIZE_LIMIT)? else {
        return Ok(None);
    };
    Plan::read(&text, &format!("metadata/{path}/{PLAN}")).map(Some)
}

/// The versions that were kept, in order.
pub fn versions(metadata: &Dir) -> Result<Vec<Version>> {
    let mut found = Vec::new();
    for version in Version::ALL {
        if read(metadata, Some(version))?.is_some() {
            found.push(version);
        }
    }
    Ok(found)
}

/// Every file of a plan, `plan.json` last.
fn outputs(plan: &Plan, templates: &Templates) -> Result<Vec<Output>> {
    let version = plan.version.map_or("", Version::as_str);
    let inputs = sha256(format!("{}\n{version}", plan.digest).as_bytes());
    let mut found = Vec::new();
    for (language, markdown, html) in [
        (Language::Fr, "PGD.fr.md", "PGD.fr.html"),
        (Language::En, "DMP.en.md", "DMP.en.html"),
    ] {
        let made = Made {
            inputs: inputs.clone(),
            template: templates.digest(language, text::TEMPLATE)?,
        };
        let body = text::markdown(plan, language, templates)?;
        found.push(Output {
            name: html,
            body: text::page_of(&body, plan, language),
            comment: Comment::Angle,
            made: made.clone(),
        });
        found.push(Output {
            name: markdown,
            body,
            comment: Comment::Angle,
            made,
        });
    }
    for (name, body) in [
        ("madmp.json", madmp::text(plan)?),
        ("opidor.json", opidor::text(plan)?),
        (PLAN, plan.to_json()?),
    ] {
        found.push(Output {
            name,
            body,
            comment: Comment::None,
            made: Made {
                inputs: inputs.clone(),
                template: String::new(),
            },
        });
    }
    Ok(found)
}

/// What [`write`] would write, in a directory that may not be there yet.
pub fn stale(metadata: &Dir, plan: &Plan, templates: &Templates) -> Result<Vec<String>> {
    let prefix = prefix(plan);
    let dir = metadata.open(format!("{DIRECTORY}/{prefix}").trim_end_matches('/'))?;
    let mut found = Vec::new();
    for output in outputs(plan, templates)? {
        let current = match &dir {
            None => false,
            Some(dir) if output.comment == Comment::None => {
                dir.read(output.name, SIZE_LIMIT)?.as_deref() == Some(output.body.as_bytes())
            }
            Some(dir) => file::state(dir, output.name, &output.made)? == State::Current,
        };
        if !current {
            found.push(format!("{prefix}{}", output.name));
        }
    }
    Ok(found)
}

/// Writes every file of a plan that is not as it should be. What people changed by hand is kept beside.
pub fn write(metadata: &Dir, plan: &Plan, templates: &Templates) -> Result<Written> {
    let mut dir = shown_dir(metadata, DIRECTORY)?;
    let prefix = prefix(plan);
    for name in prefix.split('/').filter(|name| !name.is_empty()) {
        dir = shown_dir(&dir, name)?;
    }
    let mut result = Written::default();
    for output in outputs(plan, templates)? {
        match file::put(
            &dir,
            output.name,
            &output.body,
            output.comment,
            &output.made,
        )? {
            Put::Unchanged => {}
            Put::Written => result.written.push(format!("{prefix}{}", output.name)),
            Put::Kept(beside) => {
                result.written.push(format!("{prefix}{}", output.name));
                result.kept.push(format!("{prefix}{beside}"));
            }
        }
    }
    Ok(result)
}

/// Refuses to replace a version that was kept by another one.
pub fn may_keep(metadata: &Dir, plan: &Plan, version: Version) -> Result<()> {
    match read(metadata, Some(version))? {
        Some(kept) if kept.digest != plan.digest => Err(Error::new(
            "dmp.kept",
            format!(
                "the {} version was kept on {} and says something else",
                version.as_str(),
                kept.day()
            ),
        )
        .hint("`octonas dmp diff` shows what changed; --replace puts the new one in its place")),
        _ => Ok(()),
    }
}

/// Where the files of a plan stand below `metadata/dmp/`.
fn prefix(plan: &Plan) -> String {
    plan.version
        .map(|version| format!("{VERSIONS}/{}/", version.as_str()))
        .unwrap_or_default()
}

/// Makes a directory if it is not there; it takes its rights from the one above: members read it.
fn shown_dir(parent: &Dir, name: &str) -> Result<Dir> {
    parent.create_dir(name, 0o755)?;
    parent.existing(name)
}
