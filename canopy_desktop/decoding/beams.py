"""Beam search: pure functions of (beams, vocabulary) scores, step by step as transformers 4.57.6 searches.

Ours differs where transformers fills up: it begins with one beam instead of copies that score minus 10⁹, and what is
impossible (minus infinity) is no candidate, so a small vocabulary or a strict cut leaves fewer beams than asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from canopy_desktop.arrays import DoubleArray, FloatArray
from canopy_desktop.decoding.pipeline import KEPT, History, StageName, pipeline, top_ids
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import SettingsError

MAX_BEAMS = 10
LARGEST_PENALTY = 10.0  # of the length: 8,192 to its power is still a number
LARGEST_DIVERSITY = 1000.0
STAGES = tuple(StageName)


class EarlyStopping(Enum):
    """When a search ends before its limit, once as many texts have ended as there are beams."""

    AT_ONCE = "true"
    UNLIKELY = "false"  # when the best running beam, ended now, would be no better than the worst that has ended
    NEVER = "never"  # when none can become better at any length (for a positive length penalty, at the limit)


class Fate(Enum):
    """What becomes of a candidate."""

    KEPT = "kept"
    PRUNED = "pruned"
    FINISHED = "finished"  # with an end token or a stop text


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSettings:
    """How a search is led; temperature, penalties, bans and limits stand in `DecodingSettings`.

    Raises `SettingsError` for a value out of range, and for two that contradict one another.
    """

    beams: int = 4
    length_penalty: float = 1.0  # power of the length that a sum is divided by; above 0 favours long texts
    early_stopping: EarlyStopping = EarlyStopping.UNLIKELY
    returned: int | None = None  # n best; None: as many as there are beams
    groups: int = 1  # of diverse beam search (Vijayakumar et al. 2016)
    diversity: float = 0.0  # taken from a token's score for each time that an earlier group took it in the same step

    def __post_init__(self) -> None:
        _require(1 <= self.beams <= MAX_BEAMS, "Beams", f"must be 1 to {MAX_BEAMS}")
        penalty, diversity = self.length_penalty, self.diversity
        _require(
            math.isfinite(penalty) and abs(penalty) <= LARGEST_PENALTY,
            "Length penalty",
            f"must be {-LARGEST_PENALTY:g} to {LARGEST_PENALTY:g}",
        )
        returned = "must be 1 to the number of beams"
        _require(self.returned is None or 1 <= self.returned <= self.beams, "Returned texts", returned)
        _require(1 <= self.groups <= self.beams, "Groups", "must be 1 to the number of beams")
        _require(self.beams % self.groups == 0, "Groups", f"must divide the {self.beams} beams evenly")
        _require(
            math.isfinite(diversity) and 0 <= diversity <= LARGEST_DIVERSITY,
            "Diversity",
            f"must be 0 to {LARGEST_DIVERSITY:g}",
        )
        _require(self.groups == 1 or diversity > 0, "Diversity", "must be above 0 for groups, or all write the same")
        _require(self.groups > 1 or diversity == 0, "Diversity", "needs two groups or more: set groups, or diversity 0")

    @property
    def group_size(self) -> int:
        """Beams of a group."""
        return self.beams // self.groups

    def score(self, cumulative: float, length: int) -> float:
        """What texts of `length` tokens are compared by: the sum of their scores ÷ length ^ penalty."""
        return cumulative / math.pow(length, self.length_penalty)


@dataclass(frozen=True, slots=True)
class Beam:
    """A text that is being written."""

    ids: tuple[int, ...]  # generated
    cumulative: float  # the sum of its tokens' scores
    group: int


@dataclass(frozen=True, slots=True)
class BeamCandidate:
    """One token after one beam."""

    token_id: int
    parent: int  # the beam before it: the number of a running one, from 0
    logprob: float  # its own, in nats, after penalties, bans, temperature, cuts and diversity, not rescaled to sum 1
    cumulative: float  # its own and its parent's
    fate: Fate
    beam: int | None  # its number among the next running beams; None where the search, or its group, ends here too
    group: int


@dataclass(frozen=True, slots=True)
class BeamStep:
    """The candidates of a step: group by group, likeliest first, or in the order of the draw."""

    length: int  # tokens that each of them has, from 1
    candidates: tuple[BeamCandidate, ...]

    @property
    def parents(self) -> tuple[int, ...]:
        """For each of the next running beams, the one that it goes on from."""
        going = [(candidate.beam, candidate.parent) for candidate in self.candidates if candidate.beam is not None]
        return tuple(parent for _, parent in sorted(going))


@dataclass(frozen=True, slots=True)
class BeamSequence:
    """A text that the search found."""

    ids: tuple[int, ...]  # generated, with the end token
    cumulative: float
    score: float  # `BeamSettings.score` of it
    finished: bool  # with an end token or a stop text; else the limit cut it
    group: int


@dataclass(frozen=True, slots=True)
class BeamState:
    """A search between two steps."""

    running: tuple[Beam, ...]  # group by group, best first; none: the search is over
    found: tuple[tuple[BeamSequence, ...], ...]  # of each group, best first, no more than its beams
    length: int = 0  # tokens that each running beam has
    cut: bool = False  # whether the limit ended it

    def best(self, settings: BeamSettings) -> tuple[BeamSequence, ...]:
        """The n best of all groups, best first."""
        every = [sequence for group in self.found for sequence in group]
        return _best(every, settings.returned or settings.beams)


@dataclass(frozen=True, slots=True, eq=False)
class Endings:
    """What ends a text."""

    limit: int  # tokens
    end_ids: Collection[int] = ()
    stops: Callable[[Beam, int], bool] = lambda _beam, _token_id: False  # whether a token completes a stop text

    def ends(self, beam: Beam, token_id: int) -> bool:
        """Whether the beam has ended once this token is written."""
        return token_id in self.end_ids or self.stops(beam, token_id)


def begin(settings: BeamSettings) -> BeamState:
    """Before the first token: an empty beam for each group."""
    return BeamState(
        tuple(Beam((), 0.0, group) for group in range(settings.groups)), tuple(() for _ in range(settings.groups))
    )


def advance(
    state: BeamState,
    scores: DoubleArray,
    settings: BeamSettings,
    endings: Endings,
    noise: DoubleArray | None = None,
) -> tuple[BeamStep, BeamState]:
    """One token more for every running beam.

    `scores` are (running, vocabulary): natural logarithms of what each token is worth after its beam, minus infinity
    where it cannot come. With `noise` of the same shape (`gumbel`) candidates are drawn, without replacement, from the
    softmax of all sums.
    """
    length, last = state.length + 1, state.length + 1 >= endings.limit
    candidates: list[BeamCandidate] = []
    running: list[Beam] = []
    found, cut = list(state.found), state.cut
    taken = np.zeros(scores.shape[1])  # how often earlier groups went on with each token
    for group in range(settings.groups):
        rows = [row for row, beam in enumerate(state.running) if beam.group == group]
        if not rows:
            continue
        own = scores[rows] - settings.diversity * taken
        options = _options(state.running, rows, own, settings, endings, None if noise is None else noise[rows])
        kept = _kept(options, settings.group_size, last=last)
        ended = [option for option in options[: settings.group_size] if option.ends]
        for option in kept:
            taken[option.beam.ids[-1]] += 1
        new = [_sequence(option.beam, settings, finished=True) for option in ended]
        if last:
            new += [_sequence(option.beam, settings, finished=False) for option in kept]
            cut = cut or bool(kept)
        found[group] = _best([*found[group], *new], settings.group_size)
        goes_on = not last and not _is_decided(kept, found[group], settings, length, endings.limit)
        for option in options:
            fate = Fate.KEPT if option in kept else Fate.FINISHED if option in ended else Fate.PRUNED
            number = len(running) + kept.index(option) if goes_on and option in kept else None
            candidates.append(option.candidate(fate, number))
        if goes_on:
            running += [option.beam for option in kept]
    return BeamStep(length, tuple(candidates)), BeamState(tuple(running), tuple(found), length, cut)


def token_scores(logits: FloatArray, settings: DecodingSettings, history: History) -> DoubleArray:
    """What each token is worth after a beam, (vocabulary,), minus infinity where a stage removed it.

    The stages of `pipeline` over logarithms of probabilities, not over logits, and without rescaling to sum 1 after
    them: as transformers does it, so penalties and temperature count in the sum. Raises what `pipeline` raises.
    """
    exact = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # minus infinity everywhere is refused below
        exact -= exact.max()
        exact -= np.log(np.exp(exact).sum())
    found = pipeline(exact.astype(np.float32), settings, history)
    scores = found.stages[-1].scores
    scaling = STAGES.index(StageName.TEMPERATURE)
    if found.stages[scaling].active:  # the stage moves the highest score to 0, which is another one for each beam
        kept = int(found.probabilities.argmax())
        scores = scores + (found.stages[scaling - 1].scores[kept] / settings.temperature - scores[kept])
    return np.where(found.removed_by == KEPT, scores, -np.inf)


def gumbel(seed: int, position: int, beam: int, count: int) -> DoubleArray:
    """(count,) draws from the standard Gumbel distribution that depend on these alone.

    What has the highest sum of logarithm and draw is drawn from the softmax, the next from what is left, and so on:
    without replacement (Kool et al. 2019, arXiv:1903.06059). Philox with a key of its own for each beam, so that no
    number is one of `pipeline.uniform`.
    """
    key = np.array([seed, beam + 1], np.uint64)
    bits = np.random.Philox(key=key, counter=[0, 0, 0, position]).random_raw(count)
    uniform = ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52  # between 0 and 1, never either
    return -np.log(-np.log(uniform))


@dataclass(frozen=True, slots=True, eq=False)
class _Option:
    """One token after one beam."""

    beam: Beam  # with the token
    parent: int
    score: float
    ends: bool

    def candidate(self, fate: Fate, beam: int | None) -> BeamCandidate:
        """The record of it; `beam` is its number where it is kept."""
        b = self.beam
        return BeamCandidate(b.ids[-1], self.parent, self.score, b.cumulative, fate, beam, b.group)


def _options(
    running: Sequence[Beam],
    rows: Sequence[int],
    scores: DoubleArray,
    settings: BeamSettings,
    endings: Endings,
    noise: DoubleArray | None,
) -> list[_Option]:
    """The best continuations of these beams, (rows, vocabulary), or those drawn: enough if the best ones end."""
    sums = scores + np.array([running[row].cumulative for row in rows])[:, None]
    order = sums if noise is None else sums + noise
    options = []
    for place in top_ids(order.ravel(), max(2, 1 + len(endings.end_ids)) * settings.group_size):
        row, token_id = divmod(int(place), scores.shape[1])
        before, cumulative = running[rows[row]], float(sums[row, token_id])
        if cumulative == -math.inf:
            break
        beam = Beam((*before.ids, token_id), cumulative, before.group)
        options.append(_Option(beam, rows[row], float(scores[row, token_id]), endings.ends(before, token_id)))
    return options


def _kept(options: Sequence[_Option], size: int, *, last: bool) -> list[_Option]:
    """Those that go on, best first; at the limit none moves up for one that has ended."""
    going = [option for option in (options[:size] if last else options) if not option.ends]
    return sorted(going, key=lambda option: -option.beam.cumulative)[:size]


def _sequence(beam: Beam, settings: BeamSettings, *, finished: bool) -> BeamSequence:
    score = settings.score(beam.cumulative, len(beam.ids))
    return BeamSequence(beam.ids, beam.cumulative, score, finished, beam.group)


def _best(sequences: Sequence[BeamSequence], count: int) -> tuple[BeamSequence, ...]:
    return tuple(sorted(sequences, key=lambda sequence: -sequence.score)[:count])


def _is_decided(
    kept: Sequence[_Option], found: Sequence[BeamSequence], settings: BeamSettings, length: int, limit: int
) -> bool:
    """Whether no beam of a group has to go on (transformers' `_check_early_stop_heuristic`)."""
    if not kept:
        return True
    if len(found) < settings.group_size:
        return False
    if settings.early_stopping is EarlyStopping.AT_ONCE:
        return True
    farthest = settings.early_stopping is EarlyStopping.NEVER and settings.length_penalty > 0
    return settings.score(kept[0].beam.cumulative, limit if farthest else length) <= found[-1].score


def _require(holds: bool, name: str, otherwise: str) -> None:
    if not holds:
        raise SettingsError(name, otherwise)
