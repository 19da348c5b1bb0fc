//! The package of an experiment: what it says of itself, what goes with the data, and how it is written.

mod about;

use std::fmt::Write as _;
use std::path::Path;
use std::rc::Rc;

use jiff::Timestamp;
use serde::Serialize;

use super::site::{self, Opened, Site};
use super::{dmp, documents};
use crate::error::{Error, Result};
use crate::experiment::{Code, Definition, ExperimentId, Language, Status};
use crate::package::about::About;
use crate::package::age::Recipient;
use crate::package::algorithm::Algorithm;
use crate::package::bag::Bag;
use crate::package::container::{self, Format, Made, Style};
use crate::package::content::Content;
use crate::package::gather::{self, Gathered};
use crate::package::marks::Marks;
use crate::package::path;
use crate::package::pick::Pattern;
use crate::package::ro_crate::{self, Part, Version};
use crate::store::baseline::Baseline;
use crate::store::definition;
use crate::store::ledger::{Ledger, Outcome};
use crate::sys::dir::{Dir, Permissions};

use about::{about, info};

pub use about::public;

/// The tag directory of ours in a bag.
pub const OURS: &str = "octonas";
/// In it: the empty directories.
pub const FOLDERS: &str = "octonas/folders.txt";
/// In it: the names that are not UTF-8.
pub const NAMES: &str = "octonas/names.jsonl";
/// In it: the segments of the baseline.
pub const BASELINE: &str = "octonas/baseline/";
/// In it: what is only part of an experiment.
pub const PARTIAL: &str = "octonas/partial.txt";

/// The operations of the ledger that a package tells.
const HISTORY: [&str; 7] = [
    "create", "edit", "close", "reopen", "remove", "adopt", "import",
];

/// How to package.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub struct Options {
    /// What comes out.
    pub format: Format,
    /// Which files; nothing means all.
    pub only: Vec<Pattern>,
    /// SHA-512 beside SHA-256.
    pub sha512: bool,
    /// For whom it is encrypted, beside the unit's own recipients.
    pub recipients: Vec<Recipient>,
    /// Encrypt it for the unit's own recipients.
    pub encrypt: bool,
    /// Take files that differ from their baseline.
    pub allow_changed: bool,
    /// Of the RO-Crate.
    pub ro_crate: Version,
    /// How hard Zstandard tries.
    pub level: i32,
    /// Only say what would go into it.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::TarZst,
            only: Vec::new(),
            sha512: false,
            recipients: Vec::new(),
            encrypt: false,
            allow_changed: false,
            ro_crate: Version::default(),
            level: 3,
            dry_run: false,
        }
    }
}

/// A package that was written, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct Packaged {
    /// Of the experiment.
    pub code: String,
    /// Where it lies.
    pub path: String,
    /// What it is.
    pub format: Format,
    /// For whom it is encrypted.
    pub recipients: Vec<Recipient>,
    /// Payload files.
    pub files: u64,
    /// Bytes of the payload.
    pub bytes: u64,
    /// Bytes of a container.
    pub size: Option<u64>,
    /// SHA-256 of a container.
    pub sha256: Option<String>,
    /// SHA-256 of its manifest.
    pub manifest: String,
    /// Files that differ from their baseline and were taken all the same.
    pub changed: Vec<String>,
    /// What is no file: links, devices.
    pub left_out: Vec<String>,
    /// Files that have another name in it, because theirs is not UTF-8.
    pub renamed: Vec<String>,
    /// Files whose names make trouble elsewhere.
    pub peculiar: Vec<String>,
    /// Its manifest with SHA-256.
    #[serde(skip)]
    pub listing: String,
    /// Seconds until it was on the disk.
    pub writing: f64,
    /// Seconds until it was read again.
    pub verifying: f64,
}

/// Packages an experiment into `out` (absolute): a file or directory that is not there yet, or a directory that gets one.
pub fn create(site: &Site, code: &Code, out: &Path, options: &Options) -> Result<Packaged> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let recipients = recipients(site, options)?;
    let name = default_name(site, &opened, options.format, !recipients.is_empty());
    let (place, name) = container::place(out, &name)?;
    if place.path_of(&name).starts_with(opened.path()) {
        return Err(Error::new(
            "package.inside",
            "a package cannot lie in the experiment that goes into it",
        )
        .hint("name another directory")
        .field("out"));
    }
    if !options.dry_run {
        refresh(site, code, &opened)?;
    }
    let packaged = pack(site, &opened, &place, &name, options, &recipients)?;
    if !options.dry_run {
        let mut detail = vec![
            ("code", code.to_string()),
            ("manifest", packaged.manifest.clone()),
            ("files", packaged.files.to_string()),
            ("bytes", packaged.bytes.to_string()),
        ];
        if let Some(sum) = &packaged.sha256 {
            detail.push(("sha256", sum.clone()));
        }
        if !packaged.changed.is_empty() {
            detail.push(("changed", packaged.changed.len().to_string()));
        }
        site.record(
            &opened.base,
            &opened.id(),
            "package",
            Outcome::Done,
            &detail,
        )?;
    }
    Ok(packaged)
}

