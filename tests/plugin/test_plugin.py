"""The plugin's own files, checked without OpenMediaVault: `tests/plugin/check`.

Needs python3-jinja2, python3-yaml, php-cli, shellcheck and systemd. OCTONAS_UPDATE_GOLDEN=1 writes the golden
files anew.
"""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import datamodels
import manifests
import messages
from salt_double import Salt

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
OMV = PROJECT / "omv-plugin/usr/share/openmediavault"
DISK = "/srv/dev-disk-by-uuid-1111-2222"
OTHER = "/srv/other disk"
DISK_UNIT = r"srv-dev\x2ddisk\x2dby\x2duuid\x2d1111\x2d2222.mount"
DISK_TARGET = r"octonas-walls@srv-dev\x2ddisk\x2dby\x2duuid\x2d1111\x2d2222.target"

PHP = sorted(OMV.glob("engined/**/*.inc")) + sorted((OMV.parent / "php").glob("**/*.inc"))
# Tells what it was asked, fails, or says nothing.
HELPER = """#!/usr/bin/python3
import json, sys
request = json.load(sys.stdin)
if sys.argv[2] == "tell":
    print(json.dumps({"progress": {"step": 1, "of": 2, "text": "make it"}}))
    print(json.dumps({"progress": {"warning": "late"}}))
    print(json.dumps({"result": request}))
elif sys.argv[2] == "fail":
    print(json.dumps({"error": {"code": "experiment.unknown", "message": "there is no experiment 100%s", "hint": "look again"}}))
"""


def experiment(code, disk=DISK, **more):
    """One experiment of the configuration."""
    return {
        "uuid": "00000000-0000-4000-8000-000000000000",
        "id": "11111111-1111-4111-8111-111111111111",
        "code": code,
        "path": f"{disk}/octonas/{code}",
        "sharedfolderref": "",
        "readonly": False,
        "sftp": True,
        "rsync": True,
        "writers": "alice,bob",
        "readers": "carol",
        **more,
    }


def source(code, name, account, *keys, **more):
    """One source of the configuration."""
    return {
        "uuid": "00000000-0000-4000-8000-000000000000",
        "id": "11111111-1111-4111-8111-111111111111",
        "code": code,
        "source": name,
        "account": account,
        "path": f"landing/{name}",
        "readonly": False,
        "keys": "\n".join(keys),
        **more,
    }


def machine(*experiments, mounts=(DISK, OTHER), up=(), units=(), enabled=(), sources=(), accounts=()):
    """A machine with these experiments; `up` are mounted, `units` have a file, `enabled` are wanted by targets."""
    wants = "/etc/systemd/system/{}.wants"
    targets = ("octonas-walls.target", "multi-user.target", DISK_TARGET)
    return {
        "objects": {
            "conf.service.octonas.experiment": list(experiments),
            "conf.service.octonas.source": list(sources),
            "conf.system.filesystem.mountpoint": [{"dir": "/"}, {"dir": DISK}, {"dir": OTHER}],
        },
        "files": {
            "/etc/group": "root:x:0:\noctonas-sources:x:990:\nusers:x:100:\n",
            "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\noctsrc-person:x:1001:100::/home/x:/bin/sh\n"
            + "".join(f"{name}:x:{uid}:990::/nonexistent:/bin/sh\n" for uid, name in enumerate(accounts, 980)),
        },
        "mounts": ["/", *mounts, *up],
        "directories": {
            **{one["path"]: [] for one in experiments if one["path"].startswith(tuple(mounts))},
            **({wants.format(t): list(enabled) for t in targets} if enabled else {}),
            **({f"/etc/systemd/system/{DISK_UNIT}.upholds": [DISK_TARGET]} if enabled else {}),
        },
        "units": [f"/etc/systemd/system/{unit}" for unit in units],
    }


LAKE = experiment("lake")
LAKE_UNIT = r"srv-dev\x2ddisk\x2dby\x2duuid\x2d1111\x2d2222-octonas-lake.mount"
STALE_UNIT = r"srv-dev\x2ddisk\x2dby\x2duuid\x2d1111\x2d2222-octonas-gone\x2d2025.mount"

