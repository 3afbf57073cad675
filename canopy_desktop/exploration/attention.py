"""Attention from queries and keys: softmax(q·kᵀ/√d) under the causal mask (Vaswani et al. 2017, eq. 1)."""

from __future__ import annotations

import numpy as np

from canopy_desktop.arrays import FloatArray

ROWS = 256  # query positions computed at once


def attention_rows(queries: FloatArray, keys: FloatArray, first: int) -> FloatArray:
    """Probabilities of some query rows over all keys, (rows, keys); 0 for keys that come later.

    `queries` (rows, head_size) rotated, the first of them at position `first`; `keys` (keys, head_size) rotated.
    """
    scores = queries @ keys.T
    scores *= np.float32(1.0 / np.sqrt(queries.shape[1]))
    later = np.arange(keys.shape[0]) > first + np.arange(queries.shape[0])[:, None]
    np.putmask(scores, later, -np.inf)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def attention_cells(
    queries: FloatArray, keys: FloatArray, *, cell: int, hide_first: bool, known: FloatArray | None = None
) -> FloatArray:
    """All attention of a text, the maximum of each `cell` × `cell` square: (cells, cells).

    `keys` (positions, head_size); `queries` those of the last positions, all unless `known` has the first rows, which
    is possible where a cell is one position. NaN where every position is later, and in the first column where the
    first token is hidden; then the other probabilities of a row are rescaled to one.
    """
    length = keys.shape[0]
    done = length - queries.shape[0]
    cells = -(-length // cell)
    found = np.full((cells, cells), np.nan, np.float32)
    if known is not None:
        found[:done, :done] = known
    rows = max(cell, ROWS // cell * cell)
    starts = np.arange(0, length, cell)
    for first in range(done, length, rows):
        last = min(first + rows, length)
        weights = attention_rows(queries[first - done : last - done], keys[:last], first)
        if hide_first:
            _hide_first(weights)
        columns = starts[starts < last]
        reduced = np.maximum.reduceat(weights, columns, axis=1) if cell > 1 else weights
        lines = np.arange(0, last - first, cell)
        part = np.maximum.reduceat(reduced, lines, axis=0) if cell > 1 else reduced
        top = first // cell
        part[np.arange(columns.size) > top + np.arange(lines.size)[:, None]] = np.nan
        found[top : top + lines.size, : columns.size] = part
    if hide_first and cell == 1:
        found[:, 0] = np.nan
    return found


def _hide_first(weights: FloatArray) -> None:
    weights[:, 0] = 0.0
    sums = weights.sum(axis=-1, keepdims=True)
    np.divide(weights, sums, out=weights, where=sums > 0)
