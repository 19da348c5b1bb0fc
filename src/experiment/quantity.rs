//! Quantities with a unit: a day, a number of bytes, an interval, and the name of a time zone.

use super::text::{checked_text, checked_value, quote};
use crate::error::{Error, Result};

/// A day of the civil calendar, `2026-03-01`, between 1900 and 2200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);
checked_value!(Date);

impl Date {
    /// Reads `YYYY-MM-DD` and nothing else.
    pub fn parse(text: &str) -> Result<Self> {
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| match i {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        let day = if shaped {
            text.parse::<jiff::civil::Date>().ok()
        } else {
            None
        };
        match day {
            Some(day) if (1900..=2200).contains(&day.year()) => Ok(Self(day)),
            _ => Err(
                Error::new("date.invalid", format!("{} is not a date", quote(text)))
                    .hint("write year-month-day, like `2026-03-01`"),
            ),
        }
    }

    /// The day as jiff counts.
    pub fn civil(self) -> jiff::civil::Date {
        self.0
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of bytes, written as `500GiB` or `2TB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);
checked_value!(Size);

/// Units by name, largest first; decimal and binary, English and French (octets).
const UNITS: &[(&str, &str, u64)] = &[
    ("PiB", "Pio", 1 << 50),
    ("PB", "Po", 1_000_000_000_000_000),
    ("TiB", "Tio", 1 << 40),
    ("TB", "To", 1_000_000_000_000),
    ("GiB", "Gio", 1 << 30),
    ("GB", "Go", 1_000_000_000),
    ("MiB", "Mio", 1 << 20),
    ("MB", "Mo", 1_000_000),
    ("KiB", "Kio", 1 << 10),
    ("kB", "ko", 1_000),
    ("B", "o", 1),
];

impl Size {
    /// A number of bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Reads a whole number and a unit: `500GiB`, `2 TB`, `500 Go`, `1024` (bytes).
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::new("size.invalid", format!("{} {why}", quote(text)))
                .hint("write a whole number and a unit, like `500GiB` or `2TB`")
        };
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let number: u64 = digits.parse().map_err(|_| refused("is not a size"))?;
        let unit = unit.trim_start_matches(' ');
        let factor = if unit.is_empty() {
            Some(1)
        } else {
            UNITS
                .iter()
                .find(|(en, fr, _)| unit == *en || unit == *fr || unit.eq_ignore_ascii_case(en))
                .map(|(_, _, factor)| *factor)
        };
        let factor = factor.ok_or_else(|| refused("has no unit that is known"))?;
        number
            .checked_mul(factor)
            .map(Self)
            .ok_or_else(|| refused("is larger than any disk"))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Size {
    /// The shortest exact form; a binary unit where two are as short.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shortest = UNITS
            .iter()
            .filter(|(_, _, factor)| self.0 > 0 && self.0.is_multiple_of(*factor))
            .min_by_key(|(_, _, factor)| self.0 / factor);
        match shortest {
            Some((unit, _, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// How often something happens: whole minutes, `15min`, `6h`, `1d`; from one minute to 31 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(u32);
checked_value!(Interval);

impl Interval {
    /// A quarter of an hour: how often a source delivers that says nothing else.
    pub const QUARTER: Self = Self(15);

    /// Reads a whole number and `min`, `h` or `d`.
    pub fn parse(text: &str) -> Result<Self> {
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let factor = match unit.trim_start_matches(' ') {
            "min" => Some(1),
            "h" => Some(60),
            "d" | "j" => Some(24 * 60),
            _ => None,
        };
        let minutes = digits
            .parse::<u32>()
            .ok()
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor));
        match minutes {
            Some(minutes) if (1..=31 * 24 * 60).contains(&minutes) => Ok(Self(minutes)),
            _ => Err(Error::new(
                "interval.invalid",
                format!(
                    "{} is not an interval between one minute and 31 days",
                    quote(text)
                ),
            )
            .hint("write a whole number and `min`, `h` or `d`, like `15min`")),
        }
    }

    /// The number of minutes.
    pub const fn minutes(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            minutes if minutes.is_multiple_of(24 * 60) => write!(f, "{}d", minutes / (24 * 60)),
            minutes if minutes.is_multiple_of(60) => write!(f, "{}h", minutes / 60),
            minutes => write!(f, "{minutes}min"),
        }
    }
}

/// The name of a time zone in the IANA database, `Europe/Paris` or `UTC`.
///
/// Its shape and region are checked; whether this machine knows it is asked where it is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timezone(String);
checked_text!(Timezone);

/// The regions of the IANA database.
const REGIONS: &[&str] = &[
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Etc",
    "Europe",
    "Indian",
    "Pacific",
];

impl Timezone {
    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }

    /// Checks a name.
    pub fn parse(text: &str) -> Result<Self> {
        let place = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_uppercase())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-+".contains(&b))
        };
        let known = text == "UTC"
            || (text.len() <= 64
                && text.split_once('/').is_some_and(|(region, places)| {
                    REGIONS.contains(&region) && places.split('/').all(place)
                }));
        if known {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::new(
                "timezone.invalid",
                format!("{} is not the name of a time zone", quote(text)),
            )
            .hint("`UTC`, or region and city, like `Europe/Paris`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_that_exists() {
        assert_eq!(Date::parse("2028-02-29").unwrap().to_string(), "2028-02-29");
        for bad in [
            "",
            "2026-02-29",
            "2026-13-01",
            "01/03/2026",
            "2026-3-1",
            "2026-03-01T00:00",
            "1899-12-31",
            "2201-01-01",
            "20260301",
            "2026-03-0é",
        ] {
            assert!(Date::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_size_is_written_back_in_its_shortest_exact_form() {
        for (text, bytes, canonical) in [
            ("500GiB", 500 << 30, "500GiB"),
            ("2TB", 2_000_000_000_000, "2TB"),
            ("2000 GB", 2_000_000_000_000, "2TB"),
            ("500 Go", 500_000_000_000, "500GB"),
            ("1Tio", 1 << 40, "1TiB"),
            ("1024GiB", 1 << 40, "1TiB"),
            ("1024", 1024, "1KiB"),
            ("1000", 1000, "1kB"),
            ("1001", 1001, "1001B"),
            ("0", 0, "0B"),
        ] {
            let size = Size::parse(text).unwrap();
            assert_eq!(
                (size.bytes(), size.to_string().as_str()),
                (bytes, canonical),
                "{text}"
            );
            assert_eq!(Size::parse(canonical).unwrap(), size);
        }
        for bad in [
            "",
            "GiB",
            "1.5TB",
            "-1GB",
            "500G",
            "5 pommes",
            "99999999PiB",
            "99999999999999999999",
            "é",
        ] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_interval_is_whole_minutes() {
        for (text, minutes, canonical) in [
            ("15min", 15, "15min"),
            ("120min", 120, "2h"),
            ("1 j", 1440, "1d"),
            ("31d", 44640, "31d"),
        ] {
            let interval = Interval::parse(text).unwrap();
            assert_eq!(
                (interval.minutes(), interval.to_string().as_str()),
                (minutes, canonical)
            );
        }
        for bad in ["", "15", "0min", "30s", "32d", "4294967295d", "min"] {
            assert!(Interval::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_zone_has_a_region_and_a_place() {
        for good in [
            "UTC",
            "Europe/Paris",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+1",
            "Indian/Reunion",
        ] {
            assert!(Timezone::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "utc",
            "Paris",
            "CET",
            "Europe/",
            "Europe/../etc/passwd",
            "Europe/paris",
            "Europa/Paris",
        ] {
            assert!(Timezone::parse(bad).is_err(), "{bad}");
        }
    }
}
