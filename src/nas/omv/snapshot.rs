//! What engined told in this phase, so that it is not asked again and again: a snapshot begins with every observation.
//!
//! A list, or an object, that is about to be replaced is read again immediately before, and never taken from here.

use std::sync::Mutex;

use super::Omv;
use super::model::{
    BaseRecord, Configuration, Entry, FtpShare, MountPoint, NfsShare, Service, SharedFolder,
};
use super::rsyncd::{self, Rsyncd};
use super::sources::Source;
use super::unit::Record;
use super::{ftp, nfs, put};
use crate::error::Result;

/// Mount points, shared folders, entries, sources.
type Everything = (Vec<MountPoint>, Vec<SharedFolder>, Vec<Entry>, Vec<Source>);

/// What is known.
#[derive(Default)]
pub(super) struct Snapshot {
    mount_points: Mutex<Option<Vec<MountPoint>>>,
    folders: Mutex<Option<Vec<SharedFolder>>>,
    bases: Mutex<Option<Vec<BaseRecord>>>,
    own: Mutex<Option<(Vec<Entry>, Vec<Source>)>>,
    unit: Mutex<Option<Record>>,
    doors: Mutex<Option<Doors>>,
}

/// The doors that few experiments open. They are asked for once, and again after a change of ours.
#[derive(Clone)]
pub(super) struct Doors {
    /// FTP; `None` where its plugin is not installed.
    pub ftp: Option<Service<FtpShare>>,
    /// NFS.
    pub nfs: Service<NfsShare>,
    /// The rsync daemon.
    pub rsyncd: Rsyncd,
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
    /// Keeps what the first call of all told of bases and of the unit.
    pub(super) fn of(configuration: Configuration) -> Self {
        Self {
            bases: Mutex::new(Some(configuration.bases)),
            unit: Mutex::new(Some(configuration.unit)),
            ..Self::default()
        }
    }

    /// A base was added.
    pub(super) fn forget_bases(&self) {
        keep(&self.bases, None);
    }

    /// What the unit says was changed.
    pub(super) fn forget_unit(&self) {
        keep(&self.unit, None);
    }

    /// A shared folder was made or taken away.
    pub(super) fn forget_folders(&self) {
        keep(&self.folders, None);
    }

    /// A door of these was opened or shut.
    pub(super) fn forget_doors(&self) {
        keep(&self.doors, None);
    }

    /// An entry or a source changed, or a deployment took its time.
    pub(super) fn forget_own(&self) {
        keep(&self.own, None);
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

    /// FTP, NFS and the rsync daemon.
    pub(super) fn doors(&self) -> Result<Doors> {
        known(&self.snapshot.doors, || {
            Ok(Doors {
                ftp: ftp::service(self.engined())?,
                nfs: nfs::service(self.engined())?,
                rsyncd: rsyncd::service(self.engined())?,
            })
        })
    }

    /// Our bases.
    pub(super) fn base_records(&self) -> Result<Vec<BaseRecord>> {
        known(&self.snapshot.bases, || {
            Ok(put::configuration(self.engined())?.bases)
        })
    }

    /// What the unit says.
    pub(super) fn unit_record(&self) -> Result<Record> {
        known(&self.snapshot.unit, || {
            Ok(put::configuration(self.engined())?.unit)
        })
    }

    /// Our entries.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        Ok(self.own()?.0)
    }

    /// The sources of all experiments.
    pub(super) fn sources(&self) -> Result<Vec<Source>> {
        Ok(self.own()?.1)
    }

    /// Our entries and the sources.
    pub(super) fn own(&self) -> Result<(Vec<Entry>, Vec<Source>)> {
        known(&self.snapshot.own, || {
            let configuration = put::configuration(self.engined())?;
            Ok((configuration.experiments, configuration.sources))
        })
    }

    /// Reads everything anew: mount points, shared folders, entries, sources.
    pub(super) fn renew(&self) -> Result<Everything> {
        let engined = self.engined();
        let mount_points = put::mount_points(engined)?;
        let folders = put::shared_folders(engined)?;
        let configuration = put::configuration(engined)?;
        keep(&self.snapshot.mount_points, Some(mount_points.clone()));
        keep(&self.snapshot.folders, Some(folders.clone()));
        keep(&self.snapshot.bases, Some(configuration.bases));
        let own = (configuration.experiments, configuration.sources);
        keep(&self.snapshot.own, Some(own.clone()));
        Ok((mount_points, folders, own.0, own.1))
    }
}
