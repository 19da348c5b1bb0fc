"""Acquisition machines: a source with its own key delivers, reads its receipts, and gets nothing else."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from doors import PENALTY, Session
from nas import Nas
from people import GATEWAY

CODE = "otest-src"
MEMBERS = {"otalice": "manage", "otcarol": "read"}
SOURCES = [
    {"id": "plc", "kind": "linux", "into": "raw", "every": "15min"},
    {"id": "cam", "kind": "linux", "into": "camera", "every": "15min"},
]


class Machine:
    """One source, with the key that was made on it."""

    def __init__(self, nas, name, work):
        self.nas, self.name, self.account = nas, name, None
        self.home = pathlib.Path(work) / name
        self.home.mkdir()
        self.key = self.home / "key"
        Nas.local(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name} at work", "-f", str(self.key)])
        self.ssh = ["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
                    "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "-o", f"Port={nas.port}"]

    def _patient(self, argv, input=None, timeout=60):
        for _ in range(10):
            done = Nas.local(argv, input=input, timeout=timeout)
            if not PENALTY.search(done.text):
                break
            time.sleep(6)
        return done

    def target(self, account=None):
        return f"{account or self.account}@{self.nas.address}"

    def sftp(self, commands, account=None):
        """A batch; one that fails does not stop the others."""
        batch = "".join(f"-{line}\n" for line in commands)
        return self._patient(["sftp", *self.ssh, "-i", str(self.key), "-b", "-", self.target(account)], input=batch)

    def run(self, *words, options=()):
        return self._patient(["ssh", *self.ssh, "-i", str(self.key), *options, self.target(), *words])

    def rsync(self, *arguments):
        return self._patient(["rsync", "-e", " ".join(["ssh", *self.ssh, "-i", str(self.key)]), *arguments])

    def deliver(self, path, text):
        """One file as a sync kit delivers it: the sum is there before the file has its name."""
        file, sums = self.home / "file", self.home / "sum"
        file.write_text(text)
        sums.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  {path}\n")
        folder = str(pathlib.PurePosixPath(path).parent)
        folders = [] if folder == "." else [f"mkdir data/{folder}", f"mkdir sums/{folder}"]
        return self.sftp([*folders, f"put -p {file} data/{path}.part", f"put {sums} sums/{path}.sha256.part",
                          f"rename sums/{path}.sha256.part sums/{path}.sha256", f"rename data/{path}.part data/{path}"])

    def receipts(self):
        """All receipts that the source can read."""
        into = self.home / "receipts"
        into.mkdir(exist_ok=True)
        for old in into.iterdir():
            old.unlink()
        self.sftp([f"get receipts/*.jsonl {into}/"])
        return [json.loads(line) for file in sorted(into.iterdir()) for line in file.read_text().splitlines()]


def landing(site, machine, name=""):
    return f"{site.path(CODE)}/landing/{machine.name}{name}"


def names(site, path):
    return sorted(site.nas.must(f"find {path} -mindepth 1 -printf '%P\\n'").split())


def made(site, findings, machines):
    """Creating the experiment makes the accounts; enrolling lets them in."""
    nas = site.nas
    began = time.monotonic()
    done = site.create(CODE, members=MEMBERS, sources=SOURCES)
    if not findings.check(done.code == 0, f"{CODE}: created with two sources", done):
        return False
    outcome = done.json()
    findings.note(f"{sum(outcome['calls'].values())} RPCs, modules {', '.join(outcome['interruption']['modules'])}, {time.monotonic() - began:.1f} s")
    site.in_order(findings, CODE, "after create")
    for row in nas.octonas_json("source", "list", CODE):
        machines[row["source"]].account = row["account"]
    for machine in machines.values():
        refused = machine.sftp(["ls"])
        findings.check(refused.code != 0 and "data" not in refused.out, f"{machine.name}: without a key on the NAS it is refused", refused)
        done = nas.octonas("--json", "source", "enrol", CODE, machine.name, "--key", "-", input=machine.key.with_suffix(".pub").read_text())
        findings.check(done.code == 0, f"{machine.name}: enrolled", done)
    site.in_order(findings, CODE, "after the enrolments")
    return True


def confined(site, findings, machine, other):
    """What a source does not get."""
    nas, account = site.nas, machine.account
    fields = nas.must(f"getent passwd {account}").strip().split(":")
    findings.check(int(fields[2]) < 1000 and fields[6] == "/bin/sh", f"{machine.name}: its account is a system account", fields)
    findings.equal(nas.must(f"id -nG {account}").split(), ["octonas-sources"], f"{machine.name}: its groups are")
    findings.check(nas.must(f"getent shadow {account}").split(":")[1] == "*", f"{machine.name}: it has no password")
    listed = {row["name"] for row in nas.rpc("UserMgmt", "enumerateUsers", {})}
    findings.check(account not in listed, f"{machine.name}: OpenMediaVault does not list it", listed)
    findings.check(account not in nas.must("pdbedit -L 2>/dev/null"), f"{machine.name}: Samba does not know it")
    for password in ("", account):
        done = Nas.local(["smbclient", "-U", f"{account}%{password}", "-L", nas.address], timeout=60)
        findings.check("Disk" not in done.out or done.code != 0, f"{machine.name}: SMB refuses it", done)
        findings.check(not web_login(nas, account, password), f"{machine.name}: the web interface refuses it")
    for command in ("id", "sh -c id", "/bin/sh", "cat /etc/passwd", "rsync --daemon"):
        done = machine.run(command)
        findings.check(done.code != 0 and "uid=" not in done.out and "root:" not in done.out, f"{machine.name}: `ssh NAS {command}` is refused", done)
    done = machine.run(options=("-W", "127.0.0.1:80"))
    findings.check("HTTP/" not in done.out and done.code != 0, f"{machine.name}: port forwarding is refused", done)
    done = machine._patient(["scp", "-O", *machine.ssh, "-i", str(machine.key), "/etc/hostname", f"{machine.target()}:data/scp"])
    findings.check(done.code != 0, f"{machine.name}: scp -O is refused", done)
    done = machine.sftp(["ls"], account=other.account)
    findings.check(done.code != 0 and "data" not in done.out, f"{machine.name}: its key does not open the account of {other.name}", done)
    done = machine.sftp(["ls"], account="root")
    findings.check(done.code != 0, f"{machine.name}: nor root's", done)
    inside = machine.sftp(["ls -1 /", "ls -1 /in", "ls /srv", "ls /experiments", "ls /etc/openmediavault", "get /etc/shadow /dev/null",
                           f"ls /in/../landing/{other.name}", "ls /run"])
    findings.equal(set(re.findall(r"^/in/(\S+)", inside.out, re.M)), {"data", "receipts", "sums"}, f"{machine.name}: sftp shows in /in")
    findings.check(other.name not in re.sub(r"^sftp> .*$", "", inside.out, flags=re.M) and "config.xml" not in inside.out and "otest" not in
                   re.sub(r"^sftp> .*$", "", inside.out, flags=re.M), f"{machine.name}: sees neither the experiment nor the other source", inside)


def web_login(nas, account, password):
    """True where the web interface lets somebody in."""
    request = urllib.request.Request(f"http://{nas.address}/rpc.php", headers={"Content-Type": "application/json"}, data=json.dumps(
        {"service": "Session", "method": "login", "params": {"username": account, "password": password}, "options": None}).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bool((json.load(answer).get("response") or {}).get("authenticated"))
    except urllib.error.HTTPError:
        return False


def delivered(site, findings, machines):
    """Two sources deliver; each file is in its place once, with its receipt; neither touches what is not its own."""
    nas, plc, cam = site.nas, machines["plc"], machines["cam"]
    for machine, path in ((plc, "day-1/a.csv"), (cam, "b.csv")):
        done = machine.deliver(path, f"time;value\n1;{machine.name}\n")
        findings.check(path in names(site, landing(site, machine, "/data")), f"{machine.name}: delivers {path} over SFTP", done)
    done = plc.sftp([f"put {plc.home}/file data/unfinished.csv.part"])
    tree = plc.home / "tree" / "data"
    tree.mkdir(parents=True)
    (tree / "c.csv").write_text("by rsync\n")
    (plc.home / "tree" / "sums").mkdir()
    (plc.home / "tree" / "sums" / "c.csv.sha256").write_text(f"{hashlib.sha256(b'by rsync' + bytes([10])).hexdigest()}  c.csv\n")
    for part in ("sums", "data"):
        done = plc.rsync("-a", f"{plc.home}/tree/{part}/", f"{plc.target()}:{part}/")
        findings.check(done.code == 0, f"plc: delivers {part} by rsync", done)
    done = plc.rsync("-a", f"{plc.target()}:data/", f"{plc.home}/back/")
    findings.check(done.code != 0, "plc: reads nothing back by rsync", done)
    done = nas.octonas("--json", "ingest", CODE)
    findings.check(done.code == 0, "octonas ingest ends well", done)
    expected = {"raw/day-1/a.csv": "plc", "raw/c.csv": "plc", "camera/b.csv": "cam"}
    for path in expected:
        findings.check(nas.sh(f"test -s {site.path(CODE)}/{path}").code == 0, f"{path} is in its place", done)
    findings.equal([name for name in names(site, landing(site, plc, "/data")) if name.endswith((".csv", ".part"))],
                   ["unfinished.csv.part"], "what waits in the landing of plc is")
    for machine in (plc, cam):
        seen = {(r["outcome"], r["into"]) for r in machine.receipts()}
        findings.equal(seen, {("received", path) for path, whose in expected.items() if whose == machine.name}, f"{machine.name}: its receipts are")
    look = nas.tree(site.path(CODE))
    file = look["raw/day-1/a.csv"]
    findings.check(file["owner"] == "root", "what was ingested is root's", file)
    client = site.clients["otcarol"]
    done = client.smb(CODE, ["get raw\\day-1\\a.csv -"])
    findings.check("1;plc" in done.out, "a member reads it over SMB", done)
    site.in_order(findings, CODE, "after the ingest")
    again = nas.octonas("--json", "ingest", CODE)
    findings.check(again.code == 0, "ingest again does nothing new", again)
    findings.equal(len(plc.receipts()), 2, "receipts of plc are still")


def by_kit(site, findings, machine):
    """The sync kit that the NAS builds: enrolled, cut off in the middle of a file, run again, ingested, run once more."""
    nas, home = site.nas, machine.home / "kit"
    watched = machine.home / "watched"
    (watched / "sub").mkdir(parents=True)
    home.mkdir()
    (watched / "small.csv").write_text("t;v\n1;2\n")
    (watched / "sub" / "été %.csv").write_text("t;v\n")
    with open(watched / "big.bin", "wb") as out:
        for number in range(24):
            out.write(hashlib.sha256(bytes([number])).digest() * (1 << 15))
    hour_ago = time.time() - 3600
    for file in watched.rglob("*.*"):
        os.utime(file, (hour_ago, hour_ago))
    done = nas.octonas("synckit", "build", CODE, machine.name, "--zip", "/root/otest-kit.zip", "--host", nas.address, "--port", nas.port,
                       "--watch", str(watched))
    if not findings.check(done.code == 0, f"{machine.name}: the NAS builds its kit", done):
        return
    Nas.local(["scp", "-q", *nas.options, f"{nas.host}:/root/otest-kit.zip", str(home / "kit.zip")])
    nas.must("rm /root/otest-kit.zip")
    shutil.unpack_archive(home / "kit.zip", home)
    program = next(home.rglob("octonas_sync.py"))
    env = {**os.environ, "OCTONAS_SYNC_HOME": str(home / "home"), "LC_ALL": "C.UTF-8"}

    def kit(*words, timeout=300):
        return Nas.local(["python3", "-B", str(program), *words], env=env, timeout=timeout)

    done = kit("enrol")
    line = next((line.strip() for line in done.out.splitlines() if line.strip().startswith("ssh-")), "")
    enrolled = nas.octonas("source", "enrol", CODE, machine.name, "--key", "-", input=line + "\n")
    findings.check(enrolled.code == 0, f"{machine.name}: the key that the kit made is enrolled", f"{done} {enrolled}")
    done = kit("self-test")
    findings.check(done.code == 0, f"{machine.name}: the kit's self-test is good", done)
    config = program.with_name("kit.json")
    text = json.loads(config.read_text())
    config.write_text(json.dumps({**text, "rate_limit_kib": 4096}))
    cut = subprocess.Popen(["python3", "-B", str(program), "run"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, start_new_session=True)
    for _ in range(100):
        time.sleep(0.2)
        if nas.sh(f"test -s {landing(site, machine, '/data')}/big.bin.part").code == 0 or cut.poll() is not None:
            break
    if findings.check(cut.poll() is None, f"{machine.name}: the kit is cut off in the middle of a file"):
        os.killpg(cut.pid, signal.SIGKILL)
    cut.wait()
    findings.check("big.bin" not in names(site, landing(site, machine, "/data")), f"{machine.name}: half a file has no name")
    config.write_text(json.dumps(text))
    began = time.monotonic()
    done = kit("run")
    findings.check(done.code == 0, f"{machine.name}: run again, the kit delivers, in {time.monotonic() - began:.1f} s", done)
    done = nas.octonas("--json", "ingest", CODE)
    findings.check(done.code == 0, "what the kit brought is ingested", done)
    for file in (path for path in watched.rglob("*.*") if path.is_file()):
        place = f"{site.path(CODE)}/raw/{file.relative_to(watched)}"
        seen = nas.run("sha256sum", place).out.split(" ")[0]
        findings.equal(seen.lstrip("\\"), hashlib.sha256(file.read_bytes()).hexdigest(), f"{file.name} is in its place, whole")
    done = kit("run", "--json")
    findings.check(done.code == 0 and not nas.must(f"find {landing(site, machine, '/data')} -name '*.csv' -o -name '*.bin'").strip(),
                   f"{machine.name}: what has a receipt is not sent again", done)
    (watched / "small.csv").write_text("changed afterwards\n")
    os.utime(watched / "small.csv", (hour_ago + 60, hour_ago + 60))
    kit("run")
    nas.octonas("ingest", CODE)
    done = kit("run")
    findings.check(done.code == 3 and nas.must(f"cat {site.path(CODE)}/raw/small.csv") == "t;v\n1;2\n",
                   f"{machine.name}: a file that changed after it was received overwrites nothing, and is reported", done)
    site.in_order(findings, CODE, "after the kit's deliveries")


def by_share(site, findings):
    """A machine that only knows SMB: its share leads to its landing and nowhere else."""
    nas = site.nas
    gateway = [{"id": "gw", "kind": "windows", "into": "gateway", "every": "15min", "account": GATEWAY}]
    done = site.edit(CODE, members=MEMBERS, sources=SOURCES + gateway)
    findings.check(done.code == 1 and GATEWAY in done.text, "an account that is missing is named", done)
    done = site.edit(CODE, "--create-accounts", members=MEMBERS, sources=SOURCES + gateway)
    if not findings.check(done.code == 0, "an edit gives a third machine a share", done):
        return
    site.know(GATEWAY, done.json()["passwords"][GATEWAY])
    site.in_order(findings, CODE, "with a share for a machine")
    client, share, landing = site.clients[GATEWAY], f"{CODE}_gw", f"{site.path(CODE)}/landing/gw"
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("t;v\n1;gw\n")
        file.flush()
        done = client.smb(share, ["mkdir data\\day", f"put {file.name} data\\day\\x.csv", f"put {file.name} data\\x.csv"])
        findings.check(nas.sh(f"test -s {landing}/data/day/x.csv").code == 0, "the gateway writes into its share", done)
        digest = hashlib.sha256(pathlib.Path(file.name).read_bytes()).hexdigest()
        file.seek(0)
        file.truncate()
        file.write(f"{digest}  x.csv\n")
        file.flush()
        client.smb(share, [f"put {file.name} sums\\x.csv.sha256"])
        for name in ("here", "receipts\\x", "..\\plc\\data\\x", "..\\..\\raw\\x"):
            done = client.smb(share, [f'put {file.name} "{name}"'])
            findings.check("NT_STATUS" in done.text, f"the gateway cannot write {name}", done)
    for other in (CODE, f"{CODE}_plc"):
        done = client.smb(other, ["ls"])
        findings.check("NT_STATUS" in done.text, f"the gateway does not enter {other}", done)
    for name in MEMBERS:
        done = site.clients[name].smb(share, ["ls"])
        findings.check("NT_STATUS" in done.text, f"{name} does not enter the gateway's share", done)
    done = client.sftp(["ls"])
    findings.check(done.code != 0 and "data" not in done.out, "the gateway has no SFTP", done)
    done = nas.octonas("--json", "ingest", CODE)
    findings.check(nas.sh(f"test -s {site.path(CODE)}/gateway/x.csv").code == 0, "what it wrote with a checksum is ingested at once", done)
    findings.check(nas.sh(f"test -s {landing}/data/day/x.csv").code == 0, "what has none waits until it is still", done)
    done = client.smb(share, ["cd receipts", "ls"])
    findings.check(".jsonl" in done.out, "the gateway sees its receipts", done)
    nas.octonas("experiment", "close", CODE)
    done = client.smb(share, ["mkdir data\\late"])
    findings.check("NT_STATUS" in done.text, "it writes nothing into a closed experiment", done)
    nas.octonas("experiment", "reopen", CODE)
    done = site.edit(CODE, members=MEMBERS, sources=SOURCES)
    findings.check(done.code == 0, "an edit takes the gateway out", done)
    done = client.smb(share, ["ls"])
    findings.check("NT_STATUS" in done.text, "it is refused", done)
    named = nas.must(f"getfacl --absolute-names {site.path(CODE)} {site.path(CODE)}/landing {landing} {landing}/* | grep user:{GATEWAY} || true")
    findings.check(not named, "nothing on the way to its landing names its account", named)
    site.in_order(findings, CODE, "without the gateway")


def kept(site, findings, machine):
    """What a source cannot undo."""
    before = machine.receipts()
    done = machine.sftp(["rm receipts/*", f"put {machine.home}/file receipts/x", "rename receipts r", "rmdir receipts", "rename data d", "rmdir sums",
                         "mkdir other", f"put {machine.home}/file here", "chmod 777 receipts", "chmod 777 /in", "symlink /etc data/link",
                         "ln -s /etc/passwd data/link", "mkdir receipts/d"])
    findings.equal(machine.receipts(), before, f"{machine.name}: the receipts are")
    top = sorted(site.nas.must(f"ls -A {landing(site, machine)}").split())
    findings.equal(top, ["data", "receipts", "sums"], f"{machine.name}: its landing has")
    site.in_order(findings, CODE, f"after {machine.name} tried to change its frame")
    found = [name for name in names(site, landing(site, machine)) if "link" in name]
    findings.check(not found, f"{machine.name}: makes no links", f"{found} {done}")


def closed(site, findings, machine):
    nas = site.nas
    done = nas.octonas("experiment", "close", CODE)
    findings.check(done.code == 0, f"{CODE}: closed", done)
    machine.deliver("late.csv", "late\n")
    findings.check("late.csv" not in names(site, landing(site, machine, "/data")), f"{machine.name}: delivers nothing to a closed experiment")
    findings.check(machine.receipts(), f"{machine.name}: still reads its receipts")
    done = nas.octonas("ingest", CODE)
    findings.check(done.code == 1 and "ingest.closed" in done.text, "nothing is taken in", done)
    done = nas.octonas("experiment", "reopen", CODE)
    findings.check(done.code == 0, f"{CODE}: reopened", done)
    machine.deliver("late.csv", "late\n")
    nas.octonas("ingest", CODE)
    findings.check(nas.sh(f"test -s {site.path(CODE)}/raw/late.csv").code == 0, f"{machine.name}: delivers again")
    site.in_order(findings, CODE, "after reopen")


def shut_out(site, findings, machines):
    """A revoked key ends the session that is open; a source that leaves the definition leaves the system."""
    nas, plc, cam = site.nas, machines["plc"], machines["cam"]
    held = Session(["sftp", *plc.ssh, "-i", str(plc.key), plc.target()], None)
    findings.check("data" in (held.ask("ls") or ""), "plc: has a session open")
    done = nas.octonas("source", "revoke", CODE, "plc")
    findings.check(done.code == 0, "plc: its key is revoked", done)
    said = held.ask("ls data")
    findings.check(said is None or "closed" in said.lower() or "no answer" in said, "plc: its open session is dead", said)
    held.close()
    refused = plc.sftp(["ls"])
    findings.check(refused.code != 0 and "data" not in refused.out, "plc: is refused", refused)
    findings.check("data" in cam.sftp(["ls"]).out, "cam: still comes in")
    site.in_order(findings, CODE, "after the revocation")
    done = site.edit(CODE, members=MEMBERS, sources=SOURCES[:1])
    findings.check(done.code == 0, "an edit takes cam out", done)
    left = nas.must(f"getent passwd {cam.account}; ls -d /etc/octonas/keys/{cam.account} /run/octonas/jail/{cam.account} 2>/dev/null; true")
    findings.check(not left, "cam: account, keys and jail are gone", left)
    refused = cam.sftp(["ls"])
    findings.check(refused.code != 0, "cam: is refused", refused)
    exit, report = site.check(CODE)
    findings.check(not report.get("drift") and not report.get("conflicts"), "nothing drifted", f"exit {exit} {report}")


def run(site, findings):
    with tempfile.TemporaryDirectory(prefix="otest-") as work:
        machines = {row["id"]: Machine(site.nas, row["id"], work) for row in SOURCES}
        if not made(site, findings, machines):
            return
        confined(site, findings, machines["plc"], machines["cam"])
        delivered(site, findings, machines)
        by_kit(site, findings, machines["plc"])
        by_share(site, findings)
        kept(site, findings, machines["plc"])
        closed(site, findings, machines["plc"])
        site.nas.reboot()
        site.in_order(findings, CODE, "after a reboot")
        machines["cam"].deliver("after-reboot.csv", "still here\n")
        site.nas.octonas("ingest", CODE)
        findings.check(site.nas.sh(f"test -s {site.path(CODE)}/camera/after-reboot.csv").code == 0, "cam: delivers after a reboot")
        shut_out(site, findings, machines)
        accounts = [machine.account for machine in machines.values()]
        done = site.nas.octonas("experiment", "remove", CODE, "--delete-data", CODE)
        findings.check(done.code == 0, f"{CODE}: removed", done)
        left = site.nas.must(f"getent passwd {' '.join(accounts)} || true; ls /etc/octonas/keys; findmnt -rn -o TARGET | grep octsrc || true")
        findings.check(not left.strip(), "nothing of its sources is left", left)
