//! What one cell says: a number, whichever way it is written, a word that stands for no value, a yes or no.

/// Which sign separates a number from its fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// There is no fraction.
    None,
    /// `12.5`
    Point,
    /// `12,5`
    Comma,
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// Its value; infinite where the cell says so.
    pub value: f64,
    /// How its fraction is separated.
    pub mark: Mark,
}

impl Number {
    /// True where it is written without a fraction.
    pub fn is_integer(&self) -> bool {
        self.mark == Mark::None && self.value.is_finite()
    }
}

/// Powers of ten that a double holds exactly.
const TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The longest number that is worth reading.
const LONGEST: usize = 64;

/// Reads a cell as a number: `-12.5`, `12,5`, `1 234,5` with a space, a no-break space or a narrow one, `1.234,5`,
/// `1,234.5`, `1e-3`, `inf`. Blanks around it do not matter.
pub fn number(cell: &[u8]) -> Option<Number> {
    let cell = cell.trim_ascii();
    let (negative, digits) = match cell.first()? {
        b'-' => (true, &cell[1..]),
        b'+' => (false, &cell[1..]),
        _ => (false, cell),
    };
    let signed = |value: f64| if negative { -value } else { value };
    let mut mantissa: u64 = 0;
    let mut whole = 0;
    for byte in digits {
        if !byte.is_ascii_digit() || whole == 18 {
            break;
        }
        mantissa = mantissa * 10 + u64::from(byte - b'0');
        whole += 1;
    }
    let rest = &digits[whole..];
    #[allow(clippy::cast_precision_loss)] // more than 2^53 is read again below
    let exact = |mantissa: u64, scale: usize| mantissa as f64 / TEN[scale];
    match rest.first() {
        None if whole > 0 && mantissa < 1 << 53 => Some(Number {
            value: signed(exact(mantissa, 0)),
            mark: Mark::None,
        }),
        Some(sign @ (b'.' | b',')) => {
            let mark = if *sign == b'.' {
                Mark::Point
            } else {
                Mark::Comma
            };
            let fraction = &rest[1..];
            let short = whole + fraction.len() <= 15 && whole + fraction.len() > 0;
            if short && fraction.iter().all(u8::is_ascii_digit) {
                for byte in fraction {
                    mantissa = mantissa * 10 + u64::from(byte - b'0');
                }
                let value = signed(exact(mantissa, fraction.len()));
                return Some(Number { value, mark });
            }
            odd(digits).map(|n| Number {
                value: signed(n.value),
                ..n
            })
        }
        _ => odd(digits).map(|n| Number {
            value: signed(n.value),
            ..n
        }),
    }
}

/// The bytes of a separator of thousands at the beginning of `text`: a blank, U+00A0 (in UTF-8 or Windows-1252),
/// U+202F, U+2009, an apostrophe.
fn blank(text: &[u8]) -> usize {
    match text {
        [0xC2, 0xA0, ..] => 2,
        [0xE2, 0x80, 0xAF | 0x89, ..] => 3,
        [b' ' | b'\'' | 0xA0, ..] => 1,
        _ => 0,
    }
}

/// Numbers with thousands set apart, with an exponent, or too long for the short way. Unsigned.
fn odd(text: &[u8]) -> Option<Number> {
    if text.len() > LONGEST || !text.first()?.is_ascii_alphanumeric() && text[0] != b'.' {
        return None;
    }
    if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
        let (value, mark) = (f64::INFINITY, Mark::None);
        return Some(Number { value, mark });
    }
    let mut clean = String::with_capacity(text.len());
    let mut mark = Mark::None;
    let mut at = 0;
    // Digits since the last separator of thousands, and which byte that was (1 for any blank).
    let (mut run, mut group) = (0, 0_u8);
    let last = |sign: u8| text.iter().rposition(|b| *b == sign);
    let several = |sign: u8| last(sign) != text.iter().position(|b| *b == sign);
    while at < text.len() {
        let byte = text[at];
        let wide = blank(&text[at..]);
        let groups = match byte {
            b',' => several(b',') || last(b'.') > Some(at),
            b'.' => several(b'.') || last(b',') > Some(at),
            _ => wide > 0,
        };
        if byte.is_ascii_digit() {
            clean.push(char::from(byte));
            run += 1;
            at += 1;
        } else if groups && mark == Mark::None {
            let sign = if wide > 0 { 1 } else { byte };
            let fits = if group == 0 {
                (1..=3).contains(&run)
            } else {
                run == 3 && group == sign
            };
            if !fits {
                return None;
            }
            (group, run) = (sign, 0);
            at += wide.max(1);
        } else if matches!(byte, b'.' | b',') && mark == Mark::None {
            if group != 0 && run != 3 {
                return None;
            }
            mark = if byte == b'.' {
                Mark::Point
            } else {
                Mark::Comma
            };
            clean.push('.');
            at += 1;
        } else if matches!(byte, b'e' | b'E') && !clean.is_empty() {
            let exponent = std::str::from_utf8(&text[at + 1..]).ok()?;
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit())
            {
                return None;
            }
            clean.push('e');
            clean.push_str(exponent);
            // 1e3 is written like a measured value.
            mark = if mark == Mark::None {
                Mark::Point
            } else {
                mark
            };
            at = text.len();
        } else {
            return None;
        }
    }
    if group != 0 && mark == Mark::None && run != 3 {
        return None;
    }
    if !clean.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let value = clean.parse().ok()?;
    Some(Number { value, mark })
}

