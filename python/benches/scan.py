"""`denan scan` beside what else summarises the same files, in one run: time (the best of several, page cache warm) and peak memory.

    pip install numpy pyarrow polars duckdb pillow cleanvision
    python python/benches/scan.py [--denan PATH] [--only npy,csv,parquet,images] [--rounds 5] [--jpegs FOLDER]

- npy: one column and 64 columns of float32, beside reading the file and nothing else (1 MiB at a time, on one core, and on two at once).
- csv, parquet: 20 columns of numbers, two of them with missing values, beside `describe()` of polars and `SUMMARIZE` of duckdb. A NaN is
  planted, and each one's count of NaN told.
- images: 10,000 JPEGs of 500 x 375 (made of noise and gradients, or those of a folder again and again), beside cleanvision with all of its
  checks and with the cheap ones alone.

Each peer runs in a process of its own, its start left in; that of Python with its imports is told by itself.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.abspath(__file__)


def timed(command, rounds):
    """The best time of a command in seconds, its peak memory in MiB, and what it printed last."""
    best, peak, said = float("inf"), 0, ""
    for _ in range(rounds):
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        best = min(best, time.perf_counter() - begin)
        peak = max(peak, usage.ru_maxrss / 1024)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, 1):
            return None, peak, f"ended with {code}"
        said = out.strip().splitlines()[-1] if out.strip() else ""
    return best, peak, said


def row(name, result, size=None, base=None):
    seconds, peak, said = result
    if seconds is None:
        print(f"  {name:34} {said}")
        return
    rate = f"{size / seconds / 1e9:6.2f} GB/s" if size else " " * 11
    ratio = f"{seconds / base:8.1f} x" if base else " " * 10
    print(f"  {name:34} {seconds:8.2f} s {rate} {ratio} {peak:8.0f} MiB   {said[:60]}")


def denan_nan(program, path, rounds):
    """denan over a file, and how many NaN it counts."""
    result = timed([program, "scan", path, "--format", "concise", "-q"], rounds)
    document = json.loads(subprocess.run([program, "scan", path, "--format", "json"], stdout=subprocess.PIPE).stdout)
    nan = sum(column["nan"] for column in document["columns"])
    return result[0], result[1], f"NaN counted: {nan}"


def peer(name, path):
    """What a peer does in its own process."""
    if name == "read":
        buffer = memoryview(bytearray(1 << 20))
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    elif name == "polars":
        import polars

        scan = polars.scan_csv if path.endswith(".csv") else polars.scan_parquet
        table = scan(path).describe()
        print("NaN counted: 0 (mean is NaN)" if any(value != value for value in table.row(2)[1:]) else "NaN not noticed")
    elif name == "duckdb":
        import duckdb

        rows = duckdb.sql(f"SUMMARIZE SELECT * FROM '{path}'").fetchall()
        print("mean is NaN" if any("nan" in str(row[5]).lower() for row in rows) else "NaN not noticed")
    elif name.startswith("cleanvision"):
        from cleanvision import Imagelab

        lab = Imagelab(data_path=path)
        cheap = {"odd_size": {}, "exact_duplicates": {}}
        lab.find_issues(cheap, n_jobs=2) if name.endswith("cheap") else lab.find_issues(n_jobs=2)
    elif name == "start":
        pass


def peers(names, path, size, rounds, base):
    for name in names:
        row(name, timed([sys.executable, HERE, "--peer", name, path], rounds), size, base)


def made(what, path, *numbers):
    """Makes data in a process of its own, since a child's peak memory begins with that of its parent."""
    subprocess.run([sys.executable, HERE, "--make", what, path, *map(str, numbers)], check=True)


