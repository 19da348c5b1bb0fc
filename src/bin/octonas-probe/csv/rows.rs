//! Rows and cells of separated values (RFC 4180, and what loggers make of it), without copying a byte.
//!
//! Memory is bounded whatever the file holds: a row keeps [`CELLS`] cells and counts the others; a quotation that
//! does not end within [`QUOTATION`] bytes is none.

/// The cells of a row that are kept.
pub const CELLS: usize = 2000;

/// The longest quoted cell.
const QUOTATION: usize = 1 << 20;

/// After so many quotations without an end, quotes are letters like others: looking for their ends costs too much.
const PATIENCE: u64 = 50;

/// A row: where it stands, and its cells without the quotes around them.
#[derive(Debug, Default)]
pub struct Row<'a> {
    /// Its cells, at most [`CELLS`].
    pub cells: Vec<&'a [u8]>,
    /// How many there are in the file.
    pub count: u64,
    /// The line that it begins on, counted from 1.
    pub line: u64,
    /// True where nothing ends it: the file does.
    pub open: bool,
}

impl Row<'_> {
    /// True where nothing is in it.
    pub fn is_blank(&self) -> bool {
        self.count == 1
            && self
                .cells
                .first()
                .is_some_and(|cell| cell.trim_ascii().is_empty())
    }
}

/// How lines end, counted.
#[derive(Debug, Default, Clone, Copy)]
pub struct Ends {
    /// Line feeds alone.
    pub lf: u64,
    /// Carriage return and line feed.
    pub crlf: u64,
    /// Carriage returns alone.
    pub cr: u64,
}

impl Ends {
    /// `lf`, `crlf`, `cr` or `mixed`.
    pub fn name(&self) -> &'static str {
        match (self.lf, self.crlf, self.cr) {
            (_, 0, 0) => "lf",
            (0, _, 0) => "crlf",
            (0, 0, _) => "cr",
            _ => "mixed",
        }
    }
}

/// Goes through a text row by row.
#[derive(Debug)]
pub struct Rows<'a> {
    data: &'a [u8],
    at: usize,
    line: u64,
    delimiter: u8,
    newline: u8,
    quotes: bool,
    /// How lines ended so far.
    pub ends: Ends,
    /// Quotations that had no end.
    pub unclosed: u64,
}

impl<'a> Rows<'a> {
    /// From the beginning of `data`. Without a delimiter, a row is a cell.
    pub fn new(data: &'a [u8], delimiter: Option<u8>, newline: u8) -> Self {
        Self {
            data,
            at: 0,
            line: 1,
            delimiter: delimiter.unwrap_or(newline),
            newline,
            quotes: true,
            ends: Ends::default(),
            unclosed: 0,
        }
    }

    /// How many bytes were gone through.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads the next row into `row`; false at the end.
    pub fn next(&mut self, row: &mut Row<'a>) -> bool {
        row.cells.clear();
        row.count = 0;
        row.line = self.line;
        row.open = false;
        if self.at >= self.data.len() {
            return false;
        }
        loop {
            let quoted = self.quotes && self.data.get(self.at) == Some(&b'"');
            let (mut cell, quoted) = match quoted.then(|| self.quotation()).flatten() {
                Some(cell) => (cell, true),
                None => (self.plain(), false),
            };
            let end = self.data.get(self.at).copied();
            let last = end != Some(self.delimiter) || self.delimiter == self.newline;
            if last && end.is_some() && self.newline == b'\n' {
                // The carriage return stands before the line feed: at the end of a plain cell.
                if !quoted && cell.last() == Some(&b'\r') {
                    cell = &cell[..cell.len() - 1];
                    self.ends.crlf += 1;
                } else if quoted && self.at > 0 && self.data[self.at - 1] == b'\r' {
                    self.ends.crlf += 1;
                } else {
                    self.ends.lf += 1;
                }
            } else if last && end.is_some() {
                self.ends.cr += 1;
            }
            row.count += 1;
            if row.cells.len() < CELLS {
                row.cells.push(cell);
            }
            self.at += 1;
            if last {
                self.line += 1;
                row.open = end.is_none();
                return true;
            }
        }
    }

