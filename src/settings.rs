//! Which NAS is in force, and where things are: `/etc/octonas/octonas.yaml`, the environment, the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::sys::dir::Dir;
use crate::sys::process;

/// The configuration file; only root writes it.
pub const FILE: &str = "/etc/octonas/octonas.yaml";
const SIZE_LIMIT: u64 = 64 << 10;

/// Which NAS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// OpenMediaVault on this machine.
    Omv,
    /// The embedded NAS in this directory (absolute).
    Local(PathBuf),
}

/// The configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    nas: Option<String>,
    /// Where OpenMediaVault is, in another place than its own.
    pub omv: Places,
    /// Locks.
    pub run: Option<PathBuf>,
    /// What can be lost.
    pub cache: Option<PathBuf>,
    /// Layouts and documents that replace the built-in ones.
    pub templates: Option<PathBuf>,
    /// The unit's own answers in data management plans, in another place than `/etc/octonas/dmp-defaults.yaml`.
    pub dmp_defaults: Option<PathBuf>,
    /// Taking in what sources deliver.
    pub ingest: Ingest,
    /// For whom packages are encrypted.
    pub encryption: Encryption,
    /// Where archives are kept.
    pub archive: Archive,
}

/// For whom packages are encrypted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Encryption {
    /// Public keys (age, X25519) by what they are called: the unit's own, and one in escrow.
    pub recipients: BTreeMap<String, String>,
}

/// Where archives are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Archive {
    /// The places, in the order in which they are filled.
    pub places: Vec<Place>,
    /// Archives are encrypted for `encryption.recipients`.
    pub encrypt: bool,
}

/// A place for archives: a directory of this machine, or one that is reached by rsync over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Place {
    /// What it is called.
    pub name: String,
    /// Absolute path of a directory.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// `account@machine:/directory`.
    #[serde(default)]
    pub remote: Option<String>,
    /// The private key for `remote`, readable by root alone.
    #[serde(default)]
    pub ssh_key: Option<PathBuf>,
    /// Public host keys of `remote`, `ssh-ed25519 AAAA…`: no other machine is believed to be it.
    #[serde(default)]
    pub host_keys: Vec<String>,
    /// The port of `remote`.
    #[serde(default)]
    pub port: Option<u16>,
}

/// How deliveries are taken in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Ingest {
    /// For how many minutes a file that has no checksum must not have changed.
    pub stable_minutes: u32,
    /// Nobody among the members may change what was received.
    pub seal: bool,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            stable_minutes: 5,
            seal: true,
        }
    }
}

/// Where OpenMediaVault is; only tests need another place than its own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Places {
    /// The socket of omv-engined.
    pub socket: Option<PathBuf>,
    /// The list of modules that wait to be applied.
    pub dirty_modules: Option<PathBuf>,
    /// The root of the jails behind sshd.
    pub jails: Option<PathBuf>,
    /// What the jails should be.
    pub jails_wanted: Option<PathBuf>,
    /// How many seconds OpenMediaVault may take to answer one call.
    pub patience: Option<u64>,
}

impl Settings {
    /// Reads the configuration file; one that is not there is empty.
    pub fn load(path: &Path) -> Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self::default());
        };
        if !parent.is_dir() {
            return Ok(Self::default());
        }
        let dir = Dir::open_absolute(parent)?;
        let Some(bytes) = dir.read(name, SIZE_LIMIT)? else {
            return Ok(Self::default());
        };
        if process::is_root()
            && let Some(found) = dir.stat(name)?
            && (found.uid != 0 || found.mode & 0o022 != 0)
        {
            return Err(Error::new(
                "settings.writable",
                format!("{} can be changed by others than root", path.display()),
            )
            .hint("chown root: and chmod go-w it"));
        }
        serde_yaml::from_slice(&bytes).map_err(|error| {
            Error::new(
                "settings.invalid",
                format!("{} cannot be read", path.display()),
            )
            .source(error)
        })
    }

    /// The NAS that is in force: what was asked for, otherwise the configuration; an ordinary user without either gets
    /// an embedded NAS in `~/octonas`. It is never guessed from a socket that may be down.
    pub fn choose(&self, asked: Option<&str>, cwd: &Path, home: Option<&Path>) -> Result<Choice> {
        if let Some(text) = asked.or(self.nas.as_deref()) {
            return parse(text, cwd);
        }
        match home {
            Some(home) if !process::is_root() => Ok(Choice::Local(home.join("octonas"))),
            _ => Err(Error::new("nas.unconfigured", "no NAS is configured")
                .hint(format!("write `nas: omv` into {FILE} (the OpenMediaVault plugin does), or pass --nas local:DIR"))),
        }
    }
}

fn parse(text: &str, cwd: &Path) -> Result<Choice> {
    match text.split_once(':') {
        None if text == "omv" => Ok(Choice::Omv),
        Some(("local", dir)) if !dir.is_empty() => Ok(Choice::Local(absolute(Path::new(dir), cwd))),
        _ => {
            Err(Error::new("nas.unknown", format!("{text} is no NAS"))
                .hint("`omv`, or `local:DIR`"))
        }
    }
}

/// A path as the person meant it, free of `.` and `..`.
pub fn absolute(path: &Path, cwd: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in cwd.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nas_is_named_and_never_guessed() {
        let settings = Settings::default();
        let cwd = Path::new("/home/me/x");
        assert_eq!(
            settings.choose(Some("omv"), cwd, None).unwrap(),
            Choice::Omv
        );
        assert_eq!(
            settings.choose(Some("local:../d"), cwd, None).unwrap(),
            Choice::Local("/home/me/d".into())
        );
        assert_eq!(
            settings.choose(Some("nfs"), cwd, None).unwrap_err().code(),
            "nas.unknown"
        );
        assert_eq!(
            settings.choose(None, cwd, None).unwrap_err().code(),
            "nas.unconfigured"
        );
    }
}
