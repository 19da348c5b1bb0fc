"""The whole path on a real OpenMediaVault 8, in parts. See README.md."""

import argparse
import pathlib
import sys
import traceback

import common
import crashes
import delivery
import disk
import drift
import imports
import lasting
import matrix
import notices
import packages
import panel
import sessions
import sources
import testbed
from findings import Findings
from nas import Gone, Nas, RpcError


def parts():
    """The parts in their order; each gets the testbed and the findings."""
    return {
        "create": testbed.create_both,
        "doors": testbed.doors_shut,
        "matrix": matrix.through_every_door,
        "sessions": sessions.run,
        "drift": drift.run,
        "notices": notices.run,
        "import": imports.run,
        "crashes": crashes.run,
        "kill": crashes.kill,
        "disk": disk.run,
        "sources": sources.run,
        "pages": panel.run,
        "common": common.run,
        "reboot": lasting.reboot,
        "upgrade": packages.again,
        "purge": packages.go,
        "scale": lasting.scale,
        "delivery": delivery.run,
    }


def main():
    known = parts()
    options = argparse.ArgumentParser(prog="tests/omv/run", description=__doc__)
    options.add_argument("host", help="what ssh takes, such as root@nas; options of ssh in $SSH_OPTIONS")
    options.add_argument("--disk", help="mount point of the data disk to use (default: the first that OpenMediaVault has mounted)")
    options.add_argument("--dist", default="dist", type=pathlib.Path, help="where the packages are (make deb)")
    options.add_argument("--only", action="append", choices=known, help="only these parts (create comes first in any case)")
    options.add_argument("--skip", action="append", default=[], choices=known, help="without these parts")
    options.add_argument("--keep", action="store_true", help="leave packages, people and experiments as they are at the end")
    options.add_argument("--reuse", action="store_true", help="use the packages that are installed")
    options.add_argument("--scale", type=int, default=0, metavar="N", help="also create N experiments and tell how long each takes")
    options.add_argument("--minutes", type=float, default=0, metavar="N", help="also let a sync kit deliver for so long, with cuts")
    arguments = options.parse_args()

    findings = Findings()
    nas = Nas(arguments.host)
    findings.begin("install")
    nas.wait()
    site = testbed.Site(nas, arguments.disk or testbed.first_data_disk(nas))
    site.scale, site.minutes, site.dist = arguments.scale, arguments.minutes, arguments.dist
    try:
        packages.install(site, findings, arguments)
        testbed.accounts(site, findings)
        for name, part in known.items():
            asked = {"scale": site.scale, "delivery": site.minutes}.get(name, True)
            if name in arguments.skip or not asked or (arguments.only and name not in arguments.only and name != "create"):
                continue
            findings.begin(name)
            try:
                part(site, findings)
            except (Gone, RpcError, ValueError, LookupError, TypeError) as error:
                findings.check(False, "this part runs to its end", f"{error!r} {traceback.format_exc(limit=-3)}")
                if name == "create":
                    break
    finally:
        if not arguments.keep:
            findings.begin("clean up")
            testbed.clean(site, findings)
            packages.leave(site, findings)
    sys.exit(0 if findings.summary() else 1)


main()
