//! What time it is, and whether to believe it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Now.
#[cfg(not(feature = "faults"))]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Now, on a clock that a test may have set wrong: `OCTONAS_CLOCK` are seconds, `-86400` a day back. No packaged program knows it.
#[cfg(feature = "faults")]
pub fn now() -> Timestamp {
    let wrong = std::env::var("OCTONAS_CLOCK").ok();
    let wrong = wrong.and_then(|text| text.parse().ok()).unwrap_or(0);
    Timestamp::now()
        .checked_add(jiff::SignedDuration::from_secs(wrong))
        .unwrap_or_default()
}

/// Now, to the second, in UTC: `2026-11-21T02:10:00Z`.
pub fn now_text() -> String {
    text(now())
}

/// A time to the second, in UTC.
pub fn text(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

/// The date of today where the NAS stands.
pub fn today() -> Date {
    Zoned::now().date()
}

/// The time zone of this machine.
pub fn zone() -> TimeZone {
    TimeZone::system()
}

/// Why the clock cannot be right, for `octonas doctor` and before a date decides about somebody's access.
/// `newest` is the latest time that we know has passed (the last line of the ledger).
pub fn doubt(now: Timestamp, newest: Option<Timestamp>) -> Option<String> {
    // 2026-01-01T00:00:00Z: older than this program.
    let born = Timestamp::constant(1_767_225_600, 0);
    if now < born {
        return Some(format!(
            "the clock says {now}, before this program was made"
        ));
    }
    newest.filter(|&newest| newest > now).map(|newest| {
        format!("the clock says {now}, but the ledger already has an entry of {newest}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_went_back_is_doubted() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-21T02:00:00Z");
        assert_eq!(doubt(now, None), None);
        assert_eq!(doubt(now, Some(at("2026-11-21T01:59:59Z"))), None);
        assert!(doubt(now, Some(at("2026-11-21T02:00:01Z"))).is_some());
        assert!(doubt(at("1970-01-01T00:01:00Z"), None).is_some());
    }

    #[test]
    fn now_as_text_has_whole_seconds() {
        let text = now_text();
        assert_eq!(text.len(), "2026-11-21T02:10:00Z".len(), "{text}");
        assert!(text.parse::<Timestamp>().is_ok());
    }
}
