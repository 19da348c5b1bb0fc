//! A generated text as a file: sealed with the digests of what it was made from, so that it is rewritten only when that
//! changes, and what a person changed by hand is never lost.
//!
//! The seal is the last line, a comment of the format:
//! `octonas: inputs <sha256> template <sha256> text <sha256>`; `text` is over everything before the seal.

use crate::error::Result;
use crate::store;
use crate::sys::clock;
use crate::sys::dir::{Dir, Permissions, Replace};

pub use crate::store::sha256;

/// The largest document that is read back, in bytes.
const SIZE_LIMIT: u64 = 16 << 20;
const MARK: &str = "octonas: inputs ";

/// How a format writes what is not part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    /// `<!-- … -->`: Markdown, HTML, XML.
    Angle,
    /// `# …`: YAML, plain text, programs.
    Hash,
    /// The format has none (JSON): such a file has no seal, and is compared as a whole.
    None,
}

/// What a text was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Over the facts ([`super::render::digest_of`]).
    pub inputs: String,
    /// Over the template ([`super::render::Templates::digest`]).
    pub template: String,
}

/// How a file stands to what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is not there.
    Missing,
    /// It says what would be written now.
    Current,
    /// The facts changed since.
    Outdated,
    /// The template, or the program, changed since; the facts did not.
    OlderTemplate,
    /// A person changed it, or wrote it.
    ByHand,
}

/// What writing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It was current.
    Unchanged,
    /// It is new, or replaces what we wrote before.
    Written,
    /// It replaces what a person had changed, which is kept beside under this name.
    Kept(String),
}

/// The text with its seal.
pub fn seal(body: &str, comment: Comment, made: &Made) -> String {
    let line = format!(
        "{MARK}{} template {} text {}",
        made.inputs,
        made.template,
        sha256(body.as_bytes())
    );
    match comment {
        Comment::Angle => format!("{body}<!-- {line} -->\n"),
        Comment::Hash => format!("{body}# {line}\n"),
        Comment::None => body.to_owned(),
    }
}

/// The text without its seal, and what it was made from where the seal is right.
pub fn unseal(text: &str) -> (&str, Option<Made>) {
    let end = text.trim_end_matches('\n');
    let start = end.rfind('\n').map_or(0, |at| at + 1);
    let (body, last) = (&text[..start], &end[start..]);
    let Some((_, fields)) = last.split_once(MARK) else {
        return (text, None);
    };
    let words: Vec<&str> = fields.split_whitespace().collect();
    let made = match words.as_slice() {
        [inputs, "template", template, "text", digest, ..]
            if *digest == sha256(body.as_bytes()) =>
        {
            Some(Made {
                inputs: (*inputs).to_owned(),
                template: (*template).to_owned(),
            })
        }
        _ => None,
    };
    (body, made)
}

/// How the file stands to what it should be made from.
pub fn state(dir: &Dir, name: &str, made: &Made) -> Result<State> {
    let Some(bytes) = dir.read(name, SIZE_LIMIT)? else {
        return Ok(State::Missing);
    };
    let there = std::str::from_utf8(&bytes).ok().map(unseal);
    Ok(match there.and_then(|(_, made)| made) {
        None => State::ByHand,
        Some(there) if there == *made => State::Current,
        Some(there) if there.inputs == made.inputs => State::OlderTemplate,
        Some(_) => State::Outdated,
    })
}

/// Writes a sealed text where it is not current, and gives it the rights of its directory: members read it.
pub fn put(dir: &Dir, name: &str, body: &str, comment: Comment, made: &Made) -> Result<Put> {
    let text = seal(body, comment, made);
    let there = match comment {
        Comment::None if dir.read(name, SIZE_LIMIT)?.as_deref() == Some(text.as_bytes()) => {
            State::Current
        }
        Comment::None => State::Outdated,
        _ => state(dir, name, made)?,
    };
    let put = match there {
        State::Current => Put::Unchanged,
        State::ByHand => Put::Kept(keep(dir, name)?),
        _ => Put::Written,
    };
    if put != Put::Unchanged {
        dir.write(name, text.as_bytes(), &Permissions::PRIVATE)?;
    }
    store::show(dir, name)?;
    Ok(put)
}

