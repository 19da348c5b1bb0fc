//! Organisations and repositories with their identifiers: `templates/registry/organisations.yaml`, or the NAS's own file
//! of that name.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::experiment::Ror;

/// The built-in file.
const BUILT_IN: &str = include_str!("../../../templates/registry/organisations.yaml");

/// What is known.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    #[serde(default)]
    organisations: Vec<Organisation>,
    #[serde(default)]
    repositories: Vec<Repository>,
}

/// An organisation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organisation {
    /// As it should appear.
    pub name: String,
    /// Other names of it.
    #[serde(default)]
    pub also: Vec<String>,
    /// Its identifier.
    pub ror: Option<Ror>,
    /// In the Crossref funder registry: `10.13039/…`.
    pub funder: Option<String>,
}

/// A data repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// As it should appear.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The identifiers that it gives, as maDMP names them: `doi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifiers: Option<Identifiers>,
    /// Where it stands, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
}

/// Identifiers that last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identifiers {
    /// Digital Object Identifier.
    Doi,
    /// Archival Resource Key.
    Ark,
    /// Handle.
    Handle,
}

impl Identifiers {
    /// As people and DMP OPIDoR write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Doi => "DOI",
            Self::Ark => "ARK",
            Self::Handle => "Handle",
        }
    }
}

/// A country: two capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Country(String);

impl Country {
    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Country {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Self, String> {
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            Ok(Self(text))
        } else {
            Err(format!("{text} is not the code of a country"))
        }
    }
}

impl Registry {
    /// Reads the built-in file, or the text that stands in its place.
    ///
    /// # Errors
    /// `registry.invalid`.
    pub fn read(over: Option<&str>) -> Result<Self> {
        serde_yaml::from_str(over.unwrap_or(BUILT_IN)).map_err(|e| {
            Error::new(
                "registry.invalid",
                "the list of organisations and repositories cannot be read",
            )
            .hint("mend registry/organisations.yaml in the templates' directory of this NAS, or take it away: the built-in one is used then")
            .source(e)
        })
    }

    /// Finds an organisation by a name, the case of letters aside.
    pub fn organisation(&self, name: &str) -> Option<&Organisation> {
        let name = name.trim().to_lowercase();
        self.organisations.iter().find(|each| {
            each.name.to_lowercase() == name
                || each.also.iter().any(|also| also.to_lowercase() == name)
        })
    }

    /// The identifier of an organisation, as an address.
    pub fn ror(&self, name: &str) -> Option<String> {
        self.organisation(name)?.ror.as_ref().map(Ror::url)
    }

    /// The repository at an address, or below one; an unknown one is called by its host.
    pub fn repository(&self, address: &str) -> Repository {
        let bare = |url: &str| {
            let url = url.split_once("://").map_or(url, |(_, rest)| rest);
            url.trim_start_matches("www.")
                .trim_end_matches('/')
                .to_lowercase()
        };
        let wanted = bare(address);
        self.repositories
            .iter()
            .find(|each| {
                let known = bare(&each.url);
                wanted == known || wanted.starts_with(&format!("{known}/"))
            })
            .map_or_else(
                || Repository {
                    name: wanted
                        .split(['/', '?', '#'])
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                    url: address.to_owned(),
                    identifiers: None,
                    country: None,
                },
                |known| Repository {
                    url: address.to_owned(),
                    ..known.clone()
                },
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_is_known_by_its_names() {
        let registry = Registry::read(None).unwrap();
        assert_eq!(registry.ror("cnrs").unwrap(), "https://ror.org/02feahw73");
        let anr = registry
            .organisation("Agence nationale de la recherche")
            .unwrap();
        assert_eq!(anr.funder.as_deref(), Some("10.13039/501100001665"));
        assert!(registry.organisation("CNR").is_none());
    }

    #[test]
    fn a_repository_is_known_by_its_address() {
        let registry = Registry::read(None).unwrap();
        let known = registry.repository("https://zenodo.org/communities/lakes");
        assert_eq!(
            (known.name.as_str(), known.identifiers),
            ("Zenodo", Some(Identifiers::Doi))
        );
        assert_eq!(known.url, "https://zenodo.org/communities/lakes");
        let unknown = registry.repository("https://data.example.org/x");
        assert_eq!(
            (unknown.name.as_str(), unknown.identifiers),
            ("data.example.org", None)
        );
        assert_eq!(
            registry.repository("https://zenodo.org.example.com").name,
            "zenodo.org.example.com"
        );
    }

    #[test]
    fn a_file_with_a_wrong_identifier_is_refused() {
        for text in [
            "organisations: [{name: X, ror: 02feahw74}]",
            "repositories: [{name: X, url: 'https://x.org', country: fr}]",
            "people: []",
            "[",
        ] {
            assert_eq!(
                Registry::read(Some(text)).unwrap_err().code(),
                "registry.invalid",
                "{text}"
            );
        }
    }
}
