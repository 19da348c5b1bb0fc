//! A chamber's controller: every day a French CSV file (`;`, decimal comma) and the same data as `NetCDF` with CF names.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use jiff::civil::Date;
use octonas::experiment::Definition;

use super::air::{self, Air};
use super::{LABEL, Outcome, midnight, write};

const MINUTES: u32 = 1440;

/// A quantity: its column, its name in `NetCDF`, and what CF wants to know of it.
struct Quantity {
    column: &'static str,
    variable: &'static str,
    standard_name: Option<&'static str>,
    long_name: &'static str,
    units: &'static str,
    of: fn(&Air) -> f64,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity {
        column: "T",
        variable: "T",
        standard_name: Some("air_temperature"),
        long_name: "air temperature at half height",
        units: "degC",
        of: |air| air.temperature,
    },
    Quantity {
        column: "HR",
        variable: "HR",
        standard_name: Some("relative_humidity"),
        long_name: "relative humidity at half height",
        units: "%",
        of: |air| air.humidity,
    },
    Quantity {
        column: "CO2",
        variable: "CO2",
        standard_name: Some("mole_fraction_of_carbon_dioxide_in_air"),
        long_name: "carbon dioxide in the air of the chamber",
        units: "umol mol-1",
        of: |air| air.carbon_dioxide,
    },
    Quantity {
        column: "PAR",
        variable: "PAR",
        standard_name: Some("surface_downwelling_photosynthetic_photon_flux_in_air"),
        long_name: "photosynthetically active radiation above the canopy",
        units: "umol m-2 s-1",
        of: |air| air.radiation,
    },
];

/// One day of one chamber, one measurement a minute.
pub fn one_day(
    machine: &Path,
    definition: &Definition,
    chamber: &str,
    number: u32,
    day: Date,
) -> Outcome {
    let closed = midnight(day)? + 86_400;
    let text = csv(chamber, number, day)?;
    write::whole(
        machine,
        &format!("{chamber}_{day}.csv"),
        text.as_bytes(),
        closed,
    )?;
    let name = format!("{chamber}_{day}.nc");
    if let Some(path) = write::wanted(machine, &name)? {
        let beside = write::beside(&path);
        netcdf(&beside, definition, chamber, number, day)?;
        write::finish(&File::open(&beside)?, &beside, &path, closed)?;
    }
    Ok(())
}

fn csv(chamber: &str, number: u32, day: Date) -> Outcome<String> {
    let mut text = format!("# {LABEL} - enceinte {chamber} - heures UTC\nhorodatage");
    for quantity in &QUANTITIES {
        write!(text, ";{}", quantity.column)?;
    }
    text.push('\n');
    let midnight = day.at(0, 0, 0, 0);
    for minute in 0..MINUTES {
        let time = midnight.saturating_add(jiff::Span::new().minutes(minute));
        let air = air::at(number, minute);
        let mut line = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        for quantity in &QUANTITIES {
            write!(
                line,
                ";{}",
                format!("{:.2}", (quantity.of)(&air)).replace('.', ",")
            )?;
        }
        writeln!(text, "{line}")?;
    }
    Ok(text)
}

/// Conventions: CF-1.8 (a chamber has no position that would mean anything, so it is a coordinate by number) and ACDD-1.3; the classic format, whose bytes depend on nothing else.
fn netcdf(path: &Path, definition: &Definition, chamber: &str, number: u32, day: Date) -> Outcome {
    let mut file = netcdf::create_with(path, netcdf::Options::_64BIT_OFFSET)?;
    let next = day.tomorrow()?;
    let licence = definition.licence.as_ref().map(ToString::to_string);
    let creator = definition.people.first().map(|person| person.name.clone());
    for (name, value) in [
        ("Conventions", "CF-1.8, ACDD-1.3".to_owned()),
        (
            "title",
            format!("{}: {chamber}, {day} (synthetic)", definition.title),
        ),
        (
            "summary",
            format!("{LABEL}. One measurement a minute in chamber {chamber}."),
        ),
        ("comment", LABEL.to_owned()),
        ("source", "numerical simulation, no instrument".to_owned()),
        (
            "history",
            format!("{next}T00:00:00Z written by sample_data"),
        ),
        (
            "institution",
            definition
                .facility
                .as_ref()
                .map(|f| f.name.clone())
                .unwrap_or_default(),
        ),
        ("references", "none: synthetic data".to_owned()),
        ("keywords", definition.keywords.join(", ")),
        ("creator_name", creator.unwrap_or_default()),
        ("license", licence.unwrap_or_default()),
        ("date_created", format!("{next}T00:00:00Z")),
        ("time_coverage_start", format!("{day}T00:00:00Z")),
        ("time_coverage_end", format!("{day}T23:59:00Z")),
        ("time_coverage_duration", "PT23H59M".to_owned()),
        ("time_coverage_resolution", "PT1M".to_owned()),
        (
            "standard_name_vocabulary",
            "CF Standard Name Table v93".to_owned(),
        ),
    ] {
        if !value.is_empty() {
            file.add_attribute(name, value)?;
        }
    }
    file.add_dimension("time", MINUTES as usize)?;

    let mut time = file.add_variable::<f64>("time", &["time"])?;
    time.put_attribute("standard_name", "time")?;
    time.put_attribute("long_name", "time of the measurement")?;
    time.put_attribute("units", format!("seconds since {day} 00:00:00 UTC"))?;
    time.put_attribute("calendar", "standard")?;
    time.put_attribute("axis", "T")?;

    for quantity in &QUANTITIES {
        let mut variable = file.add_variable::<f32>(quantity.variable, &["time"])?;
        if let Some(name) = quantity.standard_name {
            variable.put_attribute("standard_name", name)?;
        }
        variable.put_attribute("long_name", quantity.long_name)?;
        variable.put_attribute("units", quantity.units)?;
        variable.put_attribute("coordinates", "chamber")?;
        variable.put_attribute("coverage_content_type", "physicalMeasurement")?;
        variable.put_attribute("cell_methods", "time: point")?;
        variable.put_attribute("_FillValue", f32::NAN)?;
    }

    let mut identity = file.add_variable::<i32>("chamber", &[])?;
    identity.put_attribute("long_name", format!("number of the chamber ({chamber})"))?;

    file.enddef()?;
    let seconds: Vec<f64> = (0..MINUTES).map(|minute| f64::from(minute * 60)).collect();
    if let Some(mut time) = file.variable_mut("time") {
        time.put_values(&seconds, ..)?;
    }
    if let Some(mut identity) = file.variable_mut("chamber") {
        identity.put_value(i32::try_from(number)?, ..)?;
    }
    for quantity in &QUANTITIES {
        #[allow(clippy::cast_possible_truncation)] // The instruments have three digits.
        let values: Vec<f32> = (0..MINUTES)
            .map(|minute| (quantity.of)(&air::at(number, minute)) as f32)
            .collect();
        if let Some(mut variable) = file.variable_mut(quantity.variable) {
            variable.put_values(&values, ..)?;
        }
    }
    file.close()?;
    Ok(())
}
