"""Beam searches and many draws as facts beside the recorded tree: what was searched after a node, token by token."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from canopy_desktop.decoding.beams import BeamSequence, BeamStep, Fate
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings

if TYPE_CHECKING:
    from canopy_desktop.exploration.draws import DrawProgress

START = -1  # as parent: the node after which a search began
DRAW_TEMPERATURE = 1.0  # where greedy settings would write the same text every time


class SearchKind(Enum):
    """What is done after a node."""

    BEAMS = "beams"
    DRAWS = "draws"


class SearchPhase(Enum):
    """Where a search stands."""

    READING = "reading"  # the text before it passes through the model
    SEARCHING = "searching"
    FINISHED = "finished"
    STOPPED = "stopped"  # by a person, or an error; what was found stays


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAsk:
    """What a person wants to be searched, and after which node."""

    node: int
    kind: SearchKind
    count: int
    length: int
    penalty: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchWish:
    """A search after one node of the tree."""

    number: int  # of the search, from 1
    node: int  # where it begins: a node, or `PROMPT_NODE`
    text: History = field(repr=False)
    kind: SearchKind
    count: int  # of beams, or of draws
    settings: DecodingSettings = field(repr=False)  # with the length
    penalty: float = 1.0  # of the length; beams alone


@dataclass(frozen=True, slots=True)
class FoundToken:
    """One token of a search."""

    parent: int  # the number of the token before it in this search, or `START`
    token_id: int
    logprob: float  # natural logarithm of what the model assigned to it
    fate: Fate  # in its step; one that is kept may still lead nowhere
    draws: int = 0  # how many came through it


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A text that a beam search found."""

    last: int  # the number of its last token
    score: float  # Σ log p ÷ length ^ penalty


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """What a search has found so far."""

    wish: SearchWish
    phase: SearchPhase = SearchPhase.READING
    done: int = 0  # tokens read, or steps of beams, or tokens drawn
    total: int = 0  # of so many
    found: tuple[FoundToken, ...] = field(default=(), repr=False)
    going: tuple[int, ...] = ()  # the last tokens of beams that go on, and of those that have ended
    results: tuple[SearchResult, ...] = ()  # best first, of beams that have ended

    @property
    def busy(self) -> bool:
        """Whether the model is at work on it."""
        return self.phase in (SearchPhase.READING, SearchPhase.SEARCHING)

    def stopped(self) -> Searched:
        """The same, with what was found, and no more to come."""
        return replace(self, phase=SearchPhase.STOPPED)

    def alive(self) -> set[int]:
        """The numbers of tokens that lead somewhere: to a beam that goes on, or to a text that was found."""
        if self.wish.kind is SearchKind.DRAWS:
            return set(range(len(self.found)))
        ends = [result.last for result in self.results] if self.phase is SearchPhase.FINISHED else self.going
        living: set[int] = set()
        for number in ends:
            while number != START and number not in living:
                living.add(number)
                number = self.found[number].parent
        return living


def search_settings(kind: SearchKind, decoding: DecodingSettings, length: int) -> DecodingSettings:
    """Beams compare what the model assigned, so only stop texts count; draws are decided as everything else is."""
    if kind is SearchKind.BEAMS:
        return DecodingSettings(max_tokens=length, stop=decoding.stop, keep_stop=decoding.keep_stop)
    temperature = DRAW_TEMPERATURE if decoding.greedy else decoding.temperature
    shortest = min(decoding.min_tokens, length)
    return replace(decoding, temperature=temperature, max_tokens=length, min_tokens=shortest)


class SearchRecorder:
    """Gathers a search's steps into what was found: texts that begin alike share their tokens."""

    def __init__(self, wish: SearchWish) -> None:
        self._wish = wish
        self._found: list[FoundToken] = []
        self._numbers: dict[tuple[int, int], int] = {}  # of (parent, token id)
        self._tails: dict[int, int] = {}  # of each running beam, or of each draw
        self._ended: list[int] = []  # last tokens of beams that have ended

    def take_step(self, step: BeamStep) -> Searched:
        """One token more for every beam."""
        tails, kept = {}, []
        for candidate in step.candidates:
            before = self._tails.get(candidate.parent, START)
            number = self._add(before, FoundToken(before, candidate.token_id, candidate.logprob, candidate.fate))
            if candidate.beam is not None:
                tails[candidate.beam] = number
            if candidate.fate is Fate.KEPT:
                kept.append(number)
            elif candidate.fate is Fate.FINISHED:
                self._ended.append(number)
        self._tails = tails
        return self._searched(step.length, self._wish.settings.max_tokens, going=(*kept, *self._ended))

    def take_draws(self, progress: DrawProgress) -> Searched:
        """One token more for the draws under way."""
        for drawn in progress.drawn:
            before = self._tails.get(drawn.draw, START)
            number = self._add(before, FoundToken(before, drawn.token_id, drawn.logprob, Fate.KEPT))
            self._found[number] = replace(self._found[number], draws=self._found[number].draws + 1)
            self._tails[drawn.draw] = number
        return self._searched(progress.tokens, self._wish.count * self._wish.settings.max_tokens)

    def finish(self, sequences: tuple[BeamSequence, ...]) -> Searched:
        """The search is over, and these are its best texts."""
        results = tuple(SearchResult(self._last_of(sequence.ids), sequence.score) for sequence in sequences)
        return replace(self._searched(0, 0), phase=SearchPhase.FINISHED, results=results)

    def _last_of(self, ids: tuple[int, ...]) -> int:
        number = START
        for token_id in ids:
            number = self._numbers[number, token_id]
        return number

    def _add(self, before: int, token: FoundToken) -> int:
        number = self._numbers.setdefault((before, token.token_id), len(self._found))
        if number == len(self._found):
            self._found.append(token)
        return number

    def _searched(self, done: int, total: int, going: tuple[int, ...] = ()) -> Searched:
        return Searched(
            wish=self._wish,
            phase=SearchPhase.SEARCHING,
            done=done,
            total=total,
            found=tuple(self._found),
            going=going,
        )
