//! What lies in a directory that is to become an experiment, and what becomes of its rights. Names, sizes and rights only:
//! no file is opened for its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::experiment::{Definition, RelPath};
use crate::layout::{self, DirectoryKind};
use crate::nas::Observation;
use crate::provision::observe::Names;
use crate::provision::site::Site;
use crate::sys::acl::{Acl, Perms, Which};
use crate::sys::dir::{Dir, FileKind, Metadata, Node};
use crate::sys::process;
use crate::sys::walk::Walk;

/// The most names that are given as examples of one thing.
const EXAMPLES: usize = 10;

/// The most directories beside the layout: each one is a line of the definition.
const LEAVES_MAX: usize = 500;

/// A number, and a few of those that were counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Paths below the directory, with owner and mode where that is what counts.
    pub examples: Vec<String>,
}

impl Count {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

/// Whose files there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The account, or its number.
    pub account: String,
    /// Files and directories that are theirs.
    pub count: u64,
    /// How many of these become root's: in the frame all, elsewhere those of people who will not write here.
    pub given_to_root: u64,
}

/// What lies there, and what changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links: no door follows them any more.
    pub symbolic_links: Count,
    /// Devices, sockets and FIFOs: no door opens them any more.
    pub special: Count,
    /// Directories that the layout does not have: members write in them.
    pub leaves: Vec<String>,
    /// Files in the frame: members read them, nobody but root changes them, and nobody adds one there.
    pub in_frame: Count,
    /// Owners, by number of files.
    pub owners: Vec<Owner>,
    /// What only its owner could read: every member will.
    pub private: Count,
    /// What everybody on the NAS could read: members only will.
    pub public: Count,
    /// What everybody on the NAS could change.
    pub writable_by_all: Count,
}

impl Survey {
    /// The same without what changes while people work: numbers count as one, and examples not at all.
    #[must_use]
    pub fn kinds(&self) -> Self {
        let count = |found: &Count| Count {
            count: found.count.min(1),
            examples: Vec::new(),
        };
        let mut owners: Vec<Owner> = self
            .owners
            .iter()
            .map(|owner| Owner {
                account: owner.account.clone(),
                count: owner.count.min(1),
                given_to_root: owner.given_to_root.min(1),
            })
            .collect();
        owners.sort_by(|a, b| a.account.cmp(&b.account));
        let mut leaves = self.leaves.clone();
        leaves.sort();
        Self {
            symbolic_links: count(&self.symbolic_links),
            special: count(&self.special),
            leaves,
            in_frame: count(&self.in_frame),
            owners,
            private: count(&self.private),
            public: count(&self.public),
            writable_by_all: count(&self.writable_by_all),
            ..Self::default()
        }
    }
}

/// A survey, and what it is needed for.
pub struct Surveyed {
    /// For people.
    pub survey: Survey,
    /// As the definition names them.
    pub leaves: Vec<RelPath>,
    /// Owners, modes and access lists, in the form of getfacl(1) with numbers (`-n`, relative to the directory).
    pub before: Vec<u8>,
}

/// What is needed to look at one object.
struct Looker<'a> {
    names: Names,
    writers: &'a BTreeSet<u32>,
    enforced: bool,
    leaves: BTreeSet<String>,
    owners: BTreeMap<u32, Owner>,
    linked: Count,
    survey: Survey,
    before: Vec<u8>,
}

