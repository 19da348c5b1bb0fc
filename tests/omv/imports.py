"""A folder that people share already becomes an experiment with every door, by real clients: who got in before, and who gets in
after; then the doors are shut again, and setfacl(1) brings the old rights back."""

import json
import os
import pathlib
import tempfile

import people

CODE = "otest-old"
NEW = "fa4b1c66-ef79-11e5-87a0-0002b3a176b4"
# Before: by the shared folder's privileges; afterwards: by the definition.
BEFORE = ("otdan", "otxavier")
AFTER = {"otalice": "manage", "otbob": "write", "otdan": "read"}
FTP_OPERATIONS = ("list", "read", "create", "overwrite", "delete", "frame", "metadata")


def lay_down(site):
    """The folder as a unit has one: open to every user, and files of three people."""
    top = f"{site.base}/{CODE}"
    files = [("raw/of-dan.csv", "otdan", "0666"), ("2019/deep/of-xavier.csv", "otxavier", "0600"),
             ("photos/of-alice.jpg", "otalice", "0640"), ("notes.txt", "otalice", "0644")]
    lines = [f"mkdir -p '{top}/raw' '{top}/2019/deep' '{top}/photos'; chown -R root:users '{top}'; chmod -R 2775 '{top}'"]
    for path, owner, mode in files:
        lines.append(f"echo 'content of {path}' >'{top}/{path}'; chown {owner}:users '{top}/{path}'; chmod {mode} '{top}/{path}'")
    site.nas.must("\n".join(lines))


def share(site):
    """Its shared folder, privileges, SMB and FTP, as the panel makes them."""
    nas = site.nas
    disks = nas.rpc("Config", "getlist", {"id": "conf.system.filesystem.mountpoint", "start": 0, "limit": -1})["data"]
    disk = next(row for row in disks if row["dir"] == site.disk)
    folder = nas.rpc("ShareMgmt", "set", {"uuid": NEW, "name": CODE, "comment": "of all", "mntentref": disk["uuid"],
                                          "reldirpath": f"otest/{CODE}/"})
    rows = [{"type": "user", "name": name, "perms": 7} for name in BEFORE]
    nas.rpc("ShareMgmt", "setPrivileges", {"uuid": folder["uuid"], "privileges": rows})
    nas.rpc("SMB", "setShare", {
        "uuid": NEW, "enable": True, "sharedfolderref": folder["uuid"], "comment": "of all", "guest": "no", "readonly": False,
        "browseable": True, "recyclebin": False, "recyclemaxsize": 0, "recyclemaxage": 0, "hidedotfiles": True,
        "inheritacls": True, "inheritpermissions": False, "easupport": False, "storedosattributes": False,
        "hostsallow": "", "hostsdeny": "", "audit": False, "extraoptions": ""})
    nas.rpc("FTP", "setShare", {"uuid": NEW, "enable": True, "sharedfolderref": folder["uuid"], "extraoptions": "",
                                "comment": "of all"})
    nas.apply_panel()
    return folder["uuid"]


