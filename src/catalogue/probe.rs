//! The parent's side of `octonas-probe`: one open file goes in, one line of JSON comes back, and nothing of it is
//! believed before it was checked. That the probe crashed, took too long or talked nonsense is a finding about the
//! file; only that it could not be started or could not confine itself is an error of ours.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::content::{self, Contents, Format, Severity};
use crate::error::{Error, Result};
use crate::sys::command::{Command, Output, Program};
use crate::sys::dir::Node;

/// How much longer than the probe its parent waits.
const GRACE: Duration = Duration::from_secs(15);

/// The exit code of a probe that could not confine itself.
const UNCONFINED: i32 = 71;

/// The most of anything that an answer may have, and the longest text in it, in bytes.
const MOST: usize = 4000;
const LONGEST: usize = 2000;

/// Looks into a file.
pub fn probe(node: &Node) -> Result<Contents> {
    let size = node.metadata()?.size;
    let file = node
        .file()
        .try_clone()
        .map_err(|e| Error::new("probe.failed", "cannot hand the file to the probe").source(e))?;
    let patience = Duration::from_secs(content::patience(size)) + GRACE;
    match Command::new(Program::Probe)
        .file(file)
        .within(patience)
        .output()
    {
        Ok(output) => judge(&output, size),
        Err(error) if error.code() == "command.timeout" => Ok(unknown(
            size,
            "probe.timeout",
            "looking into the file took too long",
        )),
        Err(error) => Err(error),
    }
}

/// What to make of what a probe left behind.
fn judge(output: &Output, size: u64) -> Result<Contents> {
    if output.code == Some(UNCONFINED) {
        let said = output.last_error_line().unwrap_or_default();
        return Err(Error::new(
            "probe.unconfined",
            format!("the probe looked at nothing: {said}"),
        )
        .hint("the kernel must have seccomp; in a container, allow it"));
    }
    if let Some(signal) = output.signal {
        let (code, message) = match Signal::try_from(signal) {
            Ok(Signal::SIGBUS) => (
                "file.shrank",
                "the file became shorter while it was read, or its disk failed",
            ),
            Ok(Signal::SIGALRM | Signal::SIGXCPU) => {
                ("probe.timeout", "looking into the file took too long")
            }
            Ok(Signal::SIGSYS) => (
                "probe.forbidden",
                "the file made the probe ask for what it must not have",
            ),
            Ok(Signal::SIGKILL) => (
                "probe.killed",
                "the probe was killed, perhaps because memory ran out",
            ),
            _ => ("probe.crashed", "the file made the probe crash"),
        };
        return Ok(unknown(size, code, message));
    }
    if output.code != Some(0) {
        return Ok(unknown(
            size,
            "probe.crashed",
            "the file made the probe fail",
        ));
    }
    let answer = match output.stdout.split_last() {
        Some((b'\n', line)) if !output.truncated && !line.contains(&b'\n') => line,
        _ => &[],
    };
    match serde_json::from_slice::<Contents>(answer) {
        Ok(contents) if is_sane(&contents) => Ok(contents),
        _ => Ok(unknown(
            size,
            "probe.nonsense",
            "the file made the probe talk nonsense",
        )),
    }
}

/// A file of which nothing is known but a finding.
fn unknown(size: u64, code: &str, message: &str) -> Contents {
    let mut contents = Contents::new(Format::Binary, size);
    contents.find(Severity::Error, code, message);
    contents
}

