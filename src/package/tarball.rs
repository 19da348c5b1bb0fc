//! A bag as a tar (POSIX.1-2001 pax interchange format), whose bytes depend on nothing but its files: owner 0, modes 0644, 0755.

use std::fs::File;
use std::io::Write;

use jiff::Timestamp;

use super::output::broken;
use super::sink::{Entry, Sink, wrong_size};
use crate::error::Result;

const BLOCK: usize = 512;
/// What a size of eleven octal digits holds.
const SIZE_MAX: u64 = 0o77_777_777_777;
/// The longest name of a ustar header.
const NAME_MAX: usize = 100;

/// A tar that grows.
pub struct Tarball<W: Write> {
    out: W,
    /// Everything lies in this directory.
    top: String,
    path: String,
    left: u64,
    padding: usize,
}

impl<W: Write> Tarball<W> {
    /// Everything lies in the directory `top`.
    pub fn new(out: W, top: &str) -> Self {
        Self {
            out,
            top: top.to_owned(),
            path: String::new(),
            left: 0,
            padding: 0,
        }
    }

    /// Two blocks of zeros are its end; gives back what it was written into.
    pub fn finish(mut self) -> Result<W> {
        self.write(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(broken)
    }

    fn header(
        &mut self,
        path: &str,
        size: u64,
        when: Timestamp,
        mode: u32,
        kind: u8,
    ) -> Result<()> {
        let path = format!("{}/{path}", self.top);
        let nanoseconds = when.subsec_nanosecond();
        let seconds = when.as_second();
        let mut records = Vec::new();
        if path.len() > NAME_MAX || !path.is_ascii() {
            record(&mut records, "path", &path);
        }
        if size > SIZE_MAX {
            record(&mut records, "size", &size.to_string());
        }
        if nanoseconds != 0 || seconds < 0 {
            record(&mut records, "mtime", &decimal(when));
        }
        if !records.is_empty() {
            let block = ustar("@PaxHeader", records.len() as u64, 0, 0o644, b'x');
            self.write(&block)?;
            let end = records.len().next_multiple_of(BLOCK);
            records.resize(end, 0);
            self.write(&records)?;
        }
        let block = ustar(
            &path,
            if size > SIZE_MAX { 0 } else { size },
            u64::try_from(seconds).unwrap_or(0),
            mode,
            kind,
        );
        self.write(&block)
    }
}

/// Seconds since 1970 with their fraction.
fn decimal(when: Timestamp) -> String {
    let total = when.as_nanosecond();
    let sign = if total < 0 { "-" } else { "" };
    let total = total.unsigned_abs();
    let text = format!(
        "{sign}{}.{:09}",
        total / 1_000_000_000,
        total % 1_000_000_000
    );
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `length key=value\n`, where the length counts itself.
fn record(out: &mut Vec<u8>, key: &str, value: &str) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
}

fn ustar(path: &str, size: u64, seconds: u64, mode: u32, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (place, byte) in block.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    let mut end = path.len().min(NAME_MAX);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    put(0, path.get(..end).unwrap_or_default().as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", seconds.min(SIZE_MAX)).as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in block
        .iter_mut()
        .skip(148)
        .zip(format!("{sum:06o}\0 ").bytes())
    {
        *place = byte;
    }
    block
}

impl<W: Write> Sink for Tarball<W> {
    fn directory(&mut self, path: &str, modified: Timestamp) -> Result<()> {
        self.header(&format!("{path}/"), 0, modified, 0o755, b'5')
    }

    fn begin(&mut self, entry: &Entry<'_>, _: Option<&File>) -> Result<Option<File>> {
        let mode = if entry.executable { 0o755 } else { 0o644 };
        self.header(entry.path, entry.size, entry.modified, mode, b'0')?;
        entry.path.clone_into(&mut self.path);
        self.left = entry.size;
        let over = usize::try_from(entry.size % BLOCK as u64).unwrap_or(0);
        self.padding = (BLOCK - over) % BLOCK;
        Ok(None)
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong_size(&self.path))?;
        self.write(bytes)
    }

    fn end(&mut self) -> Result<()> {
        if self.left > 0 {
            return Err(wrong_size(&self.path));
        }
        let padding = [0; BLOCK];
        self.write(padding.get(..self.padding).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for (value, length) in [
            ("x", "9"),
            (&"x".repeat(90), "99"),
            (&"x".repeat(91), "101"),
        ] {
            let mut out = Vec::new();
            record(&mut out, "path", value);
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with(&format!("{length} path=")), "{text}");
            assert_eq!(text.len().to_string(), length);
        }
    }

    #[test]
    fn times_before_1970_keep_their_fraction() {
        for (text, wanted) in [
            ("1969-12-31T23:59:58.5Z", "-1.5"),
            ("2026-03-01T10:00:00.25Z", "1772359200.25"),
            ("1960-01-01T00:00:00Z", "-315619200"),
        ] {
            assert_eq!(decimal(text.parse().unwrap()), wanted);
        }
    }

    #[test]
    fn a_file_of_another_size_than_announced_is_refused() {
        let entry = Entry {
            path: "data/a",
            size: 3,
            modified: Timestamp::UNIX_EPOCH,
            executable: false,
        };
        let mut tar = Tarball::new(Vec::new(), "eco");
        tar.begin(&entry, None).unwrap();
        assert_eq!(tar.piece(b"abcd").unwrap_err().code(), "package.changed");
        tar.begin(&entry, None).unwrap();
        tar.piece(b"ab").unwrap();
        assert_eq!(tar.end().unwrap_err().code(), "package.changed");
        tar.piece(b"c").unwrap();
        tar.end().unwrap();
        assert_eq!(tar.finish().unwrap().len() % BLOCK, 0);
    }
}
