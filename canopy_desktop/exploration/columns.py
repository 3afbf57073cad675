"""What every token left behind when it passed through the model."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from canopy_desktop.arrays import AnyArray, FloatArray, IntArray
from canopy_desktop.errors import ColumnsGoneError, NotGivenError
from canopy_desktop.exploration.records import Kept, Slot
from canopy_desktop.exploration.swap import SwapSpace
from canopy_desktop.model.card import Architecture, GraphForm
from canopy_desktop.model.decoder import PassColumns
from canopy_desktop.model.device import HOST, Memory, Stored, on_host
from canopy_desktop.model.narrow import narrow_into

EVERYTHING = slice(None)
BLOCK_COLUMNS = 64  # room of a block that is filled token by token


def stream_precision(architecture: Architecture, precision: type[np.floating]) -> type[np.floating]:
    """The type of kept residuals, where all else is kept in `precision`."""
    return np.float32 if architecture.has_wide_stream else precision


def require(architecture: Architecture, *kinds: Kept) -> None:
    """Raise `NotGivenError` unless the passes of a model leave these."""
    for kind in kinds:
        if kind.value not in architecture.gives:
            raise NotGivenError(kind.value)


class Part:
    """One kind of what a block keeps, and the columns it is there for."""

    def __init__(self, layers: int, size: int, width: int, precision: type[np.floating], memory: Memory) -> None:
        self.vectors: Stored = memory.empty((layers, size, width), precision)
        self.there = np.zeros(size, np.bool_)

    @property
    def bytes(self) -> int:
        """Bytes of the columns that are there."""
        return int(np.count_nonzero(self.there)) * self.vectors[:, 0].nbytes

    def write(self, rows: slice, vectors: Stored) -> None:
        """Note (layers, rows, width), which are there once it is said so."""
        narrow_into(self.vectors[:, rows], vectors)


class ColumnBlock:
    """A run of columns in memory of their own, filled in order and never moved.

    Parts are taken away as a whole: another thread looks at one through a reference of its own. The last residual,
    `last` (size, hidden), stays always. Keys and values are in the cache or in the store's swap space.
    """

    def __init__(
        self, architecture: Architecture, precision: type[np.floating], memory: Memory, first: Slot, size: int
    ) -> None:
        self.first = first
        self.size = size
        self.used = 0
        self.touched = 0  # the store's count of events when it was made, left, or made again last
        self.token_ids: IntArray = np.zeros(size, np.int64)
        self.last: Stored = memory.empty((size, architecture.hidden), np.float32)
        self.pass_ends: IntArray = np.zeros(size, np.int64)  # of the passes that made them, see `passes.pass_end`
        self._architecture = architecture
        self._precision = precision
        self._memory = memory
        self._parts: dict[Kept, Part | None] = {kind: self._new_part(kind) for kind in Kept}

    def part(self, kind: Kept) -> Part | None:
        """What is there of a kind, if anything."""
        return self._parts[kind]

    def fill(self, token_ids: Sequence[int], columns: PassColumns, end: int) -> tuple[Slot, ...]:
        """Keep what a pass left of these tokens, for which there must be room, and its `passes.pass_end`."""
        rows = slice(self.used, self.used + len(token_ids))
        parts = [part for part in self._parts.values() if part is not None]
        for kind, part in zip(Kept, parts, strict=True):
            part.write(rows, of_kind(columns, kind))
        self.token_ids[rows] = token_ids
        self.last[rows] = columns.last
        self.pass_ends[rows] = end
        for part in parts:
            part.there[rows] = True
        self.used = rows.stop  # the columns count from now on
        return tuple(range(self.first + rows.start, self.first + rows.stop))

    def refill(self, kind: Kept, rows: slice, vectors: Stored) -> None:
        """Keep (layers, rows, width) of a kind that was evicted."""
        part = self._parts[kind] or self._new_part(kind)
        part.write(rows, vectors)
        part.there[rows] = True
        self._parts[kind] = part

    def evict(self, kind: Kept) -> int:
        """Give up one kind; returns the bytes of the columns that had it."""
        part, self._parts[kind] = self._parts[kind], None
        return 0 if part is None else part.bytes

    def vectors(self, kind: Kept, layer: int, first: int, last: int) -> Stored | None:
        """(last - first, width) of columns first … last - 1 of this block; None if one of them is gone."""
        part = self._parts[kind]
        return None if part is None or not part.there[first:last].all() else part.vectors[layer, first:last]

    def gone(self, kind: Kept, first: int, last: int) -> AnyArray:
        """(last - first) bool: of which of these columns a kind is not there."""
        part = self._parts[kind]
        found: AnyArray = np.ones(last - first, np.bool_) if part is None else ~part.there[first:last]
        return found

    def _new_part(self, kind: Kept) -> Part:
        a = self._architecture
        width = a.stream_width if kind is Kept.RESIDUALS else a.query_width
        precision = stream_precision(a, self._precision) if kind is Kept.RESIDUALS else self._precision
        return Part(a.layers, self.size, width, precision, self._memory)


class ColumnStore:
    """All columns of an exploration, by slot. Written by one thread; read by others once they count.

    Queries and all residuals but the last are kept in `precision`, float32 or float16, unless residuals outgrow that;
    on a card in what its passes leave there.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        precision: type[np.floating] = np.float32,
        first: Slot = 0,
        form: GraphForm = GraphForm.CPU,
        memory: Memory = HOST,
    ) -> None:
        """`form` and `memory` are the decoder's."""
        a = architecture
        self.bytes_of = {
            Kept.RESIDUALS: a.layers * a.stream_width * np.dtype(stream_precision(a, precision)).itemsize,
            Kept.QUERIES: a.layers * a.query_width * np.dtype(precision).itemsize,
        }
        self.bytes_of_last = a.hidden * np.dtype(np.float32).itemsize
        self.swap = SwapSpace(a, first, form, memory)
        self._architecture = a
        self._precision = precision
        self._form = form
        self._memory = memory
        self._next = first  # the first slot of the next block
        self._blocks: list[ColumnBlock] = []
        self._firsts: list[Slot] = []
        self._bytes = 0  # of all blocks
        self._events = 0

    @property
    def bytes(self) -> int:
        """Bytes of all columns in use, and of the keys and values that are not in the cache."""
        return self._bytes + self.swap.bytes

    @property
    def bytes_per_column(self) -> int:
        """Bytes of a new column, without key and value."""
        return self.bytes_of_last + sum(self.bytes_of.values())

    @property
    def precision(self) -> type[np.floating]:
        """The type of kept queries."""
        return self._precision

    @property
    def residual_rows(self) -> int:
        """Residuals of a column that are kept: the embedding, and one for each block."""
        return self._architecture.layers + 1

    def successor(self) -> ColumnStore:
        """An empty store whose slots are none of this one's."""
        return ColumnStore(
            self._architecture, precision=self._precision, first=self._next, form=self._form, memory=self._memory
        )

    def room(self, count: int) -> ColumnBlock:
        """A block that the next `count` columns fit into, side by side."""
        block = self._blocks[-1] if self._blocks else None
        if block is None or block.used + count > block.size:
            size = BLOCK_COLUMNS if count == 1 else count
            block = ColumnBlock(self._architecture, self._precision, self._memory, self._next, size)
            self._blocks.append(block)
            self._firsts.append(self._next)
            self._next += block.size
            self._touch([block])
        return block

    def fill(self, token_ids: Sequence[int], columns: PassColumns, end: int) -> tuple[Slot, ...]:
        """Keep what a pass left of these tokens, and its `passes.pass_end`; returns their slots.

        `room` was called for them.
        """
        slots = self.room(len(token_ids)).fill(token_ids, columns, end)
        self._bytes += len(slots) * self.bytes_per_column
        return slots

    def note_left(self, slots: IntArray) -> None:
        """The text in hand no longer has these columns."""
        self._touch(self._blocks_of(slots))

    def evict(self, excess: int, current: IntArray, *, spared: Kept | None = None) -> int:
        """Give up so many bytes, if there are as many to give; returns how many are still too much.

        `current` are the columns of the text in hand, whose `spared` stay.
        """
        before = self.bytes
        self.swap.release_free()
        excess -= before - self.bytes
        if excess > 0:
            for block, kind in eviction_order(self._blocks, self._blocks_of(current), spared):
                freed = block.evict(kind)
                self._bytes -= freed
                excess -= freed
                if excess <= 0:
                    break
        return max(0, excess)

    def refill(self, slots: IntArray, kind: Kept, columns: PassColumns, rows: slice) -> None:
        """Keep one kind of these columns, where it is gone, from the rows of a pass; they count as just made."""
        vectors, row = of_kind(columns, kind)[:, rows], 0
        for block, first, last in self.runs(slots):
            gone = block.gone(kind, first, last)
            for start, stop in np.flatnonzero(np.diff(gone, prepend=False, append=False)).reshape(-1, 2).tolist():
                block.refill(kind, slice(first + start, first + stop), vectors[:, row + start : row + stop])
            self._bytes += int(np.count_nonzero(gone)) * self.bytes_of[kind]
            self._touch([block])
            row += last - first

    def gone(self, slots: IntArray, kind: Kept) -> AnyArray:
        """(slots,) bool: of which of these columns a kind has made room for others."""
        return np.concatenate([block.gone(kind, first, last) for block, first, last in self.runs(slots)])

    def pass_ends(self, slots: IntArray) -> IntArray:
        """(slots,) where the pass ended that made each of these, see `passes.pass_end`."""
        return np.concatenate([block.pass_ends[first:last] for block, first, last in self.runs(slots)])

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

    def queries(self, slots: IntArray, layer: int, own: slice = EVERYTHING) -> FloatArray:
        """(slots, heads · head_size), before rotation, or of each the part `own`.

        Raises `ColumnsGoneError`, or `NotGivenError` where the model's graph does not give them.
        """
        require(self._architecture, Kept.QUERIES)
        return self._vectors(slots, Kept.QUERIES, layer, own)

    def token_ids(self, slots: IntArray) -> IntArray:
        """The tokens that left these columns."""
        return np.concatenate([block.token_ids[first:last] for block, first, last in self.runs(slots)])

    def residuals(self, slots: IntArray, row: int) -> FloatArray:
        """(slots, hidden); row 0 is the embedding, l + 1 what comes out of block l, -1 the last, which is never gone.

        Raises `ColumnsGoneError`, or `NotGivenError` for any but the last where the model's graph does not give them.
        """
        if row not in (-1, self._architecture.layers):
            require(self._architecture, Kept.RESIDUALS)
            return self._vectors(slots, Kept.RESIDUALS, row)
        return joined([block.last[first:last] for block, first, last in self.runs(slots)])

    def as_kept(self, stream: FloatArray) -> FloatArray:
        """A token's exact residuals, (layers + 1, hidden), as `residuals` gives them."""
        with np.errstate(over="ignore"):
            kept = stream.astype(stream_precision(self._architecture, self._precision)).astype(np.float32)
        kept[-1] = stream[-1]
        return kept

    def _vectors(self, slots: IntArray, kind: Kept, layer: int, own: slice = EVERYTHING) -> FloatArray:
        found = [block.vectors(kind, layer, first, last) for block, first, last in self.runs(slots)]
        there = [part for part in found if part is not None]
        if len(there) < len(found):
            raise ColumnsGoneError(kind.value, int(np.count_nonzero(self.gone(slots, kind))))
        return joined([part[:, own] for part in there])

    def _blocks_of(self, slots: IntArray) -> list[ColumnBlock]:
        found = np.unique(np.searchsorted(self._firsts, slots, side="right") - 1)
        return [self._blocks[index] for index in found]

    def _touch(self, blocks: Sequence[ColumnBlock]) -> None:
        self._events += 1
        for block in blocks:
            block.touched = self._events


