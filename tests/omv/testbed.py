"""What the parts of the test share: the NAS, the base on it, the people and their clients."""

import json
import re
import time

import people
from doors import Client
from nas import Gone, RpcError
from people import ECO, LAKE, PEOPLE


class Site:
    """The NAS while it is tested."""

    def __init__(self, nas, disk):
        self.nas, self.disk = nas, disk
        self.base, self.outside = f"{disk}/otest", f"{disk}/otest-outside"
        self.passwords, self.clients, self.ids = {}, {}, {}
        self.common = None

    def seen_as(self, account, code):
        """Where an experiment is for somebody at the door of SSH: members have a jail, Y sees the whole machine."""
        return f"{self.base}/{code}" if PEOPLE[account][0] == "shell" else code

    def path(self, code):
        return f"{self.base}/{code}"

    def know(self, account, password):
        self.passwords[account] = password
        self.clients[account] = Client(self.nas, account, password)
        self.clients[account].common = self.common

    def share(self, common):
        """From now on clients look for experiments in this share; None: each one is a share."""
        self.common = common
        for client in self.clients.values():
            client.common = common

    def has_ftp(self):
        """OpenMediaVault's FTP server is installed and switched on."""
        try:
            return self.nas.rpc("Config", "get", {"id": "conf.service.ftp"})["enable"]
        except RpcError:
            return False

    def create(self, code, *options, members=None, **more):
        """`octonas experiment create`; gives the outcome, or fails the test."""
        definition = people.definition(code, self.base, members, **more)
        return self.nas.octonas("--json", "experiment", "create", "-f", "-", *options, input=definition)

    def edit(self, code, *options, members=None, **more):
        """`octonas experiment edit` with other people or other words."""
        shown = self.nas.octonas_json("experiment", "show", code)
        text = json.loads(people.definition(code, self.base, members, **more))
        text["id"] = shown["definition"]["id"]
        return self.nas.octonas("--json", "experiment", "edit", "-f", "-", *options, input=json.dumps(text))

    def check(self, code):
        """`octonas experiment check CODE`: exit code and the report."""
        done = self.nas.octonas("--json", "experiment", "check", code)
        try:
            return done.code, json.loads(done.out)[0]
        except (ValueError, LookupError):
            return done.code, {"error": done.text}

    def in_order(self, findings, code, when):
        exit, report = self.check(code)
        return findings.check(exit == 0, f"{code}: check finds everything in order {when}",
                              f"exit {exit} " + brief(report))

    def codes(self):
        done = self.nas.octonas("--json", "experiment", "list", "--refresh")
        try:
            return [row["code"] for row in json.loads(done.out)["rows"]]
        except (ValueError, LookupError):
            return []

    def healthy(self, findings, when):
        """OpenMediaVault itself: engined answers, its configuration can be read, samba and ssh can be deployed."""
        nas = self.nas
        nas.wait(60)
        for service, method, params in (("System", "getInformation", {}), ("UserMgmt", "enumerateUsers", {}),
                                        ("ShareMgmt", "enumerateSharedFolders", {}),
                                        ("SMB", "getShareList", {"start": 0, "limit": 100, "sortfield": None, "sortdir": None})):
            try:
                nas.rpc(service, method, params)
                findings.check(True, f"{when}: {service}.{method} answers")
            except (RpcError, Gone) as error:
                findings.check(False, f"{when}: {service}.{method} answers", error)
        done = nas.run("omv-salt", "deploy", "run", "--quiet", "samba", "ssh", timeout=300)
        findings.equal(done.code, 0, f"{when}: omv-salt deploy run samba ssh ends with")
        if done.code:
            findings.note(done.text[-1500:])
        findings.check(nas.sh("sshd -t").code == 0, f"{when}: sshd accepts its configuration")
        failed = nas.must("systemctl list-units --failed --no-legend --plain | cut -d' ' -f1").split()
        findings.check(not [unit for unit in failed if "octonas" in unit or unit.startswith(("srv-", "smbd", "ssh"))],
                       f"{when}: no failed unit of ours", failed)


