"""The doors, by the clients that people use: smbclient, sftp, rsync over ssh, lftp. Passwords never are arguments."""

import os
import pathlib
import queue
import re
import shlex
import subprocess
import tempfile
import threading
import time

from nas import Done, Nas

# sshd refuses an address for a while after failed logins (PerSourcePenalties): that says nothing about a person.
PENALTY = re.compile(r"Not allowed at this time|kex_exchange_identification|Connection reset by")


class Client:
    """One person at the doors."""

    def __init__(self, nas, account, password):
        self.nas, self.account, self.password = nas, account, password
        # The share in which all experiments are folders; None where each one is a share.
        self.common = None
        self.ssh = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                    "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password",
                    "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10",
                    "-o", f"Port={nas.port}"]
        self.env = {**os.environ, "SSHPASS": password, "LC_ALL": "C"}
        file, self.credentials = tempfile.mkstemp(prefix="otest-")
        with os.fdopen(file, "w") as out:
            out.write(f"username={account}\npassword={password}\n")

    def close(self):
        pathlib.Path(self.credentials).unlink(missing_ok=True)

    def _ssh(self, argv, input=None, timeout=60):
        for _ in range(10):
            done = Nas.local(["sshpass", "-e", *argv], input=input, timeout=timeout, env=self.env)
            if not PENALTY.search(done.text):
                break
            time.sleep(6)
        if "Permission denied (" in done.text:
            time.sleep(4)
        return done

    def shell(self, command):
        """What `ssh HOST COMMAND` gives."""
        return self._ssh(["ssh", *self.ssh, f"{self.account}@{self.nas.address}", command])

    def forward(self):
        """What a tunnel to the NAS's own web server gives."""
        return self._ssh(["ssh", *self.ssh, "-W", "127.0.0.1:80", f"{self.account}@{self.nas.address}"],
                         input="GET / HTTP/1.0\r\n\r\n", timeout=15)

    def scp_legacy(self, local, remote):
        return self._ssh(["scp", "-O", *self.ssh, local, f"{self.account}@{self.nas.address}:{remote}"])

    def sftp_argv(self, *more):
        return ["sshpass", "-e", "sftp", "-o", "BatchMode=no", *self.ssh, *more, f"{self.account}@{self.nas.address}"]

    def sftp(self, commands, *more):
        """A batch; one that fails does not stop the others."""
        batch = "".join(f"-{line}\n" for line in commands)
        return self._ssh(["sftp", "-o", "BatchMode=no", *self.ssh, *more, "-b", "-",
                          f"{self.account}@{self.nas.address}"], input=batch, timeout=120)

    def rsync_argv(self, *arguments):
        return ["rsync", "-e", shlex.join(["ssh", *self.ssh]), *arguments]

    def remote(self, path):
        return f"{self.account}@{self.nas.address}:{path}"

    def rsync(self, *arguments):
        return self._ssh(self.rsync_argv(*arguments), timeout=60)

    def smb_argv(self, share):
        if self.common and share != self.common:
            return ["smbclient", f"//{self.nas.address}/{self.common}", "-A", self.credentials, "-D", share]
        return ["smbclient", f"//{self.nas.address}/{share}", "-A", self.credentials]

    def smb(self, share, commands):
        return Nas.local([*self.smb_argv(share), "-c", ";".join(commands)], timeout=120, env=self.env)

    def smb_shares(self):
        return Nas.local(["smbclient", "-A", self.credentials, "-g", "-L", self.nas.address], timeout=60, env=self.env)

    def ftp(self, commands):
        """What lftp(1) says; a command that fails does not stop the others."""
        with tempfile.NamedTemporaryFile("w", prefix="otest-") as script:
            script.write("set net:max-retries 1\nset net:timeout 15\nset ftp:ssl-allow no\nset cmd:fail-exit no\n"
                         f"open -u {self.account},{self.password} ftp://{self.nas.address}\n")
            script.write("".join(f"{command}\n" for command in commands))
            script.flush()
            return Nas.local(["lftp", "-f", script.name], timeout=180, env=self.env)

    def hold(self, door, share=None):
        """A session that stays open."""
        argv = ["stdbuf", "-oL", *self.smb_argv(share)] if door == "smb" else self.sftp_argv()
        return Session(argv, self.env)


class Session:
    """An interactive client that is held open; `ask` gives what one command printed, and None once it is dead."""

    def __init__(self, argv, env):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace", env=env)
        self.lines, self.count = queue.Queue(), 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def ask(self, command, timeout=40):
        self.count += 1
        mark = f"otest-mark-{self.count}"
        try:
            self.process.stdin.write(f"{command}\n")
            self.process.stdin.flush()
            # smbclient waits for more input even when the next line has come with this one.
            time.sleep(0.3)
            self.process.stdin.write(f"!echo {mark}\n")
            self.process.stdin.flush()
        except OSError:
            return None
        said, end = "", time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                line = self.lines.get(timeout=1)
            except queue.Empty:
                continue
            if line is None:
                return None
            if mark in line and "echo" not in line:
                return said
            said += line
        return said + f"(no answer within {timeout} s)"

    def close(self):
        self.process.kill()
        self.process.wait()


def ended(process, timeout):
    """How a started client ended."""
    try:
        out, _ = process.communicate(timeout=timeout)
        return Done(process.returncode, out or "", "")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None
