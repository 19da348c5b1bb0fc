"""The people and the two experiments of walls.md section 9."""

import json

ECO, LAKE = "otest-eco", "otest-lake"

# account → (how it is made, access in ECO, access in LAKE)
PEOPLE = {
    "otalice": ("panel", "manage", "read"),
    "otbob": ("octonas", "write", None),
    "otcarol": ("octonas", "read", None),
    "otdan": ("panel", None, "write"),
    "oterin": ("octonas", None, "manage"),
    "otxavier": ("panel", None, None),
    "otyves": ("shell", None, None),
}
EMPTY = "otempty"
# A machine that comes in over SMB.
GATEWAY = "otgateway"
EXPERIMENTS = {ECO: 1, LAKE: 2}


def access(account, code):
    """manage, write, read or None."""
    return PEOPLE[account][EXPERIMENTS[code]]


def writers(code):
    return [name for name in PEOPLE if access(name, code) in ("manage", "write")]


def definition(code, base, people=None, **more):
    """A definition, as JSON (which is YAML). `people`: {account: access or (access, until)}."""
    if people is None:
        people = {name: access(name, code) for name in PEOPLE if access(name, code)}
    persons = []
    for account, right in people.items():
        right, until = right if isinstance(right, tuple) else (right, None)
        person = {"name": f"Test {account}", "account": account, "access": right, "roles": ["researcher"]}
        if until:
            person["until"] = until
        persons.append(person)
    text = {"octonas": 1, "code": code, "title": f"Test {code}", "language": "en", "status": "active",
            "people": persons, "layout": "minimal", "storage": {"base": base},
            "protocols": {"smb": True, "sftp": True, "rsync": True}}
    text.update(more)
    return json.dumps(text)


def make_account(nas, name, password, shell="/bin/sh", groups=("users",)):
    """An account as the panel makes it."""
    nas.rpc("UserMgmt", "setUser", {"name": name, "groups": list(groups), "shell": shell, "password": password,
                                    "email": "", "comment": "OctoNAS test", "disallowusermod": False, "sshpubkeys": []})


def delete_account(nas, name):
    nas.rpc("UserMgmt", "deleteUser", {"name": name})
