"""Long runs (tests/long/run sets OCTONAS_LONG): a 5 GB file over a line that breaks."""

import hashlib
import os
import random
import shutil
import unittest

from support import Case, Line

SIZE = 5 << 30


@unittest.skipUnless(os.environ.get("OCTONAS_LONG"), "long: tests/long/run")
class Long(Case):
    def test_five_gigabytes_with_random_spots_arrive_whole_over_a_line_that_breaks(self):
        if shutil.disk_usage(self.top).free < 2 * SIZE:
            self.skipTest("not enough room in %s" % self.top)
        path = self.watched / "film.bin"
        dice = random.Random(5)
        with open(path, "wb") as file:
            file.truncate(SIZE)
            for _ in range(500):
                file.seek(dice.randrange(SIZE - 4096))
                file.write(dice.randbytes(4096))
        self.age(path, 3600)
        line = Line(self.sshd.port, [1_300_000_000, 900_000_000, 1_700_000_000])
        self.addCleanup(line.close)
        self.write_kit(port=line.port)
        self.assertEqual(self.run_once()["sent"], 1)
        self.assertEqual(line.breaks, 3)
        sha = hashlib.sha256()
        with open(self.landing / "data/film.bin", "rb") as file:
            for data in iter(lambda: file.read(1 << 22), b""):
                sha.update(data)
        self.assertEqual((self.landing / "sums/film.bin.sha256").read_text(), "%s  film.bin\n" % sha.hexdigest())
        self.assertEqual((self.landing / "data/film.bin").stat().st_size, SIZE)


if __name__ == "__main__":
    unittest.main()
