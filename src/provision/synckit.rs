//! The sync kit of a source: what this NAS knows goes into it, and it is written where it was asked for.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::site::{self, Site};
use crate::documents::synckit::{self, Kit, Order, Way};
use crate::error::{Error, Result};
use crate::experiment::{Code, SourceId};
use crate::store;
use crate::sys::command::{Command, Program};
use crate::sys::dir::{Dir, Permissions};

/// Where sshd keeps its keys.
const SSH: &str = "/etc/ssh";
/// The longest public key.
const KEY_MAX: u64 = 16 << 10;

/// Where a kit goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// A directory, made where it is not there; one that holds anything but a kit is refused.
    Directory(PathBuf),
    /// A zip.
    Zip(PathBuf),
}

/// What was asked for beside the source.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The source writes into a mounted share, here (as the source names it).
    pub directory: Option<String>,
    /// By which name or address the source reaches this NAS; this machine's name where it is not said.
    pub host: Option<String>,
    /// The port of sshd; asked of sshd where it is not said.
    pub port: Option<u16>,
    /// Directories that the source watches.
    pub watch: Vec<String>,
    /// Write nothing.
    pub dry_run: bool,
}

/// What a kit holds, and where it went.
#[derive(Debug, Serialize)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// How the source will deliver: `sftp` or `directory`.
    pub transport: &'static str,
    /// Where to: a host, or a directory.
    pub to: String,
    /// What it watches from the start.
    pub watch: Vec<String>,
    /// Its files.
    pub files: Vec<Row>,
    /// Where it was written; `None` for a rehearsal.
    pub written: Option<String>,
}

/// One file of it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Path below the kit.
    pub path: &'static str,
    /// Bytes.
    pub size: usize,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// Builds the kit of a source.
///
/// # Errors
/// `source.unknown`, `synckit.exists`, `synckit.host`, `synckit.watch`.
pub fn build(
    site: &Site,
    code: &Code,
    source: &SourceId,
    target: Option<&Target>,
    options: &Options,
) -> Result<Built> {
    let opened = site.open(code)?;
    site::in_service(&opened)?;
    let source = synckit::find(&opened.definition, source)?;
    for path in &options.watch {
        checked(path)?;
    }
    let way = match &options.directory {
        Some(path) => {
            checked(path)?;
            Way::Directory(path.clone())
        }
        None if site.nas.identity().enforces_rights || options.host.is_some() => over_ssh(options)?,
        None => {
            let landing = opened.path().join("landing").join(source.id.as_str());
            Way::Directory(landing.display().to_string())
        }
    };
    let order = Order {
        definition: &opened.definition,
        source,
        way: &way,
        watch: &options.watch,
    };
    let kit = synckit::build(&order, &site.documents)?;
    let mut written = None;
    if !options.dry_run
        && let Some(target) = target
    {
        written = Some(write(&kit, target)?.display().to_string());
    }
    Ok(Built {
        transport: match way {
            Way::Sftp { .. } => "sftp",
            Way::Directory(_) => "directory",
        },
        to: match way {
            Way::Sftp { host, port, .. } => format!("{host}:{port}"),
            Way::Directory(path) => path,
        },
        watch: options.watch.clone(),
        files: kit
            .files
            .iter()
            .map(|file| Row {
                path: file.path,
                size: file.bytes.len(),
                sha256: store::sha256(&file.bytes),
            })
            .collect(),
        name: kit.name,
        written,
    })
}

/// A path on somebody else's machine, of any system: one line, absolute.
fn checked(path: &str) -> Result<()> {
    let absolute = path.starts_with(['/', '~'])
        || path.starts_with(r"\\")
        || matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    if absolute && path.len() <= 1000 && !path.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::new(
        "synckit.path",
        format!("{path:?} is no directory of a source"),
    )
    .hint(r"a whole path as the source names it, like C:\Data, \\nas\share or /srv/data"))
}