    /// A cell without quotes: up to the next delimiter or the end of the line, where `at` stands afterwards.
    fn plain(&mut self) -> &'a [u8] {
        let rest = &self.data[self.at.min(self.data.len())..];
        let (delimiter, newline) = (self.delimiter, self.newline);
        let length = rest
            .iter()
            .position(|byte| *byte == delimiter || *byte == newline)
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A cell in quotes; `at` stands behind it, at a delimiter, the end of the line or of the file. `None`, and
    /// nothing happens, where the quotation has no end.
    fn quotation(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        let limit = self.data.len().min(start + QUOTATION);
        let mut at = start;
        while let Some(length) = self.data[at.min(limit)..limit]
            .iter()
            .position(|b| *b == b'"')
        {
            at += length;
            let next = self.data.get(at + 1).copied();
            if next == Some(b'"') {
                at += 2;
                continue;
            }
            let before_end = next == Some(b'\r')
                && self
                    .data
                    .get(at + 2)
                    .is_none_or(|byte| *byte == self.newline);
            let ends = next.is_none_or(|byte| byte == self.delimiter || byte == self.newline);
            if ends || before_end {
                let cell = &self.data[start..at];
                self.line += cell
                    .iter()
                    .fold(0, |lines, b| lines + u64::from(*b == self.newline));
                self.at = at + if before_end && !ends { 2 } else { 1 };
                return Some(cell);
            }
            at += 1;
        }
        self.unclosed += 1;
        self.quotes = self.unclosed < PATIENCE;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, delimiter: u8) -> Vec<Vec<String>> {
        let mut rows = Rows::new(text.as_bytes(), Some(delimiter), b'\n');
        let mut row = Row::default();
        let mut out = Vec::new();
        while rows.next(&mut row) {
            let texts = row.cells.iter().map(|c| String::from_utf8_lossy(c).into());
            out.push(texts.collect());
        }
        out
    }

    #[test]
    fn rows_and_cells_are_told_apart() {
        for (text, want) in [
            ("a;b\nc;d\n", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("a;b\r\nc;d", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("a;\n;b\n", vec![vec!["a", ""], vec!["", "b"]]),
            (
                "\"a;1\";\"b\"\"c\"\r\nd;e\r\n",
                vec![vec!["a;1", "b\"\"c"], vec!["d", "e"]],
            ),
            ("\"two\nlines\";x\n", vec![vec!["two\nlines", "x"]]),
            (
                "\"never;closed\nb;c\n",
                vec![vec!["\"never", "closed"], vec!["b", "c"]],
            ),
            ("5\"6;x\n", vec![vec!["5\"6", "x"]]),
            ("\"a\" b;x\n", vec![vec!["\"a\" b", "x"]]),
            ("\n\n", vec![vec![""], vec![""]]),
            ("", vec![]),
            ("\"", vec![vec!["\""]]),
            ("\"\"", vec![vec![""]]),
            ("a;", vec![vec!["a", ""]]),
        ] {
            assert_eq!(all(text, b';'), want, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_through_quotations_and_their_ends_are_told() {
        let text = "a\r\n\"b\nc\"\r\nd\ne";
        let mut rows = Rows::new(text.as_bytes(), Some(b';'), b'\n');
        let mut row = Row::default();
        let mut lines = Vec::new();
        while rows.next(&mut row) {
            lines.push((row.line, row.open));
        }
        assert_eq!(lines, [(1, false), (2, false), (4, false), (5, true)]);
        assert_eq!(rows.ends.name(), "mixed");
        assert_eq!((rows.ends.crlf, rows.ends.lf), (2, 1));
    }

    #[test]
    fn a_million_columns_and_quotes_without_end_cost_little() {
        let wide = "1,".repeat(1_000_000);
        let mut rows = Rows::new(wide.as_bytes(), Some(b','), b'\n');
        let mut row = Row::default();
        assert!(rows.next(&mut row));
        assert_eq!((row.count, row.cells.len()), (1_000_001, CELLS));
        let quotes = "\"a,".repeat(2_000_000);
        let mut rows = Rows::new(quotes.as_bytes(), Some(b','), b'\n');
        assert!(rows.next(&mut row));
        assert_eq!(row.count, 2_000_001);
    }
}
