"""Attention from queries and keys: softmax(q·kᵀ/√d) under the causal mask (Vaswani et al. 2017, eq. 1)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from canopy_desktop.arrays import AnyArray, FloatArray, IntArray
from canopy_desktop.exploration.squares import brightest
from canopy_desktop.model.card import LayerAttention

SCORES = 224_000  # computed at once: they stay in a core's own cache
MOST_ROWS = 128  # more would compute too much that is later
MOST_THREADS = 2
FEW_SCORES = 2_000_000  # a few milliseconds: starting a second thread would not pay


def attention_rows(queries: FloatArray, keys: FloatArray, first: int, how: LayerAttention) -> FloatArray:
    """Probabilities of some query rows over all keys, (rows, keys); 0 for keys that a row does not see.

    `queries` (rows, head_size) rotated, the first of them at position `first`; `keys` (keys, head_size) rotated.
    """
    scores = queries @ keys.T
    scores *= np.float32(how.scale)
    np.putmask(scores, unseen(how, first, *scores.shape), -np.inf)
    return softmax(scores)


def unseen(how: LayerAttention, first: int, rows: int, keys: int) -> AnyArray:
    """Which keys the rows from position `first` on do not see, for they come later or lie before the window."""
    positions, queries = np.arange(keys), first + np.arange(rows)[:, None]
    later: AnyArray = positions > queries
    return later if how.window is None else later | (positions <= queries - how.window)


def softmax(scores: FloatArray) -> FloatArray:
    """Softmax over the last axis, in place; minus infinity becomes exactly 0, a row of nothing else stays 0."""
    largest = scores.max(axis=-1, keepdims=True)
    scores -= np.where(np.isfinite(largest), largest, np.float32(0))
    np.exp(scores, out=scores)
    sums = scores.sum(axis=-1, keepdims=True)
    np.divide(scores, sums, out=scores, where=sums > 0)
    return scores


def attention_cells(
    queries: FloatArray,
    keys: FloatArray,
    how: LayerAttention,
    *,
    first: int = 0,
    columns: tuple[int, int] | None = None,
    cell: int = 1,
    hide_first: bool = False,
) -> FloatArray:
    """Some rows and columns of one head's attention, the maximum of each `cell` × `cell` square.

    `queries` (rows, head_size) are those of the positions from `first` on, `keys` (positions, head_size) all up to the
    last of them; `columns` are the first key and the one after the last. Every probability is over all keys, whatever
    is asked for. The result is (row cells, column cells), both counted from where the region begins; NaN where every
    position is later, and in a cell that is the hidden first token alone. Hiding it rescales the rest of a row to one.
    """
    left, right = (0, keys.shape[0]) if columns is None else columns
    last_row = first + queries.shape[0]
    scaled = keys * np.float32(how.scale)
    inside = _by_place_in_cell(scaled[left:right], cell)  # (cell, head_size, column cells)
    outside = np.delete(np.arange(keys.shape[0]), slice(left, right))
    outer = scaled[outside]
    positions = left + np.arange(cell)[:, None] + cell * np.arange(inside.shape[2])  # (cell, column cells)
    found = np.full((-(-queries.shape[0] // cell), inside.shape[2]), np.nan, np.float32)
    step = max(1, min(SCORES // keys.shape[0], MOST_ROWS) // cell) * cell

    def fill(starts: Iterable[int]) -> None:
        for start in starts:
            stop = min(start + step, last_row)
            rows = queries[start - first : stop - first]
            seen = np.clip(-(-(stop - left) // cell), 0, inside.shape[2])  # column cells that are not all later
            scores = np.matmul(rows[None], inside[:, :, :seen])  # (cell, rows, seen)
            _mask(scores, positions[:, :seen], start, right, hide_first, how.window)
            earlier = np.searchsorted(outside, stop)
            besides = rows @ outer[:earlier].T  # (rows, earlier)
            _mask(besides[None], outside[None, :earlier], start, keys.shape[0], hide_first, how.window)
            cells = _normalised(scores, besides)
            top = (start - first) // cell
            lines = np.arange(0, stop - start, cell)
            part = np.maximum.reduceat(cells, lines, axis=0) if cell > 1 else cells
            ends = np.minimum(start + lines + cell, last_row) - 1  # the last row of each line of cells
            part[left + cell * np.arange(seen) > ends[:, None]] = np.nan
            found[top : top + lines.size, :seen] = part

    starts = range(first, last_row, step)
    threads = 1 if queries.shape[0] * last_row < FEW_SCORES else min(MOST_THREADS, os.cpu_count() or 1)
    if threads == 1:
        fill(starts)
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="attention") as pool:
            for done in [pool.submit(fill, starts[turn::threads]) for turn in range(threads)]:
                done.result()
    if hide_first and cell == 1 and left == 0 and right > 0:
        found[:, 0] = np.nan
    return found


def cells_of_rows(
    rows: FloatArray, *, first: int, columns: tuple[int, int], cell: int = 1, hide_first: bool = False
) -> FloatArray:
    """Cells as `attention_cells` has them, of whole rows that are known: (row cells, column cells).

    `rows` (rows, positions up to the last of them or more), the first of position `first`.
    """
    left, right = columns
    shown = without_first(rows) if hide_first else rows
    known, seen = np.full((len(rows), right - left), np.nan, np.float32), shown[:, left:right]
    known[:, : seen.shape[1]] = seen
    known[np.arange(left, right) > first + np.arange(len(rows))[:, None]] = np.nan
    if hide_first and cell == 1 and left == 0:
        known[:, 0] = np.nan
    return brightest(known, cell)


def without_first(weights: FloatArray) -> FloatArray:
    """The same rows without their first position, the rest rescaled to one; a row with nothing else is 0."""
    rest = weights.copy()
    rest[..., 0] = 0.0
    sums = rest.sum(axis=-1, keepdims=True)
    np.divide(rest, sums, out=rest, where=sums > 0)
    return rest


def _by_place_in_cell(keys: FloatArray, cell: int) -> FloatArray:
    """Keys by their place in a cell, so that a cell's maximum runs over whole rows: (cell, head_size, cells)."""
    cells = -(-keys.shape[0] // cell)
    padded = np.zeros((cells * cell, keys.shape[1]), np.float32)
    padded[: keys.shape[0]] = keys
    return np.ascontiguousarray(padded.reshape(cells, cell, keys.shape[1]).transpose(1, 2, 0))


def _mask(
    scores: FloatArray, positions: IntArray, start: int, right: int, hide_first: bool, window: int | None
) -> None:
    """Minus infinity for later keys, those before the window, what pads the last cell, and the hidden first token.

    `scores` (places, rows, cells), `positions` (places, cells), the first row at position `start`.
    """
    if not positions.size:
        return
    last_places = positions[-1]
    plain = min(np.searchsorted(last_places, start, "right"), np.searchsorted(last_places, right - 1, "right"))
    rest = positions[:, None, plain:]
    rows = start + np.arange(scores.shape[1])[:, None]
    scores[:, :, plain:][(rest > rows) | (rest >= right)] = -np.inf
    if window is not None:
        scores[positions[:, None] <= rows - window] = -np.inf
    if hide_first and positions[0, 0] == 0:
        scores[0, :, 0] = -np.inf


def _normalised(scores: FloatArray, besides: FloatArray) -> FloatArray:
    """The largest probability in each cell, (rows, cells); overwrites both."""
    highest = scores.max(axis=0)  # (rows, cells)
    largest = highest.max(axis=1, initial=-np.inf)
    if besides.shape[1]:
        largest = np.maximum(largest, besides.max(axis=1))
    largest = np.where(np.isfinite(largest), largest, np.float32(0))[:, None]
    scores -= largest
    np.exp(scores, out=scores)
    sums = scores.sum(axis=0).sum(axis=1) + np.exp(besides - largest).sum(axis=1)
    cells: FloatArray = np.exp(highest - largest)
    np.divide(cells, sums[:, None], out=cells, where=sums[:, None] > 0)
    return cells
