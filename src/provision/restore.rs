//! What a package holds, brought back: into a directory, or as the experiment that it was, on this NAS or another one.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::adopt::{self, Adoption};
use super::package::{BASELINE, FOLDERS, NAMES, PARTIAL};
use super::site::{self, OpenBase, Site};
use crate::catalogue::landing::LANDING;
use crate::error::{Error, Result};
use crate::experiment::{self, Code, Definition, ExperimentId, Strictness};
use crate::package::gather;
use crate::package::restore::{self, Unpacked};
use crate::package::seen::Said;
use crate::package::verify;
use crate::report::{Progress, said};
use crate::store::baseline::{Baseline, Common};
use crate::store::definition;
use crate::store::evidence;
use crate::store::ledger::Outcome;
use crate::sys::dir::{Dir, FileKind, OwnTree, Permissions, Replace};
use crate::sys::fault;
use crate::sys::walk::Walk;

/// In the evidence of a base: packages that are taken apart.
const RESTORING: &str = "restoring";
/// In the metadata of an experiment that was put in its place and is not in service yet.
const MARK: &str = "restored.json";
/// The largest list of names or directories of a package, in bytes.
const LIST_MAX: u64 = 1 << 30;

/// What was brought back into a directory.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// Where it lies.
    pub path: String,
    /// What the package says of itself.
    #[serde(flatten)]
    pub said: Said,
}

/// How to restore an experiment.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the package is read.
    pub reading: verify::Options,
    /// The base that will hold it; the only one where nothing is said.
    pub base: Option<PathBuf>,
    /// The accounts that get back what the definition gives them; a package names none.
    pub grant: Vec<String>,
    /// Only check the package, and whether there is room.
    pub dry_run: bool,
}

/// An experiment that was brought back.
#[derive(Debug, Serialize)]
pub struct Revived {
    /// Its code.
    pub code: String,
    /// Its id.
    pub id: String,
    /// Where it lies.
    pub path: String,
    /// What the package says of itself; nothing where an earlier run had put everything in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// How it came into service; nothing where that was only rehearsed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
}

/// Brings the payload of a package back into `into` (absolute), which is not there yet.
pub fn into(
    from: &Path,
    into: &Path,
    reading: &verify::Options,
    progress: &dyn Progress,
) -> Result<Restored> {
    let (Some(parent), Some(name)) = (into.parent(), into.file_name()) else {
        return Err(Error::new("path.exists", "there is no such place"));
    };
    let parent = Dir::open_absolute(parent)?;
    if parent.stat(name)?.is_some() {
        return Err(
            Error::new("path.exists", format!("{} exists already", into.display()))
                .hint("name a directory that is not there yet"),
        );
    }
    let own = parent.own_tree(name)?;
    let done = take_apart(from, own.dir(), reading, progress).and_then(|(bag, unpacked)| {
        fault::point("restore.ready")?;
        bag.rename("data", &parent, name, Replace::Never)?;
        Ok(unpacked.said)
    });
    let left = own.discard();
    let said = done?;
    left?;
    Ok(Restored {
        path: into.display().to_string(),
        said,
    })
}

/// A package taken apart and verified, with the names and empty directories that it had; and its bag.
fn take_apart(
    from: &Path,
    tree: &Dir,
    reading: &verify::Options,
    progress: &dyn Progress,
) -> Result<(Dir, Unpacked)> {
    let unpacked = restore::unpack(from, tree, reading, progress)?;
    let bag = tree.open(&unpacked.top)?.ok_or_else(|| {
        Error::new("path.missing", "what was taken apart went away").hint("run it again")
    })?;
    if let Some(text) = list(&bag, FOLDERS)? {
        restore::folders(&bag, &text)?;
    }
    if let Some(text) = list(&bag, NAMES)? {
        restore::names(&bag, &text)?;
    }
    bag.sync_everything()?;
    Ok((bag, unpacked))
}

