//! What the program tells while it works: progress, tables, names that are safe on a terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;

use serde::Serialize;

use crate::experiment::Language;

/// Something that is told to people.
pub trait Tell {
    /// It, in their language.
    fn tell(&self, language: Language) -> &str;
}

/// What exists in English alone: an error's words, a name.
impl Tell for String {
    fn tell(&self, _: Language) -> &str {
        self
    }
}

/// The same in both languages; made by `said!`. Encoded, it is an object: `{"en": …, "fr": …}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Said {
    /// For the terminal, and for whoever speaks neither.
    pub en: String,
    /// For pages in French.
    pub fr: String,
}

impl Tell for Said {
    fn tell(&self, language: Language) -> &str {
        match language {
            Language::En => self.en.as_str(),
            Language::Fr => self.fr.as_str(),
        }
    }
}

impl Said {
    /// What is the same in every language: a name, a number, the text of an error.
    pub fn same(text: impl Into<String>) -> Self {
        let en = text.into();
        Self { fr: en.clone(), en }
    }

    /// It, and more of it.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        self.en.push_str(&more.en);
        self.fr.push_str(&more.fr);
        self
    }
}

/// `said!("{n} files", "{n} fichiers")`: one text in both languages. Positional arguments follow, for both.
macro_rules! said {
    ($en:literal, $fr:literal $(, $argument:expr)* $(,)?) => {
        $crate::report::Said {
            en: format!($en $(, $argument)*),
            fr: format!($fr $(, $argument)*),
        }
    };
}
pub(crate) use said;

/// Where long work shows itself. Implementations never fail: a closed terminal must not stop the work.
pub trait Progress: Sync {
    /// A step begins; `number` counts from 1, `total` is 0 where it is not known.
    fn step(&self, number: usize, total: usize, text: &dyn Tell);
    /// Something worth knowing that is not an error.
    fn note(&self, text: &dyn Tell);
    /// Something that a person should act on.
    fn warn(&self, text: &dyn Tell);
}

/// Says nothing.
pub struct Hidden;

impl Progress for Hidden {
    fn step(&self, _: usize, _: usize, _: &dyn Tell) {}
    fn note(&self, _: &dyn Tell) {}
    fn warn(&self, _: &dyn Tell) {}
}

/// One line per step on standard error, for people and logs: English, as everything on a terminal.
pub struct Lines;

impl Progress for Lines {
    fn step(&self, number: usize, total: usize, text: &dyn Tell) {
        let text = text.tell(Language::En);
        stderr(&if total > 0 {
            format!("[{number}/{total}] {}", printable(text))
        } else {
            printable(text)
        });
    }
    fn note(&self, text: &dyn Tell) {
        stderr(&printable(text.tell(Language::En)));
    }
    fn warn(&self, text: &dyn Tell) {
        stderr(&format!("warning: {}", printable(text.tell(Language::En))));
    }
}

/// One JSON object per line on standard output, `{"progress": {…}}`, for the web UI, in the language of whoever looks.
pub struct JsonLines {
    out: Mutex<std::io::Stdout>,
    language: Language,
}

impl JsonLines {
    /// Writes to this process's standard output.
    pub fn new(language: Language) -> Self {
        Self {
            out: Mutex::new(std::io::stdout()),
            language,
        }
    }

    fn line(&self, value: &serde_json::Value) {
        if let Ok(mut out) = self.out.lock() {
            let _ = writeln!(out, "{value}");
            let _ = out.flush();
        }
    }
}

impl Progress for JsonLines {
    fn step(&self, number: usize, total: usize, text: &dyn Tell) {
        let text = text.tell(self.language);
        self.line(&serde_json::json!({"progress": {"step": number, "of": total, "text": text}}));
    }
    fn note(&self, text: &dyn Tell) {
        self.line(&serde_json::json!({"progress": {"note": text.tell(self.language)}}));
    }
    fn warn(&self, text: &dyn Tell) {
        self.line(&serde_json::json!({"progress": {"warning": text.tell(self.language)}}));
    }
}

