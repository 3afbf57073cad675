"""Memory that is given back: what the C library does with large blocks that are no longer needed."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
LARGE = 1 << 20  # bytes


def give_back_large_blocks() -> None:
    """Let every block of `LARGE` bytes or more go back to the system once it is freed, on Linux with glibc.

    By itself glibc raises that threshold to 32 MB as larger blocks are freed, and a prompt's buffers, of 10 to 30 MB,
    would stay: 75 MB after 512 tokens.
    """
    if sys.platform != "linux":
        return
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and need none
    if tune is not None:
        tune(_MMAP_THRESHOLD, LARGE)
