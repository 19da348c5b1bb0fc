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
}

impl Limits {
    /// What a container of so many bytes may become: a thousand times as much, and 16 GiB in any case. Text compresses 20 times,
    /// measured series 100 times; deflate cannot do more than 1032 times.
    pub fn of(size: u64) -> Self {
        Self {
            bytes: size.saturating_mul(1000).max(16 << 30),
            entries: 20_000_000,
        }
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
            return Err(Error::new("age.identity", "the package is encrypted").hint(
                "give the file with your private key: --identity FILE; it is read, and kept nowhere",
            ));
        };
        age::installed()?;
        let mut running = age::decrypting(file, identity).start()?;
        file = File::from(OwnedFd::from(running.output()?));
        decrypting = Some(running);
    }
    let mut unpack = Command::new(Program::Unpack).file(file).start()?;
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
    let (mut bytes, mut entries) = (0_u64, 0_u64);
    let mut is_file = false;
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
                is_file = entry.kind == frames::Kind::File;
                visitor.entry(&entry)?;
            }
            Frame::Data if is_file => {
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
            Frame::Data => {}
            Frame::Finding { code, message } => {
                findings.error(known(&code), "", message);
            }
            Frame::End => return Ok(true),
        }
    }
}

/// The child may be in somebody else's hands: only what it could say is repeated.
fn known(code: &str) -> &'static str {
    const CODES: [&str; 4] = [
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
