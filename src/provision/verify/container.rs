//! Good copies out of a package in one file: read once from its beginning to its end by `octonas-unpack`, which has no rights.
//! What is taken has the content that was asked for, whatever else the package is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::catalogue::verify::spare::{Stream, Wanted, unwritten};
use crate::error::Result;
use crate::package::finding::{Findings, Severity};
use crate::package::frames::{Entry, Kind};
use crate::package::path::told;
use crate::package::source::{self, Limits, Visitor};
use crate::report::{Progress, said};
use crate::sys::dir::Dir;
use crate::sys::{fault, process};

/// A package that is a file.
pub(super) struct Container<'c> {
    pub file: File,
    /// Bytes.
    pub size: u64,
    pub encrypted: bool,
    /// The file with the key that opens it.
    pub identity: Option<&'c PathBuf>,
    pub progress: &'c dyn Progress,
}

impl Stream for Container<'_> {
    fn lay(&self, wanted: &BTreeMap<PathBuf, Wanted>, into: &Dir) -> Result<()> {
        self.progress.note(&said!(
            "looking for copies in the package",
            "recherche de copies dans le paquet"
        ));
        let wanted = wanted
            .iter()
            .map(|(path, wanted)| (told(path.as_os_str().as_bytes()), wanted));
        let mut taking = Taking {
            wanted: wanted.collect(),
            into,
            now: None,
        };
        let mut findings = Findings::default();
        let limits = Limits::of(self.size);
        source::visit(
            &self.file,
            self.encrypted,
            self.identity,
            limits,
            &mut taking,
            &mut findings,
        )?;
        // What came out of it before is good all the same.
        let errors = findings.found.iter();
        for finding in errors.filter(|finding| finding.severity == Severity::Error) {
            let message = &finding.message;
            self.progress.warn(&said!(
                "the package could not be read to its end: {message}",
                "le paquet n'a pas pu être lu jusqu'au bout : {message}"
            ));
        }
        Ok(())
    }
}

/// Files of a container, as they come.
struct Taking<'t> {
    /// By the path below the experiment, as a package writes it.
    wanted: BTreeMap<String, &'t Wanted>,
    into: &'t Dir,
    now: Option<Copy<'t>>,
}

/// A copy that is being written.
struct Copy<'t> {
    path: String,
    wanted: &'t Wanted,
    file: File,
    hash: Sha256,
}

impl Taking<'_> {
    /// By which name a file of the container is wanted: it lies in `data/` of a bag, with a directory around it or without; or in
    /// the tree itself.
    fn place(&self, path: &str) -> Option<String> {
        let inner = path.split_once('/').map(|(_, inner)| inner);
        [Some(path), inner]
            .into_iter()
            .flatten()
            .flat_map(|path| [path.strip_prefix("data/"), Some(path)])
            .flatten()
            .find(|path| self.wanted.contains_key(*path))
            .map(str::to_owned)
    }
}

impl Visitor for Taking<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        process::check_interrupted()?;
        self.now = None;
        if entry.kind != Kind::File {
            return Ok(());
        }
        // The name is only looked up; nothing is written under it.
        let name = told(&entry.path);
        let Some(path) = self.place(name.trim_start_matches("./")) else {
            return Ok(());
        };
        let Some(wanted) = self.wanted.get(&path).copied() else {
            return Ok(());
        };
        if wanted.size != entry.size {
            return Ok(());
        }
        self.into.remove_file(&wanted.name)?;
        self.now = Some(Copy {
            path,
            wanted,
            file: self.into.lay_file(&wanted.name, 0o600)?,
            hash: Sha256::new(),
        });
        Ok(())
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(copy) = &mut self.now else {
            return Ok(());
        };
        copy.hash.update(bytes);
        fault::point("write")?;
        let written = copy.file.write_all(bytes);
        written.map_err(|e| unwritten(&copy.path, e))
    }

    fn end(&mut self) -> Result<()> {
        let Some(copy) = self.now.take() else {
            return Ok(());
        };
        let sum: [u8; 32] = copy.hash.finalize().into();
        if sum == copy.wanted.sha256 {
            self.wanted.remove(&copy.path);
        } else {
            self.into.remove_file(&copy.wanted.name)?;
        }
        Ok(())
    }
}
