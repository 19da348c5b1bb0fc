//! Somebody else works on the same NAS: they apply in the middle of our work, or revert everybody's changes
//! (`Config.revertChanges` brings back the configuration of the last apply, but neither groups nor directories).

use serde_json::json;

use crate::engined::in_namespaces;
use crate::world::{PEOPLE, World, difference, lake};

const PARTS: usize = 3;

/// Interrupts a creation at every call, lets `meddle` happen there, and finishes; the end must be that of an
/// undisturbed creation, after `mend` when asked.
fn meddled_everywhere(name: &str, meddle: fn(&World), mend: bool) {
    in_namespaces(&format!("others::{name}"), PARTS, |part| {
        let world = World::new();
        let moment = world.save();
        let file = world.file("lake.yaml", &lake(PEOPLE, true));
        let create = ["experiment", "create", "-f", &file];
        let (done, points) = world.trace(&create);
        done.ok();
        world.run(&["experiment", "apply", "--mend", "lake"]).ok();
        let undisturbed = world.picture();
        let calls = points.iter().filter(|p| *p == "nas.call").count();
        let mut wrong = String::new();
        // The last one is after the end.
        for n in (1..=calls + 1).skip(part).step_by(PARTS) {
            world.restore(&moment);
            world.suffer(&create, &format!("kill:nas.call:{n}"));
            meddle(&world);
            let mut said = String::new();
            let mut commands = vec![&create[..]];
            if mend {
                commands.push(&["experiment", "apply", "--mend", "lake"]);
            }
            for command in commands {
                let ran = world.run(command);
                // What others took away is not given back unasked; what stands on it cannot be made then.
                let waits = mend && command.contains(&"create") && ran.err.contains("apply --mend");
                if ran.code != Some(0) && !waits {
                    said += &ran.said();
                }
            }
            let differs = difference(&undisturbed, &world.picture());
            if !differs.is_empty() || !said.is_empty() {
                wrong += &format!("at call {n} of {calls}: {said}\n{differs}\n");
            }
        }
        assert!(wrong.is_empty(), "{name}\n{wrong}");
    });
}

#[test]
fn an_apply_by_somebody_else_in_the_middle_changes_nothing() {
    meddled_everywhere(
        "an_apply_by_somebody_else_in_the_middle_changes_nothing",
        |world| {
            let all = json!({"modules": [], "force": false});
            world.ask("Config", "applyChanges", &all);
        },
        false,
    );
}

#[test]
fn reverted_changes_are_named_and_mended() {
    meddled_everywhere(
        "reverted_changes_are_named_and_mended",
        |world| {
            world.ask("Config", "revertChanges", &json!({"filename": ""}));
        },
        true,
    );
}
