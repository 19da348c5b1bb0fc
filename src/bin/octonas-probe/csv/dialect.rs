//! How a table is written, by its first lines: what separates columns, where the names stand, which columns are time.

use super::cell;
use super::clock::Place;
use super::moment::{self, Order};
use super::rows::{CELLS, Row, Rows};

/// What is looked at: so many bytes, up to the end of a line, but never more than `FARTHEST`; and so many rows.
const SAMPLE: usize = 256 << 10;
const FARTHEST: usize = 64 << 20;
const ROWS: usize = 400;

/// What may separate columns, the likeliest first.
const DELIMITERS: [u8; 4] = [b';', b'\t', b',', b'|'];

/// How a table is written.
#[derive(Debug)]
pub struct Dialect<'a> {
    /// What separates columns; `None` where there is one.
    pub delimiter: Option<u8>,
    /// The byte that ends lines.
    pub newline: u8,
    /// How many columns there are.
    pub width: u64,
    /// The names of the columns, as they stand there, and their line.
    pub header: Option<(u64, Vec<&'a [u8]>)>,
    /// The units in a line of their own.
    pub units: Vec<&'a [u8]>,
    /// Rows that begin on this line or before are no data.
    pub skip: u64,
    /// Where the time of a row stands.
    pub clock: Option<Place>,
}

struct Sampled<'a> {
    line: u64,
    count: u64,
    cells: Vec<&'a [u8]>,
}

impl Sampled<'_> {
    fn typed(&self) -> usize {
        self.cells.iter().filter(|c| is_typed(c)).count()
    }

    fn filled(&self) -> usize {
        let is_filled = |cell: &&&[u8]| !cell.trim_ascii().is_empty();
        self.cells.iter().filter(is_filled).count()
    }
}

fn is_typed(cell: &[u8]) -> bool {
    cell::number(cell).is_some() || moment::read(cell).is_some()
}

/// Looks at the beginning of `data`; `None` where it is no table.
pub fn detect(data: &[u8]) -> Option<Dialect<'_>> {
    let head = &data[..data.len().min(SAMPLE)];
    let newline = if head.contains(&b'\r') && !head.contains(&b'\n') {
        b'\r'
    } else {
        b'\n'
    };
    let sample = sample(data, newline);
    let whole = sample.len() == data.len();
    let mut best: Option<(f64, u8, Vec<Sampled<'_>>, Layout)> = None;
    for delimiter in DELIMITERS {
        let rows = rows(sample, Some(delimiter), newline, whole);
        if let Some(layout) = layout(&rows, delimiter)
            && best
                .as_ref()
                .is_none_or(|(score, ..)| layout.score > *score + 1e-9)
        {
            best = Some((layout.score, delimiter, rows, layout));
        }
    }
    match best {
        Some((_, delimiter, rows, layout)) => {
            Some(describe(&rows, &layout, Some(delimiter), newline))
        }
        None => single(sample, newline, whole),
    }
}

/// From the beginning to the end of a line, two lines at least.
fn sample(data: &[u8], newline: u8) -> &[u8] {
    if data.len() <= SAMPLE {
        return data;
    }
    let farthest = &data[..data.len().min(FARTHEST)];
    let end_from = |from: usize| {
        let rest = farthest.get(from..)?;
        Some(from + rest.iter().position(|b| *b == newline)? + 1)
    };
    match end_from(SAMPLE) {
        Some(end) if data[..end - 1].contains(&newline) => &data[..end],
        Some(end) => &data[..end_from(end).unwrap_or(end)],
        None => farthest,
    }
}

fn rows(sample: &[u8], delimiter: Option<u8>, newline: u8, whole: bool) -> Vec<Sampled<'_>> {
    let mut reader = Rows::new(sample, delimiter, newline);
    let mut row = Row::default();
    let mut rows = Vec::new();
    while rows.len() < ROWS && reader.next(&mut row) {
        if row.is_blank() || (row.open && !whole) {
            continue;
        }
        rows.push(Sampled {
            line: row.line,
            count: row.count,
            cells: row.cells.clone(),
        });
    }
    rows
}

struct Layout {
    score: f64,
    width: u64,
    first: usize,
}

