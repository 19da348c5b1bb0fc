//! omv-engined fails, dies or says nothing at any call, also between its own steps: a clear error in bounded time, and
//! the same command ends well once it is back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engined::in_namespaces;
use crate::world::{PEOPLE, World, difference, lake};

const PARTS: usize = 3;

/// No run may take longer than this, whatever happens (patience is 2 s).
const BOUND: Duration = Duration::from_secs(30);

fn calls(world: &World) -> u64 {
    let state = world.double.state();
    let calls = state["calls"].as_object().unwrap();
    calls.values().filter_map(Value::as_u64).sum()
}

/// What goes wrong in a run that makes `count` calls.
fn troubles(count: u64) -> Vec<Value> {
    let mut all = Vec::new();
    for n in 0..count {
        // The question with which a test hands its fault over is a call, too.
        all.push(
            json!({"at": "before", "skip": n + 1, "do": "fail", "message": "Failed on purpose."}),
        );
        // To die before a call is to die after the one before it.
        all.push(json!({"at": "after", "skip": n, "do": "die"}));
    }
    for (method, at) in [
        ("UserMgmt.setGroup", "stored"),
        ("UserMgmt.setGroup", "added"),
        ("UserMgmt.deleteGroup", "removed"),
        ("ShareMgmt.set", "stored"),
        ("Config.applyChanges", "deploy:octonas"),
        ("Config.applyChanges", "deploy:samba"),
    ] {
        for what in ["fail", "die"] {
            all.push(json!({"method": method, "at": at, "do": what}));
        }
    }
    for method in [
        "Config.get",
        "Config.getlist",
        "Config.set",
        "UserMgmt.setGroup",
        "UserMgmt.deleteGroup",
        "ShareMgmt.set",
        "ShareMgmt.setPrivileges",
        "ShareMgmt.delete",
        "SMB.setShare",
        "SMB.deleteShare",
        "Config.applyChangesBg",
        "Exec.isRunning",
    ] {
        all.push(json!({"method": method, "at": "before", "do": "hang"}));
    }
    all
}

fn troubled_everywhere(name: &str, prepare: fn(&World), arguments: fn(&World) -> Vec<String>) {
    in_namespaces(&format!("calls::{name}"), PARTS, |part| {
        let mut world = World::new();
        prepare(&world);
        let arguments = arguments(&world);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let moment = world.save();
        world.restore(&moment);
        let before = calls(&world);
        world.run(&arguments).ok();
        let count = calls(&world) - before;
        let undisturbed = world.picture();
        let all = troubles(count);
        if part == 0 {
            println!("  {name}: {count} calls, {} troubles", all.len());
        }
        let (mut wrong, mut survived) = (String::new(), 0);
        for trouble in all.iter().skip(part).step_by(PARTS) {
            world.restore(&moment);
            let hangs = trouble["do"] == "hang";
            world.patience(if hangs { 2 } else { 20 });
            world.double.fault(trouble.clone());
            let begun = Instant::now();
            let ran = world.run(&arguments);
            assert!(begun.elapsed() < BOUND, "{trouble}: {:?}", begun.elapsed());
            world.patience(20);
            let fired = world.double.has_failed();
            if fired && trouble["do"] == "die" {
                world.double.restart();
            }
            match ran.code {
                // A reading call is asked again; a call that this run does not make fails nowhere.
                Some(0) => survived += 1,
                Some(1) if fired && ran.err.contains("hint: ") && ran.err.contains("[nas.") => {}
                _ => wrong += &format!("{trouble}: {:?} {}\n", ran.code, ran.said()),
            }
            world.double.edit(|state| state["faults"] = json!([]));
            let again = world.run(&arguments);
            if again.code != Some(0) {
                wrong += &format!("{trouble}: again: {}\n", again.said());
                continue;
            }
            let differs = difference(&undisturbed, &world.picture());
            if !differs.is_empty() {
                wrong += &format!("{trouble}:\n{differs}\n");
            }
        }
        assert!(wrong.is_empty(), "{name}\n{wrong}");
        assert!(survived < all.len() / PARTS, "nothing went wrong");
    });
}

#[test]
fn create() {
    troubled_everywhere(
        "create",
        |_| {},
        |world| {
            let file = world.file("lake.yaml", &lake(PEOPLE, true));
            ["experiment", "create", "-f", &file]
                .map(str::to_owned)
                .to_vec()
        },
    );
}

#[test]
fn remove() {
    troubled_everywhere(
        "remove",
        |world| drop(world.create()),
        |_| ["experiment", "remove", "lake"].map(str::to_owned).to_vec(),
    );
}
