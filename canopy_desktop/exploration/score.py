"""Forced scoring: how likely the model found a text that somebody else wrote, token by token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from canopy_desktop.arrays import FloatArray
from canopy_desktop.decoding.pipeline import NATS_TO_BITS, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import EmptyPromptError, PromptTooLongError
from canopy_desktop.model.decoder import DecoderSession, chunks_of
from canopy_desktop.model.device import on_host
from canopy_desktop.model.tokenizer import Tokenizer

ROWS = 16  # residuals whose logits are computed at once: 3 MB
MODELS_OWN = DecodingSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScore:
    """How the model met one token. All of it is before any setting."""

    position: int  # in the text, from 0
    token_id: int
    logprob: float  # natural logarithm
    rank: int  # from 1; of equal logits the lower id comes first
    entropy_bits: float  # of the distribution that it was met with
    likeliest_id: int
    likeliest_logprob: float

    @property
    def probability(self) -> float:
        """That the model assigned to it."""
        return math.exp(self.logprob)

    @property
    def surprisal_bits(self) -> float:
        """-log₂ of the probability."""
        return -self.logprob * NATS_TO_BITS


@dataclass(frozen=True, slots=True)
class ScoreSums:
    """What tokens come to together."""

    tokens: int
    total_logprob: float
    mean_rank: float

    @property
    def total_bits(self) -> float:
        """The sum of their surprisals."""
        return -self.total_logprob * NATS_TO_BITS

    @property
    def perplexity(self) -> float:
        """exp(-mean log p): among how many equally likely tokens the model would have been as unsure."""
        nats = -self.total_logprob / self.tokens
        return math.exp(nats) if nats < 700.0 else math.inf


@dataclass(frozen=True, slots=True)
class Border:
    """A prompt and what follows it as tokens: each encoded by itself, and both as one text.

    Apart is what a run does, which goes on from the prompt's own tokens. Together is how one would find the whole
    text in a book; a token may then lie across the border, and counts as one of the continuation's.
    """

    apart: tuple[int, ...]
    apart_first: int  # the index of the continuation's first token
    together: tuple[int, ...]
    together_first: int

    @property
    def differing(self) -> tuple[slice, slice] | None:
        """Where the tokens differ, apart and together; None where they are the same."""
        one, other = self.apart, self.together
        if one == other:
            return None
        same_before = _alike(one, other)
        most = min(len(one), len(other)) - same_before
        same_after = min(most, _alike(one[::-1], other[::-1]))
        return slice(same_before, len(one) - same_after), slice(same_before, len(other) - same_after)


def border(tokenizer: Tokenizer, prompt: str, continuation: str) -> Border:
    """Both ways to encode a text in two pieces; special-token text becomes special tokens."""
    before, after = tokenizer.encode(prompt).ids, tokenizer.encode(continuation, inside=True).ids
    together = tokenizer.encode(prompt + continuation).ids
    ends = accumulate(tokenizer.lengths(together))
    prompt_bytes = sum(tokenizer.lengths(before))
    within = sum(1 for _ in takewhile(lambda end: end <= prompt_bytes, ends))
    return Border(before + after, len(before), together, within)


def score(decoder: DecoderSession, ids: Sequence[int], first: int = 0) -> Iterator[tuple[TokenScore, ...]]:
    """Scores of a text's tokens from `first` on, up to `ROWS` for each item; its first token has none.

    The text passes in the chunks of a prompt, so that each token has the bits of the surprisal that is shown for a
    prompt; generating passes single tokens, which rounds otherwise (docs/architecture.md, "Rounding"). `decoder` is
    owned: the `sibling` of one that is in use. The iterator can be left after any item. Raises `EmptyPromptError`,
    `PromptTooLongError`, `InterruptedStepError` or `ProviderError`.
    """
    if not ids:
        raise EmptyPromptError
    if len(ids) > decoder.context:
        raise PromptTooLongError(len(ids), decoder.context)
    return _scores(decoder, list(ids), max(first, 1))


def summed(scores: Sequence[TokenScore]) -> ScoreSums | None:
    """Sums over tokens; None of no tokens."""
    if not scores:
        return None
    total = math.fsum(token.logprob for token in scores)
    return ScoreSums(len(scores), total, sum(token.rank for token in scores) / len(scores))


def _scores(decoder: DecoderSession, ids: list[int], first: int) -> Iterator[tuple[TokenScore, ...]]:
    decoder.truncate(0)
    for count in chunks_of(len(ids)):
        done = decoder.length
        _, columns = decoder.feed(ids[done : done + count])
        residuals = on_host(columns.last)  # (count, hidden)
        last = min(done + count, len(ids) - 1)  # what follows the text is nobody's token
        for start in range(max(done, first - 1), last, ROWS):
            stop = min(start + ROWS, last)
            logits = decoder.head.logits(residuals[start - done : stop - done])
            yield tuple(_score(row, ids[at + 1], at + 1) for at, row in enumerate(logits, start))


def _score(logits: FloatArray, token_id: int, position: int) -> TokenScore:
    found = pipeline(logits, MODELS_OWN)
    likeliest = int(logits.argmax())
    return TokenScore(
        position=position,
        token_id=token_id,
        logprob=found.raw_logprob(token_id),
        rank=found.rank(token_id),
        entropy_bits=found.entropy_bits(),
        likeliest_id=likeliest,
        likeliest_logprob=found.raw_logprob(likeliest),
    )


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """With how many ids both begin."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
