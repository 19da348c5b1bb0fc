//! What is inside one data file, as `octonas-probe` tells it: the words that the probe, the catalogue and the documents
//! share. No I/O. A damaged file is described like any other, with findings.

use serde::{Deserialize, Serialize};

/// What a file is, by its first bytes and its structure; its name says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A table of separated values.
    Csv,
    /// An export of a HOBO logger (Onset's `HOBOware`), as text or CSV.
    Hobo,
    /// `NetCDF`, classic or on HDF5.
    Netcdf,
    /// HDF5 that is no `NetCDF`.
    Hdf5,
    /// A photograph.
    Jpeg,
    /// An image.
    Png,
    /// An image, or the raw image of a camera that builds on it.
    Tiff,
    /// JSON.
    Json,
    /// XML, HTML among it.
    Xml,
    /// Text of no known structure.
    Text,
    /// A PDF document.
    Pdf,
    /// A zip archive.
    Zip,
    /// A spreadsheet of Excel 2007 or later.
    Xlsx,
    /// A text document of Word 2007 or later.
    Docx,
    /// A spreadsheet of `LibreOffice`.
    Ods,
    /// A document of Microsoft Office before 2007 (a compound file).
    Ole,
    /// A gzip stream.
    Gzip,
    /// A bzip2 stream.
    Bzip2,
    /// An xz stream.
    Xz,
    /// A Zstandard stream.
    Zstd,
    /// A tar archive.
    Tar,
    /// A 7-Zip archive.
    #[serde(rename = "7z")]
    SevenZip,
    /// A database of `SQLite`.
    Sqlite,
    /// Apache Parquet.
    Parquet,
    /// Data of R, uncompressed.
    Rdata,
    /// An array of `NumPy`.
    Npy,
    /// Data of MATLAB, version 5 or 7.
    Matlab,
    /// A GRIB message.
    Grib,
    /// Audio in a RIFF container.
    Wav,
    /// Video in a RIFF container.
    Avi,
    /// Audio or video in an ISO base media file.
    Mp4,
    /// An image.
    Gif,
    /// An image.
    Webp,
    /// A program for Linux.
    Elf,
    /// A program for Windows.
    Exe,
    /// Nothing that is known.
    Binary,
    /// No bytes at all.
    Empty,
}

impl Format {
    /// The name that JSON has, and its media type (IANA's where there is one).
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Csv => ("csv", "text/csv"),
            Self::Hobo => ("hobo", "text/csv"),
            Self::Netcdf => ("netcdf", "application/x-netcdf"),
            Self::Hdf5 => ("hdf5", "application/x-hdf5"),
            Self::Jpeg => ("jpeg", "image/jpeg"),
            Self::Png => ("png", "image/png"),
            Self::Tiff => ("tiff", "image/tiff"),
            Self::Json => ("json", "application/json"),
            Self::Xml => ("xml", "application/xml"),
            Self::Text => ("text", "text/plain"),
            Self::Pdf => ("pdf", "application/pdf"),
            Self::Zip => ("zip", "application/zip"),
            Self::Xlsx => (
                "xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ),
            Self::Docx => (
                "docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            Self::Ods => ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
            Self::Ole => ("ole", "application/x-ole-storage"),
            Self::Gzip => ("gzip", "application/gzip"),
            Self::Bzip2 => ("bzip2", "application/x-bzip2"),
            Self::Xz => ("xz", "application/x-xz"),
            Self::Zstd => ("zstd", "application/zstd"),
            Self::Tar => ("tar", "application/x-tar"),
            Self::SevenZip => ("7z", "application/x-7z-compressed"),
            Self::Sqlite => ("sqlite", "application/vnd.sqlite3"),
            Self::Parquet => ("parquet", "application/vnd.apache.parquet"),
            Self::Rdata => ("rdata", "application/x-r-data"),
            Self::Npy => ("npy", "application/x-npy"),
            Self::Matlab => ("matlab", "application/x-matlab-data"),
            Self::Grib => ("grib", "application/x-grib"),
            Self::Wav => ("wav", "audio/vnd.wave"),
            Self::Avi => ("avi", "video/vnd.avi"),
            Self::Mp4 => ("mp4", "video/mp4"),
            Self::Gif => ("gif", "image/gif"),
            Self::Webp => ("webp", "image/webp"),
            Self::Elf => ("elf", "application/x-elf"),
            Self::Exe => ("exe", "application/vnd.microsoft.portable-executable"),
            Self::Binary => ("binary", "application/octet-stream"),
            Self::Empty => ("empty", "application/octet-stream"),
        }
    }

