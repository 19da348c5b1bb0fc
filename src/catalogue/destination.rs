//! Where files go: below the directory that a source's data goes into, with the rights of that leaf, beside no twin.

use std::collections::BTreeMap;

use super::names::fold;
use super::seal;
use crate::error::{Error, Result};
use crate::experiment::RelPath;
use crate::sys::acl::{Acl, Which};
use crate::sys::dir::{Dir, FileKind, Metadata, Moved, Node};
use crate::sys::process;

/// The longest path below the experiment, in bytes (`PATH_MAX`, limits.h(0p), less what lies above).
const PATH_LIMIT: usize = 3500;

/// The name of a directory that is not whole yet.
pub const NEW: &str = "new-directory";

/// What stands where a file should go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nothing.
    Free,
    /// A regular file, as it is.
    Occupied(Metadata),
    /// Something of a name that cannot lie beside it: its path below the directory.
    Twin(String),
    /// No file can be put there: why, for people.
    Blocked(String),
}

/// Names of one directory: folded → as it is.
type Names = BTreeMap<String, String>;

/// The directory that a source's data goes into.
pub struct Destination {
    /// Its path below the experiment.
    pub into: RelPath,
    top: Dir,
    owner: Metadata,
    access: Option<Acl>,
    default: Option<Acl>,
    /// Directories that were listed, by their path below `into`, with what this run puts there.
    listed: BTreeMap<String, Names>,
}

impl Destination {
    /// Opens it; `None` where it is not there.
    pub fn open(experiment: &Dir, into: &RelPath) -> Result<Option<Self>> {
        let Some(top) = experiment.try_clone()?.confined().open(into.as_str())? else {
            return Ok(None);
        };
        Ok(Some(Self {
            into: into.clone(),
            owner: top.metadata()?,
            access: top.acl(Which::Access)?,
            default: top.acl(Which::Default)?,
            listed: BTreeMap::new(),
            top,
        }))
    }

