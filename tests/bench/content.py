"""What the benches of integrity and packages work on: 20,000 files of 2 to 120 KB and four of 256 MiB, 2.1 GB.

Half of it is what an acquisition machine writes: tables (CSV), and a fifth of those small files NetCDF where ncgen is there. The other
half cannot be compressed, as pictures and what is compressed already.
"""

import pathlib
import random
import shutil
import subprocess
import sys

SMALL = 20_000
LARGE = 4
LARGE_SIZE = 256 << 20
FOLDER = 200


def table(chance, length):
    """A measured series of about so many bytes: a date, temperatures with a decimal comma, a counter, a state."""
    rows, size, value = [b"Horodatage;T1;T2;T3;Etat\r\n"], 26, 20.0
    minute = chance.randrange(500_000)
    while size < length:
        minute += 1
        value += chance.gauss(0, 0.05)
        row = f"2026-03-{1 + minute // 1440 % 28:02} {minute // 60 % 24:02}:{minute % 60:02}:00;{value:.2f};{value / 3:.3f};{minute};OK\r\n"
        rows.append(row.replace(".", ",").encode())
        size += len(row)
    return b"".join(rows)


def series(place, points):
    """A NetCDF file with so many points."""
    values = ", ".join(map(str, range(points)))
    cdl = (
        f"netcdf n {{ dimensions: time = {points} ; variables: double time(time) ; time:units = \"minutes since 2026-03-01\" ;"
        f' float t(time) ; t:units = "K" ; data: time = {values} ; }}'
    )
    file = pathlib.Path(place, "n.nc")
    subprocess.run(["ncgen", "-o", file, "-"], input=cdl.encode(), check=True)
    data = file.read_bytes()
    file.unlink()
    return data


def lay(raw):
    """Fills a directory, in a process of its own: what the kernel tells of a child's memory begins with its parent's. Gives the bytes."""
    done = subprocess.run([sys.executable, __file__, raw], check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def fill(raw):
    """Fills a directory; gives the bytes."""
    chance = random.Random(5)
    tables = [table(chance, chance.randrange(2_000, 120_000)) for _ in range(400)]
    nets = [series(raw, 1000 * number) for number in range(1, 9)] if shutil.which("ncgen") else []
    if not nets:
        print("no ncgen (netcdf-bin): without NetCDF files", file=sys.stderr)
    total = 0
    for number in range(SMALL):
        folder = raw / f"day{number // FOLDER:03}"
        folder.mkdir(exist_ok=True)
        if number % 2 == 0:
            data, end = chance.randbytes(chance.randrange(2_000, 120_000)), "jpg"
        elif nets and number % 10 == 1:
            data, end = chance.choice(nets), "nc"
        else:
            data, end = chance.choice(tables), "csv"
        (folder / f"f{number:05}.{end}").write_bytes(data)
        total += len(data)
    text, noise = table(chance, 8 << 20), chance.randbytes(8 << 20)
    for number in range(LARGE):
        source, end = (text, "csv") if number % 2 else (noise, "bin")
        with (raw / f"large{number}.{end}").open("wb") as file:
            left = LARGE_SIZE
            while left:
                left -= file.write(source[:left])
        total += LARGE_SIZE
    return total


if __name__ == "__main__":
    print(fill(pathlib.Path(sys.argv[1])))
