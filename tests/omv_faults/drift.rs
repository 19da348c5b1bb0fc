//! What somebody changed by hand: `check` names it and its effect, `apply` leaves it, `apply --mend` sets it right.
//! What is not ours is never adopted, changed or deleted.

use serde_json::{Value, json};

use crate::engined::in_namespace;
use crate::world::{NEW, PEOPLE, World, difference, lake};

type Change = fn(&mut Value);

fn row<'s>(state: &'s mut Value, list: &str, key: &str, name: &str) -> &'s mut Value {
    let rows = state[list].as_array_mut().unwrap();
    rows.iter_mut().find(|row| row[key] == name).unwrap()
}

fn drop_row(state: &mut Value, list: &str, key: &str, name: &str) {
    state[list]
        .as_array_mut()
        .unwrap()
        .retain(|row| row[key] != name);
}

fn share(state: &mut Value) -> &mut Value {
    &mut state["smbshares"][0]
}

/// What is done by hand, and what `check` must say of it.
const CHANGES: &[(&str, Change, &str)] = &[
    (
        "a member is taken out",
        |s| row(s, "groups", "name", "exp-lake-w")["members"] = json!(["ada"]),
        "bob lost the write access",
    ),
    (
        "a member is put in",
        |s| row(s, "groups", "name", "exp-lake-r")["members"] = json!(["cid", "dan"]),
        "dan has read access",
    ),
    (
        "a group's comment",
        |s| row(s, "grouprecords", "name", "exp-lake-w")["comment"] = json!("mine"),
        "no effect on access",
    ),
    (
        "a group is deleted",
        |s| {
            drop_row(s, "groups", "name", "exp-lake-r");
            drop_row(s, "grouprecords", "name", "exp-lake-r");
        },
        "everybody whose access comes from exp-lake-r lost it",
    ),
    (
        "the shared folder's comment",
        |s| row(s, "sharedfolders", "name", "lake")["comment"] = json!("mine"),
        "no effect on access",
    ),
    (
        "the shared folder's path",
        |s| row(s, "sharedfolders", "name", "lake")["reldirpath"] = json!("elsewhere/"),
        "people find another folder under this name",
    ),
    (
        "a privilege is changed",
        |s| {
            row(s, "sharedfolders", "name", "lake")["privileges"]["privilege"][0]["perms"] =
                json!(0);
        },
        "SMB lets exp-lake-",
    ),
    (
        "a privilege is added",
        |s| {
            let rows = &mut row(s, "sharedfolders", "name", "lake")["privileges"]["privilege"];
            rows.as_array_mut()
                .unwrap()
                .push(json!({"type": "user", "name": "dan", "perms": 7}));
        },
        "SMB lets dan try to write",
    ),
    (
        "all privileges are taken",
        |s| row(s, "sharedfolders", "name", "lake")["privileges"] = json!(""),
        "OpenMediaVault's own list lets everybody try",
    ),
    (
        "the share is disabled",
        |s| share(s)["enable"] = json!(false),
        "SMB is open or shut",
    ),
    (
        "the share lets guests in",
        |s| share(s)["guest"] = json!("allow"),
        "guests may connect",
    ),
    (
        "the share's options",
        |s| share(s)["extraoptions"] = json!(""),
        "SMB may create files",
    ),
    (
        "the share is deleted",
        |s| s["smbshares"] = json!([]),
        "nobody reaches the experiment over SMB",
    ),
    (
        "the entry's people",
        |s| s["experiments"][0]["readers"] = json!("cid,dan"),
        "SFTP and rsync show other people",
    ),
    (
        "the entry is closed",
        |s| s["experiments"][0]["readonly"] = json!(true),
        "open or closed against its definition",
    ),
    (
        "the entry is deleted",
        |s| s["experiments"] = json!([]),
        "takes the mounts and jails",
    ),
];

fn without_noise(mut state: Value) -> Value {
    for noise in [
        "calls", "tasks", "next", "deployed", "restarts", "dirty", "revision",
    ] {
        state.as_object_mut().unwrap().remove(noise);
    }
    state
}

