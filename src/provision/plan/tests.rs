//! The table of desired, applied and observed, case by case.

use super::*;

fn group(reference: Option<&str>, comment: &str) -> Found {
    Found {
        reference: reference.map(str::to_owned),
        attributes: [("comment".to_owned(), comment.to_owned())].into(),
    }
}

#[test]
fn a_group_that_the_nas_forgot_is_still_ours_and_one_that_it_has_anew_is_not() {
    let id = ObjectId::new(Kind::Group, "exp-eco-w");
    let made = group(Some("one"), "OctoNAS 1");
    let is_ours = |found: &Found| ours(&id, Some(&made), false, found, "1").is_some();
    assert!(is_ours(&made));
    assert!(is_ours(&group(None, "")));
    assert!(is_ours(&group(
        Some("two"),
        "OctoNAS 0, which had the same code"
    )));
    assert!(!is_ours(&group(Some("two"), "OctoNAS 1")));
    assert!(!is_ours(&group(Some("two"), "somebody else's")));
    let intended = |found: &Found| ours(&id, None, true, found, "1").is_some();
    assert!(intended(&group(Some("two"), "OctoNAS 0")));
    assert!(!intended(&group(Some("two"), "somebody else's")));
    assert!(!intended(&group(None, "")));
    let share = ObjectId::new(Kind::SmbShare, "eco");
    assert!(ours(&share, Some(&made), false, &group(None, ""), "1").is_none());
}

fn one(value: Option<&str>) -> Attributes {
    value
        .map(|value| Attributes::from([("member:ada".to_owned(), value.to_owned())]))
        .unwrap_or_default()
}

/// The plan for one group with one attribute that is desired, applied and observed so.
fn compare(d: Option<&str>, a: Option<&str>, o: Option<&str>, mend: bool, absent: bool) -> Plan {
    let id = ObjectId::new(Kind::Group, "exp-eco-w");
    let found = |value| Found {
        reference: Some("one".to_owned()),
        attributes: one(value),
    };
    let memory = Memory {
        objects: [(id.clone(), found(a))].into(),
        intents: BTreeMap::new(),
    };
    let gone = if absent {
        BTreeSet::from(["ada".to_owned()])
    } else {
        BTreeSet::new()
    };
    let terms = Terms {
        marker: "1",
        mend,
        absent: &gone,
    };
    plan(
        &[(id.clone(), one(d))].into(),
        &memory,
        &[(id, found(o))].into(),
        &terms,
    )
}

#[test]
fn each_case_of_desired_applied_and_observed_is_decided_as_the_table_says() {
    let yes = Some("yes");
    // desired, applied, observed, mend → what is put, whether it is drift
    let cases = [
        (yes, yes, yes, false, None, false),
        (yes, None, None, false, Some(yes), false),
        (None, yes, yes, false, Some(None), false),
        (yes, yes, None, false, None, true),
        (yes, yes, None, true, Some(yes), true),
        (None, None, yes, false, None, true),
        (None, None, yes, true, Some(None), true),
        (Some("2"), Some("1"), None, false, None, true),
        (
            Some("2"),
            Some("1"),
            Some("3"),
            false,
            Some(Some("2")),
            false,
        ),
    ];
    for (d, a, o, mend, put, drift) in cases {
        let plan = compare(d, a, o, mend, false);
        let update = plan.steps.iter().find(|step| step.action == Action::Update);
        let now = update.map(|step| step.attributes.get("member:ada").map(String::as_str));
        assert_eq!(now, put, "{d:?} {a:?} {o:?} mend {mend}");
        assert_eq!(
            !plan.drift.is_empty(),
            drift,
            "{d:?} {a:?} {o:?} mend {mend}"
        );
    }
}

#[test]
fn what_was_taken_away_stays_remembered_until_it_is_mended() {
    let plan = compare(Some("yes"), Some("yes"), None, false, false);
    assert!(plan.steps.is_empty() && plan.revoked.is_empty());
}

#[test]
fn nothing_is_given_to_an_account_that_is_not_there_and_nothing_else_waits_for_it() {
    for mend in [false, true] {
        let plan = compare(Some("yes"), Some("yes"), None, mend, true);
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        assert_eq!(plan.drift.len(), 1);
        assert!(
            compare(Some("yes"), None, None, mend, true)
                .steps
                .is_empty()
        );
    }
}

#[test]
fn whoever_loses_a_membership_is_revoked_also_when_a_hand_was_quicker() {
    let ada = BTreeSet::from(["ada".to_owned()]);
    assert_eq!(
        compare(None, Some("yes"), Some("yes"), false, false).revoked,
        ada
    );
    assert_eq!(compare(None, Some("yes"), None, false, false).revoked, ada);
    assert!(
        compare(Some("yes"), None, None, false, false)
            .revoked
            .is_empty()
    );
}

#[test]
fn while_a_group_of_ours_is_somebody_elses_no_directory_is_given_to_it() {
    let group = ObjectId::new(Kind::Group, "exp-eco-w");
    let entry = ObjectId::new(Kind::Entry, "eco");
    let leaf = ObjectId::new(Kind::Directory, "raw");
    let found = |reference: &str, key: &str, value: &str| Found {
        reference: (!reference.is_empty()).then(|| reference.to_owned()),
        attributes: [(key.to_owned(), value.to_owned())].into(),
    };
    let made = found("one", "comment", "OctoNAS 1");
    let directory = |mode: &str| found("", "mode", mode);
    let desired = [
        (group.clone(), made.attributes.clone()),
        (entry.clone(), found("", "id", "1").attributes),
        (leaf.clone(), directory("2770").attributes),
    ]
    .into();
    let memory = Memory {
        objects: [
            (group.clone(), made.clone()),
            (leaf.clone(), directory("2770")),
        ]
        .into(),
        intents: BTreeMap::new(),
    };
    let nobody = BTreeSet::new();
    for mend in [false, true] {
        let kinds = |group_there: &Found| {
            let observed = [
                (group.clone(), group_there.clone()),
                (leaf.clone(), directory("0777")),
            ];
            let terms = Terms {
                marker: "1",
                mend,
                absent: &nobody,
            };
            let plan = plan(&desired, &memory, &observed.into(), &terms);
            (plan.has_foreign_group(), plan.kinds())
        };
        let ours = BTreeSet::from([Kind::Entry]);
        let mended = BTreeSet::from([Kind::Entry, Kind::Directory]);
        let expected = if mend { mended } else { ours.clone() };
        assert_eq!(kinds(&made), (false, expected), "mend {mend}");
        // Made again by somebody else, with our comment or theirs.
        for comment in ["OctoNAS 1", "theirs"] {
            let theirs = found("two", "comment", comment);
            assert_eq!(kinds(&theirs), (true, ours.clone()), "mend {mend}");
        }
    }
}