fn over_ssh(options: &Options) -> Result<Way> {
    let host = match &options.host {
        Some(host) => host.clone(),
        None => nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok())
            .unwrap_or_default(),
    };
    let shaped = (1..=253).contains(&host.len())
        && host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    if !shaped {
        return Err(
            Error::new("synckit.host", format!("{host:?} is no name of a machine"))
                .hint("--host NAME: by which a source reaches this NAS, like nas.example.org"),
        );
    }
    let port = match options.port {
        Some(port) => port,
        None => listening_port()?,
    };
    Ok(Way::Sftp {
        host,
        port,
        host_keys: host_keys(&Dir::open_absolute(Path::new(SSH))?)?,
    })
}

/// The first port on which sshd listens (`sshd -T`).
fn listening_port() -> Result<u16> {
    let output = Command::new(Program::Sshd).arg("-T").run()?;
    Ok(output
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("port ")?.trim().parse().ok())
        .unwrap_or(22))
}

/// The public host keys, the best first: `ssh-ed25519 AAAA…`.
fn host_keys(ssh: &Dir) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let Some(bytes) = ssh.read(format!("ssh_host_{kind}_key.pub"), KEY_MAX)? else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.split_whitespace();
        if let (Some(kind), Some(key)) = (words.next(), words.next()) {
            keys.push(format!("{kind} {key}"));
        }
    }
    if keys.is_empty() {
        return Err(Error::new(
            "synckit.host-key",
            format!("{} holds no public host key", ssh.path().display()),
        )
        .hint("ssh-keygen -A makes them; a kit without one could not tell this NAS from another machine"));
    }
    Ok(keys)
}

fn write(kit: &Kit, target: &Target) -> Result<PathBuf> {
    match target {
        Target::Zip(path) => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(exists(path));
            };
            Dir::open_absolute(parent)?.write(name, &kit.zip()?, &Permissions::PUBLIC)?;
            Ok(path.clone())
        }
        Target::Directory(path) => {
            let top = Dir::open_or_create_absolute(path, 0o755)?;
            let held = top.entries()?;
            if !held.is_empty() && top.stat("kit.json")?.is_none() {
                return Err(exists(path));
            }
            for file in &kit.files {
                let (dir, name) = match file.path.split_once('/') {
                    Some((below, name)) => {
                        top.create_dir(below, 0o755)?;
                        (top.existing(below)?, name)
                    }
                    None => (top.try_clone()?, file.path),
                };
                let permissions = Permissions {
                    mode: if file.executable { 0o755 } else { 0o644 },
                    ..Permissions::PUBLIC
                };
                dir.write(name, &file.bytes, &permissions)?;
            }
            Ok(path.clone())
        }
    }
}

fn exists(path: &Path) -> Error {
    Error::new(
        "synckit.exists",
        format!("{} holds something else than a kit", path.display()),
    )
    .hint("name a directory that is empty or not there yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_any_system_are_taken_and_relative_ones_are_not() {
        for good in [
            "/srv/data",
            "~/data",
            r"C:\Data",
            "D:/x y",
            r"\\nas\landing-plc",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "data", "C:data", "1:\\x", "/a\nb", "-x"] {
            assert_eq!(checked(bad).unwrap_err().code(), "synckit.path", "{bad:?}");
        }
    }

    #[test]
    fn host_keys_come_without_comment_and_the_best_first() {
        let dir = tempfile::tempdir().unwrap();
        let ssh = Dir::open_absolute(dir.path()).unwrap();
        assert_eq!(host_keys(&ssh).unwrap_err().code(), "synckit.host-key");
        for (kind, text) in [
            ("rsa", "ssh-rsa AAAAB3 root@nas\n"),
            ("ed25519", "ssh-ed25519 AAAAC3 root@nas\n"),
        ] {
            let name = format!("ssh_host_{kind}_key.pub");
            ssh.write(name, text.as_bytes(), &Permissions::PUBLIC)
                .unwrap();
        }
        assert_eq!(
            host_keys(&ssh).unwrap(),
            ["ssh-ed25519 AAAAC3", "ssh-rsa AAAAB3"]
        );
    }

    #[test]
    fn a_host_name_never_becomes_an_option() {
        for host in ["-oProxyCommand=x", "", "a b", "a;b"] {
            let options = Options {
                host: Some(host.into()),
                port: Some(22),
                ..Options::default()
            };
            assert_eq!(
                over_ssh(&options).unwrap_err().code(),
                "synckit.host",
                "{host}"
            );
        }
    }
}
