"""Checks our data models against the dialect of OpenMediaVault (it is not JSON Schema).

A model that OpenMediaVault cannot load keeps its engine from starting and its users from logging in, so this
is stricter than OpenMediaVault: keywords that it would ignore are errors here.
"""

import json
import re
from pathlib import Path

# The loader of PHP turns a repeated element into a list only if it has one of these names.
LIST_ELEMENTS = {
    "user", "group", "sshpubkey", "interface", "rule", "filesystem", "hdparm", "mntent", "usrquota", "grpquota",
    "sharedfolder", "privilege", "share", "job", "module", "sslcertificate", "sshcertificate", "service", "device",
    "item",
}
TYPES = {"any", "array", "boolean", "object", "integer", "number", "string", "null"}
# Those that both implementations (PHP and Python) know: 'no-multi-line' is known to PHP alone.
FORMATS = {
    "date-time", "datetime", "date", "time", "hostname", "regex", "uri", "email", "ipv4", "ipv6", "uuidv4", "fsuuid",
    "devicefile", "dirpath", "sshpubkey-openssh", "sshpubkey-rfc4716", "sshprivkey-rsa", "sshprivkey-pem",
    "pgppubkey", "sharename", "username", "domainname", "netbiosname",
}
KEYWORDS = {
    "type", "description", "required", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "items", "oneOf", "properties", "default",
}
CONFIG_KEYS = {
    "type", "id", "title", "description", "alias", "persistent", "notificationid", "queryinfo", "properties",
}
RPC_KEYS = {"type", "id", "title", "description", "alias", "params"}


def check_schema(schema, where, config, problems):
    """Walks one schema; `config` models know only one type per property and defaults."""
    say = lambda text: problems.append(f"{where}: {text}")
    for key in schema:
        if key not in KEYWORDS and not (key == "not" and not config):
            say(f"unknown keyword {key!r}")
    types = schema.get("type")
    if config and not isinstance(types, str):
        say("'type' has to be one string")
    for name in types if isinstance(types, list) else [types]:
        if name not in TYPES:
            say(f"unknown type {name!r}")
    if "default" in schema and not config:
        say("'default' has no effect in the model of an RPC")
    if not isinstance(schema.get("required", False), bool):
        say("'required' is a boolean on the property itself")
    if "format" in schema and schema["format"] not in FORMATS:
        say(f"unknown format {schema['format']!r}")
    if "pattern" in schema:
        pattern = schema["pattern"]
        # PHP writes the pattern between slashes.
        if re.search(r"(?<!\\)(?:\\\\)*/", pattern):
            say("a '/' in a pattern has to be escaped")
        try:
            re.compile(pattern)
        except re.error as error:
            say(f"bad pattern: {error}")
        if not pattern.startswith("^") or "$(?!\\n)" not in pattern:
            say("a pattern has to be anchored with '^' and '$(?!\\n)': '$' alone lets a line break through")
    if types == "object":
        if config and not isinstance(schema.get("properties"), dict):
            say("an object needs 'properties'")
        for name, child in schema.get("properties", {}).items():
            if config and child.get("type") == "array" and name not in LIST_ELEMENTS:
                say(f"a list named {name!r} is read as an object when it has one element")
            check_schema(child, f"{where}.{name}", config, problems)
    if types == "array":
        if not isinstance(schema.get("items"), dict):
            say("an array needs 'items'")
        else:
            check_schema(schema["items"], f"{where}[]", config, problems)
    for index, child in enumerate(schema.get("oneOf", [])):
        check_schema(child, f"{where}.oneOf[{index}]", config, problems)


def check_model(model, where, problems):
    """Checks one model as a whole."""
    say = lambda text: problems.append(f"{where}: {text}")
    kind = model.get("type")
    if kind == "rpc":
        for key in set(model) - RPC_KEYS:
            say(f"unknown key {key!r}")
        if not isinstance(model.get("params"), dict):
            say("'params' is missing")
        else:
            check_schema(model["params"], f"{where} params", False, problems)
        return
    if kind != "config":
        say(f"'type' is {kind!r}, not 'config' or 'rpc'")
        return
    for key in set(model) - CONFIG_KEYS:
        say(f"unknown key {key!r}")
    query = model.get("queryinfo", {})
    for key in set(query) - {"xpath", "iterable", "idproperty", "refproperty"}:
        say(f"unknown key 'queryinfo.{key}'")
    if not str(query.get("xpath", "")).startswith(".//"):
        say("'queryinfo.xpath' is missing")
    if query.get("iterable"):
        if query.get("idproperty") != "uuid":
            say("what is iterable needs 'idproperty': 'uuid'")
        if model.get("properties", {}).get("uuid") != {"type": "string", "format": "uuidv4"}:
            say("what is iterable needs a property 'uuid' of format 'uuidv4'")
        if str(query.get("xpath")).rsplit("/", 1)[-1] not in LIST_ELEMENTS:
            say("the last element of the xpath is not read as a list")
    check_schema({"type": "object", "properties": model.get("properties")}, where, True, problems)


def load(directory):
    """All models of a directory: id → model. Raises ValueError for what OpenMediaVault could not read."""
    models = {}
    for path in sorted(Path(directory).glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for model in content if isinstance(content, list) else [content]:
            if model["id"] in models:
                raise ValueError(f"{path.name}: the id {model['id']!r} is used twice")
            # Python finds a configuration model by its file name.
            if model.get("type") == "config" and path.name != f"{model['id']}.json":
                raise ValueError(f"{path.name}: has to be named {model['id']}.json")
            models[model["id"]] = model
    return models


def check(directory):
    """Problems of all models of a directory, one line each."""
    problems = []
    models = load(directory)
    for name, model in models.items():
        check_model(model, name, problems)
    # A parent is read as a whole, so it has to say the same of its children as they do.
    for name, model in models.items():
        query = model.get("queryinfo", {})
        for parent_name, parent in models.items():
            prefix = parent.get("queryinfo", {}).get("xpath", "-") + "/"
            if parent is model or not str(query.get("xpath", "")).startswith(prefix):
                continue
            node = {"type": "object", "properties": parent["properties"]}
            for part in query["xpath"][len(prefix):].split("/"):
                node = node.get("properties", {}).get(part, {})
            node = node if not query.get("iterable") else node.get("items", {})
            if node.get("properties") != model["properties"]:
                problems.append(f"{parent_name}: does not repeat the properties of {name}")
    return problems
