"""When the window is painted again: at the screen's pace, and at once after a rest."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_ui.pace import Pace


class Repaint(QObject):
    """Lives on the GUI thread."""

    due = Signal()

    def __init__(self, busy: Callable[[], bool], parent: QObject | None = None) -> None:
        """`busy` tells whether the model is at work."""
        super().__init__(parent)
        self._busy = busy
        self._pace = Pace()
        self._painted = 0.0  # when the window was painted last, on the clock of `perf_counter`
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._on_timeout)

    def soon(self) -> None:
        """Paint at the screen's pace: at once where nothing runs and nothing was painted for so long."""
        if not self._timer.isActive():
            busy = self._busy()
            rested = 0.0 if busy else self._since_ms()
            self._timer.start(max(0, round(self._pace.interval_ms(busy=busy) - rested)))

    def now(self) -> None:
        """Paint at once, unless that would be sooner than the screen's pace after the last time."""
        wait_ms = max(0, round(self._pace.interval_ms(busy=self._busy()) - self._since_ms()))
        if not self._timer.isActive() or self._timer.remainingTime() > wait_ms:
            self._timer.start(wait_ms)

    def stop(self) -> None:
        """Paint no more."""
        self._timer.stop()

    def _since_ms(self) -> float:
        return 1000 * (time.perf_counter() - self._painted)

    @Slot()
    def _on_timeout(self) -> None:
        self._painted = time.perf_counter()
        self._pace.note_repaint()
        self.due.emit()
