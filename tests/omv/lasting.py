"""A reboot, and how it is with many experiments."""

import time

import matrix
import people
import sessions
from nas import Gone
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


MEMBERS = {"otalice": "manage", "otbob": "write", "otcarol": "read"}
# So many are created with one command.
BATCH = 50


def scale(site, findings):
    """What operations cost among many experiments: each with its own share, and all in a common share, side by side."""
    marks = sorted({number for number in (1, 100, 300) if number < site.scale} | {site.scale})
    there, rows = 0, []
    share(site, findings, there, "--common", "otest-all")
    for mark in marks:
        while there < mark:
            there += fill(site, findings, there, min(BATCH, mark - there))
        rows.append(("common share", there, *measure(site, findings, there, "common")))
        share(site, findings, there, "--own")
        rows.append(("own shares", there, *measure(site, findings, there, "own")))
        if mark != marks[-1]:
            share(site, findings, there, "--common", "otest-all")
    for row in rows:
        findings.note(" | ".join(map(str, row)))


def fill(site, findings, there, count):
    """Creates so many more with one command."""
    nas, where = site.nas, site.nas.must("mktemp -d").strip()
    for number in range(there + 1, there + count + 1):
        code = f"otest-n{number}"
        text = people.definition(code, site.base, MEMBERS)
        nas.run("sh", "-c", f"cat >{where}/{code}.json", input=text)
    restarts, began = smbd_starts(nas), time.monotonic()
    done = nas.octonas("--json", "experiment", "create", "-f", where, timeout=3600)
    seconds = time.monotonic() - began
    nas.run("rm", "-rf", where)
    made = done.json()
    failed = [each for each in made if "error" in each]
    if not findings.check(done.code == 0 and not failed, f"{count} experiments more are created with one command", failed or done):
        raise Gone("the experiments are not there")
    calls = made[0]["outcome"]["calls"]
    rpcs = sum(number for name, number in calls.items() if name != "Exec.isRunning")
    findings.note(f"{there} + {count} created at once: {seconds:.0f} s, {rpcs} RPCs, {calls.get('Config.applyChangesBg', 0)} deployments, "
                  f"smbd started {smbd_starts(nas) - restarts} times")
    return count


def share(site, findings, there, *how):
    """Another way of sharing for all of them."""
    nas = site.nas
    restarts, began = smbd_starts(nas), time.monotonic()
    done = nas.octonas("base", "share", site.base, *how, timeout=7200)
    findings.check(done.code == 0, f"base share {how[0]} with {there} experiments", done)
    findings.note(f"base share {how[0]} with {there} experiments: {time.monotonic() - began:.0f} s, "
                  f"smbd started {smbd_starts(nas) - restarts} times")


def measure(site, findings, there, mode):
    """One more created, looked at, closed, reopened and removed; the figures."""
    nas, code, figures = site.nas, "otest-one", []
    restarts, began = smbd_starts(nas), time.monotonic()
    done = site.create(code, members=MEMBERS)
    seconds = time.monotonic() - began
    if not findings.check(done.code == 0, f"{mode}: one more among {there} is created", done):
        raise Gone("nothing to measure")
    outcome = done.json()
    rpcs = sum(number for name, number in outcome["calls"].items() if name != "Exec.isRunning")
    figures += [f"create {seconds:.1f} s", f"{rpcs} RPCs", "+".join(outcome["interruption"]["modules"]),
                f"smbd started {smbd_starts(nas) - restarts} times"]
    findings.note(f"{mode} among {there}: " + ", ".join(figures) + "; " + timeline(done.err))
    for words in (("list",), ("list", "--refresh"), ("check",), ("close", code), ("reopen", code), ("remove", code)):
        began = time.monotonic()
        done = nas.octonas("experiment", *words)
        findings.check(done.code == 0, f"{mode} among {there}: experiment {' '.join(words)}", done)
        figures.append(f"{' '.join(words).replace(code, '').strip()} {time.monotonic() - began:.1f} s")
    nas.octonas("experiment", "remove", code, "--delete-data", code)
    client = site.clients["otalice"]
    began = time.monotonic()
    done = client.sftp(["ls -1 /experiments"])
    findings.check(done.code == 0 and done.out.count("otest-n") >= there,
                   f"{mode} among {there}: somebody who is in all of them sees them over SFTP", done)
    figures.append(f"sftp {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    client.smb("otest-all" if mode == "common" else "otest-n1", ["ls"])
    figures.append(f"smb {time.monotonic() - began:.1f} s")
    findings.note(f"{mode} among {there}: " + ", ".join(figures[4:]))
    return figures


def timeline(text):
    """How long each deployment took, as the command said."""
    return ", ".join(line for line in text.splitlines() if line.startswith("applied "))
