//! Reads the options of `rsync --server` up to the `.`, and writes them again in one canonical form, so that
//! rsync's own parser (popt) cannot understand them otherwise: a value is always joined to its option.

use std::slice::Iter;

use super::Role;
use super::table::{For, Known, LETTERS, LONG, NOT_FOR_SOURCES, REASONS, Value, accepts};
use crate::refusal::{Refusal, Result, shown};
use crate::words::Word;

/// What was read so far.
pub struct Options {
    role: Role,
    secluded: bool,
    deletes: Option<&'static str>,
    vector: Vec<Vec<u8>>,
}

impl Options {
    /// Nothing yet.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            secluded: false,
            deletes: None,
            vector: Vec::new(),
        }
    }

    /// Was `s` among the letters (`--secluded-args`): do more arguments come on standard input?
    pub fn secluded(&self) -> bool {
        self.secluded
    }

    /// An option that deletes, if there was one.
    pub fn deletes(&self) -> Option<&'static str> {
        self.deletes
    }

    /// The options, in canonical form.
    pub fn into_vector(self) -> Vec<Vec<u8>> {
        self.vector
    }

    /// Reads options up to and with the `.`; returns whether there was one.
    pub fn read(&mut self, words: &mut Iter<'_, Word>) -> Result<bool> {
        while let Some(word) = words.next() {
            match word.bytes() {
                b"." => return Ok(true),
                [b'-', b'-', name @ ..] if !name.is_empty() => self.long(name, words)?,
                [b'-', letters @ ..] if !letters.is_empty() && letters[0] != b'-' => {
                    self.letters(letters)?;
                }
                other => {
                    return Err(Refusal::new(format!(
                        "rsync: \"{}\" is not an option",
                        shown(other)
                    )));
                }
            }
        }
        Ok(false)
    }

    fn long(&mut self, option: &[u8], words: &mut Iter<'_, Word>) -> Result<()> {
        let (name, joined) = match option.iter().position(|byte| *byte == b'=') {
            Some(at) => (&option[..at], Some(&option[at + 1..])),
            None => (option, None),
        };
        let Some(known) = LONG.iter().find(|known| known.name.as_bytes() == name) else {
            return Err(refused(name));
        };
        match (self.role, known.whom) {
            (Role::Source, For::Persons | For::Deleting) => {
                return Err(Refusal::new(format!(
                    "rsync --{}: not for a source",
                    known.name
                )));
            }
            // The receiver deletes with --delete and its kin, the sender with --remove-source-files.
            (Role::Person, For::Deleting) => self.deletes = Some(known.name),
            _ => {}
        }
        let mut canonical = format!("--{}", known.name).into_bytes();
        if known.value == Value::None {
            if joined.is_some() {
                return Err(Refusal::new(format!(
                    "rsync --{} takes no value",
                    known.name
                )));
            }
        } else {
            let value = joined
                .or_else(|| words.next().map(Word::bytes))
                .unwrap_or_default();
            check_value(known, value)?;
            canonical.push(b'=');
            canonical.extend(value);
        }
        self.vector.push(canonical);
        Ok(())
    }

    fn letters(&mut self, letters: &[u8]) -> Result<()> {
        let mut plain = vec![b'-'];
        let mut rest = letters;
        while let [letter, after @ ..] = rest {
            rest = after;
            match *letter {
                b's' => self.secluded = true,
                // Block size and modify window: digits, to the end of the word.
                b'B' | b'@' => {
                    if !accepts(Value::Number, rest) {
                        return Err(Refusal::new(format!(
                            "rsync -{} wants a number",
                            char::from(*letter)
                        )));
                    }
                    self.vector.push([b"-", &[*letter], rest].concat());
                    rest = &[];
                }
                // The client's abilities: to the end of the word, and never the next word.
                b'e' => {
                    if !is_abilities(rest) {
                        return Err(Refusal::new("rsync -e is the client's business"));
                    }
                    plain.push(b'e');
                    plain.extend(rest);
                    rest = &[];
                }
                letter if LETTERS.contains(&letter) => {
                    if self.role == Role::Source && NOT_FOR_SOURCES.contains(&letter) {
                        return Err(Refusal::new(format!(
                            "rsync -{}: not for a source",
                            char::from(letter)
                        )));
                    }
                    plain.push(letter);
                }
                b'A' => return Err(refused(b"acls").hint("leave out -A")),
                b'X' => return Err(refused(b"xattrs").hint("leave out -X")),
                other => {
                    return Err(Refusal::new(format!(
                        "rsync -{} is not let through",
                        other.escape_ascii()
                    )));
                }
            }
        }
        if plain.len() > 1 {
            self.vector.push(plain);
        }
        Ok(())
    }
}

fn check_value(known: &Known, value: &[u8]) -> Result<()> {
    if accepts(known.value, value) && !value.contains(&0) {
        return Ok(());
    }
    let refusal = Refusal::new(format!(
        "rsync --{}: \"{}\" is not let through",
        known.name,
        shown(value)
    ));
    Err(match known.value {
        Value::Charset => refusal.hint("names of files are UTF-8 here: --iconv=LOCAL,UTF-8"),
        Value::Beneath => refusal.hint("use a relative directory without \"..\""),
        _ => refusal,
    })
}

fn refused(name: &[u8]) -> Refusal {
    let reason = REASONS.iter().find(|(option, _)| option.as_bytes() == name);
    let reason = reason.map_or(String::new(), |(_, why)| format!(": {why}"));
    Refusal::new(format!(
        "rsync --{} is not let through{reason}",
        shown(name)
    ))
}

/// `.LsfxCIvu`, or `31.14LsfxCIvu` of a pre-release (`maybe_add_e_option`).
fn is_abilities(text: &[u8]) -> bool {
    let version = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.get(version) == Some(&b'.')
        && text[version..]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
}
