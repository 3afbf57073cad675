"""A look that a person forbids, and what comes of it: the likeliest next tokens before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from canopy_desktop.exploration.attention_view import Look
from canopy_desktop.exploration.intervention import Block, BlockedStep
from canopy_desktop.model.tokenizer import Token, Tokenizer

BARS = 5  # likeliest tokens of each side


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWish:
    """One token is to be forbidden to look at another; or all tokens after that other, up to the one, are."""

    query: int  # positions in the text
    key: int
    column: bool  # all of them
    layer: int | None  # None: all
    head: int | None  # None: all

    @property
    def possible(self) -> bool:
        """Whether every token that it concerns keeps something to see."""
        return self.key < self.query or (self.key == self.query and not self.column and self.key > 0)

    def block(self, places: Sequence[int]) -> Block | None:
        """The same in places of the window; None where a token is not in it.

        `places`: the positions in the text of the window's tokens.
        """
        if not self.possible or self.query not in places or self.key not in places:
            return None
        query, key = places.index(self.query), places.index(self.key)
        queries = tuple(range(key + 1, query + 1)) if self.column else (query,)
        return Block(queries, (key,), self.layer, self.head)


def scopes(look: Look) -> tuple[tuple[int | None, int | None], ...]:
    """Layers and heads in which a look can be forbidden, the narrowest first: (layer, head), None for all."""
    found: list[tuple[int | None, int | None]] = [(None, None)]
    if look.layer is not None:
        found.insert(0, (look.layer, None))
        if look.head is not None:
            found.insert(0, (look.layer, look.head))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class ShiftBar:
    """What became of one token."""

    token: Token
    before: float  # probabilities
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedView:
    """The likeliest next tokens without and with a block."""

    wish: BlockWish
    bars: tuple[ShiftBar, ...] = field(repr=False)  # those first that are, or were, the likeliest
    divergence_bits: float
    floor_bits: float  # as far as rounding alone moves it

    @property
    def beyond_rounding(self) -> bool:
        """Whether the effect says anything."""
        return self.divergence_bits > self.floor_bits


def blocked_view(wish: BlockWish, step: BlockedStep, tokenizer: Tokenizer) -> BlockedView:
    """The `BARS` likeliest tokens of both sides."""
    ids = dict.fromkeys(int(token_id) for side in (step.before, step.after) for token_id in side.top(BARS))
    bars = [
        ShiftBar(tokenizer.token(token_id), float(np.exp(shift.before)), float(np.exp(shift.after)))
        for token_id in ids
        for shift in (step.shift(token_id),)
    ]
    bars.sort(key=lambda bar: -max(bar.before, bar.after))
    return BlockedView(wish=wish, bars=tuple(bars), divergence_bits=step.divergence_bits, floor_bits=step.floor_bits)
