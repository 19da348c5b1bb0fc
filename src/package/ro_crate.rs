//! `ro-crate-metadata.json` (RO-Crate 1.1 and 1.2): what the payload is, in JSON-LD. The crate is the payload: its root is `data/`
//! (RO-Crate 1.1, appendix "Combining with other packaging schemes").

mod graph;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::about::About;
use super::content::Taking;
use super::path::uri;
use crate::error::Result;

use graph::Graph;

/// The file, in `data/`.
pub const FILE: &str = "ro-crate-metadata.json";

/// The most files that are described one by one; beyond, only directories are. The manifest lists every file.
pub const FILES_MAX: usize = 100_000;

/// A version of the format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// 1.1
    #[default]
    V1_1,
    /// 1.2
    V1_2,
}

impl Version {
    /// `1.1` or `1.2`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "1.1" => Some(Self::V1_1),
            "1.2" => Some(Self::V1_2),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

/// A file or directory of the payload: its path below `data/`, and bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'p> {
    /// `raw/a.csv`.
    pub path: &'p str,
    /// `None` for a directory.
    pub size: Option<u64>,
}

/// Writes the description of a payload, an entity a line: nothing of it is held in memory but paths. The same bytes each time.
pub fn write(
    about: &About,
    parts: &[Part<'_>],
    version: Version,
    out: &mut Taking<'_>,
) -> Result<()> {
    let files = parts.iter().filter(|part| part.size.is_some()).count();
    let listed: Vec<&Part<'_>> = parts
        .iter()
        .filter(|part| part.size.is_none() || files <= FILES_MAX)
        .collect();
    let children = Children::of(&listed);
    let version = version.as_str();
    let url = format!("https://w3id.org/ro/crate/{version}");
    let context = json!(format!("{url}/context"));
    let mut graph = Graph::new(out);
    graph.say(&format!("{{\"@context\":{context},\n\"@graph\":["));
    graph.add(&json!({
        "@id": FILE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": url.clone()},
    }));
    let root = graph.root(about);
    graph.add_with_parts(&root, Some(children.of_root(&listed)));
    for (number, part) in listed.iter().enumerate() {
        match part.size {
            None => {
                let entity = json!({"@id": id(part), "@type": "Dataset", "name": name(part.path)});
                let mut parts = children.of_directory(&listed, number).peekable();
                let has_parts = parts.peek().is_some();
                graph.add_with_parts(&entity, has_parts.then_some(parts));
            }
            Some(size) => {
                let entity = file(part.path, size, &mut graph);
                graph.add(&entity);
            }
        }
    }
    graph.say("\n]}\n");
    graph.end()
}

/// What lies directly in each directory: numbers of parent and child among the parts, by parent; 0 is the root, 1 the first part.
struct Children(Vec<(usize, usize)>);

impl Children {
    fn of(parts: &[&Part<'_>]) -> Self {
        let directories: HashMap<&str, usize> = parts
            .iter()
            .enumerate()
            .filter(|(_, part)| part.size.is_none())
            .map(|(number, part)| (part.path, number + 1))
            .collect();
        let parent = |part: &Part<'_>| {
            let mut path = part.path;
            while let Some((above, _)) = path.rsplit_once('/') {
                if let Some(number) = directories.get(above) {
                    return *number;
                }
                path = above;
            }
            0
        };
        let mut all: Vec<(usize, usize)> = parts
            .iter()
            .enumerate()
            .map(|(number, part)| (parent(part), number))
            .collect();
        all.sort_unstable();
        Self(all)
    }

    fn of_root<'c>(&'c self, parts: &'c [&Part<'_>]) -> impl Iterator<Item = String> + 'c {
        self.below(parts, 0)
    }

    fn of_directory<'c>(
        &'c self,
        parts: &'c [&Part<'_>],
        number: usize,
    ) -> impl Iterator<Item = String> + 'c {
        self.below(parts, number + 1)
    }

    fn below<'c>(
        &'c self,
        parts: &'c [&Part<'_>],
        parent: usize,
    ) -> impl Iterator<Item = String> + 'c {
        let from = self.0.partition_point(|(each, _)| *each < parent);
        let all = self.0.get(from..).unwrap_or_default().iter();
        all.take_while(move |(each, _)| *each == parent)
            .filter_map(|(_, child)| parts.get(*child).map(|part| id(part)))
    }
}

