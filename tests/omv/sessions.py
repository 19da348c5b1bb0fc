"""Sessions that are open while people are taken out and experiments are closed, and what goes on after reopening."""

import pathlib
import subprocess
import tempfile
import time

import matrix
import people
from doors import ended
from people import ECO, PEOPLE


def everybody(code):
    return {name: people.access(name, code) for name in PEOPLE if people.access(name, code)}


def read(session, door, code):
    """Reads through an open session; None when it is dead, otherwise what the client said."""
    where = "raw\\for-otcarol-smb\\read.txt" if door == "smb" else f"{code}/raw/for-otcarol-smb/read.txt"
    said = session.ask(f"get {where} /dev/null")
    return said


def works(said):
    if said is None:
        return False
    low = said.lower()
    return not any(word in low for word in ("nt_status", "closed", "not found", "no such", "denied", "couldn't", "no answer", "failed"))


def taken_out(site, findings):
    """B loses ECO by an edit while B has SMB and SFTP open; A's session goes on."""
    if site.nas.sh(f"test -e {site.path(ECO)}/raw/for-otcarol-smb/read.txt").code:
        matrix.seed(site, findings)
    bob, alice = site.clients["otbob"], site.clients["otalice"]
    held = {door: bob.hold(door, ECO) for door in ("smb", "sftp")}
    other = {door: alice.hold(door, ECO) for door in ("smb", "sftp")}
    for door, session in held.items():
        said = read(session, door, ECO)
        findings.check(works(said), f"otbob reads over {door} while a member", said)
        read(other[door], door, ECO)
    left = {name: right for name, right in everybody(ECO).items() if name != "otbob"}
    began = time.monotonic()
    done = site.edit(ECO, members=left)
    findings.check(done.code == 0, f"edit takes otbob out, in {time.monotonic() - began:.1f} s", done)
    findings.check("ending open sessions" in done.text and "otbob" in done.text, "the command says whose sessions it ends", done)
    for door, session in held.items():
        said = read(session, door, ECO)
        findings.check(not works(said), f"otbob's open {door} session is dead", said)
        session.close()
    for door, session in other.items():
        said = read(session, door, ECO)
        findings.check(works(said), f"otalice's open {door} session goes on", said)
        session.close()
    done = bob.sftp(["ls /"])
    findings.check("experiments" not in done.out, "otbob is refused at SFTP", done)
    done = bob.smb(ECO, ["ls"])
    findings.check(done.code != 0, "otbob is refused at SMB", done)
    site.in_order(findings, ECO, "after the edit")
    done = site.edit(ECO, members=everybody(ECO))
    findings.check(done.code == 0, "edit lets otbob in again", done)
    done = bob.sftp([f"get {ECO}/raw/for-otcarol-smb/read.txt /dev/null"])
    findings.check(done.code == 0 and "not found" not in done.text, "otbob reads again over SFTP", done)
    done = site.edit(ECO, members={**everybody(ECO), "otbob": "read"})
    findings.check(done.code == 0, "edit makes otbob a reader", done)
    refused(site, findings, "otbob", ECO, "as a reader")
    site.edit(ECO, members=everybody(ECO))


def refused(site, findings, name, code, when):
    """Writing is refused in all doors."""
    put(site, findings, name, code, False, when)


def put(site, findings, name, code, expected, when):
    client = site.clients[name]
    with tempfile.TemporaryDirectory(prefix="otest-") as work:
        file = pathlib.Path(work) / "put.txt"
        file.write_text(f"put by {name}\n")
        for door in ("smb", "sftp", "rsync"):
            target = f"raw/put-{name}-{door}.txt"
            site.nas.must(f"rm -f {site.path(code)}/{target} 2>/dev/null || true")
            if door == "smb":
                done = client.smb(code, [f"lcd {work}", f"put put.txt raw\\put-{name}-smb.txt"])
            elif door == "sftp":
                done = client.sftp([f"put {file} {code}/{target}"])
            else:
                done = client.rsync(str(file), client.remote(f"{code}/{target}"))
            there = site.nas.run("cat", f"{site.path(code)}/{target}").out == f"put by {name}\n"
            findings.check(there == expected, f"{name} {door} {code}: writing is {'possible' if expected else 'refused'} {when}", done)


