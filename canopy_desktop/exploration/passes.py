"""Passes that make columns again as they were made.

A single row is rounded otherwise than several (docs/architecture.md, "Rounding"). Rows of several passes agree if heads
have at most `ALIKE` numbers. Larger ones are multiplied with some keys at a time, and a last panel of few keys is added
up in another order; how many that are depends on the processor. So then a row has the bits that it had if the pass
ends where its own did, wherever it begins: so it was found (tests/core/test_rounding.py).
"""

from __future__ import annotations

import numpy as np

from canopy_desktop.arrays import AnyArray, IntArray
from canopy_desktop.model.decoder import ROWS, chunks_of

ALIKE = 128  # numbers of a head whose products are added up in one order, however many keys there are
ALONE = 0  # the end of the pass of a token that passed by itself


def pass_end(first: int, count: int) -> int:
    """What the columns of a pass remember of it: the position where it ended, or `ALONE`."""
    return first + count if count > 1 else ALONE


def pass_with(first: int, last: int, ends: IntArray, head_size: int) -> tuple[int, int]:
    """First position and end of a pass that makes the columns first … last - 1 as they were made.

    They are one of what `passes_again` gives, or a single one; `ends` (positions,) are those of the whole text. It may
    be longer, and then makes the others as they were too. Where the text was cut so that there is no such pass, it is
    the nearest.
    """
    if ends[first] == ALONE:
        return first, last
    if head_size <= ALIKE:
        if last - first == 1 and first > 0 and (ends[first - 1] != ALONE or last == ends.size or ends[last] == ALONE):
            return first - 1, last
        return first, min(max(last, first + 2), ends.size)
    last = min(int(ends[first]), ends.size)
    return (first - 1 if first > 0 and (last - first) % ROWS == 1 else first), last


def passes_again(gone: AnyArray, ends: IntArray, head_size: int) -> list[tuple[int, int]]:
    """Cut what is gone of a text so that each piece can be made in one pass: chunks from chunks, single ones alone.

    Both (positions,): bool, and the ends of the passes that made the columns. Returns the first position and the end
    of each piece, in order; the pass for it is that of `pass_with`.
    """
    made = np.minimum(ends, 1) if head_size <= ALIKE else ends
    kinds = np.where(gone, 1 + made, 0)
    found: list[tuple[int, int]] = []
    for part in np.split(np.arange(kinds.size), np.flatnonzero(np.diff(kinds)) + 1):
        if not part.size or not gone[part[0]]:
            continue
        first = int(part[0])
        for count in [1] * part.size if ends[first] == ALONE else chunks_of(part.size):
            found.append((first, first + count))
            first += count
    return found
