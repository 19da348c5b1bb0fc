//! `nas::omv` against a double of omv-engined on a real socket (tests/engined). What needs mounts runs in a private
//! mount namespace, and says so aloud where the machine does not allow one.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "a test makes its own files and processes, and may fail"
)]

mod engined;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use octonas::experiment::AccountName;
use octonas::nas::{Attributes, Found, Kind, Nas, ObjectId, Observation};
use octonas::report::Hidden;
use serde_json::json;

use engined::{Double, attributes, in_namespace};

/// The objects of an experiment `lake`, as `provision` wants them.
fn lake(path: &Path) -> Vec<(ObjectId, Attributes)> {
    let path = path.to_str().unwrap();
    vec![
        (
            ObjectId::new(Kind::Group, "exp-lake-w"),
            attributes(&[("comment", "OctoNAS id-1"), ("member:games", "yes")]),
        ),
        (
            ObjectId::new(Kind::Group, "exp-lake-r"),
            attributes(&[("comment", "OctoNAS id-1"), ("member:news", "yes")]),
        ),
        (
            ObjectId::new(Kind::Entry, "lake"),
            attributes(&[
                ("id", "id-1"),
                ("path", path),
                ("read-only", "false"),
                ("sftp", "true"),
                ("rsync", "false"),
                ("shared-folder", ""),
                ("person:games", "write"),
                ("person:news", "read"),
            ]),
        ),
        (
            ObjectId::new(Kind::SharedFolder, "lake"),
            attributes(&[("path", path), ("comment", "OctoNAS id-1")]),
        ),
        (
            ObjectId::new(Kind::Privileges, "lake"),
            attributes(&[("group:exp-lake-w", "write"), ("group:exp-lake-r", "read")]),
        ),
        (
            ObjectId::new(Kind::SmbShare, "lake"),
            attributes(&[("enable", "true"), ("comment", "OctoNAS id-1")]),
        ),
    ]
}

fn put_all(nas: &dyn Nas, objects: &[(ObjectId, Attributes)]) -> BTreeMap<ObjectId, Found> {
    objects
        .iter()
        .map(|(id, attributes)| {
            let reference = nas.put(id, attributes, None).unwrap();
            let attributes = attributes.clone();
            (
                id.clone(),
                Found {
                    reference,
                    attributes,
                },
            )
        })
        .collect()
}

/// True where everything that was put is observed, under the reference that putting gave.
fn assert_observed(seen: &Observation, made: &BTreeMap<ObjectId, Found>) {
    for (id, found) in made {
        let there = seen
            .objects
            .get(id)
            .unwrap_or_else(|| panic!("{id} is not observed"));
        assert_eq!(there.reference, found.reference, "{id}");
        for (key, value) in &found.attributes {
            assert_eq!(there.attributes.get(key), Some(value), "{id}: {key}");
        }
    }
}

#[test]
fn what_is_put_is_observed_and_put_again_it_changes_nothing() {
    let double = Double::start();
    let path = double.directory("lake");
    let nas = double.connect();
    let objects = lake(&path);
    let made = put_all(&nas, &objects);
    assert_observed(&nas.observe().unwrap(), &made);
    let before = double.state();
    let again = put_all(&nas, &objects);
    assert_eq!(again, made);
    let after = double.state();
    for list in ["groups", "sharedfolders", "smbshares", "experiments"] {
        assert_eq!(before[list], after[list], "{list}");
    }
    let share = &after["smbshares"][0];
    assert_eq!(share["storedosattributes"], true);
    assert_eq!(share["guest"], "no");
}

#[test]
fn a_snapshot_costs_eight_calls_and_the_next_five_whatever_the_number_of_experiments() {
    let double = Double::start();
    let nas = double.connect();
    let count = |nas: &octonas::nas::omv::Omv| nas.counters().values().sum::<u64>();
    let before = count(&nas);
    nas.observe().unwrap();
    assert_eq!(count(&nas) - before, 8);
    put_all(&nas, &lake(&double.directory("lake")));
    let before = count(&nas);
    nas.observe().unwrap();
    assert_eq!(count(&nas) - before, 5);
}

