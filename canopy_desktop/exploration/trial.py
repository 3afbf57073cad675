"""Runs beside the recorded text: what would have come if a token were missing, or could not be looked at.

A trial has a decoder of its own on the same weights, so what was recorded is not touched, and keeps no columns. Every
pass goes through the model in the usual chunks, so all runs of a trial are on the same path and differ by what was
changed alone (docs/architecture.md, "Rounding"); only a text of one token is a chunk of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.exploration.passes import ALONE
from canopy_desktop.exploration.sequence import TokenSequence
from canopy_desktop.model.decoder import AttentionBias, DecoderSession, chunks_of
from canopy_desktop.model.device import on_host


class Trial:
    """Feeds texts that begin alike, the shared beginning once. For the thread that owns the decoder.

    It can be kept: the next run, of this text or another, takes over what both begin with.
    """

    def __init__(self, decoder: DecoderSession) -> None:
        """`decoder` is owned from now on: the `sibling` of one that is in use."""
        self.decoder = decoder
        self._held: list[int] = []  # tokens in the cache that came in chunks and without a bias

    def adopt(self, sequence: TokenSequence, ids: Sequence[int]) -> None:
        """Copy what a text has in its cache as far as it came in chunks; `ids` are its tokens. Runs nothing."""
        if len(ids) != len(sequence):
            raise ValueError(f"{len(ids)} ids for {len(sequence)} columns")
        count = _chunked_beginning(sequence)
        if count <= _shared(self._held, ids):
            return
        self.decoder.truncate(0)
        self._held.clear()
        self.decoder.reserve(count)
        self.decoder.cache.copy(sequence.decoder.cache, count)
        self.decoder.length = count
        self._held += ids[:count]

    def logits(self, ids: Sequence[int], *, bias: AttentionBias | None = None, first: int = 0) -> FloatArray:
        """The logits after `ids`, (vocabulary,). `bias` changes nothing before the position `first`.

        Raises `ContextFullError`, `InterruptedStepError` or `ProviderError`.
        """
        shared = _shared(self._held, ids)
        start = self._shorten(min(shared if bias is None else min(shared, first), len(ids) - 2))
        logits = np.empty(0, np.float32)
        for count in chunks_of(len(ids) - start):
            new = ids[start : start + count]
            logits, _ = self.decoder.feed(new, bias=bias)
            start += count
            if bias is None:
                self._held += new
        return logits

    def last_alone(self, ids: Sequence[int]) -> FloatArray:
        """The logits after `ids` with the last token fed as a single step, as generating does.

        What is before it comes in chunks. Raises `ContextFullError`, `InterruptedStepError` or `ProviderError`.
        """
        before = ids[:-1]
        if before and _shared(self._held, before) < len(before):
            self.logits(before)
        self._shorten(len(before))
        return self.decoder.feed(ids[-1:])[0]

    def head_vectors(
        self, ids: Sequence[int], layer: int, head: int, bias: AttentionBias | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """A head's queries before rotation and its rotated keys in a run, each (ids, head_size)."""
        a = self.decoder.architecture
        own = slice(head * a.head_size, (head + 1) * a.head_size)
        start = self._shorten(0)
        queries = np.empty((len(ids), a.head_size), np.float32)
        for count in chunks_of(len(ids)):
            _, columns = self.decoder.feed(ids[start : start + count], bias=bias)
            queries[start : start + count] = on_host(columns.queries[layer][:, own])
            start += count
        keys = self.decoder.cache.keys[layer][0, head // (a.heads // a.kv_heads), : len(ids)]
        return queries, on_host(keys).astype(np.float32)

    def _shorten(self, length: int) -> int:
        """Make the cache hold no more than the first `length` tokens; returns how many it holds."""
        kept = max(0, min(length, len(self._held)))
        self.decoder.truncate(kept)
        del self._held[kept:]
        return kept


def _shared(held: Sequence[int], ids: Sequence[int]) -> int:
    """With how many tokens both begin."""
    for place, (one, other) in enumerate(zip(held, ids, strict=False)):
        if one != other:
            return place
    return min(len(held), len(ids))


def _chunked_beginning(sequence: TokenSequence) -> int:
    """How many of the first columns passed through the model in chunks."""
    single = np.flatnonzero(sequence.columns.pass_ends(sequence.slots) == ALONE) if len(sequence) else np.empty(0)
    return int(single[0]) if single.size else len(sequence)
