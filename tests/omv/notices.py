"""What administrators are told, by OpenMediaVault's own mail into a sink on its loopback; and what is set for tonight."""

import email
import email.policy
import json
import time

from people import ECO

# Begun by a timer once a day; more than five times in ten seconds systemd refuses it.
BEGIN = "systemctl reset-failed --quiet; systemctl start"

SINK = r'''
import itertools, os, socketserver
os.makedirs("/run/octonas-sink", exist_ok=True)
number = itertools.count(1)
class Session(socketserver.StreamRequestHandler):
    def handle(self):
        say = lambda line: self.wfile.write(line + b"\r\n")
        to = b""
        say(b"220 sink")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"EHLO":
                say(b"250-sink"), say(b"250 8BITMIME")
            elif word == b"RCPT":
                to += line.split(b":", 1)[1].strip() + b" "
                say(b"250 ok")
            elif word == b"DATA":
                say(b"354 go")
                text = b"X-To: " + to + b"\r\n"
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    text += line[1:] if line.startswith(b"..") else line
                with open("/run/octonas-sink/%03d.eml" % next(number), "wb") as file:
                    file.write(text)
                say(b"250 ok")
            elif word == b"QUIT":
                return say(b"221 bye")
            else:
                say(b"250 ok")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.2", 2525), Session).serve_forever()
'''
MAIL = {"enable": True, "server": "127.0.0.2", "port": 2525, "tls": "none", "sender": "nas@example.org", "authenable": False,
        "username": "", "password": "", "primaryemail": "admin@example.org", "secondaryemail": ""}
TITLE = "Été %s%n « R&D » <b> 🧪"


def mails(nas, seconds=20):
    """What came in, once the queue is empty; the sink is empty afterwards."""
    nas.sh("postqueue -f")
    for _ in range(seconds):
        if "empty" in nas.must("mailq"):
            break
        time.sleep(1)
    time.sleep(1)
    names = nas.must("ls /run/octonas-sink").split()
    texts = [nas.must(f"cat /run/octonas-sink/{name}") for name in names]
    nas.must("rm -f /run/octonas-sink/*")
    return [email.message_from_bytes(text.encode("utf-8", "surrogateescape"), policy=email.policy.default) for text in texts]


def due_now(nas, base, code):
    """As if it had been set a day ago, and as if it were night."""
    file = f"{base}/.octonas/tonight/{code}.json"
    request = json.loads(nas.must(f"cat {file}"))
    request["due"] = "2026-01-02T02:00:00Z"
    nas.run("tee", file, input=json.dumps(request))
    nas.must("rm -f /var/lib/octonas/night-done; octonas settings set night=$(date +%-H)")


def run(site, findings):
    nas = site.nas
    before = nas.rpc("EmailNotification", "get", {})
    nas.run("tee", "/run/octonas-sink.py", input=SINK)
    nas.must("systemctl reset-failed octonas-sink 2>/dev/null; systemd-run -q --unit=octonas-sink python3 /run/octonas-sink.py")
    nas.rpc("EmailNotification", "set", MAIL)
    nas.apply_panel()
    try:
        told(site, findings)
        damaged(site, findings)
        tonight(site, findings)
    finally:
        nas.rpc("EmailNotification", "set", before)
        nas.apply_panel()
        nas.must("systemctl stop octonas-sink; rm -rf /run/octonas-sink /run/octonas-sink.py; octonas settings set night=2 >/dev/null")