MACHINES = {
    "none": machine(),
    "one": machine(LAKE),
    "settled": machine(LAKE, up=[LAKE["path"]], units=[LAKE_UNIT], enabled=[LAKE_UNIT]),
    "several": machine(
        experiment("eco-2026", writers="alice", readers="bob,dora"),
        experiment("lake", writers="bob", readers=""),
        experiment("quiet", sftp=False, rsync=False),
        experiment("sea", disk=OTHER, rsync=False),
    ),
    "closed": machine(experiment("lake", readonly=True), up=[LAKE["path"]], units=[LAKE_UNIT], enabled=[LAKE_UNIT]),
    "base-missing": machine(LAKE, experiment("sea", disk=OTHER), mounts=[DISK]),
    "directory-missing": machine(LAKE) | {"directories": {}},
    "stale": machine(LAKE, up=[LAKE["path"]], units=[LAKE_UNIT, STALE_UNIT], enabled=[LAKE_UNIT, STALE_UNIT]),
    "disk-left": machine(up=[LAKE["path"]], units=[LAKE_UNIT], enabled=[LAKE_UNIT]),
    "sources": machine(
        LAKE,
        experiment("shut", readonly=True, sftp=False, rsync=False),
        sources=[
            source("lake", "plc", "octsrc-0000000001", "ssh-ed25519 AAAA1 plc", "ssh-ed25519 AAAA2"),
            source("lake", "cam", "octsrc-0000000002"),
            source("shut", "plc", "octsrc-0000000003", "ssh-ed25519 AAAA3"),
            source("gone", "plc", "octsrc-0000000004", "ssh-ed25519 AAAA4"),
        ],
        accounts=["octsrc-0000000001", "octsrc-0000000009"],
    ),
    "half-enabled": machine(LAKE, up=[LAKE["path"]], units=[LAKE_UNIT])
    | {"directories": {LAKE["path"]: [], "/etc/systemd/system/multi-user.target.wants": [LAKE_UNIT]}},
}


def states(name):
    """All states of a machine, file by file."""
    salt = Salt(PROJECT / "salt", copy.deepcopy(MACHINES[name]))
    return {file: salt.states(file) for file in ("10walls.sls", "15sources.sls", "20jails.sls", "30sshd.sls")}


def unescaped(unit):
    """The path that a mount unit stands for."""
    return subprocess.run(["systemd-escape", "--unescape", "--path", unit.removesuffix(".mount")], check=True,
                          capture_output=True, text=True).stdout.strip()


