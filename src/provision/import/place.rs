//! Which directory is meant, and whether an experiment can stand there: directly in a base, alone on its way, bearing its
//! code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::experiment::{Code, Definition};
use crate::nas::Observation;
use crate::object::{Found, Kind, ObjectId};
use crate::provision::site::Site;
use crate::settings::absolute;
use crate::sys::mounts;

/// A directory that can become an experiment.
pub struct Place {
    /// Absolute.
    pub path: PathBuf,
    /// What holds it.
    pub base: PathBuf,
    code: Code,
}

impl Place {
    /// Finds the directory: `given` is the name of a shared folder, or a path. A name without `/` is a shared folder where
    /// there is one of that name.
    pub fn find(
        site: &Site,
        given: &str,
        cwd: &Path,
        definition: &Definition,
        seen: &Observation,
    ) -> Result<Self> {
        let shared = seen
            .objects
            .get(&ObjectId::new(Kind::SharedFolder, given))
            .and_then(|found| found.attributes.get("path"))
            .filter(|path| !path.is_empty());
        let path = match shared {
            Some(path) => PathBuf::from(path),
            None => absolute(Path::new(given), cwd),
        };
        let code = &definition.code;
        let is_directory = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        if !is_directory {
            return Err(Error::new(
                "import.unknown",
                format!(
                    "{given} is neither a shared folder of this NAS nor a directory ({})",
                    path.display()
                ),
            )
            .hint("name a shared folder, or write the directory's path from /"));
        }
        let parent = path.parent().unwrap_or(Path::new("/"));
        let bases = site.bases()?;
        if !bases.iter().any(|base| base.path == parent) {
            let base = bases
                .iter()
                .map(|base| base.path.clone())
                .find(|base| same_file_system(base, &path))
                .unwrap_or_else(|| parent.join("experiments"));
            let (base, path) = (base.display(), path.display());
            return Err(Error::new(
                "import.misplaced",
                format!("{path} does not lie directly in a base of this NAS"),
            )
            .hint(format!(
                "an experiment is mounted on its own, from a base on the same file system: `octonas base add {base}` (where it \
                 is none yet), `mv -T {path} {base}/{code}` (a rename: nothing is copied), give its shared folder the new path \
                 if it has one, then import {base}/{code}"
            )));
        }
        if path.file_name().is_none_or(|name| name != code.as_str()) {
            let to = parent.join(code.as_str());
            return Err(Error::new(
                "import.name",
                format!(
                    "the directory {} cannot be the experiment {code}: it bears another name",
                    path.display()
                ),
            )
            .hint(format!(
                "give the definition the directory's name as its code, or rename it: mv -T {} {}",
                path.display(),
                to.display()
            ))
            .field("code"));
        }
        Ok(Self {
            base: parent.to_owned(),
            path,
            code: code.clone(),
        })
    }

    /// Refuses what would be another way in: a mount on it or in it, a shared folder in it or above it, or one of another
    /// name.
    pub fn refuse_neighbours(&self, seen: &Observation, common_share: Option<&str>) -> Result<()> {
        let mounted = mounts::here()?
            .into_iter()
            .find(|mount| mount.point.starts_with(&self.path));
        if let Some(mount) = mounted {
            return Err(Error::new(
                "import.mounted",
                format!("something is mounted at {}", mount.point.display()),
            )
            .hint("an experiment lies on one file system: unmount it first"));
        }
        let folders = seen
            .objects
            .iter()
            .filter(|(id, _)| id.kind == Kind::SharedFolder);
        for (id, found) in folders {
            let Some(path) = found.attributes.get("path").filter(|path| !path.is_empty()) else {
                continue;
            };
            let path = Path::new(path);
            let is_common = common_share == Some(id.key.as_str()) && path == self.base;
            let is_taken_over = path == self.path && id.key == self.code.as_str();
            if is_common || (is_taken_over && common_share.is_none()) {
                continue;
            }
            let (why, what) = if is_taken_over {
                (
                    "it has a share of its own, and its base shares all experiments as one"
                        .to_owned(),
                    "delete that shared folder (never its content) in Storage | Shared Folders, with what refers to it: people \
                     find the experiment in the common share afterwards",
                )
            } else if path == self.path {
                (
                    format!(
                        "it is shared as {}, and an experiment is shared under its code",
                        id.key
                    ),
                    "delete that shared folder (never its content) in Storage | Shared Folders, with what refers to it; the \
                     import shares it again",
                )
            } else if path.starts_with(&self.path) {
                (
                    format!("{} in it is shared as {}", path.display(), id.key),
                    "delete that shared folder (never its content) in Storage | Shared Folders, with what refers to it: \
                     its members would enter past the experiment",
                )
            } else if self.path.starts_with(path) {
                (
                    format!("it lies in the shared folder {}", id.key),
                    "nothing above an experiment may be shared: delete that shared folder (never its content)",
                )
            } else {
                continue;
            };
            return Err(Error::new(
                "import.shared",
                format!("{} cannot be imported: {why}", self.path.display()),
            )
            .hint(what));
        }
        self.refuse_other_modules(seen)
    }

    /// Refuses a module of the rsync daemon that shows this folder under another name: nobody would look after it.
    fn refuse_other_modules(&self, seen: &Observation) -> Result<()> {
        let other = seen.objects.iter().find(|(id, found)| {
            id.kind == Kind::RsyncModule
                && found.attributes.get("folder").map(String::as_str) == Some(self.code.as_str())
        });
        match other {
            None => Ok(()),
            Some((id, _)) => Err(Error::new(
                "import.shared",
                format!(
                    "{} cannot be imported: the rsync daemon shows it as the module {}",
                    self.path.display(),
                    id.key
                ),
            )
            .hint("delete that module in Services | Rsync | Server | Modules; `protocols: { rsyncd: true }` makes another")),
        }
    }

    /// The shared folder and its doors, as they are: from now on they are ours, and what differs from the definition is a
    /// change of it.
    pub fn taken(&self, seen: &Observation) -> BTreeMap<ObjectId, Found> {
        let folder = ObjectId::new(Kind::SharedFolder, self.code.as_str());
        if !seen.objects.contains_key(&folder) {
            return BTreeMap::new();
        }
        seen.objects
            .iter()
            .filter(|(id, _)| id.kind.is_of_a_shared_folder())
            .filter(|(id, _)| id.shared_folder() == self.code.as_str())
            // A module of the rsync daemon may bear this name and be of another folder.
            .filter(|(_, found)| !found.attributes.contains_key("folder"))
            .map(|(id, found)| (id.clone(), found.clone()))
            .collect()
    }

    /// Something of its shared folder, as it was.
    pub fn door<'s>(&self, seen: &'s Observation, kind: Kind) -> Option<&'s Found> {
        let key = ObjectId::new(kind, self.code.as_str());
        let folder = ObjectId::new(Kind::SharedFolder, self.code.as_str());
        seen.objects.get(&folder)?;
        seen.objects.get(&key)
    }
}

fn same_file_system(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::symlink_metadata(path).map(|found| found.dev());
    matches!((device(a), device(b)), (Ok(a), Ok(b)) if a == b)
}