fn list(bag: &Dir, path: &str) -> Result<Option<String>> {
    let bytes = inside(bag, path, LIST_MAX)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A file below a directory.
fn inside(dir: &Dir, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    match dir.open(parent)? {
        Some(parent) => parent.read(name, limit),
        None => Ok(None),
    }
}

/// Brings the experiment of a package back as what it was: same id, same code, its baseline. Nobody has access who is not granted
/// it.
pub fn revive(site: &Site, from: &Path, code: &Code, options: &Options) -> Result<Revived> {
    let base = base(site, options)?;
    let path = base.path.join(code.as_str());
    if let Some(known) = under_way(&base, code)? {
        if options.dry_run {
            return Err(exists(&path));
        }
        scratch(&base, code)?.discard()?;
        return settle(site, base, code, &known, None, options);
    }
    let own = scratch(&base, code)?;
    let done = place(site, &base, from, code, &own, options);
    let left = own.discard();
    let (id, said) = done?;
    left?;
    if options.dry_run {
        return Ok(Revived {
            code: code.to_string(),
            id,
            path: path.display().to_string(),
            said: Some(said),
            adoption: None,
        });
    }
    settle(site, base, code, &id, Some(said), options)
}

/// Where the package is taken apart: on the file system of the base, out of everybody's sight.
fn scratch(base: &OpenBase, code: &Code) -> Result<OwnTree> {
    let house = evidence(&base.dir)?;
    house.create_dir(RESTORING, 0o700)?;
    house.existing(RESTORING)?.own_tree(code.as_str())
}

/// The id of an experiment that an earlier run put in its place and that is not in service yet.
fn under_way(base: &OpenBase, code: &Code) -> Result<Option<String>> {
    let Some(dir) = base.dir.child(code.as_str())? else {
        return Ok(None);
    };
    let path = base.path.join(code.as_str());
    let metadata = dir
        .child(definition::METADATA)?
        .ok_or_else(|| exists(&path))?;
    let mark = metadata.read(MARK, 4096)?.ok_or_else(|| exists(&path))?;
    Ok(Some(String::from_utf8_lossy(&mark).trim().to_owned()))
}

fn exists(path: &Path) -> Error {
    Error::new(
        "experiment.exists",
        format!("{} exists already", path.display()),
    )
    .hint("restore --into another directory, and compare")
}

/// The package becomes the directory of the experiment, with its evidence; it is not in service.
fn place(
    site: &Site,
    base: &OpenBase,
    from: &Path,
    code: &Code,
    own: &OwnTree,
    options: &Options,
) -> Result<(String, Said)> {
    let progress = site.progress.as_ref();
    let (bag, unpacked) = take_apart(from, own.dir(), &options.reading, progress)?;
    let definition = read_definition(&bag, code)?;
    let id = definition.id.ok_or_else(foreign)?;
    super::create::refuse_twins(site, &definition, base)?;
    site.layout(&definition)?.expand(&definition)?;
    if options.dry_run {
        return Ok((id.to_string(), unpacked.said));
    }
    let data = bag.existing("data")?;
    let metadata = data.existing(definition::METADATA)?;
    // What described the package is not part of the experiment.
    data.remove_file(crate::package::ro_crate::FILE)?;
    leave_out(site, &data, &metadata)?;
    // Whoever made the package may have written accounts, hosts or places into it that no package of ours says.
    let public = super::package::public(&definition).to_yaml()?;
    definition::write(&metadata, &public, &Permissions::PRIVATE)?;
    readable(&metadata)?;
    metadata.write(MARK, id.to_string().as_bytes(), &Permissions::PRIVATE)?;
    receive(base, &id, &bag)?;
    bag.sync_everything()?;
    fault::point("restore.ready")?;
    bag.rename("data", &base.dir, code.as_str(), Replace::Never)
        .map_err(|error| match error.code() {
            "path.exists" => exists(&base.path.join(code.as_str())),
            _ => error,
        })?;
    fault::point("restore.placed")?;
    Ok((id.to_string(), unpacked.said))
}

fn foreign() -> Error {
    Error::new(
        "package.no-experiment",
        "the package holds no experiment that OctoNAS packed",
    )
    .hint("restore --into a directory, then make an experiment of it: `octonas experiment import`")
}

fn read_definition(bag: &Dir, code: &Code) -> Result<Definition> {
    if inside(bag, PARTIAL, LIST_MAX)?.is_some() {
        return Err(Error::new(
            "package.partial",
            "the package holds only a part of its experiment",
        )
        .hint("restore --into a directory"));
    }
    let path = format!("data/{}", super::package::definition_path());
    let text = inside(bag, &path, definition::LIMIT)?.ok_or_else(foreign)?;
    let definition = experiment::read(&text, Strictness::Stored)?;
    if definition.code != *code {
        return Err(Error::new(
            "package.other-code",
            format!(
                "the package holds the experiment {}: a code is fixed for life",
                definition.code
            ),
        )
        .hint(format!("--as {}, or --into a directory", definition.code))
        .field("as"));
    }
    Ok(definition)
}

/// Takes away what no package of ours holds: records of what a NAS made, keys of machines, what lies on its way in. Whoever made
/// the package wrote them, and here they would be believed.
fn leave_out(site: &Site, data: &Dir, metadata: &Dir) -> Result<()> {
    let mut left: Vec<String> = Vec::new();
    for entry in metadata.entries()? {
        let is_ours = entry
            .name
            .to_str()
            .is_some_and(|name| name == definition::FILE || gather::is_document(name));
        if !is_ours && metadata.remove_tree(&entry.name)? {
            left.push(format!(
                "{}/{}",
                definition::METADATA,
                entry.name.to_string_lossy()
            ));
        }
    }
    if data.remove_tree(LANDING)? {
        left.push(LANDING.to_owned());
    }
    if !left.is_empty() {
        let left = left.join(", ");
        site.progress.warn(&said!(
            "not taken from the package, which OctoNAS did not make so: {left}",
            "non repris du paquet, qu'OctoNAS n'a pas fait ainsi : {left}"
        ));
    }
    Ok(())
}

/// Documents are read by members, once the experiment has its groups: what is 0600 would stay private.
fn readable(metadata: &Dir) -> Result<()> {
    for found in Walk::new(metadata)? {
        let found = found?;
        let Some(node) = found.node()? else { continue };
        match found.metadata.kind {
            FileKind::Directory => node.set_mode(0o755)?,
            FileKind::File => node.set_mode(0o644)?,
            FileKind::Link | FileKind::Special => {}
        }
    }
    Ok(())
}

/// The baseline comes along. Where this base has one of the same experiment, one has to be the beginning of the other; the longer
/// one stays.
fn receive(base: &OpenBase, id: &ExperimentId, bag: &Dir) -> Result<()> {
    let Some(given) = bag.open(BASELINE.trim_end_matches('/'))? else {
        return Ok(());
    };
    // Before anything of it lies among our evidence.
    for entry in given.entries()? {
        let name = entry.name.to_string_lossy();
        if !is_segment(&name) {
            return Err(broken(&format!("{name} is no part of one")));
        }
    }
    let verified = Baseline::new(given.try_clone()?).verify()?;
    if let Some(first) = verified.findings.first() {
        return Err(broken(first));
    }
    let own = Baseline::open(&base.dir, id)?;
    match own.compare(&given)? {
        Common::Here => return Ok(()),
        // Cut into years in another way, it would be another chain where both lie together.
        Common::Given if has_all(&given, &own.segments()?)? => own.receive(&given)?,
        Common::Given | Common::Neither => {
            return Err(Error::new(
                "package.evidence",
                "this NAS knows another baseline of the same experiment",
            )
            .hint("restore --into a directory, and compare: one of the two was changed"));
        }
    }
    match own.verify()?.findings.first() {
        None => Ok(()),
        Some(first) => Err(broken(first)),
    }
}

/// `2026.jsonl`.
fn is_segment(name: &str) -> bool {
    name.strip_suffix(".jsonl")
        .is_some_and(|year| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()))
}

