//! The receipts of archives: a line in the ledger for each, and its manifest among the evidence.

use serde::Serialize;

use super::{ARCHIVE, private};
use crate::documents::facts::kept_until;
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::package::algorithm::{Algorithm, Digests};
use crate::package::place::Reached;
use crate::provision::operation::Detail;
use crate::provision::package::Packaged;
use crate::provision::site::{self, OpenBase, Opened, Site};
use crate::report::said;
use crate::store::evidence;
use crate::store::ledger::{Entry, Ledger, Outcome};
use crate::sys::clock;
use crate::sys::dir::Permissions;

/// In the evidence of a base: the manifests of archives, `<id>/<package>.txt`.
const ARCHIVES: &str = "archives";
/// The largest manifest of an archive, in bytes.
const LISTING_MAX: u64 = 16 << 30;

/// An archive, as its receipt tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archived {
    /// Of the experiment.
    pub code: String,
    /// Of the experiment.
    pub id: String,
    /// When it was archived (RFC 3339, UTC).
    pub time: String,
    /// The file's name, the same in every place.
    pub package: String,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-256 of its manifest.
    pub manifest: String,
    /// Payload files.
    pub files: u64,
    /// Bytes of the payload.
    pub bytes: u64,
    /// It is encrypted.
    pub encrypted: bool,
    /// Where copies are.
    pub places: Vec<String>,
    /// The day until which the experiment has to be kept, where its definition says so.
    pub kept_until: Option<String>,
    /// That day is past. Nothing is ever deleted for that.
    pub overdue: bool,
}

pub(super) fn receipt(
    opened: &Opened,
    name: &str,
    packaged: &Packaged,
    places: &[Reached],
) -> Archived {
    Archived {
        code: packaged.code.clone(),
        id: opened.id(),
        time: clock::now_text(),
        package: name.to_owned(),
        size: packaged.size.unwrap_or_default(),
        sha256: packaged.sha256.clone().unwrap_or_default(),
        manifest: packaged.manifest.clone(),
        files: packaged.files,
        bytes: packaged.bytes,
        encrypted: !packaged.recipients.is_empty(),
        places: places.iter().map(|place| place.name().to_owned()).collect(),
        kept_until: kept_until(&opened.definition),
        overdue: false,
    }
}

/// What its line in the ledger says; [`from_ledger`] reads it.
pub(super) fn detail(archived: &Archived) -> Detail {
    vec![
        ("package", archived.package.clone()),
        ("size", archived.size.to_string()),
        ("sha256", archived.sha256.clone()),
        ("manifest", archived.manifest.clone()),
        ("files", archived.files.to_string()),
        ("bytes", archived.bytes.to_string()),
        ("encrypted", archived.encrypted.to_string()),
        ("places", archived.places.join("\n")),
        ("until", archived.kept_until.clone().unwrap_or_default()),
    ]
}

fn from_ledger(entry: &Entry) -> Option<Archived> {
    let detail = &entry.event.detail;
    let text = |key: &str| detail.get(key).cloned();
    let number = |key: &str| detail.get(key).and_then(|text| text.parse().ok());
    Some(Archived {
        code: text("code")?,
        id: entry.event.experiment.clone(),
        time: entry.time.clone(),
        package: text("package")?,
        size: number("size")?,
        sha256: text("sha256")?,
        manifest: text("manifest")?,
        files: number("files")?,
        bytes: number("bytes")?,
        encrypted: text("encrypted")? == "true",
        places: text("places")?.lines().map(str::to_owned).collect(),
        kept_until: text("until").filter(|until| !until.is_empty()),
        overdue: false,
    })
}

/// A size and SHA-256 in hexadecimal, to compare with.
pub(super) fn digests(size: Option<u64>, sha256: Option<&str>) -> Result<Digests> {
    let sum: Option<Vec<u8>> = sha256.and_then(|text| {
        let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..text.len()).step_by(2).map(byte).collect()
    });
    match (size, sum) {
        (Some(size), Some(sum)) => Ok(Digests {
            size,
            sums: vec![(Algorithm::Sha256, sum)],
        }),
        _ => Err(Error::new(
            "archive.receipt",
            "the receipt of the archive has no checksum",
        )
        .hint("the ledger was changed: `octonas doctor`")),
    }
}

