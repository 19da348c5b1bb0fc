"""The plans of many experiments, made by the real program on an embedded NAS, before other people's validators."""

import contextlib
import html.parser
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import madmpy

OCTONAS, EXAMPLES = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
RDA_SCHEMA, OPIDOR = os.environ.get("RDA_SCHEMA"), os.environ.get("OPIDOR")

NASTY = "<script>alert(1)</script> | `x` **b** [l](javascript:alert(1)) {{this}} R&D \"q\" 'q' é😀 \\"
ACCOUNTS = {"mdurand", "kbenali", "cpetit", "lmoreau", "cfontaine", "ylegoff", "plefevre", "nhaddad", "zaccount"}

MINIMAL = "octonas: 1\ncode: mini\ntitle: M\nlayout: minimal\n"
HOSTILE = json.dumps({
    "octonas": 1, "code": "hostile", "title": NASTY, "description": NASTY + "\n\n# h\n- i\n| a | b |\n", "language": "fr",
    "dates": {"start": "2024-02-29", "end": "2024-02-29"},
    "facility": {"name": NASTY, "platform": NASTY, "chambers": [NASTY[:90], "b|c"]},
    "people": [
        {"name": NASTY, "affiliation": NASTY, "email": "z@secret.example", "account": "zaccount", "access": "manage",
         "roles": ["principal-investigator", "project-leader", "technician"]},
        {"name": "X", "email": "hidden@secret.example"},
    ],
    "sources": [{"id": "s", "kind": "windows", "into": "raw", "description": NASTY}],
    "variables": [{"name": NASTY[:90], "label": NASTY, "unit": "%|", "sensor": NASTY}],
    "keywords": [NASTY], "funding": [{"funder": NASTY, "grant": NASTY[:90]}],
    "protocols": {"nfs": [{"host": "calc.machine.example", "access": "read"}, {"host": "10.1.2.3", "access": "read"}]},
    "layout": "minimal", "retention": {"years": 100},
})
ENGLISH = MINIMAL.replace("mini", "english", 1) + "language: en\nlicence: CC-BY-4.0\npeople: [{name: Ada}]\n"

TEXTS = [str(n) + letter for n, letters in enumerate(["ab", "ab", "ab", "abc", "abcd", "ab"], 1) for letter in letters]
CHOICES = [
    {"plan-of": "project", "reuse": "no", "sensitive-data": "no", "personal-data": "no", "ethical-issues": "no",
     "access": "open", "release": "2028-01-01", "repository": "https://entrepot.recherche.data.gouv.fr/dataverse/x"},
    {"plan-of": "entity", "reuse": "yes", "sensitive-data": "yes", "personal-data": "yes", "ethical-issues": "yes",
     "access": "embargoed", "release": "2030-12-31", "repository": "https://data.example.org",
     "identifier": "https://doi.org/10.5281/zenodo.1234567"},
    {"personal-data": "unknown", "access": "restricted", "identifier": "https://n2t.net/ark:/12345/x1"},
    {"access": "closed", "sensitive-data": "unknown"},
]

problems = []
judged = {"plans": 0, "madmpy": 0, "rda": 0, "opidor": 0, "html": 0}


def octonas(*arguments, text=None):
    ran = subprocess.run([OCTONAS, "--quiet", *arguments], input=text, text=True, capture_output=True)
    if ran.returncode:
        sys.exit(f"octonas {' '.join(arguments)}: {ran.stderr}")
    return ran.stdout


def orcids(value):
    """ORCID iDs by ISO 7064 mod 11-2: nobody's validator does it."""
    for digits in re.findall(r"\d{4}-\d{4}-\d{4}-\d{3}[\dX]", value):
        total = 0
        for digit in digits.replace("-", "")[:-1]:
            total = (total + int(digit)) * 2
        check = (12 - total % 11) % 11
        if digits[-1] != ("X" if check == 10 else str(check)):
            yield digits


class Page(html.parser.HTMLParser):
    """What a page would do."""

    def __init__(self):
        super().__init__()
        self.wrong, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("script", "img", "iframe", "object", "embed", "form", "link", "base", "svg"):
            self.wrong.append(f"<{tag}>")
        for name, value in attributes:
            if name.startswith("on") or (name in ("href", "src") and value and re.match(r"\s*(javascript|data|vbscript):", value, re.I)):
                self.wrong.append(f"{tag} {name}={value}")


def opidor_schema(kind):
    """Their templates put together: a reference by number becomes the template that it names."""
    def load(name):
        schema = json.loads((pathlib.Path(OPIDOR) / "templates" / f"{name}-template.json").read_text())
        return build(schema)

    def registry(name):
        path = pathlib.Path(OPIDOR) / "registries" / f"{name}.json"
        rows = next(iter(json.loads(path.read_text()).values()))
        return [row.get("value") or row.get("fr_FR") for row in rows if not isinstance(row.get("fr_FR"), dict)]

    def build(node):
        if node.get("type") == "object" and "template_name" in node:
            return load(node["template_name"])
        out = {k: v for k, v in node.items() if k in ("type", "format", "minItems", "required")}
        if node.get("type") == "string" and "registries" in node and not node.get("overridable"):
            out["enum"] = [label for name in node["registries"] if name.startswith(("Role", "Yes", "Data", "Funding", "Name", "ISO639-3_fra", "ISO3166"))
                           for label in registry(name)] or None
            if out["enum"] is None:
                del out["enum"]
        # Some say «overridable», and yet a label of theirs is what we owe them.
        for names in (node.get("registries") or []), :
            if node.get("type") == "string" and names and names[0] in ("DMPVersion", "PIDSystem", "AgentIdSystem", "OrganizationIdSystem", "VolumeUnit", "BackupType"):
                out["enum"] = [label for name in names for label in registry(name)]
        if "properties" in node:
            out["properties"] = {k: build(v) for k, v in node["properties"].items()}
            out["additionalProperties"] = False
        if isinstance(node.get("items"), dict):
            out["items"] = build(node["items"])
            if (node.get("registries") or [""])[0] in ("StorageType", "PIDSystem"):
                out["items"] = {"enum": registry(node["registries"][0])}
        return out

    return load(kind)


