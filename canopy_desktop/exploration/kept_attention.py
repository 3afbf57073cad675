"""What attention is computed from, kept apart from the model: queries and keys of one text's columns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from canopy_desktop.arrays import AnyArray, FloatArray, IntArray
from canopy_desktop.exploration.attention_reader import AttentionReader
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.model.card import Architecture

MAX_ATTENTION = 700_000_000  # bytes of a file


class WhyNot(Enum):
    """Why a text's attention cannot be kept."""

    NO_TEXT = "no text"  # that the model has read
    OTHER_MODEL = "other model"  # made it, which is not here
    NOT_GIVEN = "not given"  # by the model: it has no queries to be read
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True)
class AttentionOffer:
    """What keeping a text's attention takes in a file."""

    bytes: int = 0
    why_not: WhyNot | None = None  # None: it can be kept


def attention_offer(tokens: int, bytes_per_token: int) -> AttentionOffer:
    """Of so many tokens; 0 bytes a token where the model gives no queries."""
    size = tokens * bytes_per_token
    if not bytes_per_token:
        return AttentionOffer(why_not=WhyNot.NOT_GIVEN)
    if not tokens:
        return AttentionOffer(why_not=WhyNot.NO_TEXT)
    return AttentionOffer(size, WhyNot.TOO_LONG if size > MAX_ATTENTION else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionNote:
    """Whose attention is kept: the columns that the window at a node begins with."""

    node: int
    tokens: int
    architecture: Architecture  # of the model that left them

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Those of the queries and of the keys, see `KeptAttention`."""
        a = self.architecture
        return (a.layers, self.tokens, a.heads * a.head_size), (a.layers, a.kv_heads, self.tokens, a.head_size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptAttention:
    """Queries and keys as the columns have them, to the bit, so what is computed from them is too. Read-only."""

    note: AttentionNote
    queries: AnyArray = field(repr=False)  # (layers, tokens, heads · head_size), before rotation
    keys: AnyArray = field(repr=False)  # (layers, kv_heads, tokens, head_size), rotated

    def __post_init__(self) -> None:
        for array in (self.queries, self.keys):
            array.setflags(write=False)

    @property
    def bytes(self) -> int:
        """Of both arrays."""
        return self.queries.nbytes + self.keys.nbytes

    def reader(self) -> AttentionReader:
        """One that reads it, for any one thread; its columns are `columns_at`'s."""
        return AttentionReader(KeptColumns(self))


class KeptColumns:
    """Kept attention as an `AttentionSource`, whose slots are places of its text."""

    generation = 0  # nothing moves

    def __init__(self, kept: KeptAttention) -> None:
        self.architecture = replace(kept.note.architecture, context=kept.note.tokens)  # no longer rotations than that
        self._kept = kept

    def queries(self, slots: IntArray, layer: int, own: slice) -> FloatArray:
        """(slots, the part `own`), before rotation."""
        return _wide(self._kept.queries[layer, _run(slots), own])

    def keys(self, slots: IntArray, layer: int, kv_head: int) -> FloatArray:
        """(slots, head_size), rotated."""
        return _wide(self._kept.keys[layer, kv_head, _run(slots)])


def columns_at(exploration: Exploration, node: int, note: AttentionNote) -> tuple[IntArray, IntArray]:
    """The kept columns that the window at a node begins with, and where in the text their tokens stand; (columns,)."""
    count = min(note.tokens, exploration.shared_columns(note.node, node))
    return np.arange(count), exploration.places(node, count)


def _run(slots: IntArray) -> slice:
    """Neighbours, as a text's columns always are. Raises `LookupError` for none."""
    return slice(int(slots[0]), int(slots[-1]) + 1)


def _wide(vectors: AnyArray) -> FloatArray:
    found: FloatArray = vectors.astype(np.float32, copy=False)
    return found
