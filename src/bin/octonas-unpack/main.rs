//! `octonas-unpack`: what a container holds (installed as `/usr/lib/octonas/unpack`).
//!
//! Standard input is a tar, zip, or a tar in gzip or Zstandard; standard output takes frames (`octonas::package::frames`):
//! entries and their bytes. It opens no path and has given up everything else before it looks at the first byte, like
//! `octonas-probe`: what a container says of paths, links and sizes is data for whoever asked, who decides what to
//! make of it. A file is sought in, a pipe (something that is being decrypted) is read once from its beginning.

#[path = "../octonas-probe/confine.rs"]
mod confine;
mod tarball;
mod zipped;

use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::Whence;
use octonas::package::frames;

/// The exit code of a program that could not confine itself, and looked at nothing (sysexits(3): `EX_OSERR`).
const UNCONFINED: u8 = 71;
/// The longest that it may compute: whoever asked ends it before, where it gives too much.
const SECONDS: u64 = 7 * 24 * 3600;
/// The largest window of a Zstandard frame that is held in memory: 2^27 bytes, what `zstd -d` allows.
const WINDOW_LOG: u32 = 27;

/// What a container may hold behind the end of its tar (padding to whole records: tar(1), `--blocking-factor`), in bytes.
const TAIL: u64 = 64 << 20;

/// Why a container cannot be read on.
pub struct Broken {
    code: &'static str,
    message: String,
}

impl Broken {
    /// A finding with its code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// What ends the work: the container, or whoever asked.
pub enum Stop {
    /// Something is wrong with the container.
    Broken(Broken),
    /// Nobody listens any more.
    Deaf(io::Error),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// The container: standard input without a buffer, which may be a file or a pipe.
pub struct Given;

impl Read for Given {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(io::stdin().as_fd(), buffer)?)
    }
}

impl Seek for Given {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (offset, whence) = match to {
            SeekFrom::Start(offset) => (i64::try_from(offset), Whence::SeekSet),
            SeekFrom::Current(offset) => (Ok(offset), Whence::SeekCur),
            SeekFrom::End(offset) => (Ok(offset), Whence::SeekEnd),
        };
        let offset = offset.map_err(io::Error::other)?;
        let now = nix::unistd::lseek(io::stdin().as_fd(), offset, whence)?;
        u64::try_from(now).map_err(io::Error::other)
    }
}

/// What came out of a compression, which may only be so much: also what is passed over costs time.
pub struct Measured<R> {
    inner: R,
    left: u64,
}

/// Too much came out.
static IS_BOMB: AtomicBool = AtomicBool::new(false);

impl<R> Measured<R> {
    /// From here on at most so much.
    pub fn at_most(&mut self, limit: u64) {
        self.left = self.left.min(limit);
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            IS_BOMB.store(true, Ordering::Relaxed);
            return Err(io::Error::other("it becomes too much"));
        };
        self.left = left;
        Ok(read)
    }
}

fn main() -> ExitCode {
    // Whoever asks says how many bytes may come out.
    let limit = std::env::args().nth(1).and_then(|text| text.parse().ok());
    // The message of a panic goes to whoever reads a log, not into the answer.
    std::panic::set_hook(Box::new(|_| {}));
    if let Err(error) = confine::confine(0, SECONDS) {
        let _ = writeln!(
            io::stderr(),
            "octonas-unpack: cannot confine itself: {error}"
        );
        return ExitCode::from(UNCONFINED);
    }
    let mut out = BufWriter::with_capacity(1 << 17, io::stdout().lock());
    let ended = match unpack(&mut out, limit.unwrap_or(u64::MAX)) {
        Ok(()) => frames::end(&mut out),
        Err(Stop::Broken(broken)) => {
            let code = if IS_BOMB.load(Ordering::Relaxed) {
                "container.bomb"
            } else {
                broken.code
            };
            frames::finding(&mut out, code, &broken.message).and_then(|()| frames::end(&mut out))
        }
        Err(Stop::Deaf(error)) => Err(error),
    };
    match ended.and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a container begins with says what it is.
fn unpack(out: &mut impl Write, limit: u64) -> Result<(), Stop> {
    fn measured<R: Read>(inner: R, left: u64) -> Measured<R> {
        Measured { inner, left }
    }
    let mut input = BufReader::with_capacity(1 << 16, Given);
    let start = input
        .fill_buf()
        .map_err(|e| Broken::new("container.damaged", format!("it cannot be read: {e}")))?;
    let is_tar = |block: &[u8]| block.get(257..262) == Some(b"ustar");
    match start {
        [] => Err(Broken::new("container.damaged", "it is empty").into()),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => {
            // Its list of files stands at its end.
            if Given.seek(SeekFrom::Start(0)).is_err() {
                return Err(Broken::new(
                    "container.unseekable",
                    "a zip cannot be read from a pipe: decrypt it first (age -d), then look at what came out",
                )
                .into());
            }
            zipped::unpack(out)
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(input)
                .map_err(|e| Broken::new("container.damaged", e.to_string()))?;
            decoder
                .window_log_max(WINDOW_LOG)
                .map_err(|e| Broken::new("container.damaged", e.to_string()))?;
            tarball::unpack(measured(decoder, limit), out)
        }
        [0x1f, 0x8b, ..] => {
            let decoder = flate2::bufread::MultiGzDecoder::new(input);
            tarball::unpack(measured(decoder, limit), out)
        }
        block if is_tar(block) => tarball::unpack(measured(input, limit), out),
        _ => Err(Broken::new("container.unknown", "it is no tar, zip, gzip or Zstandard").into()),
    }
}
