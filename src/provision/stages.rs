//! What was put becomes effective in two stages: first mounts and jails, then what is shared. What is not in force yet
//! stands in the record, so that a later run makes it so.

use std::collections::BTreeSet;

use super::site::{Opened, Site};
use crate::error::Result;
use crate::object::{Attributes, Kind, ObjectId};
use crate::sys::fault;

/// Groups of kinds that become effective together, in the order of creation.
const STAGES: [&[Kind]; 2] = [
    &[Kind::Entry, Kind::Source, Kind::Mounts],
    &[
        Kind::SharedFolder,
        Kind::Privileges,
        Kind::SmbShare,
        Kind::FtpShare,
        Kind::NfsShare,
        Kind::RsyncModule,
    ],
];

/// The doors whose servers go by the privileges of the shared folder.
pub const BY_PRIVILEGES: [Kind; 2] = [Kind::SmbShare, Kind::FtpShare];

/// The stage in which a kind becomes effective, if it has to.
pub fn of(kind: Kind) -> Option<usize> {
    STAGES.iter().position(|kinds| kinds.contains(&kind))
}

fn activation(stage: usize) -> ObjectId {
    ObjectId::new(
        Kind::Activation,
        if stage == 0 {
            "mounts and jails"
        } else {
            "services"
        },
    )
}

/// A door has an intent of its own: without it its service is left alone, with whatever others have pending there.
fn door(kind: Kind) -> ObjectId {
    ObjectId::new(Kind::Activation, kind.to_string())
}

/// The doors that become effective with a change of an object of this kind.
fn doors_with(opened: &Opened, kind: Kind) -> BTreeSet<Kind> {
    let has = |door: Kind| opened.applied.objects.keys().any(|id| id.kind == door);
    match kind {
        Kind::Privileges => BY_PRIVILEGES
            .into_iter()
            .filter(|door| has(*door))
            .collect(),
        kind if kind.is_door() => BTreeSet::from([kind]),
        _ => BTreeSet::new(),
    }
}

/// An object of this kind is about to be changed.
pub fn intend(opened: &mut Opened, stage: usize, kind: Kind) -> Result<()> {
    let nothing = Attributes::new();
    opened.applied.intend(&activation(stage), &nothing)?;
    for kind in doors_with(opened, kind) {
        opened.applied.intend(&door(kind), &nothing)?;
    }
    Ok(())
}

/// All stages, in their order.
pub const ALL: std::ops::Range<usize> = 0..STAGES.len();

/// True where something of this stage was put and is not effective yet.
pub fn is_due(opened: &Opened, stage: usize) -> bool {
    opened.applied.intents.contains_key(&activation(stage))
}

/// Makes a stage effective for these experiments at once, and forgets that it has to be.
pub fn activate(site: &Site, all: &mut [&mut Opened], stage: usize) -> Result<()> {
    let is_asked = |kind: Kind| {
        !kind.is_door()
            || all
                .iter()
                .any(|opened| opened.applied.intents.contains_key(&door(kind)))
    };
    let kinds: BTreeSet<Kind> = STAGES[stage]
        .iter()
        .copied()
        .filter(|kind| is_asked(*kind))
        .collect();
    site.nas.activate(&kinds, &*site.progress)?;
    fault::point("activated")?;
    for opened in all {
        for kind in kinds.iter().filter(|kind| kind.is_door()) {
            opened.applied.forget(&door(*kind))?;
        }
        opened.applied.forget(&activation(stage))?;
    }
    Ok(())
}
