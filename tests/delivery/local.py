"""A sync kit delivers into an embedded NAS for some minutes, and is cut off again and again."""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import hour

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(PROJECT / "tests" / "omv"))
from findings import Findings  # noqa: E402  (shared with the tests of a real OpenMediaVault)

OCTONAS = PROJECT / "target" / "debug" / "octonas"
DEFINITION = {
    "octonas": 1, "code": "delivery", "title": "A delivery with cuts", "language": "en", "status": "active",
    "people": [{"name": "Ada Test", "account": "ada", "access": "manage", "roles": ["researcher"]}], "layout": "minimal",
    "sources": [{"id": "plc", "kind": "linux", "into": "raw", "every": "15min"}],
}


class Side:
    """An embedded NAS in a directory."""

    code, source, into = "delivery", "plc", "raw"
    cuts = {}

    def __init__(self, directory):
        self.base = directory
        self.path = f"{directory}/{self.code}"
        self.env = {**os.environ, "OCTONAS_NAS": f"local:{directory}"}

    def create(self):
        subprocess.run([OCTONAS, "--quiet", "experiment", "create", "-f", "-"], env=self.env, check=True, text=True,
                       input=json.dumps(DEFINITION))
        self.id = json.loads(self.octonas("--json", "experiment", "show", self.code))["definition"]["id"]

    def octonas(self, *words):
        return subprocess.run([OCTONAS, *words], env=self.env, stdout=subprocess.PIPE, text=True).stdout

    def python(self, program, *words):
        return subprocess.run(["python3", "-", *words], input=program, stdout=subprocess.PIPE, text=True, check=True).stdout

    def ingest(self, kill_after):
        running = subprocess.Popen([OCTONAS, "--quiet", "ingest", self.code], env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kill_after is not None:
            try:
                return running.wait(kill_after)
            except subprocess.TimeoutExpired:
                running.kill()
        return running.wait(600)

    def at_half(self, _chance):
        """There is no machine to restart."""
        return "half of the time"


def main():
    options = argparse.ArgumentParser(prog="tests/delivery/run", description=__doc__)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--seed", type=int, default=int(time.time()))
    arguments = options.parse_args()
    findings = Findings()
    findings.begin("delivery")
    findings.note(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="octonas-delivery-") as work:
        side = Side(f"{work}/nas")
        os.mkdir(side.base)
        side.create()
        machine = hour.Machine(f"{work}/machine", arguments.seed)
        machine.directory.mkdir()
        side.octonas("--quiet", "synckit", "build", side.code, side.source, "--output", f"{work}/kit",
                     "--directory", f"{side.path}/landing/{side.source}", "--watch", str(machine.directory))
        kit = hour.Kit(f"{work}/kit/octonas_sync.py", f"{work}/home", stable_minutes=0.1, rate_limit_kib=8192)
        hour.deliver(side, kit, machine, arguments.minutes, arguments.seed, findings.note)
        rounds = hour.settle(side, kit, 8)
        findings.check(rounds is not None, f"without cuts everything arrives, in {rounds} rounds", side.octonas("landing", side.code))
        hour.verify(side, findings, machine)
        for words in (("doctor",), ("experiment", "check", side.code)):
            done = subprocess.run([OCTONAS, *words], env=side.env, capture_output=True, text=True)
            findings.check(done.returncode == 0, f"octonas {' '.join(words)} finds nothing wrong", done.stdout + done.stderr)
    sys.exit(0 if findings.summary() else 1)


main()
