"""Computing what is looked at from what was kept: attention, distributions, surprisal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.decoding.pipeline import NATS_TO_BITS, History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.attention_reader import AttentionReader
from canopy_desktop.exploration.decision import Decision, decide
from canopy_desktop.exploration.decision_view import DrawsReading
from canopy_desktop.exploration.draws import first_draws
from canopy_desktop.exploration.kept_attention import AttentionNote, KeptAttention
from canopy_desktop.exploration.lens import lens_grid
from canopy_desktop.exploration.lens_view import LensCell, LensColumn, LensWish, cell_of
from canopy_desktop.exploration.records import Slot
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.model.head import Head

ROWS = 16  # residuals whose logits are computed at once: 3 MB


class ColumnReader(AttentionReader):
    """Reads columns on any one thread. None means: the columns changed meanwhile, ask again."""

    def __init__(self, sequence: TokenSequence, head: Head) -> None:
        super().__init__(sequence)
        self._sequence = sequence
        self._head = head

    def decision(
        self,
        slot: Slot,
        settings: DecodingSettings,
        history: History,
        position: int,
        *,
        shown: int,
        also: Sequence[int] = (),
    ) -> Decision | None:
        """What settings make of the logits after a column, and which token they take; see `decide`.

        Raises what `pipeline` raises.
        """
        logits = self._logits(slot)
        if logits is None:
            return None
        return decide(logits, settings, history, slot=slot, position=position, shown=shown, also=also)

    def draws(
        self, slot: Slot, settings: DecodingSettings, history: History, *, count: int, listed: int
    ) -> DrawsReading | None:
        """The next tokens of `count` draws after a column, and their frequencies; `history` is the whole text before.

        Raises what `pipeline` raises.
        """
        logits = self._logits(slot)
        if logits is None:
            return None
        drawn = first_draws(logits, history, settings, count)
        return DrawsReading(slot, settings, drawn.token_ids, drawn.frequencies(listed))

    def lens(self, slots: IntArray) -> tuple[LensColumn, ...] | None:
        """What the model's end makes of these columns after each layer.

        Raises `ColumnsGoneError` where residuals have made room.
        """
        try:
            grid = lens_grid(self._sequence.columns, slots, self._head, [None] * slots.size, threads=1)
        except LookupError:
            return None
        return tuple(
            LensColumn(grid.token_ids[:, place].copy(), grid.probabilities[:, place].copy())
            for place in range(slots.size)
        )

    def lens_cell(self, wish: LensWish) -> LensCell | None:
        """The likeliest tokens of one cell of the lens. Raises `ColumnsGoneError`."""
        logits = self._logits(wish.slot, wish.row)
        return None if logits is None else cell_of(logits, wish)

    def surprisal(self, slots: IntArray, token_ids: Sequence[int], first: int, last: int) -> FloatArray | None:
        """Bits by which tokens first … last-1 surprised the model; the token at position 0 is NaN."""
        bits = np.full(last - first, np.nan, np.float32)
        for start in range(max(first, 1), last, ROWS):
            stop = min(start + ROWS, last)
            try:
                residuals = self._sequence.columns.residuals(slots[start - 1 : stop - 1], -1)
            except LookupError:
                return None
            logits = self._head.logits(residuals)
            chosen = logits[np.arange(stop - start), list(token_ids[start:stop])]
            largest = logits.max(axis=-1)
            logits -= largest[:, None]
            sums = np.exp(logits, out=logits).sum(axis=-1, dtype=np.float64)
            bits[start - first : stop - first] = (np.log(sums) + largest - chosen) * NATS_TO_BITS
        return bits

    def keep(self, slots: IntArray, node: int) -> KeptAttention | None:
        """Copies of these columns' queries and keys, those of the window at `node`. Raises `ColumnsGoneError`."""
        sequence, a = self._sequence, self._sequence.architecture
        note = AttentionNote(node=node, tokens=int(slots.size), architecture=a)
        generation, shapes = sequence.generation, note.shapes
        queries = np.empty(shapes[0], sequence.columns.precision)
        keys = np.empty(shapes[1], sequence.decoder.cache.precision)
        everything = slice(shapes[0][-1])
        try:
            for layer in range(a.layers):
                queries[layer] = sequence.queries(slots, layer, everything)
                for head in range(a.kv_heads):
                    found = sequence.keys(slots, layer, head)
                    if found is None:
                        return None
                    keys[layer, head] = found
        except LookupError:
            return None
        return KeptAttention(note=note, queries=queries, keys=keys) if sequence.generation == generation else None

    def _logits(self, slot: Slot, row: int = -1) -> FloatArray | None:
        try:
            residual = self._sequence.columns.residuals(np.array([slot]), row)
        except LookupError:
            return None
        logits: FloatArray = self._head.logits(residual)[0]
        return logits