/// Documents and plan say what is true today.
pub(super) fn refresh(site: &Site, code: &Code, opened: &Opened) -> Result<()> {
    if matches!(opened.definition.status, Status::Removed) {
        return Ok(());
    }
    documents::build(site, code, false)?;
    dmp::build(site, code, None, false, false)?;
    Ok(())
}

/// `eco-2026_2026-11-21.tar.zst.age`
pub(super) fn default_name(site: &Site, opened: &Opened, format: Format, sealed: bool) -> String {
    let mut name = format!("{}_{}", opened.definition.code, site.today.get());
    name.push_str(format.extension());
    if sealed {
        name.push_str(".age");
    }
    name
}

/// For whom a package is encrypted: those who were named and the unit's own, so that the unit can always open it.
pub(super) fn recipients(site: &Site, options: &Options) -> Result<Vec<Recipient>> {
    if options.recipients.is_empty() && !options.encrypt {
        return Ok(Vec::new());
    }
    let mut all = options.recipients.clone();
    all.extend(unit_recipients(site)?);
    all.sort();
    all.dedup();
    if all.is_empty() {
        return Err(Error::new("age.recipients", "nobody is named to encrypt for")
            .hint("--recipient age1…, or `encryption: { recipients: { unit: age1…, escrow: age1… } }` in /etc/octonas/octonas.yaml"));
    }
    Ok(all)
}

/// The unit's own recipients.
pub fn unit_recipients(site: &Site) -> Result<Vec<Recipient>> {
    let keys = site.encryption.recipients.iter();
    keys.map(|(name, key)| {
        Recipient::parse(key).map_err(|error| error.field(format!("encryption.recipients.{name}")))
    })
    .collect()
}

/// Writes the package of an open experiment.
pub(super) fn pack(
    site: &Site,
    opened: &Opened,
    place: &Dir,
    name: &std::ffi::OsStr,
    options: &Options,
    recipients: &[Recipient],
) -> Result<Packaged> {
    let facts = documents::facts(site, opened, documents::Probing::Never)?;
    let gathered = Rc::new(gather::gather(&opened.dir, &options.only)?);
    let about = about(&facts, &opened.id());
    let mut algorithms = vec![Algorithm::Sha256];
    if options.sha512 {
        algorithms.push(Algorithm::Sha512);
    }
    let names = gathered.items.iter().map(|item| &*item.path);
    let peculiar = names
        .filter_map(|name| Some(format!("{name}: {}", path::peculiar(name)?)))
        .take(100)
        .collect();
    let left_out = gathered
        .left_out
        .iter()
        .map(|(path, what)| format!("{path} ({what})"))
        .collect();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let renamed = gathered
        .renamed
        .iter()
        .map(|(_, name)| lossy(name))
        .collect();
    let bag = Bag {
        experiment: &opened.dir,
        info: info(&about),
        made: made(about, &gathered, &opened.definition, options.ro_crate)?,
        tags: tags(opened, &gathered, options)?,
        algorithms: &algorithms,
        baseline: marks(&opened.base.dir, &opened.identity()?)?,
        allow_changed: options.allow_changed,
        when: midnight(&facts.today),
        gathered,
    };
    let (files, bytes) = bag.extent();
    let made = if options.dry_run {
        let mut made = Made::default();
        (made.written.files, made.written.bytes) = (files, bytes);
        made
    } else {
        let style = Style {
            format: options.format,
            recipients: recipients.to_vec(),
            level: options.level,
            top: opened.definition.code.to_string(),
        };
        container::make(
            bag,
            &style,
            place,
            name,
            &Permissions::PRIVATE,
            site.progress.as_ref(),
        )?
    };
    Ok(Packaged {
        code: opened.definition.code.to_string(),
        path: place.path_of(name).display().to_string(),
        format: options.format,
        recipients: recipients.to_vec(),
        files: made.written.files,
        bytes: made.written.bytes,
        size: made.size,
        sha256: made.sha256,
        manifest: made.written.manifest,
        listing: made.written.listing,
        changed: made.written.changed,
        left_out,
        renamed,
        peculiar,
        writing: made.writing,
        verifying: made.verifying,
    })
}

