"""How much memory an exploration may take."""

from __future__ import annotations

import sys

from canopy_desktop.model.device import HOST, Memory

UNLIMITED = sys.maxsize
MOST_BYTES = 2_000_000_000
SHARE = 4  # one byte in so many of those that are free


def automatic_budget(memory: Memory = HOST) -> int:
    """Bytes: a quarter of the memory that is free now, at most 2 GB, which it also is where nobody knows."""
    free = memory.free()
    return MOST_BYTES if free is None else min(MOST_BYTES, free // SHARE)
