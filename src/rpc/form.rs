//! A definition as the form of the web UI has it: flat fields and rows of tables, where nothing said is an empty text.
//!
//! The web UI fills some requests from templates, and a template gives text: a switch may come as `"true"`, a table as
//! the text of its JSON.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{params, value};
use crate::error::{Error, Result};
use crate::experiment::{AbsPath, Code, Definition, Language};
use crate::provision::create;
use crate::provision::site::Site;

/// What separates the entries of a list in one field; no entry holds a line break.
const SEPARATOR: char = '\n';

/// Fields of text, and where they stand in the definition.
const TEXTS: &[(&str, &[&str])] = &[
    ("code", &["code"]),
    ("title", &["title"]),
    ("description", &["description"]),
    ("language", &["language"]),
    ("status", &["status"]),
    ("start", &["dates", "start"]),
    ("end", &["dates", "end"]),
    ("facility", &["facility", "name"]),
    ("ror", &["facility", "ror"]),
    ("platform", &["facility", "platform"]),
    ("licence", &["licence"]),
    ("base", &["storage", "base"]),
    ("quota", &["storage", "quota"]),
    ("layout", &["layout"]),
];
/// Fields that hold a list, one entry a line.
const LISTS: &[(&str, &[&str])] = &[
    ("chambers", &["facility", "chambers"]),
    ("keywords", &["keywords"]),
];
/// Tables.
const TABLES: &[(&str, &[&str])] = &[
    ("people", &["people"]),
    ("sources", &["sources"]),
    ("variables", &["variables"]),
    ("funding", &["funding"]),
    ("nfs", &["protocols", "nfs"]),
];
/// Switches.
const SWITCHES: &[(&str, &[&str])] = &[
    ("smb", &["protocols", "smb"]),
    ("sftp", &["protocols", "sftp"]),
    ("rsync", &["protocols", "rsync"]),
    ("ftp", &["protocols", "ftp"]),
    ("rsyncd", &["protocols", "rsyncd"]),
];
const YEARS: (&str, &[&str]) = ("years", &["retention", "years"]);
/// Said by the form about itself, not about the experiment.
const FROM: &str = "from";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    definition: Option<String>,
}

/// A definition comes as an object, or as the text of a file. JSON is YAML: the same reader takes both.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Given(Value);

impl Given {
    pub(super) fn text(&self) -> Vec<u8> {
        match &self.0 {
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        }
    }
}

/// A definition, in one of the ways in which it can be given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Define {
    #[serde(default)]
    definition: Option<Given>,
    #[serde(default)]
    form: Option<Value>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    create_accounts: bool,
    #[serde(default)]
    dry_run: bool,
    /// Looked at before (`tonight::is_asked`).
    #[serde(default, rename = "tonight")]
    _tonight: bool,
}

impl Define {
    pub(super) fn text(&self) -> Result<Vec<u8>> {
        text_of(self.definition.as_ref(), self.form.as_ref())
    }

    /// The digest of the definition that was edited.
    pub(super) fn from(&self) -> Option<String> {
        self.from
            .clone()
            .or_else(|| self.form.as_ref().and_then(from))
    }

    /// The same, where the web UI has to say it: which definition it showed.
    pub(super) fn digest(&self) -> Result<String> {
        self.from().ok_or_else(|| {
            Error::new(
                "rpc.params",
                "`from` is missing: the digest of the definition that was edited",
            )
            .field("from")
        })
    }

    pub(super) fn options(&self) -> create::Options {
        create::Options {
            create_accounts: self.create_accounts,
            dry_run: self.dry_run,
        }
    }
}

/// A definition comes as an object, as the text of a file, or as the form of the web UI. JSON is YAML: the same reader
/// takes all.
pub(super) fn text_of(given: Option<&Given>, form: Option<&Value>) -> Result<Vec<u8>> {
    match (given, form) {
        (Some(given), None) => Ok(given.text()),
        (None, Some(form)) => Ok(definition(form)?.to_string().into_bytes()),
        _ => Err(
            Error::new("rpc.params", "either `definition` or `form` is needed").field("definition"),
        ),
    }
}

