//! The verdict on a bag, from what was seen of it: pure, so that a directory and a container are judged by the same words
//! (RFC 8493, section 3).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use unicode_normalization::UnicodeNormalization as _;

use super::algorithm::{Algorithm, Digests};
use super::finding::{Findings, Severity};
use super::manifest::{self, Kind, Manifest};
use super::{path, tags};

/// The most that is held in memory of tag files.
const TAGS_MAX: u64 = 1 << 30;

/// What lies in a bag, by its path below the bag.
#[derive(Debug, Default)]
pub struct Seen {
    /// Files with their checksums, as far as they were made.
    pub files: BTreeMap<Box<str>, Digests>,
    /// Directories.
    pub folders: BTreeSet<String>,
    /// The content of `bagit.txt`, `bag-info.txt`, `fetch.txt` and manifests.
    pub tags: BTreeMap<String, Vec<u8>>,
}

/// What a bag says of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Said {
    /// `1.0`.
    pub version: String,
    /// Of its payload manifests.
    pub algorithms: Vec<Algorithm>,
    /// Payload files.
    pub files: u64,
    /// Bytes of the payload.
    pub bytes: u64,
    /// Labels and values of `bag-info.txt`.
    pub info: Vec<(String, String)>,
    /// SHA-256 of `manifest-sha256.txt`: what the package is, in one number.
    pub manifest: Option<String>,
}

/// True for a file of the bag's top whose content counts.
pub fn is_tag(path: &str) -> bool {
    matches!(path, "bagit.txt" | "bag-info.txt" | "fetch.txt") || manifest::kind(path).is_some()
}

/// Why the content of a tag file is not held in memory, in a bag of which all of them (so far) have `all` bytes.
pub fn too_large(path: &str, size: u64, all: u64) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name {
        "bagit.txt" if size > 64 << 10 => Some("it is larger than 64 KiB"),
        "bag-info.txt" if size > 1 << 20 => Some("it is larger than 1 MiB"),
        "fetch.txt" if size > 64 << 20 => Some("it is larger than 64 MiB"),
        _ if all > TAGS_MAX => Some("tag files are larger than 1 GiB"),
        _ => None,
    }
}

/// The manifests of a bag.
pub fn manifests(seen: &Seen, findings: &mut Findings) -> (Vec<Manifest>, Vec<Manifest>) {
    let (mut payload, mut tag) = (Vec::new(), Vec::new());
    for (file, bytes) in &seen.tags {
        let Some((kind, _)) = manifest::kind(file) else {
            continue;
        };
        let Some(text) = text(file, bytes, findings) else {
            continue;
        };
        if let Some(read) = manifest::read(file, text, findings) {
            match kind {
                Kind::Payload => payload.push(read),
                Kind::Tags => tag.push(read),
            }
        }
    }
    (payload, tag)
}

fn text<'b>(file: &str, bytes: &'b [u8], findings: &mut Findings) -> Option<&'b str> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        findings.error("tag.encoding", file, "it is not UTF-8");
        return None;
    };
    Some(text.trim_start_matches('\u{feff}'))
}

/// The verdict. All checksums that the manifests ask for were made.
pub fn judge(seen: &Seen, findings: &mut Findings) -> Said {
    let mut said = Said::default();
    let version = if let Some(bytes) = seen.tags.get("bagit.txt") {
        tags::declaration(bytes, findings)
    } else {
        let why = "it is not there: this is no bag";
        findings.error("bagit.missing", "bagit.txt", why);
        None
    };
    if let Some((major, minor)) = version {
        said.version = format!("{major}.{minor}");
    }
    let has_payload =
        seen.folders.contains("data") || seen.files.keys().any(|path| path.starts_with("data/"));
    if !has_payload {
        findings.error("payload.none", "data", "there is no directory data/");
    }
    let (payload, tag) = manifests(seen, findings);
    if payload.is_empty() {
        findings.error("manifest.missing", "", "there is no payload manifest");
    }
    said.algorithms = payload.iter().map(|manifest| manifest.algorithm).collect();
    said.manifest = seen
        .files
        .get("manifest-sha256.txt")
        .and_then(|digests| digests.hex(Algorithm::Sha256));
    let fetch = fetch(seen, &payload, findings);
    for manifest in &payload {
        compare(seen, manifest, &fetch, findings);
    }
    unlisted(seen, &payload, version, findings);
    if tag.is_empty() {
        let why = "there is no tag manifest: nothing shows whether bag-info.txt and manifests are as they were";
        findings.add(Severity::Note, "tagmanifest.missing", "", why);
    }
    for manifest in &tag {
        if manifest
            .sums
            .keys()
            .any(|path| path.starts_with("tagmanifest-"))
        {
            let why = "a tag manifest lists tag manifests";
            findings.warn("tagmanifest.itself", &manifest.file, why);
        }
        compare(seen, manifest, &BTreeSet::new(), findings);
    }
    for (path, digests) in payload_files(seen) {
        said.files += 1;
        said.bytes += digests.size;
        if let Some(why) = path::peculiar(path) {
            findings.warn("name.peculiar", path, why);
        }
    }
    for (first, second) in path::twins(payload_files(seen).map(|(path, _)| path)) {
        let why = format!("it is {first} where letters have no case or accents are composed");
        findings.warn("name.twin", second, why);
    }
    info(seen, &mut said, findings);
    said
}

