//! Putting back what was damaged or lost, from a copy whose content is what the baseline says; the bad file is kept.
//!
//! The copy is written beside (`<base>/.octonas/repair/<id>/`), compared, made durable, and exchanged with the bad file in one
//! step (renameat2(2), `RENAME_EXCHANGE`), so that at no moment nothing is in its place. The bad one goes to
//! `<base>/.octonas/damaged/<id>/<line of the baseline>-<uuid>`.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::read::Found;
use super::spare::{Spare, Wanted, copy_in, unwritten};
use super::{Run, Work};
use crate::catalogue::destination::Destination;
use crate::catalogue::digest::{self, Pace};
use crate::catalogue::seal;
use crate::error::{Error, Result};
use crate::experiment::RelPath;
use crate::report::said;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::due::Due;
use crate::store::checks::{Record, What};
use crate::store::{EVIDENCE, evidence, pathname, private_dir};
use crate::sys::dir::{Buffer, Dir, Moved, Permissions, Replace};
use crate::sys::{clock, fault, process};

const REPAIR: &str = "repair";
const DAMAGED: &str = "damaged";
const NEW: &str = "new";
/// What came out of a container.
const LAID: &str = "laid";
/// So many copies at most are taken out of a container in one reading.
const AT_ONCE: usize = 100_000;
const PIECE: usize = 1 << 20;

/// What a killed repair left: a copy that is not in its place yet is made again; a bad file that was exchanged is kept.
pub(super) fn clear_up(work: &Work<'_>, index: &Catalogue) -> Result<()> {
    let Some(dir) = work.base.open(format!("{EVIDENCE}/{REPAIR}/{}", work.id))? else {
        return Ok(());
    };
    for entry in dir.entries()? {
        let Some(mark) = entry
            .name
            .to_str()
            .and_then(|name| name.parse::<u64>().ok())
        else {
            dir.remove_tree(&entry.name)?;
            continue;
        };
        let expected = index
            .marks(mark, mark)?
            .remove(&mark)
            .and_then(|(_, sum)| sum);
        let holds = match dir.reading(&entry.name, false)? {
            Some(mut reading) => {
                let pace = Pace::new(None);
                Some(digest::digest(&mut reading, &mut Buffer::new(digest::WARM), &pace)?.0)
            }
            None => None,
        };
        if holds == expected {
            dir.remove_file(&entry.name)?;
        } else {
            let kept = format!("{mark}-{}", uuid::Uuid::new_v4());
            dir.rename(&entry.name, &damaged(work)?, kept, Replace::Never)?;
        }
    }
    Ok(())
}

fn damaged(work: &Work<'_>) -> Result<Dir> {
    private_dir(
        &private_dir(&evidence(work.base)?, DAMAGED)?,
        &work.id.to_string(),
    )
}

fn workshop(work: &Work<'_>) -> Result<Dir> {
    private_dir(
        &private_dir(&evidence(work.base)?, REPAIR)?,
        &work.id.to_string(),
    )
}

