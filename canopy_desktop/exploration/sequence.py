"""The tokens that stand in the cache now, and the way to any others.

Generation numbers make reading safe without a lock: whoever changes or discards what the cache holds raises
`generation` first; a reader that finds another number after it has read drops what it computed. Appending raises
nothing, since positions that exist do not change.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.errors import EngineError, OutOfMemoryError
from canopy_desktop.exploration.budget import automatic_budget
from canopy_desktop.exploration.columns import ColumnStore, joined
from canopy_desktop.exploration.passes import pass_end, pass_with, passes_again
from canopy_desktop.exploration.records import Kept, Slot
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.decoder import AttentionBias, DecoderSession, PassColumns

logger = logging.getLogger(__name__)


class TokenSequence:
    """Owns a decoder's cache. Written on one thread; `keys` may be called from another.

    Columns and cache keep within `budget` bytes as long as there are queries or residuals to give up.
    """

    def __init__(self, decoder: DecoderSession, columns: ColumnStore, *, budget: int | None = None) -> None:
        """`budget` None: chosen anew for each exploration; see `automatic_budget`."""
        self.decoder = decoder
        self.columns = columns
        self.generation = 0
        self.budget = automatic_budget(decoder.cache.memory) if budget is None else budget
        self._wanted_budget = budget
        self._exceeded = False
        self._slots: IntArray = np.empty(0, np.int64)  # room for more; the first `decoder.length` count
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def architecture(self) -> Architecture:
        """The numbers of the model that fills the cache."""
        return self.decoder.architecture

    @property
    def bytes(self) -> int:
        """Bytes of all columns in use, and of all keys and values, those in the cache included."""
        return self.columns.bytes + self._length * self.decoder.cache.bytes_per_token

    @property
    def slots(self) -> IntArray:
        """The columns in the cache, in order of position."""
        return self._slots[: self._length]

    def feed(
        self, token_ids: Sequence[int], *, bias: AttentionBias | None = None
    ) -> tuple[tuple[Slot, ...], FloatArray]:
        """Pass tokens through the model. Returns their slots and the last one's logits.

        Raises `ContextFullError`, `InterruptedStepError`, `OutOfMemoryError`, `CardMemoryError` or `ProviderError`;
        then nothing has changed.
        """
        column_bytes = self.columns.bytes_per_column + self.decoder.cache.bytes_per_token
        try:
            self.columns.room(len(token_ids))
            self._fit(len(token_ids) * column_bytes)  # the block before may go now
            logits, columns = self.decoder.feed(token_ids, bias=bias)
            slots = self.columns.fill(token_ids, columns, pass_end(self._length, len(token_ids)))
        except MemoryError as error:
            self.decoder.truncate(self._length)
            raise OutOfMemoryError(self._length) from error
        except EngineError:
            self.decoder.truncate(self._length)  # a card can fail after the pass, when its columns are kept
            raise
        self._append(slots)
        return slots, logits

    def go_to(self, slots: IntArray) -> None:
        """Make the cache hold these columns: what it has beside them changes places with what lacks. Runs nothing.

        Raises `OutOfMemoryError` or `CardMemoryError`; then nothing has changed.
        """
        shared = self._shared_with(slots)
        if shared == self._length == slots.size:
            return
        leaving, coming, swap = self.slots[shared:].copy(), slots[shared:].copy(), self.columns.swap
        try:
            self.decoder.reserve(slots.size)
            exchange = swap.plan(leaving, coming)
        except MemoryError as error:
            raise OutOfMemoryError(self._length) from error
        self._length = self.decoder.length = shared
        swap.hide(exchange)
        self.generation += 1  # after what moves cannot be found, and before it moves
        swap.carry_out(exchange, self.decoder.cache.buffers, shared)
        self._append(coming)
        self.decoder.length = self._length
        self.columns.note_left(leaving)
        self._fit(0)

    def replay(self, slots: IntArray, position: int, *, bias: AttentionBias | None = None) -> tuple[int, PassColumns]:
        """Pass the token at `position` of a text once more, made as it was made, so that every bit is as it was.

        One that came in a chunk takes others along, as `pass_with` finds them. Returns the position of the pass's first
        token, and what it left. `bias` is what the columns were made with. Raises
        `InterruptedStepError`, `ProviderError`, or `LookupError` for slots that are forgotten.
        """
        ends, head_size = self.columns.pass_ends(slots), self.decoder.architecture.head_size
        first, last = pass_with(position, position + 1, ends, head_size)
        return first, self._pass_again(slots, first, last, bias)

    def remake(self, slots: IntArray, kind: Kept) -> Iterator[tuple[int, int]]:
        """Make again what is gone of these columns, the way they were made, so with the same bits.

        One pass for each item: how many columns are made, of how many. Leaving off in between, or an interrupted pass,
        keeps what was made. The columns are those of a text. Raises `InterruptedStepError`, `OutOfMemoryError` or
        `ProviderError`, and `LookupError` for slots that are forgotten.
        """
        columns = self.columns
        self._hold(slots)  # something may have to go for it
        gone, ends = columns.gone(slots, kind), columns.pass_ends(slots)
        head_size = self.decoder.architecture.head_size
        done, total = 0, int(np.count_nonzero(gone))
        for first, last in passes_again(gone, ends, head_size):
            start, stop = pass_with(first, last, ends, head_size)
            try:
                made = self._pass_again(slots, start, stop)
                self._fit((last - first) * columns.bytes_of[kind], spared=kind)
                columns.refill(slots[first:last], kind, made, slice(first - start, last - start))
            except MemoryError as error:
                raise OutOfMemoryError(self._length) from error
            done += last - first
            yield done, total

    def forget(self) -> None:
        """Empty the cache and drop all columns."""
        self.generation += 1
        self.decoder.truncate(0)
        self._length = 0
        self.columns = self.columns.successor()
        self._exceeded = False
        if self._wanted_budget is None:
            self.budget = automatic_budget(self.decoder.cache.memory)

    def queries(self, slots: IntArray, layer: int, own: slice) -> FloatArray:
        """Queries of these columns before rotation, (slots, the part `own`); see `ColumnStore.queries`."""
        return self.columns.queries(slots, layer, own)

    def keys(self, slots: IntArray, layer: int, kv_head: int) -> FloatArray | None:
        """Rotated keys of these columns, (slots, head_size); None if they are forgotten, or on the move just now."""
        return self._cached(slots, layer, kv_head, values=False)

    def values(self, slots: IntArray, layer: int, kv_head: int) -> FloatArray | None:
        """Values of these columns, (slots, head_size); None if they are forgotten, or on the move just now."""
        return self._cached(slots, layer, kv_head, values=True)

    def _cached(self, slots: IntArray, layer: int, kv_head: int, *, values: bool) -> FloatArray | None:
        """From the cache as far as it holds these columns, and from the swap space."""
        generation = self.generation
        cache = self.decoder.cache
        buffer = (cache.values if values else cache.keys)[layer]
        count = min(self._length, slots.size)
        held = self._slots
        differs = np.flatnonzero(held[:count] != slots[:count])
        shared = int(differs[0]) if differs.size else count
        away = self.columns.swap.runs(slots[shared:])
        if away is None:
            return None
        row = layer + len(cache.keys) if values else layer
        found = joined([buffer[0, kv_head, :shared], *(run.vectors[row, kv_head] for run in away)])
        return found if self.generation == generation else None

    def _pass_again(self, slots: IntArray, first: int, last: int, bias: AttentionBias | None = None) -> PassColumns:
        """Pass the tokens at positions first … last - 1 of a text once more, with the cache holding it."""
        token_ids = self.columns.token_ids(slots[first:last]).tolist()
        self._hold(slots)
        return self.decoder.replay(first, token_ids, bias=bias)

    def _hold(self, slots: IntArray) -> None:
        """Have these columns at the cache's beginning, whatever comes after them."""
        if self._shared_with(slots) < slots.size:
            self.go_to(slots)

    def _fit(self, extra: int, *, spared: Kept | None = None) -> None:
        """Give up what has to go for `extra` more bytes."""
        excess = self.bytes + extra - self.budget
        if excess > 0 and self.columns.evict(excess, self.slots, spared=spared) and not self._exceeded:
            self._exceeded = True
            logger.warning(
                "The memory budget of %d MB is too small for this text and its branches", self.budget // 10**6
            )

    def _shared_with(self, slots: IntArray) -> int:
        count = min(self._length, slots.size)
        differs = np.flatnonzero(self._slots[:count] != slots[:count])
        return int(differs[0]) if differs.size else count

    def _append(self, slots: Sequence[Slot] | IntArray) -> None:
        end = self._length + len(slots)
        if end > self._slots.size:
            grown = np.empty(max(2 * self._slots.size, end, 256), np.int64)
            grown[: self._length] = self.slots
            self._slots = grown
        self._slots[self._length : end] = slots
        self._length = end
