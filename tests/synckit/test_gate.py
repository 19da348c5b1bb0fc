"""The same deliveries through the gate of the NAS, in a jail whose only directory is `/in`."""

import os
import pathlib
import shutil
import unittest

from support import PROJECT, Case
import test_delivery

GATE = pathlib.Path(os.environ.get("OCTONAS_GATE") or pathlib.Path(
    os.environ.get("CARGO_TARGET_DIR") or PROJECT / "target") / "debug" / "octonas-gate")
NEEDED = ["/usr/bin/bwrap", "/usr/lib/openssh/sftp-server", str(GATE)]
MISSING = [path for path in NEEDED if not os.path.exists(path)]


@unittest.skipIf(MISSING, "not there: %s" % ", ".join(MISSING))
class Gate(Case):
    def setUp(self):
        original = self.write_kit

        def write_kit(**changes):
            if "remote" not in self.raw or self.raw["remote"] == str(self.landing):
                self.raw["remote"] = "/in"
            original(**changes)

        self.write_kit = write_kit
        jail = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / ("synckit-gate-%d" % os.getpid())
        jail.mkdir(exist_ok=True)
        self.addCleanup(shutil.rmtree, jail, ignore_errors=True)
        self.command = str(jail / "jail")
        super().setUp()
        (jail / "jail").write_text(
            "#!/bin/sh\nexec bwrap --die-with-parent --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib "
            "--symlink usr/lib64 /lib64 --dev /dev --ro-bind '%s' /etc/passwd --bind '%s' /in --ro-bind '%s' /gate "
            "-- /gate --source\n" % (jail / "passwd", self.landing, GATE))
        (jail / "passwd").write_text("octsrc:x:%d:%d::/in:/bin/sh\n" % (os.getuid(), os.getgid()))
        (jail / "jail").chmod(0o755)

    test_whole = test_delivery.Sftp.test_files_arrive_whole_with_their_time_and_sum_and_are_never_sent_again
    test_names = test_delivery.Sftp.test_names_travel_as_they_are
    test_cuts = test_delivery.Sftp.test_a_big_file_goes_on_where_the_line_broke
    test_kill = test_delivery.Sftp.test_kill_9_anywhere_then_run_again
    test_self_test = test_delivery.Sftp.test_the_self_test_leaves_nothing_behind

    def test_modes_are_what_the_wall_needs(self):
        self.file("day/a")
        self.run_once()
        self.assertEqual((self.landing / "data/day/a").stat().st_mode & 0o7777, 0o660)
        self.assertEqual((self.landing / "sums/day/a.sha256").stat().st_mode & 0o7777, 0o660)
        self.assertEqual((self.landing / "data/day").stat().st_mode & 0o777, 0o770)


if __name__ == "__main__":
    unittest.main()