#[test]
fn the_directory_is_left_as_it_is_and_never_made_by_openmediavault() {
    use std::os::unix::fs::PermissionsExt as _;
    let double = Double::start();
    let path = double.directory("lake");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o2750)).unwrap();
    let nas = double.connect();
    put_all(&nas, &lake(&path));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o2750
    );

    let absent = double.base().join("pond");
    let folder = ObjectId::new(Kind::SharedFolder, "pond");
    let e = nas
        .put(
            &folder,
            &attributes(&[("path", absent.to_str().unwrap())]),
            None,
        )
        .unwrap_err();
    assert_eq!(e.code(), "nas.no-directory");
    assert!(!absent.exists());
}

#[test]
fn everything_is_taken_away_in_reverse_and_files_stay() {
    let double = Double::start();
    let path = double.directory("lake");
    std::fs::write(path.join("data"), "x").unwrap();
    let nas = double.connect();
    let objects = lake(&path);
    let mut made = put_all(&nas, &objects);
    // As `provision` does: the entry learns of the folder, which then is in use.
    let uuid = made[&ObjectId::new(Kind::SharedFolder, "lake")]
        .reference
        .clone()
        .unwrap();
    let entry = ObjectId::new(Kind::Entry, "lake");
    let mut linked = made[&entry].attributes.clone();
    linked.insert("shared-folder".into(), uuid);
    nas.put(&entry, &linked, None).unwrap();
    made.get_mut(&entry).unwrap().attributes = linked;

    for _ in 0..2 {
        for (id, _) in objects.iter().rev() {
            nas.delete(id, &made[id])
                .unwrap_or_else(|e| panic!("{id}: {e}"));
        }
    }
    let state = double.state();
    for list in ["sharedfolders", "smbshares", "experiments", "grouprecords"] {
        assert_eq!(state[list], json!([]), "{list}");
    }
    assert_eq!(std::fs::read_to_string(path.join("data")).unwrap(), "x");
}

#[test]
fn a_member_whom_somebody_else_adds_meanwhile_stays() {
    let double = Double::start();
    let nas = double.connect();
    let id = ObjectId::new(Kind::Group, "exp-lake-w");
    nas.put(
        &id,
        &attributes(&[("comment", "c"), ("member:games", "yes")]),
        None,
    )
    .unwrap();
    let seen = nas.observe().unwrap().objects[&id].clone();
    double.edit(|state| {
        let groups = state["groups"].as_array_mut().unwrap();
        let group = groups
            .iter_mut()
            .find(|g| g["name"] == "exp-lake-w")
            .unwrap();
        group["members"] = json!(["games", "news"]);
    });
    nas.put(
        &id,
        &attributes(&[("comment", "c"), ("member:irc", "yes")]),
        Some(&seen),
    )
    .unwrap();
    let members: Vec<String> = nas.observe().unwrap().objects[&id]
        .attributes
        .keys()
        .filter_map(|k| k.strip_prefix("member:").map(str::to_owned))
        .collect();
    assert_eq!(
        members,
        ["irc", "news"],
        "games was dropped, irc added, news is somebody else's"
    );
}

#[test]
fn rows_of_others_stay_and_those_of_deleted_accounts_do_not_block() {
    let double = Double::start();
    let path = double.directory("lake");
    let nas = double.connect();
    let objects = lake(&path);
    let made = put_all(&nas, &objects);
    double.edit(|state| {
        let rows = &mut state["sharedfolders"][0]["privileges"]["privilege"];
        rows.as_array_mut().unwrap().extend([
            json!({"type": "user", "name": "irc", "perms": 5}),
            json!({"type": "user", "name": "deleted", "perms": 7}),
        ]);
    });
    let id = ObjectId::new(Kind::Privileges, "lake");
    nas.put(&id, &made[&id].attributes, Some(&made[&id]))
        .unwrap();
    let now = &nas.observe().unwrap().objects[&id];
    assert_eq!(
        now.attributes.get("user:irc").map(String::as_str),
        Some("read")
    );
    assert!(!now.attributes.contains_key("user:deleted"));
}

