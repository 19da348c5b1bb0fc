"""The program itself: old Pythons read it, people read it in both languages, its parts hold at the edges."""

import ast
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from support import PROGRAM, load

sync = load()


class Program(unittest.TestCase):
    def test_python_3_8_reads_it(self):
        ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 8))
        if shutil.which("vermin") and subprocess.run(["vermin", "--version"], capture_output=True).returncode == 0:
            done = subprocess.run(["vermin", "-t=3.8-", "--no-tips", "--violations", str(PROGRAM)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_only_the_standard_library_is_needed(self):
        names = {alias.name.split(".")[0] for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
                 if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module.split(".")[0] for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
                  if isinstance(node, ast.ImportFrom)}
        self.assertLessEqual(names, getattr(sys, "stdlib_module_names", names) | {"msvcrt"})

    def test_every_sentence_has_its_french(self):
        said = set()
        for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t":
                said.add(ast.literal_eval(node.args[0]))
        self.assertEqual(said - set(sync.FRENCH), set())
        self.assertEqual(set(sync.FRENCH) - said, set())
        for english, french in sync.FRENCH.items():
            fields = lambda text: sorted(part.split("}")[0] for part in text.split("{")[1:])
            self.assertEqual(fields(english), fields(french), english)

    def test_no_shell_and_no_deletion_of_what_is_watched(self):
        text = PROGRAM.read_text(encoding="utf-8")
        self.assertNotIn("shell=True", text)
        self.assertNotIn("os.system", text)
        self.assertNotIn("os.popen", text)

    def test_names(self):
        for good in ("a", "a/b c", "\u00e9", "x" * 243, "a.", "CON", "a%b", "-a", "part", "a.partial"):
            self.assertIsNone(sync.cannot_travel(good), good)
        for bad in ("a\nb", "a\x1b", "a\u0085", ".a", "a/.b/c", "a.part", "d.part/x", "x" * 244, "a\udce9", "d/" * 1800 + "a"):
            self.assertIsNotNone(sync.cannot_travel(bad), bad)
        for name, word in (("a:b", "forbids"), ("a ", "blank"), ("aux.csv", "device"), ("50%", "percent"), ("e\u0301", "NFC")):
            self.assertIn(word, sync.hurts("d/" + name))
        self.assertEqual(sync.hurts("d/\u00e9-2026_01 (2).csv"), "")

    def test_the_log_is_rotated_and_keeps_one_line_a_file(self):
        with tempfile.TemporaryDirectory() as top:
            log = sync.Log(os.path.join(top, "sync.log"), 2000)
            for number in range(300):
                log.write("sent", "a\tb\n\x1b[2J%d" % number, 1, "0" * 64, "x\ny")
            log.close()
            names = sorted(os.listdir(top))
            self.assertEqual(len(names), 11)
            for name in names:
                text = pathlib.Path(top, name).read_text(encoding="utf-8")
                self.assertLess(len(text), 2300)
                self.assertNotIn("\x1b", text)
                for line in text.splitlines():
                    self.assertEqual(line.count("\t"), 5)

    def test_a_kit_that_is_wrong_is_refused_in_words(self):
        good = {
            "kit": 1, "experiment": {"id": "x", "code": "eco", "title": "t"}, "source": {"id": "plc", "every_seconds": 60},
            "transport": "sftp", "host": "nas", "port": 22, "user": "octsrc-0", "host_keys": ["nas ssh-ed25519 AAAA"],
            "watch": [], "stable_minutes": 5, "receipt_hours": 24,
        }
        import json
        with tempfile.TemporaryDirectory() as top:
            path = os.path.join(top, "kit.json")
            for change in ({"host": "-oProxyCommand=id"}, {"user": "-x"}, {"host_keys": ["x"]}, {"kit": 2}, {"port": "x"},
                           {"transport": "ftp"}, {"watch": [{}]}, {"experiment": None}, {"host_keys": ["a b c\nd"]},
                           {"source": {"id": "../x", "every_seconds": 60}}):
                pathlib.Path(path).write_text(json.dumps(dict(good, **change)))
                if change.get("host_keys") == ["a b c\nd"]:
                    self.assertEqual(sync.Kit(path).host_keys, ["b c"])
                    continue
                with self.assertRaises(sync.Trouble, msg=change) as caught:
                    sync.Kit(path)
                self.assertEqual(caught.exception.exit_code, 2)
            pathlib.Path(path).write_bytes(b"\xef\xbb\xbf" + json.dumps(good).encode())
            self.assertEqual(sync.Kit(path).host, "nas", "Notepad's byte order mark")


if __name__ == "__main__":
    unittest.main()
