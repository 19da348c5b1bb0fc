"""What was changed by hand: `check` names it, `apply` leaves it, `apply --mend` puts it right."""

from people import ECO
from nas import RpcError
from testbed import brief


def folder(nas, code):
    return next(f for f in nas.rpc("ShareMgmt", "enumerateSharedFolders", {}) if f["name"] == code)


def share(nas, code):
    listed = nas.rpc("SMB", "getShareList", {"start": 0, "limit": 1000, "sortfield": None, "sortdir": None})
    return next((s for s in listed["data"] if s.get("sharedfoldername") == code), None)


def group(nas, name):
    return nas.rpc("UserMgmt", "getGroup", {"name": name})


def set_members(nas, name, members):
    found = group(nas, name)
    nas.rpc("UserMgmt", "setGroup", {"name": name, "comment": found["comment"], "members": sorted(members)})


def by_hand(site):
    """Name → (what is done, how one sees that it is undone, what check has to say)."""
    nas, top, w, r = site.nas, site.path(ECO), f"exp-{ECO}-w", f"exp-{ECO}-r"
    uuid = folder(nas, ECO)["uuid"]

    def privileges(perms):
        nas.rpc("ShareMgmt", "setPrivileges", {"uuid": uuid, "privileges": [
            {"type": "group", "name": w, "perms": perms}, {"type": "group", "name": r, "perms": 5}]})

    def seen_privilege():
        return {p["name"]: p["perms"] for p in nas.rpc("ShareMgmt", "getPrivileges", {"uuid": uuid}) if p["perms"]}.get(w)

    def members():
        return set(group(nas, w)["members"])

    def user_write(name):
        return nas.sh(f"setpriv --reuid {name} --regid users --init-groups touch {top}/raw/try && rm -f {top}/raw/try").code == 0

    def narrowed():
        return nas.must(f"stat -c %a {top}/raw/narrow.txt").strip()

    return {
        "a privilege is taken away": (lambda: privileges(5), lambda: seen_privilege() == 7, "privileges"),
        "a member is removed in the panel": (lambda: set_members(nas, w, members() - {"otbob"}), lambda: "otbob" in members(), "group"),
        "a stranger is made a member in the panel": (
            lambda: set_members(nas, w, members() | {"otxavier"}), lambda: "otxavier" not in members(), "group"),
        "the wall is unmounted": (lambda: nas.must(f"umount -l {top}"),
                                  lambda: nas.sh(f"findmnt -n -o OPTIONS {top} | grep -q nosymfollow").code == 0, "mounts"),
        "the SMB share is deleted": (lambda: nas.rpc("SMB", "deleteShare", {"uuid": share(nas, ECO)["uuid"]}),
                                     lambda: share(nas, ECO) is not None, "smb-share"),
        "the SMB share is opened to guests": (
            lambda: nas.rpc("SMB", "setShare", {**{k: v for k, v in nas.rpc("SMB", "getShare", {"uuid": share(nas, ECO)["uuid"]}).items()},
                                                "guest": "allow"}),
            lambda: nas.rpc("SMB", "getShare", {"uuid": share(nas, ECO)["uuid"]})["guest"] == "no", "smb-share"),
        "setfacl lets a stranger into raw": (lambda: nas.must(f"setfacl -m u:otxavier:rwx {top} {top}/raw"),
                                             lambda: not user_write("otxavier"), "directory"),
        "chmod 777 on the frame": (lambda: nas.must(f"chmod 777 {top}/docs"),
                                   lambda: nas.must(f"stat -c %a {top}/docs").strip() == "2770", "directory"),
        "a member narrows a file over a shell": (
            lambda: nas.must(f"setpriv --reuid otalice --regid users --init-groups sh -c "
                             f"'echo narrow > {top}/raw/narrow.txt; chmod 600 {top}/raw/narrow.txt'"),
            lambda: narrowed() == "660", "raw/narrow.txt"),
        "a person's jail is unmounted": (
            lambda: nas.must(f"umount -l /run/octonas/jail/otcarol/experiments/{ECO}"),
            lambda: site.clients["otcarol"].sftp([f"ls {ECO}/raw"]).out.count("for-") > 0, "mounts"),
    }