/// Moves what a person wrote beside: `README.fr.md` becomes `README.fr.by-hand-2026-11-21T0550.md`.
fn keep(dir: &Dir, name: &str) -> Result<String> {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, "txt"));
    let now: String = clock::now_text().replace([':', 'Z'], "");
    for number in 1.. {
        let again = if number > 1 {
            format!("-{number}")
        } else {
            String::new()
        };
        let beside = format!("{stem}.by-hand-{now}{again}.{end}");
        match dir.rename(name, dir, &beside, Replace::Never) {
            Ok(()) => return Ok(beside),
            Err(e) if e.code() == "path.exists" && number < 100 => {}
            Err(e) => return Err(e),
        }
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(inputs: &str, template: &str) -> Made {
        Made {
            inputs: sha256(inputs.as_bytes()),
            template: sha256(template.as_bytes()),
        }
    }

    fn read(dir: &Dir, name: &str) -> String {
        String::from_utf8(dir.read(name, 1 << 20).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_text_is_rewritten_only_when_what_it_is_made_from_changed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let write =
            |body: &str, made: &Made| put(&dir, "A.md", body, Comment::Angle, made).unwrap();
        let first = made("facts", "template");
        assert_eq!(state(&dir, "A.md", &first).unwrap(), State::Missing);
        assert_eq!(write("today\n", &first), Put::Written);
        assert_eq!(state(&dir, "A.md", &first).unwrap(), State::Current);
        // The day changed, the facts did not.
        assert_eq!(write("tomorrow\n", &first), Put::Unchanged);
        assert!(read(&dir, "A.md").starts_with("today\n<!-- octonas: inputs "));
        let other = made("facts", "new template");
        assert_eq!(state(&dir, "A.md", &other).unwrap(), State::OlderTemplate);
        let facts = made("new facts", "new template");
        assert_eq!(state(&dir, "A.md", &facts).unwrap(), State::Outdated);
        assert_eq!(write("tomorrow\n", &facts), Put::Written);
        assert_eq!(unseal(&read(&dir, "A.md")), ("tomorrow\n", Some(facts)));
    }

    #[test]
    fn what_a_person_changed_is_kept_beside() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let first = made("facts", "template");
        put(&dir, "A.cff", "a: 1\n", Comment::Hash, &first).unwrap();
        for (number, text) in ["a: 2\n", "", "# octonas: inputs x template y text z\n"]
            .iter()
            .enumerate()
        {
            dir.write("A.cff", text.as_bytes(), &Permissions::PRIVATE)
                .unwrap();
            assert_eq!(state(&dir, "A.cff", &first).unwrap(), State::ByHand);
            let Put::Kept(beside) = put(&dir, "A.cff", "a: 1\n", Comment::Hash, &first).unwrap()
            else {
                panic!("it was overwritten");
            };
            assert!(
                beside.starts_with("A.by-hand-") && beside.strip_suffix(".cff").is_some(),
                "{beside}"
            );
            assert_eq!(&read(&dir, &beside), text);
            assert_eq!(dir.entries().unwrap().len(), number + 2);
        }
    }

    #[test]
    fn json_has_no_seal_and_is_compared_as_a_whole() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_absolute(temp.path()).unwrap();
        let first = made("facts", "template");
        let write = |body: &str| put(&dir, "a.json", body, Comment::None, &first).unwrap();
        assert_eq!(write("{}\n"), Put::Written);
        assert_eq!(write("{}\n"), Put::Unchanged);
        assert_eq!(write("[]\n"), Put::Written);
        assert_eq!(read(&dir, "a.json"), "[]\n");
    }
}
