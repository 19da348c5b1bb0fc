"""What is handed to systemd, launchd and the Task Scheduler is what they understand."""

import json
import os
import pathlib
import plistlib
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace
from unittest import mock

from support import PROGRAM, Case, load

NASTY = "a b%h$HOME\"q'<&>"


class Installation(Case):
    transport = "directory"

    def setUp(self):
        super().setUp()
        self.environment["XDG_CONFIG_HOME"] = str(self.top / "config")
        for path in (self.kit / "launchers").iterdir():
            text = path.read_text()
            for key, value in (("code", "eco"), ("source", "plc-c1"), ("every_seconds", "900"), ("spread_seconds", "90"),
                               ("title_xml", "R&amp;D &lt;b&gt; été")):
                text = text.replace("{{%s}}" % key, value)
            self.assertNotIn("{{", text, path)
            path.write_text(text)

    def rendered(self, system, root=False, home=None):
        """The files and commands for a system that this one need not be."""
        module = load()
        module.PARTS = ()
        with mock.patch.dict(os.environ, dict(self.environment, OCTONAS_SYNC_HOME=str(home or self.top / "home"),
                                              USERDOMAIN="LABO", USERNAME="Technicien É")):
            kit = module.Kit(str(self.kit / "kit.json"))
            places = module.Places(kit, system)
            places.root = root
            shutil.copytree(self.kit / "launchers", os.path.join(places.program, "launchers"), dirs_exist_ok=True)
            return module.schedule(kit, places)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_understands_the_units(self):
        self.write_kit(directory="/mnt/nas %s")
        for root in (False, True):
            for home in (self.top / "home", self.top / NASTY):
                files, starts, stops = self.rendered("Linux", root, home)
                folder = self.top / ("units%d" % root)
                folder.mkdir(exist_ok=True)
                for path, data in files.items():
                    self.assertNotIn(b"@DATA@", data)
                    self.assertNotIn(b"#system", data)
                    (folder / os.path.basename(path)).write_bytes(data)
                # What it starts must be there.
                (home / "program").mkdir(parents=True, exist_ok=True)
                done = subprocess.run(
                    ["systemd-analyze", "verify", *map(str, sorted(folder.iterdir()))] , capture_output=True, text=True,
                    env=dict(os.environ, SYSTEMD_LOG_LEVEL="info"))
                self.assertEqual((done.returncode, done.stderr.strip()), (0, ""), home)
                self.assertEqual(starts[-1][-1], "octonas-sync-eco-plc-c1.timer")
                self.assertEqual("--user" in starts[-1], not root)

    @unittest.skipUnless(shutil.which("systemd-run") and shutil.which("systemd-analyze"), "no systemd")
    def test_odd_paths_reach_systemd_as_they_are(self):
        module = load()
        line = module.unit_words("/usr/bin/python3", "/x/" + NASTY + "\\e")
        self.assertEqual(line, '"/usr/bin/python3" "/x/a b%%h$$HOME\\"q\'<&>\\\\e"')

    def test_launchd_reads_the_property_list(self):
        files, starts, stops = self.rendered("Darwin", home=self.top / NASTY)
        (path, data), = files.items()
        found = plistlib.loads(data)
        self.assertTrue(path.endswith("/Library/LaunchAgents/fr.octonas.sync.eco-plc-c1.plist"))
        self.assertEqual(found["Label"], "fr.octonas.sync.eco-plc-c1")
        self.assertEqual(found["StartInterval"], 900)
        self.assertEqual(found["ProgramArguments"],
                         [sys.executable, "-I", "-S", str(self.top / NASTY / "program" / "octonas_sync.py"), "run", "--quiet"])
        self.assertEqual(found["Umask"], 0o077)
        self.assertEqual(starts[0][:2], ["launchctl", "bootstrap"])

    def test_the_task_has_the_structure_of_the_task_schema(self):
        # https://learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema
        space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
        for transport, logon in (("directory", "InteractiveToken"), ("sftp", "S4U")):
            self.write_kit(transport=transport, host="nas", port=22, user="octsrc-0", host_keys=["nas ssh-ed25519 AAAA"])
            files, starts, _ = self.rendered("Windows", home=self.top / NASTY)
            (path, data), = files.items()
            self.assertEqual(data[:2], b"\xff\xfe")
            text = data.decode("utf-16")
            self.assertTrue(text.startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n'), text[:60])
            task = ElementTree.fromstring(text.replace('encoding="UTF-16"', ""))
            self.assertEqual((task.tag, task.get("version")), (space + "Task", "1.2"))
            self.assertEqual([child.tag.replace(space, "") for child in task],
                             ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"])
            def get(where):
                return task.find("/".join(space + part for part in where.split("/"))).text

            self.assertEqual(get("RegistrationInfo/Description"), "R&D <b> été (eco, plc-c1)")
            trigger = task.find(space + "Triggers")[0]
            self.assertEqual(trigger.tag, space + "TimeTrigger")
            self.assertEqual([child.tag.replace(space, "") for child in trigger], ["Repetition", "StartBoundary", "Enabled"])
            self.assertEqual(get("Triggers/TimeTrigger/Repetition/Interval"), "PT15M")
            self.assertEqual(get("Principals/Principal/LogonType"), logon)
            self.assertEqual(get("Principals/Principal/RunLevel"), "LeastPrivilege")
            self.assertEqual(get("Principals/Principal/UserId"), "LABO\\Technicien É")
            self.assertEqual(task.find(space + "Principals")[0].get("id"), task.find(space + "Actions").get("Context"))
            self.assertEqual(get("Settings/MultipleInstancesPolicy"), "IgnoreNew")
            self.assertEqual(get("Actions/Exec/Command"), sys.executable)
            self.assertRegex(get("Actions/Exec/Arguments"), "^-I -S .*octonas_sync.py.* run --quiet$")
            self.assertEqual(starts, [["schtasks", "/Create", "/TN", "OctoNAS\\eco-plc-c1", "/XML", path, "/F"]])

    def test_installing_keeps_what_is_watched_and_removing_keeps_the_key(self):
        self.file("a")
        other = self.top / "other place"
        other.mkdir()
        self.write_kit(watch=[])
        self.assertIn("no directory is watched", self.sync("run", expect=2) + self.err)
        self.sync("install", "--no-schedule", "--watch", str(self.top / "missing"), expect=1)
        self.sync("install", "--no-schedule", "--watch", str(self.watched), "--watch", str(other))
        self.sync("install", "--no-schedule")  # an update of the kit, without a word on what is watched
        installed = self.top / "home" / "program"
        self.assertEqual([entry["path"] for entry in json.loads((installed / "kit.json").read_text())["watch"]],
                         [str(self.watched), str(other)])
        run = subprocess.run([sys.executable, str(installed / "octonas_sync.py"), "run"], env=self.environment,
                             capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.in_landing(), ["a"])
        done = subprocess.run([sys.executable, str(installed / "octonas_sync.py"), "uninstall", "--no-schedule"],
                              env=self.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(installed.exists())
        self.assertTrue(self.data("state.sqlite").exists())
        self.sync("install", "--no-schedule", "--watch", str(self.watched))
        self.sync("uninstall", "--no-schedule", "--purge")
        self.assertFalse(self.data(".").exists())
        self.assertTrue((self.watched / "a").exists())

    def test_windows_without_an_administrators_rights_falls_back_to_the_session(self):
        module = load()
        self.write_kit(transport="sftp", host="nas", port=22, user="octsrc-0", host_keys=["nas ssh-ed25519 AAAA"])
        tried = []

        def start(command):
            text = pathlib.Path(command[command.index("/XML") + 1]).read_bytes().decode("utf-16")
            tried.append("S4U" if ">S4U<" in text else "session")
            return "Access is denied." if tried[-1] == "S4U" else None

        with mock.patch.dict(os.environ, dict(self.environment, USERNAME="t")), mock.patch.object(module, "start", start):
            kit = module.Kit(str(self.kit / "kit.json"))
            module.command_install(kit, module.Places(kit, "Windows"), SimpleNamespace(watch=None, no_schedule=False))
        self.assertEqual(tried, ["S4U", "session"])


class Batch(unittest.TestCase):
    def test_install_bat_is_plain(self):
        text = (PROGRAM.parent / "install.bat").read_bytes()
        self.assertTrue(text.isascii())
        self.assertIn(b'cd /d "%~dp0"', text)
        labels = {line[1:] for line in text.split(b"\n") if line.startswith(b":")}
        self.assertEqual(labels, {b"end", b"missing"})


if __name__ == "__main__":
    unittest.main()
