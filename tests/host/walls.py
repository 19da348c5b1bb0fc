"""The walls of walls.md, tried from outside by real clients. Called by `run`; each part can be named alone."""

import hashlib
import json
import pathlib
import re
import signal
import sys
import time

import cells
import clients
from machine import INNER, Failed
from nas import Nas

ECO, LAKE = "eco-2026", "lake-1"
LEAVES = ("raw", "processed", "scripts", "docs")
PEOPLE = {name: clients.Person(name, hashlib.sha256(f"{name}, a password of this test".encode()).hexdigest()[:20],
                               roams=name == "yann")
          for name in ("alice", "bruno", "chloe", "denis", "xavier", "yann")}
ACCESS = {ECO: {"alice": "manage", "bruno": "write", "chloe": "read"}, LAKE: {"denis": "write", "alice": "read"}}


def definition(code, access, base=None):
    """A small experiment with these people."""
    people = [{"name": f"Person {name}", "account": name, "access": what,
               "roles": ["principal-investigator", "contact"] if what == "manage" else ["researcher"]}
              for name, what in access.items()]
    return json.dumps({"octonas": 1, "code": code, "title": f"Experiment {code}", "language": "en",
                       "dates": {"start": "2026-03-01"}, "people": people, "layout": "minimal", "licence": "CC-BY-4.0",
                       "protocols": {"smb": True, "sftp": True, "rsync": True},
                       **({"storage": {"base": base}} if base else {})})


