//! Times of `NetCDF` files: `days since 1990-01-01 00:00:00 +1:00` in one of the calendars of the CF conventions (1.11,
//! chapter 4.4).

/// Milliseconds of a day.
const DAY: i128 = 86_400_000;

/// A calendar of the CF conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calendar {
    /// Julian before 15 October 1582, Gregorian since.
    Standard,
    /// Gregorian for ever.
    Proleptic,
    /// Julian for ever.
    Julian,
    /// Every year has 365 days.
    NoLeap,
    /// Every year has 366 days.
    AllLeap,
    /// Every month has 30 days.
    Days360,
}

/// What a number of a time coordinate counts, and from when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Units {
    calendar: Calendar,
    /// Milliseconds of one unit.
    unit: f64,
    /// Milliseconds from day 0 of the calendar.
    origin: i128,
}

/// The first day of the Gregorian calendar, as a Julian day number.
const REFORM: i128 = 2_299_161;

impl Calendar {
    fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "standard" | "gregorian" => Some(Self::Standard),
            "proleptic_gregorian" => Some(Self::Proleptic),
            "julian" => Some(Self::Julian),
            "noleap" | "365_day" => Some(Self::NoLeap),
            "all_leap" | "366_day" => Some(Self::AllLeap),
            "360_day" => Some(Self::Days360),
            _ => None,
        }
    }

    fn days(self, year: i128, month: i128, day: i128) -> i128 {
        match self {
            Self::Days360 => year * 360 + (month - 1) * 30 + day - 1,
            Self::NoLeap => year * 365 + before(month, false) + day - 1,
            Self::AllLeap => year * 366 + before(month, true) + day - 1,
            Self::Julian => number(year, month, day, false),
            Self::Proleptic => number(year, month, day, true),
            Self::Standard => {
                let gregorian = number(year, month, day, true);
                if (year, month, day) >= (1582, 10, 15) {
                    gregorian
                } else {
                    number(year, month, day, false)
                }
            }
        }
    }

    fn civil(self, days: i128) -> (i128, i128, i128) {
        let fixed = |length: i128, leap: bool| {
            let (year, rest) = (days.div_euclid(length), days.rem_euclid(length));
            let month = (1..=12)
                .rev()
                .find(|month| before(*month, leap) <= rest)
                .unwrap_or(1);
            (year, month, rest - before(month, leap) + 1)
        };
        match self {
            Self::Days360 => {
                let rest = days.rem_euclid(360);
                (days.div_euclid(360), rest / 30 + 1, rest % 30 + 1)
            }
            Self::NoLeap => fixed(365, false),
            Self::AllLeap => fixed(366, true),
            Self::Julian => date(days, false),
            Self::Proleptic => date(days, true),
            Self::Standard => date(days, days >= REFORM),
        }
    }
}

