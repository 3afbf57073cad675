"""The field that a prompt is typed into; gives the text back character for character."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from canopy_ui.theme import Theme

_PARAGRAPH = "\u2029"  # what Qt keeps for the end of a line


class PromptEdit(QPlainTextEdit):
    """Plain text; Ctrl+Return submits it, with Shift for one step."""

    submitted = Signal(bool)  # whether to play

    def __init__(self, theme: Theme, lines: int, parent: QWidget | None = None, *, least: int = 2) -> None:
        """`lines` are asked for, `least` of them are always there."""
        super().__init__(parent)
        self._lines, self._least = lines, least
        self._overlong = False
        self.setProperty("look", "editor")
        self.setTabChangesFocus(True)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change zoom."""
        self.setFont(theme.font(16))
        self._room = theme.px(18)
        self.setMinimumHeight(self.fontMetrics().lineSpacing() * self._least + self._room)
        self.updateGeometry()

    def text(self) -> str:
        """The text as it was typed: `toPlainText` would turn no-break spaces into spaces."""
        return self.document().toRawText().replace(_PARAGRAPH, "\n")

    def set_text(self, text: str) -> None:
        """Replace the text; an equal one leaves the cursor where it is."""
        if text != self.text():
            self.setPlainText(text)
            self.moveCursor(QTextCursor.MoveOperation.End)  # one types on after it

    def set_overlong(self, overlong: bool) -> None:
        """Show that the text does not fit."""
        if overlong != self._overlong:
            self._overlong = overlong
            self.setProperty("overlong", overlong)
            self.style().unpolish(self)
            self.style().polish(self)

    def sizeHint(self) -> QSize:
        return QSize(120, self.fontMetrics().lineSpacing() * self._lines + self._room)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self.minimumHeight())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        modifiers = event.modifiers()
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)
        elif modifiers & Qt.KeyboardModifier.ControlModifier:
            self.submitted.emit(not modifiers & Qt.KeyboardModifier.ShiftModifier)
        else:
            self.insertPlainText("\n")  # Shift+Return too: Qt would put U+2028
            self.ensureCursorVisible()
