#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the files of an acquisition machine to the NAS of an experiment, and never takes anything away here.

One file, Python 3.8 or later, standard library only; OpenSSH's client (`ssh`, `ssh-keygen`) for the network.
Commands: enrol, self-test, run, status, install, uninstall. `octonas_sync.py --help` says more; the page for people is
README.fr.md or README.en.md beside this file.

How a file travels (docs/reference/landing.md of OctoNAS): it has been still for some minutes and nobody has it open;
its bytes go to `data/PATH.part`, its SHA-256 to `sums/PATH.sha256`; the last step gives it its name, `data/PATH`. The NAS
checks it, puts it in its place and writes a receipt; what has a receipt is never sent again.

SFTP (version 3, draft-ietf-secsh-filexfer-02) is spoken here, through the pipe of `ssh -s HOST sftp`: no quoting of names,
exact status codes, and many requests under way at once, whatever the version of the `sftp` program.
"""

# hashlib, platform, shutil and socket are imported where they are used: most runs have nothing to do, and are over sooner.
import argparse
import collections
import contextlib
import errno
import fnmatch
import json
import os
import queue
import re
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
import unicodedata
from datetime import datetime, timezone

VERSION = "1"
WINDOWS = os.name == "nt"

# How the program ends, as `octonas` itself does.
DONE, FAILED, USAGE, LOOK, LOCKED, INTERRUPTED = 0, 1, 2, 3, 4, 130

# -- Words for people ------------------------------------------------------------------------------------------------

FRENCH = {
    "a second run is under way: nothing was done": "un autre envoi est en cours : rien n'a été fait",
    "{path}: no such directory": "{path} : ce dossier n'existe pas",
    "kit.json cannot be read: {why}": "kit.json est illisible : {why}",
    "no directory is watched: run `install --watch DIRECTORY`, or fill in `watch` in {path}":
        "aucun dossier n'est surveillé : lancez « install --watch DOSSIER », ou remplissez « watch » dans {path}",
    "OpenSSH's client is missing: install the optional feature \"OpenSSH Client\" (Windows), or openssh-client":
        "le client OpenSSH manque : installez la fonctionnalité facultative « Client OpenSSH » (Windows) ou le paquet openssh-client",
    "this machine has no key yet: run `enrol`": "cette machine n'a pas encore de clé : lancez « enrol »",
    "the kit has no host key of the NAS: ask for a new kit": "le kit ne contient pas la clé du NAS : demandez un nouveau kit",
    "the NAS answers with another host key than the one in the kit: NOTHING was sent. Ask the administrator whether the "
    "NAS was reinstalled; if so, ask for a new kit":
        "le NAS présente une autre clé que celle du kit : RIEN n'a été envoyé. Demandez à l'administrateur si le NAS a été "
        "réinstallé ; dans ce cas, demandez un nouveau kit",
    "the NAS does not know this machine's key: it is not enrolled yet (run `enrol`, and give what it prints to the "
    "administrator), or its access was withdrawn":
        "le NAS ne connaît pas la clé de cette machine : elle n'est pas encore enregistrée (lancez « enrol » et transmettez "
        "ce qui s'affiche à l'administrateur), ou son accès a été retiré",
    "the NAS cannot be reached: {why}": "le NAS est injoignable : {why}",
    "the NAS ended the session ({code}); its log says why": "le NAS a mis fin à la session ({code}) ; son journal dit pourquoi",
    "the connection broke: {why}": "la connexion a été coupée : {why}",
    "the NAS was silent for {seconds} s": "le NAS n'a rien répondu pendant {seconds} s",
    "the NAS does not take what is written: it is full, or the space of this source is used up":
        "le NAS n'accepte plus d'écriture : il est plein, ou l'espace de cette source est épuisé",
    "the landing {path} is not there: is the share mounted?": "la zone de dépôt {path} est absente : le partage est-il monté ?",
    "sent {sent} ({bytes})": "envoyés : {sent} ({bytes})",
    "would send {sent} ({bytes})": "à envoyer : {sent} ({bytes})",
    "waiting for a receipt {waiting}": "en attente d'accusé de réception : {waiting}",
    "skipped {skipped} (still growing {growing}, locked {locked}, name that cannot travel {names}, waiting behind an "
    "earlier version {behind})":
        "laissés de côté : {skipped} (encore en écriture : {growing}, verrouillés : {locked}, nom intransportable : {names}, "
        "derrière une version précédente : {behind})",
    "failed {failed}": "échecs : {failed}",
    "refused by the NAS {refused}": "refusés par le NAS : {refused}",
    "{count} files were sent more than {hours} h ago and have no receipt":
        "{count} fichiers envoyés depuis plus de {hours} h n'ont pas d'accusé de réception",
    "unchanged {same}": "inchangés : {same}",
    "This machine's public key (there is no secret in it):": "Clé publique de cette machine (elle ne contient aucun secret) :",
    "Give it to the administrator of the NAS, who enters it there:":
        "Transmettez-la à l'administrateur du NAS, qui l'enregistre avec :",
    "then end the input with Ctrl-D; or, with the file {path}: --key {name}":
        "puis termine la saisie par Ctrl-D ; ou, avec le fichier {path} : --key {name}",
    "This kit writes into a directory ({path}): it needs no key.": "Ce kit écrit dans un dossier ({path}) : il n'a pas besoin de clé.",
    "ssh-keygen failed: {why}": "ssh-keygen a échoué : {why}",
    "good": "bon",
    "bad": "mauvais",
    "Python {version}": "Python {version}",
    "OpenSSH's client: {version}": "client OpenSSH : {version}",
    "the watched directory {path} can be read": "le dossier surveillé {path} est lisible",
    "the watched directory {path} cannot be read": "le dossier surveillé {path} est illisible",
    "this machine's key": "la clé de cette machine",
    "the NAS answers, and it is the right one": "le NAS répond, et c'est le bon",
    "a file can be delivered and taken back": "un fichier peut être déposé puis retiré",
    "receipts can be read": "les accusés de réception sont lisibles",
    "this clock and the NAS's differ by {seconds} s": "l'horloge de cette machine et celle du NAS diffèrent de {seconds} s",
    "free on the NAS: {bytes}": "place libre sur le NAS : {bytes}",
    "last run: never": "dernier envoi : jamais",
    "last run: {when}, exit code {exit}": "dernier envoi : {when}, code de sortie {exit}",
    "sent, without a receipt": "envoyés, sans accusé de réception",
    "refused by the NAS": "refusés par le NAS",
    "not sent yet": "pas encore envoyés",
    "installed in {path}": "installé dans {path}",
    "scheduled: every {minutes} min": "planifié : toutes les {minutes} min",
    "next: {command}": "ensuite : {command}",
    "to let it run while nobody is logged in: {command}": "pour que l'envoi ait lieu sans session ouverte : {command}",
    "removed; the key, the state and the log are kept in {path}":
        "désinstallé ; la clé, l'état et le journal restent dans {path}",
    "removed, with the key, the state and the log": "désinstallé, avec la clé, l'état et le journal",
    "{command} failed: {why}": "{command} a échoué : {why}",
    "interrupted; the next run goes on from here": "interrompu ; le prochain envoi reprendra ici",
    "the state was damaged; it is set aside as {path} and built again from the receipts":
        "l'état était endommagé ; il est mis de côté ({path}) et reconstruit à partir des accusés de réception",
    "this system has no scheduler that the kit knows: start `run` regularly by other means":
        "le kit ne connaît pas le planificateur de ce système : lancez « run » régulièrement par un autre moyen",
}

_language = "en"


def t(text, **values):
    """The sentence in the kit's language."""
    if _language == "fr":
        text = FRENCH.get(text, text)
    return text.format(**values)


def say(line, stream=None):
    """One line for people; without a console (pythonw) nobody reads it. Never fails for a character the console lacks."""
    stream = stream or sys.stdout
    if stream is None:
        return
    try:
        stream.write(line + "\n")
        stream.flush()
    except UnicodeEncodeError:
        stream.write(line.encode("ascii", "backslashreplace").decode("ascii") + "\n")
    except (OSError, ValueError):
        pass


def amount(count):
    """Bytes for people."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return "%d %s" % (size, unit) if unit == "B" else "%.1f %s" % (size, unit)
        size /= 1024
    return "%.1f TiB" % size


def utc(seconds=None):
    """ISO 8601 in UTC, whole seconds."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def printable(text):
    """A name that is safe in a log and on a terminal: one line, control characters and lone surrogates escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


class Trouble(Exception):
    """Something that a person must know; ends the run with `exit_code`."""

    def __init__(self, message, exit_code=FAILED):
        super().__init__(message)
        self.exit_code = exit_code


class Broken(Trouble):
    """The connection is gone; another one may do."""


class Full(Trouble):
    """The NAS takes no more bytes."""


# -- The kit and its places -------------------------------------------------------------------------------------------


class Kit:
    """What `kit.json` says, checked."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, encoding="utf-8-sig") as file:
                raw = json.load(file)
            if raw.get("kit") != 1:
                raise ValueError("kit: 1")
            self.raw = raw
            self.code = _label(raw["experiment"]["code"])
            self.title = str(raw["experiment"]["title"])
            self.source = _label(raw["source"]["id"])
            self.every = max(60, int(raw["source"]["every_seconds"]))
            self.language = raw.get("language", "en")
            self.transport = raw["transport"]
            if self.transport == "sftp":
                self.host = _word(raw["host"], r"[A-Za-z0-9_.:%-]+")
                self.port = int(raw["port"])
                self.user = _word(raw["user"], r"[A-Za-z0-9_.-]+")
                self.host_keys = [_host_key(line) for line in raw["host_keys"]]
                self.remote = raw.get("remote") or "/in"
            elif self.transport == "directory":
                self.directory = raw["directory"]
                if not self.directory:
                    raise ValueError("directory")
            else:
                raise ValueError("transport: %s" % self.transport)
            self.watch = [Watch(entry) for entry in raw["watch"]]
            self.stable = 60 * float(raw["stable_minutes"])
            self.receipt_hours = float(raw["receipt_hours"])
            self.rate = 1024 * int(raw.get("rate_limit_kib", 0))
            # For machines that are unlike others; no kit has them from the start.
            self.settle = float(raw.get("settle_seconds", 2))
            self.stall = float(raw.get("stall_seconds", 120))
            self.log_bytes = int(raw.get("log_bytes", 4 << 20))
        except OSError as error:
            raise Trouble(t("kit.json cannot be read: {why}", why=error), USAGE) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Trouble(t("kit.json cannot be read: {why}", why=repr(error)), USAGE) from error

    @property
    def name(self):
        """Names the installation on this machine."""
        return "%s-%s" % (self.code, self.source)


