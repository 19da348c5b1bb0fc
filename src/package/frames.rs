//! What `octonas-unpack` says of a container, and how it is read: frames on a pipe, so that whoever asked parses nothing
//! that somebody else wrote but a tag, lengths and numbers.
//!
//! A frame is a tag of one byte, then: `E` an entry (kind `f`, `d`, `l` or `o`; the path's length as u32 and its bytes; size u64,
//! seconds i64, nanoseconds u32, mode u32), `D` a piece of the file that was begun last (length u32 and bytes), `F` a finding
//! (code and message, a length u32 each), `Z` the end of a whole container. Numbers are little-endian.

use std::io::{self, ErrorKind, Read, Write};

/// The longest path that is told, in bytes.
pub const PATH_MAX: u32 = 32 << 10;
/// The largest piece of a file, in bytes.
pub const PIECE_MAX: u32 = 1 << 20;
/// The longest text of a finding, in bytes.
const TEXT_MAX: u32 = 4096;

/// What an entry of a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic or hard link; never made.
    Link,
    /// A device, a FIFO or something that we do not know; never made.
    Other,
}

/// An entry of a container, as its header tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its path, as it stands there: not checked.
    pub path: Vec<u8>,
    /// Bytes of a file.
    pub size: u64,
    /// Last change, in seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: u32,
    /// Permission bits.
    pub mode: u32,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// An entry begins.
    Entry(Entry),
    /// A piece of the last file; its bytes are in the buffer.
    Data,
    /// Something is wrong with the container.
    Finding {
        /// `container.damaged` …
        code: String,
        /// For people.
        message: String,
    },
    /// The container was read to its end.
    End,
}

/// Writes an entry.
pub fn entry(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let kind = match entry.kind {
        Kind::File => b'f',
        Kind::Directory => b'd',
        Kind::Link => b'l',
        Kind::Other => b'o',
    };
    out.write_all(&[b'E', kind])?;
    bytes(out, &entry.path, PATH_MAX)?;
    out.write_all(&entry.size.to_le_bytes())?;
    out.write_all(&entry.seconds.to_le_bytes())?;
    out.write_all(&entry.nanoseconds.to_le_bytes())?;
    out.write_all(&entry.mode.to_le_bytes())
}

/// Writes a piece of a file.
pub fn data(out: &mut impl Write, piece: &[u8]) -> io::Result<()> {
    out.write_all(b"D")?;
    bytes(out, piece, PIECE_MAX)
}

/// Writes a finding.
pub fn finding(out: &mut impl Write, code: &str, message: &str) -> io::Result<()> {
    out.write_all(b"F")?;
    for text in [code, message] {
        let mut end = text.len().min(1000);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        bytes(out, &text.as_bytes()[..end], TEXT_MAX)?;
    }
    Ok(())
}

/// Writes the end.
pub fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"Z")
}

fn bytes(out: &mut impl Write, bytes: &[u8], limit: u32) -> io::Result<()> {
    let length = u32::try_from(bytes.len())
        .ok()
        .filter(|length| *length <= limit)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "a frame is too long"))?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Reads a frame; `None` where the pipe ends before one. A piece of a file is put into `buffer`.
pub fn read(input: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Frame>> {
    let mut tag = [0];
    loop {
        match input.read(&mut tag) {
            Ok(0) => return Ok(None),
            Ok(_) => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    match tag[0] {
        b'E' => {
            let kind = match take::<1>(input)? {
                [b'f'] => Kind::File,
                [b'd'] => Kind::Directory,
                [b'l'] => Kind::Link,
                [b'o'] => Kind::Other,
                _ => return Err(nonsense()),
            };
            let mut path = Vec::new();
            fill(input, &mut path, PATH_MAX)?;
            Ok(Some(Frame::Entry(Entry {
                kind,
                path,
                size: u64::from_le_bytes(take(input)?),
                seconds: i64::from_le_bytes(take(input)?),
                nanoseconds: u32::from_le_bytes(take(input)?).min(999_999_999),
                mode: u32::from_le_bytes(take(input)?) & 0o7777,
            })))
        }
        b'D' => {
            fill(input, buffer, PIECE_MAX)?;
            Ok(Some(Frame::Data))
        }
        b'F' => {
            let (mut code, mut message) = (Vec::new(), Vec::new());
            fill(input, &mut code, TEXT_MAX)?;
            fill(input, &mut message, TEXT_MAX)?;
            Ok(Some(Frame::Finding {
                code: String::from_utf8(code).map_err(|_| nonsense())?,
                message: String::from_utf8(message).map_err(|_| nonsense())?,
            }))
        }
        b'Z' => Ok(Some(Frame::End)),
        _ => Err(nonsense()),
    }
}

fn take<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn fill(input: &mut impl Read, buffer: &mut Vec<u8>, limit: u32) -> io::Result<()> {
    let length = u32::from_le_bytes(take(input)?);
    if length > limit {
        return Err(nonsense());
    }
    buffer.resize(length as usize, 0);
    input.read_exact(buffer)
}

fn nonsense() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "this is no frame")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_anything_else_is_refused() {
        let given = Entry {
            kind: Kind::File,
            path: b"a/\xff".to_vec(),
            size: 3,
            seconds: -1,
            nanoseconds: 5,
            mode: 0o644,
        };
        let mut pipe = Vec::new();
        entry(&mut pipe, &given).unwrap();
        data(&mut pipe, b"abc").unwrap();
        finding(&mut pipe, "container.damaged", &"é".repeat(600)).unwrap();
        end(&mut pipe).unwrap();
        let (mut input, mut buffer) = (pipe.as_slice(), Vec::new());
        assert_eq!(
            read(&mut input, &mut buffer).unwrap(),
            Some(Frame::Entry(given))
        );
        assert_eq!(read(&mut input, &mut buffer).unwrap(), Some(Frame::Data));
        assert_eq!(buffer, b"abc");
        assert!(matches!(
            read(&mut input, &mut buffer).unwrap(),
            Some(Frame::Finding { .. })
        ));
        assert_eq!(read(&mut input, &mut buffer).unwrap(), Some(Frame::End));
        assert_eq!(read(&mut input, &mut buffer).unwrap(), None);
        for wrong in [
            &b"x"[..],
            b"D\xff\xff\xff\xff",
            b"E?",
            b"Ef\x01\0\0\0",
            b"F\x01\0\0\0\xff\0\0\0\0",
        ] {
            assert!(read(&mut &wrong[..], &mut buffer).is_err());
        }
        assert!(data(&mut Vec::new(), &vec![0; PIECE_MAX as usize + 1]).is_err());
    }
}
