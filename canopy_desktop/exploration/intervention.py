"""Blocking: forbid tokens to look at others, and see what the model says then.

Minus infinity is added to a score before the softmax, so a blocked cell is exactly 0, and what a query still sees is
rescaled to one: the operator always renormalises. Without renormalising, for one head, see `inside.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from canopy_desktop.arrays import AnyArray, DoubleArray, FloatArray
from canopy_desktop.decoding.pipeline import NATS_TO_BITS, Distribution, pipeline, top_ids
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.attention import softmax, unseen
from canopy_desktop.model.card import Architecture, LayerAttention
from canopy_desktop.model.rope import turned

if TYPE_CHECKING:
    from canopy_desktop.exploration.trial import Trial
    from canopy_desktop.model.decoder import AttentionBias

LISTED = 10  # tokens whose change is listed, unless told otherwise


@dataclass(frozen=True, slots=True)
class Block:
    """Every query position of `queries` is forbidden to see every key position of `keys`."""

    queries: tuple[int, ...]
    keys: tuple[int, ...]
    layer: int | None = None  # None: all
    head: int | None = None  # None: all

    def concerns(self, layer: int) -> bool:
        """Whether it changes anything in a layer."""
        return self.layer is None or self.layer == layer


class Blocks:
    """Several blocks at once, as the bias of a pass (`decoder.AttentionBias`)."""

    def __init__(self, blocks: Sequence[Block], architecture: Architecture) -> None:
        """Raises `UsageError` for a layer, head or position that there is not, and where a query would see nothing."""
        self.blocks = tuple(blocks)
        self._heads = architecture.heads
        self._made: tuple[tuple[int, int], dict[tuple[Block, ...], FloatArray]] = ((0, 0), {})
        _check(self.blocks, architecture)

    @property
    def first(self) -> int:
        """The first position that sees less than before."""
        return min(query for block in self.blocks for query in block.queries)

    def of_layer(self, layer: int, first: int, new: int) -> FloatArray | None:
        """(1, 1 or heads, new, first + new) for the queries first … first + new - 1; None adds nothing.

        Layers with the same blocks are given the same array: with heads of their own it can be large.
        """
        span = range(first, first + new)
        here = tuple(
            block for block in self.blocks if block.concerns(layer) and any(query in span for query in block.queries)
        )
        if not here:
            return None
        if self._made[0] != (first, new):
            self._made = ((first, new), {})
        made = self._made[1]
        if here not in made:
            made[here] = self._bias(here, first, new)
        return made[here]

    def _bias(self, blocks: Sequence[Block], first: int, new: int) -> FloatArray:
        alike = all(block.head is None for block in blocks)
        bias = np.zeros((1, 1 if alike else self._heads, new, first + new), np.float32)
        for block in blocks:
            heads = slice(None) if block.head is None else slice(block.head, block.head + 1)
            rows = [query - first for query in block.queries if first <= query < first + new]
            keys = [key for key in block.keys if key < first + new]
            for row in rows:
                bias[0, heads, row, keys] = -np.inf
        return bias


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What a change did to one token's probability."""

    token_id: int
    before: float  # natural logarithms, raw
    after: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockedStep:
    """The next token's distribution without and with blocks, both runs in the same chunks.

    `floor_bits` and `floor_logit` say how far rounding alone moves this distribution: the divergence and the largest
    logit difference between the run without blocks and the same with its last token as a single step, the way in
    which a generated token is made. An effect of that size says nothing.
    """

    before: Distribution = field(repr=False)
    after: Distribution = field(repr=False)
    divergence_bits: float  # KL(before ‖ after)
    largest_logit_difference: float
    floor_bits: float
    floor_logit: float

    def shifts(self, count: int = LISTED) -> tuple[Shift, ...]:
        """The tokens whose probability changed most, the largest change first."""
        change = self.after.probabilities - self.before.probabilities
        return tuple(self.shift(int(token_id)) for token_id in top_ids(np.abs(change).astype(np.float32), count))

    def shift(self, token_id: int) -> Shift:
        """What became of one token."""
        return Shift(
            token_id=token_id, before=self.before.raw_logprob(token_id), after=self.after.raw_logprob(token_id)
        )


def blocked_step(trial: Trial, ids: Sequence[int], blocks: Sequence[Block]) -> BlockedStep:
    """What the model says after `ids` without and with blocks.

    Raises `UsageError` for blocks that cannot be, `InterruptedStepError` or `ProviderError`.
    """
    bias = Blocks(blocks, trial.decoder.architecture)
    check_positions(bias.blocks, len(ids))
    plain = trial.logits(ids)
    single = trial.last_alone(ids)
    blocked = trial.logits(ids, bias=bias, first=bias.first)
    before, after, alone = (pipeline(logits, DecodingSettings()) for logits in (plain, blocked, single))
    return BlockedStep(
        before=before,
        after=after,
        divergence_bits=divergence_bits(before, after),
        largest_logit_difference=float(np.abs(plain - blocked).max()),
        floor_bits=divergence_bits(before, alone),
        floor_logit=float(np.abs(plain - single).max()),
    )


