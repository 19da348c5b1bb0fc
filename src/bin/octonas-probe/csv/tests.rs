//! Whole tables: what is told of them.

#![allow(clippy::format_push_string)]

use octonas::content::{Contents, DayFirst, Format, Kind, Table};

use super::super::text;

fn probe(bytes: &[u8]) -> (Table, Vec<String>) {
    let text = text::open(bytes).expect("text");
    let mut contents = Contents::new(Format::Csv, bytes.len() as u64);
    assert!(super::read(&text, None, &mut contents), "no table");
    let codes = contents.findings.into_iter().map(|f| f.code).collect();
    (contents.table.unwrap(), codes)
}

fn kinds(table: &Table) -> Vec<(&str, Option<&str>, Kind)> {
    let columns = table.columns.iter();
    columns
        .map(|c| (c.name.as_str(), c.unit.as_deref(), c.kind))
        .collect()
}

#[test]
fn a_french_table_with_a_preamble_and_spaces_in_its_numbers() {
    let text = "Chambre C1\nOpérateur : M. Durand\n\nHorodatage;Temp (°C);CO2 [ppm];Vanne;Remarque\n01/03/2026 00:00;21,5;1 412,3;oui;\n01/03/2026 00:10;21,4;1\u{202f}415,0;non;porte ouverte\n01/03/2026 00:20;NA;1\u{a0}416,5;oui;\n13/03/2026 00:30;21,2;398,0;oui;\n";
    let (table, codes) = probe(text.as_bytes());
    assert_eq!(
        kinds(&table),
        [
            ("Horodatage", None, Kind::Time),
            ("Temp", Some("°C"), Kind::Number),
            ("CO2", Some("ppm"), Kind::Number),
            ("Vanne", None, Kind::Boolean),
            ("Remarque", None, Kind::Text),
        ]
    );
    assert_eq!(
        (table.delimiter.as_str(), table.decimal.as_str()),
        (";", ",")
    );
    assert_eq!((table.header_line, table.rows), (Some(4), 4));
    assert_eq!(
        (table.columns[1].missing, table.columns[2].max),
        (1, Some(1416.5))
    );
    let time = table.time.unwrap();
    assert_eq!(
        (time.format.as_str(), time.day_first),
        ("%d/%m/%Y %H:%M", DayFirst::Yes)
    );
    assert_eq!(time.first.as_deref(), Some("2026-03-01T00:00:00"));
    assert_eq!((time.step_seconds, time.gaps), (Some(600.0), 1));
    assert!(codes.is_empty(), "{codes:?}");
}

/// Rows of a day every hour, with the date written by `date` of the day's number.
fn hourly(days: std::ops::Range<i32>, date: impl Fn(i32) -> String) -> String {
    let mut text = String::from("when,value\n");
    for day in days {
        for hour in 0..24 {
            text.push_str(&format!("{} {hour:02}:00,{hour}\n", date(day)));
        }
    }
    text
}

#[test]
fn day_and_month_are_told_apart_or_declared_ambiguous() {
    let by = |text: &str| {
        let (table, codes) = probe(text.as_bytes());
        let time = table.time.unwrap();
        (time.day_first, time.first, codes)
    };
    // A day beyond the twelfth decides.
    let french = by(&hourly(10..16, |d| format!("{d:02}/03/2026")));
    assert_eq!(
        (french.0, french.1.as_deref()),
        (DayFirst::Yes, Some("2026-03-10T00:00:00"))
    );
    let american = by(&hourly(10..16, |d| format!("03/{d:02}/2026")));
    assert_eq!(
        (american.0, american.1.as_deref()),
        (DayFirst::No, Some("2026-03-10T00:00:00"))
    );
    // Otherwise the even steps do, and that is said.
    let french = by(&hourly(1..6, |d| format!("{d:02}/03/2026")));
    assert_eq!(
        (french.0, french.2),
        (DayFirst::Yes, vec!["time.inferred".to_owned()])
    );
    let american = by(&hourly(1..6, |d| format!("03/{d:02}/26")));
    assert_eq!(american.0, DayFirst::No);
    let year_first = by(&hourly(1..6, |d| format!("26/03/{d:02}")));
    assert_eq!(
        (year_first.0, year_first.1.as_deref()),
        (DayFirst::Irrelevant, Some("2026-03-01T00:00:00"))
    );
    let named = by("day (MM/DD/YYYY),value\n01/03/2026,1\n02/03/2026,2\n03/03/2026,3\n");
    assert_eq!(
        (named.0, named.2),
        (DayFirst::No, vec!["time.inferred".to_owned()])
    );
    // Nothing does: one row a day.
    let neither = by("day,value\n01/03/2026,1\n02/03/2026,2\n03/03/2026,3\n");
    assert_eq!(
        (neither.0, neither.1, neither.2),
        (DayFirst::Ambiguous, None, vec!["time.ambiguous".to_owned()])
    );
    // Both at once is a contradiction.
    let both = by("day,value\n13/03/2026,1\n03/14/2026,2\n03/03/2026,3\n");
    assert_eq!(both.0, DayFirst::Ambiguous);
    assert_eq!(both.2, ["time.contradictory"]);
}