class DataModels(unittest.TestCase):
    def test_our_models_follow_the_dialect(self):
        self.assertEqual(datamodels.check(OMV / "datamodels"), [])
        self.assertEqual(len(datamodels.load(OMV / "datamodels")) >= 3, True)

    def test_the_checker_sees_what_would_break_openmediavault(self):
        good = json.loads((OMV / "datamodels/conf.service.octonas.experiment.json").read_text())
        for change, expected in [
            (lambda m: m["properties"]["code"].update(type=["string", "null"]), "one string"),
            (lambda m: m["properties"]["code"].update(format="no-multi-line"), "unknown format"),
            (lambda m: m["properties"]["path"].update(pattern="^/srv$(?!\\n)"), "escaped"),
            (lambda m: m["properties"]["path"].update(pattern="^x$"), "anchored"),
            (lambda m: m["properties"].update(tags={"type": "array", "items": {"type": "string"}}), "read as an object"),
            (lambda m: m["properties"].update(x={"type": "text"}), "unknown type"),
            (lambda m: m["queryinfo"].update(idproperty="id"), "idproperty"),
            (lambda m: m.update(iterable=True), "unknown key"),
        ]:
            model, problems = copy.deepcopy(good), []
            change(model)
            datamodels.check_model(model, "model", problems)
            self.assertTrue(any(expected in problem for problem in problems), (expected, problems))

    def test_a_parent_that_forgets_a_property_of_its_children_is_found(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copytree(OMV / "datamodels", directory, dirs_exist_ok=True)
            path = Path(directory, "conf.service.octonas.json")
            model = json.loads(path.read_text())
            del model["properties"]["experiments"]["properties"]["item"]["items"]["properties"]["readonly"]
            path.write_text(json.dumps(model))
            self.assertEqual(
                datamodels.check(directory),
                ["conf.service.octonas: does not repeat the properties of conf.service.octonas.experiment"],
            )


class SaltStates(unittest.TestCase):
    maxDiff = None

    def test_states_are_those_of_the_golden_files(self):
        for name in MACHINES:
            with self.subTest(name):
                text = json.dumps(states(name), indent=1, sort_keys=True) + "\n"
                golden = HERE / "golden" / f"{name}.json"
                if os.environ.get("OCTONAS_UPDATE_GOLDEN"):
                    golden.parent.mkdir(exist_ok=True)
                    golden.write_text(text)
                self.assertEqual(text, golden.read_text())

    def test_where_all_stands_nothing_is_reloaded_enabled_started_or_stopped(self):
        walls = states("settled")["10walls.sls"]
        self.assertEqual(set(walls), {"configure_octonas_wall_lake", "octonas_walls_systemctl_daemon_reload"})
        reload = walls["octonas_walls_systemctl_daemon_reload"]["module.run"]
        self.assertEqual(reload["onchanges"], [{"file": "configure_octonas_wall_lake"}])

    def test_closing_an_experiment_changes_its_unit_and_restarts_nothing(self):
        before, after = states("settled")["10walls.sls"], states("closed")["10walls.sls"]
        options = [line for line in after["configure_octonas_wall_lake"]["file.managed"]["text"] if "Options=" in line]
        self.assertEqual(options, ["Options=bind,private,nosuid,nodev,nosymfollow,nofail,ro"])
        self.assertEqual(set(before), set(after))

    def test_a_missing_base_keeps_nobody_else_from_starting(self):
        walls = states("base-missing")["10walls.sls"]
        self.assertIn("octonas_wall_sea_waits", walls)
        self.assertIn("configure_octonas_wall_sea", walls)
        self.assertEqual(walls["start_octonas_walls"]["cmd.run"]["name"], f"systemctl start '{LAKE_UNIT}'")

    def test_only_units_without_an_experiment_are_stopped(self):
        text = json.dumps(states("stale")["10walls.sls"])
        self.assertEqual(text.count("systemctl disable"), 1)
        self.assertEqual(states("stale")["10walls.sls"]["remove_octonas_wall_1"]["file.absent"]["name"],
                         f"/etc/systemd/system/{STALE_UNIT}")

    def test_the_walls_of_a_disk_come_with_it_and_a_disk_without_experiments_has_no_target(self):
        walls = states("one")["10walls.sls"]
        text = walls["configure_octonas_wall_lake"]["file.managed"]["text"]
        self.assertIn(f"BindsTo={DISK_UNIT}", text)
        self.assertIn(f"WantedBy=octonas-walls.target multi-user.target {DISK_TARGET}", text)
        self.assertIn(DISK_TARGET, walls["enable_octonas_walls"]["cmd.run"]["name"])
        self.assertEqual(walls["start_octonas_disks"]["cmd.run"]["name"], f"systemctl start --no-block '{DISK_TARGET}'")
        left = states("disk-left")["10walls.sls"]
        self.assertEqual(left["disable_octonas_disk_1"]["cmd.run"]["name"],
                         f"systemctl disable --no-reload --quiet '{DISK_TARGET}'")

    def test_jails_hold_those_with_a_door_through_ssh_and_a_writer_who_reads_writes(self):
        salt = Salt(PROJECT / "salt", machine())
        both = [experiment("lake", writers="alice", readers="alice,bob"), experiment("quiet", sftp=False, rsync=False)]
        jails = json.loads(salt.render("files/jails.json.j2", experiments=both, sources=[]))
        self.assertEqual(jails["people"], {"alice": {"lake": "write"}, "bob": {"lake": "read"}})
        self.assertEqual(set(jails["experiments"]), {"lake"})

    def test_a_source_has_an_account_its_keys_and_a_jail_that_closes_with_its_experiment(self):
        there = states("sources")
        made = there["15sources.sls"]
        self.assertNotIn("create_octonas_source_octsrc-0000000001", made)
        self.assertIn("useradd --system --gid octonas-sources", made["create_octonas_source_octsrc-0000000002"]["cmd.run"]["name"])
        keys = {name: [line for line in made[f"configure_octonas_source_{name}"]["file.managed"]["text"] if "ssh-" in line]
                for name in [f"octsrc-000000000{n}" for n in range(1, 5)]}
        self.assertEqual(keys["octsrc-0000000001"], ["restrict ssh-ed25519 AAAA1 plc", "restrict ssh-ed25519 AAAA2"])
        self.assertEqual(keys["octsrc-0000000002"], [])
        self.assertEqual(keys["octsrc-0000000004"], [], "its experiment is gone")
        self.assertIn("remove_octonas_source_octsrc-0000000009", made)
        self.assertNotIn("remove_octonas_source_octsrc-person", made)
        jails = json.loads("\n".join(there["20jails.sls"]["configure_octonas_jails"]["file.managed"]["text"]))
        self.assertEqual({name: jail["readonly"] for name, jail in jails["sources"].items()},
                         {"octsrc-0000000001": False, "octsrc-0000000002": False, "octsrc-0000000003": True})
        self.assertEqual(jails["sources"]["octsrc-0000000001"],
                         {"experiment": "lake", "wall": LAKE["path"], "path": "landing/plc", "readonly": False})

    def test_systemd_accepts_the_units(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in ("several", "closed"):
                for state in states(name)["10walls.sls"].values():
                    if "file.managed" in state:
                        unit = Path(directory, Path(state["file.managed"]["name"]).name)
                        unit.write_text("\n".join(state["file.managed"]["text"]) + "\n")
            for unit in (PROJECT / "debian").glob("octonas.octonas-*"):
                shutil.copy(unit, Path(directory, unit.name.removeprefix("octonas.")))
            Path(directory, "octonas-walls@.target").rename(Path(directory, DISK_TARGET))
            for disk in (DISK_UNIT, r"srv-other\x20disk.mount"):
                Path(directory, disk).write_text(f"[Mount]\nWhat=/dev/null\nWhere={unescaped(disk)}\n")
            # The program is not installed here; tests/packages verifies the units where it is.
            for service in Path(directory).glob("octonas-*.service"):
                service.write_text(service.read_text().replace("/usr/bin/octonas", "/bin/true"))
            units = sorted(str(path) for path in Path(directory).iterdir())
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                                  env={**os.environ, "SYSTEMD_UNIT_PATH": f"{directory}:"})
            # systemd before 254 does not know UpheldBy=; OpenMediaVault 8 has 257.
            ours = [line for line in done.stderr.splitlines() if "octonas" in line and "'UpheldBy'" not in line]
            self.assertEqual((ours, done.returncode), ([], 0))


class SshRules(unittest.TestCase):
    """The script that puts them in force, with an sshd that refuses what contains 'bad'."""

    def run_script(self, directory, running=True, dies=False):
        programs = Path(directory, "bin")
        programs.mkdir(exist_ok=True)
        log = Path(directory, "log")
        log.write_text("")
        fake = {
            "sshd": f"echo sshd >>{log}; ! grep -qs bad {directory}/target.conf",
            "systemctl": f"echo \"$@\" >>{log}; case $1 in reload) {'kill -9 $PPID' if dies else ':'};;"
            f" *) {'true' if running else 'false'};; esac",
        }
        for name, body in fake.items():
            Path(programs, name).write_text(f"#!/bin/sh\n{body}\n")
            Path(programs, name).chmod(0o755)
        done = subprocess.run(
            ["sh", PROJECT / "salt/files/sshd-drop-in", f"{directory}/source", f"{directory}/target.conf"],
            env={"PATH": f"{programs}:{os.environ['PATH']}"}, capture_output=True, text=True)
        files = {path.name: path.read_text() for path in Path(directory).iterdir() if path.name.startswith("target")}
        return done.returncode, files, log.read_text().splitlines()

    def test_accepted_rules_are_put_in_force_by_a_reload(self):
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "source").write_text("good")
            code, files, log = self.run_script(directory)
            self.assertEqual((code, files), (0, {"target.conf": "good"}))
            self.assertEqual(log[-1], "reload ssh.service")

    def test_refused_rules_leave_what_was_there(self):
        for before in [{}, {"target.conf": "old"}]:
            with tempfile.TemporaryDirectory() as directory:
                for name, text in before.items():
                    Path(directory, name).write_text(text)
                Path(directory, "source").write_text("bad")
                code, files, log = self.run_script(directory)
                self.assertEqual((code, files, log), (1, before, ["sshd"]))

    def test_a_run_that_died_before_the_reload_is_finished_by_the_next(self):
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "target.conf").write_text("old")
            Path(directory, "source").write_text("good")
            code, files, _ = self.run_script(directory, dies=True)
            self.assertEqual((code, files), (-9, {"target.conf": "good", "target.conf.previous": "old"}))
            code, files, log = self.run_script(directory)
            self.assertEqual((code, files), (0, {"target.conf": "good"}))
            self.assertEqual(log[-1], "reload ssh.service")

    def test_rules_in_force_are_left_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            for name in ("source", "target.conf"):
                Path(directory, name).write_text("good")
            self.assertEqual(self.run_script(directory), (0, {"target.conf": "good"}, []))

    def test_a_server_that_is_off_stays_off(self):
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "source").write_text("good")
            code, _, log = self.run_script(directory, running=False)
            self.assertEqual((code, log), (0, ["sshd", "--quiet is-active ssh.service"]))


