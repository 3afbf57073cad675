"""How much memory an exploration may take."""

from __future__ import annotations

import psutil

MOST_BYTES = 2_000_000_000
SHARE = 4  # one byte in so many of those that are free


def automatic_budget() -> int:
    """Bytes: a quarter of the memory that is free now, at most 2 GB."""
    return min(MOST_BYTES, int(psutil.virtual_memory().available) // SHARE)
