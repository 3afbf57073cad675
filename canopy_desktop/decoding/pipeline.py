"""From logits to a token, stage by stage: exact over the whole vocabulary, pure functions of arrays.

Of equal scores the lower id always comes first: in ranks, in cuts, and on the strip that a draw falls on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from canopy_desktop.arrays import DoubleArray, FloatArray, IntArray
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import NothingLeftError, ProviderError

BINS = 4096  # among which tokens are put by their scores; only one of them is sorted
TINY = 1e-290  # a span of scores that cannot be cut into bins
KEPT = 255  # in `removed_by`: no stage removed the token
NATS_TO_BITS = 1.0 / float(np.log(2.0))

ByteArray: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]


class StageName(Enum):
    """The stages, in their order."""

    RAW = "raw"
    PENALTIES = "penalties"
    BIAS = "bias"
    MIN_TOKENS = "min_tokens"
    TEMPERATURE = "temperature"
    TOP_K = "top_k"
    TOP_P = "top_p"
    MIN_P = "min_p"
    TYPICAL_P = "typical_p"


@dataclass(frozen=True, slots=True)
class History:
    """What stands before the token that is decided; of the whole text, also what a slide of the window dropped."""

    prompt: tuple[int, ...] = ()
    generated: tuple[int, ...] = ()
    end_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What one stage left. `scores` is (vocabulary,), natural logarithms up to a constant; read-only."""

    name: StageName
    scores: DoubleArray
    log_sum_exp: float  # of the scores of the tokens that are kept
    kept: int
    removed: int  # by this stage
    changed: int  # tokens whose score it moved
    active: bool  # whether the settings ask for it


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """What the model assigned, and what the settings made of it. Arrays over the vocabulary, read-only."""

    logits: FloatArray | DoubleArray
    log_sum_exp: float  # of the raw logits
    stages: tuple[Stage, ...]  # one of each name
    removed_by: ByteArray  # the place in `stages` of the one that removed a token, or `KEPT`
    probabilities: DoubleArray  # after all stages; sums to one
    kept: int  # tokens that no stage removed

    def raw_logprob(self, token_id: int) -> float:
        """Natural logarithm of what the model assigned to a token, before any setting."""
        return float(self.logits[token_id]) - self.log_sum_exp

    def rank(self, token_id: int) -> int:
        """Rank of a token among the raw logits, from 1."""
        return _rank(self.logits, token_id)

    def rank_after(self, token_id: int) -> int | None:
        """Rank of a token among those that are left, from 1; None where it was removed."""
        if self.removed_by[token_id] != KEPT:
            return None
        scores = self.stages[-1].scores
        return _rank(
            scores if self.kept == scores.size else np.where(self.removed_by == KEPT, scores, -np.inf), token_id
        )

    def top(self, count: int) -> IntArray:
        """Ids of the highest raw logits, highest first."""
        return top_ids(self.logits, count)

    def entropy_bits(self) -> float:
        """Shannon entropy of the raw distribution: log Σ exp x - Σ p·x, the form without a logarithm per token."""
        exact = self.stages[0].scores
        unchanged = self.stages[-1].scores is exact and self.kept == self.stages[0].kept
        probabilities = self.probabilities if unchanged else np.exp(exact - self.log_sum_exp)
        possible = np.where(np.isfinite(exact), exact, 0.0)
        return max(0.0, self.log_sum_exp - float(probabilities @ possible)) * NATS_TO_BITS

    def raw_probability(self, token_ids: Sequence[int]) -> float:
        """What the model assigned to these tokens together."""
        return float(np.exp(self.stages[0].scores[list(token_ids)] - self.log_sum_exp).sum())

    def probability_after(self, stage: int, token_ids: Sequence[int]) -> DoubleArray:
        """Probabilities of these tokens after the stage with this place; 0 where it, or one before, removed them."""
        ids, found = list(token_ids), self.stages[stage]
        return _probabilities(found.scores[ids], found.log_sum_exp, self.removed_by[ids] > stage)


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, the number that was drawn for it (None: nothing was drawn), and its stretch of the strip.

    The strip is the probabilities after all stages side by side, from the most probable token to the least: 0 to 1.
    """

    token_id: int
    uniform: float | None
    low: float
    high: float


def pipeline(
    logits: FloatArray | DoubleArray, settings: DecodingSettings, history: History = History()
) -> Distribution:
    """All stages over (vocabulary,) raw logits; a logit of minus infinity is a token that cannot come.

    Greedy settings have no temperature and cut nothing. Raises `ProviderError` for logits of which one is not a
    number or none is finite, `NothingLeftError` where bans leave no token, and `SettingsError` for a ban or bias
    outside the vocabulary.
    """
    if np.isnan(logits).any() or not np.isfinite(logits.max()):
        raise ProviderError("cpu", "the model's logits are not numbers")
    run = _Run(logits.astype(np.float64))
    run.penalise(settings, history)
    run.bias(settings)
    run.bar_ends(settings, history)
    run.scale(settings)
    run.cut_to(StageName.TOP_K, _top_k, settings.top_k, settings.top_k > 0 and not settings.greedy)
    run.cut_to(StageName.TOP_P, _top_p, settings.top_p, settings.top_p < 1 and not settings.greedy)
    run.cut_to(StageName.MIN_P, _min_p, settings.min_p, settings.min_p > 0 and not settings.greedy)
    run.cut_to(StageName.TYPICAL_P, _typical_p, settings.typical_p, settings.typical_p < 1 and not settings.greedy)
    last = run.stages[-1]
    probabilities = _probabilities(last.scores, last.log_sum_exp, run.removed_by == KEPT)
    probabilities /= probabilities.sum()
    for array in (run.removed_by, probabilities):
        array.setflags(write=False)
    return Distribution(logits, run.stages[0].log_sum_exp, tuple(run.stages), run.removed_by, probabilities, last.kept)


def choose(
    found: Distribution,
    settings: DecodingSettings,
    position: int,
    draw: int = 0,
    *,
    rejected: Sequence[int] = (),
) -> Choice:
    """The next token: the likeliest one, or the one on whose stretch the number for (seed, position, draw) falls.

    Without the `rejected` tokens, each of which came out of a choice before this one: the number is another, and the
    strip is of what is left. Raises `NothingLeftError` where that is nothing.
    """
    kept = found.removed_by == KEPT
    kept[list(rejected)] = False
    left = np.flatnonzero(kept)
    if not left.size:
        raise NothingLeftError("the output filter")
    scores, weights = found.stages[-1].scores[left], found.probabilities[left]
    total = float(weights.sum())
    if settings.greedy:
        place = int(np.argmax(scores))
        return Choice(int(left[place]), None, 0.0, float(weights[place]) / total)
    number = uniform(settings.seed, position, draw, len(rejected))
    strip = _strip(-scores, weights, number * total, "right")
    low, high = strip.low / total, strip.high / total
    return Choice(int(left[strip.near[strip.place]]), number, low, min(1.0, high))


def chosen(found: Distribution, token_id: int) -> Choice:
    """A token that was not drawn, and its stretch; one that was removed has none, at the strip's end."""
    scores, probabilities = found.stages[-1].scores, found.probabilities
    if found.removed_by[token_id] != KEPT:
        return Choice(token_id, None, 1.0, 1.0)
    score = scores[token_id]
    low = float(probabilities[scores > score].sum() + probabilities[:token_id][scores[:token_id] == score].sum())
    return Choice(token_id, None, min(low, 1.0), min(1.0, low + float(probabilities[token_id])))