fn has_all(dir: &Dir, names: &[String]) -> Result<bool> {
    for name in names {
        if dir.stat(name)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn broken(first: &dyn std::fmt::Display) -> Error {
    Error::new(
        "package.evidence",
        format!("the baseline in the package is broken: {first}"),
    )
    .hint("restore --into a directory; the data itself is as the manifest says")
}

/// It comes into service as one that another NAS served.
fn settle(
    site: &Site,
    base: OpenBase,
    code: &Code,
    id: &str,
    said: Option<Said>,
    options: &Options,
) -> Result<Revived> {
    let path = base.path.join(code.as_str());
    let adopting = adopt::Options {
        take_over: true,
        grant: options.grant.clone(),
        dry_run: false,
        plan: None,
    };
    let adoption = match adopt::adopt(site, &path, &adopting) {
        Ok(adoption) => Some(adoption),
        // An earlier run had come so far.
        Err(error) if error.code() == "experiment.exists" => None,
        Err(error) => return Err(error),
    };
    fault::point("restore.adopted")?;
    let opened = site::open_in(base, code)?.ok_or_else(|| {
        Error::new("directory.lost", format!("{} went away", path.display()))
            .hint("see who removes directories there")
    })?;
    let mut detail = vec![("code", code.to_string())];
    if let Some(manifest) = said.as_ref().and_then(|said| said.manifest.clone()) {
        detail.push(("manifest", manifest));
    }
    site.record(&opened.base, id, "restore", Outcome::Done, &detail)?;
    // The last line of all: while it stands, the restoration is not finished.
    opened.metadata.remove_file(MARK)?;
    Ok(Revived {
        code: code.to_string(),
        id: id.to_owned(),
        path: path.display().to_string(),
        said,
        adoption,
    })
}

/// The base that will hold it.
fn base(site: &Site, options: &Options) -> Result<OpenBase> {
    let bases = site.bases()?;
    let path = match (&options.base, bases.as_slice()) {
        (Some(path), _) => path.clone(),
        (None, [only]) => only.path.clone(),
        (None, []) => {
            return Err(
                Error::new("base.none", "this NAS has no base yet").hint("octonas base add PATH")
            );
        }
        (None, many) => {
            let names: Vec<String> = many
                .iter()
                .map(|base| base.path.display().to_string())
                .collect();
            return Err(Error::new("base.ambiguous", "this NAS has several bases")
                .hint(format!("--base, one of {}", names.join(", ")))
                .field("base"));
        }
    };
    let _nas = site.lock_nas()?;
    super::base::claim_embedded(site, &path)?;
    site.base(&path)
}
