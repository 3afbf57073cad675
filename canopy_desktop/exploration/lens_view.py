"""What is shown of the lens: the columns in sight, and the whole list of one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from canopy_desktop.arrays import DoubleArray, FloatArray, IntArray
from canopy_desktop.exploration.attention_view import GoneColumns
from canopy_desktop.exploration.records import Slot
from canopy_desktop.model.tokenizer import Token

LISTED = 10  # tokens in the list of a cell


@dataclass(frozen=True, slots=True, eq=False)
class LensColumn:
    """The likeliest token after each layer of one column; row 0 is the embedding. Arrays are read-only."""

    token_ids: IntArray  # (layers + 1,)
    probabilities: FloatArray  # (layers + 1,), of those tokens

    def __post_init__(self) -> None:
        for array in (self.token_ids, self.probabilities):
            array.setflags(write=False)


@dataclass(frozen=True, slots=True)
class LensWish:
    """One cell: the residual of a column after a row's layer, and the token that came next."""

    slot: Slot
    row: int  # 0 is the embedding
    came: int | None


@dataclass(frozen=True, slots=True)
class Likely:
    """A token and what a cell assigns to it."""

    token_id: int
    probability: float
    rank: int  # from 1


@dataclass(frozen=True, slots=True)
class LensCell:
    """The likeliest tokens of a cell, most probable first, and the one that came next, wherever it stands."""

    wish: LensWish
    likeliest: tuple[Likely, ...]
    came: Likely | None
    vocabulary: int  # tokens that share the rest

    @property
    def listed(self) -> tuple[Likely, ...]:
        """The likeliest tokens, and after them the one that came where it is none of them."""
        came = self.came
        return self.likeliest if came is None or came in self.likeliest else (*self.likeliest, came)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LensReadings:
    """What the reader has computed so far."""

    columns: Mapping[Slot, LensColumn] = field(default_factory=dict)
    cell: LensCell | None = None
    gone: GoneColumns | None = None  # why some columns cannot be read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LensView:
    """A column for each token of the window that was read."""

    positions: IntArray  # (columns,) in the text
    read: tuple[Token, ...]  # (columns,)
    came: tuple[Token | None, ...]  # (columns,): the token after each, None where there is none yet
    columns: tuple[LensColumn | None, ...]  # None: not computed yet
    selected: int | None  # the column that the selected token was decided from
    row: int  # selected, 0 is the embedding
    cell: LensCell | None  # the selected one's
    gone: GoneColumns | None


def cell_of(logits: FloatArray, wish: LensWish, count: int = LISTED) -> LensCell:
    """The `count` likeliest tokens of one residual's logits, (vocabulary,); of equal ones the lower id comes first."""
    scores: DoubleArray = logits.astype(np.float64)
    scores -= scores.max()
    weights = np.exp(scores)
    weights /= weights.sum()
    near = np.flatnonzero(scores >= np.partition(scores, -min(count, scores.size))[-min(count, scores.size)])
    order = near[np.argsort(-scores[near], kind="stable")][:count]
    likeliest = tuple(Likely(int(at), float(weights[at]), rank) for rank, at in enumerate(order, 1))
    came = None
    if wish.came is not None:
        higher = np.count_nonzero(scores > scores[wish.came])
        equal = np.count_nonzero(scores[: wish.came] == scores[wish.came])
        came = Likely(wish.came, float(weights[wish.came]), int(higher + equal) + 1)
    return LensCell(wish, likeliest, came, int(scores.size))


def lens_view(
    slots: IntArray, positions: IntArray, tokens: Sequence[Token], selected: int, row: int, readings: LensReadings
) -> LensView:
    """Combine the window's columns, (columns,) each, with what was read of them; `tokens` are the whole text's."""
    came = tuple(tokens[at + 1] if at + 1 < len(tokens) else None for at in positions.tolist())
    places = np.flatnonzero(positions == selected - 1)
    place = int(places[0]) if places.size else None
    cell = readings.cell
    if cell is not None and (place is None or cell.wish != _wish(int(slots[place]), row, came[place])):
        cell = None
    return LensView(
        positions=positions,
        read=tuple(tokens[at] for at in positions.tolist()),
        came=came,
        columns=tuple(readings.columns.get(slot) for slot in slots.tolist()),
        selected=place,
        row=row,
        cell=cell,
        gone=readings.gone,
    )


def wanted_cell(slots: IntArray, positions: IntArray, ids: Sequence[int], selected: int, row: int) -> LensWish | None:
    """The cell of the selected token; None where the column that decided it is not in the window.

    `ids` are the whole text's, the others (columns,).
    """
    places = np.flatnonzero(positions == selected - 1)
    if not places.size:
        return None
    return LensWish(int(slots[places[0]]), row, ids[selected] if selected < len(ids) else None)


def wanted_columns(slots: IntArray, positions: IntArray, selected: int, sight: range) -> IntArray:
    """Columns in sight, (columns,), the one that decided the selected token first, then its neighbours."""
    places = np.flatnonzero((positions >= sight.start) & (positions < sight.stop))
    distance = np.abs(positions[places] - (selected - 1))
    return slots[places[np.argsort(distance, kind="stable")]]


def _wish(slot: Slot, row: int, came: Token | None) -> LensWish:
    return LensWish(slot, row, None if came is None else came.id)
