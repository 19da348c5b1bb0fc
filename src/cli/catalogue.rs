//! `octonas catalogue …`

use std::fmt::Write as _;

use clap::Subcommand;

use super::Desk;
use crate::catalogue::examine::Examined;
use crate::content::Severity;
use crate::error::{Exit, Result};
use crate::experiment::{Code, Size};
use crate::provision::catalogue::{self, Answer, Integrity, Options, Scanned, Shown};
use crate::report;
use crate::store::catalogue::ask::{File, Page, Wanted};

/// What can be done with catalogues.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look through the files: what is new or changed is read, and its checksum kept for ever.
    Scan(ScanArguments),
    /// What lies in a folder, page by page.
    List {
        /// The experiment's code.
        code: String,
        /// A folder below the experiment.
        #[arg(default_value = "")]
        folder: String,
        /// Go on after this name (the end of the page before).
        #[arg(long)]
        after: Option<String>,
        /// The most rows.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
    /// One file: checksum, last good check, what is inside, what happened to it.
    Show {
        /// The experiment's code.
        code: String,
        /// Its path below the experiment.
        path: String,
    },
    /// Files by path, format, variable, time, source or finding.
    Search(SearchArguments),
    /// How well the files are known and checked.
    Status {
        /// The experiment's code.
        code: String,
    },
}

