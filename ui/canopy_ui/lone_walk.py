"""Along what is recorded, where the model that made it is not here."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from canopy_ui.chronicle import Chronicle

LEAST_MS = 30  # from one token to the next, to be followed with the eye


class LoneWalk(QObject):
    """One token at a time. Lives on the GUI thread."""

    stepped = Signal(bool)  # whether another token follows by itself
    ended = Signal()  # nothing more is recorded there

    def __init__(self, chronicle: Chronicle, interval_ms: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.interval_ms = interval_ms
        self._chronicle = chronicle
        self._play = False
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._step)

    @property
    def under_way(self) -> bool:
        """Whether another token follows by itself."""
        return self._timer.isActive()

    def go(self, *, play: bool) -> None:
        """Take one step, and more if `play`."""
        self.stop()
        self._play = play
        self._step()

    def stop(self) -> None:
        """Stay where one stands."""
        self._timer.stop()

    @Slot()
    def _step(self) -> None:
        exploration = self._chronicle.exploration
        node = None if exploration is None else exploration.forward(exploration.cursor)
        if node is None:
            self.ended.emit()
            return
        self._chronicle.go_to(node)
        if self._play:
            self._timer.start(max(self.interval_ms, LEAST_MS))
        self.stepped.emit(self._play)
