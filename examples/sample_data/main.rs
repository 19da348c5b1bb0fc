//! Synthetic data of acquisition machines, as a source of the sync kit sees it: for every source of a definition a directory
//! of its own, `OUTPUT/<source>/`, with the files that its machine would have written; and `OUTPUT/field/` with what people
//! bring back from the field. The same definition and the same number of days give the same bytes, a file that is
//! there already stays as it is, and every file says that it is synthetic.
//!
//! `cargo run --example sample_data -- DEFINITION OUTPUT [DAYS]`

// An example has no `sys` room: it writes as a person's own program would, and talks on standard output.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

mod air;
mod chamber;
mod loggers;
mod picture;
mod soil;
mod station;
mod write;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use jiff::civil::Date;
use octonas::experiment::{Definition, Strictness, read};

/// What is said in every file.
const LABEL: &str = "DONNÉES SYNTHÉTIQUES / SYNTHETIC DATA - OctoNAS sample_data";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (definition, output, days) = match arguments.as_slice() {
        [definition, output] => (definition, output, Some(1)),
        [definition, output, days] => (definition, output, days.parse().ok()),
        _ => {
            eprintln!("usage: sample_data DEFINITION OUTPUT [DAYS]");
            return ExitCode::from(2);
        }
    };
    let Some(days @ 1..=366) = days else {
        eprintln!("DAYS is a number from 1 to 366");
        return ExitCode::from(2);
    };
    match generate(Path::new(definition), Path::new(output), days) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(definition: &Path, output: &Path, days: u16) -> Outcome {
    let text = fs::read(definition).map_err(|e| format!("{}: {e}", definition.display()))?;
    let definition = read(&text, Strictness::Given)?;
    let start = definition
        .dates
        .start
        .ok_or("the definition has no dates.start")?
        .civil();
    for source in &definition.sources {
        let machine = output.join(source.id.as_str());
        let place: Vec<&str> = source.into.as_str().split('/').collect();
        for day in start.series(jiff::Span::new().days(1)).take(days.into()) {
            match place.as_slice() {
                ["raw", chamber] if chamber_number(&definition, chamber).is_some() => {
                    let number = chamber_number(&definition, chamber).unwrap_or(1);
                    chamber::one_day(&machine, &definition, chamber, number, day)?;
                }
                ["images", chamber] => picture::one_day(&machine, chamber, day)?,
                ["raw", "sol"] => soil::one_day(&machine, &definition, day)?,
                _ => station::one_day(&machine, source.id.as_str(), day)?,
            }
        }
    }
    if definition.layout.as_str() == "aquatic-loggers" {
        loggers::missions(&output.join("field"), start, days)?;
    }
    Ok(())
}

fn chamber_number(definition: &Definition, name: &str) -> Option<u32> {
    let chambers = &definition.facility.as_ref()?.chambers;
    let place = chambers.iter().position(|chamber| chamber == name)?;
    u32::try_from(place + 1).ok()
}

/// Seconds since the Unix epoch of a day's first moment in UTC.
fn midnight(day: Date) -> Outcome<i64> {
    Ok(day
        .to_zoned(jiff::tz::TimeZone::UTC)?
        .timestamp()
        .as_second())
}