class Watch:
    """A directory to look through, and which of its files count."""

    def __init__(self, entry):
        self.path = os.path.abspath(os.path.expanduser(entry["path"]))
        self.prefix = entry.get("prefix", "").strip("/")
        include = entry.get("include") or ["*"]
        self.everything = include == ["*"]
        self.include = _patterns(include)
        self.exclude = _patterns(entry.get("exclude") or [])

    def takes(self, relative, name):
        """Does a file with this path below the directory count?"""
        if self.exclude and (self.exclude(relative) or self.exclude(name)):
            return False
        return self.everything or bool(self.include(relative) or self.include(name))

    def enters(self, relative, name):
        """Is this directory looked through?"""
        return not (self.exclude and (self.exclude(relative) or self.exclude(name)))


def _patterns(patterns):
    if not patterns:
        return None
    flags = re.IGNORECASE if WINDOWS else 0
    return re.compile("|".join(fnmatch.translate(p) for p in patterns), flags).match


def _label(text):
    return _word(text, r"[a-z0-9][a-z0-9_-]*")


def _word(text, shape):
    """What becomes an argument of a program never begins with a dash."""
    if not re.fullmatch(shape, text) or text.startswith("-"):
        raise ValueError(text)
    return text


def _host_key(line):
    words = line.split()
    if len(words) < 3 or not re.fullmatch(r"[a-z0-9@.-]+", words[1]) or not re.fullmatch(r"[A-Za-z0-9+/=]+", words[2]):
        raise ValueError("host_keys: %s" % line)
    return words[1] + " " + words[2]


class Places:
    """Where the program, and where its data lie on this machine."""

    def __init__(self, kit, system=None):
        self.system = system or {"win32": "Windows", "darwin": "Darwin", "linux": "Linux"}.get(sys.platform, sys.platform)
        self.root = not WINDOWS and hasattr(os, "geteuid") and os.geteuid() == 0
        given = os.environ.get("OCTONAS_SYNC_HOME")
        home = os.path.expanduser("~")
        if given:
            self.program, self.data = os.path.join(given, "program"), os.path.join(given, "data")
        elif self.system == "Windows":
            base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
            base = os.path.join(base, "OctoNAS", kit.name)
            self.program, self.data = os.path.join(base, "program"), os.path.join(base, "data")
        elif self.system == "Darwin":
            base = os.path.join(home, "Library", "Application Support", "OctoNAS", kit.name)
            self.program, self.data = os.path.join(base, "program"), os.path.join(base, "data")
        elif self.root:
            self.program = "/opt/octonas-sync/" + kit.name
            self.data = "/var/lib/octonas-sync/" + kit.name
        else:
            base = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
            self.program = os.path.join(base, "octonas-sync", kit.name, "program")
            self.data = os.path.join(base, "octonas-sync", kit.name, "data")

    def make(self):
        """Makes the data directory, readable by this account alone."""
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        if not WINDOWS:
            os.chmod(self.data, 0o700)
        return self

    def at(self, name):
        """A file of the data directory."""
        return os.path.join(self.data, name)


# -- What differs between systems -------------------------------------------------------------------------------------

if WINDOWS:
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateFileW.restype = wintypes.HANDLE
    _kernel.CreateFileW.argtypes = [
        wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, wintypes.LPVOID, wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE,
    ]
    _kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    _INVALID = wintypes.HANDLE(-1).value
    _GENERIC_READ, _OPEN_EXISTING, _SEQUENTIAL = 0x80000000, 3, 0x08000000
    _SHARING = (32, 33)  # ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION

    def _create(path, share):
        handle = _kernel.CreateFileW(local(path), _GENERIC_READ, share, None, _OPEN_EXISTING, _SEQUENTIAL, None)
        if handle == _INVALID:
            raise ctypes.WinError(ctypes.get_last_error())
        return handle

    def open_shared(path):
        """Opens a file so that its owner may go on writing, renaming and deleting it (FILE_SHARE_*)."""
        handle = _create(path, 7)
        return os.fdopen(msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY), "rb", buffering=0)

    def in_use(path):
        """Has another program this file open? Tried by opening it for us alone, for an instant."""
        try:
            _kernel.CloseHandle(_create(path, 0))
        except OSError as error:
            if getattr(error, "winerror", None) in _SHARING:
                return True
            raise
        return False

    def local(path):
        """Paths longer than 260 characters need the prefix."""
        if path.startswith("\\\\?\\"):
            return path
        if path.startswith("\\\\"):
            return "\\\\?\\UNC" + path[1:]
        return "\\\\?\\" + path

    def lock_file(file):
        """Takes the lock or raises OSError; it ends with the process."""
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def open_shared(path):
        """Opens a regular file for reading; waits for nobody and follows no link."""
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return os.fdopen(fd, "rb", buffering=0)

    def in_use(path):
        """Has another program this file open for writing, or locked?

        A read lease (fcntl(2), F_SETLEASE) is refused while anybody has the file open for writing; the kernel grants it to
        the file's owner and root only, elsewhere the size and the times must do.
        """
        with open_shared(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                fcntl.flock(file, fcntl.LOCK_UN)
            except BlockingIOError:
                return True
            except OSError:
                pass
            if not hasattr(fcntl, "F_SETLEASE"):
                return False
            try:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            except OSError as error:
                return error.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
        return False

    def local(path):
        """The path as the system takes it."""
        return path

    def lock_file(file):
        """Takes the lock or raises OSError; it ends with the process."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def program(name):
    """Where a program of OpenSSH is."""
    import shutil

    found = shutil.which(name)
    if not found and WINDOWS:
        for folder in ("System32", "Sysnative"):
            path = os.path.join(os.environ.get("SystemRoot", r"C:\Windows"), folder, "OpenSSH", name + ".exe")
            if os.path.isfile(path):
                return path
    if not found:
        raise Trouble(
            t("OpenSSH's client is missing: install the optional feature \"OpenSSH Client\" (Windows), or openssh-client")
        )
    return found


def hidden_window():
    """Programs of ours open no console window."""
    return {"creationflags": 0x08000000} if WINDOWS else {}  # CREATE_NO_WINDOW


# -- Names ------------------------------------------------------------------------------------------------------------

JUNK = re.compile(r"(\.DS_Store|\._.*|Thumbs\.db|ehthumbs\.db|desktop\.ini|~\$.*)\Z", re.IGNORECASE)
DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(\..*)?\Z", re.IGNORECASE)
SUFFIX = len(".sha256.part")


def cannot_travel(path):
    """Why a path cannot be delivered under its own name; None if it can. Nothing is ever renamed."""
    try:
        data = path.encode("utf-8")
    except UnicodeEncodeError:
        return "not UTF-8"
    for part in path.split("/"):
        if any(unicodedata.category(c) == "Cc" or c in "\u2028\u2029" for c in part):
            return "line break or control character"
        if part.startswith("."):
            return "hidden"
        if part.endswith(".part"):
            return "unfinished"
        if len(part.encode("utf-8")) > 255:
            return "longer than 255 bytes"
    if len(data.rsplit(b"/", 1)[-1]) > 255 - SUFFIX:
        return "longer than %d bytes" % (255 - SUFFIX)
    if len(data) > 3500:
        return "path longer than 3500 bytes"
    return None


def hurts(path):
    """What Windows, SMB or archives will not like about a path that can travel: it is said, and the file is sent."""
    found = []
    for part in path.split("/"):
        if re.search(r'[<>:"|?*\\]', part):
            found.append("character that Windows forbids")
        if part.endswith((".", " ")):
            found.append("ends in a dot or a blank")
        if DEVICES.match(part):
            found.append("device of Windows")
        if "%" in part:
            found.append("percent sign")
    if unicodedata.normalize("NFC", path) != path:
        found.append("not NFC")
    return ", ".join(dict.fromkeys(found))


# -- What this machine remembers --------------------------------------------------------------------------------------

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY,    -- as it travels
    size INTEGER NOT NULL,    -- when it was last looked at
    mtime_ns INTEGER NOT NULL,
    seen REAL NOT NULL,       -- since when it has been like this, on the steady clock (seconds)
    sha256 TEXT,              -- of that content, once it was read
    state TEXT NOT NULL,      -- new, sent, received, refused
    sent REAL,                -- when, on the steady clock
    sent_wall REAL,           -- when, on the wall clock (seconds since 1970)
    note TEXT                 -- what the log last said of it
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_files ON files (state) WHERE state IN ('sent', 'refused');
CREATE TABLE IF NOT EXISTS receipts (
    path TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT, detail TEXT, time TEXT,
    PRIMARY KEY (path, size, sha256)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS receipt_files (name TEXT PRIMARY KEY, read INTEGER NOT NULL) WITHOUT ROWID;
"""

Row = collections.namedtuple("Row", "size mtime_ns seen sha256 state sent sent_wall note")


class State:
    """The SQLite database: what was seen, sent and received. Losing it costs a look at the receipts, nothing else."""

    def __init__(self, path):
        self.path = path
        self.warning = None
        try:
            self._open()
        except sqlite3.DatabaseError:
            aside = "%s.damaged-%d" % (path, time.time())
            os.replace(path, aside)
            for tail in ("-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.remove(path + tail)
            self.warning = t(
                "the state was damaged; it is set aside as {path} and built again from the receipts", path=aside)
            self._open()
        self.pending = 0
        self.committed = time.monotonic()

    def _open(self):
        self.db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        if self.db.execute("PRAGMA user_version").fetchone()[0] != 1:
            self.db.executescript(SCHEMA + "PRAGMA user_version = 1;")
        self.db.execute("BEGIN")

    def known(self):
        """What the last look found, by path: (path, size, mtime_ns, state)."""
        return {row[0]: row for row in self.db.execute("SELECT path, size, mtime_ns, state FROM files")}

    def row(self, path):
        """Everything about one file, or None."""
        if not _encodable(path):
            return None
        found = self.db.execute("SELECT %s FROM files WHERE path = ?" % ", ".join(Row._fields), (path,)).fetchone()
        return Row(*found) if found else None

    def newest(self):
        """The last moment of the steady clock that is remembered here."""
        return self.db.execute("SELECT max(max(seen), ifnull(max(sent), 0)) FROM files").fetchone()[0] or 0.0

    def put(self, path, row):
        """Remembers one file."""
        self.db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (path,) + tuple(row))
        self._changed()

    def receipt(self, path, size, sha256):
        """The last decision on this very content: (outcome, reason, detail), or None."""
        return self.db.execute(
            "SELECT outcome, reason, detail FROM receipts WHERE path = ? AND size = ? AND sha256 = ?", (path, size, sha256)
        ).fetchone()

    def take_receipt(self, line):
        """Enters one line of a receipt file; gives (path, outcome, size, sha256, reason) where a file of ours is concerned."""
        try:
            found = json.loads(line.decode("utf-8"))
            path, outcome, size = found["path"], found["outcome"], int(found["size"])
            sha256, reason = found.get("sha256") or "", found.get("reason")
            if found["receipt"] != 1 or outcome not in ("received", "refused") or not isinstance(path, str):
                return None
        except (ValueError, KeyError, TypeError, UnicodeDecodeError):
            return None
        known = self.db.execute("SELECT size, sha256, state FROM files WHERE path = ?", (path,)).fetchone()
        if outcome == "refused" and reason == "checksum":
            # What arrived is not what was sent: its size and sum are not ours. It is sent again.
            if known and known[2] == "sent":
                self.db.execute("UPDATE files SET state = 'new', note = NULL WHERE path = ?", (path,))
                self._changed()
            return (path, "refused", size, sha256, reason)
        self.db.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (path, size, sha256, outcome, reason, found.get("detail"), found.get("time")),
        )
        self._changed()
        if not known or known[:2] != (size, sha256):
            return None
        self.db.execute("UPDATE files SET state = ?, note = NULL WHERE path = ?", (outcome, path))
        return (path, outcome, size, sha256, reason)

    def _changed(self):
        self.pending += 1
        if self.pending >= 200 or time.monotonic() - self.committed > 2:
            self.commit()

    def commit(self):
        """Makes what was remembered hold."""
        self.db.execute("COMMIT")
        self.db.execute("BEGIN")
        self.pending, self.committed = 0, time.monotonic()

    def close(self):
        """Ends."""
        with contextlib.suppress(sqlite3.Error):
            self.db.execute("COMMIT")
        self.db.close()


