//! What a directory holds, beside what is known of it.

use std::collections::HashMap;

use super::Scan;
use super::read::Wanted;
use crate::error::Result;
use crate::store::catalogue::Catalogue;
use crate::store::catalogue::entries::{Known, Missing, Sum, UNSEEN};
use crate::store::pathname;
use crate::sys::dir::{Dir, Seen};

impl Scan<'_> {
    /// Files that are new, or not as they were, with what is known of them: many questions under one lock of the index.
    pub(super) fn compare(
        &mut self,
        folder: &str,
        files: impl Iterator<Item = Seen>,
        known: &mut Option<HashMap<String, Known>>,
    ) -> Result<Vec<(Wanted, Option<Known>)>> {
        let (report, there, matched) = (&mut self.report, &mut self.there, &mut self.matched);
        self.index.at_once(|index| {
            let mut changed = Vec::new();
            for seen in files {
                report.bytes += seen.size;
                *there = (there.0 + 1, there.1 + seen.size);
                let name = pathname::text(&seen.name);
                let before = match known {
                    Some(known) => known.remove(&name),
                    None => index.known(&pathname::join(folder, &name))?,
                };
                *matched += u64::from(before.is_some());
                if before
                    .as_ref()
                    .is_some_and(|before| is_unchanged(before, &seen))
                {
                    continue;
                }
                let path = pathname::join(folder, &name);
                let from = match before {
                    None => before_a_move(index, self.work.experiment, &path, &seen)?,
                    Some(_) => None,
                };
                changed.push((Wanted { path, seen, from }, before));
            }
            Ok(changed)
        })
    }
}

/// The file that this one was, if its old place is empty or somebody else's now.
fn before_a_move(
    index: &Catalogue,
    experiment: &Dir,
    path: &str,
    seen: &Seen,
) -> Result<Option<Missing>> {
    for before in index.of_inode(seen.inode, seen.size, seen.mtime_ns)? {
        if before.path == path || before.known.mark == 0 {
            continue;
        }
        let (folder, name) = pathname::split(&before.path);
        let there = match experiment.open(pathname::path(folder)) {
            Ok(Some(dir)) => dir.stat(pathname::path(name))?,
            Ok(None) => None,
            Err(error) if matches!(error.code(), "path.link" | "path.not-directory") => None,
            Err(_) => continue,
        };
        if there.is_none_or(|there| there.ino != seen.inode) {
            return Ok(Some(before));
        }
    }
    Ok(None)
}

/// What a file holds, where it need not be read: it came in, or the index was made again, and its line says what it holds
/// (verifying that is another matter); or a directory above it got another name, and the file itself was not touched.
pub(super) fn known_sum(file: &Wanted, before: Option<&Known>) -> Option<Sum> {
    let seen = &file.seen;
    let came_in = before.filter(|before| {
        before.ctime_ns == UNSEEN && (before.size, before.mtime_ns) == (seen.size, seen.mtime_ns)
    });
    let moved = file.from.as_ref().map(|from| &from.known);
    came_in
        .or(moved.filter(|known| known.ctime_ns == seen.ctime_ns))
        .and_then(|known| known.sha256)
}

pub(super) fn is_unchanged(before: &Known, now: &Seen) -> bool {
    before.mark != 0
        && (before.size, before.mtime_ns, before.ctime_ns, before.inode)
            == (now.size, now.mtime_ns, now.ctime_ns, now.inode)
}
