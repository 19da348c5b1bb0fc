//! Kill -9 at every step of every operation, and the same command again: the end is that of an undisturbed run.
//!
//! A point that follows the same one in the same kind of step is tried once: where a plan makes ten directories, one of
//! them is killed at each of its points. `OCTONAS_EVERY_POINT=1` tries them all.

use std::collections::BTreeSet;

use serde_json::json;

use crate::engined::in_namespaces;
use crate::world::{PEOPLE, World, definition, difference, lake};

/// Doubles that work at once on one operation.
const PARTS: usize = 3;

/// The points (from 1) at which a run is killed, out of those that an undisturbed run passed.
fn chosen(points: &[String], steps: &serde_json::Value) -> Vec<usize> {
    let all = std::env::var_os("OCTONAS_EVERY_POINT").is_some();
    let steps: Vec<String> = steps
        .as_array()
        .map(|steps| {
            let kind = |s: &serde_json::Value| format!("{} {}", s["action"], s["object"]["kind"]);
            steps.iter().map(kind).collect()
        })
        .unwrap_or_default();
    let (mut step, mut before, mut seen) = (0, "", BTreeSet::new());
    let mut chosen = Vec::new();
    for (index, name) in points.iter().enumerate() {
        let kind = steps.get(step).map_or("", String::as_str);
        if seen.insert((kind, before, name)) || all {
            chosen.push(index + 1);
        }
        step += usize::from(name == "step.done");
        before = name;
    }
    chosen
}

