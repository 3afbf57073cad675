"""What is shown of the inside of one step: the open block's numbers, the tokens looked at, all blocks, the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Protocol

import numpy as np

from canopy_desktop.arrays import FloatArray, IntArray
from canopy_desktop.exploration.lens import read_rows
from canopy_desktop.model.tokenizer import Token, Tokenizer

if TYPE_CHECKING:  # ONNX comes with it, and the window shall not wait for that
    from canopy_desktop.exploration.inside import InsideStep, Part

ROWS = 32  # tokens looked at that are shown one by one, at most
OUTCOMES = 12  # likeliest next tokens that are shown one by one, at most


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InsideWish:
    """A token of a text, in a layer and head."""

    slots: IntArray = field(repr=False)  # the window's columns, (length,)
    positions: IntArray = field(repr=False)  # where in the text their tokens stand, (length,)
    ids: tuple[int, ...] = field(repr=False)  # of the window's tokens, (length,)
    place: int  # of the token, in the window
    next_id: int | None  # that came after it, if any did
    layer: int
    head: int

    def same_as(self, other: InsideWish | None) -> bool:
        """Whether the answer is the same; tokens that came later change only how many there are."""
        return (
            other is not None
            and (self.place, self.layer, self.head) == (other.place, other.layer, other.head)
            and self.next_id == other.next_id
            and np.array_equal(self.slots, other.slots)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyRow:
    """A token that can be looked at. Arrays are read-only."""

    place: int  # in the window
    position: int  # in the text
    token: Token
    product: float  # query · key
    scaled: float
    masked: float
    weight: float
    key: FloatArray = field(repr=False)  # (head_size,), before rotation
    key_rotated: FloatArray = field(repr=False)
    value: FloatArray = field(repr=False)
    weighted: FloatArray = field(repr=False)
    stream: FloatArray | None = field(repr=False)  # (hidden,) before the block; None where it is no longer kept

    def __post_init__(self) -> None:
        _freeze(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """What a whole block adds, and what the model's end would make of the stream after it (the lens)."""

    layer: int
    part: Part
    token: Token  # the likeliest
    probability: float
    rank: int  # of the token that came next, or of the likeliest at the end


@dataclass(frozen=True, slots=True)
class Outcome:
    """A next token."""

    token: Token
    logit: float
    probability: float  # raw: no setting is applied


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InsideView:
    """The inside panel's state."""

    wish: InsideWish = field(repr=False)
    step: InsideStep
    token: Token
    tokens: tuple[str, ...] = field(repr=False)  # of the window, (length,)
    chosen: Token  # that came next, or the likeliest
    came: bool  # whether it came
    rows: tuple[KeyRow, ...] = field(repr=False)  # the token itself, then those it looks at most
    layers: tuple[LayerRow, ...] = field(repr=False)
    heads: tuple[Part, ...] = field(repr=False)  # what each head of the open block adds
    output_bias: Part | None  # what attention adds beside them
    attention: Part  # what all of that adds together
    feed_forward: Part
    outcomes: tuple[Outcome, ...] = field(repr=False)  # likeliest first
    vocabulary: int
    head_size: int

    @property
    def position(self) -> int:
        """The token's place in the text."""
        return int(self.wish.positions[self.wish.place])

    @property
    def embedding(self) -> FloatArray:
        """What the token alone gives, before anything is added for its place, (hidden,)."""
        found: FloatArray = self.step.stream[0] if self.step.token_row is None else self.step.token_row
        return found

    @property
    def seen(self) -> int:
        """Tokens up to its own."""
        return self.wish.place + 1

    @property
    def before_window(self) -> int:
        """Tokens that come too long before it for this layer to see."""
        return self.step.how.first_seen(self.wish.place)

    @property
    def later(self) -> int:
        """Tokens of the window that come after it, which the mask hides."""
        return len(self.wish.slots) - self.seen


class StepReader(Protocol):
    """What a look needs of `InsideReader`."""

    def step(self, slots: IntArray, position: int, layer: int, head: int, token_id: int) -> InsideStep:
        """One token in one layer and head."""

    def likeliest(self, slots: IntArray, position: int) -> int:
        """The likeliest token after a position."""

    def lens(self, stream: FloatArray) -> FloatArray:
        """What the model's end makes of a token's residuals."""

    def streams(self, slots: IntArray, layer: int) -> FloatArray | None:
        """The residuals before a layer."""

    def turned_back(self, vectors: FloatArray, layer: int, positions: IntArray) -> FloatArray:
        """Queries or keys before the rotation."""