#[test]
fn an_account_gets_a_long_password_that_is_nowhere_to_be_read() {
    let double = Double::start();
    let nas = double.connect();
    let name = AccountName::parse("mdurand").unwrap();
    let password = nas
        .create_account(&name, "M: Durand\n", None)
        .unwrap()
        .unwrap();
    assert!(password.len() >= 24);
    let state = double.state();
    let user = state["users"]
        .as_array()
        .unwrap()
        .iter()
        .find(|u| u["name"] == "mdurand")
        .unwrap();
    assert_eq!(user["samba"], "set");
    assert!(!state.to_string().contains(password.as_str()));
    let e = nas.create_account(&name, "", None).unwrap_err();
    assert_eq!(e.code(), "nas.account-exists");
    assert!(!format!("{e:?}").contains(password.as_str()));
}

#[test]
fn a_crash_of_engined_between_its_own_steps_is_healed_by_asking_again() {
    for step in ["before", "stored", "added", "after"] {
        let mut double = Double::start();
        let nas = double.connect();
        let id = ObjectId::new(Kind::Group, "exp-lake-w");
        let wanted = attributes(&[("comment", "c"), ("member:games", "yes")]);
        double.fault(json!({"method": "UserMgmt.setGroup", "at": step, "do": "die"}));
        let e = nas.put(&id, &wanted, None).unwrap_err();
        assert_eq!(e.code(), "nas.unreachable", "{step}");
        double.restart();
        nas.put(&id, &wanted, None).unwrap();
        let seen = nas.observe().unwrap();
        assert_eq!(seen.objects[&id].attributes, wanted, "{step}");
        assert_eq!(
            double.state()["grouprecords"].as_array().unwrap().len(),
            1,
            "{step}"
        );
        nas.delete(&id, &seen.objects[&id]).unwrap();
    }
}

#[test]
fn a_group_that_engined_half_deleted_is_deleted_whole() {
    let mut double = Double::start();
    let nas = double.connect();
    let id = ObjectId::new(Kind::Group, "exp-lake-w");
    nas.put(
        &id,
        &attributes(&[("comment", "c"), ("member:games", "yes")]),
        None,
    )
    .unwrap();
    double.fault(json!({"method": "UserMgmt.deleteGroup", "at": "removed", "do": "die"}));
    assert!(nas.delete(&id, &Found::default()).is_err());
    double.restart();
    nas.delete(&id, &Found::default()).unwrap();
    assert_eq!(double.state()["grouprecords"], json!([]));
}

#[test]
fn silence_is_a_timeout_and_a_refusal_carries_their_words() {
    let double = Double::start();
    let nas = double.connect();
    let id = ObjectId::new(Kind::Group, "exp-lake-w");
    double.fault(json!({"method": "UserMgmt.setGroup", "do": "hang"}));
    assert_eq!(
        nas.put(&id, &Attributes::new(), None).unwrap_err().code(),
        "nas.timeout"
    );
    let e = nas
        .put(&id, &attributes(&[("member:ghost", "yes")]), None)
        .unwrap_err();
    assert_eq!(e.code(), "nas.refused");
    assert!(
        e.hint_text()
            .unwrap()
            .contains("user 'ghost' does not exist"),
        "{e:?}"
    );
}

