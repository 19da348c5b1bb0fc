//! A zip, by the list at its end; what the entries themselves say must agree with it.

use std::io::{BufReader, Write};

use octonas::package::frames::{self, Entry, Kind, PATH_MAX};
use zip::ZipArchive;

use super::tarball::copy;
use super::{Broken, Given, Stop};

/// The extra field with the time of the last change in seconds (APPNOTE 4.5.2; Info-ZIP, "extended timestamp").
const TIMESTAMP: u16 = 0x5455;
/// The kind of a file in Unix modes.
const KIND: u32 = 0o170_000;

/// Tells of every entry of a zip.
pub fn unpack(out: &mut impl Write) -> Result<(), Stop> {
    let damaged = |e: zip::result::ZipError| Broken::new("container.damaged", e.to_string());
    let mut archive = ZipArchive::new(BufReader::with_capacity(1 << 16, Given)).map_err(damaged)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|e| match e {
            zip::result::ZipError::UnsupportedArchive(what) => {
                Broken::new("container.unsupported", what)
            }
            other => damaged(other),
        })?;
        let mode = file.unix_mode();
        let kind = match mode.map(|mode| mode & KIND) {
            _ if file.is_dir() => Kind::Directory,
            Some(0o120_000) => Kind::Link,
            None | Some(0 | 0o100_000) => Kind::File,
            Some(0o040_000) => Kind::Directory,
            Some(_) => Kind::Other,
        };
        let path = if file.name_raw().is_ascii() {
            file.name_raw().to_vec()
        } else {
            // Decoded as its flag says: UTF-8 or code page 437.
            file.name().map_err(damaged)?.as_bytes().to_vec()
        };
        if path.len() > PATH_MAX as usize {
            return Err(Broken::new("container.damaged", "a name is longer than 32 KiB").into());
        }
        let told = Entry {
            kind,
            path,
            size: file.size(),
            seconds: seconds(&file.extra_data().unwrap_or_default()).unwrap_or_default(),
            nanoseconds: 0,
            mode: mode.unwrap_or(0o644) & 0o7777,
        };
        frames::entry(out, &told).map_err(Stop::Deaf)?;
        if kind == Kind::File {
            copy(&mut file, told.size, out)?;
        }
    }
    Ok(())
}

fn seconds(mut extra: &[u8]) -> Option<i64> {
    while let [a, b, c, d, rest @ ..] = extra {
        let size = usize::from(u16::from_le_bytes([*c, *d]));
        let (field, after) = rest.split_at_checked(size)?;
        if u16::from_le_bytes([*a, *b]) == TIMESTAMP
            && let [flags, w, x, y, z, ..] = field
            && flags & 1 == 1
        {
            return Some(i64::from(i32::from_le_bytes([*w, *x, *y, *z])));
        }
        extra = after;
    }
    None
}
