//! Dates and times as people and loggers write them, in French and in English. What the order of day and month is, one
//! cell does not tell: numbers are given in the order in which they stand.

/// How the parts of a date follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// No date at all.
    None,
    /// `2026-03-01`
    YearFirst,
    /// `01/03/2026`: day, month and year, or month, day and year.
    YearLast,
    /// `01/03/26`: any order.
    AllShort,
    /// `1 mars 2026`
    DayName,
    /// `Mar 1, 2026`
    NameDay,
    /// `20260301`
    Compact,
}

/// How a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The parts of the date.
    pub order: Order,
    /// What stands between them.
    pub between: u8,
    /// What stands between date and time; 0 where there is nothing.
    pub join: u8,
    /// How many parts the time has: 0, 1 (hour), 2 or 3.
    pub clock: u8,
    /// What stands between hour and minute.
    pub colon: u8,
    /// True where seconds have a fraction.
    pub fraction: bool,
    /// True for AM and PM.
    pub twelve: bool,
    /// True for Z, UTC, GMT or an offset.
    pub zone: bool,
}

/// What a cell says, in the order in which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The three numbers of the date; the month of a word stands where it stands.
    pub date: [i32; 3],
    /// Milliseconds since midnight; 24:00 is the next day's first.
    pub clock: i64,
    /// Offset from UTC, in minutes.
    pub offset: Option<i32>,
}

/// The longest cell that is looked at.
const LONGEST: usize = 48;

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn done(&self) -> bool {
        self.at >= self.text.len()
    }

    /// A number of at most `most` digits: its value, and how many there are.
    fn digits(&mut self, most: usize) -> Option<(i32, usize)> {
        let mut value = 0;
        let mut count = 0;
        while count < most
            && let Some(byte @ b'0'..=b'9') = self.peek()
        {
            value = value * 10 + i32::from(byte - b'0');
            count += 1;
            self.at += 1;
        }
        (count > 0).then_some((value, count))
    }

    fn skip(&mut self, bytes: &[u8]) -> bool {
        let before = self.at;
        while self.peek().is_some_and(|b| bytes.contains(&b)) {
            self.at += 1;
        }
        self.at > before
    }

    /// A word of letters, other alphabets included.
    fn word(&mut self) -> &[u8] {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|b| b.is_ascii_alphabetic() || b >= 0x80)
        {
            self.at += 1;
        }
        &self.text[start..self.at]
    }
}

/// Names of months.
const NAMES: [(&str, i32); 24] = [
    ("january", 1),
    ("february", 2),
    ("march", 3),
    ("april", 4),
    ("may", 5),
    ("june", 6),
    ("july", 7),
    ("august", 8),
    ("september", 9),
    ("october", 10),
    ("november", 11),
    ("december", 12),
    ("janvier", 1),
    ("fevrier", 2),
    ("mars", 3),
    ("avril", 4),
    ("mai", 5),
    ("juin", 6),
    ("juillet", 7),
    ("aout", 8),
    ("septembre", 9),
    ("octobre", 10),
    ("novembre", 11),
    ("decembre", 12),
];

/// The month that a word names: English and French, whole or cut, whatever the encoding of the accents.
fn month(word: &[u8]) -> Option<i32> {
    let plain: Vec<u8> = word
        .iter()
        .filter_map(|b| match b {
            0xC3 => None,
            0xA9 | 0xE9 => Some(b'e'),
            0xBB | 0xFB => Some(b'u'),
            other => Some(other.to_ascii_lowercase()),
        })
        .collect();
    if plain.len() < 3 || plain.len() > 9 {
        return None;
    }
    let mut found = None;
    for (name, number) in NAMES {
        if name.as_bytes().starts_with(&plain) {
            match found {
                Some(other) if other != number => return None,
                _ => found = Some(number),
            }
        }
    }
    found
}

/// Reads a cell as a date, a time, or both.
pub fn read(cell: &[u8]) -> Option<(Shape, Moment)> {
    let text = cell.trim_ascii();
    if text.len() < 4 || text.len() > LONGEST {
        return None;
    }
    let mut shape = Shape {
        order: Order::None,
        between: 0,
        join: 0,
        clock: 0,
        colon: 0,
        fraction: false,
        twelve: false,
        zone: false,
    };
    let mut moment = Moment {
        date: [0; 3],
        clock: 0,
        offset: None,
    };
    let mut cursor = Cursor { text, at: 0 };
    if text[0].is_ascii_digit() && is_time(text) {
        clock(&mut cursor, &mut shape, &mut moment)?;
    } else {
        date(&mut cursor, &mut shape, &mut moment)?;
        if !cursor.done() {
            shape.join = joint(&mut cursor)?;
            if !cursor.done() {
                clock(&mut cursor, &mut shape, &mut moment)?;
            }
        }
    }
    cursor.done().then_some((shape, moment))
}

