"""person × experiment × door × operation: what should be, and what was.

`Matrix.run` lays out what the cells need, lets every person try everything through every door, looks at the disk, and
gives one `Cell` for each. A person tries all of it with the same steps, whether they are expected to succeed or not.
"""

import hashlib
import pathlib
import tempfile
from dataclasses import dataclass, field

OPERATIONS = ["list", "read", "create", "mkdir", "overwrite", "delete", "frame", "metadata", "escape"]
READS = {"list", "read"}
WRITES = {"create", "mkdir", "overwrite", "delete"}
OUTSIDE = "/srv/octonas-outside"
SECRET = "nobody of the experiments may ever read this"


@dataclass(frozen=True)
class Place:
    """An experiment on the server. `leaf` is a directory where members write and make directories, `frame` the
    directories that nobody may touch (the leaf among them)."""

    code: str
    path: str
    leaf: str
    frame: tuple[str, ...]
    access: dict[str, str] = field(default_factory=dict, hash=False)  # account → "write" or "read"; nobody else
    closed: bool = False


@dataclass(frozen=True)
class Cell:
    person: str
    code: str
    door: str
    operation: str
    expected: bool
    was: bool
    detail: str = ""

    @property
    def is_right(self):
        return self.expected == self.was

    def __str__(self):
        return (f"{self.person} {'can' if self.was else 'cannot'} {self.operation} in {self.code} by {self.door}"
                f"{'' if self.is_right else ' (WRONG)'}{': ' + self.detail if self.detail else ''}")


def expected(place, person, operation):
    """What walls.md's matrix says: the right people read and write in leaves, and nobody does the rest."""
    access = place.access.get(person)
    if operation in READS:
        return access is not None
    if operation in WRITES:
        return access == "write" and not place.closed
    return False


