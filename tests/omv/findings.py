"""What was checked: one line each, a summary at the end."""

import sys
import time

GREEN, RED, PLAIN = ("\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Findings:
    """Counts checks and prints them as they are made."""

    def __init__(self):
        self.part = ""
        self.began = time.monotonic()
        self.counts = {}
        self.failures = []

    def begin(self, part):
        self.part = part
        self.counts.setdefault(part, [0, 0])
        print(f"\n== {part} [{time.monotonic() - self.began:.0f} s]", flush=True)

    def check(self, holds, what, seen=""):
        """One check: `what` says what was expected, `seen` is shown when it does not hold."""
        self.counts[self.part][0 if holds else 1] += 1
        if holds:
            print(f"{GREEN}ok{PLAIN}    {what}", flush=True)
        else:
            text = " ".join(str(seen).split())
            line = f"{what}" + (f"   SEEN: {text[:600]}" if text else "")
            self.failures.append((self.part, line))
            print(f"{RED}FAIL{PLAIN}  {line}", flush=True)
        return holds

    def equal(self, seen, expected, what):
        return self.check(seen == expected, f"{what}: {expected}", f"{seen}")

    def note(self, text):
        print(f"      {text}", flush=True)

    def summary(self):
        """Prints the counts; true when everything holds."""
        good = sum(ok for ok, _ in self.counts.values())
        print(f"\n== Summary [{time.monotonic() - self.began:.0f} s]")
        for part, (ok, failed) in self.counts.items():
            print(f"{ok:5} ok {failed:4} FAIL  {part}")
        print(f"{good:5} ok {len(self.failures):4} FAIL  altogether")
        for part, line in self.failures:
            print(f"{RED}FAIL{PLAIN}  {part}: {line}")
        return not self.failures