    /// The path below the experiment of something below it.
    pub fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.into)
    }

    /// Looks at the place of a file, and reserves its name against twins that this run still meets.
    pub fn look(&mut self, path: &str) -> Result<Place> {
        if self.below(path).len() > PATH_LIMIT {
            return Ok(Place::Blocked(format!(
                "its path would be longer than {PATH_LIMIT} bytes"
            )));
        }
        let mut above = String::new();
        let mut dir = Some(self.top.try_clone()?);
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let is_last = names.peek().is_none();
            if let Some(twin) = self.twin(&above, dir.as_ref(), name)? {
                return Ok(Place::Twin(join(&above, &twin)));
            }
            let here = join(&above, name);
            let found = match &dir {
                Some(dir) => dir.stat(name)?,
                None => None,
            };
            match (found, is_last) {
                (None, true) => return Ok(Place::Free),
                (Some(found), true) if found.kind == FileKind::File => {
                    return Ok(Place::Occupied(found));
                }
                (None, false) => dir = None,
                (Some(found), false) if found.kind == FileKind::Directory => {
                    dir = dir.map_or(Ok(None), |dir| dir.child(name))?;
                }
                (Some(_), _) => {
                    return Ok(Place::Blocked(format!(
                        "something else stands at {}",
                        self.below(&here)
                    )));
                }
            }
            above = here;
        }
        Ok(Place::Free)
    }

    /// What has a name there that cannot lie beside `name`; otherwise `name` is entered.
    fn twin(&mut self, above: &str, dir: Option<&Dir>, name: &str) -> Result<Option<String>> {
        if !self.listed.contains_key(above) {
            let mut names = Names::new();
            if let Some(dir) = dir {
                for entry in dir.iterate()? {
                    if let Ok(name) = entry?.name.into_string() {
                        names.insert(fold(&name), name);
                    }
                }
            }
            self.listed.insert(above.to_owned(), names);
        }
        let Some(names) = self.listed.get_mut(above) else {
            return Ok(None);
        };
        let other = names.entry(fold(name)).or_insert_with(|| name.to_owned());
        if other == name {
            return Ok(None);
        }
        // What is exactly so called and has a twin already can only be looked at where it lies.
        let is_there = match dir {
            Some(dir) => dir.stat(name)?.is_some(),
            None => false,
        };
        Ok((!is_there).then(|| other.clone()))
    }

    /// The directory that holds a file, made with the rights of the leaf where it is not there. A link or a file in the
    /// way is an error. New ones are put together in `workshop`, which nobody else enters, so that they appear whole.
    pub fn directory_of(&self, path: &str, workshop: &Dir) -> Result<Dir> {
        let mut dir = self.top.try_clone()?;
        let Some((above, _)) = path.rsplit_once('/') else {
            return Ok(dir);
        };
        if let Some(there) = dir.open(above)? {
            return Ok(there);
        }
        for name in above.split('/') {
            let below = match dir.child(name)? {
                Some(below) => below,
                None => self.make(&dir, name, workshop)?,
            };
            dir = below;
        }
        Ok(dir)
    }

    fn make(&self, dir: &Dir, name: &str, workshop: &Dir) -> Result<Dir> {
        workshop.create_dir(NEW, 0o700)?;
        self.dress(&workshop.existing(NEW)?)?;
        if workshop.move_to(NEW, dir, name)? == Moved::Taken {
            workshop.remove_dir(NEW)?;
        }
        dir.existing(name)
    }

    /// Owner first, then the lists and the mode: at no moment is more allowed than in the end.
    fn dress(&self, dir: &Dir) -> Result<()> {
        if process::is_root() {
            dir.set_owner(Some(self.owner.uid), Some(self.owner.gid))?;
        }
        if self.default.is_some() {
            dir.set_acl(Which::Default, self.default.as_ref())?;
        }
        dir.set_mode(self.owner.mode)?;
        if self.access.is_some() {
            dir.set_acl(Which::Access, self.access.as_ref())?;
        }
        Ok(())
    }

    /// Gives a file that nobody else reaches the rights of a new file of the leaf, sealed or not.
    pub fn dress_file(&self, node: &Node, sealed: bool) -> Result<()> {
        seal::dress_as(node, &self.owner, self.default.as_ref(), sealed)
    }

    /// Fails where the directory went away under us.
    pub fn still_there(&self, experiment: &Dir) -> Result<()> {
        let there = experiment.open(self.into.as_str())?;
        let same = there.map(|dir| dir.metadata()).transpose()?;
        if same.is_some_and(|same| same.same_object(&self.owner)) {
            return Ok(());
        }
        Err(Error::new(
            "landing.no-destination",
            format!("the directory {} was moved or replaced", self.into),
        )
        .hint("`octonas experiment check` says more"))
    }
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() {
        name.to_owned()
    } else {
        format!("{above}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::dir::Permissions;

    fn destination() -> (tempfile::TempDir, Dir, Destination) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        dir.create_dir("raw", 0o770).unwrap();
        let raw = dir.existing("raw").unwrap();
        raw.set_mode(0o2770).unwrap();
        let into = RelPath::parse("raw").unwrap();
        let destination = Destination::open(&dir, &into).unwrap().unwrap();
        (temp, dir, destination)
    }

    #[test]
    fn a_name_is_free_occupied_or_has_a_twin() {
        let (_temp, dir, _) = destination();
        let raw = dir.existing("raw").unwrap();
        raw.create_dir("Day1", 0o700).unwrap();
        raw.write("a.csv", b"x", &Permissions::PRIVATE).unwrap();
        let mut to = Destination::open(&dir, &RelPath::parse("raw").unwrap())
            .unwrap()
            .unwrap();
        assert!(matches!(to.look("a.csv").unwrap(), Place::Occupied(_)));
        assert_eq!(to.look("A.csv").unwrap(), Place::Twin("a.csv".into()));
        assert_eq!(to.look("day1/x").unwrap(), Place::Twin("Day1".into()));
        assert_eq!(to.look("Day1/x").unwrap(), Place::Free);
        assert_eq!(to.look("Day1/x").unwrap(), Place::Free);
        assert_eq!(to.look("Day1/X").unwrap(), Place::Twin("Day1/x".into()));
        assert_eq!(to.look("new/x").unwrap(), Place::Free);
        assert_eq!(to.look("New/y").unwrap(), Place::Twin("new".into()));
        assert!(matches!(to.look("a.csv/y").unwrap(), Place::Blocked(_)));
        assert!(matches!(to.look("Day1").unwrap(), Place::Blocked(_)));
        assert!(matches!(
            to.look(&"d/".repeat(2000)).unwrap(),
            Place::Blocked(_)
        ));
    }

    #[test]
    fn directories_are_made_with_the_rights_of_the_leaf_and_no_link_is_followed() {
        let (temp, dir, to) = destination();
        let made = to.directory_of("a/b/file", &dir).unwrap();
        assert_eq!(made.metadata().unwrap().mode, 0o2770);
        assert_eq!(
            dir.open("raw/a").unwrap().unwrap().metadata().unwrap().mode,
            0o2770
        );
        std::os::unix::fs::symlink("/tmp", temp.path().join("raw/link")).unwrap();
        assert_eq!(
            to.directory_of("link/file", &dir).unwrap_err().code(),
            "path.link"
        );
        assert_eq!(
            to.directory_of("link/x/file", &dir).unwrap_err().code(),
            "path.link"
        );
        to.still_there(&dir).unwrap();
    }
}