fn payload_files(seen: &Seen) -> impl Iterator<Item = (&str, &Digests)> {
    seen.files
        .iter()
        .filter(|(path, _)| path.starts_with("data/"))
        .map(|(path, digests)| (&**path, digests))
}

/// What `fetch.txt` lists; each has to be in every payload manifest.
fn fetch(seen: &Seen, payload: &[Manifest], findings: &mut Findings) -> BTreeSet<String> {
    let Some(bytes) = seen.tags.get("fetch.txt") else {
        return BTreeSet::new();
    };
    let Some(text) = text("fetch.txt", bytes, findings) else {
        return BTreeSet::new();
    };
    let listed: BTreeSet<String> = tags::fetch(text, findings).into_iter().collect();
    for path in &listed {
        if payload
            .iter()
            .any(|manifest| !manifest.sums.contains_key(path.as_str()))
        {
            findings.error(
                "fetch.unlisted",
                path,
                "fetch.txt has it, but not every manifest",
            );
        }
    }
    listed
}

/// The file that a manifest means: of this name, or of the same name with its accents composed in another way.
fn find<'s>(seen: &'s Seen, path: &str) -> Option<(&'s str, &'s Digests)> {
    let is = |form: String| {
        seen.files
            .get_key_value(form.as_str())
            .map(|(path, digests)| (&**path, digests))
    };
    is(path.to_owned()).or_else(|| {
        if path.is_ascii() {
            return None;
        }
        is(path.nfc().collect()).or_else(|| is(path.nfd().collect()))
    })
}

/// Every line of a manifest against what is there.
fn compare(seen: &Seen, manifest: &Manifest, fetch: &BTreeSet<String>, findings: &mut Findings) {
    let (kind, missing, damaged) = if manifest.file.starts_with("tag") {
        ("tag file", "tag.missing", "tag.damaged")
    } else {
        ("file", "payload.missing", "payload.damaged")
    };
    for (path, sum) in &manifest.sums {
        let Some((found, digests)) = find(seen, path) else {
            if fetch.contains(&**path) {
                let why =
                    "it is to be fetched from elsewhere, and was not: the bag is not complete";
                findings.error("fetch.incomplete", &**path, why);
            } else {
                let why = format!("{} lists this {kind}, and it is not there", manifest.file);
                findings.error(missing, &**path, why);
            }
            continue;
        };
        if *found != **path {
            let why = "the manifest writes its accents in another way";
            findings.warn("name.normalisation", &**path, why);
        }
        // None was made where a container could not be read to its end: that was found already.
        let Some(made) = digests.get(manifest.algorithm) else {
            continue;
        };
        if *made != **sum {
            let why = format!(
                "its {} is not the one in {}",
                manifest.algorithm, manifest.file
            );
            findings.error(damaged, &**path, why);
        }
    }
}

/// Payload files that manifests do not list. Since 1.0 every manifest has to list every file, before one of them.
fn unlisted(
    seen: &Seen,
    payload: &[Manifest],
    version: Option<(u32, u32)>,
    findings: &mut Findings,
) {
    if payload.is_empty() {
        return;
    }
    for (path, _) in payload_files(seen) {
        let composed: [String; 2] = if path.is_ascii() {
            [String::new(), String::new()]
        } else {
            [path.nfc().collect(), path.nfd().collect()]
        };
        let lists = |manifest: &&Manifest| {
            manifest.sums.contains_key(path)
                || composed
                    .iter()
                    .any(|form| manifest.sums.contains_key(form.as_str()))
        };
        let count = payload.iter().filter(lists).count();
        if count == 0 {
            findings.error("payload.unlisted", path, "no manifest lists it");
        } else if count < payload.len() && version.is_none_or(|version| version >= (1, 0)) {
            findings.error("manifest.incomplete", path, "not every manifest lists it");
        }
    }
}

