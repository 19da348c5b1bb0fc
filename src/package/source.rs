//! Reading a package that somebody gave: what it is by its first bytes, decrypted by `age` where it has to be, taken apart by
//! `octonas-unpack`, which has no rights; within limits, so that a small file that becomes a huge one ends.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::age;
use super::finding::Findings;
use super::frames::{self, Entry, Frame};
use crate::error::{Error, Result};
use crate::sys::command::{Command, Output, Program, Running};
use crate::sys::dir::{Dir, FileKind};
use crate::sys::process;

/// A package as it lies somewhere.
#[derive(Debug)]
pub enum Package {
    /// A directory.
    Directory(Dir),
    /// A file.
    Container {
        /// Open.
        file: File,
        /// Bytes.
        size: u64,
        /// It is encrypted.
        encrypted: bool,
    },
}

/// How much a container may become.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all files.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of all their paths.
    pub paths: u64,
}

impl Limits {
    /// What a container of so many bytes may become: a thousand times as much, and 16 GiB in any case. Text compresses 20 times,
    /// measured series 100 times; deflate cannot do more than 1032 times. An entry and its path need memory: the smallest
    /// file has 15 bytes in a container (its checksum in the tar, its line in the manifest), and four are believed.
    pub fn of(size: u64) -> Self {
        Self {
            bytes: size.saturating_mul(1000).max(16 << 30),
            entries: (1 << 20) + (size / 4).min(19 << 20),
            paths: (256 << 20) + size.saturating_mul(50).min(4 << 30),
        }
    }
}

impl Limits {
    /// What comes out of its compression: files, headers, and what is passed over.
    fn unpacked(self) -> u64 {
        self.entries
            .saturating_mul(4096)
            .saturating_add(self.paths.saturating_mul(2))
            .saturating_add(self.bytes)
    }
}

/// Who looks at what a container holds.
pub trait Visitor {
    /// An entry begins.
    fn entry(&mut self, entry: &Entry) -> Result<()>;
    /// Bytes of the file that began last.
    fn piece(&mut self, bytes: &[u8]) -> Result<()>;
    /// The file that began last is whole.
    fn end(&mut self) -> Result<()>;
}

impl Package {
    /// Opens what lies at an absolute path.
    pub fn open(path: &Path) -> Result<Self> {
        let missing = || {
            Error::new(
                "package.missing",
                format!("there is no package at {}", path.display()),
            )
            .hint("name a directory, or a .tar, .tar.gz, .tar.zst, .zip, or .age of one")
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(missing());
        };
        let parent = Dir::open_absolute(parent)?;
        match parent.stat(name)?.map(|found| found.kind) {
            None => Err(missing()),
            Some(FileKind::Directory) => Ok(Self::Directory(parent.existing(name)?)),
            Some(_) => {
                let node = parent.node_at(name)?.ok_or_else(missing)?;
                let size = node.metadata()?.size;
                let mut file = node.into_file();
                let mut start = [0; 32];
                let read = read_start(&mut file, &mut start)
                    .map_err(|e| crate::sys::dir::spoiled("read", path, &e))?;
                Ok(Self::Container {
                    file,
                    size,
                    encrypted: age::is_encrypted(start.get(..read).unwrap_or_default()),
                })
            }
        }
    }
}

