//! Words, dates and numbers as people write them in French and in English.

use crate::experiment::{Access, Language, Role, SourceKind, Status};

/// A narrow space that does not break: between thousands, before `;`, `!`, `?` (Lexique de l'Imprimerie nationale).
const THIN: char = '\u{202f}';
/// A space that does not break: between a number and its unit, before `:`, inside « ».
const FIRM: char = '\u{a0}';

const MONTHS_FR: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The day of an ISO 8601 date or time, in words; what is no date is given back as it is.
pub fn day(language: Language, text: &str) -> String {
    let Some(date) = text
        .get(..10)
        .and_then(|day| day.parse::<jiff::civil::Date>().ok())
    else {
        return text.to_owned();
    };
    let month = usize::from(date.month().unsigned_abs()).saturating_sub(1);
    let (day, year) = (date.day(), date.year());
    match language {
        Language::Fr => {
            let month = MONTHS_FR.get(month).unwrap_or(&"");
            let first = if day == 1 { "er" } else { "" };
            format!("{day}{first}{FIRM}{month} {year}")
        }
        Language::En => {
            let month = MONTHS_EN.get(month).unwrap_or(&"");
            format!("{day}{FIRM}{month} {year}")
        }
    }
}

/// A whole number with its thousands apart.
pub fn number(language: Language, value: u64) -> String {
    let digits = value.to_string();
    // ISO 80000-1 leaves four digits together.
    if digits.len() < 5 {
        return digits;
    }
    let mark = match language {
        Language::Fr => THIN,
        Language::En => ',',
    };
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(c);
    }
    out
}

/// A decimal number to six figures with the language's mark.
pub fn decimal(language: Language, value: f64) -> String {
    let magnitude = value.abs();
    let text = if magnitude != 0.0 && !(1e-4..1e15).contains(&magnitude) {
        format!("{value:.3e}")
    } else {
        let places = (1..=10)
            .find(|&places| magnitude * 10_f64.powi(places) >= 100_000.0)
            .unwrap_or(10);
        let text = format!("{value:.*}", places.unsigned_abs() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let text = text.replace('-', "\u{2212}");
    match language {
        Language::Fr => text.replace('.', ","),
        Language::En => text,
    }
}

/// A number of bytes to three figures, in powers of 1000.
#[allow(clippy::cast_precision_loss)] // Three figures of it are shown.
pub fn size(language: Language, bytes: u64) -> String {
    let (units, mark) = match language {
        Language::Fr => (["o", "ko", "Mo", "Go", "To", "Po"], ','),
        Language::En => (["B", "kB", "MB", "GB", "TB", "PB"], '.'),
    };
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let figures = if unit == 0 || value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    let figures = match figures.split_once('.') {
        Some((whole, part)) => match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}{mark}{part}"),
        },
        None => figures,
    };
    format!("{figures}{FIRM}{}", units.get(unit).unwrap_or(&""))
}

/// A whole number of seconds in the unit that fits.
fn whole(language: Language, seconds: u64) -> String {
    let fr = language == Language::Fr;
    let (count, unit) = match seconds {
        s if s >= 86_400 && s.is_multiple_of(86_400) => {
            (s / 86_400, if fr { "jour" } else { "day" })
        }
        s if s >= 3600 && s.is_multiple_of(3600) => (s / 3600, if fr { "heure" } else { "hour" }),
        s if s >= 60 && s.is_multiple_of(60) => (s / 60, "minute"),
        s => (s, if fr { "seconde" } else { "second" }),
    };
    let mark = if is_plural(language, count) { "s" } else { "" };
    format!("{}{FIRM}{unit}{mark}", number(language, count))
}

/// How long something lasts, in the unit that fits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Whole and small where it is cast.
pub fn duration(language: Language, seconds: f64) -> String {
    if seconds.fract() == 0.0 && (0.0..1e12).contains(&seconds) {
        whole(language, seconds as u64)
    } else {
        format!("{}{FIRM}s", decimal(language, seconds))
    }
}

/// True where a noun after this number is in the plural: from two on in French, everything but one in English.
pub fn is_plural(language: Language, count: u64) -> bool {
    match language {
        Language::Fr => count >= 2,
        Language::En => count != 1,
    }
}

/// What a role is called.
pub fn role(language: Language, role: Role) -> &'static str {
    let (fr, en) = match role {
        Role::PrincipalInvestigator => ("responsable scientifique", "principal investigator"),
        Role::ProjectLeader => ("direction du projet", "project leader"),
        Role::DataManager => ("gestionnaire des données", "data manager"),
        Role::DataCollector => ("collecte des données", "data collection"),
        Role::DataCurator => ("curation des données", "data curation"),
        Role::Researcher => ("recherche", "research"),
        Role::Technician => ("appui technique", "technical support"),
        Role::Contact => ("contact", "contact"),
    };
    choose(language, fr, en)
}

