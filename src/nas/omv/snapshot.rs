//! What engined told in this phase, so that it is not asked again and again: a snapshot begins with every observation.
//!
//! A list, or an object, that is about to be replaced is read again immediately before, and never taken from here.

use std::sync::Mutex;

use super::Omv;
use super::model::{BaseRecord, Configuration, Entry, MountPoint, SharedFolder};
use super::put;
use crate::error::Result;

/// What is known.
#[derive(Default)]
pub(super) struct Snapshot {
    mount_points: Mutex<Option<Vec<MountPoint>>>,
    folders: Mutex<Option<Vec<SharedFolder>>>,
    bases: Mutex<Option<Vec<BaseRecord>>>,
    entries: Mutex<Option<Vec<Entry>>>,
}

/// What is kept in `place`, or what `read` gives.
fn known<T: Clone>(place: &Mutex<Option<T>>, read: impl FnOnce() -> Result<T>) -> Result<T> {
    if let Some(known) = place.lock().ok().and_then(|known| known.clone()) {
        return Ok(known);
    }
    let value = read()?;
    keep(place, Some(value.clone()));
    Ok(value)
}

fn keep<T>(place: &Mutex<Option<T>>, value: Option<T>) {
    if let Ok(mut known) = place.lock() {
        *known = value;
    }
}

impl Snapshot {
    /// Keeps what the first call of all told of bases.
    pub(super) fn of_bases(configuration: Configuration) -> Self {
        Self {
            bases: Mutex::new(Some(configuration.bases)),
            ..Self::default()
        }
    }

    /// A base was added.
    pub(super) fn forget_bases(&self) {
        keep(&self.bases, None);
    }

    /// A shared folder was made or taken away.
    pub(super) fn forget_folders(&self) {
        keep(&self.folders, None);
    }

    /// An entry changed, or a deployment took its time.
    pub(super) fn forget_entries(&self) {
        keep(&self.entries, None);
    }
}

impl Omv {
    /// File systems that are mounted, or should be.
    pub(super) fn mount_points(&self) -> Result<Vec<MountPoint>> {
        known(&self.snapshot.mount_points, || {
            put::mount_points(self.engined())
        })
    }

    /// Shared folders, for their names and places: privileges may have changed since.
    pub(super) fn shared_folders(&self) -> Result<Vec<SharedFolder>> {
        known(&self.snapshot.folders, || {
            put::shared_folders(self.engined())
        })
    }

    /// The same, read now.
    pub(super) fn shared_folders_now(&self) -> Result<Vec<SharedFolder>> {
        self.snapshot.forget_folders();
        self.shared_folders()
    }

    /// Our bases.
    pub(super) fn base_records(&self) -> Result<Vec<BaseRecord>> {
        known(&self.snapshot.bases, || {
            Ok(put::configuration(self.engined())?.bases)
        })
    }

    /// Our entries.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        known(&self.snapshot.entries, || put::entries(self.engined()))
    }

    /// Reads everything anew: mount points, shared folders, entries.
    pub(super) fn renew(&self) -> Result<(Vec<MountPoint>, Vec<SharedFolder>, Vec<Entry>)> {
        let engined = self.engined();
        let mount_points = put::mount_points(engined)?;
        let folders = put::shared_folders(engined)?;
        let configuration = put::configuration(engined)?;
        keep(&self.snapshot.mount_points, Some(mount_points.clone()));
        keep(&self.snapshot.folders, Some(folders.clone()));
        keep(&self.snapshot.bases, Some(configuration.bases));
        keep(
            &self.snapshot.entries,
            Some(configuration.experiments.clone()),
        );
        Ok((mount_points, folders, configuration.experiments))
    }
}