class EngineModule(unittest.TestCase):
    def test_php_accepts_it(self):
        for path in sorted(OMV.rglob("*.inc")):
            done = subprocess.run(["php", "-l", path], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_everything_but_the_shared_folder_makes_it_dirty(self):
        done = subprocess.run(["php", HERE / "listener.php", OMV / "engined/module/octonas.inc"], check=True,
                              capture_output=True, text=True)
        dirty = dict(line.split(": ") for line in done.stdout.splitlines())
        self.assertEqual(dirty, {
            "created": "1", "deleted": "1", "closed": "1", "other people": "1", "shared folder and people": "1",
            "shared folder alone": "0", "nothing, in another order": "0", "without what was": "1",
            "about to be deleted": "0", "a source": "1", "another object": "0",
            # What experiments are made of marks them, and deploys nothing.
            "marked by group": "eco dirty 0", "marked by another group": " dirty 0",
            "marked by writer": "eco dirty 0", "marked by reader": "eco,eco-2 dirty 0", "marked by stranger": " dirty 0",
            "marked by privilege": "eco dirty 0", "marked by another folder": " dirty 0",
            "marked by share": "eco dirty 0", "marked by disk": "eco dirty 0",
            "marked by something strange": " dirty 0",
        })


class Scripts(unittest.TestCase):
    def test_shellcheck_has_nothing_to_say(self):
        scripts = [
            *PROJECT.glob("debian/*.post*"), *PROJECT.glob("debian/*.pre*"), PROJECT / "debian/build",
            PROJECT / "salt/files/sshd-drop-in", *OMV.glob("confdb/*/*.sh"), PROJECT / "tests/packages/run",
            PROJECT / "tests/packages/inside", PROJECT / "tests/packages/fake-openmediavault", HERE / "check",
        ]
        # OpenMediaVault's own files are not here to be followed.
        done = subprocess.run(["shellcheck", "--exclude=SC1091", *scripts], capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    def test_scripts_of_the_configuration_database_are_executable(self):
        for path in OMV.glob("confdb/*/*"):
            self.assertTrue(os.access(path, os.X_OK), path)
            if path.parent.name == "migrations.d":
                self.assertEqual(path.name.count("_"), 1, path)


class Pages(unittest.TestCase):
    """The pages of the plugin."""

    def test_every_key_of_the_manifests_is_one_that_the_web_interface_reads(self):
        self.assertEqual(manifests.check(OMV), [])

    def test_a_misspelt_key_an_unknown_method_and_a_missing_component_are_found(self):
        with tempfile.TemporaryDirectory() as directory:
            plugin = Path(directory) / "plugin"
            shutil.copytree(OMV, plugin)
            shutil.copytree(OMV.parent / "php", plugin.parent / "php")
            page = plugin / "workbench/component.d/omv-octonas-history-datatable-page.yaml"
            text = page.read_text()
            page.write_text(text.replace("hasSearchField:", "hasSearchfield:").replace("getHistory", "getHistroy"))
            form = plugin / "workbench/component.d/omv-octonas-examine-form-page.yaml"
            form.write_text(form.read_text().replace("hintType: info", "hintType: info\n        modifiers: []"))
            route = plugin / "workbench/route.d/services.experiments.team.yaml"
            route.write_text(route.read_text().replace("omv-octonas-team-form-page", "omv-octonas-team"))
            said = "\n".join(manifests.check(plugin))
        self.assertIn("nobody reads the key 'hasSearchfield'", said)
        self.assertIn("no method 'getHistroy'", said)
        self.assertIn("never hidden by modifiers", said)
        self.assertIn("no component 'omv-octonas-team'", said)
        self.assertIn("'omv-octonas-team-form-page' is on no route", said)

    def test_a_key_that_stands_twice_is_found(self):
        with tempfile.TemporaryDirectory() as directory:
            plugin = Path(directory) / "plugin"
            shutil.copytree(OMV, plugin)
            shutil.copytree(OMV.parent / "php", plugin.parent / "php")
            page = plugin / "workbench/component.d/omv-octonas-team-form-page.yaml"
            text = page.read_text()
            page.write_text(text.replace("suggestions: true", "suggestions: true\n                  suggestions: false", 1))
            said = "\n".join(manifests.check(plugin))
        self.assertIn("the key 'suggestions' is used twice", said)

    def test_every_text_is_there_in_french(self):
        self.assertEqual(messages.problems(OMV, "fr_FR"), [])

    def test_the_list_for_translators_is_that_of_the_pages(self):
        self.assertEqual((OMV / "locale/openmediavault-octonas.pot").read_text(), messages.pot(OMV))


class Notifications(unittest.TestCase):
    """The switches of the notification page."""

    def test_installing_turns_every_switch_on_and_purging_leaves_none(self):
        module = (OMV / "engined/module/octonas.inc").read_text()
        switches = re.findall(r'"octonas-([a-z]+)"', module)
        self.assertGreater(len(switches), 5)
        for script in ("postinst", "postrm"):
            text = (PROJECT / f"debian/openmediavault-octonas.{script}").read_text()
            self.assertEqual(re.search(r"for id in (.*); do", text)[1].split(), switches, script)


class Service(unittest.TestCase):
    """The service behind the pages."""

    SOURCE = manifests.service(OMV)

    def bodies(self):
        """Public methods: name → body."""
        parts = re.split(r"\n    (public|private) function (\w+)\(", self.SOURCE)
        return {parts[i + 1]: parts[i + 2] for i in range(1, len(parts), 3) if parts[i] == "public"}

    def test_what_is_registered_is_there_and_asks_for_a_role_first(self):
        registered = manifests.methods(OMV)
        bodies = self.bodies()
        self.assertEqual(set(bodies) - {"getName", "initialize"}, registered)
        for name in registered:
            first = bodies[name].split("{", 1)[1].strip()
            self.assertRegex(first, r"^(\$params = \$this->(member|admin)\(|\$this->validateMethodContext\(|\$shown = \$this->get\()", name)

    def test_every_model_that_is_named_exists_and_none_is_left_over(self):
        models = set(datamodels.load(OMV / "datamodels"))
        named = set(re.findall(r'"(rpc\.octonas\.\w+)"', self.SOURCE))
        self.assertEqual(named, {name for name in models if name.startswith("rpc.")})

    def test_messages_never_become_formats(self):
        for path in PHP:
            for call in re.findall(r"new \\OMV\\Exception\(\s*([^,)]+)", path.read_text()):
                self.assertEqual(call.strip(), '"%s"', path)

    def test_php_accepts_every_file_and_there_is_no_shell_in_any(self):
        for path in PHP:
            done = subprocess.run(["php", "-l", path], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertNotRegex(path.read_text(), r"\b(shell_exec|system|passthru|popen|exec)\s*\((?!\s*\$statusFile)", path)

    def test_every_class_that_is_named_is_one_that_php_finds(self):
        """A class that is not there ends a request without a word; PHP looks for it only when the line is reached."""
        ours = {}
        for path in PHP:
            text = path.read_text()
            space = re.search(r"^namespace ([\w\\]+);", text, re.M)
            for name in re.findall(r"^(?:abstract )?(?:class|trait) (\w+)", text, re.M):
                ours[f"{space[1]}\\{name}"] = path
        self.assertIn("OMV\\Octonas\\Folder", ours)
        for path in PHP:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.S)
            space = re.search(r"^namespace ([\w\\]+);", text, re.M)[1]
            imported = {each.rsplit("\\", 1)[-1]: each for each in re.findall(r"^use ([\w\\]+);", text, re.M)}
            for name in set(re.findall(r"(?<![\w$>])(\\?[A-Z][\w\\]*)::", text) + re.findall(r"\bnew (\\?[A-Z][\w\\]*)\(", text)):
                whole = name[1:] if name.startswith("\\") else imported.get(name, f"{space}\\{name}")
                foreign = not whole.startswith(("OMV\\Octonas\\", "Engined\\Rpc\\Octonas")) and (name.startswith("\\") or name in imported)
                self.assertTrue(whole in ours or foreign, f"{path.name}: {name} is no class here")

    @unittest.skipUnless(shutil.which("phpcs"), "phpcs is not there (Debian: php-codesniffer)")
    def test_php_is_written_as_psr_12_asks(self):
        done = subprocess.run(["phpcs", "-q", "--standard=PSR12", "--extensions=inc,php", "--report=emacs", *PHP],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        # The doubles of OpenMediaVault's classes stand in one file.
        done = subprocess.run(["phpcs", "-q", "-n", "--standard=PSR12", "--exclude=PSR1.Classes.ClassDeclaration",
                               "--report=emacs", *sorted(HERE.glob("*.php"))], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_helper_is_called_without_a_shell_and_its_error_is_passed_on(self):
        with tempfile.TemporaryDirectory() as directory:
            helper = Path(directory) / "helper"
            helper.write_text(HELPER)
            helper.chmod(0o755)
            # What the web interface makes of the translations.
            french = messages.read_po(OMV / "locale/fr_FR/openmediavault-octonas.po")
            (Path(directory) / "fr_FR.json").write_text(json.dumps(french))
            done = subprocess.run(["php", HERE / "helper.php", helper, OMV.parent / "php/openmediavault/octonas", directory],
                                  capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        told = json.loads(done.stdout)
        self.assertEqual(told["request"], {"caller": {"username": "alice", "role": "user", "language": "en"},
                                           "params": {"code": "$(id) 100% 'R&D' <b>"}})
        self.assertEqual(told["progress"], ["[1/2] make it", "Warning: late"])
        self.assertEqual(told["error"], ["there is no experiment 100%s (look again)", 404])
        self.assertEqual(told["erreur"], "Cette expérience n'existe pas sur ce NAS.\n"
                                         "there is no experiment 100%s (look again)")
        self.assertEqual(told["language"], ["fr", "en"])
        self.assertEqual(told["outcome"], [
            "Le compte ada a été créé. Son mot de passe initial, montré une seule fois : 100%",
            "Modifié à la main et laissé tel quel : 2",
            "Terminé.",
        ])
        self.assertEqual(told["silent"], "The program 'octonas' ended without an answer.")
        self.assertEqual(told["bodies"][0], "<p>R&amp;D</p>")
        self.assertNotIn("<img", told["bodies"][1], "a document that is no page acts in the panel")


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    skipped = "".join(f", SKIPPED: {why}" for _, why in result.skipped)
    print(f"plugin: {result.testsRun - failed - len(result.skipped)} passed, {failed} failed{skipped}")
    sys.exit(1 if failed else 0)
