"""Where a run stands, for everything in the window that depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.trail import Change


class RunPhase(Enum):
    """What the program is doing."""

    LOADING = "loading"  # no model yet
    EMPTY = "empty"  # nothing to run: the prompt has no token
    READY = "ready"  # a prompt waits, nothing has been run
    PREFILLING = "prefilling"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"


BUSY = (RunPhase.PREFILLING, RunPhase.RUNNING)  # the model is at work on its own


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """The phase, and the facts that belong to it."""

    phase: RunPhase
    reason: StopReason | None = None  # when finished
    processed: int = 0  # prompt tokens that have passed through the model
    prompt_tokens: int = 0
    slid: int = 0  # tokens of a slide under way that have passed through the model again
    to_slide: int = 0  # of so many; 0 when the window does not slide
    remade: int = 0  # columns that are there again, while what is gone is made again
    to_remake: int = 0  # of so many; 0 when nothing is made again
    generated: int = 0  # tokens from the prompt to where we stand
    can_go_back: bool = False
    undoes: Change | None = None  # the deed that can be taken back
    redoes: Change | None = None  # the one that was taken back last
    edited: bool = False  # the prompt is no longer the one that was run
    loaded: bool = True  # a model is there
    alone: bool = False  # the exploration is one of another model, or of none: it can be read, and walked along

    @property
    def can_undo(self) -> bool:
        """Whether there is a deed to take back."""
        return self.undoes is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is one that was taken back."""
        return self.redoes is not None

    @property
    def busy(self) -> bool:
        """Whether the model is at work on its own."""
        return self.phase in BUSY

    @property
    def can_run(self) -> bool:
        """Whether Run and Step have something to do."""
        return (self.loaded or self.alone) and self.phase not in (RunPhase.LOADING, RunPhase.EMPTY)

    @property
    def can_stop(self) -> bool:
        """Whether there is a run to end."""
        return self.phase in (RunPhase.PREFILLING, RunPhase.RUNNING, RunPhase.PAUSED)

    @property
    def can_reset(self) -> bool:
        """Whether there is something to clear."""
        return self.can_stop or self.phase in (RunPhase.FINISHED, RunPhase.FAILED)