def uniform(seed: int, position: int, draw: int, attempt: int = 0) -> float:
    """A number in [0, 1) that depends on these alone: Philox (Salmon et al. 2011), key and counter made of them."""
    bits = np.random.Philox(key=seed, counter=[0, attempt, draw, position]).random_raw(1)
    return float(int(bits[0]) >> 11) * 2.0**-53


def rest(listed: Iterable[float], left: int) -> float:
    """The probability of the `left` tokens beside the listed ones: what those lack of 1, or 0 where none is left."""
    return max(0.0, 1.0 - math.fsum(listed)) if left else 0.0


def top_ids(values: FloatArray | DoubleArray, count: int) -> IntArray:
    """Ids of the `count` highest values, highest first."""
    count = min(count, values.size)
    if 0 < count < values.size:
        threshold = np.partition(values, -count)[-count]
        ids = np.flatnonzero(values >= threshold)
    else:
        ids = np.arange(values.size)
    return ids[np.argsort(-values[ids], kind="stable")][:count].astype(np.int64)


class _Cut(Protocol):
    """Which of these scores stay, or None for all; the second argument is their log Σ exp."""

    def __call__(self, scores: DoubleArray, log_sum_exp: float, value: float, /) -> Mask | None: ...


class _Run:
    """The stages so far: the newest scores, and who is left."""

    def __init__(self, scores: DoubleArray) -> None:
        self.stages: list[Stage] = []
        self.removed_by = np.full(scores.size, KEPT, np.uint8)
        self._scores = scores
        self._add(StageName.RAW, active=True, gone=np.isneginf(scores))

    def penalise(self, settings: DecodingSettings, history: History) -> None:
        """Lower the scores of tokens that were there before.

        Repetition, over prompt and generated tokens: a positive logit is divided by the penalty, a negative one
        multiplied (Keskar et al. 2019, arXiv:1909.05858; transformers' `RepetitionPenaltyLogitsProcessor`). Presence
        and frequency, over generated tokens alone: subtracted once, and once for every time that the token came
        (vLLM's `SamplingParams`, as in OpenAI's API).
        """
        repeated = np.array(list({*history.prompt, *history.generated}), np.int64)
        times = Counter(history.generated)
        generated, counts = np.array(list(times), np.int64), np.array(list(times.values()), np.int64)
        repeats = settings.repetition_penalty != 1.0
        presence, frequency = settings.presence_penalty, settings.frequency_penalty
        scores = self._scores
        if (repeats and repeated.size) or ((presence or frequency) and generated.size):
            scores = scores.copy()
        if repeats and repeated.size:
            old = scores[repeated]
            scores[repeated] = np.where(old < 0, old * settings.repetition_penalty, old / settings.repetition_penalty)
        if (presence or frequency) and generated.size:
            scores[generated] -= frequency * counts + presence
        self._add(StageName.PENALTIES, active=bool(repeats or presence or frequency), scores=scores)

    def bias(self, settings: DecodingSettings) -> None:
        """Add to the scores that the settings name, and remove the tokens that they ban."""
        scores = self._scores
        settings.check_vocabulary(scores.size)
        gone = None
        if settings.logit_bias:
            scores = scores.copy()
            for token_id, bias in settings.logit_bias:
                scores[token_id] += bias
        if settings.banned_tokens:
            gone = np.zeros(scores.size, np.bool_)
            gone[list(settings.banned_tokens)] = True
        self._add(StageName.BIAS, active=bool(settings.logit_bias or settings.banned_tokens), scores=scores, gone=gone)

    def bar_ends(self, settings: DecodingSettings, history: History) -> None:
        """Remove the end tokens while the text is too short."""
        gone = None
        if len(history.generated) < settings.min_tokens and history.end_ids:
            gone = np.zeros(self._scores.size, np.bool_)
            gone[list(history.end_ids)] = True
        self._add(StageName.MIN_TOKENS, active=settings.min_tokens > 0, gone=gone)

    def scale(self, settings: DecodingSettings) -> None:
        """Divide by the temperature; the highest score becomes 0, so that nothing overflows."""
        active = not settings.greedy and settings.temperature != 1.0
        scores = self._scores
        if active:
            with np.errstate(over="ignore"):  # a temperature next to 0 makes minus infinity of all but the highest
                scores = (scores - self._alive(scores).max()) / settings.temperature
        self._add(StageName.TEMPERATURE, active=active, scores=scores)

    def cut_to(self, name: StageName, cut: _Cut, value: float, active: bool) -> None:
        """Remove what a cut of the kept tokens does not keep."""
        gone = None
        if active:
            ids = np.flatnonzero(self.removed_by == KEPT)
            whole = ids.size == self._scores.size
            kept = cut(self._scores if whole else self._scores[ids], self.stages[-1].log_sum_exp, value)
            if kept is not None:
                gone = ~kept
                if not whole:
                    gone = np.zeros(self._scores.size, np.bool_)
                    gone[ids] = ~kept
        self._add(name, active=active, gone=gone)

    def _add(
        self, name: StageName, *, active: bool, scores: DoubleArray | None = None, gone: Mask | None = None
    ) -> None:
        before = self.stages[-1] if self.stages else None
        changed = 0
        if scores is not None and scores is not self._scores:
            changed = int(np.count_nonzero((scores != self._scores) & (self.removed_by == KEPT)))
            self._scores = scores
        self._scores.setflags(write=False)
        kept = before.kept if before else self._scores.size
        removed = 0
        if gone is not None:
            gone &= self.removed_by == KEPT
            removed = int(np.count_nonzero(gone))
            self.removed_by[gone] = len(self.stages)
        if removed == kept:
            raise NothingLeftError("the bans" if name is StageName.BIAS else "the minimum of tokens")
        same = before is not None and not removed and not changed
        total = before.log_sum_exp if before is not None and same else _log_sum_exp(self._alive(self._scores))
        self.stages.append(Stage(name, self._scores, total, kept - removed, removed, changed, active))

    def _alive(self, scores: DoubleArray) -> DoubleArray:
        """Scores of the tokens that are kept."""
        kept = self.removed_by == KEPT
        return scores if kept.all() else scores[kept]