def run(site, findings):
    nas = site.nas
    if not site.has_ftp():
        findings.note("FTP is not installed, or switched off on this NAS: skipped")
        return
    lay_down(site)
    uuid = share(site)
    top = f"{site.base}/{CODE}"
    before = nas.tree(top)
    text = people.definition(CODE, site.base, AFTER, protocols={
        "smb": True, "sftp": True, "rsync": True, "ftp": True, "rsyncd": True, "nfs": [{"host": "192.0.2.7", "access": "read"}]})

    told = nas.octonas("--json", "experiment", "import", CODE, "-f", "-", input=text)
    findings.check(told.code == 0, "the import is planned", told)
    changes = {row["account"]: row["change"] for row in told.json()["access"]}
    findings.equal({name: changes.get(name) for name in ("otalice", "otbob", "otdan", "otxavier")},
                   {"otalice": "gains", "otbob": "gains", "otdan": "narrows", "otxavier": "loses"}, "who gains and loses")
    findings.check(nas.tree(top) == before, "the plan changes nothing in the tree")

    done = nas.octonas("--json", "experiment", "import", CODE, "-f", "-", "--confirm", input=text)
    findings.check(done.code == 0, "confirmed, it is done", done)
    after = nas.tree(top)
    moved = [path for path, found in before.items() if found["kind"] == "file"
             and any(after.get(path, {}).get(key) != found[key] for key in ("inode", "size", "mtime", "text"))]
    findings.check(not moved, "every file is where it was, byte for byte", moved)
    folders = nas.rpc("Config", "getlist", {"id": "conf.system.sharedfolder", "start": 0, "limit": -1})["data"]
    findings.check(any(f["uuid"] == uuid and f["name"] == CODE for f in folders), "the shared folder keeps its identity")
    site.in_order(findings, CODE, "after the import")
    again = nas.octonas("--json", "experiment", "import", CODE, "-f", "-", "--confirm", input=text)
    findings.check(again.code == 0 and not again.json()["outcome"]["steps"], "given again, it does nothing", again)

    by_ftp(site, findings, top)
    by_rsyncd(site, findings)
    mount = nas.must(f"findmnt -n -o OPTIONS /export/{CODE} || true")
    findings.check("nosymfollow" in mount, "the export is mounted without following links", mount)
    closing(site, findings, top)
    shut(site, findings, text)
    done = nas.octonas("experiment", "remove", CODE)
    findings.check(done.code == 0, "it is taken out of service", done)
    nas.must(f"cd '{top}' && setfacl --restore=metadata/before-import.facl")
    back = nas.tree(top)
    wrong = [path for path, found in before.items()
             if any(back.get(path, {}).get(key) != found[key] for key in ("mode", "owner", "group"))]
    findings.check(not wrong, "setfacl --restore brings owners and modes back", wrong)
    done = nas.octonas("experiment", "remove", CODE, "--delete-data", CODE)
    findings.check(done.code == 0 and not nas.tree(top), "its data is deleted when that is asked for", done)


def by_ftp(site, findings, top):
    """Every cell of `octonas rights` by a real client."""
    nas = site.nas
    rights = nas.octonas_json("rights", CODE)
    allowed = {(cell["account"], cell["operation"]): cell["allowed"] for cell in rights["cells"] if cell["door"] == "ftp"}
    nas.must(f"cd '{top}/raw'; ln -sfn /etc escape; for who in {' '.join(AFTER)} otxavier; do mkdir -p for-$who; for f in over gone; do"
             " echo seed >for-$who/$f; done; chown -R otalice for-$who; done")
    for account in (*AFTER, "otxavier"):
        place = f"{CODE}/raw/for-{account}"
        local = pathlib.Path(tempfile.mkdtemp(prefix="otest-")) / "new"
        local.write_text(f"by {account}\n")
        said = site.clients[account].ftp([
            f"cls -1 {place}", f"cat {CODE}/2019/deep/of-xavier.csv", f"put {local} -o {place}/new",
            f"put {local} -o {place}/over", f"rm {place}/gone", f"put {local} -o {CODE}/notes.txt", f"rmdir {CODE}/docs",
            f"put {local} -o {CODE}/metadata/evil", f"site chmod 600 {place}/over", f"cat {CODE}/raw/escape/hostname"])
        now = nas.tree(top)
        seen = {
            # What fails is said with the same path, and why.
            "list": any(line.rstrip("*@").endswith(f"for-{account}/over") for line in said.out.splitlines()),
            "read": "content of 2019/deep" in said.out,
            "create": f"raw/for-{account}/new" in now,
            "overwrite": nas.must(f"cat '{top}/raw/for-{account}/over'") != "seed\n",
            "delete": f"raw/for-{account}/gone" not in now,
            "frame": nas.must(f"cat '{top}/notes.txt'") != "content of notes.txt\n" or "docs" not in now,
            "metadata": "metadata/evil" in now,
        }
        expected = {operation: allowed.get((account, operation), False) for operation in FTP_OPERATIONS}
        findings.equal(seen, expected, f"{account} over FTP, against octonas rights")
        hostname = nas.must("cat /etc/hostname").strip()
        findings.check(hostname not in said.out, f"{account} follows no link over FTP", said)
        if expected["create"]:
            made = now[f"raw/for-{account}/new"]
            findings.equal(made["mode"][-3:], "660", f"what {account} makes over FTP has the mode")


