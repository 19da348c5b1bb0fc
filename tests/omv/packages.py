"""Installing, reinstalling, removing and purging the packages on the NAS."""

import drift
import testbed
from nas import Gone
from people import ECO, LAKE, PEOPLE, access

NAMES = ("openmediavault-octonas", "octonas")


def version(nas, name):
    return nas.sh(f"dpkg-query -W -f '${{Version}}' {name} 2>/dev/null").out


def send(site):
    """Puts the packages on the NAS; gives their paths there."""
    found = sorted(site.dist.glob("*octonas_*.deb"))
    if len(found) < 2:
        raise Gone(f"no packages in {site.dist}: make deb")
    where = site.nas.must("mktemp -d").strip()
    site.nas.copy(found, where)
    return [f"{where}/{file.name}" for file in found]


def unpack(site, *options):
    """`apt-get install` of the two files, as an admin does it."""
    files = " ".join(send(site))
    return site.nas.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends {' '.join(options)} {files}; "
                       f"code=$?; rm -rf $(dirname {files.split()[0]}); exit $code", timeout=600)


def install(site, findings, arguments):
    nas = site.nas
    if arguments.reuse:
        findings.note("packages: " + ", ".join(f"{name} {version(nas, name)}" for name in NAMES))
    else:
        if version(nas, NAMES[0]) and [code for code in site.codes() if not code.startswith("otest")]:
            raise Gone(f"{nas.host} has experiments: this test is for a machine without any")
        done = unpack(site, "--reinstall" if version(nas, NAMES[0]) else "")
        findings.check(done.code == 0, "apt-get install of both packages ends well", done)
        nas.wait(60)
    testbed.sweep(site, findings)
    done = nas.octonas("base", "add", site.base)
    findings.check(done.code == 0, f"octonas base add {site.base}", done)
    again = nas.octonas("base", "add", site.base)
    findings.check(again.code == 0, "a base may be added twice", again)
    done = nas.octonas("doctor")
    findings.check(done.code == 0, "octonas doctor finds everything in order", done)
    findings.note(" / ".join(done.out.split("\n")[:12]))


def again(site, findings):
    """The same version once more, as an upgrade does it."""
    nas = site.nas
    before = nas.must("findmnt -rn -o TARGET,OPTIONS | grep octonas | sort; findmnt -rn -o TARGET,OPTIONS | grep otest | sort")
    done = unpack(site, "--reinstall")
    findings.check(done.code == 0, "the packages are upgraded (the same version again)", done)
    nas.wait(60)
    after = nas.must("findmnt -rn -o TARGET,OPTIONS | grep octonas | sort; findmnt -rn -o TARGET,OPTIONS | grep otest | sort")
    findings.check(before == after, "an upgrade leaves every mount as it is", f"{before} => {after}")
    for code in (ECO, LAKE):
        site.in_order(findings, code, "after the upgrade")
    site.healthy(findings, "after the upgrade")


