//! `NetCDF` datasets, read from memory by Debian's library: it is given no path, because a path that looks like a URL
//! would make it open the network.

use netcdf::types::{FloatType, IntType, NcVariableType};
use netcdf::{AttributeValue, Group, Variable as Var};
use octonas::content::{Attribute, Contents, Dataset, Dimension, Format, Severity, Variable};

use super::cf::{self, Units};
use super::csv::heading::cut;

/// The most of each that is told, and the longest value, in characters.
const VARIABLES: usize = 2000;
const DIMENSIONS: usize = 2000;
const ATTRIBUTES: usize = 500;
const GROUPS: usize = 200;
const DEPTH: usize = 8;
const VALUE: usize = 500;
const NAME: usize = 120;

/// The largest classic file without data that is read again with room behind it, how much room, in bytes; and what the
/// library says of it (errno(3)).
const HEADER: usize = 16 << 20;
const PADDING: usize = 64 << 10;
const EPERM: i32 = 1;

/// Variables of which the last value is read, to see whether it is there.
const TOUCHED: usize = 64;

/// What is looked for in a time coordinate.
#[derive(Default)]
struct Coverage {
    /// How good the coordinate is; the best one counts.
    rank: u8,
    first: Option<String>,
    last: Option<String>,
    undecoded: Option<String>,
}

/// What was found so far.
struct Found {
    dataset: Dataset,
    coverage: Coverage,
    unread: Vec<String>,
    ends: Vec<u64>,
    groups: usize,
}

/// Reads a dataset. HDF5 that the library does not take for `NetCDF` stays HDF5.
pub fn read(data: &[u8], contents: &mut Contents) {
    let was = contents.format;
    // The binding panics on names that are not UTF-8, among others: that is damage of the file.
    let outcome = std::panic::catch_unwind(|| match describe(data) {
        // The library wants to read a classic header in whole blocks, and cannot where nothing follows it.
        Err(netcdf::Error::Netcdf(EPERM)) if data.starts_with(b"CDF") && data.len() <= HEADER => {
            short(data)
        }
        other => other.map(|(dataset, findings, _)| (dataset, findings)),
    });
    match outcome {
        Ok(Ok((dataset, findings))) => {
            // A file without dimensions of its own was not written by the NetCDF library.
            let phony = dataset
                .dimensions
                .iter()
                .all(|d| d.name.contains("phony_dim_"))
                && !dataset.dimensions.is_empty()
                || dataset.variables.is_empty() && dataset.attributes.is_empty();
            if was == Format::Hdf5 && phony {
                contents.find(
                    Severity::Note,
                    "hdf5.not-netcdf",
                    "this HDF5 file has no dimensions as NetCDF knows them",
                );
            } else {
                contents.format = Format::Netcdf;
                Format::Netcdf
                    .media_type()
                    .clone_into(&mut contents.media_type);
            }
            contents.findings.extend(findings.findings);
            contents.dataset = Some(dataset);
        }
        Ok(Err(error)) => contents.find(
            Severity::Error,
            "netcdf.unreadable",
            format!(
                "the NetCDF library cannot read it: {}",
                cut(&error.to_string(), 200)
            ),
        ),
        Err(_) => contents.find(
            Severity::Error,
            "netcdf.unreadable",
            "a name or a value in it breaks the rules of NetCDF",
        ),
    }
}

/// A classic file that ends with its header or soon after. The library wants to read on, so it is given what is not
/// there, once as zeros and once as ones: where both lead to the same, nothing of the file is missing.
fn short(data: &[u8]) -> Result<(Dataset, Contents), netcdf::Error> {
    let with = |byte: u8| {
        let mut padded = data.to_vec();
        padded.resize(data.len() + PADDING, byte);
        describe(&padded)
    };
    let (dataset, mut findings, ends) = with(0)?;
    match with(0xFF) {
        Ok((same, _, same_ends)) if same == dataset && same_ends == ends => {
            if ends.is_empty() {
                findings.find(
                    Severity::Note,
                    "netcdf.no-data",
                    "the file has a header and no data",
                );
            }
        }
        _ => findings.find(
            Severity::Error,
            "netcdf.truncated",
            "the file ends in its header or soon after: it was cut",
        ),
    }
    Ok((dataset, findings))
}

