//! Two at once: on one experiment and on two. Both are done, or one is told to wait (exit code 4).

use std::process::Stdio;

use crate::engined::in_namespace;
use crate::world::{PEOPLE, World, definition, lake};

#[test]
fn two_operations_on_one_experiment_are_done_in_some_order_or_one_is_told_to_wait() {
    in_namespace(
        "together::two_operations_on_one_experiment_are_done_in_some_order_or_one_is_told_to_wait",
        || {
            let world = World::new();
            world.create();
            let edited = world.file(
                "edited.yaml",
                &lake(&[("ada", "manage"), ("dan", "write")], true),
            );
            let both = at_once(
                &world,
                &[
                    &["experiment", "edit", "-f", &edited],
                    &["experiment", "close", "lake"],
                ],
            );
            println!("  edit and close: {both:?}");
            assert!(
                both.iter().all(|code| matches!(code, Some(0 | 4))),
                "{both:?}"
            );
            assert!(both.contains(&Some(0)), "somebody is served");
            world.run(&["experiment", "check", "lake"]).ok();
        },
    );
}

#[test]
fn two_creations_at_once_are_two_experiments() {
    in_namespace(
        "together::two_creations_at_once_are_two_experiments",
        || {
            let world = World::new();
            let lake = world.file("lake.yaml", &lake(PEOPLE, true));
            let text = definition("sea", "22222222-2222-4333-8444-555555555555", PEOPLE, true);
            let sea = world.file("sea.yaml", &text);
            let commands = [
                ["experiment", "create", "-f", &lake],
                ["experiment", "create", "-f", &sea],
            ];
            let both = at_once(&world, &[&commands[0], &commands[1]]);
            println!("  create and create: {both:?}");
            assert!(
                both.iter().all(|code| matches!(code, Some(0 | 4))),
                "{both:?}"
            );
            for command in &commands {
                world.run(command).ok();
            }
            world.run(&["experiment", "check"]).ok();
            assert_eq!(
                world.double.state()["experiments"]
                    .as_array()
                    .unwrap()
                    .len(),
                2
            );
        },
    );
}

#[test]
fn a_change_of_members_restarts_no_smbd() {
    in_namespace("together::a_change_of_members_restarts_no_smbd", || {
        let world = World::new();
        world.create();
        let before = world.double.state()["restarts"].clone();
        let file = world.file(
            "lake.yaml",
            &lake(&[("ada", "manage"), ("dan", "read")], true),
        );
        world.run(&["experiment", "edit", "-f", &file]).ok();
        assert_eq!(world.double.state()["restarts"], before);
    });
}

fn at_once(world: &World, commands: &[&[&str]]) -> Vec<Option<i32>> {
    let running: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let mut command = world.command(arguments);
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    running
        .into_iter()
        .map(|mut child| child.wait().unwrap().code())
        .collect()
}
