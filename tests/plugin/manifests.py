"""Checks the manifests of the pages against the keys that the web interface of OpenMediaVault knows.

OpenMediaVault checks no key inside a component: one that is misspelt is silently without effect. One manifest that it
cannot load freezes the pages of every plugin. The keys are those of OpenMediaVault 8.5 (workbench, `intuition/models`).
"""

import re
from pathlib import Path

import yaml

import unique_keys

ICONS = {
    "user", "users", "group", "password", "home", "save", "add", "remove", "edit", "delete", "copy", "cancel", "clear",
    "show", "undo", "reload", "reset", "import", "check", "start", "stop", "pause", "settings", "clock", "network",
    "email", "menu", "key", "share", "heartPulse", "tune", "search", "details", "expand", "collapse", "folder",
    "download", "upload", "docs", "harddisk", "arrowLeft", "arrowRight", "information", "warning", "help", "lock",
}
VALIDATORS = {"required", "requiredIf", "minLength", "maxLength", "min", "max", "email", "custom", "pattern", "patternType"}
PATTERN_TYPES = {
    "userName", "groupName", "shareName", "email", "macAddress", "ip", "ipv4", "ipv6", "ipList", "ipNetCidr", "hostName",
    "hostNameIpNetCidr", "hostNameIpNetCidrList", "domainName", "domainNameList", "domainNameIp", "domainNameIpList",
    "netbiosName", "port", "time", "numeric", "decimal", "sshPubKey", "sshPubKeyRfc4716", "sshPubKeyOpenSsh", "pgpPubKey",
    "netmask", "wordChars", "binaryUnit",
}
OPERATORS = {
    "and", "or", "not", "if", "eq", "ne", "lt", "le", "gt", "ge", "==", "!=", "empty", "z", "notEmpty", "n", "in",
    "startsWith", "endsWith", "regex", "length", "UUID", "truthy", "falsy", "has",
}
CELLS = {
    "text", "html", "image", "buttonToggle", "checkIcon", "placeholder", "progressBar", "notAvailable", "join", "truncate",
    "shapeShifter", "localeDateTime", "relativeTime", "chip", "binaryUnit", "unsortedList", "copyToClipboard",
    "cronToHuman", "template",
}
STORE = {"data", "proxy", "url", "fields", "idField", "assign", "transform", "sorters", "filters", "uniqBy", "itemTemplates"}
COMMON_FIELD = {
    "type", "name", "label", "placeholder", "tooltip", "hint", "value", "readonly", "disabled", "modifiers", "autofocus",
    "icon", "submitValue", "updateOn", "validators",
}
FIELDS = {
    "card": {"text"}, "confObjUuid": set(), "hidden": set(), "divider": {"title"}, "paragraph": {"title"},
    "button": {"text", "request", "url"}, "iconButton": {"request", "url"},
    "textInput": {"autocapitalize", "autocomplete", "hasCopyToClipboardButton", "monospace", "suggestions", "valueField",
                  "textField", "store", "hasClearButton"},
    "folderBrowser": {"dirType", "dirRefIdField", "dirVisible"}, "numberInput": {"step", "autocomplete"},
    "binaryUnitInput": {"defaultUnit", "fractionDigits"}, "checkbox": set(),
    "textarea": {"cols", "rows", "wrap", "monospace"}, "fileInput": {"cols", "rows", "wrap", "monospace", "accept", "trim"},
    "select": {"valueField", "textField", "store", "multiple", "hasEmptyOption", "emptyOptionText"},
    "sharedFolderSelect": {"hasCreateButton"}, "sshCertSelect": {"hasCreateButton"}, "sslCertSelect": {"hasCreateButton"},
    "passwordInput": {"autocomplete"}, "datePicker": set(),
    "datatable": {"columns", "columnMode", "hasActionBar", "hasSearchField", "hasHeader", "hasFooter", "selectionType",
                  "limit", "sorters", "sortType", "actions", "valueType", "stateId"},
    "slider": {"step"}, "container": {"fields"}, "hint": {"text", "hintType", "dismissible", "stateId"},
    "codeEditor": {"lineNumbers", "language"}, "tagInput": {"separator"}, "image": {"width", "height"},
}
PAGES = {
    "blankPage": set(), "navigationPage": set(),
    "formPage": {"hints", "id", "title", "subTitle", "icon", "request", "autoReload", "fields", "buttonAlign", "buttons"},
    "textPage": {"title", "subTitle", "autoReload", "hasReloadButton", "hasCopyToClipboardButton", "request",
                 "contentFormat", "wrapText", "buttonAlign", "buttons"},
    "codeEditorPage": {"title", "subTitle", "autoReload", "hasReloadButton", "hasCopyToClipboardButton", "request",
                       "language", "lineNumbers", "buttonAlign", "buttons"},
    "datatablePage": {"hints", "title", "subTitle", "icon", "stateId", "rowId", "rowEnumFmt", "columns", "columnMode",
                      "hasActionBar", "hasSearchField", "hasHeader", "hasFooter", "selectionType",
                      "updateSelectionOnReload", "limit", "remotePaging", "remoteSorting", "remoteSearching", "autoLoad",
                      "autoReload", "sorters", "sortType", "store", "actions", "buttonAlign", "buttons"},
}
REQUEST = {"service", "method", "params", "task", "progressMessage", "successNotification", "successCopyToClipboard",
           "successUrl", "reloadDataOnSuccess", "intersectParams", "maxRetries"}