def blocked_head(
    trial: Trial,
    ids: Sequence[int],
    bias: AttentionBias | None,
    layer: int,
    head: int,
    *,
    queries: Sequence[int] | None = None,
) -> FloatArray:
    """One head's attention in a run with blocks (None: without), (queries, keys); `queries` None are all.

    Row by row: a bias of all rows and heads at once can be larger than the model.
    """
    a = trial.decoder.architecture
    vectors, keys = trial.head_vectors(ids, layer, head, bias)
    placed = turned(vectors, a, layer, slice(len(ids)))
    wanted = range(len(ids)) if queries is None else queries
    found = np.zeros((len(wanted), len(ids)), np.float32)
    for row, query in enumerate(wanted):
        added = head_bias(bias, layer, head, query)
        seen = slice(query + 1)
        found[row, seen] = blocked_attention(placed[query : query + 1], keys[seen], added, query, a.attention(layer))[0]
    return found


def head_bias(bias: AttentionBias | None, layer: int, head: int, query: int) -> FloatArray | None:
    """What is added to one query's scores in one head, (1, query + 1); None adds nothing."""
    given = None if bias is None else bias.of_layer(layer, query, 1)
    if given is None:
        return None
    found: FloatArray = given[0, head if given.shape[1] > 1 else 0]
    return found


def blocked_attention(
    queries: FloatArray, keys: FloatArray, bias: FloatArray | None, first: int, how: LayerAttention
) -> FloatArray:
    """Probabilities of query rows over all keys with a bias added to the scaled scores: (rows, keys).

    `queries` (rows, head_size) rotated, the first at position `first`; `keys` (keys, head_size) rotated; `bias` (rows,
    keys), None for none. Exactly 0 where the bias is minus infinity and where a key is not seen.
    """
    scores = queries @ keys.T
    scores *= np.float32(how.scale)
    if bias is not None:
        scores += bias
    np.putmask(scores, unseen(how, first, *scores.shape), -np.inf)
    return softmax(scores)


def divergence_bits(before: Distribution, after: Distribution) -> float:
    """KL(before ‖ after) of the raw distributions, in bits (Kullback and Leibler 1951)."""
    exact = before.logits.astype(np.float64) - before.log_sum_exp
    other = after.logits.astype(np.float64) - after.log_sum_exp
    probabilities: DoubleArray = np.exp(exact)
    possible = probabilities > 0
    return max(0.0, float((probabilities[possible] * (exact - other)[possible]).sum())) * NATS_TO_BITS


def check_positions(blocks: Sequence[Block], length: int) -> None:
    """Raise `UsageError` unless all positions lie in a text of `length` tokens."""
    for block in blocks:
        for name, positions in (("Query", block.queries), ("Key", block.keys)):
            outside = [position for position in positions if position >= length]
            if outside:
                raise UsageError(f"{name} positions must be 0 to {length - 1}, not {outside[0]}.")


def _check(blocks: Sequence[Block], a: Architecture) -> None:
    if not blocks:
        raise UsageError("Nothing is blocked: name at least one query and one key.")
    for block in blocks:
        _check_numbers(block, a)
        if min(block.keys) > max(block.queries):
            raise UsageError(
                f"Token {max(block.queries)} never sees token {min(block.keys)}: a token sees only itself and what "
                "stands before it."
            )
    # blocks of all layers or heads meet those of one: asking at every pair that is named, and at one other, is enough
    for layer in {block.layer for block in blocks}:
        for head in {block.head for block in blocks}:
            _check_something_is_seen(blocks, a, layer, head)


def _check_numbers(block: Block, a: Architecture) -> None:
    if not block.queries or not block.keys:
        raise UsageError("A block needs at least one query and one key.")
    if min(block.queries + block.keys) < 0:
        raise UsageError(f"Positions count from 0, so {min(block.queries + block.keys)} is none.")
    for name, number, count in (("Layer", block.layer, a.layers), ("Head", block.head, a.heads)):
        if number is not None and not 0 <= number < count:
            raise UsageError(f"{name} must be 0 to {count - 1}, not {number}.")


def _check_something_is_seen(blocks: Sequence[Block], a: Architecture, layer: int | None, head: int | None) -> None:
    """In one layer and head (None: one that only blocks of all concern), each query must keep a key it may see."""
    here = [block for block in blocks if block.layer in (None, layer) and block.head in (None, head)]
    most = sum(len(set(block.keys)) for block in here)  # a query with more keys than this keeps one
    layers = range(a.layers) if layer is None else (layer,)
    nearest = min((a.attention(number) for number in layers), key=lambda how: how.window or math.inf)
    hidden: dict[int, AnyArray] = {}
    for block in here:
        keys = np.array(block.keys, np.int64)
        for query in block.queries:
            if query - nearest.first_seen(query) < most:
                hidden.setdefault(query, np.zeros(query + 1, np.bool_))[keys[keys <= query]] = True
    for query, cells in hidden.items():
        if cells[nearest.first_seen(query) :].all():
            raise UsageError(f"Token {query} would see nothing at all: leave it at least one token up to its own.")