/// One line on standard error; a closed stream is ignored.
pub fn stderr(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// An error as people see it: what happened to what, its code, and what to do.
pub fn complain(error: &crate::error::Error) {
    let text = printable_lines(&error.to_string());
    stderr(&format!("error: {text} [{}]", error.code()));
    if let Some(hint) = error.hint_text() {
        stderr(&format!("hint: {}", printable(hint)));
    }
    for (account, password) in error
        .created()
        .into_iter()
        .flat_map(super::error::Passwords::reveal)
    {
        stderr(&format!(
            "initial password of {account}: {password}   (shown once; it is kept nowhere)"
        ));
    }
}

/// Text on standard output. A closed pipe ends the output quietly, any other failure is reported.
pub fn stdout(text: &str) -> crate::error::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(crate::error::Error::new(
            "output.failed",
            "cannot write to standard output",
        )
        .source(e)),
        _ => Ok(()),
    }
}

/// A value as indented JSON on standard output.
pub fn json(value: &impl Serialize) -> crate::error::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| {
        crate::error::Error::new("output.failed", "cannot encode the answer as JSON").source(e)
    })?;
    stdout(&format!("{}\n", escaped(&text)))
}

/// JSON in which nothing commands a terminal or deceives a reader: outside of its texts there is none of it, and in them it stands
/// as `\uXXXX`, which is the same (RFC 8259, section 7).
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if deceives(c) || (c.is_control() && c != '\n') {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Characters that show nothing, or turn the text around.
fn deceives(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// True where a person looks at standard output.
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// `text` with everything escaped that could command a terminal or deceive a reader: control characters and
/// bidirectional overrides (Unicode Technical Report 36, section 2.10). Tabs and letters of any script stay.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() && c != '\t') || deceives(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A path as the catalogue writes it, for people: bytes that are no text as `\xe9`.
pub fn pathname(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            // `store::pathname`: byte 0x80 is U+10FF80.
            code @ 0x0010_FF80.. => {
                let _ = write!(out, "\\x{:02x}", code - 0x0010_FF00);
            }
            _ => out.push(c),
        }
    }
    printable(&out)
}

/// The same for a text of several lines, which stay lines.
pub fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Columns aligned for a terminal, cells escaped; the first row is the heading.
pub fn table(rows: &[Vec<String>]) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|i| {
            cells
                .iter()
                .filter_map(|row| row.get(i))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell}{}  ", " ".repeat(width - cell.chars().count()));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(
            printable("a\x1b[2Jb\u{202e}é\tz"),
            "a\\u{1b}[2Jb\\u{202e}é\tz"
        );
    }

    #[test]
    fn json_is_the_same_and_commands_no_terminal() {
        let given = serde_json::json!({"name": "a\u{9b}2J\u{7f}\u{202e}\u{1b}é\n"});
        let text = escaped(&serde_json::to_string_pretty(&given).unwrap());
        assert!(
            !text
                .chars()
                .any(|c| deceives(c) || (c.is_control() && c != '\n'))
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, given);
    }

    #[test]
    fn a_name_that_is_no_text_shows_its_bytes() {
        assert_eq!(pathname("caf\u{10ffe9}\n"), "caf\\xe9\\u{a}");
    }

    #[test]
    fn the_same_is_told_in_the_language_of_whoever_looks() {
        let files = 3;
        let said = said!("{files} files in {}", "{files} fichiers dans {}", "raw");
        assert_eq!(said.tell(Language::En), "3 files in raw");
        assert_eq!(said.tell(Language::Fr), "3 fichiers dans raw");
        let both = serde_json::json!({"en": "3 files in raw", "fr": "3 fichiers dans raw"});
        assert_eq!(serde_json::to_value(&said).unwrap(), both);
        assert_eq!("no such file".to_owned().tell(Language::Fr), "no such file");
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        let text = table(&[vec!["a".into(), "b".into()], vec!["éàü".into(), "c".into()]]);
        assert_eq!(text, "a    b\néàü  c\n");
    }
}
