"""One decision as a record: what the stages left, which token came of it, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canopy_desktop.decoding.pipeline import Choice, Distribution
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck
from canopy_desktop.exploration.records import Candidate, ChosenBy, EndFigures, Guarding, Slot, StageSummary, StepRecord

LISTED = 50  # candidates that a record keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the tree and in the text a decision stands; see `StepRecord`."""

    run_id: int
    node: int
    parent: int
    position: int
    index: int
    source: Slot
    logprob_before: float  # of the generated text before this token


def step_record(
    place: Place,
    found: Distribution,
    choice: Choice,
    settings: DecodingSettings,
    check: ContinuationCheck,
    guarding: Guarding | None,
    *,
    chosen_by: ChosenBy,
    end_ids: Sequence[int],
    ms: float,
) -> StepRecord:
    """The record of a token that was chosen from `found`, `ms` after the one before."""
    chosen = candidate(found, choice.token_id)
    return StepRecord(
        run_id=place.run_id,
        node=place.node,
        parent=place.parent,
        position=place.position,
        index=place.index,
        chosen=chosen,
        rank=found.rank(choice.token_id),
        rank_after=found.rank_after(choice.token_id),
        chosen_by=chosen_by,
        candidates=tuple(candidate(found, int(token_id)) for token_id in found.top(LISTED)),
        vocabulary=found.logits.size,
        kept=found.kept,
        stages=tuple(
            StageSummary(stage.name, stage.kept, stage.removed, stage.changed, stage.active) for stage in found.stages
        ),
        entropy_bits=found.entropy_bits(),
        end=end_figures(found, end_ids),
        uniform=choice.uniform,
        low=choice.low,
        high=choice.high,
        total_logprob=place.logprob_before + chosen.raw_logprob,
        check=check,
        guarding=guarding,
        settings=settings,
        source=place.source,
        ms=ms,
    )


def candidate(found: Distribution, token_id: int) -> Candidate:
    """One token's figures in a distribution."""
    return Candidate(
        token_id, float(found.logits[token_id]), found.raw_logprob(token_id), float(found.probabilities[token_id])
    )


def end_figures(found: Distribution, end_ids: Sequence[int]) -> EndFigures | None:
    """How near the text is to its end; None for a model without end tokens."""
    if not end_ids:
        return None
    ranks = [rank for token_id in end_ids if (rank := found.rank_after(token_id)) is not None]
    return EndFigures(
        probability=found.raw_probability(end_ids),
        rank=min(found.rank(token_id) for token_id in end_ids),
        probability_after=float(found.probabilities[list(end_ids)].sum()),
        rank_after=min(ranks, default=None),
    )
