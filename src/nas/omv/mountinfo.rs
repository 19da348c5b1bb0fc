//! The kernel's table of mounts (proc_pid_mountinfo(5)).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Unique among all mount namespaces while it lives.
    pub id: u32,
    /// `major:minor` of the file system.
    pub device: String,
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    /// Where it is mounted, as the reading process sees it.
    pub target: PathBuf,
    /// Options of this mount (`ro`, `nosuid`, `nosymfollow` …), not of the file system.
    pub options: BTreeSet<String>,
    /// True where mounts beneath it show up elsewhere, or the other way round.
    pub is_shared: bool,
    /// Type of the file system.
    pub kind: String,
}

impl Mount {
    /// True where nobody can write through it.
    pub(super) fn is_read_only(&self) -> bool {
        self.options.contains("ro")
    }

    /// True where it shows the same directory of the same file system as `other`.
    pub(super) fn shows_same(&self, other: &Self) -> bool {
        self.device == other.device && self.root == other.root
    }

    /// True where it shows something at or beneath what `other` shows.
    pub(super) fn shows_within(&self, other: &Self) -> bool {
        self.device == other.device && self.root.starts_with(&other.root)
    }
}

/// The mounts that a process sees.
pub(super) fn of(pid: &str) -> Result<Vec<Mount>> {
    let file = format!("/proc/{pid}/mountinfo");
    let text = std::fs::read(&file)
        .map_err(|e| Error::new("system.mounts", format!("cannot read {file}")).source(e))?;
    Ok(parse(&text))
}

/// The mounts of this process, in the order in which they were made.
pub(super) fn own() -> Result<Vec<Mount>> {
    of("self")
}

/// The topmost mount at `target`.
pub(super) fn at<'t>(table: &'t [Mount], target: &Path) -> Option<&'t Mount> {
    table.iter().rfind(|m| m.target == target)
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&b| b == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
    let dash = fields.iter().position(|f| *f == b"-")?;
    let word = |i: usize| fields.get(i).map(|f| String::from_utf8_lossy(f).into_owned());
    let path = |i: usize| fields.get(i).map(|f| PathBuf::from(unescape(f)));
    Some(Mount {
        id: word(0)?.parse().ok()?,
        device: word(2)?,
        root: path(3)?,
        target: path(4)?,
        options: word(5)?.split(',').map(str::to_owned).collect(),
        is_shared: fields.get(6..dash)?.iter().any(|f| f.starts_with(b"shared:")),
        kind: word(dash + 1)?,
    })
}

/// Spaces, tabs, newlines and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after
            .get(..3)
            .filter(|d| byte == b'\\' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        if let Some(d) = digits {
            out.push((d[0] - b'0').wrapping_mul(64) | ((d[1] - b'0') * 8) | (d[2] - b'0'));
            rest = &after[3..];
        } else {
            out.push(byte);
        }
    }
    OsString::from_vec(out)
}

/// A path as one word for people; what is not text is replaced.
pub(super) fn shown(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_its_optional_fields() {
        let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                     41 36 0:33 /a\\040b /srv/a\\040b ro,nosuid,nodev,nosymfollow shared:7 master:2 - btrfs /dev/sdb rw\n\
                     nonsense\n";
        let table = parse(text);
        assert_eq!(table.len(), 2);
        assert_eq!(table[0].target, Path::new("/mnt2"));
        assert!(!table[0].is_shared && !table[0].is_read_only());
        assert_eq!(table[1].root, Path::new("/a b"));
        assert!(table[1].is_shared && table[1].is_read_only());
        assert_eq!((table[1].kind.as_str(), table[1].id), ("btrfs", 41));
    }

    #[test]
    fn the_topmost_of_stacked_mounts_counts() {
        let text = b"1 0 8:1 / /x rw - ext4 d rw\n2 1 8:1 /y /x ro - ext4 d rw\n";
        let table = parse(text);
        assert_eq!(at(&table, Path::new("/x")).unwrap().id, 2);
    }

    #[test]
    fn a_neighbour_with_the_same_beginning_is_not_within() {
        let text = b"1 0 8:1 /lake /a rw - ext4 d rw\n2 0 8:1 /lake2 /b rw - ext4 d rw\n3 0 8:1 /lake/raw /c rw - ext4 d rw\n";
        let t = parse(text);
        assert!(!t[1].shows_within(&t[0]) && t[2].shows_within(&t[0]) && !t[2].shows_same(&t[0]));
    }
}
