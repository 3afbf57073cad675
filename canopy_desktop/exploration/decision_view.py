"""What the probability chart shows of one decision: columns from the raw distribution to the last, and the draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from canopy_desktop.decoding.frequencies import Frequencies, Frequency
from canopy_desktop.decoding.pipeline import Choice, History, StageName, rest
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.exploration.decision import DecidedToken, Decision
from canopy_desktop.exploration.records import UNMADE, Candidate, ChosenBy, Slot, StepRecord
from canopy_desktop.exploration.tree import Exploration
from canopy_desktop.model.tokenizer import Token

STRETCHES = 10  # of the strip that are named; the chart never lists fewer tokens

TokenOf = Callable[[int], Token]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionWish:
    """What has to be computed for a decision that somebody looks at."""

    slot: Slot
    position: int
    settings: DecodingSettings
    history: History = field(repr=False)
    shown: int
    also: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawsReading:
    """The tokens of many draws from one distribution, by the number of the draw."""

    slot: Slot
    settings: DecodingSettings
    drawn: tuple[int, ...] = field(repr=False)
    frequencies: Frequencies = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChartColumn:
    """What one stage left, or all of them together."""

    stage: StageName | None  # None: all stages together
    kept: int  # tokens that are left after it
    removed: int  # by it
    changed: int  # tokens whose score it moved
    others: int  # tokens that are not listed
    others_probability: float  # theirs together


@dataclass(frozen=True, slots=True)
class Bar:
    """One token in the probability chart."""

    token: Token
    logit: float
    rank: int  # among the raw logits, from 1
    probabilities: tuple[float, ...]  # one a column; 0 where it is removed
    removed_by: StageName | None
    chosen: bool  # it came
    taken: bool  # these settings take it
    found: bool = False  # somebody looks for it
    drawn: Frequency | None = None  # in many draws
    rejected: bool = False  # it was drawn, and the output filter did not let it through

    @property
    def probability(self) -> float:
        """Raw: what the model assigned, a softmax over the whole vocabulary."""
        return self.probabilities[0]

    @property
    def kept_probability(self) -> float:
        """After all stages; 0 where one removed it."""
        return self.probabilities[-1]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A token's part of the strip that a draw falls on."""

    token: Token
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Strip:
    """The probabilities after all stages side by side, the largest first, and where the draw fell."""

    stretches: tuple[Stretch, ...]  # from 0 on without a gap; what follows is not named
    taken: Stretch
    uniform: float | None  # None: nothing was drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionView:
    """The distribution that the token at `position` was chosen from, or would be with other settings."""

    position: int
    step: int | None  # from 1; None where the prompt gave the token
    bars: tuple[Bar, ...]  # the highest raw logits first
    columns: tuple[ChartColumn, ...]  # the raw one, then each stage that the settings ask for
    parent: int | None  # where another token would branch from; None: not possible here
    settings: DecodingSettings
    used: DecodingSettings | None  # what the step really used; None where the prompt gave the token
    chosen_by: ChosenBy | None
    strip: Strip
    entropy_bits: float  # raw
    entropy_after_bits: float | None  # None: not computed
    draws: Frequencies | None = None

    @property
    def what_if(self) -> bool:
        """Whether these settings could decide otherwise than those that the step used."""
        return self.used is not None and not self.settings.decides_as(self.used)

    @property
    def kept(self) -> int:
        """Tokens that no stage removed."""
        return self.columns[-1].kept


def wanted_decision(
    exploration: Exploration,
    position: int | None,
    settings: DecodingSettings,
    *,
    shown: int,
    end_ids: tuple[int, ...],
    found: int | None = None,
) -> DecisionWish | None:
    """What the token at `position`, None the newest, was chosen from; None where no column is before it."""
    prompt = exploration.prompt.ids
    newest = len(prompt) + exploration.depth(exploration.cursor) - 1
    position = newest if position is None else min(position, newest)
    also = () if found is None else (found,)
    if position >= len(prompt):
        step = exploration.path(exploration.cursor)[position - len(prompt)]
        if step.source == UNMADE:
            return None
        rejected = tuple(one.token_id for one in step.guarding.rejected) if step.guarding else ()
        return DecisionWish(
            slot=step.source,
            position=position,
            settings=settings,
            history=exploration.history(step.parent, end_ids),
            shown=shown,
            also=(step.chosen.token_id, *rejected, *also),
        )
    if not 0 < position <= len(exploration.prompt_slots):
        return None
    return DecisionWish(
        slot=exploration.prompt_slots[position - 1],
        position=position,
        settings=settings,
        history=History(prompt[:position], (), end_ids),
        shown=shown,
        also=(prompt[position], *also),
    )


