"""A disk that goes and comes back while the NAS runs: through systemd, and by hand."""

import re
import time

import people
from people import ECO, LAKE

CODES = (ECO, LAKE)


def unit(site):
    """The mount unit of the data disk."""
    return site.nas.must(f"systemd-escape --path --suffix=mount '{site.disk}'").strip()


def shown(site):
    """What of the experiments is mounted anywhere, jails included."""
    return site.nas.must("findmnt -rn -o TARGET | grep -E '/(otest-eco|otest-lake)$' || true").split()


def settled(site, findings, when):
    """The walls and jails are back by themselves, within moments."""
    began = time.monotonic()
    while time.monotonic() - began < 15 and any(site.check(code)[0] for code in CODES):
        time.sleep(0.3)
    for code in CODES:
        site.in_order(findings, code, f"{when}, without a deployment, {time.monotonic() - began:.1f} s later")


def away(site, findings, when):
    """While the disk is away nobody reaches anything, in any door, and nothing is written where it was."""
    findings.check(not shown(site), f"{when}: no wall and no jail shows an experiment", shown(site))
    alice = site.clients["otalice"]
    done = alice.smb(ECO, ["ls", "mkdir beneath"])
    findings.check(done.code != 0 and "raw" not in done.out, f"{when}: SMB shows nothing", done)
    done = alice.sftp(["ls /experiments", f"mkdir {ECO}/beneath"])
    findings.check(not re.search(r"^/experiments/", done.out, re.M) and "No such file" in done.text, f"{when}: SFTP shows nothing", done)
    done = site.nas.octonas("experiment", "check")
    findings.check(done.code == 3 and "unavailable" in done.text, f"{when}: check says unavailable", done)
    findings.equal(site.nas.must(f"find '{site.disk}'").split(), [site.disk], f"{when}: below the mount point there is")


def run(site, findings):
    nas, mount = site.nas, unit(site)
    nas.octonas("experiment", "close", LAKE)
    nas.must("systemctl restart smbd")
    done = nas.run("systemctl", "stop", mount)
    findings.check(done.code == 0, "the disk is unmounted through systemd", done)
    time.sleep(1)
    away(site, findings, "unmounted through systemd")
    done = nas.run("systemctl", "start", mount)
    findings.check(done.code == 0, "it is mounted through systemd", done)
    settled(site, findings, "after systemd mounted the disk")
    findings.check(nas.sh(f"findmnt -n -o OPTIONS {site.path(LAKE)} | grep -qw ro").code == 0, "what was closed is closed")
    nas.must(f"systemctl restart smbd; umount -R '{site.disk}'")
    time.sleep(1.5)
    away(site, findings, "unmounted by hand")
    nas.must(f"mount '{site.disk}'")
    settled(site, findings, "after somebody mounted the disk")
    findings.check(nas.sh(f"findmnt -n -o OPTIONS {site.path(LAKE)} | grep -qw ro").code == 0, "what was closed is closed")
    for code, where in ((ECO, "raw"), (LAKE, "raw")):
        name = next(n for n in people.writers(code) if n in site.clients)
        done = site.clients[name].sftp([f"ls {code}/{where}"])
        findings.check(done.code == 0 and "not found" not in done.text, f"{name} reads {code} over SFTP again", done)
    done = nas.octonas("experiment", "reopen", LAKE)
    findings.check(done.code == 0, f"{LAKE}: reopened", done)
    # Alone, a wall stays away: nothing that somebody took away comes back by itself.
    nas.must(f"umount -l {site.path(ECO)}")
    time.sleep(2)
    exit, report = site.check(ECO)
    findings.check(exit == 3, "a wall that somebody unmounted alone does not come back by itself", report)
    nas.octonas("experiment", "apply", ECO, "--mend")
    site.in_order(findings, ECO, "after the repair")
