//! A zip, by the list at its end; what the entries themselves say must agree with it.

use std::io::{BufReader, Read, Write};

use octonas::package::frames::{self, Entry, Kind, PATH_MAX};
use zip::read::ZipFile;
use zip::{ExtraField, ZipArchive};

use super::tarball::copy;
use super::{Broken, Given, Stop};

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
            seconds: seconds(&file),
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

/// The time of the last change in seconds: the extra field says it in UTC, the old one of DOS in a zone that nobody knows.
fn seconds(file: &ZipFile<'_, impl Read>) -> i64 {
    let exact = file.extra_data_fields().find_map(|field| match field {
        // Signed since 1970, whatever the crate says (Info-ZIP).
        ExtraField::ExtendedTimestamp(stamp) => stamp.mod_time().map(u32::cast_signed),
        _ => None,
    });
    exact.map(i64::from).unwrap_or_default()
}
