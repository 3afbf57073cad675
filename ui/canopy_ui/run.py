"""The run in hand, as far as the window has heard of it."""

from __future__ import annotations

from canopy_desktop.exploration.records import (
    PROMPT_NODE,
    GenerationEvent,
    RemakeProgress,
    ReplayProgress,
    RunFailed,
    RunFinished,
    RunPaused,
    SlideProgress,
)
from canopy_desktop.exploration.trail import Change
from canopy_ui.chronicle import Chronicle
from canopy_ui.state import RunPhase, RunState


class Run:
    """Its number, its phase, and what it is at. Used on one thread.

    Every command that changes where we stand takes a new number. Steps of an older run of the same exploration are
    still facts; what comes of runs before `oldest` is of another one.
    """

    def __init__(self) -> None:
        self.phase = RunPhase.LOADING
        self.number = 0
        self.oldest = 1
        self.playing = False  # how the person went on last: Run, or Step
        self.must_resume = False  # it is over, or its cursor was moved, or it was to decide otherwise
        self._finished: RunFinished | None = None  # the one that ended last
        self._sliding: SlideProgress | None = None
        self._remaking: RemakeProgress | ReplayProgress | None = None

    @property
    def end(self) -> RunFinished | None:
        """How it ended; None: it did not."""
        return self._finished if self.phase is RunPhase.FINISHED else None

    def next(self) -> int:
        """The number of another command."""
        self.number += 1
        self._remaking = None
        return self.number

    def leave(self) -> None:
        """Another exploration is shown, or none: what still comes is dropped."""
        self.oldest = self.next()

    def remake(self, progress: RemakeProgress | ReplayProgress) -> None:
        """Columns are being made again."""
        self._remaking = progress

    def note(self, event: GenerationEvent) -> bool:
        """Whether this is of the newest command."""
        current = event.run_id == self.number
        self._sliding = event if isinstance(event, SlideProgress) and current else None
        if current:
            self._remaking = event if isinstance(event, RemakeProgress | ReplayProgress) else None
        return current

    def phase_after(self, event: RunPaused | RunFinished | RunFailed) -> RunPhase:
        """The phase that follows; a run that is over has to be taken up anew."""
        match event:
            case RunPaused():
                return RunPhase.PAUSED
            case RunFinished():
                self.must_resume, self._finished = True, event
                return RunPhase.FINISHED
            case RunFailed():
                self.must_resume = True
                return RunPhase.FAILED

    def state(
        self,
        chronicle: Chronicle,
        *,
        undoes: Change | None,
        redoes: Change | None,
        edited: bool,
        loaded: bool,
        alone: bool,
    ) -> RunState:
        """All of it, for everything in the window that depends on it."""
        return RunState(
            phase=self.phase,
            reason=self.end.reason if self.end else None,
            processed=chronicle.processed,
            prompt_tokens=chronicle.prompt_tokens,
            generated=chronicle.generated,
            can_go_back=chronicle.cursor != PROMPT_NODE and self.phase is not RunPhase.PREFILLING,
            slid=self._sliding.done if self._sliding else 0,
            to_slide=self._sliding.total if self._sliding else 0,
            undoes=undoes,
            redoes=redoes,
            remade=self._remaking.done if self._remaking else 0,
            to_remake=self._remaking.total if self._remaking else 0,
            edited=chronicle.begun and edited,
            loaded=loaded,
            alone=alone,
        )
