"""Leaving out: what each token of the text does for the probability of a chosen next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canopy_desktop.decoding.pipeline import NATS_TO_BITS, pipeline
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.errors import UsageError
from canopy_desktop.exploration.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The text without the token at `position`, or with another there, and what came of it."""

    position: int
    logprob: float  # of the chosen token, natural logarithm, raw
    rank: int  # of the chosen token, from 1
    delta_nats: float  # minus the logprob with all tokens: negative where the token helped the chosen one
    top_id: int  # the likeliest token now
    top_logprob: float

    @property
    def delta_bits(self) -> float:
        """The same difference with logarithms to base 2."""
        return self.delta_nats * NATS_TO_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOut:
    """The effect of each token on one next token.

    All runs go through the model in chunks, so rounding is the same on both sides, with one exception: of a text of
    two tokens one is left, and a single token is rounded otherwise (8 bit: see docs/architecture.md).
    """

    chosen: int
    logprob: float  # with all tokens
    effects: tuple[LeftOut, ...]  # in order of position


def leave_out(
    trial: Trial,
    ids: Sequence[int],
    *,
    chosen: int | None = None,
    positions: Sequence[int] | None = None,
    replacement: int | None = None,
) -> LeaveOut:
    """Leave out each of `positions` (None: all) of `ids`, one at a time.

    `chosen` is the next token that is looked at, None the likeliest one. With `replacement` that token stands in the
    place instead of none. From the last position to the first, so that what is before it is fed once. Raises
    `UsageError`, `InterruptedStepError` or `ProviderError`.
    """
    wanted = range(len(ids)) if positions is None else positions
    check(ids, wanted, replacement)
    found: dict[int, LeftOut] = {}
    whole = pipeline(trial.logits(ids), DecodingSettings())
    token_id = int(whole.logits.argmax()) if chosen is None else chosen
    logprob = whole.raw_logprob(token_id)
    for position in sorted(set(wanted), reverse=True):
        without = _without(ids, position, replacement)
        now = pipeline(trial.logits(without), DecodingSettings())
        top_id = int(now.logits.argmax())
        found[position] = LeftOut(
            position=position,
            logprob=now.raw_logprob(token_id),
            rank=now.rank(token_id),
            delta_nats=now.raw_logprob(token_id) - logprob,
            top_id=top_id,
            top_logprob=now.raw_logprob(top_id),
        )
    return LeaveOut(chosen=token_id, logprob=logprob, effects=tuple(found[position] for position in sorted(found)))


def check(ids: Sequence[int], positions: Sequence[int], replacement: int | None) -> None:
    """Raise `UsageError` for a position that there is not, or where nothing would be left."""
    if len(ids) < 2 and replacement is None:
        raise UsageError("Nothing would be left of a text of one token: use a longer one.")
    for position in positions:
        if not 0 <= position < len(ids):
            raise UsageError(f"Positions go from 0 to {len(ids) - 1}, so {position} is none.")


def _without(ids: Sequence[int], position: int, replacement: int | None) -> list[int]:
    return [*ids[:position], *([] if replacement is None else [replacement]), *ids[position + 1 :]]
