"""Person × door × operation × experiment, by real clients, against `octonas rights`.

Every probe works in a directory of its own, prepared by another member; what it changed is read on the server, not believed.
"""

import pathlib
import re
import shutil
import tempfile

from people import ECO, LAKE, PEOPLE, access, writers

DOORS = ("smb", "sftp", "rsync")
ALL_DOORS = {"smb": True, "sftp": True, "rsync": True, "ftp": True}
OPERATIONS = ("list", "read", "create", "overwrite", "delete", "frame", "metadata")
SECRET = "this is outside every experiment"


def seeder(code, account, number):
    """Another one who writes there."""
    others = [name for name in writers(code) if name != account]
    return others[number % len(others)]


def doors(site, code):
    """The doors that the definition opens and that somebody can try from here."""
    protocols = site.nas.octonas_json("experiment", "show", code)["definition"]["protocols"]
    return [*DOORS, "ftp"] if protocols.get("ftp") else DOORS


def seed(site, findings):
    """Every probe's directory, made by another member through one of the doors with modes as narrow as they come."""
    for code in (ECO, LAKE):
        work = pathlib.Path(tempfile.mkdtemp(prefix="otest-"))
        batches = {}
        for number, account in enumerate(PEOPLE):
            for turn, door in enumerate(doors(site, code)):
                by = (seeder(code, account, number), DOORS[(number + turn) % 3])
                place = work / "-".join(by) / f"for-{account}-{door}"
                for name in ("read.txt", "over.txt", "sub/over.txt", "gone/a.txt", "gone/b.txt"):
                    file = place / name
                    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    file.write_text(f"seed {account} {door} {name}\n")
                    file.chmod(0o600)
                batches.setdefault(by, []).append(place)
        for (who, door), places in batches.items():
            client = site.clients[who]
            parent = places[0].parent
            if door == "smb":
                done = client.smb(code, [f"lcd {parent}", "cd raw", "recurse", "prompt", "mput *"])
            elif door == "sftp":
                done = client.sftp([f"put {'-p ' if code == LAKE else ''}-r {place} {code}/raw/" for place in places])
            else:
                done = client.rsync("-a", f"{parent}/", client.remote(f"{code}/raw/"))
                findings.equal(done.code, 0, f"{code}: rsync -a with a trailing slash by {who} ends with")
            findings.check(done.code == 0, f"{code}: {who} fills raw/ by {door}", done)
        whole = work / "whole"
        (whole / "raw" / "for-frame").mkdir(parents=True)
        (whole / "raw" / "for-frame" / "x.txt").write_text("x\n")
        done = site.clients[writers(code)[0]].rsync("-a", f"{whole}/", site.clients[writers(code)[0]].remote(f"{code}/"))
        findings.check(done.code == 0, f"{code}: rsync -a into the frame, with a trailing slash, ends with 0", done)
        shutil.rmtree(work)


def plant(site):
    """Links by root: to /etc, and to a world-writable directory outside, on the same file system."""
    outside = site.outside
    site.nas.must(f"mkdir -p '{outside}'; chmod 0777 '{outside}'; rm -rf '{outside}'/*; printf '{SECRET}' >'{outside}/secret';"
                  f"printf '{SECRET}' >'{outside}/open'; chmod 0666 '{outside}/open' '{outside}/secret'")
    for code in (ECO, LAKE):
        links = f"{site.base}/{code}/raw/links"
        site.nas.must(f"mkdir -p '{links}'; cd '{links}'; ln -sfn /etc/passwd passwd; ln -sfn /etc etc; ln -sfn '{outside}' out;"
                      f"ln -sfn '{outside}/open' open")


def unplant(site):
    for code in (ECO, LAKE):
        site.nas.must(f"rm -rf '{site.base}/{code}/raw/links'")


