//! Putting an experiment away: a package with SHA-512 in one or more places, read again there; receipts in the ledger; and, if
//! somebody asks, thinning of the live data once every copy was read again.

mod copies;
mod receipts;

use super::operation::Operation;
use super::package::{self, Options as Packing, Packaged};
use super::site::{self, OpenBase, Site};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::package::algorithm::Algorithm;
use crate::package::container::Format;
use crate::package::place::{Place, Reached};
use crate::report::said;
use crate::store::evidence;
use crate::sys::clock;
use crate::sys::dir::{Dir, Permissions};
use crate::sys::fault;

use receipts::{digests, keep_manifest, receipt};

pub use copies::{Copy, bring, check, verify};
pub use receipts::{Archived, list};
pub(super) use receipts::{find, manifest};

/// The operation's name in the ledger.
const ARCHIVE: &str = "archive";
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
    operation.end(done, |(archived, _)| receipts::detail(archived))
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
