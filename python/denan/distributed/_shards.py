"""What Ray and Spark have in common: how a worker scans a share, and how the shares become one result."""

import contextlib
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from denan._core import __version__

#: Shares for each core of a cluster: so many that the last ones are not waited for long.
PER_CORE = 4


class ScanFailed(RuntimeError):
    """There is no result. ``code`` is the exit code that ``denan scan`` has for it."""

    def __init__(self, why, code=2):
        super().__init__(why)
        self.code = code


def imported(name):
    """A package that only those need who have such a cluster."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(f"{sys.executable} has no {name}\n  help: pip install {name}") from None


def job(paths, options):
    """What the workers are told, but for which share. Relative paths start in the folder of the one who asks."""
    paths = [os.fspath(paths)] if isinstance(paths, (str, os.PathLike)) else [os.fspath(path) for path in paths]
    folder = None if all(map(os.path.isabs, paths)) else os.getcwd()
    return paths, list(options), folder, __version__


def scan_share(number, count, paths, options, folder, version):
    """On a worker: the state of a share, an exit code, and why there is no state.

    It is sent to the workers by value, since they may lack this package. What would go wrong again is returned; what is
    raised, clusters try again.
    """
    who = f"the worker on {platform.node()}"
    for path in paths:
        if not os.path.exists(os.path.join(folder or "", path)):
            of = f" of {folder}" if folder else ""
            return None, 2, f"{who} does not see {path}{of}\n  help: data must lie at the same path on all machines"
    denan = [sys.executable, "-m", "denan"]
    run = {"cwd": folder, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace"}
    own = subprocess.run([*denan, "--version"], **run)
    if own.returncode != 0 or own.stdout.split()[-1] != version:
        has = own.stdout.strip() if own.returncode == 0 else "no denan"
        install = f"there: {sys.executable} -m pip install denan=={version}"
        other = "; Spark's workers run the Python that PYSPARK_PYTHON names" if "pyspark" in sys.modules else ""
        return None, 2, f"{who} has {has}, and denan {version} is needed\n  help: {install}{other}"
    with tempfile.TemporaryDirectory(prefix="denan-") as temporary:
        state = os.path.join(temporary, "state")
        share = ["--shard", f"{number + 1}/{count}", "--emit", state, "--jobs", "1", "--quiet"]
        done = subprocess.run([*denan, "scan", *share, *options, "--", *paths], **run)
        why = f"{who}: {done.stderr.strip().removeprefix('denan: ')}"
        if done.returncode in (2, 3):
            return None, done.returncode, why
        if done.returncode != 0:
            # Killed, for one: a negative number is a signal's.
            raise RuntimeError(f"{why} (exit code {done.returncode})")
        with open(state, "rb") as file:
            return file.read(), 0, ""


def keep(shares, folder):
    """Writes the states of shares into a folder as they come; yields how many are there."""
    with contextlib.closing(shares):
        for there, (number, (state, code, why)) in enumerate(shares, 1):
            if state is None:
                raise ScanFailed(why, code)
            (Path(folder) / f"{number + 1}.state").write_bytes(state)
            yield there


def result(shares):
    """The document of all shares."""
    with tempfile.TemporaryDirectory(prefix="denan-") as folder:
        for _ in keep(shares, folder):
            pass
        states = sorted(str(path) for path in Path(folder).iterdir())
        merge = [sys.executable, "-m", "denan", "scan", "merge", "--format", "json", *states]
        done = subprocess.run(merge, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise ScanFailed(done.stderr.strip().removeprefix("denan: "))
    return json.loads(done.stdout)