def _top_k(scores: DoubleArray, log_sum_exp: float, count: float) -> Mask | None:
    """The `count` highest (Fan et al. 2018, arXiv:1805.04833)."""
    if count >= scores.size:
        return None
    border = np.partition(scores, -int(count))[-int(count)]
    kept: Mask = scores > border
    kept[np.flatnonzero(scores == border)[: int(count) - int(np.count_nonzero(kept))]] = True
    return kept


def _top_p(scores: DoubleArray, log_sum_exp: float, mass: float) -> Mask | None:
    """The fewest, from the highest on, that together have this probability (Holtzman et al. 2020, arXiv:1904.09751)."""
    return _strip(-scores, np.exp(scores - log_sum_exp), mass, "left").up_to_place()


def _min_p(scores: DoubleArray, log_sum_exp: float, share: float) -> Mask | None:
    """Those that are at least this share as likely as the likeliest (Nguyen et al. 2025, arXiv:2407.01082)."""
    kept: Mask = np.exp(scores - scores.max()) >= share
    return kept


def _typical_p(scores: DoubleArray, log_sum_exp: float, mass: float) -> Mask | None:
    """The fewest whose surprisal is nearest the entropy, together so likely (Meister et al. 2023, arXiv:2202.00666)."""
    logs = scores - log_sum_exp
    probabilities = np.exp(logs)
    entropy = -float(probabilities @ np.where(np.isfinite(logs), logs, 0.0))
    return _strip(np.abs(-logs - entropy), probabilities, mass, "left").up_to_place()


