//! Exports of HOBO loggers (Onset `HOBOware`), as text or CSV, in English and French: the title of the plot, the serial
//! number, the offset of the clock from GMT; and columns named `Temp, °C (LGR S/N: 123, SEN S/N: 123, LBL: air)`.

use octonas::content::{Contents, Format, Logger};

use super::csv;
use super::csv::heading::{cut, split};
use super::text::{self, Text};

/// How much of the beginning is looked at.
const HEAD: usize = 8 << 10;

/// How the title of the plot is announced.
const TITLES: [&str; 4] = [
    "Plot Title:",
    "Titre de tracé :",
    "Titre de tracé:",
    "Titre du tracé :",
];

/// Reads an export; false, and nothing happens, where it is none.
pub fn read(text: &Text<'_>, contents: &mut Contents) -> bool {
    let head = &text.bytes[..text.bytes.len().min(HEAD)];
    let encoding = match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_some() => "windows-1252",
        _ => "utf-8",
    };
    let lines: Vec<String> = head
        .split(|b| *b == b'\n')
        .take(5)
        .map(|line| text::decode(line, encoding))
        .collect();
    let Some(mut logger) = recognise(&lines) else {
        return false;
    };
    let offset = offset(&lines);
    let minutes = offset.as_deref().and_then(minutes);
    logger.utc_offset = minutes.and(offset);
    if !csv::read(text, minutes, contents) {
        return false;
    }
    contents.format = Format::Hobo;
    Format::Hobo
        .media_type()
        .clone_into(&mut contents.media_type);
    for column in contents.table.iter_mut().flat_map(|t| &mut t.columns) {
        let (name, unit) = column_name(&column.name);
        if let Some(unit) = unit {
            column.unit = Some(unit);
        }
        // A name that is nothing but serial numbers stays as it stands there.
        if !name.is_empty() {
            column.name = name;
        }
    }
    contents.logger = Some(logger);
    true
}

/// The logger that the first lines tell of.
fn recognise(lines: &[String]) -> Option<Logger> {
    let title = lines.iter().find_map(|line| {
        TITLES
            .iter()
            .find_map(|words| line.split_once(words))
            .map(|(_, rest)| cut(rest.trim().trim_matches(['"', ',', ';', '\t', ' ']), 120))
    });
    let serial = lines.iter().find_map(|line| {
        ["LGR S/N:", "S/N LGR :", "S/N LGR:", "Serial Number:"]
            .iter()
            .find_map(|words| line.split_once(words))
            .map(|(_, rest)| rest.trim_start())
            .map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric))
            .map(Iterator::collect::<String>)
            .filter(|serial| !serial.is_empty() && serial.len() <= 20)
    });
    let clock = lines.iter().any(|line| {
        (line.contains("Date Time, GMT") || line.contains("Heure, GMT")) && line.contains('#')
            || line.contains("Date Heure, GMT")
    });
    let known =
        title.is_some() || (serial.is_some() && lines.iter().any(|l| l.contains("LGR S/N")));
    (known || clock).then(|| Logger {
        title: title.filter(|title| !title.is_empty()),
        model: None,
        serial,
        utc_offset: None,
    })
}

/// `+02:00` behind `GMT`, in the line of names.
fn offset(lines: &[String]) -> Option<String> {
    lines.iter().find_map(|line| {
        let (_, rest) = line.split_once("GMT")?;
        let end = rest
            .find(|c: char| !matches!(c, '+' | '-' | ':') && !c.is_ascii_digit())
            .unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    })
}

