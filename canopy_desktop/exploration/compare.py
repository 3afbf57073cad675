"""Two runs side by side: what differs between them, where their texts part, and how far apart they are until then.

The runs have decoders with caches of their own, so what was recorded is left alone. Each keeps the
residuals that its tokens were decided from; the head makes of them the same logits again, bit for bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from canopy_desktop.decoding.divergence import Divergence, final_divergence, raw_divergence
from canopy_desktop.decoding.pipeline import Distribution, top_ids
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck, StopReason, answer_bytes
from canopy_desktop.exploration.compared import (
    ComparedRun,
    Parting,
    SettingDifference,
    differing_settings,
    distribution_at,
    parting,
    shared_beginning,
)
from canopy_desktop.exploration.deciding import candidate
from canopy_desktop.exploration.generation import MODELS_OWN, Generation
from canopy_desktop.exploration.records import Candidate, GenerationEvent, RunFinished
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.exploration.window import ContextWindow
from canopy_desktop.model.chat import TemplatedPrompt
from canopy_desktop.model.head import Head
from canopy_desktop.model.tokenizer import Tokenizer


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
        while True:
            event = self._generation.advance()
            yield event
            if isinstance(event, RunFinished):
                return self._compared(settings, event.reason, event.check)

    def left(self, settings: DecodingSettings) -> ComparedRun:
        """The run in hand as far as it came, for whoever takes its events no further."""
        return self._compared(settings, StopReason.CANCELLED, None)

    def _compared(self, settings: DecodingSettings, reason: StopReason, check: ContinuationCheck | None) -> ComparedRun:
        exploration = self._generation.exploration
        assert exploration is not None, "a run was begun"
        steps = exploration.path(exploration.cursor)
        tokens = self._session.tokenizer.tokens([step.chosen.token_id for step in steps])
        data = answer_bytes([token.data for token in tokens], check, keep_stop=settings.keep_stop)
        residuals = np.empty((0, self._session.card.architecture.hidden), np.float32)
        if steps:
            slots = np.array([step.source for step in steps], np.int64)
            residuals = self._sequence.columns.residuals(slots, -1)
        return ComparedRun(
            model=self._session.card.id,
            prompt=exploration.prompt,
            settings=settings,
            end_ids=tuple(self._session.card.end_ids),
            steps=tuple(steps),
            residuals=residuals,
            reason=reason,
            text=data.decode("utf-8", "replace"),
        )


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
        prompt=parting(a.prompt.text, b.prompt.text, (a.prompt.ids, b.prompt.ids) if same_vocabulary else None),
        generated=parting(a.text, b.text, (a.ids, b.ids) if same_vocabulary else None),
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
            (distribution_at(a, place, heads[0]), distribution_at(b, place, heads[1])),
            (a.ids[place], b.ids[place]),
            listed,
        )


def same_vocabulary(a: Tokenizer, b: Tokenizer) -> bool:
    """Whether every id stands for the same token."""
    if a.vocabulary_size != b.vocabulary_size:
        return False
    return all(a.token(token_id) == b.token(token_id) for token_id in range(a.vocabulary_size))


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
