//! The name of a column, and the unit that stands beside it.

/// The longest name and the longest unit that are kept, in characters.
const NAME: usize = 120;
const UNIT: usize = 40;

/// Units that are plain letters; others are known by a sign (`°C`, `%`, `m/s`, `µmol`).
const UNITS: &[&str] = &[
    "m", "s", "g", "h", "d", "j", "K", "C", "F", "V", "A", "W", "N", "J", "L", "l", "Pa", "Hz",
    "mm", "cm", "dm", "km", "ms", "min", "sec", "mV", "mA", "kW", "kg", "mg", "ug", "ng", "ml",
    "mL", "ha", "hPa", "kPa", "MPa", "bar", "mbar", "dbar", "lux", "lx", "lum", "deg", "degC",
    "degrees", "rad", "ppm", "ppb", "ppt", "psu", "PSU", "NTU", "FNU", "FTU", "RFU", "mol", "mmol",
    "umol", "nmol", "mM", "uM", "nM", "Wh", "kWh", "kJ", "MJ", "mho", "dB", "kHz", "MHz", "TS",
    "RN", "Volts", "volts", "unitless", "jours", "heures", "days", "hours", "minutes", "seconds",
    "years", "mois", "percent", "pct", "Deg", "Deg_C", "meters", "counts", "tips", "mS", "uS",
    "dS", "Vol",
];

/// True for a text that is a unit and hardly anything else.
pub fn is_unit(text: &str) -> bool {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > 24 || text.contains([':', '(', ')', '=']) {
        return false;
    }
    // `MM/DD/YYYY` tells how a date is written.
    let is_pattern = |c: char| "YyMmDdJjAaHhSs/-. ".contains(c);
    if ["YY", "yy", "AA", "aa", "DD", "dd", "JJ", "jj", "HH"]
        .iter()
        .any(|two| text.contains(two))
        && text.chars().all(is_pattern)
    {
        return false;
    }
    // `Lux`, `Deg C`: capitals matter in short units only.
    let known = |word: &&str| {
        **word == *text
            || (length > 2 && word.len() == text.len() && word.eq_ignore_ascii_case(text))
    };
    if UNITS.iter().any(known) {
        return true;
    }
    let signs = text.contains(['°', '%', '/', '²', '³', 'µ', 'μ', '^', '‰', 'Ω', '·']);
    let powers = text.split([' ', '.', '*']).all(|word| {
        let base = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
        UNITS.contains(&base)
    });
    (signs && text.chars().filter(|c| *c == ' ').count() <= 3) || powers
}

/// Takes the unit out of a name: `Temp [°C]`, `Temp (°C)`, `Temp, °C`.
pub fn split(text: &str) -> (String, Option<String>) {
    let text = text.trim().trim_matches('"').trim();
    for (open, close) in [('[', ']'), ('(', ')')] {
        if let Some(inside) = text.strip_suffix(close)
            && let Some((name, unit)) = inside.rsplit_once(open)
            && !name.trim().is_empty()
            && (open == '[' && unit.chars().count() <= UNIT || is_unit(unit))
        {
            let unit = unit.trim();
            let unit = (!unit.is_empty()).then(|| cut(unit, UNIT));
            return (cut(name.trim(), NAME), unit);
        }
    }
    if let Some((name, unit)) = text.rsplit_once(", ")
        && is_unit(unit)
    {
        return (cut(name.trim(), NAME), Some(unit.trim().to_owned()));
    }
    (cut(text, NAME), None)
}

/// A unit of a line below the names.
pub fn unit(text: &str) -> Option<String> {
    let text = text.trim();
    let inside = text
        .strip_prefix(['[', '('])
        .and_then(|t| t.strip_suffix([']', ')']))
        .unwrap_or(text);
    let inside = inside.trim();
    // The names of the rows of units.
    let nothing = [
        "", "-", "Units", "units", "Unit", "unit", "Unité", "unité", "Unités", "unités",
    ];
    (!nothing.contains(&inside)).then(|| cut(inside, UNIT))
}

/// At most so many characters, the last one `…` where there were more.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most || text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most - 1)
        .chain(std::iter::once('…'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_taken_out_of_a_name_and_a_remark_is_not() {
        for (text, name, unit) in [
            ("Temp [°C]", "Temp", Some("°C")),
            ("Temp (°C)", "Temp", Some("°C")),
            ("Temp, °C", "Temp", Some("°C")),
            ("CO2 (ppm)", "CO2", Some("ppm")),
            ("PAR (µmol/m²/s)", "PAR", Some("µmol/m²/s")),
            ("Flux [g m-2 s-1]", "Flux", Some("g m-2 s-1")),
            ("Temperature (mean)", "Temperature (mean)", None),
            ("Date (UTC)", "Date (UTC)", None),
            ("Date (MM/DD/YYYY)", "Date (MM/DD/YYYY)", None),
            ("pH", "pH", None),
            ("Nom, prénom", "Nom, prénom", None),
            ("  \"quoted\" ", "quoted", None),
            ("(°C)", "(°C)", None),
            ("DNI (W/m^2)", "DNI", Some("W/m^2")),
            ("Sal []", "Sal", None),
        ] {
            let want = (name.to_owned(), unit.map(str::to_owned));
            assert_eq!(split(text), want, "{text}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let (name, _) = split(&"é".repeat(500));
        assert_eq!(name.chars().count(), NAME);
        assert!(name.ends_with('…'));
    }
}
