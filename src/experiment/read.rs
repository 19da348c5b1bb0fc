//! The reader of `experiment.yaml`: text → definition, or every problem of the file at once.

mod doors;

use std::collections::HashMap;

use super::choice::{Access, Language, Role, Status};
use super::definition::{
    Dates, Definition, Facility, Funding, Imported, Person, Retention, Storage, VERSION, Variable,
};
use super::fields::{Fields, Findings};
use super::identifier::{Email, Licence, Orcid, Ror};
use super::name::{AccountName, Code, ExperimentId, LayoutName};
use super::node::{self, Node, Place};
use super::path::AbsPath;
use super::problem::Problems;
use super::quantity::{Date, Size};
use super::text::{line, paragraph, quote};
use crate::error::{Error, Result};

use doors::{into, protocols, source};

/// Whose words are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Somebody's input: a key that is not known is a mistake, and the status is the program's to give.
    Given,
    /// Somebody's edit of an experiment of this status: as `Given`, but a status that is left out, or repeated, stays.
    Edit(Status),
    /// What a program stored, perhaps a later one: keys that are not known are kept and written back.
    Stored,
}

/// The code that a text names, if it can be read at all: by it an edit finds what it edits.
pub fn code_of(text: &[u8]) -> Option<Code> {
    let (root, _) = node::parse(text).ok()?;
    Code::parse(root.get("code")?.text()?).ok()
}

/// Reads a definition from YAML or JSON of at most 256 KiB. Asks nothing of any disk or clock.
pub fn read(text: &[u8], strictness: Strictness) -> std::result::Result<Definition, Problems> {
    let (root, twice) = node::parse(text)?;
    newer_version(&root)?;
    let mut findings = Findings::new(strictness, twice);
    unique(
        &root,
        &["people"],
        Some("account"),
        "the account",
        &mut findings,
    );
    unique(&root, &["sources"], Some("id"), "the source", &mut findings);
    nobodys_own(&root, &mut findings);
    unique(
        &root,
        &["sources"],
        Some("into"),
        "the directory",
        &mut findings,
    );
    unique(
        &root,
        &["variables"],
        Some("name"),
        "the variable",
        &mut findings,
    );
    unique(
        &root,
        &["facility", "chambers"],
        None,
        "the chamber",
        &mut findings,
    );
    let definition = Fields::open(&root, "", &mut findings).and_then(definition);
    match (findings.into_problems(), definition) {
        (None, Some(definition)) => writable(definition, root.place),
        (Some(problems), _) => Err(problems),
        (None, None) => Err(Problems::one(root.place.problem(
            "",
            "the definition is incomplete",
            None,
        ))),
    }
}

/// What is read must fit when it is written, with room for what the program adds (id, base, status).
fn writable(definition: Definition, place: Place) -> std::result::Result<Definition, Problems> {
    match definition.to_yaml() {
        Ok(yaml) if yaml.len() <= node::INPUT_MAX - 4096 => Ok(definition),
        Ok(yaml) => {
            let message = format!(
                "the definition has {} bytes when it is written out; that is too large",
                yaml.len()
            );
            Err(Problems::one(place.problem("", message, None)))
        }
        Err(error) => Err(Problems::one(place.problem("", error.to_string(), None))),
    }
}

/// A file of a later program is not searched for mistakes that it may not have.
fn newer_version(root: &Node) -> std::result::Result<(), Problems> {
    let Some(version) = root.get("octonas") else {
        return Ok(());
    };
    match version.text().and_then(|text| text.parse::<u32>().ok()) {
        Some(number) if number > VERSION => Err(Problems::one(version.place.problem(
            "octonas",
            format!("the definition has format {number}; this program reads up to {VERSION}"),
            Some("install a newer OctoNAS".into()),
        ))),
        _ => Ok(()),
    }
}

