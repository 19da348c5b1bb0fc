//! Paths as text without loss. Names on a disk are bytes; evidence and index are text.
//!
//! What is UTF-8 stays as it is. Every other byte becomes one character of `U+10FF80 … U+10FFFF` (the end of the private
//! planes, which names do not use); a name that does use them has the bytes of those characters written in the same way. So
//! every path has one text, and every such text one path.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// Byte 0x80 as a character; the others follow.
const FIRST: u32 = 0x0010_FF80;

/// The text of a path.
pub fn text(path: impl AsRef<Path>) -> String {
    let bytes = path.as_ref().as_os_str().as_bytes();
    if let Ok(text) = std::str::from_utf8(bytes)
        && (text.is_ascii() || !text.chars().any(|c| byte(c).is_some()))
    {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte(c) {
                None => out.push(c),
                Some(_) => c
                    .encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|b| escape(b, &mut out)),
            }
        }
        chunk.invalid().iter().for_each(|b| escape(*b, &mut out));
    }
    out
}

/// The path of a text.
pub fn path(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    OsString::from_vec(bytes)
}

/// True where a path is no UTF-8.
pub fn is_escaped(text: &str) -> bool {
    text.chars().any(|c| byte(c).is_some())
}

/// The directory of a path, and its name there.
pub fn split(text: &str) -> (&str, &str) {
    text.rsplit_once('/').unwrap_or(("", text))
}

/// A name in a directory.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn escape(byte: u8, out: &mut String) {
    out.extend(char::from_u32(FIRST + u32::from(byte) - 0x80));
}

/// The byte that a character stands for.
fn byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(FIRST)? + 0x80).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    #[test]
    fn what_is_text_stays_and_what_is_none_comes_back() {
        assert_eq!(text("raw/été 2026\\x.csv"), "raw/été 2026\\x.csv");
        let odd = OsStr::from_bytes(b"caf\xe9/\xff\xc3");
        assert_eq!(path(&text(odd)), odd);
        assert!(is_escaped(&text(odd)) && !is_escaped("café"));
        let private = OsString::from("a\u{10ff80}\u{10ffff}");
        assert_ne!(text(&private), "a\u{10ff80}\u{10ffff}");
        assert_eq!(path(&text(&private)), private);
    }

    proptest! {
        #[test]
        fn every_path_has_one_text(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let given = OsString::from_vec(bytes);
            prop_assert_eq!(path(&text(&given)), given);
        }
    }
}
