"""One step as the nine stages that a person follows, each as its numbers: from the text that goes in to going on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck
from canopy_desktop.exploration.decision_view import DistributionView, TokenOf
from canopy_desktop.exploration.records import ChosenBy, StepRecord
from canopy_desktop.model.card import Architecture
from canopy_desktop.model.tokenizer import Token

NAMED = 6  # tokens of a prompt that are named

_CUTS = (StageName.TOP_K, StageName.TOP_P, StageName.MIN_P, StageName.TYPICAL_P)


class StepStage(Enum):
    """The stages of a step, in their order."""

    TOKENISE = "tokenise"
    EMBED = "embed"
    LAYERS = "layers"
    LOGITS = "logits"
    PENALTIES = "penalties"
    TEMPERATURE = "temperature"
    CUT = "cut"
    DRAW = "draw"
    CONTINUE = "continue"


FIRST, LAST = StepStage.TOKENISE, StepStage.CONTINUE
_ORDER = tuple(StepStage)


def neighbour(stage: StepStage, steps: int) -> StepStage | None:
    """The stage so many places after `stage`, before it where negative; None beyond both ends."""
    place = _ORDER.index(stage) + steps
    return _ORDER[place] if 0 <= place < len(_ORDER) else None


@dataclass(frozen=True, slots=True)
class Tokenised:
    """What goes in: the whole prompt before the first step, and before every other one the newest token."""

    count: int
    first: tuple[Token, ...]  # at most `NAMED`
    prompt: bool


@dataclass(frozen=True, slots=True)
class Embedded:
    """Each token that goes in becomes `hidden` numbers; None: the model's own graph keeps to itself how many."""

    count: int
    last: Token
    hidden: int | None


@dataclass(frozen=True, slots=True)
class Passed:
    """The way through the blocks."""

    layers: int
    heads: int  # in each of them
    seen: int  # tokens at which the last one may look, itself included


@dataclass(frozen=True, slots=True)
class Scored:
    """A score for every token of the vocabulary."""

    vocabulary: int
    highest: Token
    logit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalised:
    """What was done to scores before the temperature: penalties, boosts, bans and the minimum of tokens."""

    penalties: bool  # whether any is set
    moved: int  # tokens whose score a penalty moved
    most: tuple[Token, float] | None  # of the tokens that a record lists, the one that was moved most, and by how much
    boosted: int
    banned: int
    ends_barred: int  # end tokens that cannot come yet


@dataclass(frozen=True, slots=True)
class Heated:
    """What the temperature did to the likeliest token; None where that was not read."""

    temperature: float  # 0: greedy, nothing is divided
    likeliest: Token | None = None
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """One rule that keeps the likeliest tokens."""

    name: StageName
    value: float
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What was cut off."""

    cuts: tuple[Cut, ...]  # those that the settings ask for
    kept: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The token, and its stretch of the strip from 0 to 1."""

    token: Token
    chosen_by: ChosenBy
    uniform: float | None  # None: nothing was drawn
    low: float
    high: float
    rejected: int  # tokens that the output filter sent back before


@dataclass(frozen=True, slots=True)
class Continued:
    """Whether another token follows."""

    check: ContinuationCheck


StageFacts: TypeAlias = Tokenised | Embedded | Passed | Scored | Penalised | Heated | Trimmed | Drawn | Continued


@dataclass(frozen=True, slots=True)
class StepStages:
    """A step with the facts of its stages, one for each of `StepStage`, in that order."""

    node: int
    index: int  # the step's number, from 1
    facts: tuple[StageFacts, ...]

    def of(self, stage: StepStage) -> StageFacts:
        """What happened at a stage."""
        return self.facts[_ORDER.index(stage)]


def stages_of(
    step: StepRecord,
    tokens: Sequence[Token],
    distribution: DistributionView | None,
    architecture: Architecture,
    token_of: TokenOf,
) -> StepStages:
    """The stages of a step, of a text of `tokens` that has it.

    `distribution` is what was read of a decision; one of another step, or with other settings than the step's, is left
    out.
    """
    before, prompt = tokens[: step.position], step.position - step.index + 1
    fed = before if step.index == 1 else before[-1:]
    highest = step.candidates[0]
    return StepStages(
        step.node,
        step.index,
        (
            Tokenised(len(fed), tuple(fed[:NAMED]), step.index == 1),
            Embedded(len(fed), fed[-1], architecture.hidden if architecture.residuals else None),
            Passed(architecture.layers, architecture.heads, step.check.window_used - 1),
            Scored(step.vocabulary, token_of(highest.token_id), highest.logit),
            _penalised(step, [token.id for token in before], prompt, token_of),
            _heated(step, distribution),
            _trimmed(step),
            Drawn(
                token_of(step.chosen.token_id),
                step.chosen_by,
                step.uniform,
                step.low,
                step.high,
                len(step.guarding.rejected) if step.guarding else 0,
            ),
            Continued(step.check),
        ),
    )


def penalty(logit: float, token_id: int, repeated: set[int], counts: Counter[int], settings: DecodingSettings) -> float:
    """By how much the penalties of `pipeline` move a token's score.

    `repeated` are the ids of prompt and generated tokens, `counts` how often each was generated.
    """
    score = logit
    if token_id in repeated:
        score = logit * settings.repetition_penalty if logit < 0 else logit / settings.repetition_penalty
    if counts[token_id]:
        score -= settings.frequency_penalty * counts[token_id] + settings.presence_penalty
    return score - logit


def _penalised(step: StepRecord, ids: Sequence[int], prompt: int, token_of: TokenOf) -> Penalised:
    settings, changed, removed = step.settings, _changed(step), _removed(step)
    repeated, counts = set(ids), Counter(ids[prompt:])
    moves = [
        (token_of(one.token_id), penalty(one.logit, one.token_id, repeated, counts, settings))
        for one in step.candidates
    ]
    most = max(moves, key=lambda move: abs(move[1]))
    return Penalised(
        penalties=any((settings.repetition_penalty != 1.0, settings.presence_penalty, settings.frequency_penalty)),
        moved=changed[StageName.PENALTIES],
        most=most if most[1] else None,
        boosted=changed[StageName.BIAS],
        banned=removed[StageName.BIAS],
        ends_barred=removed[StageName.MIN_TOKENS],
    )


def _heated(step: StepRecord, distribution: DistributionView | None) -> Heated:
    temperature = step.settings.temperature
    if distribution is None or distribution.position != step.position or distribution.used != distribution.settings:
        return Heated(temperature)
    stages = [column.stage for column in distribution.columns]
    if StageName.TEMPERATURE not in stages:
        return Heated(temperature)
    place = stages.index(StageName.TEMPERATURE)
    likeliest = max(distribution.bars, key=lambda bar: bar.probabilities[place])
    return Heated(temperature, likeliest.token, likeliest.probabilities[place - 1], likeliest.probabilities[place])


def _trimmed(step: StepRecord) -> Trimmed:
    settings = step.settings
    values = dict(zip(_CUTS, (settings.top_k, settings.top_p, settings.min_p, settings.typical_p), strict=True))
    cuts = tuple(
        Cut(stage.name, values[stage.name], stage.kept, stage.removed)
        for stage in step.stages
        if stage.active and stage.name in values
    )
    return Trimmed(cuts, step.kept, step.vocabulary)


def _changed(step: StepRecord) -> Counter[StageName]:
    return Counter({stage.name: stage.changed for stage in step.stages})


def _removed(step: StepRecord) -> Counter[StageName]:
    return Counter({stage.name: stage.removed for stage in step.stages})