#[test]
fn only_our_modules_are_applied_and_members_alone_restart_nothing() {
    let double = Double::start();
    double.edit(|state| state["dirty"] = json!(["fstab"]));
    let nas = double.connect();
    let objects = lake(&double.directory("lake"));
    put_all(&nas, &objects);
    let kinds: BTreeSet<Kind> = [Kind::SharedFolder, Kind::Privileges, Kind::SmbShare].into();
    let told = nas.interruption(&kinds);
    assert_eq!(
        told.modules,
        ["avahi", "octonas", "samba", "sharedfolders", "systemd"]
    );
    nas.activate(&kinds, &Hidden).unwrap();
    let state = double.state();
    assert_eq!(
        state["dirty"],
        json!(["fstab"]),
        "somebody else's module stays as it is"
    );
    assert_eq!(state["restarts"]["samba"], 1);

    let group = ObjectId::new(Kind::Group, "exp-lake-w");
    nas.put(
        &group,
        &attributes(&[("comment", "OctoNAS id-1"), ("member:irc", "yes")]),
        None,
    )
    .unwrap();
    assert!(double.state()["dirty"].to_string().contains("samba"));
    nas.activate(&BTreeSet::from([Kind::Group]), &Hidden)
        .unwrap();
    assert_eq!(
        double.state()["restarts"]["samba"],
        1,
        "nobody's SMB session was cut"
    );
}

#[test]
fn a_deployment_that_fails_says_why_and_can_be_repeated() {
    let double = Double::start();
    let nas = double.connect();
    put_all(&nas, &lake(&double.directory("lake")));
    let kinds: BTreeSet<Kind> = [Kind::SmbShare].into();
    double.fault(
        json!({"method": "Config.applyChanges", "at": "deploy:samba", "do": "fail",
                        "message": "Comment: Unable to run smbd"}),
    );
    let e = nas.activate(&kinds, &Hidden).unwrap_err();
    assert_eq!(e.code(), "nas.apply-failed");
    assert!(
        e.hint_text().unwrap().contains("Unable to run smbd"),
        "{e:?}"
    );
    nas.activate(&kinds, &Hidden).unwrap();
    assert!(!double.state()["dirty"].to_string().contains("samba"));
}