class Probe:
    """One person, at one door, in one experiment."""

    def __init__(self, site, account, door, code):
        self.site, self.account, self.door, self.code = site, account, door, code
        self.client = site.clients[account]
        self.tag = f"{account}-{door}"
        self.place = f"raw/for-{self.tag}"
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="otest-"))
        self.new = self.home / "new"
        self.new.mkdir()
        (self.new / "made-dir").mkdir(mode=0o700)
        for name in ("made.txt", "made-dir/inner.txt"):
            (self.new / name).write_text(f"made by {self.tag}\n")
            (self.new / name).chmod(0o600)
        self.evil = self.home / "evil.txt"
        self.evil.write_text(f"evil of {self.tag}\n")
        self.got = self.home / "got"
        self.got.mkdir()
        (self.home / "empty").mkdir()
        self.said = ""

    def listed(self):
        return "gone" in self.listing and "over.txt" in self.listing

    def fetched(self, name):
        file = self.got / name
        return file.read_text(errors="replace") if file.exists() else ""

    def run(self):
        getattr(self, "through_" + self.door)()

    def through_smb(self):
        def path(name):
            return name.replace("/", "\\")
        place, links = path(self.place), "raw\\links"
        listing = self.client.smb(self.code, [f"ls {place}\\*"])
        self.listing = listing.text
        done = self.client.smb(self.code, [
            f"lcd {self.got}", f"get {place}\\read.txt read", f"lcd {self.new}",
            f"put made.txt {place}\\made.txt", f"mkdir {place}\\made-dir", f"put made-dir/inner.txt {place}\\made-dir\\inner.txt",
            f"lcd {self.home}", f"put evil.txt {place}\\over.txt", f"put evil.txt {place}\\sub\\over.txt",
            f"del {place}\\gone\\a.txt", f"del {place}\\gone\\b.txt",
            "put evil.txt metadata\\evil.txt", "put evil.txt metadata\\experiment.yaml", "del metadata\\experiment.yaml",
            f"get {links}\\passwd got/passwd", f"get {links}\\etc\\hostname got/hostname", f"get {links}\\out\\secret got/secret",
            f"put evil.txt {links}\\open", f"put evil.txt {links}\\out\\evil-{self.tag}",
            f"put evil.txt top-{self.tag}.txt", f"mkdir top-{self.tag}", "put evil.txt docs", "rmdir scripts", "rmdir metadata",
            f"rename docs docs-{self.tag}", f"rename raw raw-{self.tag}"])
        self.said = listing.text + done.text

    def through_sftp(self):
        top = self.site.seen_as(self.account, self.code)
        place, links = f"{top}/{self.place}", f"{top}/raw/links"
        listing = self.client.sftp([f"ls {place}"])
        self.listing = "".join(line for line in listing.out.splitlines(True) if not line.startswith("sftp>"))
        done = self.client.sftp([
            f"get {place}/read.txt {self.got}/read", f"put {self.new}/made.txt {place}/made.txt",
            f"put -p -r {self.new}/made-dir {place}/", f"put {self.evil} {place}/over.txt", f"put {self.evil} {place}/sub/over.txt",
            f"rm {place}/gone/a.txt", f"rm {place}/gone/b.txt",
            f"put {self.evil} {top}/metadata/evil.txt", f"put {self.evil} {top}/metadata/experiment.yaml",
            f"rm {top}/metadata/experiment.yaml",
            f"get {links}/passwd {self.got}/passwd", f"get {links}/etc/hostname {self.got}/hostname",
            f"get {links}/out/secret {self.got}/secret", f"put {self.evil} {links}/open",
            f"put {self.evil} {links}/out/evil-{self.tag}", f"ln -s /etc/passwd {place}/mylink",
            f"put {self.evil} {top}/top-{self.tag}.txt", f"mkdir {top}/top-{self.tag}", f"chmod 777 {top}/raw", f"chmod 777 {top}",
            f"put {self.evil} {top}/docs", f"rmdir {top}/scripts", f"rmdir {top}/metadata",
            f"rename {top}/docs {top}/docs-{self.tag}", f"rename {top}/raw {top}/raw-{self.tag}"])
        self.said = listing.text + done.text

    def through_rsync(self):
        top = self.client.remote(self.site.seen_as(self.account, self.code))
        place, links, empty = f"{top}/{self.place}", f"{top}/raw/links", f"{self.home}/empty/"
        rsync = self.client.rsync
        listing = rsync(f"{place}/")
        self.listing = listing.out
        self.said = listing.text
        if "Permission denied (" in listing.err:
            return
        self.uploads = rsync("-a", f"{self.new}/", f"{place}/")
        for done in (
            rsync(f"{place}/read.txt", f"{self.got}/read"), self.uploads,
            rsync("-a", str(self.evil), f"{place}/over.txt"), rsync(str(self.evil), f"{place}/sub/over.txt"),
            rsync("-r", "--delete", empty, f"{place}/gone/"),
            rsync(str(self.evil), f"{top}/metadata/evil.txt"), rsync("-I", str(self.evil), f"{top}/metadata/experiment.yaml"),
            rsync("-r", "--delete", empty, f"{top}/metadata/"), rsync("-r", "--delete", empty, f"{top}/"),
            rsync("-L", f"{links}/passwd", f"{self.got}/passwd"), rsync(f"{links}/etc/hostname", f"{self.got}/hostname"),
            rsync(f"{links}/out/secret", f"{self.got}/secret"), rsync("--inplace", str(self.evil), f"{links}/open"),
            rsync(str(self.evil), f"{links}/out/evil-{self.tag}"), rsync("-K", str(self.evil), f"{links}/out/evil-{self.tag}"),
            rsync(str(self.evil), f"{top}/top-{self.tag}.txt"), rsync("-r", str(self.home / "empty"), f"{top}/top-{self.tag}"),
            rsync("--delete", "--force", str(self.evil), f"{top}/docs"),
        ):
            self.said += done.text

    def through_ftp(self):
        place, links, top = f"{self.code}/{self.place}", f"{self.code}/raw/links", self.code
        listing = self.client.ftp([f"cls -1 {place}"])
        # What fails is said with the same path, and why.
        self.listing = "".join(line for line in listing.out.splitlines(True) if not line.startswith("cls:"))
        done = self.client.ftp([
            f"get {place}/read.txt -o {self.got}/read", f"put {self.new}/made.txt -o {place}/made.txt",
            f"mirror -R {self.new}/made-dir {place}/made-dir",
            f"put {self.evil} -o {place}/over.txt", f"put {self.evil} -o {place}/sub/over.txt",
            f"rm {place}/gone/a.txt", f"rm {place}/gone/b.txt",
            f"put {self.evil} -o {top}/metadata/evil.txt", f"put {self.evil} -o {top}/metadata/experiment.yaml",
            f"rm {top}/metadata/experiment.yaml",
            f"get {links}/passwd -o {self.got}/passwd", f"get {links}/etc/hostname -o {self.got}/hostname",
            f"get {links}/out/secret -o {self.got}/secret", f"put {self.evil} -o {links}/open",
            f"put {self.evil} -o {links}/out/evil-{self.tag}", f"site symlink /etc/passwd {place}/mylink",
            f"put {self.evil} -o {top}/top-{self.tag}.txt", f"mkdir {top}/top-{self.tag}", f"site chmod 777 {top}/raw",
            f"chmod 777 {top}", f"site chgrp users {top}/raw", f"put {self.evil} -o {top}/docs", f"rmdir {top}/scripts",
            f"rmdir {top}/metadata", f"mv {top}/docs {top}/docs-{self.tag}", f"mv {top}/raw {top}/raw-{self.tag}"])
        self.said = listing.text + done.text

    def outcomes(self, before, after):
        """operation → the parts of it that succeeded, and how many there were."""
        def text(name):
            return after.get(f"{self.place}/{name}", {}).get("text", "")
        made, evil, place = f"made by {self.tag}\n", f"evil of {self.tag}\n", self.place
        protected = [name for name in before if "/" not in name or name.startswith("metadata/")]
        fixed = ("kind", "mode", "owner", "group", "acl", "default", "inode")
        broken = [name for name in protected if name not in after or any(before[name].get(k) != after[name].get(k) for k in fixed)]
        broken += [name for name in after if "/" not in name and self.tag in name]
        links = [name for name in ("passwd", "hostname", "secret") if self.fetched(name)]
        links += [f"link {name}" for name in after if name == f"{place}/mylink"]
        return {
            "list": ([self.listed()], 1),
            "read": ([self.fetched("read") == f"seed {self.account} {self.door} read.txt\n"], 1),
            "create": ([text("made.txt") == made, text("made-dir/inner.txt") == made], 2),
            "overwrite": ([text("over.txt") == evil, text("sub/over.txt") == evil], 2),
            "delete": ([f"{place}/gone/{name}" not in after for name in ("a.txt", "b.txt")], 2),
            "frame": ([name for name in broken if not name.startswith("metadata/")], 1),
            "metadata": ([name for name in after if name == "metadata/evil.txt"]
                         + [name for name in broken if name.startswith("metadata/")], 1),
            "escape": (links, 1),
        }