/// A dataset, findings, and the last values of its variables.
fn describe(data: &[u8]) -> Result<(Dataset, Contents, Vec<u64>), netcdf::Error> {
    let file = netcdf::open_mem(None, data)?;
    let mut found = Found {
        dataset: Dataset {
            dimensions: file
                .dimensions()
                .take(DIMENSIONS)
                .map(|d| dimension("", &d))
                .collect(),
            variables: Vec::new(),
            attributes: file
                .attributes()
                .take(ATTRIBUTES)
                .filter_map(|a| {
                    Some(Attribute {
                        name: plain(a.name(), NAME),
                        value: text(&a.value().ok()?),
                    })
                })
                .collect(),
            time_first: None,
            time_last: None,
        },
        coverage: Coverage::default(),
        unread: Vec::new(),
        ends: Vec::new(),
        groups: 0,
    };
    for variable in file.variables() {
        take(&variable, "", &mut found);
    }
    // A classic file has no groups, and the library says so by an error.
    for below in file.groups().into_iter().flatten() {
        group(&below, "", 1, &mut found);
    }
    let mut findings = Contents::new(Format::Netcdf, 0);
    let Found {
        mut dataset,
        coverage,
        unread,
        ends,
        groups,
    } = found;
    if dataset.variables.len() >= VARIABLES
        || dataset.dimensions.len() >= DIMENSIONS
        || groups > GROUPS
    {
        findings.find(
            Severity::Warning,
            "netcdf.many",
            format!("there are more than {VARIABLES} variables or dimensions, or {GROUPS} groups; the first were read"),
        );
    }
    if let Some(first) = unread.first() {
        findings.find(
            Severity::Error,
            "netcdf.truncated",
            format!(
                "values of {} variables cannot be read, {first} among them: the file was cut or is damaged",
                unread.len()
            ),
        );
    }
    if let (Some(units), None) = (&coverage.undecoded, &coverage.first) {
        findings.find(
            Severity::Warning,
            "netcdf.time-units",
            format!("the units of the time coordinate cannot be decoded: {units}"),
        );
    }
    (dataset.time_first, dataset.time_last) = (coverage.first, coverage.last);
    Ok((dataset, findings, ends))
}

/// A group below the root, and those below it, under its path.
fn group(group: &Group<'_>, above: &str, depth: usize, found: &mut Found) {
    found.groups += 1;
    if found.groups > GROUPS || depth > DEPTH {
        return;
    }
    let path = format!("{above}{}/", plain(&group.name(), NAME));
    for each in group.dimensions() {
        if found.dataset.dimensions.len() < DIMENSIONS {
            found.dataset.dimensions.push(dimension(&path, &each));
        }
    }
    for variable in group.variables() {
        take(&variable, &path, found);
    }
    for below in group.groups() {
        self::group(&below, &path, depth + 1, found);
    }
}

fn dimension(path: &str, dimension: &netcdf::Dimension<'_>) -> Dimension {
    Dimension {
        name: plain(&format!("{path}{}", dimension.name()), NAME),
        length: dimension.len() as u64,
        unlimited: dimension.is_unlimited(),
    }
}

/// Enters a variable.
fn take(variable: &Var<'_>, path: &str, found: &mut Found) {
    let Found {
        dataset,
        coverage,
        unread,
        ends,
        ..
    } = found;
    if dataset.variables.len() >= VARIABLES {
        return;
    }
    let own = variable.name();
    let attribute = |name: &str| {
        let value = variable.attribute(name)?.value().ok()?;
        let value = text(&value);
        (!value.trim().is_empty()).then_some(value)
    };
    let name = plain(&format!("{path}{own}"), NAME);
    let units = attribute("units");
    let standard_name = attribute("standard_name");
    let kind = variable.vartype();
    if dataset.variables.len() < TOUCHED {
        match last_value(variable, &kind) {
            Ok(value) => ends.extend(value),
            Err(_) => unread.push(name.clone()),
        }
    }
    if let Some(units) = units.as_deref().filter(|units| cf::is_time(units)) {
        let coordinate = variable.dimensions().len() == 1 && variable.dimensions()[0].name() == own;
        let rank = match (standard_name.as_deref(), own.to_ascii_lowercase().as_str()) {
            (Some("time"), _) | (_, "time") => 3 + u8::from(coordinate),
            _ if attribute("axis").as_deref() == Some("T") || coordinate => 2,
            _ => 1,
        };
        if rank > coverage.rank && variable.dimensions().len() <= 1 {
            cover(
                variable,
                units,
                attribute("calendar").as_deref(),
                rank,
                coverage,
            );
        }
    }
    dataset.variables.push(Variable {
        name,
        kind: cdl(&kind).to_owned(),
        dimensions: variable
            .dimensions()
            .iter()
            .take(32)
            .map(|d| plain(&d.name(), NAME))
            .collect(),
        units,
        standard_name,
        long_name: attribute("long_name"),
    });
}

