"""Two runs side by side: what differs between them, where their texts part, and how far apart they are until then.

The runs follow each other on decoders with caches of their own, so what was recorded is left alone. Each keeps the
residuals that its tokens were decided from; the head makes of them the same logits again, bit for bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.divergence import Divergence, final_divergence, raw_divergence
from canopy_desktop.decoding.pipeline import Distribution, History, pipeline, top_ids
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import StopReason, answer_bytes
from canopy_desktop.exploration.deciding import candidate
from canopy_desktop.exploration.generation import MODELS_OWN, Generation
from canopy_desktop.exploration.records import Candidate, GenerationEvent, RunFinished, StepRecord
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.head import Head
from canopy_desktop.model.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedRun:
    """A run from its prompt to its end."""

    model: str  # the bundle's id
    prompt: TemplatedPrompt
    settings: DecodingSettings
    end_ids: tuple[int, ...]
    steps: tuple[StepRecord, ...]
    residuals: FloatArray = field(repr=False)  # (steps, hidden): what each token was decided from, read-only
    reason: StopReason
    text: str  # what was answered

    def __post_init__(self) -> None:
        self.residuals.setflags(write=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """The generated tokens, an end token included."""
        return tuple(step.chosen.token_id for step in self.steps)


class BesideRunner:
    """Runs prompts on a session's weights, with a cache and columns of its own.

    For the thread that owns the session's decoder, whose `interrupt` ends a pass here too.
    """

    def __init__(self, session: ModelSession) -> None:
        self._session = session
        self._sequence = session.new_sequence()
        self._generation = Generation(self._sequence, session.head, session.card.end_ids, session.tokenizer)

    def run(
        self,
        run_id: int,
        prompt: TemplatedPrompt,
        settings: DecodingSettings,
        window: ContextWindow = MODELS_OWN,
        *,
        kept: int = 0,
    ) -> Generator[GenerationEvent, None, ComparedRun]:
        """The run's events as they come, and the whole run when it is over. Raises what `Generation` raises."""
        yield self._generation.begin(run_id, prompt, settings, window, kept=kept)
        steps: list[StepRecord] = []
        while True:
            event = self._generation.advance()
            yield event
            if isinstance(event, StepRecord):
                steps.append(event)
            if isinstance(event, RunFinished):
                return self._finished(prompt, settings, steps, event)

    def _finished(
        self, prompt: TemplatedPrompt, settings: DecodingSettings, steps: Sequence[StepRecord], end: RunFinished
    ) -> ComparedRun:
        tokens = self._session.tokenizer.tokens([step.chosen.token_id for step in steps])
        data = answer_bytes([token.data for token in tokens], end.check, keep_stop=settings.keep_stop)
        residuals = np.empty((0, self._session.card.architecture.hidden), np.float32)
        if steps:
            slots = np.array([step.source for step in steps], np.int64)
            residuals = self._sequence.columns.residuals(slots, -1)
        return ComparedRun(
            model=self._session.card.id,
            prompt=prompt,
            settings=settings,
            end_ids=tuple(self._session.card.end_ids),
            steps=tuple(steps),
            residuals=residuals,
            reason=end.reason,
            text=data.decode("utf-8", "replace"),
        )


class Relation(Enum):
    """How two texts stand to one another."""

    EQUAL = "equal"
    A_BEGINS_B = "a_begins_b"  # B goes on where A ends
    B_BEGINS_A = "b_begins_a"
    PARTED = "parted"


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two texts part; by tokens, or by characters where the vocabularies are not the same."""

    relation: Relation
    tokens: int | None  # that both begin with: the place of the first one that differs
    tokens_at_end: int | None  # that both end with, after they parted
    characters: int  # that both begin with


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting that the two runs do not share."""

    name: str  # of the field
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class TokenPair:
    """One token in both distributions. Ranks are among the raw logits, from 1."""

    a: Candidate
    b: Candidate
    a_rank: int
    b_rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPair:
    """One step of both runs, after the same generated text."""

    index: int  # number of the token among the generated ones, from 1
    a_chosen: TokenPair
    b_chosen: TokenPair
    raw: Divergence
    final: Divergence
    top: tuple[TokenPair, ...]  # the highest raw logits of either, the most probable of both together first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Two runs, and what differs between them."""

    a: ComparedRun
    b: ComparedRun
    same_vocabulary: bool
    settings: tuple[SettingDifference, ...]
    prompt: Parting
    generated: Parting
    steps: tuple[StepPair, ...]  # as long as both have the same text before; none where the vocabularies differ