/// `14:30`, `14h30`: one or two digits, and then something that no date has.
fn is_time(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    digits <= 2 && matches!(text.get(digits), Some(b':' | b'h' | b'H'))
}

fn date(cursor: &mut Cursor<'_>, shape: &mut Shape, moment: &mut Moment) -> Option<()> {
    if cursor.peek()?.is_ascii_digit() {
        let (first, length) = cursor.digits(8)?;
        if length == 8 {
            shape.order = Order::Compact;
            moment.date = [first / 10_000, first / 100 % 100, first % 100];
            return plausible(moment.date[0], moment.date[1], moment.date[2]);
        }
        if length > 4 || length == 3 {
            return None;
        }
        let between = cursor.peek()?;
        if !matches!(between, b'/' | b'-' | b'.' | b' ') {
            return None;
        }
        cursor.at += 1;
        shape.between = between;
        let named = cursor.peek()?.is_ascii_alphabetic();
        let second = if named {
            month(cursor.word())?
        } else {
            let (second, digits) = cursor.digits(2)?;
            let _ = digits;
            second
        };
        if cursor.peek()? == between {
            cursor.at += 1;
        } else if !(named && cursor.skip(b". ")) {
            return None;
        }
        let (third, digits) = cursor.digits(4)?;
        shape.order = match (length, digits, named) {
            (4, 1 | 2, false) => Order::YearFirst,
            (1 | 2, 4 | 2, true) => Order::DayName,
            (1 | 2, 4, false) => Order::YearLast,
            (1 | 2, 2, false) => Order::AllShort,
            _ => return None,
        };
        if between == b' ' && !named {
            return None;
        }
        moment.date = [first, second, third];
    } else {
        let number = month(cursor.word())?;
        shape.between = b' ';
        shape.order = Order::NameDay;
        cursor.skip(b". ");
        let (day, digits) = cursor.digits(2)?;
        if digits > 2 || !cursor.skip(b", ") {
            return None;
        }
        let (year, digits) = cursor.digits(4)?;
        if digits != 4 {
            return None;
        }
        moment.date = [number, day, year];
    }
    let [a, b, c] = moment.date;
    match shape.order {
        Order::YearFirst => plausible(a, b, c),
        Order::YearLast => plausible(c, a, b).or_else(|| plausible(c, b, a)),
        Order::AllShort => plausible(short(c), a, b)
            .or_else(|| plausible(short(c), b, a))
            .or_else(|| plausible(short(a), b, c)),
        Order::DayName => plausible(short(c), b, a),
        Order::NameDay => plausible(c, a, b),
        Order::None | Order::Compact => Some(()),
    }
}

fn plausible(year: i32, month: i32, day: i32) -> Option<()> {
    ((1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day))
    .then_some(())
}

/// A year of two digits as POSIX reads it (strptime(3)): 69 to 99 lie in the last century.
pub fn short(year: i32) -> i32 {
    match year {
        0..=68 => year + 2000,
        69..=99 => year + 1900,
        other => other,
    }
}

