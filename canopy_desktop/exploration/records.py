"""What happened, as frozen facts: steps, progress and ends of runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from canopy_desktop.decoding.output_filter import FilterFailure, FilterHit, OutputFilter
from canopy_desktop.decoding.pipeline import StageName
from canopy_desktop.decoding.settings import DecodingSettings
from canopy_desktop.decoding.stopping import ContinuationCheck, StopReason
from canopy_desktop.model.chat import TemplatedPrompt

Slot: TypeAlias = int
"""The number of a column in the column store."""

UNMADE: Slot = -1
"""Stands for a column of a reopened exploration that has not been made again."""

PROMPT_NODE = -1
"""The node that stands for the whole prompt; every first step has it as parent."""


class Kept(Enum):
    """What of a column may be given up when memory is short, and made again. In the order in which it goes."""

    RESIDUALS = "residuals"  # all but the last
    QUERIES = "queries"


class ChosenBy(Enum):
    """Who decided for a token."""

    GREEDY = "greedy"
    SAMPLED = "sampled"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One token that could come next."""

    token_id: int
    logit: float
    raw_logprob: float  # natural logarithm, before any stage
    probability: float  # after all stages; 0 where a stage removed it


@dataclass(frozen=True, slots=True)
class StageSummary:
    """What one stage did, in numbers of tokens."""

    name: StageName
    kept: int
    removed: int
    changed: int  # tokens whose score it moved
    active: bool  # whether the settings asked for it


@dataclass(frozen=True, slots=True)
class EndFigures:
    """The end tokens at one step: together, and the likeliest of them."""

    probability: float  # raw, summed
    rank: int  # of the likeliest, among the raw logits, from 1
    probability_after: float  # after all stages, summed
    rank_after: int | None  # None where it was removed


@dataclass(frozen=True, slots=True)
class Rejection:
    """A token that the output filter did not let through, and the number that was drawn for it."""

    token_id: int
    uniform: float | None
    hits: tuple[FilterHit, ...]


@dataclass(frozen=True, slots=True)
class Guarding:
    """What the output filter did at one step. Spans count characters of the generated text."""

    output_filter: OutputFilter
    hits: tuple[FilterHit, ...] = ()  # completed by this token, and let through
    failures: tuple[FilterFailure, ...] = ()  # patterns that took too long
    rejected: tuple[Rejection, ...] = ()  # before this token, in their order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepRecord:
    """One decision: the token at `position`, and the distribution it was chosen from."""

    run_id: int
    node: int  # its number in the tree
    parent: int  # the node before it, or PROMPT_NODE
    position: int  # where the chosen token stands in the text, from 0; slides of the window do not change it
    chosen: Candidate
    index: int  # its number among the generated tokens, from 1
    rank: int  # of the chosen token among the raw logits, from 1
    rank_after: int | None  # among those that are left; None where it was removed, and a person chose it
    chosen_by: ChosenBy
    candidates: tuple[Candidate, ...] = field(repr=False)  # the 50 highest raw logits, highest first
    vocabulary: int  # number of tokens that the distribution is over
    kept: int  # tokens that no stage removed: the size of the nucleus
    stages: tuple[StageSummary, ...] = field(repr=False)
    entropy_bits: float  # of the raw distribution
    end: EndFigures | None  # None: the model has no end token
    uniform: float | None  # the number that was drawn; None when nothing was
    low: float  # where the chosen token's stretch of the cumulative strip begins,
    high: float  # and where it ends
    total_logprob: float  # natural logarithm of what the model assigned to the generated text, with this token
    check: ContinuationCheck = field(repr=False)  # in the run that made it
    guarding: Guarding | None = field(repr=False)  # None: there was no output filter
    settings: DecodingSettings = field(repr=False)
    source: Slot  # the column whose last residual gave the logits
    ms: float  # from the token before to this one

    @property
    def perplexity(self) -> float:
        """Of the generated text up to and with this token: exp(-mean log p)."""
        nats = -self.total_logprob / self.index
        return math.exp(nats) if nats < 700.0 else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAccepted:
    """A new exploration begins with this prompt."""

    run_id: int
    prompt: TemplatedPrompt
    context: int  # tokens that the window holds


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillProgress:
    """So many of the prompt's tokens have passed through the model."""

    run_id: int
    done: int
    total: int
    ms: float  # since the prefill began
    slots: tuple[Slot, ...] = field(repr=False)  # the new columns, in order of position


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideProgress:
    """The window is sliding: so many of its tokens have passed through the model again."""

    run_id: int
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSlid:
    """The window was full at `node`: its oldest tokens were dropped, and what is left has passed through again."""

    run_id: int
    node: int  # the one whose next token did not fit
    kept: int  # tokens at the text's beginning that stayed where they were, with their columns
    first: int  # position in the text of the first token that was dropped
    last: int  # and of the last
    slots: tuple[Slot, ...] = field(repr=False)  # the new columns of the tokens from `last` + 1 to the node's own
    ms: float

    @property
    def dropped(self) -> int:
        """Tokens that were dropped."""
        return self.last - self.first + 1

    @property
    def prefilled(self) -> int:
        """Tokens that passed through the model again."""
        return len(self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemakeProgress:
    """So many of the columns that had made room are there again."""

    run_id: int
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayProgress:
    """A reopened exploration passes through the model again; what one pass left, and how far it is."""

    run_id: int
    done: int  # tokens that have passed
    total: int
    prompt: tuple[Slot, ...] = field(default=(), repr=False)  # the prompt's next columns, in order of position
    own: tuple[int, Slot] | None = None  # a node, and the column of its own token
    slide: WindowSlid | None = None  # with its columns; it was in the exploration before


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused:
    """The run waits on the current token."""

    run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run ended."""

    run_id: int
    reason: StopReason
    check: ContinuationCheck | None = None  # of its last token; None: it has none
    guarding: Guarding | None = None  # what the output filter finds because the text ends here


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed:
    """The run could not go on; the exploration stays as it was."""

    run_id: int
    error: Exception


GenerationEvent: TypeAlias = (
    PromptAccepted
    | PrefillProgress
    | SlideProgress
    | WindowSlid
    | StepRecord
    | RemakeProgress
    | ReplayProgress
    | RunPaused
    | RunFinished
    | RunFailed
)
