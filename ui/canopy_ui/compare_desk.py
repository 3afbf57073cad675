"""The window's copy of a comparison: what both sides have said so far, and which steps of it have been read."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.decoding.stopping import StopReason
from canopy_desktop.exploration.compare_view import (
    CompareStage,
    CompareView,
    Side,
    SideReading,
    SideView,
    SideWish,
    StepPicture,
)
from canopy_desktop.exploration.compared import differing_settings, parting, shared_beginning
from canopy_desktop.exploration.records import StepRecord
from canopy_desktop.model.tokenizer import Token
from canopy_ui.compare_events import (
    CompareCommand,
    CompareEvent,
    CompareFailed,
    CompareLeft,
    CompareOver,
    ModelOpening,
    SideBegun,
    SideRead,
    SideStepped,
)
from canopy_ui.compare_reader import PictureRequest, PictureResult

REPAINT_MS = 33
STEPS_A_MS = 40  # that many steps of both make a repaint a millisecond later


class _SideNotes:
    """What is known of one side; grows with its events."""

    def __init__(self, begun: SideBegun) -> None:
        self.begun = begun
        self.steps: list[StepRecord] = []
        self.tokens: list[Token] = []
        self.read = 0
        self.reason: StopReason | None = None

    def add(self, step: StepRecord) -> None:
        self.steps.append(step)
        self.tokens.append(self.begun.tokenizer.token(step.chosen.token_id))
        self.read = len(self.begun.prompt)

    def view(self) -> SideView:
        return SideView(
            model=self.begun.model,
            weights=self.begun.weights,
            prompt=self.begun.prompt,
            steps=tuple(self.steps),
            tokens=tuple(self.tokens),
            read=self.read,
            reason=self.reason,
        )

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)

    @property
    def text(self) -> str:
        return b"".join(token.data for token in self.tokens).decode("utf-8", "replace")


class CompareDesk(QObject):
    """Lives on the GUI thread. One comparison at a time; the newest wins."""

    changed = Signal(object)  # CompareView
    failed = Signal(object)  # Exception
    requested = Signal(object)  # CompareCommand
    stop_requested = Signal()
    release_requested = Signal()  # the other model is no longer needed
    reading_requested = Signal(object)  # PictureRequest
    models_requested = Signal()
    models_found = Signal(object)  # ModelsFound

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._number = 0
        self._command: CompareCommand | None = None
        self._stage = CompareStage.EMPTY
        self._opened = 0.0
        self._notes: dict[Side, _SideNotes] = {}
        self._readings: tuple[SideReading, SideReading] | None = None
        self._pictures: dict[int, StepPicture] = {}
        self._unread: set[int] = set()  # places that could not be read
        self._selected: int | None = None  # None: the newest step, or the first that differs
        self._reading = False
        self._shown = False
        self._held: Path | None = None  # the folder of the model that is open for B
        self._repaint = QTimer(self, singleShot=True)
        self._repaint.timeout.connect(self._publish)

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing is awaited."""
        return not self._stage.busy and not self._reading and not self._repaint.isActive()

    @property
    def wishes(self) -> tuple[SideWish, SideWish] | None:
        """What the sides of the comparison were asked for; None: nothing was compared."""
        return None if self._command is None else (self._command.a, self._command.b)

    def compare(self, a: SideWish, b: SideWish) -> None:
        """Run both anew."""
        if self._stage.busy:
            self.stop_requested.emit()
        self._number += 1
        self._command = CompareCommand(number=self._number, a=a, b=b)
        self._forget()
        if self._held not in (None, b.model):
            self.release_requested.emit()
        self._held = b.model
        self._stage = CompareStage.RUNNING if b.model is None else CompareStage.OPENING
        self.requested.emit(self._command)
        self._publish()

    @Slot()
    def stop(self) -> None:
        """End both runs where they are; what they made stays."""
        if self._stage.busy:
            self.stop_requested.emit()

    @Slot(object)
    def select(self, place: int | None) -> None:
        """Look at a step; None: the first one that differs, or the last."""
        if place != self._selected:
            self._selected = place
            self._publish()
            self._ask()

    @Slot(bool)
    def show(self, shown: bool) -> None:
        """Whether a panel shows it; without one the other model is closed, but for a run in hand."""
        if shown and not self._shown:
            self.models_requested.emit()
        self._shown = shown
        self._release_unneeded()

    @Slot(object)
    def take(self, event: CompareEvent) -> None:
        """Note what the inference thread says."""
        if event.number != self._number:
            return
        match event:
            case ModelOpening(share=share):
                self._opened = share
            case SideBegun(side=side):
                self._stage = CompareStage.RUNNING
                self._notes[side] = _SideNotes(event)
            case SideRead(side=side, done=done):
                self._notes[side].read = done
            case SideStepped(side=side, step=step):
                self._notes[side].add(step)
            case CompareOver(a=a, b=b):
                self._finish(a, b)
            case CompareLeft():
                self._stage = CompareStage.EMPTY
                self._release_unneeded()
            case CompareFailed(error=error):
                self._stage = CompareStage.FAILED
                self._held = None
                self.release_requested.emit()
                self.failed.emit(error)
            case _:
                assert_never(event)
        self._publish_soon()

    @Slot(object)
    def take_picture(self, result: PictureResult) -> None:
        """Note a step that was read."""
        if result.request.number != self._number:
            return
        self._reading = False
        if result.picture is None:
            self._unread.add(result.request.place)
        else:
            self._pictures[result.request.place] = result.picture
        self._publish_soon()
        self._ask()

    def forget(self) -> None:
        """Another model is open: what was compared belongs to the one before."""
        self._number += 1
        self._forget()
        self._held = None
        self._stage = CompareStage.EMPTY
        self._publish()

    def view(self) -> CompareView:
        """What the panel paints."""
        command = self._command
        a, b = self._notes.get(Side.A), self._notes.get(Side.B)
        if command is None or a is None or b is None:
            return CompareView(stage=self._stage, opened=self._opened)
        same = b.begun.same_vocabulary
        prompts = [tuple(token.id for token in side.begun.prompt) for side in (a, b)]
        return CompareView(
            stage=self._stage,
            a=a.view(),
            b=b.view(),
            same_vocabulary=same,
            settings=differing_settings(command.a.settings, command.b.settings),
            prompt=parting(a.begun.text, b.begun.text, (prompts[0], prompts[1]) if same else None),
            text=parting(a.text, b.text, (a.ids, b.ids) if same else None),
            shared=self._shared(),
            pictures=dict(self._pictures),
            selected=self._place(),
        )

    def _place(self) -> int | None:
        """The step that is looked at: the chosen one, the first that differs, or the last."""
        lengths = [len(side.tokens) for side in self._notes.values()]
        if not any(lengths):
            return None
        if self._selected is not None:
            return min(self._selected, max(lengths) - 1)
        return min(self._shared(), max(lengths) - 1)

    def _shared(self) -> int:
        a, b = self._notes[Side.A], self._notes[Side.B]
        return shared_beginning([token.data for token in a.tokens], [token.data for token in b.tokens])

    def _finish(self, a: SideReading, b: SideReading) -> None:
        self._stage = CompareStage.DONE
        self._notes[Side.A].reason, self._notes[Side.B].reason = a.run.reason, b.run.reason
        self._readings = a, b
        self._release_unneeded()
        self._ask()

    def _ask(self) -> None:
        """Ask for the next step that is not read: the one that is looked at, then all before the texts part."""
        if self._readings is None or self._reading:
            return
        a, b = self._readings
        until = min(self._shared() + 1, len(a.run.steps), len(b.run.steps))
        wanted = [place for place in (self._place(), *range(until)) if place is not None]
        place = next((one for one in wanted if one not in self._pictures and one not in self._unread), None)
        if place is None:
            return
        self._reading = True
        same = self._notes[Side.B].begun.same_vocabulary
        self.reading_requested.emit(PictureRequest(number=self._number, a=a, b=b, same_vocabulary=same, place=place))

    def _release_unneeded(self) -> None:
        if self._held is not None and not self._shown and not self._stage.busy:
            self._held = None
            self.release_requested.emit()

    def _forget(self) -> None:
        self._notes, self._readings, self._reading = {}, None, False
        self._pictures, self._unread, self._selected = {}, set(), None
        self._opened = 0.0

    def _publish_soon(self) -> None:
        """At the screen's pace, and more seldom where the texts are long."""
        if not self._repaint.isActive():
            steps = sum(len(side.steps) for side in self._notes.values())
            self._repaint.start(REPAINT_MS + steps // STEPS_A_MS)

    @Slot()
    def _publish(self) -> None:
        self._repaint.stop()
        self.changed.emit(self.view())
