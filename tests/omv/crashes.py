"""kill -9 of the helper, a restart of omv-engined in the middle, two operations at once, a base that goes away."""

import time

import disk
import people
from people import ECO, LAKE

CRASH = "otest-crash"
DELAYS = (0.05, 0.3, 1, 2.5, 5, 8, 12, 20)


def killed(site, *arguments, after, input=None):
    """The command, killed after so many seconds; True when it was."""
    done = site.nas.run("timeout", "--signal=KILL", str(after), "octonas", "--quiet", *arguments, input=input)
    # A remote command that dies by a signal is 255 for ssh.
    return done.code in (137, 255)


def again(site, findings, what, *arguments, input=None):
    """Run again until it works: omv-engined may still be busy with what the killed one asked."""
    for _ in range(6):
        done = site.nas.octonas("--json", *arguments, input=input)
        if done.code == 0:
            break
        time.sleep(2)
    return findings.check(done.code == 0, what, done)


def kill(site, findings):
    """Create, close, reopen and remove, killed at points of increasing depth, then once more."""
    nas = site.nas
    text = people.definition(CRASH, site.base, {"otalice": "manage", "otcarol": "read"})
    for after in DELAYS:
        was = killed(site, "experiment", "create", "-f", "-", after=after, input=text)
        again(site, findings, f"create, killed after {after} s ({'in the middle' if was else 'it had ended'}), then again",
              "experiment", "create", "-f", "-", input=text)
        site.in_order(findings, CRASH, f"after the kill at {after} s")
        was = killed(site, "experiment", "close", CRASH, after=after)
        again(site, findings, f"close, killed after {after} s ({'in the middle' if was else 'it had ended'}), then again",
              "experiment", "close", CRASH)
        findings.check(nas.sh(f"touch {site.path(CRASH)}/raw/x").code != 0, "it is closed")
        was = killed(site, "experiment", "reopen", CRASH, after=after)
        again(site, findings, f"reopen, killed after {after} s ({'in the middle' if was else 'it had ended'}), then again",
              "experiment", "reopen", CRASH)
        site.in_order(findings, CRASH, f"after the kill at {after} s")
        was = killed(site, "experiment", "remove", CRASH, "--delete-data", CRASH, after=after)
        done = nas.octonas("experiment", "remove", CRASH, "--delete-data", CRASH)
        for _ in range(5):
            if nas.sh(f"test -e {site.path(CRASH)}").code != 0:
                break
            time.sleep(2)
            done = nas.octonas("experiment", "remove", CRASH, "--delete-data", CRASH)
        gone(site, findings, f"remove, killed after {after} s ({'in the middle' if was else 'it had ended'}), then again", done)
        if not was:
            break


def gone(site, findings, what, seen=""):
    """Nothing of the experiment is left anywhere."""
    left = site.nas.must(f"getent group | grep exp-{CRASH}- || true; findmnt -rn -o TARGET | grep -F {CRASH} || true;"
                         f"ls -d {site.path(CRASH)} 2>/dev/null || true; grep -l {CRASH} /etc/samba/smb.conf /etc/octonas/jails.json || true;"
                         f"grep -c '<code>{CRASH}</code>' /etc/openmediavault/config.xml | grep -v '^0' || true;"
                         f"grep -rl 'Code={CRASH}$' /etc/systemd/system || true")
    findings.check(not left, f"{what}: nothing is left", f"{left} {seen}")


def engined(site, findings):
    """omv-engined restarts while an experiment is made."""
    text = people.definition(CRASH, site.base, {"otalice": "manage"})
    for after in (0.3, 1, 2.5):
        process = site.nas.start("sh", "-c", f"sleep {after}; systemctl restart openmediavault-engined")
        first = site.nas.octonas("experiment", "create", "-f", "-", input=text)
        process.communicate()
        site.nas.wait(60)
        again(site, findings, f"create while omv-engined restarts after {after} s (exit {first.code}), then again",
              "experiment", "create", "-f", "-", input=text)
        site.in_order(findings, CRASH, "after that")
        site.nas.octonas("experiment", "remove", CRASH, "--delete-data", CRASH)
        gone(site, findings, "removed")


