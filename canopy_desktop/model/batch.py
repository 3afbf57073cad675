"""A batch of branches: one new token a branch and pass, on the decoder's own weights.

The past that branches share is copied once a row; after that only what each row has of its own is ever moved. A row
gives the bits of the single steps that it stands for, whatever rows are beside it (tests/core/test_batch.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from onnxruntime import RunOptions

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.errors import ContextFullError
from canopy_desktop.model.cache import Cache
from canopy_desktop.model.card import Architecture, GraphForm
from canopy_desktop.model.decoder import DecoderSession, PassColumns
from canopy_desktop.model.device import HOST, DeviceArray, Memory, Stored, on_host

BUDGET = 512 << 20  # bytes of the caches that a pass works on
STEP = 64  # positions that rows grow by, at least


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Keys and values that a row begins with, one (kv_heads, length, head_size) array a layer."""

    length: int
    keys: Sequence[Stored]
    values: Sequence[Stored]

    @classmethod
    def of(cls, cache: Cache, length: int) -> Past:
        """The cache's first positions as they lie there: they must stay so until the batch is made."""
        keys = [layer[0, :, :length] for layer in cache.keys]
        return cls(length, keys, [layer[0, :, :length] for layer in cache.values])

    def copied(self) -> Past:
        """The same in memory of its own."""
        return Past(self.length, [layer.copy() for layer in self.keys], [layer.copy() for layer in self.values])


class RowCache:
    """Keys and values of rows side by side, from position `first` on.

    `keys[layer]` and `values[layer]` are (rows, kv_heads, capacity, head_size) as the decoder's cache has them.
    """

    def __init__(
        self,
        architecture: Architecture,
        rows: int,
        capacity: int,
        first: int = 0,
        *,
        form: GraphForm = GraphForm.CPU,
        memory: Memory = HOST,
    ) -> None:
        a = architecture
        shape = (rows, a.kv_heads, capacity, a.head_size)
        self.rows, self.capacity, self.first = rows, capacity, first
        self.keys: list[Stored] = [memory.zeros(shape, form.kept) for _ in range(a.layers)]
        self.values: list[Stored] = [memory.zeros(shape, form.kept) for _ in range(a.layers)]

    @property
    def buffers(self) -> list[Stored]:
        """Those of all layers, keys before values."""
        return [*self.keys, *self.values]

    @property
    def bytes(self) -> int:
        """Bytes that the buffers take."""
        return sum(buffer.nbytes for buffer in self.buffers)

    def write(self, row: int, past: Past, first: int, last: int) -> None:
        """Copy a past's positions first … last - 1 into a row."""
        to = slice(first - self.first, last - self.first)
        for buffer, given in zip(self.buffers, (*past.keys, *past.values), strict=True):
            buffer[row, :, to] = given[:, first:last]

    def copy(self, rows: Sequence[int], source: RowCache, parents: Sequence[int], first: int, last: int) -> None:
        """Copy positions first … last - 1 of the source's rows `parents` into `rows`."""
        if first >= last or not len(rows):
            return
        to = slice(first - self.first, last - self.first)
        given = slice(first - source.first, last - source.first)
        for buffer, other in zip(self.buffers, source.buffers, strict=True):
            _copy_rows(buffer[:, :, to], rows, other[:, :, given], parents)

    def export(self, row: int, first: int, last: int) -> tuple[FloatArray, FloatArray]:
        """Copies of a row's keys and values, each (layers, positions, kv_heads, head_size)."""
        part = slice(first - self.first, last - self.first)
        keys = np.stack([on_host(layer[row, :, part]).transpose(1, 0, 2) for layer in self.keys])
        return keys, np.stack([on_host(layer[row, :, part]).transpose(1, 0, 2) for layer in self.values])


