//! Tables of separated values, in one pass: how they are written, their columns, their times.
//!
//! Called by `main` with text; knows nothing of files.

pub mod cell;
pub mod clock;
pub mod column;
pub mod dialect;
pub mod heading;
pub mod moment;
pub mod rows;
pub mod series;
#[cfg(test)]
mod tests;

use octonas::content::{Contents, Severity, Table};

use super::text::{self, Guard, Text};
use clock::Clock;
use column::Column;
use dialect::Dialect;
use rows::{CELLS, Row, Rows};

/// What the rows came to.
struct Counted {
    rows: u64,
    ragged: u64,
    first_ragged: u64,
    unclosed: u64,
    ends: &'static str,
    cut: bool,
}

/// Reads a table. `utc_offset` (minutes) is what the file says of its times elsewhere. False, and nothing happens, where
/// it is none.
pub fn read(text: &Text<'_>, utc_offset: Option<i32>, contents: &mut Contents) -> bool {
    let data: &[u8] = &text.bytes;
    let Some(dialect) = dialect::detect(data) else {
        return false;
    };
    let kept = usize::try_from(dialect.width).unwrap_or(CELLS).min(CELLS);
    let mut columns = vec![Column::default(); kept];
    let mut clock = dialect.clock.clone().map(Clock::new);
    let mut guard = Guard::new(data);
    let counted = pass(data, &dialect, &mut columns, &mut clock, &mut guard);
    guard.pass(data.len());

    let (encoding, mixed) = guard.encoding(text.start, text.bom);
    let names = names(&dialect, kept, encoding);
    let points: u64 = columns.iter().map(|c| c.points).sum();
    let commas: u64 = columns.iter().map(|c| c.commas).sum();
    text_findings(text, &guard, mixed, contents);
    table_findings(&dialect, &counted, &names, contents);
    if points > 0 && commas > 0 {
        contents.find(
            Severity::Warning,
            "csv.mixed-decimal",
            format!("{points} numbers have a decimal point, {commas} a comma"),
        );
    }
    let columns = columns
        .into_iter()
        .enumerate()
        .map(|(index, column)| {
            let (name, unit) = &names[index];
            let below = dialect.units.get(index).copied().unwrap_or_default();
            let below = heading::unit(&text::decode(below, encoding));
            column.finish(name, unit.clone().or(below), contents)
        })
        .collect();
    let only_names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    let time = clock.and_then(|clock| clock.finish(&only_names, utc_offset, contents));
    contents.table = Some(Table {
        delimiter: dialect
            .delimiter
            .map_or(String::new(), |d| char::from(d).to_string()),
        decimal: if commas > points { "," } else { "." }.to_owned(),
        encoding: encoding.to_owned(),
        bom: text.bom,
        line_ends: counted.ends.to_owned(),
        header_line: dialect.header.as_ref().map(|(line, _)| *line),
        rows: counted.rows,
        columns_total: dialect.width,
        columns,
        time,
    });
    true
}

/// The one pass over everything.
fn pass<'a>(
    data: &'a [u8],
    dialect: &Dialect<'_>,
    columns: &mut [Column],
    clock: &mut Option<Clock>,
    guard: &mut Guard<'_>,
) -> Counted {
    let mut reader = Rows::new(data, dialect.delimiter, dialect.newline);
    let mut row: Row<'a> = Row::default();
    let mut counted = Counted {
        rows: 0,
        ragged: 0,
        first_ragged: 0,
        unclosed: 0,
        ends: "lf",
        cut: false,
    };
    let timed = clock.as_ref().map(|clock| clock.place().columns());
    let timed = timed.unwrap_or_default();
    // Columns that are read as numbers and as time: the clock does not speak for them.
    let spoken: Vec<bool> = (0..columns.len())
        .map(|index| {
            timed.contains(&index)
                && clock.as_ref().is_some_and(|clock| {
                    matches!(clock.place(), clock::Place::One(_) | clock::Place::Two(..))
                })
        })
        .collect();
    while reader.next(&mut row) {
        guard.pass(reader.position());
        if row.line <= dialect.skip || row.is_blank() {
            continue;
        }
        // The end of file of MS-DOS.
        if row.cells.first() == Some(&&b"\x1a"[..]) && row.open {
            break;
        }
        counted.rows += 1;
        let empty_end = row.count == dialect.width + 1
            && row.count <= CELLS as u64
            && row.cells.last().is_some_and(|c| c.trim_ascii().is_empty());
        if row.count != dialect.width && !empty_end {
            counted.ragged += 1;
            if counted.ragged == 1 {
                counted.first_ragged = row.line;
            }
            counted.cut = row.open && row.count < dialect.width;
        }
        let told = clock
            .as_mut()
            .is_some_and(|clock| clock.add(&row.cells, row.line));
        for (index, column) in columns.iter_mut().enumerate() {
            match row.cells.get(index) {
                Some(cell) if spoken[index] => column.add_time(told, cell),
                Some(cell) => column.add(cell, row.line),
                None => column.add_nothing(),
            }
        }
    }
    counted.unclosed = reader.unclosed;
    counted.ends = reader.ends.name();
    counted
}

