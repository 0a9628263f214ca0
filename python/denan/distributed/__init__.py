"""``denan scan`` on a cluster: each share of a data set is gone through by another worker, and what they know is joined.

::

    from denan.distributed import ray, spark

    document = ray.scan(["/data/train"], address="auto", options=["--dtype", "float16"])
    document = spark.scan(session, ["/data/train"])

The document is that of ``denan scan --format json`` on one machine, to the last bit. What is scanned has to lie at the
same path on all machines, and each needs denan in the version of the one that asks.

Importing this imports neither Ray nor Spark.
"""

from denan.distributed import ray, spark
from denan.distributed._shards import ScanFailed

__all__ = ["ScanFailed", "ray", "spark"]