class BatchDecoder:
    """Branches that are fed together. Used by the decoder's thread, but for `interrupt`.

    The first `fork` positions are the same in all rows. Where the budget holds fewer rows than there are, a pass runs
    in parts: what a part's rows have of their own is brought in beside the shared past, and put back longer. The
    decoder's cache is not read after the batch was made, and never written.
    """

    def __init__(
        self, decoder: DecoderSession, pasts: Sequence[Past], *, fork: int = 0, room: int = STEP, budget: int = BUDGET
    ) -> None:
        """Rows with these pasts, equal up to `fork`; `room` is how far they can go on before memory is found anew."""
        self.fork = fork
        self._a = decoder.architecture
        self._context = decoder.context
        self._budget = budget
        self._head = decoder.head
        self._binding = decoder.new_binding()
        self._bytes_per_token = decoder.cache.bytes_per_token
        self._bound = 0  # rows of `_work` that are bound
        self._lengths: IntArray = np.array([past.length for past in pasts], np.int64)
        self._own: RowCache | None = None  # what every row has after the fork, where `_work` has no room for all
        self._make_room(len(pasts), int(self._lengths.max()) + room)
        for row in range(self._work.rows):
            self._work.write(row, pasts[0], 0, fork)
        for row, past in enumerate(pasts):
            self._kept.write(row, past, fork, past.length)

    @classmethod
    def forked(cls, decoder: DecoderSession, rows: int, *, room: int = STEP, budget: int = BUDGET) -> BatchDecoder:
        """So many branches of all that the decoder has been fed."""
        past = Past.of(decoder.cache, decoder.length)
        return cls(decoder, [past] * rows, fork=past.length, room=room, budget=budget)

    @property
    def rows(self) -> int:
        """Branches that are fed."""
        return self._lengths.size

    @property
    def lengths(self) -> tuple[int, ...]:
        """Positions of each row."""
        return tuple(int(length) for length in self._lengths)

    @property
    def bytes(self) -> int:
        """Bytes that all buffers take."""
        return self._work.bytes + (0 if self._own is None else self._own.bytes)

    @property
    def parts(self) -> list[slice]:
        """The rows that run at once, as even as can be."""
        count = -(-self.rows // self._work.rows)
        ends = [self.rows * part // count for part in range(count + 1)]
        return [slice(first, last) for first, last in pairwise(ends)]

    def feed(self, token_ids: Sequence[int]) -> tuple[FloatArray, PassColumns]:
        """One token a row; returns (rows, vocabulary) logits and each row's column.

        Raises `ContextFullError`, `InterruptedStepError` or `ProviderError`; after each of them nothing has changed.
        """
        if len(token_ids) != self.rows:
            raise ValueError(f"{len(token_ids)} tokens for {self.rows} rows")
        longest = int(self._lengths.max()) + 1
        if longest > self._context:
            raise ContextFullError(self._context)
        if longest > self._work.capacity:
            self._relay(range(self.rows), max(longest, self.fork + (longest - self.fork) * 3 // 2))
        ids = np.array(token_ids, np.int64)[:, None]
        with self._binding.runner.under_way() as options:
            columns = _joined([self._feed_part(part, ids, options) for part in self.parts])
        logits = self._head.logits(on_host(columns.last))
        self._lengths = self._lengths + 1
        return logits, columns

    def reorder(self, parents: Sequence[int]) -> None:
        """Row r goes on from what row `parents[r]` was; rows may be duplicated and dropped.

        Copies what lies after the fork, of the rows that change; the shared past only for rows that are new.
        """
        if not parents or not all(0 <= parent < self.rows for parent in parents):
            raise ValueError(f"parents must be rows 0 to {self.rows - 1}, not {list(parents)}")
        if len(parents) > self._kept.rows:
            self._relay(parents, self._work.capacity)
        else:
            moved = [row for row, parent in enumerate(parents) if row != parent]
            from_rows = [parents[row] for row in moved]
            longest = max((int(self._lengths[row]) for row in from_rows), default=0)
            self._kept.copy(moved, self._kept, from_rows, self.fork, longest)
        self._lengths = self._lengths[list(parents)]

    def export(self, row: int, first: int) -> tuple[FloatArray, FloatArray]:
        """Copies of a row's keys and values from `first` (the fork or later) on, as `Cache.export` gives them."""
        if not self.fork <= first <= self._lengths[row]:
            raise ValueError(f"positions {self.fork} to {self._lengths[row]} are this row's own, not {first}")
        return self._kept.export(row, first, int(self._lengths[row]))

    def interrupt(self) -> None:
        """Abort the pass in progress, all parts of it. The only thread-safe method; the decoder's does the same."""
        self._binding.runner.interrupt()

    @property
    def _kept(self) -> RowCache:
        """Where every row's positions after the fork are kept between passes."""
        return self._work if self._own is None else self._own

    def _feed_part(self, part: slice, ids: IntArray, options: RunOptions) -> PassColumns:
        rows, count = range(part.start, part.stop), part.stop - part.start
        lengths = self._lengths[part]
        longest = int(lengths.max())
        if self._own is not None:
            self._work.copy(range(count), self._own, rows, self.fork, longest)
        if count != self._bound:
            self._binding.bind_cache([k[:count] for k in self._work.keys], [v[:count] for v in self._work.values])
            self._bound = count
        columns = self._binding.run(ids[part], lengths + 1, options)
        if self._own is None:
            return columns
        self._own.copy(rows, self._work, range(count), int(lengths.min()), longest + 1)
        return PassColumns(columns.queries.copy(), columns.residuals.copy(), columns.last.copy())

    def _make_room(self, rows: int, length: int) -> None:
        capacity = min(self._context, -(-length // STEP) * STEP)
        fitting = max(1, self._budget // (capacity * self._bytes_per_token))
        self._work = self._new_cache(min(rows, fitting), capacity)  # what a pass reads and writes
        self._own = self._new_cache(rows, capacity - self.fork, self.fork) if fitting < rows else None
        self._bound = 0

    def _new_cache(self, rows: int, capacity: int, first: int = 0) -> RowCache:
        runner = self._binding.runner
        return RowCache(self._a, rows, capacity, first, form=runner.form, memory=runner.memory)

    def _relay(self, parents: Sequence[int], length: int) -> None:
        """New buffers for rows that go on from these, with room for `length` positions."""
        work, kept = self._work, self._kept
        self._make_room(len(parents), length)
        self._work.copy(range(self._work.rows), work, [0] * self._work.rows, 0, self.fork)
        longest = int(self._lengths.max())
        self._kept.copy(range(len(parents)), kept, parents, self.fork, longest)


def _joined(parts: Sequence[PassColumns]) -> PassColumns:
    if len(parts) == 1:
        return parts[0]
    return PassColumns(
        np.concatenate([on_host(part.queries) for part in parts], axis=1),
        np.concatenate([on_host(part.residuals) for part in parts], axis=1),
        np.concatenate([on_host(part.last) for part in parts]),
    )


def _copy_rows(target: Stored, rows: Sequence[int], source: Stored, parents: Sequence[int]) -> None:
    """Copy the source's rows `parents` into `rows`; both may be of one array, so all are read before any is written."""
    if not isinstance(target, DeviceArray):
        target[list(rows)] = source[list(parents)]
        return
    held = target.memory.empty((len(rows), *target.shape[1:]), target.dtype)
    for place, parent in enumerate(parents):
        held[place] = source[parent]
    for place, row in enumerate(rows):
        target[row] = held[place]