fn read_start(file: &mut File, start: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < start.len() {
        match file.read(start.get_mut(read..).unwrap_or_default())? {
            0 => break,
            more => read += more,
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(read)
}

/// There is no key for what is encrypted.
pub fn locked() -> Error {
    Error::new("age.identity", "the package is encrypted")
        .hint("give the file with your private key: --identity FILE; it is read, and kept nowhere")
}

/// Shows a visitor everything that a container holds. What is wrong with the container is found; what is wrong with us, with
/// the identity or with the visitor is an error.
pub fn visit(
    file: &File,
    encrypted: bool,
    identity: Option<&PathBuf>,
    limits: Limits,
    visitor: &mut dyn Visitor,
    findings: &mut Findings,
) -> Result<()> {
    let mut file = file
        .try_clone()
        .map_err(|e| Error::new("file.failed", "cannot open the package again").source(e))?;
    file.seek(SeekFrom::Start(0)).map_err(|e| {
        Error::new("file.failed", "cannot read the package from its start").source(e)
    })?;
    let mut decrypting: Option<Running> = None;
    if encrypted {
        let Some(identity) = identity else {
            return Err(locked());
        };
        age::installed()?;
        let mut running = age::decrypting(file, identity).start()?;
        file = File::from(OwnedFd::from(running.output()?));
        decrypting = Some(running);
    }
    let mut unpack = Command::new(Program::Unpack)
        .arg(limits.unpacked().to_string())
        .file(file)
        .start()?;
    let mut output = BufReader::with_capacity(1 << 18, unpack.output()?);
    let whole = listen(&mut output, limits, visitor, findings)?;
    drop(output);
    if whole {
        judge(&unpack.end()?, findings)?;
    } else {
        drop(unpack);
    }
    if let Some(age) = decrypting {
        // Where nothing came out, age's reason counts, not what was made of nothing.
        let ended = age.end()?;
        if whole || findings.count("container.damaged") > 0 {
            decrypted(&ended, findings)?;
        }
    }
    Ok(())
}

/// How decrypting ended. A wrong identity is an error, a damaged file is found.
fn decrypted(ended: &Output, findings: &mut Findings) -> Result<()> {
    match age::ended(ended) {
        // SIGPIPE: nobody read on, after something else was found.
        Err(error) if error.code() == "age.failed" && ended.signal.is_none() => {
            findings.error("container.encryption", "", error.message());
            Ok(())
        }
        Err(error) if error.code() == "age.identity" => Err(error),
        _ => Ok(()),
    }
}

/// How the child ended.
fn judge(output: &Output, findings: &mut Findings) -> Result<()> {
    match (output.code, output.signal) {
        (Some(0), _) => Ok(()),
        (Some(71), _) => Err(Error::new(
            "unpack.unconfined",
            format!(
                "octonas-unpack could not give up its rights: {}",
                output.last_error_line().unwrap_or_default()
            ),
        )
        .hint("nothing was looked at; see what the kernel or a container forbids")),
        (code, signal) => {
            let how = match (code, signal) {
                (_, Some(signal)) => format!("signal {signal}"),
                (code, _) => format!("exit code {}", code.unwrap_or(-1)),
            };
            findings.error(
                "container.crash",
                "",
                format!("reading it crashed the program that takes it apart ({how})"),
            );
            Ok(())
        }
    }
}

/// Reads frames to the end. False where it is not listened to any more, because the container is too much.
fn listen(
    output: &mut impl std::io::Read,
    limits: Limits,
    visitor: &mut dyn Visitor,
    findings: &mut Findings,
) -> Result<bool> {
    let mut buffer = Vec::new();
    let (mut bytes, mut entries, mut paths) = (0_u64, 0_u64, 0_u64);
    // Bytes that the file may still have.
    let mut left = 0_u64;
    let (mut is_file, mut is_told) = (false, false);
    let nonsense = |findings: &mut Findings| {
        findings.error(
            "container.damaged",
            "",
            "what takes it apart talks nonsense",
        );
        Ok(false)
    };
    loop {
        let Ok(Some(frame)) = frames::read(output, &mut buffer) else {
            // It ended without saying so: how, its exit code tells.
            findings.error("container.damaged", "", "it cannot be read to its end");
            return Ok(true);
        };
        if is_file && !matches!(frame, Frame::Data) {
            is_file = false;
            // A finding in the middle of a file: the file is not whole.
            if !matches!(frame, Frame::Finding { .. }) {
                visitor.end()?;
            }
        }
        match frame {
            // Its last word is a finding; what follows is the end.
            _ if is_told && frame != Frame::End => return nonsense(findings),
            Frame::Entry(entry) => {
                process::check_interrupted()?;
                entries += 1;
                if entries > limits.entries {
                    findings.error(
                        "container.bomb",
                        "",
                        format!("it has more than {} entries", limits.entries),
                    );
                    return Ok(false);
                }
                paths += entry.path.len() as u64;
                if paths > limits.paths {
                    let text = format!("the names in it are longer than {} bytes", limits.paths);
                    findings.error("container.bomb", "", text);
                    return Ok(false);
                }
                is_file = entry.kind == frames::Kind::File;
                left = entry.size;
                visitor.entry(&entry)?;
            }
            Frame::Data if is_file && !buffer.is_empty() => {
                let Some(rest) = left.checked_sub(buffer.len() as u64) else {
                    return nonsense(findings);
                };
                left = rest;
                bytes += buffer.len() as u64;
                if bytes > limits.bytes {
                    findings.error(
                        "container.bomb",
                        "",
                        format!(
                            "it becomes more than {} bytes; --max-size allows more",
                            limits.bytes
                        ),
                    );
                    return Ok(false);
                }
                visitor.piece(&buffer)?;
            }
            Frame::Data => return nonsense(findings),
            Frame::Finding { code, message } => {
                findings.error(known(&code), "", message);
                is_told = true;
            }
            Frame::End => return Ok(true),
        }
    }
}

/// The child may be in somebody else's hands: only what it could say is repeated.
fn known(code: &str) -> &'static str {
    const CODES: [&str; 5] = [
        "container.bomb",
        "container.unseekable",
        "container.unknown",
        "container.unsupported",
        "container.damaged",
    ];
    CODES
        .into_iter()
        .find(|each| *each == code)
        .unwrap_or("container.damaged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::frames::Kind;

    struct Counting(u64);

    impl Visitor for Counting {
        fn entry(&mut self, _: &Entry) -> Result<()> {
            self.0 += 1;
            Ok(())
        }
        fn piece(&mut self, bytes: &[u8]) -> Result<()> {
            self.0 += bytes.len() as u64;
            Ok(())
        }
        fn end(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn file(out: &mut Vec<u8>, name: &str, size: u64) {
        let entry = Entry {
            kind: Kind::File,
            path: name.into(),
            size,
            seconds: 0,
            nanoseconds: 0,
            mode: 0o644,
        };
        frames::entry(out, &entry).unwrap();
    }

    /// What is found in what a child says, whether it was listened to until its end, and how much of it arrived.
    fn heard(said: &[u8]) -> (Vec<String>, bool, u64) {
        let limits = Limits {
            bytes: 100,
            entries: 3,
            paths: 50,
        };
        let (mut visitor, mut findings) = (Counting(0), Findings::default());
        let whole = listen(&mut &said[..], limits, &mut visitor, &mut findings).unwrap();
        let codes = findings.found.into_iter().map(|f| f.code).collect();
        (codes, whole, visitor.0)
    }

    #[test]
    fn a_child_in_other_hands_is_listened_to_only_as_far_as_a_sound_one_speaks() {
        let mut good = Vec::new();
        file(&mut good, "a", 3);
        frames::data(&mut good, b"abc").unwrap();
        frames::end(&mut good).unwrap();
        assert_eq!(heard(&good), (vec![], true, 4));

        let mut more = Vec::new();
        file(&mut more, "a", 3);
        for _ in 0..20 {
            frames::data(&mut more, b"abc").unwrap();
        }
        assert_eq!(heard(&more), (vec!["container.damaged".into()], false, 4));

        let mut nothing = Vec::new();
        file(&mut nothing, "a", 3);
        frames::data(&mut nothing, b"").unwrap();
        assert_eq!(heard(&nothing).0, ["container.damaged"]);

        let mut loose = Vec::new();
        frames::data(&mut loose, b"abc").unwrap();
        assert_eq!(heard(&loose), (vec!["container.damaged".into()], false, 0));

        let mut told = Vec::new();
        for _ in 0..2 {
            frames::finding(&mut told, "container.unknown", "x").unwrap();
        }
        assert_eq!(heard(&told).0, ["container.unknown", "container.damaged"]);

        let mut names = Vec::new();
        file(&mut names, &"n".repeat(60), 0);
        assert_eq!(heard(&names), (vec!["container.bomb".into()], false, 0));

        let mut many = Vec::new();
        for _ in 0..4 {
            file(&mut many, "n", 0);
        }
        assert_eq!(heard(&many), (vec!["container.bomb".into()], false, 3));
    }
}
