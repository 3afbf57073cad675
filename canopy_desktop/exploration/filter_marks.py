"""Which tokens the output filter hit, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from canopy_desktop.decoding.output_filter import MASK_SIGN, FilterAction, FilterHit
from canopy_desktop.decoding.stopping import TextStream
from canopy_desktop.exploration.records import Guarding, StepRecord


@dataclass(frozen=True, slots=True)
class FilterMark:
    """One token of a hit."""

    entry: str  # of the list
    action: FilterAction
    shown: str  # the token's text as it is shown: blocks where it is masked


def filter_marks(
    steps: Sequence[StepRecord], data_of: Callable[[int], bytes], end: Guarding | None = None
) -> dict[int, FilterMark]:
    """The marks of generated tokens, by their places among `steps`, which begin after the prompt.

    `end`: what became a hit because the text ends with the last of them.
    """
    guardings = [step.guarding for step in steps if step.guarding is not None]
    hits = [hit for guarding in (*guardings, *((end,) if end else ())) for hit in guarding.hits]
    if not hits:
        return {}
    marks: dict[int, FilterMark] = {}
    stream, start = TextStream(), 0
    for place, step in enumerate(steps):
        text = stream.add(data_of(step.chosen.token_id))
        own = [hit for hit in hits if hit.start < start + len(text) and start < hit.end]
        if own:
            marks[place] = FilterMark(own[0].entry, own[0].action, _masked(text, start, own))
        start += len(text)
    return marks


def pending_guarding(steps: Sequence[StepRecord], data_of: Callable[[int], bytes]) -> Guarding | None:
    """What would be a hit if the text ended here, where hits are masked: no word is seen before it is whole."""
    last = steps[-1].guarding if steps else None
    if last is None or last.output_filter.action is not FilterAction.MASK:
        return None
    failures = [failure for step in steps if step.guarding is not None for failure in step.guarding.failures]
    text = TextStream(b"".join(data_of(step.chosen.token_id) for step in steps)).text
    check = last.output_filter.without(failures).check(text, text, final=True)
    return Guarding(last.output_filter, hits=check.hits)


def _masked(text: str, start: int, hits: Sequence[FilterHit]) -> str:
    """A token's text from character `start` on, with blocks where a hit masks it."""
    shown = text
    for hit in hits:
        if hit.action is FilterAction.MASK:
            first, last = max(0, hit.start - start), min(len(text), hit.end - start)
            shown = shown[:first] + MASK_SIGN * (last - first) + shown[last:]
    return shown
