//! The plan: a pure comparison of what is desired, what we last applied, and what is observed.
//!
//! It works attribute by attribute, because a person edits attribute by attribute: when an admin took one member out by
//! hand and the definition gains another, the first stays out and the second comes in. The rules, for one attribute with
//! desired `d`, applied `a`, observed `o`:
//!
//! | case | meaning | what is done |
//! | --- | --- | --- |
//! | `o = d` | as it should be | nothing |
//! | `o = a ≠ d` | the definition changed | set `d` |
//! | `a = d ≠ o` | changed by hand: drift | named; set `d` only when mending |
//! | all differ, `o` is gone | taken away by hand | named; set `d` only when mending |
//! | all differ otherwise | both changed | the definition was changed on purpose: set `d` |

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::desired::MARK;
use super::effect;
use crate::object::{self, Attributes, Found, Kind, ObjectId, Objects};
use crate::report::Said;

/// What we remember of an experiment: what we made, and what we were about to make.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Objects that we made, as we made them.
    pub objects: BTreeMap<ObjectId, Found>,
    /// Objects that we were about to make when we last wrote.
    pub intents: BTreeMap<ObjectId, Attributes>,
}

/// What to do with one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Make it.
    Create,
    /// Change it.
    Update,
    /// Take it away.
    Delete,
    /// It is as it should be: only our memory has to follow.
    Record,
    /// It is gone (or not ours any more): only our memory has to follow.
    Forget,
}

/// One idempotent step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which object.
    #[serde(serialize_with = "object::named")]
    pub object: ObjectId,
    /// What to do.
    pub action: Action,
    /// How the object will be (empty for `Delete` and `Forget`).
    pub attributes: Attributes,
    /// What to remember of it; differs from `attributes` where drift is left as it is.
    #[serde(skip)]
    pub record: Attributes,
    /// `attribute: before → after`, for people.
    pub changes: Vec<String>,
}

impl Step {
    /// The attributes with this prefix that the object gets and did not have, without the prefix.
    pub fn gives<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> {
        self.attributes.keys().filter_map(move |name| {
            let rest = name.strip_prefix(prefix)?;
            let new = difference(name, None, self.attributes.get(name));
            self.changes.contains(&new).then_some(rest)
        })
    }
}

/// A difference that somebody made by hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// Which object.
    #[serde(serialize_with = "object::named")]
    pub object: ObjectId,
    /// Which attribute; `None` where the whole object is gone or another one took its name.
    pub attribute: Option<String>,
    /// What we made.
    pub applied: Option<String>,
    /// What is there.
    pub observed: Option<String>,
    /// What it means for people's access.
    pub effect: Said,
}

/// An object that bears a name that we need, and is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Which object.
    #[serde(serialize_with = "object::named")]
    pub object: ObjectId,
    /// Why it cannot be used.
    pub reason: Said,
}

/// What has to be done, what drifted, and what stands in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
    /// Differences made by hand, whether or not they will be mended.
    pub drift: Vec<Drift>,
    /// What stands in the way; nothing is carried out while there is one.
    pub conflicts: Vec<Conflict>,
    /// Accounts that lose a membership by this plan, or lost one by hand and are now out of the definition too: their
    /// open sessions keep the old rights and have to end.
    #[serde(skip)]
    pub revoked: BTreeSet<String>,
}

impl Plan {
    /// True where a group is made, whose number nobody knows before.
    pub fn makes_groups(&self) -> bool {
        self.steps
            .iter()
            .any(|step| step.object.kind == Kind::Group && step.action == Action::Create)
    }

    /// True where somebody else has a group of ours, by its name.
    pub fn has_foreign_group(&self) -> bool {
        self.drift.iter().any(|drift| {
            drift.object.kind == Kind::Group
                && drift.attribute.is_none()
                && drift.observed.is_some()
        })
    }

    /// The kinds of objects that this plan changes on the NAS.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.steps
            .iter()
            .filter(|step| {
                matches!(
                    step.action,
                    Action::Create | Action::Update | Action::Delete
                )
            })
            .map(|step| step.object.kind)
            .collect()
    }

    /// True where nothing is to be done, and nothing was changed by hand.
    pub fn is_settled(&self) -> bool {
        self.is_empty() && self.drift.is_empty()
    }

    /// True when there is nothing to do on the NAS.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.conflicts.is_empty()
    }
}

