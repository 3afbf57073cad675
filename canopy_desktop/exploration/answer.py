"""What a run answered: the text that its tokens wrote, and what of it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from canopy_desktop.decoding.output_filter import FilterHit
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import answer_bytes
from canopy_desktop.exploration.records import RunFinished, StepRecord
from canopy_desktop.model.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated text."""

    written: str  # by the model, up to its end token or stop text
    shown: str  # what the output filter leaves of it
    hits: tuple[FilterHit, ...]  # of the filter, in all of the generated text


def answer_of(
    steps: Sequence[StepRecord], end: RunFinished | None, settings: DecodingSettings, tokenizer: Tokenizer
) -> Answer:
    """The text of all generated tokens from the prompt on; `end` is None while the run goes on."""
    tokens = [tokenizer.token(step.chosen.token_id).data for step in steps]
    check = end.check if end else None
    written = answer_bytes(tokens, check, keep_stop=settings.keep_stop).decode(errors="replace")
    found = [step.guarding for step in steps if step.guarding]
    found += [end.guarding] if end and end.guarding else []
    hits = tuple(hit for guarding in found for hit in guarding.hits if hit.start < len(written))
    return Answer(written, found[-1].output_filter.shown(written, hits) if found else written, hits)
