"""``denan scan`` on a Ray cluster: one task for each share.

A task whose worker or machine is lost is carried out again, elsewhere.
"""

import logging
import socket

from denan.distributed import _shards

#: How often a share is tried again.
RETRIES = 3


def scan(paths, address=None, shards=None, options=()):
    """Scans files and folders on a Ray cluster; returns the document of ``denan scan --format json``.

    Args:
        paths: what to scan, at the same path on all machines.
        address: as of ``ray.init``; without it, the cluster that this process is connected to, or ``ray.init()``'s choice.
        shards: into how many shares the data are divided; without it, four for each core of the cluster.
        options: further options of ``denan scan``, as in ``["--dtype", "float16"]``.

    Raises:
        ScanFailed: a worker lacks denan or does not see the data, nothing in them is read, or a share failed again and again.
    """
    return _shards.result(shares(paths, address, shards, options))


def shares(paths, address=None, shards=None, options=()):
    """Yields, in the order they are done, the number of a share and what its worker says."""
    ray = _shards.imported("ray")
    is_own = not ray.is_initialized()
    if is_own:
        be_there(address)
        ray.init(address, logging_level=logging.WARNING)
    waiting = {}
    try:
        count = shards or _shards.PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
        ray.cloudpickle.register_pickle_by_value(_shards)
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=[RuntimeError])(_shards.scan_share)
        job = _shards.job(paths, options)
        waiting = {remote.remote(number, count, *job): number for number in range(count)}
        while waiting:
            [done], _ = ray.wait(list(waiting))
            number = waiting.pop(done)
            try:
                said = ray.get(done)
            except ray.exceptions.RayError as error:
                why = f"Ray could not have share {number + 1} of {count} scanned, {RETRIES + 1} times: {error}"
                raise _shards.ScanFailed(why) from error
            yield number, said
    finally:
        for unneeded in waiting:
            ray.cancel(unneeded, force=True)
        if is_own:
            ray.shutdown()


def be_there(address):
    """Fails where nobody listens at ``HOST:PORT``: Ray would try again for many minutes."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdecimal() or "://" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise _shards.ScanFailed(f"no Ray cluster answers at {address}: {error}\n  help: ray status") from None