/// Days of the year before a month.
fn before(month: i128, leap: bool) -> i128 {
    const DAYS: [i128; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let days = usize::try_from(month - 1).map_or(0, |m| DAYS[m.min(11)]);
    days + i128::from(leap && month > 2)
}

/// Julian day number of a date at noon (E. G. Richards, "Calendars", in the Explanatory Supplement to the Astronomical
/// Almanac, 3rd edition, section 15.11).
fn number(year: i128, month: i128, day: i128, gregorian: bool) -> i128 {
    let a = (14 - month).div_euclid(12);
    let y = year + 4800 - a;
    let m = month + 12 * a - 3;
    let days = day + (153 * m + 2).div_euclid(5) + 365 * y + y.div_euclid(4);
    if gregorian {
        days - y.div_euclid(100) + y.div_euclid(400) - 32_045
    } else {
        days - 32_083
    }
}

/// The other way round.
#[allow(clippy::many_single_char_names)] // as in the source
fn date(number: i128, gregorian: bool) -> (i128, i128, i128) {
    let (b, c) = if gregorian {
        let a = number + 32_044;
        let b = (4 * a + 3).div_euclid(146_097);
        (b, a - (146_097 * b).div_euclid(4))
    } else {
        (0, number + 32_082)
    };
    let d = (4 * c + 3).div_euclid(1461);
    let e = c - (1461 * d).div_euclid(4);
    let m = (5 * e + 2).div_euclid(153);
    (
        100 * b + d - 4800 + m.div_euclid(10),
        m + 3 - 12 * m.div_euclid(10),
        e - (153 * m + 2).div_euclid(5) + 1,
    )
}

/// True for text that means to be the units of a time.
pub fn is_time(units: &str) -> bool {
    units.split_ascii_whitespace().nth(1).is_some_and(|w| {
        ["since", "after", "from", "ref", "@"]
            .iter()
            .any(|word| w.eq_ignore_ascii_case(word))
    })
}

impl Units {
    /// Reads `hours since 2026-03-01T00:00:00Z` and its calendar.
    pub fn parse(units: &str, calendar: &str) -> Option<Self> {
        let calendar = Calendar::named(calendar)?;
        if !is_time(units) {
            return None;
        }
        let mut words = units.split_ascii_whitespace();
        let unit = length(words.next()?)?;
        let rest: Vec<&str> = words.skip(1).collect();
        let (day, rest) = rest.split_first()?;
        // `2026-03-01T10:00` is a day and a time.
        let (day, time) = match day.split_once(['T', 't']) {
            Some((day, time)) => (day, vec![time]),
            None => (*day, Vec::new()),
        };
        let (sign, day) = match day.strip_prefix('-') {
            Some(day) => (-1, day),
            None => (1, day),
        };
        let mut numbers = day.split('-').map(|n| n.parse::<i128>().ok());
        let year = sign * numbers.next()??;
        let month = numbers.next().unwrap_or(Some(1))?;
        let day = numbers.next().unwrap_or(Some(1))?;
        let right = (1..=12).contains(&month) && (1..=31).contains(&day) && year.abs() < 100_000;
        if !right {
            return None;
        }
        let mut clock = 0;
        for word in time.into_iter().chain(rest.iter().copied()) {
            clock += clock_or_zone(word)?;
        }
        Some(Self {
            calendar,
            unit,
            origin: calendar.days(year, month, day) * DAY + clock,
        })
    }

    /// The instant that a number stands for, as ISO 8601 in the calendar of the file.
    pub fn decode(&self, value: f64) -> Option<String> {
        let away = value * self.unit;
        if !away.is_finite() || away.abs() > 4e17 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)]
        let instant = self.origin + away.round() as i128;
        let (year, month, day) = self.calendar.civil(instant.div_euclid(DAY));
        let rest = instant.rem_euclid(DAY);
        let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
        let fraction = match rest % 1000 {
            0 => String::new(),
            milli => format!(".{milli:03}"),
        };
        Some(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
        ))
    }
}

/// Milliseconds of a unit of time (UDUNITS: a year is 365.242198781 days, a month the twelfth of it).
fn length(word: &str) -> Option<f64> {
    const YEAR: f64 = 365.242_198_781 * 86_400_000.0;
    Some(match word.to_ascii_lowercase().as_str() {
        "milliseconds" | "millisecond" | "msec" | "msecs" | "ms" => 1.0,
        "seconds" | "second" | "secs" | "sec" | "s" => 1000.0,
        "minutes" | "minute" | "mins" | "min" => 60_000.0,
        "hours" | "hour" | "hrs" | "hr" | "h" => 3_600_000.0,
        "days" | "day" | "d" => 86_400_000.0,
        "weeks" | "week" => 604_800_000.0,
        "months" | "month" => YEAR / 12.0,
        "years" | "year" | "yr" => YEAR,
        "common_years" | "common_year" => 365.0 * 86_400_000.0,
        _ => return None,
    })
}

/// A time of day in milliseconds, or an offset from UTC as what it takes away.
fn clock_or_zone(word: &str) -> Option<i128> {
    if ["utc", "gmt", "z"]
        .iter()
        .any(|zone| word.eq_ignore_ascii_case(zone))
    {
        return Some(0);
    }
    let (body, zone) = match word.strip_suffix(['Z', 'z']) {
        Some(body) => (body, 0),
        None => match word.rfind(['+', '-']) {
            Some(at) => {
                let sign = if word[at..].starts_with('-') { -1 } else { 1 };
                (&word[..at], sign * sexagesimal(&word[at + 1..], true)?)
            }
            None => (word, 0),
        },
    };
    let clock = if body.is_empty() {
        0
    } else {
        sexagesimal(body, false)?
    };
    Some(clock - zone)
}

