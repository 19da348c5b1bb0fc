//! One file on its way: out of its source's reach, hashed, judged, and moved to where it belongs.

use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use super::destination::Place;
use super::ingest::Run;
use super::landing::{self, Expected, Pending, Warning};
use crate::error::{Error, Result};
use crate::store::intake::{Decision, Kept, Take, Verdict};
use crate::sys::acl::{Perms, Which};
use crate::sys::dir::{Dir, Made, Metadata, Moved, Node};
use crate::sys::{clock, fault, process};

/// How much is read at once: what fits a processor's second cache.
const PIECE: usize = 256 << 10;

/// A file of a batch.
pub(super) struct Item {
    pub take: Take,
    pub decision: Option<Decision>,
    /// Open, while it is with us.
    node: Option<Node>,
    sha256: Option<String>,
    /// False once it is back in the landing or was never taken: nothing more is done with it.
    pub held: bool,
}

impl Item {
    pub fn new(take: Take) -> Self {
        Self {
            take,
            decision: None,
            node: None,
            sha256: None,
            held: true,
        }
    }

    pub fn of_journal(take: Take, decision: Option<Decision>) -> Self {
        Self {
            decision,
            ..Self::new(take)
        }
    }

    /// What is decided, while it is still ours.
    pub fn verdict(&self) -> Option<&Decision> {
        self.decision.as_ref().filter(|_| self.held)
    }

    fn is_as_taken(&self, metadata: &Metadata) -> bool {
        metadata.ino == self.take.inode
            && metadata.size == self.take.size
            && landing::nanoseconds(metadata) == self.take.mtime_ns
    }
}

