//! Files that appear whole: written beside, then renamed; what is there stays.

use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Outcome;

/// Where to write: `None` where the file is there already.
pub fn wanted(directory: &Path, name: &str) -> Outcome<Option<PathBuf>> {
    fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let path = directory.join(name);
    Ok((!path.exists()).then_some(path))
}

/// Writes a file, with the modification time that a machine would have left (seconds since the Unix epoch).
pub fn whole(directory: &Path, name: &str, bytes: &[u8], modified: i64) -> Outcome {
    let Some(path) = wanted(directory, name)? else {
        return Ok(());
    };
    let beside = beside(&path);
    let mut file = File::create(&beside).map_err(|e| format!("{}: {e}", beside.display()))?;
    file.write_all(bytes)?;
    finish(&file, &beside, &path, modified)
}

/// Where a file is written before it gets its name.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// Gives a file that was written beside its time and its name.
pub fn finish(file: &File, beside: &Path, path: &Path, modified: i64) -> Outcome {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(modified.try_into()?);
    file.set_times(FileTimes::new().set_modified(modified))?;
    fs::rename(beside, path)?;
    println!("{}: {} bytes", path.display(), file.metadata()?.len());
    Ok(())
}
