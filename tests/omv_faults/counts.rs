//! What an operation costs: calls by method, fsyncs, deployments. A number that grows is a regression; one that shrinks
//! is corrected here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engined::in_namespace;
use crate::world::{PEOPLE, World, definition, lake};

/// Calls (polls for the end of a deployment apart), fsyncs, modules applied, restarts of smbd.
type Cost = (u64, usize, usize, u64);

/// Runs a command and gives its cost and its calls.
fn cost(world: &World, arguments: &[&str]) -> (Cost, BTreeMap<String, u64>) {
    let before = world.double.state();
    let (ran, points) = world.trace(arguments);
    ran.ok();
    let after = world.double.state();
    let number = |v: &Value| v.as_u64().unwrap_or(0);
    let calls: BTreeMap<String, u64> = after["calls"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, n)| (name.clone(), number(n) - number(&before["calls"][name])))
        .filter(|(name, n)| {
            *n > 0 && name.contains(|c: char| c.is_alphabetic()) && name != "Exec.isRunning"
        })
        .collect();
    let length = |state: &Value| state["deployed"].as_array().unwrap().len();
    let cost = (
        calls.values().sum(),
        points.iter().filter(|p| p.starts_with("fsync")).count(),
        length(&after) - length(&before),
        number(&after["restarts"]["samba"]) - number(&before["restarts"]["samba"]),
    );
    (cost, calls)
}

#[test]
fn operations_cost_what_they_cost() {
    in_namespace("counts::operations_cost_what_they_cost", || {
        let world = World::new();
        let file = world.file("lake.yaml", &lake(PEOPLE, true));
        let mut more = PEOPLE.to_vec();
        more.push(("dan", "write"));
        let edited = world.file("edited.yaml", &lake(&more, true));
        let mut seen = Vec::new();
        for (name, arguments, expected) in [
            ("create", &["experiment", "create", "-f", &file][..], CREATE),
            (
                "create again",
                &["experiment", "create", "-f", &file],
                AGAIN,
            ),
            ("add a person", &["experiment", "edit", "-f", &edited], EDIT),
            ("close", &["experiment", "close", "lake"], CLOSE),
            ("reopen", &["experiment", "reopen", "lake"], REOPEN),
            ("remove", &["experiment", "remove", "lake"], REMOVE),
        ] {
            let (cost, calls) = cost(&world, arguments);
            println!(
                "  {name}: {} calls {calls:?}, {} fsyncs, {} modules, {} restarts of smbd",
                cost.0, cost.1, cost.2, cost.3
            );
            seen.push((name, cost, expected));
        }
        for (name, cost, expected) in seen {
            assert_eq!(cost, expected, "{name}");
        }
    });
}

#[test]
fn in_a_common_share_nothing_restarts_and_several_share_a_deployment() {
    in_namespace(
        "counts::in_a_common_share_nothing_restarts_and_several_share_a_deployment",
        || {
            let world = World::new();
            let file = |code: &str, n: u32| {
                let id = format!("{n}2222222-2222-4333-8444-555555555555");
                world.file(
                    &format!("{code}.yaml"),
                    &definition(code, &id, PEOPLE, true),
                )
            };
            let files = [
                file("sea", 1),
                file("bay", 2),
                file("bog", 3),
                file("fen", 4),
            ];
            let several = |files: &[String]| {
                let mut arguments = vec!["experiment", "create"];
                for file in files {
                    arguments.extend(["-f", file]);
                }
                let cost = cost(&world, &arguments).0;
                println!("  {} created: {cost:?}", files.len());
                (cost.2, cost.3)
            };
            // Modules: ours; shared folders, systemd, Samba, avahi.
            assert_eq!(several(&files[..2]), (5, 1));
            world.share(&["--common", "experiments"]);
            assert_eq!(several(&files[2..3]), (1, 0));
            assert_eq!(several(&files[3..]), (1, 0));
            for words in [["close", "fen"], ["reopen", "fen"], ["remove", "fen"]] {
                let cost = cost(&world, &["experiment", words[0], words[1]]).0;
                assert_eq!((cost.2, cost.3), (1, 0), "{words:?}");
            }
        },
    );
}

const CREATE: Cost = (36, 153, 5, 1);
const AGAIN: Cost = (10, 0, 0, 0);
const EDIT: Cost = (20, 35, 1, 0);
const CLOSE: Cost = (19, 38, 1, 0);
const REOPEN: Cost = (19, 36, 1, 0);
const REMOVE: Cost = (32, 44, 7, 1);

#[test]
fn fifty_other_experiments_cost_no_call_more() {
    in_namespace("counts::fifty_other_experiments_cost_no_call_more", || {
        let world = World::new();
        let create = |code: &str, id: &str| {
            let file = world.file("given.yaml", &definition(code, id, PEOPLE, true));
            cost(&world, &["experiment", "create", "-f", &file])
        };
        let alone = create("lake", crate::world::LAKE);
        world.double.edit(|state| {
            for n in 0..50 {
                for (list, key, name) in [
                    ("grouprecords", "name", format!("exp-pond-{n}-w")),
                    ("sharedfolders", "name", format!("pond-{n}")),
                    ("smbshares", "", String::new()),
                    ("experiments", "code", format!("pond-{n}")),
                ] {
                    let model = state[list].as_array().unwrap().last().unwrap().clone();
                    let mut row = model;
                    row["uuid"] = json!(format!("00000000-0000-4000-8000-{n:012}"));
                    if !key.is_empty() {
                        row[key] = json!(name);
                    }
                    if list == "experiments" {
                        // Their disk is away.
                        row["path"] = json!(format!("/srv/away/pond-{n}"));
                        row["id"] = row["uuid"].clone();
                    }
                    if list == "experiments" || row.get("sharedfolderref").is_some() {
                        row["sharedfolderref"] = row["uuid"].clone();
                    }
                    if list == "sharedfolders" {
                        row["reldirpath"] = json!(format!("ponds/{n}/"));
                    }
                    state[list].as_array_mut().unwrap().push(row);
                }
            }
        });
        let among = create("sea", "22222222-2222-4333-8444-555555555555");
        println!("  alone {:?}, among fifty others {:?}", alone.0, among.0);
        assert_eq!(alone.1, among.1);
    });
}
