"""A Debian 13 of our own: a tree with memory above it, booted in systemd-nspawn, with data disks on loop devices, and
reached over a veth that never leaves this machine. Has to be started in a mount namespace of its own (see `run`).
"""

import os
import pathlib
import signal
import subprocess
import time

NAME = "octohost"
OUTER, INNER = "10.78.0.1", "10.78.0.2"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CGROUP = pathlib.Path("/sys/fs/cgroup") / NAME


class Failed(Exception):
    """A command that had to succeed did not."""


def here(*command, text=None, may_fail=False, seconds=120):
    """Runs a program of this machine, and gives what it printed."""
    done = subprocess.run(list(map(str, command)), input=text, text=True, errors="replace", capture_output=True,
                          timeout=seconds, check=False, stdin=subprocess.DEVNULL if text is None else None)
    if done.returncode and not may_fail:
        raise Failed(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


class Done:
    """How a command inside ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit {self.code}: {(self.out + self.err)[-1500:]}"


class Disk:
    """A file on a loop device, with ext4 on it; `dir` is where the machine mounts it."""

    def __init__(self, directory, name, uuid, size):
        self.uuid = uuid
        self.dir = f"/srv/dev-disk-by-uuid-{uuid}"
        image = directory / f"{name}.img"
        with open(image, "wb") as file:
            file.truncate(size)
        here("mkfs.ext4", "-q", "-m", "0", "-U", uuid, image)
        self.device = here("losetup", "--find", "--show", image).strip()

    def detach(self):
        here("losetup", "--detach", self.device, may_fail=True)


class Machine:
    """The container. `work` is a directory that is ours; `tree` is only read."""

    def __init__(self, tree, work):
        self.work = pathlib.Path(work)
        self.root = self.work / "root"
        self.process = None
        self.disks = []
        memory = self.work / "memory"
        for directory in (self.root, memory):
            directory.mkdir(parents=True, exist_ok=True)
        here("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", memory)
        (memory / "upper").mkdir(mode=0o755)
        (memory / "work").mkdir()
        here("mount", "-t", "overlay", "-o", f"lowerdir={tree},upperdir={memory}/upper,workdir={memory}/work", "overlay",
             self.root)

    def add_disk(self, name, uuid, size):
        """A data disk, which the machine mounts at boot as OpenMediaVault does."""
        disk = Disk(self.work, name, uuid, size)
        self.disks.append(disk)
        unit = here("systemd-escape", "--path", "--suffix=mount", disk.dir).strip()
        self.put(f"/etc/systemd/system/{unit}", f"[Mount]\nWhat={disk.device}\nWhere={disk.dir}\nType=ext4\n"
                 "Options=defaults,nofail,user_xattr,acl\n\n[Install]\nWantedBy=local-fs.target\n")
        self.inside_tree("systemctl", "enable", "--quiet", unit)
        return disk

    def put(self, path, content, mode=0o644):
        """Writes a file into the machine before it is booted."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)

    def inside_tree(self, *command):
        """Runs a program of the machine before it is booted."""
        return here("chroot", self.root, "env", "-i", f"PATH={PATH}", "HOME=/root", *command)

    def boot(self):
        """Starts it, and waits until systemd has started everything."""
        CGROUP.mkdir(exist_ok=True)
        command = ["systemd-nspawn", "--boot", "--quiet", f"--machine={NAME}", f"--directory={self.root}",
                   "--register=no", "--keep-unit", "--network-veth", "--capability=all", "--link-journal=no",
                   "--resolv-conf=off", "--timezone=off", "--console=pipe",
                   *[f"--bind={disk.device}" for disk in self.disks]]
        with open(self.work / "console.log", "ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(CGROUP), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.wait()

    def wait(self):
        """Until it is up."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed(f"systemd-nspawn ended: {(self.work / 'console.log').read_text(errors='replace')[-2000:]}")
            leader = self.leader()
            if leader and self.connect(leader):
                state = self.run("systemctl", "is-system-running", "--wait", check=False).out.strip()
                if state in ("running", "degraded"):
                    return
            time.sleep(0.3)
        raise Failed("the machine did not come up")

    def connect(self, leader):
        """Gives both ends of the wire their addresses; false while they are not there."""
        inside = ["nsenter", "--net", f"--target={leader}"]
        try:
            here("ip", "address", "replace", f"{OUTER}/24", "dev", f"ve-{NAME}")
            here("ip", "link", "set", f"ve-{NAME}", "up")
            here(*inside, "ip", "address", "replace", f"{INNER}/24", "dev", "host0")
            here(*inside, "ip", "link", "set", "host0", "up")
        except Failed:
            return False
        return True

    def leader(self):
        """The machine's init, as it is numbered out here."""
        below = [self.process.pid]
        for pid in below:
            try:
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    below.extend(map(int, (task / "children").read_text().split()))
                numbers = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                               if line.startswith("NSpid:")).split()
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if len(numbers) > 2 and numbers[-1] == "1" and name in ("systemd", "init"):
                return pid
        return None

    def command(self, *command):
        """The words that run a command inside."""
        return ["nsenter", f"--target={self.leader()}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd",
                "env", "-i", f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", *map(str, command)]

    def run(self, *command, text=None, check=True, seconds=180):
        """Runs a program inside as root."""
        done = subprocess.run(self.command(*command), input=text, text=True, errors="replace", capture_output=True,
                              timeout=seconds, check=False, stdin=subprocess.DEVNULL if text is None else None)
        if check and done.returncode:
            raise Failed(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return Done(done.returncode, done.stdout, done.stderr)

    def reboot(self):
        """As an admin does; with --keep-unit, systemd-nspawn leaves the second half to whoever started it."""
        self.run("systemctl", "reboot", check=False)
        code = self.process.wait(120)
        if code != 133:
            raise Failed(f"systemd-nspawn ended with {code}")
        self.boot()

    def stop(self):
        """Ends it and everything that it needed."""
        if self.process and self.process.poll() is None:
            leader = self.leader()
            if leader:
                os.kill(leader, signal.SIGRTMIN + 4)  # power off, see systemd(1)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        here("umount", "--lazy", self.root, may_fail=True)
        for disk in self.disks:
            disk.detach()
        for group in ("payload", "supervisor", ""):
            try:
                (CGROUP / group).rmdir()
            except OSError:
                pass