/// What an archive holds stays known, also where it is encrypted: thinning compares with it.
pub(super) fn keep_manifest(opened: &Opened, name: &str, listing: &str) -> Result<()> {
    let all = private(&opened.base, ARCHIVES)?;
    all.create_dir(opened.id(), 0o700)?;
    all.existing(opened.id())?.write(
        format!("{name}.txt"),
        listing.as_bytes(),
        &Permissions::PRIVATE,
    )
}

/// The manifest of an archive.
pub(in crate::provision) fn manifest(opened: &Opened, name: &str) -> Result<String> {
    let path = format!("{ARCHIVES}/{}", opened.id());
    let bytes = match evidence(&opened.base.dir)?.open(path)? {
        Some(dir) => dir.read(format!("{name}.txt"), LISTING_MAX)?,
        None => None,
    };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| {
        Error::new(
            "archive.receipt",
            format!("the manifest of {name} is not among the evidence"),
        )
        .hint("archive the experiment anew")
    })
}

/// All archives, of one experiment or of all, newest last.
pub fn list(site: &Site, code: Option<&Code>) -> Result<Vec<Archived>> {
    let mut all = in_order(site, code)?;
    all.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(all)
}

/// The same, in the order of the ledger: so the newest of an experiment is the last one, whatever its clock said.
fn in_order(site: &Site, code: Option<&Code>) -> Result<Vec<Archived>> {
    let mut all = Vec::new();
    for base in site.bases()? {
        let Ok(base) = site.base(&base.path) else {
            let path = base.path.display();
            site.progress.warn(&said!(
                "{path} is not there: its archives are not listed",
                "{path} est absent : ses archives ne sont pas listées"
            ));
            continue;
        };
        let mut found = Vec::new();
        Ledger::open(&base.dir)?.read(|entry| {
            let is_done = entry.event.operation == ARCHIVE && entry.event.outcome == Outcome::Done;
            let archived = is_done.then(|| from_ledger(&entry)).flatten();
            let wanted = |one: &Archived| code.is_none_or(|code| code.as_str() == one.code);
            found.extend(archived.filter(wanted));
            true
        })?;
        for mut archived in found {
            keep(site, &base, &mut archived)?;
            all.push(archived);
        }
    }
    Ok(all)
}

/// Until when the experiment has to be kept: as its definition says today; where that is gone, as it said when it was archived.
fn keep(site: &Site, base: &OpenBase, archived: &mut Archived) -> Result<()> {
    if let Ok(code) = Code::parse(&archived.code)
        && let Some(opened) = site::open_in(base.try_clone()?, &code)?
        && opened.id() == archived.id
    {
        archived.kept_until = kept_until(&opened.definition);
    }
    let today = site.today.get().to_string();
    let until = archived.kept_until.as_ref();
    archived.overdue = until.is_some_and(|until| *until < today);
    Ok(())
}

/// The newest archive of an experiment, or the one of this name.
pub(in crate::provision) fn find(
    site: &Site,
    code: &Code,
    package: Option<&str>,
) -> Result<Archived> {
    let mut all = in_order(site, Some(code))?;
    all.retain(|one| package.is_none_or(|name| one.package == name));
    all.pop().ok_or_else(|| {
        Error::new(
            "archive.none",
            format!("there is no such archive of {code}"),
        )
        .hint("`octonas archive list` shows what there is")
    })
}

/// The base whose ledger has the receipt.
pub(super) fn base_of(site: &Site, archived: &Archived) -> Result<OpenBase> {
    for base in site.bases()? {
        let Ok(open) = site.base(&base.path) else {
            continue;
        };
        let mut is_here = false;
        Ledger::open(&open.dir)?.read(|entry| {
            is_here |= entry.event.detail.get("sha256") == Some(&archived.sha256)
                && entry.event.operation == ARCHIVE;
            !is_here
        })?;
        if is_here {
            return Ok(open);
        }
    }
    Err(Error::new("archive.none", "the base of the archive is not there").hint("mount its disk"))
}