/// An offset in minutes.
fn minutes(offset: &str) -> Option<i32> {
    let (sign, rest) = match offset.as_bytes().first()? {
        b'-' => (-1, &offset[1..]),
        b'+' => (1, &offset[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// `Temp, °C (LGR S/N: 123, SEN S/N: 123, LBL: air)` is `Temp (air)` in `°C`. A name that was cut has lost its end.
fn column_name(name: &str) -> (String, Option<String>) {
    let (before, inside) = match name
        .split_once("(LGR S/N")
        .or_else(|| name.split_once("(S/N LGR"))
    {
        Some((before, inside)) => (before.trim_end(), inside),
        None => (name, ""),
    };
    let label = inside
        .split_once("LBL:")
        .map(|(_, label)| label.trim().trim_end_matches(')'))
        .filter(|label| !label.is_empty());
    let (name, unit) = split(before);
    match label {
        Some(label) => (format!("{name} ({label})"), unit),
        None => (name, unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octonas::content::{DayFirst, Kind};

    fn probe(bytes: &[u8]) -> Option<Contents> {
        let text = text::open(bytes)?;
        let mut contents = Contents::new(Format::Text, bytes.len() as u64);
        read(&text, &mut contents).then_some(contents)
    }

    #[test]
    #[allow(clippy::format_push_string)]
    fn an_english_export_with_serial_numbers_and_an_offset() {
        let mut text = String::from(
            "\u{feff}\"Plot Title: Lake north 2 m\"\n\"#\",\"Date Time, GMT+02:00\",\"Temp, °C (LGR S/N: 10117166, SEN S/N: 10117166, LBL: water)\",\"Intensity, Lux (LGR S/N: 10117166, SEN S/N: 10117166)\",\"Coupler Detached (LGR S/N: 10117166)\"\n",
        );
        for i in 0..60 {
            let (day, hour) = (12 + i / 24, i % 24);
            let (half, twelve) = (if hour < 12 { "AM" } else { "PM" }, (hour + 11) % 12 + 1);
            text.push_str(&format!(
                "{},06/{day}/25 {twelve:02}:00:00 {half},21.{i},{i},\n",
                i + 1
            ));
        }
        let contents = probe(text.as_bytes()).unwrap();
        assert_eq!(contents.format, Format::Hobo);
        let logger = contents.logger.unwrap();
        assert_eq!(logger.title.as_deref(), Some("Lake north 2 m"));
        assert_eq!(logger.serial.as_deref(), Some("10117166"));
        assert_eq!(logger.utc_offset.as_deref(), Some("+02:00"));
        let table = contents.table.unwrap();
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|c| (c.name.as_str(), c.unit.as_deref(), c.kind))
            .collect();
        assert_eq!(
            columns,
            [
                ("#", None, Kind::Integer),
                ("Date Time, GMT+02:00", None, Kind::Time),
                ("Temp (water)", Some("°C"), Kind::Number),
                ("Intensity", Some("Lux"), Kind::Integer),
                ("Coupler Detached", None, Kind::Empty),
            ]
        );
        let time = table.time.unwrap();
        assert_eq!(time.format, "%m/%d/%y %I:%M:%S %p");
        assert_eq!(time.day_first, DayFirst::No);
        assert_eq!(time.first.as_deref(), Some("2025-06-12T00:00:00+02:00"));
        assert_eq!(time.step_seconds, Some(3600.0));
        assert_eq!(
            (table.bom, table.header_line, table.rows),
            (true, Some(2), 60)
        );
    }

    #[test]
    fn a_french_export_with_date_and_time_apart_in_latin_1() {
        let text = "\"Titre de trac\u{e9} : 2315774\"\r\n\"Date\";\"Heure, GMT+02:00\";\"Pluvio, mm\";\"Max. : Temp\u{e9}rature, \u{b0}C\"\r\n30/09/2012;00:00:00;;26,292\r\n30/09/2012;10:30:00;0,20;21,282\r\n30/09/2012;10:37:12;0,00;\r\n";
        let bytes: Vec<u8> = text
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        let contents = probe(&bytes).unwrap();
        let table = contents.table.unwrap();
        assert_eq!(
            (
                table.encoding.as_str(),
                table.delimiter.as_str(),
                table.decimal.as_str()
            ),
            ("windows-1252", ";", ",")
        );
        assert_eq!(contents.logger.unwrap().title.as_deref(), Some("2315774"));
        assert_eq!(table.columns[3].name, "Max. : Température");
        assert_eq!(table.columns[3].unit.as_deref(), Some("°C"));
        assert_eq!(table.columns[3].max, Some(26.292));
        let time = table.time.unwrap();
        assert_eq!(time.column, "Date + Heure, GMT+02:00");
        assert_eq!(
            (time.format.as_str(), time.day_first),
            ("%d/%m/%Y %H:%M:%S", DayFirst::Yes)
        );
        assert_eq!(time.last.as_deref(), Some("2012-09-30T10:37:12+02:00"));
    }

    #[test]
    fn another_table_is_no_export() {
        assert!(probe(b"a;b\n1;2\n3;4\n").is_none());
        assert!(probe(b"\"Plot Title: nothing below\"\n").is_none());
        let nameless = b"\"Plot Title: x\"\n#,(LGR S/N: 1)\n1,2\n2,3\n";
        let columns = probe(nameless).unwrap().table.unwrap().columns;
        assert!(columns.iter().all(|column| !column.name.is_empty()));
        assert_eq!(minutes("-03:30"), Some(-210));
        assert_eq!(minutes("+99:00"), None);
    }
}