/// Whether the rows have the same number of cells, and numbers and times in them.
#[allow(clippy::cast_precision_loss)]
fn layout(rows: &[Sampled<'_>], delimiter: u8) -> Option<Layout> {
    let mut widths: Vec<(u64, usize)> = Vec::new();
    for row in rows.iter().filter(|row| row.count > 1) {
        match widths.iter_mut().find(|(width, _)| *width == row.count) {
            Some((_, times)) => *times += 1,
            None => widths.push((row.count, 1)),
        }
    }
    let (width, times) = widths
        .into_iter()
        .max_by_key(|(width, times)| (*times, *width))?;
    let first = rows.iter().position(|row| row.count == width)?;
    if rows.len() == 1 {
        // Names alone.
        let named = rows[0].filled() as u64 == width && rows[0].typed() == 0;
        let sure = width > 2 && delimiter != b',' || width > 3;
        return (named && sure).then_some(Layout {
            score: 0.1,
            width,
            first,
        });
    }
    let counted = rows.len() - first;
    let even = times as f64 / counted as f64;
    let (mut typed, mut filled) = (0, 0);
    for row in rows[first + 1..].iter().filter(|row| row.count == width) {
        typed += row.typed();
        filled += row.filled();
    }
    let typed = typed as f64 / (filled as f64).max(1.0);
    let sure = times >= 2 && even >= 0.7 && (typed >= 0.05 || (times >= 3 && even >= 0.95));
    sure.then_some(Layout {
        score: even * (0.2 + typed),
        width,
        first,
    })
}

/// One column of numbers or times.
fn single(sample: &[u8], newline: u8, whole: bool) -> Option<Dialect<'_>> {
    let rows = rows(sample, None, newline, whole);
    let typed = rows.iter().skip(1).filter(|row| row.typed() == 1).count();
    if rows.len() < 3 || typed * 10 < (rows.len() - 1) * 9 {
        return None;
    }
    let layout = Layout {
        score: 0.0,
        width: 1,
        first: 0,
    };
    Some(describe(&rows, &layout, None, newline))
}

fn describe<'a>(
    rows: &[Sampled<'a>],
    layout: &Layout,
    delimiter: Option<u8>,
    newline: u8,
) -> Dialect<'a> {
    let (width, first) = (layout.width, layout.first);
    let columns = usize::try_from(width).unwrap_or(CELLS).min(CELLS);
    let mut dialect = Dialect {
        delimiter,
        newline,
        width,
        header: None,
        units: Vec::new(),
        skip: first
            .checked_sub(1)
            .and_then(|i| rows.get(i))
            .map_or(0, |row| row.line),
        clock: None,
    };
    let typed = typed_columns(&rows[first..], width, columns);
    let data = if typed.is_empty() {
        first + 1
    } else {
        let is_data = |row: &Sampled<'_>| {
            let cell = |c: &usize| row.cells.get(*c).copied().unwrap_or_default();
            let fits = |c: &&usize| is_typed(cell(c)) || cell::is_missing(cell(c));
            row.count == width
                && typed.iter().filter(fits).count() * 10 >= typed.len() * 8
                && typed.iter().any(|c| is_typed(cell(c)))
        };
        rows[first..]
            .iter()
            .position(is_data)
            .map_or(rows.len(), |at| first + at)
    };
    heading(rows, data, &mut dialect);
    let rows = &rows[data.min(rows.len())..];
    if let Some((_, names)) = &mut dialect.header
        && names.len() + 1 == columns
        && rows
            .iter()
            .filter(|row| row.count == width)
            .any(|row| row.cells.last().is_some_and(|c| !c.trim_ascii().is_empty()))
    {
        // Names of rows, which R writes without a name for their column.
        names.insert(0, b"");
    }
    dialect.clock = clock(
        rows,
        columns,
        dialect.header.as_ref().map(|(_, names)| names.as_slice()),
    );
    dialect
}

/// Columns that hold numbers or times in most rows.
fn typed_columns(rows: &[Sampled<'_>], width: u64, columns: usize) -> Vec<usize> {
    let mut typed = vec![(0, 0); columns];
    for row in rows.iter().filter(|row| row.count == width) {
        for ((yes, all), cell) in typed.iter_mut().zip(&row.cells) {
            if !cell::is_missing(cell) {
                *all += 1;
                *yes += usize::from(is_typed(cell));
            }
        }
    }
    typed
        .iter()
        .enumerate()
        .filter(|(_, (yes, all))| yes * 2 >= *all && *yes > 0)
        .map(|(column, _)| column)
        .collect()
}

/// Which of the rows above the data has the names, and whether one has units.
fn heading<'a>(rows: &[Sampled<'a>], data: usize, dialect: &mut Dialect<'a>) {
    let width = dialect.width;
    let is_name = |row: &Sampled<'_>| {
        let near = row.count.abs_diff(width) <= 1 && row.count > u64::from(width > 1);
        let mark = row.cells.first().is_some_and(|c| c.starts_with(b"TOA5"));
        near && !mark && row.typed() * 2 < row.filled().max(1)
    };
    let above: Vec<&Sampled<'a>> = rows[..data.min(rows.len())]
        .iter()
        .rev()
        .take(4)
        .take_while(|row| is_name(row))
        .collect();
    let Some(nearest) = above.first() else {
        if let Some(row) = data.checked_sub(1).and_then(|i| rows.get(i)) {
            dialect.skip = dialect.skip.max(row.line);
        }
        return;
    };
    dialect.skip = nearest.line;
    // From the top: names come first, units and the kinds of values below them.
    let below: Vec<&&Sampled<'a>> = above.iter().rev().collect();
    let units = below.iter().skip(1).position(|row| is_units(row));
    let (names, units) = match units {
        Some(at) => (below[at], Some(below[at + 1])),
        None => (&above[0], None),
    };
    dialect.header = Some((names.line, names.cells.clone()));
    if let Some(units) = units {
        dialect.units.clone_from(&units.cells);
    }
}