#[test]
fn every_change_by_hand_is_named_left_and_mended() {
    in_namespace(
        "drift::every_change_by_hand_is_named_left_and_mended",
        || {
            let world = World::new();
            world.create();
            let moment = world.save();
            world.run(&["experiment", "apply", "--mend", "lake"]).ok();
            let whole = world.picture();
            let mut wrong = String::new();
            for (what, change, effect) in CHANGES {
                world.restore(&moment);
                world.double.edit(change);
                let check = world.run(&["experiment", "check", "lake"]);
                if check.code != Some(3) || !check.said().contains(effect) {
                    wrong += &format!("{what}: check {:?}: {}\n", check.code, check.said());
                }
                let before = without_noise(world.double.state());
                let applied = world.run(&["experiment", "apply", "lake"]);
                let after = without_noise(world.double.state());
                if applied.code != Some(0) || before != after {
                    let (a, b) = (format!("{before:#}"), format!("{after:#}"));
                    wrong += &format!(
                        "{what}: apply {:?} {}{}\n",
                        applied.code,
                        applied.said(),
                        difference(&a, &b)
                    );
                }
                let mended = world.run(&["experiment", "apply", "--mend", "lake"]);
                // A change of members leaves `samba` marked: applying it would cut everybody's SMB.
                let all = difference(&whole, &world.picture());
                let differs: String = all
                    .lines()
                    .filter(|l| !l.ends_with("dirty: \"samba\""))
                    .collect();
                if mended.code != Some(0) || !differs.is_empty() {
                    wrong += &format!(
                        "{what}: mend {:?} {}\n{differs}\n",
                        mended.code,
                        mended.said()
                    );
                }
            }
            assert!(wrong.is_empty(), "{wrong}");
        },
    );
}

#[test]
fn an_account_that_was_deleted_is_named_and_no_stranger_inherits_its_access() {
    in_namespace(
        "drift::an_account_that_was_deleted_is_named_and_no_stranger_inherits_its_access",
        || {
            let world = World::new();
            world.create();
            world.ask("UserMgmt", "deleteUser", &json!({"name": "bob"}));
            let check = world.run(&["experiment", "check", "lake"]);
            assert_eq!(check.code, Some(3), "{}", check.said());
            assert!(check.said().contains("bob"), "{}", check.said());
            let mend = world.run(&["experiment", "apply", "--mend", "lake"]);
            // Nobody can be given back who is not there: it is said, and the others are served.
            assert!(
                mend.said().contains("bob lost the write access"),
                "{}",
                mend.said()
            );
            // Taking them out of the definition is the way.
            let file = world.file(
                "lake.yaml",
                &lake(&[("ada", "manage"), ("cid", "read")], true),
            );
            world.run(&["experiment", "edit", "-f", &file]).ok();
            world.run(&["experiment", "check", "lake"]).ok();
            assert!(
                !world.double.state()["experiments"]
                    .to_string()
                    .contains("bob")
            );
        },
    );
}

#[test]
fn what_bears_our_name_and_is_not_ours_is_refused_before_anything_is_written() {
    in_namespace(
        "drift::what_bears_our_name_and_is_not_ours_is_refused_before_anything_is_written",
        || {
            let world = World::new();
            let moment = world.save();
            let file = world.file("lake.yaml", &lake(PEOPLE, true));
            let disk = world.double.state()["mountpoints"][0]["uuid"].clone();
            let foreign: [&dyn Fn(); 3] = [
                &|| {
                    let group =
                        json!({"name": "exp-lake-r", "comment": "theirs", "members": ["dan"]});
                    world.ask("UserMgmt", "setGroup", &group);
                },
                &|| {
                    let folder = json!({"uuid": NEW, "name": "lake", "comment": "theirs", "mntentref": disk,
                                    "reldirpath": "theirs/"});
                    world.ask("ShareMgmt", "set", &folder);
                },
                &|| drop(world.double.directory("lake")),
            ];
            for (number, make) in foreign.iter().enumerate() {
                world.restore(&moment);
                make();
                let before = (without_noise(world.double.state()), world.picture());
                let ran = world.run(&["experiment", "create", "-f", &file]);
                assert_eq!(ran.code, Some(1), "{number}: {}", ran.said());
                assert!(ran.err.contains("hint: "), "{}", ran.said());
                assert_eq!(before.0, without_noise(world.double.state()), "{number}");
                assert_eq!(difference(&before.1, &world.picture()), "", "{number}");
            }
        },
    );
}

