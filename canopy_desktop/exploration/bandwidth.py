"""How fast this machine reads its memory: what a token cannot be faster than, since every weight is read for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

BUFFER_BYTES = 256_000_000  # more than the processor's own caches hold
PASSES = 6  # the fastest counts: whatever else runs only ever slows one down
MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The fastest of the passes so far."""

    done: int
    passes: int
    bytes_per_s: float

    def least_ms(self, weight_bytes: int) -> float:
        """The time to read so many bytes of weights once, from memory."""
        return 1000 * weight_bytes / self.bytes_per_s


def read_passes(
    buffer_bytes: int = BUFFER_BYTES, passes: int = PASSES, threads: int | None = None
) -> Iterator[Bandwidth]:
    """Read a buffer of that size again and again, on several threads; one pass a step, of some 20 ms.

    On the CPU; a card's own memory is another.
    """
    threads = threads or min(MOST_THREADS, os.cpu_count() or 1)
    parts = np.array_split(np.ones(buffer_bytes // 8, np.int64), threads)  # ones: every page is touched
    fastest = float("inf")
    with ThreadPoolExecutor(threads, thread_name_prefix="bandwidth") as pool:
        for done in range(1, passes + 1):
            began = time.perf_counter()
            for _ in pool.map(np.add.reduce, parts):
                pass
            fastest = min(fastest, time.perf_counter() - began)
            yield Bandwidth(done, passes, sum(part.nbytes for part in parts) / fastest)
