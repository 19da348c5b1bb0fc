//! A package from beginning to end: written beside its place, read again and verified, then named.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::age::{self, Recipient};
use super::algorithm::Algorithm;
use super::bag::{Bag, Written};
use super::finding::Findings;
use super::output::{Output, broken, reread};
use super::sink::Sink;
use super::tarball::Tarball;
use super::tree::Tree;
use super::verify;
use super::zipped::Zipped;
use crate::error::{Error, Result};
use crate::report::Progress;
use crate::sys::dir::{Dir, Fresh, Permissions};
use crate::sys::fault;

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A directory.
    Dir,
    /// A tar in Zstandard.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// A zip.
    Zip,
}

impl Format {
    /// `dir`, `tar.zst`, `zip`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "dir" => Ok(Self::Dir),
            "tar.zst" => Ok(Self::TarZst),
            "zip" => Ok(Self::Zip),
            _ => Err(Error::new(
                "package.format",
                format!(
                    "a package is not written as {}",
                    crate::experiment::text::quote(text)
                ),
            )
            .hint("`dir`, `tar.zst` or `zip`")
            .field("format")),
        }
    }

    /// How names of such packages end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Dir => "",
            Self::TarZst => ".tar.zst",
            Self::Zip => ".zip",
        }
    }
}

/// How a package is written.
#[derive(Debug, Clone)]
pub struct Style {
    /// What it is.
    pub format: Format,
    /// For whom it is encrypted; nobody means that it is not.
    pub recipients: Vec<Recipient>,
    /// How hard Zstandard tries, 1 to 19.
    pub level: i32,
    /// The directory in a container that holds everything.
    pub top: String,
}

/// A package that was written.
#[derive(Debug, Default)]
pub struct Made {
    /// What the bag came to.
    pub written: Written,
    /// SHA-256 of a container.
    pub sha256: Option<String>,
    /// Bytes of a container.
    pub size: Option<u64>,
    /// Seconds until it was written and on the disk.
    pub writing: f64,
    /// Seconds until it was read again.
    pub verifying: f64,
}

/// Writes a bag to `name` in `place`; nothing has the name before all of it was read again. `permissions` are those of a
/// container.
pub fn make(
    bag: Bag<'_>,
    style: &Style,
    place: &Dir,
    name: &OsStr,
    permissions: &Permissions,
    progress: &dyn Progress,
) -> Result<Made> {
    if place.stat(name)?.is_some() {
        return Err(Error::new(
            "path.exists",
            format!("{} exists already", place.path_of(name).display()),
        )
        .hint("choose another name, or remove it"));
    }
    if style.format == Format::Dir {
        if !style.recipients.is_empty() {
            return Err(
                Error::new("package.format", "a directory cannot be encrypted")
                    .hint("--format tar.zst or zip")
                    .field("format"),
            );
        }
        return tree(bag, place, name, progress);
    }
    if !style.recipients.is_empty() {
        age::installed()?;
    }
    let start = Instant::now();
    let output = Output::new(place, &style.recipients)?;
    let (written, output) = match style.format {
        Format::Zip => {
            let mut zip = Zipped::new(output, &style.top);
            (bag.write(&mut zip, progress)?, zip.finish()?)
        }
        _ => compressed(&bag, style, output, progress)?,
    };
    // What was packed is not needed any more; what lies there is judged by itself.
    drop(bag);
    let (fresh, sum) = output.finish()?;
    let writing = start.elapsed().as_secs_f64();
    fault::point("package.written")?;
    let start = Instant::now();
    reread(fresh.file(), &sum)?;
    if style.recipients.is_empty() {
        check(&fresh, sum.size, &written, progress)?;
    }
    let verifying = start.elapsed().as_secs_f64();
    fault::point("package.verified")?;
    fresh.name(name, permissions)?;
    Ok(Made {
        written,
        sha256: sum.hex(Algorithm::Sha256),
        size: Some(sum.size),
        writing,
        verifying,
    })
}

