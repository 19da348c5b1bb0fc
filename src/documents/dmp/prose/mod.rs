//! The sentences of a plan: what the NAS says to each question, in French or English. Every sentence states a fact that
//! is known; what is not known is left to [`super::open`].

mod data;
mod keeping;
mod sharing;

use serde::Serialize;

use super::facts::Facts;
use super::plan::Plan;
use crate::documents::words;
use crate::experiment::Language;

/// A piece of text. Exactly one of the three is there; a template can ask for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Block {
    /// A paragraph.
    pub paragraph: Option<String>,
    /// A list.
    pub list: Option<Vec<String>>,
    /// A table.
    pub table: Option<Table>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Titles of its columns.
    pub head: Vec<String>,
    /// Its rows, as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Block {
    /// A paragraph.
    pub fn paragraph(text: impl Into<String>) -> Self {
        Self {
            paragraph: Some(text.into()),
            ..Self::default()
        }
    }

    /// A list.
    pub fn list(items: Vec<String>) -> Self {
        Self {
            list: Some(items),
            ..Self::default()
        }
    }

    /// A table; a cell without anything in it shows a dash.
    pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> Self {
        let rows = rows
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .map(|cell| if cell.is_empty() { "—".into() } else { cell })
                    .collect()
            })
            .collect();
        Self {
            table: Some(Table {
                head: head.iter().map(|&text| text.to_owned()).collect(),
                rows,
            }),
            ..Self::default()
        }
    }

    /// Its lines, for plain text and comparisons.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(
            self.paragraph
                .iter()
                .flat_map(|text| text.lines().map(str::to_owned)),
        );
        lines.extend(self.list.iter().flatten().map(|item| format!("- {item}")));
        if let Some(table) = &self.table {
            lines.extend(
                table
                    .rows
                    .iter()
                    .map(|row| format!("- {}", row.join(" ; "))),
            );
        }
        lines
    }
}

/// What the NAS says to a question.
pub fn facts(plan: &Plan, question: &str, language: Language) -> Vec<Block> {
    let say = Say {
        plan,
        facts: &plan.facts,
        l: language,
    };
    match question {
        "1a" => data::produced(&say),
        "1b" => data::kinds(&say),
        "2a" => data::documented(&say),
        "2b" => data::checked(&say),
        "3a" => keeping::stored(&say),
        "3b" => keeping::secured(&say),
        "4a" => keeping::personal(&say),
        "4b" => keeping::owned(&say),
        "4c" => keeping::ethics(&say),
        "5a" => sharing::shared(&say),
        "5b" => sharing::preserved(&say),
        "5c" => sharing::software(&say),
        "5d" => sharing::identified(&say),
        "6a" => sharing::responsible(&say),
        "6b" => sharing::resources(&say),
        _ => Vec::new(),
    }
}

/// An answer as blocks: paragraphs, and lists of the lines that begin with `- `.
pub fn answer(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut items: Vec<String> = Vec::new();
    let close = |paragraph: &mut Vec<&str>, items: &mut Vec<String>, blocks: &mut Vec<Block>| {
        if !paragraph.is_empty() {
            blocks.push(Block::paragraph(paragraph.join("\n")));
            paragraph.clear();
        }
        if !items.is_empty() {
            blocks.push(Block::list(std::mem::take(items)));
        }
    };
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(item) = trimmed
            .strip_prefix("- ")
            .or_else(|| trimmed.strip_prefix("* "))
        {
            if items.is_empty() {
                close(&mut paragraph, &mut items, &mut blocks);
            }
            items.push(item.trim().to_owned());
        } else if trimmed.is_empty() {
            close(&mut paragraph, &mut items, &mut blocks);
        } else if let Some(last) = items.last_mut() {
            last.push(' ');
            last.push_str(trimmed);
        } else {
            paragraph.push(trimmed);
        }
    }
    close(&mut paragraph, &mut items, &mut blocks);
    blocks
}

/// Blocks as plain text, with the spaces of the language.
pub fn plain(blocks: &[Block], language: Language) -> String {
    let text = blocks
        .iter()
        .map(|block| block.lines().join("\n"))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n");
    match language {
        Language::Fr => french(&text),
        Language::En => text,
    }
}

/// French prose as it is printed: the spaces of [`words::firm`], and the apostrophe `’` between letters.
pub fn french(text: &str) -> String {
    let text = words::firm(text);
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let between = before.is_alphabetic() && chars.peek().is_some_and(|c| c.is_alphanumeric());
        out.push(if c == '\'' && between { '’' } else { c });
        before = c;
    }
    out
}

/// Who says what, in which language.
struct Say<'p> {
    plan: &'p Plan,
    facts: &'p Facts,
    l: Language,
}

impl<'p> Say<'p> {
    /// One of two texts.
    fn t<'t>(&self, fr: &'t str, en: &'t str) -> &'t str {
        match self.l {
            Language::Fr => fr,
            Language::En => en,
        }
    }

    /// A paragraph in one of two languages.
    fn p(&self, fr: &str, en: &str) -> Block {
        Block::paragraph(self.t(fr, en))
    }

    /// A label and what belongs to it.
    fn item(&self, fr: &str, en: &str, value: &str) -> String {
        match self.l {
            Language::Fr => format!("{fr} : {value}"),
            Language::En => format!("{en}: {value}"),
        }
    }

    /// A day in words.
    fn day(&self, day: &str) -> String {
        words::day(self.l, day)
    }

    /// A number of bytes.
    fn size(&self, bytes: u64) -> String {
        words::size(self.l, bytes)
    }

    /// A number and its noun.
    fn count(&self, count: u64, fr: [&str; 2], en: [&str; 2]) -> String {
        let [one, many] = match self.l {
            Language::Fr => fr,
            Language::En => en,
        };
        let noun = if words::is_plural(self.l, count) {
            many
        } else {
            one
        };
        format!("{}\u{a0}{noun}", words::number(self.l, count))
    }

    /// The word of a choice.
    fn choice(&self, key: &str) -> Option<&'p str> {
        self.plan.answers.choice(key)
    }
}

/// Text that may be missing, for a cell.
fn cell(text: Option<&String>) -> String {
    text.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_paragraphs_and_lists_and_nothing_else() {
        let blocks = answer("Un.\nSuite.\n\nListe :\n- a\n  suite\n* b\n\n# pas un titre\n\n\n");
        assert_eq!(
            blocks,
            [
                Block::paragraph("Un.\nSuite."),
                Block::paragraph("Liste :"),
                Block::list(vec!["a suite".into(), "b".into()]),
                Block::paragraph("# pas un titre"),
            ]
        );
        assert!(answer(" \n\n").is_empty());
    }

    #[test]
    fn french_has_its_spaces_and_its_apostrophe() {
        assert_eq!(
            french("L'accès aux données d'Élise : qu'est-ce ? 'ici' 5' it's"),
            "L’accès aux données d’Élise\u{a0}: qu’est-ce\u{202f}? 'ici' 5' it’s"
        );
    }
}