def through_every_door(site, findings):
    """The whole matrix, with FTP opened for it where the NAS has it; afterwards one experiment keeps it, the other does not."""
    if not site.has_ftp():
        findings.note("FTP is not installed, or switched off on this NAS: the matrix goes without it")
        run(site, findings)
        return
    for code in (ECO, LAKE):
        done = site.edit(code, protocols=ALL_DOORS)
        findings.check(done.code == 0, f"{code}: FTP is opened by an edit", done)
    run(site, findings)
    done = site.edit(ECO)
    findings.check(done.code == 0, f"{ECO}: FTP is shut by an edit", done)
    said = site.clients[writers(ECO)[0]].ftp([f"cls -1 {ECO}/raw"])
    findings.check("for-" not in said.out, f"{ECO}: FTP shows nothing any more", said)
    site.in_order(findings, ECO, "without FTP again")


def rights(nas, code, account):
    """(door, operation) → what `octonas rights` says."""
    told = nas.octonas_json("rights", code, "--user", account)
    return {(cell["door"], cell["operation"]): cell["allowed"] for cell in told["cells"]}


def run(site, findings, closed=False):
    """The whole matrix; `closed`: nobody writes, members read."""
    nas = site.nas
    if not closed:
        for code in (ECO, LAKE):
            nas.must(f"rm -rf '{site.base}/{code}'/raw/for-*")
        seed(site, findings)
    plant(site)
    for code in (ECO, LAKE):
        top = f"{site.base}/{code}"
        before = nas.tree(top)
        probes = []
        for account in PEOPLE:
            for door in doors(site, code):
                probe = Probe(site, account, door, code)
                probe.run()
                probes.append(probe)
        after = nas.tree(top)
        for probe in probes:
            judge(site, findings, probe, before, after, closed)
            shutil.rmtree(probe.home)
        if not closed:
            modes(findings, code, after)
            copies(site, findings, code)
    outside = nas.tree(site.outside)
    findings.check(set(outside) == {".", "secret", "open"}
                   and all(outside[name].get("text") == SECRET for name in ("secret", "open")),
                   "nothing outside the experiments was written through a link", outside)
    unplant(site)