impl Surveyed {
    /// Looks through everything in `dir`. What an experiment cannot hold is an error that names it.
    pub fn of(
        site: &Site,
        dir: &Dir,
        definition: &Definition,
        seen: &Observation,
        writers: &BTreeSet<u32>,
    ) -> Result<Self> {
        let layout = site.layout(definition)?.expand(definition)?;
        let mut strangers = Strangers::new(&layout);
        strangers.below(dir, "")?;
        let inside = layout
            .iter()
            .filter(|directory| directory.kind.is_leaf())
            .map(|directory| directory.path.to_string())
            .chain(strangers.leaves.iter().map(ToString::to_string));
        let mut looker = Looker {
            names: Names::of(seen),
            writers,
            enforced: site.nas.identity().enforces_rights,
            leaves: inside.collect(),
            owners: BTreeMap::new(),
            linked: Count::default(),
            survey: Survey::default(),
            before: Vec::new(),
        };
        looker.keep(Path::new("."), dir.node())?;
        for found in Walk::new(dir)? {
            process::check_interrupted()?;
            let found = found.map_err(|error| {
                Error::new(
                    "import.unreadable",
                    format!(
                        "not everything in {} can be looked at",
                        dir.path().display()
                    ),
                )
                .hint("mend what the cause names, then import again; nothing was changed")
                .source(error)
            })?;
            match found.metadata.kind {
                FileKind::Link => {
                    let links = &mut looker.survey.symbolic_links;
                    links.add(|| found.path.display().to_string());
                }
                FileKind::Special => {
                    let special = &mut looker.survey.special;
                    special.add(|| found.path.display().to_string());
                }
                FileKind::File | FileKind::Directory => {
                    if let Some(node) = found.node()? {
                        looker.look(&found.path, &found.metadata, &node)?;
                    }
                }
            }
        }
        looker.refuse_linked(dir)?;
        let mut survey = looker.survey;
        survey.leaves = strangers.leaves.iter().map(ToString::to_string).collect();
        survey.owners = looker.owners.into_values().collect();
        survey
            .owners
            .sort_by(|a, b| (b.count, &a.account).cmp(&(a.count, &b.account)));
        Ok(Self {
            survey,
            leaves: strangers.leaves,
            before: looker.before,
        })
    }
}

impl Looker<'_> {
    fn look(&mut self, path: &Path, metadata: &Metadata, node: &Node) -> Result<()> {
        let acl = self.keep(path, node)?;
        let in_leaf = path.ancestors().skip(1).any(|above| {
            above
                .to_str()
                .is_some_and(|above| self.leaves.contains(above))
        });
        let shown = |names: &Names| {
            format!(
                "{} ({} {:04o})",
                path.display(),
                names.owner(metadata.uid, metadata.gid),
                metadata.mode
            )
        };
        if metadata.kind == FileKind::Directory {
            self.survey.directories += 1;
        } else {
            self.survey.files += 1;
            self.survey.bytes += metadata.size;
            if !in_leaf {
                self.survey.in_frame.add(|| path.display().to_string());
            }
            if metadata.links > 1 {
                self.linked.add(|| path.display().to_string());
            }
        }
        let owner = self.owners.entry(metadata.uid).or_insert_with(|| Owner {
            account: self.names.user(metadata.uid),
            ..Owner::default()
        });
        owner.count += 1;
        if !self.enforced {
            return Ok(());
        }
        let stays = metadata.uid == 0 || (in_leaf && self.writers.contains(&metadata.uid));
        owner.given_to_root += u64::from(!stays);
        let (read, write) = (Perms::from_bits(4), Perms::from_bits(2));
        if acl.other.covers(read) {
            self.survey.public.add(|| shown(&self.names));
        } else if !reaches_others(&acl, read) {
            self.survey.private.add(|| shown(&self.names));
        }
        if acl.other.covers(write) {
            self.survey.writable_by_all.add(|| shown(&self.names));
        }
        Ok(())
    }

    /// Keeps the rights of something as they are. Gives its access list.
    fn keep(&mut self, path: &Path, node: &Node) -> Result<Acl> {
        let metadata = node.metadata()?;
        let access = node.acl(Which::Access)?;
        let default = match metadata.kind {
            FileKind::Directory => node.acl(Which::Default)?,
            _ => None,
        };
        let access = access.unwrap_or_else(|| Acl::from_mode(metadata.mode));
        facl(&mut self.before, path, &metadata, &access, default.as_ref());
        Ok(access)
    }

    /// Whoever reaches a file by another name, outside, would keep what they may do with it.
    fn refuse_linked(&self, dir: &Dir) -> Result<()> {
        if !self.enforced || self.linked.count == 0 {
            return Ok(());
        }
        Err(Error::new(
            "import.linked",
            format!(
                "{} file(s) in {} have several names (hard links), such as {}: their rights would change at each of them",
                self.linked.count,
                dir.path().display(),
                self.linked.examples.join(", ")
            ),
        )
        .hint(
            "replace each name by a copy (cp --archive FILE FILE.new && mv FILE.new FILE); `find DIR -type f -links +1` lists \
             them",
        ))
    }
}

/// True where somebody else than the owner has one of these rights.
fn reaches_others(acl: &Acl, right: Perms) -> bool {
    let mask = acl.mask.unwrap_or(Perms::ALL);
    acl.other.covers(right)
        || acl
            .users
            .values()
            .chain(acl.groups.values())
            .chain([&acl.group_obj])
            .any(|perms| perms.and(mask).covers(right))
}

