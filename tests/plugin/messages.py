"""The texts of the pages: which there are, and whether they are all translated.

A text is marked `_("…")` where it is a whole value of a manifest. Inside a template it is `"…" | translate`, or a value
of a map that the template sets. `messages.py pot` writes the list for translators.
"""

import json
import re
import sys
from pathlib import Path

import yaml

MARKED = re.compile(r'_\("(.+)"\)')
# What the web interface gives back as it is when no translation is there.
SYMBOLIC = {"octonas-language"}
ERRORS = Path(__file__).resolve().parents[2] / "docs/reference/errors.md"


def strings(node):
    """All texts in a manifest."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for item in node.values():
            yield from strings(item)


def of_text(text):
    """The texts for people in one value of a manifest."""
    marked = MARKED.fullmatch(text)
    if marked:
        yield marked.group(1)
        return
    yield from re.findall(r'"([^"]+)" \| translate', text)
    for values in re.findall(r"\{% set \w+ = (\{.*?\}) %\}", text):
        yield from json.loads(values).values()


def collect(plugin):
    """Text → files in which it is, in the order of the files."""
    found = {}
    for path in sorted(Path(plugin).glob("workbench/*/*.yaml")):
        for value in strings(yaml.safe_load(path.read_text(encoding="utf-8"))):
            for text in of_text(value):
                found.setdefault(text, set()).add(f"{path.parent.name}/{path.name}")
    for path in sorted([*Path(plugin).glob("engined/**/*.inc"), *Path(plugin).parent.glob("php/**/*.inc")]):
        for text in re.findall(r'gettext\(\s*"([^"]+)"\s*\)', path.read_text(encoding="utf-8")):
            found.setdefault(text, set()).add(path.name)
    return found


def unquote(text):
    return json.loads(text)


def read_po(path):
    """msgid → msgstr of a file that has one line each; comments and the header apart."""
    entries, key = {}, None
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("msgid "):
            key = unquote(line[6:])
            if key in entries:
                raise ValueError(f"{path}:{number}: {key!r} is here twice")
        elif line.startswith("msgstr "):
            entries[key] = unquote(line[7:])
        elif line.startswith("#, fuzzy"):
            raise ValueError(f"{path}:{number}: a fuzzy entry is dropped")
        elif line and not line.startswith(("#", '"')):
            raise ValueError(f"{path}:{number}: not understood")
    entries.pop("", None)
    return entries


def problems(plugin, language):
    """What is missing in a translation, or left over."""
    said = []
    entries = read_po(Path(plugin) / "locale" / language / "openmediavault-octonas.po")
    wanted = collect(plugin)
    for text in wanted:
        if not entries.get(text):
            said.append(f"{language}: no translation of {text!r}")
            continue
        for token in re.findall(r"\{\{.*?\}\}", text):
            if token not in entries[text]:
                said.append(f"{language}: {token} is lost in the translation of {text!r}")
    # The common errors have a sentence by their code; any that is documented may have one.
    codes = re.findall(r"^\| `([a-z.-]+)`", ERRORS.read_text(encoding="utf-8"), re.M)
    named = {f"octonas-error:{code}" for code in codes}
    for text in set(entries) - set(wanted) - named:
        said.append(f"{language}: {text!r} is nowhere in the pages")
    return said


def pot(plugin):
    """The list for translators."""
    lines = ['msgid ""', 'msgstr ""', '"Content-Type: text/plain; charset=UTF-8\\n"', ""]
    for text, files in collect(plugin).items():
        lines += [f"#: {' '.join(sorted(files))}", f"msgid {json.dumps(text, ensure_ascii=False)}", 'msgstr ""', ""]
    return "\n".join(lines)


if __name__ == "__main__":
    directory = Path(__file__).resolve().parents[2] / "omv-plugin/usr/share/openmediavault"
    if sys.argv[1:] != ["pot"]:
        sys.exit("usage: messages.py pot")
    (directory / "locale/openmediavault-octonas.pot").write_text(pot(directory), encoding="utf-8")
