"""The common share: all experiments of the base as folders of one share, by the same clients, and back again."""

import json
import re
import time

import matrix
import sessions
from nas import Gone
from people import ECO, LAKE, PEOPLE, access
from testbed import brief, smbd_starts

SHARE, THIRD = "otest-all", "otest-third"


def run(site, findings):
    """The experiments that are there are taken over to the common share and back; everything in between is tried in it."""
    taken_over(site, findings)
    site.share(SHARE)
    try:
        quiet(site, findings)
        hidden(site, findings)
        matrix.run(site, findings)
        between(site, findings)
        sessions.run(site, findings)
        kind(site, findings)
        refused_doors(site, findings)
        by_hand(site, findings)
        site.nas.reboot()
        for code in (ECO, LAKE):
            site.in_order(findings, code, "in the common share after a reboot")
        matrix.run(site, findings)
    finally:
        site.share(None)
    back(site, findings)


def shares(site, name):
    listed = re.findall(r"^Disk\|([^|]+)\|", site.clients[name].smb_shares().out, re.M)
    return {share for share in listed if share.startswith("otest-")}


def choose(site, *options):
    return site.nas.octonas("--json", "base", "share", site.base, *options)


def taken_over(site, findings):
    nas = site.nas
    if site.has_ftp():
        site.edit(LAKE, protocols=matrix.ALL_DOORS)
        refused = choose(site, "--common", SHARE)
        findings.check(refused.code == 1 and LAKE in refused.text and "protocols.ftp" in refused.text,
                       "what FTP needs a shared folder for is named, and nothing is taken over", refused)
        done = site.edit(LAKE)
        findings.check(done.code == 0, f"{LAKE}: FTP is shut by an edit", done)
    dry = choose(site, "--common", SHARE, "--dry-run")
    findings.check(dry.code == 0 and "smbd restarts" in dry.text and SHARE not in nas.must("omv-confdbadm read conf.system.sharedfolder"),
                   "--dry-run says what is interrupted, and makes nothing", dry)
    findings.check(choose(site, "--common", ECO).code == 1, "a common share cannot bear the code of an experiment")
    restarts, began = smbd_starts(nas), time.monotonic()
    done = choose(site, "--common", SHARE)
    if not findings.check(done.code == 0, f"both experiments are taken over into the common share {SHARE}", done):
        raise Gone("without the common share nothing else of this part can be tried")
    findings.note(f"taken over in {time.monotonic() - began:.1f} s, smbd started {smbd_starts(nas) - restarts} times")
    for code in (ECO, LAKE):
        site.in_order(findings, code, "in the common share")
    for name in PEOPLE:
        findings.equal(shares(site, name), {SHARE}, f"{name}: SMB shows of ours")
    again = choose(site, "--common", SHARE)
    findings.check(again.code == 0 and not again.json()["steps"] and not any(each["steps"] for each in again.json()["experiments"]),
                   "the same choice again does nothing", again)


def quiet(site, findings):
    """Creating, closing, reopening and removing cut nobody."""
    nas, alice = site.nas, site.clients["otalice"]
    session = alice.hold("smb", ECO)
    findings.check(sessions.works(session.ask("ls")), "otalice has the common share open")
    restarts = smbd_starts(nas)
    done = site.create(THIRD, members={"otalice": "manage", "otcarol": "read"})
    if not findings.check(done.code == 0, f"{THIRD}: created in the common share", done):
        return
    outcome = done.json()
    findings.equal(outcome["interruption"]["modules"], ["octonas"], f"{THIRD}: modules applied")
    findings.equal(smbd_starts(nas), restarts, "smbd was started as often as before")
    findings.check(sessions.works(session.ask("ls")), "otalice's open session goes on")
    said = session.ask("cd \\")
    listing = session.ask("ls") or ""
    findings.check(sessions.works(said) and THIRD not in listing, "a session that is open keeps the groups of its login: the new folder is not in it", listing)
    findings.check(THIRD in alice.smb(SHARE, ["ls"]).out, "the next session shows it")
    done = alice.smb(THIRD, ["cd raw", "put /etc/hostname there.txt"])
    findings.check(nas.sh(f"test -s {site.path(THIRD)}/raw/there.txt").code == 0, f"otalice writes in {THIRD}", done)
    for words in (("close",), ("reopen",)):
        done = nas.octonas("--json", "experiment", *words, THIRD)
        findings.check(done.code == 0, f"{THIRD}: {words[0]}", done)
        nas.sh(f"rm -f {site.path(THIRD)}/raw/late.txt")
        done = alice.smb(THIRD, ["cd raw", "put /etc/hostname late.txt"])
        written = nas.sh(f"test -e {site.path(THIRD)}/raw/late.txt").code == 0
        findings.equal(written, words[0] == "reopen", f"{THIRD}: otalice writes over SMB after {words[0]}")
    done = nas.octonas("--json", "experiment", "edit", "-f", "-", input=json.dumps(draft(site)))
    findings.check(done.code == 1, f"{THIRD}: does not become a draft again", done)
    done = nas.octonas("experiment", "remove", THIRD)
    findings.check(done.code == 0, f"{THIRD}: removed", done)
    findings.equal(smbd_starts(nas), restarts, "after close, reopen and remove smbd was started as often as before")
    done = alice.smb(SHARE, ["ls", f"cd {THIRD}"])
    findings.check(THIRD not in done.out.split("smb:")[0].replace(f"cd {THIRD}", "") or "ACCESS_DENIED" in done.text,
                   f"{THIRD}: nobody sees it any more", done)
    session.close()
    nas.octonas("experiment", "remove", THIRD, "--delete-data", THIRD)


