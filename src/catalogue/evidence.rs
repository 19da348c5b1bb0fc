//! Whether the evidence of an experiment is whole, a copy of it that needs none of our software, and the index made again.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::experiment::ExperimentId;
use crate::store::baseline::{self, Baseline};
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::entries::hex;
use crate::store::chain;
use crate::store::checks::Checks;
use crate::store::ledger::{self, Ledger};
use crate::store::pathname;
use crate::sys::dir::Dir;
use crate::sys::process;

/// The most findings about the index that are listed.
const LISTED: usize = 100;
/// How many lines are compared together.
const PIECE: usize = 4000;
/// What the ledger has of the ends of the chains.
pub const BASELINE_HEAD: &str = "baseline";
/// See [`BASELINE_HEAD`].
pub const CHECKS_HEAD: &str = "checks";

/// What a check of the evidence came to.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    /// The lines of the baseline.
    pub baseline: chain::Verified,
    /// The lines of the checks.
    pub checks: chain::Verified,
    /// The lines of the ledger of the base.
    pub ledger: chain::Verified,
    /// How many ends of chains, written down in the ledger, were found where they should be.
    pub anchors: u64,
    /// Ends that are not: lines were taken away or exchanged.
    pub broken: Vec<String>,
    /// Where the index differs from the evidence; `evidence rebuild` sets it right.
    pub index: Vec<String>,
}

impl Checked {
    /// True where the evidence is not whole. A wrong index alone is no loss.
    pub fn is_damaged(&self) -> bool {
        let chains = [&self.baseline, &self.checks, &self.ledger];
        chains.iter().any(|chain| !chain.findings.is_empty()) || !self.broken.is_empty()
    }
}

/// An end of a chain, as the ledger writes it: number and checksum of the last line.
pub fn anchor(head: &(u64, String)) -> String {
    format!("{} {}", head.0, head.1)
}

/// Checks the evidence, and the index against it. Changes nothing.
pub fn check(base: &Dir, id: &ExperimentId) -> Result<Checked> {
    let mut checked = Checked {
        ledger: Ledger::open(base)?.verify()?,
        ..Checked::default()
    };
    let baseline = Baseline::existing(base, id)?;
    let checks = Checks::existing(base, id)?;
    if let Some(baseline) = &baseline {
        checked.baseline = baseline.verify()?;
    }
    if let Some(checks) = &checks {
        checked.checks = checks.verify()?;
    }
    let mut anchors: Vec<(String, String)> = Vec::new();
    Ledger::open(base)?.read(|entry| {
        if entry.event.experiment == id.to_string()
            && !ledger::lane(&entry.event.operation).is_empty()
        {
            for name in [BASELINE_HEAD, CHECKS_HEAD] {
                if let Some(value) = entry.event.detail.get(name) {
                    // The newest of each is enough: every line is bound to those before.
                    anchors.retain(|(known, _)| known != name);
                    anchors.push((name.to_owned(), value.clone()));
                }
            }
        }
        true
    })?;
    for (name, value) in anchors {
        let (seq, sum) = value.split_once(' ').unwrap_or(("", ""));
        let seq: u64 = seq.parse().unwrap_or(0);
        let found = match (name.as_str(), &baseline, &checks) {
            (_, _, _) if seq == 0 => None,
            (BASELINE_HEAD, Some(baseline), _) => baseline.sum_of(seq)?,
            (CHECKS_HEAD, _, Some(checks)) => checks.sum_of(seq)?,
            _ => None,
        };
        if found.as_deref() == Some(sum) || seq == 0 {
            checked.anchors += 1;
        } else {
            checked.broken.push(format!(
                "the ledger says that line {seq} of {name} ends in {sum:.12}…; it is {}",
                found.map_or("not there".to_owned(), |found| format!("{found:.12}…"))
            ));
        }
    }
    if let Some(index) = Catalogue::existing(base, id)? {
        checked.index = index.damage()?;
        if checked.index.is_empty()
            && let Some(baseline) = &baseline
        {
            compare(&index, baseline, &mut checked.index)?;
        }
    }
    Ok(checked)
}

/// Every line that the index refers to must say the same there.
fn compare(index: &Catalogue, baseline: &Baseline, wrong: &mut Vec<String>) -> Result<()> {
    let mut piece: Vec<baseline::Entry> = Vec::with_capacity(PIECE);
    let mut result = Ok(());
    let mut look = |piece: &mut Vec<baseline::Entry>| -> Result<()> {
        process::check_interrupted()?;
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else {
            return Ok(());
        };
        let marks = index.marks(first.seq, last.seq)?;
        for entry in piece.drain(..) {
            let Some((path, sum)) = marks.get(&entry.seq) else {
                continue;
            };
            let same =
                *path == entry.mark.path && sum.is_some_and(|sum| hex(&sum) == entry.mark.sha256);
            if !same && wrong.len() < LISTED {
                wrong.push(format!(
                    "{path} is not as line {} of the baseline says",
                    entry.seq
                ));
            }
        }
        Ok(())
    };
    baseline.read_after(0, |entry| {
        piece.push(entry);
        if piece.len() == PIECE {
            result = look(&mut piece);
        }
        result.is_ok()
    })?;
    result?;
    look(&mut piece)
}