/// What a status is called.
pub fn status(language: Language, status: Status) -> &'static str {
    let (fr, en) = match status {
        Status::Draft => ("en préparation", "in preparation"),
        Status::Active => ("en cours", "running"),
        Status::Closing => ("en cours de clôture", "being closed"),
        Status::Closed => (
            "close : les données ne changent plus",
            "closed: the data no longer changes",
        ),
        Status::Archived => ("archivée", "archived"),
        Status::Removed => ("retirée du NAS", "removed from the NAS"),
    };
    choose(language, fr, en)
}

/// What an access is called.
pub fn access(language: Language, access: Access) -> &'static str {
    let (fr, en) = match access {
        Access::Read => ("lecture", "read"),
        Access::Write => ("lecture et écriture", "read and write"),
        Access::Manage => ("lecture, écriture et gestion", "read, write and manage"),
    };
    choose(language, fr, en)
}

/// What a kind of machine is called.
pub fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Linux => "Linux",
        SourceKind::Macos => "macOS",
        SourceKind::Windows => "Windows",
    }
}

/// What a language is called.
pub fn language(shown_in: Language, language: Language) -> &'static str {
    let (fr, en) = match language {
        Language::Fr => ("français", "French"),
        Language::En => ("anglais", "English"),
    };
    choose(shown_in, fr, en)
}

/// What the files of an extension are, for people; `None` where nothing is known.
pub fn extension(language: Language, extension: &str) -> Option<&'static str> {
    let (fr, en) = match extension {
        "csv" | "tsv" => ("tableau en texte", "table as text"),
        "txt" => ("texte ou export d'enregistreur", "text or logger export"),
        "dat" | "log" => ("texte ou données d'instrument", "text or instrument data"),
        "md" => ("texte mis en forme (Markdown)", "formatted text (Markdown)"),
        "nc" | "nc4" | "netcdf" | "cdf" => ("NetCDF", "NetCDF"),
        "h5" | "hdf5" | "hdf" => ("HDF5", "HDF5"),
        "jpg" | "jpeg" | "png" | "tif" | "tiff" | "gif" | "webp" | "heic" => ("image", "image"),
        "raw" | "cr2" | "nef" | "dng" => ("image brute d'appareil", "raw camera image"),
        "mp4" | "mov" | "avi" | "mkv" => ("vidéo", "video"),
        "wav" | "mp3" | "flac" => ("enregistrement sonore", "sound recording"),
        "xls" | "xlsx" | "ods" => ("classeur de tableur", "spreadsheet"),
        "doc" | "docx" | "odt" | "rtf" => {
            ("document de traitement de texte", "word processor document")
        }
        "pdf" => ("document PDF", "PDF document"),
        "r" | "rmd" | "qmd" => ("programme R", "R program"),
        "py" | "ipynb" => ("programme Python", "Python program"),
        "m" | "jl" | "sh" | "c" | "cpp" => ("programme", "program"),
        "rds" | "rdata" | "rda" => ("objet R", "R object"),
        "json" | "xml" | "yaml" | "yml" => {
            ("données structurées en texte", "structured data as text")
        }
        "hobo" | "dtf" => ("export d'enregistreur HOBO", "HOBO logger export"),
        "zip" | "gz" | "tar" | "7z" | "zst" | "xz" | "bz2" => {
            ("archive compressée", "compressed archive")
        }
        "shp" | "shx" | "dbf" | "gpkg" | "geojson" | "kml" | "gpx" => {
            ("données géographiques", "geographic data")
        }
        "fasta" | "fastq" | "fa" | "fq" => ("séquences", "sequences"),
        "db" | "sqlite" => ("base de données SQLite", "SQLite database"),
        _ => return None,
    };
    Some(choose(language, fr, en))
}

/// What kind of values a column or a variable holds; the type of a dataset's variable keeps its own name.
pub fn kind_of_values(language: Language, kind: &str) -> Option<&'static str> {
    let (fr, en) = match kind {
        "number" => ("nombre décimal", "decimal number"),
        "integer" => ("nombre entier", "whole number"),
        "text" => ("texte", "text"),
        "time" => ("date ou heure", "date or time"),
        "boolean" => ("oui ou non", "yes or no"),
        "empty" => ("toujours vide", "always empty"),
        _ => return None,
    };
    Some(choose(language, fr, en))
}

/// What separates columns.
pub fn delimiter(language: Language, delimiter: &str) -> Option<&'static str> {
    let (fr, en) = match delimiter {
        "," => ("virgule", "comma"),
        ";" => ("point-virgule", "semicolon"),
        "\t" => ("tabulation", "tab"),
        "|" => ("barre verticale", "vertical bar"),
        " " => ("espace", "space"),
        _ => return None,
    };
    Some(choose(language, fr, en))
}