def brief(report):
    """A report of `check` in one line."""
    if report.get("error"):
        return str(report["error"])
    parts = [f"pending {step['object']}" for step in report.get("pending", [])]
    parts += [f"drift {d['object']} {d['attribute']}: {d['applied']} -> {d['observed']}" for d in report.get("drift", [])]
    parts += [f"finding {f['path']}: {f['code']}" for f in report.get("findings", [])]
    parts += [f"conflict {c}" for c in report.get("conflicts", [])]
    return f"{report.get('status')}: " + "; ".join(parts)


def first_data_disk(nas):
    """The first mounted file system that OpenMediaVault knows and that is not the root file system."""
    for row in nas.rpc("FileSystemMgmt", "enumerateMountedFilesystems", {"includeroot": False}):
        if row.get("mountpoint", "").startswith("/srv/"):
            return row["mountpoint"]
    raise Gone("no data disk is mounted: create a file system in the panel, or name one with --disk")


def accounts(site, findings):
    """The accounts that exist before us: made in the panel."""
    nas = site.nas
    for name, (how, _, _) in PEOPLE.items():
        if how == "octonas":
            continue
        password = nas.must("head -c 18 /dev/urandom | base64").strip()
        people.make_account(nas, name, password, groups=("users", "_ssh") if how == "shell" else ("users",))
        site.know(name, password)
    nas.apply_panel()
    people.make_account(nas, people.EMPTY, "")
    findings.note("accounts made in the panel: " + ", ".join(n for n, p in PEOPLE.items() if p[0] != "octonas"))


def smbd_starts(nas):
    return int(nas.must("systemctl show -p NRestarts --value smbd >/dev/null; "
                        "journalctl -q -u smbd --output=cat --grep '^Started' | wc -l"))


def create_both(site, findings):
    """The two experiments; people without an account get one."""
    nas = site.nas
    for code in (ECO, LAKE):
        if code == ECO:
            done = site.create(code)
            findings.check(done.code == 1 and "account" in done.text and code not in site.codes(),
                           f"{code}: create without --create-accounts names who has none, and makes nothing", done)
        dry = site.create(code, "--create-accounts", "--dry-run")
        findings.check(dry.code == 0 and not nas.sh(f"test -e {site.path(code)}").code == 0,
                       f"{code}: --dry-run makes nothing", dry)
        restarts, began = smbd_starts(nas), time.monotonic()
        done = site.create(code, "--create-accounts")
        seconds = time.monotonic() - began
        if not findings.check(done.code == 0, f"{code}: created", done):
            raise Gone("without the experiment nothing else can be tried")
        outcome = done.json()
        for account, password in outcome.get("passwords", {}).items():
            site.know(account, password)
        expected = {name for name, (how, *_) in PEOPLE.items() if how == "octonas" and people.access(name, code)}
        findings.equal(set(outcome.get("passwords", {})), expected, f"{code}: initial passwords were given for")
        calls = outcome["calls"]
        findings.note(f"{code}: {sum(calls.values())} RPCs ({', '.join(f'{k} {v}' for k, v in sorted(calls.items()))}); "
                      f"modules applied: {', '.join(outcome['interruption'].get('modules', []))}; "
                      f"smbd started {smbd_starts(nas) - restarts} times; {seconds:.1f} s")
        site.in_order(findings, code, "after create")
        again = site.create(code)
        findings.check(again.code == 0 and not again.json().get("steps"), f"{code}: create again does nothing", again)
    described(site, findings)
    findings.note(f"waiting in the panel: {nas.dirty()}")
    for name, (how, *_) in PEOPLE.items():
        if how != "octonas":
            continue
        file = site.clients[name]
        empty = nas.local(["smbclient", "-U", f"{name}%", "-L", nas.address], timeout=60)
        findings.check(empty.code != 0, f"{name}: SMB refuses an empty password", empty)
        findings.check(file.smb_shares().code == 0, f"{name}: SMB takes the initial password", file.smb_shares())
    doctor = nas.octonas("doctor")
    findings.check(people.EMPTY in doctor.text, "doctor names the account with an empty Samba password", doctor)
    people.delete_account(nas, people.EMPTY)
    doctor = nas.octonas("doctor")
    findings.check(doctor.code == 0, "doctor finds nothing else", doctor)


