//! Putting an experiment away: a package with SHA-512 in one or more places, read again there; receipts in the ledger; and, if
//! somebody asks, thinning of the live data once every copy was read again.

use std::path::PathBuf;

use serde::Serialize;

use super::operation::Operation;
use super::package::{self, Options as Packing, Packaged};
use super::site::{self, OpenBase, Opened, Site};
use crate::documents::facts::kept_until;
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::package::algorithm::{Algorithm, Digests};
use crate::package::container::Format;
use crate::package::place::{self, Place, Reached};
use crate::report::said;
use crate::store::evidence;
use crate::store::ledger::{Entry, Ledger, Outcome};
use crate::sys::clock;
use crate::sys::dir::{Dir, Permissions};
use crate::sys::fault;

/// The operation's name in the ledger.
const ARCHIVE: &str = "archive";
/// In the evidence of a base: the manifests of archives, `<id>/<package>.txt`.
const ARCHIVES: &str = "archives";
/// The largest manifest of an archive, in bytes.
const LISTING_MAX: u64 = 16 << 30;
/// In the evidence of a base: packages on their way.
const STAGING: &str = "archiving";

/// How to archive.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where; the configured places where nothing is said.
    pub to: Vec<String>,
    /// Take files that differ from their baseline.
    pub allow_changed: bool,
    /// Only say what would go where.
    pub dry_run: bool,
}

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

/// A copy that was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// Of which archive.
    pub package: String,
    /// Where.
    pub place: String,
    /// `good`, `damaged` (or not there), `unreachable`.
    pub state: &'static str,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Archives an experiment.
pub fn create(site: &Site, code: &Code, options: &Options) -> Result<(Archived, Packaged)> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let places = places(site, &options.to)?;
    let packing = Packing {
        format: Format::TarZst,
        sha512: true,
        encrypt: site.archive.encrypt,
        allow_changed: options.allow_changed,
        dry_run: options.dry_run,
        ..Packing::default()
    };
    let recipients = package::recipients(site, &packing)?;
    let name = name(code, !recipients.is_empty());
    let staging = staging(&opened.base)?;
    // The first directory among the places is where it is written; the others get what lies there.
    let mut home = None;
    for place in &places {
        if let Some(dir) = place.dir() {
            refuse_system_disk(dir, &opened.base.dir, place.name())?;
            if dir.path().starts_with(opened.path()) {
                return Err(Error::new(
                    "package.inside",
                    "an archive cannot lie in the experiment that goes into it",
                )
                .hint("choose another place")
                .field("to"));
            }
            if home.is_none() {
                home = Some(dir.try_clone()?);
            }
        }
    }
    let is_staged = home.is_none();
    let home = match home {
        Some(home) => home,
        None => staging.try_clone()?,
    };
    if options.dry_run {
        let packaged = package::pack(site, &opened, &home, name.as_ref(), &packing, &recipients)?;
        return Ok((receipt(&opened, &name, &packaged, &places), packaged));
    }
    package::refresh(site, code, &opened)?;
    let operation = Operation::on(site, &opened, ARCHIVE)?;
    operation.begin()?;
    let done = (|| {
        let packaged = package::pack(site, &opened, &home, name.as_ref(), &packing, &recipients)?;
        fault::point("archive.packed")?;
        let sum = digests(packaged.size, packaged.sha256.as_deref())?;
        let listing = format!(
            "{}  {name}\n",
            packaged.sha256.as_deref().unwrap_or_default()
        );
        let beside = format!("{name}.sha256");
        let told = crate::package::algorithm::digests(&[Algorithm::Sha256], listing.as_bytes());
        home.write(&beside, listing.as_bytes(), &Permissions::PRIVATE)?;
        for place in &places {
            let to = place.name();
            site.progress
                .note(&said!("copying to {to}", "copie vers {to}"));
            place.put(&home, &name, &sum)?;
            place.put(&home, &beside, &told)?;
            if !place.check(&name, &sum, &staging)? {
                return Err(damaged(place.name()));
            }
        }
        if is_staged {
            home.remove_file(&name)?;
            home.remove_file(&beside)?;
        }
        keep_manifest(&opened, &name, &packaged.listing)?;
        fault::point("archive.kept")?;
        Ok((receipt(&opened, &name, &packaged, &places), packaged))
    })();
    if done.is_err() {
        withdraw(&home, &places, &name);
    }
    operation.end(done, |(archived, _)| {
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
    })
}