DATA = {
    "navigation-item": {"path", "text", "icon", "url", "position", "permissions", "hidden"},
    "route": {"url", "title", "component", "editing", "notificationTitle", "breadcrumb", "kind"},
    "component": {"name", "type", "config", "extends"},
    "dashboard-widget": {"id", "type", "title", "hideTitle", "description", "permissions", "reloadPeriod", "chart", "grid",
                         "datatable", "text", "value", "rrd"},
}
ROOTS = ("system", "usermgmt", "network", "storage", "services", "diagnostics", "account", "dashboard")


class Manifest:
    """One file while it is looked at."""

    def __init__(self, where, methods):
        self.where, self.methods, self.said = where, methods, []

    def say(self, text):
        self.said.append(f"{self.where}: {text}")

    def keys(self, node, allowed, what):
        if not isinstance(node, dict):
            self.say(f"{what} is not a map")
            return {}
        for key in set(node) - allowed:
            self.say(f"{what}: nobody reads the key {key!r}")
        return node

    def icon(self, name, what):
        if name is not None and not (name in ICONS or re.fullmatch(r"mdi:[a-z0-9-]+", str(name))):
            self.say(f"{what}: no icon {name!r}")

    def request(self, node, what, extra=frozenset()):
        node = self.keys(node, REQUEST | extra, what)
        if "service" not in node:
            self.say(f"{what}: no service")
        self.method(node.get("service"), node.get("method"), what)

    def method(self, service, method, what):
        if service == "Octonas" and method not in self.methods:
            self.say(f"{what}: the service has no method {method!r}")

    def store(self, node, what):
        node = self.keys(node, STORE, what)
        if "proxy" in node:
            proxy = self.keys(node["proxy"], {"service", "get", "post"}, f"{what}.proxy")
            get = self.keys(proxy.get("get", {}), {"method", "params", "task"}, f"{what}.proxy.get")
            self.method(proxy.get("service"), get.get("method"), what)
        for row in node.get("filters", []):
            self.constraint(row, f"{what}.filters")

    def constraint(self, node, what):
        node = self.keys(node, {"operator", "arg0", "arg1"}, what)
        if node.get("operator") not in OPERATORS:
            self.say(f"{what}: no operator {node.get('operator')!r}")
        for key in ("arg0", "arg1"):
            argument = node.get(key)
            if isinstance(argument, dict):
                if "operator" in argument:
                    self.constraint(argument, f"{what}.{key}")
                else:
                    self.keys(argument, {"prop"}, f"{what}.{key}")

    def columns(self, nodes, what):
        for node in nodes:
            name = f"{what} {node.get('prop')!r}"
            self.keys(node, {"name", "prop", "flexGrow", "width", "sortable", "hidden", "cellTemplateName",
                             "cellTemplateConfig", "cellClass"}, name)
            template, config = node.get("cellTemplateName"), node.get("cellTemplateConfig")
            if template is not None and template not in CELLS:
                self.say(f"{name}: no template {template!r}")
            if template == "chip" and config is not None:
                self.keys(config, {"class", "map", "template", "separator"}, name)
                for key, chip in config.get("map", {}).items():
                    self.keys(chip, {"value", "class", "tooltip"}, f"{name} {key}")
                    if "value" in chip and "| translate" not in chip["value"]:
                        self.say(f"{name} {key}: the value is not translated")
            if template == "progressBar" and config is not None:
                self.keys(config, {"text", "warningThreshold", "decimalPlaces"}, name)
            if template == "template" and not isinstance(config, str):
                self.say(f"{name}: the template is missing")

    def actions(self, nodes, what):
        for node in nodes:
            name = f"{what} {node.get('tooltip') or node.get('text') or node.get('template')}"
            self.keys(node, {"template", "type", "id", "text", "tooltip", "icon", "hasBadge", "actions",
                             "confirmationDialogConfig", "enabledConstraints", "execute", "formDialogConfig"}, name)
            self.icon(node.get("icon"), name)
            kind = node.get("type")
            if kind is None and "template" not in node and what == "action":
                self.say(f"{name}: without a type nothing is shown")
            if kind == "iconButton" and "tooltip" not in node:
                self.say(f"{name}: a symbol needs a tooltip")
            if node.get("template") not in (None, "add", "create", "edit", "delete"):
                self.say(f"{name}: no template {node['template']!r}")
            limits = self.keys(node.get("enabledConstraints", {}), {"hasData", "minSelected", "maxSelected", "constraint"}, name)
            for row in limits.get("constraint", []):
                self.constraint(row, name)
            self.confirmation(node, name)
            if "formDialogConfig" in node:
                self.dialog(node["formDialogConfig"], name)
            self.execute(node.get("execute"), name)
            self.actions(node.get("actions", []), name)

    def confirmation(self, node, what):
        config = self.keys(node.get("confirmationDialogConfig", {}), {"template", "title", "message", "icon", "buttons", "width"}, what)
        if config and config.get("template") not in ("confirmation", "confirmation-danger", "confirmation-critical", "information"):
            self.say(f"{what}: no confirmation {config.get('template')!r}")

    def execute(self, node, what):
        if node is None:
            return
        self.keys(node, {"type", "url", "request", "taskDialog", "formDialog", "copyToClipboard"}, what)
        kind = node.get("type")
        if kind not in ("url", "request", "taskDialog", "formDialog", "copyToClipboard", "reloadData"):
            self.say(f"{what}: cannot execute {kind!r}")
        elif kind != "reloadData" and kind not in node:
            self.say(f"{what}: the key {kind!r} is missing")
        if "request" in node:
            self.request(node["request"], what)
        if "taskDialog" in node:
            dialog = self.keys(node["taskDialog"], {"config", "successUrl"}, what)
            config = self.keys(dialog.get("config", {}), {"title", "icon", "width", "autoScroll", "startOnInit",
                                                         "showCompletion", "buttons", "request"}, what)
            self.request(config.get("request", {}), what)
        if "formDialog" in node:
            self.dialog(node["formDialog"], what)

    def dialog(self, node, what):
        self.keys(node, {"id", "title", "subTitle", "icon", "width", "fields", "buttons"}, what)
        self.fields(node.get("fields", []), what)
        for button in node.get("buttons", {}).values():
            self.keys(button, {"text", "hidden", "dialogResult", "execute"}, what)
            self.execute(button.get("execute"), what)

    def fields(self, nodes, what):
        names = [node.get("name") for node in nodes if "name" in node]
        for name in {name for name in names if names.count(name) > 1}:
            self.say(f"{what}: the field {name!r} is here twice")
        for node in nodes:
            name = f"{what} field {node.get('name')!r}"
            if node.get("type") not in FIELDS:
                self.say(f"{name}: no type {node.get('type')!r}")
                continue
            self.keys(node, COMMON_FIELD | FIELDS[node["type"]], name)
            if node["type"] not in ("divider", "paragraph", "hint", "container", "button") and "name" not in node:
                self.say(f"{name}: no name")
            if "modifiers" in node and "name" not in node:
                self.say(f"{name}: what has no name and no value is never hidden by modifiers")
            validators = self.keys(node.get("validators", {}), VALIDATORS, name)
            if validators.get("patternType", "port") not in PATTERN_TYPES:
                self.say(f"{name}: no pattern {validators['patternType']!r}")
            if "pattern" in validators:
                self.keys(validators["pattern"], {"pattern", "errorData"}, name)
                re.compile(validators["pattern"]["pattern"])
            if "requiredIf" in validators:
                self.constraint(validators["requiredIf"], name)
            for modifier in node.get("modifiers", []):
                self.keys(modifier, {"type", "typeConfig", "opposite", "constraint", "deps"}, name)
                if "constraint" in modifier:
                    self.constraint(modifier["constraint"], name)
            if "store" in node:
                self.store(node["store"], name)
            if node["type"] == "datatable":
                self.columns(node.get("columns", []), name)
                self.actions(node.get("actions", []), name)
            self.fields(node.get("fields", []), name)

    def component(self, data):
        kind, config = data.get("type"), data.get("config", {})
        if kind not in PAGES:
            self.say(f"no page {kind!r}")
            return
        if not str(data.get("name")).startswith("omv-octonas-"):
            self.say("names of components are shared by all plugins: begin it with omv-octonas-")
        self.keys(config, PAGES[kind], kind)
        for hint in config.get("hints", []):
            self.keys(hint, {"type", "text", "dismissible", "stateId"}, "hint")
        if "request" in config:
            request = self.keys(config["request"], {"service", "get", "post"}, "request")
            for verb, extra in (("get", {"format", "onlyIf", "transform", "filter"}), ("post", {"confirmationDialogConfig"})):
                if verb in request:
                    self.request({"service": request.get("service"), **request[verb]}, f"request.{verb}", extra)
        self.fields(config.get("fields", []), "form")
        for button in config.get("buttons", []):
            self.keys(button, {"template", "text", "class", "disabled", "submit", "enabledConstraint",
                               "confirmationDialogConfig", "execute", "url"}, "button")
            self.execute(button.get("execute"), "button")
        if "store" in config:
            self.store(config["store"], "store")
        self.columns(config.get("columns", []), "column")
        self.actions(config.get("actions", []), "action")

    def widget(self, data):
        kind = data.get("type")
        if kind not in ("grid", "datatable", "rrd", "chart", "text", "value") or kind not in data:
            self.say(f"a widget of type {kind!r} needs the key of that name")
            return
        if kind == "datatable":
            table = self.keys(data[kind], {"columns", "store", "sorters", "hasHeader", "hasFooter"}, "widget")
            self.columns(table.get("columns", []), "column")
            self.store(table.get("store", {}), "store")
        if kind == "chart":
            chart = self.keys(data[kind], {"type", "dataConfig", "request", "label", "legend", "tooltips", "maxHeight",
                                           "maxWidth", "min", "max", "displayValue"}, "widget")
            self.request(chart.get("request", {}), "chart", {"transform"})

    def route(self, data):
        url = data.get("url", "")
        if url.strip("/").split("/")[0] not in ROOTS:
            self.say(f"the web interface has no place for {url}")