/// Kills `arguments` everywhere, from the moment that `prepare` makes.
fn killed_everywhere(name: &str, prepare: fn(&World), arguments: fn(&World) -> Vec<String>) {
    in_namespaces(&format!("kills::{name}"), PARTS, |part| {
        let world = World::new();
        prepare(&world);
        let arguments = arguments(&world);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let moment = world.save();
        world.restore(&moment);
        let mut asked = arguments.clone();
        asked.push("--json");
        let (done, points) = world.trace(&asked);
        let told = done.ok().json();
        let steps = if told["steps"].is_null() {
            &told["outcome"]["steps"]
        } else {
            &told["steps"]
        };
        let undisturbed = world.picture();
        let chosen = chosen(&points, steps);
        if part == 0 {
            println!(
                "  {name}: killed at {} of {} points",
                chosen.len(),
                points.len()
            );
        }
        let mut wrong = String::new();
        let begun = std::time::Instant::now();
        for point in chosen.iter().skip(part).step_by(PARTS) {
            let which = format!("point {point} ({})", points[point - 1]);
            world.restore(&moment);
            let killed = world.suffer(&arguments, &format!("kill:{point}"));
            // How often the end of a deployment is asked for depends on the moment: the last points may not be there.
            assert!(
                matches!(killed.code, None | Some(0)),
                "{which}: {}",
                killed.said()
            );
            let again = world.run(&arguments);
            // What is in service cannot be adopted again: the adoption was done but for its last line.
            let adopted = name.starts_with("adopt") && again.said().contains("[experiment.exists]");
            if again.code != Some(0) && !adopted {
                wrong += &format!("{which}: again: {}\n", again.said());
                continue;
            }
            // A later run cannot know who marked the modules of a new account: they stay marked, for whoever applies next.
            let marked = |line: &&str| ["+ dirty: \"postfix\"", "+ dirty: \"ssh\""].contains(line);
            let all = difference(&undisturbed, &world.picture());
            let differs: Vec<&str> = all.lines().filter(|line| !marked(line)).collect();
            let differs = differs.join("\n");
            if !differs.is_empty() {
                wrong += &format!("{which}:\n{differs}\n");
            }
        }
        println!("  {name}: {:?}", begun.elapsed());
        assert!(wrong.is_empty(), "{name}\n{wrong}");
    });
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn with_file(world: &World, command: &str, text: &str) -> Vec<String> {
    let file = world.file("given.yaml", text);
    words(&format!("experiment {command} -f {file}"))
}

fn created(world: &World) {
    world.create();
}

#[test]
fn create() {
    killed_everywhere(
        "create",
        |_| {},
        |world| with_file(world, "create", &lake(PEOPLE, true)),
    );
}

/// The base is one share, with nothing in it yet.
fn common(world: &World) {
    world.share(&["--common", "experiments"]);
}

/// Two definitions, one of which shares people with the other.
fn two(world: &World) -> String {
    let lake = world.file("lake.yaml", &lake(PEOPLE, true));
    let people = [("ada", "read"), ("dan", "manage")];
    let pond = "22222222-2222-4333-8444-555555555555";
    let pond = world.file("pond.yaml", &definition("pond", pond, &people, true));
    format!("experiment create -f {lake} -f {pond}")
}

#[test]
fn create_in_a_common_share() {
    killed_everywhere("create_in_a_common_share", common, |world| {
        with_file(world, "create", &lake(PEOPLE, true))
    });
}

#[test]
fn create_several() {
    killed_everywhere("create_several", |_| {}, |world| words(&two(world)));
}

#[test]
fn create_several_in_a_common_share() {
    killed_everywhere("create_several_in_a_common_share", common, |world| {
        words(&two(world))
    });
}

#[test]
fn share_a_base_as_a_whole() {
    killed_everywhere("share_a_base_as_a_whole", created, |world| {
        let base = world.double.base();
        words(&format!(
            "base share {} --common experiments",
            base.display()
        ))
    });
}

#[test]
fn share_each_experiment_by_itself_again() {
    killed_everywhere(
        "share_each_experiment_by_itself_again",
        |world| {
            world.create();
            common(world);
        },
        |world| {
            words(&format!(
                "base share {} --own",
                world.double.base().display()
            ))
        },
    );
}

#[test]
fn remove_from_a_common_share() {
    killed_everywhere(
        "remove_from_a_common_share",
        |world| {
            common(world);
            world.create();
        },
        |_| words("experiment remove lake"),
    );
}

#[test]
fn create_with_accounts() {
    killed_everywhere(
        "create_with_accounts",
        |_| {},
        |world| {
            let people = [
                ("ada", "manage"),
                ("newcomer", "write"),
                ("visitor", "read"),
            ];
            with_file(world, "create --create-accounts", &lake(&people, false))
        },
    );
}

#[test]
fn edit_that_changes_people_and_shuts_smb() {
    killed_everywhere("edit_that_changes_people_and_shuts_smb", created, |world| {
        let people = [("ada", "manage"), ("dan", "write"), ("cid", "read")];
        with_file(world, "edit", &lake(&people, false))
    });
}

#[test]
fn edit_that_opens_smb_and_moves_a_person() {
    killed_everywhere(
        "edit_that_opens_smb_and_moves_a_person",
        |world| {
            let file = world.file("lake.yaml", &lake(PEOPLE, false));
            world.run(&["experiment", "create", "-f", &file]).ok();
        },
        |world| {
            let people = [("ada", "manage"), ("bob", "read"), ("cid", "read")];
            with_file(world, "edit", &lake(&people, true))
        },
    );
}

#[test]
fn close() {
    killed_everywhere("close", created, |_| words("experiment close lake"));
}

#[test]
fn reopen() {
    killed_everywhere(
        "reopen",
        |world| {
            world.create();
            world.run(&["experiment", "close", "lake"]).ok();
        },
        |_| words("experiment reopen lake"),
    );
}

/// Something of everything is changed by hand.
fn drifted(world: &World) {
    world.create();
    world.double.edit(|state| {
        for group in state["groups"].as_array_mut().unwrap() {
            match group["name"].as_str() {
                Some("exp-lake-w") => group["members"] = json!(["ada", "dan"]),
                Some("exp-lake-r") => group["members"] = json!([]),
                _ => {}
            }
        }
        state["smbshares"] = json!([]);
        let folders = state["sharedfolders"].as_array_mut().unwrap();
        let ours = folders.iter_mut().find(|f| f["name"] == "lake").unwrap();
        ours["privileges"] = json!({"privilege": [{"type": "user", "name": "dan", "perms": 7}]});
    });
    let raw = world.double.base().join("lake/raw");
    if raw.exists() {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&raw, std::fs::Permissions::from_mode(0o2777)).unwrap();
    }
}

#[test]
fn mending_what_was_changed_by_hand() {
    killed_everywhere("mending_what_was_changed_by_hand", drifted, |_| {
        words("experiment apply --mend lake")
    });
}