fn info(seen: &Seen, said: &mut Said, findings: &mut Findings) {
    const FILE: &str = "bag-info.txt";
    let Some(bytes) = seen.tags.get(FILE) else {
        return;
    };
    let Some(text) = text(FILE, bytes, findings) else {
        return;
    };
    said.info = tags::info(text, findings);
    let oxums = said
        .info
        .iter()
        .filter(|(label, _)| label.eq_ignore_ascii_case("Payload-Oxum"));
    for (count, (_, value)) in oxums.enumerate() {
        if count > 0 {
            findings.warn("oxum.twice", FILE, "Payload-Oxum stands there twice");
        }
        match tags::oxum(value) {
            None => findings.error("oxum.syntax", FILE, "Payload-Oxum is not `bytes.files`"),
            Some(oxum) if oxum != (said.bytes, said.files) => findings.error(
                "oxum.mismatch",
                FILE,
                format!(
                    "Payload-Oxum is {value}, and there are {} bytes in {} files",
                    said.bytes, said.files
                ),
            ),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::algorithm::digests;
    use super::*;

    const ALL: &[Algorithm] = &[Algorithm::Sha256, Algorithm::Sha512];

    fn bag() -> Seen {
        let mut seen = Seen::default();
        put(&mut seen, "data/a", b"abc");
        put(&mut seen, "bagit.txt", tags::DECLARATION.as_bytes());
        put(&mut seen, "bag-info.txt", b"Payload-Oxum: 3.1\n");
        let payload = line(&seen, "data/a");
        put(&mut seen, "manifest-sha256.txt", payload.as_bytes());
        let all = line(&seen, "bagit.txt") + &line(&seen, "manifest-sha256.txt");
        put(&mut seen, "tagmanifest-sha256.txt", all.as_bytes());
        seen
    }

    fn line(seen: &Seen, path: &str) -> String {
        let mut out = String::new();
        let sum = seen.files[path].get(Algorithm::Sha256).unwrap();
        manifest::line(&mut out, sum, path);
        out
    }

    fn put(seen: &mut Seen, path: &str, bytes: &[u8]) {
        seen.files.insert(path.into(), digests(ALL, bytes));
        if is_tag(path) {
            seen.tags.insert(path.into(), bytes.to_vec());
        }
    }

    fn codes(seen: &Seen) -> Vec<String> {
        let mut findings = Findings::default();
        judge(seen, &mut findings);
        findings.found.into_iter().map(|f| f.code).collect()
    }

    #[test]
    fn a_good_bag_is_good_and_says_what_it_is() {
        let mut findings = Findings::default();
        let said = judge(&bag(), &mut findings);
        assert!(findings.found.is_empty(), "{findings:?}");
        assert_eq!(
            (said.files, said.bytes, said.version.as_str()),
            (1, 3, "1.0")
        );
    }

    #[test]
    fn every_way_of_being_wrong_has_its_code() {
        type Change = fn(&mut Seen);
        let cases: &[(&[&str], Change)] = &[
            (&["bagit.missing"], |seen| {
                seen.tags.remove("bagit.txt");
            }),
            (&["payload.missing", "oxum.mismatch"], |seen| {
                seen.files.remove("data/a");
                seen.folders.insert("data".into());
            }),
            (
                &["payload.none", "payload.missing", "oxum.mismatch"],
                |seen| {
                    seen.files.remove("data/a");
                },
            ),
            (&["payload.damaged"], |seen| put(seen, "data/a", b"abd")),
            (&["payload.unlisted", "oxum.mismatch"], |seen| {
                put(seen, "data/b", b"x");
            }),
            (&["manifest.missing"], |seen| {
                seen.tags.remove("manifest-sha256.txt");
            }),
            (&["tag.damaged"], |seen| {
                put(
                    seen,
                    "bagit.txt",
                    b"BagIt-Version: 1.0\nTag-File-Character-Encoding: utf-8\n",
                );
            }),
            (&["tag.missing"], |seen| {
                let text = format!("{}  gone.txt\n", "0".repeat(64));
                put(seen, "tagmanifest-sha256.txt", text.as_bytes());
            }),
            (&["tagmanifest.missing"], |seen| {
                seen.tags.remove("tagmanifest-sha256.txt");
            }),
            (&["manifest.incomplete"], |seen| {
                put(seen, "manifest-sha512.txt", b"");
            }),
            (&["fetch.incomplete", "oxum.mismatch"], |seen| {
                seen.files.remove("data/a");
                seen.folders.insert("data".into());
                put(seen, "fetch.txt", b"https://example.org/a 3 data/a\n");
            }),
            (&["fetch.unlisted"], |seen| {
                put(seen, "fetch.txt", b"https://example.org/a 3 data/z\n");
            }),
            (&["oxum.syntax"], |seen| {
                put(seen, "bag-info.txt", b"Payload-Oxum: x\n");
            }),
            (&["tag.encoding"], |seen| {
                put(seen, "bag-info.txt", b"a: \xff\n");
            }),
        ];
        for (wanted, change) in cases {
            let mut seen = bag();
            change(&mut seen);
            assert_eq!(codes(&seen), *wanted);
        }
    }

    #[test]
    fn before_1_0_one_manifest_is_enough() {
        let mut seen = bag();
        let old = b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n";
        put(&mut seen, "bagit.txt", old);
        put(&mut seen, "manifest-sha512.txt", b"");
        seen.tags.remove("tagmanifest-sha256.txt");
        assert_eq!(codes(&seen), ["tagmanifest.missing"]);
    }

    #[test]
    fn accents_may_be_composed_in_another_way() {
        let mut seen = bag();
        put(&mut seen, "data/e\u{301}", b"abc");
        let lines =
            line(&seen, "data/a") + &line(&seen, "data/e\u{301}").replace("e\u{301}", "\u{e9}");
        put(&mut seen, "manifest-sha256.txt", lines.as_bytes());
        put(&mut seen, "bag-info.txt", b"Payload-Oxum: 6.2\n");
        seen.tags.remove("tagmanifest-sha256.txt");
        assert_eq!(codes(&seen), ["name.normalisation", "tagmanifest.missing"]);
    }
}
