#!/usr/bin/python3
"""A double of omv-engined for tests: same socket, same words, same habits, and it can fail, hang or die.

    engined.py --socket PATH --state FILE [--dirty FILE] [--jails FILE] [--octonas PROGRAM] [--people DIR]
        [--mounts] [--system PROGRAM]

It keeps accounts, groups and configuration objects in FILE (JSON), so that it survives its own death; by itself it
never touches the accounts of this machine. `--system PROGRAM`: on a machine that a test made for itself, PROGRAM does
what a change means there: `group NAME GID`, `members GROUP NAME…`, `delete-group NAME`, `user NAME UID COMMENT` and
`password NAME` (password on standard input), `delete-user NAME`, `deploy MODULE`. `--mounts`: deploying the module `octonas` mounts what it says, in the mount namespace
that the double runs in. `--people`: accounts and groups, in the forms of
passwd(5) and group(5), in DIR. What it writes for OctoNAS goes where `--jails` says; `--octonas PROGRAM` then runs
`PROGRAM jails sync`.

Faults: `faults` in the state, a list of {"method": "UserMgmt.setGroup"|"*", "at": "before"|"after"|STEP, "skip": N,
"do": "fail"|"hang"|"die", "message": …}; each happens once, after N matching calls went by. STEP is a place inside a
call: `setGroup` has `stored`, `added`; `setUser` has `stored`, `added`; `ShareMgmt.set` has `stored`; a deployment has
`deploy:<module>`. Recorded from openmediavault 8: see recorded.jsonl.
"""

import argparse
import contextlib
import copy
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import uuid

import schema

NEW = "fa4b1c66-ef79-11e5-87a0-0002b3a176b4"
LISTS = {
    "conf.system.usermngmnt.group": "grouprecords",
    "conf.system.usermngmnt.user": "userrecords",
    "conf.system.sharedfolder": "sharedfolders",
    "conf.system.filesystem.mountpoint": "mountpoints",
    "conf.service.smb.share": "smbshares",
    "conf.service.ftp.share": "ftpshares",
    "conf.service.nfs.share": "nfsshares",
    "conf.service.rsyncd.module": "rsyncmodules",
    "conf.service.octonas.experiment": "experiments",
    "conf.service.octonas.base": "bases",
    "conf.service.octonas.source": "sources",
}
# In the order in which a real apply takes them.
MODULES = ["postfix", "fstab", "systemd", "sharedfolders", "quota", "monit", "collectd", "ssh", "octonas", "samba",
           "proftpd", "nfs", "rsyncd", "avahi"]
# Services whose settings hold their rows: key of the list, settings as they are after the installation.
SERVICES = {
    "conf.service.ftp": ("shares", "share", "ftpshares", {
        "enable": True, "port": 21, "maxclients": 5, "maxconnectionsperhost": 2, "maxloginattempts": 1,
        "timeoutidle": 1200, "displaylogin": "Welcome user %U@%R to %L FTP server.\nThe local time is: %T",
        "allowforeignaddress": False, "allowrestart": False, "identlookups": False, "usereversedns": False,
        "rootlogin": False, "masqueradeaddress": "", "dynmasqrefresh": 0, "usepassiveports": False,
        "minpassiveports": 49152, "maxpassiveports": 65534, "limittransferrate": False, "maxuptransferrate": 0,
        "maxdowntransferrate": 0, "anonymous": False, "requirevalidshell": True, "transferlog": False,
        "homesenable": False, "extraoptions": "",
        "modules": {"mod_ban": "", "mod_tls": {"enable": False, "required": False, "sslcertificateref": "",
                                               "nosessionreuserequired": False, "useimplicitssl": False,
                                               "extraoptions": ""}}}),
    "conf.service.nfs": ("shares", "share", "nfsshares", {"enable": False, "versions": "3,4,4.1,4.2"}),
    "conf.service.rsyncd": ("modules", "module", "rsyncmodules", {"enable": True, "port": 873, "extraoptions": ""}),
}
# What a bind mount in fstab(5) makes wait.
FSTAB = ["collectd", "fstab", "monit", "quota"]
METHODS = {
    "UserMgmt.enumerateAllUsers", "UserMgmt.enumerateUsers", "UserMgmt.enumerateAllGroups", "UserMgmt.enumerateGroups",
    "UserMgmt.getUser", "UserMgmt.setUser", "UserMgmt.deleteUser", "UserMgmt.getGroup", "UserMgmt.setGroup",
    "UserMgmt.deleteGroup", "ShareMgmt.get", "ShareMgmt.getPath", "ShareMgmt.set", "ShareMgmt.delete",
    "ShareMgmt.setPrivileges", "SMB.getShare", "SMB.setShare", "SMB.deleteShare", "FTP.getShare", "FTP.setShare",
    "FTP.deleteShare", "NFS.getShare", "NFS.setShare", "NFS.deleteShare", "Rsyncd.getModule", "Rsyncd.setModule",
    "Rsyncd.deleteModule", "Config.get", "Config.getlist",
    "Config.set", "Config.delete", "Config.isDirty", "Config.applyChanges", "Config.applyChangesBg",
    "Config.revertChanges", "Exec.isRunning", "Exec.getOutput",
}
REVERTED = [*LISTS.values()]