/// How to compare.
pub struct Terms<'a> {
    /// The text by which we recognise in a comment that an object is ours: the experiment's id.
    pub marker: &'a str,
    /// Set right what was changed by hand.
    pub mend: bool,
    /// Accounts to whom nothing can be given, because the NAS does not have them. What they lost stays named.
    pub absent: &'a BTreeSet<String>,
}

impl Terms<'_> {
    /// True for what would be given to somebody who is not there.
    fn is_vain(&self, attribute: &str) -> bool {
        attribute.split_once(':').is_some_and(|(what, who)| {
            matches!(what, "member" | "jail" | "user") && self.absent.contains(who)
        })
    }
}

/// Compares.
pub fn plan(
    desired: &Objects,
    memory: &Memory,
    observed: &BTreeMap<ObjectId, Found>,
    terms: &Terms<'_>,
) -> Plan {
    let mut plan = Plan::default();
    let mut deletions = Vec::new();
    let names: BTreeSet<&ObjectId> = desired
        .keys()
        .chain(memory.objects.keys())
        .chain(memory.intents.keys())
        .filter(|id| !id.kind.is_memory())
        .collect();
    for id in names {
        let applied = memory.objects.get(id);
        let intended = memory.intents.contains_key(id);
        match (desired.get(id), observed.get(id)) {
            (Some(want), None) => wanted_but_absent(&mut plan, id, want, applied, terms),
            (Some(want), Some(found)) => {
                if let Some(base) = ours(id, applied, intended, found, terms.marker) {
                    three_way(&mut plan, id, want, &base, found, terms, intended);
                } else {
                    foreign(&mut plan, id, applied);
                }
            }
            (None, Some(found)) if ours(id, applied, intended, found, terms.marker).is_some() => {
                deletions.push(Step {
                    object: id.clone(),
                    action: Action::Delete,
                    attributes: Attributes::new(),
                    record: Attributes::new(),
                    changes: differences(&found.attributes, &Attributes::new()),
                });
            }
            (None, _) => deletions.push(Step {
                object: id.clone(),
                action: Action::Forget,
                attributes: Attributes::new(),
                record: Attributes::new(),
                changes: Vec::new(),
            }),
        }
    }
    deletions.reverse();
    plan.steps.extend(deletions);
    // Rights are given by name: while a group of ours is somebody else's, no directory is given to it.
    if plan.has_foreign_group() {
        plan.steps
            .retain(|step| step.object.kind != Kind::Directory);
    }
    plan.revoked = revoked(&plan.steps, memory, observed);
    plan
}

