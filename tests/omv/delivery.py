"""An hour of deliveries by a sync kit, cut off at every end: the kit, its line, sshd, the ingest, and the NAS itself."""

import pathlib
import shutil
import sys
import tempfile
import time

from nas import HERE, Nas

sys.path.insert(0, str(HERE.parent / "delivery"))
import hour  # noqa: E402  (the machine, the kit and what counts at the end are the same as on an embedded NAS)

CODE, SOURCE, INTO = "otest-hour", "plc", "raw"


class Side:
    """The NAS as hour.py drives it."""

    code, source, into = CODE, SOURCE, INTO

    def __init__(self, site, account):
        self.nas, self.base, self.path, self.account = site.nas, site.base, site.path(CODE), account
        self.id = site.nas.octonas_json("experiment", "show", CODE)["definition"]["id"]
        self.cuts = {"its sessions killed": self.kill_sessions, "its sessions frozen for 20 s": self.freeze_sessions,
                     "sshd stopped for 10 s": self.stop_sshd, "jails made again": self.jails}

    def octonas(self, *words):
        return self.nas.octonas(*words).out

    def python(self, program, *words):
        return self.nas.run("python3", "-", *words, input=program).out

    def ingest(self, kill_after):
        if kill_after is None:
            return self.nas.octonas("--quiet", "ingest", CODE).code
        return self.nas.run("timeout", "--signal=KILL", f"{kill_after:.3f}", "octonas", "--quiet", "ingest", CODE).code

    def kill_sessions(self, _chance):
        self.nas.run("pkill", "-KILL", "-u", self.account)

    def freeze_sessions(self, _chance):
        self.nas.sh(f"pkill -STOP -u {self.account}; sleep 20; pkill -CONT -u {self.account}")

    def stop_sshd(self, _chance):
        self.nas.sh("systemd-run --quiet --collect sh -c 'systemctl stop ssh.service; sleep 10; systemctl start ssh.service'")
        self.nas.run("pkill", "-KILL", "-u", self.account)
        time.sleep(12)

    def jails(self, _chance):
        self.nas.run("systemctl", "restart", "octonas-jails.service")

    def at_half(self, _chance):
        self.nas.reboot()
        return "NAS restarted"


def run(site, findings):
    nas = site.nas
    done = site.create(CODE, members={"otalice": "manage"}, sources=[{"id": SOURCE, "kind": "linux", "into": INTO, "every": "15min"}])
    if not findings.check(done.code == 0, f"{CODE}: created with a source", done):
        return
    account = nas.octonas_json("source", "list", CODE)[0]["account"]
    with tempfile.TemporaryDirectory(prefix="otest-") as work:
        work = pathlib.Path(work)
        machine = hour.Machine(work / "machine", seed := int(time.time()))
        machine.directory.mkdir()
        done = nas.octonas("synckit", "build", CODE, SOURCE, "--zip", "/root/otest-kit.zip", "--host", nas.address, "--port", nas.port,
                           "--watch", str(machine.directory))
        findings.check(done.code == 0, "the NAS builds its kit", done)
        Nas.local(["scp", "-q", *nas.options, f"{nas.host}:/root/otest-kit.zip", str(work / "kit.zip")])
        nas.must("rm /root/otest-kit.zip")
        shutil.unpack_archive(work / "kit.zip", work / "kit")
        kit = hour.Kit(next((work / "kit").rglob("octonas_sync.py")), work / "home", stable_minutes=0.1, rate_limit_kib=8192)
        key = next(line.strip() for line in kit.run("enrol").stdout.splitlines() if line.strip().startswith("ssh-"))
        done = nas.octonas("source", "enrol", CODE, SOURCE, "--key", "-", input=key + "\n")
        findings.check(done.code == 0, "the key that the kit made is enrolled", done)
        findings.note(f"seed {seed}, {site.minutes} minutes")
        side = Side(site, account)
        cuts = hour.deliver(side, kit, machine, site.minutes, seed, findings.note)
        findings.check(cuts["NAS restarted"] == 1, f"{sum(cuts.values())} cuts, a restart of the NAS among them", cuts)
        rounds = hour.settle(side, kit, 8)
        findings.check(rounds is not None, f"without cuts everything arrives, in {rounds} rounds", nas.octonas("landing", CODE))
        hour.verify(side, findings, machine)
        done = nas.octonas("doctor")
        findings.check(done.code == 0, "doctor finds nothing wrong", done)
        site.in_order(findings, CODE, "after the delivery")
