//! `octonas probe FILE` and `octonas probe CODE`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Desk;
use crate::catalogue::examine::{Examined, Options};
use crate::content::{Contents, DayFirst, Finding, Kind, Severity};
use crate::error::{Exit, Result};
use crate::experiment::Code;
use crate::provision::probe;
use crate::{report, settings};

/// Arguments of `octonas probe`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A file, or the code of an experiment: all its files that have changed since the last time. `./NAME` is always a file.
    #[arg(value_name = "FILE|CODE")]
    pub what: PathBuf,
    /// With a code: look again into files that have not changed.
    #[arg(long)]
    pub again: bool,
    /// With a code: only count what would be looked into.
    #[arg(long)]
    pub dry_run: bool,
}

impl Arguments {
    /// The experiment that is meant: a code that no file here is named by.
    fn code(&self, cwd: &Path) -> Option<Code> {
        let code = Code::parse(self.what.to_str()?).ok()?;
        (!settings::absolute(&self.what, cwd).is_file()).then_some(code)
    }

    /// True where a file is meant: no NAS is needed for it.
    pub fn is_file(&self, cwd: &Path) -> bool {
        self.code(cwd).is_none()
    }
}

/// Looks into one file.
pub fn file(arguments: &Arguments, cwd: &Path, json: bool) -> Result<Exit> {
    let contents = probe::file(&settings::absolute(&arguments.what, cwd))?;
    if json {
        report::json(&contents)?;
    } else {
        report::stdout(&shown(&contents))?;
    }
    let damaged = contents
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Ok(if damaged { Exit::Drift } else { Exit::Done })
}

/// Looks into the files of an experiment.
pub fn run(desk: &Desk<'_>, arguments: &Arguments) -> Result<Exit> {
    let Some(code) = arguments.code(desk.cwd) else {
        return file(arguments, desk.cwd, desk.json);
    };
    let options = Options {
        again: arguments.again,
        dry_run: arguments.dry_run,
    };
    let examined = probe::experiment(desk.site, &code, options)?;
    if desk.json {
        report::json(&examined)?;
    } else {
        report::stdout(&summary(&examined, arguments.dry_run))?;
    }
    Ok(if examined.errors > 0 {
        Exit::Drift
    } else {
        Exit::Done
    })
}

fn summary(examined: &Examined, dry_run: bool) -> String {
    let mut rows = vec![vec!["format".to_owned(), "files".to_owned()]];
    for (format, files) in &examined.formats {
        rows.push(vec![format.to_string(), files.to_string()]);
    }
    let mut out = if rows.len() > 1 {
        report::table(&rows)
    } else {
        String::new()
    };
    let verb = if dry_run {
        "would be looked into"
    } else {
        "looked into"
    };
    let _ = writeln!(
        out,
        "{} files {verb}, {} unchanged, {} skipped; {} errors, {} warnings, {} notes",
        examined.probed,
        examined.unchanged,
        examined.skipped,
        examined.errors,
        examined.warnings,
        examined.notes
    );
    for file in &examined.files {
        out.push_str(&report::printable(&file.path));
        out.push('\n');
        let grave = file.findings.iter().filter(|f| f.severity > Severity::Note);
        grave.for_each(|finding| out.push_str(&line(finding)));
    }
    out
}

fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "ERROR",
    };
    let message = report::printable(&finding.message);
    format!("  {severity}: {message} [{}]\n", finding.code)
}

fn shown(contents: &Contents) -> String {
    let mut out = format!(
        "{} ({}), {} bytes\n",
        contents.format, contents.media_type, contents.size
    );
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push(vec![name.to_owned(), value]);
    if let Some(logger) = &contents.logger {
        for (name, value) in [
            ("title", &logger.title),
            ("model", &logger.model),
            ("serial", &logger.serial),
            ("clock", &logger.utc_offset),
        ] {
            if let Some(value) = value {
                fact(name, value.clone());
            }
        }
    }
    if let Some(table) = &contents.table {
        let delimiter = match table.delimiter.as_str() {
            "\t" => "tab",
            "" => "none",
            other => other,
        };
        let mark = if table.bom { " with a mark" } else { "" };
        fact(
            "written",
            format!(
                "delimiter {delimiter}, decimal {}, {}{mark}, {}",
                table.decimal, table.encoding, table.line_ends
            ),
        );
        let header = table.header_line.map_or("no names".to_owned(), |line| {
            format!("names in line {line}")
        });
        fact(
            "table",
            format!(
                "{} rows, {} columns, {header}",
                table.rows, table.columns_total
            ),
        );
        if let Some(time) = &table.time {
            let order = match time.day_first {
                DayFirst::Yes => ", the day first",
                DayFirst::No => ", the month first",
                DayFirst::Ambiguous => ", day and month cannot be told apart",
                DayFirst::Irrelevant => "",
            };
            fact("time", format!("{} as {}{order}", time.column, time.format));
            if let Some(step) = time.step_seconds {
                let longest = time
                    .longest_gap_seconds
                    .map_or(String::new(), |gap| format!(", the longest of {gap} s"));
                fact("step", format!("{step} s, {} gaps{longest}", time.gaps));
            }
        }
    }
    if let Some(image) = &contents.image {
        fact("pixels", format!("{} x {}", image.width, image.height));
        if let Some(camera) = &image.camera {
            fact("camera", camera.clone());
        }
    }
    if let Some((first, last)) = contents.coverage() {
        fact("covers", format!("{first} to {last}"));
    }
    out.push_str(&report::table(&facts));
    out.push_str(&columns(contents));
    contents
        .findings
        .iter()
        .for_each(|finding| out.push_str(&line(finding)));
    out
}

/// The columns of a table, or the variables and attributes of a dataset.
fn columns(contents: &Contents) -> String {
    let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let mut out = String::new();
    if let Some(table) = &contents.table {
        let mut rows = vec![row(&["column", "unit", "kind", "missing", "min", "max"])];
        for column in &table.columns {
            let kind = match column.kind {
                Kind::Number => "number",
                Kind::Integer => "integer",
                Kind::Text => "text",
                Kind::Time => "time",
                Kind::Boolean => "boolean",
                Kind::Empty => "empty",
            };
            let end = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
            rows.push(row(&[
                &column.name,
                column.unit.as_deref().unwrap_or_default(),
                kind,
                &column.missing.to_string(),
                &end(column.min),
                &end(column.max),
            ]));
        }
        out.push_str(&report::table(&rows));
    }
    if let Some(dataset) = &contents.dataset {
        let mut rows = vec![row(&[
            "variable",
            "type",
            "dimensions",
            "units",
            "standard name",
        ])];
        for variable in &dataset.variables {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            rows.push(vec![
                variable.name.clone(),
                variable.kind.clone(),
                variable.dimensions.join(" "),
                text(&variable.units),
                text(&variable.standard_name),
            ]);
        }
        let dimensions = dataset.dimensions.iter();
        let dimensions: Vec<String> = dimensions
            .map(|d| {
                let grows = if d.unlimited { " (unlimited)" } else { "" };
                format!("{} = {}{grows}", report::printable(&d.name), d.length)
            })
            .collect();
        let _ = writeln!(out, "dimensions: {}", dimensions.join(", "));
        out.push_str(&report::table(&rows));
        let attributes: Vec<Vec<String>> = dataset
            .attributes
            .iter()
            .map(|a| vec![a.name.clone(), a.value.replace('\n', " ")])
            .collect();
        out.push_str(&report::table(&attributes));
    }
    out
}
