"""The parameters that openmediavault 8 asks for, checked in its words (json/schema.inc, datamodel/schema.inc)."""

import json
import re

EXPORT_OPTIONS_PATTERN = r"^(([a-zA-Z_]+)(=([\w@:\/]+))?[,])*([a-zA-Z_]+)(=([\w@:\/]+))?$"
EXPORT_OPTIONS = re.compile(EXPORT_OPTIONS_PATTERN)
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.I)
FORMATS = {
    "uuidv4": (UUID, "is not an UUIDv4"),
    "username": (re.compile(r"^[a-zA-Z0-9_.][a-zA-Z0-9_.-]*\$?$"), "is not a valid user name"),
    "sharename": (re.compile(r'^(?! )[^"\x00-\x1f\\/\[\]:|<>+=;,*?]+(?<! )$'), "is not a valid share name"),
    "email": (re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$"), "is not a valid email address"),
}


class Invalid(Exception):
    """A value that does not fit its schema."""


def text(required=True, **more):
    return {"type": "string", "required": required, **more}


def flag(required=True):
    return {"type": "boolean", "required": required}


def number(required=True, **more):
    return {"type": "integer", "required": required, **more}


def rows(items, required=True):
    return {"type": "array", "items": items, "required": required}


def record(required=True, **properties):
    return {"type": "object", "properties": properties, "required": required}


def uuid(required=True):
    return text(required, format="uuidv4")


def name():
    return text(format="username")


EMAIL = {"type": "string", "required": True,
         "oneOf": [{"type": "string", "format": "email"}, {"type": "string", "maxLength": 0}]}
LIST = dict(start=number(), limit={"type": ["integer", "null"], "required": True},
            sortfield={"type": ["string", "null"]}, sortdir={"type": ["string", "null"]},
            search={"type": ["string", "integer", "null"]})
DETAIL = record(detail=text(False, enum=["basic", "full"]))
PRIVILEGE = record(name=name(), perms=number(enum=[0, 5, 7]), type=text(enum=["user", "group"]))

PARAMS = {
    "usermgmt.enumerateallusers": DETAIL,
    "usermgmt.enumerateusers": DETAIL,
    "usermgmt.getuser": record(name=name()),
    "usermgmt.getgroup": record(name=name()),
    "usermgmt.deletegroup": record(name=name()),
    "usermgmt.deleteuser": record(name=name()),
    "usermgmt.getgrouplist": record(**LIST),
    "usermgmt.getuserlist": record(**LIST, detail=text(False, enum=["basic", "full"])),
    "usermgmt.setgroup": record(name=name(), gid=number(False), comment=text(), members=rows(name())),
    "usermgmt.setuser": record(
        name=name(), uid=number(False), groups=rows(text()), shell=text(False),
        password=text(format="no-multi-line"), email=EMAIL, comment=text(False),
        disallowusermod=flag(), sshpubkeys=rows(text())),
    "sharemgmt.set": record(
        uuid=uuid(), name=text(format="sharename", maxLength=80), reldirpath=text(), comment=text(),
        mntentref=uuid(), mode=text(False, enum=["700", "750", "755", "770", "775", "777"])),
    "sharemgmt.get": record(uuid=uuid()),
    "sharemgmt.getpath": record(uuid=uuid()),
    "sharemgmt.getprivileges": record(uuid=uuid()),
    "sharemgmt.getlist": record(**LIST),
    "sharemgmt.delete": record(uuid=uuid(), recursive=flag()),
    "sharemgmt.setprivileges": record(uuid=uuid(), privileges=rows(PRIVILEGE, False)),
    "smb.getshare": record(uuid=uuid()),
    "smb.deleteshare": record(uuid=uuid()),
    "smb.getsharelist": record(**LIST),
    "smb.setshare": record(
        uuid=uuid(), enable=flag(), sharedfolderref=uuid(), comment=text(),
        guest=text(enum=["no", "allow", "only"]), readonly=flag(), browseable=flag(), recyclebin=flag(),
        recyclemaxsize=number(minimum=0), recyclemaxage=number(minimum=0), hidedotfiles=flag(),
        inheritacls=flag(), inheritpermissions=flag(), easupport=flag(), storedosattributes=flag(),
        hostsallow=text(), hostsdeny=text(), audit=flag(), timemachine=flag(False), extraoptions=text()),
    "ftp.getshare": record(uuid=uuid()),
    "ftp.deleteshare": record(uuid=uuid()),
    "ftp.setshare": record(
        uuid=uuid(), enable=flag(), sharedfolderref=uuid(), extraoptions=text(), comment=text()),
    "nfs.getshare": record(uuid=uuid()),
    "nfs.deleteshare": record(uuid=uuid()),
    "nfs.setshare": record(
        uuid=uuid(), sharedfolderref=uuid(), mntentref=uuid(), client=text(), options=text(), extraoptions=text(),
        comment=text()),
    "rsyncd.getmodule": record(uuid=uuid()),
    "rsyncd.deletemodule": record(uuid=uuid()),
    "rsyncd.setmodule": record(
        uuid=uuid(), enable=flag(), sharedfolderref=uuid(), name=text(), comment=text(), uid=text(), gid=text(),
        readonly=flag(), writeonly=flag(), maxconnections=number(minimum=0), list=flag(), hostsallow=text(),
        hostsdeny=text(), authusers=flag(), usechroot=flag(),
        users=rows(record(name=text(), password=text(format="no-multi-line"))), extraoptions=text()),
    "config.getlist": record(id=text(), **LIST),
    "config.get": record(id=text(), uuid=uuid(False)),
    "config.set": record(id=text(), data=record()),
    "config.delete": record(id=text(), uuid=uuid(False)),
    "config.isdirty": record(modules=rows(text(), False)),
    "config.applychanges": record(modules=rows(text()), force=flag()),
    "config.applychangesbg": record(modules=rows(text()), force=flag()),
    "config.revertchanges": record(filename=text(False)),
    "exec.isrunning": record(filename=text()),
    "exec.getoutput": record(filename=text(), pos=number(), length=number(False)),
    "exec.stop": record(filename=text()),
}

# Configuration objects: field → (type, default); None = required.
MODELS = {
    "conf.service.smb.share": {
        "uuid": (str, None), "enable": (bool, False), "sharedfolderref": (str, None), "comment": (str, ""),
        "guest": (str, "no"), "readonly": (bool, False), "browseable": (bool, True), "recyclebin": (bool, False),
        "recyclemaxsize": (int, 0), "recyclemaxage": (int, 0), "hidedotfiles": (bool, True),
        "inheritacls": (bool, True), "inheritpermissions": (bool, False), "easupport": (bool, True),
        "storedosattributes": (bool, False), "hostsallow": (str, ""), "hostsdeny": (str, ""),
        "audit": (bool, False), "timemachine": (bool, False), "timemachinemaxsize": (str, ""),
        "transportencryption": (bool, False), "followsymlinks": (bool, True), "widelinks": (bool, False),
        "extraoptions": (str, "")},
    "conf.service.ftp.share": {
        "uuid": (str, None), "enable": (bool, False), "sharedfolderref": (str, None), "extraoptions": (str, ""),
        "comment": (str, "")},
    "conf.service.nfs.share": {
        "uuid": (str, None), "sharedfolderref": (str, None), "mntentref": (str, None), "client": (str, ""),
        "options": (str, ""), "comment": (str, ""), "extraoptions": (str, "")},
    "conf.service.rsyncd.module": {
        "uuid": (str, None), "enable": (bool, False), "sharedfolderref": (str, None), "uid": (str, ""),
        "gid": (str, ""), "name": (str, ""), "comment": (str, ""), "readonly": (bool, False),
        "writeonly": (bool, False), "maxconnections": (int, 0), "list": (bool, True), "hostsallow": (str, ""),
        "hostsdeny": (str, ""), "extraoptions": (str, ""), "authusers": (bool, False), "usechroot": (bool, False),
        "users": ((dict, str), "")},
    "conf.service.octonas.experiment": {
        "uuid": (str, None), "id": (str, ""), "code": (str, ""), "path": (str, ""),
        "sharedfolderref": (str, ""), "readonly": (bool, False), "sftp": (bool, False),
        "rsync": (bool, False), "writers": (str, ""), "readers": (str, "")},
    "conf.service.octonas.source": {
        "uuid": (str, None), "id": (str, ""), "code": (str, ""), "source": (str, ""), "account": (str, ""),
        "path": (str, ""), "readonly": (bool, False), "keys": (str, "")},
    "conf.service.octonas.base": {
        "uuid": (str, None), "mntentref": (str, ""), "reldirpath": (str, ""), "sharename": (str, "")},
}


def validate(value, schema, path=""):
    """Raises Invalid in the words of OpenMediaVault."""
    if value is None and not path:
        raise Invalid(': The value "null" is not an object.')
    types = schema.get("type", "any")
    last = None
    for kind in types if isinstance(types, list) else [types]:
        try:
            return _validate(value, kind, schema, path)
        except Invalid as e:
            last = e
    raise last


def _validate(value, kind, schema, path):
    shown = json.dumps(value)
    fits = {
        "any": True,
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "array": isinstance(value, list),
        "object": not value or isinstance(value, dict),
        "null": value is None,
    }[kind]
    if not fits:
        if kind == "boolean":
            shown = f"'{shown}'"
        article = "an" if kind in ("integer", "array", "object") else "a"
        raise Invalid(f"{path}: The value {shown} is not {article} {'NULL' if kind == 'null' else kind}.")
    if kind == "object":
        value = value or {}
        for key, sub in schema["properties"].items():
            below = f"{path}.{key}" if path else key
            if key in value:
                validate(value[key], sub, below)
            elif sub.get("required") is True:
                raise Invalid(f"{path}: Missing 'required' attribute '{below}'.")
    if kind == "array":
        for i, item in enumerate(value):
            validate(item, schema["items"], f"{path}[{i}]")
    if "minimum" in schema and value < schema["minimum"]:
        raise Invalid(f"{path}: The value '{value}' is less than {schema['minimum']}.")
    if "maxLength" in schema and len(value.encode()) > schema["maxLength"]:
        raise Invalid(f"{path}: The value '{value}' is too long, maximum length is {schema['maxLength']}.")
    if schema.get("format") == "no-multi-line":
        if "\n" in value or "\r" in value:
            raise Invalid(f"{path}: The value contains a multi-line content.")
    elif "format" in schema:
        pattern, complaint = FORMATS[schema["format"]]
        if not pattern.match(value):
            raise Invalid(f"{path}: The value '{value}' {complaint}.")
    if "enum" in schema and value not in schema["enum"]:
        allowed = ",".join(str(v) for v in schema["enum"])
        raise Invalid(f"{path}: Invalid value '{value}', allowed values are '{allowed}'.")
    if "oneOf" in schema:
        for sub in schema["oneOf"]:
            try:
                return validate(value, sub, path)
            except Invalid:
                pass
        raise Invalid(f"{path}: The value {shown} does not match exactly one schema of {json.dumps(schema['oneOf'], separators=(',', ':'))}.")
    return None