def run(site, findings):
    nas = site.nas
    nas.must(f"mkdir -p {site.path(ECO)}/raw/for-drift")
    nas.octonas("experiment", "apply", ECO, "--mend")
    site.in_order(findings, ECO, "before anything is changed by hand")
    for what, (do, undone, word) in by_hand(site).items():
        do()
        exit, report = site.check(ECO)
        text = brief(report)
        named = {d["object"]["kind"] for d in report.get("drift", [])} | {f["path"] for f in report.get("findings", [])}
        findings.check(exit == 3 and word in named,
                       f"{what}: check names it (exit 3)", f"exit {exit} {text}")
        findings.check(all(d.get("effect") for d in report.get("drift", [])), f"{what}: with its effect on access", text)
        done = nas.octonas("--json", "experiment", "apply", ECO)
        findings.check(done.code == 0 and not undone(), f"{what}: apply leaves it as it is", done)
        done = nas.octonas("--json", "experiment", "apply", ECO, "--mend")
        findings.check(done.code == 0 and undone(), f"{what}: apply --mend puts it right", done)
        site.in_order(findings, ECO, "after the repair")
    nas.must(f"rm -rf {site.path(ECO)}/raw/narrow.txt {site.path(ECO)}/raw/for-drift")
    protected(site, findings)
    pending(site, findings)
    strangers(site, findings)


def protected(site, findings):
    """OpenMediaVault itself protects what is in use."""
    uuid = folder(site.nas, ECO)["uuid"]
    for method, params in (("delete", {"uuid": uuid, "recursive": False}), ("delete", {"uuid": uuid, "recursive": True})):
        try:
            site.nas.rpc("ShareMgmt", method, params)
            findings.check(False, "a shared folder in use cannot be deleted in the panel", "it was deleted")
        except RpcError as error:
            findings.check("referenced" in str(error), "a shared folder in use cannot be deleted in the panel", error)
    share_uuid = share(site.nas, ECO)["uuid"]
    site.nas.rpc("SMB", "deleteShare", {"uuid": share_uuid})
    try:
        site.nas.rpc("ShareMgmt", "delete", {"uuid": uuid, "recursive": False})
        findings.check(False, "nor without its SMB share: our own entry protects it", "it was deleted")
    except RpcError as error:
        findings.check("referenced" in str(error), "nor without its SMB share: our own entry protects it", error)
    done = site.nas.octonas("experiment", "apply", ECO, "--mend")
    site.in_order(findings, ECO, "after the repair")
    findings.check(done.code == 0, "the share is back", done)


def pending(site, findings):
    """Somebody else's edit that waits in the panel goes along only with a word."""
    nas = site.nas
    settings = nas.rpc("SMB", "getSettings", {})
    nas.rpc("SMB", "setSettings", {**settings, "serverstring": "OctoNAS test"})
    findings.check("samba" in nas.dirty(), "somebody else's change of SMB waits in the panel", nas.dirty())
    done = nas.octonas("experiment", "close", ECO)
    word = [line for line in done.text.splitlines() if "samba" in line.lower() and ("pending" in line or "wait" in line or "else" in line)]
    findings.check(done.code == 0 and (word or "samba" in nas.dirty()), "it is said that it goes along, or it goes on waiting",
                   f"{done} dirty {nas.dirty()}")
    findings.note(f"said: {word}; still waiting: {nas.dirty()}")
    nas.octonas("experiment", "reopen", ECO)
    if "samba" in nas.dirty():
        done = site.create("otest-along", members={"otalice": "manage"})
        findings.check("somebody else's pending change of the module 'samba'" in done.text,
                       "a create, which needs samba applied, says that somebody else's change goes along", done)
        nas.octonas("experiment", "remove", "otest-along", "--delete-data", "otest-along")
    nas.rpc("SMB", "setSettings", settings)
    nas.rpc("Config", "revertChanges", {"filename": ""})
    site.in_order(findings, ECO, "after a revert in the panel")
    nas.apply_panel()


def strangers(site, findings):
    """What is there without us is never adopted: a group, a shared folder, a directory."""
    nas = site.nas
    name = "otest-taken"
    nas.rpc("UserMgmt", "setGroup", {"name": f"exp-{name}-w", "comment": "somebody else's", "members": []})
    done = site.create(name, members={"otalice": "manage"})
    findings.check(done.code == 1 and f"exp-{name}-w" in done.text, "a group of that name without a record is in the way", done)
    findings.check(nas.sh(f"test -e {site.path(name)}").code != 0, "nothing was made", done)
    nas.rpc("UserMgmt", "deleteGroup", {"name": f"exp-{name}-w"})
    nas.must(f"mkdir {site.path(name)}")
    done = site.create(name, members={"otalice": "manage"})
    findings.check(done.code == 1, "a directory of that name is in the way", done)
    nas.must(f"rmdir {site.path(name)}")
    done = site.create(name, members={"root": "manage"})
    findings.check(done.code == 1 and "root" in done.text, "root cannot be a member", done)
    findings.check(name not in site.codes(), "none of these was made")


