"""The machine as a NAS: octonas and its Salt module installed as the packages do, an OpenMediaVault-shaped
configuration, and the double of omv-engined, which is asked here as the web pages ask the real one.
"""

import json
import pathlib
import shutil

from machine import Failed, Machine, here

PROJECT = pathlib.Path(__file__).resolve().parents[2]
GUEST = PROJECT / "tests/host/guest"
IDENTITY = "5f0c1f6e-0f0e-4a43-9d57-6a3f6c1d0f11"
DISKS = {"data": ("7a1d6f0e-5b2c-4a7e-9c3d-1f2e3d4c5b6a", 400 << 20),
         "small": ("b3c4d5e6-f708-4192-a3b4-c5d6e7f80912", 24 << 20)}
MOUNT_POINTS = {"data": "0d7e0c52-3f0c-4d8e-8b64-61e1ffb2a001", "small": "0d7e0c52-3f0c-4d8e-8b64-61e1ffb2a002"}


class Nas(Machine):
    def __init__(self, tree, work, programs):
        super().__init__(tree, work)
        self.install(pathlib.Path(programs))
        self.disk = {name: self.add_disk(name, *what) for name, what in DISKS.items()}
        self.configure()

    def install(self, programs):
        """What the packages install, in the places that debian/rules names."""
        for program, target in (("octonas", "/usr/bin/octonas"), ("octonas-gate", "/usr/lib/octonas/gate")):
            self.put(target, b"", 0o755)
            here("objcopy", "--strip-debug", programs / program, self.root / target.lstrip("/"))
        debian = PROJECT / "debian"
        for source, target in (
            ("octonas.octonas-walls.target", "/usr/lib/systemd/system/octonas-walls.target"),
            ("octonas.octonas-walls@.target", "/usr/lib/systemd/system/octonas-walls@.target"),
            ("octonas.octonas-jails.service", "/usr/lib/systemd/system/octonas-jails.service"),
            ("octonas.tmpfiles", "/usr/lib/tmpfiles.d/octonas.conf"),
            ("octonas.sysusers", "/usr/lib/sysusers.d/octonas.conf"),
            ("octonas.yaml", "/etc/octonas/octonas.yaml"),
        ):
            self.put(target, (debian / source).read_bytes())
        shutil.copytree(PROJECT / "salt", self.root / "srv/salt/omv/deploy/octonas")
        self.inside_tree("systemd-sysusers")
        self.inside_tree("systemctl", "enable", "--quiet", "octonas-walls.target", "octonas-jails.service")

    def configure(self):
        """OpenMediaVault's part."""
        for name in ("system", "engined.service"):
            self.put(f"/opt/guest/{name}", (GUEST / name).read_bytes(), 0o755)
        self.put("/etc/systemd/system/openmediavault-engined.service", (GUEST / "engined.service").read_bytes())
        for name in ("engined.py", "schema.py"):
            self.put(f"/opt/engined/{name}", (PROJECT / "tests/engined" / name).read_bytes())
        for name in ("omv_conf", "omv_utils"):
            self.put(f"/srv/modules/{name}.py", (GUEST / f"{name}.py").read_bytes())
        self.put("/etc/salt/minion", "file_client: local\nmodule_dirs: [/srv/modules]\nid: nas\n"
                 "enable_fqdns_grains: false\nenable_gpu_grains: false\ngrains_cache: true\n"
                 "file_roots: {base: [/srv/salt]}\npillar_roots: {base: [/srv/pillar]}\n")
        self.put("/srv/pillar/top.sls", "base: {'*': [headers]}\n")
        self.put("/srv/pillar/headers.sls", "headers: {auto_generated: '# auto-generated', warning: '# do not edit', "
                 "multiline: \"# auto-generated\\n# do not edit\\n\"}\n")
        self.put("/etc/ssh/sshd_config", (GUEST / "sshd_config").read_bytes())
        self.put("/etc/hostname", "nas\n")
        here("install", "-d", "-m", "755", self.root / "var/lib/openmediavault")
        people = [{"name": "root", "uid": 0, "system": True}, {"name": "nobody", "uid": 65534, "system": True}]
        groups = [{"name": name, "gid": int(self.inside_tree("getent", "group", name).split(":")[2]), "members": [],
                   "system": True} for name in ("root", "users", "_ssh")]
        disks = [{"uuid": MOUNT_POINTS[name], "fsname": f"/dev/disk/by-uuid/{disk.uuid}", "dir": disk.dir, "type": "ext4",
                  "opts": "defaults,nofail", "freq": 0, "passno": 2, "hidden": False, "usagewarnthreshold": 85,
                  "comment": ""} for name, disk in self.disk.items()]
        self.put("/var/lib/openmediavault/state.json", json.dumps(
            {"octonas": {"id": IDENTITY}, "users": people, "groups": groups, "mountpoints": disks}), 0o600)
        self.put("/etc/samba/smb.conf", "[global]\npassdb backend = tdbsam\n")
        self.inside_tree("systemctl", "enable", "--quiet", "openmediavault-engined.service", "ssh.service", "smbd.service")
        self.inside_tree("systemctl", "mask", "--quiet", "nmbd.service", "samba-ad-dc.service", "ssh.socket",
                         "apt-daily.timer", "apt-daily-upgrade.timer", "systemd-networkd.service",
                         "systemd-modules-load.service")

    def rpc(self, service, method, **params):
        """Asks the engine, as an admin does on its pages."""
        request = {"service": service, "method": method, "params": params, "context": {"username": "admin", "role": 1}}
        program = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(120)\n"
                   "s.connect('/var/lib/openmediavault/engined.sock')\ns.sendall(sys.stdin.buffer.read() + b'\\0')\n"
                   "a = b''\nwhile not a.endswith(b'\\0'):\n  b = s.recv(65536)\n  if not b: break\n  a += b\n"
                   "sys.stdout.buffer.write(a[:-1])")
        answer = json.loads(self.run("python3", "-c", program, text=json.dumps(request)).out)
        if answer["error"]:
            raise Failed(f"{service}.{method}: {answer['error']['message']}")
        return answer["response"]

    def octonas(self, *arguments, text=None, check=True):
        """Runs octonas as an admin does in a shell."""
        return self.run("octonas", *arguments, text=text, check=check, seconds=300)

    def add_user(self, name, password, *groups):
        """An account, made by an admin on the pages."""
        self.rpc("UserMgmt", "setUser", name=name, groups=["users", *groups], shell="/bin/sh", password=password, email="",
                 comment="", disallowusermod=False, sshpubkeys=[])
