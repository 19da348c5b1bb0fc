"""smbclient, sftp and rsync: each carries out the same steps, in one session where the client can.

A step is a tuple; paths are relative to the experiment, local ones are absolute:

    ("list", directory)      ("get", remote, local)      ("put", local, remote)      ("mkdir", remote)
    ("delete", remote)       ("rmdir", remote)           ("rename", old, new)        ("chmod", mode, remote)
"""

import os
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass

SECONDS = 90


@dataclass(frozen=True)
class Person:
    """An account of the NAS. Whoever `roams` has an ordinary shell and no jail: paths are the server's own then."""

    name: str
    password: str
    roams: bool = False


class Door:
    """One way in. `call` starts a client and gives what it said; a client that hangs is ended."""

    name = ""

    def __init__(self, host):
        self.host = host
        self.scratch = tempfile.TemporaryDirectory(prefix="octonas-doors.")
        self.dir = pathlib.Path(self.scratch.name)

    def secret(self, person):
        """A file with the password, and a program that prints it: no secret is ever an argument."""
        file = self.dir / f"{person.name}.password"
        if not file.exists() or file.read_text() != person.password:
            file.touch(0o600)
            file.write_text(person.password)
            ask = self.dir / f"{person.name}.ask"
            ask.touch(0o700)
            ask.write_text(f"#!/bin/sh\nexec cat '{file}'\n")
            credentials = self.dir / f"{person.name}.smb"
            credentials.touch(0o600)
            credentials.write_text(f"username = {person.name}\npassword = {person.password}\n")
        return file

    def ssh_options(self, person):
        return ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o", "NumberOfPasswordPrompts=1",
                   "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password"]

    def environment(self, person):
        self.secret(person)
        return {**os.environ, "LC_ALL": "C.UTF-8", "SSH_ASKPASS": str(self.dir / f"{person.name}.ask"),
                "SSH_ASKPASS_REQUIRE": "force", "HOME": str(self.dir)}

    def call(self, person, command, text=None):
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace",
                                  timeout=SECONDS, check=False, env=self.environment(person), start_new_session=True)
        except subprocess.TimeoutExpired:
            return f"{command[0]} did not end"
        return done.stdout + done.stderr

    def start(self, person, code, steps=()):
        """A session that stays open; `say` sends it another step."""
        raise NotImplementedError

    def carry_out(self, person, code, steps):
        """Does the steps one after the other, whatever becomes of each, and gives all that was said."""
        raise NotImplementedError