/// `10:30:00.5`, `10`, and as an offset `0130`, in milliseconds.
fn sexagesimal(text: &str, offset: bool) -> Option<i128> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if offset && digits && text.len() == 4 {
        let number: i128 = text.parse().ok()?;
        return Some((number / 100 * 60 + number % 100) * 60_000);
    }
    let mut total = 0;
    let mut unit = 3_600_000.0;
    for (place, part) in text.split(':').enumerate() {
        let value: f64 = part.parse().ok()?;
        if place > 2 || !(0.0..=99.0).contains(&value) {
            return None;
        }
        #[allow(clippy::cast_possible_truncation)]
        let milliseconds = (value * unit).round() as i128;
        total += milliseconds;
        unit /= 60.0;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(units: &str, calendar: &str, value: f64) -> Option<String> {
        Units::parse(units, calendar)?.decode(value)
    }

    #[test]
    fn times_are_decoded_in_their_calendar() {
        for (units, calendar, value, want) in [
            (
                "days since 1970-01-01",
                "standard",
                0.0,
                "1970-01-01T00:00:00Z",
            ),
            (
                "days since 1970-01-01",
                "",
                20_513.5,
                "2026-03-01T12:00:00Z",
            ),
            (
                "hours since 2026-03-01T00:00:00Z",
                "gregorian",
                36.0,
                "2026-03-02T12:00:00Z",
            ),
            (
                "seconds since 2026-03-01 00:00:00 +1:00",
                "",
                0.0,
                "2026-02-28T23:00:00Z",
            ),
            (
                "seconds since 2026-03-01 00:00:00 -0330",
                "",
                0.25,
                "2026-03-01T03:30:00.250Z",
            ),
            (
                "minutes since 1990-1-1 12:30",
                "",
                1.0,
                "1990-01-01T12:31:00Z",
            ),
            (
                "days since 2000-02-28",
                "noleap",
                1.0,
                "2000-03-01T00:00:00Z",
            ),
            (
                "days since 2001-02-28",
                "366_day",
                1.0,
                "2001-02-29T00:00:00Z",
            ),
            (
                "days since 2000-02-01",
                "360_day",
                29.0,
                "2000-02-30T00:00:00Z",
            ),
            // Between the calendars of Julius Caesar and of Gregory XIII lie ten days.
            (
                "days since 1582-10-04",
                "standard",
                1.0,
                "1582-10-15T00:00:00Z",
            ),
            (
                "days since 1582-10-04",
                "proleptic_gregorian",
                1.0,
                "1582-10-05T00:00:00Z",
            ),
            (
                "days since 1900-02-28",
                "julian",
                1.0,
                "1900-02-29T00:00:00Z",
            ),
            // NCEP's old files count from year 1: in the standard calendar this is a Sunday of 1948.
            (
                "hours since 1-1-1 00:00:0.0",
                "standard",
                17_067_072.0,
                "1948-01-01T00:00:00Z",
            ),
            (
                "years since 2000-01-01",
                "",
                1.0,
                "2000-12-31T05:48:45.975Z",
            ),
        ] {
            assert_eq!(
                decode(units, calendar, value).as_deref(),
                Some(want),
                "{units} {calendar}"
            );
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for (units, calendar) in [
            ("m s-1", ""),
            ("days", ""),
            ("days since yesterday", ""),
            ("days since 2026-13-01", ""),
            ("parsecs since 2026-01-01", ""),
            ("days since 2026-01-01", "mayan"),
            ("days since 2026-01-01 25:00:00:00", ""),
            ("", ""),
        ] {
            assert_eq!(Units::parse(units, calendar), None, "{units}");
        }
        let units = Units::parse("days since 2026-01-01", "").unwrap();
        assert_eq!(units.decode(f64::NAN), None);
        assert_eq!(units.decode(1e300), None);
    }

    #[test]
    fn every_day_comes_back_in_every_calendar() {
        for name in [
            "standard",
            "proleptic_gregorian",
            "julian",
            "noleap",
            "all_leap",
            "360_day",
        ] {
            let calendar = Calendar::named(name).unwrap();
            let start = calendar.days(-50, 1, 1);
            for day in (start..start + 900_000).step_by(11) {
                let (y, m, d) = calendar.civil(day);
                assert_eq!(calendar.days(y, m, d), day, "{name} {y}-{m}-{d}");
            }
        }
    }
}
