"""The probe: a table of 300 MB, and NetCDF beside `ncdump -h` of the same files."""

import os
import pathlib
import shutil
import subprocess
import time

MEGABYTES = 300
VARIABLES = 40


def table(path):
    """A French table, one row a minute, of about 300 MB; what is written are eight days again and again."""
    rows = []
    for minute in range(8 * 1440):
        day, hour, rest = minute // 1440 + 1, minute // 60 % 24, minute % 60
        values = ";".join(f"{20 + (minute * k) % 17},{(minute * k) % 100:02}" for k in range(1, 9))
        rows.append(f"2026-03-{day:02} {hour:02}:{rest:02}:00;{values};OK\r\n")
    block = "".join(rows).encode()
    with open(path, "wb") as file:
        file.write(("Horodatage;" + ";".join(f"T{k} (°C)" for k in range(1, 9)) + ";Etat\r\n").encode())
        for _ in range(MEGABYTES * 1_000_000 // len(block) + 1):
            file.write(block)
    return os.path.getsize(path) / 1e6


def netcdf(path, kind):
    """A dataset with a time coordinate and forty variables, as ncgen(1) makes it."""
    variables = "".join(
        f'float v{k}(time, z) ; v{k}:units = "K" ; v{k}:standard_name = "air_temperature" ; v{k}:long_name = "level {k}" ;\n'
        for k in range(VARIABLES)
    )
    cdl = f"""netcdf bench {{ dimensions: time = UNLIMITED ; z = 100 ; variables:
        double time(time) ; time:units = "minutes since 2026-03-01 00:00:00" ; {variables}
        :Conventions = "CF-1.8" ; :title = "bench" ; data: time = {", ".join(map(str, range(1000)))} ; }}"""
    subprocess.run(["ncgen", "-k", kind, "-o", path, "-"], input=cdl.encode(), check=True)


def best(argv, path, repeat, warm=1):
    """The best of some runs with the file on standard input, in seconds."""
    times = []
    for number in range(repeat + warm):
        with open(path, "rb") as file:
            begun = time.perf_counter()
            subprocess.run(argv, stdin=file, stdout=subprocess.DEVNULL, check=True, env={})
            if number >= warm:
                times.append(time.perf_counter() - begun)
    return min(times)


def measure(report, octonas, place):
    """`report(what, value, limit, unit)` takes every figure; less is better."""
    probe = pathlib.Path(octonas).with_name("octonas-probe")
    if not probe.exists():
        print("SKIPPED: no octonas-probe beside octonas")
        return
    path = f"{place}/bench.csv"
    size = table(path)
    seconds = best([str(probe)], path, 3)
    print(f"{'probe of a table: ' + format(size, '.0f') + ' MB':<44} {size / seconds:10.1f} MB/s     (at least 100 MB/s)")
    report("probe of a table, per 100 MB", seconds / size * 100 * 1000, 1000, "ms")
    os.unlink(path)
    if shutil.which("ncdump") is None or shutil.which("ncgen") is None:
        print("SKIPPED: no ncdump(1) (netcdf-bin)")
        return
    for kind in ("classic", "nc4"):
        path = f"{place}/{kind}.nc"
        netcdf(path, kind)
        beside = best(["ncdump", "-h", path], path, 30)
        report(f"probe of NetCDF ({kind}), times ncdump -h", best([str(probe)], path, 30) / beside, 3, "times")
