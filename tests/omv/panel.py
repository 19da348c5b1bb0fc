"""The pages of the plugin in a real browser: `tests/omv/pages`, with the people of the test."""

import json
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent / "pages"
CODE = "otest-pages"
OLD = "otest-taken"
# What each of them becomes in the experiment that the pages make.
ROLES = {"manage": "otalice", "write": "otbob", "read": "otcarol", "stranger": "otxavier"}
PATIENCE = 2400


def lay_down(site):
    """A directory that the stranger uses, to be imported."""
    top = f"{site.base}/{OLD}"
    site.nas.must(f"mkdir -p '{top}/raw' '{top}/2019 photos'; echo a >'{top}/raw/a.csv'; echo n >'{top}/notes.txt'\n"
                  f"chown -R {ROLES['stranger']}:users '{top}'; chmod -R u=rwX,g=rwX,o= '{top}'")
    return {"code": OLD, "path": top}


def run(site, findings):
    """Every check of the driver becomes one of ours."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not (chromium and shutil.which("node") and shutil.which("npm")):
        findings.note("SKIPPED: the pages need chromium, nodejs and npm here")
        return
    if not (HERE / "node_modules").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-fund", "--no-audit"], cwd=HERE, check=True, timeout=300)
    people = {role: {"name": name, "password": site.passwords[name]} for role, name in ROLES.items()}
    about = {
        "url": os.environ.get("OMV_URL", f"http://{site.nas.address}/"),
        "code": CODE,
        "pictures": os.environ.get("OMV_PICTURES", str(pathlib.Path("target/pages").resolve())),
        "admin": {"name": "admin", "password": os.environ.get("OMV_ADMIN_PASSWORD", "openmediavault")},
        **people,
        "old": lay_down(site),
        "shell": ["ssh", *site.nas.options, site.nas.host],
    }
    # Passwords go through standard input.
    parts = os.environ.get("OMV_PAGES", "").split()
    driver = subprocess.Popen(["node", "main.mjs", *parts], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "CHROMIUM": chromium})
    driver.stdin.write(json.dumps(about))
    driver.stdin.close()
    for line in driver.stdout:
        verdict, _, what = line.rstrip("\n").partition(" ")
        if verdict == "ok":
            findings.check(True, what.strip())
        elif verdict == "FAIL":
            findings.check(False, what.strip())
        elif line.strip():
            findings.note(line.rstrip("\n"))
    driver.wait(timeout=PATIENCE)
    findings.check(driver.returncode in (0, 1), "the driver of the pages runs to its end", driver.returncode)
    findings.note(f"pictures of every page: {about['pictures']}")
    if not parts or "end" in parts:
        kept_apart(site, findings)


def kept_apart(site, findings):
    """What the panel removed keeps its data, shut, until somebody deletes it: here, that is us."""
    for code in (CODE, OLD):
        top = f"{site.base}/{code}"
        state = site.nas.sh(f"stat -c %A '{top}/raw' && ! findmnt '{top}'")
        findings.check(state.code == 0 and state.out.split()[0].endswith("---"), f"{code}: removed, its data is still there, shut", state)
        site.nas.must(f"rm -rf --one-file-system '{top}'")
