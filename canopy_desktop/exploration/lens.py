"""The logit lens: what the model's end makes of the residual stream after each layer.

nostalgebraist 2020, "interpreting GPT: the logit lens": final norm and output matrix, applied to a residual on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from canopy_desktop.exploration.columns import ColumnStore
    from canopy_desktop.model.head import Head

ROWS = 40  # residuals whose logits are computed at once: 8 MB at 49,152 tokens; fewer rows cost more each
NO_RANK = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LensGrid:
    """The likeliest token after each layer and position; layer 0 is the embedding. Arrays are read-only."""

    token_ids: IntArray  # (layers + 1, positions)
    probabilities: FloatArray  # (layers + 1, positions), of those tokens
    ranks: IntArray  # (layers + 1, positions), from 1, of the token that came next; NO_RANK where none did

    def __post_init__(self) -> None:
        for array in (self.token_ids, self.probabilities, self.ranks):
            array.setflags(write=False)


def lens_grid(
    columns: ColumnStore, slots: IntArray, head: Head, chosen: Sequence[int | None], *, threads: int = 2
) -> LensGrid:
    """The grid over these columns, in batches of ROWS; each thread holds the logits of one.

    `chosen` has the token that came next for each column, None where none did. Raises `LookupError` for columns that
    are forgotten, `ColumnsGoneError` where residuals have made room for newer ones, `ProviderError`.
    """
    if len(chosen) != slots.size:
        raise ValueError(f"{len(chosen)} next tokens for {slots.size} columns")
    layers = columns.residual_rows
    wanted = np.array([-1 if token_id is None else token_id for token_id in chosen], np.int64)
    ids, ranks = np.empty((2, layers * slots.size), np.int64)
    probabilities = np.empty(layers * slots.size, np.float32)

    batches = _batches(columns, slots, layers)
    lock = threading.Lock()

    def fill() -> None:
        while True:
            with lock:
                first, residuals = next(batches, (0, None))
            if residuals is None:
                return
            rows = slice(first, first + len(residuals))
            places = np.arange(rows.start, rows.stop) % slots.size
            ids[rows], probabilities[rows], ranks[rows] = read_rows(head.logits(residuals), wanted[places])

    with ThreadPoolExecutor(threads, thread_name_prefix="lens") as pool:
        for done in [pool.submit(fill) for _ in range(threads)]:
            done.result()
    shape = (layers, slots.size)
    return LensGrid(
        token_ids=ids.reshape(shape), probabilities=probabilities.reshape(shape), ranks=ranks.reshape(shape)
    )


def read_rows(logits: FloatArray, wanted: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Likeliest id, its probability and the rank of `wanted` (below 0: NO_RANK), row by row. Changes `logits`.

    Of equal logits the lower id comes first, as everywhere.
    """
    rows = np.arange(len(logits))
    top = logits.argmax(axis=1)
    thresholds = logits[rows, np.maximum(wanted, 0)]
    ranks = np.full(len(logits), NO_RANK, np.int64)
    for row in np.flatnonzero(wanted >= 0):
        ranks[row] = _rank(logits[row], thresholds[row], int(wanted[row]))
    logits -= logits[rows, top][:, None]
    np.exp(logits, out=logits)
    return top, (1.0 / logits.sum(axis=1, dtype=np.float64)).astype(np.float32), ranks


def _rank(logits: FloatArray, threshold: np.float32, token_id: int) -> int:
    higher = np.count_nonzero(logits > threshold)
    return int(higher + np.count_nonzero(logits[:token_id] == threshold)) + 1


def _batches(columns: ColumnStore, slots: IntArray, layers: int) -> Iterator[tuple[int, FloatArray]]:
    """Residuals in order of layer and position, ROWS at a time, each with the number of its first."""
    waiting = np.empty((0, 0), np.float32)
    first = 0
    for layer in range(layers):
        residuals = columns.residuals(slots, layer)
        waiting = np.concatenate([waiting, residuals]) if len(waiting) else residuals
        whole = len(waiting) // ROWS * ROWS
        for start in range(0, whole, ROWS):
            yield first, waiting[start : start + ROWS]
            first += ROWS
        waiting = waiting[whole:]
    if len(waiting):
        yield first, waiting
