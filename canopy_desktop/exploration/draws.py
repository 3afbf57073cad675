"""Many draws: seeded continuations of one text, and how often each token came first.

Draws are numbered from 0. A draw follows from the text, the settings and its number alone: draw 0 is what an ordinary
run writes, and none depends on how many there are, or on which are decoded beside it (model/batch.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from canopy_desktop.arrays import DoubleArray, FloatArray
from canopy_desktop.decoding.frequencies import Frequencies, frequencies
from canopy_desktop.decoding.pipeline import Distribution, History, choose, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck, RunWatch, StopReason, answer_bytes
from canopy_desktop.model.batch import STEP, BatchDecoder, Past
from canopy_desktop.model.decoder import DecoderSession
from canopy_desktop.model.tokenizer import Tokenizer

ROWS = 8  # draws that are decoded together


@dataclass(frozen=True, slots=True, eq=False)
class FirstDraws:
    """The first token of every draw, from one distribution: all of them cost no pass."""

    history: History
    settings: DecodingSettings
    distribution: Distribution
    token_ids: tuple[int, ...]  # by the number of the draw

    @property
    def chances(self) -> DoubleArray:
        """(vocabulary,) probabilities that a draw gives each token; greedy settings always give the likeliest."""
        if not self.settings.greedy:
            return self.distribution.probabilities
        certain = np.zeros_like(self.distribution.probabilities)
        certain[self.token_ids[0]] = 1.0
        return certain

    def frequencies(self, listed: int) -> Frequencies:
        """Counts against predictions, the `listed` most probable tokens by name."""
        return frequencies(self.chances, self.token_ids, listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """One draw to its end."""

    draw: int
    token_ids: tuple[int, ...]  # an end token is one of them
    text: str  # without the end token, and without the stop text unless it is kept
    total_logprob: float  # natural logarithm of what the model assigned to the tokens, before any setting
    reason: StopReason


@dataclass(frozen=True, slots=True)
class DrawnToken:
    """One more token of one draw."""

    draw: int
    token_id: int
    logprob: float  # natural logarithm of what the model assigned to it, before any setting


@dataclass(frozen=True, slots=True)
class DrawProgress:
    """One more token of every draw that is under way."""

    tokens: int  # drawn so far, in all
    finished: tuple[Continuation, ...]  # with this token
    drawn: tuple[DrawnToken, ...]


def first_draws(logits: FloatArray, history: History, settings: DecodingSettings, count: int) -> FirstDraws:
    """The token that each of `count` draws puts behind a text; `logits` are those after it, (vocabulary,).

    Raises what `pipeline` raises.
    """
    found = pipeline(logits, settings, history)
    position = len(history.prompt) + len(history.generated)
    numbers = range(1 if settings.greedy else count)
    drawn = [choose(found, settings, position, draw).token_id for draw in numbers]
    return FirstDraws(history, settings, found, tuple(drawn * count if settings.greedy else drawn))


def continuations(
    first: FirstDraws,
    decoder: DecoderSession,
    tokenizer: Tokenizer,
    *,
    window: int | None = None,
    rows: int = ROWS,
) -> Iterator[DrawProgress]:
    """All draws to their ends, each up to `settings.max_tokens`; `rows` of them at a time, one pass for each item.

    `decoder` holds the text in its cache, of which a copy is taken now: it is neither read nor changed later. A draw
    that fills the `window` of so many tokens ends there, where an ordinary run may slide. The iterator can be left
    after any item; an interrupt of the decoder raises `InterruptedStepError`, else `ProviderError`.
    """
    size = decoder.context if window is None else window
    return _all_of(_Batches(first, decoder, tokenizer, size), first, rows)


def _all_of(batches: _Batches, first: FirstDraws, rows: int) -> Iterator[DrawProgress]:
    alike = len(first.token_ids) if first.settings.greedy else 1  # without chance, one row stands for all draws
    tokens, count = 0, len(first.token_ids) // alike
    for start in range(0, count, rows):
        for taken, ended in batches.run(range(start, min(start + rows, count))):
            tokens += len(taken) * alike
            finished = tuple(replace(one, draw=one.draw + other) for one in ended for other in range(alike))
            drawn = tuple(replace(one, draw=one.draw + other) for one in taken for other in range(alike))
            yield DrawProgress(tokens, finished, drawn)


@dataclass(slots=True)
class _Row:
    """A draw under way."""

    draw: int
    watch: RunWatch
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    check: ContinuationCheck | None = None  # of the last token

    def newest(self) -> DrawnToken:
        """Its last token."""
        return DrawnToken(self.draw, self.token_ids[-1], self.logprobs[-1])


class _Batches:
    """Decodes draws of one text, some at a time."""

    def __init__(self, first: FirstDraws, decoder: DecoderSession, tokenizer: Tokenizer, window: int) -> None:
        self._first = first
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._window = window
        self._past = Past.of(decoder.cache, decoder.length).copied()
        self._before = [token.data for token in tokenizer.tokens(first.history.generated)]

    def run(self, draws: Sequence[int]) -> Iterator[tuple[tuple[DrawnToken, ...], tuple[Continuation, ...]]]:
        """After each pass the tokens that were taken, and the draws that ended with theirs; the others go on."""
        first, past, batch = self._first, self._past, None
        rows = [_Row(draw, RunWatch(first.settings, first.history.end_ids, b"".join(self._before))) for draw in draws]
        for row in rows:
            self._take(row, first.distribution, first.token_ids[row.draw])
        while True:
            ended = [self._ended(row, reason) for row in rows if (reason := _reason(row)) is not None]
            going = [place for place, row in enumerate(rows) if _reason(row) is None]
            yield tuple(row.newest() for row in rows), tuple(ended)
            if not going:
                return
            if batch is None:
                room = min(first.settings.max_tokens - 1, STEP)  # most end long before a large maximum
                batch = BatchDecoder(self._decoder, [past] * len(going), fork=past.length, room=room)
            elif ended:
                batch.reorder(going)
            rows = [rows[place] for place in going]
            logits, _ = batch.feed([row.token_ids[-1] for row in rows])
            for row, after in zip(rows, logits, strict=True):
                self._decide(row, after)

    def _decide(self, row: _Row, logits: FloatArray) -> None:
        settings, history = self._first.settings, self._first.history
        history = replace(history, generated=(*history.generated, *row.token_ids))
        found = pipeline(logits, settings, history)
        self._take(row, found, choose(found, settings, len(history.prompt) + len(history.generated), row.draw).token_id)

    def _take(self, row: _Row, found: Distribution, token_id: int) -> None:
        row.token_ids.append(token_id)
        row.logprobs.append(found.raw_logprob(token_id))
        used = self._past.length + len(row.token_ids)
        data = self._tokenizer.token(token_id).data
        row.check = row.watch.after(token_id, data, window_used=used, window=self._window, slides=False)

    def _ended(self, row: _Row, reason: StopReason) -> Continuation:
        written = [token.data for token in self._tokenizer.tokens(row.token_ids)]
        answer = answer_bytes([*self._before, *written], row.check, keep_stop=self._first.settings.keep_stop)
        return Continuation(
            draw=row.draw,
            token_ids=tuple(row.token_ids),
            text=answer[sum(map(len, self._before)) :].decode("utf-8", "replace"),
            total_logprob=sum(row.logprobs),
            reason=reason,
        )


def _reason(row: _Row) -> StopReason | None:
    return None if row.check is None else row.check.reason