def revert(site, findings):
    """Somebody presses "revert" in the panel while an experiment is made."""
    text = people.definition(CRASH, site.base, {"otalice": "manage"})
    for after in (0.5, 1.5, 3):
        process = site.nas.start("sh", "-c", f"sleep {after}; omv-rpc -u admin Config revertChanges '{{\"filename\":\"\"}}'")
        first = site.nas.octonas("experiment", "create", "-f", "-", input=text)
        process.communicate()
        # What a revert took away is not silently made again: the second create may refuse, and says so.
        second = site.nas.octonas("--json", "experiment", "create", "-f", "-", input=text)
        findings.check(second.code == 0 or "--mend" in second.text,
                       f"create with a revert in the panel after {after} s (exit {first.code}), then again: done, or it says what to do", second)
        if site.check(CRASH)[0]:
            again(site, findings, "apply --mend makes again what the revert took", "experiment", "apply", CRASH, "--mend")
        site.in_order(findings, CRASH, "after the revert")
        site.nas.octonas("experiment", "remove", CRASH, "--delete-data", CRASH)
        gone(site, findings, "removed")


def together(site, findings):
    """Two operations at once."""
    nas = site.nas
    texts = [people.definition(f"otest-two-{n}", site.base, {"otalice": "manage"}) for n in (1, 2)]
    nas.must("mkdir -p /root/otest")
    for n, text in enumerate(texts, 1):
        nas.run("sh", "-c", f"cat > /root/otest/{n}.json", input=text)
    processes = [nas.start("octonas", "--quiet", "experiment", "create", "-f", f"/root/otest/{n}.json") for n in (1, 2)]
    codes = [(p.communicate()[0], p.returncode) for p in processes]
    findings.check(all(code in (0, 4) for _, code in codes), "two creates at once: done, or exit 4 (locked)", codes)
    for n, text in enumerate(texts, 1):
        again(site, findings, f"otest-two-{n} is there", "experiment", "create", "-f", "-", input=text)
        site.in_order(findings, f"otest-two-{n}", "after two at once")
    processes = [nas.start("octonas", "--quiet", "experiment", "close", "otest-two-1"),
                 nas.start("octonas", "--quiet", "experiment", "remove", "otest-two-1")]
    codes = [(p.communicate()[0], p.returncode) for p in processes]
    findings.check(all(code in (0, 1, 4) for _, code in codes), "close and remove of one experiment at once: each ends", codes)
    nas.octonas("experiment", "remove", "otest-two-1", "--delete-data", "otest-two-1")
    nas.octonas("experiment", "remove", "otest-two-2", "--delete-data", "otest-two-2")
    nas.must("rm -r /root/otest")
    left = nas.must("getent group | grep exp-otest-two || true; findmnt -rn -o TARGET | grep otest-two || true")
    findings.check(not left, "both are gone", left)


def unmounted(site, findings):
    """The base goes away: `unavailable`, and nothing is written where it was."""
    nas = site.nas
    nas.must(f"systemctl stop smbd; umount -R -l '{site.disk}'")
    try:
        before = nas.must(f"find '{site.disk}' | sort")
        text = people.definition(CRASH, site.base, {"otalice": "manage"})
        for words in (("create", "-f", "-"), ("apply", ECO), ("apply", ECO, "--mend"), ("close", ECO), ("remove", LAKE)):
            done = nas.octonas("experiment", *words, input=text)
            findings.check(done.code == 1 and "unavailable" in done.text, f"without its base: experiment {words[0]} is refused", done)
        done = nas.octonas("experiment", "check")
        findings.check(done.code == 3 and "unavailable" in done.text, "check says unavailable", done)
        done = nas.octonas("experiment", "list", "--refresh")
        findings.check(ECO in done.text and site.base in done.err, "list still shows the experiments, and says what is missing", done)
        findings.equal(nas.must(f"find '{site.disk}' | sort"), before, "below the mount point there is")
    finally:
        nas.must(f"mount '{site.disk}'; systemctl start smbd")
    disk.settled(site, findings, "after the disk came back")
    nas.rpc("Config", "isDirty")


def run(site, findings):
    together(site, findings)
    engined(site, findings)
    revert(site, findings)
    unmounted(site, findings)