/// An answer that a sound probe could give. Whatever else it says is text, and is escaped where it is shown.
fn is_sane(contents: &Contents) -> bool {
    let short = |text: &str| text.len() <= LONGEST;
    let short_one = |text: &Option<String>| text.as_deref().is_none_or(short);
    let code = |text: &str| {
        (3..=40).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
    };
    let instant = |text: &Option<String>| {
        text.as_deref().is_none_or(|text| {
            text.len() <= 40
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b"-+:.TZ".contains(&b))
        })
    };
    let table = contents.table.as_ref().is_none_or(|table| {
        table.columns.len() <= MOST
            && [
                &table.delimiter,
                &table.decimal,
                &table.encoding,
                &table.line_ends,
            ]
            .iter()
            .all(|text| text.len() <= 20)
            && table
                .columns
                .iter()
                .all(|column| short(&column.name) && short_one(&column.unit))
            && table.time.as_ref().is_none_or(|time| {
                short(&time.column)
                    && short(&time.format)
                    && instant(&time.first)
                    && instant(&time.last)
            })
    });
    let dataset = contents.dataset.as_ref().is_none_or(|dataset| {
        dataset.variables.len() <= MOST
            && dataset.dimensions.len() <= MOST
            && dataset.attributes.len() <= MOST
            && dataset.dimensions.iter().all(|d| short(&d.name))
            && dataset
                .attributes
                .iter()
                .all(|a| short(&a.name) && short(&a.value))
            && dataset.variables.iter().all(|v| {
                short(&v.name)
                    && short(&v.kind)
                    && v.dimensions.iter().all(|d| short(d))
                    && [&v.units, &v.standard_name, &v.long_name]
                        .into_iter()
                        .all(short_one)
            })
            && instant(&dataset.time_first)
            && instant(&dataset.time_last)
    });
    let image = contents
        .image
        .as_ref()
        .is_none_or(|image| instant(&image.taken) && short_one(&image.camera));
    let logger = contents.logger.as_ref().is_none_or(|logger| {
        [
            &logger.title,
            &logger.model,
            &logger.serial,
            &logger.utc_offset,
        ]
        .into_iter()
        .all(short_one)
    });
    contents.media_type == contents.format.media_type()
        && contents.findings.len() <= MOST
        && contents
            .findings
            .iter()
            .all(|finding| code(&finding.code) && short(&finding.message))
        && table
        && dataset
        && image
        && logger
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(code: Option<i32>, signal: Option<Signal>, stdout: &[u8]) -> Output {
        Output {
            code,
            signal: signal.map(|s| s as i32),
            stdout: stdout.to_vec(),
            stderr: b"octonas-probe: cannot confine itself: seccomp\n".to_vec(),
            truncated: false,
        }
    }

    fn line(contents: &Contents) -> Vec<u8> {
        let mut line = serde_json::to_vec(contents).unwrap();
        line.push(b'\n');
        line
    }

    #[test]
    fn whatever_happens_to_a_probe_is_a_finding_about_the_file() {
        for (output, code) in [
            (left(None, Some(Signal::SIGBUS), b""), "file.shrank"),
            (left(None, Some(Signal::SIGALRM), b""), "probe.timeout"),
            (left(None, Some(Signal::SIGXCPU), b""), "probe.timeout"),
            (left(None, Some(Signal::SIGSYS), b""), "probe.forbidden"),
            (left(None, Some(Signal::SIGKILL), b""), "probe.killed"),
            (left(None, Some(Signal::SIGSEGV), b""), "probe.crashed"),
            (left(Some(101), None, b""), "probe.crashed"),
            (left(Some(0), None, b""), "probe.nonsense"),
            (left(Some(0), None, b"{}\n"), "probe.nonsense"),
            (left(Some(0), None, b"hello\n{}\n"), "probe.nonsense"),
        ] {
            let contents = judge(&output, 7).unwrap();
            assert_eq!(contents.findings[0].code, code);
            assert_eq!((contents.format, contents.size), (Format::Binary, 7));
        }
    }

    #[test]
    fn a_probe_that_is_not_confined_is_an_error_of_ours() {
        let error = judge(&left(Some(UNCONFINED), None, b""), 7).unwrap_err();
        assert_eq!(error.code(), "probe.unconfined");
        assert!(error.message().contains("seccomp"));
    }

    #[test]
    fn an_answer_is_believed_only_where_a_sound_probe_could_give_it() {
        let good = Contents::new(Format::Csv, 7);
        let judged = |contents: &Contents| judge(&left(Some(0), None, &line(contents)), 7).unwrap();
        assert_eq!(judged(&good), good);
        let mut bad = good.clone();
        bad.media_type = "text/html".into();
        assert_eq!(judged(&bad).findings[0].code, "probe.nonsense");
        let mut bad = good.clone();
        bad.find(Severity::Note, "A CODE", "x");
        assert_eq!(judged(&bad).findings[0].code, "probe.nonsense");
        let mut bad = good.clone();
        bad.find(Severity::Note, "csv.ragged", "x".repeat(LONGEST + 1));
        assert_eq!(judged(&bad).findings[0].code, "probe.nonsense");
        let mut bad = good;
        bad.image = Some(content::Image {
            width: 1,
            height: 1,
            taken: Some("<script>".into()),
            camera: None,
        });
        assert_eq!(judged(&bad).findings[0].code, "probe.nonsense");
    }
}