/// Words that stand for no value, in lower case.
const NOTHING: &[&str] = &[
    "", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "nd", "n.d.", "-", "--", "---",
    "?", ".", "#value!", "#div/0!", "#ref!", "#num!", "missing",
];

/// True for a cell that says that there is no value.
pub fn is_missing(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    cell.is_empty()
        || cell.len() <= 8
            && NOTHING
                .iter()
                .any(|word| cell.eq_ignore_ascii_case(word.as_bytes()))
}

/// Pairs of opposite words, in lower case.
const OPPOSITES: &[&str] = &[
    "true", "false", "yes", "no", "oui", "non", "vrai", "faux", "on", "off", "t", "f", "y", "n",
];

/// True for a yes or a no.
pub fn is_boolean(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    cell.len() <= 5
        && OPPOSITES
            .iter()
            .any(|word| cell.eq_ignore_ascii_case(word.as_bytes()))
}

/// Numbers by which loggers say that there is no value.
pub fn is_sentinel(value: f64) -> bool {
    [
        -9999.0, -999.0, -999.9, -99999.0, -9999.9, -6999.0, -7999.0, -888.88, 9999.0, 99999.0,
        6999.0, 7999.0,
    ]
    .iter()
    .any(|sentinel| (value - sentinel).abs() < 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(f64, Mark)> {
        number(text.as_bytes()).map(|n| (n.value, n.mark))
    }

    #[test]
    fn numbers_are_read_whichever_way_they_are_written() {
        use Mark::{Comma, None as No, Point};
        for (text, value, mark) in [
            ("0", 0.0, No),
            ("-12", -12.0, No),
            ("+7", 7.0, No),
            (" 12.5 ", 12.5, Point),
            ("12,5", 12.5, Comma),
            ("-0,125", -0.125, Comma),
            (".5", 0.5, Point),
            ("5.", 5.0, Point),
            ("1 234", 1234.0, No),
            ("1 234,5", 1234.5, Comma),
            ("1\u{a0}234,5", 1234.5, Comma),
            ("1\u{202f}234\u{202f}567,25", 1_234_567.25, Comma),
            ("1.234,5", 1234.5, Comma),
            ("1,234.5", 1234.5, Point),
            ("1,234,567", 1_234_567.0, No),
            ("1'234.5", 1234.5, Point),
            ("1e3", 1000.0, Point),
            ("1,5E-3", 0.0015, Comma),
            ("0.1234567890123456789", 0.123_456_789_012_345_68, Point),
            ("12345678901234567890", 12_345_678_901_234_567_000.0, No),
            ("9007199254740993", 9_007_199_254_740_992.0, No),
        ] {
            assert_eq!(read(text), Some((value, mark)), "{text}");
        }
        assert_eq!(
            number(b"1\xa0234,5").unwrap().value.to_bits(),
            1234.5_f64.to_bits()
        );
        assert_eq!(read("-inf"), Some((f64::NEG_INFINITY, No)));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "",
            " ",
            "-",
            "+",
            ".",
            ",",
            "e5",
            "1e",
            "1e99999",
            "12:30",
            "1-2",
            "2026-03-01",
            "1/2",
            "12 34",
            "1 23,5",
            "1,23,456",
            "1.2.3",
            "0x10",
            "12a",
            "1 2345",
            "NaN",
            "--1",
            "1,2.3,4",
            "infinit",
            "1 ",
        ] {
            let expected = if text == "1 " {
                Some((1.0, Mark::None))
            } else {
                None
            };
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_without_a_value_and_opposites_are_known() {
        for text in ["", "  ", "NA", "NaN", "#N/A", "null", "n.d.", "-"] {
            assert!(is_missing(text.as_bytes()), "{text:?}");
        }
        for text in ["0", "nah", "a", "none at all"] {
            assert!(!is_missing(text.as_bytes()), "{text:?}");
        }
        for text in ["Oui", "FALSE", "vrai", "off"] {
            assert!(is_boolean(text.as_bytes()), "{text:?}");
        }
        assert!(!is_boolean(b"1") && !is_boolean(b"maybe"));
        assert!(is_sentinel(-9999.0) && !is_sentinel(21.0));
    }
}
