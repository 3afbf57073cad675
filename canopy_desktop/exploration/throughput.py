"""What several texts at once cost: tokens per second of concurrent requests, and branches against single steps.

Both work beside the session's own cache, on the same weights, and leave it as it is. Call them on the thread that
owns the decoder.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from canopy_desktop.exploration.measurements import Throughput, ThroughputProgress
from canopy_desktop.exploration.session import ModelSession
from canopy_desktop.model.batch import BatchDecoder, Past
from canopy_desktop.model.decoder import DecoderSession

PROMPT_TOKENS = 16  # of the shortest request; each of the others is two longer, so that their pasts differ
STEPS = 24
SEED = 20261123


@dataclass(frozen=True, slots=True)
class BranchCost:
    """A step of so many branches, beside single steps that ran in turns with it."""

    branches: int
    step_ms: float
    single_ms: float

    @property
    def ratio(self) -> float:
        """Single steps that it costs."""
        return self.step_ms / self.single_ms


def throughput(session: ModelSession, counts: Sequence[int], *, steps: int = STEPS) -> Iterator[Throughput]:
    """Decode greedily for 1, 2, … requests with prompts of their own, of different lengths.

    Raises `EngineError`, `InterruptedStepError` among them.
    """
    return (event for event in throughput_passes(session, counts, steps=steps) if isinstance(event, Throughput))


def throughput_passes(
    session: ModelSession, counts: Sequence[int], *, steps: int = STEPS
) -> Iterator[Throughput | ThroughputProgress]:
    """The same with an event after every pass, so that whoever waits can leave."""
    decoder = session.sequence.decoder.sibling()
    pasts: list[Past] = []
    first_ids: list[int] = []
    for count in counts:
        total = count - min(len(pasts), count) + 1 + steps
        done = 0
        while len(pasts) < count:
            past, first = _request(decoder, len(pasts))
            pasts.append(past)
            first_ids.append(first)
            done += 1
            yield ThroughputProgress(count, done, total)
        batch = BatchDecoder(decoder, pasts[:count], room=steps + 1)
        token_ids = batch.feed(first_ids[:count])[0].argmax(axis=-1).tolist()  # not timed: it touches new memory
        times = []
        for _ in range(steps):
            done += 1
            yield ThroughputProgress(count, done, total)
            began = time.perf_counter()
            token_ids = batch.feed(token_ids)[0].argmax(axis=-1).tolist()
            times.append(time.perf_counter() - began)
        yield Throughput(count, count / float(np.median(times)))


def branch_costs(
    session: ModelSession, counts: Sequence[int], *, past: int = PROMPT_TOKENS, steps: int = STEPS
) -> Iterator[BranchCost]:
    """A step of 1, 2, … branches after `past` shared tokens, in turns with a step of the ordinary decoder."""
    decoder = session.sequence.decoder.sibling()
    ids = _random_ids(decoder, past)
    decoder.feed(ids)
    for count in counts:
        batch = BatchDecoder.forked(decoder, count, room=steps + 1)
        times = []
        for step in range(steps + 1):
            token_ids = [ids[step % past]] * count
            began = time.perf_counter()
            batch.feed(token_ids)
            between = time.perf_counter()
            decoder.feed(token_ids[:1])
            times.append((between - began, time.perf_counter() - between))
        decoder.truncate(past)
        batch_s, single_s = np.median(times[1:], axis=0)  # the first touches new memory
        yield BranchCost(count, 1000 * float(batch_s), 1000 * float(single_s))


def _request(decoder: DecoderSession, number: int) -> tuple[Past, int]:
    """A prefilled past, longer than that of the number before, and the token that it goes on with."""
    ids = _random_ids(decoder, PROMPT_TOKENS + 2 * number, number)
    decoder.truncate(0)
    logits, _ = decoder.feed(ids)
    return Past.of(decoder.cache, len(ids)).copied(), int(logits.argmax())


def _random_ids(decoder: DecoderSession, count: int, request: int = 0) -> list[int]:
    found: list[int] = (
        np.random.default_rng((SEED, request)).integers(decoder.architecture.vocabulary, size=count).tolist()
    )
    return found
