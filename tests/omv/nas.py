"""The NAS, as root over ssh: commands, RPCs on the socket of omv-engined, octonas, and a look at what is on its disks."""

import json
import os
import pathlib
import shlex
import subprocess
import time

HERE = pathlib.Path(__file__).parent


class Gone(Exception):
    """The NAS or one of its parts did not do what the test itself needs."""


class RpcError(Exception):
    """An error that OpenMediaVault answered."""


class Done:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise Gone(f"no JSON: exit {self.code}: {self.text[-800:]}") from error

    def __str__(self):
        return f"exit {self.code}: {self.text[-600:]}"


class Nas:
    """One OpenMediaVault, reached by ssh as root."""

    def __init__(self, host):
        self.host = host
        self.options = shlex.split(os.environ.get("SSH_OPTIONS", ""))
        config = {}
        for line in self.local(["ssh", *self.options, "-G", host]).out.splitlines():
            key, _, value = line.partition(" ")
            config.setdefault(key, value)
        self.address, self.port = config["hostname"], config["port"]

    @staticmethod
    def local(argv, input=None, timeout=600, env=None):
        """Runs a program here."""
        try:
            done = subprocess.run(argv, input=input, capture_output=True, text=True, errors="replace", timeout=timeout,
                                  env=env, stdin=subprocess.DEVNULL if input is None else None)
        except subprocess.TimeoutExpired as late:
            text = (late.stdout or b"").decode(errors="replace") if isinstance(late.stdout, bytes) else str(late.stdout)
            return Done(124, text, f"still running after {timeout} s")
        return Done(done.returncode, done.stdout, done.stderr)

    def run(self, *argv, input=None, timeout=900):
        """Runs an argument vector there, as root."""
        return self.local(["ssh", *self.options, self.host, shlex.join(argv)], input=input, timeout=timeout)

    def sh(self, script, timeout=900):
        """Runs a shell script there; it travels on standard input, so that no secret becomes an argument."""
        return self.run("sh", "-s", input=script, timeout=timeout)

    def must(self, script, timeout=900):
        done = self.sh(script, timeout)
        if done.code:
            raise Gone(f"`{script[:200]}` failed: {done}")
        return done.out

    def start(self, *argv):
        """Starts an argument vector there without waiting for it."""
        return subprocess.Popen(["ssh", *self.options, self.host, shlex.join(argv)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")

    def copy(self, files, where):
        done = self.local(["scp", "-q", *self.options, *map(str, files), f"{self.host}:{where}"])
        if done.code:
            raise Gone(f"scp to {where}: {done}")

    def remote(self, function, **arguments):
        """Calls a function of remote.py there."""
        source = (HERE / "remote.py").read_text()
        call = f"\nanswer({function}(**json.loads({json.dumps(arguments)!r})))\n"
        return self.run("python3", "-", input=source + call).json()

    def rpc(self, service, method, params=None, timeout=120):
        """One RPC as the panel would send it (admin)."""
        answer = self.remote("rpc", service=service, method=method, params=params, timeout=timeout)
        if answer.get("error"):
            raise RpcError(answer["error"].get("message", "?"))
        return answer.get("response")

    def apply_panel(self, modules=()):
        """The panel's yellow bar: applies what waits."""
        return self.rpc("Config", "applyChanges", {"modules": list(modules), "force": False}, timeout=600)

    def dirty(self):
        return json.loads(self.must("cat /var/lib/openmediavault/dirtymodules.json 2>/dev/null || echo '[]'") or "[]")

    def octonas(self, *arguments, input=None, timeout=900):
        return self.run("octonas", *arguments, input=input, timeout=timeout)

    def octonas_json(self, *arguments, input=None):
        return self.octonas("--json", *arguments, input=input).json()

    def tree(self, path):
        """Everything below a path: {relative path: {kind, mode, uid, gid, owner, group, sha, acl, size}}."""
        return self.remote("tree", path=path)

    def wait(self, seconds=180):
        """Waits until omv-engined answers and systemd has finished booting."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.run("omv-rpc", "-u", "admin", "System", "getInformation", timeout=30).code == 0:
                # An apply of a monitored service fails until monit has begun.
                self.sh("timeout 60 systemctl is-system-running --wait >/dev/null;"
                        "for i in $(seq 80); do [ ! -e /etc/monit/monitrc ] || [ -S /run/monit.sock ] && exit 0; sleep .5; done")
                return
            time.sleep(1)
        raise Gone(f"{self.host} does not answer after {seconds} s")

    def reboot(self):
        """Restarts the machine: $REBOOT_COMMAND, or systemctl reboot over ssh."""
        command = os.environ.get("REBOOT_COMMAND")
        if command:
            done = self.local(["sh", "-c", command], timeout=600)
            if done.code:
                raise Gone(f"REBOOT_COMMAND: {done}")
        else:
            before = self.must("cat /proc/sys/kernel/random/boot_id")
            self.run("systemctl", "reboot", timeout=30)
            end = time.monotonic() + 600
            while self.run("cat", "/proc/sys/kernel/random/boot_id", timeout=20).out in ("", before):
                if time.monotonic() > end:
                    raise Gone(f"{self.host} did not come back")
                time.sleep(3)
        self.wait(600)
