"""Salt's view of the configuration: what OpenMediaVault's module of this name gives, from the double's memory."""

import json

LISTS = {
    "conf.system.filesystem.mountpoint": "mountpoints",
    "conf.system.sharedfolder": "sharedfolders",
    "conf.service.octonas.base": "bases",
    "conf.service.octonas.experiment": "experiments",
    "conf.service.octonas.source": "sources",
}


def get(id_):
    with open("/var/lib/openmediavault/state.json", encoding="utf-8") as file:
        return json.load(file)[LISTS[id_]]
