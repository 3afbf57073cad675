"""What the C library does with memory that is no longer needed."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
LARGE = 1 << 20  # bytes
SPARE = 16 << 20  # bytes


def tune_heap() -> None:
    """Let blocks of `LARGE` bytes or more go back to the system once freed, and keep `SPARE` for smaller ones.

    On Linux with glibc. By itself glibc raises the first figure to 32 MB as larger blocks are freed, and a prompt's
    buffers, of 10 to 30 MB, would stay: 75 MB after 512 tokens. The second is 128 KB, so that each array over a
    vocabulary, of 400 KB, would be taken from the system and given back: five times as long as what is computed in it.
    """
    if sys.platform != "linux":
        return
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and need none
    if tune is not None:
        tune(_MMAP_THRESHOLD, LARGE)
        tune(_TRIM_THRESHOLD, SPARE)


def give_back() -> None:
    """Return to the system what the C library keeps free; takes some milliseconds, in which other threads run.

    Of use when much of many small blocks has gone: a model's tokenizer, and what is read while another one is loaded.
    By itself glibc returns the end of the heap alone, and Gemma's 262,144 tokens lie all over it: 200 MB.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