class InsideLooker:
    """Makes views. What depends on the token alone is computed once for it. For the thread that owns the decoder."""

    def __init__(self, reader: StepReader, tokenizer: Tokenizer) -> None:
        self._reader = reader
        self._tokenizer = tokenizer
        self._ends: tuple[tuple[IntArray, int | None], tuple[_End, ...], tuple[Outcome, ...]] | None = None

    def look(self, wish: InsideWish) -> InsideView:
        """Compute what was wished. Raises what `InsideReader.step` raises."""
        reader, token_of = self._reader, self._tokenizer.token
        next_id = wish.next_id
        chosen = reader.likeliest(wish.slots, wish.place) if next_id is None else next_id
        step = reader.step(wish.slots, wish.place, wish.layer, wish.head, chosen)
        ends, outcomes = self._ends_of(wish, step, chosen)
        layers = tuple(
            LayerRow(layer=layer, part=part, token=token_of(end.token_id), probability=end.probability, rank=end.rank)
            for layer, (part, end) in enumerate(zip(step.blocks(), ends[1:], strict=True))
        )
        return InsideView(
            wish=wish,
            step=step,
            token=token_of(wish.ids[wish.place]),
            tokens=tuple(token_of(token_id).text for token_id in wish.ids),
            chosen=token_of(chosen),
            came=next_id is not None,
            rows=self._rows(wish, step),
            layers=layers,
            heads=tuple(step.part(output, step.before) for output in step.head_outputs),
            output_bias=None if step.output_bias is None else step.part(step.output_bias, step.before),
            attention=step.part(step.attention, step.before),
            feed_forward=step.part(step.feed_forward, step.middle),
            outcomes=outcomes,
            vocabulary=self._tokenizer.vocabulary_size,
            head_size=step.query.size,
        )

    def _rows(self, wish: InsideWish, step: InsideStep) -> tuple[KeyRow, ...]:
        places = strongest_first(step.weights, wish.place, ROWS)
        plain = self._reader.turned_back(step.keys[places], step.layer, places)
        streams = self._reader.streams(wish.slots[places], wish.layer)
        return tuple(
            KeyRow(
                place=int(place), position=int(wish.positions[place]), token=self._tokenizer.token(wish.ids[place]),
                product=float(step.products[place]), scaled=float(step.scaled[place]),
                masked=float(step.masked[place]), weight=float(step.weights[place]),
                key=plain[row], key_rotated=step.keys[place], value=step.values[place], weighted=step.weighted[place],
                stream=None if streams is None else streams[row],
            )
            for row, place in enumerate(places)
        )  # fmt: skip

    def _ends_of(self, wish: InsideWish, step: InsideStep, chosen: int) -> tuple[tuple[_End, ...], tuple[Outcome, ...]]:
        known = self._ends
        if known is not None and known[0][1] == chosen and np.array_equal(known[0][0], wish.slots[: wish.place + 1]):
            return known[1:]
        logits = self._reader.lens(step.stream)
        outcomes = outcomes_of(logits[-1], self._tokenizer)
        ids, probabilities, ranks = read_rows(logits, np.full(len(logits), chosen, np.int64))
        ends = tuple(
            _End(int(token_id), float(probability), int(rank))
            for token_id, probability, rank in zip(ids, probabilities, ranks, strict=True)
        )
        self._ends = (wish.slots[: wish.place + 1].copy(), chosen), ends, outcomes
        return ends, outcomes


@dataclass(frozen=True, slots=True)
class _End:
    token_id: int
    probability: float
    rank: int


def strongest_first(weights: FloatArray, place: int, count: int) -> IntArray:
    """Places of the token itself and of those that it looks at most, largest weight first: at most `count`.

    `weights` (keys,); of equal ones the nearer comes first.
    """
    others = np.arange(place)
    order = np.lexsort((-others, -weights[:place]))
    return np.concatenate([np.array([place], np.int64), others[order][: count - 1]])


def outcomes_of(logits: FloatArray, tokenizer: Tokenizer) -> tuple[Outcome, ...]:
    """The likeliest tokens of (vocabulary,) logits; of equal ones the lower id comes first, as everywhere."""
    best = np.argsort(-logits, kind="stable")[:OUTCOMES]
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    probabilities = shifted / shifted.sum()
    return tuple(Outcome(tokenizer.token(int(i)), float(logits[i]), float(probabilities[i])) for i in best)


def rest_of(outcomes: Sequence[Outcome]) -> float:
    """The probability of all tokens that are not listed."""
    return max(0.0, 1.0 - sum(one.probability for one in outcomes))


def _freeze(row: KeyRow) -> None:
    for entry in fields(row):
        value = getattr(row, entry.name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