    /// The name that JSON has: `csv`, `netcdf`, …
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        self.names().1
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// What the file is.
    pub format: Format,
    /// Its media type.
    pub media_type: String,
    /// Bytes that were looked at.
    pub size: u64,
    /// What somebody should know.
    pub findings: Vec<Finding>,
    /// CSV and HOBO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// `NetCDF`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<Dataset>,
    /// JPEG, PNG, TIFF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// HOBO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<Logger>,
}

impl Contents {
    /// A file of which nothing is known but its format and size.
    pub fn new(format: Format, size: u64) -> Self {
        Self {
            format,
            media_type: format.media_type().to_owned(),
            size,
            findings: Vec::new(),
            table: None,
            dataset: None,
            image: None,
            logger: None,
        }
    }

    /// Enters a finding.
    pub fn find(&mut self, severity: Severity, code: &str, message: impl Into<String>) {
        self.findings.push(Finding {
            code: code.to_owned(),
            severity,
            message: message.into(),
        });
    }

    /// The names of its columns or variables.
    pub fn variables(&self) -> Vec<&str> {
        let columns = self.table.iter().flat_map(|table| &table.columns);
        let variables = self.dataset.iter().flat_map(|dataset| &dataset.variables);
        columns
            .map(|column| column.name.as_str())
            .chain(variables.map(|variable| variable.name.as_str()))
            .collect()
    }

    /// The first and the last instant or day that it covers, as ISO 8601, from the table, the dataset or the image.
    pub fn coverage(&self) -> Option<(&str, &str)> {
        fn pair<'a>(a: Option<&'a String>, b: Option<&'a String>) -> Option<(&'a str, &'a str)> {
            Some((a?.as_str(), b?.as_str()))
        }
        let table = self.table.as_ref().and_then(|table| table.time.as_ref());
        let image = self.image.as_ref().and_then(|image| image.taken.as_ref());
        table
            .and_then(|time| pair(time.first.as_ref(), time.last.as_ref()))
            .or_else(|| {
                let dataset = self.dataset.as_ref()?;
                pair(dataset.time_first.as_ref(), dataset.time_last.as_ref())
            })
            .or_else(|| pair(image, image))
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Somebody should look.
    Warning,
    /// The file cannot be read as what it says it is.
    Error,
}

/// Something that was found out about a file. The codes are listed in `docs/reference/probe.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The stable dotted code, `time.ambiguous`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
}

/// A table of separated values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What separates the columns: `,`, `;`, a tab or `|`; empty where there is one column.
    pub delimiter: String,
    /// What separates a number from its fraction: `.` or `,`.
    pub decimal: String,
    /// `utf-8`, `utf-16le`, `utf-16be`, `windows-1252` (Latin-1 is a part of it).
    pub encoding: String,
    /// True where the text begins with a byte order mark.
    pub bom: bool,
    /// `lf`, `crlf`, `cr` or `mixed`.
    pub line_ends: String,
    /// The line with the names of the columns, counted from 1; `None` where there is none.
    pub header_line: Option<u64>,
    /// Rows of data.
    pub rows: u64,
    /// How many columns there are; `columns` holds the first of them.
    pub columns_total: u64,
    /// The columns in their order.
    pub columns: Vec<Column>,
    /// When the rows are, where a column tells it.
    pub time: Option<TimeColumn>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name without the unit, or `column 3`.
    pub name: String,
    /// The unit that stands in its name or in a line below the names.
    pub unit: Option<String>,
    /// What its values are.
    pub kind: Kind,
    /// Rows without a value (empty, NA, NaN, and the like).
    pub missing: u64,
    /// The smallest number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Numbers with a fraction.
    Number,
    /// Whole numbers.
    Integer,
    /// Anything.
    Text,
    /// Dates, times, or both.
    Time,
    /// Two opposite words.
    Boolean,
    /// No value at all.
    Empty,
}

