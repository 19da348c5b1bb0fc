//! A bag as a zip: for people who have nothing but a file manager. Names are UTF-8, every entry may be larger than 4 GiB, and its
//! bytes depend on nothing but its files.

use std::fs::File;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zip::write::{ExtendedFileOptions, FileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::output::broken;
use super::sink::{Entry, Sink, wrong_size};
use crate::error::{Error, Result};

/// The extra field with the time of the last change in seconds (Info-ZIP, "extended timestamp").
const TIMESTAMP: u16 = 0x5455;
/// How hard deflate tries.
const LEVEL: i64 = 6;

/// A zip that grows.
pub struct Zipped<W: Write> {
    writer: ZipWriter<StreamWriter<W>>,
    top: String,
    path: String,
    left: u64,
}

impl<W: Write> Zipped<W> {
    /// Everything lies in the directory `top`.
    pub fn new(out: W, top: &str) -> Self {
        Self {
            writer: ZipWriter::new_stream(out),
            top: top.to_owned(),
            path: String::new(),
            left: 0,
        }
    }

    /// Its list of files is its end; gives back what it was written into.
    pub fn finish(self) -> Result<W> {
        Ok(self.writer.finish().map_err(failed)?.into_inner())
    }
}

fn failed(error: zip::result::ZipError) -> Error {
    match error {
        zip::result::ZipError::Io(error) => broken(error),
        other => Error::new("package.failed", "the zip cannot be written").source(other),
    }
}

fn options(
    modified: Timestamp,
    mode: u32,
) -> Result<FileOptions<'static, 'static, ExtendedFileOptions>> {
    let local = modified.to_zoned(TimeZone::UTC);
    let narrow = |value: i8| u8::try_from(value).unwrap_or_default();
    let dos = DateTime::from_date_and_time(
        u16::try_from(local.year()).unwrap_or_default(),
        narrow(local.month()),
        narrow(local.day()),
        narrow(local.hour()),
        narrow(local.minute()),
        narrow(local.second()),
    )
    .unwrap_or_default();
    let mut options = FileOptions::<ExtendedFileOptions>::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .large_file(true)
        .last_modified_time(dos)
        .unix_permissions(mode);
    if let Ok(seconds) = i32::try_from(modified.as_second()) {
        let mut field = vec![1];
        field.extend_from_slice(&seconds.to_le_bytes());
        options
            .add_extra_field(TIMESTAMP, field, false)
            .map_err(failed)?;
    }
    Ok(options)
}

impl<W: Write> Sink for Zipped<W> {
    fn directory(&mut self, path: &str, modified: Timestamp) -> Result<()> {
        let options = options(modified, 0o755)?.compression_method(CompressionMethod::Stored);
        let name = format!("{}/{path}/", self.top);
        self.writer.add_directory(name, options).map_err(failed)
    }

    fn begin(&mut self, entry: &Entry<'_>, _: Option<&File>) -> Result<Option<File>> {
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let name = format!("{}/{}", self.top, entry.path);
        self.writer
            .start_file(name, options(entry.modified, mode)?)
            .map_err(failed)?;
        entry.path.clone_into(&mut self.path);
        self.left = entry.size;
        Ok(None)
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| wrong_size(&self.path))?;
        self.writer.write_all(bytes).map_err(broken)
    }

    fn end(&mut self) -> Result<()> {
        if self.left > 0 {
            return Err(wrong_size(&self.path));
        }
        Ok(())
    }
}