/// `show-form`: of an experiment, of the text of a definition, or of an experiment that is to be.
pub(super) fn show(site: &Site, given: &Value) -> Result<Value> {
    let which: Which = params(given)?;
    match (which.code, which.definition) {
        (Some(code), None) => {
            let opened = site.open(&code)?;
            let mut form = of(&opened.definition)?;
            form.insert(FROM.into(), opened.digest.clone().into());
            Ok(Value::Object(form))
        }
        (None, Some(text)) => Ok(Value::Object(of(&create::read(text.as_bytes())?)?)),
        (None, None) => Ok(Value::Object(new(site)?)),
        _ => Err(Error::new(
            "rpc.params",
            "either `code` or `definition` can be given",
        )),
    }
}

/// The form of a definition.
fn of(definition: &Definition) -> Result<Map<String, Value>> {
    let whole = value(definition)?;
    let at = |path: &[&str]| {
        path.iter()
            .try_fold(&whole, |node, key| node.get(key))
            .cloned()
    };
    let mut form = empty();
    for (field, path) in TEXTS.iter().chain(SWITCHES).chain(TABLES).chain([&YEARS]) {
        if let Some(found) = at(path) {
            form.insert((*field).into(), found);
        }
    }
    for (field, path) in LISTS {
        if let Some(Value::Array(entries)) = at(path) {
            let entries: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            form.insert((*field).into(), entries.join(&SEPARATOR.to_string()).into());
        }
    }
    Ok(form)
}

/// The form of an experiment that is to be: what the unit says of all.
fn new(site: &Site) -> Result<Map<String, Value>> {
    let (unit, _) = site.nas.unit()?;
    let mut form = empty();
    let base = unit.base.as_ref().map(AbsPath::as_path);
    for (setting, text) in unit.texts() {
        // A default that names what is not there any more would be refused in the end.
        if setting == "base"
            && !site
                .bases()?
                .iter()
                .any(|known| Some(known.path.as_path()) == base)
        {
            continue;
        }
        let field = if setting == "organisation" {
            "facility"
        } else {
            setting
        };
        if SWITCHES.iter().any(|(name, _)| *name == field) {
            form.insert(field.into(), (text == "true").into());
        } else if form.contains_key(field) {
            form.insert(field.into(), text.into());
        }
    }
    Ok(form)
}

/// The form of an experiment of which nothing is said yet.
fn empty() -> Map<String, Value> {
    let mut form = Map::new();
    for (field, _) in TEXTS.iter().chain(LISTS).chain([&YEARS]) {
        form.insert((*field).into(), "".into());
    }
    for (field, _) in TABLES {
        form.insert((*field).into(), json!([]));
    }
    for (field, _) in SWITCHES {
        form.insert(
            (*field).into(),
            (!matches!(*field, "ftp" | "rsyncd")).into(),
        );
    }
    form.insert("language".into(), Language::Fr.as_str().into());
    form.insert("status".into(), "active".into());
    form.insert("layout".into(), "minimal".into());
    form.insert(FROM.into(), "".into());
    form
}

/// The definition that a form says, to be read like any other.
fn definition(form: &Value) -> Result<Value> {
    let Value::Object(form) = form else {
        return Err(Error::new("rpc.params", "`form` is not an object").field("form"));
    };
    let mut whole = json!({"octonas": crate::experiment::VERSION});
    for (field, given) in form {
        let is = |(name, _): &&(&str, &[&str])| name == field;
        let found = if let Some((_, path)) = TEXTS.iter().find(is) {
            text(field, given)?.map(|text| (*path, text.into()))
        } else if let Some((_, path)) = LISTS.iter().find(is) {
            text(field, given)?.map(|text| (*path, entries(&text)))
        } else if let Some((_, path)) = TABLES.iter().find(is) {
            Some((*path, table(field, given)?))
        } else if let Some((_, path)) = SWITCHES.iter().find(is) {
            Some((*path, switch(field, given)?))
        } else if field == YEARS.0 {
            years(given)?.map(|years| (YEARS.1, years))
        } else if field == FROM {
            None
        } else {
            return Err(wrong(field, "is not a field of the form"));
        };
        if let Some((path, found)) = found {
            put(&mut whole, path, found);
        }
    }
    Ok(whole)
}

/// The digest that the form began with.
fn from(form: &Value) -> Option<String> {
    let from = form.get(FROM)?.as_str()?;
    (!from.is_empty()).then(|| from.to_owned())
}