/// Names both lines where items of a list say the same, the case of letters aside.
fn unique(root: &Node, list: &[&str], key: Option<&str>, what: &str, findings: &mut Findings) {
    let Some(items) = list.iter().try_fold(root, |node, key| node.get(key)) else {
        return;
    };
    let mut lines: HashMap<String, usize> = HashMap::new();
    for (i, item) in items.items().iter().enumerate() {
        let node = key.map_or(Some(item), |key| item.get(key));
        let Some((node, text)) = node.and_then(|node| Some((node, node.text()?))) else {
            continue;
        };
        if let Some(before) = lines.insert(text.to_lowercase(), node.place.line) {
            let dot = key.map(|key| format!(".{key}")).unwrap_or_default();
            findings.push(node.place.problem(
                &format!("{}[{i}]{dot}", list.join(".")),
                format!(
                    "{what} {} is here a second time; it was on line {before}",
                    quote(text)
                ),
                None,
            ));
        }
    }
}

/// The account of a machine is no person's, and no other machine's: whoever knows its password is that machine.
fn nobodys_own(root: &Node, findings: &mut Findings) {
    let accounts = |list: &str| -> Vec<(usize, &Node)> {
        let items = root.get(list).map(Node::items).unwrap_or_default();
        let said = items.iter().map(|item| item.get("account"));
        said.enumerate()
            .filter_map(|(i, account)| Some((i, account?)))
            .collect()
    };
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (_, node) in accounts("people") {
        if let Some(text) = node.text() {
            taken.entry(text.to_lowercase()).or_insert(node.place.line);
        }
    }
    for (i, node) in accounts("sources") {
        let Some(text) = node.text() else { continue };
        if let Some(before) = taken.insert(text.to_lowercase(), node.place.line) {
            findings.push(node.place.problem(
                &format!("sources[{i}].account"),
                format!(
                    "the account {} is somebody else's too, on line {before}",
                    quote(text)
                ),
                Some("give the machine an account of its own".into()),
            ));
        }
    }
}

fn definition(mut f: Fields) -> Option<Definition> {
    let strictness = f.strictness();
    let unsaid = match strictness {
        Strictness::Edit(status) => status,
        Strictness::Given | Strictness::Stored => Status::Active,
    };
    let octonas = f.required("octonas", version);
    let id = f.value("id", ExperimentId::parse);
    let code = f.required("code", Code::parse);
    let title = f.required("title", |text| line(text, 300));
    let description = f.value("description", |text| paragraph(text, 20_000));
    let language = f.value("language", Language::parse).unwrap_or(Language::Fr);
    let status = f
        .value("status", |text| status(text, strictness))
        .unwrap_or(unsaid);
    let dates: Dates = f.mapping("dates", |f| Some(dates(f))).unwrap_or_default();
    let facility = f.mapping("facility", facility);
    let start = dates.start;
    let people = f.mappings("people", |fields| person(fields, start));
    let sources = f.mappings("sources", source);
    let variables = f.mappings("variables", variable);
    let keywords = f.values("keywords", |text| line(text, 100));
    let licence = f.value("licence", Licence::parse);
    let funding = f.mappings("funding", funding);
    let storage = f
        .mapping("storage", |f| Some(storage(f)))
        .unwrap_or_default();
    let layout = f
        .value("layout", LayoutName::parse)
        .unwrap_or_else(LayoutName::minimal);
    let imported = f.mapping("imported", imported);
    let protocols = f
        .mapping("protocols", |f| Some(protocols(f)))
        .unwrap_or_default();
    let retention = f.mapping("retention", retention);
    let unknown = f.close();
    Some(Definition {
        octonas: octonas?,
        id,
        code: code?,
        title: title?,
        description,
        language,
        status,
        dates,
        facility,
        people,
        sources,
        variables,
        keywords,
        licence,
        funding,
        storage,
        layout,
        imported,
        protocols,
        retention,
        unknown,
    })
}

fn version(text: &str) -> Result<u32> {
    match text.parse() {
        Ok(VERSION) => Ok(VERSION),
        _ => Err(Error::new(
            "definition.version",
            format!("{} is not a version of the format", quote(text)),
        )
        .hint(format!("write `octonas: {VERSION}`"))),
    }
}

fn status(text: &str, strictness: Strictness) -> Result<Status> {
    let status = Status::parse(text)?;
    let may_say = match strictness {
        Strictness::Stored => true,
        Strictness::Edit(now) => now == status || matches!(status, Status::Draft | Status::Active),
        Strictness::Given => matches!(status, Status::Draft | Status::Active),
    };
    if !may_say {
        return Err(Error::new(
            "status.given",
            format!("the status `{status}` is reached by an operation, not by writing it"),
        )
        .hint("leave `status` out, or write `draft` or `active`"));
    }
    Ok(status)
}