class Walls:
    def __init__(self, nas):
        self.nas = nas
        self.base = f"{nas.disk['data'].dir}/octonas"
        self.began = time.monotonic()
        self.passed, self.failed = 0, []
        self.doors = clients.doors(INNER)
        self.smb, self.sftp, self.rsync = self.doors

    # --- saying what is so ----------------------------------------------------------------------------------------

    def part(self, title):
        print(f"-- {title} ({time.monotonic() - self.began:.0f} s)", flush=True)

    def check(self, sentence, holds, seen=""):
        if holds:
            self.passed += 1
        else:
            self.failed.append(sentence)
            print(f"FAILED: {sentence}\n        {seen}", flush=True)
        return holds

    def until(self, sentence, holds, seconds=30):
        """Something that becomes true by itself."""
        end = time.monotonic() + seconds
        while not holds() and time.monotonic() < end:
            time.sleep(0.2)
        return self.check(sentence, holds(), f"not within {seconds} s")

    def octonas(self, sentence, *arguments, text=None, code=0):
        """octonas has to end with this exit code."""
        done = self.nas.octonas(*arguments, text=text, check=False)
        self.check(sentence, done.code == code, done)
        return done

    def places(self, *closed):
        roles = {"manage": "write"}
        return [cells.Place(code, f"{self.base}/{code}", "raw", LEAVES,
                            {name: roles.get(what, what) for name, what in access.items()}, code in closed)
                for code, access in ACCESS.items()]

    def cells(self, *closed):
        return cells.Matrix(lambda argv, text=None: self.nas.run(*argv, text=text or "").out, self.doors,
                            list(PEOPLE.values()), self.places(*closed))

    def matrix(self, *closed, doors=None, codes=(ECO, LAKE)):
        """Every cell of these doors and experiments; prints those that are wrong."""
        matrix = self.cells(*closed)
        matrix.doors = doors or self.doors
        matrix.places = [place for place in matrix.places if place.code in codes]
        for cell in matrix.run():
            self.check(str(cell), cell.is_right)

    def exists(self, path):
        return self.nas.run("test", "-e", path, check=False).code == 0

    def can_read(self, door, person, code, name="known"):
        target = pathlib.Path(self.nas.work) / f"read-{door.name}"
        target.unlink(missing_ok=True)
        door.carry_out(person, code, [("get", f"raw/{name}", str(target))])
        return target.exists() and target.stat().st_size > 0

    # --- the parts ------------------------------------------------------------------------------------------------

    def create(self):
        """Two experiments with overlapping people."""
        for person in PEOPLE.values():
            self.nas.add_user(person.name, person.password, *(["_ssh"] if person.name == "yann" else []))
        self.octonas("a base is added", "base", "add", self.base)
        for code, access in ACCESS.items():
            self.octonas(f"{code} is created", "experiment", "create", "-f", "-", text=definition(code, access))
        self.octonas("nothing differs from what was made", "experiment", "check")
        self.cells().prepare()
        for code in ACCESS:
            mounts = self.nas.run("findmnt", "--noheadings", "--output", "OPTIONS,PROPAGATION", f"{self.base}/{code}").out
            self.check(f"{code} is a mount of its own",
                       all(word in mounts for word in ("nosuid", "nodev", "nosymfollow", "private")), mounts)
        self.check("smbd knows both shares", "[eco-2026]" in self.nas.run("testparm", "-s").out)
        shares = self.smb.shares(PEOPLE["denis"])
        self.check("people are told of their own shares only", LAKE in shares and ECO not in shares, shares)
        outsider = self.nas.run("runuser", "-u", "yann", "--", "ls", f"{self.base}/{ECO}", check=False)
        self.check("a shell on the NAS opens nothing", outsider.code != 0, outsider)

    def people(self):
        """person × experiment × door × operation."""
        self.matrix()
        self.cells().again()

    def accounts(self):
        """An account that is made on the way, with a password that is shown once, and never an empty one."""
        done = self.octonas("an experiment with a new person is created", "experiment", "create", "--create-accounts",
                            "-f", "-", text=definition("fresh-1", {"emile": "write"}))
        shown = re.search(r"initial password of emile: (\S+)", done.out)
        if not self.check("the password is shown", shown is not None, done):
            return
        self.check("nothing logs it", shown[1] not in self.nas.run("journalctl", "--no-pager").out)
        self.nas.run("tee", f"{self.base}/fresh-1/raw/known", text="known")
        for door in self.doors:
            self.check(f"it opens {door.name}", self.can_read(door, clients.Person("emile", shown[1]), "fresh-1"))
        self.check("no password opens nothing", not self.can_read(self.smb, clients.Person("emile", ""), "fresh-1"))
        self.octonas("it is removed", "experiment", "remove", "fresh-1")
        for door in self.doors:
            self.check(f"removed, {door.name} opens nothing",
                       not self.can_read(door, clients.Person("emile", shown[1]), "fresh-1"))
        self.check("its data is there", self.exists(f"{self.base}/fresh-1/raw/known"))

    def breach(self):
        """A frame that an admin opened by hand: the cells see it, `check` names it, mending shuts it."""
        matrix = self.cells()
        lake, top = matrix.places[1], f"{self.base}/{LAKE}"
        self.nas.run("setfacl", "-m", f"g:exp-{LAKE}-w:rwx,m::rwx", top)
        seen = {cell.operation for cell in matrix.visit(lake, PEOPLE["denis"], self.smb) if not cell.is_right}
        self.check("the cells can see a broken frame", "frame" in seen, seen)
        done = self.octonas("check finds it", "experiment", "check", LAKE, code=3)
        self.check("check names the directory that is missing", "raw" in done.out, done)
        self.nas.run("sh", "-c", 'cd "$1"; for d in *-renamed; do mv "$d" "${d%-renamed}"; done; rm -rf bad-*', "sh", top)
        self.octonas("mending shuts it", "experiment", "apply", LAKE, "--mend")
        self.octonas("check is content", "experiment", "check", LAKE)
        matrix.again()
        wrong = [str(cell) for cell in matrix.visit(lake, PEOPLE["denis"], self.smb) if not cell.is_right]
        self.check("the frame holds again", not wrong, wrong)

    def sweep(self):
        """What a member narrowed is found and repaired."""
        path = f"{self.base}/{ECO}/raw/narrowed"
        self.nas.run("runuser", "-u", "bruno", "--", "sh", "-c", 'umask 077; echo data >"$1"; chmod 600 "$1"', "sh", path)
        self.check("a narrowed mask shuts others out", not self.can_read(self.smb, PEOPLE["chloe"], ECO, "narrowed"))
        done = self.octonas("check finds it", "experiment", "check", ECO, code=3)
        self.check("check names the file", "narrowed" in done.out or "mask" in done.out, done)
        self.octonas("mending repairs it", "experiment", "apply", ECO, "--mend")
        self.check("a reader reads it again", self.can_read(self.smb, PEOPLE["chloe"], ECO, "narrowed"))
        self.octonas("check is content", "experiment", "check", ECO)

    def membership(self):
        """Somebody is taken out while in the middle of it."""
        bruno = PEOPLE["bruno"]
        sessions = {door.name: door.start(bruno, ECO, [("list", "raw")]) for door in (self.smb, self.sftp)}
        others = self.smb.start(PEOPLE["chloe"], ECO, [("list", "raw")])
        self.until("bruno is in by SMB", lambda: '"username": "bruno"' in self.nas.run("smbstatus", "--json").out)
        self.until("bruno is in by SFTP", lambda: self.nas.run("pgrep", "-u", "bruno", "gate", check=False).code == 0
                   or "gate" in self.nas.run("ps", "-u", "bruno", "-o", "comm", check=False).out)
        restarts = self.nas.run("systemctl", "show", "-P", "MainPID", "smbd").out
        without = {name: what for name, what in ACCESS[ECO].items() if name != "bruno"}
        self.octonas("bruno is taken out", "experiment", "edit", "-f", "-", text=definition(ECO, without))
        left = self.nas.run("ps", "-u", "bruno", "-o", "comm", check=False).out
        self.check("no process of bruno's is left", "gate" not in left and "sshd" not in left, left)
        self.check("no SMB session of bruno's is left",
                   '"username": "bruno"' not in self.nas.run("smbstatus", "--json").out)
        stolen = pathlib.Path(self.nas.work) / "stolen"
        for name, session in sessions.items():
            session.say(("get", "raw/known", str(stolen)))
            said = session.end()
            self.check(f"an open session by {name} reads nothing any more", not stolen.exists(), said)
        for door in self.doors:
            self.check(f"bruno does not come in again by {door.name}", not self.can_read(door, bruno, ECO))
        same = restarts == self.nas.run("systemctl", "show", "-P", "MainPID", "smbd").out
        self.check("nobody else was cut by a restart of smbd", same)
        kept = pathlib.Path(self.nas.work) / "kept"
        others.say(("get", "raw/known", str(kept)))
        said = others.end()
        self.check("somebody else's session goes on", kept.exists() or not same, said)
        self.octonas("bruno is let in again", "experiment", "edit", "-f", "-", text=definition(ECO, ACCESS[ECO]))
        for door in self.doors:
            self.check(f"bruno comes in again by {door.name}", self.can_read(door, bruno, ECO))

    def closing(self):
        """Read-only for everybody at once, with somebody in the middle of an upload."""
        big = pathlib.Path(self.nas.work) / "big"
        with open(big, "wb") as file:
            file.truncate(150 << 20)
        reader = self.smb.start(PEOPLE["chloe"], ECO, [("list", "raw")])
        writer = self.smb.start(PEOPLE["alice"], ECO, [("list", "raw")])
        # Uploads that are still going on when the door shuts: the sender is held to a few MB each second.
        limited = clients.Sftp(INNER)
        upload = clients.Session(
            [*limited.command(PEOPLE["bruno"])[:1], "-l", "40000", *limited.command(PEOPLE["bruno"])[1:]],
            limited.environment(PEOPLE["bruno"]), lambda s: limited.translate(s, ECO))
        upload.say(("put", str(big), "raw/upload"))
        self.until("an upload is going on", lambda: self.exists(f"{self.base}/{ECO}/raw/upload"))
        began = time.monotonic()
        self.octonas("it is closed", "experiment", "close", ECO)
        print(f"   closed in {time.monotonic() - began:.1f} s", flush=True)
        size = self.nas.run("stat", "-c", "%s", f"{self.base}/{ECO}/raw/upload").out
        time.sleep(2)
        self.check("the upload has ended", size == self.nas.run("stat", "-c", "%s", f"{self.base}/{ECO}/raw/upload").out)
        self.check("the upload is not whole", int(size) < 150 << 20, size)
        upload.end()
        small = pathlib.Path(self.nas.work) / "small"
        small.write_text("after the end")
        writer.say(("put", str(small), "raw/after"))
        said = writer.end()
        self.check("an open session writes nothing any more", not self.exists(f"{self.base}/{ECO}/raw/after"), said)
        reader.end()
        self.octonas("closed, nothing differs", "experiment", "check", ECO)
        self.matrix(ECO, codes=[ECO])

    def reboot(self):
        """Walls stand before the servers do, and closed stays closed."""
        self.nas.reboot()
        order = {}
        for unit in ("smbd.service", "ssh.service", "octonas-jails.service", *[self.mount_unit(code) for code in ACCESS]):
            # The jails' service ends when it has made them.
            what = "ExecMainExitTimestampMonotonic" if unit == "octonas-jails.service" else "ActiveEnterTimestampMonotonic"
            text = self.nas.run("systemctl", "show", "-P", what, unit).out.strip()
            order[unit] = int(text or 0)
            self.check(f"{unit} is there", order[unit] > 0, text)
        for code in ACCESS:
            unit = self.mount_unit(code)
            for server in ("smbd.service", "ssh.service"):
                self.check(f"{unit} stands before {server}", order[unit] <= order[server], order)
        self.check("jails stand before ssh.service", order["octonas-jails.service"] <= order["ssh.service"], order)
        options = self.nas.run("findmnt", "--noheadings", "--output", "OPTIONS", f"{self.base}/{ECO}").out
        self.check("closed stays closed", options.startswith("ro,"), options)
        self.octonas("nothing differs after the reboot", "experiment", "check")
        self.matrix(ECO, doors=[self.smb, self.sftp])

    def mount_unit(self, code):
        return self.nas.run("systemd-escape", "--path", "--suffix=mount", f"{self.base}/{code}").out.strip()

    def reopening(self):
        self.octonas("it is opened again", "experiment", "reopen", ECO)
        self.octonas("nothing differs", "experiment", "check", ECO)
        self.cells().again()
        self.matrix(codes=[ECO])

    def unavailable(self):
        """A disk that is not there: everything says so, and nothing lands on the system disk."""
        disk = self.nas.disk["data"]
        self.nas.run("systemctl", "stop", "smbd.service")
        for code in ACCESS:
            self.nas.run("sh", "-c", 'grep -l " $1 " /proc/[0-9]*/mountinfo >/dev/null; umount --lazy "$1"', "sh",
                         f"{self.base}/{code}")
        self.nas.run("sh", "-c", "for j in /run/octonas/jail/*/experiments/*; do umount --lazy \"$j\"; done; true")
        self.nas.run("umount", "--lazy", disk.dir)
        for words in (["check", ECO], ["apply", ECO], ["close", ECO], ["create", "-f", "-"]):
            text = definition("nowhere", {"alice": "manage"}) if words[0] == "create" else None
            done = self.nas.octonas("experiment", *words, text=text, check=False)
            self.check(f"{words[0]} refuses and says why", done.code not in (0, 101) and "mount" in done.out + done.err, done)
        found = self.nas.run("find", disk.dir, "-mindepth", "1").out
        self.check("nothing was written on the system disk", not found, found)
        shown = self.nas.octonas("base", "list", check=False)
        self.check("the base is shown as not available", "not" in shown.out, shown)
        self.nas.run("systemctl", "start", self.nas.run("systemd-escape", "--path", "--suffix=mount", disk.dir).out.strip())
        self.octonas("when the disk is back, applying puts everything back", "experiment", "apply", ECO, "--mend")
        self.octonas("for the other one, too", "experiment", "apply", LAKE, "--mend")
        self.nas.run("systemctl", "start", "smbd.service")
        self.octonas("nothing differs then", "experiment", "check")
        self.check("people come in again", self.can_read(self.sftp, PEOPLE["chloe"], ECO))

    def full(self):
        """A disk that fills up in the middle of a creation."""
        disk = self.nas.disk["small"]
        base = f"{disk.dir}/octonas"
        self.octonas("a second base is added", "base", "add", base)
        self.nas.run("sh", "-c", 'dd if=/dev/zero of="$1/ballast" bs=1k 2>/dev/null; test -s "$1/ballast"', "sh", disk.dir)
        text = definition("crowded", {"alice": "manage"}, base)
        done = self.nas.octonas("experiment", "create", "-f", "-", text=text, check=False)
        self.check("a creation on a full disk fails", done.code == 1, done)
        self.check("and says that the disk is full", "space" in done.err.lower() and "hint" in done.err, done)
        self.check("no share of it is open", "[crowded]" not in self.nas.run("testparm", "-s").out)
        self.nas.run("rm", f"{disk.dir}/ballast")
        self.octonas("with room again, the same command ends it", "experiment", "create", "-f", "-", text=text)
        self.octonas("nothing differs", "experiment", "check", "crowded")

    PARTS = ["create", "people", "accounts", "breach", "sweep", "membership", "closing", "reboot", "reopening", "unavailable", "full"]


def main(tree, work, programs, *parts):
    # Whoever is told to end ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    nas = Nas(tree, work, programs)
    try:
        nas.boot()
        walls = Walls(nas)
        failed = nas.run("systemctl", "--failed", "--plain", "--no-legend", check=False).out
        walls.check("every unit started", not failed.strip(), failed)
        for name in walls.PARTS:
            if parts and name not in parts and name != "create":
                continue
            part = getattr(walls, name)
            walls.part((part.__doc__ or name).strip().split("\n")[0])
            try:
                part()
            except Failed as error:
                walls.check(f"the part '{name}' comes to its end", False, error)
        print(f"walls: {walls.passed} passed, {len(walls.failed)} failed, {time.monotonic() - walls.began:.0f} s")
        return 1 if walls.failed else 0
    finally:
        nas.stop()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
