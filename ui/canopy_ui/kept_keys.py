"""Keys that belong to the window even where a text field has the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QWidget


class KeptKeys(QObject):
    """Qt's text fields take keys such as Ctrl+K on Linux, to delete to the end of the line, before an action does."""

    def __init__(self, action: QAction, window: QWidget) -> None:
        """Keeps the keys of `action` from all text fields that the window has."""
        super().__init__(window)
        self._action = action
        for field in (*window.findChildren(QPlainTextEdit), *window.findChildren(QLineEdit)):
            field.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is not QEvent.Type.ShortcutOverride or not isinstance(event, QKeyEvent):
            return False
        if QKeySequence(event.keyCombination()) not in self._action.shortcuts():
            return False
        event.ignore()
        return True