#[test]
fn an_object_that_was_made_again_by_somebody_else_is_left_alone_and_named() {
    in_namespace(
        "drift::an_object_that_was_made_again_by_somebody_else_is_left_alone_and_named",
        || {
            let world = World::new();
            world.create();
            let moment = world.save();
            let again: [(&str, &str, Change); 3] = [
                ("grouprecords", "exp-lake-w", |s| {
                    let row = row(s, "grouprecords", "name", "exp-lake-w");
                    row["uuid"] = json!("00000000-0000-4000-8000-000000000001");
                    row["comment"] = json!("theirs");
                }),
                ("smbshares", "lake", |s| {
                    share(s)["uuid"] = json!("00000000-0000-4000-8000-000000000002");
                }),
                ("experiments", "lake", |s| {
                    s["experiments"][0]["uuid"] = json!("00000000-0000-4000-8000-000000000003");
                    s["experiments"][0]["id"] = json!("00000000-0000-4000-8000-000000000004");
                }),
            ];
            for (list, name, change) in again {
                world.restore(&moment);
                world.double.edit(change);
                let theirs = world.double.state()[list].clone();
                let check = world.run(&["experiment", "check", "lake"]);
                assert_eq!(check.code, Some(3), "{list}: {}", check.said());
                assert!(
                    check.said().contains("made again by somebody else"),
                    "{list}: {}",
                    check.said()
                );
                for command in [
                    &["experiment", "apply", "--mend", "lake"][..],
                    &["experiment", "remove", "lake"],
                ] {
                    let ran = world.run(command);
                    let now = world.double.state()[list].clone();
                    let kept = theirs
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter(|r| r.to_string().contains("00000000-0000"));
                    for row in kept {
                        // Our folder goes, and with it what pointed to it.
                        let same = |r: &Value| {
                            ["uuid", "id", "name", "comment"]
                                .iter()
                                .all(|k| r[*k] == row[*k])
                        };
                        assert!(
                            now.as_array().unwrap().iter().any(same),
                            "{list} {name} {command:?}: {}",
                            ran.said()
                        );
                    }
                }
            }
        },
    );
}

#[test]
fn a_group_that_somebody_else_made_again_is_given_no_file_and_no_directory() {
    in_namespace(
        "drift::a_group_that_somebody_else_made_again_is_given_no_file_and_no_directory",
        || {
            use std::os::unix::fs::PermissionsExt as _;
            let world = World::new();
            world.create();
            let lake = world.double.base().join("lake");
            let leaf = std::fs::read_dir(&lake)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|path| {
                    path.is_dir() && !path.ends_with("metadata") && !path.ends_with("landing")
                })
                .unwrap();
            let file = leaf.join("narrowed.csv");
            std::fs::write(&file, "1;2").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::fs::set_permissions(&leaf, std::fs::Permissions::from_mode(0o2700)).unwrap();
            let group = |members: Value| json!({"name": "exp-lake-w", "comment": "theirs", "members": members});
            world.ask("UserMgmt", "setGroup", &group(json!([])));
            world.ask("UserMgmt", "deleteGroup", &json!({"name": "exp-lake-w"}));
            world.ask("UserMgmt", "setGroup", &group(json!(["dan"])));
            let state = world.double.state();
            let groups = state["groups"].as_array().unwrap();
            let theirs = groups.iter().find(|g| g["name"] == "exp-lake-w").unwrap()["gid"].clone();
            let rights = || {
                let told = std::process::Command::new("getfacl")
                    .args(["-R", "-n", "-p"])
                    .arg(&lake)
                    .output()
                    .unwrap();
                String::from_utf8(told.stdout).unwrap()
            };
            let before = rights();
            let mend = world.run(&["experiment", "apply", "--mend", "lake"]);
            assert!(
                mend.said().contains("made again by somebody else"),
                "{}",
                mend.said()
            );
            assert!(
                !rights().contains(&format!("group:{theirs}:")),
                "{}",
                rights()
            );
            // The file and the directory that were narrowed stay so until the group is ours again.
            assert_eq!(difference(&before, &rights()), "");
        },
    );
}
