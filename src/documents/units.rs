//! Whether two ways to write a unit mean the same: `°C` and `degC`, `µmol/m²/s` and `umol m-2 s-1`.
//!
//! A comparison of spellings for people's eyes, not UDUNITS: nothing is converted, and what is not understood is
//! compared letter by letter.

use std::collections::BTreeMap;

/// True where both are the same unit, as far as spelling can tell.
pub fn same(a: &str, b: &str) -> bool {
    a.trim() == b.trim() || parts(a) == parts(b)
}

/// Symbols and their exponents.
fn parts(unit: &str) -> BTreeMap<String, i32> {
    let mut out = BTreeMap::new();
    let whole = name(unit.trim());
    let text = flat(if whole == unit.trim() { unit } else { &whole });
    let mut sign = 1;
    for (i, side) in text.split('/').enumerate() {
        if i > 0 {
            sign = -1;
        }
        for word in side.split(|c: char| c.is_whitespace() || matches!(c, '.' | '·' | '*' | '⋅'))
        {
            if word.is_empty() || word == "1" {
                continue;
            }
            let (symbol, power) = split(word);
            *out.entry(name(symbol)).or_insert(0) += sign * power;
        }
    }
    // Micromoles a mole are parts of a million.
    if out == BTreeMap::from([("umol".to_owned(), 1), ("mol".to_owned(), -1)]) {
        return BTreeMap::from([("ppm".to_owned(), 1)]);
    }
    out.retain(|_, power| *power != 0);
    out
}

/// Superscripts as digits, one letter for micro, no brackets.
fn flat(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        out.push(match c {
            '⁰' => '0',
            '¹' => '1',
            '²' | '₂' => '2',
            '³' | '₃' => '3',
            '⁴' => '4',
            '⁵' => '5',
            '⁶' => '6',
            '⁷' => '7',
            '⁸' => '8',
            '⁹' => '9',
            '⁻' | '−' | '–' => '-',
            'µ' | 'μ' => 'u',
            '^' | '(' | ')' | '[' | ']' => continue,
            '\u{a0}' | '\u{202f}' | '_' => ' ',
            other => other,
        });
    }
    out.replace("**", "")
}

/// `m-2` is `m` to the power of −2.
fn split(word: &str) -> (&str, i32) {
    let at = word
        .find(|c: char| c == '-' || c == '+' || c.is_ascii_digit())
        .unwrap_or(word.len());
    let (symbol, power) = word.split_at(at);
    match power.parse() {
        Ok(power) if !symbol.is_empty() => (symbol, power),
        _ => (word, 1),
    }
}

/// One spelling for units with several names.
fn name(symbol: &str) -> String {
    match symbol.to_lowercase().as_str() {
        "°c" | "degc" | "deg c" | "deg_c" | "celsius" | "degree_celsius" | "degrees_celsius"
        | "º c" | "ºc" => "degC".to_owned(),
        "percent" | "pct" | "pourcent" | "% rh" | "%rh" | "%hr" | "% hr" => "%".to_owned(),
        "ppmv" => "ppm".to_owned(),
        "sec" | "second" | "seconds" | "seconde" => "s".to_owned(),
        "litre" | "liter" | "l" => "L".to_owned(),
        "meter" | "metre" | "mètre" => "m".to_owned(),
        "degree" | "degrees" | "deg" | "°" | "degré" => "degree".to_owned(),
        _ => symbol.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_unit_are_the_same() {
        for (a, b) in [
            ("°C", "degC"),
            ("degC", "Celsius"),
            ("µmol m⁻² s⁻¹", "umol m-2 s-1"),
            ("μmol/m²/s", "umol m-2 s-1"),
            ("µmol.m-2.s-1", "umol m-2 s-1"),
            ("m/s", "m s-1"),
            ("m s**-1", "m s^-1"),
            ("umol mol-1", "ppm"),
            ("µmol/mol", "ppm"),
            ("%", "percent"),
            ("mg/L", "mg L-1"),
            ("mg/l", "mg L-1"),
            ("1", ""),
            ("kg kg-1", "1"),
        ] {
            assert!(same(a, b), "{a} {b}: {:?} {:?}", parts(a), parts(b));
        }
    }

    #[test]
    fn different_units_stay_different() {
        for (a, b) in [
            ("degC", "K"),
            ("%", "1"),
            ("mg/L", "mmol/L"),
            ("umol m-2 s-1", "W m-2"),
            ("m", "mm"),
            ("hPa", "Pa"),
            ("°", "°C"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