#[test]
fn a_time_stands_in_one_column_in_two_or_in_many() {
    for (text, column, format, last) in [
        (
            "date,time,v\n2026-03-01,10:00,1\n2026-03-01,11:00,2\n",
            "date + time",
            "%Y-%m-%d %H:%M",
            "2026-03-01T11:00:00",
        ),
        (
            "v;heure;date\n1;10h00;13/03/2026\n2;11h00;13/03/2026\n",
            "date + heure",
            "%d/%m/%Y %Hh%M",
            "2026-03-13T11:00:00",
        ),
        (
            "Year,Month,Day,Hour,v\n2026,3,1,10,1.5\n2026,3,1,11,2.5\n",
            "Year + Month + Day + Hour",
            "%Y + %m + %d + %H",
            "2026-03-01T11:00:00",
        ),
        (
            "timestamp,v\n1772359200,1\n1772362800,2\n",
            "timestamp",
            "%s",
            "2026-03-01T11:00:00Z",
        ),
        (
            "date,v\n20260301,1\n20260302,2\n",
            "date",
            "%Y%m%d",
            "2026-03-02",
        ),
        (
            "t,v\n2026-03-01T10:00:00+01:00,1\n2026-03-01T11:00:00+01:00,2\n",
            "t",
            "%Y-%m-%dT%H:%M:%S%z",
            "2026-03-01T11:00:00+01:00",
        ),
        (
            "d,h,v\n2026-03-01,23:00,1\n2026-03-01,24:00,2\n",
            "d + h",
            "%Y-%m-%d %H:%M",
            "2026-03-02T00:00:00",
        ),
    ] {
        let (table, _) = probe(text.as_bytes());
        let time = table.time.unwrap_or_else(|| panic!("no time in {text}"));
        assert_eq!(
            (
                time.column.as_str(),
                time.format.as_str(),
                time.last.as_deref()
            ),
            (column, format, Some(last)),
            "{text}"
        );
    }
}

#[test]
fn names_and_units_of_a_campbell_logger_stand_on_lines_of_their_own() {
    let text = "\"TOA5\",\"CR1000\",\"CR1000\",\"12345\",\"CR1000.Std.32\",\"CPU:met.CR1\",\"1\",\"Table1\"\n\"TIMESTAMP\",\"RECORD\",\"AirTC_Avg\",\"RH\"\n\"TS\",\"RN\",\"Deg C\",\"%\"\n\"\",\"\",\"Avg\",\"Smp\"\n\"2026-03-01 00:00:00\",0,12.5,80\n\"2026-03-01 00:10:00\",1,\"NAN\",81\n\"2026-03-01 00:20:00\",2,-7999,82\n";
    let (table, codes) = probe(text.as_bytes());
    assert_eq!(table.header_line, Some(2));
    assert_eq!(
        kinds(&table),
        [
            ("TIMESTAMP", Some("TS"), Kind::Time),
            ("RECORD", Some("RN"), Kind::Integer),
            ("AirTC_Avg", Some("Deg C"), Kind::Number),
            ("RH", Some("%"), Kind::Integer),
        ]
    );
    assert_eq!(table.rows, 3);
    assert_eq!(codes, ["csv.sentinel"]);
}