/// The first and the last instant of a time coordinate.
fn cover(
    variable: &Var<'_>,
    units: &str,
    calendar: Option<&str>,
    rank: u8,
    coverage: &mut Coverage,
) {
    let length = variable.len();
    if length == 0 {
        return;
    }
    let Some(decoder) = Units::parse(units, calendar.unwrap_or_default()) else {
        coverage.undecoded.get_or_insert_with(|| cut(units, 80));
        return;
    };
    let value = |index: usize| {
        let value = if variable.dimensions().is_empty() {
            variable.get_value::<f64, _>(())
        } else {
            variable.get_value::<f64, _>([index])
        };
        // The largest values stand for what is missing (netcdf.h, NC_FILL_DOUBLE).
        value.ok().filter(|value| value.abs() < 9e36)
    };
    let (first, last) = (value(0), value(length - 1));
    if let (Some(first), Some(last)) = (first, last) {
        let (from, to) = (
            decoder.decode(first.min(last)),
            decoder.decode(first.max(last)),
        );
        if from.is_some() && to.is_some() {
            (coverage.rank, coverage.first, coverage.last) = (rank, from, to);
        }
    }
}

/// The last value of a variable as bits, if it has one: of a file that was cut, it cannot be read.
fn last_value(variable: &Var<'_>, kind: &NcVariableType) -> Result<Option<u64>, netcdf::Error> {
    let end: Vec<usize> = variable
        .dimensions()
        .iter()
        .map(|d| d.len().wrapping_sub(1))
        .collect();
    if end.contains(&usize::MAX) {
        return Ok(None);
    }
    match kind {
        NcVariableType::Int(_) | NcVariableType::Float(_) => {
            variable.get_value::<f64, _>(end).map(|v| Some(v.to_bits()))
        }
        NcVariableType::Char => {
            let ends: Vec<std::ops::Range<usize>> = end.iter().map(|at| *at..*at + 1).collect();
            let bytes = variable.get_raw_values(ends)?;
            Ok(bytes.first().map(|byte| u64::from(*byte)))
        }
        _ => Ok(None),
    }
}

/// The name of a type in CDL (ncgen(1)).
fn cdl(kind: &NcVariableType) -> &'static str {
    match kind {
        NcVariableType::Int(IntType::I8) => "byte",
        NcVariableType::Int(IntType::U8) => "ubyte",
        NcVariableType::Int(IntType::I16) => "short",
        NcVariableType::Int(IntType::U16) => "ushort",
        NcVariableType::Int(IntType::I32) => "int",
        NcVariableType::Int(IntType::U32) => "uint",
        NcVariableType::Int(IntType::I64) => "int64",
        NcVariableType::Int(IntType::U64) => "uint64",
        NcVariableType::Float(FloatType::F32) => "float",
        NcVariableType::Float(FloatType::F64) => "double",
        NcVariableType::Char => "char",
        NcVariableType::String => "string",
        NcVariableType::Compound(_) => "compound",
        NcVariableType::Opaque(_) => "opaque",
        NcVariableType::Enum(_) => "enum",
        NcVariableType::Vlen(_) => "vlen",
    }
}

/// Text without control characters but line ends.
fn plain(text: &str, most: usize) -> String {
    let text: String = text
        .chars()
        .take(most + 1)
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect();
    cut(text.trim_end(), most)
}

/// The value of an attribute as text.
fn text(value: &AttributeValue) -> String {
    fn list<T: ToString>(values: &[T]) -> String {
        let all: Vec<String> = values.iter().take(64).map(ToString::to_string).collect();
        all.join(", ")
    }
    let text = match value {
        AttributeValue::Uchar(v) => v.to_string(),
        AttributeValue::Schar(v) => v.to_string(),
        AttributeValue::Ushort(v) => v.to_string(),
        AttributeValue::Short(v) => v.to_string(),
        AttributeValue::Uint(v) => v.to_string(),
        AttributeValue::Int(v) => v.to_string(),
        AttributeValue::Ulonglong(v) => v.to_string(),
        AttributeValue::Longlong(v) => v.to_string(),
        AttributeValue::Float(v) => v.to_string(),
        AttributeValue::Double(v) => v.to_string(),
        AttributeValue::Str(v) => v.clone(),
        AttributeValue::Uchars(v) => list(v),
        AttributeValue::Schars(v) => list(v),
        AttributeValue::Ushorts(v) => list(v),
        AttributeValue::Shorts(v) => list(v),
        AttributeValue::Uints(v) => list(v),
        AttributeValue::Ints(v) => list(v),
        AttributeValue::Ulonglongs(v) => list(v),
        AttributeValue::Longlongs(v) => list(v),
        AttributeValue::Floats(v) => list(v),
        AttributeValue::Doubles(v) => list(v),
        AttributeValue::Strs(v) => list(v),
    };
    plain(&text, VALUE)
}
