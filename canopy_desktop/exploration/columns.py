"""What every token left behind when it passed through the model."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.exploration.records import Slot
from canopy_desktop.model.card import Architecture

BLOCK_COLUMNS = 64  # room of a block that is filled token by token


class ColumnBlock:
    """A run of columns in memory of their own, filled in order and never moved.

    queries (layers, size, heads · head_size) before rotation; residuals (layers + 1, size, hidden). Keys and
    values lie in the cache while their branch is the current one, and here once it was left.
    """

    def __init__(self, architecture: Architecture, first: Slot, size: int) -> None:
        a = architecture
        self.first = first
        self.size = size
        self.used = 0
        self.queries = np.empty((a.layers, size, a.heads * a.head_size), np.float32)
        self.residuals = np.empty((a.layers + 1, size, a.hidden), np.float32)
        self.in_chunk = np.zeros(size, np.bool_)  # passed through the model with others at once
        self.stored = np.zeros(size, np.bool_)  # keys and values are here too
        self._kv_shape = (a.layers, size, a.kv_heads, a.head_size)
        self.keys: FloatArray | None = None
        self.values: FloatArray | None = None

    @property
    def bytes(self) -> int:
        """Bytes of the columns in use."""
        rows = self.used * (self.queries[:, 0].nbytes + self.residuals[:, 0].nbytes)
        return rows + (0 if self.keys is None or self.values is None else self.keys.nbytes + self.values.nbytes)

    def store(self, row: int, keys: FloatArray, values: FloatArray) -> None:
        """Keep keys and values from `row` on, (layers, positions, kv_heads, head_size)."""
        if self.keys is None or self.values is None:
            self.keys, self.values = np.empty(self._kv_shape, np.float32), np.empty(self._kv_shape, np.float32)
        last = row + keys.shape[1]
        self.keys[:, row:last], self.values[:, row:last] = keys, values
        self.stored[row:last] = True


class PendingColumns:
    """Rows of a block that a pass is about to fill (`decoder.ColumnRows`)."""

    def __init__(self, block: ColumnBlock, row: int, count: int) -> None:
        self._block = block
        self._rows = slice(row, row + count)
        self.slots = tuple(range(block.first + row, block.first + row + count))

    def query(self, layer: int) -> FloatArray:
        """(new, heads · head_size), before rotation."""
        return self._block.queries[layer, self._rows]

    def residual(self, row: int) -> FloatArray:
        """(new, hidden); 0 is the embedding, l + 1 what comes out of block l."""
        return self._block.residuals[row, self._rows]

    def commit(self) -> tuple[Slot, ...]:
        """The pass has run: the columns count from now on."""
        self._block.in_chunk[self._rows] = len(self.slots) > 1
        self._block.used = self._rows.stop
        return self.slots


class ColumnStore:
    """All columns of an exploration, by slot. Written by one thread; read by others once committed."""

    def __init__(self, architecture: Architecture, first: Slot = 0) -> None:
        self._architecture = architecture
        self._next = first  # the first slot of the next block
        self._blocks: list[ColumnBlock] = []
        self._firsts: list[Slot] = []

    @property
    def bytes(self) -> int:
        """Bytes of all columns in use."""
        return sum(block.bytes for block in self._blocks)

    def successor(self) -> ColumnStore:
        """An empty store whose slots are none of this one's."""
        return ColumnStore(self._architecture, self._next)

    def prepare(self, count: int) -> PendingColumns:
        """Room for the next `count` columns, side by side."""
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.used + count > block.size:
            block = ColumnBlock(self._architecture, self._next, BLOCK_COLUMNS if count == 1 else count)
            self._blocks.append(block)
            self._firsts.append(self._next)
            self._next += block.size
        return PendingColumns(block, block.used, count)

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

    def residuals(self, slots: IntArray, row: int) -> FloatArray:
        """(slots, hidden); row 0 is the embedding, l + 1 what comes out of block l, -1 the last."""
        return _joined([block.residuals[row, first:last] for block, first, last in self.runs(slots)])


def _joined(parts: Sequence[FloatArray]) -> FloatArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