class Matrix:
    """`server` runs commands as root there: `server(argv, text=None) -> stdout`, an error where they fail."""

    def __init__(self, server, doors, people, places):
        self.server = server
        self.doors = doors
        self.people = people
        self.places = places

    def prepare(self):
        """Lays out, behind the walls, what the cells need; while the experiments are open."""
        self.server(["mkdir", "-p", "-m", "755", OUTSIDE])
        self.server(["tee", f"{OUTSIDE}/secret"], SECRET)
        self.server(["chmod", "644", f"{OUTSIDE}/secret"])
        self.server(["mkdir", "-p", f"{OUTSIDE}/open"])
        self.server(["chmod", "777", f"{OUTSIDE}/open"])
        for place in self.places:
            leaf = f"{place.path}/{place.leaf}"
            self.server(["tee", f"{leaf}/known"], f"known of {place.code}")
            self.server(["tee", f"{leaf}/unasked-for"], "seen in listings only")
            for person in self.people:
                for door in self.doors:
                    for victim in ("theirs", "doomed"):
                        self.server(["tee", f"{leaf}/{victim}-{person.name}-{door.name}"], "before")
            # As if by another member: an owner of no consequence, and the rights that the directory gives.
            self.server(["sh", "-c", 'cd "$1" && chown nobody known theirs-* doomed-*', "sh", leaf])
            for link, target in (("link-file", f"{OUTSIDE}/secret"), ("link-dir", OUTSIDE), ("link-etc", "/etc")):
                self.server(["ln", "-sfn", target, f"{leaf}/{link}"])

    def run(self):
        """Every cell."""
        return [cell for place in self.places for person in self.people for door in self.doors
                for cell in self.visit(place, person, door)]

    def wrong(self):
        """The cells that are not as they should be."""
        return [cell for cell in self.run() if not cell.is_right]

    def visit(self, place, person, door):
        """One person at one door of one experiment."""
        mark, leaf = f"{person.name}-{door.name}", place.leaf
        top = place.frame[0].split("/")[0]
        with tempfile.TemporaryDirectory(prefix="octonas-cells.") as name:
            local = pathlib.Path(name)
            # Modes of the sender that walls have to widen: nobody else could read this.
            for file, text in (("new", f"made by {mark}"), ("over", f"overwritten by {mark}"), ("bad", "bad")):
                (local / file).write_text(text)
                (local / file).chmod(0o600)
            before = self.look(place)
            # Whoever has no jail looks for experiments where the server has them.
            where = place.path if person.roams and door.name != "smb" else place.code
            said = door.carry_out(person, where, [
                ("list", leaf),
                ("get", f"{leaf}/known", f"{local}/known"),
                ("put", f"{local}/new", f"{leaf}/made-{mark}"),
                ("mkdir", f"{leaf}/dir-{mark}"),
                ("put", f"{local}/over", f"{leaf}/theirs-{mark}"),
                ("delete", f"{leaf}/doomed-{mark}"),
                ("put", f"{local}/bad", f"bad-{mark}"),
                ("mkdir", f"bad-dir-{mark}"),
                ("chmod", 0o777, leaf),
                *[step for directory in place.frame for step in (
                    ("rename", directory, f"{directory}-renamed"), ("rmdir", directory))],
                ("put", f"{local}/bad", f"metadata/bad-{mark}"),
                ("put", f"{local}/bad", "metadata/experiment.yaml"),
                ("delete", "metadata/experiment.yaml"),
                ("rename", "metadata", f"{top}/metadata"),
                ("get", f"{leaf}/link-file", f"{local}/escaped-1"),
                ("get", f"{leaf}/link-dir/secret", f"{local}/escaped-2"),
                ("get", f"{leaf}/link-etc/passwd", f"{local}/escaped-3"),
                ("get", f"../../../../..{OUTSIDE}/secret", f"{local}/escaped-4"),
                ("put", f"{local}/bad", f"{leaf}/link-dir/open/bad-{mark}"),
                ("put", f"{local}/bad", f"../../../../..{OUTSIDE}/open/bad-{mark}"),
            ])
            after = self.look(place)
            fetched = {f.name: f.read_text(errors="replace") for f in local.iterdir() if f.is_file()}

        def changed(*prefixes):
            """What is not as it was among paths that begin so."""
            return sorted(path for path in before.keys() | after.keys()
                          if path.startswith(prefixes) and before.get(path) != after.get(path))

        made, directory, theirs = (after.get(f"{leaf}/{name}-{mark}") for name in ("made", "dir", "theirs"))
        listed = "unasked-for" in said  # no step names it
        # Its own new entries and what it may change aside, a person's visit leaves the rest as it was.
        own = {f"{leaf}/{name}-{mark}" for name in ("made", "dir", "theirs", "doomed")}
        rest = [path for path in changed("") if path not in own and not path.startswith(("metadata", f"{OUTSIDE}/"))]
        metadata = changed("metadata")
        outside = changed(f"{OUTSIDE}/") + [f for f, text in fetched.items() if f.startswith("escaped-")
                                            and (SECRET in text or "root:" in text)]
        could = {
            "list": (listed, ""),
            "read": (fetched.get("known") == f"known of {place.code}", ""),
            "create": (made is not None and made.digest == digest(f"made by {mark}"),
                       mistake(made, "-rw-rw----", place) if made else ""),
            "mkdir": (directory is not None, mistake(directory, "drwxrws---", place) if directory else ""),
            "overwrite": (theirs is not None and theirs.digest == digest(f"overwritten by {mark}"), ""),
            "delete": (f"{leaf}/doomed-{mark}" not in after, ""),
            "frame": (bool(rest), ", ".join(rest[:3])),
            "metadata": (bool(metadata), ", ".join(metadata[:3])),
            "escape": (bool(outside), ", ".join(outside[:3])),
        }
        cells = []
        for operation in OPERATIONS:
            was, detail = could[operation]
            if expected(place, person.name, operation) and not was:
                detail = " | ".join(said.split("\n"))[-400:]
            cells.append(Cell(person.name, place.code, door.name, operation,
                              expected(place, person.name, operation), was, detail))
            if operation in ("create", "mkdir") and was and detail:
                cells.append(Cell(person.name, place.code, door.name, f"{operation} with other modes", False, True,
                                  detail))
        return cells

    def look(self, place):
        """The experiment and what is outside, as they are on the disk: path → Entry."""
        found = {}
        for root, prefix in ((place.path, ""), (OUTSIDE, f"{OUTSIDE}/")):
            sums = {}
            for line in self.server(["find", root, "-type", "f", "-exec", "sha256sum", "{}", "+"]).splitlines():
                sums[line[66:]] = line[:64]
            for line in self.server(["find", root, "-printf", "%p\t%y\t%M\t%u\t%g\t%i\\n"]).splitlines():
                path, kind, mode, owner, group, inode = line.split("\t")
                found[prefix + path.removeprefix(root).lstrip("/")] = Entry(
                    kind, mode, owner, group, inode, sums.get(path, ""))
        return found

    def again(self):
        """Takes away what the people made, and puts back what they took, for the next run."""
        for place in self.places:
            self.server(["sh", "-c", 'cd "$1" && rm -rf -- made-* dir-* theirs-* doomed-*', "sh",
                         f"{place.path}/{place.leaf}"])
        self.prepare()


@dataclass(frozen=True)
class Entry:
    kind: str
    mode: str
    owner: str
    group: str
    inode: str
    digest: str


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def mistake(entry, mode, place):
    """What is wrong with the mode or group of something new; nothing where it is as walls.md has it."""
    wanted = f"exp-{place.code}-w"
    if entry.mode != mode or entry.group != wanted:
        return f"{entry.mode} {entry.owner}:{entry.group} instead of {mode} {wanted}"
    return ""