class Refused(Exception):
    """An error that goes to the caller."""

    def __init__(self, message, status=500):
        super().__init__(message)
        self.status = status


class Engined:
    def __init__(self, options):
        self.options = options
        self.path = pathlib.Path(options.state)
        self.lock = threading.RLock()    # this object's memory
        self.changes = threading.RLock()  # changes wait while somebody applies; reads do not
        self.state = {"octonas": {"id": str(uuid.uuid4())}, "users": [], "groups": [], "calls": {}, "next": 2000,
                      "dirty": [], "faults": [], "deployed": [], "restarts": {}, "tasks": {}, "mounted": [],
                      # Settings that a test changed (`{"conf.service.ftp": {"enable": false}}`); plugins that are not there.
                      "settings": {}, "without": []}
        self.state.update({key: [] for key in LISTS.values()})
        if self.path.exists():
            self.state.update(json.loads(self.path.read_text()))
        self.save()

    # --- its own memory -------------------------------------------------------------------------------------------

    def save(self):
        with self.lock:
            self.write()

    def write(self):
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self.state))
        beside.replace(self.path)
        if self.options.people:
            people = pathlib.Path(self.options.people)
            passwd = "".join(f"{u['name']}:x:{u['uid']}:{u.get('gid', 100)}::/home/{u['name']}:/bin/sh\n" for u in self.state["users"])
            group = "".join(f"{g['name']}:x:{g['gid']}:{','.join(g['members'])}\n" for g in self.state["groups"])
            for name, text in (("passwd", passwd), ("group", group)):
                # In place, because a test may have mounted the file over the system's; a reader meets it half written
                # only while it changes.
                if not (people / name).exists() or (people / name).read_text() != text:
                    (people / name).write_text(text)
        if self.options.dirty:
            # Rewritten in place, as the real one does.
            dirty, text = pathlib.Path(self.options.dirty), json.dumps(self.state["dirty"])
            if not dirty.exists() or dirty.read_text() != text:
                dirty.write_text(text)

    def take_edit(self):
        """A test may change what we know: `<state>.edit` is taken, whole, before the next call."""
        edit = self.path.with_suffix(".edit")
        if edit.exists():
            self.state = json.loads(edit.read_text())
            self.save()
            edit.unlink()

    def fault(self, method, at):
        """Does what a test asked for at this place."""
        for fault in self.state["faults"]:
            if fault.get("method", "*") not in ("*", method) or fault.get("at", "before") != at:
                continue
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
                self.save()
                continue
            self.state["faults"].remove(fault)
            self.save()
            if fault["do"] == "fail":
                raise Refused(fault.get("message", "Failed on purpose."))
            if fault["do"] == "hang":
                # As a PHP error does: the child is gone, nobody closes the connection.
                raise Silence
            os._exit(9)

    def begin_change(self):
        """The first change since an apply keeps what stood before, for `revertChanges`."""
        if "revision" not in self.state:
            self.state["revision"] = copy.deepcopy({key: self.state[key] for key in REVERTED})

    def dirty(self, *modules):
        for module in modules:
            if module not in self.state["dirty"]:
                self.state["dirty"].append(module)

    def rows(self, model):
        if model not in LISTS:
            raise Refused(f"The data model '{model}' does not exist.")
        return self.state[LISTS[model]]

    def by_uuid(self, model, wanted):
        for row in self.rows(model):
            if row["uuid"] == wanted:
                return row
        raise Refused(f"Failed to execute XPath query '//{LISTS[model]}[uuid='{wanted}']'.")

    def notify(self, model, what, new, old=None):
        """Which modules listen to what (engined/module/*.inc)."""
        if model == "conf.system.sharedfolder":
            self.dirty("sharedfolders", "systemd")
            for module, rows in (("samba", "smbshares"), ("proftpd", "ftpshares"), ("rsyncd", "rsyncmodules")):
                if what == "modify" and any(s["sharedfolderref"] == new["uuid"] for s in self.state[rows]):
                    self.dirty(module)
        elif model == "conf.service.smb.share":
            self.dirty("samba", "avahi")
        elif model == "conf.service.ftp.share":
            self.dirty("proftpd")
        elif model == "conf.service.nfs.share":
            self.dirty("nfs", *([] if what == "modify" else ["avahi"]))
        elif model == "conf.service.rsyncd.module":
            self.dirty("rsyncd")
        elif model == "conf.system.filesystem.mountpoint":
            self.dirty(*FSTAB)
        elif model == "conf.system.usermngmnt.group" and what == "modify":
            self.dirty("samba")
        elif model == "conf.system.usermngmnt.user":
            self.dirty("postfix")
            if new.get("sshpubkeys"):
                self.dirty("ssh")
        elif model == "conf.service.octonas.experiment":
            rest = {**(old or {}), "sharedfolderref": ""}
            if rest != {**new, "sharedfolderref": ""} or what == "delete":
                self.dirty("octonas")
        elif model == "conf.service.octonas.source":
            self.dirty("octonas")

    def store(self, model, row):
        """Creates or replaces, as `Database::set` does."""
        self.begin_change()
        rows = self.rows(model)
        if row.get("uuid") == NEW:
            row["uuid"] = str(uuid.uuid4())
            rows.append(row)
            self.notify(model, "create", row)
        else:
            old = self.by_uuid(model, row["uuid"])
            rows[rows.index(old)] = row
            self.notify(model, "modify", row, old)
        self.save()
        return row

    def remove(self, model, row):
        self.begin_change()
        self.rows(model).remove(row)
        self.notify(model, "delete", row)
        self.save()
        return row

    def group(self, name):
        return next((g for g in self.state["groups"] if g["name"] == name), None)

    def user(self, name):
        return next((u for u in self.state["users"] if u["name"] == name), None)

    def number(self):
        self.state["next"] += 1
        return self.state["next"]

    # --- UserMgmt -------------------------------------------------------------------------------------------------

    def usermgmt_enumerateallusers(self, params):
        return [self.seen(user) for user in self.state["users"]]

    def usermgmt_enumerateusers(self, params):
        return [self.seen(user) for user in self.state["users"] if not user["system"]]

    def seen(self, user):
        groups = ["users"] + [g["name"] for g in self.state["groups"] if user["name"] in g["members"]]
        return {"name": user["name"], "uid": user["uid"], "gid": 100, "comment": user.get("comment", ""),
                "dir": f"/home/{user['name']}", "shell": user.get("shell", "/bin/sh"), "groups": groups,
                "system": user["system"]}

    def usermgmt_enumerateallgroups(self, params):
        return self.state["groups"]

    def usermgmt_enumerategroups(self, params):
        return [g for g in self.state["groups"] if not g["system"]]

    def usermgmt_getuser(self, params):
        user = self.user(params["name"])
        if not user:
            raise Refused(f"The user '{params['name']}' does not exist.")
        stored = next((r for r in self.state["userrecords"] if r["name"] == user["name"]), {})
        return {**self.seen(user), "email": stored.get("email", ""), "disallowusermod": False,
                "sshpubkeys": stored.get("sshpubkeys", {}).get("sshpubkey", [])}

    def usermgmt_getgroup(self, params):
        group = self.group(params["name"])
        if not group:
            raise Refused(f"The group '{params['name']}' does not exist.")
        record = next((r for r in self.state["grouprecords"] if r["name"] == group["name"]), None)
        return {**group, "comment": record["comment"]} if record else group

    def usermgmt_setgroup(self, params):
        group = self.group(params["name"])
        if group and group["system"]:
            raise Refused(f"Unauthorized attempt to modify the system group account '{params['name']}'")
        model = "conf.system.usermngmnt.group"
        record = next((r for r in self.state["grouprecords"] if r["name"] == params["name"]), None)
        row = {"uuid": record["uuid"] if record else NEW, "name": params["name"], "comment": params["comment"]}
        self.store(model, row)
        self.fault("UserMgmt.setGroup", "stored")
        is_new = not group
        if is_new:
            group = {"name": params["name"], "gid": params.get("gid", self.number()), "members": [], "system": False}
            self.state["groups"].append(group)
            self.save()
            self.system("group", group["name"], group["gid"])
        self.fault("UserMgmt.setGroup", "added")
        for member in params["members"]:
            if not self.user(member):
                command = (f"export PATH=/bin:/sbin; export LC_ALL=C.UTF-8; export LANGUAGE=; gpasswd --members "
                           f"'{','.join(params['members'])}' '{params['name']}' 2>&1")
                raise Refused(f"Failed to execute command '{command}' with exit code '3': "
                              f"gpasswd: user '{member}' does not exist")
        group["members"] = params["members"]
        self.system("members", group["name"], *group["members"])
        self.notify(model, "modify" if record else "create", row)
        self.save()
        number = {"gid": params["gid"]} if is_new and "gid" in params else {}
        return {**row, **number, "members": params["members"]}

    def usermgmt_deletegroup(self, params):
        group = self.usermgmt_getgroup(params)
        if group["members"]:
            raise Refused(f"Failed to execute command 'export PATH=/bin:/sbin; export LC_ALL=C.UTF-8; export LANGUAGE=; "
                          f"delgroup --only-if-empty '{params['name']}' 2>&1' with exit code '41': "
                          f"fatal: The group `{params['name']}' is not empty!")
        self.state["groups"] = [g for g in self.state["groups"] if g["name"] != params["name"]]
        self.save()
        self.system("delete-group", params["name"])
        self.fault("UserMgmt.deleteGroup", "removed")
        for record in [r for r in self.state["grouprecords"] if r["name"] == params["name"]]:
            self.remove("conf.system.usermngmnt.group", record)
        return group

    def usermgmt_setuser(self, params):
        user = self.user(params["name"])
        if user and user["system"]:
            raise Refused(f"Unauthorized attempt to modify the system user account '{params['name']}'")
        record = next((r for r in self.state["userrecords"] if r["name"] == params["name"]), None)
        row = {"uuid": record["uuid"] if record else NEW, "name": params["name"], "email": params["email"],
               "disallowusermod": params["disallowusermod"], "sshpubkeys": {"sshpubkey": params["sshpubkeys"]}}
        self.store("conf.system.usermngmnt.user", row)
        self.fault("UserMgmt.setUser", "stored")
        for group in params["groups"]:
            if group != "users" and not self.group(group):
                raise Refused(f"The group '{group}' does not exist.")
        if not user:
            user = {"name": params["name"], "uid": params.get("uid", self.number()), "system": False,
                    "comment": params.get("comment", ""), "samba": "none"}
            self.state["users"].append(user)
            self.save()
            self.system("user", user["name"], user["uid"], user["comment"], secret=params["password"])
            self.fault("UserMgmt.setUser", "added")
            # An empty password makes a Samba account that takes an empty password.
            user["samba"] = "empty" if not params["password"] else "set"
        elif params["password"]:
            user["samba"] = "set"
            self.system("password", user["name"], secret=params["password"])
        for group in self.state["groups"]:
            if group["name"] in params["groups"] and user["name"] not in group["members"]:
                group["members"].append(user["name"])
                self.system("members", group["name"], *group["members"])
        self.save()
        return {**row, **params}

    def usermgmt_deleteuser(self, params):
        user = self.usermgmt_getuser(params)
        self.state["users"] = [u for u in self.state["users"] if u["name"] != params["name"]]
        for group in self.state["groups"]:
            group["members"] = [m for m in group["members"] if m != params["name"]]
        self.system("delete-user", params["name"])
        for record in [r for r in self.state["userrecords"] if r["name"] == params["name"]]:
            self.remove("conf.system.usermngmnt.user", record)
        self.save()
        return user

    # --- ShareMgmt, SMB -------------------------------------------------------------------------------------------

    def sharemgmt_set(self, params):
        if ".." in params["reldirpath"]:
            raise Refused("The field 'reldirpath' contains forbidden two-dot symbols.")
        model = "conf.system.sharedfolder"
        relative = "/".join(p for p in params["reldirpath"].split("/") if p) + "/"
        others = [f for f in self.state["sharedfolders"] if f["uuid"] != params["uuid"]]
        if any(f["name"] == params["name"] for f in others):
            raise Refused(f"A shared folder with the name '{params['name']}' already exists.")
        if any((f["mntentref"], f["reldirpath"]) == (params["mntentref"], relative) for f in others):
            raise Refused(f"A shared folder with the path '{relative}' already exists for the specified file system.")
        row = {"uuid": params["uuid"], "name": params["name"], "comment": params["comment"],
               "mntentref": params["mntentref"], "reldirpath": relative, "privileges": ""}
        if row["uuid"] != NEW:
            row["privileges"] = self.by_uuid(model, row["uuid"])["privileges"]
        self.store(model, row)
        self.fault("ShareMgmt.set", "stored")
        disk = self.by_uuid("conf.system.filesystem.mountpoint", params["mntentref"])
        path = pathlib.Path(disk["dir"]) / relative
        if not path.exists():
            path.mkdir(0o700, parents=True)
            path.chmod(0o2775)
        return {**row, "privileges": row["privileges"] or {"privilege": []}, "mode": params.get("mode", "775")}

    def sharemgmt_get(self, params):
        folder = self.by_uuid("conf.system.sharedfolder", params["uuid"])
        disk = self.by_uuid("conf.system.filesystem.mountpoint", folder["mntentref"])
        return {**folder, "mountpoint": disk["dir"]}

    def sharemgmt_getpath(self, params):
        folder = self.sharemgmt_get(params)
        return f"{folder['mountpoint']}/{folder['reldirpath']}"

    def sharemgmt_delete(self, params):
        folder = self.by_uuid("conf.system.sharedfolder", params["uuid"])
        if params["recursive"]:
            # The one call that would destroy data: no test may ever reach it.
            os._exit(13)
        users = [row for rows in LISTS.values() for row in self.state[rows]]
        if any(params["uuid"] == user.get("sharedfolderref") for user in users):
            raise Refused("The configuration object 'conf.system.sharedfolder' is referenced.")
        return self.remove("conf.system.sharedfolder", folder)

    def sharemgmt_setprivileges(self, params):
        folder = self.by_uuid("conf.system.sharedfolder", params["uuid"])
        for row in params["privileges"]:
            if row["type"] == "user" and not self.user(row["name"]):
                raise Refused(f"The user '{row['name']}' does not exist.")
            if row["type"] == "user" and row["name"] == "admin":
                raise Refused("The user 'admin' is not allowed.")
            if row["type"] == "group" and not self.group(row["name"]):
                raise Refused(f"The group '{row['name']}' does not exist.")
        rows = [{key: row[key] for key in ("type", "name", "perms")} for row in params["privileges"]]
        row = self.store("conf.system.sharedfolder", {**folder, "privileges": {"privilege": rows} if rows else ""})
        return {**row, "privileges": {"privilege": rows}}

    def smb_setshare(self, params):
        model = "conf.service.smb.share"
        self.by_uuid("conf.system.sharedfolder", params["sharedfolderref"])
        for other in self.state["smbshares"]:
            if other["sharedfolderref"] == params["sharedfolderref"] and other["uuid"] != params["uuid"]:
                raise Refused(f"The configuration object '{model}' is not unique. An object with the property "
                              f"'sharedfolderref' and value '{params['sharedfolderref']}' already exists.")
        return self.store(model, self.fitted(model, params))

    def smb_getshare(self, params):
        return self.by_uuid("conf.service.smb.share", params["uuid"])

    def smb_deleteshare(self, params):
        return self.remove("conf.service.smb.share", self.by_uuid("conf.service.smb.share", params["uuid"]))

    # --- FTP, NFS, rsyncd -----------------------------------------------------------------------------------------

    def unique(self, model, name, row):
        for other in self.rows(model):
            if other[name] == row[name] and other["uuid"] != row["uuid"]:
                raise Refused(f"The configuration object '{model}' is not unique. An object with the property "
                              f"'{name}' and value '{row[name]}' already exists.")

    def ftp_setshare(self, params):
        model = "conf.service.ftp.share"
        self.unique(model, "sharedfolderref", params)
        return self.store(model, self.fitted(model, params))

    def ftp_getshare(self, params):
        return self.by_uuid("conf.service.ftp.share", params["uuid"])

    def ftp_deleteshare(self, params):
        return self.remove("conf.service.ftp.share", self.by_uuid("conf.service.ftp.share", params["uuid"]))

    def nfs_setshare(self, params):
        model, disks = "conf.service.nfs.share", "conf.system.filesystem.mountpoint"
        row = self.fitted(model, params)
        if not schema.EXPORT_OPTIONS.match(row["extraoptions"]):
            raise Refused(f"extraoptions: The value '{row['extraoptions']}' doesn't match the pattern "
                          f"'{schema.EXPORT_OPTIONS_PATTERN}' (code=0).")
        if row["uuid"] == NEW:
            folder = self.by_uuid("conf.system.sharedfolder", row["sharedfolderref"])
            if " " in folder["reldirpath"]:
                raise Refused(f"The relative path of the shared folder '{folder['name']}' contains blanks.")
            where = f"/export/{folder['name']}"
            mount = next((m for m in self.rows(disks) if m["dir"] == where), None)
            if not mount:
                disk = self.by_uuid(disks, folder["mntentref"])
                mount = self.store(disks, {
                    "uuid": NEW, "fsname": f"{disk['dir']}/{folder['reldirpath']}", "dir": where, "type": "none",
                    "opts": "bind,nofail", "freq": 0, "passno": 0, "hidden": False, "usagewarnthreshold": 0,
                    "comment": ""})
                self.fault("NFS.setShare", "bound")
            row["mntentref"] = mount["uuid"]
        return self.store(model, row)

    def nfs_getshare(self, params):
        return self.by_uuid("conf.service.nfs.share", params["uuid"])

    def nfs_deleteshare(self, params):
        disks = "conf.system.filesystem.mountpoint"
        row = self.remove("conf.service.nfs.share", self.by_uuid("conf.service.nfs.share", params["uuid"]))
        self.fault("NFS.deleteShare", "removed")
        if not any(r["mntentref"] == row["mntentref"] for r in self.state["nfsshares"]):
            self.remove(disks, self.by_uuid(disks, row["mntentref"]))
        return {}  # as the real one: an object that does not say itself

    def rsyncd_setmodule(self, params):
        model = "conf.service.rsyncd.module"
        row = self.fitted(model, {**params, "users": {"user": params["users"]} if params["users"] else ""})
        if row["uuid"] == NEW:
            self.unique(model, "name", row)
        return {**self.store(model, row), "users": {"user": params["users"]}}

    def rsyncd_getmodule(self, params):
        row = self.by_uuid("conf.service.rsyncd.module", params["uuid"])
        return {**row, "users": row["users"]["user"] if row["users"] else []}

    def rsyncd_deletemodule(self, params):
        return self.remove("conf.service.rsyncd.module", self.by_uuid("conf.service.rsyncd.module", params["uuid"]))

    def fitted(self, model, data, before=None):
        """A configuration object of these values, defaults filled in; unknown or ill-typed ones are refused."""
        row = {key: default for key, (_, default) in schema.MODELS[model].items()}
        row.update(before or {})
        for key, value in data.items():
            if key not in row:
                raise Refused(f"The property '{key}' does not exist in the model '{model}'.")
            kind = schema.MODELS[model][key][0]
            if not isinstance(value, kind):
                word = {str: "a string", bool: "a boolean", int: "an integer"}.get(kind, "an object")
                raise Refused(f"{key}: The value {json.dumps(value)} is not {word}.")
            row[key] = value
        return row

    # --- Config, Exec ---------------------------------------------------------------------------------------------

    def config_getlist(self, params):
        return page(self.rows(params["id"]), params)

    def config_get(self, params):
        if params["id"] == "conf.service.octonas":
            return {"id": self.state["octonas"]["id"], "bases": {"item": self.state["bases"]},
                    "experiments": {"item": self.state["experiments"]}, "sources": {"item": self.state["sources"]}}
        if params["id"] in SERVICES and params["id"] not in self.state["without"]:
            rows, row, place, settings = SERVICES[params["id"]]
            changed = self.state["settings"].get(params["id"], {})
            return {**settings, **changed, rows: {row: self.state[place]} if self.state[place] else ""}
        if "uuid" in params:
            return self.by_uuid(params["id"], params["uuid"])
        return self.rows(params["id"])

    def config_set(self, params):
        model, data = params["id"], params["data"]
        before = None if data.get("uuid") == NEW else self.by_uuid(model, data.get("uuid"))
        return self.store(model, self.fitted(model, data, before))

    def config_delete(self, params):
        return self.remove(params["id"], self.by_uuid(params["id"], params.get("uuid")))

    def config_isdirty(self, params):
        asked = params.get("modules") or self.state["dirty"]
        return any(module in self.state["dirty"] for module in asked)

    def config_revertchanges(self, params):
        self.state.update(self.state.pop("revision", {}))
        self.state["dirty"] = []
        self.save()

    def config_applychanges(self, params):
        wanted = params["modules"] or MODULES
        chosen = [m for m in MODULES if m in wanted and (params["force"] or m in self.state["dirty"])]
        for module in chosen:
            self.fault("Config.applyChanges", f"deploy:{module}")
            time.sleep(self.options.deploy_seconds)
            if module == "octonas":
                self.deploy_octonas()
            if module == "samba":
                self.state["restarts"]["samba"] = self.state["restarts"].get("samba", 0) + 1
            self.system("deploy", module)
            self.state["deployed"].append(module)
        self.state["dirty"] = [m for m in self.state["dirty"] if m not in chosen]
        self.state.pop("revision", None)
        self.save()
        return chosen

    def config_applychangesbg(self, params):
        name = f"/tmp/bgstatus{uuid.uuid4().hex[:6]}"
        task = self.state["tasks"][name] = {"running": True, "error": None}
        self.save()

        def run():
            with self.changes:
                try:
                    self.config_applychanges(params)
                except Refused as e:
                    task["error"] = str(e)
                task["running"] = False
                self.save()

        threading.Thread(target=run, daemon=True).start()
        return name

    def exec_isrunning(self, params):
        task = self.state["tasks"].get(params["filename"])
        if task is None:
            raise Refused(f"Failed to open file (filename={params['filename']}, mode=r).")
        if task["error"]:
            raise Refused(task["error"])
        if not task["running"]:
            del self.state["tasks"][params["filename"]]
        return {"filename": params["filename"], "running": task["running"]}

    def exec_getoutput(self, params):
        answer = self.exec_isrunning(params)
        return {**answer, "pos": 0, "output": "", "pendingOutput": False}

    # --- what the Salt module does --------------------------------------------------------------------------------

    def deploy_octonas(self):
        entries = self.state["experiments"]
        if self.options.mounts:
            wanted = {e["path"]: e for e in entries}
            # os.path.ismount() does not see a bind mount of the same file system.
            mounted = [line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")]
            for path in [p for p in self.state["mounted"] if p not in wanted]:
                subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
            for path, entry in wanted.items():
                mode = "ro" if entry["readonly"] else "rw"
                # A mount that is up is left alone, as the Salt module does: `octonas` remounts it.
                if os.path.isdir(path) and path not in mounted:
                    run(["mount", "--bind", path, path])
                    run(["mount", "--make-private", path])
                    run(["mount", "-o", f"remount,bind,{mode},nosuid,nodev,nosymfollow", path])
            self.state["mounted"] = list(wanted)
        if not self.options.jails:
            return
        jails = {"version": 1, "experiments": {}, "people": {}, "sources": {}}
        walls = {entry["code"]: entry for entry in entries}
        for source in self.state["sources"]:
            wall = walls.get(source["code"])
            if wall:
                jails["sources"][source["account"]] = {
                    "experiment": source["code"], "wall": wall["path"], "path": source["path"],
                    "readonly": source["readonly"] or wall["readonly"]}
        for entry in entries:
            if not (entry["sftp"] or entry["rsync"]):
                continue
            code = entry["code"]
            jails["experiments"][code] = {"path": entry["path"], "readonly": entry["readonly"],
                                          "sftp": entry["sftp"], "rsync": entry["rsync"]}
            for names, access in ((entry["writers"], "write"), (entry["readers"], "read")):
                for person in filter(None, names.split(",")):
                    jails["people"].setdefault(person, {})[code] = access
        target = pathlib.Path(self.options.jails)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(jails))
        target.chmod(0o600)
        if self.options.octonas:
            run([self.options.octonas, "jails", "sync"])

    def system(self, *words, secret=""):
        """What a change means on a machine that a test made for itself."""
        if self.options.system:
            self.save()
            run([self.options.system, *map(str, words)], secret)

    # --- the wire -------------------------------------------------------------------------------------------------

    def answer(self, request):
        with self.lock:
            self.take_edit()
        service, method = request.get("service", ""), request.get("method", "")
        name = f"{service}.{method}"
        params = request.get("params")
        key = name.lower()
        handler = getattr(self, key.replace(".", "_"), None)
        changes = method.startswith(("set", "delete", "apply", "revert")) and not method.endswith("Bg")
        with self.changes if changes else contextlib.nullcontext(), self.lock:
            self.state["calls"][name] = self.state["calls"].get(name, 0) + 1
            self.fault(name, "before")
            services = {known.split(".")[0].lower() for known in METHODS}
            if service.lower() not in services:
                raise Refused(f"RPC service '{service}' not found.", 404)
            # Services in any case, methods exactly.
            if not any(known.lower() == key and known.endswith(f".{method}") for known in METHODS):
                raise Refused(f"The method '{method}' does not exist for the RPC service '{service}'.", 404)
            if not request.get("context", {}).get("role", 0) & 1:
                raise Refused("Invalid context role.", 403)
            if key in schema.PARAMS:
                try:
                    schema.validate(params, schema.PARAMS[key])
                except schema.Invalid as e:
                    raise Refused(str(e), 400) from e
            response = copy.deepcopy(handler(params or {}))
            self.fault(name, "after")
            self.save()
            return response

    def serve(self, connection, text):
        try:
            answer = {"response": self.answer(json.loads(text)), "error": None}
        except Silence:
            return
        except Refused as e:
            answer = {"response": None, "error": {"code": 0, "message": str(e), "trace": f"OMV\\Exception: {e}",
                                                  "http_status_code": e.status}}
        try:
            connection.sendall(json.dumps(answer).encode() + b"\0")
        except OSError:
            pass
        connection.close()


