"""Runs beside the recorded text: what would have come if a token were missing, or could not be looked at.

A trial uses the decoder and the cache of the text that is there, but none of its passes leaves a column. Every pass
goes through the model in the usual chunks, so all runs of one trial are on the same path and differ by what was
changed alone (docs/architecture.md, "Rounding"); only a text of one token is a chunk of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.decoder import AttentionBias, chunks_of


class WatchedHead(NamedTuple):
    """A head whose queries and keys a run is to give back."""

    layer: int
    head: int


class Trial:
    """Feeds texts that begin alike, the shared beginning once. For the thread that owns the decoder.

    A context manager: at its end the cache holds what it held before, also after an error.
    """

    def __init__(self, sequence: TokenSequence, ids: Sequence[int]) -> None:
        """`ids` are the tokens of `sequence`; those that were prefilled in chunks need not be fed again."""
        if len(ids) != len(sequence):
            raise ValueError(f"{len(ids)} ids for {len(sequence)} columns")
        self._sequence = sequence
        self._slots: IntArray = sequence.slots.copy()
        self._held: list[int] = list(ids[: _chunked_beginning(sequence)])
        self._scratch: _ScratchColumns | None = None

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        decoder = self._sequence.decoder
        decoder.truncate(min(decoder.length, len(self._sequence)))
        self._sequence.go_to(self._slots)

    def logits(
        self, ids: Sequence[int], *, bias: AttentionBias | None = None, first: int | None = None
    ) -> FloatArray:
        """The logits after `ids`, (vocabulary,). A bias must leave the positions before `first` as they are.

        Raises `ContextFullError`, `InterruptedStepError` or `ProviderError`.
        """
        start = self._start(ids, len(ids) if first is None else first)
        self._shorten(start)
        logits = np.empty(0, np.float32)
        for count in chunks_of(len(ids) - start):
            new = ids[start : start + count]
            logits = self._sequence.decoder.feed(new, self._columns(count), bias=bias)
            start += count
            if bias is None:
                self._held += new
        return logits

    def last_alone(self, ids: Sequence[int]) -> FloatArray:
        """The logits after `ids` with the last token fed as a single step, as generating does."""
        if len(ids) > 2:
            self.logits(ids[:-1])
        else:
            self._shorten(0)
            if ids[:-1]:
                self._sequence.decoder.feed(ids[:-1], self._columns(1))
        return self._sequence.decoder.feed(ids[-1:], self._columns(1))

    def watched(
        self, ids: Sequence[int], watched: WatchedHead, bias: AttentionBias | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """A head's queries before rotation and rotated keys in the whole run, each (ids, head_size)."""
        decoder = self._sequence.decoder
        a = decoder.architecture
        own = slice(watched.head * a.head_size, (watched.head + 1) * a.head_size)
        self._shorten(0)
        queries, start = [], 0
        for count in chunks_of(len(ids)):
            columns = self._columns(count)
            decoder.feed(ids[start : start + count], columns, bias=bias)
            queries.append(columns.query(watched.layer)[:, own].copy())
            start += count
        keys = decoder.cache.keys[watched.layer][0, watched.head // (a.heads // a.kv_heads), : len(ids)].copy()
        return np.concatenate(queries), keys

    def _start(self, ids: Sequence[int], first: int) -> int:
        """From where `ids` must be fed: two tokens at least, and nothing that a bias changes is taken over."""
        shared = 0
        for held, wanted in zip(self._held, ids, strict=False):
            if held != wanted:
                break
            shared += 1
        return max(0, min(shared, first, len(ids) - 2))

    def _shorten(self, length: int) -> None:
        """Make the cache hold the first `length` tokens of what it holds."""
        sequence = self._sequence
        sequence.decoder.truncate(min(sequence.decoder.length, max(length, len(sequence))))
        if length < len(sequence):
            sequence.go_to(self._slots[:length])
        del self._held[length:]

    def _columns(self, count: int) -> _ScratchColumns:
        if self._scratch is None or self._scratch.room < count:
            self._scratch = _ScratchColumns(self._sequence.decoder.architecture, count)
        return self._scratch.of(count)


class _ScratchColumns:
    """Where the passes of a trial leave what nobody keeps (`decoder.ColumnRows`)."""

    def __init__(self, architecture: Architecture, room: int) -> None:
        a = architecture
        self.room = self._count = room
        self._queries = np.empty((a.layers, self.room, a.heads * a.head_size), np.float32)
        self._residuals = np.empty((a.layers + 1, self.room, a.hidden), np.float32)

    def of(self, count: int) -> _ScratchColumns:
        """The same memory for a pass of `count` tokens."""
        self._count = count
        return self

    def query(self, layer: int) -> FloatArray:
        """(new, heads · head_size), before rotation."""
        return self._queries[layer, : self._count]

    def residual(self, row: int) -> FloatArray:
        """(new, hidden); 0 is the embedding, l + 1 what comes out of block l."""
        return self._residuals[row, : self._count]


def _chunked_beginning(sequence: TokenSequence) -> int:
    """How many of the first columns passed through the model in chunks."""
    made = [block.in_chunk[first:last] for block, first, last in sequence.columns.runs(sequence.slots)]
    single = np.flatnonzero(~np.concatenate(made)) if made else np.empty(0, np.int64)
    return int(single[0]) if single.size else len(sequence)
