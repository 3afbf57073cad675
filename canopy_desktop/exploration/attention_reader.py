"""Attention computed from kept queries and keys, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.attention import attention_cells, attention_rows, cells_of_rows
from canopy_desktop.exploration.attention_view import ROLLOUT_TOKENS, AttentionReading, Look, RowReading
from canopy_desktop.exploration.heads import layer_weights, rollout_step
from canopy_desktop.exploration.squares import Square
from canopy_desktop.model.card import Architecture, LayerAttention
from canopy_desktop.model.rope import turned

MOST_ROWS = 128  # of a layer's mean that are computed at once
MAX_CELLS = 600  # cells of an attention picture, per side


class AttentionSource(Protocol):
    """Queries and keys of columns, by slot."""

    @property
    def architecture(self) -> Architecture:
        """The numbers of the model that left them."""

    @property
    def generation(self) -> int:
        """Another number where columns moved or went meanwhile."""

    def queries(self, slots: IntArray, layer: int, own: slice) -> FloatArray:
        """(slots, the part `own` of heads · head_size), before rotation.

        Raises `ColumnsGoneError`, or `LookupError` for slots that are forgotten.
        """

    def keys(self, slots: IntArray, layer: int, kv_head: int) -> FloatArray | None:
        """Rotated keys, (slots, head_size); None if they are forgotten, or on the move just now."""


class AttentionReader:
    """Reads attention on any one thread. None means: the columns changed meanwhile, ask again.

    Raises `ColumnsGoneError` where queries have made room for newer ones.
    """

    def __init__(self, source: AttentionSource) -> None:
        self._source = source
        self._last: tuple[IntArray, AttentionReading] | None = None
        self._rolled: tuple[IntArray, FloatArray] | None = None  # columns, and their rollout

    def picture(
        self, slots: IntArray, look: Look, part: Square | None = None, *, max_cells: int = MAX_CELLS
    ) -> AttentionReading | None:
        """What `look` means, of all of these tokens or of a part, at most `max_cells` cells a side.

        Rollout is taken from the first `ROLLOUT_TOKENS` of them; the reading's length says so.
        """
        if look.layer is not None and look.head is not None and part is None:
            return self.attention(slots, look.layer, look.head, hide_first=look.hide_first, max_cells=max_cells)
        if look.layer is None:
            slots = slots[:ROLLOUT_TOKENS]
        square = part or Square(0, 0, int(slots.size))
        cell = -(-square.span // max_cells)
        values = self._cells(slots, look, square, cell)
        if values is None:
            return None
        return AttentionReading(
            layer=look.layer,
            head=look.head,
            hide_first=look.hide_first,
            length=int(slots.size),
            cell=cell,
            values=values,
            part=part,
        )

    def attention(
        self, slots: IntArray, layer: int, head: int, *, hide_first: bool, max_cells: int = MAX_CELLS
    ) -> AttentionReading | None:
        """One head's attention of all these tokens to one another, at most `max_cells` cells a side.

        While a text grows, only the rows of its new tokens are computed, and those of a cell that was not full.
        """
        cell = -(-slots.size // max_cells)
        last = self._reading_to_grow(slots, layer, head, hide_first, cell)
        if last is not None and last.length == slots.size:
            return last
        first = 0 if last is None else last.length // cell * cell
        vectors = self._vectors(slots, layer, head, first=first)
        if vectors is None:
            return None
        generation, queries, keys = vectors
        values = attention_cells(queries, keys, self._how(layer), first=first, cell=cell, hide_first=hide_first)
        if self._source.generation != generation:
            return None
        if last is not None:
            values = _grown(last.values[: first // cell], values)
        reading = AttentionReading(
            layer=layer, head=head, hide_first=hide_first, length=int(slots.size), cell=cell, values=values
        )
        self._last = (slots, reading)
        return reading

    def row(self, slots: IntArray, query: int, *, rollout: bool = False) -> RowReading | None:
        """Where the token at a place looks, in every head; with `rollout` also through all layers, if it reaches it."""
        weights = self.all_heads(slots, query)
        flows = self.rollout(slots[: query + 1]) if rollout and query < ROLLOUT_TOKENS else None
        if weights is None or (rollout and query < ROLLOUT_TOKENS and flows is None):
            return None
        return RowReading(query=query, weights=weights, flow=None if flows is None else flows[query])

    def attention_row(self, slots: IntArray, layer: int, head: int, query: int) -> FloatArray | None:
        """Where one token looks: probabilities over the positions 0 … query."""
        vectors = self._vectors(slots[: query + 1], layer, head, first=query)
        if vectors is None:
            return None
        generation, queries, keys = vectors
        row = attention_rows(queries, keys, query, self._how(layer))[0]
        return row if self._source.generation == generation else None

    def attention_region(
        self,
        slots: IntArray,
        layer: int,
        head: int,
        *,
        rows: tuple[int, int],
        columns: tuple[int, int],
        hide_first: bool,
        max_cells: int = MAX_CELLS,
    ) -> FloatArray | None:
        """A part of one head's attention, at most `max_cells` cells a side; see `attention_cells`."""
        vectors = self._vectors(slots[: rows[1]], layer, head, first=rows[0])
        if vectors is None:
            return None
        generation, queries, keys = vectors
        span = max(rows[1] - rows[0], columns[1] - columns[0])
        columns = (columns[0], min(columns[1], rows[1]))
        cell = -(-span // max_cells)
        cells = attention_cells(
            queries, keys, self._how(layer), first=rows[0], columns=columns, cell=cell, hide_first=hide_first
        )
        return cells if self._source.generation == generation else None

    def all_heads(self, slots: IntArray, query: int) -> FloatArray | None:
        """Where one token looks in every head: (layers, heads, positions up to its own)."""
        source, a = self._source, self._source.architecture
        generation, seen = source.generation, slots[: query + 1]
        everything = slice(a.heads * a.head_size)
        turn = slice(query, query + 1)
        weights = np.empty((a.layers, a.heads, query + 1), np.float32)
        for layer in range(a.layers):
            try:
                keys = [source.keys(seen, layer, kv_head) for kv_head in range(a.kv_heads)]
                queries = source.queries(seen[query:], layer, everything).reshape(a.heads, a.head_size)
            except LookupError:
                return None
            held = [part for part in keys if part is not None]
            if len(held) < a.kv_heads:
                return None
            rotated = turned(queries, a, layer, turn)
            weights[layer] = layer_weights(rotated, np.stack(held), a.attention(layer))
        return weights if source.generation == generation else None

    def overview(self, slots: IntArray, *, max_cells: int, hide_first: bool) -> FloatArray | None:
        """Every head's attention of a whole text in small: (layers, heads, cells, cells)."""
        a = self._source.architecture
        cell = -(-slots.size // max_cells)
        found = []
        for layer in range(a.layers):
            for head in range(a.heads):
                vectors = self._vectors(slots, layer, head)
                if vectors is None:
                    return None
                generation, queries, keys = vectors
                found.append(attention_cells(queries, keys, self._how(layer), cell=cell, hide_first=hide_first))
                if self._source.generation != generation:
                    return None
        return np.stack(found).reshape(a.layers, a.heads, *found[0].shape)

    def mean_of_layer(self, slots: IntArray, layer: int) -> FloatArray | None:
        """The mean of a layer's heads over a whole text, (positions, positions); 0 where positions are later."""
        generation = self._source.generation
        vectors = self._layer_vectors(slots, layer, 0)
        if vectors is None:
            return None
        mean = np.zeros((slots.size, slots.size), np.float32)
        for start, rows in _mean_strips(vectors, self._how(layer), 0, MOST_ROWS):
            mean[start : start + len(rows), : rows.shape[1]] = rows
        return mean if self._source.generation == generation else None

    def rollout(self, slots: IntArray) -> FloatArray | None:
        """How much each position contributes to each by attention rollout: (positions, positions); rows sum to one.

        Raises `UsageError` beyond `ROLLOUT_TOKENS`, where it would take long.
        """
        if slots.size > ROLLOUT_TOKENS:
            raise UsageError(f"Attention rollout is for the first {ROLLOUT_TOKENS} tokens: choose fewer.")
        if self._rolled is not None and np.array_equal(self._rolled[0][: slots.size], slots):
            return self._rolled[1][: slots.size, : slots.size]
        flow = np.eye(slots.size, dtype=np.float32)
        for layer in reversed(range(self._source.architecture.layers)):
            weights = self.mean_of_layer(slots, layer)
            if weights is None:
                return None
            flow = rollout_step(flow, weights)
        self._rolled = slots, flow
        return flow

    def _cells(self, slots: IntArray, look: Look, square: Square, cell: int) -> FloatArray | None:
        """A square's cells, NaN where they are later: (cells, cells)."""
        found = np.full((-(-square.span // cell),) * 2, np.nan, np.float32)
        if look.layer is not None and look.head is not None:
            values = self.attention_region(
                slots,
                look.layer,
                look.head,
                rows=square.rows,
                columns=square.columns,
                hide_first=look.hide_first,
                max_cells=len(found),
            )
            if values is None:
                return None
            found[:, : values.shape[1]] = values
            return found
        generation = self._source.generation
        strips = self._strips(slots, look.layer, square, max(1, MOST_ROWS // cell) * cell)
        if strips is None:
            return None
        for start, rows in strips:
            top = (start - square.top) // cell
            part = cells_of_rows(rows, first=start, columns=square.columns, cell=cell, hide_first=look.hide_first)
            found[top : top + len(part)] = part
        return found if self._source.generation == generation else None

    def _strips(
        self, slots: IntArray, layer: int | None, square: Square, step: int
    ) -> Iterable[tuple[int, FloatArray]] | None:
        """Whole rows of a layer's mean, or of the rollout, with the place of the first of them."""
        if layer is None:
            flows = self.rollout(slots)
            return None if flows is None else [(square.top, flows[slice(*square.rows)])]
        vectors = self._layer_vectors(slots[: square.rows[1]], layer, square.top)
        return None if vectors is None else _mean_strips(vectors, self._how(layer), square.top, step)

    def _layer_vectors(self, slots: IntArray, layer: int, first: int) -> list[tuple[FloatArray, FloatArray]] | None:
        """For each head of a layer its rotated queries from place `first` on, and its keys."""
        heads = self._source.architecture.heads
        read = [self._vectors(slots, layer, head, first) for head in range(heads)]
        vectors = [found[1:] for found in read if found is not None]
        return vectors if len(vectors) == heads else None

    def _reading_to_grow(
        self, slots: IntArray, layer: int, head: int, hide_first: bool, cell: int
    ) -> AttentionReading | None:
        """The last reading, if it is of the same head and this text begins with that one's."""
        if self._last is None:
            return None
        before, reading = self._last
        wanted = (layer, head, hide_first, cell)
        if (reading.layer, reading.head, reading.hide_first, reading.cell) != wanted:
            return None
        return reading if np.array_equal(slots[: before.size], before) else None

    def _vectors(
        self, slots: IntArray, layer: int, head: int, first: int = 0
    ) -> tuple[int, FloatArray, FloatArray] | None:
        """Rotated queries from position `first` on and all keys of one head, and the generation they belong to.

        The queries are (slots - first, head_size), the keys (slots, head_size).
        """
        source, a = self._source, self._source.architecture
        generation = source.generation
        own = slice(head * a.head_size, (head + 1) * a.head_size)
        try:
            keys = source.keys(slots, layer, head // (a.heads // a.kv_heads))
            queries = source.queries(slots[first:], layer, own)
        except LookupError:
            return None
        if keys is None or not slots.size:
            return None
        return generation, turned(queries, a, layer, slice(first, slots.size)), keys

    def _how(self, layer: int) -> LayerAttention:
        return self._source.architecture.attention(layer)


def _mean_strips(
    vectors: Sequence[tuple[FloatArray, FloatArray]], how: LayerAttention, first: int, step: int
) -> Iterator[tuple[int, FloatArray]]:
    """The mean of heads, `step` rows at a time: the place of the first, and (rows, positions up to the last of them).

    `vectors`: for each head the rotated queries from place `first` on, and all keys.
    """
    last = first + len(vectors[0][0])
    for start in range(first, last, step):
        stop = min(start + step, last)
        rows = np.zeros((stop - start, stop), np.float32)
        for queries, keys in vectors:
            rows += attention_rows(queries[start - first : stop - first], keys[:stop], start, how)
        rows /= np.float32(len(vectors))
        yield start, rows


def _grown(before: FloatArray, rows: FloatArray) -> FloatArray:
    """A matrix with new rows below; what is right of the old ones is later, not a number."""
    old = np.full((len(before), rows.shape[1]), np.nan, np.float32)
    old[:, : before.shape[1]] = before
    return np.concatenate([old, rows])