@dataclass(frozen=True, slots=True, eq=False)
class _Strip:
    """Weights side by side in the order of their keys, sorted only near the place that is looked for."""

    before: Mask  # what lies before all of `near`
    near: IntArray  # in order
    place: int  # in `near`
    low: float  # where its weight begins on the strip
    high: float  # and ends

    def up_to_place(self) -> Mask:
        """Everything up to and with the place."""
        kept = self.before.copy()
        kept[self.near[: self.place + 1]] = True
        return kept


def _strip(keys: DoubleArray, weights: DoubleArray, length: float, side: Literal["left", "right"]) -> _Strip:
    """The place on the strip of weights, lowest key first, at which it is so long; of equal keys the lowest id first.

    At a border between two, "left" is the one that ends there, "right" the one that begins. Keys are put in bins of
    equal width, and only one bin is sorted: sorting a vocabulary takes longer than all else.
    """
    lowest = keys.min()
    width = float(keys.max(where=np.isfinite(keys), initial=lowest) - lowest)
    bins = np.minimum((keys - lowest) * (BINS / width if width > TINY else 0.0), BINS - 1).astype(np.int64)
    lengths = np.cumsum(np.bincount(bins, weights, BINS))
    last = int(np.searchsorted(lengths, lengths[-1]))  # the last bin with any weight
    at = min(int(np.searchsorted(lengths, length, side)), last)
    near = np.flatnonzero(bins == at)
    near = near[np.argsort(keys[near], kind="stable")]
    begins = float(lengths[at - 1]) if at else 0.0
    ends = begins + np.cumsum(weights[near])
    place = min(int(np.searchsorted(ends, length, side)), int(np.searchsorted(ends, ends[-1])))
    return _Strip(bins < at, near, place, float(ends[place - 1]) if place else begins, float(ends[place]))


def _rank(scores: FloatArray | DoubleArray, token_id: int) -> int:
    score = scores[token_id]
    higher = np.count_nonzero(scores > score)
    return int(higher + np.count_nonzero(scores[:token_id] == score)) + 1


def _probabilities(scores: DoubleArray, log_sum_exp: float, kept: Mask) -> DoubleArray:
    """Probabilities of the kept tokens; 0 for the others, of which one may lie so high that exp overflows."""
    found: DoubleArray = np.exp(scores - log_sum_exp, out=np.zeros_like(scores), where=kept)
    return found


def _log_sum_exp(scores: DoubleArray) -> float:
    largest = scores.max()
    return float(largest + np.log(np.exp(scores - largest).sum()))