#[test]
fn remove() {
    killed_everywhere("remove", created, |_| words("experiment remove lake"));
}

#[test]
fn remove_with_the_data() {
    killed_everywhere(
        "remove_with_the_data",
        |world| {
            world.create();
            std::fs::write(world.double.base().join("lake/metadata/notes"), "x").unwrap();
        },
        |_| words("experiment remove lake --delete-data lake"),
    );
}

#[test]
fn adopt_that_grants_one_person() {
    killed_everywhere(
        "adopt_that_grants_one_person",
        |world| {
            world.create();
            world.run(&["experiment", "remove", "lake"]).ok();
        },
        |world| {
            let path = world.double.base().join("lake").display().to_string();
            words(&format!("experiment adopt {path} --grant ada"))
        },
    );
}

/// A folder that people share already: theirs, open to the students, with a guest share.
fn in_use(world: &World) {
    let top = world.double.base().join("lake");
    for path in ["raw", "2019/deep", "photos"] {
        std::fs::create_dir_all(top.join(path)).unwrap();
    }
    for (path, owner) in [
        ("raw/a.csv", 1002),
        ("2019/deep/b.csv", 1004),
        ("photos/c.jpg", 1003),
        ("notes.txt", 1001),
    ] {
        let file = top.join(path);
        std::fs::write(&file, path).unwrap();
        std::os::unix::fs::chown(&file, Some(owner), Some(100)).unwrap();
    }
    let disk = world.double.state()["mountpoints"][0]["uuid"].clone();
    let folder = world.ask(
        "ShareMgmt",
        "set",
        &json!({"uuid": crate::world::NEW, "name": "lake", "comment": "the lake", "mntentref": disk,
                "reldirpath": "octonas/lake/"}),
    );
    world.ask(
        "ShareMgmt",
        "setPrivileges",
        &json!({"uuid": folder["uuid"], "privileges": [{"type": "group", "name": "students", "perms": 7}]}),
    );
    world.ask(
        "FTP",
        "setShare",
        &json!({"uuid": crate::world::NEW, "enable": true, "sharedfolderref": folder["uuid"], "extraoptions": "",
                "comment": ""}),
    );
    world.ask(
        "Config",
        "applyChanges",
        &json!({"modules": [], "force": false}),
    );
}

#[test]
fn import_of_a_shared_folder() {
    killed_everywhere("import_of_a_shared_folder", in_use, |world| {
        let mut all = with_file(world, "import lake", &lake(PEOPLE, true));
        all.push("--confirm".to_owned());
        all
    });
}

fn with_more_doors() -> String {
    lake(PEOPLE, true).replace(
        "rsync: true }",
        "rsync: true, ftp: true, rsyncd: true, nfs: [{ host: 10.1.2.0/24, access: read }, { host: calc.example.org, access: write }] }",
    )
}

#[test]
fn edit_that_opens_ftp_and_nfs() {
    killed_everywhere("edit_that_opens_ftp_and_nfs", created, |world| {
        with_file(world, "edit", &with_more_doors())
    });
}

#[test]
fn edit_that_shuts_ftp_and_nfs() {
    killed_everywhere(
        "edit_that_shuts_ftp_and_nfs",
        |world| {
            let file = world.file("lake.yaml", &with_more_doors());
            world.run(&["experiment", "create", "-f", &file]).ok();
        },
        |world| with_file(world, "edit", &lake(PEOPLE, true)),
    );
}

/// A machine comes in over a share of its own, with this account.
fn with_machine() -> String {
    let machine = "sources:\n  - { id: gw, kind: windows, into: gateway, account: dan }\n";
    lake(PEOPLE, true) + machine
}

#[test]
fn edit_that_lets_a_machine_in_over_smb() {
    killed_everywhere("edit_that_lets_a_machine_in_over_smb", created, |world| {
        with_file(world, "edit", &with_machine())
    });
}

#[test]
fn edit_that_takes_the_share_of_a_machine_away() {
    killed_everywhere(
        "edit_that_takes_the_share_of_a_machine_away",
        |world| {
            let file = world.file("lake.yaml", &with_machine());
            world.run(&["experiment", "create", "-f", &file]).ok();
        },
        |world| with_file(world, "edit", &lake(PEOPLE, true)),
    );
}