#[test]
fn a_base_is_kept_by_the_disk_that_it_is_on() {
    let double = Double::start();
    let nas = double.connect();
    nas.add_base(&double.base()).unwrap();
    nas.add_base(&double.base()).unwrap();
    let bases = nas.bases().unwrap();
    assert_eq!(bases.len(), 1);
    assert_eq!(bases[0].path, double.base());
    assert!(!bases[0].available, "the test's disk is only a folder");
    let e = nas.add_base(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(e.code(), "nas.not-on-a-disk");
}

#[test]
fn experiments_are_mounted_upon_themselves_and_jails_show_what_may_be_seen() {
    in_namespace(
        "experiments_are_mounted_upon_themselves_and_jails_show_what_may_be_seen",
        || {
            let double = Double::start();
            engined::confining_sshd(&double.jails());
            let path = double.directory("lake");
            let nas = double.connect();
            let objects = lake(&path);
            put_all(&nas, &objects);
            let mounts = ObjectId::new(Kind::Mounts, "lake");
            nas.put(&mounts, &Attributes::new(), None).unwrap();
            let wanted = attributes(&[
                ("self", "rw"),
                ("self.flags", "nodev,nosuid,nosymfollow"),
                ("jail:games", "rw"),
                ("jail:news", "ro"),
            ]);
            assert_eq!(nas.observe().unwrap().objects[&mounts].attributes, wanted);
            nas.activate(&BTreeSet::from([Kind::Entry]), &Hidden)
                .unwrap();

            let jail = double.jails().join("news");
            std::fs::write(path.join("data"), "x").unwrap();
            assert_eq!(
                std::fs::read_to_string(jail.join("experiments/lake/data")).unwrap(),
                "x"
            );
            assert!(std::fs::write(jail.join("experiments/lake/more"), "x").is_err());
            std::fs::write(double.jails().join("games/experiments/lake/more"), "x").unwrap();
            assert_eq!(
                std::fs::read_to_string(jail.join("etc/octonas-doors")).unwrap(),
                "sftp\n"
            );
            assert!(
                std::fs::read_to_string(jail.join("etc/passwd"))
                    .unwrap()
                    .contains("news:x:9:")
            );
            assert!(jail.join("bin/true").exists());
            std::os::unix::fs::symlink("/etc/hostname", path.join("link")).unwrap();
            assert!(
                std::fs::read(path.join("link")).is_err(),
                "no link is followed"
            );

            // Taken out: the jail is gone at once.
            let mut entry = objects[2].1.clone();
            entry.remove("person:news");
            nas.put(&objects[2].0, &entry, None).unwrap();
            nas.put(&mounts, &Attributes::new(), None).unwrap();
            assert!(!jail.exists());

            // Both doors shut: no jail shows it.
            entry.insert("sftp".into(), "false".into());
            nas.put(&objects[2].0, &entry, None).unwrap();
            nas.put(&mounts, &Attributes::new(), None).unwrap();
            assert!(!double.jails().join("games").exists());

            nas.delete(&mounts, &Found::default()).unwrap();
            nas.delete(&objects[2].0, &Found::default()).unwrap();
            assert!(!nas.observe().unwrap().objects.contains_key(&mounts));
            assert!(path.join("data").exists());
        },
    );
}

#[test]
fn closing_is_true_for_everybody_even_for_who_has_a_file_open() {
    in_namespace(
        "closing_is_true_for_everybody_even_for_who_has_a_file_open",
        || {
            let double = Double::start();
            let path = double.directory("lake");
            let nas = double.connect();
            put_all(&nas, &lake(&path));
            nas.put(
                &ObjectId::new(Kind::Mounts, "lake"),
                &Attributes::new(),
                None,
            )
            .unwrap();

            // One who writes here, and one in a mount namespace of their own.
            let file = path.join("open");
            let mut here = engined::writer(&file, false);
            let mut elsewhere = engined::writer(&path.join("open too"), true);
            let left = nas.freeze(&path, true).unwrap();
            assert_eq!(left, []);
            assert!(std::fs::write(path.join("new"), "x").is_err());
            assert!(
                std::fs::write(double.jails().join("games/experiments/lake/new"), "x").is_err()
            );
            assert!(!here.wait().unwrap().success());
            assert!(!elsewhere.wait().unwrap().success());

            let left = nas.freeze(&path, false).unwrap();
            assert_eq!(left, []);
            std::fs::write(path.join("new"), "x").unwrap();
            std::fs::write(double.jails().join("games/experiments/lake/new"), "x").unwrap();
            let reader = double.jails().join("news/experiments/lake/new");
            assert!(
                std::fs::write(&reader, "y").is_err(),
                "a reader stays a reader"
            );
        },
    );
}

#[test]
fn a_source_finds_its_landing_and_nothing_else_and_closing_ends_its_upload() {
    in_namespace(
        "a_source_finds_its_landing_and_nothing_else_and_closing_ends_its_upload",
        || {
            let double = Double::start();
            let path = double.directory("lake");
            for name in ["landing/plc/data", "landing/cam/data", "raw"] {
                std::fs::create_dir_all(path.join(name)).unwrap();
            }
            let nas = double.connect();
            put_all(&nas, &lake(&path));
            // An account that every Debian has stands for the one that the Salt module makes.
            let plc = ObjectId::new(Kind::Source, "lake/plc");
            let wanted = attributes(&[
                ("id", "id-1"),
                ("account", "uucp"),
                ("path", "landing/plc"),
                ("read-only", "false"),
                (
                    "key:1",
                    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKn8m0mYbX9p1o1VtqU2i3n4o5p6q7r8s9t0u1v2w3x4 plc",
                ),
            ]);
            let reference = nas.put(&plc, &wanted, None).unwrap();
            let mounts = ObjectId::new(Kind::Mounts, "lake");
            nas.put(&mounts, &Attributes::new(), None).unwrap();
            let seen = nas.observe().unwrap();
            assert_eq!(seen.objects[&plc].attributes, wanted);
            assert_eq!(seen.objects[&plc].reference, reference);
            assert_eq!(seen.objects[&mounts].attributes["jail:uucp"], "rw");

            let jail = double.jails().join("uucp");
            let landing = jail.join("in");
            std::fs::write(landing.join("data/a"), "x").unwrap();
            assert!(path.join("landing/plc/data/a").exists());
            assert!(!jail.join("experiments").exists() && !jail.join("etc/octonas-doors").exists());
            let mut upload = engined::writer(&landing.join("data/open"), false);
            assert_eq!(nas.freeze(&path, true).unwrap(), []);
            assert!(!upload.wait().unwrap().success());
            assert!(std::fs::write(landing.join("data/b"), "x").is_err());

            nas.delete(&plc, &seen.objects[&plc]).unwrap();
            nas.put(&mounts, &Attributes::new(), None).unwrap();
            assert!(!jail.exists());
            assert!(!nas.observe().unwrap().objects.contains_key(&plc));
        },
    );
}

#[test]
fn an_entry_that_says_closed_closes_and_opens_again_for_writers_alone() {
    in_namespace(
        "an_entry_that_says_closed_closes_and_opens_again_for_writers_alone",
        || {
            let double = Double::start();
            engined::confining_sshd(&double.jails());
            let path = double.directory("lake");
            let nas = double.connect();
            let objects = lake(&path);
            put_all(&nas, &objects);
            let kinds = BTreeSet::from([Kind::Entry, Kind::Mounts]);
            nas.activate(&kinds, &Hidden).unwrap();
            let writers_jail = double.jails().join("games/experiments/lake");
            let mut upload = engined::writer(&writers_jail.join("open"), false);

            let (id, mut entry) = objects[2].clone();
            let mounts = ObjectId::new(Kind::Mounts, "lake");
            for (closed, own, writer) in [("true", "ro", "ro"), ("false", "rw", "rw")] {
                entry.insert("read-only".into(), closed.into());
                nas.put(&id, &entry, None).unwrap();
                nas.activate(&kinds, &Hidden).unwrap();
                let seen = nas.observe().unwrap().objects[&mounts].attributes.clone();
                assert_eq!(seen["self"], own);
                assert_eq!(seen["jail:games"], writer);
                assert_eq!(seen["jail:news"], "ro");
            }
            assert!(!upload.wait().unwrap().success(), "the upload was ended");
        },
    );
}

#[test]
fn whoever_is_taken_out_writes_no_more_not_even_into_an_open_file() {
    in_namespace(
        "whoever_is_taken_out_writes_no_more_not_even_into_an_open_file",
        || {
            let double = Double::start();
            engined::confining_sshd(&double.jails());
            let path = double.directory("lake");
            let nas = double.connect();
            let objects = lake(&path);
            put_all(&nas, &objects);
            let kinds = BTreeSet::from([Kind::Entry, Kind::Mounts]);
            nas.activate(&kinds, &Hidden).unwrap();
            let jail = double.jails().join("games");
            let mut upload = engined::writer(&jail.join("experiments/lake/open"), false);
            let (id, mut entry) = objects[2].clone();
            entry.remove("person:games");
            nas.put(&id, &entry, None).unwrap();
            nas.activate(&kinds, &Hidden).unwrap();
            assert!(!upload.wait().unwrap().success());
            assert!(!jail.exists());
            assert!(path.join("open").exists(), "what was written stays");
        },
    );
}

#[test]
fn one_experiment_that_cannot_be_mounted_does_not_hold_up_another() {
    in_namespace(
        "one_experiment_that_cannot_be_mounted_does_not_hold_up_another",
        || {
            let double = Double::start();
            engined::confining_sshd(&double.jails());
            let nas = double.connect();
            double.edit(|state| {
                state["experiments"] = json!([{"uuid": "0b9e6a1c-3f55-4c0e-9d8e-2a41c1b7f001", "id": "id-2",
                    "code": "pond", "path": "/srv/away/pond", "sharedfolderref": "", "readonly": false,
                    "sftp": true, "rsync": true, "writers": "games", "readers": ""}]);
            });
            put_all(&nas, &lake(&double.directory("lake")));
            let kinds = BTreeSet::from([Kind::Entry]);
            nas.activate(&kinds, &Hidden).unwrap();
            assert!(double.jails().join("games/experiments/lake").exists());
            assert!(!double.jails().join("games/experiments/pond").exists());
        },
    );
}