fn id(part: &Part<'_>) -> String {
    match part.size {
        Some(_) => uri(part.path),
        None => format!("{}/", uri(part.path)),
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn file(path: &str, size: u64, graph: &mut Graph<'_, '_>) -> Value {
    let mut entity = json!({
        "@id": uri(path),
        "@type": "File",
        "name": name(path),
        "contentSize": size.to_string(),
    });
    if let (Some((media_type, format)), Some(map)) = (media_type(path), entity.as_object_mut()) {
        let value = match format {
            None => json!(media_type),
            Some((url, name)) => {
                graph.once(
                    url,
                    || json!({"@id": url, "@type": "WebSite", "name": name}),
                );
                json!([media_type, {"@id": url}])
            }
        };
        map.insert("encodingFormat".into(), value);
    }
    entity
}

/// Address and name of a format in PRONOM.
type Pronom = Option<(&'static str, &'static str)>;

/// The media type of a file by its name, and its entry in PRONOM where there is one.
fn media_type(path: &str) -> Option<(&'static str, Pronom)> {
    let (_, extension) = name(path).rsplit_once('.')?;
    let pronom = |number: &'static str, name| Some((number, name));
    Some(match extension.to_ascii_lowercase().as_str() {
        "csv" => (
            "text/csv",
            pronom(
                "https://www.nationalarchives.gov.uk/PRONOM/x-fmt/18",
                "Comma Separated Values",
            ),
        ),
        "nc" | "nc4" | "cdf" => ("application/x-netcdf", None),
        "h5" | "hdf5" | "hdf" => ("application/x-hdf5", None),
        "txt" | "log" => ("text/plain", None),
        "md" => ("text/markdown", None),
        "html" | "htm" => ("text/html", None),
        "json" | "jsonl" => ("application/json", None),
        "yaml" | "yml" | "cff" => ("application/yaml", None),
        "xml" => ("application/xml", None),
        "pdf" => ("application/pdf", None),
        "jpg" | "jpeg" => ("image/jpeg", None),
        "png" => ("image/png", None),
        "tif" | "tiff" => ("image/tiff", None),
        "py" => ("text/x-python", None),
        "r" => ("text/x-r", None),
        "zip" => ("application/zip", None),
        "gz" => ("application/gzip", None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::about::Agent;
    use std::collections::BTreeSet;

    fn about() -> About {
        let ada = Agent {
            name: "Ada Lovelace".into(),
            orcid: Some("https://orcid.org/0000-0002-1825-0097".into()),
            ..Agent::default()
        };
        About {
            id: "0b9e".into(),
            title: "Heat".into(),
            language: "en".into(),
            date: "2026-11-21".into(),
            authors: vec![ada.clone()],
            contacts: vec![Agent {
                email: Some("ada@example.org".into()),
                ..ada
            }],
            ..About::default()
        }
    }

    fn describe(about: &About, parts: &[Part<'_>], version: Version) -> Value {
        let mut text = Vec::new();
        write(about, parts, version, &mut |bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn references(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Array(all) => all.iter().for_each(|each| references(each, out)),
            Value::Object(map) => {
                if let (1, Some(Value::String(id))) = (map.len(), map.get("@id")) {
                    out.push(id.clone());
                }
                map.values().for_each(|each| references(each, out));
            }
            _ => {}
        }
    }

    #[test]
    fn every_entity_is_there_once_and_every_reference_leads_somewhere() {
        let parts = [
            ("metadata/README.md", Some(1)),
            ("raw", None),
            ("raw/é a.csv", Some(2)),
            ("raw/x", None),
            ("raw/x/b.csv", Some(3)),
        ];
        let parts: Vec<Part<'_>> = parts
            .iter()
            .map(|(path, size)| Part { path, size: *size })
            .collect();
        for version in [Version::V1_1, Version::V1_2] {
            let crate_ = describe(&about(), &parts, version);
            let graph = crate_["@graph"].as_array().unwrap();
            let ids: Vec<&str> = graph.iter().map(|e| e["@id"].as_str().unwrap()).collect();
            let unique: BTreeSet<&&str> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len(), "{ids:?}");
            let mut all = Vec::new();
            references(&crate_, &mut all);
            for id in all.iter().filter(|id| !id.starts_with("https://w3id")) {
                assert!(ids.contains(&id.as_str()), "{id} in {ids:?}");
            }
            let root = graph.iter().find(|e| e["@id"] == "./").unwrap();
            let parts = ["metadata/README.md", "raw/"].map(|id| json!({"@id": id}));
            assert_eq!(root["hasPart"], json!(parts));
            let raw = graph.iter().find(|e| e["@id"] == "raw/").unwrap();
            assert_eq!(raw["hasPart"][0]["@id"], "raw/%C3%A9%20a.csv");
            let ada = graph.iter().find(|e| e["@type"] == "Person").unwrap();
            assert_eq!(ada["email"], "ada@example.org");
        }
    }

    #[test]
    fn too_many_files_are_described_by_their_directories() {
        let names: Vec<String> = (0..=FILES_MAX).map(|i| format!("raw/{i}")).collect();
        let mut parts = vec![Part {
            path: "raw",
            size: None,
        }];
        parts.extend(names.iter().map(|path| Part {
            path,
            size: Some(1),
        }));
        let crate_ = describe(&about(), &parts, Version::V1_1);
        assert_eq!(crate_["@graph"].as_array().unwrap().len(), 4);
    }
}
