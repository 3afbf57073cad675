"""What every token left behind when it passed through the model."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from canopy_desktop.arrays import AnyArray, FloatArray, IntArray
from canopy_desktop.exploration.records import Slot
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.decoder import PassColumns
from canopy_desktop.model.narrow import narrowed

BLOCK_COLUMNS = 64  # room of a block that is filled token by token


class ColumnBlock:
    """A run of columns in memory of their own, filled in order and never moved.

    queries (layers, size, heads · head_size) before rotation; residuals (layers, size, hidden), the embedding and what
    comes out of every block but the last, which is `last` (size, hidden). Keys and values lie in the cache while
    their branch is the current one, and here once it was left.
    """

    def __init__(self, architecture: Architecture, precision: type[np.floating], first: Slot, size: int) -> None:
        a = architecture
        self.first = first
        self.size = size
        self.used = 0
        self.token_ids: IntArray = np.zeros(size, np.int64)
        self.queries: AnyArray = np.empty((a.layers, size, a.heads * a.head_size), precision)
        self.residuals: AnyArray = np.empty((a.layers, size, a.hidden), precision)
        self.last: FloatArray = np.empty((size, a.hidden), np.float32)
        self.in_chunk = np.zeros(size, np.bool_)  # passed through the model with others at once
        self.stored = np.zeros(size, np.bool_)  # keys and values are here too
        self._kv_shape = (a.layers, size, a.kv_heads, a.head_size)
        self.keys: FloatArray | None = None
        self.values: FloatArray | None = None

    @property
    def bytes(self) -> int:
        """Bytes of the columns in use."""
        rows: int = self.used * (self.queries[:, 0].nbytes + self.residuals[:, 0].nbytes + self.last[0].nbytes)
        return rows + (0 if self.keys is None or self.values is None else self.keys.nbytes + self.values.nbytes)

    def fill(self, token_ids: Sequence[int], columns: PassColumns) -> tuple[Slot, ...]:
        """Keep what a pass left of these tokens, for which there must be room."""
        rows = slice(self.used, self.used + len(token_ids))
        self.token_ids[rows] = token_ids
        self.queries[:, rows] = narrowed(columns.queries, self.queries.dtype)
        self.residuals[:, rows] = narrowed(columns.residuals[:-1], self.residuals.dtype)
        self.last[rows] = columns.residuals[-1]
        self.in_chunk[rows] = len(token_ids) > 1
        self.used = rows.stop  # the columns count from now on
        return tuple(range(self.first + rows.start, self.first + rows.stop))

    def residual(self, row: int, first: int, last: int) -> AnyArray:
        """(last - first, hidden) of columns first … last - 1 of this block; see `ColumnStore.residuals`."""
        found: AnyArray = self.last[first:last] if row in (-1, len(self.residuals)) else self.residuals[row, first:last]
        return found

    def store(self, row: int, keys: FloatArray, values: FloatArray) -> None:
        """Keep keys and values from `row` on, (layers, positions, kv_heads, head_size)."""
        if self.keys is None or self.values is None:
            self.keys, self.values = np.empty(self._kv_shape, np.float32), np.empty(self._kv_shape, np.float32)
        last = row + keys.shape[1]
        self.keys[:, row:last], self.values[:, row:last] = keys, values
        self.stored[row:last] = True


class ColumnStore:
    """All columns of an exploration, by slot. Written by one thread; read by others once they count.

    Queries and all residuals but the last are kept in `precision`, float32 or float16.
    """

    def __init__(
        self, architecture: Architecture, *, precision: type[np.floating] = np.float32, first: Slot = 0
    ) -> None:
        self._architecture = architecture
        self._precision = precision
        self._next = first  # the first slot of the next block
        self._blocks: list[ColumnBlock] = []
        self._firsts: list[Slot] = []

    @property
    def bytes(self) -> int:
        """Bytes of all columns in use."""
        return sum(block.bytes for block in self._blocks)

    @property
    def residual_rows(self) -> int:
        """Residuals of a column that are kept: the embedding, and one for each block."""
        return self._architecture.layers + 1

    def successor(self) -> ColumnStore:
        """An empty store whose slots are none of this one's."""
        return ColumnStore(self._architecture, precision=self._precision, first=self._next)

    def room(self, count: int) -> ColumnBlock:
        """A block that the next `count` columns fit into, side by side."""
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.used + count > block.size:
            size = BLOCK_COLUMNS if count == 1 else count
            block = ColumnBlock(self._architecture, self._precision, self._next, size)
            self._blocks.append(block)
            self._firsts.append(self._next)
            self._next += block.size
        return block

    def locate(self, slot: Slot) -> tuple[ColumnBlock, int]:
        """The block and row of a slot. Raises `LookupError` for one that is not of this store."""
        index = bisect_right(self._firsts, slot) - 1
        if index < 0 or slot >= self._firsts[index] + self._blocks[index].used:
            raise LookupError(slot)
        return self._blocks[index], slot - self._firsts[index]

    def runs(self, slots: IntArray) -> list[tuple[ColumnBlock, int, int]]:
        """Slots as (block, first row, last row + 1), neighbours together."""
        found: list[tuple[ColumnBlock, int, int]] = []
        for part in np.split(slots, np.flatnonzero(np.diff(slots) != 1) + 1):
            slot = int(part[0]) if part.size else 0
            end = slot + part.size
            while slot < end:
                block, row = self.locate(slot)
                count = min(end - slot, block.used - row)
                found.append((block, row, row + count))
                slot += count
        return found

    def queries(self, slots: IntArray, layer: int) -> FloatArray:
        """(slots, heads · head_size), before rotation."""
        return _joined([block.queries[layer, first:last] for block, first, last in self.runs(slots)])

    def token_ids(self, slots: IntArray) -> IntArray:
        """The tokens that left these columns."""
        return np.concatenate([block.token_ids[first:last] for block, first, last in self.runs(slots)])

    def residuals(self, slots: IntArray, row: int) -> FloatArray:
        """(slots, hidden); row 0 is the embedding, l + 1 what comes out of block l, -1 the last."""
        return _joined([block.residual(row, first, last) for block, first, last in self.runs(slots)])


def _joined(parts: Sequence[AnyArray]) -> FloatArray:
    found: FloatArray = (parts[0] if len(parts) == 1 else np.concatenate(parts)).astype(np.float32, copy=False)
    return found
