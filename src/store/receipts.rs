//! What a source is told: one line for every file that was received or refused, in its own landing.
//!
//! `landing/<source>/receipts/YYYY-MM-DD.jsonl` (UTC), only ever added to, on the disk when [`append`] returns; the source
//! reads it and cannot change it (docs/reference/landing.md).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::chain::last_line;
use super::lines::line;
use crate::error::{Error, Result};
use crate::sys::acl::{Perms, Which};
use crate::sys::dir::Dir;

/// The end of a file that is read; the longest line is shorter.
const TAIL: u64 = 128 << 10;
const LIMIT: u64 = 512 << 20;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is in its place.
    Received,
    /// It is not taken.
    Refused,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of the format: 1.
    pub receipt: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// Path below `data/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Last change of its content (RFC 3339, UTC, whole seconds).
    pub mtime: String,
    /// When this was decided (RFC 3339, UTC).
    pub time: String,
    /// Where it lies below the experiment; `None` where it was refused.
    pub into: Option<String>,
    /// Why it was refused: `checksum`, `name-taken`.
    pub reason: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
    /// Which delivery it was; none twice.
    pub delivery: String,
}

/// Adds receipts; they are on the disk when this returns. `day` is today in UTC, `YYYY-MM-DD`. Only under the lock of
/// whoever adds.
pub fn append(receipts: &Dir, day: &str, all: &[Receipt]) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let name = format!("{day}.jsonl");
    let mut text = String::new();
    for receipt in all {
        text.push_str(&line(receipt)?);
        text.push('\n');
    }
    // Its rights come before its content: a kill in between leaves an empty file, and the next time sets them.
    if receipts.stat(&name)?.is_none() {
        receipts.append(&name, b"")?;
    }
    show(receipts, &name)?;
    let (good, seen) = match receipts.read_tail(&name, TAIL)? {
        Some(tail) => (last_line(&tail).0, tail.size),
        None => (0, 0),
    };
    receipts.append_after(&name, good, seen, text.as_bytes())
}

/// Whoever reads the directory reads the file; nobody but us writes it.
fn show(receipts: &Dir, name: &str) -> Result<()> {
    let Some(node) = receipts.node_at(name)? else {
        return Ok(());
    };
    let Some(mut list) = receipts.acl(Which::Access)? else {
        return match node.metadata()?.mode {
            0o640 => Ok(()),
            _ => node.set_mode(0o640),
        };
    };
    let read = Perms::from_bits(4);
    list.user_obj = Perms::from_bits(6);
    for perms in list.users.values_mut().chain(list.groups.values_mut()) {
        *perms = read;
    }
    list.mask = Some(read);
    if node.acl(Which::Access)?.as_ref() == Some(&list) {
        return Ok(());
    }
    node.set_acl(Which::Access, Some(&list))
}

/// Which of these deliveries have a receipt of `since` (a day, `YYYY-MM-DD`) or later. For going on after a crash.
pub fn known(
    receipts: &Dir,
    since: &str,
    deliveries: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in receipts.entries()? {
        let Some(name) = entry.name.to_str().filter(|name| *name >= since) else {
            continue;
        };
        let bytes = receipts.read(name, LIMIT)?.unwrap_or_default();
        for piece in bytes.split(|&b| b == b'\n') {
            if let Ok(receipt) = serde_json::from_slice::<Receipt>(piece)
                && deliveries.contains(&receipt.delivery)
            {
                found.insert(receipt.delivery);
            }
        }
    }
    Ok(found)
}

/// The receipts directory of a landing; one that is not there is the error `landing.missing`.
pub fn directory(landing: &Dir) -> Result<Dir> {
    landing.child("receipts")?.ok_or_else(|| {
        Error::new(
            "landing.missing",
            format!("{} is gone", landing.path_of("receipts").display()),
        )
        .hint("`octonas experiment apply --mend` makes it again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{directory as scratch, points_of, with_fault};

    fn receipt(path: &str) -> Receipt {
        Receipt {
            receipt: 1,
            outcome: Outcome::Received,
            path: path.into(),
            size: 1,
            sha256: "ab".into(),
            mtime: "2026-03-01T10:00:00Z".into(),
            time: "2026-03-01T10:06:00Z".into(),
            into: Some("raw/a".into()),
            reason: None,
            detail: None,
            delivery: path.into(),
        }
    }

    #[test]
    fn receipts_are_whole_lines_whatever_happened_before() {
        let (_temp, dir) = scratch();
        append(&dir, "2026-03-01", &[receipt("a")]).unwrap();
        dir.append("2026-03-01.jsonl", b"{\"rece").unwrap();
        append(&dir, "2026-03-01", &[receipt("b"), receipt("c")]).unwrap();
        append(&dir, "2026-03-02", &[receipt("d")]).unwrap();
        let text = dir.read("2026-03-01.jsonl", LIMIT).unwrap().unwrap();
        assert_eq!(String::from_utf8(text).unwrap().lines().count(), 3);
        let wanted = ["a", "b", "d", "x"].map(str::to_owned).into();
        assert_eq!(
            known(&dir, "2026-03-02", &wanted).unwrap(),
            ["d".to_owned()].into()
        );
        let all = known(&dir, "2026-03-01", &wanted).unwrap();
        assert_eq!(all, ["a", "b", "d"].map(str::to_owned).into());
        assert_eq!(dir.stat("2026-03-01.jsonl").unwrap().unwrap().mode, 0o640);
    }

    #[test]
    fn a_failure_at_any_step_can_be_repeated() {
        let (_temp, dir) = scratch();
        let points = points_of(|| append(&dir, "2026-03-01", &[receipt("a")]).unwrap());
        for nth in 1..=points {
            let (_temp, dir) = scratch();
            with_fault("enospc", nth, || {
                append(&dir, "2026-03-01", &[receipt("a")])
            })
            .unwrap_err();
            let wanted: BTreeSet<String> = ["a".to_owned()].into();
            if known(&dir, "2026-03-01", &wanted).unwrap().is_empty() {
                append(&dir, "2026-03-01", &[receipt("a")]).unwrap();
            }
            let text = dir.read("2026-03-01.jsonl", LIMIT).unwrap().unwrap();
            assert_eq!(String::from_utf8(text).unwrap().lines().count(), 1);
        }
    }
}