/// What a copy holds.
#[derive(Debug, Default, Serialize)]
pub struct Exported {
    /// Where it is.
    pub path: String,
    /// Files that have a line in `SHA256SUMS`.
    pub files: u64,
    /// Lines of the ledger that are about the experiment.
    pub ledger: u64,
}

/// Writes a copy of the evidence into an empty directory: `baseline/`, `checks/`, `ledger.jsonl`, and `SHA256SUMS`, with which
/// `sha256sum -c` in the experiment's directory tells whether its files are what they should be.
pub fn export(base: &Dir, id: &ExperimentId, into: &Dir) -> Result<Exported> {
    if into.iterate()?.next().is_some() {
        return Err(Error::new(
            "path.not-empty",
            format!("{} is not empty", into.path().display()),
        )
        .hint("name a new directory"));
    }
    let mut exported = Exported {
        path: into.path().display().to_string(),
        ..Exported::default()
    };
    if let Some(baseline) = Baseline::existing(base, id)? {
        copy(baseline.dir(), &baseline.segments()?, into, "baseline")?;
    }
    if let Some(checks) = Checks::existing(base, id)? {
        copy(checks.dir(), &checks.segments()?, into, "checks")?;
    }
    let mut text = Vec::new();
    let mut result = Ok(());
    Ledger::open(base)?.read(|entry| {
        if entry.event.experiment == id.to_string() {
            exported.ledger += 1;
            result = serde_json::to_writer(&mut text, &entry).map_err(|e| {
                Error::new("output.failed", "cannot encode a record as JSON").source(e)
            });
            text.push(b'\n');
        }
        if result.is_ok() && text.len() > 4 << 20 {
            result = into.append("ledger.jsonl", &text);
            text.clear();
        }
        result.is_ok()
    })?;
    result?;
    into.append("ledger.jsonl", &text)?;
    if let Some(index) = Catalogue::existing(base, id)? {
        exported.files = sums(&index, into)?;
    }
    into.sync()?;
    Ok(exported)
}

fn copy(from: &Dir, names: &[String], into: &Dir, name: &str) -> Result<()> {
    use std::io::Read as _;
    into.create_dir(name, 0o700)?;
    let to = into.existing(name)?;
    for name in names {
        let Some(node) = from.node_at(name)? else {
            continue;
        };
        let mut piece = vec![0; 4 << 20];
        loop {
            process::check_interrupted()?;
            let read = node.file().read(&mut piece).map_err(|e| {
                Error::new(
                    "evidence.unreadable",
                    format!("cannot read {}", node.path().display()),
                )
                .source(e)
            })?;
            if read == 0 {
                break;
            }
            to.append(name, &piece[..read])?;
        }
    }
    Ok(())
}

fn sums(index: &Catalogue, into: &Dir) -> Result<u64> {
    let (mut text, mut files, mut result) = (Vec::new(), 0, Ok(()));
    index.each(|row| {
        if let Some(sum) = &row.sha256 {
            files += 1;
            sum_line(&mut text, sum, pathname::path(&row.path));
        }
        if text.len() > 4 << 20 {
            result = into
                .append("SHA256SUMS", &text)
                .and_then(|()| process::check_interrupted());
            text.clear();
        }
        result.is_ok()
    })?;
    result?;
    into.append("SHA256SUMS", &text)?;
    Ok(files)
}

/// A line of sha256sum(1), which begins with a backslash where the name had to be escaped.
fn sum_line(text: &mut Vec<u8>, sum: &str, path: impl AsRef<Path>) {
    use std::os::unix::ffi::OsStrExt as _;
    let name = path.as_ref().as_os_str().as_bytes();
    let odd = name
        .iter()
        .any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if odd {
        text.push(b'\\');
    }
    text.extend(sum.as_bytes());
    text.extend(b"  ");
    for byte in name {
        match byte {
            b'\\' if odd => text.extend(b"\\\\"),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            other => text.push(*other),
        }
    }
    text.push(b'\n');
}

/// What making the index again came to.
#[derive(Debug, Default, Serialize)]
pub struct Rebuilt {
    /// Lines of the evidence.
    pub lines: u64,
    /// Files that the index has now.
    pub files: u64,
}

/// Makes the index again from the evidence. Killed, the next scan goes on with it. Only under the lock of the experiment.
pub fn rebuild(base: &Dir, id: &ExperimentId) -> Result<Rebuilt> {
    let mut index = Catalogue::open(base, id)?;
    match index.damage() {
        Ok(damage) if damage.is_empty() => index.forget()?,
        _ => {
            drop(index);
            Catalogue::set_aside(base, id)?;
            index = Catalogue::open(base, id)?;
        }
    }
    let lines = index.catch_up(&Baseline::open(base, id)?, &Checks::open(base, id)?)?;
    index.tidy()?;
    Ok(Rebuilt {
        lines,
        files: index.count()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_strange_name_is_what_sha256sum_prints() {
        let mut text = Vec::new();
        sum_line(&mut text, "ab", "raw/a b.csv");
        sum_line(&mut text, "ab", "raw/a\\b\nc");
        assert_eq!(text, b"ab  raw/a b.csv\n\\ab  raw/a\\\\b\\nc\n");
    }
}
