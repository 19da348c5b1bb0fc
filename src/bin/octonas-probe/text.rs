//! Whether bytes are text, and in which encoding.

use std::borrow::Cow;

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

/// What is looked at to tell text from anything else, in bytes.
const HEAD: usize = 32 << 10;

/// How much of a text in UTF-16 is read, in bytes: it is held in memory.
pub const WIDE_LIMIT: usize = 256 << 20;

/// How much is checked at a time.
const BLOCK: usize = 64 << 10;

/// How a text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Bytes: UTF-8, or Windows-1252 where that fails.
    Bytes,
    /// UTF-16, the low byte first.
    Wide {
        /// The high byte stands first.
        big: bool,
    },
}

/// A text, ready to be read as bytes in which everything that matters to us is ASCII.
#[derive(Debug)]
pub struct Text<'a> {
    /// Without the byte order mark; UTF-16 is UTF-8 here.
    pub bytes: Cow<'a, [u8]>,
    /// True where there was a mark.
    pub bom: bool,
    /// What it was.
    pub start: Start,
    /// True where only the first [`WIDE_LIMIT`] bytes were read.
    pub cut: bool,
}

/// Reads `data` as text; `None` where it is none.
pub fn open(data: &[u8]) -> Option<Text<'_>> {
    let wide = |big: bool, skip: usize| {
        let bytes = &data[skip..];
        let cut = bytes.len() > WIDE_LIMIT;
        let bytes = &bytes[..bytes.len().min(WIDE_LIMIT)];
        let encoding = if big { UTF_16BE } else { UTF_16LE };
        let (text, _) = encoding.decode_without_bom_handling(bytes);
        Text {
            bytes: Cow::Owned(text.into_owned().into_bytes()),
            bom: skip > 0,
            start: Start::Wide { big },
            cut,
        }
    };
    let text = match data {
        [0xFF, 0xFE, ..] => wide(false, 2),
        [0xFE, 0xFF, ..] => wide(true, 2),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Text {
            bytes: Cow::Borrowed(rest),
            bom: true,
            start: Start::Bytes,
            cut: false,
        },
        _ => match wide_without_mark(data) {
            Some(big) => wide(big, 0),
            None => Text {
                bytes: Cow::Borrowed(data),
                bom: false,
                start: Start::Bytes,
                cut: false,
            },
        },
    };
    is_text(&text.bytes).then_some(text)
}

/// UTF-16 of Western letters: nearly every second byte is NUL, the others are not.
fn wide_without_mark(data: &[u8]) -> Option<bool> {
    let head = &data[..data.len().min(4096) & !1];
    if head.len() < 8 {
        return None;
    }
    let nul = |place: usize| {
        head.iter()
            .skip(place)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (even, odd, half) = (nul(0), nul(1), head.len() / 2);
    if odd * 10 >= half * 8 && even * 20 <= half {
        Some(false)
    } else if even * 10 >= half * 8 && odd * 20 <= half {
        Some(true)
    } else {
        None
    }
}

/// Few control characters; NUL is borne where a logger lost its power in the middle of a block.
fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD)];
    let mut nuls = 0;
    let mut controls = 0;
    for byte in head {
        match byte {
            0 => nuls += 1,
            b'\t' | b'\n' | b'\r' | 0x0C | 0x1A => {}
            0..0x20 | 0x7F => controls += 1,
            _ => {}
        }
    }
    controls * 200 <= head.len() && nuls * 10 <= head.len() && nuls < head.len()
}

/// Looks at the encoding while the text is read, block by block.
#[derive(Debug)]
pub struct Guard<'a> {
    data: &'a [u8],
    checked: usize,
    /// Characters beyond ASCII that are UTF-8.
    pub multi: u64,
    /// Bytes that are not UTF-8.
    pub invalid: u64,
    /// NUL bytes.
    pub nuls: u64,
}

