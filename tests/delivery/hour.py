"""A machine that measures, and a sync kit that delivers it, while lines, programs and the NAS itself are cut off.

What counts at the end: every file is in its place once, whole, with one receipt and one baseline line, and the machine still has it.
"""

import collections
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

# What runs where the experiment is.
SUMS = """
import hashlib, json, os, sys
found = {}
for folder, _, files in os.walk(sys.argv[1]):
    for name in files:
        path = os.path.join(folder, name)
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        found[os.path.relpath(path, sys.argv[1])] = digest.hexdigest()
json.dump(found, sys.stdout)
"""
LINES = """
import glob, json, sys
json.dump([json.loads(line) for file in sorted(glob.glob(sys.argv[1])) for line in open(file)], sys.stdout)
"""


class Machine(threading.Thread):
    """Writes files as an acquisition machine does: small ones often, some slowly, a large one now and then."""

    def __init__(self, directory, seed):
        super().__init__(daemon=True)
        self.directory = pathlib.Path(directory)
        self.chance = random.Random(seed)
        self.done = threading.Event()
        self.written = {}
        self.bytes = 0

    def run(self):
        number = 0
        while not self.done.is_set():
            number += 1
            kind = self.chance.random()
            if kind < 0.03:
                self.write(f"images/{number:06}.bin", self.chance.randint(10 << 20, 60 << 20), 0)
            elif kind < 0.15:
                self.write(f"slow/été {number:06}.csv", self.chance.randint(2_000, 40_000), self.chance.uniform(5, 30))
            else:
                self.write(f"day-{number // 300:03}/{number:06}.csv", self.chance.randint(0, 200_000), 0)
            self.done.wait(self.chance.uniform(0.2, 2))

    def write(self, path, size, seconds):
        """`size` bytes in ten parts, over so many seconds; the file has its name from the first byte."""
        file, digest = self.directory / path, hashlib.sha256()
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "wb") as out:
            for part in range(10):
                count = size // 10 + (size % 10 if part == 9 else 0)
                data = self.chance.randbytes(count)
                digest.update(data)
                out.write(data)
                out.flush()
                if seconds:
                    time.sleep(seconds / 10)
        self.written[path] = digest.hexdigest()
        self.bytes += size


class Kit:
    """A sync kit, as it was built, with the settings of this test."""

    def __init__(self, program, home, **settings):
        self.program = pathlib.Path(program)
        self.env = {**os.environ, "OCTONAS_SYNC_HOME": str(home), "LC_ALL": "C.UTF-8"}
        config = self.program.with_name("kit.json")
        config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))

    def run(self, *words, timeout=900):
        return subprocess.run(["python3", "-B", str(self.program), *words], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout)

    def start(self):
        return subprocess.Popen(["python3", "-B", str(self.program), "run"], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    @staticmethod
    def kill(running):
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def deliver(side, kit, machine, minutes, seed, note):
    """Lets the kit and the ingest run for so many minutes and cuts one of them off again and again. Gives how often each cut was made.

    `side` is where the experiment is: `octonas(*words)`, `python(program, *words)`, `ingest(kill_after)`, and `cuts`, each of which
    takes one thing away and gives it back before it returns; `at_half` is called once.
    """
    chance = random.Random(seed)
    cuts, runs = collections.Counter(), collections.Counter()
    machine.start()
    began = time.monotonic()
    half, told = False, 0
    while (passed := time.monotonic() - began) < 60 * minutes:
        running = kit.start()
        time.sleep(chance.choice((0.1, 0.5, 4)) * chance.random())
        if chance.random() < 0.5 and running.poll() is None:
            cut = chance.choice(["kit killed", *side.cuts])
            if cut == "kit killed":
                Kit.kill(running)
            else:
                side.cuts[cut](chance)
            cuts[cut] += 1
        if not half and passed > 30 * minutes:
            half = True
            cuts[side.at_half(chance)] += 1
        try:
            runs[f"kit ended with {running.wait(300)}"] += 1
        except subprocess.TimeoutExpired:
            Kit.kill(running)
            runs["kit still ran after 5 min"] += 1
        killed = chance.random() < 0.3
        code = side.ingest(chance.choice((0.05, 0.3, 1.5)) * chance.random() if killed else None)
        cuts["ingest killed"] += killed and code != 0
        runs[f"ingest ended with {'a kill' if killed and code else code}"] += 1
        if passed - told > 300:
            told = passed
            note(f"{passed / 60:.0f} min: {len(machine.written)} files written, {sum(cuts.values())} cuts")
        time.sleep(chance.uniform(1, 6))
    machine.done.set()
    machine.join()
    for what, count in sorted(runs.items()):
        note(f"{count:5} × {what}")
    for what, count in sorted(cuts.items()):
        note(f"{count:5} × {what}")
    return cuts


def settle(side, kit, seconds, rounds=20):
    """Without cuts, until the kit has nothing to send and the NAS nothing to take in; how many rounds it took, or None."""
    for number in range(1, rounds + 1):
        time.sleep(seconds)
        kit.run("run")
        side.ingest(None)
        waits = json.loads(side.octonas("--json", "landing", side.code))
        if kit.run("run").returncode == 0 and not waits["ready"] and not waits["pending"] and not waits["on_their_way"]:
            return number
    return None


def verify(side, findings, machine):
    """Every file once, whole, with its receipt and its checksum."""
    wanted = machine.written
    into, landing = f"{side.path}/{side.into}", f"{side.path}/landing/{side.source}"
    findings.check(len(wanted) > 20, f"{len(wanted)} files, {machine.bytes / 1e6:.0f} MB were written on the machine")
    placed = json.loads(side.python(SUMS, into))
    findings.check(placed == wanted, f"each of {len(wanted)} files is in its place, whole, and nothing else is", difference(placed, wanted))
    receipts = json.loads(side.python(LINES, f"{landing}/receipts/*.jsonl"))
    received = [(row["path"], row["sha256"]) for row in receipts if row["outcome"] == "received"]
    findings.check(len(received) == len(set(received)), "no receipt was given twice", collections.Counter(received).most_common(3))
    findings.check(dict(received) == wanted, "each has its receipt, with its checksum", difference(dict(received), wanted))
    baseline = json.loads(side.python(LINES, f"{side.base}/.octonas/baseline/{side.id}/*.jsonl"))
    marks = [(os.path.relpath(row["path"], side.into), row["sha256"]) for row in baseline]
    findings.check(len(marks) == len(set(marks)) and dict(marks) == wanted, "each has one line in the baseline", difference(dict(marks), wanted))
    left = json.loads(side.python(SUMS, f"{landing}/data"))
    findings.check(not left, "nothing is left in the landing", left)
    kept = {str(file.relative_to(machine.directory)) for file in machine.directory.rglob("*") if file.is_file()}
    findings.check(kept == set(wanted), "the machine still has all of them")


def difference(seen, wanted):
    return {"missing": sorted(set(wanted) - set(seen))[:5], "more": sorted(set(seen) - set(wanted))[:5],
            "other": [path for path in wanted if path in seen and seen[path] != wanted[path]][:5]}