/// The rows of a table: an array of objects, or the text of one. What is empty in a row is not said.
pub(super) fn table(field: &str, given: &Value) -> Result<Value> {
    let parsed: Value;
    let rows = match given {
        Value::String(text) => {
            parsed =
                serde_json::from_str(text).map_err(|e| wrong(field, "is not a table").source(e))?;
            &parsed
        }
        other => other,
    };
    let Value::Array(rows) = rows else {
        return Err(wrong(field, "is not a table"));
    };
    rows.iter()
        .map(|row| match row {
            Value::Object(cells) => Ok(Value::Object(
                cells
                    .iter()
                    .filter(|(_, cell)| !is_empty(cell))
                    .map(|(name, cell)| (name.clone(), cell.clone()))
                    .collect(),
            )),
            _ => Err(wrong(field, "has a row that is not an object")),
        })
        .collect()
}

fn is_empty(cell: &Value) -> bool {
    match cell {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn text(field: &str, given: &Value) -> Result<Option<String>> {
    match given {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.trim().replace("\r\n", "\n"))),
        _ => Err(wrong(field, "is not a text")),
    }
}

fn entries(text: &str) -> Value {
    text.split(SEPARATOR)
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .collect()
}

fn switch(field: &str, given: &Value) -> Result<Value> {
    match given {
        Value::Bool(on) => Ok((*on).into()),
        Value::String(text) if text == "true" || text == "false" => Ok((text == "true").into()),
        _ => Err(wrong(field, "is neither `true` nor `false`")),
    }
}

fn years(given: &Value) -> Result<Option<Value>> {
    match given {
        Value::Number(_) => Ok(Some(given.clone())),
        other => text(YEARS.0, other)?
            .map(|text| {
                text.parse::<u64>()
                    .map(Into::into)
                    .map_err(|_| wrong(YEARS.0, "is not a number of years"))
            })
            .transpose(),
    }
}

fn put(node: &mut Value, path: &[&str], found: Value) {
    match path {
        [] => *node = found,
        [key, rest @ ..] => {
            if let Value::Object(entries) = node {
                put(
                    entries.entry(*key).or_insert_with(|| json!({})),
                    rest,
                    found,
                );
            }
        }
    }
}

fn wrong(field: &str, what: &str) -> Error {
    Error::new(
        "rpc.params",
        format!("{} {what}", crate::experiment::text::quote(field)),
    )
    .field(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Strictness, read};

    const WHOLE: &str = include_str!("../../examples/climate-chamber.yaml");

    fn read_back(form: &Value) -> Definition {
        let text = definition(form).unwrap().to_string();
        read(text.as_bytes(), Strictness::Given).unwrap()
    }

    #[test]
    fn a_form_that_nobody_touched_says_the_same_definition() {
        let before = read(WHOLE.as_bytes(), Strictness::Given).unwrap();
        let form = Value::Object(of(&before).unwrap());
        assert_eq!(read_back(&form), before);
    }

    #[test]
    fn a_form_of_texts_alone_says_the_same_definition() {
        let before = read(WHOLE.as_bytes(), Strictness::Given).unwrap();
        let form: Map<String, Value> = of(&before)
            .unwrap()
            .into_iter()
            .map(|(field, value)| match value {
                Value::String(_) => (field, value),
                other => (field, other.to_string().into()),
            })
            .collect();
        assert_eq!(read_back(&Value::Object(form)), before);
    }

    #[test]
    fn what_is_left_empty_is_not_said() {
        let mut form = empty();
        form.insert("code".into(), "eco".into());
        form.insert("title".into(), " Heat ".into());
        form.insert(
            "people".into(),
            json!([{"name": "Ada", "orcid": "", "roles": [], "until": null}]),
        );
        let read = read_back(&Value::Object(form));
        assert_eq!(read.title, "Heat");
        assert_eq!(read.facility, None);
        assert_eq!(read.people.len(), 1);
        assert_eq!(read.retention, None);
    }

    #[test]
    fn what_is_not_of_the_form_is_named() {
        for (field, given) in [
            ("titel", json!("x")),
            ("title", json!(7)),
            ("people", json!("x")),
            ("people", json!(["x"])),
            ("smb", json!("yes")),
            ("years", json!("ten")),
        ] {
            let error = definition(&json!({ field: given })).unwrap_err();
            assert_eq!(error.code(), "rpc.params");
            assert_eq!(error.field_name(), Some(field));
        }
        assert_eq!(definition(&json!([])).unwrap_err().code(), "rpc.params");
    }
}
