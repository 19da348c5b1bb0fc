//! Files that are not where they were. What was sealed is lost; everything else went away, and the history keeps it.

use super::decide::Wrong;
use super::{Finding, Scan};
use crate::error::Result;
use crate::store::catalogue::entries::Missing;
use crate::store::checks::{Record, What};
use crate::store::pathname;
use crate::sys::dir::{Dir, FileKind};
use crate::sys::{clock, fault, process};

/// What stands where a folder was.
enum Place {
    There(Dir),
    Gone,
    /// It cannot be looked at, so nothing is said of it.
    Unknown,
}

impl Scan<'_> {
    /// After everything was found that can be found: what is left went away.
    pub(super) fn clear_up(&mut self) -> Result<()> {
        for folder in std::mem::take(&mut self.suspects) {
            if let place @ (Place::There(_) | Place::Gone) = self.place(&folder) {
                self.clear_folder(&folder, &place)?;
            }
        }
        let mut after = String::new();
        loop {
            let unseen = self.index.unseen_folders(self.number, &after)?;
            let Some(last) = unseen.last() else {
                return Ok(());
            };
            after.clone_from(last);
            for folder in unseen {
                if let place @ Place::Gone = self.place(&folder) {
                    self.clear_folder(&folder, &place)?;
                    self.index.forget_folder(&folder)?;
                }
            }
        }
    }

    fn place(&self, folder: &str) -> Place {
        match self.work.experiment.open(pathname::path(folder)) {
            Ok(Some(dir)) => Place::There(dir),
            Ok(None) => Place::Gone,
            Err(error) if matches!(error.code(), "path.link" | "path.not-directory") => Place::Gone,
            Err(_) => Place::Unknown,
        }
    }

    fn clear_folder(&mut self, folder: &str, place: &Place) -> Result<()> {
        let mut after = String::new();
        loop {
            process::check_interrupted()?;
            let piece = self.index.piece_of(folder, &after)?;
            let Some(last) = piece.last() else {
                return Ok(());
            };
            pathname::split(&last.path).1.clone_into(&mut after);
            let mut gone = Vec::new();
            for one in piece {
                let name = pathname::path(pathname::split(&one.path).1);
                let is_there = match place {
                    Place::There(dir) => dir
                        .stat(name)?
                        .is_some_and(|there| there.kind == FileKind::File),
                    Place::Gone | Place::Unknown => false,
                };
                if !is_there {
                    gone.push(one);
                }
            }
            self.take_out(gone)?;
        }
    }

    fn take_out(&mut self, missing: Vec<Missing>) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let (lost, gone): (Vec<Missing>, Vec<Missing>) =
            missing.into_iter().partition(|one| one.known.sealed);
        let _lock = (self.work.hold)()?;
        self.index.catch_up(&self.baseline, &self.checks)?;
        let text = clock::now_text();
        if !gone.is_empty() {
            self.begin()?;
            let marks = gone.iter().map(|one| one.known.mark).collect();
            let noted = self.checks.append(&Record::of(&text, What::Gone, marks))?;
            fault::point("scan.gone")?;
            self.index.take_out(&gone, &text, Some(noted))?;
            self.report.gone += gone.len() as u64;
        }
        let mut wrong = Vec::new();
        for one in lost {
            self.report.find(Finding {
                code: "loss",
                path: one.path.clone(),
                text: "it is sealed, and is not there any more".into(),
            });
            wrong.push(Wrong {
                path: one.path,
                mark: one.known.mark,
                code: "loss",
                stands: one.known.state.as_deref() == Some("loss"),
            });
        }
        if wrong.iter().any(|wrong| !wrong.stands) {
            self.begin()?;
        }
        self.note(&wrong, &text)
    }
}
