//! `bagit.txt`, `bag-info.txt` and `fetch.txt` (RFC 8493, sections 2.1.1, 2.2.2 and 2.2.3).

use std::fmt::Write as _;

use super::finding::Findings;
use super::path;

/// The declaration that we write.
pub const DECLARATION: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// Where `bag-info.txt` breaks its lines.
const WIDTH: usize = 79;

/// Reads `bagit.txt`; gives the version, `(1, 0)`.
pub fn declaration(bytes: &[u8], findings: &mut Findings) -> Option<(u32, u32)> {
    const FILE: &str = "bagit.txt";
    if bytes.starts_with(b"\xef\xbb\xbf") {
        findings.error("bagit.bom", FILE, "it begins with a byte order mark");
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let mut value = |label: &str| -> Option<String> {
        let (found, value) = lines.next()?.split_once(':')?;
        (found == label).then(|| value.trim().to_owned())
    };
    let version = value("BagIt-Version");
    let encoding = value("Tag-File-Character-Encoding");
    let more = lines.any(|line| !line.trim().is_empty());
    let (Some(version), Some(encoding)) = (version, encoding) else {
        findings.error(
            "bagit.syntax",
            FILE,
            "it is not the two lines BagIt-Version and Tag-File-Character-Encoding",
        );
        return None;
    };
    if more {
        findings.error("bagit.syntax", FILE, "it has more than two lines");
    }
    if !encoding.eq_ignore_ascii_case("utf-8") {
        findings.error(
            "bagit.encoding",
            FILE,
            format!("tag files in `{encoding}` are not read here, only UTF-8"),
        );
    }
    let parsed = version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let known = parsed.filter(|parsed| matches!(parsed, (0, 93..=97) | (1, 0)));
    if known.is_none() {
        let why = format!("version `{version}` is unknown here (0.93 to 0.97 and 1.0)");
        findings.error("bagit.version", FILE, why);
    }
    known
}

/// Reads `bag-info.txt`: labels and values in their order; a line that begins with space or tab goes on with the value.
pub fn info(text: &str, findings: &mut Findings) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, value)) = all.last_mut()
        {
            value.push(' ');
            value.push_str(line.trim());
            continue;
        }
        match line.split_once(':') {
            Some((label, value)) if !label.trim().is_empty() => {
                all.push((label.trim().to_owned(), value.trim().to_owned()));
            }
            _ => findings.error(
                "bag-info.syntax",
                "bag-info.txt",
                format!("line {}: it is not `Label: value`", number + 1),
            ),
        }
    }
    all
}

/// Writes `bag-info.txt`; control characters become spaces, long values are folded.
pub fn write_info(rows: &[(&str, String)]) -> String {
    let mut out = String::new();
    for (label, value) in rows {
        let mut line = format!("{label}:");
        let mut is_first = true;
        for word in value.split(|c: char| c.is_whitespace() || c.is_control()) {
            if word.is_empty() {
                continue;
            }
            if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
                let _ = writeln!(out, "{line}");
                " ".clone_into(&mut line);
            }
            line.push(' ');
            line.push_str(word);
            is_first = false;
        }
        if !is_first {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// Bytes and files of a `Payload-Oxum`, `279164409832.1198`.
pub fn oxum(value: &str) -> Option<(u64, u64)> {
    let (bytes, files) = value.split_once('.')?;
    Some((bytes.parse().ok()?, files.parse().ok()?))
}

/// Reads `fetch.txt`: the paths that are to be had elsewhere.
pub fn fetch(text: &str, findings: &mut Findings) -> Vec<String> {
    const FILE: &str = "fetch.txt";
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let told = |what: &str| format!("line {}: {what}", number + 1);
        let mut rest = line.trim_start();
        let mut word = || {
            let (word, after) = rest.split_once([' ', '\t'])?;
            rest = after.trim_start_matches([' ', '\t']);
            Some(word)
        };
        let (url, length) = (word(), word());
        let path = path::decode(rest);
        let is_length = |text: &str| text == "-" || text.parse::<u64>().is_ok();
        if url.is_none_or(|url| !url.contains(':')) || length.is_none_or(|text| !is_length(text)) {
            findings.error("fetch.syntax", FILE, told("it is not `url length path`"));
        } else if let Some(why) = path::escapes(&path) {
            findings.error(
                "path.escapes",
                FILE,
                told(&format!("the path leads out of the bag: {why}")),
            );
        } else if !path.starts_with("data/") {
            findings.error("fetch.syntax", FILE, told("it does not lie in data/"));
        } else {
            all.push(path);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(bytes: &[u8]) -> Vec<String> {
        let mut findings = Findings::default();
        declaration(bytes, &mut findings);
        findings.found.into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn a_declaration_is_two_lines_of_a_known_version_in_utf_8() {
        assert_eq!(codes(DECLARATION.as_bytes()), [""; 0]);
        let old = b"BagIt-Version: 0.97\r\nTag-File-Character-Encoding: utf-8\r\n";
        assert_eq!(codes(old), [""; 0]);
        assert_eq!(
            codes(&[b"\xef\xbb\xbf", DECLARATION.as_bytes()].concat()),
            ["bagit.bom"]
        );
        assert_eq!(codes(b""), ["bagit.syntax"]);
        assert_eq!(
            codes(b"Tag-File-Character-Encoding: UTF-8\nBagIt-Version: 1.0\n"),
            ["bagit.syntax"]
        );
        assert_eq!(
            codes(b"BagIt-Version: 2.0\nTag-File-Character-Encoding: UTF-8\n"),
            ["bagit.version"]
        );
        assert_eq!(
            codes(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-16\n"),
            ["bagit.encoding"]
        );
    }

    #[test]
    fn what_was_written_into_bag_info_is_read() {
        let rows = [
            ("External-Description", "word ".repeat(60)),
            ("Contact-Name", "Ada\nLovelace\u{7}".to_owned()),
            ("Empty", " ".to_owned()),
        ];
        let text = write_info(&rows);
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let mut findings = Findings::default();
        let read = info(&text, &mut findings);
        assert_eq!(read[0].1, "word ".repeat(60).trim());
        assert_eq!(read[1], ("Contact-Name".into(), "Ada Lovelace".into()));
        assert_eq!((read.len(), findings.found.len()), (2, 0));
        info("no colon\n", &mut findings);
        assert_eq!(findings.found[0].code, "bag-info.syntax");
    }

    #[test]
    fn what_is_to_be_fetched_lies_in_the_payload() {
        let mut findings = Findings::default();
        let text = "https://example.org/a 12 data/a b\nhttps://example.org/c - data/c%25\n";
        assert_eq!(fetch(text, &mut findings), ["data/a b", "data/c%"]);
        assert!(findings.found.is_empty());
        fetch(
            "https://x 1 ../a\nx\nhttps://x - a\nhttps://x z data/a\n",
            &mut findings,
        );
        let codes: Vec<&str> = findings.found.iter().map(|f| f.code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "path.escapes",
                "fetch.syntax",
                "fetch.syntax",
                "fetch.syntax"
            ]
        );
    }

    #[test]
    fn an_oxum_is_two_numbers() {
        assert_eq!(oxum("12.3"), Some((12, 3)));
        for wrong in ["12", "12.", "-1.2", "a.b"] {
            assert_eq!(oxum(wrong), None, "{wrong}");
        }
    }
}