def closed(site, findings):
    """Close cuts writers at once, uploads under way end; readers read; reopening gives everybody what they had."""
    nas, alice, bob = site.nas, site.clients["otalice"], site.clients["otbob"]
    # What is there already would look as if it had been written afterwards.
    nas.must(f"rm -f {site.path(ECO)}/raw/put-*")
    held = {door: alice.hold(door, ECO) for door in ("smb", "sftp")}
    for door, session in held.items():
        said = read(session, door, ECO)
        findings.check(works(said), f"otalice has {door} open", said)
    work = tempfile.TemporaryDirectory(prefix="otest-")
    file = pathlib.Path(work.name) / "big"
    with open(file, "wb") as out:
        out.truncate(64 << 20)
    rsync = subprocess.Popen(["sshpass", "-e", *bob.rsync_argv("--bwlimit=400", "--inplace", str(file), bob.remote(f"{ECO}/raw/big-rsync"))],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=bob.env)
    sftp = subprocess.Popen(bob.sftp_argv("-l", "3000", "-b", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env=bob.env)
    sftp.stdin.write(f"put {file} {ECO}/raw/big-sftp\n")
    sftp.stdin.flush()
    for _ in range(40):
        time.sleep(0.5)
        if nas.sh(f"test -s {site.path(ECO)}/raw/big-rsync && test -s {site.path(ECO)}/raw/big-sftp").code == 0:
            break
    findings.check(rsync.poll() is None and sftp.poll() is None, "an upload by rsync and one by sftp are under way")
    began = time.monotonic()
    done = nas.octonas("--json", "experiment", "close", ECO)
    seconds = time.monotonic() - began
    findings.check(done.code == 0 and done.json().get("status") == "closed", f"{ECO}: closed, in {seconds:.1f} s", done)
    size = nas.sh(f"stat -c '%n %s' {site.path(ECO)}/raw/big-*").out
    for name, process in (("rsync", rsync), ("sftp", sftp)):
        end = ended(process, 60)
        findings.check(end is not None and end.code != 0, f"the upload by {name} ended with an error", end or "it goes on")
    findings.check(nas.sh(f"stat -c '%n %s' {site.path(ECO)}/raw/big-*").out == size, "not a byte arrived after close", size)
    for door, session in held.items():
        where = "raw\\late.txt" if door == "smb" else f"{ECO}/raw/late.txt"
        said = session.ask(f"put /etc/hostname {where}")
        findings.check(nas.sh(f"test -e {site.path(ECO)}/raw/late.txt").code != 0, f"otalice's open {door} session does not write", said)
        session.close()
    for name in ("otalice", "otbob", "otcarol"):
        refused(site, findings, name, ECO, "while closed")
        done = site.clients[name].sftp([f"get {ECO}/raw/for-otcarol-smb/read.txt /dev/null"])
        findings.check(done.code == 0 and "not found" not in done.text, f"{name} reads a closed experiment over SFTP", done)
        done = site.clients[name].smb(ECO, ["get raw\\for-otcarol-smb\\read.txt /dev/null"])
        findings.check(done.code == 0, f"{name} reads a closed experiment over SMB", done)
    findings.check(nas.sh(f"touch {site.path(ECO)}/raw/root").code != 0, "root does not write there either")
    exit, report = site.check(ECO)
    # A file that a killed rsync left half has no rights yet: that is found, and rightly.
    others = [f for f in report.get("findings", []) if not f["path"].startswith(("raw/big-", "raw/.big-"))]
    findings.check(not others and not report.get("drift") and not report.get("pending") and not report.get("error"),
                   f"{ECO}: check finds everything in order while closed, but for what the killed upload left", f"exit {exit} {report}")
    done = nas.octonas("--json", "experiment", "close", ECO)
    findings.check(done.code == 0 and not done.json()["steps"], "close again does nothing", done)
    work.cleanup()


def reopened(site, findings):
    nas = site.nas
    done = nas.octonas("--json", "experiment", "reopen", ECO)
    findings.check(done.code == 0 and done.json().get("status") == "active", f"{ECO}: reopened", done)
    nas.must(f"rm -f {site.path(ECO)}/raw/big-* {site.path(ECO)}/raw/put-*")
    for name in ("otalice", "otbob"):
        put(site, findings, name, ECO, True, "after reopen")
    refused(site, findings, "otcarol", ECO, "after reopen")
    refused(site, findings, "otdan", ECO, "after reopen")
    site.in_order(findings, ECO, "after reopen")


def run(site, findings):
    taken_out(site, findings)
    closed(site, findings)
    reopened(site, findings)
    due(site, findings)


def due(site, findings):
    """Somebody whose access ended yesterday goes."""
    done = site.edit(ECO, members={**everybody(ECO), "otxavier": ("read", "2099-01-01")})
    findings.check(done.code == 0, "otxavier gets access until 2099", done)
    client = site.clients["otxavier"]
    session = client.hold("smb", ECO)
    findings.check(works(read(session, "smb", ECO)), "otxavier reads")
    # The date is in the file, so that it ends the access by itself: an edit would already do it.
    file = f"{site.path(ECO)}/metadata/experiment.yaml"
    site.nas.must(f"sed -i 's/2099-01-01/2020-01-01/' {file}")
    done = site.nas.octonas("experiment", "due")
    findings.check(done.code == 0 and "otxavier" in done.out, "`experiment due` takes out whose date has passed", done)
    findings.check(not works(read(session, "smb", ECO)), "the open session of that person is dead")
    session.close()
    done = client.smb(ECO, ["ls"])
    findings.check(done.code != 0, "that person is refused", done)
    done = site.edit(ECO, members=everybody(ECO))
    site.in_order(findings, ECO, "after that")


