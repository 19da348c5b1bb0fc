//! The hours in which nobody is cut off from work: operations that were set for the night are begun in them, and at no
//! other time.

use jiff::civil::Time;
use jiff::{Timestamp, ToSpan as _, Zoned};

/// For how many hours something is begun.
const LENGTH: i64 = 3;

/// The nights of a NAS, on its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Night {
    hour: i8,
}

impl Night {
    /// Nights that begin at this hour (0 to 23).
    pub fn at(hour: u8) -> Self {
        let hour = i8::try_from(hour).unwrap_or(0).clamp(0, 23);
        Self { hour }
    }

    /// The beginning of the next night after `now`, never of the one that is.
    pub fn next(self, now: &Zoned) -> Timestamp {
        (0..3)
            .filter_map(|days| self.on(now, days))
            .find(|begins| *begins > now.timestamp())
            .unwrap_or_else(|| now.timestamp())
    }

    /// The beginning of the night that is now.
    pub fn now(self, now: &Zoned) -> Option<Timestamp> {
        [-1, 0].into_iter().find_map(|days| {
            let begins = self.on(now, days)?;
            let ends = begins.checked_add(LENGTH.hours()).ok()?;
            (begins <= now.timestamp() && now.timestamp() < ends).then_some(begins)
        })
    }

    /// A night that begins in an hour that the clock leaps over begins after the leap.
    fn on(self, now: &Zoned, days: i64) -> Option<Timestamp> {
        let date = now.date().checked_add(days.days()).ok()?;
        let time = date.to_datetime(Time::new(self.hour, 0, 0, 0).ok()?);
        let zoned = time.to_zoned(now.time_zone().clone()).ok()?;
        Some(zoned.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    /// In a zone that is two hours ahead.
    fn local(text: &str) -> Zoned {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let time: jiff::civil::DateTime = text.parse().unwrap();
        time.to_zoned(zone).unwrap()
    }

    #[test]
    fn it_is_night_for_three_hours() {
        let cases = [
            (2, "2026-11-21T01:59:59", false),
            (2, "2026-11-21T02:00:00", true),
            (2, "2026-11-21T04:59:59", true),
            (2, "2026-11-21T05:00:00", false),
            (2, "2026-11-21T09:00:00", false),
            (23, "2026-11-21T23:30:00", true),
            (23, "2026-11-22T01:59:59", true),
            (23, "2026-11-22T02:00:00", false),
        ];
        for (hour, now, is_night) in cases {
            let found = Night::at(hour).now(&local(now)).is_some();
            assert_eq!(found, is_night, "{hour} at {now}");
        }
    }

    #[test]
    fn what_is_set_in_a_night_waits_for_the_next_one() {
        let next = |now: &str| Night::at(2).next(&local(now)).to_string();
        assert_eq!(next("2026-11-21T18:00:00"), "2026-11-22T00:00:00Z");
        assert_eq!(next("2026-11-21T02:00:00"), "2026-11-22T00:00:00Z");
        assert_eq!(next("2026-11-21T03:00:00"), "2026-11-22T00:00:00Z");
        assert_eq!(next("2026-11-21T01:00:00"), "2026-11-21T00:00:00Z");
    }

    #[test]
    fn an_hour_that_the_clock_leaps_over_is_the_first_after_it() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str| {
            let time: jiff::civil::DateTime = text.parse().unwrap();
            time.to_zoned(zone.clone()).unwrap()
        };
        let night = Night::at(2);
        let begins = night.next(&at("2026-03-28T20:00:00"));
        assert_eq!(begins.to_string(), "2026-03-29T01:00:00Z");
        assert_eq!(night.now(&at("2026-03-29T04:00:00")), Some(begins));
        assert_eq!(night.now(&at("2026-03-29T01:59:00")), None);
    }
}
