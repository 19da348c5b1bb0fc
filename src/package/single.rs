//! Encrypting and decrypting one file, streaming: `octonas encrypt`, `octonas decrypt`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::Serialize;

use super::age::{self, Recipient};
use super::algorithm::{Algorithm, Hasher};
use super::output::{Output, broken, reread};
use crate::error::{Error, Result};
use crate::sys::dir::{Dir, FileKind, Permissions, spoiled};
use crate::sys::process;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// What came out.
#[derive(Debug, Serialize)]
pub struct Sealed {
    /// Where it lies.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: String,
    /// For whom it is encrypted; nobody where it was decrypted.
    pub recipients: Vec<Recipient>,
}

/// A regular file at an absolute path, open.
fn given(path: &Path) -> Result<File> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(not_a_file(path));
    };
    let node = Dir::open_absolute(parent)?
        .node_at(name)?
        .ok_or_else(|| not_a_file(path))?;
    if node.metadata()?.kind != FileKind::File {
        return Err(not_a_file(path));
    }
    Ok(node.into_file())
}

fn not_a_file(path: &Path) -> Error {
    Error::new("path.missing", format!("{} is no file", path.display()))
        .hint("name one file; a directory is packed first: `octonas package create`")
}

/// The directory in which something new gets its name.
fn place(out: &Path) -> Result<(Dir, &std::ffi::OsStr)> {
    let (Some(parent), Some(name)) = (out.parent(), out.file_name()) else {
        return Err(not_a_file(out));
    };
    let parent = Dir::open_absolute(parent)?;
    if parent.stat(name)?.is_some() {
        return Err(
            Error::new("path.exists", format!("{} exists already", out.display()))
                .hint("choose another name (--out), or remove it"),
        );
    }
    Ok((parent, name))
}

/// Encrypts the file `from` into the new file `out`, both absolute.
pub fn encrypt(from: &Path, out: &Path, recipients: &[Recipient]) -> Result<Sealed> {
    age::installed()?;
    let mut file = given(from)?;
    let (dir, name) = place(out)?;
    let mut output = Output::new(&dir, recipients)?;
    let mut buffer = vec![0; PIECE];
    loop {
        process::check_interrupted()?;
        let read = file
            .read(&mut buffer)
            .map_err(|e| spoiled("read", from, &e))?;
        if read == 0 {
            break;
        }
        output
            .write_all(buffer.get(..read).unwrap_or_default())
            .map_err(broken)?;
    }
    let (fresh, sum) = output.finish()?;
    reread(fresh.file(), &sum)?;
    fresh.name(name, &Permissions::PRIVATE)?;
    Ok(Sealed {
        path: out.display().to_string(),
        size: sum.size,
        sha256: sum.hex(Algorithm::Sha256).unwrap_or_default(),
        recipients: recipients.to_vec(),
    })
}

/// Decrypts the file `from` with the private keys in `identity` into the new file `out`, all absolute. Nothing has the name before
/// all of it came out and was found genuine.
pub fn decrypt(from: &Path, out: &Path, identity: &Path) -> Result<Sealed> {
    age::installed()?;
    let file = given(from)?;
    let (dir, name) = place(out)?;
    let mut fresh = dir.fresh()?;
    let mut running = age::decrypting(file, identity).start()?;
    let mut output = running.output()?;
    let mut hasher = Hasher::new(&[Algorithm::Sha256]);
    let mut buffer = vec![0; PIECE];
    loop {
        process::check_interrupted()?;
        let read = output
            .read(&mut buffer)
            .map_err(|e| Error::new("age.failed", "age cannot be read").source(e))?;
        if read == 0 {
            break;
        }
        let piece = buffer.get(..read).unwrap_or_default();
        fresh.write(piece)?;
        hasher.update(piece);
    }
    drop(output);
    age::ended(&running.end()?)?;
    fresh.name(name, &Permissions::PRIVATE)?;
    let sum = hasher.take();
    Ok(Sealed {
        path: out.display().to_string(),
        size: sum.size,
        sha256: sum.hex(Algorithm::Sha256).unwrap_or_default(),
        recipients: Vec::new(),
    })
}