/// Takes away what has no receipt: nobody should take it for an archive, nor does it have to fill a disk. As far as it goes: the error
/// that led here is the one to be told.
fn withdraw(home: &Dir, places: &[Reached], name: &str) {
    for dir in std::iter::once(home).chain(places.iter().filter_map(Reached::dir)) {
        for name in [name, &format!("{name}.sha256")] {
            let _ = dir.remove_file(name);
        }
    }
}

/// Where data lie on disks of their own, a place on the system disk is the empty mount point of a disk that is not there.
fn refuse_system_disk(dir: &Dir, data: &Dir, place: &str) -> Result<()> {
    let system = Dir::open_absolute(std::path::Path::new("/"))?;
    if dir.is_beside(&system)? && !data.is_beside(&system)? {
        return Err(Error::new(
            "archive.unreachable",
            format!("the place {place} is on the system disk: its own disk is not mounted"),
        )
        .hint("mount it; an archive never goes to the system disk of a NAS whose data have disks of their own")
        .field("to"));
    }
    Ok(())
}

fn damaged(place: &str) -> Error {
    Error::new(
        "archive.damaged",
        format!("the copy in {place} is not what was written"),
    )
    .hint("see its disk; nothing is counted as archived there")
}

/// `eco_2026-11-21T121500.250Z.tar.zst`: no two of an experiment in one moment.
fn name(code: &Code, sealed: bool) -> String {
    let time = clock::now().strftime("%Y-%m-%dT%H%M%S%.3fZ");
    let end = if sealed { ".age" } else { "" };
    format!("{code}_{time}.tar.zst{end}")
}

