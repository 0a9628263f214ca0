"""``denan scan`` on a Spark cluster: one partition for each share.

Spark itself carries out again what a lost worker or machine has not brought to its end.
"""

import os
import sys

from denan.distributed import _shards


def scan(spark, paths, shards=None, options=()):
    """Scans files and folders on a Spark cluster; returns the document of ``denan scan --format json``.

    Args:
        spark: a ``SparkSession``, not of Spark Connect, which has no RDDs.
        paths: what to scan, at the same path on all machines.
        shards: into how many shares the data are divided; without it, four for each core of the cluster.
        options: further options of ``denan scan``, as in ``["--dtype", "float16"]``.

    Raises:
        ScanFailed: a worker lacks denan or does not see the data, or nothing in them is read.
    """
    return _shards.result(shares(spark, paths, shards, options))


def shares(spark, paths, shards=None, options=()):
    """Yields the number of each share and what its worker says, when all are done."""
    cloudpickle = _shards.imported("pyspark").cloudpickle
    context = getattr(spark, "sparkContext", None)
    if context is None:
        way = "connect to the cluster's master: SparkSession.builder.master(…)"
        raise _shards.ScanFailed(f"a session of Spark Connect has no RDDs\n  help: {way}")
    cloudpickle.register_pickle_by_value(_shards)
    count = shards or _shards.PER_CORE * context.defaultParallelism
    job = _shards.job(paths, options)
    scan_share = _shards.scan_share
    yield from context.parallelize(range(count), count).map(lambda number: (number, scan_share(number, count, *job))).collect()


def session(master):
    """A session of its own with the cluster of a master."""
    pyspark = _shards.imported("pyspark")
    if master.startswith("local"):
        # Its workers are of this machine; by default they run whatever is called `python3`.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return pyspark.sql.SparkSession.builder.master(master).appName("denan scan").getOrCreate()
