//! Writes one day of synthetic climate-chamber data into an experiment: for every chamber of the definition a French CSV
//! file (`;`, decimal comma, one line a minute) in `raw/<chamber>/`. The same definition gives the same bytes; a file
//! that is there already stays as it is.
//!
//! `cargo run --example sample_data -- EXPERIMENT-DIRECTORY DEFINITION`

// An example has no `sys` room: it writes as a member of the experiment would, and talks on standard output.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::f64::consts::PI;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use jiff::civil::Date;
use octonas::experiment::{RelPath, Strictness, read};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, definition] = arguments.as_slice() else {
        eprintln!("usage: sample_data EXPERIMENT-DIRECTORY DEFINITION");
        return ExitCode::from(2);
    };
    match deliver(Path::new(directory), Path::new(definition)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn deliver(directory: &Path, definition: &Path) -> Result<(), Box<dyn Error>> {
    let definition = read(&fs::read(definition)?, Strictness::Given)?;
    let day = definition
        .dates
        .start
        .ok_or("the definition has no dates.start")?
        .civil();
    let chambers = definition
        .facility
        .map(|facility| facility.chambers)
        .unwrap_or_default();
    if chambers.is_empty() {
        return Err("the definition names no chambers".into());
    }
    for (number, chamber) in (1_u32..).zip(&chambers) {
        let leaf = directory.join(RelPath::parse(&format!("raw/{chamber}"))?.as_str());
        let name = format!("{chamber}_{day}.csv");
        let path = leaf.join(&name);
        if path.exists() {
            println!("{}: already there", path.display());
            continue;
        }
        let text = one_day(chamber, number, day)?;
        let beside = leaf.join(format!(".{name}.partial"));
        let mut file = File::create(&beside).map_err(|e| format!("{}: {e}", beside.display()))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&leaf)?.sync_all()?;
        println!("{}: {} bytes of synthetic data", path.display(), text.len());
    }
    Ok(())
}

/// One line a minute: temperature (°C), relative humidity (%), CO₂ (µmol/mol), PAR (µmol/m²/s).
fn one_day(chamber: &str, number: u32, day: Date) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "# DONNÉES SYNTHÉTIQUES / SYNTHETIC DATA - OctoNAS sample_data - enceinte {chamber} - heures UTC\n\
         horodatage;T;HR;CO2;PAR\n"
    );
    let midnight = day.at(0, 0, 0, 0);
    for minute in 0..1440_u32 {
        let time = midnight.saturating_add(jiff::Span::new().minutes(minute));
        let noise = |quantity: u32| {
            noise(u64::from(number) << 32 | u64::from(minute) << 8 | u64::from(quantity))
        };
        let hour = f64::from(minute) / 60.0;
        // Lamps from 6 h to 20 h; the air follows the light by two hours.
        let light = ((hour - 6.0) / 14.0 * PI).sin().max(0.0);
        let warmth = ((hour - 8.0) / 14.0 * PI).sin().max(0.0);
        let temperature = 14.0 + f64::from(number) + 9.0 * warmth + 0.15 * noise(0);
        let humidity = 78.0 - 25.0 * warmth + 0.8 * noise(1);
        let carbon_dioxide = 420.0 + 35.0 * (1.0 - light) - 30.0 * light + 2.0 * noise(2);
        let radiation = if light > 0.0 {
            (850.0 * light + 6.0 * noise(3)).max(0.0)
        } else {
            0.0
        };
        let line =
            format!("{time};{temperature:.2};{humidity:.1};{carbon_dioxide:.1};{radiation:.1}");
        writeln!(text, "{}", line.replace('.', ","))?;
    }
    Ok(text)
}

/// A number between -1 and 1 that depends on `seed` alone (the finaliser of `SplitMix64`, doi:10.1145/2714064.2660195).
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    f64::from((z >> 32) as u32) / f64::from(u32::MAX) * 2.0 - 1.0
}