def compare(
    a: ComparedRun, b: ComparedRun, steps: Sequence[StepPair] = (), *, same_vocabulary: bool = True
) -> Comparison:
    """What differs between two runs; `steps` are their `step_pairs`."""
    return Comparison(
        a=a,
        b=b,
        same_vocabulary=same_vocabulary,
        settings=differing_settings(a.settings, b.settings),
        prompt=_parting(a.prompt.text, b.prompt.text, (a.prompt.ids, b.prompt.ids) if same_vocabulary else None),
        generated=_parting(a.text, b.text, (a.ids, b.ids) if same_vocabulary else None),
        steps=tuple(steps),
    )


def step_pairs(a: ComparedRun, b: ComparedRun, heads: tuple[Head, Head], *, listed: int) -> Iterator[StepPair]:
    """The steps of both as long as they have the same text before, the one where they part included.

    `heads` of A and B; vocabularies must be the same. `listed`: likeliest tokens taken of each. One step costs two
    passes through a head and both pipelines, so whoever waits can leave between two.
    """
    for place in range(min(shared_beginning(a.ids, b.ids) + 1, len(a.steps), len(b.steps))):
        yield _step_pair(
            place + 1,
            (_distribution(a, place, heads[0]), _distribution(b, place, heads[1])),
            (a.ids[place], b.ids[place]),
            listed,
        )


def differing_settings(a: DecodingSettings, b: DecodingSettings) -> tuple[SettingDifference, ...]:
    """The settings that are not the same, in the order of the fields."""
    values = [(entry.name, getattr(a, entry.name), getattr(b, entry.name)) for entry in fields(DecodingSettings)]
    return tuple(SettingDifference(name, one, other) for name, one, other in values if one != other)


def same_vocabulary(a: Tokenizer, b: Tokenizer) -> bool:
    """Whether every id stands for the same token."""
    if a.vocabulary_size != b.vocabulary_size:
        return False
    return all(a.token(token_id) == b.token(token_id) for token_id in range(a.vocabulary_size))


def shared_beginning(a: Sequence[object], b: Sequence[object]) -> int:
    """With how many items both begin."""
    for place, (one, other) in enumerate(zip(a, b, strict=False)):
        if one != other:
            return place
    return min(len(a), len(b))


def _parting(a: str, b: str, ids: tuple[tuple[int, ...], tuple[int, ...]] | None) -> Parting:
    characters = shared_beginning(a, b)
    if ids is None:
        return Parting(_relation(len(a), len(b), characters), None, None, characters)
    one, other = ids
    tokens = shared_beginning(one, other)
    at_end = shared_beginning(one[tokens:][::-1], other[tokens:][::-1])
    return Parting(_relation(len(one), len(other), tokens), tokens, at_end, characters)


def _relation(a_length: int, b_length: int, shared: int) -> Relation:
    if shared == a_length == b_length:
        return Relation.EQUAL
    if shared == a_length:
        return Relation.A_BEGINS_B
    return Relation.B_BEGINS_A if shared == b_length else Relation.PARTED


def _distribution(run: ComparedRun, place: int, head: Head) -> Distribution:
    """The distribution that a token was chosen from, made again."""
    logits = head.logits(run.residuals[place : place + 1])[0]
    return pipeline(logits, run.settings, History(run.prompt.ids, run.ids[:place], run.end_ids))


def _step_pair(index: int, found: tuple[Distribution, Distribution], chosen: tuple[int, int], listed: int) -> StepPair:
    a, b = found
    ids = np.union1d(a.top(listed), b.top(listed))
    mean = np.exp(a.stages[0].scores[ids] - a.log_sum_exp) + np.exp(b.stages[0].scores[ids] - b.log_sum_exp)
    return StepPair(
        index=index,
        a_chosen=_token_pair(a, b, chosen[0]),
        b_chosen=_token_pair(a, b, chosen[1]),
        raw=raw_divergence(a, b),
        final=final_divergence(a, b),
        top=tuple(_token_pair(a, b, int(ids[place])) for place in top_ids(mean, ids.size)),
    )


def _token_pair(a: Distribution, b: Distribution, token_id: int) -> TokenPair:
    return TokenPair(candidate(a, token_id), candidate(b, token_id), a.rank(token_id), b.rank(token_id))
