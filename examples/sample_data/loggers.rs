//! Autonomous loggers under water, read out on field missions, in the tree and the format that their program exports:
//! `HOBO_Raw/YYYY_MM_DD/<logger>.txt`.

use std::fmt::Write as _;
use std::path::Path;

use jiff::civil::Date;

use super::air::noise;
use super::{LABEL, Outcome, midnight, write};

/// Depth in metres of each logger of the chain.
const DEPTHS: [f64; 12] = [0.2, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];

/// A mission every six weeks; each reads `days` days out of twelve loggers.
pub fn missions(field: &Path, start: Date, days: u16) -> Outcome {
    for mission in 1..=2_i64 {
        let read = start.checked_add(jiff::Span::new().weeks(6 * mission))?;
        let directory = field
            .join("HOBO_Raw")
            .join(read.strftime("%Y_%m_%d").to_string());
        for (number, depth) in (1_u32..).zip(DEPTHS) {
            let name = format!("LAC_{number:02}.txt");
            let text = logger(number, depth, read, days)?;
            write::whole(&directory, &name, text.as_bytes(), midnight(read)? + 39_600)?;
        }
    }
    Ok(())
}

/// Temperature and dissolved oxygen every ten minutes, until the day before the mission.
fn logger(number: u32, depth: f64, read: Date, days: u16) -> Outcome<String> {
    let serial = 20_900_000 + number;
    let mut text = format!(
        "\u{feff}\"Plot Title: LAC_{number:02} - {LABEL}\"\r\n\
         \"#\"\t\"Date Time, GMT+01:00\"\t\"Temp, °C (LGR S/N: {serial}, SEN S/N: {serial})\"\t\
         \"DO conc, mg/L (LGR S/N: {serial}, SEN S/N: {serial})\"\r\n"
    );
    let begin = read
        .checked_sub(jiff::Span::new().days(i64::from(days)))?
        .at(0, 0, 0, 0);
    for step in 0..144 * i64::from(days) {
        let time = begin.checked_add(jiff::Span::new().minutes(10 * step))?;
        let seed = u64::from(number) << 32 | u64::try_from(step)?;
        let sun = (f64::from(i32::try_from(step % 144)?) / 144.0 * std::f64::consts::TAU).sin();
        let temperature =
            8.0 + 14.0 * (-depth / 3.0).exp() - 0.8 * sun * (-depth).exp() + 0.02 * noise(seed);
        let oxygen = 10.5 - 0.9 * depth + 0.05 * noise(seed ^ 0xff00_0000_0000);
        writeln!(
            text,
            "{}\t{}\t{temperature:.3}\t{:.2}\r",
            step + 1,
            time.strftime("%m/%d/%y %I:%M:%S %p"),
            oxygen.max(0.2)
        )?;
    }
    Ok(text)
}