/// What separates a number from its fraction.
pub fn point(language: Language, point: &str) -> Option<&'static str> {
    let (fr, en) = match point {
        "." => ("point", "point"),
        "," => ("virgule", "comma"),
        _ => return None,
    };
    Some(choose(language, fr, en))
}

/// What the probe calls a format, for people.
pub fn format(language: Language, format: &str) -> Option<&'static str> {
    let (fr, en) = match format {
        "csv" => ("tableau en texte (CSV)", "table as text (CSV)"),
        "hobo" => ("export d'enregistreur HOBO", "export of a HOBO logger"),
        "text" => ("texte", "text"),
        "binary" => (
            "fichier binaire d'un format inconnu",
            "binary file of an unknown format",
        ),
        "empty" => ("fichier vide", "empty file"),
        "ole" => (
            "document Microsoft Office ancien",
            "old Microsoft Office document",
        ),
        "gzip" | "bzip2" | "xz" | "zstd" => ("fichier compressé", "compressed file"),
        "matlab" => ("données MATLAB", "MATLAB data"),
        "npy" => ("tableau NumPy", "NumPy array"),
        "parquet" => ("tableau Parquet", "Parquet table"),
        "grib" => ("GRIB", "GRIB"),
        "elf" | "exe" => ("programme", "program"),
        "ods" | "xlsx" => ("classeur de tableur", "spreadsheet"),
        other => return extension(language, other),
    };
    Some(choose(language, fr, en))
}

fn choose(language: Language, fr: &'static str, en: &'static str) -> &'static str {
    match language {
        Language::Fr => fr,
        Language::En => en,
    }
}

/// French prose with the spaces that typography wants: before `;`, `!`, `?`, `:` and `»`, after `«`. Only ordinary
/// spaces that are there are replaced; nothing is added.
pub fn firm(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 16);
    for (i, &c) in chars.iter().enumerate() {
        let after = chars.get(i + 1).copied();
        let before = i.checked_sub(1).and_then(|i| chars.get(i)).copied();
        out.push(match (c, before, after) {
            (' ', _, Some(';' | '!' | '?')) => THIN,
            (' ', _, Some(':' | '»')) | (' ', Some('«'), _) => FIRM,
            (' ', Some(b), Some('%' | '°' | 'µ')) if b.is_ascii_digit() => FIRM,
            _ => c,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Fr};

    #[test]
    fn a_day_is_written_in_words() {
        assert_eq!(day(Fr, "2026-03-01"), "1er\u{a0}mars 2026");
        assert_eq!(day(Fr, "2026-08-15T10:00:00Z"), "15\u{a0}août 2026");
        assert_eq!(day(En, "2026-03-01"), "1\u{a0}March 2026");
        assert_eq!(day(En, "soon"), "soon");
    }

    #[test]
    fn numbers_follow_the_language() {
        assert_eq!(number(Fr, 1234), "1234");
        assert_eq!(number(Fr, 1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(En, 12_345), "12,345");
        assert_eq!(size(Fr, 0), "0\u{a0}o");
        assert_eq!(size(Fr, 1_536_000_000), "1,54\u{a0}Go");
        assert_eq!(size(En, 999_999), "1\u{a0}MB");
        assert_eq!(size(En, 12_300), "12.3\u{a0}kB");
        for (value, expected) in [
            (-12.5, "\u{2212}12,5"),
            (0.0, "0"),
            (1.0 / 3.0, "0,333333"),
            (1013.25, "1013,25"),
            (123_456.789, "123456,8"),
            (0.000_12, "0,00012"),
            (1.5e-7, "1,500e\u{2212}7"),
        ] {
            assert_eq!(decimal(Fr, value), expected, "{value}");
        }
        assert_eq!(duration(Fr, 60.0), "1\u{a0}minute");
        assert_eq!(duration(Fr, 1800.0), "30\u{a0}minutes");
        assert_eq!(duration(En, 172_800.0), "2\u{a0}days");
        assert_eq!(duration(Fr, 0.5), "0,5\u{a0}s");
        assert!(!is_plural(Fr, 0) && is_plural(En, 0) && is_plural(Fr, 2) && !is_plural(En, 1));
    }

    #[test]
    fn french_marks_do_not_begin_a_line() {
        assert_eq!(
            firm("Où ? « Ici » : oui ; non !"),
            "Où\u{202f}? «\u{a0}Ici\u{a0}»\u{a0}: oui\u{202f}; non\u{202f}!"
        );
        assert_eq!(
            firm("http://x C:\\ 12 % 3 °C"),
            "http://x C:\\ 12\u{a0}% 3\u{a0}°C"
        );
    }
}
