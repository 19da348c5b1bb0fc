//! A weather station: one CSV file a day as American programs write it (`,`, decimal point, ISO times), hourly.

use std::fmt::Write as _;
use std::path::Path;

use jiff::civil::Date;

use super::{LABEL, Outcome, air, midnight, write};

/// One day of the station.
pub fn one_day(machine: &Path, station: &str, day: Date) -> Outcome {
    let place = station.bytes().map(u32::from).sum::<u32>() % 5;
    let mut text = format!(
        "# {LABEL} - {station} - UTC\ntime,air_temperature_degC,relative_humidity_percent,par_umol_m2_s\n"
    );
    for hour in 0..24_u32 {
        let air = air::at(place, hour * 60);
        writeln!(
            text,
            "{day}T{hour:02}:00:00Z,{:.2},{:.1},{:.0}",
            air.temperature, air.humidity, air.radiation
        )?;
    }
    let name = format!("{station}_{day}.csv");
    write::whole(machine, &name, text.as_bytes(), midnight(day)? + 86_400)
}
