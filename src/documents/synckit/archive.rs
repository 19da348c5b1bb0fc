//! A kit as a zip whose bytes depend on nothing but its files: fixed order, fixed times, fixed modes.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::Kit;
use crate::error::{Error, Result};

/// The zip of a kit; everything lies in one directory of the kit's name.
pub fn zip(kit: &Kit) -> Result<Vec<u8>> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::new("output.failed", format!("cannot pack {}", kit.name)).source(e)
    };
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for file in &kit.files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(6))
            // 1980-01-01, the first time that a zip can hold.
            .last_modified_time(DateTime::default())
            .unix_permissions(mode);
        writer
            .start_file(format!("{}/{}", kit.name, file.path), options)
            .map_err(|e| failed(Box::new(e)))?;
        writer
            .write_all(&file.bytes)
            .map_err(|e| failed(Box::new(e)))?;
    }
    let done = writer.finish().map_err(|e| failed(Box::new(e)))?;
    Ok(done.into_inner())
}
