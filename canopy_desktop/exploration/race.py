"""The cache switched off, beside the cache switched on: three ways to the same logits, timed step by step.

- without the cache, every step passes the whole text through the model again, in the usual chunks;
- refed, the cache keeps all but the last two tokens, which pass together: bit-equal to the first, since a token that
  passes alone is rounded otherwise than in a chunk (docs/architecture.md, "Rounding");
- cached is ordinary decoding, one token a step; it differs by that rounding.

All three follow the same text, so a difference is of one step and does not add up.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.errors import EmptyPromptError, PromptTooLongError
from canopy_desktop.exploration.cache_size import CacheSize, cache_size
from canopy_desktop.exploration.measurements import Lap, RaceEvent, RaceFinished, RaceProgress, RaceStep
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.decoder import DecoderSession, chunks_of

_Timed: TypeAlias = tuple[FloatArray, float]  # logits, milliseconds


class Race:
    """Three decoders on a session's weights, with caches of their own: the session's is left alone.

    For the thread that owns the session's decoder, whose `interrupt` ends a pass here too.
    """

    def __init__(self, session: ModelSession) -> None:
        decoder = session.sequence.decoder
        self._end_ids = session.card.end_ids
        self._context = decoder.context
        self._recomputing, self._refeeding, self._caching = (decoder.sibling() for _ in range(3))

    def run(
        self, prompt_ids: Sequence[int], max_tokens: int, *, given: Sequence[int] | None = None
    ) -> Iterator[RaceEvent]:
        """Steps as they are run, at most `max_tokens`; the text goes on greedily to an end token, or as `given`.

        Progress comes between two chunks, so that whoever waits can leave. Raises `EmptyPromptError`,
        `PromptTooLongError`, `InterruptedStepError` or `ProviderError`; after any of them a new run can begin.
        """
        if not prompt_ids:
            raise EmptyPromptError
        if len(prompt_ids) > self._context:
            raise PromptTooLongError(len(prompt_ids), self._context)
        return self._steps(list(prompt_ids), max_tokens if given is None else min(max_tokens, len(given)), given)

    def cache_size(self) -> CacheSize:
        """The ordinary runner's cache, as far as the race has come."""
        return cache_size(self._caching)

    def _steps(self, text: list[int], limit: int, given: Sequence[int] | None) -> Iterator[RaceEvent]:
        self._prepare(text, limit)
        for step in range(limit):
            if len(text) >= self._context:
                yield RaceFinished(StopReason.CONTEXT_FULL)
                return
            whole, refed, cached = yield from (self._laps(text, step) if step else self._start(text))
            chosen = int(whole[0].argmax())
            token_id = chosen if given is None else given[step]
            yield RaceStep(
                position=len(text),
                token_id=token_id,
                without_cache=_lap(whole, whole),
                refed=_lap(refed, whole),
                cached=_lap(cached, whole),
            )
            text.append(token_id)
            if given is None and token_id in self._end_ids:
                yield RaceFinished(StopReason.END_TOKEN)
                return
        yield RaceFinished(StopReason.MAX_TOKENS)

    def _prepare(self, text: list[int], limit: int) -> None:
        """Memory is found and touched, and the weights read, before anything is timed."""
        for decoder in (self._recomputing, self._refeeding, self._caching):
            decoder.truncate(0)
            decoder.reserve(min(self._context, len(text) + limit))
            decoder.feed(text[:2])
            decoder.truncate(0)

    def _start(self, text: list[int]) -> Generator[RaceEvent, None, tuple[_Timed, _Timed, _Timed]]:
        """The prefill, which is the same for all: run once, and its cache copied."""
        whole = yield from self._recompute(text)
        for decoder in (self._refeeding, self._caching):
            decoder.cache.copy(self._recomputing.cache, len(text))
            decoder.length = len(text)
        return whole, whole, whole

    def _laps(self, text: list[int], step: int) -> Generator[RaceEvent, None, tuple[_Timed, _Timed, _Timed]]:
        """Each runner's pass; the turns change, so that none always finds what another left in the processor."""
        found: dict[int, _Timed] = {}
        for turn in range(3):
            match (step + turn) % 3:
                case 0:
                    found[0] = yield from self._recompute(text)
                case 1:
                    found[1] = self._timed(self._refeeding, max(0, len(text) - 2), text[-2:])
                case _:
                    found[2] = self._timed(self._caching, len(text) - 1, text[-1:])
        return found[0], found[1], found[2]

    def _recompute(self, text: list[int]) -> Generator[RaceEvent, None, _Timed]:
        done, total_ms = 0, 0.0
        logits = np.empty(0, np.float32)
        for count in chunks_of(len(text)):
            if done:
                yield RaceProgress(done, len(text))
            logits, ms = self._timed(self._recomputing, done, text[done : done + count])
            done, total_ms = done + count, total_ms + ms
        return logits, total_ms

    def _timed(self, decoder: DecoderSession, kept: int, token_ids: list[int]) -> _Timed:
        """Feed after the first `kept` positions."""
        began = time.perf_counter()
        decoder.truncate(kept)
        logits, _ = decoder.feed(token_ids)
        return logits, 1000 * (time.perf_counter() - began)


def _lap(timed: _Timed, whole: _Timed) -> Lap:
    logits, ms = timed
    return Lap(int(logits.argmax()), ms, float(np.abs(logits - whole[0]).max()))