impl Run<'_> {
    /// Moves a file out of the landing. What is no longer there, or not as it was, stays with its source.
    pub fn move_in(&mut self, item: &mut Item) -> Result<()> {
        let take = &item.take;
        let (above, name) = landing::split(&take.path);
        let parent = match self.landings.get(&take.source) {
            Some(landing) => landing::below(&landing.data, above)?,
            None => None,
        };
        item.held = match parent {
            Some(parent)
                if parent
                    .stat(name)?
                    .is_some_and(|found| item.is_as_taken(&found)) =>
            {
                parent.move_to(name, &self.intake.incoming, &take.delivery)? == Moved::Done
            }
            _ => false,
        };
        fault::point("ingest.taken")
    }

    /// Makes a file ours alone, and hashes it. One that is busy, or not what it seemed, goes back.
    pub fn check(&mut self, item: &mut Item) -> Result<()> {
        if !item.held || item.decision.is_some() {
            return Ok(());
        }
        let node = match self.intake.incoming.held(&item.take.delivery) {
            Ok(Some(node)) => node,
            // A killed run had not moved it yet.
            Ok(None) => {
                item.held = false;
                return Ok(());
            }
            Err(error) if landing::is_odd(&error) => {
                return self.put_back(item, "not-a-file", "it was exchanged while it was taken");
            }
            Err(error) => return Err(error),
        };
        // Another name of it may be a file that is none of ours: its rights are not touched.
        if node.metadata()?.links != 1 {
            return self.put_back(item, "linked", "it has other names: deliver a copy");
        }
        if has_writer(&node)? {
            return self.put_back(item, "in-use", "a program still has it open for writing");
        }
        secure(&node)?;
        // Whoever opened or linked it in the last moment; nobody can any more.
        if has_writer(&node)? {
            return self.put_back(item, "in-use", "a program still has it open for writing");
        }
        let metadata = node.metadata()?;
        if metadata.links != 1 {
            return self.put_back(item, "linked", "it has other names: deliver a copy");
        }
        if !item.is_as_taken(&metadata) {
            return self.put_back(item, "growing", "it was changed while it was taken");
        }
        match hash(&node) {
            Ok(sha256) => item.sha256 = Some(sha256),
            Err(error) if error.code() == "ingest.unreadable" => {
                return self.put_back(item, "unreadable", &error.to_string());
            }
            Err(error) => return Err(error),
        }
        if !item.is_as_taken(&node.metadata()?) {
            return self.put_back(item, "growing", "it was changed while it was read");
        }
        item.node = Some(node);
        Ok(())
    }

    /// What to do with a file that was hashed. `None` where that is known already, or it went back.
    pub fn decide(&mut self, item: &mut Item) -> Result<Option<Decision>> {
        if !item.held || item.decision.is_some() {
            return Ok(None);
        }
        let Some(sha256) = item.sha256.clone() else {
            return Ok(None);
        };
        let Some(landing) = self.landings.get_mut(&item.take.source) else {
            return self
                .put_back(item, "no-destination", "its source is gone")
                .map(|()| None);
        };
        let path = &item.take.path;
        let expected = landing.expected(path)?;
        let Some(destination) = &mut landing.destination else {
            let why = "the definition does not say where it goes";
            return self.put_back(item, "no-destination", why).map(|()| None);
        };
        let into = destination.below(path);
        let verdict = match expected {
            Expected::Nonsense => {
                let why = "the checksum file beside it is no line of `sha256sum` about it";
                return self.put_back(item, "sum-invalid", why).map(|()| None);
            }
            Expected::Sum(sum) if sum != sha256 => Verdict::Checksum,
            Expected::Sum(_) | Expected::Nothing => match destination.look(path)? {
                Place::Free => Verdict::Received,
                Place::Occupied(there) => {
                    compare(self.work.experiment, &into, &there, item.take.size, &sha256)?
                }
                Place::Twin(other) => {
                    let why = landing::twin(&destination.below(&other));
                    return self.put_back(item, "name-twin", &why).map(|()| None);
                }
                Place::Blocked(why) => {
                    return self.put_back(item, "no-destination", &why).map(|()| None);
                }
            },
        };
        Ok(Some(Decision {
            delivery: item.take.delivery.clone(),
            verdict,
            sha256,
            into,
            time: clock::now_text(),
        }))
    }

    /// Does what was decided. Repeated after a crash, it ends in the same.
    pub fn settle(&mut self, item: &mut Item) -> Result<()> {
        let Some(decision) = item.verdict().cloned() else {
            return Ok(());
        };
        match decision.verdict {
            Verdict::Received => self.place(item, &decision)?,
            Verdict::Again => {
                self.intake.incoming.drop_name(&decision.delivery)?;
            }
            Verdict::Checksum => self.intake.keep(&kept(&item.take, "checksum"))?,
            Verdict::NameTaken => {
                if self.intake.incoming.stat(&decision.delivery)?.is_some() {
                    self.put_back(item, "name-taken", &landing::name_taken(&decision.into))?;
                }
                // Its receipt is still to be written.
                item.held = true;
            }
        }
        fault::point("ingest.settled")
    }

    fn place(&mut self, item: &mut Item, decision: &Decision) -> Result<()> {
        let node = match item.node.take() {
            Some(node) => Some(node),
            None => self.intake.incoming.held(&decision.delivery)?,
        };
        let Some(landing) = self.landings.get(&item.take.source) else {
            return self.put_back(item, "no-destination", "its source is gone");
        };
        let (above, name) = landing::split(&decision.into);
        let Some(node) = node else {
            // A killed run had moved it: into its place, or nowhere that we know (a member moved it on since).
            let there = match landing::below(self.work.experiment, above)? {
                Some(dir) => dir.stat(name)?,
                None => None,
            };
            item.held = there.is_some_and(|found| item.is_as_taken(&found));
            return Ok(());
        };
        let Some(destination) = &landing.destination else {
            return self.put_back(item, "no-destination", "its directory is gone");
        };
        destination.still_there(self.work.experiment)?;
        let dir = match destination.directory_of(&item.take.path, &self.intake.incoming) {
            Ok(dir) => dir,
            Err(error) if landing::is_odd(&error) || error.code() == "path.missing" => {
                return self.put_back(item, "no-destination", &error.to_string());
            }
            Err(error) => return Err(error),
        };
        destination.dress_file(&node, self.work.seal.is_some())?;
        match self
            .intake
            .incoming
            .move_to(&decision.delivery, &dir, name)?
        {
            Moved::Done => {}
            // The directory was taken away under us.
            Moved::Missing => {
                return self.put_back(item, "no-destination", "its directory went away");
            }
            // Somebody was quicker: decide again.
            Moved::Taken => {
                secure(&node)?;
                let verdict = match dir.stat(name)? {
                    Some(there) => compare(
                        self.work.experiment,
                        &decision.into,
                        &there,
                        item.take.size,
                        &decision.sha256,
                    )?,
                    None => Verdict::NameTaken,
                };
                let again = Decision {
                    verdict,
                    ..decision.clone()
                };
                self.intake.decide(std::slice::from_ref(&again))?;
                item.decision = Some(again);
                return self.settle(item);
            }
        }
        let there = dir.stat(name)?;
        if !there.is_some_and(|found| item.is_as_taken(&found)) {
            self.report.warnings.push(Warning {
                path: decision.into.clone(),
                code: "file.moved",
                text: "somebody changed or moved it in the moment it was in its place".into(),
            });
        }
        Ok(())
    }

    /// Gives a file back to its source, as it was.
    pub fn put_back(&mut self, item: &mut Item, reason: &'static str, why: &str) -> Result<()> {
        item.node = None;
        if !std::mem::replace(&mut item.held, false) {
            return Ok(());
        }
        let take = &item.take;
        let Some(found) = self.intake.incoming.stat(&take.delivery)? else {
            return Ok(());
        };
        let parent = self.way_back(take)?;
        if let (Some(parent), Some(node)) = (&parent, self.open_quietly(&take.delivery)?)
            && node.metadata()?.links == 1
        {
            restore(&node, take, parent)?;
        }
        let (_, name) = landing::split(&take.path);
        let moved = match &parent {
            Some(parent) => self.intake.incoming.move_to(&take.delivery, parent, name)?,
            None => Moved::Taken,
        };
        if moved != Moved::Done {
            // A newer file has its name, or its directory went away in this moment: it is kept for people.
            return self.intake.keep(&kept(take, "superseded"));
        }
        self.report.pending.push(Pending {
            source: take.source.clone(),
            path: take.path.clone(),
            size: found.size,
            age: 0,
            reason,
            detail: why.to_owned(),
        });
        Ok(())
    }

    fn open_quietly(&self, delivery: &str) -> Result<Option<Node>> {
        match self.intake.incoming.held(delivery) {
            Err(error) if landing::is_odd(&error) => Ok(None),
            other => other,
        }
    }

    /// The directory from which a file was taken; made again where its source took it away. `None` where something
    /// else stands there now.
    fn way_back(&self, take: &Take) -> Result<Option<Dir>> {
        let Some(landing) = self.landings.get(&take.source) else {
            return Ok(None);
        };
        let (above, _) = landing::split(&take.path);
        let mut dir = landing.data.try_clone()?;
        for name in above.split('/').filter(|name| !name.is_empty()) {
            let made = match dir.create_dir(name, 0o770) {
                Ok(made) => made,
                Err(error) if landing::is_odd(&error) || error.code() == "path.missing" => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let Some(below) = landing::below(&dir, name)? else {
                return Ok(None);
            };
            if made == Made::Created && process::is_root() {
                below.set_owner(Some(take.uid), Some(take.gid))?;
            }
            dir = below;
        }
        Ok(Some(dir))
    }
}