#: What their templates require and nobody can know before a deposit, or before somebody said it.
UNKNOWN = {
    "identifier", "controlledKeyword", "dataNature", "releaseDate", "availableUntil", "accessUrl", "license", "licenseStartDate",
    "dataAccess", "fileFormat", "legalReference", "startDate", "endDate", "funding", "partner", "principalInvestigator",
    "contributor", "personId", "idType", "affiliationName", "affiliationId", "affiliationIdType", "fundingStatus", "geoLocation",
}


def opidor_errors(plan):
    kind = "DMPResearchEntity" if "researchEntity" in plan else "DMPResearchProject"
    validator = jsonschema.Draft7Validator(opidor_schema(kind), format_checker=jsonschema.FormatChecker())
    for error in validator.iter_errors(plan):
        missing = re.match(r"'(\w+)' is a required property", error.message)
        if not (missing and missing.group(1) in UNKNOWN):
            yield f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
    # What their import asks for (app/services/import/validators/standard.rb).
    if not (plan.get("meta") and (plan.get("project") or plan.get("researchEntity")) and plan.get("researchOutput")):
        yield "their import would refuse it"
    if not all(each["person"].get("mbox") for each in plan["meta"]["contact"]):
        yield "their import would refuse its contact"


def judge(code, step, directory):
    judged["plans"] += 1
    texts = {name: octonas("dmp", "show", code, "--format", form, *more) for name, form, more in [
        ("madmp", "madmp", []), ("opidor", "opidor", []),
        ("fr.md", "md", ["--language", "fr"]), ("en.md", "md", ["--language", "en"]),
        ("fr.html", "html", ["--language", "fr"]), ("en.html", "html", ["--language", "en"]),
    ]}
    say = lambda who, what: problems.append(f"{code} ({step}): {who}: {what}")
    path = directory / "plan.json"
    path.write_text(texts["madmp"])
    plan = json.loads(texts["madmp"])
    madmpy.set_version("1.2")
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        valid = madmpy.validate_DMP(path)
    judged["madmpy"] += 1
    if valid is not True:
        say("madmpy", heard.getvalue())
    if RDA_SCHEMA:
        judged["rda"] += 1
        schema = json.loads(pathlib.Path(RDA_SCHEMA).read_text())
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        for error in validator.iter_errors(plan):
            say("RDA schema", f"{'/'.join(map(str, error.path))}: {error.message[:200]}")
    if OPIDOR:
        judged["opidor"] += 1
        for error in opidor_errors(json.loads(texts["opidor"])):
            say("OPIDoR", error)
    for name, text in texts.items():
        for wrong in orcids(text):
            say(name, f"the ORCID {wrong} has a wrong check digit")
        for account in ACCOUNTS:
            if re.search(rf"\b{account}\b", text):
                say(name, f"the account {account} is in it")
        for secret in ("secret.example", "machine.example", "10.1.2.3", str(directory), os.uname().nodename):
            if secret in text:
                say(name, f"{secret} is in it")
        mails = set(re.findall(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text)) - {"a-completer@octonas.invalid"}
        if len(mails) > 1:
            say(name, f"more than the contact's address: {mails}")
        if name.endswith(".html"):
            judged["html"] += 1
            page = Page()
            page.feed(text)
            if page.wrong:
                say(name, page.wrong)
        if name.endswith((".md", ".html")) and "{{" in text and "{{this}}" not in NASTY:
            say(name, "a template's mark is in it")


def main():
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        os.environ["OCTONAS_NAS"] = f"local:{directory}/nas"
        definitions = [path.read_text() for path in sorted(EXAMPLES.glob("*.yaml"))] + [MINIMAL, HOSTILE, ENGLISH]
        for definition in definitions:
            code = json.loads(octonas("--json", "experiment", "create", "-f", "-", "--create-accounts", text=definition))["code"]
            judge(code, "nothing answered", directory)
            for number, choices in enumerate(CHOICES):
                for key, word in choices.items():
                    octonas("dmp", "answer", code, key, "--text", word)
                judge(code, f"choices {number}", directory)
            raw = directory / "nas" / code / "raw"
            for name in ("a.csv", "b.nc", "c.jpg", "d.hobo", "e", "f.<script>", "g.xlsx", "h.é"):
                (raw / name).write_bytes(b"x" * 1000)
            for question in TEXTS:
                octonas("dmp", "answer", code, question, "--text", "-", text=f"{NASTY}\n\n- {NASTY}\n- b\n\n<img src=x onerror=alert(1)>")
            judge(code, "hostile answers", directory)
            octonas("dmp", "build", code, "--version", "final")
            built = directory / "nas" / code / "metadata" / "dmp" / "versions" / "final"
            version = json.loads((built / "opidor.json").read_text())["meta"]["version"]
            if version != "Version finale":
                problems.append(f"{code}: its version is {version}")
    for problem in problems:
        print(problem)
    for name, variable, given in (("the RDA schema", "RDA_SCHEMA", RDA_SCHEMA), ("OPIDoR's templates", "OPIDOR", OPIDOR)):
        if not given:
            print(f"skipped: {name} ({variable} is not set)")
    print(", ".join(f"{count} {name}" for name, count in judged.items()), "judged;", len(problems), "problems")
    sys.exit(bool(problems))


main()