/// A tar through as many threads of Zstandard as there are processors. What comes out does not depend on how many those are.
fn compressed(
    bag: &Bag<'_>,
    style: &Style,
    output: Output,
    progress: &dyn Progress,
) -> Result<(Written, Output)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut encoder = zstd::Encoder::new(output, style.level).map_err(broken)?;
    encoder
        .multithread(u32::try_from(threads).unwrap_or(1))
        .and_then(|()| encoder.include_checksum(true))
        .map_err(broken)?;
    let mut tar = Tarball::new(encoder, &style.top);
    let written = bag.write(&mut tar, progress)?;
    let mut output = tar.finish()?.finish().map_err(broken)?;
    output.flush().map_err(broken)?;
    Ok((written, output))
}

/// What was written is a valid bag, in the very words of `package verify`.
fn check(fresh: &Fresh, size: u64, written: &Written, progress: &dyn Progress) -> Result<()> {
    let mut findings = Findings::default();
    let limit = written.bytes.saturating_mul(2).saturating_add(1 << 30);
    let options = verify::Options {
        max_size: Some(limit),
        ..verify::Options::default()
    };
    let file = fresh
        .file()
        .try_clone()
        .map_err(|e| Error::new("file.failed", "cannot open the package again").source(e))?;
    let said = verify::container(&file, size, false, &options, progress, &mut findings)?;
    sound(&said, written, &findings)
}

fn sound(said: &super::seen::Said, written: &Written, findings: &Findings) -> Result<()> {
    let is_same = said.manifest.as_deref() == Some(&written.manifest)
        && (said.files, said.bytes) == (written.files, written.bytes);
    if findings.is_valid() && is_same {
        return Ok(());
    }
    let first = findings
        .found
        .iter()
        .find(|finding| finding.severity == super::finding::Severity::Error);
    let why = first.map_or("it is another bag".to_owned(), |finding| {
        format!("{} {}", finding.path, finding.message)
    });
    Err(Error::new(
        "package.corrupt",
        format!("what was written is not what the disk gives back: {why}"),
    )
    .hint(
        "the disk, its controller or the memory is failing: see the system log, use another disk",
    ))
}

fn tree(bag: Bag<'_>, place: &Dir, name: &OsStr, progress: &dyn Progress) -> Result<Made> {
    let own = place.own_tree(name)?;
    let made = grow(bag, own.dir(), progress);
    match made {
        Ok(made) => {
            own.name(name)?;
            Ok(made)
        }
        Err(error) => {
            // What is left is removed by the next run too.
            let _ = own.discard();
            Err(error)
        }
    }
}

fn grow(bag: Bag<'_>, dir: &Dir, progress: &dyn Progress) -> Result<Made> {
    let start = Instant::now();
    let mut tree = Tree::new(dir);
    let written = bag.write(&mut tree as &mut dyn Sink, progress)?;
    tree.finish()?;
    drop(bag);
    let writing = start.elapsed().as_secs_f64();
    fault::point("package.written")?;
    let start = Instant::now();
    let options = verify::Options {
        cold: true,
        ..verify::Options::default()
    };
    let mut findings = Findings::default();
    let said = verify::directory(dir, &options, progress, &mut findings)?;
    sound(&said, &written, &findings)?;
    fault::point("package.verified")?;
    Ok(Made {
        written,
        writing,
        verifying: start.elapsed().as_secs_f64(),
        ..Made::default()
    })
}

/// The directory and the name of a package that was asked for: a directory that is there gets one of the name `default`.
pub fn place(out: &Path, default: &str) -> Result<(Dir, std::ffi::OsString)> {
    if let Ok(dir) = Dir::open_absolute(out) {
        return Ok((dir, default.into()));
    }
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else {
        return Err(Error::new(
            "path.missing",
            format!("{} is no place for a package", out.display()),
        ));
    };
    Ok((Dir::open_absolute(parent)?, name.to_owned()))
}