/// A size and SHA-256 in hexadecimal, to compare with.
fn digests(size: Option<u64>, sha256: Option<&str>) -> Result<Digests> {
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

fn receipt(opened: &Opened, name: &str, packaged: &Packaged, places: &[Reached]) -> Archived {
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

/// The places that were named, or the configured ones.
fn places(site: &Site, to: &[String]) -> Result<Vec<Reached>> {
    let configured = &site.archive.places;
    let all: Vec<Place> = if to.is_empty() {
        configured
            .iter()
            .map(Place::configured)
            .collect::<Result<_>>()?
    } else {
        to.iter()
            .map(|text| Place::named(text, configured))
            .collect::<Result<_>>()?
    };
    if all.is_empty() {
        return Err(
            Error::new("archive.place", "no place for archives is configured")
                .hint("--to PLACE, or `archive: { places: [ … ] }` in /etc/octonas/octonas.yaml"),
        );
    }
    all.into_iter().map(Place::reach).collect()
}

fn private(base: &OpenBase, name: &str) -> Result<Dir> {
    let house = evidence(&base.dir)?;
    house.create_dir(name, 0o700)?;
    house.existing(name)
}

fn staging(base: &OpenBase) -> Result<Dir> {
    private(base, STAGING)
}

/// What an archive holds stays known, also where it is encrypted: thinning compares with it.
fn keep_manifest(opened: &Opened, name: &str, listing: &str) -> Result<()> {
    let all = private(&opened.base, ARCHIVES)?;
    all.create_dir(opened.id(), 0o700)?;
    all.existing(opened.id())?.write(
        format!("{name}.txt"),
        listing.as_bytes(),
        &Permissions::PRIVATE,
    )
}

/// The manifest of an archive.
pub(super) fn manifest(opened: &Opened, name: &str) -> Result<String> {
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
pub(super) fn find(site: &Site, code: &Code, package: Option<&str>) -> Result<Archived> {
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

/// Reads every copy of an archive again.
pub fn check(site: &Site, base: &OpenBase, archived: &Archived) -> Result<Vec<Copy>> {
    let sum = digests(Some(archived.size), Some(&archived.sha256))?;
    let staging = staging(base)?;
    let mut copies = Vec::new();
    for name in &archived.places {
        let package = &archived.package;
        site.progress.note(&said!(
            "reading {package} in {name}",
            "relecture de {package} dans {name}"
        ));
        let state = Place::named(name, &site.archive.places)
            .and_then(Place::reach)
            .and_then(|place| place.check(&archived.package, &sum, &staging));
        let (state, reason) = match state {
            Ok(true) => ("good", None),
            Ok(false) => ("damaged", None),
            Err(error) if error.code() == "interrupted" => return Err(error),
            Err(error) => ("unreachable", Some(error.to_string())),
        };
        copies.push(Copy {
            package: archived.package.clone(),
            place: name.clone(),
            state,
            reason,
        });
    }
    Ok(copies)
}

/// Reads copies again: of the newest archive of an experiment, or of all of them. What was found is written into the ledger.
pub fn verify(site: &Site, code: &Code, all: bool) -> Result<Vec<Copy>> {
    let archives = if all {
        list(site, Some(code))?
    } else {
        vec![find(site, code, None)?]
    };
    let mut copies = Vec::new();
    for archived in &archives {
        let base = base_of(site, archived)?;
        let found = check(site, &base, archived)?;
        let bad: Vec<&str> = found
            .iter()
            .filter(|copy| copy.state != "good")
            .map(|copy| copy.place.as_str())
            .collect();
        let detail = [
            ("code", code.to_string()),
            ("package", archived.package.clone()),
            ("good", (found.len() - bad.len()).to_string()),
            ("bad", bad.join("\n")),
        ];
        site.record(
            &base,
            &archived.id,
            "archive-verify",
            Outcome::Done,
            &detail,
        )?;
        copies.extend(found);
    }
    Ok(copies)
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

/// A good copy of an archive, at a path of this machine: where it lies, or brought into staging, from which it is to be removed.
pub fn bring(site: &Site, code: &Code, package: Option<&str>) -> Result<(PathBuf, Option<Dir>)> {
    let archived = find(site, code, package)?;
    let base = base_of(site, &archived)?;
    let sum = digests(Some(archived.size), Some(&archived.sha256))?;
    let staging = staging(&base)?;
    let mut last = None;
    for name in &archived.places {
        let place = Place::named(name, &site.archive.places).and_then(Place::reach);
        let tried = place.and_then(|place| {
            if let Some(dir) = place.dir() {
                let good = place.check(&archived.package, &sum, &staging)?;
                return Ok(good.then(|| (dir.path_of(&archived.package), None)));
            }
            place.fetch(&archived.package, &sum, &staging)?;
            // Whoever keeps it could give back another good package: the receipt says which one it was.
            if !place::same(&staging, &archived.package, &sum)? {
                staging.remove_file(&archived.package)?;
                return Ok(None);
            }
            Ok(Some((
                staging.path_of(&archived.package),
                Some(staging.try_clone()?),
            )))
        });
        match tried {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                site.progress.warn(&said!(
                    "the copy in {name} is damaged",
                    "la copie dans {name} est endommagée"
                ));
                last = Some(damaged(name));
            }
            Err(error) => {
                site.progress.warn(&said!(
                    "the copy in {name}: {error}",
                    "la copie dans {name} : {error}"
                ));
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::new("archive.none", "there is no copy of the archive")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_never_fills_the_system_disk_where_data_have_their_own() {
        let open = |path: &str| Dir::open_absolute(std::path::Path::new(path)).unwrap();
        let (system, data) = (open("/"), open("/dev/shm"));
        let error = refuse_system_disk(&system, &data, "cellar").unwrap_err();
        assert_eq!(error.code(), "archive.unreachable");
        refuse_system_disk(&system, &system, "cellar").unwrap();
        refuse_system_disk(&data, &data, "cellar").unwrap();
        refuse_system_disk(&data, &system, "cellar").unwrap();
    }
}