def draft(site):
    shown = site.nas.octonas_json("experiment", "show", THIRD)["definition"]
    shown["status"] = "draft"
    return shown


def hidden(site, findings):
    """What somebody sees of experiments that are not theirs: no name in a list, nothing behind a name that is guessed."""
    names = {ECO, LAKE}
    for name in PEOPLE:
        done = site.clients[name].smb(SHARE, ["ls", "ls *", "recurse", "ls"])
        mine = {code for code in names if access(name, code)}
        seen = {code for code in names if code in done.out}
        findings.equal(seen, mine, f"{name}: the common share shows")
        for inner in (".octonas", "claim", "ledger"):
            findings.check(inner not in done.out, f"{name}: the common share does not show {inner}")
        for code in names - mine:
            for inside in ("raw", "metadata", "metadata\\experiment.yaml", "landing"):
                done = site.clients[name].smb(SHARE, [f"ls {code}\\{inside}\\*", f"get {code}\\{inside} /dev/null", f"cd {code}\\{inside}",
                                                      f"put /etc/hostname {code}\\{inside}\\otest.txt", f"allinfo {code}\\{inside}"])
                findings.check("experiment.yaml  " not in done.out and done.text.count("NT_STATUS_") >= 4 and "create_time" not in done.out,
                               f"{name}: {code}\\{inside} is out of reach", done)
            told = site.clients[name].smb(SHARE, [f"allinfo {code}", f"allinfo otest-no-such", f"rmdir {code}", f"rename {code} mine",
                                                  f"setmode {code} +r", f"rename {code} {code}x"])
            findings.note(f"{name}: asked for {code} by its name, SMB says: {matrix.interesting(told.text)[:300]}")
            acl = site.nas.local(["smbcacls", f"//{site.nas.address}/{SHARE}", code, "-A", site.clients[name].credentials])
            findings.check(f"exp-{code}" not in acl.text, f"{name}: SMB tells no access list of {code}", acl)
    done = site.clients["otxavier"].smb(SHARE, ["put /etc/hostname top.txt", "mkdir top", "ls"])
    findings.check(site.nas.sh(f"test -e {site.base}/top.txt -o -e {site.base}/top").code != 0 and done.text.count("NT_STATUS_") >= 2,
                   "nobody makes anything beside the experiments", done)
    findings.check(not re.search(r"otest-(eco|lake)", done.out), "otxavier sees an empty share", done)


def between(site, findings):
    """Somebody who is in two experiments moves and links files from one to the other in one session."""
    alice, nas = site.clients["otdan"], site.nas
    done = site.edit(ECO, members={**sessions.everybody(ECO), "otdan": "write"})
    findings.check(done.code == 0, "otdan may write in both", done)
    done = alice.smb(SHARE, [f"put /etc/hostname {LAKE}\\raw\\move.txt", f"rename {LAKE}\\raw\\move.txt {ECO}\\raw\\moved.txt",
                             f"mkdir {LAKE}\\raw\\movedir", f"rename {LAKE}\\raw\\movedir {ECO}\\raw\\movedir",
                             f"put /etc/hostname {LAKE}\\raw\\link.txt", f"hardlink {LAKE}\\raw\\link.txt {ECO}\\raw\\linked.txt"])
    found = nas.tree(site.path(ECO))
    moved = found.get("raw/moved.txt")
    findings.note(f"rename of a file into another experiment: {'copied there' if moved else 'refused'}; "
                  f"of a directory: {'done' if 'raw/movedir' in found else 'refused'}; {matrix.interesting(done.text)}")
    if moved:
        lake = f"exp-{LAKE}"
        findings.check(moved["mode"] == "0660" and lake not in moved["acl"] and f"g:exp-{ECO}-w:rwx" in moved["acl"],
                       "what was moved has the rights of its new place", moved)
    findings.check("raw/linked.txt" not in found, "no file is linked from one experiment into another", done)
    nas.must(f"rm -rf {site.path(ECO)}/raw/move* {site.path(LAKE)}/raw/move* {site.path(LAKE)}/raw/link.txt")
    site.edit(ECO, members=sessions.everybody(ECO))


