"""Keys and values of the columns that the cache does not hold: what going to another branch swaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import AnyArray, IntArray
from canopy_desktop.exploration.records import Slot
from canopy_desktop.model.card import Architecture, GraphForm
from canopy_desktop.model.device import HOST, Memory, Stored

STEP = 128  # columns that a slab has at least: 6 MB, which the system backs with large pages
NOWHERE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Memory for keys and values of so many columns."""

    first: int  # number of its first place; no other slab has ever had one of its places
    vectors: Stored  # (2 · layers, kv_heads, places, head_size), the keys of all layers before the values
    taken: AnyArray  # (places,) bool

    @property
    def size(self) -> int:
        """Its places."""
        return self.taken.size


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Neighbouring places of a slab, for columns that follow one another from `row` on."""

    row: int
    vectors: Stored  # (2 · layers, kv_heads, columns, head_size), a part of the slab
    taken: AnyArray  # (columns,) bool, the same part

    @property
    def rows(self) -> slice:
        """Where its columns stand among those asked for."""
        return slice(self.row, self.row + self.taken.size)


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """What has to be copied where."""

    leaving: IntArray  # columns that lie in the cache from one position on
    coming: IntArray  # columns that take their place
    places: IntArray  # where the leaving ones will lie
    departing: tuple[Run, ...]  # the same as runs
    arriving: tuple[Run, ...]
    held: Stored  # (kv_heads, leaving, head_size), one layer's; it stays in the processor's cache


class SwapSpace:
    """Each column's keys and values are either in the cache or here, never in both.

    Layer by layer, what comes gives its place to what leaves, so going to and fro takes no new memory, and every copy
    is of long runs in memory that is warm. Written by one thread; another may read `runs`.
    """

    def __init__(
        self, architecture: Architecture, first: Slot, form: GraphForm = GraphForm.CPU, memory: Memory = HOST
    ) -> None:
        """For slots from `first` on, and a cache of this form that lies in this memory."""
        self._a = architecture
        self._kept = form.kept
        self._memory = memory
        self._first = first
        self._place: IntArray = np.empty(0, np.int64)  # by slot - first
        self._slabs: tuple[Slab, ...] = ()  # replaced, never changed, for another thread reads it
        self._next = 0  # the first place of the next slab

    @property
    def bytes(self) -> int:
        """Bytes that the slabs take."""
        return sum(slab.vectors.nbytes for slab in self._slabs)

    def runs(self, slots: IntArray) -> tuple[Run, ...] | None:
        """Where these columns lie; None if one of them is not here."""
        places, index = self._place, slots - self._first
        if index.size and not 0 <= int(index.min()) <= int(index.max()) < places.size:
            return None
        return self._runs_at(places[index], self._slabs)

    def plan(self, leaving: IntArray, coming: IntArray) -> Exchange:
        """How one could take the place of the other. Raises `ValueError` for a column that is not here.

        Finds the memory for it: `MemoryError` comes from here, and then nothing has changed.
        """
        arriving = self.runs(coming)
        if arriving is None:
            raise ValueError("a column that is not in the cache has no keys and values")
        rows = leaving.size if arriving else 0
        held = self._memory.empty((self._a.kv_heads, rows, self._a.head_size), self._kept)
        needed = int(leaving.max()) - self._first + 1 if leaving.size else 0
        if needed > self._place.size:
            grown = np.full(max(needed, 2 * self._place.size), NOWHERE, np.int64)
            grown[: self._place.size] = self._place
            self._place = grown
        places = self._places_for(leaving.size, arriving)
        return Exchange(leaving, coming, places, self._runs_at(places, self._slabs) or (), arriving, held)

    def hide(self, exchange: Exchange) -> None:
        """From now on no other thread finds what is about to move."""
        self._place[exchange.coming - self._first] = NOWHERE

    def carry_out(self, exchange: Exchange, buffers: Sequence[Stored], first: int) -> None:
        """Copy between here and the cache's buffers, from position `first` on; there must be room for what comes.

        `buffers` are those of all layers, (1, kv_heads, capacity, head_size), keys before values.
        """
        arriving, departing, held = exchange.arriving, exchange.departing, exchange.held
        for layer, buffer in enumerate(buffers):
            tail = buffer[0, :, first:]
            source = held if arriving else tail
            if arriving:
                held[:] = tail[:, : exchange.leaving.size]
            for run in arriving:
                tail[:, run.rows] = run.vectors[layer]
            for run in departing:
                run.vectors[layer] = source[:, run.rows]
        for run in arriving:
            run.taken[:] = False
        for run in departing:
            run.taken[:] = True
        self._place[exchange.leaving - self._first] = exchange.places

    def release_free(self) -> None:
        """Give back the slabs that hold nothing."""
        self._slabs = tuple(slab for slab in self._slabs if slab.taken.any())

    def _places_for(self, count: int, arriving: Sequence[Run]) -> IntArray:
        """So many places that are free, or are given up by what comes; in few runs. Adds a slab where they lack."""
        for run in arriving:
            run.taken[:] = False
        try:
            free = self._free_runs()
            missing = count - sum(len(run) for run in free)
            if missing > 0:
                free.append(self._add_slab(max(missing, STEP)))
        finally:
            for run in arriving:
                run.taken[:] = True
        free.sort(key=len)
        found: list[IntArray] = []
        while count:
            best = next((run for run in free if len(run) >= count), free[-1])  # the shortest that is long enough
            free = [run for run in free if run is not best]
            found.append(np.arange(best.start, best.start + min(count, len(best))))
            count -= found[-1].size
        return np.concatenate([np.empty(0, np.int64), *found])

    def _free_runs(self) -> list[range]:
        found: list[range] = []
        for slab in self._slabs:
            edges = np.flatnonzero(np.diff(slab.taken, prepend=True, append=True)) + slab.first
            found += [range(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
        return found

    def _add_slab(self, size: int) -> range:
        shape = (2 * self._a.layers, self._a.kv_heads, size, self._a.head_size)
        slab = Slab(self._next, self._memory.empty(shape, self._kept), np.zeros(size, np.bool_))
        self._slabs = (*self._slabs, slab)
        self._next += size
        return range(slab.first, self._next)

    def _runs_at(self, places: IntArray, slabs: Sequence[Slab]) -> tuple[Run, ...] | None:
        found: list[Run] = []
        row = 0
        for part in np.split(places, np.flatnonzero(np.diff(places) != 1) + 1):
            place, stop = (int(part[0]), int(part[0]) + part.size) if part.size else (0, 0)
            while place < stop:
                slab = next((slab for slab in slabs if slab.first <= place < slab.first + slab.size), None)
                if slab is None:
                    return None
                own = slice(place - slab.first, min(stop - slab.first, slab.size))
                found.append(Run(row, slab.vectors[:, :, own], slab.taken[own]))
                row += own.stop - own.start
                place += own.stop - own.start
        return tuple(found)
