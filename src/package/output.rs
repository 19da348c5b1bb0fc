//! The file of a container: its bytes go to the disk, through age first where it is encrypted, and are counted on the way.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::ChildStdin;
use std::thread::JoinHandle;

use super::age::{self, Recipient};
use super::algorithm::{Algorithm, Digests, Hasher};
use crate::error::{Error, Result};
use crate::sys::command::Running;
use crate::sys::dir::{Dir, Fresh, spoiled};

/// What a container has to be checked against when it is read again.
const SUM: [Algorithm; 1] = [Algorithm::Sha256];

/// A file that grows.
pub enum Output {
    /// As it is.
    Plain(Box<Direct>),
    /// Encrypted.
    Sealed(Box<Sealed>),
}

/// Bytes to the disk, and their checksum.
pub struct Direct {
    fresh: Fresh,
    hasher: Hasher,
}

/// Bytes to age, and what age gives to the disk.
pub struct Sealed {
    input: Option<ChildStdin>,
    age: Running,
    /// `None` once it is known how it ended.
    pump: Option<JoinHandle<Result<Direct>>>,
}

impl Output {
    /// A new file in `dir`, for these recipients; none of them means that it is not encrypted.
    pub fn new(dir: &Dir, recipients: &[Recipient]) -> Result<Self> {
        let mut direct = Direct {
            fresh: dir.fresh()?,
            hasher: Hasher::new(&SUM),
        };
        if recipients.is_empty() {
            return Ok(Self::Plain(Box::new(direct)));
        }
        let mut age = age::encrypting(recipients).start()?;
        let input = Some(age.input()?);
        let mut output = age.output()?;
        let pump = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 18];
            loop {
                let read = output
                    .read(&mut buffer)
                    .map_err(|e| Error::new("age.failed", "age cannot be read").source(e))?;
                if read == 0 {
                    return Ok(direct);
                }
                direct.put(buffer.get(..read).unwrap_or_default())?;
            }
        });
        Ok(Self::Sealed(Box::new(Sealed {
            input,
            age,
            pump: Some(pump),
        })))
    }

    /// Everything is written; gives the file, without a name yet, and its checksum.
    pub fn finish(self) -> Result<(Fresh, Digests)> {
        let mut direct = match self {
            Self::Plain(direct) => *direct,
            Self::Sealed(sealed) => {
                let Sealed {
                    mut input,
                    age,
                    pump,
                } = *sealed;
                drop(input.take());
                let direct = pump.map_or_else(|| Err(unwritten()), joined);
                age::ended(&age.end()?)?;
                direct?
            }
        };
        direct.fresh.sync()?;
        Ok((direct.fresh, direct.hasher.take()))
    }
}

fn unwritten() -> Error {
    Error::new("age.failed", "what age gave was not written")
        .hint("run it again; see the system log")
}

fn joined(pump: JoinHandle<Result<Direct>>) -> Result<Direct> {
    pump.join().unwrap_or_else(|_| Err(unwritten()))
}

impl Direct {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.fresh.write(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(direct) => direct
                .put(bytes)
                .map(|()| bytes.len())
                .map_err(io::Error::other),
            Self::Sealed(sealed) => match &mut sealed.input {
                Some(input) => input.write(bytes).map_err(|error| {
                    // Nobody reads any more: what took age's output away says why.
                    sealed
                        .pump
                        .take()
                        .and_then(|pump| joined(pump).err())
                        .map_or(error, io::Error::other)
                }),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What writing into a container failed with: our own error, where it came through somebody else's writer.
pub fn broken(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => spoiled("write", Path::new("the package"), &error),
    }
}

/// Reads a finished file again, from the disk where the kernel lets go of its pages, and compares.
pub fn reread(file: &File, expected: &Digests) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    crate::sys::dir::forget_pages(file);
    let mut hasher = Hasher::new(&SUM);
    let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
    loop {
        crate::sys::process::check_interrupted()?;
        let read = file
            .read_at(&mut buffer, at)
            .map_err(|e| spoiled("read again", Path::new("the package"), &e))?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        at += read as u64;
    }
    if hasher.take() == *expected {
        return Ok(());
    }
    Err(Error::new(
        "package.corrupt",
        "what was written is not what the disk gives back",
    )
    .hint(
        "the disk, its controller or the memory is failing: see the system log, use another disk",
    ))
}
