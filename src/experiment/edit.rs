//! What an edit changes, and what it must not.

use serde::Serialize;
use serde_yaml::Value;

use super::choice::Status;
use super::definition::{Definition, Person, Unknown};
use crate::error::{Error, Result};

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field. Items of lists are named by what identifies them: `people[mdurand].access`, `sources[plc-c1]`.
    pub field: String,
    /// What it said, as YAML on one line; nothing where it did not exist.
    pub old: Option<String>,
    /// What it says; nothing where it is gone.
    pub new: Option<String>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{}: {old} → {new}", self.field),
            (None, Some(new)) => write!(f, "{}: new: {new}", self.field),
            (Some(old), None) => write!(f, "{}: gone: {old}", self.field),
            (None, None) => write!(f, "{}: unchanged", self.field),
        }
    }
}

impl Definition {
    /// The fields in which this differs from `old`, in the order of the file; empty when they are equal.
    pub fn diff(&self, old: &Self) -> Result<Vec<Change>> {
        let value = |definition: &Self| {
            serde_yaml::to_value(definition).map_err(|e| {
                Error::new("definition.unwritable", "the definition cannot be compared").source(e)
            })
        };
        let mut changes = Vec::new();
        compare("", Some(&value(old)?), Some(&value(self)?), &mut changes);
        Ok(changes)
    }

    /// Takes from `old` what an edit may leave out because it was given at creation (id, base, what was imported, and the
    /// status), and what a person cannot give: the keys of a newer version, which a definition that is given must not have.
    #[must_use]
    pub fn inheriting(mut self, old: &Self) -> Self {
        self.id = self.id.or(old.id);
        if self.imported.is_none() {
            self.imported.clone_from(&old.imported);
        }
        if self.storage.base.is_none() {
            self.storage.base.clone_from(&old.storage.base);
        }
        let by_operation = !matches!(old.status, Status::Draft | Status::Active);
        if by_operation {
            self.status = old.status;
        }
        self.inherit_unknown(old);
        self
    }

    fn inherit_unknown(&mut self, old: &Self) {
        keep(&mut self.unknown, &old.unknown);
        keep(&mut self.dates.unknown, &old.dates.unknown);
        keep(&mut self.storage.unknown, &old.storage.unknown);
        keep(&mut self.protocols.unknown, &old.protocols.unknown);
        if let (Some(new), Some(old)) = (&mut self.facility, &old.facility) {
            keep(&mut new.unknown, &old.unknown);
        }
        if let (Some(new), Some(old)) = (&mut self.imported, &old.imported) {
            keep(&mut new.unknown, &old.unknown);
        }
        if let (Some(new), Some(old)) = (&mut self.retention, &old.retention) {
            keep(&mut new.unknown, &old.unknown);
        }
        for new in &mut self.people {
            let same = |old: &&Person| match (&old.account, &new.account) {
                (Some(old), Some(new)) => old == new,
                _ => old.name == new.name,
            };
            if let Some(old) = old.people.iter().find(same) {
                keep(&mut new.unknown, &old.unknown);
            }
        }
        for new in &mut self.sources {
            if let Some(old) = old.sources.iter().find(|old| old.id == new.id) {
                keep(&mut new.unknown, &old.unknown);
            }
        }
        for new in &mut self.variables {
            if let Some(old) = old.variables.iter().find(|old| old.name == new.name) {
                keep(&mut new.unknown, &old.unknown);
            }
        }
    }
}

fn keep(new: &mut Unknown, old: &Unknown) {
    for (key, value) in old {
        if !new.contains_key(key) {
            new.insert(key.clone(), value.clone());
        }
    }
}

/// Refuses an edit of what is fixed for life: id, code, base. Where `new` says nothing, nothing is edited.
pub fn check_edit(old: &Definition, new: &Definition) -> Result<()> {
    let fixed = |field: &str, old: String, new: String| {
        Error::new(
            "definition.fixed",
            format!("`{field}` cannot be edited: it is `{old}`, and the edit says `{new}`"),
        )
        .hint("leave it as it is; to move an experiment, export it and create a new one")
        .field(field)
    };
    if let (Some(was), Some(is)) = (old.id, new.id)
        && was != is
    {
        return Err(fixed("id", was.to_string(), is.to_string()));
    }
    if old.code != new.code {
        return Err(fixed("code", old.code.to_string(), new.code.to_string()));
    }
    if let (Some(was), Some(is)) = (&old.storage.base, &new.storage.base)
        && was != is
    {
        return Err(fixed("storage.base", was.to_string(), is.to_string()));
    }
    Ok(())
}

