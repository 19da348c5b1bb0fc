//! What a package says of its experiment: the public projection, as whoever calls gathered it.

/// What is known of an experiment. No accounts, no addresses of machines, no e-mail but the contacts'.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Identity for ever.
    pub id: String,
    /// Its label.
    pub code: String,
    /// One line.
    pub title: String,
    /// Several lines.
    pub description: Option<String>,
    /// `fr` or `en`.
    pub language: String,
    /// First day, `2026-03-01`.
    pub start: Option<String>,
    /// Last day.
    pub end: Option<String>,
    /// The day of the package.
    pub date: String,
    /// Who answers for it.
    pub authors: Vec<Agent>,
    /// Whom to write to.
    pub contacts: Vec<Agent>,
    /// Everybody else who took part.
    pub contributors: Vec<Agent>,
    /// Where it ran.
    pub facility: Option<Organisation>,
    /// Name and address of its licence.
    pub licence: Option<(String, String)>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who paid.
    pub funding: Vec<Grant>,
    /// What was measured: name, label, unit.
    pub variables: Vec<Variable>,
}

/// A person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// As it should appear.
    pub name: String,
    /// `https://orcid.org/…`.
    pub orcid: Option<String>,
    /// Name of the organisation.
    pub affiliation: Option<String>,
    /// Only of contacts.
    pub email: Option<String>,
}

/// An organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organisation {
    /// Its name.
    pub name: String,
    /// `https://ror.org/…`.
    pub ror: Option<String>,
}

/// A grant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Who gave it.
    pub funder: Organisation,
    /// Its number.
    pub number: Option<String>,
}

/// Something that was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variable {
    /// As in the files.
    pub name: String,
    /// For people.
    pub label: Option<String>,
    /// UDUNITS spelling.
    pub unit: Option<String>,
}
