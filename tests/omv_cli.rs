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

/// A PLC gateway that knows nothing but SMB: it has an account and a share of its own, which lead to its landing and nowhere else.
#[test]
fn a_machine_without_ssh_gets_a_share_of_its_own() {
    in_namespace("a_machine_without_ssh_gets_a_share_of_its_own", || {
        let (double, configuration) = unit();
        let file = double.base().join("../lake.yaml");
        let source = "sources:\n  - { id: plc, kind: windows, into: plc, account: plcgw }\n";
        std::fs::write(&file, format!("{DEFINITION}{source}")).unwrap();
        let path = file.display().to_string();

        let (code, out, err) = octonas(&configuration, &["experiment", "create", "-f", &path]);
        assert_eq!(code, 1, "{out}{err}");
        assert!(err.contains("the NAS has no account plcgw"), "{err}");
        let create = ["experiment", "create", "-f", &path, "--create-accounts"];
        assert!(done(&configuration, &create).contains("plcgw"));
        done(&configuration, &["experiment", "check", "lake"]);

        let state = double.state();
        let landing = double.base().join("lake/landing/plc");
        let folders = state["sharedfolders"].as_array().unwrap();
        let folder = folders.iter().find(|f| f["name"] == "lake_plc").unwrap();
        assert_eq!(
            folder["privileges"]["privilege"],
            json!([{"type": "user", "name": "plcgw", "perms": 7}])
        );
        let told = folder["reldirpath"].as_str().unwrap().trim_matches('/');
        assert!(landing.ends_with(told), "{told}");
        assert_eq!(state["smbshares"].as_array().unwrap().len(), 2);
        let lists = |below: &str| {
            let listed = Command::new("getfacl")
                .args(["--numeric", "--omit-header", "--absolute-names"])
                .arg(double.base().join("lake").join(below))
                .output()
                .unwrap();
            String::from_utf8(listed.stdout).unwrap()
        };
        let users = state["users"].as_array().unwrap();
        let uid = &users.iter().find(|u| u["name"] == "plcgw").unwrap()["uid"];
        for (below, rights) in [
            ("", "--x"),
            ("landing", "--x"),
            ("landing/plc", "r-x"),
            ("landing/plc/data", "rwx"),
            ("landing/plc/sums", "rwx"),
            ("landing/plc/receipts", "r-x"),
        ] {
            let entry = format!("\nuser:{uid}:{rights}\n");
            assert!(lists(below).contains(&entry), "{below}: {}", lists(below));
        }
        for below in ["metadata", "raw", "plc", "docs"] {
            assert!(!lists(below).contains(&format!("user:{uid}:")), "{below}");
        }
        let list = done(&configuration, &["source", "list", "lake"]);
        assert!(list.contains("share lake_plc, as plcgw"), "{list}");

        // It delivered something.
        std::fs::write(landing.join("data/late.csv"), "t;v\n").unwrap();
        // It learns SSH: the share goes, its landing stays.
        let shown = done(
            &configuration,
            &["experiment", "show", "lake", "--definition"],
        );
        assert!(shown.contains("account: plcgw"), "{shown}");
        let line = |line: &&str| !line.contains("account: plcgw");
        let edited: Vec<&str> = shown.lines().filter(line).collect();
        std::fs::write(&file, edited.join("\n")).unwrap();
        done(&configuration, &["experiment", "edit", "-f", &path]);
        let state = double.state();
        assert_eq!(state["sharedfolders"].as_array().unwrap().len(), 1);
        assert_eq!(state["smbshares"].as_array().unwrap().len(), 1);
        for below in ["", "landing", "landing/plc", "landing/plc/data"] {
            assert!(!lists(below).contains(&format!("user:{uid}:")), "{below}");
        }
        done(&configuration, &["experiment", "check", "lake"]);

        // It leaves altogether: what it delivered stays, and is no surprise to anybody.
        std::fs::write(double.base().join("lake/plc/x.csv"), "t;v\n").unwrap();
        std::fs::write(&file, DEFINITION).unwrap();
        done(&configuration, &["experiment", "edit", "-f", &path]);
        assert!(landing.join("data/late.csv").is_file());
        assert!(double.base().join("lake/plc/x.csv").is_file());
        done(&configuration, &["experiment", "check", "lake"]);
        let found = landing.join("../../nobody-knows");
        std::fs::create_dir(found).unwrap();
        let (code, out, _) = octonas(&configuration, &["experiment", "check", "lake"]);
        assert_eq!(code, 3, "{out}");
    });
}