/// How many days a month has.
pub fn days_in(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// What stands between date and time.
fn joint(cursor: &mut Cursor<'_>) -> Option<u8> {
    let first = cursor.peek()?;
    match first {
        b'T' | b't' | b'_' => cursor.at += 1,
        b' ' | b',' => {
            cursor.skip(b", ");
        }
        b'Z' | b'+' => return Some(0),
        _ => return None,
    }
    Some(first)
}

fn clock(cursor: &mut Cursor<'_>, shape: &mut Shape, moment: &mut Moment) -> Option<()> {
    let (hour, length) = cursor.digits(6)?;
    let (mut hour, mut minute, mut second) = (i64::from(hour), 0, 0);
    let mut milli = 0;
    shape.clock = 1;
    if length > 2 {
        // `T1430`, `T143000`
        shape.clock = if length == 4 { 2 } else { 3 };
        match length {
            4 => (hour, minute) = (hour / 100, hour % 100),
            6 => (hour, minute, second) = (hour / 10_000, hour / 100 % 100, hour % 100),
            _ => return None,
        }
    } else {
        cursor.skip(b" ");
        match cursor.peek() {
            Some(colon @ (b':' | b'h' | b'H')) => {
                shape.colon = colon.to_ascii_lowercase();
                cursor.at += 1;
                cursor.skip(b" ");
            }
            _ => return None,
        }
        if let Some((value, digits)) = cursor.digits(2) {
            if digits != 2 {
                return None;
            }
            minute = i64::from(value);
            shape.clock = 2;
            if let Some(b':' | b'm' | b'.') = cursor.peek() {
                cursor.at += 1;
                let (value, digits) = cursor.digits(2)?;
                if digits != 2 {
                    return None;
                }
                second = i64::from(value);
                shape.clock = 3;
            }
        } else if shape.colon != b'h' {
            return None;
        }
    }
    if let Some(b'.' | b',') = cursor.peek() {
        cursor.at += 1;
        shape.fraction = true;
        let (mut scale, mut any) = (100, false);
        while let Some(byte @ b'0'..=b'9') = cursor.peek() {
            milli += i64::from(byte - b'0') * scale;
            (scale, any) = (scale / 10, true);
            cursor.at += 1;
        }
        if !any {
            return None;
        }
    }
    cursor.skip(b" ");
    half(cursor, shape, &mut hour)?;
    zone(cursor, shape, moment)?;
    let whole = hour == 24 && minute == 0 && second == 0;
    if !(hour < 24 || whole) || minute > 59 || second > 60 {
        return None;
    }
    moment.clock = ((hour * 60 + minute) * 60 + second) * 1000 + milli;
    Some(())
}

/// AM and PM.
fn half(cursor: &mut Cursor<'_>, shape: &mut Shape, hour: &mut i64) -> Option<()> {
    let rest = &cursor.text[cursor.at..];
    let word: Vec<u8> = rest
        .iter()
        .take(4)
        .filter(|b| **b != b'.')
        .map(u8::to_ascii_lowercase)
        .collect();
    let after = match word.as_slice() {
        [b'a', b'm', ..] => 0,
        [b'p', b'm', ..] => 12,
        _ => return Some(()),
    };
    if !(1..=12).contains(hour) {
        return None;
    }
    shape.twelve = true;
    *hour = *hour % 12 + after;
    cursor.at += if rest.get(1) == Some(&b'.') { 4 } else { 2 };
    cursor.at = cursor.at.min(cursor.text.len());
    cursor.skip(b" ");
    Some(())
}

/// Z, UTC, GMT, or an offset.
fn zone(cursor: &mut Cursor<'_>, shape: &mut Shape, moment: &mut Moment) -> Option<()> {
    let mut offset = None;
    if cursor.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
        let word = cursor.word().to_ascii_uppercase();
        if !matches!(word.as_slice(), b"Z" | b"UTC" | b"GMT") {
            return None;
        }
        offset = Some(0);
        cursor.skip(b" ");
    }
    if let Some(sign @ (b'+' | b'-')) = cursor.peek() {
        cursor.at += 1;
        let (hours, length) = cursor.digits(4)?;
        let minutes = if length > 2 {
            hours / 100 * 60 + hours % 100
        } else {
            let extra = if cursor.skip(b":") {
                cursor.digits(2)?.0
            } else {
                0
            };
            hours * 60 + extra
        };
        if minutes > 15 * 60 {
            return None;
        }
        offset = Some(if sign == b'-' { -minutes } else { minutes });
    }
    shape.zone = offset.is_some();
    moment.offset = offset;
    Some(())
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`).
pub fn days(year: i32, month: i32, day: i32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year =
        (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + i64::from(month <= 2),
        month,
        doy - (153 * mp + 2) / 5 + 1,
    )
}

impl Shape {
    /// How it is written, in the letters of strftime(3). `day_first` decides where both are possible.
    pub fn format(self, day_first: bool, year_first: bool) -> String {
        let between = char::from(self.between);
        let three = |a: &str, b: &str, c: &str| format!("%{a}{between}%{b}{between}%{c}");
        let mut out = match self.order {
            Order::None => String::new(),
            Order::YearFirst => three("Y", "m", "d"),
            Order::AllShort if year_first => three("y", "m", "d"),
            Order::YearLast if day_first => three("d", "m", "Y"),
            Order::YearLast => three("m", "d", "Y"),
            Order::AllShort if day_first => three("d", "m", "y"),
            Order::AllShort => three("m", "d", "y"),
            Order::DayName => three("d", "b", "Y"),
            Order::NameDay => "%b %d %Y".to_owned(),
            Order::Compact => "%Y%m%d".to_owned(),
        };
        if self.join != 0 {
            out.push(char::from(self.join));
            if self.join == b',' {
                out.push(' ');
            }
        }
        let colon = if self.colon == 0 {
            String::new()
        } else {
            char::from(self.colon).to_string()
        };
        let hour = if self.twelve { "%I" } else { "%H" };
        let minutes = match self.clock {
            0 => "",
            1 => colon.as_str(),
            2 => &format!("{colon}%M"),
            _ if self.colon == b'h' => "h%M:%S",
            _ => &format!("{colon}%M{colon}%S"),
        };
        if self.clock > 0 {
            out.push_str(hour);
            out.push_str(minutes);
        }
        if self.fraction {
            out.push_str(".%f");
        }
        if self.twelve {
            out.push_str(" %p");
        }
        if self.zone {
            out.push_str("%z");
        }
        out
    }
}

#[cfg(test)]
mod tests;
