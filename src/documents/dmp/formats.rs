//! What is known of file formats by their extension: media type, whether the format is open, what reads it.

use super::questions::{Words, words};

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Its name; the same in both languages, or nearly.
    pub name: Words,
    /// Media type (IANA, or the usual one).
    pub media: &'static str,
    /// True where its specification is public and no single program is needed.
    pub open: bool,
    /// What reads it.
    pub tools: Words,
}

const fn format(name: Words, media: &'static str, open: bool, tools: Words) -> Format {
    Format {
        name,
        media,
        open,
        tools,
    }
}

const fn same(text: &'static str) -> Words {
    words(text, text)
}

const TABLES: Words = words(
    "R, Python (pandas) ou un tableur",
    "R, Python (pandas) or a spreadsheet program",
);
const IMAGES: Words = words("tout logiciel d'image, ImageJ", "any image program, ImageJ");
const ANY_EDITOR: Words = words("tout éditeur de texte", "any text editor");

const FORMATS: &[(&[&str], Format)] = &[
    (&["csv"], format(same("CSV"), "text/csv", true, TABLES)),
    (
        &["tsv", "tab"],
        format(same("TSV"), "text/tab-separated-values", true, TABLES),
    ),
    (
        &["txt", "dat", "log", "asc"],
        format(
            words("texte brut", "plain text"),
            "text/plain",
            true,
            ANY_EDITOR,
        ),
    ),
    (
        &["nc", "nc4", "cdf", "netcdf"],
        format(
            same("NetCDF"),
            "application/netcdf",
            true,
            words(
                "les bibliothèques NetCDF (Python : xarray, netCDF4 ; R : ncdf4), Panoply",
                "the NetCDF libraries (Python: xarray, netCDF4; R: ncdf4), Panoply",
            ),
        ),
    ),
    (
        &["h5", "hdf5", "hdf"],
        format(
            same("HDF5"),
            "application/x-hdf5",
            true,
            words(
                "les bibliothèques HDF5 (Python : h5py ; R : hdf5r)",
                "the HDF5 libraries (Python: h5py; R: hdf5r)",
            ),
        ),
    ),
    (
        &["jpg", "jpeg"],
        format(same("JPEG"), "image/jpeg", true, IMAGES),
    ),
    (&["png"], format(same("PNG"), "image/png", true, IMAGES)),
    (
        &["tif", "tiff"],
        format(same("TIFF"), "image/tiff", true, IMAGES),
    ),
    (
        &["cr2", "cr3", "nef", "arw"],
        format(
            words("image brute d'appareil photographique", "raw camera image"),
            "image/x-raw",
            false,
            words("darktable, RawTherapee", "darktable, RawTherapee"),
        ),
    ),
    (
        &["dng"],
        format(
            same("DNG"),
            "image/x-adobe-dng",
            true,
            words("darktable, RawTherapee", "darktable, RawTherapee"),
        ),
    ),
    (
        &["mp4", "m4v"],
        format(same("MP4"), "video/mp4", true, same("VLC")),
    ),
    (
        &["mov"],
        format(same("QuickTime"), "video/quicktime", false, same("VLC")),
    ),
    (
        &["mkv"],
        format(same("Matroska"), "video/x-matroska", true, same("VLC")),
    ),
    (
        &["wav"],
        format(same("WAV"), "audio/wav", true, same("Audacity")),
    ),
    (
        &["flac"],
        format(same("FLAC"), "audio/flac", true, same("Audacity")),
    ),
    (
        &["mp3"],
        format(same("MP3"), "audio/mpeg", true, same("Audacity")),
    ),
    (
        &["ods"],
        format(
            same("OpenDocument"),
            "application/vnd.oasis.opendocument.spreadsheet",
            true,
            same("LibreOffice"),
        ),
    ),
    (
        &["odt"],
        format(
            same("OpenDocument"),
            "application/vnd.oasis.opendocument.text",
            true,
            same("LibreOffice"),
        ),
    ),
    (
        &["xlsx"],
        format(
            same("Excel (OOXML)"),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            true,
            words(
                "LibreOffice, Excel, R (readxl)",
                "LibreOffice, Excel, R (readxl)",
            ),
        ),
    ),
    (
        &["xls"],
        format(
            same("Excel 97-2003"),
            "application/vnd.ms-excel",
            false,
            same("LibreOffice, Excel"),
        ),
    ),
    (
        &["docx"],
        format(
            same("Word (OOXML)"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            true,
            same("LibreOffice, Word"),
        ),
    ),
    (
        &["doc"],
        format(
            same("Word 97-2003"),
            "application/msword",
            false,
            same("LibreOffice, Word"),
        ),
    ),
    (
        &["pdf"],
        format(
            same("PDF"),
            "application/pdf",
            true,
            words("tout lecteur PDF", "any PDF reader"),
        ),
    ),
    (
        &["md"],
        format(same("Markdown"), "text/markdown", true, ANY_EDITOR),
    ),
    (
        &["html", "htm"],
        format(
            same("HTML"),
            "text/html",
            true,
            words("tout navigateur", "any browser"),
        ),
    ),
    (
        &["json", "geojson"],
        format(same("JSON"), "application/json", true, ANY_EDITOR),
    ),
    (
        &["xml"],
        format(same("XML"), "application/xml", true, ANY_EDITOR),
    ),
    (
        &["yaml", "yml"],
        format(same("YAML"), "application/yaml", true, ANY_EDITOR),
    ),
    (
        &["r", "rmd", "qmd"],
        format(
            words("programme R", "R program"),
            "text/x-r",
            true,
            same("R"),
        ),
    ),
    (
        &["py"],
        format(
            words("programme Python", "Python program"),
            "text/x-python",
            true,
            same("Python"),
        ),
    ),
    (
        &["ipynb"],
        format(
            words("carnet Jupyter", "Jupyter notebook"),
            "application/x-ipynb+json",
            true,
            same("Jupyter"),
        ),
    ),
    (
        &["m"],
        format(
            words("programme MATLAB", "MATLAB program"),
            "text/x-matlab",
            true,
            words("MATLAB ou GNU Octave", "MATLAB or GNU Octave"),
        ),
    ),
    (
        &["mat"],
        format(
            same("MATLAB"),
            "application/x-matlab-data",
            false,
            words("MATLAB, Python (scipy)", "MATLAB, Python (scipy)"),
        ),
    ),
    (
        &["rds", "rda", "rdata"],
        format(
            words("objet R", "R object"),
            "application/x-r-data",
            true,
            same("R"),
        ),
    ),
    (
        &["parquet"],
        format(
            same("Parquet"),
            "application/vnd.apache.parquet",
            true,
            words("R (arrow), Python (pandas)", "R (arrow), Python (pandas)"),
        ),
    ),
    (
        &["sqlite", "db"],
        format(
            same("SQLite"),
            "application/vnd.sqlite3",
            true,
            same("SQLite"),
        ),
    ),
    (
        &["gpkg"],
        format(
            same("GeoPackage"),
            "application/geopackage+sqlite3",
            true,
            same("QGIS"),
        ),
    ),
    (
        &["shp", "shx", "dbf", "prj"],
        format(same("Shapefile"), "application/vnd.shp", true, same("QGIS")),
    ),
    (
        &["gpx"],
        format(same("GPX"), "application/gpx+xml", true, same("QGIS")),
    ),
    (
        &["kml"],
        format(
            same("KML"),
            "application/vnd.google-earth.kml+xml",
            true,
            same("QGIS"),
        ),
    ),
    (
        &["hobo", "dtf"],
        format(
            words("fichier d'enregistreur HOBO", "HOBO logger file"),
            "application/octet-stream",
            false,
            words("HOBOware (Onset)", "HOBOware (Onset)"),
        ),
    ),
    (
        &["fasta", "fa"],
        format(same("FASTA"), "text/x-fasta", true, ANY_EDITOR),
    ),
    (
        &["fastq", "fq"],
        format(same("FASTQ"), "text/x-fastq", true, ANY_EDITOR),
    ),
    (
        &["zip"],
        format(
            same("ZIP"),
            "application/zip",
            true,
            words("tout logiciel d'archivage", "any archive program"),
        ),
    ),
    (
        &["gz", "tgz"],
        format(
            same("gzip"),
            "application/gzip",
            true,
            words("tout logiciel d'archivage", "any archive program"),
        ),
    ),
    (
        &["tar"],
        format(
            same("tar"),
            "application/x-tar",
            true,
            words("tout logiciel d'archivage", "any archive program"),
        ),
    ),
    (
        &["7z"],
        format(
            same("7z"),
            "application/x-7z-compressed",
            true,
            same("7-Zip"),
        ),
    ),
];

/// What is known of an extension (lower case, without the dot).
pub fn of(extension: &str) -> Option<Format> {
    FORMATS
        .iter()
        .find(|(extensions, _)| extensions.contains(&extension))
        .map(|(_, format)| *format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_stands_for_one_format() {
        let mut all: Vec<&str> = FORMATS
            .iter()
            .flat_map(|(names, _)| *names)
            .copied()
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(FORMATS.iter().all(|(_, format)| format.media.contains('/')));
        assert!(of("csv").unwrap().open && !of("hobo").unwrap().open);
        assert_eq!(of("xyz"), None);
    }
}