def eviction_order(
    blocks: Sequence[ColumnBlock], current: Collection[ColumnBlock], spared: Kept | None = None
) -> Iterator[tuple[ColumnBlock, Kept]]:
    """What may be given up, in the order in which it goes.

    Residuals and then queries of what the text in hand does not need, left longest ago first; then the same of its own
    blocks but the `spared` kind, oldest first. Never of the block that is being filled.
    """
    full = [block for block in blocks if block.used == block.size or block is not blocks[-1]]
    full = [block for block in full if any(block.part(kind) is not None for kind in Kept)]
    full.sort(key=lambda block: (block.touched, block.first))
    near = {block.first for block in current}
    for own in (False, True):
        for kind in Kept:
            for block in full:
                if (block.first in near) is own and block.part(kind) is not None and not (own and kind is spared):
                    yield block, kind


def of_kind(columns: PassColumns, kind: Kept) -> Stored:
    """(layers, rows, width) of what a pass left."""
    return columns.residuals if kind is Kept.RESIDUALS else columns.queries


def joined(parts: Sequence[Stored]) -> FloatArray:
    """Rows of several places one after the other, on the host and in 32 bits; a view where that is possible."""
    rows = [on_host(part) for part in parts]
    found: FloatArray = (rows[0] if len(rows) == 1 else np.concatenate(rows)).astype(np.float32, copy=False)
    return found
