//! A tar: ustar, pax, GNU long names and sparse files (tar(5)).

use std::io::{Read, Write};

use octonas::package::frames::{self, Entry, Kind, PATH_MAX, PIECE_MAX};
use tar::{Archive, EntryType};

use super::{Broken, Measured, Stop, TAIL};

/// Tells of every entry of a tar; what stands after its end is read too, so that a checksum over the whole is checked.
pub fn unpack(input: Measured<impl Read>, out: &mut impl Write) -> Result<(), Stop> {
    let mut archive = Archive::new(input);
    let damaged = |e: std::io::Error| Broken::new("container.damaged", e.to_string());
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink | EntryType::Link => Kind::Link,
            EntryType::XGlobalHeader => continue,
            _ => Kind::Other,
        };
        let path = entry.path_bytes().into_owned();
        if path.len() > PATH_MAX as usize {
            return Err(Broken::new("container.damaged", "a name is longer than 32 KiB").into());
        }
        let mut told = Entry {
            kind,
            path,
            size: entry.size(),
            seconds: i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0),
            nanoseconds: 0,
            mode: header.mode().unwrap_or(0o644) & 0o7777,
        };
        if let Ok(Some(extensions)) = entry.pax_extensions() {
            for extension in extensions.flatten() {
                if let (Ok("mtime"), Ok(value)) = (extension.key(), extension.value()) {
                    (told.seconds, told.nanoseconds) = moment(value).unwrap_or((told.seconds, 0));
                }
            }
        }
        frames::entry(out, &told).map_err(Stop::Deaf)?;
        if kind == Kind::File {
            copy(&mut entry, told.size, out)?;
        }
    }
    // A checksum of the compression stands behind the end of the tar.
    let mut rest = archive.into_inner();
    rest.at_most(TAIL);
    let mut buffer = vec![0; 1 << 16];
    while rest.read(&mut buffer).map_err(damaged)? > 0 {}
    Ok(())
}

/// Every byte of a file, of which its header said how many there are.
pub fn copy(input: &mut impl Read, size: u64, out: &mut impl Write) -> Result<(), Stop> {
    let mut left = size;
    let mut piece = Vec::with_capacity((PIECE_MAX >> 2) as usize);
    loop {
        // Whole pieces, however little a decompressor gives at a time: holes are found in them.
        piece.clear();
        input
            .by_ref()
            .take(u64::from(PIECE_MAX >> 2))
            .read_to_end(&mut piece)
            .map_err(|e| Broken::new("container.damaged", e.to_string()))?;
        if piece.is_empty() {
            break;
        }
        left = left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| Broken::new("container.damaged", "a file is longer than it said"))?;
        frames::data(out, &piece).map_err(Stop::Deaf)?;
    }
    if left > 0 {
        return Err(Broken::new("container.damaged", "it ends in the middle of a file").into());
    }
    Ok(())
}

/// `-1.5`, `1772359200.25`: seconds and nanoseconds, the latter never negative (pax: pax(1), mtime).
fn moment(text: &str) -> Option<(i64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if text.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn times_have_fractions_before_and_after_1970() {
        assert_eq!(moment("1772359200.25"), Some((1_772_359_200, 250_000_000)));
        assert_eq!(moment("12"), Some((12, 0)));
        assert_eq!(moment("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(moment("x"), None);
    }
}
