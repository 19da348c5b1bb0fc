//! Where archives are kept: a directory of this machine (another file system, a mounted disk), or another machine.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use super::algorithm::{Algorithm, Digests, Hasher};
use super::output::reread;
use super::remote::Remote;
use crate::error::{Error, Result};
use crate::settings;
use crate::sys::dir::{Dir, FileKind, Permissions, spoiled};
use crate::sys::{fault, process};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// A place for archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is called in receipts.
    pub name: String,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    Directory(PathBuf),
    Remote(Remote),
}

impl Place {
    /// A configured place.
    pub fn configured(given: &settings::Place) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new("archive.place", format!("the place {} of archives {why}", given.name))
                .hint("archive: { places: [ { name: cellar, path: /srv/… }, { name: tape, remote: \"account@machine:/directory\" } ] }")
        };
        let name_ok = !given.name.is_empty()
            && given
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !name_ok {
            return Err(wrong(
                "has a name of other characters than a-z, 0-9, `-`, `_`, `.`",
            ));
        }
        let how = match (&given.path, &given.remote) {
            (Some(path), None) if path.is_absolute() => How::Directory(path.clone()),
            (None, Some(target)) => {
                How::Remote(Remote::configured(given, target).map_err(|why| wrong(&why))?)
            }
            _ => return Err(wrong("needs either an absolute `path` or a `remote`")),
        };
        Ok(Self {
            name: given.name.clone(),
            how,
        })
    }

    /// The place that somebody named: one of the configured ones, or an absolute path, or `account@machine:/directory`.
    pub fn named(text: &str, configured: &[settings::Place]) -> Result<Self> {
        if let Some(given) = configured.iter().find(|given| given.name == text) {
            return Self::configured(given);
        }
        let how = if text.starts_with('/') {
            How::Directory(PathBuf::from(text))
        } else if let Some(remote) = Remote::named(text) {
            How::Remote(remote)
        } else {
            return Err(Error::new(
                "archive.place",
                format!(
                    "{} is no place for archives",
                    crate::experiment::text::quote(text)
                ),
            )
            .hint("the name of a configured one, an absolute path, or account@machine:/directory")
            .field("to"));
        };
        Ok(Self {
            name: text.trim_end_matches('/').to_owned(),
            how,
        })
    }

    /// The directory, where it is one of this machine; one that is not there is the error `archive.unreachable`.
    fn directory(&self) -> Result<Option<Dir>> {
        match &self.how {
            How::Remote(_) => Ok(None),
            How::Directory(path) => Dir::open_absolute(path).map(Some).map_err(|error| {
                Error::new(
                    "archive.unreachable",
                    format!("the place {} cannot be reached", self.name),
                )
                .hint("mount its disk; the directory itself is never made")
                .source(error)
            }),
        }
    }

    /// Opens it, for as long as one operation lasts: what is unmounted meanwhile is not taken for the directory beneath.
    pub fn reach(self) -> Result<Reached> {
        Ok(Reached {
            here: self.directory()?,
            place: self,
        })
    }
}

/// A place that was found.
pub struct Reached {
    place: Place,
    here: Option<Dir>,
}

impl Reached {
    /// What it is called in receipts.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// The directory, where it is one of this machine.
    pub fn dir(&self) -> Option<&Dir> {
        self.here.as_ref()
    }

    /// Brings a file (`dir/name`) here, under the same name. One that is here already has to be the same. Not believed before
    /// [`Reached::check`].
    pub fn put(&self, dir: &Dir, name: &str, sum: &Digests) -> Result<()> {
        fault::point("archive.put")?;
        match (&self.place.how, &self.here) {
            (_, Some(here)) => put_beside(dir, here, name, sum),
            (How::Remote(remote), None) => remote.put(&self.place.name, dir, name),
            (How::Directory(_), None) => Ok(()),
        }
    }

    /// Reads the copy here again, all of it: from the disk, or over the network into `staging`. False where it is not the same or
    /// not there.
    pub fn check(&self, name: &str, sum: &Digests, staging: &Dir) -> Result<bool> {
        fault::point("archive.check")?;
        if let Some(here) = &self.here {
            return same(here, name, sum);
        }
        match self.fetch(name, sum, staging) {
            Err(error) if error.code() == "archive.missing" => return Ok(false),
            fetched => fetched?,
        }
        let is_same = same(staging, name, sum);
        staging.remove_file(name)?;
        is_same
    }

