//! What interrupts most waits for the night: whom it interrupts is said when it is set, nothing restarts before, and who
//! got in meanwhile is no part of what was looked at.

use std::os::unix::fs::{PermissionsExt as _, chown};

use serde_json::{Value, json};

use crate::engined::in_namespace;
use crate::world::{LAKE, PEOPLE, Ran, World, definition};

const SMBD: &str = "smbd restarts";

impl World {
    fn restarts(&self) -> u64 {
        self.double.state()["restarts"]["samba"]
            .as_u64()
            .unwrap_or_default()
    }

    fn tonight(&self) -> Ran {
        self.run(&["tonight", "run"])
    }

    fn waiting(&self) -> Value {
        let list = self.run(&["tonight", "list", "--json"]).ok().json();
        list["waiting"].clone()
    }

    /// A directory of bob's, in the place of an experiment.
    fn used(&self, code: &str) -> String {
        let top = self.double.directory(code);
        std::fs::create_dir_all(top.join("raw")).unwrap();
        chown(&top, Some(1002), Some(100)).unwrap();
        self.fill(code, "raw/data.csv");
        self.double.base().join(code).display().to_string()
    }

    fn fill(&self, code: &str, path: &str) {
        let file = self.double.base().join(code).join(path);
        std::fs::write(&file, path).unwrap();
        chown(&file, Some(1002), Some(100)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    }

    fn set(&self, arguments: &[&str]) -> Ran {
        let before = (self.double.state()["groups"].clone(), self.restarts());
        let mut all = arguments.to_vec();
        all.push("--tonight");
        let set = self.run(&all).ok();
        assert!(set.out.contains(SMBD), "{}", set.said());
        let after = (self.double.state()["groups"].clone(), self.restarts());
        assert_eq!(before, after, "nothing was changed yet");
        set
    }
}

#[test]
fn what_interrupts_most_says_whom_and_waits_for_the_night() {
    let name = "night::what_interrupts_most_says_whom_and_waits_for_the_night";
    in_namespace(name, || {
        let world = World::new();
        world.create();
        let base = world.double.base().display().to_string();
        world.set(&["base", "share", &base, "--common", "waters"]);
        let effects = world.waiting()[0]["effects"].to_string();
        assert!(
            effects.contains(SMBD) && effects.contains("smbd redémarre"),
            "{effects}"
        );
        let folder = world.used("pond");
        let id = LAKE.replace('1', "7");
        let file = world.file("pond.yaml", &definition("pond", &id, PEOPLE, true));
        let import = ["experiment", "import", &folder, "-f", &file, "--confirm"];
        // How its base is shared is part of what an import means.
        let mut early = import.to_vec();
        early.push("--tonight");
        let refused = world.run(&early);
        assert!(
            refused.err.contains("[tonight.taken]"),
            "{}",
            refused.said()
        );
        world.tonight().ok();
        world.run(&early).ok();
        // People go on working in it.
        world.fill("pond", "raw/more.csv");
        world.tonight().ok();
        assert_eq!(world.waiting(), json!([]));
        let shares = &world.double.state()["smbshares"];
        assert_eq!(shares.as_array().unwrap().len(), 1, "{shares}");
        world.run(&["experiment", "check"]).ok();

        world.share(&["--own"]);
        world.run(&["experiment", "remove", "lake"]).ok();
        let dir = world.double.base().join("lake").display().to_string();
        world.set(&["experiment", "adopt", &dir, "--grant", "bob"]);
        let before = world.restarts();
        world.tonight().ok();
        assert!(world.restarts() > before);
        let shown = world.run(&["experiment", "show", "lake", "--json"]).ok();
        assert_eq!(shown.json()["members"], json!({"bob": "write"}));
        world.run(&["experiment", "check"]).ok();
    });
}

#[test]
fn another_account_of_the_same_name_is_not_whom_it_was_set_for() {
    let name = "night::another_account_of_the_same_name_is_not_whom_it_was_set_for";
    in_namespace(name, || {
        let world = World::new();
        world.create();
        world.run(&["experiment", "remove", "lake"]).ok();
        let dir = world.double.base().join("lake").display().to_string();
        world.set(&["experiment", "adopt", &dir, "--grant", "bob"]);
        let folder = world.used("pond");
        let id = LAKE.replace('1', "7");
        let file = world.file("pond.yaml", &definition("pond", &id, PEOPLE, true));
        world.set(&["experiment", "import", &folder, "-f", &file, "--confirm"]);
        // Another bob came, whose number nothing in the directory bears.
        world
            .double
            .edit(|state| state["users"][3]["uid"] = json!(1777));
        let before = (world.double.state()["groups"].clone(), world.restarts());
        let ran = world.tonight();
        assert_eq!(ran.code, Some(1), "{}", ran.said());
        let told = ran.out.matches("[tonight.overtaken]").count();
        assert_eq!(told, 2, "{}", ran.said());
        let after = (world.double.state()["groups"].clone(), world.restarts());
        assert_eq!(before, after);
        // Looked at as they are now, they can be set again.
        world.set(&["experiment", "adopt", &dir]);
        world.run(&["tonight", "run", "lake"]).ok();
        world.run(&["experiment", "check", "lake"]).ok();
    });
}