def described(site, findings):
    """Words about an experiment change nothing on the server."""
    nas = site.nas
    definition = nas.octonas_json("experiment", "show", ECO)["definition"]
    definition["description"] = "Four chambers, R&D.\nA second line."
    waiting, restarts = nas.dirty(), smbd_starts(nas)
    done = nas.octonas("--json", "experiment", "edit", "-f", "-", input=json.dumps(definition))
    if not findings.check(done.code == 0, f"{ECO}: another description is saved", done):
        return
    outcome = done.json()
    findings.equal(outcome["interruption"]["modules"], [], f"{ECO}: for that no module is applied")
    findings.equal([call for call in outcome["calls"] if "apply" in call.lower() or "set" in call.lower()], [],
                   f"{ECO}: and nothing is set in OpenMediaVault")
    findings.equal((nas.dirty(), smbd_starts(nas)), (waiting, restarts), f"{ECO}: nothing waits in the panel, nothing restarted")


def doors_shut(site, findings):
    """What nobody gets: a shell, scp's old protocol, tunnels, the shares of others."""
    for name in ("otalice", "otcarol"):
        client = site.clients[name]
        for command in ("id", "sh -c id", "/bin/sh", "rsync --daemon", "rsync --server --sender -e.LsfxCIvu . /etc/passwd"):
            done = client.shell(command)
            findings.check(done.code != 0 and "uid=" not in done.out and "root:" not in done.out,
                           f"{name}: `ssh NAS {command}` is refused", done)
        done = client.scp_legacy("/etc/hostname", f"{ECO}/raw/scp-legacy")
        findings.check(done.code != 0 and site.nas.sh(f"test -e {site.path(ECO)}/raw/scp-legacy").code != 0,
                       f"{name}: scp -O is refused", done)
        done = client.forward()
        findings.check("HTTP/" not in done.out, f"{name}: port forwarding is refused", done)
        inside = client.sftp(["ls -1 /", "ls -1 /experiments", "get /etc/shadow /dev/null", "ls /srv", "ls /etc/openmediavault"])
        listed = set(re.findall(r"^/experiments/(\S+)", inside.out, re.M))
        expected = {code for code in (ECO, LAKE) if people.access(name, code)}
        findings.equal(listed, expected, f"{name}: sftp shows")
        findings.check("config.xml" not in inside.out, f"{name}: sftp does not show the machine", inside)
    done = site.clients["otxavier"].sftp(["ls /"])
    findings.check(done.code != 0 and "experiments" not in done.out, "otxavier: sftp is refused at login", done)
    for name in PEOPLE:
        shares = set(re.findall(r"^Disk\|([^|]+)\|", site.clients[name].smb_shares().out, re.M)) & {ECO, LAKE}
        findings.equal(shares, {code for code in (ECO, LAKE) if people.access(name, code)}, f"{name}: SMB shows the shares")
    shell = site.clients["otyves"].shell("id")
    findings.check("uid=" in shell.out, "otyves: an OpenMediaVault user in _ssh keeps the shell", shell)
    path = site.path(ECO)
    for command in (f"ls {path}", f"ls {path}/raw", f"cat {path}/metadata/experiment.yaml", f"touch {path}/raw/y", f"ls {site.base}",
                    "ls /run/octonas/jail", "cat /etc/octonas/jails.json", f"ls {site.base}/.octonas"):
        done = site.clients["otyves"].shell(command)
        findings.check(done.code != 0, f"otyves: `{command}` is refused in the shell", done)


def sweep(site, findings):
    """Removes what a test made, this one or an earlier one: experiments with their data, and accounts."""
    nas = site.nas
    for code in site.codes():
        if code.startswith("otest"):
            done = nas.octonas("experiment", "remove", code, "--delete-data", code)
            findings.check(done.code == 0, f"{code}: remove --delete-data", done)
    known = {row["name"] for row in nas.rpc("UserMgmt", "enumerateUsers", {})}
    for name in [*PEOPLE, people.EMPTY, people.GATEWAY]:
        if name in known:
            people.delete_account(nas, name)


def clean(site, findings):
    """The end of it."""
    sweep(site, findings)
    for client in site.clients.values():
        client.close()

