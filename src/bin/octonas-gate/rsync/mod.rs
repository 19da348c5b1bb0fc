//! The rsync door: what a client asks for becomes an argument vector of known options, never a shell's command.
//! `options` reads the options, `table` knows them, `secluded` reads what `--secluded-args` sends apart, `glob`
//! expands wildcards, `deletion` protects experiments from `--delete`, `record` leaves out what is root's alone. Called
//! by `main` only.

pub mod deletion;
pub mod glob;
pub mod options;
pub mod record;
pub mod secluded;
pub mod table;

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::refusal::{Refusal, Result, shown};
use crate::words::Word;
use options::Options;

/// The program, in Debian's rsync.
pub const PROGRAM: &str = "/usr/bin/rsync";

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A member of experiments: reads and writes.
    Person,
    /// An acquisition machine: delivers, and nothing else.
    Source,
}

/// What every receiver is given last, so that it wins: no modes of the client's, directories `rwxrws---`, files
/// readable and writable for their group, and no times of directories (root owns some of them).
const RECEIVER: [&str; 3] = ["--no-perms", "--omit-dir-times", "--chmod=D2770,Fug+rw,Fo="];

/// A source's symbolic links arrive disabled.
const SOURCE: &str = "--munge-links";

/// What rsync will be started with.
#[derive(Debug, PartialEq, Eq)]
pub struct Session {
    /// The arguments, without the program's name.
    pub vector: Vec<Vec<u8>>,
    /// Does this side read the files (the client downloads)?
    pub sends: bool,
    /// The paths, as the client named them.
    pub paths: Vec<Vec<u8>>,
}

impl Session {
    /// The arguments as the system takes them.
    pub fn arguments(&self) -> impl Iterator<Item = OsString> + '_ {
        self.vector
            .iter()
            .map(|argument| OsString::from_vec(argument.clone()))
    }

    /// One line for the log.
    pub fn line(&self) -> String {
        let paths: Vec<String> = self
            .paths
            .iter()
            .take(5)
            .map(|path| format!("\"{}\"", shown(path)))
            .collect();
        let more = if self.paths.len() > 5 { " …" } else { "" };
        let verb = if self.sends { "reads" } else { "writes" };
        format!("rsync {verb} {}{more}", paths.join(" "))
    }
}

/// Reads the command `rsync --server …`; `client` is standard input (only `--secluded-args` takes anything from
/// it, and not a byte too many); `start` is where the session starts.
pub fn session(
    words: &[Word],
    role: Role,
    client: &mut impl Read,
    start: &Path,
) -> Result<Session> {
    let texts: Vec<&[u8]> = words.iter().map(Word::bytes).collect();
    let [_, b"--server", after @ ..] = texts.as_slice() else {
        return Err(Refusal::new(
            "rsync runs here only as the far end of a transfer (rsync --server)",
        ));
    };
    let sends = after.first() == Some(&b"--sender".as_slice());
    if sends && role == Role::Source {
        return Err(Refusal::new("a source delivers; it cannot read back"));
    }
    let first = 2 + usize::from(sends);
    let mut options = Options::new(role);
    let mut rest = words.get(first..).unwrap_or_default().iter();
    let mut ended = options.read(&mut rest)?;
    let sent: Vec<Word>;
    if options.secluded() {
        if ended {
            return Err(Refusal::new(
                "rsync --secluded-args with arguments on the command line",
            ));
        }
        sent = secluded::read(client)?
            .iter()
            .map(|raw| Word::sent(raw))
            .collect();
        rest = sent.iter();
        if rest.next().map(Word::bytes) != Some(b"rsync") {
            return Err(Refusal::new(
                "rsync --secluded-args did not send its arguments",
            ));
        }
        ended = options.read(&mut rest)?;
    }
    if !ended {
        return Err(Refusal::new(
            "an rsync command without \".\" before its paths",
        ));
    }
    let mut paths = Vec::new();
    for word in rest {
        let word = word.clone().at_home();
        if sends && word.is_pattern() {
            paths.extend(glob::expand(&word, start)?);
        } else {
            paths.push(word.bytes().to_vec());
        }
    }
    check_paths(&paths, role, sends)?;
    if let Some(option) = options.deletes() {
        deletion::check(option, &paths, start)?;
    }
    let mut vector = vec![b"--server".to_vec()];
    if sends {
        vector.push(b"--sender".to_vec());
    }
    vector.extend(options.into_vector());
    if sends {
        vector.extend(record::left_out(&paths, start));
    } else {
        vector.extend(RECEIVER.map(|option| option.as_bytes().to_vec()));
        if role == Role::Source {
            vector.push(SOURCE.as_bytes().to_vec());
        }
    }
    vector.push(b".".to_vec());
    vector.extend(paths.iter().cloned());
    Ok(Session {
        vector,
        sends,
        paths,
    })
}

/// rsync would take a path with a leading `-` for an option, wherever it stands.
fn check_paths(paths: &[Vec<u8>], role: Role, sends: bool) -> Result<()> {
    for path in paths {
        if path.starts_with(b"-") {
            return Err(Refusal::new(format!("\"{}\" is not a path", shown(path)))
                .hint("put ./ before a name that starts with a dash"));
        }
        if path.is_empty() || path.contains(&0) {
            return Err(Refusal::new("an empty path, or one with a NUL"));
        }
        if role == Role::Source && (path.starts_with(b"/") || has_parent(path)) {
            return Err(Refusal::new(format!(
                "\"{}\" leads out of the landing directory",
                shown(path)
            ))
            .hint("use a relative path without \"..\""));
        }
    }
    if !sends && paths.len() > 1 {
        return Err(
            Refusal::new("rsync writes to one destination, and this names several")
                .hint("quote blanks in file names, or use a newer rsync"),
        );
    }
    Ok(())
}

/// Is one component of the path `..`?
pub fn has_parent(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|component| component == b"..")
}

#[cfg(test)]
mod tests;
