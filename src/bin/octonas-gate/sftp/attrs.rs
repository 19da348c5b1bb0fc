//! One SFTP packet of the client, version 3 (draft-ietf-secsh-filexfer-02): its permission word is rewritten
//! in place, everything else stays as it came.
//!
//! POSIX ACLs cannot force a mode: whatever a client asks for at creation, or with chmod, narrows the ACL's
//! mask for every member. Clients do ask: OpenSSH's `put` sends the local mode of the file.
//!
//! The fields of the rewritten requests are parsed as strictly as sftp-server does, and never beyond their
//! packet: sftp-server notices a packet that is shorter than its fields only *after* it has carried it out.

use std::fmt;

/// What the client's request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// As `chmod(2)`: a symbolic link means its target.
    Yes,
    /// As `fchmodat(AT_SYMLINK_NOFOLLOW)`.
    No,
}

/// Answers whether a path of the client is an existing directory (`None`: no such thing to be seen).
pub trait Directories {
    /// Looks at `path`, taken from where the session starts.
    fn is_directory(&self, path: &[u8], follow: Follow) -> Option<bool>;
}

/// A packet that cannot be what it says: the session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const OPEN: u8 = 3;
const SETSTAT: u8 = 9;
const FSETSTAT: u8 = 10;
const MKDIR: u8 = 14;
const EXTENDED: u8 = 200;
const LSETSTAT: &[u8] = b"lsetstat@openssh.com";

const HAS_SIZE: u32 = 0x1;
const HAS_OWNERS: u32 = 0x2;
const HAS_PERMISSIONS: u32 = 0x4;

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;

/// Rewrites the permission word of one packet (`type, id, …`, without the length in front).
///
/// The length never changes. Packets of other types are not looked at.
pub fn rewrite(packet: &mut [u8], directories: &dyn Directories) -> Result<(), Malformed> {
    let mut at = Cursor { packet, at: 0 };
    let kind = at.byte()?;
    if !matches!(kind, OPEN | SETSTAT | FSETSTAT | MKDIR | EXTENDED) {
        return Ok(());
    }
    at.word()?; // request id
    let subject = at.string()?; // path, handle, or the name of an extension
    let (path, rule): (_, fn(u32, Option<bool>) -> u32) = match kind {
        OPEN => {
            at.word()?; // flags
            (None, |mode, _| file(mode))
        }
        MKDIR => (None, |mode, _| made_directory(mode)),
        FSETSTAT => (None, changed),
        SETSTAT => (Some((subject, Follow::Yes)), changed),
        _ => {
            if without_nul(at.bytes(subject)) != LSETSTAT {
                return Ok(());
            }
            (Some((at.string()?, Follow::No)), changed)
        }
    };
    let flags = at.word()?;
    if flags & HAS_SIZE != 0 {
        at.word()?;
        at.word()?;
    }
    if flags & HAS_OWNERS != 0 {
        at.word()?;
        at.word()?;
    }
    if flags & HAS_PERMISSIONS == 0 {
        return Ok(());
    }
    let place = at.at;
    let asked = at.word()?;
    let seen = path.and_then(|(path, follow)| {
        let path = without_nul(at.bytes(path));
        directories.is_directory(path, follow)
    });
    packet[place..place + 4].copy_from_slice(&rule(asked, seen).to_be_bytes());
    Ok(())
}

/// A file: readable and writable for its group, nothing for others, no setuid, setgid or sticky bit;
/// executable for the group where it is for the owner.
fn file(asked: u32) -> u32 {
    let mode = (asked | 0o660) & !0o7007;
    if mode & 0o100 == 0 {
        mode
    } else {
        mode | 0o010
    }
}

/// A new directory: open to its group, closed to others. mkdir(2) adds setgid as its parent has it.
fn made_directory(asked: u32) -> u32 {
    (asked | 0o770) & !0o7007
}