def service(plugin):
    """The service behind the pages: its class, and the parts of it that have files of their own."""
    plugin = Path(plugin)
    files = [plugin / "engined/rpc/octonas.inc", *sorted((plugin.parent / "php").glob("**/rpc/*.inc"))]
    return "".join(path.read_text(encoding="utf-8") for path in files)


def methods(plugin):
    """What the service registers."""
    return set(re.findall(r'registerMethod\("(\w+)"\)', service(plugin)))


def lost_routes(urls):
    """Routes that the web interface hangs at the wrong place: it takes routes in order, and one that is the first below a
    page loses what stands between the two (route-config.service.ts, getParentNode)."""
    ordered = sorted(urls, key=lambda url: ",".join(url.strip("/").split("/")))
    for page in urls:
        below = [url for url in ordered if url.startswith(f"{page}/")]
        between = below[0][len(page) + 1:].split("/") if below else []
        if len(between) > 2 or (len(between) == 2 and not between[1].startswith(":")):
            yield f"the route {below[0]} is the first below {page} and would lose its way"


def check(plugin):
    """Problems of all manifests, one line each."""
    plugin = Path(plugin)
    known = methods(plugin)
    said, components, used, states, urls = [], set(), {}, {}, []
    for path in sorted(plugin.glob("workbench/*/*")):
        manifest = Manifest(f"{path.parent.name}/{path.name}", known)
        try:
            content = unique_keys.load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            said.append(f"{manifest.where}: {error}")
            continue
        if path.suffix != ".yaml" or set(content) != {"version", "type", "data"} or content["version"] != "1.0":
            manifest.say('a manifest is a .yaml file with version "1.0", type and data')
            said += manifest.said
            continue
        kind, data = content["type"], content["data"]
        manifest.keys(data, DATA.get(kind, set()), kind)
        if kind == "component":
            components.add(data.get("name"))
            manifest.component(data)
        elif kind == "route":
            used[data.get("component")] = manifest.where
            manifest.route(data)
            urls.append(data.get("url", ""))
        elif kind == "navigation-item":
            manifest.icon(data.get("icon"), "navigation")
        elif kind == "dashboard-widget":
            manifest.widget(data)
        for state in re.findall(r"^\s+(?:stateId|id): ([0-9a-f-]{36})$", path.read_text(encoding="utf-8"), re.M):
            if state in states:
                manifest.say(f"the id {state} is that of {states[state]} too")
            states[state] = manifest.where
        said += manifest.said
    said += lost_routes(urls)
    said += [f"{where}: no component {name!r}" for name, where in used.items() if name not in components]
    said += [f"the component {name!r} is on no route" for name in components - set(used)]
    return said
