//! Manifests: a checksum and a path on each line (RFC 8493, sections 2.1.3 and 2.2.1).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::algorithm::Algorithm;
use super::finding::Findings;
use super::path;
use crate::store::hexadecimal;

/// A manifest that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its file.
    pub file: String,
    /// With what the checksums were made.
    pub algorithm: Algorithm,
    /// Checksum by path in the bag.
    pub sums: BTreeMap<Box<str>, Box<[u8]>>,
}

/// What kind of manifest a file of the bag's top is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `manifest-….txt`.
    Payload,
    /// `tagmanifest-….txt`.
    Tags,
}

/// The kind of a file and the name of its algorithm; `None` where it is no manifest.
pub fn kind(file: &str) -> Option<(Kind, &str)> {
    let stem = file.strip_suffix(".txt")?;
    if let Some(name) = stem.strip_prefix("manifest-") {
        return Some((Kind::Payload, name));
    }
    Some((Kind::Tags, stem.strip_prefix("tagmanifest-")?))
}

/// Reads a manifest; what is wrong with it is found. `None` where its algorithm is unknown.
pub fn read(file: &str, text: &str, findings: &mut Findings) -> Option<Manifest> {
    let (kind, name) = kind(file)?;
    let Some(algorithm) = Algorithm::named(name) else {
        findings.error(
            "manifest.algorithm",
            file,
            format!("checksums of the kind `{name}` are unknown here"),
        );
        return None;
    };
    if algorithm.is_broken() {
        findings.warn(
            "manifest.weak",
            file,
            format!("{name} shows accidents, not forgery: a newer bag has sha256 or sha512"),
        );
    }
    let mut sums: BTreeMap<Box<str>, Box<[u8]>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let told = |what: &str| format!("line {}: {what}", number + 1);
        let Some((sum, path)) = split(line) else {
            findings.error("manifest.syntax", file, told("it is not `checksum path`"));
            continue;
        };
        let Some(sum) = bytes(sum).filter(|sum| sum.len() == algorithm.size()) else {
            findings.error(
                "manifest.syntax",
                file,
                told(&format!("the checksum is not one of {name}")),
            );
            continue;
        };
        if let Some(why) = path::escapes(&path) {
            findings.error(
                "path.escapes",
                file,
                told(&format!("the path leads out of the bag: {why}")),
            );
            continue;
        }
        let is_payload = path.starts_with("data/");
        if is_payload != (kind == Kind::Payload) {
            let what = if is_payload {
                "a tag manifest lists a payload file"
            } else {
                "a payload manifest lists what does not lie in data/"
            };
            findings.error("manifest.misplaced", file, told(what));
            continue;
        }
        match sums.get(path.as_str()) {
            None => {
                sums.insert(path.into(), sum.into());
            }
            Some(before) if **before == *sum => {
                findings.warn("manifest.twice", file, told("the path is listed twice"));
            }
            Some(_) => findings.error(
                "manifest.contradiction",
                file,
                told("the path is listed with another checksum too"),
            ),
        }
    }
    Some(Manifest {
        file: file.to_owned(),
        algorithm,
        sums,
    })
}

/// Checksum and path of a line. A `*` of md5sum(1) before the path, and `./`, are passed over.
fn split(line: &str) -> Option<(&str, String)> {
    let line = line.trim_start();
    let (sum, rest) = line.split_once([' ', '\t'])?;
    let mut path = rest.trim_start_matches([' ', '\t']);
    path = path.strip_prefix('*').unwrap_or(path);
    while let Some(short) = path.strip_prefix("./") {
        path = short;
    }
    (!path.is_empty()).then(|| (sum, path::decode(path)))
}

/// Bytes of a text in hexadecimal, whatever its case.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// A line of a manifest.
pub fn line(out: &mut String, sum: &[u8], path: &str) {
    let _ = writeln!(out, "{}  {}", hexadecimal(sum), path::encode(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn codes(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        read("manifest-sha256.txt", text, &mut findings).unwrap();
        findings.found.into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn lines_of_all_programs_are_read() {
        let mut findings = Findings::default();
        let text = format!(
            "{SUM}  data/a b \n{}\t*data/c\n{SUM} ./data/x%0Ay%25\r\n\n",
            SUM.to_uppercase()
        );
        let manifest = read("manifest-sha256.txt", &text, &mut findings).unwrap();
        let paths: Vec<&str> = manifest.sums.keys().map(|path| &**path).collect();
        assert_eq!(paths, ["data/a b ", "data/c", "data/x\ny%"]);
        assert!(findings.found.is_empty(), "{findings:?}");
        let mut out = String::new();
        line(&mut out, &manifest.sums["data/x\ny%"], "data/x\ny%");
        assert_eq!(out, format!("{SUM}  data/x%0Ay%25\n"));
    }

    #[test]
    fn every_mistake_has_its_code() {
        for (text, code) in [
            (format!("{SUM}\n"), "manifest.syntax"),
            ("abc data/a\n".to_owned(), "manifest.syntax"),
            (format!("{}zz data/a\n", &SUM[2..]), "manifest.syntax"),
            (format!("{SUM} data/../../etc/passwd\n"), "path.escapes"),
            (format!("{SUM} /etc/passwd\n"), "path.escapes"),
            (format!("{SUM} ~/x\n"), "path.escapes"),
            (format!("{SUM} bagit.txt\n"), "manifest.misplaced"),
            (format!("{SUM} data/a\n{SUM} data/a\n"), "manifest.twice"),
            (
                format!("{SUM} data/a\n{} data/a\n", "0".repeat(64)),
                "manifest.contradiction",
            ),
        ] {
            assert_eq!(codes(&text), [code], "{text}");
        }
        let mut findings = Findings::default();
        assert!(read("manifest-crc32.txt", "", &mut findings).is_none());
        assert_eq!(findings.found[0].code, "manifest.algorithm");
        assert_eq!(kind("tagmanifest-sha512.txt"), Some((Kind::Tags, "sha512")));
        assert_eq!(kind("bagit.txt"), None);
    }
}