impl Run<'_> {
    /// Puts a file back, where there is a good copy of it; at once, or with others at the end.
    pub(super) fn repair(&mut self, due: Due, found: &Found) -> Result<()> {
        let is_there = !matches!(found, Found::Missing);
        match self.work.spare {
            None => Ok(()),
            Some(Spare::Tree(tree)) => {
                let path = PathBuf::from(pathname::path(&due.path));
                let copy = tree.open(&path);
                self.repair_from(&due, is_there, copy)
            }
            Some(Spare::Stream(_)) => {
                self.waiting.push((due, is_there));
                if self.waiting.len() < AT_ONCE {
                    return Ok(());
                }
                self.repair_waiting()
            }
        }
    }

    /// Puts back what waits for copies out of a container.
    pub(super) fn repair_waiting(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(Spare::Stream(stream)) = self.work.spare else {
            return Ok(());
        };
        let wanted: BTreeMap<PathBuf, Wanted> = waiting
            .iter()
            .filter_map(|(due, _)| {
                let wanted = Wanted {
                    name: due.known.mark.to_string(),
                    size: due.known.size,
                    sha256: due.known.sha256?,
                };
                Some((PathBuf::from(pathname::path(&due.path)), wanted))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let workshop = workshop(self.work)?;
        workshop.remove_tree(LAID)?;
        let laid = private_dir(&workshop, LAID)?;
        stream.lay(&wanted, &laid)?;
        fault::point("repair.laid")?;
        for (due, is_there) in waiting {
            let copy = copy_in(&laid, Path::new(&due.known.mark.to_string()));
            self.repair_from(&due, is_there, copy)?;
        }
        workshop.remove_tree(LAID)?;
        Ok(())
    }

    /// Puts a file back from a copy of which nobody knows yet what it holds.
    fn repair_from(
        &mut self,
        due: &Due,
        is_there: bool,
        copy: Result<Option<Box<dyn Read>>>,
    ) -> Result<()> {
        match copy.and_then(|copy| self.put_back(due, copy)) {
            Ok(true) => {
                self.report.repaired += 1;
                let kept = self
                    .work
                    .base
                    .path_of(EVIDENCE)
                    .join(DAMAGED)
                    .join(self.work.id.to_string());
                if is_there {
                    self.report.kept = Some(kept.display().to_string());
                }
                Ok(())
            }
            Ok(false) => {
                self.work.progress.warn(&said!(
                    "{}: no good copy of it was found",
                    "{} : aucune bonne copie n'a été trouvée",
                    due.path
                ));
                Ok(())
            }
            Err(error) if matches!(error.code(), "interrupted" | "disk.full") => Err(error),
            Err(error) => {
                self.work.progress.warn(&said!(
                    "{} was not put back: {error}",
                    "{} n'a pas été remis en place : {error}",
                    due.path
                ));
                Ok(())
            }
        }
    }

    fn put_back(&mut self, due: &Due, copy: Option<Box<dyn Read>>) -> Result<bool> {
        let Some(mut copy) = copy else {
            return Ok(false);
        };
        let work = self.work;
        let workshop = workshop(work)?;
        workshop.remove_file(NEW)?;
        if !write_copy(&workshop, copy.as_mut(), due)? {
            workshop.remove_file(NEW)?;
            return Ok(false);
        }
        let _lock = (work.hold)()?;
        let (folder, name) = pathname::split(&due.path);
        let dir = match work.experiment.open(pathname::path(folder))? {
            Some(dir) => dir,
            None => self.make_again(folder, &workshop)?,
        };
        let name = pathname::path(name);
        let node = workshop.held(NEW)?.ok_or_else(|| {
            Error::new("file.moved", "the copy went away meanwhile").hint("run it again")
        })?;
        let modified =
            Timestamp::from_nanosecond(i128::from(due.known.mtime_ns)).unwrap_or_default();
        seal::dress(&node, &dir, due.known.sealed)?;
        node.set_modified(modified)?;
        work.base.sync_everything()?;
        let aside = due.known.mark.to_string();
        workshop.rename(NEW, &workshop, &aside, Replace::Allow)?;
        fault::point("repair.ready")?;
        if let Some(bad) = dir.node_at(&name).ok().flatten() {
            bad.set_immutable(false)?;
        }
        let exchanged = workshop.exchange(&aside, &dir, &name)?;
        if !exchanged && workshop.move_to(&aside, &dir, &name)? != Moved::Done {
            return Err(
                Error::new("file.moved", format!("{} changed meanwhile", due.path))
                    .hint("run it again"),
            );
        }
        dir.sync()?;
        fault::point("repair.exchanged")?;
        if exchanged {
            let kept = format!("{aside}-{}", uuid::Uuid::new_v4());
            workshop.rename(&aside, &damaged(work)?, kept, Replace::Never)?;
        }
        // The copy itself, whatever has its name by now.
        if due.known.sealed && work.strength == seal::Strength::Flag {
            node.set_immutable(true)?;
        }
        fault::point("repair.placed")?;
        self.index.catch_up(&self.baseline, &self.checks)?;
        let now = clock::now();
        let text = clock::text(now);
        let mut records = Record::of(&text, What::Repaired, vec![due.known.mark]);
        records.extend(Record::of(&text, What::Good, vec![due.known.mark]));
        self.checks.append(&records)?;
        self.index.catch_up(&self.baseline, &self.checks)?;
        Ok(true)
    }
}

impl Run<'_> {
    /// A directory that went away with what it held, below one of the layout that is there.
    fn make_again(&self, folder: &str, workshop: &Dir) -> Result<Dir> {
        let missing = || {
            Error::new(
                "repair.no-directory",
                format!("the directory {folder} is gone"),
            )
            .hint("`octonas experiment apply --mend` makes what the layout has; then run it again")
        };
        let (top, below) = folder.split_once('/').ok_or_else(missing)?;
        let top = RelPath::parse(top).map_err(|_| missing())?;
        let destination = Destination::open(self.work.experiment, &top)?.ok_or_else(missing)?;
        destination.directory_of(&format!("{below}/file"), workshop)
    }
}

/// Writes a copy; false where it does not hold what the file should.
fn write_copy(workshop: &Dir, copy: &mut dyn Read, due: &Due) -> Result<bool> {
    workshop.write(NEW, b"", &Permissions::PRIVATE)?;
    let Some(node) = workshop.writable(NEW)? else {
        return Ok(false);
    };
    let failed = |e: std::io::Error| unwritten(&due.path, e);
    let mut hash = Sha256::new();
    let (mut piece, mut total) = (vec![0; PIECE], 0);
    loop {
        process::check_interrupted()?;
        let read = copy.read(&mut piece).map_err(failed)?;
        if read == 0 {
            break;
        }
        total += read as u64;
        if total > due.known.size {
            return Ok(false);
        }
        hash.update(&piece[..read]);
        fault::point("write")?;
        node.file().write_all(&piece[..read]).map_err(failed)?;
    }
    node.file().sync_all().map_err(failed)?;
    let sum: [u8; 32] = hash.finalize().into();
    Ok(due.known.sha256 == Some(sum))
}