def view_of_decision(
    decision: Decision,
    came: int,
    token_of: TokenOf,
    *,
    step: StepRecord | None,
    found: int | None = None,
    draws: DrawsReading | None = None,
) -> DistributionView:
    """What the chart shows of a decision; `came` is the token that stands there, `step` None: the prompt gave it."""
    places = [place for place, stage in enumerate(decision.stages) if stage.active or place == 0]
    if draws is not None and (draws.slot, draws.settings) != (decision.slot, decision.settings):
        draws = None
    counts = Counter(draws.drawn) if draws else Counter()
    rejected = _rejected(decision, step)
    strip = _strip_of_decision(decision, step, rejected, token_of)
    bars = tuple(
        Bar(
            token_of(one.token_id),
            one.logit,
            one.rank,
            tuple(one.probabilities[place] for place in places),
            one.removed_by,
            one.token_id == came,
            one.token_id == strip.taken.token.id,
            one.token_id == found,
            Frequency(_chance(decision, one), counts[one.token_id], len(draws.drawn)) if draws else None,
            one.token_id in rejected,
        )
        for one in decision.tokens
    )
    columns = tuple(
        ChartColumn(stage.name, stage.kept, stage.removed, stage.changed, stage.rest_tokens, stage.rest_probability)
        for stage in (decision.stages[place] for place in places)
    )
    return DistributionView(
        position=decision.position,
        step=None if step is None else step.index,
        bars=bars,
        columns=columns,
        parent=None if step is None else step.parent,
        settings=decision.settings,
        used=None if step is None else step.settings,
        chosen_by=None if step is None else step.chosen_by,
        strip=strip,
        entropy_bits=decision.entropy_bits,
        entropy_after_bits=decision.entropy_after_bits,
        draws=draws.frequencies if draws else None,
    )


def view_of_record(step: StepRecord, token_of: TokenOf, *, shown: int) -> DistributionView:
    """What the chart shows of a step before more than its record is known: the raw distribution, and the last stage."""
    listed = list(step.candidates[:shown])
    if all(candidate.token_id != step.chosen.token_id for candidate in listed):
        listed.append(step.chosen)
    staged = any(stage.active and place for place, stage in enumerate(step.stages))
    bars = tuple(
        Bar(
            token_of(candidate.token_id),
            candidate.logit,
            step.rank if candidate.token_id == step.chosen.token_id else rank,
            _probabilities(candidate, staged=staged),
            None,
            candidate.token_id == step.chosen.token_id,
            candidate.token_id == step.chosen.token_id,
        )
        for rank, candidate in enumerate(listed, 1)
    )
    others = step.vocabulary - len(bars)
    raw = ChartColumn(StageName.RAW, step.vocabulary, 0, 0, others, rest((bar.probability for bar in bars), others))
    columns: tuple[ChartColumn, ...] = (raw,)
    if staged:
        others = max(0, step.kept - sum(bar.kept_probability > 0 for bar in bars))
        left = rest((bar.kept_probability for bar in bars), others)
        columns = (raw, ChartColumn(None, step.kept, step.vocabulary - step.kept, 0, others, left))
    taken = Stretch(token_of(step.chosen.token_id), step.low, step.high)
    return DistributionView(
        position=step.position,
        step=step.index,
        bars=bars,
        columns=columns,
        parent=step.parent,
        settings=step.settings,
        used=step.settings,
        chosen_by=step.chosen_by,
        strip=Strip((), taken, step.uniform),
        entropy_bits=step.entropy_bits,
        entropy_after_bits=None,
    )


def _happened(decision: Decision, step: StepRecord | None) -> bool:
    """Whether the token came of what is shown."""
    return step is not None and step.chosen_by is not ChosenBy.PERSON and step.settings.decides_as(decision.settings)


def _rejected(decision: Decision, step: StepRecord | None) -> set[int]:
    if step is None or step.guarding is None or not _happened(decision, step):
        return set()
    return {one.token_id for one in step.guarding.rejected}


def _strip_of_decision(decision: Decision, step: StepRecord | None, rejected: set[int], token_of: TokenOf) -> Strip:
    """What really happened where that is what is shown; tokens that were rejected are not on the strip."""
    choice = decision.choice
    if step is not None and _happened(decision, step):
        choice = Choice(step.chosen.token_id, step.uniform, step.low, step.high)
    last = {one.token_id: one.probabilities[-1] for one in decision.tokens}
    return Strip(
        _stretches(last, rejected, decision.tokens, token_of),
        Stretch(token_of(choice.token_id), choice.low, choice.high),
        choice.uniform,
    )


def _stretches(
    last: Mapping[int, float], rejected: set[int], tokens: Sequence[DecidedToken], token_of: TokenOf
) -> tuple[Stretch, ...]:
    left = 1.0 - sum(last[token_id] for token_id in rejected)
    ranked = sorted((-last[one.token_id], one.token_id) for one in tokens if last[one.token_id] > 0.0)[:STRETCHES]
    stretches, low = [], 0.0
    for negative, token_id in ranked:
        if token_id not in rejected:
            high = min(1.0, low - negative / left)
            stretches.append(Stretch(token_of(token_id), low, high))
            low = high
    return tuple(stretches)


def _chance(decision: Decision, token: DecidedToken) -> float:
    """That a draw gives this token; without chance it is always the same one."""
    if decision.settings.greedy:
        return float(token.token_id == decision.choice.token_id)
    return token.probabilities[-1]


def _probabilities(candidate: Candidate, *, staged: bool) -> tuple[float, ...]:
    raw = float(np.exp(candidate.raw_logprob))
    return (raw, candidate.probability) if staged else (raw,)