/// The column, or the two columns, that tell when a row was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeColumn {
    /// Its name; two names joined by ` + ` where date and time stand apart.
    pub column: String,
    /// How it is written, in the letters of strftime(3): `%d/%m/%Y %H:%M`.
    pub format: String,
    /// Whether the day stands before the month.
    pub day_first: DayFirst,
    /// The first instant, ISO 8601, with `Z` or an offset only where the file says one.
    pub first: Option<String>,
    /// The last one.
    pub last: Option<String>,
    /// The usual distance between two rows.
    pub step_seconds: Option<f64>,
    /// How many times more than one and a half steps are missing between two rows.
    pub gaps: u64,
    /// The longest of them.
    pub longest_gap_seconds: Option<f64>,
}

/// Whether `03/04/2026` is in April or in March.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayFirst {
    /// In April: the day stands first, or the year does.
    Yes,
    /// In March: the month stands first.
    No,
    /// No value in the file decides it. `first` and `last` are then empty.
    Ambiguous,
    /// There is no day before or after a month: the year stands first, or the month is a word.
    Irrelevant,
}

/// A `NetCDF` dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its dimensions; those of groups under their path.
    pub dimensions: Vec<Dimension>,
    /// Its variables; those of groups under their path.
    pub variables: Vec<Variable>,
    /// Global attributes, name and value as text.
    pub attributes: Vec<Attribute>,
    /// The first instant of its time coordinate, decoded from its CF units.
    pub time_first: Option<String>,
    /// The last one.
    pub time_last: Option<String>,
}

/// A dimension of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub length: u64,
    /// True where it can grow.
    pub unlimited: bool,
}

/// A variable of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// `float`, `double`, `int`, `char`, …, as CDL names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The names of its dimensions.
    pub dimensions: Vec<String>,
    /// Attribute `units`.
    pub units: Option<String>,
    /// Attribute `standard_name`.
    pub standard_name: Option<String>,
    /// Attribute `long_name`.
    pub long_name: Option<String>,
}

/// An attribute of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Pixels.
    pub width: u64,
    /// Pixels.
    pub height: u64,
    /// When the camera says that it was taken, ISO 8601, with an offset only where the camera wrote one.
    pub taken: Option<String>,
    /// Maker and model of the camera.
    pub camera: Option<String>,
}

/// The logger that wrote an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logger {
    /// The title of the plot, mostly the name that people gave to the logger.
    pub title: Option<String>,
    /// The model, where the export says it.
    pub model: Option<String>,
    /// The serial number of the logger.
    pub serial: Option<String>,
    /// The offset of its clock, `+02:00`.
    pub utc_offset: Option<String>,
}

/// How long looking at a file of `size` bytes may take, in seconds: both sides hold it. A disk that gives less than
/// ten megabytes a second has other worries.
pub const fn patience(size: u64) -> u64 {
    60 + size / 10_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_named_alike_in_json_and_on_a_terminal() {
        for format in [Format::Csv, Format::Netcdf, Format::SevenZip, Format::Hdf5] {
            let json = serde_json::to_value(format).unwrap();
            assert_eq!(json, format.to_string());
        }
    }

    #[test]
    fn what_a_file_covers_comes_from_whatever_tells_it() {
        let mut contents = Contents::new(Format::Jpeg, 10);
        assert_eq!(contents.coverage(), None);
        contents.image = Some(Image {
            width: 1,
            height: 1,
            taken: Some("2026-03-01T10:00:00".into()),
            camera: None,
        });
        assert_eq!(
            contents.coverage(),
            Some(("2026-03-01T10:00:00", "2026-03-01T10:00:00"))
        );
        let text = serde_json::to_string(&contents).unwrap();
        assert_eq!(serde_json::from_str::<Contents>(&text).unwrap(), contents);
    }
}
