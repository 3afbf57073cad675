"""Going through the newest step stage by stage, by hand and in slow motion."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_desktop.exploration.stages import FIRST, LAST, neighbour
from canopy_ui.controller import Controller
from canopy_ui.state import RunPhase, RunState

PACE_MS = 1500  # of a stage, where the speed is full speed


class StageWalk(QObject):
    """Stands between the keys for stages and the controller, which knows where we stand."""

    slow_changed = Signal(bool)  # whether it goes on by itself

    def __init__(self, controller: Controller, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._entering: int | None = None  # tokens there when another was asked for, whose first stage comes next
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_timeout)
        controller.step_taken.connect(self._on_step_taken)
        controller.state_changed.connect(self._on_state_changed)

    @property
    def slow(self) -> bool:
        """Whether it goes on by itself."""
        return self._timer.isActive()

    @Slot()
    def forward(self) -> None:
        """Look at the newest step's next stage; after the last, take another step and look at its first."""
        controller = self._controller
        if self._entering is not None:
            return
        self._follow_newest()
        following = neighbour(controller.sight.selection.stage, 1)
        if controller.state.busy or controller.state.edited or not controller.state.generated or following is None:
            self._entering = controller.state.generated
            controller.step()
        else:
            controller.sight.look_at_stage(following)

    @Slot()
    def back(self) -> None:
        """Look at the stage before; before the first, go back one token and look at its last."""
        controller = self._controller
        self._follow_newest()
        before = neighbour(controller.sight.selection.stage, -1)
        if before is not None:
            controller.sight.look_at_stage(before)
        elif controller.state.can_go_back:
            controller.sight.look_at_stage(LAST)
            controller.back()

    @Slot(bool)
    def play(self, wanted: bool) -> None:
        """Go forward by itself, at the speed of the transport, or stop doing so."""
        if wanted == self.slow:
            return
        if wanted:
            self._timer.start(self._controller.interval_ms or PACE_MS)
            self.forward()
        else:
            self._timer.stop()
        self.slow_changed.emit(wanted)

    @Slot(int)
    def set_pace(self, interval_ms: int) -> None:
        """The transport has another speed."""
        if self.slow:
            self._timer.start(interval_ms or PACE_MS)

    def _follow_newest(self) -> None:
        if self._controller.sight.selection.position is not None:
            self._controller.sight.select(None)

    @Slot()
    def _on_timeout(self) -> None:
        if not self._controller.state.busy:
            self.forward()

    @Slot()
    def _on_step_taken(self) -> None:
        if self._entering is not None:
            self._entering = None
            self._controller.sight.look_at_stage(FIRST)
            if self.slow:
                self._timer.start()  # the first stage is seen as long as any other, however long the token took

    @Slot(object)
    def _on_state_changed(self, state: RunState) -> None:
        if self._entering is not None and state.generated < self._entering:
            self._entering = None  # the person went back meanwhile
        if state.phase in (RunPhase.FINISHED, RunPhase.FAILED, RunPhase.READY, RunPhase.EMPTY):
            self._entering = None
            self.play(False)
        elif state.phase is RunPhase.RUNNING and not state.to_remake:
            self.play(False)  # the person lets it run