/// Whether the same content lies in its place.
fn compare(
    experiment: &Dir,
    into: &str,
    there: &Metadata,
    size: u64,
    sha256: &str,
) -> Result<Verdict> {
    if there.size != size {
        return Ok(Verdict::NameTaken);
    }
    let (above, name) = landing::split(into);
    let Some(dir) = landing::below(experiment, above)? else {
        return Ok(Verdict::NameTaken);
    };
    let node = match dir.node_at(name) {
        Ok(Some(node)) => node,
        Ok(None) => return Ok(Verdict::NameTaken),
        Err(error) if landing::is_odd(&error) => return Ok(Verdict::NameTaken),
        Err(error) => return Err(error),
    };
    let same = node.metadata()?.kind == crate::sys::dir::FileKind::File && hash(&node)? == sha256;
    Ok(if same {
        Verdict::Again
    } else {
        Verdict::NameTaken
    })
}

fn kept(take: &Take, reason: &str) -> Kept {
    Kept {
        delivery: take.delivery.clone(),
        source: take.source.clone(),
        path: take.path.clone(),
        reason: reason.to_owned(),
        time: clock::now_text(),
    }
}

/// True while a program writes to it. A file system that cannot tell leaves it at what the times say.
fn has_writer(node: &Node) -> Result<bool> {
    match node.has_writer() {
        Err(error) if error.code() == "disk.unsupported" => Ok(false),
        other => other,
    }
}

/// Takes a file from its source: root's, no access list, nobody else.
fn secure(node: &Node) -> Result<()> {
    if process::is_root() {
        node.set_owner(Some(0), None)?;
    }
    node.set_acl(Which::Access, None)?;
    node.set_mode(0o600)
}

/// Gives it back: its owner, its mode, and the list that a new file there gets.
fn restore(node: &Node, take: &Take, parent: &Dir) -> Result<()> {
    match parent.acl(Which::Default)? {
        Some(mut list) if !list.is_minimal() => {
            list.user_obj = Perms::from_bits(take.mode >> 6);
            list.mask = Some(Perms::from_bits(take.mode >> 3));
            node.set_acl(Which::Access, Some(&list))?;
        }
        _ => node.set_mode(take.mode)?,
    }
    if process::is_root() {
        node.set_owner(Some(take.uid), Some(take.gid))?;
    }
    Ok(())
}

/// SHA-256 of what a file holds, in hexadecimal.
pub(super) fn hash(node: &Node) -> Result<String> {
    let mut file = node.file();
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        process::check_interrupted()?;
        let read = file.read(&mut piece).map_err(|e| {
            Error::new(
                "ingest.unreadable",
                format!("{} cannot be read", node.path().display()),
            )
            .hint("check the disk and the system log")
            .source(e)
        })?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
    }
    Ok(crate::store::hexadecimal(&hash.finalize()))
}
