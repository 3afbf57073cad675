"""The tokens that stand in the cache now, and the way to any others.

Generation numbers make reading safe without a lock: whoever changes or discards what the cache holds raises
`generation` first; a reader that finds another number after it has read drops what it computed. Appending raises
nothing, since positions that exist do not change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.errors import OutOfMemoryError
from canopy_desktop.exploration.columns import ColumnStore
from canopy_desktop.exploration.records import Slot
from canopy_desktop.model.decoder import AttentionBias, DecoderSession, PassColumns


class TokenSequence:
    """Owns a decoder's cache. Written on one thread; `keys` may be called from another."""

    def __init__(self, decoder: DecoderSession, columns: ColumnStore) -> None:
        self.decoder = decoder
        self.columns = columns
        self.generation = 0
        self._slots: IntArray = np.empty(0, np.int64)  # room for more; the first `decoder.length` count
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def slots(self) -> IntArray:
        """The columns in the cache, in order of position."""
        return self._slots[: self._length]

    def feed(
        self, token_ids: Sequence[int], *, bias: AttentionBias | None = None
    ) -> tuple[tuple[Slot, ...], FloatArray]:
        """Pass tokens through the model. Returns their slots and the last one's logits.

        Raises `ContextFullError`, `InterruptedStepError`, `OutOfMemoryError` or `ProviderError`; then nothing has
        changed.
        """
        try:
            block = self.columns.room(len(token_ids))
            logits, columns = self.decoder.feed(token_ids, bias=bias)
            slots = block.fill(token_ids, columns)
        except MemoryError as error:
            self.decoder.truncate(self._length)
            raise OutOfMemoryError(self._length) from error
        self._append(slots)
        return slots, logits

    def go_to(self, slots: IntArray) -> None:
        """Make the cache hold these columns: shorten it to what is shared, and copy the rest in. Runs nothing."""
        shared = self._shared_with(slots)
        if shared == self._length == slots.size:
            return
        if shared < self._length:
            self.generation += 1
            self._store(shared)
            self.decoder.truncate(shared)
            self._length = shared
        self._restore(slots[shared:])

    def replay(self, slots: IntArray, position: int, *, bias: AttentionBias | None = None) -> tuple[int, PassColumns]:
        """Pass the token at `position` of a text once more, made as it was made, so that every bit is as it was.

        One that came in a chunk takes a neighbour along: a pass of two rounds as any chunk does. Returns the position
        of the pass's first token, and what it left. `bias` is what the columns were made with. Raises
        `InterruptedStepError`, `ProviderError`, or `LookupError` for slots that are forgotten.
        """
        first, last = self._made_with(slots, position)
        token_ids = self.columns.token_ids(slots[first:last]).tolist()
        if self._shared_with(slots) < slots.size:
            self.go_to(slots)
        return first, self.decoder.replay(first, token_ids, bias=bias)

    def forget(self) -> None:
        """Empty the cache and drop all columns."""
        self.generation += 1
        self.decoder.truncate(0)
        self.columns = self.columns.successor()
        self._length = 0

    def keys(self, slots: IntArray, layer: int, kv_head: int) -> FloatArray | None:
        """Rotated keys of these columns, (slots, head_size); None if they are on the move just now."""
        return self._cached(slots, layer, kv_head, values=False)

    def values(self, slots: IntArray, layer: int, kv_head: int) -> FloatArray | None:
        """Values of these columns, (slots, head_size); None if they are on the move just now."""
        return self._cached(slots, layer, kv_head, values=True)

    def _cached(self, slots: IntArray, layer: int, kv_head: int, *, values: bool) -> FloatArray | None:
        """From the cache as far as it holds these columns, and from their blocks."""
        generation = self.generation
        cache = self.decoder.cache
        buffer = (cache.values if values else cache.keys)[layer]
        count = min(self._length, slots.size)
        held = self._slots
        differs = np.flatnonzero(held[:count] != slots[:count])
        shared = int(differs[0]) if differs.size else count
        parts = [buffer[0, kv_head, :shared]]
        for block, first, last in self.columns.runs(slots[shared:]) if shared < slots.size else []:
            kept = block.values if values else block.keys
            if kept is None or not block.stored[first:last].all():
                return None
            parts.append(kept[layer, first:last, kv_head])
        if self.generation != generation:
            return None
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _made_with(self, slots: IntArray, position: int) -> tuple[int, int]:
        """The first position and the end of a pass that makes the token at `position` as it was made."""
        near = range(max(0, position - 1), min(position + 2, slots.size))
        in_chunk = {}
        for place in near:
            block, row = self.columns.locate(int(slots[place]))
            in_chunk[place] = bool(block.in_chunk[row])
        if not in_chunk[position] or len(near) < 2:
            return position, position + 1
        first = position - 1 if in_chunk.get(position - 1) or not in_chunk.get(position + 1) else position
        return first, first + 2

    def _shared_with(self, slots: IntArray) -> int:
        count = min(self._length, slots.size)
        differs = np.flatnonzero(self._slots[:count] != slots[:count])
        return int(differs[0]) if differs.size else count

    def _append(self, slots: Sequence[Slot]) -> None:
        end = self._length + len(slots)
        if end > self._slots.size:
            grown = np.empty(max(2 * self._slots.size, end, 256), np.int64)
            grown[: self._length] = self.slots
            self._slots = grown
        self._slots[self._length : end] = slots
        self._length = end

    def _store(self, first: int) -> None:
        position = first
        for block, row, last in self.columns.runs(self.slots[first:]):
            count = last - row
            if not block.stored[row:last].all():
                block.store(row, *self.decoder.cache.export(position, position + count))
            position += count

    def _restore(self, slots: IntArray) -> None:
        if not slots.size:
            return
        decoder = self.decoder
        decoder.reserve(self._length + slots.size)
        for block, first, last in self.columns.runs(slots):
            if block.keys is None or block.values is None or not block.stored[first:last].all():
                raise ValueError("a column that is not in the cache has no keys and values")
            decoder.cache.restore(self._length, block.keys[:, first:last], block.values[:, first:last])
            decoder.length = self._length + last - first
            self._append(range(block.first + first, block.first + last))