def judge(site, findings, probe, before, after, closed):
    told = rights(site.nas, probe.code, probe.account)
    who, right = probe.account, access(probe.account, probe.code)
    for operation, (parts, number) in probe.outcomes(before, after).items():
        done = [part for part in parts if part]
        if operation in ("list", "read"):
            expected = right is not None
        elif operation in ("create", "overwrite", "delete"):
            expected = right in ("manage", "write") and not closed
        else:
            expected = False
        holds = len(done) == number if expected else not done
        where = f"{who} {probe.door} {probe.code} {operation}"
        findings.check(holds, f"{where}: {'yes' if expected else 'refused'}", f"{parts} {interesting(probe.said)}")
        if operation in OPERATIONS:
            findings.check(told.get((probe.door, operation)) == expected,
                           f"{where}: `octonas rights` says {'yes' if expected else 'no'}", told.get((probe.door, operation)))
    if probe.door == "rsync" and right in ("manage", "write") and not closed:
        findings.equal(probe.uploads.code, 0, f"{who} rsync -a {probe.code}: exit code")


def interesting(said):
    return " | ".join(line for line in said.splitlines() if re.search(r"denied|fail|error|refus|NT_STATUS|closed|such", line, re.I))


def copies(site, findings, code):
    """Somebody copies the whole experiment, as the access guide says: everything that members see, and exit code 0."""
    account = writers(code)[0]
    client = site.clients[account]
    for source in (f"{code}/", code):
        home = pathlib.Path(tempfile.mkdtemp(prefix="otest-"))
        done = client.rsync("-a", "--partial", client.remote(source), f"{home}/")
        top = home / code if source == code else home
        findings.check(done.code == 0 and (top / "metadata/experiment.yaml").exists() and not (top / "metadata/applied.jsonl").exists(),
                       f"{account}: rsync -a of {source} ends with 0", done)
        shutil.rmtree(home)


def modes(findings, code, tree):
    """Everything that members made has the mode, group and ACL of walls.md section 2."""
    wrong = {}
    w, r = f"exp-{code}-w", f"exp-{code}-r"
    entries = {"u::rwx", "g::---", f"g:{w}:rwx", f"g:{r}:r-x", "m::rwx", "o::---"}
    count = 0
    for name, found in tree.items():
        if not name.startswith("raw/for-") or found["kind"] == "link":
            continue
        count += 1
        acl = set(found["acl"].split(","))
        if found["kind"] == "dir":
            good = found["mode"] in ("2770", "0770") and acl == entries and set(found["default"].split(",")) == entries
        else:
            good = found["mode"] == "0660" and acl == (entries - {"u::rwx", "m::rwx"}) | {"u::rw-", "m::rw-"}
        if not good:
            wrong[name] = f"{found['mode']} {found['owner']}:{found['group']} {found['acl']} {found.get('default', '')}"
    findings.check(not wrong, f"{code}: all {count} files and directories that members made have the mode and ACL of the wall",
                   dict(list(wrong.items())[:5]))
    loose = [name for name, found in tree.items() if name.startswith("raw/for-") and found["kind"] == "dir" and found["mode"] != "2770"]
    findings.note(f"{code}: directories without setgid (no access depends on it): {len(loose)}")
