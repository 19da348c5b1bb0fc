"""A reboot, and how it is with many experiments."""

import time

import matrix
import sessions
from people import ECO, LAKE
from testbed import smbd_starts


def reboot(site, findings):
    """One experiment closed, the other open: the same after a reboot, the whole matrix again."""
    nas = site.nas
    # What other parts put there would look as if it had been written afterwards.
    nas.must(f"rm -f {site.path(ECO)}/raw/put-*")
    done = nas.octonas("experiment", "close", ECO)
    findings.check(done.code == 0, f"{ECO}: closed before the reboot", done)
    nas.reboot()
    findings.check(nas.sh(f"findmnt -n -o OPTIONS {site.path(ECO)} | grep -qw ro").code == 0, f"{ECO}: its wall is read-only after the reboot")
    findings.check(nas.sh(f"findmnt -n -o OPTIONS {site.path(LAKE)} | grep -qw rw").code == 0, f"{LAKE}: its wall is writable after the reboot")
    state = nas.sh("systemctl is-active octonas-walls.target").out.strip()
    findings.check(state == "active", "octonas-walls.target is active", state)
    ran = nas.sh("systemctl show -P Result octonas-jails.service; systemctl show -P ExecMainStartTimestampMonotonic octonas-jails.service").out.split()
    findings.check(ran[:1] == ["success"] and ran[1:2] != ["0"], "octonas-jails.service ran and ended well", ran)
    for code in (ECO, LAKE):
        site.in_order(findings, code, "after the reboot")
    for name in ("otalice", "otbob"):
        sessions.put(site, findings, name, ECO, False, "after the reboot of a closed experiment")
    done = nas.octonas("experiment", "reopen", ECO)
    findings.check(done.code == 0, f"{ECO}: reopened after the reboot", done)
    nas.must(f"rm -f {site.path(ECO)}/raw/put-*")
    matrix.run(site, findings)


def scale(site, findings):
    """Seconds for one create, when there are already so many."""
    nas = site.nas
    for number in range(1, site.scale + 1):
        code = f"otest-n{number}"
        restarts, began = smbd_starts(nas), time.monotonic()
        done = site.create(code, members={"otalice": "manage", "otbob": "write", "otcarol": "read"})
        seconds = time.monotonic() - began
        if done.code or number in (1, 10, 30, 100, 200, 300, site.scale):
            if not findings.check(done.code == 0, f"experiment {number} is created", done):
                break
            outcome = done.json()
            findings.note(f"create with {number + len((ECO, LAKE))} experiments: {seconds:.1f} s, {sum(outcome['calls'].values())} RPCs, "
                          f"modules {', '.join(outcome['interruption']['modules'])}, smbd started {smbd_starts(nas) - restarts} times")
    for words in (("list",), ("list", "--refresh"), ("check",)):
        began = time.monotonic()
        done = nas.octonas("experiment", *words)
        findings.check(done.code == 0, f"experiment {' '.join(words)}: {time.monotonic() - began:.1f} s", done)
    for words in (("close", "otest-n1"), ("reopen", "otest-n1"), ("remove", "otest-n1")):
        began = time.monotonic()
        done = nas.octonas("experiment", *words)
        findings.check(done.code == 0, f"experiment {words[0]} with {site.scale} others: {time.monotonic() - began:.1f} s", done)
    client = site.clients["otalice"]
    began = time.monotonic()
    done = client.sftp(["ls -1 /experiments"])
    findings.check(done.code == 0 and done.out.count("otest-n") >= site.scale - 1,
                   f"somebody in all of them logs in by SFTP in {time.monotonic() - began:.1f} s", done)


