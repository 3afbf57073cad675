"""How a token is decided, stage by stage, for the tokens that somebody looks at; also with settings not used.

A past step's logits come from its kept residual, so nothing is run again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from canopy_desktop.arrays import DoubleArray, FloatArray
from canopy_desktop.decoding.pipeline import (
    KEPT,
    NATS_TO_BITS,
    Choice,
    Distribution,
    History,
    StageName,
    choose,
    pipeline,
    rest,
    top_ids,
)
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.records import Slot


@dataclass(frozen=True, slots=True)
class DecidedToken:
    """One token on its way through the stages."""

    token_id: int
    logit: float
    raw_logprob: float  # natural logarithm
    rank: int  # among the raw logits, from 1
    probabilities: tuple[float, ...]  # after each stage, in the order of `StageName`; 0 once it is removed
    removed_by: StageName | None


@dataclass(frozen=True, slots=True)
class DecidedStage:
    """What a stage left, and how much of it is not among the listed tokens."""

    name: StageName
    active: bool
    kept: int
    removed: int
    changed: int
    rest_tokens: int  # kept, not listed
    rest_probability: float  # theirs together, after this stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What settings make of the logits after a column, and the token that they would take."""

    slot: Slot
    position: int  # of the token that is decided
    settings: DecodingSettings
    tokens: tuple[DecidedToken, ...]  # highest raw logit first
    stages: tuple[DecidedStage, ...]
    choice: Choice
    vocabulary: int
    kept: int
    entropy_bits: float  # raw
    entropy_after_bits: float  # after all stages


def decide(
    logits: FloatArray,
    settings: DecodingSettings,
    history: History,
    *,
    slot: Slot,
    position: int,
    shown: int,
    also: Iterable[int] = (),
) -> Decision:
    """The whole way from (vocabulary,) logits to a token.

    Listed are the `shown` likeliest before and after all stages, the token that is taken, and `also`. Raises what
    `pipeline` raises.
    """
    found = pipeline(logits, settings, history)
    choice = choose(found, settings, position)
    highest = found.top(shown).tolist()
    ids = sorted({choice.token_id, *also, *highest, *_likeliest(found, shown)}, key=lambda i: (-logits[i], i))
    ranks = {token_id: place for place, token_id in enumerate(highest, 1)}
    after = np.stack([found.probability_after(stage, ids) for stage in range(len(found.stages))])  # (stage, token)
    return Decision(
        slot=slot,
        position=position,
        settings=settings,
        tokens=tuple(
            DecidedToken(
                token_id,
                float(logits[token_id]),
                found.raw_logprob(token_id),
                ranks.get(token_id) or found.rank(token_id),
                tuple(after[:, place].tolist()),
                _removed_by(found, token_id),
            )
            for place, token_id in enumerate(ids)
        ),
        stages=tuple(_stages(found, ids, after)),
        choice=choice,
        vocabulary=logits.size,
        kept=found.kept,
        entropy_bits=found.entropy_bits(),
        entropy_after_bits=_entropy_bits(found.probabilities),
    )


def _likeliest(found: Distribution, count: int) -> list[int]:
    """Ids of the most probable tokens after all stages, of those that are left."""
    left = np.flatnonzero(found.removed_by == KEPT)
    ids: list[int] = left[top_ids(found.stages[-1].scores[left], count)].tolist()
    return ids


def _stages(found: Distribution, ids: list[int], after: DoubleArray) -> Iterable[DecidedStage]:
    removed_by = found.removed_by[ids]
    for place, stage in enumerate(found.stages):
        rest_tokens = stage.kept - int(np.count_nonzero(removed_by > place))
        yield DecidedStage(
            stage.name,
            stage.active,
            stage.kept,
            stage.removed,
            stage.changed,
            rest_tokens,
            rest(after[place].tolist(), rest_tokens),
        )


def _removed_by(found: Distribution, token_id: int) -> StageName | None:
    place = int(found.removed_by[token_id])
    return None if place == KEPT else found.stages[place].name


def _entropy_bits(probabilities: DoubleArray) -> float:
    possible = probabilities[probabilities > 0.0]
    return max(0.0, -float(possible @ np.log(possible))) * NATS_TO_BITS
