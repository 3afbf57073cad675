"""One sentence in the middle of an otherwise empty panel, and at most one thing to do about it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget


class MessagePage(QWidget):
    """What to do here, or what is happening."""

    accepted = Signal()  # the offer

    def __init__(self, text: str, offer: str = "", parent: QWidget | None = None) -> None:
        """`offer`: the words of a button below the sentence, for when something can be done about it."""
        super().__init__(parent)
        self._text = QLabel(text)
        self._text.setProperty("look", "message")
        self._text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 12, 20, 12)
        layout.addStretch()
        layout.addWidget(self._text)
        self._button = QPushButton(offer) if offer else None
        if self._button is not None:
            self._button.clicked.connect(self.accepted)
            self._button.hide()
            layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch()

    def set_text(self, text: str, *, offered: bool = False) -> None:
        """Say something else, with or without the offer."""
        if text != self._text.text():
            self._text.setText(text)
        if self._button is not None:
            self._button.setVisible(offered)

    def text(self) -> str:
        """What it says."""
        return self._text.text()
