//! `octonas dmp …`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Subcommand;

use super::Desk;
use crate::documents::dmp::plan::Version;
use crate::documents::dmp::versions::Change;
use crate::error::{Error, Exit, Result};
use crate::experiment::{Code, Language};
use crate::provision::dmp::{self, Built, Format, Given, Questions};
use crate::report;

/// What can be done with data management plans.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the plan from what the NAS knows and people answered: text, RDA maDMP, DMP OPIDoR.
    #[command(disable_version_flag = true)]
    Build {
        /// The experiment.
        code: String,
        /// Keep it as this version too: initial, intermediate or final.
        #[arg(id = "which", long = "version", value_name = "VERSION")]
        version: Option<String>,
        /// Replace a version that was kept and says something else.
        #[arg(long, requires = "which")]
        replace: bool,
        /// Only say which files would be written.
        #[arg(long)]
        dry_run: bool,
    },
    /// The plan on standard output; nothing is written.
    #[command(disable_version_flag = true)]
    Show {
        /// The experiment.
        code: String,
        /// md, html, madmp or opidor.
        #[arg(long, default_value = "md")]
        format: String,
        /// fr or en; without it, the experiment's.
        #[arg(long)]
        language: Option<String>,
        /// A version that was kept; without it, the plan as it is now.
        #[arg(id = "which", long = "version", value_name = "VERSION")]
        version: Option<String>,
    },
    /// What is open, with its question, and what was answered.
    Questions {
        /// The experiment.
        code: String,
    },
    /// Answer a question (`4a`) or make a choice (`personal-data`).
    #[command(group(clap::ArgGroup::new("said").required(true)))]
    Answer {
        /// The experiment.
        code: String,
        /// The question or choice; `octonas dmp questions` lists what is open.
        question: String,
        /// The answer (`-` reads standard input).
        #[arg(long, group = "said")]
        text: Option<String>,
        /// A file with the answer.
        #[arg(long, group = "said", value_name = "FILE")]
        file: Option<PathBuf>,
        /// Take the answer back.
        #[arg(long, group = "said")]
        clear: bool,
        /// The language of this answer, where there is one in each.
        #[arg(long)]
        language: Option<String>,
        /// Only check it.
        #[arg(long)]
        dry_run: bool,
    },
    /// What changed between two versions: initial, intermediate, final or current.
    Diff {
        /// The experiment.
        code: String,
        /// The older one.
        from: String,
        /// The newer one.
        to: String,
        /// fr or en; without it, the experiment's.
        #[arg(long)]
        language: Option<String>,
    },
}

/// Runs one of them.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Build {
            code,
            version,
            replace,
            dry_run,
        } => {
            let version = version.as_deref().map(Version::parse).transpose()?;
            let built = dmp::build(desk.site, &Code::parse(code)?, version, *replace, *dry_run)?;
            print(desk, &built, || built_text(&built, *dry_run))
        }
        Command::Show {
            code,
            format,
            language,
            version,
        } => {
            let version = version.as_deref().map(Version::parse).transpose()?;
            let format = Format::parse(format)?;
            let text = dmp::show(
                desk.site,
                &Code::parse(code)?,
                version,
                format,
                tongue(language.as_ref())?,
            )?;
            print(desk, &serde_json::json!({"text": text}), || text.clone())
        }
        Command::Questions { code } => {
            let found = dmp::questions(desk.site, &Code::parse(code)?)?;
            print(desk, &found, || questions_text(&found))
        }
        Command::Answer {
            code,
            question,
            text,
            file,
            language,
            dry_run,
            ..
        } => {
            let said = match (text.as_deref(), file) {
                (Some("-"), _) => Some(super::experiment::read(desk, std::path::Path::new("-"))?),
                (_, Some(file)) => Some(super::experiment::read(desk, file)?),
                (Some(text), None) => Some(text.as_bytes().to_vec()),
                (None, None) => None,
            };
            let said = said.map(utf8).transpose()?;
            if said.as_deref().is_some_and(|text| text.trim().is_empty()) {
                return Err(Error::new("dmp.text", "the answer is empty")
                    .hint("--clear takes an answer back"));
            }
            let given = Given {
                question,
                text: said.as_deref().unwrap_or_default(),
                language: tongue(language.as_ref())?,
                from: None,
                dry_run: *dry_run,
            };
            let answered = dmp::answer(desk.site, &Code::parse(code)?, &given)?;
            print(desk, &answered, || {
                let what = match (answered.changed, *dry_run) {
                    (false, _) => "nothing to do",
                    (true, true) => "would be changed",
                    (true, false) => "answered; `octonas dmp build` writes the plan anew",
                };
                format!("{} {}: {what}\n", answered.code, answered.question)
            })
        }
        Command::Diff {
            code,
            from,
            to,
            language,
        } => {
            let changes = dmp::diff(
                desk.site,
                &Code::parse(code)?,
                version_or_now(from)?,
                version_or_now(to)?,
                tongue(language.as_ref())?,
            )?;
            print(desk, &changes, || diff_text(&changes))
        }
    }
}

