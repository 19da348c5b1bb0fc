//! Thinning: live data is taken away that lies in an archive, file by file, after every copy of the archive was read again.

use serde::Serialize;

use super::archive::{self, Copy};
use super::operation::Operation;
use super::site::{self, Opened, Site};
use crate::error::{Error, Result};
use crate::experiment::{Code, Status};
use crate::package::algorithm::{Algorithm, Hasher};
use crate::package::finding::Findings;
use crate::package::manifest;
use crate::package::pick::Pattern;
use crate::sys::dir::{Dir, FileKind, Permissions};
use crate::sys::{fault, process};

/// What was taken away, or would be.
#[derive(Debug, Serialize)]
pub struct Thinned {
    /// Of the experiment.
    pub code: String,
    /// The archive that holds it.
    pub package: String,
    /// The copies that were read again.
    pub copies: Vec<Copy>,
    /// Files that are gone.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that are not what lies in the archive, and stay.
    pub kept: Vec<String>,
}

/// Takes away what lies in the newest archive of an experiment and is meant by `only` (everything where nothing is said). The
/// experiment has to be closed, and every copy good.
pub fn thin(site: &Site, code: &Code, only: &[Pattern], dry_run: bool) -> Result<Thinned> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    if !matches!(opened.definition.status, Status::Closed | Status::Archived) {
        return Err(Error::new(
            "experiment.open",
            format!("{code} is in use: what is archived may not be all of it"),
        )
        .hint(format!(
            "octonas experiment close {code}, archive it, then thin it"
        )));
    }
    let _lock = site.lock_experiment(&opened.id())?;
    let archived = archive::find(site, code, None)?;
    let copies = archive::check(site, &opened.base, &archived)?;
    if let Some(bad) = copies.iter().find(|copy| copy.state != "good") {
        return Err(Error::new(
            "archive.damaged",
            format!(
                "the copy in {} is {}: nothing is taken away",
                bad.place, bad.state
            ),
        )
        .hint("`octonas archive verify` tells why; archive again"));
    }
    let listing = archive::manifest(&opened, &archived.package)?;
    let own = manifest::read("manifest-sha256.txt", &listing, &mut Findings::default());
    let sums = own.map(|manifest| manifest.sums).unwrap_or_default();
    let mut thinned = Thinned {
        code: code.to_string(),
        package: archived.package.clone(),
        copies,
        files: 0,
        bytes: 0,
        kept: Vec::new(),
    };
    let operation = Operation::on(site, &opened, "thin")?;
    if !dry_run {
        operation.begin()?;
        fault::point("thin.begun")?;
    }
    let mut done = Ok(());
    for (path, sum) in &sums {
        let Some(below) = path.strip_prefix("data/") else {
            continue;
        };
        let wanted = only.is_empty() || only.iter().any(|each| each.matches(below));
        if !wanted || below.starts_with("metadata/") {
            continue;
        }
        done = process::check_interrupted()
            .and_then(|()| one(&opened.dir, below, sum, dry_run, &mut thinned));
        if done.is_err() {
            break;
        }
    }
    if dry_run {
        done?;
        return Ok(thinned);
    }
    let done = done.and_then(|()| tell(&opened, &archived.package, &archived.places));
    operation.end(done.map(|()| thinned), |thinned| {
        vec![
            ("package", thinned.package.clone()),
            ("files", thinned.files.to_string()),
            ("bytes", thinned.bytes.to_string()),
            ("kept", thinned.kept.len().to_string()),
        ]
    })
}

/// One file: hashed, looked at again, and taken away if nothing happened to it meanwhile.
fn one(
    experiment: &Dir,
    below: &str,
    sum: &[u8],
    dry_run: bool,
    thinned: &mut Thinned,
) -> Result<()> {
    let (parent, name) = below.rsplit_once('/').unwrap_or(("", below));
    let Some(dir) = experiment.open(parent)? else {
        return Ok(());
    };
    let node = match dir.node_at(name) {
        Ok(Some(node)) => node,
        // An earlier run took it away.
        Ok(None) => return Ok(()),
        Err(error) if matches!(error.code(), "path.link" | "path.not-regular") => {
            thinned.kept.push(below.to_owned());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let before = node.metadata()?;
    if before.kind != FileKind::File {
        thinned.kept.push(below.to_owned());
        return Ok(());
    }
    let mut hasher = Hasher::new(&[Algorithm::Sha256]);
    let mut file = std::io::BufReader::with_capacity(1 << 18, node.file());
    loop {
        use std::io::BufRead as _;
        let piece = file
            .fill_buf()
            .map_err(|e| crate::sys::dir::spoiled("read", node.path(), &e))?;
        if piece.is_empty() {
            break;
        }
        hasher.update(piece);
        let read = piece.len();
        file.consume(read);
    }
    let is_archived = hasher.take().get(Algorithm::Sha256) == Some(sum);
    let after = node.metadata()?;
    let is_here = dir.stat(name)?.is_some_and(|now| now.same_object(&before));
    if !is_archived || !is_here || after != before {
        thinned.kept.push(below.to_owned());
        return Ok(());
    }
    if !dry_run {
        fault::point("thin.file")?;
        dir.remove_file(name)?;
    }
    thinned.files += 1;
    thinned.bytes += before.size;
    Ok(())
}

/// Whoever looks for the data finds where it is.
fn tell(opened: &Opened, package: &str, places: &[String]) -> Result<()> {
    let places = places.join(", ");
    let text = format!(
        "Les données de cette expérience sont dans l'archive {package} ({places}).\n\
         Pour les relire : octonas archive restore {code} --into RÉPERTOIRE\n\n\
         The data of this experiment is in the archive {package} ({places}).\n\
         To read it again: octonas archive restore {code} --into DIRECTORY\n",
        code = opened.definition.code
    );
    let name = "ARCHIVED.txt";
    opened
        .metadata
        .write(name, text.as_bytes(), &Permissions::PRIVATE)?;
    crate::store::show(&opened.metadata, name)
}