/// Arguments of `octonas catalogue scan`.
#[derive(Debug, clap::Args)]
pub struct ScanArguments {
    /// The experiment's code.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub code: Option<String>,
    /// All experiments in service.
    #[arg(long)]
    pub all: bool,
    /// The most that is read in a second, like `50MB`.
    #[arg(long, value_name = "SIZE")]
    pub limit_rate: Option<String>,
    /// Do not look into what is new.
    #[arg(long)]
    pub no_probe: bool,
    /// Only say what would be read.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `octonas catalogue search`.
#[derive(Debug, clap::Args)]
pub struct SearchArguments {
    /// The experiment's code.
    pub code: String,
    /// A part of the path; with `*`, `?` or `[` a pattern for the whole path.
    pub text: Option<String>,
    /// The format, as the probe names it: `csv`, `netcdf` …
    #[arg(long)]
    pub format: Option<String>,
    /// The name of a variable or column.
    #[arg(long)]
    pub variable: Option<String>,
    /// Data of this day or later.
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Data of this day or earlier.
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// The source that delivered it.
    #[arg(long)]
    pub source: Option<String>,
    /// What is wrong with it: `damage`, `loss`, `silent-change`.
    #[arg(long)]
    pub finding: Option<String>,
    /// Go on after this path (the end of the page before).
    #[arg(long)]
    pub after: Option<String>,
    /// The most rows.
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
}

/// Runs a command.
pub fn run(desk: &Desk<'_>, command: &Command) -> Result<Exit> {
    match command {
        Command::Scan(arguments) => scan(desk, arguments),
        Command::List {
            code,
            folder,
            after,
            limit,
        } => {
            let page = catalogue::page(
                desk.site,
                &Code::parse(code)?,
                folder,
                after.as_deref(),
                *limit,
            )?;
            tell(desk, &page, shown_page)
        }
        Command::Show { code, path } => {
            let shown = catalogue::show(desk.site, &Code::parse(code)?, path)?;
            tell(desk, &shown, shown_file)
        }
        Command::Search(arguments) => {
            let wanted = Wanted {
                path: arguments.text.clone(),
                format: arguments.format.clone(),
                variable: arguments.variable.clone(),
                from: arguments.from.clone(),
                to: arguments.to.clone(),
                source: arguments.source.clone(),
                state: arguments.finding.clone(),
            };
            let code = Code::parse(&arguments.code)?;
            let after = arguments.after.as_deref();
            let page = catalogue::search(desk.site, &code, &wanted, after, arguments.limit)?;
            tell(desk, &page, shown_page)
        }
        Command::Status { code } => {
            let status = catalogue::integrity(desk.site, &Code::parse(code)?)?;
            tell(desk, &status, shown_status)?;
            Ok(if status.answer.ages.wrong > 0 {
                Exit::Drift
            } else {
                Exit::Done
            })
        }
    }
}

fn tell<T: serde::Serialize>(desk: &Desk<'_>, answer: &T, show: fn(&T) -> String) -> Result<Exit> {
    if desk.json {
        report::json(answer)?;
    } else {
        report::stdout(&show(answer))?;
    }
    Ok(Exit::Done)
}

/// Bytes a second, as people write them.
pub fn rate(text: Option<&str>) -> Result<Option<u64>> {
    Ok(text.map(Size::parse).transpose()?.map(Size::bytes))
}

fn scan(desk: &Desk<'_>, arguments: &ScanArguments) -> Result<Exit> {
    let code = arguments.code.as_deref().map(Code::parse).transpose()?;
    let options = Options {
        dry_run: arguments.dry_run,
        no_probe: arguments.no_probe,
        rate: rate(arguments.limit_rate.as_deref())?,
    };
    let all = catalogue::scan(desk.site, code.as_ref(), options)?;
    if desk.json {
        report::json(&all)?;
    } else {
        let text: String = all
            .iter()
            .map(|one| scanned(one, arguments.dry_run, code.is_some()))
            .collect();
        report::stdout(&text)?;
    }
    Ok(if all.iter().any(|one| one.error.is_some()) {
        Exit::Failed
    } else if all.iter().any(|one| !one.report.findings.is_empty()) {
        Exit::Drift
    } else {
        Exit::Done
    })
}

fn scanned(one: &Scanned, dry_run: bool, always: bool) -> String {
    let mut out = String::new();
    if let Some(why) = one
        .error
        .as_ref()
        .map(|error| format!("failed: {error}"))
        .or_else(|| one.skipped.as_ref().map(|why| format!("skipped: {why}")))
    {
        let _ = writeln!(out, "{}: {}", one.code, report::printable(&why));
        return out;
    }
    let did = &one.report;
    if always || did.changed() {
        let _ = write!(
            out,
            "{}: {} files ({} bytes)",
            one.code, did.files, did.bytes
        );
        for (count, what) in [
            (did.new, "new"),
            (did.changed, "changed"),
            (did.moved, "moved"),
            (did.gone, "gone"),
            (did.unstable, "being changed, left to the next scan"),
        ] {
            if count > 0 {
                let _ = write!(out, ", {count} {what}");
            }
        }
        let verb = if dry_run { "would be read" } else { "read" };
        let _ = writeln!(out, "; {} bytes {verb}", did.read_bytes);
    }
    for text in did.unreadable.iter().take(100) {
        let _ = writeln!(out, "warning: {}", report::printable(text));
    }
    out.push_str(&findings(&did.findings));
    out.push_str(&examined(one.examined.as_ref()));
    out
}

/// What the probe warned of in the content of files, a line each, of at most 100 files.
pub fn examined(examined: Option<&Examined>) -> String {
    let mut out = String::new();
    for noted in examined.iter().flat_map(|e| &e.files).take(100) {
        for finding in &noted.findings {
            if finding.severity > Severity::Note {
                let path = report::pathname(&noted.path);
                let (text, code) = (&finding.message, &finding.code);
                let (text, code) = (report::printable(text), report::printable(code));
                let _ = writeln!(out, "warning: {path}: {text} [{code}]");
            }
        }
    }
    out
}

/// What is wrong with files, a line each.
pub fn findings(all: &[crate::catalogue::scan::Finding]) -> String {
    let mut out = String::new();
    for finding in catalogue::listed(all) {
        let path = report::pathname(&finding.path);
        let _ = writeln!(
            out,
            "FOUND: {path}: {} [{}]",
            report::printable(&finding.text),
            finding.code
        );
    }
    if all.len() > 100 {
        let _ = writeln!(out, "and {} more (--json lists them)", all.len() - 100);
    }
    out
}

fn age<T>(answer: &Answer<T>) -> String {
    match (&answer.scanned, answer.age) {
        (Some(time), Some(seconds)) => format!("as of {time}, {}\n", ago(seconds)),
        _ => "no scan has come to its end yet\n".into(),
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s ago", seconds.max(0)),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn shown_page(page: &Answer<Page>) -> String {
    let found = &page.answer;
    let mut rows = vec![
        [
            "PATH", "BYTES", "CHANGED", "FORMAT", "CHECKED", "SHA-256", "",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for folder in &found.folders {
        let files = format!("{} files", folder.files);
        let path = format!("{}/", report::pathname(&folder.path));
        rows.push(vec![path, folder.bytes.to_string(), files]);
    }
    rows.extend(found.files.iter().map(row));
    let mut out = if rows.len() > 1 {
        report::table(&rows)
    } else {
        "nothing\n".into()
    };
    if let Some(next) = &found.next {
        let _ = writeln!(out, "more: --after '{}'", report::pathname(next));
    }
    out.push_str(&age(page));
    out
}

fn row(file: &File) -> Vec<String> {
    let short = |text: &Option<String>, length: usize| {
        text.as_deref()
            .map_or("-".to_owned(), |text| text.chars().take(length).collect())
    };
    let state = match (&file.state, file.sealed) {
        (Some(state), _) => state.to_uppercase(),
        (None, true) => "sealed".into(),
        (None, false) => String::new(),
    };
    vec![
        report::pathname(&file.path),
        file.size.to_string(),
        file.modified.clone(),
        short(&file.format, 20),
        short(&file.checked, 10),
        short(&file.sha256, 12),
        state,
    ]
}

fn shown_file(shown: &Answer<Shown>) -> String {
    let mut out = format!("{}\n", report::pathname(&shown.answer.path));
    if let Some(file) = &shown.answer.file {
        let mut rows = vec![
            vec!["bytes".to_owned(), file.size.to_string()],
            vec!["changed".into(), file.modified.clone()],
        ];
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                rows.push(vec![name.to_owned(), value]);
            }
        };
        add("SHA-256", file.sha256.clone());
        add("last good check", file.checked.clone());
        add("sealed", file.sealed.then(|| "yes".to_owned()));
        add("FOUND", file.state.clone());
        add("source", file.source.clone());
        add("format", file.format.clone());
        add(
            "covers",
            file.first
                .as_ref()
                .zip(file.last.as_ref())
                .map(|(first, last)| format!("{first} – {last}")),
        );
        out.push_str(&report::table(&rows));
    } else {
        out.push_str("it is not there any more\n");
    }
    for event in &shown.answer.history {
        let _ = write!(out, "{} {}", event.time, event.what);
        if let Some(other) = &event.other {
            let _ = write!(out, " to {}", report::pathname(other));
        }
        if let Some(sum) = &event.sha256 {
            let _ = write!(out, " ({sum})");
        }
        out.push('\n');
    }
    out.push_str(&age(shown));
    out
}

fn shown_status(status: &Answer<Integrity>) -> String {
    let ages = &status.answer.ages;
    let mut out = format!(
        "{} files ({} bytes), {} sealed\n",
        ages.files, ages.bytes, ages.sealed
    );
    let _ = writeln!(
        out,
        "last good check: {} within 30 days, {} within 90, {} within a year, {} older",
        ages.within_30_days, ages.within_90_days, ages.within_a_year, ages.older
    );
    if let Some(oldest) = &ages.oldest {
        let _ = writeln!(out, "the oldest: {oldest}");
    }
    for wrong in status.answer.findings.iter().take(100) {
        let since = wrong.since.as_deref().unwrap_or("an unknown time");
        let _ = writeln!(
            out,
            "FOUND: {}: since {since} [{}]",
            report::pathname(&wrong.path),
            wrong.code
        );
    }
    out.push_str(&age(status));
    out
}