/// Whoever stands in a group that a step touches, or is let into a share by name, in our memory or on the NAS, and will not
/// be afterwards.
fn revoked(
    steps: &[Step],
    memory: &Memory,
    observed: &BTreeMap<ObjectId, Found>,
) -> BTreeSet<String> {
    let named = |kind: Kind, attributes: &Attributes| -> BTreeSet<String> {
        let prefix = if kind == Kind::Group {
            "member:"
        } else {
            "user:"
        };
        attributes
            .keys()
            .filter_map(|name| name.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    };
    let mut out = BTreeSet::new();
    for step in steps {
        let kind = step.object.kind;
        if !matches!(kind, Kind::Group | Kind::Privileges) {
            continue;
        }
        let stays = named(kind, &step.attributes);
        let remembered = named(kind, &step.record);
        for before in [memory.objects.get(&step.object), observed.get(&step.object)] {
            let before = before
                .map(|found| named(kind, &found.attributes))
                .unwrap_or_default();
            // Somebody who was taken out by hand and is still meant to be in is drift, not a revocation.
            out.extend(
                before
                    .into_iter()
                    .filter(|who| !stays.contains(who) && !remembered.contains(who)),
            );
        }
    }
    out
}

/// What we applied to an object, if it is ours. A directory inside the experiment always is: nobody else can make one
/// in the frame. Where we had only intended to make it (again), it is ours if its comment bears our marker.
fn ours(
    id: &ObjectId,
    applied: Option<&Found>,
    intended: bool,
    found: &Found,
    marker: &str,
) -> Option<Attributes> {
    let follows_another = matches!(
        id.kind,
        Kind::Directory | Kind::Quota | Kind::Mounts | Kind::Privileges
    );
    let comment = found.attributes.get("comment").map_or("", String::as_str);
    // "Revert" in the panel takes away the NAS's record of a group, or brings back the one of an earlier experiment of
    // the same code; the system keeps the group.
    let is_stale = id.kind == Kind::Group && comment.starts_with(MARK) && !comment.contains(marker);
    let lost_its_record = is_stale || (id.kind == Kind::Group && found.reference.is_none());
    match applied {
        // Still the one we made, and mending registers it again. A group that somebody else registered has another
        // reference.
        Some(made) if made.reference == found.reference || lost_its_record => {
            Some(made.attributes.clone())
        }
        Some(_) if !intended => None,
        None if follows_another => Some(Attributes::new()),
        _ => {
            let bears_marker = found
                .attributes
                .get("comment")
                .or_else(|| found.attributes.get("id"))
                .is_some_and(|text| text.contains(marker));
            (intended && (bears_marker || follows_another || is_stale)).then(Attributes::new)
        }
    }
}

fn foreign(plan: &mut Plan, id: &ObjectId, applied: Option<&Found>) {
    if applied.is_some() {
        plan.drift.push(Drift {
            object: id.clone(),
            attribute: None,
            applied: Some("ours".into()),
            observed: Some("another of the same name".into()),
            effect: effect::replaced(id),
        });
    } else {
        plan.conflicts.push(Conflict {
            object: id.clone(),
            reason: Said {
                en: format!("{id} exists already and was not made by OctoNAS for this experiment"),
                fr: format!(
                    "{} : existe déjà, et OctoNAS ne l'a pas fait pour cette expérience",
                    id.french()
                ),
            },
        });
    }
}

fn wanted_but_absent(
    plan: &mut Plan,
    id: &ObjectId,
    want: &Attributes,
    applied: Option<&Found>,
    terms: &Terms<'_>,
) {
    if applied.is_some() {
        plan.drift.push(Drift {
            object: id.clone(),
            attribute: None,
            applied: Some("there".into()),
            observed: None,
            effect: effect::missing(id),
        });
        if !terms.mend {
            return;
        }
    }
    let mut want = want.clone();
    want.retain(|name, _| !terms.is_vain(name));
    plan.steps.push(Step {
        object: id.clone(),
        action: Action::Create,
        changes: differences(&Attributes::new(), &want),
        record: want.clone(),
        attributes: want,
    });
}

fn three_way(
    plan: &mut Plan,
    id: &ObjectId,
    want: &Attributes,
    applied: &Attributes,
    found: &Found,
    terms: &Terms<'_>,
    intended: bool,
) {
    let observed = &found.attributes;
    let mut target = Attributes::new();
    let mut record = Attributes::new();
    let names: BTreeSet<&String> = want
        .keys()
        .chain(applied.keys())
        .chain(observed.keys().filter(|name| is_grant(name)))
        .collect();
    for name in names {
        let (d, a, o) = (want.get(name), applied.get(name), observed.get(name));
        let by_hand = o != d && o != a && (a == d || o.is_none());
        if by_hand {
            plan.drift.push(Drift {
                object: id.clone(),
                attribute: Some(name.clone()),
                applied: a.cloned(),
                observed: o.cloned(),
                effect: effect::of(id, name, a.map(String::as_str), o.map(String::as_str)),
            });
        }
        let vain = d.is_some() && o.is_none() && terms.is_vain(name);
        let left_alone = vain || (by_hand && !terms.mend);
        let (value, remembered) = if left_alone { (o, a) } else { (d, d) };
        if let Some(value) = value {
            target.insert(name.clone(), value.clone());
        }
        if let Some(value) = remembered {
            record.insert(name.clone(), value.clone());
        }
    }
    let managed: Attributes = observed
        .iter()
        .filter(|(name, _)| {
            target.contains_key(*name) || applied.contains_key(*name) || is_grant(name)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let changes = differences(&managed, &target);
    let action = if !changes.is_empty() {
        Action::Update
    } else if record != *applied || intended {
        // What was about to be made is there: the intent is done with.
        Action::Record
    } else {
        return;
    };
    plan.steps.push(Step {
        object: id.clone(),
        action,
        attributes: target,
        record,
        changes,
    });
}

/// Attributes that give somebody something: one that we did not make is drift, while other attributes that the NAS has
/// beyond ours are its own business.
fn is_grant(name: &str) -> bool {
    name.contains(':')
}

fn differences(from: &Attributes, to: &Attributes) -> Vec<String> {
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    names
        .into_iter()
        .filter(|name| from.get(*name) != to.get(*name))
        .map(|name| difference(name, from.get(name), to.get(name)))
        .collect()
}

fn difference(name: &str, from: Option<&String>, to: Option<&String>) -> String {
    let show = |value: Option<&String>| value.map_or("(none)".to_owned(), Clone::clone);
    format!("{name}: {} → {}", show(from), show(to))
}

#[cfg(test)]
mod tests;
