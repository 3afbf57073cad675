"""How fast this machine reads memory, which no decoder can beat: every weight is read for every token."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

METHOD = "the fastest of 3 times that two threads sum 1 GiB of 64-bit integers with numpy, half of it each"
BYTES = 1 << 30
PASSES = 3
THREADS = 2


def read_bandwidth() -> float:
    """Bytes per second."""
    parts = np.split(np.ones(BYTES // 8, np.int64), THREADS)
    best = float("inf")
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(PASSES):
            began = time.perf_counter()
            list(pool.map(np.sum, parts))
            best = min(best, time.perf_counter() - began)
    return BYTES / best
