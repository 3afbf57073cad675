"""The exact text that goes into the model, each stretch named and coloured by where it comes from."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QFont, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from canopy_desktop.exploration.view import TokenRole
from canopy_desktop.model.chat import PromptPart, TemplatedPrompt
from canopy_ui.theme import Theme
from canopy_ui.widgets.role_colours import role_ground, role_name


class RoleText(QPlainTextEdit):
    """Read-only; laid out only while it is seen. The names of the sources are not part of the text: copying leaves
    them in, between square brackets."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: tuple[PromptPart, ...] = ()
        self._written: tuple[PromptPart, ...] | None = None
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setProperty("look", "editor")
        self.setAccessibleName(self.tr("The exact text that goes in"))
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Change colours and zoom."""
        self._theme = theme
        self.setFont(theme.font(14))
        self._written = None
        self._write()

    def set_prompt(self, prompt: TemplatedPrompt | None) -> None:
        """Show the text of this prompt."""
        self._parts = prompt.parts if prompt is not None else ()
        self._write()

    def sizeHint(self) -> QSize:
        return QSize(120, self._theme.px(104))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, self._theme.px(56))

    def showEvent(self, event: object) -> None:
        self._write()

    def _write(self) -> None:
        if not self.isVisible() or self._parts == self._written:
            return
        self._written = self._parts
        self.clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        named = len(self._parts) > 1
        for part in self._parts:
            role = TokenRole(part.role)
            ground = role_ground(self._theme, role)
            if named:
                cursor.insertText(f"[{role_name(role, earlier=part.earlier)}]", self._format(ground, name=True))
            cursor.insertText(part.text, self._format(ground))
        cursor.endEditBlock()

    def _format(self, ground: QColor, *, name: bool = False) -> QTextCharFormat:
        written = QTextCharFormat()
        written.setBackground(ground)
        written.setForeground(QColor(self._theme.text))
        if name:
            font = QFont(self._theme.font(12, strong=True))
            written.setFont(font)
        return written