/// The name and the unit of every column that is kept.
fn names(dialect: &Dialect<'_>, kept: usize, encoding: &str) -> Vec<(String, Option<String>)> {
    let given = dialect.header.as_ref().map(|(_, names)| names.as_slice());
    (0..kept)
        .map(|index| {
            let cell = given.and_then(|names| names.get(index)).copied();
            let text = text::decode(cell.unwrap_or_default(), encoding).replace("\"\"", "\"");
            let (name, unit) = heading::split(&text);
            if name.is_empty() {
                (format!("column {}", index + 1), unit)
            } else {
                (name, unit)
            }
        })
        .collect()
}

/// Findings about the text as such.
pub fn text_findings(text: &Text<'_>, guard: &Guard<'_>, mixed: bool, contents: &mut Contents) {
    if guard.nuls > 0 {
        contents.find(
            Severity::Warning,
            "text.nul",
            format!(
                "{} NUL bytes stand in the text: a power cut, or a disk that lost a block",
                guard.nuls
            ),
        );
    }
    if mixed {
        contents.find(
            Severity::Warning,
            "text.mixed-encoding",
            "some lines are UTF-8 and others Windows-1252",
        );
    }
    if text.cut {
        contents.find(
            Severity::Warning,
            "text.cut",
            format!(
                "only the first {} MiB of this UTF-16 text were read",
                text::WIDE_LIMIT >> 20
            ),
        );
    }
}

fn table_findings(
    dialect: &Dialect<'_>,
    counted: &Counted,
    names: &[(String, Option<String>)],
    contents: &mut Contents,
) {
    if dialect.header.is_none() {
        contents.find(
            Severity::Note,
            "csv.no-header",
            "no line has the names of the columns",
        );
    }
    if counted.rows == 0 {
        contents.find(Severity::Warning, "csv.no-rows", "there are no data");
    }
    if counted.ragged > 0 {
        contents.find(
            Severity::Warning,
            "csv.ragged",
            format!(
                "{} rows have more or fewer cells than {}, the first in line {}",
                counted.ragged, dialect.width, counted.first_ragged
            ),
        );
    }
    if counted.cut {
        contents.find(
            Severity::Warning,
            "csv.last-line-cut",
            "the last line ends in the middle: the file is unfinished or was cut",
        );
    }
    if counted.unclosed > 0 {
        contents.find(
            Severity::Warning,
            "csv.quote-unclosed",
            "a quotation mark has no partner: a cell may have swallowed others",
        );
    }
    if dialect.width > CELLS as u64 {
        contents.find(
            Severity::Warning,
            "csv.many-columns",
            format!(
                "there are {} columns; the first {CELLS} were read",
                dialect.width
            ),
        );
    }
    let mut seen: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    seen.sort_unstable();
    let mut pairs = seen.iter().zip(seen.iter().skip(1));
    if let Some((twice, _)) = pairs.find(|(one, next)| one == next) {
        contents.find(
            Severity::Warning,
            "csv.duplicate-name",
            format!("several columns are named {twice}"),
        );
    }
}
