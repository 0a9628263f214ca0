"""The figures of `Summary` with numpy, in its usual several passes: prints the seconds of the fastest of three runs.

Usage: python3 numpy_peer.py NUMBER_OF_ELEMENTS
"""

import sys
import time

import numpy as np


def summarize(x):
    nan = np.count_nonzero(np.isnan(x))
    pos_inf = np.count_nonzero(np.isposinf(x))
    neg_inf = np.count_nonzero(np.isneginf(x))
    zeros = np.count_nonzero(x == 0)
    subnormals = np.count_nonzero(np.abs(x) < np.finfo(x.dtype).tiny) - zeros
    finite = x[np.isfinite(x)] if nan or pos_inf or neg_inf else x
    low, high = finite.min(), finite.max()
    mean = finite.mean(dtype=np.float64)
    m2 = finite.var(dtype=np.float64) * finite.size
    return nan, pos_inf, neg_inf, zeros, subnormals, low, high, mean, m2


def main():
    x = np.random.default_rng(1).standard_normal(int(sys.argv[1]), dtype=np.float32)
    fastest = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        summarize(x)
        fastest = min(fastest, time.perf_counter() - start)
    print(fastest)


main()