impl<'a> Guard<'a> {
    /// Nothing is looked at yet.
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            checked: 0,
            multi: 0,
            invalid: 0,
            nuls: 0,
        }
    }

    /// Looks at everything up to `position`, and a little beyond.
    pub fn pass(&mut self, position: usize) {
        while self.checked < position.min(self.data.len()) {
            let end = self.data.len().min(self.checked + BLOCK);
            let block = &self.data[self.checked..end];
            if block.contains(&0) {
                self.nuls += block.iter().fold(0, |sum, b| sum + u64::from(*b == 0));
            }
            self.checked = if block.is_ascii() {
                end
            } else {
                self.decode(block, end)
            };
        }
    }

    /// Where the next block begins: before a character that this one cuts.
    fn decode(&mut self, block: &[u8], end: usize) -> usize {
        let lead = |bytes: &[u8]| bytes.iter().filter(|b| **b >= 0xC0).count() as u64;
        let mut rest = block;
        loop {
            match std::str::from_utf8(rest) {
                Ok(_) => {
                    self.multi += lead(rest);
                    return end;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    self.multi += lead(&rest[..valid]);
                    match error.error_len() {
                        Some(length) => {
                            self.invalid += length as u64;
                            rest = &rest[valid + length..];
                        }
                        None if end == self.data.len() || rest.len() - valid == block.len() => {
                            self.invalid += (rest.len() - valid) as u64;
                            return end;
                        }
                        None => return end - (rest.len() - valid),
                    }
                }
            }
        }
    }

    /// The encoding of what was looked at, and whether there are two of them.
    pub fn encoding(&self, start: Start, bom: bool) -> (&'static str, bool) {
        match start {
            Start::Wide { big: true } => ("utf-16be", false),
            Start::Wide { big: false } => ("utf-16le", false),
            Start::Bytes if self.invalid == 0 => ("utf-8", false),
            Start::Bytes if bom || self.multi > self.invalid => ("utf-8", true),
            Start::Bytes => ("windows-1252", self.multi > 0),
        }
    }
}

/// A piece of text for people, without control characters.
pub fn decode(bytes: &[u8], encoding: &str) -> String {
    let text = if encoding == "windows-1252" {
        WINDOWS_1252.decode_without_bom_handling(bytes).0
    } else {
        String::from_utf8_lossy(bytes)
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_other_bytes_and_its_start_from_its_marks() {
        for (bytes, bom, start) in [
            (b"a;b\n".to_vec(), false, Start::Bytes),
            (b"\xEF\xBB\xBFa;b\n".to_vec(), true, Start::Bytes),
            (b"\xFF\xFEa\0;\0".to_vec(), true, Start::Wide { big: false }),
            (b"\xFE\xFF\0a\0;".to_vec(), true, Start::Wide { big: true }),
            (b"a\0;\0b\0\n\0".to_vec(), false, Start::Wide { big: false }),
        ] {
            let text = open(&bytes).unwrap();
            assert_eq!((text.bom, text.start), (bom, start), "{bytes:?}");
            assert!(text.bytes.starts_with(b"a;"), "{bytes:?}");
        }
        assert!(open(&[0; 100]).is_none());
        assert!(open(b"\x01\x02\x03\x04abc").is_none());
        let mut lost = b"1;2\n".repeat(100);
        lost.extend([0; 20]);
        assert!(open(&lost).is_some());
    }

    fn guard(bytes: &[u8]) -> (&'static str, bool) {
        let mut guard = Guard::new(bytes);
        guard.pass(bytes.len());
        guard.encoding(Start::Bytes, false)
    }

    #[test]
    fn the_encoding_is_what_the_whole_text_says() {
        assert_eq!(guard(b"plain"), ("utf-8", false));
        assert_eq!(guard("température".as_bytes()), ("utf-8", false));
        assert_eq!(guard(b"temp\xe9rature"), ("windows-1252", false));
        assert_eq!(guard(b"\xe9\xe9 \xc3\xa9"), ("windows-1252", true));
        assert_eq!(guard("éàü\u{202f}".as_bytes()), ("utf-8", false));
        // A character across the border of two blocks is one.
        let mut long = vec![b'a'; BLOCK - 1];
        long.extend("é".as_bytes());
        long.extend([b'b'; 10]);
        assert_eq!(guard(&long), ("utf-8", false));
        long.extend(b"\xe9");
        assert_eq!(guard(&long).0, "windows-1252");
    }
}