fn print(
    desk: &Desk<'_>,
    value: &impl serde::Serialize,
    text: impl Fn() -> String,
) -> Result<Exit> {
    if desk.json {
        report::json(value)?;
    } else {
        report::stdout(&text())?;
    }
    Ok(Exit::Done)
}

fn tongue(language: Option<&String>) -> Result<Option<Language>> {
    language.map(|text| Language::parse(text)).transpose()
}

fn version_or_now(text: &str) -> Result<Option<Version>> {
    if text == "current" {
        return Ok(None);
    }
    Version::parse(text)
        .map(Some)
        .map_err(|e| e.hint("`initial`, `intermediate`, `final` or `current`"))
}

fn utf8(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        Error::new("dmp.text", "the answer is not UTF-8")
            .hint("save it with the encoding UTF-8")
            .source(e)
    })
}

fn built_text(built: &Built, dry_run: bool) -> String {
    let mut out = String::new();
    for name in &built.files.written {
        let _ = writeln!(
            out,
            "{} {}",
            if dry_run { "would write" } else { "wrote" },
            report::printable(name)
        );
    }
    for name in &built.files.kept {
        let _ = writeln!(out, "changed by hand, kept as {}", report::printable(name));
    }
    if built.files.written.is_empty() {
        out.push_str("nothing to do\n");
    }
    let points = if built.open == 1 {
        "point is"
    } else {
        "points are"
    };
    let _ = writeln!(
        out,
        "{}: {} {points} open{}",
        built.code,
        built.open,
        if built.open > 0 {
            " (octonas dmp questions)"
        } else {
            ""
        }
    );
    out
}

fn questions_text(found: &Questions) -> String {
    let french = found.language == "fr";
    let mut rows = vec![
        ["UNDER", "ANSWER", "WHAT IS OPEN"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(found.open.iter().map(|row| {
        let ask = if french { row.fr } else { row.en };
        vec![row.question.to_owned(), row.key.to_owned(), ask.to_owned()]
    }));
    let mut out = if found.open.is_empty() {
        "nothing is open\n".to_owned()
    } else {
        report::table(&rows)
    };
    if !found.answered.is_empty() {
        let keys: Vec<String> = found
            .answered
            .iter()
            .map(|row| match row.by {
                "unit" => format!("{} (unit)", row.key),
                _ => row.key.clone(),
            })
            .collect();
        let _ = writeln!(out, "\nanswered: {}", keys.join(", "));
    }
    if !found.versions.is_empty() {
        let names: Vec<&str> = found
            .versions
            .iter()
            .map(|version| version.as_str())
            .collect();
        let _ = writeln!(out, "kept: {}", names.join(", "));
    }
    out
}

fn diff_text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "no difference\n".to_owned();
    }
    let mut out = String::new();
    for change in changes {
        let _ = writeln!(
            out,
            "{} {}",
            change.question,
            report::printable(&change.text)
        );
        for (sign, lines) in [('-', &change.removed), ('+', &change.added)] {
            for line in lines {
                let _ = writeln!(out, "  {sign} {}", report::printable(line));
            }
        }
    }
    out
}
