"""What is shown of attention: pictures of a text, the row of one token, and what is meant by both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.exploration.attention import without_first
from canopy_desktop.exploration.heads import strongest_links
from canopy_desktop.exploration.records import Kept
from canopy_desktop.exploration.squares import Square

LISTED_LINKS = 50
ROLLOUT_TOKENS = 1024  # beyond it rollout would take long


class Looking(Enum):
    """Whose attention is looked at."""

    HEAD = "head"
    MEAN = "mean"  # of a layer's heads
    ROLLOUT = "rollout"  # through all layers


@dataclass(frozen=True, slots=True)
class Look:
    """Which attention is meant; two looks at the same are equal."""

    layer: int | None  # None: rollout, through all layers
    head: int | None  # None: the mean of the layer's heads, or rollout
    hide_first: bool


def look_of(looking: Looking, layer: int, head: int, hide_first: bool) -> Look:
    """The look at a head, or at the mean or the rollout where its number means nothing."""
    return Look(
        None if looking is Looking.ROLLOUT else layer,
        head if looking is Looking.HEAD else None,
        hide_first,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionReading:
    """Attention over a square of the window's places, reduced so that bright cells survive."""

    layer: int | None  # None: rollout
    head: int | None  # None: the mean of the heads, or rollout
    hide_first: bool
    length: int  # places of the window that it is taken from
    cell: int  # places in a cell of `values`, per side
    values: FloatArray = field(repr=False)  # (cells, cells), query by key, the maximum in each; NaN: later, or hidden
    part: Square | None = None  # None: the whole window

    def __post_init__(self) -> None:
        self.values.setflags(write=False)

    @property
    def look(self) -> Look:
        """Which attention it is."""
        return Look(self.layer, self.head, self.hide_first)

    @property
    def square(self) -> Square:
        """The places that it covers."""
        return self.part or Square(0, 0, self.length)

    def value_at(self, query: int, key: int) -> float:
        """The value of the cell with two places; NaN outside of the square too."""
        row, column = (query - self.square.top) // self.cell, (key - self.square.left) // self.cell
        inside = 0 <= row < self.values.shape[0] and 0 <= column < self.values.shape[1]
        return float(self.values[row, column]) if inside else float("nan")

    def places(self, query: int, key: int) -> tuple[range, range]:
        """The rows and columns of the cell with two places."""
        square = self.square
        top = query - (query - square.top) % self.cell
        left = key - (key - square.left) % self.cell
        return range(top, min(top + self.cell, square.rows[1])), range(left, min(left + self.cell, square.columns[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReading:
    """Where one token looks in every head."""

    query: int  # its place in the window
    weights: FloatArray = field(repr=False)  # (layers, heads, query + 1), each row adds up to one
    flow: FloatArray | None = field(default=None, repr=False)  # (query + 1,) by rollout; None: not asked for

    def __post_init__(self) -> None:
        self.weights.setflags(write=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneColumns:
    """What a reading lacks, because it has made room for newer columns."""

    kind: Kept
    tokens: int  # of how many tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingToken:
    """The selected token, where an attention matrix has no row for it."""

    text: str
    position: int
    dropped: bool  # it has left the window; else the model has not read it yet
    beyond: bool = False  # rollout does not reach it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionView:
    """The attention panel's state. Rows and columns are the tokens of the window."""

    reading: AttentionReading  # the newest
    whole: AttentionReading | None  # the newest of the whole window
    tokens: tuple[str, ...]  # one per row, for the axes
    positions: IntArray  # where in the text each row's token stands, (rows,)
    selected: int | None  # the row of the selected token
    missing: MissingToken | None = None  # the selected token, if it has no row


@dataclass(frozen=True, slots=True)
class LinkView:
    """A token that is looked at."""

    position: int  # in the text
    text: str
    share: float  # of what one token looks at; of the rest where the first token is hidden


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowView:
    """Where one token looks: the selected one, or the last that the model has read."""

    look: Look
    position: int  # of the token that looks, in the text
    text: str
    selected: bool  # whether it is the selected token
    positions: IntArray  # of what it can look at, (keys,)
    tokens: tuple[str, ...] = field(repr=False)  # the same, (keys,)
    weights: FloatArray = field(repr=False)  # (keys,) shares; NaN: hidden
    heads: FloatArray = field(repr=False)  # (layers, heads, keys), the first token at 0 where it is hidden
    links: tuple[LinkView, ...] = field(repr=False)  # the strongest, largest first

    @property
    def largest(self) -> float:
        """The share of the strongest link; 0 where there is none."""
        return self.links[0].share if self.links else 0.0


def row_view(
    reading: RowReading, look: Look, positions: IntArray, texts: Sequence[str], selected: int
) -> RowView | None:
    """One token's row as `look` has it; None where that was not read.

    `positions` in the text of the window's tokens, (query + 1 or more,); `texts` of all of it; `selected`: a position.
    """
    seen = positions[: reading.query + 1]
    row = _row_of(reading, look)
    if seen.size <= reading.query or row is None:
        return None
    heads = without_first(reading.weights) if look.hide_first else reading.weights
    row = without_first(row) if look.hide_first else row.copy()
    links = tuple(
        LinkView(int(seen[link.key]), texts[int(seen[link.key])], link.weight)
        for link in strongest_links(row[None, None], LISTED_LINKS)
        if not (look.hide_first and link.key == 0)
    )
    if look.hide_first:
        row[0] = np.nan
    position = int(seen[reading.query])
    return RowView(
        look=look,
        position=position,
        text=texts[position],
        selected=position == selected,
        positions=seen,
        tokens=tuple(texts[int(at)] for at in seen),
        weights=row,
        heads=heads,
        links=links,
    )


def _row_of(reading: RowReading, look: Look) -> FloatArray | None:
    if look.layer is None:
        return reading.flow
    if look.head is None:
        mean: FloatArray = reading.weights[look.layer].mean(axis=0)
        return mean
    found: FloatArray = reading.weights[look.layer, look.head]
    return found
