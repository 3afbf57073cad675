"""Beam search on the batched decoder, beside the main cache: one step's candidates at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

import numpy as np

from canopy_desktop.arrays import DoubleArray, FloatArray
from canopy_desktop.decoding.beams import (
    Beam,
    BeamSequence,
    BeamSettings,
    BeamState,
    BeamStep,
    Endings,
    advance,
    begin,
    gumbel,
    token_scores,
)
from canopy_desktop.decoding.pipeline import History
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import RunWatch, StopWatch, answer_bytes
from canopy_desktop.errors import EmptyPromptError, PromptTooLongError
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.batch import BatchDecoder
from canopy_desktop.model.decoder import DecoderSession, chunks_of


class SearchEnd(Enum):
    """Why a search ended."""

    FINISHED = "finished"  # every beam has, or no other one is to be expected among the best
    MAX_TOKENS = "max_tokens"
    CONTEXT_FULL = "context_full"


@dataclass(frozen=True, slots=True)
class BeamPrefill:
    """So many tokens of the text have passed through the model."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class BeamsFinished:
    """What was found, best first; nothing where the text before it fills the context."""

    sequences: tuple[BeamSequence, ...]
    reason: SearchEnd


BeamEvent: TypeAlias = BeamPrefill | BeamStep | BeamsFinished


class BeamSearch:
    """Searches on a session's weights, with a cache of their own: the session's is left alone.

    For the thread that owns the session's decoder, whose `interrupt` ends a pass here too.
    """

    def __init__(self, session: ModelSession) -> None:
        self._decoder: DecoderSession = session.sequence.decoder
        self._tokenizer = session.tokenizer

    def run(self, text: History, settings: DecodingSettings, beams: BeamSettings) -> Iterator[BeamEvent]:
        """Go on from a text; settings that are not greedy draw the candidates.

        Each step comes as soon as it is decided; whoever closes the iterator ends the search. Raises
        `EmptyPromptError`, `PromptTooLongError`, `InterruptedStepError`, or what `pipeline` raises; after any of them a
        new search can begin.
        """
        before = len(text.prompt) + len(text.generated)
        if not before:
            raise EmptyPromptError
        if before > self._decoder.context:
            raise PromptTooLongError(before, self._decoder.context)
        return self._events(text, settings, beams, self._decoder.context - before)

    def answer(self, sequence: BeamSequence, text: History, settings: DecodingSettings) -> str:
        """A found text without the end token, and without the stop text unless it is kept."""
        before = self._tokenizer.data(text.generated)
        watch = RunWatch(settings, text.end_ids, before)
        pieces = [token.data for token in self._tokenizer.tokens(sequence.ids)]
        check = None
        for token_id, data in zip(sequence.ids, pieces, strict=True):
            check = watch.after(token_id, data, window_used=0, window=1, slides=False)
        written = answer_bytes([before, *pieces], check, keep_stop=settings.keep_stop)
        return written[len(before) :].decode("utf-8", "replace")

    def _events(self, text: History, settings: DecodingSettings, beams: BeamSettings, free: int) -> Iterator[BeamEvent]:
        cut = SearchEnd.MAX_TOKENS if settings.max_tokens <= free else SearchEnd.CONTEXT_FULL
        if not free:
            yield BeamsFinished((), cut)
            return
        endings = Endings(min(settings.max_tokens, free), text.end_ids, self._stops(text, settings))
        decoder = self._decoder.sibling()
        logits = yield from prefill(decoder, (*text.prompt, *text.generated))
        rows = np.repeat(logits[None], beams.groups, axis=0)  # (running, vocabulary)
        state, batch = begin(beams), None
        while True:
            scores = _scores(rows, state, text, settings)
            step, state = advance(state, scores, beams, endings, _noise(scores, state, text, settings))
            yield step
            if not state.running:
                break
            if batch is None:
                batch = BatchDecoder.forked(decoder, len(state.running))
            else:
                batch.reorder(step.parents)
            rows = batch.feed([beam.ids[-1] for beam in state.running])[0]
        yield BeamsFinished(state.best(beams), cut if state.cut else SearchEnd.FINISHED)

    def _stops(self, text: History, settings: DecodingSettings) -> Callable[[Beam, int], bool]:
        """Whether a token after a beam completes a stop text."""
        longest = max((len(stop.encode()) for stop in settings.stop), default=0)

        def stops(beam: Beam, token_id: int) -> bool:
            if not longest:
                return False
            before = (*text.generated, *beam.ids)[-longest:]  # a token is a byte or more
            return (
                StopWatch(settings, self._tokenizer.data(before)).add(self._tokenizer.token(token_id).data) is not None
            )

        return stops


def prefill(decoder: DecoderSession, token_ids: Sequence[int]) -> Generator[BeamPrefill, None, FloatArray]:
    """Pass a text through the model; returns the logits after it, (vocabulary,)."""
    logits = np.empty(0, np.float32)
    for count in chunks_of(len(token_ids)):
        logits, _ = decoder.feed(token_ids[decoder.length : decoder.length + count])
        yield BeamPrefill(decoder.length, len(token_ids))
    return logits


def _scores(rows: FloatArray, state: BeamState, text: History, settings: DecodingSettings) -> DoubleArray:
    """What each token is worth after each beam, (running, vocabulary)."""
    return np.stack(
        [
            token_scores(row, settings, replace(text, generated=(*text.generated, *beam.ids)))
            for row, beam in zip(rows, state.running, strict=True)
        ]
    )


def _noise(scores: DoubleArray, state: BeamState, text: History, settings: DecodingSettings) -> DoubleArray | None:
    """What makes a draw of the choice of candidates, (running, vocabulary), or nothing."""
    if settings.greedy:
        return None
    position = len(text.prompt) + len(text.generated) + state.length
    return np.stack([gumbel(settings.seed, position, beam, scores.shape[1]) for beam in range(len(scores))])
