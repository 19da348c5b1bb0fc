//! The sync kit of a source: one Python program, its configuration, launchers for three systems, and a page in two
//! languages (templates/synckit). `config` is `kit.json`, `archive` the zip. Bytes depend on the order alone: the same
//! definition gives the same kit. No key and no secret is in it.

mod archive;
mod config;

use serde::Serialize;

use super::escape::Format;
use super::render::Templates;
use crate::error::{Error, Result};
use crate::experiment::{Definition, Language, Source, SourceId, source_account};

/// How a file of the kit is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Make {
    /// As it is, executable.
    Program,
    /// The kit's values filled in.
    Filled,
    /// The same with the line ends of Windows: `cmd` loses its labels without them.
    Windows,
}

/// The program and the launchers, as they lie in the kit.
const FILES: [(&str, Make, &str); 6] = [
    (
        "octonas_sync.py",
        Make::Program,
        include_str!("../../../templates/synckit/octonas_sync.py"),
    ),
    (
        "install.bat",
        Make::Windows,
        include_str!("../../../templates/synckit/install.bat"),
    ),
    (
        "launchers/octonas-sync.service",
        Make::Filled,
        include_str!("../../../templates/synckit/launchers/octonas-sync.service"),
    ),
    (
        "launchers/octonas-sync.timer",
        Make::Filled,
        include_str!("../../../templates/synckit/launchers/octonas-sync.timer"),
    ),
    (
        "launchers/launchd.plist",
        Make::Filled,
        include_str!("../../../templates/synckit/launchers/launchd.plist"),
    ),
    (
        "launchers/task.xml",
        Make::Windows,
        include_str!("../../../templates/synckit/launchers/task.xml"),
    ),
];

/// The templates of the page for people.
pub const BUILT_IN: &[(&str, &str)] = &[
    (
        "fr/synckit.md",
        include_str!("../../../templates/synckit/README.fr.md"),
    ),
    (
        "en/synckit.md",
        include_str!("../../../templates/synckit/README.en.md"),
    ),
];

/// How a source reaches its landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Over SSH, into `/in`.
    Sftp {
        /// A host name or address.
        host: String,
        /// The port of sshd.
        port: u16,
        /// Public host keys, `ssh-ed25519 AAAA…`.
        host_keys: Vec<String>,
    },
    /// Into a directory, as the source names it: a mounted share.
    Directory(String),
}

/// What a kit is made of.
pub struct Order<'o> {
    /// The experiment.
    pub definition: &'o Definition,
    /// Its source.
    pub source: &'o Source,
    /// How it delivers.
    pub way: &'o Way,
    /// Directories that it watches; where there is none, they are named when the kit is installed.
    pub watch: &'o [String],
}

/// One file of a kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Path below the kit's directory.
    pub path: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
    /// A program.
    pub executable: bool,
}

/// A kit: its files, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kit {
    /// `octonas-sync-<code>-<source>`, the directory in the zip.
    pub name: String,
    /// What is in it.
    pub files: Vec<File>,
}

impl Kit {
    /// The kit as a zip: the same bytes for the same files, on any day.
    pub fn zip(&self) -> Result<Vec<u8>> {
        archive::zip(self)
    }
}

/// The source of a definition.
///
/// # Errors
/// `source.unknown`.
pub fn find<'d>(definition: &'d Definition, id: &SourceId) -> Result<&'d Source> {
    definition
        .sources
        .iter()
        .find(|source| source.id == *id)
        .ok_or_else(|| {
            Error::new(
                "source.unknown",
                format!("the experiment {} has no source {id}", definition.code),
            )
            .hint("add it to `sources` of the definition with `octonas experiment edit`")
        })
}

/// Makes a kit.
pub fn build(order: &Order<'_>, templates: &Templates) -> Result<Kit> {
    let definition = order.definition;
    let minutes = order.source.every.minutes();
    let values = [
        ("code", definition.code.to_string()),
        ("source", order.source.id.to_string()),
        ("every_seconds", (minutes * 60).to_string()),
        // Sources of one NAS do not all begin at the same second.
        ("spread_seconds", (minutes * 6).min(300).to_string()),
        ("title_xml", xml(&definition.title)),
    ];
    let mut files: Vec<File> = FILES
        .iter()
        .map(|(path, make, text)| File {
            path,
            bytes: fill(*make, text, &values).into_bytes(),
            executable: *make == Make::Program,
        })
        .collect();
    files.push(File {
        path: "kit.json",
        bytes: config::kit_json(order)?,
        executable: false,
    });
    let page = Page::of(order);
    for (language, path) in [
        (Language::Fr, "README.fr.md"),
        (Language::En, "README.en.md"),
    ] {
        let text = templates.render(language, "synckit.md", Format::Markdown, &page)?;
        files.push(File {
            path,
            bytes: text.into_bytes(),
            executable: false,
        });
    }
    files.sort_by_key(|file| file.path);
    Ok(Kit {
        name: format!("octonas-sync-{}-{}", definition.code, order.source.id),
        files,
    })
}

/// The system account of the source on the NAS.
fn account(order: &Order<'_>) -> Result<String> {
    let id = order.definition.id.ok_or_else(|| {
        Error::new(
            "definition.damaged",
            format!("the definition of {} has no id", order.definition.code),
        )
    })?;
    Ok(source_account(&id.to_string(), &order.source.id))
}

/// A launcher with the kit's values; what stands between `@…@` is filled in where the kit is installed.
fn fill(make: Make, text: &str, values: &[(&str, String)]) -> String {
    if make == Make::Program {
        return text.to_owned();
    }
    let mut out = text.to_owned();
    for (key, value) in values {
        out = out.replace(&format!("{{{{{key}}}}}"), value);
    }
    if make == Make::Windows {
        out = out.replace('\n', "\r\n");
    }
    out
}

/// Text of an XML element, on one line, without the marks that `install` fills in.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// What the page for people says.
#[derive(Serialize)]
struct Page {
    experiment: String,
    title: String,
    source: String,
    description: Option<String>,
    minutes: u32,
    timezone: String,
    into: String,
    sftp: bool,
    host: Option<String>,
    port: Option<u16>,
    directory: Option<String>,
    watch: Vec<String>,
    stable_minutes: u32,
    receipt_hours: u32,
}

impl Page {
    fn of(order: &Order<'_>) -> Self {
        let (host, port, directory) = match order.way {
            Way::Sftp { host, port, .. } => (Some(host.clone()), Some(*port), None),
            Way::Directory(path) => (None, None, Some(path.clone())),
        };
        Self {
            experiment: order.definition.code.to_string(),
            title: order.definition.title.clone(),
            source: order.source.id.to_string(),
            description: order.source.description.clone(),
            minutes: order.source.every.minutes(),
            timezone: order.source.timezone.to_string(),
            into: order.source.into.to_string(),
            sftp: host.is_some(),
            host,
            port,
            directory,
            watch: order.watch.to_vec(),
            stable_minutes: config::STABLE_MINUTES,
            receipt_hours: config::RECEIPT_HOURS,
        }
    }
}

#[cfg(test)]
mod tests;