/// A chmod. Clients seldom say what they chmod (OpenSSH, lftp, paramiko and others send permission bits only,
/// sshfs the type as well), so the file system is asked.
///
/// - A directory that is seen gets `rwxrws---`: a recursive `chmod 644` must not shut everybody out of it, and
///   chmod(2), unlike chmod(1), would drop setgid.
/// - What cannot be seen (a handle; a directory whose creation is still under way, as clients do not wait) is a
///   directory if its type bits say so, and otherwise treated as a file: a directory has x for its owner, so that
///   its group gets x too. Only setgid is lost, and no access depends on it.
fn changed(asked: u32, seen: Option<bool>) -> u32 {
    match seen {
        Some(true) => (asked | 0o2770) & !0o5007,
        None if asked & S_IFMT == S_IFDIR => made_directory(asked),
        Some(false) | None => file(asked),
    }
}

/// sftp-server takes one NUL at the end of a string for its end (`sshbuf_get_cstring`).
fn without_nul(string: &[u8]) -> &[u8] {
    string.strip_suffix(b"\0").unwrap_or(string)
}

/// Where a string lies in the packet.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

/// Reads fields, and never past the packet.
struct Cursor<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, length: usize) -> Result<Span, Malformed> {
        let start = self.at;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= self.packet.len());
        self.at = end.ok_or(Malformed("an SFTP request is shorter than its fields"))?;
        Ok(Span {
            start,
            end: self.at,
        })
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let span = self.take(1)?;
        Ok(self.packet[span.start])
    }

    fn word(&mut self) -> Result<u32, Malformed> {
        let span = self.take(4)?;
        let mut word = [0; 4];
        word.copy_from_slice(self.bytes(span));
        Ok(u32::from_be_bytes(word))
    }

    fn string(&mut self) -> Result<Span, Malformed> {
        let length = self.word()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn bytes(&self, span: Span) -> &[u8] {
        &self.packet[span.start..span.end]
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `dir` is a directory, `file` is not, nothing else exists.
    pub struct Tree;

    impl Directories for Tree {
        fn is_directory(&self, path: &[u8], _: Follow) -> Option<bool> {
            match path {
                b"dir" => Some(true),
                b"file" => Some(false),
                _ => None,
            }
        }
    }

    pub fn string(text: &[u8]) -> Vec<u8> {
        let mut out = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        out.extend(text);
        out
    }

    /// A request with a path (or handle), attributes flagged `flags`, and a mode if they have one.
    pub fn request(kind: u8, path: &[u8], flags: u32, mode: u32) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend(7u32.to_be_bytes());
        if kind == EXTENDED {
            out.extend(string(LSETSTAT));
        }
        out.extend(string(path));
        if kind == OPEN {
            out.extend(0x1au32.to_be_bytes());
        }
        out.extend(flags.to_be_bytes());
        if flags & HAS_SIZE != 0 {
            out.extend(0xffff_ffff_0000_0000u64.to_be_bytes());
        }
        if flags & HAS_OWNERS != 0 {
            out.extend(0xffff_ffff_ffff_ffffu64.to_be_bytes());
        }
        if flags & HAS_PERMISSIONS != 0 {
            out.extend(mode.to_be_bytes());
        }
        if flags & 8 != 0 {
            out.extend(0xffff_ffff_ffff_ffffu64.to_be_bytes());
        }
        out
    }

    fn rewritten(kind: u8, path: &[u8], flags: u32, mode: u32) -> u32 {
        let mut packet = request(kind, path, flags, mode);
        let before = packet.clone();
        rewrite(&mut packet, &Tree).unwrap();
        let times = if flags & 8 == 0 { 0 } else { 8 };
        let place = packet.len() - times - 4;
        assert_eq!(packet[..place], before[..place]);
        assert_eq!(packet[place + 4..], before[place + 4..]);
        u32::from_be_bytes(packet[place..place + 4].try_into().unwrap())
    }

    #[test]
    fn modes_come_out_as_the_wall_needs_them() {
        for (kind, path, asked, becomes) in [
            (OPEN, "new", 0o100_644, 0o100_660),
            (OPEN, "new", 0o600, 0o660),
            (OPEN, "new", 0o000, 0o660),
            (OPEN, "new", 0o777, 0o770),
            (OPEN, "new", 0o7777, 0o770),
            (OPEN, "new", 0o700, 0o770),
            (MKDIR, "new", 0o755, 0o770),
            (MKDIR, "new", 0o000, 0o770),
            (MKDIR, "new", 0o7777, 0o770),
            (SETSTAT, "file", 0o600, 0o660),
            (SETSTAT, "file", 0o444, 0o660),
            (SETSTAT, "file", 0o6755, 0o770),
            (SETSTAT, "dir", 0o600, 0o2770),
            (SETSTAT, "dir", 0o755, 0o2770),
            (SETSTAT, "dir", 0o7777, 0o2770),
            (SETSTAT, "dir\0", 0o644, 0o2770),
            (SETSTAT, "file", 0o040_755, 0o040_770),
            (SETSTAT, "not yet", 0o040_600, 0o040_770),
            (SETSTAT, "not yet", 0o700, 0o770),
            (SETSTAT, "not yet", 0o600, 0o660),
            (FSETSTAT, "\0\0\0\0", 0o600, 0o660),
            (FSETSTAT, "\0\0\0\0", 0o755, 0o770),
            (EXTENDED, "dir", 0o700, 0o2770),
            (EXTENDED, "file", 0o4700, 0o770),
        ] {
            for others in [0, 1, 2, 8, 11] {
                let got = rewritten(kind, path.as_bytes(), HAS_PERMISSIONS | others, asked);
                assert_eq!(got, becomes, "type {kind} {path:?} {asked:o}: {got:o}");
            }
        }
    }

    #[test]
    fn requests_without_a_mode_stay_as_they_came() {
        for kind in [OPEN, SETSTAT, FSETSTAT, MKDIR, EXTENDED] {
            for flags in [0, 1, 2, 8, 11] {
                let mut packet = request(kind, b"file", flags, 0);
                let before = packet.clone();
                rewrite(&mut packet, &Tree).unwrap();
                assert_eq!(packet, before);
            }
        }
    }

    #[test]
    fn other_requests_are_not_looked_at() {
        let mut other = vec![EXTENDED, 0, 0, 0, 1];
        other.extend(string(b"posix-rename@openssh.com"));
        for mut packet in [vec![1], vec![6, 0, 0], vec![255; 40], other] {
            let before = packet.clone();
            rewrite(&mut packet, &Tree).unwrap();
            assert_eq!(packet, before);
        }
    }

    #[test]
    fn an_extension_named_with_a_final_nul_is_still_that_extension() {
        let mut packet = vec![EXTENDED, 0, 0, 0, 1];
        packet.extend(string(b"lsetstat@openssh.com\0"));
        packet.extend(string(b"file"));
        packet.extend(HAS_PERMISSIONS.to_be_bytes());
        packet.extend(0o4777u32.to_be_bytes());
        rewrite(&mut packet, &Tree).unwrap();
        assert_eq!(packet[packet.len() - 4..], 0o770u32.to_be_bytes());
    }

    #[test]
    fn a_request_that_is_cut_short_anywhere_ends_the_session() {
        for kind in [OPEN, SETSTAT, FSETSTAT, MKDIR, EXTENDED] {
            let whole = request(kind, b"file", 7, 0o777);
            for length in 0..whole.len() {
                assert!(
                    rewrite(&mut whole[..length].to_vec(), &Tree).is_err(),
                    "type {kind}, {length} bytes"
                );
            }
        }
        let mut lying = request(SETSTAT, b"file", 4, 0o777);
        lying[5..9].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(rewrite(&mut lying, &Tree).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_packets_never_panic_and_keep_their_length(mut packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let length = packet.len();
            let _ = rewrite(&mut packet, &Tree);
            prop_assert_eq!(packet.len(), length);
        }

        #[test]
        fn no_mode_outside_the_mask_passes(
            kind in prop::sample::select(vec![OPEN, SETSTAT, FSETSTAT, MKDIR, EXTENDED]),
            path in prop::sample::select(vec!["dir", "file", "else", ""]),
            flags in any::<u32>().prop_map(|f| f & 0xf | HAS_PERMISSIONS),
            asked in any::<u32>(),
        ) {
            let got = rewritten(kind, path.as_bytes(), flags, asked);
            prop_assert_eq!(got & 0o5007, 0);
            prop_assert_eq!(got & 0o660, 0o660);
            prop_assert_eq!(got & !0o7777, asked & !0o7777);
            if got & 0o2000 != 0 {
                prop_assert!(path == "dir" && matches!(kind, SETSTAT | EXTENDED));
            }
            if got & 0o100 != 0 {
                prop_assert_eq!(got & 0o010, 0o010);
            }
        }
    }
}