def make(what, path, *numbers):
    import numpy

    numbers = [int(number) for number in numbers]
    random = numpy.random.default_rng(0)
    if what == "npy":
        numpy.save(path, random.standard_normal(numbers, dtype="f4"))
    elif what == "jpegs":
        from PIL import Image

        for number in range(numbers[0]):
            coarse = random.integers(0, 256, (12, 16, 3), dtype="u1")
            image = numpy.asarray(Image.fromarray(coarse).resize((500, 375), Image.BICUBIC)).astype("i2")
            image = (image + random.integers(-8, 9, image.shape)).clip(0, 255).astype("u1")
            Image.fromarray(image).save(os.path.join(path, f"{number}.jpg"), quality=85)
    else:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet

        rows = numbers[0]
        columns = {}
        for number in range(20):
            values = random.standard_normal(rows) if number % 2 else random.integers(0, 1000, rows).astype("f8")
            if number == 3:
                values[rows // 2] = numpy.nan
            mask = random.random(rows) < 0.01 if number in (6, 7) else None
            columns[f"c{number}"] = pyarrow.array(values.round(6), mask=mask)
        table = pyarrow.table(columns)
        pyarrow.csv.write_csv(table, path) if what == "csv" else pyarrow.parquet.write_table(table, path)


def npy(program, folder, rounds, values):
    for name, shape in [("one column", (values,)), ("64 columns", (values // 64, 64))]:
        path = os.path.join(folder, "x.npy")
        made("npy", path, *shape)
        size = os.path.getsize(path)
        print(f"npy float32, {name}, {size / 1e9:.2f} GB")
        result = timed([program, "scan", path, "--format", "concise", "-q"], rounds)
        row("denan scan", result, size)

        def dd(count):
            one = f"dd if={path} of=/dev/null bs=1M"
            return ["sh", "-c", f"{one} & " * (count - 1) + f"{one}; wait"]

        one, two = timed(dd(1), rounds), timed(dd(2), rounds)
        row("reading alone, one core", one, size)
        row("reading alone, two cores at once", two, 2 * size)
        print(f"  share of one core's read bandwidth: {one[0] / result[0]:.0%}")
        os.remove(path)


def tables(program, folder, rounds, rows, kinds):
    for kind in kinds:
        path = os.path.join(folder, f"t.{kind}")
        made(kind, path, rows)
        size = os.path.getsize(path)
        print(f"{kind}, {rows:,} rows of 20 columns, {size / 1e9:.2f} GB")
        result = denan_nan(program, path, rounds)
        row("denan scan", result, size)
        peers(["polars", "duckdb", "start"], path, size, rounds, result[0])
        os.remove(path)


def images(program, folder, rounds, count, source):
    inner = os.path.join(folder, "images")
    os.mkdir(inner)
    if source:
        names = [os.path.join(at, name) for at, _, names in os.walk(source) for name in names]
        found = sorted(name for name in names if name.lower().endswith(".jpg"))
        for number in range(count):
            shutil.copyfile(found[number % len(found)], os.path.join(inner, f"{number}.jpg"))
    else:
        made("jpegs", inner, count)
    size = sum(os.path.getsize(os.path.join(inner, name)) for name in os.listdir(inner))
    print(f"{count:,} JPEGs, {size / 1e9:.2f} GB")
    result = timed([program, "scan", inner, "--format", "concise", "-q"], rounds)
    row("denan scan", (result[0], result[1], ""), size)
    peers(["cleanvision", "cleanvision-cheap"], inner, size, 1, result[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--denan", default="denan")
    parser.add_argument("--only", default="npy,csv,parquet,images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--values", type=int, default=400_000_000)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--jpegs")
    parser.add_argument("--folder")
    parser.add_argument("--peer", nargs=2)
    parser.add_argument("--make", nargs="+")
    options = parser.parse_args()
    if options.peer:
        peer(*options.peer)
        return
    if options.make:
        make(*options.make)
        return
    only = options.only.split(",")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if "npy" in only:
            npy(options.denan, folder, options.rounds, options.values)
        kinds = [kind for kind in ("csv", "parquet") if kind in only]
        if kinds:
            tables(options.denan, folder, options.rounds, options.rows, kinds)
        if "images" in only:
            images(options.denan, folder, options.rounds, options.images, options.jpegs)


if __name__ == "__main__":
    main()