/// Half of what stands there is a unit, or stands in brackets.
fn is_units(row: &Sampled<'_>) -> bool {
    let is_unit = |cell: &&&[u8]| {
        let text = super::super::text::decode(cell, "utf-8").replace('\u{fffd}', "°");
        let text = text.trim();
        let bracket = |open, close| text.starts_with(open) && text.ends_with(close);
        bracket('[', ']') || bracket('(', ')') || super::heading::is_unit(text)
    };
    let units = row.cells.iter().filter(is_unit).count();
    units > 0 && units * 2 >= row.filled()
}

/// Where the time of a row stands, if a column tells it.
fn clock(rows: &[Sampled<'_>], columns: usize, names: Option<&[&[u8]]>) -> Option<Place> {
    let name = |column: usize| -> String {
        let cell = names.and_then(|names| names.get(column)).copied();
        plain(cell.unwrap_or_default())
    };
    let (mut days, mut times, mut epochs) = (None, None, None);
    let columns = columns.min(200);
    for column in 0..columns {
        let (mut all, mut both, mut day, mut time, mut epoch) = (0, 0, 0, 0, [0, 0]);
        for cell in rows.iter().filter_map(|row| row.cells.get(column)) {
            if cell::is_missing(cell) {
                continue;
            }
            all += 1;
            match moment::read(cell) {
                Some((shape, _)) if shape.order == Order::None => time += 1,
                Some((shape, _))
                    if shape.order == Order::Compact && !is_time_name(&name(column)) => {}
                Some((shape, _)) if shape.clock > 0 => both += 1,
                Some(_) => day += 1,
                None => {
                    if let Some(number) = cell::number(cell) {
                        epoch[0] += usize::from((3e8..2.6e9).contains(&number.value));
                        epoch[1] += usize::from((3e11..2.6e12).contains(&number.value));
                    }
                }
            }
        }
        let most = |count: usize| all > 0 && count * 10 >= all * 8;
        if most(both + day) && both > 0 {
            return Some(Place::One(column));
        }
        if most(day) {
            days = days.or(Some(column));
        }
        if most(time) {
            times = times.or(Some(column));
        }
        if is_time_name(&name(column)) {
            let unit = [1000, 1].into_iter().zip(epoch).find(|(_, n)| most(*n));
            epochs = epochs.or(unit.map(|(unit, _)| Place::Epoch(column, unit)));
        }
    }
    match (days, times) {
        (Some(day), Some(time)) => Some(Place::Two(day, time)),
        (Some(day), None) => Some(Place::One(day)),
        (None, time) => epochs
            .or_else(|| parts(columns, &name))
            .or(time.map(Place::One)),
    }
}

fn is_time_name(name: &str) -> bool {
    [
        "date", "time", "temps", "jour", "heure", "epoch", "unix", "stamp",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// Columns named year, month and day, and what there is of hour, minute and second.
fn parts(columns: usize, name: &impl Fn(usize) -> String) -> Option<Place> {
    const NAMES: [&[&str]; 6] = [
        &["year", "annee", "an", "yr", "yyyy"],
        &["month", "mois", "mo"],
        &["day", "jour", "dd"],
        &["hour", "heure", "hh", "hr"],
        &["minute", "minutes", "min"],
        &["second", "seconde", "sec"],
    ];
    let mut found = Vec::new();
    for words in NAMES {
        match (0..columns).find(|column| words.contains(&name(*column).as_str())) {
            Some(column) => found.push(column),
            None => break,
        }
    }
    (found.len() >= 3).then_some(Place::Parts(found))
}

/// A name in lower case and without accents, whatever its encoding.
fn plain(name: &[u8]) -> String {
    name.trim_ascii()
        .iter()
        .take(120)
        .filter_map(|byte| match byte {
            0xC3 => None,
            0xA9 | 0xE9 => Some('e'),
            other => Some(char::from(other.to_ascii_lowercase())),
        })
        .collect()
}
