"""Files travel whole, once, under their own names; what cannot travel is said."""

import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import time
import unittest

from support import Case, Line


class Sftp(Case):
    def test_files_arrive_whole_with_their_time_and_sum_and_are_never_sent_again(self):
        for number in range(20):
            self.file("day %d/a%d.csv" % (number % 3, number), b"%d" % number * number)
        self.file("empty", b"")
        big = self.file("big.bin", os.urandom(9_000_001))
        counts = self.run_once()
        self.assertEqual(counts["sent"], 22)
        self.assertEqual((self.landing / "sums/big.bin.sha256").read_text(),
                         "%s  big.bin\n" % hashlib.sha256(big.read_bytes()).hexdigest())
        self.assertEqual(self.run_once().get("sent", 0), 0)
        self.ingest()
        counts = self.run_once()
        self.assertEqual((counts.get("sent", 0), counts["told-received"], counts["waiting"]), (0, 22, 0))
        self.assertEqual(self.run_once()["same"], 22)
        self.assert_all_arrived_once()
        self.assertTrue(big.exists(), "nothing is ever deleted at the source")

    def test_one_log_line_for_each_file(self):
        path = self.file("tab\u00e9 x.csv")
        self.run_once()
        self.run_once()
        lines = [line for line in self.log() if line[1] != "summary"]
        self.assertEqual(len(lines), 1)
        self.assertRegex(lines[0][0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(lines[0][1:5], ["sent", "tab\u00e9 x.csv", "6", hashlib.sha256(path.read_bytes()).hexdigest()])

    def test_growing_files_wait_until_they_are_still(self):
        self.file("fresh", age=10)
        self.file("from the future", age=-86400)
        self.file("half.part")
        counts = self.run_once()
        self.assertEqual((counts["growing"], counts.get("sent", 0)), (3, 0))
        self.assertEqual(self.run_once()["growing"], 3)
        self.assertEqual(len([l for l in self.log() if l[1] == "growing"]), 3, "said once")
        # A clock that nobody sets says that five minutes have passed: also the file from the future is still.
        self.write_kit(stable_minutes=0.001)
        time.sleep(0.2)
        counts = self.run_once()
        self.assertEqual(counts["sent"], 2)
        self.assertEqual(self.in_landing(), ["fresh", "from the future"])

    def test_a_file_that_grows_between_two_looks_waits(self):
        path = self.file("log.csv")
        self.write_kit(settle_seconds=2)
        process = self.start("run", "--json")
        time.sleep(1)
        stamp = path.stat().st_mtime_ns
        with open(path, "ab") as file:
            file.write(b"one more\n")
        os.utime(path, ns=(stamp, stamp))  # a program that hides it
        out, _ = process.communicate(timeout=60)
        self.assertIn('"growing": 1', out)
        self.assertEqual(self.in_landing(), [])

    def test_a_jump_of_the_clock_makes_nothing_old(self):
        self.file("first")
        self.run_once()
        clock = json.loads(self.data("clock.json").read_text())
        clock["wall"] -= 86400
        self.data("clock.json").write_text(json.dumps(clock))
        self.file("written just before the clock jumped")
        counts = self.run_once()
        self.assertEqual((counts["growing"], counts.get("sent", 0)), (1, 0))
        self.assertEqual(self.run_once()["sent"], 1)

    def test_open_and_locked_files_wait(self):
        path = self.file("open for writing")
        other = self.file("locked")
        with open(path, "ab"), open(other, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            counts = self.run_once()
            self.assertEqual((counts["locked"], counts.get("sent", 0)), (2, 0))
        self.assertEqual(self.run_once()["sent"], 2)

    def test_a_file_that_changes_while_it_is_sent_does_not_arrive_half(self):
        path = self.file("big", os.urandom(30_000_000))
        self.write_kit(rate_limit_kib=6000)
        process = self.start("run", "--json")
        while not (self.landing / "data/big.part").exists() or (self.landing / "data/big.part").stat().st_size < 5_000_000:
            time.sleep(0.02)
        with open(path, "r+b") as file:
            file.seek(29_000_000)
            file.write(b"changed")
        out, _ = process.communicate(timeout=60)
        self.assertIn('"growing": 1', out)
        self.assertEqual(self.in_landing(), [])
        self.age(path, 3600)
        self.write_kit(rate_limit_kib=0)
        self.run_once()
        self.ingest()
        self.assert_all_arrived_once()

    def test_names_travel_as_they_are(self):
        names = ["a b", "quote'\"", "glob*?[x]", "back\\slash", "-dash", "#hash", "percent%41", "caf\u00e9", "cafe\u0301", "CON.txt",
                 "dot.", "blank ", "\u96ea", "$HOME `id` ;|&", "~", "deep/er/and deeper/x", "A", "a", "\U0001f33f", "x" * 243]
        for name in names:
            self.file(name, name)
        counts = self.run_once()
        self.assertEqual(counts["sent"], len(names))
        self.assertGreaterEqual(counts["names-that-hurt"], 6)
        said = {line[2]: line[5] if len(line) > 5 else "" for line in self.log()}
        self.assertIn("device of Windows", said["CON.txt"])
        self.assertIn("not NFC", said["cafe\u0301"])
        self.assertIn("by case or accents only", said["A"])
        self.ingest()
        self.assert_all_arrived_once()

    def test_names_that_cannot_travel_are_said_and_not_renamed(self):
        self.file("line\nbreak")
        self.file("bell\x07")
        self.file("y" * 244)
        with open(os.fsencode(self.watched) + b"/latin-\xe9", "wb") as file:
            file.write(b"x")
        os.utime(os.fsencode(self.watched) + b"/latin-\xe9", (1, 1))
        self.file(".hidden")
        self.file(".git/config")
        self.file("Thumbs.db")
        os.symlink("/etc/passwd", self.watched / "link")
        os.mkfifo(self.watched / "pipe")
        self.file("good")
        counts = self.run_once(expect=3)
        self.assertEqual((counts["name"], counts["sent"], counts["hidden"]), (4, 1, 1))
        self.assertIn("line\\nbreak", self.data("sync.log").read_text())
        self.assertEqual(self.in_landing(), ["good"])

    def test_a_changed_file_waits_behind_its_earlier_version(self):
        path = self.file("a", b"one")
        self.run_once()
        path.write_bytes(b"two!")
        self.age(path, 1800)
        counts = self.run_once()
        self.assertEqual((counts["behind"], counts.get("sent", 0)), (1, 0))
        self.assertEqual((self.landing / "data/a").read_bytes(), b"one")
        self.ingest()
        self.assertEqual(self.run_once()["sent"], 1)
        self.receipt("a", "refused", "name-taken", 4, hashlib.sha256(b"two!").hexdigest())
        counts = self.run_once(expect=3)
        self.assertEqual((counts["refused"], counts.get("sent", 0)), (1, 0))
        self.assertIn("name-taken", self.sync("status"))
        # People made room: the NAS takes it after all.
        self.receipt("a", "received", None, 4, hashlib.sha256(b"two!").hexdigest())
        self.assertEqual(self.run_once()["refused"], 0)

    def test_only_its_time_changed_so_it_is_not_sent_again(self):
        path = self.file("a")
        self.run_once()
        self.ingest()
        self.run_once()
        self.age(path, 7200)
        counts = self.run_once()
        self.assertEqual((counts.get("sent", 0), counts["same"]), (0, 1))

    def test_what_the_nas_found_damaged_is_sent_again(self):
        self.file("a")
        self.run_once()
        (self.landing / "data/a").unlink()
        (self.landing / "sums/a.sha256").unlink()
        self.receipt("a", "refused", "checksum", 5, "0" * 64)
        self.run_once()
        self.run_once()
        self.ingest()
        self.run_once()
        self.assert_all_arrived_once()

    def test_without_a_receipt_for_too_long_there_is_an_alarm_and_what_is_lost_is_sent_again(self):
        self.file("a")
        self.file("b")
        self.write_kit(receipt_hours=0.00001)
        self.run_once(expect=None)
        time.sleep(0.1)
        counts = self.run_once(expect=3)
        self.assertEqual(counts["late"], 2)
        self.assertIn("no receipt", [line[1] for line in self.log()])
        (self.landing / "data/a").unlink()
        time.sleep(0.1)
        self.assertEqual(self.run_once(expect=None)["sent"], 1)
        self.ingest()
        self.assertEqual(self.run_once()["waiting"], 0)
        self.assert_all_arrived_once()

    def test_a_receipt_line_that_is_still_being_written_is_read_later(self):
        path = self.file("a")
        self.run_once()
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.receipt("other", size=1, sha256="0" * 64)
        self.receipt("a", size=6, sha256=sha256, end="")
        self.assertEqual(self.run_once()["waiting"], 1)
        with open(next((self.landing / "receipts").iterdir()), "a") as file:
            file.write("\nnot json\n{\"receipt\": 2}\n")
        self.assertEqual(self.run_once()["waiting"], 0)

    def test_a_lost_or_damaged_memory_is_built_again_from_the_receipts(self):
        for number in range(50):
            self.file("f%d" % number, b"%d" % number)
        self.run_once()
        self.ingest()
        for tail in ("", "-wal", "-shm"):
            path = self.data("state.sqlite" + tail)
            if path.exists():
                path.unlink()
        counts = self.run_once()
        self.assertEqual(counts.get("sent", 0), 0)
        self.data("state.sqlite").write_bytes(b"rubbish" * 1000)
        counts = self.run_once()
        self.assertEqual(counts.get("sent", 0), 0)
        self.assertEqual(self.run_once()["same"], 50)
        self.assertEqual(len(list(self.data(".").glob("state.sqlite.damaged-*"))), 1)

    def test_what_is_excluded_and_what_is_not_included_stays(self):
        self.raw["watch"][0].update(include=["*.csv", "*.CSV"], exclude=["old", "sub/x*"])
        self.write_kit()
        for name in ("a.csv", "b.txt", "old/c.csv", "sub/xyz.csv", "sub/d.csv"):
            self.file(name)
        self.run_once()
        self.assertEqual(self.in_landing(), ["a.csv", "sub/d.csv"])

    def test_two_watched_directories_with_the_same_name_in_them(self):
        other = self.top / "other"
        other.mkdir()
        (other / "a").write_text("b")
        self.age(other / "a", 3600)
        self.file("a", b"a")
        self.raw["watch"].append({"path": str(other)})
        self.write_kit()
        self.assertEqual(self.run_once(expect=1)["failed"], 1)
        self.raw["watch"][1]["prefix"] = "camera"
        self.write_kit()
        self.run_once()
        self.assertEqual(self.in_landing(), ["a", "camera/a"])

    def test_a_watched_directory_that_is_gone_is_a_failure(self):
        self.raw["watch"].append({"path": str(self.top / "unplugged")})
        self.write_kit()
        self.file("a")
        counts = self.run_once(expect=1)
        self.assertEqual((counts["failed"], counts["sent"]), (1, 1))

    def test_two_runs_at_once(self):
        for number in range(300):
            self.file("f%d" % number)
        runs = [self.start("run") for _ in range(5)]
        ends = [run.communicate(timeout=60) and run.returncode for run in runs]
        self.assertEqual(ends.count(0) + ends.count(4), 5, ends)
        self.assertGreaterEqual(ends.count(0), 1)
        self.ingest()
        self.assert_all_arrived_once()

    def test_a_dry_run_sends_nothing(self):
        self.file("a")
        self.assertIn("would send\ta", self.sync("run", "--dry-run"))
        self.assertEqual(self.in_landing(), [])
        self.assertEqual(self.run_once()["sent"], 1)

    def test_the_self_test_leaves_nothing_behind(self):
        out = self.sync("self-test")
        self.assertNotIn("[bad]", out)
        self.assertEqual(len(out.splitlines()), 9, out)
        self.assertEqual(self.in_landing(), [])
        self.write_kit(language="fr")
        self.assertIn("[bon] un fichier peut \u00eatre d\u00e9pos\u00e9", self.sync("self-test"))

    # -- What goes wrong on the way

    def test_cuts_at_any_byte(self):
        for number in range(12):
            self.file("small%d" % number, os.urandom(1000 * number))
        self.file("big", os.urandom(6_000_000))
        dice = random.Random(20260301)
        line = Line(self.sshd.port, [dice.randrange(1500, 800_000) for _ in range(25)])
        self.addCleanup(line.close)
        self.write_kit(port=line.port, stall_seconds=4)
        for _ in range(40):
            self.run_once(expect=None)
            self.ingest()
            if not line.limits:
                break
        self.run_once()
        self.ingest()
        self.run_once()
        self.assertGreater(line.breaks, 4)
        self.assert_all_arrived_once()
        self.assertFalse(list(self.landing.rglob("*.part")))

    def test_a_big_file_goes_on_where_the_line_broke(self):
        self.file("big", os.urandom(40_000_000))
        line = Line(self.sshd.port, [15_000_000, 15_000_000])
        self.addCleanup(line.close)
        self.write_kit(port=line.port)
        self.run_once()
        self.assertEqual(line.breaks, 2)
        self.ingest()
        self.assert_all_arrived_once()

    def test_another_file_under_the_same_name_does_not_go_on_with_the_old_piece(self):
        path = self.file("big", b"a" * 20_000_000)
        line = Line(self.sshd.port, [8_000_000] + [3000] * 9)
        self.write_kit(port=line.port, stall_seconds=2)
        self.run_once(expect=1)
        line.close()
        self.assertGreater((self.landing / "data/big.part").stat().st_size, 1_000_000)
        path.write_bytes(b"b" * 20_000_000)
        self.age(path, 3600)
        self.write_kit(port=self.sshd.port)
        self.run_once()
        self.ingest()
        self.assert_all_arrived_once()

    def test_a_line_that_falls_silent_is_given_up(self):
        self.file("big", os.urandom(8_000_000))
        line = Line(self.sshd.port, [3_000_000] + [3000] * 9, silent=True)
        self.addCleanup(line.close)
        self.write_kit(port=line.port, stall_seconds=1)
        began = time.monotonic()
        counts = self.run_once(expect=1)
        self.assertEqual(counts["failed"], 1)
        self.assertIn("silent", self.trouble)
        self.assertLess(time.monotonic() - began, 30)

    def test_a_server_that_was_killed_between_two_names_leaves_one(self):
        path = self.file("a")
        self.run_once()
        os.link(self.landing / "data/a", self.landing / "data/a.part")
        self.data("state.sqlite").unlink()
        self.run_once()
        self.assertEqual(self.in_landing(), ["a"])
        self.assertTrue(path.exists())

    def test_kill_9_anywhere_then_run_again(self):
        for number in range(400):
            self.file("d%d/f%d" % (number % 7, number), os.urandom(number))
        self.file("big", os.urandom(20_000_000))
        dice = random.Random(7)
        for _ in range(15):
            process = self.start("run")
            time.sleep(dice.uniform(0.15, 0.7))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            subprocess.run(["sleep", "0.1"], check=True)  # sshd notices
            if dice.random() < 0.5:
                self.ingest()
        self.run_once()
        self.ingest()
        self.run_once()
        self.assert_all_arrived_once()

    def test_an_interrupted_run_says_so_and_the_next_goes_on(self):
        self.file("big", os.urandom(20_000_000))
        self.write_kit(rate_limit_kib=4000)
        process = self.start("run")
        time.sleep(1.5)
        process.terminate()
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("goes on", err)
        self.write_kit(rate_limit_kib=0)
        self.run_once()
        self.ingest()
        self.assert_all_arrived_once()

    def test_another_host_key_stops_everything(self):
        self.file("a")
        self.sshd.stop()
        self.sshd.key("host")
        self.sshd.start()
        self.assertEqual(self.run_once(expect=1)["failed"], 1)
        self.assertIn("another host key", self.trouble)
        self.assertIn("another host key", self.sync("self-test", expect=1))
        self.assertEqual(self.in_landing(), [])

    def test_a_key_that_the_nas_does_not_know(self):
        self.file("a")
        (self.top / "sshd/authorized").write_text("")
        self.run_once(expect=1)
        self.assertIn("not enrolled yet", self.trouble)

    def test_without_a_key_enrolment_is_asked_for(self):
        self.file("a")
        self.data("id_ed25519").unlink()
        self.run_once(expect=1)
        self.assertIn("run `enrol`", self.trouble)

    def test_a_nas_that_is_not_there(self):
        self.file("a")
        self.sshd.stop()
        self.write_kit(stall_seconds=1)
        self.run_once(expect=1)
        self.assertIn("cannot be reached", self.trouble)
        self.sshd.start()
        self.run_once()
        self.ingest()
        self.assert_all_arrived_once()

    def test_enrolment_shows_the_public_half_and_keeps_the_other(self):
        out = self.sync("enrol")
        self.assertIn(self.data("id_ed25519.pub").read_text().strip(), out)
        self.assertIn("octonas source enrol eco plc-c1 --key -", out)
        self.assertNotIn("PRIVATE", out)
        self.assertEqual(self.data("id_ed25519").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.data(".").stat().st_mode & 0o777, 0o700)

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts a small disk")
    def test_a_full_nas(self):
        disk = self.landing / "data"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(disk)])
        # The sums lie on another disk here; what `statvfs` sees is the top of the landing, so that writing itself fails.
        self.file("big", os.urandom(15_000_000), age=7200)
        self.file("small", b"x", age=3600)
        counts = self.run_once(expect=1)
        self.assertGreaterEqual(counts["failed"], 1)
        self.assertIn("full", self.trouble)
        self.assertLessEqual({p for p in self.in_landing() if not p.endswith(".part")}, {"small"})
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        self.run_once()
        self.assertEqual(self.in_landing(), ["big", "small"])
        for name in ("big", "small"):
            self.assertEqual((disk / name).read_bytes(), (self.watched / name).read_bytes())

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts a small disk")
    def test_what_does_not_fit_is_not_begun(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(self.landing)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(self.landing)])
        for name in ("data", "sums", "receipts"):
            (self.landing / name).mkdir()
        self.file("big", os.urandom(15_000_000), age=7200)
        self.file("small", b"x", age=3600)
        counts = self.run_once(expect=1)
        self.assertEqual((counts["failed"], counts["sent"]), (1, 1))
        self.assertEqual(self.in_landing(), ["small"])

    def test_ten_thousand_files(self):
        for number in range(10_000):
            self.file("d%02d/f%05d.csv" % (number % 50, number), b"%d\n" % number)
        began = time.monotonic()
        self.assertEqual(self.run_once()["sent"], 10_000)
        first = time.monotonic() - began
        self.ingest()
        self.assertEqual(self.run_once()["told-received"], 10_000)
        began = time.monotonic()
        self.assertEqual(self.run_once()["same"], 10_000)
        print("10,000 files: sent in %.1f s; a run with nothing new %.2f s" % (first, time.monotonic() - began))
        self.assert_all_arrived_once()


class ADirectory(Case):
    """The same landing as a directory: a mounted share."""

    transport = "directory"

    test_whole = Sftp.test_files_arrive_whole_with_their_time_and_sum_and_are_never_sent_again
    test_names = Sftp.test_names_travel_as_they_are
    test_growing = Sftp.test_growing_files_wait_until_they_are_still
    test_changed = Sftp.test_a_changed_file_waits_behind_its_earlier_version
    test_while_it_is_sent = Sftp.test_a_file_that_changes_while_it_is_sent_does_not_arrive_half
    test_kill = Sftp.test_kill_9_anywhere_then_run_again
    test_late = Sftp.test_without_a_receipt_for_too_long_there_is_an_alarm_and_what_is_lost_is_sent_again

    def test_a_share_that_is_not_mounted(self):
        self.file("a")
        os.rename(self.landing, self.top / "gone")
        self.run_once(expect=1)
        self.assertIn("is the share mounted", self.trouble)

    def test_it_needs_no_key(self):
        self.assertIn("needs no key", self.sync("enrol"))
        self.assertNotIn("[bad]", self.sync("self-test"))


if __name__ == "__main__":
    unittest.main()