    /// Brings a copy into `staging`; not believed before [`same`]. Nothing comes that is larger than it should be.
    pub fn fetch(&self, name: &str, sum: &Digests, staging: &Dir) -> Result<()> {
        match &self.place.how {
            How::Remote(remote) => remote.fetch(&self.place.name, name, sum.size, staging),
            How::Directory(_) => Ok(()),
        }
    }
}

/// True for a regular file of this name, size and checksum, read from the disk.
pub fn same(dir: &Dir, name: &str, sum: &Digests) -> Result<bool> {
    let Some(node) = dir.node_at(name)? else {
        return Ok(false);
    };
    let metadata = node.metadata()?;
    if metadata.kind != FileKind::File || metadata.size != sum.size {
        return Ok(false);
    }
    match reread(node.file(), sum) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == "package.corrupt" => Ok(false),
        Err(error) => Err(error),
    }
}

fn put_beside(from: &Dir, here: &Dir, name: &str, sum: &Digests) -> Result<()> {
    if here.stat(name)?.is_some() {
        if same(here, name, sum)? {
            return Ok(());
        }
        return Err(Error::new(
            "path.exists",
            format!("{} is another file", here.path_of(name).display()),
        )
        .hint("move it away"));
    }
    let missing = || {
        Error::new(
            "path.missing",
            format!("{} went away", from.path_of(name).display()),
        )
    };
    let node = from.node_at(name)?.ok_or_else(missing)?;
    let mut fresh = here.fresh()?;
    let mut file: &File = node.file();
    let mut hasher = Hasher::new(&[Algorithm::Sha256]);
    let mut buffer = vec![0; PIECE];
    loop {
        process::check_interrupted()?;
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                let piece = buffer.get(..read).unwrap_or_default();
                hasher.update(piece);
                fresh.write(piece)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(spoiled("read", node.path(), &e)),
        }
    }
    if hasher.take() != *sum {
        return Err(Error::new(
            "package.corrupt",
            format!("{} is not what was written", node.path().display()),
        )
        .hint("the disk is failing: see the system log"));
    }
    fresh.name(name, &Permissions::PRIVATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(path: Option<&str>, remote: Option<&str>) -> settings::Place {
        settings::Place {
            name: "cellar".into(),
            path: path.map(PathBuf::from),
            remote: remote.map(str::to_owned),
            ssh_key: None,
            host_keys: Vec::new(),
            port: None,
        }
    }

    #[test]
    fn a_place_is_a_directory_or_another_machine() {
        assert!(Place::configured(&given(Some("/srv/x"), None)).is_ok());
        let remote = Place::configured(&given(None, Some("archive@nas2:/volume/a"))).unwrap();
        assert!(remote.directory().unwrap().is_none());
        for (path, remote) in [
            (None, None),
            (Some("x"), None),
            (Some("/x"), Some("a@b:/c")),
            (None, Some("-oProxyCommand=x:/a")),
            (None, Some("a@b:c")),
            (None, Some("a@b:/c d")),
            (None, Some("a@-b:/c")),
        ] {
            let error = Place::configured(&given(path, remote)).unwrap_err();
            assert_eq!(error.code(), "archive.place", "{path:?} {remote:?}");
        }
        let all = [given(Some("/srv/x"), None)];
        assert_eq!(Place::named("cellar", &all).unwrap().name, "cellar");
        assert_eq!(Place::named("/mnt/", &all).unwrap().name, "/mnt");
        assert_eq!(Place::named("x", &all).unwrap_err().code(), "archive.place");
    }

    #[test]
    fn a_copy_is_the_same_or_it_is_not_there() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = Dir::open_absolute(from.path()).unwrap();
        let here = Dir::open_absolute(to.path()).unwrap();
        dir.write("p", b"abc", &Permissions::PRIVATE).unwrap();
        let sum = super::super::algorithm::digests(&[Algorithm::Sha256], b"abc");
        let place = Place::named(to.path().to_str().unwrap(), &[]).unwrap();
        let place = place.reach().unwrap();
        assert!(!place.check("p", &sum, &dir).unwrap());
        place.put(&dir, "p", &sum).unwrap();
        place.put(&dir, "p", &sum).unwrap();
        assert!(place.check("p", &sum, &dir).unwrap());
        here.write("p", b"abd", &Permissions::PRIVATE).unwrap();
        assert!(!place.check("p", &sum, &dir).unwrap());
        assert_eq!(
            place.put(&dir, "p", &sum).unwrap_err().code(),
            "path.exists"
        );
        let gone = Place::named("/nonexistent/cellar", &[]).unwrap();
        let error = gone.reach().map(drop).unwrap_err();
        assert_eq!(error.code(), "archive.unreachable");
    }
}
