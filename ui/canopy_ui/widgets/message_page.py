"""One sentence in the middle of an otherwise empty panel."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget


class MessagePage(QWidget):
    """What to do here, or what is happening."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = QLabel(text)
        self._text.setProperty("look", "message")
        self._text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 12, 20, 12)
        layout.addWidget(self._text)

    def set_text(self, text: str) -> None:
        """Say something else."""
        if text != self._text.text():
            self._text.setText(text)

    def text(self) -> str:
        """What it says."""
        return self._text.text()
