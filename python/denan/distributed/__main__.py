"""What ``denan scan --ray`` and ``--spark`` start: has the shares scanned and writes their states into a folder.

Ends with 0 when all are there, otherwise with the exit code of ``denan scan``, having said why; and when its standard
input ends, which is the one who started it.
"""

import argparse
import os
import signal
import sys
import threading

from denan.distributed import ScanFailed, _shards, ray, spark


def main():
    parser = argparse.ArgumentParser(prog="denan.distributed", description="For people: denan scan --ray, denan scan --spark.")
    on = parser.add_mutually_exclusive_group(required=True)
    on.add_argument("--ray", metavar="ADDRESS")
    on.add_argument("--spark", metavar="MASTER")
    parser.add_argument("--into", metavar="FOLDER", required=True)
    parser.add_argument("--shards", type=int)
    parser.add_argument("--option", dest="options", action="append", default=[], help="of denan scan; any number of times")
    parser.add_argument("--tell", action="store_true", help="how many shares are done")
    parser.add_argument("paths", nargs="+")
    asked = parser.parse_args()
    # An exit, so that what was begun on the cluster is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=end_with_input, daemon=True).start()
    try:
        if asked.ray is not None:
            shares = ray.shares(asked.paths, asked.ray, asked.shards, asked.options)
        else:
            shares = spark.shares(spark.session(asked.spark), asked.paths, asked.shards, asked.options)
        for there in _shards.keep(shares, asked.into):
            if asked.tell:
                print(f"\rshares done: {there}", end="", file=sys.stderr, flush=True)
        if asked.tell:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        return 130
    except ScanFailed as error:
        print(f"denan: {error}", file=sys.stderr)
        return error.code
    # Whatever a cluster raises: it is not reached, it has no more workers, there is no Java.
    except Exception as error:
        what = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        # Java's stack says nothing more.
        why = str(error).partition("\n\tat ")[0]
        print(f"denan: {what}{why}", file=sys.stderr)
        return 2
    return 0


def end_with_input():
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