/// One object as `getfacl -n` writes it, which `setfacl --restore` reads: numbers, and a path in which what would break a
/// line is an octal number.
fn facl(out: &mut Vec<u8>, path: &Path, metadata: &Metadata, access: &Acl, default: Option<&Acl>) {
    let mut text = String::new();
    out.extend_from_slice(b"# file: ");
    for byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b'\n' | b'\r') {
            out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    let _ = write!(
        text,
        "\n# owner: {}\n# group: {}\n",
        metadata.uid, metadata.gid
    );
    let flags = metadata.mode & 0o7000;
    if flags != 0 {
        let letter = |bit, letter| if flags & bit == 0 { '-' } else { letter };
        let _ = writeln!(
            text,
            "# flags: {}{}{}",
            letter(0o4000, 's'),
            letter(0o2000, 's'),
            letter(0o1000, 't')
        );
    }
    for (before, acl) in [("", Some(access)), ("default:", default)] {
        let Some(acl) = acl else { continue };
        let _ = writeln!(text, "{before}user::{}", acl.user_obj);
        for (uid, perms) in &acl.users {
            let _ = writeln!(text, "{before}user:{uid}:{perms}");
        }
        let _ = writeln!(text, "{before}group::{}", acl.group_obj);
        for (gid, perms) in &acl.groups {
            let _ = writeln!(text, "{before}group:{gid}:{perms}");
        }
        if let Some(mask) = acl.mask {
            let _ = writeln!(text, "{before}mask::{mask}");
        }
        let _ = writeln!(text, "{before}other::{}", acl.other);
    }
    text.push('\n');
    out.extend_from_slice(text.as_bytes());
}

/// Directories that the layout does not have, found through its frames.
struct Strangers {
    /// Path in lower case → kind and path of what the layout (or we) will have there.
    known: BTreeMap<String, (Option<DirectoryKind>, String)>,
    leaves: Vec<RelPath>,
}

impl Strangers {
    fn new(layout: &[layout::Directory]) -> Self {
        let own = ["metadata", "landing"].map(|name| (name.to_owned(), (None, name.to_owned())));
        let known = layout.iter().map(|directory| {
            let path = directory.path.to_string();
            (path.to_lowercase(), (Some(directory.kind), path))
        });
        Self {
            known: known.chain(own).collect(),
            leaves: Vec::new(),
        }
    }

    fn below(&mut self, dir: &Dir, frame: &str) -> Result<()> {
        let mut names: Vec<_> = dir.iterate()?.collect::<Result<_>>()?;
        names.sort();
        for entry in names {
            let name = entry.name.to_string_lossy();
            let path = if frame.is_empty() {
                name.to_string()
            } else {
                format!("{frame}/{name}")
            };
            let is_directory = entry.kind == FileKind::Directory;
            match self.known.get(&path.to_lowercase()) {
                Some((Some(kind), known)) if *known == path && is_directory => {
                    let kind = *kind;
                    if kind == DirectoryKind::Frame {
                        self.below(&dir.existing(&entry.name)?, &path)?;
                    }
                }
                Some((_, known)) => return Err(in_the_way(dir, &path, known)),
                None if is_directory => {
                    let leaf = RelPath::parse(&path)
                        .ok()
                        .filter(|leaf| leaf.as_str() == path);
                    self.leaves.push(leaf.ok_or_else(|| unusable(dir, &path))?);
                }
                None => {}
            }
            if self.leaves.len() > LEAVES_MAX {
                return Err(Error::new(
                    "import.scattered",
                    format!(
                        "{} holds more than {LEAVES_MAX} directories that the layout does not have",
                        dir.path().display()
                    ),
                )
                .hint("put them into one directory first (mv, on the same file system, copies nothing)"));
            }
        }
        Ok(())
    }
}

fn in_the_way(dir: &Dir, path: &str, known: &str) -> Error {
    Error::new(
        "import.in-the-way",
        format!(
            "`{path}` in {} stands where the experiment will have its directory `{known}`",
            dir.path().display()
        ),
    )
    .hint("rename it, or choose a layout without that directory (metadata and landing are OctoNAS's own in every layout)")
}

fn unusable(dir: &Dir, path: &str) -> Error {
    Error::new(
        "import.directory-name",
        format!(
            "the directory {path:?} in {} has a name that not every computer can use",
            dir.path().display()
        ),
    )
    .hint("rename it: without any of \\ : * ? \" < > |, without a space or dot at its end, in Unicode's composed form (NFC)")
}
