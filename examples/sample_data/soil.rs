//! The soil logger's Windows program: one file a day for all chambers, Windows-1252, CRLF, French dates, units in the header.

use std::fmt::Write as _;
use std::path::Path;

use jiff::civil::Date;
use octonas::experiment::Definition;

use super::air::{self, noise};
use super::{LABEL, Outcome, midnight, write};

/// One day, one line every ten minutes; the logger was deaf from 03:20 to 03:40, as loggers are.
pub fn one_day(machine: &Path, definition: &Definition, day: Date) -> Outcome {
    let chambers = definition
        .facility
        .as_ref()
        .map_or(&[][..], |facility| facility.chambers.as_slice());
    let mut text = format!("Centrale sol;{LABEL}\r\nDate;Heure");
    for chamber in chambers {
        write!(
            text,
            ";{chamber} humidité (m³/m³);{chamber} température (°C)"
        )?;
    }
    text.push_str("\r\n");
    for minute in (0..1440_u32).step_by(10) {
        if (200..=220).contains(&minute) {
            continue;
        }
        write!(
            text,
            "{};{:02}:{:02}:00",
            day.strftime("%d/%m/%Y"),
            minute / 60,
            minute % 60
        )?;
        for number in (1_u32..).take(chambers.len()) {
            // Half a day behind the air, and a third of its swing.
            let air = air::at(number, (minute + 720) % 1440);
            let wet = 0.31 - 0.02 * f64::from(number)
                + 0.002 * noise(u64::from(number) << 40 | u64::from(minute));
            let warm = 15.0 + (air.temperature - 15.0) / 3.0;
            write!(text, ";{};{}", comma(wet, 3), comma(warm, 1))?;
        }
        text.push_str("\r\n");
    }
    let name = format!("sol_{}.csv", day.strftime("%Y%m%d"));
    write::whole(
        machine,
        &name,
        &windows_1252(&text)?,
        midnight(day)? + 86_400,
    )
}

fn comma(value: f64, digits: usize) -> String {
    format!("{value:.digits$}").replace('.', ",")
}

/// Every letter used here lies in the part that Windows-1252 shares with Latin-1.
fn windows_1252(text: &str) -> Outcome<Vec<u8>> {
    text.chars()
        .map(|letter| {
            u8::try_from(u32::from(letter)).map_err(|_| format!("no byte for {letter:?}").into())
        })
        .collect()
}