fn dates(mut f: Fields) -> Dates {
    let start = f.value("start", Date::parse);
    let end = f.value("end", Date::parse);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        f.problem(
            "end",
            format!("the end, {end}, is before the start, {start}"),
            "",
        );
    }
    Dates {
        start,
        end,
        unknown: f.close(),
    }
}

fn facility(mut f: Fields) -> Option<Facility> {
    let name = f.required("name", |text| line(text, 300));
    let ror = f.value("ror", Ror::parse);
    let platform = f.value("platform", |text| line(text, 300));
    let chambers = f.values("chambers", |text| line(text, 100));
    let unknown = f.close();
    Some(Facility {
        name: name?,
        ror,
        platform,
        chambers,
        unknown,
    })
}

fn person(mut f: Fields, start: Option<Date>) -> Option<Person> {
    let name = f.required("name", |text| line(text, 200));
    let orcid = f.value("orcid", Orcid::parse);
    let email = f.value("email", Email::parse);
    let affiliation = f.value("affiliation", |text| line(text, 300));
    let roles = f.values("roles", Role::parse);
    let says_account = f.node("account").is_some();
    let account = f.value("account", AccountName::parse);
    let access = f.value("access", Access::parse);
    let until = f.value("until", Date::parse);
    if says_account && f.node("access").is_none() {
        f.problem(
            "access",
            "the account has no `access`",
            "write `access: read`, `write` or `manage`",
        );
    }
    if !says_account {
        for key in ["access", "until"] {
            if f.node(key).is_some() {
                let message = format!("there is `{key}`, but no `account` that it could be for");
                f.problem(key, message, "");
            }
        }
    }
    if let (Some(start), Some(until)) = (start, until)
        && until < start
    {
        f.problem(
            "until",
            format!("the access ends on {until}, before the experiment starts on {start}"),
            "",
        );
    }
    let unknown = f.close();
    Some(Person {
        name: name?,
        orcid,
        email,
        affiliation,
        roles,
        account,
        access,
        until,
        unknown,
    })
}

fn variable(mut f: Fields) -> Option<Variable> {
    let name = f.required("name", |text| line(text, 100));
    let label = f.value("label", |text| line(text, 300));
    let unit = f.value("unit", |text| line(text, 60));
    let standard_name = f.value("standard_name", standard_name);
    let sensor = f.value("sensor", |text| line(text, 300));
    let description = f.value("description", |text| paragraph(text, 5_000));
    let unknown = f.close();
    Some(Variable {
        name: name?,
        label,
        unit,
        standard_name,
        sensor,
        description,
        unknown,
    })
}

fn standard_name(text: &str) -> Result<String> {
    let shaped = (1..=200).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if shaped {
        return Ok(text.to_owned());
    }
    Err(Error::new(
        "variable.standard-name",
        format!("{} is not the spelling of a CF standard name", quote(text)),
    )
    .hint("lower case and `_`, like `air_temperature`"))
}

fn funding(mut f: Fields) -> Option<Funding> {
    let funder = f.required("funder", |text| line(text, 300));
    let ror = f.value("ror", Ror::parse);
    let grant = f.value("grant", |text| line(text, 100));
    let unknown = f.close();
    Some(Funding {
        funder: funder?,
        ror,
        grant,
        unknown,
    })
}

fn storage(mut f: Fields) -> Storage {
    Storage {
        base: f.value("base", AbsPath::parse),
        quota: f.value("quota", Size::parse),
        unknown: f.close(),
    }
}

fn imported(mut f: Fields) -> Option<Imported> {
    let date = f.required("date", Date::parse);
    let leaves = f.values("leaves", into);
    let unknown = f.close();
    Some(Imported {
        date: date?,
        leaves,
        unknown,
    })
}

fn retention(mut f: Fields) -> Option<Retention> {
    let years = f.required("years", |text| match text.parse() {
        Ok(years @ 1..=100) => Ok(years),
        _ => Err(Error::new(
            "retention.invalid",
            format!("{} is not a number of years between 1 and 100", quote(text)),
        )),
    });
    let unknown = f.close();
    Some(Retention {
        years: years?,
        unknown,
    })
}
