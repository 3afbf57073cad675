"""A small window in front of the main one, for as long as somebody looks at it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QRect, Qt
from PySide6.QtWidgets import QDialog, QWidget


class Popover(QDialog):
    """Has no frame; Escape closes it, and so does going to another window."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Dialog | Qt.WindowType.FramelessWindowHint)
        self._window = parent
        self.setProperty("look", "popover")

    def show_at(self, corner: QPoint) -> None:
        """Show it with its upper left corner there, in global coordinates, or as near as the screen allows."""
        room = self._window.screen().availableGeometry()
        place = QRect(corner, self.sizeHint().boundedTo(room.size()))
        place.moveRight(min(place.right(), room.right()))
        place.moveBottom(min(place.bottom(), room.bottom()))
        place.moveLeft(max(place.left(), room.left()))
        place.moveTop(max(place.top(), room.top()))
        self.setGeometry(place)
        self.show()
        self.raise_()
        self.activateWindow()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and self.isVisible() and not self.isActiveWindow():
            self.reject()
