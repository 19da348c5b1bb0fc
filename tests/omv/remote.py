"""What runs on the NAS (sent to `python3 -`): RPCs on the socket of omv-engined, and a look at trees."""

import hashlib
import json
import os
import pwd
import grp
import socket
import stat
import struct
import sys


def answer(value):
    json.dump(value, sys.stdout)


def rpc(service, method, params, timeout):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    connection.connect(os.environ.get("OMV_ENGINED_SO_ADDRESS", "/var/lib/openmediavault/engined.sock"))
    request = {"service": service, "method": method, "params": {} if params is None else params,
               "context": {"username": "admin", "role": 1}}
    connection.sendall(json.dumps(request).encode() + b"\0")
    received = b""
    while not received.endswith(b"\0"):
        part = connection.recv(65536)
        if not part:
            break
        received += part
    return json.loads(received.rstrip(b"\0"))


def acl(path, name="system.posix_acl_access"):
    """The ACL in short text, entries sorted as the kernel keeps them; empty where there is none."""
    try:
        raw = os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return ""
    words = []
    for tag, perm, number in struct.iter_unpack("<HHI", raw[4:]):
        bits = "".join(letter if perm & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        if tag == 0x02:
            who = "u:" + user(number)
        elif tag == 0x08:
            who = "g:" + group(number)
        else:
            who = {0x01: "u:", 0x04: "g:", 0x10: "m:", 0x20: "o:"}[tag]
        words.append(f"{who}:{bits}")
    return ",".join(words)


def user(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group(gid):
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def look(path):
    found = os.lstat(path)
    kind = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}.get(stat.S_IFMT(found.st_mode), "other")
    entry = {"kind": kind, "mode": f"{stat.S_IMODE(found.st_mode):04o}", "owner": user(found.st_uid),
             "group": group(found.st_gid), "size": found.st_size, "inode": found.st_ino, "mtime": int(found.st_mtime)}
    if kind == "file":
        with open(path, "rb") as file:
            entry["text"] = file.read(64).decode(errors="replace")
    if kind in ("file", "dir"):
        entry["acl"] = acl(path)
    if kind == "dir":
        entry["default"] = acl(path, "system.posix_acl_default")
    return entry


def tree(path):
    found = {}
    if os.path.lexists(path):
        found["."] = look(path)
    for folder, directories, files in os.walk(path):
        for name in directories + files:
            full = os.path.join(folder, name)
            try:
                found[os.path.relpath(full, path)] = look(full)
            except FileNotFoundError:
                pass
    return found