def told(site, findings):
    nas, top = site.nas, site.path(ECO)
    switches = {s["id"]: s["enable"] for s in nas.rpc("Notification", "getList", {}) if s["id"].startswith("octonas-")}
    findings.equal(switches, dict.fromkeys(
        ["octonas-base", "octonas-integrity", "octonas-failed", "octonas-drift", "octonas-quota", "octonas-access", "octonas-source",
         "octonas-retention"], True),
        "the notification settings have a switch for each, and it is on")
    nas.must(f"rm -f /var/lib/octonas/notices.json; {BEGIN} octonas-due.service")
    mails(nas)
    nas.must(f"umount -l {top}")
    nas.must(f"{BEGIN} octonas-due.service")
    arrived = mails(nas)
    findings.equal([ECO in str(m["subject"]) for m in arrived], [True], "a drift is one mail, whose subject names the experiment")
    if arrived:
        mail = arrived[0]
        findings.check("admin@example.org" in mail["x-to"], "it goes where the notification page says", mail["x-to"])
        findings.check("mont" in mail.get_content() or "mounts" in mail.get_content(), "it says what", mail.get_content()[:300])
        findings.check("@" not in mail.get_content(), "it has nobody's address")
    nas.must(f"{BEGIN} octonas-due.service")
    findings.equal(len(mails(nas)), 0, "it is told once")
    nas.octonas("experiment", "apply", ECO, "--mend")
    nas.must(f"{BEGIN} octonas-due.service")
    findings.equal(len(mails(nas)), 0, "what is mended is not told")


def damaged(site, findings):
    """A file that rots is a mail of the timer's service, until somebody says why it is right."""
    nas, file = site.nas, f"{site.path(ECO)}/raw/otest-rot.csv"
    nas.must(f"printf good > {file}")
    nas.octonas("catalogue", "scan", ECO, "--no-probe")
    nas.must(f"{BEGIN} octonas-due.service")
    mails(nas)
    nas.must(f"touch -r {file} /run/otest-rot && printf evil > {file} && touch -r /run/otest-rot {file}; rm /run/otest-rot")
    findings.equal(nas.octonas("verify", ECO).code, 3, "a file that rotted is found")
    nas.must(f"{BEGIN} octonas-due.service")
    arrived = mails(nas)
    findings.equal([ECO in str(m["subject"]) for m in arrived], [True], "and is one mail, whose subject names the experiment")
    if arrived:
        findings.check("raw/otest-rot.csv" in arrived[0].get_content(), "it names the file", arrived[0].get_content()[:300])
        findings.check("--repair-from" in arrived[0].get_content(), "it says what to do")
    nas.must(f"{BEGIN} octonas-due.service")
    findings.equal(len(mails(nas)), 0, "it is told once")
    nas.octonas("accept", ECO, "raw/otest-rot.csv", "--reason", "rotted by the test")
    nas.must(f"{BEGIN} octonas-due.service")
    findings.equal(len(mails(nas)), 0, "what was accepted is not told")
    nas.must(f"rm {file}")
    nas.octonas("catalogue", "scan", ECO, "--no-probe")


def tonight(site, findings):
    nas, base = site.nas, site.path(ECO).rsplit("/", 1)[0]
    status = lambda: nas.octonas_json("experiment", "show", ECO)["definition"]["status"]
    nas.octonas("experiment", "close", ECO, "--tonight")
    findings.equal(status(), "active", "nothing is done when it is set")
    nas.must(f"octonas settings set night=$(date -d '6 hours' +%-H); {BEGIN} octonas-tonight.service")
    findings.equal(status(), "active", "nothing is done by day")
    due_now(nas, base, ECO)
    nas.must(f"{BEGIN} octonas-tonight.service")
    findings.equal(status(), "closed", "it is done at night, by the timer's service")
    nas.octonas("experiment", "reopen", ECO)
    mails(nas)
    nas.octonas("experiment", "close", ECO, "--tonight")
    text = nas.must(f"octonas experiment show {ECO} --definition")
    changed = "".join(f"title: '{TITLE}'\n" if line.startswith("title:") else line for line in text.splitlines(keepends=True))
    nas.octonas("experiment", "edit", "-f", "-", input=changed)
    due_now(nas, base, ECO)
    nas.must(f"{BEGIN} octonas-tonight.service")
    findings.equal(status(), "active", "what was changed meanwhile is refused")
    arrived = mails(nas)
    findings.check(any("tonight.overtaken" in m.get_content() for m in arrived), "and mailed with its reason",
                   str([str(m["subject"]) for m in arrived]))
    nas.octonas("tonight", "cancel", ECO)
    nas.octonas("experiment", "edit", "-f", "-", input=text)
