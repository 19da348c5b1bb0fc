//! The program itself on a double of OpenMediaVault: one experiment from its definition to its end, in a mount
//! namespace of its own where accounts, groups and sshd are stand-ins and mounts are real.
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

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use engined::{Double, in_namespace};

const DEFINITION: &str = "\
octonas: 1
code: lake
title: Thermal stratification of a small lake
language: en
dates: { start: 2026-03-01, end: 2026-09-30 }
people:
  - { name: Ada Alder, roles: [principal-investigator, contact], email: ada@example.org, account: ada, access: manage }
  - { name: Bob Birch, roles: [researcher], account: bob, access: write }
  - { name: Cid Cedar, roles: [researcher], account: cid, access: read }
layout: minimal
protocols: { smb: true, sftp: true, rsync: true }
";

/// Runs the program; what it said, and how it ended.
fn octonas(configuration: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_octonas"))
        .arg("--config")
        .arg(configuration)
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn done(configuration: &Path, arguments: &[&str]) -> String {
    let (code, out, err) = octonas(configuration, arguments);
    assert_eq!(code, 0, "octonas {arguments:?}:\n{out}{err}");
    out
}

/// A double with the accounts of a small unit; the base is there and claimed.
fn unit() -> (Double, std::path::PathBuf) {
    let double = Double::start();
    double.edit(|state| {
        let user = |name: &str, uid: u32| json!({"name": name, "uid": uid, "system": false});
        state["users"] = json!([{"name": "root", "uid": 0, "gid": 0, "system": true},
                                user("ada", 1001), user("bob", 1002), user("cid", 1003)]);
        state["groups"] = json!([{"name": "root", "gid": 0, "members": [], "system": true},
                                 {"name": "users", "gid": 100, "members": [], "system": true}]);
    });
    double.rule_accounts();
    engined::confining_sshd(&double.jails());
    let configuration = double.configuration();
    let base = double.base().display().to_string();
    done(&configuration, &["base", "add", &base]);
    (double, configuration)
}

fn mounts(double: &Double, code: &str) -> Vec<String> {
    let own = format!("{}/{code} ", double.base().display());
    let jail = format!("/experiments/{code} ");
    std::fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains(&own) || line.contains(&jail))
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_experiment_lives_from_its_definition_to_its_end() {
    in_namespace("an_experiment_lives_from_its_definition_to_its_end", || {
        let (double, configuration) = unit();
        let file = double.base().join("../lake.yaml");
        std::fs::write(&file, DEFINITION).unwrap();
        let file = file.display().to_string();

        let out = done(
            &configuration,
            &["experiment", "create", "-f", &file, "--json"],
        );
        let told: Value = serde_json::from_str(&out).unwrap();
        assert!(told.to_string().contains("lake"));
        assert_eq!(mounts(&double, "lake").len(), 4, "itself and three jails");
        let state = double.state();
        assert_eq!(state["restarts"]["samba"], 1, "smbd restarted once");
        assert_eq!(state["dirty"], json!([]));
        assert_eq!(
            state["experiments"][0]["sharedfolderref"],
            state["sharedfolders"][0]["uuid"]
        );
        done(&configuration, &["experiment", "check", "lake"]);

        // Again: nothing happens.
        let calls = state["deployed"].clone();
        done(&configuration, &["experiment", "create", "-f", &file]);
        done(&configuration, &["experiment", "apply", "lake"]);
        assert_eq!(double.state()["deployed"], calls);

        done(&configuration, &["experiment", "close", "lake"]);
        assert!(
            mounts(&double, "lake").iter().all(|m| m.contains(" ro,")),
            "{:?}",
            mounts(&double, "lake")
        );
        done(&configuration, &["experiment", "reopen", "lake"]);
        let open = mounts(&double, "lake");
        assert_eq!(
            open.iter().filter(|m| m.contains(" rw,")).count(),
            3,
            "{open:?}"
        );
        assert_eq!(
            double.state()["restarts"]["samba"],
            1,
            "closing and reopening cut nobody's SMB"
        );

        // An admin takes bob out by hand: named, and not given back.
        double.edit(|state| {
            for group in state["groups"].as_array_mut().unwrap() {
                if group["name"] == "exp-lake-w" {
                    group["members"] = json!(["ada"]);
                }
            }
        });
        let (code, out, err) = octonas(&configuration, &["experiment", "check", "lake"]);
        assert_eq!(code, 3, "{out}{err}");
        assert!(format!("{out}{err}").contains("bob"), "{out}{err}");
        done(&configuration, &["experiment", "apply", "--mend", "lake"]);
        done(&configuration, &["experiment", "check", "lake"]);

        done(&configuration, &["experiment", "remove", "lake"]);
        let state = double.state();
        for list in ["experiments", "sharedfolders", "smbshares", "grouprecords"] {
            assert_eq!(state[list], json!([]), "{list}");
        }
        assert!(
            mounts(&double, "lake").is_empty(),
            "{:?}",
            mounts(&double, "lake")
        );
        assert!(double.base().join("lake").is_dir(), "data stays");
    });
}