#[test]
fn encodings_and_line_ends_are_told() {
    let text = "température;salinité\r\n1,5;35\r\n2,5;36\r\n3,5;37\r\n";
    let utf16: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let latin: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let mac = text.replace("\r\n", "\r");
    for (bytes, encoding, bom, ends) in [
        (text.as_bytes(), "utf-8", false, "crlf"),
        (&marked, "utf-8", true, "crlf"),
        (&utf16, "utf-16le", true, "crlf"),
        (&latin, "windows-1252", false, "crlf"),
        (mac.as_bytes(), "utf-8", false, "cr"),
    ] {
        let (table, codes) = probe(bytes);
        assert_eq!(
            (table.encoding.as_str(), table.bom, table.line_ends.as_str()),
            (encoding, bom, ends)
        );
        assert_eq!(table.columns[0].name, "température", "{encoding}");
        assert_eq!((table.rows, table.columns[0].max), (3, Some(3.5)));
        assert!(codes.is_empty(), "{codes:?}");
    }
}

#[test]
fn what_is_wrong_with_a_table_is_found() {
    for (text, code) in [
        ("a;b\n1;2\n3;4\n5\n6;7\n", "csv.ragged"),
        ("a;b;c\n1;2;3\n4;5;6\n7;8", "csv.last-line-cut"),
        ("a;a\n1;2\n3;4\n", "csv.duplicate-name"),
        ("1;2\n3;4\n5;6\n", "csv.no-header"),
        ("a;b\n1,5;2\n2.5;3\n", "csv.mixed-decimal"),
        ("a;b\n1;\"2\n3;4\n5;6\n", "csv.quote-unclosed"),
        ("a;b;c\n", "csv.no-rows"),
        (
            "t;v\n2026-03-01 10:00;1\n2026-03-01 11:00;2\nlater;3\n2026-03-01 12:00;4\n2026-03-01 13:00;4\n",
            "time.unreadable",
        ),
        (
            "t;v\n2026-03-01 10:00;1\n2026-03-01 11:00;2\n2026-03-01 09:00;2\n",
            "time.backwards",
        ),
        (
            "t;v\n2026-03-01 10:00;1\n2026-03-01 10:00;2\n2026-03-01 11:00;2\n",
            "time.repeated",
        ),
    ] {
        let (_, codes) = probe(text.as_bytes());
        assert!(
            codes.iter().any(|c| c == code),
            "{code} is not in {codes:?}"
        );
    }
    let mut stray = String::from("t;v\n");
    for i in 0..100 {
        stray.push_str(&format!(
            "{i};{}\n",
            if i == 50 {
                "ERR".to_owned()
            } else {
                i.to_string()
            }
        ));
    }
    let (table, codes) = probe(stray.as_bytes());
    assert_eq!(
        (table.columns[1].kind, codes),
        (Kind::Integer, vec!["csv.stray-text".to_owned()])
    );
    let nul = [b"a;b\n1;2\n".repeat(20), vec![0; 8], b"\n3;4\n".to_vec()].concat();
    assert!(probe(&nul).1.contains(&"text.nul".to_owned()));
}

#[test]
fn prose_and_code_are_no_tables() {
    for text in [
        "Dear colleagues,\nthe experiment, which began in March, went well.\nBest,\nA. B.\n",
        "import os\n\ndef f(a, b):\n    return a + b\n\nprint(f(1, 2))\n",
        "one line",
        "",
        "a\nb\nc\nd\n",
    ] {
        let text = text::open(text.as_bytes());
        let mut contents = Contents::new(Format::Text, 0);
        let table = text.is_some_and(|text| super::read(&text, None, &mut contents));
        assert!(!table, "{:?}", contents.table);
    }
}

#[test]
fn names_of_rows_as_r_writes_them_have_no_name_of_their_own() {
    let (table, _) = probe(b"\"x\",\"y\"\n\"1\",1.5,2\n\"2\",2.5,3\n");
    let names: Vec<_> = table.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["column 1", "x", "y"]);
}
