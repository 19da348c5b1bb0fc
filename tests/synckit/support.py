"""A landing, an unprivileged sshd before it, a NAS that ingests as docs/reference/landing.md says, and lines that break."""

import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
PROGRAM = PROJECT / "templates" / "synckit" / "octonas_sync.py"


def load():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("octonas_sync", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sshd:
    """sshd of this user on a loopback port, for one landing."""

    def __init__(self, directory, command):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.port = free_port()
        self.key("host")
        (self.directory / "authorized").write_text("")
        (self.directory / "config").write_text(
            "Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n"
            "Subsystem sftp internal-sftp\nForceCommand %s\nLogLevel ERROR\nMaxStartups 100\nPerSourcePenalties no\n"
            % (self.port, self.directory / "host", self.directory / "authorized", command)
        )
        if b"PerSourcePenalties" in subprocess.run(
            ["/usr/sbin/sshd", "-t", "-f", str(self.directory / "config")], capture_output=True
        ).stderr:
            text = (self.directory / "config").read_text().replace("PerSourcePenalties no\n", "")
            (self.directory / "config").write_text(text)
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.process = None
        self.start()

    def key(self, name):
        for path in (self.directory / name, self.directory / (name + ".pub")):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.directory / name)], check=True)

    def host_key(self):
        return "nas " + " ".join((self.directory / "host.pub").read_text().split()[:2])

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.directory / "config")], stdout=subprocess.DEVNULL, stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.02)
        raise AssertionError((self.directory / "log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Line:
    """A line to sshd that breaks (or falls silent) after so many bytes from the source."""

    def __init__(self, port, limits=(), silent=False):
        self.target, self.limits, self.silent = port, list(limits), silent
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.breaks = 0
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
                there = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            limit = self.limits.pop(0) if self.limits else None
            self.open += [client, there]
            threading.Thread(target=self._copy, args=(client, there, limit), daemon=True).start()
            threading.Thread(target=self._copy, args=(there, client, None), daemon=True).start()

    def _copy(self, source, target, limit):
        passed = 0
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if limit is not None and passed + len(data) > limit:
                    target.sendall(data[:limit - passed])
                    self.breaks += 1
                    if self.silent:
                        time.sleep(600)
                    break
                target.sendall(data)
                passed += len(data)
        except OSError:
            pass
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self):
        self.server.close()
        for one in self.open:
            with contextlib.suppress(OSError):
                one.close()


class Case(unittest.TestCase):
    """A source, a landing, a NAS."""

    command = "internal-sftp"
    transport = "sftp"

    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="synckit-"))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.watched = self.top / "watched"
        self.landing = self.top / "landing"
        self.place = self.top / "raw"
        self.kit = self.top / "kit"
        for directory in (self.watched, self.place, self.kit, self.landing / "data", self.landing / "sums",
                          self.landing / "receipts"):
            directory.mkdir(parents=True)
        shutil.copy(PROGRAM, self.kit)
        shutil.copytree(PROGRAM.parent / "launchers", self.kit / "launchers")
        self.environment = dict(os.environ, OCTONAS_SYNC_HOME=str(self.top / "home"), PYTHONDONTWRITEBYTECODE="1")
        self.arrived = []
        self.sshd = None
        self.raw = {
            "kit": 1, "experiment": {"id": "0b9e", "code": "eco", "title": "Été"},
            "source": {"id": "plc-c1", "timezone": "UTC", "every_seconds": 900}, "language": "en", "transport": self.transport,
            "directory": str(self.landing) if self.transport == "directory" else None,
            "watch": [{"path": str(self.watched), "include": ["*"], "exclude": []}],
            "stable_minutes": 5, "receipt_hours": 24, "rate_limit_kib": 0, "settle_seconds": 0, "stall_seconds": 20,
        }
        if self.transport == "sftp":
            self.sshd = Sshd(self.top / "sshd", self.command)
            self.addCleanup(self.sshd.stop)
            self.raw.update(
                host="127.0.0.1", port=self.sshd.port, user=os.environ.get("LOGNAME") or subprocess.run(
                    ["id", "-un"], capture_output=True, text=True, check=True).stdout.strip(),
                host_keys=[self.sshd.host_key()], remote=str(self.landing))
        self.write_kit()
        if self.transport == "sftp":
            self.sync("enrol")
            shutil.copy(self.data("id_ed25519.pub"), self.top / "sshd" / "authorized")

    def write_kit(self, **changes):
        self.raw.update(changes)
        (self.kit / "kit.json").write_text(json.dumps(self.raw))

    def data(self, name):
        return self.top / "home" / "data" / name

    def file(self, name, content=b"hello\n", age=3600):
        path = self.watched / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.age(path, age)
        return path

    @staticmethod
    def age(path, age):
        then = int(time.time() - age)
        os.utime(path, (then, then))

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, str(self.kit / "octonas_sync.py"), *arguments], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def sync(self, *arguments, expect=0):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        self.assertNotIn("Traceback", err)
        if expect is not None:
            self.assertEqual(process.returncode, expect, "%s\n%s\n%s" % (arguments, out, err))
        self.err = err
        return out

    def run_once(self, expect=0):
        out = json.loads(self.sync("run", "--json", expect=expect))
        self.trouble = out["trouble"]
        return out["counts"]

    def log(self):
        return [line.split("\t") for line in self.data("sync.log").read_text().splitlines()]

    def in_landing(self):
        return sorted(str(p.relative_to(self.landing / "data")) for p in (self.landing / "data").rglob("*") if p.is_file())

    def receipt(self, path, outcome="received", reason=None, size=None, sha256=None, name=None, end="\n"):
        line = {"receipt": 1, "outcome": outcome, "path": path, "size": size, "sha256": sha256, "mtime": "2026-03-01T10:00:00Z",
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "into": "raw/" + path, "reason": reason,
                "detail": None}
        name = name or time.strftime("%Y-%m-%d.jsonl", time.gmtime())
        with open(self.landing / "receipts" / name, "a") as file:
            file.write(json.dumps(line) + end)

    def ingest(self):
        """What the NAS does: checks the sum, moves, writes the receipt. A path that comes twice is an error of the kit."""
        data = self.landing / "data"
        for path in sorted(data.rglob("*")):
            relative = str(path.relative_to(data))
            if not path.is_file() or any(part.startswith(".") or part.endswith(".part") for part in relative.split("/")):
                continue
            sum_file = self.landing / "sums" / (relative + ".sha256")
            content = path.read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            self.assertEqual(sum_file.read_bytes(), ("%s  %s\n" % (sha256, relative)).encode(), "not whole under its name")
            self.arrived.append(relative)
            target = self.place / relative
            self.assertFalse(target.exists(), "%s came twice" % relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
            sum_file.unlink()
            self.receipt(relative, size=len(content), sha256=sha256)

    def assert_all_arrived_once(self):
        """Every watched file is in its place, whole, with its time, once."""
        wanted = {str(p.relative_to(self.watched)): p for p in self.watched.rglob("*") if p.is_file()}
        self.assertEqual(sorted(self.arrived), sorted(wanted))
        for name, path in wanted.items():
            self.assertEqual((self.place / name).read_bytes(), path.read_bytes(), name)
            self.assertEqual(int((self.place / name).stat().st_mtime), int(path.stat().st_mtime), name)