/// The beginning of a day, so that two packages of one day are the same bytes.
fn midnight(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap_or_default()
}

/// What files were when they came in.
fn marks(base: &Dir, id: &ExperimentId) -> Result<Marks> {
    let mut all = Marks::default();
    if let Some(baseline) = Baseline::existing(base, id)? {
        baseline.read(|entry| {
            all.add(&entry.mark.path, &entry.mark.sha256);
            true
        })?;
    }
    all.settle();
    Ok(all)
}

/// Payload files that are made for the package: the definition and the description.
fn made(
    about: About,
    gathered: &Rc<Gathered>,
    definition: &Definition,
    version: Version,
) -> Result<Vec<(String, Content<'static>)>> {
    const DEFINITION: &str = "metadata/experiment.yaml";
    let crate_path = format!("data/{}", ro_crate::FILE);
    if gathered.items.iter().any(|item| *item.path == *crate_path) {
        return Err(Error::new(
            "package.name-taken",
            format!("the experiment has a file {} of its own", ro_crate::FILE),
        )
        .hint("move it into a directory"));
    }
    let text = public(definition).to_yaml()?.into_bytes();
    let size = text.len() as u64;
    let gathered = Rc::clone(gathered);
    let description = Content::written(move |out| {
        let below = |path| str::strip_prefix(path, "data/").unwrap_or_default();
        let folders = gathered.folders.iter().map(|folder| Part {
            path: below(&folder.path),
            size: None,
        });
        let files = gathered.items.iter().map(|item| Part {
            path: below(&item.path),
            size: Some(item.size),
        });
        let definition = Part {
            path: DEFINITION,
            size: Some(size),
        };
        // Beyond, the manifest lists them.
        let described = if gathered.items.len() < ro_crate::FILES_MAX {
            usize::MAX
        } else {
            0
        };
        let files = files.chain([definition]).take(described);
        let mut parts: Vec<Part<'_>> = folders.chain(files).collect();
        parts.sort_unstable_by_key(|part| part.path);
        ro_crate::write(&about, &parts, version, out)
    })?;
    Ok(vec![
        (format!("data/{DEFINITION}"), text.into()),
        (crate_path, description),
    ])
}

/// Tag files of ours: what a payload cannot hold, and the evidence.
fn tags(
    opened: &Opened,
    gathered: &Gathered,
    options: &Options,
) -> Result<Vec<(String, Content<'static>)>> {
    let mut all = Vec::new();
    let empty: String = gathered.empty().fold(String::new(), |mut out, folder| {
        let _ = writeln!(out, "{}", path::encode(folder));
        out
    });
    if !empty.is_empty() {
        all.push((FOLDERS.to_owned(), empty.into_bytes().into()));
    }
    let mut names = String::new();
    for (path, bytes) in &gathered.renamed {
        let row = serde_json::json!({"path": path, "bytes": crate::store::hexadecimal(bytes)});
        let _ = writeln!(names, "{row}");
    }
    if !names.is_empty() {
        all.push((NAMES.to_owned(), names.into_bytes().into()));
    }
    let mut history = String::new();
    let id = opened.id();
    Ledger::open(&opened.base.dir)?.read(|entry| {
        let event = &entry.event;
        let told = event.experiment == id && HISTORY.contains(&event.operation.as_str());
        if told && event.outcome == Outcome::Done {
            let row = serde_json::json!({"time": entry.time, "operation": event.operation});
            let _ = writeln!(history, "{row}");
        }
        true
    })?;
    all.push((format!("{OURS}/history.jsonl"), history.into_bytes().into()));
    if options.only.is_empty() {
        if let Some(baseline) = Baseline::existing(&opened.base.dir, &opened.identity()?)? {
            let segments = baseline.contents()?.into_iter();
            all.extend(segments.map(|(name, file, size)| {
                (format!("{BASELINE}{name}"), Content::file(file, size))
            }));
        }
    } else {
        let text = match opened.definition.language {
            Language::Fr => "Ce paquet ne contient qu'une partie de l'expérience.\n",
            Language::En => "This package holds only a part of the experiment.\n",
        };
        all.push((PARTIAL.to_owned(), text.as_bytes().to_vec().into()));
    }
    Ok(all)
}

/// Where the definition lies in the payload, for whoever restores it.
pub fn definition_path() -> String {
    format!("{}/{}", definition::METADATA, definition::FILE)
}
