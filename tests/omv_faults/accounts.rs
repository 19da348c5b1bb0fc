//! Accounts of people: made only when asked, with a password that is shown once and is nowhere else.

use serde_json::Value;

use crate::engined::in_namespace;
use crate::world::{World, lake};

/// Everything that is on the disk of this unit, in one text; jails show the system, which is long.
fn everything(world: &World) -> String {
    let all = std::process::Command::new("grep")
        .args(["-r", "-a", "-h", "--exclude-dir=jail", ""])
        .arg(world.double.path("."))
        .output()
        .unwrap();
    String::from_utf8_lossy(&all.stdout).into_owned()
}

#[test]
fn a_missing_account_is_made_only_when_asked_and_its_password_is_shown_once() {
    in_namespace(
        "accounts::a_missing_account_is_made_only_when_asked_and_its_password_is_shown_once",
        || {
            let world = World::new();
            let text = lake(&[("ada", "manage"), ("newcomer", "write")], true);
            let file = world.file("lake.yaml", &text);
            let refused = world.run(&["experiment", "create", "-f", &file]);
            assert_eq!(refused.code, Some(1));
            assert!(
                refused.err.contains("[account.missing]"),
                "{}",
                refused.said()
            );
            assert!(
                refused.err.contains("--create-accounts"),
                "{}",
                refused.said()
            );
            assert!(!world.double.base().join("lake").exists());

            let create = [
                "experiment",
                "create",
                "--create-accounts",
                "-f",
                &file,
                "--json",
            ];
            let made = world.run(&create).ok();
            let password = made.json()["passwords"]["newcomer"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(password.len() >= 24);
            assert!(!made.err.contains(&password));
            let state = world.double.state();
            let users = state["users"].as_array().unwrap();
            let newcomer = users.iter().find(|u| u["name"] == "newcomer").unwrap();
            assert_eq!(
                newcomer["samba"], "set",
                "an empty Samba password lets everybody in"
            );
            assert!(!everything(&world).contains(&password));

            let again = world.run(&create).ok();
            assert_eq!(
                again.json()["passwords"],
                Value::Null,
                "never shown or set again"
            );
        },
    );
}

#[test]
fn a_password_is_in_no_error_and_still_shown_when_what_follows_fails() {
    in_namespace(
        "accounts::a_password_is_in_no_error_and_still_shown_when_what_follows_fails",
        || {
            let world = World::new();
            let text = lake(&[("ada", "manage"), ("newcomer", "write")], true);
            let file = world.file("lake.yaml", &text);
            let create = ["experiment", "create", "--create-accounts", "-f", &file];
            world
                .double
                .fault(serde_json::json!({"method": "UserMgmt.setGroup", "do": "fail"}));
            let failed = world.run(&create);
            assert_eq!(failed.code, Some(1));
            let line = failed
                .err
                .lines()
                .find(|l| l.contains("initial password of newcomer"))
                .unwrap();
            let password = line.split_whitespace().nth(4).unwrap();
            assert!(password.len() >= 24);
            assert_eq!(
                failed.said().matches(password).count(),
                1,
                "{}",
                failed.said()
            );
            assert!(!everything(&world).contains(password));
            world.run(&create).ok();
        },
    );
}

#[test]
fn a_system_account_is_never_a_member() {
    in_namespace("accounts::a_system_account_is_never_a_member", || {
        let world = World::new();
        for account in ["root", "daemon"] {
            let file = world.file("lake.yaml", &lake(&[(account, "write")], true));
            for how in [
                &["experiment", "create", "-f", &file][..],
                &["experiment", "create", "--create-accounts", "-f", &file],
            ] {
                let ran = world.run(how);
                assert_eq!(ran.code, Some(1), "{account}: {}", ran.said());
                assert!(ran.err.contains(account), "{}", ran.said());
                assert!(!world.double.base().join("lake").exists());
            }
        }
    });
}