def kind(site, findings):
    """Taking somebody out of one experiment ends their one connection, nobody else's; the next one has the others as before."""
    nas, dan, alice = site.nas, site.clients["otdan"], site.clients["otalice"]
    site.edit(ECO, members={**sessions.everybody(ECO), "otdan": "read"})
    held, other = dan.hold("smb", SHARE), alice.hold("smb", SHARE)
    findings.check(sessions.works(held.ask(f"ls {ECO}\\raw\\*")) and sessions.works(held.ask(f"ls {LAKE}\\raw\\*")), "otdan has both open")
    other.ask(f"ls {ECO}\\raw\\*")
    restarts = smbd_starts(nas)
    done = site.edit(ECO, members=sessions.everybody(ECO))
    findings.check(done.code == 0 and "otdan" in done.text, "otdan is taken out of one", done)
    findings.check(not sessions.works(held.ask(f"ls {ECO}\\raw\\*")), "the open session does not show it any more")
    findings.check(sessions.works(other.ask(f"ls {ECO}\\raw\\*")), "otalice's session goes on")
    findings.equal(smbd_starts(nas), restarts, "smbd itself goes on")
    findings.check(sessions.works(dan.smb(SHARE, [f"ls {LAKE}\\raw\\*"]).text), "otdan's next session has the other experiment")
    findings.check(dan.smb(SHARE, [f"ls {ECO}\\raw\\*"]).code != 0, "and not this one")
    held.close()
    other.close()


def refused_doors(site, findings):
    """FTP, NFS, rsyncd and `smb: false` are refused, with the reason, and nothing is changed."""
    for protocols in ({"ftp": True}, {"rsyncd": True}, {"nfs": [{"host": "192.0.2.7", "access": "read"}]}, {"smb": False}):
        protocols = {"smb": True, "sftp": True, "rsync": True, **protocols}
        done = site.edit(ECO, members=sessions.everybody(ECO), protocols=protocols)
        findings.check(done.code == 1 and "common-share" in done.text, f"{ECO}: {json.dumps(protocols)} is refused", done)
    site.in_order(findings, ECO, "after refused doors")


def by_hand(site, findings):
    """The common share narrowed, opened, switched off and taken away in the panel: named with its effect on all, mended."""
    nas = site.nas
    shared = next(row for row in nas.rpc("ShareMgmt", "enumerateSharedFolders", {}) if row["name"] == SHARE)
    smb = nas.rpc("SMB", "getShareList", {"start": 0, "limit": 100, "sortfield": None, "sortdir": None})["data"]
    share = next(row for row in smb if row["sharedfolderref"] == shared["uuid"])
    full = nas.rpc("SMB", "getShare", {"uuid": share["uuid"]})

    def drifted(what, word):
        exit, report = site.check(ECO)
        told = [drift["effect"]["en"] for drift in report.get("drift", [])]
        findings.check(exit == 3 and any(word in effect and site.base in effect for effect in told),
                       f"{what}: check names it, with its effect on every experiment", told or report)
        done = nas.octonas("base", "check", site.base)
        findings.check(done.code == 3 and "changed by hand" in done.out, f"{what}: base check names it", done)
        done = nas.octonas("--json", "experiment", "apply", LAKE)
        findings.check(done.code == 0 and site.check(ECO)[0] == 3, f"{what}: apply leaves it as it is", done)
        done = nas.octonas("--json", "experiment", "apply", "--mend", LAKE)
        exit, report = site.check(ECO)
        findings.check(done.code == 0 and exit == 0, f"{what}: apply --mend of one experiment mends it for all", f"{done} {brief(report)}")

    nas.rpc("SMB", "setShare", {**full, "readonly": True})
    drifted("read-only share", "nobody writes over SMB")
    nas.rpc("SMB", "setShare", {**full, "extraoptions": ""})
    drifted("share without our options", "names of experiments")
    nas.rpc("ShareMgmt", "setPrivileges", {"uuid": shared["uuid"], "privileges": [
        {"type": "group", "name": "users", "perms": 5}]})
    drifted("privileges narrowed", "read only")
    nas.must(f"chmod 0711 {site.base}")
    drifted("base not listable", "over SMB people do not see")
    nas.rpc("SMB", "deleteShare", {"uuid": share["uuid"]})
    drifted("share deleted", "nobody reaches")
    refused = nas.remote("rpc", service="ShareMgmt", method="delete", params={"uuid": shared["uuid"], "recursive": False}, timeout=60)
    findings.check(bool(refused.get("error")), "OpenMediaVault refuses to delete the common folder, because experiments refer to it", refused)
    done = site.clients["otalice"].smb(ECO, ["ls"])
    findings.check(done.code == 0, "people are back", done)


def back(site, findings):
    nas = site.nas
    restarts, began = smbd_starts(nas), time.monotonic()
    done = choose(site, "--own")
    findings.check(done.code == 0, "each experiment has a share of its own again", done)
    findings.note(f"taken back in {time.monotonic() - began:.1f} s, smbd started {smbd_starts(nas) - restarts} times")
    for code in (ECO, LAKE):
        site.in_order(findings, code, "in its own share again")
    for name in PEOPLE:
        findings.equal(shares(site, name), {code for code in (ECO, LAKE) if access(name, code)}, f"{name}: SMB shows the shares")
    mode = nas.must(f"stat -c %a {site.base}; getfacl -pc {site.base} | grep -c users || true").split()
    findings.equal(mode, ["711", "0"], "the base itself is as it was before")
    done = nas.octonas("base", "check", site.base)
    findings.check(done.code == 0, "base check finds everything in order", done)