class Session:
    """An open session of an interactive client."""

    def __init__(self, command, environment, translate):
        self.translate = translate
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.said, stderr=subprocess.STDOUT,
                                        text=True, env=environment, start_new_session=True)

    def say(self, *steps):
        try:
            for step in steps:
                self.process.stdin.write(self.translate(step) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def is_over(self):
        return self.process.poll() is not None

    def end(self):
        """Ends it, and gives all that was said."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.seek(0)
        return self.said.read()


class Smb(Door):
    name = "smb"

    @staticmethod
    def translate(step):
        match step:
            case ("list", directory):
                return f'ls "{directory}/*"'
            case ("get", remote, local):
                return f'get "{remote}" "{local}"'
            case ("put", local, remote):
                return f'put "{local}" "{remote}"'
            case ("mkdir", remote):
                return f'mkdir "{remote}"'
            case ("delete", remote):
                return f'del "{remote}"'
            case ("rmdir", remote):
                return f'rmdir "{remote}"'
            case ("rename", old, new):
                return f'rename "{old}" "{new}"'
            case ("chmod", mode, remote):
                return f'setmode "{remote}" {"+r" if mode & 0o200 == 0 else "-r"}'
        raise ValueError(step)

    def command(self, person, code):
        self.secret(person)
        return ["smbclient", f"//{self.host}/{code}", "-A", str(self.dir / f"{person.name}.smb"),
                "--configfile=/dev/null", "--timeout=30"]

    def carry_out(self, person, code, steps):
        return self.call(person, self.command(person, code), "".join(self.translate(s) + "\n" for s in steps))

    def start(self, person, code, steps=()):
        session = Session(self.command(person, code), self.environment(person), self.translate)
        session.say(*steps)
        return session

    def shares(self, person):
        """The shares that this person is told of."""
        self.secret(person)
        text = self.call(person, ["smbclient", "-g", "-L", self.host, "-A", str(self.dir / f"{person.name}.smb"),
                                  "--configfile=/dev/null"])
        return [line.split("|")[1] for line in text.splitlines() if line.startswith("Disk|")]


class Sftp(Door):
    name = "sftp"

    @staticmethod
    def translate(step, code=""):
        match step:
            case ("list", directory):
                return f'-ls -1 "{code}/{directory}"'
            case ("get", remote, local):
                return f'-get "{code}/{remote}" "{local}"'
            case ("put", local, remote):
                return f'-put "{local}" "{code}/{remote}"'
            case ("mkdir", remote):
                return f'-mkdir "{code}/{remote}"'
            case ("delete", remote):
                return f'-rm "{code}/{remote}"'
            case ("rmdir", remote):
                return f'-rmdir "{code}/{remote}"'
            case ("rename", old, new):
                return f'-rename "{code}/{old}" "{code}/{new}"'
            case ("chmod", mode, remote):
                return f'-chmod {mode:o} "{code}/{remote}"'
        raise ValueError(step)

    def command(self, person):
        # BatchMode, which `-b` sets, would forbid the password: the value given first counts.
        return ["sftp", "-q", "-o", "BatchMode=no", *self.ssh_options(person), "-b", "-", f"{person.name}@{self.host}"]

    def carry_out(self, person, code, steps):
        return self.call(person, self.command(person), "".join(self.translate(s, code) + "\n" for s in steps))

    def start(self, person, code, steps=()):
        session = Session(self.command(person), self.environment(person), lambda s: self.translate(s, code))
        session.say(*steps)
        return session


class Rsync(Door):
    """rsync has no session: one call for each step. What it cannot say (rename, chmod) is tried in its own way."""

    name = "rsync"

    def command(self, person, options, *arguments):
        return ["rsync", "-e", " ".join(["ssh", *options, *self.ssh_options(person)]), "--timeout=30", *arguments]

    def carry_out(self, person, code, steps):
        # One login for all steps; who is not let in says so once.
        shared = ["-o", f"ControlPath={self.dir}/{person.name}.socket"]
        login = ["ssh", "-M", "-N", "-f", *shared, *self.ssh_options(person), f"{person.name}@{self.host}"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        is_in = subprocess.run(login, check=False, env=self.environment(person), timeout=SECONDS, **quiet).returncode == 0
        try:
            return "".join(self.call(person, self.command(person, shared, *self.arguments(person, code, step)))
                           for step in (steps if is_in else steps[:1]))
        finally:
            if is_in:
                subprocess.run(["ssh", *shared, "-O", "exit", self.host], check=False, timeout=SECONDS, **quiet)

    def arguments(self, person, code, step):
        remote = f"{person.name}@{self.host}:{code}/"
        empty = self.dir / "empty"
        empty.mkdir(exist_ok=True)
        match step:
            case ("list", directory):
                return ["--list-only", f"{remote}{directory}/"]
            case ("get", path, local):
                return [*(["--copy-links"] if "link" in path else []), f"{remote}{path}", str(local)]
            case ("put", local, path):
                return ["--times", "--ignore-times", str(local), f"{remote}{path}"]
            case ("mkdir", path):
                return ["--archive", f"{empty}/", f"{remote}{path}/"]
            case ("delete" | "rmdir", path):
                parent, _, name = path.rpartition("/")
                return ["--recursive", "--delete", "--force", f"--include=/{name}", "--exclude=*", f"{empty}/",
                        f"{remote}{parent}/"]
            case ("rename", old, _):
                # A file in the place of the directory, the nearest to it that rsync has.
                file = self.dir / old.rpartition("/")[2]
                file.write_text("in the place of a directory")
                return ["--recursive", "--force", "--delete", str(file), f"{remote}{old.rpartition('/')[0]}"]
            case ("chmod", mode, path):
                return ["--perms", f"--chmod=D{mode:o}", "--dirs", f"{empty}/", f"{remote}{path}/"]
        raise ValueError(step)


def doors(host):
    """All of them."""
    return [Smb(host), Sftp(host), Rsync(host)]