def steady(places, state):
    """A clock that no setting of the clock moves: it counts the seconds for which this machine is known to have run.

    Between two runs the monotonic clock has gone on by at least that much; after a restart, by at least its own value. Gives
    its reading, and whether the wall clock was set meanwhile (or the machine slept: then it is not trusted either).
    """
    mono, wall, jumped = time.monotonic(), time.time(), False
    last = read_json(places.at("clock.json"))
    try:
        passed, since = mono - last["monotonic"], wall - last["wall"]
        jumped = passed >= 0 and abs(since - passed) > 120 or since < 0
        clock = last["steady"] + (passed if passed >= 0 else mono)
    except (TypeError, KeyError):
        clock = state.newest()
    write_json(places.at("clock.json"), {"steady": clock, "monotonic": mono, "wall": wall})
    return clock, jumped


def read_json(path):
    """A small file of ours; None where it is not there, or not whole."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def write_json(path, value):
    """A small file of ours, whole."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


class Log:
    """One line per file: time (UTC), outcome, path, bytes, SHA-256, detail; separated by tabs. Rotated by size."""

    KEPT = 10

    def __init__(self, path, limit):
        self.path, self.limit = path, limit
        self.file = open(path, "a", encoding="utf-8", errors="backslashreplace", newline="\n")

    def write(self, outcome, path, size="-", sha256="-", detail=""):
        """Writes one line."""
        if self.file.tell() > self.limit:
            self._rotate()
        fields = (utc(), outcome, printable(path), str(size), sha256 or "-", printable(detail or ""))
        self.file.write("\t".join(fields).rstrip("\t") + "\n")
        self.file.flush()

    def _rotate(self):
        self.file.close()
        for number in range(self.KEPT - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace("%s.%d" % (self.path, number), "%s.%d" % (self.path, number + 1))
        os.replace(self.path, self.path + ".1")
        self.file = open(self.path, "a", encoding="utf-8", errors="backslashreplace", newline="\n")

    def close(self):
        """Ends."""
        self.file.close()


# -- The far side -----------------------------------------------------------------------------------------------------
#
# A delivery is a generator: it yields lists of operations and is sent the list of replies, in the same order. A far side
# carries many of them out at once. An operation is a tuple of its name and arguments; a reply is (status, value), with the
# status codes of SFTP.

OK, EOF, MISSING, DENIED, FAILURE = 0, 1, 2, 3, 4
READ, WRITE_NEW, WRITE_ON = 0x01, 0x02 | 0x08 | 0x10, 0x02 | 0x08  # pflags: READ; WRITE|CREAT|TRUNC; WRITE|CREAT
CHUNK = 32 * 1024  # the longest write that every SFTP server must take
STEP = 128 * CHUNK  # bytes of one file under way at once

Found = collections.namedtuple("Found", "size mtime directory")


class Sftp:
    """SFTP version 3 through the pipe of `ssh -s`."""

    def __init__(self, kit, places):
        self.rate, self.allowed = kit.rate, time.monotonic()
        self.stall = kit.stall
        self.root = kit.remote.rstrip("/") + "/"
        self.number = 0
        self.moved = time.monotonic()
        self.silent = False
        self.errors = b""
        self.replies = queue.SimpleQueue()
        if not kit.host_keys:
            raise Trouble(t("the kit has no host key of the NAS: ask for a new kit"))
        if not os.path.isfile(places.at("id_ed25519")):
            raise Trouble(t("this machine has no key yet: run `enrol`"))
        with open(places.at("known_hosts"), "w", encoding="ascii", newline="\n") as file:
            file.writelines("octonas-nas %s\n" % key for key in kit.host_keys)
        # Names relative to the working directory: ssh takes `%`, `~` and blanks in these options for something else.
        command = [
            program("ssh"), "-F", "none", "-T", "-x", "-a", "-p", str(kit.port), "-l", kit.user, "-i", "id_ed25519",
        ]
        for option in (
            "BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "PreferredAuthentications=publickey",
            "StrictHostKeyChecking=yes", "UserKnownHostsFile=known_hosts", "GlobalKnownHostsFile=known_hosts",
            "HostKeyAlias=octonas-nas", "CheckHostIP=no", "UpdateHostKeys=no", "ControlMaster=no", "ControlPath=none",
            "ClearAllForwardings=yes", "Compression=no", "ConnectTimeout=30", "ServerAliveInterval=15", "ServerAliveCountMax=4",
        ):
            command += ["-o", option]
        command += ["-s", kit.host, "sftp"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=places.data, bufsize=0,
            **hidden_window(),
        )
        for work in (self._read_replies, self._read_errors, self._watch):
            threading.Thread(target=work, daemon=True).start()
        self._write(struct.pack(">IBI", 5, 1, 3))  # INIT, version 3
        kind, body = self._next()
        if kind != 2:
            raise Broken(t("the connection broke: {why}", why="not SFTP"))
        self.extensions = set()
        at = 4
        while at < len(body):
            name, at = _string(body, at)
            _, at = _string(body, at)
            self.extensions.add(name)

    # Three threads: what the server says, what ssh says, and an eye on silence (pipes have no time limit on Windows).

    def _read_replies(self):
        stream = self.process.stdout
        buffer = bytearray()
        while True:
            try:
                data = stream.read(1 << 18)
            except (OSError, ValueError):
                data = b""
            if not data:
                break
            self.moved = time.monotonic()
            buffer += data
            at = 0
            while len(buffer) - at >= 4:
                length = int.from_bytes(buffer[at:at + 4], "big")
                if length > 1 << 20 or length == 0:
                    data = b""
                    break
                if len(buffer) - at < 4 + length:
                    break
                self.replies.put((buffer[at + 4], bytes(buffer[at + 5:at + 4 + length])))
                at += 4 + length
            del buffer[:at]
            if not data:
                break
        self.replies.put(None)

    def _read_errors(self):
        while True:
            try:
                data = self.process.stderr.read(4096)
            except (OSError, ValueError):
                return
            if not data:
                return
            self.errors = (self.errors + data)[-16384:]

    def _watch(self):
        while self.process.poll() is None:
            time.sleep(min(1.0, self.stall / 4))
            if time.monotonic() - self.moved > self.stall:
                self.silent = True
                self.process.kill()

    def _write(self, data):
        try:
            view = memoryview(data)
            while view:
                sent = self.process.stdin.write(view)
                view = view[sent:]
                self.moved = time.monotonic()
        except (OSError, ValueError):
            raise self._why() from None

    def _next(self):
        self.moved = time.monotonic()
        reply = self.replies.get()
        if reply is None:
            raise self._why()
        return reply

    def _why(self):
        """What ended the connection, in words."""
        if self.silent:
            return Broken(t("the NAS was silent for {seconds} s", seconds=int(self.stall)))
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        time.sleep(0.1)  # the other thread reads the last words
        text = self.errors.decode("utf-8", "replace")
        if "HOST IDENTIFICATION HAS CHANGED" in text or "Host key verification failed" in text:
            return Trouble(
                t(
                    "the NAS answers with another host key than the one in the kit: NOTHING was sent. Ask the administrator "
                    "whether the NAS was reinstalled; if so, ask for a new kit"
                )
            )
        if "Permission denied" in text:
            return Trouble(
                t(
                    "the NAS does not know this machine's key: it is not enrolled yet (run `enrol`, and give what it prints to "
                    "the administrator), or its access was withdrawn"
                )
            )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        code = self.process.poll()
        # A subsystem's standard error is not carried by sshd: what the far side said is in its own log.
        why = printable(lines[-1]) if lines else t("the NAS ended the session ({code}); its log says why", code=code)
        if self.number == 0:
            return Broken(t("the NAS cannot be reached: {why}", why=why))
        return Broken(t("the connection broke: {why}", why=why))

    def _packet(self, operation):
        """One operation as a packet; its number is its id."""
        name, rest = operation[0], operation[1:]
        number = self.number
        head = struct.pack(">I", number)
        if name == "write":
            handle, offset, data = rest
            body = b"\x06" + head + _pack(handle) + struct.pack(">Q", offset) + _pack(data)
        elif name == "read":
            handle, offset, length = rest
            body = b"\x05" + head + _pack(handle) + struct.pack(">QI", offset, length)
        elif name == "close":
            body = b"\x04" + head + _pack(rest[0])
        elif name == "times":
            handle, mtime = rest
            body = b"\x0a" + head + _pack(handle) + struct.pack(">III", 8, mtime, mtime)
        elif name == "readdir":
            body = b"\x0c" + head + _pack(rest[0])
        elif name == "open":
            body = b"\x03" + head + self._path(rest[0]) + struct.pack(">II", rest[1], 0)
        elif name == "rename":
            kind, extra = b"\x12", b""
            if rest[2] and b"posix-rename@openssh.com" in self.extensions:
                kind, extra = b"\xc8", _pack(b"posix-rename@openssh.com")
            body = kind + head + extra + self._path(rest[0]) + self._path(rest[1])
        elif name == "mkdir":
            body = b"\x0e" + head + self._path(rest[0]) + struct.pack(">I", 0)
        elif name == "space":
            body = b"\xc8" + head + _pack(b"statvfs@openssh.com") + self._path("")
        else:
            kind = {"stat": b"\x07", "remove": b"\x0d", "opendir": b"\x0b"}[name]  # LSTAT, REMOVE, OPENDIR
            body = kind + head + self._path(rest[0])
        return struct.pack(">I", len(body)) + body

    def _path(self, path):
        return _pack((self.root + path).rstrip("/").encode("utf-8") or b"/")

    def _reply(self, operation, kind, body):
        """(status, value) of a reply."""
        if kind == 101:  # STATUS
            return struct.unpack_from(">I", body, 4)[0], None
        if kind in (102, 103):  # HANDLE, DATA
            return OK, _string(body, 4)[0]
        if kind == 104:  # NAME
            count, at, names = struct.unpack_from(">I", body, 4)[0], 8, []
            for _ in range(count):
                name, at = _string(body, at)
                _, at = _string(body, at)
                found, at = _attributes(body, at)
                names.append((name, found))
            return OK, names
        if kind == 105:  # ATTRS
            return OK, _attributes(body, 4)[0]
        if kind == 201 and operation[0] == "space":
            _, block, _, _, free = struct.unpack_from(">QQQQQ", body, 4)
            return OK, block * free
        return FAILURE, None

    def drive(self, jobs):
        """Carries out generators, many at once; `jobs` gives (weight in bytes, generator)."""
        jobs, waiting, active, weight = iter(jobs), {}, 0, 0
        upcoming = next(jobs, None)
        while upcoming or active:
            while upcoming and (not active or (active < 64 and weight + upcoming[0] <= 2 * STEP)):
                task = _Task(upcoming)
                active, weight = active + 1, weight + task.weight
                if not self._advance(task, None, waiting):
                    active, weight = active - 1, weight - task.weight
                upcoming = next(jobs, None)
            if not active:
                continue
            kind, body = self._next()
            entry = waiting.pop(int.from_bytes(body[:4], "big"), None)
            if entry is None:
                raise Broken(t("the connection broke: {why}", why="reply to nothing"))
            task, place = entry
            task.replies[place] = self._reply(task.operations[place], kind, body)
            task.missing -= 1
            if not task.missing and not self._advance(task, task.replies, waiting):
                active, weight = active - 1, weight - task.weight

    def _advance(self, task, replies, waiting):
        """Sends the next operations of a generator; False when it has ended."""
        try:
            task.operations = task.generator.send(replies)
        except StopIteration:
            return False
        task.replies, task.missing = [None] * len(task.operations), len(task.operations)
        packets = []
        for place, operation in enumerate(task.operations):
            waiting[self.number] = (task, place)
            packets.append(self._packet(operation))
            self.number = (self.number + 1) & 0xFFFFFFFF
        data = b"".join(packets)
        self._pace(len(data))
        self._write(data)
        return True

    def _pace(self, count):
        """Not more than so many bytes a second."""
        if self.rate:
            now = time.monotonic()
            self.allowed = max(self.allowed, now - 1) + count / self.rate
            while self.allowed > now:
                self.moved = now
                time.sleep(min(self.allowed - now, 1))
                now = time.monotonic()

    def close(self):
        """Ends the session."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class _Task:
    """A generator under way."""

    __slots__ = ("weight", "generator", "operations", "replies", "missing")

    def __init__(self, job):
        self.weight, self.generator = job


def _pack(data):
    return struct.pack(">I", len(data)) + data


def _string(body, at):
    length = struct.unpack_from(">I", body, at)[0]
    return body[at + 4:at + 4 + length], at + 4 + length


def _attributes(body, at):
    flags, size, mode, mtime = struct.unpack_from(">I", body, at)[0], 0, 0, 0
    at += 4
    if flags & 1:
        size, at = struct.unpack_from(">Q", body, at)[0], at + 8
    if flags & 2:
        at += 8
    if flags & 4:
        mode, at = struct.unpack_from(">I", body, at)[0], at + 4
    if flags & 8:
        mtime, at = struct.unpack_from(">I", body, at + 4)[0], at + 8
    if flags & 0x80000000:
        count, at = struct.unpack_from(">I", body, at)[0], at + 4
        for _ in range(2 * count):
            _, at = _string(body, at)
    return Found(size, mtime, stat.S_ISDIR(mode)), at


class Directory:
    """A landing that is a directory here: a mounted share, or the NAS itself."""

    def __init__(self, kit, _places):
        self.root = os.path.abspath(os.path.expanduser(kit.directory))
        self.rate = kit.rate
        if not os.path.isdir(os.path.join(self.root, "data")):
            raise Trouble(t("the landing {path} is not there: is the share mounted?", path=self.root))

    def drive(self, jobs):
        """Carries out generators, one after the other."""
        for _, generator in jobs:
            replies = None
            with contextlib.suppress(StopIteration):
                while True:
                    replies = [self._carry_out(operation) for operation in generator.send(replies)]

    def _at(self, path):
        return local(os.path.join(self.root, *path.split("/"))) if path else self.root

    def _carry_out(self, operation):
        try:
            return OK, getattr(self, "_" + operation[0])(*operation[1:])
        except FileNotFoundError:
            return MISSING, None
        except EOFError:
            return EOF, None
        except PermissionError:
            return DENIED, None
        except OSError:
            return FAILURE, None

    def _stat(self, path):
        found = os.lstat(self._at(path))
        return Found(found.st_size, found.st_mtime, stat.S_ISDIR(found.st_mode))

    def _open(self, path, flags):
        if flags == READ:
            return open(self._at(path), "rb", buffering=0)
        mode = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if flags == WRITE_NEW else 0) | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self._at(path), mode, 0o660), "wb", buffering=0)

    def _write(self, handle, offset, data):
        handle.seek(offset)
        view = memoryview(data)
        while view:
            view = view[handle.write(view):]
        if self.rate:
            time.sleep(len(data) / self.rate)

    def _read(self, handle, offset, length):
        handle.seek(offset)
        data = handle.read(length)
        if not data:
            raise EOFError
        return data

    def _times(self, handle, mtime):
        os.fsync(handle.fileno())
        name = handle.fileno() if os.utime in os.supports_fd else None
        if name is not None:
            os.utime(name, (mtime, mtime))

    def _close(self, handle):
        handle.close()

    def _opendir(self, path):
        return os.scandir(self._at(path))

    def _readdir(self, handle):
        found = []
        for entry in handle:
            info = entry.stat(follow_symlinks=False)
            found.append((os.fsencode(entry.name), Found(info.st_size, info.st_mtime, entry.is_dir(follow_symlinks=False))))
        if not found:
            raise EOFError
        return found

    def _rename(self, old, new, over):
        old, new = self._at(old), self._at(new)
        if over:
            os.replace(old, new)
        elif os.path.lexists(new):
            raise FileExistsError(new)
        else:
            os.rename(old, new)

    def _remove(self, path):
        os.remove(self._at(path))

    def _mkdir(self, path):
        os.mkdir(self._at(path), 0o770)

    def _space(self, _path):
        import shutil

        return shutil.disk_usage(self.root).free

    def close(self):
        """Nothing to end."""


def connect(kit, places):
    """Opens the far side."""
    return Sftp(kit, places) if kit.transport == "sftp" else Directory(kit, places)


def slurp(path, limit=4096):
    """A small file of the far side; None if it is not there."""
    (status, handle), = yield [("open", path, READ)]
    if status != OK:
        return None
    (status, data), _ = yield [("read", handle, 0, limit), ("close", handle)]
    return data if status == OK else b""


def make_parents(path):
    """Makes the directories above a path of the far side; those that are there already only say so."""
    parts = path.split("/")[:-1]
    yield [("mkdir", "/".join(parts[:count])) for count in range(2, len(parts) + 1)]


# -- One file ---------------------------------------------------------------------------------------------------------


class Item:
    """A file that should travel."""

    __slots__ = ("path", "place", "size", "mtime_ns", "sha256", "there", "outcome", "detail", "late")

    def __init__(self, path, place, size, mtime_ns, sha256=None, late=False):
        self.path, self.place, self.size, self.mtime_ns, self.sha256 = path, place, size, mtime_ns, sha256
        self.there, self.outcome, self.detail, self.late = None, None, "", late

    def line(self):
        """Its sum, as sha256sum(1) writes it."""
        return ("%s  %s\n" % (self.sha256, self.path)).encode("utf-8")

    def still(self):
        """Has it stayed as it was seen?"""
        try:
            now = os.stat(local(self.place), follow_symlinks=False)
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) == (self.size, self.mtime_ns)

    def done(self, outcome, detail=""):
        """Enters what became of it."""
        self.outcome, self.detail = outcome, detail


def digest(item):
    """Reads the whole file: its SHA-256, or None where it did not stay as it was."""
    import hashlib

    sha = hashlib.sha256()
    with open_shared(item.place) as file:
        total = 0
        while True:
            data = file.read(1 << 20)
            if not data:
                break
            sha.update(data)
            total += len(data)
    return sha.hexdigest() if total == item.size and item.still() else None


def look(item):
    """Is the whole file already there, under its name, from an earlier run? Asked before the receipts are read, so that it
    cannot be taken into its place between the two."""
    part = "data/%s.part" % item.path
    (status, found), (half, _) = yield [("stat", "data/" + item.path), ("stat", part)]
    item.there = "no"
    if status != OK:
        return  # if it is not there, it is sent; if it cannot be looked at, sending says why
    text = yield from slurp("sums/%s.sha256" % item.path)
    same = found.size == item.size and text is not None and text[:64] == item.sha256.encode("ascii")
    item.there = "same" if same else "other"
    if same and half == OK:
        # sftp-server gives a name by link(2) and takes the other away after: it was killed in between.
        yield [("remove", part)]


def deliver(item, commit):
    """Brings one file over. `commit(item)` is told when it is there under its name."""
    import hashlib

    part, final = "data/%s.part" % item.path, "data/" + item.path
    sum_part, sum_final = "sums/%s.sha256.part" % item.path, "sums/%s.sha256" % item.path
    line = item.line()
    (status, found), = yield [("stat", part)]
    offset, summed = 0, False
    if status == OK and 0 < found.size <= item.size:
        if (yield from slurp(sum_part)) == line:
            offset = found.size
        elif (yield from slurp(sum_final)) == line and found.size == item.size:
            offset, summed = found.size, True
    try:
        file = open_shared(item.place)
    except OSError as error:
        item.done("failed", str(error))
        return
    with file:
        handle = None
        for attempt in (1, 2):
            # The piece is emptied before the new sum stands beside it, so that no old bytes pass for new ones.
            wanted = [("open", part, WRITE_ON if offset else WRITE_NEW)]
            if not offset:
                wanted.append(("open", sum_part, WRITE_NEW))
            replies = yield wanted
            handle = replies[0][1]
            if all(status == OK for status, _ in replies):
                break
            yield [("close", value) for status, value in replies if status == OK] or [("stat", part)]
            if attempt == 2 or MISSING not in [status for status, _ in replies]:
                item.done("failed", "the NAS refused to create it (%s)" % ", ".join(str(s) for s, _ in replies))
                return
            yield from make_parents(part)
            yield from make_parents(sum_part)
        first = [] if offset else [("write", replies[1][1], 0, line), ("close", replies[1][1])]
        whole, sha = not offset, hashlib.sha256()
        file.seek(offset)
        while True:
            writes, step = [], 0
            while step < STEP and offset + step < item.size:
                data = file.read(min(CHUNK, item.size - offset - step))
                if not data:
                    break
                if whole:
                    sha.update(data)
                writes.append(("write", handle, offset + step, data))
                step += len(data)
            short = offset + step < item.size and step < STEP
            last = short or offset + step >= item.size
            changed = last and (short or not item.still() or (whole and sha.hexdigest() != item.sha256))
            ending = []
            if last and not changed:
                ending = [("times", handle, min(max(item.mtime_ns // 10**9, 0), 0xFFFFFFFF))]
            if last:
                ending.append(("close", handle))
            replies = yield first + writes + ending
            statuses = [status for status, _ in replies]
            if any(statuses):
                if not last:
                    yield [("close", handle)]
                worst = max(statuses)
                item.done("failed", "the NAS refused to write (%d)" % worst)
                if worst in (FAILURE, 14, 15):  # NO_SPACE_ON_FILESYSTEM, QUOTA_EXCEEDED of later versions
                    raise Full(
                        t("the NAS does not take what is written: it is full, or the space of this source is used up"))
                return
            first = []
            offset += step
            if last:
                break
    if changed:
        yield [("remove", part), ("remove", sum_part), ("remove", sum_final) if summed else ("remove", sum_part)]
        item.done("growing", "it changed while it was being sent")
        return
    if not summed:
        (status, _), = yield [("rename", sum_part, sum_final, True)]
        if status != OK:
            (status, _), (status, _) = yield [("remove", sum_final), ("rename", sum_part, sum_final, False)]
        if status != OK:
            item.done("failed", "the NAS refused to name its sum (%d)" % status)
            return
    (status, _), = yield [("rename", part, final, False)]
    if status != OK:
        item.done("failed", "the NAS refused to name it (%d)" % status)
        return
    item.done("sent", item.detail)
    commit(item)


def fetch_receipts(state, told):
    """Reads what was added to the receipt files since the last time; `told` hears what concerns our files."""
    (status, handle), = yield [("opendir", "receipts")]
    if status != OK:
        return
    names = []
    while True:
        (status, entries), = yield [("readdir", handle)]
        if status != OK:
            break
        names += [(name.decode("ascii", "replace"), found.size) for name, found in entries]
    yield [("close", handle)]
    known = dict(state.db.execute("SELECT name, read FROM receipt_files"))
    for name, size in sorted(names):
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}\.jsonl", name):
            continue
        start = known.get(name, 0)
        if size < start:
            start = 0  # another file than the one that was read: a NAS put back from a copy
        if size == start:
            continue
        (status, handle), = yield [("open", "receipts/" + name, READ)]
        if status != OK:
            continue
        rest, at = b"", start
        while True:
            (status, data), = yield [("read", handle, at, 256 * 1024)]
            if status != OK or not data:
                break
            at += len(data)
            lines = (rest + data).split(b"\n")
            rest = lines.pop()  # a line that is being written has no end yet
            for line in lines:
                found = state.take_receipt(line)
                if found:
                    told(*found)
        yield [("close", handle)]
        state.db.execute("INSERT OR REPLACE INTO receipt_files VALUES (?, ?)", (name, at - len(rest)))
    state.commit()


# -- Looking through the directories ----------------------------------------------------------------------------------


def scan(watch, trouble):
    """(path as it travels, directory, name, size, mtime_ns) of every regular file; links are not followed. What cannot be
    read is told to `trouble(path, why)`."""
    reparse = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0x400)
    prefix = watch.prefix + "/" if watch.prefix else ""
    everything = watch.everything and not watch.exclude
    stack = [(watch.path, "")]
    while stack:
        directory, relative = stack.pop()
        try:
            entries = os.scandir(local(directory))
        except OSError as error:
            trouble(prefix + relative, str(error))
            continue
        with entries:
            for entry in entries:
                name = entry.name
                path = relative + name
                try:
                    found = entry.stat(follow_symlinks=False)
                    kind = stat.S_IFMT(found.st_mode)
                    if kind == stat.S_IFDIR:
                        if getattr(found, "st_file_attributes", 0) & reparse or not watch.enters(path, name):
                            continue
                        if not name.startswith(".") and name not in ("System Volume Information", "$RECYCLE.BIN"):
                            stack.append((os.path.join(directory, name), path + "/"))
                        continue
                    if kind != stat.S_IFREG or not (everything or watch.takes(path, name)):
                        continue
                    if WINDOWS:
                        # The directory's own record is late for files that are being written.
                        found = os.stat(local(os.path.join(directory, name)))
                except FileNotFoundError:
                    continue  # gone in between
                except OSError as error:
                    trouble(prefix + path, str(error))
                    continue
                yield prefix + path, directory, name, found.st_size, found.st_mtime_ns


# -- A run ------------------------------------------------------------------------------------------------------------


class Run:
    """One pass: look, send, read the receipts, sum up."""

    TRIES = 4

    def __init__(self, kit, places, dry=False):
        self.kit, self.places, self.dry = kit, places, dry
        self.state = State(places.at("state.sqlite"))
        self.log = Log(places.at("sync.log"), kit.log_bytes)
        self.clock, self.jumped = steady(places, self.state)
        self.counts = collections.Counter()
        self.bytes = 0
        self.notes = {}
        self.known = self.state.known()
        self.trouble = None

    def note(self, outcome, path, size="-", sha256="-", detail=""):
        """A line in the log, unless the last line said the same of this file."""
        if self.dry:
            if outcome != "same":
                say("%s\t%s\t%s" % (outcome, printable(path), detail))
            return
        self.log.write(outcome, path, size, sha256, detail)

    def skip(self, outcome, path, size, mtime_ns, why):
        """A file that does not travel this time; said once for as long as nothing changes about it."""
        self.counts[outcome] += 1
        row = self.state.row(path)
        note = "%s: %s" % (outcome, why)
        same = row and (row.size, row.mtime_ns) == (size, mtime_ns)
        if same and row.note == note:
            return
        self.note(outcome, path, size, detail=why)
        if self.dry or not _encodable(path):
            return
        if same:
            self.state.put(path, row._replace(note=note))
        else:
            self.state.put(path, Row(size, mtime_ns, self.clock, None, "new", None, None, note))

    def is_still(self, size, mtime_ns, row):
        """Has it been unchanged for long enough?

        Either an earlier run saw it like this, long enough ago on the clock that nobody sets; or its own time says so and
        the clock can be trusted (a second look follows in a moment in either case).
        """
        if row and (row.size, row.mtime_ns) == (size, mtime_ns) and self.clock - row.seen >= self.kit.stable:
            return True
        age = time.time() - mtime_ns / 1e9
        return not self.jumped and age >= self.kit.stable

    def choose(self):
        """Looks through the watched directories; gives the files that should travel."""
        chosen, taken, same = [], set(), 0
        known = self.known.get
        for watch in self.kit.watch:
            if not os.path.isdir(watch.path):
                self.fail(watch.path, t("{path}: no such directory", path=watch.path))
                continue
            for path, directory, name, size, mtime_ns in scan(watch, self.fail):
                row = known(path)
                if row and row[1] == size and row[2] == mtime_ns:
                    if row[3] == "received":
                        same += 1
                        taken.add(path)
                        continue
                    if row[3] != "new" and path not in taken:
                        taken.add(path)
                        full = self.state.row(path)
                        if row[3] == "sent" and self.is_late(full.sent, full.sent_wall):
                            item = Item(path, os.path.join(directory, name), size, mtime_ns, full.sha256, late=True)
                            chosen.append(item)
                        self.counts["waiting" if row[3] == "sent" else "refused"] += 1
                        continue
                if JUNK.match(name):
                    continue
                problem = cannot_travel(path)
                if problem == "hidden":
                    self.counts["hidden"] += 1
                elif problem == "unfinished":
                    self.skip("growing", path, size, mtime_ns, "its name says that it is unfinished")
                elif problem:
                    self.skip("name", path, size, mtime_ns, problem)
                elif path in taken:
                    self.fail(path, "the same name comes from two watched directories")
                elif not self.is_still(size, mtime_ns, self.state.row(path) if row else None):
                    taken.add(path)
                    self.skip("growing", path, size, mtime_ns, "still growing")
                else:
                    taken.add(path)
                    chosen.append(Item(path, os.path.join(directory, name), size, mtime_ns))
        self.counts["same"] += same
        self.twins(chosen, taken)
        if self.kit.settle and not all(item.late for item in chosen):
            time.sleep(self.kit.settle)
        return [item for item in chosen if self.ready(item)]

    def is_late(self, sent, sent_wall):
        """Was it sent so long ago, on either clock, that there should be a receipt?"""
        limit = 3600 * self.kit.receipt_hours
        return self.clock - (sent or 0) > limit or time.time() - (sent_wall or 0) > limit

    def twins(self, chosen, taken):
        """Names that differ by case or composition only become one name on Windows and in shares."""
        if not chosen:
            return
        seen = collections.Counter(_fold(path) for path in taken)
        for item in chosen:
            if seen[_fold(item.path)] > 1:
                item.detail = "differs from another name by case or accents only"

    def ready(self, item):
        """The second look, and the sum. False: it does not travel now."""
        if item.late:
            return True
        row = self.state.row(item.path)
        try:
            if not item.still():
                self.skip("growing", item.path, item.size, item.mtime_ns, "still growing")
                return False
            if in_use(item.place):
                self.skip("locked", item.path, item.size, item.mtime_ns, "another program has it open")
                return False
            known = row and (row.size, row.mtime_ns) == (item.size, item.mtime_ns) and row.sha256
            item.sha256 = known or (None if self.dry else digest(item))
        except OSError as error:
            self.fail(item.path, str(error))
            return False
        if self.dry:
            return True
        if item.sha256 is None:
            self.skip("growing", item.path, item.size, item.mtime_ns, "it changed while it was being read")
            return False
        state, sent, wall = "new", None, None
        if row and (row.sha256, row.size) == (item.sha256, item.size):
            state, sent, wall = row.state, row.sent, row.sent_wall  # only its time changed
        receipt = self.state.receipt(item.path, item.size, item.sha256)
        if receipt:
            state = receipt[0]
        self.remember(item, state, sent, wall)
        if state != "new":
            self.counts["same" if state == "received" else "waiting" if state == "sent" else "refused"] += 1
            return False
        return True

    def remember(self, item, state, sent, wall):
        """Enters a file that was read."""
        row = self.state.row(item.path)
        seen = row.seen if row and (row.size, row.mtime_ns) == (item.size, item.mtime_ns) else self.clock
        self.state.put(item.path, Row(item.size, item.mtime_ns, seen, item.sha256, state, sent, wall, None))

    def fail(self, path, why, size="-", sha256="-"):
        """A file that should have travelled and did not."""
        self.counts["failed"] += 1
        self.note("failed", path, size, sha256, why)

    def told(self, path, outcome, size, sha256, reason):
        """A receipt for a file of ours."""
        self.counts["told-" + outcome] += 1
        self.note(outcome, path, size, sha256, reason or "")

    def commit(self, item):
        """A file is there, under its name."""
        self.counts["sent"] += 1
        self.bytes += item.size
        worry = ", ".join(filter(None, [item.detail, hurts(item.path)]))
        self.note("sent", item.path, item.size, item.sha256, worry)
        if hurts(item.path):
            self.counts["names-that-hurt"] += 1
        self.remember(item, "sent", self.clock, time.time())

    def send(self, items):
        """Brings files over, in several sessions if connections break, as long as each brings something."""
        left, tries = items, self.TRIES
        while True:
            before = self.counts["sent"] + self.bytes
            try:
                self.session(left)
                return
            except Broken as error:
                left = [item for item in left if item.outcome is None]
                tries = self.TRIES if self.counts["sent"] + self.bytes > before else tries - 1
                if tries <= 0:
                    self.give_up(left, error)
                    return
                time.sleep(min(2.0 ** (self.TRIES - tries), self.kit.stall / 8))
            except Trouble as error:
                self.give_up([item for item in left if item.outcome is None], error)
                return

    def give_up(self, left, error):
        """Says why files did not travel."""
        self.trouble = str(error)
        for item in left:
            if not item.late:
                self.fail(item.path, str(error), item.size, item.sha256)

    def session(self, items):
        """One connection: what is there, the receipts, the files."""
        far = connect(self.kit, self.places)
        try:
            far.drive((0, look(item)) for item in items)
            far.drive([(0, fetch_receipts(self.state, self.told))])
            going = []
            for item in items:
                receipt = self.state.receipt(item.path, item.size, item.sha256)
                if receipt and receipt[0] == "received":
                    item.done("received")
                    self.remember(item, "received", None, None)
                elif item.there == "same":
                    item.done("sent", item.detail)
                    if not item.late:
                        self.commit(item)
                elif receipt:
                    item.done("refused")
                    self.counts["refused"] += 1
                    self.remember(item, "refused", None, None)
                elif item.there == "other":
                    item.done("behind")
                    self.skip("behind", item.path, item.size, item.mtime_ns, "another file of this name waits on the NAS")
                elif item.late and not item.still():
                    item.done("gone")
                else:
                    going.append(item)
            self.state.commit()
            going = self.fitting(far, going)
            far.drive((min(item.size, STEP) + 4096, deliver(item, self.commit)) for item in going)
        finally:
            for item in items:
                if item.outcome == "growing":
                    self.skip("growing", item.path, item.size, item.mtime_ns, item.detail)
                    item.outcome = "skipped"
                elif item.outcome == "failed" and item.detail:
                    self.fail(item.path, item.detail, item.size, item.sha256)
                    item.outcome = "told"
            self.state.commit()
            far.close()

    def fitting(self, far, items):
        """Leaves out what cannot fit on the NAS, so that it is not filled to the last byte."""
        free = []

        def ask():
            (status, value), = yield [("space", "")]
            if status == OK:
                free.append(value)

        far.drive([(0, ask())])
        if not free:
            return items
        room, going = free[0], []
        for item in items:
            if item.size + 65536 <= room:
                room -= item.size + 8192
                going.append(item)
            else:
                item.done("told")
                self.fail(
                    item.path,
                    t("the NAS does not take what is written: it is full, or the space of this source is used up"),
                    item.size, item.sha256,
                )
        return going

    def carry_out(self):
        """The whole pass; gives the exit code."""
        if not self.kit.watch:
            raise Trouble(
                t("no directory is watched: run `install --watch DIRECTORY`, or fill in `watch` in {path}", path=self.kit.path),
                USAGE,
            )
        if self.state.warning:
            say(self.state.warning, sys.stderr)
        items = self.choose()
        items.sort(key=lambda item: (item.mtime_ns, item.path))
        if self.dry:
            for item in items:
                self.note("would send", item.path, detail=hurts(item.path))
            self.bytes = sum(item.size for item in items)
            self.counts["sent"] = len(items)
            return DONE
        self.state.commit()
        if items or self.counts["waiting"] or self.counts["refused"]:
            self.send(items)
        return self.sum_up()

    def sum_up(self):
        """Counts what is open, tells it, and gives the exit code."""
        counts = self.counts
        open_states = dict(self.state.db.execute("SELECT state, count(*) FROM files WHERE state IN ('sent','refused') GROUP BY state"))
        counts["waiting"], counts["refused"] = open_states.get("sent", 0), open_states.get("refused", 0)
        late = [row for row in self.state.db.execute("SELECT path, size, sha256, sent, sent_wall FROM files WHERE state = 'sent'")
                if self.is_late(row[3], row[4])]
        counts["late"] = len(late)
        for path, size, sha256, _, _ in late[:1000]:
            self.log.write("no receipt", path, size, sha256)
        code = DONE
        if late or counts["refused"] or counts["name"]:
            code = LOOK
        if counts["failed"] or self.trouble:
            code = FAILED
        self.log.write(
            "summary", self.kit.name, self.bytes, "-",
            "sent %d, waiting %d, growing %d, locked %d, name %d, behind %d, failed %d, refused %d, no receipt %d, unchanged %d, exit %d" % (
                counts["sent"], counts["waiting"], counts["growing"], counts["locked"], counts["name"], counts["behind"],
                counts["failed"], counts["refused"], len(late), counts["same"], code))
        write_json(self.places.at("last-run.json"),
                   {"time": utc(), "exit": code, "counts": dict(counts), "trouble": self.trouble})
        return code

    def close(self):
        """Ends."""
        self.state.close()
        self.log.close()


def _fold(path):
    return unicodedata.normalize("NFC", path).casefold()


def _encodable(path):
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def summary(run):
    """What happened, for people."""
    counts = run.counts
    if run.dry:
        first = t("would send {sent} ({bytes})", sent=counts["sent"], bytes=amount(run.bytes))
    else:
        first = t("sent {sent} ({bytes})", sent=counts["sent"], bytes=amount(run.bytes))
    lines = [first]
    lines.append(t("unchanged {same}", same=counts["same"]))
    lines.append(t("waiting for a receipt {waiting}", waiting=counts["waiting"]))
    skipped = counts["growing"] + counts["locked"] + counts["name"] + counts["behind"]
    lines.append(
        t(
            "skipped {skipped} (still growing {growing}, locked {locked}, name that cannot travel {names}, waiting behind an "
            "earlier version {behind})",
            skipped=skipped, growing=counts["growing"], locked=counts["locked"], names=counts["name"], behind=counts["behind"],
        )
    )
    lines.append(t("refused by the NAS {refused}", refused=counts["refused"]))
    lines.append(t("failed {failed}", failed=counts["failed"]))
    return "\n".join(lines)


@contextlib.contextmanager
def only_one(places):
    """Two runs at once would send everything twice."""
    file = open(places.at("lock"), "a+b")
    try:
        try:
            lock_file(file)
        except OSError:
            raise Trouble(t("a second run is under way: nothing was done"), LOCKED) from None
        yield
    finally:
        file.close()


def command_run(kit, places, arguments):
    """`run`"""
    places.make()
    with only_one(places):
        run = Run(kit, places, dry=arguments.dry_run)
        try:
            code = run.carry_out()
            if arguments.json:
                say(json.dumps({"exit": code, "bytes": run.bytes, "counts": dict(run.counts), "trouble": run.trouble}))
            elif not arguments.quiet or code != DONE:
                say(summary(run))
            if run.trouble:
                say(run.trouble, sys.stderr)
            if run.counts["late"]:
                say(t("{count} files were sent more than {hours} h ago and have no receipt",
                      count=run.counts["late"], hours="%g" % kit.receipt_hours), sys.stderr)
            return code
        finally:
            run.close()


# -- Enrolment, self-test, status -------------------------------------------------------------------------------------


def command_enrol(kit, places, _arguments):
    """`enrol`: the key is made here, and only its public half leaves."""
    import socket

    if kit.transport == "directory":
        say(t("This kit writes into a directory ({path}): it needs no key.", path=kit.directory))
        return DONE
    places.make()
    key = places.at("id_ed25519")
    if not os.path.isfile(key) or not os.path.isfile(key + ".pub"):
        comment = "octonas %s/%s %s" % (kit.code, kit.source, re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()))
        for left in (key, key + ".pub"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(left)
        made = subprocess.run(
            [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", "id_ed25519"],
            cwd=places.data, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
            **hidden_window(),
        )
        if made.returncode:
            raise Trouble(t("ssh-keygen failed: {why}", why=printable(made.stdout.decode("utf-8", "replace").strip())))
    with open(key + ".pub", encoding="utf-8") as file:
        public = file.read().strip()
    say(t("This machine's public key (there is no secret in it):"))
    say("")
    say("  " + public)
    say("")
    say(t("Give it to the administrator of the NAS, who enters it there:"))
    say("")
    say("  octonas source enrol %s %s --key -" % (kit.code, kit.source))
    say("")
    say(t("then end the input with Ctrl-D; or, with the file {path}: --key {name}", path=key + ".pub", name="id_ed25519.pub"))
    return DONE


class Checks:
    """Lines of a self-test."""

    def __init__(self):
        self.bad = 0

    def line(self, good, text):
        """One finding."""
        self.bad += not good
        say("[%s] %s" % (t("good") if good else t("bad"), text))
        return good


def command_self_test(kit, places, _arguments):
    """`self-test`: everything that a run needs, tried once."""
    checks = Checks()
    places.make()
    version = ".".join(str(part) for part in sys.version_info[:3])
    checks.line(sys.version_info >= (3, 8), t("Python {version}", version=version))
    if not kit.watch:
        checks.line(False, t("no directory is watched: run `install --watch DIRECTORY`, or fill in `watch` in {path}",
                             path=kit.path))
    for watch in kit.watch:
        try:
            os.scandir(local(watch.path)).close()
            checks.line(True, t("the watched directory {path} can be read", path=watch.path))
        except OSError:
            checks.line(False, t("the watched directory {path} cannot be read", path=watch.path))
    if kit.transport == "sftp":
        try:
            said = subprocess.run([program("ssh"), "-V"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False, timeout=30, **hidden_window())
            version = printable(said.stdout.decode("ascii", "replace").strip())
            checks.line(True, t("OpenSSH's client: {version}", version=version))
        except (Trouble, OSError, subprocess.TimeoutExpired) as error:
            checks.line(False, str(error))
            return FAILED
        if not checks.line(os.path.isfile(places.at("id_ed25519")), t("this machine's key")):
            say(t("this machine has no key yet: run `enrol`"))
            return FAILED
    try:
        far = connect(kit, places)
    except Trouble as error:
        checks.line(False, str(error))
        return FAILED
    try:
        checks.line(True, t("the NAS answers, and it is the right one"))
        found = {}
        far.drive([(0, _rehearse(found))])
        checks.line(found.get("delivered", False), t("a file can be delivered and taken back"))
        checks.line(found.get("receipts", False), t("receipts can be read"))
        if "clock" in found:
            off = round(time.time() - found["clock"])
            checks.line(abs(off) <= 60, t("this clock and the NAS's differ by {seconds} s", seconds=off))
        if "space" in found:
            checks.line(found["space"] > 100 << 20, t("free on the NAS: {bytes}", bytes=amount(found["space"])))
    except Trouble as error:
        checks.line(False, str(error))
    finally:
        far.close()
    return FAILED if checks.bad else DONE


def _rehearse(found):
    """Writes, names, reads back and removes a file that the NAS does not look at (its name begins with a dot)."""
    name = "data/.octonas-self-test-%s" % os.urandom(6).hex()
    text = b"OctoNAS self-test\n"
    (status, handle), = yield [("open", name + ".part", WRITE_NEW)]
    if status == OK:
        (wrote, _), (closed, _), (seen, attributes) = yield [
            ("write", handle, 0, text), ("close", handle), ("stat", name + ".part")]
        (named, _), = yield [("rename", name + ".part", name, False)]
        back = yield from slurp(name)
        (removed, _), = yield [("remove", name)]
        found["delivered"] = (wrote, closed, seen, named, removed) == (OK,) * 5 and back == text
        if seen == OK:
            found["clock"] = attributes.mtime
    (status, handle), = yield [("opendir", "receipts")]
    found["receipts"] = status == OK
    if status == OK:
        yield [("close", handle)]
    (status, space), = yield [("space", "")]
    if status == OK:
        found["space"] = space


def command_status(kit, places, arguments):
    """`status`: the last run, and what is still open."""
    places.make()
    state = State(places.at("state.sqlite"))
    try:
        last = read_json(places.at("last-run.json"))
        waiting = [row[0] for row in state.db.execute("SELECT path FROM files WHERE state = 'sent' ORDER BY path")]
        refused = list(state.db.execute(
            "SELECT f.path, r.reason, r.detail FROM files f LEFT JOIN receipts r USING (path, size, sha256) "
            "WHERE f.state = 'refused' ORDER BY path"))
        new = list(state.db.execute("SELECT path, note FROM files WHERE state = 'new' ORDER BY path"))
        received = state.db.execute("SELECT count(*) FROM files WHERE state = 'received'").fetchone()[0]
    finally:
        state.close()
    if arguments.json:
        say(json.dumps({
            "last_run": last, "received": received, "waiting": waiting,
            "refused": [{"path": p, "reason": r, "detail": d} for p, r, d in refused],
            "new": [{"path": p, "note": n} for p, n in new],
        }))
        return DONE
    if last:
        say(t("last run: {when}, exit code {exit}", when=last["time"], exit=last["exit"]))
        if last.get("trouble"):
            say("  " + printable(last["trouble"]))
    else:
        say(t("last run: never"))
    for title, lines in (
        (t("refused by the NAS"), ["%s  (%s)" % (p, d or r) for p, r, d in refused]),
        (t("sent, without a receipt"), waiting),
        (t("not sent yet"), ["%s  (%s)" % (p, n) if n else p for p, n in new]),
    ):
        say("%s: %d" % (title, len(lines)))
        for line in lines[:50]:
            say("  " + printable(line))
        if len(lines) > 50:
            say("  ...")
    return DONE


# -- Installation -----------------------------------------------------------------------------------------------------

# What others installed beside this Python (and start files of Anaconda) does not concern the program.
ISOLATED = ("-I", "-S")
PARTS = ("octonas_sync.py", "kit.json", "README.fr.md", "README.en.md", "launchers")


def unit_words(*words):
    """An ExecStart= line: systemd.service(5), \"COMMAND LINES\"; there `$` has a meaning as well."""
    return " ".join(unit_word(word).replace("$", "$$") for word in words)


def unit_word(word):
    """One word of a unit: systemd.syntax(7), \"QUOTING\", and systemd.unit(5), \"SPECIFIERS\"."""
    return '"%s"' % word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def windows_argument(text):
    """One argument as CommandLineToArgvW takes it apart."""
    return subprocess.list2cmdline([text])


def escape(text):
    """Text of an XML element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def render(path, values, as_xml):
    """A launcher with this machine's values in it."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for key, value in values.items():
        text = text.replace("@%s@" % key, escape(value) if as_xml else value)
    return text


def place_program(kit, places, watch):
    """Copies the kit to where it stays; an update keeps what is watched."""
    import shutil

    here = os.path.dirname(os.path.abspath(kit.path))
    raw = dict(kit.raw)
    old = os.path.join(places.program, "kit.json")
    if not raw["watch"] and os.path.isfile(old):
        with contextlib.suppress(ValueError, OSError):
            with open(old, encoding="utf-8-sig") as file:
                raw["watch"] = json.load(file).get("watch", [])
    known = [os.path.abspath(os.path.expanduser(entry["path"])) for entry in raw["watch"]]
    for path in watch or []:
        full = os.path.abspath(os.path.expanduser(path))
        if not os.path.isdir(full):
            raise Trouble(t("{path}: no such directory", path=full))
        if full not in known:
            raw["watch"] = raw["watch"] + [{"path": full, "include": ["*"], "exclude": []}]
            known.append(full)
    os.makedirs(places.program, mode=0o755, exist_ok=True)
    if os.path.abspath(places.program) != here:
        for part in PARTS:
            source, target = os.path.join(here, part), os.path.join(places.program, part)
            if part == "kit.json" or not os.path.exists(source):
                continue
            if os.path.isdir(source):
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(source, target + ".new")
                os.replace(target + ".new", target)
    with open(old + ".new", "w", encoding="utf-8", newline="\n") as file:
        json.dump(raw, file, ensure_ascii=False, indent=2)
        file.write("\n")
    os.replace(old + ".new", old)
    return Kit(old)


def schedule(kit, places):
    """Renders this system's launcher; gives (files to write: path → bytes, commands that start it, those that stop it)."""
    launchers = os.path.join(places.program, "launchers")
    script = os.path.join(places.program, "octonas_sync.py")
    python, minutes = sys.executable or "python3", max(1, kit.every // 60)
    name = "octonas-sync-" + kit.name
    if places.system == "Linux":
        folder = "/etc/systemd/system" if places.root else os.path.join(
            os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "systemd", "user")
        values = {
            "COMMAND": unit_words(python, *ISOLATED, script, "run", "--quiet"),
            "DATA": unit_word(places.data),
            "DIRECTORY": ("ReadWritePaths=" + unit_word(kit.directory)) if kit.transport == "directory" else "",
        }
        files = {}
        for kind in ("service", "timer"):
            text = render(os.path.join(launchers, "octonas-sync." + kind), values, False)
            text = re.sub(r"(?m)^#system (.*)\n", r"\1\n" if places.root else "", text)
            text = re.sub(r"(?m)^\n?(?=\n\n)", "", text)
            files[os.path.join(folder, "%s.%s" % (name, kind))] = text.encode("utf-8")
        control = ["systemctl"] if places.root else ["systemctl", "--user"]
        return files, [control + ["daemon-reload"], control + ["enable", "--now", name + ".timer"]], [
            control + ["disable", "--now", name + ".timer"]]
    if places.system == "Darwin":
        label = "fr.octonas.sync." + kit.name
        path = os.path.expanduser("~/Library/LaunchAgents/%s.plist" % label)
        values = {"PYTHON": python, "SCRIPT": script, "LABEL": label, "LOG": places.at("launchd.log")}
        text = render(os.path.join(launchers, "launchd.plist"), values, True)
        domain = "gui/%d" % (os.getuid() if hasattr(os, "getuid") else 0)
        return {path: text.encode("utf-8")}, [["launchctl", "bootstrap", domain, path]], [
            ["launchctl", "bootout", "%s/%s" % (domain, label)]]
    if places.system == "Windows":
        quiet = os.path.join(os.path.dirname(python), "pythonw.exe")
        user = "\\".join(filter(None, [os.environ.get("USERDOMAIN"), os.environ.get("USERNAME")]))
        values = {
            "PYTHON": quiet if os.path.isfile(quiet) else python,
            "ARGUMENTS": "%s %s run --quiet" % (" ".join(ISOLATED), windows_argument(script)),
            "PROGRAM": places.program, "USER": user, "MINUTES": str(min(minutes, 31 * 24 * 60)),
            # S4U: also while nobody is logged on, without a stored password; such a session has no access to shares.
            "LOGON": "InteractiveToken" if kit.transport == "directory" else "S4U",
        }
        text = render(os.path.join(launchers, "task.xml"), values, True)
        path = os.path.join(places.data, "task.xml")
        # The Task Scheduler exports UTF-16 and reads it back without complaint; UTF-8 it does not always take.
        text = text.replace('encoding="UTF-8"', 'encoding="UTF-16"').replace("\r\n", "\n").replace("\n", "\r\n")
        task = "OctoNAS\\" + kit.name
        return {path: b"\xff\xfe" + text.encode("utf-16-le")}, [
            ["schtasks", "/Create", "/TN", task, "/XML", path, "/F"]], [["schtasks", "/Delete", "/TN", task, "/F"]]
    raise Trouble(t("this system has no scheduler that the kit knows: start `run` regularly by other means"))


def start(command):
    """Runs a program of the system; what it says where it failed."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=60, **hidden_window())
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else printable(done.stdout.decode("utf-8", "replace").strip()) or str(done.returncode)


def command_install(kit, places, arguments):
    """`install`: the program to its place, the schedule to the system's."""
    kit = place_program(kit, places, arguments.watch)
    places.make()
    files, starts, _ = schedule(kit, places)
    for path, data in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    say(t("installed in {path}", path=places.program))
    if not arguments.no_schedule:
        for command in starts:
            why = start(command)
            if why and places.system == "Windows":
                # Without an administrator's rights only a task for the time that one is logged on can be made.
                (path, data), = files.items()
                with open(path, "wb") as file:
                    file.write(data.decode("utf-16").replace(">S4U<", ">InteractiveToken<").encode("utf-16"))
                why = start(command)
            if why:
                raise Trouble(t("{command} failed: {why}", command=" ".join(command), why=why))
        say(t("scheduled: every {minutes} min", minutes=max(1, kit.every // 60)))
        if places.system == "Linux" and not places.root:
            say(t("to let it run while nobody is logged in: {command}", command="loginctl enable-linger"))
    script = os.path.join(places.program, "octonas_sync.py")
    next_command = "enrol" if kit.transport == "sftp" and not os.path.isfile(places.at("id_ed25519")) else "self-test"
    say(t("next: {command}", command='%s "%s" %s' % (os.path.basename(sys.executable or "python3"), script, next_command)))
    return DONE


def command_uninstall(kit, places, arguments):
    """`uninstall`: the schedule and the program go; the key, the state and the log only with --purge."""
    import shutil

    if os.path.isdir(os.path.join(places.program, "launchers")):
        files, _, stops = schedule(kit, places)
        for command in stops:
            if not arguments.no_schedule:
                start(command)
        for path in files:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        if places.system == "Linux" and not arguments.no_schedule:
            start((["systemctl"] if places.root else ["systemctl", "--user"]) + ["daemon-reload"])
    for part in PARTS:
        path = os.path.join(places.program, part)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
    shutil.rmtree(os.path.join(places.program, "__pycache__"), ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(places.program)
    if arguments.purge:
        shutil.rmtree(places.data, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(places.data))
        say(t("removed, with the key, the state and the log"))
    else:
        say(t("removed; the key, the state and the log are kept in {path}", path=places.data))
    return DONE


# -- Command line -----------------------------------------------------------------------------------------------------


def parser():
    """The command line."""
    top = argparse.ArgumentParser(prog="octonas_sync.py", description=__doc__.split("\n", 1)[0])
    top.add_argument("--kit", metavar="FILE", help="another kit.json than the one beside the program")
    top.add_argument("--version", action="version", version="octonas_sync " + VERSION)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True

    def add(name, function, text):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    run = add("run", command_run, "look, send what is ready, read the receipts")
    run.add_argument("--dry-run", action="store_true", help="say what would be sent; send nothing")
    run.add_argument("--quiet", action="store_true", help="say nothing when all is well")
    run.add_argument("--json", action="store_true", help="the summary as JSON")
    add("enrol", command_enrol, "make this machine's key and show its public half")
    add("self-test", command_self_test, "try everything that a run needs")
    status = add("status", command_status, "the last run, and what is still open")
    status.add_argument("--json", action="store_true", help="as JSON")
    install = add("install", command_install, "copy the program to its place and schedule it")
    install.add_argument("--watch", action="append", metavar="DIRECTORY", help="also watch this directory (repeatable)")
    install.add_argument("--no-schedule", action="store_true", help="write the launcher, but do not start it")
    uninstall = add("uninstall", command_uninstall, "take the schedule and the program away")
    uninstall.add_argument("--purge", action="store_true", help="the key, the state and the log as well")
    uninstall.add_argument("--no-schedule", action="store_true", help="do not speak to the system's scheduler")
    return top


def main(argv=None):
    """Runs a command; gives the exit code."""
    global _language
    os.umask(0o077)
    if not WINDOWS:
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # a lease of ours that somebody breaks
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = parser().parse_args(argv)
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kit.json")
    try:
        kit = Kit(os.path.abspath(arguments.kit or beside))
        _language = kit.language
        return arguments.function(kit, Places(kit), arguments)
    except Trouble as error:
        say(str(error), sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        say(t("interrupted; the next run goes on from here"), sys.stderr)
        return INTERRUPTED
    except OSError as error:
        say(str(error), sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
