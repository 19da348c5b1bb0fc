//! What a file of a bag holds that is no file of the experiment: bytes, a file of ours, or something that is written anew each time
//! it is needed, so that it is never held in memory.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use crate::error::{Error, Result};

/// Whoever takes what is written, piece by piece.
pub type Taking<'t> = dyn FnMut(&[u8]) -> Result<()> + 't;

/// Writes the same bytes each time.
type Writing<'c> = Box<dyn Fn(&mut Taking<'_>) -> Result<()> + 'c>;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// A content of known size.
pub struct Content<'c> {
    size: u64,
    how: How<'c>,
}

enum How<'c> {
    Bytes(Vec<u8>),
    File(File),
    Written(Writing<'c>),
}

impl From<Vec<u8>> for Content<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            size: bytes.len() as u64,
            how: How::Bytes(bytes),
        }
    }
}

impl<'c> Content<'c> {
    /// The first `size` bytes of a file that only grows.
    pub fn file(file: File, size: u64) -> Self {
        Self {
            size,
            how: How::File(file),
        }
    }

    /// What `write` writes, the same each time; written once now, to know how much it is.
    pub fn written(write: impl Fn(&mut Taking<'_>) -> Result<()> + 'c) -> Result<Self> {
        let mut size = 0;
        write(&mut |bytes| {
            size += bytes.len() as u64;
            Ok(())
        })?;
        Ok(Self {
            size,
            how: How::Written(Box::new(write)),
        })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives all of it, in pieces.
    pub fn pour(&self, out: &mut Taking<'_>) -> Result<()> {
        match &self.how {
            How::Bytes(bytes) => bytes.chunks(PIECE).try_for_each(out),
            How::Written(write) => {
                // Entities of a line each become pieces that are worth writing.
                let mut gathered = Vec::with_capacity(2 * PIECE);
                write(&mut |bytes| {
                    gathered.extend_from_slice(bytes);
                    if gathered.len() >= PIECE {
                        out(&gathered)?;
                        gathered.clear();
                    }
                    Ok(())
                })?;
                out(&gathered)
            }
            How::File(file) => {
                let failed = |e: std::io::Error| {
                    Error::new(
                        "file.failed",
                        "evidence that goes into the package cannot be read",
                    )
                    .hint("see the system log for the disk")
                    .source(e)
                };
                let mut file = file;
                file.seek(SeekFrom::Start(0)).map_err(failed)?;
                let (mut left, mut buffer) = (self.size, vec![0; PIECE]);
                while left > 0 {
                    let room = buffer.len().min(usize::try_from(left).unwrap_or(PIECE));
                    let read = file
                        .read(buffer.get_mut(..room).unwrap_or_default())
                        .map_err(failed)?;
                    if read == 0 {
                        return Err(Error::new(
                            "package.changed",
                            "evidence became shorter while it was packed",
                        )
                        .hint("`octonas evidence verify` tells more"));
                    }
                    left -= read as u64;
                    out(buffer.get(..read).unwrap_or_default())?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn all(content: &Content<'_>) -> Vec<u8> {
        let mut all = Vec::new();
        content
            .pour(&mut |bytes| {
                all.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        assert_eq!(all.len() as u64, content.size());
        all
    }

    #[test]
    fn a_content_is_as_long_as_it_says_and_the_same_each_time() {
        let line = "x".repeat(1000);
        let written =
            Content::written(|out| (0..1000).try_for_each(|_| out(line.as_bytes()))).unwrap();
        assert_eq!(all(&written), line.repeat(1000).as_bytes());
        assert_eq!(all(&written), all(&written));
        let bytes = Content::from(vec![7; 300_000]);
        assert_eq!(all(&bytes), vec![7; 300_000]);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 700_000]).unwrap();
        // What was added since is not part of it.
        let content = Content::file(file.try_clone().unwrap(), 600_000);
        assert_eq!(all(&content), vec![1; 600_000]);
        assert_eq!(all(&content), vec![1; 600_000]);
        file.set_len(5).unwrap();
        let error = content.pour(&mut |_| Ok(())).unwrap_err();
        assert_eq!(error.code(), "package.changed");
    }
}