def by_rsyncd(site, findings):
    nas = site.nas
    secrets = nas.must(f"cat /var/lib/openmediavault/rsyncd-{CODE}.secrets")
    known = dict(line.split(":", 1) for line in secrets.splitlines() if ":" in line and not line.startswith("#"))
    findings.equal(sorted(known), sorted(AFTER), "who has a password at the rsync daemon")
    for account, password in known.items():
        env = {**os.environ, "RSYNC_PASSWORD": password}
        home = pathlib.Path(tempfile.mkdtemp(prefix="otest-"))
        url = f"rsync://{account}@{nas.address}/{CODE}"
        got = nas.local(["rsync", "-rt", f"{url}/", f"{home}/"], timeout=60, env=env)
        findings.check(got.code == 0 and (home / "2019/deep/of-xavier.csv").exists(), f"{account} reads through the rsync daemon", got)
        (home / "evil").write_text("evil\n")
        put = nas.local(["rsync", f"{home}/evil", f"{url}/raw/evil-{account}"], timeout=60, env=env)
        findings.check(put.code != 0, f"{account} writes nothing through the rsync daemon", put)
    env = {**os.environ, "RSYNC_PASSWORD": site.passwords["otxavier"]}
    stranger = nas.local(["rsync", f"rsync://otxavier@{nas.address}/{CODE}/"], timeout=60, env=env)
    findings.check(stranger.code != 0, "a stranger is refused by the rsync daemon", stranger)


def closing(site, findings, top):
    done = site.nas.octonas("experiment", "close", CODE)
    findings.check(done.code == 0, "it is closed", done)
    said = site.clients["otbob"].ftp([f"put /etc/hostname -o {CODE}/raw/closed", f"cat {CODE}/notes.txt"])
    findings.check("raw/closed" not in site.nas.tree(top) and "content of notes" in said.out,
                   "closed, FTP reads and does not write", said)
    site.nas.octonas("experiment", "reopen", CODE)


def shut(site, findings, text):
    """The definition asks for these doors no more."""
    nas = site.nas
    edited = json.loads(text)
    edited["id"] = nas.octonas_json("experiment", "show", CODE)["definition"]["id"]
    edited["protocols"] = {"smb": True, "sftp": True, "rsync": True}
    restarts = "systemctl show -p ExecMainStartTimestampMonotonic --value smbd"
    before = nas.must(restarts)
    done = nas.octonas("experiment", "edit", "-f", "-", input=json.dumps(edited))
    findings.check(done.code == 0, "FTP, NFS and the rsync daemon are shut by an edit", done)
    findings.equal(nas.must(restarts), before, "Samba did not restart for it: it runs since")
    said = site.clients["otbob"].ftp([f"cls -1 {CODE}"])
    findings.check("raw" not in said.out, "FTP shows nothing any more", said)
    left = nas.must(f"ls /var/lib/openmediavault/rsyncd-{CODE}.secrets /export/{CODE} 2>/dev/null || true")
    findings.check(".secrets" not in left, "its passwords for the rsync daemon are gone", left)
    findings.check(not nas.must(f"findmnt -n /export/{CODE} || true"), "nothing is exported any more")
    site.in_order(findings, CODE, "without these doors")