class Silence(Exception):
    """No answer, and the connection stays open."""


def page(rows, params):
    if params.get("search"):
        rows = [r for r in rows if str(params["search"]).lower() in json.dumps(r).lower()]
    total = len(rows)
    start, limit = params["start"], params["limit"]
    if start >= 0 and (limit is None or limit >= 0):
        rows = rows[start:] if limit is None else rows[start:start + limit]
    return {"total": total, "data": rows}


def run(command, text=""):
    done = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Refused(f"Failed to execute command '{' '.join(command)}' with exit code '{done.returncode}': "
                      f"{done.stdout}{done.stderr}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--dirty")
    parser.add_argument("--jails")
    parser.add_argument("--octonas")
    parser.add_argument("--system")
    parser.add_argument("--people")
    parser.add_argument("--mounts", action="store_true")
    parser.add_argument("--deploy-seconds", type=float, default=0.0)
    options = parser.parse_args()
    os.umask(0)
    engined = Engined(options)
    beside = f"{options.socket}.new"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for path in (options.socket, beside):
        pathlib.Path(path).unlink(missing_ok=True)
    listener.bind(beside)
    listener.listen(10)
    os.rename(beside, options.socket)
    held = []
    while True:
        connection, _ = listener.accept()
        # Reading is serial and blocks everybody, as in the real one.
        text = b""
        while not text.endswith(b"\0"):
            block = connection.recv(4096)
            if not block:
                break
            text += block
        held = [connection]  # the parent keeps the last connection open, whatever becomes of the child
        threading.Thread(target=engined.serve, args=(held[0], text[:-1]), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