def go(site, findings):
    """Remove and purge while experiments are there: OpenMediaVault stays healthy, data stay and stay shut."""
    nas = site.nas
    kept = {code: {name: {k: v for k, v in found.items()} for name, found in nas.tree(site.path(code)).items()} for code in (ECO, LAKE)}
    nas.octonas("experiment", "close", LAKE)
    done = nas.sh(f"DEBIAN_FRONTEND=noninteractive apt-get remove --yes --quiet {' '.join(NAMES)}", timeout=600)
    findings.check(done.code == 0, "apt-get remove ends well", done)
    site.healthy(findings, "after remove")
    client = site.clients["otcarol"]
    seen = client.smb(ECO, ["ls"])
    findings.check(seen.code == 0, "after remove members still read over SMB", seen)
    refused = nas.sh(f"touch {site.path(LAKE)}/raw/x")
    findings.check(refused.code != 0, "after remove a closed experiment stays closed", refused)
    done = nas.sh(f"DEBIAN_FRONTEND=noninteractive apt-get purge --yes --quiet {' '.join(NAMES)}", timeout=600)
    findings.check(done.code == 0, "apt-get purge ends well", done)
    findings.note(" / ".join(line for line in done.out.splitlines() if "read-only" in line or "closed" in line))
    site.healthy(findings, "after purge")
    for code in (ECO, LAKE):
        now = nas.tree(site.path(code))
        different = [name for name, found in kept[code].items() if code != LAKE and now.get(name) != found]
        different += [name for name in kept[code] if name not in now]
        findings.check(not different, f"{code}: purge left every file, owner, mode and ACL as it was", different[:5])
        done = nas.sh(f"setpriv --reuid otxavier --regid users --clear-groups ls {site.path(code)}")
        findings.check(done.code != 0, f"{code}: after purge the data are still shut", done)
    refused = nas.sh(f"touch {site.path(LAKE)}/raw/x")
    findings.check(refused.code != 0, f"{LAKE}: after purge a closed experiment stays read-only", refused)
    done = site.clients["otalice"].sftp(["ls /"])
    findings.check("experiments" not in done.out and done.code != 0, "after purge people of experiments are refused by sshd", done)
    left = nas.must("ls -d /etc/octonas /var/lib/octonas /run/octonas/jail /etc/ssh/sshd_config.d/octonas.conf /usr/lib/octonas 2>/dev/null; true")
    findings.check(not left, "after purge nothing of ours is left on the system disk", left)
    done = unpack(site)
    findings.check(done.code == 0, "installed again", done)
    nas.wait(60)
    done = nas.octonas("base", "add", site.base)
    findings.check(done.code == 1 and "take-over" in done.text, "the new installation is another NAS: its base is not simply added", done)
    for code in (ECO, LAKE):
        done = nas.octonas("experiment", "adopt", site.path(code), "--take-over")
        findings.check(done.code == 1 and f"exp-{code}-" in done.text,
                       f"{code}: adopting refuses the groups that the old installation left, with their members", done)
        nas.rpc("SMB", "deleteShare", {"uuid": drift.share(nas, code)["uuid"]})
        if site.has_ftp():
            listed = nas.rpc("FTP", "getShareList", {"start": 0, "limit": -1, "sortfield": None, "sortdir": None})["data"]
            for share in (each for each in listed if each.get("sharedfolderref") == drift.folder(nas, code)["uuid"]):
                nas.rpc("FTP", "deleteShare", {"uuid": share["uuid"]})
        nas.rpc("ShareMgmt", "delete", {"uuid": drift.folder(nas, code)["uuid"], "recursive": False})
        for letter in "wr":
            nas.rpc("UserMgmt", "setGroup", {"name": f"exp-{code}-{letter}", "comment": "", "members": []})
            nas.rpc("UserMgmt", "deleteGroup", {"name": f"exp-{code}-{letter}"})
        people_here = ",".join(name for name in PEOPLE if access(name, code))
        done = nas.octonas("experiment", "adopt", site.path(code), "--take-over", "--grant", people_here)
        findings.check(done.code == 0, f"{code}: adopted by the new installation", done)
    for code in (ECO, LAKE):
        site.in_order(findings, code, "after it was adopted")


def leave(site, findings):
    """The end of the test: no packages, no base, no directories of ours."""
    nas = site.nas
    if version(nas, NAMES[0]):
        done = nas.sh(f"DEBIAN_FRONTEND=noninteractive apt-get purge --yes --quiet {' '.join(NAMES)}", timeout=600)
        findings.check(done.code == 0, "purge at the end", done)
    mounts = nas.must(f"findmnt -rn -o TARGET | grep -F '{site.base}' || true")
    findings.check(not mounts, "no mount of ours is left", mounts)
    if not mounts:
        left = [name for name in nas.tree(site.base) if not name.startswith(".")]
        findings.check(not left, "no experiment is left in the base", left[:10])
        nas.sh(f"rm -rf --one-file-system '{site.base}' '{site.outside}'")
    nas.apply_panel()
    site.healthy(findings, "at the end")