fn compare(field: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Mapping(was)), Some(Value::Mapping(is))) => {
            let keys = is
                .keys()
                .chain(was.keys().filter(|key| !is.contains_key(*key)));
            for key in keys {
                let name = key.as_str().unwrap_or_default();
                let field = if field.is_empty() {
                    name.to_owned()
                } else {
                    format!("{field}.{name}")
                };
                compare(&field, was.get(key), is.get(key), changes);
            }
        }
        (Some(Value::Sequence(was)), Some(Value::Sequence(is))) if named(was) && named(is) => {
            let find = |items: &'_ [Value], name: &str| {
                items.iter().position(|item| label(item) == Some(name))
            };
            let before = changes.len();
            for item in is {
                let name = label(item).unwrap_or_default();
                let other = find(was, name).and_then(|i| was.get(i));
                compare(&format!("{field}[{name}]"), other, Some(item), changes);
            }
            for item in was {
                let name = label(item).unwrap_or_default();
                if find(is, name).is_none() {
                    compare(&format!("{field}[{name}]"), Some(item), None, changes);
                }
            }
            if changes.len() == before {
                changes.push(Change {
                    field: field.to_owned(),
                    old: Some("in another order".into()),
                    new: Some("in this order".into()),
                });
            }
        }
        _ => changes.push(Change {
            field: field.to_owned(),
            old: old.map(one_line),
            new: new.map(one_line),
        }),
    }
}

/// What identifies an item among its siblings.
fn label(item: &Value) -> Option<&str> {
    ["account", "id", "host", "name", "funder"]
        .iter()
        .find_map(|key| item.get(*key)?.as_str())
}

/// True where every item has a label of its own.
fn named(items: &[Value]) -> bool {
    let mut labels: Vec<_> = items.iter().map(label).collect();
    labels.sort_unstable();
    labels.first().is_none_or(Option::is_some)
        && labels.windows(2).all(|pair| pair.first() != pair.last())
}

fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('\n', " "),
        value => serde_json::to_string(value).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Strictness, read};
    use super::*;

    fn definition(rest: &str) -> Definition {
        let text = format!("octonas: 1\ncode: lake\n{rest}");
        read(text.as_bytes(), Strictness::Stored).unwrap()
    }

    fn changes(old: &str, new: &str) -> Vec<String> {
        let changes = definition(new).diff(&definition(old)).unwrap();
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_difference_is_named_by_field_and_by_who_it_is_about() {
        let old = "title: A\npeople: [{name: Marie, account: mdurand, access: write}, {name: Paul}]\nkeywords: [a]";
        let new = "title: B\npeople: [{name: Paul}, {name: Marie, account: mdurand, access: read, until: 2027-01-31}]\n\
                   keywords: [a, b]\nprotocols: {ftp: true}";
        assert_eq!(
            changes(old, new),
            [
                "title: A → B",
                "people[mdurand].access: write → read",
                "people[mdurand].until: new: 2027-01-31",
                "keywords: [\"a\"] → [\"a\",\"b\"]",
                "protocols.ftp: false → true",
            ]
        );
        assert_eq!(
            changes("title: A\npeople: [{name: Paul}]", "title: A"),
            ["people: gone: [{\"name\":\"Paul\"}]"]
        );
    }

    #[test]
    fn the_same_definition_differs_in_nothing_and_another_order_is_seen() {
        let two = "title: A\npeople: [{name: Marie}, {name: Paul}]";
        assert!(changes(two, two).is_empty());
        assert_eq!(
            changes(two, "title: A\npeople: [{name: Paul}, {name: Marie}]"),
            ["people: in another order → in this order"]
        );
    }

    #[test]
    fn two_people_of_one_name_are_still_compared() {
        let two = "title: A\npeople: [{name: Marie}, {name: Marie}]";
        assert_eq!(
            changes(two, &two.replace("Marie}]", "Marie, affiliation: ENS}]")).len(),
            1
        );
    }

    #[test]
    fn id_code_and_base_are_fixed_for_life() {
        let old = definition(
            "title: A\nid: 0b9e4c1a-7d52-4a0b-9c3e-5f6a7b8c9d0e\nstorage: {base: /srv/a}",
        );
        for (rest, field) in [
            ("title: A\nid: 1b9e4c1a-7d52-4a0b-9c3e-5f6a7b8c9d0e", "id"),
            ("title: A\nstorage: {base: /srv/b}", "storage.base"),
        ] {
            let error = check_edit(&old, &definition(rest)).unwrap_err();
            assert_eq!(
                (error.code(), error.field_name()),
                ("definition.fixed", Some(field))
            );
        }
        let other = read(b"octonas: 1\ncode: river\ntitle: A", Strictness::Given).unwrap();
        assert_eq!(
            check_edit(&old, &other).unwrap_err().field_name(),
            Some("code")
        );
        let silent = definition("title: B");
        check_edit(&old, &silent).unwrap();
        let edited = silent.inheriting(&old);
        assert_eq!(
            (edited.id, &edited.storage.base),
            (old.id, &old.storage.base)
        );
    }

    #[test]
    fn an_edit_cannot_reopen_by_the_way() {
        let old = definition("title: A\nstatus: closed");
        assert_eq!(
            definition("title: B").inheriting(&old).status,
            Status::Closed
        );
        let draft = definition("title: A\nstatus: draft");
        assert_eq!(
            definition("title: B").inheriting(&draft).status,
            Status::Active
        );
    }
}
