//! Writing a bag (RFC 8493): every file is read once, checked against its baseline and hashed while it is written; then
//! manifests, then tag manifests.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use jiff::Timestamp;

use super::algorithm::{Algorithm, Digests, Hasher, digests};
use super::content::Content;
use super::gather::{Gathered, Item};
use super::marks::Marks;
use super::pace::{Pace, Work};
use super::sink::{Entry, Sink, wrong_size};
use super::{manifest, tags};
use crate::error::{Error, Result};
use crate::report::Progress;
use crate::store::pathname;
use crate::sys::dir::{Dir, spoiled};
use crate::sys::{fault, process};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Pieces that may wait for their checksum.
const WAITING: usize = 16;

/// A bag about to be written.
pub struct Bag<'b> {
    /// The experiment's directory.
    pub experiment: &'b Dir,
    /// What of it goes into the bag.
    pub gathered: Rc<Gathered>,
    /// Payload files that are made for it: path below the bag, content.
    pub made: Vec<(String, Content<'b>)>,
    /// Further tag files: path below the bag, content.
    pub tags: Vec<(String, Content<'b>)>,
    /// Labels and values of `bag-info.txt`, without sizes.
    pub info: Vec<(&'static str, String)>,
    /// The checksums of its manifests.
    pub algorithms: &'b [Algorithm],
    /// What files were when they came in.
    pub baseline: Marks,
    /// Take files that differ from their baseline.
    pub allow_changed: bool,
    /// The time that made files bear.
    pub when: Timestamp,
}

/// What writing a bag came to.
#[derive(Debug, Default)]
pub struct Written {
    /// Payload files.
    pub files: u64,
    /// Bytes of the payload.
    pub bytes: u64,
    /// Files that differ from their baseline, where that was allowed.
    pub changed: Vec<String>,
    /// SHA-256 of the manifest: what the package is, in one number.
    pub manifest: String,
    /// The manifest with SHA-256.
    pub listing: String,
}

impl Bag<'_> {
    /// Files and bytes of the payload, the made files included.
    pub fn extent(&self) -> (u64, u64) {
        let made: u64 = self.made.iter().map(|(_, content)| content.size()).sum();
        let files = self.gathered.items.len() + self.made.len();
        (files as u64, self.gathered.bytes + made)
    }

    /// Writes it.
    pub fn write(&self, sink: &mut dyn Sink, progress: &dyn Progress) -> Result<Written> {
        let (files, bytes) = self.extent();
        let mut pace = Pace::new(progress, Work::Packing, bytes);
        let info = self.info_text();
        let first = [
            (
                "bagit.txt",
                Content::from(tags::DECLARATION.as_bytes().to_vec()),
            ),
            ("bag-info.txt", info.into_bytes().into()),
        ];
        let mut tag_sums = Sums::new(self.algorithms);
        for (path, content) in &first {
            self.put(sink, path, content, &mut tag_sums)?;
        }
        let mut sums = Sums::new(self.algorithms);
        let mut written = Written {
            files,
            bytes,
            ..Written::default()
        };
        self.payload(sink, &mut sums, &mut pace, &mut written.changed)?;
        for (path, content) in &self.made {
            self.put(sink, path, content, &mut sums)?;
        }
        fault::point("package.payload")?;
        for (path, content) in &self.tags {
            self.put(sink, path, content, &mut tag_sums)?;
        }
        for (algorithm, text) in sums.0 {
            let file = format!("manifest-{algorithm}.txt");
            self.put_text(sink, &file, &text, &mut tag_sums)?;
            if algorithm == Algorithm::Sha256 {
                let sum = digests(&[Algorithm::Sha256], text.as_bytes());
                written.manifest = sum.hex(Algorithm::Sha256).unwrap_or_default();
                written.listing = text;
            }
        }
        let mut end = Sums::new(&[]);
        for (algorithm, text) in tag_sums.0 {
            let file = format!("tagmanifest-{algorithm}.txt");
            self.put_text(sink, &file, &text, &mut end)?;
        }
        fault::point("package.tags")?;
        Ok(written)
    }

    fn info_text(&self) -> String {
        let (files, bytes) = self.extent();
        let mut rows = self.info.clone();
        rows.push(("Bag-Size", human(bytes)));
        rows.push(("Payload-Oxum", format!("{bytes}.{files}")));
        let names: Vec<&str> = self.algorithms.iter().map(|each| each.name()).collect();
        // So that whoever reads a container once knows from the beginning what will have to be compared at its end.
        rows.push((MANIFESTS, names.join(" ")));
        tags::write_info(&rows)
    }

    /// A file that is none of the experiment.
    fn put(
        &self,
        sink: &mut dyn Sink,
        path: &str,
        content: &Content<'_>,
        sums: &mut Sums,
    ) -> Result<()> {
        let entry = Entry {
            path,
            size: content.size(),
            modified: self.when,
            executable: false,
        };
        sink.begin(&entry, None)?;
        let mut hasher = Hasher::new(self.algorithms);
        content.pour(&mut |piece| {
            hasher.update(piece);
            sink.piece(piece)
        })?;
        sink.end()?;
        sums.add(path, &hasher.take());
        Ok(())
    }

    /// The same, of a text that is in memory and stays there.
    fn put_text(&self, sink: &mut dyn Sink, path: &str, text: &str, sums: &mut Sums) -> Result<()> {
        let entry = Entry {
            path,
            size: text.len() as u64,
            modified: self.when,
            executable: false,
        };
        sink.begin(&entry, None)?;
        for piece in text.as_bytes().chunks(PIECE) {
            sink.piece(piece)?;
        }
        sink.end()?;
        sums.add(path, &digests(self.algorithms, text.as_bytes()));
        Ok(())
    }

    /// Everything that lies in the experiment: directories and files by path, hashed in a thread of their own.
    fn payload(
        &self,
        sink: &mut dyn Sink,
        sums: &mut Sums,
        pace: &mut Pace<'_>,
        changed: &mut Vec<String>,
    ) -> Result<()> {
        sink.directory("data", self.when)?;
        let (sender, receiver) = sync_channel(WAITING);
        let (told, results) = channel();
        std::thread::scope(|scope| {
            let algorithms = self.algorithms;
            scope.spawn(move || hash(algorithms, &receiver, &told));
            let mut reader = Reader {
                experiment: self.experiment,
                last: None,
                sender,
                pieces: Vec::new(),
            };
            let mut folders = self.gathered.folders.iter().peekable();
            let mut known = 0;
            let mut check = |digests: Digests, changed: &mut Vec<String>| -> Result<()> {
                let Some(item) = self.gathered.items.get(known) else {
                    return Ok(());
                };
                known += 1;
                self.compare(item, &digests, changed)?;
                sums.add(&item.path, &digests);
                Ok(())
            };
            for item in &self.gathered.items {
                while let Some(folder) = folders.next_if(|folder| *folder.path < *item.path) {
                    sink.directory(&folder.path, folder.modified)?;
                }
                process::check_interrupted()?;
                reader.pack(item, sink)?;
                pace.add(item.size);
                while let Ok(digests) = results.try_recv() {
                    check(digests, changed)?;
                }
            }
            for folder in folders {
                sink.directory(&folder.path, folder.modified)?;
            }
            drop(reader);
            while let Ok(digests) = results.recv() {
                check(digests, changed)?;
            }
            Ok(())
        })
    }

    /// A file is still what it was when it came in.
    fn compare(&self, item: &Item, digests: &Digests, changed: &mut Vec<String>) -> Result<()> {
        let sum = digests.get(Algorithm::Sha256).unwrap_or_default();
        let path = pathname::text(item.below());
        if self.baseline.has(&path, sum) != Some(false) {
            return Ok(());
        }
        let path = item.below().display().to_string();
        if self.allow_changed {
            changed.push(path);
            return Ok(());
        }
        Err(Error::new(
            "package.baseline",
            format!("{path} is not what it was when it came in"),
        )
        .hint("`octonas verify` tells more; restore it, or hand over what is there now with --allow-changed"))
    }
}

/// The label under which `bag-info.txt` tells of which algorithms there are manifests.
pub const MANIFESTS: &str = "OctoNAS-Manifests";

/// Manifests, as they grow with what is written.
struct Sums(Vec<(Algorithm, String)>);

impl Sums {
    fn new(algorithms: &[Algorithm]) -> Self {
        Self(
            algorithms
                .iter()
                .map(|each| (*each, String::new()))
                .collect(),
        )
    }

    fn add(&mut self, path: &str, digests: &Digests) {
        for (algorithm, text) in &mut self.0 {
            if let Some(sum) = digests.get(*algorithm) {
                manifest::line(text, sum, path);
            }
        }
    }
}

enum Piece {
    Bytes(Arc<Vec<u8>>, usize),
    End,
}

/// Makes checksums of what comes, file by file.
fn hash(
    algorithms: &[Algorithm],
    pieces: &Receiver<Piece>,
    told: &std::sync::mpsc::Sender<Digests>,
) {
    let mut hasher = Hasher::new(algorithms);
    while let Ok(piece) = pieces.recv() {
        match piece {
            Piece::Bytes(bytes, length) => {
                hasher.update(bytes.get(..length).unwrap_or_default());
            }
            Piece::End => {
                if told.send(hasher.take()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads files, and hands their bytes to whoever writes and whoever hashes.
struct Reader<'r> {
    experiment: &'r Dir,
    /// The directory that was read last, below the experiment.
    last: Option<(std::path::PathBuf, Dir)>,
    sender: SyncSender<Piece>,
    /// Memory that is used again once its checksum is made.
    pieces: Vec<Arc<Vec<u8>>>,
}

impl Reader<'_> {
    fn pack(&mut self, item: &Item, sink: &mut dyn Sink) -> Result<()> {
        let below = item.below();
        let changed = || wrong_size(&below.display().to_string());
        let parent = below.parent().unwrap_or(Path::new(""));
        if self.last.as_ref().is_none_or(|(known, _)| known != parent) {
            let dir = self.experiment.open(parent).map_err(|_| changed())?;
            self.last = Some((parent.to_owned(), dir.ok_or_else(changed)?));
        }
        let (Some((_, dir)), Some(name)) = (&self.last, below.file_name()) else {
            return Err(changed());
        };
        let node = match dir.node_at(name) {
            Ok(Some(node)) => node,
            Ok(None) => return Err(changed()),
            Err(e) if matches!(e.code(), "path.link" | "path.not-regular") => return Err(changed()),
            Err(e) => return Err(e),
        };
        let before = node.metadata()?;
        if !item.is(&before) {
            return Err(changed());
        }
        fault::point("package.file")?;
        let entry = Entry {
            path: &item.path,
            size: item.size,
            modified: item.modified,
            executable: item.executable,
        };
        let cloned = sink.begin(&entry, Some(node.file()))?;
        let from = cloned.as_ref().unwrap_or(node.file());
        let copied = self.copy(from, node.path(), cloned.is_none().then_some(sink))?;
        let after = node.metadata()?;
        let is_same = copied == item.size
            && (after.size, after.modified, after.changed)
                == (before.size, before.modified, before.changed);
        if !is_same {
            return Err(changed());
        }
        Ok(())
    }

    /// Every byte of a file: to the checksum, and to the package unless it has them. Gives how many there were.
    fn copy(&mut self, mut from: &File, path: &Path, sink: Option<&mut dyn Sink>) -> Result<u64> {
        let mut copied = 0;
        let mut sink = sink;
        loop {
            let mut piece = self.memory();
            let Some(bytes) = Arc::get_mut(&mut piece) else {
                continue;
            };
            let mut length = 0;
            // Whole pieces, so that holes are found.
            while length < bytes.len() {
                let room = bytes.get_mut(length..).unwrap_or_default();
                match from.read(room) {
                    Ok(0) => break,
                    Ok(read) => length += read,
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(spoiled("read", path, &e)),
                }
            }
            if length > 0 {
                copied += length as u64;
                if let Some(sink) = sink.as_mut() {
                    sink.piece(piece.get(..length).unwrap_or_default())?;
                }
                let _ = self.sender.send(Piece::Bytes(Arc::clone(&piece), length));
            }
            let is_end = length < piece.len();
            self.pieces.push(piece);
            if is_end {
                break;
            }
            if copied & ((64 << 20) - 1) == 0 {
                process::check_interrupted()?;
            }
        }
        if let Some(sink) = sink.as_mut() {
            sink.end()?;
        }
        let _ = self.sender.send(Piece::End);
        Ok(copied)
    }

    /// A piece of memory that nobody reads any more, or a new one.
    fn memory(&mut self) -> Arc<Vec<u8>> {
        let free = self
            .pieces
            .iter_mut()
            .position(|piece| Arc::get_mut(piece).is_some());
        match free {
            Some(at) => self.pieces.swap_remove(at),
            None => Arc::new(vec![0; PIECE]),
        }
    }
}

/// `1.2 GB`, as `Bag-Size` wants it.
fn human(bytes: u64) -> String {
    let units = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1000),
    ];
    for (unit, size) in units {
        if bytes >= size {
            return format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!(human(999), "999 bytes");
        assert_eq!(human(1_230_000_000), "1.2 GB");
    }
}
